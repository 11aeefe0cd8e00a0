//! Commits and files of a developer's repository, snapshots of it included.

use super::git::{Git, records};
use super::repository::{Names, Repository, changed};
use super::submodules::Submodules;
use crate::workspace::whole_id;
use kernel::journey::{Commit, MAX_MESSAGE};
use kernel::port::{Gitlink, Metadata, Nested, Source, TreeEntry};
use kernel::{BoxFuture, Error, ErrorKind, Name, Result, Text, Time, text};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// The one repository that a local run knows, and the submodules that lie in its working tree.
pub struct Local {
    repository: Repository,
    names: Names,
    nested: Submodules,
    /// What is taken to have changed, instead of a comparison.
    supposed: Mutex<Option<BTreeSet<String>>>,
}

impl Local {
    pub fn new(repository: Repository, names: Names) -> Local {
        Local { repository, names, nested: Submodules::default(), supposed: Mutex::default() }
    }

    /// What [`Source::changed`] answers from now on; `None` compares.
    pub fn suppose(&self, changed: Option<BTreeSet<String>>) {
        *self.supposed.lock().unwrap_or_else(PoisonError::into_inner) = changed;
    }

    /// From now on submodules are taken as they are committed, or as they lie there.
    pub fn take_committed(&self, committed: bool) {
        self.nested.take_committed(committed);
    }

    /// The repository of that name.
    fn repository(&self, project: &Name, repository: &Name) -> Result<Repository> {
        if *project == self.names.project {
            if *repository == self.names.repository {
                return Ok(self.repository.clone());
            }
            if let Some(found) = self.nested.get(repository) {
                return Ok(found);
            }
        }
        let say = text!(
            "the repository {project}/{repository} is not here",
            "{project}/{repository} 저장소는 여기에 없습니다"
        );
        Err(Error::invalid("local.elsewhere", say).hint(Text::fixed(
            "a local run knows this repository alone; what needs others runs on the server",
            "로컬 실행은 이 저장소만 압니다. 다른 저장소가 필요한 것은 서버에서 실행하세요",
        )))
    }

    fn git(&self, project: &Name, repository: &Name) -> Result<Git> {
        Ok(Git::bare(&self.repository(project, repository)?.ours))
    }

    async fn links(&self, p: &Name, r: &Name, commit: &str) -> Result<Vec<Gitlink>> {
        let list = ["ls-tree", "-r", "-z", "--full-tree", whole_id(commit)?];
        let out = self.git(p, r)?.args(list).bytes().await?;
        let mut links: Vec<Gitlink> = records(&out).filter_map(link).collect();
        links.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(links)
    }

    async fn submodule(&self, p: &Name, r: &Name, commit: &str, path: &str) -> Result<Nested> {
        let outer = self.repository(p, r)?;
        let links = self.links(p, r, commit).await?;
        let recorded = links.into_iter().find(|l| l.path == path).map(|l| l.commit);
        let cache = self.repository.ours.with_file_name("modules");
        let recorded = recorded.unwrap_or_default();
        let (repository, commit) =
            self.nested.find(&outer, commit, path, &recorded, &cache).await?;
        Ok(Nested { project: p.clone(), repository, commit })
    }

    async fn entries(&self, p: &Name, r: &Name, commit: &str) -> Result<Vec<TreeEntry>> {
        let list = ["ls-tree", "-r", "-z", "-l", "--full-tree", whole_id(commit)?];
        let out = self.git(p, r)?.args(list).bytes().await?;
        let mut entries: Vec<TreeEntry> = records(&out).filter_map(entry).collect();
        entries.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(entries)
    }

    async fn content(
        &self,
        p: &Name,
        r: &Name,
        commit: &str,
        path: &str,
        limit: u64,
    ) -> Result<Option<Vec<u8>>> {
        let list = ["ls-tree", "-z", "-l", "--full-tree", whole_id(commit)?, "--", path];
        let out = self.git(p, r)?.env("GIT_LITERAL_PATHSPECS", "1").args(list).bytes().await?;
        let Some(found) = records(&out).filter_map(entry).find(|e| e.path == path) else {
            return Ok(None);
        };
        if found.size > limit {
            let size = found.size;
            let say = text!(
                "it has {size} bytes, the limit is {limit}",
                "{size}바이트로 제한 {limit}바이트를 넘습니다"
            );
            return Err(Error::new(ErrorKind::TooLarge, "file.too-large", say));
        }
        self.git(p, r)?.args(["cat-file", "blob", &found.object]).bytes().await.map(Some)
    }

    async fn check_out(
        &self,
        p: &Name,
        r: &Name,
        commit: &str,
        dir: &Path,
        metadata: Metadata,
    ) -> Result<()> {
        let repository = self.repository(p, r)?;
        let git = dir.join(".git");
        write_metadata(&repository, whole_id(commit)?, &git).await?;
        let inside = Git::at(dir).env("GIT_DIR", &git).env("GIT_WORK_TREE", dir);
        inside.args(["read-tree", "--reset", "-u", commit]).bytes().await?;
        match metadata {
            Metadata::With => Ok(()),
            Metadata::Without => std::fs::remove_dir_all(&git).map_err(Error::internal),
        }
    }

    async fn one(&self, p: &Name, r: &Name, commit: &str) -> Result<Commit> {
        let format = "--format=%H%x00%P%x00%an%x00%ae%x00%at%x00%ct%x00%s%x00%B";
        let out = self.git(p, r)?.args(["log", "-1", format, whole_id(commit)?]).words().await?;
        let mut words = out.splitn(8, '\0');
        let mut next = || words.next().unwrap_or_default().to_owned();
        let (id, parents, author, email) = (next(), next(), next(), next());
        let mut time = || Time(next().parse::<i64>().unwrap_or(0).saturating_mul(1000));
        let (authored, committed) = (time(), time());
        let (subject, message) = (next(), next());
        let parents = parents.split_whitespace().map(str::to_owned).collect();
        let message: String = cut(&message, MAX_MESSAGE).to_owned();
        Ok(Commit { id, parents, author, email, authored, committed, subject, message })
    }
}

/// A `.git` that reads the objects where they are: detached at `commit`, with the developer's tags, and
/// branches as a clone would have them.
async fn write_metadata(repository: &Repository, commit: &str, git: &Path) -> Result<()> {
    let asked = ["for-each-ref", "--format=%(objectname) %(refname)"];
    let spaces = ["refs/remotes/origin", "refs/heads", "refs/tags"];
    let refs = Git::at(&repository.top).args(asked).args(spaces).words().await?;
    let config = std::fs::read_to_string(repository.ours.join("config"));
    let work = || {
        for below in ["objects/info", "objects/pack", "refs/heads", "refs/tags"] {
            std::fs::create_dir_all(git.join(below))?;
        }
        std::fs::write(git.join("HEAD"), format!("{commit}\n"))?;
        let config = config?.replace("bare = true", "bare = false");
        std::fs::write(git.join("config"), config)?;
        std::fs::write(git.join("objects/info/alternates"), repository.alternates(true))?;
        std::fs::write(git.join("packed-refs"), packed(&refs))
    };
    work().map_err(Error::internal)
}

/// Names of refs as a clone has them: the branches of the origin, and those that it does not have.
fn packed(refs: &str) -> String {
    let mut lines: std::collections::BTreeMap<String, &str> = std::collections::BTreeMap::new();
    let (heads, others): (Vec<_>, Vec<_>) = refs
        .lines()
        .filter_map(|l| l.split_once(' '))
        .partition(|(_, name)| name.starts_with("refs/heads/"));
    for (id, name) in others.into_iter().chain(heads) {
        let name = match name.strip_prefix("refs/heads/") {
            Some(branch) => format!("refs/remotes/origin/{branch}"),
            None => name.to_owned(),
        };
        if name != "refs/remotes/origin/HEAD" {
            lines.entry(name).or_insert(id);
        }
    }
    lines.iter().map(|(name, id)| format!("{id} {name}\n")).collect()
}

/// `160000 commit <object>\t<path>`
fn link(record: &[u8]) -> Option<Gitlink> {
    let tab = record.iter().position(|b| *b == b'\t')?;
    let path = String::from_utf8_lossy(record.get(tab + 1..)?).into_owned();
    let words = std::str::from_utf8(record.get(..tab)?).ok()?;
    let commit = words.strip_prefix("160000 commit ")?.to_owned();
    Some(Gitlink { path, commit })
}

/// `<mode> <type> <object> <size>\t<path>`; what is no file is left out, as everywhere in naru.
fn entry(record: &[u8]) -> Option<TreeEntry> {
    let tab = record.iter().position(|b| *b == b'\t')?;
    let path = String::from_utf8_lossy(record.get(tab + 1..)?).into_owned();
    let words = std::str::from_utf8(record.get(..tab)?).ok()?;
    let mut words = words.split_ascii_whitespace();
    let (mode, kind, object, size) = (words.next()?, words.next()?, words.next()?, words.next()?);
    let mode = u32::from_str_radix(mode, 8).ok()?;
    let size = size.parse().unwrap_or(0);
    (kind == "blob").then(|| TreeEntry { path, mode, object: object.to_owned(), size })
}

fn cut(words: &str, most: usize) -> &str {
    let mut end = words.len().min(most);
    while !words.is_char_boundary(end) {
        end -= 1;
    }
    words.get(..end).unwrap_or(words)
}

impl Source for Local {
    fn tree<'a>(
        &'a self,
        project: &'a Name,
        repository: &'a Name,
        commit: &'a str,
    ) -> BoxFuture<'a, Result<Vec<TreeEntry>>> {
        Box::pin(self.entries(project, repository, commit))
    }

    fn file<'a>(
        &'a self,
        project: &'a Name,
        repository: &'a Name,
        commit: &'a str,
        path: &'a str,
        limit: u64,
    ) -> BoxFuture<'a, Result<Option<Vec<u8>>>> {
        Box::pin(self.content(project, repository, commit, path, limit))
    }

    fn checkout<'a>(
        &'a self,
        project: &'a Name,
        repository: &'a Name,
        commit: &'a str,
        dir: &'a Path,
        metadata: Metadata,
    ) -> BoxFuture<'a, Result<()>> {
        Box::pin(self.check_out(project, repository, commit, dir, metadata))
    }

    fn commit<'a>(
        &'a self,
        project: &'a Name,
        repository: &'a Name,
        commit: &'a str,
    ) -> BoxFuture<'a, Result<Commit>> {
        Box::pin(self.one(project, repository, commit))
    }

    fn changed<'a>(
        &'a self,
        project: &'a Name,
        repository: &'a Name,
        before: Option<&'a str>,
        after: &'a str,
    ) -> BoxFuture<'a, Result<Vec<String>>> {
        Box::pin(async move {
            let supposed = self.supposed.lock().unwrap_or_else(PoisonError::into_inner).clone();
            if let Some(supposed) = supposed {
                return Ok(supposed.into_iter().collect());
            }
            self.git(project, repository)?;
            let before = before.map(whole_id).transpose()?;
            changed(&self.repository.ours, before, whole_id(after)?).await
        })
    }

    fn merge_base<'a>(
        &'a self,
        project: &'a Name,
        repository: &'a Name,
        one: &'a str,
        other: &'a str,
    ) -> BoxFuture<'a, Result<Option<String>>> {
        Box::pin(async move {
            let asked = ["merge-base", whole_id(one)?, whole_id(other)?];
            let found = self.git(project, repository)?.args(asked).ask().await?;
            Ok(found.map(|out| String::from_utf8_lossy(&out).trim().to_owned()))
        })
    }

    fn gitlinks<'a>(
        &'a self,
        project: &'a Name,
        repository: &'a Name,
        commit: &'a str,
    ) -> BoxFuture<'a, Result<Vec<Gitlink>>> {
        Box::pin(self.links(project, repository, commit))
    }

    fn nested<'a>(
        &'a self,
        project: &'a Name,
        repository: &'a Name,
        commit: &'a str,
        path: &'a str,
    ) -> BoxFuture<'a, Result<Option<Nested>>> {
        Box::pin(async move { self.submodule(project, repository, commit, path).await.map(Some) })
    }

    fn resolve<'a>(
        &'a self,
        project: &'a Name,
        repository: &'a Name,
        refname: &'a str,
    ) -> BoxFuture<'a, Result<Option<String>>> {
        Box::pin(async move {
            let top = self.repository(project, repository)?.top;
            let short = refname.strip_prefix("refs/heads/").unwrap_or(refname);
            // As a server knows it: what is pushed goes before what is here alone.
            for space in ["refs/remotes/origin/", "refs/heads/", "refs/tags/", ""] {
                let name = if space.is_empty() { refname } else { short };
                if space.is_empty() && !name.starts_with("refs/") {
                    continue;
                }
                let name = format!("{space}{name}^{{commit}}");
                let asked = ["rev-parse", "--verify", "--quiet", "--end-of-options", &name];
                if let Some(found) = Git::at(&top).args(asked).ask().await? {
                    return Ok(Some(String::from_utf8_lossy(&found).trim().to_owned()));
                }
            }
            Ok(None)
        })
    }

    fn git_dir(&self, project: &Name, repository: &Name) -> PathBuf {
        let found = self.repository(project, repository);
        found.map_or_else(|_| self.repository.ours.clone(), |found| found.ours)
    }

    fn borrowed(&self, project: &Name, repository: &Name) -> Vec<PathBuf> {
        self.repository(project, repository).map(|found| found.objects).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_a_tree() {
        let found = entry(b"100755 blob aaaa     12\tbin/run me").unwrap();
        assert_eq!((found.path.as_str(), found.mode, found.size), ("bin/run me", 0o100_755, 12));
        assert!(entry(b"160000 commit aaaa       -\tsub").is_none());
        assert!(entry(b"nonsense").is_none());
        let found = link(b"160000 commit aaaa\tsub/a b").unwrap();
        assert_eq!((found.path.as_str(), found.commit.as_str()), ("sub/a b", "aaaa"));
        assert!(link(b"100755 blob aaaa\tbin").is_none());
    }

    #[test]
    fn branches_are_those_of_a_clone() {
        let refs = "3 refs/heads/main\n4 refs/heads/mine\n1 refs/remotes/origin/HEAD\n2 refs/remotes/origin/main\n5 refs/tags/v1";
        let want = "2 refs/remotes/origin/main\n4 refs/remotes/origin/mine\n5 refs/tags/v1\n";
        assert_eq!(packed(refs), want);
    }
}

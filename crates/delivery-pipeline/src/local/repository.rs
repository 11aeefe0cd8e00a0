//! A developer's repository, and snapshots of it as it lies there, uncommitted changes included.
//!
//! Nothing in it is ever changed: the index is copied before git works on it, and new objects go into a bare
//! repository of naru's own that borrows the developer's.

use super::git::{self, Git};
use kernel::{Error, Name, Result, Text, text};
use std::collections::BTreeSet;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Depth of borrowing between object directories; git itself follows five.
const MAX_BORROWED: usize = 16;
/// The message of a snapshot's commit.
const MESSAGE: &str = "Uncommitted changes";

/// Where things are.
#[derive(Clone, Debug)]
pub struct Repository {
    /// The working tree.
    pub top: PathBuf,
    /// Of this working tree: HEAD and the index.
    git: PathBuf,
    /// Object directories, the developer's own first, then those it borrows from.
    pub objects: Vec<PathBuf>,
    /// The bare repository of naru's own.
    pub ours: PathBuf,
}

/// One look at the repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    pub commit: String,
    pub tree: String,
    /// The commit that is checked out; `None` in a repository without one.
    pub head: Option<String>,
    /// The branch that is checked out.
    pub branch: Option<String>,
    /// Paths that differ from `head`.
    pub dirty: Vec<String>,
}

/// Names under which a run of this repository goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    pub project: Name,
    pub repository: Name,
}

impl Repository {
    /// The repository that `dir` lies in, with `cache` as naru's own place beside it.
    ///
    /// # Errors
    /// `local.no-repository`; `git.missing`.
    pub async fn find(dir: &Path) -> Result<Repository> {
        let asked = ["rev-parse", "--path-format=absolute"];
        let asked = asked.iter().chain(&["--show-toplevel", "--git-dir", "--git-path", "objects"]);
        let out = Git::at(dir).args(asked).bytes().await.map_err(|e| not_one(dir, &e))?;
        let mut lines = out.split(|b| *b == b'\n').map(git::path);
        let mut next = || {
            let line = lines.next().filter(|l| l.is_absolute());
            line.ok_or_else(|| Error::internal("git rev-parse did not name its directories"))
        };
        let (top, git, objects) = (next()?, next()?, next()?);
        Ok(Repository { top, git, objects: borrowed(objects), ours: PathBuf::new() })
    }

    /// Makes the bare repository below `cache`, or finds it.
    pub async fn open(mut self, cache: &Path) -> Result<Repository> {
        self.ours = cache.join("git");
        if !self.ours.join("HEAD").exists() {
            let format = Git::at(&self.top).args(["rev-parse", "--show-object-format"]).words();
            let format = format!("--object-format={}", format.await?);
            let init = ["init", "--quiet", "--bare", "--template=", format.as_str()];
            Git::at(cache).args(init).args([&self.ours]).bytes().await?;
        }
        let info = self.ours.join("objects/info");
        std::fs::create_dir_all(&info).map_err(Error::internal)?;
        std::fs::write(info.join("alternates"), self.alternates(false)).map_err(Error::internal)?;
        let head = format!("ref: refs/heads/{}\n", self.default_branch().await?);
        std::fs::write(self.ours.join("HEAD"), head).map_err(Error::internal)?;
        Ok(self)
    }

    /// The content of a file of alternates, with or without naru's own objects.
    pub fn alternates(&self, with_ours: bool) -> Vec<u8> {
        let ours = with_ours.then(|| self.ours.join("objects"));
        let all = ours.iter().chain(&self.objects);
        all.flat_map(|dir| [dir.as_os_str().as_bytes(), b"\n"].concat()).collect()
    }

    /// The branch that others take as the main one.
    async fn default_branch(&self) -> Result<String> {
        let asked = ["symbolic-ref", "--quiet", "--short", "refs/remotes/origin/HEAD"];
        if let Some(out) = Git::at(&self.top).args(asked).ask().await? {
            let name = String::from_utf8_lossy(&out).trim().to_owned();
            return Ok(name.strip_prefix("origin/").unwrap_or(&name).to_owned());
        }
        let heads = ["for-each-ref", "--format=%(refname:short)", "refs/heads"];
        let heads = Git::at(&self.top).args(heads).words().await?;
        let known: BTreeSet<&str> = heads.lines().collect();
        let usual = ["main", "master", "trunk"].into_iter().find(|b| known.contains(b));
        Ok(usual.or(known.first().copied()).unwrap_or("main").to_owned())
    }

    /// What lies in the working tree now; with `committed`, what the last commit has.
    ///
    /// # Errors
    /// `git.failed` with git's own words, for what it cannot read; `local.no-commit`.
    pub async fn snapshot(&self, committed: bool) -> Result<Snapshot> {
        let head = Git::at(&self.top).args(["log", "-1", "--format=%H %T %ct", "HEAD"]).ask();
        let branch = Git::at(&self.top).args(["symbolic-ref", "--quiet", "--short", "HEAD"]).ask();
        let tree = async { if committed { Ok(None) } else { self.tree().await.map(Some) } };
        let (head, branch, tree) = tokio::try_join!(head, branch, tree)?;
        let branch = branch.map(|b| String::from_utf8_lossy(&b).trim().to_owned());
        let head = head.map(|h| String::from_utf8_lossy(&h).trim().to_owned());
        let mut words = head.as_deref().unwrap_or("").split(' ');
        let head = words.next().filter(|w| !w.is_empty()).map(str::to_owned);
        let (head_tree, when) = (words.next().unwrap_or(""), words.next().unwrap_or("0"));
        let Some(tree) = tree else {
            let commit = head.clone().ok_or_else(no_commit)?;
            let tree = head_tree.to_owned();
            return Ok(Snapshot { commit, tree, head, branch, dirty: Vec::new() });
        };
        if let Some(commit) = head.clone().filter(|_| tree == head_tree) {
            return Ok(Snapshot { commit, tree, head, branch, dirty: Vec::new() });
        }
        let commit = self.commit(&tree, head.as_deref(), when).await?;
        let dirty = changed(&self.ours, head.as_deref(), &commit).await?;
        Ok(Snapshot { commit, tree, head, branch, dirty })
    }

    /// Writes the working tree as a tree of objects, all of them new ones of naru's own.
    async fn tree(&self) -> Result<String> {
        let index = self.ours.join(format!("index.{}", std::process::id()));
        let work = async {
            copy_index(&self.git.join("index"), &index).map_err(Error::internal)?;
            let git = || {
                let all: Vec<&[u8]> =
                    self.objects.iter().map(|o| o.as_os_str().as_bytes()).collect();
                let others = all.join(&b':');
                Git::at(&self.top)
                    .env("GIT_INDEX_FILE", &index)
                    .env("GIT_OBJECT_DIRECTORY", self.ours.join("objects"))
                    .env("GIT_ALTERNATE_OBJECT_DIRECTORIES", std::ffi::OsStr::from_bytes(&others))
                    .args(["-c", "core.splitIndex=false", "-c", "core.safecrlf=false"])
                    .args(["-c", "advice.addEmbeddedRepo=false"])
            };
            git().args(["add", "--all", "--", ":/"]).bytes().await?;
            git().args(["write-tree"]).words().await
        };
        let tree = work.await;
        // Git leaves a lock beside it when it was interrupted.
        for file in [index.clone(), index.with_extension(format!("{}.lock", std::process::id()))] {
            let _ = std::fs::remove_file(file);
        }
        tree
    }

    /// The commit of a tree. The same tree on the same head is the same commit, so that what was made for it
    /// is found again.
    async fn commit(&self, tree: &str, head: Option<&str>, when: &str) -> Result<String> {
        let who = ["config", "--get-regexp", r"^user\.(name|email)$"];
        let who = Git::at(&self.top).args(who).ask().await?.unwrap_or_default();
        let who = String::from_utf8_lossy(&who).into_owned();
        let of = |key: &str, otherwise: &str| {
            let found = who.lines().rev().find_map(|l| l.strip_prefix(key)?.strip_prefix(' '));
            found.map(str::trim).filter(|w| !w.is_empty()).unwrap_or(otherwise).to_owned()
        };
        let (name, email) = (of("user.name", "nobody"), of("user.email", "nobody@localhost"));
        let mut git = Git::bare(&self.ours).args(["commit-tree", "-m", MESSAGE]);
        for role in ["AUTHOR", "COMMITTER"] {
            git = git
                .env(&format!("GIT_{role}_NAME"), &name)
                .env(&format!("GIT_{role}_EMAIL"), &email)
                .env(&format!("GIT_{role}_DATE"), format!("{when} +0000"));
        }
        if let Some(head) = head {
            git = git.args(["-p", head]);
        }
        git.args([tree]).words().await
    }

    /// What the branch's remote has, as far as it is known here: what a push would start from.
    pub async fn pushed(&self, branch: &str) -> Result<Option<String>> {
        let upstream = format!("refs/remotes/origin/{branch}^{{commit}}");
        let asked = ["rev-parse", "--verify", "--quiet", "--end-of-options", upstream.as_str()];
        let found = Git::at(&self.top).args(asked).ask().await?;
        Ok(found.map(|out| String::from_utf8_lossy(&out).trim().to_owned()))
    }

    /// Whether git takes no notice of the file.
    pub async fn ignores(&self, path: &Path) -> Result<bool> {
        let asked = Git::at(&self.top).args(["check-ignore", "--quiet", "--"]).args([path]);
        Ok(asked.ask().await?.is_some())
    }

    /// Directories with files that a snapshot has, the working tree's own included.
    pub async fn directories(&self) -> Result<BTreeSet<PathBuf>> {
        let asked = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
        let out = Git::at(&self.top).args(asked).bytes().await?;
        let mut found = BTreeSet::from([self.top.clone()]);
        for file in git::records(&out) {
            let mut dir = self.top.join(git::path(file));
            while dir.pop() && dir != self.top && found.insert(dir.clone()) {}
        }
        Ok(found)
    }

    /// From the address of its remote when that is a naru's, else from its directory's name.
    pub async fn names(&self) -> Result<Names> {
        let asked = ["config", "--get-regexp", r"^remote\..*\.url$"];
        let remotes = Git::at(&self.top).args(asked).ask().await?.unwrap_or_default();
        let remotes = String::from_utf8_lossy(&remotes).into_owned();
        let known = remotes.lines().filter_map(|l| names_of(l.split_once(' ')?.1)).next();
        let dir = self.top.file_name().map(|n| n.to_string_lossy().into_owned());
        let plain = dir.and_then(|d| Name::slug(&d)).map_or_else(|| Name::parse("local"), Ok)?;
        Ok(known.unwrap_or_else(|| Names { project: plain.clone(), repository: plain }))
    }
}

/// Paths that differ between two commits; all of `after` without `before`.
pub async fn changed(ours: &Path, before: Option<&str>, after: &str) -> Result<Vec<String>> {
    let git = Git::bare(ours);
    let out = match before {
        Some(before) => {
            let what = ["diff-tree", "-r", "-z", "--no-renames", "--name-only", before, after];
            git.args(what).bytes().await?
        }
        None => git.args(["ls-tree", "-r", "-z", "--name-only", after]).bytes().await?,
    };
    Ok(git::records(&out).map(|p| String::from_utf8_lossy(p).into_owned()).collect())
}

/// `http://HOST/<project>/<repository>.git`, which is how naru serves repositories.
fn names_of(url: &str) -> Option<Names> {
    let rest = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"))?;
    let mut words = rest.trim_end_matches('/').split('/').skip(1);
    let (project, repository) = (words.next()?, words.next()?);
    let whole = words.next().is_none();
    let repository = repository.strip_suffix(".git").unwrap_or(repository);
    let names =
        Names { project: Name::parse(project).ok()?, repository: Name::parse(repository).ok()? };
    whole.then_some(names)
}

/// An object directory and those it borrows from.
fn borrowed(first: PathBuf) -> Vec<PathBuf> {
    let mut all = vec![first];
    let mut next = 0;
    while let Some(dir) = all.get(next).cloned() {
        next += 1;
        let list = std::fs::read(dir.join("info/alternates")).unwrap_or_default();
        for line in list.split(|b| *b == b'\n').filter(|l| !l.is_empty() && !l.starts_with(b"#")) {
            let other = dir.join(git::path(line));
            let other = other.canonicalize().unwrap_or(other);
            if all.len() < MAX_BORROWED && !all.contains(&other) {
                all.push(other);
            }
        }
    }
    all
}

/// Copies an index with its time: by it git knows which files may have changed since.
fn copy_index(from: &Path, to: &Path) -> std::io::Result<()> {
    match std::fs::copy(from, to) {
        Ok(_) => {
            let when = std::fs::metadata(from)?.modified()?;
            std::fs::File::options().write(true).open(to)?.set_modified(when)
        }
        // A repository without a commit has none.
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(e),
    }
}

fn not_one(dir: &Path, error: &Error) -> Error {
    if error.code() != "git.failed" {
        return error.clone();
    }
    let (shown, why) = (dir.display(), error.say().clone());
    let say = text!(
        "{shown} is not in the working tree of a git repository",
        "{shown}은(는) git 저장소의 작업 트리 안이 아닙니다"
    );
    Error::invalid("local.no-repository", say).why(why.en).hint(Text::fixed(
        "go to one, or make one with `git init`",
        "저장소로 가거나 `git init`으로 만드세요",
    ))
}

fn no_commit() -> Error {
    let say = Text::fixed("the repository has no commit yet", "저장소에 아직 커밋이 없습니다");
    Error::invalid("local.no-commit", say)
        .hint(Text::fixed("leave out `--committed`", "`--committed`를 빼세요"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_from_a_naru_s_address_alone() {
        let of = |url: &str| names_of(url).map(|n| format!("{}/{}", n.project, n.repository));
        for (url, want) in [
            ("http://127.0.0.1:8080/shop/web.git", Some("shop/web")),
            ("https://naru.example/shop/web", Some("shop/web")),
            ("https://github.com/Group/Thing.git", None),
            ("https://gitlab.com/group/sub/thing.git", None),
            ("git@host:shop/web.git", None),
            ("http://host/", None),
        ] {
            assert_eq!(of(url).as_deref(), want, "{url}");
        }
    }
}

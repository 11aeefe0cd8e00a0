//! Commits and files for the rest of naru.

use crate::tree::Listing;
use crate::{Git, checkout, object, refs, tree};
use kernel::journey::Commit;
use kernel::port::{Gitlink, Metadata, Source, TreeEntry};
use kernel::{BoxFuture, Name, Result};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

impl Git {
    /// Every file of a commit, from memory when it was asked for lately.
    pub(crate) async fn listing(
        &self,
        project: &Name,
        repository: &Name,
        commit: &str,
    ) -> Result<Arc<Listing>> {
        tree::whole(commit)?;
        let open = self.opened(project, repository);
        if let Some(listing) = open.trees.get(commit) {
            return Ok(listing);
        }
        let id = commit.to_owned();
        let listing = open.pool.with(move |reader| {
            let (_, root, _) = reader.commit_and_text(&id)?;
            tree::list(reader, &root)
        });
        let listing = Arc::new(listing.await?);
        open.trees.put(commit, listing.clone());
        Ok(listing)
    }

    async fn read_file(
        &self,
        project: &Name,
        repository: &Name,
        commit: &str,
        path: &str,
        limit: u64,
    ) -> Result<Option<Vec<u8>>> {
        let listing = self.listing(project, repository, commit).await?;
        let Some(file) = listing.find(path.as_bytes()) else { return Ok(None) };
        if file.size > limit {
            return Err(object::too_large(file.size, limit));
        }
        let id = file.object.clone();
        let pool = &self.opened(project, repository).pool;
        pool.with(move |reader| reader.object(&id, limit)).await.map(|(_, bytes)| Some(bytes))
    }

    async fn check_out(
        &self,
        project: &Name,
        repository: &Name,
        commit: &str,
        dir: &Path,
        metadata: Metadata,
    ) -> Result<()> {
        let listing = self.listing(project, repository, commit).await?;
        let (commit, dir) = (commit.to_owned(), dir.to_owned());
        let source = self.path(project, repository);
        let pool = &self.opened(project, repository).pool;
        pool.with(move |reader| {
            checkout::write(reader, &listing, &dir)?;
            match metadata {
                Metadata::Without => Ok(()),
                Metadata::With => {
                    let refs = refs::all(&source)?;
                    checkout::metadata(&dir, &source, &commit, &refs, &listing)
                }
            }
        })
        .await
    }

    async fn changed_paths(
        &self,
        project: &Name,
        repository: &Name,
        before: Option<&str>,
        after: &str,
    ) -> Result<Vec<String>> {
        let after = self.listing(project, repository, after).await?;
        let before = match before {
            Some(before) => self.listing(project, repository, before).await?,
            None => Arc::default(),
        };
        Ok(differing(&before, &after))
    }
}

impl Git {
    /// Where two histories part. Both commits are looked up first, so that one that is not there is said so
    /// and is not taken for a fault of git.
    async fn parting(
        &self,
        project: &Name,
        repository: &Name,
        one: &str,
        other: &str,
    ) -> Result<Option<String>> {
        for commit in [one, other] {
            Source::commit(self, project, repository, commit).await?;
        }
        let asked = ["merge-base", one, other];
        let found = self.shared.git.ask(&self.path(project, repository), &asked).await?;
        let line = found.map(|said| String::from_utf8_lossy(&said).trim().to_owned());
        Ok(line.filter(|id| !id.is_empty()))
    }
}

/// Paths that are in one listing alone or are another file, or another commit of a submodule, in the other.
fn differing(before: &Listing, after: &Listing) -> Vec<String> {
    let key = |f: &tree::File| (f.path.clone(), (f.mode, f.object.clone()));
    let mut left: BTreeMap<_, _> = before.entries().map(key).collect();
    let mut paths: Vec<Vec<u8>> = Vec::new();
    for (path, file) in after.entries().map(key) {
        if left.remove(&path).as_ref() != Some(&file) {
            paths.push(path);
        }
    }
    paths.extend(left.into_keys());
    paths.sort();
    paths.iter().map(|p| String::from_utf8_lossy(p).into_owned()).collect()
}

impl Source for Git {
    fn tree<'a>(
        &'a self,
        project: &'a Name,
        repository: &'a Name,
        commit: &'a str,
    ) -> BoxFuture<'a, Result<Vec<TreeEntry>>> {
        Box::pin(async move {
            let listing = self.listing(project, repository, commit).await?;
            Ok(listing.files.iter().map(tree::File::entry).collect())
        })
    }

    fn file<'a>(
        &'a self,
        project: &'a Name,
        repository: &'a Name,
        commit: &'a str,
        path: &'a str,
        limit: u64,
    ) -> BoxFuture<'a, Result<Option<Vec<u8>>>> {
        Box::pin(self.read_file(project, repository, commit, path, limit))
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
        Box::pin(async move {
            tree::whole(commit)?;
            self.opened(project, repository).pool.commit(commit).await
        })
    }

    fn changed<'a>(
        &'a self,
        project: &'a Name,
        repository: &'a Name,
        before: Option<&'a str>,
        after: &'a str,
    ) -> BoxFuture<'a, Result<Vec<String>>> {
        Box::pin(self.changed_paths(project, repository, before, after))
    }

    fn gitlinks<'a>(
        &'a self,
        project: &'a Name,
        repository: &'a Name,
        commit: &'a str,
    ) -> BoxFuture<'a, Result<Vec<Gitlink>>> {
        Box::pin(async move {
            let listing = self.listing(project, repository, commit).await?;
            let link = |f: &tree::File| Gitlink { path: f.shown(), commit: f.object.clone() };
            Ok(listing.submodules.iter().map(link).collect())
        })
    }

    fn merge_base<'a>(
        &'a self,
        project: &'a Name,
        repository: &'a Name,
        one: &'a str,
        other: &'a str,
    ) -> BoxFuture<'a, Result<Option<String>>> {
        Box::pin(self.parting(project, repository, one, other))
    }

    fn git_dir(&self, project: &Name, repository: &Name) -> PathBuf {
        self.path(project, repository)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(files: &[(&str, &str)]) -> Listing {
        let file = |(path, object): &(&str, &str)| tree::File {
            path: path.as_bytes().to_owned(),
            mode: 0o100_644,
            object: (*object).to_owned(),
            size: 0,
        };
        let all = files.iter().map(file);
        let (submodules, files) = all.partition(|f| f.path.starts_with(b"sub"));
        Listing { files, submodules }
    }

    #[test]
    fn what_differs() {
        let before = listing(&[("a", "1"), ("b", "2"), ("c", "3"), ("sub", "5"), ("sub2", "6")]);
        let after = listing(&[("a", "1"), ("b", "9"), ("d", "4"), ("sub", "7"), ("sub2", "6")]);
        assert_eq!(differing(&before, &after), ["b", "c", "d", "sub"]);
        assert!(differing(&after, &after).is_empty());
    }
}

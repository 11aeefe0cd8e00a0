//! Submodules of a local run: those that lie in the working tree, as they lie there.

use super::repository::Repository;
use kernel::{Error, Name, Result, Text, text};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// A submodule of a commit of a working tree: the tree, the commit, the path.
type Spot = (std::path::PathBuf, String, String);

/// Those that have been looked at.
#[derive(Default)]
pub struct Submodules {
    known: Mutex<Known>,
    /// All jobs of a run get the same picture, so it is taken once.
    looking: tokio::sync::Mutex<BTreeMap<Spot, (Name, String)>>,
}

#[derive(Default)]
struct Known {
    committed: bool,
    repositories: BTreeMap<Name, Repository>,
}

impl Submodules {
    pub fn take_committed(&self, committed: bool) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).committed = committed;
    }

    pub fn get(&self, repository: &Name) -> Option<Repository> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.repositories.get(repository).cloned()
    }

    /// The submodule at `path` of a commit of `outer`: its name here and its commit. `recorded` is the commit
    /// that the outer one asks for, `cache` where naru keeps pictures of submodules.
    ///
    /// # Errors
    /// `local.submodule` when it does not lie there; what git says of it.
    pub async fn find(
        &self,
        outer: &Repository,
        commit: &str,
        path: &str,
        recorded: &str,
        cache: &Path,
    ) -> Result<(Name, String)> {
        let spot = (outer.top.clone(), commit.to_owned(), path.to_owned());
        let mut looked = self.looking.lock().await;
        if let Some(found) = looked.get(&spot) {
            return Ok(found.clone());
        }
        let dir = outer.top.join(path);
        // Without a `.git` of its own git would find the repository around it.
        if std::fs::symlink_metadata(dir.join(".git")).is_err() {
            return Err(missing(path));
        }
        let name = name_of(&dir)?;
        let place = cache.join(name.as_str());
        std::fs::create_dir_all(&place).map_err(Error::internal)?;
        let repository = Repository::find(&dir).await?.open(&place).await?;
        let committed = self.known.lock().unwrap_or_else(PoisonError::into_inner).committed;
        let commit = match committed {
            true => recorded.to_owned(),
            false => repository.snapshot(false).await?.commit,
        };
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.repositories.insert(name.clone(), repository);
        looked.insert(spot, (name.clone(), commit.clone()));
        Ok((name, commit))
    }
}

/// `submodule-<hash of its place>`: no developer calls a repository that.
fn name_of(dir: &Path) -> Result<Name> {
    let hash = Sha256::digest(dir.as_os_str().as_bytes());
    let hash: String = hash.iter().take(12).map(|b| format!("{b:02x}")).collect();
    Name::parse(&format!("submodule-{hash}"))
}

fn missing(path: &str) -> Error {
    let path = kernel::shown(path);
    let say = text!(
        "the submodule {path} is not in the working tree",
        "작업 트리에 서브모듈 {path}이(가) 없습니다"
    );
    Error::invalid("local.submodule", say).hint(Text::fixed(
        "fetch it with `git submodule update --init --recursive`",
        "`git submodule update --init --recursive`로 받으세요",
    ))
}

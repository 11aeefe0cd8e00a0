//! Where local runs of one repository keep what they need: a directory of the user's cache.

use kernel::{Error, Result, Text, text};
use rustix::fs::{FlockOperation, flock};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// The directory, held by this process alone as long as this lives.
pub struct Place {
    pub dir: PathBuf,
    _lock: File,
}

/// `<cache>/naru/local/<name>-<hash of the path>`
pub fn dir_of(cache: &Path, top: &Path) -> PathBuf {
    let hash = Sha256::digest(top.as_os_str().as_bytes());
    let hash: String = hash.iter().take(8).map(|b| format!("{b:02x}")).collect();
    let name = top.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let name = kernel::Name::slug(&name).map_or_else(String::new, |n| format!("{n}-"));
    cache.join("naru/local").join(format!("{name}{hash}"))
}

/// `$XDG_CACHE_HOME`, else `~/.cache` (XDG Base Directory Specification).
///
/// # Errors
/// `local.no-home` when neither variable is set.
pub fn cache() -> Result<PathBuf> {
    let var = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    // The specification has relative paths passed over.
    let named = var("XDG_CACHE_HOME").filter(|p| p.is_absolute());
    named.or_else(|| Some(var("HOME")?.join(".cache"))).ok_or_else(|| {
        let say = Text::fixed(
            "there is no place for the cache of local runs: HOME is not set",
            "HOME이 없어 로컬 실행의 캐시를 둘 곳이 없습니다",
        );
        Error::invalid("local.no-home", say)
            .hint(Text::fixed("set XDG_CACHE_HOME", "XDG_CACHE_HOME을 정하세요"))
    })
}

impl Place {
    /// # Errors
    /// `local.in-use` while another run has it; `local.unusable`.
    pub fn claim(dir: PathBuf) -> Result<Place> {
        let shown = dir.display();
        let unusable = |e: std::io::Error| {
            let why = e.to_string();
            Error::invalid(
                "local.unusable",
                text!("cannot use {shown}: {why}", "{shown}을(를) 쓸 수 없습니다: {why}"),
            )
            .hint(Text::fixed(
                "name another place with XDG_CACHE_HOME",
                "XDG_CACHE_HOME으로 다른 곳을 정하세요",
            ))
        };
        let mut making = std::fs::DirBuilder::new();
        making.recursive(true).mode(0o700).create(&dir).map_err(unusable)?;
        let mut options = File::options();
        let lock = options.create(true).append(true).open(dir.join("lock")).map_err(unusable)?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive).map_err(|_| in_use())?;
        Ok(Place { dir, _lock: lock })
    }
}

fn in_use() -> Error {
    let say = Text::fixed(
        "another `naru run` of this repository is under way",
        "이 저장소에서 다른 `naru run`이 실행 중입니다",
    );
    Error::conflict("local.in-use", say).hint(Text::fixed(
        "wait for it or stop it; another working tree of the repository (`git worktree add`) has a place of its own",
        "기다리거나 멈추세요. 저장소의 다른 작업 트리(`git worktree add`)는 따로 실행할 수 있습니다",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let at = dir_of(dir.path(), Path::new("/src/My Shop"));
        assert!(at.file_name().unwrap().to_str().unwrap().starts_with("my-shop-"));
        let first = Place::claim(at.clone()).unwrap();
        assert_eq!(Place::claim(at.clone()).err().unwrap().code(), "local.in-use");
        drop(first);
        assert!(Place::claim(at).is_ok());
    }
}

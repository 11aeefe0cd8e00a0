//! Directories that outlive instances: a service's own data.
//!
//! ```text
//! volumes/production/<project>/<service>/     stays when the service is deleted, unless its data is, too
//! volumes/environments/<project>/<copy>/      goes with its copy
//! volumes/.<n>                                on its way
//! ```
//! A volume is filled before it gets its name, so that no instance sees half of it.

use crate::files::blocking;
use crate::state::ServiceKey;
use kernel::{Name, Result};
use std::collections::BTreeSet;
use std::io::{Error, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

#[derive(Clone)]
pub(crate) struct Volumes {
    dir: PathBuf,
    drafts: Arc<AtomicU64>,
    /// Bytes that one is filled with.
    most: u64,
}

const PRODUCTION: &str = "production";
const COPIES: &str = "environments";

impl Volumes {
    /// Makes the directories and clears what a crash left half filled.
    pub async fn open(data: &Path, most: u64) -> Result<Volumes> {
        let dir = data.join("volumes");
        let made = dir.clone();
        blocking(move || {
            for part in [PRODUCTION, COPIES] {
                std::fs::create_dir_all(made.join(part))?;
            }
            for entry in std::fs::read_dir(&made)?.flatten() {
                if entry.file_name().to_string_lossy().starts_with('.') {
                    std::fs::remove_dir_all(entry.path())?;
                }
            }
            Ok(())
        })
        .await?;
        Ok(Volumes { dir, drafts: Arc::default(), most })
    }

    pub fn of(&self, key: &ServiceKey, environment: Option<&Name>) -> PathBuf {
        let part = if environment.is_some() { COPIES } else { PRODUCTION };
        self.dir.join(part).join(key.project.as_str()).join(key.service.as_str())
    }

    /// The volume at `to` is there when this returns: as it was, or with what `from` holds.
    ///
    /// # Errors
    /// Internal for what cannot be read; `disk.full`.
    pub async fn ensure(&self, to: PathBuf, from: Option<Source>) -> Result<()> {
        let draft = self.dir.join(format!(".{}", self.drafts.fetch_add(1, Ordering::Relaxed)));
        let most = self.most;
        blocking(move || {
            if to.is_dir() {
                return Ok(());
            }
            std::fs::create_dir(&draft)?;
            let filled = from.map_or(Ok(()), |from| fill(&from, &draft, most));
            let placed = filled.and_then(|()| place(&draft, &to));
            if placed.is_err() {
                let _ = std::fs::remove_dir_all(&draft);
            }
            placed
        })
        .await
    }

    /// Whether production's volume of the service is there, with whatever it holds.
    pub async fn has_production(&self, key: &ServiceKey) -> Result<bool> {
        let dir = self.of(key, None);
        blocking(move || Ok(dir.is_dir())).await
    }

    /// Removes production's volume, for good.
    pub async fn drop_production(&self, key: &ServiceKey) -> Result<()> {
        let dir = self.of(key, None);
        blocking(move || remove(&dir)).await
    }

    /// Removes the volume of a copy. Production's are never removed here.
    pub async fn drop_copy(&self, key: &ServiceKey) -> Result<()> {
        let dir = self.dir.join(COPIES).join(key.project.as_str()).join(key.service.as_str());
        blocking(move || remove(&dir)).await
    }

    /// Removes the volumes of copies that are not among `there`.
    pub async fn sweep(&self, there: BTreeSet<ServiceKey>) -> Result<()> {
        let root = self.dir.join(COPIES);
        blocking(move || {
            for project in std::fs::read_dir(&root)?.flatten() {
                for service in std::fs::read_dir(project.path())?.flatten() {
                    let name = |p: std::ffi::OsString| Name::parse(p.to_str()?).ok();
                    let key = name(project.file_name()).zip(name(service.file_name()));
                    let kept = key.is_some_and(|(project, service)| {
                        there.contains(&ServiceKey { project, service })
                    });
                    if !kept {
                        remove(&service.path())?;
                    }
                }
            }
            Ok(())
        })
        .await
    }
}

/// What a volume is filled with.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Source {
    /// A directory of the release's files, by its path in them.
    Seed { release: PathBuf, path: String },
    /// Another volume.
    Volume(PathBuf),
}

fn fill(from: &Source, to: &Path, most: u64) -> std::io::Result<()> {
    let mut left = most;
    match from {
        Source::Volume(dir) => match dir.is_dir() {
            true => copy(dir, to, &mut left),
            false => Ok(()),
        },
        Source::Seed { release, path } => {
            let root = release.canonicalize()?;
            // A link in the release may lead anywhere.
            let dir = root.join(path).canonicalize()?;
            if !dir.starts_with(&root) || !dir.is_dir() {
                let why = format!("`data.seed`: {path} is no directory of the release");
                return Err(Error::new(ErrorKind::InvalidInput, why));
            }
            copy(&dir, to, &mut left)
        }
    }
}

/// Files, directories and links; where the file system can, files share their blocks until they are written.
fn copy(from: &Path, to: &Path, left: &mut u64) -> std::io::Result<()> {
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let (kind, to) = (entry.file_type()?, to.join(entry.file_name()));
        if kind.is_dir() {
            std::fs::create_dir(&to)?;
            copy(&entry.path(), &to, left)?;
        } else if kind.is_symlink() {
            std::os::unix::fs::symlink(std::fs::read_link(entry.path())?, &to)?;
        } else if kind.is_file() {
            *left = left.checked_sub(entry.metadata()?.len()).ok_or_else(|| {
                Error::new(ErrorKind::StorageFull, "more data than a copy may hold")
            })?;
            std::fs::copy(entry.path(), &to)?;
            writable(&to)?;
        }
        // Sockets and pipes belong to programs that run.
    }
    Ok(())
}

/// A release's files may be read-only; a volume's are not.
fn writable(file: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(file)?.permissions().mode();
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(mode | 0o200))
}

fn place(from: &Path, to: &Path) -> std::io::Result<()> {
    if let Some(parent) = to.parent() {
        std::fs::create_dir_all(parent)?;
    }
    match std::fs::rename(from, to) {
        // Another instance of the service was quicker.
        Err(_) if to.is_dir() => std::fs::remove_dir_all(from),
        placed => placed,
    }
}

fn remove(dir: &Path) -> std::io::Result<()> {
    match std::fs::remove_dir_all(dir) {
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(service: &str) -> ServiceKey {
        ServiceKey::new(&Name::parse("shop").unwrap(), &Name::parse(service).unwrap())
    }

    #[tokio::test]
    async fn a_volume_is_filled_once_and_a_copys_goes() {
        let dir = tempfile::tempdir().unwrap();
        let volumes = Volumes::open(dir.path(), 1000).await.unwrap();
        let release = dir.path().join("release");
        std::fs::create_dir_all(release.join("fixtures/deep")).unwrap();
        std::fs::write(release.join("fixtures/deep/a"), "one").unwrap();
        std::os::unix::fs::symlink("/etc", release.join("etc")).unwrap();
        let seed = |path: &str| Some(Source::Seed { release: release.clone(), path: path.into() });
        let environment = Name::parse("qa").unwrap();
        let to = volumes.of(&key("web-qa"), Some(&environment));
        assert!(
            volumes.ensure(to.clone(), seed("etc")).await.is_err(),
            "a link out of the release"
        );
        assert!(!to.exists());
        volumes.ensure(to.clone(), seed("fixtures")).await.unwrap();
        std::fs::write(to.join("deep/a"), "written").unwrap();
        volumes.ensure(to.clone(), seed("fixtures")).await.unwrap();
        assert_eq!(std::fs::read_to_string(to.join("deep/a")).unwrap(), "written");

        let other = volumes.of(&key("web-rc"), Some(&environment));
        volumes.ensure(other.clone(), Some(Source::Volume(to.clone()))).await.unwrap();
        assert_eq!(std::fs::read_to_string(other.join("deep/a")).unwrap(), "written");
        let production = volumes.of(&key("web"), None);
        volumes.ensure(production.clone(), None).await.unwrap();
        volumes.sweep([key("web-rc")].into()).await.unwrap();
        assert_eq!((to.exists(), other.exists(), production.exists()), (false, true, true));
        volumes.drop_copy(&key("web-rc")).await.unwrap();
        volumes.drop_copy(&key("web")).await.unwrap();
        assert_eq!((other.exists(), production.exists()), (false, true));

        std::fs::write(release.join("fixtures/big"), vec![0; 2000]).unwrap();
        assert!(volumes.ensure(to.clone(), seed("fixtures")).await.is_err());
        assert!(!to.exists(), "nothing half filled");
    }
}

//! Files of releases and instances on disk.
//!
//! ```text
//! releases/<tree>/            files of a release, never written to after they got that name
//! releases/.<n>               on their way there
//! instances/<workload>/       what an instance writes: its layer over the release, home and tmp
//! instances/<workload>.log    what it printed; before it `<workload>.log.1`, of a long one
//! ```

use blob::Blobs;
use kernel::{Error, Result};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

#[derive(Clone)]
pub(crate) struct Files(Arc<Inner>);

struct Inner {
    releases: PathBuf,
    instances: PathBuf,
    blobs: Blobs,
    drafts: AtomicU64,
    /// Written by the sweep, read by whoever puts files in place and has not told the store yet.
    in_use: tokio::sync::RwLock<()>,
}

impl Files {
    /// Makes the directories and clears what a crash left half written.
    pub async fn open(dir: &Path, blobs: Blobs) -> Result<Files> {
        let (releases, instances) = (dir.join("releases"), dir.join("instances"));
        let made = (releases.clone(), instances.clone());
        blocking(move || {
            private_dir(&made.0)?;
            private_dir(&made.1)?;
            clear(&made.0)
        })
        .await?;
        Ok(Files(Arc::new(Inner {
            releases,
            instances,
            blobs,
            drafts: AtomicU64::new(0),
            in_use: Default::default(),
        })))
    }

    /// While it is held, no sweep takes files away.
    pub async fn in_use(&self) -> tokio::sync::RwLockReadGuard<'_, ()> {
        self.0.in_use.read().await
    }

    /// While it is held, nobody puts files in place: for a sweep, from before it asks what is needed.
    /// `None` when somebody does just now. It never waits, because those behind it would, too.
    pub fn still(&self) -> Option<tokio::sync::RwLockWriteGuard<'_, ()>> {
        self.0.in_use.try_write().ok()
    }

    pub fn blobs(&self) -> &Blobs {
        &self.0.blobs
    }

    pub fn release(&self, tree: &str) -> PathBuf {
        self.0.releases.join(tree)
    }

    /// The writable files of an instance.
    pub fn scratch(&self, workload: &str) -> PathBuf {
        self.0.instances.join(workload)
    }

    pub fn log(&self, workload: &str) -> PathBuf {
        self.0.instances.join(format!("{workload}.log"))
    }

    /// Whether a log file is one of an instance of ours.
    pub fn owns(&self, log: &Path) -> bool {
        log.parent() == Some(&self.0.instances)
    }

    /// A new empty directory that may become a release's.
    pub async fn draft(&self) -> Result<Draft> {
        let n = self.0.drafts.fetch_add(1, Ordering::Relaxed);
        let dir = self.0.releases.join(format!(".{n}"));
        let made = dir.clone();
        blocking(move || std::fs::create_dir(made)).await?;
        Ok(Draft { dir: Some(dir) })
    }

    /// Gives a draft that holds exactly the files of `tree` its name.
    pub async fn adopt(&self, mut draft: Draft, tree: &str) -> Result<()> {
        let to = self.release(tree);
        let Some(from) = draft.dir.take() else { return Ok(()) };
        blocking(move || place(&from, &to)).await
    }

    /// The release's files are in place when this returns.
    pub async fn ensure(&self, tree: &str) -> Result<()> {
        let to = self.release(tree);
        if tokio::fs::try_exists(&to).await.unwrap_or(false) {
            return Ok(());
        }
        let draft = self.draft().await?;
        self.0.blobs.materialise(tree, draft.path()).await?;
        self.adopt(draft, tree).await
    }

    pub async fn make_scratch(&self, workload: &str) -> Result<PathBuf> {
        let dir = self.scratch(workload);
        let made = dir.clone();
        blocking(move || {
            for part in ["home", "tmp", "app"] {
                private_dir(&made.join(part))?;
            }
            Ok(())
        })
        .await?;
        Ok(dir)
    }

    /// The signed tokens of an instance, where it has some.
    pub fn id_tokens(&self, workload: &str) -> PathBuf {
        self.scratch(workload).join("id-tokens")
    }

    /// What an instance sees as `/etc/hosts`.
    pub fn hosts(&self, workload: &str) -> PathBuf {
        self.scratch(workload).join("hosts")
    }

    /// Writes it: what the machine's own says, and `more`.
    pub async fn put_hosts(&self, workload: &str, more: String) -> Result<()> {
        let path = self.hosts(workload);
        blocking(move || {
            let mut words = std::fs::read_to_string("/etc/hosts").unwrap_or_default();
            if !words.is_empty() && !words.ends_with('\n') {
                words.push('\n');
            }
            words.push_str(&more);
            std::fs::write(path, words)
        })
        .await
    }

    pub async fn drop_scratch(&self, workload: &str) {
        let dir = self.scratch(workload);
        // What cannot be removed now is found by the next sweep.
        let _ = tokio::fs::remove_dir_all(dir).await;
    }

    /// The workloads whose names begin with `prefix` and that have a log, the one written last at the end.
    pub async fn logs(&self, prefix: &str) -> Result<Vec<String>> {
        let (dir, prefix) = (self.0.instances.clone(), prefix.to_owned());
        blocking(move || {
            let mut found = BTreeMap::new();
            for entry in std::fs::read_dir(dir)? {
                let entry = entry?;
                let name = entry.file_name();
                let id = name.to_str().and_then(of_log);
                if let Some(id) = id.filter(|id| id.starts_with(&prefix)) {
                    // A half may have got its other name meanwhile.
                    let written = entry.metadata().and_then(|m| m.modified()).ok();
                    let last = found.entry(id.to_owned()).or_default();
                    *last = written.max(*last);
                }
            }
            let mut found: Vec<_> = found.into_iter().collect();
            found.sort_by_key(|(_, written)| *written);
            Ok(found.into_iter().map(|(id, _)| id).collect())
        })
        .await
    }

    /// Takes their names from what no release that is kept and no instance that is there needs:
    /// directories of other trees, what instances that are gone wrote, and logs of releases that are gone.
    pub async fn set_aside(
        &self,
        trees: BTreeSet<String>,
        keeps_log: impl Fn(&str) -> bool + Send + 'static,
        is_there: impl Fn(&str) -> bool + Send + 'static,
    ) -> Result<Vec<PathBuf>> {
        let files = self.clone();
        blocking(move || {
            let mut aside = Vec::new();
            let mut take = |from: PathBuf| {
                let n = files.0.drafts.fetch_add(1, Ordering::Relaxed);
                let to = files.0.releases.join(format!(".{n}"));
                std::fs::rename(from, &to)?;
                aside.push(to);
                std::io::Result::Ok(())
            };
            for entry in std::fs::read_dir(&files.0.releases)? {
                let entry = entry?;
                let name = entry.file_name();
                if name.to_str().is_some_and(|n| !n.starts_with('.') && !trees.contains(n)) {
                    take(entry.path())?;
                }
            }
            for entry in std::fs::read_dir(&files.0.instances)? {
                let entry = entry?;
                let name = entry.file_name();
                let Some(name) = name.to_str() else { continue };
                let needed = match of_log(name) {
                    Some(id) => keeps_log(id),
                    None => is_there(name),
                };
                if !needed {
                    take(entry.path())?;
                }
            }
            Ok(aside)
        })
        .await
    }

    /// Removes what was set aside.
    pub async fn remove(&self, waste: Vec<PathBuf>) -> Result<()> {
        blocking(move || {
            for path in waste {
                match path.is_dir() {
                    true => std::fs::remove_dir_all(path)?,
                    false => std::fs::remove_file(path)?,
                }
            }
            Ok(())
        })
        .await
    }
}

/// A directory on its way to be a release's; removed if it never becomes one.
pub(crate) struct Draft {
    dir: Option<PathBuf>,
}

impl Draft {
    pub fn path(&self) -> &Path {
        self.dir.as_deref().unwrap_or(Path::new("/nonexistent"))
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if let Some(dir) = self.dir.take() {
            // On a thread of its own: this may run on one that serves.
            std::thread::spawn(move || std::fs::remove_dir_all(dir));
        }
    }
}

/// Whose log a file of that name is, or the older half of it.
fn of_log(name: &str) -> Option<&str> {
    name.strip_suffix(".1").unwrap_or(name).strip_suffix(".log")
}

fn place(from: &Path, to: &Path) -> std::io::Result<()> {
    match std::fs::rename(from, to) {
        Ok(()) => Ok(()),
        // Another got there first, with the same files.
        Err(_) if to.is_dir() => std::fs::remove_dir_all(from),
        Err(e) => Err(e),
    }
}

/// Drafts of an earlier server; and after a reboot all releases, because nothing here waited for the disk:
/// they are made again from the blobs, which did.
fn clear(releases: &Path) -> std::io::Result<()> {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let note = releases.join(".boot");
    let same = std::fs::read_to_string(&note).is_ok_and(|noted| noted == boot);
    for entry in std::fs::read_dir(releases)? {
        let entry = entry?;
        let draft = entry.file_name().to_str().is_none_or(|n| n.starts_with('.'));
        match entry.file_type()?.is_dir() {
            true if draft || !same => std::fs::remove_dir_all(entry.path())?,
            // A log that was set aside.
            false if draft && entry.path() != note => std::fs::remove_file(entry.path())?,
            _ => {}
        }
    }
    std::fs::write(note, boot)
}

pub(crate) fn private_dir(dir: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(Error::internal)?.map_err(io)
}

fn io(error: std::io::Error) -> Error {
    if error.kind() == std::io::ErrorKind::StorageFull {
        return Error::new(
            kernel::ErrorKind::Full,
            "disk.full",
            kernel::Text::fixed(
                "the disk under the data directory is full",
                "데이터 디렉터리의 디스크가 가득 찼습니다",
            ),
        )
        .hint(kernel::Text::fixed("free some space", "공간을 비우세요"))
        .why(error);
    }
    Error::internal(error)
}

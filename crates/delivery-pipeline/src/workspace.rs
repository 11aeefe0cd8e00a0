//! Directories: a checkout per commit, shared by all jobs; a place of its own for each attempt of a job.
//!
//! ```text
//! <dir>/checkouts/<project>/<repository>/<commit>     never changed once it has its name
//! <dir>/layers/<tree>                                 caches and artifacts, see `layers`
//! <dir>/homes/<project>                               caches of tools: cargo's, pip's
//! <dir>/jobs/<run>-<step>-<attempt>/                  lower   which checkout it stands on
//!                                                     layers  what lies over that
//!                                                     scratch the writable layer
//!                                                     control the script
//!                                                     repositories whose objects its submodules read
//!                                                     learned secrets that it has fetched
//! ```

use crate::handed::Seal;
use crate::layers::Layers;
use crate::variables::Variable;
use blob::Blobs;
use kernel::port::{Metadata, Source};
use kernel::{Error, Name, Result};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::{BTreeSet, HashMap};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::{Mutex, RwLock};

/// Checkouts kept for each repository beside those in use.
const KEPT: usize = 4;

pub struct Workspaces {
    dir: PathBuf,
    pub layers: Layers,
    source: Arc<dyn Source>,
    /// One checkout of a commit at a time.
    making: Mutex<HashMap<PathBuf, Arc<Mutex<()>>>>,
    /// Held for reading while a job claims a checkout, for writing while old ones are removed.
    pruning: RwLock<()>,
    choosing: Mutex<()>,
}

/// What lies in a fresh place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Base {
    /// The shared checkout, seen through the writable layer.
    Shared,
    /// A checkout of its own, inside of the layer: where overlays do not work.
    Copied,
    Nothing,
    /// Nothing, seen through the writable layer.
    Empty,
}

/// A submodule that is laid out: a commit of a repository at a path of another one's files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Module {
    /// The path of the submodule that it is in; empty: it is in the commit itself.
    pub of: String,
    /// Its path in there.
    pub path: String,
    /// As `.gitmodules` calls it.
    pub name: String,
    pub project: Name,
    pub repository: Name,
    pub commit: String,
}

impl Module {
    fn place(&self, top: &Path) -> PathBuf {
        top.join(&self.of).join(&self.path)
    }

    /// So that git in the job takes it for one that was initialised: git-config(1), `submodule.<name>`.
    fn config(&self, url: &str) -> String {
        let sound = |words: &str| !words.chars().any(char::is_control);
        if !sound(&self.name) || !sound(url) {
            return String::new();
        }
        let escaped = |words: &str| words.replace('\\', "\\\\").replace('"', "\\\"");
        let (name, url) = (escaped(&self.name), escaped(url));
        format!("[submodule \"{name}\"]\n\tactive = true\n\turl = \"{url}\"\n")
    }
}

/// The secrets that an attempt has fetched.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Learned {
    /// What its project gives to its jobs; weaker than what was given by hand.
    pub offered: Vec<Variable>,
    /// What its file asks for.
    pub asked: Vec<Variable>,
}

impl Learned {
    fn is_empty(&self) -> bool {
        self.offered.is_empty() && self.asked.is_empty()
    }
}

/// What a place is made of.
#[derive(Clone, Copy, Debug)]
pub struct Contents<'a> {
    pub project: &'a Name,
    pub repository: &'a Name,
    pub commit: &'a str,
    pub modules: &'a [Module],
    /// Where people reach this server.
    pub url: &'a str,
}

impl Contents<'_> {
    /// The name of the checkout: the same files, the same name.
    fn name(&self) -> Result<String> {
        let commit = whole_id(self.commit)?;
        if self.modules.is_empty() {
            return Ok(commit.to_owned());
        }
        let mut hash = Sha256::new();
        for module in self.modules {
            hash.update(format!("{module:?}\n"));
        }
        let hex: String = hash.finalize().iter().take(16).map(|b| format!("{b:02x}")).collect();
        Ok(format!("{commit}+{hex}"))
    }
}

/// The place of one attempt.
#[derive(Clone, Debug)]
pub struct Place {
    pub dir: PathBuf,
}

impl Place {
    pub fn scratch(&self) -> PathBuf {
        self.dir.join("scratch")
    }
    pub fn upper(&self) -> PathBuf {
        self.dir.join("scratch/upper")
    }
    pub fn control(&self) -> PathBuf {
        self.dir.join("control")
    }
    /// What lies under its files and over the checkout; the first is the uppermost.
    pub fn layers(&self) -> Vec<PathBuf> {
        if self.scratch().join("copied").exists() {
            return Vec::new();
        }
        let words = std::fs::read_to_string(self.dir.join("layers")).unwrap_or_default();
        words.lines().map(PathBuf::from).collect()
    }
    /// Repositories whose objects its files' submodules read.
    pub fn repositories(&self) -> Vec<(Name, Name)> {
        let words = std::fs::read_to_string(self.dir.join("repositories")).unwrap_or_default();
        let names = words.lines().filter_map(|line| line.split_once('/'));
        names.filter_map(|(p, r)| Some((Name::parse(p).ok()?, Name::parse(r).ok()?))).collect()
    }
    /// Keeps what an attempt has fetched for itself, for naru's own user alone and as long as the place is.
    pub fn remember(&self, learned: &Learned, seal: &Seal) -> Result<()> {
        use std::os::unix::fs::OpenOptionsExt;
        if learned.is_empty() {
            return Ok(());
        }
        let words = seal.close(&self.learned_name(), learned)?;
        let mut options = std::fs::OpenOptions::new();
        let file = options.write(true).create_new(true).mode(0o600).open(self.learned_file());
        file.and_then(|mut file| file.write_all(words.as_bytes())).map_err(io)
    }

    /// What was kept so; `None` when nothing was.
    pub fn learned(&self, seal: &Seal) -> Result<Option<Learned>> {
        match std::fs::read_to_string(self.learned_file()) {
            Ok(words) => Ok(seal.unseal(&self.learned_name(), &words)),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(io(e)),
        }
    }

    /// What it is sealed under: that of one attempt is of no use to another.
    fn learned_name(&self) -> String {
        let name = self.dir.file_name().unwrap_or_default();
        format!("learned {}", name.to_string_lossy())
    }

    fn learned_file(&self) -> PathBuf {
        self.dir.join("learned")
    }
    fn claim(&self) -> PathBuf {
        self.dir.join("lower")
    }

    /// The checkout below the writable layer; `None` when the layer holds everything itself.
    pub fn lower(&self) -> Option<PathBuf> {
        if self.scratch().join("copied").exists() {
            return None;
        }
        std::fs::read_to_string(self.claim()).ok().map(PathBuf::from)
    }
}

impl Workspaces {
    pub fn open(dir: PathBuf, source: Arc<dyn Source>) -> Result<Workspaces> {
        let layers = Layers::open(dir.join("layers"))?;
        for sub in ["checkouts", "homes", "jobs"] {
            private_dir(&dir.join(sub)).map_err(io)?;
        }
        let making = Mutex::default();
        let (pruning, choosing) = Default::default();
        Ok(Workspaces { dir, layers, source, making, pruning, choosing })
    }

    pub fn place(&self, key: &str, attempt: u32) -> Place {
        Place { dir: self.dir.join("jobs").join(format!("{key}-{attempt}")) }
    }

    /// A place by its name.
    pub fn named(&self, name: &str) -> Place {
        Place { dir: self.dir.join("jobs").join(name) }
    }

    /// Held by the one job that chooses what no other may have.
    pub async fn choosing(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.choosing.lock().await
    }

    /// Names of all places there are: `<run>-<step>-<attempt>`.
    pub fn places(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.dir.join("jobs")).into_iter().flatten().flatten();
        entries.filter_map(|e| e.file_name().into_string().ok()).collect()
    }

    /// The home of a project's tools, made if missing.
    pub async fn home(&self, project: &Name) -> Result<PathBuf> {
        let home = self.dir.join("homes").join(project.as_str());
        private_dir(&home).map_err(io)?;
        Ok(home)
    }

    /// Empties a project's home when it holds more than `most` bytes: it is made of caches only.
    pub async fn limit_home(&self, project: &Name, most: u64) -> Result<()> {
        let home = self.dir.join("homes").join(project.as_str());
        let looked = home.clone();
        let over = tokio::task::spawn_blocking(move || holds_more(&looked, most));
        if over.await.map_err(Error::internal)? { remove(&home).await } else { Ok(()) }
    }

    /// A fresh place with the commit's files as `base` says.
    pub async fn prepare(&self, place: &Place, of: Contents<'_>, base: Base) -> Result<()> {
        // What a crash left half made.
        remove(&place.dir).await?;
        for dir in [place.dir.clone(), place.scratch(), place.control()] {
            private_dir(&dir).map_err(io)?;
        }
        plain_dir(&place.upper()).map_err(io)?;
        let used: BTreeSet<String> =
            of.modules.iter().map(|m| format!("{}/{}\n", m.project, m.repository)).collect();
        let used: String = used.into_iter().collect();
        std::fs::write(place.dir.join("repositories"), used).map_err(io)?;
        let whole = place.scratch().join("copied");
        match base {
            Base::Nothing => return std::fs::write(whole, "").map_err(io),
            Base::Copied => {
                self.lay_out(of, &place.upper()).await?;
                return std::fs::write(whole, "").map_err(io);
            }
            Base::Empty => {
                let empty = place.dir.join("empty");
                plain_dir(&empty).map_err(io)?;
                return std::fs::write(place.claim(), empty.as_os_str().as_encoded_bytes())
                    .map_err(io);
            }
            Base::Shared => {}
        }
        let _claiming = self.pruning.read().await;
        let lower = self.checkout(of).await?;
        std::fs::write(place.claim(), lower.as_os_str().as_encoded_bytes()).map_err(io)
    }

    /// The checkout of a commit, made if it is not there.
    async fn checkout(&self, contents: Contents<'_>) -> Result<PathBuf> {
        let Contents { project, repository, .. } = contents;
        let of = self.dir.join("checkouts").join(project.as_str()).join(repository.as_str());
        let name = contents.name()?;
        let done = of.join(&name);
        let lock = self.making.lock().await.entry(done.clone()).or_default().clone();
        let making = lock.lock().await;
        if !done.is_dir() {
            let half = of.join(format!(".{name}"));
            remove(&half).await?;
            private_dir(&of).map_err(io)?;
            plain_dir(&half).map_err(io)?;
            self.lay_out(contents, &half).await?;
            std::fs::rename(&half, &done).map_err(io)?;
        }
        drop(making);
        self.making.lock().await.remove(&done);
        Ok(done)
    }

    /// Writes a commit's files and those of its submodules, outer ones first.
    async fn lay_out(&self, of: Contents<'_>, dir: &Path) -> Result<()> {
        let Contents { project, repository, commit, modules, url } = of;
        self.source.checkout(project, repository, commit, dir, Metadata::With).await?;
        for module in modules {
            let Module { project, repository, commit, .. } = module;
            let at = module.place(dir);
            // Made with the files around it, before any link of theirs: it is what it is called.
            if !std::fs::symlink_metadata(&at).is_ok_and(|found| found.is_dir()) {
                return Err(Error::internal(format!("{} is no directory", at.display())));
            }
            self.source.checkout(project, repository, commit, &at, Metadata::With).await?;
            let url = format!("{}/{project}/{repository}.git", url.trim_end_matches('/'));
            append(&dir.join(&module.of).join(".git/config"), &module.config(&url)).map_err(io)?;
        }
        Ok(())
    }

    /// Lays a tree under the files of a place, over what is there already.
    pub async fn lay(&self, place: &Place, blobs: &Blobs, tree: &str) -> Result<()> {
        let _claiming = self.pruning.read().await;
        let layer = self.layers.get(blobs, tree).await?;
        let mut layers = place.layers();
        layers.retain(|other| *other != layer);
        layers.insert(0, layer);
        let lines: Vec<String> = layers.iter().map(|l| format!("{}\n", l.display())).collect();
        std::fs::write(place.dir.join("layers"), lines.concat()).map_err(io)
    }

    /// Removes layers that no place stands on, until they take `budget` bytes.
    pub async fn prune_layers(&self, budget: u64) {
        let _alone = self.pruning.write().await;
        let used = self.places().iter().flat_map(|name| self.named(name).layers()).collect();
        self.layers.prune(budget, &used);
    }

    /// Removes a place whose step is over.
    pub async fn remove(&self, place: &Place) -> Result<()> {
        remove(&place.dir).await
    }

    /// Removes checkouts that no place stands on, but for the newest few of each repository.
    pub async fn prune(&self) -> Result<()> {
        let _alone = self.pruning.write().await;
        let claims = self.places().into_iter();
        let claims = claims.filter_map(|name| {
            let place = Place { dir: self.dir.join("jobs").join(name) };
            std::fs::read_to_string(place.claim()).ok().map(PathBuf::from)
        });
        let used: BTreeSet<PathBuf> = claims.collect();
        for project in subdirs(&self.dir.join("checkouts")) {
            for repository in subdirs(&project) {
                let mut idle: Vec<(std::time::SystemTime, PathBuf)> = subdirs(&repository)
                    .into_iter()
                    .filter(|dir| !used.contains(dir))
                    .filter_map(|dir| Some((dir.metadata().ok()?.modified().ok()?, dir)))
                    .collect();
                idle.sort_unstable_by(|a, b| b.cmp(a));
                for (_, old) in idle.iter().skip(KEPT) {
                    remove(old).await?;
                }
            }
        }
        Ok(())
    }
}

/// A commit id, which becomes a directory's name here and an argument of git elsewhere: nothing but hex digits
/// may get that far.
pub fn whole_id(commit: &str) -> Result<&str> {
    let sound = (40..=64).contains(&commit.len()) && commit.bytes().all(|b| b.is_ascii_hexdigit());
    if sound { Ok(commit) } else { Err(Error::internal("a commit id that is none")) }
}

/// Adds to a file that is there.
fn append(file: &Path, words: &str) -> std::io::Result<()> {
    use std::io::Write;
    match std::fs::File::options().append(true).open(file) {
        Ok(mut file) => file.write_all(words.as_bytes()),
        // A source without metadata has none.
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(e),
    }
}

fn subdirs(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    entries.filter(|e| e.file_type().is_ok_and(|t| t.is_dir())).map(|e| e.path()).collect()
}

/// Whether the files below a directory take more than `most` bytes. Links are not followed.
fn holds_more(dir: &Path, most: u64) -> bool {
    use std::os::unix::fs::MetadataExt;
    let (mut total, mut left) = (0_u64, vec![dir.to_owned()]);
    while let Some(dir) = left.pop() {
        for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
            let Ok(meta) = entry.metadata() else { continue };
            total = total.saturating_add(meta.blocks().saturating_mul(512));
            if meta.is_dir() {
                left.push(entry.path());
            }
        }
        if total > most {
            return true;
        }
    }
    false
}

/// Removes a directory with all that is in it. The overlay's work directory has mode 0 and a job may take
/// away its own rights, which an unprivileged server must give back first.
async fn remove(dir: &Path) -> Result<()> {
    let dir = dir.to_owned();
    let gone = tokio::task::spawn_blocking(move || match std::fs::remove_dir_all(&dir) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(e) if e.kind() == std::io::ErrorKind::PermissionDenied => {
            open_up(&dir);
            std::fs::remove_dir_all(&dir)
        }
        other => other,
    });
    gone.await.map_err(Error::internal)?.map_err(io)
}

fn open_up(dir: &Path) {
    use std::os::unix::fs::PermissionsExt;
    let mut left = vec![dir.to_owned()];
    while let Some(dir) = left.pop() {
        // What cannot be changed shows when it is removed.
        let _ = std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(0o700));
        left.extend(subdirs(&dir));
    }
}

/// Readable by naru's own user alone: jobs write secrets.
fn private_dir(dir: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

/// Becomes a job's working directory, so that its mode is what programs expect.
fn plain_dir(dir: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::create_dir_all(dir)?;
    std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o755))
}

pub fn io(error: std::io::Error) -> Error {
    let full = error.kind() == std::io::ErrorKind::StorageFull
        || error.kind() == std::io::ErrorKind::QuotaExceeded;
    if full {
        let say = kernel::Text::fixed("the disk is full", "디스크가 가득 찼습니다");
        return Error::new(kernel::ErrorKind::Full, "disk.full", say).why(error);
    }
    Error::internal(error)
}

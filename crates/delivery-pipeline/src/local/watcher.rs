//! Which directories of a working tree change, by inotify(7). Those that git ignores are not looked at.

use super::repository::Repository;
use kernel::{Error, Result, Text};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use std::collections::{BTreeMap, BTreeSet};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// Directories that are watched at most; a tree with more is looked at less closely, and that is said.
const MAX_WATCHED: usize = 100_000;

/// Watches the directories of a repository.
pub struct Watcher {
    queue: Arc<OwnedFd>,
    watched: BTreeMap<PathBuf, i32>,
    /// Holds one word at most: that something has happened.
    happened: mpsc::Receiver<()>,
    /// Closing it ends the thread that reads the queue.
    _stop: OwnedFd,
}

impl Watcher {
    /// # Errors
    /// `local.unwatchable`
    pub async fn open(repository: &Repository) -> Result<Watcher> {
        let queue = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC);
        let queue = Arc::new(queue.map_err(unwatchable)?);
        let (stopped, stop) = rustix::pipe::pipe().map_err(unwatchable)?;
        let (sender, happened) = mpsc::channel(1);
        let read = queue.clone();
        std::thread::spawn(move || pump(&read, &stopped, &sender));
        let mut watcher = Watcher { queue, watched: BTreeMap::new(), happened, _stop: stop };
        watcher.refresh(repository).await?;
        Ok(watcher)
    }

    /// Watches the directories that there are now.
    ///
    /// # Errors
    /// `local.unwatchable`
    pub async fn refresh(&mut self, repository: &Repository) -> Result<()> {
        let wanted: BTreeSet<PathBuf> =
            repository.directories().await?.into_iter().take(MAX_WATCHED).collect();
        let queue = &self.queue;
        self.watched.retain(|dir, watch| {
            let keep = wanted.contains(dir) && dir.is_dir();
            if !keep {
                // The kernel has let go of a directory that is gone.
                let _ = inotify::remove_watch(queue, *watch);
            }
            keep
        });
        let flags = WatchFlags::MODIFY
            | WatchFlags::CLOSE_WRITE
            | WatchFlags::ATTRIB
            | WatchFlags::MOVE
            | WatchFlags::CREATE
            | WatchFlags::DELETE
            | WatchFlags::ONLYDIR;
        for dir in wanted {
            if self.watched.contains_key(&dir) {
                continue;
            }
            match inotify::add_watch(queue, &dir, flags) {
                Ok(watch) => drop(self.watched.insert(dir, watch)),
                // Gone since it was listed.
                Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR) => {}
                Err(e) => return Err(unwatchable(e)),
            }
        }
        Ok(())
    }

    /// Waits until something has happened. Cancel safe.
    pub async fn changed(&mut self) {
        if self.happened.recv().await.is_none() {
            std::future::pending::<()>().await;
        }
    }

    /// Waits until nothing has happened for so long.
    pub async fn quiet(&mut self, pause: Duration) {
        while tokio::time::timeout(pause, self.changed()).await.is_ok() {}
    }
}

/// Takes events from the queue and says that there were some, until the other end of `stop` is closed.
fn pump(queue: &OwnedFd, stop: &OwnedFd, sender: &mpsc::Sender<()>) {
    loop {
        let mut wanted = [
            PollFd::from_borrowed_fd(queue.as_fd(), PollFlags::IN),
            PollFd::from_borrowed_fd(stop.as_fd(), PollFlags::IN),
        ];
        match poll(&mut wanted, None) {
            Err(rustix::io::Errno::INTR) => continue,
            Err(_) => return,
            Ok(_) => {}
        }
        let [_, stopped] = &wanted;
        if !stopped.revents().is_empty() {
            return;
        }
        let mut space = [MaybeUninit::uninit(); 4096];
        let mut reader = inotify::Reader::new(queue, &mut space);
        let mut any = false;
        while reader.next().is_ok() {
            any = true;
        }
        if any {
            // A word that is waiting already says as much.
            let _ = sender.try_send(());
        }
    }
}

fn unwatchable(e: rustix::io::Errno) -> Error {
    let say = Text::fixed("the files cannot be watched", "파일을 지켜볼 수 없습니다");
    Error::invalid("local.unwatchable", say).why(e).hint(Text::fixed(
        "raise fs.inotify.max_user_watches, see inotify(7)",
        "fs.inotify.max_user_watches를 늘리세요. inotify(7) 참고",
    ))
}

//! Housekeeping behind the pushes: sizes, packing, removal of what was deleted, idle readers.

use crate::{Git, Repository, RepositoryStatus, io, repository};
use kernel::journey::{Fact, Pushed};
use kernel::{Error, Event, Key, Kind, Name, Principal, Result};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How long after a push its repository is looked at: later than the change's own way, which must not wait.
const CALM: Duration = Duration::from_secs(20);
/// Pushes after which a repository is packed.
const PACK_AFTER: u32 = 50;
/// Between tries to settle.
const AGAIN: Duration = Duration::from_secs(2);
/// How long a reader is kept without work.
const IDLE: Duration = Duration::from_secs(60);

type Place = (Name, Name);

/// What housekeeping knows of the repositories that were pushed to since the server started.
#[derive(Default)]
struct Book {
    /// When to look at a repository.
    due: BTreeMap<Place, Instant>,
    /// Pushes since it was packed.
    pushes: BTreeMap<Place, u32>,
    /// When to look for idle readers, while there are any.
    close: Option<Instant>,
}

impl Book {
    fn next(&self) -> Option<Instant> {
        self.due.values().copied().chain(self.close).min()
    }

    fn ready(&mut self, now: Instant) -> Vec<Place> {
        let ready: Vec<Place> =
            self.due.iter().filter(|(_, due)| **due <= now).map(|(p, _)| p.clone()).collect();
        self.due.retain(|_, due| *due > now);
        ready
    }
}

pub(crate) fn start(git: Git, stop: CancellationToken) {
    tokio::spawn(async move {
        tokio::select! {
            () = run(&git) => {}
            () = settle(&git) => {}
            () = crate::tag::follow(&git) => {}
            () = stop.cancelled() => {}
        }
    });
}

/// Settles what could not be settled when it should have been: the disk was full, an orphan lived on.
async fn settle(git: &Git) {
    loop {
        git.shared.owing.notified().await;
        loop {
            let owing = git.all_opened().into_iter().filter(|(_, o)| o.unsettled.load(SeqCst));
            let owing: Vec<_> = owing.collect();
            if owing.is_empty() {
                break;
            }
            tokio::time::sleep(AGAIN).await;
            for ((project, repository), open) in owing {
                let _turn = open.push.lock().await;
                if let Err(error) = git.settle_repository(&project, &repository).await {
                    tracing::warn!(%project, %repository, %error, "a push still waits to be recorded");
                }
            }
        }
    }
}

async fn run(git: &Git) {
    let mut feed = git.shared.store.follow(git.shared.store.head());
    if let Err(error) = sweep(git).await {
        tracing::warn!(%error, "deleted repositories could not be removed");
    }
    let mut book = Book::default();
    loop {
        if book.close.is_none() && git.all_opened().iter().any(|(_, o)| o.pool.has_idle()) {
            book.close = Some(Instant::now() + IDLE);
        }
        // With nothing due the loop only wakes by events.
        let wake = book.next();
        tokio::select! {
            event = feed.next() => match event {
                Ok(event) => notice(git, &event, &mut book).await,
                Err(_) => return,
            },
            () = tokio::time::sleep_until(wake.unwrap_or_else(Instant::now)), if wake.is_some() => {
                work(git, &mut book).await;
            }
        }
    }
}

async fn notice(git: &Git, event: &Event, book: &mut Book) {
    let Some(Key { kind, project: Some(project), name }) = &event.fact.subject else { return };
    let place = (project.clone(), name.clone());
    if event.fact.kind == Pushed::KIND {
        *book.pushes.entry(place.clone()).or_default() += 1;
        book.due.entry(place).or_insert_with(|| Instant::now() + CALM);
        return;
    }
    if kind != Repository::KIND {
        return;
    }
    let done = match event.fact.kind.as_str() {
        "resource.deleted" => remove(git, &place).await,
        "resource.updated" => point(git, &place).await,
        _ => return,
    };
    if let Err(error) = done {
        tracing::warn!(%error, %project, repository = %name, "housekeeping failed");
    }
}

async fn work(git: &Git, book: &mut Book) {
    let now = Instant::now();
    if book.close.is_some_and(|at| at <= now) {
        book.close = None;
        git.all_opened().iter().for_each(|(_, o)| o.rest(IDLE));
    }
    for place in book.ready(now) {
        let many = book.pushes.get(&place).is_some_and(|n| *n >= PACK_AFTER);
        if many {
            book.pushes.remove(&place);
        }
        if let Err(error) = tend(git, &place, many).await {
            let (project, repository) = &place;
            tracing::warn!(%error, %project, %repository, "housekeeping failed");
        }
    }
}

async fn tend(git: &Git, place: &Place, many: bool) -> Result<()> {
    if many {
        pack(git, place).await?;
    }
    measure(git, place).await
}

/// Rolls small packs and loose objects up into larger packs. Nothing is thrown away: a commit that no ref
/// reaches any more may still be deployed.
async fn pack(git: &Git, (project, repository): &Place) -> Result<()> {
    let dir = git.path(project, repository);
    git.shared.git.output(&dir, &["repack", "-d", "-l", "-q", "--geometric=2"]).await?;
    // Short, and with a turn of its own it meets no push that removes a ref.
    let open = git.opened(project, repository);
    let _turn = open.push.lock().await;
    git.shared.git.output(&dir, &["pack-refs", "--all"]).await.map(drop)
}

/// Clones check out what `HEAD` points at: it follows the spec.
async fn point(git: &Git, (project, repository): &Place) -> Result<()> {
    let open = git.opened(project, repository);
    let _turn = open.push.lock().await;
    let branch = git.spec(project, repository).await?.default_branch;
    let dir = git.path(project, repository);
    let work = move || if dir.is_dir() { repository::point_head(&dir, &branch) } else { Ok(()) };
    tokio::task::spawn_blocking(work).await.map_err(Error::internal)?
}

/// Writes the status.
async fn measure(git: &Git, (project, repository): &Place) -> Result<()> {
    let Some(resource) = git.resource(project, repository).await? else { return Ok(()) };
    let branch = resource.spec::<Repository>()?.default_branch;
    let head = git.all_refs(project, repository).await?.remove(&format!("refs/heads/{branch}"));
    let dir = git.path(project, repository);
    let size = tokio::task::spawn_blocking(move || size(&dir)).await.map_err(Error::internal)??;
    let status = RepositoryStatus { size: Some(size), head };
    let key = resource.key;
    let actor = Principal::part(crate::PART.name);
    git.shared.store.write(move |tx| tx.put_status(&key, &status, actor)).await.map(drop)
}

fn size(dir: &Path) -> Result<u64> {
    let (mut total, mut todo) = (0, vec![dir.to_owned()]);
    while let Some(dir) = todo.pop() {
        for entry in std::fs::read_dir(&dir).map_err(|e| io(dir.display(), e))? {
            let entry = entry.map_err(|e| io(dir.display(), e))?;
            // What git removes meanwhile no longer counts.
            let Ok(found) = entry.metadata() else { continue };
            if found.is_dir() {
                todo.push(entry.path());
            } else {
                total += found.len();
            }
        }
    }
    Ok(total)
}

/// Takes the files of a repository whose resource is gone. Nobody pushes meanwhile, and one who made it
/// anew keeps it.
async fn remove(git: &Git, (project, repository): &Place) -> Result<()> {
    let open = git.opened(project, repository);
    let _turn = open.push.lock().await;
    let there = git.resource(project, repository).await?.is_some();
    if there || !git.was_deleted(project, repository).await? {
        return Ok(());
    }
    open.forget();
    let (root, dir) = (git.shared.dir.clone(), git.path(project, repository));
    tokio::task::spawn_blocking(move || repository::discard(&root, &dir))
        .await
        .map_err(Error::internal)?
}

/// What was deleted while naru was down.
async fn sweep(git: &Git) -> Result<()> {
    let root = git.shared.dir.clone();
    let found =
        tokio::task::spawn_blocking(move || places(&root)).await.map_err(Error::internal)?;
    for place in found {
        remove(git, &place).await?;
    }
    let trash = git.shared.dir.join(".trash");
    let clear = move || {
        for left in entries(&trash) {
            let _ = std::fs::remove_dir_all(left);
        }
    };
    tokio::task::spawn_blocking(clear).await.map_err(Error::internal)
}

fn places(root: &Path) -> Vec<Place> {
    let name = |path: &Path| path.file_name()?.to_str().map(str::to_owned);
    let mut out = Vec::new();
    for home in entries(root) {
        let Some(project) = name(&home).and_then(|n| Name::parse(&n).ok()) else { continue };
        let inside = entries(&home);
        let repositories =
            inside.iter().filter_map(|p| Name::parse(name(p)?.strip_suffix(".git")?).ok());
        out.extend(repositories.map(|r| (project.clone(), r)));
    }
    out
}

fn entries(dir: &Path) -> Vec<PathBuf> {
    let listing = std::fs::read_dir(dir).into_iter().flatten();
    listing.filter_map(|e| e.ok().map(|e| e.path())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Options;
    use store::{Durability, Put, Store};

    async fn open(dir: &Path) -> Git {
        let options =
            store::Options { durability: Durability::Process, ..store::Options::default() };
        let store = Store::open(&dir.join("naru.db"), options).unwrap();
        let accounts = account::Accounts::open(store.clone()).await.unwrap();
        let policy = policy::Policy::new(&accounts);
        Git::open(Options::new(store, policy, dir.join("git"))).await.unwrap()
    }

    fn place(repository: &str) -> Place {
        (Name::parse("shop").unwrap(), Name::parse(repository).unwrap())
    }

    async fn make(git: &Git, (project, name): &Place) -> PathBuf {
        let spec = serde_json::to_value(Repository::default()).unwrap();
        let (key, actor) = (Key::of::<Repository>(project, name), Principal::part("test"));
        let put = Put { key, labels: Default::default(), spec, expected: Some(0), actor };
        git.shared.store.write(move |tx| tx.put(put)).await.unwrap();
        repository::create(&git.shared.dir, project, name, "main").unwrap();
        git.path(project, name)
    }

    /// A commit that nothing names, and its id.
    async fn loose_commit(git: &Git, dir: &Path) -> String {
        let run = async |args: &[&str]| {
            let who = ["-c", "user.name=a", "-c", "user.email=a@b"];
            let out = git.shared.git.output(dir, &[&who, args].concat()).await.unwrap();
            String::from_utf8(out).unwrap().trim().to_owned()
        };
        let tree = run(&["mktree"]).await;
        run(&["commit-tree", "-m", "x", &tree]).await
    }

    #[tokio::test]
    async fn packing_throws_nothing_away_and_the_status_follows() {
        let dir = tempfile::tempdir().unwrap();
        let git = open(dir.path()).await;
        let web = place("web");
        let at = make(&git, &web).await;
        let forgotten = loose_commit(&git, &at).await;
        std::fs::write(at.join("refs/heads/main"), format!("{forgotten}\n")).unwrap();
        tend(&git, &web, true).await.unwrap();
        std::fs::remove_file(at.join("packed-refs")).unwrap();
        tend(&git, &web, true).await.unwrap();
        let open = git.opened(&web.0, &web.1);
        assert_eq!(open.pool.commit(&forgotten).await.unwrap().subject, "x");
        let status = git.resource(&web.0, &web.1).await.unwrap().unwrap();
        let status = status.status::<Repository>().unwrap();
        assert!(status.size.unwrap() > 100 && status.head.is_none(), "{status:?}");
    }

    #[tokio::test]
    async fn only_what_somebody_deleted_is_swept_away() {
        let dir = tempfile::tempdir().unwrap();
        let git = open(dir.path()).await;
        let (kept, gone) = (make(&git, &place("kept")).await, make(&git, &place("gone")).await);
        let (project, restored) = place("restored");
        repository::create(&git.shared.dir, &project, &restored, "main").unwrap();
        let key = Key::of::<Repository>(&project, &place("gone").1);
        let actor = Principal::part("test");
        git.shared.store.write(move |tx| tx.delete(&key, None, actor)).await.unwrap();
        sweep(&git).await.unwrap();
        assert!(kept.exists() && !gone.exists() && git.path(&project, &restored).exists());
        assert_eq!(entries(&dir.path().join("git/.trash")), Vec::<PathBuf>::new());
    }

    #[tokio::test]
    async fn the_default_branch_of_clones_follows_the_spec() {
        let dir = tempfile::tempdir().unwrap();
        let git = open(dir.path()).await;
        let web = place("web");
        let at = make(&git, &web).await;
        std::fs::write(at.join("HEAD"), "ref: refs/heads/elsewhere\n").unwrap();
        point(&git, &web).await.unwrap();
        assert_eq!(std::fs::read_to_string(at.join("HEAD")).unwrap(), "ref: refs/heads/main\n");
    }
}

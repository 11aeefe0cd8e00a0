//! A ref and its event never disagree.
//!
//! Before git may move a ref, an intent is durable in the store. Whoever settles it compares the refs on
//! disk with it, appends one event per ref that did move, and removes the intent, in one transaction. That
//! happens right after the push; after a crash it happens when naru opens again. Because a repository's
//! pushes take turns from intent to settlement, a ref that has the intended value was moved by that intent.
//!
//! A `receive-pack` may outlive a killed server by a moment. It holds a file lock for as long as it lives,
//! and the lock is waited for before refs are compared.

use crate::command::Command;
use crate::object::Reader;
use crate::receive::Before;
use crate::refs::Refs;
use crate::{Git, Repository, io, kind, refs};
use kernel::journey::{self, Commit, Fact, Pushed};
use kernel::{Error, ErrorKind, Key, Kind, Name, NewEvent, Principal, Result, Text, Time, text};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fs::File;
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::Ordering;
use std::time::Duration;
use store::Tx;

const SPACE: &str = "delivery-git.intent";
/// Commits listed in one event.
const COMMITS: usize = 500;
/// How long an orphaned `receive-pack` is waited for.
const ORPHAN: Duration = Duration::from_secs(10);

/// What a push is about to do. `before` of its commands is what was found on disk.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Intent {
    pub id: String,
    pub project: Name,
    pub repository: Name,
    pub actor: Principal,
    pub received: Time,
    pub options: Vec<String>,
    pub commands: Vec<Command>,
}

/// A ref that moved.
#[derive(Clone, Debug)]
pub(crate) struct Moved {
    pub refname: String,
    pub change: Option<Name>,
}

/// What a settlement wrote.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settled {
    pub moved: Vec<Moved>,
    /// The journal's sequence just before the first event.
    pub after: u64,
}

fn key(intent: &Intent) -> String {
    format!("{}/{}/{}", intent.project, intent.repository, intent.id)
}

pub(crate) fn write(tx: &mut Tx<'_>, intent: &Intent) -> Result<()> {
    tx.set_row(SPACE, &key(intent), intent)
}

/// The lock that a `receive-pack` shares.
pub(crate) struct Lock(File);

impl Lock {
    /// As a process's standard error: the one descriptor that git neither reads nor closes.
    pub fn share(&self) -> Result<Stdio> {
        self.0.try_clone().map(Stdio::from).map_err(|e| io("lock", e))
    }
}

/// Takes the repository's lock, after those who still have it.
pub(crate) async fn lock(dir: &Path) -> Result<Lock> {
    let path = dir.join("naru.lock");
    let file = File::create(&path).map_err(|e| io(path.display(), e))?;
    let taken = tokio::time::timeout(ORPHAN, async {
        // There is no way to wait for a file lock with a limit but to ask again; that happens only in
        // the moments after a crash.
        while file.try_lock().is_err() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    match taken.await {
        Ok(()) => Ok(Lock(file)),
        Err(_) => Err(Error::internal(format!("{} is held", path.display()))),
    }
}

impl Git {
    /// Settles what a crash left. One that cannot be settled now is left to the repository's next push.
    pub(crate) async fn settle_all(&self) -> Result<()> {
        let left: Vec<(String, Intent)> =
            self.shared.store.read(|v| v.rows(SPACE, "", None, 10_000)).await?;
        for (_, intent) in left {
            if let Err(error) = self.settle_orphan(&intent).await {
                let (project, repository) = (&intent.project, &intent.repository);
                tracing::error!(%project, %repository, %error, "a push waits to be recorded");
                self.owe(project, repository);
            }
        }
        Ok(())
    }

    /// Settles what is left of one repository. The caller has its turn.
    pub(crate) async fn settle_repository(&self, project: &Name, repository: &Name) -> Result<()> {
        let prefix = format!("{project}/{repository}/");
        let left: Vec<(String, Intent)> =
            self.shared.store.read(move |v| v.rows(SPACE, &prefix, None, 1000)).await?;
        for (_, intent) in left {
            self.settle_orphan(&intent).await?;
        }
        self.opened(project, repository).unsettled.store(false, Ordering::SeqCst);
        Ok(())
    }

    async fn settle_orphan(&self, intent: &Intent) -> Result<()> {
        let dir = self.path(&intent.project, &intent.repository);
        if dir.is_dir() {
            drop(lock(&dir).await?);
        }
        self.settle(intent, None).await.map(drop)
    }

    /// Appends the events of what moved and removes the intent.
    pub(crate) async fn settle(&self, intent: &Intent, seen: Option<&Before>) -> Result<Settled> {
        let facts = self.facts(intent, seen).await?;
        let moved = |(pushed, change): &(Pushed, Option<Name>)| Moved {
            refname: pushed.refname.clone(),
            change: change.clone(),
        };
        let moved = facts.iter().map(moved).collect();
        let events = facts.into_iter().map(|(pushed, change)| event(intent, &pushed, change));
        let events = events.collect::<Result<Vec<_>>>()?;
        let key = key(intent);
        let after = self.shared.store.write(move |tx| {
            // Whoever removes the intent writes the events: nobody does both twice.
            if !tx.delete_row(SPACE, &key)? {
                return Ok(None);
            }
            let mut first = None;
            for event in events {
                let seq = tx.append(event)?;
                first.get_or_insert(seq);
            }
            Ok(first.map(|s| s - 1))
        });
        match after.await? {
            Some(after) => Ok(Settled { moved, after }),
            None => Ok(Settled::default()),
        }
    }

    /// One fact for each ref that has its intended value now and had another one before.
    async fn facts(
        &self,
        intent: &Intent,
        seen: Option<&Before>,
    ) -> Result<Vec<(Pushed, Option<Name>)>> {
        let dir = self.path(&intent.project, &intent.repository);
        let wanted: Vec<Command> =
            intent.commands.iter().filter(|c| c.before != c.after).cloned().collect();
        let found = tokio::task::spawn_blocking(move || moved(&dir, wanted));
        let found = found.await.map_err(Error::internal)??;
        let spec = self.resource(&intent.project, &intent.repository).await?;
        let spec = spec.map(|r| r.spec::<Repository>()).transpose()?.unwrap_or_default();
        let mut facts = Vec::new();
        for command in found {
            facts.push(self.fact(intent, command, &spec, seen).await?);
        }
        Ok(facts)
    }

    async fn fact(
        &self,
        intent: &Intent,
        command: Command,
        spec: &Repository,
        seen: Option<&Before>,
    ) -> Result<(Pushed, Option<Name>)> {
        let branch = command.refname.strip_prefix("refs/heads/").map(str::to_owned);
        let (head, commits) = match &command.after {
            Some(after) => self.arrived(intent, after, seen).await?,
            None => (None, Vec::new()),
        };
        let change = match (&branch, &command.after, &head) {
            (Some(_), Some(after), Some(_)) => journey::change_name(&intent.repository, after),
            _ => None,
        };
        let pushed = Pushed {
            repository: intent.repository.clone(),
            default_branch: branch.as_deref() == Some(spec.default_branch.as_str()),
            refname: command.refname,
            branch,
            before: command.before,
            after: command.after,
            received: intent.received,
            head,
            commits,
            options: intent.options.clone(),
        };
        Ok((pushed, change))
    }

    /// The commit at `after`, and what it made reachable.
    async fn arrived(
        &self,
        intent: &Intent,
        after: &str,
        seen: Option<&Before>,
    ) -> Result<(Option<Commit>, Vec<Commit>)> {
        let pool = self.opened(&intent.project, &intent.repository).pool.clone();
        let head = match pool.commit(after).await {
            Ok(head) => head,
            // A tag of a file or a tree.
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok((None, Vec::new())),
            Err(e) => return Err(e),
        };
        let before = match seen {
            Some(seen) => seen.refs.clone(),
            None => before(self, intent).await?,
        };
        let tips: BTreeSet<&str> = before.values().map(String::as_str).collect();
        // The usual push is one new commit on top of a known one: nothing to search for.
        let new = seen.is_some_and(|s| !s.known.contains(&head.id));
        if new && head.parents.iter().all(|p| tips.contains(p.as_str())) {
            return Ok((Some(head.clone()), listed(vec![head])));
        }
        let ids = self.search(intent, after, &tips).await?;
        let read = move |r: &mut Reader| ids.iter().map(|id| r.commit(id)).collect::<Result<_>>();
        Ok((Some(head), listed(pool.with(read).await?)))
    }

    async fn search(
        &self,
        intent: &Intent,
        after: &str,
        tips: &BTreeSet<&str>,
    ) -> Result<Vec<String>> {
        let dir = self.path(&intent.project, &intent.repository);
        let mut input = format!("{after}\n");
        tips.iter().for_each(|tip| input.extend(["^", tip, "\n"]));
        let most = format!("--max-count={COMMITS}");
        let args = ["rev-list", "--stdin", "--ignore-missing", most.as_str()];
        let out = self.shared.git.output_of(&dir, &args, input.into_bytes()).await?;
        Ok(String::from_utf8_lossy(&out).lines().map(str::to_owned).collect())
    }
}

/// Commits of a list leave their messages out: hundreds of them would make one huge event.
fn listed(mut commits: Vec<Commit>) -> Vec<Commit> {
    commits.iter_mut().for_each(|c| c.message = String::new());
    commits
}

/// Those of `wanted` that the disk agrees with.
fn moved(dir: &Path, wanted: Vec<Command>) -> Result<Vec<Command>> {
    if !dir.is_dir() {
        // Deleted meanwhile, refs and all.
        return Ok(Vec::new());
    }
    // Reading a few by name is cheaper than reading all, unless most of them are packed.
    const FEW: usize = 8;
    let all = if wanted.len() > FEW { Some(refs::all(dir)?) } else { None };
    let mut out = Vec::new();
    for command in wanted {
        let now = match &all {
            Some(all) => all.get(&command.refname).cloned(),
            None => refs::one(dir, &command.refname)?,
        };
        if now == command.after {
            out.push(command);
        }
    }
    Ok(out)
}

/// The refs as they were before the intent: nothing else has moved since.
async fn before(git: &Git, intent: &Intent) -> Result<Refs> {
    let mut refs = git.all_refs(&intent.project, &intent.repository).await?;
    for command in &intent.commands {
        match &command.before {
            Some(id) => refs.insert(command.refname.clone(), id.clone()),
            None => refs.remove(&command.refname),
        };
    }
    Ok(refs)
}

fn event(intent: &Intent, pushed: &Pushed, change: Option<Name>) -> Result<NewEvent> {
    let event = pushed.event(intent.actor.clone(), say(intent, pushed))?;
    let key: Key = journey::subject(kind::Repository::KIND, &intent.project, &intent.repository);
    Ok(event.subject(key).change(change))
}

fn say(intent: &Intent, pushed: &Pushed) -> Text {
    let (who, repository) = (&intent.actor, &intent.repository);
    let name = pushed.refname.trim_start_matches("refs/heads/").trim_start_matches("refs/");
    let Some(head) = &pushed.head else {
        return match pushed.after {
            None => text!(
                "{who} removed {name} from {repository}",
                "{who}이(가) {repository}에서 {name}을(를) 지웠습니다"
            ),
            Some(_) => text!(
                "{who} pushed {name} to {repository}",
                "{who}이(가) {repository}에 {name}을(를) 푸시했습니다"
            ),
        };
    };
    let subject: String = head.subject.chars().filter(|c| !c.is_control()).take(120).collect();
    let count = pushed.commits.len();
    let plural = if count == 1 { "" } else { "s" };
    text!(
        "{who} pushed {count} commit{plural} to {name} of {repository}: {subject}",
        "{who}이(가) {repository}의 {name}에 커밋 {count}개를 푸시했습니다: {subject}"
    )
}

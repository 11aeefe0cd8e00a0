//! `--watch`: again, whenever a change can make a difference.
//!
//! A job is affected when the content of the files it can see has changed: all of the tree, or, where its
//! rules say `changes`, what those name. That is asked of the pipeline's own rules, with what lies between
//! two snapshots as the change. Jobs behind an affected one run again, too; the others stay as they were.

use super::follow::End;
use super::keys::{Keys, Restore};
use super::repository::{Snapshot, changed};
use super::session::{Ready, Session};
use super::watcher::Watcher;
use kernel::{Id, Result, Text, text};
use run::Plan;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// Quiet that there must be before a look: editors write in several steps.
const QUIET: Duration = Duration::from_millis(60);
/// Paths that are named of a change.
const NAMED: usize = 4;

/// What wakes a watching session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wake {
    /// Something may have changed.
    Files,
    /// Everything again.
    All,
    Quit,
}

/// What the last run left.
struct Last {
    run: Id,
    snapshot: Snapshot,
    plan: Plan,
}

/// Runs, and runs again, until somebody has enough.
///
/// # Errors
/// What makes watching impossible; what is wrong with a pipeline file is said and waited out.
pub async fn watch(session: &mut Session) -> Result<End> {
    let mut watcher = Watcher::open(&session.world.repository).await?;
    let _restore = Restore::unbuffered();
    let mut keys = Keys::open();
    let mut last: Option<Last> = None;
    let mut wake = Wake::All;
    loop {
        session.began = Instant::now();
        let done = round(session, &mut last, wake, &mut watcher, &mut keys).await;
        wake = match done {
            Ok(Some(End::Interrupted)) => return Ok(End::Interrupted),
            Ok(Some(End::Killed)) => return Ok(End::Killed),
            // It broke off because of a change or a key: at once.
            Ok(Some(End::Elsewhere)) => match keys.taken() {
                Some(key) => asked(key).unwrap_or(Wake::Files),
                None => Wake::Files,
            },
            Ok(_) => wait(session, &mut watcher, &mut keys).await?,
            Err(error) => {
                cli::complain(&error, session.lang);
                wait(session, &mut watcher, &mut keys).await?
            }
        };
        if wake == Wake::Quit {
            return Ok(End::Over);
        }
    }
}

/// One look, and a run when it makes a difference.
async fn round(
    session: &mut Session,
    last: &mut Option<Last>,
    wake: Wake,
    watcher: &mut Watcher,
    keys: &mut Keys,
) -> Result<Option<End>> {
    let snapshot = session.world.repository.snapshot(false).await?;
    watcher.refresh(&session.world.repository).await?;
    let old = last.as_ref().filter(|_| wake == Wake::Files);
    if old.is_some_and(|old| old.snapshot.tree == snapshot.tree) {
        return Ok(None);
    }
    let ready = session.prepare(&snapshot, None).await?;
    let keep = match old {
        Some(old) => {
            let paths = changed(
                &session.world.repository.ours,
                Some(&old.snapshot.commit),
                &snapshot.commit,
            )
            .await?;
            session.screen.remark(&told(&paths));
            let affected = affected(session, &snapshot, old, &ready).await?;
            let state = session.world.engine.show(&old.run).await?;
            unaffected(&state, &old.plan, &ready.choice.plan, &affected)
        }
        None => BTreeSet::new(),
    };
    let plan = ready.choice.plan.clone();
    if plan.steps.is_empty() || plan.steps.iter().all(|s| keep.contains(&s.name)) {
        let words = Text::fixed("no job sees a difference", "달라질 작업이 없습니다");
        session.screen.remark(&words);
        if let Some(last) = last {
            // The next comparison is with what was looked at, for it makes no difference either.
            last.snapshot = snapshot;
        }
        return Ok(None);
    }
    session.announce(&snapshot, &ready);
    let manual = ready.choice.manual.clone();
    let from = old.map(|old| (old.run.clone(), keep));
    let (repository, tree) = (session.world.repository.clone(), snapshot.tree.clone());
    let until = std::pin::pin!(changed_again(repository, tree, watcher, keys));
    let (run, end, first) = session.perform(ready, from, until).await?;
    *last = Some(Last { run: run.clone(), snapshot: snapshot.clone(), plan });
    if !matches!(end, End::Killed | End::Elsewhere) {
        let outcome = session.outcome(&run, &snapshot, manual, first).await?;
        session.show(&outcome)?;
        session.world.tidy().await?;
    }
    Ok(Some(end))
}

/// Resolves when the files are others than those of the snapshot.
async fn changed_again(
    repository: super::repository::Repository,
    tree: String,
    watcher: &mut Watcher,
    keys: &mut Keys,
) {
    loop {
        tokio::select! {
            () = watcher.changed() => {
                watcher.quiet(QUIET).await;
                // Half-written files are looked at again when they are whole.
                if repository.snapshot(false).await.is_ok_and(|now| now.tree != tree) {
                    return;
                }
            }
            key = keys.next() => if asked(key).is_some() {
                // Ends what runs; what the key asks for comes after that.
                keys.give_back(key);
                return;
            },
        }
    }
}

/// Waits for a change or a key.
async fn wait(session: &mut Session, watcher: &mut Watcher, keys: &mut Keys) -> Result<Wake> {
    session.screen.remark(&Text::fixed(
        "watching: Enter runs all again, q quits",
        "지켜보는 중: Enter는 전부 다시 실행, q는 끝내기",
    ));
    loop {
        tokio::select! {
            () = session.signals.next() => return Ok(Wake::Quit),
            () = watcher.changed() => {
                watcher.quiet(QUIET).await;
                return Ok(Wake::Files);
            }
            key = keys.next() => if let Some(wake) = asked(key) {
                return Ok(wake);
            },
        }
    }
}

/// What a key stands for.
fn asked(key: u8) -> Option<Wake> {
    match key {
        b'q' | b'Q' => Some(Wake::Quit),
        b'\n' | b'\r' => Some(Wake::All),
        _ => None,
    }
}

/// Names of the steps whose jobs are in the pipeline when only the difference counts as changed. When the
/// plan itself has become another one, all of it is.
async fn affected(
    session: &Session,
    snapshot: &Snapshot,
    old: &Last,
    ready: &Ready,
) -> Result<BTreeSet<String>> {
    let narrow = session.prepare(snapshot, Some(&old.snapshot.commit)).await;
    let names = |plan: &Plan| plan.steps.iter().map(|s| s.name.clone()).collect();
    match narrow {
        Ok(narrow) => Ok(names(&narrow.compiled.plan)),
        // With so small a change there is no pipeline at all.
        Err(error) if error.code() == "pipeline.nothing" => Ok(BTreeSet::new()),
        Err(_) => Ok(names(&ready.compiled.plan)),
    }
}

/// What can stay: passed, not affected, the same step in the same place, and so is all that it needs.
fn unaffected(
    run: &run::Run,
    before: &Plan,
    now: &Plan,
    affected: &BTreeSet<String>,
) -> BTreeSet<String> {
    let mut kept: BTreeSet<String> = BTreeSet::new();
    // Needs come before those that need them only after as many rounds as the graph is deep.
    loop {
        let fits = |(i, step): &(usize, &run::Step)| {
            let same = before.steps.get(*i).is_some_and(|old| alike(old, step));
            let passed = run.step(&step.name).is_some_and(|s| s.state == run::StepState::Passed);
            let above = step.needs.iter().all(|n| kept.contains(&n.step));
            !kept.contains(&step.name) && same && passed && above && !affected.contains(&step.name)
        };
        let more: Vec<String> =
            now.steps.iter().enumerate().filter(fits).map(|(_, s)| s.name.clone()).collect();
        if more.is_empty() {
            return kept;
        }
        kept.extend(more);
    }
}

/// Whether two steps do the same, apart from the commit they do it on.
fn alike(a: &run::Step, b: &run::Step) -> bool {
    let work = |step: &run::Step| {
        let mut with = step.action.with.clone();
        if let Some(object) = with.as_object_mut() {
            object.remove("commit");
            // A key of the pipeline's variables, of which some are the commit's own.
            object.remove("shared");
        }
        with
    };
    a.name == b.name && a.needs == b.needs && a.when == b.when && work(a) == work(b)
}

fn told(paths: &[String]) -> Text {
    let mut named = paths.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
    let more = paths.len().saturating_sub(NAMED);
    if more > 0 {
        named.push_str(&format!(", +{more}"));
    }
    text!("changed: {named}", "바뀜: {named}")
}

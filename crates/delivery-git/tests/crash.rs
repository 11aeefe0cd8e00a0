//! A ref and its event cannot disagree, wherever naru dies.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod common;

use common::*;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use store::{Chaos, Moment};

/// The refs as the events tell them.
async fn told(world: &World) -> String {
    let mut refs = BTreeMap::new();
    for (_, pushed) in world.pushed().await {
        let was = match &pushed.after {
            Some(after) => refs.insert(pushed.refname.clone(), after.clone()),
            None => refs.remove(&pushed.refname),
        };
        assert_eq!(was, pushed.before, "the events of {} do not follow each other", pushed.refname);
    }
    refs.iter().map(|(name, id)| format!("{name} {id}\n")).collect()
}

async fn intents(world: &World) -> usize {
    let rows =
        world.store.read(|v| v.rows::<serde_json::Value>("delivery-git.intent", "", None, 100));
    rows.await.unwrap().len()
}

async fn copy(from: &Path, to: &Path) {
    let done =
        tokio::process::Command::new("cp").arg("-a").args([from, to]).status().await.unwrap();
    assert!(done.success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_at_every_commit_of_a_push() {
    let dir = tempfile::tempdir().unwrap();
    let work = dir.path().join("work");
    working_copy(&work, &[("a", "a")]).await;
    let (seed, token) = {
        let seed = dir.path().join("seed");
        std::fs::create_dir(&seed).unwrap();
        let world = World::open(&seed, limits()).await;
        let url = world.url("dan", "shop/web.git").await;
        git(&work, &["push", "-q", &url, "main", "main:old"]).await.fine();
        (seed, world.token("dan").await)
    };
    commit(&work, &[("a", "b")], "second").await;
    let mut crashed = 0;
    for moment in [Moment::Before, Moment::After] {
        for at in 1.. {
            let data = dir.path().join(format!("{moment:?}{at}"));
            copy(&seed, &data).await;
            let chaos = Arc::new(Chaos::new(at, moment));
            let push = async |world: &World| {
                let url = format!("http://x:{token}@{}/shop/web.git", world.address);
                git(&work, &["push", "-q", &url, "main", "main:new", ":old"]).await
            };
            let acknowledged = {
                // Opening writes as well, and may be where it dies.
                let store = store(&data, Some(chaos.clone()));
                match World::try_serve(&data, store, limits()).await {
                    Ok(world) => push(&world).await.ok,
                    Err(_) => false,
                }
            };
            let world = World::serve(&data, store(&data, None), limits()).await;
            assert_eq!(world.refs("web"), told(&world).await, "{moment:?} {at}");
            assert_eq!(intents(&world).await, 0);
            if acknowledged {
                assert!(world.refs("web").contains("refs/heads/new"), "{moment:?} {at}: lost");
            }
            push(&world).await;
            assert_eq!(world.refs("web"), told(&world).await);
            assert!(world.refs("web").contains("refs/heads/new"));
            world.store.verify().await.unwrap();
            if !chaos.crashed() {
                break;
            }
            crashed += 1;
        }
    }
    // At least the intent and the event, before and after each.
    assert!(crashed >= 4, "{crashed}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_orphaned_receive_pack_is_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let work = dir.path().join("work");
    working_copy(&work, &[("a", "a")]).await;
    let first = git(&work, &["rev-parse", "HEAD"]).await.out.trim().to_owned();
    let second = commit(&work, &[("a", "b")], "second").await;
    let home = dir.path().join("git/shop/web.git");
    {
        let world = World::open(dir.path(), limits()).await;
        let url = world.url("dan", "shop/web.git").await;
        git(&work, &["push", "-q", &url, &format!("{first}:refs/heads/main")]).await.fine();
        git(&work, &["push", "-q", &url, "main:other"]).await.fine();
        let intent = serde_json::json!({
            "id": "x", "project": "shop", "repository": "web", "actor": user("dan"),
            "received": "2026-01-01T00:00:00Z", "options": ["follow"],
            "commands": [{"refname": "refs/heads/main", "before": first, "after": second}],
        });
        world
            .store
            .write(move |tx| tx.set_row("delivery-git.intent", "shop/web/x", &intent))
            .await
            .unwrap();
    }
    // The orphan still has the lock; it moves the ref just before it ends.
    let lock = std::fs::File::create(home.join("naru.lock")).unwrap();
    lock.lock().unwrap();
    let (moved, after) = (home.clone(), second.clone());
    let orphan = tokio::spawn(async move {
        git(&moved, &["update-ref", "refs/heads/main", &after]).await.fine();
        drop(lock);
    });
    let world = World::serve(dir.path(), store(dir.path(), None), limits()).await;
    orphan.await.unwrap();
    assert_eq!(world.refs("web"), told(&world).await);
    let (_, last) = world.pushed().await.pop().unwrap();
    assert_eq!((last.after.as_deref(), last.options.len()), (Some(second.as_str()), 1));
    // Another branch had it already.
    assert!(last.commits.is_empty());
    assert_eq!(intents(&world).await, 0);
}

/// A git whose `receive-pack` ends in `how`.
fn broken_git(dir: &Path, how: &str) -> std::path::PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let path = dir.join("git-that-breaks");
    let script = format!(
        "#!/bin/sh\ncase \"$*\" in\n*--http-backend-info-refs*) ;;\n*receive-pack*) {how} ;;\nesac\nexec git \"$@\"\n"
    );
    std::fs::write(&path, script).unwrap();
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
    path
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receive_pack_that_dies_is_judged_by_what_is_on_disk() {
    let dir = tempfile::tempdir().unwrap();
    let work = dir.path().join("work");
    working_copy(&work, &[("a", "a")]).await;
    for (how, moves) in [("git \"$@\" >/dev/null; exit 1", true), ("cat >/dev/null; exit 1", false)]
    {
        let data = dir.path().join(format!("{moves}"));
        std::fs::create_dir(&data).unwrap();
        let git_program = broken_git(&data, how);
        let store = store(&data, None);
        populate(&store).await;
        let world = World::with_git(&data, store, limits(), git_program).await.unwrap();
        let url = world.url("dan", "shop/web.git").await;
        let said = git(&work, &["push", &url, "main"]).await;
        if moves {
            assert!(said.fine().err.contains("main -> main"));
        } else {
            said.refused("git was interrupted");
        }
        assert_eq!(world.pushed().await.len(), usize::from(moves));
        assert_eq!(world.refs("web"), told(&world).await);
        assert_eq!(intents(&world).await, 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_intent_whose_git_never_started_is_not_counted_for_the_next_push() {
    let dir = tempfile::tempdir().unwrap();
    let work = dir.path().join("work");
    working_copy(&work, &[]).await;
    let program = broken_git(dir.path(), "exec git \"$@\"");
    let store = store(dir.path(), None);
    populate(&store).await;
    let world = World::with_git(dir.path(), store, limits(), program.clone()).await.unwrap();
    let url = world.url("dan", "shop/web.git").await;
    git(&work, &["push", "-q", &url, "main"]).await.fine();
    // Large enough that the intent is written before git is started. The advertisement still finds git
    // there, a reader runs since the first push, and then it is gone.
    std::fs::write(work.join("large"), noise(1_500_000)).unwrap();
    commit(&work, &[], "large").await;
    let script = std::fs::read_to_string(&program).unwrap();
    let vanish = script.replace("info-refs*) ;;", "info-refs*) git \"$@\"; rm \"$0\"; exit ;;");
    std::fs::write(&program, &vanish).unwrap();
    git(&work, &["push", &url, "main"]).await.refused("naru could not take the push");
    assert_eq!((world.pushed().await.len(), intents(&world).await), (1, 1));
    std::fs::write(&program, script).unwrap();
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).unwrap();
    git(&work, &["push", &url, "main"]).await.fine();
    assert_eq!(world.refs("web"), told(&world).await);
    assert_eq!((world.pushed().await.len(), intents(&world).await), (2, 0));
}

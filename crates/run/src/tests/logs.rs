//! Logs of steps, as their readers follow them.

use super::*;
use futures_util::StreamExt;
use kernel::log::{self, Line};

async fn all(engine: &Engine, run: &Id, step: &str, attempt: Option<u32>) -> Vec<String> {
    let lines = engine.follow_log(run, step, attempt);
    let lines: Vec<Line> = soon(lines.map(|l| l.unwrap()).collect()).await;
    lines.into_iter().map(|l| l.text).collect()
}

#[tokio::test]
async fn a_log_is_followed_live_and_ends_with_its_attempt() {
    let (dir, world) = (tempfile::tempdir().unwrap(), World::default());
    let house = house(dir.path(), &world, 4).await;
    // Followed before there is anything, even an engine that runs.
    let id =
        house.create(vec![with(step("a", &[]), json!({ "hold": true, "note": "first" }))]).await;
    let mut lines = Box::pin(house.engine.follow_log(&id, "a", None));
    house.engine.start();
    assert_eq!(soon(lines.next()).await.unwrap().unwrap().text, "first");

    // A shim writes the same file and says that it grew.
    let path = dir.path().join("logs").join(id.as_str()).join("0.1.log");
    let mut record = Vec::new();
    log::encode(&mut record, Time(5), log::Stream::Out, true, b"from the shim");
    let mut file = std::fs::OpenOptions::new().append(true).open(&path).unwrap();
    std::io::Write::write_all(&mut file, &record).unwrap();
    world.release("a");
    let line = soon(lines.next()).await.unwrap().unwrap();
    assert_eq!((line.text.as_str(), line.stream), ("from the shim", log::Stream::Out));
    assert!(soon(lines.next()).await.is_none(), "the attempt has ended");
    house.finished(&id).await;
    drop(house);

    let reopened = super::house(dir.path(), &world, 4).await;
    assert_eq!(all(&reopened.engine, &id, "a", Some(1)).await, ["first", "from the shim"]);
}

#[tokio::test]
async fn attempts_have_logs_of_their_own_and_say_why_they_failed() {
    let (dir, world) = (tempfile::tempdir().unwrap(), World::default());
    let house = house(dir.path(), &world, 4).await;
    let flaky = Step { retry: Retry { max: 1, ..Retry::default() }, ..step("a", &[]) };
    let run = house.run(vec![with(flaky, json!({ "fails": 1, "note": "try" }))]).await;
    assert_eq!(all(&house.engine, &run.id, "a", Some(1)).await, ["try", "exit code 1"]);
    assert_eq!(all(&house.engine, &run.id, "a", Some(2)).await, ["try"]);
    assert_eq!(all(&house.engine, &run.id, "a", None).await, ["try"]);
}

#[tokio::test]
async fn who_follows_a_step_that_never_starts_is_not_left_waiting() {
    let (dir, world) = (tempfile::tempdir().unwrap(), World::default());
    let house = house(dir.path(), &world, 4).await;
    let id =
        house.create(vec![with(step("a", &[]), json!({ "fails": 1 })), step("b", &["a"])]).await;
    let engine = house.engine.clone();
    let follower = {
        let (engine, id) = (engine.clone(), id.clone());
        tokio::spawn(async move { all(&engine, &id, "b", None).await })
    };
    engine.start();
    assert_eq!(soon(follower).await.unwrap(), [""; 0]);
    for (run, step, want) in [(&id, "c", "step.unknown"), (&Id::new(0, 0), "a", "run.unknown")] {
        let mut lines = Box::pin(engine.follow_log(run, step, None));
        assert_eq!(soon(lines.next()).await.unwrap().unwrap_err().code(), want);
        assert!(soon(lines.next()).await.is_none());
    }
}

#[tokio::test]
async fn a_copied_step_shows_the_log_of_the_run_that_ran_it() {
    let (dir, world) = (tempfile::tempdir().unwrap(), World::default());
    let house = house(dir.path(), &world, 4).await;
    let plan = vec![
        with(step("a", &[]), json!({ "note": "done once" })),
        with(step("b", &[]), json!({ "fails": 9 })),
    ];
    let mut run = house.run(plan).await;
    for _ in 0..2 {
        let again = house.engine.retry(&run.id, None, person()).await.unwrap();
        run = house.finished(&again).await;
        assert_eq!(all(&house.engine, &run.id, "a", None).await, ["done once"]);
    }
}

#[tokio::test]
async fn garbage_and_large_files_are_read_in_bounded_pieces() {
    let (dir, world) = (tempfile::tempdir().unwrap(), World::default());
    let house = house(dir.path(), &world, 4).await;
    let run = house.run(vec![with(step("a", &[]), json!({ "note": "x" }))]).await;
    let path = dir.path().join("logs").join(run.id.as_str()).join("0.1.log");
    let mut bytes = vec![b'z'; 200_000];
    for i in 0..20_000 {
        log::encode(&mut bytes, Time(i), log::Stream::Out, true, b"line");
    }
    bytes.extend_from_slice(b"torn");
    std::fs::write(&path, bytes).unwrap();
    let lines = all(&house.engine, &run.id, "a", None).await;
    assert!(lines.iter().all(|l| l.len() <= 300_000));
    assert!(lines.iter().filter(|l| *l == "line").count() >= 19_999);
    assert_eq!(lines.last().unwrap(), "torn");
}

#[tokio::test]
async fn followers_end_when_the_engine_does() {
    let (dir, world) = (tempfile::tempdir().unwrap(), World::default());
    let house = house(dir.path(), &world, 4).await;
    house.engine.start();
    let id =
        house.create(vec![with(step("a", &[]), json!({ "hold": true, "note": "first" }))]).await;
    let mut lines = Box::pin(house.engine.follow_log(&id, "a", None));
    assert!(soon(lines.next()).await.is_some());
    house.engine.drain().await;
    assert!(soon(lines.next()).await.is_none());
}

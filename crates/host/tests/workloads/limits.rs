//! Hostile workloads: each is ended, says why, and harms nobody else.

use crate::rig::{Rig, lines, notes, words};
use host::Reason;
use kernel::log::Stream;
use std::time::Duration;

#[tokio::test]
async fn a_tree_that_ignores_the_stop_signal_is_killed_at_its_time_limit() {
    let rig = Rig::new().await;
    for mut spec in [
        rig.job("jailed", "trap '' TERM; (trap '' TERM; setsid sleep 1000 & sleep 1000) & wait"),
        rig.plain("plain", "trap '' TERM; (trap '' TERM; setsid sleep 1000 & sleep 1000) & wait"),
    ] {
        (spec.limits.time_ms, spec.limits.grace_ms) = (Some(200), 100);
        let (exit, _) = rig.run(spec).await;
        assert_eq!((exit.reason, exit.signal), (Reason::TimeLimit, Some(9)));
        let took = exit.finished.since(exit.started);
        assert!(took >= Duration::from_millis(300), "{took:?}");
    }
}

#[tokio::test]
async fn a_fork_bomb_is_contained_and_killed() {
    let rig = Rig::new().await;
    let mut spec = rig.job("bomb", "f() { f | f & }; (f; wait) 2>/dev/null & while :; do :; done");
    spec.limits.pids = Some(40);
    (spec.limits.time_ms, spec.limits.log) = (Some(500), Some(10_000));
    let workload = rig.host.start(spec).await.unwrap();
    let usage = workload.usage().await.unwrap();
    assert!(usage.pids <= 40, "{usage:?}");
    assert_eq!(workload.wait().await.reason, Reason::TimeLimit);
}

#[tokio::test]
async fn memory_beyond_the_limit_ends_it() {
    let rig = Rig::new().await;
    let mut spec = rig.job("leak", "head -c 300000000 /dev/zero | tail | wc -c; exit 1");
    spec.limits.memory = Some(32 << 20);
    let (exit, _) = rig.run(spec).await;
    assert_eq!(exit.reason, Reason::MemoryLimit);
    assert!(exit.memory_peak.unwrap() <= 33 << 20);
}

#[tokio::test]
async fn filling_the_disk_ends_it() {
    let rig = Rig::new().await;
    let work = rig.made("work");
    let mut spec = rig.job("fill", "while :; do head -c 1000000 /dev/zero >> /work/big; done");
    spec.sandbox.as_mut().unwrap().mounts = vec![host::Mount {
        at: "/work".into(),
        kind: host::MountKind::Writable { from: work.clone() },
    }];
    (spec.limits.disk, spec.limits.disk_dirs) = (Some(8 << 20), vec![work]);
    let (exit, _) = rig.run(spec).await;
    assert_eq!(exit.reason, Reason::DiskLimit);
}

#[tokio::test]
async fn endless_output_is_drained_and_capped_with_one_note() {
    let rig = Rig::new().await;
    let mut spec = rig.job("loud", "yes 'a line of output' | head -c 209715200; echo end >&2");
    spec.limits.log = Some(1 << 20);
    let log = spec.log.clone();
    let (exit, _) = rig.run(spec).await;
    assert!(exit.success(), "{exit:?}");
    let size = std::fs::metadata(&log).unwrap().len();
    assert!((900_000..(1 << 20) + 1000).contains(&size), "{size}");
    assert_eq!(notes(&log).len(), 1);
    assert!(lines(&log).iter().all(|l| l.stream == Stream::Note || l.text == "a line of output"));
}

#[tokio::test]
async fn a_log_that_keeps_the_latest_never_stops() {
    let rig = Rig::new().await;
    let mut spec = rig.job("talk", "i=0; while [ $i -lt 5000 ]; do echo line $i; i=$((i+1)); done");
    (spec.limits.log, spec.limits.log_keep) = (Some(40_000), host::Keep::Latest);
    let log = spec.log.clone();
    let (exit, last) = rig.run(spec).await;
    assert!(exit.success(), "{exit:?}");
    assert!(notes(&log).is_empty());
    let kept: Vec<String> = [words(&host::Keep::older(&log)), last].concat();
    let want: Vec<String> = (5000 - kept.len()..5000).map(|i| format!("line {i}")).collect();
    assert_eq!(kept, want);
    // The older half is full: some 26 bytes a line.
    assert!(kept.len() > 700, "{}", kept.len());
}

#[tokio::test]
async fn binary_output_is_readable() {
    let rig = Rig::new().await;
    let (exit, words) =
        rig.run(rig.job("bin", "head -c 1000000 /dev/urandom; echo; echo end")).await;
    assert!(exit.success());
    assert_eq!(words.last().map(String::as_str), Some("end"));
    let log = lines(&rig.path("bin.log"));
    assert!(log.iter().all(|l| l.time.millis() > 0), "no damaged records");
}

#[tokio::test]
async fn cpu_and_memory_are_told() {
    let rig = Rig::new().await;
    let (exit, _) =
        rig.run(rig.job("busy", "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done")).await;
    assert!(exit.success());
    assert!(exit.cpu_ms.unwrap() > 0 && exit.memory_peak.unwrap() > 100_000, "{exit:?}");
}

#[tokio::test]
async fn the_lighter_one_yields_when_both_want_the_processor() {
    let rig = Rig::new().await;
    let spin = |id: &str, weight: Option<u32>| {
        let mut spec = rig.job(id, "exec taskset -c 0 sh -c 'while :; do :; done'");
        spec.limits.cpu_weight = weight;
        spec
    };
    let light = rig.host.start(spin("light", Some(10))).await.unwrap();
    let heavy = rig.host.start(spin("heavy", None)).await.unwrap();
    // Both have had the processor for long enough to tell.
    let enough = async {
        while heavy.usage().await.is_some_and(|u| u.cpu_ms < 400) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(crate::rig::LONG, enough).await.unwrap();
    let (light, heavy) = (light.kill().await.cpu_ms.unwrap(), heavy.kill().await.cpu_ms.unwrap());
    assert!(light * 3 < heavy, "{light} ms beside {heavy} ms");
}

#[tokio::test]
async fn the_processor_is_shared_as_limited() {
    let rig = Rig::new().await;
    let mut spec = rig.job("spin", "while :; do :; done");
    (spec.limits.cpu_milli, spec.limits.time_ms) = (Some(100), Some(600));
    spec.limits.grace_ms = 0;
    let (exit, _) = rig.run(spec).await;
    assert_eq!(exit.reason, Reason::TimeLimit);
    // A tenth of a core: 60 ms, and a period of the scheduler more at either end.
    assert!(exit.cpu_ms.unwrap() < 250, "{exit:?}");
}

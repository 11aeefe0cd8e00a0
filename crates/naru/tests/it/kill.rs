//! `kill -9` at random instants while changes flow.

use crate::{EXE, WEB, files, service};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use testkit::{Naru, Repository, request};

const KILLS: u32 = 100;

/// A free address that stays the same over restarts. It is one of the loopback's that only this process uses:
/// connections of others come from 127.0.0.1, so none of them takes the port while the server is down.
fn address() -> String {
    let [_, a, b, c] = std::process::id().to_be_bytes();
    let own = std::net::Ipv4Addr::new(127, a | 0x40, b, c);
    std::net::TcpListener::bind((own, 0)).unwrap().local_addr().unwrap().to_string()
}

/// Numbers that look random and are the same in every run (splitmix64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % limit
    }
}

/// Pushes one change after the other, each until git says that it arrived, and waits until it serves.
/// Returns the commits that were acknowledged.
fn keep_pushing(work: &Repository, edge: SocketAddr, stop: &AtomicBool) -> Vec<String> {
    let mut commits = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let version = format!("version {}", commits.len());
        commits.push(work.commit(&version, &files(&service(&version))).unwrap());
        // A push into a server that dies fails, and so does one before it is back: git is asked again.
        let arrived = |work: &Repository| work.push(&["naru", "main"]).unwrap().0;
        until("the push is acknowledged", || arrived(work));
        until("the change serves", || {
            request(edge, WEB, "GET", "/", &[], b"")
                .is_ok_and(|a| a.status == 200 && a.body == version)
        });
    }
    commits
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < Duration::from_secs(120), "never: {what}");
    }
}

#[test]
fn a_hundred_kills_lose_nothing_and_repeat_nothing() {
    let (listen, edge) = (address(), address());
    let mut naru = Naru::start_with(EXE, &["--listen", &listen, "--edge", &edge]).unwrap();
    naru.say(&["project", "create", "shop"]).unwrap();
    // One service that nobody touches: none of the kills may cost it a process.
    let steady = service("steady");
    let manifest = steady[1].1.replace("name: web", "name: steady");
    naru.repository("shop", "steady", &[("app.py", &steady[0].1), ("naru.yaml", &manifest)])
        .unwrap()
        .follow()
        .unwrap();
    let before = naru.shims();
    let pipeline = "test:\n  script: python3 -m py_compile app.py\n";
    let work = naru.repository("shop", "web", &[(".gitlab-ci.yml", pipeline)]).unwrap();

    let stop = AtomicBool::new(false);
    let mut dice = Dice(7);
    let commits = std::thread::scope(|scope| {
        let pusher = scope.spawn(|| keep_pushing(&work, edge.parse().unwrap(), &stop));
        let killed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            for _ in 0..KILLS {
                std::thread::sleep(Duration::from_millis(20 + dice.below(700)));
                naru.kill_and_restart().unwrap();
            }
        }));
        stop.store(true, Ordering::Relaxed);
        let commits = pusher.join().unwrap();
        killed.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        commits
    });

    naru.say(&["events", "verify"]).unwrap();
    assert!(before.iter().all(|pid| naru.shims().contains(pid)), "a steady instance died");
    assert!(commits.len() > 3, "only {} changes flowed", commits.len());
    let events =
        naru.json(&["events", "-p", "shop", "--limit", "1000", "--kind", "git.pushed"]).unwrap();
    for commit in &commits {
        let pushed = events
            .as_array()
            .unwrap()
            .iter()
            .filter(|e| e["data"]["after"] == commit.as_str())
            .count();
        assert_eq!(pushed, 1, "{commit} was pushed {pushed} times");
        let name = format!("web-{}", &commit[..12]);
        let own = |kind: &str| {
            let args =
                ["events", "-p", "shop", "--limit", "1000", "--change", &name, "--kind", kind];
            naru.json(&args).unwrap().as_array().unwrap().clone()
        };
        for once in [
            "pipeline.created",
            "pipeline.finished",
            "release.made",
            "rollout.finished",
            "change.finished",
        ] {
            assert_eq!(own(once).len(), 1, "{once} of {name}");
        }
        let mut results: BTreeMap<String, u32> = BTreeMap::new();
        for event in own("run.step.finished") {
            let data = &event["data"];
            *results
                .entry(format!("{}/{}/{}", data["run"], data["step"], data["attempt"]))
                .or_default() += 1;
        }
        assert!(results.values().all(|n| *n == 1), "a result was recorded twice: {results:?}");
        let shown = naru.json(&["change", "show", &name, "-p", "shop"]).unwrap();
        assert_eq!(shown["change"]["outcome"], "live", "{name}");
    }
}

//! Push to the new version answering, through everything a user's push goes through.
//!
//! Overhead = wall time from the start of the real `git push` to the first answer of the new version at the
//! edge, less the service's own boot. There is no pipeline in the repository, so no user command is in it.

use super::{naru, spread};
use crate::run;
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::time::{Duration, Instant};
use testkit::{Naru, Repository};

const PUSHES: usize = 40;

pub fn bench() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let ping = dir.path().join("ping").to_string_lossy().into_owned();
    run::step("compile the service", "rustc", &["-O", "bench/ping.rs", "-o", &ping])?;
    let naru = Naru::start(&naru()?)?;
    naru.say(&["project", "create", "shop"])?;
    let manifest = "kind: Service\nname: web\nspec:\n  command: ./ping\n  replicas: 1\n";
    let work = naru.repository("shop", "web", &[("naru.yaml", manifest), ("version.txt", "0")])?;
    std::fs::copy(&ping, work.path().join("ping"))?;
    work.commit("The service", &[])?;
    work.follow()?;
    let boot = boot(&ping, dir.path())?;
    let mut walls = Vec::new();
    let mut stages: Vec<Vec<(String, f64)>> = Vec::new();
    for n in 1..=PUSHES {
        let (began, wall) = once(&naru, &work, n)?;
        walls.push(wall.as_secs_f64() * 1000.0 - boot);
        stages.push(broken_down(&naru, began)?);
    }
    let (min, p50, p99) = spread(walls);
    println!("service's own boot: {boot:.1} ms");
    println!(
        "platform overhead, {PUSHES} pushes: min {min:.0} ms, p50 {p50:.0} ms, p99 {p99:.0} ms"
    );
    table(&stages);
    Ok(())
}

fn epoch_ms() -> f64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs_f64()
        * 1000.0
}

/// From spawn to listening, without naru: the median of nine.
fn boot(ping: &str, dir: &std::path::Path) -> Result<f64> {
    std::fs::write(dir.join("version.txt"), "0")?;
    let mut times = Vec::new();
    for _ in 0..9 {
        let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let began = Instant::now();
        let mut child = std::process::Command::new(ping)
            .current_dir(dir)
            .env("PORT", port.to_string())
            .spawn()?;
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            std::thread::sleep(Duration::from_micros(200));
        }
        times.push(began.elapsed().as_secs_f64() * 1000.0);
        child.kill()?;
        child.wait()?;
    }
    Ok(spread(times).1)
}

/// When the client was started, in milliseconds since the epoch, and how long until the answer.
fn once(naru: &Naru, work: &Repository, n: usize) -> Result<(f64, Duration)> {
    let version = n.to_string();
    work.commit("Next", &[("version.txt", &version)])?;
    let helper = format!("credential.helper=!'{}' git-credential", super::naru()?);
    let mut push = work.command(&["-c", &helper, "push", "--quiet", "naru", "main"]);
    push.stderr(std::process::Stdio::piped());
    let (epoch, began) = (epoch_ms(), Instant::now());
    let child = push.spawn()?;
    loop {
        if naru.visit("web.shop.localhost", "/").is_ok_and(|a| a.status == 200 && a.body == version)
        {
            break;
        }
        if began.elapsed() > Duration::from_secs(20) {
            bail!("version {n} did not arrive");
        }
        std::thread::sleep(Duration::from_millis(3));
    }
    let wall = began.elapsed();
    let out = child.wait_with_output()?;
    if !out.status.success() {
        bail!("push: {}", String::from_utf8_lossy(&out.stderr));
    }
    Ok((epoch, wall))
}

/// The newest change's trace as (stage, milliseconds of its own).
fn broken_down(naru: &Naru, began: f64) -> Result<Vec<(String, f64)>> {
    let list = naru.json(&["change", "list", "-p", "shop", "--limit", "1"])?;
    let name = list[0]["name"].as_str().context("no change")?.to_owned();
    // The answer is there before the rollout has ended: what is replaced still has to go.
    let found = loop {
        let found = naru.json(&["change", "show", &name, "-p", "shop"])?;
        if !found["change"]["outcome"].is_null() {
            break found;
        }
    };
    let change = &found["change"];
    let rollout = &change["rollouts"][0];
    let at = |v: &Value| v.as_str().and_then(time_ms);
    let marks = [
        ("client, to the first byte of the pack", at(&change["received"])),
        ("receive: pack, refs, event", at(&change["accepted"])),
        ("plan: no pipeline", at(&change["pipeline"]["finished"])),
        ("release: tree, manifest, transaction", at(&change["releases"][0]["made"])),
        ("rollout: files, start, first answer", at(&rollout["first_ready"])),
    ];
    let mut before = began;
    let mut out = Vec::new();
    for (name, at) in marks {
        let at = at.with_context(|| format!("no time for {name}: {change}"))?;
        out.push((name.to_owned(), at - before));
        before = at;
    }
    Ok(out)
}

/// Milliseconds since the epoch of an RFC 3339 time in UTC with milliseconds.
fn time_ms(words: &str) -> Option<f64> {
    let field = |a: usize, b: usize| words.get(a..b)?.parse::<i64>().ok();
    let (y, m, d) = (field(0, 4)?, field(5, 7)?, field(8, 10)?);
    // Days from civil (Howard Hinnant, chrono-compatible low-level date algorithms).
    let (y, m) = if m <= 2 { (y - 1, m + 9) } else { (y, m - 3) };
    let days = 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + d - 1 - 719_468;
    let ms = ((days * 24 + field(11, 13)?) * 60 + field(14, 16)?) * 60_000
        + field(17, 19)? * 1000
        + field(20, 23)?;
    Some(ms as f64)
}

fn table(all: &[Vec<(String, f64)>]) {
    let Some(first) = all.first() else { return };
    for (i, (name, _)) in first.iter().enumerate() {
        let (min, p50, p99) = spread(all.iter().filter_map(|s| s.get(i)).map(|s| s.1).collect());
        println!("  {name:<42} min {min:>5.0}  p50 {p50:>5.0}  p99 {p99:>5.0} ms");
    }
}

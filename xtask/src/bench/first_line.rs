//! From a job that only waits for a slot to the first line that its script prints.

use super::{naru, spread};
use anyhow::{Context, Result};
use testkit::Naru;

const PIPELINE: &str = "a: {script: ['echo hello']}\n";
const ROUNDS: usize = 60;

pub fn bench() -> Result<()> {
    let naru = Naru::start(&naru()?)?;
    naru.say(&["project", "create", "shop"])?;
    let work = naru.repository("shop", "jobs", &[(".gitlab-ci.yml", PIPELINE)])?;
    work.follow()?;
    let mut waits = Vec::new();
    for _ in 0..ROUNDS {
        let made = naru.json(&["pipeline", "run", "jobs", "-p", "shop"])?;
        let run = made["run"].as_str().context("no run")?;
        // Follows the log to its end.
        naru.say(&["run", "log", run, "a", "-p", "shop"])?;
        waits.push(wait(&naru, run)?);
    }
    let (min, p50, p99) = spread(waits);
    println!("{ROUNDS} pipelines: min {min:.0} ms, p50 {p50:.0} ms, p99 {p99:.0} ms");
    Ok(())
}

/// Milliseconds from ready to the first line of the script's own.
fn wait(naru: &Naru, run: &str) -> Result<f64> {
    let log = std::fs::read_to_string(naru.data().join(format!("runs/{run}/0.1.log")))?;
    let first = log.lines().find(|line| line.split(' ').nth(1) == Some("o.")).context("no line")?;
    let printed: i64 = first.split(' ').next().context("no time")?.parse()?;
    let shown = naru.api("GET", &format!("/api/v1/projects/shop/runs/{run}"), "")?.json()?;
    let ready = shown["steps"][0]["ready_at"].as_str().context("never ready")?;
    // `…:07.250Z`: minutes begin together on both clocks, and no job waits for one.
    let seconds =
        ready.rsplit(':').next().and_then(|s| s.strip_suffix('Z')).context("no seconds")?;
    let ready = (seconds.parse::<f64>()? * 1000.0).round();
    #[expect(clippy::cast_precision_loss, reason = "milliseconds of a minute")]
    let printed = printed.rem_euclid(60_000) as f64;
    Ok((printed - ready).rem_euclid(60_000.0))
}

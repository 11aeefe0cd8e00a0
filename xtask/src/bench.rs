//! Side-by-side measurements on this machine. Each prints its method's figures; `bench/README.md` explains
//! them and keeps the last ones.

mod audit;
mod cache;
mod directory;
mod edge;
mod first_line;
mod idle;
mod load;
mod log;
mod plan;
mod policy;
mod push;
mod runs;
mod store;

use crate::{run, setup};
use anyhow::{Context, Result, bail};
use std::path::PathBuf;

type Bench = (&'static str, fn() -> Result<()>);

const ALL: &[Bench] = &[
    ("push", push::bench),
    ("runs", runs::bench),
    ("first-line", first_line::bench),
    ("store", store::bench),
    ("plan", plan::bench),
    ("policy", policy::bench),
    ("audit", audit::bench),
    ("directory", directory::bench),
    ("idle", idle::bench),
    ("edge", edge::bench),
    ("load", load::bench),
    ("log", log::bench),
    ("cache", cache::bench),
];

pub fn bench(wanted: &[String]) -> Result<()> {
    setup::install(setup::BENCH)?;
    if let Some(unknown) = wanted.iter().find(|w| ALL.iter().all(|(name, _)| name != w)) {
        let names: Vec<&str> = ALL.iter().map(|(name, _)| *name).collect();
        bail!("no bench {unknown}; there are {}", names.join(", "));
    }
    run::step("build", "cargo", &["build", "--release", "--locked", "-p", "naru"])?;
    for (name, bench) in
        ALL.iter().filter(|(name, _)| wanted.is_empty() || wanted.iter().any(|w| w == name))
    {
        println!("━━ {name}");
        bench().with_context(|| format!("bench {name}"))?;
    }
    Ok(())
}

/// A release program of the workspace's target directory.
fn release(name: &str) -> Result<PathBuf> {
    let metadata = run::output("cargo", &["metadata", "--no-deps", "--format-version", "1"])?;
    let metadata: serde_json::Value = serde_json::from_str(&metadata)?;
    let target = metadata["target_directory"].as_str().context("target directory")?;
    Ok(PathBuf::from(target).join("release").join(name))
}

fn naru() -> Result<String> {
    Ok(release("naru")?.to_string_lossy().into_owned())
}

/// Minimum, median and 99th percentile by nearest rank, in the unit given.
fn spread(mut values: Vec<f64>) -> (f64, f64, f64) {
    values.sort_by(f64::total_cmp);
    let rank = |p: usize| {
        let n = (values.len() * p).div_ceil(100).max(1) - 1;
        values.get(n).copied().unwrap_or(f64::NAN)
    };
    (rank(1), rank(50), rank(99))
}

/// User and system time of a process so far, in microseconds (`/proc/PID/stat`, clock ticks of 10 ms).
fn cpu_us(pid: u32) -> Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let after = stat.rsplit_once(')').context("stat")?.1;
    let field = |n: usize| {
        after.split_whitespace().nth(n).and_then(|w| w.parse::<f64>().ok()).unwrap_or(0.0)
    };
    Ok((field(11) + field(12)) * 10_000.0)
}

/// Resident memory of a process in kilobytes.
fn rss_kb(pid: u32) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find(|l| l.starts_with("VmRSS:")).context("VmRSS")?;
    Ok(line.split_whitespace().nth(1).context("VmRSS")?.parse()?)
}

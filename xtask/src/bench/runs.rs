//! A pipeline of 256 jobs that do nothing: each its own sandboxed process, log and durable result.

use super::naru;
use anyhow::{Context, Result, bail};
use std::time::Instant;
use testkit::Naru;

const PIPELINE: &str =
    "a:\n  parallel: 128\n  script: ['true']\nb:\n  parallel: 128\n  script: ['true']\n";

pub fn bench() -> Result<()> {
    let naru = Naru::start(&naru()?)?;
    naru.say(&["project", "create", "shop"])?;
    let work = naru.repository("shop", "jobs", &[(".gitlab-ci.yml", PIPELINE)])?;
    for round in 1..=3 {
        work.commit("Again", &[])?;
        let began = Instant::now();
        let words = work.follow()?;
        let wall = began.elapsed().as_secs_f64();
        let run = naru.json(&["run", "list", "-p", "shop", "--limit", "1"])?;
        let state = run[0]["state"].as_str().context("no run")?;
        if state != "passed" {
            bail!("the pipeline {state}: {words}");
        }
        println!(
            "round {round}: 256 jobs in {wall:.2} s, push included: {:.1} ms each",
            wall * 1000.0 / 256.0
        );
    }
    Ok(())
}

//! The load generator beside wrk: the same server, the same core, in turns.

use super::edge::{nginx, pinned, port};
use super::release;
use crate::run;
use anyhow::{Context, Result, bail};

const ROUNDS: usize = 3;
const SECONDS: &str = "3";
/// Requests a second that one core has to manage.
const TARGET: &str = "20000";

pub fn bench() -> Result<()> {
    run::step(
        "build",
        "cargo",
        &["build", "--release", "--locked", "-p", "load", "--example", "rate"],
    )?;
    let dir = tempfile::tempdir()?;
    let port = port()?;
    let answer = "location / { return 200 'hello, this is a small answer\\n'; }";
    let _server = nginx(dir.path(), "origin", 0, port, answer)?;
    let url = format!("http://127.0.0.1:{port}/");
    let ours = release("examples/rate")?.to_string_lossy().into_owned();
    for round in 1..=ROUNDS {
        let words = on_core_1("wrk", &["-t1", "-c32", "-d", SECONDS, "--latency", &url])?;
        let wanted = |l: &&str| ["50%", "99%", "Requests/sec:"].iter().any(|w| l.contains(w));
        let lines: Vec<&str> = words.lines().map(str::trim).filter(wanted).collect();
        println!("{round}  wrk          {}", lines.join("  "));
        println!("{round}  naru closed  {}", on_core_1(&ours, &[&url, "0", SECONDS, "32"])?.trim());
        println!(
            "{round}  naru open    {}",
            on_core_1(&ours, &[&url, TARGET, SECONDS, "200"])?.trim()
        );
    }
    Ok(())
}

fn on_core_1(program: &str, args: &[&str]) -> Result<String> {
    let out = pinned(1, program).args(args).output().with_context(|| format!("start {program}"))?;
    if !out.status.success() {
        bail!("{program}: {}", String::from_utf8_lossy(&out.stderr));
    }
    Ok(String::from_utf8(out.stdout)?)
}

//! The one door to the chores: `cargo xtask test | tidy | bench | fuzz`.

#![allow(clippy::indexing_slicing, reason = "a chore may fail loudly")]
#![allow(clippy::print_stderr, reason = "its surface is the terminal")]

mod bench;
mod fuzz;
mod run;
mod setup;
mod tidy;

use anyhow::{Result, bail};
use std::process::ExitCode;

const HELP: &str = "\
cargo xtask test [-- ARGS]   install what the tests need, check the rules, build, run all tests
cargo xtask properties [CASES] [CRATE…]   property tests of crates with inputs never drawn before, 10,000 each
cargo xtask tidy             formatting, clippy with warnings denied, layer rules, dependency rules
cargo xtask bench [NAME]     side-by-side measurements: push, runs, store, plan, edge, idle, load
cargo xtask schemas          what the tests of pipelines compare with, into the target directory
cargo xtask clients          libraries with which applications sign people in, for their tests, likewise
cargo xtask fuzz [TARGET] [SECONDS]   bytes from outside at everything that reads them: each target for 60 s";

fn main() -> ExitCode {
    match chore() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn chore() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let rest = args.get(1..).unwrap_or_default();
    match args.first().map(String::as_str) {
        Some("test") => test(rest),
        Some("properties") => properties(rest),
        Some("tidy") => tidy::tidy(),
        Some("fuzz") => fuzz::fuzz(rest),
        Some("schemas") => setup::schemas(),
        Some("clients") => setup::clients(),
        Some("bench") => bench::bench(rest),
        _ => {
            println!("{HELP}");
            if args.is_empty() { Ok(()) } else { bail!("no such chore: {}", args.join(" ")) }
        }
    }
}

fn test(rest: &[String]) -> Result<()> {
    setup::install(setup::TEST)?;
    setup::schemas()?;
    setup::clients()?;
    tidy::tidy()?;
    // Built before the tests, so that none of them waits for a compiler.
    run::step(
        "build what the tests start",
        "cargo",
        &["build", "--locked", "-p", "naru", "-p", "host", "--bins"],
    )?;
    let mut args = vec!["test", "--locked", "--workspace", "--no-fail-fast"];
    args.extend(rest.iter().map(String::as_str));
    run::step_with("run the tests", "cargo", &args, &[("PROPTEST_RNG_SEED", SEED)])
}

/// One commit has one answer: the gate draws the same inputs each time. New ones are drawn by `properties`.
const SEED: &str = "20261124";

fn properties(rest: &[String]) -> Result<()> {
    let (cases, crates) = match rest.split_first() {
        Some((first, crates)) if first.bytes().all(|b| b.is_ascii_digit()) => {
            (first.as_str(), crates)
        }
        _ => ("10000", rest),
    };
    let mut args = vec!["test", "--locked", "--lib", "--no-fail-fast"];
    if crates.is_empty() {
        args.push("--workspace");
    }
    args.extend(crates.iter().flat_map(|name| ["-p", name.as_str()]));
    let seed = std::time::UNIX_EPOCH.elapsed()?.as_nanos() as u64;
    let seed = seed.to_string();
    println!("── PROPTEST_RNG_SEED={seed} repeats what follows");
    let env = [("PROPTEST_CASES", cases), ("PROPTEST_RNG_SEED", seed.as_str())];
    run::step_with("property tests", "cargo", &args, &env)
}

//! Fuzzing: `fuzz/` has a target for everything that reads bytes from outside.
//!
//! cargo-fuzz wants a nightly compiler for its flags; `RUSTC_BOOTSTRAP` lets the stable one take them, so
//! that what is fuzzed is what ships. It builds everything anew with sanitizers, which takes minutes.

use crate::{run, setup};
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Longer inputs find little more and take much longer.
const LONGEST: &str = "-max_len=4096";
/// An input that takes this many seconds is a finding.
const SLOW: &str = "-timeout=5";
const SECONDS: u32 = 60;

/// `[TARGET] [SECONDS]`: one target or all, each for a while.
pub fn fuzz(args: &[String]) -> Result<()> {
    let (wanted, seconds) = read(args)?;
    setup::install(setup::FUZZ)?;
    if !installed() {
        run::step("install cargo-fuzz", "cargo", &["install", "--locked", "cargo-fuzz"])?;
    }
    let root = &root()?;
    let all = targets(&std::fs::read_to_string(root.join("fuzz/Cargo.toml"))?);
    if let Some(unknown) = wanted.filter(|w| all.iter().all(|t| t != w)) {
        bail!("no target {unknown}; there are {}", all.join(", "));
    }
    // The versions that ship; cargo adds to the copy what only fuzzing needs.
    std::fs::copy(root.join("Cargo.lock"), root.join("fuzz/Cargo.lock"))?;
    let chosen = all.iter().filter(|target| wanted.is_none_or(|w| w == target.as_str()));
    let mut found = Vec::new();
    for target in chosen {
        if !passes(root, target, seconds)? {
            found.push(target.as_str());
        }
    }
    if !found.is_empty() {
        bail!("findings in {}: the inputs are in fuzz/artifacts", found.join(", "));
    }
    Ok(())
}

fn read(args: &[String]) -> Result<(Option<&str>, u32)> {
    let number = |words: &str| words.parse::<u32>().ok().filter(|n| *n > 0);
    match args {
        [] => Ok((None, SECONDS)),
        [one] => Ok(number(one).map_or((Some(one.as_str()), SECONDS), |n| (None, n))),
        [target, seconds] => {
            let seconds = number(seconds).with_context(|| format!("{seconds}: not seconds"))?;
            Ok((Some(target.as_str()), seconds))
        }
        _ => bail!("cargo xtask fuzz [TARGET] [SECONDS]"),
    }
}

fn installed() -> bool {
    run::output("cargo", &["fuzz", "--version"]).is_ok()
}

/// The binaries of a manifest, in its order.
fn targets(manifest: &str) -> Vec<String> {
    let bins = manifest.split("[[bin]]").skip(1);
    let name = |bin: &str| {
        let line = bin.lines().find_map(|l| l.trim().strip_prefix("name = \""))?;
        line.strip_suffix('"').map(str::to_owned)
    };
    bins.filter_map(name).collect()
}

fn passes(root: &Path, target: &str, seconds: u32) -> Result<bool> {
    let fuzz = root.join("fuzz");
    let corpus = fuzz.join("corpus").join(target);
    std::fs::create_dir_all(&corpus)?;
    let mut command = Command::new("cargo");
    command.current_dir(root).env("RUSTC_BOOTSTRAP", "1").args(["fuzz", "run", target]);
    command.arg(corpus).arg(fuzz.join("seeds").join(target)).arg("--");
    command.args([LONGEST, SLOW, "-print_final_stats=1"]).arg(format!("-max_total_time={seconds}"));
    let words = match target {
        "request" | "response" | "chunked" => "http",
        other => other,
    };
    let dictionary = fuzz.join("dictionaries").join(words);
    if dictionary.exists() {
        command.arg(format!("-dict={}", dictionary.display()));
    }
    println!("── fuzz {target} for {seconds} s");
    Ok(command.status().context("start cargo fuzz")?.success())
}

/// The workspace. Cargo says where it is; what the compiler saw may be another checkout that shares the cache.
fn root() -> Result<PathBuf> {
    let own = std::env::var_os("CARGO_MANIFEST_DIR").context("run it as `cargo xtask fuzz`")?;
    Ok(Path::new(&own).parent().context("no workspace")?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_has_its_file_and_every_file_its_target() {
        let fuzz = root().unwrap().join("fuzz");
        let manifest = std::fs::read_to_string(fuzz.join("Cargo.toml")).unwrap();
        let mut listed = targets(&manifest);
        listed.sort();
        let files = std::fs::read_dir(fuzz.join("targets")).unwrap();
        let mut there: Vec<String> = files
            .map(|f| f.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
            .collect();
        there.sort();
        assert_eq!(listed, there);
        for target in &listed {
            assert!(fuzz.join("seeds").join(target).is_dir(), "{target} has no seed");
        }
    }

    #[test]
    fn a_target_a_time_both_or_neither() {
        let said = |words: &[&str]| {
            let words: Vec<String> = words.iter().map(ToString::to_string).collect();
            read(&words).map(|(target, seconds)| (target.map(str::to_owned), seconds)).ok()
        };
        assert_eq!(said(&[]), Some((None, SECONDS)));
        assert_eq!(said(&["5"]), Some((None, 5)));
        assert_eq!(said(&["log"]), Some((Some("log".into()), SECONDS)));
        assert_eq!(said(&["log", "5"]), Some((Some("log".into()), 5)));
        assert_eq!(said(&["log", "soon"]), None);
    }
}

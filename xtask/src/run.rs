//! Running other programs, saying which and how long they took.

use anyhow::{Context, Result, bail};
use std::process::Command;
use std::time::Instant;

/// Runs a program in the foreground.
///
/// # Errors
/// When it cannot be started or does not exit with 0.
pub fn step(what: &str, program: &str, args: &[&str]) -> Result<()> {
    step_with(what, program, args, &[])
}

/// As [`step`], with environment variables.
pub fn step_with(what: &str, program: &str, args: &[&str], env: &[(&str, &str)]) -> Result<()> {
    println!("── {what}: {program} {}", args.join(" "));
    let began = Instant::now();
    let mut command = Command::new(program);
    // A failed test's words are what is wanted; the stacks of a hundred frames bury them.
    let status = command.args(args).env("RUST_BACKTRACE", "0").envs(env.iter().copied()).status();
    let status = status.with_context(|| format!("start {program}"))?;
    if !status.success() {
        bail!("{what}: {program} ended with {status}");
    }
    println!("── {what}: {:.1} s", began.elapsed().as_secs_f64());
    Ok(())
}

/// What a program prints.
pub fn output(program: &str, args: &[&str]) -> Result<String> {
    let out =
        Command::new(program).args(args).output().with_context(|| format!("start {program}"))?;
    if !out.status.success() {
        bail!("{program} {}: {}", args.join(" "), String::from_utf8_lossy(&out.stderr));
    }
    Ok(String::from_utf8(out.stdout)?)
}

/// Whether a program is on `PATH`.
pub fn there(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|dir| dir.join(program).is_file())
}

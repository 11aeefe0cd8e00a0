//! Verification of a journal of a million entries, in the store and as an export.

use crate::run;
use anyhow::Result;

pub fn bench() -> Result<()> {
    let example = ["build", "--release", "--locked", "-p", "security-audit", "--example", "verify"];
    run::step("build", "cargo", &example)?;
    let program = super::release("examples/verify")?.to_string_lossy().into_owned();
    println!("{}", run::output(&program, &[])?.trim());
    Ok(())
}

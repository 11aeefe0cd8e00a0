//! Decisions through the index beside plain Cedar.

use crate::run;
use anyhow::Result;

pub fn bench() -> Result<()> {
    let example = ["build", "--release", "--locked", "-p", "policy", "--example", "decide"];
    run::step("build", "cargo", &example)?;
    let program = super::release("examples/decide")?.to_string_lossy().into_owned();
    println!("{}", run::output(&program, &[])?.trim());
    Ok(())
}

//! Parse and plan of a pipeline of 5,000 lines.

use crate::run;
use anyhow::Result;

pub fn bench() -> Result<()> {
    let example =
        ["build", "--release", "--locked", "-p", "delivery-pipeline", "--example", "plan"];
    run::step("build", "cargo", &example)?;
    let program = super::release("examples/plan")?.to_string_lossy().into_owned();
    println!("{}", run::output(&program, &["200"])?.trim());
    Ok(())
}

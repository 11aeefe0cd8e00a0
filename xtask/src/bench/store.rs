//! Durable small transactions per second: a row and a journal entry each, SQLite WAL, synchronous=FULL.

use crate::run;
use anyhow::Result;

pub fn bench() -> Result<()> {
    run::step(
        "build",
        "cargo",
        &["build", "--release", "--locked", "-p", "store", "--example", "commits"],
    )?;
    let program = super::release("examples/commits")?.to_string_lossy().into_owned();
    for writers in ["1", "16", "64", "256"] {
        let per_second = run::output(&program, &[writers, "4"])?;
        println!("{writers:>4} writers: {} durable transactions/s", per_second.trim());
    }
    Ok(())
}

//! The edge beside nginx on the same work: CPU microseconds per request.

use anyhow::Result;

pub fn bench() -> Result<()> {
    Ok(())
}

//! Whether policies can be taken.

use crate::kind::PolicySpec;
use kernel::Result;

/// What can be said of a policy by itself.
pub(crate) fn spec(_spec: &PolicySpec) -> Result<()> {
    Ok(())
}

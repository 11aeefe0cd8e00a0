//! What `fuzz/` throws bytes at beside [`crate::lint::lint`]: the small languages inside a pipeline file,
//! private otherwise.

use super::expr;
use super::glob::Globs;
use super::yaml::At;
use kernel::Error;

fn nowhere() -> At {
    At { file: super::FILE.into(), line: 1, column: 1 }
}

/// Whether a condition holds where `get` finds the variables.
///
/// # Errors
/// As a pipeline with such a condition has.
pub fn holds(condition: &str, get: &dyn Fn(&str) -> Option<String>) -> Result<bool, Error> {
    expr::parse(condition, &nowhere()).map(|expr| expr.holds(get))
}

/// Which of the paths a pattern of `changes` matches.
pub fn matches(glob: &str, paths: &[&str]) -> Vec<bool> {
    let globs = Globs::new(&[glob.to_owned()]);
    paths.iter().map(|path| globs.matches(path)).collect()
}

//! What `fuzz/` throws bytes at: the readers of files in a repository, private otherwise.

use crate::{Service, manifest};
use kernel::{Name, Result};

/// The services of a `naru.yaml`.
///
/// # Errors
/// As a push of such a file has.
pub fn yaml(bytes: &[u8]) -> Result<Vec<(Name, Service)>> {
    manifest::yaml(bytes).map(named)
}

/// The services of a `Procfile`.
///
/// # Errors
/// As a push of such a file has.
pub fn procfile(bytes: &[u8]) -> Result<Vec<(Name, Service)>> {
    manifest::procfile(bytes).map(named)
}

fn named(all: Vec<manifest::Wanted>) -> Vec<(Name, Service)> {
    all.into_iter().map(|wanted| (wanted.name, wanted.spec)).collect()
}

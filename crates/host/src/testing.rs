//! A shim for the tests of other crates, which have no `naru` program at hand.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The `shim` of [`Options`](crate::Options) for a test: the program `naru-shim`, which stands beside the
/// test's own executable. It is built when it is missing or older than its source, so a plain
/// `cargo test -p <crate>` is enough.
///
/// # Panics
/// When it cannot be built; a test cannot go on then.
#[allow(clippy::expect_used, clippy::panic)]
pub fn shim() -> Vec<OsString> {
    static SHIM: OnceLock<PathBuf> = OnceLock::new();
    let path = SHIM.get_or_init(|| {
        let test = std::env::current_exe().expect("a test has a path");
        let profile = test
            .ancestors()
            .find(|dir| dir.join("deps").is_dir())
            .expect("a test lies in the target directory");
        let shim = profile.join("naru-shim");
        if modified(&shim) < newest_source() {
            build(profile);
        }
        shim
    });
    vec![path.clone().into()]
}

#[allow(clippy::expect_used)]
fn build(profile: &Path) {
    let name = match profile.file_name().and_then(|n| n.to_str()) {
        Some("debug") | None => "dev",
        Some(other) => other,
    };
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args([
            "build",
            "--quiet",
            "--offline",
            "-p",
            "host",
            "--bin",
            "naru-shim",
            "--profile",
            name,
        ])
        .arg("--target-dir")
        .arg(profile.parent().unwrap_or(profile))
        .current_dir(own_dir())
        .status()
        .expect("cargo runs");
    assert!(status.success(), "building naru-shim failed");
}

/// This crate's directory, beside that of the crate whose tests run. Asked for while they run: checkouts in
/// different places share build products, and what the compiler saw may be another checkout's path.
#[allow(clippy::expect_used)]
fn own_dir() -> PathBuf {
    let tested = std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo runs the tests");
    PathBuf::from(tested).with_file_name("host")
}

fn newest_source() -> Option<std::time::SystemTime> {
    let mut newest = None;
    let mut dirs = vec![own_dir().join("src")];
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
            let path = entry.path();
            match path.is_dir() {
                true => dirs.push(path),
                false => newest = newest.max(modified(&path)),
            }
        }
    }
    newest
}

fn modified(path: &Path) -> Option<std::time::SystemTime> {
    std::fs::metadata(path).and_then(|m| m.modified()).ok()
}

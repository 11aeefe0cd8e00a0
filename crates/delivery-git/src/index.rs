//! git's index, version 2 (gitformat-index(5)), written next to a checkout.

use crate::tree::File;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// The index of what lies below `dir`: files and submodules, sorted by path. The trailing checksum is zero, which git reads as
/// "skipped" (`index.skipHash`).
///
/// # Errors
/// When a file cannot be examined.
pub(crate) fn encode(dir: &Path, files: &[&File]) -> std::io::Result<Vec<u8>> {
    let mut out = Vec::with_capacity(64 + files.len() * 96);
    out.extend_from_slice(b"DIRC");
    out.extend_from_slice(&2_u32.to_be_bytes());
    out.extend_from_slice(&u32::try_from(files.len()).unwrap_or(u32::MAX).to_be_bytes());
    for file in files {
        let found = fs::symlink_metadata(dir.join(OsStr::from_bytes(&file.path)))?;
        entry(&mut out, file, &found);
    }
    out.extend_from_slice(&[0; 20]);
    Ok(out)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the format keeps the low 32 bits"
)]
fn entry(out: &mut Vec<u8>, file: &File, found: &fs::Metadata) {
    let start = out.len();
    let words = [
        found.ctime() as u32,
        found.ctime_nsec() as u32,
        found.mtime() as u32,
        found.mtime_nsec() as u32,
        found.dev() as u32,
        found.ino() as u32,
        file.mode,
        found.uid(),
        found.gid(),
        found.len() as u32,
    ];
    words.iter().for_each(|w| out.extend_from_slice(&w.to_be_bytes()));
    out.extend(raw(&file.object));
    let length = file.path.len().min(0xfff) as u16;
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(&file.path);
    // One to eight zero bytes, so that entries start at multiples of eight.
    let used = out.len() - start;
    out.resize(start + (used + 8) / 8 * 8, 0);
}

fn raw(hex: &str) -> [u8; 20] {
    let mut out = [0; 20];
    for (i, byte) in out.iter_mut().enumerate() {
        let pair = hex.get(2 * i..2 * i + 2).unwrap_or("00");
        *byte = u8::from_str_radix(pair, 16).unwrap_or(0);
    }
    out
}

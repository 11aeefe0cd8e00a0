//! What stays of a job's files: artifacts, reports and caches, as trees in the blob store.
//!
//! A job's view of its files exists only inside of its sandbox. From outside it is put together again: what
//! the writable layer holds, over what the checkout holds less what the layer says is gone.

use crate::layers::Layers;
use crate::workspace::Place;
use blob::{Blobs, Choose, Held};
use kernel::{ErrorKind, Result};
use rustix::fs::FileType;
use std::collections::HashMap;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Bytes and files of one kept tree.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    pub bytes: u64,
    pub files: u64,
}

/// Which of a job's files may be chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Of {
    All,
    /// Less those of the shared checkout. Where that was copied, it cannot be told apart.
    Added,
}

impl Bounds {
    /// These files, within the bounds.
    pub fn choose(self, include: Vec<String>, exclude: Vec<String>) -> Choose {
        Choose { include, exclude, ..Choose::all(self.bytes, self.files) }
    }
}

/// The job's files that match, or `None` when there is none.
///
/// # Errors
/// As [`Blobs::put_tree`].
pub async fn collect(
    blobs: &Blobs,
    layers: &Layers,
    place: &Place,
    of: Of,
    choose: Choose,
) -> Result<Option<Held>> {
    if choose.include.is_empty() {
        return Ok(None);
    }
    let upper = blobs.put_tree(&place.upper(), choose.clone()).await?;
    let Some(below) = below(blobs, layers, place, of, &choose).await? else {
        return Ok((upper.files > 0).then_some(upper));
    };
    if below.files == 0 {
        return Ok((upper.files > 0).then_some(upper));
    }
    let tree = blobs.tree(&below.hash).await?;
    let layer = place.upper();
    let kept = tokio::task::spawn_blocking(move || {
        let mut seen = HashMap::new();
        let mut entries = tree.entries;
        entries.retain(|e| shines_through(&layer, &e.path, &mut seen));
        entries
    });
    let kept = blobs.put_entries(kept.await.map_err(kernel::Error::internal)?).await?;
    let mut whole = blobs.overlay(&[kept.hash.clone(), upper.hash.clone()]).await?;
    whole.left_out = upper.left_out + below.left_out;
    Ok((whole.files > 0).then_some(whole))
}

/// The chosen files of all that the writable layer lies on. Of what came as a tree nothing is read again.
async fn below(
    blobs: &Blobs,
    layers: &Layers,
    place: &Place,
    of: Of,
    choose: &Choose,
) -> Result<Option<Held>> {
    let mut parts = Vec::new();
    if let Some(lower) = place.lower().filter(|_| of == Of::All) {
        parts.push(blobs.put_tree(&lower, choose.clone()).await?);
    }
    for layer in place.layers().iter().rev() {
        let tree = layers.tree(layer).unwrap_or_default();
        parts.push(match blobs.select(&tree, choose.clone()).await {
            Ok(held) => held,
            // What it came from has been let go of since.
            Err(e) if e.kind() == ErrorKind::NotFound => {
                blobs.put_tree(layer, choose.clone()).await?
            }
            Err(e) => return Err(e),
        });
    }
    let left_out = parts.iter().map(|p| p.left_out).sum();
    parts.retain(|p| p.files > 0);
    match parts.len() {
        0 => Ok(None),
        1 => Ok(parts.pop()),
        _ => {
            let hashes: Vec<String> = parts.iter().map(|p| p.hash.clone()).collect();
            let mut whole = blobs.overlay(&hashes).await?;
            whole.left_out = left_out;
            Ok(Some(whole))
        }
    }
}

/// Whether a file of the checkout is visible through the layer: neither it nor a directory above it is
/// deleted or replaced there (https://docs.kernel.org/filesystems/overlayfs.html, whiteouts and opaque
/// directories).
fn shines_through(layer: &Path, path: &str, seen: &mut HashMap<String, Over>) -> bool {
    let mut prefix = String::new();
    for part in path.split('/') {
        if !prefix.is_empty() {
            prefix.push('/');
        }
        prefix.push_str(part);
        let over = match seen.get(&prefix) {
            Some(over) => *over,
            None => {
                let over = look(&layer.join(&prefix));
                seen.insert(prefix.clone(), over);
                over
            }
        };
        match over {
            Over::Nothing => return true,
            Over::Hides => return false,
            Over::Merges => {}
        }
    }
    false
}

/// What the layer has in the place of something of the checkout.
#[derive(Clone, Copy)]
enum Over {
    Nothing,
    /// A directory that shows what is below it.
    Merges,
    /// A deletion, another file, or a directory that shows nothing of what is below it.
    Hides,
}

fn look(path: &Path) -> Over {
    let Ok(meta) = std::fs::symlink_metadata(path) else { return Over::Nothing };
    if FileType::from_raw_mode(meta.mode()) != FileType::Directory {
        return Over::Hides;
    }
    let opaque = ["trusted.overlay.opaque", "user.overlay.opaque"].iter().any(|name| {
        let mut value = [0_u8; 8];
        rustix::fs::lgetxattr(path, *name, &mut value[..])
            .is_ok_and(|n| value.get(..n) == Some(b"y"))
    });
    if opaque { Over::Hides } else { Over::Merges }
}

/// Globs as written in a job's file, with variables already expanded, made relative to its directory.
/// What leads out of it is dropped; how many were is said beside.
pub fn inside(dir: &str, globs: &[String]) -> (Vec<String>, usize) {
    let relative = |glob: &String| {
        let glob = glob.trim();
        let glob = match glob.strip_prefix(dir) {
            Some("") => "**",
            Some(rest) => rest.strip_prefix('/')?,
            None => glob,
        };
        let glob = glob.strip_prefix("./").unwrap_or(glob);
        let glob = if glob == "." || glob == "./" { "**" } else { glob };
        let sound =
            !glob.is_empty() && !glob.starts_with('/') && !glob.split('/').any(|p| p == "..");
        sound.then(|| glob.to_owned())
    };
    let kept: Vec<String> = globs.iter().filter_map(relative).collect();
    let dropped = globs.len() - kept.len();
    (kept, dropped)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_stay_inside() {
        let words = |w: &[&str]| w.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
        let (kept, dropped) = inside(
            "/builds/shop/web",
            &words(&[
                "out/",
                "./a",
                "/builds/shop/web/b",
                "/etc/passwd",
                "../x",
                "a/../../b",
                ".",
                "/builds/shop/webs",
            ]),
        );
        assert_eq!(kept, words(&["out/", "a", "b", "**"]));
        assert_eq!(dropped, 4);
    }
}

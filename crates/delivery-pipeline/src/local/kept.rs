//! What local runs have included from elsewhere, kept for those without a network (`--offline`).

use crate::others::Answer;
use sha2::{Digest, Sha256};
use std::path::PathBuf;
use std::time::SystemTime;

/// Answers that are kept; the oldest go first.
const MOST: usize = 500;

/// `<dir>/<hash of what was asked>.json`
pub struct Kept {
    dir: PathBuf,
}

impl Kept {
    pub fn new(dir: PathBuf) -> Kept {
        Kept { dir }
    }

    fn path(&self, asked: &str) -> PathBuf {
        let name: String = Sha256::digest(asked).iter().map(|b| format!("{b:02x}")).collect();
        self.dir.join(name + ".json")
    }

    /// The last answer; `None` when it was never asked, or is not kept any more.
    pub fn get(&self, asked: &str) -> Option<Answer> {
        serde_json::from_slice(&std::fs::read(self.path(asked)).ok()?).ok()
    }

    /// Keeps an answer. That it cannot be kept is no reason to fail: it is here now.
    pub fn put(&self, asked: &str, answer: &Answer) {
        if let Err(error) = self.write(asked, answer) {
            tracing::debug!(%error, "an included file is not kept");
        }
        self.prune();
    }

    fn write(&self, asked: &str, answer: &Answer) -> std::io::Result<()> {
        std::fs::create_dir_all(&self.dir)?;
        // One run of a working tree goes at a time, and it may be killed: what has the name is whole.
        let half = self.dir.join("half");
        std::fs::write(&half, serde_json::to_vec(answer)?)?;
        std::fs::rename(half, self.path(asked))
    }

    fn prune(&self) {
        let entries = std::fs::read_dir(&self.dir).into_iter().flatten().flatten();
        let written = |entry: std::fs::DirEntry| {
            let at = entry.metadata().and_then(|m| m.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
            (at, entry.path())
        };
        let mut all: Vec<(SystemTime, PathBuf)> = entries.map(written).collect();
        all.sort_unstable();
        for (_, old) in all.iter().rev().skip(MOST) {
            let _ = std::fs::remove_file(old);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_answer_is_kept_and_not_too_many_of_them() {
        let dir = tempfile::tempdir().unwrap();
        let kept = Kept::new(dir.path().join("includes"));
        assert_eq!(kept.get("a"), None);
        kept.put("a", &Answer::File("old".into()));
        kept.put("a", &Answer::File("new".into()));
        assert_eq!(kept.get("a"), Some(Answer::File("new".into())));
        for n in 0..MOST {
            kept.put(&n.to_string(), &Answer::Absent);
        }
        assert_eq!(std::fs::read_dir(&kept.dir).unwrap().count(), MOST);
        std::fs::write(kept.path("b"), "{").unwrap();
        assert_eq!(kept.get("b"), None, "what is damaged was never there");
    }
}

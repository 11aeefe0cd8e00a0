//! Tools of this machine that services may use: what lies on the server's own `PATH`, also below homes,
//! which sandboxes hide.

use host::Mount;
use std::path::Path;

const SYSTEM: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// Where tool managers say that their roots are: places, never secrets.
const ROOTS: [&str; 5] = ["RUSTUP_HOME", "PYENV_ROOT", "RBENV_ROOT", "VOLTA_HOME", "ASDF_DATA_DIR"];

#[derive(Clone, Debug, Default)]
pub(crate) struct Tools {
    path: String,
    /// The same, with the interpreters that shims would lead to in front of the shims: a shim of pyenv
    /// takes a quarter of a second to find out what is the same every time.
    quick: String,
    pub env: Vec<(String, String)>,
    pub mounts: Vec<Mount>,
}

impl Tools {
    pub fn of_machine() -> Tools {
        let path = std::env::var("PATH").unwrap_or_else(|_| SYSTEM.into());
        let version = |root: &Path| std::fs::read_to_string(root.join("version")).ok();
        let named = |name: &&str| Some(((*name).to_owned(), std::env::var(name).ok()?));
        Tools {
            quick: quick(&path, version),
            path,
            env: ROOTS.iter().filter_map(named).collect(),
            mounts: host::toolchain_mounts(std::env::vars()),
        }
    }

    /// `PATH` for a release's files: one that chooses its own versions gets the shims.
    pub fn path(&self, release: &Path) -> &str {
        let chooses = [".python-version", ".ruby-version", ".tool-versions"];
        let chosen = chooses.iter().any(|file| release.join(file).exists());
        if chosen { &self.path } else { &self.quick }
    }
}

/// Puts `<root>/versions/<version>/bin` before `<root>/shims`, where `version` knows the machine's one.
fn quick(path: &str, version: impl Fn(&Path) -> Option<String>) -> String {
    let mut entries: Vec<String> = Vec::new();
    for entry in path.split(':') {
        let shims = Path::new(entry);
        let managed = entry.ends_with(".pyenv/shims") || entry.ends_with(".rbenv/shims");
        if let Some(root) = shims.parent().filter(|_| managed)
            && let Some(words) = version(root)
            && let Some(word) = words.lines().next().map(str::trim)
            && !word.is_empty()
            && word != "system"
            && !word.contains([':', '/'])
        {
            entries.push(root.join("versions").join(word).join("bin").display().to_string());
        }
        entries.push(entry.to_owned());
    }
    entries.join(":")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interpreters_come_before_their_shims() {
        let known =
            |root: &Path| (root == Path::new("/home/kim/.pyenv")).then(|| "3.11.7\n".into());
        for (path, want) in [
            ("/usr/bin:/bin", "/usr/bin:/bin"),
            (
                "/home/kim/.pyenv/shims:/bin",
                "/home/kim/.pyenv/versions/3.11.7/bin:/home/kim/.pyenv/shims:/bin",
            ),
            ("/home/lee/.pyenv/shims:/bin", "/home/lee/.pyenv/shims:/bin"),
        ] {
            assert_eq!(quick(path, known), want);
        }
        assert_eq!(quick("/h/.pyenv/shims", |_| Some("system".into())), "/h/.pyenv/shims");
        assert_eq!(quick("/h/.pyenv/shims", |_| Some("../../x".into())), "/h/.pyenv/shims");
    }
}

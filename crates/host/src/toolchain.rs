//! Tools that live in hidden places: the user's own compilers and interpreters, for sandboxed jobs.

use crate::spec::{Mount, MountKind};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Component, Path, PathBuf};

/// Places that a sandbox hides and people install tools below.
const HIDDEN: [&str; 4] = ["/root", "/home", "/srv", "/mnt"];

/// A kind of tool manager, known by the end of the directory it adds to `PATH`.
struct Manager {
    /// What `PATH` holds, below the home.
    bin: &'static str,
    /// What its programs need beside: the variable that names the place, if there is one, and where it is
    /// otherwise, below the home.
    needs: &'static [(&'static str, &'static str)],
}

/// Only places that hold no credentials: of `~/.cargo`, which has registry tokens, `bin` alone.
const MANAGERS: [Manager; 11] = [
    Manager { bin: ".cargo/bin", needs: &[("RUSTUP_HOME", ".rustup")] },
    Manager { bin: ".pyenv/shims", needs: &[("PYENV_ROOT", ".pyenv")] },
    Manager { bin: ".pyenv/bin", needs: &[("PYENV_ROOT", ".pyenv")] },
    Manager { bin: ".rbenv/shims", needs: &[("RBENV_ROOT", ".rbenv")] },
    Manager { bin: ".rbenv/bin", needs: &[("RBENV_ROOT", ".rbenv")] },
    Manager { bin: ".volta/bin", needs: &[("VOLTA_HOME", ".volta")] },
    Manager { bin: ".asdf/shims", needs: &[("ASDF_DATA_DIR", ".asdf")] },
    Manager { bin: ".deno/bin", needs: &[] },
    Manager { bin: ".bun/bin", needs: &[] },
    Manager { bin: "go/bin", needs: &[] },
    // Its programs are often links into the places of pip, pipx and uv.
    Manager {
        bin: ".local/bin",
        needs: &[("", ".local/lib"), ("", ".local/share/pipx"), ("", ".local/share/uv")],
    },
];

/// Managers whose `PATH` entries lie somewhere below their root.
const ROOTS: [&str; 6] =
    [".nvm", ".sdkman", ".pyenv", ".rbenv", ".local/share/mise", ".local/share/fnm"];

/// Read-only mounts, at the same paths, that make the programs in the server's own `PATH` usable in a
/// sandbox although homes are hidden there. `env` is the server's environment (`PATH`, `HOME`,
/// `RUSTUP_HOME`, …). Nothing that is known to hold credentials is mounted: of `~/.cargo`, for one, only
/// `bin`. Entries of `PATH` that need no mount or do not exist add none.
pub fn toolchain_mounts<K, V>(env: impl IntoIterator<Item = (K, V)>) -> Vec<Mount>
where
    K: AsRef<str>,
    V: AsRef<str>,
{
    let env: BTreeMap<String, String> =
        env.into_iter().map(|(k, v)| (k.as_ref().to_owned(), v.as_ref().to_owned())).collect();
    let exists = |path: &Path| fs::metadata(path).is_ok_and(|m| m.is_dir());
    let links = |path: &Path| fs::canonicalize(path).ok();
    let home = env.get("HOME").map(PathBuf::from);
    plan(&env, home.as_deref(), exists, links)
}

/// The decision, apart from the file system. Outer places come before what lies in them, and nothing is
/// mounted twice.
fn plan(
    env: &BTreeMap<String, String>,
    home: Option<&Path>,
    exists: impl Fn(&Path) -> bool,
    real: impl Fn(&Path) -> Option<PathBuf>,
) -> Vec<Mount> {
    let mut places: Vec<PathBuf> = Vec::new();
    let path = env.get("PATH").map(String::as_str).unwrap_or_default();
    for entry in path.split(':').map(Path::new).filter(|entry| hidden(entry)) {
        places.extend(needed(entry, env));
    }
    // A home that is a link, or a tool root that is one, is mounted where both names lead.
    let more: Vec<PathBuf> = places.iter().filter_map(|p| real(p)).filter(|p| hidden(p)).collect();
    places.extend(more);
    places.retain(|place| hidden(place) && Some(place.as_path()) != home && exists(place));
    places.sort();
    let mut kept: Vec<PathBuf> = Vec::new();
    for place in places {
        if !kept.iter().any(|outer| place.starts_with(outer)) {
            kept.push(place);
        }
    }
    let mount = |at: PathBuf| Mount { kind: MountKind::ReadOnly { from: at.clone() }, at };
    kept.into_iter().map(mount).collect()
}

/// What an entry of `PATH` needs to work.
fn needed(entry: &Path, env: &BTreeMap<String, String>) -> Vec<PathBuf> {
    if let Some(manager) = MANAGERS.iter().find(|manager| entry.ends_with(manager.bin)) {
        let home = entry.ancestors().nth(Path::new(manager.bin).components().count());
        let place = |(variable, name): &(&str, &str)| {
            let named = env.get(*variable).filter(|v| !v.is_empty()).map(PathBuf::from);
            named.or_else(|| Some(home?.join(name)))
        };
        let needs = manager.needs.iter().filter_map(place);
        return std::iter::once(entry.to_owned()).chain(needs).collect();
    }
    let inside = |root: &&Path| ROOTS.iter().any(|name| root.ends_with(name));
    match entry.ancestors().find(inside) {
        Some(root) => vec![root.to_owned()],
        None => vec![entry.to_owned()],
    }
}

/// Below a hidden place, not the place itself, and without `..`.
fn hidden(path: &Path) -> bool {
    let plain = path.components().all(|c| !matches!(c, Component::ParentDir));
    let below = |place: &&str| path.starts_with(place) && path != Path::new(place);
    plain && path.is_absolute() && HIDDEN.iter().any(below)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mounts(env: &[(&str, &str)]) -> Vec<String> {
        let env = env.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let mounts = plan(&env, Some(Path::new("/home/kim")), |_| true, |_| None);
        mounts.iter().map(|m| m.at.display().to_string()).collect()
    }

    #[test]
    fn each_manager_brings_what_its_programs_need() {
        for (path, want) in [
            ("/usr/bin:/bin", vec![]),
            ("/home/kim/.cargo/bin:/usr/bin", vec!["/home/kim/.cargo/bin", "/home/kim/.rustup"]),
            ("/home/kim/.pyenv/shims:/home/kim/.pyenv/bin", vec!["/home/kim/.pyenv"]),
            ("/home/kim/.pyenv/plugins/pyenv-virtualenv/shims", vec!["/home/kim/.pyenv"]),
            ("/home/kim/.nvm/versions/node/v22.1.0/bin", vec!["/home/kim/.nvm"]),
            ("/home/kim/.sdkman/candidates/java/current/bin", vec!["/home/kim/.sdkman"]),
            ("/home/kim/go/bin", vec!["/home/kim/go/bin"]),
            (
                "/home/kim/.local/bin",
                vec![
                    "/home/kim/.local/bin",
                    "/home/kim/.local/lib",
                    "/home/kim/.local/share/pipx",
                    "/home/kim/.local/share/uv",
                ],
            ),
            ("/root/.cargo/bin:/root/.cargo/bin", vec!["/root/.cargo/bin", "/root/.rustup"]),
            ("/home/kim/tools", vec!["/home/kim/tools"]),
        ] {
            assert_eq!(mounts(&[("PATH", path)]), want, "{path}");
        }
    }

    #[test]
    fn variables_name_roots_elsewhere() {
        let path = ("PATH", "/home/kim/.cargo/bin");
        let elsewhere = mounts(&[path, ("RUSTUP_HOME", "/srv/rust")]);
        assert_eq!(elsewhere, ["/home/kim/.cargo/bin", "/srv/rust"]);
        let visible = mounts(&[path, ("RUSTUP_HOME", "/opt/rust")]);
        assert_eq!(visible, ["/home/kim/.cargo/bin"], "no mount for what is not hidden");
    }

    #[test]
    fn a_whole_home_is_never_mounted() {
        for path in ["/home/kim", "/home", "/root", "/home/kim/../lee", "relative", "", "::"] {
            assert_eq!(mounts(&[("PATH", path)]), Vec::<String>::new(), "{path}");
        }
        let rustup = [("PATH", "/home/kim/.cargo/bin"), ("RUSTUP_HOME", "/home/kim")];
        assert_eq!(mounts(&rustup), ["/home/kim/.cargo/bin"]);
    }
}

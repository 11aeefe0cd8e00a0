//! The program itself as a tool of jobs: `naru load run` in a script is the server's own version.

use crate::variables::Variable;
use host::{Mount, MountKind};
use std::path::{Path, PathBuf};

/// Where jobs find it, whatever the machine calls its file. Below `/run`, which is each sandbox's own.
const AT: &str = "/run/naru-tools";

/// Adds the running program: a read-only mount, and its directory as the last of `PATH`, so that one that the
/// job brings itself comes first.
pub fn add(env: &mut [Variable], mounts: &mut Vec<Mount>) {
    let Some(exe) = std::env::current_exe().ok().filter(|exe| exe.is_file()) else {
        // Replaced while it runs: jobs go without until the next start.
        return;
    };
    mounts.push(mount(exe));
    for path in env.iter_mut().filter(|v| v.name == "PATH") {
        path.value = format!("{}:{AT}", path.value);
    }
}

fn mount(exe: PathBuf) -> Mount {
    Mount { at: Path::new(AT).join("naru"), kind: MountKind::ReadOnly { from: exe } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_comes_last_in_path_and_cannot_be_written() {
        let mut env = vec![Variable::literal("PATH", "/usr/bin"), Variable::literal("LANG", "C")];
        let mut mounts = Vec::new();
        add(&mut env, &mut mounts);
        assert_eq!(env[0].value, "/usr/bin:/run/naru-tools");
        assert_eq!(env[1].value, "C");
        assert_eq!(mounts[0].at, Path::new("/run/naru-tools/naru"));
        assert!(matches!(&mounts[0].kind, MountKind::ReadOnly { from } if from.is_file()));
    }
}

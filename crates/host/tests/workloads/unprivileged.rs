//! The same for a server that is not root: sandboxes through a user namespace. As root, the shim runs here
//! as the user nobody.

use crate::rig::{LONG, Rig, shim, words};
use host::{Exit, Mount, MountKind, Reason, Spec};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

const NOBODY: u32 = 65534;

/// Runs a shim by hand, as nobody, to its end.
fn run(rig: &Rig, mut spec: Spec) -> Exit {
    let own = rustix::process::geteuid().is_root();
    let state = rig.made(&format!("host/{}", spec.id));
    let program = rig.path("naru-shim");
    // By another process: a program that a fork of this one has open for writing cannot be run.
    assert!(Command::new("cp").arg(&shim()[0]).arg(&program).status().unwrap().success());
    let logs = rig.made("logs");
    spec.log = logs.join(format!("{}.log", spec.id));
    std::fs::write(state.join("spec.json"), serde_json::to_vec(&spec).unwrap()).unwrap();
    if own {
        open_up(rig.dir.path());
    }
    let mut command = Command::new(&program);
    command.arg(&state).stdin(Stdio::null());
    if own {
        command.uid(NOBODY).gid(NOBODY);
    }
    let mut child = command.spawn().unwrap();
    let until = std::time::Instant::now() + LONG;
    let pid = rustix::process::Pid::from_child(&child);
    let fd = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()).unwrap();
    let mut fds = [rustix::event::PollFd::new(&fd, rustix::event::PollFlags::IN)];
    let limit = rustix::event::Timespec::try_from(until - std::time::Instant::now()).unwrap();
    assert_eq!(rustix::event::poll(&mut fds, Some(&limit)).unwrap(), 1, "it ends in time");
    assert!(child.wait().unwrap().success());
    serde_json::from_slice(&std::fs::read(state.join("exit.json")).unwrap()).unwrap()
}

fn open_up(path: &Path) {
    chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
    if path.is_dir() {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
        for entry in std::fs::read_dir(path).unwrap() {
            open_up(&entry.unwrap().path());
        }
    }
}

#[tokio::test]
async fn a_sandbox_through_a_user_namespace() {
    let rig = Rig::new().await;
    let (work, lower, scratch) = (rig.made("work"), rig.made("lower"), rig.made("scratch"));
    std::fs::write(lower.join("a"), "below\n").unwrap();
    let mut spec = rig.job(
        "a",
        "id -u; cat /overlay/a; echo x > /overlay/a; echo y > /work/y; echo t > /tmp/t; echo n > /dev/null
         (echo x > /x) 2>/dev/null || echo sealed; ls -A /home; ls -d /proc/[0-9]* | wc -l; hostname; exit 6",
    );
    let sandbox = spec.sandbox.as_mut().unwrap();
    sandbox.hostname = "small".to_owned();
    sandbox.mounts = vec![
        Mount { at: "/work".into(), kind: MountKind::Writable { from: work.clone() } },
        Mount {
            at: "/overlay".into(),
            kind: MountKind::Overlay { lower: lower.clone(), over: Vec::new(), scratch },
        },
    ];
    let exit = run(&rig, spec);
    let words = words(&rig.path("logs/a.log"));
    assert_eq!((&exit.reason, exit.code), (&Reason::Exited, Some(6)), "{exit:?} {words:?}");
    let uid = if rustix::process::geteuid().is_root() {
        NOBODY
    } else {
        rustix::process::geteuid().as_raw()
    };
    assert_eq!(words[..3], [uid.to_string(), "below".to_owned(), "sealed".to_owned()]);
    assert_eq!(words[4], "small");
    assert!(words[3].trim().parse::<u32>().unwrap() <= 4, "{words:?}");
    assert_eq!(std::fs::read_to_string(lower.join("a")).unwrap(), "below\n");
    assert!(work.join("y").exists());
}

#[tokio::test]
async fn limits_hold_without_control_groups() {
    let rig = Rig::new().await;
    let mut spec =
        rig.job("a", "f() { f | f & }; trap '' TERM; (f; wait) 2>/dev/null & while :; do :; done");
    (spec.limits.pids, spec.limits.time_ms, spec.limits.grace_ms) = (Some(30), Some(300), 50);
    spec.limits.log = Some(10_000);
    let exit = run(&rig, spec);
    assert_eq!((exit.reason, exit.signal), (Reason::TimeLimit, Some(9)));
}

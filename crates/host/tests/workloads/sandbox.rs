//! What a sandboxed workload sees and reaches.

use crate::rig::{Rig, notes};
use host::{Mount, MountKind, Reason};

fn mount(at: &str, kind: MountKind) -> Mount {
    Mount { at: at.into(), kind }
}

#[tokio::test]
async fn it_runs_and_its_output_is_kept() {
    let rig = Rig::new().await;
    let (exit, words) = rig.run(rig.job("a", "echo hello; echo oops >&2; exit 3")).await;
    assert_eq!((exit.reason, exit.code, exit.signal), (Reason::Exited, Some(3), None));
    assert!(words.contains(&"hello".to_owned()) && words.contains(&"oops".to_owned()), "{words:?}");
}

#[tokio::test]
async fn one_without_a_sandbox_says_so_in_its_log() {
    let rig = Rig::new().await;
    let (plain, job) = (rig.plain("plain", "echo hello"), rig.job("job", "echo hello"));
    let logs = [plain.log.clone(), job.log.clone()];
    rig.run(plain).await;
    rig.run(job).await;
    let said = logs.map(|log| notes(&log).iter().any(|n| n.contains("without isolation")));
    assert_eq!(said, [true, false]);
}

#[tokio::test]
async fn the_machine_is_read_only() {
    let rig = Rig::new().await;
    let script = "for f in /x /usr/x /etc/x /var/x /run/x /sys/x; do
                    (echo x > $f) 2>/dev/null && echo wrote $f; done
                  echo x > /tmp/x && echo x > /var/tmp/y && echo x > /dev/shm/x && echo x > /dev/null && echo done
                  (echo 1 > /proc/sys/kernel/panic) 2>/dev/null && echo wrote sysctl; true";
    let (exit, words) = rig.run(rig.job("a", script)).await;
    assert!(exit.success(), "{exit:?} {words:?}");
    assert_eq!(words, ["done"]);
}

#[tokio::test]
async fn homes_secrets_and_data_are_hidden() {
    let rig = Rig::new().await;
    // Data of naru's outside of what is always hidden.
    let outside = tempfile::Builder::new().prefix("naru-").tempdir_in("/var/lib").unwrap();
    std::fs::write(outside.path().join("secret"), "s").unwrap();
    let mut spec = rig.job(
        "a",
        &format!(
            "ls -A /root /home /run /mnt /media /srv /tmp | grep -v : | grep .; ls -A {}; cat /etc/shadow",
            outside.path().display()
        ),
    );
    spec.sandbox.as_mut().unwrap().hidden.more = vec![outside.path().to_owned()];
    let (exit, words) = rig.run(spec).await;
    assert_eq!((exit.code, words), (Some(0), vec![]));
}

#[tokio::test]
async fn it_has_processes_host_name_and_devices_of_its_own() {
    let rig = Rig::new().await;
    let mut spec = rig.job(
        "a",
        "ls -d /proc/[0-9]* | wc -l; cat /proc/1/comm; hostname; head -c 3 /dev/urandom | wc -c
         test -t 0 || echo no terminal; grep -c NoNewPrivs:.1 /proc/self/status; ls /dev/fd/ >/dev/null
         mount -t tmpfs x /mnt 2>/dev/null || echo no mounts",
    );
    spec.sandbox.as_mut().unwrap().hostname = "job-7".to_owned();
    let (_, words) = rig.run(spec).await;
    let processes: u32 = words[0].trim().parse().unwrap();
    assert!(processes <= 4, "{words:?}");
    assert_eq!(words[2..], ["job-7", "3", "no terminal", "1", "no mounts"].map(str::to_owned));
}

#[tokio::test]
async fn mounts_come_in_order_and_where_they_are_wanted() {
    let rig = Rig::new().await;
    let (tools, work) = (rig.made("tools"), rig.made("work"));
    std::fs::write(tools.join("tool"), "t\n").unwrap();
    let mut spec = rig.job(
        "a",
        "cat /root/.tools/tool /usr/local/naru/deep/tool; ls /usr/local; echo y > y; echo z > cache/z
         (echo x > /root/.tools/x) 2>/dev/null || (echo x > /usr/local/x) 2>/dev/null || echo sealed",
    );
    spec.dir = "/build".into();
    spec.sandbox.as_mut().unwrap().mounts = vec![
        mount("/build", MountKind::Writable { from: work.clone() }),
        mount("/build/cache", MountKind::Memory { size: 1 << 20 }),
        mount("/root/.tools", MountKind::ReadOnly { from: tools.clone() }),
        mount("/usr/local/naru/deep", MountKind::ReadOnly { from: tools.clone() }),
    ];
    let (exit, words) = rig.run(spec).await;
    assert!(exit.success(), "{exit:?} {words:?}");
    assert_eq!(words[..2], ["t", "t"], "{words:?}");
    assert!(words.contains(&"bin".to_owned()), "the rest of /usr/local is still there: {words:?}");
    assert_eq!(words.last().unwrap(), "sealed");
    assert_eq!(std::fs::read_to_string(work.join("y")).unwrap(), "y\n");
    assert!(work.join("cache").is_dir() && !work.join("cache/z").exists());
}

#[tokio::test]
async fn an_overlay_takes_writes_and_spares_what_lies_below() {
    let rig = Rig::new().await;
    let (lower, scratch) = (rig.made("lower, with: odd=name"), rig.made("scratch"));
    std::fs::write(lower.join("a"), "old").unwrap();
    std::fs::write(lower.join("b"), "kept").unwrap();
    let overlay =
        MountKind::Overlay { lower: lower.clone(), over: Vec::new(), scratch: scratch.clone() };
    for (id, script, want) in [
        ("one", "echo new > a; rm b; echo c > c; cat a", "new"),
        ("two", "cat a; test ! -e b; echo c >> c", "new"),
    ] {
        let mut spec = rig.job(id, script);
        spec.dir = "/work".into();
        spec.sandbox.as_mut().unwrap().mounts = vec![mount("/work", overlay.clone())];
        let log = spec.log.clone();
        let (exit, words) = rig.run(spec).await;
        assert!(exit.success(), "{exit:?} {words:?} {:?}", notes(&log));
        assert_eq!(words, [want]);
    }
    assert_eq!(std::fs::read_to_string(lower.join("a")).unwrap(), "old");
    assert!(lower.join("b").exists() && !lower.join("c").exists());
    assert_eq!(std::fs::read_to_string(scratch.join("upper/c")).unwrap(), "c\nc\n");
}

#[tokio::test]
async fn the_new_root_is_not_found_within_itself() {
    let rig = Rig::new().await;
    let mut spec = rig.job("a", "ls /data/host/a; test ! -e /data/host/a/usr");
    let from = rig.dir.path().to_owned();
    spec.sandbox.as_mut().unwrap().mounts = vec![mount("/data", MountKind::Writable { from })];
    let (exit, words) = rig.run(spec).await;
    assert!(exit.success(), "{exit:?} {words:?}");
    assert!(words.contains(&"spec.json".to_owned()), "{words:?}");
}

#[tokio::test]
async fn links_laid_by_a_workload_do_not_lead_mounts_out() {
    let rig = Rig::new().await;
    let (work, outside) = (rig.made("work"), rig.made("outside"));
    std::os::unix::fs::symlink(&outside, work.join("link")).unwrap();
    let mut spec = rig.job("a", "true");
    spec.sandbox.as_mut().unwrap().mounts = vec![
        mount("/work", MountKind::Writable { from: work.clone() }),
        mount("/work/link/made/here", MountKind::Memory { size: 4096 }),
    ];
    let (exit, _) = rig.run(spec).await;
    assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 0, "{exit:?}");
}

#[tokio::test]
async fn a_mount_that_cannot_be_made_says_which_and_why() {
    let rig = Rig::new().await;
    let mut spec = rig.job("a", "true");
    let from = rig.path("nowhere");
    spec.sandbox.as_mut().unwrap().mounts = vec![mount("/x", MountKind::ReadOnly { from })];
    let (exit, _) = rig.run(spec).await;
    let Reason::NotStarted { why } = exit.reason else { panic!("{exit:?}") };
    assert!(why.contains("/x") && why.contains("nowhere"), "{why}");
}

#[tokio::test]
async fn orphans_die_with_the_first_process() {
    let rig = Rig::new().await;
    for (id, spec) in [("jailed", rig.job("jailed", "")), ("plain", rig.plain("plain", ""))] {
        let pipe = rig.path(id);
        let kind = rustix::fs::FileType::Fifo;
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, kind, 0o600.into(), 0).unwrap();
        let mut spec = spec;
        // The orphan holds the pipe open for writing as long as it lives.
        let script = "(trap '' TERM HUP; exec setsid sleep 1000) 8>/proc/self/fd/9 & echo left";
        let shell = format!(
            "exec 9<>{}; {script}",
            if id == "plain" { pipe.to_str().unwrap() } else { "/pipe" }
        );
        spec.argv = ["/bin/sh", "-c", &shell].map(str::to_owned).to_vec();
        if let Some(sandbox) = &mut spec.sandbox {
            sandbox.mounts = vec![mount("/pipe", MountKind::Writable { from: pipe.clone() })];
        }
        let (exit, words) = rig.run(spec).await;
        assert!(exit.success());
        assert_eq!(words, ["left"]);
        // With a writer left this would succeed (fifo(7)).
        let flags = rustix::fs::OFlags::WRONLY | rustix::fs::OFlags::NONBLOCK;
        let open = rustix::fs::open(&pipe, flags, rustix::fs::Mode::empty());
        assert_eq!(open.unwrap_err(), rustix::io::Errno::NXIO, "{id}: nobody has it open");
    }
}

#[tokio::test]
async fn the_servers_own_tools_can_be_had() {
    let rig = Rig::new().await;
    let path = std::env::var("PATH").unwrap();
    let there = |dir: &&str| std::fs::metadata(dir).is_ok_and(|m| m.is_dir());
    let dirs: Vec<&str> = path.split(':').filter(there).collect();
    let mut spec = rig.job("a", "for dir in \"$@\"; do test -d $dir || echo $dir is hidden; done");
    spec.argv.push("sh".to_owned());
    spec.argv.extend(dirs.iter().map(|dir| (*dir).to_owned()));
    spec.sandbox.as_mut().unwrap().mounts = host::toolchain_mounts(std::env::vars());
    let (exit, words) = rig.run(spec).await;
    assert!(exit.success(), "{exit:?}");
    assert_eq!(words, Vec::<String>::new());
}

#[tokio::test]
async fn names_of_hosts_are_known_inside() {
    let rig = Rig::new().await;
    let mut spec =
        rig.job("job", "getent hosts db | tr -s ' '; touch /etc/hosts || echo no; cat /run/hosts");
    let hosts = vec![("127.9.8.7".parse().unwrap(), vec!["db".into(), "bad name".into()])];
    spec.sandbox.as_mut().unwrap().hosts = hosts;
    let (_, words) = rig.run(spec).await;
    assert_eq!(words[..1], ["127.9.8.7 db"], "{words:?}");
    assert!(words.contains(&"no".to_owned()), "{words:?}");
    assert!(!words.iter().any(|w| w.contains("bad name")), "{words:?}");
}

#[tokio::test]
async fn what_runs_beside_is_logged_as_notes_with_its_name() {
    let rig = Rig::new().await;
    let spec = host::Spec {
        log_as: Some("db | ".into()),
        mask: vec!["secret".into()],
        ..rig.job("job", "echo a secret; printf end >&2")
    };
    let (_, words) = rig.run(spec.clone()).await;
    assert_eq!(words, Vec::<String>::new());
    let mut notes = crate::rig::notes(&spec.log);
    notes.sort();
    assert_eq!(notes, ["db | a [MASKED]", "db | end"]);
}

//! Starting, attaching, stopping, ending.

use crate::rig::{LONG, Rig, ended, logged, shim, shim_of, words};
use host::{Host, Options, Reason, Spec};
use rustix::process::{Signal, kill_process};
use std::process::{Command, Stdio};

#[tokio::test]
async fn a_second_start_of_an_id_is_the_same_workload() {
    let rig = Rig::new().await;
    let mark = rig.path("mark");
    let script = format!("echo started >> {}; read x < {}", mark.display(), rig.fifo().display());
    let spec = rig.plain("once", &script);
    let (a, b) = tokio::join!(rig.host.start(spec.clone()), rig.host.start(spec.clone()));
    let c = rig.reopen().await.start(spec.clone()).await.unwrap();
    assert_eq!(a.unwrap().started(), c.started());
    std::fs::write(rig.path("fifo"), "go\n").unwrap();
    assert!(ended(&b.unwrap()).await.success() && ended(&c).await.success());
    assert!(
        rig.host.start(spec).await.unwrap().exit().is_some(),
        "an ended one is not started again"
    );
    assert_eq!(std::fs::read_to_string(mark).unwrap(), "started\n");
}

#[tokio::test]
async fn a_new_server_attaches() {
    let rig = Rig::new().await;
    let fifo = rig.fifo();
    let script = format!("echo one; read x < {}; echo two; exit 5", fifo.display());
    let first = rig.host.start(rig.plain("a", &script)).await.unwrap();
    logged(&first, "one").await;
    let started = first.started();
    drop(first);
    let host = rig.reopen().await;
    let again = host.find("a").unwrap();
    assert_eq!((again.started(), again.exit()), (started, None));
    assert!(again.usage().await.is_some());
    std::fs::write(fifo, "go\n").unwrap();
    assert_eq!(ended(&again).await.code, Some(5));
    assert_eq!(words(&again.spec().log), ["one", "two"]);
    assert_eq!(rig.reopen().await.find("a").unwrap().exit().unwrap().code, Some(5));
    host.forget("a").await.unwrap();
    assert!(rig.reopen().await.find("a").is_none() && again.spec().log.exists());
}

#[tokio::test]
async fn a_data_directory_may_have_a_long_name() {
    let rig = Rig::within(&"long".repeat(50)).await;
    let fifo = rig.fifo();
    rig.host.start(rig.plain("a", &format!("read x < {}", fifo.display()))).await.unwrap();
    let again = rig.reopen().await.find("a").unwrap();
    assert!(again.usage().await.is_some(), "the second server is connected");
    std::fs::write(fifo, "go\n").unwrap();
    assert!(ended(&again).await.success());
}

#[tokio::test]
async fn a_line_is_shown_before_its_end_comes() {
    let rig = Rig::new().await;
    let script = format!("printf 'password: '; read x < {}; echo thanks", rig.fifo().display());
    let workload = rig.host.start(rig.plain("a", &script)).await.unwrap();
    logged(&workload, "password: ").await;
    std::fs::write(rig.path("fifo"), "go\n").unwrap();
    assert!(ended(&workload).await.success());
    let whole: String = words(&workload.spec().log).concat();
    assert_eq!(whole, "password: thanks");
}

#[tokio::test]
async fn many_at_once_are_told_apart() {
    let rig = Rig::new().await;
    let starts = (0..40).map(|n| {
        let (host, spec) =
            (rig.host.clone(), rig.job(&format!("n{n}"), &format!("echo {n}; exit {n}")));
        tokio::spawn(async move { host.start(spec).await.unwrap() })
    });
    for (n, start) in starts.collect::<Vec<_>>().into_iter().enumerate() {
        let workload = start.await.unwrap();
        assert_eq!(ended(&workload).await.code, i32::try_from(n).ok());
        assert_eq!(words(&workload.spec().log), [n.to_string()]);
    }
    assert_eq!(rig.host.all().len(), 40);
}

#[tokio::test]
async fn other_crates_find_a_shim_for_their_tests() {
    let rig = Rig::new().await;
    let dir = rig.path("other");
    let options = Options { dir, shim: host::testing::shim(), hidden: vec![] };
    let host = Host::open(options).await.unwrap();
    let workload = host.start(rig.plain("a", "exit 9")).await.unwrap();
    assert_eq!(ended(&workload).await.code, Some(9));
}

#[tokio::test]
async fn stop_asks_first() {
    let rig = Rig::new().await;
    for (id, sandboxed) in [("jailed", true), ("plain", false)] {
        let script = "trap 'echo bye; exit 4' TERM; echo ready; while :; do sleep 0.01; done";
        let spec = if sandboxed { rig.job(id, script) } else { rig.plain(id, script) };
        let workload = rig.host.start(spec).await.unwrap();
        logged(&workload, "ready").await;
        let exit = tokio::time::timeout(LONG, workload.stop()).await.unwrap();
        assert_eq!((exit.reason, exit.code), (Reason::Stopped, Some(4)));
        assert!(words(&workload.spec().log).contains(&"bye".to_owned()));
        assert_eq!(workload.kill().await.code, Some(4), "the end does not change");
    }
}

#[tokio::test]
async fn a_program_behind_a_shell_may_finish_its_work() {
    let rig = Rig::new().await;
    for (id, sandboxed) in [("jailed", true), ("plain", false)] {
        let script = "sh -c 'trap \"sleep 0.1; echo finished; exit\" TERM; echo ready; while :; do sleep 0.01; done' & wait";
        let spec = if sandboxed { rig.job(id, script) } else { rig.plain(id, script) };
        let workload = rig.host.start(spec).await.unwrap();
        logged(&workload, "ready").await;
        assert_eq!(workload.stop().await.reason, Reason::Stopped);
        assert!(words(&workload.spec().log).contains(&"finished".to_owned()));
    }
}

#[tokio::test]
async fn stop_kills_what_does_not_listen() {
    let rig = Rig::new().await;
    let mut spec = rig.job("deaf", "trap '' TERM; echo ready; while :; do sleep 0.01; done");
    spec.limits.grace_ms = 100;
    let workload = rig.host.start(spec).await.unwrap();
    logged(&workload, "ready").await;
    let exit = tokio::time::timeout(LONG, workload.stop()).await.unwrap();
    assert_eq!((exit.reason, exit.signal), (Reason::Stopped, Some(9)));
}

#[tokio::test]
async fn programs_that_cannot_run_say_why() {
    let rig = Rig::new().await;
    let script = rig.path("script");
    std::fs::write(&script, "#!/no/such/interpreter\n").unwrap();
    std::fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    for (id, argv, want) in [
        ("a", "no-such-program", "no-such-program is in no directory of PATH"),
        ("b", "/no/such/program", "/no/such/program does not exist"),
        ("c", "/etc/passwd", "Permission denied"),
        ("d", script.to_str().unwrap(), "interpreter"),
    ] {
        let mut spec = rig.plain(id, "");
        spec.argv = vec![argv.to_owned()];
        let (exit, _) = rig.run(spec).await;
        let Reason::NotStarted { why } = &exit.reason else { panic!("{exit:?}") };
        assert!(why.contains(want), "{why}");
        assert_eq!(rig.reopen().await.find(id).unwrap().exit(), Some(exit));
    }
    let mut spec = rig.job("e", "true");
    spec.dir = "/no/such/place".into();
    let (exit, _) = rig.run(spec).await;
    assert!(matches!(exit.reason, Reason::NotStarted { why } if why.contains("/no/such/place")));
}

#[tokio::test]
async fn signals_are_told_from_exits() {
    let rig = Rig::new().await;
    for (id, spec) in [("a", rig.job("a", "kill -SEGV $$")), ("b", rig.plain("b", "kill -SEGV $$"))]
    {
        let (exit, _) = rig.run(spec).await;
        assert_eq!((exit.reason, exit.code, exit.signal), (Reason::Exited, None, Some(11)), "{id}");
    }
}

#[tokio::test]
async fn ids_and_specs_that_make_no_sense_are_refused() {
    let rig = Rig::new().await;
    for id in ["", "..", "../x", "a/b", ".hidden", "a b", "a\0", "é", &"x".repeat(129)] {
        let error =
            rig.host.start(Spec { id: id.to_owned(), ..rig.plain("x", "") }).await.unwrap_err();
        assert_eq!(error.code(), "workload.id", "{id:?}");
        assert!(rig.host.forget(id).await.is_err());
    }
    let fine = rig.plain("x", "");
    for spec in [
        Spec { argv: vec![], ..fine.clone() },
        Spec { argv: vec!["a\0b".into()], ..fine.clone() },
        Spec { dir: "relative".into(), ..fine.clone() },
        Spec { log: "relative".into(), ..fine.clone() },
        Spec { stop_signal: 0, ..fine.clone() },
    ] {
        assert_eq!(rig.host.start(spec).await.unwrap_err().code(), "workload.spec");
    }
    assert_eq!(std::fs::read_dir(rig.path("host")).unwrap().count(), 0, "nothing was left");
}

#[tokio::test]
async fn a_workload_whose_shim_was_killed_is_lost_and_dead() {
    let rig = Rig::new().await;
    for (id, sandboxed) in [("jailed", true), ("plain", false)] {
        let script = "echo ready; setsid sleep 1000 & wait";
        let mut spec = if sandboxed { rig.job(id, script) } else { rig.plain(id, script) };
        spec.env.push(("NARU_TEST_MARK".to_owned(), format!("{id}-{}", std::process::id())));
        let workload = rig.host.start(spec).await.unwrap();
        logged(&workload, "ready").await;
        assert!(marked(id));
        kill_process(shim_of(&rig.state(id)).unwrap(), Signal::KILL).unwrap();
        assert_eq!(ended(&workload).await.reason, Reason::Lost);
        assert!(!marked(id), "nothing of it is left");
        assert_eq!(rig.reopen().await.find(id).unwrap().exit().unwrap().reason, Reason::Lost);
    }
}

/// Whether any process of the machine carries the mark of a workload.
fn marked(id: &str) -> bool {
    let mark = format!("NARU_TEST_MARK={id}-{}", std::process::id()).into_bytes();
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let mut environments = processes.filter_map(|p| std::fs::read(p.path().join("environ")).ok());
    environments.any(|env| env.split(|b| *b == 0).any(|word| word == mark))
}

#[tokio::test]
async fn garbage_in_the_state_directory_is_an_error_not_a_panic() {
    let rig = Rig::new().await;
    let state = rig.made("host/torn");
    std::fs::write(state.join("spec.json"), "{\"id\": 7").unwrap();
    let status = Command::new(&shim()[0]).arg(&state).stdin(Stdio::null()).status().unwrap();
    assert!(status.success());
    let exit = std::fs::read_to_string(state.join("exit.json")).unwrap();
    assert!(exit.contains("not_started") && exit.contains("not readable"), "{exit}");
    std::fs::create_dir_all(rig.path("host/empty")).unwrap();
    std::fs::write(rig.path("host/file"), "").unwrap();
    rig.made("host/.half.new");
    let host = rig.reopen().await;
    assert!(host.all().is_empty());
    for unfinished in ["host/empty", "host/.half.new"] {
        assert!(!rig.path(unfinished).exists(), "what never began is cleared away");
    }
    assert!(rig.path("host/file").exists(), "what is not ours stays");
    assert!(!Command::new(&shim()[0]).arg("/no/such/dir").status().unwrap().success());
}

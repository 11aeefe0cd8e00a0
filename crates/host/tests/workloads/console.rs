//! Entering a workload that runs, or that has failed and is kept.

use crate::rig::{LONG, Rig, ended, logged, notes};
use host::{Console, Reason, Size, Spec, Workload};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const SIZE: Size = Size { rows: 30, columns: 100 };

async fn enter(workload: &Workload, script: &str) -> Console {
    let argv = ["/bin/sh", "-c", script].map(str::to_owned).to_vec();
    workload.exec(argv, vec![("TERM".into(), "dumb".into())], SIZE).await.unwrap()
}

/// All that the program prints, until its end.
async fn printed(console: &mut Console) -> (String, Option<i32>) {
    let mut out = Vec::new();
    let mut terminal = console.terminal();
    let read = tokio::time::timeout(LONG, terminal.read_to_end(&mut out)).await;
    read.expect("it ends").unwrap();
    let code = tokio::time::timeout(LONG, console.wait()).await.expect("it is told");
    (String::from_utf8(out).unwrap(), code)
}

#[tokio::test]
async fn a_console_sees_what_the_job_sees_and_its_terminal_is_real() {
    let rig = Rig::new().await;
    let fifo = rig.fifo();
    let dir = rig.made("data");
    let mut spec =
        rig.job("job", &format!("echo job > /tmp/mine; echo up; cat {}", fifo.display()));
    spec.sandbox.as_mut().unwrap().hostname = "inside".into();
    spec.sandbox.as_mut().unwrap().mounts = vec![host::Mount {
        at: rig.dir.path().to_owned(),
        kind: host::MountKind::ReadOnly { from: rig.dir.path().to_owned() },
    }];
    spec.env.push(("COLOUR".into(), "red".into()));
    let workload = rig.host.start(spec).await.unwrap();
    logged(&workload, "up").await;
    let script = "cat /tmp/mine; hostname; echo $COLOUR $TERM; stty size; tty; ps -o pid= -p 1; \
                  touch /usr/x 2>/dev/null || echo read-only; kill -9 $$";
    let mut console = enter(&workload, script).await;
    let (out, code) = printed(&mut console).await;
    let want = ["job", "inside", "red dumb", "30 100", "/dev/pts/0", "1", "read-only"];
    let got: Vec<&str> = out.lines().map(str::trim).collect();
    assert_eq!(got, want);
    assert_eq!(code, Some(128 + 9));
    // A second one, which is typed at, and which the workload's end ends.
    let mut console = enter(&workload, "read word; echo got $word; stty size; sleep 1000").await;
    let mut terminal = console.terminal();
    terminal.resize(Size { rows: 10, columns: 20 }).unwrap();
    terminal.write_all(b"hello\n").await.unwrap();
    let mut seen = Vec::new();
    while !String::from_utf8_lossy(&seen).contains("10 20") {
        let mut chunk = [0; 100];
        let n = tokio::time::timeout(LONG, terminal.read(&mut chunk)).await.unwrap().unwrap();
        assert!(n > 0, "{}", String::from_utf8_lossy(&seen));
        seen.extend_from_slice(&chunk[..n]);
    }
    assert!(String::from_utf8_lossy(&seen).contains("got hello"));
    workload.kill().await;
    printed(&mut console).await;
    let gone = workload.exec(vec!["/bin/sh".into()], vec![], SIZE).await.unwrap_err();
    assert_eq!(gone.code(), "workload.ended");
    drop(dir);
}

#[tokio::test]
async fn a_program_that_is_not_there_says_so_on_the_terminal() {
    let rig = Rig::new().await;
    let workload = rig.host.start(rig.job("job", "sleep 1000")).await.unwrap();
    let mut console = workload.exec(vec!["nonesuch".into()], vec![], SIZE).await.unwrap();
    let (out, code) = printed(&mut console).await;
    assert!(out.starts_with("nonesuch: "), "{out}");
    assert_eq!(code, Some(127));
    workload.kill().await;
}

#[tokio::test]
async fn who_hangs_up_ends_the_program() {
    let rig = Rig::new().await;
    let fifo = rig.fifo();
    let mut spec = rig.job("job", "echo up; read word < /data/fifo; echo $word");
    spec.sandbox.as_mut().unwrap().mounts = vec![host::Mount {
        at: "/data".into(),
        kind: host::MountKind::Writable { from: rig.dir.path().to_owned() },
    }];
    let workload = rig.host.start(spec).await.unwrap();
    logged(&workload, "up").await;
    let console =
        enter(&workload, "trap 'echo hung-up > /data/fifo; exit' HUP; echo up; read x").await;
    let mut first = [0; 2];
    console.terminal().read_exact(&mut first).await.unwrap();
    drop(console);
    logged(&workload, "hung-up").await;
    assert!(ended(&workload).await.success());
    drop(fifo);
}

#[tokio::test]
async fn a_failed_workload_is_kept_as_long_as_somebody_looks() {
    let rig = Rig::new().await;
    let spec = Spec { hold_ms: 600_000, ..rig.job("job", "echo left > /tmp/x; exit 3") };
    let workload = rig.host.start(spec).await.unwrap();
    let mut console = enter(&workload, "while ! test -e /tmp/x; do :; done; cat /tmp/x").await;
    let (out, code) = printed(&mut console).await;
    assert_eq!((out.trim(), code), ("left", Some(0)));
    workload.hold(0).await;
    let exit = ended(&workload).await;
    assert_eq!((exit.reason, exit.code), (Reason::Exited, Some(3)));
    let notes = notes(&workload.spec().log);
    assert!(notes.iter().any(|n| n.contains("kept for 600 seconds")), "{notes:?}");
}

#[tokio::test]
async fn a_kept_workload_is_let_go_by_a_stop_and_one_that_succeeds_is_not_kept() {
    let rig = Rig::new().await;
    let keep = |id: &str, script: &str| Spec { hold_ms: 600_000, ..rig.job(id, script) };
    let good = rig.host.start(keep("good", "true")).await.unwrap();
    assert!(ended(&good).await.success());
    let bad = rig.host.start(keep("bad", "exit 5")).await.unwrap();
    let mut console = enter(&bad, "echo in; sleep 1000").await;
    let mut first = [0; 2];
    console.terminal().read_exact(&mut first).await.unwrap();
    let exit = tokio::time::timeout(LONG, bad.stop()).await.unwrap();
    assert_eq!((exit.reason, exit.code), (Reason::Exited, Some(5)));
    printed(&mut console).await;
}

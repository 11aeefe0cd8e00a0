//! A server that is killed, and the next one.

use crate::rig::{Rig, ended, logged, shim, words};
use host::{Host, Mount, MountKind, Options, Spec};
use rustix::process::{Pid, Signal};
use std::io::{BufRead, BufReader};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Not a test but the server that the others kill: in a process of its own it starts what
/// `specs.json` holds, and says so.
#[tokio::test]
async fn server_process() {
    let Some(dir) = std::env::var_os("NARU_TEST_DIR").map(PathBuf::from) else { return };
    let options = Options { dir: dir.join("host"), shim: shim(), hidden: vec![] };
    let host = Host::open(options).await.unwrap();
    let specs: Vec<Spec> =
        serde_json::from_slice(&std::fs::read(dir.join("specs.json")).unwrap()).unwrap();
    for spec in specs {
        let workload = host.start(spec).await.unwrap();
        println!("started {}", workload.id());
    }
    std::future::pending::<()>().await;
}

/// Starts a server in a process group of its own, with what it says.
fn server(rig: &Rig, specs: &[Spec]) -> (Server, impl Iterator<Item = String> + use<>) {
    std::fs::write(rig.path("specs.json"), serde_json::to_vec(specs).unwrap()).unwrap();
    let mut server = Command::new(std::env::current_exe().unwrap());
    server.args(["--exact", "restart::server_process", "--nocapture"]);
    server.env("NARU_TEST_DIR", rig.dir.path()).stdin(Stdio::null());
    server.stdout(Stdio::piped()).stderr(Stdio::null()).process_group(0);
    let mut server = server.spawn().unwrap();
    let said = BufReader::new(server.stdout.take().unwrap()).lines().map_while(Result::ok);
    (Server(server), said.filter(|line| line.contains("started n") || line.contains("started a")))
}

/// Killed when it goes out of scope, if not before.
struct Server(Child);

impl Server {
    fn kill(mut self) {
        self.0.kill().unwrap();
        assert_eq!(self.0.wait().unwrap().signal(), Some(9));
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn a_workload_survives_the_death_of_its_server() {
    let rig = Rig::new().await;
    let fifo = rig.fifo();
    let script = format!("echo ready; read x < {}; echo still here", fifo.display());
    let spec = rig.plain("a", &script);
    let (server, mut said) = server(&rig, std::slice::from_ref(&spec));
    assert!(said.next().is_some());
    let group = Pid::from_child(&server.0);
    server.kill();
    // A Ctrl-C in the server's terminal reaches its whole process group.
    assert!(rustix::process::kill_process_group(group, Signal::INT).is_err(), "the shim left it");

    let host = rig.reopen().await;
    let workload = host.find("a").unwrap();
    assert_eq!(workload.exit(), None);
    logged(&workload, "ready").await;
    std::fs::write(fifo, "go\n").unwrap();
    assert!(ended(&workload).await.success());
    assert_eq!(words(&spec.log), ["ready", "still here"]);
}

#[tokio::test]
async fn killed_at_any_instant_nothing_runs_twice() {
    let rig = Rig::new().await;
    let specs: Vec<Spec> = (0..12).map(|n| marking(&rig, n)).collect();
    for round in 0..12u32 {
        let (server, mut said) = server(&rig, &specs);
        // After so many starts, and somewhere in the next.
        assert_eq!(said.by_ref().take(round as usize).count(), round as usize);
        let until = Instant::now() + Duration::from_micros(700) * round;
        while Instant::now() < until {
            std::hint::spin_loop();
        }
        server.kill();
    }
    let host = rig.reopen().await;
    for spec in specs {
        let workload = host.start(spec).await.unwrap();
        assert!(ended(&workload).await.success(), "{workload:?}");
    }
    let marks = std::fs::read_to_string(rig.path("mark")).unwrap();
    let mut marks: Vec<u32> = marks.lines().map(|n| n.parse().unwrap()).collect();
    marks.sort_unstable();
    assert_eq!(marks, (0..12).collect::<Vec<_>>(), "each ran once");
}

/// Leaves a mark each time it runs; every other one from a sandbox.
fn marking(rig: &Rig, n: u32) -> Spec {
    let from = rig.dir.path().to_owned();
    if n.is_multiple_of(2) {
        return rig.plain(&format!("n{n}"), &format!("echo {n} >> {}/mark", from.display()));
    }
    let mut spec = rig.job(&format!("n{n}"), &format!("echo {n} >> /at/mark"));
    let kind = MountKind::Writable { from };
    spec.sandbox.as_mut().unwrap().mounts = vec![Mount { at: "/at".into(), kind }];
    spec
}

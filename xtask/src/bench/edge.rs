//! The edge beside nginx on the same work: CPU microseconds of the proxy's own processes per request.
//!
//! That figure moves far less than requests per second when the machine is busy. One worker each; proxy on
//! core 0, origin and load on core 1; the two take turns A-B-B-A; keep-alive on both sides; no access log.

use super::{cpu_us, release, spread};
use crate::run;
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const ROUNDS: usize = 6;
const SECONDS: &str = "5";

pub fn bench() -> Result<()> {
    run::step(
        "build",
        "cargo",
        &["build", "--release", "--locked", "-p", "network-proxy", "--example", "edge"],
    )?;
    let dir = tempfile::tempdir()?;
    let [origin, proxy, edge] = [port()?, port()?, port()?];
    let answer = "location / { return 200 'hello, this is a small answer\\n'; }";
    let _origin = nginx(dir.path(), "origin", 1, origin, answer)?;
    let pass = format!(
        "location / {{ proxy_pass http://origin; proxy_http_version 1.1; proxy_set_header Connection ''; }} }} \
         upstream origin {{ server 127.0.0.1:{origin}; keepalive 64; keepalive_requests 100000000;"
    );
    let peer = nginx(dir.path(), "proxy", 0, proxy, &pass)?;
    let example = release("examples/edge")?;
    let ours = Server(
        pinned(0, &example.to_string_lossy())
            .args([format!("127.0.0.1:{edge}"), format!("127.0.0.1:{origin}")])
            .env("TOKIO_WORKER_THREADS", "1")
            .stdout(Stdio::null())
            .spawn()?,
    );
    listening(edge)?;
    let (mut a, mut b) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let turns = if round % 2 == 0 { [true, false] } else { [false, true] };
        for turn in turns {
            let (pids, port) =
                if turn { (vec![ours.0.id()], edge) } else { (family(peer.0.id())?, proxy) };
            let per_request = once(&pids, port)?;
            if turn { a.push(per_request) } else { b.push(per_request) }
        }
    }
    let ratios = a.iter().zip(&b).map(|(a, b)| a / b).collect();
    let show = |name: &str, (min, p50, max): (f64, f64, f64), unit: &str| {
        println!("{name:<22} min {min:.2}  median {p50:.2}  max {max:.2} {unit}");
    };
    show("edge, CPU per request", spread(a), "µs");
    show("nginx, CPU per request", spread(b), "µs");
    show("edge / nginx", spread(ratios), "");
    Ok(())
}

/// Ends with the bench.
pub(super) struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let pids = family(self.0.id()).unwrap_or_default();
        let pids: Vec<String> = pids.iter().map(ToString::to_string).collect();
        // Workers first: a master that is killed leaves them.
        let _ = Command::new("kill").args(pids.iter().rev()).stderr(Stdio::null()).status();
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(super) fn pinned(core: u32, program: &str) -> Command {
    let mut command = Command::new("taskset");
    command.args(["--cpu-list", &core.to_string(), program]);
    command
}

pub(super) fn nginx(dir: &Path, name: &str, core: u32, port: u16, inside: &str) -> Result<Server> {
    let file: PathBuf = dir.join(format!("{name}.conf"));
    let d = dir.display();
    let temp: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .iter()
        .map(|t| format!("{t}_temp_path {d}/{name}-{t};\n"))
        .collect();
    std::fs::write(
        &file,
        format!(
            "daemon off; worker_processes 1; pid {d}/{name}.pid; error_log {d}/{name}.log;\n\
             events {{ worker_connections 1024; }}\n\
             http {{ access_log off; keepalive_requests 100000000; {temp}\n\
             server {{ listen 127.0.0.1:{port}; {inside} }} }}\n"
        ),
    )?;
    let child = pinned(core, "nginx")
        .arg("-c")
        .arg(&file)
        .stderr(Stdio::null())
        .spawn()
        .context("start nginx")?;
    let server = Server(child);
    listening(port)?;
    Ok(server)
}

pub(super) fn port() -> Result<u16> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

fn listening(port: u16) -> Result<()> {
    for _ in 0..500 {
        if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    bail!("nothing listens on {port}")
}

/// A process and its children.
fn family(pid: u32) -> Result<Vec<u32>> {
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))?;
    Ok([pid]
        .into_iter()
        .chain(children.split_whitespace().filter_map(|c| c.parse().ok()))
        .collect())
}

fn once(pids: &[u32], port: u16) -> Result<f64> {
    let used = || pids.iter().map(|p| cpu_us(*p)).sum::<Result<f64>>();
    let load = |seconds: &str| {
        let url = format!("http://127.0.0.1:{port}/");
        run::output(
            "taskset",
            &[
                "--cpu-list",
                "1",
                "wrk",
                "-t1",
                "-c32",
                "-d",
                seconds,
                "-H",
                "Host: web.shop.localhost",
                &url,
            ],
        )
    };
    load("1")?;
    let before = used()?;
    let words = load(SECONDS)?;
    let spent = used()? - before;
    if words.contains("Non-2xx") || words.contains("Socket errors") {
        bail!("not every request was answered: {words}");
    }
    let line = words.lines().find(|l| l.contains("requests in")).context("wrk's answer")?;
    let requests: f64 = line.split_whitespace().next().context("wrk's answer")?.parse()?;
    Ok(spent / requests)
}

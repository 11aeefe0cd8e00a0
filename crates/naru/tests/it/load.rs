//! Performance tests: in a pipeline, where the job runs the server's own program and its result is kept; by hand,
//! against servers of all sorts.

use crate::tls::certificate;
use crate::{EXE, shop};
use rustix::process::{Signal, set_parent_process_death_signal};
use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

#[test]
fn a_job_measures_a_server_and_the_result_is_kept_per_commit() {
    let naru = shop();
    let ci = "performance:
  script:
    - python3 serve.py >/dev/null 2>&1 &
    - until [ -e port ]; do :; done
    - sed -i s/PORT/$(cat port)/ load.yaml
    - naru load run load.yaml --quiet --no-calibrate --summary-export load-performance.json
    - naru load gate --base main
  artifacts:
    reports:
      load_performance: load-performance.json
";
    let test = "scenarios:
  browse:
    executor: constant-arrival-rate
    rate: 20
    duration: 1s
    steps: [{request: {name: index, url: 'http://127.0.0.1:PORT/'}}]
thresholds:
  http_req_failed: ['rate<0.01']
";
    let server = "import http.server, os
server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), http.server.SimpleHTTPRequestHandler)
open('port.new', 'w').write(str(server.server_port))
os.rename('port.new', 'port')
server.serve_forever()
";
    let files = [(".gitlab-ci.yml", ci), ("load.yaml", test), ("serve.py", server)];
    let repository = naru.repository("shop", "web", &files).unwrap();
    let words = repository.follow().unwrap();
    let found = loop_until(|| {
        let found = naru.json(&["load", "list", "-p", "shop"]).unwrap();
        found["items"].get(0).cloned()
    });
    let found = found.unwrap_or_else(|| panic!("no result: {words}"));
    assert_eq!(found["scenario"], "browse", "{words}");
    assert_eq!(found["last"]["requests"], 20);
    assert_eq!(found["last"]["failed"], 0);
    assert_eq!(found["last"]["tool"], "naru");
    let page = naru.api("GET", "/projects/shop/load", "").unwrap();
    assert_eq!(page.status, 200);
    assert!(page.body.contains("web · browse"), "{}", page.body);
}

/// The follower works after the push has been answered: asked again until a limit, because nothing announces
/// a first result, which has no verdict yet.
fn loop_until<T>(mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    let end = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while std::time::Instant::now() < end {
        if let Some(found) = ask() {
            return Some(found);
        }
    }
    None
}

/// A server for the length of a test, and where it is.
struct Server {
    child: Child,
    port: u16,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Dies with the test.
fn mortal(command: &mut Command) -> &mut Command {
    // SAFETY: prctl is async-signal-safe and touches nothing of the parent's.
    unsafe { command.pre_exec(|| Ok(set_parent_process_death_signal(Some(Signal::KILL))?)) }
}

/// Starts a command that says its port in its first line.
fn serve(command: &mut Command) -> Server {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = mortal(command).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let port = line.trim().parse();
    let server = Server { child, port: port.as_ref().map_or(0, |port| *port) };
    assert!(port.is_ok(), "the server did not start: {line:?}");
    server
}

/// Answers at once, but for `/slow`.
const PACES: &str = "import http.server, time
class H(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    def do_GET(self):
        if self.path.startswith('/slow'): time.sleep(0.03)
        self.send_response(200)
        self.send_header('Content-Length', '2')
        self.end_headers()
        self.wfile.write(b'ok')
    def log_message(self, *a): pass
class S(http.server.ThreadingHTTPServer): request_queue_size = 128
s = S(('127.0.0.1', 0), H)
print(s.server_port, flush=True)
s.serve_forever()
";

/// nginx, which speaks HTTP/2 by ALPN to those who can, and answers with the protocol that it spoke.
fn over_tls(dir: &Path, versions: &str, chain: &Path, key: &Path) -> Server {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let (d, chain, key) = (dir.display(), chain.display(), key.display());
    let temp: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("{kind}_temp_path {d}/{kind};"))
        .concat();
    let conf = format!(
        "daemon off; master_process off; pid {d}/pid; error_log stderr;
events {{}}
http {{ access_log off; {temp}
  server {{ listen 127.0.0.1:{port} {versions}; ssl_certificate {chain}; ssl_certificate_key {key};
    location / {{ return 200 $server_protocol; }} }} }}
"
    );
    let file = dir.join("nginx.conf");
    std::fs::write(&file, conf).unwrap();
    let nginx = if Path::new("/usr/sbin/nginx").exists() { "/usr/sbin/nginx" } else { "nginx" };
    let mut command = Command::new(nginx);
    command.arg("-c").arg(&file).args(["-e", "stderr"]).stdin(Stdio::null()).stderr(Stdio::null());
    let server = Server { child: mortal(&mut command).spawn().unwrap(), port };
    assert!(loop_until(|| TcpStream::connect(("127.0.0.1", port)).ok()).is_some(), "no nginx");
    server
}

/// `naru load …`: its exit code, and all it printed.
fn load(args: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(EXE);
    command.arg("load").args(args).env("NARU_LANG", "en").env_remove("SSL_CERT_FILE");
    let out = command.stdin(Stdio::null()).output().unwrap();
    let words = [out.stdout, out.stderr].map(|w| String::from_utf8(w).unwrap()).concat();
    (out.status.code(), words)
}

#[track_caller]
fn ends(args: &[&str], code: i32, has: &[&str]) -> String {
    let (found, words) = load(args);
    assert_eq!(found, Some(code), "{args:?}: {words}");
    has.iter().for_each(|has| assert!(words.contains(has), "no {has:?}: {words}"));
    words
}

/// A test of one address whose every answer has `words` in it, and fails where not.
fn expecting(dir: &Path, url: &str, version: &str, words: &str) -> String {
    let file = dir.join("load.yaml");
    let test = format!(
        "httpVersion: '{version}'
scenarios:
  default:
    executor: constant-arrival-rate
    rate: 40
    duration: 500ms
    steps: [{{request: {{url: '{url}', checks: {{words: {{contains: '{words}'}}}}}}}}]
thresholds: {{checks: ['rate==1'], http_req_failed: ['rate==0']}}
"
    );
    std::fs::write(&file, test).unwrap();
    file.to_str().unwrap().to_owned()
}

#[test]
fn servers_are_measured_over_tls_in_the_protocol_that_both_speak() {
    let dir = tempfile::tempdir().unwrap();
    let (chain, key) = certificate(dir.path(), "server", "localhost");
    let (other, _) = certificate(dir.path(), "other", "localhost");
    let (ca, other) = (chain.to_str().unwrap(), other.to_str().unwrap());
    let both = over_tls(dir.path(), "ssl http2", &chain, &key);
    let url = format!("https://localhost:{}/", both.port);
    let test = |version, words| expecting(dir.path(), &url, version, words);
    let quiet = ["--quiet", "--no-calibrate"];
    let run = |file: &str, more: &[&str], code, has: &[&str]| {
        ends(&[&["run", file], &quiet[..], more].concat(), code, has)
    };
    run(&test("auto", "HTTP/2.0"), &["--cacert", ca], 0, &["100"]);
    run(&test("auto", "HTTP/2.0"), &["--insecure"], 0, &[]);
    run(&test("1.1", "HTTP/1.1"), &["--cacert", ca], 0, &[]);
    run(&test("2", "HTTP/2.0"), &["--cacert", ca], 0, &[]);
    // Nobody vouches for the server, or somebody else does.
    run(&test("auto", "HTTP/2.0"), &[], 99, &["tls", "thresholds were crossed"]);
    run(&test("auto", "HTTP/2.0"), &["--cacert", other], 99, &["tls"]);
    let mine = key.to_str().unwrap();
    run(&test("auto", ""), &["--cacert", mine], 1, &["no certificate in PEM", mine]);
    run(&test("auto", ""), &["--cacert", "absent.pem"], 1, &["absent.pem cannot be read"]);
    run(&test("auto", ""), &["--cacert", ca, "--insecure"], 2, &["cannot be used with"]);
    // One address needs no file.
    ends(
        &["run", &url, "--rate", "40", "--duration", "500ms", "--insecure", "--no-calibrate"],
        0,
        &[],
    );

    let dir = tempfile::tempdir().unwrap();
    let old = over_tls(dir.path(), "ssl", &chain, &key);
    let url = format!("https://localhost:{}/", old.port);
    let test = |version, words| expecting(dir.path(), &url, version, words);
    run(&test("auto", "HTTP/1.1"), &["--cacert", ca], 0, &[]);
    run(&test("2", "HTTP/2.0"), &["--cacert", ca], 99, &["tls"]);
}

#[test]
fn two_servers_or_two_results_are_compared_and_the_exit_code_says_how() {
    let server = serve(Command::new("python3").args(["-c", PACES]));
    let url = |path: &str| format!("http://127.0.0.1:{}/{path}", server.port);
    let (fast, slow) = (url("fast"), url("slow"));
    let turns = ["--rate", "100", "--block", "60ms"];
    let compare = |base: &str, head: &str, more: &[&str], code, has: &[&str]| {
        ends(&[&["compare", base, head], more].concat(), code, has)
    };
    compare(&fast, &slow, &turns, 1, &["worse", "p50"]);
    compare(&slow, &fast, &turns, 0, &["better"]);
    let json = compare(&slow, &fast, &[&turns[..], &["-o", "json"]].concat(), 0, &[]);
    assert!(
        json.contains("\"verdict\":\"better\"") || json.contains("\"verdict\": \"better\""),
        "{json}"
    );

    // The same test of both, from a file.
    let dir = tempfile::tempdir().unwrap();
    let test = expecting(dir.path(), "${BASE_URL}/x", "auto", "ok");
    compare(&fast, &slow, &["--test", &test, "--block", "60ms"], 1, &["worse"]);

    // A result of half a second has too little to tell anything.
    let result = dir.path().join("result.json").to_str().unwrap().to_owned();
    let test = expecting(dir.path(), &fast, "auto", "ok");
    let export = ["--quiet", "--no-calibrate", "--summary-export", result.as_str()];
    ends(&[&["run", test.as_str()], &export[..]].concat(), 0, &[]);
    compare(&result, &result, &[], 0, &["cannot tell"]);
    compare(&result, &result, &["--strict"], 1, &["cannot tell"]);

    compare(&result, &fast, &[], 1, &["either two result files or two addresses"]);
    compare(&result, "absent.json", &[], 1, &["absent.json cannot be read"]);
    compare(&result, &test, &[], 1, &["is no result of a performance test"]);
    compare(&fast, &fast, &["--block", "soon"], 1, &["“soon” is not a length of time"]);
}

#[test]
fn thresholds_end_with_99_and_whatever_is_wrong_with_the_test_with_1() {
    let server = serve(Command::new("python3").args(["-c", PACES]));
    let dir = tempfile::tempdir().unwrap();
    let url = format!("http://127.0.0.1:{}/fast", server.port);
    let quiet = ["--quiet", "--no-calibrate"];
    let run = |file: &str, more: &[&str], code, has: &[&str]| {
        ends(&[&["run", file], &quiet[..], more].concat(), code, has)
    };
    run(&expecting(dir.path(), &url, "auto", "ok"), &[], 0, &[]);
    let words = run(&expecting(dir.path(), &url, "auto", "other"), &[], 99, &["checks"]);
    assert!(words.contains("thresholds were crossed"), "{words}");
    // Nobody there is a result, too: k6 ends with 0 unless a threshold says otherwise.
    let gone = "http://127.0.0.1:1/";
    run(&expecting(dir.path(), gone, "auto", "ok"), &[], 99, &["refused"]);
    run(gone, &["--rate", "20", "--duration", "300ms"], 0, &["refused"]);
    let file = dir.path().join("odd.yaml");
    std::fs::write(&file, "scenarios:\n  a: {executer: constant-vus}\n").unwrap();
    let odd = file.to_str().unwrap();
    run(odd, &[], 1, &["odd.yaml:2:", "executor"]);
    run("absent.yaml", &[], 1, &["absent.yaml cannot be read"]);
    let nowhere = dir.path().join("no/where.json").to_str().unwrap().to_owned();
    let test = expecting(dir.path(), &url, "auto", "ok");
    run(&test, &["--summary-export", &nowhere], 1, &["where.json cannot be written"]);
}

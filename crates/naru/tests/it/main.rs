//! The whole program, driven as its users drive it: git, the command line, HTTP, a browser.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests")]

mod account;
mod command;
mod ended;
mod environment;
mod flow;
mod front;
mod generic;
mod hostile;
mod identity;
mod journey;
mod kill;
mod load;
mod local;
mod page;
mod passkey;
mod policy;
mod report;
mod review;
mod route;
mod secret;
mod service;
mod simulation;
mod sso;
mod submodule;
mod tls;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use testkit::Naru;

/// The program under test.
const EXE: &str = env!("CARGO_BIN_EXE_naru");

/// The timetable of the examples: a real service with tests of its own.
const TIMETABLE: &[(&str, &str)] = &[
    ("app.py", include_str!("../../../../examples/timetable/app.py")),
    ("timetable.py", include_str!("../../../../examples/timetable/timetable.py")),
    ("test_timetable.py", include_str!("../../../../examples/timetable/test_timetable.py")),
    (".gitlab-ci.yml", include_str!("../../../../examples/timetable/.gitlab-ci.yml")),
    ("naru.yaml", include_str!("../../../../examples/timetable/naru.yaml")),
];

const WEB: &str = "web.shop.localhost";

/// A server with a project `shop`.
fn shop() -> Naru {
    let naru = Naru::start(EXE).unwrap();
    naru.say(&["project", "create", "shop"]).unwrap();
    naru
}

/// A service that answers with `words`, in the smallest program every machine runs.
fn service(words: &str) -> [(&'static str, String); 2] {
    let app = format!(
        "import http.server, os\nclass H(http.server.BaseHTTPRequestHandler):\n    protocol_version = 'HTTP/1.1'\n    def do_GET(self):\n        body = b'{words}'\n        self.send_response(200)\n        self.send_header('Content-Length', str(len(body)))\n        self.end_headers()\n        self.wfile.write(body)\n    def log_message(self, *a): pass\nclass S(http.server.ThreadingHTTPServer):\n    request_queue_size = 128\nS(('127.0.0.1', int(os.environ['PORT'])), H).serve_forever()\n"
    );
    let manifest =
        "kind: Service\nname: web\nspec:\n  command: python3 app.py\n  replicas: 2\n  health: /\n";
    [("app.py", app), ("naru.yaml", manifest.to_owned())]
}

fn files<'a>(all: &'a [(&'static str, String)]) -> Vec<(&'a str, &'a str)> {
    all.iter().map(|(f, w)| (*f, w.as_str())).collect()
}

/// The last line that the server had git print: the exit of the journey.
fn last(words: &str) -> &str {
    words.lines().rfind(|l| l.starts_with("remote:")).unwrap_or("").trim_end()
}

/// Requests without pause against the edge while `work` runs: how many were answered, and the first that
/// was not answered with 200.
fn under_load<T>(naru: &Naru, host: &str, work: impl FnOnce() -> T) -> (T, u64, Option<String>) {
    let (stop, count) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        let load = scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                match naru.visit(host, "/") {
                    Ok(answer) if answer.status == 200 => count.fetch_add(1, Ordering::Relaxed),
                    Ok(answer) => return Some(format!("{} {}", answer.status, answer.body)),
                    Err(error) => return Some(error.to_string()),
                };
            }
            None
        });
        // A test that fails here must still end its load.
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
        stop.store(true, Ordering::Relaxed);
        let failed = load.join().unwrap();
        let done = done.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        (done, count.load(Ordering::Relaxed), failed)
    })
}

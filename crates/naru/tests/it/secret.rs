//! Secrets: used by a job, a service and an error path, and found nowhere in clear.

use crate::environment::until;
use crate::{files, last, shop};
use std::io::Write;
use std::path::Path;
use std::process::Stdio;
use testkit::Naru;

/// With letters that encoders write otherwise.
const CANARY: &str = "c4nary+Zq/8&<fK\"7wJ";

const CI: &str = "use:
  variables: {URL: \"postgres://u:$CANARY@db\"}
  script:
    - set -x
    - test -n \"$CANARY\"
    - echo \"$CANARY\"
    - printf %s \"$CANARY\" | base64
    - printf %s \"x$CANARY\" | base64
    - printf %s \"xy$CANARY\" | base64
    - printf %s \"$CANARY\" | od -An -tx1 | tr -d ' \\n'
    - echo \"$URL\"
    - cat \"$KEY\"
    - python3 -c 'import os,json,urllib.parse as u; c=os.environ[\"CANARY\"]; print(json.dumps({\"c\":c}), u.quote(c), u.quote_plus(c))'
    - echo \"TOLD=$CANARY\" > told.env
    - stat -c %a \"$KEY\"
  after_script: [\"echo after $CANARY\"]
  artifacts: {reports: {dotenv: told.env}}
  environment: {name: staging, url: \"https://$CANARY.example.com\"}
other:
  script: ['test -z \"$GUARDED_BY_ENVIRONMENT\"']
";

const APP: &str = "import hashlib, http.server, os, sys
secret = os.environ['PASSWORD']
print('started with', secret, file=sys.stderr, flush=True)
body = hashlib.sha256((secret + open(os.environ['KEY']).read()).encode()).hexdigest().encode()
class H(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.send_header('Content-Length', str(len(body))); self.end_headers(); self.wfile.write(body)
    def log_message(self, *a): pass
http.server.HTTPServer(('127.0.0.1', int(os.environ['PORT'])), H).serve_forever()
";

fn manifest(secret: &str) -> String {
    format!(
        "kind: Service\nname: web\nspec:\n  command: python3 app.py\n  health: /\n  env:\n    \
         PASSWORD: {{secret: {{name: {secret}, roll: true}}}}\n    KEY: {{secret: {{name: canary, file: true}}}}\n"
    )
}

fn set(naru: &Naru, name: &str, value: &str, more: &[&str]) {
    let args = [&["secret", "set", name, "-p", "shop"], more].concat();
    let mut child =
        naru.command(&args).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(format!("{value}\n").as_bytes()).unwrap();
    assert!(child.wait_with_output().unwrap().status.success(), "{name}");
}

/// How it may be written: as it is, in hex, for URLs and JSON, and the letters that base64 has for it wherever it
/// begins.
fn spellings() -> Vec<Vec<u8>> {
    let bytes = CANARY.as_bytes();
    let hex: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
    let mut all = vec![bytes.to_vec(), hex.into_bytes()];
    all.push(CANARY.replace('"', "\\\"").into_bytes());
    all.push(b"c4nary%2BZq".to_vec());
    for before in 0..3 {
        let letters = base64(&[&vec![0; before], bytes].concat());
        let whole = (before + bytes.len()) * 8 / 6;
        all.push(letters[(before * 8).div_ceil(6)..whole].to_vec());
    }
    all
}

fn base64(bytes: &[u8]) -> Vec<u8> {
    let letters: Vec<u8> =
        (b'A'..=b'Z').chain(b'a'..=b'z').chain(b'0'..=b'9').chain(*b"+/").collect();
    let bits: Vec<bool> =
        bytes.iter().flat_map(|b| (0..8).rev().map(move |i| b >> i & 1 == 1)).collect();
    let six = |six: &[bool]| (0..6).fold(0, |n, i| n * 2 + usize::from(six.get(i) == Some(&true)));
    bits.chunks(6).map(|chunk| letters[six(chunk)]).collect()
}

fn tells(bytes: &[u8]) -> Option<String> {
    let found = spellings().into_iter().find(|s| bytes.windows(s.len()).any(|w| w == s.as_slice()));
    found.map(|s| String::from_utf8_lossy(&s).into_owned())
}

/// Files below that hold it, and how.
fn search(dir: &Path, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        let Ok(meta) = std::fs::symlink_metadata(&path) else { continue };
        if meta.is_dir() {
            search(&path, found);
        } else if meta.is_file()
            && let Some(how) = std::fs::read(&path).ok().and_then(|bytes| tells(&bytes))
        {
            found.push(format!("{} as {how}", path.display()));
        }
    }
}

fn command_lines() -> Vec<u8> {
    let lines = std::fs::read_dir("/proc").unwrap().flatten();
    lines.flat_map(|e| std::fs::read(e.path().join("cmdline")).unwrap_or_default()).collect()
}

#[test]
fn a_canary_is_used_and_found_nowhere() {
    let naru = shop();
    set(&naru, "CANARY", CANARY, &["--description", "of the test"]);
    set(
        &naru,
        "KEY",
        &format!("-----BEGIN-----\n{CANARY}\n-----END-----"),
        &["--file", "--env", "staging"],
    );
    set(&naru, "GUARDED_BY_ENVIRONMENT", "for production only", &["--env", "production"]);
    let all = [
        (".gitlab-ci.yml", CI.to_owned()),
        ("app.py", APP.to_owned()),
        ("naru.yaml", manifest("CANARY")),
    ];
    let web = naru.repository("shop", "web", &files(&all)).unwrap();
    let told = web.follow().unwrap();
    assert!(tells(told.as_bytes()).is_none(), "{told}");
    let answer = naru.visit("web.shop.localhost", "/").unwrap();
    assert_eq!(answer.status, 200, "{told}");
    let mut seen = Vec::new();
    search(naru.data(), &mut seen);
    assert!(seen.is_empty(), "while it runs: {seen:#?}");
    assert!(tells(&command_lines()).is_none());

    // The job had it, in every way it printed it.
    let run = naru.json(&["run", "list", "-p", "shop"]).unwrap();
    let run =
        run.as_array().unwrap().iter().find(|r| r["kind"] == "pipeline").unwrap()["id"].clone();
    let log = naru.say(&["run", "log", run.as_str().unwrap(), "use", "-p", "shop"]).unwrap();
    assert!(log.matches("[MASKED]").count() >= 10, "{log}");
    assert!(log.contains("after [MASKED]") && log.contains("400"), "{log}");
    assert!(log.contains("-----BEGIN-----"), "the frame of a key is no secret: {log}");
    assert!(tells(log.as_bytes()).is_none(), "{log}");

    // A new value rolls the service; what it answers is made of it.
    let before = answer.body;
    let listed = naru.json(&["secret", "list", "-p", "shop"]).unwrap();
    assert_eq!(listed.as_array().unwrap().len(), 3);
    set(&naru, "canary", &CANARY.replace("c4nary", "c4naryc4nary"), &[]);
    let rolled = until(&naru, |event| {
        let ours = event["kind"] == "rollout.finished" && event["data"]["service"] == "web";
        let restart = ours && event["data"]["cause"] == "restart";
        restart.then(|| event["data"]["verdict"].clone())
    });
    assert_eq!(rolled, "passed");
    assert_ne!(naru.visit("web.shop.localhost", "/").unwrap().body, before, "rolled");

    // A secret that is missing: the rollout says which variable wants it, and the old release serves on.
    web.commit("wants more", &[("naru.yaml", &manifest("NOT_THERE"))]).unwrap();
    let told = web.follow().unwrap();
    assert!(told.contains("PASSWORD") && told.contains("NOT_THERE"), "{told}");
    assert!(!last(&told).contains("live"), "{told}");
    assert_eq!(naru.visit("web.shop.localhost", "/").unwrap().status, 200);

    answers_tell_nothing(&naru);
    let mut seen = Vec::new();
    search(naru.data(), &mut seen);
    assert!(seen.is_empty(), "{seen:#?}");
}

/// What the API and the pages say of it, on good and bad ways.
fn answers_tell_nothing(naru: &Naru) {
    let escaped = CANARY.replace('"', "\\\"");
    for (method, path, body) in [
        ("GET", "/api/v1/events?project=shop&limit=500", String::new()),
        ("GET", "/api/v1/projects/shop/secrets", String::new()),
        ("GET", "/api/v1/projects/shop/secrets/canary/view", String::new()),
        ("GET", "/api/v1/projects/shop/secret-list", String::new()),
        ("GET", "/api/v1/projects/shop/services/web", String::new()),
        ("GET", "/api/v1/projects/shop/releases", String::new()),
        ("GET", "/api/v1/projects/shop/instances", String::new()),
        ("GET", "/api/v1/secret-key", String::new()),
        ("GET", "/projects/shop/secrets", String::new()),
        ("GET", "/projects/shop/secrets/canary", String::new()),
        (
            "POST",
            "/api/v1/projects/shop/secrets/canary/set",
            format!("{{\"value\": \"{escaped}\", \"x\": 1}}"),
        ),
        (
            "POST",
            "/api/v1/projects/shop/secrets/canary/set",
            format!("{{\"settings\": \"{escaped}\"}}"),
        ),
        ("POST", "/api/v1/projects/shop/secret-import", format!("[\"{escaped}\"]")),
        (
            "PUT",
            "/api/v1/projects/shop/secrets/canary",
            format!("{{\"spec\": {{\"description\": \"{escaped}\"}}}}"),
        ),
    ] {
        let answer = naru.api(method, path, &body).unwrap();
        assert_eq!(tells(answer.body.as_bytes()), None, "{method} {path}: {}", answer.body);
        assert!(
            method == "GET" && answer.status == 200 || answer.status >= 400,
            "{path}: {}",
            answer.status
        );
    }
    let shown = naru.say(&["secret", "reveal", "canary", "-p", "shop", "--version", "1"]).unwrap();
    assert_eq!(shown.trim_end(), CANARY, "whoever may reads it");
}

#[test]
fn where_the_project_wants_two_persons_nobody_reads_a_value_alone() {
    let naru = shop();
    set(&naru, "CANARY", CANARY, &[]);
    naru.say(&["user", "create", "ann"]).unwrap();
    let made = naru.json(&["token", "create", "laptop", "--for", "ann"]).unwrap();
    let ann = made["token"].as_str().unwrap().to_owned();
    let owner = |name: &str| serde_json::json!({ "user": name, "role": "owner" });
    let spec = serde_json::json!({ "spec": {
        "members": [owner("admin"), owner("ann")], "two_person": [{ "action": "secret.read" }],
    } });
    let answer = naru.api("PATCH", "/api/v1/projects/shop", &spec.to_string()).unwrap();
    assert_eq!(answer.status, 200, "{}", answer.body);
    let reveal = || naru.api("POST", "/api/v1/projects/shop/secrets/canary/reveal", "").unwrap();
    let refused = reveal();
    assert_eq!((refused.status, tells(refused.body.as_bytes())), (403, None), "{}", refused.body);
    let refused = refused.json().unwrap();
    assert_eq!(refused["code"], "auth.second-person", "{refused}");

    // What the refusal says is what works.
    let hint = refused["hint"].as_str().unwrap();
    let command = hint.split('`').nth(1).unwrap().replace("…", "incident");
    let words: Vec<&str> = command.split(' ').skip(1).chain(["--for", "10m"]).collect();
    let asked = naru.json(&words).unwrap();
    let id = asked["name"].as_str().or(asked["id"].as_str()).unwrap_or_else(|| panic!("{asked}"));
    assert_eq!(reveal().status, 403, "asked is not approved");
    let own = naru.command(&["access", "approve", id]).output().unwrap();
    assert!(!own.status.success(), "nobody approves what he asked for");
    let hers = naru
        .command(&["access", "approve", id])
        .env("NARU_URL", &naru.url)
        .env("NARU_TOKEN", &ann)
        .output();
    let hers = hers.unwrap();
    assert!(hers.status.success(), "{}", String::from_utf8_lossy(&hers.stderr));
    let shown = reveal();
    assert_eq!(shown.json().unwrap()["value"], CANARY, "{}", shown.status);
    let told = naru.json(&["audit", "search", "--what", "secret.revealed,auth.refused"]).unwrap();
    assert_eq!(tells(told.to_string().as_bytes()), None);
    let kinds: Vec<&str> =
        told["items"].as_array().unwrap().iter().filter_map(|e| e["kind"].as_str()).collect();
    assert_eq!(kinds.iter().filter(|k| **k == "secret.revealed").count(), 1, "{told}");
    assert!(kinds.contains(&"auth.refused"), "{told}");
}

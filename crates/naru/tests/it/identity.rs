//! Jobs that show who they are: to this server with their token, to others with a signed one.

use crate::{EXE, shop};
use testkit::{Naru, request};

/// What a job of `shop/web` gets when it asks this server, a line each.
const ASKS: &str = r#"
ask:
  script:
    - |
      ask() { curl -s -o /dev/null -w "$1 %{http_code}\n" -H "Authorization: Bearer $NARU_TOKEN" "${@:3}" "$NARU_URL$2"; }
    - ask own /api/v1/projects/shop/runs
    - ask other /api/v1/projects/secret/runs
    - ask write /api/v1/projects/shop/runs/$NARU_RUN_ID/cancel -X POST
    - NARU_TOKEN=${NARU_TOKEN}x ask forged /api/v1/projects/shop/runs
    - git clone -q "http://gitlab-ci-token:$CI_JOB_TOKEN@${NARU_URL#http://}/shop/web.git" /tmp/clone
    - echo "cloned $(git -C /tmp/clone rev-parse HEAD)"
    - naru project list -o json || true
    - echo "turned $NARU_TOKEN" | tr 'A-Za-z' 'N-ZA-Mn-za-m'
"#;

fn log(naru: &Naru, run: &str, step: &str) -> String {
    naru.say(&["run", "log", run, step, "-p", "shop"]).unwrap()
}

#[test]
fn a_job_sees_its_own_project_changes_nothing_and_only_while_it_runs() {
    let naru = shop();
    naru.say(&["project", "create", "secret"]).unwrap();
    let work = naru.repository("shop", "web", &[(".gitlab-ci.yml", ASKS)]).unwrap();
    let said = work.follow().unwrap();
    let runs = naru.json(&["run", "list", "-p", "shop", "--kind", "pipeline"]).unwrap();
    let run = runs[0]["id"].as_str().unwrap_or_else(|| panic!("{said}"));
    let log = log(&naru, run, "ask");
    for line in ["own 200", "other 404", "write 403", "forged 401"] {
        assert!(log.contains(line), "{line}: {log}");
    }
    let head = work.git(&["rev-parse", "HEAD"]).unwrap();
    assert!(log.contains(&format!("cloned {}", head.trim())), "{log}");
    // Turned by thirteen letters, so that the mask of logs does not hide it from this test.
    let token: String =
        log.lines().find_map(|l| l.strip_prefix("ghearq ")).unwrap().chars().map(turn).collect();
    assert!(token.starts_with("naru_job_"), "{token}");
    assert!(!log.contains(&token), "a token in a log");
    let bearer = format!("Bearer {token}");
    let path = "/api/v1/projects/shop/runs";
    let late = request(
        naru.address().unwrap(),
        "127.0.0.1",
        "GET",
        path,
        &[("authorization", &bearer)],
        b"",
    );
    assert_eq!(late.unwrap().status, 401, "the attempt is over, and so is its token");
}

fn turn(letter: char) -> char {
    let by = |first: u8| char::from((letter as u8 - first + 13) % 26 + first);
    match letter {
        'a'..='z' => by(b'a'),
        'A'..='Z' => by(b'A'),
        other => other,
    }
}

#[test]
fn the_keys_that_check_signed_tokens_are_where_strangers_look() {
    let naru = Naru::start(EXE).unwrap();
    let get = |path: &str| {
        request(naru.address().unwrap(), "127.0.0.1", "GET", path, &[], b"")
            .unwrap()
            .json()
            .unwrap()
    };
    let about = get("/.well-known/openid-configuration");
    assert_eq!(about["issuer"], naru.url.as_str());
    let keys = about["jwks_uri"].as_str().unwrap().strip_prefix(&naru.url).unwrap().to_owned();
    let keys = get(&keys);
    let keys = keys["keys"].as_array().unwrap();
    let algorithms: Vec<&str> = keys.iter().filter_map(|key| key["alg"].as_str()).collect();
    assert_eq!(algorithms, ["RS256", "ES256"]);
    assert!(keys.iter().all(|key| key["d"].is_null()), "{keys:?}");
}

/// Answers with the token in its file, and whether a program of its own may change it.
const SHOWS: &str = "import http.server, os, signal
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
class H(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = open(os.environ['AUDITOR_TOKEN'], 'rb').read()
        self.send_response(200); self.send_header('Content-Length', str(len(body))); self.end_headers(); self.wfile.write(body)
    def log_message(self, *a): pass
http.server.HTTPServer(('127.0.0.1', int(os.environ['PORT'])), H).serve_forever()
";

const CHECKS: &str = "import json, sys, urllib.request
import jwt
issuer, token = sys.argv[1], sys.argv[2]
about = json.load(urllib.request.urlopen(issuer + '/.well-known/openid-configuration'))
assert about['issuer'] == issuer, about
key = jwt.PyJWKClient(about['jwks_uri']).get_signing_key_from_jwt(token)
claims = jwt.decode(token, key.key, algorithms=about['id_token_signing_alg_values_supported'], audience='https://auditor.example', issuer=issuer,
                    options={'require': ['iss', 'sub', 'aud', 'exp', 'iat', 'nbf', 'jti']})
for wrong in ('https://other.example', 'auditor.example'):
    try:
        jwt.decode(token, key.key, algorithms=about['id_token_signing_alg_values_supported'], audience=wrong, issuer=issuer)
        sys.exit('taken for ' + wrong)
    except jwt.InvalidAudienceError:
        pass
try:
    jwt.decode(token[:-4] + ('AAAA' if token[-4:] != 'AAAA' else 'BBBB'), key.key, algorithms=about['id_token_signing_alg_values_supported'],
               audience='https://auditor.example')
    sys.exit('a changed one was taken')
except jwt.InvalidSignatureError:
    pass
print(json.dumps(claims))
";

#[test]
fn an_instance_of_a_service_shows_who_it_is_to_a_stranger_with_a_library() {
    let naru = shop();
    let manifest = "kind: Service\nname: web\nspec:\n  command: python3 app.py\n  health: /\n  \
                    id_tokens: {AUDITOR_TOKEN: {aud: https://auditor.example, life: 5m}}\n";
    let files = [("app.py", SHOWS), ("naru.yaml", manifest)];
    let web = naru.repository("shop", "web", &files).unwrap();
    let told = web.follow().unwrap();
    let answer = naru.visit("web.shop.localhost", "/").unwrap();
    assert_eq!(answer.status, 200, "{told}");
    // The one that the package of the library is for.
    let checked = std::process::Command::new("/usr/bin/python3")
        .args(["-c", CHECKS, &naru.url, &answer.body])
        .output()
        .unwrap();
    let complaint = String::from_utf8_lossy(&checked.stderr);
    assert!(checked.status.success(), "{complaint}");
    let claims: serde_json::Value = serde_json::from_slice(&checked.stdout).unwrap();
    let head = web.git(&["rev-parse", "HEAD"]).unwrap();
    for (claim, value) in [
        ("sub", "project_path:shop/web:service:web:environment:production"),
        ("project_path", "shop/web"),
        ("ref", "main"),
        ("ref_protected", "true"),
        ("environment", "production"),
        ("instance", "shop.web.1.0.1"),
        ("sha", head.trim()),
    ] {
        assert_eq!(claims[claim], value, "{claim}: {claims}");
    }
    assert!(claims["change"].as_str().unwrap().starts_with("web-"), "{claims}");
    let life = claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap();
    assert_eq!(life, 300, "{claims}");
}

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

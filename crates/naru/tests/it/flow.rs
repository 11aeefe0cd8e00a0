//! How pipelines start and what they start: by a token, by the clock, by another pipeline.

use crate::{EXE, shop};
use serde_json::Value;
use std::process::Command;
use testkit::Naru;

/// Says who started it, and what it was given.
const SAYS: &str = "
job: {script: 'echo \"source=$CI_PIPELINE_SOURCE who=$WHO number=$CI_PIPELINE_ID\"'}
";

/// The real curl; what it printed.
fn curl(naru: &Naru, path: &str, args: &[&str]) -> String {
    let url = format!("{}{path}", naru.url);
    let out = Command::new("curl").args(["--silent", "--show-error"]).args(args).arg(url).output();
    let out = out.unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).unwrap()
}

fn json(words: &str) -> Value {
    serde_json::from_str(words).unwrap_or_else(|_| panic!("no JSON: {words}"))
}

/// Waits for the end of a step: what it printed.
fn log(naru: &Naru, run: &Value, step: &str) -> String {
    naru.say(&["run", "log", run.as_str().unwrap(), step, "-p", "shop"]).unwrap()
}

fn runs(naru: &Naru, project: &str) -> Vec<Value> {
    let runs = naru.json(&["run", "list", "-p", project, "--kind", "pipeline"]).unwrap();
    runs.as_array().unwrap().clone()
}

#[test]
fn a_token_starts_a_pipeline_and_so_do_clients_of_gitlab() {
    let naru = shop();
    let work = naru.repository("shop", "web", &[(".gitlab-ci.yml", SAYS)]).unwrap();
    work.follow().unwrap();
    let token = naru.say(&["pipeline", "token", "create", "ci", "-p", "shop"]).unwrap();
    let token = token.trim();

    let path = "/api/v4/projects/shop%2Fweb/trigger/pipeline";
    let field = format!("token={token}");
    // As GitLab's own documents have it.
    let form = [
        "--request",
        "POST",
        "--form",
        &field,
        "--form",
        "ref=main",
        "--form",
        "variables[WHO]=curl",
    ];
    let made = json(&curl(&naru, path, &form));
    assert_eq!((made["source"].as_str(), made["ref"].as_str()), (Some("trigger"), Some("main")));
    let words = log(&naru, &made["run"], "job");
    let number = made["id"].as_u64().unwrap();
    assert!(words.contains(&format!("source=trigger who=curl number={number}")), "{words}");

    let status = ["--output", "/dev/null", "--write-out", "%{http_code}", "--request", "POST"];
    let wrong = [&status[..], &["--form", "token=naru_trigger_no", "--form", "ref=main"]].concat();
    assert_eq!(curl(&naru, path, &wrong), "404");
    let lost = [&status[..], &["--form", &field, "--form", "ref=lost"]].concat();
    assert_eq!(curl(&naru, path, &lost), "404");
    naru.say(&["pipeline", "token", "revoke", "ci", "-p", "shop"]).unwrap();
    let revoked = [&status[..], &["--form", &field, "--form", "ref=main"]].concat();
    assert_eq!(curl(&naru, path, &revoked), "404");

    // A personal token, where clients of GitLab put it.
    let private = format!("PRIVATE-TOKEN: {}", naru.token().unwrap());
    let path = "/api/v4/projects/shop%2Fweb/pipeline?ref=main";
    let body = r#"{"variables": [{"key": "WHO", "value": "glab"}]}"#;
    let header = "Content-Type: application/json";
    let made =
        json(&curl(&naru, path, &["--header", &private, "--header", header, "--data", body]));
    let words = log(&naru, &made["run"], "job");
    assert!(words.contains("source=api who=glab"), "{words}");
    let path = format!("/api/v4/projects/shop%2Fweb/pipelines/{}", made["id"]);
    assert_eq!(json(&curl(&naru, &path, &["--header", &private]))["run"], made["run"]);
    assert_eq!(curl(&naru, &path, &status[..4]), "401");
}

#[test]
fn a_schedule_is_a_resource_and_can_be_played() {
    let naru = shop();
    let work = naru.repository("shop", "web", &[(".gitlab-ci.yml", SAYS)]).unwrap();
    work.follow().unwrap();
    let file = work.path().join("schedule.yaml");
    let nightly = "kind: Schedule\nname: nightly\nspec:\n  repository: web\n  ref: main\n  cron: '30 4 * * mon-fri'\n  timezone: Asia/Seoul\n  variables: {WHO: clock}\n";
    std::fs::write(&file, nightly).unwrap();
    naru.say(&["apply", "-f", file.to_str().unwrap(), "-p", "shop"]).unwrap();
    let run = naru.json(&["pipeline", "schedule", "play", "nightly", "-p", "shop"]).unwrap();
    let words = log(&naru, &run["run"], "job");
    assert!(words.contains("source=schedule who=clock"), "{words}");
    std::fs::write(&file, nightly.replace("30 4", "30 25")).unwrap();
    let refused = naru.say(&["apply", "-f", file.to_str().unwrap(), "-p", "shop"]).unwrap_err();
    assert!(refused.to_string().contains("“25” is no hour"), "{refused}");
}

#[test]
fn children_and_other_repositories_are_waited_for() {
    let naru = Naru::start(EXE).unwrap();
    naru.say(&["project", "create", "shop"]).unwrap();
    naru.say(&["project", "create", "lib"]).unwrap();
    let core = naru.repository("lib", "core", &[(".gitlab-ci.yml", SAYS)]).unwrap();
    core.follow().unwrap();
    let ci = "
stages: [build, test, deploy]
build:
  stage: build
  script: ['echo \"inner: {script: exit $CODE}\" > gen.yml']
  artifacts: {paths: [gen.yml]}
child:
  stage: test
  variables: {CODE: '0'}
  trigger: {include: [{artifact: gen.yml, job: build}], strategy: depend}
lib:
  stage: test
  variables: {WHO: above}
  trigger: {project: lib/core, branch: main, strategy: depend}
after: {stage: deploy, script: echo both are over}
";
    let work = naru.repository("shop", "web", &[(".gitlab-ci.yml", ci)]).unwrap();
    let words = work.follow().unwrap();
    assert!(words.contains("after passed"), "{words}");
    let all = runs(&naru, "shop");
    let above = all.iter().find(|r| r["labels"]["source"] == "push").unwrap();
    let path = format!("/api/v1/projects/shop/runs/{}/downstream", above["id"].as_str().unwrap());
    let below = naru.api("GET", &path, "").unwrap().json().unwrap();
    let mut below: Vec<_> = below
        .as_array()
        .unwrap()
        .iter()
        .map(|c| {
            (c["step"].as_str().unwrap().to_owned(), c["project"].as_str().unwrap().to_owned())
        })
        .collect();
    below.sort();
    let want = [("child", "shop"), ("lib", "lib")].map(|(s, p)| (s.to_owned(), p.to_owned()));
    assert_eq!(below, want);
    let started =
        runs(&naru, "lib").into_iter().find(|r| r["labels"]["source"] == "pipeline").unwrap();
    let id = started["id"].as_str().unwrap();
    let words = naru.say(&["run", "log", id, "job", "-p", "lib"]).unwrap();
    assert!(words.contains("source=pipeline who=above"), "{words}");
}

#[test]
fn a_newer_push_ends_what_may_be_interrupted() {
    let naru = shop();
    let ci = |code: u32| {
        format!(
            "
workflow: {{auto_cancel: {{on_new_commit: interruptible}}}}
slow: {{interruptible: true, script: 'echo begun; sleep {code}'}}
kept: {{script: 'test {code} = 0 || sleep 2; echo kept'}}
"
        )
    };
    let work = naru.repository("shop", "web", &[(".gitlab-ci.yml", &ci(300))]).unwrap();
    let (pushed, words) = work.push(&["naru", "main"]).unwrap();
    assert!(pushed, "{words}");
    let first = runs(&naru, "shop")[0]["id"].clone();
    work.commit("Again", &[(".gitlab-ci.yml", &ci(0))]).unwrap();
    work.follow().unwrap();
    let words = log(&naru, &first, "slow");
    assert!(words.contains("a newer push overtook it"), "{words}");
    assert!(log(&naru, &first, "kept").contains("kept"));
}

#[test]
fn what_a_branch_leaves_in_a_cache_reaches_no_job_of_the_protected_one() {
    let naru = shop();
    let ci = "a:
  cache: { key: tools, paths: [bin] }
  script:
    - echo found=$(cat bin/tool 2>/dev/null || echo nothing)
    - mkdir -p bin; echo $CI_COMMIT_BRANCH > bin/tool
";
    let work = naru.repository("shop", "web", &[(".gitlab-ci.yml", ci)]).unwrap();
    let found = || {
        let run = naru.json(&["run", "list", "-p", "shop", "--limit", "1"]).unwrap();
        let run = run[0]["id"].as_str().unwrap().to_owned();
        let log = naru.say(&["run", "log", &run, "a", "-p", "shop"]).unwrap();
        let line =
            log.lines().find_map(|l| l.split_once("found=").filter(|(b, _)| !b.contains('$')));
        line.map(|(_, words)| words.trim().to_owned()).unwrap_or(log)
    };
    work.follow().unwrap();
    assert_eq!(found(), "nothing");
    let branch = |subject: &str, name: &str| {
        work.git(&["checkout", "--quiet", "-B", name]).unwrap();
        work.commit(subject, &[("note", subject)]).unwrap();
        work.push(&["-o", "follow", "naru", name]).unwrap();
        found()
    };
    assert_eq!(branch("1", "evil"), "nothing", "main's cache is not a branch's to read");
    assert_eq!(branch("2", "evil"), "evil", "it has one of its own");
    assert_eq!(branch("3", "main"), "main", "and main's is as main left it");
}

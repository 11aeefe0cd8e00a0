//! Environments of branches: opened by a job, rolled over, stopped by branch, time and people; and sites.

use crate::{EXE, WEB, files, service, shop, under_load};
use serde_json::Value;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};
use testkit::{Answer, Naru, Repository, request};

const REVIEW: &str = "review:
  script: echo deploying
  environment:
    name: review/$CI_COMMIT_REF_SLUG
    on_stop: stop review
    auto_stop_in: 1 hour
  rules:
    - if: $CI_COMMIT_BRANCH != 'main'
stop review:
  script: echo bye from $CI_COMMIT_REF_SLUG
  needs: []
  variables: {GIT_STRATEGY: none}
  environment: {name: review/$CI_COMMIT_REF_SLUG, action: stop}
  rules:
    - if: $CI_COMMIT_BRANCH != 'main'
      when: manual
      allow_failure: true
main:
  script: 'true'
  rules:
    - if: $CI_COMMIT_BRANCH == 'main'
";

/// Reads the project's events from the first on, until `found` has something to say of one.
pub fn until<T>(naru: &Naru, found: impl Fn(&Value) -> Option<T>) -> T {
    let mut stream = TcpStream::connect(naru.address().unwrap()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let token = naru.token().unwrap();
    let words = format!(
        "GET /api/v1/events?project=shop&follow=true&after=0 HTTP/1.0\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n"
    );
    stream.write_all(words.as_bytes()).unwrap();
    let mut seen = Vec::new();
    // The stream speaks now and then even when nothing happens: it does not end by itself.
    let began = Instant::now();
    for line in BufReader::new(stream).lines() {
        let Ok(line) = line else { break };
        if began.elapsed() > Duration::from_secs(40) {
            break;
        }
        let Some(data) = line.strip_prefix("data:") else { continue };
        let event: Value = serde_json::from_str(data.trim()).unwrap();
        if let Some(found) = found(&event) {
            return found;
        }
        seen.push(format!("{} {}", event["kind"], event["say"]["en"]));
    }
    panic!("it did not come; events:\n{}", seen.join("\n"));
}

/// Waits until the environment's deployment of that number is live, or has failed.
fn deployed(naru: &Naru, name: &str, number: u64) -> Value {
    until(naru, |event| {
        let deployment = &event["data"]["status"]["deployment"];
        let ours = event["subject"]["kind"] == "Environment" && event["subject"]["name"] == name;
        let over = deployment["progress"] == "live" || deployment["progress"] == "failed";
        (ours && over && deployment["number"] == number).then(|| event["data"]["status"].clone())
    })
}

fn in_state(naru: &Naru, name: &str, state: &str) -> Value {
    until(naru, |event| {
        let ours = event["subject"]["kind"] == "Environment" && event["subject"]["name"] == name;
        (ours && event["data"]["status"]["state"] == state).then(|| event["data"]["status"].clone())
    })
}

/// Waits until nothing of a copy is there any more.
fn gone(naru: &Naru, service: &str) {
    until(naru, |event| {
        let ours = event["kind"] == "resource.deleted"
            && event["subject"]["kind"] == "Instance"
            && event["data"]["spec"]["service"] == service;
        ours.then_some(())
    });
}

/// A repository `web` with its service on `main`, and a pipeline that reviews branches.
fn reviewed(naru: &Naru) -> Repository {
    let mut all = files_of("main");
    all.push((".gitlab-ci.yml", REVIEW.to_owned()));
    let work = naru.repository("shop", "web", &files(&all)).unwrap();
    let words = work.follow().unwrap();
    assert!(words.contains("live after"), "{words}");
    work
}

fn files_of(words: &str) -> Vec<(&'static str, String)> {
    service(words).into()
}

fn push_branch(work: &Repository, branch: &str, words: &str) {
    work.commit(words, &files(&files_of(words))).unwrap();
    let (ok, said) = work.push(&["naru", branch]).unwrap();
    assert!(ok, "{said}");
}

const TOPIC: &str = "web-review-topic.shop.localhost";

#[test]
fn a_branch_has_a_place_of_its_own_until_it_is_deleted() {
    let mut naru = shop();
    let work = reviewed(&naru);
    work.git(&["checkout", "--quiet", "-b", "topic"]).unwrap();
    push_branch(&work, "topic", "topic one");
    let status = deployed(&naru, "review-topic", 1);
    assert_eq!(status["deployment"]["progress"], "live", "{status}");
    assert_eq!(naru.visit(TOPIC, "/").unwrap().body, "topic one");
    assert_eq!(naru.visit(WEB, "/").unwrap().body, "main");
    let url = naru.say(&["environment", "open", "review/topic", "-p", "shop"]).unwrap();
    assert_eq!(url.trim(), format!("http://{TOPIC}:{}", naru.edge.port()));

    // The next push rolls it over, and nobody who looks at it notices.
    let (_, answered, failed) = under_load(&naru, TOPIC, || {
        push_branch(&work, "topic", "topic two");
        deployed(&naru, "review-topic", 2)
    });
    assert_eq!(failed, None, "after {answered} answers");
    assert_eq!(naru.visit(TOPIC, "/").unwrap().body, "topic two");

    // Another server on the same data finds it, and everything still ends by itself.
    naru.kill_and_restart().unwrap();
    assert_eq!(naru.visit(TOPIC, "/").unwrap().body, "topic two");
    work.aim(&naru, "shop", "web").unwrap();
    let (ok, said) = work.push(&["naru", "--delete", "topic"]).unwrap();
    assert!(ok, "{said}");
    let status = in_state(&naru, "review-topic", "stopped");
    assert_eq!(status["deployment"]["number"], 2, "it remembers what was there");
    gone(&naru, "web-review-topic");
    assert_eq!(naru.visit(TOPIC, "/").unwrap().status, 404);
    assert_eq!(naru.visit(WEB, "/").unwrap().body, "main");
    let stops = naru.json(&["run", "list", "-p", "shop"]).unwrap();
    let run = stops.as_array().unwrap().iter().find(|r| r["state"] == "passed").unwrap();
    assert!(run["id"].is_string());
    let metrics = naru.json(&["metrics", "-p", "shop"]).unwrap();
    assert_eq!(metrics.as_array().unwrap().len(), 1, "only production counts: {metrics}");
    assert_eq!(metrics[0]["deployments"], 1);

    // A redeploy opens it again.
    push_branch(&work, "topic", "topic three");
    deployed(&naru, "review-topic", 3);
    assert_eq!(naru.visit(TOPIC, "/").unwrap().body, "topic three");
    naru.say(&["environment", "stop", "review/topic", "-p", "shop"]).unwrap();
    let shown = naru.json(&["environment", "show", "review-topic", "-p", "shop"]).unwrap();
    assert_eq!((&shown["state"], &shown["services"]), (&"stopped".into(), &Value::Array(vec![])));
}

#[test]
fn time_ends_an_environment_and_a_stop_job_that_fails_leaves_it() {
    let naru = shop();
    let work = reviewed(&naru);
    work.git(&["checkout", "--quiet", "-b", "topic"]).unwrap();
    let short = REVIEW.replace("auto_stop_in: 1 hour", "auto_stop_in: 1 second");
    let bad = short.replace("echo bye", "false; echo bye");
    work.commit("Bad end", &[(".gitlab-ci.yml", &bad)]).unwrap();
    assert!(work.push(&["naru", "topic"]).unwrap().0);
    let status = in_state(&naru, "review-topic", "failed");
    let why = status["reason"]["en"].as_str().unwrap();
    assert!(why.contains("stop review") && why.contains("code 1"), "{why}");
    assert_eq!(naru.visit(TOPIC, "/").unwrap().body, "main", "its services stay");
    let out = naru.cli(&["environment", "stop", "review-topic", "-p", "shop"]).unwrap();
    assert!(!out.status.success(), "the job fails again");
    naru.say(&["environment", "stop", "review-topic", "-p", "shop", "--force"]).unwrap();
    gone(&naru, "web-review-topic");

    // One whose stop job passes is gone by itself.
    work.commit("Good end", &[(".gitlab-ci.yml", &short)]).unwrap();
    work.git(&["checkout", "--quiet", "-b", "brief"]).unwrap();
    assert!(work.push(&["naru", "brief"]).unwrap().0);
    let status = in_state(&naru, "review-brief", "stopped");
    assert_eq!(status["deployment"]["number"], 1);
    naru.say(&["environment", "forget", "review-brief", "-p", "shop"]).unwrap();
}

#[test]
fn what_is_too_much_is_refused_and_the_change_says_so() {
    let naru = Naru::start_with(EXE, &["--environments", "1"]).unwrap();
    naru.say(&["project", "create", "shop"]).unwrap();
    let work = reviewed(&naru);
    work.git(&["checkout", "--quiet", "-b", "topic"]).unwrap();
    push_branch(&work, "topic", "topic");
    deployed(&naru, "review-topic", 1);
    work.git(&["checkout", "--quiet", "-b", "more"]).unwrap();
    push_branch(&work, "more", "more");
    let (say, change) = until(&naru, |event| {
        let refused = event["kind"] == "environment.refused";
        refused.then(|| (event["say"]["en"].to_string(), event["change"].clone()))
    });
    assert!(say.contains("review/more") && say.contains("at most 1"), "{say}");
    assert!(change.as_str().unwrap().starts_with("web-"));
    let all = naru.json(&["environment", "list", "-p", "shop", "--all"]).unwrap();
    assert_eq!(all.as_array().unwrap().len(), 1, "{all}");
    assert_eq!(naru.visit("web-review-more.shop.localhost", "/").unwrap().status, 404);
}

const PAGES: &str = "pages:
  script: cp -r site public
  artifacts: {paths: [public]}
";

fn get(naru: &Naru, path: &str, headers: &[(&str, &str)]) -> Answer {
    request(naru.edge, "docs-pages.shop.localhost", "GET", path, headers, b"").unwrap()
}

fn published(naru: &Naru, times: usize) {
    until(naru, |event| {
        let ours = event["subject"]["kind"] == "Site" && event["kind"] == "resource.status";
        let generation = event["data"]["generation"].as_u64()?;
        (ours && generation as usize >= times).then_some(())
    });
}

#[test]
fn a_site_is_published_and_replaced_at_once() {
    let mut naru = shop();
    let long = "words ".repeat(500);
    let site = [
        (".gitlab-ci.yml", PAGES),
        ("site/index.html", "<h1>one</h1>"),
        ("site/404.html", "lost"),
        ("site/guide/index.html", "guide"),
        ("site/long.txt", &long),
    ];
    let work = naru.repository("shop", "docs", &site).unwrap();
    assert!(work.push(&["naru", "main"]).unwrap().0);
    published(&naru, 1);
    let home = get(&naru, "/", &[]);
    assert_eq!((home.status, home.body.as_str()), (200, "<h1>one</h1>"));
    assert!(home.head.to_lowercase().contains("content-type: text/html; charset=utf-8"));
    let head = home.head.to_lowercase();
    let tag = head.lines().find_map(|l| l.strip_prefix("etag: ")).unwrap().trim().to_owned();
    assert_eq!(get(&naru, "/", &[("If-None-Match", &tag)]).status, 304);
    assert_eq!((get(&naru, "/x", &[]).status, get(&naru, "/x", &[]).body.as_str()), (404, "lost"));
    assert!(get(&naru, "/guide?a=1", &[]).head.contains("./guide/?a=1"));
    assert_eq!(get(&naru, "/guide/", &[]).body, "guide");
    let part = get(&naru, "/long.txt", &[("Range", "bytes=0-4")]);
    assert_eq!((part.status, part.body.as_str()), (206, "words"));
    let packed = get(&naru, "/long.txt", &[("Accept-Encoding", "gzip")]);
    assert!(packed.head.to_lowercase().contains("content-encoding: gzip"), "{}", packed.head);
    assert_eq!(get(&naru, "/../naru.db", &[]).status, 404);

    let (_, answered, failed) = under_load(&naru, "docs-pages.shop.localhost", || {
        work.commit("Two", &[("site/index.html", "<h1>two</h1>")]).unwrap();
        assert!(work.push(&["naru", "main"]).unwrap().0);
        until(&naru, |event| {
            let editions = &event["data"]["spec"]["editions"];
            let ours = event["subject"]["kind"] == "Site" && event["data"]["generation"] == 2;
            (ours && editions[0]["tree"].is_string()).then_some(())
        });
    });
    assert_eq!(failed, None, "after {answered} answers");
    naru.kill_and_restart().unwrap();
    assert_eq!(get(&naru, "/", &[]).body, "<h1>two</h1>");
    naru.say(&["site", "unpublish", "docs", "-p", "shop"]).unwrap();
}

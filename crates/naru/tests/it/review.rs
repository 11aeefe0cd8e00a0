//! Merge requests, as people use them: git, the command line, two people, and a server that goes away meanwhile.

use crate::environment::until;
use crate::{EXE, shop};
use serde_json::Value;
use testkit::{Naru, Repository, request};

/// One pipeline for each push: of the merge request, if there is one, else of the branch.
const CI: &str = "workflow:
  rules:
    - if: $CI_PIPELINE_SOURCE == 'merge_request_event'
    - if: $CI_COMMIT_BRANCH && $CI_OPEN_MERGE_REQUESTS
      when: never
    - if: $CI_COMMIT_BRANCH
check:
  script: test ! -e broken
words:
  script:
    - test \"$CI_MERGE_REQUEST_IID,$CI_MERGE_REQUEST_LABELS,$CI_MERGE_REQUEST_TARGET_BRANCH_NAME\" = \"1,ui,main\"
    - test -z \"$CI_COMMIT_BRANCH\"
  rules:
    - if: $CI_PIPELINE_SOURCE == 'merge_request_event'
      changes: [words.txt]
other:
  script: exit 1
  rules:
    - if: $CI_PIPELINE_SOURCE == 'merge_request_event'
      changes: [a.py]
";

fn opened(naru: &Naru, ci: &str) -> Repository {
    let files = [(".gitlab-ci.yml", ci), ("words.txt", "one\n"), ("a.py", "a = 1\n")];
    let work = naru.repository("shop", "web", &files).unwrap();
    let (ok, said) = work.push(&["naru", "main"]).unwrap();
    assert!(ok, "{said}");
    work
}

/// A branch from `main` with one commit.
fn topic(work: &Repository, name: &str, files: &[(&str, &str)]) -> String {
    work.git(&["switch", "-q", "-C", name, "main"]).unwrap();
    work.commit(&format!("Topic {name}"), files).unwrap().trim().to_owned()
}

fn create(work: &Repository, name: &str, more: &[&str]) -> String {
    let options = more.iter().flat_map(|o| ["-o", *o]);
    let args: Vec<&str> =
        ["naru", name, "-o", "merge_request.create"].into_iter().chain(options).collect();
    let (ok, said) = work.push(&args).unwrap();
    assert!(ok, "{said}");
    said
}

/// `git fetch` with the credential helper.
fn fetch(work: &Repository, what: &[&str]) {
    let helper = format!("credential.helper=!'{EXE}' git-credential");
    let args = [&["-c", &helper, "fetch", "-q", "naru"], what].concat();
    assert!(work.command(&args).status().unwrap().success());
}

fn view(naru: &Naru, number: &str) -> Value {
    naru.json(&["merge-request", "show", number, "-p", "shop"]).unwrap()
}

fn codes(view: &Value) -> Vec<&str> {
    view["blockers"].as_array().unwrap().iter().filter_map(|b| b["code"].as_str()).collect()
}

/// Waits until the status of a merge request is as wanted.
fn status(naru: &Naru, number: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    until(naru, |event| {
        let ours = event["subject"]["kind"] == "MergeRequest" && event["subject"]["name"] == number;
        let status = &event["data"]["status"];
        (ours && status.is_object() && wanted(status)).then(|| status.clone())
    })
}

/// Its own pipeline of its head is in this state.
fn pipeline<'s>(state: &'s str) -> impl Fn(&Value) -> bool + 's {
    move |status| {
        let fits = |p: &Value| {
            p["detached"] == true && p["state"] == state && p["commit"] == status["head"]
        };
        status["pipelines"].as_array().is_some_and(|all| all.iter().any(fits))
    }
}

fn happened(naru: &Naru, kind: &str, fits: impl Fn(&Value) -> bool) {
    until(naru, |e| (e["kind"] == kind && fits(&e["data"])).then_some(()));
}

fn refused(naru: &Naru, args: &[&str]) -> String {
    let out = naru.cli(args).unwrap();
    assert!(!out.status.success(), "{args:?}");
    String::from_utf8_lossy(&out.stderr).into_owned()
}

/// A second person in the project, by her token.
fn bea(naru: &Naru) -> String {
    naru.say(&["user", "create", "bea"]).unwrap();
    let members = r#"{"spec":{"members":[{"user":"admin","role":"owner"},{"user":"bea","role":"developer"}]}}"#;
    assert_eq!(naru.api("PATCH", "/api/v1/projects/shop", members).unwrap().status, 200);
    let made = naru.json(&["token", "create", "hers", "--for", "bea"]).unwrap();
    made["token"].as_str().unwrap().to_owned()
}

fn post(naru: &Naru, token: &str, path: &str, body: &str) -> u16 {
    let (address, bearer) = (naru.address().unwrap(), format!("Bearer {token}"));
    let path = format!("/api/v1/projects/shop/merge-requests/{path}");
    let headers = [("Authorization", bearer.as_str()), ("Content-Type", "application/json")];
    request(address, &address.to_string(), "POST", &path, &headers, body.as_bytes()).unwrap().status
}

fn put(naru: &Naru, path: &str, spec: &str) {
    let answer = naru.api("PUT", &format!("/api/v1/projects/shop/{path}"), spec).unwrap();
    assert!(answer.status < 300, "{answer:?}");
}

#[test]
fn a_push_opens_one_its_pipeline_runs_another_person_approves_and_it_is_merged() {
    let naru = shop();
    let work = opened(&naru, CI);
    let hers = bea(&naru);
    put(&naru, "review-rules/web", r#"{"spec":{"approvals":1,"threads_must_be_resolved":true}}"#);
    let head = topic(&work, "topic", &[("words.txt", "two\n")]);
    let more = [
        "merge_request.title=Two words",
        "merge_request.label=ui",
        "merge_request.remove_source_branch",
    ];
    let said = create(&work, "topic", &more);
    assert!(said.contains("/projects/shop/merge-requests/1"), "{said}");
    // `other` would have failed: nothing that it looks at differs from the merge base.
    status(&naru, "1", pipeline("passed"));
    let seen = view(&naru, "1");
    assert_eq!((&seen["spec"]["title"], codes(&seen)), (&"Two words".into(), vec!["approvals"]));

    let own = refused(&naru, &["mr", "approve", "1", "-p", "shop"]);
    assert!(own.contains("nobody approves their own work"), "{own}");
    assert_eq!(post(&naru, &hers, "1/approve", ""), 200);
    let line = r#"{"body":"why?","path":"words.txt","line":1,"side":"new"}"#;
    assert_eq!(post(&naru, &hers, "1/comment", line), 200);
    assert_eq!(post(&naru, &hers, "1/comment", &line.replace(":1,", ":9,")), 400);
    let seen = view(&naru, "1");
    assert_eq!(codes(&seen), ["threads"]);
    let thread = seen["threads"][0]["id"].as_str().unwrap();
    naru.say(&["mr", "comment", "1", "because", "--resolve", thread, "-p", "shop"]).unwrap();
    assert!(codes(&view(&naru, "1")).is_empty());

    // New commits ask for approval again, and are a pipeline of the merge request, not of its branch.
    let head2 = {
        work.commit("More", &[("words.txt", "three\n")]).unwrap();
        work.git(&["rev-parse", "HEAD"]).unwrap().trim().to_owned()
    };
    assert_ne!(head, head2);
    assert!(work.push(&["naru", "topic"]).unwrap().0);
    let now = status(&naru, "1", |s| s["head"] == head2.as_str() && pipeline("passed")(s));
    assert_eq!(now["approvals"].as_array().unwrap().len(), 0);
    let of_branch = |p: &&Value| p["commit"] == head2.as_str() && p["detached"] == false;
    assert_eq!(now["pipelines"].as_array().unwrap().iter().filter(of_branch).count(), 0, "{now:#}");
    assert!(refused(&naru, &["mr", "merge", "1", "-p", "shop"]).contains("approvals"));
    assert_eq!(post(&naru, &hers, "1/approve", ""), 200);
    fetch(&work, &["refs/merge-requests/1/head"]);
    assert_eq!(work.git(&["rev-parse", "FETCH_HEAD"]).unwrap().trim(), head2);

    naru.say(&["mr", "merge", "1", "-p", "shop"]).unwrap();
    fetch(&work, &[]);
    let log = work.git(&["log", "--format=%s %P", "-1", "naru/main"]).unwrap();
    assert!(log.starts_with("Merge branch 'topic' into 'main'") && log.contains(&head2), "{log}");
    let merged = work.git(&["rev-parse", "naru/main"]).unwrap().trim().to_owned();
    happened(&naru, "pipeline.finished", |d| {
        d["commit"] == merged.as_str() && d["verdict"] == "passed"
    });
    happened(&naru, "git.pushed", |d| d["branch"] == "topic" && d["after"].is_null());
    happened(&naru, "merge_request.merged", |d| d["commit"] == merged.as_str());
}

#[test]
fn what_is_in_the_way_is_said_and_nothing_goes_around_it() {
    let naru = shop();
    let work = opened(&naru, "check: {script: 'true'}\n");
    let hers = bea(&naru);
    topic(&work, "left", &[("words.txt", "left\n")]);
    create(&work, "left", &[]);
    topic(&work, "right", &[("words.txt", "right\n")]);
    create(&work, "right", &["merge_request.draft"]);
    status(&naru, "2", |s| s["heard"] == s["head"] && s["pipelines"][0]["state"] == "passed");
    assert_eq!(codes(&view(&naru, "2")), ["draft"]);
    naru.say(&["mr", "edit", "2", "--ready", "-p", "shop"]).unwrap();
    status(&naru, "1", |s| s["heard"] == s["head"] && s["pipelines"][0]["state"] == "passed");
    naru.say(&["mr", "merge", "1", "--squash", "-p", "shop"]).unwrap();
    fetch(&work, &[]);
    assert_eq!(work.git(&["log", "-1", "--format=%s", "naru/main"]).unwrap().trim(), "Topic left");
    let said = refused(&naru, &["mr", "merge", "2", "-p", "shop"]);
    assert!(said.contains("words.txt") && said.contains("conflict"), "{said}");

    // A protected branch is merged into by maintainers, and pushed to by nobody.
    let protected = r#"{"spec":{"default_branch":"main","protected":[{"branch":"main","push":"nobody","merge":"maintainers"}]}}"#;
    put(&naru, "repositories/web", protected);
    work.git(&["switch", "-q", "-C", "main", "naru/main"]).unwrap();
    work.commit("By hand", &[("c.py", "c\n")]).unwrap();
    let (ok, said) = work.push(&["naru", "main"]).unwrap();
    assert!(!ok && said.contains("is protected"), "{said}");
    work.git(&["switch", "-q", "-C", "third"]).unwrap();
    create(&work, "third", &[]);
    status(&naru, "3", |s| s["heard"] == s["head"] && s["pipelines"][0]["state"] == "passed");
    assert_eq!(post(&naru, &hers, "3/merge", ""), 409);
    naru.say(&["mr", "merge", "3", "-p", "shop"]).unwrap();

    // Their refs are nobody's to push, and a merge by hand is a merge.
    let (ok, said) = work.push(&["naru", "+HEAD:refs/merge-requests/2/head"]).unwrap();
    assert!(!ok && said.contains("only branches and tags"), "{said}");
    put(&naru, "repositories/web", r#"{"spec":{"default_branch":"main"}}"#);
    fetch(&work, &[]);
    work.git(&["switch", "-q", "-C", "main", "naru/main"]).unwrap();
    topic(&work, "fourth", &[("d.py", "d\n")]);
    create(&work, "fourth", &[]);
    assert!(work.push(&["naru", "fourth:main"]).unwrap().0);
    happened(&naru, "merge_request.merged", |d| d["number"] == 4);
    let (ok, said) = work.push(&["naru", "fourth", "-o", "merge_request.create"]).unwrap();
    assert!(ok, "{said}");
    let closed = refused(&naru, &["mr", "reopen", "4", "-p", "shop"]);
    assert!(closed.contains("not closed"), "{closed}");
}

#[test]
fn one_merges_when_its_pipeline_succeeds_though_the_server_went_away() {
    let mut naru = shop();
    let ci = "gate:\n  script: 'true'\n  rules:\n    - if: $CI_MERGE_REQUEST_IID\n      when: manual\n      allow_failure: false\nmain:\n  script: 'true'\n  rules: [{if: $CI_COMMIT_BRANCH == 'main'}]\n";
    let work = opened(&naru, ci);
    let head = topic(&work, "topic", &[("b.py", "b\n")]);
    create(&work, "topic", &["merge_request.merge_when_pipeline_succeeds"]);
    let waits = status(&naru, "1", |s| s["auto_merge"].is_object() && pipeline("running")(s));
    let run = waits["pipelines"].as_array().unwrap().iter().find(|p| p["detached"] == true);
    let run = run.unwrap()["run"].as_str().unwrap().to_owned();
    naru.kill_and_restart().unwrap();
    work.aim(&naru, "shop", "web").unwrap();
    assert_eq!(view(&naru, "1")["status"]["state"], "opened");
    naru.say(&["run", "play", &run, "gate", "-p", "shop"]).unwrap();
    happened(&naru, "merge_request.merged", |d| d["head"] == head.as_str());
    fetch(&work, &[]);
    work.git(&["merge-base", "--is-ancestor", &head, "naru/main"]).unwrap();
}

//! Policies hold where things happen: in git's protocol, in the API, on pages, in jobs, and for what is open already.

use crate::ended::{Hers, closed, signed_in};
use crate::{files, service, shop};
use serde_json::json;
use std::time::{Duration, Instant};
use testkit::{Naru, Repository, request};

/// From a policy's answer to the end of what it forbids. The promise is 2 s; a busy machine is given more.
const SOON: Duration = Duration::from_secs(8);

fn person(naru: &Naru, name: &str) -> String {
    naru.say(&["user", "create", name]).unwrap();
    let made = naru.json(&["token", "create", "laptop", "--for", name]).unwrap();
    made["token"].as_str().unwrap().to_owned()
}

fn members(naru: &Naru, role: &str) {
    let one = |name: &str, role: &str| json!({ "user": name, "role": role });
    let all = [one("admin", "owner"), one("ada", role), one("ben", role)];
    let body = json!({ "spec": { "members": all } }).to_string();
    assert_eq!(naru.api("PATCH", "/api/v1/projects/shop", &body).unwrap().status, 200);
}

fn policy(naru: &Naru, name: &str, cedar: &str) {
    let body = json!({ "spec": { "cedar": cedar } }).to_string();
    let path = format!("/api/v1/projects/shop/policies/{name}");
    let answer = naru.api("PUT", &path, &body).unwrap();
    assert!(answer.status < 300, "{}", answer.body);
}

/// A POST with nothing in it, by somebody's token or session; the status and the error's code.
fn post(naru: &Naru, header: (&str, &str), path: &str) -> (u16, String) {
    let address = naru.address().unwrap();
    let host = address.to_string();
    let origin = format!("http://{host}");
    let headers = [header, ("Origin", origin.as_str())];
    let answer = request(address, &host, "POST", path, &headers, b"").unwrap();
    let code = answer.json().ok().and_then(|v| v["code"].as_str().map(str::to_owned));
    (answer.status, code.unwrap_or_default())
}

/// Pushes as somebody, and waits for what comes of it: whether git took it, and what it printed.
fn push(naru: &Naru, work: &Repository, who: &str, token: &str, branch: &str) -> (bool, String) {
    let remote = format!("http://{who}:{token}@{}/shop/web.git", naru.address().unwrap());
    let refs = format!("HEAD:refs/heads/{branch}");
    let out = work.command(&["push", "-o", "follow", &remote, &refs]).output().unwrap();
    // Lines are broken for a terminal.
    let words = String::from_utf8_lossy(&out.stderr).replace("remote:", " ");
    (out.status.success(), words.split_whitespace().collect::<Vec<_>>().join(" "))
}

#[test]
fn nobody_but_whom_a_policy_names_deploys_to_production_by_push_api_page_or_job() {
    let naru = shop();
    let (ada, ben) = (person(&naru, "ada"), person(&naru, "ben"));
    members(&naru, "maintainer");
    let work = naru.repository("shop", "web", &files(&service("one"))).unwrap();
    let (taken, words) = push(&naru, &work, "ben", &ben, "main");
    assert!(taken && words.contains("live"), "{words}");
    policy(
        &naru,
        "production",
        r#"forbid (principal, action == Action::"deploy", resource == Environment::"shop/production")
           unless { principal == User::"ada" };"#,
    );

    work.commit("Second", &[("notes.txt", "two")]).unwrap();
    let (taken, words) = push(&naru, &work, "ben", &ben, "main");
    assert!(taken, "the push itself is allowed: {words}");
    assert!(words.contains("policy shop/production forbids it"), "{words}");
    let change = naru.json(&["change", "list", "-p", "shop", "--limit", "1"]).unwrap();
    let change = change[0]["name"].as_str().unwrap().to_owned();

    let bearer = |token: &str| format!("Bearer {token}");
    let (adas, bens) = (bearer(&ada), bearer(&ben));
    let restart = "/api/v1/projects/shop/services/web/restart";
    let deploy = format!("/api/v1/projects/shop/changes/{change}/deploy");
    for path in [restart, deploy.as_str()] {
        let denied = post(&naru, ("Authorization", &bens), path);
        assert_eq!(denied, (403, "auth.denied".to_owned()), "{path}");
    }
    let cookie = signed_in(&naru, "ben");
    let page = post(&naru, ("Cookie", &cookie), "/projects/shop/services/web/restart");
    assert_eq!(page.0, 403);

    let job = "ship:\n  script: ['echo shipped']\n  environment: production\n";
    work.commit("Third", &[(".gitlab-ci.yml", job)]).unwrap();
    let (taken, words) = push(&naru, &work, "ben", &ben, "by-job");
    assert!(taken && words.contains("policy shop/production forbids it"), "{words}");
    let (_, words) = push(&naru, &work, "ada", &ada, "by-job-of-ada");
    assert!(!words.contains("forbids"), "{words}");

    assert_eq!(post(&naru, ("Authorization", &adas), &deploy).0, 202, "ada may");
}

#[test]
fn a_policy_about_protected_branches_decides_each_ref_of_a_push() {
    let naru = shop();
    let (ada, ben) = (person(&naru, "ada"), person(&naru, "ben"));
    members(&naru, "developer");
    let work = naru.repository("shop", "web", &[("a", "b")]).unwrap();
    assert!(push(&naru, &work, "ben", &ben, "main").0);
    policy(
        &naru,
        "branches",
        r#"forbid (principal, action == Action::"project.change", resource is Repository)
           when { context has protected && context.protected
               || context has branch && context.branch like "release/*" }
           unless { principal == User::"ada" };"#,
    );
    work.commit("Second", &[("a", "c")]).unwrap();
    for branch in ["main", "release/1"] {
        let (taken, words) = push(&naru, &work, "ben", &ben, branch);
        assert!(!taken && words.contains("policy shop/branches forbids it"), "{branch}: {words}");
    }
    assert!(push(&naru, &work, "ben", &ben, "topic").0);
    let (taken, words) = push(&naru, &work, "ada", &ada, "main");
    assert!(taken, "{words}");
}

#[test]
fn what_is_open_ends_soon_after_a_policy_forbids_it_or_the_time_of_what_permits_it_is_over() {
    let hers = Hers::new();
    let (watch, terminal) = (hers.watch(), hers.terminal());
    let forbid = |action: &str| {
        format!(r#"forbid (principal == User::"ada", action == Action::"{action}", resource);"#)
    };
    policy(&hers.naru, "no-terminals", &forbid("job.enter"));
    closed(terminal, Instant::now() + SOON, "a terminal that a policy forbids");
    policy(&hers.naru, "out", &forbid("project.view"));
    closed(watch, Instant::now() + SOON, "a watch that a policy forbids");

    // Back, as somebody who may look for a few seconds more.
    for name in ["no-terminals", "out"] {
        let path = format!("/api/v1/projects/shop/policies/{name}");
        assert_eq!(hers.naru.api("DELETE", &path, "").unwrap().status, 204);
    }
    let alone = r#"{"spec":{"members":[{"user":"admin","role":"owner"}]}}"#;
    assert_eq!(hers.naru.api("PATCH", "/api/v1/projects/shop", alone).unwrap().status, 200);
    let now = kernel::Time(millis());
    let until = now.plus(Duration::from_secs(4));
    policy(
        &hers.naru,
        "for-a-while",
        &format!(
            r#"permit (principal == User::"ada", action == Action::"project.view", resource)
               when {{ context.now < datetime("{until}") }};"#
        ),
    );
    let watch = hers.watch();
    closed(watch, Instant::now() + SOON, "a watch whose time is over");
}

fn millis() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(since.as_millis()).unwrap()
}

/// A request with somebody's token; the status and the answer.
fn ask(naru: &Naru, token: &str, method: &str, path: &str, body: &str) -> (u16, serde_json::Value) {
    let address = naru.address().unwrap();
    let bearer = format!("Bearer {token}");
    let headers = [("Authorization", bearer.as_str()), ("Content-Type", "application/json")];
    let host = address.to_string();
    let answer = request(address, &host, method, path, &headers, body.as_bytes()).unwrap();
    (answer.status, answer.json().unwrap_or_default())
}

#[test]
fn owners_look_after_the_programs_of_their_project_and_give_them_no_more_than_that() {
    let naru = shop();
    let (ada, ben) = (person(&naru, "ada"), person(&naru, "ben"));
    let one = |name: &str, role: &str| json!({ "user": name, "role": role });
    let all = [one("admin", "owner"), one("ada", "owner"), one("ben", "developer")];
    let body = json!({ "spec": { "members": all } }).to_string();
    assert_eq!(naru.api("PATCH", "/api/v1/projects/shop", &body).unwrap().status, 200);
    naru.say(&["project", "create", "other"]).unwrap();

    let base = "/api/v1/projects/shop/service-accounts";
    assert_eq!(ask(&naru, &ben, "POST", base, r#"{"name":"bot"}"#).0, 403, "a developer");
    assert_eq!(ask(&naru, &ada, "POST", base, r#"{"name":"bot","title":"Deploys"}"#).0, 201);
    let (status, listed) = ask(&naru, &ada, "GET", base, "");
    assert_eq!((status, &listed["items"][0]["name"]), (200, &json!("bot")));
    // The administrator makes it a member of another project as well.
    let bot = json!({ "spec": { "members": [one("admin", "owner"), { "service": "bot", "role": "viewer" }] } });
    for project in ["shop", "other"] {
        let mut body = bot.clone();
        if project == "shop" {
            body["spec"]["members"].as_array_mut().unwrap().push(one("ada", "owner"));
        }
        let path = format!("/api/v1/projects/{project}");
        assert_eq!(naru.api("PATCH", &path, &body.to_string()).unwrap().status, 200);
    }
    let wanted = r#"{"name":"ci","projects":["other"]}"#;
    let (status, made) = ask(&naru, &ada, "POST", &format!("{base}/bot/tokens"), wanted);
    assert_eq!(status, 201, "{made}");
    let token = made["token"].as_str().unwrap();
    assert_eq!(ask(&naru, token, "GET", "/api/v1/projects/shop/services", "").0, 200);
    assert_eq!(ask(&naru, token, "GET", "/api/v1/projects/other/services", "").0, 403);
    assert_eq!(ask(&naru, &ada, "DELETE", &format!("{base}/bot/tokens/ci"), "").0, 204);
    assert_eq!(ask(&naru, token, "GET", "/api/v1/projects/shop/services", "").0, 401);

    naru.say(&["service-account", "create", "alone"]).unwrap();
    let (status, _) = ask(&naru, &ada, "POST", &format!("{base}/alone/disable"), "{}");
    assert_eq!(status, 404, "one that is no project's is not there for an owner");
}

#[test]
fn a_rehearsal_is_refused_with_what_the_deed_would_be_and_leaves_nothing() {
    let naru = shop();
    let mail = |whose: &str| {
        json!({ "spec": { "title": whose, "mails": [{ "address": "ada@example.org" }] } })
            .to_string()
    };
    assert_eq!(naru.api("PUT", "/api/v1/users/ada", &mail("Ada")).unwrap().status, 201);
    let code = |method: &str, path: &str, body: &str| {
        let answer = naru.api(method, path, body).unwrap();
        (answer.status, answer.json().unwrap_or_default()["code"].as_str().unwrap_or("").to_owned())
    };
    for path in ["/api/v1/users/eve?dryRun=true", "/api/v1/users/eve"] {
        assert_eq!(code("PUT", path, &mail("Eve")), (409, "user.mail-taken".to_owned()), "{path}");
    }
    let last = (409, "user.last-administrator".to_owned());
    assert_eq!(code("DELETE", "/api/v1/users/admin?dryRun=true", ""), last);
    assert_eq!(code("DELETE", "/api/v1/users/ada?dryRun=true", "").0, 200);
    assert_eq!(naru.api("GET", "/api/v1/users/ada", "").unwrap().status, 200, "still there");
    assert_eq!(naru.api("GET", "/api/v1/users/eve", "").unwrap().status, 404);
}

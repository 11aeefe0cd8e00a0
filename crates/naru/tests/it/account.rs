//! People come in, prove who they are, look after their accounts, and leave.

use crate::shop;
use serde_json::{Value, json};
use std::time::{SystemTime, UNIX_EPOCH};
use testkit::{Answer, Authenticator, Naru, request, totp};

const PASSWORD: &str = "otter lantern gravel mint";

/// A browser without its pictures: cookies, and the origin that it sends.
struct Visitor<'a> {
    naru: &'a Naru,
    /// `localhost:PORT`: where browsers offer passkeys.
    host: String,
    cookies: Vec<(String, String)>,
}

impl<'a> Visitor<'a> {
    fn new(naru: &'a Naru) -> Visitor<'a> {
        let port = naru.address().unwrap().port();
        Visitor { naru, host: format!("localhost:{port}"), cookies: Vec::new() }
    }

    fn ask(&mut self, method: &str, path: &str, kind: &str, body: &str) -> Answer {
        let origin = format!("http://{}", self.host);
        let jar: Vec<String> = self.cookies.iter().map(|(k, v)| format!("{k}={v}")).collect();
        let jar = jar.join("; ");
        let headers = [
            ("Origin", origin.as_str()),
            ("Cookie", jar.as_str()),
            ("Content-Type", kind),
            ("Accept", if kind == "application/json" { kind } else { "text/html" }),
            (
                "User-Agent",
                "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0",
            ),
        ];
        let address = self.naru.address().unwrap();
        let answer = request(address, &self.host, method, path, &headers, body.as_bytes()).unwrap();
        for line in answer.head.lines() {
            let Some((name, value)) = line.split_once(": ") else { continue };
            if name.eq_ignore_ascii_case("set-cookie") {
                let (key, value) = value.split(';').next().unwrap().split_once('=').unwrap();
                self.cookies.retain(|(k, _)| k != key);
                if !value.is_empty() {
                    self.cookies.push((key.to_owned(), value.to_owned()));
                }
            }
        }
        answer
    }

    fn get(&mut self, path: &str) -> Answer {
        self.ask("GET", path, "text/plain", "")
    }

    fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let encode =
            |words: &str| -> String { words.bytes().map(|b| format!("%{b:02X}")).collect() };
        let pairs: Vec<String> = fields.iter().map(|(k, v)| format!("{k}={}", encode(v))).collect();
        self.ask("POST", path, "application/x-www-form-urlencoded", &pairs.join("&"))
    }

    fn json(&mut self, path: &str, body: &Value) -> (u16, Value) {
        let answer = self.ask("POST", path, "application/json", &body.to_string());
        (answer.status, serde_json::from_str(&answer.body).unwrap_or_default())
    }

    fn cookie(&self, name: &str) -> Option<String> {
        self.cookies.iter().find(|(k, _)| k == name).map(|(_, v)| v.clone())
    }

    fn who(&mut self) -> String {
        let me = self.get("/api/v1/me");
        let me: Value = serde_json::from_str(&me.body).unwrap_or_default();
        me["principal"]["name"].as_str().unwrap_or("nobody").to_owned()
    }
}

/// Where an answer leads.
fn to(answer: &Answer) -> &str {
    let line = answer.head.lines().find(|l| l.to_ascii_lowercase().starts_with("location: "));
    line.map_or("", |l| &l["location: ".len()..])
}

/// The value of a hidden field of a page.
fn field(page: &str, name: &str) -> String {
    let after = page.split(&format!("name=\"{name}\" value=\"")).nth(1).expect(page);
    after.split('"').next().unwrap().to_owned()
}

fn between<'a>(page: &'a str, from: &str, until: &str) -> &'a str {
    page.split(from).nth(1).expect(page).split(until).next().unwrap()
}

fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64
}

/// The path of an invitation.
fn invitation(naru: &Naru, name: &str, more: &[&str]) -> String {
    let made = naru.json(&[&["user", "invite", name], more].concat()).unwrap();
    made["link"].as_str().unwrap().strip_prefix(&naru.url).unwrap().to_owned()
}

#[test]
fn from_the_invitation_to_the_offboarding() {
    let naru = shop();
    let link = invitation(&naru, "dalia", &["--email", "dalia@example.com", "--title", "Dalia"]);
    let mut dalia = Visitor::new(&naru);
    let page = dalia.get(&link);
    assert!(page.status == 200 && page.body.contains("Dalia"), "{}", page.body);
    let weak = dalia.post(&link, &[("password", "password2026"), ("again", "password2026")]);
    assert!(
        weak.status == 400 && weak.body.contains("first that anybody would try"),
        "{}",
        weak.body
    );
    let set = dalia.post(&link, &[("password", PASSWORD), ("again", PASSWORD)]);
    assert_eq!((set.status, to(&set), dalia.who().as_str()), (303, "/welcome", "dalia"));
    assert_eq!(Visitor::new(&naru).get(&link).status, 401, "used up");

    let page = dalia.get("/account/totp").body;
    let secret = between(&page, "<code class=\"secret-words\">", "<").to_owned();
    let (enrolment, second) = (field(&page, "enrolment"), now());
    let code = totp(&secret, second);
    let done = dalia.post("/account/totp", &[("enrolment", &enrolment), ("code", &code)]);
    let recovery = between(&done.body, "<ol class=\"recovery\"><li><code>", "<").to_owned();
    assert_eq!(recovery.len(), 19, "{recovery}");

    dalia.post("/sign-out", &[]);
    assert_eq!(dalia.who(), "nobody");
    let planted = "planted-by-somebody-else";
    dalia.cookies.push(("naru_session".into(), planted.into()));
    let fields = [("name", "dalia"), ("password", PASSWORD), ("back", "//evil.example")];
    let half = dalia.post("/sign-in", &fields);
    assert_eq!((half.status, to(&half)), (303, "/sign-in/second?back=%2F"), "no way out of here");
    assert_eq!(dalia.who(), "nobody", "half open is not open");
    let wrong = dalia.post("/sign-in/second", &[("code", "000000")]);
    assert_eq!(wrong.status, 401);
    let replayed = dalia.post("/sign-in/second", &[("code", &code)]);
    assert_eq!(replayed.status, 401, "the code that set it up");
    let opened = dalia.post("/sign-in/second", &[("recovery", &recovery), ("back", "/tokens")]);
    assert_eq!((opened.status, to(&opened), dalia.who().as_str()), (303, "/tokens", "dalia"));
    assert_ne!(
        dalia.cookie("naru_session").unwrap(),
        planted,
        "a planted session is worth nothing"
    );

    dalia.post(
        "/account",
        &[("title", "Dalia K."), ("mails", "d@example.com"), ("administrator", "true")],
    );
    let shown = naru.json(&["user", "show", "dalia"]).unwrap();
    assert_eq!(shown["user"]["spec"]["title"], "Dalia K.");
    assert_eq!(shown["user"]["spec"]["administrator"], false, "not by oneself");
    assert_eq!(shown["factors"]["recovery"], 9);

    owns(&naru, "dalia");
    let token = naru.json(&["token", "create", "laptop", "--for", "dalia"]).unwrap();
    let alone = naru.cli(&["user", "offboard", "dalia"]).unwrap();
    assert!(String::from_utf8_lossy(&alone.stderr).contains("only owner of shop"));
    let gone = naru.json(&["user", "offboard", "dalia", "--to", "admin"]).unwrap();
    assert_eq!(gone["had"]["only_owner_of"], json!(["shop"]));
    let project = naru.api("GET", "/api/v1/projects/shop", "").unwrap().json().unwrap();
    assert_eq!(project["spec"]["members"], json!([{ "user": "admin", "role": "owner" }]));
    assert_eq!(dalia.who(), "nobody", "the session is gone");
    let refused = dalia.post("/sign-in", &[("name", "dalia"), ("password", PASSWORD)]);
    assert_eq!(refused.status, 401);
    let bearer = format!("Bearer {}", token["token"].as_str().unwrap());
    let headers = [("Authorization", bearer.as_str())];
    let me = request(naru.address().unwrap(), &dalia.host, "GET", "/api/v1/me", &headers, b"");
    assert_eq!(me.unwrap().status, 401, "the token is gone");
}

/// Makes somebody the only owner of the project.
fn owns(naru: &Naru, user: &str) {
    let spec = json!({ "spec": { "members": [{ "user": user, "role": "owner" }] } });
    let answer = naru.api("PATCH", "/api/v1/projects/shop", &spec.to_string()).unwrap();
    assert_eq!(answer.status, 200, "{}", answer.body);
}

#[test]
fn a_passkey_is_made_in_a_browser_and_signs_in_alone() {
    let naru = shop();
    let link = invitation(&naru, "han", &[]);
    let mut han = Visitor::new(&naru);
    han.post(&link, &[("password", PASSWORD), ("again", PASSWORD)]);
    let (_, asked) = han.json("/account/passkeys/question", &json!({ "name": "phone" }));
    let origin = format!("http://{}", han.host);
    let (mut key, answer) = Authenticator::create(&asked["question"], &origin);
    let (status, said) =
        han.json("/account/passkeys/answer", &json!({ "code": asked["code"], "answer": answer }));
    assert_eq!(status, 200, "{said}");
    assert!(han.get("/account/sign-in").body.contains("phone"));

    let mut fresh = Visitor::new(&naru);
    let (_, asked) = fresh.json("/sign-in/passkey/question", &json!({}));
    let answer = json!({
        "code": asked["code"], "answer": key.show(&asked["question"]), "purpose": "sign-in", "back": "https://evil.example",
    });
    let (status, said) = fresh.json("/sign-in/passkey/answer", &answer);
    assert_eq!((status, said["to"].as_str()), (200, Some("/")), "{said}");
    assert_eq!(fresh.who(), "han");
    let (status, said) = Visitor::new(&naru).json("/sign-in/passkey/answer", &answer);
    assert_eq!((status, said["code"].as_str()), (401, Some("sign-in.late")), "replayed");
    assert_eq!(fresh.post("/sign-in", &[("name", "han"), ("password", PASSWORD)]).status, 303);
}

#[test]
fn sessions_are_seen_and_ended_from_elsewhere() {
    let naru = shop();
    let link = invitation(&naru, "han", &[]);
    let (mut desk, mut phone) = (Visitor::new(&naru), Visitor::new(&naru));
    desk.post(&link, &[("password", PASSWORD), ("again", PASSWORD)]);
    phone.post("/sign-in", &[("name", "han"), ("password", PASSWORD)]);
    assert_eq!((desk.who().as_str(), phone.who().as_str()), ("han", "han"));
    let page = phone.get("/account/sessions").body;
    assert!(page.contains("Firefox, Linux") && page.contains("this one"), "{page}");
    let seen = naru.json(&["session", "list", "--of", "han"]).unwrap();
    assert_eq!(seen.as_array().unwrap().len(), 2, "{seen}");
    phone.post("/account/sessions/end", &[]);
    assert_eq!((desk.who().as_str(), phone.who().as_str()), ("nobody", "han"));
    naru.say(&["session", "end", "--all", "--of", "han"]).unwrap();
    assert_eq!(phone.who(), "nobody");
}

#[test]
fn a_form_of_another_site_signs_nobody_in() {
    let naru = shop();
    let form = format!("token={}", naru.token().unwrap());
    let host = naru.url.trim_start_matches("http://").to_owned();
    let ask = |headers: &[(&str, &str)]| {
        request(naru.address().unwrap(), &host, "POST", "/sign-in", headers, form.as_bytes())
            .unwrap()
            .status
    };
    assert_eq!(ask(&[("Origin", "https://evil.example")]), 403);
    assert_eq!(ask(&[("Origin", "null")]), 403);
    assert_eq!(ask(&[]), 403);
    assert_eq!(ask(&[("Sec-Fetch-Site", "cross-site"), ("Origin", naru.url.as_str())]), 403);
    assert_eq!(ask(&[("Sec-Fetch-Site", "same-origin"), ("Origin", naru.url.as_str())]), 303);
}

#[test]
fn groups_within_groups_and_programs_with_accounts() {
    let naru = shop();
    naru.say(&["user", "create", "ada"]).unwrap();
    for group in ["crew", "all"] {
        naru.say(&["group", "create", group, "--title", group]).unwrap();
    }
    naru.say(&["service-account", "create", "deployer", "--project", "shop"]).unwrap();
    naru.say(&["group", "add", "crew", "ada", "service:deployer"]).unwrap();
    naru.say(&["group", "add", "all", "group:crew"]).unwrap();
    let members = naru.json(&["group", "members", "all"]).unwrap();
    let names: Vec<String> = members
        .as_array()
        .unwrap()
        .iter()
        .map(|m| {
            format!("{}{}{} {}", m["user"], m["group"], m["service"], m["by"]).replace("null", "")
        })
        .collect();
    assert_eq!(
        names,
        ["\"crew\" []", "\"ada\" [\"crew\"]", "\"deployer\" [\"crew\"]"],
        "{members}"
    );
    let circle = naru.cli(&["group", "add", "crew", "group:all"]).unwrap();
    assert!(!circle.status.success(), "a circle");
    let unknown = naru.cli(&["group", "add", "crew", "nobody"]).unwrap();
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("nobody"));
    let narrow = ["--scope", "read", "--project", "shop", "--expires", "30d"];
    let made = [&["service-account", "token", "deployer", "ci"], narrow.as_slice()].concat();
    let made = naru.json(&made).unwrap();
    let bearer = format!("Bearer {}", made["token"].as_str().unwrap());
    let whoami = |bearer: &str| {
        let headers = [("Authorization", bearer)];
        request(naru.address().unwrap(), "localhost", "GET", "/api/v1/me", &headers, b"").unwrap()
    };
    let me = whoami(&bearer).json().unwrap();
    assert_eq!(me["principal"]["name"], "deployer");
    assert_eq!(me["groups"], json!(["all", "crew"]));
    assert_eq!(me["credential"]["scopes"]["read_only"], true);
    naru.say(&["service-account", "disable", "deployer"]).unwrap();
    assert_eq!(whoami(&bearer).status, 401, "its tokens are over");
}

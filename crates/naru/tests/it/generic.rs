//! The generic API, as scripts use it.

use crate::shop;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use testkit::{Naru, request};

const SPEC: &str = r#"{"spec":{"command":"sleep 1000","replicas":0}}"#;
const ONE: &str = "/api/v1/projects/shop/services/worker";

fn with(naru: &Naru, method: &str, path: &str, header: (&str, &str), body: &str) -> u16 {
    let token = format!("Bearer {}", naru.token().unwrap());
    let headers = [("Authorization", token.as_str()), header];
    request(naru.address().unwrap(), "localhost", method, path, &headers, body.as_bytes())
        .unwrap()
        .status
}

#[test]
fn a_resource_from_its_creation_to_its_end() {
    let naru = shop();
    let made = naru.api("PUT", ONE, SPEC).unwrap();
    assert_eq!(made.status, 201, "{}", made.body);
    let revision = made.json().unwrap()["revision"].to_string();
    assert!(made.head.to_lowercase().contains(&format!("etag: \"{revision}\"")), "{}", made.head);

    let dry = naru
        .api("PUT", &format!("{ONE}?dryRun=true"), r#"{"spec":{"command":"sleep 7","replicas":0}}"#)
        .unwrap();
    let dry = dry.json().unwrap();
    assert_eq!(
        (&dry["would"], &dry["changes"][0]["path"]),
        (&"update".into(), &"/spec/command".into()),
        "{dry}"
    );

    assert_eq!(with(&naru, "PUT", ONE, ("If-None-Match", "*"), SPEC), 409);
    assert_eq!(with(&naru, "PUT", ONE, ("If-Match", "\"1\""), SPEC), 409);
    let labels = naru.api("PATCH", ONE, r#"{"labels":{"tier":"back"}}"#).unwrap();
    assert_eq!(labels.status, 200, "{}", labels.body);
    let list = |selector: &str| {
        let path = format!("/api/v1/projects/shop/services?labelSelector={selector}");
        naru.api("GET", &path, "").unwrap().json().unwrap()["items"].as_array().unwrap().len()
    };
    assert_eq!((list("tier=back"), list("tier=front"), list("!tier")), (1, 0, 0));
    assert_eq!(naru.api("DELETE", ONE, "").unwrap().status, 204);
    assert_eq!(naru.api("GET", ONE, "").unwrap().status, 404);
    let events = naru.json(&["events", "-p", "shop", "--kind", "resource."]).unwrap();
    let kinds: Vec<_> = events
        .as_array()
        .unwrap()
        .iter()
        .filter(|e| e["subject"]["kind"] == "Service")
        .map(|e| e["kind"].as_str().unwrap())
        .collect();
    assert_eq!(
        (kinds.first(), kinds.last()),
        (Some(&"resource.created"), Some(&"resource.deleted")),
        "{kinds:?}"
    );
}

#[test]
fn pages_of_a_list_hold_everything_once() {
    let naru = shop();
    for n in 0..7 {
        let path = format!("/api/v1/projects/shop/services/w{n}");
        assert_eq!(naru.api("PUT", &path, SPEC).unwrap().status, 201);
    }
    let mut names = Vec::new();
    let mut next = String::new();
    loop {
        let page = naru
            .api("GET", &format!("/api/v1/projects/shop/services?limit=3{next}"), "")
            .unwrap()
            .json()
            .unwrap();
        names.extend(
            page["items"]
                .as_array()
                .unwrap()
                .iter()
                .map(|i| i["name"].as_str().unwrap().to_owned()),
        );
        match page["continue"].as_str() {
            Some(from) => next = format!("&continue={from}"),
            None => break,
        }
    }
    assert_eq!(names, ["w0", "w1", "w2", "w3", "w4", "w5", "w6"]);
}

#[test]
fn a_watch_from_a_revision_misses_nothing() {
    let naru = shop();
    let from =
        naru.api("PUT", ONE, SPEC).unwrap().json().unwrap()["revision"].as_u64().unwrap() - 1;
    naru.api("PATCH", ONE, r#"{"labels":{"n":"1"}}"#).unwrap();
    let mut stream = TcpStream::connect(naru.address().unwrap()).unwrap();
    let token = naru.token().unwrap();
    write!(stream, "GET /api/v1/projects/shop/services?watch=true&from={from} HTTP/1.0\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n").unwrap();
    naru.api("DELETE", ONE, "").unwrap();
    let lines = BufReader::new(stream).lines().map_while(Result::ok);
    let mut seen = Vec::new();
    for line in lines {
        if let Some(event) = line.strip_prefix("event: ") {
            if event != "status" {
                seen.push(event.to_owned());
            }
            if event == "deleted" {
                break;
            }
        }
    }
    assert_eq!(seen, ["created", "updated", "deleted"]);
}

#[test]
fn schemas_and_the_api_description_come_from_the_same_structs() {
    let naru = shop();
    let schema = naru.api("GET", "/api/v1/schemas/service.json", "").unwrap().json().unwrap();
    assert_eq!(schema["properties"]["kind"]["const"], "Service");
    assert!(schema["properties"]["spec"]["properties"]["command"].is_object(), "{schema}");
    let api = naru.api("GET", "/api/v1/openapi.json", "").unwrap().json().unwrap();
    assert_eq!(api["openapi"], "3.1.0");
    assert!(api["paths"]["/api/v1/projects/{project}/services/{name}"]["put"].is_object());
    assert!(
        api["paths"]["/api/v1/projects/{project}/releases/{name}"]["put"].is_null(),
        "people do not write releases"
    );
}

#[test]
fn what_is_wrong_is_named() {
    let naru = shop();
    let said = |method: &str, path: &str, body: &str| {
        let answer = naru.api(method, path, body).unwrap();
        (answer.status, answer.json().unwrap()["code"].as_str().unwrap_or("").to_owned())
    };
    assert_eq!(said("PUT", ONE, r#"{"spec":{"comand":"x"}}"#), (400, "spec.invalid".into()));
    assert_eq!(said("PUT", ONE, "{"), (400, "body.invalid".into()));
    assert_eq!(
        said("PUT", "/api/v1/projects/none/services/x", SPEC),
        (404, "project.unknown".into())
    );
    assert_eq!(said("GET", "/api/v1/projects/shop/things", ""), (404, "kind.unknown".into()));
    assert_eq!(
        said("PUT", "/api/v1/projects/shop/releases/x", "{}"),
        (403, "kind.read-only".into())
    );
    assert_eq!(said("PUT", "/api/v1/projects/api", "{}"), (400, "project.reserved".into()));
    assert_eq!(
        said("GET", "/api/v1/projects/shop/services/..%2f..%2fetc", ""),
        (400, "name.invalid".into())
    );
    assert_eq!(said("GET", "/nowhere", ""), (404, "page.unknown".into()));
}

#[test]
fn a_stranger_gets_nothing_and_learns_nothing() {
    let naru = shop();
    naru.api("PUT", ONE, SPEC).unwrap();
    let address = naru.address().unwrap();
    let ask = |token: Option<&str>, path: &str| {
        let bearer = token.map(|t| format!("Bearer {t}")).unwrap_or_default();
        let headers =
            if token.is_some() { vec![("Authorization", bearer.as_str())] } else { vec![] };
        request(address, "localhost", "GET", path, &headers, b"").unwrap().status
    };
    for path in [
        "/api/v1/projects",
        ONE,
        "/api/v1/events",
        "/api/v1/tokens",
        "/api/v1/users",
        "/api/v1/openapi.json",
    ] {
        assert_eq!(ask(None, path), 401, "{path}");
        assert_eq!(ask(Some("naru_wrong"), path), 401, "{path}");
    }
    assert_eq!(ask(None, "/shop/web.git/info/refs?service=git-upload-pack"), 401);
}

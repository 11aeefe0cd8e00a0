//! Applications that people sign in to, with the libraries that applications use, and without manners.

use crate::EXE;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::Command;
use testkit::Naru;

/// What `cargo xtask test` has put there.
fn clients() -> PathBuf {
    let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("clients");
    assert!(dir.exists(), "`cargo xtask clients` installs the libraries of applications");
    dir
}

fn script(name: &str) -> String {
    format!("{}/tests/clients/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// Runs a script to its end, and gives what it printed.
fn run(command: &mut Command) -> Value {
    let out = command.output().unwrap();
    let (said, wrong) =
        (String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    assert!(out.status.success(), "{said}\n{wrong}");
    serde_json::from_str(&said).unwrap_or_else(|e| panic!("{e}: {said}\n{wrong}"))
}

fn link(naru: &Naru) -> String {
    let said = naru.say(&["sign-in"]).unwrap();
    said.split_whitespace().find(|word| word.contains("/sign-in/")).unwrap().to_owned()
}

#[test]
fn authlib_signs_somebody_in_renews_and_signs_out() {
    let naru = Naru::start(EXE).unwrap();
    let back = "https://wiki.example.com/back";
    let made = naru.say(&[
        "application",
        "create",
        "wiki",
        "--title",
        "Wiki",
        "--redirect",
        back,
        "--logout-redirect",
        &format!("{back}/out"),
        "--grant",
        "authorization_code,refresh_token,client_credentials",
        "--scope",
        "openid,profile,email,groups,offline_access,reports.read",
    ]);
    let secret = made.unwrap().trim().to_owned();
    let mut python = Command::new("python3");
    python.arg(script("authlib_sign_in.py")).env("PYTHONPATH", clients().join("python"));
    let said = run(python.args([&naru.url, "wiki", &secret, back, &link(&naru)]));
    assert_eq!(said["header"]["alg"], "RS256", "what every client takes");
    assert_eq!(said["userinfo"]["preferred_username"], "admin");
    assert_eq!(said["userinfo"]["sub"], said["claims"]["sub"]);
    assert_eq!(said["turned"], true);
    assert_eq!(said["own"]["scope"], "reports.read");
    assert_eq!(said["own"]["id_token"], Value::Null, "nobody signed in");
    assert_eq!(said["out"], format!("{back}/out?state=bye"));
    assert_eq!(said["after"], 401, "signed out here, too");
    assert_eq!(said["iss"].as_str().unwrap().replace("%3A", ":").replace("%2F", "/"), naru.url);
    let events = naru.json(&["events", "--limit", "100"]).unwrap().to_string();
    assert!(events.contains("application.agreed"), "{events}");
    assert!(events.contains("application.signed-in"), "{events}");
    assert!(!events.contains(&secret));
}

/// The private key of RFC 7517, appendix A.2, and its public half.
fn key() -> (Value, Value) {
    let (x, y) = (
        "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
        "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM",
    );
    let public = json!({ "kty": "EC", "crv": "P-256", "x": x, "y": y, "kid": "one", "use": "sig", "alg": "ES256" });
    let mut private = public.clone();
    private["d"] = json!("870MB6gfuTJ4HtUnUvYMyJpr5eUZNP4Bk43bVdj3eAE");
    (private, public)
}

#[test]
fn openid_client_takes_it_as_a_public_client_with_a_key_and_on_a_device() {
    let naru = Naru::start(EXE).unwrap();
    let (private, public) = key();
    let keys = naru.data().join("keys.json");
    std::fs::write(&keys, json!({ "keys": [public] }).to_string()).unwrap();
    let create = |name: &str, more: &[&str]| {
        naru.say(&[&["application", "create", name], more].concat()).unwrap();
    };
    create(
        "cli",
        &[
            "--proof",
            "nothing",
            "--redirect",
            "http://127.0.0.1/back",
            "--logout-redirect",
            "http://127.0.0.1/out",
        ],
    );
    create(
        "api",
        &[
            "--proof",
            "key",
            "--keys",
            keys.to_str().unwrap(),
            "--redirect",
            "https://api.example.com/back",
            "--signing",
            "ES256",
            "--grant",
            "authorization_code,client_credentials",
            "--scope",
            "openid,email,reports.read",
        ],
    );
    create("tv", &["--proof", "nothing", "--grant", "device_code", "--trusted", "true"]);
    let module = clients().join("node/node_modules/openid-client/build/index.js");
    let given =
        json!({ "issuer": naru.url, "link": link(&naru), "key": private, "module": module });
    let mut node = Command::new("node");
    let said = run(node.arg(script("openid_client_sign_in.mjs")).arg(given.to_string()));
    assert_eq!(said["userinfo"]["preferred_username"], "admin");
    assert_eq!(
        (&said["reused"], &said["family"]),
        (&json!("invalid_grant"), &json!("invalid_grant"))
    );
    assert_eq!(said["after"], 401, "the family's access tokens are over, too: {said}");
    assert_eq!((&said["own"], &said["seen"]["active"]), (&json!("reports.read"), &json!(true)));
    assert_eq!(
        (&said["visible"]["username"], &said["revoked"]["active"]),
        (&json!("admin"), &json!(false))
    );
    assert_eq!(said["device"]["sub"], said["claims"]["sub"]);
    assert_eq!((&said["device"]["asked"], &said["device"]["status"]), (&json!(true), &json!(200)));
    assert_eq!(said["out"], "http://127.0.0.1:9/out?state=bye");
}

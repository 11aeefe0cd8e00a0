//! The transit engine, by a server that answers as Vault does.

use super::masters::contract;
use super::*;
use crate::{Key, KeyFile, Passphrase, Transit};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Mutex;

/// Keys by version, as `transit/naru`.
struct Fake {
    keys: Mutex<Vec<Key>>,
    sealed: Mutex<bool>,
    asked: Mutex<Vec<String>>,
}

/// One request: its path, token and body.
fn hear(stream: &TcpStream) -> Option<(String, String, Value)> {
    let mut reader = BufReader::new(stream);
    let (mut first, mut token, mut length) = (String::new(), String::new(), 0);
    reader.read_line(&mut first).ok()?;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim().split_once(": ") else { break };
        match name.to_ascii_lowercase().as_str() {
            "x-vault-token" => token = value.to_owned(),
            "content-length" => length = value.parse().ok()?,
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((first.split(' ').nth(1)?.to_owned(), token, serde_json::from_slice(&body).ok()?))
}

impl Fake {
    fn answer(&self, path: &str, token: &str, body: &Value) -> (u16, Value) {
        let word = |field: &str| body[field].as_str().unwrap_or_default().to_owned();
        let about = STANDARD.decode(word("associated_data")).unwrap();
        let mut keys = self.keys.lock().unwrap();
        let errors = |words: &str| json!({ "errors": [words] });
        if *self.sealed.lock().unwrap() {
            return (503, errors("Vault is sealed"));
        }
        if token != "s.token" {
            return (403, errors("permission denied"));
        }
        match path {
            "/v1/transit/encrypt/naru" => {
                let plain = STANDARD.decode(word("plaintext")).unwrap();
                let sealed = keys.last().unwrap().seal(&plain, &about).unwrap();
                let version = keys.len();
                (
                    200,
                    json!({ "data": { "ciphertext": format!("vault:v{version}:{sealed}"), "key_version": version } }),
                )
            }
            "/v1/transit/decrypt/naru" => {
                let sealed = word("ciphertext");
                let mut parts = sealed.splitn(3, ':').skip(1);
                let version: usize = parts.next().unwrap().trim_start_matches('v').parse().unwrap();
                match keys[version - 1].open(parts.next().unwrap(), &about) {
                    Ok(plain) => {
                        (200, json!({ "data": { "plaintext": STANDARD.encode(plain.as_slice()) } }))
                    }
                    Err(_) => (400, errors("cipher: message authentication failed")),
                }
            }
            "/v1/transit/keys/naru/rotate" => {
                keys.push(Key::random().unwrap());
                (204, Value::Null)
            }
            _ => (404, errors("no handler for route")),
        }
    }

    fn start() -> (Arc<Fake>, String) {
        let keys = Mutex::new(vec![Key::random().unwrap()]);
        let fake = Arc::new(Fake { keys, sealed: Mutex::new(false), asked: Mutex::default() });
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/transit/naru", listener.local_addr().unwrap());
        let own = fake.clone();
        // Ends with the process of the test.
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let Some((path, token, body)) = hear(&stream) else { continue };
                own.asked.lock().unwrap().push(body.to_string());
                let (status, said) = own.answer(&path, &token, &body);
                let said = if said.is_null() { String::new() } else { said.to_string() };
                let length = said.len();
                let _ = write!(
                    stream,
                    "HTTP/1.1 {status} X\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{said}"
                );
            }
        });
        (fake, url)
    }
}

fn token(dir: &Path, words: &str) -> std::path::PathBuf {
    let file = dir.join("token");
    std::fs::write(&file, words).unwrap();
    file
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transit_engine_keeps_the_contract_and_sees_no_value() {
    let (dir, clock) = (tempfile::tempdir().unwrap(), Manual::default());
    let (fake, url) = Fake::start();
    let transit = Transit::new(&url, token(dir.path(), "s.token\n")).unwrap();
    contract(&transit).await;
    let store = store(dir.path(), &clock, None);
    put(&vault(&store, transit.clone()), "a", "the value itself").await.unwrap();
    assert_eq!(
        get(&vault(&store, transit), "a", None).await.unwrap().value.reveal(),
        "the value itself"
    );
    assert!(!fake.asked.lock().unwrap().iter().any(|a| a.contains("value itself")));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_sealed_away_or_refuses_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let (fake, url) = Fake::start();
    let key = Key::random().unwrap();
    let transit = Transit::new(&url, token(dir.path(), "s.token")).unwrap();
    let wrapped = transit.wrap(&key, "x").await.unwrap();
    *fake.sealed.lock().unwrap() = true;
    let error = transit.unwrap(&wrapped, "x").await.unwrap_err();
    assert_eq!(error.code(), "secret.kms", "{error}");
    *fake.sealed.lock().unwrap() = false;
    // The token is read anew each time.
    token(dir.path(), "s.other");
    let error = transit.unwrap(&wrapped, "x").await.unwrap_err();
    assert!(
        error.code() == "secret.master-key" && error.say().en.contains("permission denied"),
        "{error}"
    );
    std::fs::remove_file(dir.path().join("token")).unwrap();
    let error = transit.unwrap(&wrapped, "x").await.unwrap_err();
    assert!(error.code() == "secret.master-key" && error.say().en.contains("token"), "{error}");
    let nowhere =
        Transit::new("http://127.0.0.1:1/transit/naru", token(dir.path(), "s.token")).unwrap();
    assert_eq!(nowhere.unwrap(&wrapped, "x").await.unwrap_err().code(), "secret.kms");
    for wrong in [
        "",
        "vault",
        "http://vault.example.com/transit/naru",
        "https://v/naru",
        "https://v/../k",
        "https://v/a/b?x=1",
    ] {
        assert_eq!(
            Transit::new(wrong, "t".into()).unwrap_err().code(),
            "secret.kms-url",
            "{wrong}"
        );
    }
}

/// From each keeper to each other: what was sealed opens, and the old keeper is not needed any more.
#[tokio::test(flavor = "multi_thread")]
async fn keys_move_between_file_passphrase_and_transit() {
    let dir = tempfile::tempdir().unwrap();
    let (_fake, url) = Fake::start();
    let transit = Transit::new(&url, token(dir.path(), "s.token")).unwrap();
    let keepers: [Arc<dyn Kms>; 3] = [
        Arc::new(KeyFile::new(&dir.path().join("key.json"))),
        Arc::new(Passphrase::cheap("words")),
        Arc::new(transit),
    ];
    for from in &keepers {
        for to in keepers.iter().filter(|to| to.kind() != from.kind()) {
            let place = tempfile::tempdir().unwrap();
            let store = store(place.path(), &Manual::default(), None);
            put(&Vault::new(store.clone(), from.clone(), None), "a", "value").await.unwrap();
            let moving = Vault::new(store.clone(), to.clone(), Some(from.clone()));
            assert_eq!(get(&moving, "a", None).await.unwrap().value.reveal(), "value");
            let moved = Vault::new(store.clone(), to.clone(), None);
            let (from, to) = (from.kind(), to.kind());
            assert_eq!(
                get(&moved, "a", None).await.unwrap().value.reveal(),
                "value",
                "{from} to {to}"
            );
        }
    }
}

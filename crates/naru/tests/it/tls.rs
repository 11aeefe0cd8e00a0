//! The edge over TLS, with curl as the client.

use crate::{EXE, WEB, files, service};
use rcgen::CertifiedKey;
use std::path::{Path, PathBuf};
use std::process::Command;
use testkit::Naru;

/// A self-made certificate for a host, and its key.
pub fn certificate(dir: &Path, name: &str, host: &str) -> (PathBuf, PathBuf) {
    let CertifiedKey { cert, signing_key } =
        rcgen::generate_simple_self_signed([host.to_owned()]).unwrap();
    let (chain, key) = (dir.join(format!("{name}.pem")), dir.join(format!("{name}.key")));
    std::fs::write(&chain, cert.pem()).unwrap();
    std::fs::write(&key, signing_key.serialize_pem()).unwrap();
    (chain, key)
}

/// The edge's TLS port, and curl's answer through it followed by its protocol and status.
fn curl(naru: &Naru, authority: &Path, protocol: &str) -> String {
    let kept = std::fs::read(naru.data().join("server.json")).unwrap();
    let kept: serde_json::Value = serde_json::from_slice(&kept).unwrap();
    let port = kept["edge_tls"].as_str().unwrap().rsplit(':').next().unwrap().to_owned();
    let out = Command::new("curl")
        .args(["-sS", "--max-time", "20", protocol, "--write-out", " %{http_version} %{http_code}"])
        .args(["--resolve", &format!("{WEB}:{port}:127.0.0.1"), "--noproxy", "*", "--cacert"])
        .arg(authority)
        .arg(format!("https://{WEB}:{port}/"))
        .output()
        .unwrap();
    String::from_utf8(out.stdout).unwrap() + &String::from_utf8(out.stderr).unwrap()
}

#[test]
fn a_service_answers_over_tls_in_both_protocols() {
    let dir = tempfile::tempdir().unwrap();
    let (chain, key) = certificate(dir.path(), "edge", WEB);
    let words = |p: &Path| p.to_str().unwrap().to_owned();
    let (chain_flag, key_flag) = (words(&chain), words(&key));
    let tls = ["--edge-tls", "127.0.0.1:0", "--edge-cert", &chain_flag, "--edge-key", &key_flag];
    let naru = Naru::start_with(EXE, &tls).unwrap();
    naru.say(&["project", "create", "shop"]).unwrap();
    naru.repository("shop", "web", &files(&service("hello"))).unwrap().follow().unwrap();

    assert_eq!(curl(&naru, &chain, "--http2"), "hello 2 200");
    assert_eq!(curl(&naru, &chain, "--http1.1"), "hello 1.1 200");
    assert_eq!(naru.visit(WEB, "/").unwrap().body, "hello", "the plain way in is still there");
    let (other, _) = certificate(dir.path(), "other", WEB);
    let distrusted = curl(&naru, &other, "--http2");
    assert!(distrusted.contains("certificate") && distrusted.contains(" 000"), "{distrusted}");
}

#[test]
fn settings_that_do_not_fit_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let (chain, key) = certificate(dir.path(), "edge", WEB);
    let (_, other) = certificate(dir.path(), "other", WEB);
    let absent = dir.path().join("absent.pem");
    let nonsense = dir.path().join("nonsense.pem");
    std::fs::write(&nonsense, "words").unwrap();
    let data = dir.path().join("data");
    std::fs::create_dir(&data).unwrap();
    let refused = |args: &[&str]| {
        let mut command = Command::new(EXE);
        command.args(["up", "--listen", "127.0.0.1:0", "--edge", "127.0.0.1:0", "--data"]);
        let out = command.arg(&data).args(args).env("NARU_LANG", "en").output().unwrap();
        assert_eq!(out.status.code(), Some(1));
        String::from_utf8(out.stderr).unwrap()
    };
    let words = refused(&["--edge-tls", "127.0.0.1:0"]);
    assert!(words.contains("needs --edge-cert, --edge-key beside --edge-tls"), "{words}");
    let with = |chain: &Path, key: &Path| {
        let (chain, key) = (chain.to_str().unwrap(), key.to_str().unwrap());
        refused(&["--edge-tls", "127.0.0.1:0", "--edge-cert", chain, "--edge-key", key])
    };
    for (chain, key, say, file) in [
        (&absent, &key, "--edge-cert: cannot read", &absent),
        (&chain, &absent, "--edge-key: cannot read", &absent),
        (&nonsense, &key, "the TLS certificate cannot be read", &nonsense),
        (&chain, &nonsense, "the TLS key cannot be used", &nonsense),
        (&chain, &other, "the TLS key is not that of the certificate", &other),
    ] {
        let words = with(chain, key);
        assert!(words.contains(say) && words.contains(file.to_str().unwrap()), "{words}");
    }

    // The same from naru.toml, whose paths start beside it.
    std::fs::write(data.join("naru.toml"), "edge_tls = \"127.0.0.1:0\"\nedge_cert = \"a.pem\"\n")
        .unwrap();
    let words = refused(&[]);
    assert!(words.contains("needs --edge-key beside --edge-tls, --edge-cert"), "{words}");
    let words = refused(&["--edge-key", key.to_str().unwrap()]);
    assert!(words.contains(data.join("a.pem").to_str().unwrap()), "{words}");
}

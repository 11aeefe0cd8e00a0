//! The front over TLS with a CA of its own, and everybody's clients.

use crate::EXE;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use testkit::Naru;

fn secure() -> Naru {
    Naru::start_with(EXE, &["--tls"]).unwrap()
}

/// The port that it listens on.
fn port(naru: &Naru) -> u16 {
    naru.address().unwrap().port()
}

fn ca(naru: &Naru) -> PathBuf {
    naru.data().join("ca.pem")
}

fn words(out: &Output) -> String {
    String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr)
}

fn run(command: &str, args: &[&str]) -> Output {
    let mut command = Command::new(command);
    command.args(args).stdin(std::process::Stdio::null()).output().unwrap()
}

fn curl(args: &[&str]) -> String {
    let base = [
        "-sS",
        "--max-time",
        "20",
        "--noproxy",
        "*",
        "--write-out",
        " %{http_version} %{http_code}",
    ];
    words(&run("curl", &[&base, args].concat()))
}

fn s_client(naru: &Naru, args: &[&str]) -> String {
    let (place, ca) = (format!("127.0.0.1:{}", port(naru)), ca(naru));
    let base =
        ["s_client", "-connect", &place, "-CAfile", ca.to_str().unwrap(), "-verify_return_error"];
    words(&run("openssl", &[&base, args].concat()))
}

#[test]
fn clients_of_every_kind_believe_it_by_its_root_and_not_without() {
    let naru = secure();
    assert!(naru.url.starts_with("https://127.0.0.1:"), "{}", naru.url);
    let (ca, url) = (ca(&naru), format!("{}/api/v1/ca", naru.url));
    let root = ["--cacert", ca.to_str().unwrap()];
    let distrusted = curl(&["--http1.1", &url]);
    assert!(distrusted.contains("certificate") && distrusted.contains(" 000"), "{distrusted}");
    for (protocol, shown) in [("--http1.1", " 1.1 200"), ("--http2", " 2 200")] {
        let answer = curl(&[&root[..], &[protocol, &url]].concat());
        assert!(answer.contains("fingerprint") && answer.ends_with(shown), "{answer}");
    }
    let local = format!("https://localhost:{}/api/v1/ca", port(&naru));
    assert!(curl(&[&root[..], &[&local]].concat()).contains("fingerprint"));

    let python = format!(
        "import ssl, urllib.request as u\ntrust = ssl.create_default_context(cafile={:?})\nprint(u.build_opener(u.ProxyHandler({{}}), u.HTTPSHandler(context=trust)).open({url:?}).status)",
        ca.to_str().unwrap()
    );
    assert_eq!(words(&run("python3", &["-c", &python])), "200\n");

    for new in ["-tls1_2", "-tls1_3"] {
        let shaken = s_client(&naru, &[new]);
        assert!(shaken.contains("Verification: OK"), "{shaken}");
        assert!(!shaken.contains("Cipher is (NONE)"), "{new}: {shaken}");
    }
    for old in ["-tls1", "-tls1_1"] {
        let shaken = s_client(&naru, &[old, "-cipher", "ALL:@SECLEVEL=0"]);
        assert!(
            shaken.contains("Cipher is (NONE)") || shaken.contains("no protocols"),
            "{old}: {shaken}"
        );
    }
    let foreign = s_client(&naru, &["-servername", "evil.example.com"]);
    assert!(foreign.contains("Cipher is (NONE)"), "{foreign}");

    let plain = format!("http://127.0.0.1:{}/ca", port(&naru));
    let sent_on = curl(&["--write-out", "%{redirect_url}", &plain]);
    assert_eq!(sent_on, format!("{}/ca", naru.url));
    assert!(curl(&["-X", "POST", &plain]).contains("this port speaks TLS"));
    assert!(
        curl(&[&root[..], &["-D", "-", "-o", "/dev/null", &format!("{}/", naru.url)]].concat())
            .contains("frame-ancestors")
    );
}

/// What a job of `shop/web` does with what it is told about its server.
const JOB: &str = r#"
ask:
  script:
    - curl -sS --noproxy '*' --cacert "$CI_SERVER_TLS_CA_FILE" -o /dev/null -w "curl %{http_code}\n" "$CI_SERVER_URL/api/v1/ca"
    - git clone -q "https://gitlab-ci-token:$CI_JOB_TOKEN@${CI_SERVER_URL#https://}/shop/web.git" /tmp/clone
    - echo "cloned $(git -C /tmp/clone rev-parse HEAD)"
    - naru project list -o json
"#;

#[test]
fn git_commands_and_jobs_work_over_it() {
    let naru = secure();
    naru.say(&["project", "create", "shop"]).unwrap();
    let work = naru.repository("shop", "web", &[(".gitlab-ci.yml", JOB)]).unwrap();
    let said = work.follow().unwrap();
    let runs = naru.json(&["run", "list", "-p", "shop", "--kind", "pipeline"]).unwrap();
    let run = runs[0]["id"].as_str().unwrap_or_else(|| panic!("{said}"));
    let log = naru.say(&["run", "log", run, "ask", "-p", "shop"]).unwrap();
    let head = work.git(&["rev-parse", "HEAD"]).unwrap();
    for line in ["curl 200".to_owned(), format!("cloned {}", head.trim()), "\"shop\"".to_owned()] {
        assert!(log.contains(&line), "{line}: {log}");
    }
    let issuer = curl(&[
        "--cacert",
        ca(&naru).to_str().unwrap(),
        &format!("{}/.well-known/openid-configuration", naru.url),
    ]);
    assert!(issuer.contains(&format!("\"issuer\":\"{}\"", naru.url)), "{issuer}");
}

/// Somebody on another machine: a home of their own, and no data directory of the server's.
struct Visitor<'a> {
    naru: &'a Naru,
    home: tempfile::TempDir,
}

impl Visitor<'_> {
    fn naru(&self, args: &[&str]) -> (bool, String) {
        let mut command = self.naru.command(args);
        command.env("HOME", self.home.path()).env("NARU_DATA", self.home.path().join("none"));
        for unset in ["XDG_CONFIG_HOME", "XDG_DATA_HOME", "GIT_CONFIG_GLOBAL", "NARU_CA_FILE"] {
            command.env_remove(unset);
        }
        let out = command.output().unwrap();
        (out.status.success(), words(&out))
    }
}

#[test]
fn a_visitor_pins_the_ca_follows_its_successor_and_refuses_another() {
    let naru = secure();
    let visitor = Visitor { naru: &naru, home: tempfile::tempdir().unwrap() };
    let (token, url) = (naru.token().unwrap(), naru.url.as_str());
    let fingerprint = naru.say(&["ca", "fingerprint"]).unwrap().trim().to_owned();
    let login = ["login", url, "--token", &token];

    let (done, said) = visitor.naru(&login);
    assert!(
        !done && said.contains(&fingerprint),
        "it is shown, and nobody is there to agree: {said}"
    );
    assert!(said.contains("--ca-fingerprint"), "{said}");
    let wrong = fingerprint.replace(['1', '2', '3'], "4");
    let (done, said) = visitor.naru(&[&login[..], &["--ca-fingerprint", &wrong]].concat());
    assert!(!done && said.contains("the CA of"), "{said}");
    assert!(!visitor.naru(&["whoami"]).0, "nothing is kept of a refusal");

    let (done, said) = visitor.naru(&[&login[..], &["--ca-fingerprint", &fingerprint]].concat());
    assert!(done && said.contains("git believes"), "{said}");
    let git = std::fs::read_to_string(visitor.home.path().join(".gitconfig")).unwrap();
    assert!(git.contains(url) && git.contains("sslCAInfo"), "{git}");
    let (done, said) = visitor.naru(&["whoami"]);
    assert!(done && said.contains("admin"), "{said}");

    naru.say(&["ca", "rotate"]).unwrap();
    let (done, said) = visitor.naru(&["whoami"]);
    assert!(done, "the old root vouches for the new: {said}");

    naru.say(&["ca", "rotate", "--overlap-days", "0"]).unwrap();
    let (done, said) = visitor.naru(&["whoami"]);
    assert!(
        !done && said.contains("has not signed") && said.contains("--ca-fingerprint"),
        "{said}"
    );
    let (done, said) = visitor.naru(&login);
    assert!(!done && said.contains("has not signed"), "not even by signing in again: {said}");
    let fingerprint = naru.say(&["ca", "fingerprint"]).unwrap().trim().to_owned();
    let (done, said) = visitor.naru(&[&login[..], &["--ca-fingerprint", &fingerprint]].concat());
    assert!(done && visitor.naru(&["whoami"]).0, "{said}");
}

#[test]
fn certificates_for_others_are_issued_verified_and_revoked() {
    let naru = secure();
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let (cert, key, list) = (at("db.pem"), at("db.key"), at("list.crl"));
    let issue = ["ca", "issue", "db.internal", "10.0.0.7", "--cert", &cert, "--key", &key];
    let issued = naru.json(&issue).unwrap();
    let again = naru.cli(&issue).unwrap();
    assert!(!again.status.success() && words(&again).contains("is there already"));
    let mode =
        std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&key).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    let ca = ca(&naru).to_str().unwrap().to_owned();
    let verify = |more: &[&str]| {
        words(&run(
            "openssl",
            &[&["verify", "-CAfile", &ca, "-verify_hostname", "db.internal"], more, &[&cert]]
                .concat(),
        ))
    };
    assert!(verify(&[]).ends_with(": OK\n"), "{}", verify(&[]));

    let csr = at("web.csr");
    let subject = ["-subj", "/CN=web.internal", "-addext", "subjectAltName=DNS:web.internal"];
    let made = run(
        "openssl",
        &[
            &[
                "req",
                "-new",
                "-newkey",
                "rsa:2048",
                "-nodes",
                "-keyout",
                &at("web.key"),
                "-out",
                &csr,
            ],
            &subject[..],
        ]
        .concat(),
    );
    assert!(made.status.success(), "{}", words(&made));
    let web = naru
        .json(&["ca", "issue", "--csr", &csr, "--cert", &at("web.pem"), "--client", "--days", "7"])
        .unwrap();
    assert_eq!(
        (&web["certificate"]["names"][0], &web["certificate"]["usage"]),
        (&"web.internal".into(), &"client".into())
    );

    let serial = issued["certificate"]["serial"].as_str().unwrap();
    naru.say(&["ca", "revoke", serial]).unwrap();
    let listed = naru.json(&["ca", "ls"]).unwrap();
    let items = listed["items"].as_array().unwrap();
    assert_eq!(items.len(), 3, "the server's own, and these: {listed}");
    assert!(items.iter().any(|i| i["serial"] == serial && i["revoked"].is_string()));
    let text =
        words(&run("openssl", &["x509", "-in", &cert, "-noout", "-ext", "crlDistributionPoints"]));
    let place = text.lines().find_map(|l| l.trim().strip_prefix("URI:")).unwrap();
    curl(&["--cacert", &ca, "-o", &list, place]);
    let pem = at("list.pem");
    run("openssl", &["crl", "-inform", "DER", "-in", &list, "-out", &pem]);
    assert!(verify(&["-crl_check", "-CRLfile", &pem]).contains("certificate revoked"));

    let stranger = naru.api_as_nobody("/api/v1/ca/certificates");
    assert_eq!(stranger, "401");
    let audit = naru.say(&["audit", "search", "--what", "ca."]).unwrap();
    assert!(audit.contains("ca.issued") && audit.contains("ca.revoked"), "{audit}");
}

trait Nobody {
    /// The status that somebody without a token gets.
    fn api_as_nobody(&self, path: &str) -> String;
}

impl Nobody for Naru {
    fn api_as_nobody(&self, path: &str) -> String {
        let url = format!("{}{path}", self.url);
        let base =
            ["-sS", "-o", "/dev/null", "--noproxy", "*", "--write-out", "%{http_code}", "--cacert"];
        words(&run("curl", &[&base[..], &[ca(self).to_str().unwrap(), &url]].concat()))
    }
}

fn refused(data: &Path, args: &[&str]) -> String {
    let mut command = Command::new(EXE);
    command.args(["up", "--edge", "127.0.0.1:0", "--data"]).arg(data).args(args);
    let out = command.env("NARU_LANG", "en").output().unwrap();
    assert_eq!(out.status.code(), Some(1), "{}", words(&out));
    words(&out)
}

#[test]
fn what_would_be_unsafe_does_not_start_and_says_what_would_be_safe() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let said = refused(&data, &["--listen", "0.0.0.0:0"]);
    for way in ["in the clear", "--tls", "--trusted-proxy", "--insecure-plaintext"] {
        assert!(said.contains(way), "{way}: {said}");
    }
    assert!(refused(&data, &["--tls-cert", "x.pem"]).contains("--tls-key is missing"));
    assert!(refused(&data, &["--url", "naru.example.com"]).contains("--url"));
    let (cert, key) = crate::tls::certificate(dir.path(), "own", "naru.example.com");
    let (_, other) = crate::tls::certificate(dir.path(), "other", "naru.example.com");
    let given = |key: &Path| {
        [
            "--listen",
            "127.0.0.1:0",
            "--tls-cert",
            cert.to_str().unwrap(),
            "--tls-key",
            key.to_str().unwrap(),
        ]
        .map(str::to_owned)
    };
    let wrong = given(&other);
    let said = refused(&data, &wrong.each_ref().map(String::as_str));
    assert!(said.contains("the TLS key is not that of the certificate"), "{said}");

    // The right one is for those who come by its name, and the machine's own commands work as well.
    let right = given(&key);
    let more = ["--url", "https://naru.example.com"];
    let mut naru =
        Naru::start_in(EXE, &data, &[&right.each_ref().map(String::as_str)[..], &more].concat())
            .unwrap();
    assert_eq!(naru.url, "https://naru.example.com");
    let link = naru.say(&["sign-in"]).unwrap();
    assert!(link.starts_with("https://naru.example.com/sign-in/"), "{link}");
    let kept: serde_json::Value =
        serde_json::from_slice(&std::fs::read(data.join("server.json")).unwrap()).unwrap();
    let port = kept["url"].as_str().unwrap().rsplit(':').next().unwrap().to_owned();
    let named = curl(&[
        "--cacert",
        cert.to_str().unwrap(),
        "--resolve",
        &format!("naru.example.com:{port}:127.0.0.1"),
        &format!("https://naru.example.com:{port}/api/v1/ca"),
    ]);
    assert!(named.contains("fingerprint"), "{named}");

    naru.kill().unwrap();
    std::fs::remove_file(data.join("authority.json")).unwrap();
    let said = refused(&data, &["--listen", "127.0.0.1:0", "--tls"]);
    assert!(
        said.contains("the key of the internal CA is gone") && said.contains("--new-ca"),
        "{said}"
    );
    let anew = Naru::start_in(EXE, &data, &["--tls", "--new-ca"]).unwrap();
    assert!(anew.say(&["whoami"]).unwrap().contains("admin"));
}

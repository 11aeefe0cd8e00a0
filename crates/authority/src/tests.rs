//! What is signed, as a client of rustls sees it.

use crate::*;
use kernel::Time;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::{CertificateError, Error, RootCertStore};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::Duration;

const DAY: Duration = Duration::from_secs(86_400);
const NOW: Time = Time(1_800_000_000_000);

fn wanted(names: &[&str]) -> Wanted {
    Wanted {
        names: names.iter().map(|n| n.parse().unwrap()).collect(),
        usage: Usage::Server,
        life: LONGEST,
        serial: Serial::draw(NOW).unwrap(),
        revocations: Some("https://naru.example.com/ca/x.crl".into()),
    }
}

fn sign(root: &Root, names: &[&str], now: Time) -> Vec<CertificateDer<'static>> {
    root.sign_own(&wanted(names), now).unwrap().0.chain
}

/// Whether somebody who trusts `root` believes the chain for `name` at `now`.
fn believed(
    root: &CertificateDer<'static>,
    chain: &[CertificateDer<'static>],
    name: &str,
    now: Time,
) -> Result<(), Error> {
    let mut roots = RootCertStore::empty();
    roots.add(root.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider);
    let at = UnixTime::since_unix_epoch(Duration::from_millis(now.0.unsigned_abs()));
    let name = ServerName::try_from(name).unwrap();
    let (own, rest) = chain.split_first().unwrap();
    verifier.build().unwrap().verify_server_cert(own, rest, &name, &[], at).map(drop)
}

#[test]
fn a_certificate_holds_for_its_names_and_its_time() {
    let root = Root::make(NOW, vec![]).unwrap();
    let chain = sign(&root, &["naru.example.com", "*.apps.internal", "10.0.0.7"], NOW);
    let at = |name: &str, now: Time| believed(&root.certificate, &chain, name, now);
    for name in ["naru.example.com", "a.apps.internal", "10.0.0.7"] {
        at(name, NOW).unwrap();
        at(name, NOW.plus(89 * DAY)).unwrap();
    }
    for name in ["example.com", "a.b.apps.internal", "10.0.0.8"] {
        at(name, NOW).unwrap_err();
    }
    at("10.0.0.7", NOW.plus(91 * DAY)).unwrap_err();
    at("10.0.0.7", Time(NOW.0 - 2 * 3_600_000)).unwrap_err();
    let other = Root::make(NOW, vec![]).unwrap();
    let distrusted = believed(&other.certificate, &chain, "10.0.0.7", NOW).unwrap_err();
    assert_eq!(distrusted, Error::InvalidCertificate(CertificateError::UnknownIssuer));
}

#[test]
fn while_two_roots_overlap_either_is_enough() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("authority.json");
    let mut keep = Keep::make(&file, NOW, vec![]).unwrap();
    let old = keep.root().unwrap().certificate.clone();
    let before = sign(keep.root().unwrap(), &["a.internal"], NOW);
    keep.rotate(NOW.plus(DAY), vec![], 90 * DAY).unwrap();
    let keep = Keep::read(&file).unwrap().unwrap();
    let (new, now) = (keep.root().unwrap().certificate.clone(), NOW.plus(2 * DAY));
    assert_ne!(old, new);
    assert_eq!(keep.trusted(now).count(), 2);
    let after = sign(keep.root().unwrap(), &["a.internal"], now);
    assert_eq!(after.len(), 2, "the new root comes with the old one's word for it");
    believed(&old, &after, "a.internal", now).unwrap();
    believed(&new, &after, "a.internal", now).unwrap();
    believed(&old, &before, "a.internal", now).unwrap();

    let over = NOW.plus(92 * DAY);
    assert_eq!(keep.trusted(over).count(), 1);
    let later = sign(keep.root().unwrap(), &["a.internal"], over);
    assert_eq!(later.len(), 1);
    believed(&new, &later, "a.internal", over).unwrap();
    believed(&old, &later, "a.internal", over).unwrap_err();
    let mut keep = keep;
    assert!(keep.forget(over).unwrap() && !keep.forget(over).unwrap());
    assert_eq!(Keep::read(&file).unwrap().unwrap().roots().count(), 1);
}

#[test]
fn a_constrained_root_signs_within_and_is_believed_within() {
    let only = ["internal", "10.0.0.0/8"].map(|s| s.parse().unwrap()).to_vec();
    let root = Root::make(NOW, only).unwrap();
    let chain = sign(&root, &["db.internal", "10.1.2.3"], NOW);
    believed(&root.certificate, &chain, "db.internal", NOW).unwrap();
    believed(&root.certificate, &chain, "10.1.2.3", NOW).unwrap();
    for name in ["google.com", "192.168.0.1", "internal.com"] {
        let error = root.sign_own(&wanted(&[name]), NOW).unwrap_err();
        assert_eq!(error.code(), "ca.outside");
    }
}

#[test]
fn the_file_is_its_owners_alone_and_nothing_is_made_of_a_broken_one() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("authority.json");
    assert!(Keep::read(&file).unwrap().is_none());
    let made = Keep::make(&file, NOW, vec![]).unwrap().root().unwrap().fingerprint();
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(Keep::read(&file).unwrap().unwrap().root().unwrap().fingerprint(), made);

    let code = || Keep::read(&file).err().map(|e| e.code());
    let whole = std::fs::read_to_string(&file).unwrap();
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o640)).unwrap();
    assert_eq!(code(), Some("ca.key-open"));
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o600)).unwrap();
    let other = dir.path().join("other.json");
    Keep::make(&other, NOW, vec![]).unwrap();
    let value = |path| serde_json::from_slice::<serde_json::Value>(&std::fs::read(path).unwrap());
    let mut swapped = value(&file).unwrap();
    swapped["roots"][0]["pkcs8"] = value(&other).unwrap()["roots"][0]["pkcs8"].clone();
    for words in ["", "{}", "{\"roots\":[]}", &whole[..whole.len() / 2], &swapped.to_string()] {
        std::fs::write(&file, words).unwrap();
        assert_eq!(code(), Some("ca.key-damaged"), "{words}");
    }
}

#[test]
fn a_request_is_believed_for_its_key_and_not_for_what_else_it_asks() {
    let root = Root::make(NOW, vec![]).unwrap();
    let (key, pem) = key_and_csr(&["db.internal".parse().unwrap()]).unwrap();
    let csr = Csr::read(&pem).unwrap();
    assert_eq!(csr.names, ["db.internal".parse::<Host>().unwrap()]);
    let signed = root.sign_request(&wanted(&["db.internal"]), &csr, NOW).unwrap();
    believed(&root.certificate, &signed.chain, "db.internal", NOW).unwrap();
    let chain: String = signed.chain.iter().map(|der| to_pem(der)).collect();
    certified(chain.as_bytes(), key.as_bytes()).unwrap();

    let mut forged = pem.clone().into_bytes();
    let at = forged.len() / 2;
    forged[at] = if forged[at] == b'A' { b'B' } else { b'A' };
    let forged = String::from_utf8(forged).unwrap();
    for words in ["", "words", forged.as_str()] {
        let error = Csr::read(words).err().unwrap();
        assert_eq!(error.code(), "ca.request-invalid");
    }
}

#[test]
fn each_client_is_shown_what_fits_the_name_it_asks_for() {
    let key = |names: &[&str]| {
        let root = Root::make(NOW, vec![]).unwrap();
        let (signed, key) = root.sign_own(&wanted(names), NOW).unwrap();
        certified(to_pem(&signed.chain[0]).as_bytes(), key.as_bytes()).unwrap()
    };
    let names = BTreeSet::from(["naru.example.com".to_owned(), "old.example.com".to_owned()]);
    let shown = Shown::to(names);
    assert!(shown.choose(None).is_none(), "nothing yet");
    let (internal, brought) = (key(&["localhost", "old.example.com"]), key(&["naru.example.com"]));
    let (internal_own, brought_own) = (internal.cert[0].clone(), brought.cert[0].clone());
    shown.renew(internal);
    shown.bring(brought);
    let own = |name| shown.choose(name).map(|key| key.cert[0].clone());
    assert_eq!(own(Some("naru.example.com")), Some(brought_own.clone()));
    assert_eq!(own(Some("NARU.example.com")), Some(brought_own.clone()));
    assert_eq!(own(Some("old.example.com")), Some(internal_own.clone()));
    assert_eq!(own(Some("localhost")), Some(internal_own));
    assert_eq!(own(None), Some(brought_own));
    assert_eq!(own(Some("evil.example.com")), None);
    let next = key(&["naru.example.com"]);
    let next_own = next.cert[0].clone();
    shown.bring(next);
    assert_eq!(own(Some("naru.example.com")), Some(next_own), "from the next handshake on");
}

#[test]
fn numbers_sort_by_their_time_and_are_never_the_same() {
    let first = Serial::draw(NOW).unwrap();
    let later = Serial::draw(NOW.plus(Duration::from_millis(1))).unwrap();
    assert!(first < later && Serial::draw(NOW).unwrap() != first);
    assert_eq!(Serial::parse(&first.as_str().to_uppercase()).unwrap(), first);
    assert_eq!(first.der().to_bytes().len(), 16);
    for words in ["", "12", "zz", &"g".repeat(32)] {
        assert_eq!(Serial::parse(words).unwrap_err().code(), "ca.serial-invalid");
    }
}

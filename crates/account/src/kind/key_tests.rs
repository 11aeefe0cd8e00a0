use super::*;

const ED25519: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAbM/KXkKAEOlldW2bZWkkmGiI29GGnvQfN3V5Aexg15 ada@x";
const ECDSA: &str = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBEIt+v574c9Un8nwPnpbArTP7DPXoDAxQNP/RM5rxMiLbP0sLKxItFn15H/Js525UhN8XD5urDouJqEB9hPCJ6E=";
const RSA_2048: &str = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQDWM8nK0pkvQkFpggPqMjDApmf5owgnS4r8JaWfQc0hdWOh/0FmjrpsAMxxoTHArpmPNXQmjJUqxtSzU9EBwVutoNdhQAN2oXwQfcHrCfVa9smiOXDtKZRrTbSTWTTFChPJgHTc4NHsJuZXk0iwIcyadJLqATMnL7Z96rKX7Ew1SZ2jNdg/2aFDyN9Rdor3vXTMz5/Cpmnri3R8bh0Mb3dAmDPBN9Aw5qFMIXUg/SAMA77W6wptOA4JczY1/rA3k+ywUk1B1EvA5O9IplUDCZmpVlnFg3PmC3FtuXN2VBXpFBW7uzS8I0M4zkDPD3kSsKcZHYJNgeBjpckghq4+NNsV";
const RSA_1024: &str = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQCvm6ZcnO5wqc2/Ym9+yEDEUhbsXF4jO1KPvVQONVR6oI7Mg9Yx22xVsCWwX8hkRaAtGdag2skZt+x45ST/4O+BNTKDWTyRSGxA0HXvfM8hUi5Aeziteq4n5YAHZqU+XMsRaY7WhXRM/TFo4VncadaSeCpaA/r/e5tv3gN7otR+Mw==";
const PGP: &str = "-----BEGIN PGP PUBLIC KEY BLOCK-----

mDMEawXSfBYJKwYBBAHaRw8BAQdA/XFoiuqNX2Bkdo3M3Bq0jLhCQOwBUYJ2Do7c
nBOBQhG0FUFkYSA8YWRhQGV4YW1wbGUuY29tPoiQBBMWCAA4FiEEMlfpLOWP2kNg
qwNy2Lj6hFblyZcFAmsF0nwCGwMFCwkIBwIGFQoJCAsCBBYCAwECHgECF4AACgkQ
2Lj6hFblyZdLEwD/Ua8AOVgEyKa2AxLgIko78ThyVQKg9pAV02EEQRsitUQBAMOZ
Ec5Ip2OrTKCNgffjIT9rYHroEZ56EwrDsHXqntcI
=TIG/
-----END PGP PUBLIC KEY BLOCK-----
";

fn ssh(key: &str) -> SshKey {
    SshKey { key: key.to_owned(), title: String::new() }
}

fn why(key: &str) -> String {
    ssh(key).fingerprint().unwrap_err().say().en.to_string()
}

#[test]
fn fingerprints_are_those_that_ssh_keygen_and_gpg_print() {
    for (key, print) in [
        (ED25519, "SHA256:C3LTh/DWqthKiWCsakg8Z1AtGL9pTGoN3w5xFSJ91jM"),
        (ECDSA, "SHA256:ZQTZom6oi6SdLgyEz7kyFdX6afbESmSarN0fpbuHIO4"),
        (RSA_2048, "SHA256:cvUxGb22ITmq+14J5Axo4CT7IJHh0j7jneOWAT7CrFk"),
    ] {
        assert_eq!(ssh(key).fingerprint().unwrap(), print);
    }
    let found = PgpKey { key: PGP.to_owned() }.fingerprint().unwrap();
    assert_eq!(found, "3257E92CE58FDA4360AB0372D8B8FA8456E5C997");
    let (head, tail) = PGP.split_once("\n\n").unwrap();
    let with_headers = format!("{head}\r\nComment: hers\r\n\r\n{}", tail.replace('\n', "\r\n"));
    assert_eq!(PgpKey { key: with_headers }.fingerprint().unwrap(), found);
}

#[test]
fn what_is_no_public_key_is_refused_with_a_reason() {
    assert!(why("-----BEGIN OPENSSH PRIVATE KEY-----\nb3Blbn").contains("private key"));
    assert!(why(RSA_1024).contains("2048 bits"));
    assert!(why(&format!("{ED25519}\n{ECDSA}")).contains("one line"));
    assert!(why(&format!("command=\"rm\" {ED25519}")).contains("algorithm"));
    assert!(why(&ED25519.replace("ssh-ed25519 ", "ssh-rsa ")).contains("damaged"));
    assert!(why(&ED25519.replace("AAAAC3", "AAAAC4")).contains("damaged"));
    assert!(why("ssh-dss AAAAB3NzaC1kc3MAAACB").contains("algorithm"));
    for wrong in ["", "ssh-ed25519", "ssh-ed25519 AAAA", "ssh-ed25519 !!!"] {
        assert!(ssh(wrong).fingerprint().is_err(), "{wrong}");
    }
    for wrong in [
        "",
        "hello",
        &PGP.replace("PUBLIC", "PRIVATE"),
        &PGP.replace("mDME", "nDME"),
        &PGP.replace("mDME", "!!!!"),
        "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n-----END PGP PUBLIC KEY BLOCK-----",
    ] {
        assert!(PgpKey { key: wrong.to_owned() }.fingerprint().is_err(), "{wrong}");
    }
}

#[test]
fn a_key_is_listed_once_whatever_its_comment() {
    let again = ED25519.replace("ada@x", "other");
    assert_eq!(check(&[ssh(ED25519), ssh(&again)], &[]).unwrap_err().code(), "key.twice");
    check(&[ssh(ED25519), ssh(ECDSA)], &[PgpKey { key: PGP.into() }]).unwrap();
}

proptest::proptest! {
    #[test]
    fn damaged_keys_never_panic(at in 0_usize..400, byte: u8, cut in 0_usize..400) {
        for key in [ED25519, RSA_2048] {
            let blob = STANDARD.decode(key.split(' ').nth(1).unwrap()).unwrap();
            let mut blob = blob;
            let place = at % blob.len();
            blob[place] = byte;
            blob.truncate(cut.max(1));
            let words = format!("{} {}", key.split(' ').next().unwrap(), STANDARD.encode(&blob));
            let _ = ssh(&words).fingerprint();
        }
        let mut bytes = dearmour(PGP).unwrap();
        let place = at % bytes.len();
        bytes[place] = byte;
        bytes.truncate(cut);
        let _ = primary(&bytes);
    }
}

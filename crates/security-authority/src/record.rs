//! What is written down of each certificate.

use authority::{Fingerprint, Host, Serial, Usage};
use kernel::{Error, NewEvent, Principal, Result, Text, Time, text};
use serde::{Deserialize, Serialize};
use serde_json::json;
use store::{Tx, View};

/// Certificates by their number, which begins with the time.
const ISSUED: &str = "authority.issued";
/// Those that were taken back and have not ended, by their root and number.
const REVOKED: &str = "authority.revoked";
/// What is known of the roots, however their file fares.
const KNOWN: &str = "authority.known";
const ROOT: &str = "root";
/// The most entries of one list of revoked certificates.
const LIST: usize = 10_000;

/// A certificate as it was signed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Issued {
    pub serial: Serial,
    pub names: Vec<Host>,
    pub usage: Usage,
    /// Who asked.
    pub by: Principal,
    pub issued: Time,
    pub expires: Time,
    pub root: Fingerprint,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked: Option<Time>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    Holds,
    Revoked,
    Expired,
}

impl Issued {
    pub fn standing(&self, now: Time) -> Standing {
        match self.revoked {
            Some(_) => Standing::Revoked,
            None if self.expires <= now => Standing::Expired,
            None => Standing::Holds,
        }
    }

    /// Its names in one line.
    pub fn named(&self) -> String {
        self.names.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    }
}

pub fn write(tx: &mut Tx<'_>, issued: &Issued) -> Result<()> {
    tx.set_row(ISSUED, issued.serial.as_str(), issued)?;
    let (names, until) = (issued.named(), day(issued.expires));
    let say = text!(
        "signed a certificate for {names}, until {until}",
        "{names}의 인증서에 서명함, {until}까지"
    );
    let data = serde_json::to_value(issued).map_err(Error::internal)?;
    tx.append(NewEvent::new("ca.issued", issued.by.clone(), say).data(data)).map(drop)
}

/// The newest first, before a number.
pub fn list(view: &View<'_>, before: Option<&Serial>, limit: usize) -> Result<Vec<Issued>> {
    let rows = view.rows_back(ISSUED, "", before.map(Serial::as_str), limit)?;
    Ok(rows.into_iter().map(|(_, issued)| issued).collect())
}

/// Takes a certificate back, once.
///
/// # Errors
/// `ca.certificate-unknown`, `ca.certificate-revoked`.
pub fn revoke(tx: &mut Tx<'_>, serial: &Serial, by: Principal) -> Result<Issued> {
    let found: Option<Issued> = tx.row(ISSUED, serial.as_str())?;
    let mut issued = found.ok_or_else(|| unknown(serial))?;
    if issued.revoked.is_some() {
        return Err(Error::conflict(
            "ca.certificate-revoked",
            Text::fixed("it was revoked before", "이미 폐기된 인증서입니다"),
        ));
    }
    let now = tx.now();
    issued.revoked = Some(now);
    tx.set_row(ISSUED, serial.as_str(), &issued)?;
    if issued.expires > now {
        tx.set_row(REVOKED, &revoked_key(&issued), &now)?;
    }
    let names = issued.named();
    let say = text!("revoked the certificate for {names}", "{names}의 인증서를 폐기함");
    let data = json!({ "serial": serial, "names": issued.names });
    tx.append(NewEvent::new("ca.revoked", by, say).data(data))?;
    Ok(issued)
}

fn revoked_key(issued: &Issued) -> String {
    format!("{}-{}", issued.root.short(), issued.serial.as_str())
}

/// What a root has signed and takes back.
pub fn revoked(view: &View<'_>, root: &Fingerprint) -> Result<Vec<authority::Revoked>> {
    let prefix = format!("{}-", root.short());
    let rows: Vec<(String, Time)> = view.rows(REVOKED, &prefix, None, LIST)?;
    let one = |(key, at): (String, Time)| {
        let serial = Serial::parse(key.strip_prefix(&prefix)?).ok()?;
        Some(authority::Revoked { serial, at })
    };
    Ok(rows.into_iter().filter_map(one).collect())
}

/// Forgets what ended before `before`, a thousand at a time: how many.
pub fn sweep(tx: &mut Tx<'_>, before: Time) -> Result<usize> {
    let old: Vec<(String, Issued)> = tx.rows(ISSUED, "", None, 1000)?;
    let mut swept = 0;
    for (key, issued) in old.into_iter().filter(|(_, issued)| issued.expires < before) {
        tx.delete_row(ISSUED, &key)?;
        tx.delete_row(REVOKED, &revoked_key(&issued))?;
        swept += 1;
    }
    Ok(swept)
}

/// The root that signed last, as far as the store knows.
pub fn known(view: &View<'_>) -> Result<Option<Fingerprint>> {
    view.row(KNOWN, ROOT)
}

/// A root that signs from now on: `ca.created`, `ca.rotated`, `ca.changed`.
pub fn root(tx: &mut Tx<'_>, kind: &'static str, root: &Fingerprint, by: Principal) -> Result<()> {
    let shown = root.short();
    let say = match kind {
        "ca.created" => text!("made the internal CA {shown}", "내부 CA {shown}을(를) 만듦"),
        "ca.rotated" => text!(
            "made the internal CA {shown}, which follows the one before",
            "이전 CA를 잇는 내부 CA {shown}을(를) 만듦"
        ),
        _ => text!(
            "found the internal CA {shown} in its file, and not the one that signed before",
            "파일에서 전과 다른 내부 CA {shown}을(를) 발견함"
        ),
    };
    tx.set_row(KNOWN, ROOT, root)?;
    tx.append(NewEvent::new(kind, by, say).data(json!({ "fingerprint": root }))).map(drop)
}

/// The day in UTC.
pub fn day(time: Time) -> String {
    time.to_string().chars().take(10).collect()
}

fn unknown(serial: &Serial) -> Error {
    let shown = serial.as_str();
    Error::not_found(
        "ca.certificate-unknown",
        text!("no certificate has the number {shown}", "{shown}번 인증서는 없습니다"),
    )
    .hint(Text::fixed("`naru ca ls` lists them", "`naru ca ls`가 목록을 보여 줍니다"))
}

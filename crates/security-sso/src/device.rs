//! Devices that wait for a person, as rows.

use crate::code::Person;
use crate::grant::{self, Grant, Issued, application};
use crate::kind::{Application, Grants};
use crate::plan::Refusal;
use crate::plan::device::{self, INTERVAL, LASTS, Poll, Said};
use account::{draw_secret, hash_secret};
use kernel::{Error, Id, Key, Name, NewEvent, Principal, Result, Text, Time, text};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::BTreeSet;
use std::time::Duration;
use store::{Tx, View};

/// By the hash of the device's code.
const DEVICE: &str = "sso.device";
/// From the person's code to that hash.
const TYPED: &str = "sso.device.code";
const LONGEST: usize = 128;
/// Devices that wait at a time.
const MOST: usize = 2_000;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Device {
    pub app: Name,
    pub uid: Id,
    pub code: String,
    pub scopes: BTreeSet<String>,
    pub until: Time,
    interval: u64,
    last: Option<Time>,
    said: Answer,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Answer {
    Nothing,
    No,
    Yes(Box<Person>),
}

/// A device's code and the person's.
pub(crate) fn begin(
    tx: &mut Tx<'_>,
    app: Name,
    uid: Id,
    scopes: BTreeSet<String>,
    random: &[u8],
) -> Result<(String, String)> {
    if tx.rows::<String>(TYPED, "", None, MOST)?.len() >= MOST {
        let say = Text::fixed("too many devices wait", "기다리는 장치가 너무 많습니다");
        return Err(Error::new(kernel::ErrorKind::Busy, "sso.devices", say).retry_after(60));
    }
    let code = device::code(random).ok_or_else(|| Error::internal("no code for a device"))?;
    // Two devices with one code would be one person's answer for both.
    if tx.row::<String>(TYPED, &code)?.is_some() {
        return Err(Error::internal("two devices with one code"));
    }
    let words = format!("ndc_{}", draw_secret()?);
    let hash = hash_secret(&words);
    let until = tx.now().plus(LASTS);
    let (interval, last, said) = (INTERVAL.as_secs(), None, Answer::Nothing);
    let device = Device { app, uid, code: code.clone(), scopes, until, interval, last, said };
    tx.set_row(DEVICE, &hash, &device)?;
    tx.set_row(TYPED, &code, &hash)?;
    Ok((words, code))
}

/// The device that waits for a person who types `code`, and its application.
pub(crate) fn waiting(view: &View<'_>, code: &str) -> Result<Option<(Device, Application)>> {
    let Some(hash) = view.row::<String>(TYPED, code)? else { return Ok(None) };
    let Some(device) = view.row::<Device>(DEVICE, &hash)? else { return Ok(None) };
    let open = matches!(device.said, Answer::Nothing) && device.until > view.now();
    let app = application(view, &device.app)?;
    let app = app.filter(|(uid, app)| open && *uid == device.uid && !app.disabled);
    Ok(app.map(|(_, app)| (device, app)))
}

/// A person has answered. The code is used up.
///
/// # Errors
/// `sso.device-code` when nothing waits for it.
pub(crate) fn settle(tx: &mut Tx<'_>, code: &str, person: Person, agrees: bool) -> Result<()> {
    let Some((device, _)) = waiting(tx, code)? else { return Err(unknown()) };
    let hash: Option<String> = tx.row(TYPED, code)?;
    tx.delete_row(TYPED, code)?;
    let (app, who) = (device.app.clone(), person.who.clone());
    let said = if agrees { Answer::Yes(Box::new(person)) } else { Answer::No };
    if let Some(hash) = hash {
        tx.set_row(DEVICE, &hash, &Device { said, ..device })?;
    }
    let (kind, say) = match agrees {
        true => (
            "application.device-allowed",
            text!("{who} let a device sign in to {app}", "{who}이(가) 장치의 {app} 로그인을 허용"),
        ),
        false => (
            "application.device-declined",
            text!("{who} declined a device for {app}", "{who}이(가) 장치의 {app} 로그인을 거절"),
        ),
    };
    let data = json!({ "application": app, "principal": who });
    let subject = Key::global::<Application>(&app);
    tx.append(NewEvent::new(kind, who, say).subject(subject).data(data)).map(drop)
}

pub(crate) fn unknown() -> Error {
    Error::not_found(
        "sso.device-code",
        Text::fixed("no device waits for this code", "이 코드를 기다리는 장치가 없습니다"),
    )
    .hint(Text::fixed(
        "codes work for ten minutes; ask the device for a new one",
        "코드는 10분 동안 쓸 수 있습니다. 장치에서 새 코드를 받으세요",
    ))
}

fn no(error: &'static str, code: &'static str, say: (&'static str, &'static str)) -> Refusal {
    Refusal::new(error, code, say)
}

/// A device asks for its tokens. A refusal is no error: that it asked is written down.
pub(crate) fn redeem(
    tx: &mut Tx<'_>,
    client: &Name,
    words: &str,
    may: impl Fn(&Principal, &Application) -> bool,
) -> Result<std::result::Result<Issued, Refusal>> {
    let strange = || {
        no(
            "invalid_grant",
            "sso.device",
            ("the device code is not good", "쓸 수 없는 장치 코드입니다"),
        )
    };
    if words.len() > LONGEST {
        return Ok(Err(strange()));
    }
    let hash = hash_secret(words);
    let found: Option<Device> = tx.row(DEVICE, &hash)?;
    let Some(mut device) = found.filter(|device| device.app == *client) else {
        return Ok(Err(strange()));
    };
    let app = application(tx, client)?.filter(|(uid, _)| *uid == device.uid);
    let Some((_, app)) = app else { return Ok(Err(strange())) };
    let said = match &device.said {
        Answer::Nothing => Said::Nothing,
        Answer::No => Said::No,
        Answer::Yes(_) => Said::Yes,
    };
    let (interval, now) = (Duration::from_secs(device.interval), tx.now());
    let poll = device::poll(said, device.last, interval, device.until, now);
    let refusal = match poll {
        Poll::Granted => None,
        Poll::Pending => Some(no(
            "authorization_pending",
            "sso.device-pending",
            ("nobody has answered yet", "아직 답이 없습니다"),
        )),
        Poll::SlowDown => {
            Some(no("slow_down", "sso.device-slow", ("ask less often", "더 천천히 물어보세요")))
        }
        Poll::Expired => Some(no(
            "expired_token",
            "sso.device-late",
            ("the device code has run out", "장치 코드가 만료되었습니다"),
        )),
        Poll::Denied => Some(no(
            "access_denied",
            "sso.device-denied",
            ("the person declined", "사용자가 거절했습니다"),
        )),
    };
    if let Some(refusal) = refusal {
        if poll == Poll::SlowDown {
            device.interval += INTERVAL.as_secs();
        }
        device.last = Some(now);
        let over = matches!(poll, Poll::Expired | Poll::Denied);
        if over {
            forget(tx, &hash, &device)?
        } else {
            tx.set_row(DEVICE, &hash, &device)?
        }
        return Ok(Err(refusal));
    }
    forget(tx, &hash, &device)?;
    let Answer::Yes(person) = &device.said else { return Ok(Err(strange())) };
    if !may(&person.who, &app) {
        return Ok(Err(no(
            "access_denied",
            "sso.person",
            ("the person may not sign in any more", "더는 로그인할 수 없는 사람입니다"),
        )));
    }
    let grant = granted(tx, &device, person)?;
    grant::begin(tx, &grant)?;
    let refresh = app.grants.contains(&Grants::RefreshToken);
    grant::issue(tx, &grant, &app, grant.scopes.clone(), refresh).map(Ok)
}

/// What a device holds ends with the account, not with the session of the browser that let it in.
fn granted(tx: &Tx<'_>, device: &Device, person: &Person) -> Result<Grant> {
    Ok(Grant {
        id: tx.id()?.to_string(),
        app: device.app.clone(),
        uid: device.uid.clone(),
        who: Some(person.who.clone()),
        sub: person.sub.clone(),
        session: None,
        scopes: device.scopes.clone(),
        proved: Some(person.proved),
        how: person.how.clone(),
        nonce: None,
        created: tx.now(),
        generation: 0,
        turned: tx.now(),
    })
}

fn forget(tx: &mut Tx<'_>, hash: &str, device: &Device) -> Result<()> {
    tx.delete_row(DEVICE, hash)?;
    tx.delete_row(TYPED, &device.code).map(drop)
}

/// Devices that nobody has answered.
pub(crate) fn sweep(tx: &mut Tx<'_>, after: Option<&str>, most: usize) -> Result<Option<String>> {
    let now = tx.now();
    let page: Vec<(String, Device)> = tx.rows(DEVICE, "", after, most)?;
    for (hash, device) in page.iter().filter(|(_, device)| device.until <= now) {
        forget(tx, hash, device)?;
    }
    Ok(page.last().filter(|_| page.len() >= most).map(|(hash, _)| hash.clone()))
}

//! Secrets of applications: given out once, kept as hashes, several at a time while one follows the other.

use crate::grant::application;
use crate::kind::Application;
use account::{draw_secret, hash_secret};
use kernel::{Error, Id, Key, Name, NewEvent, Principal, Result, Text, Time, text};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::time::Duration;
use store::{Tx, View};
use subtle::ConstantTimeEq;

const SECRET: &str = "sso.secret";
/// At a time.
const MOST: usize = 5;
/// The longest time that an old secret works beside a new one.
pub(crate) const LONGEST_OVERLAP: Duration = Duration::from_secs(30 * 24 * 3600);

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Row {
    /// The application that they are of: one that is made again under the same name has none of them.
    uid: Id,
    all: Vec<Kept>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Kept {
    hash: String,
    #[serde(flatten)]
    view: SecretView,
}

/// A secret without itself.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SecretView {
    pub id: Id,
    pub made: Time,
    /// When it ends: another one has followed.
    pub until: Option<Time>,
}

fn row(view: &View<'_>, name: &Name, uid: &Id) -> Result<Vec<Kept>> {
    let found: Option<Row> = view.row(SECRET, name.as_str())?;
    Ok(found.filter(|row| row.uid == *uid).map(|row| row.all).unwrap_or_default())
}

/// Makes a secret. Those that are there work on for `overlap`.
///
/// # Errors
/// `application.unknown`, `application.secret` when it takes none.
pub(crate) fn rotate(
    tx: &mut Tx<'_>,
    name: &Name,
    overlap: Duration,
    actor: Principal,
) -> Result<String> {
    let (uid, app) = application(tx, name)?.ok_or_else(|| unknown(name))?;
    if app.proof != crate::kind::Proof::Secret {
        return Err(Error::conflict(
            "application.secret",
            text!(
                "{name} does not prove itself by a secret",
                "{name}은(는) 비밀 값으로 증명하지 않습니다"
            ),
        ));
    }
    let now = tx.now();
    let over = now.plus(overlap.min(LONGEST_OVERLAP));
    let mut all = row(tx, name, &uid)?;
    all.retain(|kept| kept.view.until.is_none_or(|until| until > now));
    for kept in &mut all {
        kept.view.until = Some(kept.view.until.map_or(over, |until| until.min(over)));
    }
    all.retain(|kept| kept.view.until.is_none_or(|until| until > now));
    let full = all.len().saturating_sub(MOST - 1);
    all.drain(..full);
    let words = format!("ncs_{}", draw_secret()?);
    let view = SecretView { id: tx.id()?, made: now, until: None };
    let data = json!({ "application": name, "secret": view.id, "overlap": overlap.as_secs() });
    all.push(Kept { hash: hash_secret(&words), view });
    tx.set_row(SECRET, name.as_str(), &Row { uid, all })?;
    let say = text!("a new secret for {name}", "{name}의 새 비밀 값");
    let event = NewEvent::new("application.secret-made", actor, say);
    tx.append(event.subject(Key::global::<Application>(name)).data(data))?;
    Ok(words)
}

/// Whether it is a secret of the application that works now.
pub(crate) fn check(view: &View<'_>, name: &Name, uid: &Id, given: &str) -> Result<bool> {
    let (now, hash) = (view.now(), hash_secret(given));
    let works = |kept: &Kept| kept.view.until.is_none_or(|until| until > now);
    let same = |kept: &Kept| bool::from(kept.hash.as_bytes().ct_eq(hash.as_bytes()));
    Ok(row(view, name, uid)?.iter().any(|kept| works(kept) && same(kept)))
}

/// The secrets that work, the newest last.
pub(crate) fn list(view: &View<'_>, name: &Name, uid: &Id) -> Result<Vec<SecretView>> {
    let now = view.now();
    let works = |kept: &Kept| kept.view.until.is_none_or(|until| until > now);
    Ok(row(view, name, uid)?.into_iter().filter(works).map(|kept| kept.view).collect())
}

pub(crate) fn forget(tx: &mut Tx<'_>, name: &Name) -> Result<()> {
    tx.delete_row(SECRET, name.as_str()).map(drop)
}

pub(crate) fn unknown(name: &Name) -> Error {
    Error::not_found(
        "application.unknown",
        text!("there is no application {name}", "{name} 애플리케이션이 없습니다"),
    )
    .hint(Text::fixed(
        "`naru application list` lists those that you look after",
        "`naru application list`가 내가 관리하는 목록을 보여 줍니다",
    ))
}

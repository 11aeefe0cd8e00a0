//! What people have agreed to.

use crate::grant::{self, Of};
use crate::kind::Application;
use kernel::{Id, Key, Name, NewEvent, Principal, Result, Time, text};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::BTreeSet;
use store::{Tx, View};

/// `<principal>/<application>`
const CONSENT: &str = "sso.consent";
/// Of one person.
const MOST: usize = 1000;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Consent {
    pub uid: Id,
    pub scopes: BTreeSet<String>,
    pub at: Time,
}

fn key(who: &Principal, app: &Name) -> String {
    format!("{who}/{app}")
}

pub(crate) fn find(
    view: &View<'_>,
    who: &Principal,
    app: &Name,
    uid: &Id,
) -> Result<BTreeSet<String>> {
    let found: Option<Consent> = view.row(CONSENT, &key(who, app))?;
    Ok(found.filter(|c| c.uid == *uid).map(|c| c.scopes).unwrap_or_default())
}

/// What somebody has agreed to, by application.
pub(crate) fn of(view: &View<'_>, who: &Principal) -> Result<Vec<(Name, Consent)>> {
    let prefix = format!("{who}/");
    let rows: Vec<(String, Consent)> = view.rows(CONSENT, &prefix, None, MOST)?;
    let named = |(key, consent): (String, Consent)| {
        Some((Name::parse(key.strip_prefix(&prefix)?).ok()?, consent))
    };
    Ok(rows.into_iter().filter_map(named).collect())
}

pub(crate) fn give(
    tx: &mut Tx<'_>,
    who: &Principal,
    app: &Name,
    uid: &Id,
    scopes: &BTreeSet<String>,
) -> Result<()> {
    let mut all = find(tx, who, app, uid)?;
    all.extend(scopes.iter().cloned());
    let consent = Consent { uid: uid.clone(), scopes: all, at: tx.now() };
    tx.set_row(CONSENT, &key(who, app), &consent)?;
    let say = text!("{who} agreed to {app}", "{who}이(가) {app}에 동의");
    let event = NewEvent::new("application.agreed", who.clone(), say);
    let data = json!({ "application": app, "principal": who, "scopes": scopes });
    tx.append(event.subject(Key::global::<Application>(app)).data(data)).map(drop)
}

/// Takes it back, and ends what came of it.
pub(crate) fn withdraw(tx: &mut Tx<'_>, who: &Principal, app: &Name) -> Result<()> {
    let had = tx.delete_row(CONSENT, &key(who, app))?;
    let mut ended = 0;
    for grant in grant::page(tx, &Of::Who(who), None)?.iter().filter(|g| g.app == *app) {
        grant::end(tx, grant, who, "withdrawn")?;
        ended += 1;
    }
    if !had && ended == 0 {
        return Ok(());
    }
    let say = text!("{who} withdrew from {app}", "{who}이(가) {app}의 접근을 거둠");
    let event = NewEvent::new("application.withdrawn", who.clone(), say);
    let data = json!({ "application": app, "principal": who, "grants": ended });
    tx.append(event.subject(Key::global::<Application>(app)).data(data)).map(drop)
}

/// All of somebody who has gone.
pub(crate) fn forget(tx: &mut Tx<'_>, who: &Principal) -> Result<()> {
    for (app, _) in of(tx, who)? {
        tx.delete_row(CONSENT, &key(who, &app))?;
    }
    Ok(())
}

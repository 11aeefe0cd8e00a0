//! What ends with what: a follower of the journal.
//!
//! When an account, a session or an application ends, so do the grants that hang on it, in the transaction that moves
//! the follower's cursor. Whatever looks at a token meanwhile asks [`crate::Sso::may`], which knows at once.

use crate::grant::{self, GRANT, Grant, Of};
use crate::kind::Application;
use crate::{PART_NAME, Sso, consent, secret};
use account::User;
use kernel::{Event, Key, Kind, Name, NewEvent, Principal, Result, text};
use serde_json::{Value, json};
use store::Tx;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const CURSOR: &str = "security-sso.end";
const KINDS: &[&str] = &[
    "session.closed",
    "session.expired",
    "sessions.closed",
    "credentials.ended",
    "account.restored",
    "resource.updated",
    "resource.deleted",
];

pub(crate) fn start(sso: &Sso, stop: CancellationToken) -> JoinHandle<()> {
    reconcile::follow_kinds(sso.store().clone(), CURSOR, KINDS, ended, stop)
}

/// What one event ends.
pub(crate) fn ended(event: &Event, tx: &mut Tx<'_>) -> Result<()> {
    let data = &event.fact.data;
    let actor = Principal::part(PART_NAME);
    let session = |tx: &mut Tx<'_>, id: &str| {
        grant::end_all(tx, &Of::Session(id), &actor, "session").map(drop)
    };
    match event.fact.kind.as_str() {
        "session.closed" | "session.expired" => {
            match data.get("credential").and_then(Value::as_str) {
                Some(id) => session(tx, id),
                None => Ok(()),
            }
        }
        "sessions.closed" => {
            let ids = data.get("credentials").and_then(Value::as_array).into_iter().flatten();
            ids.filter_map(Value::as_str).try_for_each(|id| session(tx, id))
        }
        "credentials.ended" => {
            let who = data.get("principal").cloned().map(serde_json::from_value::<Principal>);
            match who {
                Some(Ok(who)) => grant::end_all(tx, &Of::Who(&who), &actor, "account").map(drop),
                _ => Ok(()),
            }
        }
        "account.restored" => restored(tx, &actor),
        kind => resource(event, kind == "resource.deleted", &actor, tx),
    }
}

fn resource(event: &Event, gone: bool, actor: &Principal, tx: &mut Tx<'_>) -> Result<()> {
    let Some(key) = &event.fact.subject else { return Ok(()) };
    let disabled = event.fact.data.pointer("/spec/disabled").and_then(Value::as_bool);
    if !gone && disabled != Some(true) {
        return Ok(());
    }
    if key.kind == User::KIND {
        let who = Principal::User(key.name.clone());
        grant::end_all(tx, &Of::Who(&who), actor, "account")?;
        return if gone { consent::forget(tx, &who) } else { Ok(()) };
    }
    if key.kind == policy::Project::KIND && gone {
        return project(&key.name, actor, tx);
    }
    if key.kind == Application::KIND {
        grant::end_all(tx, &Of::App(&key.name), actor, "application")?;
        // One of that name that was made since has secrets of its own.
        let again = grant::application(tx, &key.name)?.is_some();
        return if gone && !again { secret::forget(tx, &key.name) } else { Ok(()) };
    }
    Ok(())
}

/// A project takes its applications with it: else they would be those of whoever makes one of that name.
fn project(name: &Name, actor: &Principal, tx: &mut Tx<'_>) -> Result<()> {
    let mut after: Option<Key> = None;
    loop {
        let page = tx.resources(Application::KIND, None, after.as_ref(), 500)?;
        let Some(last) = page.last() else { return Ok(()) };
        after = Some(last.key.clone());
        for found in &page {
            if found.spec::<Application>()?.project.as_ref() == Some(name) {
                tx.delete(&found.key, None, actor.clone())?;
            }
        }
    }
}

/// The store was put back from an old copy, which does not know what was revoked since: people sign in again.
fn restored(tx: &mut Tx<'_>, actor: &Principal) -> Result<()> {
    let mut count = 0;
    loop {
        let page: Vec<(String, Grant)> = tx.rows(GRANT, "", None, 500)?;
        if page.is_empty() {
            break;
        }
        for (_, grant) in &page {
            grant::end(tx, grant, actor, "restored")?;
            count += 1;
        }
    }
    if count == 0 {
        return Ok(());
    }
    let say = text!(
        "the store is an old copy: {count} sign-ins to applications have ended, because some may have been revoked since",
        "저장소가 오래된 사본이라 애플리케이션 로그인 {count}개를 끝냈습니다. 그 뒤에 폐기된 것이 있을 수 있습니다"
    );
    let event = NewEvent::new("application.restored", actor.clone(), say);
    tx.append(event.data(json!({ "grants": count }))).map(drop)
}

//! Grants, and the tokens that come of them.
//!
//! A grant is one sign-in of somebody to an application, or an application's own. Tokens are rows under the hash of
//! their text, and name their grant: without it they are worth nothing, so that one deletion ends them all.

use crate::kind::Application;
use crate::{PART_NAME, back_channel};
use account::{draw_secret, hash_secret};
use kernel::{Id, Key, Name, NewEvent, Principal, Result, Text, Time, text};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::BTreeSet;
use std::time::Duration;
use store::{Tx, View};

pub(crate) const GRANT: &str = "sso.grant";
/// `who/<principal>/<id>`, `app/<name>/<id>` and `session/<id>/<id>`: grants by whom and what they end with.
const HELD: &str = "sso.held";
pub(crate) const TOKEN: &str = "sso.token";
/// The longest text that is looked at.
const LONGEST: usize = 128;
/// Grants of one person to one application; the oldest ends for another.
const MOST: usize = 50;
/// Grants read at a time.
const PAGE: usize = 500;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Grant {
    pub id: String,
    pub app: Name,
    /// An application that was deleted and made again is another one.
    pub uid: Id,
    /// `None`: the application itself.
    pub who: Option<Principal>,
    /// Who it is to the application.
    pub sub: String,
    /// The session that it ends with.
    pub session: Option<String>,
    pub scopes: BTreeSet<String>,
    /// When the person proved who they are, and how.
    pub proved: Option<Time>,
    pub how: String,
    pub nonce: Option<String>,
    pub created: Time,
    /// Of the refresh tokens; see `plan::refresh`.
    pub generation: u64,
    pub turned: Time,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Sort {
    Access,
    Refresh,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Token {
    pub grant: String,
    pub sort: Sort,
    pub scopes: BTreeSet<String>,
    pub made: Time,
    pub until: Time,
    /// Of a refresh token.
    pub generation: u64,
}

/// What a token request gets, in clear, once.
pub(crate) struct Issued {
    pub access: String,
    pub refresh: Option<String>,
    pub lasts: Duration,
    pub scopes: BTreeSet<String>,
    pub grant: Grant,
}

fn index(grant: &Grant) -> Vec<String> {
    let id = &grant.id;
    let mut all = vec![format!("app/{}/{id}", grant.app)];
    all.extend(grant.who.as_ref().map(|who| format!("who/{who}/{id}")));
    all.extend(grant.session.as_ref().map(|session| format!("session/{session}/{id}")));
    all
}

/// Which grants.
#[derive(Clone, Debug)]
pub(crate) enum Of<'a> {
    Who(&'a Principal),
    App(&'a Name),
    Session(&'a str),
}

impl Of<'_> {
    fn prefix(&self) -> String {
        match self {
            Of::Who(who) => format!("who/{who}/"),
            Of::App(app) => format!("app/{app}/"),
            Of::Session(session) => format!("session/{session}/"),
        }
    }
}

/// Some grants, the oldest first, from after `after`.
pub(crate) fn page(view: &View<'_>, of: &Of<'_>, after: Option<&str>) -> Result<Vec<Grant>> {
    let prefix = of.prefix();
    let after = after.map(|id| format!("{prefix}{id}"));
    let keys: Vec<(String, ())> = view.rows(HELD, &prefix, after.as_deref(), PAGE)?;
    let mut found = Vec::new();
    for (key, ()) in keys {
        let id = key.strip_prefix(&prefix).unwrap_or_default();
        found.extend(view.row::<Grant>(GRANT, id)?);
    }
    Ok(found)
}

/// The newest grants, at most `most`.
pub(crate) fn newest(view: &View<'_>, of: &Of<'_>, most: usize) -> Result<Vec<Grant>> {
    let prefix = of.prefix();
    let keys: Vec<(String, ())> = view.rows_back(HELD, &prefix, None, most)?;
    let mut found = Vec::new();
    for (key, ()) in keys {
        let id = key.strip_prefix(&prefix).unwrap_or_default();
        found.extend(view.row::<Grant>(GRANT, id)?);
    }
    Ok(found)
}

pub(crate) fn find(view: &View<'_>, id: &str) -> Result<Option<Grant>> {
    view.row(GRANT, id)
}

/// The token of a text, its grant, and the application, if all are there and of one time. Its hour may be over.
pub(crate) fn token(view: &View<'_>, words: &str) -> Result<Option<(Token, Grant, Application)>> {
    if words.len() > LONGEST {
        return Ok(None);
    }
    let Some(token) = view.row::<Token>(TOKEN, &hash_secret(words))? else { return Ok(None) };
    let Some(grant) = find(view, &token.grant)? else { return Ok(None) };
    let app =
        application(view, &grant.app)?.filter(|(uid, app)| *uid == grant.uid && !app.disabled);
    Ok(app.map(|(_, app)| (token, grant, app)))
}

/// An application as it is now.
pub(crate) fn application(view: &View<'_>, name: &Name) -> Result<Option<(Id, Application)>> {
    let found = view.resource(&Key::global::<Application>(name))?;
    found.map(|r| Ok((r.uid.clone(), r.spec()?))).transpose()
}

/// Writes a new grant down. Its event is the sign-in.
pub(crate) fn begin(tx: &mut Tx<'_>, grant: &Grant) -> Result<()> {
    if let Some(who) = &grant.who {
        let held = page(tx, &Of::Who(who), None)?;
        let same: Vec<&Grant> = held.iter().filter(|g| g.app == grant.app).collect();
        if let Some(oldest) = same.first().filter(|_| same.len() >= MOST) {
            end(tx, oldest, &Principal::part(PART_NAME), "crowded")?;
        }
    }
    save(tx, grant)?;
    crate::manage::note_use(tx, &grant.app)?;
    let (app, actor) = (&grant.app, actor(grant));
    let say = match &grant.who {
        Some(who) => text!("{who} signed in to {app}", "{who}이(가) {app}에 로그인"),
        None => text!("the application {app} got a token", "애플리케이션 {app}이(가) 토큰을 받음"),
    };
    tx.append(told("application.signed-in", actor, say, grant)).map(drop)
}

fn actor(grant: &Grant) -> Principal {
    grant.who.clone().unwrap_or_else(|| Principal::part(PART_NAME))
}

fn told(kind: &str, actor: Principal, say: Text, grant: &Grant) -> NewEvent {
    let data = json!({ "application": grant.app, "grant": grant.id, "principal": grant.who,
        "session": grant.session, "scopes": grant.scopes });
    NewEvent::new(kind, actor, say).subject(Key::global::<Application>(&grant.app)).data(data)
}

pub(crate) fn save(tx: &mut Tx<'_>, grant: &Grant) -> Result<()> {
    tx.set_row(GRANT, &grant.id, grant)?;
    index(grant).iter().try_for_each(|key| tx.set_row(HELD, key, &()))
}

/// Ends a grant with all its tokens, and has the application told. One that is not there has ended.
pub(crate) fn end(tx: &mut Tx<'_>, grant: &Grant, actor: &Principal, why: &str) -> Result<()> {
    if !tx.delete_row(GRANT, &grant.id)? {
        return Ok(());
    }
    for key in index(grant) {
        tx.delete_row(HELD, &key)?;
    }
    back_channel::tell(tx, grant)?;
    let (app, who) = (&grant.app, grant.who.as_ref().map(Principal::to_string));
    let who = who.unwrap_or_else(|| app.to_string());
    let say = text!("what {who} granted {app} has ended", "{who}이(가) {app}에 준 접근 종료");
    let mut event = told("application.ended", actor.clone(), say, grant);
    if let Some(data) = event.data.as_object_mut() {
        data.insert("why".into(), json!(why));
    }
    tx.append(event).map(drop)
}

/// Ends one access token; its grant goes on.
pub(crate) fn end_token(
    tx: &mut Tx<'_>,
    words: &str,
    grant: &Grant,
    actor: &Principal,
) -> Result<()> {
    tx.delete_row(TOKEN, &hash_secret(words))?;
    let app = &grant.app;
    let say = text!("{app} revoked a token", "{app}이(가) 토큰을 폐기");
    tx.append(told("application.token-revoked", actor.clone(), say, grant)).map(drop)
}

/// The session is over and the grant is not: the person agreed to that.
pub(crate) fn outlive(tx: &mut Tx<'_>, grant: &Grant) -> Result<()> {
    back_channel::tell(tx, grant)?;
    for key in index(grant) {
        tx.delete_row(HELD, &key)?;
    }
    save(tx, &Grant { session: None, ..grant.clone() })?;
    let app = &grant.app;
    let say = text!(
        "a session at {app} has ended; what was agreed to stays",
        "{app}의 세션 종료. 동의한 접근은 유지"
    );
    let actor = Principal::part(PART_NAME);
    tx.append(told("application.session-ended", actor, say, grant)).map(drop)
}

/// Ends all grants of somebody, an application or a session.
pub(crate) fn end_all(tx: &mut Tx<'_>, of: &Of<'_>, actor: &Principal, why: &str) -> Result<usize> {
    let mut count = 0;
    let mut after: Option<String> = None;
    loop {
        let some = page(tx, of, after.as_deref())?;
        let Some(last) = some.last() else { return Ok(count) };
        after = Some(last.id.clone());
        for grant in &some {
            let stays = matches!(of, Of::Session(_)) && grant.scopes.contains("offline_access");
            if stays {
                outlive(tx, grant)?
            } else {
                end(tx, grant, actor, why)?
            }
            count += 1;
        }
    }
}

/// Makes an access token of a grant, narrowed to `scopes`, and with `refresh` one of those, too.
pub(crate) fn issue(
    tx: &mut Tx<'_>,
    grant: &Grant,
    app: &Application,
    scopes: BTreeSet<String>,
    refresh: bool,
) -> Result<Issued> {
    let (now, lasts) = (tx.now(), app.access_life());
    let mut make = |prefix: &str, sort, lasts: Duration, scopes: &BTreeSet<String>| {
        let words = format!("{prefix}{}", draw_secret()?);
        let (grant, scopes) = (grant.clone(), scopes.clone());
        let (until, generation) = (now.plus(lasts), grant.generation);
        let token = Token { grant: grant.id, sort, scopes, made: now, until, generation };
        tx.set_row(TOKEN, &hash_secret(&words), &token)?;
        Ok::<String, kernel::Error>(words)
    };
    let access = make("nat_", Sort::Access, lasts, &scopes)?;
    let life = app.refresh_life();
    let refresh = refresh.then(|| make("nrt_", Sort::Refresh, life, &grant.scopes)).transpose()?;
    Ok(Issued { access, refresh, lasts, scopes, grant: grant.clone() })
}

/// Tokens whose time is over and grants that nothing is left of, some at a time; where to go on.
pub(crate) fn sweep(tx: &mut Tx<'_>, after: Option<&str>, most: usize) -> Result<Option<String>> {
    let now = tx.now();
    let page: Vec<(String, Token)> = tx.rows(TOKEN, "", after, most)?;
    for (hash, token) in &page {
        if token.until <= now || find(tx, &token.grant)?.is_none() {
            tx.delete_row(TOKEN, hash)?;
        }
    }
    Ok(page.last().filter(|_| page.len() >= most).map(|(hash, _)| hash.clone()))
}

//! Sessions of browsers, and the one-time links that open them.
//!
//! A session's secret is drawn here when somebody has signed in, never taken from outside, and drawn anew when
//! they have proved themselves again: who planted a cookie before has nothing.

use crate::held::{self, Sort};
use crate::watch::{Known, Seen};
use crate::{Accounts, Credential, CredentialKind, Peer, Proven, Scopes, secret, unauthenticated};
use kernel::{Error, ErrorKind, NewEvent, Principal, Result, Text, Time, text};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::net::IpAddr;
use std::time::Duration;
use store::{Tx, View};

pub(crate) const LINK: &str = "account.link";
pub(crate) const SESSION: &str = "account.session";
const LINK_LASTS: Duration = Duration::from_secs(15 * 60);
/// However much it is used.
pub const SESSION_LASTS: Duration = Duration::from_secs(30 * 24 * 3600);
/// When nobody uses it.
const SESSION_IDLE: Duration = Duration::from_secs(7 * 24 * 3600);
/// Sessions of one person; the one that was used least lately ends for another.
const MOST: usize = 100;
/// A clock may be so far ahead of itself, after it was set.
const SKEW: Duration = Duration::from_secs(300);

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Row {
    pub id: String,
    pub principal: Principal,
    pub created: Time,
    /// Exact to a minute.
    pub seen: Time,
    pub until: Time,
    #[serde(default)]
    pub scopes: Scopes,
    /// How they signed in: `password`, `passkey`, `link`, `token`.
    pub how: String,
    pub proved: Option<Time>,
    pub agent: Option<String>,
    pub opened_from: Option<IpAddr>,
    pub seen_from: Option<IpAddr>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Link {
    principal: Principal,
    until: Time,
}

/// A session to be opened, for somebody who has shown who they are.
#[derive(Clone, Debug)]
pub struct NewSession {
    pub principal: Principal,
    /// What the browser says of itself, and where it is.
    pub peer: Peer,
    /// How they have shown it: `password`, `passkey`, `link`, `token`.
    pub how: &'static str,
    /// They have shown a password or a passkey just now.
    pub proved: bool,
    /// Those of the token with which they signed in: a session is never wider.
    pub scopes: Scopes,
    /// The cookie that the browser came with; whatever session it is of ends.
    pub instead_of: Option<String>,
}

impl NewSession {
    pub fn new(principal: Principal, peer: Peer, how: &'static str) -> NewSession {
        let (proved, scopes, instead_of) = (false, Scopes::default(), None);
        NewSession { principal, peer, how, proved, scopes, instead_of }
    }
}

/// A session without its secret.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SessionView {
    pub id: String,
    pub created: Time,
    /// Exact to a minute.
    pub last_used: Time,
    /// When it ends, if nobody uses it until then.
    pub until: Time,
    pub how: String,
    /// What the browser says of itself.
    pub agent: Option<String>,
    pub address: Option<IpAddr>,
    pub last_address: Option<IpAddr>,
}

impl Row {
    /// When it ends, used last when it was.
    fn ends(&self) -> Time {
        self.until.min(self.seen.plus(SESSION_IDLE))
    }

    fn credential(&self) -> Credential {
        Credential {
            kind: CredentialKind::Session,
            id: self.id.clone(),
            scopes: self.scopes.clone(),
            until: Some(self.ends()),
            proved: self.proved,
        }
    }

    fn view(self) -> SessionView {
        SessionView {
            until: self.ends(),
            id: self.id,
            created: self.created,
            last_used: self.seen,
            how: self.how,
            agent: self.agent,
            address: self.opened_from,
            last_address: self.seen_from,
        }
    }
}

impl Accounts {
    /// A code that signs `principal` in once, within fifteen minutes.
    ///
    /// # Errors
    /// `token.owner` when there is no such account, or it is disabled.
    pub async fn create_link(&self, principal: Principal) -> Result<String> {
        let code = secret::draw()?;
        let (hash, accounts) = (secret::hash(&code), self.clone());
        let work = move |tx: &mut Tx<'_>| {
            accounts.holder(tx, &principal)?;
            let until = tx.now().plus(LINK_LASTS);
            held::enter(tx, &principal, Sort::Link, &hash, &hash)?;
            tx.set_row(LINK, &hash, &Link { principal, until })
        };
        self.store().write(work).await?;
        Ok(code)
    }

    /// Whom a link's code signs in. The code is used up whether or not the caller hears the answer.
    ///
    /// # Errors
    /// `link.spent` when it was used, is too old or never was.
    pub async fn redeem_link(&self, code: &str) -> Result<Principal> {
        let hash = secret::hash(code);
        let work = move |tx: &mut Tx<'_>| {
            let Some(link) = tx.row::<Link>(LINK, &hash)? else { return Ok(None) };
            tx.delete_row(LINK, &hash)?;
            held::leave(tx, &link.principal, Sort::Link, &hash)?;
            Ok(Some(link).filter(|link| link.until > tx.now()))
        };
        let link = self.store().write(work).await?;
        link.map(|link| link.principal).ok_or_else(spent)
    }

    /// Opens a session. The cookie is returned here and nowhere else.
    ///
    /// # Errors
    /// `token.owner` when the account is disabled or gone.
    pub async fn begin_session(&self, new: NewSession) -> Result<String> {
        let cookie = secret::draw()?;
        let (hash, accounts) = (secret::hash(&cookie), self.clone());
        let work = move |tx: &mut Tx<'_>| {
            accounts.holder(tx, &new.principal)?;
            if let Some(before) = &new.instead_of {
                close(tx, &secret::hash(before), "session.closed")?;
            }
            make_room(tx, &new.principal)?;
            let now = tx.now();
            let row = Row {
                id: tx.id()?.to_string(),
                principal: new.principal,
                created: now,
                seen: now,
                until: now.plus(SESSION_LASTS),
                scopes: new.scopes,
                how: new.how.to_owned(),
                proved: new.proved.then_some(now),
                agent: new.peer.agent,
                opened_from: new.peer.address,
                seen_from: new.peer.address,
            };
            write(tx, &hash, &row)?;
            let (who, how) = (&row.principal, &row.how);
            let say = text!("{who} signed in ({how})", "{who} 로그인 ({how})");
            let data = json!({ "credential": row.id, "how": how, "address": row.opened_from,
                "agent": row.agent });
            tx.append(NewEvent::new("session.opened", who.clone(), say).data(data)).map(drop)
        };
        self.store().write(work).await?;
        Ok(cookie)
    }

    /// Gives a session whose owner has just shown a password or passkey a new secret, and notes that they have.
    /// The old cookie is nobody's from then on.
    ///
    /// # Errors
    /// `auth.required` when the session has ended.
    pub async fn renew_session(&self, cookie: &str) -> Result<String> {
        let (old, new) = (secret::hash(cookie), secret::draw()?);
        let hash = secret::hash(&new);
        let work = move |tx: &mut Tx<'_>| {
            let row: Row = tx.row(SESSION, &old)?.ok_or_else(unauthenticated)?;
            let row = Row { proved: Some(tx.now()), seen: tx.now(), ..row };
            tx.delete_row(SESSION, &old)?;
            write(tx, &hash, &row)?;
            let who = row.principal.clone();
            let say = text!("{who} proved themselves again", "{who} 다시 인증");
            let data = json!({ "credential": row.id });
            tx.append(NewEvent::new("session.renewed", who, say).data(data)).map(drop)
        };
        self.store().write(work).await?;
        self.watch.known.drop_hash(&secret::hash(cookie));
        Ok(new)
    }

    /// Whose session this is. `peer` is what is written down as its last use.
    ///
    /// # Errors
    /// `auth.required`, whatever is wrong with it.
    pub async fn session(&self, cookie: &str, peer: &Peer) -> Result<Proven> {
        if cookie.len() > 128 {
            return Err(unauthenticated());
        }
        let seen = self.watch.live.count();
        let (hash, now) = (secret::hash(cookie), self.store().now());
        let mut known = match self.watch.known.recall(&hash) {
            Some(known) => known,
            None => self.look_up_session(&hash, seen).await?,
        };
        if known.credential.until.is_none_or(|at| at <= now) {
            let work = move |tx: &mut Tx<'_>| end_if_over(tx, &hash);
            self.store().write(work).await?;
            return Err(unauthenticated());
        }
        if known.is_ahead(now, SKEW) || !self.is_active(&known.principal) {
            return Err(unauthenticated());
        }
        if self.watch.known.stamp(&hash, now) {
            let until = self.stamp_session(&hash, peer.address).await?;
            known.credential.until = until.or(known.credential.until);
        }
        Ok(known.proven(seen))
    }

    async fn look_up_session(&self, hash: &str, seen: u64) -> Result<Known> {
        let wanted = hash.to_owned();
        let row: Option<Row> = self.store().read(move |v| v.row(SESSION, &wanted)).await?;
        let row = row.ok_or_else(unauthenticated)?;
        let at = Seen { created: row.created, stamped: Some(row.seen) };
        let known = Known::new(row.principal.clone(), row.credential(), at);
        self.watch.remember(hash, &known, seen);
        Ok(known)
    }

    /// Writes down that it is in use, and gives its new end.
    async fn stamp_session(&self, hash: &str, from: Option<IpAddr>) -> Result<Option<Time>> {
        let key = hash.to_owned();
        let work = move |tx: &mut Tx<'_>| {
            // Closed in between: nothing to stamp.
            let Some(mut row) = tx.row::<Row>(SESSION, &key)? else { return Ok(None) };
            (row.seen, row.seen_from) = (tx.now(), from.or(row.seen_from));
            tx.set_row(SESSION, &key, &row)?;
            Ok(Some(row.ends()))
        };
        let until = self.store().write(work).await?;
        if let Some(until) = until {
            self.watch.known.set_until(hash, until);
        }
        Ok(until)
    }

    /// Somebody's sessions, the newest first.
    pub async fn sessions(&self, who: &Principal) -> Result<Vec<SessionView>> {
        let who = who.clone();
        let read = move |v: &View<'_>| {
            let mut views = Vec::new();
            for (_, hash) in held::all(v, &who, Sort::Session)?.into_iter().rev() {
                let row: Option<Row> = v.row(SESSION, &hash)?;
                views.extend(row.filter(|r| r.ends() > v.now()).map(Row::view));
            }
            Ok(views)
        };
        self.store().read(read).await
    }

    /// Signs out: ends the session of a cookie. One that is not there has ended already.
    pub async fn close_session(&self, cookie: &str) -> Result<()> {
        let hash = secret::hash(cookie);
        self.store().write(move |tx| close(tx, &hash, "session.closed")).await
    }

    /// Ends one session of somebody's, and what it has opened.
    ///
    /// # Errors
    /// `session.unknown`.
    pub async fn revoke_session(&self, who: &Principal, id: &str, actor: Principal) -> Result<()> {
        let (who, id) = (who.clone(), id.to_owned());
        let work = move |tx: &mut Tx<'_>| {
            let hash = held::find(tx, &who, Sort::Session, &id)?;
            let row = hash.as_deref().map(|h| tx.row::<Row>(SESSION, h)).transpose()?.flatten();
            let (hash, row) = hash.zip(row).ok_or_else(|| {
                Error::not_found(
                    "session.unknown",
                    text!("{who} has no such session", "{who}에게 그런 세션이 없습니다"),
                )
            })?;
            remove(tx, &hash, &row)?;
            let say = text!("a session of {who} was ended", "{who}의 세션 종료");
            let data = json!({ "credential": id, "until": row.until });
            tx.append(NewEvent::new("session.closed", actor, say).data(data)).map(drop)
        };
        self.store().write(work).await
    }

    /// Ends all of somebody's sessions but one, and what they have opened; says how many.
    pub async fn revoke_sessions(
        &self,
        who: &Principal,
        except: Option<&str>,
        actor: Principal,
    ) -> Result<usize> {
        let (who, except) = (who.clone(), except.map(str::to_owned));
        let work = move |tx: &mut Tx<'_>| {
            let mut ended = Vec::new();
            for (id, hash) in held::all(tx, &who, Sort::Session)? {
                if Some(&id) != except.as_ref() {
                    tx.delete_row(SESSION, &hash)?;
                    held::leave(tx, &who, Sort::Session, &id)?;
                    ended.push(id);
                }
            }
            let count = ended.len();
            if count > 0 {
                let say =
                    text!("{count} sessions of {who} were ended", "{who}의 세션 {count}개 종료");
                let data = json!({ "principal": who, "except": except, "credentials": ended });
                tx.append(NewEvent::new("sessions.closed", actor, say).data(data))?;
            }
            Ok(count)
        };
        self.store().write(work).await
    }
}

fn write(tx: &mut Tx<'_>, hash: &str, row: &Row) -> Result<()> {
    tx.set_row(SESSION, hash, row)?;
    held::enter(tx, &row.principal, Sort::Session, &row.id, hash)
}

fn remove(tx: &mut Tx<'_>, hash: &str, row: &Row) -> Result<()> {
    tx.delete_row(SESSION, hash)?;
    held::leave(tx, &row.principal, Sort::Session, &row.id)
}

fn close(tx: &mut Tx<'_>, hash: &str, kind: &str) -> Result<()> {
    let Some(row) = tx.row::<Row>(SESSION, hash)? else { return Ok(()) };
    remove(tx, hash, &row)?;
    let who = row.principal;
    let say = text!("{who} signed out", "{who} 로그아웃");
    let data = json!({ "credential": row.id, "until": row.until });
    tx.append(NewEvent::new(kind, who, say).data(data)).map(drop)
}

/// Ends a session whose time is over, so that no clock revives it.
pub(crate) fn end_if_over(tx: &mut Tx<'_>, hash: &str) -> Result<()> {
    let Some(row) = tx.row::<Row>(SESSION, hash)? else { return Ok(()) };
    if row.ends() > tx.now() {
        return Ok(());
    }
    remove(tx, hash, &row)?;
    let who = row.principal;
    let say = text!("a session of {who} has run out", "{who}의 세션 만료");
    let data = json!({ "credential": row.id });
    tx.append(NewEvent::new("session.expired", Principal::part("account"), say).data(data))
        .map(drop)
}

fn make_room(tx: &mut Tx<'_>, who: &Principal) -> Result<()> {
    let held = held::all(tx, who, Sort::Session)?;
    if held.len() < MOST {
        return Ok(());
    }
    let mut rows = Vec::new();
    for (_, hash) in held {
        rows.extend(tx.row::<Row>(SESSION, &hash)?.map(|row| (row.seen, hash)));
    }
    match rows.into_iter().min() {
        Some((_, oldest)) => close(tx, &oldest, "session.closed"),
        None => Ok(()),
    }
}

/// Sessions and links whose time is over, after `after`; where to go on, if there is more.
pub(crate) fn sweep(
    tx: &mut Tx<'_>,
    space: &str,
    after: Option<&str>,
    most: usize,
) -> Result<Option<String>> {
    let now = tx.now();
    if space == LINK {
        let page: Vec<(String, Link)> = tx.rows(LINK, "", after, most)?;
        for (hash, link) in page.iter().filter(|(_, link)| link.until <= now) {
            tx.delete_row(LINK, hash)?;
            held::leave(tx, &link.principal, Sort::Link, hash)?;
        }
        return Ok(next(&page, most));
    }
    let page: Vec<(String, Row)> = tx.rows(SESSION, "", after, most)?;
    for (hash, _) in page.iter().filter(|(_, row)| row.ends() <= now) {
        end_if_over(tx, hash)?;
    }
    Ok(next(&page, most))
}

fn next<T>(page: &[(String, T)], most: usize) -> Option<String> {
    page.last().filter(|_| page.len() >= most).map(|(key, _)| key.clone())
}

/// Sessions of an older naru say too little of themselves to be listed and ended: people sign in again.
pub(crate) fn upgrade(tx: &mut Tx<'_>) -> Result<()> {
    let mut after: Option<String> = None;
    loop {
        let page: Vec<(String, serde_json::Value)> =
            tx.rows(SESSION, "", after.as_deref(), 1000)?;
        for (hash, _) in page.iter().filter(|(_, row)| row.get("id").is_none()) {
            tx.delete_row(SESSION, hash)?;
        }
        let Some(more) = next(&page, 1000) else { return Ok(()) };
        after = Some(more);
    }
}

/// Ends a session by its id, if it is there: the record says that it has ended.
pub(crate) fn end(tx: &mut Tx<'_>, id: &str) -> Result<bool> {
    let mut after: Option<String> = None;
    loop {
        let page: Vec<(String, Row)> = tx.rows(SESSION, "", after.as_deref(), 1000)?;
        if let Some((hash, row)) = page.iter().find(|(_, row)| row.id == id) {
            remove(tx, hash, row)?;
            return Ok(true);
        }
        let Some(more) = next(&page, 1000) else { return Ok(false) };
        after = Some(more);
    }
}

fn spent() -> Error {
    Error::new(
        ErrorKind::Unauthenticated,
        "link.spent",
        Text::fixed(
            "this sign-in link was used already or is too old",
            "이미 쓰였거나 오래된 로그인 링크입니다",
        ),
    )
    .hint(Text::fixed(
        "on the machine itself, `naru sign-in` prints a new one",
        "naru가 도는 기계에서 `naru sign-in`으로 새 링크를 받으세요",
    ))
}

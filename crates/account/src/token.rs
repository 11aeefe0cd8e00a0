//! Tokens: for git, for `Authorization: Bearer`, for the command line, for machines.
//!
//! A person's token acts for them; a token of a service account acts for that. Each may be narrowed to less, and
//! gives never more than its owner has. The text is drawn here, given out once, and kept as its hash.

use crate::held::{self, Sort};
use crate::watch::{Known, Seen};
use crate::{
    Accounts, Credential, CredentialKind, Peer, Proven, Scopes, job, secret, unauthenticated,
};
use kernel::{Error, Name, NewEvent, Principal, Result, Text, Time, text};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::net::IpAddr;
use std::time::Duration;
use store::{Tx, View};

pub(crate) const SPACE: &str = "account.token";
const PREFIX: &str = "naru_";
/// The longest text that is looked at.
const LONGEST: usize = 128;
/// Tokens of one owner.
const MOST: usize = 200;
/// What a token that is made to deploy may do.
const DEPLOYS: [&str; 3] = ["git.read", "package.read", "registry.read"];
/// A clock may be so far ahead of itself, after it was set.
const SKEW: Duration = Duration::from_secs(300);

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Row {
    #[serde(default)]
    pub id: String,
    #[serde(default = "personal")]
    pub kind: CredentialKind,
    pub name: Name,
    #[serde(alias = "principal")]
    pub owner: Principal,
    pub created: Time,
    pub expires: Option<Time>,
    #[serde(default)]
    pub scopes: Scopes,
    #[serde(default)]
    pub used: Option<Use>,
    /// When it was found to have expired: no clock that is set back revives it.
    #[serde(default)]
    pub over: Option<Time>,
}

fn personal() -> CredentialKind {
    CredentialKind::Personal
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Use {
    pub at: Time,
    pub from: Option<IpAddr>,
}

/// A token to be made.
#[derive(Clone, Debug)]
pub struct NewToken {
    /// A user's is personal; a service account's is its project's, or the platform's.
    pub owner: Principal,
    pub name: Name,
    /// Reads repositories and packages of the owner's project, and does nothing else.
    pub deploys: bool,
    pub scopes: Scopes,
    /// For how long; `None` is until it is revoked.
    pub valid: Option<Duration>,
    pub actor: Principal,
}

impl NewToken {
    /// One that its owner makes for themselves, narrowed to nothing.
    pub fn new(owner: Principal, name: Name) -> NewToken {
        let (scopes, actor) = (Scopes::default(), owner.clone());
        NewToken { owner, name, deploys: false, scopes, valid: None, actor }
    }
}

/// A token without its secret.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TokenView {
    pub id: String,
    pub name: Name,
    pub kind: CredentialKind,
    pub principal: Principal,
    pub created: Time,
    pub expires: Option<Time>,
    /// It has run out.
    pub expired: bool,
    pub scopes: Scopes,
    /// Exact to a minute.
    pub last_used: Option<Time>,
    pub last_address: Option<IpAddr>,
}

impl Row {
    fn view(self, now: Time) -> TokenView {
        TokenView {
            expired: self.over.is_some() || self.expires.is_some_and(|at| at <= now),
            id: self.id,
            name: self.name,
            kind: self.kind,
            principal: self.owner,
            created: self.created,
            expires: self.expires,
            scopes: self.scopes,
            last_used: self.used.as_ref().map(|u| u.at),
            last_address: self.used.and_then(|u| u.from),
        }
    }

    fn credential(&self) -> Credential {
        Credential {
            kind: self.kind,
            id: self.id.clone(),
            scopes: self.scopes.clone(),
            until: self.expires,
            proved: None,
        }
    }
}

impl Accounts {
    /// Makes a token. The text is returned here and nowhere else.
    ///
    /// # Errors
    /// `token.exists` when the owner has one of that name; `token.owner` when there is no such account, or it is
    /// disabled; `token.too-many`.
    pub async fn make_token(&self, new: NewToken) -> Result<String> {
        let kind = kind_of(&new)?;
        let text = format!("{}{}", prefix(kind), secret::draw()?);
        let hash = secret::hash(&text);
        let accounts = self.clone();
        self.store()
            .write(move |tx| {
                accounts.holder(tx, &new.owner)?;
                let row = row(tx, kind, &new)?;
                none_yet(tx, &new)?;
                write(tx, &hash, &row)?;
                let (name, owner) = (&row.name, &row.owner);
                let say = text!("token {name} made for {owner}", "{owner}의 토큰 {name} 생성");
                tx.append(NewEvent::new("token.created", new.actor, say).data(told(&row)))
            })
            .await?;
        Ok(text)
    }

    /// A person's own token, narrowed to nothing.
    ///
    /// # Errors
    /// Those of [`Accounts::make_token`].
    pub async fn create_token(
        &self,
        owner: Principal,
        name: Name,
        valid: Option<Duration>,
        actor: Principal,
    ) -> Result<String> {
        self.make_token(NewToken { valid, actor, ..NewToken::new(owner, name) }).await
    }

    /// Whose token this is. `peer` is what is written down as its last use.
    ///
    /// # Errors
    /// `auth.required`, whatever is wrong with it.
    pub async fn authenticate(&self, text: &str, peer: &Peer) -> Result<Proven> {
        if !text.starts_with(PREFIX) || text.len() > LONGEST {
            return Err(unauthenticated());
        }
        if text.starts_with(job::PREFIX) {
            return self.job(text).await;
        }
        let seen = self.watch.live.count();
        let (hash, now) = (secret::hash(text), self.store().now());
        let known = match self.watch.known.recall(&hash) {
            Some(known) => known,
            None => self.look_up(&hash, seen).await?,
        };
        if known.credential.until.is_some_and(|at| at <= now) {
            self.expire(hash).await?;
            return Err(unauthenticated());
        }
        if known.is_ahead(now, SKEW) || !self.is_active(&known.principal) {
            return Err(unauthenticated());
        }
        if self.watch.known.stamp(&hash, now) {
            self.stamp(hash, peer.address).await?;
        }
        Ok(known.proven(seen))
    }

    async fn look_up(&self, hash: &str, seen: u64) -> Result<Known> {
        let wanted = hash.to_owned();
        let row: Option<Row> = self.store().read(move |v| v.row(SPACE, &wanted)).await?;
        let row = row.filter(|row| row.over.is_none()).ok_or_else(unauthenticated)?;
        let seen_at = Seen { created: row.created, stamped: row.used.as_ref().map(|u| u.at) };
        let known = Known::new(row.owner.clone(), row.credential(), seen_at);
        self.watch.remember(hash, &known, seen);
        Ok(known)
    }

    /// The tokens of one principal, by name.
    pub async fn tokens(&self, owner: &Principal) -> Result<Vec<TokenView>> {
        let owner = owner.clone();
        let read = move |v: &View<'_>| {
            let mut views = Vec::new();
            for (_, hash) in held::all(v, &owner, Sort::Token)? {
                let row: Option<Row> = v.row(SPACE, &hash)?;
                views.extend(row.map(|row| row.view(v.now())));
            }
            Ok(views)
        };
        self.store().read(read).await
    }

    /// Ends a token, and what it has opened.
    ///
    /// # Errors
    /// `token.unknown`.
    pub async fn revoke_token(
        &self,
        owner: &Principal,
        name: &Name,
        actor: Principal,
    ) -> Result<()> {
        let (owner, name) = (owner.clone(), name.clone());
        let work = move |tx: &mut Tx<'_>| {
            let (hash, row) = find(tx, &owner, &name)?;
            remove(tx, &hash, &row)?;
            let say = text!("token {name} of {owner} revoked", "{owner}의 토큰 {name} 폐기");
            let data = json!({ "credential": row.id, "name": name, "until": row.expires });
            tx.append(NewEvent::new("token.revoked", actor, say).data(data)).map(drop)
        };
        self.store().write(work).await
    }

    /// Gives a token a new text, for as long as it was made for; the old one ends at once.
    ///
    /// # Errors
    /// `token.unknown`.
    pub async fn rotate_token(
        &self,
        owner: &Principal,
        name: &Name,
        actor: Principal,
    ) -> Result<String> {
        let (owner, name, accounts) = (owner.clone(), name.clone(), self.clone());
        let secret = secret::draw()?;
        let work = move |tx: &mut Tx<'_>| {
            accounts.holder(tx, &owner)?;
            let (hash, old) = find(tx, &owner, &name)?;
            remove(tx, &hash, &old)?;
            let text = format!("{}{secret}", prefix(old.kind));
            let (now, life) = (tx.now(), old.expires.map(|at| at.since(old.created)));
            let (id, until) = (tx.id()?.to_string(), old.expires);
            let expires = life.map(|life| now.plus(life));
            let new = Row { id, created: now, expires, used: None, over: None, ..old.clone() };
            write(tx, &secret::hash(&text), &new)?;
            let say = text!("token {name} of {owner} renewed", "{owner}의 토큰 {name} 재발급");
            let data = json!({ "credential": old.id, "name": name, "until": until, "new": new.id });
            tx.append(NewEvent::new("token.rotated", actor, say).data(data))?;
            Ok(text)
        };
        self.store().write(work).await
    }

    /// Writes down that a token has expired, so that no clock revives it.
    async fn expire(&self, hash: String) -> Result<()> {
        self.store().write(move |tx| expire(tx, &hash)).await
    }

    async fn stamp(&self, hash: String, from: Option<IpAddr>) -> Result<()> {
        self.store()
            .write(move |tx| {
                // Revoked in between: nothing to stamp.
                let Some(mut row) = tx.row::<Row>(SPACE, &hash)? else { return Ok(()) };
                row.used = Some(Use { at: tx.now(), from });
                tx.set_row(SPACE, &hash, &row)
            })
            .await
    }
}

pub(crate) fn expire(tx: &mut Tx<'_>, hash: &str) -> Result<()> {
    let Some(mut row) = tx.row::<Row>(SPACE, hash)? else { return Ok(()) };
    if row.over.is_some() || row.expires.is_none_or(|at| at > tx.now()) {
        return Ok(());
    }
    row.over = Some(tx.now());
    tx.set_row(SPACE, hash, &row)?;
    let (name, owner) = (&row.name, &row.owner);
    let say = text!("token {name} of {owner} has expired", "{owner}의 토큰 {name} 만료");
    let data = json!({ "credential": row.id, "name": name });
    tx.append(NewEvent::new("token.expired", Principal::part("account"), say).data(data)).map(drop)
}

fn kind_of(new: &NewToken) -> Result<CredentialKind> {
    match (&new.owner, new.deploys) {
        (Principal::User(_), false) => Ok(CredentialKind::Personal),
        (Principal::Service(_), false) => Ok(CredentialKind::Project),
        (Principal::Service(_), true) => Ok(CredentialKind::Deploy),
        (owner, _) => Err(Error::invalid(
            "token.owner",
            text!("{owner} cannot have such a token", "{owner}에게는 이런 토큰을 만들 수 없습니다"),
        )
        .hint(Text::fixed(
            "people have personal tokens, service accounts the others",
            "개인 토큰은 사람이, 나머지는 서비스 계정이 가집니다",
        ))),
    }
}

fn prefix(kind: CredentialKind) -> &'static str {
    match kind {
        CredentialKind::Project => "naru_project_",
        CredentialKind::Deploy => "naru_deploy_",
        _ => PREFIX,
    }
}

fn row(tx: &Tx<'_>, kind: CredentialKind, new: &NewToken) -> Result<Row> {
    let mut scopes = new.scopes.clone();
    if kind == CredentialKind::Deploy {
        scopes.read_only = true;
        scopes.actions = Some(DEPLOYS.map(str::to_owned).into());
    }
    Ok(Row {
        id: tx.id()?.to_string(),
        kind,
        name: new.name.clone(),
        owner: new.owner.clone(),
        created: tx.now(),
        expires: new.valid.map(|life| tx.now().plus(life)),
        scopes,
        used: None,
        over: None,
    })
}

fn none_yet(tx: &Tx<'_>, new: &NewToken) -> Result<()> {
    let (name, owner) = (&new.name, &new.owner);
    if held::find(tx, owner, Sort::Token, name.as_str())?.is_some() {
        return Err(Error::conflict(
            "token.exists",
            text!(
                "{owner} already has a token named {name}",
                "{owner}에게 {name} 토큰이 이미 있습니다"
            ),
        )
        .hint(Text::fixed(
            "choose another name or revoke it first",
            "다른 이름을 고르거나 먼저 폐기하세요",
        )));
    }
    if held::full(tx, owner, Sort::Token, MOST)? {
        return Err(Error::conflict(
            "token.too-many",
            text!("{owner} has {MOST} tokens", "{owner}에게 토큰이 {MOST}개 있습니다"),
        )
        .hint(Text::fixed("revoke those that nobody uses", "쓰지 않는 토큰을 폐기하세요")));
    }
    Ok(())
}

fn write(tx: &mut Tx<'_>, hash: &str, row: &Row) -> Result<()> {
    tx.set_row(SPACE, hash, row)?;
    held::enter(tx, &row.owner, Sort::Token, row.name.as_str(), hash)
}

fn remove(tx: &mut Tx<'_>, hash: &str, row: &Row) -> Result<()> {
    tx.delete_row(SPACE, hash)?;
    held::leave(tx, &row.owner, Sort::Token, row.name.as_str())
}

fn find(tx: &Tx<'_>, owner: &Principal, name: &Name) -> Result<(String, Row)> {
    let hash = held::find(tx, owner, Sort::Token, name.as_str())?;
    let row = hash.as_deref().map(|hash| tx.row::<Row>(SPACE, hash)).transpose()?.flatten();
    hash.zip(row).ok_or_else(|| {
        Error::not_found(
            "token.unknown",
            text!("{owner} has no token {name}", "{owner}에게 {name} 토큰이 없습니다"),
        )
    })
}

fn told(row: &Row) -> serde_json::Value {
    json!({ "credential": row.id, "name": row.name, "kind": row.kind, "owner": row.owner,
        "scopes": row.scopes, "expires": row.expires })
}

/// Marks tokens that have expired, after `after`; where to go on, if there is more.
pub(crate) fn sweep(tx: &mut Tx<'_>, after: Option<&str>, most: usize) -> Result<Option<String>> {
    let now = tx.now();
    let page: Vec<(String, Row)> = tx.rows(SPACE, "", after, most)?;
    let over = |row: &Row| row.over.is_none() && row.expires.is_some_and(|at| at <= now);
    for (hash, _) in page.iter().filter(|(_, row)| over(row)) {
        expire(tx, hash)?;
    }
    Ok(page.last().filter(|_| page.len() >= most).map(|(hash, _)| hash.clone()))
}

/// Ends a token by its id and holder, if it is there: the record says that it has ended.
pub(crate) fn end(tx: &mut Tx<'_>, id: &str) -> Result<bool> {
    let mut after: Option<String> = None;
    loop {
        let page: Vec<(String, Row)> = tx.rows(SPACE, "", after.as_deref(), 1000)?;
        if let Some((hash, row)) = page.iter().find(|(_, row)| row.id == id) {
            remove(tx, hash, row)?;
            return Ok(true);
        }
        if page.len() < 1000 {
            return Ok(false);
        }
        after = page.last().map(|(hash, _)| hash.clone());
    }
}

/// Tokens of an older naru have neither an id nor a place among what their owner holds.
pub(crate) fn upgrade(tx: &mut Tx<'_>) -> Result<()> {
    let mut after: Option<String> = None;
    loop {
        let page: Vec<(String, Row)> = tx.rows(SPACE, "", after.as_deref(), 1000)?;
        for (hash, row) in page.iter().filter(|(_, row)| row.id.is_empty()) {
            write(tx, hash, &Row { id: tx.id()?.to_string(), ..row.clone() })?;
        }
        if page.len() < 1000 {
            return Ok(());
        }
        after = page.last().map(|(hash, _)| hash.clone());
    }
}

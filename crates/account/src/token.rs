//! Personal tokens: for git, for `Authorization: Bearer`, for the command line.

use crate::{Accounts, Credential, CredentialKind, Peer, Proven, job, secret, unauthenticated};
use kernel::{Error, Name, NewEvent, Principal, Result, Text, Time, text};
use serde::{Deserialize, Serialize};
use std::time::Duration;

const SPACE: &str = "account.token";
const PREFIX: &str = "naru_";
/// A token's last use is written down at most this often.
const STAMP_EVERY: Duration = Duration::from_secs(60);
/// Tokens remembered in memory.
const KNOWN: usize = 4096;

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Row {
    name: Name,
    principal: Principal,
    created: Time,
    expires: Option<Time>,
    last_used: Option<Time>,
}

#[derive(Clone, Debug)]
pub(crate) struct Known {
    principal: Principal,
    expires: Option<Time>,
    stamped: Time,
}

/// A token without its secret.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TokenView {
    pub name: Name,
    pub principal: Principal,
    pub created: Time,
    pub expires: Option<Time>,
    pub last_used: Option<Time>,
}

impl Accounts {
    /// Makes a token for `principal`. The text is returned here and nowhere else.
    ///
    /// # Errors
    /// `token.exists` when the principal has one of that name.
    pub async fn create_token(
        &self,
        principal: Principal,
        name: Name,
        valid: Option<Duration>,
        actor: Principal,
    ) -> Result<String> {
        let text = format!("{PREFIX}{}", secret::draw()?);
        let key = secret::hash(&text);
        self.store
            .write(move |tx| {
                let mut held = tx.rows::<Row>(SPACE, "", None, 100_000)?.into_iter();
                if held.any(|(_, t)| t.name == name && t.principal == principal) {
                    return Err(Error::conflict(
                        "token.exists",
                        text!(
                            "{principal} already has a token named {name}",
                            "{principal}에게 {name} 토큰이 이미 있습니다"
                        ),
                    )
                    .hint(Text::fixed(
                        "choose another name or revoke it first",
                        "다른 이름을 고르거나 먼저 폐기하세요",
                    )));
                }
                let expires = valid.map(|v| tx.now().plus(v));
                let row = Row {
                    name: name.clone(),
                    principal: principal.clone(),
                    created: tx.now(),
                    expires,
                    last_used: None,
                };
                tx.set_row(SPACE, &key, &row)?;
                let say =
                    text!("token {name} made for {principal}", "{principal}의 토큰 {name} 생성");
                tx.append(NewEvent::new("token.created", actor, say))
            })
            .await?;
        Ok(text)
    }

    /// Whose token this is.
    ///
    /// # Errors
    /// `auth.required`, whatever is wrong with it.
    pub async fn authenticate(&self, text: &str, peer: &Peer) -> Result<Proven> {
        if !text.starts_with(PREFIX) || text.len() > 128 {
            return Err(unauthenticated());
        }
        if text.starts_with(job::PREFIX) {
            return self.job(text).await;
        }
        let (seen, _) = (self.live.count(), peer);
        let key = secret::hash(text);
        let now = self.store.now();
        let known = self.recall(&key).filter(|known| now.since(known.stamped) < STAMP_EVERY);
        let known = match known {
            Some(known) => known,
            None => {
                let wanted = key.clone();
                let row: Option<Row> = self.store.read(move |v| v.row(SPACE, &wanted)).await?;
                let row = row.ok_or_else(unauthenticated)?;
                let known = Known { principal: row.principal, expires: row.expires, stamped: now };
                alive(known.principal.clone(), known.expires, now)?;
                self.remember(key.clone(), known.clone());
                self.stamp(key).await?;
                known
            }
        };
        let principal = alive(known.principal, known.expires, now)?;
        let credential = Credential {
            kind: CredentialKind::Personal,
            until: known.expires,
            ..Credential::none()
        };
        Ok(Proven { principal, credential, seen })
    }

    /// The tokens of one principal.
    pub async fn tokens(&self, principal: &Principal) -> Result<Vec<TokenView>> {
        let rows: Vec<(String, Row)> =
            self.store.read(|v| v.rows(SPACE, "", None, 100_000)).await?;
        let own = rows.into_iter().map(|(_, r)| r).filter(|r| r.principal == *principal);
        let mut views: Vec<TokenView> = own
            .map(|r| TokenView {
                name: r.name,
                principal: r.principal,
                created: r.created,
                expires: r.expires,
                last_used: r.last_used,
            })
            .collect();
        views.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(views)
    }

    /// # Errors
    /// `token.unknown`.
    pub async fn revoke_token(
        &self,
        principal: &Principal,
        name: &Name,
        actor: Principal,
    ) -> Result<()> {
        let (whose, which) = (principal.clone(), name.clone());
        self.store
            .write(move |tx| {
                let held = tx.rows::<Row>(SPACE, "", None, 100_000)?;
                let found = held.into_iter().find(|(_, t)| t.name == which && t.principal == whose);
                let (key, _) = found.ok_or_else(|| {
                    Error::not_found(
                        "token.unknown",
                        text!(
                            "{whose} has no token {which}",
                            "{whose}에게 {which} 토큰이 없습니다"
                        ),
                    )
                })?;
                tx.delete_row(SPACE, &key)?;
                let say = text!("token {which} of {whose} revoked", "{whose}의 토큰 {which} 폐기");
                tx.append(NewEvent::new("token.revoked", actor, say))
            })
            .await?;
        if let Ok(mut known) = self.known.lock() {
            known.clear();
        }
        Ok(())
    }

    async fn stamp(&self, key: String) -> Result<()> {
        self.store
            .write(move |tx| {
                // Revoked in between: nothing to stamp.
                let Some(mut row) = tx.row::<Row>(SPACE, &key)? else { return Ok(()) };
                row.last_used = Some(tx.now());
                tx.set_row(SPACE, &key, &row)
            })
            .await
    }

    fn recall(&self, key: &str) -> Option<Known> {
        self.known.lock().ok()?.get(key).cloned()
    }

    fn remember(&self, key: String, known: Known) {
        if let Ok(mut all) = self.known.lock() {
            if all.len() >= KNOWN {
                all.clear();
            }
            all.insert(key, known);
        }
    }
}

fn alive(principal: Principal, expires: Option<Time>, now: Time) -> Result<Principal> {
    match expires {
        Some(at) if at <= now => Err(unauthenticated()),
        _ => Ok(principal),
    }
}

//! Trigger tokens: whoever has one may start pipelines of its project, in the name of who made it.
//!
//! Invariant: the text of a token is given out once, when it is made; only its hash is kept.

use crate::Pipelines;
use kernel::{Error, Name, NewEvent, Principal, Result, Text, Time, text};
use policy::Permission;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use store::{Tx, View};

/// [`Row`] by the token's hash.
const TOKENS: &str = "delivery-pipeline.token";
const PREFIX: &str = "naru_trigger_";
/// Tokens of all projects.
const MAX_TOKENS: usize = 100_000;
/// A token's last use is written down at most this often.
const STAMP_EVERY: Duration = Duration::from_secs(60);

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Row {
    project: Name,
    name: Name,
    owner: Principal,
    created: Time,
    #[serde(default)]
    used: Option<Time>,
}

/// A trigger token without its secret.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TriggerToken {
    pub name: Name,
    /// In whose name its pipelines run.
    pub owner: Principal,
    pub created: Time,
    pub used: Option<Time>,
}

fn of_project(view: &View<'_>, project: &Name) -> Result<Vec<(String, Row)>> {
    let rows = view.rows::<Row>(TOKENS, "", None, MAX_TOKENS)?;
    Ok(rows.into_iter().filter(|(_, row)| row.project == *project).collect())
}

fn event(kind: &str, project: &Name, actor: Principal, say: Text) -> NewEvent {
    NewEvent::new(kind, actor, say).project(project)
}

impl Pipelines {
    /// Makes a trigger token of a project. The text is returned here and nowhere else.
    ///
    /// # Errors
    /// `token.exists`.
    pub async fn create_token(
        &self,
        project: Name,
        name: Name,
        owner: Principal,
    ) -> Result<String> {
        let text = format!("{PREFIX}{}", account::draw_secret()?);
        let key = account::hash_secret(&text);
        let create = move |tx: &mut Tx<'_>| {
            if of_project(tx, &project)?.iter().any(|(_, row)| row.name == name) {
                let say = text!(
                    "{project} already has a trigger token named {name}",
                    "{project}에 {name} 트리거 토큰이 이미 있습니다"
                );
                return Err(Error::conflict("token.exists", say));
            }
            let say = text!("trigger token {name} made", "트리거 토큰 {name} 생성");
            let made = event("pipeline.token.created", &project, owner.clone(), say);
            let row = Row { project, name, owner, created: tx.now(), used: None };
            tx.set_row(TOKENS, &key, &row)?;
            tx.append(made).map(drop)
        };
        self.0.store.write(create).await?;
        Ok(text)
    }

    /// The trigger tokens of a project, by name.
    ///
    /// # Errors
    /// The store's.
    pub async fn tokens(&self, project: Name) -> Result<Vec<TriggerToken>> {
        let rows = self.0.store.read(move |v| of_project(v, &project)).await?;
        let view = |(_, row): (String, Row)| TriggerToken {
            name: row.name,
            owner: row.owner,
            created: row.created,
            used: row.used,
        };
        let mut tokens: Vec<TriggerToken> = rows.into_iter().map(view).collect();
        tokens.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(tokens)
    }

    /// # Errors
    /// `token.unknown`.
    pub async fn revoke_token(&self, project: Name, name: Name, actor: Principal) -> Result<()> {
        let revoke = move |tx: &mut Tx<'_>| {
            let found = of_project(tx, &project)?.into_iter().find(|(_, row)| row.name == name);
            let (key, _) = found.ok_or_else(|| {
                let say = text!(
                    "{project} has no trigger token {name}",
                    "{project}에 {name} 트리거 토큰이 없습니다"
                );
                Error::not_found("token.unknown", say)
            })?;
            tx.delete_row(TOKENS, &key)?;
            let say = text!("trigger token {name} revoked", "트리거 토큰 {name} 폐기");
            tx.append(event("pipeline.token.revoked", &project, actor, say)).map(drop)
        };
        self.0.store.write(revoke).await
    }

    /// Who starts pipelines of the project with this token.
    ///
    /// # Errors
    /// `repository.unknown`, whatever is wrong with it: a wrong token must not say what exists.
    pub(crate) async fn holder(&self, project: &Name, token: &str) -> Result<Principal> {
        if !token.starts_with(PREFIX) || token.len() > 128 {
            return Err(unknown());
        }
        let (key, project) = (account::hash_secret(token), project.clone());
        let find = {
            let (key, project) = (key.clone(), project.clone());
            let policy = self.0.policy.clone();
            move |v: &View<'_>| {
                let row = v.row::<Row>(TOKENS, &key)?.filter(|row| row.project == project);
                let row = row.ok_or_else(unknown)?;
                // Who has lost the right to start pipelines cannot lend it.
                if policy.allows(v, &row.owner, Permission::Change, &project)? {
                    Ok(row)
                } else {
                    Err(unknown())
                }
            }
        };
        let row = self.0.store.read(find).await?;
        let now = self.0.store.now();
        if row.used.is_none_or(|used| now.since(used) >= STAMP_EVERY) {
            let stamp = move |tx: &mut Tx<'_>| {
                let Some(row) = tx.row::<Row>(TOKENS, &key)? else { return Ok(()) };
                tx.set_row(TOKENS, &key, &Row { used: Some(now), ..row })
            };
            self.0.store.write(stamp).await?;
        }
        Ok(row.owner)
    }
}

/// There is no such project, or not for whoever asks.
pub(crate) fn unknown() -> Error {
    let say = Text::fixed("there is no such repository", "그런 저장소가 없습니다");
    Error::not_found("repository.unknown", say).hint(Text::fixed(
        "the id is the URL-encoded path, such as `shop%2Fweb`",
        "id는 `shop%2Fweb`처럼 URL 인코딩한 경로입니다",
    ))
}

//! Sessions of browsers, and the one-time links that open them.

use crate::{Accounts, Credential, CredentialKind, Peer, Proven, secret, unauthenticated};
use kernel::{Error, ErrorKind, NewEvent, Principal, Result, Text, Time, text};
use serde::{Deserialize, Serialize};
use std::time::Duration;

const LINK: &str = "account.link";
const SESSION: &str = "account.session";
const LINK_LASTS: Duration = Duration::from_secs(15 * 60);
/// How long a session lives.
pub const SESSION_LASTS: Duration = Duration::from_secs(30 * 24 * 3600);

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Row {
    principal: Principal,
    until: Time,
}

impl Accounts {
    /// A code that signs `principal` in once, within fifteen minutes.
    pub async fn create_link(&self, principal: Principal) -> Result<String> {
        self.draw(LINK, principal, LINK_LASTS).await
    }

    /// A session for whoever holds a token.
    pub async fn create_session(&self, principal: Principal) -> Result<String> {
        let say = text!("{principal} signed in", "{principal} 로그인");
        let event = NewEvent::new("session.opened", principal.clone(), say);
        self.store.write(move |tx| tx.append(event)).await?;
        self.draw(SESSION, principal, SESSION_LASTS).await
    }

    /// Whom a link's code signs in. The code is used up whether or not the caller hears the answer.
    ///
    /// # Errors
    /// `link.spent` when it was used, is too old or never was.
    pub async fn redeem_link(&self, code: &str) -> Result<Principal> {
        let key = secret::hash(code);
        let taken = self
            .store
            .write(move |tx| {
                let row: Option<Row> = tx.row(LINK, &key)?;
                tx.delete_row(LINK, &key)?;
                Ok(row.filter(|r| r.until > tx.now()))
            })
            .await?;
        taken.map(|row| row.principal).ok_or_else(spent)
    }

    /// Whose session this is.
    ///
    /// # Errors
    /// `auth.required`.
    pub async fn session(&self, cookie: &str, peer: &Peer) -> Result<Proven> {
        let (seen, _) = (self.live.count(), peer);
        let key = secret::hash(cookie);
        let now = self.store.now();
        let row: Option<Row> = self.store.read(move |v| v.row(SESSION, &key)).await?;
        let row = row.filter(|r| r.until > now).ok_or_else(unauthenticated)?;
        let credential = Credential {
            kind: CredentialKind::Session,
            until: Some(row.until),
            ..Credential::none()
        };
        Ok(Proven { principal: row.principal, credential, seen })
    }

    /// Ends a session; one that is not there is ended already.
    pub async fn close_session(&self, cookie: &str) -> Result<()> {
        let key = secret::hash(cookie);
        self.store.write(move |tx| tx.delete_row(SESSION, &key)).await.map(drop)
    }

    async fn draw(
        &self,
        space: &'static str,
        principal: Principal,
        lasts: Duration,
    ) -> Result<String> {
        let code = secret::draw()?;
        let key = secret::hash(&code);
        self.store
            .write(move |tx| {
                let until = tx.now().plus(lasts);
                tx.set_row(space, &key, &Row { principal, until })
            })
            .await?;
        Ok(code)
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

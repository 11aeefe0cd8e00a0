//! Who is who.
//!
//! [`Accounts`] knows people and programs, what they prove themselves with, and what they have open. It says
//! whose a secret is; what its owner may do is `policy`'s to say.
//!
//! Invariants: a token's text is given out once, when it is made, and kept as a hash; whatever is wrong with a
//! secret, the answer is the same.

pub mod credential;
mod job;
mod kind;
mod live;
mod proven;
mod secret;
mod session;
mod signer;
mod token;

pub use kind::{
    Address, Group, GroupStatus, KINDS, Mail, Member, PgpKey, ServiceAccount, ServiceAccountStatus,
    SshKey, User, UserStatus,
};
pub use live::{Ending, Live};
pub use proven::{Credential, CredentialKind, Effect, Peer, Proven, Scopes};
pub use secret::{draw as draw_secret, hash as hash_secret};
pub use session::SESSION_LASTS;
pub use signer::Signer;
pub use token::TokenView;

use kernel::{Error, ErrorKind, Key, Name, Principal, Result, Text};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock};
use store::{Put, Store};

/// A handle; clones share it.
#[derive(Clone)]
pub struct Accounts {
    store: Store,
    /// Token hash to who it is, so that a busy client costs no read. Dropped whole when a token goes.
    known: Arc<Mutex<HashMap<String, token::Known>>>,
    /// Who makes the tokens of jobs.
    signer: Arc<OnceLock<Signer>>,
    /// What sign-ins share.
    desk: Arc<credential::Desk>,
    live: live::Registry,
}

impl Accounts {
    /// Opens the accounts of a store; a store without people gets its first one, the administrator `admin`.
    pub async fn open(store: Store) -> Result<Accounts> {
        let accounts = Accounts {
            store,
            known: Arc::default(),
            signer: Arc::default(),
            desk: Arc::default(),
            live: Default::default(),
        };
        let admin = Name::parse("admin")?;
        accounts
            .store
            .write(move |tx| {
                if !tx.resources(kind::USER, None, None, 1)?.is_empty() {
                    return Ok(());
                }
                let spec = serde_json::to_value(User::administrator()).map_err(Error::internal)?;
                let key = Key::global::<User>(&admin);
                let actor = Principal::part("account");
                tx.put(Put { key, labels: Default::default(), spec, expected: Some(0), actor })?;
                Ok(())
            })
            .await?;
        Ok(accounts)
    }

    pub fn store(&self) -> &Store {
        &self.store
    }

    pub(crate) fn desk(&self) -> &credential::Desk {
        &self.desk
    }

    /// The key of secrets that have to be read again, once the keys are opened.
    pub(crate) fn sealing_key(&self) -> Option<[u8; 32]> {
        self.signer.get().map(|s| s.derive("account.credential"))
    }

    /// Enters something that somebody opens: a request, a stream, a connection. Whoever serves it holds what
    /// this gives, and stops when that [ends](Live::ended).
    pub fn live(&self, proven: &Proven) -> Live {
        self.live.enter(proven, self.store.clock().clone())
    }

    /// Ends what is open, at once. Whoever may come back may open it again.
    pub fn end(&self, ending: Ending) {
        self.live.end(ending);
    }
}

/// The answer to a missing, wrong or expired secret: always the same words.
pub fn unauthenticated() -> Error {
    Error::new(
        ErrorKind::Unauthenticated,
        "auth.required",
        Text::fixed("sign in first", "먼저 로그인하세요"),
    )
    .hint(Text::fixed(
        "use a personal token as the password or as `Authorization: Bearer`; `naru token create NAME` makes one",
        "개인 토큰을 비밀번호나 `Authorization: Bearer`로 쓰세요. `naru token create NAME`이 만들어 줍니다",
    ))
}

#[cfg(test)]
mod tests;

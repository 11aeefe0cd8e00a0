//! Who is who.
//!
//! [`Accounts`] knows people, groups and programs, what they prove themselves with, and what they have open. It
//! says whose a secret is; what its owner may do is `policy`'s to say.
//!
//! Invariants:
//! - A secret's text is given out once, when it is made, and kept as a hash; whatever is wrong with one, the answer
//!   is the same.
//! - When the writer of an ending hears that it is written (an account disabled, a token revoked, a session
//!   closed), nothing is open any more of what it ends, and nothing opens again.
//! - What has ended stays so: when an account is let in again, when the clock is set back, and when the store is
//!   put back from an old copy.
//! - Names and numbers of those who have gone are nobody else's.

mod admit;
pub mod credential;
mod directory;
mod held;
mod job;
mod kind;
mod live;
mod number;
mod proven;
mod record;
mod restore;
mod secret;
mod session;
mod signer;
mod sweep;
mod token;
mod watch;

pub use directory::Graph;
pub use kind::{
    Address, Group, GroupStatus, KINDS, Mail, Member, PgpKey, ServiceAccount, ServiceAccountStatus,
    SshKey, User, UserStatus,
};
pub use live::{Claim, Ending, Live};
pub use proven::{Credential, CredentialKind, Effect, Peer, Proven, Scopes};
pub use secret::{draw as draw_secret, hash as hash_secret};
pub use session::{NewSession, SESSION_LASTS, SessionView};
pub use signer::{Algorithm, Signer};
pub use token::{NewToken, TokenView};

use admit::Rules;
use directory::Standing;
use kernel::{Error, ErrorKind, Key, Name, Principal, Resource, Result, Text, text};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use store::{Put, Store, Tx};

/// A handle; clones share it.
#[derive(Clone)]
pub struct Accounts {
    inner: Arc<Inner>,
    watch: watch::Shared,
}

struct Inner {
    store: Store,
    /// Who makes the tokens of jobs.
    signer: OnceLock<Signer>,
    /// What sign-ins share.
    desk: credential::Desk,
    first_number: u32,
}

/// What differs between a server and a test.
#[derive(Clone, Debug)]
pub struct Options {
    /// The file beside the store that remembers what has ended. Without one, a store that is put back from an old
    /// copy brings tokens to life that were revoked since.
    pub record: Option<PathBuf>,
    /// The first number for Unix.
    pub first_number: u32,
}

impl Default for Options {
    fn default() -> Options {
        Options { record: None, first_number: number::FIRST }
    }
}

impl Accounts {
    /// As [`Accounts::open_with`], with nothing beside the store.
    ///
    /// # Errors
    /// Likewise.
    pub async fn open(store: Store) -> Result<Accounts> {
        Accounts::open_with(store, Options::default()).await
    }

    /// Opens the accounts of a store; a store without people gets its first one, the administrator `admin`.
    ///
    /// # Errors
    /// The store's, and internal when the record of endings cannot be read.
    pub async fn open_with(store: Store, options: Options) -> Result<Accounts> {
        let first_number = number::sound(options.first_number)?;
        let inner = Inner {
            store: store.clone(),
            signer: OnceLock::new(),
            desk: Default::default(),
            first_number,
        };
        let accounts = Accounts { inner: Arc::new(inner), watch: Default::default() };
        // Not a handle on the accounts: that has the store, which would then never close.
        let watch = accounts.watch.clone();
        store.observe(move |event| watch.apply(event));
        let unnumbered = accounts.watch.directory.fill(&store).await?;
        if let Some(path) = &options.record {
            accounts.remember(path).await?;
        }
        let first = accounts.clone();
        store.write(move |tx| first.begin(tx, &unnumbered)).await?;
        accounts.recall_failures().await?;
        Ok(accounts)
    }

    fn begin(&self, tx: &mut Tx<'_>, unnumbered: &[Key]) -> Result<()> {
        token::upgrade(tx)?;
        session::upgrade(tx)?;
        if tx.resources(kind::USER, None, None, 1)?.is_empty() {
            let spec = serde_json::to_value(User::administrator()).map_err(Error::internal)?;
            let (key, actor) =
                (Key::global::<User>(&Name::parse("admin")?), Principal::part("account"));
            self.put(tx, Put { key, labels: Default::default(), spec, expected: Some(0), actor })?;
        }
        self.rules().number_all(tx, unnumbered)
    }

    pub fn store(&self) -> &Store {
        &self.inner.store
    }

    pub(crate) fn desk(&self) -> &credential::Desk {
        &self.inner.desk
    }

    /// The key of secrets that have to be read again, once the keys are opened.
    pub(crate) fn sealing_key(&self) -> Option<[u8; 32]> {
        self.inner.signer.get().map(|s| s.derive("account.credential"))
    }

    /// Writes a resource, with the rules of this crate when it is one of its kinds.
    ///
    /// # Errors
    /// Those of [`Tx::put`]; `account.*`, `user.*`, `group.*` and `service.*`, saying what does not fit together.
    pub fn put(&self, tx: &mut Tx<'_>, put: Put) -> Result<Resource> {
        if is_ours(&put.key) { self.rules().put(tx, put) } else { tx.put(put) }
    }

    /// Deletes a resource, with the rules of this crate when it is one of its kinds, or a project.
    ///
    /// # Errors
    /// Those of [`Tx::delete`]; `user.last-administrator`.
    pub fn delete(
        &self,
        tx: &mut Tx<'_>,
        key: &Key,
        expected: Option<u64>,
        actor: Principal,
    ) -> Result<Resource> {
        if is_ours(key) {
            return self.rules().delete(tx, key, expected, actor);
        }
        let gone = tx.delete(key, expected, actor.clone())?;
        if key.kind == "Project" {
            self.rules().delete_services_of(tx, &key.name, &actor)?;
        }
        Ok(gone)
    }

    fn rules(&self) -> Rules<'_> {
        Rules { directory: &self.watch.directory, first: self.inner.first_number }
    }
}

fn is_ours(key: &Key) -> bool {
    [kind::USER, kind::GROUP, kind::SERVICE].contains(&key.kind.as_str())
}

impl Accounts {
    /// Every group that somebody is in, also through groups in groups, by name.
    pub fn groups_of(&self, who: &Principal) -> Arc<[Name]> {
        match directory::member(who) {
            Some(member) => self.watch.directory.groups_of(&member),
            None => Arc::default(),
        }
    }

    /// Whether somebody is in a group, also through groups in it.
    pub fn member(&self, who: &Principal, group: &Name) -> bool {
        self.groups_of(who).binary_search(group).is_ok()
    }

    /// The groups that name a member themselves, by name.
    pub fn direct_groups(&self, member: &Member) -> Vec<Name> {
        self.watch.directory.direct(member)
    }

    /// All people and programs in a group, also through groups in it.
    pub fn members_of(&self, group: &Name) -> Vec<Member> {
        self.watch.directory.members_of(group)
    }

    /// The groups that somebody looks after, by name.
    pub fn teams_of(&self, user: &Name) -> Vec<Name> {
        self.watch.directory.answered_by(kind::GROUP, user)
    }

    /// The people whose manager somebody is, by name.
    pub fn reports_of(&self, user: &Name) -> Vec<Name> {
        self.watch.directory.answered_by(kind::USER, user)
    }

    /// The service accounts of a project, by name.
    pub fn services_of(&self, project: &Name) -> Vec<Name> {
        self.watch.directory.services_of(project)
    }

    /// The names of users, groups or service accounts (by `kind`) after `after`, in whose names, titles and addresses
    /// all of `words` are; at most `limit`. `None` for other kinds.
    pub fn search(
        &self,
        kind: &str,
        words: &str,
        after: Option<&Name>,
        limit: usize,
    ) -> Option<Vec<Name>> {
        let ours = [kind::USER, kind::GROUP, kind::SERVICE].contains(&kind);
        ours.then(|| self.watch.directory.search(kind, words, after, limit))
    }

    /// Whose address of mail this is, in any case of letters.
    ///
    /// # Errors
    /// The store's.
    pub async fn by_mail(&self, address: &str) -> Result<Option<Name>> {
        let address = address.to_owned();
        self.store().read(move |v| admit::by_mail(v, &address)).await
    }

    /// Whether somebody has an account that is not disabled. Runs and naru's own parts are always active.
    pub fn is_active(&self, who: &Principal) -> bool {
        self.watch.directory.standing(who) == Standing::Active
    }

    /// Enters something that somebody opens: a request, a stream, a connection. Whoever serves it holds what
    /// this gives, and stops when that [ends](Live::ended).
    pub fn live(&self, proven: &Proven) -> Live {
        self.watch.live.enter(proven, self.store().clock().clone())
    }

    /// Asks of everything that is open whether it would be let in now, and ends what would not.
    pub async fn review(&self) {
        self.watch.live.review().await;
    }

    /// Ends what is open, at once. Whoever may come back may open it again.
    pub fn end(&self, ending: Ending) {
        self.watch.live.end(ending);
    }

    /// Whoever is to get something to sign in with has an account, and is not disabled; as of the transaction.
    fn holder(&self, tx: &Tx<'_>, who: &Principal) -> Result<()> {
        let disabled = match who {
            Principal::User(name) => {
                let found = tx.resource(&Key::global::<User>(name))?;
                found.map(|r| r.spec::<User>()).transpose()?.map(|user| user.disabled)
            }
            Principal::Service(name) => {
                let found = tx.resource(&Key::global::<ServiceAccount>(name))?;
                found.map(|r| r.spec::<ServiceAccount>()).transpose()?.map(|s| s.disabled)
            }
            _ => None,
        };
        match disabled {
            Some(false) => Ok(()),
            Some(true) => Err(Error::conflict(
                "account.disabled",
                text!("{who} is disabled", "{who}은(는) 비활성화되었습니다"),
            )),
            None => Err(Error::not_found(
                "account.none",
                text!("{who} has no account", "{who}의 계정이 없습니다"),
            )
            .hint(Text::fixed("create it first", "먼저 만드세요"))),
        }
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

//! Dynamic secrets: instead of a kept value, whoever asks gets an account of its own, made for it and taken away.
//!
//! ```text
//! asked ─► lease (durable) ─► account made over there ─► its URL is the value
//!            │ kept up while the job's step or the instance is there
//!            ▼
//!          ended ─► account dropped, tried for as long as it takes
//! ```
//!
//! Accounts are called `naru_<lease>_<server>`. Whatever is called so over there and has no lease here is dropped
//! too, again and again: what a crash or a restored database left behind does not stay.

mod postgres;
mod redis;

use crate::kind::{Lends, Secret};
use crate::open::{for_ourselves, us};
use crate::{Secrets, error};
use kernel::port::SecretUser;
use kernel::{
    BoxFuture, Error, Event, Key, Kind, Name, NewEvent, Result, SecretText, Text, Time, text,
};
use schemars::JsonSchema;
use secret::lease::{Borrower, Lease, Leases, NewLease, Revoker};
use secret::{Alphabet, Vault, generate};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use store::{Tx, View};
use tokio_util::sync::CancellationToken;

/// What tells this server's accounts from another's over there.
const TAG: &str = "security-secret.tag";
/// Characters of a password.
const PASSWORD: usize = 40;
/// For one account to be made.
const PATIENCE: Duration = Duration::from_secs(20);
/// Between searches for accounts without a lease, and how much later one may be.
const SWEEP: Duration = Duration::from_secs(5 * 60);
const JITTER: u64 = 60_000;

/// What makes accounts.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Lender {
    /// PostgreSQL: a role that may log in until the lease ends.
    Postgres,
    /// Redis or Valkey: a user of its access control list.
    Redis,
}

impl Lender {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Lender::Postgres => "postgres",
            Lender::Redis => "redis",
        }
    }

    fn server(self) -> &'static dyn Server {
        match self {
            Lender::Postgres => &postgres::Postgres,
            Lender::Redis => &redis::Redis,
        }
    }
}

/// One kind of server with accounts. `at` is how its administrator reaches it. Everything may be asked twice.
pub(crate) trait Server: Send + Sync {
    /// Makes the account, and says how it is reached by it.
    fn make<'a>(&'a self, at: &'a SecretText, new: New<'a>) -> BoxFuture<'a, Result<SecretText>>;

    /// It may log in until then.
    fn extend<'a>(
        &'a self,
        at: &'a SecretText,
        who: &'a str,
        until: Time,
    ) -> BoxFuture<'a, Result<()>>;

    /// It is gone, and so is whatever it had open.
    fn drop_account<'a>(&'a self, at: &'a SecretText, who: &'a str) -> BoxFuture<'a, Result<()>>;

    /// Accounts whose names begin and end so.
    fn accounts<'a>(
        &'a self,
        at: &'a SecretText,
        ends: (&'a str, &'a str),
    ) -> BoxFuture<'a, Result<Vec<String>>>;
}

/// An account that is to be made.
pub(crate) struct New<'a> {
    pub who: &'a str,
    pub password: &'a SecretText,
    /// Roles, or rules.
    pub grant: &'a [String],
    pub until: Time,
}

/// Takes accounts of one kind back, and keeps them up.
struct Accounts {
    vault: Vault,
    lender: Lender,
}

/// Those of all kinds.
pub(crate) fn revokers(vault: &Vault) -> Vec<Arc<dyn Revoker>> {
    let one = |lender| Arc::new(Accounts { vault: vault.clone(), lender }) as Arc<dyn Revoker>;
    [Lender::Postgres, Lender::Redis].map(one).into()
}

impl Accounts {
    async fn reached(&self, lease: &Lease) -> Result<SecretText> {
        let connection = lease.of.as_ref().ok_or_else(|| error::unknown(&lease.subject))?;
        connection_of(&self.vault, &lease.project, connection).await
    }
}

impl Revoker for Accounts {
    fn kind(&self) -> &'static str {
        self.lender.name()
    }

    fn revoke<'a>(&'a self, lease: &'a Lease) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let at = self.reached(lease).await?;
            self.lender.server().drop_account(&at, &lease.subject).await
        })
    }

    fn extend<'a>(&'a self, lease: &'a Lease, until: Time) -> BoxFuture<'a, Result<bool>> {
        Box::pin(async move {
            let wanted = lease.clone();
            if !self.vault.store().read(move |v| is_there(v, &wanted)).await? {
                return Ok(false);
            }
            let at = self.reached(lease).await?;
            self.lender.server().extend(&at, &lease.subject, until).await.map(|()| true)
        })
    }
}

/// Whether its borrower is there. That a job's step has ended is heard of ([`ended`]) and ends the lease.
fn is_there(view: &View<'_>, lease: &Lease) -> Result<bool> {
    match &lease.borrower {
        Some(Borrower::Job { .. }) => Ok(true),
        Some(Borrower::Instance(name)) => {
            Ok(view.resource(&instance(&lease.project, name))?.is_some())
        }
        None => Ok(false),
    }
}

fn instance(project: &Name, name: &Name) -> Key {
    Key { kind: "Instance".into(), project: Some(project.clone()), name: name.clone() }
}

/// A step of a run, or an instance, has ended: so do its leases.
pub(crate) fn ended(event: &Event, tx: &mut Tx<'_>) -> Result<()> {
    let data = &event.fact.data;
    let word = |field: &str| data.get(field).and_then(|v| v.as_str());
    let meant: Box<dyn Fn(&Lease) -> bool> = match (event.fact.kind.as_str(), &event.fact.subject) {
        ("run.step.finished", _) => {
            let (Some(run), Some(step)) = (word("run"), word("step")) else { return Ok(()) };
            let (run, step) = (run.to_owned(), step.to_owned());
            Box::new(
                move |l| matches!(&l.borrower, Some(Borrower::Job { run: r, step: s }) if r.as_str() == run && *s == step),
            )
        }
        ("resource.deleted", Some(Key { kind, project: Some(project), name }))
            if kind == "Instance" =>
        {
            let (project, gone) = (project.clone(), Borrower::Instance(name.clone()));
            Box::new(move |l| l.project == project && l.borrower.as_ref() == Some(&gone))
        }
        _ => return Ok(()),
    };
    Leases::end_in(tx, meant, &us()).map(drop)
}

/// How an administrator reaches the other side; that it was looked up is an event.
async fn connection_of(vault: &Vault, project: &Name, name: &Name) -> Result<SecretText> {
    let ring = vault.ring().await?;
    let (project, name) = (project.clone(), name.clone());
    vault.store().write(move |tx| for_ourselves(tx, &ring, &project, &name)).await
}

/// A lease that is written down, and of which the account is yet to be made.
pub(crate) struct Loan {
    lease: Lease,
    lends: Lends,
    at: SecretText,
}

/// Writes the lease down. Its account is made when that is durable ([`Secrets::pay_out`]).
pub(crate) fn grant(
    tx: &mut Tx<'_>,
    project: &Name,
    lends: &Lends,
    at: SecretText,
    by: (kernel::Principal, Option<SecretUser>),
) -> Result<Loan> {
    let subject = format!("naru_{}_{}", secret::lease::LEASE, tag(tx)?);
    let borrower = by.1.and_then(|user| match user {
        SecretUser::Job { run, step } => Some(Borrower::Job { run, step }),
        SecretUser::Service { instance, .. } => Name::parse(&instance).ok().map(Borrower::Instance),
    });
    let new = NewLease {
        project: project.clone(),
        kind: lends.by.name().to_owned(),
        subject,
        holder: by.0,
        life: lends.life(),
        of: Some(lends.connection.clone()),
        borrower,
    };
    Ok(Loan { lease: Leases::grant_in(tx, new)?, lends: lends.clone(), at })
}

fn tag(tx: &mut Tx<'_>) -> Result<String> {
    if let Some(tag) = tx.row::<String>(TAG, "tag")? {
        return Ok(tag);
    }
    let tag = generate(8, Alphabet::Hex)?.reveal().to_owned();
    tx.set_row(TAG, "tag", &tag)?;
    Ok(tag)
}

impl Secrets {
    /// Makes the account of a loan. One that cannot be made is taken back at once, whatever there is of it.
    ///
    /// # Errors
    /// `secret.lender`
    pub(crate) async fn pay_out(&self, loan: Loan) -> Result<SecretText> {
        let Loan { lease, lends, at } = loan;
        let password = generate(PASSWORD, Alphabet::Plain)?;
        let (who, grant, until) = (lease.subject.as_str(), lends.grant.as_slice(), lease.expires);
        let new = New { who, password: &password, grant, until };
        let made = tokio::time::timeout(PATIENCE, lends.by.server().make(&at, new)).await;
        let error = match made {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(error)) => error,
            Err(_) => failed(lends.by, "it took longer than 20 s"),
        };
        self.leases.end(&lease.project, &lease.id, us()).await?;
        Err(error)
    }

    /// Drops accounts over there that have no lease here, until `stop`.
    pub(crate) async fn keep_swept(self, stop: CancellationToken) {
        loop {
            self.sweep().await;
            let jitter = Duration::from_millis(self.store().now().0.unsigned_abs() % JITTER);
            let pause = self.store().clock().sleep_until(self.store().now().plus(SWEEP + jitter));
            tokio::select! {
                () = stop.cancelled() => return,
                () = pause => {}
            }
        }
    }

    /// One round; what cannot be reached now is looked at in the next.
    pub(crate) async fn sweep(&self) {
        let lenders = match self.store().read(lenders).await {
            Ok(lenders) => lenders,
            Err(error) => return tracing::warn!(%error, "who lends accounts cannot be read"),
        };
        for (project, lender, connection) in lenders {
            let swept = self.sweep_one(&project, lender, &connection);
            match tokio::time::timeout(3 * PATIENCE, swept).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    tracing::warn!(%project, %connection, %error, "accounts without a lease were not looked for")
                }
                Err(_) => {
                    tracing::warn!(%project, %connection, "looking for accounts without a lease took too long")
                }
            }
        }
    }

    async fn sweep_one(&self, project: &Name, lender: Lender, connection: &Name) -> Result<()> {
        let Some(tag) = self.store().read(|v| v.row::<String>(TAG, "tag")).await? else {
            return Ok(());
        };
        let at = connection_of(&self.vault, project, connection).await?;
        let (server, end) = (lender.server(), format!("_{tag}"));
        let found = server.accounts(&at, ("naru_", &end)).await?;
        // After the accounts: one that is made meanwhile has its lease before.
        let leases = self.store().read(|v| Leases::list_in(v, None)).await?;
        let known: BTreeSet<String> = leases.into_iter().map(|l| l.subject).collect();
        for orphan in found.into_iter().filter(|name| !known.contains(name)) {
            server.drop_account(&at, &orphan).await?;
            let say = text!(
                "{orphan} had no lease any more and was taken back",
                "리스가 없는 {orphan}을(를) 회수함"
            );
            let event = NewEvent::new("lease.orphan", us(), say).project(project);
            let data =
                json!({ "kind": lender.name(), "subject": orphan, "connection": connection });
            self.store().write(move |tx| tx.append(event.data(data))).await?;
        }
        Ok(())
    }
}

/// Each place where accounts are made, once.
fn lenders(view: &View<'_>) -> Result<BTreeSet<(Name, Lender, Name)>> {
    let mut found = BTreeSet::new();
    let mut after: Option<Key> = None;
    loop {
        let page = view.resources(Secret::KIND, None, after.as_ref(), 500)?;
        let Some(last) = page.last() else { return Ok(found) };
        after = Some(last.key.clone());
        for resource in page {
            if let (Some(lends), Some(project)) =
                (resource.spec::<Secret>()?.lends, &resource.key.project)
            {
                found.insert((project.clone(), lends.by, lends.connection));
            }
        }
    }
}

/// Whether accounts that came by this secret are still out.
pub(crate) fn is_needed(view: &View<'_>, project: &Name, connection: &Name) -> Result<bool> {
    let leases = Leases::list_in(view, Some(project))?;
    Ok(leases.iter().any(|l| l.of.as_ref() == Some(connection)))
}

pub(crate) fn failed(lender: Lender, why: impl std::fmt::Display) -> Error {
    let name = match lender {
        Lender::Postgres => "PostgreSQL",
        Lender::Redis => "Redis",
    };
    Error::new(
        kernel::ErrorKind::Unavailable,
        "secret.lender",
        text!("{name} gives no account: {why}", "{name}이(가) 계정을 주지 않습니다: {why}"),
    )
    .hint(Text::fixed(
        "check the secret that its `connection` names: an URL with an administrator who may make accounts",
        "`connection`이 가리키는 비밀 값을 확인하세요. 계정을 만들 수 있는 관리자의 URL이어야 합니다",
    ))
}

#[cfg(test)]
#[path = "lend_tests.rs"]
mod tests;

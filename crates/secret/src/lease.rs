//! Leases: what was lent to somebody until a moment, and is taken back for as long as that takes.
//!
//! A lease is a row that is durable before the thing itself is made (a database's user, a certificate), so that
//! nothing exists elsewhere that nobody here knows of. When its time is over, or somebody says so, its [`Revoker`] is
//! asked to take the thing back; if that fails it is asked again, later each time and never for the last time. Only
//! when it was taken back the row goes.

use kernel::{BoxFuture, Error, Event, Id, Name, NewEvent, Principal, Result, Text, Time, text};
use reconcile::{Backoff, Handle, Next, Reconciler};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use store::{Store, Tx, View};
use tokio_util::sync::CancellationToken;

/// [`Lease`]s by id, as long as the thing may be there.
const LEASES: &str = "secret.lease";
/// Stands for the lease's own id in a subject.
pub const LEASE: &str = "{lease}";
/// For one attempt.
const PATIENCE: Duration = Duration::from_secs(30);
const WAITS: Backoff = Backoff { first: Duration::from_secs(1), most: Duration::from_secs(5 * 60) };
/// Leases in one page of a listing.
const PAGE: usize = 500;

/// Takes back what was lent. One for each kind of thing.
pub trait Revoker: Send + Sync {
    /// `postgres`, `ssh-certificate`
    fn kind(&self) -> &'static str;

    /// Takes it back. Asked again after a failure or a crash, also when it succeeded: what is not there any more
    /// is taken back.
    ///
    /// # Errors
    /// Whatever stands in the way; it is shown, and tried again.
    fn revoke<'a>(&'a self, lease: &'a Lease) -> BoxFuture<'a, Result<()>>;

    /// Makes it hold until `until`, if its borrower still needs it; whether that is so. Asked of leases that are
    /// kept up, when half of their life is over. One that is not extended ends in its time.
    ///
    /// # Errors
    /// Whatever stands in the way; it is tried again while the lease lives.
    fn extend<'a>(&'a self, lease: &'a Lease, until: Time) -> BoxFuture<'a, Result<bool>> {
        let _ = (lease, until);
        Box::pin(std::future::ready(Ok(false)))
    }
}

/// Who has it, for leases that end with their borrower.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Borrower {
    Job {
        run: Id,
        step: String,
    },
    /// Its resource's name: `web-7-0-1`.
    Instance(Name),
}

/// What was lent to whom. No secret is in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    pub id: Id,
    pub project: Name,
    /// [`Revoker::kind`]
    pub kind: String,
    /// What the revoker knows it by: `naru_01j…` of the database `orders`.
    pub subject: String,
    pub holder: Principal,
    /// The secret of the project that it comes from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<Name>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub borrower: Option<Borrower>,
    pub made: Time,
    pub expires: Time,
    /// Milliseconds by which it is extended as long as its borrower needs it; `None`: it ends in its time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept_up: Option<u64>,
    /// Attempts to take it back that failed.
    #[serde(default)]
    pub failures: u32,
    /// Why the last one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Text>,
    /// When the next one is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub again: Option<Time>,
}

/// What is to be lent.
#[derive(Clone, Debug)]
pub struct NewLease {
    pub project: Name,
    pub kind: String,
    pub subject: String,
    pub holder: Principal,
    pub life: Duration,
    pub of: Option<Name>,
    /// With one it is kept up until that has ended.
    pub borrower: Option<Borrower>,
}

/// A handle; clones share it.
#[derive(Clone)]
pub struct Leases {
    store: Store,
    revokers: Arc<BTreeMap<&'static str, Arc<dyn Revoker>>>,
}

impl Leases {
    pub fn new(store: Store, revokers: Vec<Arc<dyn Revoker>>) -> Leases {
        let revokers = revokers.into_iter().map(|r| (r.kind(), r)).collect();
        Leases { store, revokers: Arc::new(revokers) }
    }

    /// Writes a lease down. Make the thing itself after this has been committed, not before.
    ///
    /// # Errors
    /// The store's.
    pub fn grant_in(tx: &mut Tx<'_>, new: NewLease) -> Result<Lease> {
        let NewLease { project, kind, subject, holder, life, of, borrower } = new;
        let (id, made) = (tx.id()?, tx.now());
        let lease = Lease {
            expires: made.plus(life),
            id,
            project,
            kind,
            subject,
            holder,
            of,
            kept_up: borrower.as_ref().map(|_| life.as_millis() as u64),
            borrower,
            made,
            failures: 0,
            failure: None,
            again: None,
        };
        let lease = Lease { subject: lease.subject.replace(LEASE, lease.id.as_str()), ..lease };
        tx.set_row(LEASES, lease.id.as_str(), &lease)?;
        let (subject, until) = (&lease.subject, lease.expires);
        let say = text!("{subject} is lent until {until}", "{subject}을(를) {until}까지 빌려줌");
        tx.append(event("lease.granted", &lease, lease.holder.clone(), say)).map(drop)?;
        Ok(lease)
    }

    /// Leases of a project, or of all, whose things may still be there, the oldest first.
    ///
    /// # Errors
    /// The store's.
    pub fn list_in(view: &View<'_>, project: Option<&Name>) -> Result<Vec<Lease>> {
        let mut found = Vec::new();
        let mut after: Option<String> = None;
        loop {
            let rows = view.rows::<Lease>(LEASES, "", after.as_deref(), PAGE)?;
            let Some((last, _)) = rows.last() else { return Ok(found) };
            after = Some(last.clone());
            let ours = |l: &Lease| project.is_none_or(|p| l.project == *p);
            found.extend(rows.into_iter().map(|(_, lease)| lease).filter(ours));
        }
    }

    /// Ends a lease now: the loop takes it back.
    ///
    /// # Errors
    /// `lease.unknown` for one that is not there, or of another project.
    pub async fn end(&self, project: &Name, id: &Id, by: Principal) -> Result<Lease> {
        let (project, id) = (project.clone(), id.clone());
        self.store
            .write(move |tx| {
                let found: Option<Lease> = tx.row(LEASES, id.as_str())?;
                let found = found.filter(|l| l.project == project);
                end(tx, found.ok_or_else(|| unknown(&id))?, by)
            })
            .await
    }

    /// Ends all that are meant, now.
    ///
    /// # Errors
    /// The store's.
    pub fn end_in(
        tx: &mut Tx<'_>,
        meant: impl Fn(&Lease) -> bool,
        by: &Principal,
    ) -> Result<usize> {
        // One that has ended already is not asked about again: its next attempt has its time.
        let now = tx.now();
        let live = |l: &Lease| l.expires > now && meant(l);
        let all: Vec<Lease> = Leases::list_in(tx, None)?.into_iter().filter(live).collect();
        let count = all.len();
        for lease in all {
            end(tx, lease, by.clone())?;
        }
        Ok(count)
    }

    /// Takes back what is over, until `stop`.
    pub fn start(&self, stop: CancellationToken) -> Handle<Id> {
        reconcile::spawn(self.store.clone(), self.clone(), reconcile::Options::default(), stop)
    }

    /// Extends what is kept up and half over; when to look again.
    async fn keep_up(&self, lease: &Lease, due: Time) -> Result<Next> {
        let Some(life) = lease.kept_up.map(Duration::from_millis) else { return Ok(Next::At(due)) };
        let now = self.store.now();
        let half = Time(lease.expires.0.saturating_sub((life / 2).as_millis() as i64));
        if half > now {
            return Ok(Next::At(half.min(due)));
        }
        let Some(revoker) = self.revokers.get(lease.kind.as_str()) else {
            return Ok(Next::At(due));
        };
        let until = now.plus(life);
        match tokio::time::timeout(PATIENCE, revoker.extend(lease, until)).await {
            Ok(Ok(true)) => {
                let lease = lease.clone();
                self.store.write(move |tx| extended(tx, &lease, until)).await?;
                Ok(Next::At(until.min(now.plus(life / 2))))
            }
            Ok(Ok(false)) => Ok(Next::At(due)),
            Ok(Err(error)) => {
                tracing::warn!(lease = %lease.id, %error, "a lease waits to be extended");
                Ok(Next::At(now.plus(life / 10).min(due)))
            }
            Err(_) => Ok(Next::At(now.plus(life / 10).min(due))),
        }
    }

    async fn take_back(&self, lease: &Lease) -> Result<()> {
        let kind = lease.kind.as_str();
        let revoker = self.revokers.get(kind).ok_or_else(|| nobody(kind))?;
        match tokio::time::timeout(PATIENCE, revoker.revoke(lease)).await {
            Ok(done) => done,
            Err(_) => Err(slow()),
        }
    }
}

impl Reconciler for Leases {
    type Key = Id;

    fn name(&self) -> &'static str {
        "lease"
    }

    fn keys(&self, event: &Event) -> Vec<Id> {
        let ours = matches!(event.fact.kind.as_str(), "lease.granted" | "lease.ended");
        let id = || Id::parse(event.fact.data.get("lease")?.as_str()?);
        ours.then(id).flatten().into_iter().collect()
    }

    fn all(&self) -> BoxFuture<'_, Result<Vec<Id>>> {
        Box::pin(async {
            let all = self.store.read(|v| Leases::list_in(v, None)).await?;
            Ok(all.into_iter().map(|lease| lease.id).collect())
        })
    }

    fn sync<'a>(&'a self, id: &'a Id) -> BoxFuture<'a, Result<Next>> {
        Box::pin(async move {
            let key = id.clone();
            let lease = self.store.read(move |v| v.row::<Lease>(LEASES, key.as_str())).await?;
            let Some(lease) = lease else { return Ok(Next::Done) };
            let due = lease.again.map_or(lease.expires, |again| again.max(lease.expires));
            if due > self.store.now() {
                return self.keep_up(&lease, due).await;
            }
            let done = self.take_back(&lease).await;
            let id = id.clone();
            self.store.write(move |tx| settle(tx, &id, done)).await
        })
    }
}

fn end(tx: &mut Tx<'_>, mut lease: Lease, by: Principal) -> Result<Lease> {
    lease.expires = lease.expires.min(tx.now());
    // Somebody waits for it now: not for the end of a long pause.
    lease.again = None;
    tx.set_row(LEASES, lease.id.as_str(), &lease)?;
    let subject = &lease.subject;
    let say = text!("{subject} is to be taken back", "{subject} 회수 요청");
    tx.append(event("lease.ended", &lease, by, say))?;
    Ok(lease)
}

/// Writes down what came of an attempt.
fn settle(tx: &mut Tx<'_>, id: &Id, done: Result<()>) -> Result<Next> {
    let Some(mut lease) = tx.row::<Lease>(LEASES, id.as_str())? else { return Ok(Next::Done) };
    let us = Principal::part("secret");
    let subject = lease.subject.clone();
    let Err(error) = done else {
        tx.delete_row(LEASES, id.as_str())?;
        let say = text!("{subject} was taken back", "{subject} 회수됨");
        tx.append(event("lease.revoked", &lease, us, say))?;
        return Ok(Next::Done);
    };
    lease.failures = lease.failures.saturating_add(1);
    let again = tx.now().plus(WAITS.wait(lease.failures, id));
    lease.again = Some(again);
    lease.failure = Some(error.sentence());
    tx.set_row(LEASES, id.as_str(), &lease)?;
    // Told of at the first failure and then ever more rarely: the row has the count.
    if lease.failures.is_power_of_two() {
        let (times, Text { en, ko }) = (lease.failures, error.sentence());
        let say = text!(
            "{subject} could not be taken back ({times} attempts): {en}",
            "{subject}을(를) 회수하지 못함 ({times}번 시도): {ko}",
        );
        tx.append(event("lease.stuck", &lease, us, say))?;
    }
    Ok(Next::At(again))
}

/// Unless somebody has ended it meanwhile.
fn extended(tx: &mut Tx<'_>, lease: &Lease, until: Time) -> Result<()> {
    let Some(mut row) = tx.row::<Lease>(LEASES, lease.id.as_str())? else { return Ok(()) };
    if row.expires == lease.expires {
        row.expires = until;
        tx.set_row(LEASES, lease.id.as_str(), &row)?;
    }
    Ok(())
}

fn event(kind: &str, lease: &Lease, by: Principal, say: Text) -> NewEvent {
    let data = json!({
        "lease": lease.id, "kind": lease.kind, "subject": lease.subject, "holder": lease.holder.to_string(),
        "expires": lease.expires, "failures": lease.failures,
    });
    NewEvent::new(kind, by, say).project(&lease.project).data(data)
}

fn unknown(id: &Id) -> Error {
    Error::not_found("lease.unknown", text!("there is no lease {id}", "{id} 리스가 없습니다"))
        .hint(Text::fixed("`naru lease list` shows them", "`naru lease list`로 볼 수 있습니다"))
}

fn nobody(kind: &str) -> Error {
    Error::new(
        kernel::ErrorKind::Unavailable,
        "lease.kind",
        text!(
            "nobody here takes back what is of kind {kind}",
            "{kind} 종류를 회수할 수 있는 곳이 없습니다"
        ),
    )
}

fn slow() -> Error {
    Error::new(
        kernel::ErrorKind::Unavailable,
        "lease.slow",
        Text::fixed("it took longer than 30 s", "30초 안에 끝나지 않았습니다"),
    )
}

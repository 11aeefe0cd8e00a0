//! The signing of checkpoints, the writing of refusals, the letting go of what is old.

use crate::check::{Chain, Judge, Report};
use crate::checkpoint::{Checkpoint, Standing};
use crate::key::{PublicKey, SigningKey};
use crate::refusals::Refusals;
use crate::settle;
use crate::trail::{self, Trail};
use kernel::port::{Refused, Witness};
use kernel::{Error, NewEvent, Principal, Result, Text, Time, text};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use store::{Store, View};
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// From the first news to the signature.
const EVERY: Duration = Duration::from_secs(60);
/// Between looks at what is old enough to go.
const TRIM_EVERY: Duration = Duration::from_secs(3600);
/// Entries deleted in one transaction.
const SWEEP: usize = 2000;
/// Refusals on their way; more are counted.
const QUEUE: usize = 1024;
const VERIFIED: &str = "audit.verified";

pub struct Options {
    pub store: Store,
    /// Where the key lies: `audit-key.json`.
    pub key: PathBuf,
    /// Where checkpoints are appended: `audit-checkpoints.jsonl`.
    pub checkpoints: PathBuf,
    /// How long entries stay; `None` is for ever.
    pub keep: Option<Duration>,
}

/// A handle; clones share it.
#[derive(Clone)]
pub struct Audit(Arc<Inner>);

struct Inner {
    store: Store,
    key: SigningKey,
    trail: Trail,
    keep: Option<Duration>,
    signing: Mutex<Signing>,
    refused: mpsc::Sender<Refused>,
    incoming: Mutex<mpsc::Receiver<Refused>>,
    /// Refusals that found the queue full.
    missed: AtomicU64,
}

/// Where signing has got to.
pub(crate) struct Signing {
    pub last: Option<Checkpoint>,
    /// The number of the last checkpoint in the file.
    pub filed: u64,
}

/// The last time somebody looked, for those who come after.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct LastVerified {
    pub time: Time,
    pub report: Report,
}

impl Audit {
    /// Opens the key, and holds the store against the file of checkpoints: what does not fit becomes an event and
    /// an error in the log, and the journal goes on from there.
    ///
    /// # Errors
    /// `audit.key-damaged`; the store's; internal when a file cannot be read or written.
    pub async fn open(options: Options) -> Result<Audit> {
        let Options { store, key, checkpoints, keep } = options;
        let (key, _) = SigningKey::open(&key)?;
        let trail = Trail::new(checkpoints);
        let signing = settle::settle(&store, &trail, &key).await?;
        let (refused, incoming) = mpsc::channel(QUEUE);
        Ok(Audit(Arc::new(Inner {
            store,
            key,
            trail,
            keep,
            signing: Mutex::new(signing),
            refused,
            incoming: Mutex::new(incoming),
            missed: AtomicU64::new(0),
        })))
    }

    pub fn public_key(&self) -> &PublicKey {
        self.0.key.public()
    }

    pub(crate) fn store(&self) -> &Store {
        &self.0.store
    }

    /// Signs, writes refusals and lets go of what is old, until `stop`.
    pub fn start(&self, stop: CancellationToken) -> JoinHandle<()> {
        let audit = self.clone();
        tokio::spawn(async move {
            let work = async { tokio::join!(audit.keep_signing(), audit.listen(), audit.trim()) };
            tokio::select! {
                _ = work => {}
                () = stop.cancelled() => {}
            }
        })
    }

    /// The last checkpoint of a server that stops.
    pub async fn close(&self) {
        if let Err(error) = self.sign().await {
            tracing::warn!(%error, "the last checkpoint could not be signed");
        }
    }

    async fn keep_signing(&self) {
        let clock = self.0.store.clock().clone();
        loop {
            let signed = self.0.signing.lock().await.last.as_ref().map_or(0, |c| c.seq);
            let mut feed = self.0.store.follow(signed.max(self.0.store.head().saturating_sub(1)));
            // Where nothing happens, nothing is signed and nothing ticks.
            if signed >= self.0.store.head() && feed.next().await.is_err() {
                return;
            }
            clock.sleep_until(clock.now().plus(EVERY)).await;
            match self.sign().await {
                Ok(_) => {}
                Err(error) if error.code() == "store.closed" => return,
                Err(error) => {
                    tracing::error!(%error, "a checkpoint could not be signed; it will be tried again")
                }
            }
        }
    }

    /// Signs where the journal stands, if it has moved. The file comes first: a crash in between leaves one that
    /// the next start puts into the store.
    ///
    /// # Errors
    /// The store's. A file that cannot be written is logged, and made up for the next time.
    pub async fn sign(&self) -> Result<Option<Checkpoint>> {
        let mut signing = self.0.signing.lock().await;
        let seq = self.0.store.head();
        if seq == 0 || signing.last.as_ref().is_some_and(|l| l.seq == seq) {
            return Ok(None);
        }
        let hash = self.0.store.read(move |v| v.hash_at(seq)).await?;
        let hash = hash.ok_or_else(|| Error::internal(format!("entry {seq} is not there")))?;
        let standing = Standing { seq, hash, time: self.0.store.now() };
        let made = Checkpoint::sign(&self.0.key, signing.last.as_ref(), standing, None);
        settle::file(&self.0.store, &self.0.trail, &mut signing, &made).await?;
        let row = made.clone();
        self.0.store.write(move |tx| trail::keep(tx, &row)).await?;
        signing.last = Some(made.clone());
        Ok(Some(made))
    }

    /// Walks the chain and holds it against all checkpoints, in the store and in the file.
    ///
    /// # Errors
    /// The store's. What is wrong with the journal is in the report.
    pub async fn verify(&self, who: Principal) -> Result<Report> {
        // Nothing is left unsigned that was there when it was asked for.
        self.sign().await?;
        let walked = self.0.store.verify().await;
        let trail = self.0.trail.clone();
        let lines =
            tokio::task::spawn_blocking(move || trail.whole()).await.map_err(Error::internal)?;
        let head = self.0.store.head();
        let mut report = self.0.store.read(move |v| judge(v, walked, lines, head)).await?;
        if self.0.store.head() < head {
            report
                .problem(Text::fixed("the journal shrank meanwhile", "그 사이 저널이 줄었습니다"));
        }
        self.remember(who, &report).await?;
        Ok(report)
    }

    async fn remember(&self, who: Principal, report: &Report) -> Result<()> {
        let (holds, entries) = (report.holds(), report.chain.last - report.chain.base);
        let say = match holds {
            true => text!(
                "audit log verified: {entries} entries hold",
                "감사 기록 검증: 항목 {entries}개 온전함"
            ),
            false => {
                Text::fixed("audit log verified: it does not hold", "감사 기록 검증: 온전하지 않음")
            }
        };
        let data = json!({ "holds": holds, "last": report.chain.last, "head": report.chain.head });
        let event = NewEvent::new("audit.verified", who, say).data(data);
        let kept = LastVerified { time: self.0.store.now(), report: report.clone() };
        let write = self.0.store.write(move |tx| {
            tx.set_row(VERIFIED, "last", &kept)?;
            tx.append(event)
        });
        write.await.map(drop)
    }

    /// The log from the entry after `after` to the newest as lines that [`crate::verify_export`] reads. An error
    /// breaks it off.
    pub fn export(
        &self,
        after: u64,
    ) -> impl futures_util::Stream<Item = Result<bytes::Bytes>> + Send + use<> {
        crate::export::lines(self.clone(), after)
    }

    pub(crate) async fn last_verified(&self) -> Result<Option<LastVerified>> {
        self.0.store.read(|v| v.row(VERIFIED, "last")).await
    }

    async fn listen(&self) {
        let clock = self.0.store.clock().clone();
        let mut incoming = self.0.incoming.lock().await;
        let mut refusals = Refusals::default();
        loop {
            let over = async {
                match refusals.due() {
                    Some(at) => clock.sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            let events: Vec<NewEvent> = tokio::select! {
                next = incoming.recv() => match next {
                    Some(refused) => refusals.take(refused, clock.now()).into_iter().collect(),
                    None => return,
                },
                () = over => refusals.collect(clock.now()),
            };
            self.write(events).await;
        }
    }

    async fn write(&self, mut events: Vec<NewEvent>) {
        let missed = self.0.missed.swap(0, Ordering::Relaxed);
        if missed > 0 {
            let say = text!(
                "{missed} refusals came too fast to be told apart",
                "너무 빨리 와서 구분하지 못한 거부 {missed}건"
            );
            let event = NewEvent::new(crate::refusals::KIND, Principal::Anonymous, say);
            events.push(event.data(json!({ "count": missed })));
        }
        if events.is_empty() {
            return;
        }
        let write = self
            .0
            .store
            .write(move |tx| events.into_iter().try_for_each(|event| tx.append(event).map(drop)));
        if let Err(error) = write.await {
            tracing::error!(%error, "refusals could not be written down");
        }
    }

    async fn trim(&self) {
        let Some(keep) = self.0.keep else { return };
        let clock = self.0.store.clock().clone();
        loop {
            clock.sleep_until(clock.now().plus(TRIM_EVERY)).await;
            if let Err(error) = self.let_go(keep).await {
                tracing::warn!(%error, "old entries of the journal could not be let go");
            }
        }
    }

    /// Lets go of entries that are older than `keep`, up to a checkpoint, and of none that a follower has yet to
    /// read.
    pub(crate) async fn let_go(&self, keep: Duration) -> Result<u64> {
        let oldest = self
            .0
            .store
            .now()
            .0
            .saturating_sub(i64::try_from(keep.as_millis()).unwrap_or(i64::MAX));
        let read = self.0.store.slowest_feed();
        let gone = self
            .0
            .store
            .write(move |tx| {
                let most = read.min(reconcile::slowest(tx)?);
                let Some(last) = last_signed(tx, Time(oldest), most)? else { return Ok(0) };
                let gone = tx.trim_journal(last.seq)?;
                if gone > 0 {
                    let (seq, part) = (last.seq, Principal::part("audit"));
                    let say = text!(
                        "the journal let go of {gone} entries, up to {seq}",
                        "저널에서 {seq}번까지 오래된 항목 {gone}개를 지움"
                    );
                    tx.append(
                        NewEvent::new("audit.trimmed", part, say)
                            .data(json!({ "through": seq, "hash": last.hash })),
                    )?;
                }
                Ok(gone)
            })
            .await?;
        while self.0.store.write(|tx| tx.sweep_journal(SWEEP)).await? > 0 {}
        Ok(gone)
    }
}

/// The newest checkpoint that is old enough, of an entry that everybody has read, and that still fits.
fn last_signed(view: &View<'_>, oldest: Time, most: u64) -> Result<Option<Checkpoint>> {
    let mut before: Option<String> = None;
    loop {
        let page: Vec<(String, Checkpoint)> =
            view.rows_back(trail::ROWS, "", before.as_deref(), trail::PAGE)?;
        let Some((last, _)) = page.last() else { return Ok(None) };
        before = Some(last.clone());
        for (_, c) in page {
            if c.time < oldest && c.seq <= most && view.hash_at(c.seq)?.as_ref() == Some(&c.hash) {
                return Ok(Some(c));
            }
        }
    }
}

fn judge(
    view: &View<'_>,
    walked: Result<store::Verified>,
    lines: Result<Vec<Checkpoint>>,
    head: u64,
) -> Result<Report> {
    let mut judge = Judge::new(Vec::new());
    let (mut after, mut count, mut filed) = (0, 0, true);
    loop {
        let page = trail::rows(view, after, trail::PAGE)?;
        let Some(last) = page.last() else { break };
        after = last.number;
        for row in page {
            filed &= lines.as_ref().is_ok_and(|lines| lines.get(count) == Some(&row));
            count += 1;
            judge.take(row);
        }
    }
    let (chain, fault) = match walked {
        Ok(v) => {
            let chain = Chain {
                base: v.base,
                base_hash: v.base_hash,
                last: v.last,
                head: v.head,
                bytes: v.bytes,
            };
            (chain, None)
        }
        Err(error) if error.code() == "journal.broken" => {
            let base = view.journal_base()?;
            let hash = |seq| view.hash_at(seq).map(Option::unwrap_or_default);
            let chain =
                Chain { base, base_hash: hash(base)?, last: head, head: hash(head)?, bytes: 0 };
            (chain, Some(error.say().clone()))
        }
        Err(error) => return Err(error),
    };
    let mut report = judge.close(chain, |seq| view.hash_at(seq))?;
    if let Some(fault) = fault {
        report.problem(fault);
    }
    match lines {
        Err(error) => report.problem(error.say().clone()),
        Ok(lines) if filed && lines.len() == count => {}
        Ok(_) => report.problem(Text::fixed(
            "the file of checkpoints and those in the store are not the same",
            "체크포인트 파일과 저장소의 체크포인트가 서로 다릅니다",
        )),
    }
    Ok(report)
}

impl Witness for Audit {
    fn refused(&self, refused: Refused) {
        if self.0.refused.try_send(refused).is_err() {
            self.0.missed.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl policy::Denied for Audit {
    fn denied(&self, ask: &policy::Ask<'_>, _: &policy::Decision) {
        self.refused(Refused {
            who: ask.who.clone(),
            action: ask.action.name().to_owned(),
            resource: ask.target.to_string(),
            project: ask.target.project_name().cloned(),
            code: "auth.denied",
            origin: store::origin::current(),
        });
    }
}

#[cfg(test)]
#[path = "audit_tests.rs"]
mod tests;

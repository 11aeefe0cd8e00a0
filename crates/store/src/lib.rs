//! State and journal, for every part.
//!
//! Three things live here: resources, the journal of events, and rows (a part's own ordered keys and
//! values). All writes go through one thread that commits many of them together (group commit), so that
//! durability costs one `fsync` for the group; readers have connections of their own and never wait.
//!
//! Invariants:
//! - A write is acknowledged only after it is on disk (SQLite WAL, `synchronous=FULL`).
//! - An event is appended in the transaction whose truth it tells, never after it.
//! - Parts see [`View`] and [`Tx`], never SQL: the same calls can be served by another database.
//! - A closure given to [`Store::write`] runs at most once and does no IO of its own.

mod chain;
mod chaos;
pub mod clock;
mod error;
mod feed;
mod journal;
mod layout;
mod lease;
pub mod origin;
mod search;
mod tx;
mod view;
mod writer;

pub use chain::{Entry, Verified, broken, link};
pub use chaos::{Chaos, Moment};
pub use feed::Feed;
pub use lease::Lease;
pub use search::Search;
pub use tx::{Put, Tx};
pub use view::{Filter, View};

use error::sql;
use kernel::{Clock, Error, Result, Text};
use rusqlite::{Connection, OpenFlags};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use tokio::sync::{Semaphore, oneshot};

const READERS: usize = 4;

/// How hard a commit is pushed to disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Survives power loss: `synchronous=FULL`.
    Full,
    /// For tests that only crash the process.
    Process,
}

pub struct Options {
    pub clock: Arc<dyn Clock>,
    pub durability: Durability,
    /// Crashes on purpose; only simulations set it.
    pub chaos: Option<Arc<Chaos>>,
}

impl Default for Options {
    fn default() -> Options {
        Options { clock: Arc::new(clock::System), durability: Durability::Full, chaos: None }
    }
}

/// A handle on the store. Clones share it; the writer thread ends when the last clone is gone.
#[derive(Clone)]
pub struct Store {
    shared: Arc<Shared>,
}

struct Shared {
    clock: Arc<dyn Clock>,
    writer: writer::Writer,
    readers: Mutex<Vec<Connection>>,
    permits: Semaphore,
    feed: Arc<feed::Hub>,
    path: PathBuf,
}

impl Store {
    /// Opens or creates the store in the file at `path`.
    ///
    /// # Errors
    /// Internal when the file is not a store or was written by a newer naru; `Full` when there is no room.
    pub fn open(path: &Path, options: Options) -> Result<Store> {
        let mut conn = Connection::open(path).map_err(sql)?;
        tune(&conn, options.durability)?;
        layout::create(&mut conn)?;
        let head = journal::head(&conn)?;
        let feed = Arc::new(feed::Hub::new(head.seq));
        let readers = (0..READERS).map(|_| reader(path)).collect::<Result<Vec<_>>>()?;
        let writer = writer::Writer::start(conn, head, &options, feed.clone())?;
        Ok(Store {
            shared: Arc::new(Shared {
                clock: options.clock,
                writer,
                readers: Mutex::new(readers),
                permits: Semaphore::new(READERS),
                feed,
                path: path.to_owned(),
            }),
        })
    }

    /// Runs `work` in a transaction and returns when it is durable. An `Err` from `work` undoes all that
    /// it wrote and touches nobody else's.
    ///
    /// # Errors
    /// Whatever `work` answers; `Full` when the disk is; `Unavailable` after the store has closed.
    pub async fn write<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut Tx<'_>) -> Result<T> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        self.shared.writer.send(writer::job(work, origin::current(), reply)).await?;
        answer.await.map_err(|_| closed())?
    }

    /// Runs `work` on a consistent snapshot of what is committed.
    ///
    /// # Errors
    /// Whatever `work` answers.
    pub async fn read<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&View<'_>) -> Result<T> + Send + 'static,
    {
        let permit = self.shared.permits.acquire().await.map_err(|_| closed())?;
        let shared = self.shared.clone();
        let done = tokio::task::spawn_blocking(move || shared.with_reader(work));
        let answer = done.await.map_err(Error::internal)?;
        drop(permit);
        answer
    }

    /// The events after `seq`, as they are committed, without end.
    pub fn follow(&self, after: u64) -> Feed {
        Feed::new(self.clone(), after)
    }

    /// Shows `observer` each event from now on, in order, once it is durable and before its writer hears that it is:
    /// what it keeps in memory is never behind what anybody was told. It runs on the thread that writes: it is quick,
    /// and never writes or waits for a write. It must not hold a handle on this store, which would never close.
    pub fn observe(&self, observer: impl Fn(&kernel::Event) + Send + Sync + 'static) {
        self.shared.feed.observe(Box::new(observer));
    }

    /// The sequence of the newest committed event.
    pub fn head(&self) -> u64 {
        self.shared.feed.head()
    }

    /// The sequence up to which every [`Feed`] has been given all; `u64::MAX` when nobody follows.
    pub fn slowest_feed(&self) -> u64 {
        self.shared.feed.slowest()
    }

    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.shared.clock
    }

    pub fn now(&self) -> kernel::Time {
        self.shared.clock.now()
    }

    /// Walks the hash chain of the journal from the oldest entry that is kept.
    ///
    /// # Errors
    /// `journal.broken`, naming the first entry that does not fit.
    pub async fn verify(&self) -> Result<Verified> {
        let path = self.shared.path.clone();
        tokio::task::spawn_blocking(move || chain::verify(&path)).await.map_err(Error::internal)?
    }
}

impl Shared {
    fn with_reader<T>(&self, work: impl FnOnce(&View<'_>) -> Result<T>) -> Result<T> {
        let taken = self.readers.lock().map_err(|_| closed())?.pop();
        let mut conn = match taken {
            Some(conn) => conn,
            None => reader(&self.path)?,
        };
        let answer = {
            let snapshot = conn.transaction().map_err(sql)?;
            work(&View::new(&snapshot, self.clock.now()))
        };
        if let Ok(mut readers) = self.readers.lock() {
            readers.push(conn);
        }
        answer
    }
}

fn closed() -> Error {
    Error::new(
        kernel::ErrorKind::Unavailable,
        "store.closed",
        Text::fixed("naru is shutting down", "naru가 종료되는 중입니다"),
    )
}

fn reader(path: &Path) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(path, flags).map_err(sql)?;
    conn.execute_batch("PRAGMA busy_timeout=5000; PRAGMA query_only=1; PRAGMA cache_size=-2000;")
        .map_err(sql)?;
    Ok(conn)
}

fn tune(conn: &Connection, durability: Durability) -> Result<()> {
    let synchronous = match durability {
        Durability::Full => "FULL",
        Durability::Process => "OFF",
    };
    conn.execute_batch(&format!(
        "PRAGMA journal_mode=WAL; PRAGMA synchronous={synchronous}; PRAGMA busy_timeout=5000;
         PRAGMA temp_store=MEMORY; PRAGMA cache_size=-8000; PRAGMA journal_size_limit=67108864;"
    ))
    .map_err(sql)?;
    conn.set_prepared_statement_cache_capacity(64);
    Ok(())
}

#[cfg(test)]
mod tests;

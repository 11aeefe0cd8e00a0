//! The one thread that writes, and its group commit.

use crate::chaos::{Chaos, Moment};
use crate::error::sql;
use crate::feed::Hub;
use crate::journal::Head;
use crate::{Options, Tx, closed};
use kernel::{Clock, Error, Event, Origin, Result};
use rusqlite::Connection;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};

/// Writes waiting for the thread; a caller beyond that waits for a place.
const QUEUE: usize = 4096;
/// Writes in one commit.
const GROUP: usize = 256;

/// Runs inside the transaction, or learns why there is none.
pub(crate) type Job = Box<dyn FnOnce(Result<&mut Tx<'_>>) -> Done + Send>;

/// What a job leaves: whether its writes stand, and how to answer once it is known whether they are
/// durable.
pub(crate) struct Done {
    stands: bool,
    answer: Box<dyn FnOnce(Result<()>) + Send>,
}

/// `origin` is where from the caller was asked: its events will say so.
pub(crate) fn job<T, F>(work: F, origin: Option<Origin>, reply: oneshot::Sender<Result<T>>) -> Job
where
    T: Send + 'static,
    F: FnOnce(&mut Tx<'_>) -> Result<T> + Send + 'static,
{
    Box::new(move |tx| {
        let outcome = tx.and_then(|tx| {
            tx.origin = origin;
            catch_unwind(AssertUnwindSafe(|| work(tx)))
                .unwrap_or_else(|_| Err(Error::internal("a write panicked")))
        });
        Done {
            stands: outcome.is_ok(),
            // The caller may have stopped waiting; the write stands all the same.
            answer: Box::new(move |durable| drop(reply.send(durable.and(outcome)))),
        }
    })
}

pub(crate) struct Writer {
    jobs: mpsc::Sender<Job>,
}

impl Writer {
    pub(crate) fn start(
        conn: Connection,
        head: Head,
        options: &Options,
        feed: Arc<Hub>,
    ) -> Result<Writer> {
        let (jobs, queue) = mpsc::channel(QUEUE);
        let mut thread =
            Thread { conn, head, clock: options.clock.clone(), chaos: options.chaos.clone(), feed };
        std::thread::Builder::new()
            .name("store".into())
            .spawn(move || thread.serve(queue))
            .map_err(Error::internal)?;
        Ok(Writer { jobs })
    }

    pub(crate) async fn send(&self, job: Job) -> Result<()> {
        self.jobs.send(job).await.map_err(|_| closed())
    }
}

struct Thread {
    conn: Connection,
    head: Head,
    clock: Arc<dyn Clock>,
    chaos: Option<Arc<Chaos>>,
    feed: Arc<Hub>,
}

impl Thread {
    fn serve(&mut self, mut queue: mpsc::Receiver<Job>) {
        let most = if self.chaos.is_some() { 1 } else { GROUP };
        let mut group = Vec::with_capacity(most);
        while queue.blocking_recv_many(&mut group, most) > 0 {
            let jobs = std::mem::take(&mut group);
            if self.commit(jobs).is_break() {
                // A crash: whoever waits hears only that the channel is gone.
                self.chaos.iter().for_each(|chaos| chaos.die());
                return;
            }
        }
    }

    fn commit(&mut self, jobs: Vec<Job>) -> std::ops::ControlFlow<()> {
        let moment = self.chaos.as_ref().and_then(|c| c.next());
        if moment == Some(Moment::Before) {
            return std::ops::ControlFlow::Break(());
        }
        let mut dones = Vec::with_capacity(jobs.len());
        let result = self.transact(jobs, &mut dones);
        if moment == Some(Moment::After) {
            return std::ops::ControlFlow::Break(());
        }
        let durable = match result {
            Ok((head, events)) => {
                self.head = head;
                self.feed.publish(events);
                Ok(())
            }
            Err(error) => {
                tracing::error!(%error, "commit failed");
                // SQLite may have rolled back by itself already.
                let _ = self.conn.execute_batch("ROLLBACK");
                Err(error)
            }
        };
        for done in dones {
            // An error of the job's own is its answer; the commit's fate concerns only what stands.
            (done.answer)(if done.stands { durable.clone() } else { Ok(()) });
        }
        std::ops::ControlFlow::Continue(())
    }

    fn transact(&self, jobs: Vec<Job>, dones: &mut Vec<Done>) -> Result<(Head, Vec<Arc<Event>>)> {
        let began = self.run("BEGIN IMMEDIATE");
        let mut head = self.head;
        let mut events = Vec::new();
        let mut broken = began.err();
        for job in jobs {
            if broken.is_none() {
                broken = self.run("SAVEPOINT job").err();
            }
            let mut tx = Tx::new(&self.conn, self.clock.now(), head);
            if let Some(error) = &broken {
                dones.push(job(Err(error.clone())));
                continue;
            }
            let done = job(Ok(&mut tx));
            if done.stands {
                head = tx.head;
                events.append(&mut tx.events);
                broken = self.run("RELEASE job").err();
            } else if self.conn.is_autocommit() {
                // SQLite gave up the whole transaction (a full disk does that): all of the group is lost.
                broken = Some(crate::error::full());
            } else {
                broken = self.run("ROLLBACK TO job; RELEASE job").err();
            }
            dones.push(done);
        }
        match broken {
            Some(error) => Err(error),
            None => self.run("COMMIT").map(|()| (head, events)),
        }
    }

    fn run(&self, words: &str) -> Result<()> {
        self.conn.execute_batch(words).map_err(sql)
    }
}

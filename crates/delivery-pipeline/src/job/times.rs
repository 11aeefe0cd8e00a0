//! How long each test file took on earlier runs, for jobs that share a suite between them.
//!
//! Invariant: all jobs that share a suite cut it by the same times, whenever each of them starts, whatever
//! is measured meanwhile, and in retries of the run, too. Else a file would run twice, or not at all.

use super::{CONTROL, Job};
use crate::variables::Variable;
use kernel::{Error, Id, Result, Text, text};
use run::Engine;
use std::collections::BTreeMap;
use store::{Tx, View};

/// Hash of the blob with the times of a suite: `<run>/<job>`.
const PINNED: &str = "delivery-pipeline.times";
/// The file in the control directory, and the variable that names it: a JSON object of seconds by file.
const FILE: &str = "test-times.json";
pub(crate) const VARIABLE: &str = "NARU_TEST_TIMES";
/// Bytes of such a file.
const MAX_BYTES: u64 = 64 << 20;
/// Runs that are looked back on for the one that was first, of which a run is the retry of a retry.
const BACK: usize = 20;
/// Suites of one run that are forgotten at once.
const PAGE: usize = 1_000;

impl Job {
    /// Writes the times down for the script, if it is one of several that share tests.
    ///
    /// # Errors
    /// When they are not known for sure: to go on with others than the rest of the jobs would lose tests.
    pub(super) async fn share_by_time(&self) -> Result<()> {
        let (Some(job), Some(_)) = (&self.work.shares, &self.parts.verdicts) else {
            return Ok(());
        };
        let hash = self.pin(job).await?;
        let bytes = self.parts.blobs.get(&hash, MAX_BYTES).await?;
        if let Some(say) = told(&bytes)? {
            self.note(&say);
        }
        let at = self.place.control().join(FILE);
        std::fs::write(at, bytes).map_err(crate::workspace::io)
    }

    /// Names the file, once it is there.
    pub(super) fn times_variable(&self) -> Option<Variable> {
        let there = self.work.shares.is_some() && self.place.control().join(FILE).is_file();
        there.then(|| Variable::literal(VARIABLE, format!("{CONTROL}/{FILE}")))
    }

    /// The times of whichever job of the suite asked first, as a blob that the run refers to.
    async fn pin(&self, job: &str) -> Result<String> {
        let (run, name) = (self.task.run.clone(), job.to_owned());
        let found = {
            let (run, name) = (run.clone(), name.clone());
            self.parts.store.read(move |v| pinned(v, &run, &name)).await?
        };
        let measured = match &found {
            Some(Pinned { own: true, hash }) => return Ok(hash.clone()),
            Some(_) => None,
            None => Some(self.measured(job).await?),
        };
        let held = match measured {
            Some(bytes) => Some(self.parts.blobs.put_bytes(bytes).await?),
            None => None,
        };
        let mine = held.as_ref().map(|held| held.hash.clone());
        let settle = move |tx: &mut Tx<'_>| {
            let before = pinned(tx, &run, &name)?.map(|pinned| pinned.hash);
            let hash = before.or(mine).ok_or_else(|| Error::internal("pinned times are gone"))?;
            blob::refer(tx, &crate::owner(&run), &hash)?;
            tx.set_row(PINNED, &format!("{run}/{name}"), &hash)?;
            Ok(hash)
        };
        self.parts.store.write(settle).await
    }

    /// As JSON, in the order of the names.
    async fn measured(&self, job: &str) -> Result<Vec<u8>> {
        let times = match &self.parts.verdicts {
            Some(verdicts) => {
                verdicts.times(&self.task.project, &self.work.repository, job).await?
            }
            None => BTreeMap::new(),
        };
        serde_json::to_vec(&times).map_err(Error::internal)
    }
}

/// A suite's times, and whether this very run has them.
struct Pinned {
    own: bool,
    hash: String,
}

fn pinned(v: &View<'_>, run: &Id, job: &str) -> Result<Option<Pinned>> {
    let mut at = Some(run.clone());
    for back in 0..BACK {
        let Some(id) = at else { break };
        if let Some(hash) = v.row(PINNED, &format!("{id}/{job}"))? {
            return Ok(Some(Pinned { own: back == 0, hash }));
        }
        at = Engine::head_in(v, &id)?.and_then(|run| run.retry_of);
    }
    Ok(None)
}

/// What the job's log says of them; nothing, where nothing is known.
fn told(bytes: &[u8]) -> Result<Option<Text>> {
    let times: BTreeMap<String, f64> = serde_json::from_slice(bytes).map_err(Error::internal)?;
    let count = times.len();
    Ok((count > 0).then(|| {
        text!(
            "`naru pipeline shard` goes by the measured times of {count} test files or classes",
            "`naru pipeline shard`가 테스트 파일이나 클래스 {count}개의 측정 시간을 씁니다"
        )
    }))
}

/// The run is gone, and with it what its jobs shared by.
pub(crate) fn forget(tx: &mut Tx<'_>, run: &Id) -> Result<()> {
    loop {
        let page = tx.rows::<String>(PINNED, &format!("{run}/"), None, PAGE)?;
        for (key, _) in &page {
            tx.delete_row(PINNED, key)?;
        }
        if page.len() < PAGE {
            return Ok(());
        }
    }
}

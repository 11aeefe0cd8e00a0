//! The merge itself.
//!
//! The commit is made first, then written down, then the target moves to it. The record becomes *merged* by
//! the event of that move, so a crash in between is made up for by whoever follows the journal.

use crate::kind::{MergeRequest, Merged, State};
use crate::record::{self, Record};
use crate::{Reviews, error, plan};
use kernel::port::{Join, JoinMethod, Move};
use kernel::{Error, Name, Principal, Result, Text};
use serde::{Deserialize, Serialize};
use store::Tx;

/// The target may move while a merge is made: then it is made again.
const TRIES: u32 = 3;

/// How somebody wants it merged.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct How {
    pub squash: Option<bool>,
    pub remove_source: Option<bool>,
    /// Of the commit that is made.
    pub message: Option<String>,
    /// The head that was looked at: another one is refused.
    pub head: Option<String>,
    /// As soon as nothing is in the way any more, instead of now.
    pub when_pipeline_succeeds: bool,
}

impl Reviews {
    /// Merges it now.
    ///
    /// # Errors
    /// `merge-request.blocked` with all that is in the way; `merge-request.moved` for another head.
    pub(crate) async fn merge(
        &self,
        project: &Name,
        number: u64,
        how: How,
        who: &Principal,
    ) -> Result<Record> {
        let mut tries = 0;
        loop {
            tries += 1;
            match self.try_merge(project, number, &how, who).await {
                Err(e) if e.code() == "branch.moved" && tries < TRIES => {}
                done => return done,
            }
        }
    }

    async fn try_merge(
        &self,
        project: &Name,
        number: u64,
        how: &How,
        who: &Principal,
    ) -> Result<Record> {
        let mut record = self.need(project, number).await?;
        if record.status.state != State::Opened {
            return Err(error::over(number, record.status.state));
        }
        record = self.fresh(&record).await?.0;
        if how.head.is_some() && how.head != record.status.head {
            return Err(moved());
        }
        record.spec.squash = how.squash.unwrap_or(record.spec.squash);
        record.spec.remove_source = how.remove_source.unwrap_or(record.spec.remove_source);
        let blockers = self.blockers(&record, who).await?;
        let (Some(head), Some(target)) = (record.status.head.clone(), record.status.target.clone())
        else {
            return Err(error::blocked(number, &blockers));
        };
        if !blockers.is_empty() {
            return Err(error::blocked(number, &blockers));
        }
        let repository = record.spec.repository.clone();
        let rules = self.rules(project, &repository).await?;
        let method = plan::method(&record.spec, &rules);
        let message = how.message.clone().filter(|m| !m.trim().is_empty());
        let join = Join {
            target: target.clone(),
            head,
            method,
            message: message.unwrap_or_else(|| default_message(&record, method)),
            by: person(who),
            at: self.options.store.now(),
        };
        let branches = &self.options.branches;
        let commit = match branches.join(project, &repository, &join).await? {
            Ok(commit) => commit,
            Err(paths) => {
                return Err(error::blocked(number, &[plan::Blocker::Conflicts { paths }]));
            }
        };
        let merged = Merged { by: who.clone(), at: join.at, commit: commit.clone() };
        self.note_merging(&record, Some(merged.clone())).await?;
        let to = Some(commit);
        let step = Move { branch: record.spec.target.clone(), from: target, to };
        if let Err(error) = branches.advance(project, &repository, who, vec![step]).await {
            self.note_merging(&record, None).await?;
            return Err(error);
        }
        let project = project.clone();
        let write = move |tx: &mut Tx<'_>| {
            let record = Record::need(tx, &project, number)?;
            record::merged(tx, record, merged)
        };
        self.options.store.write(write).await
    }

    /// Writes down what is about to happen, and how it was wanted.
    async fn note_merging(&self, record: &Record, merging: Option<Merged>) -> Result<()> {
        let (project, number) = (record.project.clone(), record.number);
        let (squash, remove) = (record.spec.squash, record.spec.remove_source);
        let write = move |tx: &mut Tx<'_>| {
            let mut now = Record::need(tx, &project, number)?;
            // The follower may have seen the move already.
            if now.status.state != State::Opened {
                return Ok(());
            }
            if let Some(merging) = &merging
                && (now.spec.squash, now.spec.remove_source) != (squash, remove)
            {
                (now.spec.squash, now.spec.remove_source) = (squash, remove);
                now.save_spec(tx, merging.by.clone())?;
            }
            now.status.merging = merging;
            now.save(tx)
        };
        self.options.store.write(write).await
    }
}

fn moved() -> Error {
    Error::conflict(
        "merge-request.moved",
        Text::fixed("it has new commits since you looked", "확인한 뒤에 새 커밋이 추가되었습니다"),
    )
    .hint(Text::fixed("look at them first", "먼저 새 커밋을 확인하세요"))
}

/// A name for the commit.
fn person(who: &Principal) -> String {
    match who {
        Principal::User(name) | Principal::Service(name) => name.to_string(),
        other => other.to_string(),
    }
}

fn default_message(record: &Record, method: JoinMethod) -> String {
    let MergeRequest { source, target, title, description, repository, .. } = &record.spec;
    let place = format!("{}/{repository}!{}", record.project, record.number);
    match method {
        JoinMethod::Squash if description.trim().is_empty() => {
            format!("{title}\n\nSee merge request {place}")
        }
        JoinMethod::Squash => {
            format!("{title}\n\n{}\n\nSee merge request {place}", description.trim())
        }
        _ => format!(
            "Merge branch '{source}' into '{target}'\n\n{title}\n\nSee merge request {place}"
        ),
    }
}

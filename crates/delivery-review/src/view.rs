//! A merge request as it is shown.

use crate::Reviews;
use crate::kind::{MergeRequest, MergeRequestStatus, ReviewRules};
use crate::note::{self, Thread};
use crate::plan::Blocker;
use crate::record::{self, Record};
use kernel::diff::Difference;
use kernel::journey::Commit;
use kernel::{Name, Principal, Result};
use serde::{Deserialize, Serialize};

/// Looked at for one page of a list.
const LOOKED: usize = 2_000;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MergeRequestView {
    pub project: Name,
    pub number: u64,
    /// Its page on this server.
    pub address: String,
    pub spec: MergeRequest,
    pub status: MergeRequestStatus,
    pub rules: ReviewRules,
    /// What keeps whoever asks from merging it.
    pub blockers: Vec<Blocker>,
    pub threads: Vec<Thread>,
}

/// Which of them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Which {
    /// `opened`, `merged`, `closed`; `None`: all.
    pub state: Option<crate::State>,
    pub repository: Option<Name>,
    pub label: Option<String>,
    /// Author, assignee or reviewer.
    pub person: Option<Name>,
    pub words: Option<String>,
}

impl Which {
    fn fits(&self, record: &Record) -> bool {
        let (spec, status) = (&record.spec, &record.status);
        let person = |name: &Name| {
            spec.author == Principal::User(name.clone())
                || spec.assignees.contains(name)
                || spec.reviewers.contains(name)
        };
        let words = |words: &String| {
            let words = words.to_lowercase();
            spec.title.to_lowercase().contains(&words)
                || spec.source.to_lowercase().contains(&words)
                || words.trim_start_matches('!') == record.number.to_string()
        };
        self.state.is_none_or(|s| s == status.state)
            && self.repository.as_ref().is_none_or(|r| *r == spec.repository)
            && self.label.as_ref().is_none_or(|l| spec.labels.contains(l))
            && self.person.as_ref().is_none_or(person)
            && self.words.as_ref().is_none_or(words)
    }
}

impl Reviews {
    /// The newest that fit, and whether there may be more.
    pub(crate) async fn list(
        &self,
        project: &Name,
        which: Which,
        before: Option<u64>,
        limit: usize,
    ) -> Result<(Vec<Record>, bool)> {
        let project = project.clone();
        let read = move |v: &store::View<'_>| record::newest(v, &project, before, LOOKED);
        let all = self.options.store.read(read).await?;
        let mut found: Vec<Record> = all.into_iter().filter(|r| which.fits(r)).collect();
        let more = found.len() > limit;
        found.truncate(limit);
        Ok((found, more))
    }

    pub(crate) async fn show(
        &self,
        project: &Name,
        number: u64,
        who: &Principal,
    ) -> Result<MergeRequestView> {
        let record = self.need(project, number).await?;
        let of = project.clone();
        let threads = self.options.store.read(move |v| note::all(v, &of, number)).await?;
        let rules = self.rules(project, &record.spec.repository).await?;
        let blockers = self.blockers(&record, who).await?;
        let address = record.address();
        let Record { project, number, spec, status } = record;
        Ok(MergeRequestView { project, number, address, spec, status, rules, blockers, threads })
    }

    /// What merging it brings, or brought.
    pub(crate) async fn difference(&self, record: &Record) -> Result<Difference> {
        let (Some(base), Some(head)) = (&record.status.base, &record.status.head) else {
            return Ok(Difference::default());
        };
        let (project, repository) = (&record.project, &record.spec.repository);
        self.options.branches.difference(project, repository, base, head).await
    }

    /// Its commits, newest first.
    pub(crate) async fn commits(&self, record: &Record) -> Result<Vec<Commit>> {
        let (Some(base), Some(head)) = (&record.status.base, &record.status.head) else {
            return Ok(Vec::new());
        };
        let (project, repository) = (&record.project, &record.spec.repository);
        Ok(self.options.branches.compare(project, repository, base, head).await?.ahead)
    }
}

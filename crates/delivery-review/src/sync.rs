//! The loop over merge requests: keeps their refs, merges what waits to be merged, and removes source branches of
//! merged ones. It knows nothing of why it was woken, so it survives any restart.

use crate::kind::State;
use crate::merge::How;
use crate::plan::Blocker;
use crate::record::{self, Record};
use crate::{PART_NAME, Reviews, desk};
use kernel::port::{Join, JoinMethod, Move};
use kernel::{BoxFuture, ErrorKind, Event, Name, Principal, Result, Text, text};
use reconcile::{Next, Reconciler};
use serde_json::json;
use store::Tx;

pub(crate) struct Keeper(pub Reviews);

impl Reconciler for Keeper {
    type Key = (Name, u64);

    fn name(&self) -> &'static str {
        "merge request"
    }

    fn keys(&self, event: &Event) -> Vec<(Name, u64)> {
        let written = ["resource.created", "resource.updated", "resource.status"];
        let ours = written.contains(&event.fact.kind.as_str());
        let subject = event.fact.subject.as_ref().filter(|_| ours);
        subject.and_then(record::number_of).into_iter().collect()
    }

    fn all(&self) -> BoxFuture<'_, Result<Vec<(Name, u64)>>> {
        Box::pin(self.0.options.store.read(record::unfinished))
    }

    fn sync<'a>(&'a self, (project, number): &'a (Name, u64)) -> BoxFuture<'a, Result<Next>> {
        Box::pin(async move {
            let (of, n) = (project.clone(), *number);
            let found = self.0.options.store.read(move |v| Record::load(v, &of, n)).await?;
            let Some(record) = found else { return Ok(Next::Done) };
            match record.status.state {
                State::Opened => {
                    self.keep(&record).await?;
                    self.merge(&record).await?;
                }
                State::Merged if record.spec.remove_source => self.remove(&record).await?,
                State::Merged | State::Closed => {}
            }
            Ok(Next::Done)
        })
    }
}

impl Keeper {
    /// `refs/merge-requests/N/head`, and `/merge` with what merging would make.
    async fn keep(&self, record: &Record) -> Result<()> {
        let (Some(head), Some(target)) = (&record.status.head, &record.status.target) else {
            return Ok(());
        };
        let (project, repository) = (&record.project, &record.spec.repository);
        let branches = &self.0.options.branches;
        let name = |what: &str| format!("refs/merge-requests/{}/{what}", record.number);
        // The same head and target make the same commit, so that this can be done over and over.
        let join = Join {
            target: target.clone(),
            head: head.clone(),
            method: JoinMethod::Merge,
            message: format!("Merge {head} into {target}"),
            by: "naru".to_owned(),
            at: record.status.opened.unwrap_or(kernel::Time(0)),
        };
        let kept = async {
            branches.keep(project, repository, &name("head"), Some(head)).await?;
            let merged = branches.join(project, repository, &join).await?.ok();
            branches.keep(project, repository, &name("merge"), merged.as_deref()).await
        };
        match kept.await {
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(()),
            done => done,
        }
    }

    /// Merges what was asked to merge by itself, or says why that will not happen.
    async fn merge(&self, record: &Record) -> Result<()> {
        let Some(auto) = record.status.auto_merge.clone() else { return Ok(()) };
        if Some(&auto.head) != record.status.head.as_ref() {
            let why = Text::fixed("it has new commits", "새 커밋이 추가됨");
            return self.give_up(record, why).await;
        }
        let blockers = self.0.blockers(record, &auto.by).await?;
        if blockers.is_empty() {
            let how = How { head: Some(auto.head), ..How::default() };
            return match self.0.merge(&record.project, record.number, how, &auto.by).await {
                // Something has changed in this very moment: its event wakes this loop again.
                Err(e) if e.kind() == ErrorKind::Conflict => Ok(()),
                done => done.map(drop),
            };
        }
        if blockers.iter().all(Blocker::passes) {
            return Ok(());
        }
        self.give_up(record, desk::because(&blockers)).await
    }

    async fn give_up(&self, record: &Record, why: Text) -> Result<()> {
        let (project, number) = (record.project.clone(), record.number);
        let write = move |tx: &mut Tx<'_>| {
            let mut record = Record::need(tx, &project, number)?;
            if record.status.auto_merge.take().is_none() {
                return Ok(());
            }
            record.status.reason = Some(why.clone());
            record.save(tx)?;
            let Text { en, ko } = &why;
            let say = text!(
                "merge request !{number} does not merge by itself any more: {en}",
                "머지 요청 !{number} 자동 병합 중단: {ko}"
            );
            let who = Principal::part(PART_NAME);
            record.tell(tx, "merge_request.auto_merge_canceled", who, say, json!({ "reason": why }))
        };
        self.0.options.store.write(write).await
    }

    /// Deletes the source branch, if it is still what was merged.
    async fn remove(&self, record: &Record) -> Result<()> {
        let (project, spec) = (&record.project, &record.spec);
        let branches = &self.0.options.branches;
        let (Some(head), Some(merged)) = (&record.status.head, &record.status.merged) else {
            return Ok(());
        };
        let tip = match branches.tip(project, &spec.repository, &spec.source).await {
            Err(e) if e.kind() == ErrorKind::NotFound => None,
            found => found?,
        };
        if tip.as_ref() == Some(head) {
            let step = Move { branch: spec.source.clone(), from: head.clone(), to: None };
            let gone = branches.advance(project, &spec.repository, &merged.by, vec![step]).await;
            match gone {
                // It is protected, or has moved: then it stays.
                Err(e) if matches!(e.kind(), ErrorKind::Forbidden | ErrorKind::Conflict) => {}
                done => done?,
            }
        }
        let (project, number) = (project.clone(), record.number);
        self.0.options.store.write(move |tx| record::left(tx, &project, number)).await
    }
}

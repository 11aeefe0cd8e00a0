//! How a merge request stands at this moment: what [`plan::decide`] needs is looked up here.

use crate::Reviews;
use crate::kind::State;
use crate::plan::{self, Blocker, Seen};
use crate::record::Record;
use kernel::port::{Join, JoinMethod};
use kernel::{Principal, Result};
use policy::{Permission, Target};

impl Reviews {
    /// The record as its branches are at this moment.
    pub(crate) async fn fresh(&self, record: &Record) -> Result<(Record, bool, bool)> {
        let (branches, mut record) = (&self.options.branches, record.clone());
        let spec = record.spec.clone();
        let tip = async |branch: &str| match branches
            .tip(&record.project, &spec.repository, branch)
            .await
        {
            Err(e) if e.kind() == kernel::ErrorKind::NotFound => Ok(None),
            found => found,
        };
        let (head, target) = (tip(&spec.source).await?, tip(&spec.target).await?);
        let there = (head.is_some(), target.is_some());
        if let (Some(head), Some(target)) = (head, target)
            && (record.status.head.as_ref(), record.status.target.as_ref())
                != (Some(&head), Some(&target))
        {
            let how = branches.compare(&record.project, &spec.repository, &target, &head).await?;
            record.stand(&head, &target, &how);
        }
        Ok((record, there.0, there.1))
    }

    /// What keeps `who` from merging it now.
    pub(crate) async fn blockers(&self, record: &Record, who: &Principal) -> Result<Vec<Blocker>> {
        if record.status.state != State::Opened {
            return Ok(vec![Blocker::NotOpen]);
        }
        let (record, source, target) = self.fresh(record).await?;
        let (project, spec) = (&record.project, &record.spec);
        let (options, rules) = (&self.options, self.rules(project, &spec.repository).await?);
        let mut seen = Seen { source, target, ..Seen::default() };
        if source && target {
            seen.conflicts = self.conflicts(&record).await?;
            let may = options.branches.may_merge(project, &spec.repository, who, &spec.target);
            seen.may_merge = may.await?;
        } else {
            seen.may_merge = true;
        }
        let wanted = Permission::Change.action();
        for approval in &record.status.approvals {
            if options.policy.can(&approval.by, wanted, &Target::project(project)).await {
                seen.entitled.push(approval.by.clone());
            }
        }
        Ok(plan::decide(spec, &record.status, &rules, &seen))
    }

    async fn conflicts(&self, record: &Record) -> Result<Vec<String>> {
        let (Some(head), Some(target)) = (&record.status.head, &record.status.target) else {
            return Ok(Vec::new());
        };
        let join = Join {
            target: target.clone(),
            head: head.clone(),
            method: JoinMethod::Merge,
            message: String::new(),
            by: "naru".to_owned(),
            at: kernel::Time(0),
        };
        let project = &record.project;
        let merged = self.options.branches.join(project, &record.spec.repository, &join).await?;
        Ok(merged.err().unwrap_or_default())
    }
}

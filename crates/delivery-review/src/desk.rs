//! What people do with merge requests, whichever way they come in.

use crate::kind::{Approval, AutoMerge, MergeRequest, ReviewRules, State};
use crate::plan::Blocker;
use crate::record::{self, Record};
use crate::{Reviews, error};
use kernel::port::Comparison;
use kernel::{Key, Name, Principal, Result, Text, text};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use store::Tx;

/// A merge request that somebody wants.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Draft {
    pub source: String,
    /// `None`: the default branch.
    pub target: Option<String>,
    /// `None`: the subject of the one commit, or the name of the branch.
    pub title: Option<String>,
    pub description: String,
    pub draft: bool,
    pub labels: Vec<String>,
    pub assignees: Vec<Name>,
    pub reviewers: Vec<Name>,
    pub remove_source: bool,
    pub squash: bool,
}

/// What is to be another.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Edit {
    pub title: Option<String>,
    pub description: Option<String>,
    pub target: Option<String>,
    pub draft: Option<bool>,
    pub labels: Option<Vec<String>>,
    pub assignees: Option<Vec<Name>>,
    pub reviewers: Option<Vec<Name>>,
    pub remove_source: Option<bool>,
    pub squash: Option<bool>,
}

/// A draft that can be opened: its branches are there and were compared.
pub(crate) struct Ready {
    pub spec: MergeRequest,
    pub target: String,
    pub how: Comparison,
}

impl Reviews {
    pub(crate) async fn need(&self, project: &Name, number: u64) -> Result<Record> {
        let project = project.clone();
        self.options.store.read(move |v| Record::need(v, &project, number)).await
    }

    pub(crate) async fn rules(&self, project: &Name, repository: &Name) -> Result<ReviewRules> {
        let key = Key::of::<ReviewRules>(project, repository);
        let found = self.options.store.read(move |v| v.resource(&key)).await?;
        Ok(found.map(|r| r.spec()).transpose()?.unwrap_or_default())
    }

    /// Looks at the branches of a draft.
    ///
    /// # Errors
    /// `branch.unknown`, `merge-request.same`, and what is wrong with its words.
    pub(crate) async fn ready(
        &self,
        project: &Name,
        repository: &Name,
        draft: Draft,
        author: Principal,
    ) -> Result<Ready> {
        let branches = &self.options.branches;
        let (default, _) = branches.branches(project, repository).await?;
        let target = draft.target.filter(|t| !t.is_empty()).unwrap_or(default);
        if target == draft.source {
            return Err(error::same(&target));
        }
        let (head, at, how) = self.compare(project, repository, &draft.source, &target).await?;
        let Some(first) = how.ahead.first().filter(|c| c.id == head) else {
            return Err(error::blocked(0, &[Blocker::Nothing]).hint(Blocker::Nothing.todo()));
        };
        let given = draft.title.map(|t| t.trim().to_owned()).filter(|t| !t.is_empty());
        let title = given.unwrap_or_else(|| title(&draft.source, first, how.ahead.len()));
        let (title, marked) = undraft(&title);
        let spec = MergeRequest {
            repository: repository.clone(),
            source: draft.source,
            target,
            title,
            description: draft.description,
            author,
            draft: draft.draft || marked,
            labels: draft.labels,
            assignees: draft.assignees,
            reviewers: draft.reviewers,
            remove_source: draft.remove_source,
            squash: draft.squash,
        };
        spec.check_words()?;
        Ok(Ready { spec, target: at, how })
    }

    /// Head, target, and how they stand to each other.
    pub(crate) async fn compare(
        &self,
        project: &Name,
        repository: &Name,
        source: &str,
        target: &str,
    ) -> Result<(String, String, Comparison)> {
        let branches = &self.options.branches;
        let tip = async |branch: &str| {
            let found = branches.tip(project, repository, branch).await?;
            found.ok_or_else(|| error::branch(branch))
        };
        let (head, at) = (tip(source).await?, tip(target).await?);
        let how = branches.compare(project, repository, &at, &head).await?;
        Ok((head, at, how))
    }

    /// Opens one.
    pub(crate) async fn open(
        &self,
        project: &Name,
        repository: &Name,
        draft: Draft,
        who: Principal,
    ) -> Result<Record> {
        let ready = self.ready(project, repository, draft, who).await?;
        let project = project.clone();
        let write = move |tx: &mut Tx<'_>| {
            record::create(tx, &project, ready.spec, (&ready.target, &ready.how), Vec::new())
        };
        self.options.store.write(write).await
    }

    /// A transaction over one that is open.
    async fn on_open<F>(&self, project: &Name, number: u64, work: F) -> Result<Record>
    where
        F: FnOnce(&mut Tx<'_>, &mut Record) -> Result<()> + Send + 'static,
    {
        let project = project.clone();
        let write = move |tx: &mut Tx<'_>| {
            let mut record = Record::need_open(tx, &project, number)?;
            work(tx, &mut record)?;
            Ok(record)
        };
        self.options.store.write(write).await
    }

    /// Approves its head.
    ///
    /// # Errors
    /// `merge-request.own`, `merge-request.person`.
    pub(crate) async fn approve(
        &self,
        project: &Name,
        number: u64,
        who: Principal,
    ) -> Result<Record> {
        if !matches!(who, Principal::User(_)) {
            return Err(error::no_person());
        }
        let work = move |tx: &mut Tx<'_>, record: &mut Record| {
            if record.spec.author == who {
                return Err(error::own());
            }
            let head = record.status.head.clone().unwrap_or_default();
            record.status.approvals.retain(|a| a.by != who);
            record.status.approvals.push(Approval { by: who.clone(), at: tx.now(), head });
            record.save(tx)?;
            let say = text!(
                "{who} approved merge request !{number}",
                "{who}이(가) 머지 요청 !{number}을 승인함"
            );
            record.tell(tx, "merge_request.approved", who, say, json!({}))
        };
        self.on_open(project, number, work).await
    }

    pub(crate) async fn unapprove(
        &self,
        project: &Name,
        number: u64,
        who: Principal,
    ) -> Result<Record> {
        let work = move |tx: &mut Tx<'_>, record: &mut Record| {
            let before = record.status.approvals.len();
            record.status.approvals.retain(|a| a.by != who);
            if record.status.approvals.len() == before {
                return Ok(());
            }
            record.save(tx)?;
            let say = text!(
                "{who} took back the approval of merge request !{number}",
                "{who}이(가) 머지 요청 !{number} 승인을 취소함"
            );
            record.tell(tx, "merge_request.unapproved", who, say, json!({}))
        };
        self.on_open(project, number, work).await
    }

    pub(crate) async fn close(
        &self,
        project: &Name,
        number: u64,
        who: Principal,
    ) -> Result<Record> {
        let project = project.clone();
        let write = move |tx: &mut Tx<'_>| {
            let record = Record::need_open(tx, &project, number)?;
            record::close(tx, record, who, None)
        };
        self.options.store.write(write).await
    }

    pub(crate) async fn reopen(
        &self,
        project: &Name,
        number: u64,
        who: Principal,
    ) -> Result<Record> {
        let record = self.need(project, number).await?;
        if record.status.state != State::Closed {
            return Err(error::not_closed(number));
        }
        let MergeRequest { repository, source, target, .. } = &record.spec;
        let (_, at, how) = self.compare(project, repository, source, target).await?;
        let project = project.clone();
        let write = move |tx: &mut Tx<'_>| {
            let record = Record::need(tx, &project, number)?;
            record::reopen(tx, record, who, (&at, &how))
        };
        self.options.store.write(write).await
    }

    pub(crate) async fn edit(
        &self,
        project: &Name,
        number: u64,
        edit: Edit,
        who: Principal,
    ) -> Result<Record> {
        let record = self.need(project, number).await?;
        let target = edit.target.clone().filter(|t| *t != record.spec.target);
        let stand = match &target {
            Some(target) => {
                let MergeRequest { repository, source, .. } = &record.spec;
                if target == source {
                    return Err(error::same(target));
                }
                Some(self.compare(project, repository, source, target).await?)
            }
            None => None,
        };
        let work = move |tx: &mut Tx<'_>, record: &mut Record| {
            let before = record.spec.clone();
            apply(&mut record.spec, edit);
            if let Some((head, at, how)) = stand {
                record.stand(&head, &at, &how);
                // They approved something else.
                record.status.approvals.clear();
                record.status.auto_merge = None;
                record.save(tx)?;
            }
            if record.spec == before {
                return Ok(());
            }
            record.save_spec(tx, who.clone())?;
            let say = text!(
                "{who} edited merge request !{number}",
                "{who}이(가) 머지 요청 !{number}을 고침"
            );
            record.tell(tx, "merge_request.edited", who, say, json!({}))
        };
        self.on_open(project, number, work).await
    }

    /// Merges by itself as soon as nothing is in the way any more.
    ///
    /// # Errors
    /// `merge-request.blocked` when something is that does not go away by itself.
    pub(crate) async fn merge_later(
        &self,
        project: &Name,
        number: u64,
        who: Principal,
    ) -> Result<Record> {
        let record = self.need(project, number).await?;
        let blockers = self.blockers(&record, &who).await?;
        let firm: Vec<Blocker> = blockers.into_iter().filter(|b| !b.passes()).collect();
        if !firm.is_empty() {
            return Err(error::blocked(number, &firm));
        }
        let work = move |tx: &mut Tx<'_>, record: &mut Record| later(tx, record, who);
        self.on_open(project, number, work).await
    }

    pub(crate) async fn merge_not(
        &self,
        project: &Name,
        number: u64,
        who: Principal,
    ) -> Result<Record> {
        let work = move |tx: &mut Tx<'_>, record: &mut Record| {
            if record.status.auto_merge.take().is_none() {
                return Ok(());
            }
            record.save(tx)?;
            let say = text!(
                "merge request !{number} will not merge by itself",
                "머지 요청 !{number} 자동 병합 취소"
            );
            record.tell(tx, "merge_request.auto_merge_canceled", who, say, json!({}))
        };
        self.on_open(project, number, work).await
    }
}

/// Notes in a transaction that it is to merge by itself.
pub(crate) fn later(tx: &mut Tx<'_>, record: &mut Record, who: Principal) -> Result<()> {
    let head = record.status.head.clone().unwrap_or_default();
    record.status.auto_merge = Some(AutoMerge { by: who.clone(), at: tx.now(), head });
    record.status.reason = None;
    record.save(tx)?;
    let number = record.number;
    let say = text!(
        "merge request !{number} merges when its pipeline succeeds",
        "머지 요청 !{number}은 파이프라인이 성공하면 병합됨"
    );
    record.tell(tx, "merge_request.auto_merge", who, say, json!({}))
}

pub(crate) fn apply(spec: &mut MergeRequest, edit: Edit) {
    if let Some(title) = edit.title {
        let (title, marked) = undraft(title.trim());
        spec.title = title;
        spec.draft |= marked;
    }
    let Edit { description, target, draft, labels, assignees, reviewers, .. } = edit;
    spec.description = description.unwrap_or(std::mem::take(&mut spec.description));
    spec.target = target.unwrap_or(std::mem::take(&mut spec.target));
    spec.draft = draft.unwrap_or(spec.draft);
    spec.labels = labels.unwrap_or(std::mem::take(&mut spec.labels));
    spec.assignees = assignees.unwrap_or(std::mem::take(&mut spec.assignees));
    spec.reviewers = reviewers.unwrap_or(std::mem::take(&mut spec.reviewers));
    spec.remove_source = edit.remove_source.unwrap_or(spec.remove_source);
    spec.squash = edit.squash.unwrap_or(spec.squash);
}

/// `Draft: A title` says that it is one.
fn undraft(title: &str) -> (String, bool) {
    for mark in ["Draft:", "draft:", "[Draft]", "WIP:"] {
        if let Some(rest) = title.strip_prefix(mark).map(str::trim).filter(|r| !r.is_empty()) {
            return (rest.to_owned(), true);
        }
    }
    (title.to_owned(), false)
}

/// The subject of the one commit, or the branch in words: `fix/cart-total` is “Fix cart total”.
fn title(branch: &str, head: &kernel::journey::Commit, commits: usize) -> String {
    if commits == 1 && !head.subject.trim().is_empty() {
        return head.subject.chars().take(crate::kind::TITLE).collect();
    }
    let words = branch.replace(['/', '-', '_'], " ");
    let mut letters = words.chars();
    let first: String = letters.next().into_iter().flat_map(char::to_uppercase).collect();
    let title: String = first.chars().chain(letters).take(crate::kind::TITLE).collect();
    if title.trim().is_empty() { branch.to_owned() } else { title }
}

/// The number in an address.
pub(crate) fn number(words: &str) -> Result<u64> {
    let digits = words.strip_prefix('!').unwrap_or(words);
    let sound =
        digits.len() < 12 && digits.bytes().all(|b| b.is_ascii_digit()) && !digits.starts_with('0');
    digits.parse().ok().filter(|_| sound).ok_or_else(|| error::unknown(words))
}

/// Why merging by itself was given up.
pub(crate) fn because(blockers: &[Blocker]) -> Text {
    let first = blockers.iter().find(|b| !b.passes());
    first.map_or_else(|| Text::fixed("canceled", "취소됨"), Blocker::text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles() {
        let commit = kernel::journey::Commit {
            id: "c".into(),
            parents: Vec::new(),
            author: "a".into(),
            email: "a@b".into(),
            authored: kernel::Time(0),
            committed: kernel::Time(0),
            subject: "Mend the cart".into(),
            message: String::new(),
        };
        assert_eq!(title("fix/cart-total", &commit, 1), "Mend the cart");
        assert_eq!(title("fix/cart-total", &commit, 2), "Fix cart total");
        assert_eq!(undraft("Draft: x"), ("x".into(), true));
        assert_eq!(undraft("Draft:"), ("Draft:".into(), false));
    }

    #[test]
    fn numbers_in_addresses() {
        assert_eq!((number("12").unwrap(), number("!12").unwrap()), (12, 12));
        for bad in ["", "0", "01", "!01", "!!1", "+1", "-1", "x", "999999999999999"] {
            assert!(number(bad).is_err(), "{bad}");
        }
    }
}

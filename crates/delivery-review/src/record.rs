//! Merge requests in the store: what each transaction does to one, and tells.

use crate::kind::{MergeRequest, MergeRequestStatus, Merged, PIPELINES, Pipeline, State};
use crate::{PART_NAME, error, note};
use kernel::journey::{
    Commit, Fact, MergeRequestClosed, MergeRequestHead, MergeRequestMerged, MergeRequestOpened,
    MergeRequestUpdated, change_name,
};
use kernel::port::Comparison;
use kernel::{Key, Kind, Name, NewEvent, Principal, Result, Text, text};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use store::{Put, Tx, View};

/// The last number of a project.
const NUMBERS: &str = "delivery-review.number";
/// All, by `<project>/<number>`, so that they can be walked from the newest.
const ALL: &str = "delivery-review.all";
/// [`Ends`] of those that are open, by `<project>/<repository>/<number>`.
const OPEN: &str = "delivery-review.open";
/// Merged ones whose source branch is still to go, by `<project>/<number>`.
const LEFT: &str = "delivery-review.left";
/// The newest [`Pipeline`] of a branch, by `<project>/<repository>/<branch>`.
const BRANCHES: &str = "delivery-review.branch";
/// Open ones of a repository that are looked at.
const MOST: usize = 1_000;

#[derive(Serialize, Deserialize)]
struct Ends {
    source: String,
    target: String,
}

/// One merge request.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    pub project: Name,
    pub number: u64,
    pub spec: MergeRequest,
    pub status: MergeRequestStatus,
}

fn long(project: &Name, number: u64) -> String {
    format!("{project}/{number:010}")
}

impl Record {
    pub fn name(number: u64) -> Result<Name> {
        Name::parse(&number.to_string())
    }

    pub fn load(view: &View<'_>, project: &Name, number: u64) -> Result<Option<Record>> {
        let key = Key::of::<MergeRequest>(project, &Record::name(number)?);
        let Some(found) = view.resource(&key)? else { return Ok(None) };
        let (spec, status) = (found.spec::<MergeRequest>()?, found.status::<MergeRequest>()?);
        Ok(Some(Record { project: project.clone(), number, spec, status }))
    }

    pub fn need(view: &View<'_>, project: &Name, number: u64) -> Result<Record> {
        Record::load(view, project, number)?.ok_or_else(|| error::unknown(&number.to_string()))
    }

    /// One that can still change.
    pub fn need_open(view: &View<'_>, project: &Name, number: u64) -> Result<Record> {
        let record = Record::need(view, project, number)?;
        match record.status.state {
            State::Opened => Ok(record),
            state => Err(error::over(number, state)),
        }
    }

    pub fn key(&self) -> Result<Key> {
        Ok(Key::of::<MergeRequest>(&self.project, &Record::name(self.number)?))
    }

    pub fn address(&self) -> String {
        address(&self.project, self.number)
    }

    pub fn save(&self, tx: &mut Tx<'_>) -> Result<()> {
        tx.put_status(&self.key()?, &self.status, Principal::part(PART_NAME)).map(drop)
    }

    pub fn save_spec(&self, tx: &mut Tx<'_>, actor: Principal) -> Result<()> {
        self.spec.check_words()?;
        let spec = serde_json::to_value(&self.spec).map_err(kernel::Error::internal)?;
        let put = Put { key: self.key()?, labels: Default::default(), spec, expected: None, actor };
        tx.put(put).map(drop)
    }

    fn note_open(&self, tx: &mut Tx<'_>) -> Result<()> {
        let ends = Ends { source: self.spec.source.clone(), target: self.spec.target.clone() };
        tx.set_row(OPEN, &self.open_row(), &ends)
    }

    fn open_row(&self) -> String {
        format!("{}/{}/{:010}", self.project, self.spec.repository, self.number)
    }

    fn change(&self) -> Option<Name> {
        change_name(&self.spec.repository, self.status.head.as_deref()?)
    }

    /// Appends an event about it.
    pub fn tell(
        &self,
        tx: &mut Tx<'_>,
        kind: &str,
        actor: Principal,
        say: Text,
        more: Value,
    ) -> Result<()> {
        let mut data = json!({
            "repository": self.spec.repository,
            "number": self.number,
            "source": self.spec.source,
            "target": self.spec.target,
            "address": self.address(),
        });
        if let (Some(data), Value::Object(more)) = (data.as_object_mut(), more) {
            data.extend(more);
        }
        self.append(tx, NewEvent::new(kind, actor, say).data(data))
    }

    fn append(&self, tx: &mut Tx<'_>, event: NewEvent) -> Result<()> {
        let event = event.project(&self.project).subject(self.key()?).change(self.change());
        tx.append(event).map(drop)
    }

    fn fact(&self, head: Commit, options: Vec<String>) -> MergeRequestHead {
        let (spec, status) = (self.spec.clone(), &self.status);
        MergeRequestHead {
            repository: spec.repository,
            number: self.number,
            title: spec.title,
            description: spec.description,
            labels: spec.labels,
            assignees: spec.assignees.iter().map(ToString::to_string).collect(),
            draft: spec.draft,
            approved: !status.approvals.is_empty(),
            source: spec.source,
            target: spec.target,
            head,
            target_commit: status.target.clone().unwrap_or_default(),
            base: status.base.clone(),
            options,
            address: self.address(),
        }
    }

    /// Takes over where its branches are.
    pub fn stand(&mut self, head: &str, target: &str, how: &Comparison) {
        self.status.head = Some(head.to_owned());
        self.status.target = Some(target.to_owned());
        self.status.base = how.base.clone();
        self.status.ahead = how.ahead.len();
        self.status.behind = how.behind;
    }

    /// Remembers a pipeline, the newest first, or how one that is known does.
    pub fn pipeline(&mut self, pipeline: Pipeline) {
        let same = |p: &&mut Pipeline| p.run.is_some() && p.run == pipeline.run;
        match self.status.pipelines.iter_mut().find(same) {
            Some(known) => (known.state, known.reason) = (pipeline.state, pipeline.reason),
            None => self.status.pipelines.insert(0, pipeline),
        }
        self.status.pipelines.truncate(PIPELINES);
    }
}

pub(crate) fn address(project: &Name, number: u64) -> String {
    format!("/projects/{project}/merge-requests/{number}")
}

/// The open ones of a repository.
pub(crate) fn open(view: &View<'_>, project: &Name, repository: &Name) -> Result<Vec<Record>> {
    let rows = view.rows::<Ends>(OPEN, &format!("{project}/{repository}/"), None, MOST)?;
    records(view, project, rows.into_iter().map(|(key, _)| key))
}

/// Of a project, newest first, before `before`.
pub(crate) fn newest(
    view: &View<'_>,
    project: &Name,
    before: Option<u64>,
    limit: usize,
) -> Result<Vec<Record>> {
    let before = before.map(|n| long(project, n));
    let rows = view.rows_back::<()>(ALL, &format!("{project}/"), before.as_deref(), limit)?;
    records(view, project, rows.into_iter().map(|(key, ())| key))
}

fn records(
    view: &View<'_>,
    project: &Name,
    keys: impl Iterator<Item = String>,
) -> Result<Vec<Record>> {
    let mut out = Vec::new();
    for key in keys {
        let number = key.rsplit('/').next().and_then(|n| n.parse().ok());
        if let Some(number) = number
            && let Some(record) = Record::load(view, project, number)?
        {
            out.push(record);
        }
    }
    Ok(out)
}

/// Everything that a loop has to look after: open ones, and what is left of merged ones.
pub(crate) fn unfinished(view: &View<'_>) -> Result<Vec<(Name, u64)>> {
    let place = |key: &str| {
        let project = Name::parse(key.split('/').next()?).ok()?;
        Some((project, key.rsplit('/').next()?.parse().ok()?))
    };
    let open = view.rows::<Ends>(OPEN, "", None, 100_000)?.into_iter().map(|(key, _)| key);
    let left = view.rows::<()>(LEFT, "", None, 10_000)?.into_iter().map(|(key, ())| key);
    Ok(open.chain(left).filter_map(|key| place(&key)).collect())
}

pub(crate) fn left(tx: &mut Tx<'_>, project: &Name, number: u64) -> Result<()> {
    tx.delete_row(LEFT, &long(project, number)).map(drop)
}

/// Opens a new one, of commits that were compared.
pub(crate) fn create(
    tx: &mut Tx<'_>,
    project: &Name,
    spec: MergeRequest,
    (target, how): (&str, &Comparison),
    options: Vec<String>,
) -> Result<Record> {
    let Some(head) = how.ahead.first().cloned() else {
        return Err(error::blocked(0, &[crate::Blocker::Nothing]));
    };
    let same = |r: &Record| r.spec.source == spec.source && r.spec.target == spec.target;
    if let Some(known) = open(tx, project, &spec.repository)?.into_iter().find(same) {
        return Err(error::there(known.number));
    }
    let number = tx.row::<u64>(NUMBERS, project.as_str())?.unwrap_or(0) + 1;
    tx.set_row(NUMBERS, project.as_str(), &number)?;
    tx.set_row(ALL, &long(project, number), &())?;
    let author = spec.author.clone();
    let status = MergeRequestStatus { opened: Some(tx.now()), ..MergeRequestStatus::default() };
    let mut record = Record { project: project.clone(), number, spec, status };
    record.stand(&head.id, target, how);
    if let Some(pipeline) = of_branch(tx, &record)? {
        record.pipeline(pipeline);
    }
    record.save_spec(tx, author.clone())?;
    record.save(tx)?;
    record.note_open(tx)?;
    announce(tx, &record, author, head, options)?;
    Ok(record)
}

fn announce(
    tx: &mut Tx<'_>,
    record: &Record,
    who: Principal,
    head: Commit,
    options: Vec<String>,
) -> Result<()> {
    let (number, title) = (record.number, kernel::shown(&record.spec.title));
    let MergeRequest { source, target, .. } = &record.spec;
    let say = text!(
        "merge request !{number} opened: {title} ({source} into {target})",
        "머지 요청 !{number} 열림: {title} ({source} → {target})"
    );
    let fact = MergeRequestOpened(record.fact(head, options));
    record.append(tx, fact.event(who, say)?)
}

/// Opens a closed one again.
pub(crate) fn reopen(
    tx: &mut Tx<'_>,
    mut record: Record,
    who: Principal,
    (target, how): (&str, &Comparison),
) -> Result<Record> {
    let Some(head) = how.ahead.first().cloned() else {
        return Err(error::blocked(record.number, &[crate::Blocker::Nothing]));
    };
    if record.status.state != State::Closed {
        return Err(error::not_closed(record.number));
    }
    record.status.state = State::Opened;
    (record.status.closed, record.status.reason) = (None, None);
    record.stand(&head.id, target, how);
    record.save(tx)?;
    record.note_open(tx)?;
    announce(tx, &record, who, head, Vec::new())?;
    Ok(record)
}

/// Its source branch has moved.
pub(crate) fn update(
    tx: &mut Tx<'_>,
    record: &mut Record,
    who: Principal,
    (head, target, how): (Commit, &str, &Comparison),
    (options, keep_approvals): (Vec<String>, bool),
) -> Result<()> {
    record.stand(&head.id, target, how);
    if !keep_approvals {
        record.status.approvals.clear();
    }
    // Whoever asked for it asked about other commits.
    record.status.auto_merge = None;
    if let Some(pipeline) = of_branch(tx, record)? {
        record.pipeline(pipeline);
    }
    record.save(tx)?;
    let (number, short) = (record.number, head.id.get(..8).unwrap_or_default().to_owned());
    let say = text!(
        "merge request !{number} has new commits: {short}",
        "머지 요청 !{number}에 새 커밋: {short}"
    );
    let fact = MergeRequestUpdated(record.fact(head, options));
    record.append(tx, fact.event(who, say)?)
}

/// Ends it without a merge.
pub(crate) fn close(
    tx: &mut Tx<'_>,
    mut record: Record,
    who: Principal,
    reason: Option<Text>,
) -> Result<Record> {
    if record.status.state != State::Opened {
        return Err(error::over(record.number, record.status.state));
    }
    record.status.state = State::Closed;
    record.status.closed = Some(tx.now());
    record.status.auto_merge = None;
    record.status.reason = reason.clone();
    record.save(tx)?;
    tx.delete_row(OPEN, &record.open_row())?;
    let number = record.number;
    let mut say = text!("merge request !{number} closed", "머지 요청 !{number} 닫힘");
    if let Some(Text { en, ko }) = &reason {
        say = Text::new(format!("{}: {en}", say.en), format!("{}: {ko}", say.ko));
    }
    let MergeRequest { repository, source, target, .. } = record.spec.clone();
    let fact = MergeRequestClosed { repository, number, source, target, reason };
    record.append(tx, fact.event(who, say)?)?;
    Ok(record)
}

/// The target has its commits. Saying so twice is fine.
pub(crate) fn merged(tx: &mut Tx<'_>, mut record: Record, merged: Merged) -> Result<Record> {
    if record.status.state != State::Opened {
        return Ok(record);
    }
    let (who, commit) = (merged.by.clone(), merged.commit.clone());
    record.status.state = State::Merged;
    record.status.closed = Some(merged.at);
    (record.status.merging, record.status.auto_merge) = (None, None);
    record.status.reason = None;
    record.status.merged = Some(merged);
    record.save(tx)?;
    tx.delete_row(OPEN, &record.open_row())?;
    if record.spec.remove_source {
        tx.set_row(LEFT, &long(&record.project, record.number), &())?;
    }
    let number = record.number;
    let MergeRequest { repository, source, target, .. } = record.spec.clone();
    let say = text!(
        "merge request !{number} merged: {source} into {target}",
        "머지 요청 !{number} 병합됨: {source} → {target}"
    );
    let fact = MergeRequestMerged {
        repository,
        number,
        source,
        target,
        commit,
        head: record.status.head.clone().unwrap_or_default(),
        opened: record.status.opened.unwrap_or(tx.now()),
    };
    record.append(tx, fact.event(who, say)?)?;
    Ok(record)
}

fn branch_row(project: &Name, repository: &Name, branch: &str) -> String {
    format!("{project}/{repository}/{branch}")
}

fn of_branch(view: &View<'_>, record: &Record) -> Result<Option<Pipeline>> {
    let spec = &record.spec;
    let row = branch_row(&record.project, &spec.repository, &spec.source);
    let found = view.row::<Pipeline>(BRANCHES, &row)?;
    Ok(found.filter(|p| Some(&p.commit) == record.status.head.as_ref()))
}

/// Remembers how the pipeline of a branch does; `None`: the branch is gone.
pub(crate) fn note_branch(
    tx: &mut Tx<'_>,
    (project, repository, branch): (&Name, &Name, &str),
    pipeline: Option<&Pipeline>,
) -> Result<()> {
    let row = branch_row(project, repository, branch);
    match pipeline {
        Some(pipeline) => tx.set_row(BRANCHES, &row, pipeline),
        None => tx.delete_row(BRANCHES, &row).map(drop),
    }
}

/// The resource is gone, with its project: so is what is kept beside it.
pub(crate) fn forget(
    tx: &mut Tx<'_>,
    project: &Name,
    spec: &MergeRequest,
    number: u64,
) -> Result<()> {
    tx.delete_row(ALL, &long(project, number))?;
    tx.delete_row(LEFT, &long(project, number))?;
    tx.delete_row(OPEN, &format!("{project}/{}/{number:010}", spec.repository))?;
    note::forget(tx, project, number)
}

/// Which number the name of a resource is.
pub(crate) fn number_of(key: &Key) -> Option<(Name, u64)> {
    let ours = key.kind == MergeRequest::KIND;
    Some((key.project.clone().filter(|_| ours)?, key.name.as_str().parse().ok()?))
}

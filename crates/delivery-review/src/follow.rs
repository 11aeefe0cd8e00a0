//! Facts of the journal into merge requests: pushes of their branches, their pipelines, and the end of what they
//! are about. Those of one project come in their order, each exactly once.

use crate::desk::{self, Draft, Edit, Ready};
use crate::kind::{MergeRequest, Merged, Pipeline, PipelineState, State};
use crate::options::{self, Wish};
use crate::record::{self, Record};
use crate::{PART_NAME, Reviews};
use kernel::journey::{
    Commit, Fact, PipelineCreated, PipelineFinished, PipelineSkipped, Pushed, Verdict,
};
use kernel::port::Comparison;
use kernel::{
    BoxFuture, Error, ErrorKind, Event, Id, Key, Kind, Name, NewEvent, Principal, Result, Text,
    text,
};
use reconcile::{Turn, Worker};
use run::Engine;
use serde_json::json;
use store::Tx;

const DELETED: &str = "resource.deleted";
/// Sources of pipelines that speak for a branch.
const SPEAKS: [&str; 3] = ["push", "web", "api"];

pub(crate) struct Follower(pub Reviews);

impl Worker for Follower {
    fn name(&self) -> &'static str {
        "merge requests"
    }

    fn cursor(&self) -> (&'static str, &'static str) {
        ("delivery-review.cursor", "journal")
    }

    fn lane(&self, event: &Event) -> Option<String> {
        let ours =
            [Pushed::KIND, PipelineCreated::KIND, PipelineFinished::KIND, PipelineSkipped::KIND];
        let gone = || {
            let subject = event.fact.subject.as_ref();
            let kinds = [MergeRequest::KIND, "Repository"];
            let ours = subject.filter(|s| kinds.contains(&s.kind.as_str()));
            ours.and_then(|s| s.project.clone())
        };
        let project = match event.fact.kind.as_str() {
            kind if ours.contains(&kind) => event.fact.project.clone(),
            DELETED => gone(),
            _ => None,
        };
        project.map(|p| p.to_string())
    }

    fn work<'a>(&'a self, event: &'a Event, turn: &'a Turn) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let subject = event.fact.subject.clone();
            if event.fact.kind == DELETED {
                let event = event.clone();
                let work = move |tx: &mut Tx<'_>| match &subject {
                    Some(key) => deleted(tx, key, &event),
                    None => Ok(()),
                };
                return turn.once(work).await.map(drop);
            }
            let Some(project) = event.fact.project.clone() else {
                return turn.once(|_| Ok(())).await.map(drop);
            };
            match Pushed::of(event) {
                Some(pushed) => self.pushed(turn, event, &project, pushed).await,
                None => {
                    let event = event.clone();
                    turn.once(move |tx| piped(tx, &event, &project)).await.map(drop)
                }
            }
        })
    }
}

/// What a push does to one merge request.
enum Effect {
    Close(Box<Record>, Text),
    Update(Box<Record>, Commit, String, Comparison, bool),
    /// The target has moved.
    Stand(Box<Record>, String, String, Comparison),
    Merged(Box<Record>, Principal, String),
}

impl Follower {
    async fn pushed(
        &self,
        turn: &Turn,
        event: &Event,
        project: &Name,
        pushed: Pushed,
    ) -> Result<()> {
        let Some(branch) = pushed.branch.clone() else {
            return turn.once(|_| Ok(())).await.map(drop);
        };
        let who = event.fact.actor.clone();
        let (of, repository) = (project.clone(), pushed.repository.clone());
        let read = move |v: &store::View<'_>| record::open(v, &of, &repository);
        let mut effects = Vec::new();
        for record in self.0.options.store.read(read).await? {
            match self.effect(record, &branch, &pushed, &who).await {
                Ok(effect) => effects.extend(effect),
                // The repository is gone: that is an event of its own.
                Err(e) if e.kind() == ErrorKind::NotFound => {}
                Err(e) => return Err(e),
            }
        }
        let wish = options::wish(&pushed.options).filter(|_| pushed.after.is_some());
        let wanted = match &wish {
            Some(wish) if wish.create => {
                Some(self.wanted(project, &pushed, &branch, wish, &who).await?)
            }
            _ => None,
        };
        let (project, options) = (project.clone(), pushed.options.clone());
        let work = move |tx: &mut Tx<'_>| {
            if pushed.after.is_none() {
                record::note_branch(tx, (&project, &pushed.repository, &branch), None)?;
            }
            for effect in effects {
                perform(tx, effect, &who, &options)?;
            }
            match wish {
                Some(wish) => granted(
                    tx,
                    (&project, &pushed.repository, &branch),
                    wish,
                    wanted,
                    (who, options),
                ),
                None => Ok(()),
            }
        };
        turn.once(work).await.map(drop)
    }

    /// What the push of a branch does to an open merge request.
    async fn effect(
        &self,
        record: Record,
        branch: &str,
        pushed: &Pushed,
        who: &Principal,
    ) -> Result<Option<Effect>> {
        let (project, spec) = (&record.project, record.spec.clone());
        let repository = &spec.repository;
        let branches = &self.0.options.branches;
        if spec.source == branch {
            let (Some(after), Some(head)) = (&pushed.after, &pushed.head) else {
                let why = Text::fixed("its source branch was deleted", "원본 브랜치가 삭제됨");
                return Ok(Some(Effect::Close(Box::new(record), why)));
            };
            let target = branches.tip(project, repository, &spec.target).await?;
            let Some(target) = target else { return Ok(None) };
            let how = branches.compare(project, repository, &target, after).await?;
            let keep = self.0.rules(project, repository).await?.keep_approvals;
            let head = head.clone();
            return Ok(Some(Effect::Update(Box::new(record), head, target, how, keep)));
        }
        let (Some(after), Some(head)) = (&pushed.after, record.status.head.clone()) else {
            return Ok(None);
        };
        if spec.target != branch {
            return Ok(None);
        }
        let merging = record.status.merging.clone();
        if let Some(merging) = merging.filter(|m| m.commit == *after) {
            return Ok(Some(Effect::Merged(Box::new(record), merging.by, after.clone())));
        }
        let how = branches.compare(project, repository, after, &head).await?;
        // Somebody brought its commits there by hand.
        if how.ahead.is_empty() && record.status.ahead > 0 {
            return Ok(Some(Effect::Merged(Box::new(record), who.clone(), after.clone())));
        }
        Ok(Some(Effect::Stand(Box::new(record), head, after.clone(), how)))
    }

    /// What the push asks to have opened; the inner error is for whoever pushed.
    async fn wanted(
        &self,
        project: &Name,
        pushed: &Pushed,
        branch: &str,
        wish: &Wish,
        who: &Principal,
    ) -> Result<std::result::Result<Ready, Error>> {
        let draft = Draft {
            source: branch.to_owned(),
            target: wish.target.clone(),
            title: wish.title.clone(),
            description: wish.description.clone().unwrap_or_default(),
            draft: wish.draft,
            labels: wish.labels.clone(),
            assignees: wish.assign.clone(),
            reviewers: Vec::new(),
            remove_source: wish.remove_source,
            squash: wish.squash,
        };
        match self.0.ready(project, &pushed.repository, draft, who.clone()).await {
            Err(e) if matches!(e.kind(), ErrorKind::Internal | ErrorKind::Unavailable) => Err(e),
            found => Ok(found),
        }
    }
}

fn perform(tx: &mut Tx<'_>, effect: Effect, who: &Principal, options: &[String]) -> Result<()> {
    // It may have ended since it was read.
    let still = |tx: &Tx<'_>, record: &Record| {
        let now = Record::load(tx, &record.project, record.number)?;
        Ok::<_, Error>(now.filter(|r| r.status.state == State::Opened))
    };
    match effect {
        Effect::Close(record, why) => match still(tx, &record)? {
            Some(record) => record::close(tx, record, who.clone(), Some(why)).map(drop),
            None => Ok(()),
        },
        Effect::Update(record, head, target, how, keep) => match still(tx, &record)? {
            Some(mut record) => {
                let moved = (head, target.as_str(), &how);
                record::update(tx, &mut record, who.clone(), moved, (options.to_vec(), keep))
            }
            None => Ok(()),
        },
        Effect::Stand(record, head, target, how) => match still(tx, &record)? {
            Some(mut record) => {
                record.stand(&head, &target, &how);
                record.save(tx)
            }
            None => Ok(()),
        },
        Effect::Merged(record, by, commit) => match still(tx, &record)? {
            Some(record) => {
                let at = tx.now();
                record::merged(tx, record, Merged { by, at, commit }).map(drop)
            }
            None => Ok(()),
        },
    }
}

/// Does what the options of a push ask for, or tells why not.
fn granted(
    tx: &mut Tx<'_>,
    (project, repository, branch): (&Name, &Name, &str),
    wish: Wish,
    wanted: Option<std::result::Result<Ready, Error>>,
    (who, options): (Principal, Vec<String>),
) -> Result<()> {
    let refuse = |tx: &mut Tx<'_>, say: Text| {
        let data = json!({ "repository": repository, "source": branch, "reason": say.clone() });
        let event = NewEvent::new("merge_request.refused", who.clone(), say).data(data);
        tx.append(event.project(project)).map(drop)
    };
    let target = match &wanted {
        Some(Ok(ready)) => Some(ready.spec.target.clone()),
        _ => wish.target.clone(),
    };
    let open = record::open(tx, project, repository)?.into_iter();
    let fits =
        |r: &Record| r.spec.source == branch && target.as_ref().is_none_or(|t| *t == r.spec.target);
    let mut known: Vec<Record> = open.filter(fits).collect();
    if known.is_empty() {
        match wanted {
            Some(Ok(ready)) => {
                let how = (ready.target.as_str(), &ready.how);
                known.push(record::create(tx, project, ready.spec, how, options)?);
            }
            Some(Err(error)) => {
                let Text { en, ko } = error.sentence();
                return refuse(
                    tx,
                    text!("no merge request was opened: {en}", "머지 요청을 열지 못했습니다: {ko}"),
                );
            }
            None => {
                return refuse(
                    tx,
                    text!(
                        "{branch} has no merge request: `-o merge_request.create` opens one",
                        "{branch}에는 머지 요청이 없습니다. `-o merge_request.create`로 열 수 있습니다"
                    ),
                );
            }
        }
    } else {
        for record in &mut known {
            let edit = edit(&record.spec, &wish);
            desk::apply(&mut record.spec, edit);
            if record.spec.check_words().is_ok() {
                record.save_spec(tx, who.clone())?;
            }
        }
    }
    if wish.auto_merge {
        for mut record in known {
            desk::later(tx, &mut record, who.clone())?;
        }
    }
    if !wish.unknown.is_empty() {
        let some = kernel::shown(&wish.unknown.join(", "));
        refuse(
            tx,
            text!(
                "push options that merge requests do not know: {some}",
                "머지 요청이 모르는 푸시 옵션: {some}"
            ),
        )?;
    }
    Ok(())
}

fn edit(spec: &MergeRequest, wish: &Wish) -> Edit {
    let mut labels: Vec<String> =
        spec.labels.iter().filter(|l| !wish.unlabels.contains(l)).cloned().collect();
    let fresh = wish.labels.iter().filter(|l| !spec.labels.contains(l));
    labels.extend(fresh.cloned());
    let mut people: Vec<Name> =
        spec.assignees.iter().filter(|p| !wish.unassign.contains(p)).cloned().collect();
    people.extend(wish.assign.iter().filter(|p| !spec.assignees.contains(p)).cloned());
    Edit {
        title: wish.title.clone(),
        description: wish.description.clone(),
        draft: wish.draft.then_some(true),
        labels: Some(labels),
        assignees: Some(people),
        remove_source: wish.remove_source.then_some(true),
        squash: wish.squash.then_some(true),
        ..Edit::default()
    }
}

/// A pipeline was made, has ended, or is not to be.
fn piped(tx: &mut Tx<'_>, event: &Event, project: &Name) -> Result<()> {
    if let Some(fact) = PipelineSkipped::of(event) {
        let Some(mut record) = Record::load(tx, project, fact.number)? else { return Ok(()) };
        record.status.heard = Some(fact.commit);
        return record.save(tx);
    }
    let (repository, run, state, reason) = match PipelineFinished::of(event) {
        Some(fact) => {
            if fact.run.is_none() && fact.verdict != Verdict::Failed {
                return Ok(());
            }
            if fact.run.is_none() {
                return unreadable(tx, event, project, fact);
            }
            let state = match fact.verdict {
                Verdict::Passed => PipelineState::Passed,
                Verdict::Failed => PipelineState::Failed,
                Verdict::Canceled => PipelineState::Canceled,
            };
            (fact.repository, fact.run, state, fact.reason)
        }
        None => match PipelineCreated::of(event) {
            Some(fact) => (fact.repository, Some(fact.run), PipelineState::Running, None),
            None => return Ok(()),
        },
    };
    let Some(place) = run.as_ref().map(|r| Place::of(tx, r)).transpose()?.flatten() else {
        return Ok(());
    };
    let pipeline = Pipeline {
        run: run.map(|r| r.to_string()),
        commit: place.commit,
        detached: place.number.is_some(),
        state,
        reason,
        at: event.time,
    };
    note(tx, (project, &repository), place.branch.as_deref(), place.number, pipeline)
}

/// A pipeline file that cannot be read.
fn unreadable(
    tx: &mut Tx<'_>,
    event: &Event,
    project: &Name,
    fact: PipelineFinished,
) -> Result<()> {
    let pipeline = Pipeline {
        run: None,
        commit: fact.commit,
        detached: false,
        state: PipelineState::Failed,
        reason: fact.reason,
        at: event.time,
    };
    note(tx, (project, &fact.repository), fact.branch.as_deref(), None, pipeline)
}

/// What the labels of a run say.
struct Place {
    commit: String,
    branch: Option<String>,
    /// Of the merge request that it is for.
    number: Option<u64>,
}

impl Place {
    fn of(tx: &Tx<'_>, run: &Id) -> Result<Option<Place>> {
        let Some(run) = Engine::show_in(tx, run)? else { return Ok(None) };
        let label = |name: &str| run.labels.get(name).cloned();
        let number = label("merge_request").and_then(|n| n.parse().ok());
        let speaks = label("source").is_some_and(|s| SPEAKS.contains(&s.as_str()));
        if number.is_none() && !speaks {
            return Ok(None);
        }
        let (Some(commit), branch) = (label("commit"), label("branch")) else { return Ok(None) };
        Ok(Some(Place { commit, branch, number }))
    }
}

fn note(
    tx: &mut Tx<'_>,
    (project, repository): (&Name, &Name),
    branch: Option<&str>,
    number: Option<u64>,
    pipeline: Pipeline,
) -> Result<()> {
    if let (Some(branch), false) = (branch, pipeline.detached) {
        record::note_branch(tx, (project, repository, branch), Some(&pipeline))?;
    }
    for mut record in record::open(tx, project, repository)? {
        let ours = match number {
            Some(number) => record.number == number,
            None => Some(record.spec.source.as_str()) == branch,
        };
        let current = record.status.head.as_ref() == Some(&pipeline.commit);
        let known =
            record.status.pipelines.iter().any(|p| p.run.is_some() && p.run == pipeline.run);
        if !ours || !(current || known) {
            continue;
        }
        // An unreadable file is told of twice, for the branch and for the request.
        if number.is_some() || (pipeline.run.is_none() && current) {
            record.status.heard = Some(pipeline.commit.clone());
        }
        record.pipeline(pipeline.clone());
        record.save(tx)?;
    }
    Ok(())
}

/// Something was deleted that merge requests hang on.
fn deleted(tx: &mut Tx<'_>, key: &Key, event: &Event) -> Result<()> {
    if let Some((project, number)) = record::number_of(key) {
        let spec = event.fact.data.get("spec").cloned().unwrap_or_default();
        return match serde_json::from_value::<MergeRequest>(spec) {
            Ok(spec) => record::forget(tx, &project, &spec, number),
            Err(_) => Ok(()),
        };
    }
    let Some(project) = &key.project else { return Ok(()) };
    for record in record::open(tx, project, &key.name)? {
        let why = Text::fixed("its repository was deleted", "저장소가 삭제됨");
        record::close(tx, record, Principal::part(PART_NAME), Some(why))?;
    }
    Ok(())
}

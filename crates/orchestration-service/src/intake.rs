//! From a passed pipeline to a release: reads what the commit says, stores its files, and lets
//! [`crate::release::make`] write it all down in one transaction.
//!
//! Each `pipeline.finished` is acted upon once, in order within its repository. What is open is kept in
//! memory and found again in the journal after a restart.

use crate::manifest::{self, Wanted};
use crate::release::{self, Begun, Made, Passed, Skipped};
use crate::state::{LOW, SEEN};
use crate::sync::ready_of_others;
use crate::yard::Yard;
use crate::{Limits, error, state::ServiceKey};
use blob::{Choose, Held};
use kernel::journey::{Fact, PipelineFinished, Verdict};
use kernel::port::{Metadata, Source};
use kernel::{BoxFuture, Error, ErrorKind, Event, Key, Name, Principal, Result, Text, text};
use policy::{Action, Ask, Policy, Target};
use reconcile::{Next, Reconciler};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use store::Filter;

/// Events read at a time when looking for what is open.
const PAGE: usize = 256;
/// Failures of our own over one pipeline, before its change is told so.
const TRIES: u32 = 5;

/// A repository of a project.
pub(crate) type Repository = (Name, Name);

pub(crate) struct Intake {
    pub yard: Yard,
    pub source: Arc<dyn Source>,
    pub limits: Limits,
    pub open: Arc<Mutex<Open>>,
    /// Who may deploy; in tests of the part alone, nobody asks.
    pub policy: Option<Policy>,
}

/// Pipelines that have ended and were not acted upon.
#[derive(Default)]
pub(crate) struct Open {
    waiting: BTreeMap<Repository, BTreeMap<u64, Arc<Event>>>,
    tries: BTreeMap<u64, u32>,
    /// Whether the journal has been searched. Before that the first one known need not be the first.
    complete: bool,
}

impl Open {
    fn add(&mut self, event: &Event) -> Option<Repository> {
        let fact = PipelineFinished::of(event)?;
        let repository = (event.fact.project.clone()?, fact.repository);
        let waiting = self.waiting.entry(repository.clone()).or_default();
        waiting.entry(event.seq).or_insert_with(|| Arc::new(event.clone()));
        Some(repository)
    }

    fn first(&self, repository: &Repository) -> Option<Arc<Event>> {
        if !self.complete {
            return None;
        }
        self.waiting.get(repository)?.values().next().cloned()
    }

    fn done(&mut self, repository: &Repository, seq: u64) {
        self.tries.remove(&seq);
        if let Some(waiting) = self.waiting.get_mut(repository) {
            waiting.remove(&seq);
            if waiting.is_empty() {
                self.waiting.remove(repository);
            }
        }
    }

    /// Up to where nothing is open once `seq` is done.
    fn low_without(&self, seq: u64) -> u64 {
        let others = self.waiting.values().flat_map(|w| w.keys()).filter(|s| **s != seq);
        others.min().map_or(seq, |s| s.saturating_sub(1).min(seq))
    }
}

impl Reconciler for Intake {
    type Key = Repository;

    fn name(&self) -> &'static str {
        "release"
    }

    fn keys(&self, event: &Event) -> Vec<Repository> {
        if event.fact.kind != PipelineFinished::KIND {
            return Vec::new();
        }
        self.open().add(event).into_iter().collect()
    }

    fn all(&self) -> BoxFuture<'_, Result<Vec<Repository>>> {
        Box::pin(self.find_open())
    }

    fn sync<'a>(&'a self, key: &'a Repository) -> BoxFuture<'a, Result<Next>> {
        Box::pin(async move {
            loop {
                let Some(event) = self.open().first(key) else { return Ok(Next::Done) };
                self.settle(&event).await?;
                self.open().done(key, event.seq);
            }
        })
    }
}

impl Intake {
    fn open(&self) -> MutexGuard<'_, Open> {
        // Nothing panics while it is held.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn find_open(&self) -> Result<Vec<Repository>> {
        let events = self.yard.store().read(open_events).await?;
        let mut open = self.open();
        for event in &events {
            open.add(event);
        }
        open.complete = true;
        Ok(open.waiting.keys().cloned().collect())
    }

    /// Acts upon one event; an error means that it has to be tried again.
    async fn settle(&self, event: &Event) -> Result<()> {
        let (Some(fact), Some(project)) = (PipelineFinished::of(event), event.fact.project.clone())
        else {
            return Ok(());
        };
        let low = self.open().low_without(event.seq);
        let change = event.fact.change.clone();
        let (event, by) = (event.seq, None);
        let passed = Passed { event, project, change, fact, low, by, procfile: false };
        let error = match self.act(passed.clone()).await {
            Ok(()) => return Ok(()),
            Err(error) => error,
        };
        let ours = matches!(
            error.kind(),
            ErrorKind::Internal | ErrorKind::Unavailable | ErrorKind::Full | ErrorKind::Busy
        );
        if ours {
            let tries = {
                let mut open = self.open();
                let tries = open.tries.entry(event).or_default();
                *tries += 1;
                *tries
            };
            if error.kind() != ErrorKind::Internal || tries < TRIES {
                return Err(error);
            }
            tracing::error!(seq = event, %error, "a release could not be made");
        }
        let reason = error.sentence();
        self.skip(passed, Skipped { verdict: Verdict::Failed, reason, empty: false }).await
    }

    async fn act(&self, passed: Passed) -> Result<()> {
        if passed.fact.verdict != Verdict::Passed || !passed.fact.deploys {
            return self.yard.store().write(move |tx| release::ignore(tx, &passed)).await;
        }
        let reason = match self.held_back(&passed).await? {
            Some(reason) => Some(reason),
            None => self.forbidden(&passed).await?,
        };
        if let Some(reason) = reason {
            let skipped = Skipped { verdict: Verdict::Passed, reason, empty: false };
            return self.skip(passed, skipped).await;
        }
        match self.release(passed.clone()).await? {
            Made::Rollouts(_) => Ok(()),
            Made::Not(skipped) => self.skip(passed, skipped).await,
        }
    }

    /// Releases the commit of a change because somebody says so, whatever its branch and its project say.
    ///
    /// # Errors
    /// `change.unknown`, `change.running`, `change.failed`; `deploy.nothing` when it has no service; those
    /// of its files.
    pub async fn deploy(&self, project: Name, change: Name, by: Principal) -> Result<Vec<Begun>> {
        let (p, c) = (project.clone(), change.clone());
        let (event, fact) = self.yard.store().read(move |v| passed_pipeline(v, &p, &c)).await?;
        let (change, by) = (Some(change), Some(by));
        let passed = Passed { event, project, change, fact, low: 0, by, procfile: false };
        match self.release(passed).await? {
            Made::Rollouts(begun) => Ok(begun),
            Made::Not(skipped) => Err(Error::conflict("deploy.nothing", skipped.reason)),
        }
    }

    /// Stores the files of the commit, and writes releases of all its services.
    async fn release(&self, mut passed: Passed) -> Result<Made> {
        let services = self.services(&mut passed).await?;
        if services.is_empty() {
            let reason = Text::fixed(
                "the commit has no service: neither naru.yaml nor Procfile",
                "커밋에 서비스가 없습니다 (naru.yaml, Procfile 모두 없음)",
            );
            return Ok(Made::Not(Skipped { verdict: Verdict::Passed, reason, empty: true }));
        }
        // From here until the transaction, no sweep may take the files away.
        let _kept = self.yard.files().in_use().await;
        let held = self.files(&passed).await?;
        let made = self.make(passed, services, &held).await?;
        if let Made::Rollouts(begun) = &made {
            begun.iter().for_each(|b| self.yard.poke(&b.key));
            self.yard.broom().notify_one();
        }
        Ok(made)
    }

    /// Why a passed pipeline is not meant for production.
    async fn held_back(&self, passed: &Passed) -> Result<Option<Text>> {
        if !passed.fact.default_branch {
            return Ok(Some(Text::fixed(
                "only the default branch goes to production",
                "기본 브랜치만 프로덕션에 배포됩니다",
            )));
        }
        let key = Key::global::<policy::Project>(&passed.project);
        let project = self.yard.store().read(move |v| v.resource(&key)).await?;
        let Some(project) = project else {
            return Ok(Some(Text::fixed("the project is gone", "프로젝트가 없어졌습니다")));
        };
        let (name, change) = (&passed.project, passed.change.as_ref());
        let change = change.map_or("CHANGE", Name::as_str);
        Ok((!project.spec::<policy::Project>()?.deploy).then(|| {
            text!(
                "the project does not deploy by itself (`deploy: false`); `naru deploy {change} -p {name}` does",
                "자동 배포를 끈 프로젝트입니다 (`deploy: false`). `naru deploy {change} -p {name}`로 배포할 수 있습니다"
            )
        }))
    }

    /// Whether a policy keeps what whoever pushed it set going from production: a push needs no right to deploy, but
    /// what is forbidden to its author it does not do either.
    async fn forbidden(&self, passed: &Passed) -> Result<Option<Text>> {
        let (Some(policy), Some(who)) = (&self.policy, &passed.fact.by) else { return Ok(None) };
        let target = Target::environment(&passed.project, naru_http::PRODUCTION);
        let context = policy::Context {
            environment: Some(naru_http::PRODUCTION.to_owned()),
            branch: passed.fact.branch.clone(),
            protected: Some(passed.fact.default_branch),
            ..policy::Context::default()
        };
        let ask = Ask { who, action: Action::Deploy, target: &target, context: &context };
        match policy.unless_forbidden(&ask).await {
            Ok(()) => Ok(None),
            Err(error) if error.kind() == ErrorKind::Forbidden => {
                let Text { en, ko } = error.sentence();
                let (name, change) = (&passed.project, passed.change.as_ref());
                let change = change.map_or("CHANGE", Name::as_str);
                Ok(Some(text!(
                    "{en}; somebody who may releases it with `naru deploy {change} -p {name}`",
                    "{ko}. 권한이 있는 사람이 `naru deploy {change} -p {name}`로 배포할 수 있습니다"
                )))
            }
            Err(error) => Err(error),
        }
    }

    pub(crate) async fn services(&self, passed: &mut Passed) -> Result<Vec<Wanted>> {
        if let Some(bytes) = self.file(passed, manifest::YAML).await? {
            return manifest::yaml(&bytes);
        }
        match self.file(passed, manifest::PROCFILE).await? {
            Some(bytes) => {
                passed.procfile = true;
                manifest::procfile(&bytes)
            }
            None => Ok(Vec::new()),
        }
    }

    async fn file(&self, passed: &Passed, path: &str) -> Result<Option<Vec<u8>>> {
        let PipelineFinished { repository, commit, .. } = &passed.fact;
        self.source.file(&passed.project, repository, commit, path, manifest::LIMIT).await
    }

    /// The commit's tree with the pipeline's layers laid over, in the blob store. Without layers the
    /// checkout itself becomes the release's directory.
    pub(crate) async fn files(&self, passed: &Passed) -> Result<Held> {
        let PipelineFinished { repository, commit, layers, .. } = &passed.fact;
        let files = self.yard.files();
        let draft = files.draft().await?;
        self.source
            .checkout(&passed.project, repository, commit, draft.path(), Metadata::Without)
            .await?;
        let all = Choose::all(self.limits.release_bytes, self.limits.release_files);
        let base = files.blobs().put_tree(draft.path(), all).await?;
        if layers.is_empty() {
            files.adopt(draft, &base.hash).await?;
            return Ok(base);
        }
        let mut trees = vec![base.hash.clone()];
        trees.extend(layers.iter().map(|l| l.tree.clone()));
        files.blobs().overlay(&trees).await
    }

    async fn make(&self, passed: Passed, services: Vec<Wanted>, held: &Held) -> Result<Made> {
        let old = |w: &Wanted| {
            let key = ServiceKey::new(&passed.project, &w.name);
            (w.name.clone(), ready_of_others(&self.yard.crew(&key), u64::MAX))
        };
        let ready: BTreeMap<Name, u32> = services.iter().map(old).collect();
        let tree = held.hash.clone();
        let write =
            move |tx: &mut store::Tx<'_>| release::make(tx, &passed, services, &tree, &ready);
        self.yard.store().write(write).await
    }

    async fn skip(&self, passed: Passed, skipped: Skipped) -> Result<()> {
        self.yard.store().write(move |tx| release::skip(tx, &passed, skipped)).await
    }
}

/// The last pipeline of a change, if it passed.
fn passed_pipeline(
    view: &store::View<'_>,
    project: &Name,
    change: &Name,
) -> Result<(u64, PipelineFinished)> {
    let of_change = |kind: Option<&str>| Filter {
        project: Some(project.clone()),
        change: Some(change.clone()),
        kind: kind.map(str::to_owned),
        ..Filter::default()
    };
    let last = view.events_back(u64::MAX, 1, &of_change(Some(PipelineFinished::KIND)))?;
    let last = last.first().and_then(|e| Some((e.seq, PipelineFinished::of(e)?)));
    match last {
        Some((seq, fact)) if fact.verdict == Verdict::Passed => Ok((seq, fact)),
        Some(_) => Err(error::pipeline_failed(change)),
        None if view.events_back(u64::MAX, 1, &of_change(None))?.is_empty() => {
            Err(error::unknown_change(change))
        }
        None => Err(error::pipeline_running(change)),
    }
}

/// Every `pipeline.finished` that has not been acted upon.
fn open_events(view: &store::View<'_>) -> Result<Vec<Event>> {
    let mut after: u64 = view.row(SEEN, LOW)?.unwrap_or(0);
    let filter = Filter { kind: Some(PipelineFinished::KIND.into()), ..Filter::default() };
    let mut open = Vec::new();
    loop {
        let page = view.events(after, PAGE, &filter)?;
        let Some(last) = page.last() else { return Ok(open) };
        after = last.seq;
        for event in page {
            let Some(fact) = PipelineFinished::of(&event) else { continue };
            let Some(project) = &event.fact.project else { continue };
            let seen: u64 = view.row(SEEN, &format!("{project}/{}", fact.repository))?.unwrap_or(0);
            if seen < event.seq {
                open.push(event);
            }
        }
    }
}

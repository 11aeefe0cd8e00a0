//! Environments as far as services are concerned: the last `environment.opened` or `environment.closed` of
//! each says what should be there, and this makes it so.
//!
//! What is wanted is read from the journal and what was done from a row, so that a wish is acted upon once
//! whatever crashes, and one that a newer overtook is not acted upon at all.

use crate::copies::{self, Order, ROWS, Seen};
use crate::error;
use crate::intake::Intake;
use crate::release::{Begun, Passed};
use crate::state::ServiceKey;
use crate::sync::ready_of_others;
use kernel::journey::{EnvironmentClosed, EnvironmentOpened, Fact, PipelineFinished, Verdict};
use kernel::{BoxFuture, ErrorKind, Event, Key, Name, Result};
use reconcile::{Next, Reconciler};
use std::collections::{BTreeMap, BTreeSet};
use store::{Filter, View};

/// Resources and rows read at a time.
const PAGE: usize = 500;

/// An environment of a project.
pub(crate) type Place = (Name, Name);

pub(crate) struct Places {
    pub intake: Intake,
}

/// What is wanted of an environment, and since which event.
enum Wish {
    Open(Box<Passed>),
    Closed,
}

impl Reconciler for Places {
    type Key = Place;

    fn name(&self) -> &'static str {
        "environment of services"
    }

    fn keys(&self, event: &Event) -> Vec<Place> {
        let ours = [EnvironmentOpened::KIND, EnvironmentClosed::KIND];
        match &event.fact.subject {
            Some(Key { project: Some(project), name, .. })
                if ours.contains(&event.fact.kind.as_str()) =>
            {
                vec![(project.clone(), name.clone())]
            }
            _ => Vec::new(),
        }
    }

    fn all(&self) -> BoxFuture<'_, Result<Vec<Place>>> {
        Box::pin(self.intake.yard.store().read(known))
    }

    fn sync<'a>(&'a self, key: &'a Place) -> BoxFuture<'a, Result<Next>> {
        Box::pin(async move {
            let k = key.clone();
            let wish = self.intake.yard.store().read(move |v| open_wish(v, &k)).await?;
            match wish {
                None => {}
                Some((_, Wish::Open(passed))) => self.open(key, *passed).await?,
                Some((seq, Wish::Closed)) => self.close(key, seq).await?,
            }
            Ok(Next::Done)
        })
    }
}

/// Every environment there is, and every one that something was made for.
fn known(view: &View<'_>) -> Result<Vec<Place>> {
    let mut all = BTreeSet::new();
    let mut after: Option<Key> = None;
    loop {
        let page = view.resources(copies::KIND, None, after.as_ref(), PAGE)?;
        let last = page.len() < PAGE;
        after = page.last().map(|r| r.key.clone());
        all.extend(page.into_iter().filter_map(|r| Some((r.key.project?, r.key.name))));
        if last {
            break;
        }
    }
    for (row, _) in view.rows::<Seen>(ROWS, "", None, usize::MAX >> 1)? {
        let place = row.split_once('/').and_then(|(project, name)| {
            Some((Name::parse(project).ok()?, Name::parse(name).ok()?))
        });
        all.extend(place);
    }
    Ok(all.into_iter().collect())
}

/// The last wish for an environment, if it has not been acted upon.
fn open_wish(view: &View<'_>, (project, environment): &Place) -> Result<Option<(u64, Wish)>> {
    let last = |kind: &str| {
        let filter = Filter {
            subject: Some(copies::subject(project, environment)),
            kind: Some(kind.to_owned()),
            ..Filter::default()
        };
        Ok::<_, kernel::Error>(view.events_back(u64::MAX, 1, &filter)?.into_iter().next())
    };
    let opened = last(EnvironmentOpened::KIND)?;
    let closed = last(EnvironmentClosed::KIND)?;
    let Some(event) = opened.into_iter().chain(closed).max_by_key(|e| e.seq) else {
        return Ok(None);
    };
    let seen: Option<Seen> = view.row(ROWS, &copies::row(project, environment))?;
    if seen.is_some_and(|s| s.seq >= event.seq) {
        return Ok(None);
    }
    let wish = match EnvironmentOpened::of(&event) {
        Some(fact) => Wish::Open(Box::new(passed(&event, project, fact))),
        None => Wish::Closed,
    };
    Ok(Some((event.seq, wish)))
}

/// An opening, as the pipeline that led to it.
fn passed(event: &Event, project: &Name, opened: EnvironmentOpened) -> Passed {
    Passed {
        event: event.seq,
        project: project.clone(),
        change: event.fact.change.clone(),
        fact: PipelineFinished {
            repository: opened.repository,
            commit: opened.commit,
            branch: opened.branch,
            default_branch: false,
            run: None,
            deploys: true,
            by: None,
            verdict: Verdict::Passed,
            reason: None,
            layers: opened.layers,
        },
        low: 0,
        by: Some(event.fact.actor.clone()),
        procfile: false,
    }
}

impl Places {
    /// An error means that it has to be tried again; what is the commit's own fault is answered.
    async fn open(&self, key: &Place, passed: Passed) -> Result<()> {
        let error = match self.release(key, passed.clone()).await {
            Ok(begun) => {
                begun.iter().for_each(|b| self.intake.yard.poke(&b.key));
                self.intake.yard.broom().notify_one();
                return Ok(());
            }
            Err(error) => error,
        };
        if matches!(
            error.kind(),
            ErrorKind::Internal | ErrorKind::Unavailable | ErrorKind::Full | ErrorKind::Busy
        ) {
            return Err(error);
        }
        tracing::info!(environment = %key.1, project = %key.0, %error, "nothing was released");
        let (place, why) = (key.clone(), error.sentence());
        let refuse = move |tx: &mut store::Tx<'_>| match stale(tx, &place, passed.event)? {
            true => Ok(()),
            false => copies::refuse(tx, &passed, &place.1, why),
        };
        self.intake.yard.store().write(refuse).await
    }

    async fn release(&self, key: &Place, mut passed: Passed) -> Result<Vec<Begun>> {
        let (project, environment) = key.clone();
        let there = Key::global::<policy::Project>(&project);
        if self.intake.yard.store().read(move |v| v.resource(&there)).await?.is_none() {
            return Err(error::no_project(&project));
        }
        let services = self.intake.services(&mut passed).await?;
        // From here until the transaction, no sweep may take the files away.
        let _kept = self.intake.yard.files().in_use().await;
        let held = match services.is_empty() {
            true => None,
            false => Some(self.intake.files(&passed).await?),
        };
        let mut ready = BTreeMap::new();
        for wanted in &services {
            let copy = copies::name_in(&wanted.name, &environment)?;
            let crew = self.intake.yard.crew(&ServiceKey::new(&project, &copy));
            ready.insert(copy, ready_of_others(&crew, u64::MAX));
        }
        let tree = held.as_ref().map(|h| h.hash.clone()).unwrap_or_default();
        let (seq, room) = (passed.event, self.intake.limits.copies);
        let order = Order { passed, environment, services, tree, room, ready };
        let place = key.clone();
        let write = move |tx: &mut store::Tx<'_>| match stale(tx, &place, seq)? {
            // A newer wish has come, and its event brings us back.
            true => Ok(Vec::new()),
            false => copies::make(tx, order),
        };
        self.intake.yard.store().write(write).await
    }

    async fn close(&self, key: &Place, seq: u64) -> Result<()> {
        let place = key.clone();
        let write = move |tx: &mut store::Tx<'_>| match stale(tx, &place, seq)? {
            true => Ok(()),
            false => copies::close(tx, &place.0, &place.1, seq),
        };
        self.intake.yard.store().write(write).await
    }
}

/// Whether the wish of this event is not the one to act upon any more.
fn stale(view: &View<'_>, place: &Place, seq: u64) -> Result<bool> {
    Ok(open_wish(view, place)?.is_none_or(|(newest, _)| newest != seq))
}

//! Looking after environments: what time ends, and stop jobs that have to be started.

use crate::kind::{EnvironmentState, Stopping};
use crate::place::{self, Place};
use crate::plan::{self, Due};
use crate::stop::{self, Manner};
use crate::{Options, PART_NAME, site};
use kernel::{BoxFuture, Event, Id, Key, Kind, Name, Principal, Result, Text, Time, text};
use reconcile::{Next, Reconciler};
use run::{StepState, Wait};
use std::sync::Arc;
use std::time::Duration;

/// How long until a stop job is looked at again that nobody has told of.
const GLANCE: Duration = Duration::from_secs(60);

pub(crate) struct Keeper {
    pub options: Arc<Options>,
    pub sites: site::Sites,
}

/// What is looked after.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Thing {
    Environment(Name, Name),
    /// Of a project and a repository.
    Site(Name, Name),
}

impl Thing {
    fn of(key: &Key) -> Option<Thing> {
        let (project, name) = (key.project.clone()?, key.name.clone());
        match key.kind.as_str() {
            crate::Environment::KIND => Some(Thing::Environment(project, name)),
            crate::Site::KIND => Some(Thing::Site(project, name)),
            _ => None,
        }
    }
}

impl Reconciler for Keeper {
    type Key = Thing;

    fn name(&self) -> &'static str {
        "environment"
    }

    fn keys(&self, event: &Event) -> Vec<Thing> {
        let written = event.fact.kind.starts_with("resource.");
        event.fact.subject.as_ref().filter(|_| written).and_then(Thing::of).into_iter().collect()
    }

    fn all(&self) -> BoxFuture<'_, Result<Vec<Thing>>> {
        Box::pin(async {
            let read = |v: &store::View<'_>| {
                let places = place::all(v, None)?;
                let places = places.into_iter().map(|p| Thing::Environment(p.project, p.name));
                Ok(places.chain(site::all(v)?).collect::<Vec<_>>())
            };
            let mut all = self.options.store.read(read).await?;
            all.extend(self.sites.served());
            Ok(all)
        })
    }

    fn sync<'a>(&'a self, key: &'a Thing) -> BoxFuture<'a, Result<Next>> {
        Box::pin(async move {
            match key {
                Thing::Environment(project, name) => self.environment(project, name).await,
                Thing::Site(project, repository) => self.sites.sync(project, repository).await,
            }
        })
    }
}

impl Keeper {
    async fn environment(&self, project: &Name, name: &Name) -> Result<Next> {
        let (p, n) = (project.clone(), name.clone());
        let read =
            move |v: &store::View<'_>| Ok((Place::load(v, &p, &n)?, stop::project_there(v, &p)?));
        let (Some(place), there) = self.options.store.read(read).await? else {
            return Ok(Next::Done);
        };
        if !there {
            // A project takes its environments with it, and its services by themselves.
            let key = place.key();
            let delete = move |tx: &mut store::Tx<'_>| {
                tx.delete(&key, None, Principal::part(PART_NAME)).map(drop)
            };
            self.options.store.write(delete).await?;
            return Ok(Next::Done);
        }
        self.note_address(&place).await?;
        match (place.status.state, place.status.stopping.clone()) {
            (EnvironmentState::Stopping, Some(stopping)) => self.drive(place, stopping).await,
            (EnvironmentState::Available, _) => self.watch_time(place).await,
            _ => Ok(Next::Done),
        }
    }

    /// The address may be another after a restart, when the edge listens elsewhere.
    async fn note_address(&self, place: &Place) -> Result<()> {
        let url = crate::view::address(place, self.options.edge.as_ref());
        if place.status.url == url {
            return Ok(());
        }
        let (project, name) = (place.project.clone(), place.name.clone());
        let note = move |tx: &mut store::Tx<'_>| match Place::load(tx, &project, &name)? {
            Some(mut place) if place.open() => {
                place.status.url = url;
                place.save(tx)
            }
            _ => Ok(()),
        };
        self.options.store.write(note).await
    }

    /// When any of its services was asked for something last.
    fn last_use(&self, place: &Place) -> Option<Time> {
        let use_of = |m: &crate::Member| self.options.edge.last_use(&place.project, &m.service);
        place.status.services.iter().filter_map(use_of).max().max(place.status.used)
    }

    async fn watch_time(&self, place: Place) -> Result<Next> {
        let now = self.options.store.now();
        let used = self.last_use(&place);
        match plan::due(&place.spec, &place.status, used, now) {
            Due::Never => Ok(Next::Done),
            Due::At(at) => Ok(Next::At(at)),
            Due::Now | Due::Later(_) => {
                let (project, name) = (place.project, place.name);
                let write = move |tx: &mut store::Tx<'_>| {
                    // It may have been deployed to, made longer or stopped since.
                    match Place::load(tx, &project, &name)? {
                        Some(place) => time_is_up(tx, place, used),
                        None => Ok(()),
                    }
                };
                // Its own event brings us back.
                self.options.store.write(write).await.map(|()| Next::Done)
            }
        }
    }

    /// Starts the stop job; that it has ended is told by its event, and seen here when that was missed.
    async fn drive(&self, place: Place, stopping: Stopping) -> Result<Next> {
        let Some(run) = Id::parse(&stopping.run) else {
            return self.ended(place, "skipped", Some(gone())).await;
        };
        let shown = match self.options.engine.show(&run).await {
            Ok(shown) => shown,
            // Nobody can run it any more, and to wait for it would be to wait for ever.
            Err(error) if error.code() == "run.unknown" => {
                return self.ended(place, "passed", None).await;
            }
            Err(error) => return Err(error),
        };
        let Some(step) = shown.steps.iter().find(|s| s.name == stopping.step) else {
            return self.ended(place, "passed", None).await;
        };
        match step.state {
            StepState::Waiting(Wait::Manual | Wait::Delayed) => {
                self.options.engine.play(&run, &stopping.step, Principal::part(PART_NAME)).await?;
                Ok(Next::After(GLANCE))
            }
            state if !state.is_finished() => Ok(Next::After(GLANCE)),
            StepState::Passed => self.ended(place, step.state.word(), None).await,
            _ if stopping.again && shown.finished.is_some() => {
                self.again(place, stopping, &run).await
            }
            state => self.ended(place, state.word(), step.reason.clone()).await,
        }
    }

    /// A stop job that failed, and is asked for again, runs in a new run.
    async fn again(&self, place: Place, stopping: Stopping, run: &Id) -> Result<Next> {
        let part = Principal::part(PART_NAME);
        let retried = self.options.engine.retry(run, Some(&stopping.step), part).await;
        let new = match retried {
            Ok(new) => new,
            Err(error) if error.kind() == kernel::ErrorKind::Internal => return Err(error),
            Err(error) => return self.ended(place, "failed", Some(error.sentence())).await,
        };
        let (project, name) = (place.project, place.name);
        let write = move |tx: &mut store::Tx<'_>| {
            let Some(mut place) = Place::load(tx, &project, &name)? else { return Ok(()) };
            let Some(old) = place.status.stopping.take() else { return Ok(()) };
            stop::forget(tx, &old)?;
            let next = Stopping { run: new.to_string(), again: false, ..old };
            stop::wait_for(tx, &place, &next)?;
            place.status.stopping = Some(next);
            place.save(tx)
        };
        self.options.store.write(write).await.map(|()| Next::Done)
    }

    async fn ended(&self, place: Place, verdict: &str, reason: Option<Text>) -> Result<Next> {
        let (project, name, verdict) = (place.project, place.name, verdict.to_owned());
        let write = move |tx: &mut store::Tx<'_>| match Place::load(tx, &project, &name)? {
            Some(place) if place.status.state == EnvironmentState::Stopping => {
                stop::settle(tx, place, &verdict, reason)
            }
            _ => Ok(()),
        };
        self.options.store.write(write).await.map(|()| Next::Done)
    }
}

fn gone() -> Text {
    text!("its stop job is gone", "정지 작업이 없어짐")
}

/// Decides again with what is true in this transaction.
fn time_is_up(tx: &mut store::Tx<'_>, mut place: Place, used: Option<Time>) -> Result<()> {
    match plan::due(&place.spec, &place.status, used, tx.now()) {
        Due::Now => {
            let why = Text::fixed("its time was up", "수명이 다함");
            let by = Principal::part(PART_NAME);
            stop::stop(tx, place, by, Manner::Orderly, why).map(drop)
        }
        Due::Later(at) => {
            place.status.stops_at = Some(at);
            place.status.used = used;
            place.save(tx)
        }
        Due::Never | Due::At(_) => Ok(()),
    }
}

//! Where instances are started, watched and stopped: the crews of all services, and the host below them.

use crate::crew::{Crew, Member, Phase};
use crate::files::Files;
use crate::identity::{self, Badge};
use crate::kind::Release;
use crate::launch::{self, Launch, Place};
use crate::probe::Probe;
use crate::state::{ServiceKey, State};
use crate::tools::Tools;
use crate::volume::{Source, Volumes};
use crate::{Limits, error, sealed, state};
use host::{Host, Workload};
use kernel::port::{Edge, Identity, Secrets};
use kernel::{Error, Name, Result, Time};
use reconcile::Poker;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;
use store::Store;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// How long an instance that does not listen has to stay up to count as ready.
const SETTLED: Duration = Duration::from_secs(1);
/// How often another port is drawn when one is another instance's.
const PORTS: u32 = 32;

/// Clones share it.
#[derive(Clone)]
pub(crate) struct Yard(Arc<Inner>);

struct Inner {
    store: Store,
    host: Host,
    edge: Arc<dyn Edge>,
    secrets: Option<Arc<dyn Secrets>>,
    identity: Option<Arc<dyn Identity>>,
    files: Files,
    volumes: Volumes,
    tools: Tools,
    limits: Limits,
    crews: Mutex<BTreeMap<ServiceKey, Arc<Crew>>>,
    poker: OnceLock<Poker<ServiceKey>>,
    /// Rung when files may have become superfluous.
    broom: Notify,
    /// Ends the watching, never the instances.
    stop: CancellationToken,
}

/// What a yard acts with: where it writes, where instances run, how they are reached, what they may be told, who
/// says who they are.
pub(crate) struct Means {
    pub store: Store,
    pub host: Host,
    pub edge: Arc<dyn Edge>,
    pub secrets: Option<Arc<dyn Secrets>>,
    pub identity: Option<Arc<dyn Identity>>,
}

impl Yard {
    pub fn new(
        means: Means,
        (files, volumes): (Files, Volumes),
        tools: Tools,
        limits: Limits,
    ) -> Yard {
        let Means { store, host, edge, secrets, identity } = means;
        Yard(Arc::new(Inner {
            store,
            host,
            edge,
            secrets,
            identity,
            files,
            volumes,
            tools,
            limits,
            crews: Mutex::default(),
            poker: OnceLock::new(),
            broom: Notify::new(),
            stop: CancellationToken::new(),
        }))
    }

    pub fn store(&self) -> &Store {
        &self.0.store
    }

    pub fn host(&self) -> &Host {
        &self.0.host
    }

    pub fn files(&self) -> &Files {
        &self.0.files
    }

    pub fn volumes(&self) -> &Volumes {
        &self.0.volumes
    }

    pub fn edge(&self) -> &Arc<dyn Edge> {
        &self.0.edge
    }

    pub fn stop(&self) -> &CancellationToken {
        &self.0.stop
    }

    /// Who is told that a service should be looked at again.
    pub fn wake_by(&self, poker: Poker<ServiceKey>) {
        // Set once, by `start`.
        let _ = self.0.poker.set(poker);
    }

    pub fn poke(&self, key: &ServiceKey) {
        if let Some(poker) = self.0.poker.get() {
            poker.poke(key);
        }
    }

    pub fn broom(&self) -> &Notify {
        &self.0.broom
    }

    pub fn crew(&self, key: &ServiceKey) -> Arc<Crew> {
        let mut crews = self.0.crews.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || Arc::new(Crew::new(key.clone(), self.0.edge.clone()));
        crews.entry(key.clone()).or_insert_with(new).clone()
    }

    pub fn crews(&self) -> Vec<Arc<Crew>> {
        let crews = self.0.crews.lock().unwrap_or_else(PoisonError::into_inner);
        crews.values().cloned().collect()
    }

    /// Finds the instances that an earlier server left running, and tells the edge of every service at
    /// once. Those of the release that serves were ready, and are taken for that until a probe says
    /// otherwise.
    pub async fn reattach(&self) -> Result<()> {
        for id in self.0.files.logs("").await? {
            if let Some(place) = Place::parse(&id) {
                self.crew(&place.key).used(&place);
            }
        }
        let ours = self.0.host.all().into_iter().filter(|w| self.0.files.owns(&w.spec().log));
        let found: Vec<(Place, Workload)> =
            ours.filter_map(|w| Some((Place::parse(w.id())?, w))).collect();
        let places: Vec<Place> = found.iter().map(|(place, _)| place.clone()).collect();
        let known = self.0.store.read(move |v| known(v, &places)).await?;
        for (key, hosts) in known.services {
            self.crew(&key).set_hosts(&hosts);
        }
        for ((place, workload), what) in found.into_iter().zip(known.places) {
            self.take_back(place, workload, what).await;
        }
        Ok(())
    }

    async fn take_back(
        &self,
        place: Place,
        workload: Workload,
        what: Option<(Name, Release, bool)>,
    ) {
        let crew = self.crew(&place.key);
        crew.used(&place);
        let running = workload.exit().is_none();
        match what {
            Some((name, release, serves)) if running => {
                let phase = if serves { Phase::Ready } else { Phase::Starting };
                let restarts = place.n.saturating_sub(1);
                let seen = (phase, self.0.store.now());
                let badge = Badge::of(&place, &name, &release);
                if let Some(badge) = &badge
                    && let Err(error) = self.issue(badge).await
                {
                    // It runs, and is tried again while it does.
                    tracing::warn!(instance = workload.id(), %error, "its ID tokens are old");
                }
                let member = Member::new(place, name, &release, workload, restarts, seen);
                self.enlist(&crew, Arc::new(member), badge);
            }
            // Nobody knows it any more, or it ended while naru was down.
            _ => {
                workload.kill().await;
                self.clean(workload.id()).await;
            }
        }
    }

    async fn issue(&self, badge: &Badge) -> Result<()> {
        badge.issue(self.0.identity.as_ref(), &self.0.files).await
    }

    fn enlist(&self, crew: &Arc<Crew>, member: Arc<Member>, badge: Option<Badge>) {
        crew.add(member.clone());
        let (yard, crew, stop) = (self.clone(), crew.clone(), self.0.stop.clone());
        tokio::spawn(async move {
            let known = async {
                match badge {
                    Some(badge) => {
                        let identity = yard.0.identity.clone();
                        badge.keep(identity, &yard.0.files, &yard.0.store).await;
                    }
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = stop.cancelled() => {}
                () = yard.watch(&crew, &member) => identity::end(&yard.0.files, member.id()).await,
                () = known => {}
            }
        });
    }

    /// Starts an instance. Whoever calls has seen that the slot is free. Goes on when the future is
    /// dropped, so that nothing runs that is in no crew.
    pub async fn launch(
        &self,
        crew: &Arc<Crew>,
        name: &Name,
        release: &Release,
        slot: u32,
    ) -> Result<Arc<Member>> {
        let (yard, crew) = (self.clone(), crew.clone());
        let (name, release) = (name.clone(), release.clone());
        let launching = async move { yard.launch_now(&crew, &name, &release, slot).await };
        tokio::spawn(launching).await.map_err(Error::internal)?
    }

    async fn launch_now(
        &self,
        crew: &Arc<Crew>,
        name: &Name,
        release: &Release,
        slot: u32,
    ) -> Result<Arc<Member>> {
        let _kept = self.0.files.in_use().await;
        self.0.files.ensure(&release.tree).await?;
        // First of all: one that is missing leaves no trace of an instance.
        let place = crew.next_place(release.number, slot);
        let private = sealed::open(self.0.secrets.as_ref(), &place, release).await?;
        let fails = crew.trouble_of(release.number, slot).fails;
        let predecessor = crew.in_slot(release.number, slot);
        let id = place.id();
        let scratch = self.0.files.make_scratch(&id).await?;
        let sandboxed = self.0.host.abilities().namespaces != host::Namespaces::None;
        if !sandboxed {
            self.0.files.blobs().materialise(&release.tree, &scratch.join("app")).await?;
        }
        let badge = Badge::of(&place, name, release);
        if let Some(badge) = &badge {
            self.issue(badge).await?;
        }
        let port = if release.config.listens { Some(self.free_port()?) } else { None };
        let tools = &self.0.tools;
        let path = tools.path(&self.0.files.release(&release.tree));
        let log = self.0.limits.instance_log;
        let data = self.data(&crew.key, release).await?;
        let data = data.as_deref();
        let neighbours = self.neighbours(&crew.key, release);
        if !neighbours.is_empty() {
            self.0.files.put_hosts(&id, launch::hosts_lines(&neighbours)).await?;
        }
        let neighbours = neighbours.as_slice();
        let launch = Launch {
            place: &place,
            name,
            release,
            port,
            tools,
            path,
            sandboxed,
            neighbours,
            data,
            log,
            private,
        };
        let workload = self.0.host.start(launch.spec(&self.0.files)).await?;
        if let Some(gone) = predecessor.filter(|m| matches!(m.phase(), Phase::Ended(_))) {
            self.bury(crew, &gone).await;
        }
        let seen = (Phase::Starting, self.0.store.now());
        let member = Arc::new(Member::new(place, name.clone(), release, workload, fails, seen));
        self.enlist(crew, member.clone(), badge);
        Ok(member)
    }

    /// The service's data directory, filled when it is new: a copy's with what production lends, else with
    /// the release's own seed.
    async fn data(&self, key: &ServiceKey, release: &Release) -> Result<Option<PathBuf>> {
        let Some(wanted) = &release.config.data else { return Ok(None) };
        let environment = release.environment.as_ref();
        let dir = self.0.volumes.of(key, environment);
        let seed = wanted
            .seed
            .clone()
            .map(|path| Source::Seed { release: self.0.files.release(&release.tree), path });
        let from = match environment {
            Some(_) => self.lent(key, release).await?.or(seed),
            None => seed,
        };
        self.0.volumes.ensure(dir.clone(), from).await?;
        Ok(Some(dir))
    }

    /// The data of production's own service, if the release that serves there lends it.
    async fn lent(&self, key: &ServiceKey, release: &Release) -> Result<Option<Source>> {
        let own = release.siblings.iter().find(|(_, copy)| **copy == key.service);
        let Some((name, _)) = own else { return Ok(None) };
        let production = ServiceKey::new(&key.project, name);
        let k = production.clone();
        let serving = move |v: &store::View<'_>| match State::load(v, &k)? {
            State { current: Some(current), environment: None, .. } => {
                state::release(v, &k, &current)
            }
            _ => Ok(None),
        };
        let serving = self.0.store.read(serving).await?;
        // Another repository's service of that name lends nothing.
        let lends = serving.is_some_and(|r| {
            r.repository == release.repository && r.config.data.is_some_and(|d| d.lend)
        });
        Ok(lends.then(|| Source::Volume(self.0.volumes.of(&production, None))))
    }

    /// The services of the release's commit by their names there, and where the edge has them.
    fn neighbours(&self, key: &ServiceKey, release: &Release) -> Vec<(Name, String)> {
        let url = |copy: &Name| self.0.edge.url(&key.project, copy);
        release.siblings.iter().map(|(name, copy)| (name.clone(), url(copy))).collect()
    }

    fn free_port(&self) -> Result<u16> {
        let taken: Vec<_> = self.crews().iter().map(|c| c.ports()).collect();
        for _ in 0..PORTS {
            let port = host::free_port()?;
            if !taken.iter().any(|ports| ports.contains(&port)) {
                return Ok(port);
            }
        }
        Err(Error::internal("no free port"))
    }

    /// Takes an instance out: the edge first, then the requests under way, then the signal. Goes on when
    /// the handle is dropped.
    pub fn retire(&self, crew: &Arc<Crew>, member: &Arc<Member>) -> JoinHandle<()> {
        let ready = member.ready();
        let first = crew.leave(member);
        let (yard, crew, member) = (self.clone(), crew.clone(), member.clone());
        tokio::spawn(async move {
            if !first {
                // Somebody else does it; that it is done is what counts.
                member.workload.wait().await;
                return;
            }
            let limit = member.config.stop.drain.0;
            if ready && member.address.is_some() {
                let left = yard.0.edge.drain(member.id(), limit).await;
                if left > 0 {
                    tracing::warn!(instance = member.id(), left, "stopped with requests under way");
                }
            }
            let exit = member.workload.stop().await;
            crew.enter(&member, Phase::Ended(exit), yard.0.store.now());
            yard.bury(&crew, &member).await;
        })
    }

    /// Nothing is left of an instance that has ended, but its log.
    pub async fn bury(&self, crew: &Crew, member: &Member) {
        self.clean(member.id()).await;
        crew.remove(member.id());
        self.poke(&crew.key);
    }

    async fn clean(&self, id: &str) {
        if let Err(error) = self.0.host.forget(id).await {
            tracing::warn!(instance = id, %error, "the state of an instance stays behind");
        }
        self.0.files.drop_scratch(id).await;
    }

    /// From the start of an instance to its end.
    async fn watch(&self, crew: &Crew, member: &Member) {
        tokio::select! {
            exit = member.workload.wait() => {
                let now = self.0.store.now();
                if !member.leaving() {
                    if !matches!(member.phase(), Phase::Late(_) | Phase::Unready(_)) {
                        crew.trouble(member, now);
                    }
                    crew.enter(member, Phase::Ended(exit), now);
                }
            }
            () = self.look_after(crew, member) => {}
        }
        self.poke(&crew.key);
    }

    /// Returns when there is nothing more to look after but the end.
    async fn look_after(&self, crew: &Crew, member: &Member) {
        let Some(address) = member.address else {
            if member.phase() == Phase::Starting {
                tokio::time::sleep(SETTLED).await;
                self.became(crew, member, Phase::Ready);
            }
            return std::future::pending().await;
        };
        let host = match member.config.hosts.first() {
            Some(host) => host.clone(),
            None => format!("{}.{}.localhost", crew.key.service, crew.key.project),
        };
        let probe = Probe::new(address, host, &member.config);
        if member.phase() == Phase::Starting {
            match probe.first_answer(member.config.ready_within.0).await {
                Ok(()) => self.became(crew, member, Phase::Ready),
                Err(why) => {
                    crew.trouble(member, self.0.store.now());
                    return self.became(crew, member, Phase::Late(why));
                }
            }
        }
        let why = probe.loses_health().await;
        if !member.leaving() {
            crew.trouble(member, self.0.store.now());
            self.became(crew, member, Phase::Unready(why));
        }
    }

    fn became(&self, crew: &Crew, member: &Member, phase: Phase) {
        crew.enter(member, phase, self.0.store.now());
        self.poke(&crew.key);
    }
}

/// What the store knows at boot.
struct Known {
    /// Every service with its extra host names.
    services: Vec<(ServiceKey, Vec<String>)>,
    /// For each place: its release, and whether that is the one that serves.
    places: Vec<Option<(Name, Release, bool)>>,
}

fn known(view: &store::View<'_>, places: &[Place]) -> Result<Known> {
    let mut services = Vec::new();
    for key in crate::sync::all_services(view, None)? {
        let current = State::load(view, &key)?.current;
        let release = current.map(|name| state::release(view, &key, &name)).transpose()?.flatten();
        services.push((key, release.map(|r| r.config.hosts).unwrap_or_default()));
    }
    let find = |place: &Place| {
        let name = crate::kind::release_name(&place.key.service, place.number)?;
        let Some(release) = state::release(view, &place.key, &name)? else { return Ok(None) };
        let serves = State::load(view, &place.key)?.current.as_ref() == Some(&name);
        Ok(Some((name, release, serves)))
    };
    let places = places.iter().map(find).collect::<Result<_>>()?;
    Ok(Known { services, places })
}

/// The end of the wait for an instance to become ready.
pub(crate) enum Came {
    Ready(Time),
    Not(Phase),
}

/// Waits until an instance is ready or never will be.
pub(crate) async fn outcome(member: &Member) -> Result<Came> {
    let mut watch = member.watch();
    loop {
        let (phase, since) = watch.borrow_and_update().clone();
        match phase {
            Phase::Ready => return Ok(Came::Ready(since)),
            Phase::Starting => {}
            other => return Ok(Came::Not(other)),
        }
        watch.changed().await.map_err(|_| error::not_started())?;
    }
}

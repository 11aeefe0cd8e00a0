//! Web sites made by pipelines: trees of blobs, served as they are.
//!
//! What a site consists of is in the store, and each of its trees is referred to there. What is served is a
//! table in memory that is replaced at once; a request goes on with the one that it began with, and that one
//! holds its blobs.

mod media;
mod range;
mod resolve;
mod serve;

use crate::kind::{Edition, Site, SiteStatus};
use crate::sync::Thing;
use crate::{Options, PART_NAME};
use blob::Held;
use bytes::Bytes;
use kernel::journey::{SitePublished, site_name};
use kernel::port::{RouteSet, Upstream};
use kernel::{Error, Event, Key, Kind, Name, NewEvent, Principal, Result, Text, Time, text};
use reconcile::Next;
use resolve::Files;
use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};
use store::{Put, Tx, View};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Editions of one site at a time.
const EDITIONS: usize = 50;
/// Bytes of a prefix.
const PREFIX: usize = 200;
/// The kind of the resource that services are; another part's.
const SERVICE: &str = "Service";
/// Resources read at a time.
const PAGE: usize = 500;

fn owner(project: &Name, repository: &Name) -> String {
    format!("site:{project}/{repository}")
}

/// A job has left a site: from the next request on it is what is served.
pub(crate) fn publish(
    event: &Event,
    tx: &mut Tx<'_>,
    project: &Name,
    fact: SitePublished,
) -> Result<()> {
    let key = Key::of::<Site>(project, &fact.repository);
    let found = tx.resource(&key)?.map(|r| r.spec::<Site>()).transpose()?;
    let before = found.map(|s| s.editions).unwrap_or_default();
    let others = before.iter().filter(|e| e.prefix != fact.prefix).count();
    if let Some(why) = refusal(&fact.prefix, others) {
        return refuse(event, tx, &key, why);
    }
    let mut editions: Vec<Edition> =
        before.into_iter().filter(|e| e.prefix != fact.prefix).collect();
    editions.push(Edition {
        prefix: fact.prefix.clone(),
        tree: fact.tree,
        commit: fact.commit,
        run: fact.run.to_string(),
        step: fact.step,
        published: event.time,
        expires: fact.expires,
    });
    editions.sort_by(|a, b| a.prefix.cmp(&b.prefix));
    save(tx, project, &fact.repository, editions)
}

/// Why a site cannot be found there.
fn refusal(prefix: &str, others: usize) -> Option<Text> {
    let sound = |part: &str| {
        let inner = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
        !part.is_empty() && part != "." && part != ".." && part.bytes().all(inner)
    };
    if prefix.len() > PREFIX || !(prefix.is_empty() || prefix.split('/').all(sound)) {
        return Some(Text::fixed(
            "its path prefix holds more than letters, digits, `-`, `_`, `.` and `/`",
            "경로 접두사에는 영문자, 숫자, `-`, `_`, `.`, `/`만 쓸 수 있습니다",
        ));
    }
    (others >= EDITIONS).then(|| {
        text!(
            "the site has {EDITIONS} editions already: let some expire, or delete them",
            "사이트에 이미 판이 {EDITIONS}개 있습니다. 만료되게 하거나 지우세요"
        )
    })
}

fn refuse(event: &Event, tx: &mut Tx<'_>, key: &Key, why: Text) -> Result<()> {
    tracing::warn!(site = %key, why = %why.en, "a site was not published");
    let say = Text::new(
        format!("the site was not published: {}", why.en),
        format!("사이트를 게시하지 않음: {}", why.ko),
    );
    let event = NewEvent::new("site.refused", Principal::part(PART_NAME), say)
        .subject(key.clone())
        .change(event.fact.change.clone());
    tx.append(event).map(drop)
}

/// Writes what a site consists of, and refers to exactly that.
fn save(tx: &mut Tx<'_>, project: &Name, repository: &Name, editions: Vec<Edition>) -> Result<()> {
    let (key, owner) = (Key::of::<Site>(project, repository), owner(project, repository));
    blob::release_all(tx, &owner)?;
    if editions.is_empty() {
        if tx.resource(&key)?.is_some() {
            tx.delete(&key, None, Principal::part(PART_NAME))?;
        }
        return Ok(());
    }
    for edition in &editions {
        blob::refer(tx, &owner, &edition.tree)?;
    }
    let spec = Site { repository: repository.clone(), editions };
    let spec = serde_json::to_value(spec).map_err(Error::internal)?;
    let labels = [("naru.dev/repository".to_owned(), repository.to_string())].into();
    let actor = Principal::part(PART_NAME);
    tx.put(Put { key, labels, spec, expected: None, actor }).map(drop)
}

/// Takes one edition off, or all.
///
/// # Errors
/// `site.unknown`.
pub(crate) fn unpublish(
    tx: &mut Tx<'_>,
    project: &Name,
    repository: &Name,
    prefix: Option<&str>,
) -> Result<()> {
    let unknown = || crate::error::no_site(repository);
    let found = tx.resource(&Key::of::<Site>(project, repository))?.ok_or_else(unknown)?;
    let mut editions = found.spec::<Site>()?.editions;
    let before = editions.len();
    editions.retain(|e| prefix.is_some_and(|p| p != e.prefix));
    if editions.len() == before {
        return Err(unknown());
    }
    save(tx, project, repository, editions)
}

/// Every site there is.
pub(crate) fn all(view: &View<'_>) -> Result<Vec<Thing>> {
    let mut found = Vec::new();
    let mut after: Option<Key> = None;
    loop {
        let page = view.resources(Site::KIND, None, after.as_ref(), PAGE)?;
        let last = page.len() < PAGE;
        after = page.last().map(|r| r.key.clone());
        found
            .extend(page.into_iter().filter_map(|r| Some(Thing::Site(r.key.project?, r.key.name))));
        if last {
            return Ok(found);
        }
    }
}

/// What is served of one site.
struct Served {
    project: Name,
    repository: Name,
    /// By prefix; the longest that fits a path has it.
    editions: BTreeMap<String, Arc<Shelf>>,
}

/// One tree, and what keeps its blobs.
struct Shelf {
    tree: String,
    files: Files,
    _held: Held,
    /// Files as gzip has them, by hash.
    packed: Mutex<HashMap<String, Bytes>>,
}

/// Bytes of packed files that an edition keeps in memory.
const PACKED: usize = 16 << 20;

impl Shelf {
    fn packed(&self, hash: &str) -> Option<Bytes> {
        self.packed.lock().unwrap_or_else(PoisonError::into_inner).get(hash).cloned()
    }

    fn keep_packed(&self, hash: &str, bytes: &Bytes) {
        let mut packed = self.packed.lock().unwrap_or_else(PoisonError::into_inner);
        let kept: usize = packed.values().map(Bytes::len).sum();
        if kept + bytes.len() <= PACKED {
            packed.insert(hash.to_owned(), bytes.clone());
        }
    }
}

/// Sites by host name, in lower case and without port.
type Table = HashMap<String, Arc<Served>>;

/// What is served now. Clones share it.
#[derive(Clone)]
pub(crate) struct Sites(Arc<Inner>);

struct Inner {
    options: Arc<Options>,
    table: RwLock<Arc<Table>>,
    /// Where the sites' own listener is.
    address: OnceLock<SocketAddr>,
}

impl Sites {
    pub fn new(options: Arc<Options>) -> Sites {
        Sites(Arc::new(Inner { options, table: RwLock::default(), address: OnceLock::new() }))
    }

    fn table(&self) -> Arc<Table> {
        self.0.table.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Serves what there is until `stop`. What goes wrong is for the log: the rest of the platform goes on.
    pub async fn open(&self, stop: &CancellationToken) -> Option<JoinHandle<()>> {
        match self.listen(stop.clone()).await {
            Ok(listening) => Some(listening),
            Err(error) => {
                tracing::error!(%error, "sites cannot be served");
                None
            }
        }
    }

    async fn listen(&self, stop: CancellationToken) -> Result<JoinHandle<()>> {
        let listener = TcpListener::bind("127.0.0.1:0").await.map_err(Error::internal)?;
        let address = listener.local_addr().map_err(Error::internal)?;
        // Set once: a part is started once.
        let _ = self.0.address.set(address);
        let listening = tokio::spawn(serve::serve(self.clone(), listener, stop));
        for thing in self.0.options.store.read(all).await? {
            if let Thing::Site(project, repository) = thing
                && let Err(error) = self.sync(&project, &repository).await
            {
                // The loop tries again.
                tracing::warn!(%error, %project, %repository, "a site is not served yet");
            }
        }
        Ok(listening)
    }

    fn change(&self, change: impl FnOnce(&mut Table)) {
        let mut now = self.0.table.write().unwrap_or_else(PoisonError::into_inner);
        let mut next = Table::clone(&now);
        change(&mut next);
        *now = Arc::new(next);
    }

    /// What is served, whether it is still there or not.
    pub fn served(&self) -> Vec<Thing> {
        let table = self.table();
        table.values().map(|s| Thing::Site(s.project.clone(), s.repository.clone())).collect()
    }

    /// Makes what is served match the store: trees are read first, then all is swapped at once.
    pub async fn sync(&self, project: &Name, repository: &Name) -> Result<Next> {
        let Some(name) = site_name(repository) else { return Ok(Next::Done) };
        let Some(address) = self.0.address.get().copied() else { return Ok(Next::Done) };
        let (p, r) = (project.clone(), repository.clone());
        let now = self.0.options.store.now();
        let url = self.0.options.edge.url(project, &name);
        let at = Spot { project: p, repository: r, name: name.clone(), url: url.clone() };
        let (spot, served_at) = (at.clone(), at.clone());
        let write = move |tx: &mut Tx<'_>| wanted(tx, &spot, now);
        let wanted_now = self.0.options.store.read(move |v| peek(v, &at, now)).await?;
        let wanted = match wanted_now {
            Peek::Settled(wanted) => wanted,
            Peek::Changes => self.0.options.store.write(write).await?,
        };
        let host = host(project, &name, &url);
        let Some(site) = wanted else {
            self.take_off(project, &name, &host);
            return Ok(Next::Done);
        };
        let served = self.load(project, repository, &site, &host).await?;
        self.change(|table| drop(table.insert(host, Arc::new(served))));
        self.0.options.edge.publish(RouteSet {
            project: project.clone(),
            service: name.clone(),
            hosts: Vec::new(),
            upstreams: vec![Upstream { instance: format!("site:{project}/{repository}"), address }],
        });
        self.0.options.store.write(move |tx| note_served(tx, &served_at)).await?;
        let next = site.editions.iter().filter_map(|e| e.expires).min();
        Ok(next.map_or(Next::Done, Next::At))
    }

    /// A site that is gone, or whose name a service has: then the route is that one's.
    fn take_off(&self, project: &Name, name: &Name, host: &str) {
        if self.table().contains_key(host) {
            self.change(|table| drop(table.remove(host)));
            self.0.options.edge.withdraw(project, name);
        }
    }

    /// Reads the trees that are not served already.
    async fn load(
        &self,
        project: &Name,
        repository: &Name,
        site: &Site,
        host: &str,
    ) -> Result<Served> {
        let before = self.table().get(host).cloned();
        let mut editions = BTreeMap::new();
        for edition in &site.editions {
            let known = before.as_ref().and_then(|b| b.editions.get(&edition.prefix));
            let shelf = match known.filter(|s| s.tree == edition.tree) {
                Some(shelf) => shelf.clone(),
                None => {
                    let held = self.0.options.blobs.hold(&edition.tree).await?;
                    let tree = self.0.options.blobs.tree(&edition.tree).await?;
                    let files = Files::of(tree);
                    let (tree, packed) = (edition.tree.clone(), Mutex::default());
                    Arc::new(Shelf { tree, files, _held: held, packed })
                }
            };
            editions.insert(edition.prefix.clone(), shelf);
        }
        Ok(Served { project: project.clone(), repository: repository.clone(), editions })
    }
}

/// The host name in an URL.
fn host(project: &Name, name: &Name, url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let host = rest.split([':', '/']).next().filter(|h| !h.is_empty());
    host.map_or_else(|| format!("{name}.{project}.localhost"), str::to_owned)
}

/// A site and where it is found.
#[derive(Clone)]
struct Spot {
    project: Name,
    repository: Name,
    /// The first label of its host name.
    name: Name,
    url: String,
}

impl Spot {
    fn key(&self) -> Key {
        Key::of::<Site>(&self.project, &self.repository)
    }

    /// What is to be said of it, given who has its name.
    fn status(&self, taken: bool) -> SiteStatus {
        let name = &self.name;
        let reason = taken.then(|| {
            text!(
                "a service is called {name}, and has the site's address",
                "{name} 서비스가 사이트의 주소를 쓰고 있습니다"
            )
        });
        SiteStatus { url: (!taken).then(|| self.url.clone()), reason }
    }
}

/// Whether something has to be written before a site can be served as it stands.
enum Peek {
    Settled(Option<Site>),
    Changes,
}

fn peek(view: &View<'_>, spot: &Spot, now: Time) -> Result<Peek> {
    let Some(found) = view.resource(&spot.key())? else { return Ok(Peek::Settled(None)) };
    let (site, status) = (found.spec::<Site>()?, found.status::<Site>()?);
    let expired = site.editions.iter().any(|e| e.expires.is_some_and(|at| at <= now));
    let there = crate::stop::project_there(view, &spot.project)?;
    let taken = taken(view, &spot.project, &spot.name)?;
    // A site that cannot be served says so at once; one that can, when it is.
    if expired || !there || (taken && status != spot.status(true)) {
        return Ok(Peek::Changes);
    }
    Ok(Peek::Settled((!taken).then_some(site)))
}

/// Drops what has expired, notes what is in the way, and answers what is to be served.
fn wanted(tx: &mut Tx<'_>, spot: &Spot, now: Time) -> Result<Option<Site>> {
    let Some(found) = tx.resource(&spot.key())? else { return Ok(None) };
    let mut editions = found.spec::<Site>()?.editions;
    if !crate::stop::project_there(tx, &spot.project)? {
        editions.clear();
    }
    editions.retain(|e| e.expires.is_none_or(|at| at > now));
    save(tx, &spot.project, &spot.repository, editions)?;
    let Some(left) = tx.resource(&spot.key())? else { return Ok(None) };
    let taken = taken(tx, &spot.project, &spot.name)?;
    if taken {
        tx.put_status(&spot.key(), &spot.status(true), Principal::part(PART_NAME))?;
        return Ok(None);
    }
    left.spec().map(Some)
}

/// It is served: whoever reads this finds it there.
fn note_served(tx: &mut Tx<'_>, spot: &Spot) -> Result<()> {
    if tx.resource(&spot.key())?.is_some() {
        tx.put_status(&spot.key(), &spot.status(false), Principal::part(PART_NAME))?;
    }
    Ok(())
}

/// Whether a service has the name at which the site would be found.
fn taken(view: &View<'_>, project: &Name, name: &Name) -> Result<bool> {
    let key = Key { kind: SERVICE.into(), project: Some(project.clone()), name: name.clone() };
    Ok(view.resource(&key)?.is_some())
}

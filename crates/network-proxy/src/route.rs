//! Who answers for which host: the table, and what is known of each instance.

use crate::balance::{self, Candidate};
use crate::link::Pool;
use crate::stats::{Latency, Stats};
use kernel::Name;
use kernel::port::RouteSet;
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, Weak};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// Refused connections in a row before an instance is left alone for a while.
const EJECT_AFTER: u32 = 3;
const EJECT_FIRST: Duration = Duration::from_millis(250);
/// Doublings of [`EJECT_FIRST`]: at most 16 s.
const EJECT_DOUBLINGS: u32 = 6;

/// One route as pages and `naru get routes` show it.
#[derive(Clone, Debug, Serialize)]
pub struct RouteView {
    pub project: Name,
    pub service: Name,
    /// The service's own host name, without port.
    pub host: String,
    /// Extra host names that were asked for and are not another service's.
    pub hosts: Vec<String>,
    pub upstreams: Vec<UpstreamView>,
    pub in_flight: usize,
    pub requests: u64,
    pub client_errors: u64,
    pub server_errors: u64,
    pub latency: Latency,
}

#[derive(Clone, Debug, Serialize)]
pub struct UpstreamView {
    pub instance: String,
    pub address: SocketAddr,
    /// Requests under way, upgraded connections among them.
    pub in_flight: usize,
    pub requests: u64,
    /// Refused connections of late; the edge prefers others.
    pub ejected: bool,
}

/// An instance. It outlives its place in the table for as long as a request uses it.
pub(crate) struct Instance {
    pub(crate) name: String,
    pub(crate) address: SocketAddr,
    pub(crate) pool: Pool,
    in_flight: AtomicUsize,
    requests: AtomicU64,
    /// Gets no further request. Set before a drain looks at `in_flight`; see [`Instance::lease`].
    gone: AtomicBool,
    quiet: Notify,
    refusals: AtomicU32,
    /// Milliseconds after `born`.
    ejected_until: AtomicU64,
    born: Instant,
}

impl Instance {
    fn new(name: String, address: SocketAddr) -> Instance {
        Instance {
            name,
            address,
            pool: Pool::default(),
            in_flight: AtomicUsize::new(0),
            requests: AtomicU64::new(0),
            gone: AtomicBool::new(false),
            quiet: Notify::new(),
            refusals: AtomicU32::new(0),
            ejected_until: AtomicU64::new(0),
            born: Instant::now(),
        }
    }

    /// A right to send one request. Counting first and looking at `gone` second, while a drain writes `gone`
    /// first and reads the count second, means that one of the two always sees the other.
    fn lease(self: &Arc<Instance>) -> Option<Lease> {
        self.in_flight.fetch_add(1, Ordering::SeqCst);
        let lease = Lease(self.clone());
        if self.gone.load(Ordering::SeqCst) {
            return None;
        }
        self.requests.fetch_add(1, Ordering::Relaxed);
        Some(lease)
    }

    pub(crate) fn is_gone(&self) -> bool {
        self.gone.load(Ordering::SeqCst)
    }

    fn retire(&self) {
        self.gone.store(true, Ordering::SeqCst);
        self.pool.close();
    }

    fn welcome(&self) {
        self.pool.open();
        self.gone.store(false, Ordering::SeqCst);
    }

    fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::SeqCst)
    }

    async fn quiet(&self) {
        loop {
            let mut changed = std::pin::pin!(self.quiet.notified());
            changed.as_mut().enable();
            if self.in_flight() == 0 {
                return;
            }
            changed.await;
        }
    }

    fn age(&self) -> u64 {
        u64::try_from(self.born.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn ejected(&self) -> bool {
        match self.ejected_until.load(Ordering::Relaxed) {
            0 => false,
            until => self.age() < until,
        }
    }

    /// It did not take a connection. Ejection grows while it goes on, and ends by time alone.
    pub(crate) fn refused(&self) {
        let times = self.refusals.fetch_add(1, Ordering::Relaxed) + 1;
        if times >= EJECT_AFTER {
            let pause = EJECT_FIRST * (1 << (times - EJECT_AFTER).min(EJECT_DOUBLINGS));
            let until = self.age() + pause.as_millis() as u64;
            self.ejected_until.store(until, Ordering::Relaxed);
        }
    }

    pub(crate) fn accepted(&self) {
        if self.refusals.load(Ordering::Relaxed) != 0 {
            self.refusals.store(0, Ordering::Relaxed);
            self.ejected_until.store(0, Ordering::Relaxed);
        }
    }

    fn view(&self) -> UpstreamView {
        UpstreamView {
            instance: self.name.clone(),
            address: self.address,
            in_flight: self.in_flight(),
            requests: self.requests.load(Ordering::Relaxed),
            ejected: self.ejected(),
        }
    }
}

/// Held from before a request's first byte to after its last.
pub(crate) struct Lease(Arc<Instance>);

impl std::ops::Deref for Lease {
    type Target = Arc<Instance>;
    fn deref(&self) -> &Arc<Instance> {
        &self.0
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let last = self.0.in_flight.fetch_sub(1, Ordering::SeqCst) == 1;
        if last && self.0.is_gone() {
            self.0.quiet.notify_waiters();
        }
    }
}

/// One service as published.
pub(crate) struct Route {
    pub(crate) project: Name,
    pub(crate) service: Name,
    host: String,
    extra: Vec<String>,
    instances: Vec<Arc<Instance>>,
    pub(crate) stats: Arc<Stats>,
    /// Order of first publication: of two services that ask for one extra host, the earlier has it.
    since: u64,
}

impl Route {
    /// An instance for the next request, other than those in `tried`.
    pub(crate) fn pick(&self, tried: &[Arc<Instance>], random: u64) -> Option<Lease> {
        if let [only] = self.instances.as_slice() {
            let again = tried.iter().any(|t| Arc::ptr_eq(t, only));
            return if again { None } else { only.lease() };
        }
        let candidate = |i: usize| {
            self.instances.get(i).map(|instance| Candidate {
                load: instance.in_flight(),
                ejected: instance.ejected(),
                barred: instance.is_gone() || tried.iter().any(|t| Arc::ptr_eq(t, instance)),
            })
        };
        let chosen = balance::choose(self.instances.len(), candidate, random)?;
        self.instances.get(chosen)?.lease()
    }

    fn view(&self, table: &Table) -> RouteView {
        let upstreams: Vec<UpstreamView> = self.instances.iter().map(|i| i.view()).collect();
        let ours = |host: &&String| {
            table.find(host).is_some_and(|r| r.project == self.project && r.service == self.service)
        };
        RouteView {
            project: self.project.clone(),
            service: self.service.clone(),
            host: self.host.clone(),
            hosts: self.extra.iter().filter(ours).cloned().collect(),
            in_flight: upstreams.iter().map(|u| u.in_flight).sum(),
            upstreams,
            requests: self.stats.requests(),
            client_errors: self.stats.client_errors(),
            server_errors: self.stats.server_errors(),
            latency: self.stats.latency(),
        }
    }
}

/// All hosts at one moment; never changed once made.
#[derive(Default)]
pub(crate) struct Table(HashMap<String, Arc<Route>>);

impl Table {
    /// `host` is in lower case, without port and final dot.
    pub(crate) fn find(&self, host: &str) -> Option<&Arc<Route>> {
        self.0.get(host)
    }

    fn build(all: &BTreeMap<(Name, Name), Arc<Route>>) -> Table {
        let mut hosts = HashMap::new();
        let mut by_age: Vec<&Arc<Route>> = all.values().collect();
        by_age.sort_by_key(|r| r.since);
        for route in &by_age {
            hosts.insert(route.host.clone(), Arc::clone(route));
        }
        for route in by_age {
            for host in &route.extra {
                hosts.entry(host.clone()).or_insert_with(|| Arc::clone(route));
            }
        }
        Table(hosts)
    }
}

/// The table that is in force, and how it changes.
#[derive(Default)]
pub(crate) struct Routes {
    now: RwLock<Arc<Table>>,
    book: Mutex<Book>,
}

#[derive(Default)]
struct Book {
    all: BTreeMap<(Name, Name), Arc<Route>>,
    /// Every instance that someone may still use, in the table or not.
    known: Vec<Weak<Instance>>,
    published: u64,
}

impl Book {
    fn instance(&mut self, name: &str, address: SocketAddr) -> Arc<Instance> {
        let known = self.known.iter().filter_map(Weak::upgrade);
        let same = known.into_iter().find(|i| i.name == name && i.address == address);
        same.unwrap_or_else(|| {
            let new = Arc::new(Instance::new(name.to_owned(), address));
            self.known.push(Arc::downgrade(&new));
            new
        })
    }
}

impl Routes {
    pub(crate) fn table(&self) -> Arc<Table> {
        self.now.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The same service in the table that is in force now.
    pub(crate) fn again(&self, route: &Route) -> Option<Arc<Route>> {
        self.table().find(&route.host).cloned()
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn swap(&self, book: &Book) {
        let table = Arc::new(Table::build(&book.all));
        *self.now.write().unwrap_or_else(PoisonError::into_inner) = table;
    }

    pub(crate) fn publish(&self, set: RouteSet, suffix: &str) {
        let book = &mut *self.book();
        book.known.retain(|i| i.strong_count() > 0);
        let key = (set.project.clone(), set.service.clone());
        let before = book.all.get(&key).cloned();
        let instances: Vec<Arc<Instance>> =
            set.upstreams.iter().map(|u| book.instance(&u.instance, u.address)).collect();
        instances.iter().for_each(|i| i.welcome());
        book.published += 1;
        let route = Route {
            host: format!("{}.{}.{suffix}", set.service, set.project),
            project: set.project,
            service: set.service,
            extra: set.hosts.iter().filter_map(|h| plain_host(h)).collect(),
            instances,
            stats: before.as_ref().map(|r| r.stats.clone()).unwrap_or_default(),
            since: before.as_ref().map_or(book.published, |r| r.since),
        };
        let route = Arc::new(route);
        book.all.insert(key, route.clone());
        self.swap(book);
        let stays = |i: &&Arc<Instance>| route.instances.iter().any(|j| Arc::ptr_eq(i, j));
        let left = before.iter().flat_map(|r| r.instances.iter()).filter(|i| !stays(i));
        left.for_each(|i| i.retire());
    }

    pub(crate) fn withdraw(&self, project: &Name, service: &Name) {
        let book = &mut *self.book();
        if let Some(route) = book.all.remove(&(project.clone(), service.clone())) {
            self.swap(book);
            route.instances.iter().for_each(|i| i.retire());
        }
    }

    pub(crate) async fn drain(&self, instance: &str, limit: Duration) -> usize {
        let named: Vec<Arc<Instance>> = {
            let book = self.book();
            book.known.iter().filter_map(Weak::upgrade).filter(|i| i.name == instance).collect()
        };
        named.iter().for_each(|i| i.retire());
        let all_quiet = async {
            for instance in &named {
                instance.quiet().await;
            }
        };
        match tokio::time::timeout(limit, all_quiet).await {
            Ok(()) => 0,
            Err(_) => named.iter().map(|i| i.in_flight()).sum(),
        }
    }

    pub(crate) fn views(&self) -> Vec<RouteView> {
        let table = self.table();
        self.book().all.values().map(|r| r.view(&table)).collect()
    }
}

/// An extra host as the table keys it: lower case, no port, no final dot; `None` when it is not a host.
fn plain_host(host: &str) -> Option<String> {
    let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    let inner = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'.';
    (!host.is_empty() && host.len() <= 253 && host.bytes().all(inner)).then_some(host)
}

#[cfg(test)]
#[path = "route_tests.rs"]
mod tests;

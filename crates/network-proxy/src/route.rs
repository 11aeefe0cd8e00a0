//! Who answers for which host.

use crate::balance::{self, Candidate};
use crate::instance::{Instance, Lease, UpstreamView};
use crate::stats::{Latency, Stats};
use kernel::port::RouteSet;
use kernel::{Name, Time};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, Weak};
use std::time::Duration;

/// One route as pages and `naru route list` show it.
#[derive(Clone, Debug, Serialize, Deserialize)]
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

    pub(crate) fn last_use(&self, project: &Name, service: &Name) -> Option<Time> {
        self.book().all.get(&(project.clone(), service.clone()))?.stats.last_use()
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

//! How many connections each address has.

use authority::{Host, Subtree};
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::OwnedSemaphorePermit;

/// Counts connections by where they come from. It holds no more entries than there are connections.
pub(crate) struct Sources {
    most: usize,
    uncounted: Vec<Subtree>,
    open: Mutex<HashMap<IpAddr, usize>>,
}

/// One connection's place, given back when it is dropped.
pub(crate) struct Place {
    counted: Option<(Arc<Sources>, IpAddr)>,
    _permit: OwnedSemaphorePermit,
}

impl Sources {
    pub fn new(most: usize, uncounted: Vec<Subtree>) -> Arc<Sources> {
        Arc::new(Sources { most, uncounted, open: Mutex::default() })
    }

    /// `None` when the address has all that it may have.
    pub fn take(self: &Arc<Sources>, peer: IpAddr, permit: OwnedSemaphorePermit) -> Option<Place> {
        let host = Host::Address(peer.to_canonical());
        if self.uncounted.iter().any(|network| network.holds(&host)) {
            return Some(Place { counted: None, _permit: permit });
        }
        let source = crate::front::network(peer);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(source).or_default();
        if *count >= self.most {
            return None;
        }
        *count += 1;
        Some(Place { counted: Some((self.clone(), source)), _permit: permit })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some((sources, source)) = &self.counted else { return };
        let mut open = sources.open.lock().unwrap_or_else(PoisonError::into_inner);
        let left = open.get(source).map_or(0, |count| count.saturating_sub(1));
        match left {
            0 => drop(open.remove(source)),
            left => drop(open.insert(*source, left)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::Semaphore;

    #[test]
    fn each_address_has_its_own_and_gives_it_back() {
        let sources = Sources::new(2, vec!["127.0.0.0/8".parse().unwrap()]);
        let places = Arc::new(Semaphore::new(100));
        let take = |address: &str| {
            let permit = places.clone().try_acquire_owned().unwrap();
            sources.take(address.parse().unwrap(), permit)
        };
        let one = take("192.0.2.1").unwrap();
        let two = take("::ffff:192.0.2.1").unwrap();
        assert!(take("192.0.2.1").is_none());
        let _other = take("192.0.2.2").unwrap();
        let (_a, _b) = (take("2001:db8::1").unwrap(), take("2001:db8::2").unwrap());
        assert!(take("2001:db8::3").is_none(), "one /64 is one household");
        let local: Vec<_> = (0..50).map(|_| take("127.0.0.1").unwrap()).collect();
        assert_eq!(local.len(), 50);
        drop(one);
        let again = take("192.0.2.1").unwrap();
        assert!(take("192.0.2.1").is_none());
        drop((two, again));
        assert!(!sources.open.lock().unwrap().contains_key(&"192.0.2.1".parse().unwrap()));
    }
}

//! How often anybody may ask: a token bucket for each address and one for each principal.
//!
//! The rates are far above what the product's own pages, a person or a busy pipeline ask; they keep one client
//! that has gone wild from taking the server from the others. They do not guard passwords: attempts at those
//! are counted where they are made.

use kernel::{Error, ErrorKind, Result, Text, Time, text};
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

/// Buckets kept of each kind; beyond that, full ones go, and then those that were used longest ago.
const BUCKETS: usize = 8192;

/// A bucket's size and how fast it fills.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limit {
    /// Requests at once.
    pub burst: u32,
    /// Requests a second in the long run.
    pub rate: u32,
}

impl Limit {
    pub const NONE: Limit = Limit { burst: u32::MAX, rate: u32::MAX };
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    left: f64,
    at: Time,
}

impl Bucket {
    /// What is in it by now. A clock that was set back fills nothing and takes nothing.
    fn filled(self, limit: Limit, now: Time) -> Bucket {
        let gone = now.since(self.at).as_secs_f64();
        Bucket {
            left: (self.left + gone * f64::from(limit.rate)).min(f64::from(limit.burst)),
            at: now,
        }
    }

    /// One request more, or how many seconds until there may be one.
    fn take(self, limit: Limit, now: Time) -> (Bucket, std::result::Result<(), u64>) {
        let full = self.filled(limit, now);
        if full.left >= 1.0 {
            return (Bucket { left: full.left - 1.0, ..full }, Ok(()));
        }
        let wait = (1.0 - full.left) / f64::from(limit.rate.max(1));
        (full, Err(wait.ceil().max(1.0) as u64))
    }
}

/// One table of buckets.
#[derive(Debug)]
struct Table<K>(Mutex<HashMap<K, Bucket>>);

impl<K: std::hash::Hash + Eq> Table<K> {
    fn new() -> Table<K> {
        Table(Mutex::default())
    }

    fn take(&self, who: K, limit: Limit, now: Time) -> std::result::Result<(), u64> {
        if limit == Limit::NONE {
            return Ok(());
        }
        let mut buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= BUCKETS && !buckets.contains_key(&who) {
            make_room(&mut buckets, limit, now);
        }
        let new = Bucket { left: f64::from(limit.burst), at: now };
        let bucket = buckets.entry(who).or_insert(new);
        let (after, answer) = bucket.take(limit, now);
        *bucket = after;
        answer
    }
}

/// A quarter at least, so that a flood of strangers does not make each of them cost a walk.
fn make_room<K: std::hash::Hash + Eq>(buckets: &mut HashMap<K, Bucket>, limit: Limit, now: Time) {
    buckets.retain(|_, b| b.filled(limit, now).left < f64::from(limit.burst));
    if buckets.len() > BUCKETS * 3 / 4 {
        let mut times: Vec<Time> = buckets.values().map(|b| b.at).collect();
        let (_, middle, _) = times.select_nth_unstable(buckets.len() / 4);
        let middle = *middle;
        buckets.retain(|_, b| b.at > middle);
    }
}

/// The limits of a listener, with what is left of each.
#[derive(Debug)]
pub struct Rates {
    pub address: Limit,
    pub principal: Limit,
    addresses: Table<IpAddr>,
    principals: Table<String>,
}

impl Default for Rates {
    fn default() -> Rates {
        Rates::new(Limit { burst: 5000, rate: 500 }, Limit { burst: 5000, rate: 500 })
    }
}

impl Rates {
    pub fn new(address: Limit, principal: Limit) -> Rates {
        Rates { address, principal, addresses: Table::new(), principals: Table::new() }
    }

    /// One request from `peer`. This machine itself is not counted: a proxy on it brings everybody.
    ///
    /// # Errors
    /// `rate.exceeded`, with the seconds to wait.
    pub(crate) fn from(&self, peer: IpAddr, now: Time) -> Result<()> {
        let peer = peer.to_canonical();
        if peer.is_loopback() {
            return Ok(());
        }
        self.addresses.take(network(peer), self.address, now).map_err(too_fast)
    }

    /// One request of a principal, by its words.
    ///
    /// # Errors
    /// `rate.exceeded`, with the seconds to wait.
    pub(crate) fn by(&self, who: String, now: Time) -> Result<()> {
        self.principals.take(who, self.principal, now).map_err(too_fast)
    }
}

/// One household has one IPv4 address, or 2⁶⁴ of IPv6.
pub(crate) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(four) => IpAddr::V4(four),
        IpAddr::V6(six) => IpAddr::V6((u128::from(six) & !u128::from(u64::MAX)).into()),
    }
}

fn too_fast(seconds: u64) -> Error {
    Error::new(
        ErrorKind::Busy,
        "rate.exceeded",
        Text::fixed("too many requests", "요청이 너무 많습니다"),
    )
    .hint(text!("try again in {seconds} s", "{seconds}초 뒤에 다시 시도하세요"))
    .retry_after(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const SLOW: Limit = Limit { burst: 3, rate: 1 };

    fn six(last: u16) -> IpAddr {
        IpAddr::V6([0x2001, 0xdb8, 0, 1, 0, 0, 0, last].into())
    }

    #[test]
    fn a_burst_then_a_pace_then_a_burst_again() {
        let rates = Rates::new(SLOW, Limit::NONE);
        let start = Time(1_000_000);
        let ask = |at: Time| {
            let asked = rates.from("192.0.2.1".parse().unwrap(), at);
            asked.map_err(|e| e.get_retry_after().unwrap())
        };
        assert_eq!([ask(start), ask(start), ask(start)], [Ok(()); 3]);
        assert_eq!(ask(start), Err(1));
        let later = start.plus(Duration::from_secs(1));
        assert_eq!((ask(later), ask(later)), (Ok(()), Err(1)));
        assert_eq!(ask(start), Err(1), "a clock that goes back gives nothing");
        let much = start.plus(Duration::from_secs(100));
        assert_eq!([ask(much), ask(much), ask(much), ask(much)], [Ok(()), Ok(()), Ok(()), Err(1)]);
    }

    #[test]
    fn one_client_does_not_take_from_another_and_a_network_counts_once() {
        let rates = Rates::new(SLOW, SLOW);
        let now = Time(0);
        for n in 0..3 {
            rates.from(six(n), now).unwrap();
        }
        assert!(rates.from(six(77), now).is_err(), "the same network");
        rates.from("192.0.2.9".parse().unwrap(), now).unwrap();
        for _ in 0..3 {
            rates.by("user:eve".into(), now).unwrap();
        }
        assert!(rates.by("user:eve".into(), now).is_err());
        rates.by("user:ann".into(), now).unwrap();
        for _ in 0..100 {
            rates.from("127.0.0.1".parse().unwrap(), now).unwrap();
            rates.from("::ffff:127.0.0.1".parse().unwrap(), now).unwrap();
        }
    }

    #[test]
    fn the_table_is_bounded_and_forgets_the_patient_first() {
        let table = Table::new();
        let now = Time(1_000_000);
        for n in 0..3 {
            assert!(table.take(u32::MAX, SLOW, now).is_ok(), "{n}");
        }
        for n in 0..20_000_u32 {
            table.take(n, SLOW, now.plus(Duration::from_millis(1))).unwrap();
        }
        assert!(table.0.lock().unwrap().len() <= BUCKETS);
        let mut buckets = table.0.lock().unwrap();
        make_room(&mut buckets, SLOW, now.plus(Duration::from_secs(60)));
        assert_eq!(buckets.len(), 0, "all were full again");
    }
}

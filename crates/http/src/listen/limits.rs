//! The limits of a listener.

use authority::Subtree;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

/// How much a listener takes on itself. The default is right for a server.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Connections at a time; more wait in the kernel's backlog.
    pub connections: usize,
    /// Connections of one address at a time (of IPv6: one /64); more are turned away.
    pub of_one_address: usize,
    /// Addresses that this does not hold for: this machine, and proxies, which bring everybody.
    pub uncounted: Vec<Subtree>,
    /// TLS handshakes under way at a time; more wait.
    pub handshakes: usize,
    /// For a handshake, from the connection on.
    pub handshake: Duration,
    /// For a request's head to arrive.
    pub head: Duration,
    /// The longest head, in bytes.
    pub head_bytes: usize,
    /// The most headers.
    pub headers: usize,
    /// Requests at a time on one connection of HTTP/2.
    pub streams: u32,
    /// For the next request on a connection.
    pub idle: Duration,
    /// How fast a body has to come.
    pub pace: Pace,
    /// For a client to take anything of an answer.
    pub stalled: Duration,
}

/// How fast a body has to come: for `grace` as slowly as it likes, then at `rate` on average. Only the time counts in
/// which the server waits for the client.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    pub grace: Duration,
    /// Bytes a second.
    pub rate: u32,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            connections: 1024,
            of_one_address: 256,
            uncounted: vec![
                Subtree::Network(IpAddr::V4(Ipv4Addr::new(127, 0, 0, 0)), 8),
                Subtree::Network(IpAddr::V6(Ipv6Addr::LOCALHOST), 128),
            ],
            handshakes: 256,
            handshake: Duration::from_secs(10),
            head: Duration::from_secs(15),
            head_bytes: 64 * 1024,
            headers: 64,
            streams: 100,
            idle: Duration::from_secs(120),
            pace: Pace { grace: Duration::from_secs(30), rate: 1024 },
            stalled: Duration::from_secs(300),
        }
    }
}

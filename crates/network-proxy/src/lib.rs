//! The edge: every request to a service enters here.
//!
//! ```text
//!  client ── h1 (own codec, `wire`) ─┐                     ┌─ pool ── instance
//!                                    ├─ route ─ exchange ──┤
//!  client ── h2 (the h2 crate) ──────┘                     └─ pool ── instance
//! ```
//!
//! The edge and the scheduler share one table. A rollout publishes the new set of instances, then waits in
//! [`Edge::drain`] until no request uses the old one, and only then signals it: no request is lost.
//!
//! Invariants:
//! - Nothing is forwarded that was not parsed whole and strictly; what is forwarded is written anew.
//! - A response is held to the same grammar as a request: a smuggled response is as bad.
//! - Bytes go raw only after the instance's own 101, and only those received after it.
//! - A request holds a lease on its instance from before the first byte to after the last; the lease is
//!   what a drain counts.
//! - Every wait has a limit ([`Limits`]) and every buffer a bound.
//!
//! Instances are spoken to in HTTP/1.1 by our own client rather than hyper's: it shares the strict grammar
//! with the other side, needs no task and no channel per connection, and so a small request costs one read
//! and one write per direction, which is what keeps the edge close to nginx in CPU time per request.

mod api;
mod balance;
mod cmd;
mod edge;
mod exchange;
mod forward;
mod h1;
mod h2s;
mod instance;
mod limits;
mod link;
mod listen;
mod page;
mod pump;
mod random;
mod relay;
mod route;
mod stats;
mod timer;
mod tls;
mod tunnel;
pub mod wire;

pub use edge::{Options, Proxy, Scheme};
pub use instance::{UpstreamState, UpstreamView};
pub use kernel::port::Edge;
pub use limits::Limits;
pub use route::RouteView;
pub use stats::Latency;
pub use tls::{PROTOCOLS, tls_config};

use part::Part;

pub static PART: Part = Part {
    name: "network-proxy",
    about: ("the edge: the way in to services", "엣지: 서비스로 들어오는 길"),
    routes: api::ROUTES,
    commands: &[cmd::ROUTE],
    ..Part::EMPTY
};

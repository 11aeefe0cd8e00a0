//! What stands before every handler: ids of requests, which hosts we answer for, how often anybody may ask, the
//! flags of cookies, the headers of answers.
//!
//! Decisions are pure functions in the files below; [`Front`] holds what they are decided by.

pub mod cookie;
mod forwarded;
mod header;
mod host;
mod rate;
mod request;

pub use host::Hosts;
pub use rate::{Limit, Rates};

pub(crate) use forwarded::client;
pub(crate) use header::secure;
pub(crate) use rate::network;
pub(crate) use request::id;

use authority::Subtree;
use kernel::port::Witness;
use std::sync::Arc;

/// How a listener meets the world. The default is right for a test and for a listener on the loopback
/// interface: plain HTTP, any `Host`, generous rates, nobody told of refusals.
#[derive(Default)]
pub struct Front {
    /// Whether browsers reach us over TLS: then cookies are `Secure` and answers ask for TLS for ever.
    pub tls: bool,
    pub hosts: Hosts,
    pub rates: Rates,
    /// Proxies that are believed when they say whose request they bring.
    pub proxies: Vec<Subtree>,
    /// Where people reach us: `https://naru.example.com`, without a slash at its end.
    pub url: Option<String>,
    /// Who writes down what is refused here.
    pub witness: Option<Arc<dyn Witness>>,
}

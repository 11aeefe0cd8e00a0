//! What stands before every handler: ids of requests, which hosts we answer for, how often anybody may ask, the
//! flags of cookies, the headers of answers.
//!
//! Decisions are pure functions in the files below; [`Front`] holds what they are decided by.

pub mod cookie;
mod header;
mod host;
mod rate;
mod request;

pub use host::Hosts;
pub use rate::{Limit, Rates};

pub(crate) use header::secure;
pub(crate) use request::id;

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
    /// Who writes down what is refused here.
    pub witness: Option<Arc<dyn Witness>>,
}

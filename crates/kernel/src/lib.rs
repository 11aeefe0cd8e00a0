//! The words of the house.
//!
//! Five nouns carry everything naru does: a [`Resource`] is a thing the team operates, an [`Event`] is a
//! fact that happened, a run is work that takes time (its engine lives in `run`), a change is a commit on
//! its way to production ([`journey`]), and a [`Principal`] is who acts. The ports through which one
//! domain asks another for something are in [`port`].
//!
//! Invariants: this crate does no IO, reads no clock, draws no randomness and knows no async runtime. It
//! names no domain part; what parts must agree on to hand a change along is in [`journey`], and nothing
//! else is shared here.

pub mod diff;
pub mod error;
pub mod event;
pub mod id;
pub mod journey;
pub mod kind;
pub mod log;
pub mod name;
pub mod origin;
pub mod port;
pub mod principal;
pub mod resource;
pub mod secret;
mod shown;
pub mod text;
pub mod time;

pub use error::{Error, ErrorKind, Result};
pub use event::{Event, NewEvent};
pub use id::Id;
pub use kind::{Kind, KindDef};
pub use name::Name;
pub use origin::{CredentialRef, Origin};
pub use principal::Principal;
pub use resource::{Key, Resource};
pub use secret::SecretText;
pub use shown::shown;
pub use text::{Lang, Text};
pub use time::{Clock, Time};

/// A boxed future, for traits at the borders between crates.
pub type BoxFuture<'a, T> = std::pin::Pin<Box<dyn Future<Output = T> + Send + 'a>>;

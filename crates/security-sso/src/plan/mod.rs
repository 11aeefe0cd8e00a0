//! What is decided of requests: pure functions, without clock, store or randomness.

pub mod assertion;
pub mod authorize;
pub mod client;
pub mod device;
pub mod params;
pub mod pkce;
pub mod redirect;
pub mod refresh;
pub mod step;

#[cfg(test)]
mod tests;

use kernel::{Name, Text};

/// Why a request is refused, in the words of OAuth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// A code of RFC 6749 §4.1.2.1 or §5.2, or of one of its extensions: `invalid_grant`.
    pub error: &'static str,
    /// As the journal says it, more precisely: `sso.code-reused`.
    pub code: &'static str,
    /// English goes into `error_description`, which takes ASCII alone (RFC 6749 §5.2).
    pub say: Text,
    /// The application, as far as it is known.
    pub application: Option<Name>,
}

impl Refusal {
    pub fn new(
        error: &'static str,
        code: &'static str,
        (en, ko): (&'static str, &'static str),
    ) -> Refusal {
        Refusal { error, code, say: Text::fixed(en, ko), application: None }
    }

    pub fn of(mut self, application: &Name) -> Refusal {
        self.application = Some(application.clone());
        self
    }
}

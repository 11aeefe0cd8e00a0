//! Dangerous things ask once more who one is.

use account::credential::stale;
use kernel::Result;
use naru_http::{Call, Head, Response, found};

/// Whether the caller has proved of late who he is.
fn is_fresh(head: &Head) -> bool {
    head.credential.is_fresh(head.site.store.now())
}

/// For routes of the API.
///
/// # Errors
/// `auth.stale`.
pub(crate) fn needed(head: &Head) -> Result<()> {
    if is_fresh(head) { Ok(()) } else { Err(stale()) }
}

/// For pages: where to prove it, and from there back to `back`. `None` when it is proved.
pub(crate) fn detour(call: &Call, back: &str) -> Option<Result<Response>> {
    (!is_fresh(call)).then(|| found(&format!("/sign-in/again?back={}", web::segment(back))))
}

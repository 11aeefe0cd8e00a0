//! Who gets as far as a decision, and who hears of those that do not.

use crate::{Call, Head};
use http::header;
use kernel::port::Refused;
use kernel::{Error, ErrorKind, Principal, Result, Text};

/// The longest target of a request, in bytes.
const TARGET: usize = 16 * 1024;

/// Before anything is asked of the store: a host of ours, a target of bounded length, not too fast.
///
/// # Errors
/// `host.missing`, `host.unknown`, `request.too-long`, `rate.exceeded`.
pub(crate) fn admit(head: &Head) -> Result<()> {
    let front = &head.site.front;
    front.rates.from(head.peer.ip(), head.site.store.now())?;
    front.hosts.check(head.header(header::HOST.as_str()))?;
    let long = head.uri.path_and_query().map_or(0, |p| p.as_str().len());
    if long > TARGET {
        return Err(Error::new(
            ErrorKind::TooLarge,
            "request.too-long",
            Text::fixed("the address is too long", "주소가 너무 깁니다"),
        ));
    }
    Ok(())
}

/// One request more of whoever it is.
///
/// # Errors
/// `rate.exceeded`.
pub(crate) fn pace(call: &Call) -> Result<()> {
    match &call.who {
        // By its address alone: nobody should use up what all strangers have.
        Principal::Anonymous => Ok(()),
        who => call.site.front.rates.by(who.to_string(), call.site.store.now()),
    }
}

/// Tells of what is refused before the policy is asked: a wrong credential, another site's page, too much. Who
/// has shown nothing at all is only shown the way in.
pub(crate) fn witness(call: &Call, route: &str, error: &Error) {
    let Some(witness) = &call.site.front.witness else { return };
    let told = match error.kind() {
        ErrorKind::Unauthenticated => has_credential(call),
        ErrorKind::Forbidden | ErrorKind::Busy => {
            !["auth.denied", "auth.second-person"].contains(&error.code())
        }
        _ => false,
    };
    if told {
        witness.refused(Refused {
            who: call.who.clone(),
            action: format!("{} {route}", call.method),
            resource: call.uri.path().chars().take(200).collect(),
            project: call.project().ok(),
            code: error.code(),
            origin: store::origin::current(),
        });
    }
}

fn has_credential(head: &Head) -> bool {
    let named = [header::AUTHORIZATION.as_str(), crate::serve::PRIVATE_TOKEN];
    named.iter().any(|name| head.header(name).is_some())
        || crate::front::cookie::session(head).is_some()
}

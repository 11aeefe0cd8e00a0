//! What every sign-in has in common: who stands at the door, cookies, and that the form came from here.

use account::credential::{Opened, Visitor};
use http::header;
use kernel::{Error, Result, Text};
use naru_http::front::cookie;
use naru_http::{Head, Response, found};
use std::time::Duration;

/// The cookie of a device that has signed in before.
pub(crate) const DEVICE: &str = "naru_device";
/// The cookie of a sign-in that is half open.
pub(crate) const HALF: &str = "naru_half";

/// Seconds.
const DEVICE_LASTS: u64 = 180 * 24 * 3600;
const HALF_LASTS: u64 = 5 * 60;

pub(crate) fn visitor(head: &Head) -> Visitor {
    let browser = head.header(header::USER_AGENT.as_str()).unwrap_or("");
    Visitor {
        address: head.peer.ip(),
        browser: browser.chars().filter(|c| !c.is_control()).take(200).collect(),
        device: head.cookie(DEVICE).map(str::to_owned),
        session: cookie::session(head).map(str::to_owned),
    }
}

/// The host that the browser says it is on.
pub(crate) fn host(head: &Head) -> &str {
    head.header(header::HOST.as_str()).unwrap_or("")
}

/// Refuses a form that another site's page has sent, also where nobody is signed in yet: else it could sign a reader
/// in as somebody else and wait for what is typed there.
///
/// Every browser sends `Sec-Fetch-Site` or `Origin` with a form.
///
/// # Errors
/// `auth.cross-site`.
pub(crate) fn from_here(head: &Head) -> Result<()> {
    let site = head.header("sec-fetch-site");
    let origin = head.header(header::ORIGIN.as_str());
    let ours = match (site, origin.and_then(|o| o.split_once("://"))) {
        (Some(site), _) if site != "same-origin" => false,
        (_, Some((_, from))) => from == host(head),
        (Some(_), None) => origin.is_none(),
        (None, None) => false,
    };
    if ours {
        return Ok(());
    }
    Err(Error::forbidden(
        "auth.cross-site",
        Text::fixed(
            "this form did not come from a page of this naru",
            "이 naru의 페이지에서 온 양식이 아닙니다",
        ),
    )
    .hint(Text::fixed(
        "open the sign-in page and try again",
        "로그인 페이지를 열고 다시 시도하세요",
    )))
}

/// Leads on, with the cookies of an opened session. What was half open is closed.
pub(crate) fn enter(head: &Head, opened: &Opened, to: &str) -> Result<Response> {
    let mut response = found(to)?;
    carry(head, &mut response, opened)?;
    Ok(response)
}

/// Gives a response the cookies of an opened session.
pub(crate) fn carry(head: &Head, response: &mut Response, opened: &Opened) -> Result<()> {
    renew(head, response, &opened.session)?;
    if let Some(device) = &opened.device {
        set(head, response, DEVICE, device, DEVICE_LASTS)?;
    }
    set(head, response, HALF, "", 0)
}

/// Gives a response the new secret of a session that is kept.
pub(crate) fn renew(head: &Head, response: &mut Response, secret: &str) -> Result<()> {
    let kept = cookie::keep(head, secret, account::SESSION_LASTS)?;
    response.headers_mut().append(header::SET_COOKIE, kept);
    Ok(())
}

pub(crate) fn half_open(head: &Head, response: &mut Response, code: &str) -> Result<()> {
    set(head, response, HALF, code, HALF_LASTS)
}

fn set(head: &Head, response: &mut Response, name: &str, value: &str, lasts: u64) -> Result<()> {
    let kept = cookie::keep_as(head, name, value, Duration::from_secs(lasts))?;
    response.headers_mut().append(header::SET_COOKIE, kept);
    Ok(())
}

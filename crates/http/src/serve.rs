//! What happens before a handler: routing, authentication, the decision.

use crate::call;
use crate::call::Head;
use crate::front::{self, cookie};
use crate::hold::{Slot, hold};
use crate::listen::{Door, listen};
use crate::place::{self, Place};
use crate::sse::Endless;
use crate::{Access, Body, Call, Response, Route, Site, Upgrade, gate, reply, review};
use account::{Credential, Effect, Live, Proven};
use axum::Router;
use axum::extract::{ConnectInfo, Path, Request};
use axum::routing::{MethodFilter, on};
use base64::Engine as _;
use futures_util::{FutureExt, StreamExt};
use http::{HeaderMap, Method, header};
use hyper::upgrade::OnUpgrade;
use kernel::{Error, Lang, Origin, Principal, Result, Text};
use policy::Action;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tower_service::Service;
use tracing::Instrument;

/// Serves until `stop`, then lets requests under way finish for five seconds.
pub async fn serve(site: Arc<Site>, door: impl Into<Door>, stop: CancellationToken) {
    let door = Door { hosts: site.front.hosts.clone(), ..door.into() };
    let router = router(&site, &stop);
    let answer = move |request: Request| {
        let mut router = router.clone();
        // A router is always ready.
        async move { router.call(request).await.unwrap_or_else(|never| match never {}) }
    };
    // It ends with `stop`, as the listener does.
    let reviews = tokio::spawn(review::run(site, stop.clone()));
    listen(door, answer, stop).await;
    // Only the runtime's own end cancels it.
    let _ = reviews.await;
}

fn router(site: &Arc<Site>, stop: &CancellationToken) -> Router {
    let mut router = Router::new();
    for route in site.routes.clone() {
        let (site, stop) = (site.clone(), stop.clone());
        let handle = move |params: Path<Vec<(String, String)>>, request: Request| {
            let (site, stop) = (site.clone(), stop.clone());
            async move { bounded(answer(site, Some(route), params.0, request).await, stop) }
        };
        let method = match route.method.http() {
            Method::GET => MethodFilter::GET,
            Method::PUT => MethodFilter::PUT,
            Method::POST => MethodFilter::POST,
            Method::PATCH => MethodFilter::PATCH,
            Method::OPTIONS => MethodFilter::OPTIONS,
            _ => MethodFilter::DELETE,
        };
        router = router.route(route.path, on(method, handle));
    }
    let nowhere = site.clone();
    router.fallback(move |request: Request| {
        let site = nowhere.clone();
        async move { answer(site, None, Vec::new(), request).await }
    })
}

/// A stream without an end would hold up a server that stops: its client comes back to the next one.
fn bounded(response: Response, stop: CancellationToken) -> Response {
    if response.extensions().get::<Endless>().is_none() {
        return response;
    }
    response
        .map(|body| Body::from_stream(body.into_data_stream().take_until(stop.cancelled_owned())))
}

async fn answer(
    site: Arc<Site>,
    route: Option<Route>,
    params: Vec<(String, String)>,
    request: Request,
) -> Response {
    let (mut parts, body) = request.into_parts();
    let upgrade = parts.extensions.remove::<hyper::upgrade::OnUpgrade>();
    let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|c| c.0);
    let slot = parts.extensions.remove::<Slot>();
    let peer = peer.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 0)));
    let client = front::client(peer.ip(), &parts.headers, &site.front.proxies);
    let head = Head {
        lang: language(&parts.headers),
        since: site.store.head(),
        site,
        who: Principal::Anonymous,
        request: front::id(&parts.headers),
        credential: Credential::none(),
        method: parts.method,
        uri: parts.uri,
        headers: parts.headers,
        peer: if client == peer.ip() { peer } else { SocketAddr::new(client, 0) },
        params: params.into_iter().collect(),
        live: None,
    };
    let origin = Origin {
        address: Some(head.peer.ip().to_canonical().to_string()),
        request: Some(head.request.clone()),
        ..Origin::default()
    };
    // As an error, so that the id stands beside warnings whatever the filter.
    let span = tracing::error_span!("request", id = head.request);
    store::origin::scope(origin, respond(head, route, body, upgrade, slot)).instrument(span).await
}

async fn respond(
    mut head: Head,
    route: Option<Route>,
    body: Body,
    upgrade: Option<OnUpgrade>,
    slot: Option<Slot>,
) -> Response {
    let admitted = gate::admit(&head);
    let known = match admitted {
        Ok(()) if !route.is_some_and(|r| r.blind()) => principal(&head).await,
        _ => Ok(Proven::nobody()),
    };
    if let Ok(known) = &known {
        head.who = known.principal.clone();
        head.credential = known.credential.clone();
        store::origin::amend(|origin| origin.credential = known.credential.reference());
    }
    let live = known.as_ref().ok().filter(|known| known.principal != Principal::Anonymous);
    let live = live.map(|known| head.site.accounts.live(known));
    slot.iter().for_each(|slot| slot.set(live.clone()));
    head.live = live.clone();
    let head = Arc::new(head);
    let upgrade = upgrade.map(|on| Upgrade::new(on, live.clone()));
    let call = Call::new(head.clone(), body, upgrade);
    let work = AssertUnwindSafe(decided(admitted, known, route, call)).catch_unwind();
    let outcome = within(live.as_ref(), work).await;
    let outcome = outcome.unwrap_or_else(|_| Err(Error::internal("a handler panicked")));
    let mut response = outcome.unwrap_or_else(|e| reply::error(&e, &head));
    if let Some(live) = &live {
        response = hold(response, live);
    }
    front::secure(response.headers_mut(), &head);
    tracing::debug!(
        method = %head.method, path = head.uri.path(), who = %head.who, from = %head.peer,
        status = response.status().as_u16(), "answered"
    );
    response
}

/// For a handler to answer that has itself ended what it was asked with: signing out, a new password.
const OWN_END: Duration = Duration::from_millis(300);

/// What `work` comes to, or that whoever asked may be here no more.
async fn within<E>(
    live: Option<&Live>,
    work: impl Future<Output = Result<Result<Response>, E>>,
) -> Result<Result<Response>, E> {
    let Some(live) = live else { return work.await };
    let ended = async {
        live.ended().await;
        tokio::time::sleep(OWN_END).await;
    };
    tokio::select! {
        biased;
        outcome = work => outcome,
        () = ended => Ok(Err(account::unauthenticated())),
    }
}

async fn decided(
    admitted: Result<()>,
    known: Result<Proven>,
    route: Option<Route>,
    call: Call,
) -> Result<Response> {
    admitted?;
    let action = route.map_or("", |r| r.path);
    let entered = enter(&call, known, route).await;
    if let Err(error) = &entered {
        gate::witness(&call, action, error);
    }
    (entered?.handle)(call).await
}

/// Everything that is decided before the handler.
async fn enter(call: &Call, known: Result<Proven>, route: Option<Route>) -> Result<Route> {
    let route = route.ok_or_else(nowhere)?;
    // A wrong secret is an error even where none is needed: a client with a stale token must learn it.
    // Only what one needs in order to sign in again is spared.
    if !matches!(route.access, Access::Public | Access::CrossSite) {
        known?;
    }
    gate::pace(call)?;
    allow(call, route.access).await?;
    same_origin(call)?;
    Ok(route)
}

async fn allow(call: &Call, access: Access) -> Result<()> {
    match access {
        Access::Public | Access::CrossSite | Access::Inside(_) => Ok(()),
        Access::SignedIn if call.who == Principal::Anonymous => Err(account::unauthenticated()),
        Access::SignedIn => own(call),
        Access::Project(wanted) => {
            call.project()?;
            at(call, wanted.action()).await
        }
        Access::Action(action) => at(call, action).await,
        Access::Platform => call.may_administer().await,
    }
}

/// An action on what the path is about.
async fn at(call: &Call, action: Action) -> Result<()> {
    let Place { targets, context } = place::of(call, action).await?;
    call.may_on(action, &targets, &context).await
}

/// What concerns the caller alone: looking is harmless, but a token that is narrowed to something may not make
/// a wider one, or change its owner's password.
fn own(call: &Call) -> Result<()> {
    match call.effect() {
        Effect::Reads => Ok(()),
        Effect::Writes => call.credential.scopes.admit("account.change", Effect::Writes, None),
    }
}

/// Where clients of GitLab put their token.
pub(crate) const PRIVATE_TOKEN: &str = "private-token";

/// Who is asking: a bearer token, a token as the password of Basic (any user name) or in `PRIVATE-TOKEN`, or
/// a session.
async fn principal(head: &Head) -> Result<Proven> {
    let peer = head.peer();
    if let Some(given) = head.header(header::AUTHORIZATION.as_str()) {
        let token = secret(given).ok_or_else(account::unauthenticated)?;
        return head.site.accounts.authenticate(&token, &peer).await;
    }
    if let Some(token) = head.header(PRIVATE_TOKEN) {
        return head.site.accounts.authenticate(token.trim(), &peer).await;
    }
    match cookie::session(head) {
        Some(cookie) => head.site.accounts.session(cookie, &peer).await,
        None => Ok(Proven::nobody()),
    }
}

/// The secret in an `Authorization` header (RFC 6750 §2.1, RFC 7617 §2).
pub(crate) fn secret(header: &str) -> Option<String> {
    let (scheme, rest) = header.split_once(' ')?;
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(rest.trim().to_owned());
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let pair = base64::engine::general_purpose::STANDARD.decode(rest.trim()).ok()?;
    let pair = String::from_utf8(pair).ok()?;
    pair.split_once(':').map(|(_, password)| password.to_owned())
}

/// A browser's session may not be used by another site's page (cross-site request forgery).
fn same_origin(call: &Call) -> Result<()> {
    let by_token = [header::AUTHORIZATION.as_str(), PRIVATE_TOKEN];
    let by_cookie = by_token.iter().all(|name| call.header(name).is_none());
    if call.method == Method::GET || !by_cookie || call.who == Principal::Anonymous {
        return Ok(());
    }
    let host = call.header(header::HOST.as_str()).unwrap_or("");
    let origin = call.header(header::ORIGIN.as_str()).and_then(|o| o.split_once("://"));
    // Over TLS, a page that came without it is another's: anybody on the way may have written it.
    let fits = |scheme: &str| scheme == "https" || !call.site.front.tls;
    match origin {
        Some((scheme, from)) if from == host && fits(scheme) => Ok(()),
        _ => Err(Error::forbidden(
            "auth.cross-site",
            Text::fixed(
                "this came from another site's page",
                "다른 사이트의 페이지에서 온 요청입니다",
            ),
        )
        .hint(Text::fixed(
            "open the page here and try again",
            "여기서 페이지를 열고 다시 시도하세요",
        ))),
    }
}

pub(crate) fn language(headers: &HeaderMap) -> Lang {
    match call::cookie(headers, "naru_lang") {
        Some("ko") => Lang::Ko,
        Some("en") => Lang::En,
        _ => {
            let header = headers.get(header::ACCEPT_LANGUAGE).and_then(|v| v.to_str().ok());
            Lang::negotiate(header.unwrap_or(""))
        }
    }
}

fn nowhere() -> Error {
    Error::not_found(
        "page.unknown",
        Text::fixed("there is nothing at this address", "이 주소에는 아무것도 없습니다"),
    )
    .hint(Text::fixed("start from the front page", "첫 화면에서 시작하세요"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_in_headers() {
        for (header, want) in [
            ("Bearer abc", Some("abc")),
            ("bearer  abc ", Some("abc")),
            ("Basic bmFydTphYmM=", Some("abc")),
            ("Basic !!!", None),
            ("Basic bmFydQ==", None),
            ("Digest x", None),
            ("Bearer", None),
        ] {
            assert_eq!(secret(header).as_deref(), want, "{header}");
        }
    }
}

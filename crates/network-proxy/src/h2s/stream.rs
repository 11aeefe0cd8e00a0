//! One HTTP/2 stream.

use super::body::{download, response_head, upload};
use crate::edge::Shared;
use crate::exchange::{Failure, Link, Search};
use crate::forward::{self, Asked, Origin};
use crate::page::{POLICY, Page, Problem, Reader};
use crate::random::Random;
use crate::route::Route;
use crate::wire::{self, Body, Field, Known, Reject, RequestHead, Version};
use bytes::{Bytes, BytesMut};
use h2::RecvStream;
use h2::server::SendResponse;
use http::{HeaderMap, HeaderValue, Request, Response};
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use tokio::time::{Instant, sleep_until};

/// A request, ready to be sent to an instance.
struct Plan {
    asked: Asked,
    head: BytesMut,
    route: Option<Arc<Route>>,
    host: String,
    reader: Reader,
}

pub(super) async fn serve(
    shared: Arc<Shared>,
    origin: Arc<Origin>,
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
) {
    let started = Instant::now();
    let mut random = Random::new();
    let (parts, mut body) = request.into_parts();
    let plan = match plan(&shared, &origin, &parts, body.is_end_stream(), &mut random) {
        Ok(plan) => plan,
        Err(reject) => {
            let page = Page::new(&Problem::Refused(reject), None);
            return answer(&mut respond, &page, &Reader::default(), false);
        }
    };
    let reader = plan.reader;
    let Some(route) = plan.route else {
        let page = Page::new(&Problem::UnknownHost(plan.host), None);
        return answer(&mut respond, &page, &reader, plan.asked.head);
    };
    let mut stream =
        Stream { shared: &shared, asked: plan.asked, head: plan.head, body: &mut body };
    let status = match stream.exchange(&route, &mut respond, &mut random).await {
        Ok(status) | Err(Failure::Broken(status)) => status,
        Err(Failure::Gone) => 499,
        Err(Failure::Refused(reject)) => {
            let page = Page::new(&Problem::Refused(reject), None);
            answer(&mut respond, &page, &reader, plan.asked.head);
            page.status
        }
        Err(Failure::Problem(problem)) => {
            let page = Page::new(&problem, Some(&route));
            answer(&mut respond, &page, &reader, plan.asked.head);
            page.status
        }
    };
    route.stats.record(status, started.elapsed());
}

fn plan(
    shared: &Shared,
    origin: &Origin,
    parts: &http::request::Parts,
    ended: bool,
    random: &mut Random,
) -> Result<Plan, Reject> {
    if parts.headers.len() > shared.limits().fields {
        return Err(Reject::TooManyFields);
    }
    let cookies = joined_cookies(&parts.headers);
    let head = head_of(parts, &cookies)?;
    let authority = wire::authority(&head)?;
    let (mut asked, connection) = Asked::of(&head)?;
    asked.expects = false;
    asked.body = match (asked.body, ended) {
        (Body::Empty, false) => Body::Chunked,
        (body, _) => body,
    };
    if matches!(asked.body, Body::Length(n) if n > shared.limits().body_bytes) {
        return Err(Reject::BodyTooLarge);
    }
    let host = wire::host_key(authority).into_owned();
    let route = shared.routes.table().find(&host).cloned();
    let mut out = BytesMut::new();
    forward::request(&head, authority, (&asked, &connection), origin, random, &mut out);
    Ok(Plan { asked, head: out, route, host, reader: Reader::of(&head) })
}

/// The head as HTTP/1.1 would have it. Fields that belong to one connection do not exist in HTTP/2.
fn head_of<'a>(
    parts: &'a http::request::Parts,
    cookies: &'a [u8],
) -> Result<RequestHead<'a>, Reject> {
    let method = parts.method.as_str().as_bytes();
    if method == b"CONNECT" {
        return Err(Reject::Connect);
    }
    let target = parts.uri.path_and_query().map_or("/", |p| p.as_str()).as_bytes();
    let asterisk = target == b"*" && method == b"OPTIONS";
    let sound = |b: &u8| matches!(b, b'!'..=b'~') && *b != b'#';
    if !(target.starts_with(b"/") || asterisk) || !target.iter().all(sound) {
        return Err(Reject::Target);
    }
    let authority = parts.uri.authority().map(|a| a.as_str().as_bytes());
    let mut fields = Vec::with_capacity(parts.headers.len() + 2);
    for (name, value) in &parts.headers {
        let (name, value) = (name.as_str().as_bytes(), value.as_bytes().trim_ascii());
        let known = Known::of(name);
        match known {
            Known::TransferEncoding | Known::Connection | Known::Upgrade => {
                return Err(Reject::ConnectionNames);
            }
            _ if name == b"cookie" => {}
            _ => fields.push(Field { name, value, known }),
        }
    }
    if !cookies.is_empty() {
        fields.push(Field { name: b"cookie", value: cookies, known: Known::Auth });
    }
    if let (Some(value), None) = (authority, parts.headers.get(http::header::HOST)) {
        fields.push(Field { name: b"host", value, known: Known::Host });
    }
    Ok(RequestHead { method, target, authority, version: Version::Http11, fields })
}

/// RFC 9113 §8.2.3: the crumbs go back together.
fn joined_cookies(headers: &HeaderMap) -> Vec<u8> {
    let crumbs: Vec<&[u8]> =
        headers.get_all(http::header::COOKIE).iter().map(HeaderValue::as_bytes).collect();
    crumbs.join(&b"; "[..])
}

struct Stream<'a> {
    shared: &'a Shared,
    asked: Asked,
    head: BytesMut,
    body: &'a mut RecvStream,
}

impl Stream<'_> {
    /// Forwards; answers the status.
    async fn exchange(
        &mut self,
        route: &Arc<Route>,
        respond: &mut SendResponse<Bytes>,
        random: &mut Random,
    ) -> Result<u16, Failure> {
        let mut search = Search::new(self.shared, route, &self.asked);
        let mut random = || random.next();
        loop {
            let mut link = search.next(&mut random).await.map_err(Failure::Problem)?;
            match self.attempt(&mut link, respond).await {
                Err(Failure::Problem(why @ Problem::Closed)) if self.asked.replayable() => {
                    search.again(link, why);
                }
                Ok((status, reusable)) => {
                    if reusable {
                        let Link { stream, lease, .. } = link;
                        lease.pool.give(stream, self.shared.limits().pool, Instant::now());
                    }
                    return Ok(status);
                }
                Err(failure) => return Err(failure),
            }
        }
    }

    async fn attempt(
        &mut self,
        link: &mut Link,
        respond: &mut SendResponse<Bytes>,
    ) -> Result<(u16, bool), Failure> {
        let limits = self.shared.limits();
        let (mut from, to) = link.stream.split();
        let mut up = pin!(upload(&self.head, self.asked.body, self.body, to, limits));
        let mut up_over = false;
        let mut received = BytesMut::new();
        let (reply, response) = {
            let mut head = pin!(response_head(&mut from, &mut received, &self.asked, limits));
            let mut until = Instant::now() + limits.silence;
            loop {
                tokio::select! {
                    biased;
                    sent = &mut up, if !up_over => {
                        sent?;
                        up_over = true;
                        until = Instant::now() + limits.response;
                    }
                    found = &mut head => break found?,
                    // A stream that was reset must not go on at the instance: resetting is cheap.
                    _ = poll_fn(|cx| respond.poll_reset(cx)) => return Err(Failure::Gone),
                    () = sleep_until(until) => return Err(Failure::Problem(Problem::Timeout)),
                }
            }
        };
        let status = response.status().as_u16();
        let last = matches!(reply.body, Body::Empty | Body::Length(0));
        let send = respond.send_response(response, last).map_err(|_| Failure::Gone)?;
        if !last {
            let mut down = pin!(download(&mut from, &mut received, reply.body, send, limits));
            loop {
                tokio::select! {
                    biased;
                    sent = &mut up, if !up_over => {
                        sent.map_err(|_| Failure::Broken(status))?;
                        up_over = true;
                    }
                    done = &mut down => {
                        done.map_err(|_| Failure::Broken(status))?;
                        break;
                    }
                }
            }
        }
        Ok((status, reply.reusable && up_over && received.is_empty()))
    }
}

/// Sends a page of the edge's own.
fn answer(respond: &mut SendResponse<Bytes>, page: &Page, reader: &Reader, to_head: bool) {
    let (kind, body) = page.body(reader);
    let mut response = Response::builder()
        .status(page.status)
        .header("content-type", kind)
        .header("content-length", body.len())
        .header("cache-control", "no-store")
        .header("content-security-policy", POLICY)
        .header("x-content-type-options", "nosniff");
    if let Some(seconds) = page.retry_after {
        response = response.header("retry-after", seconds);
    }
    let Ok(response) = response.body(()) else { return };
    if let Ok(mut send) = respond.send_response(response, to_head)
        && !to_head
    {
        // A page fits any window a client opens; the crate queues it otherwise.
        let _ = send.send_data(Bytes::from(body), true);
    }
}

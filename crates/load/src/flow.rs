//! One iteration of a scenario.

use crate::find;
use crate::limits;
use crate::metric::Stats;
use crate::net::{self, Answer, Ask, Fault, Pool, Target};
use crate::plan::{Check, Extract, From, Plan, Request, Step};
use crate::template::{Builtin, Slot, Template};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use serde_json::Value;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Cookies of one iteration.
const COOKIES: usize = 100;

/// What a worker's iterations share.
pub struct Around {
    pub plan: Arc<Plan>,
    pub pool: Pool,
    pub stats: Arc<Mutex<Stats>>,
    /// The next row of each data set, over all workers.
    pub rows: Arc<Vec<AtomicU64>>,
}

impl Around {
    pub fn with<T>(&self, work: impl FnOnce(&mut Stats) -> T) -> T {
        work(&mut self.stats.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A virtual user: what lives on from one iteration to the next.
pub struct Vu {
    pub id: u32,
    pub iteration: u64,
    random: u64,
    slots: Vec<Option<String>>,
    rows: Vec<usize>,
    cookies: Vec<(String, String, String)>,
}

impl Vu {
    pub fn new(id: u32, slots: usize) -> Vu {
        // Seeded by its number, so that the same test draws the same numbers again.
        let random = (u64::from(id) + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let (slots, rows, cookies) = (vec![None; slots], Vec::new(), Vec::new());
        Vu { id, iteration: 0, random, slots, rows, cookies }
    }

    /// From 0 up to, without, 1 (xorshift64*).
    fn draw(&mut self) -> f64 {
        self.random ^= self.random >> 12;
        self.random ^= self.random << 25;
        self.random ^= self.random >> 27;
        (self.random.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn fill(&self, template: &Template, around: &Around) -> String {
        template.fill(|slot, out| match slot {
            Slot::Extracted(i) => {
                out.push_str(self.slots.get(i).and_then(Option::as_deref).unwrap_or(""))
            }
            Slot::Data(set, column) => {
                let rows = around.plan.data.get(set).map(|d| &d.rows);
                let row = rows.and_then(|r| r.get(*self.rows.get(set)?));
                out.push_str(row.and_then(|r| r.get(column)).map_or("", String::as_str));
            }
            Slot::Builtin(builtin) => {
                let _ = match builtin {
                    Builtin::Vu => write!(out, "{}", self.id),
                    Builtin::Iter => write!(out, "{}", self.iteration),
                    // Of this request's own place in the sequence; the generator itself is not moved.
                    Builtin::Random => {
                        write!(out, "{}", self.random.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33)
                    }
                    Builtin::Millis => write!(out, "{}", now_ms()),
                };
            }
        })
    }

    fn begin(&mut self, around: &Around) {
        self.slots.iter_mut().for_each(|s| *s = None);
        self.cookies.clear();
        self.rows.clear();
        for (i, data) in around.plan.data.iter().enumerate() {
            let row = if data.random {
                (self.draw() * data.rows.len() as f64) as usize
            } else {
                let next = around.rows.get(i).map_or(0, |n| n.fetch_add(1, Ordering::Relaxed));
                usize::try_from(next).unwrap_or(0) % data.rows.len().max(1)
            };
            self.rows.push(row);
        }
    }
}

fn now_ms() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis())
}

/// Does all steps. The first request is due at `due`; each later one when the step before it has ended.
pub async fn iterate(
    around: &Around,
    scenario: usize,
    flow: &Arc<[Step]>,
    vu: &mut Vu,
    due: Instant,
) {
    let began = Instant::now();
    around.with(|stats| {
        if let Some(s) = stats.scenarios.get_mut(scenario) {
            s.lag.record(began.saturating_duration_since(due));
        }
    });
    vu.begin(around);
    let mut due = due;
    // What is left to do, innermost last: a choice puts its branch on top.
    let mut stack: Vec<(Arc<[Step]>, usize)> = vec![(flow.clone(), 0)];
    while let Some((steps, at)) = stack.last_mut() {
        let Some(step) = steps.get(*at).cloned() else {
            stack.pop();
            continue;
        };
        *at += 1;
        match step {
            Step::Sleep(pause) => {
                let more = (pause.max - pause.min).mul_f64(vu.draw());
                tokio::time::sleep(pause.min + more).await;
                due = Instant::now();
            }
            Step::Choose(branches) => {
                let total = branches.last().map_or(0.0, |b| b.0);
                let drawn = vu.draw() * total;
                if let Some((_, steps)) = branches.into_iter().find(|b| drawn < b.0) {
                    stack.push((steps, 0));
                }
            }
            Step::Request(request) => {
                if !one(around, scenario, &request, vu, due).await {
                    break;
                }
                due = Instant::now();
            }
        }
    }
    vu.iteration += 1;
    around.with(|stats| {
        if let Some(s) = stats.scenarios.get_mut(scenario) {
            s.iterations += 1;
            s.iteration.record(began.elapsed());
        }
    });
}

/// One request with its redirections. Whether the iteration can go on.
async fn one(
    around: &Around,
    scenario: usize,
    request: &Request,
    vu: &mut Vu,
    due: Instant,
) -> bool {
    let url = vu.fill(&request.url, around);
    let mut method = request.method.clone();
    let mut body = request.body.as_ref().map(|b| Bytes::from(vu.fill(b, around)));
    let mut next = Target::parse(&url);
    let mut asked = url;
    let mut due = due;
    for left in (0..=around.plan.settings.redirects).rev() {
        let Some((target, path)) = next else {
            let fault = net::no_address(&asked);
            around.with(|stats| {
                stats.error(request.id, fault.kind, &fault.why);
                stats.exchange(scenario, request.id, 0, true, &Default::default());
            });
            return answered(around, request, vu, None, Duration::ZERO);
        };
        let keep = if request.looks { limits::BODY } else { 0 };
        let headers = headers(around, request, vu, &target, body.is_some());
        let ask = Ask {
            method: method.clone(),
            target,
            path,
            headers,
            body: body.clone().unwrap_or_default(),
            keep,
        };
        let limit = request.timeout.saturating_sub(due.elapsed()).max(Duration::from_millis(1));
        let (parts, answer) =
            match tokio::time::timeout(limit, around.pool.exchange(&ask, due)).await {
                Ok(done) => done,
                Err(_) => {
                    let mut parts =
                        crate::metric::Parts { duration: due.elapsed(), ..Default::default() };
                    parts.service = parts.duration;
                    (parts, Err(net::timed_out(request.timeout)))
                }
            };
        record(around, scenario, request, &parts, &answer);
        let Ok(answer) = answer else { return answered(around, request, vu, None, parts.duration) };
        keep_cookies(vu, &ask.target, &answer.headers);
        let to = location(&answer, &ask).filter(|_| left > 0);
        let Some(to) = to else {
            return answered(around, request, vu, Some(&answer), parts.duration);
        };
        if answer.status != StatusCode::TEMPORARY_REDIRECT
            && answer.status != StatusCode::PERMANENT_REDIRECT
            && method != Method::HEAD
        {
            (method, body) = (Method::GET, None);
        }
        next = Target::parse(&to);
        asked = to;
        due = Instant::now();
    }
    true
}

fn record(
    around: &Around,
    scenario: usize,
    request: &Request,
    parts: &crate::metric::Parts,
    answer: &Result<Answer, Fault>,
) {
    let status = answer.as_ref().map_or(0, |a| a.status.as_u16());
    let failed = status == 0 || !request.expected.iter().any(|e| e.has(status));
    around.with(|stats| {
        stats.exchange(scenario, request.id, status, failed, parts);
        match answer {
            Err(fault) => stats.error(request.id, fault.kind, &fault.why),
            Ok(answer) if failed => {
                stats.error(request.id, "status", &format!("answered {}", answer.status));
            }
            Ok(_) => {}
        }
    });
}

fn headers(around: &Around, request: &Request, vu: &Vu, target: &Target, body: bool) -> HeaderMap {
    let mut out = HeaderMap::with_capacity(request.headers.len() + 3);
    let authority = HeaderValue::try_from(target.authority());
    let _ = authority.map(|a| out.insert(header::HOST, a));
    for (name, value) in &request.headers {
        if !body && name == header::CONTENT_TYPE {
            continue;
        }
        let value = match value.fixed() {
            Some(fixed) => HeaderValue::from_str(fixed),
            None => HeaderValue::try_from(vu.fill(value, around)),
        };
        // A value that cannot be sent is left out, and the server will say what it misses.
        let _ = value.map(|v| out.insert(name.clone(), v));
    }
    let ours = vu.cookies.iter().filter(|c| c.0 == target.host);
    let words: Vec<String> = ours.map(|(_, n, v)| format!("{n}={v}")).collect();
    if !words.is_empty() && !out.contains_key(header::COOKIE) {
        let _ = HeaderValue::try_from(words.join("; ")).map(|v| out.insert(header::COOKIE, v));
    }
    out
}

/// As k6: cookies last for an iteration. Paths and domains are not told apart.
fn keep_cookies(vu: &mut Vu, target: &Target, headers: &HeaderMap) {
    for cookie in headers.get_all(header::SET_COOKIE).iter().filter_map(|c| c.to_str().ok()) {
        let pair = cookie.split(';').next().unwrap_or("");
        let Some((name, value)) = pair.trim().split_once('=') else { continue };
        vu.cookies.retain(|c| !(c.0 == target.host && c.1 == name));
        let gone = cookie.to_ascii_lowercase().contains("max-age=0");
        if !gone && vu.cookies.len() < COOKIES {
            vu.cookies.push((target.host.clone(), name.to_owned(), value.to_owned()));
        }
    }
}

/// Where a redirection leads, as a whole address.
fn location(answer: &Answer, ask: &Ask) -> Option<String> {
    if !matches!(answer.status.as_u16(), 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    let to = answer.headers.get(header::LOCATION)?.to_str().ok()?;
    if to.starts_with("http://") || to.starts_with("https://") {
        return Some(to.to_owned());
    }
    let scheme = if ask.target.secure { "https" } else { "http" };
    let base = format!("{scheme}://{}", ask.target.authority());
    if let Some(to) = to.strip_prefix("//") {
        return Some(format!("{scheme}://{to}"));
    }
    if to.starts_with('/') {
        return Some(format!("{base}{to}"));
    }
    let dir = ask.path.path().rsplit_once('/').map_or("", |(dir, _)| dir);
    Some(format!("{base}{dir}/{to}"))
}

/// Checks and extracts. Without an answer every check fails. Whether the iteration can go on.
fn answered(
    around: &Around,
    request: &Request,
    vu: &mut Vu,
    answer: Option<&Answer>,
    took: Duration,
) -> bool {
    if request.checks.is_empty() && request.extract.is_empty() {
        return true;
    }
    let words = answer.map(|a| String::from_utf8_lossy(&a.body)).unwrap_or_default();
    let needs_json = request.checks.iter().any(|(_, c)| c.jsonpath.is_some())
        || request.extract.iter().any(|(_, e)| matches!(e.from, From::JsonPath(_)));
    let json: Option<Value> = if needs_json { serde_json::from_str(&words).ok() } else { None };
    let passed: Vec<(usize, bool)> = request
        .checks
        .iter()
        .map(|(id, check)| {
            (*id, answer.is_some_and(|a| holds(check, a, &words, json.as_ref(), took)))
        })
        .collect();
    around.with(|stats| passed.into_iter().for_each(|(id, passed)| stats.check(id, passed)));
    for (slot, extract) in &request.extract {
        let found = answer.and_then(|a| pick(extract, a, &words, json.as_ref()));
        let Some(found) = found.or_else(|| extract.default.clone()) else {
            around.with(|stats| {
                stats.error(
                    request.id,
                    "extract",
                    "an answer has not what was to be extracted from it",
                );
            });
            return false;
        };
        if let Some(slot) = vu.slots.get_mut(*slot) {
            *slot = Some(found);
        }
    }
    true
}

fn holds(c: &Check, answer: &Answer, words: &str, json: Option<&Value>, took: Duration) -> bool {
    let header = c.header.as_ref().map(|h| answer.headers.get(h).and_then(|v| v.to_str().ok()));
    let found = c.jsonpath.as_ref().map(|p| json.and_then(|j| p.get(j)).map(find::words));
    let wanted = |have: Option<&str>| match (have, &c.equals) {
        (Some(have), Some(want)) => have == want,
        (have, None) => have.is_some(),
        (None, Some(_)) => false,
    };
    c.status.is_none_or(|s| s.has(answer.status.as_u16()))
        && header.is_none_or(wanted)
        && found.is_none_or(|f| wanted(f.as_deref()))
        && c.contains.as_ref().is_none_or(|w| words.contains(w.as_str()))
        && c.regex.as_ref().is_none_or(|r| r.is_match(words))
        && c.most.is_none_or(|most| took <= most)
}

fn pick(extract: &Extract, answer: &Answer, words: &str, json: Option<&Value>) -> Option<String> {
    match &extract.from {
        From::JsonPath(path) => path.get(json?).map(find::words),
        From::Header(name) => answer.headers.get(name)?.to_str().ok().map(str::to_owned),
        From::Regex(regex) => {
            let found = regex.captures(words)?;
            found.get(1).or_else(|| found.get(0)).map(|m| m.as_str().to_owned())
        }
    }
}

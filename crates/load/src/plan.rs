//! A test, compiled: every name found, every template cut, every threshold understood.

use crate::file::{self, Executor, HttpVersion, Order, Pause, Statuses, Test};
use crate::find::JsonPath;
use crate::limits;
use crate::read::{Source, join, nearest};
use crate::schedule::{Curve, Ramp};
use crate::template::{BUILTINS, Known, Slot, Template};
use crate::threshold::{Expression, MetricKind, Selector, Threshold};
use http::{HeaderName, HeaderValue, Method};
use kernel::{Error, Result, Text, text};
use regex::Regex;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(60);
const GRACE: Duration = Duration::from_secs(30);
const REDIRECTS: u32 = 10;
const DEFAULT_MAX: Duration = Duration::from_secs(600);

/// What a run does. Shared by all workers.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The file, or what stands for one.
    pub name: String,
    pub scenarios: Vec<Scenario>,
    pub requests: Vec<RequestInfo>,
    pub checks: Vec<CheckInfo>,
    pub thresholds: Vec<Threshold>,
    pub(crate) data: Vec<Rows>,
    pub(crate) settings: Settings,
}

#[derive(Clone, Debug)]
pub struct Scenario {
    pub name: String,
    /// As in the file: `constant-arrival-rate`.
    pub executor: &'static str,
    pub how: How,
    pub start: Duration,
    pub grace: Duration,
    pub(crate) flow: Arc<[Step]>,
    /// Variables that its steps extract.
    pub(crate) slots: usize,
}

#[derive(Clone, Debug)]
pub enum How {
    /// Open: iterations a second over time.
    Arrivals { curve: Curve, pre: u32, max: u32 },
    /// Closed: looping VUs over time.
    Looping { curve: Curve },
    /// Closed: so many iterations in all, by so many VUs.
    Shared { iterations: u64, vus: u32, most: Duration },
    /// Closed: so many iterations of each VU.
    Each { iterations: u64, vus: u32, most: Duration },
}

impl How {
    pub fn vus(&self) -> u32 {
        match self {
            How::Arrivals { max, .. } => *max,
            How::Looping { curve } => curve.peak().ceil() as u32,
            How::Shared { vus, .. } | How::Each { vus, .. } => *vus,
        }
    }

    /// From the scenario's start, without the grace.
    pub fn length(&self) -> Duration {
        match self {
            How::Arrivals { curve, .. } | How::Looping { curve } => curve.length(),
            How::Shared { most, .. } | How::Each { most, .. } => *most,
        }
    }

    /// Mean iterations a second, of an open model.
    pub fn rate(&self) -> Option<f64> {
        match self {
            How::Arrivals { curve, .. } => {
                Some(curve.total() / curve.length().as_secs_f64().max(f64::MIN_POSITIVE))
            }
            _ => None,
        }
    }
}

#[derive(Clone, Debug)]
pub struct RequestInfo {
    pub scenario: usize,
    pub name: String,
    pub method: String,
    pub url: String,
    /// With those of the test and the scenario, and k6's own: `scenario`, `name`, `method`, `url`.
    pub tags: BTreeMap<String, String>,
}

#[derive(Clone, Debug)]
pub struct CheckInfo {
    pub request: usize,
    pub name: String,
}

/// Whose word is taken that a server is the one that was meant, over TLS.
#[derive(Clone, Debug, Default)]
pub enum Trust {
    /// The authorities that the machine knows: `SSL_CERT_FILE`, or where distributions keep them.
    #[default]
    Machine,
    /// These alone.
    Only(Vec<CertificateDer<'static>>),
    /// `insecureSkipTLSVerify`: whoever answers.
    Anyone,
}

impl Trust {
    /// The authorities of a file in PEM.
    ///
    /// # Errors
    /// `load.cacert` when it has none.
    pub fn only(pem: &[u8]) -> Result<Trust> {
        let found: Vec<_> = CertificateDer::pem_slice_iter(pem).flatten().collect();
        if found.is_empty() {
            let say = text!("there is no certificate in PEM", "PEM 형식의 인증서가 없습니다");
            return Err(Error::invalid("load.cacert", say));
        }
        Ok(Trust::Only(found))
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub trust: Trust,
    pub reuse: bool,
    pub version: HttpVersion,
    pub redirects: u32,
    pub hosts: BTreeMap<String, String>,
}

#[derive(Clone, Debug)]
pub(crate) enum Step {
    Request(Arc<Request>),
    Sleep(Pause),
    /// Each with the sum of the weights up to it.
    Choose(Vec<(f64, Arc<[Step]>)>),
}

#[derive(Debug)]
pub(crate) struct Request {
    pub id: usize,
    pub method: Method,
    pub url: Template,
    pub headers: Vec<(HeaderName, Template)>,
    pub body: Option<Template>,
    pub timeout: Duration,
    pub expected: Vec<Statuses>,
    pub checks: Vec<(usize, Check)>,
    pub extract: Vec<(usize, Extract)>,
    /// Whether anything looks into the body.
    pub looks: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Check {
    pub status: Option<Statuses>,
    pub header: Option<HeaderName>,
    pub contains: Option<String>,
    pub regex: Option<Regex>,
    pub jsonpath: Option<JsonPath>,
    pub equals: Option<String>,
    pub most: Option<Duration>,
}

#[derive(Debug)]
pub(crate) enum From {
    JsonPath(JsonPath),
    Regex(Regex),
    Header(HeaderName),
}

#[derive(Debug)]
pub(crate) struct Extract {
    pub from: From,
    pub default: Option<String>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Rows {
    pub rows: Arc<Vec<Vec<String>>>,
    pub random: bool,
}

/// What a plan is compiled with.
pub struct With<'a> {
    /// `-e NAME=VALUE`: stronger than the file's variables.
    pub variables: BTreeMap<String, String>,
    /// A file beside the test, by the path in it.
    pub file: &'a dyn Fn(&str) -> std::io::Result<String>,
}

/// Compiles a test.
///
/// # Errors
/// `load.file` with the place of what does not fit.
pub fn compile(source: &Source, with: &With<'_>) -> Result<Plan> {
    let test = &source.test;
    let mut maker = Maker {
        source,
        requests: Vec::new(),
        checks: Vec::new(),
        data: Vec::new(),
        known: BTreeMap::new(),
        steps: 0,
    };
    maker.learn(with)?;
    let scenarios = maker.scenarios()?;
    let thresholds = thresholds(source, &maker, &scenarios)?;
    let settings = Settings {
        trust: if test.insecure_skip_tls_verify { Trust::Anyone } else { Trust::Machine },
        reuse: !test.no_connection_reuse,
        version: test.http_version,
        redirects: test.max_redirects.unwrap_or(REDIRECTS).min(50),
        hosts: test.hosts.clone(),
    };
    let (requests, checks, data) = (maker.requests, maker.checks, maker.data);
    let name = source.name.clone();
    Ok(Plan { name, scenarios, requests, checks, thresholds, data, settings })
}

impl Plan {
    /// The same test of servers that somebody else vouches for.
    pub fn trusting(mut self, trust: Trust) -> Plan {
        self.settings.trust = trust;
        self
    }

    /// Sessions that can be open at the same time.
    pub fn vus(&self) -> u32 {
        self.scenarios.iter().fold(0, |sum, s| s.how.vus().saturating_add(sum))
    }

    /// From start to the latest end, without grace.
    pub fn length(&self) -> Duration {
        self.scenarios.iter().map(|s| s.start + s.how.length()).max().unwrap_or_default()
    }

    /// The same load without beginning and end: every scenario at its mean, for so long, at once.
    pub fn steady(&self, length: Duration) -> Plan {
        let mut plan = self.clone();
        plan.thresholds.clear();
        for s in &mut plan.scenarios {
            (s.start, s.grace) = (Duration::ZERO, Duration::from_secs(5));
            s.how = match &s.how {
                How::Arrivals { curve, pre, max } => {
                    let mean = curve.total() / curve.length().as_secs_f64().max(f64::MIN_POSITIVE);
                    How::Arrivals { curve: Curve::constant(mean, length), pre: *pre, max: *max }
                }
                other => How::Looping { curve: Curve::constant(f64::from(other.vus()), length) },
            };
        }
        plan
    }

    /// Iterations a second at the most, of all open scenarios together.
    pub fn peak(&self) -> f64 {
        let peak = |s: &Scenario| match &s.how {
            How::Arrivals { curve, .. } => curve.peak(),
            _ => 0.0,
        };
        self.scenarios.iter().map(peak).sum()
    }
}

struct Maker<'a> {
    source: &'a Source,
    requests: Vec<RequestInfo>,
    checks: Vec<CheckInfo>,
    data: Vec<Rows>,
    known: BTreeMap<String, Known>,
    steps: usize,
}

/// What the steps of one scenario are compiled in.
struct Inside<'a> {
    scenario: usize,
    tags: BTreeMap<String, String>,
    known: BTreeMap<String, Known>,
    slots: Vec<String>,
    test: &'a Test,
}

impl<'a> Maker<'a> {
    fn wrong(&self, path: &str, say: Text) -> Error {
        self.source.wrong(path, say)
    }

    /// Variables and data.
    fn learn(&mut self, with: &With<'_>) -> Result<()> {
        for (name, builtin) in BUILTINS {
            self.known.insert(name.to_owned(), Known::Later(Slot::Builtin(builtin)));
        }
        for (name, value) in &self.source.test.variables {
            self.known.insert(name.clone(), Known::Fixed(value.0.clone()));
        }
        for (name, value) in &with.variables {
            self.known.insert(name.clone(), Known::Fixed(value.clone()));
        }
        for (name, data) in &self.source.test.data {
            let path = join("data", name);
            let (columns, rows) = self.rows(&path, data, with)?;
            for (i, column) in columns.iter().enumerate() {
                let slot = Known::Later(Slot::Data(self.data.len(), i));
                self.known.insert(format!("{name}.{column}"), slot);
            }
            let random = data.order == Order::Random;
            self.data.push(Rows { rows: Arc::new(rows), random });
        }
        Ok(())
    }

    fn rows(
        &self,
        path: &str,
        data: &file::Data,
        with: &With<'_>,
    ) -> Result<(Vec<String>, Vec<Vec<String>>)> {
        let (columns, rows) = match (&data.file, data.rows.is_empty()) {
            (Some(file), true) => {
                let words = (with.file)(file).map_err(|e| {
                    let say =
                        text!("{file} cannot be read: {e}", "{file}을(를) 읽을 수 없습니다: {e}");
                    self.wrong(&join(path, "file"), say)
                })?;
                if words.len() as u64 > limits::DATA {
                    let most = limits::DATA;
                    let say = text!(
                        "{file} is larger than {most} bytes",
                        "{file}이(가) {most}바이트를 넘습니다"
                    );
                    return Err(self.wrong(&join(path, "file"), say));
                }
                crate::csv::parse(&words).map_err(|line| {
                    let say = text!(
                        "line {line} of {file} has not as many fields as its first",
                        "{file}의 {line}번째 줄은 필드 수가 첫 줄과 다릅니다"
                    );
                    self.wrong(&join(path, "file"), say)
                })?
            }
            (None, false) => {
                let names: Vec<String> =
                    data.rows.first().map(|r| r.keys().cloned().collect()).unwrap_or_default();
                let row = |row: &BTreeMap<String, file::Word>| -> Option<Vec<String>> {
                    (row.len() == names.len()).then_some(())?;
                    names.iter().map(|n| Some(row.get(n)?.0.clone())).collect()
                };
                let rows = data.rows.iter().enumerate().map(|(i, r)| {
                    row(r).ok_or_else(|| {
                        let say = text!(
                            "this row has not the same names as the first",
                            "이 행의 이름이 첫 행과 다릅니다"
                        );
                        self.wrong(&join(&join(path, "rows"), &i.to_string()), say)
                    })
                });
                (names.clone(), rows.collect::<Result<Vec<_>>>()?)
            }
            _ => {
                let say = text!(
                    "data needs either `file` or `rows`",
                    "data에는 `file`과 `rows` 중 하나가 필요합니다"
                );
                return Err(self.wrong(path, say));
            }
        };
        if rows.is_empty() {
            let say = text!("there are no rows", "행이 없습니다");
            return Err(self.wrong(path, say));
        }
        Ok((columns, rows))
    }

    fn scenarios(&mut self) -> Result<Vec<Scenario>> {
        let test = &self.source.test;
        let mut all: Vec<(String, String, file::Scenario)> = test
            .scenarios
            .iter()
            .map(|(name, s)| (name.clone(), join("scenarios", name), s.clone()))
            .collect();
        if let Some(short) = short_form(test) {
            if !all.is_empty() {
                let say = text!(
                    "`vus`, `duration`, `iterations` and `stages` stand in for `scenarios`: use one of both",
                    "`vus`, `duration`, `iterations`, `stages`는 `scenarios`를 대신합니다. 둘 중 하나만 쓰세요"
                );
                return Err(self.wrong("scenarios", say));
            }
            all.push(("default".to_owned(), String::new(), short));
        }
        if all.is_empty() {
            let say = text!("there is no scenario", "시나리오가 없습니다");
            let hint = text!(
                "`scenarios:` holds them by name; `naru load schema` shows what they take",
                "`scenarios:` 아래에 이름별로 쓰세요. 쓸 수 있는 것은 `naru load schema`가 보여 줍니다"
            );
            return Err(self.wrong("", say).hint(hint));
        }
        if all.len() > limits::SCENARIOS {
            let most = limits::SCENARIOS;
            let say = text!("more than {most} scenarios", "시나리오가 {most}개를 넘습니다");
            return Err(self.wrong("scenarios", say));
        }
        let mut out = Vec::new();
        for (i, (name, path, scenario)) in all.iter().enumerate() {
            out.push(self.scenario(i, name, path, scenario)?);
        }
        let vus: u32 = out.iter().fold(0, |sum, s: &Scenario| s.how.vus().saturating_add(sum));
        if vus > limits::VUS {
            let most = limits::VUS;
            let say = text!(
                "{vus} VUs: at most {most} in all",
                "VU {vus}개: 모두 합쳐 {most}개까지입니다"
            );
            return Err(self.wrong("scenarios", say));
        }
        Ok(out)
    }

    fn scenario(
        &mut self,
        index: usize,
        name: &str,
        path: &str,
        s: &file::Scenario,
    ) -> Result<Scenario> {
        let how = How::of(s).map_err(|(key, say)| self.wrong(&join(path, key), say))?;
        let test = &self.source.test;
        let mut tags = test.tags.clone();
        tags.extend(s.tags.clone());
        tags.insert("scenario".to_owned(), name.to_owned());
        let mut known = self.known.clone();
        for (name, value) in &s.env {
            known.entry(name.clone()).or_insert_with(|| Known::Fixed(value.0.clone()));
        }
        let mut inside = Inside { scenario: index, tags, known, slots: Vec::new(), test };
        let (steps, at) = match &s.exec {
            Some(exec) if s.steps.is_empty() => match test.flows.get(exec) {
                Some(steps) => (steps, join("flows", exec)),
                None => {
                    let flows: Vec<&str> = test.flows.keys().map(String::as_str).collect();
                    let say = text!("there is no flow `{exec}`", "`{exec}` 플로우가 없습니다");
                    return Err(self.wrong(&join(path, "exec"), say).hint(nearest(exec, &flows)));
                }
            },
            Some(_) => {
                let say = text!(
                    "`exec` and `steps` are one too many",
                    "`exec`와 `steps`는 함께 쓸 수 없습니다"
                );
                return Err(self.wrong(&join(path, "exec"), say));
            }
            None if s.steps.is_empty() => (&test.steps, "steps".to_owned()),
            None => (&s.steps, join(path, "steps")),
        };
        if steps.is_empty() {
            let say = text!("this scenario has no steps", "이 시나리오에는 단계가 없습니다");
            let hint = text!(
                "give it `steps`, or `exec` with the name of a flow",
                "`steps`를 쓰거나, `exec`에 플로우 이름을 쓰세요"
            );
            return Err(self.wrong(path, say).hint(hint));
        }
        let flow = self.flow(&mut inside, steps, &at)?;
        Ok(Scenario {
            name: name.to_owned(),
            executor: word(s.executor),
            how,
            start: s.start_time.map_or(Duration::ZERO, |t| t.0),
            grace: s.graceful_stop.map_or(GRACE, |t| t.0),
            flow,
            slots: inside.slots.len(),
        })
    }

    fn flow(
        &mut self,
        inside: &mut Inside<'_>,
        steps: &[file::Step],
        at: &str,
    ) -> Result<Arc<[Step]>> {
        let mut out = Vec::new();
        for (i, step) in steps.iter().enumerate() {
            let at = join(at, &i.to_string());
            self.steps += 1;
            if self.steps > limits::STEPS {
                let most = limits::STEPS;
                let say = text!("more than {most} steps", "단계가 {most}개를 넘습니다");
                return Err(self.wrong(&at, say));
            }
            out.push(match step {
                file::Step::Sleep(pause) => Step::Sleep(*pause),
                file::Step::Request(request) => {
                    Step::Request(Arc::new(self.request(inside, request, &join(&at, "request"))?))
                }
                file::Step::Choose(branches) => {
                    Step::Choose(self.choose(inside, branches, &join(&at, "choose"))?)
                }
            });
        }
        Ok(out.into())
    }

    fn choose(
        &mut self,
        inside: &mut Inside<'_>,
        branches: &[file::Branch],
        at: &str,
    ) -> Result<Vec<(f64, Arc<[Step]>)>> {
        let mut sum = 0.0;
        let mut out = Vec::new();
        for (i, branch) in branches.iter().enumerate() {
            let at = join(at, &i.to_string());
            if !(branch.weight.is_finite() && branch.weight > 0.0) {
                let say = text!("a weight is a number above 0", "가중치는 0보다 큰 수입니다");
                return Err(self.wrong(&join(&at, "weight"), say));
            }
            sum += branch.weight;
            out.push((sum, self.flow(inside, &branch.steps, &join(&at, "steps"))?));
        }
        if out.is_empty() {
            return Err(self.wrong(at, text!("nothing to choose from", "고를 것이 없습니다")));
        }
        Ok(out)
    }

    fn template(&self, inside: &Inside<'_>, words: &str, at: &str) -> Result<Template> {
        Template::parse(words, &inside.known).map_err(|unknown| match unknown {
            None => self.wrong(at, text!("`${{` has no end", "`${{`이(가) 닫히지 않았습니다")),
            Some(name) => {
                let known: Vec<&str> = inside.known.keys().map(String::as_str).collect();
                let say = text!(
                    "`{name}` is not known: no variable, no column, nothing extracted by an earlier step",
                    "`{name}`을(를) 알 수 없습니다. 변수도, 데이터 열도, 앞 단계에서 추출한 값도 아닙니다"
                );
                self.wrong(at, say).hint(nearest(&name, &known))
            }
        })
    }

    fn request(&mut self, inside: &mut Inside<'_>, r: &file::Request, at: &str) -> Result<Request> {
        let id = self.requests.len();
        let body = self.body(inside, r, at)?;
        let method = r.method.as_deref().unwrap_or(if body.is_some() { "POST" } else { "GET" });
        let method = Method::from_bytes(method.to_ascii_uppercase().as_bytes()).map_err(|_| {
            let say = text!("`{method}` is not a method", "`{method}`은(는) 메서드가 아닙니다");
            self.wrong(&join(at, "method"), say)
        })?;
        let url_at = join(at, "url");
        let url = self.template(inside, &r.url, &url_at)?;
        if let Some(fixed) = url.fixed() {
            crate::net::Target::parse(fixed).ok_or_else(|| self.no_url(fixed, &url_at))?;
        }
        let headers = self.headers(inside, r, body.is_some(), at)?;
        let mut tags = inside.tags.clone();
        tags.extend(r.tags.clone());
        let name = r.name.clone().unwrap_or_else(|| format!("{method} {}", r.url));
        for (key, value) in [("name", &name), ("url", &r.url), ("method", &method.to_string())] {
            tags.insert(key.to_owned(), value.clone());
        }
        let info = RequestInfo {
            scenario: inside.scenario,
            name,
            method: method.to_string(),
            url: r.url.clone(),
            tags,
        };
        self.requests.push(info);
        let mut checks = Vec::new();
        for (name, check) in &r.checks {
            let check = self.check(check, &join(&join(at, "checks"), name))?;
            checks.push((self.checks.len(), check));
            self.checks.push(CheckInfo { request: id, name: name.clone() });
        }
        let mut extract = Vec::new();
        for (name, one) in &r.extract {
            let one = self.extract(one, &join(&join(at, "extract"), name))?;
            let slot = inside.slots.iter().position(|s| s == name).unwrap_or(inside.slots.len());
            if slot == inside.slots.len() {
                inside.slots.push(name.clone());
            }
            inside.known.insert(name.clone(), Known::Later(Slot::Extracted(slot)));
            extract.push((slot, one));
        }
        let deep = |c: &Check| c.contains.is_some() || c.regex.is_some() || c.jsonpath.is_some();
        let looks = checks.iter().any(|(_, c)| deep(c))
            || extract.iter().any(|(_, e)| !matches!(e.from, From::Header(_)));
        let expected =
            match (r.expected_statuses.is_empty(), inside.test.expected_statuses.is_empty()) {
                (false, _) => r.expected_statuses.clone(),
                (true, false) => inside.test.expected_statuses.clone(),
                (true, true) => vec![Statuses { from: 200, to: 399 }],
            };
        let timeout = r.timeout.map_or(TIMEOUT, |t| t.0);
        Ok(Request { id, method, url, headers, body, timeout, expected, checks, extract, looks })
    }

    fn no_url(&self, words: &str, at: &str) -> Error {
        let say = text!("“{words}” is not an address", "“{words}”은(는) 주소가 아닙니다");
        self.wrong(at, say)
            .hint(text!("write it as http://HOST:PORT/PATH", "http://호스트:포트/경로 꼴로 쓰세요"))
    }

    fn body(&self, inside: &Inside<'_>, r: &file::Request, at: &str) -> Result<Option<Template>> {
        let given = [r.body.is_some(), r.json.is_some(), r.form.is_some()];
        if given.iter().filter(|g| **g).count() > 1 {
            let say = text!(
                "one of `body`, `json` and `form`, not more",
                "`body`, `json`, `form` 중 하나만 쓸 수 있습니다"
            );
            return Err(self.wrong(at, say));
        }
        if let Some(body) = &r.body {
            return self.template(inside, body, &join(at, "body")).map(Some);
        }
        if let Some(json) = &r.json {
            return self.template(inside, &json.to_string(), &join(at, "json")).map(Some);
        }
        let Some(form) = &r.form else { return Ok(None) };
        let encode = |w: &str| {
            // Variables stay as they are, to be filled in later.
            let parts = w.split_inclusive('}').map(|part| match part.find("${") {
                Some(i) => {
                    let (before, variable) = part.split_at(i);
                    format!("{}{variable}", percent(before))
                }
                None => percent(part),
            });
            parts.collect::<String>()
        };
        let words: Vec<String> =
            form.iter().map(|(k, v)| format!("{}={}", encode(k), encode(v))).collect();
        self.template(inside, &words.join("&"), &join(at, "form")).map(Some)
    }

    fn headers(
        &self,
        inside: &Inside<'_>,
        r: &file::Request,
        body: bool,
        at: &str,
    ) -> Result<Vec<(HeaderName, Template)>> {
        let agent = inside.test.user_agent.clone();
        let agent =
            agent.unwrap_or_else(|| concat!("naru-load/", env!("CARGO_PKG_VERSION")).into());
        let mut all: BTreeMap<String, (String, String)> = BTreeMap::new();
        all.insert("user-agent".to_owned(), (agent, "userAgent".to_owned()));
        if r.json.is_some() {
            all.insert(
                "content-type".to_owned(),
                ("application/json".to_owned(), join(at, "json")),
            );
        } else if r.form.is_some() && body {
            let kind = "application/x-www-form-urlencoded".to_owned();
            all.insert("content-type".to_owned(), (kind, join(at, "form")));
        }
        for (from, at) in
            [(&inside.test.headers, "headers".to_owned()), (&r.headers, join(at, "headers"))]
        {
            for (name, value) in from {
                all.insert(name.to_ascii_lowercase(), (value.clone(), join(&at, name)));
            }
        }
        let mut out = Vec::new();
        for (name, (value, at)) in all {
            let header = HeaderName::from_bytes(name.as_bytes()).map_err(|_| {
                self.wrong(
                    &at,
                    text!("`{name}` cannot be a header", "`{name}`은(는) 헤더가 될 수 없습니다"),
                )
            })?;
            let value = self.template(inside, &value, &at)?;
            if value.fixed().is_some_and(|v| HeaderValue::from_str(v).is_err()) {
                let say = text!("this cannot be the value of a header", "헤더 값이 될 수 없습니다");
                return Err(self.wrong(&at, say));
            }
            out.push((header, value));
        }
        Ok(out)
    }

    fn check(&self, c: &file::Check, at: &str) -> Result<Check> {
        let named = [
            c.status.is_some(),
            c.header.is_some(),
            c.contains.is_some(),
            c.regex.is_some(),
            c.jsonpath.is_some(),
            c.max_duration.is_some(),
        ];
        if !named.contains(&true) {
            let say = text!("this check asks for nothing", "이 검사는 아무것도 확인하지 않습니다");
            return Err(self.wrong(at, say));
        }
        if c.equals.is_some() && c.header.is_none() && c.jsonpath.is_none() {
            let say = text!(
                "`equals` needs `header` or `jsonpath` beside it",
                "`equals`는 `header`나 `jsonpath`와 함께 씁니다"
            );
            return Err(self.wrong(&join(at, "equals"), say));
        }
        Ok(Check {
            status: c.status,
            header: c.header.as_deref().map(|h| self.header(h, &join(at, "header"))).transpose()?,
            contains: c.contains.clone(),
            regex: c.regex.as_deref().map(|r| self.regex(r, &join(at, "regex"))).transpose()?,
            jsonpath: c
                .jsonpath
                .as_deref()
                .map(|p| self.path(p, &join(at, "jsonpath")))
                .transpose()?,
            equals: c.equals.as_ref().map(|w| w.0.clone()),
            most: c.max_duration.map(|d| d.0),
        })
    }

    fn extract(&self, e: &file::Extract, at: &str) -> Result<Extract> {
        let from = match (&e.jsonpath, &e.regex, &e.header) {
            (Some(path), None, None) => From::JsonPath(self.path(path, &join(at, "jsonpath"))?),
            (None, Some(regex), None) => From::Regex(self.regex(regex, &join(at, "regex"))?),
            (None, None, Some(name)) => From::Header(self.header(name, &join(at, "header"))?),
            _ => {
                let say = text!(
                    "exactly one of `jsonpath`, `regex` and `header`",
                    "`jsonpath`, `regex`, `header` 중 꼭 하나를 쓰세요"
                );
                return Err(self.wrong(at, say));
            }
        };
        Ok(Extract { from, default: e.default.as_ref().map(|w| w.0.clone()) })
    }

    fn header(&self, name: &str, at: &str) -> Result<HeaderName> {
        HeaderName::from_bytes(name.as_bytes()).map_err(|_| {
            self.wrong(
                at,
                text!("`{name}` cannot be a header", "`{name}`은(는) 헤더가 될 수 없습니다"),
            )
        })
    }

    fn regex(&self, words: &str, at: &str) -> Result<Regex> {
        regex::RegexBuilder::new(words).size_limit(1 << 20).build().map_err(|e| {
            let why = e.to_string();
            let why =
                why.lines().last().unwrap_or("").trim().trim_start_matches("error: ").to_owned();
            let say = text!("not a regular expression: {why}", "정규 표현식이 아닙니다: {why}");
            self.wrong(at, say)
        })
    }

    fn path(&self, words: &str, at: &str) -> Result<JsonPath> {
        JsonPath::parse(words).ok_or_else(|| {
            let say =
                text!("“{words}” is not a path into JSON", "“{words}”은(는) JSON 경로가 아닙니다");
            self.wrong(at, say).hint(text!(
                "keys and indices: `$.items[0].id`",
                "키와 번호로 쓰세요: `$.items[0].id`"
            ))
        })
    }
}

fn percent(words: &str) -> String {
    percent_encoding::utf8_percent_encode(words, percent_encoding::NON_ALPHANUMERIC).to_string()
}

fn word(executor: Executor) -> &'static str {
    match executor {
        Executor::ConstantArrivalRate => "constant-arrival-rate",
        Executor::RampingArrivalRate => "ramping-arrival-rate",
        Executor::ConstantVus => "constant-vus",
        Executor::RampingVus => "ramping-vus",
        Executor::SharedIterations => "shared-iterations",
        Executor::PerVuIterations => "per-vu-iterations",
    }
}

/// k6's options without `scenarios`.
fn short_form(test: &Test) -> Option<file::Scenario> {
    let mut made = file::Scenario {
        executor: Executor::ConstantVus,
        rate: None,
        start_rate: None,
        time_unit: None,
        duration: None,
        pre_allocated_vus: None,
        max_vus: None,
        vus: test.vus,
        start_vus: None,
        iterations: None,
        max_duration: None,
        stages: Vec::new(),
        start_time: None,
        graceful_stop: None,
        exec: None,
        steps: Vec::new(),
        tags: BTreeMap::new(),
        env: BTreeMap::new(),
    };
    if !test.stages.is_empty() {
        made.executor = Executor::RampingVus;
        made.stages.clone_from(&test.stages);
        made.start_vus = made.vus.take();
    } else if test.iterations.is_some() {
        made.executor = Executor::SharedIterations;
        made.iterations = test.iterations;
        made.max_duration = test.duration;
    } else if test.duration.is_some() {
        made.duration = test.duration;
    } else if test.vus.is_none() {
        return None;
    } else {
        made.executor = Executor::SharedIterations;
        made.iterations = test.vus.map(u64::from);
    }
    Some(made)
}

type Fault = (&'static str, Text);

impl How {
    fn of(s: &file::Scenario) -> Result<How, Fault> {
        unused(s)?;
        let unit = s.time_unit.map_or(1.0, |t| t.0.as_secs_f64());
        if unit <= 0.0 {
            return Err((
                "timeUnit",
                text!("a time unit is longer than nothing", "시간 단위는 0보다 길어야 합니다"),
            ));
        }
        let how = match s.executor {
            Executor::ConstantArrivalRate => {
                let rate = positive("rate", s.rate)? / unit;
                let curve = Curve::constant(rate, need("duration", s.duration)?.0);
                arrivals(s, curve)?
            }
            Executor::RampingArrivalRate => {
                let curve = ramps(s, s.start_rate.unwrap_or(0.0), 1.0 / unit)?;
                arrivals(s, curve)?
            }
            Executor::ConstantVus => {
                let vus = f64::from(s.vus.unwrap_or(1));
                How::Looping { curve: Curve::constant(vus, need("duration", s.duration)?.0) }
            }
            Executor::RampingVus => {
                How::Looping { curve: ramps(s, f64::from(s.start_vus.unwrap_or(1)), 1.0)? }
            }
            Executor::SharedIterations | Executor::PerVuIterations => {
                let (iterations, vus) = (s.iterations.unwrap_or(1), s.vus.unwrap_or(1));
                let most = s.max_duration.map_or(DEFAULT_MAX, |d| d.0);
                match s.executor {
                    Executor::SharedIterations => How::Shared { iterations, vus, most },
                    _ => How::Each { iterations, vus, most },
                }
            }
        };
        if how.vus() == 0 {
            return Err(("vus", text!("at least one VU", "VU는 하나 이상이어야 합니다")));
        }
        if how.length().is_zero() || how.length().as_secs_f64() > limits::LENGTH {
            return Err((
                "duration",
                text!(
                    "longer than nothing, and at most a day",
                    "0보다 길고 하루를 넘지 않아야 합니다"
                ),
            ));
        }
        Ok(how)
    }
}

/// What the executor would pass over in silence is an error.
fn unused(s: &file::Scenario) -> Result<(), Fault> {
    use Executor as E;
    let open = matches!(s.executor, E::ConstantArrivalRate | E::RampingArrivalRate);
    let counted = matches!(s.executor, E::SharedIterations | E::PerVuIterations);
    let ramping = matches!(s.executor, E::RampingArrivalRate | E::RampingVus);
    let given = [
        ("rate", s.rate.is_some(), s.executor == E::ConstantArrivalRate),
        ("startRate", s.start_rate.is_some(), s.executor == E::RampingArrivalRate),
        ("timeUnit", s.time_unit.is_some(), open),
        ("preAllocatedVUs", s.pre_allocated_vus.is_some(), open),
        ("maxVUs", s.max_vus.is_some(), open),
        ("vus", s.vus.is_some(), counted || s.executor == E::ConstantVus),
        ("startVUs", s.start_vus.is_some(), s.executor == E::RampingVus),
        ("iterations", s.iterations.is_some(), counted),
        ("maxDuration", s.max_duration.is_some(), counted),
        ("stages", !s.stages.is_empty(), ramping),
        ("duration", s.duration.is_some(), !counted && !ramping),
    ];
    let executor = word(s.executor);
    match given.iter().find(|(_, given, used)| *given && !used) {
        Some((key, ..)) => Err((
            key,
            text!(
                "{executor} does not use `{key}`",
                "{executor}은(는) `{key}`을(를) 쓰지 않습니다"
            ),
        )),
        None => Ok(()),
    }
}

fn need<T>(key: &'static str, value: Option<T>) -> Result<T, Fault> {
    value.ok_or_else(|| (key, text!("`{key}` is missing", "`{key}`이(가) 없습니다")))
}

fn positive(key: &'static str, value: Option<f64>) -> Result<f64, Fault> {
    let value = need(key, value)?;
    if value.is_finite() && value > 0.0 {
        return Ok(value);
    }
    Err((key, text!("`{key}` is a number above 0", "`{key}`은(는) 0보다 큰 수입니다")))
}

fn ramps(s: &file::Scenario, from: f64, scale: f64) -> Result<Curve, Fault> {
    let sound = |v: f64| v.is_finite() && v >= 0.0;
    if s.stages.is_empty() {
        return Err(("stages", text!("`stages` is missing", "`stages`이(가) 없습니다")));
    }
    if !sound(from) || !s.stages.iter().all(|stage| sound(stage.target)) {
        return Err((
            "stages",
            text!("a target is a number from 0 up", "목표는 0 이상의 수입니다"),
        ));
    }
    let ramp = |stage: &file::Stage| Ramp {
        // A stage without length is a jump.
        seconds: stage.duration.0.as_secs_f64().max(1e-9),
        to: stage.target * scale,
    };
    Ok(Curve { from: from * scale, ramps: s.stages.iter().map(ramp).collect() })
}

fn arrivals(s: &file::Scenario, curve: Curve) -> Result<How, Fault> {
    let peak = curve.peak();
    if peak > limits::RATE {
        let most = limits::RATE;
        return Err(("rate", text!("at most {most} a second", "초당 {most}까지입니다")));
    }
    let pre = s.pre_allocated_vus.unwrap_or_else(|| (peak / 10.0).ceil().clamp(10.0, 500.0) as u32);
    let usual = if s.pre_allocated_vus.is_some() { pre } else { pre.saturating_mul(10) };
    let max = s.max_vus.unwrap_or(usual);
    if max < pre && s.pre_allocated_vus.is_some() {
        let say = text!(
            "`maxVUs` is {max}, fewer than the {pre} of `preAllocatedVUs`",
            "`maxVUs`가 {max}로 `preAllocatedVUs`의 {pre}보다 적습니다"
        );
        return Err(("maxVUs", say));
    }
    Ok(How::Arrivals { curve, pre: pre.min(max), max })
}

/// Metrics by name, and whether they are kept by request, by status, by check or by scenario.
pub const METRICS: &[(&str, MetricKind, Kept)] = &[
    ("http_reqs", MetricKind::Counter, Kept::Status),
    ("http_req_duration", MetricKind::Trend, Kept::Status),
    ("http_req_failed", MetricKind::Rate, Kept::Status),
    ("http_req_blocked", MetricKind::Trend, Kept::Request),
    ("http_req_connecting", MetricKind::Trend, Kept::Request),
    ("http_req_tls_handshaking", MetricKind::Trend, Kept::Request),
    ("http_req_sending", MetricKind::Trend, Kept::Request),
    ("http_req_waiting", MetricKind::Trend, Kept::Request),
    ("http_req_receiving", MetricKind::Trend, Kept::Request),
    ("http_req_service", MetricKind::Trend, Kept::Request),
    ("http_req_looking_up", MetricKind::Trend, Kept::Request),
    ("data_sent", MetricKind::Counter, Kept::Request),
    ("data_received", MetricKind::Counter, Kept::Request),
    ("checks", MetricKind::Rate, Kept::Check),
    ("iterations", MetricKind::Counter, Kept::Scenario),
    ("iteration_duration", MetricKind::Trend, Kept::Scenario),
    ("dropped_iterations", MetricKind::Counter, Kept::Scenario),
    ("schedule_lag", MetricKind::Trend, Kept::Scenario),
    ("vus", MetricKind::Gauge, Kept::Whole),
    ("vus_max", MetricKind::Gauge, Kept::Whole),
];

/// By what a metric can be told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// The request's tags, and `status` and `expected_response`.
    Status,
    /// The request's tags.
    Request,
    /// The request's tags, and `check`.
    Check,
    /// `scenario`.
    Scenario,
    Whole,
}

fn thresholds(
    source: &Source,
    maker: &Maker<'_>,
    scenarios: &[Scenario],
) -> Result<Vec<Threshold>> {
    let mut out = Vec::new();
    for (key, limits) in &source.test.thresholds {
        let at = join("thresholds", key);
        let on = Selector::parse(key).ok_or_else(|| {
            let say = text!(
                "“{key}” is not a metric with tags",
                "“{key}”은(는) 태그가 붙은 지표가 아닙니다"
            );
            source.wrong(&at, say).hint(text!(
                "write it as `http_req_duration{{name:login}}`",
                "`http_req_duration{{name:login}}` 꼴로 쓰세요"
            ))
        })?;
        let Some((_, kind, kept)) = METRICS.iter().find(|m| m.0 == on.metric) else {
            let names: Vec<&str> = METRICS.iter().map(|m| m.0).collect();
            let metric = &on.metric;
            let say = text!("there is no metric `{metric}`", "`{metric}` 지표가 없습니다");
            return Err(source.wrong(&at, say).hint(nearest(metric, &names)));
        };
        fits(source, maker, scenarios, &at, &on, *kept)?;
        for (i, limit) in limits.iter().enumerate() {
            let words = &limit.threshold;
            let at = join(&at, &i.to_string());
            let is = Expression::parse(words).ok_or_else(|| {
                let say =
                    text!("“{words}” is not a threshold", "“{words}”은(는) 임계값이 아닙니다");
                source.wrong(&at, say).hint(text!(
                    "write it as `p(95)<200`, `avg<100`, `rate<0.01` or `count>100`",
                    "`p(95)<200`, `avg<100`, `rate<0.01`, `count>100` 꼴로 쓰세요"
                ))
            })?;
            if !kind.has(is.of) {
                let (metric, known) = (&on.metric, kind.aggregates().join(", "));
                let say = text!(
                    "`{words}` does not fit {metric}",
                    "`{words}`은(는) {metric}에 맞지 않습니다"
                );
                return Err(source
                    .wrong(&at, say)
                    .hint(text!("it has {known}", "쓸 수 있는 것: {known}")));
            }
            out.push(Threshold {
                key: key.clone(),
                words: words.clone(),
                on: on.clone(),
                is,
                abort: limit.abort_on_fail,
                delay: limit.delay_abort_eval,
            });
        }
    }
    Ok(out)
}

/// A threshold on tags that nothing can have would always hold: that is an error.
fn fits(
    source: &Source,
    maker: &Maker<'_>,
    scenarios: &[Scenario],
    at: &str,
    on: &Selector,
    kept: Kept,
) -> Result<()> {
    let mut left = on.tags.clone();
    match kept {
        Kept::Status => {
            left.remove("status");
            left.remove("expected_response");
        }
        Kept::Check => drop(left.remove("check")),
        _ => {}
    }
    let has = |tags: &BTreeMap<String, String>| left.iter().all(|(k, v)| tags.get(k) == Some(v));
    let found = match kept {
        Kept::Status | Kept::Request => maker.requests.iter().any(|r| has(&r.tags)),
        Kept::Check => maker.checks.iter().any(|c| {
            let request = maker.requests.get(c.request);
            let named = on.tags.get("check").is_none_or(|n| *n == c.name);
            named && request.is_some_and(|r| has(&r.tags))
        }),
        Kept::Scenario => scenarios
            .iter()
            .any(|s| has(&BTreeMap::from([("scenario".to_owned(), s.name.clone())]))),
        Kept::Whole => left.is_empty(),
    };
    if found {
        return Ok(());
    }
    let say = text!(
        "nothing in this test has these tags, so the threshold would always hold",
        "이 테스트에는 이 태그를 가진 것이 없어 임계값이 언제나 지켜집니다"
    );
    let mut known: Vec<&str> = maker.requests.iter().map(|r| r.name.as_str()).collect();
    known.truncate(8);
    let names = known.join(", ");
    Err(source.wrong(at, say).hint(text!("requests are named: {names}", "요청 이름: {names}")))
}

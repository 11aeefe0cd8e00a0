//! A test, compiled: every name found, every template cut, every threshold understood.

mod check;
mod how;
mod make;
mod request;
mod thresholds;

use crate::file::{HttpVersion, Pause, Statuses};
use crate::find::JsonPath;
use crate::read::Source;
use crate::schedule::Curve;
use crate::template::Template;
use crate::threshold::Threshold;
use http::{HeaderName, Method};
use kernel::{Error, Result, text};
use make::Maker;
use regex::Regex;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use thresholds::thresholds;

pub use thresholds::{Kept, METRICS};

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

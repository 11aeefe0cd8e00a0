//! `Service`, `Release` and `Instance`.

use crate::measure::{Cores, Length, Share, Size};
use kernel::kind::{KindDef, Scope, Writer};
use kernel::{Error, Kind, Name, Result, Text, Time, text};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The most instances of one service on one machine.
pub const MAX_REPLICAS: u32 = 100;

/// A program that runs all the time, in one or more instances. The shortest spec is its command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Service {
    /// Given to `sh -c` in the release's files, with `$PORT` set. It must listen there, on 127.0.0.1.
    pub command: String,
    #[serde(default = "one")]
    pub replicas: u32,
    /// How to tell that an instance can serve: a path (`/healthz`) or an object. Without it, accepting a
    /// connection counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<Health>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// Whether it listens on `$PORT`. One that does not, such as a queue worker, has no address and counts
    /// as ready when it has stayed up for a second.
    #[serde(default = "yes")]
    pub listens: bool,
    #[serde(default)]
    pub resources: Resources,
    #[serde(default)]
    pub stop: Stop,
    #[serde(default)]
    pub strategy: Strategy,
    /// How long an instance may take until it is ready.
    #[serde(default = "thirty")]
    pub ready_within: Length,
    #[serde(default)]
    pub restart: Restart,
    /// Host names that lead here, beside `<service>.<project>.localhost`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<String>,
}

/// An HTTP probe: a `GET` whose answer has a status from 200 to 399.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Health {
    pub path: String,
    /// Between two probes of an instance that is up.
    pub interval: Length,
    /// For one answer.
    pub timeout: Length,
    /// In a row, until an instance that was ready is taken out and started again.
    pub failures: u32,
}

impl Default for Health {
    fn default() -> Health {
        Health {
            path: "/".into(),
            interval: Length::secs(5),
            timeout: Length::secs(2),
            failures: 3,
        }
    }
}

impl<'de> Deserialize<'de> for Health {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Health, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields, default)]
        struct Long {
            path: String,
            interval: Length,
            timeout: Length,
            failures: u32,
        }
        impl Default for Long {
            fn default() -> Long {
                let Health { path, interval, timeout, failures } = Health::default();
                Long { path, interval, timeout, failures }
            }
        }
        struct Either;
        impl<'de> serde::de::Visitor<'de> for Either {
            type Value = Health;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a path such as /healthz, or {path, interval, timeout, failures}")
            }
            fn visit_str<E>(self, path: &str) -> Result<Health, E> {
                Ok(Health { path: path.to_owned(), ..Health::default() })
            }
            fn visit_map<A: serde::de::MapAccess<'de>>(self, map: A) -> Result<Health, A::Error> {
                let Long { path, interval, timeout, failures } =
                    Long::deserialize(serde::de::value::MapAccessDeserializer::new(map))?;
                Ok(Health { path, interval, timeout, failures })
            }
        }
        d.deserialize_any(Either)
    }
}

/// Limits of each instance.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Resources {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<Cores>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<Size>,
}

/// How an instance is asked to end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Stop {
    /// `TERM`, `INT`, `QUIT`, `HUP`, `USR1`, `USR2` or `KILL`.
    pub signal: String,
    /// From the signal until it is killed.
    pub grace: Length,
    /// How long requests under way may last before the signal is sent.
    pub drain: Length,
}

impl Default for Stop {
    fn default() -> Stop {
        Stop { signal: "TERM".into(), grace: Length::secs(10), drain: Length::secs(30) }
    }
}

const SIGNALS: [(&str, i32); 7] =
    [("TERM", 15), ("INT", 2), ("QUIT", 3), ("HUP", 1), ("USR1", 10), ("USR2", 12), ("KILL", 9)];

impl Stop {
    /// The number of the signal on Linux.
    pub(crate) fn number(&self) -> Option<i32> {
        let word = self.signal.trim_start_matches("SIG");
        SIGNALS.iter().find(|(name, _)| *name == word).map(|(_, number)| *number)
    }
}

/// How one release takes over from another: instances are replaced a few at a time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Strategy {
    #[serde(rename = "type")]
    pub kind: StrategyKind,
    /// Instances beyond the replicas during a rollout; a percentage is rounded up.
    pub max_surge: Share,
    /// Replicas that may be missing during a rollout; a percentage is rounded down.
    pub max_unavailable: Share,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum StrategyKind {
    #[default]
    Rolling,
}

impl Default for Strategy {
    fn default() -> Strategy {
        Strategy {
            kind: StrategyKind::Rolling,
            max_surge: Share::Percent(25),
            max_unavailable: Share::Percent(25),
        }
    }
}

/// Pauses before an instance that ended is started again: the first, doubled each time up to the most.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Restart {
    pub first: Length,
    pub most: Length,
    /// One that has been up this long begins with the first pause again.
    pub reset: Length,
}

impl Default for Restart {
    fn default() -> Restart {
        Restart { first: Length::secs(1), most: Length::secs(60), reset: Length::secs(600) }
    }
}

fn one() -> u32 {
    1
}
fn yes() -> bool {
    true
}
fn thirty() -> Length {
    Length::secs(30)
}

impl Service {
    /// One with nothing but its command.
    pub fn new(command: &str) -> Service {
        Service {
            command: command.to_owned(),
            replicas: one(),
            health: None,
            env: BTreeMap::new(),
            listens: true,
            resources: Resources::default(),
            stop: Stop::default(),
            strategy: Strategy::default(),
            ready_within: thirty(),
            restart: Restart::default(),
            hosts: Vec::new(),
        }
    }

    /// Whether it differs from `other` in something that only new instances can take up.
    pub(crate) fn needs_release(&self, other: &Service) -> bool {
        let still = |s: &Service| Service {
            replicas: 0,
            strategy: Strategy::default(),
            restart: Restart::default(),
            ..s.clone()
        };
        still(self) != still(other)
    }
}

/// What the owner saw of a service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ServiceStatus {
    /// The release that serves.
    pub release: Option<Name>,
    /// What served before it.
    pub previous: Option<Name>,
    /// The release that a rollout is bringing in.
    pub rolling: Option<Name>,
    pub run: Option<String>,
    /// The generation of the spec that has been acted upon.
    pub generation: u64,
    /// Instances that should be there, of the release that serves.
    pub wanted: u32,
    pub ready: u32,
    /// `2/2`
    pub instances: String,
    pub url: Option<String>,
    pub condition: Condition,
    pub message: Option<Text>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// Nothing has been released yet.
    #[default]
    Empty,
    /// A rollout is under way.
    Rolling,
    /// All wanted instances are ready.
    Healthy,
    /// Some are not.
    Degraded,
    /// None is.
    Down,
    /// Scaled to nothing.
    Idle,
}

impl Condition {
    pub fn text(self) -> Text {
        match self {
            Condition::Empty => Text::fixed("nothing released yet", "릴리스 없음"),
            Condition::Rolling => Text::fixed("rolling out", "롤아웃 중"),
            Condition::Healthy => Text::fixed("healthy", "정상"),
            Condition::Degraded => Text::fixed("degraded", "일부 비정상"),
            Condition::Down => Text::fixed("down", "중단됨"),
            Condition::Idle => Text::fixed("scaled to zero", "인스턴스 0개"),
        }
    }
}

impl Kind for Service {
    const KIND: &'static str = "Service";
    type Status = ServiceStatus;

    fn check(&self) -> Result<()> {
        crate::check::service(self)
    }
}

/// What a service was at one commit, with one configuration. Never edited.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Release {
    pub service: Name,
    /// From 1, without gaps, per service.
    pub number: u64,
    pub repository: Name,
    pub commit: String,
    pub change: Option<Name>,
    /// Its files, as a tree in the blob store.
    pub tree: String,
    /// The spec of the service that it was made with.
    pub config: Service,
    /// Journal sequence of the push that brought the commit; newer pushes have greater ones.
    pub pushed: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReleaseStatus {}

impl Kind for Release {
    const KIND: &'static str = "Release";
    type Status = ReleaseStatus;
}

/// One running copy of a release.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Instance {
    pub service: Name,
    pub release: Name,
    /// Its id at the host, and the name of its log.
    pub workload: String,
    /// Where it listens; `None` for one that does not.
    pub address: Option<String>,
    pub started: Time,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum InstanceState {
    #[default]
    Starting,
    Ready,
    /// It runs and fails its probes.
    Unready,
    /// It gets no new request and is about to end.
    Stopping,
    Stopped,
    /// It ended by itself; another takes its place.
    Crashed,
}

impl InstanceState {
    pub fn text(self) -> Text {
        match self {
            InstanceState::Starting => Text::fixed("starting", "시작 중"),
            InstanceState::Ready => Text::fixed("ready", "준비됨"),
            InstanceState::Unready => Text::fixed("not ready", "준비 안 됨"),
            InstanceState::Stopping => Text::fixed("stopping", "중지하는 중"),
            InstanceState::Stopped => Text::fixed("stopped", "중지됨"),
            InstanceState::Crashed => Text::fixed("crashed", "비정상 종료"),
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct InstanceStatus {
    pub state: InstanceState,
    /// How often its place was filled again after a failure.
    pub restarts: u32,
    /// When it came into this state.
    pub since: Time,
    pub reason: Option<Text>,
}

impl Kind for Instance {
    const KIND: &'static str = "Instance";
    type Status = InstanceStatus;
}

/// The name of a service's release: `web-7`.
///
/// # Errors
/// `service.name` when the service's name is too long for that.
pub(crate) fn release_name(service: &Name, number: u64) -> Result<Name> {
    // Workload ids hold project, service and numbers in 128 bytes.
    if service.as_str().len() > 40 {
        return Err(Error::invalid(
            "service.name",
            text!(
                "the name of a service has at most 40 characters",
                "서비스 이름은 40자까지입니다"
            ),
        )
        .hint(text!("shorten “{service}”", "“{service}”을(를) 줄이세요")));
    }
    Name::parse(&format!("{service}-{number}"))
}

pub(crate) static KINDS: &[KindDef] = &[
    KindDef::of::<Service>(
        "services",
        Scope::Project,
        Writer::People,
        ("a program that runs all the time", "늘 실행되는 프로그램"),
        &[
            ("RELEASE", "/status/release"),
            ("INSTANCES", "/status/instances"),
            ("CONDITION", "/status/condition"),
            ("URL", "/status/url"),
        ],
    ),
    KindDef::of::<Release>(
        "releases",
        Scope::Project,
        Writer::Part,
        ("a service at one commit with one configuration", "한 커밋과 한 설정으로 고정된 서비스"),
        &[("SERVICE", "/spec/service"), ("COMMIT", "/spec/commit"), ("CHANGE", "/spec/change")],
    ),
    KindDef::of::<Instance>(
        "instances",
        Scope::Project,
        Writer::Part,
        ("a running copy of a release", "실행 중인 릴리스 하나"),
        &[
            ("RELEASE", "/spec/release"),
            ("STATE", "/status/state"),
            ("RESTARTS", "/status/restarts"),
            ("ADDRESS", "/spec/address"),
        ],
    ),
];

#[cfg(test)]
#[path = "kind_tests.rs"]
mod tests;

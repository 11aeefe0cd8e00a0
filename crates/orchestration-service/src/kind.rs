//! `Service`, `Release` and `Instance`.

pub use crate::service::{
    Data, Health, InEnvironments, MAX_REPLICAS, Resources, Restart, Service, Stop, Strategy,
    StrategyKind,
};

use kernel::kind::{KindDef, Scope, Writer};
use kernel::{Error, Kind, Name, Result, Text, Time, text};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

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
    /// Of a copy: the environment it was made for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub environment: Option<Name>,
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
    /// Of a copy: the environment it was made for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<Name>,
    /// The branch that brought the commit here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// Whether that is the project's default branch.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub protected: bool,
    /// The services of the commit, this one included, and what they are called where this one runs: how
    /// they find each other.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub siblings: BTreeMap<Name, Name>,
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
            ("ENVIRONMENT", "/status/environment"),
        ],
    )
    .leaves((
        "data directories of services stay: `naru service delete NAME --with-data` removes one for good",
        "서비스의 데이터 디렉터리는 남습니다. `naru service delete NAME --with-data`로 완전히 지웁니다",
    )),
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

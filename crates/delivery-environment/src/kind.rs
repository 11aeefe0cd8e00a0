//! `Environment` and `Site`.

use kernel::journey::Tier;
use kernel::kind::{KindDef, Scope, Writer};
use kernel::{Kind, Name, Principal, Text, Time};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Deployments that an environment remembers.
pub(crate) const HISTORY: usize = 20;

/// A place that jobs deploy to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Environment {
    /// Its name as the pipeline writes it: `review/fix-1`.
    pub title: String,
    pub repository: Name,
    pub tier: Tier,
    /// Milliseconds after its last deployment or use when it stops by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auto_stop_ms: Option<u64>,
}

impl Environment {
    /// Production is what the default branch's services are; every other place gets copies of its own.
    pub fn has_copies(&self) -> bool {
        self.tier != Tier::Production
    }

    pub(crate) fn auto_stop(&self) -> Option<Duration> {
        self.auto_stop_ms.map(Duration::from_millis)
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EnvironmentState {
    #[default]
    Available,
    /// The job that stops it is under way.
    Stopping,
    Stopped,
    /// That job did not pass: its services stay until somebody insists.
    Failed,
}

impl EnvironmentState {
    pub fn text(self) -> Text {
        match self {
            EnvironmentState::Available => Text::fixed("available", "사용 가능"),
            EnvironmentState::Stopping => Text::fixed("stopping", "정지하는 중"),
            EnvironmentState::Stopped => Text::fixed("stopped", "정지됨"),
            EnvironmentState::Failed => Text::fixed("failed to stop", "정지 실패"),
        }
    }
}

/// How a deployment, or one service of it, does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Progress {
    #[default]
    Underway,
    Live,
    Failed,
    /// Another came before it was done.
    Superseded,
}

impl Progress {
    pub fn text(self) -> Text {
        match self {
            Progress::Underway => Text::fixed("being deployed", "배포 중"),
            Progress::Live => Text::fixed("live", "제공 중"),
            Progress::Failed => Text::fixed("failed", "실패"),
            Progress::Superseded => Text::fixed("superseded", "대체됨"),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Deployment {
    /// From 1, per environment.
    pub number: u64,
    pub commit: String,
    /// First line of the commit's message, when it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// `refs/heads/fix-1`
    pub refname: String,
    pub change: Option<Name>,
    /// The run and the step that deployed.
    pub run: String,
    pub step: String,
    pub at: Time,
    /// Who started that run.
    pub by: Principal,
    /// The step of the same run that stops the environment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_stop: Option<String>,
    /// As the job says; else the first service's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    pub progress: Progress,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Text>,
    /// When it was live, or failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub done: Option<Time>,
}

impl Deployment {
    /// `fix-1`
    pub fn branch(&self) -> &str {
        let name = self.refname.strip_prefix("refs/").unwrap_or(&self.refname);
        name.split_once('/').map_or(name, |(_, rest)| rest)
    }
}

/// A service of the environment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Member {
    /// As the commit names it.
    pub name: Name,
    /// Its resource: for a copy, a name of its own.
    pub service: Name,
    pub listens: bool,
    /// The rollout that brings or brought it in.
    pub run: String,
    pub progress: Progress,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Text>,
}

/// A stop that waits for its job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Stopping {
    pub run: String,
    pub step: String,
    pub by: Principal,
    pub since: Time,
    /// The job has failed before: a new run of it is to be made.
    #[serde(default)]
    pub again: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct EnvironmentStatus {
    pub state: EnvironmentState,
    pub url: Option<String>,
    /// What is there now.
    pub deployment: Option<Deployment>,
    pub services: Vec<Member>,
    /// When it stops by itself.
    pub stops_at: Option<Time>,
    /// When it was asked for something last, as far as that was looked at.
    pub used: Option<Time>,
    pub stopping: Option<Stopping>,
    /// Why it is as it is.
    pub reason: Option<Text>,
    /// The deployments before, newest first.
    pub history: Vec<Deployment>,
    /// Sequence of the `environment.opened` that is in force.
    pub opened: u64,
}

impl Kind for Environment {
    const KIND: &'static str = "Environment";
    type Status = EnvironmentStatus;
}

/// The web site of a repository, made by its pipeline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Site {
    pub repository: Name,
    /// What is served, each below a prefix of its own; the empty one is the root.
    pub editions: Vec<Edition>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Edition {
    pub prefix: String,
    /// Hash of the tree of its files.
    pub tree: String,
    pub commit: String,
    pub run: String,
    pub step: String,
    pub published: Time,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Time>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct SiteStatus {
    pub url: Option<String>,
    /// Why it is not served.
    pub reason: Option<Text>,
}

impl Kind for Site {
    const KIND: &'static str = "Site";
    type Status = SiteStatus;
}

pub(crate) static KINDS: &[KindDef] = &[
    KindDef::of::<Environment>(
        "environments",
        Scope::Project,
        Writer::Part,
        ("a place that jobs deploy to", "작업이 배포하는 곳"),
        &[
            ("TITLE", "/spec/title"),
            ("TIER", "/spec/tier"),
            ("STATE", "/status/state"),
            ("URL", "/status/url"),
            ("STOPS", "/status/stops_at"),
        ],
    ),
    KindDef::of::<Site>(
        "sites",
        Scope::Project,
        Writer::Part,
        ("a web site made by a pipeline", "파이프라인이 만든 웹 사이트"),
        &[("REPOSITORY", "/spec/repository"), ("URL", "/status/url")],
    ),
];

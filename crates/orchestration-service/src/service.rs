//! What people say of a service: the spec of the kind.

use crate::env::Env;
use crate::identity::IdToken;
use crate::measure::{Cores, Length, Share, Size};
use kernel::Result;
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
    pub env: BTreeMap<String, Env>,
    /// Signed tokens that say who an instance is, each in a file of its own that is renewed while it runs; the
    /// file's path is in the variable of that name. `VAULT_TOKEN: {aud: https://vault.example.com}`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub id_tokens: BTreeMap<String, IdToken>,
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
    /// Host names that lead here, beside `<service>.<project>.localhost`. Copies for environments have
    /// none of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<String>,
    /// A directory that outlives instances and releases: `/data`, or wherever `$NARU_DATA_DIR` says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Data>,
    /// What is different in copies for environments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environments: Option<InEnvironments>,
}

/// A service's own data. All its instances share it; an environment's copy has one of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Data {
    /// A directory of the repository that a new data directory is filled with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<String>,
    /// Whether copies for environments begin with what production has, instead of the seed. What production's
    /// own release says counts, never what a branch says.
    #[serde(default)]
    pub lend: bool,
}

/// What is different in the copies of a service that environments get.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InEnvironments {
    /// Instead of the service's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// One, if left out, however many production has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replicas: Option<u32>,
    /// Added to the service's own, or in place of those.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, Env>,
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
            id_tokens: BTreeMap::new(),
            listens: true,
            resources: Resources::default(),
            stop: Stop::default(),
            strategy: Strategy::default(),
            ready_within: thirty(),
            restart: Restart::default(),
            hosts: Vec::new(),
            data: None,
            environments: None,
        }
    }

    /// The service as a copy of it runs in an environment.
    pub(crate) fn in_environment(mut self) -> Service {
        let patch = self.environments.take().unwrap_or_default();
        self.replicas = patch.replicas.unwrap_or_else(one);
        self.command = patch.command.unwrap_or(self.command);
        self.env.extend(patch.env);
        self.hosts.clear();
        self
    }

    /// Whether it differs from `other` in something that only new instances can take up.
    pub(crate) fn needs_release(&self, other: &Service) -> bool {
        let still = |s: &Service| Service {
            replicas: 0,
            strategy: Strategy::default(),
            restart: Restart::default(),
            environments: None,
            ..s.clone()
        };
        still(self) != still(other)
    }
}

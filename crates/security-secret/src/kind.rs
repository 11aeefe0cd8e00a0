//! `Secret`: all that is to be known of a secret but its value.

use crate::lend::Lender;
use crate::plan;
use kernel::kind::{KindDef, Scope, Writer};
use kernel::time::parse_duration;
use kernel::{Error, Kind, Name, Principal, Result, Text, Time, text};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Versions that may be kept.
const MOST_VERSIONS: u32 = 100;
const MOST_ENVIRONMENTS: usize = 50;
const LONGEST_WORDS: usize = 1_000;

/// A value that only those get whom it is meant for. The value itself is in no resource, event or answer: it is
/// written (`naru secret set`) and handed to jobs and services.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Secret {
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// As programs find it; the name in upper case, if left out: `DATABASE_PASSWORD` for `database-password`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variable: Option<String>,
    /// The environments it is for, with `*` for any characters: `production`, `review/*`. All and none, if left
    /// out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub environments: Vec<String>,
    /// Only for what comes from a protected branch or tag.
    #[serde(default)]
    pub protected: bool,
    /// The value is in a file, and that file's path in the variable.
    #[serde(default)]
    pub file: bool,
    /// Whether jobs get it without asking. Services name what they need.
    #[serde(default = "yes")]
    pub jobs: bool,
    /// After how long it should have a new value: `90d`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotate_every: Option<String>,
    /// Its value is drawn by naru, and drawn anew by itself when `rotate_every` is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generate: Option<Generate>,
    /// It has no value of its own: each job or instance that names it gets an account made for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lends: Option<Lends>,
    /// Versions that are kept, the newest included.
    #[serde(default = "ten")]
    pub keep: u32,
}

/// How accounts are made for those who ask.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Lends {
    pub by: Lender,
    /// The secret of the project whose value is the URL of an administrator over there.
    pub connection: Name,
    /// PostgreSQL: roles that the account is in. Redis: rules of its access control list (`~orders:*`, `+@read`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub grant: Vec<String>,
    /// How long an account holds that nobody extends: 1m to 1d. It is extended while its job or instance is there.
    #[serde(default = "hour")]
    pub life: String,
}

fn hour() -> String {
    "1h".to_owned()
}

impl Lends {
    pub(crate) fn life(&self) -> Duration {
        parse_duration(&self.life).unwrap_or(Duration::from_secs(3600))
    }

    fn check(&self) -> Result<()> {
        let day = Duration::from_secs(24 * 3600);
        let life = parse_duration(&self.life);
        if !life.is_some_and(|l| (Duration::from_secs(60)..=day).contains(&l)) {
            return Err(wrong(Text::fixed(
                "the `life` of an account is 1m to 1d",
                "계정의 `life`는 1m~1d입니다",
            )));
        }
        let sound = |g: &String| !g.is_empty() && g.len() <= 200 && !g.contains(char::is_control);
        if self.grant.len() > 50 || !self.grant.iter().all(sound) {
            return Err(wrong(Text::fixed(
                "`grant` has at most 50 entries of 1 to 200 characters",
                "`grant`는 1~200자짜리 50개까지입니다",
            )));
        }
        // What these say of passwords and of the user itself is naru's to say.
        let forbidden = |g: &String| {
            let word = g.to_ascii_lowercase();
            word.starts_with(['>', '<', '#', '!'])
                || ["on", "off", "nopass", "reset", "resetpass"].contains(&&*word)
        };
        match self.grant.iter().find(|g| self.by == Lender::Redis && forbidden(g)) {
            Some(rule) => {
                let shown = kernel::shown(rule);
                Err(wrong(text!(
                    "the rule `{shown}` is naru's to give",
                    "`{shown}` 규칙은 naru가 정합니다"
                )))
            }
            None => Ok(()),
        }
    }
}

/// How a value is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Generate {
    /// Characters: 8 to 4096.
    #[serde(default = "forty")]
    pub length: usize,
    #[serde(default)]
    pub of: Letters,
}

/// Of which characters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Letters {
    /// Letters and digits.
    #[default]
    Plain,
    Hex,
    /// With punctuation.
    Full,
}

impl Default for Generate {
    fn default() -> Generate {
        Generate { length: forty(), of: Letters::default() }
    }
}

impl Default for Secret {
    fn default() -> Secret {
        Secret {
            description: String::new(),
            variable: None,
            environments: Vec::new(),
            protected: false,
            file: false,
            jobs: yes(),
            rotate_every: None,
            generate: None,
            lends: None,
            keep: ten(),
        }
    }
}

fn yes() -> bool {
    true
}
fn ten() -> u32 {
    10
}
fn forty() -> usize {
    40
}

impl Secret {
    pub(crate) fn rotates(&self) -> Option<Duration> {
        self.rotate_every.as_deref().and_then(parse_duration)
    }
}

/// What naru saw.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct SecretStatus {
    /// The newest version; none before the first value, and after that one was destroyed.
    pub version: Option<u32>,
    /// When it was set, and by whom.
    pub set: Option<Time>,
    pub by: Option<Principal>,
    /// When it should get a new value.
    pub due: Option<Time>,
    /// That moment is over.
    pub overdue: bool,
}

impl Kind for Secret {
    const KIND: &'static str = "Secret";
    type Status = SecretStatus;

    fn check(&self) -> Result<()> {
        if let Some(variable) = &self.variable {
            plan::check_variable(variable)?;
        }
        for glob in &self.environments {
            plan::check_glob(glob)?;
        }
        if self.environments.len() > MOST_ENVIRONMENTS {
            return Err(wrong(text!(
                "more than {MOST_ENVIRONMENTS} environments",
                "환경이 {MOST_ENVIRONMENTS}개를 넘습니다"
            )));
        }
        if self.description.len() > LONGEST_WORDS {
            return Err(wrong(text!(
                "the description has more than {LONGEST_WORDS} bytes",
                "설명이 {LONGEST_WORDS}바이트를 넘습니다"
            )));
        }
        if !(1..=MOST_VERSIONS).contains(&self.keep) {
            return Err(wrong(text!(
                "`keep` is 1 to {MOST_VERSIONS}",
                "`keep`은 1에서 {MOST_VERSIONS} 사이입니다"
            )));
        }
        if self.generate.is_some_and(|g| !(8..=4096).contains(&g.length)) {
            return Err(wrong(Text::fixed(
                "a drawn value has 8 to 4096 characters",
                "생성하는 값은 8~4096자입니다",
            )));
        }
        if let Some(lends) = &self.lends {
            lends.check()?;
            if self.generate.is_some() || self.rotate_every.is_some() {
                return Err(wrong(Text::fixed(
                    "what lends accounts has no value to draw or to rotate",
                    "계정을 빌려주는 비밀 값에는 생성하거나 교체할 값이 없습니다",
                )));
            }
        }
        self.check_rotation()
    }
}

impl Secret {
    fn check_rotation(&self) -> Result<()> {
        let Some(words) = &self.rotate_every else { return Ok(()) };
        match self.rotates() {
            Some(length) if length >= Duration::from_secs(3600) => Ok(()),
            _ => {
                let shown: String = words.chars().take(40).collect();
                Err(wrong(text!(
                    "“{shown}” is not a length of time of an hour or more",
                    "“{shown}”은(는) 한 시간 이상의 기간이 아닙니다"
                ))
                .hint(Text::fixed("write 90d, 12h or 4 weeks", "90d, 12h처럼 쓰세요")))
            }
        }
    }
}

fn wrong(say: Text) -> Error {
    Error::invalid("secret.spec", say)
}

// Written through routes of its own: who may set a value may say whom it is for, and nobody else.
pub(crate) static KINDS: &[KindDef] = &[KindDef::of::<Secret>(
    "secrets",
    Scope::Project,
    Writer::Part,
    ("a sealed value for jobs and services", "작업과 서비스를 위한 봉인된 값"),
    &[
        ("VERSION", "/status/version"),
        ("SET", "/status/set"),
        ("ENVIRONMENTS", "/spec/environments"),
        ("PROTECTED", "/spec/protected"),
    ],
)];

//! `environment`: where a job deploys to, and the variables that tell the job so.

use super::error;
use super::job::Warnings;
use super::keywords::ENVIRONMENT;
use super::read;
use super::yaml::{At, Entry};
use crate::variables::{Scope, Variable};
use crate::work;
use kernel::journey::{EnvironmentAction, Tier};
use kernel::{Result, Text, text};
use sha2::{Digest, Sha256};

/// As it is written: names, times and tiers may hold variables.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    pub name: String,
    pub at: At,
    url: Option<String>,
    pub on_stop: Option<(String, At)>,
    pub action: EnvironmentAction,
    auto_stop: Option<(String, At)>,
    tier: Option<(String, At)>,
}

const ACTIONS: &[(&str, EnvironmentAction)] = &[
    ("start", EnvironmentAction::Start),
    ("prepare", EnvironmentAction::Prepare),
    ("stop", EnvironmentAction::Stop),
    ("verify", EnvironmentAction::Verify),
    ("access", EnvironmentAction::Access),
];

const TIERS: &[(&str, Tier)] = &[
    ("production", Tier::Production),
    ("staging", Tier::Staging),
    ("testing", Tier::Testing),
    ("development", Tier::Development),
    ("other", Tier::Other),
];

/// What names sound like, in this order (https://docs.gitlab.com/ci/environments/#deployment-tier-of-environments).
const SOUNDS: &[(Tier, &[&str])] = &[
    (Tier::Development, &["dev", "review", "trunk"]),
    (
        Tier::Testing,
        &[
            "test", "tst", "int", "acpt", "accpt", "acept", "accept", "qa", "qc", "control",
            "quality",
        ],
    ),
    (Tier::Staging, &["stg", "stag", "mdl", "model", "modl", "mdel", "pre", "demo", "non"]),
    (Tier::Production, &["prd", "prod", "live"]),
];

/// Of a cluster, which is not looked at.
const KUBERNETES: &[&str] =
    &["agent", "namespace", "flux_resource_path", "managed_resources", "dashboard"];

pub fn environment(entry: &Entry, warnings: &mut Warnings) -> Result<Environment> {
    let mut found = Environment { at: entry.at.clone(), ..Environment::default() };
    if entry.value.map().is_none() {
        found.name = read::text(entry)?;
        return Ok(found);
    }
    for part in read::map(&entry.value, "environment", ENVIRONMENT)? {
        let text = || Ok::<_, kernel::Error>((read::text(part)?, part.value.at.clone()));
        match part.key.as_str() {
            "name" => found.name = read::text(part)?,
            "url" => found.url = Some(address(part)?),
            "on_stop" => found.on_stop = Some(text()?),
            "action" => found.action = read::choice(part, ACTIONS)?,
            "auto_stop_in" => found.auto_stop = Some(text()?),
            "deployment_tier" => found.tier = Some(text()?),
            key => {
                read::map(&part.value, key, KUBERNETES)?;
                warnings.push(error::no_effect(&part.at, &format!("environment:{key}")));
            }
        }
    }
    if found.name.is_empty() {
        return Err(error::wanted(&entry.value.at, "environment", ("a `name`", "`name`을")));
    }
    Ok(found)
}

/// Where people find it. What begins with a variable is only known when the job runs.
fn address(entry: &Entry) -> Result<String> {
    let words = read::text(entry)?;
    if ["http://", "https://", "$"].iter().any(|begin| words.starts_with(begin)) {
        return Ok(words);
    }
    let wanted = ("an http or https URL", "http나 https URL을");
    Err(error::wanted(&entry.value.at, "environment:url", wanted))
}

impl Environment {
    /// In neutral words, with everything expanded that is known before the job runs. `stops` is the step
    /// of the same pipeline that stops it.
    ///
    /// # Errors
    /// `pipeline.value` for a time or a tier that is none once its variables are known.
    pub fn expanded(&self, scope: &Scope, stops: Option<String>) -> Result<work::Environment> {
        let name = scope.expand(&self.name);
        if name.trim().is_empty() {
            let wanted = ("a name that is not empty", "비어 있지 않은 이름을");
            return Err(error::wanted(&self.at, "environment:name", wanted));
        }
        let auto_stop_ms = match &self.auto_stop {
            Some((words, at)) => read::expiry(&scope.expand(words), at, "auto_stop_in")?,
            None => None,
        };
        let tier = match &self.tier {
            Some((words, at)) => named_tier(&scope.expand(words), at)?,
            None => tier(&name),
        };
        Ok(work::Environment {
            name,
            // May hold variables that only the job learns.
            url: self.url.clone(),
            action: self.action,
            on_stop: stops,
            auto_stop_ms,
            tier: Some(tier),
        })
    }
}

fn named_tier(words: &str, at: &At) -> Result<Tier> {
    let found = TIERS.iter().find(|(name, _)| *name == words);
    found.map(|(_, tier)| *tier).ok_or_else(|| {
        let names: Vec<&str> = TIERS.iter().map(|(name, _)| *name).collect();
        let all = names.join(", ");
        let (en, ko) = (format!("one of {all}"), format!("{all} 가운데 하나를"));
        error::wanted(at, "deployment_tier", (&en, &ko)).hint(error::nearest(words, &names))
    })
}

/// What an environment is for, guessed from its name.
fn tier(name: &str) -> Tier {
    let name = name.to_lowercase();
    let sounds = |words: &&[&str]| words.iter().any(|w| name.contains(w));
    SOUNDS.iter().find(|(_, words)| sounds(words)).map_or(Tier::Other, |(tier, _)| *tier)
}

/// The variables of a job that has an environment.
pub fn variables(environment: &work::Environment) -> Vec<Variable> {
    let word =
        |of: &EnvironmentAction| ACTIONS.iter().find(|(_, a)| a == of).map_or("", |(w, _)| w);
    let tier = TIERS.iter().find(|(_, t)| Some(*t) == environment.tier).map_or("other", |(w, _)| w);
    let mut out = vec![
        Variable::literal("CI_ENVIRONMENT_NAME", &*environment.name),
        Variable::literal("CI_ENVIRONMENT_SLUG", short_name(&environment.name)),
        Variable::literal("CI_ENVIRONMENT_ACTION", word(&environment.action)),
        Variable::literal("CI_ENVIRONMENT_TIER", tier),
    ];
    out.extend(
        environment.url.as_ref().map(|url| Variable::new("CI_ENVIRONMENT_URL", url.as_str())),
    );
    out
}

/// GitLab's short name of an environment: at most 24 letters, digits and hyphens that begin with a letter.
/// One that is not the name itself gets six characters of the name's hash, so that it stays unique.
fn short_name(name: &str) -> String {
    const LONGEST: usize = 24;
    const HASH: usize = 6;
    let mut short = String::new();
    for c in name.to_lowercase().chars() {
        let c = if c.is_ascii_lowercase() || c.is_ascii_digit() { c } else { '-' };
        if c != '-' || !short.ends_with('-') {
            short.push(c);
        }
    }
    if !short.starts_with(|c: char| c.is_ascii_lowercase()) {
        short = format!("env-{}", short.trim_start_matches('-'));
    }
    if short == name && short.len() <= LONGEST {
        return short.trim_end_matches('-').to_owned();
    }
    let mut short: String = short.chars().take(LONGEST - HASH - 1).collect();
    if !short.ends_with('-') {
        short.push('-');
    }
    short + &base36(Sha256::digest(name.as_bytes()).as_slice(), HASH)
}

/// The last digits of a number that is written as bytes, in base 36.
fn base36(bytes: &[u8], digits: usize) -> String {
    let modulus = 36_u64.pow(u32::try_from(digits).unwrap_or(6));
    let mut rest = bytes.iter().fold(0_u64, |n, byte| (n * 256 + u64::from(*byte)) % modulus);
    let mut out: Vec<char> = Vec::with_capacity(digits);
    for _ in 0..digits {
        out.push(char::from_digit(u32::try_from(rest % 36).unwrap_or(0), 36).unwrap_or('0'));
        rest /= 36;
    }
    out.iter().rev().collect()
}

/// What `on_stop` names must be a job that stops the same environment.
pub fn not_a_stop(at: &At, job: &str, why: Text) -> kernel::Error {
    let (job, Text { en, ko }) = (kernel::shown(job), why);
    let say = text!("`on_stop` names `{job}`, {en}", "`on_stop`에 적힌 `{job}`은(는) {ko}");
    error::general(at, "pipeline.on_stop", say).hint(Text::fixed(
        "name a job with the same `environment:name` and `action: stop`",
        "`environment:name`이 같고 `action: stop`이 있는 작업을 적으세요",
    ))
}

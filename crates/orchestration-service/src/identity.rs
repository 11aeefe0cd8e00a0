//! Workload identity: signed statements of who an instance is, in files that are renewed while it runs.
//!
//! ```text
//! id_tokens: {VAULT_TOKEN: {aud: https://vault.example.com}}
//!   ─► instances/<workload>/id-tokens/VAULT_TOKEN   seen at /run/id-tokens/VAULT_TOKEN, its path in $VAULT_TOKEN
//! ```
//!
//! A token is written before the instance starts and again when half of its life is over, beside the old one and
//! renamed over it, so that whoever opens the file finds a whole token. The directory goes when the instance has
//! ended. A token that was read before that holds until its own end, which is why lives are short.

use crate::files::Files;
use crate::kind::{Release, Service};
use crate::launch::{PRODUCTION, Place};
use crate::measure::Length;
use crate::{error, files};
use kernel::port::Identity;
use kernel::{Name, Result, Text, text};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use store::Store;

/// Where a sandbox sees them.
pub(crate) const SEEN: &str = "/run/id-tokens";
/// Tokens of one service.
const MOST: usize = 20;
/// Audiences of one token, and the bytes of one.
const AUDIENCES: (usize, usize) = (20, 1_000);
const SHORTEST: Duration = Duration::from_secs(60);
const LONGEST: Duration = Duration::from_secs(12 * 3600);
/// After a failure, whatever its life.
const AGAIN: Duration = Duration::from_secs(5);

/// A token that the service's instances find in a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IdToken {
    /// For whom it is: one name or several. Others have to refuse it.
    pub aud: Audience,
    /// How long one holds: 1m to 12h. It is renewed when half of that is over.
    #[serde(default = "quarter")]
    pub life: Length,
}

fn quarter() -> Length {
    Length::secs(15 * 60)
}

/// One audience is a text, several are a list, as in the token itself (RFC 7519 §4.1.3).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Audience {
    One(String),
    Several(Vec<String>),
}

impl Audience {
    fn all(&self) -> &[String] {
        match self {
            Audience::One(one) => std::slice::from_ref(one),
            Audience::Several(several) => several,
        }
    }
}

/// # Errors
/// `service.spec`
pub(crate) fn check(service: &Service) -> Result<()> {
    if service.id_tokens.len() > MOST {
        return Err(error::spec(
            text!("more than {MOST} `id_tokens`", "`id_tokens`가 {MOST}개를 넘습니다"),
            text!("remove some", "줄이세요"),
        ));
    }
    for (variable, token) in &service.id_tokens {
        if service.env.contains_key(variable) {
            return Err(error::spec(
                text!(
                    "`{variable}` is in `env` and in `id_tokens`",
                    "`{variable}`이(가) `env`와 `id_tokens`에 모두 있습니다"
                ),
                text!("rename one of them", "둘 중 하나의 이름을 바꾸세요"),
            ));
        }
        let all = token.aud.all();
        let fits = |a: &String| !a.is_empty() && a.len() <= AUDIENCES.1;
        if all.is_empty() || all.len() > AUDIENCES.0 || !all.iter().all(fits) {
            return Err(error::spec(
                text!("`{variable}` says not for whom it is", "`{variable}`의 대상이 없습니다"),
                text!(
                    "write `{variable}: {{aud: https://vault.example.com}}`",
                    "`{variable}: {{aud: https://vault.example.com}}`처럼 쓰세요"
                ),
            ));
        }
        if !(SHORTEST..=LONGEST).contains(&token.life.0) {
            return Err(error::spec(
                text!(
                    "`life` of `{variable}` is 1m to 12h",
                    "`{variable}`의 `life`는 1m~12h입니다"
                ),
                text!("leave it out for 15m", "빼면 15m입니다"),
            ));
        }
    }
    Ok(())
}

/// What is to be signed for an instance.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Badge {
    pub workload: String,
    /// Variable, claims, life.
    tokens: Vec<(String, Value, Duration)>,
}

impl Badge {
    /// `None` for a service that asks for no token.
    pub fn of(place: &Place, name: &Name, release: &Release) -> Option<Badge> {
        let about = |(variable, token): (&String, &IdToken)| {
            (variable.clone(), claims(place, name, release, &token.aud), token.life.0)
        };
        let tokens: Vec<_> = release.config.id_tokens.iter().map(about).collect();
        (!tokens.is_empty()).then(|| Badge { workload: place.id(), tokens })
    }

    /// How long one set of tokens is used.
    fn period(&self) -> Duration {
        self.tokens.iter().map(|(_, _, life)| *life / 2).min().unwrap_or(LONGEST)
    }

    /// The first tokens. An instance that should have some does not start without.
    ///
    /// # Errors
    /// `identity.missing` where nobody signs; what stands in the way of signing or writing.
    pub async fn issue(&self, identity: Option<&Arc<dyn Identity>>, files: &Files) -> Result<()> {
        let dir = files.id_tokens(&self.workload);
        files::blocking(move || files::private_dir(&dir)).await?;
        self.renew(identity, files).await
    }

    async fn renew(&self, identity: Option<&Arc<dyn Identity>>, files: &Files) -> Result<()> {
        let identity = identity.ok_or_else(missing)?;
        let dir = files.id_tokens(&self.workload);
        for (variable, claims, life) in &self.tokens {
            let token = identity.sign(claims.clone(), *life).await?;
            let (dir, variable) = (dir.clone(), variable.clone());
            files::blocking(move || put(&dir, &variable, &token)).await?;
        }
        Ok(())
    }

    /// Renews the tokens as long as it is polled, `written` ago at first.
    pub async fn keep(&self, identity: Option<Arc<dyn Identity>>, files: &Files, store: &Store) {
        let mut pause = self.period();
        loop {
            let due = store.now().plus(pause);
            store.clock().sleep_until(due).await;
            pause = match self.renew(identity.as_ref(), files).await {
                Ok(()) => self.period(),
                Err(error) => {
                    tracing::warn!(instance = self.workload, %error, "an instance's ID tokens wait to be renewed");
                    AGAIN
                }
            };
        }
    }
}

/// Beside it and renamed; it is never made in a directory that is gone.
fn put(dir: &Path, variable: &str, token: &str) -> std::io::Result<()> {
    // No variable begins with a dot.
    let beside = dir.join(format!(".{variable}"));
    let mut options = std::fs::OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
    file.write_all(token.as_bytes())?;
    std::fs::rename(beside, dir.join(variable))
}

/// Where the program finds them: pairs of variables and paths.
pub(crate) fn variables(service: &Service, dir: &Path) -> Vec<(String, String)> {
    let path = |name: &String| (name.clone(), dir.join(name).display().to_string());
    service.id_tokens.keys().map(path).collect()
}

/// Nothing is left to be read of an instance that has ended.
pub(crate) async fn end(files: &Files, workload: &str) {
    let dir: PathBuf = files.id_tokens(workload);
    // Most instances have none.
    let _ = tokio::fs::remove_dir_all(dir).await;
}

/// What a token says, in the words of the ID tokens of jobs as far as an instance has the same.
fn claims(place: &Place, name: &Name, release: &Release, audience: &Audience) -> Value {
    let Place { key, .. } = place;
    let environment = release.environment.as_ref().map_or(PRODUCTION, Name::as_str);
    let path = format!("{}/{}", key.project, release.repository);
    // Services go by their name in the file, whatever a copy of one is called.
    let own = release.siblings.iter().find(|(_, copy)| **copy == key.service);
    let service = own.map_or(&key.service, |(name, _)| name);
    let mut claims = json!({
        "sub": format!("project_path:{path}:service:{service}:environment:{environment}"),
        "aud": audience,
        "project_path": path,
        "namespace_path": key.project,
        "ref": release.branch,
        "ref_type": release.branch.as_ref().map(|_| "branch"),
        "ref_protected": release.protected.to_string(),
        "sha": release.commit,
        "change": release.change,
        "environment": environment,
        "service": service,
        "release": name,
        "instance": place.id(),
    });
    if let Some(claims) = claims.as_object_mut() {
        // What is not known is not said.
        claims.retain(|_, value| !value.is_null());
    }
    claims
}

fn missing() -> kernel::Error {
    kernel::Error::invalid(
        "identity.missing",
        Text::fixed(
            "nobody signs tokens here: `id_tokens` needs a server",
            "여기에는 토큰에 서명할 곳이 없습니다. `id_tokens`에는 서버가 필요합니다",
        ),
    )
}

#[cfg(test)]
#[path = "identity_tests.rs"]
mod tests;

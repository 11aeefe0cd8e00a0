//! Access tokens over the API: one's own, of a service account, for a machine that deploys.

use account::{Scopes, TokenView};
use http::StatusCode;
use kernel::time::parse_duration;
use kernel::{Error, Key, Lang, Name, Principal, Result, Text, text};
use naru_http::{Access, Call, Response, Route, empty, json, json_status};
use serde::Deserialize;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};

pub(crate) const ROUTES: &[Route] = &[
    Route::get("/api/v1/tokens", Access::SignedIn, ("your tokens", "내 토큰"), |c| {
        Box::pin(list(c))
    }),
    Route::post(
        "/api/v1/tokens",
        Access::SignedIn,
        (
            "make a token; its text is in this answer alone",
            "토큰 생성. 원문은 이 응답에만 있습니다",
        ),
        |c| Box::pin(create(c)),
    ),
    Route::delete(
        "/api/v1/tokens/{token}",
        Access::SignedIn,
        ("revoke a token", "토큰 폐기"),
        |c| Box::pin(revoke(c)),
    ),
];

/// A token that is asked for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wanted {
    name: Name,
    /// `30d`
    #[serde(default)]
    expires: Option<String>,
    /// `read`, or actions.
    #[serde(default)]
    scopes: Vec<String>,
    #[serde(default)]
    projects: Vec<Name>,
    /// Reads the repositories of one project.
    #[serde(default)]
    deploy: bool,
    /// For somebody else; only an administrator may.
    #[serde(default, rename = "for")]
    user: Option<Name>,
    /// For a service account.
    #[serde(default)]
    service: Option<Name>,
}

impl Wanted {
    pub fn named(name: Name) -> Wanted {
        Wanted {
            name,
            expires: None,
            scopes: Vec::new(),
            projects: Vec::new(),
            deploy: false,
            user: None,
            service: None,
        }
    }

    pub fn name(&self) -> &Name {
        &self.name
    }

    /// For this project alone, and for nobody but the account that it is made for.
    pub fn confine(&mut self, project: Name) {
        self.projects = vec![project];
        (self.user, self.service) = (None, None);
    }

    /// From the form of a page.
    ///
    /// # Errors
    /// What a name says.
    pub fn of_form(form: &BTreeMap<String, String>) -> Result<Wanted> {
        let field = |name: &str| crate::sign_in::field(form, name);
        let projects = field("projects").split([',', ' ']).filter(|p| !p.is_empty());
        let given = |name: &str| Some(field(name).to_owned()).filter(|w| !w.is_empty());
        Ok(Wanted {
            expires: given("expires"),
            scopes: given("scope").into_iter().collect(),
            projects: projects.map(Name::parse).collect::<Result<_>>()?,
            ..Wanted::named(Name::parse(field("name"))?)
        })
    }

    /// # Errors
    /// `token.scope`.
    fn scopes(&self) -> Result<Scopes> {
        let (reads, actions): (Vec<&String>, Vec<&String>) =
            self.scopes.iter().partition(|s| *s == "read");
        let sound = |a: &&String| {
            (1..=64).contains(&a.len())
                && a.bytes().all(|b| b.is_ascii_lowercase() || b"._-*".contains(&b))
                && !a.strip_suffix(".*").unwrap_or(a).contains('*')
        };
        if !actions.iter().all(sound) || actions.len() > 50 || self.projects.len() > 100 {
            return Err(Error::invalid(
                "token.scope",
                Text::fixed("a scope cannot be read", "범위를 읽을 수 없습니다"),
            )
            .hint(Text::fixed(
                "write read, git.*, project.view …",
                "read, git.*, project.view처럼 쓰세요",
            )));
        }
        let set = |all: Vec<&String>| all.into_iter().cloned().collect::<BTreeSet<_>>();
        Ok(Scopes {
            read_only: !reads.is_empty(),
            projects: Some(self.projects.iter().cloned().collect())
                .filter(|p: &BTreeSet<_>| !p.is_empty()),
            actions: Some(set(actions)).filter(|a| !a.is_empty()),
        })
    }
}

/// The caller, or the user that an administrator names.
pub(crate) async fn holder(call: &Call, user: Option<Name>) -> Result<Principal> {
    let Some(user) = user else { return Ok(call.who.clone()) };
    call.site.policy.may_administer(&call.who).await?;
    let key = Key::global::<account::User>(&user);
    match call.site.store.read(move |v| v.resource(&key)).await? {
        Some(_) => Ok(Principal::User(user)),
        None => Err(crate::people::unknown(&user)),
    }
}

/// The service account that an administrator names.
async fn service(call: &Call, name: Name) -> Result<Principal> {
    call.site.policy.may_administer(&call.who).await?;
    let key = Key::global::<account::ServiceAccount>(&name);
    match call.site.store.read(move |v| v.resource(&key)).await? {
        Some(_) => Ok(Principal::Service(name)),
        None => Err(crate::service::unknown(&name)),
    }
}

/// Makes a token for `who`.
///
/// # Errors
/// `duration.invalid`, `token.scope`, `token.exists`.
pub(crate) async fn make(call: &Call, who: Principal, wanted: Wanted) -> Result<String> {
    let valid = wanted.expires.as_deref().map(length).transpose()?;
    let new = account::NewToken {
        owner: who,
        name: wanted.name.clone(),
        deploys: wanted.deploy,
        scopes: wanted.scopes()?,
        valid,
        actor: call.who.clone(),
    };
    call.site.accounts.make_token(new).await
}

fn length(words: &str) -> Result<std::time::Duration> {
    parse_duration(words).ok_or_else(|| {
        let shown: String = words.chars().take(40).collect();
        Error::invalid(
            "duration.invalid",
            text!("“{shown}” is not a length of time", "“{shown}”은(는) 시간이 아닙니다"),
        )
        .hint(Text::fixed("write 30d, 12h or 90m", "30d, 12h, 90m처럼 쓰세요"))
    })
}

async fn list(call: Call) -> Result<Response> {
    json(&json!({ "items": call.site.accounts.tokens(&call.who).await? }))
}

async fn create(mut call: Call) -> Result<Response> {
    let mut wanted: Wanted = call.json().await?;
    let name = wanted.name.clone();
    let who = match wanted.service.take() {
        Some(name) => service(&call, name).await?,
        None => holder(&call, wanted.user.take()).await?,
    };
    let token = make(&call, who, wanted).await?;
    json_status(StatusCode::CREATED, &json!({ "name": name, "token": token }))
}

async fn revoke(call: Call) -> Result<Response> {
    call.site.accounts.revoke_token(&call.who, &call.name("token")?, call.who.clone()).await?;
    Ok(empty())
}

/// What a token may do, in a few words.
pub(crate) fn scope_words(lang: Lang, token: &TokenView) -> String {
    let mut all = Vec::new();
    if token.scopes.read_only {
        all.push(lang.pick("look", "읽기만").to_owned());
    }
    if let Some(actions) = &token.scopes.actions {
        all.extend(actions.iter().cloned());
    }
    if let Some(projects) = &token.scopes.projects {
        all.extend(projects.iter().map(|p| format!("@{p}")));
    }
    match all.is_empty() {
        true => lang.pick("everything", "모든 일").to_owned(),
        false => all.join(" "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_as_they_are_asked_for() {
        let wanted = |scopes: &[&str]| Wanted {
            scopes: scopes.iter().map(ToString::to_string).collect(),
            projects: vec![Name::parse("shop").unwrap()],
            ..Wanted::named(Name::parse("ci").unwrap())
        };
        let scopes = wanted(&["read", "git.*"]).scopes().unwrap();
        assert!(scopes.read_only && scopes.actions.unwrap().contains("git.*"));
        assert_eq!(scopes.projects.unwrap().len(), 1);
        assert!(wanted(&[]).scopes().unwrap().actions.is_none());
        for wrong in ["", "*", "g*t", "Git", "git.**", "a b"] {
            assert_eq!(wanted(&[wrong]).scopes().unwrap_err().code(), "token.scope", "{wrong}");
        }
    }
}

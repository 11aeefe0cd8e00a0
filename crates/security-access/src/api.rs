//! Routes: what may be done, why, by whom; asking for it and deciding about it.

use kernel::time::parse_duration;
use kernel::{Error, Key, Kind, Name, Principal, Resource, Result, Text, text};
use naru_http::{Access, Call, Response, Route, json, json_status};
use policy::{
    Action, Ask, Context, Decision, Given, Permission, PlatformPolicy, PlatformRole, PolicySpec,
    Role, Subject, Target, Verb, Wanted,
};
use serde::Deserialize;
use serde_json::{Value, json};
use std::time::Duration;

/// Holders in one answer.
const HOLDERS: usize = 500;
/// For how long, when nobody says.
pub(crate) const LASTS: Duration = Duration::from_secs(3600);

pub const ROUTES: &[Route] = &[
    Route::get(
        "/api/v1/access/actions",
        Access::SignedIn,
        ("actions, and which roles have them", "동작과 그 동작을 할 수 있는 역할"),
        |c| Box::pin(actions(c)),
    ),
    Route::get(
        "/api/v1/access/schema",
        Access::SignedIn,
        ("what policies can speak of, as a Cedar schema", "정책에 쓸 수 있는 것(Cedar 스키마)"),
        |_| Box::pin(async { json(&json!({ "schema": policy::schema() })) }),
    ),
    Route::get(
        "/api/v1/access/why",
        Access::SignedIn,
        (
            "whether somebody may do something, and why; about others only for who answers for it",
            "누가 무엇을 할 수 있는지와 그 까닭. 남에 대해서는 책임자만",
        ),
        |c| Box::pin(why(c)),
    ),
    Route::get(
        "/api/v1/access/who-can",
        Access::SignedIn,
        ("who may do something; for who answers for it", "어떤 동작을 할 수 있는 사람. 책임자만"),
        |c| Box::pin(who_can(c)),
    ),
    Route::post(
        "/api/v1/access/test",
        Access::SignedIn,
        (
            "run a policy's tests without writing it; for who may write it",
            "정책을 저장하지 않고 테스트만 실행. 쓸 수 있는 사람만",
        ),
        |c| Box::pin(test(c)),
    ),
    Route::get(
        "/api/v1/access/requests",
        Access::SignedIn,
        ("your grants and requests, and those you decide", "내 권한 요청과 내가 결정할 요청"),
        |c| Box::pin(list(c)),
    ),
    Route::post(
        "/api/v1/access/requests",
        Access::SignedIn,
        ("ask for a right for a time", "한동안 쓸 권한 요청"),
        |c| Box::pin(request(c)),
    ),
    Route::post(
        "/api/v1/access/requests/{request}/{verb}",
        Access::SignedIn,
        ("approve, deny or revoke", "승인, 거절, 회수"),
        |c| Box::pin(decide(c)),
    ),
    Route::post(
        "/api/v1/access/break-glass",
        Access::SignedIn,
        (
            "take a role at once in an emergency; for who has that right",
            "비상시 역할을 바로 얻기. 그럴 권한이 있는 사람만",
        ),
        |c| Box::pin(break_glass(c)),
    ),
    Route::get(
        "/api/v1/projects/{project}/access-matrix",
        Access::Project(Permission::View),
        ("who may do what in a project", "프로젝트에서 누가 무엇을 할 수 있는지"),
        |c| Box::pin(matrix(c)),
    ),
];

async fn actions(call: Call) -> Result<Response> {
    let row = |action: Action| {
        let roles =
            Role::ALL.into_iter().filter(|r| action.role().is_some_and(|least| least <= *r));
        let platform = PlatformRole::ALL.into_iter().filter(|r| action.of_platform(*r));
        let roles: Vec<&str> =
            roles.map(Role::name).chain(platform.map(PlatformRole::name)).collect();
        json!({
            "name": action.name(), "about": action.words(call.lang), "roles": roles,
            "in_projects": action.in_projects(), "on_platform": action.on_platform(),
        })
    };
    json(&json!({ "items": Action::ALL.map(row) }))
}

/// A decision as people and scripts read it.
pub(crate) fn shown(decision: &Decision, lang: kernel::Lang) -> Result<Value> {
    let reason = |reason: &policy::Reason| {
        let mut value = serde_json::to_value(reason).map_err(Error::internal)?;
        if let Value::Object(map) = &mut value {
            map.insert("say".into(), reason.text().get(lang).into());
        }
        Ok(value)
    };
    let because = decision.because.iter().map(reason).collect::<Result<Vec<_>>>()?;
    Ok(json!({ "allow": decision.allow, "hidden": decision.hide, "because": because }))
}

fn query(call: &Call, name: &'static str) -> Result<String> {
    call.query(name).filter(|v| !v.is_empty()).ok_or_else(|| {
        Error::invalid(
            "query.missing",
            text!("`{name}` is missing from the query", "쿼리에 `{name}`이(가) 없습니다"),
        )
    })
}

/// Who answers for a target may look at what others may do there.
pub(crate) async fn answers(call: &Call, target: &Target) -> Result<()> {
    let policy = &call.site.policy;
    if policy.can(&call.who, Action::PlatformView, &Target::platform()).await {
        return Ok(());
    }
    match target.project_name() {
        Some(project) => {
            policy.may_do(&call.who, Action::ProjectAdminister, &Target::project(project)).await
        }
        None => policy.may_do(&call.who, Action::PlatformView, target).await,
    }
}

async fn why(call: Call) -> Result<Response> {
    let principal = match call.query("principal").filter(|v| !v.is_empty()) {
        Some(words) => Subject::parse(&words)?,
        None => Subject::of(&call.who).ok_or_else(account::unauthenticated)?,
    };
    let (action, target) =
        (Action::parse(&query(&call, "action")?)?, Target::parse(&query(&call, "resource")?)?);
    let who = match &principal {
        Subject::User(name) => Principal::User(name.clone()),
        Subject::Service(name) => Principal::Service(name.clone()),
        Subject::Group(_) => {
            answers(&call, &target).await?;
            let context = assumed(&call);
            let policy = &call.site.policy;
            let decision = policy.of_subject(&principal, action, &target, &context).await?;
            return answer(&call, &principal, action, &target, &decision);
        }
    };
    if who != call.who {
        answers(&call, &target).await?;
    }
    let token = match call.query("token").filter(|t| !t.is_empty()) {
        Some(words) => Some(token(&call, &who, &Name::parse(&words)?).await?),
        None => None,
    };
    let mut context = assumed(&call);
    if token.is_some() {
        context.credential = Some("token".to_owned());
    }
    let ask = Ask { who: &who, action, target: &target, context: &context };
    let mut decision = call.site.policy.explain(&ask).await?;
    if let Some(token) = token {
        decision.narrow(&ask, &token.scopes);
    }
    // About oneself no more is said than a request would learn: what is hidden looks as if it were not there.
    if who == call.who && decision.hide {
        decision.because = vec![policy::Reason::NoProject];
    }
    answer(&call, &principal, action, &target, &decision)
}

/// The context that a question assumes.
fn assumed(call: &Call) -> Context {
    let given = |name: &str| call.query(name).filter(|v| !v.is_empty());
    Context {
        environment: given("environment"),
        branch: given("branch"),
        protected: call.query("protected").map(|_| call.flag("protected")),
        ..Context::default()
    }
}

/// A token of theirs that still works, by its name.
async fn token(call: &Call, who: &Principal, name: &Name) -> Result<account::TokenView> {
    let all = call.site.accounts.tokens(who).await?;
    all.into_iter().find(|t| t.name == *name && !t.expired).ok_or_else(|| {
        Error::not_found(
            "token.unknown",
            text!("{who} has no token {name}", "{who}에게 {name} 토큰이 없습니다"),
        )
        .hint(Text::fixed(
            "it may have run out or been revoked",
            "기한이 지났거나 폐기되었을 수 있습니다",
        ))
    })
}

fn answer(
    call: &Call,
    who: &Subject,
    action: Action,
    target: &Target,
    decision: &Decision,
) -> Result<Response> {
    let decision = shown(decision, call.lang)?;
    json(&json!({ "principal": who, "action": action, "resource": target, "decision": decision }))
}

async fn who_can(call: Call) -> Result<Response> {
    let (action, target) =
        (Action::parse(&query(&call, "action")?)?, Target::parse(&query(&call, "resource")?)?);
    answers(&call, &target).await?;
    let (holders, more) =
        call.site.policy.who_can(action, &target, &assumed(&call), HOLDERS).await?;
    let item = |holder: &policy::Holder| {
        Ok(json!({ "principal": holder.who, "decision": shown(&holder.decision, call.lang)? }))
    };
    let items = holders.iter().map(item).collect::<Result<Vec<_>>>()?;
    json(&json!({ "action": action, "resource": target, "items": items, "more": more }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Trial {
    #[serde(default)]
    project: Option<Name>,
    name: Name,
    spec: PolicySpec,
}

async fn test(mut call: Call) -> Result<Response> {
    let trial: Trial = call.json().await?;
    let policy = &call.site.policy;
    let (kind, target, action) = match &trial.project {
        Some(p) => (PolicySpec::KIND, Target::project(p), Action::ProjectAdminister),
        None => (PlatformPolicy::KIND, Target::platform(), Action::PlatformAdminister),
    };
    policy.may_do(&call.who, action, &target).await?;
    let key = Key { kind: kind.into(), project: trial.project, name: trial.name };
    let results = policy.test(&key, &trial.spec).await?;
    json(&json!({ "items": results.iter().map(|t| tested(t, call.lang)).collect::<Vec<_>>() }))
}

fn tested(test: &policy::TestResult, lang: kernel::Lang) -> Value {
    json!({
        "name": test.name, "expect": test.expect, "found": test.found, "passed": test.passed(),
        "because": test.because.get(lang),
    })
}

/// What is asked for, as people write it: `what` is a role or an action.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wish {
    pub what: String,
    pub on: String,
    pub reason: String,
    /// `1h`, `30m`, `2d`
    #[serde(default)]
    pub lasts: String,
    /// `group:qa`
    #[serde(default)]
    pub to: String,
    /// The approval that an action takes beside the right itself.
    #[serde(default)]
    pub second_person: bool,
}

impl Wish {
    pub fn read(&self) -> Result<Wanted> {
        let on = Target::parse(self.on.trim())?;
        let what = self.what.trim();
        let on_platform = on.project_name().is_none();
        let give = match (self.second_person, Role::parse(what), PlatformRole::parse(what)) {
            (false, Some(role), _) => Given::Role(role),
            (false, _, Some(role)) if on_platform => Given::PlatformRole(role),
            (false, None, _) => Given::Action(Action::parse(what)?),
            (true, _, _) => Given::SecondPerson(Action::parse(what)?),
        };
        let lasts = match self.lasts.trim() {
            "" => LASTS,
            words => parse_duration(words).ok_or_else(|| {
                Error::invalid(
                    "duration.invalid",
                    Text::fixed("that is not a length of time", "기간으로 읽을 수 없습니다"),
                )
                .hint(Text::fixed("write 30m, 4h or 2d", "30m, 4h, 2d처럼 쓰세요"))
            })?,
        };
        let to = Some(self.to.trim()).filter(|t| !t.is_empty()).map(Subject::parse).transpose()?;
        Ok(Wanted { give, on, reason: self.reason.clone(), lasts, to })
    }
}

async fn list(call: Call) -> Result<Response> {
    let found = call.site.policy.requests(&call.who).await?;
    let on = call.query("project");
    let about = |r: &&Resource| {
        on.as_ref().is_none_or(|p| {
            let target = r.spec.get("on").and_then(Value::as_str).unwrap_or("");
            Target::parse(target).is_ok_and(|t| t.project_name().is_some_and(|n| n.as_str() == p))
        })
    };
    json(&json!({ "items": found.iter().filter(about).collect::<Vec<_>>() }))
}

async fn request(mut call: Call) -> Result<Response> {
    let wish: Wish = call.json().await?;
    let made = call.site.policy.request(&call.who, wish.read()?).await?;
    json_status(http::StatusCode::CREATED, &made)
}

async fn break_glass(mut call: Call) -> Result<Response> {
    let wish: Wish = call.json().await?;
    let made = call.site.policy.break_glass(&call.who, wish.read()?).await?;
    json_status(http::StatusCode::CREATED, &made)
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Remark {
    #[serde(default)]
    remark: String,
}

pub(crate) fn verb(words: &str) -> Result<Verb> {
    match words {
        "approve" => Ok(Verb::Approve),
        "deny" => Ok(Verb::Deny),
        "revoke" => Ok(Verb::Revoke),
        _ => Err(Error::not_found(
            "page.unknown",
            Text::fixed("there is nothing at this address", "이 주소에는 아무것도 없습니다"),
        )),
    }
}

async fn decide(mut call: Call) -> Result<Response> {
    let (id, verb) = (call.name("request")?, verb(call.param("verb")?)?);
    let said: Remark = call.json().await?;
    json(&call.site.policy.decide_request(&call.who, &id, verb, &said.remark).await?)
}

async fn matrix(call: Call) -> Result<Response> {
    let matrix = call.site.policy.matrix(&call.project()?).await?;
    let row = |row: &policy::MatrixRow| {
        let cells = row.cells.iter().map(|d| shown(d, call.lang)).collect::<Result<Vec<_>>>()?;
        Ok(json!({ "who": row.who, "cells": cells }))
    };
    let rows = matrix.rows.iter().map(row).collect::<Result<Vec<_>>>()?;
    json(&json!({ "actions": matrix.actions, "rows": rows }))
}

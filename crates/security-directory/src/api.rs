//! Who one is, and where one is signed in, over the API.

use crate::me;
use crate::token::holder;
use kernel::{Name, Principal, Result};
use naru_http::{Access, Call, Response, Route, empty, json};
use serde_json::{Value, json};

pub(crate) const ROUTES: &[Route] = &[
    Route::get("/api/v1/me", Access::SignedIn, ("who you are here", "나는 누구인가"), |c| {
        Box::pin(who(c))
    }),
    Route::get("/api/v1/sessions", Access::SignedIn, ("your sessions", "내 세션"), |c| {
        Box::pin(sessions(c))
    }),
    Route::delete(
        "/api/v1/sessions/{session}",
        Access::SignedIn,
        ("end a session", "세션 종료"),
        |c| Box::pin(end(c)),
    ),
    Route::delete(
        "/api/v1/sessions",
        Access::SignedIn,
        ("end all sessions", "모든 세션 종료"),
        |c| Box::pin(end_all(c)),
    ),
];

async fn who(call: Call) -> Result<Response> {
    let administrator = call.site.policy.may_administer(&call.who).await.is_ok();
    let groups = call.site.accounts.groups_of(&call.who).to_vec();
    json(&json!({
        "principal": call.who, "administrator": administrator, "credential": call.credential, "groups": groups,
    }))
}

/// Whose sessions: the caller's, or `?user=` of an administrator's.
async fn whose(call: &Call) -> Result<Principal> {
    let user = call.query("user").filter(|u| !u.is_empty());
    holder(call, user.map(|u| Name::parse(&u)).transpose()?).await
}

async fn sessions(call: Call) -> Result<Response> {
    let who = whose(&call).await?;
    let mut items = Vec::new();
    for session in call.site.accounts.sessions(&who).await? {
        let browser = me::sessions::browser(session.agent.as_deref().unwrap_or(""));
        let mut item = serde_json::to_value(&session).map_err(kernel::Error::internal)?;
        if let Some(object) = item.as_object_mut() {
            object.insert("browser".into(), Value::from(browser));
        }
        items.push(item);
    }
    json(&json!({ "items": items }))
}

async fn end(call: Call) -> Result<Response> {
    let who = whose(&call).await?;
    call.site.accounts.revoke_session(&who, call.param("session")?, call.who.clone()).await?;
    Ok(empty())
}

async fn end_all(call: Call) -> Result<Response> {
    let who = whose(&call).await?;
    call.site.accounts.revoke_sessions(&who, None, call.who.clone()).await?;
    Ok(empty())
}

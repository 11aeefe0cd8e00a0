//! One-time links, and signing out.

use crate::door;
use http::header;
use kernel::Result;
use naru_http::front::cookie;
use naru_http::{Call, Response, found, json};
use serde::Deserialize;
use serde_json::json;

pub(super) async fn open(call: Call) -> Result<Response> {
    let accounts = &call.site.accounts;
    let opened = accounts.sign_in_by_link(call.param("code")?, &door::visitor(&call)).await?;
    door::enter(&call, &opened, "/welcome")
}

pub(super) async fn sign_out(call: Call) -> Result<Response> {
    if let Some(secret) = cookie::session(&call) {
        call.site.accounts.close_session(secret).await?;
    }
    let mut response = found("/sign-in")?;
    response.headers_mut().insert(header::SET_COOKIE, cookie::end(&call)?);
    Ok(response)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    #[serde(default, rename = "for")]
    user: Option<kernel::Name>,
}

pub(super) async fn create(mut call: Call) -> Result<Response> {
    let wanted: Wanted = call.json().await?;
    let holder = crate::token::holder(&call, wanted.user).await?;
    let code = call.site.accounts.create_link(holder).await?;
    json(&json!({ "path": format!("/sign-in/{code}") }))
}

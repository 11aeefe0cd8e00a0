//! Who one is, over the API.

use kernel::Result;
use naru_http::{Access, Call, Response, Route, json};
use serde_json::json;

pub(crate) const ROUTES: &[Route] = &[Route::get(
    "/api/v1/me",
    Access::SignedIn,
    ("who you are here", "나는 누구인가"),
    |c| Box::pin(who(c)),
)];

async fn who(call: Call) -> Result<Response> {
    let administrator = call.site.policy.may_administer(&call.who).await.is_ok();
    json(&json!({
        "principal": call.who, "administrator": administrator, "credential": call.credential,
    }))
}

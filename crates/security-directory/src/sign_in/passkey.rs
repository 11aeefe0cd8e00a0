//! Passkeys, as `passkey.js` asks for them: a question for the browser, and its answer.

use crate::door;
use account::credential::{Opened, Proof};
use http::StatusCode;
use kernel::{Result, Text};
use naru_http::front::cookie;
use naru_http::{Call, Response, json, json_status};
use serde::Deserialize;
use serde_json::{Value, json};
use web::back;

pub(super) async fn question(call: Call) -> Result<Response> {
    door::from_here(&call)?;
    let (code, question) =
        call.site.accounts.ask_passkey(&door::visitor(&call), door::host(&call))?;
    json(&json!({ "code": code, "question": question }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Answer {
    code: String,
    answer: Value,
    /// `sign-in`, `second`, `again`
    purpose: String,
    #[serde(default)]
    back: String,
}

pub(super) async fn answer(mut call: Call) -> Result<Response> {
    door::from_here(&call)?;
    let given: Answer = call.json().await?;
    let to = back(&given.back).to_owned();
    let (visitor, host) = (door::visitor(&call), door::host(&call).to_owned());
    let accounts = &call.site.accounts;
    let opened = match given.purpose.as_str() {
        "again" => {
            let user = super::second::person(&call)?;
            let session = cookie::session(&call).unwrap_or("").to_owned();
            let proof = Proof::Passkey(given.code, given.answer);
            let renewed = accounts.prove_again(&user, &session, proof, &visitor, &host).await?;
            let mut response = json(&json!({ "to": to }))?;
            door::renew(&call, &mut response, &renewed)?;
            return Ok(response);
        }
        "second" => {
            let half = call.cookie(door::HALF).unwrap_or("").to_owned();
            let proof = Proof::Passkey(given.code, given.answer);
            accounts.second(&half, proof, &visitor, &host).await?
        }
        "sign-in" => {
            accounts.sign_in_by_passkey(&given.code, given.answer, &visitor, &host).await?
        }
        _ => return unknown_purpose(),
    };
    entered(&call, &opened, &to)
}

fn entered(call: &Call, opened: &Opened, to: &str) -> Result<Response> {
    let mut response = json_status(StatusCode::OK, &json!({ "to": to }))?;
    door::carry(call, &mut response, opened)?;
    Ok(response)
}

fn unknown_purpose() -> Result<Response> {
    Err(kernel::Error::invalid(
        "passkey.purpose",
        Text::fixed(
            "`purpose` is sign-in, second or again",
            "`purpose`는 sign-in, second, again 중 하나입니다",
        ),
    ))
}

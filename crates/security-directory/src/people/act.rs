//! What administrators do with accounts. Pages and API end in the same function.

use super::person;
use crate::offboard::{self, known};
use crate::sign_in::field;
use crate::{door, fresh};
use account::credential::{INVITATION, SignInRules};
use account::{Accounts, Mail, User};
use kernel::{Error, Key, Kind, Name, Principal, Result, Text, text};
use naru_http::{Call, Response, found, json};
use serde::Deserialize;
use serde_json::{Value, json};
use store::{Put, Tx};

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Given {
    /// Of `offboard`: who takes over.
    to: Option<Name>,
}

/// Does one thing, and says what came of it.
async fn act(call: &Call, user: &Name, action: &str, to: Option<Name>) -> Result<Value> {
    fresh::needed(call)?;
    match action {
        "invite" => {
            let (path, until) = invite(call, user).await?;
            Ok(json!({ "path": path, "until": until }))
        }
        "enable" => edit(call, user, |u| u.disabled = false).await,
        "promote" => edit(call, user, |u| u.administrator = true).await,
        "disable" => edit(call, user, |u| u.disabled = true).await,
        "demote" => edit(call, user, |u| u.administrator = false).await,
        "reset" => {
            call.site.accounts.reset_factors(user, call.who.clone()).await?;
            Ok(json!({ "user": user }))
        }
        "offboard" => leave(call, user, to).await,
        "delete" => delete(call, user).await,
        _ => {
            let shown: String = action.chars().take(40).filter(|c| !c.is_control()).collect();
            Err(Error::not_found(
                "action.unknown",
                text!("there is no action “{shown}”", "“{shown}”이라는 동작은 없습니다"),
            ))
        }
    }
}

async fn invite(call: &Call, user: &Name) -> Result<(String, kernel::Time)> {
    let (code, until) = call.site.accounts.invite(user, call.who.clone()).await?;
    Ok((format!("{INVITATION}{code}"), until))
}

async fn edit(
    call: &Call,
    user: &Name,
    change: impl FnOnce(&mut User) + Send + 'static,
) -> Result<Value> {
    crate::me::edit(call, user, move |u| {
        change(u);
        Ok(())
    })
    .await?;
    Ok(json!({ "user": user }))
}

fn put(
    accounts: &Accounts,
    tx: &mut Tx<'_>,
    key: Key,
    labels: kernel::resource::Labels,
    spec: &impl Kind,
    actor: Principal,
) -> Result<()> {
    spec.check()?;
    let spec = serde_json::to_value(spec).map_err(Error::internal)?;
    accounts.put(tx, Put { key, labels, spec, expected: None, actor }).map(drop)
}

async fn leave(call: &Call, user: &Name, to: Option<Name>) -> Result<Value> {
    let (name, actor, accounts) = (user.clone(), call.who.clone(), call.site.accounts.clone());
    let had = call
        .site
        .store
        .write(move |tx| offboard::run(&accounts, tx, &name, to.as_ref(), &actor))
        .await?;
    let (accounts, who) = (&call.site.accounts, Principal::User(user.clone()));
    accounts.reset_factors(user, call.who.clone()).await?;
    accounts.revoke_sessions(&who, None, call.who.clone()).await?;
    for token in accounts.tokens(&who).await? {
        accounts.revoke_token(&who, &token.name, call.who.clone()).await?;
    }
    Ok(json!({ "user": user, "had": had }))
}

async fn delete(call: &Call, user: &Name) -> Result<Value> {
    let (name, actor, accounts) = (user.clone(), call.who.clone(), call.site.accounts.clone());
    call.site
        .store
        .write(move |tx| {
            let found = known(tx, &name)?;
            let user: User = found.spec()?;
            if !user.disabled {
                return Err(Error::conflict(
                    "user.active",
                    text!("{name} is not disabled", "{name} 사용자는 비활성 상태가 아닙니다"),
                )
                .hint(text!(
                    "`naru user offboard {name}` first: it hands over what they have",
                    "먼저 `naru user offboard {name}`으로 가진 것을 넘기세요"
                )));
            }
            accounts.delete(tx, &found.key, Some(found.revision), actor).map(drop)
        })
        .await?;
    Ok(json!({ "deleted": user }))
}

pub(super) async fn api(mut call: Call) -> Result<Response> {
    let (user, action) = (call.name("user")?, call.param("action")?.to_owned());
    let bytes = call.bytes(64 * 1024).await?;
    let given: Given = match bytes.is_empty() {
        true => Given::default(),
        false => serde_json::from_slice(&bytes).map_err(|e| {
            let why = e.to_string();
            Error::invalid(
                "body.invalid",
                text!("the body does not fit: {why}", "본문이 맞지 않습니다: {why}"),
            )
        })?,
    };
    json(&act(&call, &user, &action, given.to).await?)
}

pub(super) async fn page(mut call: Call) -> Result<Response> {
    let (user, action) = (call.name("user")?, call.param("action")?.to_owned());
    if let Some(detour) = fresh::detour(&call, &format!("/people/{user}")) {
        return detour;
    }
    let form = call.form().await?;
    let to = Some(field(&form, "to")).filter(|t| !t.is_empty()).map(Name::parse).transpose()?;
    let done = act(&call, &user, &action, to).await?;
    match (action.as_str(), done.get("path").and_then(Value::as_str)) {
        ("invite", Some(path)) => person::page(&call, Some(&link(&call, path))).await,
        ("delete", _) => found("/people"),
        _ => found(&format!("/people/{user}")),
    }
}

/// The address as the administrator sees this naru; the invited one most likely sees it there, too.
fn link(call: &Call, path: &str) -> String {
    let origin = call.header("origin").filter(|o| o.contains("://")).map(str::to_owned);
    format!("{}{path}", origin.unwrap_or_else(|| format!("http://{}", door::host(call))))
}

pub(super) async fn invite_new(mut call: Call) -> Result<Response> {
    if let Some(detour) = fresh::detour(&call, "/people") {
        return detour;
    }
    let form = call.form().await?;
    let name = Name::parse(field(&form, "name"))?;
    let (title, mail) = (field(&form, "title").to_owned(), field(&form, "email").to_owned());
    create(&call, &name, title, mail).await?;
    found(&format!("/people/{name}"))
}

async fn create(call: &Call, name: &Name, title: String, mail: String) -> Result<()> {
    let mails = match mail.is_empty() {
        true => Vec::new(),
        false => vec![Mail { address: mail, of: Default::default(), primary: true }],
    };
    let user = User { title, mails, ..User::default() };
    let (key, actor, name) = (Key::global::<User>(name), call.who.clone(), name.clone());
    let accounts = call.site.accounts.clone();
    call.site
        .store
        .write(move |tx| {
            if tx.resource(&key)?.is_some() {
                return Err(Error::conflict(
                    "user.exists",
                    text!("user {name} already exists", "{name} 사용자가 이미 있습니다"),
                ));
            }
            put(&accounts, tx, key, Default::default(), &user, actor)
        })
        .await
}

pub(super) async fn rules(mut call: Call) -> Result<Response> {
    if let Some(detour) = fresh::detour(&call, "/people") {
        return detour;
    }
    let form = call.form().await?;
    let number = field(&form, "shortest").parse::<u32>().unwrap_or(0);
    let spec = json!({
        "require_second_factor": field(&form, "second"),
        "shortest_password": number,
        "invitation": field(&form, "invitation"),
    });
    let rules: SignInRules = serde_json::from_value(spec).map_err(|e| {
        Error::invalid(
            "sign-in-rules.invalid",
            Text::fixed("these rules cannot be read", "규칙을 읽을 수 없습니다"),
        )
        .why(e)
    })?;
    let (key, actor) = (Key::global::<SignInRules>(&Name::parse("default")?), call.who.clone());
    let accounts = call.site.accounts.clone();
    call.site
        .store
        .write(move |tx| put(&accounts, tx, key, Default::default(), &rules, actor))
        .await?;
    found("/people")
}

//! Personal tokens.

#![allow(clippy::indexing_slicing, reason = "a JSON value answers null for what it lacks")]

use crate::apply::words;
use clap::{Arg, ArgMatches};
use cli::{Command, Context, Table};
use http::StatusCode;
use kernel::time::parse_duration;
use kernel::{Error, Name, Principal, Result, Text, text};
use naru_http::{Access, Call, Response, Route, empty, json, json_status};
use serde::Deserialize;
use serde_json::{Value, json};

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

pub const COMMAND: Command = Command {
    name: "token",
    build: |lang| {
        let name = || Arg::new("name").required(true).help(lang.pick("Its name", "이름"));
        clap::Command::new("token")
            .about(lang.pick("Make and revoke personal tokens", "개인 토큰을 만들고 폐기합니다"))
            .subcommand_required(true)
            .subcommand(
                clap::Command::new("create")
                    .about(lang.pick(
                        "Make a token and print it, once",
                        "토큰을 만들어 한 번만 보여 줍니다",
                    ))
                    .arg(name())
                    .arg(Arg::new("for").long("for").value_name("USER").help(lang.pick(
                        "For somebody else; administrators only",
                        "다른 사람의 것. 관리자만",
                    )))
                    .arg(
                        Arg::new("expires")
                            .long("expires")
                            .help(lang.pick("After how long it ends: 30d", "만료까지의 시간: 30d")),
                    ),
            )
            .subcommand(
                clap::Command::new("list")
                    .about(lang.pick("List your tokens", "내 토큰을 나열합니다")),
            )
            .subcommand(
                clap::Command::new("revoke")
                    .about(lang.pick("Revoke a token", "토큰을 폐기합니다"))
                    .arg(name()),
            )
    },
    run: |context, matches| Box::pin(run(context, matches)),
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct New {
    name: Name,
    /// `30d`
    #[serde(default)]
    expires: Option<String>,
    /// For somebody else; only an administrator may.
    #[serde(default, rename = "for")]
    user: Option<Name>,
}

/// The caller, or the user that an administrator names.
pub(crate) async fn holder(call: &Call, user: Option<Name>) -> Result<Principal> {
    let Some(user) = user else { return Ok(call.who.clone()) };
    call.may_administer().await?;
    let key = kernel::Key::global::<account::User>(&user);
    match call.site.store.read(move |v| v.resource(&key)).await? {
        Some(_) => Ok(Principal::User(user)),
        None => Err(Error::not_found(
            "user.unknown",
            text!("there is no user {user}", "{user} 사용자가 없습니다"),
        )
        .hint(text!(
            "`naru user create {user}` makes one",
            "`naru user create {user}`로 만드세요"
        ))),
    }
}

async fn list(call: Call) -> Result<Response> {
    json(&json!({ "items": call.site.accounts.tokens(&call.who).await? }))
}

async fn create(mut call: Call) -> Result<Response> {
    let new: New = call.json().await?;
    let valid = new.expires.as_deref().map(|words| {
        parse_duration(words).ok_or_else(|| {
            let shown: String = words.chars().take(40).collect();
            Error::invalid(
                "duration.invalid",
                text!("“{shown}” is not a length of time", "“{shown}”은(는) 시간이 아닙니다"),
            )
            .hint(Text::fixed("write 30d, 12h or 90m", "30d, 12h, 90m처럼 쓰세요"))
        })
    });
    let valid = valid.transpose()?;
    let name = new.name.clone();
    let holder = holder(&call, new.user).await?;
    let token = call.site.accounts.create_token(holder, new.name, valid, call.who.clone()).await?;
    json_status(StatusCode::CREATED, &json!({ "name": name, "token": token }))
}

async fn revoke(call: Call) -> Result<Response> {
    call.site.accounts.revoke_token(&call.who, &call.name("token")?, call.who.clone()).await?;
    Ok(empty())
}

async fn run(context: Context, matches: ArgMatches) -> Result<()> {
    let client = context.client()?;
    let name = |m: &ArgMatches| m.get_one::<String>("name").cloned().unwrap_or_default();
    match matches.subcommand() {
        Some(("create", sub)) => {
            let body = json!({ "name": name(sub), "expires": sub.get_one::<String>("expires"), "for": sub.get_one::<String>("for") });
            let made: Value = client.post("/api/v1/tokens", &body).await?;
            context.output.remark(
                context
                    .lang
                    .pick("keep it: it is not shown again", "보관하세요. 다시 보여 주지 않습니다"),
            );
            context.output.show(&made, |made, _| {
                let mut table = Table::new([""]);
                table.row([words(&made["token"])]);
                table
            })
        }
        Some(("revoke", sub)) => {
            let name = name(sub);
            client.delete(&format!("/api/v1/tokens/{}", cli::segment(&name))).await?;
            context.output.remark(&format!("{name}: {}", context.lang.pick("revoked", "폐기됨")));
            Ok(())
        }
        _ => {
            let page: Value = client.get("/api/v1/tokens").await?;
            context.output.show(&page["items"], |items, _| {
                let mut table = Table::new(["NAME", "CREATED", "EXPIRES", "LAST USED"]);
                for token in items.as_array().into_iter().flatten() {
                    table.row(
                        [&token["name"], &token["created"], &token["expires"], &token["last_used"]]
                            .map(words),
                    );
                }
                table
            })
        }
    }
}

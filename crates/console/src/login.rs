//! Signing in: browsers by a one-time link or a token, the command line by a token.

#![allow(clippy::indexing_slicing, reason = "a JSON value answers null for what it lacks")]

use crate::apply::words;
use clap::{Arg, ArgMatches};
use cli::{Client, Command, Context, Endpoint, Table};
use http::header;
use kernel::{Error, Result, Text, text};
use naru_http::front::cookie;
use naru_http::{Access, Call, Response, Route, found, json};
use serde::Deserialize;
use serde_json::{Value, json};
use std::io::BufRead;

pub(crate) const ROUTES: &[Route] = &[
    Route::get(
        "/sign-in/{code}",
        Access::Public,
        ("open a session by a one-time link", "일회용 링크로 로그인"),
        |c| Box::pin(by_link(c)),
    ),
    Route::post(
        "/sign-in",
        Access::Public,
        ("open a session by a token", "토큰으로 로그인"),
        |c| Box::pin(by_token(c)),
    ),
    Route::post("/sign-out", Access::SignedIn, ("end the session", "로그아웃"), |c| {
        Box::pin(sign_out(c))
    }),
    Route::post(
        "/api/v1/sign-in-links",
        Access::SignedIn,
        ("a one-time sign-in link for you", "내 일회용 로그인 링크"),
        |c| Box::pin(link(c)),
    ),
    Route::get("/api/v1/me", Access::SignedIn, ("who you are here", "나는 누구인가"), |c| {
        Box::pin(me(c))
    }),
];

pub const LOGIN: Command = Command {
    name: "login",
    build: |lang| {
        clap::Command::new("login")
            .about(lang.pick(
                "Keep the address and token of a naru elsewhere",
                "다른 곳의 naru 주소와 토큰을 보관합니다",
            ))
            .arg(Arg::new("url").required(true).help("http://HOST:PORT"))
            .arg(Arg::new("token").long("token").env("NARU_TOKEN").hide_env_values(true).help(
                lang.pick(
                    "The token; without it, the first line of standard input",
                    "토큰. 없으면 표준 입력의 첫 줄",
                ),
            ))
    },
    run: |context, matches| Box::pin(login(context, matches)),
};

pub const SIGN_IN: Command = Command {
    name: "sign-in",
    build: |lang| {
        clap::Command::new("sign-in")
            .about(lang.pick(
                "Print a one-time link that signs a browser in",
                "브라우저용 일회용 로그인 링크를 출력합니다",
            ))
            .arg(Arg::new("for").long("for").value_name("USER").help(
                lang.pick("For somebody else; administrators only", "다른 사람의 것. 관리자만"),
            ))
    },
    run: |context, matches| Box::pin(sign_in(context, matches)),
};

async fn by_link(call: Call) -> Result<Response> {
    let session = call.site.accounts.redeem_link(call.param("code")?).await?;
    opened(&call, &session, "/welcome")
}

async fn by_token(mut call: Call) -> Result<Response> {
    let form = call.form().await?;
    let token = form.get("token").map_or("", |t| t.trim());
    let who = call.site.accounts.authenticate(token, &call.peer()).await.map_err(|_| {
        Error::new(
            kernel::ErrorKind::Unauthenticated,
            "token.wrong",
            Text::fixed("this token is not known here", "여기서 모르는 토큰입니다"),
        )
        .hint(Text::fixed(
            "`naru token create NAME` makes one",
            "`naru token create NAME`으로 만드세요",
        ))
    })?;
    let back = form.get("back").map_or("/", String::as_str);
    opened(&call, &call.site.accounts.create_session(who.principal).await?, web::back(back))
}

fn opened(call: &Call, session: &str, to: &str) -> Result<Response> {
    let mut response = found(to)?;
    let kept = cookie::keep(call, session, account::SESSION_LASTS)?;
    response.headers_mut().insert(header::SET_COOKIE, kept);
    Ok(response)
}

async fn sign_out(call: Call) -> Result<Response> {
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

async fn link(mut call: Call) -> Result<Response> {
    let wanted: Wanted = call.json().await?;
    let holder = crate::token::holder(&call, wanted.user).await?;
    let code = call.site.accounts.create_link(holder).await?;
    json(&json!({ "path": format!("/sign-in/{code}") }))
}

async fn me(call: Call) -> Result<Response> {
    let administrator = call.may_administer().await.is_ok();
    json(&json!({ "principal": call.who, "administrator": administrator }))
}

async fn login(context: Context, matches: ArgMatches) -> Result<()> {
    let url = matches.get_one::<String>("url").map_or("", |u| u.trim_end_matches('/')).to_owned();
    let token = match matches.get_one::<String>("token") {
        Some(token) => token.clone(),
        None => {
            context.output.remark(
                context
                    .lang
                    .pick("paste a token and press Enter", "토큰을 붙여 넣고 Enter를 누르세요"),
            );
            let mut line = String::new();
            std::io::stdin().lock().read_line(&mut line).map_err(Error::internal)?;
            line.trim().to_owned()
        }
    };
    let endpoint = Endpoint { url: url.clone(), token };
    let me: Value = Client::new(endpoint.clone(), context.lang).get("/api/v1/me").await?;
    let file = cli::save_login(&endpoint)?;
    let (who, shown) = (words(&me["principal"]["name"]), file.display());
    context.output.remark(
        text!(
            "signed in to {url} as {who}; kept in {shown}",
            "{url}에 {who}(으)로 로그인했습니다. {shown}에 보관합니다"
        )
        .get(context.lang),
    );
    Ok(())
}

async fn sign_in(context: Context, matches: ArgMatches) -> Result<()> {
    let client = context.client()?;
    let made: Value = client
        .post("/api/v1/sign-in-links", &json!({ "for": matches.get_one::<String>("for") }))
        .await?;
    let link = json!({ "url": format!("{}{}", client.url(), words(&made["path"])) });
    context.output.show(&link, |link, _| {
        let mut table = Table::new([""]);
        table.row([words(&link["url"])]);
        table
    })
}

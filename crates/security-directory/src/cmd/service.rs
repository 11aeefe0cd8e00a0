//! `naru service-account …`

use super::{alone, given, list, name_arg, name_of};
use clap::{Arg, ArgMatches};
use cli::{Command, Context, segment};
use kernel::{Lang, Result};
use serde_json::{Value, json};

pub const COMMAND: Command = Command {
    name: "service-account",
    build,
    run: |context, matches| Box::pin(run(context, matches)),
};

fn build(lang: Lang) -> clap::Command {
    let name = || name_arg(lang, "The service account", "서비스 계정");
    let plain = |verb: &'static str, en: &'static str, ko: &'static str| {
        clap::Command::new(verb).about(lang.pick(en, ko).to_owned()).arg(name())
    };
    clap::Command::new("service-account")
        .about(lang.pick(
            "Programs with accounts of their own: all of them for administrators, a project's for its owners",
            "자기 계정을 가진 프로그램. 관리자는 전부, 소유자는 자기 프로젝트의 것",
        ))
        .subcommand_required(true)
        .subcommand(
            plain("create", "Make a service account", "서비스 계정을 만듭니다")
                .arg(
                    Arg::new("title")
                        .long("title")
                        .default_value("")
                        .help(lang.pick("What it is for", "용도")),
                )
                .arg(of(lang).visible_alias("project")),
        )
        .subcommand(
            clap::Command::new("list")
                .about(lang.pick("List service accounts", "서비스 계정을 나열합니다"))
                .arg(of(lang).visible_alias("project")),
        )
        .subcommand(super::token::options(
            lang,
            plain(
                "token",
                "Make a token for it and print it, once",
                "토큰을 만들어 한 번만 보여 줍니다",
            )
            .arg(Arg::new("token").required(true).help(lang.pick("The token's name", "토큰 이름")))
            .arg(of(lang)),
        ))
        .subcommand(
            plain(
                "disable",
                "Disable it: its tokens are over",
                "비활성화합니다. 토큰은 모두 끝납니다",
            )
            .arg(of(lang).visible_alias("project")),
        )
        .subcommand(
            plain("enable", "Enable it again", "다시 활성화합니다")
                .arg(of(lang).visible_alias("project")),
        )
}

fn of(lang: Lang) -> Arg {
    Arg::new("of").long("of").value_name("PROJECT").help(lang.pick(
        "The project that it belongs to, for its owners",
        "서비스 계정이 속한 프로젝트. 그 소유자가 씁니다",
    ))
}

async fn run(context: Context, matches: ArgMatches) -> Result<()> {
    let client = context.client()?;
    if let Some((verb, sub)) = matches.subcommand()
        && let Some(project) = given(sub, "of")
    {
        return in_project(&context, verb, sub, project).await;
    }
    match matches.subcommand() {
        Some(("create", sub)) => {
            let name = name_of(sub)?;
            let spec = json!({ "title": given(sub, "title") });
            let path = format!("/api/v1/serviceaccounts/{name}");
            let made: Value = client.put(&path, &json!({ "spec": spec })).await?;
            alone(&context, &made, "/name")
        }
        Some(("token", sub)) => {
            let mut body = super::token::body(sub, given(sub, "token").unwrap_or(""));
            body["service"] = json!(name_of(sub)?);
            super::token::create(&context, &body).await
        }
        Some((verb @ ("disable" | "enable"), sub)) => {
            let path = format!("/api/v1/serviceaccounts/{}", name_of(sub)?);
            let body = json!({ "spec": { "disabled": verb == "disable" } });
            let done: Value = client.patch(&path, &body).await?;
            alone(&context, &done, "/name")
        }
        _ => {
            let page: Value = client.get("/api/v1/serviceaccounts?limit=500").await?;
            listed(&context, &page)
        }
    }
}

fn listed(context: &Context, page: &Value) -> Result<()> {
    let heads = ["NAME", "TITLE", "PROJECT", "DISABLED"];
    let at = ["/name", "/spec/title", "/spec/project", "/spec/disabled"];
    list(context, &page["items"], &heads, &at)
}

/// What owners of a project may do, without asking an administrator.
async fn in_project(context: &Context, verb: &str, sub: &ArgMatches, project: &str) -> Result<()> {
    let client = context.client()?;
    let base = format!("/api/v1/projects/{}/service-accounts", segment(project));
    match verb {
        "create" => {
            let body = json!({ "name": name_of(sub)?, "title": given(sub, "title") });
            alone(context, &client.post::<Value>(&base, &body).await?, "/name")
        }
        "token" => {
            let body = super::token::body(sub, given(sub, "token").unwrap_or(""));
            let path = format!("{base}/{}/tokens", name_of(sub)?);
            super::token::create_at(context, &path, &body).await
        }
        "disable" | "enable" => {
            let path = format!("{base}/{}/{verb}", name_of(sub)?);
            alone(context, &client.post::<Value>(&path, &json!({})).await?, "/name")
        }
        _ => listed(context, &client.get(&base).await?),
    }
}

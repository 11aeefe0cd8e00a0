//! `naru token …`

use super::{alone, given, list, name_arg, name_of};
use clap::{Arg, ArgAction, ArgMatches};
use cli::{Command, Context};
use kernel::{Lang, Result};
use serde_json::{Value, json};

pub const COMMAND: Command =
    Command { name: "token", build, run: |context, matches| Box::pin(run(context, matches)) };

fn build(lang: Lang) -> clap::Command {
    let name = || name_arg(lang, "Its name", "이름");
    clap::Command::new("token")
        .about(lang.pick("Make and revoke access tokens", "접근 토큰을 만들고 폐기합니다"))
        .subcommand_required(true)
        .subcommand(
            options(
                lang,
                clap::Command::new("create")
                    .about(lang.pick(
                        "Make a token and print it, once",
                        "토큰을 만들어 한 번만 보여 줍니다",
                    ))
                    .arg(name()),
            )
            .arg(Arg::new("for").long("for").value_name("USER").help(
                lang.pick("For somebody else; administrators only", "다른 사람의 것. 관리자만"),
            )),
        )
        .subcommand(
            clap::Command::new("list").about(lang.pick("List your tokens", "내 토큰을 나열합니다")),
        )
        .subcommand(
            clap::Command::new("revoke")
                .about(lang.pick("Revoke a token", "토큰을 폐기합니다"))
                .arg(name()),
        )
}

/// What narrows a token.
pub(super) fn options(lang: Lang, command: clap::Command) -> clap::Command {
    command
        .arg(
            Arg::new("expires")
                .long("expires")
                .help(lang.pick("After how long it ends: 30d", "만료까지의 시간: 30d")),
        )
        .arg(
            Arg::new("scope")
                .long("scope")
                .action(ArgAction::Append)
                .value_name("ACTION")
                .help(lang.pick(
                    "`read`, or an action that it may do, such as git.* or project.view; may be repeated",
                    "`read` 또는 할 수 있는 동작. git.*, project.view 등. 여러 번 쓸 수 있음",
                )),
        )
        .arg(
            Arg::new("project")
                .long("project")
                .action(ArgAction::Append)
                .value_name("PROJECT")
                .help(lang.pick("In these projects alone; may be repeated", "이 프로젝트에서만. 여러 번 쓸 수 있음")),
        )
        .arg(
            Arg::new("deploy")
                .long("deploy")
                .action(ArgAction::SetTrue)
                .help(lang.pick(
                    "A deploy token: reads the repositories of one project, and nothing else",
                    "배포 토큰: 한 프로젝트의 저장소를 읽기만 함",
                )),
        )
}

pub(super) fn body(sub: &ArgMatches, name: &str) -> Value {
    let all = |arg: &str| -> Vec<&String> { sub.get_many(arg).into_iter().flatten().collect() };
    json!({
        "name": name, "expires": given(sub, "expires"), "scopes": all("scope"), "projects": all("project"),
        "deploy": sub.get_flag("deploy"),
    })
}

/// Makes a token and prints it.
pub(super) async fn create(context: &Context, body: &Value) -> Result<()> {
    create_at(context, "/api/v1/tokens", body).await
}

pub(super) async fn create_at(context: &Context, path: &str, body: &Value) -> Result<()> {
    let made: Value = context.client()?.post(path, body).await?;
    let keep =
        context.lang.pick("keep it: it is not shown again", "보관하세요. 다시 보여 주지 않습니다");
    context.output.remark(keep);
    alone(context, &made, "/token")
}

async fn run(context: Context, matches: ArgMatches) -> Result<()> {
    let client = context.client()?;
    match matches.subcommand() {
        Some(("create", sub)) => {
            let mut body = body(sub, given(sub, "name").unwrap_or(""));
            body["for"] = json!(given(sub, "for"));
            create(&context, &body).await
        }
        Some(("revoke", sub)) => {
            let name = name_of(sub)?;
            client.delete(&format!("/api/v1/tokens/{name}")).await?;
            context.output.remark(&format!("{name}: {}", context.lang.pick("revoked", "폐기됨")));
            Ok(())
        }
        _ => {
            let page: Value = client.get("/api/v1/tokens").await?;
            let heads = ["NAME", "KIND", "CREATED", "EXPIRES", "LAST USED"];
            let at = ["/name", "/kind", "/created", "/expires", "/last_used"];
            list(&context, &page["items"], &heads, &at)
        }
    }
}

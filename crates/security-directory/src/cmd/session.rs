//! `naru session …`

use super::{given, list};
use clap::{Arg, ArgAction, ArgMatches};
use cli::{Command, Context};
use kernel::{Lang, Result};
use serde_json::Value;

pub const COMMAND: Command =
    Command { name: "session", build, run: |context, matches| Box::pin(run(context, matches)) };

fn build(lang: Lang) -> clap::Command {
    let user = || {
        Arg::new("of")
            .long("of")
            .value_name("USER")
            .help(lang.pick("Somebody else's; administrators only", "다른 사람의 것. 관리자만"))
    };
    clap::Command::new("session")
        .about(lang.pick("Where you are signed in by a browser", "브라우저로 로그인한 곳"))
        .subcommand_required(true)
        .subcommand(
            clap::Command::new("list")
                .about(lang.pick("List sessions", "세션을 나열합니다"))
                .arg(user()),
        )
        .subcommand(
            clap::Command::new("end")
                .about(lang.pick("End a session, or all", "세션 하나 또는 모두를 종료합니다"))
                .arg(Arg::new("id").required_unless_present("all").help(lang.pick("Its id", "ID")))
                .arg(
                    Arg::new("all")
                        .long("all")
                        .action(ArgAction::SetTrue)
                        .conflicts_with("id")
                        .help(lang.pick("All of them", "모두")),
                )
                .arg(user()),
        )
}

async fn run(context: Context, matches: ArgMatches) -> Result<()> {
    let client = context.client()?;
    let of = |sub: &ArgMatches| {
        given(sub, "of").map_or(String::new(), |user| format!("?user={}", cli::segment(user)))
    };
    match matches.subcommand() {
        Some(("end", sub)) => {
            let id = given(sub, "id").map_or(String::new(), |id| format!("/{}", cli::segment(id)));
            client.delete(&format!("/api/v1/sessions{id}{}", of(sub))).await?;
            context.output.remark(context.lang.pick("ended", "종료했습니다"));
            Ok(())
        }
        Some((_, sub)) => {
            let page: Value = client.get(&format!("/api/v1/sessions{}", of(sub))).await?;
            let heads = ["ID", "BROWSER", "ADDRESS", "SINCE", "LAST USED"];
            let at = ["/id", "/browser", "/address", "/created", "/last_used"];
            list(&context, &page["items"], &heads, &at)
        }
        None => Ok(()),
    }
}

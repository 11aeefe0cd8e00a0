//! `naru group …`

use super::{alone, given, list, name_arg, name_of};
use crate::group::member;
use clap::{Arg, ArgMatches};
use cli::{Command, Context};
use kernel::{Lang, Result};
use serde_json::{Value, json};

pub const COMMAND: Command =
    Command { name: "group", build, run: |context, matches| Box::pin(run(context, matches)) };

fn build(lang: Lang) -> clap::Command {
    let name = || name_arg(lang, "The group", "그룹");
    let members = || {
        Arg::new("member").required(true).num_args(1..).value_name("MEMBER").help(
            lang.pick("USER, group:NAME or service:NAME", "사용자, group:이름 또는 service:이름"),
        )
    };
    clap::Command::new("group")
        .about(lang.pick("Groups of people, programs and groups", "사람, 프로그램, 그룹의 모임"))
        .subcommand_required(true)
        .subcommand(clap::Command::new("list").about(lang.pick("List groups", "그룹을 나열합니다")))
        .subcommand(
            clap::Command::new("create")
                .about(lang.pick("Make a group", "그룹을 만듭니다"))
                .arg(name())
                .arg(
                    Arg::new("title")
                        .long("title")
                        .default_value("")
                        .help(lang.pick("How people call it", "사람들이 부르는 이름")),
                )
                .arg(
                    Arg::new("owner")
                        .long("owner")
                        .num_args(1..)
                        .value_name("USER")
                        .help(lang.pick("Who looks after its members", "구성원을 관리할 사람")),
                ),
        )
        .subcommand(
            clap::Command::new("add")
                .about(lang.pick("Add members", "구성원을 더합니다"))
                .arg(name())
                .arg(members()),
        )
        .subcommand(
            clap::Command::new("remove")
                .about(lang.pick("Remove members", "구성원을 뺍니다"))
                .arg(name())
                .arg(members()),
        )
        .subcommand(
            clap::Command::new("members")
                .about(lang.pick(
                    "List members, those of groups within it included",
                    "하위 그룹까지 구성원을 나열합니다",
                ))
                .arg(name()),
        )
}

async fn run(context: Context, matches: ArgMatches) -> Result<()> {
    let client = context.client()?;
    match matches.subcommand() {
        Some(("create", sub)) => {
            let name = name_of(sub)?;
            let owners: Vec<&String> = sub.get_many("owner").into_iter().flatten().collect();
            let spec = json!({ "spec": { "title": given(sub, "title"), "owners": owners } });
            let made: Value = client.put(&format!("/api/v1/groups/{name}"), &spec).await?;
            alone(&context, &made, "/name")
        }
        Some((verb @ ("add" | "remove"), sub)) => {
            let name = name_of(sub)?;
            let given = sub.get_many::<String>("member").into_iter().flatten();
            let members = given.map(|m| member(m)).collect::<Result<Vec<_>>>()?;
            let path = format!("/api/v1/groups/{name}/members");
            let done: Value = client.post(&path, &json!({ verb: members })).await?;
            alone(&context, &done, "/group")
        }
        Some(("members", sub)) => {
            let path = format!("/api/v1/groups/{}/members", name_of(sub)?);
            let page: Value = client.get(&path).await?;
            let heads = ["USER", "GROUP", "SERVICE ACCOUNT", "BY WAY OF"];
            list(&context, &page["items"], &heads, &["/user", "/group", "/service", "/by"])
        }
        _ => {
            let page: Value = client.get("/api/v1/groups?limit=500").await?;
            let heads = ["NAME", "TITLE", "GID"];
            list(&context, &page["items"], &heads, &["/name", "/spec/title", "/status/gid_number"])
        }
    }
}

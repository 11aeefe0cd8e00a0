//! `naru user …`: a second person comes in.

use crate::apply::words;
use clap::{Arg, ArgAction, ArgMatches};
use cli::{Command, Context, Table};
use kernel::{Error, Name, Result, text};
use serde_json::{Value, json};

pub const COMMAND: Command = Command {
    name: "user",
    build: |lang| {
        clap::Command::new("user")
            .about(lang.pick(
                "Create and list people; administrators only",
                "사람을 만들고 나열합니다. 관리자만",
            ))
            .subcommand_required(true)
            .subcommand(
                clap::Command::new("create")
                    .about(lang.pick(
                        "Create a person and print a one-time sign-in link for them",
                        "사람을 만들고 그 사람의 일회용 로그인 링크를 출력합니다",
                    ))
                    .arg(
                        Arg::new("name")
                            .required(true)
                            .help(lang.pick("Their name here", "여기서 쓸 이름")),
                    )
                    .arg(
                        Arg::new("title")
                            .long("title")
                            .default_value("")
                            .help(lang.pick("How others see them", "남에게 보이는 이름")),
                    )
                    .arg(
                        Arg::new("administrator")
                            .long("administrator")
                            .action(ArgAction::SetTrue)
                            .help(lang.pick("May do everything", "모든 것을 할 수 있음")),
                    ),
            )
            .subcommand(
                clap::Command::new("list").about(lang.pick("List people", "사람을 나열합니다")),
            )
    },
    run: |context, matches| Box::pin(run(context, matches)),
};

async fn run(context: Context, matches: ArgMatches) -> Result<()> {
    let client = context.client()?;
    let Some(("create", sub)) = matches.subcommand() else {
        let page: Value = client.get("/api/v1/users?limit=500").await?;
        return context.output.show(page.get("items").unwrap_or(&Value::Null), |items, _| {
            let mut table = Table::new(["NAME", "TITLE", "ADMINISTRATOR"]);
            for user in items.as_array().into_iter().flatten() {
                let cell = |path: &str| user.pointer(path).map_or("-".into(), words);
                table.row([cell("/name"), cell("/spec/title"), cell("/spec/administrator")]);
            }
            table
        });
    };
    let name = Name::parse(sub.get_one::<String>("name").map_or("", String::as_str))?;
    if client.get::<Value>(&format!("/api/v1/users/{name}")).await.is_ok() {
        return Err(Error::conflict(
            "user.exists",
            text!("user {name} already exists", "{name} 사용자가 이미 있습니다"),
        ));
    }
    let title = sub.get_one::<String>("title");
    let spec =
        json!({ "spec": { "title": title, "administrator": sub.get_flag("administrator") } });
    client.put::<Value>(&format!("/api/v1/users/{name}"), &spec).await?;
    let link: Value = client.post("/api/v1/sign-in-links", &json!({ "for": name })).await?;
    let link = format!("{}{}", client.url(), link.get("path").map_or(String::new(), words));
    context.output.show(&json!({ "name": name, "link": link }), |made, _| {
        let mut table = Table::new([""]);
        table.row([made.get("link").map_or(String::new(), words)]);
        table
    })
}

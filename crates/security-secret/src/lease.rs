//! Leases on the surfaces: listed, and ended before their time.

use crate::Secrets;
use clap::{Arg, ArgMatches};
use cli::{Command, Context, Table, segment};
use kernel::{Error, Id, Lang, Result, Text};
use naru_http::{Access, Call, Response, Route, json};
use policy::{Action, Permission};
use secret::lease::Leases;
use serde_json::{Value, json};

pub(crate) const ROUTES: &[Route] = &[
    Route::get(
        "/api/v1/projects/{project}/leases",
        Access::Project(Permission::View),
        ("what is lent to whom, until when", "누구에게 무엇을 언제까지 빌려주었는지"),
        |c| Box::pin(list(c)),
    ),
    Route::post(
        "/api/v1/projects/{project}/leases/{lease}/revoke",
        Access::Action(Action::SecretWrite),
        ("take back what was lent, now", "빌려준 것을 지금 회수"),
        |c| Box::pin(revoke(c)),
    ),
];

async fn list(call: Call) -> Result<Response> {
    let (secrets, project) = (call.part::<Secrets>()?, call.project()?);
    let items = secrets.store().read(move |v| Leases::list_in(v, Some(&project))).await?;
    json(&json!({ "items": items }))
}

async fn revoke(call: Call) -> Result<Response> {
    let unknown = || {
        let say = Text::fixed("that is no lease", "리스가 아닙니다");
        Error::not_found("lease.unknown", say)
    };
    let id = Id::parse(call.param("lease")?).ok_or_else(unknown)?;
    let secrets = call.part::<Secrets>()?;
    json(&secrets.leases.end(&call.project()?, &id, call.who.clone()).await?)
}

pub(crate) const COMMAND: Command =
    Command { name: "lease", build: command, run: |c, m| Box::pin(run(c, m)) };

fn command(lang: Lang) -> clap::Command {
    clap::Command::new("lease")
        .about(
            lang.pick("what is lent to whom, until when", "누구에게 무엇을 언제까지 빌려주었는지"),
        )
        .subcommand_required(true)
        .arg_required_else_help(true)
        .arg(crate::cmd::project())
        .subcommand(clap::Command::new("list").about(lang.pick("list them", "목록")))
        .subcommand(
            clap::Command::new("revoke")
                .about(lang.pick("take one back now", "지금 회수"))
                .arg(Arg::new("lease").required(true).value_name("LEASE")),
        )
}

async fn run(context: Context, matches: ArgMatches) -> Result<()> {
    let client = context.client()?;
    match matches.subcommand() {
        Some(("revoke", sub)) => {
            let lease = crate::cmd::word(sub, "lease").unwrap_or_default();
            let path = crate::cmd::base(sub, "leases")?;
            let path = format!("{path}/{}/revoke", segment(lease));
            let _: Value = client.post(&path, &json!({})).await?;
            let said = context.lang.pick("is being taken back", "회수하는 중입니다");
            context.output.remark(&format!("{lease}: {said}"));
            Ok(())
        }
        Some((_, sub)) => {
            let page: Value = client.get(&crate::cmd::base(sub, "leases")?).await?;
            let items = page.get("items").cloned().unwrap_or_default();
            context.output.show(&items, |items, _| {
                let mut table = Table::new(["LEASE", "KIND", "SUBJECT", "EXPIRES", "FAILURES"]);
                for lease in items.as_array().into_iter().flatten() {
                    let word = |name: &str| crate::cmd::shown(lease.get(name));
                    table.row(["id", "kind", "subject", "expires", "failures"].map(word));
                }
                table
            })
        }
        None => Ok(()),
    }
}

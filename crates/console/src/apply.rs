//! `naru apply` and `naru diff`.

#![allow(clippy::indexing_slicing, reason = "a JSON value answers null for what it lacks")]

use crate::manifest::{Document, read_documents};
use clap::{Arg, ArgAction, ArgMatches};
use cli::{Client, Command, Context, Table};
use kernel::{Error, Lang, Result, Text, text};
use serde_json::{Value, json};
use std::io::Read;

pub const APPLY: Command = Command {
    name: "apply",
    build: |lang| {
        manifest_args(clap::Command::new("apply"), lang)
            .about(lang.pick(
                "Create or change resources from a file",
                "파일의 리소스를 만들거나 바꿉니다",
            ))
            .arg(Arg::new("dry-run").long("dry-run").action(ArgAction::SetTrue).help(lang.pick(
                "Say what would change and change nothing",
                "바뀔 것만 보여 주고 바꾸지 않습니다",
            )))
    },
    run: |context, matches| Box::pin(apply(context, matches)),
};

pub const DIFF: Command = Command {
    name: "diff",
    build: |lang| {
        manifest_args(clap::Command::new("diff"), lang)
            .about(lang.pick("Show what a file would change", "파일이 무엇을 바꿀지 보여 줍니다"))
    },
    run: |context, matches| Box::pin(diff(context, matches)),
};

fn manifest_args(command: clap::Command, lang: Lang) -> clap::Command {
    command
        .arg(Arg::new("file").short('f').long("file").required(true).help(
            lang.pick("The manifest; - reads standard input", "매니페스트 파일. -는 표준 입력"),
        ))
        .arg(crate::resource::project_arg(lang))
}

async fn apply(context: Context, matches: ArgMatches) -> Result<()> {
    let documents = documents(&matches)?;
    let client = context.client()?;
    let dry = matches.get_flag("dry-run");
    let mut answers = Vec::new();
    for (document, path) in addressed(&client, documents, &matches).await? {
        let path = if dry { format!("{path}?dryRun=true") } else { path };
        let body = json!({ "spec": document.spec, "labels": document.labels });
        let answer: Value = client.put(&path, &body).await?;
        answers.push(json!({ "kind": document.kind, "name": document.name, "answer": answer }));
    }
    context.output.show(&answers, |all, output| {
        let mut table = Table::new(["KIND", "NAME", output.lang.pick("RESULT", "결과")]);
        for one in all {
            table.row([
                words(&one["kind"]),
                words(&one["name"]),
                result(&one["answer"], output.lang),
            ]);
        }
        table
    })
}

fn result(answer: &Value, lang: Lang) -> String {
    if let Some(would) = answer["would"].as_str() {
        return format!("{} {would}", lang.pick("would", "예정:"));
    }
    let fresh = answer["generation"] == 1 && answer["created"] == answer["updated"];
    lang.pick(if fresh { "created" } else { "applied" }, if fresh { "생성됨" } else { "적용됨" })
        .to_owned()
}

async fn diff(context: Context, matches: ArgMatches) -> Result<()> {
    let documents = documents(&matches)?;
    let client = context.client()?;
    let mut changes = Vec::new();
    for (document, path) in addressed(&client, documents, &matches).await? {
        let body = json!({ "spec": document.spec, "labels": document.labels });
        changes.push(client.put::<Value>(&format!("{path}?dryRun=true"), &body).await?);
    }
    context.output.show(&changes, |all, output| {
        let head = [
            "RESOURCE",
            "FIELD",
            output.lang.pick("NOW", "지금"),
            output.lang.pick("THEN", "이후"),
        ];
        let mut table = Table::new(head)
            .nothing(output.lang.pick("nothing would change", "바뀌는 것이 없습니다"));
        for one in all {
            for change in one["changes"].as_array().into_iter().flatten() {
                let whose = format!("{}/{}", words(&one["kind"]), words(&one["name"]));
                table.row([
                    whose,
                    words(&change["path"]),
                    words(&change["before"]),
                    words(&change["after"]),
                ]);
            }
        }
        table
    })
}

/// A JSON value as a cell.
pub(crate) fn words(value: &Value) -> String {
    match value {
        Value::String(s) => s.clone(),
        Value::Null => "-".into(),
        other => other.to_string(),
    }
}

fn documents(matches: &ArgMatches) -> Result<Vec<Document>> {
    let file = matches.get_one::<String>("file").map_or("-", String::as_str);
    let mut words = String::new();
    let read = match file {
        "-" => std::io::stdin().take(16 << 20).read_to_string(&mut words),
        path => std::fs::File::open(path).and_then(|f| f.take(16 << 20).read_to_string(&mut words)),
    };
    read.map_err(|e| {
        let why = e.to_string();
        Error::invalid("manifest.unreadable", text!("{file}: {why}", "{file}: {why}"))
    })?;
    read_documents(file, &words)
}

/// Each document with the API path of its resource.
async fn addressed(
    client: &Client,
    documents: Vec<Document>,
    matches: &ArgMatches,
) -> Result<Vec<(Document, String)>> {
    let kinds: Value = client.get("/api/v1/kinds").await?;
    let mut out = Vec::new();
    for document in documents {
        let kind = crate::resource::find_kind(&kinds, &document.kind)?;
        let plural = words(&kind["plural"]);
        let name = &document.name;
        let path = if kind["scope"] == "project" {
            let chosen = matches.get_one::<String>("project").cloned();
            let project =
                document.project.as_ref().map(ToString::to_string).or(chosen).ok_or_else(|| {
                    Error::invalid(
                        "project.missing",
                        text!(
                            "{plural}/{name} belongs to a project and none is named",
                            "{plural}/{name}의 프로젝트를 알 수 없습니다"
                        ),
                    )
                    .hint(Text::fixed(
                        "use `-p PROJECT` or write `project:` in the document",
                        "`-p PROJECT`를 쓰거나 문서에 `project:`를 쓰세요",
                    ))
                })?;
            format!("/api/v1/projects/{}/{plural}/{name}", cli::segment(&project))
        } else {
            format!("/api/v1/{plural}/{name}")
        };
        out.push((document, path));
    }
    Ok(out)
}

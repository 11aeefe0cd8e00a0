//! The generic verbs, and projects.

#![allow(clippy::indexing_slicing, reason = "a JSON value answers null for what it lacks")]

use crate::apply::words;
use clap::{Arg, ArgMatches};
use cli::{Command, Context, Table};
use kernel::{Error, Lang, Result, Text, text};
use serde_json::{Value, json};

pub const GET: Command = Command {
    name: "get",
    build: |lang| {
        clap::Command::new("get")
            .about(lang.pick(
                "List resources of a kind, or show one",
                "한 종류의 리소스를 나열하거나 하나를 보여 줍니다",
            ))
            .arg(kind_arg(lang))
            .arg(Arg::new("name").help(lang.pick("Its name; without it, all", "이름. 없으면 전부")))
            .arg(project_arg(lang))
            .arg(Arg::new("selector").short('l').long("selector").help(lang.pick(
                "Only those with these labels: tier=web,!legacy",
                "이 레이블을 가진 것만: tier=web,!legacy",
            )))
    },
    run: |context, matches| Box::pin(get(context, matches)),
};

pub const DESCRIBE: Command = Command {
    name: "describe",
    build: |lang| {
        one(clap::Command::new("describe"), lang).about(lang.pick(
            "Show all of a resource and its latest events",
            "리소스 전체와 최근 이벤트를 보여 줍니다",
        ))
    },
    run: |context, matches| Box::pin(describe(context, matches)),
};

pub const DELETE: Command = Command {
    name: "delete",
    build: |lang| {
        one(clap::Command::new("delete"), lang)
            .about(lang.pick("Delete a resource", "리소스를 지웁니다"))
    },
    run: |context, matches| Box::pin(delete(context, matches)),
};

pub const KINDS: Command = Command {
    name: "kinds",
    build: |lang| {
        clap::Command::new("kinds")
            .about(lang.pick("List the kinds of resources", "리소스 종류를 나열합니다"))
    },
    run: |context, _| Box::pin(kinds(context)),
};

pub const EXPLAIN: Command = Command {
    name: "explain",
    build: |lang| {
        clap::Command::new("explain")
            .about(lang.pick("List the fields of a kind", "종류의 필드를 나열합니다"))
            .arg(kind_arg(lang))
    },
    run: |context, matches| Box::pin(explain(context, matches)),
};

pub const PROJECT: Command = Command {
    name: "project",
    build: |lang| {
        let name = || Arg::new("name").required(true).help(lang.pick("Its name", "이름"));
        clap::Command::new("project")
            .about(lang.pick("Create and list projects", "프로젝트를 만들고 나열합니다"))
            .subcommand_required(true)
            .subcommand(
                clap::Command::new("create")
                    .about(lang.pick(
                        "Create a project; you become its owner",
                        "프로젝트를 만들고 소유자가 됩니다",
                    ))
                    .arg(name())
                    .arg(
                        Arg::new("title")
                            .long("title")
                            .default_value("")
                            .help(lang.pick("A title for people", "사람이 읽을 제목")),
                    ),
            )
            .subcommand(
                clap::Command::new("list")
                    .about(lang.pick("List your projects", "내 프로젝트를 나열합니다")),
            )
    },
    run: |context, matches| Box::pin(project(context, matches)),
};

fn kind_arg(lang: Lang) -> Arg {
    Arg::new("kind")
        .required(true)
        .help(lang.pick("A kind: service, or services", "종류: service 또는 services"))
}

fn one(command: clap::Command, lang: Lang) -> clap::Command {
    let name = Arg::new("name").required(true).help(lang.pick("Its name", "이름"));
    command.arg(kind_arg(lang)).arg(name).arg(project_arg(lang))
}

pub(crate) fn project_arg(lang: Lang) -> Arg {
    Arg::new("project")
        .short('p')
        .long("project")
        .env("NARU_PROJECT")
        .help(lang.pick("The project", "프로젝트"))
}

/// The row of a kind in the server's answer, by either of its names.
pub(crate) fn find_kind<'a>(kinds: &'a Value, wanted: &str) -> Result<&'a Value> {
    let all = kinds["items"].as_array().into_iter().flatten();
    let is = |v: &Value| v.as_str().is_some_and(|k| k.eq_ignore_ascii_case(wanted));
    all.clone().find(|k| is(&k["kind"]) || is(&k["plural"])).ok_or_else(|| {
        let known: Vec<String> = all.map(|k| words(&k["kind"])).collect();
        let known = known.join(", ");
        Error::not_found(
            "kind.unknown",
            text!("there is no kind {wanted}", "{wanted} 종류는 없습니다"),
        )
        .hint(text!("one of: {known}", "다음 중 하나: {known}"))
    })
}

/// The kind and the API path of what the arguments name.
async fn address(context: &Context, matches: &ArgMatches) -> Result<(Value, String)> {
    let kinds: Value = context.client()?.get("/api/v1/kinds").await?;
    let wanted = matches.get_one::<String>("kind").map_or("", String::as_str);
    let kind = find_kind(&kinds, wanted)?.clone();
    let plural = words(&kind["plural"]);
    let mut path = match matches.get_one::<String>("project") {
        _ if kind["scope"] != "project" => format!("/api/v1/{plural}"),
        Some(project) => format!("/api/v1/projects/{}/{plural}", cli::segment(project)),
        None => {
            return Err(Error::invalid(
                "project.missing",
                text!(
                    "{plural} belong to a project and none is named",
                    "{plural}은(는) 프로젝트에 속하는데 프로젝트가 없습니다"
                ),
            )
            .hint(Text::fixed(
                "use `-p PROJECT` or set NARU_PROJECT",
                "`-p PROJECT`나 NARU_PROJECT를 쓰세요",
            )));
        }
    };
    if let Some(name) = matches.get_one::<String>("name") {
        path = format!("{path}/{}", cli::segment(name));
    }
    Ok((kind, path))
}

async fn get(context: Context, matches: ArgMatches) -> Result<()> {
    let (kind, path) = address(&context, &matches).await?;
    let client = context.client()?;
    let items = if matches.contains_id("name") {
        let one: Value = client.get(&path).await?;
        if context.output.format != cli::Format::Table {
            return context.output.show(&one, |_, _| Table::default());
        }
        vec![one]
    } else {
        let selector = matches.get_one::<String>("selector").map_or("", String::as_str);
        all_pages(&client, &format!("{path}?limit=500&labelSelector={}", cli::segment(selector)))
            .await?
    };
    context.output.show(&items, |items, output| {
        let columns: Vec<(String, String)> =
            serde_json::from_value(kind["columns"].clone()).unwrap_or_default();
        let head = ["NAME".to_owned()].into_iter().chain(columns.iter().map(|c| c.0.clone()));
        let nothing = format!("{} {}", output.lang.pick("no", "없음:"), words(&kind["plural"]));
        let mut table = Table::new(head.chain(["REVISION".to_owned()])).nothing(&nothing);
        for item in items {
            let cell = |c: &(String, String)| item.pointer(&c.1).map_or("-".into(), words);
            let name = [words(&item["name"])].into_iter();
            table.row(name.chain(columns.iter().map(cell)).chain([words(&item["revision"])]));
        }
        table
    })
}

async fn all_pages(client: &cli::Client, path: &str) -> Result<Vec<Value>> {
    let mut items = Vec::new();
    let mut from = String::new();
    loop {
        let page: Value = client.get(&format!("{path}{from}")).await?;
        items.extend(page["items"].as_array().cloned().unwrap_or_default());
        match page["continue"].as_str() {
            Some(next) => from = format!("&continue={}", cli::segment(next)),
            None => return Ok(items),
        }
    }
}

async fn describe(context: Context, matches: ArgMatches) -> Result<()> {
    let (kind, path) = address(&context, &matches).await?;
    let client = context.client()?;
    let resource: Value = client.get(&path).await?;
    let subject = match resource["project"].as_str() {
        Some(project) => format!("{}/{project}/{}", words(&kind["kind"]), words(&resource["name"])),
        None => format!("{}/{}", words(&kind["kind"]), words(&resource["name"])),
    };
    let project = resource["project"].as_str().map(|p| format!("&project={p}")).unwrap_or_default();
    let events: Value = client
        .get(&format!("/api/v1/events?limit=10&subject={}{project}", cli::segment(&subject)))
        .await?;
    let whole = json!({ "resource": resource, "events": events["items"] });
    context.output.show(&whole, |whole, output| {
        let mut table = Table::new(["", ""]);
        leaves("", &whole["resource"], &mut |path, value| table.row([path, &value]));
        for event in whole["events"].as_array().into_iter().flatten() {
            let say = event["say"][output.lang.tag()].as_str().unwrap_or("");
            table.row([words(&event["time"]), say.to_owned()]);
        }
        table
    })
}

fn leaves(path: &str, value: &Value, out: &mut dyn FnMut(&str, String)) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            for (key, value) in map {
                let below = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                leaves(&below, value, out);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for (i, value) in items.iter().enumerate() {
                leaves(&format!("{path}[{i}]"), value, out);
            }
        }
        leaf => out(path, words(leaf)),
    }
}

async fn delete(context: Context, matches: ArgMatches) -> Result<()> {
    let (kind, path) = address(&context, &matches).await?;
    context.client()?.delete(&path).await?;
    let name = matches.get_one::<String>("name").map_or("", String::as_str);
    context.output.show(
        &json!({ "deleted": { "kind": kind["kind"], "name": name } }),
        |_, output| {
            let mut table = Table::new([""]);
            table.row([format!(
                "{}/{name} {}",
                words(&kind["kind"]),
                output.lang.pick("deleted", "삭제됨")
            )]);
            if let Some(stays) = kind["leaves"].as_str() {
                table.remark(stays.to_owned());
            }
            table
        },
    )
}

async fn kinds(context: Context) -> Result<()> {
    let kinds: Value = context.client()?.get("/api/v1/kinds").await?;
    context.output.show(&kinds["items"], |items, output| {
        let mut table = Table::new(["KIND", "PLURAL", "SCOPE", output.lang.pick("ABOUT", "설명")]);
        for kind in items.as_array().into_iter().flatten() {
            table.row([&kind["kind"], &kind["plural"], &kind["scope"], &kind["about"]].map(words));
        }
        table
    })
}

async fn explain(context: Context, matches: ArgMatches) -> Result<()> {
    let wanted = matches.get_one::<String>("kind").map_or("", String::as_str);
    let schema: Value =
        context.client()?.get(&format!("/api/v1/schemas/{}", cli::segment(wanted))).await?;
    context.output.show(&schema, |schema, output| {
        let lang = output.lang;
        let head = [("FIELD", "필드"), ("TYPE", "형"), ("DEFAULT", "기본값"), ("ABOUT", "설명")];
        let mut table = Table::new(head.map(|(en, ko)| lang.pick(en, ko)));
        fields("spec", &schema["properties"]["spec"], schema, 0, &mut table, lang);
        table
    })
}

/// Levels of objects in objects that are listed.
const DEEP: usize = 4;

fn fields(path: &str, node: &Value, root: &Value, depth: usize, table: &mut Table, lang: Lang) {
    let node = resolved(node, root);
    let required = node["required"].as_array().cloned().unwrap_or_default();
    for (name, field) in node["properties"].as_object().into_iter().flatten() {
        let below = format!("{path}.{name}");
        let default = match &field["default"] {
            _ if required.iter().any(|r| r == name.as_str()) => {
                lang.pick("(required)", "(필수)").to_owned()
            }
            Value::Null => "-".to_owned(),
            other => words(other),
        };
        let about = field["description"].as_str().unwrap_or("").replace('\n', " ");
        table.row([below.clone(), type_of(field, root), default, about]);
        if depth < DEEP {
            fields(&below, field, root, depth + 1, table, lang);
        }
    }
}

/// What a `$ref`, or the one that is not null of several, stands for.
fn resolved<'a>(node: &'a Value, root: &'a Value) -> &'a Value {
    let node = match node["$ref"].as_str() {
        Some(reference) => root.pointer(reference.trim_start_matches('#')).unwrap_or(node),
        None => node,
    };
    let some = |v: &&Value| v["type"] != "null";
    let choices =
        node["anyOf"].as_array().or(node["oneOf"].as_array()).or(node["allOf"].as_array());
    match choices.map(|all| all.iter().filter(some).collect::<Vec<_>>()).as_deref() {
        Some([one]) => resolved(one, root),
        _ => node,
    }
}

fn type_of(node: &Value, root: &Value) -> String {
    let node = resolved(node, root);
    let named = |v: &Value| v.as_str().map(str::to_owned);
    if let Some(values) = node["enum"].as_array() {
        return values.iter().filter_map(named).collect::<Vec<_>>().join("|");
    }
    let kinds: Vec<String> = match &node["type"] {
        Value::Array(all) => all.iter().filter_map(named).filter(|t| t != "null").collect(),
        one => named(one).into_iter().collect(),
    };
    let kinds = match kinds.is_empty() {
        true => choices(node, root),
        false => kinds,
    };
    kinds.join("|")
}

fn choices(node: &Value, root: &Value) -> Vec<String> {
    let all = node["anyOf"].as_array().or(node["oneOf"].as_array());
    let mut kinds: Vec<String> = all
        .into_iter()
        .flatten()
        .map(|c| c["const"].as_str().map_or_else(|| type_of(c, root), str::to_owned))
        .filter(|t| !t.is_empty() && t != "null")
        .collect();
    kinds.dedup();
    kinds
}

async fn project(context: Context, matches: ArgMatches) -> Result<()> {
    match matches.subcommand() {
        Some(("create", sub)) => {
            let name = sub.get_one::<String>("name").map_or("", String::as_str);
            let name = kernel::Name::parse(name)?;
            let title = sub.get_one::<String>("title").map_or("", String::as_str);
            let client = context.client()?;
            if client.get::<Value>(&format!("/api/v1/projects/{name}")).await.is_ok() {
                return Err(Error::conflict(
                    "project.exists",
                    text!("project {name} already exists", "{name} 프로젝트가 이미 있습니다"),
                ));
            }
            let body = json!({ "spec": { "title": title } });
            let made: Value = client.put(&format!("/api/v1/projects/{name}"), &body).await?;
            let url = client.url().to_owned();
            context.output.show(&made, |_, output| {
                let mut table = Table::new([""]);
                let lang = output.lang;
                table.row([format!("{} {name}", lang.pick("created project", "프로젝트 생성:"))]);
                table.row([format!("  git remote add naru {url}/{name}/REPOSITORY.git")]);
                table.row(["  git push naru main".to_owned()]);
                table
            })
        }
        _ => {
            let items = all_pages(&context.client()?, "/api/v1/projects?limit=500").await?;
            context.output.show(&items, |items, output| {
                let nothing = output.lang.pick(
                    "no projects: `naru project create NAME` makes one",
                    "프로젝트가 없습니다. `naru project create NAME`으로 만드세요",
                );
                let mut table = Table::new(["NAME", "TITLE", "CREATED"]).nothing(nothing);
                for item in items {
                    table.row([&item["name"], &item["spec"]["title"], &item["created"]].map(words));
                }
                table
            })
        }
    }
}

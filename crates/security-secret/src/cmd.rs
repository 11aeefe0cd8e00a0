//! `naru secret`. Values come from a file, a pipe or a prompt, never as an argument that others could read.

mod ask;

pub use ask::passphrase as ask_passphrase;

use crate::set::LARGEST;
use crate::{SecretView, dotenv, lease};
use clap::{Arg, ArgAction, ArgMatches, value_parser};
use cli::{Client, Command, Context, Table, segment};
use kernel::{Error, Lang, Result, SecretText, text};
use serde_json::{Map, Value, json};

pub(crate) const COMMANDS: &[Command] =
    &[Command { name: "secret", build: command, run: |c, m| Box::pin(run(c, m)) }, lease::COMMAND];

pub(crate) fn project() -> Arg {
    Arg::new("project")
        .short('p')
        .long("project")
        .env("NARU_PROJECT")
        .value_name("PROJECT")
        .global(true)
}

fn name(lang: Lang) -> Arg {
    let help = lang
        .pick("DATABASE_PASSWORD or database-password", "DATABASE_PASSWORD나 database-password");
    Arg::new("name").required(true).value_name("NAME").help(help)
}

fn flag(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).action(ArgAction::SetTrue).help(help)
}

fn option(name: &'static str, value: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).value_name(value).help(help)
}

fn command(lang: Lang) -> clap::Command {
    let verb = |name: &'static str, en, ko| clap::Command::new(name).about(lang.pick(en, ko));
    let version = || {
        option("version", "N", lang.pick("not the newest", "최신이 아닌 버전"))
            .value_parser(value_parser!(u32))
    };
    let generate = || {
        option(
            "generate",
            "LENGTH",
            lang.pick("naru draws a value of this many characters", "이 길이의 값을 naru가 생성"),
        )
        .value_parser(value_parser!(u64))
        .num_args(0..=1)
        .default_missing_value("40")
    };
    clap::Command::new("secret")
        .about(lang.pick("sealed values for jobs and services", "작업과 서비스를 위한 봉인된 값"))
        .subcommand_required(true)
        .arg_required_else_help(true)
        .arg(project())
        .subcommand(verb("list", "list them; no values", "목록 (값은 없음)"))
        .subcommand(
            verb(
                "show",
                "versions, uses, whom it is for; no value",
                "버전, 사용처, 범위 (값은 없음)",
            )
            .arg(name(lang)),
        )
        .subcommand(
            scope(verb("set", "set a value, or whom it is for", "값이나 사용 범위 설정"), lang)
                .arg(name(lang))
                .arg(option(
                    "from-file",
                    "FILE",
                    lang.pick("the value is this file", "이 파일의 내용을 값으로"),
                ))
                .arg(generate())
                .args(lends(lang))
                .arg(flag(
                    "keep-value",
                    lang.pick("only change whom it is for", "값은 두고 범위만 변경"),
                )),
        )
        .subcommand(
            scope(
                verb(
                    "import",
                    "set what a dotenv file holds, all or none",
                    "dotenv 파일의 값을 한 번에 설정",
                ),
                lang,
            )
            .arg(Arg::new("path").required(true).value_name("FILE")),
        )
        .subcommand(
            verb("rotate", "give it a new value", "새 값으로 교체")
                .arg(name(lang))
                .arg(generate())
                .arg(
                    option(
                        "command",
                        "COMMAND",
                        lang.pick("what prints the new value", "새 값을 출력하는 명령"),
                    )
                    .conflicts_with("generate"),
                ),
        )
        .subcommand(
            verb("rm", "remove it with all its versions", "모든 버전과 함께 제거").arg(name(lang)),
        )
        .subcommand(
            verb("reveal", "print a value; the journal tells of it", "값 출력 (기록됨)")
                .arg(name(lang))
                .arg(version()),
        )
        .subcommand(
            verb("destroy", "destroy one version for good", "버전 하나 완전 파기")
                .arg(name(lang))
                .arg(version().required(true)),
        )
        .subcommand(
            verb("key", "the key of all secrets", "모든 비밀 값의 키")
                .subcommand_required(true)
                .subcommand(verb("status", "how it stands with it", "상태"))
                .subcommand(verb("rotate", "renew it", "갱신")),
        )
}

/// How accounts are made instead of a value that is kept.
fn lends(lang: Lang) -> [Arg; 4] {
    [
        option(
            "lend",
            "KIND",
            lang.pick(
                "no value: an account of its own for whoever names it",
                "값 대신, 쓰는 쪽마다 계정을 만들어 줌",
            ),
        )
        .value_parser(["postgres", "redis"])
        .requires("connection")
        .conflicts_with_all(["from-file", "generate"]),
        option(
            "connection",
            "SECRET",
            lang.pick("the secret with an administrator's URL", "관리자 URL이 든 비밀 값"),
        ),
        option(
            "grant",
            "ROLE",
            lang.pick("a role, or a rule of Redis' list", "역할 또는 Redis ACL 규칙"),
        )
        .action(ArgAction::Append)
        .allow_hyphen_values(true),
        option(
            "life",
            "LENGTH",
            lang.pick(
                "how long an account holds unextended [default: 1h]",
                "연장하지 않을 때 유지 시간 [기본: 1h]",
            ),
        ),
    ]
}

/// Whom a secret is for.
fn scope(command: clap::Command, lang: Lang) -> clap::Command {
    command
        .arg(
            option(
                "env",
                "ENVIRONMENT",
                lang.pick(
                    "only for these: production, review/*; '*' for all again",
                    "이 환경에서만: production, review/*. '*'는 전체",
                ),
            )
            .action(ArgAction::Append),
        )
        .arg(flag("protected", lang.pick("only for protected branches", "보호 브랜치에서만")))
        .arg(
            flag("unprotected", lang.pick("for every branch again", "다시 모든 브랜치에서"))
                .conflicts_with("protected"),
        )
        .arg(flag("file", lang.pick("jobs find it in a file", "작업이 파일로 받음")))
        .arg(
            flag(
                "variable",
                lang.pick("jobs find it in the variable itself", "작업이 변수로 받음"),
            )
            .conflicts_with("file"),
        )
        .arg(flag("no-jobs", lang.pick("only for services that name it", "이름을 쓴 서비스에만")))
        .arg(
            flag("jobs", lang.pick("jobs get it without asking", "작업이 그냥 받음"))
                .conflicts_with("no-jobs"),
        )
        .arg(option("description", "WORDS", lang.pick("what it is for", "용도")))
        .arg(option(
            "rotate-every",
            "LENGTH",
            lang.pick("90d; empty for never", "90d. 비우면 없음"),
        ))
        .arg(
            option(
                "keep",
                "N",
                lang.pick("versions kept [default: 10]", "보관할 버전 수 [기본: 10]"),
            )
            .value_parser(value_parser!(u32)),
        )
}

pub(crate) fn word<'a>(matches: &'a ArgMatches, name: &str) -> Option<&'a str> {
    matches.try_get_one::<String>(name).ok().flatten().map(String::as_str)
}

fn on(matches: &ArgMatches, name: &str) -> bool {
    matches.try_get_one::<bool>(name).ok().flatten().copied().unwrap_or(false)
}

/// `/api/v1/projects/shop/secrets`
pub(crate) fn base(matches: &ArgMatches, plural: &str) -> Result<String> {
    let project = word(matches, "project").ok_or_else(|| {
        Error::invalid("project.missing", text!("which project?", "어느 프로젝트인가요?")).hint(
            text!(
                "name it with `-p PROJECT` or NARU_PROJECT",
                "`-p 프로젝트`나 NARU_PROJECT로 알려 주세요"
            ),
        )
    })?;
    Ok(format!("/api/v1/projects/{}/{plural}", segment(project)))
}

fn one(matches: &ArgMatches) -> Result<String> {
    let name = word(matches, "name").unwrap_or_default();
    // Said here, too, so that a name with a value behind it (`NAME=value`) goes nowhere.
    crate::plan::named(name)?;
    Ok(format!("{}/{}", base(matches, "secrets")?, segment(name)))
}

/// A field of an answer as a table shows it.
pub(crate) fn shown(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => "-".to_owned(),
        Some(Value::String(words)) => words.clone(),
        Some(other) => other.to_string(),
    }
}

async fn run(context: Context, matches: ArgMatches) -> Result<()> {
    let client = context.client()?;
    match matches.subcommand() {
        Some(("list", sub)) => list(&context, &client, sub).await,
        Some(("show", sub)) => show(&context, &client, sub).await,
        Some(("set", sub)) => set(&context, &client, sub).await,
        Some(("import", sub)) => import(&context, &client, sub).await,
        Some(("rotate", sub)) => rotate(&context, &client, sub).await,
        Some(("rm", sub)) => {
            let _: Value = client.post(&format!("{}/remove", one(sub)?), &json!({})).await?;
            say(&context, sub, "removed", "제거함");
            Ok(())
        }
        Some(("destroy", sub)) => {
            let body = json!({ "version": sub.get_one::<u32>("version") });
            let _: Value = client.post(&format!("{}/destroy", one(sub)?), &body).await?;
            say(&context, sub, "destroyed", "파기함");
            Ok(())
        }
        Some(("reveal", sub)) => {
            let body = json!({ "version": sub.get_one::<u32>("version") });
            let answer: Value = client.post(&format!("{}/reveal", one(sub)?), &body).await?;
            let value = answer.get("value").and_then(Value::as_str).unwrap_or_default();
            context.output.line(&answer, |_| value.to_owned())
        }
        Some(("key", sub)) => key(&context, &client, sub).await,
        _ => Ok(()),
    }
}

fn say(context: &Context, matches: &ArgMatches, en: &str, ko: &str) {
    let name = word(matches, "name").unwrap_or_default();
    context.output.remark(&format!("{name}: {}", if context.lang == Lang::Ko { ko } else { en }));
}

async fn list(context: &Context, client: &Client, matches: &ArgMatches) -> Result<()> {
    let page: Value = client.get(&base(matches, "secret-list")?).await?;
    let items = page.get("items").cloned().unwrap_or_default();
    context.output.show(&items, |items, _| {
        let mut table = Table::new([
            "NAME",
            "VARIABLE",
            "VERSION",
            "ENVIRONMENTS",
            "PROTECTED",
            "SET",
            "LAST USE",
        ]);
        for item in items.as_array().into_iter().flatten() {
            let Ok(view) = serde_json::from_value::<SecretView>(item.clone()) else { continue };
            let dash = || "-".to_owned();
            let all = || context.lang.pick("all", "전체").to_owned();
            let environments = Some(view.spec.environments.join(", ")).filter(|e| !e.is_empty());
            let protected = if view.spec.protected { context.lang.pick("yes", "예") } else { "-" };
            table.row([
                view.name.to_string(),
                view.variable.clone(),
                view.status.version.map_or_else(dash, |v| v.to_string()),
                environments.unwrap_or_else(all),
                protected.to_owned(),
                view.status.set.map_or_else(dash, |t| t.to_string()),
                view.last_use().map_or_else(dash, |t| t.to_string()),
            ]);
        }
        table
    })
}

async fn show(context: &Context, client: &Client, matches: &ArgMatches) -> Result<()> {
    let view: SecretView = client.get(&format!("{}/view", one(matches)?)).await?;
    context.output.show(&view, |view, out| {
        let p = |en: &'static str, ko: &'static str| out.lang.pick(en, ko).to_owned();
        let mut table = Table::new(["", "", "", ""]);
        let mut row = |a: String, b: String| table.row([a, b, String::new(), String::new()]);
        row(p("name", "이름"), view.name.to_string());
        row(p("variable", "변수"), view.variable.clone());
        row(p("description", "설명"), view.spec.description.clone());
        row(
            p("environments", "환경"),
            match view.spec.environments.is_empty() {
                true => p("all", "전체"),
                false => view.spec.environments.join(", "),
            },
        );
        row(
            p("branches", "브랜치"),
            match view.spec.protected {
                true => p("protected only", "보호 브랜치만"),
                false => p("all", "전체"),
            },
        );
        if let Some(due) = view.status.due {
            row(p("new value due", "교체 예정"), due.to_string());
        }
        for version in &view.versions {
            let gone = version.destroyed.map(|t| format!("{} {t}", p("destroyed", "파기")));
            table.row([
                format!("{} {}", p("version", "버전"), version.number),
                version.made.to_string(),
                version.by.to_string(),
                gone.unwrap_or_default(),
            ]);
        }
        for used in &view.uses {
            table.row([
                p("used by", "사용"),
                used.whom.clone(),
                used.last.to_string(),
                format!("×{}", used.times),
            ]);
        }
        table
    })
}

/// What of the scope is given, for the API.
fn settings(matches: &ArgMatches) -> Value {
    let mut settings = Map::new();
    if let Some(environments) = matches.get_many::<String>("env") {
        let given: Vec<&String> = environments.filter(|e| *e != "*").collect();
        settings.insert("environments".into(), json!(given));
    }
    for (yes, no, field) in [
        ("protected", "unprotected", "protected"),
        ("file", "variable", "file"),
        ("jobs", "no-jobs", "jobs"),
    ] {
        if on(matches, yes) || on(matches, no) {
            settings.insert(field.into(), json!(on(matches, yes)));
        }
    }
    for (option, field) in [("description", "description"), ("rotate-every", "rotate_every")] {
        if let Some(words) = word(matches, option) {
            settings.insert(field.into(), json!(words));
        }
    }
    if let (Some(by), Some(connection)) = (word(matches, "lend"), word(matches, "connection")) {
        let grant: Vec<&String> =
            matches.get_many::<String>("grant").into_iter().flatten().collect();
        let life = word(matches, "life").unwrap_or("1h");
        // A connection may be said as its variable, as everywhere.
        let connection =
            crate::plan::named(connection).map_or(connection.to_owned(), |(n, _)| n.to_string());
        let lends = json!({ "by": by, "connection": connection, "grant": grant, "life": life });
        settings.insert("lends".into(), lends);
    }
    if let Some(keep) = matches.get_one::<u32>("keep") {
        settings.insert("keep".into(), json!(keep));
    }
    Value::Object(settings)
}

fn with_value(settings: Value, value: &SecretText) -> Value {
    json!({ "settings": settings, "value": value.reveal() })
}

async fn set(context: &Context, client: &Client, matches: &ArgMatches) -> Result<()> {
    let (path, mut settings) = (one(matches)?, settings(matches));
    let generate = matches.get_one::<u64>("generate");
    if let (Some(length), Some(fields)) = (generate, settings.as_object_mut()) {
        fields.insert("generate".into(), json!({ "length": length }));
    }
    let valueless = on(matches, "keep-value") || word(matches, "lend").is_some();
    let body = match (valueless || generate.is_some(), word(matches, "from-file")) {
        (true, _) => json!({ "settings": settings }),
        (false, Some(file)) => with_value(settings, &ask::file(file, LARGEST)?),
        (false, None) => with_value(settings, &ask::value(context.lang, LARGEST)?),
    };
    let mut answer: Value = client.post(&format!("{path}/set"), &body).await?;
    if generate.is_some() {
        answer = client.post(&format!("{path}/rotate"), &json!({})).await?;
    }
    told(context, &answer)
}

fn told(context: &Context, answer: &Value) -> Result<()> {
    if answer.get("hidden") == Some(&Value::Bool(false)) {
        context.output.remark(context.lang.pick(
            "warning: the value is too short to be hidden in logs",
            "경고: 값이 너무 짧아 로그에서 가릴 수 없습니다",
        ));
    }
    context.output.show(answer, |answer, _| {
        let mut table = Table::new(["NAME", "VARIABLE", "VERSION"]);
        table.row(["name", "variable", "version"].map(|f| shown(answer.get(f))));
        table
    })
}

async fn import(context: &Context, client: &Client, matches: &ArgMatches) -> Result<()> {
    let file = word(matches, "path").unwrap_or_default();
    let words = ask::file(file, LARGEST * 4)?;
    let read = dotenv::parse(file, words.reveal())?;
    let all: Vec<Value> = read
        .iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| json!({ "name": name, "value": value.reveal() }))
        .collect();
    let body = json!({ "secrets": all, "settings": settings(matches) });
    let answer: Value = client.post(&base(matches, "secret-import")?, &body).await?;
    let left_out = read.len() - all.len();
    if left_out > 0 {
        let (en, ko) = (
            format!("{left_out} without a value are left out"),
            format!("값이 없는 {left_out}개는 뺐습니다"),
        );
        context.output.remark(if context.lang == Lang::Ko { &ko } else { &en });
    }
    let items = answer.get("items").cloned().unwrap_or_default();
    context.output.show(&items, |items, _| {
        let mut table = Table::new(["NAME", "VARIABLE", "VERSION"]);
        for item in items.as_array().into_iter().flatten() {
            table.row(["name", "variable", "version"].map(|f| shown(item.get(f))));
        }
        table
    })
}

async fn rotate(context: &Context, client: &Client, matches: &ArgMatches) -> Result<()> {
    let path = one(matches)?;
    let answer: Value = match word(matches, "command") {
        Some(command) => {
            // That it is there is asked first: the command may have made a new password somewhere.
            let _: Value = client.get(&format!("{path}/view")).await?;
            let value = ask::command(command, LARGEST).await?;
            client.post(&format!("{path}/set"), &with_value(json!({}), &value)).await?
        }
        None => {
            let length = matches.get_one::<u64>("generate");
            let body = length.map_or(json!({}), |l| json!({ "generate": { "length": l } }));
            client.post(&format!("{path}/rotate"), &body).await?
        }
    };
    told(context, &answer)
}

async fn key(context: &Context, client: &Client, matches: &ArgMatches) -> Result<()> {
    if matches.subcommand_name() == Some("rotate") {
        let _: Value = client.post("/api/v1/secret-key/rotate", &json!({})).await?;
    }
    let status: Value = client.get("/api/v1/secret-key").await?;
    context.output.show(&status, |status, out| {
        let mut table = Table::new(["", ""]);
        for (field, en, ko) in [
            ("kind", "master key", "마스터 키"),
            ("place", "place", "위치"),
            ("current", "current key", "현재 키"),
            ("made", "made", "만든 때"),
            ("left", "values to rewrap", "다시 감쌀 값"),
        ] {
            table.row([out.lang.pick(en, ko).to_owned(), shown(status.get(field))]);
        }
        if let Some(locked) = status.get("locked") {
            let word = |field: &str| shown(locked.get(field));
            table.row([out.lang.pick("locked", "잠김").to_owned(), word("say")]);
            table.row([out.lang.pick("hint", "도움말").to_owned(), word("hint")]);
        }
        table
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_commands_are_sound() {
        for lang in [Lang::En, Lang::Ko] {
            COMMANDS.iter().for_each(|c| (c.build)(lang).debug_assert());
        }
    }
}

//! `naru pipeline token|group|schedule|shard`.

use crate::shard;
use clap::{Arg, ArgAction, ArgMatches, value_parser};
use cli::{Command, Context, Table, segment};
use kernel::{Error, Lang, Result, Text, text};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::Read;
use std::path::PathBuf;

/// Largest list of files or times, in bytes.
const MAX_LIST: u64 = 64 << 20;

pub(crate) const COMMAND: Command =
    Command { name: "pipeline", build, run: |context, matches| Box::pin(flow(context, matches)) };

fn build(lang: Lang) -> clap::Command {
    let verb = |name: &'static str, en: &'static str, ko: &'static str| {
        clap::Command::new(name).about(lang.pick(en, ko).to_owned())
    };
    let noun =
        |name, en, ko| verb(name, en, ko).subcommand_required(true).arg_required_else_help(true);
    let name = |value: &'static str| Arg::new("name").required(true).value_name(value);
    let token = noun("token", "tokens that start pipelines", "파이프라인을 시작하는 토큰")
        .subcommand(
            verb("create", "make a token, shown once", "토큰 만들기. 한 번만 보여 줍니다")
                .arg(name("NAME")),
        )
        .subcommand(verb("list", "tokens of the project", "프로젝트의 토큰"))
        .subcommand(verb("revoke", "take a token back", "토큰 폐기").arg(name("NAME")));
    let group = noun("group", "resource groups and their turns", "리소스 그룹과 차례")
        .subcommand(verb("list", "groups of the project", "프로젝트의 그룹"))
        .subcommand(
            verb("set", "how a group gives its turn", "그룹이 차례를 정하는 방식 바꾸기")
                .arg(name("KEY"))
                .arg(Arg::new("mode").required(true).value_name("MODE").value_parser([
                    "unordered",
                    "oldest_first",
                    "newest_first",
                    "newest_ready_first",
                ])),
        );
    let schedule =
        noun("schedule", "pipelines that start by the clock", "정해진 시각에 시작하는 파이프라인")
            .subcommand(
                verb("play", "start a schedule's pipeline now", "일정의 파이프라인을 지금 시작")
                    .arg(name("NAME")),
            );
    clap::Command::new("pipeline")
        .about(lang.pick("Pipelines of repositories", "저장소의 파이프라인").to_owned())
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(token)
        .subcommand(group)
        .subcommand(schedule)
        .subcommand(shards(lang))
}

fn shards(lang: Lang) -> clap::Command {
    let number = |name: &'static str, env: &'static str, en: &'static str, ko: &'static str| {
        Arg::new(name)
            .long(name)
            .env(env)
            .value_name("N")
            .required(true)
            .value_parser(value_parser!(u32).range(1..=10_000))
            .help(lang.pick(en, ko).to_owned())
    };
    clap::Command::new("shard")
        .about(
            lang.pick(
                "Print which of the test files this of several jobs runs, without a server",
                "여러 작업 가운데 이 작업이 맡을 테스트 파일을 출력 (서버 불필요)",
            )
            .to_owned(),
        )
        .arg(number("index", "CI_NODE_INDEX", "this job, from 1", "이 작업의 번호 (1부터)"))
        .arg(number("total", "CI_NODE_TOTAL", "how many jobs share them", "나눠 맡는 작업 수"))
        .arg(
            Arg::new("times")
                .long("times")
                .env(crate::job::times::VARIABLE)
                .value_name("FILE")
                .value_parser(value_parser!(PathBuf))
                .help(
                    lang.pick(
                        "what each took, in place of what was measured: a JSON object of seconds by file, or lines `FILE SECONDS`",
                        "측정값 대신 쓸 파일별 소요 시간. 파일별 초를 담은 JSON 객체나 `FILE SECONDS` 줄",
                    )
                    .to_owned(),
                ),
        )
        .arg(
            Arg::new("files").value_name("FILE").action(ArgAction::Append).help(
                lang.pick(
                    "the files; `-` reads them from standard input",
                    "파일들. `-`면 표준 입력에서 읽습니다",
                )
                .to_owned(),
            ),
        )
}

async fn flow(context: Context, matches: ArgMatches) -> Result<()> {
    let Some((noun, inner)) = matches.subcommand() else { return Ok(()) };
    if noun == "shard" {
        return print_share(&context, inner);
    }
    let project = crate::cmd::project(&matches)?;
    let base = format!("/api/v1/projects/{}", segment(&project));
    let Some((verb, args)) = inner.subcommand() else { return Ok(()) };
    let word = |name: &str| args.get_one::<String>(name).cloned().unwrap_or_default();
    match (noun, verb) {
        ("token", "create") => {
            let body = json!({ "name": word("name") });
            let made: Value =
                context.client()?.post(&format!("{base}/trigger-tokens"), &body).await?;
            context.output.line(&made, |made| field(made, "token"))
        }
        ("token", "list") => {
            list(&context, &format!("{base}/trigger-tokens"), &["name", "owner", "created", "used"])
                .await
        }
        ("token", _) => {
            let path = format!("{base}/trigger-tokens/{}", segment(&word("name")));
            context.client()?.delete(&path).await.map(drop)
        }
        ("group", "list") => {
            list(&context, &format!("{base}/resource-groups"), &["key", "process_mode"]).await
        }
        ("group", _) => {
            let path = format!("{base}/resource-groups/{}", segment(&word("name")));
            let body = json!({ "process_mode": word("mode") });
            let set: Value = context.client()?.put(&path, &body).await?;
            context
                .output
                .line(&set, |set| format!("{} {}", field(set, "key"), field(set, "process_mode")))
        }
        _ => {
            let path = format!("{base}/schedules/{}/play", segment(&word("name")));
            let made: Value = context.client()?.post(&path, &json!({})).await?;
            context.output.line(&made, |made| field(made, "run"))
        }
    }
}

fn field(value: &Value, name: &str) -> String {
    match value.get(name) {
        Some(Value::String(words)) => words.clone(),
        // A principal.
        Some(Value::Object(map)) => {
            map.get("name").and_then(Value::as_str).unwrap_or("").to_owned()
        }
        _ => String::new(),
    }
}

async fn list(context: &Context, path: &str, columns: &[&str]) -> Result<()> {
    let found: Vec<Value> = context.client()?.get(path).await?;
    context.output.show(&found, |found, _| {
        let mut table = Table::new(columns.iter().map(|c| c.to_uppercase()));
        for row in found {
            table.row(columns.iter().map(|column| field(row, column)));
        }
        table
    })
}

fn print_share(context: &Context, matches: &ArgMatches) -> Result<()> {
    let number = |name: &str| {
        let found = matches.get_one::<u32>(name).copied().unwrap_or(1);
        usize::try_from(found).unwrap_or(1)
    };
    let (index, total) = (number("index"), number("total"));
    if index > total {
        let say = text!(
            "there is no job {index} of {total}",
            "작업 {total}개 가운데 {index}번은 없습니다"
        );
        return Err(Error::invalid("shard.index", say));
    }
    let times = match matches.get_one::<PathBuf>("times") {
        Some(path) => read_times(path)?,
        None => BTreeMap::new(),
    };
    let mut files = Vec::new();
    for file in matches.get_many::<String>("files").into_iter().flatten() {
        match file.as_str() {
            "-" => files.extend(
                read(std::io::stdin(), "-")?.lines().filter(|l| !l.is_empty()).map(str::to_owned),
            ),
            file => files.push(file.to_owned()),
        }
    }
    let mine = shard::share(&files, &shard::of_files(&files, &times), index, total);
    context.output.print(&mine.iter().map(|file| format!("{file}\n")).collect::<String>())
}

/// Times that are not there yet are none: the first pipeline has nothing to go by.
fn read_times(path: &std::path::Path) -> Result<BTreeMap<String, f64>> {
    let shown = path.display().to_string();
    let Ok(file) = std::fs::File::open(path) else { return Ok(BTreeMap::new()) };
    shard::times(&read(file, &shown)?).ok_or_else(|| {
        let say = text!("{shown} has no times of files", "{shown}에 파일별 시간이 없습니다");
        Error::invalid("shard.times", say).hint(Text::fixed(
            "a JSON object of seconds by file, or lines of a file and its seconds",
            "파일별 초를 담은 JSON 객체나 `파일 초` 줄을 쓰세요",
        ))
    })
}

fn read(from: impl Read, shown: &str) -> Result<String> {
    let mut words = String::new();
    let read = from.take(MAX_LIST).read_to_string(&mut words);
    read.map(|_| words).map_err(|error| {
        let say =
            text!("{shown} cannot be read: {error}", "{shown}을(를) 읽을 수 없습니다: {error}");
        Error::invalid("file.unreadable", say)
    })
}

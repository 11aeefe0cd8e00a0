//! `naru load run|compare|gate|schema|list|show`.

mod compare;
mod draw;
mod gate;
mod run;

use clap::{Arg, ArgAction, ArgMatches, value_parser};
use cli::{Command, Context, Table, segment};
use kernel::{Error, Lang, Result, text};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;

pub(crate) const COMMANDS: &[Command] =
    &[Command { name: "load", build, run: |context, matches| Box::pin(load(context, matches)) }];

/// k6's own exit code for thresholds that were crossed.
const THRESHOLDS: i32 = 99;

fn verb(lang: Lang, name: &'static str, en: &'static str, ko: &'static str) -> clap::Command {
    clap::Command::new(name).about(lang.pick(en, ko).to_owned())
}

fn option(
    lang: Lang,
    name: &'static str,
    value: &'static str,
    en: &'static str,
    ko: &'static str,
) -> Arg {
    Arg::new(name).long(name).value_name(value).help(lang.pick(en, ko).to_owned())
}

fn flag(lang: Lang, name: &'static str, en: &'static str, ko: &'static str) -> Arg {
    Arg::new(name).long(name).action(ArgAction::SetTrue).help(lang.pick(en, ko).to_owned())
}

fn build(lang: Lang) -> clap::Command {
    clap::Command::new("load")
        .about(lang.pick("Performance tests", "성능 테스트").to_owned())
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(run_command(lang))
        .subcommand(compare_command(lang))
        .subcommand(gate_command(lang))
        .subcommand(verb(
            lang,
            "schema",
            "the JSON Schema of a test file",
            "테스트 파일의 JSON Schema",
        ))
        .subcommand(
            verb(
                lang,
                "list",
                "scenarios of a project with their last results",
                "프로젝트의 시나리오와 최근 결과",
            )
            .arg(project(lang)),
        )
        .subcommand(
            verb(
                lang,
                "show",
                "results of one scenario, newest first",
                "한 시나리오의 결과 (최신순)",
            )
            .arg(project(lang))
            .arg(Arg::new("repository").required(true).value_name("REPOSITORY"))
            .arg(Arg::new("scenario").required(true).value_name("SCENARIO")),
        )
}

fn project(lang: Lang) -> Arg {
    Arg::new("project")
        .short('p')
        .long("project")
        .env("NARU_PROJECT")
        .value_name("PROJECT")
        .help(lang.pick("whose results", "어느 프로젝트인지").to_owned())
}

fn run_command(lang: Lang) -> clap::Command {
    shape(
        lang,
        verb(
            lang,
            "run",
            "put load on a server at a constant arrival rate, and measure",
            "서버에 일정한 속도로 부하를 주고 측정",
        )
        .arg(
            Arg::new("target")
                .required(true)
                .value_name("FILE|URL")
                .help(lang.pick("a test file, or one address", "테스트 파일 또는 주소 하나").to_owned()),
        ),
    )
    .arg(
        option(lang, "summary-export", "FILE", "write the result, as k6 and with everything beside", "결과를 파일로 저장 (k6 형식 + 전체)")
            .value_parser(value_parser!(PathBuf)),
    )
    .arg(option(lang, "base", "BRANCH", "have the server judge it against this branch", "서버가 이 브랜치와 비교해 판정하도록 요청"))
    .arg(flag(lang, "no-calibrate", "do not measure the generator itself first", "부하 생성기 자체의 보정 측정을 생략"))
    .arg(flag(lang, "quiet", "no line every second", "매초 진행 줄을 표시하지 않음"))
    .after_help(lang.pick(
        "Exit code 99: thresholds were crossed.\n\nExamples:\n  naru load run https://shop.example.org/ --rate 200 --duration 30s\n  naru load run load.yaml -e BASE_URL=http://127.0.0.1:8080",
        "종료 코드 99: 임계값을 넘음\n\n예:\n  naru load run https://shop.example.org/ --rate 200 --duration 30s\n  naru load run load.yaml -e BASE_URL=http://127.0.0.1:8080",
    ).to_owned())
}

/// What a run of an address is like, and what a file is filled with.
fn shape(lang: Lang, command: clap::Command) -> clap::Command {
    command
        .arg(
            Arg::new("env")
                .short('e')
                .long("env")
                .value_name("NAME=VALUE")
                .action(ArgAction::Append)
                .help(lang.pick("a variable of the file", "파일의 변수").to_owned()),
        )
        .arg(
            option(lang, "rate", "N", "requests a second [default: 50]", "초당 요청 수 [기본: 50]")
                .value_parser(value_parser!(f64)),
        )
        .arg(option(lang, "duration", "TIME", "how long [default: 10s]", "기간 [기본: 10s]"))
        .arg(
            option(lang, "vus", "N", "at most so many at a time", "동시에 진행할 최대 수")
                .value_parser(value_parser!(u32)),
        )
        .arg(flag(
            lang,
            "http2",
            "HTTP/2, without TLS by prior knowledge",
            "HTTP/2 사용 (TLS 없이도)",
        ))
        .arg(flag(
            lang,
            "insecure",
            "believe any certificate of a server",
            "서버의 인증서를 확인하지 않음",
        ))
        .arg(
            option(
                lang,
                "cacert",
                "FILE",
                "authorities in PEM to trust, instead of the machine's own",
                "컴퓨터의 인증 기관 대신 믿을 인증서 파일 (PEM)",
            )
            .conflicts_with("insecure")
            .value_parser(value_parser!(PathBuf)),
        )
        .arg(
            option(lang, "workers", "N", "threads of the generator", "부하 생성기의 스레드 수")
                .value_parser(value_parser!(usize)),
        )
}

fn compare_command(lang: Lang) -> clap::Command {
    shape(
        lang,
        verb(
            lang,
            "compare",
            "is head slower than base? Two results, or two servers in turns",
            "head가 base보다 느린지 판정 (결과 파일 둘, 또는 서버 둘을 번갈아)",
        )
        .arg(
            Arg::new("base")
                .required(true)
                .value_name("BASE")
                .help(lang.pick("a result file or an address", "결과 파일 또는 주소").to_owned()),
        )
        .arg(
            Arg::new("head").required(true).value_name("HEAD").help(
                lang.pick("the same of what is new", "새 쪽의 결과 파일 또는 주소").to_owned(),
            ),
        ),
    )
    .arg(
        option(
            lang,
            "test",
            "FILE",
            "a test file whose BASE_URL is each of the two",
            "BASE_URL에 두 주소를 차례로 넣을 테스트 파일",
        )
        .value_parser(value_parser!(PathBuf)),
    )
    .arg(option(
        lang,
        "block",
        "TIME",
        "length of one turn [default: 2s]",
        "한 차례의 길이 [기본: 2s]",
    ))
    .arg(effect(lang))
    .arg(flag(
        lang,
        "strict",
        "exit 1 also when it cannot tell",
        "판정할 수 없을 때도 종료 코드 1",
    ))
}

fn effect(lang: Lang) -> Arg {
    option(
        lang,
        "effect",
        "SHARE",
        "the smallest change that matters [default: 0.05]",
        "의미 있는 최소 변화 [기본: 0.05]",
    )
    .value_parser(value_parser!(f64))
}

fn gate_command(lang: Lang) -> clap::Command {
    verb(
        lang,
        "gate",
        "fail when a result is worse than its base's",
        "결과가 기준 브랜치보다 나빠지면 실패",
    )
    .arg(
        Arg::new("file")
            .value_name("FILE")
            .default_value("load-performance.json")
            .value_parser(value_parser!(PathBuf))
            .help(
                lang.pick(
                    "what `naru load run --summary-export` wrote",
                    "`naru load run --summary-export`가 쓴 파일",
                )
                .to_owned(),
            ),
    )
    .arg(
        option(
            lang,
            "base",
            "BRANCH",
            "against the results of this branch",
            "이 브랜치의 결과와 비교",
        )
        .default_value("main"),
    )
    .arg(
        option(
            lang,
            "base-result",
            "FILE",
            "against these result files instead",
            "대신 이 결과 파일들과 비교",
        )
        .action(ArgAction::Append)
        .value_parser(value_parser!(PathBuf)),
    )
    .arg(project(lang).env("CI_PROJECT_NAMESPACE"))
    .arg(
        option(lang, "repository", "NAME", "whose results", "어느 저장소인지")
            .env("CI_PROJECT_NAME"),
    )
    .arg(effect(lang))
    .arg(flag(lang, "strict", "fail also when it cannot tell", "판정할 수 없을 때도 실패"))
}

async fn load(context: Context, matches: ArgMatches) -> Result<()> {
    match matches.subcommand() {
        Some(("run", m)) => run::run(&context, m).await,
        Some(("compare", m)) => compare::compare(&context, m).await,
        Some(("gate", m)) => gate::gate(&context, m).await,
        Some(("schema", _)) => schema(&context),
        Some(("list", m)) => list(&context, m).await,
        Some(("show", m)) => show(&context, m).await,
        _ => Ok(()),
    }
}

fn schema(context: &Context) -> Result<()> {
    let schema = schemars::schema_for!(load::file::Test);
    let words = serde_json::to_string_pretty(&schema).map_err(Error::internal)?;
    context.output.print(&format!("{words}\n"))
}

async fn list(context: &Context, matches: &ArgMatches) -> Result<()> {
    let path = format!("/api/v1/projects/{}/load", segment(&project_of(matches)?));
    let found: Value = context.client()?.get(&path).await?;
    context.output.show(&found, |found, out| {
        let l = out.lang;
        let mut table = Table::new([
            l.pick("REPOSITORY", "저장소"),
            l.pick("SCENARIO", "시나리오"),
            l.pick("RESULTS", "결과"),
            "P50",
            "P95",
            l.pick("RATE", "초당"),
            l.pick("VERDICT", "판정"),
        ])
        .nothing(l.pick("no results yet", "아직 결과가 없습니다"));
        for item in items(found) {
            let last = item.get("last").cloned().unwrap_or_default();
            table.row([
                word(item, "repository"),
                word(item, "scenario"),
                word(item, "count"),
                millis(&last, "p50"),
                millis(&last, "p95"),
                number(&last, "rate"),
                verdict(&last, l),
            ]);
        }
        table
    })
}

async fn show(context: &Context, matches: &ArgMatches) -> Result<()> {
    let arg = |name: &str| segment(matches.get_one::<String>(name).map_or("", String::as_str));
    let project = segment(&project_of(matches)?);
    let path = format!("/api/v1/projects/{project}/load/{}/{}", arg("repository"), arg("scenario"));
    let found: Value = context.client()?.get(&path).await?;
    context.output.show(&found, |found, out| {
        let l = out.lang;
        let mut table = Table::new([
            l.pick("COMMIT", "커밋"),
            l.pick("BRANCH", "브랜치"),
            "P50",
            "P95",
            "P99",
            l.pick("RATE", "초당"),
            l.pick("FAILED", "실패"),
            l.pick("VERDICT", "판정"),
            l.pick("AT", "시각"),
        ])
        .nothing(l.pick("no results yet", "아직 결과가 없습니다"));
        for item in items(found) {
            let commit: String = word(item, "commit").chars().take(12).collect();
            table.row([
                commit,
                word(item, "branch"),
                millis(item, "p50"),
                millis(item, "p95"),
                millis(item, "p99"),
                number(item, "rate"),
                word(item, "failed"),
                verdict(item, l),
                word(item, "at"),
            ]);
        }
        table
    })
}

fn items(found: &Value) -> impl Iterator<Item = &Value> {
    found.get("items").and_then(Value::as_array).into_iter().flatten()
}

fn word(item: &Value, key: &str) -> String {
    match item.get(key) {
        Some(Value::String(words)) => words.clone(),
        Some(Value::Null) | None => "–".to_owned(),
        Some(other) => other.to_string(),
    }
}

fn millis(item: &Value, key: &str) -> String {
    item.get(key).and_then(Value::as_f64).map_or_else(|| "–".to_owned(), draw::ms)
}

fn number(item: &Value, key: &str) -> String {
    item.get(key).and_then(Value::as_f64).map_or_else(|| "–".to_owned(), |n| format!("{n:.0}"))
}

fn verdict(item: &Value, lang: Lang) -> String {
    let found = item.get("judgement").and_then(|j| j.get("verdict")).cloned();
    let found = found.and_then(|v| serde_json::from_value::<load::judge::Verdict>(v).ok());
    found.map_or_else(|| "–".to_owned(), |v| v.text().get(lang).to_owned())
}

fn project_of(matches: &ArgMatches) -> Result<String> {
    let found = matches.get_one::<String>("project").cloned().filter(|p| !p.is_empty());
    found.ok_or_else(|| {
        Error::invalid("project.missing", text!("which project?", "어느 프로젝트인가요?")).hint(
            text!(
                "name it with `-p PROJECT` or NARU_PROJECT",
                "`-p 프로젝트`나 NARU_PROJECT로 알려 주세요"
            ),
        )
    })
}

fn variables(matches: &ArgMatches) -> Result<BTreeMap<String, String>> {
    let pair = |words: &String| {
        words.split_once('=').map(|(n, v)| (n.to_owned(), v.to_owned())).ok_or_else(|| {
            Error::invalid(
                "variable.invalid",
                text!("`{words}` is not NAME=VALUE", "`{words}`은(는) NAME=VALUE 꼴이 아닙니다"),
            )
        })
    };
    matches.get_many::<String>("env").into_iter().flatten().map(pair).collect()
}

fn is_address(words: &str) -> bool {
    words.starts_with("http://") || words.starts_with("https://")
}

/// Ends the process with a code of its own. What was to be printed has been.
fn exit(code: i32) -> ! {
    std::process::exit(code)
}

//! `naru test …`, `naru results`, `naru coverage`, `naru findings` and `naru cost`.

#![allow(clippy::indexing_slicing, reason = "a JSON value answers null for what it lacks")]

mod tables;

use crate::kind::{LONGEST_DAYS, Quarantine};
use crate::select::Format;
use clap::{Arg, ArgMatches, value_parser};
use cli::{Client, Command, Context, segment};
use kernel::{Error, Kind, Lang, Name, Result, Text, Time, text};
use serde_json::{Value, json};
use std::time::Duration;

pub const COMMANDS: &[Command] = &[
    Command { name: "test", build: test_command, run: |c, m| Box::pin(test(c, m)) },
    Command { name: "results", build: results_command, run: |c, m| Box::pin(results(c, m)) },
    Command { name: "coverage", build: coverage_command, run: |c, m| Box::pin(coverage(c, m)) },
    Command { name: "findings", build: findings_command, run: |c, m| Box::pin(findings(c, m)) },
    Command { name: "cost", build: cost_command, run: |c, m| Box::pin(cost(c, m)) },
];

fn project(lang: Lang) -> Arg {
    Arg::new("project")
        .short('p')
        .long("project")
        .env("NARU_PROJECT")
        .global(true)
        .help(lang.pick("The project", "프로젝트"))
}

fn option(name: &'static str, value: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).value_name(value).help(help)
}

fn limit(lang: Lang, usual: &'static str) -> Arg {
    option("limit", "N", lang.pick("How many", "몇 개"))
        .value_parser(value_parser!(u32))
        .default_value(usual)
}

fn run_option(lang: Lang) -> Arg {
    option(
        "run",
        "RUN",
        lang.pick("A run; without it the newest pipeline", "실행. 없으면 가장 새 파이프라인"),
    )
}

fn test_command(lang: Lang) -> clap::Command {
    let verb = |name: &'static str, en: &'static str, ko: &'static str| {
        clap::Command::new(name).about(lang.pick(en, ko))
    };
    let repository =
        || option("repository", "NAME", lang.pick("Only of this repository", "이 저장소만"));
    let id = || {
        Arg::new("test").value_name("ID").required(true).help(lang.pick(
            "Its id or its sixteen digits, as `naru test list` shows them",
            "`naru test list`가 보여 주는 id나 열여섯 자리",
        ))
    };
    clap::Command::new("test")
        .about(lang.pick(
            "Tests: their histories, flakes, durations and quarantines",
            "테스트: 이력, 불안정, 소요 시간, 격리",
        ))
        .subcommand_required(true)
        .arg(project(lang))
        .subcommand(
            verb(
                "list",
                "List tests, those that fail first",
                "테스트를 실패하는 것부터 나열합니다",
            )
            .arg(
                Arg::new("words")
                    .value_name("WORDS")
                    .help(lang.pick("Part of the id", "id의 일부")),
            )
            .arg(repository())
            .arg(option("job", "JOB", lang.pick("Only of this job", "이 작업만")))
            .arg(
                option(
                    "outcome",
                    "OUTCOME",
                    lang.pick("Only those that ended so", "이렇게 끝난 것만"),
                )
                .value_parser(["passed", "failed", "flaky", "skipped", "error"]),
            )
            .arg(
                option("order", "ORDER", lang.pick("What comes first", "무엇부터"))
                    .value_parser(["trouble", "slowest", "newest"])
                    .default_value("trouble"),
            )
            .arg(limit(lang, "50")),
        )
        .subcommand(
            verb("show", "Show a test and its history", "테스트와 그 이력을 보여 줍니다")
                .visible_alias("history")
                .arg(id())
                .arg(repository())
                .arg(limit(lang, "20")),
        )
        .subcommand(verb(
            "flaky",
            "The flake ledger: same commit, different result",
            "불안정 테스트 장부: 같은 커밋, 다른 결과",
        ))
        .subcommand(
            verb(
                "slow",
                "The slowest tests, and those that got slower",
                "가장 느린 테스트와 느려진 테스트",
            )
            .arg(limit(lang, "15")),
        )
        .subcommand(
            verb(
                "failed",
                "Failed tests of a run, in a runner's words",
                "실행에서 실패한 테스트를 실행기의 표기로 보여 줍니다",
            )
            .arg(run_option(lang))
            .arg(option("job", "JOB", lang.pick("Only of this job", "이 작업만")))
            .arg(
                option(
                    "attempt",
                    "N",
                    lang.pick(
                        "Of this attempt; without it the newest",
                        "이 시도. 없으면 가장 새 시도",
                    ),
                )
                .value_parser(value_parser!(u32)),
            )
            .arg(
                option("format", "FORMAT", lang.pick("For which runner", "어느 실행기의 표기로"))
                    .value_parser(Format::ALL.map(Format::word))
                    .default_value("ids"),
            ),
        )
        .subcommand(
            verb(
                "quarantine",
                "Let failures of tests not count for a while",
                "테스트가 한동안 실패해도 작업이 실패하지 않게 합니다",
            )
            .arg(Arg::new("tests").value_name("ID").num_args(1..).required(true).help(lang.pick(
                "Ids of tests; `*` stands for any characters",
                "테스트 id. `*`는 아무 글자나 뜻합니다",
            )))
            .arg(option("owner", "WHO", lang.pick("Who mends them", "고칠 사람")).required(true))
            .arg(option("reason", "WORDS", lang.pick("Why", "이유")).required(true))
            .arg(
                option(
                    "days",
                    "N",
                    lang.pick("For how many days, at most 90", "며칠 동안, 최대 90일"),
                )
                .value_parser(value_parser!(u32).range(1..=i64::from(LONGEST_DAYS)))
                .default_value("14"),
            )
            .arg(repository())
            .arg(option(
                "name",
                "NAME",
                lang.pick("Name of the quarantine", "격리의 이름"),
            )),
        )
}

fn results_command(lang: Lang) -> clap::Command {
    clap::Command::new("results")
        .about(lang.pick(
            "What a run came to: failed tests, coverage, findings, cost, critical path",
            "실행 결과: 실패한 테스트, 커버리지, 발견 사항, 비용, 임계 경로",
        ))
        .arg(project(lang))
        .arg(run_option(lang))
}

fn coverage_command(lang: Lang) -> clap::Command {
    clap::Command::new("coverage")
        .about(lang.pick(
            "Coverage over time, or of one run by file",
            "시간에 따른 커버리지, 또는 한 실행의 파일별 커버리지",
        ))
        .arg(project(lang))
        .arg(option("run", "RUN", lang.pick("By file, of this run", "이 실행의 파일별 커버리지")))
        .arg(option("repository", "NAME", lang.pick("Only of this repository", "이 저장소만")))
        .arg(option(
            "branch",
            "NAME",
            lang.pick("Instead of the default branch", "기본 브랜치 대신"),
        ))
        .arg(limit(lang, "20"))
}

fn findings_command(lang: Lang) -> clap::Command {
    clap::Command::new("findings")
        .about(
            lang.pick("What analyses found in a run, new ones first", "분석이 찾은 것을 새것부터"),
        )
        .arg(project(lang))
        .arg(run_option(lang))
        .arg(limit(lang, "50"))
}

fn cost_command(lang: Lang) -> clap::Command {
    clap::Command::new("cost")
        .about(lang.pick("What pipelines cost in core-seconds", "파이프라인이 쓴 코어 초"))
        .arg(project(lang))
        .arg(
            option("weeks", "N", lang.pick("Over how many weeks", "몇 주 동안"))
                .value_parser(value_parser!(u32))
                .default_value("8"),
        )
        .arg(
            option("by", "WHAT", lang.pick("How to cut it", "나누는 기준"))
                .value_parser(["week", "job", "branch"])
                .default_value("job"),
        )
}

fn base(matches: &ArgMatches) -> Result<String> {
    let words = matches.get_one::<String>("project").ok_or_else(|| {
        Error::invalid(
            "project.missing",
            Text::fixed(
                "reports belong to a project and none is named",
                "보고서는 프로젝트에 속하는데 프로젝트가 없습니다",
            ),
        )
        .hint(Text::fixed(
            "use `-p PROJECT` or set NARU_PROJECT",
            "`-p PROJECT`나 NARU_PROJECT를 쓰세요",
        ))
    })?;
    Ok(format!("/api/v1/projects/{}", Name::parse(words)?))
}

fn word<'a>(matches: &'a ArgMatches, name: &str) -> Option<&'a str> {
    matches.get_one::<String>(name).map(String::as_str)
}

fn number(matches: &ArgMatches, name: &str) -> Option<u32> {
    matches.try_get_one::<u32>(name).ok().flatten().copied()
}

/// `?a=b&c=d` of what is given.
fn query(pairs: &[(&str, Option<String>)]) -> String {
    let given = pairs.iter().filter_map(|(k, v)| Some(format!("{k}={}", segment(v.as_ref()?))));
    let words: Vec<String> = given.collect();
    if words.is_empty() { String::new() } else { format!("?{}", words.join("&")) }
}

/// The run that is named, or the newest pipeline of the project.
async fn run_of(client: &Client, base: &str, matches: &ArgMatches) -> Result<String> {
    if let Some(run) = word(matches, "run") {
        return Ok(segment(run));
    }
    let page: Value = client.get(&format!("{base}/runs?kind=pipeline&limit=1")).await?;
    let first = page["items"].get(0).or_else(|| page.get(0));
    first.and_then(|r| r["id"].as_str()).map(str::to_owned).ok_or_else(|| {
        Error::not_found(
            "run.none",
            Text::fixed("the project has no pipeline yet", "프로젝트에 아직 파이프라인이 없습니다"),
        )
        .hint(Text::fixed("`git push` starts one", "`git push`를 하면 시작합니다"))
    })
}

async fn test(context: Context, matches: ArgMatches) -> Result<()> {
    let client = context.client()?;
    let Some((verb, sub)) = matches.subcommand() else { return Ok(()) };
    let base = base(sub)?;
    let given = |name: &str| word(sub, name).map(str::to_owned);
    let lang = context.lang;
    match verb {
        "list" => {
            let limit = number(sub, "limit").map(|n| n.to_string());
            let query = query(&[
                ("q", given("words")),
                ("repository", given("repository")),
                ("job", given("job")),
                ("outcome", given("outcome")),
                ("order", given("order")),
                ("limit", limit),
            ]);
            let page: Value = client.get(&format!("{base}/tests{query}")).await?;
            context.output.show(&page, |page, _| tables::tests(page, lang))
        }
        "show" => {
            let query = query(&[("id", given("test")), ("repository", given("repository"))]);
            let found: Value = client.get(&format!("{base}/test{query}")).await?;
            let limit = number(sub, "limit").unwrap_or(20) as usize;
            context.output.show(&found, |found, _| tables::history(found, limit, lang))
        }
        "flaky" => {
            let page: Value = client.get(&format!("{base}/flakes")).await?;
            context.output.show(&page["items"], |items, _| tables::flakes(items, lang))
        }
        "slow" => {
            let limit = number(sub, "limit").unwrap_or(15);
            let page: Value = client.get(&format!("{base}/slow-tests?limit={limit}")).await?;
            context.output.show(&page, |page, _| tables::slow(page, lang))
        }
        "failed" => failed(&context, &client, &base, sub).await,
        _ => quarantine(&context, &client, &base, sub).await,
    }
}

async fn failed(context: &Context, client: &Client, base: &str, sub: &ArgMatches) -> Result<()> {
    let run = run_of(client, base, sub).await?;
    let query = query(&[
        ("job", word(sub, "job").map(str::to_owned)),
        ("attempt", number(sub, "attempt").map(|n| n.to_string())),
        ("format", word(sub, "format").map(str::to_owned)),
    ]);
    let found: Value = client.get(&format!("{base}/runs/{run}/failed-tests{query}")).await?;
    match context.output.format {
        // The words alone, so that they can stand in another command.
        cli::Format::Table => match found["words"].as_str().unwrap_or("") {
            "" => Ok(()),
            words => context.output.print(&format!("{words}\n")),
        },
        _ => context.output.show(&found, |_, _| cli::Table::default()),
    }
}

async fn quarantine(
    context: &Context,
    client: &Client,
    base: &str,
    sub: &ArgMatches,
) -> Result<()> {
    let days = number(sub, "days").unwrap_or(14);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let now =
        Time(i64::try_from(now.map_err(Error::internal)?.as_millis()).map_err(Error::internal)?);
    let until = crate::judge::day(now.plus(Duration::from_secs(u64::from(days) * 86_400)));
    let given = |name: &str| word(sub, name).unwrap_or_default().to_owned();
    let tests: Vec<String> = sub.get_many("tests").into_iter().flatten().cloned().collect();
    let spec = Quarantine {
        repository: word(sub, "repository").map(Name::parse).transpose()?,
        owner: given("owner"),
        until,
        reason: given("reason"),
        tests,
    };
    spec.check()?;
    let named = word(sub, "name").map(Name::parse).transpose()?;
    let name = named.or_else(|| Name::slug(spec.tests.first()?)).ok_or_else(|| {
        Error::invalid(
            "quarantine.name",
            Text::fixed(
                "no name can be made of the test's id",
                "테스트 id로 이름을 지을 수 없습니다",
            ),
        )
        .hint(Text::fixed("give one with `--name`", "`--name`으로 이름을 주세요"))
    })?;
    let body = json!({ "spec": spec });
    let made: Value = client.put(&format!("{base}/quarantines/{name}"), &body).await?;
    let (until, owner) = (&spec.until, &spec.owner);
    let said = text!(
        "quarantine {name} until {until}, to be mended by {owner}",
        "{until}까지 {name} 격리, 고칠 사람 {owner}"
    );
    context.output.line(&made, |_| said.get(context.lang).to_owned())
}

async fn results(context: Context, matches: ArgMatches) -> Result<()> {
    let (client, base) = (context.client()?, base(&matches)?);
    let run = run_of(&client, &base, &matches).await?;
    let found: Value = client.get(&format!("{base}/runs/{run}/results")).await?;
    context.output.show(&found, |found, output| tables::results(found, output.lang))
}

async fn coverage(context: Context, matches: ArgMatches) -> Result<()> {
    let (client, base) = (context.client()?, base(&matches)?);
    let limit = number(&matches, "limit").unwrap_or(20);
    if let Some(run) = word(&matches, "run") {
        let found: Value = client.get(&format!("{base}/runs/{}/results", segment(run))).await?;
        let coverage = &found["coverage"];
        return context.output.show(coverage, |c, o| tables::files(c, limit as usize, o.lang));
    }
    let query = query(&[
        ("repository", word(&matches, "repository").map(str::to_owned)),
        ("branch", word(&matches, "branch").map(str::to_owned)),
        ("limit", Some(limit.to_string())),
    ]);
    let page: Value = client.get(&format!("{base}/coverage{query}")).await?;
    context.output.show(&page["items"], |items, output| tables::trends(items, output.lang))
}

async fn findings(context: Context, matches: ArgMatches) -> Result<()> {
    let (client, base) = (context.client()?, base(&matches)?);
    let run = run_of(&client, &base, &matches).await?;
    let found: Value = client.get(&format!("{base}/runs/{run}/results")).await?;
    let limit = number(&matches, "limit").unwrap_or(50) as usize;
    context.output.show(&found["findings"], |f, output| tables::findings(f, limit, output.lang))
}

async fn cost(context: Context, matches: ArgMatches) -> Result<()> {
    let (client, base) = (context.client()?, base(&matches)?);
    let weeks = number(&matches, "weeks").unwrap_or(8);
    let found: Value = client.get(&format!("{base}/costs?weeks={weeks}")).await?;
    let by = word(&matches, "by").unwrap_or("job").to_owned();
    context.output.show(&found, |found, output| tables::costs(found, &by, output.lang))
}

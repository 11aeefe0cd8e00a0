//! `naru pipeline run|lint|plan|show`.

use crate::desk::{self, Desk};
use crate::gitlab::{FILE, Files, Wanted};
use crate::graph;
use crate::lint::{self, Lint, Suppose};
use clap::{Arg, ArgAction, ArgMatches};
use cli::{Command, Context, Output, Table, segment};
use kernel::{Error, Lang, Result, Text, text};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Of a graph: what fits everywhere.
const COLUMNS: usize = 80;

pub(crate) const COMMANDS: &[Command] = &[
    Command {
        name: "pipeline",
        build,
        run: |context, matches| Box::pin(pipeline(context, matches)),
    },
    crate::local::COMMAND,
    crate::cmd_flow::COMMAND,
];

fn build(lang: Lang) -> clap::Command {
    let verb = |name: &'static str, en: &'static str, ko: &'static str| {
        clap::Command::new(name).about(lang.pick(en, ko).to_owned())
    };
    let option = |name: &'static str, value: &'static str, en: &'static str, ko: &'static str| {
        Arg::new(name).long(name).value_name(value).help(lang.pick(en, ko).to_owned())
    };
    let file = || {
        Arg::new("file")
            .value_name("FILE")
            .default_value(FILE)
            .value_parser(clap::value_parser!(PathBuf))
            .help(lang.pick("the pipeline file", "파이프라인 파일").to_owned())
    };
    let variable = || {
        option("var", "NAME=VALUE", "a variable, given by hand", "직접 주는 변수")
            .action(ArgAction::Append)
    };
    let input = || {
        option("input", "NAME=VALUE", "a value of `spec:inputs`", "`spec:inputs`의 값")
            .action(ArgAction::Append)
    };
    let supposed = |command: clap::Command| {
        let many = |arg: Arg| arg.action(ArgAction::Append);
        command
            .arg(file())
            .arg(option("branch", "NAME", "as if on this branch", "이 브랜치라고 가정"))
            .arg(option("tag", "NAME", "as if this tag was pushed", "이 태그를 푸시했다고 가정"))
            .arg(option(
                "source",
                "WORD",
                "as if started so: push, web, schedule, merge_request_event, …",
                "이렇게 시작했다고 가정: push, web, schedule, merge_request_event, …",
            ))
            .arg(variable())
            .arg(input())
            .arg(many(option(
                "changed",
                "PATH",
                "as if only this changed",
                "이것만 바뀌었다고 가정",
            )))
            .arg(many(option(
                "include-from",
                "HOST[:PORT]",
                "a server whose files may be included",
                "파일을 포함해도 되는 서버",
            )))
    };
    clap::Command::new("pipeline")
        .about(lang.pick("Pipelines of repositories", "저장소의 파이프라인").to_owned())
        .subcommand_required(true)
        .arg_required_else_help(true)
        .arg(
            Arg::new("project")
                .short('p')
                .long("project")
                .env("NARU_PROJECT")
                .value_name("PROJECT")
                .global(true)
                .help(lang.pick("whose pipeline", "어느 프로젝트인지").to_owned()),
        )
        .subcommand(
            verb("run", "start a pipeline on a branch or tag", "브랜치나 태그에서 파이프라인 시작")
                .arg(Arg::new("repository").required(true).value_name("REPOSITORY"))
                .arg(option("ref", "NAME", "branch or tag", "브랜치나 태그").default_value("main"))
                .arg(variable())
                .arg(input()),
        )
        .subcommand(supposed(verb(
            "lint",
            "check a pipeline file, without a server",
            "서버 없이 파이프라인 파일 검사",
        )))
        .subcommand(
            supposed(verb(
                "plan",
                "what a pipeline file would run and why, without a server",
                "서버 없이 파이프라인 파일이 무엇을 왜 실행하는지 보기",
            ))
            .arg(Arg::new("graph").long("graph").action(ArgAction::SetTrue).help(
                lang.pick("draw who waits for whom", "누가 누구를 기다리는지 그림").to_owned(),
            )),
        )
        .subcommand(supposed(verb(
            "show",
            "the whole pipeline as one file: includes, inputs and extends written in",
            "include, 입력, extends를 모두 펼친 파이프라인 파일 보기",
        )))
}

async fn pipeline(context: Context, matches: ArgMatches) -> Result<()> {
    match matches.subcommand() {
        Some(("run", matches)) => start(&context, matches).await,
        Some(("lint", matches)) => {
            report(&context, &look(&context, matches, Want::Plan).await?, draw_lint)
        }
        Some(("show", matches)) => show(&context, &look(&context, matches, Want::Merged).await?),
        Some((_, matches)) => {
            let lint = look(&context, matches, Want::Plan).await?;
            if matches.get_flag("graph") && context.output.format == cli::Format::Table {
                return draw_graph(&context, &lint);
            }
            report(&context, &lint, draw_plan)
        }
        None => Ok(()),
    }
}

async fn start(context: &Context, matches: &ArgMatches) -> Result<()> {
    let project = project(matches)?;
    let word = |name: &str| matches.get_one::<String>(name).cloned().unwrap_or_default();
    let body = json!({
        "repository": word("repository"), "ref": word("ref"), "variables": pairs(matches, "var")?,
        "inputs": pairs(matches, "input")?,
    });
    let path = format!("/api/v1/projects/{}/pipelines", segment(&project));
    let made: Value = context.client()?.post(&path, &body).await?;
    context.output.show(&made, |made, _| {
        let mut table = Table::default();
        table.row([made.get("run").and_then(Value::as_str).unwrap_or("").to_owned()]);
        table
    })
}

pub(crate) fn project(matches: &ArgMatches) -> Result<String> {
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

/// What a flag that may be given many times says, as NAME=VALUE.
fn pairs(matches: &ArgMatches, flag: &str) -> Result<BTreeMap<String, String>> {
    let pair = |words: &String| {
        words.split_once('=').map(|(n, v)| (n.to_owned(), v.to_owned())).ok_or_else(|| {
            Error::invalid(
                "variable.invalid",
                text!("`{words}` is not NAME=VALUE", "`{words}`은(는) NAME=VALUE 꼴이 아닙니다"),
            )
        })
    };
    matches.get_many::<String>(flag).into_iter().flatten().map(pair).collect()
}

/// What a verb needs of a file.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Want {
    Plan,
    Merged,
}

/// Compiles the file right here. Paths of included files start at the top of its working copy.
async fn look(context: &Context, matches: &ArgMatches, want: Want) -> Result<Lint> {
    let file = matches.get_one::<PathBuf>("file").cloned().unwrap_or_else(|| FILE.into());
    let shown = file.display().to_string();
    if let Err(error) = std::fs::metadata(&file) {
        let say =
            text!("{shown} cannot be read: {error}", "{shown}을(를) 읽을 수 없습니다: {error}");
        return Err(Error::not_found("file.unreadable", say));
    }
    let words = |name: &str| matches.get_one::<String>(name).cloned();
    let many = |name: &str| matches.get_many::<String>(name).map(|all| all.cloned());
    let top = desk::top(&file);
    let client = context.client();
    let suppose = Suppose {
        branch: words("branch"),
        tag: words("tag"),
        source: words("source"),
        // Components are named by the server that has them.
        url: client.as_ref().ok().map(|client| client.url().to_owned()),
        variables: pairs(matches, "var")?,
        inputs: pairs(matches, "input")?.into_iter().map(|(n, v)| (n, Value::from(v))).collect(),
        changed: many("changed").map(Iterator::collect),
        tree: desk::tree(&top),
        merged: want == Want::Merged,
        ..Suppose::default()
    };
    let hosts = many("include-from").map(Iterator::collect).unwrap_or_default();
    let desk = Desk { top, client, hosts };
    let mut files = Files::default();
    files.insert(Wanted::here(&*shown), desk::read(&file));
    lint::look(&desk, &shown, files, &suppose, context.lang).await
}

/// The whole file; its warnings are remarks.
fn show(context: &Context, lint: &Lint) -> Result<()> {
    if let Some(wire) = &lint.error {
        return Err(lint::failure(wire.clone()));
    }
    if context.output.format == cli::Format::Table {
        return context.output.print(lint.merged.as_deref().unwrap_or_default());
    }
    context.output.show(lint, draw_plan)
}

fn draw_graph(context: &Context, lint: &Lint) -> Result<()> {
    if let Some(wire) = &lint.error {
        return Err(lint::failure(wire.clone()));
    }
    if let Some(why) = &lint.nothing {
        context.output.remark(why.get(context.lang));
    }
    context.output.print(&graph::draw(&lint.steps, COLUMNS))
}

/// JSON and YAML show everything; for people an error is an error, and warnings are remarks.
fn report(context: &Context, lint: &Lint, draw: fn(&Lint, &Output) -> Table) -> Result<()> {
    let output = &context.output;
    let table = output.format == cli::Format::Table;
    if lint.valid || !table {
        output.show(lint, draw)?;
    }
    if table {
        for (place, warning) in &lint.warnings {
            let word = output.lang.pick("warning", "경고");
            output.remark(&format!("{word}: {place}: {}", warning.get(output.lang)));
        }
    }
    match &lint.error {
        Some(wire) => Err(lint::failure(wire.clone())),
        None => Ok(()),
    }
}

fn draw_lint(lint: &Lint, output: &Output) -> Table {
    let (jobs, steps) = (lint.jobs.len(), lint.steps.len());
    let job_word = if jobs == 1 { "job" } else { "jobs" };
    let step_word = if steps == 1 { "step" } else { "steps" };
    let mut table = Table::default();
    let sentence = match &lint.nothing {
        Some(Text { en, ko }) => {
            text!("sound; nothing would run: {en}", "올바릅니다. 다만 실행할 것이 없습니다: {ko}")
        }
        None => text!(
            "sound: {jobs} {job_word}, {steps} {step_word} would run",
            "올바릅니다. 작업 {jobs}개, 실행할 단계 {steps}개"
        ),
    };
    table.row([sentence.get(output.lang)]);
    table
}

fn draw_plan(lint: &Lint, output: &Output) -> Table {
    let lang = output.lang;
    let head = lang.pick("JOB STAGE RUNS WHY PLACE", "작업 스테이지 실행 까닭 위치");
    let mut table = Table::new(head.split(' '));
    for job in &lint.jobs {
        let runs = if job.included { &*job.when } else { lang.pick("no", "아니요") };
        let place = job.at.to_string();
        table.row([&*job.job, &*job.stage, runs, job.because.get(lang), &*place]);
    }
    if let Some(why) = &lint.nothing {
        table.row(["", "", lang.pick("no", "아니요"), why.get(lang), ""]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_project_is_named_before_or_after_the_verb() {
        for words in [
            "pipeline run web -p shop",
            "pipeline -p shop run web",
            "pipeline run --project=shop web",
        ] {
            let matches = build(Lang::En).try_get_matches_from(words.split(' ')).unwrap();
            let (verb, run) = matches.subcommand().unwrap();
            assert_eq!((verb, project(run).unwrap().as_str()), ("run", "shop"), "{words}");
        }
    }
}

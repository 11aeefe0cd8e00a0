//! Runs, of every kind: their API and `naru run …`.

#![allow(clippy::indexing_slicing, reason = "a JSON value answers null for what it lacks")]

use crate::apply::words;
use crate::{Console, log};
use clap::{Arg, ArgAction, ArgMatches, value_parser};
use cli::{Command, Context, Table};
use kernel::time::show_duration;
use kernel::{Error, Id, Name, Result, Text, Time, text};
use naru_http::{Access, Call, Response, Route, json};
use policy::Permission;
use run::Run;
use serde_json::{Value, json};

const VIEW: Access = Access::Project(Permission::View);
const CHANGE: Access = Access::Project(Permission::Change);

pub(crate) const ROUTES: &[Route] = &[
    Route::get(
        "/api/v1/projects/{project}/runs",
        VIEW,
        ("runs, newest first", "실행 목록, 새것부터"),
        |c| Box::pin(list(c)),
    ),
    Route::get(
        "/api/v1/projects/{project}/runs/{run}",
        VIEW,
        ("a run with its steps", "실행과 그 단계"),
        |c| Box::pin(show(c)),
    ),
    Route::get(
        "/api/v1/projects/{project}/runs/{run}/steps/{step}/log",
        VIEW,
        ("a step's log", "단계의 로그"),
        |c| Box::pin(log::log(c)),
    ),
    Route::post(
        "/api/v1/projects/{project}/runs/{run}/cancel",
        CHANGE,
        ("cancel a run", "실행 취소"),
        |c| Box::pin(cancel(c)),
    ),
    Route::post(
        "/api/v1/projects/{project}/runs/{run}/retry",
        CHANGE,
        ("run what did not pass again", "통과하지 못한 것을 다시 실행"),
        |c| Box::pin(retry(c)),
    ),
    Route::post(
        "/api/v1/projects/{project}/runs/{run}/steps/{step}/play",
        CHANGE,
        ("let a manual step go", "수동 단계 시작"),
        |c| Box::pin(play(c)),
    ),
    Route::post(
        "/api/v1/projects/{project}/runs/{run}/steps/{step}/retry",
        CHANGE,
        ("run a step and what follows again", "단계와 그 뒤를 다시 실행"),
        |c| Box::pin(retry(c)),
    ),
];

/// The run of the path, when it is this project's: another's is not there.
pub(crate) async fn of_call(call: &Call) -> Result<Run> {
    let project = call.project()?;
    let words = call.param("run")?;
    let unknown = || {
        Error::not_found(
            "run.unknown",
            Text::fixed(
                "there is no such run in this project",
                "이 프로젝트에 그런 실행이 없습니다",
            ),
        )
    };
    let id = Id::parse(words).ok_or_else(unknown)?;
    let run = call.part::<Console>()?.engine.show(&id).await?;
    if run.project == project { Ok(run) } else { Err(unknown()) }
}

async fn list(call: Call) -> Result<Response> {
    let project = call.project()?;
    let before = call.query("before").and_then(|b| Id::parse(&b));
    let limit = call.number("limit")?.unwrap_or(30).clamp(1, 200) as usize;
    let kind = call.query("kind").filter(|k| !k.is_empty());
    let engine = &call.part::<Console>()?.engine;
    let runs = engine.list(Some(&project), kind.as_deref(), before.as_ref(), limit).await?;
    json(&json!({ "items": runs.iter().map(brief).collect::<Vec<_>>() }))
}

/// A run without its plan: that is large, and its steps say the same.
fn brief(run: &Run) -> Value {
    let mut value = serde_json::to_value(run).unwrap_or_default();
    if let Some(object) = value.as_object_mut() {
        object.remove("plan");
    }
    value
}

async fn show(call: Call) -> Result<Response> {
    json(&brief(&of_call(&call).await?))
}

pub(crate) fn unknown_step(step: &str) -> Error {
    let shown = kernel::shown(step);
    Error::not_found(
        "step.unknown",
        text!("the run has no step “{shown}”", "실행에 “{shown}” 단계가 없습니다"),
    )
}

async fn cancel(call: Call) -> Result<Response> {
    let run = of_call(&call).await?;
    let who = &call.who;
    let reason = text!("canceled by {who}", "{who}이(가) 취소");
    call.part::<Console>()?.engine.cancel(&run.id, call.who.clone(), reason).await?;
    json(&brief(&of_call(&call).await?))
}

async fn play(call: Call) -> Result<Response> {
    let run = of_call(&call).await?;
    let step = call.param("step")?;
    run.step(step).ok_or_else(|| unknown_step(step))?;
    call.part::<Console>()?.engine.play(&run.id, step, call.who.clone()).await?;
    json(&brief(&of_call(&call).await?))
}

async fn retry(call: Call) -> Result<Response> {
    let run = of_call(&call).await?;
    let step = call.param("step").ok();
    if run.kind == "rollout" {
        return Err(Error::conflict(
            "run.not-retried",
            Text::fixed(
                "a rollout is not run again by itself",
                "롤아웃은 그 자체로 다시 실행하지 않습니다",
            ),
        )
        .hint(Text::fixed(
            "push a fix, or use `naru rollback`",
            "수정을 푸시하거나 `naru rollback`을 쓰세요",
        )));
    }
    let engine = &call.part::<Console>()?.engine;
    let fresh = engine.retry(&run.id, step, call.who.clone()).await?;
    json(&brief(&engine.show(&fresh).await?))
}

pub const COMMAND: Command =
    Command {
        name: "run",
        build: |lang| {
            let run = || Arg::new("run").required(true).help(lang.pick("The run's id", "실행 id"));
            let step =
                || Arg::new("step").required(true).help(lang.pick("The step's name", "단계 이름"));
            clap::Command::new("run")
                .about(lang.pick(
                    "Pipelines and rollouts under way and past",
                    "진행 중이거나 지난 파이프라인과 롤아웃",
                ))
                .subcommand_required(true)
                .arg(crate::resource::project_arg(lang).global(true))
                .subcommand(
                    clap::Command::new("list")
                        .about(lang.pick("List runs, newest first", "실행을 새것부터 나열합니다"))
                        .arg(
                            Arg::new("kind")
                                .long("kind")
                                .help(lang.pick("pipeline or rollout", "pipeline 또는 rollout")),
                        )
                        .arg(
                            Arg::new("limit")
                                .long("limit")
                                .value_parser(value_parser!(u32))
                                .default_value("20")
                                .help(lang.pick("How many", "몇 개")),
                        ),
                )
                .subcommand(
                    clap::Command::new("show")
                        .about(lang.pick("Show a run's steps", "실행의 단계를 보여 줍니다"))
                        .arg(run()),
                )
                .subcommand(
                    clap::Command::new("log")
                        .about(lang.pick(
                            "Print a step's log, live while it runs",
                            "단계의 로그를 출력합니다. 실행 중이면 실시간",
                        ))
                        .arg(run())
                        .arg(step())
                        .arg(
                            Arg::new("times").long("times").action(ArgAction::SetTrue).help(
                                lang.pick("With the time of each line", "줄마다 시각과 함께"),
                            ),
                        ),
                )
                .subcommand(
                    clap::Command::new("cancel")
                        .about(lang.pick("Cancel a run", "실행을 취소합니다"))
                        .arg(run()),
                )
                .subcommand(
                    clap::Command::new("retry")
                        .about(lang.pick(
                            "Run what did not pass again",
                            "통과하지 못한 것을 다시 실행합니다",
                        ))
                        .arg(run()),
                )
                .subcommand(
                    clap::Command::new("play")
                        .about(lang.pick("Let a manual step go", "수동 단계를 시작합니다"))
                        .arg(run())
                        .arg(step()),
                )
        },
        run: |context, matches| Box::pin(run(context, matches)),
    };

async fn run(context: Context, matches: ArgMatches) -> Result<()> {
    let Some((verb, sub)) = matches.subcommand() else { return Ok(()) };
    let client = context.client()?;
    let project = sub.get_one::<String>("project").ok_or_else(|| {
        Error::invalid(
            "project.missing",
            Text::fixed(
                "runs belong to a project and none is named",
                "실행은 프로젝트에 속하는데 프로젝트가 없습니다",
            ),
        )
        .hint(Text::fixed(
            "use `-p PROJECT` or set NARU_PROJECT",
            "`-p PROJECT`나 NARU_PROJECT를 쓰세요",
        ))
    })?;
    let base = format!("/api/v1/projects/{}/runs", Name::parse(project)?);
    let text = |name: &str| cli::segment(sub.get_one::<String>(name).map_or("", String::as_str));
    match verb {
        "list" => {
            let kind = sub
                .get_one::<String>("kind")
                .map(|k| format!("&kind={}", cli::segment(k)))
                .unwrap_or_default();
            let limit = sub.get_one::<u32>("limit").copied().unwrap_or(20);
            let page: Value = client.get(&format!("{base}?limit={limit}{kind}")).await?;
            context.output.show(&page["items"], |items, output| runs_table(items, output.lang))
        }
        "log" => {
            let path = format!("{base}/{}/steps/{}/log?follow=true", text("run"), text("step"));
            log::print(&context, client.stream(&path).await?, sub.get_flag("times")).await
        }
        "show" => shown(&context, client.get(&format!("{base}/{}", text("run"))).await?),
        "play" => {
            let path = format!("{base}/{}/steps/{}/play", text("run"), text("step"));
            shown(&context, client.post(&path, &json!({})).await?)
        }
        verb => shown(
            &context,
            client.post(&format!("{base}/{}/{verb}", text("run")), &json!({})).await?,
        ),
    }
}

fn runs_table(items: &Value, lang: kernel::Lang) -> Table {
    let mut table =
        Table::new(["ID", "KIND", "STATE", "TITLE", "CREATED", "TOOK"]).nothing(lang.pick(
            "no runs yet: `git push` starts one",
            "아직 실행이 없습니다. `git push`가 시작합니다",
        ));
    for run in items.as_array().into_iter().flatten() {
        let title = words(&run["title"][lang.tag()]);
        table.row([
            words(&run["id"]),
            words(&run["kind"]),
            words(&run["state"]),
            title,
            words(&run["created"]),
            took(run),
        ]);
    }
    table
}

fn took(item: &Value) -> String {
    let time = |name: &str| item[name].as_str().and_then(Time::parse);
    match (time("started"), time("finished")) {
        (Some(from), Some(to)) => show_duration(to.since(from)),
        _ => "-".into(),
    }
}

fn shown(context: &Context, run: Value) -> Result<()> {
    context.output.show(&run, |run, output| {
        let mut table = Table::new(["STEP", "STATE", "TOOK", "WHY"]);
        let title = words(&run["title"][output.lang.tag()]);
        table.row([title, words(&run["state"]), took(run), reason(run, output.lang)]);
        for step in run["steps"].as_array().into_iter().flatten() {
            let state = match &step["state"] {
                Value::Object(o) => o.keys().next().cloned().unwrap_or_default(),
                other => words(other),
            };
            table.row([
                format!("  {}", words(&step["name"])),
                state,
                took(step),
                reason(step, output.lang),
            ]);
        }
        table
    })
}

fn reason(item: &Value, lang: kernel::Lang) -> String {
    item["reason"][lang.tag()].as_str().unwrap_or("").to_owned()
}

//! One job over its last pipelines: how often it passed, how long it takes, when that changed.

use super::runs;
use crate::Console;
use kernel::{Error, Name, Result, Text, Time};
use maud::{Markup, html};
use naru_http::{Call, Response};
use run::{Engine, Run, StepState, StepView};
use std::time::Duration;
use web::widget::{self, Dot, Mark, Plot, State, Table};
use web::{Page, Reader};

/// Pipelines looked through, newest first.
const LOOKED: usize = 600;
/// Pipelines of one read.
const READ: usize = 200;
/// Results on the page.
const SHOWN: usize = 100;

/// What the job came to in one pipeline.
pub(super) struct Past {
    pub run: Run,
    pub step: StepView,
}

pub(super) async fn show(call: Call) -> Result<Response> {
    let project = call.project()?;
    let missing = || {
        Error::invalid(
            "job.missing",
            Text::fixed(
                "which job? `?repository=…&job=…`",
                "어느 작업인가요? `?repository=…&job=…`",
            ),
        )
    };
    let repository =
        call.query("repository").and_then(|r| Name::parse(&r).ok()).ok_or_else(missing)?;
    let job = call.query("job").ok_or_else(missing)?;
    let past = look(&call.part::<Console>()?.engine, &project, &repository, &job).await?;
    let r = Reader::of(&call);
    let page = Page::of(&project, "runs", &job)
        .bare()
        .crumb(project.as_str(), format!("/projects/{project}"))
        .crumb(r.t("Runs", "실행"), format!("/projects/{project}/runs"))
        .follow(&format!("project={project}&kind=run."));
    Ok(web::page(&call, &page, draw(&r, &repository, &job, &past)))
}

/// Newest first; what was skipped or left out did not happen.
async fn look(engine: &Engine, project: &Name, repository: &Name, job: &str) -> Result<Vec<Past>> {
    let mut found = Vec::new();
    let mut before = None;
    for _ in 0..LOOKED / READ {
        let runs = engine.list(Some(project), Some("pipeline"), before.as_ref(), READ).await?;
        before = runs.last().map(|run| run.id.clone());
        let whole = runs.len() == READ;
        for run in runs {
            let ours = run.labels.get("repository").is_some_and(|r| r == repository.as_str());
            let step = run.step(job).filter(|s| ours && s.started.is_some() && !s.copied).cloned();
            found.extend(step.map(|step| Past { run, step }));
        }
        if !whole || found.len() >= SHOWN {
            break;
        }
    }
    found.truncate(SHOWN);
    Ok(found)
}

pub(super) fn draw(r: &Reader, repository: &Name, job: &str, past: &[Past]) -> Markup {
    let states: Vec<State> = past.iter().rev().map(|p| State::parse(p.step.state.word())).collect();
    html! {
        div #top.stack data-part {
            (widget::heading(html! { (job) }, html! {}, html! { span { (repository) } }, html! {}))
            @if !past.is_empty() { (numbers(r, past)) }
        }
        @if past.is_empty() {
            (widget::section("none", "", html! {}, widget::empty(
                r,
                r.t("It has not run yet", "아직 실행된 적이 없습니다"),
                r.t("A job of this name appears here with its first pipeline", "이 이름의 작업이 파이프라인에서 처음 실행되면 여기에 나타납니다"),
                &[],
            )))
        } @else {
            (widget::section("times", r.t("How long it takes", "걸리는 시간"), widget::strip(r, &states), plot(r, past)))
            (widget::section("results", r.t("Results", "결과"), html! {}, widget::table(&Table {
                heads: heads(r),
                rows: past.iter().map(|p| row(r, p)).collect(),
            })))
        }
    }
}

fn took(step: &StepView) -> Option<Duration> {
    Some(step.finished?.since(step.started?))
}

/// How long it waited for a slot of the machine.
fn queued(step: &StepView) -> Option<Duration> {
    Some(step.started?.since(step.ready_at?))
}

/// The value that so many of a hundred are below or at; the nearest-rank method.
fn percentile(mut values: Vec<Duration>, of: usize) -> Option<Duration> {
    values.sort_unstable();
    let rank = (values.len() * of).div_ceil(100).max(1);
    values.get(rank - 1).copied()
}

fn numbers(r: &Reader, past: &[Past]) -> Markup {
    let ended: Vec<&Past> = past.iter().filter(|p| p.step.finished.is_some()).collect();
    let passed: Vec<&&Past> = ended.iter().filter(|p| p.step.state == StepState::Passed).collect();
    let times = || passed.iter().filter_map(|p| took(&p.step)).collect::<Vec<_>>();
    let words =
        |d: Option<Duration>| d.map_or("–".to_owned(), |d| widget::duration_words(r.lang, d));
    let share = (passed.len() * 100).checked_div(ended.len());
    let again = past.iter().filter(|p| p.step.attempt > 1).count();
    html! {
        div.stats {
            (widget::stat(r.t("Passed", "통과"), html! { @match share { Some(n) => { (n) "%" } None => "–" } },
                html! { (passed.len()) " / " (ended.len()) }))
            (widget::stat(r.t("Usually takes", "보통 걸리는 시간"), html! { (words(percentile(times(), 50))) },
                html! { (r.t("median of what passed", "통과한 것의 중앙값")) }))
            (widget::stat(r.t("At worst", "오래 걸릴 때"), html! { (words(percentile(times(), 95))) },
                html! { (r.t("95 of 100 are quicker", "100번 중 95번은 이보다 빠름")) }))
            (widget::stat(r.t("Waits for a slot", "자리 대기"),
                html! { (words(percentile(past.iter().filter_map(|p| queued(&p.step)).collect(), 50))) },
                html! { (r.t("median", "중앙값")) }))
            (widget::stat(r.t("Tried again", "재시도"), html! { (again) },
                html! { (r.t("pipelines with a second attempt", "두 번 이상 시도한 파이프라인")) }))
        }
    }
}

/// A dot for each result, in the order of the pipelines, because a quiet week says nothing about a job.
fn plot(r: &Reader, past: &[Past]) -> Markup {
    let known: Vec<(usize, &Past, Duration)> =
        past.iter().rev().enumerate().filter_map(|(i, p)| Some((i, p, took(&p.step)?))).collect();
    let top = known.iter().map(|(_, _, d)| d.as_secs_f64()).fold(0.001, f64::max);
    let dot = |(i, p, d): &(usize, &Past, Duration)| Dot {
        x: *i as f64,
        y: d.as_secs_f64(),
        mark: if p.step.state == StepState::Passed { Mark::Good } else { Mark::Bad },
        words: format!("{}: {}", p.run.title.get(r.lang), widget::duration_words(r.lang, *d)),
        address: Some(address(p)),
    };
    let words = |share: f64| widget::duration_words(r.lang, Duration::from_secs_f64(top * share));
    let moment = |p: Option<&Past>| p.map(|p| day(p.run.created)).unwrap_or_default();
    let last = past.len().saturating_sub(1) as f64;
    widget::plot(
        r,
        &Plot {
            spoken: r
                .t("time of each result, oldest first", "결과별 소요 시간, 오래된 것부터")
                .to_owned(),
            dots: known.iter().map(dot).collect(),
            levels: Vec::new(),
            x: (0.0, last.max(1.0)),
            x_words: vec![(0.0, moment(past.last())), (last.max(1.0), moment(past.first()))],
            y_words: vec![(0.0, "0".to_owned()), (top / 2.0, words(0.5)), (top, words(1.0))],
            joined: true,
        },
    )
}

/// `11-24 13:02` (UTC)
fn day(at: Time) -> String {
    at.to_string().get(5..16).unwrap_or_default().replace('T', " ")
}

fn address(p: &Past) -> String {
    format!("/projects/{}/runs/{}?step={}#log", p.run.project, p.run.id, web::segment(&p.step.name))
}

fn heads(r: &Reader) -> Vec<(&'static str, String)> {
    vec![
        ("", r.t("State", "상태").to_owned()),
        ("grow", r.t("Run", "실행").to_owned()),
        ("wide", r.t("Ref", "참조").to_owned()),
        ("wide", r.t("Change", "변경").to_owned()),
        ("wide", r.t("Begun", "시작").to_owned()),
        ("num", r.t("Took", "소요").to_owned()),
    ]
}

fn row(r: &Reader, p: &Past) -> (Option<String>, Vec<Markup>) {
    let state = State::parse(p.step.state.word());
    let cells = vec![
        widget::badge(r, state, Some(p.step.state.text().get(r.lang))),
        html! {
            a.title-link href=(address(p)) { (p.run.title.get(r.lang)) }
            @if let Some(reason) = p.step.reason.as_ref().filter(|_| p.step.state == StepState::Failed) {
                div.sub.reason { (reason.get(r.lang)) }
            }
        },
        html! { (p.run.labels.get("ref").map_or("–", String::as_str)) },
        runs::change(&p.run),
        widget::ago(r, p.run.created),
        widget::duration(r, p.step.started, p.step.finished),
    ];
    (Some(address(p)), cells)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_by_nearest_rank() {
        let of = |n: &[u64]| n.iter().map(|n| Duration::from_secs(*n)).collect::<Vec<_>>();
        let five = || of(&[15, 20, 35, 40, 50]);
        let at = |p| percentile(five(), p).map(|d| d.as_secs());
        assert_eq!(
            (at(5), at(30), at(40), at(50), at(100)),
            (Some(15), Some(20), Some(20), Some(35), Some(50))
        );
        assert_eq!(percentile(Vec::new(), 50), None);
    }
}

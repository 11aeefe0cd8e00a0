//! One change: its crossing, where its time went, why it failed, and what the step that matters wrote.

use super::crossing::{self, Serving};
use crate::Insight;
use crate::record::{Change, Performance, Pipeline, Rollout, Step};
use crate::trace::{Stage, State as Seen, Trace, trace};
use kernel::journey::{Cause, Outcome};
use kernel::{Result, Text};
use maud::{Markup, html};
use naru_http::{Call, Response};
use std::time::Duration;
use web::widget::{self, Bar, Log, Segment, State, Tone, Work};
use web::{Page, Reader};

/// Services of a project that are looked through for the releases that serve.
const SERVICES: usize = 200;

pub(super) async fn show(call: Call) -> Result<Response> {
    let project = call.project()?;
    let change = call.part::<Insight>()?.change(&project, &call.name("change")?).await?;
    let whose = project.clone();
    let read = move |v: &store::View<'_>| v.resources("Service", Some(&whose), None, SERVICES);
    let serving = Serving::of(&call.site.store.read(read).await?);
    let r = Reader::of(&call);
    let home = format!("/projects/{project}");
    let page = Page::of(&project, "changes", change.commit.subject.clone())
        .bare()
        .crumb(project.as_str(), home.clone())
        .crumb(r.t("Changes", "변경"), home)
        .follow(&format!("project={project}&change={}", change.name));
    Ok(web::page(&call, &page, draw(&r, &change, &serving)))
}

pub(super) fn draw(r: &Reader, change: &Change, serving: &Serving) -> Markup {
    let trace = trace(change, r.now);
    html! {
        div #top.stack data-part {
            (widget::heading(
                html! { (change.commit.subject) },
                crossing::badge(r, change, serving),
                crossing::byline(r, change),
                actions(r, change),
            ))
            (news(r, change))
        }
        (widget::section("way", "", html! {}, html! {
            div.lane-water { (widget::lane(r, &crossing::lane(r, change))) }
        }))
        (widget::section(
            "trace",
            r.t("Where the time went", "시간이 쓰인 곳"),
            sums(r, &trace),
            widget::waterfall(r, &bars(r, change, &trace.stages)),
        ))
        (written(r, change, &trace))
        (performance(r, change))
        div.two {
            (widget::section("commit", r.t("Commit", "커밋"), html! {}, commit(r, change)))
            (widget::section("landing", r.t("In production", "운영"), html! {}, rollouts(r, change)))
        }
    }
}

fn actions(r: &Reader, change: &Change) -> Markup {
    let events = format!("/events?project={}&change={}", change.project, change.name);
    html! {
        @if let (Some(Outcome::Live), Some(url)) = (change.outcome, &change.url) {
            a.button.main href=(url) { (web::icon::link()) (r.t("Open", "열기")) }
        }
        @if let Some((pipeline, run)) = change.pipeline.as_ref().and_then(|p| Some((p, p.run.as_ref()?))) {
            @let there = crossing::run_address(change, run);
            @match pipeline.waiting {
                Some(_) => (widget::link_button(&there, r.t("To the step that waits", "기다리는 단계로"), Tone::Main)),
                None => (widget::link_button(&there, r.t("Pipeline", "파이프라인"), Tone::Plain)),
            }
        }
        (widget::link_button(&events, r.t("Events", "이벤트"), Tone::Plain))
    }
}

/// The one sentence a reader came for, when there is one.
fn news(r: &Reader, change: &Change) -> Markup {
    if let Some(rides) = &change.rides {
        let words = match r.lang {
            kernel::Lang::En => format!("This commit travels with {rides}"),
            kernel::Lang::Ko => format!("이 커밋은 {rides}와(과) 함께 이동합니다"),
        };
        return widget::flash(State::Skipped, &words, None);
    }
    if change.undone.is_some() {
        let words = r.t("It served, and was rolled back", "운영되다가 되돌려졌습니다");
        return widget::flash(State::Warned, words, None);
    }
    if change.pipeline.as_ref().is_some_and(|p| p.waiting.is_some()) {
        let words =
            r.t("The pipeline waits for somebody's go", "파이프라인이 누군가의 시작을 기다립니다");
        return widget::flash(State::Waiting, words, None);
    }
    let Some(reason) = &change.reason else { return html! {} };
    let state = match change.outcome {
        Some(Outcome::Failed) => State::Failed,
        Some(Outcome::Canceled) | Some(Outcome::Superseded) => State::Canceled,
        _ => State::Passed,
    };
    widget::flash(state, reason.get(r.lang), still_serving(r, change).as_deref())
}

/// What goes on serving when a rollout failed.
fn still_serving(r: &Reader, change: &Change) -> Option<String> {
    if change.outcome != Some(Outcome::Failed) {
        return None;
    }
    let previous = change.rollouts.iter().rev().find_map(|r| r.previous.as_ref());
    Some(match (previous, change.rollouts.is_empty()) {
        (Some(previous), _) => match r.lang {
            kernel::Lang::En => format!("{previous} goes on serving"),
            kernel::Lang::Ko => format!("{previous}이(가) 계속 운영됩니다"),
        },
        (None, true) => r
            .t(
                "It never reached production: what served goes on serving",
                "운영에 닿지 않았습니다. 이전 버전이 그대로 운영됩니다",
            )
            .to_owned(),
        (None, false) => return None,
    })
}

fn sums(r: &Reader, trace: &Trace) -> Markup {
    let words = |ms| widget::duration_words(r.lang, Duration::from_millis(ms));
    html! {
        span.soft {
            (r.t("working ", "작업 ")) span.num { (words(trace.working_ms)) }
            " · " (r.t("waiting ", "대기 ")) span.num { (words(trace.waiting_ms)) }
        }
        strong.num { (words(trace.total_ms)) }
    }
}

fn bars(r: &Reader, change: &Change, stages: &[Stage]) -> Vec<Bar> {
    let mut bars = Vec::with_capacity(stages.len() + 1);
    for stage in stages {
        let first_job = stage.kind == "job" && !bars.iter().any(|b: &Bar| b.level == 1);
        if first_job && let Some(pipeline) = &change.pipeline {
            bars.push(whole(r, change, pipeline, stages));
        }
        bars.push(bar(r, change, stage));
    }
    bars
}

/// The bar of the pipeline, above those of its jobs: it waits until the first of them works.
fn whole(r: &Reader, change: &Change, pipeline: &Pipeline, stages: &[Stage]) -> Bar {
    let jobs = stages.iter().filter(|s| s.kind == "job");
    let began = jobs.map(|s| s.began).min().unwrap_or(pipeline.created).max(pipeline.created);
    let wait = Segment { work: Work::Waiting, start: pipeline.created, end: Some(began) };
    let work =
        Segment { work: Work::Working, start: began, end: pipeline.finished.or(pipeline.waiting) };
    let mut segments = if began > pipeline.created { vec![wait, work] } else { vec![work] };
    // Waiting for a person is waiting, too.
    segments.extend(pipeline.waiting.map(|since| Segment {
        work: Work::Waiting,
        start: since,
        end: None,
    }));
    Bar {
        name: r.t("Pipeline", "파이프라인").to_owned(),
        state: crossing::under_way(pipeline),
        level: 0,
        segments,
        address: pipeline.run.as_ref().map(|run| crossing::run_address(change, run)),
        note: None,
    }
}

fn bar(r: &Reader, change: &Change, stage: &Stage) -> Bar {
    let state = seen(change, stage);
    let mut segments = Vec::new();
    if stage.began > stage.start {
        segments.push(Segment { work: Work::Waiting, start: stage.start, end: Some(stage.began) });
    }
    segments.push(Segment { work: Work::Working, start: stage.began, end: stage.end });
    let reason = stage.reason.as_ref().filter(|_| state == State::Failed);
    Bar {
        name: name(r, stage),
        state,
        level: u8::from(stage.inner || stage.kind == "job"),
        segments,
        address: stage.run.as_ref().map(|run| {
            let page = crossing::run_address(change, run);
            match stage.kind {
                "job" | "step" => format!("{page}?step={}#log", web::segment(&stage.name)),
                _ => page,
            }
        }),
        note: reason.map(|t| t.get(r.lang).to_owned()),
    }
}

fn name(r: &Reader, stage: &Stage) -> String {
    let words = stage.text.get(r.lang);
    match stage.kind {
        "push" => r.t("Push", "푸시").to_owned(),
        "plan" => r.t("Plan", "계획").to_owned(),
        "release" => format!("{} {words}", r.t("Release", "릴리스")),
        // `web → web-7`: the release's name says both.
        "rollout" => {
            let release = words.rsplit(' ').next().unwrap_or(words);
            format!("{} {release}", r.t("Rollout", "롤아웃"))
        }
        _ => words.to_owned(),
    }
}

/// A stage's state; a job whose failure is allowed only warns.
fn seen(change: &Change, stage: &Stage) -> State {
    let steps = change.pipeline.iter().flat_map(|p| &p.steps);
    let verdict = |s: &Step| s.verdict.as_deref() == Some("allowed_failure");
    match stage.state {
        Seen::Running => State::Running,
        Seen::Passed => State::Passed,
        Seen::Failed if steps.clone().any(|s| s.name == stage.name && verdict(s)) => State::Warned,
        Seen::Failed => State::Failed,
        Seen::Canceled => State::Canceled,
    }
}

/// The step to look at: what runs, or what failed last.
fn matters<'a>(change: &Change, trace: &'a Trace) -> Option<&'a Stage> {
    let logged = || trace.stages.iter().filter(|s| matches!(s.kind, "job" | "step"));
    let running = logged().rfind(|s| s.state == Seen::Running);
    running.or_else(|| logged().rfind(|s| seen(change, s) == State::Failed))
}

/// Its log, followed from its start; without JavaScript a link leads to it.
fn written(r: &Reader, change: &Change, trace: &Trace) -> Markup {
    let Some((stage, run)) = matters(change, trace).and_then(|s| Some((s, s.run.as_ref()?))) else {
        return html! { section.part #log hidden data-part {} };
    };
    let step = web::segment(&stage.name);
    let page = format!("{}?step={step}#log", crossing::run_address(change, run));
    let follow =
        format!("/api/v1/projects/{}/runs/{run}/steps/{step}/log?follow=true", change.project);
    let title = stage.text.get(r.lang);
    let beside = html! {
        (widget::badge(r, seen(change, stage), None))
        a href=(page) { (r.t("the whole run", "전체 실행")) }
    };
    let raw = follow.trim_end_matches("?follow=true");
    let raw = Some(raw).filter(|_| stage.end.is_some());
    let log = Log { id: "step-log", follow: Some(&follow), after: Some(0), raw, ..Log::default() };
    widget::section("log", title, beside, widget::log(r, &log))
}

/// What performance tests said of it, beside its base; a gate that failed says so.
fn performance(r: &Reader, change: &Change) -> Markup {
    if change.performance.is_empty() {
        return html! { section.part #performance hidden data-part {} };
    }
    let title = r.t("Performance beside its base", "기준과 비교한 성능");
    widget::section(
        "performance",
        title,
        html! {},
        html! {
            @for one in &change.performance { (scenario(r, change, one)) }
        },
    )
}

fn scenario(r: &Reader, change: &Change, one: &Performance) -> Markup {
    let held = change.held_by(one);
    let (state, word) = match one.verdict.as_str() {
        "better" => (State::Passed, r.t("better", "좋아짐")),
        "same" => (State::Passed, r.t("the same", "같음")),
        "worse" if held => (State::Failed, r.t("worse", "나빠짐")),
        "worse" => (State::Warned, r.t("worse", "나빠짐")),
        _ => (State::Skipped, r.t("cannot tell", "판단 불가")),
    };
    let job =
        format!("{}?step={}#log", crossing::run_address(change, &one.run), web::segment(&one.step));
    html! {
        div.service-line {
            (widget::badge(r, state, Some(word)))
            a.title-link href=(one.address) { (one.scenario) }
            span.grow.soft { (one.say.get(r.lang)) }
            @if held {
                a href=(job) {
                    @match r.lang {
                        kernel::Lang::En => { "the gate failed the job " (one.step) }
                        kernel::Lang::Ko => { "게이트가 " (one.step) " 작업을 실패시킴" }
                    }
                }
            } @else {
                a href=(job) { (one.step) }
            }
        }
    }
}

fn commit(r: &Reader, change: &Change) -> Markup {
    let c = &change.commit;
    let address =
        format!("/projects/{}/code/{}/commit/{}", change.project, change.repository, c.id);
    widget::facts(&[
        (r.t("Commit", "커밋"), widget::commit(&c.id, Some(&address))),
        (r.t("Author", "작성자"), html! { (c.author) " " span.faint { (c.email) } }),
        (r.t("Authored", "작성"), widget::clock_time(c.authored)),
        (r.t("Pushed", "푸시"), widget::clock_time(change.received)),
        (r.t("Pushed by", "푸시한 사람"), html! { (change.pushed_by) }),
        (r.t("Branch", "브랜치"), html! { (change.branch) }),
    ])
}

/// What it became in production: a line for each rollout.
fn rollouts(r: &Reader, change: &Change) -> Markup {
    if change.rollouts.is_empty() {
        let words = match change.outcome {
            None => r.t("Not there yet", "아직 닿지 않았습니다"),
            Some(_) => r.t("It does not go there", "운영으로 가지 않는 변경입니다"),
        };
        return html! { p.plot-none { (words) } };
    }
    html! { @for rollout in &change.rollouts { (landing(r, change, rollout)) } }
}

fn landing(r: &Reader, change: &Change, rollout: &Rollout) -> Markup {
    let service = format!("/projects/{}/services/{}", change.project, rollout.service);
    let why: Text = match rollout.cause {
        Cause::Change => Text::fixed("this change", "이 변경"),
        Cause::Rollback => Text::fixed("rollback", "되돌리기"),
        Cause::Config => Text::fixed("configuration", "설정 변경"),
        Cause::Restart => Text::fixed("restart", "재시작"),
    };
    html! {
        div.service-line {
            (widget::pip(r, crossing::verdict(rollout.verdict)))
            a.title-link href=(service) { (rollout.release) }
            span.grow.soft {
                @if let Some(previous) = &rollout.previous { (r.t("after ", "이전 ")) (previous) " · " }
                (why.get(r.lang))
            }
            @if let Some(ready) = rollout.first_ready {
                span.soft title=(r.t("until its first instance answered", "첫 인스턴스가 응답할 때까지")) {
                    (widget::duration(r, Some(rollout.started), Some(ready)))
                }
            }
            a href=(crossing::run_address(change, &rollout.run)) {
                (widget::duration(r, Some(rollout.started), rollout.finished))
            }
        }
    }
}

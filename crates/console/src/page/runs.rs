//! The runs of a project.

use crate::Console;
use kernel::{Id, Name, Result};
use maud::{Markup, html};
use naru_http::{Call, Response};
use run::Run;
use web::widget::{self, State, Table, Tone};
use web::{Page, Reader};

const SHOWN: usize = 40;

pub(super) async fn show(call: Call) -> Result<Response> {
    let project = call.project()?;
    let kind = call.query("kind").filter(|k| Name::parse(k).is_ok());
    let before = call.query("before").and_then(|b| Id::parse(&b));
    let engine = &call.part::<Console>()?.engine;
    let runs = engine.list(Some(&project), kind.as_deref(), before.as_ref(), SHOWN).await?;
    let r = Reader::of(&call);
    let page = Page::of(&project, "runs", r.t("Runs", "실행"))
        .bare()
        .crumb(project.as_str(), format!("/projects/{project}"))
        .follow(&format!("project={project}&kind=run."));
    Ok(web::page(&call, &page, draw(&r, &project, kind.as_deref(), &runs)))
}

pub(super) fn draw(r: &Reader, project: &Name, kind: Option<&str>, runs: &[Run]) -> Markup {
    let here = format!("/projects/{project}/runs");
    let tab = |words, of: Option<&str>| {
        let address = of.map_or(here.clone(), |k| format!("{here}?kind={k}"));
        (words, address, kind == of)
    };
    let tabs = [
        tab(r.t("All", "전체"), None),
        tab(r.t("Pipelines", "파이프라인"), Some("pipeline")),
        tab(r.t("Rollouts", "롤아웃"), Some("rollout")),
    ];
    let body = if runs.is_empty() {
        widget::empty(
            r,
            r.t("Nothing has run yet", "아직 실행된 것이 없습니다"),
            r.t(
                "A push starts the pipeline that .gitlab-ci.yml describes",
                "푸시하면 .gitlab-ci.yml에 적힌 파이프라인이 시작됩니다",
            ),
            &["git push naru main"],
        )
    } else {
        let rows = runs.iter().map(|run| row(r, run)).collect();
        widget::table(&Table { heads: heads(r), rows })
    };
    html! {
        (widget::heading(html! { (r.t("Runs", "실행")) }, html! {}, html! {}, html! {
            (widget::link_button(
                &format!("/projects/{project}/caches"),
                r.t("Caches", "캐시"),
                Tone::Plain,
            ))
            (widget::link_button(
                &format!("/projects/{project}/schedules"),
                r.t("Schedules", "일정"),
                Tone::Plain,
            ))
            (widget::link_button(
                &format!("/projects/{project}/pipelines/lint"),
                r.t("Try a file out", "파일 점검"),
                Tone::Plain,
            ))
            (widget::link_button(
                &format!("/projects/{project}/pipelines/new"),
                r.t("Run a pipeline", "파이프라인 실행"),
                Tone::Main,
            ))
        }))
        (widget::tabs(r.t("Kind", "종류"), &tabs))
        (widget::section("runs", "", html! {}, body))
        @if let Some(last) = runs.last().filter(|_| runs.len() == SHOWN) {
            @let more = kind.map(|k| format!("&kind={k}")).unwrap_or_default();
            p { a.button href=(format!("{here}?before={}{more}", last.id)) { (r.t("Older runs", "이전 실행")) } }
        }
    }
}

fn heads(r: &Reader) -> Vec<(&'static str, String)> {
    vec![
        ("", r.t("State", "상태").to_owned()),
        ("grow", r.t("Run", "실행").to_owned()),
        ("wide", r.t("Steps", "단계").to_owned()),
        ("wide", r.t("Change", "변경").to_owned()),
        ("wide", r.t("Begun", "시작").to_owned()),
        ("num", r.t("Took", "소요").to_owned()),
    ]
}

fn row(r: &Reader, run: &Run) -> (Option<String>, Vec<Markup>) {
    let address = format!("/projects/{}/runs/{}", run.project, run.id);
    let states: Vec<State> = run.steps.iter().map(|s| State::parse(s.state.word())).collect();
    let cells = vec![
        state(r, run),
        html! {
            a.title-link href=(address) { (run.title.get(r.lang)) }
            @if let Some(reason) = run.reason.as_ref().filter(|_| run.state.word() == "failed") {
                div.sub.reason { (reason.get(r.lang)) }
            }
        },
        widget::strip(r, &states),
        change(run),
        widget::ago(r, run.created),
        widget::duration(r, run.started, run.finished),
    ];
    (Some(address), cells)
}

/// A run's state in its own words.
pub(super) fn state(r: &Reader, run: &Run) -> Markup {
    widget::badge(r, State::parse(run.state.word()), Some(run.state.text().get(r.lang)))
}

/// The change it carries, by its last digits.
pub(super) fn change(run: &Run) -> Markup {
    match &run.change {
        Some(change) => html! {
            a.commit href=(format!("/projects/{}/changes/{change}", run.project)) { (change) }
        },
        None => html! { span.faint { "–" } },
    }
}

//! One pipeline: why each job of the file is in it or not, and what its jobs left.

use super::{reasons, warnings};
use crate::artifacts::{Artifacts, Report};
use crate::{KIND, Pipelines};
use kernel::{Error, Lang, Result, Text};
use maud::{Markup, html};
use naru_http::{Call, Response};
use run::Run;
use web::widget;
use web::{Page, Reader};

/// Files of one job's artifacts on the page.
const FILES: usize = 500;

/// A step, and what it left or why that is gone.
pub(super) type Left = (String, Result<Artifacts>);

pub(super) async fn show(call: Call) -> Result<Response> {
    let project = call.project()?;
    let pipelines = call.part::<Pipelines>()?;
    let run = pipelines.own(&project, call.param("run")?).await?;
    if run.kind != KIND {
        let say = Text::fixed("this run is not a pipeline", "이 실행은 파이프라인이 아닙니다");
        return Err(Error::not_found("run.unknown", say));
    }
    let report = pipelines.report(&project, run.id.as_str()).await?.unwrap_or_default();
    let mut left: Vec<Left> = Vec::new();
    for step in &run.steps {
        match pipelines.left_by(&run, &step.name, &call.who).await {
            Ok(None) => {}
            Ok(Some(artifacts)) => left.push((step.name.clone(), Ok(artifacts))),
            Err(error) => left.push((step.name.clone(), Err(error))),
        }
    }
    let r = Reader::of(&call);
    let home = format!("/projects/{project}");
    let page = Page::of(&project, "runs", run.title.get(r.lang))
        .bare()
        .crumb(project.as_str(), home.clone())
        .crumb(r.t("Runs", "실행"), format!("{home}/runs"))
        .follow(&format!("project={project}&kind=run.&subject=Run/{project}/{}", run.id));
    Ok(web::page(&call, &page, draw(&r, &run, &report, &left)))
}

pub(super) fn draw(r: &Reader, run: &Run, report: &Report, left: &[Left]) -> Markup {
    let steps = format!("/projects/{}/runs/{}", run.project, run.id);
    html! {
        (widget::heading(html! { (run.title.get(r.lang)) }, html! {}, html! { (widget::ago(r, run.created)) }, html! {}))
        (widget::pipeline_tabs(r, &steps, "jobs"))
        (warnings(r, &report.warnings))
        @if !report.coverage.is_empty() {
            (widget::section("coverage", r.t("Coverage", "커버리지"), html! {}, coverage(r, report)))
        }
        (widget::section("left", r.t("Artifacts", "아티팩트"), html! {}, all_left(r, &steps, run, left)))
        @if !report.jobs.is_empty() {
            (widget::section("reasons", r.t("Why each job is here or not", "작업이 포함되거나 빠진 이유"), html! {}, reasons(r, &report.jobs)))
        }
    }
}

/// What the tests of each job ran of the code.
fn coverage(r: &Reader, report: &Report) -> Markup {
    let heads = vec![
        ("grow", r.t("Job", "작업").to_owned()),
        ("num", r.t("Of the code", "코드 비율").to_owned()),
    ];
    let row = |(job, percent): (&String, &f64)| {
        (None, vec![html! { strong { (job) } }, html! { (format!("{percent} %")) }])
    };
    widget::table(&widget::Table { heads, rows: report.coverage.iter().map(row).collect() })
}

fn all_left(r: &Reader, steps: &str, run: &Run, left: &[Left]) -> Markup {
    if left.is_empty() {
        let words = r.t(
            "No job has left any; `artifacts: paths:` in the file says what to keep",
            "남긴 작업이 없습니다. 무엇을 남길지는 파일의 `artifacts: paths:`로 정합니다",
        );
        return html! { p.plot-none { (words) } };
    }
    html! {
        @for (step, found) in left {
            div.file-head {
                a.title-link.grow href=(format!("{steps}?step={}#log", web::segment(step))) { (step) }
                @if let Ok(all) = found {
                    span.soft { (count(r, all.files.len())) " · " (widget::size(all.size)) }
                }
            }
            @match found {
                Ok(all) => (files(r, run, step, all)),
                Err(error) => { p.plot-none { (error.say().get(r.lang)) } },
            }
        }
    }
}

fn files(r: &Reader, run: &Run, step: &str, all: &Artifacts) -> Markup {
    let api = format!(
        "/api/v1/projects/{}/runs/{}/steps/{}/artifacts",
        run.project,
        run.id,
        web::segment(step)
    );
    html! {
        div.table-wrap { table.rows.tree { tbody {
            @for file in all.files.iter().take(FILES) {
                tr {
                    td {
                        (web::icon::file())
                        @if file.mode == blob::LINK { (file.path) } @else {
                            a href=(format!("{api}/{}", web::path(&file.path))) { (file.path) }
                        }
                    }
                    td.num.faint { (widget::size(file.size)) }
                }
            }
        } } }
        @if all.files.len() > FILES {
            p.plot-none { (r.t("and more; the API lists them all", "그 밖의 파일은 API가 모두 보여 줍니다")) }
        }
    }
}

fn count(r: &Reader, files: usize) -> String {
    match (r.lang, files) {
        (Lang::En, 1) => "1 file".to_owned(),
        (Lang::En, n) => format!("{n} files"),
        (Lang::Ko, n) => format!("파일 {n}개"),
    }
}

//! Pages of pipelines: why each job is in one or not, what the jobs left, starting one by hand, and trying a
//! file out.

mod caches;
mod jobs;
mod lint;
mod schedules;
mod start;
#[cfg(test)]
mod tests;

use crate::gitlab::Explained;
use kernel::Text;
use kernel::error::Place;
use maud::{Markup, html};
use naru_http::{Access, Route};
use policy::Permission;
use web::Reader;
use web::widget::{self, State, Table};

const VIEW: Access = Access::Project(Permission::View);
const CHANGE: Access = Access::Project(Permission::Change);

pub const ROUTES: &[Route] = &[
    Route::get(
        "/projects/{project}/runs/{run}/jobs",
        VIEW,
        (
            "page: a pipeline's jobs, their reasons and artifacts",
            "페이지: 파이프라인 작업의 이유와 아티팩트",
        ),
        |c| Box::pin(jobs::show(c)),
    ),
    Route::get(
        "/projects/{project}/pipelines/new",
        CHANGE,
        ("page: start a pipeline", "페이지: 파이프라인 시작"),
        |c| Box::pin(start::show(c)),
    ),
    Route::post(
        "/projects/{project}/pipelines/new",
        CHANGE,
        ("page: start a pipeline", "페이지: 파이프라인 시작"),
        |c| Box::pin(start::start(c)),
    ),
    Route::get(
        "/projects/{project}/caches",
        VIEW,
        ("page: caches of jobs", "페이지: 작업의 캐시"),
        |c| Box::pin(caches::show(c)),
    ),
    Route::post(
        "/projects/{project}/caches/delete",
        CHANGE,
        ("page: let a cache go", "페이지: 캐시 삭제"),
        |c| Box::pin(caches::delete(c)),
    ),
    Route::get(
        "/projects/{project}/schedules",
        VIEW,
        ("page: pipelines that start by the clock", "페이지: 정해진 시각에 시작하는 파이프라인"),
        |c| Box::pin(schedules::show(c)),
    ),
    Route::post(
        "/projects/{project}/schedules",
        CHANGE,
        ("page: make a schedule", "페이지: 일정 만들기"),
        |c| Box::pin(schedules::create(c)),
    ),
    Route::post(
        "/projects/{project}/schedules/{schedule}/{action}",
        CHANGE,
        (
            "page: run, pause, resume or delete a schedule",
            "페이지: 일정 실행, 멈춤, 다시 켜기, 삭제",
        ),
        |c| Box::pin(schedules::act(c)),
    ),
    Route::get(
        "/projects/{project}/pipelines/lint",
        VIEW,
        ("page: try a pipeline file out", "페이지: 파이프라인 파일 점검"),
        |c| Box::pin(lint::show(c)),
    ),
    Route::post(
        "/projects/{project}/pipelines/lint",
        VIEW,
        ("page: what a pipeline file would run", "페이지: 파이프라인 파일이 실행할 것"),
        |c| Box::pin(lint::check(c)),
    ),
];

/// Every job of a file with the reason why it is in the pipeline or not.
fn reasons(r: &Reader, jobs: &[Explained]) -> Markup {
    let heads = vec![
        ("", String::new()),
        ("", r.t("Job", "작업").to_owned()),
        ("grow", r.t("Why", "이유").to_owned()),
        ("wide", r.t("Decided at", "결정 위치").to_owned()),
    ];
    let row = |job: &Explained| {
        let (state, en, ko) = match job.included {
            true => (State::Passed, "in", "포함"),
            false => (State::Skipped, "left out", "제외"),
        };
        let cells = vec![
            widget::badge(r, state, Some(r.t(en, ko))),
            html! { strong { (job.job) } },
            html! { span.soft { (job.because.get(r.lang)) } },
            html! { span.mono.faint { (job.at) } },
        ];
        (None, cells)
    };
    widget::table(&Table { heads, rows: jobs.iter().map(row).collect() })
}

/// What in a file has no effect.
fn warnings(r: &Reader, warnings: &[(Place, Text)]) -> Markup {
    html! {
        @for (place, words) in warnings {
            (widget::flash(State::Warned, words.get(r.lang), Some(&place.to_string())))
        }
    }
}

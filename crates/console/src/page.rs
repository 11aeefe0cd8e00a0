//! Pages of the house's own nouns: projects, runs, events.

mod events;
mod job;
mod projects;
mod run;
mod runs;
#[cfg(test)]
mod tests;

use naru_http::{Access, Route};
use policy::Permission;

const VIEW: Access = Access::Project(Permission::View);
const CHANGE: Access = Access::Project(Permission::Change);

pub const ROUTES: &[Route] = &[
    Route::get(
        "/",
        Access::Public,
        ("page: your projects, or sign-in", "페이지: 내 프로젝트 또는 로그인"),
        |c| Box::pin(projects::front(c)),
    ),
    Route::post(
        "/preferences",
        Access::Public,
        ("choose language and colours", "언어와 색상 선택"),
        |c| Box::pin(web::prefer(c)),
    ),
    Route::get(
        "/projects",
        Access::SignedIn,
        ("page: your projects", "페이지: 내 프로젝트"),
        |c| Box::pin(projects::show(c)),
    ),
    Route::get(
        "/projects/{project}/jobs",
        VIEW,
        ("page: one job over its last pipelines", "페이지: 최근 파이프라인에서 본 작업 하나"),
        |c| Box::pin(job::show(c)),
    ),
    Route::get("/projects/{project}/runs", VIEW, ("page: runs", "페이지: 실행 목록"), |c| {
        Box::pin(runs::show(c))
    }),
    Route::get(
        "/projects/{project}/runs/{run}",
        VIEW,
        ("page: a run with its steps and logs", "페이지: 실행과 그 단계, 로그"),
        |c| Box::pin(run::show(c)),
    ),
    Route::post(
        "/projects/{project}/runs/{run}/{action}",
        CHANGE,
        ("page: cancel, retry or play", "페이지: 취소, 다시 실행, 시작"),
        |c| Box::pin(run::act(c)),
    ),
    Route::get(
        "/events",
        Access::SignedIn,
        ("page: what happened", "페이지: 일어난 일"),
        |c| Box::pin(events::show(c)),
    ),
];

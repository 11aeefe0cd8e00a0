//! Pages of the house's own nouns: sign-in, projects, runs, events, tokens.

mod events;
mod job;
mod projects;
mod run;
mod runs;
mod sign;
#[cfg(test)]
mod tests;
mod tokens;

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
    Route::get("/sign-in", Access::Public, ("page: sign in", "페이지: 로그인"), |c| {
        Box::pin(sign::show(c))
    }),
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
    Route::get(
        "/welcome",
        Access::SignedIn,
        ("the first sign-in: a personal token", "첫 로그인: 개인 토큰"),
        |c| Box::pin(tokens::welcome(c)),
    ),
    Route::get("/tokens", Access::SignedIn, ("page: your tokens", "페이지: 내 토큰"), |c| {
        Box::pin(tokens::show(c))
    }),
    Route::post(
        "/tokens",
        Access::SignedIn,
        ("page: make a token", "페이지: 토큰 생성"),
        |c| Box::pin(tokens::create(c)),
    ),
    Route::post(
        "/tokens/{token}/revoke",
        Access::SignedIn,
        ("page: revoke a token", "페이지: 토큰 폐기"),
        |c| Box::pin(tokens::revoke(c)),
    ),
];

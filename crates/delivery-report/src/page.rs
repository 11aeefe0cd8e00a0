//! Pages of tests and results.

mod case;
mod cost;
mod coverage;
mod flaky;
mod health;
mod list;
mod pieces;
mod run;
#[cfg(test)]
mod tests;

use naru_http::{Access, Route};
use policy::Permission;

const VIEW: Access = Access::Project(Permission::View);

pub(crate) const ROUTES: &[Route] = &[
    Route::get(
        "/projects/{project}/tests",
        VIEW,
        ("page: how a project's tests are", "페이지: 프로젝트의 테스트 상태"),
        |c| Box::pin(health::show(c)),
    ),
    Route::get(
        "/projects/{project}/tests/all",
        VIEW,
        ("page: tests", "페이지: 테스트 목록"),
        |c| Box::pin(list::show(c)),
    ),
    Route::get(
        "/projects/{project}/tests/flaky",
        VIEW,
        ("page: the flake ledger", "페이지: 불안정 테스트 장부"),
        |c| Box::pin(flaky::show(c)),
    ),
    Route::get(
        "/projects/{project}/tests/coverage",
        VIEW,
        ("page: coverage over time", "페이지: 시간에 따른 커버리지"),
        |c| Box::pin(coverage::show(c)),
    ),
    Route::get(
        "/projects/{project}/tests/cost",
        VIEW,
        ("page: what pipelines cost", "페이지: 파이프라인 비용"),
        |c| Box::pin(cost::show(c)),
    ),
    Route::get(
        "/projects/{project}/tests/{repository}/{test}",
        VIEW,
        ("page: a test and its history", "페이지: 테스트와 그 이력"),
        |c| Box::pin(case::show(c)),
    ),
    Route::get(
        "/projects/{project}/runs/{run}/results",
        VIEW,
        ("page: what a run came to", "페이지: 실행 결과"),
        |c| Box::pin(run::show(c)),
    ),
];

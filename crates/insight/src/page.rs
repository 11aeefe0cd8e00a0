//! Pages of changes and key metrics. A project's front page is here, because what happens in a project is
//! its changes on their way.

mod change;
mod crossing;
mod home;
mod metrics;
mod plots;
#[cfg(test)]
mod tests;

use naru_http::{Access, Route};
use policy::Permission;

const VIEW: Access = Access::Project(Permission::View);

pub const ROUTES: &[Route] = &[
    Route::get(
        "/projects/{project}",
        VIEW,
        ("page: a project and its changes", "페이지: 프로젝트와 그 변경"),
        |c| Box::pin(home::show(c)),
    ),
    Route::get(
        "/projects/{project}/changes",
        VIEW,
        ("page: a project and its changes", "페이지: 프로젝트와 그 변경"),
        |c| Box::pin(home::show(c)),
    ),
    Route::get(
        "/projects/{project}/changes/{change}",
        VIEW,
        ("page: a change and where its time went", "페이지: 변경과 시간이 쓰인 곳"),
        |c| Box::pin(change::show(c)),
    ),
    Route::get(
        "/projects/{project}/metrics",
        VIEW,
        ("page: key metrics", "페이지: 핵심 지표"),
        |c| Box::pin(metrics::show(c)),
    ),
];

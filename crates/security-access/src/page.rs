//! Pages: the matrix of a project, requests, policies with their tests.

mod matrix;
mod policies;
mod requests;
#[cfg(test)]
mod tests;

use kernel::Name;
use maud::Markup;
use naru_http::{Access, Route};
use policy::{Action, Permission};
use web::{Reader, widget};

const VIEW: Access = Access::Project(Permission::View);

pub const ROUTES: &[Route] = &[
    Route::get(
        "/projects/{project}/access",
        VIEW,
        ("page: who may do what", "페이지: 누가 무엇을 할 수 있는지"),
        |c| Box::pin(matrix::show(c)),
    ),
    Route::get(
        "/projects/{project}/policies",
        VIEW,
        ("page: policies of a project and their tests", "페이지: 프로젝트의 정책과 테스트"),
        |c| Box::pin(policies::of_project(c)),
    ),
    Route::get(
        "/policies",
        Access::Action(Action::PlatformView),
        ("page: policies and roles of the platform", "페이지: 플랫폼의 정책과 역할"),
        |c| Box::pin(policies::of_platform(c)),
    ),
    Route::get(
        "/access",
        Access::SignedIn,
        ("page: access requests", "페이지: 권한 요청"),
        |c| Box::pin(requests::show(c)),
    ),
    Route::post(
        "/access",
        Access::SignedIn,
        ("page: ask for a right for a time", "페이지: 한동안 쓸 권한 요청"),
        |c| Box::pin(requests::ask(c)),
    ),
    Route::post(
        "/access/{request}/{verb}",
        Access::SignedIn,
        ("page: approve, deny or revoke", "페이지: 승인, 거절, 회수"),
        |c| Box::pin(requests::decide(c)),
    ),
];

/// The pages about access in a project.
fn tabs(r: &Reader, project: &Name, open: &str) -> Markup {
    let all = [
        (r.t("Who may do what", "누가 무엇을"), format!("/projects/{project}/access"), "access"),
        (r.t("Policies", "정책"), format!("/projects/{project}/policies"), "policies"),
        (r.t("Requests", "요청"), format!("/access?project={project}"), "requests"),
    ];
    let items = all.map(|(words, address, page)| (words, address, page == open));
    widget::tabs(r.t("Access", "권한"), &items)
}

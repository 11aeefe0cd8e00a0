//! Pages of services.

mod act;
mod list;
mod service;
#[cfg(test)]
mod tests;

use crate::kind::{Condition, InstanceState};
use maud::Markup;
use naru_http::{Access, Route};
use policy::Permission;
use web::Reader;
use web::widget::{self, State};

const VIEW: Access = Access::Project(Permission::View);
const DEPLOY: Access = Access::Project(Permission::Deploy);

pub const ROUTES: &[Route] = &[
    Route::get(
        "/projects/{project}/services",
        VIEW,
        ("page: services", "페이지: 서비스 목록"),
        |c| Box::pin(list::show(c)),
    ),
    Route::get(
        "/projects/{project}/services/{service}",
        VIEW,
        ("page: a service", "페이지: 서비스"),
        |c| Box::pin(service::show(c)),
    ),
    Route::post(
        "/projects/{project}/services/{service}/{action}",
        DEPLOY,
        ("page: roll back, restart or scale", "페이지: 되돌리기, 다시 시작, 조정"),
        |c| Box::pin(act::act(c)),
    ),
];

fn state(condition: Condition) -> State {
    match condition {
        Condition::Empty => State::Idle,
        Condition::Rolling => State::Running,
        Condition::Healthy => State::Live,
        Condition::Degraded => State::Warned,
        Condition::Down => State::Failed,
        Condition::Idle => State::Skipped,
    }
}

fn badge(r: &Reader, condition: Condition) -> Markup {
    widget::badge(r, state(condition), Some(condition.text().get(r.lang)))
}

fn instance_state(state: InstanceState) -> State {
    match state {
        InstanceState::Starting => State::Running,
        InstanceState::Ready => State::Live,
        InstanceState::Unready => State::Warned,
        InstanceState::Stopping => State::Waiting,
        InstanceState::Stopped => State::Skipped,
        InstanceState::Crashed => State::Failed,
    }
}

/// `http://web.shop.localhost:8000` without its scheme.
fn host(url: &str) -> &str {
    url.split_once("://").map_or(url, |(_, rest)| rest)
}

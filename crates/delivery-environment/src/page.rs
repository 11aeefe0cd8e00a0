//! Pages of environments.

mod act;
mod environment;
mod list;
#[cfg(test)]
mod tests;

use crate::kind::{EnvironmentState, Progress};
use kernel::journey::Tier;
use maud::Markup;
use naru_http::{Access, Route};
use policy::Permission;
use web::Reader;
use web::widget::{self, State};

const VIEW: Access = Access::Project(Permission::View);
const CHANGE: Access = Access::Project(Permission::Change);

pub const ROUTES: &[Route] = &[
    Route::get(
        "/projects/{project}/environments",
        VIEW,
        ("page: environments", "페이지: 환경 목록"),
        |c| Box::pin(list::show(c)),
    ),
    Route::get(
        "/projects/{project}/environments/{environment}",
        VIEW,
        ("page: an environment", "페이지: 환경"),
        |c| Box::pin(environment::show(c)),
    ),
    Route::post(
        "/projects/{project}/environments/{environment}/{action}",
        CHANGE,
        ("page: stop, extend or forget", "페이지: 정지, 연장, 지우기"),
        |c| Box::pin(act::act(c)),
    ),
];

/// One badge for how it is: of an environment that can be used, how its deployment does.
fn badge(r: &Reader, state: EnvironmentState, deployment: Option<Progress>) -> Markup {
    match (state, deployment) {
        (EnvironmentState::Available, Some(progress)) => progress_badge(r, progress),
        (EnvironmentState::Available, None) => said(r, State::Idle, state),
        (EnvironmentState::Stopping, _) => said(r, State::Running, state),
        (EnvironmentState::Stopped, _) => said(r, State::Skipped, state),
        (EnvironmentState::Failed, _) => said(r, State::Failed, state),
    }
}

fn said(r: &Reader, how: State, state: EnvironmentState) -> Markup {
    widget::badge(r, how, Some(state.text().get(r.lang)))
}

fn progress_badge(r: &Reader, progress: Progress) -> Markup {
    let how = match progress {
        Progress::Underway => State::Running,
        Progress::Live => State::Live,
        Progress::Failed => State::Failed,
        Progress::Superseded => State::Skipped,
    };
    widget::badge(r, how, Some(progress.text().get(r.lang)))
}

fn tier(r: &Reader, tier: Tier) -> &'static str {
    match tier {
        Tier::Production => r.t("production", "운영"),
        Tier::Staging => r.t("staging", "스테이징"),
        Tier::Testing => r.t("testing", "테스트"),
        Tier::Development => r.t("development", "개발"),
        Tier::Other => r.t("other", "기타"),
    }
}

/// `http://web.shop.localhost:8000` without its scheme.
fn host(url: &str) -> &str {
    url.split_once("://").map_or(url, |(_, rest)| rest).trim_end_matches('/')
}

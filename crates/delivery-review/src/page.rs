//! Pages of merge requests.

mod act;
mod diff;
mod list;
mod new;
mod one;

use crate::kind::{PipelineState, State};
use kernel::{Name, Principal};
use maud::{Markup, html};
use naru_http::{Access, Route};
use policy::Permission;
use web::Reader;
use web::widget;

const VIEW: Access = Access::Project(Permission::View);
const CHANGE: Access = Access::Project(Permission::Change);

pub const ROUTES: &[Route] = &[
    Route::get(
        "/projects/{project}/merge-requests",
        VIEW,
        ("page: merge requests", "페이지: 머지 요청 목록"),
        |c| Box::pin(list::show(c)),
    ),
    Route::get(
        "/projects/{project}/merge-requests/new",
        CHANGE,
        ("page: open a merge request", "페이지: 머지 요청 열기"),
        |c| Box::pin(new::show(c)),
    ),
    Route::post(
        "/projects/{project}/merge-requests",
        CHANGE,
        ("page: a merge request is opened", "페이지: 머지 요청이 열림"),
        |c| Box::pin(new::open(c)),
    ),
    Route::get(
        "/projects/{project}/merge-requests/{number}",
        VIEW,
        ("page: a merge request", "페이지: 머지 요청"),
        |c| Box::pin(one::show(c)),
    ),
    Route::post(
        "/projects/{project}/merge-requests/{number}/{action}",
        CHANGE,
        ("page: comment, approve, merge, close", "페이지: 댓글, 승인, 병합, 닫기"),
        |c| Box::pin(act::act(c)),
    ),
];

fn state_badge(r: &Reader, state: State, draft: bool) -> Markup {
    if draft && state == State::Opened {
        return widget::badge(r, widget::State::Idle, Some(r.t("draft", "초안")));
    }
    let how = match state {
        State::Opened => widget::State::Waiting,
        State::Merged => widget::State::Passed,
        State::Closed => widget::State::Skipped,
    };
    widget::badge(r, how, Some(state.text().get(r.lang)))
}

fn pipeline_badge(r: &Reader, state: PipelineState) -> Markup {
    let how = match state {
        PipelineState::Running => widget::State::Running,
        PipelineState::Passed => widget::State::Passed,
        PipelineState::Failed => widget::State::Failed,
        PipelineState::Canceled => widget::State::Skipped,
    };
    widget::badge(r, how, Some(state.text().get(r.lang)))
}

fn person(who: &Principal) -> String {
    match who {
        Principal::User(name) => name.to_string(),
        other => other.to_string(),
    }
}

/// `topic → main`
fn branches(source: &str, target: &str) -> Markup {
    html! { span.tag { (web::icon::branch()) (source) } span.faint { "→" } span.tag { (target) } }
}

/// The names in a field, apart by commas or spaces.
fn names(words: Option<&String>) -> kernel::Result<Vec<Name>> {
    let words = words.map(String::as_str).unwrap_or_default();
    let some = words.split([',', ' ']).map(|w| w.trim().trim_start_matches('@'));
    some.filter(|w| !w.is_empty()).map(Name::parse).collect()
}

fn labels(words: Option<&String>) -> Vec<String> {
    let words = words.map(String::as_str).unwrap_or_default();
    words.split(',').map(|w| w.trim().to_owned()).filter(|w| !w.is_empty()).collect()
}

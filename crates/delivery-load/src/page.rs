//! A project's performance, and one result.

mod result;
mod trend;

use naru_http::{Access, Route};
use policy::Permission;

const VIEW: Access = Access::Project(Permission::View);

pub const ROUTES: &[Route] = &[
    Route::get(
        "/projects/{project}/load",
        VIEW,
        ("page: performance over commits", "페이지: 커밋에 따른 성능"),
        |c| Box::pin(trend::show(c)),
    ),
    Route::get(
        "/projects/{project}/load/{repository}/{scenario}/{result}",
        VIEW,
        ("page: one result of a performance test", "페이지: 성능 테스트 결과"),
        |c| Box::pin(result::show(c)),
    ),
];

use load::judge::Verdict;
use web::widget::State;

/// Milliseconds for people.
fn ms(value: Option<f64>) -> String {
    match value {
        None => "–".to_owned(),
        Some(v) if v < 10.0 => format!("{v:.2} ms"),
        Some(v) if v < 1000.0 => format!("{v:.0} ms"),
        Some(v) => format!("{:.2} s", v / 1000.0),
    }
}

fn state(verdict: Verdict) -> State {
    match verdict {
        Verdict::Better | Verdict::Same => State::Passed,
        Verdict::Worse => State::Failed,
        Verdict::CannotTell => State::Skipped,
    }
}

//! How something is, by shape, word and colour.

use crate::{Reader, icon};
use kernel::kind::Text2;
use maud::{Markup, html};

/// How a step, a stage, a change, an instance or a service is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// Not begun: something before it is not finished.
    #[default]
    Idle,
    /// It could begin; a place is missing.
    Queued,
    Running,
    /// Somebody's go or a delay.
    Waiting,
    Passed,
    /// Serving in production.
    Live,
    Failed,
    /// Failed, and that is allowed.
    Warned,
    Skipped,
    Canceled,
}

impl State {
    /// The state for a word of an API: unknown words are idle.
    pub fn parse(word: &str) -> State {
        match word {
            "queued" | "ready" | "pending" => State::Queued,
            "running" | "starting" | "progressing" | "deploying" | "underway" => State::Running,
            "waiting" | "waiting_manual" | "waiting_delayed" | "waiting_retry" | "stopping"
            | "draining" => State::Waiting,
            "passed" | "ok" | "done" => State::Passed,
            "live" | "serving" | "healthy" => State::Live,
            "failed" | "crashed" | "unhealthy" => State::Failed,
            "allowed_failure" | "degraded" | "unready" => State::Warned,
            "skipped" | "superseded" => State::Skipped,
            "canceled" | "stopped" => State::Canceled,
            _ => State::Idle,
        }
    }

    pub fn class(self) -> &'static str {
        match self {
            State::Idle => "is-idle",
            State::Queued => "is-queued",
            State::Running => "is-running",
            State::Waiting => "is-waiting",
            State::Passed => "is-passed",
            State::Live => "is-live",
            State::Failed => "is-failed",
            State::Warned => "is-warned",
            State::Skipped => "is-skipped",
            State::Canceled => "is-canceled",
        }
    }

    pub fn words(self) -> Text2 {
        match self {
            State::Idle => ("not begun", "시작 전"),
            State::Queued => ("queued", "대기 중"),
            State::Running => ("running", "실행 중"),
            State::Waiting => ("waiting", "기다리는 중"),
            State::Passed => ("passed", "통과"),
            State::Live => ("live", "운영 중"),
            State::Failed => ("failed", "실패"),
            State::Warned => ("warning", "주의"),
            State::Skipped => ("skipped", "건너뜀"),
            State::Canceled => ("canceled", "취소됨"),
        }
    }

    pub fn is_over(self) -> bool {
        !matches!(self, State::Idle | State::Queued | State::Running | State::Waiting)
    }

    pub fn picture(self) -> Markup {
        match self {
            State::Idle => icon::dot(),
            State::Queued | State::Waiting => icon::clock(),
            State::Running => icon::spin(),
            State::Passed | State::Live => icon::check(),
            State::Failed => icon::cross(),
            State::Warned => icon::bang(),
            State::Skipped | State::Canceled => icon::skip(),
        }
    }
}

/// A pill: picture and word. `words` takes the place of the state's own.
pub fn badge(r: &Reader, state: State, words: Option<&str>) -> Markup {
    let (en, ko) = state.words();
    html! {
        span.badge.(state.class()) { (state.picture()) span { (words.unwrap_or(r.t(en, ko))) } }
    }
}

/// The picture alone, with its word for those who do not see it.
pub fn pip(r: &Reader, state: State) -> Markup {
    let (en, ko) = state.words();
    let words = r.t(en, ko);
    html! { span.pip.(state.class()) title=(words) role="img" aria-label=(words) { (state.picture()) } }
}

/// Many states in a small space: one block for each, in order.
pub fn strip(r: &Reader, states: &[State]) -> Markup {
    const MOST: usize = 48;
    let over = |s: &&State| s.is_over();
    let spoken = format!(
        "{} / {} {}",
        states.iter().filter(over).count(),
        states.len(),
        r.t("finished", "완료")
    );
    let width = if states.len() > 16 { 5 } else { 9 };
    let shown = states.len().min(MOST);
    html! {
        span.strip title=(spoken) {
            svg width=(shown * (width + 2)) height="14" role="img" aria-label=(spoken) {
                @for (i, state) in states.iter().take(MOST).enumerate() {
                    rect.(state.class()) x=(i * (width + 2)) y="1" width=(width) height="12" rx="2" {}
                }
            }
            @if states.len() > MOST { span.faint { "+" (states.len() - MOST) } }
        }
    }
}

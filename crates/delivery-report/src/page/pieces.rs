//! What several of these pages draw.

use crate::ask::Held;
use crate::ask::tests::TestView;
use crate::judge::day;
use crate::read::{Outcome, Severity};
use crate::record::Ratio;
use kernel::{Lang, Name};
use maud::{Markup, html};
use std::time::Duration;
use web::widget::{self, State, Table};
use web::{Page, Reader};

pub(super) fn state(outcome: Outcome) -> State {
    match outcome {
        Outcome::Passed => State::Passed,
        Outcome::Flaky => State::Warned,
        Outcome::Skipped => State::Skipped,
        Outcome::Failed | Outcome::Error => State::Failed,
    }
}

pub(super) fn outcome_words(r: &Reader, outcome: Outcome) -> &'static str {
    let (en, ko) = match outcome {
        Outcome::Passed => ("passed", "통과"),
        Outcome::Flaky => ("passed on retry", "다시 해서 통과"),
        Outcome::Skipped => ("skipped", "건너뜀"),
        Outcome::Failed => ("failed", "실패"),
        Outcome::Error => ("error", "오류"),
    };
    r.lang.pick(en, ko)
}

pub(super) fn severity(severity: Severity) -> State {
    match severity {
        Severity::Blocker | Severity::Critical => State::Failed,
        Severity::Major => State::Warned,
        Severity::Minor | Severity::Info => State::Idle,
    }
}

pub(super) fn ms(r: &Reader, ms: f64) -> String {
    widget::duration_words(r.lang, Duration::from_millis(ms.max(0.0) as u64))
}

/// Core-seconds: `0.4`, `12`, `3,400`.
pub(super) fn core(r: &Reader, seconds: f64) -> String {
    let unit = r.t("core s", "코어 초");
    match seconds {
        s if s < 10.0 => format!("{s:.1} {unit}"),
        s if s < 36_000.0 => format!("{s:.0} {unit}"),
        s => format!("{:.1} {}", s / 3600.0, r.t("core h", "코어 시간")),
    }
}

pub(super) fn percent(ratio: Ratio) -> String {
    ratio.percent().map_or("–".to_owned(), |p| format!("{p:.1} %"))
}

/// Percentage points with their sign.
pub(super) fn points(delta: f64) -> String {
    let delta = if delta.abs() < 0.005 { 0.0 } else { delta };
    format!("{delta:+.2}").replace('-', "−")
}

/// The pages of tests beside each other.
pub(super) fn tabs(r: &Reader, project: &Name, open: &str) -> Markup {
    let base = format!("/projects/{project}/tests");
    let tab = |word: &'static str, en: &'static str, ko: &'static str| {
        let address = if word.is_empty() { base.clone() } else { format!("{base}/{word}") };
        (r.lang.pick(en, ko), address, word == open)
    };
    let all = [
        tab("", "Health", "상태"),
        tab("all", "All tests", "모든 테스트"),
        tab("flaky", "Flaky", "불안정"),
        tab("coverage", "Coverage", "커버리지"),
        tab("cost", "Cost", "비용"),
        // Of performance tests: another part's page.
        (r.t("Performance", "성능"), format!("/projects/{project}/load"), false),
    ];
    widget::tabs(r.t("Tests", "테스트"), &all)
}

pub(super) fn page(r: &Reader, project: &Name, title: &str) -> Page {
    Page::of(project, "tests", title)
        .bare()
        .follow(&format!("project={project}&kind=job.reported"))
        .crumb(project.as_str(), format!("/projects/{project}"))
        .crumb(r.t("Tests", "테스트"), format!("/projects/{project}/tests"))
}

pub(super) fn case_address(project: &Name, repository: &Name, test: &str) -> String {
    format!("/projects/{project}/tests/{repository}/{test}")
}

pub(super) fn results_address(project: &Name, run: &str) -> String {
    format!("/projects/{project}/runs/{run}/results")
}

/// A place in a file of a commit; a link where the path is one of the repository's.
pub(super) fn place(
    project: &Name,
    repository: Option<&Name>,
    commit: Option<&str>,
    path: &str,
    line: u32,
) -> Markup {
    let words = if line > 0 { format!("{path}:{line}") } else { path.to_owned() };
    let inside = !path.is_empty() && !path.starts_with('/') && !path.contains("..");
    match (repository, commit) {
        (Some(repository), Some(commit)) if inside => {
            let anchor = if line > 0 { format!("#L{line}") } else { String::new() };
            let path = web::path(path);
            let address =
                format!("/projects/{project}/code/{repository}/file/{commit}/{path}{anchor}");
            html! { a.mono href=(address) { (words) } }
        }
        _ => html! { span.mono { (words) } },
    }
}

/// Who has a test in quarantine, and until when.
pub(super) fn held(r: &Reader, held: &Held) -> Markup {
    let (owner, day) = (&held.owner, day(held.ends));
    let words = match (r.lang, held.over) {
        (Lang::En, false) => format!("quarantine until {day}, {owner}"),
        (Lang::Ko, false) => format!("{day}까지 격리, {owner}"),
        (Lang::En, true) => format!("quarantine over since {day}, {owner}"),
        (Lang::Ko, true) => format!("{day}에 격리 끝남, {owner}"),
    };
    html! { span.tag title=(held.reason) { (words) } }
}

/// A test's id, broken where a line may break.
pub(super) fn id(id: &str) -> Markup {
    html! { span.mono.breaks { (id) } }
}

/// Rows of tests.
pub(super) fn tests(r: &Reader, project: &Name, tests: &[TestView]) -> Markup {
    let rows = tests.iter().map(|t| {
        let address = case_address(project, &t.repository, &t.test);
        let outcome = t.outcome.unwrap_or(Outcome::Skipped);
        let name = html! {
            a.title-link href=(address) { (id(&t.id)) }
            span.sub {
                span { (t.repository) " · " (t.job) }
                @if let Some(q) = &t.quarantine { (held(r, q)) }
            }
        };
        let states: Vec<State> = t.recent.iter().rev().take(16).rev().map(|o| state(*o)).collect();
        let cells = vec![
            html! { span title=(outcome_words(r, outcome)) { (widget::pip(r, state(outcome))) } },
            name,
            widget::strip(r, &states),
            html! { @match t.ms { Some(t) => (ms(r, t)), None => span.faint { "–" } } },
            widget::ago(r, t.seen),
        ];
        (Some(address), cells)
    });
    widget::table(&Table {
        heads: vec![
            ("", String::new()),
            ("grow", r.t("Test", "테스트").to_owned()),
            ("wide", r.t("Newest results", "최근 결과").to_owned()),
            ("num", r.t("Took", "소요").to_owned()),
            ("wide", r.t("Seen", "마지막 실행").to_owned()),
        ],
        rows: rows.collect(),
    })
}

/// What to write so that there is something to see.
pub(super) fn teach(r: &Reader) -> Markup {
    html! {
        (widget::empty(
            r,
            r.t("No test report yet", "아직 테스트 보고서가 없습니다"),
            r.t("Let a job leave what its tests wrote; JUnit XML, Cobertura, LCOV, JaCoCo and SARIF are read",
                "테스트가 쓴 결과를 작업이 남기게 하세요. JUnit XML, Cobertura, LCOV, JaCoCo, SARIF를 읽습니다"),
            &[],
        ))
        (widget::code_block(EXAMPLE))
    }
}

const EXAMPLE: &str = "# .gitlab-ci.yml
test:
  script: pytest --junitxml=report.xml --cov --cov-report=xml
  artifacts:
    reports:
      junit: report.xml
      coverage_report: { coverage_format: cobertura, path: coverage.xml }";

//! What a reader of these pages would notice.

use super::events::Choice;
use super::projects::Card;
use super::run::Open;
use super::{events, job, projects, run as run_page, runs};
use kernel::log::{Line, Stream};
use kernel::{Event, Id, Name, NewEvent, Principal, Text, Time};
use maud::Markup;
use run::{Plan, Run, RunState, StepState, StepView, Wait};
use web::Reader;
use web::testing::words;

const NOW: Time = Time(1_764_000_000_000);

fn name(words: &str) -> Name {
    Name::parse(words).unwrap()
}

/// The markup in English, sound in both languages.
fn drawn(draw: impl Fn(&Reader) -> Markup) -> String {
    web::testing::drawn(NOW, draw)
}

fn step(index: usize, step: &str, state: StepState, needs: &[&str]) -> StepView {
    let begun = !matches!(state, StepState::Blocked | StepState::Waiting(_));
    StepView {
        index,
        name: step.into(),
        stage: "test".into(),
        needs: needs.iter().map(|n| n.to_string()).collect(),
        state,
        attempt: u32::from(begun),
        ready_at: Some(NOW),
        started: begun.then_some(NOW),
        finished: state.is_finished().then_some(NOW),
        due: None,
        reason: None,
        exit_code: None,
        output: serde_json::Value::Null,
        allow_failure: false,
        played_by: None,
        copied: false,
        attempts: vec![],
    }
}

fn a_run(state: RunState, steps: Vec<StepView>) -> Run {
    Run {
        id: Id::new(NOW.0, 7),
        kind: "pipeline".into(),
        project: name("shop"),
        change: Some(name("web-0123456789ab")),
        title: Text::fixed("web pipeline", "web 파이프라인"),
        actor: Principal::part("delivery-pipeline"),
        state,
        reason: None,
        created: NOW,
        started: Some(NOW),
        finished: state.is_finished().then_some(NOW),
        canceled_by: None,
        retry_of: None,
        priority: 0,
        steps,
        labels: Default::default(),
        subject: None,
        plan: Plan::default(),
    }
}

fn open(step: &str, attempt: u32, text: &str) -> Open {
    let line = Line { time: NOW, stream: Stream::Out, whole: true, text: text.into() };
    Open { name: step.into(), attempt, lines: vec![line], first: 1, count: 1, search: None }
}

#[test]
fn a_failed_run_offers_a_retry_and_a_running_one_a_cancel() {
    let failed = a_run(RunState::Failed, vec![step(0, "unit 1/2", StepState::Failed, &[])]);
    let html = drawn(|r| run_page::draw(r, &failed, Some(&open("unit 1/2", 1, "<b>no</b>"))));
    assert!(html.contains("/retry\"") && !html.contains("/cancel\""));
    assert!(html.contains("&lt;b&gt;no&lt;/b&gt;"), "output is text");
    assert!(!html.contains("data-follow"), "a finished log is not followed");
    assert!(html.contains("?step=unit%201%2F2#log"));

    let going = a_run(RunState::Running, vec![step(0, "unit", StepState::Running, &[])]);
    let html = drawn(|r| run_page::draw(r, &going, Some(&open("unit", 1, "so far"))));
    assert!(html.contains("/cancel\"") && !html.contains("/retry\""));
    assert!(html.contains("/steps/unit/log?attempt=1&amp;follow=true"));
    assert!(words(&html).contains("so far"), "without JavaScript, too");
}

#[test]
fn what_a_command_wrote_folds_and_every_line_has_an_address() {
    let passed = a_run(RunState::Passed, vec![step(0, "unit", StepState::Passed, &[])]);
    let line = |text: &str| Line { time: NOW, stream: Stream::Out, whole: true, text: text.into() };
    let lines = vec![line("$ make"), line("cc a.c"), line("$ true")];
    let long = Open { lines, first: 4001, count: 9000, ..open("unit", 1, "") };
    let html = drawn(|r| run_page::draw(r, &passed, Some(&long)));
    assert_eq!(html.matches("<details class=\"ln-fold\" open").count(), 1, "{html}");
    assert!(html.contains("?step=unit&amp;attempt=1&amp;line=4002#l-4002"));
    assert!(words(&html).contains("Earlier lines") && words(&html).contains("Later lines"));
    assert!(!html.contains("data-follow"), "lines around one that was linked to stand still");
}

#[test]
fn a_search_shows_the_lines_that_have_the_words_and_leads_to_them() {
    let passed = a_run(RunState::Passed, vec![step(0, "unit", StepState::Passed, &[])]);
    let hit = Line { time: NOW, stream: Stream::Err, whole: true, text: "an <Error>".into() };
    let mut looked = open("unit", 2, "");
    looked.search = Some(("error".into(), vec![(17, hit)]));
    let html = drawn(|r| run_page::draw(r, &passed, Some(&looked)));
    assert!(html.contains("an &lt;<mark>Error</mark>&gt;"), "{html}");
    assert!(html.contains("line=17#l-17") && html.contains("value=\"error\""));
    looked.search = Some(("nothing".into(), vec![]));
    let none = words(&drawn(|r| run_page::draw(r, &passed, Some(&looked))));
    assert!(none.contains("no line has these words"));
}

#[test]
fn a_jobs_history_says_how_often_it_passed_and_leads_to_each_result() {
    let past = |state, reason: Option<&str>| {
        let mut step = step(0, "unit 1/2", state, &[]);
        step.reason = reason.map(Text::plain);
        let run = a_run(RunState::Passed, vec![step.clone()]);
        job::Past { run, step }
    };
    let all = [past(StepState::Passed, None), past(StepState::Failed, Some("exit code 3"))];
    let html = drawn(|r| job::draw(r, &name("web"), "unit 1/2", &all));
    let seen = words(&html);
    assert!(
        seen.contains("50%") && seen.contains("1 / 2") && seen.contains("exit code 3"),
        "{seen}"
    );
    assert!(html.contains("?step=unit%201%2F2#log"));
    assert!(
        words(&drawn(|r| job::draw(r, &name("web"), "unit", &[]))).contains("It has not run yet")
    );
}

#[test]
fn a_manual_step_can_be_started_and_says_that_it_has_no_log() {
    let wait = StepState::Waiting(Wait::Manual);
    let run = a_run(RunState::Waiting, vec![step(0, "approve", wait, &[])]);
    let html = drawn(|r| run_page::draw(r, &run, Some(&open("approve", 0, ""))));
    assert!(html.contains("/play\"") && html.contains("name=\"step\" value=\"approve\""));
    assert!(words(&html).contains("It has not started"));
}

#[test]
fn a_rollout_is_not_retried() {
    let rollout = Run {
        kind: "rollout".into(),
        ..a_run(RunState::Failed, vec![step(0, "start", StepState::Failed, &[])])
    };
    let html = drawn(|r| run_page::draw(r, &rollout, Some(&open("start", 1, "x"))));
    assert!(!html.contains("/retry\""));
}

#[test]
fn runs_are_listed_with_their_steps_and_why_they_failed() {
    let steps = vec![
        step(0, "build", StepState::Passed, &[]),
        step(1, "test", StepState::Failed, &["build"]),
    ];
    let failed = Run {
        reason: Some(Text::fixed("test: exit code 1", "test: 종료 코드 1")),
        ..a_run(RunState::Failed, steps)
    };
    let html =
        drawn(|r| runs::draw(r, &name("shop"), Some("pipeline"), std::slice::from_ref(&failed)));
    let seen = words(&html);
    assert!(seen.contains("test: exit code 1") && html.contains("2 / 2 finished"), "{seen}");
    assert!(html.contains("href=\"/projects/shop/runs?kind=pipeline\" aria-current=\"page\""));
    let none = drawn(|r| runs::draw(r, &name("shop"), None, &[]));
    assert!(words(&none).contains("git push naru main"));
}

#[test]
fn events_keep_their_filter_and_lead_to_their_change() {
    let fact = NewEvent::new("git.pushed", Principal::Anonymous, Text::plain("<i>pushed</i>"))
        .project(&name("shop"))
        .change(Some(name("web-0123456789ab")));
    let event = Event { seq: 7, time: NOW, fact, hash: String::new() };
    let choice = Choice {
        project: Some(name("shop")),
        kind: "git.\"".into(),
        projects: vec![name("shop")],
        ..Choice::default()
    };
    let html = drawn(|r| events::draw(r, &choice, std::slice::from_ref(&event)));
    assert!(html.contains("value=\"git.&quot;\""), "{html}");
    assert!(html.contains("<option value=\"shop\" selected>"));
    assert!(html.contains("href=\"/projects/shop/changes/web-0123456789ab\""));
    assert!(html.contains("&lt;i&gt;pushed&lt;/i&gt;"));
}

#[test]
fn no_project_yet_teaches_how_to_make_one() {
    assert!(words(&drawn(|r| projects::draw(r, &[]))).contains("naru project create shop"));
    let card = || Card {
        name: name("shop"),
        title: "The shop".into(),
        services: vec![],
        stirred: Some(NOW),
        ended: vec![],
    };
    let html = drawn(|r| projects::draw(r, &[card()]));
    assert!(html.contains("data-row=\"/projects/shop\"") && words(&html).contains("The shop"));
}

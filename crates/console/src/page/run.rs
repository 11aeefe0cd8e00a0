//! One run: its graph, the step that is looked at, and that step's log.

use super::runs;
use crate::Console;
use crate::runs::of_call;
use kernel::log::Line;
use kernel::{Error, Result, Text, text};
use maud::{Markup, html};
use naru_http::{Call, Response, found};
use run::log::{self, Part};
use run::{Engine, Run, RunState, StepState, StepView, Wait};
use web::widget::{self, Log, Node, Search, State, Tone};
use web::{Page, Reader};

/// Lines of a log on the page; the whole is one click away.
const TAIL: usize = 2000;
/// Lines that a search shows.
const HITS: usize = 500;

/// The step that is looked at.
pub(super) struct Open {
    pub name: String,
    pub attempt: u32,
    pub lines: Vec<Line>,
    /// Number of the first line.
    pub first: usize,
    /// How many lines there are, as far as it was read.
    pub count: usize,
    /// What is looked for, and the lines that have it.
    pub search: Option<(String, Vec<(usize, Line)>)>,
}

/// What part of a log is asked for.
#[derive(Default)]
struct Asked {
    attempt: Option<u32>,
    /// Around this line rather than at the end.
    line: Option<usize>,
    words: Option<String>,
}

pub(super) async fn show(call: Call) -> Result<Response> {
    let run = of_call(&call).await?;
    let engine = &call.part::<Console>()?.engine;
    let wanted = call.query("step");
    let asked = Asked {
        attempt: call.number("attempt")?.and_then(|a| u32::try_from(a).ok()),
        line: call.number("line")?.map(|n| usize::try_from(n).unwrap_or(usize::MAX)),
        words: call.query("q").filter(|q| !q.trim().is_empty()),
    };
    let open = match chosen(&run, wanted.as_deref()) {
        Some(step) => Some(read(engine, &run, step, asked).await?),
        None => None,
    };
    let r = Reader::of(&call);
    let project = &run.project;
    let page = Page::of(project, "runs", run.title.get(r.lang))
        .bare()
        .crumb(project.as_str(), format!("/projects/{project}"))
        .crumb(r.t("Runs", "실행"), format!("/projects/{project}/runs"))
        .follow(&format!("project={project}&kind=run.&subject=Run/{project}/{}", run.id));
    Ok(web::page(&call, &page, draw(&r, &run, open.as_ref())))
}

/// The step asked for, or else what failed, what runs, or what ran last.
fn chosen<'a>(run: &'a Run, wanted: Option<&str>) -> Option<&'a StepView> {
    let asked = wanted.and_then(|w| run.step(w));
    let of = |state: StepState| run.steps.iter().find(|s| s.state == state);
    asked
        .or_else(|| of(StepState::Failed))
        .or_else(|| of(StepState::Running))
        .or_else(|| of(StepState::Waiting(Wait::Manual)))
        .or_else(|| run.steps.iter().filter(|s| s.started.is_some()).max_by_key(|s| s.started))
        .or_else(|| run.steps.first())
}

/// The part of the step's log that is asked for, as far as it is written.
async fn read(engine: &Engine, run: &Run, step: &StepView, asked: Asked) -> Result<Open> {
    let attempt = asked.attempt.filter(|a| (1..=step.attempt).contains(a)).unwrap_or(step.attempt);
    let wanted =
        log::Asked { line: asked.line, lines: TAIL, words: asked.words.clone(), hits: HITS };
    let part = match attempt {
        0 => Part::none(),
        _ => engine.log_part(&run.id, &step.name, Some(attempt), wanted).await?,
    };
    let hits = part.hits;
    Ok(Open {
        name: step.name.clone(),
        attempt,
        first: part.first,
        count: part.count,
        lines: part.lines,
        search: asked.words.map(|words| (words, hits)),
    })
}

pub(super) fn draw(r: &Reader, run: &Run, open: Option<&Open>) -> Markup {
    let nodes: Vec<Node> = run.steps.iter().map(|s| node(r, run, s, open)).collect();
    let states: Vec<State> = run.steps.iter().map(|s| State::parse(s.state.word())).collect();
    html! {
        div #top.stack data-part {
            (widget::heading(
                html! { (run.title.get(r.lang)) },
                runs::state(r, run),
                about(r, run),
                actions(r, run),
            ))
            @if let Some(reason) = &run.reason {
                (widget::flash(State::parse(run.state.word()), reason.get(r.lang), None))
            }
        }
        @if run.kind == "pipeline" {
            (widget::pipeline_tabs(r, &address(run), ""))
        }
        (widget::section(
            "graph",
            r.t("Steps", "단계"),
            widget::strip(r, &states),
            widget::graph(r, &nodes),
        ))
        @if let Some((open, step)) = open.and_then(|o| Some((o, run.step(&o.name)?))) {
            (looked_at(r, run, step, open))
        }
    }
}

fn about(r: &Reader, run: &Run) -> Markup {
    html! {
        @if run.change.is_some() { (runs::change(run)) }
        span { (kind(r, &run.kind)) }
        span { (run.actor) }
        (widget::ago(r, run.created))
        (widget::duration(r, run.started, run.finished))
        @if let Some(old) = &run.retry_of {
            a href=(format!("/projects/{}/runs/{old}", run.project)) {
                (r.t("retry of ", "다음의 재실행: ")) (old.short())
            }
        }
        @if let Some(who) = &run.canceled_by { span { (r.t("canceled by ", "취소한 사람: ")) (who) } }
    }
}

fn kind<'a>(r: &'a Reader, kind: &'a str) -> &'a str {
    match kind {
        "pipeline" => r.t("pipeline", "파이프라인"),
        "rollout" => r.t("rollout", "롤아웃"),
        other => other,
    }
}

fn address(run: &Run) -> String {
    format!("/projects/{}/runs/{}", run.project, run.id)
}

fn actions(r: &Reader, run: &Run) -> Markup {
    let here = address(run);
    let again = matches!(run.state, RunState::Failed | RunState::Canceled) && run.kind != "rollout";
    html! {
        @if again {
            (widget::action(&format!("{here}/retry"), r.t("Retry what failed", "실패한 것 다시 실행"),
                web::icon::again(), Tone::Main))
        }
        @if !run.state.is_finished() {
            (widget::action(&format!("{here}/cancel"), r.t("Cancel", "취소"), web::icon::cross(), Tone::Danger))
        }
    }
}

fn node(r: &Reader, run: &Run, step: &StepView, open: Option<&Open>) -> Node {
    let words = step.state.text();
    Node {
        name: step.name.clone(),
        stage: step.stage.clone(),
        state: State::parse(step.state.word()),
        needs: step.needs.clone(),
        start: step.started,
        end: step.finished,
        address: format!("{}?step={}#log", address(run), web::segment(&step.name)),
        open: open.is_some_and(|o| o.name == step.name),
        note: Some(step.reason.as_ref().unwrap_or(&words).get(r.lang).to_owned()),
    }
}

fn looked_at(r: &Reader, run: &Run, step: &StepView, open: &Open) -> Markup {
    let state = State::parse(step.state.word());
    let beside = html! {
        @if step.copied { span.tag { (r.t("passed in the earlier run", "이전 실행에서 통과")) } }
        @if let Some(repository) = run.labels.get("repository").filter(|_| run.kind == "pipeline") {
            a.soft href=(format!("/projects/{}/jobs?repository={repository}&job={}", run.project, web::segment(&step.name))) {
                (r.t("History", "이력"))
            }
        }
        (attempts(r, run, step, open))
        (widget::badge(r, state, Some(step.state.text().get(r.lang))))
        (step_actions(r, run, step))
    };
    let body = html! {
        @if let Some(reason) = &step.reason {
            p.part-in.(if state == State::Failed { "reason" } else { "soft" }) {
                (reason.get(r.lang))
                @if let Some(code) = step.exit_code.filter(|c| *c != 0 && !reason.en.contains(&c.to_string())) {
                    " · " (r.t("exit code ", "종료 코드 ")) (code)
                }
            }
        }
        (written(r, run, step, open))
    };
    widget::section("log", &step.name, beside, body)
}

fn attempts(r: &Reader, run: &Run, step: &StepView, open: &Open) -> Markup {
    if step.attempt < 2 {
        return html! {};
    }
    let page = format!("{}?step={}", address(run), web::segment(&step.name));
    html! {
        span.faint { (r.t("attempt", "시도")) }
        @for n in 1..=step.attempt {
            a.tag href=(format!("{page}&attempt={n}#log")) aria-current=[(n == open.attempt).then_some("true")] { (n) }
        }
    }
}

fn step_actions(r: &Reader, run: &Run, step: &StepView) -> Markup {
    let here = address(run);
    let fields = [("step", step.name.as_str())];
    html! {
        @if step.state == StepState::Waiting(Wait::Manual) {
            (widget::post(&format!("{here}/play"), &fields,
                html! { (web::icon::play()) (r.t("Start", "시작")) }, Tone::Main))
        }
        @if run.state.is_finished() && run.kind != "rollout" && step.started.is_some() {
            (widget::post(&format!("{here}/retry"), &fields,
                html! { (web::icon::again()) (r.t("Run again from here", "여기부터 다시 실행")) }, Tone::Plain))
        }
    }
}

fn written(r: &Reader, run: &Run, step: &StepView, open: &Open) -> Markup {
    if open.attempt == 0 {
        let words =
            r.t("It has not started, so there is no log yet", "아직 시작하지 않아 로그가 없습니다");
        return html! { p.plot-none { (words) } };
    }
    let api = format!(
        "/api/v1/projects/{}/runs/{}/steps/{}/log?attempt={}",
        run.project,
        run.id,
        web::segment(&step.name),
        open.attempt
    );
    // Lines around one that was linked to stand still.
    let end = open.first - 1 + open.lines.len();
    let growing = step.finished.is_none() && open.attempt == step.attempt && end == open.count;
    let follow = format!("{api}&follow=true");
    let (here, number) = (address(run), open.attempt.to_string());
    let action = format!("{here}#log");
    let fields = [("step", step.name.as_str()), ("attempt", number.as_str())];
    let search = Search {
        action: &action,
        fields: &fields,
        words: open.search.as_ref().map(|(words, _)| words.as_str()),
    };
    let line = format!("{here}?step={}&attempt={number}&line=", web::segment(&step.name));
    let log = Log {
        id: "l",
        after: Some(end),
        lines: &open.lines,
        first: open.first,
        follow: growing.then_some(follow.as_str()),
        raw: (!growing).then_some(api.as_str()),
        line: Some(&line),
        search: Some(search),
        ..Log::default()
    };
    if let Some((words, hits)) = &open.search {
        return widget::found(r, &log, hits, words);
    }
    html! {
        @if open.first > 1 { (elsewhere(&line, open.first - 1, r.t("Earlier lines", "앞부분"))) }
        (widget::log(r, &log))
        @if end < open.count { (elsewhere(&line, end + 1, r.t("Later lines", "뒷부분"))) }
    }
}

/// A way to the lines around another one.
fn elsewhere(line: &str, number: usize, words: &str) -> Markup {
    html! { p.part-in.soft { a href=(format!("{line}{number}#l-{number}")) { (words) } } }
}

/// `cancel`, `retry` and `play` from a button.
pub(super) async fn act(mut call: Call) -> Result<Response> {
    let form = call.form().await?;
    let run = of_call(&call).await?;
    let engine = &call.part::<Console>()?.engine;
    let step = form.get("step").map(String::as_str);
    let who = call.who.clone();
    match call.param("action")? {
        "cancel" => {
            let reason = text!("canceled by {who}", "{who}이(가) 취소");
            engine.cancel(&run.id, who, reason).await?;
        }
        "retry" if run.kind != "rollout" => {
            let fresh = engine.retry(&run.id, step, who).await?;
            return found(&format!("/projects/{}/runs/{fresh}", run.project));
        }
        "play" => engine.play(&run.id, step.unwrap_or_default(), who).await?,
        _ => {
            return Err(Error::not_found(
                "action.unknown",
                Text::fixed("a run cannot do that", "실행에 그런 동작은 없습니다"),
            ));
        }
    }
    let step = step.map(|s| format!("?step={}", web::segment(s))).unwrap_or_default();
    found(&format!("{}{step}", address(&run)))
}

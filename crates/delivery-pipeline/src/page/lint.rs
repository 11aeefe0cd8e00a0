//! Trying a pipeline file out: nothing runs, and everything that would is drawn.

use super::{reasons, warnings};
use crate::lint::{Lint, Suppose, UNNAMED, lint};
use kernel::{Error, Lang, Name, Result};
use maud::{Markup, html};
use naru_http::{Call, Response};
use web::widget::{self, Node, State};
use web::{Page, Reader};

const EXAMPLE: &str = "stages: [build, test]

build:
  stage: build
  script: make
  artifacts: {paths: [out/]}

test:
  stage: test
  script: make test
  parallel: 2
";

pub(super) async fn show(call: Call) -> Result<Response> {
    answer(&call, EXAMPLE, "main", None)
}

pub(super) async fn check(mut call: Call) -> Result<Response> {
    let form = call.form().await?;
    let content = form.get("content").map_or("", String::as_str).replace("\r\n", "\n");
    let branch = form.get("branch").map_or("main", |b| b.trim()).to_owned();
    let (lang, file) = (call.lang, content.clone());
    let suppose = Suppose { branch: Some(branch.clone()), ..Suppose::default() };
    // A large file takes a while: not on a thread that serves.
    let work = tokio::task::spawn_blocking(move || look(&file, &suppose, lang));
    let found = work.await.map_err(Error::internal)?;
    answer(&call, &content, &branch, Some(&found))
}

/// Includes are not read: they would come from a commit, and there is none.
pub(super) fn look(content: &str, suppose: &Suppose, lang: Lang) -> Lint {
    let read = |path: &str| (path == UNNAMED).then(|| content.as_bytes().to_vec());
    lint(UNNAMED, suppose, lang, read)
}

fn answer(call: &Call, content: &str, branch: &str, found: Option<&Lint>) -> Result<Response> {
    let project = call.project()?;
    let r = Reader::of(call);
    let page = Page::of(&project, "runs", r.t("Try a pipeline file out", "파이프라인 파일 점검"))
        .bare()
        .crumb(project.as_str(), format!("/projects/{project}"))
        .crumb(r.t("Runs", "실행"), format!("/projects/{project}/runs"));
    Ok(web::page(call, &page, draw(&r, &project, content, branch, found)))
}

pub(super) fn draw(
    r: &Reader,
    project: &Name,
    content: &str,
    branch: &str,
    found: Option<&Lint>,
) -> Markup {
    let title = html! { (r.t("Try a pipeline file out", "파이프라인 파일 점검")) };
    let about = html! { (r.t(
        "Nothing runs: what would, in which order, and why",
        "실행하지 않고, 무엇이 어떤 순서로 왜 실행될지 보여 줍니다",
    )) };
    html! {
        (widget::heading(title, html! {}, about, html! {}))
        @if let Some(found) = found { (result(r, found)) }
        (widget::section("file", UNNAMED, html! {}, html! {
            form.fields.part-in method="post" action=(format!("/projects/{project}/pipelines/lint")) {
                label for="branch" { (r.t("As if pushed to", "푸시할 브랜치")) }
                input #branch type="text" name="branch" value=(branch) required;
                label for="content" { (r.t("File", "파일")) }
                // A line break right after the tag is not part of what it holds.
                textarea.mono #content name="content" rows="20" spellcheck="false" { "\n" (content) }
                div { button.button.main { (r.t("Look", "보기")) } }
            }
        }))
    }
}

fn result(r: &Reader, found: &Lint) -> Markup {
    if let Some(error) = &found.error {
        let at = error.at.as_ref().map(|p| format!("{p} ")).unwrap_or_default();
        let words = format!("{at}{}", error.say);
        return widget::flash(State::Failed, &words, error.hint.as_deref());
    }
    let node = |step: &crate::lint::Planned| Node {
        name: step.name.clone(),
        stage: step.stage.clone(),
        needs: step.needs.clone(),
        address: "#reasons".to_owned(),
        ..Node::default()
    };
    let nodes: Vec<Node> = found.steps.iter().map(node).collect();
    html! {
        @match &found.nothing {
            Some(why) => (widget::flash(State::Warned, why.get(r.lang), None)),
            None => (widget::flash(State::Passed, r.t("The file is sound", "올바른 파일입니다"), None)),
        }
        (warnings(r, &found.warnings))
        @if !nodes.is_empty() {
            (widget::section("graph", r.t("What would run", "실행될 것"), html! {}, widget::graph(r, &nodes)))
        }
        (widget::section("reasons", r.t("Why each job is here or not", "작업이 포함되거나 빠진 이유"), html! {}, reasons(r, &found.jobs)))
    }
}

//! Trying a pipeline file out: nothing runs, and everything that would is drawn.

use super::{reasons, warnings};
use crate::Pipelines;
use crate::lint::{Lint, Suppose, UNNAMED};
use crate::look::Look;
use kernel::{Name, Result};
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

/// Repositories to choose from.
const REPOSITORIES: usize = 200;

/// What the form holds.
#[derive(Default)]
pub(super) struct Form {
    pub content: String,
    pub branch: String,
    /// The one whose files may be included; empty: the file stands alone.
    pub repository: String,
    /// All that there are.
    pub repositories: Vec<Name>,
}

pub(super) async fn show(call: Call) -> Result<Response> {
    let form = Form {
        content: EXAMPLE.to_owned(),
        branch: "main".to_owned(),
        repositories: repositories(&call).await?,
        ..Form::default()
    };
    answer(&call, &form, None)
}

pub(super) async fn check(mut call: Call) -> Result<Response> {
    let sent = call.form().await?;
    let word = |name: &str| sent.get(name).map_or("", |b| b.trim()).to_owned();
    let form = Form {
        content: sent.get("content").map_or("", String::as_str).replace("\r\n", "\n"),
        branch: word("branch"),
        repository: word("repository"),
        repositories: repositories(&call).await?,
    };
    let project = call.project()?;
    let path = (!form.repository.is_empty()).then(|| format!("{project}/{}", form.repository));
    let suppose = Suppose { path, branch: Some(form.branch.clone()), ..Suppose::default() };
    let ask = Look { content: form.content.clone(), suppose, ..Look::default() };
    let found = call.part::<Pipelines>()?.look(&call.who, ask, call.lang).await?;
    answer(&call, &form, Some(&found))
}

async fn repositories(call: &Call) -> Result<Vec<Name>> {
    let whose = call.project()?;
    let read =
        move |v: &store::View<'_>| v.resources("Repository", Some(&whose), None, REPOSITORIES);
    let all = call.site.store.read(read).await?;
    Ok(all.into_iter().map(|r| r.key.name).collect())
}

fn answer(call: &Call, form: &Form, found: Option<&Lint>) -> Result<Response> {
    let project = call.project()?;
    let r = Reader::of(call);
    let page = Page::of(&project, "runs", r.t("Try a pipeline file out", "파이프라인 파일 점검"))
        .bare()
        .crumb(project.as_str(), format!("/projects/{project}"))
        .crumb(r.t("Runs", "실행"), format!("/projects/{project}/runs"));
    Ok(web::page(call, &page, draw(&r, &project, form, found)))
}

pub(super) fn draw(r: &Reader, project: &Name, sent: &Form, found: Option<&Lint>) -> Markup {
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
                label for="repository" { (r.t("With the files of", "함께 볼 저장소")) }
                select #repository name="repository" {
                    option value="" { (r.t("no repository", "저장소 없음")) }
                    @for name in &sent.repositories {
                        option value=(name) selected[name.as_str() == sent.repository] { (name) }
                    }
                }
                label for="branch" { (r.t("As if pushed to", "푸시할 브랜치")) }
                input #branch type="text" name="branch" value=(sent.branch) required;
                label for="content" { (r.t("File", "파일")) }
                // A line break right after the tag is not part of what it holds.
                textarea.mono #content name="content" rows="20" spellcheck="false" { "\n" (sent.content) }
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
        @if !found.included.is_empty() {
            (widget::section("included", r.t("Included files", "포함된 파일"), html! {}, html! {
                ul.plain.part-in { @for file in &found.included {
                    li { code { (file.file) } " " small { (r.t("asked for at", "요청한 곳")) " " (file.by) } }
                } }
            }))
        }
        (widget::section("reasons", r.t("Why each job is here or not", "작업이 포함되거나 빠진 이유"), html! {}, reasons(r, &found.jobs)))
    }
}

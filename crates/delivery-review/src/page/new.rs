//! The form that opens a merge request.

use super::{labels, names};
use crate::Reviews;
use crate::desk::Draft;
use kernel::{Key, Name, Result};
use maud::{Markup, html};
use naru_http::{Call, Response, found};
use web::widget::{self};
use web::{Page, Reader};

/// Repositories to choose from.
const REPOSITORIES: usize = 200;

struct Form {
    repository: Option<Name>,
    repositories: Vec<Name>,
    default_branch: String,
    branches: Vec<String>,
    source: String,
    target: String,
}

async fn form(call: &Call, reviews: &Reviews, project: &Name) -> Result<Form> {
    let of = project.clone();
    let read = move |v: &store::View<'_>| v.resources("Repository", Some(&of), None, REPOSITORIES);
    let all: Vec<Key> =
        reviews.options.store.read(read).await?.into_iter().map(|r| r.key).collect();
    let repositories: Vec<Name> = all.into_iter().map(|k| k.name).collect();
    let asked = call.query("repository").filter(|w| !w.is_empty());
    let repository = match asked {
        Some(name) => Some(Name::parse(&name)?),
        None => repositories.first().filter(|_| repositories.len() == 1).cloned(),
    };
    let (default_branch, branches) = match &repository {
        Some(name) => reviews.options.branches.branches(project, name).await?,
        None => (String::new(), Vec::new()),
    };
    let target = call.query("target").filter(|t| !t.is_empty());
    Ok(Form {
        repository,
        repositories,
        source: call.query("source").unwrap_or_default(),
        target: target.unwrap_or_else(|| default_branch.clone()),
        default_branch,
        branches,
    })
}

pub(super) async fn show(call: Call) -> Result<Response> {
    let (project, reviews) = (call.project()?, call.part::<Reviews>()?);
    let form = form(&call, &reviews, &project).await?;
    // What is known already fills the form: a branch that was just pushed.
    let ready = match (&form.repository, form.source.is_empty()) {
        (Some(repository), false) => {
            let draft = Draft {
                source: form.source.clone(),
                target: Some(form.target.clone()),
                ..Draft::default()
            };
            reviews.ready(&project, repository, draft, call.who.clone()).await.map(Some)
        }
        _ => Ok(None),
    };
    let r = Reader::of(&call);
    let title = r.t("New merge request", "새 머지 요청");
    let page = Page::of(&project, "merge-requests", title)
        .bare()
        .crumb(project.as_str(), format!("/projects/{project}"))
        .crumb(r.t("Merge requests", "머지 요청"), format!("/projects/{project}/merge-requests"));
    let (words, flaw) = match ready {
        Ok(ready) => (ready.map(|r| r.spec.title).unwrap_or_default(), None),
        Err(error) => (String::new(), Some(error)),
    };
    let body = html! {
        (widget::heading(html! { (title) }, html! {}, html! {}, html! {}))
        @if let Some(error) = &flaw {
            (widget::flash(widget::State::Failed, error.say().get(r.lang), error.get_hint().map(|h| h.get(r.lang))))
        }
        @if form.repositories.is_empty() {
            (widget::empty(&r, r.t("No repository yet", "아직 저장소가 없습니다"), r.t("Push one first", "먼저 푸시하세요"), &[]))
        } @else if form.repository.is_none() {
            (choose(&r, &project, &form))
        } @else {
            (fields(&r, &project, &form, &words))
        }
    };
    Ok(web::page(&call, &page, body))
}

fn choose(r: &Reader, project: &Name, form: &Form) -> Markup {
    widget::section(
        "choose",
        r.t("Of which repository?", "어느 저장소인가요?"),
        html! {},
        html! {
            form.filter method="get" action=(format!("/projects/{project}/merge-requests/new")) {
                select name="repository" aria-label=(r.t("Repository", "저장소")) {
                    @for name in &form.repositories { option value=(name) { (name) } }
                }
                button.button { (r.t("Go on", "계속")) }
            }
        },
    )
}

fn fields(r: &Reader, project: &Name, form: &Form, title: &str) -> Markup {
    let select = |id: &str, chosen: &str, without: &str| {
        html! {
            select #(id) name=(id) required {
                @for branch in form.branches.iter().filter(|b| *b != without) {
                    option value=(branch) selected[branch == chosen] { (branch) }
                }
            }
        }
    };
    let repository = form.repository.as_ref().map(ToString::to_string).unwrap_or_default();
    widget::section(
        "new",
        "",
        html! {},
        html! {
            form.fields method="post" action=(format!("/projects/{project}/merge-requests")) {
                input type="hidden" name="repository" value=(repository);
                label for="source" { (r.t("Merge", "병합할 브랜치")) }
                (select("source", &form.source, &form.default_branch))
                label for="target" { (r.t("into", "대상 브랜치")) }
                (select("target", &form.target, ""))
                label for="title" { (r.t("Title; empty: that of the commit", "제목. 비우면 커밋 제목")) }
                input #title type="text" name="title" value=(title) maxlength="255";
                label for="description" { (r.t("Description, in Markdown", "설명 (마크다운)")) }
                textarea #description name="description" rows="8" {}
                label for="reviewers" { (r.t("Reviewers, by name", "리뷰어 이름")) }
                input #reviewers type="text" name="reviewers";
                label for="assignees" { (r.t("Assignees", "담당자")) }
                input #assignees type="text" name="assignees";
                label for="labels" { (r.t("Labels, apart by commas", "레이블, 쉼표로 구분")) }
                input #labels type="text" name="labels";
                label { input type="checkbox" name="draft" value="yes"; " " (r.t("A draft: not ready to be merged", "초안: 아직 병합하지 않음")) }
                label { input type="checkbox" name="squash" value="yes"; " " (r.t("Make one commit of all", "커밋 하나로 합치기")) }
                label { input type="checkbox" name="remove_source" value="yes" checked; " " (r.t("Delete the branch once merged", "병합하면 브랜치 삭제")) }
                button.button.main { (r.t("Open", "열기")) }
            }
        },
    )
}

pub(super) async fn open(mut call: Call) -> Result<Response> {
    let form = call.form().await?;
    let (project, who) = (call.project()?, call.who.clone());
    let text = |name: &str| form.get(name).cloned().unwrap_or_default();
    let yes = |name: &str| form.contains_key(name);
    let repository = Name::parse(&text("repository"))?;
    let draft = Draft {
        source: text("source"),
        target: Some(text("target")),
        title: Some(text("title")),
        description: text("description").replace("\r\n", "\n"),
        draft: yes("draft"),
        labels: labels(form.get("labels")),
        assignees: names(form.get("assignees"))?,
        reviewers: names(form.get("reviewers"))?,
        remove_source: yes("remove_source"),
        squash: yes("squash"),
    };
    let record = call.part::<Reviews>()?.open(&project, &repository, draft, who).await?;
    found(&record.address())
}

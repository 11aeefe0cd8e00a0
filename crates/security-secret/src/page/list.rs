//! The secrets of a project.

use super::{scope_fields, value_field};
use crate::{Secret, SecretView, Secrets};
use kernel::{Name, Result};
use maud::{Markup, html};
use naru_http::{Call, Response};
use secret::KeyStatus;
use web::widget::{self, State, Table};
use web::{Page, Reader};

pub(super) async fn show(call: Call) -> Result<Response> {
    let project = call.project()?;
    let secrets = call.part::<Secrets>()?;
    let all = secrets.list(&project).await?;
    let key = secrets.vault.status(call.lang).await?;
    let r = Reader::of(&call);
    let page = Page::of(&project, "environments", r.t("Secrets", "비밀 값"))
        .bare()
        .crumb(project.as_str(), format!("/projects/{project}"))
        .follow(&format!("project={project}&kind=secret."));
    Ok(web::page(&call, &page, draw(&r, &project, &all, &key)))
}

pub(super) fn draw(r: &Reader, project: &Name, all: &[SecretView], key: &KeyStatus) -> Markup {
    let about = html! { (r.t(
        "Sealed values for jobs and services: never in a log, an event or a page",
        "작업과 서비스를 위한 봉인된 값. 로그, 이벤트, 페이지에 나타나지 않습니다",
    )) };
    let list = match all {
        [] => widget::empty(
            r,
            r.t("No secret yet", "아직 비밀 값이 없습니다"),
            r.t(
                "Jobs find one in a variable of its name; a service names it in naru.yaml",
                "작업은 같은 이름의 변수로 받고, 서비스는 naru.yaml에 이름을 적습니다",
            ),
            &[&format!("naru secret set DATABASE_PASSWORD -p {project}")],
        ),
        all => widget::table(&Table {
            heads: heads(r),
            rows: all.iter().map(|view| (None, cells(r, view))).collect(),
        }),
    };
    html! {
        (widget::heading(html! { (r.t("Secrets", "비밀 값")) }, html! {}, about, html! {}))
        @if let Some(locked) = &key.locked {
            (widget::flash(State::Failed, &locked.say, locked.hint.as_deref()))
        }
        (widget::section("secrets", "", html! {}, list))
        (widget::section("new", r.t("New secret", "새 비밀 값"), html! {}, form(r, project)))
    }
}

fn heads(r: &Reader) -> Vec<(&'static str, String)> {
    vec![
        ("grow", r.t("Secret", "비밀 값").to_owned()),
        ("", r.t("For", "범위").to_owned()),
        ("wide", r.t("Set", "설정").to_owned()),
        ("wide", r.t("Last used", "마지막 사용").to_owned()),
    ]
}

/// The badge of a secret that somebody should look at.
pub(super) fn state(r: &Reader, view: &SecretView) -> Option<Markup> {
    let (how, words) = match &view.status {
        status if status.version.is_none() => (State::Skipped, r.t("no value", "값 없음")),
        status if status.overdue => (State::Waiting, r.t("due for a new value", "교체할 때")),
        _ => return None,
    };
    Some(widget::badge(r, how, Some(words)))
}

fn cells(r: &Reader, view: &SecretView) -> Vec<Markup> {
    let here = format!("/projects/{}/secrets/{}", view.project, view.name);
    vec![
        html! {
            a href=(here) { strong { (view.name) } } " "
            @if let Some(badge) = state(r, view) { (badge) }
            div.sub { code { (view.variable) } @if !view.spec.description.is_empty() { " · " (view.spec.description) } }
        },
        scope(r, &view.spec),
        html! {
            (widget::ago_or_dash(r, view.status.set))
            @if let Some(version) = view.status.version { div.sub { (r.t("version ", "버전 ")) (version) } }
        },
        html! {
            (widget::ago_or_dash(r, view.last_use()))
            @if let Some(used) = view.uses.first() { div.sub { (used.whom) } }
        },
    ]
}

/// Whom it is for, in few words.
pub(super) fn scope(r: &Reader, spec: &Secret) -> Markup {
    html! {
        div.row {
            @if spec.environments.is_empty() { span.tag { (r.t("all environments", "모든 환경")) } }
            @for environment in &spec.environments { span.tag { (environment) } }
            @if spec.protected { span.tag { (r.t("protected branches", "보호 브랜치")) } }
            @if spec.file { span.tag { (r.t("file", "파일")) } }
            @if !spec.jobs { span.tag { (r.t("services only", "서비스만")) } }
        }
    }
}

fn form(r: &Reader, project: &Name) -> Markup {
    html! {
        form.fields.part-in method="post" action=(format!("/projects/{project}/secrets")) autocomplete="off" {
            label for="name" { (r.t("Name", "이름")) }
            input #name type="text" name="name" placeholder="DATABASE_PASSWORD" required maxlength="128" spellcheck="false";
            (value_field(r))
            (scope_fields(r, &Secret::default()))
            div { button.button.main { (r.t("Seal it", "봉인")) } }
        }
    }
}

//! Starting a pipeline by hand.

use crate::gitlab::Origin;
use crate::{ByHand, Pipelines};
use kernel::{Error, Name, Result, Text};
use maud::{Markup, html};
use naru_http::{Call, Response, found};
use std::collections::BTreeMap;
use web::widget;
use web::{Page, Reader};

const REPOSITORIES: usize = 200;

pub(super) async fn show(call: Call) -> Result<Response> {
    let project = call.project()?;
    let whose = project.clone();
    let read =
        move |v: &store::View<'_>| v.resources("Repository", Some(&whose), None, REPOSITORIES);
    let all = call.site.store.read(read).await?;
    let branch =
        all.first().and_then(|r| r.spec.get("default_branch")?.as_str().map(str::to_owned));
    let names: Vec<Name> = all.into_iter().map(|r| r.key.name).collect();
    let r = Reader::of(&call);
    let page = Page::of(&project, "runs", r.t("Run a pipeline", "파이프라인 실행"))
        .bare()
        .crumb(project.as_str(), format!("/projects/{project}"))
        .crumb(r.t("Runs", "실행"), format!("/projects/{project}/runs"));
    let branch = branch.as_deref().unwrap_or("main");
    Ok(web::page(&call, &page, draw(&r, &project, &names, branch)))
}

pub(super) fn draw(r: &Reader, project: &Name, repositories: &[Name], branch: &str) -> Markup {
    let title = html! { (r.t("Run a pipeline", "파이프라인 실행")) };
    let about = html! { (r.t(
        "On the newest commit of a branch or tag, as a push would",
        "브랜치나 태그의 최신 커밋에서, 푸시했을 때와 같이 실행합니다",
    )) };
    let body = match repositories {
        [] => widget::empty(
            r,
            r.t("No repository yet", "아직 저장소가 없습니다"),
            r.t("Push one first", "먼저 푸시하세요"),
            &["git push naru main"],
        ),
        all => form(r, project, all, branch),
    };
    html! {
        (widget::heading(title, html! {}, about, html! {}))
        (widget::section("new", "", html! {}, body))
    }
}

fn form(r: &Reader, project: &Name, repositories: &[Name], branch: &str) -> Markup {
    html! {
        form.fields.part-in method="post" action=(format!("/projects/{project}/pipelines/new")) {
            label for="repository" { (r.t("Repository", "저장소")) }
            select #repository name="repository" {
                @for name in repositories { option value=(name) { (name) } }
            }
            label for="ref" { (r.t("Branch or tag", "브랜치나 태그")) }
            input #ref type="text" name="ref" value=(branch) required;
            label for="variables" { (r.t("Variables, one NAME=value a line", "변수, 한 줄에 NAME=값 하나")) }
            textarea #variables name="variables" rows="4" spellcheck="false" {}
            label for="inputs" { (r.t("Inputs, one name=value a line", "입력, 한 줄에 이름=값 하나")) }
            textarea #inputs name="inputs" rows="3" spellcheck="false" {}
            div { button.button.main { (web::icon::play()) (r.t("Run", "실행")) } }
        }
    }
}

pub(super) async fn start(mut call: Call) -> Result<Response> {
    let form = call.form().await?;
    let field = |name: &str| form.get(name).map_or("", |v| v.trim());
    let ask = ByHand {
        repository: Name::parse(field("repository"))?,
        refname: field("ref").to_owned(),
        variables: variables(field("variables"))?,
        inputs: variables(field("inputs"))?.into_iter().map(|(n, v)| (n, v.into())).collect(),
    };
    let project = call.project()?;
    let run =
        call.part::<Pipelines>()?.run_from(&project, ask, call.who.clone(), Origin::Web).await?;
    found(&format!("/projects/{project}/runs/{run}"))
}

/// `NAME=value`, a line each.
pub(super) fn variables(words: &str) -> Result<BTreeMap<String, String>> {
    let lines = words.lines().map(str::trim).filter(|l| !l.is_empty());
    let pair = |line: &str| {
        let (name, value) = line.split_once('=').ok_or_else(|| {
            Error::invalid(
                "variable.invalid",
                Text::fixed("a variable is written NAME=value", "변수는 NAME=값으로 씁니다"),
            )
        })?;
        Ok((name.trim().to_owned(), value.to_owned()))
    };
    lines.map(pair).collect()
}

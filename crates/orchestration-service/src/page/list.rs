//! The services of a project.

use super::{badge, host, instance_state};
use crate::{ServiceView, Services};
use kernel::{Name, Result};
use maud::{Markup, html};
use naru_http::{Call, Response};
use web::widget::{self, State, Table};
use web::{Page, Reader};

/// The shortest service there is, to copy.
const SHORTEST: &str = "kind: Service
name: web
spec:
  command: python3 app.py   # must listen on $PORT
  replicas: 2
  health: /healthz
";

pub(super) async fn show(call: Call) -> Result<Response> {
    let project = call.project()?;
    let services = call.part::<Services>()?.list(&project).await?;
    let r = Reader::of(&call);
    let page = Page::of(&project, "services", r.t("Services", "서비스"))
        .bare()
        .crumb(project.as_str(), format!("/projects/{project}"));
    Ok(web::page(&call, &page, draw(&r, &project, &services)))
}

pub(super) fn draw(r: &Reader, project: &Name, services: &[ServiceView]) -> Markup {
    html! {
        (widget::heading(html! { (r.t("Services", "서비스")) }, html! {}, html! {}, html! {}))
        @if services.is_empty() {
            (widget::section("none", "", html! {}, html! {
                (widget::empty(
                    r,
                    r.t("Nothing serves yet", "아직 운영되는 서비스가 없습니다"),
                    r.t(
                        "Add naru.yaml to the repository and push: this is enough. A Procfile will do, too",
                        "저장소에 naru.yaml을 더하고 푸시하세요. 이것으로 충분하고, Procfile도 됩니다",
                    ),
                    &[],
                ))
                (widget::code_block(SHORTEST))
            }))
        } @else {
            div.cards #services data-part {
                @for s in services.iter().filter(|s| s.environment.is_none()) { (card(r, project, s)) }
            }
        }
        (copies(r, project, services))
    }
}

/// The copies that environments have, each with its environment: apart from what serves production.
fn copies(r: &Reader, project: &Name, services: &[ServiceView]) -> Markup {
    let copy = |s: &ServiceView| {
        let environment = s.environment.clone()?;
        let url = s.url.as_ref().map(|url| html! { a href=(url) { (host(url)) } });
        let cells = vec![
            html! { a.title-link href=(format!("/projects/{project}/services/{}", s.name)) { (s.name) } },
            badge(r, s.status.condition),
            html! { a href=(format!("/projects/{project}/environments/{environment}")) { (environment) } },
            html! { span.num { (s.status.instances) } },
            url.unwrap_or_default(),
        ];
        Some((None, cells))
    };
    let rows: Vec<_> = services.iter().filter_map(copy).collect();
    if rows.is_empty() {
        return html! {};
    }
    let heads = vec![
        ("grow", r.t("Copy", "복사본").to_owned()),
        ("", r.t("Condition", "상태").to_owned()),
        ("", r.t("Environment", "환경").to_owned()),
        ("num", r.t("Instances", "인스턴스").to_owned()),
        ("wide", r.t("Address", "주소").to_owned()),
    ];
    let title = r.t("Copies in environments", "환경에 있는 복사본");
    widget::section("copies", title, html! {}, widget::table(&Table { heads, rows }))
}

fn card(r: &Reader, project: &Name, s: &ServiceView) -> Markup {
    let address = format!("/projects/{project}/services/{}", s.name);
    let status = &s.status;
    let now = s.releases.iter().find(|x| x.current);
    let states: Vec<State> = s.instances.iter().map(|i| instance_state(i.state)).collect();
    html! {
        article.card data-row=(address) {
            div.card-top {
                a.card-title href=(address) { (s.name) }
                (badge(r, status.condition))
            }
            @if let Some(url) = &s.url { p { a href=(url) { (host(url)) } } }
            @else { p.soft { (r.t("does not listen", "포트를 열지 않음")) } }
            div.row {
                (widget::strip(r, &states))
                span.num { (status.instances) } span.soft { (r.t("instances ready", "인스턴스 준비")) }
            }
            @if let Some(release) = now {
                div.sub {
                    strong { (release.name) }
                    (widget::commit(&release.commit, Some(&format!(
                        "/projects/{project}/code/{}/commit/{}", release.repository, release.commit
                    ))))
                    (widget::ago(r, release.made))
                }
            }
            @if let Some(message) = &status.message { p.worry title=(message.get(r.lang)) { (message.get(r.lang)) } }
        }
    }
}

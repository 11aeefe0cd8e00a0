//! The environments of a project, and its web sites.

use super::{badge, host, tier};
use crate::kind::EnvironmentState;
use crate::view::{EditionView, SiteView};
use crate::{EnvironmentView, Environments};
use kernel::{Name, Result};
use maud::{Markup, html};
use naru_http::{Call, Response};
use web::widget::{self, Table, Tone};
use web::{Page, Reader};

/// The shortest job that opens one, to copy.
const SHORTEST: &str = "review:
  script: ./test
  environment:
    name: review/$CI_COMMIT_REF_SLUG
    on_stop: stop review
    auto_stop_in: 2 days

stop review:
  script: echo bye
  when: manual
  environment:
    name: review/$CI_COMMIT_REF_SLUG
    action: stop
";

/// Stopped ones that are shown.
const STOPPED: usize = 50;

pub(super) async fn show(call: Call) -> Result<Response> {
    let project = call.project()?;
    let part = call.part::<Environments>()?;
    let (all, sites) = (part.list(&project).await?, part.sites(&project).await?);
    let r = Reader::of(&call);
    let page = Page::of(&project, "environments", r.t("Environments", "환경"))
        .bare()
        .crumb(project.as_str(), format!("/projects/{project}"));
    Ok(web::page(&call, &page, draw(&r, &project, &all, &sites)))
}

pub(super) fn draw(
    r: &Reader,
    project: &Name,
    all: &[EnvironmentView],
    sites: &[SiteView],
) -> Markup {
    let over = |e: &&EnvironmentView| e.state == EnvironmentState::Stopped;
    let open: Vec<&EnvironmentView> = all.iter().filter(|e| !over(e)).collect();
    let stopped: Vec<&EnvironmentView> = all.iter().filter(over).take(STOPPED).collect();
    html! {
        (widget::heading(html! { (r.t("Environments", "환경")) }, html! {}, html! {}, html! {
            (widget::link_button(&format!("/projects/{project}/secrets"), r.t("Secrets", "비밀 값"), Tone::Plain))
        }))
        @if open.is_empty() {
            (widget::section("none", "", html! {}, html! {
                (widget::empty(
                    r,
                    r.t("No environment is open", "열린 환경이 없습니다"),
                    r.t(
                        "A job with `environment:` opens one: the branch's services run there as copies of their own, with a URL",
                        "`environment:`가 있는 작업이 엽니다. 브랜치의 서비스가 복사본으로 그곳에서 실행되고 URL이 생깁니다",
                    ),
                    &[],
                ))
                (widget::code_block(SHORTEST))
            }))
        } @else {
            div.cards #environments data-part { @for e in open { (card(r, project, e)) } }
        }
        @if !sites.is_empty() {
            (widget::section("sites", r.t("Web sites", "웹 사이트"), html! {}, published(r, project, sites)))
        }
        @if !stopped.is_empty() {
            (widget::section("stopped", r.t("Stopped", "정지됨"), html! {}, gone(r, &stopped)))
        }
    }
}

fn address(e: &EnvironmentView) -> String {
    format!("/projects/{}/environments/{}", e.project, e.name)
}

fn card(r: &Reader, project: &Name, e: &EnvironmentView) -> Markup {
    let here = address(e);
    html! {
        article.card data-row=(here) {
            div.card-top {
                a.card-title href=(here) title=(e.title) { (e.title) }
                (badge(r, e.state, e.deployment.as_ref().map(|d| d.progress)))
            }
            @match &e.url {
                Some(url) => p { a href=(url) { (host(url)) } },
                None => p.soft { (r.t("no address", "주소 없음")) },
            }
            @if let Some(d) = &e.deployment {
                div.sub {
                    (widget::commit(&d.commit, Some(&format!(
                        "/projects/{project}/code/{}/commit/{}", e.repository, d.commit
                    ))))
                    @if let Some(subject) = &d.subject { span { (subject) } }
                    (widget::ago(r, d.at))
                }
            }
            div.row {
                span.tag { (tier(r, e.tier)) }
                a.tag href=(format!("/projects/{project}/code/{}", e.repository)) { (web::icon::branch()) (e.repository) }
                @if let Some(at) = e.stops_at { span.soft { (r.t("stops ", "정지 ")) (widget::ago(r, at)) } }
                @if e.copies && e.state == EnvironmentState::Available {
                    (widget::post(&format!("{here}/stop"), &[], html! { (r.t("Stop", "정지")) }, Tone::Plain))
                }
            }
            @if let Some(why) = trouble(e) { p.worry title=(why.get(r.lang)) { (why.get(r.lang)) } }
        }
    }
}

/// What somebody should look at.
fn trouble(e: &EnvironmentView) -> Option<&kernel::Text> {
    let failed = e.state == EnvironmentState::Failed;
    let deployment = e.deployment.as_ref().filter(|d| d.progress == crate::Progress::Failed);
    e.reason.as_ref().filter(|_| failed).or_else(|| deployment.and_then(|d| d.reason.as_ref()))
}

fn gone(r: &Reader, stopped: &[&EnvironmentView]) -> Markup {
    let heads = vec![
        ("grow", r.t("Environment", "환경").to_owned()),
        ("wide", r.t("Repository", "저장소").to_owned()),
        ("wide", r.t("Why", "이유").to_owned()),
        ("", r.t("Deployed", "배포").to_owned()),
    ];
    let row = |e: &&EnvironmentView| {
        let here = address(e);
        let cells = vec![
            html! { a href=(here) { (e.title) } },
            html! { (e.repository) },
            html! { @if let Some(why) = &e.reason { span.soft { (why.get(r.lang)) } } },
            widget::ago_or_dash(r, e.deployment.as_ref().map(|d| d.at)),
        ];
        (Some(here), cells)
    };
    widget::table(&Table { heads, rows: stopped.iter().map(row).collect() })
}

fn published(r: &Reader, project: &Name, sites: &[SiteView]) -> Markup {
    let heads = vec![
        ("grow", r.t("Address", "주소").to_owned()),
        ("", r.t("Commit", "커밋").to_owned()),
        ("wide", r.t("Published", "게시").to_owned()),
        ("wide", r.t("Expires", "만료").to_owned()),
    ];
    let row = |site: &SiteView, e: &EditionView| {
        let code = format!("/projects/{project}/code/{}/commit/{}", site.repository, e.commit);
        let cells = vec![
            html! {
                @match &e.url {
                    Some(url) => a href=(url) { (host(url)) },
                    None => span { (site.repository) "/" (e.prefix) },
                }
                @if let Some(why) = &site.reason { div.sub.reason { (why.get(r.lang)) } }
            },
            widget::commit(&e.commit, Some(&code)),
            html! { a href=(format!("/projects/{project}/runs/{}", e.run)) { (widget::ago(r, e.published)) } },
            widget::ago_or_dash(r, e.expires),
        ];
        (None, cells)
    };
    let rows = sites.iter().flat_map(|s| s.editions.iter().map(move |e| row(s, e))).collect();
    widget::table(&Table { heads, rows })
}

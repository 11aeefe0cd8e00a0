//! A project's front page: its changes crossing, what serves, and how the team does.

use super::crossing::{self, Serving};
use crate::Insight;
use crate::dora::Metrics;
use crate::record::Change;
use crate::trace::trace;
use kernel::journey::Outcome;
use kernel::{Lang, Name, Resource, Result};
use maud::{Markup, html};
use naru_http::{Call, Response};
use std::time::Duration;
use web::widget::{self, State};
use web::{Page, Reader};

/// Changes of one page.
const SHOWN: usize = 25;
/// Services of a project, as far as the front page lists them.
const SERVICES: usize = 50;
const DAYS: u32 = 30;

/// All that the page shows.
pub(super) struct Home {
    pub project: Name,
    /// This server, as the reader reached it.
    pub url: String,
    pub changes: Vec<Change>,
    /// Where the next page of changes begins.
    pub older: Option<String>,
    pub first: bool,
    pub services: Vec<Resource>,
    pub repositories: Vec<Name>,
    pub metrics: Vec<Metrics>,
}

pub(super) async fn show(call: Call) -> Result<Response> {
    let project = call.project()?;
    let insight = call.part::<Insight>()?;
    let before = call.query("before").filter(|b| !b.is_empty());
    let first = before.is_none();
    let changes = insight.changes(&project, before, SHOWN).await?;
    let older = changes.last().filter(|_| changes.len() == SHOWN).map(|(key, _)| key.clone());
    let whose = project.clone();
    let (services, repositories) = call
        .site
        .store
        .read(move |v| {
            let services = v.resources("Service", Some(&whose), None, SERVICES)?;
            let repositories = v.resources("Repository", Some(&whose), None, SERVICES)?;
            Ok((services, repositories))
        })
        .await?;
    let home = Home {
        url: format!("http://{}", call.header("host").unwrap_or("127.0.0.1:8080")),
        changes: changes.into_iter().map(|(_, c)| c).collect(),
        older,
        first,
        services,
        repositories: repositories.into_iter().map(|r| r.key.name).collect(),
        metrics: insight.metrics(&project, DAYS).await?,
        project,
    };
    let page = Page::of(&home.project, "changes", home.project.as_str()).bare();
    Ok(web::page(&call, &page, draw(&Reader::of(&call), &home)))
}

pub(super) fn draw(r: &Reader, home: &Home) -> Markup {
    let project = &home.project;
    let remotes = html! {
        @for repository in &home.repositories {
            a.tag href=(format!("/projects/{project}/code/{repository}")) {
                (web::icon::branch()) (repository)
            }
        }
    };
    html! {
        (widget::heading(html! { (project) }, html! {}, remotes, html! {}))
        @if home.first && !home.changes.is_empty() { (strip(r, home)) }
        @if home.first && !home.services.is_empty() { (services(r, home)) }
        (widget::section("changes", r.t("Changes", "변경"), html! {}, changes(r, home)))
        @if let Some(older) = &home.older {
            p { a.button href=(format!("/projects/{project}?before={}", web::segment(older))) {
                (r.t("Older changes", "이전 변경"))
            } }
        }
    }
}

fn changes(r: &Reader, home: &Home) -> Markup {
    if home.changes.is_empty() {
        let url = &home.url;
        let project = &home.project;
        let name = home.repositories.first().map_or("web", Name::as_str);
        return widget::empty(
            r,
            r.t("Nothing has set out yet", "아직 출발한 변경이 없습니다"),
            r.t(
                "Push a commit: it is built, tested, released and served, and its way is drawn here as it goes",
                "커밋을 푸시하면 빌드, 테스트, 릴리스를 거쳐 운영되고, 그 길이 여기에 실시간으로 그려집니다",
            ),
            &[
                &format!("git remote add naru {url}/{project}/{name}.git"),
                "git push naru main",
            ],
        );
    }
    let serving = Serving::of(&home.services);
    let rows = home.changes.iter().map(|change| row(r, change, &serving)).collect();
    widget::river_list(widget::lane_heads(r, &crossing::stops(r)), rows)
}

fn row(r: &Reader, change: &Change, serving: &Serving) -> (String, Markup, Markup, Markup) {
    let address = crossing::address(change);
    let left = html! {
        a.title-link href=(address) title=(change.commit.subject) { (change.commit.subject) }
        div.sub { (crossing::byline(r, change)) }
    };
    let right = html! {
        div.row {
            (crossing::badge(r, change, serving))
            @if change.finished.is_some() {
                span.num { (took(r, change)) }
            } @else if change.rides.is_none() {
                (widget::duration(r, Some(change.received), None))
            }
        }
        (landing(r, change))
    };
    (address, left, widget::lane(r, &crossing::lane(r, change)), right)
}

fn took(r: &Reader, change: &Change) -> String {
    let ms = trace(change, r.now).total_ms;
    widget::duration_words(r.lang, Duration::from_millis(ms))
}

/// Where it serves, why it does not, or with what it travels.
fn landing(r: &Reader, change: &Change) -> Markup {
    if let Some(rides) = &change.rides {
        let with = format!("/projects/{}/changes/{rides}", change.project);
        return html! { span.soft { (r.t("with ", "")) a href=(with) { (rides) } (r.t("", "와 함께")) } };
    }
    if let Some(reason) = &change.reason {
        let words = reason.get(r.lang);
        let class = if change.outcome == Some(Outcome::Failed) { "reason" } else { "soft" };
        return html! { span.(class) title=(words) { (words) } };
    }
    match &change.url {
        Some(url) => html! { a href=(url) { (host(url)) } },
        None => html! {},
    }
}

pub(super) fn host(url: &str) -> &str {
    url.split_once("://").map_or(url, |(_, rest)| rest).trim_end_matches('/')
}

/// The key metrics of the service with the most deployments, each leading to all of them.
fn strip(r: &Reader, home: &Home) -> Markup {
    let Some(m) = home.metrics.iter().max_by_key(|m| m.deployments) else { return html! {} };
    let address = format!("/projects/{}/metrics", home.project);
    let time = |ms: Option<i64>| super::metrics::time(r, ms);
    let lead = format!("p90 {} · {}", time(m.lead_time_from_push.p90_ms), m.service);
    let rate = super::metrics::rate(r, m.deployments_per_day);
    let rate = format!("{rate} · {DAYS}{}", r.t(" d", "일"));
    let failed = format!("{} / {}", m.failed, m.deployments);
    let back = match (r.lang, m.rollbacks) {
        (Lang::En, 1) => "1 rollback".to_owned(),
        (Lang::En, n) => format!("{n} rollbacks"),
        (Lang::Ko, n) => format!("되돌림 {n}회"),
    };
    let rework = format!("{} / {}", m.rework, m.deployments);
    let items = [
        (
            r.t("Push to production", "푸시에서 운영까지"),
            time(m.lead_time_from_push.median_ms),
            lead,
        ),
        (r.t("Deployments", "배포"), m.deployments.to_string(), rate),
        (
            r.t("Change fail rate", "변경 실패율"),
            super::metrics::share(m.change_fail_rate, m.deployments),
            failed,
        ),
        (r.t("Recovery", "복구 시간"), time(m.recovery_time.median_ms), back),
        (
            r.t("Rework rate", "재작업률"),
            super::metrics::share(m.rework_rate, m.deployments),
            rework,
        ),
    ];
    html! {
        div.stats #strip data-part {
            @for (name, value, about) in items {
                a.stat href=(address) {
                    span.stat-name { (name) } span.stat-value { (value) } span.stat-about { (about) }
                }
            }
        }
    }
}

fn services(r: &Reader, home: &Home) -> Markup {
    widget::section(
        "services",
        "",
        html! {},
        html! {
            div { @for service in home.services.iter().filter(|s| !is_copy(s)) { (service_line(r, service)) } }
        },
    )
}

/// Of an environment: no part of what serves production.
fn is_copy(service: &Resource) -> bool {
    service.status.get("environment").is_some_and(|e| !e.is_null())
}

/// A service by its status alone: what it means is known where services live.
fn service_line(r: &Reader, service: &Resource) -> Markup {
    let field = |name: &str| service.status.pointer(name).and_then(|v| v.as_str());
    let condition = field("/condition").unwrap_or("empty");
    let (state, en, ko) = match condition {
        "healthy" => (State::Live, "healthy", "정상"),
        "rolling" => (State::Running, "rolling out", "롤아웃 중"),
        "degraded" => (State::Warned, "degraded", "일부 비정상"),
        "down" => (State::Failed, "down", "중단됨"),
        "idle" => (State::Skipped, "scaled to zero", "인스턴스 0개"),
        _ => (State::Idle, "nothing released yet", "릴리스 없음"),
    };
    let name = &service.key.name;
    let project = service.key.project.as_ref().map_or("", |p| p.as_str());
    html! {
        div.service-line {
            (widget::pip(r, state))
            a.title-link href=(format!("/projects/{project}/services/{name}")) { (name) }
            span.grow { @if let Some(url) = field("/url") { a href=(url) { (host(url)) } } }
            @if let Some(release) = field("/release") { span.soft { (release) } }
            @if let Some(instances) = field("/instances") { span.num { (instances) } }
            (widget::badge(r, state, Some(r.t(en, ko))))
        }
    }
}

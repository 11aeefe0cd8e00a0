//! One environment: its services, what was deployed there, and how it ends.

use super::{badge, host, progress_badge, tier};
use crate::kind::{Deployment, EnvironmentState, Progress};
use crate::view::ServiceAt;
use crate::{EnvironmentView, Environments};
use kernel::Result;
use maud::{Markup, html};
use naru_http::{Call, Response};
use web::widget::{self, State, Table, Tone};
use web::{Page, Reader};

pub(super) async fn show(call: Call) -> Result<Response> {
    let (project, name) = (call.project()?, call.name("environment")?);
    let view = call.part::<Environments>()?.show(&project, &name).await?;
    let r = Reader::of(&call);
    let page = Page::of(&project, "environments", view.title.clone())
        .bare()
        .crumb(project.as_str(), format!("/projects/{project}"))
        .crumb(r.t("Environments", "환경"), format!("/projects/{project}/environments"));
    Ok(web::page(&call, &page, draw(&r, &view)))
}

fn address(e: &EnvironmentView) -> String {
    format!("/projects/{}/environments/{}", e.project, e.name)
}

pub(super) fn draw(r: &Reader, e: &EnvironmentView) -> Markup {
    html! {
        div #top.stack data-part {
            (widget::heading(
                html! { (e.title) },
                badge(r, e.state, e.deployment.as_ref().map(|d| d.progress)),
                about(r, e),
                actions(r, e),
            ))
            (messages(r, e))
        }
        (widget::section("services", r.t("Services", "서비스"), html! {}, services(r, e)))
        (widget::section("deployments", r.t("Deployments", "배포 이력"), html! {}, deployments(r, e)))
    }
}

fn about(r: &Reader, e: &EnvironmentView) -> Markup {
    html! {
        @if let Some(url) = &e.url { span { (web::icon::link()) a href=(url) { (host(url)) } } }
        span.tag { (tier(r, e.tier)) }
        a.tag href=(format!("/projects/{}/code/{}", e.project, e.repository)) { (web::icon::branch()) (e.repository) }
        @if let Some(at) = e.stops_at { span { (r.t("stops ", "정지 ")) (widget::ago(r, at)) } }
        @else if e.copies && e.state == EnvironmentState::Available {
            span.soft { (r.t("does not stop by itself", "저절로 정지하지 않음")) }
        }
        @if let Some(used) = e.used { span.soft { (r.t("used ", "사용 ")) (widget::ago(r, used)) } }
    }
}

fn actions(r: &Reader, e: &EnvironmentView) -> Markup {
    let here = address(e);
    let button = |to: &str, words: &str, tone| {
        widget::post(&format!("{here}/{to}"), &[], html! { (words) }, tone)
    };
    if !e.copies {
        return html! {};
    }
    html! {
        @match e.state {
            EnvironmentState::Available => {
                (longer(r, e))
                (button("stop", r.t("Stop", "정지"), Tone::Danger))
            }
            EnvironmentState::Stopping => {
                (button("force", r.t("Stop without its job", "작업 없이 정지"), Tone::Danger))
            }
            EnvironmentState::Failed => {
                (button("stop", r.t("Try again", "다시 시도"), Tone::Plain))
                (button("force", r.t("Stop without its job", "작업 없이 정지"), Tone::Danger))
            }
            EnvironmentState::Stopped => (button("forget", r.t("Forget", "지우기"), Tone::Plain)),
        }
    }
}

/// How much longer it is to live.
fn longer(r: &Reader, e: &EnvironmentView) -> Markup {
    let lengths = [
        ("2h", r.t("2 hours", "2시간")),
        ("1d", r.t("a day", "하루")),
        ("7d", r.t("a week", "일주일")),
        ("never", r.t("for ever", "계속")),
    ];
    html! {
        form.filter method="post" action=(format!("{}/extend", address(e))) {
            label for="by" { (r.t("Keep for", "유지")) }
            select #by name="by" {
                @for (value, words) in lengths { option value=(value) { (words) } }
            }
            button.button { (r.t("Keep", "늘리기")) }
        }
    }
}

fn messages(r: &Reader, e: &EnvironmentView) -> Markup {
    let run = |run: &str| format!("/projects/{}/runs/{run}", e.project);
    html! {
        @match (e.state, &e.reason) {
            (EnvironmentState::Failed, Some(why)) => {
                (widget::flash(State::Failed, why.get(r.lang), Some(r.t(
                    "its services run on until it is stopped again or without its job",
                    "다시 정지하거나 작업 없이 정지할 때까지 서비스는 계속 실행됩니다",
                ))))
            }
            (EnvironmentState::Stopped | EnvironmentState::Stopping, Some(why)) => {
                (widget::flash(State::Skipped, why.get(r.lang), None))
            }
            _ => {}
        }
        @if let Some(stopping) = &e.stopping {
            p { a href=(run(&stopping.run)) { (r.t("Its stop job: ", "정지 작업: ")) (stopping.step) } }
        }
        @if let Some(d) = e.deployment.as_ref().filter(|d| d.progress == Progress::Failed) {
            @if let Some(why) = &d.reason { (widget::flash(State::Failed, why.get(r.lang), None)) }
        }
    }
}

fn services(r: &Reader, e: &EnvironmentView) -> Markup {
    if e.services.is_empty() {
        let words = match e.state {
            EnvironmentState::Stopped => {
                r.t("they went with the environment", "환경과 함께 정리되었습니다")
            }
            _ => r.t("the commit has no service", "커밋에 서비스가 없습니다"),
        };
        return html! { p.plot-none { (words) } };
    }
    let heads = vec![
        ("", r.t("State", "상태").to_owned()),
        ("grow", r.t("Service", "서비스").to_owned()),
        ("num", r.t("Instances", "인스턴스").to_owned()),
        ("wide", r.t("Address", "주소").to_owned()),
    ];
    let row = |s: &ServiceAt| {
        let page = format!("/projects/{}/services/{}", e.project, s.service);
        let cells = vec![
            condition(r, s),
            html! {
                a href=(page) { (s.name) } " "
                @if s.name != s.service { span.soft { (s.service) } }
                @if let Some(why) = &s.reason { div.sub.reason { (why.get(r.lang)) } }
            },
            html! { @if let Some(n) = &s.instances { (n) } },
            html! { @if let Some(url) = &s.url { a href=(url) { (host(url)) } } },
        ];
        (Some(page), cells)
    };
    widget::table(&Table { heads, rows: e.services.iter().map(row).collect() })
}

/// How its owner says that it is, once it has been brought in.
fn condition(r: &Reader, s: &ServiceAt) -> Markup {
    let down = ["degraded", "down"];
    match s.condition.as_deref().filter(|c| s.progress == Progress::Live && down.contains(c)) {
        Some("down") => widget::badge(r, State::Failed, Some(r.t("down", "중단됨"))),
        Some(_) => widget::badge(r, State::Warned, Some(r.t("degraded", "일부 비정상"))),
        None => progress_badge(r, s.progress),
    }
}

fn deployments(r: &Reader, e: &EnvironmentView) -> Markup {
    let heads = vec![
        ("", r.t("State", "상태").to_owned()),
        ("grow", r.t("Commit", "커밋").to_owned()),
        ("wide", r.t("Branch", "브랜치").to_owned()),
        ("wide", r.t("Job", "작업").to_owned()),
        ("wide", r.t("By", "누가").to_owned()),
        ("", r.t("When", "언제").to_owned()),
    ];
    let row = |d: &Deployment| {
        let code = format!("/projects/{}/code/{}/commit/{}", e.project, e.repository, d.commit);
        let cells = vec![
            progress_badge(r, d.progress),
            html! {
                (widget::commit(&d.commit, Some(&code))) " "
                @match (&d.change, &d.subject) {
                    (Some(change), Some(subject)) => {
                        a href=(format!("/projects/{}/changes/{change}", e.project)) { (subject) }
                    }
                    (Some(change), None) => {
                        a href=(format!("/projects/{}/changes/{change}", e.project)) { (change) }
                    }
                    (None, subject) => (subject.as_deref().unwrap_or_default()),
                }
                @if let Some(why) = &d.reason { div.sub.reason { (why.get(r.lang)) } }
            },
            html! { (d.branch()) },
            html! { a href=(format!("/projects/{}/runs/{}", e.project, d.run)) { (d.step) } },
            html! { (d.by) },
            widget::ago(r, d.at),
        ];
        (None, cells)
    };
    let rows = e.deployment.iter().chain(&e.history).map(row).collect();
    widget::table(&Table { heads, rows })
}

//! One service: what serves, its instances, its releases, its logs.

use super::{badge, host, instance_state};
use crate::kind::Service;
use crate::log::LogLine;
use crate::view::{InstanceView, ReleaseView};
use crate::{ServiceKey, ServiceView, Services};
use kernel::Result;
use kernel::log::Line;
use maud::{Markup, html};
use naru_http::{Call, Response};
use web::widget::{self, Log, State, Table, Tone};
use web::{Page, Reader};

/// Lines of the logs on the page.
const TAIL: usize = 200;

pub(super) async fn show(call: Call) -> Result<Response> {
    let (project, name) = (call.project()?, call.name("service")?);
    let services = call.part::<Services>()?;
    let view = services.show(&project, &name).await?;
    let lines = services.log_tail(&ServiceKey::new(&project, &name), None, TAIL).await?;
    let r = Reader::of(&call);
    let page = Page::of(&project, "services", name.as_str())
        .bare()
        .crumb(project.as_str(), format!("/projects/{project}"))
        .crumb(r.t("Services", "서비스"), format!("/projects/{project}/services"));
    Ok(web::page(&call, &page, draw(&r, &view, &lines)))
}

fn address(s: &ServiceView) -> String {
    format!("/projects/{}/services/{}", s.project, s.name)
}

pub(super) fn draw(r: &Reader, s: &ServiceView, lines: &[LogLine]) -> Markup {
    let status = &s.status;
    html! {
        div #top.stack data-part {
            (widget::heading(
                html! { (s.name) },
                badge(r, status.condition),
                about(r, s),
                actions(r, s),
            ))
            @if let Some(message) = &status.message {
                (widget::flash(State::Warned, message.get(r.lang), None))
            }
            (rolling(r, s))
        }
        (widget::section(
            "instances",
            r.t("Instances", "인스턴스"),
            html! { span.num.soft { (status.instances) } (scale(r, s)) },
            instances(r, s),
        ))
        (widget::section("releases", r.t("Releases", "릴리스"), html! {}, releases(r, s)))
        (widget::section("log", r.t("Logs", "로그"), html! {}, written(r, s, lines)))
        (widget::section("spec", r.t("Configuration", "설정"), html! {}, configuration(r, &s.spec)))
    }
}

fn about(r: &Reader, s: &ServiceView) -> Markup {
    html! {
        @if let Some(url) = &s.url { span { (web::icon::link()) a href=(url) { (host(url)) } } }
        @for host in &s.spec.hosts { span { (host) } }
        @if let Some(environment) = &s.environment {
            a.tag href=(format!("/projects/{}/environments/{environment}", s.project)) {
                (r.t("copy of the environment ", "환경의 복사본: ")) (environment)
            }
        }
        @if let Some(repository) = &s.repository {
            a.tag href=(format!("/projects/{}/code/{repository}", s.project)) { (web::icon::branch()) (repository) }
        }
        @if let Some(release) = &s.status.release { span { (r.t("serves ", "운영: ")) strong { (release) } } }
    }
}

fn actions(r: &Reader, s: &ServiceView) -> Markup {
    let here = address(s);
    let previous = s.releases.iter().find(|x| x.previous && !x.current);
    html! {
        @if let Some(previous) = previous.filter(|_| s.status.rolling.is_none()) {
            (widget::post(
                &format!("{here}/rollback"),
                &[("release", previous.name.as_str())],
                html! { (web::icon::back()) (r.t("Roll back to ", "되돌리기: ")) (previous.name) },
                Tone::Danger,
            ))
        }
        @if s.status.release.is_some() {
            (widget::action(&format!("{here}/restart"), r.t("Restart", "다시 시작"), web::icon::again(), Tone::Plain))
        }
    }
}

/// A rollout under way, and where to watch it.
fn rolling(r: &Reader, s: &ServiceView) -> Markup {
    let Some(release) = &s.status.rolling else { return html! {} };
    let words = match r.lang {
        kernel::Lang::En => format!("{release} is being rolled out"),
        kernel::Lang::Ko => format!("{release} 롤아웃 중"),
    };
    html! {
        (widget::flash(State::Running, &words, None))
        @if let Some(run) = &s.status.run {
            p { a href=(format!("/projects/{}/runs/{run}", s.project)) { (r.t("Watch the rollout", "롤아웃 보기")) } }
        }
    }
}

fn scale(r: &Reader, s: &ServiceView) -> Markup {
    html! {
        form.filter method="post" action=(format!("{}/scale", address(s))) {
            label for="replicas" { (r.t("wanted", "원하는 수")) }
            input #replicas type="number" name="replicas" min="0" max=(crate::MAX_REPLICAS) value=(s.spec.replicas);
            button.button { (r.t("Scale", "조정")) }
        }
    }
}

fn instances(r: &Reader, s: &ServiceView) -> Markup {
    if s.instances.is_empty() {
        return html! { p.plot-none { (r.t("none runs", "실행 중인 인스턴스가 없습니다")) } };
    }
    let heads = vec![
        ("", r.t("State", "상태").to_owned()),
        ("grow", r.t("Instance", "인스턴스").to_owned()),
        ("wide", r.t("Release", "릴리스").to_owned()),
        ("wide", r.t("Address", "주소").to_owned()),
        ("num wide", r.t("Restarts", "재시작").to_owned()),
        ("wide", r.t("Since", "상태 변화").to_owned()),
        ("num", r.t("Up", "실행 시간").to_owned()),
    ];
    let row = |i: &InstanceView| {
        let name = i.name.as_ref().map_or(i.id.as_str(), |n| n.as_str());
        let cells = vec![
            widget::badge(r, instance_state(i.state), Some(i.state.text().get(r.lang))),
            html! {
                span.mono { (name) }
                @if let Some(reason) = &i.reason { div.sub.reason { (reason.get(r.lang)) } }
            },
            html! { (i.release) },
            html! { @if let Some(address) = &i.address { span.mono.soft { (address) } } },
            html! { (i.restarts) },
            widget::ago(r, i.since),
            widget::duration(r, Some(i.started), None),
        ];
        (None, cells)
    };
    widget::table(&Table { heads, rows: s.instances.iter().map(row).collect() })
}

fn releases(r: &Reader, s: &ServiceView) -> Markup {
    if s.releases.is_empty() {
        return html! { p.plot-none { (r.t("none yet: a passed pipeline makes one", "아직 없습니다. 통과한 파이프라인이 만듭니다")) } };
    }
    let heads = vec![
        ("", r.t("Release", "릴리스").to_owned()),
        ("grow", r.t("Change", "변경").to_owned()),
        ("wide", r.t("Commit", "커밋").to_owned()),
        ("wide", r.t("Made", "만든 때").to_owned()),
        ("num", String::new()),
    ];
    let rows = s.releases.iter().map(|x| (None, release(r, s, x))).collect();
    widget::table(&Table { heads, rows })
}

fn release(r: &Reader, s: &ServiceView, x: &ReleaseView) -> Vec<Markup> {
    let project = &s.project;
    let code = format!("/projects/{project}/code/{}/commit/{}", x.repository, x.commit);
    // A newer one never served: nothing goes back with it.
    let newer = s.releases.iter().any(|c| c.current && c.number < x.number);
    let words =
        if newer { r.t("Roll out", "내보내기") } else { r.t("Roll back", "되돌리기") };
    let idle = !x.current && !x.rolling && s.status.rolling.is_none();
    vec![
        html! {
            strong { (x.name) } " "
            @if x.current { (widget::badge(r, State::Live, Some(r.t("serves", "운영 중")))) }
            @if x.rolling { (widget::badge(r, State::Running, Some(r.t("rolling out", "롤아웃 중")))) }
            @if x.previous && !x.current { span.tag { (r.t("before", "이전")) } }
        },
        html! {
            @if let Some(change) = &x.change { a href=(format!("/projects/{project}/changes/{change}")) { (change) } }
        },
        widget::commit(&x.commit, Some(&code)),
        widget::ago(r, x.made),
        html! {
            @if idle {
                (widget::post(
                    &format!("{}/rollback", address(s)),
                    &[("release", x.name.as_str())],
                    html! { (words) },
                    Tone::Plain,
                ))
            }
        },
    ]
}

fn written(r: &Reader, s: &ServiceView, lines: &[LogLine]) -> Markup {
    let who: Vec<String> = lines.iter().map(|l| l.instance.clone()).collect();
    let lines: Vec<Line> = lines.iter().map(|l| l.line.clone()).collect();
    let api = format!("/api/v1/projects/{}/services/{}/logs", s.project, s.name);
    let follow = format!("{api}?follow=true&tail={TAIL}");
    let trim = format!("{}.{}.", s.project, s.name);
    widget::log(
        r,
        &Log {
            id: "l",
            lines: &lines,
            who: &who,
            trim: Some(&trim),
            first: 1,
            follow: Some(&follow),
            raw: Some(&api),
            ..Log::default()
        },
    )
}

fn configuration(r: &Reader, spec: &Service) -> Markup {
    let words = |t: &str| html! { (t) };
    let health = match &spec.health {
        Some(health) => html! { code { (health.path) } },
        None if spec.listens => words(r.t("accepting a connection", "연결 수락")),
        None => words(r.t("staying up", "계속 실행")),
    };
    html! {
        (widget::facts(&[
            (r.t("Command", "명령"), html! { code { (spec.command) } }),
            (r.t("Health", "상태 확인"), health),
            (r.t("Replicas", "복제 수"), html! { (spec.replicas) }),
            (r.t("Stop", "중지"), html! { "SIG" (spec.stop.signal.trim_start_matches("SIG")) }),
        ]))
        @if !spec.env.is_empty() {
            // Only the names: a value may be a secret.
            p.part-in.row {
                span.faint { (r.t("Environment", "환경 변수")) }
                @for (name, value) in &spec.env {
                    @match value {
                        crate::Env::Secret(_) => code.tag { (name) " = " (r.t("a secret", "비밀 값")) },
                        crate::Env::Plain(_) => code.tag { (name) },
                    }
                }
            }
        }
    }
}

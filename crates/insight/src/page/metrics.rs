//! The five key metrics of each service, with their definitions and with what they are not for.

use super::plots;
use crate::Insight;
use crate::dora::{ENOUGH, Metrics, Spread};
use kernel::{Name, Result};
use maud::{Markup, html};
use naru_http::{Call, Response};
use std::time::Duration;
use web::widget;
use web::{Page, Reader};

/// Windows to choose from, in days.
const WINDOWS: [u32; 4] = [7, 30, 90, 365];

pub(super) async fn show(call: Call) -> Result<Response> {
    let project = call.project()?;
    let days = call.number("days")?.and_then(|d| u32::try_from(d).ok()).unwrap_or(30);
    let days = days.clamp(1, 3650);
    let metrics = call.part::<Insight>()?.metrics(&project, days).await?;
    let r = Reader::of(&call);
    let page = Page::of(&project, "metrics", r.t("Key metrics", "핵심 지표"))
        .bare()
        .follow(&format!("project={project}&kind=rollout.finished"))
        .crumb(project.as_str(), format!("/projects/{project}"));
    Ok(web::page(&call, &page, draw(&r, &project, days, &metrics)))
}

pub(super) fn draw(r: &Reader, project: &Name, days: u32, metrics: &[Metrics]) -> Markup {
    let windows = WINDOWS.map(|d| {
        let words = format!("{d} {}", r.t("days", "일"));
        (words, format!("/projects/{project}/metrics?days={d}"), d == days)
    });
    let windows: Vec<(&str, String, bool)> =
        windows.iter().map(|(w, a, open)| (w.as_str(), a.clone(), *open)).collect();
    html! {
        (widget::heading(
            html! { (r.t("Key metrics", "핵심 지표")) },
            html! {},
            html! { (r.t(
                "How fast changes reach production, and how well they do there",
                "변경이 얼마나 빨리 운영에 닿고, 얼마나 잘 운영되는지",
            )) },
            html! {},
        ))
        (widget::tabs(r.t("Window", "기간"), &windows))
        @if metrics.is_empty() {
            (widget::section("none", "", html! {}, widget::empty(
                r,
                r.t("Nothing was deployed yet", "아직 배포가 없습니다"),
                r.t("The first change that goes live starts the count; nobody has to tag anything",
                    "첫 변경이 운영되면 집계가 시작됩니다. 따로 표시할 것은 없습니다"),
                &["git push naru main"],
            )))
        }
        @for m in metrics { (service(r, m)) }
        @if !metrics.is_empty() { (notes(r)) }
    }
}

fn service(r: &Reader, m: &Metrics) -> Markup {
    let name = &m.service;
    html! {
        div.stack #(format!("service-{name}")) data-part {
            div.row {
                h2 { a.title-link href=(format!("/projects/{}/services/{name}", m.project)) { (name) } }
                @if m.too_few {
                    span.tag { (few(r, m.deployments)) }
                }
                @if m.data_errors > 0 { span.tag { (errors(r, m.data_errors)) } }
            }
            (five(r, m))
            div.two {
                (widget::section(
                    &format!("lead-{name}"),
                    r.t("From push to production", "푸시에서 운영까지"),
                    html! {},
                    plots::lead_times(r, m),
                ))
                (widget::section(
                    &format!("often-{name}"),
                    r.t("Deployments", "배포 횟수"),
                    key(r),
                    plots::deployments(r, m),
                ))
            }
        }
    }
}

fn key(r: &Reader) -> Markup {
    html! {
        span.wf-key.soft {
            svg width="10" height="10" aria-hidden="true" { rect.plot-bar-good width="10" height="10" rx="2" {} }
            (r.t("deployed", "배포"))
            svg width="10" height="10" aria-hidden="true" { rect.plot-bar-bad width="10" height="10" rx="2" {} }
            (r.t("later rolled back", "나중에 되돌림"))
        }
    }
}

fn few(r: &Reader, n: usize) -> String {
    match r.lang {
        kernel::Lang::En => format!("n = {n}: fewer than {ENOUGH} say little"),
        kernel::Lang::Ko => format!("n = {n}: {ENOUGH}회 미만이라 판단하기 이릅니다"),
    }
}

fn errors(r: &Reader, n: usize) -> String {
    match r.lang {
        kernel::Lang::En => format!("{n} commits are dated after their deployment"),
        kernel::Lang::Ko => format!("배포보다 나중 날짜의 커밋 {n}개"),
    }
}

fn five(r: &Reader, m: &Metrics) -> Markup {
    let spread = |s: Spread| html! { "p90 " (time(r, s.p90_ms)) " · n " (s.count) };
    let authored =
        html! { (r.t("from authoring: ", "작성 기준: ")) (time(r, m.lead_time.median_ms)) };
    let push = m.lead_time_from_push;
    html! {
        div.stats {
            (widget::stat(r.t("Change lead time, median", "변경 리드 타임, 중앙값"),
                html! { (time(r, push.median_ms)) }, html! { (spread(push)) br; (authored) }))
            (widget::stat(r.t("Deployment frequency", "배포 빈도"),
                html! { (rate(r, m.deployments_per_day)) },
                html! { (m.deployments) " / " (m.days) " " (r.t("days", "일")) }))
            (widget::stat(r.t("Change fail rate", "변경 실패율"),
                html! { (share(m.change_fail_rate, m.deployments)) }, html! { (m.failed) " / " (m.deployments) }))
            (widget::stat(r.t("Failed deployment recovery, median", "배포 실패 복구, 중앙값"),
                html! { (time(r, m.recovery_time.median_ms)) }, spread(m.recovery_time)))
            (widget::stat(r.t("Deployment rework rate", "배포 재작업률"),
                html! { (share(m.rework_rate, m.deployments)) },
                html! { (m.rework) " / " (m.deployments) " · " (r.t("stopped before users ", "사용자에게 닿기 전에 멈춤 ")) (m.stopped) }))
        }
    }
}

/// A length of time or a dash.
pub(super) fn time(r: &Reader, ms: Option<i64>) -> String {
    let Some(ms) = ms else { return "–".to_owned() };
    let words = widget::duration_words(r.lang, Duration::from_millis(ms.unsigned_abs()));
    if ms < 0 { format!("−{words}") } else { words }
}

/// How often, in the unit that gives a number one can picture.
pub(super) fn rate(r: &Reader, per_day: f64) -> String {
    let (n, unit) = match per_day {
        d if d >= 1.0 || d <= 0.0 => (d, r.t("day", "일")),
        d if d * 7.0 >= 1.0 => (d * 7.0, r.t("week", "주")),
        d => (d * 30.0, r.t("month", "월")),
    };
    format!("{n:.1} / {unit}")
}

/// A share of something, or a dash when there is nothing to share.
pub(super) fn share(rate: f64, of: usize) -> String {
    if of == 0 { "–".to_owned() } else { format!("{:.0} %", rate * 100.0) }
}

/// English and Korean name, English and Korean definition.
const DEFINITIONS: [(&str, &str, &str, &str); 5] = [
    (
        "Change lead time",
        "변경 리드 타임",
        "first byte of the push to serving in production; from authoring beside it, because an author's clock can lie",
        "푸시의 첫 바이트부터 운영까지. 작성자의 시계는 틀릴 수 있어 작성 기준은 옆에 따로 보입니다",
    ),
    (
        "Deployment frequency",
        "배포 빈도",
        "rollouts that passed because a change or a configuration arrived; the same commit again is one, rollbacks count apart",
        "변경이나 설정이 도착해 통과한 롤아웃. 같은 커밋의 반복은 한 번, 되돌리기는 따로 셉니다",
    ),
    (
        "Change fail rate",
        "변경 실패율",
        "deployments that were rolled back; a rollout stopped before it served users is no failure",
        "되돌려진 배포의 비율. 사용자에게 닿기 전에 멈춘 롤아웃은 실패가 아닙니다",
    ),
    (
        "Failed deployment recovery",
        "배포 실패 복구",
        "from the finish of the deployment that was rolled back to the finish of what replaced it",
        "되돌려진 배포가 끝난 때부터 그것을 대신한 배포가 끝난 때까지",
    ),
    (
        "Deployment rework rate",
        "배포 재작업률",
        "deployments that followed a rollback of the same service: the rollback caused them",
        "같은 서비스의 되돌리기 다음에 온 배포의 비율. 되돌리기 때문에 생긴 일입니다",
    ),
];

/// As DORA warns of them, beside the numbers.
const PITFALLS: [(&str, &str); 6] = [
    ("A metric that becomes a goal stops measuring", "목표가 된 지표는 더 이상 측정하지 못합니다"),
    (
        "No one of the five is enough: speed without stability is not speed",
        "다섯 중 하나만으로는 부족합니다. 안정성 없는 속도는 속도가 아닙니다",
    ),
    (
        "Compare a service with itself over time, not teams with each other",
        "팀끼리 비교하지 말고, 한 서비스를 시간에 따라 비교하세요",
    ),
    (
        "\u{201c}Our industry is different\u{201d} is not a reason to stop improving",
        "\u{201c}우리 업계는 다르다\u{201d}는 개선을 멈출 이유가 아닙니다",
    ),
    (
        "They belong to everybody on the way of a change, not to one team",
        "변경이 지나는 길의 모두가 함께 책임지는 지표입니다",
    ),
    ("Measuring is not improving", "측정이 곧 개선은 아닙니다"),
];

/// Definitions, and how the numbers go wrong.
fn notes(r: &Reader) -> Markup {
    html! {
        div.two {
            (widget::section("definitions", r.t("What they mean", "지표의 뜻"), html! {}, html! {
                ul.pitfalls.part-in {
                    @for (en, ko, about, about_ko) in DEFINITIONS {
                        li { strong { (r.t(en, ko)) } ": " span.soft { (r.t(about, about_ko)) } }
                    }
                }
            }))
            (widget::section("pitfalls", r.t("How they go wrong", "빠지기 쉬운 함정"), html! {}, html! {
                ul.pitfalls.part-in.soft { @for (en, ko) in PITFALLS { li { (r.t(en, ko)) } } }
            }))
        }
    }
}

//! One test: its strip, its durations, its contradictions.

use super::flaky;
use super::pieces::{self, ms, outcome_words, state};
use crate::api::reports;
use crate::ask::tests::{FlakeView, History, Point};
use crate::flake::Seen;
use kernel::{Lang, Name, Result};
use maud::{Markup, html};
use naru_http::{Call, Response};
use web::Reader;
use web::widget::{self, Dot, Mark, Plot, State, Table};

/// Results in the table.
const SHOWN: usize = 100;

pub(super) async fn show(call: Call) -> Result<Response> {
    let (project, repository) = (call.project()?, call.name("repository")?);
    let test = call.param("test")?.to_owned();
    let history = reports(&call).await?.history(&project, Some(repository), &test).await?;
    let r = Reader::of(&call);
    let page = pieces::page(&r, &project, &history.view.id);
    Ok(web::page(&call, &page, draw(&r, &project, &history)))
}

pub(super) fn draw(r: &Reader, project: &Name, h: &History) -> Markup {
    let v = &h.view;
    html! {
        (widget::heading(
            pieces::id(&v.id),
            html! { @if let Some(o) = v.outcome { (widget::badge(r, state(o), Some(outcome_words(r, o)))) } },
            html! {
                span { (v.repository) " · " (v.job) }
                @if let Some(file) = &v.file { " " (pieces::place(project, Some(&v.repository), h.points.first().map(|p| p.commit.as_str()), file, 0)) }
                @if let Some(q) = &v.quarantine { " " (pieces::held(r, q)) }
            },
            html! {},
        ))
        (strip(r, project, h))
        @if let Some(flake) = &h.flake { (contradictions(r, project, flake)) }
        (widget::section("durations", r.t("Durations", "소요 시간"), slower(r, h), durations(r, project, h)))
        (widget::section("results", r.t("Results", "결과"), html! {}, results(r, project, &h.points)))
        @if v.quarantine.as_ref().is_none_or(|q| q.over) && h.flake.as_ref().is_some_and(|f| f.state == "open") {
            (widget::copyable(r, &format!("naru test quarantine '{}' -p {project} --owner WHO --reason WHY", v.id)))
        }
    }
}

/// Each result a block, oldest first, each a link to what its run came to.
fn strip(r: &Reader, project: &Name, h: &History) -> Markup {
    const MOST: usize = 120;
    let shown: Vec<&Point> = h.points.iter().take(MOST).rev().collect();
    let (ran, failed) = (h.view.ran, h.view.failed);
    let words = match r.lang {
        Lang::En => format!("failed {failed} of the newest {ran} times"),
        Lang::Ko => format!("최근 {ran}번 가운데 {failed}번 실패"),
    };
    let body = html! {
        div.part-in.history-strip {
            @for p in shown {
                a.(state(p.outcome).class()) href=(pieces::results_address(project, p.run.as_str())) title=(spoken(r, p)) aria-label=(spoken(r, p)) {
                    svg width="9" height="20" aria-hidden="true" { rect width="7" height="20" rx="2" {} }
                }
            }
        }
    };
    widget::section("strip", r.t("History", "이력"), html! { span.soft { (words) } }, body)
}

fn spoken(r: &Reader, p: &Point) -> String {
    let commit = p.commit.get(..8).unwrap_or("");
    let branch = p.branch.as_deref().unwrap_or("–");
    format!("{}: {commit} {branch}, {}", outcome_words(r, p.outcome), ms(r, f64::from(p.ms)))
}

fn slower(r: &Reader, h: &History) -> Markup {
    html! {
        @if let Some(s) = h.view.slower {
            span.tag { (r.t("got slower", "느려짐")) " " (ms(r, s.before_ms)) " → " (ms(r, s.after_ms)) }
        }
    }
}

fn durations(r: &Reader, project: &Name, h: &History) -> Markup {
    let ran: Vec<&Point> =
        h.points.iter().rev().filter(|p| state(p.outcome) != State::Skipped).collect();
    let top = ran.iter().map(|p| p.ms).max().unwrap_or(0).max(1);
    let dot = |(i, p): (usize, &&Point)| Dot {
        x: i as f64,
        y: f64::from(p.ms),
        mark: if p.outcome.failed() { Mark::Bad } else { Mark::Good },
        words: spoken(r, p),
        address: Some(pieces::results_address(project, p.run.as_str())),
    };
    let levels = h.view.ms.map(|m| (format!("{} {}", r.t("median", "중앙값"), ms(r, m)), m));
    let ends = [ran.first(), ran.last()];
    let day = |p: &&&Point| p.at.to_string().get(5..10).unwrap_or("").to_owned();
    let last = ran.len().saturating_sub(1).max(1) as f64;
    let places = [0.0, last];
    widget::plot(
        r,
        &Plot {
            spoken: r.t("durations of the newest results", "최근 결과의 소요 시간").to_owned(),
            dots: ran.iter().enumerate().map(dot).collect(),
            levels: levels.into_iter().collect(),
            x: (0.0, last),
            x_words: ends
                .iter()
                .zip(places)
                .filter_map(|(p, x)| Some((x, day(&p.as_ref()?))))
                .collect(),
            y_words: (0..=3)
                .map(|i| f64::from(top) / 3.0 * f64::from(i))
                .map(|v| (v, ms(r, v)))
                .collect(),
            joined: false,
        },
    )
}

fn contradictions(r: &Reader, project: &Name, f: &FlakeView) -> Markup {
    let seen = |s: &Seen| {
        let words = format!("{} #{}", s.step, s.attempt);
        html! { a href=(pieces::results_address(project, s.run.as_str())) { (words) } }
    };
    let rows = f.flake.evidence.iter().rev().map(|e| {
        let cells = vec![
            widget::ago(r, e.at),
            widget::commit(&e.commit, None),
            html! { (widget::pip(r, State::Failed)) " " (seen(&e.failed)) },
            html! { (widget::pip(r, State::Passed)) " " (seen(&e.passed)) },
            html! { (e.among) },
        ];
        (None, cells)
    });
    let table = widget::table(&Table {
        heads: vec![
            ("", r.t("When", "시각").to_owned()),
            ("", r.t("Commit", "커밋").to_owned()),
            ("", r.t("Failed in", "실패한 시도").to_owned()),
            ("grow", r.t("Passed in", "통과한 시도").to_owned()),
            ("num", r.t("Failed with it", "함께 실패").to_owned()),
        ],
        rows: rows.collect(),
    });
    let beside = html! {
        (flaky::badge(r, f.state))
        span.soft { (f.manner.text().get(r.lang)) " · " (format!("{:.0} %", f.rate * 100.0)) " · " (flaky::progress(r, f)) }
    };
    widget::section("flake", r.t("Contradictions", "엇갈린 결과"), beside, table)
}

fn results(r: &Reader, project: &Name, points: &[Point]) -> Markup {
    let rows = points.iter().take(SHOWN).map(|p| {
        let address = pieces::results_address(project, p.run.as_str());
        let cells = vec![
            widget::badge(r, state(p.outcome), Some(outcome_words(r, p.outcome))),
            widget::commit(&p.commit, None),
            html! { (p.branch.as_deref().unwrap_or("–")) },
            html! { a href=(address) { (p.step) " #" (p.attempt) } },
            html! { (ms(r, f64::from(p.ms))) },
            widget::ago(r, p.at),
        ];
        (Some(address), cells)
    });
    widget::table(&Table {
        heads: vec![
            ("", r.t("Result", "결과").to_owned()),
            ("", r.t("Commit", "커밋").to_owned()),
            ("", r.t("Branch", "브랜치").to_owned()),
            ("grow", r.t("Job and attempt", "작업과 시도").to_owned()),
            ("num", r.t("Took", "소요").to_owned()),
            ("", r.t("When", "시각").to_owned()),
        ],
        rows: rows.collect(),
    })
}

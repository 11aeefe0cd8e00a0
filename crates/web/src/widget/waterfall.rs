//! Where the time of a change went: one bar for each stage, waiting apart from working.

use super::{State, percent, when};
use crate::Reader;
use kernel::Time;
use maud::{Markup, html};
use std::time::Duration;

/// What a segment of time was spent on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    Waiting,
    Working,
}

#[derive(Clone, Copy, Debug)]
pub struct Segment {
    pub work: Work,
    pub start: Time,
    /// `None`: under way.
    pub end: Option<Time>,
}

#[derive(Clone, Debug, Default)]
pub struct Bar {
    pub name: String,
    pub state: State,
    /// 0 for a stage, 1 for a step of it.
    pub level: u8,
    pub segments: Vec<Segment>,
    pub address: Option<String>,
    /// One line below the name: why it failed.
    pub note: Option<String>,
}

struct Scale {
    start: Time,
    span: f64,
}

impl Scale {
    fn of(r: &Reader, bars: &[Bar]) -> Option<Scale> {
        let segments = || bars.iter().flat_map(|b| &b.segments);
        let start = segments().map(|s| s.start).min()?;
        let end = segments().map(|s| s.end.unwrap_or(r.now)).max()?;
        let span = end.since(start).as_millis().max(1) as f64;
        Some(Scale { start, span })
    }

    fn at(&self, t: Time) -> f64 {
        t.since(self.start).as_millis() as f64 / self.span * 100.0
    }

    /// About four round steps over the span, as milliseconds.
    fn ticks(&self) -> Vec<u64> {
        let rough = self.span / 4.5;
        let base = 10f64.powf(rough.max(1.0).log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].iter().map(|m| m * base).find(|s| *s >= rough);
        let step = step.unwrap_or(rough).max(1.0) as u64;
        let last = (self.span * 0.96) as u64;
        (0..).map(|i| i * step).take_while(|t| *t <= last).take(12).collect()
    }
}

/// The whole trace; nothing when no time has been seen yet.
pub fn waterfall(r: &Reader, bars: &[Bar]) -> Markup {
    let Some(scale) = Scale::of(r, bars) else { return html! {} };
    let ticks = scale.ticks();
    html! {
        div.waterfall role="table" aria-label=(r.t("Where the time went", "시간이 쓰인 곳")) {
            div.wf-row.wf-axis role="row" {
                span role="columnheader" { (key(r)) }
                svg.wf-ticks role="columnheader" width="100%" height="18" {
                    @for tick in &ticks {
                        text x=(percent(*tick as f64 / scale.span * 100.0)) y="12" {
                            (when::duration_words(r.lang, Duration::from_millis(*tick)))
                        }
                    }
                }
                span.num role="columnheader" { (r.t("took", "소요")) }
            }
            @for bar in bars { (row(r, &scale, &ticks, bar)) }
        }
    }
}

fn key(r: &Reader) -> Markup {
    html! {
        span.wf-key {
            svg width="10" height="10" aria-hidden="true" { rect.wf-work width="10" height="10" rx="2" {} }
            (r.t("working", "작업"))
            svg width="10" height="10" aria-hidden="true" { rect.wf-wait width="10" height="10" rx="2" {} }
            (r.t("waiting", "대기"))
        }
    }
}

fn row(r: &Reader, scale: &Scale, ticks: &[u64], bar: &Bar) -> Markup {
    let level = if bar.level == 0 { "wf-stage" } else { "wf-step" };
    html! {
        div.wf-row.(level).(bar.state.class()) role="row" {
            span.wf-name role="cell" {
                (super::pip(r, bar.state))
                @match &bar.address {
                    Some(address) => a href=(address) { (bar.name) },
                    None => span { (bar.name) },
                }
                @if let Some(note) = &bar.note { span.wf-note title=(note) { (note) } }
            }
            svg.wf-track role="cell" width="100%" height="22" aria-label=(spoken(r, bar)) {
                @for tick in ticks {
                    @let x = percent(*tick as f64 / scale.span * 100.0);
                    line.wf-grid x1=(x) x2=(x) y1="0" y2="100%" {}
                }
                @for segment in &bar.segments { (rect(r, scale, segment)) }
            }
            span.num role="cell" { (took(r, bar)) }
        }
    }
}

fn rect(r: &Reader, scale: &Scale, segment: &Segment) -> Markup {
    let start = scale.at(segment.start);
    let width = (scale.at(segment.end.unwrap_or(r.now)) - start).max(0.35);
    let (class, y, height) = match segment.work {
        Work::Working => ("wf-work", "5", "12"),
        Work::Waiting => ("wf-wait", "8", "6"),
    };
    let live = if segment.end.is_none() { "wf-open" } else { "" };
    let words = when::duration_words(r.lang, segment.end.unwrap_or(r.now).since(segment.start));
    let work = match segment.work {
        Work::Working => r.t("working", "작업"),
        Work::Waiting => r.t("waiting", "대기"),
    };
    html! {
        rect.(class).(live) x=(percent(start.min(99.65))) width=(percent(width)) y=(y) height=(height) rx="2.5" {
            title { (work) " " (words) }
        }
    }
}

/// Working and waiting time, in words.
fn spoken(r: &Reader, bar: &Bar) -> String {
    let sum = |work: Work| {
        let of = bar.segments.iter().filter(|s| s.work == work);
        of.map(|s| s.end.unwrap_or(r.now).since(s.start)).sum::<Duration>()
    };
    let words = |work| when::duration_words(r.lang, sum(work));
    let (working, waiting) = (words(Work::Working), words(Work::Waiting));
    match r.lang {
        kernel::Lang::En => format!("working {working}, waiting {waiting}"),
        kernel::Lang::Ko => format!("작업 {working}, 대기 {waiting}"),
    }
}

fn took(r: &Reader, bar: &Bar) -> Markup {
    let start = bar.segments.iter().map(|s| s.start).min();
    let open = bar.segments.iter().any(|s| s.end.is_none());
    let end = bar.segments.iter().filter_map(|s| s.end).max();
    when::duration(r, start, if open { None } else { end })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_few() {
        for span in [1.0, 90.0, 1234.0, 65_000.0, 3.6e6, 9e8] {
            let ticks = Scale { start: Time(0), span }.ticks();
            assert!((1..=12).contains(&ticks.len()), "{span}: {ticks:?}");
            assert!(ticks.iter().all(|t| (*t as f64) <= span));
        }
    }
}

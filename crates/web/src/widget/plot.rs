//! Plots: dots over time, bars, and sparks. Sizes are shares of the box, so that text keeps its size.

use super::percent;
use crate::Reader;
use maud::{Markup, html};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mark {
    #[default]
    Good,
    Bad,
}

/// One observation: `x` and `y` in the plot's own units.
#[derive(Clone, Debug, Default)]
pub struct Dot {
    pub x: f64,
    pub y: f64,
    pub mark: Mark,
    /// What it says on hover.
    pub words: String,
    pub address: Option<String>,
}

/// A time series.
#[derive(Clone, Debug, Default)]
pub struct Plot {
    /// What the plot says, in a sentence, for those who do not see it.
    pub spoken: String,
    pub dots: Vec<Dot>,
    /// Level lines: median, p90.
    pub levels: Vec<(String, f64)>,
    /// Ends of the horizontal axis, and their words.
    pub x: (f64, f64),
    pub x_words: Vec<(f64, String)>,
    /// Ticks of the vertical axis; the last is its top.
    pub y_words: Vec<(f64, String)>,
    pub joined: bool,
}

/// Dots over time with level lines. The left 52 pixels are for the axis: an inner `svg` holds the data.
pub fn plot(r: &Reader, p: &Plot) -> Markup {
    if p.dots.is_empty() {
        return html! { p.plot-none { (r.t("no data yet", "아직 자료가 없습니다")) } };
    }
    let top = p.y_words.last().map_or(1.0, |w| w.0).max(f64::MIN_POSITIVE);
    let y = |v: f64| percent(96.0 - v / top * 92.0);
    let span = (p.x.1 - p.x.0).max(f64::MIN_POSITIVE);
    let x = |v: f64| percent(1.5 + (v - p.x.0) / span * 97.0);
    html! {
        figure.plot {
            div.plot-y aria-hidden="true" {
                svg width="100%" height="100%" {
                    @for (v, words) in &p.y_words {
                        text x="100%" y=(y(*v)) dy="4" text-anchor="end" { (words) }
                    }
                }
            }
            div.plot-box {
                svg width="100%" height="100%" role="img" aria-label=(p.spoken) {
                    @for (v, _) in &p.y_words { line.plot-grid x1="0" x2="100%" y1=(y(*v)) y2=(y(*v)) {} }
                    @if p.joined {
                        @for pair in p.dots.windows(2) {
                            @if let [a, b] = pair {
                                line.plot-line x1=(x(a.x)) y1=(y(a.y)) x2=(x(b.x)) y2=(y(b.y)) {}
                            }
                        }
                    }
                    @for (words, v) in &p.levels {
                        line.plot-level x1="0" x2="100%" y1=(y(*v)) y2=(y(*v)) {}
                        text.plot-level-name x="100%" y=(y(*v)) dx="-4" dy="-4" text-anchor="end" { (words) }
                    }
                    @for dot in &p.dots { (draw(dot, &x(dot.x), &y(dot.y))) }
                }
            }
            div.plot-x aria-hidden="true" {
                svg width="100%" height="100%" {
                    @for (v, words) in &p.x_words {
                        text x=(x(*v)) y="13" text-anchor=(anchor(*v, p.x)) { (words) }
                    }
                }
            }
        }
    }
}

/// Words at the ends stay inside the box.
fn anchor(v: f64, ends: (f64, f64)) -> &'static str {
    let share = (v - ends.0) / (ends.1 - ends.0).max(f64::MIN_POSITIVE);
    match share {
        s if s < 0.08 => "start",
        s if s > 0.92 => "end",
        _ => "middle",
    }
}

fn draw(dot: &Dot, x: &str, y: &str) -> Markup {
    let class = match dot.mark {
        Mark::Good => "plot-good",
        Mark::Bad => "plot-bad",
    };
    let shape = html! { circle.(class) cx=(x) cy=(y) r="4" { title { (dot.words) } } };
    match &dot.address {
        Some(address) => html! { a href=(address) aria-label=(dot.words) { (shape) } },
        None => shape,
    }
}

/// Bars for counts: words below, value, and how much of it was bad.
pub fn bars(r: &Reader, spoken: &str, items: &[(String, u64, u64)]) -> Markup {
    let top = items.iter().map(|i| i.1).max().unwrap_or(0);
    if top == 0 {
        return html! { p.plot-none { (r.t("no data yet", "아직 자료가 없습니다")) } };
    }
    let step = 100.0 / items.len().max(1) as f64;
    let every = (items.len() / 7).max(1);
    html! {
        figure.bars {
            svg width="100%" height="100%" role="img" aria-label=(spoken) {
                line.plot-grid x1="0" x2="100%" y1="84%" y2="84%" {}
                @for (i, (words, all, bad)) in items.iter().enumerate() {
                    @let left = i as f64 * step;
                    @let share = |n: u64| n as f64 / top as f64 * 72.0;
                    @let middle = percent(left + step / 2.0);
                    @if *all > 0 {
                        rect.plot-bar-good x=(percent(left + step * 0.18)) width=(percent(step * 0.64)) y=(percent(84.0 - share(*all)))
                            height=(percent(share(*all))) rx="2" { title { (words) ": " (all) } }
                        @if *bad > 0 {
                            rect.plot-bar-bad x=(percent(left + step * 0.18)) width=(percent(step * 0.64)) y=(percent(84.0 - share(*bad)))
                                height=(percent(share(*bad))) rx="2" { title { (words) ": " (bad) " / " (all) } }
                        }
                        text.plot-count x=(middle) y=(percent(84.0 - share(*all))) dy="-4" text-anchor="middle" { (all) }
                    }
                    @if i % every == 0 {
                        text.plot-word x=(middle) y="97%" text-anchor="middle" { (words) }
                    }
                }
            }
        }
    }
}

/// A line without axes, in 100 by 24.
pub fn spark(values: &[f64]) -> Markup {
    let top = values.iter().copied().fold(0.0_f64, f64::max).max(f64::MIN_POSITIVE);
    let step = 100.0 / values.len().saturating_sub(1).max(1) as f64;
    let point =
        |(i, v): (usize, &f64)| format!("{:.1} {:.1}", i as f64 * step, 22.0 - v / top * 20.0);
    let points: Vec<String> = values.iter().enumerate().map(point).collect();
    if points.len() < 2 {
        return html! {};
    }
    let line = points.join("L");
    html! {
        svg.spark viewBox="0 0 100 24" preserveAspectRatio="none" width="100%" height="24" aria-hidden="true" {
            path.spark-area d=(format!("M0 24L{line}L100 24Z")) {}
            path.spark-line d=(format!("M{line}")) {}
        }
    }
}

//! The plots of key metrics: which dots, which bars, which words on the axes. Pure.

use super::metrics::time;
use crate::dora::{Metrics, Point, PointKind};
use kernel::Time;
use maud::Markup;
use web::Reader;
use web::widget::{self, Dot, Mark, Plot};

const DAY: i64 = 86_400_000;

/// A dot for each deployment that carried a change, with the median and the ninetieth percentile.
pub(super) fn lead_times(r: &Reader, m: &Metrics) -> Markup {
    let known = || m.points.iter().filter_map(|p| Some((p, p.lead_ms?)));
    let top = known().map(|(_, ms)| ms).max().unwrap_or(0).max(1) as f64;
    let step = round_step(top);
    let ticks = (0..=(top / step).ceil() as i64).map(|i| i as f64 * step);
    let spread = m.lead_time_from_push;
    let level = |words: &str, ms: Option<i64>| {
        ms.map(|ms| (format!("{words} {}", time(r, Some(ms))), ms as f64))
    };
    let levels = [level(r.t("median", "중앙값"), spread.median_ms), level("p90", spread.p90_ms)];
    let mut levels: Vec<(String, f64)> = levels.into_iter().flatten().collect();
    // Two lines on top of each other say one thing.
    levels.dedup_by(|b, a| {
        let same = (a.1 - b.1).abs() < top / 10.0;
        if same {
            a.0 = format!("{} · {}", a.0, b.0);
        }
        same
    });
    let window = r.now.0 - i64::from(m.days) * DAY;
    // A young service's dots are not pressed against the right edge.
    let first = known().map(|(p, _)| p.time.0).min().unwrap_or(window);
    let since = window.max(first - (r.now.0 - first) / 20 - 1000);
    let spoken = format!(
        "{} {}, p90 {}",
        r.t("median lead time", "리드 타임 중앙값"),
        time(r, spread.median_ms),
        time(r, spread.p90_ms)
    );
    widget::plot(
        r,
        &Plot {
            spoken,
            dots: known().map(|(p, ms)| dot(r, m, p, ms)).collect(),
            levels,
            x: (since as f64, r.now.0 as f64),
            x_words: (0..=4)
                .map(|i| since + (r.now.0 - since) / 4 * i)
                .map(|t| (t as f64, moment(t, r.now.0 - since)))
                .collect(),
            y_words: ticks.map(|v| (v, time(r, Some(v as i64)))).collect(),
            joined: false,
        },
    )
}

fn dot(r: &Reader, m: &Metrics, p: &Point, ms: i64) -> Dot {
    let bad = p.kind == PointKind::Failed;
    let address = p.change.as_ref().map(|c| format!("/projects/{}/changes/{c}", m.project));
    let mark = if bad { Mark::Bad } else { Mark::Good };
    let words = format!("{}: {}", p.release, time(r, Some(ms)));
    Dot { x: p.time.0 as f64, y: ms as f64, mark, words, address }
}

/// The largest of 1, 2, 5, 10 … (for times: round seconds, minutes, hours) that gives at least three steps.
fn round_step(top: f64) -> f64 {
    const STEPS: [f64; 22] = [
        1.0, 5.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1e3, 2e3, 5e3, 1e4, 3e4, 6e4, 3e5, 6e5, 1.8e6,
        3.6e6, 1.08e7, 2.16e7, 8.64e7, 6.048e8, 2.592e9,
    ];
    STEPS.iter().copied().rfind(|s| top / s >= 2.5).unwrap_or(1.0).max(top / 12.0)
}

/// Days, or weeks when there are many.
pub(super) fn deployments(r: &Reader, m: &Metrics) -> Markup {
    let width = if m.days > 45 { 7 } else { 1 };
    let first = r.now.0.div_euclid(DAY) - i64::from(m.days) + 1;
    let count = (i64::from(m.days) + width - 1) / width;
    let bars: Vec<(String, u64, u64)> = (0..count.min(120))
        .map(|i| {
            let (from, to) = (first + i * width, first + (i + 1) * width);
            let here = |p: &&Point| (from..to).contains(&p.time.0.div_euclid(DAY));
            let served = || m.points.iter().filter(here).filter(|p| served(p.kind));
            let bad = served().filter(|p| p.kind == PointKind::Failed).count();
            (date(from * DAY), served().count() as u64, bad as u64)
        })
        .collect();
    let spoken = format!("{} {}", m.deployments, r.t("deployments", "회 배포"));
    widget::bars(r, &spoken, &bars)
}

fn served(kind: PointKind) -> bool {
    matches!(kind, PointKind::Deployed | PointKind::Failed)
}

/// As exact as the span of the axis asks for: `11-24`, `10:45`, `10:45:32` (UTC).
fn moment(ms: i64, span: i64) -> String {
    let words = Time(ms).to_string();
    let range = match span {
        0..1_200_000 => 11..19,
        1_200_000..172_800_000 => 11..16,
        _ => 5..10,
    };
    words.get(range).unwrap_or("").to_owned()
}

/// `11-24`
fn date(ms: i64) -> String {
    Time(ms).to_string().get(5..10).unwrap_or("").to_owned()
}

#[cfg(test)]
mod tests {
    use super::round_step;

    #[test]
    fn steps_are_round_and_the_axis_has_few_of_them() {
        for top in [1.0, 37.0, 950.0, 12_345.0, 4e6, 9e9] {
            let steps = (top / round_step(top)).ceil();
            assert!((1.0..=13.0).contains(&steps), "{top}: {steps}");
        }
        assert_eq!(round_step(12_345.0), 2_000.0);
    }
}

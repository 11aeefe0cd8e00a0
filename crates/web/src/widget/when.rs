//! Instants and lengths of time.

use crate::Reader;
use kernel::{Lang, Time};
use maud::{Markup, html};
use std::time::Duration;

/// `3 min ago`, with the instant itself on hover; `time.js` keeps it true.
pub fn ago(r: &Reader, at: Time) -> Markup {
    let full = full(at);
    html! {
        time datetime=(at) title=(full) data-ago { (relative(r.lang, r.now, at)) }
    }
}

pub fn ago_or_dash(r: &Reader, at: Option<Time>) -> Markup {
    match at {
        Some(at) => ago(r, at),
        None => html! { span.faint { "–" } },
    }
}

/// `2025-11-24 16:00:00 UTC`; `time.js` turns it into the reader's own zone.
pub fn clock_time(at: Time) -> Markup {
    html! { time datetime=(at) data-local { (full(at)) } }
}

/// `16:00:00.123` of the day in UTC.
pub fn time_of_day(at: Time) -> String {
    at.to_string().get(11..23).unwrap_or("").to_owned()
}

fn full(at: Time) -> String {
    let words = at.to_string();
    format!("{} {} UTC", words.get(..10).unwrap_or(""), words.get(11..19).unwrap_or(""))
}

fn relative(lang: Lang, now: Time, at: Time) -> String {
    let ahead = at > now;
    let s = if ahead { at.since(now) } else { now.since(at) }.as_secs();
    let (n, en, ko) = match s {
        0..5 => return lang.pick("just now", "방금").to_owned(),
        5..60 => (s, "s", "초"),
        60..3600 => (s / 60, "min", "분"),
        3600..86_400 => (s / 3600, "h", "시간"),
        86_400..5_184_000 => (s / 86_400, "d", "일"),
        _ => (s / 2_592_000, "mo", "개월"),
    };
    match (lang, ahead) {
        (Lang::En, false) => format!("{n} {en} ago"),
        (Lang::En, true) => format!("in {n} {en}"),
        (Lang::Ko, false) => format!("{n}{ko} 전"),
        (Lang::Ko, true) => format!("{n}{ko} 뒤"),
    }
}

/// `850 ms`, `4.2 s`, `3 m 05 s`; `850ms`, `4.2초`, `3분 05초`.
pub fn duration_words(lang: Lang, d: Duration) -> String {
    if lang == Lang::En {
        return kernel::time::show_duration(d);
    }
    let (ms, s) = (d.as_millis(), d.as_secs());
    match ms {
        0..1000 => format!("{ms}ms"),
        1000..60_000 => format!("{:.1}초", d.as_secs_f64()),
        60_000..3_600_000 => format!("{}분 {:02}초", s / 60, s % 60),
        3_600_000..172_800_000 => format!("{}시간 {:02}분", s / 3600, s / 60 % 60),
        _ => format!("{}일 {:02}시간", s / 86_400, s / 3600 % 24),
    }
}

/// How long from `start` to `end`, or to now when it has not ended: then `time.js` lets it grow.
pub fn duration(r: &Reader, start: Option<Time>, end: Option<Time>) -> Markup {
    let Some(start) = start else { return html! { span.faint { "–" } } };
    let words = duration_words(r.lang, end.unwrap_or(r.now).since(start));
    match end {
        Some(_) => html! { span.num { (words) } },
        None => html! { span.num data-since=(start) { (words) } },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relative_times_in_both_languages() {
        let now = Time(1_764_000_000_000);
        for (ms, en, ko) in [
            (0, "just now", "방금"),
            (30_000, "30 s ago", "30초 전"),
            (150_000, "2 min ago", "2분 전"),
            (7_300_000, "2 h ago", "2시간 전"),
            (3 * 86_400_000, "3 d ago", "3일 전"),
            (-600_000, "in 10 min", "10분 뒤"),
        ] {
            let at = Time(now.0 - ms);
            assert_eq!(relative(Lang::En, now, at), en);
            assert_eq!(relative(Lang::Ko, now, at), ko);
        }
    }
}

//! What a step or an instance wrote.

use super::ansi;
use crate::Reader;
use kernel::Time;
use kernel::log::{Line, Stream};
use maud::{Markup, html};

/// A log as far as it is known when the page is drawn.
#[derive(Default)]
pub struct Log<'a> {
    pub id: &'a str,
    pub lines: &'a [Line],
    /// The number of the first line.
    pub first: usize,
    /// Who wrote each line, when there are several; empty otherwise.
    pub who: &'a [String],
    /// What all their names begin with, and nobody needs to read.
    pub trim: Option<&'a str>,
    /// Where `log.js` follows it, by server-sent events; `None` when it has ended.
    pub follow: Option<&'a str>,
    /// What is followed comes after so many lines (`after=` in its address): those below are among them.
    /// `None`: the stream begins with what is below.
    pub after: Option<usize>,
    /// Where the whole of it can be had.
    pub raw: Option<&'a str>,
}

/// The log with numbers, times since its start, and colours.
pub fn log(r: &Reader, log: &Log) -> Markup {
    let begun = log.lines.iter().map(|l| l.time).find(|t| t.0 > 0);
    html! {
        div.log #(log.id) data-follow=[log.follow] data-source=[log.follow] data-after=[log.after] data-begun=[begun] data-trim=[log.trim] data-end=(r.t("end of the log", "로그 끝"))
            data-lost=(r.t("connection lost; trying again", "연결이 끊겨 다시 잇는 중")) {
            div.log-bar {
                span.log-state role="status" {
                    @if log.follow.is_some() { (r.t("following", "따라가는 중")) }
                }
                button.quiet type="button" data-log="wrap" hidden { (r.t("Wrap", "줄바꿈")) }
                button.quiet type="button" data-log="stay" hidden
                    data-pause=(r.t("Pause", "멈춤")) data-resume=(r.t("Follow", "따라가기")) {
                    (r.t("Pause", "멈춤"))
                }
                @if let Some(raw) = log.raw { a.quiet href=(raw) { (r.t("Raw", "원본")) } }
            }
            div.log-lines tabindex="0" role="log" aria-live="off" aria-label=(r.t("Log", "로그")) {
                @if log.lines.is_empty() && log.follow.is_none() {
                    p.log-none { (r.t("nothing was written", "출력이 없습니다")) }
                }
                @for (i, line) in log.lines.iter().enumerate() {
                    (draw(log, i, begun, line))
                }
            }
        }
    }
}

fn draw(log: &Log, index: usize, begun: Option<Time>, line: &Line) -> Markup {
    let class = match line.stream {
        Stream::Out => "ln-out",
        Stream::Err => "ln-err",
        Stream::Note => "ln-note",
    };
    let number = log.first.max(1) + index;
    let anchor = format!("{}-{number}", log.id);
    let since = begun.filter(|_| line.time.0 > 0).map(|b| line.time.since(b).as_secs_f64());
    html! {
        div.ln.(class) id=(anchor) {
            a.ln-no href={ "#" (anchor) } aria-label=(number) data-n=(number) {}
            span.ln-at data-t=[since.map(|s| format!("{s:.1}"))] {}
            @if let Some(who) = log.who.get(index) {
                @let short = log.trim.and_then(|t| who.strip_prefix(t)).unwrap_or(who);
                span.ln-who { (short) }
            }
            span.ln-text { (ansi::draw(&line.text)) }
        }
    }
}

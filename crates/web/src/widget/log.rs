//! What a step or an instance wrote.

use super::ansi;
use super::fold::{self, Item};
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
    /// Where one line of it can be linked to: the address to which the number is added. `None`: on this
    /// page only.
    pub line: Option<&'a str>,
    /// Where its lines are searched.
    pub search: Option<Search<'a>>,
}

/// A field that asks the server for the lines with some words.
pub struct Search<'a> {
    pub action: &'a str,
    /// What goes along with the words, by name.
    pub fields: &'a [(&'a str, &'a str)],
    /// What is being looked for.
    pub words: Option<&'a str>,
}

/// The log with numbers, times since its start, colours, and sections that fold.
pub fn log(r: &Reader, log: &Log) -> Markup {
    let begun = log.lines.iter().map(|l| l.time).find(|t| t.0 > 0);
    html! {
        div.log #(log.id) data-follow=[log.follow] data-source=[log.follow] data-after=[log.after] data-begun=[begun] data-trim=[log.trim] data-line=[log.line] data-end=(r.t("end of the log", "로그 끝"))
            data-lost=(r.t("connection lost; trying again", "연결이 끊겨 다시 잇는 중")) {
            div.log-bar {
                span.log-state role="status" {
                    @if log.follow.is_some() { (r.t("following", "따라가는 중")) }
                }
                @if let Some(search) = &log.search { (field(r, search)) }
                button.quiet type="button" data-log="fold" hidden { (r.t("Fold", "접기")) }
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
                @for item in fold::fold(log.lines, log.follow.is_some()) { (draw(log, begun, &item)) }
            }
        }
    }
}

fn field(r: &Reader, search: &Search) -> Markup {
    let label = r.t("Search this log", "이 로그에서 찾기");
    html! {
        form.log-search role="search" action=(search.action) method="get" {
            @for (name, value) in search.fields { input type="hidden" name=(name) value=(value); }
            input type="search" name="q" value=[search.words] maxlength="200" placeholder=(label) aria-label=(label);
        }
    }
}

/// The lines of a log that hold some words, each a link to its place.
pub fn found(r: &Reader, log: &Log, hits: &[(usize, Line)], words: &str) -> Markup {
    html! {
        div.log #(log.id) {
            div.log-bar {
                span.log-state role="status" { (hits.len()) " " (r.t(if hits.len() == 1 { "line" } else { "lines" }, "줄")) }
                @if let Some(search) = &log.search { (field(r, search)) }
                @if let Some(raw) = log.raw { a.quiet href=(raw) { (r.t("Raw", "원본")) } }
            }
            div.log-lines tabindex="0" aria-label=(r.t("Lines found", "찾은 줄")) {
                @if hits.is_empty() { p.log-none { (r.t("no line has these words", "그런 줄이 없습니다")) } }
                @for (number, line) in hits {
                    div.ln.(class(line)) {
                        a.ln-no href=(address(log, *number)) aria-label=(number) data-n=(number) {}
                        span.ln-text { (marked(&line.text, words)) }
                    }
                }
            }
        }
    }
}

/// The words stand out, wherever they are in the text as it is shown.
fn marked(text: &str, words: &str) -> Markup {
    let shown: String = ansi::split(text).into_iter().map(|(_, t)| t).collect();
    let (low, wanted) = (shown.to_ascii_lowercase(), words.to_ascii_lowercase());
    let mut pieces: Vec<(&str, bool)> = Vec::new();
    let mut at = 0;
    // Lower case of ASCII alone moves no byte.
    while let Some(next) =
        low.get(at..).and_then(|rest| rest.find(&wanted)).filter(|_| !wanted.is_empty())
    {
        pieces.extend(shown.get(at..at + next).map(|p| (p, false)));
        pieces.extend(shown.get(at + next..at + next + wanted.len()).map(|p| (p, true)));
        at += next + wanted.len();
    }
    pieces.extend(shown.get(at..).map(|p| (p, false)));
    html! {
        @for (piece, hit) in pieces { @if hit { mark { (piece) } } @else { (piece) } }
    }
}

fn class(line: &Line) -> &'static str {
    match line.stream {
        Stream::Out => "ln-out",
        Stream::Err => "ln-err",
        Stream::Note => "ln-note",
    }
}

fn address(log: &Log, number: usize) -> String {
    let place = log.line.map(|line| format!("{line}{number}")).unwrap_or_default();
    format!("{place}#{}-{number}", log.id)
}

fn draw(log: &Log, begun: Option<Time>, item: &Item) -> Markup {
    match item {
        Item::Line(i) => match log.lines.get(*i) {
            Some(line) => {
                html! { div.ln.(class(line)) id=(anchor(log, *i)) { (inside(log, *i, begun, line)) } }
            }
            None => html! {},
        },
        Item::Fold { head, closed, below, going } => html! {
            details.ln-fold open[!closed] data-going=[going] {
                @if let Some(line) = log.lines.get(*head) {
                    summary.ln.ln-head.(class(line)) id=(anchor(log, *head)) { (inside(log, *head, begun, line)) }
                }
                @for item in below { (draw(log, begun, item)) }
            }
        },
    }
}

fn anchor(log: &Log, index: usize) -> String {
    format!("{}-{}", log.id, log.first.max(1) + index)
}

fn inside(log: &Log, index: usize, begun: Option<Time>, line: &Line) -> Markup {
    let number = log.first.max(1) + index;
    let since = begun.filter(|_| line.time.0 > 0).map(|b| line.time.since(b).as_secs_f64());
    html! {
        a.ln-no href=(address(log, number)) aria-label=(number) data-n=(number) {}
        span.ln-at data-t=[since.map(|s| format!("{s:.1}"))] {}
        @if let Some(who) = log.who.get(index) {
            @let short = log.trim.and_then(|t| who.strip_prefix(t)).unwrap_or(who);
            span.ln-who { (short) }
        }
        span.ln-text { (ansi::draw(fold::marks(line).1)) }
    }
}

//! A step's log over HTTP and on a terminal.
//!
//! What many follow is made once for all of them, a page at a time; so is what a terminal gets.

use crate::Console;
use crate::runs::{of_call, unknown_step};
use bytes::Bytes;
use cli::{Context, Format};
use futures_util::{FutureExt, Stream, StreamExt, TryStreamExt};
use kernel::log::{Line, Record, Stream as Kind};
use kernel::{Error, Result, Text, Time, text};
use naru_http::{Call, Frame, Response, sse_written};
use run::log::Page;
use std::fmt::Write;
use std::sync::Arc;

/// Bytes that a command prints together, if they have arrived together.
const TOGETHER: usize = 64 * 1024;

pub(crate) async fn log(call: Call) -> Result<Response> {
    let run = of_call(&call).await?;
    let step = call.param("step")?.to_owned();
    let attempt = call.number("attempt")?.and_then(|a| u32::try_from(a).ok());
    run.step(&step).ok_or_else(|| unknown_step(&step))?;
    let engine = &call.part::<Console>()?.engine;
    let pages = engine.follow_pages(&run.id, &step, attempt);
    if call.flag("follow") {
        // A browser whose connection broke comes back with the last line it got; a page that has drawn some
        // lines already says how many.
        let seen = call.header("last-event-id").and_then(|id| id.parse().ok());
        let seen = seen.or(call.number("after")?).unwrap_or(0);
        return Ok(followed(pages, usize::try_from(seen).unwrap_or(usize::MAX)));
    }
    if run.step(&step).is_none_or(|s| s.finished.is_none()) {
        return Err(growing(&step));
    }
    let words = pages.map_ok(|page| plain(&page)).map_err(std::io::Error::other);
    let mut response = Response::new(naru_http::Body::from_stream(words));
    let kind = http::HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(http::header::CONTENT_TYPE, kind);
    Ok(response)
}

fn growing(step: &str) -> Error {
    Error::conflict(
        "log.growing",
        text!("step {step} is not finished", "{step} 단계가 아직 끝나지 않았습니다"),
    )
    .hint(Text::fixed(
        "add ?follow=true to read it as it grows",
        "?follow=true를 붙이면 자라는 대로 읽습니다",
    ))
}

/// The text alone.
fn plain(page: &Page) -> Bytes {
    let mut out = String::new();
    for record in page.records() {
        out.push_str(&record.text);
        if record.whole {
            out.push('\n');
        }
    }
    out.into()
}

/// Lines as events, each with its number, from 1, as id; those that were seen already are left out.
fn followed(
    pages: impl Stream<Item = Result<Arc<Page>>> + Send + 'static,
    seen: usize,
) -> Response {
    let news = move |page: Arc<Page>| {
        let bytes = match page.first() < seen {
            true => events(&page, seen),
            // Mostly all followers want all of it, so it is made once.
            false => page.shown(|page| events(page, 0)),
        };
        std::future::ready(Ok((page.after() > seen).then_some(bytes)))
    };
    // Without a last word a browser would take the end for a lost connection and begin again.
    let mut end = Vec::new();
    Frame { event: Some("end"), ..Frame::default() }.write(&mut end);
    let end = futures_util::stream::iter([Ok(end.into())]);
    sse_written(pages.try_filter_map(news).chain(end))
}

fn events(page: &Page, seen: usize) -> Bytes {
    let mut out = Vec::with_capacity(page.bytes() * 2);
    let (mut number, mut head) = (Vec::new(), Head::default());
    let news = (page.first() + 1..).zip(page.records()).filter(|(number, _)| *number > seen);
    for (at, record) in news {
        count_to(&mut number, at);
        out.extend_from_slice(b"id: ");
        out.extend_from_slice(&number);
        out.extend_from_slice(head.of(&record).as_bytes());
        // A vector takes everything, and a string is always JSON.
        let _ = serde_json::to_writer(&mut out, &record.text);
        out.extend_from_slice(b"}\n\n");
    }
    out.into()
}

/// Makes `digits` say `number`, which mostly follows what they said before.
fn count_to(digits: &mut Vec<u8>, number: usize) {
    match digits.last_mut() {
        Some(last) if *last < b'9' => *last += 1,
        _ => *digits = number.to_string().into_bytes(),
    }
}

/// What a line's event has between its number and its text. Lines that come fast have it in common.
#[derive(Default)]
struct Head {
    of: Option<(Time, Kind, bool)>,
    words: String,
}

impl Head {
    fn of(&mut self, record: &Record<'_>) -> &str {
        let Record { time, stream, whole, .. } = record;
        let of = Some((*time, *stream, *whole));
        if self.of != of {
            let stream = match stream {
                Kind::Out => "out",
                Kind::Err => "err",
                Kind::Note => "note",
            };
            self.words.clear();
            // A string takes everything. A time has no character that JSON would escape.
            let _ = write!(
                self.words,
                "\nevent: line\ndata: {{\"time\":\"{time}\",\"stream\":\"{stream}\",\"whole\":{whole},\"text\":"
            );
            self.of = of;
        }
        &self.words
    }
}

/// Prints a followed log: what has arrived together is printed together, and nothing waits for more to come.
pub(crate) async fn print(context: &Context, mut stream: cli::Lines, times: bool) -> Result<()> {
    let output = &context.output;
    let mut terminal = Terminal { times, ..Terminal::default() };
    loop {
        // Asking is cancel safe: an event that is not there yet is asked for again.
        let arrived = match stream.next().now_or_never() {
            Some(event) => event?,
            None => {
                output.print(&std::mem::take(&mut terminal.words))?;
                stream.next().await?
            }
        };
        let Some((_, data)) = arrived else { break };
        let line: Line = serde_json::from_str(&data).map_err(Error::internal)?;
        match output.format {
            Format::Table => terminal.take(&line),
            _ => terminal.words += &output.written(&line)?,
        }
        if terminal.words.len() > TOGETHER {
            output.print(&std::mem::take(&mut terminal.words))?;
        }
    }
    terminal.end();
    output.print(&terminal.words)
}

/// Lines as people read them. The pieces of a long line are put together again.
#[derive(Default)]
struct Terminal {
    words: String,
    times: bool,
    /// The stream whose line has no end yet.
    open: Option<Kind>,
}

impl Terminal {
    fn take(&mut self, line: &Line) {
        if self.open != Some(line.stream) {
            self.end();
            if self.times {
                // A string takes everything.
                let _ = write!(self.words, "{} ", line.time);
            }
            if line.stream == Kind::Note {
                self.words.push_str("● ");
            }
        }
        self.words.push_str(&line.text);
        self.open = Some(line.stream);
        if line.whole {
            self.end();
        }
    }

    /// Ends a line that has not ended by itself.
    fn end(&mut self) {
        if self.open.take().is_some() {
            self.words.push('\n');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(stream: Kind, whole: bool, text: &str) -> Line {
        Line { time: Time(1_700_000_000_123), stream, whole, text: text.into() }
    }

    #[test]
    fn an_event_is_what_serde_makes_of_the_line() {
        for (number, line) in [
            (7, line(Kind::Out, true, "tab\t quote\" back\\ 나루 \u{1}")),
            (8, line(Kind::Err, false, "")),
            (9, line(Kind::Err, false, "same head")),
            (10, line(Kind::Note, true, "x")),
            (99_999, Line { time: Time(i64::MAX), ..line(Kind::Out, true, "far") }),
        ] {
            let (mut digits, mut head) = (Vec::new(), Head::default());
            count_to(&mut digits, number - 1);
            count_to(&mut digits, number);
            let record = Record {
                time: line.time,
                stream: line.stream,
                whole: line.whole,
                text: line.text.as_str().into(),
            };
            let digits = String::from_utf8(digits).unwrap();
            let text = serde_json::to_string(&line.text).unwrap();
            let written = format!("id: {digits}{}{text}}}\n\n", head.of(&record));
            let data = serde_json::to_string(&line).unwrap();
            assert_eq!(written, format!("id: {number}\nevent: line\ndata: {data}\n\n"));
        }
    }

    #[test]
    fn a_terminal_shows_long_lines_whole_and_keeps_streams_apart() {
        let mut terminal = Terminal::default();
        for line in [
            line(Kind::Out, false, "one "),
            line(Kind::Out, true, "line"),
            line(Kind::Note, true, "naru speaks"),
            line(Kind::Out, false, "cut off"),
            line(Kind::Err, true, "by another"),
            line(Kind::Out, true, ""),
        ] {
            terminal.take(&line);
        }
        assert_eq!(terminal.words, "one line\n● naru speaks\ncut off\nby another\n\n");
        let mut timed = Terminal { times: true, ..Terminal::default() };
        timed.take(&line(Kind::Out, false, "a"));
        timed.take(&line(Kind::Out, false, "b"));
        timed.end();
        assert_eq!(timed.words, "2023-11-14T22:13:20.123Z ab\n");
    }
}

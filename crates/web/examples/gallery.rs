//! Writes every widget on one page, in both languages and colours, with the assets beside it: to look at
//! while working on them, without a server.
//!
//! `cargo run -p web --example gallery -- DIR` makes `DIR/<lang>-<theme>.html`.

use kernel::log::{Line, Stream};
use kernel::{Error, ErrorKind, Lang, Text, Time};
use maud::{Markup, html};
use std::path::PathBuf;
use web::widget::{
    self, Bar, Dot, Lane, Log, Mark, Node, Plot, Segment, State, Station, Table, Tone, Work,
};
use web::{Page, Reader, Theme};

const ALL: [State; 10] = [
    State::Idle,
    State::Queued,
    State::Running,
    State::Waiting,
    State::Passed,
    State::Live,
    State::Failed,
    State::Warned,
    State::Skipped,
    State::Canceled,
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir = PathBuf::from(std::env::args().nth(1).ok_or("where to?")?);
    std::fs::create_dir_all(&dir)?;
    for asset in web::ASSETS {
        std::fs::write(dir.join(asset.name), asset.bytes)?;
    }
    for lang in [Lang::En, Lang::Ko] {
        for theme in [Theme::Light, Theme::Dark] {
            let who = Some("han".to_owned());
            let address = "/".into();
            let r = Reader { lang, now: now(), theme, who, address, ..Reader::default() };
            let page = Page { title: r.t("Widgets", "위젯").into(), ..Page::default() };
            let words = web::document(&r, &|name| name.to_owned(), &page, body(&r));
            std::fs::write(dir.join(format!("{}-{}.html", lang.tag(), theme.word())), words)?;
        }
    }
    Ok(())
}

/// The pages' scripts compare with the real clock.
fn now() -> Time {
    let since = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    Time(since.as_millis() as i64)
}

fn ago(r: &Reader, ms: i64) -> Time {
    Time(r.now.0 - ms)
}

fn body(r: &Reader) -> Markup {
    html! {
        (widget::tabs("tabs", &[("One", "#".into(), true), ("Two", "#".into(), false)]))
        (states(r))
        (widget::section("lanes", "Lane", html! {}, lanes(r)))
        (widget::section("trace", "Waterfall", html! {}, trace(r)))
        (widget::section("graph", "Graph", html! {}, graph(r)))
        (widget::section("log", "Log", html! {}, log(r)))
        (plots(r))
        (words(r))
    }
}

fn states(r: &Reader) -> Markup {
    let row = |state: State| {
        let took = widget::duration(r, Some(ago(r, 70_000)), Some(r.now));
        let cells = vec![
            widget::pip(r, state),
            widget::badge(r, state, None),
            widget::ago(r, ago(r, 4_000_000)),
            took,
        ];
        (Some("#".to_owned()), cells)
    };
    let heads = vec![
        ("", String::new()),
        ("grow", r.t("State", "상태").to_owned()),
        ("wide", r.t("When", "시각").to_owned()),
        ("num", r.t("Took", "소요").to_owned()),
    ];
    let table = Table { heads, rows: ALL.map(row).to_vec() };
    widget::section("states", "States", widget::strip(r, &ALL), widget::table(&table))
}

fn lanes(r: &Reader) -> Markup {
    let lane = |reached: usize, at: State| {
        let station = |i: usize| Station {
            name: format!("Stop {i}"),
            state: match i.cmp(&reached) {
                std::cmp::Ordering::Less => State::Passed,
                std::cmp::Ordering::Equal => at,
                std::cmp::Ordering::Greater => State::Idle,
            },
            start: (i <= reached).then(|| ago(r, 9_000)),
            end: (i < reached).then_some(r.now),
            address: Some("#".to_owned()),
        };
        widget::lane(r, &Lane { stations: (0..5).map(station).collect() })
    };
    let ends = [
        (1, State::Running),
        (2, State::Queued),
        (3, State::Failed),
        (1, State::Canceled),
        (4, State::Live),
    ];
    let row = |(reached, at): (usize, State)| {
        let left = html! { a.title-link href="#" { "A change" } };
        ("#".to_owned(), left, lane(reached, at), widget::badge(r, at, None))
    };
    let heads = widget::lane_heads(r, &["One", "Two", "Three", "Four", "Five"]);
    widget::river_list(heads, ends.map(row).to_vec())
}

fn trace(r: &Reader) -> Markup {
    let bar = |name: &str, state, level, wait: i64, from: i64, to: Option<i64>| Bar {
        name: name.to_owned(),
        state,
        level,
        segments: vec![
            Segment { work: Work::Waiting, start: ago(r, wait), end: Some(ago(r, from)) },
            Segment { work: Work::Working, start: ago(r, from), end: to.map(|t| ago(r, t)) },
        ],
        address: Some("#".to_owned()),
        note: (state == State::Failed).then(|| "exit code 1".to_owned()),
    };
    widget::waterfall(
        r,
        &[
            bar("Pipeline", State::Passed, 0, 11_900, 11_500, Some(3_000)),
            bar("build 빌드", State::Passed, 1, 11_900, 11_500, Some(7_200)),
            bar("test", State::Failed, 1, 7_200, 6_000, Some(3_000)),
            bar("Rollout", State::Running, 0, 3_000, 2_900, None),
        ],
    )
}

fn graph(r: &Reader) -> Markup {
    let node = |name: &str, stage: &str, state: State, needs: &[&str]| Node {
        name: name.to_owned(),
        stage: stage.to_owned(),
        state,
        needs: needs.iter().map(|n| (*n).to_owned()).collect(),
        start: (state != State::Idle).then(|| ago(r, 9_000)),
        end: state.is_over().then(|| ago(r, 4_400)),
        address: "#".to_owned(),
        open: state == State::Running,
        note: None,
    };
    widget::graph(
        r,
        &[
            node("build", "build", State::Passed, &[]),
            node("lint 코드 검사", "build", State::Warned, &[]),
            node("unit 1/2", "test", State::Running, &["build"]),
            node("unit 2/2", "test", State::Failed, &["build"]),
            node("everything in one package", "package", State::Idle, &["unit 1/2", "unit 2/2"]),
            node("approve", "deploy", State::Waiting, &["lint 코드 검사"]),
        ],
    )
}

fn log(r: &Reader) -> Markup {
    let line = |ms: i64, stream, text: &str| Line {
        time: ago(r, 8_000 - ms),
        stream,
        whole: true,
        text: text.to_owned(),
    };
    let lines = [
        line(0, Stream::Note, "ready"),
        line(12, Stream::Out, "$ python3 -m unittest -v"),
        line(220, Stream::Out, "test_price ... \u{1b}[32mok\u{1b}[0m"),
        line(240, Stream::Err, "test_언어 ... \u{1b}[1;31mFAIL\u{1b}[0m"),
    ];
    widget::log(r, &Log { id: "l", lines: &lines, raw: Some("#"), ..Log::default() })
}

fn plots(r: &Reader) -> Markup {
    let dot = |i: u32| Dot {
        x: f64::from(i),
        y: f64::from(i * 7 % 23) + 4.0,
        mark: if i % 9 == 4 { Mark::Bad } else { Mark::Good },
        words: format!("change {i}"),
        address: Some("#".to_owned()),
    };
    let plot = Plot {
        spoken: "lead time".to_owned(),
        dots: (0..24).map(dot).collect(),
        levels: vec![("p90 24 s".to_owned(), 24.0), ("median 15 s".to_owned(), 15.0)],
        x: (0.0, 23.0),
        x_words: vec![(0.0, "11-01".to_owned()), (23.0, "11-24".to_owned())],
        y_words: vec![(0.0, "0".to_owned()), (15.0, "15 s".to_owned()), (30.0, "30 s".to_owned())],
        joined: true,
    };
    let days: Vec<_> =
        (1..=24).map(|d| (d.to_string(), d * 7 % 5, u64::from(d % 6 == 0))).collect();
    html! {
        div.two {
            (widget::section("plot", "Plot", html! {}, widget::plot(r, &plot)))
            (widget::section("bars", "Bars", html! {}, widget::bars(r, "deployments", &days)))
        }
    }
}

fn words(r: &Reader) -> Markup {
    let error = Error::new(
        ErrorKind::NotFound,
        "page.unknown",
        Text::fixed("there is nothing at this address", "이 주소에는 아무것도 없습니다"),
    );
    html! {
        @for state in [State::Running, State::Passed, State::Waiting, State::Failed] {
            (widget::flash(state, "something was said", Some("do this next")))
        }
        div.row {
            @for tone in [Tone::Plain, Tone::Main, Tone::Danger] { (widget::link_button("#", "Button", tone)) }
        }
        (widget::section("empty", "", html! {}, widget::empty(
            r,
            r.t("No change yet", "아직 변경이 없습니다"),
            r.t("Push a commit and watch it cross", "커밋을 푸시하고 건너는 모습을 보세요"),
            &["git push naru main"],
        )))
        (web::error_body(r, &error))
    }
}

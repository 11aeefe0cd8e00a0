//! Writes every widget and some composed pages as files, with the assets beside them: to look at.
//!
//! `cargo run -p web --example gallery -- DIR` makes `DIR/<page>-<lang>-<theme>.html`.

use kernel::log::{Line, Stream};
use kernel::{Error, ErrorKind, Lang, Name, Text, Time};
use maud::{Markup, html};
use std::path::PathBuf;
use web::widget::{self, Bar, Dot, Lane, Mark, Node, Plot, Segment, State, Station, Tone, Work};
use web::{Page, Reader, Theme};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir = PathBuf::from(std::env::args().nth(1).ok_or("where to?")?);
    std::fs::create_dir_all(&dir)?;
    for asset in web::ASSETS {
        std::fs::write(dir.join(asset.name), asset.bytes)?;
    }
    let pages: [(&str, fn(&Reader) -> (Page, Markup)); 6] = [
        ("home", home),
        ("change", change),
        ("run", run),
        ("metrics", metrics),
        ("widgets", widgets),
        ("error", error),
    ];
    for (name, draw) in pages {
        for lang in [Lang::En, Lang::Ko] {
            for theme in [Theme::Light, Theme::Dark] {
                let who = (name != "error").then(|| "han".to_owned());
                let r = Reader { lang, now: now(), theme, who, address: "/".into() };
                let (page, body) = draw(&r);
                let words = web::document(&r, &|name| name.to_owned(), &page, body);
                let file = format!("{name}-{}-{}.html", lang.tag(), theme.word());
                std::fs::write(dir.join(file), words)?;
            }
        }
    }
    Ok(())
}

/// The pages' scripts compare with the real clock.
fn now() -> Time {
    let since = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    Time(since.as_millis() as i64)
}

fn shop() -> Name {
    Name::parse("shop").unwrap_or_else(|_| unreachable!())
}

fn page(tab: &'static str, title: &str) -> Page {
    Page { live: None, ..Page::of(&shop(), tab, title) }
}

fn at(ms: i64) -> Time {
    Time(now().0 - ms)
}

fn crossing(r: &Reader, states: [State; 5]) -> Lane {
    let names = ["Push", "Pipeline", "Release", "Rollout", "Live"];
    let ko = ["푸시", "파이프라인", "릴리스", "배포", "운영"];
    let lengths = [112, 8_400, 61, 1_320, 0];
    let mut start = 90_000;
    let stations = states.iter().enumerate().map(|(i, state)| {
        let begun = !matches!(state, State::Idle | State::Queued | State::Skipped);
        let from = start;
        start -= lengths[i];
        Station {
            name: r.t(names[i], ko[i]).into(),
            state: *state,
            start: (begun && i < 4).then(|| at(from)),
            end: (begun && i < 4 && *state != State::Running).then(|| at(start)),
            address: Some("#".into()),
        }
    });
    Lane { stations: stations.collect() }
}

fn home(r: &Reader) -> (Page, Markup) {
    use State::*;
    let rows = [
        ("결제 금액이 0원이면 주문을 막는다", [Passed, Running, Idle, Idle, Idle], Running, None),
        (
            "Answer in the visitor's language",
            [Passed, Passed, Passed, Running, Idle],
            Running,
            None,
        ),
        ("Show the price with tax", [Passed, Passed, Passed, Passed, Live], Live, None),
        (
            "Break the cart",
            [Passed, Failed, Idle, Idle, Idle],
            Failed,
            Some("test: exit code 1 in test_cart.py::test_sum"),
        ),
        (
            "A health check that never answers, with a subject that is much longer than its author should ever have made it",
            [Passed, Passed, Passed, Failed, Idle],
            Failed,
            Some("web-4: 0 of 2 instances became healthy in 10 s"),
        ),
        ("First version", [Passed, Passed, Skipped, Skipped, Skipped], Skipped, None),
    ];
    let draw = |(subject, states, state, reason): &(&str, [State; 5], State, Option<&str>)| {
        let left = html! {
            a.title-link href="#" { (subject) }
            div.sub {
                (widget::commit("4f1c9a7be2d0", None)) span { "han" } span.tag { (web::icon::branch()) "main" }
                (widget::ago(r, at(90_000)))
            }
        };
        let right = html! {
            div.row { (widget::badge(r, *state, None)) span.num { "9.9 s" } }
            @match reason {
                Some(reason) => span.reason { (reason) },
                None => a href="http://web.shop.localhost:8000" { "web.shop.localhost" },
            }
        };
        ("#".to_owned(), left, widget::lane(r, &crossing(r, *states)), right)
    };
    let stops: Vec<&str> = ["Push", "Pipeline", "Release", "Rollout", "Live"].into();
    let list = widget::river_list(widget::lane_heads(r, &stops), rows.iter().map(draw).collect());
    let body = html! {
        (widget::heading(html! { "shop" }, html! { (widget::badge(r, Live, None)) }, html! {
            span { "git remote add naru http://127.0.0.1:8080/shop/web.git" }
        }, html! { (widget::link_button("#", r.t("New change", "새 변경"), Tone::Main)) }))
        div.stats #strip data-part {
            (widget::stat(r.t("Lead time, median", "리드 타임 중앙값"), html! { "9.9 s" }, html! { "p90 31 s · 30 d" }))
            (widget::stat(r.t("Deployments", "배포 횟수"), html! { "42" }, html! { "1.4 / d" }))
            (widget::stat(r.t("Change fail rate", "변경 실패율"), html! { "4.8 %" }, html! { "2 / 42" }))
            (widget::stat(r.t("Recovery, median", "복구 시간 중앙값"), html! { "1 m 12 s" }, html! { (widget::spark(&[3., 2., 5., 1., 4., 2.])) }))
        }
        (widget::section("changes", r.t("Changes", "변경"), html! {}, list))
        (widget::section("services", r.t("Services", "서비스"), html! {}, html! {
            div.service-line { (widget::pip(r, Live)) a.title-link href="#" { "web" } a.grow href="#" { "web.shop.localhost:8000" } span.soft { "2 / 2" } (widget::badge(r, Live, None)) }
            div.service-line { (widget::pip(r, Failed)) a.title-link href="#" { "worker" } span.grow {} span.soft { "0 / 1" } (widget::badge(r, Failed, None)) }
        }))
    };
    (page("changes", "shop").bare(), body)
}

fn change(r: &Reader) -> (Page, Markup) {
    use State::*;
    let segment = |work, from, to: Option<i64>| Segment { work, start: at(from), end: to.map(at) };
    let bar = |name: &str, state, level, segments| Bar {
        name: name.into(),
        state,
        level,
        segments,
        address: Some("#".into()),
        note: None,
    };
    let bars = [
        bar(r.t("Push", "푸시"), Passed, 0, vec![segment(Work::Working, 12_000, Some(11_880))]),
        bar(
            r.t("Pipeline", "파이프라인"),
            Passed,
            0,
            vec![
                segment(Work::Waiting, 11_880, Some(11_500)),
                segment(Work::Working, 11_500, Some(3_000)),
            ],
        ),
        bar(
            "build",
            Passed,
            1,
            vec![
                segment(Work::Waiting, 11_880, Some(11_500)),
                segment(Work::Working, 11_500, Some(7_200)),
            ],
        ),
        bar("test", Passed, 1, vec![segment(Work::Working, 7_190, Some(3_000))]),
        bar(
            "lint 코드 검사",
            Warned,
            1,
            vec![
                segment(Work::Waiting, 7_190, Some(6_000)),
                segment(Work::Working, 6_000, Some(5_200)),
            ],
        ),
        bar(r.t("Release", "릴리스"), Passed, 0, vec![segment(Work::Working, 2_990, Some(2_900))]),
        Bar {
            note: Some("0 of 2 instances became healthy".into()),
            ..bar(r.t("Rollout", "배포"), Failed, 0, vec![segment(Work::Working, 2_900, None)])
        },
    ];
    let commit = html! {
        span { (widget::commit("4f1c9a7be2d0", Some("#"))) } span { "han" } span.tag { (web::icon::branch()) "main" }
        span { (widget::ago(r, at(12_000))) }
    };
    let body = html! {
        (widget::heading(html! { "Answer in the visitor's language" }, widget::badge(r, Running, None), commit, html! {
            (widget::action("#", r.t("Cancel", "취소"), web::icon::cross(), Tone::Danger))
        }))
        (widget::flash(Failed, "web-4: 0 of 2 instances became healthy in 10 s; web-3 goes on serving", Some("naru logs web --release web-4")))
        (widget::section("way", "", html! {}, html! { div.lane-water { (widget::lane(r, &crossing(r, [Passed, Passed, Passed, Running, Idle]))) } }))
        (widget::section("trace", r.t("Where the time went", "시간이 쓰인 곳"), html! { span.soft { "12.0 s" } }, widget::waterfall(r, &bars)))
        div.two {
            (widget::section("commit", r.t("Commit", "커밋"), html! {}, widget::facts(&[
                (r.t("Author", "작성자"), html! { "Han <han@example.org>" }),
                (r.t("Branch", "브랜치"), html! { "main" }),
                (r.t("Release", "릴리스"), html! { a href="#" { "web-4" } }),
                (r.t("Previous", "이전"), html! { a href="#" { "web-3" } }),
            ])))
            (widget::section("log", "test", html! {}, widget::log(r, &widget::Log { id: "l", lines: &lines(), first: 1, raw: Some("#"), ..widget::Log::default() })))
        }
    };
    (page("changes", "Answer").bare().crumb("shop", "#").crumb(r.t("Changes", "변경"), "#"), body)
}

fn lines() -> Vec<Line> {
    let line = |ms: i64, stream, text: &str| Line {
        time: at(8_000 - ms),
        stream,
        whole: true,
        text: text.into(),
    };
    vec![
        line(0, Stream::Note, "sandbox ready: 2 layers, cache restored"),
        line(12, Stream::Out, "$ python3 -m unittest -v"),
        line(220, Stream::Out, "test_price (test_app.Price) ... \u{1b}[32mok\u{1b}[0m"),
        line(230, Stream::Out, "test_언어 (test_app.Language) ... \u{1b}[1;31mFAIL\u{1b}[0m"),
        line(
            240,
            Stream::Err,
            "AssertionError: 'Hello' != '안녕하세요' and this line is long enough that it has to be scrolled or wrapped",
        ),
        line(1250, Stream::Note, "exit code 1"),
    ]
}

fn run(r: &Reader) -> (Page, Markup) {
    use State::*;
    let node = |name: &str, stage: &str, state, needs: &[&str]| Node {
        name: name.into(),
        stage: stage.into(),
        state,
        needs: needs.iter().map(|n| n.to_string()).collect(),
        start: (state != Idle).then(|| at(9_000)),
        end: state.is_over().then(|| at(4_400)),
        address: "#".into(),
        open: name == "test 2/3",
        note: None,
    };
    let nodes = [
        node("build", "build", Passed, &[]),
        node("lint 코드 검사", "build", Warned, &[]),
        node("test 1/3", "test", Passed, &["build"]),
        node("test 2/3", "test", Running, &["build"]),
        node("test 3/3", "test", Failed, &["build"]),
        node("docs", "test", Queued, &["lint 코드 검사"]),
        node("package-everything-together", "package", Idle, &["test 1/3", "test 2/3", "test 3/3"]),
        node("approve", "deploy", Waiting, &["package-everything-together", "docs"]),
    ];
    let body = html! {
        (widget::heading(html! { "web pipeline" }, widget::badge(r, Running, None), html! { span { (widget::commit("4f1c9a7be2d0", Some("#"))) } span { (widget::ago(r, at(9000))) } }, html! {
            (widget::action("#", r.t("Retry", "다시 실행"), web::icon::again(), Tone::Plain))
            (widget::action("#", r.t("Cancel", "취소"), web::icon::cross(), Tone::Danger))
        }))
        (widget::section("graph", r.t("Steps", "단계"), html! {}, widget::graph(r, &nodes)))
        (widget::section("log", "test 2/3", widget::badge(r, Running, None), widget::log(r, &widget::Log { id: "l", lines: &lines(), first: 1, raw: Some("#"), ..widget::Log::default() })))
    };
    (page("runs", "run").bare().crumb("shop", "#").crumb(r.t("Runs", "실행"), "#"), body)
}

fn metrics(r: &Reader) -> (Page, Markup) {
    let dots = (0..24).map(|i| Dot {
        x: f64::from(i),
        y: [9.0, 14.0, 7.0, 31.0, 11.0][i as usize % 5],
        mark: if i % 9 == 4 { Mark::Bad } else { Mark::Good },
        words: format!("change {i}"),
        address: Some("#".into()),
    });
    let p = Plot {
        spoken: "lead time".into(),
        dots: dots.collect(),
        levels: vec![("p90 31 s".into(), 31.0), (r.t("median 11 s", "중앙값 11초").into(), 11.0)],
        x: (0.0, 23.0),
        x_words: vec![(0.0, "1 Nov".into()), (11.0, "12 Nov".into()), (23.0, "24 Nov".into())],
        y_words: vec![(0.0, "0".into()), (20.0, "20 s".into()), (40.0, "40 s".into())],
        joined: false,
    };
    let days: Vec<(String, u64, u64)> =
        (1..=24).map(|d| (format!("{d}"), (d * 7) % 5, u64::from(d % 6 == 0))).collect();
    let body = html! {
        div.two {
            (widget::section("lead", r.t("Change lead time", "변경 리드 타임"), html! {}, widget::plot(r, &p)))
            (widget::section("freq", r.t("Deployments a day", "하루 배포 횟수"), html! {}, widget::bars(r, "deployments", &days)))
        }
        (widget::section("none", r.t("Nothing yet", "아직 없음"), html! {}, widget::plot(r, &Plot::default())))
    };
    (page("metrics", r.t("Key metrics", "핵심 지표")), body)
}

fn widgets(r: &Reader) -> (Page, Markup) {
    use State::*;
    let all = [Idle, Queued, Running, Waiting, Passed, Live, Failed, Warned, Skipped, Canceled];
    let row = |s: State| {
        (
            Some("#".into()),
            vec![
                widget::pip(r, s),
                widget::badge(r, s, None),
                widget::ago(r, at(4_000_000)),
                widget::duration(r, Some(at(70_000)), Some(at(0))),
            ],
        )
    };
    let table = widget::Table {
        heads: vec![
            ("", "".into()),
            ("grow", r.t("State", "상태").into()),
            ("wide", r.t("When", "시각").into()),
            ("num", r.t("Took", "소요").into()),
        ],
        rows: all.into_iter().map(row).collect(),
    };
    let body = html! {
        (widget::tabs("x", &[("Files", "#".into(), true), ("Commits", "#".into(), false)]))
        div.two {
            (widget::section("t", "Table", html! {}, widget::table(&table)))
            (widget::section("e", "Empty", html! {}, widget::empty(r, r.t("No change yet", "아직 변경이 없습니다"), r.t("Push a commit and watch it cross", "커밋을 푸시하고 강을 건너는 모습을 보세요"), &["git remote add naru http://127.0.0.1:8080/shop/web.git", "git push naru main"])))
        }
        @for s in [Running, Passed, Waiting, Failed] { (widget::flash(s, "something was said", Some("do this next"))) }
        div.row { (widget::link_button("#", "Plain", Tone::Plain)) (widget::link_button("#", "Main", Tone::Main)) (widget::link_button("#", "Danger", Tone::Danger)) }
    };
    (page("", "Widgets"), body)
}

fn error(r: &Reader) -> (Page, Markup) {
    let e = Error::new(
        ErrorKind::Unauthenticated,
        "auth.required",
        Text::fixed("nobody is signed in", "로그인하지 않았습니다"),
    )
    .hint(Text::fixed(
        "sign in with a token or a one-time link",
        "토큰이나 일회용 링크로 로그인하세요",
    ));
    (Page { title: "error".into(), bare: true, ..Page::default() }, web::error_body(r, &e))
}

//! The frame and its pieces as a reader meets them.

use crate::testing::{complaint, words};
use crate::widget::{
    self, Bar, Dot, Lane, Log, Node, Plot, Segment, State, Station, Table, Tone, Work,
};
use crate::{Page, Reader, Theme, document, error_body};
use kernel::log::{Line, Stream};
use kernel::{Error, ErrorKind, Lang, Name, Text, Time};
use maud::{Markup, html};

const NOW: Time = Time(1_764_000_000_000);

fn reader(lang: Lang) -> Reader {
    Reader {
        lang,
        now: NOW,
        who: Some("han".into()),
        address: "/x?a=1".into(),
        ..Reader::default()
    }
}

fn ago(ms: i64) -> Time {
    Time(NOW.0 - ms)
}

fn station(name: &str, state: State) -> Station {
    let begun = !matches!(state, State::Idle | State::Queued);
    Station {
        name: name.into(),
        state,
        start: begun.then(|| ago(5_000)),
        end: state.is_over().then(|| ago(1_000)),
        address: Some("/there".into()),
    }
}

fn node(name: &str, stage: &str, needs: &[&str]) -> Node {
    Node {
        name: name.into(),
        stage: stage.into(),
        needs: needs.iter().map(|n| n.to_string()).collect(),
        address: "/there".into(),
        ..Node::default()
    }
}

fn line(text: &str, stream: Stream) -> Line {
    Line { time: ago(500), stream, whole: true, text: text.into() }
}

/// One of each widget.
fn everything(r: &Reader) -> Markup {
    let lane =
        Lane { stations: vec![station("Push", State::Passed), station("Live", State::Idle)] };
    let working = Segment { work: Work::Working, start: ago(2_000), end: None };
    let bar = Bar { name: "build".into(), segments: vec![working], ..Bar::default() };
    let dot = Dot { x: 1.0, y: 2.0, words: "web-1".into(), ..Dot::default() };
    let plot = Plot {
        dots: vec![dot],
        x: (0.0, 2.0),
        y_words: vec![(4.0, "4".into())],
        ..Plot::default()
    };
    let lines = [line("<script>alert(1)</script> \u{1b}[31mred", Stream::Err)];
    let log = Log { id: "l", lines: &lines, follow: Some("/log"), ..Log::default() };
    let table = Table {
        heads: vec![("grow", "Name".into())],
        rows: vec![(Some("/row".into()), vec![html! { "x" }])],
    };
    html! {
        (widget::heading(html! { "t" }, widget::badge(r, State::Live, None), html! {}, html! {}))
        (widget::section("a", "Part", html! {}, widget::lane(r, &lane)))
        (widget::river_list(widget::lane_heads(r, &["Push"]), vec![("/c".into(), html! {}, widget::lane(r, &lane), html! {})]))
        (widget::waterfall(r, &[bar]))
        (widget::graph(r, &[node("a", "build", &[]), node("b", "test", &["a"])]))
        (widget::log(r, &log))
        (widget::plot(r, &plot))
        (widget::bars(r, "bars", &[("x".into(), 3, 1), ("y".into(), 0, 0)]))
        (widget::spark(&[1.0, 2.0]))
        (widget::strip(r, &[State::Passed; 60]))
        (widget::table(&table))
        (widget::tabs("t", &[("One", "/1".into(), true)]))
        (widget::facts(&[("k", html! { "v" })]))
        (widget::stat("k", html! { "v" }, html! {}))
        (widget::empty(r, "t", "w", &["naru up"]))
        (widget::flash(State::Failed, "w", Some("h")))
        (widget::action("/do", "Do", crate::icon::again(), Tone::Main))
        (widget::code_block("<b>"))
        (widget::ago_or_dash(r, None))
    }
}

fn whole(r: &Reader, page: &Page, body: Markup) -> String {
    document(r, &|name| format!("/assets/{name}"), page, body)
}

#[test]
fn no_page_breaks_the_content_security_policy_or_its_own_markup() {
    let shop = Name::parse("shop").unwrap();
    for lang in [Lang::En, Lang::Ko] {
        for theme in [Theme::System, Theme::Light, Theme::Dark] {
            let r = Reader { theme, ..reader(lang) };
            let page = Page::of(&shop, "runs", "Runs").crumb("shop", "/projects/shop");
            let html = whole(&r, &page, everything(&r));
            assert_eq!(complaint(&html), None, "{lang:?} {theme:?}");
            assert!(html.contains(&format!("data-theme=\"{}\"", theme.word())));
            assert!(html.contains(&format!("<html lang=\"{}\"", lang.tag())));
        }
    }
}

#[test]
fn the_open_tab_is_lit_and_every_tab_stays_in_the_project() {
    let shop = Name::parse("shop").unwrap();
    let html = whole(&reader(Lang::En), &Page::of(&shop, "runs", "Runs"), html! {});
    assert!(html.contains("href=\"/projects/shop/runs\" data-go=\"r\" aria-current=\"page\""));
    assert_eq!(html.matches("data-go=").count(), 10);
    assert!(html.contains("href=\"/events?project=shop\""));
}

#[test]
fn nobody_signed_in_sees_a_way_to_sign_in_and_no_menu() {
    let r = Reader { who: None, ..reader(Lang::Ko) };
    let html = whole(&r, &Page::default(), html! {});
    assert!(words(&html).contains("로그인") && html.contains("href=\"/sign-in\""));
    assert!(!html.contains("data-go") && !html.contains("/sign-out"));
}

#[test]
fn an_error_says_what_to_do_and_a_401_leads_to_sign_in_and_back() {
    let r = reader(Lang::En);
    let say = Text::fixed("nobody is signed in", "로그인하지 않았습니다");
    let denied = Error::new(ErrorKind::Unauthenticated, "auth.required", say.clone());
    let html =
        error_body(&r, &denied.hint(Text::fixed("send a token", "토큰을 보내세요"))).into_string();
    assert!(html.contains("href=\"/sign-in?back=%2Fx%3Fa%3D1\""), "{html}");
    assert!(words(&html).contains("nobody is signed in this page is shown afterwards"));
    let missing = Error::not_found("x.unknown", say).hint(Text::fixed("see `naru x list`", "-"));
    assert!(error_body(&r, &missing).into_string().contains("see <code>naru x list</code>"));
    let broken = error_body(&r, &Error::internal("a secret path")).into_string();
    assert!(!broken.contains("a secret path"), "what operators should see is not shown");
    assert_eq!(complaint(&broken), None);
}

#[test]
fn the_ferry_is_where_the_change_is() {
    let r = reader(Lang::En);
    let lane = |states: [State; 3]| {
        let stations = states.map(|s| station("Stop", s)).to_vec();
        widget::lane(&r, &Lane { stations }).into_string()
    };
    let at = |html: &str| {
        let stops: Vec<&str> = html.split("<li").skip(1).collect();
        stops.iter().position(|s| s.contains("class=\"ferry\""))
    };
    assert_eq!(at(&lane([State::Passed, State::Running, State::Idle])), Some(1));
    assert_eq!(at(&lane([State::Passed, State::Queued, State::Idle])), Some(1));
    assert_eq!(at(&lane([State::Passed, State::Passed, State::Live])), None);
    assert_eq!(at(&lane([State::Passed, State::Failed, State::Idle])), None, "it has sunk");
}

#[test]
fn a_waterfall_draws_waiting_before_working_to_scale() {
    let r = reader(Lang::En);
    let segments = vec![
        Segment { work: Work::Waiting, start: ago(1_000), end: Some(ago(750)) },
        Segment { work: Work::Working, start: ago(750), end: Some(ago(0)) },
    ];
    let bar = Bar { name: "build".into(), state: State::Passed, segments, ..Bar::default() };
    let html = widget::waterfall(&r, &[bar]).into_string();
    assert!(html.contains("x=\"0%\" width=\"25%\""), "{html}");
    assert!(html.contains("x=\"25%\" width=\"75%\""), "{html}");
    assert!(html.contains("working 750 ms, waiting 250 ms"), "said in words as well");
    assert_eq!(widget::waterfall(&r, &[]).into_string(), "");
}

#[test]
fn a_log_is_text_whatever_a_program_writes() {
    let r = reader(Lang::En);
    let lines = [line("<img src=x onerror=alert(1)> \u{1b}]0;title\u{7}ok", Stream::Out)];
    let html = widget::log(&r, &Log { id: "l", lines: &lines, ..Log::default() }).into_string();
    assert!(html.contains("&lt;img src=x onerror=alert(1)&gt;"), "{html}");
    assert!(!html.contains('\u{1b}') && !html.contains('\u{7}'));
    assert_eq!(complaint(&html), None);
}

#[test]
fn a_graph_has_a_list_beside_it_and_too_many_steps_are_a_list_alone() {
    let r = reader(Lang::En);
    let html = widget::graph(&r, &[node("a", "build", &[]), node("b", "test", &["a"])]);
    let html = html.into_string();
    assert_eq!(html.matches("class=\"graph-edge").count(), 1);
    assert_eq!(html.matches("href=\"/there\"").count(), 4, "each step in both");
    let many: Vec<Node> = (0..500).map(|i| node(&format!("s{i}"), "x", &[])).collect();
    assert!(!widget::graph(&r, &many).into_string().contains("<svg width=\"0\""));
    assert!(!widget::graph(&r, &many).into_string().contains("data-graph"));
}

#[test]
fn a_link_holds_any_name() {
    assert_eq!(crate::segment("unit 2/4 한"), "unit%202%2F4%20%ED%95%9C");
    assert_eq!(crate::path("src/a b?.py"), "src/a%20b%3F.py");
}

#[test]
fn the_assets_are_there_and_keep_to_themselves() {
    for asset in crate::ASSETS {
        let text = std::str::from_utf8(asset.bytes).unwrap();
        assert!(!text.is_empty(), "{}", asset.name);
        for elsewhere in ["http://", "https://", "@import", "eval(", "innerHTML"] {
            let ours = text.replace("http://www.w3.org/", "");
            assert!(!ours.contains(elsewhere), "{} has {elsewhere}", asset.name);
        }
    }
}

#[test]
fn sizes_are_powers_of_a_thousand() {
    use crate::widget::size;
    assert_eq!([size(999), size(1500), size(2_000_000)], ["999 B", "1.5 kB", "2.0 MB"]);
}

//! The frame around every page.

use crate::{Reader, Theme, assets, icon, segment, widget};
use kernel::{Error, ErrorKind, Name};
use maud::{DOCTYPE, Markup, html};
use naru_http::{Head, Response};

/// One step of the path to a page: its words and address.
pub type Crumb = (String, String);

/// What the shell needs to know of a page.
#[derive(Clone, Debug, Default)]
pub struct Page {
    pub title: String,
    pub project: Option<Name>,
    /// Which entry of the navigation is lit: `changes`, `services`, `runs`, `code`, `metrics`, `events`.
    pub tab: &'static str,
    pub crumbs: Vec<Crumb>,
    /// Address of a stream of events; each makes the page's live parts draw themselves again.
    pub live: Option<String>,
    /// The body draws its own heading.
    pub bare: bool,
}

impl Page {
    /// A page of a project, whose live parts follow the project's events.
    pub fn of(project: &Name, tab: &'static str, title: impl Into<String>) -> Page {
        Page {
            title: title.into(),
            project: Some(project.clone()),
            tab,
            live: Some(format!("/api/v1/events?project={project}&follow=true")),
            ..Page::default()
        }
    }

    pub fn crumb(mut self, words: impl Into<String>, address: impl Into<String>) -> Page {
        self.crumbs.push((words.into(), address.into()));
        self
    }

    /// The body draws its own heading.
    pub fn bare(mut self) -> Page {
        self.bare = true;
        self
    }

    /// Follows only the events of this query: `project=shop&change=web-1a2b`.
    pub fn follow(mut self, query: &str) -> Page {
        self.live = Some(format!("/api/v1/events?{query}&follow=true"));
        self
    }
}

/// A whole page.
pub fn page(head: &Head, page: &Page, body: Markup) -> Response {
    let asset = |name: &str| head.site.asset(name);
    naru_http::html(document(&Reader::of(head), &asset, page, body))
}

/// A whole page, apart from any server: `asset` gives the address of one of [`crate::ASSETS`].
pub fn document(r: &Reader, asset: &dyn Fn(&str) -> String, page: &Page, body: Markup) -> String {
    html! {
        (DOCTYPE)
        html lang=(r.lang.tag()) data-theme=(r.theme.word()) {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (page.title) @if let Some(p) = &page.project { " · " (p) } " · naru" }
                link rel="icon" href=(asset("naru.svg")) type="image/svg+xml";
                @for name in assets::styles() { link rel="stylesheet" href=(asset(name)); }
                @for name in assets::modules() { script type="module" src=(asset(name)) {} }
            }
            body data-live=[&page.live] data-from=[page.live.as_ref().map(|_| r.since)] data-project=[page.project.as_ref().map(Name::as_str)] {
                a.skip href="#main" { (r.t("Skip to the content", "본문으로 건너뛰기")) }
                (river(r, page))
                main #main tabindex="-1" {
                    (alarms(r))
                    (crumbs(r, page))
                    @if !page.bare { h1 { (page.title) } }
                    (body)
                }
                (foot(r))
                (help(r))
            }
        }
    }
    .into_string()
}

/// The bar at the top: the river, with the ways across it.
fn river(r: &Reader, page: &Page) -> Markup {
    html! {
        header.river {
            div.river-in {
                a.logo href="/" aria-label=(r.t("naru, front page", "나루 첫 화면")) {
                    (icon::mark()) span { "naru" }
                }
                @if r.who.is_some() {
                    a.switcher href="/projects" title=(r.t("Switch project", "프로젝트 바꾸기"))
                        data-all=(r.t("All projects", "모든 프로젝트")) {
                        @match &page.project {
                            Some(p) => (p),
                            None => (r.t("All projects", "모든 프로젝트")),
                        }
                        (icon::chevron())
                    }
                }
                @if r.who.is_some() { (navigation(r, page)) }
                div.river-end { (preferences(r)) (person(r)) }
            }
            (wave())
        }
    }
}

/// The navigation's entries: tab, English, Korean, address below the project, and the key after `g`.
const TABS: [(&str, &str, &str, &str, &str); 10] = [
    ("changes", "Changes", "변경", "", "c"),
    ("merge-requests", "Merge requests", "머지 요청", "/merge-requests", "q"),
    ("runs", "Runs", "실행", "/runs", "r"),
    ("tests", "Tests", "테스트", "/tests", "t"),
    ("services", "Services", "서비스", "/services", "s"),
    ("environments", "Environments", "환경", "/environments", "n"),
    ("code", "Code", "코드", "/code", "d"),
    ("metrics", "Metrics", "지표", "/metrics", "m"),
    ("access", "Access", "권한", "/access", "a"),
    ("events", "Events", "이벤트", "", "e"),
];

fn navigation(r: &Reader, page: &Page) -> Markup {
    let address = |tab: &str, below: &str| match (&page.project, tab) {
        (Some(p), "events") => format!("/events?project={p}"),
        (Some(p), _) => format!("/projects/{p}{below}"),
        (None, _) => "/events".to_owned(),
    };
    // Without a project only events have somewhere to lead.
    let shown = TABS.iter().filter(|t| page.project.is_some() || t.0 == "events");
    html! {
        nav.tabs aria-label=(r.t("Main", "주 메뉴")) {
            @for (tab, en, ko, below, key) in shown {
                a href=(address(tab, below)) data-go=(key)
                    aria-current=[(page.tab == *tab).then_some("page")] { (r.t(en, ko)) }
            }
        }
    }
}

fn preferences(r: &Reader) -> Markup {
    let (next, words, picture) = match r.theme {
        Theme::System => ("dark", r.t("Colours: system", "색상: 시스템"), icon::half()),
        Theme::Dark => ("light", r.t("Colours: dark", "색상: 어둡게"), icon::moon()),
        Theme::Light => ("system", r.t("Colours: light", "색상: 밝게"), icon::sun()),
    };
    let (lang, other) = (r.t("ko", "en"), r.t("한국어", "English"));
    html! {
        form.prefer method="post" action="/preferences" {
            input type="hidden" name="back" value=(r.address);
            button.quiet name="lang" value=(lang) lang=(lang) { (other) }
            button.quiet.round name="theme" value=(next) title=(words) aria-label=(words) { (picture) }
        }
    }
}

fn person(r: &Reader) -> Markup {
    let Some(who) = &r.who else {
        return html! { a.button.on-river href="/sign-in" { (r.t("Sign in", "로그인")) } };
    };
    html! {
        details.menu {
            summary aria-label=(r.t("Account", "계정")) { (icon::person()) span { (who) } }
            div.menu-in {
                a href="/account" { (r.t("My account", "내 계정")) }
                a href="/tokens" { (r.t("Access tokens", "접근 토큰")) }
                a href="/access" { (r.t("Access requests", "권한 요청")) }
                a href="/projects" { (r.t("All projects", "모든 프로젝트")) }
                @if r.administers {
                    a href="/people" { (r.t("People and groups", "사람과 그룹")) }
                }
                form method="post" action="/sign-out" {
                    button.quiet { (r.t("Sign out", "로그아웃")) }
                }
            }
        }
    }
}

/// The river's lower edge.
fn wave() -> Markup {
    html! {
        svg.wave viewBox="0 0 1200 8" preserveAspectRatio="none" aria-hidden="true" {
            path d="M0 0h1200v3.5C1150 7.5 1100 7.5 1050 4.5S950 1 900 3.5 800 7.5 750 4.5 650 1 600 3.5 500 7.5 450 4.5 350 1 300 3.5 200 7.5 150 4.5 50 1 0 3.5Z" {}
        }
    }
}

/// What whoever runs the platform must not overlook, on whatever page they are.
fn alarms(r: &Reader) -> Markup {
    html! {
        @for alarm in &r.alarms {
            div.flash.is-failed role="alert" {
                (icon::bang())
                div { p { a href="/access" { (alarm.get(r.lang)) } } }
            }
        }
    }
}

fn crumbs(r: &Reader, page: &Page) -> Markup {
    html! {
        @if !page.crumbs.is_empty() {
            nav.crumbs aria-label=(r.t("You are here", "현재 위치")) {
                ol {
                    @for (words, address) in &page.crumbs {
                        li { a href=(address) { (words) } }
                    }
                }
            }
        }
    }
}

fn foot(r: &Reader) -> Markup {
    html! {
        footer {
            span { "naru " (env!("CARGO_PKG_VERSION")) }
            span.motto { (r.t("where development lands in operations", "개발이 운영에 닿는 나루")) }
            a href="/api/v1/openapi.json" { "API" }
            span.keys-hint hidden { kbd { "?" } " " (r.t("keyboard", "단축키")) }
        }
    }
}

/// What the keys do; `keys.js` opens it.
fn help(r: &Reader) -> Markup {
    let keys = [
        (
            "/",
            r.t(
                "Find: filter the page, or switch project",
                "찾기: 목록 거르기 또는 프로젝트 바꾸기",
            ),
        ),
        ("j k", r.t("Next, previous row; Enter opens it", "다음·이전 줄, Enter로 열기")),
        ("t", r.t("Colours: system, dark, light", "색상: 시스템·어둡게·밝게")),
        ("?", r.t("This help", "이 도움말")),
    ];
    html! {
        dialog #keys aria-labelledby="keys-title" {
            h2 #keys-title { (r.t("Keyboard", "단축키")) }
            dl.keys {
                dt { kbd { "g" } " " kbd { "p" } } dd { (r.t("Projects", "프로젝트")) }
                @for (_, en, ko, _, key) in &TABS {
                    dt { kbd { "g" } " " kbd { (key) } } dd { (r.t(en, ko)) }
                }
                @for (key, words) in keys {
                    dt { @for k in key.split(' ') { kbd { (k) } " " } } dd { (words) }
                }
            }
            form method="dialog" { button.button { (r.t("Close", "닫기")) } }
        }
    }
}

/// The page of an error.
pub fn error_page(head: &Head, error: &Error) -> String {
    let r = Reader::of(head);
    let page = Page { title: error.say().get(r.lang).to_owned(), bare: true, ..Page::default() };
    let asset = |name: &str| head.site.asset(name);
    document(&r, &asset, &page, error_body(&r, error))
}

/// What an error says, and the way on from it.
pub fn error_body(r: &Reader, error: &Error) -> Markup {
    let kind = error.kind();
    html! {
        section.wreck {
            (adrift())
            p.wreck-code { (kind.status()) " · " code { (error.code()) } }
            h1 { (error.say().get(r.lang)) }
            @if let Some(place) = error.place() { p { code { (place) } } }
            @if let Some(hint) = advice(r, error) { p.hint { (spoken(hint)) } }
            p.actions { (way_on(r, kind)) }
        }
    }
}

/// An error's hint, for somebody at a page: those who have yet to sign in need no lecture about headers.
fn advice<'a>(r: &Reader, error: &'a Error) -> Option<&'a str> {
    match error.kind() {
        ErrorKind::Unauthenticated => {
            Some(r.t("this page is shown afterwards", "로그인하면 이 화면으로 돌아옵니다"))
        }
        _ => error.get_hint().map(|hint| hint.get(r.lang)),
    }
}

/// Words in which `commands` stand between backticks.
fn spoken(words: &str) -> Markup {
    html! {
        @for (n, part) in words.split('`').enumerate() {
            @if n % 2 == 1 { code { (part) } } @else { (part) }
        }
    }
}

fn way_on(r: &Reader, kind: ErrorKind) -> Markup {
    match kind {
        ErrorKind::Unauthenticated => {
            let there = format!("/sign-in?back={}", segment(&r.address));
            widget::link_button(&there, r.t("Sign in", "로그인"), widget::Tone::Main)
        }
        ErrorKind::Internal | ErrorKind::Unavailable | ErrorKind::Busy => {
            widget::link_button(&r.address, r.t("Try again", "다시 시도"), widget::Tone::Main)
        }
        _ => widget::link_button("/", r.t("To the front page", "첫 화면으로"), widget::Tone::Main),
    }
}

/// A ferry adrift: the picture of the error page.
fn adrift() -> Markup {
    html! {
        svg.adrift viewBox="0 0 240 90" width="240" height="90" aria-hidden="true" {
            path.bank d="M0 62c22-2 34-12 52-13v41H0ZM240 60c-20-1-32-11-50-12v42h50Z" {}
            path.water d="M46 66c12 0 12-5 24-5s12 5 24 5 12-5 24-5 12 5 24 5 12-5 24-5 12 5 26 5v24H46Z" {}
            g transform="rotate(-9 118 52)" {
                path.sail d="M116 16v28H96c9-7 16-16 20-28ZM121 23c6 5 10 12 13 21h-13Z" {}
                path.hull d="M88 48h64c-2 8-7 13-14 15h-36c-7-2-12-7-14-15Z" {}
            }
        }
    }
}

//! What happened: the journal, newest first.

use crate::event::filter;
use kernel::{Event, Name, Result};
use maud::{Markup, html};
use naru_http::{Call, Response};
use store::Filter;
use web::widget::{self, Table};
use web::{Page, Reader};

const SHOWN: usize = 100;

/// What the reader chose to see.
#[derive(Default)]
pub(super) struct Choice {
    pub project: Option<Name>,
    pub kind: String,
    pub change: String,
    /// Projects to choose from.
    pub projects: Vec<Name>,
}

pub(super) async fn show(call: Call) -> Result<Response> {
    let projects = call.visible().await?;
    let choice = Choice {
        project: call
            .query("project")
            .filter(|p| !p.is_empty())
            .map(|p| Name::parse(&p))
            .transpose()?,
        kind: call.query("kind").unwrap_or_default().trim().to_owned(),
        change: call.query("change").unwrap_or_default().trim().to_owned(),
        projects,
    };
    let before = call.number("before")?.unwrap_or(i64::MAX.unsigned_abs());
    let events = read(&call, &choice, before).await?;
    let r = Reader::of(&call);
    let mut query = format!("kind={}", web::segment(&choice.kind));
    if let Some(project) = &choice.project {
        query.push_str(&format!("&project={project}"));
    }
    let title = r.t("Events", "이벤트").to_owned();
    let page = Page {
        title,
        project: choice.project.clone(),
        tab: "events",
        bare: true,
        ..Page::default()
    };
    let page = page.follow(&query);
    Ok(web::page(&call, &page, draw(&r, &choice, &events)))
}

/// A project's events, or for all projects those the reader may see.
async fn read(call: &Call, choice: &Choice, before: u64) -> Result<Vec<Event>> {
    let platform = policy::Target::platform();
    let all = policy::Action::PlatformAdminister;
    let administrator = call.site.policy.can(&call.who, all, &platform).await;
    if choice.project.is_some() || administrator {
        let chosen = filter(call, choice.project.clone()).await?;
        return call.site.store.read(move |v| v.events_back(before, SHOWN, &chosen)).await;
    }
    let visible = choice.projects.clone();
    let kind = Some(choice.kind.clone()).filter(|k| !k.is_empty());
    let chosen = Filter { kind, ..Filter::default() };
    let seen = move |e: &Event| e.fact.project.as_ref().is_some_and(|p| visible.contains(p));
    // Other people's events thin the page out; reading on for ever to fill it would be worse.
    let read = move |v: &store::View<'_>| v.events_back(before, SHOWN * 10, &chosen);
    let mut events = call.site.store.read(read).await?;
    events.retain(seen);
    events.truncate(SHOWN);
    Ok(events)
}

pub(super) fn draw(r: &Reader, choice: &Choice, events: &[Event]) -> Markup {
    let title = html! { (r.t("Events", "이벤트")) };
    let about = html! { (r.t(
        "Every fact, in the order in which it became true; nothing is ever changed or removed",
        "일어난 순서 그대로의 모든 사실입니다. 바뀌거나 지워지지 않습니다",
    )) };
    let body = if events.is_empty() {
        widget::empty(
            r,
            r.t("Nothing like that happened", "그런 일은 없었습니다"),
            r.t(
                "Loosen the filter, or follow along in a terminal",
                "조건을 넓히거나 터미널에서 따라가 보세요",
            ),
            &["naru events --follow"],
        )
    } else {
        widget::table(&Table { heads: heads(r), rows: events.iter().map(|e| row(r, e)).collect() })
    };
    html! {
        (widget::heading(title, html! {}, about, html! {}))
        (choose(r, choice))
        (widget::section("events", "", html! {}, body))
        @if let Some(last) = events.last().filter(|_| events.len() == SHOWN) {
            p { a.button href=(older(choice, last.seq)) { (r.t("Older events", "이전 이벤트")) } }
        }
    }
}

fn older(choice: &Choice, before: u64) -> String {
    let project = choice.project.as_ref().map(|p| format!("&project={p}")).unwrap_or_default();
    let change = Some(&choice.change).filter(|c| !c.is_empty());
    let change = change.map(|c| format!("&change={}", web::segment(c))).unwrap_or_default();
    format!("/events?before={before}&kind={}{project}{change}", web::segment(&choice.kind))
}

fn choose(r: &Reader, choice: &Choice) -> Markup {
    html! {
        form.filter method="get" action="/events" {
            select name="project" aria-label=(r.t("Project", "프로젝트")) {
                option value="" { (r.t("all projects", "모든 프로젝트")) }
                @for name in &choice.projects {
                    option value=(name) selected[choice.project.as_ref() == Some(name)] { (name) }
                }
            }
            input type="text" name="kind" value=(choice.kind) list="kinds" placeholder=(r.t("kind: rollout.", "종류: rollout."))
                aria-label=(r.t("Kind, or its beginning with a dot", "종류 또는 점으로 끝나는 앞부분"));
            datalist #kinds { @for kind in KINDS { option value=(kind) {} } }
            input type="text" name="change" value=(choice.change) placeholder=(r.t("change", "변경"))
                aria-label=(r.t("Change", "변경"));
            button.button { (r.t("Show", "보기")) }
        }
    }
}

/// Beginnings that are worth offering.
const KINDS: [&str; 8] =
    ["git.", "pipeline.", "run.", "release.", "rollout.", "change.", "resource.", "token."];

fn heads(r: &Reader) -> Vec<(&'static str, String)> {
    vec![
        ("num wide", "#".to_owned()),
        ("", r.t("When", "시각").to_owned()),
        ("wide", r.t("Kind", "종류").to_owned()),
        ("grow", r.t("What", "내용").to_owned()),
        ("wide", r.t("Change", "변경").to_owned()),
        ("wide", r.t("Who", "주체").to_owned()),
    ]
}

fn row(r: &Reader, event: &Event) -> (Option<String>, Vec<Markup>) {
    let fact = &event.fact;
    let of = fact.project.as_ref().zip(fact.change.as_ref());
    let address = of.map(|(p, c)| format!("/projects/{p}/changes/{c}"));
    let cells = vec![
        html! { span.faint { (event.seq) } },
        widget::ago(r, event.time),
        html! { code.kind { (fact.kind) } },
        html! {
            (fact.say.get(r.lang))
            @if let Some(project) = &fact.project { " " a.faint href=(format!("/projects/{project}")) { (project) } }
        },
        html! { @if let (Some(address), Some(change)) = (&address, &fact.change) { a.commit href=(address) { (change) } } },
        html! { span.soft { (fact.actor) } },
    ];
    (address, cells)
}

//! The projects of whoever reads.

use kernel::journey::{ChangeFinished, Fact, Outcome, Pushed};
use kernel::{Event, Name, Principal, Resource, Result, Text, Time};
use maud::{Markup, html};
use naru_http::{Call, Response, found};
use store::{Filter, View};
use web::widget::{self, State};
use web::{Page, Reader};

/// Projects on the page, and services shown of each.
const PROJECTS: usize = 200;
const SERVICES: usize = 12;
/// Ends of changes shown of each.
const ENDED: usize = 5;
const NEWEST: u64 = i64::MAX.unsigned_abs();

/// One project, as its card shows it.
pub(super) struct Card {
    pub name: Name,
    pub title: String,
    pub services: Vec<Resource>,
    /// When anything happened last.
    pub stirred: Option<Time>,
    /// Its last changes that ended, newest first.
    pub ended: Vec<Ended>,
}

/// How a change ended.
pub(super) struct Ended {
    pub change: Name,
    /// First line of its commit's message.
    pub subject: String,
    pub outcome: Outcome,
    pub say: Text,
    pub time: Time,
}

/// The front page: where a reader who is not signed in is led on.
pub(super) async fn front(call: Call) -> Result<Response> {
    if call.who == Principal::Anonymous {
        return found("/sign-in");
    }
    show(call).await
}

pub(super) async fn show(call: Call) -> Result<Response> {
    let mut visible = call.visible().await?;
    visible.truncate(PROJECTS);
    let read = move |v: &View<'_>| visible.into_iter().map(|name| card(v, name)).collect();
    let cards: Vec<Card> = call.site.store.read(read).await?;
    let r = Reader::of(&call);
    let page =
        Page { title: r.t("Projects", "프로젝트").to_owned(), bare: true, ..Page::default() };
    Ok(web::page(&call, &page, draw(&r, &cards)))
}

fn card(v: &View<'_>, name: Name) -> Result<Card> {
    let key = kernel::Key { kind: "Project".into(), project: None, name: name.clone() };
    let project = v.resource(&key)?;
    let title = project.as_ref().and_then(|p| p.spec.get("title")?.as_str());
    let filter = Filter { project: Some(name.clone()), ..Filter::default() };
    let last = v.events_back(NEWEST, 1, &filter)?.pop();
    let ends = Filter { kind: Some(ChangeFinished::KIND.into()), ..filter };
    Ok(Card {
        title: title.unwrap_or_default().to_owned(),
        services: v.resources("Service", Some(&name), None, SERVICES)?,
        stirred: last.map(|e| e.time),
        ended: v
            .events_back(NEWEST, ENDED, &ends)?
            .into_iter()
            .filter_map(|e| ended(v, e).transpose())
            .collect::<Result<_>>()?,
        name,
    })
}

/// The event, with what the push of its change said.
fn ended(v: &View<'_>, event: Event) -> Result<Option<Ended>> {
    let (Some(fact), Some(change)) = (ChangeFinished::of(&event), event.fact.change) else {
        return Ok(None);
    };
    let project = event.fact.project;
    let kind = Some(Pushed::KIND.into());
    let pushes = Filter { project, change: Some(change.clone()), kind, ..Filter::default() };
    let pushed = v.events(0, 1, &pushes)?.first().and_then(Pushed::of);
    let commits = pushed.iter().flat_map(|p| p.head.iter().chain(&p.commits));
    let subject = commits.filter(|c| c.id == fact.commit).map(|c| c.subject.clone()).next();
    Ok(Some(Ended {
        subject: subject.unwrap_or_else(|| change.to_string()),
        outcome: fact.outcome,
        say: event.fact.say,
        time: event.time,
        change,
    }))
}

pub(super) fn draw(r: &Reader, cards: &[Card]) -> Markup {
    let find = html! {
        @if cards.len() > 1 {
            input type="search" data-find placeholder=(r.t("Find /", "찾기 /"))
                aria-label=(r.t("Find a project", "프로젝트 찾기"));
        }
    };
    let title = html! { (r.t("Projects", "프로젝트")) };
    html! {
        (widget::heading(title, html! {}, html! {}, find))
        @if cards.is_empty() {
            (widget::section("none", "", html! {}, widget::empty(
                r,
                r.t("No project yet", "아직 프로젝트가 없습니다"),
                r.t(
                    "A project holds repositories, their pipelines and the services that come of them",
                    "프로젝트에는 저장소와 파이프라인, 거기서 나온 서비스가 모입니다",
                ),
                &["naru project create shop", "naru up --demo"],
            )))
        } @else {
            div.stack #cards data-part { @for card in cards { (draw_card(r, card)) } }
        }
    }
}

fn draw_card(r: &Reader, card: &Card) -> Markup {
    let name = &card.name;
    let address = format!("/projects/{name}");
    html! {
        article.card.project data-row=(address) {
            div.project-name {
                a.card-title href=(address) { (name) }
                @if !card.title.is_empty() { p.soft { (card.title) } }
                div.row {
                    @for service in &card.services { (chip(r, name, service)) }
                    @if card.services.is_empty() {
                        span.faint { (r.t("no service yet", "아직 서비스 없음")) }
                    }
                }
                @if let Some(at) = card.stirred { p.faint { (widget::ago(r, at)) } }
            }
            ul.ends {
                @for ended in &card.ended { (end(r, name, ended)) }
                @if card.ended.is_empty() {
                    li.faint { (r.t("no change has crossed yet", "아직 건너간 변경이 없습니다")) }
                }
            }
        }
    }
}

fn end(r: &Reader, project: &Name, ended: &Ended) -> Markup {
    let state = match ended.outcome {
        Outcome::Live => State::Live,
        Outcome::Passed => State::Passed,
        Outcome::Failed => State::Failed,
        Outcome::Canceled => State::Canceled,
        Outcome::Superseded => State::Skipped,
    };
    html! {
        li {
            (widget::pip(r, state))
            a.title-link href=(format!("/projects/{project}/changes/{}", ended.change)) { (ended.subject) }
            span.soft.cut { (ended.say.get(r.lang)) }
            span.faint { (widget::ago(r, ended.time)) }
        }
    }
}

fn chip(r: &Reader, project: &Name, service: &Resource) -> Markup {
    let condition = service.status.get("condition").and_then(|c| c.as_str()).unwrap_or("");
    let state = match condition {
        "rolling" => State::Running,
        "down" => State::Failed,
        "idle" => State::Skipped,
        other => State::parse(other),
    };
    let name = &service.key.name;
    html! {
        a.tag href=(format!("/projects/{project}/services/{name}")) {
            (widget::pip(r, state)) (name)
        }
    }
}

//! `/audit`: what an auditor looks at.

use crate::audit::LastVerified;
use crate::{Audit, api, query};
use kernel::{Event, Result};
use maud::{Markup, html};
use naru_http::{Access, Call, Response, Route, found};
use policy::Action;
use web::widget::{self, State, Table, Tone};
use web::{Page, Reader};

const MAY: Access = Access::Action(Action::AuditRead);
const SHOWN: usize = 100;

pub(crate) const ROUTES: &[Route] = &[
    Route::get("/audit", MAY, ("the audit log", "감사 기록"), |c| Box::pin(show(c))),
    Route::post("/audit/verify", MAY, ("verify the audit log", "감사 기록 검증"), |c| {
        Box::pin(verify(c))
    }),
];

/// The fields as they were given.
type Given = Vec<(&'static str, String)>;

async fn show(call: Call) -> Result<Response> {
    let given: Given =
        query::FIELDS.iter().map(|f| (*f, call.query(f).unwrap_or_default())).collect();
    let search = query::read(&call)?;
    let before = call.number("before")?.unwrap_or(i64::MAX.unsigned_abs());
    if given.iter().any(|(_, w)| !w.is_empty()) {
        api::read_is_told(&call).await?;
    }
    let events = call.site.store.read(move |v| v.search(before, SHOWN, &search)).await?;
    let last = call.part::<Audit>()?.last_verified().await?;
    let r = Reader::of(&call);
    let page =
        Page { title: r.t("Audit log", "감사 기록").to_owned(), bare: true, ..Page::default() };
    Ok(web::page(&call, &page, draw(&r, &given, &events, last.as_ref())))
}

async fn verify(call: Call) -> Result<Response> {
    call.part::<Audit>()?.verify(call.who.clone()).await?;
    found("/audit")
}

pub(crate) fn draw(
    r: &Reader,
    given: &Given,
    events: &[Event],
    last: Option<&LastVerified>,
) -> Markup {
    let about = html! { (r.t(
        "Who did what, when, from where, and why it was allowed. Looking here is written down, too",
        "누가 언제 어디서 무엇을 했고 왜 허용되었는지. 여기를 본 것도 기록됩니다",
    )) };
    let check =
        widget::post("/audit/verify", &[], html! { (r.t("Verify now", "지금 검증")) }, Tone::Main);
    html! {
        (widget::heading(html! { (r.t("Audit log", "감사 기록")) }, html! {}, about, check))
        (standing(r, last))
        (choose(r, given))
        @if events.is_empty() {
            (widget::empty(
                r,
                r.t("Nothing like that was written down", "그런 기록은 없습니다"),
                r.t("Loosen the filter", "조건을 넓혀 보세요"),
                &["naru audit search --since 24h"],
            ))
        }
        @for (day, events) in days(events) {
            (widget::section(&format!("d{day}"), &day, html! {}, table(r, &events)))
        }
        @if let Some(last) = events.last().filter(|_| events.len() == SHOWN) {
            p { a.button href=(older(given, last.seq)) { (r.t("Older", "이전 기록")) } }
        }
    }
}

fn standing(r: &Reader, last: Option<&LastVerified>) -> Markup {
    let Some(LastVerified { time, report }) = last else {
        return html! { p.soft { (r.t(
            "The chain has not been verified yet",
            "체인을 아직 검증하지 않았습니다",
        )) } };
    };
    let (state, words) = match report.holds() {
        true => (State::Passed, r.t("the chain holds", "체인이 온전함")),
        false => (State::Failed, r.t("the chain does not hold", "체인이 온전하지 않음")),
    };
    let entries = report.chain.last.saturating_sub(report.chain.base);
    html! {
        p {
            (widget::badge(r, state, Some(words))) " "
            span.soft {
                (entries) " " (r.t("entries", "항목")) " · "
                (report.checkpoints) " " (r.t("checkpoints", "체크포인트")) " · "
                (r.t("verified", "검증")) " " (widget::ago(r, *time))
            }
        }
        @for words in report.problems.iter() {
            (widget::flash(State::Failed, words.get(r.lang), None))
        }
        @for words in report.notes.iter() {
            (widget::flash(State::Waiting, words.get(r.lang), None))
        }
    }
}

fn choose(r: &Reader, given: &Given) -> Markup {
    let of = |name: &str| given.iter().find(|(f, _)| *f == name).map_or("", |(_, w)| w.as_str());
    let field = |name: &'static str, words: &str, label: &str| {
        html! { input type="text" name=(name) value=(of(name)) placeholder=(words) aria-label=(label); }
    };
    html! {
        form.filter method="get" action="/audit" {
            (field("who", r.t("who: ann", "누가: ann"), r.t("Who", "누가")))
            (field("what", r.t("what: token.", "무엇: token."), r.t("Kind, or its beginning with a dot", "종류 또는 점으로 끝나는 앞부분")))
            (field("from", r.t("from: 192.0.2.7", "주소: 192.0.2.7"), r.t("IP address", "IP 주소")))
            (field("project", r.t("project", "프로젝트"), r.t("Project", "프로젝트")))
            (field("since", r.t("since: 24h", "부터: 24h"), r.t("Since", "부터")))
            (field("until", r.t("until: 2026-11-24", "까지: 2026-11-24"), r.t("Until", "까지")))
            select name="outcome" aria-label=(r.t("Outcome", "결과")) {
                option value="" { (r.t("everything", "전부")) }
                option value="refused" selected[of("outcome") == "refused"] { (r.t("refused only", "거부만")) }
            }
            button.button { (r.t("Search", "검색")) }
        }
    }
}

fn older(given: &Given, before: u64) -> String {
    let mut address = format!("/audit?before={before}");
    for (name, words) in given.iter().filter(|(_, w)| !w.is_empty()) {
        address.push_str(&format!("&{name}={}", web::segment(words)));
    }
    address
}

/// Events by their day in UTC, in order.
fn days(events: &[Event]) -> Vec<(String, Vec<&Event>)> {
    let mut days: Vec<(String, Vec<&Event>)> = Vec::new();
    for event in events {
        let day: String = event.time.to_string().chars().take(10).collect();
        match days.last_mut() {
            Some((last, of)) if *last == day => of.push(event),
            _ => days.push((day, vec![event])),
        }
    }
    days
}

fn table(r: &Reader, events: &[&Event]) -> Markup {
    let heads = vec![
        ("num wide", "#".to_owned()),
        ("", r.t("Time (UTC)", "시각 (UTC)").to_owned()),
        ("", r.t("Who", "누가").to_owned()),
        ("grow", r.t("What", "무엇을").to_owned()),
        ("wide", r.t("From", "어디서").to_owned()),
        ("wide", r.t("Why allowed", "허용 근거").to_owned()),
    ];
    let rows = events.iter().map(|e| (None, cells(r, e))).collect();
    widget::table(&Table { heads, rows })
}

fn cells(r: &Reader, event: &Event) -> Vec<Markup> {
    let (fact, origin) = (&event.fact, event.fact.origin.clone().unwrap_or_default());
    let time: String = event.time.to_string().chars().skip(11).take(8).collect();
    vec![
        html! { span.faint { (event.seq) } },
        html! { time datetime=(event.time) { (time) } },
        html! { span.soft { (fact.actor) } },
        html! { code.kind { (fact.kind) } " " (fact.say.get(r.lang)) },
        html! {
            @if let Some(address) = &origin.address { (address) }
            @if let Some(c) = &origin.credential { " " span.faint title=(c.id) { (c.kind) } }
        },
        html! { span.soft { (origin.because.join("; ")) } },
    ]
}

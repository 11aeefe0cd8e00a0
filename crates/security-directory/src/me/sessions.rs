//! Where somebody is signed in.

use super::{framed, person, principal};
use crate::sign_in::field;
use account::SessionView;
use kernel::Result;
use maud::{Markup, html};
use naru_http::{Call, Response, found};
use web::Reader;
use web::widget::{self, State, Table, Tone};

const HERE: &str = "/account/sessions";

pub(super) async fn show(call: Call) -> Result<Response> {
    let sessions = call.site.accounts.sessions(&principal(&person(&call)?)).await?;
    let own = current(&call);
    Ok(framed(&call, HERE, None, |r| draw(r, &sessions, own.as_deref())))
}

/// The id of the session that the caller came with.
fn current(call: &Call) -> Option<String> {
    Some(call.credential.id.clone()).filter(|id| !id.is_empty())
}

pub(super) async fn end(mut call: Call) -> Result<Response> {
    let form = call.form().await?;
    let who = principal(&person(&call)?);
    match field(&form, "id") {
        "" => end_others(&call).await?,
        id => call.site.accounts.revoke_session(&who, id, call.who.clone()).await?,
    }
    found(HERE)
}

/// Ends all sessions of the caller but the one that he came with.
pub(super) async fn end_others(call: &Call) -> Result<()> {
    let who = principal(&person(call)?);
    let kept = current(call);
    call.site.accounts.revoke_sessions(&who, kept.as_deref(), call.who.clone()).await.map(drop)
}

pub(crate) fn draw(r: &Reader, sessions: &[SessionView], own: Option<&str>) -> Markup {
    let others = html! {
        @if sessions.len() > 1 {
            (widget::post("/account/sessions/end", &[], html! { (r.t("End all others", "다른 세션 모두 종료")) }, Tone::Danger))
        }
    };
    widget::section(
        "sessions",
        r.t("Where you are signed in", "로그인한 곳"),
        others,
        list(r, sessions, Some(own)),
    )
}

/// Sessions; `own` is given on one's own page, with the session one came with.
pub(crate) fn list(r: &Reader, sessions: &[SessionView], own: Option<Option<&str>>) -> Markup {
    if sessions.is_empty() {
        return html! { p.plot-none { (r.t("none", "없습니다")) } };
    }
    let heads = vec![
        ("grow", r.t("Browser", "브라우저").to_owned()),
        ("", r.t("Address", "주소").to_owned()),
        ("wide", r.t("Since", "시작").to_owned()),
        ("", r.t("Last used", "마지막 사용").to_owned()),
        ("num", String::new()),
    ];
    let row = |session: &SessionView| {
        let here = own.flatten() == Some(session.id.as_str());
        let end = html! {
            @if here { (widget::badge(r, State::Live, Some(r.t("this one", "현재 세션")))) }
            @else if own.is_some() {
                (widget::post("/account/sessions/end", &[("id", &session.id)], html! { (r.t("End", "종료")) }, Tone::Danger))
            }
        };
        let cells = vec![
            html! { (browser(session.agent.as_deref().unwrap_or(""))) },
            html! { @match session.last_address.or(session.address) { Some(a) => (a), None => span.faint { "–" } } },
            widget::ago(r, session.created),
            widget::ago(r, session.last_used),
            end,
        ];
        (None, cells)
    };
    widget::table(&Table { heads, rows: sessions.iter().map(row).collect() })
}

/// What a browser calls itself, in words: `Firefox, Linux`.
pub(crate) fn browser(agent: &str) -> String {
    let first = |all: &[(&'static str, &'static str)]| {
        all.iter().find(|(sign, _)| agent.contains(sign)).map(|(_, name)| *name)
    };
    // The order matters: Edge says that it is Chrome, and Chrome that it is Safari.
    let program = first(&[
        ("Edg/", "Edge"),
        ("OPR/", "Opera"),
        ("SamsungBrowser", "Samsung Internet"),
        ("Whale/", "Whale"),
        ("Firefox", "Firefox"),
        ("Chrome", "Chrome"),
        ("Safari", "Safari"),
        ("curl", "curl"),
    ]);
    let system = first(&[
        ("Android", "Android"),
        ("iPhone", "iPhone"),
        ("iPad", "iPad"),
        ("Windows", "Windows"),
        ("Mac OS X", "macOS"),
        ("Linux", "Linux"),
    ]);
    match (program, system) {
        (Some(program), Some(system)) => format!("{program}, {system}"),
        (Some(one), None) | (None, Some(one)) => one.to_owned(),
        (None, None) if agent.is_empty() => "–".to_owned(),
        (None, None) => agent.chars().take(60).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::browser;

    #[test]
    fn browsers_in_words() {
        for (agent, want) in [
            (
                "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0",
                "Firefox, Linux",
            ),
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36 Edg/142.0",
                "Edge, Windows",
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) AppleWebKit/605.1.15 Version/19.0 Mobile/15E148 Safari/604.1",
                "Safari, iPhone",
            ),
            ("curl/8.5", "curl"),
            ("", "–"),
            ("something", "something"),
        ] {
            assert_eq!(browser(agent), want);
        }
    }
}

//! Personal tokens: made here, shown once.

use account::TokenView;
use kernel::time::parse_duration;
use kernel::{Error, Name, Result, Text};
use maud::{Markup, html};
use naru_http::{Call, Response, found};
use web::widget::{self, State, Table, Tone};
use web::{Page, Reader};

/// Lengths of time to choose from; an empty one never ends.
const LASTS: [(&str, &str, &str); 4] = [
    ("30d", "30 days", "30일"),
    ("90d", "90 days", "90일"),
    ("365d", "a year", "1년"),
    ("", "for ever", "무기한"),
];

pub(super) async fn show(call: Call) -> Result<Response> {
    answer(&call, None).await
}

/// The name of the token that the server's machine keeps for its own commands.
const MACHINE: &str = "this-machine";

/// The first sign-in ends here: a personal token is made and shown, since without one there is no push.
/// Whoever has one already goes on to the front page.
pub(super) async fn welcome(call: Call) -> Result<Response> {
    let held = call.site.accounts.tokens(&call.who).await?;
    if held.iter().any(|t| t.name.as_str() != MACHINE) {
        return found("/");
    }
    let (who, name) = (call.who.clone(), Name::parse("first")?);
    let token = call.site.accounts.create_token(who.clone(), name, None, who).await?;
    answer(&call, Some(&token)).await
}

/// Makes a token. The page that answers is the only one that ever shows it.
pub(super) async fn create(mut call: Call) -> Result<Response> {
    let form = call.form().await?;
    let field = |name: &str| form.get(name).map_or("", |v| v.trim());
    let name = Name::parse(field("name"))?;
    let lasts = Some(field("expires")).filter(|e| !e.is_empty());
    let valid = lasts.map(|words| parse_duration(words).ok_or_else(wrong_length)).transpose()?;
    let who = call.who.clone();
    let token = call.site.accounts.create_token(who.clone(), name, valid, who).await?;
    answer(&call, Some(&token)).await
}

fn wrong_length() -> Error {
    Error::invalid(
        "duration.invalid",
        Text::fixed("that is not a length of time", "기간으로 읽을 수 없습니다"),
    )
    .hint(Text::fixed("write 30d, 12h or 90m", "30d, 12h, 90m처럼 쓰세요"))
}

pub(super) async fn revoke(call: Call) -> Result<Response> {
    call.site.accounts.revoke_token(&call.who, &call.name("token")?, call.who.clone()).await?;
    found("/tokens")
}

async fn answer(call: &Call, fresh: Option<&str>) -> Result<Response> {
    let tokens = call.site.accounts.tokens(&call.who).await?;
    let r = Reader { address: "/tokens".into(), ..Reader::of(call) };
    let title = r.t("Access tokens", "접근 토큰").to_owned();
    let page = Page { title, bare: true, ..Page::default() };
    Ok(web::page(call, &page, draw(&r, &tokens, fresh)))
}

pub(super) fn draw(r: &Reader, tokens: &[TokenView], fresh: Option<&str>) -> Markup {
    let title = html! { (r.t("Access tokens", "접근 토큰")) };
    let about = html! { (r.t(
        "For git as the password, for the API as a bearer, for naru login",
        "git 비밀번호, API의 Bearer, naru login에 씁니다",
    )) };
    html! {
        (widget::heading(title, html! {}, about, html! {}))
        @if let Some(token) = fresh {
            (widget::flash(
                State::Passed,
                r.t("Made. Keep it now: it is not shown again", "만들었습니다. 지금 보관하세요. 다시 보여 주지 않습니다"),
                None,
            ))
            div.part.part-in { div.command.secret {
                code { (token) }
                button.quiet type="button" data-copy=(token) hidden { (r.t("Copy", "복사")) }
            } }
        }
        (widget::section("new", r.t("New token", "새 토큰"), html! {}, form(r)))
        (widget::section("tokens", r.t("Yours", "내 토큰"), html! {}, list(r, tokens)))
    }
}

fn form(r: &Reader) -> Markup {
    html! {
        form.filter.part-in method="post" action="/tokens" {
            label for="name" { (r.t("Name", "이름")) }
            input #name type="text" name="name" required maxlength="63" pattern="[a-z0-9]([a-z0-9\\-]*[a-z0-9])?"
                placeholder="laptop" title=(r.t("lower-case letters, digits and inner hyphens", "소문자, 숫자, 가운데 붙임표"));
            label for="expires" { (r.t("lasts", "기간")) }
            select #expires name="expires" {
                @for (value, en, ko) in LASTS { option value=(value) { (r.t(en, ko)) } }
            }
            button.button.main { (r.t("Make", "만들기")) }
        }
    }
}

fn list(r: &Reader, tokens: &[TokenView]) -> Markup {
    if tokens.is_empty() {
        return html! { p.plot-none { (r.t("none yet", "아직 없습니다")) } };
    }
    let heads = vec![
        ("grow", r.t("Name", "이름").to_owned()),
        ("wide", r.t("Made", "만든 때").to_owned()),
        ("", r.t("Ends", "만료").to_owned()),
        ("wide", r.t("Last used", "마지막 사용").to_owned()),
        ("num", String::new()),
    ];
    let row = |t: &TokenView| {
        let revoke = format!("/tokens/{}/revoke", t.name);
        let cells = vec![
            html! { strong { (t.name) } },
            widget::ago(r, t.created),
            html! {
                @match t.expires { Some(at) => (widget::ago(r, at)), None => span.soft { (r.t("never", "없음")) } }
            },
            widget::ago_or_dash(r, t.last_used),
            widget::post(&revoke, &[], html! { (r.t("Revoke", "폐기")) }, Tone::Danger),
        ];
        (None, cells)
    };
    widget::table(&Table { heads, rows: tokens.iter().map(row).collect() })
}

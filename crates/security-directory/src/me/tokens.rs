//! Access tokens: made here, shown once.

use super::framed;
use crate::{fresh, shown, token};
use account::TokenView;
use kernel::{Name, Result};
use maud::{Markup, html};
use naru_http::{Call, Response, found};
use web::Reader;
use web::widget::{self, Table, Tone};

const HERE: &str = "/tokens";

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
    let wanted = token::Wanted::named(Name::parse("first")?);
    let token = token::make(&call, call.who.clone(), wanted).await?;
    answer(&call, Some(&token)).await
}

/// Makes a token. The page that answers is the only one that ever shows it.
pub(super) async fn create(mut call: Call) -> Result<Response> {
    if let Some(detour) = fresh::detour(&call, HERE) {
        return detour;
    }
    let form = call.form().await?;
    let wanted = token::Wanted::of_form(&form)?;
    let token = token::make(&call, call.who.clone(), wanted).await?;
    answer(&call, Some(&token)).await
}

pub(super) async fn revoke(call: Call) -> Result<Response> {
    call.site.accounts.revoke_token(&call.who, &call.name("token")?, call.who.clone()).await?;
    found(HERE)
}

async fn answer(call: &Call, fresh: Option<&str>) -> Result<Response> {
    let tokens = call.site.accounts.tokens(&call.who).await?;
    Ok(framed(call, HERE, None, |r| draw(r, &tokens, fresh)))
}

pub(crate) fn draw(r: &Reader, tokens: &[TokenView], fresh: Option<&str>) -> Markup {
    html! {
        @if let Some(token) = fresh {
            (shown::secret(r, r.t("Made. Keep it now: it is not shown again", "만들었습니다. 지금 보관하세요. 다시 보여 주지 않습니다"), token))
        }
        (widget::section("new", r.t("New token", "새 토큰"), html! {}, form(r, HERE)))
        (widget::section("tokens", r.t("Yours", "내 토큰"), html! {}, list(r, tokens, true)))
    }
}

pub(crate) fn form(r: &Reader, action: &str) -> Markup {
    html! {
        form.part-in.entries method="post" action=(action) {
            div.entry {
                label for="name" { (r.t("Name", "이름")) }
                input #name type="text" name="name" required maxlength="63" pattern="[a-z0-9]([a-z0-9\\-]*[a-z0-9])?"
                    placeholder="laptop" title=(r.t("lower-case letters, digits and inner hyphens", "소문자, 숫자, 가운데 붙임표"));
            }
            div.entry {
                label for="expires" { (r.t("Lasts", "기간")) }
                select #expires name="expires" {
                    @for (value, en, ko) in LASTS { option value=(value) { (r.t(en, ko)) } }
                }
            }
            div.entry {
                label for="scope" { (r.t("May do", "할 수 있는 일")) }
                select #scope name="scope" {
                    option value="" { (r.t("everything that its owner may", "주인이 할 수 있는 모든 일")) }
                    option value="read" { (r.t("look, and change nothing", "읽기만")) }
                    option value="git.*" { (r.t("git alone", "git만")) }
                }
            }
            div.entry {
                label for="projects" { (r.t("In these projects alone", "이 프로젝트에서만")) }
                input #projects type="text" name="projects" maxlength="500" autocapitalize="none"
                    placeholder=(r.t("all", "모두"));
            }
            div.entry-wide { button.button.main { (r.t("Make", "만들기")) } }
        }
    }
}

/// Tokens, with a button to revoke each when they are one's own.
pub(crate) fn list(r: &Reader, tokens: &[TokenView], own: bool) -> Markup {
    table(r, tokens, |name| own.then(|| format!("/tokens/{name}/revoke")))
}

/// Tokens of somebody else, each revoked at the address that `revoke` gives.
pub(crate) fn list_of(
    r: &Reader,
    tokens: &[TokenView],
    revoke: impl Fn(&Name) -> String,
) -> Markup {
    table(r, tokens, |name| Some(revoke(name)))
}

fn table(r: &Reader, tokens: &[TokenView], revoke: impl Fn(&Name) -> Option<String>) -> Markup {
    if tokens.is_empty() {
        return html! { p.plot-none { (r.t("none yet", "아직 없습니다")) } };
    }
    let heads = vec![
        ("grow", r.t("Name", "이름").to_owned()),
        ("", r.t("May do", "할 수 있는 일").to_owned()),
        ("wide", r.t("Made", "만든 때").to_owned()),
        ("", r.t("Ends", "만료").to_owned()),
        ("wide", r.t("Last used", "마지막 사용").to_owned()),
        ("num", String::new()),
    ];
    let row = |t: &TokenView| {
        let cells = vec![
            html! { strong { (t.name) } },
            html! { (token::scope_words(r.lang, t)) },
            widget::ago(r, t.created),
            html! {
                @match t.expires { Some(at) => (widget::ago(r, at)), None => span.soft { (r.t("never", "없음")) } }
            },
            html! {
                (widget::ago_or_dash(r, t.last_used))
                @if let Some(from) = t.last_address { span.faint { " " (from) } }
            },
            html! {
                @if let Some(address) = revoke(&t.name) {
                    (widget::post(&address, &[], html! { (r.t("Revoke", "폐기")) }, Tone::Danger))
                }
            },
        ];
        (None, cells)
    };
    widget::table(&Table { heads, rows: tokens.iter().map(row).collect() })
}

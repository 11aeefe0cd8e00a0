//! What somebody has signed in to, on their own account.

use crate::manage::Mine;
use crate::{Sso, page::ask};
use kernel::{Name, Result};
use maud::{Markup, html};
use naru_http::{Access, Call, Response, Route, found};
use web::Reader;
use web::widget::{self, Table, Tone};

const HERE: &str = "/account/applications";

pub(crate) const ROUTES: &[Route] = &[
    Route::get(
        HERE,
        Access::SignedIn,
        ("page: applications that you have signed in to", "페이지: 내가 로그인한 애플리케이션"),
        |c| Box::pin(show(c)),
    ),
    Route::post(
        HERE,
        Access::SignedIn,
        (
            "page: take back what you have given an application",
            "페이지: 애플리케이션에 준 접근 거두기",
        ),
        |c| Box::pin(withdraw(c)),
    ),
];

async fn show(call: Call) -> Result<Response> {
    let all = call.part::<Sso>()?.given(&call.who).await?;
    let r = Reader::of(&call);
    let title = r.t("Applications of yours", "내 애플리케이션");
    Ok(ask::framed(&call, title, draw(&r, &all)))
}

pub(crate) fn draw(r: &Reader, all: &[Mine]) -> Markup {
    let heads = vec![
        ("grow", r.t("Application", "애플리케이션").to_owned()),
        ("", r.t("May", "허용한 것").to_owned()),
        ("wide", r.t("Last used", "마지막 사용").to_owned()),
        ("", String::new()),
    ];
    let row = |one: &Mine| {
        let scopes: Vec<&str> = one.scopes.iter().map(String::as_str).collect();
        let name = one.application.as_str();
        let withdraw = widget::post(
            HERE,
            &[("application", name)],
            html! { (r.t("Take back", "거두기")) },
            Tone::Danger,
        );
        let cells = vec![
            html! { strong { (one.title) } },
            html! { (if scopes.is_empty() { r.t("trusted by the platform", "플랫폼이 신뢰").to_owned() } else { scopes.join(" ") }) },
            widget::ago_or_dash(r, one.last),
            withdraw,
        ];
        (None, cells)
    };
    let about = html! { (r.t(
        "Taking back signs you out there, and it has to ask you again",
        "거두면 그곳에서 로그아웃되고, 다음에 다시 동의를 묻습니다",
    )) };
    html! {
        (widget::heading(html! { (r.t("Applications that you have signed in to", "내가 로그인한 애플리케이션")) }, html! {}, about, html! {}))
        (widget::section("applications", "", html! {}, html! {
            @if all.is_empty() { p.plot-none { (r.t("none", "없습니다")) } }
            @else { (widget::table(&Table { heads, rows: all.iter().map(row).collect() })) }
        }))
    }
}

async fn withdraw(mut call: Call) -> Result<Response> {
    let form = call.form().await?;
    let name = Name::parse(form.get("application").map_or("", |v| v.trim()))?;
    call.part::<Sso>()?.withdraw(&call.who, name).await?;
    found(HERE)
}

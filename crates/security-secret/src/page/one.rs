//! One secret: its versions, who had it, and what can be done with it.

use super::list::{scope, state};
use super::{field, scope_fields, value_field};
use crate::api::place;
use crate::{SecretView, Secrets};
use kernel::{Result, SecretText};
use maud::{Markup, html};
use naru_http::{Call, Response};
use secret::Version;
use web::widget::{self, State, Table, Tone};
use web::{Page, Reader};

pub(super) async fn show(call: Call) -> Result<Response> {
    answer(&call, None).await
}

/// The page with the value in it: the only one, and it is not kept by the browser.
pub(super) async fn reveal(mut call: Call) -> Result<Response> {
    let form = call.form().await?;
    let version = field(&form, "version").parse().ok();
    let (project, name, _) = place(&call)?;
    let who = call.who.clone();
    let opened = call.part::<Secrets>()?.reveal(&project, &name, version, who).await?;
    let mut response = answer(&call, Some((opened.version, opened.value))).await?;
    let never = http::HeaderValue::from_static("no-store");
    response.headers_mut().insert(http::header::CACHE_CONTROL, never);
    Ok(response)
}

async fn answer(call: &Call, shown: Option<(u32, SecretText)>) -> Result<Response> {
    let (project, name, _) = place(call)?;
    let view = call.part::<Secrets>()?.show(&project, &name).await?;
    let here = format!("/projects/{project}/secrets");
    // After a reveal the address in the bar is the secret's own again, for what leads back here.
    let r = Reader { address: format!("{here}/{name}"), ..Reader::of(call) };
    let page = Page::of(&project, "environments", name.as_str())
        .bare()
        .crumb(project.as_str(), format!("/projects/{project}"))
        .crumb(r.t("Secrets", "비밀 값"), here);
    let page = match &shown {
        // Drawn anew it would be without the value.
        Some(_) => Page { live: None, ..page },
        None => page.follow(&format!("project={project}&kind=secret.")),
    };
    Ok(web::page(call, &page, draw(&r, &view, shown.as_ref())))
}

pub(super) fn draw(r: &Reader, view: &SecretView, shown: Option<&(u32, SecretText)>) -> Markup {
    let here = format!("/projects/{}/secrets/{}", view.project, view.name);
    let beside = html! { @if let Some(badge) = state(r, view) { (badge) } };
    let below = html! { code { (view.variable) } " " (scope(r, &view.spec)) };
    let actions = html! {
        (widget::post(&format!("{here}/rotate"), &[], html! { (r.t("Draw a new value", "새 값 생성")) }, Tone::Plain))
        (widget::post(&format!("{here}/remove"), &[], html! { (r.t("Remove", "제거")) }, Tone::Danger))
    };
    html! {
        (widget::heading(html! { (view.name) }, beside, below, actions))
        @if !view.spec.description.is_empty() { p.soft { (view.spec.description) } }
        @if let Some((version, value)) = shown { (revealed(r, *version, value)) }
        (widget::section("versions", r.t("Versions", "버전"), html! {}, versions(r, view, &here)))
        (widget::section("uses", r.t("Who had it", "사용처"), html! {}, uses(r, view)))
        (widget::section("set", r.t("Set a new value", "새 값 설정"), html! {}, html! {
            form.fields.part-in method="post" action=(format!("{here}/set")) autocomplete="off" {
                (value_field(r))
                div { button.button.main { (r.t("Seal it", "봉인")) } }
            }
        }))
        (widget::section("change", r.t("Whom it is for", "사용 범위"), html! {}, html! {
            form.fields.part-in method="post" action=(format!("{here}/change")) {
                (scope_fields(r, &view.spec))
                div { button.button { (r.t("Save", "저장")) } }
            }
        }))
    }
}

fn revealed(r: &Reader, version: u32, value: &SecretText) -> Markup {
    let words = match r.lang {
        kernel::Lang::En => {
            format!("Version {version}. That you have read it stands in the journal")
        }
        kernel::Lang::Ko => format!("버전 {version}. 열람한 사실이 기록되었습니다"),
    };
    html! {
        (widget::flash(State::Waiting, &words, None))
        (widget::section("revealed", r.t("Value", "값"), html! {}, widget::code_block(value.reveal())))
    }
}

fn versions(r: &Reader, view: &SecretView, here: &str) -> Markup {
    if view.versions.is_empty() {
        return html! { p.plot-none { (r.t("none yet", "아직 없습니다")) } };
    }
    let heads = vec![
        ("num", r.t("Version", "버전").to_owned()),
        ("", r.t("Set", "설정").to_owned()),
        ("grow", r.t("By", "설정한 사람").to_owned()),
        ("", String::new()),
    ];
    let row = |v: &Version| (None, cells(r, v, here));
    widget::table(&Table { heads, rows: view.versions.iter().map(row).collect() })
}

fn cells(r: &Reader, v: &Version, here: &str) -> Vec<Markup> {
    let number = v.number.to_string();
    let fields = [("version", number.as_str())];
    vec![
        html! { (number) },
        widget::ago(r, v.made),
        html! { (v.by) },
        html! {
            @match v.destroyed {
                Some(at) => span.soft { (r.t("destroyed ", "파기 ")) (widget::ago(r, at)) },
                None => div.row-actions {
                    (widget::post(&format!("{here}/reveal"), &fields, html! { (r.t("Reveal", "열람")) }, Tone::Plain))
                    (widget::post(&format!("{here}/destroy"), &fields, html! { (r.t("Destroy", "파기")) }, Tone::Danger))
                },
            }
        },
    ]
}

fn uses(r: &Reader, view: &SecretView) -> Markup {
    if view.uses.is_empty() {
        return html! { p.plot-none { (r.t("nobody yet", "아직 없습니다")) } };
    }
    let heads = vec![
        ("grow", r.t("Who", "누가").to_owned()),
        ("", r.t("Last", "마지막").to_owned()),
        ("num", r.t("Version", "버전").to_owned()),
        ("num", r.t("Times", "횟수").to_owned()),
    ];
    let row = |u: &crate::SecretUsed| {
        let by = match u.whom.strip_prefix("job ") {
            Some(_) => {
                html! { a href=(format!("/projects/{}/runs/{}", view.project, u.by)) { (u.by) } }
            }
            None => html! { (u.by) },
        };
        let cells = vec![
            html! { strong { (u.whom) } div.sub { (by) } },
            widget::ago(r, u.last),
            html! { (u.version) },
            html! { (u.times) },
        ];
        (None, cells)
    };
    widget::table(&Table { heads, rows: view.uses.iter().map(row).collect() })
}

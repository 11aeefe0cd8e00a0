//! All people, paged and searched.

use super::look::{Found, look};
use account::User;
use account::credential::{SecondFactor, SignInRules};
use kernel::{Name, Resource, Result};
use maud::{Markup, html};
use naru_http::{Call, Response, json};
use serde_json::json;
use web::widget::{self, State, Table};
use web::{Page, Reader};

const PAGE: usize = 50;
/// In the API.
const MOST: u64 = 500;

pub(super) async fn api(call: Call) -> Result<Response> {
    let limit = call.number("limit")?.unwrap_or(100).clamp(1, MOST);
    let found = look(&call, "User", usize::try_from(limit).unwrap_or(PAGE)).await?;
    json(&json!({ "items": found.items, "after": found.after }))
}

pub(super) async fn show(call: Call) -> Result<Response> {
    let people = look(&call, "User", PAGE).await?;
    let rules = call.site.accounts.sign_in_rules().await?;
    let r = Reader::of(&call);
    let page = Page { title: r.t("People", "사람").to_owned(), bare: true, ..Page::default() };
    let words = call.query("q").unwrap_or_default();
    Ok(web::page(&call, &page, draw(&r, &people, &words, &rules)))
}

/// The ways between people, groups and service accounts.
pub(crate) fn tabs(r: &Reader, open: &str) -> Markup {
    let all = [
        (r.t("People", "사람"), "/people"),
        (r.t("Groups", "그룹"), "/groups"),
        (r.t("Service accounts", "서비스 계정"), "/service-accounts"),
        (r.t("Applications", "애플리케이션"), "/applications"),
    ];
    let items = all.map(|(words, address)| (words, address.to_owned(), address == open));
    widget::tabs(r.t("Accounts", "계정"), &items)
}

/// The field that searches a page's list.
pub(crate) fn search(r: &Reader, address: &str, words: &str) -> Markup {
    html! {
        form.filter method="get" action=(address) {
            input type="search" name="q" value=(words) maxlength="100" data-find
                placeholder=(r.t("name, mail …", "이름, 메일 …")) aria-label=(r.t("Search", "찾기"));
            button.button { (r.t("Search", "찾기")) }
        }
    }
}

/// The way to the next page.
pub(crate) fn onward(r: &Reader, address: &str, words: &str, after: Option<&Name>) -> Markup {
    html! {
        @if let Some(after) = after {
            p.part-in { a.button href=(format!("{address}?q={}&after={after}", web::segment(words))) { (r.t("Next page", "다음 쪽")) } }
        }
    }
}

pub(crate) fn draw(r: &Reader, people: &Found, words: &str, rules: &SignInRules) -> Markup {
    html! {
        (widget::heading(html! { (r.t("People", "사람")) }, html! {}, html! {}, search(r, "/people", words)))
        (tabs(r, "/people"))
        (widget::section("people", "", html! {}, html! {
            (list(r, &people.items))
            (onward(r, "/people", words, people.after.as_ref()))
        }))
        (widget::section("invite", r.t("Invite somebody", "초대하기"), html! {}, invite(r)))
        (widget::section("rules", r.t("Rules of signing in", "로그인 규칙"), html! {}, ruling(r, rules)))
    }
}

fn list(r: &Reader, people: &[Resource]) -> Markup {
    if people.is_empty() {
        return html! { p.plot-none { (r.t("nobody found", "찾은 사람이 없습니다")) } };
    }
    let heads = vec![
        ("", r.t("Name", "이름").to_owned()),
        ("grow", r.t("Called", "보이는 이름").to_owned()),
        ("wide", r.t("Mail", "메일").to_owned()),
        ("", r.t("State", "상태").to_owned()),
        ("wide", r.t("Since", "가입").to_owned()),
    ];
    let row = |found: &Resource| {
        let user: User = found.spec().unwrap_or_default();
        let address = format!("/people/{}", found.key.name);
        let cells = vec![
            html! { a href=(address) { strong { (found.key.name) } } },
            html! { (user.title) },
            html! { (user.mail().unwrap_or("")) },
            standing(r, &user),
            widget::ago(r, found.created),
        ];
        (Some(address), cells)
    };
    widget::table(&Table { heads, rows: people.iter().map(row).collect() })
}

pub(crate) fn standing(r: &Reader, user: &User) -> Markup {
    match (user.disabled, user.administrator) {
        (true, _) => widget::badge(r, State::Canceled, Some(r.t("disabled", "비활성"))),
        (false, true) => widget::badge(r, State::Live, Some(r.t("administrator", "관리자"))),
        (false, false) => widget::badge(r, State::Passed, Some(r.t("active", "활성"))),
    }
}

fn invite(r: &Reader) -> Markup {
    html! {
        form.part-in.entries method="post" action="/people" {
            div.entry {
                label for="name" { (r.t("Name here", "여기서 쓸 이름")) }
                input #name name="name" type="text" required maxlength="63" pattern="[a-z0-9]([a-z0-9\\-]*[a-z0-9])?" autocapitalize="none"
                    title=(r.t("lower-case letters, digits and inner hyphens", "소문자, 숫자, 가운데 붙임표"));
            }
            div.entry {
                label for="title" { (r.t("How others see them", "남에게 보이는 이름")) }
                input #title name="title" type="text" maxlength="200";
            }
            div.entry {
                label for="email" { (r.t("Mail", "메일")) }
                input #email name="email" type="email" maxlength="254";
            }
            div.entry-wide { button.button.main { (r.t("Invite", "초대")) } }
        }
    }
}

fn ruling(r: &Reader, rules: &SignInRules) -> Markup {
    let chosen = rules.require_second_factor;
    let option = |value: &str, of: SecondFactor, words: &str| {
        html! { option value=(value) selected[chosen == of] { (words) } }
    };
    html! {
        form.part-in.entries method="post" action="/people/rules" {
            div.entry {
                label for="second" { (r.t("A second factor is required of", "두 번째 인증이 필요한 사람")) }
                select #second name="second" {
                    (option("nobody", SecondFactor::Nobody, r.t("nobody", "없음")))
                    (option("administrators", SecondFactor::Administrators, r.t("administrators", "관리자")))
                    (option("everybody", SecondFactor::Everybody, r.t("everybody", "모두")))
                }
            }
            div.entry {
                label for="shortest" { (r.t("Letters of a password, at least", "비밀번호 최소 글자 수")) }
                input #shortest name="shortest" type="number" min="8" max="128" value=(rules.shortest_password) required;
            }
            div.entry {
                label for="invitation" { (r.t("An invitation lasts", "초대 유효 기간")) }
                input #invitation name="invitation" type="text" value=(rules.invitation) maxlength="20" required;
            }
            div.entry-wide { button.button { (r.t("Save", "저장")) } }
        }
    }
}

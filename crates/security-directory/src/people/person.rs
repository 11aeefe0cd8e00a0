//! One person: what they are, how they sign in, what they have.

use super::list::{standing, tabs};
use crate::me::{sessions, tokens};
use crate::offboard::{Belongings, belongings, known};
use account::credential::FactorsView;
use account::{TokenView, User};
use kernel::{Name, Principal, Resource, Result};
use maud::{Markup, html};
use naru_http::{Call, Response, json};
use serde_json::json;
use web::widget::{self, Tone};
use web::{Page, Reader};

/// All that is shown of a person.
pub(crate) struct Whole {
    pub resource: Resource,
    pub user: User,
    pub factors: FactorsView,
    pub belongings: Belongings,
    pub tokens: Vec<TokenView>,
    pub sessions: Vec<account::SessionView>,
}

async fn whole(call: &Call) -> Result<Whole> {
    let name = call.name("user")?;
    let index = call.site.accounts.clone();
    let read = move |v: &store::View<'_>| Ok((known(v, &name)?, belongings(&index, v, &name)?));
    let (resource, belongings) = call.site.store.read(read).await?;
    let name = &resource.key.name;
    let who = Principal::User(name.clone());
    let accounts = &call.site.accounts;
    Ok(Whole {
        user: resource.spec()?,
        factors: accounts.factors(name).await?,
        tokens: accounts.tokens(&who).await?,
        sessions: accounts.sessions(&who).await?,
        belongings,
        resource,
    })
}

pub(super) async fn api(call: Call) -> Result<Response> {
    let whole = whole(&call).await?;
    json(&json!({
        "user": whole.resource, "factors": whole.factors, "belongings": whole.belongings,
        "tokens": whole.tokens, "sessions": whole.sessions,
    }))
}

pub(super) async fn show(call: Call) -> Result<Response> {
    page(&call, None).await
}

/// The page, with a link that was just made: it is shown here alone.
pub(super) async fn page(call: &Call, link: Option<&str>) -> Result<Response> {
    let whole = whole(call).await?;
    let name = &whole.resource.key.name;
    let r = Reader { address: format!("/people/{name}"), ..Reader::of(call) };
    let page = Page { title: name.to_string(), bare: true, ..Page::default() };
    Ok(web::page(call, &page, draw(&r, &whole, link)))
}

pub(crate) fn draw(r: &Reader, whole: &Whole, link: Option<&str>) -> Markup {
    let (name, user) = (&whole.resource.key.name, &whole.user);
    let post = |action: &str, words: &str, tone| {
        widget::post(&format!("/people/{name}/{action}"), &[], html! { (words) }, tone)
    };
    let actions = html! {
        @if !user.disabled { (post("invite", r.t("New link for a password", "비밀번호 설정 링크"), Tone::Plain)) }
        @if user.disabled { (post("enable", r.t("Enable", "활성화"), Tone::Plain)) }
        @else { (post("disable", r.t("Disable", "비활성화"), Tone::Danger)) }
    };
    html! {
        (widget::heading(html! { (name) }, standing(r, user), html! { span { (user.title) } }, actions))
        (tabs(r, "/people"))
        @if let Some(link) = link {
            (crate::shown::secret(r, r.t("Give them this link; it is not shown again", "이 링크를 전해 주세요. 다시 보여 주지 않습니다"), link))
        }
        (widget::section("profile", r.t("Profile", "프로필"), html! {}, profile(r, whole)))
        (widget::section("factors", r.t("How they sign in", "로그인 수단"), html! {}, factors(r, &whole.factors)))
        (widget::section("sessions", r.t("Sessions", "세션"), html! {}, sessions::list(r, &whole.sessions, None)))
        (widget::section("tokens", r.t("Access tokens", "접근 토큰"), html! {}, tokens::list(r, &whole.tokens, false)))
        (widget::section("keys", r.t("Keys", "키"), html! {}, crate::me::key_list(r, user)))
        (widget::section("has", r.t("What they have", "가진 것"), html! {}, has(r, &whole.belongings)))
        (widget::section("leave", r.t("Leaving, and other grave things", "퇴사와 그 밖의 중대한 일"), html! {}, leave(r, whole)))
    }
}

fn profile(r: &Reader, whole: &Whole) -> Markup {
    let user = &whole.user;
    let status: account::UserStatus = whole.resource.status::<User>().unwrap_or_default();
    let words = |w: &Option<String>| html! { (w.as_deref().unwrap_or("–")) };
    let number = |n: Option<u32>| html! { @match n { Some(n) => (n), None => "–" } };
    let mails: Vec<&str> = user.mails.iter().map(|m| m.address.as_str()).collect();
    widget::facts(&[
        (r.t("Mail", "메일"), html! { @if mails.is_empty() { "–" } (mails.join(", ")) }),
        (r.t("Phone", "전화"), words(&user.phone)),
        (r.t("Department", "부서"), words(&user.department)),
        (
            r.t("Manager", "상사"),
            html! { @match &user.manager { Some(m) => a href=(format!("/people/{m}")) { (m) }, None => "–" } },
        ),
        (r.t("Language", "언어"), words(&user.preferred_language)),
        ("uid", number(status.uid_number)),
        ("gid", number(status.gid_number)),
        (r.t("Stable id", "고정 ID"), html! { code { (whole.resource.uid) } }),
        (r.t("Since", "가입"), widget::ago(r, whole.resource.created)),
    ])
}

fn factors(r: &Reader, held: &FactorsView) -> Markup {
    widget::facts(&[
        (r.t("Password", "비밀번호"), widget::ago_or_dash(r, held.password)),
        (r.t("Authenticator app", "인증 앱"), widget::ago_or_dash(r, held.totp)),
        (r.t("Passkeys", "패스키"), html! { (held.passkeys.len()) }),
        (r.t("Recovery codes left", "남은 복구 코드"), html! { (held.recovery) }),
    ])
}

fn has(r: &Reader, all: &Belongings) -> Markup {
    let list = |names: &[Name], below: &str| {
        html! {
            @if names.is_empty() { "–" }
            @for (i, name) in names.iter().enumerate() {
                @if i > 0 { ", " }
                a href=(format!("{below}{name}")) { (name) }
            }
        }
    };
    widget::facts(&[
        (r.t("Only owner of", "유일한 소유자인 프로젝트"), list(&all.only_owner_of, "/projects/")),
        (r.t("Projects", "프로젝트"), list(&all.projects, "/projects/")),
        (r.t("Groups", "그룹"), list(&all.groups, "/groups/")),
        (r.t("Looks after", "맡은 그룹"), list(&all.teams, "/groups/")),
        (r.t("Manager of", "관리하는 사람"), list(&all.manages, "/people/")),
        (
            r.t("Service accounts of those projects", "그 프로젝트의 서비스 계정"),
            list(&all.service_accounts, "/service-accounts/"),
        ),
    ])
}

fn leave(r: &Reader, whole: &Whole) -> Markup {
    let name = &whole.resource.key.name;
    let needed = whole.belongings.needs_heir();
    html! {
        div.part-in {
            p.soft { (r.t(
                "Offboarding disables the account, ends everything it has open, takes it out of projects and groups, and gives what only it owned to somebody else",
                "퇴사 처리는 계정을 비활성화하고, 열린 것을 모두 끝내고, 프로젝트와 그룹에서 빼고, 혼자 소유하던 것을 다른 사람에게 넘깁니다",
            )) }
            form.filter method="post" action=(format!("/people/{name}/offboard")) data-ask=(r.t("Offboard them?", "퇴사 처리할까요?")) {
                label for="to" { (r.t("Taken over by", "이어받을 사람")) }
                input #to name="to" type="text" required[needed] maxlength="63" autocapitalize="none";
                button.button.danger { (r.t("Offboard", "퇴사 처리")) }
            }
            p.actions {
                @if whole.user.administrator {
                    (widget::post(&format!("/people/{name}/demote"), &[], html! { (r.t("No longer an administrator", "관리자 해제")) }, Tone::Plain))
                } @else if !whole.user.disabled {
                    (widget::post(&format!("/people/{name}/promote"), &[], html! { (r.t("Make an administrator", "관리자로 지정")) }, Tone::Plain))
                }
                (widget::post(&format!("/people/{name}/reset"), &[], html! { (r.t("Reset how they sign in", "로그인 수단 초기화")) }, Tone::Danger))
                @if whole.user.disabled {
                    (widget::post(&format!("/people/{name}/delete"), &[], html! { (r.t("Delete", "삭제")) }, Tone::Danger))
                }
            }
        }
    }
}

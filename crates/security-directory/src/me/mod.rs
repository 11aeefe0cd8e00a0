//! "My account": what people look after themselves.

mod factors;
#[cfg(test)]
pub(crate) use factors::draw as draw_factors;
mod keys;
mod profile;
pub(crate) mod sessions;
pub(crate) mod tokens;

use crate::sign_in::reader;
use account::User;
use kernel::{Error, Key, Kind, Name, Principal, Result};
use maud::{Markup, html};
use naru_http::{Access, Call, Response, Route};
use store::Put;
use web::widget;
use web::{Page, Reader};

pub(crate) use crate::sign_in::second::person;

pub(crate) const ROUTES: &[Route] = &[
    Route::get(
        "/account",
        Access::SignedIn,
        ("page: your profile", "페이지: 내 프로필"),
        |c| Box::pin(profile::show(c)),
    ),
    Route::post(
        "/account",
        Access::SignedIn,
        ("page: change your profile", "페이지: 프로필 변경"),
        |c| Box::pin(profile::save(c)),
    ),
    Route::get(
        "/account/sign-in",
        Access::SignedIn,
        ("page: how you sign in", "페이지: 내 로그인 수단"),
        |c| Box::pin(factors::show(c)),
    ),
    Route::post(
        "/account/password",
        Access::SignedIn,
        ("page: set your password", "페이지: 비밀번호 설정"),
        |c| Box::pin(factors::set_password(c)),
    ),
    Route::get(
        "/account/totp",
        Access::SignedIn,
        ("page: set an authenticator app up", "페이지: 인증 앱 등록"),
        |c| Box::pin(factors::show_totp(c)),
    ),
    Route::post(
        "/account/totp",
        Access::SignedIn,
        ("page: the first code of an authenticator app", "페이지: 인증 앱의 첫 코드"),
        |c| Box::pin(factors::finish_totp(c)),
    ),
    Route::post(
        "/account/totp/remove",
        Access::SignedIn,
        ("page: remove the authenticator app", "페이지: 인증 앱 삭제"),
        |c| Box::pin(factors::remove_totp(c)),
    ),
    Route::post(
        "/account/recovery",
        Access::SignedIn,
        ("page: new recovery codes", "페이지: 새 복구 코드"),
        |c| Box::pin(factors::renew(c)),
    ),
    Route::post(
        "/account/passkeys/question",
        Access::SignedIn,
        ("the question to a browser that makes a passkey", "패스키 생성 질문"),
        |c| Box::pin(factors::question(c)),
    ),
    Route::post(
        "/account/passkeys/answer",
        Access::SignedIn,
        ("add a passkey", "패스키 추가"),
        |c| Box::pin(factors::answer(c)),
    ),
    Route::post(
        "/account/passkeys/remove",
        Access::SignedIn,
        ("page: remove a passkey", "페이지: 패스키 삭제"),
        |c| Box::pin(factors::remove_passkey(c)),
    ),
    Route::get("/account/keys", Access::SignedIn, ("page: your keys", "페이지: 내 키"), |c| {
        Box::pin(keys::show(c))
    }),
    Route::post(
        "/account/keys",
        Access::SignedIn,
        ("page: add a key", "페이지: 키 추가"),
        |c| Box::pin(keys::add(c)),
    ),
    Route::post(
        "/account/keys/remove",
        Access::SignedIn,
        ("page: remove a key", "페이지: 키 삭제"),
        |c| Box::pin(keys::remove(c)),
    ),
    Route::get(
        "/account/sessions",
        Access::SignedIn,
        ("page: where you are signed in", "페이지: 로그인한 곳"),
        |c| Box::pin(sessions::show(c)),
    ),
    Route::post(
        "/account/sessions/end",
        Access::SignedIn,
        ("page: end one of your sessions, or all others", "페이지: 세션 종료"),
        |c| Box::pin(sessions::end(c)),
    ),
    Route::get(
        "/welcome",
        Access::SignedIn,
        ("the first sign-in: a personal token", "첫 로그인: 개인 토큰"),
        |c| Box::pin(tokens::welcome(c)),
    ),
    Route::get("/tokens", Access::SignedIn, ("page: your tokens", "페이지: 내 토큰"), |c| {
        Box::pin(tokens::show(c))
    }),
    Route::post(
        "/tokens",
        Access::SignedIn,
        ("page: make a token", "페이지: 토큰 생성"),
        |c| Box::pin(tokens::create(c)),
    ),
    Route::post(
        "/tokens/{token}/revoke",
        Access::SignedIn,
        ("page: revoke a token", "페이지: 토큰 폐기"),
        |c| Box::pin(tokens::revoke(c)),
    ),
];

/// The pages about oneself: address, English, Korean.
const PAGES: [(&str, &str, &str); 6] = [
    ("/account", "Profile", "프로필"),
    ("/account/sign-in", "Sign-in", "로그인 수단"),
    ("/account/keys", "Keys", "키"),
    ("/tokens", "Access tokens", "접근 토큰"),
    ("/account/sessions", "Sessions", "세션"),
    ("/account/applications", "Applications", "애플리케이션"),
];

/// One of those pages, with the way to the others.
pub(crate) fn framed(
    call: &Call,
    address: &str,
    wrong: Option<&Error>,
    body: impl FnOnce(&Reader) -> Markup,
) -> Response {
    let r = reader(call, address.to_owned());
    let mut title = r.t("My account", "내 계정");
    for (page, en, ko) in PAGES {
        if page == address {
            title = r.t(en, ko);
        }
    }
    let whole = html! {
        (heading(&r, address))
        @if let Some(error) = wrong { (crate::sign_in::page::said(&r, error)) }
        (body(&r))
    };
    let page = Page { title: title.to_owned(), bare: true, ..Page::default() };
    let mut response = web::page(call, &page, whole);
    if let Some(error) = wrong
        && let Ok(status) = http::StatusCode::from_u16(error.kind().status())
    {
        *response.status_mut() = status;
    }
    response
}

pub(crate) fn heading(r: &Reader, address: &str) -> Markup {
    let tabs: Vec<(&str, String, bool)> = PAGES
        .iter()
        .map(|(page, en, ko)| (r.t(en, ko), (*page).to_owned(), *page == address))
        .collect();
    let who = r.who.clone().unwrap_or_default();
    html! {
        (widget::heading(html! { (r.t("My account", "내 계정")) }, html! {}, html! { span { (who) } }, html! {}))
        (widget::tabs(r.t("My account", "내 계정"), &tabs))
    }
}

/// The caller's own resource.
pub(crate) async fn own(call: &Call) -> Result<(Name, User)> {
    let name = person(call)?;
    let key = Key::global::<User>(&name);
    let found = call.site.store.read(move |v| v.resource(&key)).await?;
    let user = found.map(|r| r.spec::<User>()).transpose()?;
    Ok((name, user.unwrap_or_default()))
}

/// Changes a user's resource, checked as every write of it is.
///
/// # Errors
/// `user.unknown`, and what the kind's check says.
pub(crate) async fn edit(
    call: &Call,
    name: &Name,
    change: impl FnOnce(&mut User) -> Result<()> + Send + 'static,
) -> Result<()> {
    let (key, actor, name) = (Key::global::<User>(name), call.who.clone(), name.clone());
    let accounts = call.site.accounts.clone();
    call.site
        .store
        .write(move |tx| {
            let old = tx.resource(&key)?.ok_or_else(|| crate::people::unknown(&name))?;
            let mut user: User = old.spec()?;
            change(&mut user)?;
            user.check()?;
            let spec = serde_json::to_value(user).map_err(Error::internal)?;
            let put = Put { key, labels: old.labels, spec, expected: Some(old.revision), actor };
            accounts.put(tx, put).map(drop)
        })
        .await
}

/// The principal of a person.
pub(crate) fn principal(name: &Name) -> Principal {
    Principal::User(name.clone())
}

/// The keys of somebody else.
pub(crate) fn key_list(r: &Reader, user: &User) -> Markup {
    keys::list(r, user, false)
}

//! The way in for browsers: name and password, a second factor where one is needed, a passkey, a token, a one-time
//! link, an invitation.
//!
//! Between the steps the browser holds a cookie that names a half-open sign-in and is good for nothing else. Whatever
//! opened it, a session has a new secret: one that somebody planted before is worth nothing.

pub(crate) mod invitation;
mod link;
pub(crate) mod page;
mod passkey;
pub(crate) mod second;

use crate::door;
use account::credential::{Opened, Step};
use kernel::{Error, ErrorKind, Result, Text};
use naru_http::{Access, Call, Response, Route, found};
use std::collections::BTreeMap;
use web::{Reader, back};

pub(crate) const ROUTES: &[Route] = &[
    Route::get("/sign-in", Access::Public, ("page: sign in", "페이지: 로그인"), |c| {
        Box::pin(show(c))
    }),
    Route::post(
        "/sign-in",
        Access::Public,
        ("sign in by name and password, or by a token", "이름과 비밀번호 또는 토큰으로 로그인"),
        |c| Box::pin(sign_in(c)),
    ),
    Route::get(
        "/sign-in/second",
        Access::Public,
        ("page: the second factor", "페이지: 두 번째 인증"),
        |c| Box::pin(second::show(c)),
    ),
    Route::post(
        "/sign-in/second",
        Access::Public,
        ("sign in: the second factor", "로그인: 두 번째 인증"),
        |c| Box::pin(second::answer(c)),
    ),
    Route::get(
        "/sign-in/enrol",
        Access::Public,
        ("page: set up the second factor that is asked for", "페이지: 필요한 두 번째 인증 등록"),
        |c| Box::pin(second::show_enrol(c)),
    ),
    Route::post(
        "/sign-in/enrol",
        Access::Public,
        ("sign in: set up a second factor", "로그인: 두 번째 인증 등록"),
        |c| Box::pin(second::enrol(c)),
    ),
    Route::get(
        "/sign-in/again",
        Access::SignedIn,
        ("page: prove once more who you are", "페이지: 본인 다시 확인"),
        |c| Box::pin(second::show_again(c)),
    ),
    Route::post(
        "/sign-in/again",
        Access::SignedIn,
        ("prove once more who you are", "본인 다시 확인"),
        |c| Box::pin(second::again(c)),
    ),
    Route::post(
        "/sign-in/passkey/question",
        Access::Public,
        ("the question to a browser that shows a passkey", "패스키 질문"),
        |c| Box::pin(passkey::question(c)),
    ),
    Route::post(
        "/sign-in/passkey/answer",
        Access::Public,
        ("sign in by a passkey", "패스키로 로그인"),
        |c| Box::pin(passkey::answer(c)),
    ),
    Route::get(
        "/sign-in/{code}",
        Access::Public,
        ("open a session by a one-time link", "일회용 링크로 로그인"),
        |c| Box::pin(link::open(c)),
    ),
    Route::get(
        "/invitation/{code}",
        Access::Public,
        ("page: set a password by an invitation", "페이지: 초대 링크로 비밀번호 설정"),
        |c| Box::pin(invitation::show(c)),
    ),
    Route::post(
        "/invitation/{code}",
        Access::Public,
        ("set a password by an invitation", "초대 링크로 비밀번호 설정"),
        |c| Box::pin(invitation::accept(c)),
    ),
    Route::post("/sign-out", Access::SignedIn, ("end the session", "로그아웃"), |c| {
        Box::pin(link::sign_out(c))
    }),
    Route::post(
        "/api/v1/sign-in-links",
        Access::SignedIn,
        ("a one-time sign-in link for you", "내 일회용 로그인 링크"),
        |c| Box::pin(link::create(c)),
    ),
];

async fn show(call: Call) -> Result<Response> {
    let to = call.query("back").unwrap_or_default();
    Ok(page::answer(&call, back(&to), None))
}

async fn sign_in(mut call: Call) -> Result<Response> {
    door::from_here(&call)?;
    let form = call.form().await?;
    let to = back(field(&form, "back"));
    let outcome = match field(&form, "token") {
        "" => by_password(&call, &form).await,
        token => by_token(&call, token).await.map(Step::Open),
    };
    match outcome {
        Ok(step) => next(&call, &step, to),
        Err(error) if is_answer(&error) => Ok(page::answer(&call, to, Some((&error, &form)))),
        Err(error) => Err(error),
    }
}

async fn by_password(call: &Call, form: &BTreeMap<String, String>) -> Result<Step> {
    let (name, password) = (field(form, "name"), form.get("password").cloned().unwrap_or_default());
    call.site.accounts.sign_in(name, password, &door::visitor(call)).await
}

async fn by_token(call: &Call, token: &str) -> Result<Opened> {
    let accounts = &call.site.accounts;
    accounts.sign_in_by_token(token, &door::visitor(call)).await.map_err(|_| {
        Error::new(
            ErrorKind::Unauthenticated,
            "token.wrong",
            Text::fixed("this token is not known here", "여기서 모르는 토큰입니다"),
        )
        .hint(Text::fixed(
            "`naru token create NAME` makes one",
            "`naru token create NAME`으로 만드세요",
        ))
    })
}

/// Leads to the step that is next.
pub(crate) fn next(call: &Call, step: &Step, to: &str) -> Result<Response> {
    let (half, page) = match step {
        Step::Open(opened) => return door::enter(call, opened, to),
        Step::Second(half) => (half, "second"),
        Step::Enrol(half) => (half, "enrol"),
    };
    let mut response = found(&format!("/sign-in/{page}?back={}", web::segment(to)))?;
    door::half_open(call, &mut response, &half.code)?;
    Ok(response)
}

/// Whether an error is said on the form itself, so that one can try again.
fn is_answer(error: &Error) -> bool {
    use ErrorKind::{Busy, Conflict, Invalid, Unauthenticated, Unavailable};
    matches!(error.kind(), Busy | Conflict | Invalid | Unauthenticated | Unavailable)
        && error.code() != "sign-in.late"
}

pub(crate) fn field<'a>(form: &'a BTreeMap<String, String>, name: &str) -> &'a str {
    form.get(name).map_or("", |v| v.trim())
}

/// The reader of a page whose language and colours lead back to a page that can be got: what a form posts to cannot
/// always be.
pub(crate) fn reader(call: &Call, address: String) -> Reader {
    Reader { address, ..Reader::of(call) }
}

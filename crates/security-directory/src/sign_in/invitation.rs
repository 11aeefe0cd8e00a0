//! The page of an invitation: the first password, or a new one.

use super::page::{crossing, framed, said};
use super::{is_answer, next, reader};
use crate::door;
use account::credential::Invited;
use kernel::{Error, Result, Text};
use maud::{Markup, html};
use naru_http::{Call, Response};
use web::{Reader, widget};

pub(super) async fn show(call: Call) -> Result<Response> {
    let invited = call.site.accounts.invitation(call.param("code")?).await?;
    page(&call, &invited, None)
}

fn page(call: &Call, invited: &Invited, wrong: Option<&Error>) -> Result<Response> {
    let action = format!("/invitation/{}", web::segment(call.param("code")?));
    let r = reader(call, action.clone());
    let body = draw(&r, invited, &action, wrong);
    Ok(framed(call, r.t("Welcome to naru", "naru에 오신 것을 환영합니다"), body, wrong))
}

pub(crate) fn draw(r: &Reader, invited: &Invited, action: &str, wrong: Option<&Error>) -> Markup {
    let name = if invited.title.is_empty() { invited.user.as_str() } else { &invited.title };
    html! {
        section.sign {
            (crossing())
            @if let Some(error) = wrong { (said(r, error)) }
            div.part {
                h1 { (r.t("Welcome aboard, ", "어서 오세요, ")) (name) (r.t("", " 님")) }
                p.soft {
                    (r.t("Your name here is ", "여기서 쓰는 이름은 ")) strong { (invited.user) }
                    (r.t(". This link ends ", "입니다. 링크 만료: ")) (widget::ago(r, invited.until))
                }
                form method="post" action=(action) {
                    input type="text" name="name" value=(invited.user) autocomplete="username" hidden readonly;
                    label for="password" { (r.t("Choose a password", "새 비밀번호")) }
                    input #password type="password" name="password" required autofocus autocomplete="new-password"
                        minlength=(invited.shortest_password);
                    label for="again" { (r.t("Once more", "한 번 더")) }
                    input #again type="password" name="again" required autocomplete="new-password";
                    button.button.main { (r.t("Set it and sign in", "설정하고 로그인")) }
                }
                p.soft { (r.t("At least ", "")) (invited.shortest_password) (r.t(
                    " letters. Four words that have nothing to do with each other are easy to keep",
                    "자 이상. 서로 상관없는 낱말 네 개를 이으면 기억하기 쉽습니다",
                )) }
            }
        }
    }
}

pub(super) async fn accept(mut call: Call) -> Result<Response> {
    door::from_here(&call)?;
    let form = call.form().await?;
    let code = call.param("code")?.to_owned();
    let password = form.get("password").cloned().unwrap_or_default();
    let accounts = &call.site.accounts;
    let outcome = match form.get("again") {
        Some(again) if *again == password => {
            accounts.accept(&code, password, &door::visitor(&call)).await
        }
        _ => Err(twice()),
    };
    match outcome {
        Ok(step) => next(&call, &step, "/welcome"),
        Err(error) if is_answer(&error) && error.code() != "invitation.spent" => {
            let invited = accounts.invitation(&code).await?;
            page(&call, &invited, Some(&error))
        }
        Err(error) => Err(error),
    }
}

pub(crate) fn twice() -> Error {
    Error::invalid(
        "password.differs",
        Text::fixed("the two passwords are not the same", "두 비밀번호가 서로 다릅니다"),
    )
}

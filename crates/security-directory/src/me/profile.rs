//! Name, mails, language: what a person says of himself.

use super::{edit, framed, own};
use crate::sign_in::field;
use account::{Address, Mail, User};
use kernel::{Error, Result};
use maud::{Markup, html};
use naru_http::{Call, Response, found};
use std::collections::BTreeMap;
use web::Reader;
use web::widget;

const HERE: &str = "/account";

pub(super) async fn show(call: Call) -> Result<Response> {
    let (_, user) = own(&call).await?;
    Ok(framed(&call, HERE, None, |r| draw(r, &user)))
}

pub(super) async fn save(mut call: Call) -> Result<Response> {
    let form = call.form().await?;
    let (name, mut typed) = own(&call).await?;
    fill(&mut typed, &form);
    let kept = typed.clone();
    let saved = edit(&call, &name, move |user| {
        *user = User { administrator: user.administrator, disabled: user.disabled, ..kept };
        Ok(())
    })
    .await;
    match saved {
        Ok(()) => {
            let mut response = found(HERE)?;
            speak(&mut response, typed.preferred_language.as_deref())?;
            Ok(response)
        }
        Err(error) if error.kind().status() < 500 => {
            Ok(framed(&call, HERE, Some(&error), |r| draw(r, &typed)))
        }
        Err(error) => Err(error),
    }
}

/// Pages speak the language that was chosen, from the next one on.
fn speak(response: &mut Response, language: Option<&str>) -> Result<()> {
    let Some(lang @ ("en" | "ko")) = language else { return Ok(()) };
    let cookie = format!("naru_lang={lang}; Path=/; Max-Age=31536000; SameSite=Lax");
    let cookie = cookie.parse().map_err(Error::internal)?;
    response.headers_mut().append("set-cookie", cookie);
    Ok(())
}

/// What people may say of themselves; what they are to others stays.
fn fill(user: &mut User, form: &BTreeMap<String, String>) {
    let words = |name: &str| Some(field(form, name).to_owned()).filter(|w| !w.is_empty());
    user.title = words("title").unwrap_or_default();
    user.given_name = words("given_name");
    user.family_name = words("family_name");
    user.phone = words("phone");
    user.timezone = words("timezone");
    user.preferred_language = words("preferred_language");
    let mail = |(n, line): (usize, &str)| Mail {
        address: line.to_owned(),
        of: user.mails.iter().find(|m| m.address == line).map_or(Address::Work, |m| m.of),
        primary: n == 0,
    };
    let lines = field(form, "mails").lines().map(str::trim).filter(|l| !l.is_empty());
    user.mails = lines.enumerate().map(mail).collect();
}

pub(crate) fn draw(r: &Reader, user: &User) -> Markup {
    let mails: Vec<&str> = user.mails.iter().map(|m| m.address.as_str()).collect();
    let line = |name: &str, label: &str, value: Option<&str>, kind: &str| {
        html! {
            div.entry {
                label for=(name) { (label) }
                input id=(name) name=(name) type="text" value=(value.unwrap_or("")) maxlength="200" autocomplete=(kind);
            }
        }
    };
    let language = user.preferred_language.as_deref().unwrap_or("");
    widget::section(
        "profile",
        r.t("Profile", "프로필"),
        html! {},
        html! {
            form.part-in.entries method="post" action="/account" {
                (line("title", r.t("How others see you", "남에게 보이는 이름"), Some(&user.title), "nickname"))
                (line("given_name", r.t("Given name", "이름"), user.given_name.as_deref(), "given-name"))
                (line("family_name", r.t("Family name", "성"), user.family_name.as_deref(), "family-name"))
                (line("phone", r.t("Phone", "전화"), user.phone.as_deref(), "tel"))
                (line("timezone", r.t("Time zone", "시간대"), user.timezone.as_deref(), "off"))
                div.entry {
                    label for="preferred_language" { (r.t("Language", "언어")) }
                    select #preferred_language name="preferred_language" {
                        option value="" selected[language.is_empty()] { (r.t("as the browser says", "브라우저 설정대로")) }
                        option value="en" selected[language == "en"] { "English" }
                        option value="ko" selected[language == "ko"] { "한국어" }
                    }
                }
                div.entry.entry-wide {
                    label for="mails" { (r.t("Mail addresses, one a line; the first is where mail goes", "메일 주소. 한 줄에 하나씩, 첫 줄이 기본 주소입니다")) }
                    textarea #mails name="mails" rows="3" spellcheck="false" { (mails.join("\n")) }
                }
                div.entry-wide { button.button.main { (r.t("Save", "저장")) } }
            }
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_makes_himself_an_administrator() {
        let mut user = User { department: Some("ferry".into()), ..User::default() };
        let form = [
            ("title", "Han"),
            ("administrator", "true"),
            ("disabled", "true"),
            ("mails", "a@x.com\n\nb@x.com "),
        ];
        let form = form.map(|(k, v)| (k.to_owned(), v.to_owned())).into();
        fill(&mut user, &form);
        assert!(!user.administrator && !user.disabled);
        assert_eq!(user.department.as_deref(), Some("ferry"), "what one is to others stays");
        let mails: Vec<_> = user.mails.iter().map(|m| (m.address.as_str(), m.primary)).collect();
        assert_eq!(mails, [("a@x.com", true), ("b@x.com", false)]);
    }
}

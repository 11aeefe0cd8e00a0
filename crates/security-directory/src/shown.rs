//! What is shown once and never again.

use maud::{Markup, html};
use web::Reader;
use web::widget::{self, State, Tone};

/// Recovery codes, for paper.
pub(crate) fn recovery(r: &Reader, codes: &[String]) -> Markup {
    html! {
        div.part.part-in.once {
            (widget::flash(
                State::Passed,
                r.t("Keep these ten codes now: they are not shown again", "열 개의 코드를 지금 보관하세요. 다시 보여 주지 않습니다"),
                Some(r.t(
                    "Each takes the place of phone or passkey once. Paper is a good place",
                    "각 코드는 휴대전화나 패스키 대신 한 번 쓸 수 있습니다. 종이에 적어 두면 좋습니다",
                )),
            ))
            ol.recovery { @for code in codes { li { code { (code) } } } }
            button.quiet type="button" data-copy=(codes.join("\n")) hidden { (r.t("Copy", "복사")) }
        }
    }
}

/// The way on from there.
pub(crate) fn onward(r: &Reader, to: &str) -> Markup {
    widget::link_button(to, r.t("I have kept them", "보관했습니다"), Tone::Main)
}

/// A secret that was just made.
pub(crate) fn secret(r: &Reader, words: &str, secret: &str) -> Markup {
    html! {
        (widget::flash(State::Passed, words, None))
        div.part.part-in { div.command.secret {
            code { (secret) }
            button.quiet type="button" data-copy=(secret) hidden { (r.t("Copy", "복사")) }
        } }
    }
}

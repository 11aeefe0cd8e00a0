//! Signing in from a browser.

use kernel::Result;
use maud::{Markup, html};
use naru_http::{Call, Response};
use web::widget;
use web::{Page, Reader};

pub(super) async fn show(call: Call) -> Result<Response> {
    let r = Reader::of(&call);
    let page =
        Page { title: r.t("Sign in", "로그인").to_owned(), bare: true, ..Page::default() };
    let back = call.query("back").unwrap_or_default();
    Ok(web::page(&call, &page, draw(&r, web::back(&back))))
}

pub(super) fn draw(r: &Reader, back: &str) -> Markup {
    html! {
        section.sign {
            (crossing())
            div.part {
                h1 { (r.t("Come aboard", "나루에 오르세요")) }
                form method="post" action="/sign-in" {
                    input type="hidden" name="back" value=(back);
                    label for="token" { (r.t("Access token", "접근 토큰")) }
                    input #token type="password" name="token" required autofocus autocomplete="current-password"
                        placeholder="naru_…" spellcheck="false";
                    button.button.main { (r.t("Sign in", "로그인")) }
                }
            }
            div.part {
                h2 { (r.t("Without a token", "토큰이 없다면")) }
                p.soft { (r.t(
                    "On the machine that runs naru this prints a link that signs you in once:",
                    "naru가 실행되는 기계에서 아래 명령을 쓰면 한 번 쓸 수 있는 로그인 링크가 나옵니다:",
                )) }
                (widget::copyable(r, "naru sign-in"))
                p.soft {
                    code { "naru up" }
                    (r.t(
                        " prints one, too, when it is ready. A token for elsewhere:",
                        "도 준비가 되면 링크를 보여 줍니다. 다른 곳에서 쓸 토큰은:",
                    ))
                }
                (widget::copyable(r, "naru token create laptop"))
            }
        }
    }
}

/// The picture of the house: a ferry between two banks.
fn crossing() -> Markup {
    html! {
        svg.sign-art viewBox="0 0 430 110" aria-hidden="true" {
            path.bank d="M0 66c30-3 44-16 78-19 8 0 14 2 20 5v58H0ZM430 66c-30-3-44-16-78-19-8 0-14 2-20 5v58h98Z" {}
            path.pier d="M84 56h34M346 56h-34" {}
            path.water d="M92 78c14 0 14-6 28-6s14 6 28 6 14-6 28-6 14 6 28 6 14-6 28-6 14 6 28 6 14-6 28-6 14 6 28 6 14-6 22-6v38H92Z" {}
            g {
                path.sail d="M212 18v38h-27c12-9 21-22 27-38ZM218 26c8 7 14 17 18 30h-18Z" {}
                path.hull d="M172 60h86c-3 11-9 17-18 20h-50c-9-3-15-9-18-20Z" {}
            }
        }
    }
}

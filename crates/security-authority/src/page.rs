//! `/ca`: how to trust the CA, for everybody; `/ca/certificates`: what it has signed, for administrators.

use crate::open::{Known, OVERLAP};
use crate::record::{self, Issued, Standing};
use crate::trusting::{FILE, WAYS};
use crate::{Authority, api};
use authority::{Serial, Usage};
use kernel::Result;
use maud::{Markup, html};
use naru_http::{Access, Call, Response, Route, found};
use std::collections::BTreeMap;
use web::widget::{self, State, Table, Tone};
use web::{Page, Reader};

const SHOWN: usize = 100;

pub(crate) const ROUTES: &[Route] = &[
    Route::get(
        "/ca",
        Access::Public,
        ("page: how to trust the internal CA", "페이지: 내부 CA를 신뢰하는 방법"),
        |c| Box::pin(show(c)),
    ),
    Route::get(
        "/ca/certificates",
        Access::Platform,
        ("page: what the internal CA has signed", "페이지: 내부 CA가 서명한 인증서"),
        |c| Box::pin(list(c)),
    ),
    Route::post(
        "/ca/certificates",
        Access::Platform,
        ("page: sign a certificate request", "페이지: 인증서 요청에 서명"),
        |c| Box::pin(sign(c)),
    ),
    Route::post(
        "/ca/certificates/{serial}/revoke",
        Access::Platform,
        ("page: revoke a certificate", "페이지: 인증서 폐기"),
        |c| Box::pin(revoke(c)),
    ),
    Route::post(
        "/ca/rotate",
        Access::Platform,
        ("page: make a new root", "페이지: 새 루트 만들기"),
        |c| Box::pin(rotate(c)),
    ),
];

async fn show(call: Call) -> Result<Response> {
    let authority = call.part::<Authority>()?;
    let roots = authority.roots()?;
    let administers = call.may_administer().await.is_ok();
    let r = Reader::of(&call);
    let page = Page { title: title(&r), bare: true, ..Page::default() };
    let body = draw(&r, &roots, &authority.options().url, administers);
    Ok(web::page(&call, &page, body))
}

fn title(r: &Reader) -> String {
    r.t("Internal CA", "내부 CA").to_owned()
}

fn draw(r: &Reader, roots: &[Known], url: &str, administers: bool) -> Markup {
    let about = html! { (r.t(
        "This naru signs its own certificates. Whoever trusts this CA can tell that it is really this naru that answers.",
        "이 나루는 인증서에 직접 서명합니다. 이 CA를 신뢰하면 정말 이 나루가 답하는지 알 수 있습니다.",
    )) };
    let actions = html! {
        @if administers {
            (widget::link_button("/ca/certificates", r.t("Certificates", "인증서"), Tone::Plain))
        }
        (widget::link_button("/ca.der", r.t("Download for Windows", "Windows용 내려받기"), Tone::Plain))
        (widget::link_button("/ca.pem", r.t("Download (PEM)", "내려받기 (PEM)"), Tone::Main))
    };
    let fingerprint = roots.first().map(|root| root.fingerprint.to_string()).unwrap_or_default();
    html! {
        (widget::heading(html! { (title(r)) }, html! {}, about, actions))
        @for root in roots { (about_root(r, root, roots.len() > 1)) }
        p { (r.t(
            "Compare the fingerprint with what an administrator tells you by another way: this page may come from anybody as long as you do not trust the CA.",
            "관리자가 다른 경로로 알려 준 지문과 비교하세요. CA를 신뢰하기 전에는 이 페이지도 누가 보낸 것인지 알 수 없습니다.",
        )) }
        @for (at, way) in WAYS.iter().enumerate() {
            (widget::section(&format!("way{at}"), way.title(r.lang), html! {}, html! {
                div.part-in {
                    @if !way.words(r.lang).is_empty() { p.soft { (way.words(r.lang)) } }
                    @for command in way.commands(url, FILE, &fingerprint) {
                        div { (widget::copyable(r, &command)) }
                    }
                }
            }))
        }
    }
}

fn about_root(r: &Reader, root: &Known, several: bool) -> Markup {
    let only = root.only.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let heading = match (several, root.retires) {
        (_, Some(_)) => r.t("The one before", "이전 CA"),
        (true, None) => r.t("The one that signs", "서명하는 CA"),
        (false, None) => "",
    };
    let mut facts = vec![
        (r.t("Fingerprint (SHA-256)", "지문 (SHA-256)"), html! { code { (root.fingerprint) } }),
        (r.t("Name", "이름"), html! { (root.name) }),
        (r.t("Holds until", "유효 기간"), html! { (record::day(root.until)) }),
    ];
    if let Some(at) = root.retires {
        facts.push((r.t("Trusted until", "신뢰 기한"), html! { (record::day(at)) }));
    }
    if !only.is_empty() {
        facts.push((r.t("Signs only for", "서명 범위"), html! { (only) }));
    }
    let id = format!("root-{}", root.fingerprint.short());
    widget::section(&id, heading, html! {}, widget::facts(&facts))
}

async fn list(call: Call) -> Result<Response> {
    listed(&call, None).await
}

/// The list, with what was just signed on top.
async fn listed(call: &Call, signed: Option<(Issued, String)>) -> Result<Response> {
    let before = call.query("before").map(|words| Serial::parse(&words)).transpose()?;
    let read = move |v: &store::View<'_>| record::list(v, before.as_ref(), SHOWN);
    let items = call.site.store.read(read).await?;
    let roots = call.part::<Authority>()?.roots()?;
    let r = Reader::of(call);
    let page =
        Page { title: r.t("Certificates", "인증서").to_owned(), bare: true, ..Page::default() };
    let page = page.crumb(title(&r), "/ca");
    Ok(web::page(call, &page, certificates(&r, &items, &roots, signed.as_ref())))
}

fn certificates(
    r: &Reader,
    items: &[Issued],
    roots: &[Known],
    signed: Option<&(Issued, String)>,
) -> Markup {
    let about = html! { (r.t(
        "What the internal CA has signed. Servers and clients get theirs with `naru ca issue`, or here from a request of their own: their keys never come to this server.",
        "내부 CA가 서명한 인증서입니다. 서버와 클라이언트는 `naru ca issue`로, 또는 여기서 직접 만든 요청으로 인증서를 받습니다. 키는 이 서버로 오지 않습니다.",
    )) };
    html! {
        (widget::heading(html! { (r.t("Certificates", "인증서")) }, html! {}, about, html! {}))
        @if let Some((issued, chain)) = signed {
            @let names = issued.named();
            @let words = kernel::text!("signed for {names}", "{names}의 인증서에 서명했습니다");
            (widget::flash(State::Passed, words.get(r.lang), None))
            (widget::code_block(chain))
        }
        @if items.is_empty() {
            (widget::empty(
                r,
                r.t("Nothing was signed yet", "아직 서명한 인증서가 없습니다"),
                r.t("Make a key and have it signed", "키를 만들고 서명을 받으세요"),
                &["naru ca issue db.internal"],
            ))
        } @else {
            (table(r, items))
        }
        @if let Some(last) = items.last().filter(|_| items.len() == SHOWN) {
            p { a.button href=(format!("/ca/certificates?before={}", last.serial.as_str())) { (r.t("Older", "이전 인증서")) } }
        }
        (widget::section("sign", r.t("Sign a request", "요청에 서명"), html! {}, request_form(r)))
        (widget::section("rotate", r.t("New root", "새 루트"), html! {}, rotation(r, roots)))
    }
}

fn table(r: &Reader, items: &[Issued]) -> Markup {
    let heads = vec![
        ("grow", r.t("For", "대상").to_owned()),
        ("", r.t("Use", "용도").to_owned()),
        ("", r.t("State", "상태").to_owned()),
        ("", r.t("Until", "만료").to_owned()),
        ("wide", r.t("Signed", "서명").to_owned()),
        ("wide", r.t("By", "요청자").to_owned()),
        ("", String::new()),
    ];
    let rows = items.iter().map(|issued| (None, cells(r, issued))).collect();
    widget::table(&Table { heads, rows })
}

fn cells(r: &Reader, issued: &Issued) -> Vec<Markup> {
    let standing = issued.standing(r.now);
    let (state, words) = match standing {
        Standing::Holds => (State::Passed, r.t("holds", "유효")),
        Standing::Revoked => (State::Failed, r.t("revoked", "폐기됨")),
        Standing::Expired => (State::Skipped, r.t("expired", "만료됨")),
    };
    let revoke = format!("/ca/certificates/{}/revoke", issued.serial.as_str());
    vec![
        html! { span title=(issued.serial.as_str()) { (issued.named()) } },
        html! { (usage(r, issued.usage)) },
        widget::badge(r, state, Some(words)),
        html! { time datetime=(issued.expires) { (record::day(issued.expires)) } },
        widget::ago(r, issued.issued),
        html! { span.soft { (issued.by) } },
        html! {
            @if standing == Standing::Holds {
                (widget::post(&revoke, &[], html! { (r.t("Revoke", "폐기")) }, Tone::Danger))
            }
        },
    ]
}

fn usage(r: &Reader, usage: Usage) -> &'static str {
    match usage {
        Usage::Server => r.t("server", "서버"),
        Usage::Client => r.t("client", "클라이언트"),
    }
}

fn request_form(r: &Reader) -> Markup {
    html! {
        form.part-in.entries method="post" action="/ca/certificates" {
            div.entry.entry-wide {
                label for="csr" { (r.t("Certificate request (PEM)", "인증서 요청 (PEM)")) }
                textarea #csr name="csr" rows="6" required placeholder="-----BEGIN CERTIFICATE REQUEST-----" {}
            }
            div.entry {
                label for="names" {
                    (r.t("Names, with commas; empty for those in the request", "이름, 쉼표로 구분. 비우면 요청에 적힌 이름"))
                }
                input #names type="text" name="names" placeholder="db.internal, 10.0.0.7";
            }
            div.entry {
                label for="usage" { (r.t("Use", "용도")) }
                select #usage name="usage" {
                    option value="server" { (usage(r, Usage::Server)) }
                    option value="client" { (usage(r, Usage::Client)) }
                }
            }
            div { button.button.main type="submit" { (r.t("Sign", "서명")) } }
        }
    }
}

fn rotation(r: &Reader, roots: &[Known]) -> Markup {
    let waiting = roots.iter().find_map(|root| root.retires);
    let days = OVERLAP.as_secs() / (24 * 3600);
    html! {
        div.part-in {
        @match waiting {
            Some(at) => p.soft { (r.t("The one before is trusted until", "이전 루트의 신뢰 기한")) " " (record::day(at)) },
            None => p.soft {
                (kernel::text!(
                    "A new root signs from then on. For {days} days clients that trust only the old one go on to work: it vouches for the new one.",
                    "그때부터 새 루트가 서명합니다. {days}일 동안은 이전 루트만 신뢰하는 클라이언트도 계속 쓸 수 있습니다. 이전 루트가 새 루트를 보증하기 때문입니다."
                ).get(r.lang))
            },
        }
        (widget::post("/ca/rotate", &[], html! { (r.t("Make a new root", "새 루트 만들기")) }, Tone::Danger))
        }
    }
}

async fn sign(mut call: Call) -> Result<Response> {
    let form: BTreeMap<String, String> = call.form().await?;
    let field = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
    let names = field("names").split([',', ' ']).filter(|n| !n.is_empty());
    let names: Vec<String> = names.map(str::to_owned).collect();
    let usage = if field("usage") == "client" { Usage::Client } else { Usage::Server };
    let days = authority::LONGEST.as_secs() / (24 * 3600);
    let asked = api::asked(field("csr"), &names, usage, days)?;
    let signed = call.part::<Authority>()?.issue(asked, call.who.clone()).await?;
    listed(&call, Some(signed)).await
}

async fn revoke(call: Call) -> Result<Response> {
    let serial = Serial::parse(call.param("serial")?)?;
    call.part::<Authority>()?.revoke(serial, call.who.clone()).await?;
    found("/ca/certificates")
}

async fn rotate(call: Call) -> Result<Response> {
    call.part::<Authority>()?.rotate(Vec::new(), OVERLAP, call.who.clone()).await?;
    found("/ca/certificates")
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::{Principal, Time};
    use web::testing::drawn;

    const NOW: Time = Time(1_800_000_000_000);

    fn root(retires: Option<Time>) -> Known {
        let made = authority::Root::make(NOW, vec!["internal".parse().unwrap()]).unwrap();
        Known {
            fingerprint: made.fingerprint(),
            name: made.name(),
            made: NOW,
            until: made.until,
            retires,
            only: made.only.clone(),
            pem: authority::to_pem(&made.certificate),
        }
    }

    #[test]
    fn the_page_says_how_every_kind_of_client_comes_to_trust() {
        let roots = [root(None), root(Some(NOW))];
        let html = drawn(NOW, |r| draw(r, &roots, "https://naru.example.com", false));
        let shown = roots[0].fingerprint.to_string();
        let login = format!("naru login https://naru.example.com --ca-fingerprint {shown}");
        for words in [
            login.as_str(),
            "update-ca-certificates",
            "keytool",
            "NODE_EXTRA_CA_CERTS",
            "The one before",
        ] {
            assert!(html.contains(words), "{words}");
        }
        assert!(!html.contains("/ca/certificates"), "nobody else's business");
        assert!(drawn(NOW, |r| draw(r, &roots, "x", true)).contains("/ca/certificates"));
    }

    #[test]
    fn a_certificate_that_holds_can_be_revoked_and_no_other() {
        let issued = |revoked, expires| Issued {
            serial: Serial::draw(NOW).unwrap(),
            names: vec!["db.internal".parse().unwrap()],
            usage: Usage::Server,
            by: Principal::part("authority"),
            issued: NOW,
            expires,
            root: root(None).fingerprint,
            revoked,
        };
        let later = Time(NOW.0 + 1);
        let count = |items: &[Issued]| {
            drawn(NOW, |r| certificates(r, items, &[], None)).matches("/revoke\"").count()
        };
        assert_eq!(count(&[issued(None, later)]), 1);
        assert_eq!(count(&[issued(Some(NOW), later), issued(None, NOW)]), 0);
        assert!(drawn(NOW, |r| certificates(r, &[], &[], None)).contains("naru ca issue"));
    }
}

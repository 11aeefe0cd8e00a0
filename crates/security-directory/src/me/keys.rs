//! Public keys of SSH and OpenPGP.

use super::{edit, framed, own, person};
use crate::fresh;
use crate::sign_in::field;
use account::{PgpKey, SshKey, User};
use kernel::{Error, Result};
use maud::{Markup, html};
use naru_http::{Call, Response, found};
use web::Reader;
use web::widget::{self, Table, Tone};

const HERE: &str = "/account/keys";

pub(super) async fn show(call: Call) -> Result<Response> {
    let (_, user) = own(&call).await?;
    Ok(framed(&call, HERE, None, |r| draw(r, &user)))
}

pub(super) async fn add(mut call: Call) -> Result<Response> {
    if let Some(detour) = fresh::detour(&call, HERE) {
        return detour;
    }
    let form = call.form().await?;
    let (key, title) = (field(&form, "key").to_owned(), field(&form, "title").to_owned());
    let user = person(&call)?;
    let added = edit(&call, &user, move |user| {
        if key.starts_with("-----BEGIN PGP") {
            user.pgp_keys.push(PgpKey { key });
        } else {
            user.ssh_keys.push(SshKey { key, title });
        }
        Ok(())
    });
    said(&call, added.await).await
}

pub(super) async fn remove(mut call: Call) -> Result<Response> {
    if let Some(detour) = fresh::detour(&call, HERE) {
        return detour;
    }
    let form = call.form().await?;
    let print = field(&form, "fingerprint").to_owned();
    let user = person(&call)?;
    let removed = edit(&call, &user, move |user| {
        user.ssh_keys.retain(|k| k.fingerprint().is_ok_and(|f| f != print));
        user.pgp_keys.retain(|k| k.fingerprint().is_ok_and(|f| f != print));
        Ok(())
    });
    said(&call, removed.await).await
}

async fn said(call: &Call, outcome: Result<()>) -> Result<Response> {
    match outcome {
        Ok(()) => found(HERE),
        Err(error) if error.kind().status() < 500 => {
            let (_, user) = own(call).await?;
            Ok(framed(call, HERE, Some::<&Error>(&error), |r| draw(r, &user)))
        }
        Err(error) => Err(error),
    }
}

pub(crate) fn draw(r: &Reader, user: &User) -> Markup {
    html! {
        (widget::section("new", r.t("Add a key", "키 추가"), html! {}, form(r)))
        (widget::section("keys", r.t("Your keys", "내 키"), html! {}, list(r, user, true)))
    }
}

fn form(r: &Reader) -> Markup {
    html! {
        form.part-in.entries method="post" action="/account/keys" {
            div.entry.entry-wide {
                label for="key" { (r.t("A public key of SSH or OpenPGP", "SSH 또는 OpenPGP 공개 키")) }
                textarea #key name="key" rows="4" required spellcheck="false" placeholder="ssh-ed25519 AAAA…" {}
            }
            div.entry {
                label for="title" { (r.t("Its name here (SSH)", "여기서 부를 이름 (SSH)")) }
                input #title name="title" type="text" maxlength="200" placeholder=(r.t("laptop", "노트북"));
            }
            div.entry-wide {
                button.button.main { (r.t("Add", "추가")) }
                span.faint { " " (r.t("a private key is refused and kept nowhere", "비밀 키는 거절하며 어디에도 저장하지 않습니다")) }
            }
        }
    }
}

/// The keys of a person, with a button to remove each when they are one's own.
pub(crate) fn list(r: &Reader, user: &User, own: bool) -> Markup {
    if user.ssh_keys.is_empty() && user.pgp_keys.is_empty() {
        return html! { p.plot-none { (r.t("none yet", "아직 없습니다")) } };
    }
    let heads = vec![
        ("", r.t("Kind", "종류").to_owned()),
        ("wide", r.t("Name", "이름").to_owned()),
        ("grow", r.t("Fingerprint", "지문").to_owned()),
        ("num", String::new()),
    ];
    let row = |kind: &str, title: &str, print: Result<String>| {
        let print = print.unwrap_or_default();
        let remove = html! {
            @if own {
                (widget::post("/account/keys/remove", &[("fingerprint", &print)], html! { (r.t("Remove", "삭제")) }, Tone::Danger))
            }
        };
        (None, vec![html! { (kind) }, html! { (title) }, html! { code.wrap { (print) } }, remove])
    };
    let named = |k: &SshKey| match k.title.as_str() {
        "" => k.key.split_whitespace().nth(2).unwrap_or("").to_owned(),
        title => title.to_owned(),
    };
    let ssh = user.ssh_keys.iter().map(|k| row(k.algorithm(), &named(k), k.fingerprint()));
    let pgp = user.pgp_keys.iter().map(|k| row("OpenPGP", "", k.fingerprint()));
    widget::table(&Table { heads, rows: ssh.chain(pgp).collect() })
}

//! What a reader of these pages would notice.

use crate::{me, sign_in};
use account::TokenView;
use kernel::{Name, Principal, Time};
use maud::Markup;
use web::Reader;
use web::testing::words;

const NOW: Time = Time(1_764_000_000_000);

fn name(words: &str) -> Name {
    Name::parse(words).unwrap()
}

/// The markup in English, sound in both languages.
fn drawn(draw: impl Fn(&Reader) -> Markup) -> String {
    web::testing::drawn(NOW, draw)
}

#[test]
fn sign_in_explains_the_one_time_link_and_leads_back() {
    let html = drawn(|r| sign_in::page::draw(r, "/projects/shop", "", None, false));
    assert!(html.contains("name=\"back\" value=\"/projects/shop\""));
    assert!(words(&html).contains("naru sign-in") && html.contains("type=\"password\""));
    assert!(!html.contains("data-passkey"), "browsers offer none at a bare address");
    let named = drawn(|r| sign_in::page::draw(r, "/", "han", None, true));
    assert!(named.contains("data-passkey=\"sign-in\"") && named.contains("value=\"han\""));
}

#[test]
fn a_token_is_shown_on_the_page_that_made_it_and_on_no_other() {
    let token = TokenView {
        id: String::new(),
        kind: account::CredentialKind::Personal,
        expired: false,
        scopes: Default::default(),
        last_address: None,
        name: name("laptop"),
        principal: Principal::User(name("han")),
        created: NOW,
        expires: None,
        last_used: None,
    };
    let fresh = drawn(|r| me::tokens::draw(r, std::slice::from_ref(&token), Some("naru_secret")));
    assert!(words(&fresh).contains("naru_secret"));
    let later = drawn(|r| me::tokens::draw(r, std::slice::from_ref(&token), None));
    assert!(!later.contains("naru_secret") && later.contains("/tokens/laptop/revoke"));
}

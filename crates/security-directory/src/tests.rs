//! What a reader of these pages would notice.

use crate::offboard::Belongings;
use crate::people::list;
use crate::people::look::Found;
use crate::people::person::{self, Whole};
use crate::sign_in::invitation;
use crate::sign_in::second::{self, Ways};
use crate::{group, me, service, sign_in};
use account::credential::{FactorsView, Invited, PasskeyView, SignInRules};
use account::{CredentialKind, Group, ServiceAccount, TokenView, User};
use kernel::{Name, Principal, Resource, Time};
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
        kind: CredentialKind::Personal,
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

#[test]
fn the_second_step_offers_what_there_is_and_nothing_else() {
    let ways = |totp, passkey, recovery, password| Ways { totp, passkey, recovery, password };
    let html = drawn(|r| second::draw(r, &ways(true, false, true, false), "second", "/x", None));
    assert!(html.contains("name=\"code\"") && html.contains("name=\"recovery\""));
    assert!(!html.contains("name=\"password\"") && !html.contains("data-passkey"));
    let again = drawn(|r| second::draw(r, &ways(false, true, false, true), "again", "/x", None));
    assert!(
        again.contains("action=\"/sign-in/again\"") && again.contains("data-passkey=\"again\"")
    );
    let none = drawn(|r| second::draw(r, &ways(false, false, false, false), "again", "/x", None));
    assert!(words(&none).contains("naru sign-in"), "a link is a proof");
}

fn held() -> FactorsView {
    FactorsView {
        password: Some(NOW),
        totp: None,
        passkeys: vec![PasskeyView {
            id: "abc".into(),
            name: "<phone>".into(),
            host: "localhost".into(),
            added: NOW,
            last_used: None,
        }],
        recovery: 0,
    }
}

#[test]
fn ones_sign_in_page_warns_of_what_is_missing() {
    let html = drawn(|r| me::draw_factors(r, &held(), 12, true));
    assert!(html.contains("&lt;phone&gt;"), "a name is text");
    assert!(words(&html).contains("a lost phone locks you out"));
    assert!(html.contains("data-passkey=\"add\"") && html.contains("/account/totp"));
    let bare = drawn(|r| me::draw_factors(r, &held(), 12, false));
    assert!(!bare.contains("data-passkey") && words(&bare).contains("not at a bare address"));
}

#[test]
fn an_invitation_greets_by_name_and_keeps_the_users_name_for_password_managers() {
    let invited = Invited {
        user: name("dalia"),
        title: "Dalia <K>".into(),
        until: NOW.plus(std::time::Duration::from_secs(86_400)),
        shortest_password: 12,
    };
    let html = drawn(|r| invitation::draw(r, &invited, "/invitation/x", None));
    assert!(html.contains("Dalia &lt;K&gt;") && html.contains("autocomplete=\"username\""));
    assert!(html.contains("minlength=\"12\""));
}

fn resource<K: kernel::Kind>(named: &str, spec: &K) -> Resource {
    Resource {
        key: kernel::Key::global::<K>(&name(named)),
        uid: kernel::Id::new(NOW.0, 7),
        revision: 1,
        generation: 1,
        labels: Default::default(),
        created: NOW,
        updated: NOW,
        spec: serde_json::to_value(spec).unwrap(),
        status: serde_json::Value::Null,
    }
}

#[test]
fn people_are_listed_by_how_they_stand_and_lead_to_the_next_page() {
    let user = User { title: "Han".into(), administrator: true, ..User::default() };
    let gone = User { disabled: true, ..User::default() };
    let found = Found {
        items: vec![resource("han", &user), resource("eve", &gone)],
        after: Some(name("han")),
    };
    let html = drawn(|r| list::draw(r, &found, "a&b", &SignInRules::default()));
    let seen = words(&html);
    assert!(seen.contains("administrator") && seen.contains("disabled"), "{seen}");
    assert!(
        html.contains("/people?q=a%26b&amp;after=han") && html.contains("data-row=\"/people/han\"")
    );
}

#[test]
fn a_person_who_alone_owns_something_cannot_go_without_an_heir() {
    let whole = Whole {
        resource: resource("han", &User::default()),
        user: User::default(),
        factors: held(),
        belongings: Belongings { only_owner_of: vec![name("shop")], ..Belongings::default() },
        tokens: vec![],
        sessions: vec![],
    };
    let html = drawn(|r| person::draw(r, &whole, Some("http://x/invitation/secret")));
    assert!(html.contains("http://x/invitation/secret"), "shown where it was made");
    assert!(html.contains("name=\"to\" type=\"text\" required"), "{html}");
    assert!(!html.contains("/people/han/delete"), "only who is disabled is deleted");
}

#[test]
fn groups_show_by_which_way_somebody_is_in_them() {
    let member = |words: &str, by: &[&str]| group::Reached {
        member: group::member(words).unwrap(),
        by: by.iter().map(|n| name(n)).collect(),
    };
    let all = [member("group:crew", &[]), member("ada", &["crew"])];
    let html = drawn(|r| group::draw(r, &name("all"), &Group::default(), &all, &[name("house")]));
    assert_eq!(html.matches("name=\"remove\"").count(), 1, "only who is in it by themselves");
    assert!(html.contains("/groups/house") && words(&html).contains("crew"));
    let found = Found { items: vec![resource("all", &Group::default())], after: None };
    assert!(drawn(|r| group::draw_all(r, &found, "")).contains("data-row=\"/groups/all\""));
}

#[test]
fn a_service_account_shows_a_new_token_once() {
    let account = ServiceAccount { project: Some(name("shop")), ..ServiceAccount::default() };
    let found = Found { items: vec![resource("bot", &account)], after: None };
    assert!(drawn(|r| service::draw_all(r, None, &found, "")).contains("/projects/shop"));
    let html =
        drawn(|r| service::draw(r, None, (&name("bot"), &account), &[], Some("naru_secret")));
    assert!(html.contains("naru_secret") && html.contains("/service-accounts/bot/token"));
}

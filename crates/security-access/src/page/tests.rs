use super::*;
use kernel::{Principal, Text, Time};
use policy::*;
use web::testing::{drawn, words};

const NOW: Time = Time(1_764_000_000_000);

fn name(words: &str) -> Name {
    Name::parse(words).unwrap()
}

#[test]
fn the_matrix_says_who_may_and_why() {
    let decision = |allow, reason| Decision { allow, hide: false, because: vec![reason] };
    let role =
        Reason::Role { role: Role::Owner, project: name("shop"), via: Via::Group(name("leads")) };
    let matrix = Matrix {
        actions: vec![Action::ProjectView, Action::Deploy, Action::ProjectDelete],
        rows: vec![MatrixRow {
            who: Subject::Group(name("leads")),
            cells: vec![
                decision(true, role),
                decision(false, Reason::Forbidden { policy: "shop/freeze".into() }),
                decision(false, Reason::SecondPerson { project: None }),
            ],
        }],
    };
    let html = drawn(NOW, |r| matrix::draw(r, &matrix));
    for wanted in [
        "owner of project shop, through group leads",
        "policy shop/freeze forbids it",
        "second person",
        "project delete",
    ] {
        assert!(html.contains(wanted), "{wanted}: {html}");
    }
    let nobody = Matrix { actions: vec![Action::ProjectView], rows: Vec::new() };
    assert!(drawn(NOW, |r| matrix::draw(r, &nobody)).contains("Nobody is a member"));
}

fn grant(phase: Phase, decides: bool) -> requests::Shown {
    let asked_by = Some(Principal::User(name("ben")));
    requests::Shown {
        id: "01".into(),
        grant: Grant {
            to: Subject::User(name("ben")),
            give: Given::Role(Role::Maintainer),
            on: Target::project(&name("shop")),
            reason: "<the shop is down>".into(),
            lasts_s: 60,
            broken_glass: phase == Phase::Active,
        },
        status: GrantStatus { phase, asked_by, until: Some(NOW), ..GrantStatus::default() },
        decides,
        revokes: phase != Phase::Denied,
    }
}

#[test]
fn requests_offer_what_the_reader_may_do() {
    let draw = |phase, decides| drawn(NOW, |r| requests::lists(r, &[grant(phase, decides)]));
    let waiting = draw(Phase::Requested, true);
    assert!(waiting.contains("/access/01/approve") && waiting.contains("/access/01/deny"));
    assert!(waiting.contains("&lt;the shop is down&gt;"), "{waiting}");
    let own = draw(Phase::Requested, false);
    assert!(!own.contains("approve") && own.contains("/access/01/revoke"));
    let active = words(&draw(Phase::Active, false));
    assert!(active.contains("broken glass"), "{active}");
    assert!(!draw(Phase::Denied, false).contains("/access/01/"));
    let glass = "name=\"how\" value=\"break-glass\"";
    let form = drawn(NOW, |r| requests::form(r, "project/shop", true));
    assert!(form.contains(glass) && form.contains("project/shop"));
    assert!(!drawn(NOW, |r| requests::form(r, "", false)).contains(glass));
}

#[test]
fn policies_show_their_tests() {
    let test = TestResult {
        name: "owners wait".into(),
        expect: Expect::Deny,
        found: Expect::Allow,
        because: Text::fixed("owner", "소유자"),
    };
    let spec = PolicySpec {
        cedar: "forbid (principal, action, resource);".into(),
        ..PolicySpec::default()
    };
    let shown = policies::Shown { name: name("freeze"), spec, tests: Ok(vec![test]) };
    let html = drawn(NOW, |r| policies::draw(r, std::slice::from_ref(&shown)));
    assert!(html.contains("owners wait") && html.contains("1 failing"), "{html}");
    assert!(drawn(NOW, |r| policies::draw(r, &[])).contains("No policies yet"));
}

//! What a reader of these pages would notice.

use super::{environment, list};
use crate::kind::{Deployment, EnvironmentState, Progress, Stopping};
use crate::view::{EditionView, EnvironmentView, ServiceAt, SiteView};
use kernel::journey::Tier;
use kernel::{Name, Principal, Text, Time};
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

fn deployment(number: u64, progress: Progress) -> Deployment {
    Deployment {
        number,
        commit: format!("{number:040}"),
        subject: Some("Fix <the> timetable".into()),
        refname: "refs/heads/fix-1".into(),
        change: Some(name("web-000000000001")),
        run: "01arz3ndektsv4rrffq69g5fav".into(),
        step: "review".into(),
        at: NOW,
        by: Principal::User(name("kim")),
        on_stop: Some("stop review".into()),
        url: None,
        progress,
        reason: None,
        done: Some(NOW),
    }
}

fn view() -> EnvironmentView {
    EnvironmentView {
        project: name("shop"),
        name: name("review-fix-1"),
        title: "review/fix-1".into(),
        repository: name("web"),
        tier: Tier::Development,
        copies: true,
        state: EnvironmentState::Available,
        url: Some("http://web-review-fix-1.shop.localhost:8000".into()),
        deployment: Some(deployment(2, Progress::Live)),
        services: vec![ServiceAt {
            name: name("web"),
            service: name("web-review-fix-1"),
            url: Some("http://web-review-fix-1.shop.localhost:8000".into()),
            progress: Progress::Live,
            reason: None,
            condition: Some("healthy".into()),
            instances: Some("1/1".into()),
        }],
        auto_stop_ms: Some(3_600_000),
        stops_at: Some(Time(NOW.0 + 3_600_000)),
        used: None,
        stopping: None,
        reason: None,
        history: vec![deployment(1, Progress::Live)],
    }
}

#[test]
fn the_list_shows_where_it_is_and_when_it_ends() {
    let site = SiteView {
        project: name("shop"),
        repository: name("docs"),
        url: Some("http://docs-pages.shop.localhost:8000".into()),
        editions: vec![EditionView {
            prefix: String::new(),
            url: Some("http://docs-pages.shop.localhost:8000/".into()),
            commit: "a".repeat(40),
            run: "01arz3ndektsv4rrffq69g5fav".into(),
            published: NOW,
            expires: None,
        }],
        reason: None,
    };
    let html = drawn(|r| list::draw(r, &name("shop"), &[view()], std::slice::from_ref(&site)));
    let seen = words(&html);
    assert!(seen.contains("review/fix-1") && seen.contains("stops in 1 h"), "{seen}");
    assert!(html.contains("action=\"/projects/shop/environments/review-fix-1/stop\""));
    assert!(html.contains("href=\"http://docs-pages.shop.localhost:8000/\""));
    let html = drawn(|r| list::draw(r, &name("shop"), &[], &[]));
    assert!(words(&html).contains("action: stop"), "it teaches the shortest job");
}

#[test]
fn production_has_no_button_that_ends_it() {
    let mut production = view();
    production.copies = false;
    production.tier = Tier::Production;
    let html = drawn(|r| list::draw(r, &name("shop"), &[production.clone()], &[]));
    assert!(!html.contains("/stop\""));
    let html = drawn(|r| environment::draw(r, &production));
    assert!(!html.contains("/stop\"") && !html.contains("/extend\""));
}

#[test]
fn a_stop_that_failed_says_why_and_offers_two_ways_on() {
    let mut failed = view();
    failed.state = EnvironmentState::Failed;
    failed.reason = Some(Text::plain("stop review: exited with code 1"));
    failed.stopping = Some(Stopping {
        run: "01arz3ndektsv4rrffq69g5fav".into(),
        step: "stop review".into(),
        by: Principal::User(name("kim")),
        since: NOW,
        again: false,
    });
    let html = drawn(|r| environment::draw(r, &failed));
    let seen = words(&html);
    assert!(seen.contains("exited with code 1") && seen.contains("failed to stop"), "{seen}");
    assert!(html.contains("/stop\"") && html.contains("/force\""));
    assert!(html.contains("/projects/shop/runs/01arz3ndektsv4rrffq69g5fav"));
}

#[test]
fn the_page_leads_to_change_run_and_service() {
    let html = drawn(|r| environment::draw(r, &view()));
    for there in [
        "/projects/shop/services/web-review-fix-1",
        "/projects/shop/changes/web-000000000001",
        "/projects/shop/runs/01arz3ndektsv4rrffq69g5fav",
        "http://web-review-fix-1.shop.localhost:8000",
    ] {
        assert!(html.contains(&format!("href=\"{there}\"")), "{there}");
    }
    assert!(words(&html).contains("Fix &lt;the&gt; timetable"));
}

//! What a reader of these pages would notice.

use super::{list, service};
use crate::kind::{Condition, InstanceState, Service, ServiceStatus};
use crate::log::LogLine;
use crate::{InstanceView, ReleaseView, ServiceView};
use kernel::log::{Line, Stream};
use kernel::{Name, Text, Time};
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

fn release(number: u64, current: bool, previous: bool) -> ReleaseView {
    ReleaseView {
        name: name(&format!("web-{number}")),
        number,
        repository: name("web"),
        commit: format!("{number:040}"),
        change: Some(name(&format!("web-{number:012}"))),
        made: NOW,
        current,
        previous,
        rolling: false,
        config: Service::new("python3 app.py"),
    }
}

fn view() -> ServiceView {
    let mut spec = Service::new("python3 app.py");
    spec.env.insert("API_KEY".into(), "hunter2".into());
    let status = ServiceStatus {
        release: Some(name("web-2")),
        instances: "1/2".into(),
        condition: Condition::Degraded,
        ..ServiceStatus::default()
    };
    let instance = InstanceView {
        name: Some(name("web-2-0-1")),
        id: "shop.web.2.0.1".into(),
        release: name("web-2"),
        slot: 0,
        address: Some("127.0.0.1:4000".into()),
        state: InstanceState::Crashed,
        restarts: 3,
        started: NOW,
        since: NOW,
        reason: Some(Text::fixed("exit code 1", "종료 코드 1")),
    };
    ServiceView {
        project: name("shop"),
        name: name("web"),
        repository: Some(name("web")),
        environment: None,
        spec,
        status,
        url: Some("http://web.shop.localhost:8000".into()),
        instances: vec![instance],
        releases: vec![release(2, true, false), release(1, false, true)],
    }
}

#[test]
fn a_service_shows_why_it_is_sick_and_offers_the_release_before() {
    let line = Line { time: NOW, stream: Stream::Err, whole: true, text: "<boom>".into() };
    let lines = [LogLine { instance: "shop.web.2.0.1".into(), line }];
    let html = drawn(|r| service::draw(r, &view(), &lines));
    let seen = words(&html);
    assert!(seen.contains("degraded") && seen.contains("exit code 1"), "{seen}");
    assert!(seen.contains("2.0.1 &lt;boom&gt;"), "who wrote it, without what all share");
    // From the top of the page, and from its line; the one that serves has no button.
    assert_eq!(html.matches("name=\"release\" value=\"web-1\"").count(), 2);
    assert_eq!(html.matches("name=\"release\" value=\"web-2\"").count(), 0);
    assert!(html.contains("/services/web/logs?follow=true"));
}

#[test]
fn values_of_the_environment_stay_out_of_the_page() {
    let html = drawn(|r| service::draw(r, &view(), &[]));
    assert!(html.contains("API_KEY") && !html.contains("hunter2"));
}

#[test]
fn nothing_is_rolled_back_while_a_rollout_runs() {
    let mut busy = view();
    busy.status.rolling = Some(name("web-3"));
    busy.status.run = Some("01arz3ndektsv4rrffq69g5fav".into());
    let html = drawn(|r| service::draw(r, &busy, &[]));
    assert!(!html.contains("/rollback\"") && words(&html).contains("web-3 is being rolled out"));
}

#[test]
fn the_list_teaches_the_shortest_service() {
    let html = drawn(|r| list::draw(r, &name("shop"), &[]));
    assert!(words(&html).contains("kind: Service name: web"));
    let html = drawn(|r| list::draw(r, &name("shop"), &[view()]));
    assert!(html.contains("href=\"http://web.shop.localhost:8000\""));
    assert!(words(&html).contains("1/2 instances ready"));
    assert!(!words(&html).contains("Copies"));
}

#[test]
fn copies_of_environments_stand_apart_with_their_environment() {
    let copy = ServiceView { name: name("web-qa"), environment: Some(name("qa")), ..view() };
    let html = drawn(|r| list::draw(r, &name("shop"), &[view(), copy.clone()]));
    assert_eq!(html.matches("<article").count(), 1, "one card, production's");
    let (_, apart) = html.split_once("Copies in environments").unwrap();
    assert!(apart.contains("href=\"/projects/shop/environments/qa\""), "{apart}");
    assert!(words(apart).contains("web-qa"), "{apart}");
    let html = drawn(|r| service::draw(r, &copy, &[]));
    assert!(html.contains("href=\"/projects/shop/environments/qa\""), "{html}");
}

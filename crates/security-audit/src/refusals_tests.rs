use super::*;
use proptest::prelude::*;

fn refused(who: &str, address: u32, resource: u32) -> Refused {
    Refused {
        who: Principal::User(kernel::Name::parse(who).unwrap()),
        action: "project.view".into(),
        resource: format!("p{resource}"),
        project: None,
        code: "auth.denied",
        origin: Some(Origin { address: Some(format!("192.0.2.{address}")), ..Origin::default() }),
    }
}

fn times(events: &[NewEvent]) -> u64 {
    events.iter().map(|e| e.data.get("count").unwrap().as_u64().unwrap()).sum()
}

#[test]
fn the_first_at_once_and_the_same_again_as_a_count() {
    let mut refusals = Refusals::default();
    let start = Time(0);
    let first = refusals.take(refused("eve", 1, 1), start).unwrap();
    assert_eq!(first.say.en, "user:eve was refused: project.view, p1");
    for _ in 0..99 {
        assert_eq!(refusals.take(refused("eve", 1, 1), start), None);
    }
    assert_eq!(refusals.collect(Time(59_999)), []);
    assert_eq!(refusals.due(), Some(Time(60_000)));
    let more = refusals.collect(Time(60_000));
    assert_eq!((more.len(), times(&more)), (1, 99));
    assert_eq!(refusals.due(), None, "nothing is kept for nobody");
    assert!(refusals.take(refused("eve", 1, 1), Time(60_001)).is_some());
}

#[test]
fn a_scan_makes_few_events_and_loses_none() {
    let mut refusals = Refusals::default();
    let mut events = Vec::new();
    for n in 0..5000 {
        events.extend(refusals.take(refused("eve", 1, n), Time(0)));
    }
    assert_eq!(events.len(), KINDS + 1);
    events.extend(refusals.collect(Time(60_000)));
    assert_eq!((events.len(), times(&events)), (KINDS + 2, 5000));
}

#[test]
fn many_sources_share_one_event() {
    let mut refusals = Refusals::default();
    let mut events = Vec::new();
    for n in 0..5000 {
        events.extend(refusals.take(refused("eve", n, 1), Time(0)));
    }
    assert_eq!(events.len(), SOURCES + 1);
    events.extend(refusals.collect(Time(60_000)));
    assert_eq!((events.len(), times(&events)), (SOURCES + 2, 5000));
    assert_eq!(events.last().unwrap().actor, Principal::Anonymous);
}

proptest! {
    #[test]
    fn every_refusal_is_told_once(
        asked in proptest::collection::vec((0..3_u32, 0..4_u32, 0..50_u32, 0..40_000_i64), 1..400)
    ) {
        let mut refusals = Refusals::default();
        let (mut now, mut events) = (0, Vec::new());
        for (who, address, resource, pause) in &asked {
            now += pause;
            events.extend(refusals.collect(Time(now)));
            let who = ["ann", "bob", "eve"][*who as usize];
            events.extend(refusals.take(refused(who, *address, *resource), Time(now)));
        }
        events.extend(refusals.collect(Time(now + 60_000)));
        prop_assert_eq!(times(&events), asked.len() as u64);
        prop_assert_eq!(refusals.due(), None);
    }
}

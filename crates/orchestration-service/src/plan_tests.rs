use super::*;
use proptest::prelude::*;

fn want() -> impl Strategy<Value = Want> {
    (0u32..=12, 0u32..=4, 0u32..=4).prop_map(|(replicas, surge, unavailable)| {
        Want::new(replicas, Share::Count(surge), Share::Count(unavailable.min(replicas)))
    })
}

/// Anything that may be found: also two instances in one slot, as an interrupted start may leave them.
fn world() -> impl Strategy<Value = Vec<Seen>> {
    let one = (any::<bool>(), 1u64..4, 0u32..14, any::<bool>());
    proptest::collection::vec(one, 0..14).prop_map(|all| {
        let one = |(i, (fresh, number, slot, ready))| Seen {
            id: format!("found-{i}"),
            fresh,
            number: if fresh { 9 } else { number },
            slot,
            ready,
        };
        all.into_iter().enumerate().map(one).collect()
    })
}

/// Does what the plan says; whatever was starting becomes ready or dies, as `luck` says. How much moved.
fn turn(want: Want, seen: &mut Vec<Seen>, luck: &mut impl Iterator<Item = bool>) -> usize {
    let actions = next(want, seen);
    for action in &actions {
        match action {
            Action::Stop(id) => seen.retain(|s| s.id != *id),
            Action::Start(slot) => seen.push(Seen {
                id: format!("new-{slot}"),
                fresh: true,
                number: 9,
                slot: *slot,
                ready: false,
            }),
        }
    }
    let before = seen.clone();
    seen.retain(|s| s.ready || luck.next().unwrap_or(true));
    let died = before.len() - seen.len();
    let came = seen.iter_mut().filter(|s| !s.ready).map(|s| s.ready = true).count();
    actions.len() + died + came
}

fn ready(seen: &[Seen]) -> usize {
    seen.iter().filter(|s| s.ready).count()
}

proptest! {
    #[test]
    fn it_converges_within_bounds(want in want(), mut seen in world(), luck: [bool; 40]) {
        let mut luck = luck.into_iter();
        let floor = want.floor().min(ready(&seen));
        for _ in 0..200 {
            let (before, after) = (seen.len(), {
                let mut now = seen.clone();
                for action in next(want, &seen) {
                    match action {
                        Action::Stop(id) => now.retain(|s| s.id != id),
                        Action::Start(_) => now.push(Seen { id: "new".into(), fresh: true, number: 9, slot: 0, ready: false }),
                    }
                }
                now
            });
            prop_assert!(ready(&after) >= floor, "{} ready of {floor}", ready(&after));
            prop_assert!(after.len() <= want.ceiling().max(before));
            if turn(want, &mut seen, &mut luck) == 0 {
                break;
            }
        }
        prop_assert!(next(want, &seen).is_empty(), "a stable world gives an empty plan");
        let slots: Vec<u32> = { let mut s: Vec<u32> = seen.iter().map(|s| s.slot).collect(); s.sort(); s };
        prop_assert!(seen.iter().all(|s| s.fresh && s.ready));
        prop_assert_eq!(slots, (0..want.replicas).collect::<Vec<_>>());
    }

    #[test]
    fn batches_keep_the_bounds(want in want(), old in 0u32..14) {
        let (mut fresh, mut left) = (0, old);
        let floor = want.floor().min(old as usize) as u32;
        for batch in batches(want, old) {
            match batch {
                Batch::Start { from, to } => {
                    prop_assert_eq!(from, fresh);
                    prop_assert!(to > from);
                    fresh = to;
                }
                Batch::Retire { keep } => { prop_assert!(keep <= left); left = keep; }
            }
            prop_assert!(fresh + left >= floor);
            prop_assert!((fresh + left) as usize <= want.ceiling().max(old as usize));
        }
        prop_assert_eq!((fresh, left), (want.replicas, 0));
    }
}

#[test]
fn the_usual_rollouts() {
    let default = |replicas| Want::new(replicas, Share::Percent(25), Share::Percent(25));
    use Batch::{Retire, Start};
    assert_eq!(batches(default(2), 0), [Start { from: 0, to: 2 }, Retire { keep: 0 }]);
    assert_eq!(
        batches(default(2), 2),
        [
            Start { from: 0, to: 1 },
            Retire { keep: 1 },
            Start { from: 1, to: 2 },
            Retire { keep: 0 }
        ]
    );
    let tight = Want::new(1, Share::Count(0), Share::Count(1));
    assert_eq!(
        batches(tight, 1),
        [Retire { keep: 0 }, Start { from: 0, to: 1 }, Retire { keep: 0 }]
    );
    assert_eq!(batches(default(0), 3), [Retire { keep: 0 }]);
}

use super::*;
use proptest::prelude::*;

const FIRST: Duration = Duration::from_millis(100);
const BACKOFF: Backoff = Backoff { first: FIRST, most: Duration::from_secs(10) };

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

#[test]
fn a_key_touched_while_it_runs_runs_once_more() {
    let (mut queue, now) = (Queue::new(BACKOFF), Time(0));
    queue.touch(&"a", now);
    queue.touch(&"a", now);
    assert_eq!(queue.take(now), Some("a"));
    queue.touch(&"a", now);
    queue.touch(&"a", now);
    assert_eq!(queue.take(now), None, "never twice at a time");
    queue.ended(&"a", Ended::Well(Next::After(ms(5000))), now);
    assert_eq!(queue.take(now), Some("a"), "what touched it comes before its own wish to wait");
    queue.ended(&"a", Ended::Well(Next::Done), now);
    assert_eq!((queue.take(now), queue.alarm(), queue.keys.len()), (None, None, 0));
}

#[test]
fn a_wish_to_be_looked_at_later_is_kept_and_a_touch_comes_first() {
    let mut queue = Queue::new(BACKOFF);
    queue.touch(&"a", Time(0));
    queue.take(Time(0));
    queue.ended(&"a", Ended::Well(Next::After(ms(500))), Time(0));
    assert_eq!((queue.take(Time(499)), queue.alarm()), (None, Some(Time(500))));
    assert_eq!(queue.take(Time(500)), Some("a"));
    queue.ended(&"a", Ended::Well(Next::After(ms(500))), Time(500));
    queue.touch(&"a", Time(600));
    assert_eq!(queue.take(Time(600)), Some("a"));
    assert_eq!(queue.alarm(), None, "the timer has gone with the touch");
}

#[test]
fn a_failing_key_that_is_touched_is_tried_soon_but_does_not_spin() {
    let mut queue = Queue::new(BACKOFF);
    queue.touch(&"a", Time(0));
    for _ in 0..6 {
        let at = queue.alarm().unwrap_or(Time(0));
        assert_eq!(queue.take(at), Some("a"));
        queue.ended(&"a", Ended::Badly, at);
    }
    let ended = Time(queue.alarm().unwrap().0 - up(BACKOFF.wait(6, &"a")).as_millis() as i64);
    queue.touch(&"a", ended);
    assert_eq!(queue.take(ended), None);
    let soon = queue.alarm().unwrap();
    assert!(soon > ended && soon <= ended.plus(FIRST));
    queue.touch(&"a", soon);
    assert_eq!(queue.take(soon), Some("a"), "touching again does not put it off");
    assert_eq!(queue.failures(&"a"), 6);
}

#[test]
fn waits_double_up_to_the_most_and_keys_come_apart() {
    for key in ["a", "b", "c"] {
        for failures in 1..100_u32 {
            let full = FIRST.saturating_mul(1 << (failures - 1).min(20)).min(BACKOFF.most);
            let wait = BACKOFF.wait(failures, &key);
            assert!(wait <= full && wait >= full * 3 / 4, "{key} {failures} {wait:?}");
            assert_eq!(wait, BACKOFF.wait(failures, &key), "no randomness");
        }
    }
    assert_ne!(BACKOFF.wait(9, &"a"), BACKOFF.wait(9, &"b"));
}

#[derive(Clone, Debug)]
enum Step {
    Touch(u8),
    Take,
    /// Ends one of the running keys.
    End(usize, Ended),
    Pass(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let ended = prop_oneof![
        Just(Ended::Badly),
        Just(Ended::Well(Next::Done)),
        (0_u64..300).prop_map(|n| Ended::Well(Next::After(ms(n)))),
    ];
    prop_oneof![
        (0_u8..4).prop_map(Step::Touch),
        Just(Step::Take),
        (0_usize..4, ended).prop_map(|(n, ended)| Step::End(n, ended)),
        (0_u64..500).prop_map(Step::Pass),
    ]
}

#[derive(Default)]
struct Model {
    now: Time,
    running: Vec<u8>,
    /// Touched, and not taken since.
    owed: BTreeSet<u8>,
}

impl Model {
    fn go(&mut self, queue: &mut Queue<u8>, step: &Step) {
        match step {
            Step::Touch(key) => {
                queue.touch(key, self.now);
                self.owed.insert(*key);
            }
            Step::Take => {
                if let Some(key) = queue.take(self.now) {
                    assert!(!self.running.contains(&key), "two workers on one key");
                    self.owed.remove(&key);
                    self.running.push(key);
                }
            }
            Step::End(n, ended) => {
                if !self.running.is_empty() {
                    let key = self.running.remove(n % self.running.len());
                    queue.ended(&key, *ended, self.now);
                }
            }
            Step::Pass(n) => self.now = self.now.plus(ms(*n)),
        }
    }
}

proptest! {
    #[test]
    fn no_touch_is_lost(steps in proptest::collection::vec(step(), 0..80)) {
        let (mut queue, mut model) = (Queue::new(BACKOFF), Model::default());
        for step in &steps {
            model.go(&mut queue, step);
            let waits = queue.waiting.len() + queue.ready.len() + model.running.len();
            prop_assert_eq!(waits, queue.keys.len(), "each key is in one place");
        }
        // Left alone, with syncs that go well, it comes to rest with nothing owed. Time moves only to
        // where the queue says it has something to do.
        let well = Step::End(0, Ended::Well(Next::Done));
        for _ in 0..40 {
            model.go(&mut queue, &Step::Take);
            if model.running.is_empty() {
                let Some(at) = queue.alarm() else { break };
                model.now = model.now.max(at);
            }
            model.go(&mut queue, &well);
        }
        prop_assert!(model.owed.is_empty(), "{:?}", model.owed);
        prop_assert!(queue.keys.is_empty());
        prop_assert_eq!(queue.alarm(), None, "idle means asleep");
    }
}

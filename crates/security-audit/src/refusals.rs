//! Refusals on their way into the journal, so that nobody can flood it.
//!
//! The first of its kind is written at once. The same again within a minute (who, action, resource, address) is
//! counted, and written as one event when the minute is over. Who is refused in more than [`KINDS`] ways within a
//! minute gets one event for all the rest; when there are more than [`SOURCES`] of those, they share one.

use kernel::port::Refused;
use kernel::{NewEvent, Origin, Principal, Time, text};
use serde_json::json;
use std::collections::HashMap;
use std::time::Duration;

pub(crate) const KIND: &str = "auth.refused";
/// Different refusals of one source that are told apart.
const KINDS: usize = 30;
/// Sources that are told apart.
const SOURCES: usize = 256;
const MINUTE: Duration = Duration::from_secs(60);

type Source = (Principal, Option<String>);
type What = (String, String);

/// What is counted since the last event.
struct Count {
    example: Refused,
    since: Time,
    more: u64,
}

#[derive(Default)]
struct Seen {
    kinds: HashMap<What, Count>,
    /// The rest of this source's.
    rest: Option<Count>,
}

/// The refusals of the minute.
#[derive(Default)]
pub(crate) struct Refusals {
    sources: HashMap<Source, Seen>,
    crowd: Option<Count>,
}

impl Refusals {
    /// Takes one; the event it makes at once, if it does.
    pub fn take(&mut self, refused: Refused, now: Time) -> Option<NewEvent> {
        let address = refused.origin.as_ref().and_then(|o| o.address.clone());
        let source = (refused.who.clone(), address);
        if !self.sources.contains_key(&source) && self.sources.len() >= SOURCES {
            return count(&mut self.crowd, refused, now, Whole::Crowd);
        }
        let seen = self.sources.entry(source).or_default();
        let what = (refused.action.clone(), refused.resource.clone());
        if let Some(count) = seen.kinds.get_mut(&what) {
            count.more += 1;
            return None;
        }
        if seen.kinds.len() >= KINDS {
            return count(&mut seen.rest, refused, now, Whole::Source);
        }
        let first = event(&refused, 1, Whole::One);
        seen.kinds.insert(what, Count { example: refused, since: now, more: 0 });
        Some(first)
    }

    /// When the first minute is over.
    pub fn due(&self) -> Option<Time> {
        let kinds = self.sources.values().flat_map(|s| s.kinds.values().chain(&s.rest));
        kinds.chain(&self.crowd).map(|c| c.since.plus(MINUTE)).min()
    }

    /// The events of the minutes that are over.
    pub fn collect(&mut self, now: Time) -> Vec<NewEvent> {
        let over = |c: &Count| c.since.plus(MINUTE) <= now;
        let mut events = Vec::new();
        let mut close = |count: &Count, whole: Whole| {
            if count.more > 0 {
                events.push(event(&count.example, count.more, whole));
            }
        };
        for seen in self.sources.values_mut() {
            seen.kinds.retain(|_, count| {
                let ends = over(count);
                if ends {
                    close(count, Whole::One);
                }
                !ends
            });
            if let Some(count) = seen.rest.take_if(|c| over(c)) {
                close(&count, Whole::Source);
            }
        }
        self.sources.retain(|_, seen| !seen.kinds.is_empty() || seen.rest.is_some());
        if let Some(count) = self.crowd.take_if(|c| over(c)) {
            close(&count, Whole::Crowd);
        }
        events
    }
}

/// What one event speaks of.
#[derive(Clone, Copy, PartialEq)]
enum Whole {
    One,
    Source,
    Crowd,
}

fn count(slot: &mut Option<Count>, refused: Refused, now: Time, whole: Whole) -> Option<NewEvent> {
    if let Some(count) = slot {
        count.more += 1;
        return None;
    }
    let first = event(&refused, 1, whole);
    *slot = Some(Count { example: refused, since: now, more: 0 });
    Some(first)
}

fn event(refused: &Refused, times: u64, whole: Whole) -> NewEvent {
    let Refused { who, action, resource, code, .. } = refused;
    let say = match whole {
        Whole::One if times == 1 => {
            text!("{who} was refused: {action}, {resource}", "{who} 거부됨: {action}, {resource}")
        }
        Whole::One => text!(
            "{who} was refused {times} times more: {action}, {resource}",
            "{who} {times}번 더 거부됨: {action}, {resource}"
        ),
        Whole::Source => text!(
            "{who} was refused {times} times in many ways, the last: {action}, {resource}",
            "{who} 여러 가지로 {times}번 거부됨, 예: {action}, {resource}"
        ),
        Whole::Crowd => text!(
            "{times} refusals of more sources than can be told apart",
            "구분할 수 없을 만큼 많은 곳에서 {times}번 거부됨"
        ),
    };
    let many = whole == Whole::Crowd;
    let mut event = NewEvent::new(KIND, if many { Principal::Anonymous } else { who.clone() }, say);
    event.project = refused.project.clone().filter(|_| whole == Whole::One);
    event.origin = refused.origin.clone().filter(|_| !many).map(|o| match times {
        1 => o,
        // Many requests have no one id.
        _ => Origin { request: None, ..o },
    });
    event.data(json!({ "action": action, "resource": resource, "code": code, "count": times }))
}

#[cfg(test)]
#[path = "refusals_tests.rs"]
mod tests;

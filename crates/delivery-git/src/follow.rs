//! What a push says after its refs have moved: its changes, and with `-o follow` their whole way.

use crate::Git;
use crate::receive::{Client, Push, changes};
use crate::settle::Settled;
use kernel::journey::{Fact, PipelineFinished, Verdict};
use kernel::{Event, Name, Text, text};
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::time::Instant;

/// Changes announced by one push.
const ANNOUNCED: usize = 10;
/// A packet without words at this rate keeps proxies from giving up.
const BEAT: Duration = Duration::from_secs(15);

/// Which events of a change are told.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// The first word about each change's pipeline.
    First,
    /// All of it.
    Whole,
}

impl Mode {
    fn tells(self, kind: &str) -> bool {
        match self {
            Mode::First => {
                matches!(kind, "pipeline.created" | "pipeline.finished" | "release.skipped")
            }
            Mode::Whole => !kind.starts_with("resource.") && kind != "git.pushed",
        }
    }
    fn ends(self, kind: &str) -> bool {
        self == Mode::First || kind == "change.finished"
    }
}

/// The last part of a push's answer.
pub(crate) async fn after(git: &Git, push: &Push, settled: &Settled, client: &mut Client) {
    let mut waiting: BTreeSet<Name> = changes(&settled.moved).into_iter().collect();
    for change in waiting.iter().take(ANNOUNCED) {
        let (url, project) = (&push.url, &push.project);
        let place = format!("{url}/projects/{project}/changes/{change}");
        client.say(&text!("change {change} → {place}", "변경 {change} → {place}")).await;
    }
    let mode = if push.request.option("follow") { Mode::Whole } else { Mode::First };
    // Whoever skips the pipeline does not wait for word of it.
    if waiting.is_empty() || (mode == Mode::First && push.request.option("ci.skip")) {
        return;
    }
    let limits = git.shared.limits;
    let limit = if mode == Mode::Whole { limits.follow } else { limits.answer };
    let until = Instant::now() + limit;
    let mut beat = tokio::time::interval_at(Instant::now() + BEAT, BEAT);
    let mut feed = git.shared.store.follow(settled.after);
    while !waiting.is_empty() && !client.left() {
        let event = tokio::select! {
            event = feed.next() => event,
            () = client.leaves() => return,
            _ = beat.tick() => {
                client.beat().await;
                continue;
            }
            () = tokio::time::sleep_until(until) => break,
        };
        // The store has closed: the client can follow the next server's pages.
        let Ok(event) = event else { return };
        if !told(&event, push, &waiting, mode) {
            continue;
        }
        client.say(&words(&event)).await;
        if let Some(change) = &event.fact.change
            && mode.ends(&event.fact.kind)
        {
            waiting.remove(change);
        }
    }
    if mode == Mode::Whole && !waiting.is_empty() {
        client
            .say(&Text::fixed(
                "still under way: see the page",
                "아직 진행 중입니다. 페이지에서 확인하세요",
            ))
            .await;
    }
}

fn told(event: &Event, push: &Push, waiting: &BTreeSet<Name>, mode: Mode) -> bool {
    let fact = &event.fact;
    fact.project.as_ref() == Some(&push.project)
        && fact.change.as_ref().is_some_and(|c| waiting.contains(c))
        && mode.tells(&fact.kind)
}

/// The event's sentence; of a pipeline that failed also why, if that is not in it.
fn words(event: &Event) -> Text {
    let say = &event.fact.say;
    match PipelineFinished::of(event) {
        Some(PipelineFinished { verdict: Verdict::Failed, reason: Some(why), .. })
            if !say.en.contains(&*why.en) =>
        {
            Text::new(format!("{}\n{}", say.en, why.en), format!("{}\n{}", say.ko, why.ko))
        }
        _ => say.clone(),
    }
}

//! What a push says after its refs have moved: its changes, and with `-o follow` their whole way.

use crate::Git;
use crate::receive::{Client, Push, changes};
use crate::settle::Settled;
use kernel::journey::{Fact, PipelineFinished};
use kernel::{Event, Name, Text, text};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::time::Instant;

/// Changes announced by one push.
const ANNOUNCED: usize = 10;
/// A packet without words at this rate keeps proxies from giving up.
const BEAT: Duration = Duration::from_secs(15);

/// Names keywords without effect; the pipeline's first word comes after it.
const WARNED: &str = "pipeline.warned";
/// The exit of a journey.
const LAST: &str = "change.finished";
/// Reasons that are remembered.
const REASONS: usize = 100;

/// Which events of a change are told.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// The first word about each change's pipeline.
    First,
    /// All of it.
    Whole,
}

impl Mode {
    /// Some events repeat others: each part tells of its own what the run engine tells of every run, and
    /// the last line says why nothing was released.
    fn tells(self, kind: &str) -> bool {
        let repeated =
            ["git.pushed", "run.created", "run.finished", "release.skipped", "job.reported"];
        match self {
            Mode::First => {
                let first = ["pipeline.created", "pipeline.finished", "release.skipped"];
                kind == WARNED || first.contains(&kind)
            }
            Mode::Whole => !kind.starts_with("resource.") && !repeated.contains(&kind),
        }
    }

    fn ends(self, kind: &str) -> bool {
        match self {
            Mode::First => kind != WARNED,
            Mode::Whole => kind == LAST,
        }
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
    let mut asked = push.request.options.iter().any(|o| o.starts_with("merge_request."));
    if !asked {
        invite(git, push, settled, client).await;
    }
    let mode = if push.request.option("follow") { Mode::Whole } else { Mode::First };
    // Whoever skips the pipeline does not wait for word of it.
    if mode == Mode::First && push.request.option("ci.skip") {
        waiting.clear();
    }
    let limits = git.shared.limits;
    let limit = if mode == Mode::Whole { limits.follow } else { limits.answer };
    let until = Instant::now() + limit;
    let mut teller = Teller::default();
    let mut beat = tokio::time::interval_at(Instant::now() + BEAT, BEAT);
    let mut feed = git.shared.store.follow(settled.after);
    while (asked || !waiting.is_empty()) && !client.left() {
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
        if let Some(words) = requested(&event, push, settled) {
            client.say(&words).await;
            asked = false;
            continue;
        }
        if !told(&event, push, &waiting, mode) {
            continue;
        }
        client.say(&teller.words(&event)).await;
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

/// What became of a merge request of a branch that was pushed, and where it is.
fn requested(event: &Event, push: &Push, settled: &Settled) -> Option<Text> {
    let fact = &event.fact;
    let of = |field: &str| fact.data.get(field).and_then(serde_json::Value::as_str);
    let ours = fact.kind.starts_with("merge_request.")
        && fact.project.as_ref() == Some(&push.project)
        && of("repository") == Some(push.repository.as_str());
    let branch = format!("refs/heads/{}", of("source").filter(|_| ours)?);
    settled.moved.iter().find(|m| m.refname == branch)?;
    Some(match of("address") {
        Some(address) => with(&fact.say, &Text::plain(format!("{}{address}", push.url)), " → "),
        None => fact.say.clone(),
    })
}

/// Where a merge request of a new branch is opened.
async fn invite(git: &Git, push: &Push, settled: &Settled, client: &mut Client) {
    let Ok(spec) = git.spec(&push.project, &push.repository).await else { return };
    let fresh = |c: &&crate::command::Command| c.before.is_none() && c.after.is_some();
    let names = push.request.commands.iter().filter(fresh).filter_map(|c| {
        settled.moved.iter().find(|m| m.refname == c.refname)?;
        c.refname.strip_prefix("refs/heads/")
    });
    let branches: Vec<&str> = names.filter(|b| *b != spec.default_branch).take(2).collect();
    // A push of many branches is no topic.
    if let [branch] = branches.as_slice() {
        let (url, project, repository) = (&push.url, &push.project, &push.repository);
        let source = web::segment(branch);
        let place = format!(
            "{url}/projects/{project}/merge-requests/new?repository={repository}&source={source}"
        );
        client.say(&text!("open a merge request → {place}", "머지 요청 열기 → {place}")).await;
    }
}

fn told(event: &Event, push: &Push, waiting: &BTreeSet<Name>, mode: Mode) -> bool {
    let fact = &event.fact;
    fact.project.as_ref() == Some(&push.project)
        && fact.change.as_ref().is_some_and(|c| waiting.contains(c))
        && mode.tells(&fact.kind)
}

/// Tells events one after the other, and a reason only once: the step, its pipeline and the change all
/// have it.
#[derive(Default)]
struct Teller {
    reasons: Vec<Text>,
    /// The reason at the end of the line before.
    fresh: Option<Text>,
}

impl Teller {
    /// The event's sentence, with its reason if that is new.
    fn words(&mut self, event: &Event) -> Text {
        let say = &event.fact.say;
        let Some(reason) = reason(event) else { return say.clone() };
        let known =
            self.reasons.iter().any(|r| reason.en.contains(&*r.en) || r.en.contains(&*reason.en));
        if self.reasons.len() < REASONS {
            self.reasons.push(reason.clone());
        }
        let last = event.fact.kind == LAST && self.fresh.as_ref() != Some(&reason);
        let bare = without(say, &reason);
        self.fresh = (!known).then(|| reason.clone());
        match bare {
            Some(bare) if known && last => with(&bare, &brief(&reason), ": "),
            Some(bare) if known => bare,
            None if !known && PipelineFinished::of(event).is_some() => with(say, &reason, "\n"),
            _ => say.clone(),
        }
    }
}

fn with(say: &Text, reason: &Text, between: &str) -> Text {
    let join = |say: &str, reason: &str| format!("{say}{between}{reason}");
    Text::new(join(&say.en, &reason.en), join(&say.ko, &reason.ko))
}

/// The first clause: what happened, without what was printed meanwhile.
fn brief(reason: &Text) -> Text {
    let first = |words: &str| words.split("; ").next().unwrap_or(words).to_owned();
    Text::new(first(&reason.en), first(&reason.ko))
}

fn reason(event: &Event) -> Option<Text> {
    let reason = Text::deserialize(event.fact.data.get("reason")?).ok()?;
    (!reason.en.is_empty()).then_some(reason)
}

/// The sentence without the reason that it ends with.
fn without(say: &Text, reason: &Text) -> Option<Text> {
    let cut = |say: &str, reason: &str| {
        let bare = say.strip_suffix(reason)?.trim_end().strip_suffix(':')?;
        Some(bare.to_owned())
    };
    Some(Text::new(cut(&say.en, &reason.en)?, cut(&say.ko, &reason.ko)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::{NewEvent, Principal, Time};
    use serde_json::json;

    fn event(kind: &str, en: &str, reason: &str) -> Event {
        let say = Text::new(en.to_owned(), en.replace("failed", "실패"));
        let reason = Text::new(reason.to_owned(), reason.replace("failed", "실패"));
        let fact =
            NewEvent::new(kind, Principal::part("test"), say).data(json!({ "reason": reason }));
        Event { seq: 1, time: Time(0), hash: String::new(), fact }
    }

    #[test]
    fn a_reason_is_told_once_and_in_short_at_the_end() {
        let (why, brief) = ("exited with code 1; last words: no / no", "exited with code 1");
        let whole = format!("test failed: {why}");
        let mut teller = Teller::default();
        let told = [
            event("run.step.finished", &format!("test failed after 1 s: {why}"), why),
            event("pipeline.finished", &format!("pipeline of web failed: {whole}"), &whole),
            event("change.finished", &format!("failed after 2 s: {whole}"), &whole),
        ]
        .map(|e| teller.words(&e));
        let wanted = [
            format!("test failed after 1 s: {why}"),
            "pipeline of web failed".to_owned(),
            format!("failed after 2 s: test failed: {brief}"),
        ];
        assert_eq!(told.clone().map(|t| t.en), wanted);
        assert_eq!(told[1].ko, "pipeline of web 실패");
        assert!(told[2].ko.ends_with(brief), "{}", told[2].ko);
    }

    #[test]
    fn a_reason_is_not_told_in_two_lines_that_follow_each_other() {
        let why = ".gitlab-ci.yml:5:3: no such keyword";
        let mut teller = Teller::default();
        let told = [
            event("pipeline.finished", &format!("pipeline of web failed: {why}"), why),
            event("change.finished", &format!("failed after 33 ms: {why}"), why),
        ]
        .map(|e| teller.words(&e).en);
        assert_eq!(told, [format!("pipeline of web failed: {why}"), "failed after 33 ms".into()]);
    }

    #[test]
    fn what_repeats_is_left_out_and_a_warning_is_not_the_last_word() {
        let whole =
            ["run.created", "run.finished", "git.pushed", "release.skipped", "resource.updated"];
        assert!(whole.iter().all(|k| !Mode::Whole.tells(k)));
        assert!(Mode::Whole.tells("pipeline.warned") && Mode::Whole.ends("change.finished"));
        assert!(Mode::First.tells("pipeline.warned") && !Mode::First.ends("pipeline.warned"));
        assert!(Mode::First.ends("pipeline.created") && !Mode::First.tells("run.step.started"));
    }
}

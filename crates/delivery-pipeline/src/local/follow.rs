//! A run under way, before the developer's eyes.

use super::outcome::short;
use super::screen::{Mark, Screen};
use super::signals::Signals;
use super::world::World;
use futures_util::StreamExt;
use kernel::log::Line;
use kernel::{Event, Id, Principal, Result, Text};
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;
use store::Feed;
use tokio::sync::mpsc;

/// Lines of logs that wait to be shown; jobs are never slowed down by it, for their logs are files.
const LINES: usize = 4096;
/// For the rest of the logs to be shown when the run is over.
const REST: Duration = Duration::from_secs(20);

/// How watching ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// By itself.
    Over,
    /// Somebody pressed Ctrl-C, and it has ended in order.
    Interrupted,
    /// Somebody pressed it again: everything is killed.
    Killed,
    /// The time that was given is over.
    Late,
    /// Whoever waits for `until` wants something else.
    Elsewhere,
}

enum Shown {
    Line(Line),
    /// The log has ended.
    End,
}

/// What is known of a step while it is shown.
#[derive(Default)]
struct Seen {
    /// Its log is being shown.
    open: bool,
    /// What to say of its end, once its log has been shown.
    ended: Option<(Mark, Text)>,
}

/// Follows one run on the screen.
pub struct Follower<'a> {
    world: &'a World,
    run: Id,
    names: BTreeMap<String, usize>,
    steps: BTreeMap<usize, Seen>,
    sender: mpsc::Sender<(usize, Shown)>,
    lines: mpsc::Receiver<(usize, Shown)>,
    /// When the first line of a job came.
    pub first_line: Option<std::time::Instant>,
}

impl<'a> Follower<'a> {
    pub fn new(world: &'a World, run: Id, steps: &[String]) -> Follower<'a> {
        let (sender, lines) = mpsc::channel(LINES);
        let names = steps.iter().cloned().zip(0..).collect();
        Follower { world, run, names, steps: BTreeMap::new(), sender, lines, first_line: None }
    }

    /// Shows the run until it ends. `feed` begins before the run was made.
    pub async fn show(
        &mut self,
        mut feed: Feed,
        screen: &mut Screen,
        signals: &mut Signals,
        limit: Option<Duration>,
        mut until: Pin<&mut (dyn Future<Output = ()> + Send)>,
    ) -> Result<End> {
        let mut end = End::Over;
        let late = tokio::time::sleep(limit.unwrap_or(Duration::from_secs(u64::from(u32::MAX))));
        let mut late = std::pin::pin!(late);
        let deadline = limit.is_some();
        loop {
            tokio::select! {
                biased;
                () = signals.next() => match end {
                    End::Over => {
                        screen.remark(&stopping());
                        self.cancel(Text::fixed("interrupted", "중단함")).await;
                        end = End::Interrupted;
                    }
                    End::Interrupted | End::Killed | End::Late | End::Elsewhere => {
                        self.world.kill_all().await;
                        return Ok(End::Killed);
                    }
                },
                () = &mut late, if deadline && end == End::Over => {
                    self.cancel(late_text()).await;
                    end = End::Late;
                }
                () = until.as_mut(), if end == End::Over => {
                    self.cancel(Text::fixed("the files changed", "파일이 바뀜")).await;
                    end = End::Elsewhere;
                }
                Some((step, shown)) = self.lines.recv() => self.shown(step, shown, screen),
                event = feed.next() => {
                    if self.hear(&*event?, screen).await? {
                        break;
                    }
                }
            }
        }
        // What was printed last is still on its way.
        let rest = async {
            while self.steps.values().any(|s| s.open) {
                let Some((step, shown)) = self.lines.recv().await else { return };
                self.shown(step, shown, screen);
            }
        };
        let _ = tokio::time::timeout(REST, rest).await;
        Ok(end)
    }

    async fn cancel(&self, reason: Text) {
        // One that has just ended is as good.
        let _ = self.world.engine.cancel(&self.run, Principal::part("local"), reason).await;
    }

    /// Whether the run is over.
    async fn hear(&mut self, event: &Event, screen: &mut Screen) -> Result<bool> {
        let data = &event.fact.data;
        let word = |name: &str| data.get(name).and_then(serde_json::Value::as_str);
        if word("run") != Some(self.run.as_str()) {
            return Ok(false);
        }
        let step = word("step").and_then(|name| self.names.get(name)).copied();
        match (event.fact.kind.as_str(), step) {
            ("run.finished" | "run.waiting", _) => return Ok(true),
            ("run.step.started", Some(step)) if !screen.grouped() => {
                let attempt = data.get("attempt").and_then(serde_json::Value::as_u64);
                self.open(step, word("step").unwrap_or(""), attempt.unwrap_or(1));
            }
            ("run.step.retried", Some(step)) => screen.about(step, Mark::Other, &event.fact.say),
            ("run.step.finished", Some(step)) => {
                let mark = match word("verdict") {
                    Some("passed") => Mark::Passed,
                    Some("failed") => Mark::Failed,
                    _ => Mark::Other,
                };
                if screen.grouped() {
                    self.whole(step, word("step").unwrap_or(""), screen).await;
                }
                let seen = self.steps.entry(step).or_default();
                let Text { en, ko } = &event.fact.say;
                seen.ended = Some((mark, Text::new(short(en), short(ko))));
                self.close(step, screen);
            }
            _ => {}
        }
        Ok(false)
    }

    /// Begins to show a step's log.
    fn open(&mut self, step: usize, name: &str, attempt: u64) {
        self.steps.entry(step).or_default().open = true;
        let attempt = u32::try_from(attempt).unwrap_or(1);
        let log = self.world.engine.follow_log(&self.run, name, Some(attempt));
        let sender = self.sender.clone();
        tokio::spawn(async move {
            let mut log = std::pin::pin!(log);
            while let Some(Ok(line)) = log.next().await {
                if sender.send((step, Shown::Line(line))).await.is_err() {
                    return;
                }
            }
            let _ = sender.send((step, Shown::End)).await;
        });
    }

    /// Shows all of a finished step's log at once.
    async fn whole(&mut self, step: usize, name: &str, screen: &mut Screen) {
        screen.put("");
        screen.put(&screen.marked(Mark::Begun, name));
        let log = self.world.engine.follow_log(&self.run, name, None);
        let mut log = std::pin::pin!(log);
        while let Some(Ok(line)) = log.next().await {
            self.shown(step, Shown::Line(line), screen);
        }
    }

    fn shown(&mut self, step: usize, shown: Shown, screen: &mut Screen) {
        match shown {
            Shown::Line(line) => {
                self.first_line.get_or_insert_with(std::time::Instant::now);
                screen.line(step, &line);
            }
            Shown::End => {
                self.steps.entry(step).or_default().open = false;
                self.close(step, screen);
            }
        }
    }

    /// Tells of a step's end when its whole log has been shown.
    fn close(&mut self, step: usize, screen: &mut Screen) {
        let Some(seen) = self.steps.get_mut(&step).filter(|s| !s.open) else { return };
        if let Some((mark, words)) = seen.ended.take() {
            screen.about(step, mark, &words);
        }
    }
}

fn stopping() -> Text {
    Text::fixed(
        "stopping: jobs get their after_script; Ctrl-C again kills them",
        "멈춥니다. 작업의 after_script는 실행합니다. Ctrl-C를 다시 누르면 바로 죽입니다",
    )
}

fn late_text() -> Text {
    Text::fixed("longer than --timeout allows", "--timeout을 넘김")
}

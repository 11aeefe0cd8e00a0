//! The steps of a rollout. Each looks at what is there and does what is missing, so that it can run again
//! after a crash at any point.

use crate::crew::{Crew, Member, Phase};
use crate::kind::Release;
use crate::log;
use crate::state::{self, ServiceKey, State};
use crate::yard::{Came, Yard, outcome};
use futures_util::future::{join_all, try_join_all};
use kernel::{BoxFuture, Error, ErrorKind, Name, Result, Text, Time, text, time::show_duration};
use run::{Actor, Outcome, Task};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use std::cmp::Reverse;
use std::sync::Arc;
use std::time::Duration;

pub(crate) const START: &str = "service.start";
pub(crate) const RETIRE: &str = "service.retire";

/// Starts of one slot before the rollout gives up.
const STARTS: u32 = 3;
/// Before the second start; twice that before the third.
const PAUSE: Duration = Duration::from_millis(100);

/// Start instances of a release and wait until all are ready.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct StartWith {
    pub service: Name,
    pub release: Name,
    /// Slots.
    pub from: u32,
    pub to: u32,
}

/// Take instances of other releases out until `keep` of them are left.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct RetireWith {
    pub service: Name,
    pub release: Name,
    pub keep: u32,
    /// Ready instances that must be left, of whatever release.
    pub floor: u32,
}

pub(crate) struct Start(pub Yard);
pub(crate) struct Retire(pub Yard);

impl Actor for Start {
    fn uses(&self) -> &'static str {
        START
    }

    fn light(&self) -> bool {
        true
    }
    fn act(&self, task: Task) -> BoxFuture<'static, Outcome> {
        let yard = self.0.clone();
        Box::pin(async move { settle(start(&yard, &task).await) })
    }
}

impl Actor for Retire {
    fn uses(&self) -> &'static str {
        RETIRE
    }

    fn light(&self) -> bool {
        true
    }
    fn act(&self, task: Task) -> BoxFuture<'static, Outcome> {
        let yard = self.0.clone();
        Box::pin(async move { settle(retire(&yard, &task).await) })
    }
}

/// Why a step did not get done.
enum Stopped {
    /// The release's fault.
    Failed { class: &'static str, exit_code: Option<i32>, say: Text },
    /// Not its fault.
    Error(Error),
}

impl From<Error> for Stopped {
    fn from(error: Error) -> Stopped {
        Stopped::Error(error)
    }
}

fn failed(class: &'static str, say: Text) -> Stopped {
    Stopped::Failed { class, exit_code: None, say }
}

fn settle(done: Result<Value, Stopped>) -> Outcome {
    match done {
        Ok(output) => Outcome::Done(output),
        Err(Stopped::Failed { class, exit_code, say }) => {
            Outcome::Failed { class: class.into(), exit_code, say, output: Value::Null }
        }
        // The store is gone, so are we.
        Err(Stopped::Error(e)) if e.code() == "store.closed" => Outcome::LetGo,
        Err(Stopped::Error(e)) => match e.kind() {
            ErrorKind::Internal | ErrorKind::Unavailable | ErrorKind::Full | ErrorKind::Busy => {
                tracing::warn!(error = %e, "a step of a rollout will be tried again");
                Outcome::Infrastructure { say: e.sentence() }
            }
            _ => Outcome::failed(e.code(), e.sentence()),
        },
    }
}

fn input<T: DeserializeOwned>(task: &Task) -> Result<T> {
    T::deserialize(&task.with).map_err(Error::internal)
}

/// The release, if this run is still the service's rollout. Whoever looked after the service without
/// knowing of this run is done when this returns.
async fn fence(yard: &Yard, crew: &Crew, task: &Task, name: &Name) -> Result<Release, Stopped> {
    let _helm = crew.helm.lock().await;
    let (key, name, run) = (crew.key.clone(), name.clone(), task.run.clone());
    let read = move |v: &store::View<'_>| {
        let state = State::load(v, &key)?;
        let ours = state.rollout.is_some_and(|r| r.run == run);
        Ok((ours, state::release(v, &key, &name)?))
    };
    match yard.store().read(read).await? {
        (true, Some(release)) => Ok(release),
        (true, None) => {
            Err(failed("gone", Text::fixed("the release is gone", "릴리스가 없어졌습니다")))
        }
        (false, _) => Err(failed(
            "overtaken",
            Text::fixed(
                "this rollout is over; `naru rollback SERVICE RELEASE` rolls a release out again",
                "이미 끝난 롤아웃입니다. `naru rollback SERVICE RELEASE`로 릴리스를 다시 롤아웃할 수 있습니다",
            ),
        )),
    }
}

async fn start(yard: &Yard, task: &Task) -> Result<Value, Stopped> {
    let with: StartWith = input(task)?;
    let key = ServiceKey::new(&task.project, &with.service);
    let crew = yard.crew(&key);
    let release = fence(yard, &crew, task, &with.release).await?;
    // Of other releases only what serves is worth its place.
    for member in crew.members() {
        if member.place.number != release.number && !member.ready() && !member.leaving() {
            drop(yard.retire(&crew, &member));
        }
    }
    let shift = Shift { yard, crew: &crew, task, name: &with.release, release: &release };
    let all = try_join_all((with.from..with.to).map(|slot| shift.bring_up(slot)));
    let done = tokio::select! {
        done = all => done,
        () = task.cancel.cancelled() => Err(failed(
            "canceled",
            Text::fixed("it was told to stop", "중지 요청을 받았습니다"),
        )),
    };
    match done {
        Ok(ready) => Ok(json!({ "ready": ready.into_iter().min(), "slots": [with.from, with.to] })),
        Err(stopped) => {
            // An error of ours is tried again, with what has been started so far.
            if matches!(stopped, Stopped::Failed { .. }) {
                shift.give_up();
            }
            Err(stopped)
        }
    }
}

/// A release on its way in.
struct Shift<'a> {
    yard: &'a Yard,
    crew: &'a Arc<Crew>,
    task: &'a Task,
    name: &'a Name,
    release: &'a Release,
}

impl Shift<'_> {
    /// When the instance in the slot became ready.
    async fn bring_up(&self, slot: u32) -> Result<Time, Stopped> {
        let began = tokio::time::Instant::now();
        for start in 1.. {
            let here = self.crew.in_slot(self.release.number, slot).filter(|m| m.counts());
            let member = match here {
                Some(member) => member,
                None => self.yard.launch(self.crew, self.name, self.release, slot).await?,
            };
            self.note_started(&member);
            match outcome(&member).await? {
                Came::Ready(at) => {
                    let (id, took) = (member.id(), show_duration(began.elapsed()));
                    self.task
                        .log
                        .note(&text!("{id} is ready after {took}", "{id} 준비됨 ({took})"));
                    return Ok(at);
                }
                Came::Not(Phase::Ended(exit)) if start < STARTS => {
                    let (id, how) = (member.id(), exit.text());
                    let (en, ko) = (how.en, how.ko);
                    self.task.log.note(&text!("{id}: {en}; trying again", "{id}: {ko}, 다시 시도"));
                    tokio::time::sleep(PAUSE * start).await;
                }
                Came::Not(phase) => return Err(self.reason(&member, phase, start).await),
            }
        }
        Err(Stopped::Error(Error::internal("a loop without an end ended")))
    }

    fn note_started(&self, member: &Member) {
        let id = member.id();
        let say = match member.address {
            Some(address) => {
                let port = address.port();
                text!("{id} started, $PORT is {port}", "{id} 시작, $PORT {port}")
            }
            None => text!("{id} started", "{id} 시작"),
        };
        self.task.log.note(&say);
    }

    /// A sentence that a developer can use, and the instance's last words in the step's log.
    async fn reason(&self, member: &Member, phase: Phase, starts: u32) -> Stopped {
        let name = self.name;
        let words = log::last_words(self.yard.files(), member.id()).await;
        for line in &words.lines {
            self.task.log.note(&Text::plain(format!("{}: {line}", member.id())));
        }
        let (class, exit_code, say) = match phase {
            Phase::Ended(exit) => {
                let Text { en, ko } = exit.text();
                let say = text!(
                    "{name}: its instance {en} before it was ready, {starts} times",
                    "{name}: 인스턴스가 준비되기 전에 {starts}번 끝남 ({ko})"
                );
                ("crash", exit.code, say)
            }
            Phase::Late(Text { en, ko }) | Phase::Unready(Text { en, ko }) => {
                let limit = show_duration(self.release.config.ready_within.0);
                let say = text!(
                    "{name} was not ready within {limit}: {en}",
                    "{name}이(가) {limit} 안에 준비되지 않음: {ko}"
                );
                ("not_ready", None, say)
            }
            Phase::Starting | Phase::Ready => (
                "internal",
                None,
                text!("{name} is in no known state", "{name}의 상태를 알 수 없음"),
            ),
        };
        Stopped::Failed { class, exit_code, say: words.after(say) }
    }

    /// What is not ready of the new release goes. What is ready serves until the old release is whole
    /// again.
    fn give_up(&self) {
        for member in self.crew.members() {
            if member.place.number == self.release.number && !member.ready() {
                drop(self.yard.retire(self.crew, &member));
            }
        }
    }
}

async fn retire(yard: &Yard, task: &Task) -> Result<Value, Stopped> {
    let with: RetireWith = input(task)?;
    let key = ServiceKey::new(&task.project, &with.service);
    let crew = yard.crew(&key);
    let release = fence(yard, &crew, task, &with.release).await?;
    let number = release.number;
    let fresh = |c: &Crew| {
        let members = c.members();
        let of_ours = |m: &&Arc<Member>| m.place.number == number;
        let ready = members.iter().filter(of_ours).filter(|m| m.ready()).count();
        let starting = members.iter().filter(of_ours).any(|m| m.counts() && !m.ready());
        (ready, starting)
    };
    // After a restart of naru the new instances have to be asked again.
    let settled = crew.wait_for(release.config.ready_within.0, |c| !fresh(c).1);
    tokio::select! {
        _ = settled => {}
        () = task.cancel.cancelled() => {}
    }
    let victims = victims(&crew, number, with.keep as usize);
    let left = fresh(&crew).0 + (with.keep as usize).min(others_ready(&crew, number));
    if left < with.floor as usize && victims.iter().any(|m| m.ready()) {
        return Err(lost(&with.release, &crew, number));
    }
    let gone: Vec<_> = victims.iter().map(|m| yard.retire(&crew, m)).collect();
    let ids: Vec<&str> = victims.iter().map(|m| m.id()).collect();
    for id in &ids {
        task.log.note(&text!(
            "{id} gets no new requests, drains and stops",
            "{id}: 새 요청을 끊고 비운 뒤 중지"
        ));
    }
    // The last ones drain behind our back: the new release serves alone from here on.
    if with.keep > 0 {
        tokio::select! {
            _ = join_all(gone) => {}
            () = task.cancel.cancelled() => {}
        }
    }
    Ok(json!({ "retired": ids }))
}

fn others_ready(crew: &Crew, number: u64) -> usize {
    crew.members().iter().filter(|m| m.place.number != number && m.ready()).count()
}

/// The instances of other releases that have to go: all that do not serve, and the oldest that do.
fn victims(crew: &Crew, number: u64, keep: usize) -> Vec<Arc<Member>> {
    let others = crew.members().into_iter().filter(|m| m.place.number != number && !m.leaving());
    let (mut serving, mut victims): (Vec<_>, Vec<_>) = others.partition(|m| m.ready());
    serving.sort_by_key(|m| (m.place.number, Reverse(m.place.slot)));
    serving.truncate(serving.len().saturating_sub(keep));
    victims.extend(serving);
    victims
}

fn lost(name: &Name, crew: &Crew, number: u64) -> Stopped {
    let mut ended = crew.members().into_iter().filter(|m| m.place.number == number);
    let how = ended.find_map(|m| m.status().reason).unwrap_or_default();
    let (en, ko) = (how.en, how.ko);
    failed(
        "crash",
        text!(
            "{name} was ready and did not stay so: {en}",
            "{name}이(가) 준비된 뒤 유지되지 않음: {ko}"
        ),
    )
}

//! Pipelines that start by the clock: `kind: Schedule`.
//!
//! Invariants: each due time starts at most one pipeline, in the transaction that moves the schedule on,
//! whatever crashes; of the times that were missed while naru was down one is made up for; a pipeline runs in
//! the name of whoever wrote the schedule last, as long as that person may start one.

use crate::create::{self, Asked, Beside};
use crate::cron::{self, Cron};
use crate::gitlab::{FILE, Origin};
use crate::prepare::{Made, Prepared, prepare};
use crate::tip;
use crate::variables::{Variable, is_name};
use crate::{Parts, Pipelines, sync};
use kernel::kind::{KindDef, Scope, Writer};
use kernel::{
    BoxFuture, Error, Event, Id, Key, Kind, Name, Principal, Resource, Result, Text, Time, text,
};
use policy::Permission;
use reconcile::{Next, Reconciler};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use store::{Filter, Tx, View};

/// [`Place`] by `<project>/<name>`.
const PLACES: &str = "delivery-pipeline.schedule";
/// Schedules read at a time.
const PAGE: usize = 1_000;
const PART: &str = "delivery-pipeline";

/// A pipeline that starts by the clock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    pub repository: Name,
    /// A branch or tag: `main`.
    #[serde(rename = "ref")]
    pub refname: String,
    /// `30 4 * * mon-fri` (minute, hour, day, month, weekday) or a word such as `@daily`.
    pub cron: String,
    /// A name of the IANA database: `Asia/Seoul`.
    #[serde(default = "utc")]
    pub timezone: String,
    /// What it is for.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub variables: BTreeMap<String, String>,
    #[serde(default = "yes")]
    pub active: bool,
}

fn utc() -> String {
    "UTC".to_owned()
}

fn yes() -> bool {
    true
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ScheduleStatus {
    /// When it is due again.
    pub next: Option<Time>,
    /// When it started a pipeline last, and which.
    pub last: Option<Time>,
    pub run: Option<String>,
    /// Why the last time led to no pipeline.
    pub problem: Option<Text>,
    /// In whose name its pipelines run: who wrote it last.
    pub owner: Option<String>,
}

impl Kind for Schedule {
    const KIND: &'static str = "Schedule";
    type Status = ScheduleStatus;

    fn check(&self) -> Result<()> {
        Cron::parse(&self.cron)?;
        cron::zone(&self.timezone)?;
        if let Some(name) = self.variables.keys().find(|name| !is_name(name)) {
            let shown = kernel::shown(name);
            return Err(Error::invalid(
                "variable.invalid",
                text!("“{shown}” cannot be a variable", "“{shown}”은(는) 변수가 될 수 없습니다"),
            ));
        }
        Ok(())
    }
}

pub(crate) const KINDS: &[KindDef] = &[KindDef::of::<Schedule>(
    "schedules",
    Scope::Project,
    Writer::People,
    ("Pipelines that start by the clock", "정해진 시각에 시작하는 파이프라인"),
    &[
        ("REPOSITORY", "/spec/repository"),
        ("REF", "/spec/ref"),
        ("CRON", "/spec/cron"),
        ("ZONE", "/spec/timezone"),
        ("NEXT", "/status/next"),
        ("LAST", "/status/last"),
        ("OWNER", "/status/owner"),
    ],
)];

/// Where a schedule is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Place {
    /// Of which time table.
    cron: String,
    timezone: String,
    due: Option<Time>,
}

/// A schedule of a project.
type ScheduleKey = (Name, Name);

fn row(key: &ScheduleKey) -> String {
    format!("{}/{}", key.0, key.1)
}

fn resource(key: &ScheduleKey) -> Key {
    Key::of::<Schedule>(&key.0, &key.1)
}

pub(crate) struct Schedules(pub Arc<Parts>);

impl Reconciler for Schedules {
    type Key = ScheduleKey;

    fn name(&self) -> &'static str {
        "schedule"
    }

    fn keys(&self, event: &Event) -> Vec<ScheduleKey> {
        let subject = event.fact.subject.as_ref().filter(|key| key.kind == Schedule::KIND);
        let key = subject.and_then(|key| Some((key.project.clone()?, key.name.clone())));
        // Its own status says nothing new.
        key.into_iter().filter(|_| event.fact.kind != "resource.status").collect()
    }

    fn all(&self) -> BoxFuture<'_, Result<Vec<ScheduleKey>>> {
        Box::pin(self.0.store.read(|view| {
            let mut keys = Vec::new();
            let mut after: Option<Key> = None;
            loop {
                let page = view.resources(Schedule::KIND, None, after.as_ref(), PAGE)?;
                let full = page.len() == PAGE;
                after = page.last().map(|r| r.key.clone());
                keys.extend(page.into_iter().filter_map(|r| Some((r.key.project?, r.key.name))));
                if !full {
                    return Ok(keys);
                }
            }
        }))
    }

    fn sync<'a>(&'a self, key: &'a ScheduleKey) -> BoxFuture<'a, Result<Next>> {
        Box::pin(self.look(key))
    }
}

/// What a look at a schedule finds.
enum Seen {
    Gone,
    /// Nothing to do before that.
    Wait(Option<Time>),
    Due(Box<Due>),
}

struct Due {
    spec: Schedule,
    at: Time,
    owner: Principal,
}

impl Schedules {
    async fn look(&self, key: &ScheduleKey) -> Result<Next> {
        let of = key.clone();
        let next = match self.0.store.write(move |tx| seen(tx, &of)).await? {
            Seen::Gone => None,
            Seen::Wait(next) => next,
            Seen::Due(due) => self.fire(key, *due).await?,
        };
        Ok(next.map_or(Next::Done, Next::At))
    }

    /// Starts the pipeline of a due time, and moves on. The answer is when it is due again.
    async fn fire(&self, key: &ScheduleKey, due: Due) -> Result<Option<Time>> {
        let parts = &self.0;
        let made = self.prepared(key, &due).await;
        let of = key.clone();
        let write = move |tx: &mut Tx<'_>| {
            let place = tx.row::<Place>(PLACES, &row(&of))?;
            if place.as_ref().and_then(|place| place.due) != Some(due.at) {
                return Ok((place.and_then(|place| place.due), Vec::new()));
            }
            let next = next(&due.spec, tx.now())?;
            set(tx, &of, &due.spec, next)?;
            let (last, run, problem, overtaken) = match made {
                Ok((asked, compiled)) => {
                    let (run, overtaken) = create::create_in(tx, &asked, compiled)?;
                    (Some(tx.now()), Some(run), None, overtaken)
                }
                Err(problem) => (None, None, Some(problem), Vec::new()),
            };
            let old = status_of(tx, &of)?;
            let status = ScheduleStatus {
                next,
                last: last.or(old.last),
                run: run.map(|run| run.to_string()).or(old.run),
                problem,
                owner: Some(due.owner.to_string()),
            };
            tx.put_status(&resource(&of), &status, Principal::part(PART))?;
            Ok((next, overtaken))
        };
        let (next, overtaken) = parts.store.write(write).await?;
        if let Some(engine) = parts.engine.get() {
            sync::overtake(engine, overtaken).await;
        }
        Ok(next)
    }

    /// What is to run, or why nothing is.
    async fn prepared(
        &self,
        key: &ScheduleKey,
        due: &Due,
    ) -> Result<(Asked, crate::gitlab::Compiled), Text> {
        let asked =
            self.asked(key, &due.spec, due.owner.clone()).await.map_err(|e| e.sentence())?;
        match prepare(&self.0, &asked).await {
            Ok(Prepared::Ready(compiled)) => Ok((asked, *compiled)),
            Ok(Prepared::Nothing(why)) => Err(why),
            Ok(Prepared::Absent) => {
                Err(text!("the commit has no {FILE}", "커밋에 {FILE} 파일이 없습니다"))
            }
            Ok(Prepared::Broken(error)) | Err(error) => Err(error.sentence()),
        }
    }

    async fn asked(&self, key: &ScheduleKey, spec: &Schedule, owner: Principal) -> Result<Asked> {
        let (project, spec, who) = (key.0.clone(), spec.clone(), owner.clone());
        let policy = self.0.policy.clone();
        let find = move |v: &View<'_>| {
            if !policy.allows(v, &who, Permission::Change, &project)? {
                return Err(may_not(&who));
            }
            let found = tip::find(v, &project, &spec.repository, &spec.refname)?;
            let tip = found.ok_or_else(|| unknown(&spec))?;
            Ok((tip, spec))
        };
        let (tip, spec) = self.0.store.read(find).await?;
        let given = spec.variables.iter().map(|(n, v)| Variable::literal(n, v.as_str())).collect();
        let schedule = Some(match spec.description.is_empty() {
            true => key.1.to_string(),
            false => spec.description.clone(),
        });
        Ok(Asked {
            tip,
            origin: Origin::Schedule,
            given,
            actor: owner,
            made: Made::default(),
            beside: Beside { schedule, ..Beside::default() },
        })
    }
}

fn may_not(who: &Principal) -> Error {
    let say = text!(
        "{who}, who wrote it, may not start pipelines here any more",
        "일정을 쓴 {who}에게 더 이상 파이프라인을 시작할 권한이 없습니다"
    );
    Error::forbidden("schedule.owner", say)
        .hint(Text::fixed("write it again to take it over", "다시 쓰면 소유자가 됩니다"))
}

fn unknown(spec: &Schedule) -> Error {
    let (repository, name) = (&spec.repository, &spec.refname);
    let name = kernel::shown(name);
    let say = text!(
        "{repository} has no branch or tag “{name}”",
        "{repository}에 “{name}” 브랜치나 태그가 없습니다"
    );
    Error::not_found("ref.unknown", say)
}

fn seen(tx: &mut Tx<'_>, key: &ScheduleKey) -> Result<Seen> {
    let Some(found) = tx.resource(&resource(key))? else {
        tx.delete_row(PLACES, &row(key))?;
        return Ok(Seen::Gone);
    };
    let spec: Schedule = found.spec()?;
    let place = tx.row::<Place>(PLACES, &row(key))?;
    let same = |p: &&Place| p.cron == spec.cron && p.timezone == spec.timezone;
    let due = match place.as_ref().filter(same).and_then(|place| place.due) {
        _ if !spec.active => None,
        Some(due) => Some(due),
        None => next(&spec, tx.now())?,
    };
    let owner = owner(tx, &found)?;
    if let Some(at) = due.filter(|at| *at <= tx.now()) {
        return Ok(Seen::Due(Box::new(Due { spec, at, owner })));
    }
    set(tx, key, &spec, due)?;
    let old = status_of(tx, key)?;
    let status = ScheduleStatus { next: due, owner: Some(owner.to_string()), ..old };
    tx.put_status(&resource(key), &status, Principal::part(PART))?;
    Ok(Seen::Wait(due))
}

fn set(tx: &mut Tx<'_>, key: &ScheduleKey, spec: &Schedule, due: Option<Time>) -> Result<()> {
    let place = Place { cron: spec.cron.clone(), timezone: spec.timezone.clone(), due };
    let known = tx.row::<Place>(PLACES, &row(key))?;
    if known.as_ref() == Some(&place) { Ok(()) } else { tx.set_row(PLACES, &row(key), &place) }
}

fn next(spec: &Schedule, now: Time) -> Result<Option<Time>> {
    Ok(Cron::parse(&spec.cron)?.next(now, &cron::zone(&spec.timezone)?))
}

fn status_of(view: &View<'_>, key: &ScheduleKey) -> Result<ScheduleStatus> {
    let found = view.resource(&resource(key))?.map(|found| found.status);
    let status = found.and_then(|status| serde_json::from_value(status).ok());
    Ok(status.unwrap_or_default())
}

/// Who wrote it last.
fn owner(view: &View<'_>, found: &Resource) -> Result<Principal> {
    let last = |kind: &str| {
        let (subject, kind) = (Some(found.key.clone()), Some(kind.to_owned()));
        view.events_back(u64::MAX, 1, &Filter { subject, kind, ..Filter::default() })
    };
    let (created, updated) = (last("resource.created")?, last("resource.updated")?);
    let newest = created.into_iter().chain(updated).max_by_key(|event| event.seq);
    Ok(newest.map_or(Principal::Anonymous, |event| event.fact.actor))
}

impl Pipelines {
    /// Starts the pipeline of a schedule now, whatever the clock says, for `actor`.
    ///
    /// # Errors
    /// `resource.unknown`, and as [`Pipelines::run`].
    pub async fn play_schedule(&self, project: &Name, name: &Name, actor: Principal) -> Result<Id> {
        let key = (project.clone(), name.clone());
        let of = key.clone();
        let found = self.0.store.read(move |v| v.resource(&resource(&of))).await?;
        let found = found.ok_or_else(|| {
            let say = text!("there is no schedule {name}", "{name} 일정이 없습니다");
            Error::not_found("resource.unknown", say)
        })?;
        let asked = Schedules(self.0.clone()).asked(&key, &found.spec()?, actor).await?;
        self.start_asked(asked).await
    }
}

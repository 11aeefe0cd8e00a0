//! From decided jobs to a graph: who waits for whom, and whose results come along.

use super::FILE;
use super::error;
use super::job::{Job, When};
use super::matrix::{self, Row};
use super::needs::{Need, Needs};
use super::rules::Decision;
use super::step::Pipeline;
use super::trigger::To;
use super::yaml::At;
use crate::trigger_plan::FromArtifact;
use crate::variables::Variable;
use kernel::journey::EnvironmentAction;
use kernel::{Error, Result, Text, text};
use run::Plan;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What the engine takes.
pub const MAX_JOBS: usize = 5_000;
const MAX_NEEDS: usize = 50_000;

/// A job of the file, or one of those that `parallel` makes of it, with what was decided about it.
pub struct Chosen {
    pub job: Arc<Job>,
    /// Its own: `test 1/3`.
    pub name: String,
    pub stage: String,
    /// Global variables that it does not inherit.
    pub without: Arc<Vec<String>>,
    /// The values of its matrix, and the same as variables.
    pub row: Row,
    pub matrix: Vec<Variable>,
    /// What it is told of itself.
    pub about: Vec<Variable>,
    pub decision: Decision,
}

impl Chosen {
    pub fn is_in(&self) -> bool {
        self.decision.when != When::Never
    }
}

/// One job of the plan.
struct Instance<'a> {
    from: &'a Chosen,
    stage: usize,
}

/// What a step waits for, and the files of a child pipeline that it gets from there.
#[derive(Default)]
pub struct Waits {
    pub needs: Vec<run::Need>,
    pub artifacts: Vec<FromArtifact>,
    /// The step that stops the environment of this one.
    pub stops: Option<String>,
}

/// # Errors
/// `pipeline.stage`, `pipeline.needs`, `pipeline.dependencies`, `pipeline.on_stop`, `pipeline.cycle`, and
/// `pipeline.too_many_jobs` for more than the engine takes.
pub fn plan(chosen: &[Chosen], stages: &[String], pipeline: &Pipeline<'_>) -> Result<Plan> {
    for c in chosen {
        stage_of(c, stages)?;
    }
    let instances = instances(chosen, stages)?;
    let graph = Graph::new(chosen, &instances, stages);
    let waits = instances.iter().map(|i| graph.waits(i)).collect::<Result<Vec<_>>>()?;
    let total: usize = waits.iter().map(|w| w.needs.len()).sum();
    if total > MAX_NEEDS {
        return Err(too_many(total, MAX_NEEDS, ("needs", "의존 관계")));
    }
    graph.check_circle(&waits)?;
    let steps = instances.iter().zip(waits).map(|(i, waits)| pipeline.step(i.from, waits));
    Ok(Plan { steps: steps.collect::<Result<_>>()?, ..Plan::default() })
}

fn stage_of(chosen: &Chosen, stages: &[String]) -> Result<usize> {
    if let Some(found) = stages.iter().position(|s| *s == chosen.stage) {
        return Ok(found);
    }
    let at = chosen.job.stage.as_ref().map_or(&chosen.job.at, |(_, at)| at);
    let (stage, job) = (kernel::shown(&chosen.stage), kernel::shown(&chosen.job.name));
    let known: Vec<&str> = stages.iter().map(String::as_str).collect();
    let say = text!(
        "the job `{job}` is in the stage `{stage}`, which `stages` does not have",
        "`{job}` 작업의 `{stage}` 스테이지가 `stages`에 없습니다"
    );
    Err(error::general(at, "pipeline.stage", say).hint(error::nearest(&chosen.stage, &known)))
}

pub fn too_many(found: usize, limit: usize, what: (&str, &str)) -> Error {
    let (en, ko) = what;
    let at = At { file: FILE.into(), line: 1, column: 1 };
    error::general(
        &at,
        "pipeline.too_many_jobs",
        text!(
            "the pipeline has {found} {en}, the limit is {limit}",
            "파이프라인의 {ko}이(가) {found}개입니다. 최대 {limit}개까지 가능합니다"
        ),
    )
}

fn instances<'a>(chosen: &'a [Chosen], stages: &[String]) -> Result<Vec<Instance<'a>>> {
    let one = |from: &'a Chosen| Ok(Instance { from, stage: stage_of(from, stages)? });
    let out: Vec<Instance<'a>> =
        chosen.iter().filter(|c| c.is_in()).map(one).collect::<Result<_>>()?;
    if out.len() > MAX_JOBS {
        return Err(too_many(out.len(), MAX_JOBS, ("jobs", "작업")));
    }
    Ok(out)
}

struct Graph<'a> {
    all: BTreeMap<&'a str, &'a Chosen>,
    instances: &'a [Instance<'a>],
    by_job: BTreeMap<&'a str, Vec<usize>>,
    by_name: BTreeMap<&'a str, usize>,
    by_stage: Vec<Vec<usize>>,
    /// Stages with a job that waits for all stages before it, and fails with them: whoever waits for that
    /// job need not wait for those stages again. Keeps large plans small.
    barriers: Vec<bool>,
}

impl<'a> Graph<'a> {
    fn new(chosen: &'a [Chosen], instances: &'a [Instance<'a>], stages: &[String]) -> Graph<'a> {
        let mut by_job: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        let mut by_stage = vec![Vec::new(); stages.len()];
        let mut barriers = vec![false; stages.len()];
        for (i, instance) in instances.iter().enumerate() {
            by_job.entry(&*instance.from.job.name).or_default().push(i);
            by_stage.get_mut(instance.stage).into_iter().for_each(|s| s.push(i));
            let waits = wanted(instance.from).is_none()
                && matches!(instance.from.decision.when, When::OnSuccess | When::Delayed);
            if let Some(barrier) = barriers.get_mut(instance.stage) {
                *barrier |= waits;
            }
        }
        let all = chosen.iter().map(|c| (c.job.name.as_str(), c)).collect();
        let by_name =
            instances.iter().enumerate().map(|(i, x)| (x.from.name.as_str(), i)).collect();
        Graph { all, instances, by_job, by_name, by_stage, barriers }
    }

    fn waits(&self, instance: &Instance<'_>) -> Result<Waits> {
        let from = instance.from;
        self.check_dependencies(from)?;
        let takes = |job: &str| {
            let dependencies = from.job.dependencies.as_ref();
            dependencies.is_none_or(|names| names.iter().any(|(name, _)| name == job))
        };
        let mut out: BTreeMap<usize, bool> = BTreeMap::new();
        match wanted(from) {
            None => self.earlier(instance.stage, &takes, &mut out),
            Some(needs) => {
                for need in &needs.jobs {
                    let outputs = need.artifacts && takes(&need.job);
                    for i in self.find(instance, need)? {
                        *out.entry(i).or_default() |= outputs;
                    }
                }
            }
        }
        let artifacts = self.made_for(instance, &mut out)?;
        let named = out.into_iter().filter_map(|(i, outputs)| {
            let step = self.instances.get(i)?.from.name.clone();
            Some(run::Need { step, outputs })
        });
        Ok(Waits { needs: named.collect(), artifacts, stops: self.stops(from)? })
    }

    /// The files of a child pipeline that earlier jobs make; it waits for these jobs.
    fn made_for(
        &self,
        instance: &Instance<'_>,
        out: &mut BTreeMap<usize, bool>,
    ) -> Result<Vec<FromArtifact>> {
        let Some(trigger) = &instance.from.job.trigger else { return Ok(Vec::new()) };
        let To::Child { artifacts, .. } = &trigger.to else { return Ok(Vec::new()) };
        let mut found = Vec::new();
        for made in artifacts {
            let need = Need {
                job: made.job.clone(),
                at: made.at.clone(),
                artifacts: true,
                optional: false,
                matrix: Vec::new(),
            };
            for i in self.find(instance, &need)? {
                out.insert(i, true);
                found.extend(self.instances.get(i).map(|x| FromArtifact {
                    step: x.from.name.clone(),
                    path: made.path.clone(),
                    name: made.name.clone(),
                }));
            }
        }
        Ok(found)
    }

    /// The job that stops the environment, if it is in this pipeline.
    fn stops(&self, from: &Chosen) -> Result<Option<String>> {
        let Some(environment) = &from.job.environment else { return Ok(None) };
        let Some((name, at)) = &environment.on_stop else { return Ok(None) };
        let wrong = |why: Text| super::environment::not_a_stop(at, name, why);
        let Some(target) = self.all.get(name.as_str()) else {
            let why = Text::fixed("which does not exist", "없는 작업입니다");
            return Err(wrong(why));
        };
        let Some(other) = &target.job.environment else {
            let why = Text::fixed("which has no `environment`", "`environment`가 없습니다");
            return Err(wrong(why));
        };
        if other.action != EnvironmentAction::Stop {
            let why = Text::fixed("which has no `action: stop`", "`action: stop`이 없습니다");
            return Err(wrong(why));
        }
        if other.name != environment.name {
            let why =
                Text::fixed("which stops another environment", "다른 환경을 중지하는 작업입니다");
            return Err(wrong(why));
        }
        let steps = self.by_job.get(name.as_str()).into_iter().flatten();
        let same_row = |i: &&usize| self.instances.get(**i).is_some_and(|x| x.from.row == from.row);
        let mut steps = steps.filter(same_row).filter_map(|i| self.instances.get(*i));
        Ok(steps.next().map(|x| x.from.name.clone()))
    }

    /// All jobs of earlier stages, less those that others wait for already and that leave nothing.
    fn earlier(&self, stage: usize, takes: &dyn Fn(&str) -> bool, out: &mut BTreeMap<usize, bool>) {
        let mut covered = false;
        for t in (0..stage).rev() {
            for &i in self.by_stage.get(t).into_iter().flatten() {
                let Some(job) = self.instances.get(i).map(|x| &x.from.job) else { continue };
                let leaves = job.kept.artifacts.is_some() || !job.kept.dotenv.is_empty();
                let outputs = leaves && takes(&job.name);
                if outputs || !covered {
                    out.insert(i, outputs);
                }
            }
            covered |= self.barriers.get(t) == Some(&true);
        }
    }

    fn find(&self, instance: &Instance<'_>, need: &Need) -> Result<Vec<usize>> {
        let Some(target) = self.all.get(need.job.as_str()) else {
            // One instance of a parallel job, by its whole name.
            if let Some(i) = self.by_name.get(need.job.as_str()).copied() {
                return self.not_later(instance, need, &[i]).map(|()| vec![i]);
            }
            return if need.optional { Ok(Vec::new()) } else { Err(self.unknown(need)) };
        };
        let Some(found) = self.by_job.get(need.job.as_str()) else {
            if need.optional {
                return Ok(Vec::new());
            }
            let say = absent(&instance.from.name, &need.job, &target.decision.because);
            return Err(error::general(&need.at, "pipeline.needs", say).hint(Text::fixed(
                "give both jobs the same rules, or write `optional: true` at the need",
                "두 작업에 같은 규칙을 주거나 `optional: true`를 적으세요",
            )));
        };
        self.not_later(instance, need, found)?;
        if need.matrix.is_empty() {
            return Ok(found.clone());
        }
        self.of_rows(instance, need, found)
    }

    /// Those of the jobs that have the matrix values which are asked for.
    fn of_rows(&self, instance: &Instance<'_>, need: &Need, found: &[usize]) -> Result<Vec<usize>> {
        let filled = need.matrix.iter().map(|row| matrix::fill(row, &instance.from.row));
        let wanted: Vec<Row> =
            filled.collect::<Result<_, _>>().map_err(|name| no_value(instance, need, &name))?;
        let fits = |i: &&usize| {
            let row = self.instances.get(**i).map(|x| &x.from.row);
            row.is_some_and(|row| wanted.iter().any(|want| want.iter().all(|w| row.contains(w))))
        };
        let fitting: Vec<usize> = found.iter().filter(fits).copied().collect();
        if fitting.is_empty() && !need.optional {
            let (job, other) = (kernel::shown(&instance.from.name), kernel::shown(&need.job));
            let say = text!(
                "`{job}` needs `{other}` with matrix values that none of its jobs has",
                "`{job}`에 필요한 매트릭스 값을 가진 `{other}` 작업이 없습니다"
            );
            return Err(error::general(&need.at, "pipeline.needs", say));
        }
        Ok(fitting)
    }

    /// A job cannot wait for one of a later stage.
    fn not_later(&self, instance: &Instance<'_>, need: &Need, found: &[usize]) -> Result<()> {
        let stage = |i: &usize| self.instances.get(*i).map_or(0, |x| x.stage);
        if found.iter().any(|i| stage(i) > instance.stage) {
            let (job, other) = (kernel::shown(&instance.from.name), kernel::shown(&need.job));
            let say = text!(
                "`{job}` needs `{other}`, which is in a later stage",
                "`{job}`에 필요한 `{other}`이(가) 더 뒤의 스테이지에 있습니다"
            );
            return Err(error::general(&need.at, "pipeline.needs", say)
                .hint(Text::fixed("move one of the two", "둘 중 하나를 옮기세요")));
        }
        Ok(())
    }

    fn unknown(&self, need: &Need) -> Error {
        let other = kernel::shown(&need.job);
        let known: Vec<&str> = self.all.keys().copied().take(1000).collect();
        let say =
            text!("there is no job `{other}` to need", "필요하다고 적힌 `{other}` 작업이 없습니다");
        error::general(&need.at, "pipeline.needs", say).hint(error::nearest(&need.job, &known))
    }

    fn check_dependencies(&self, from: &Chosen) -> Result<()> {
        for (name, at) in from.job.dependencies.iter().flatten() {
            if !self.all.contains_key(name.as_str()) {
                let shown = kernel::shown(name);
                let known: Vec<&str> = self.all.keys().copied().take(1000).collect();
                let say = text!("there is no job `{shown}`", "`{shown}` 작업이 없습니다");
                return Err(error::general(at, "pipeline.dependencies", say)
                    .hint(error::nearest(name, &known)));
            }
        }
        Ok(())
    }

    /// Jobs that wait for each other in a circle, found by taking away what waits for nothing.
    fn check_circle(&self, waits: &[Waits]) -> Result<()> {
        let mut open: Vec<usize> = waits.iter().map(|w| w.needs.len()).collect();
        let mut users: Vec<Vec<usize>> = vec![Vec::new(); waits.len()];
        for (i, waits) in waits.iter().enumerate() {
            for n in waits.needs.iter().filter_map(|n| self.by_name.get(n.step.as_str())) {
                users.get_mut(*n).into_iter().for_each(|u| u.push(i));
            }
        }
        let mut free: Vec<usize> = (0..open.len()).filter(|i| open.get(*i) == Some(&0)).collect();
        let mut left: BTreeSet<usize> = (0..open.len()).collect();
        while let Some(i) = free.pop() {
            left.remove(&i);
            for user in users.get(i).into_iter().flatten() {
                if let Some(n) = open.get_mut(*user) {
                    *n -= 1;
                    if *n == 0 {
                        free.push(*user);
                    }
                }
            }
        }
        match self.ring(&left, waits) {
            Some(ring) => Err(ring),
            None => Ok(()),
        }
    }

    /// Walks needs inside of what is left until a job comes again.
    fn ring(&self, left: &BTreeSet<usize>, waits: &[Waits]) -> Option<Error> {
        let mut path = vec![*left.first()?];
        loop {
            let last = *path.last()?;
            let next =
                waits.get(last)?.needs.iter().filter_map(|n| self.by_name.get(n.step.as_str()));
            let next = *next.filter(|n| left.contains(n)).min()?;
            let begin = path.iter().position(|p| *p == next);
            path.push(next);
            if let Some(begin) = begin {
                let ring = path.get(begin..)?;
                let name = |i: &usize| self.instances.get(*i).map(|x| x.from.name.as_str());
                let words: Vec<&str> = ring.iter().filter_map(name).collect();
                let words = kernel::shown(&words.join(" → "));
                let at = &self.instances.get(next)?.from.job.at;
                let say = text!(
                    "jobs need each other in a circle: {words}",
                    "작업이 서로를 돌아가며 필요로 합니다: {words}"
                );
                return Some(error::general(at, "pipeline.cycle", say));
            }
        }
    }
}

fn absent(job: &str, other: &str, because: &Text) -> Text {
    let (job, other) = (kernel::shown(job), kernel::shown(other));
    let (en, ko) = (&because.en, &because.ko);
    text!(
        "`{job}` needs `{other}`, which is not in this pipeline: {en}",
        "`{job}`에 필요한 `{other}`이(가) 이 파이프라인에 없습니다: {ko}"
    )
}

/// The needs that count: a rule's own replace the job's.
fn wanted(chosen: &Chosen) -> Option<&Needs> {
    let needs = chosen.decision.needs.as_ref().or(chosen.job.needs.as_ref());
    // One that only shows another pipeline has its place in the stages.
    needs.filter(|n| n.mirror.is_none() || !n.jobs.is_empty())
}

fn no_value(instance: &Instance<'_>, need: &Need, name: &str) -> Error {
    let (job, name) = (kernel::shown(&instance.from.name), kernel::shown(name));
    let say = text!(
        "`{job}` has no `{name}` to put into `needs`",
        "`{job}`에는 `needs`에 넣을 `{name}`이(가) 없습니다"
    );
    error::general(&need.at, "pipeline.needs", say).hint(Text::fixed(
        "name a key of its own `parallel:matrix`, as in `$[[ matrix.NAME ]]`",
        "`$[[ matrix.NAME ]]`처럼 자신의 `parallel:matrix`에 있는 키를 적으세요",
    ))
}

//! From decided jobs to a graph: instances of `parallel`, and who waits for whom.

use super::FILE;
use super::error;
use super::job::{Job, Need, When};
use super::parts::{Parallel, Row};
use super::rules::Decision;
use super::step::Pipeline;
use super::yaml::At;
use kernel::{Error, Result, Text, text};
use run::Plan;
use std::collections::{BTreeMap, BTreeSet};

/// What the engine takes.
const MAX_JOBS: usize = 5_000;
const MAX_NEEDS: usize = 50_000;

/// A job with what was decided about it.
pub struct Chosen {
    pub job: Job,
    pub stage: String,
    /// Global variables that it does not inherit.
    pub without: Vec<String>,
    pub decision: Decision,
}

/// One job of the plan.
pub struct Instance<'a> {
    pub name: String,
    pub from: &'a Chosen,
    pub stage: usize,
    pub row: Row,
    /// Index and total of `parallel`.
    pub node: Option<(usize, usize)>,
}

/// # Errors
/// `pipeline.stage`, `pipeline.needs`, `pipeline.dependencies`, `pipeline.cycle`, and
/// `pipeline.too_many_jobs` for more than the engine takes.
pub fn plan(chosen: &[Chosen], stages: &[String], pipeline: &Pipeline<'_>) -> Result<Plan> {
    for c in chosen {
        stage_of(c, stages)?;
    }
    let instances = instances(chosen, stages)?;
    let graph = Graph::new(chosen, &instances, stages);
    let needs = instances.iter().map(|i| graph.needs(i)).collect::<Result<Vec<_>>>()?;
    let total: usize = needs.iter().map(Vec::len).sum();
    if total > MAX_NEEDS {
        return Err(too_many(total, MAX_NEEDS, ("needs", "의존 관계")));
    }
    graph.check_circle(&needs)?;
    let steps = instances.iter().zip(needs).map(|(instance, needs)| pipeline.step(instance, needs));
    Ok(Plan { steps: steps.collect::<Result<_>>()?, ..Plan::default() })
}

fn stage_of(chosen: &Chosen, stages: &[String]) -> Result<usize> {
    if let Some(found) = stages.iter().position(|s| *s == chosen.stage) {
        return Ok(found);
    }
    let at = chosen.job.stage.as_ref().map_or(&chosen.job.at, |(_, at)| at);
    let (stage, job) = (error::shown(&chosen.stage), error::shown(&chosen.job.name));
    let known: Vec<&str> = stages.iter().map(String::as_str).collect();
    let say = text!(
        "the job `{job}` is in the stage `{stage}`, which `stages` does not have",
        "`{job}` 작업의 `{stage}` 스테이지가 `stages`에 없습니다"
    );
    Err(error::general(at, "pipeline.stage", say).hint(error::nearest(&chosen.stage, &known)))
}

fn too_many(found: usize, limit: usize, what: (&str, &str)) -> Error {
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
    let mut out = Vec::new();
    for from in chosen.iter().filter(|c| c.decision.when != When::Never) {
        let stage = stage_of(from, stages)?;
        let job = &from.job.name;
        let one = |name: String, row: Row, node| Instance { name, from, stage, row, node };
        match &from.job.parallel {
            None => out.push(one(job.clone(), Vec::new(), None)),
            Some(Parallel::Times(n)) => out.extend(
                (1..=*n as usize)
                    .map(|i| one(format!("{job} {i}/{n}"), Vec::new(), Some((i, *n as usize)))),
            ),
            Some(Parallel::Matrix(rows)) => {
                out.extend(rows.iter().enumerate().map(|(i, row)| {
                    let values: Vec<&str> = row.iter().map(|(_, v)| v.as_str()).collect();
                    let name = format!("{job}: [{}]", error::shown(&values.join(", ")));
                    one(name, row.clone(), Some((i + 1, rows.len())))
                }));
            }
        }
        if out.len() > MAX_JOBS {
            return Err(too_many(out.len(), MAX_JOBS, ("jobs", "작업")));
        }
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
            by_job.entry(&instance.from.job.name).or_default().push(i);
            by_stage.get_mut(instance.stage).into_iter().for_each(|s| s.push(i));
            let waits = wanted(instance.from).is_none()
                && matches!(instance.from.decision.when, When::OnSuccess | When::Delayed);
            if let Some(barrier) = barriers.get_mut(instance.stage) {
                *barrier |= waits;
            }
        }
        let all = chosen.iter().map(|c| (c.job.name.as_str(), c)).collect();
        let by_name = instances.iter().enumerate().map(|(i, x)| (x.name.as_str(), i)).collect();
        Graph { all, instances, by_job, by_name, by_stage, barriers }
    }

    fn needs(&self, instance: &Instance<'_>) -> Result<Vec<run::Need>> {
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
                for need in needs {
                    let outputs = need.artifacts && takes(&need.job);
                    for i in self.find(instance, need)? {
                        *out.entry(i).or_default() |= outputs;
                    }
                }
            }
        }
        let named = out.into_iter().filter_map(|(i, outputs)| {
            let step = self.instances.get(i)?.name.clone();
            Some(run::Need { step, outputs })
        });
        Ok(named.collect())
    }

    /// All jobs of earlier stages, less those that others wait for already and that leave nothing.
    fn earlier(&self, stage: usize, takes: &dyn Fn(&str) -> bool, out: &mut BTreeMap<usize, bool>) {
        let mut covered = false;
        for t in (0..stage).rev() {
            for &i in self.by_stage.get(t).into_iter().flatten() {
                let Some(job) = self.instances.get(i).map(|x| &x.from.job) else { continue };
                let leaves = job.artifacts.is_some() || !job.dotenv.is_empty();
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
            let say = absent(&instance.from.job.name, &need.job, &target.decision.because);
            return Err(error::general(&need.at, "pipeline.needs", say).hint(Text::fixed(
                "give both jobs the same rules, or write `optional: true` at the need",
                "두 작업에 같은 규칙을 주거나 `optional: true`를 적으세요",
            )));
        };
        self.not_later(instance, need, found)?;
        if need.matrix.is_empty() {
            return Ok(found.clone());
        }
        let fits = |i: &&usize| {
            let row = self.instances.get(**i).map(|x| &x.row);
            row.is_some_and(|row| {
                need.matrix.iter().any(|want| want.iter().all(|w| row.contains(w)))
            })
        };
        Ok(found.iter().filter(fits).copied().collect())
    }

    /// A job cannot wait for one of a later stage.
    fn not_later(&self, instance: &Instance<'_>, need: &Need, found: &[usize]) -> Result<()> {
        let stage = |i: &usize| self.instances.get(*i).map_or(0, |x| x.stage);
        if found.iter().any(|i| stage(i) > instance.stage) {
            let (job, other) = (error::shown(&instance.from.job.name), error::shown(&need.job));
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
        let other = error::shown(&need.job);
        let known: Vec<&str> = self.all.keys().copied().take(1000).collect();
        let say =
            text!("there is no job `{other}` to need", "필요하다고 적힌 `{other}` 작업이 없습니다");
        error::general(&need.at, "pipeline.needs", say).hint(error::nearest(&need.job, &known))
    }

    fn check_dependencies(&self, from: &Chosen) -> Result<()> {
        for (name, at) in from.job.dependencies.iter().flatten() {
            if !self.all.contains_key(name.as_str()) {
                let shown = error::shown(name);
                let known: Vec<&str> = self.all.keys().copied().take(1000).collect();
                let say = text!("there is no job `{shown}`", "`{shown}` 작업이 없습니다");
                return Err(error::general(at, "pipeline.dependencies", say)
                    .hint(error::nearest(name, &known)));
            }
        }
        Ok(())
    }

    /// Jobs that wait for each other in a circle, found by taking away what waits for nothing.
    fn check_circle(&self, needs: &[Vec<run::Need>]) -> Result<()> {
        let mut open: Vec<usize> = needs.iter().map(Vec::len).collect();
        let mut users: Vec<Vec<usize>> = vec![Vec::new(); needs.len()];
        for (i, needs) in needs.iter().enumerate() {
            for n in needs.iter().filter_map(|n| self.by_name.get(n.step.as_str())) {
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
        match self.ring(&left, needs) {
            Some(ring) => Err(ring),
            None => Ok(()),
        }
    }

    /// Walks needs inside of what is left until a job comes again.
    fn ring(&self, left: &BTreeSet<usize>, needs: &[Vec<run::Need>]) -> Option<Error> {
        let mut path = vec![*left.first()?];
        loop {
            let last = *path.last()?;
            let next = needs.get(last)?.iter().filter_map(|n| self.by_name.get(n.step.as_str()));
            let next = *next.filter(|n| left.contains(n)).min()?;
            let begin = path.iter().position(|p| *p == next);
            path.push(next);
            if let Some(begin) = begin {
                let ring = path.get(begin..)?;
                let name = |i: &usize| self.instances.get(*i).map(|x| x.name.as_str());
                let words: Vec<&str> = ring.iter().filter_map(name).collect();
                let words = error::shown(&words.join(" → "));
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
    let (job, other) = (error::shown(job), error::shown(other));
    let (en, ko) = (&because.en, &because.ko);
    text!(
        "`{job}` needs `{other}`, which is not in this pipeline: {en}",
        "`{job}`에 필요한 `{other}`이(가) 이 파이프라인에 없습니다: {ko}"
    )
}

/// The needs that count: a rule's own replace the job's.
fn wanted(chosen: &Chosen) -> Option<&Vec<Need>> {
    chosen.decision.needs.as_ref().or(chosen.job.needs.as_ref())
}

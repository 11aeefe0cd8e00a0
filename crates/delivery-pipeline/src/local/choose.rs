//! Which steps of a plan a developer wants to see run. Pure.

use crate::gitlab::{Explained, nearest};
use kernel::{Error, Result, Text, shown, text};
use run::{Need, Plan, Step, When};
use std::collections::{BTreeMap, BTreeSet};

/// What was asked for on the command line.
#[derive(Clone, Debug, Default)]
pub struct Wish {
    /// Jobs, or single instances of `parallel` ones; none: all that a push would run.
    pub jobs: Vec<String>,
    /// Only jobs of these stages, and what they need.
    pub stages: Vec<String>,
    /// Nothing but what is named.
    pub no_needs: bool,
    /// Manual jobs, too.
    pub all: bool,
    /// These manual jobs, too.
    pub play: Vec<String>,
}

/// What was chosen.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Choice {
    pub plan: Plan,
    /// Manual steps that are left to be started.
    pub manual: Vec<String>,
    /// Steps that wait for one of those.
    pub behind: Vec<String>,
    /// Steps that would be delayed and are not.
    pub hurried: Vec<String>,
}

/// The part of a plan that the wish is about, in the plan's own order.
///
/// # Errors
/// `local.unknown-job` with the nearest name; `local.left-out` for a job that the pipeline does not have as
/// things are; `local.unknown-stage`.
pub fn choose(plan: &Plan, jobs: &[Explained], wish: &Wish) -> Result<Choice> {
    let names = Names::new(plan, jobs);
    let named = names.all(&wish.jobs)?;
    let played = names.all(&wish.play)?;
    let wanted = wanted(plan, wish, named.clone())?;
    let mut choice = Choice::default();
    let go = |step: &Step| named.contains(&step.name) || played.contains(&step.name) || wish.all;
    let kept: BTreeSet<String> = match wanted {
        Some(wanted) if wish.no_needs => wanted,
        Some(wanted) => with_needs(plan, wanted),
        None => {
            (choice.manual, choice.behind) = held_up(plan, go);
            let left: BTreeSet<&String> = choice.manual.iter().chain(&choice.behind).collect();
            let all = plan.steps.iter().map(|s| s.name.clone());
            all.filter(|name| !left.contains(name)).collect()
        }
    };
    let steps = plan.steps.iter().filter(|s| kept.contains(&s.name));
    let around = Around::new(plan);
    choice.plan.fail_fast = plan.fail_fast;
    choice.plan.steps = steps
        .map(|step| {
            if matches!(step.when, When::Delayed(_)) {
                choice.hurried.push(step.name.clone());
            }
            let named = named.contains(&step.name);
            Step { needs: around.needs(step, &kept), when: when(step, named), ..step.clone() }
        })
        .collect();
    Ok(choice)
}

/// Nobody waits for a delay at a terminal, and a job that is named is meant.
fn when(step: &Step, named: bool) -> When {
    match step.when {
        When::Manual | When::Delayed(_) => When::OnSuccess,
        When::OnFailure if named => When::OnSuccess,
        when => when,
    }
}

/// The steps that jobs and stages name; `None`: all.
fn wanted(
    plan: &Plan,
    wish: &Wish,
    mut named: BTreeSet<String>,
) -> Result<Option<BTreeSet<String>>> {
    for stage in &wish.stages {
        let known: BTreeSet<&str> = plan.steps.iter().map(|s| s.stage.as_str()).collect();
        if !known.contains(stage.as_str()) {
            let known: Vec<&str> = known.into_iter().collect();
            let shown = shown(stage);
            let say = text!(
                "no job of this pipeline is in the stage “{shown}”",
                "이 파이프라인에 “{shown}” 스테이지의 작업이 없습니다"
            );
            return Err(Error::invalid("local.unknown-stage", say).hint(nearest(stage, &known)));
        }
        let of = |s: &&Step| s.stage == *stage && (wish.all || s.when != When::Manual);
        named.extend(plan.steps.iter().filter(of).map(|s| s.name.clone()));
    }
    let all = wish.jobs.is_empty() && wish.stages.is_empty();
    Ok((!all).then_some(named))
}

/// The steps, and those that hand something on to them, directly or through others.
fn with_needs(plan: &Plan, mut kept: BTreeSet<String>) -> BTreeSet<String> {
    let steps: BTreeMap<&str, &Step> = plan.steps.iter().map(|s| (s.name.as_str(), s)).collect();
    let mut left: Vec<String> = kept.iter().cloned().collect();
    while let Some(name) = left.pop() {
        let needs = steps.get(name.as_str()).into_iter().flat_map(|s| &s.needs);
        for need in needs.filter(|n| n.outputs) {
            if kept.insert(need.step.clone()) {
                left.push(need.step.clone());
            }
        }
    }
    kept
}

/// Manual steps without a go, and those behind them. One whose failure is allowed holds up nobody who only
/// waits for its turn, as on the server.
fn held_up(plan: &Plan, go: impl Fn(&Step) -> bool) -> (Vec<String>, Vec<String>) {
    let manual = |s: &&Step| s.when == When::Manual && !go(s);
    let manual: Vec<&Step> = plan.steps.iter().filter(manual).collect();
    let optional: BTreeSet<&str> =
        manual.iter().filter(|s| s.allow_failure).map(|s| s.name.as_str()).collect();
    let mut stopped: BTreeSet<&str> = manual.iter().map(|s| s.name.as_str()).collect();
    let mut behind = BTreeSet::new();
    // Plans are in no particular order, so until nothing is added.
    loop {
        let held = |s: &&Step| {
            let waits =
                |n: &Need| stopped.contains(n.step.as_str()) && !optional.contains(n.step.as_str());
            !stopped.contains(s.name.as_str()) && s.needs.iter().any(waits)
        };
        let more: Vec<&str> = plan.steps.iter().filter(held).map(|s| s.name.as_str()).collect();
        if more.is_empty() {
            break;
        }
        stopped.extend(&more);
        behind.extend(more);
    }
    let in_order = |set: &dyn Fn(&str) -> bool| {
        plan.steps.iter().filter(|s| set(&s.name)).map(|s| s.name.clone()).collect()
    };
    let manual: BTreeSet<&str> = manual.iter().map(|s| s.name.as_str()).collect();
    (in_order(&|name| manual.contains(name)), in_order(&|name| behind.contains(name)))
}

/// The graph, to look through steps that are left out: their order stays.
struct Around<'a>(BTreeMap<&'a str, &'a Step>);

impl<'a> Around<'a> {
    fn new(plan: &'a Plan) -> Around<'a> {
        Around(plan.steps.iter().map(|s| (s.name.as_str(), s)).collect())
    }

    /// Needs among the kept; behind one that is left out stands what that one waits for.
    fn needs(&self, step: &'a Step, kept: &BTreeSet<String>) -> Vec<Need> {
        let mut found: BTreeMap<&str, bool> = BTreeMap::new();
        let mut seen: BTreeSet<&str> = BTreeSet::new();
        let mut left: Vec<(&str, bool)> =
            step.needs.iter().map(|n| (n.step.as_str(), n.outputs)).collect();
        while let Some((name, outputs)) = left.pop() {
            if kept.contains(name) {
                *found.entry(name).or_default() |= outputs;
            } else if seen.insert(name) {
                let behind = self.0.get(name).into_iter().flat_map(|s| &s.needs);
                left.extend(behind.map(|n| (n.step.as_str(), false)));
            }
        }
        let need = |(name, outputs): (&str, bool)| Need { step: name.to_owned(), outputs };
        found.into_iter().map(need).collect()
    }
}

/// What jobs and steps are called.
struct Names<'a> {
    steps: Vec<&'a str>,
    jobs: &'a [Explained],
}

impl<'a> Names<'a> {
    fn new(plan: &'a Plan, jobs: &'a [Explained]) -> Names<'a> {
        Names { steps: plan.steps.iter().map(|s| s.name.as_str()).collect(), jobs }
    }

    fn all(&self, names: &[String]) -> Result<BTreeSet<String>> {
        let mut out = BTreeSet::new();
        for name in names {
            out.extend(self.steps_of(name)?);
        }
        Ok(out)
    }

    /// The step of that name, or all instances of the job.
    fn steps_of(&self, name: &str) -> Result<Vec<String>> {
        let is = |step: &&&str| {
            let instance = |rest: &str| {
                rest.strip_prefix(' ').is_some_and(is_count) || rest.starts_with(": [")
            };
            **step == name || step.strip_prefix(name).is_some_and(instance)
        };
        let found: Vec<String> = self.steps.iter().filter(is).map(|s| (*s).to_owned()).collect();
        if !found.is_empty() {
            return Ok(found);
        }
        let shown = shown(name);
        if let Some(job) = self.jobs.iter().find(|j| j.job == name) {
            let (en, ko) = (&job.because.en, &job.because.ko);
            let say = text!(
                "the job “{shown}” is not in this pipeline: {en}",
                "“{shown}” 작업은 이 파이프라인에 없습니다: {ko}"
            );
            let at = &job.at;
            return Err(Error::invalid("local.left-out", say)
                .at(&at.file, at.line, at.column)
                .hint(Text::fixed(
                    "suppose another start with `--branch`, `--tag`, `--source` or `--var`",
                    "`--branch`, `--tag`, `--source`, `--var`로 다른 시작을 가정해 보세요",
                )));
        }
        let known: Vec<&str> =
            self.jobs.iter().map(|j| j.job.as_str()).chain(self.steps.iter().copied()).collect();
        let say = text!("there is no job “{shown}”", "“{shown}” 작업이 없습니다");
        Err(Error::invalid("local.unknown-job", say).hint(nearest(name, &known)))
    }
}

/// `1/4`
fn is_count(words: &str) -> bool {
    let digits = |w: &str| !w.is_empty() && w.bytes().all(|b| b.is_ascii_digit());
    words.split_once('/').is_some_and(|(a, b)| digits(a) && digits(b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::error::Place;

    fn plan(steps: &[(&str, &[&str])]) -> Plan {
        let step = |(name, needs): &(&str, &[&str])| {
            // `!a` waits for a alone, `a` takes what it leaves; a name that begins with `?` is manual.
            let need = |n: &&str| Need {
                step: n.trim_start_matches('!').to_owned(),
                outputs: !n.starts_with('!'),
            };
            let manual = name.starts_with('?');
            let step = serde_json::json!({
                "name": name.trim_start_matches('?'), "stage": "test",
                "needs": needs.iter().map(need).collect::<Vec<_>>(),
                "when": if manual { When::Manual } else { When::OnSuccess },
                "action": { "uses": "pipeline.job" },
            });
            serde_json::from_value(step).unwrap()
        };
        Plan { steps: steps.iter().map(step).collect(), ..Plan::default() }
    }

    fn chosen(plan: &Plan, wish: &Wish) -> Vec<String> {
        let show = |s: &Step| {
            let needs: Vec<String> = s
                .needs
                .iter()
                .map(|n| format!("{}{}", if n.outputs { "" } else { "!" }, n.step))
                .collect();
            format!("{}<{}", s.name, needs.join(","))
        };
        choose(plan, &[], wish).unwrap().plan.steps.iter().map(show).collect()
    }

    fn jobs(names: &[&str]) -> Wish {
        Wish { jobs: names.iter().map(|n| (*n).to_owned()).collect(), ..Wish::default() }
    }

    #[test]
    fn a_job_brings_what_it_takes_from_others_and_no_more() {
        let all = plan(&[("build", &[]), ("lint", &[]), ("test", &["build", "!lint"])]);
        assert_eq!(chosen(&all, &jobs(&["test"])), ["build<", "test<build"]);
        let alone = Wish { no_needs: true, ..jobs(&["test"]) };
        assert_eq!(chosen(&all, &alone), ["test<"]);
        assert_eq!(chosen(&all, &Wish::default()).len(), 3);
    }

    #[test]
    fn the_order_stays_where_the_middle_is_left_out() {
        let all = plan(&[("a", &[]), ("b", &["!a"]), ("c", &["!b"])]);
        assert_eq!(chosen(&all, &jobs(&["a", "c"])), ["a<", "c<!a"]);
    }

    #[test]
    fn manual_jobs_hold_up_those_behind_them_until_somebody_says_go() {
        let all = plan(&[("a", &[]), ("?ship", &["a"]), ("after", &["!ship"])]);
        let choice = choose(&all, &[], &Wish::default()).unwrap();
        assert_eq!((choice.manual, choice.behind), (vec!["ship".into()], vec!["after".into()]));
        let play = Wish { play: vec!["ship".into()], ..Wish::default() };
        assert_eq!(chosen(&all, &play), ["a<", "ship<a", "after<!ship"]);
        assert_eq!(chosen(&all, &jobs(&["ship"])), ["a<", "ship<a"]);
    }

    #[test]
    fn instances_of_a_job_go_by_its_name() {
        let all =
            plan(&[("unit 1/2", &[]), ("unit 2/2", &[]), ("unit test", &[]), ("os: [a]", &[])]);
        assert_eq!(chosen(&all, &jobs(&["unit"])), ["unit 1/2<", "unit 2/2<"]);
        assert_eq!(chosen(&all, &jobs(&["unit 2/2", "os"])), ["unit 2/2<", "os: [a]<"]);
    }

    #[test]
    fn a_name_that_is_none_gets_the_nearest_and_one_left_out_its_reason() {
        let all = plan(&[("build", &[])]);
        let error = choose(&all, &[], &jobs(&["biuld"])).unwrap_err();
        assert!(error.get_hint().unwrap().en.contains("build"), "{error}");
        let explained = Explained {
            job: "release".into(),
            stage: "deploy".into(),
            included: false,
            when: "never".into(),
            because: Text::fixed("no rule holds", "맞는 규칙이 없음"),
            at: Place { file: ".gitlab-ci.yml".into(), line: 3, column: 1 },
        };
        let error = choose(&all, &[explained], &jobs(&["release"])).unwrap_err();
        assert_eq!((error.code(), error.place().unwrap().line), ("local.left-out", 3));
    }

    proptest::proptest! {
        /// Whatever is chosen, every need leads to a step that is there, and the engine takes the plan.
        #[test]
        fn what_is_chosen_hangs_together(
            edges in proptest::collection::vec((0_usize..8, 0_usize..8, proptest::bool::ANY), 0..20),
            manual in proptest::collection::vec(proptest::bool::ANY, 8),
            named in proptest::collection::vec(0_usize..8, 0..3),
            no_needs: bool,
        ) {
            let mut all = plan(&[("s0", &[]), ("s1", &[]), ("s2", &[]), ("s3", &[]), ("s4", &[]), ("s5", &[]), ("s6", &[]), ("s7", &[])]);
            for (i, step) in all.steps.iter_mut().enumerate() {
                step.when = if manual[i] { When::Manual } else { When::OnSuccess };
                let mut needs: Vec<Need> = edges.iter().filter(|(from, to, _)| *from == i && to < from)
                    .map(|(_, to, outputs)| Need { step: format!("s{to}"), outputs: *outputs }).collect();
                needs.sort_by(|a, b| a.step.cmp(&b.step));
                needs.dedup_by(|a, b| a.step == b.step);
                step.needs = needs;
            }
            let wish = Wish { jobs: named.iter().map(|i| format!("s{i}")).collect(), no_needs, ..Wish::default() };
            let choice = choose(&all, &[], &wish).unwrap();
            let names: BTreeSet<&str> = choice.plan.steps.iter().map(|s| s.name.as_str()).collect();
            for step in &choice.plan.steps {
                proptest::prop_assert!(step.needs.iter().all(|n| names.contains(n.step.as_str())));
            }
            proptest::prop_assert!(wish.jobs.iter().all(|j| names.contains(j.as_str())));
            if !choice.plan.steps.is_empty() {
                choice.plan.check().unwrap();
            }
        }
    }
}

//! The arranged graph against the plainest model of stages: whoever has no `needs` waits for every job of
//! every earlier stage. Leaving out needs that others cover must change the fate of no job.

use super::tests::plan;
use proptest::prelude::*;
use run::When;
use std::collections::BTreeMap;

#[derive(Clone, Debug)]
struct Job {
    stage: usize,
    /// Indexes of earlier jobs; `None`: all of earlier stages.
    needs: Option<Vec<usize>>,
    when: &'static str,
    /// What its script would come to.
    fails: bool,
}

fn jobs() -> impl Strategy<Value = Vec<Job>> {
    let when = prop::sample::select(vec!["on_success", "on_success", "on_failure", "always"]);
    let needs =
        prop::option::weighted(0.3, prop::collection::vec(any::<prop::sample::Index>(), 0..3));
    let job = (0..4_usize, needs, when, any::<bool>());
    prop::collection::vec(job, 1..14).prop_map(|mut raw| {
        raw.sort_by_key(|(stage, ..)| *stage);
        let one = |(i, (stage, needs, when, fails)): (
            usize,
            (usize, Option<Vec<prop::sample::Index>>, _, _),
        )| {
            let pick = |n: &prop::sample::Index| (i > 0).then(|| n.index(i));
            let needs = needs.map(|n| n.iter().filter_map(pick).collect());
            Job { stage, needs, when, fails }
        };
        raw.into_iter().enumerate().map(one).collect()
    })
}

fn file(jobs: &[Job]) -> String {
    let mut out = String::from("stages: [s0, s1, s2, s3]\n");
    for (i, job) in jobs.iter().enumerate() {
        let needs = job.needs.as_ref().map(|needs| {
            let names: Vec<String> = needs.iter().map(|n| format!("j{n}")).collect();
            format!(", needs: [{}]", names.join(", "))
        });
        let (stage, when, needs) = (job.stage, job.when, needs.unwrap_or_default());
        out += &format!("j{i}: {{stage: s{stage}, script: x, when: {when}{needs}}}\n");
    }
    out
}

/// How a job ends, and whether anything failed at or above it.
type Fate = (&'static str, bool);

/// As the engine decides, one job after the other: every need comes before its user.
fn fates(whens: &[When], needs: &[Vec<usize>], fails: &[bool]) -> Vec<Fate> {
    let mut out: Vec<Fate> = Vec::new();
    for (i, needs) in needs.iter().enumerate() {
        let seen: Vec<Fate> = needs.iter().map(|n| out[*n]).collect();
        let above = seen.iter().any(|(_, failed)| *failed);
        let good = seen
            .iter()
            .all(|(state, failed)| *state == "passed" || (*state == "skipped" && !failed));
        let runs = match whens[i] {
            When::Always => true,
            When::OnFailure => above,
            _ => good,
        };
        let state = if !runs {
            "skipped"
        } else if fails[i] {
            "failed"
        } else {
            "passed"
        };
        out.push((state, above || state == "failed"));
    }
    out
}

proptest! {
    #[test]
    fn needs_that_are_left_out_change_no_fate(jobs in jobs()) {
        let plan = plan(&file(&jobs));
        plan.check().unwrap();
        let index: BTreeMap<&str, usize> =
            plan.steps.iter().enumerate().map(|(i, s)| (s.name.as_str(), i)).collect();
        let arranged: Vec<Vec<usize>> = plan.steps.iter()
            .map(|s| s.needs.iter().map(|n| index[n.step.as_str()]).collect()).collect();
        let whole: Vec<Vec<usize>> = jobs.iter().map(|job| job.needs.clone().unwrap_or_else(|| {
            (0..jobs.len()).filter(|i| jobs[*i].stage < job.stage).collect()
        })).collect();
        let whens: Vec<When> = plan.steps.iter().map(|s| s.when).collect();
        let fails: Vec<bool> = jobs.iter().map(|j| j.fails).collect();
        prop_assert_eq!(fates(&whens, &arranged, &fails), fates(&whens, &whole, &fails));
    }
}

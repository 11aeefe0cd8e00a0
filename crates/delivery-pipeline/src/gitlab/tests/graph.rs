//! Who waits for whom.

use super::*;

#[test]
fn stages_make_jobs_wait_for_all_earlier_ones() {
    let plan = plan(
        "stages: [build, test, deploy]
compile: {stage: build, script: make, artifacts: {paths: [out/]}}
lint: {stage: build, script: make lint}
unit: {stage: test, script: make unit}
slow: {stage: test, script: make slow}
ship: {stage: deploy, script: make ship}
first: {stage: .pre, script: echo first}
last: {stage: .post, script: echo last}
",
    );
    assert_eq!(needs(&plan, "first"), [""; 0]);
    assert_eq!(needs(&plan, "compile"), ["first"]);
    assert_eq!(needs(&plan, "unit"), ["compile+", "lint"]);
    // The jobs of `test` wait for those of `build`; only what was left there is asked for again.
    assert_eq!(needs(&plan, "ship"), ["compile+", "unit", "slow"]);
    assert_eq!(needs(&plan, "last"), ["compile+", "ship"]);
}

#[test]
fn a_job_with_needs_of_its_own_is_no_barrier() {
    let plan = plan(
        "a: {stage: build, script: x}
b: {stage: test, script: x, needs: []}
c: {stage: deploy, script: x}
d: {stage: deploy, script: x, needs: [a, {job: b, artifacts: false}]}
",
    );
    assert_eq!(needs(&plan, "b"), [""; 0]);
    assert_eq!(needs(&plan, "c"), ["a", "b"]);
    assert_eq!(needs(&plan, "d"), ["a+", "b"]);
}

#[test]
fn a_job_that_runs_on_failure_is_no_barrier() {
    let plan = plan(
        "a: {stage: build, script: x}
b: {stage: test, script: x, when: on_failure}
c: {stage: deploy, script: x}
",
    );
    assert_eq!(needs(&plan, "c"), ["a", "b"]);
    assert_eq!(step(&plan, "b").when, When::OnFailure);
}

#[test]
fn dependencies_choose_whose_artifacts_come() {
    let plan = plan(
        "a: {stage: build, script: x, artifacts: {paths: [a]}}
b: {stage: build, script: x, artifacts: {reports: {dotenv: b.env}}}
c: {stage: test, script: x, dependencies: [b]}
d: {stage: test, script: x, dependencies: []}
",
    );
    assert_eq!(needs(&plan, "c"), ["a", "b+"]);
    assert_eq!(needs(&plan, "d"), ["a", "b"]);
}

#[test]
fn manual_jobs_hold_up_a_pipeline_only_when_asked_to() {
    let plan = plan(
        "a: {script: x, when: manual}
b: {script: x, when: manual, allow_failure: false}
c: {script: x, rules: [{when: manual}]}
d: {script: x, allow_failure: {exit_codes: [3, 4]}}
e: {script: x, allow_failure: yes}
",
    );
    let allowed = |n| step(&plan, n).allow_failure;
    assert_eq!(["a", "b", "c", "d", "e"].map(allowed), [true, false, false, false, true]);
    assert_eq!(step(&plan, "d").allow_exit_codes, [3, 4]);
}

#[test]
fn parallel_and_matrix() {
    let plan = plan(
        "a: {stage: build, script: x, parallel: 3}
m:
  stage: build
  script: x
  parallel:
    matrix:
      - {OS: [linux, mac], CC: gcc}
      - {OS: win}
b: {stage: test, script: x, needs: [{job: m, parallel: {matrix: [{OS: mac}]}}]}
c: {stage: test, script: x, needs: [a]}
d: {stage: test, script: x, needs: ['a 2/3', 'm: [win]']}
",
    );
    assert_eq!(needs(&plan, "d"), ["a 2/3+", "m: [win]+"]);
    let want =
        ["a 1/3", "a 2/3", "a 3/3", "m: [linux, gcc]", "m: [mac, gcc]", "m: [win]", "b", "c", "d"];
    assert_eq!(names(&plan), want);
    assert_eq!(needs(&plan, "b"), ["m: [mac, gcc]+"]);
    assert_eq!(needs(&plan, "c"), ["a 1/3+", "a 2/3+", "a 3/3+"]);
    let of = |n: &str, v: &str| {
        let work = work(step(&plan, n));
        work.variables.iter().rev().find(|x| x.name == v).map(|x| x.value.clone())
    };
    assert_eq!(of("a 2/3", "CI_NODE_INDEX").unwrap(), "2");
    assert_eq!(of("a 2/3", "CI_NODE_TOTAL").unwrap(), "3");
    assert_eq!(of("m: [mac, gcc]", "OS").unwrap(), "mac");
}

#[test]
fn needs_of_jobs_that_are_not_in() {
    let file = "a: {script: x, stage: build, rules: [{if: $NEVER}]}
b: {script: x, needs: [a]}
";
    let (code, place, words) = wrong(file);
    assert_eq!((code, place.as_str()), ("pipeline.needs", "2:24"));
    assert!(words.contains("not in this pipeline: no rule holds"), "{words}");
    assert!(words.contains("optional: true"), "{words}");
    let optional = plan(&file.replace("[a]", "[{job: a, optional: true}]"));
    assert_eq!(needs(&optional, "b"), [""; 0]);
}

#[test]
fn needs_must_not_go_in_circles_or_forward() {
    let (code, place, words) = wrong(
        "a: {script: x, needs: [c]}
b: {script: x, needs: [a]}
c: {script: x, needs: [b]}
",
    );
    assert_eq!((code, place.as_str()), ("pipeline.cycle", "1:1"));
    assert!(words.contains("a → c → b → a"), "{words}");
    let (code, place, words) = wrong(
        "a: {stage: build, script: x, needs: [b]}
b: {stage: test, script: x}
",
    );
    assert_eq!((code, place.as_str()), ("pipeline.needs", "1:38"));
    assert!(words.contains("later stage"), "{words}");
}

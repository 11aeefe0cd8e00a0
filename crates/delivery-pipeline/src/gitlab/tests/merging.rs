//! From several files and templates to whole jobs.

use super::*;

#[test]
fn scripts_defaults_and_inherit() {
    let plan = plan(
        "default:
  before_script: [echo before]
  retry: 1
  interruptible: true
  timeout: 10 minutes
a:
  script: [echo a, [echo nested]]
  after_script: echo after
b: {script: echo b, before_script: [], inherit: {default: [retry]}}
c: {script: echo c, inherit: {default: false}, timeout: 1h 30m}
",
    );
    let a = work(step(&plan, "a"));
    assert_eq!(a.script, ["echo before", "echo a", "echo nested"]);
    assert_eq!(a.after_script, ["echo after"]);
    assert_eq!((a.timeout_ms, a.interruptible), (Some(600_000), true));
    assert_eq!(step(&plan, "a").retry.max, 1);
    let b = work(step(&plan, "b"));
    assert_eq!((b.script, b.interruptible), (vec!["echo b".to_owned()], false));
    assert_eq!(step(&plan, "b").retry.max, 1);
    let c = work(step(&plan, "c"));
    assert_eq!((c.script, c.timeout_ms), (vec!["echo c".to_owned()], Some(5_400_000)));
    assert_eq!(step(&plan, "c").retry.max, 0);
}

#[test]
fn extends_merges_maps_and_replaces_lists() {
    let plan = plan(
        ".base:
  script: [echo base]
  variables: {A: base, B: base}
  artifacts: {paths: [base], when: always}
.more:
  extends: .base
  variables: {B: more}
job:
  extends: [.base, .more]
  script: [echo job]
  variables: {C: job}
  artifacts: {paths: [job]}
",
    );
    let job = work(step(&plan, "job"));
    assert_eq!(job.script, ["echo job"]);
    let value = |n: &str| job.variables.iter().rev().find(|v| v.name == n).unwrap().value.clone();
    assert_eq!([value("A"), value("B"), value("C")], ["base", "more", "job"]);
    let artifacts = job.artifacts.unwrap();
    assert_eq!((artifacts.paths, artifacts.when), (vec!["job".to_owned()], Keep::Always));
}

#[test]
fn anchors_merge_keys_and_references() {
    let plan = plan(
        ".setup: &setup
  before_script: &lines [echo one, echo two]
  variables: {A: setup}
.rules:
  rules:
    - if: $CI_COMMIT_BRANCH
a:
  <<: *setup
  script: *lines
b:
  script:
    - !reference [.setup, before_script]
    - echo three
  variables: !reference [.setup, variables]
  rules: [!reference [.rules, rules]]
",
    );
    assert_eq!(work(step(&plan, "a")).script, ["echo one", "echo two", "echo one", "echo two"]);
    let b = work(step(&plan, "b"));
    assert_eq!(b.script, ["echo one", "echo two", "echo three"]);
    assert!(b.variables.iter().any(|v| v.name == "A" && v.value == "setup"));
}

#[test]
fn bombs_are_refused_at_once() {
    let mut aliases = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
    for i in 1..12 {
        let one = format!("*a{}", i - 1);
        aliases += &format!("a{i}: &a{i} [{}]\n", vec![one; 9].join(", "));
    }
    let (code, place, _) = wrong(&aliases);
    assert_eq!((code, place.split(':').next().unwrap()), ("pipeline.too_many_nodes", "5"));
    assert_eq!(wrong(&format!("{}x", "- ".repeat(101))).0, "pipeline.too_deep");
    assert_eq!(wrong(&"[".repeat(100_000)).0, "pipeline.yaml");
    assert_eq!(wrong(&"{a: ".repeat(100_000)).0, "pipeline.yaml");
    let mut references = String::from(".a0: {s: [x, x, x, x, x, x, x, x, x, x]}\n");
    for i in 1..9 {
        let one = format!("!reference [.a{}, s]", i - 1);
        references += &format!(".a{i}: {{s: [{}]}}\n", vec![one; 30].join(", "));
    }
    references += "a: {script: !reference [.a8, s]}\n";
    assert_eq!(wrong(&references).0, "pipeline.too_many_nodes");
    let own = wrong(".a: {s: [!reference [.a, s]]}\na: {script: [!reference [.a, s]]}\n");
    assert_eq!(own.0, "pipeline.reference");
    assert_eq!(wrong(&format!("# {}", "x".repeat(1 << 20))).0, "pipeline.too_large");
    assert_eq!(wrong("a: {script: \"\u{0}\"}").0, "pipeline.yaml");
}

#[test]
fn ten_thousand_jobs_are_too_many() {
    let file: String = (0..10_001).map(|i| format!("j{i}: {{script: x}}\n")).collect();
    let (code, _, words) = wrong(&file);
    assert_eq!(code, "pipeline.too_many_jobs");
    assert!(words.contains("the limit is 5000"), "{words}");
    let wide: String = (0..40).map(|i| format!("j{i}: {{script: x, parallel: 200}}\n")).collect();
    assert_eq!(wrong(&wide).0, "pipeline.too_many_jobs");
}

//! Small files and the plans they make.

use super::*;
use crate::work::{Keep, Work};
use kernel::Text;
use kernel::error::Place;
use proptest::prelude::*;
use run::{Plan, Step, When};

fn context() -> Context {
    Context {
        project: Name::parse("shop").unwrap(),
        repository: Name::parse("web").unwrap(),
        commit: Commit {
            id: "0123456789abcdef0123456789abcdef01234567".into(),
            parents: Vec::new(),
            author: "Kim".into(),
            email: "kim@example.com".into(),
            authored: Time(0),
            committed: Time(1_764_000_000_000),
            subject: "Add $CART".into(),
            message: "Add $CART\n\nWhy: carts sell.\nMore: $HOME".into(),
        },
        branch: Some("feature/Cart_1".into()),
        tag: None,
        default_branch: "main".into(),
        before: None,
        origin: Origin::Push,
        number: 7,
        project_number: 3,
        url: "http://127.0.0.1:8080".into(),
        now: Time(1_764_000_000_000),
        actor: "kim".into(),
        tree: Vec::new(),
        changed: None,
        given: Vec::new(),
        protected: false,
        more: More::default(),
    }
}

fn on_main() -> Context {
    Context { branch: Some("main".into()), ..context() }
}

fn try_with(text: &str, context: &Context) -> kernel::Result<Compiled> {
    let files = Files::from([(FILE.to_owned(), Some(text.as_bytes().to_vec()))]);
    match gather(FILE, &files, context)? {
        Gathered::Whole(root) => compile(&root, context),
        Gathered::Missing(paths) => panic!("{paths:?} asked for"),
    }
}

fn compiled(text: &str) -> Compiled {
    try_with(text, &context()).unwrap_or_else(|e| panic!("{e}\n{text}"))
}

pub(super) fn plan(text: &str) -> Plan {
    compiled(text).plan
}

fn step<'a>(plan: &'a Plan, name: &str) -> &'a Step {
    plan.steps.iter().find(|s| s.name == name).unwrap_or_else(|| panic!("no {name}"))
}

fn work(step: &Step) -> Work {
    serde_json::from_value(step.action.with.clone()).unwrap()
}

fn needs(plan: &Plan, name: &str) -> Vec<String> {
    let mark = |n: &run::Need| format!("{}{}", n.step, if n.outputs { "+" } else { "" });
    step(plan, name).needs.iter().map(mark).collect()
}

fn names(plan: &Plan) -> Vec<&str> {
    plan.steps.iter().map(|s| s.name.as_str()).collect()
}

/// The code, the place and the words of what is wrong.
fn wrong(text: &str) -> (&'static str, String, String) {
    let error = match try_with(text, &context()) {
        Ok(_) => panic!("accepted:\n{text}"),
        Err(error) => error,
    };
    let place = error.place().map(Place::to_string).unwrap_or_default();
    let hint = error.get_hint().map(|h| h.en.to_string()).unwrap_or_default();
    let place = place.strip_prefix(".gitlab-ci.yml:").unwrap_or(&place).to_owned();
    assert!(!error.say().ko.is_empty());
    (error.code(), place, format!("{} | {hint}", error.say().en))
}

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
fn rules_take_the_first_that_holds_and_say_which() {
    let file = "a:
  script: x
  rules:
    - if: $CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH
      when: manual
      allow_failure: true
      variables: {WHERE: main}
    - if: $CI_COMMIT_TAG
      when: never
    - when: delayed
      start_in: 5 minutes
";
    let main = try_with(file, &on_main()).unwrap();
    let a = step(&main.plan, "a");
    assert_eq!((a.when, a.allow_failure), (When::Manual, true));
    assert!(work(a).variables.iter().any(|v| v.name == "WHERE" && v.value == "main"));
    assert!(main.jobs[0].because.en.contains("rule 1 holds"), "{:?}", main.jobs);
    assert_eq!(main.jobs[0].at.line, 4);
    let feature = compiled(file);
    assert_eq!(step(&feature.plan, "a").when, When::Delayed(300_000));
    let tag = Context { branch: None, tag: Some("v1".into()), ..context() };
    let tag = try_with(file, &tag).unwrap();
    assert!(tag.plan.steps.is_empty());
    assert!(tag.nothing.unwrap().en.contains("no job is in"));
    assert!(!tag.jobs[0].included);
    assert_eq!(tag.jobs[0].at.line, 8);
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
fn conditions() {
    for (condition, want) in [
        ("$A", true),
        ("$EMPTY", false),
        ("$NONE", false),
        ("$NONE == null", true),
        ("$EMPTY == null", false),
        ("$EMPTY == \"\"", true),
        ("$A == 'x-y'", true),
        ("$A != \"x\"", true),
        ("$A =~ /^x/", true),
        ("$A =~ /^X/", false),
        ("$A =~ /^X/i", true),
        ("$A !~ /z$/", true),
        ("$A =~ $PATTERN", true),
        ("$PATH_LIKE =~ /^a\\/b/", true),
        ("$NONE =~ /x/", false),
        ("$NONE || $A && $B", true),
        ("($NONE || $A) && $NONE", false),
        ("$NONE && $A || $B", true),
        ("${A} == \"x-y\"", true),
        ("$CI_PIPELINE_SOURCE == \"push\"", true),
        ("$CI_COMMIT_MESSAGE =~ /CART/", true),
        ("\"x\" == \"x\"", true),
    ] {
        let file = format!(
            "variables: {{A: x-y, B: b, EMPTY: '', PATTERN: '/^x/', PATH_LIKE: a/b}}
a:
  script: x
  rules:
    - if: '{}'
",
            condition.replace('\'', "''")
        );
        assert_eq!(!plan(&file).steps.is_empty(), want, "{condition}");
    }
}

#[test]
fn broken_conditions_say_where() {
    for (condition, want) in [
        ("$A ==", "character 6"),
        ("$A = 1", "character 4"),
        ("($A", "`)` is missing"),
        ("$A $B", "left over"),
        ("$A =~ \"x\"", "/pattern/"),
        ("\"open", "not closed"),
        ("$", "a name must follow"),
    ] {
        let file = format!("a:\n  script: x\n  rules:\n    - if: '{condition}'\n");
        let (code, place, words) = wrong(&file);
        assert_eq!((code, place.as_str()), ("pipeline.expression", "4:11"), "{condition}");
        assert!(words.contains(want), "{condition}: {words}");
    }
    let (code, _, words) = wrong("a: {script: x, rules: [{if: '$A =~ /(/'}]}");
    assert_eq!(code, "pipeline.regex", "{words}");
}

#[test]
fn changes_and_exists_look_at_paths() {
    let file = "a: {script: x, rules: [{changes: ['src/**/*.rs']}]}
b: {script: x, rules: [{changes: {paths: [docs/*]}}]}
c: {script: x, rules: [{exists: [Cargo.toml]}]}
d: {script: x, rules: [{exists: ['$FILE']}], variables: {FILE: '*.md'}}
";
    let entry =
        |path: &str| TreeEntry { path: path.into(), mode: 0o100_644, object: "0".into(), size: 1 };
    let context = Context {
        changed: Some(["src/a/b.rs".to_owned()].into()),
        tree: vec![entry("Cargo.toml")],
        ..context()
    };
    assert_eq!(names(&try_with(file, &context).unwrap().plan), ["a", "c"]);
    let new_branch = Context { changed: None, ..context };
    assert_eq!(names(&try_with(file, &new_branch).unwrap().plan), ["a", "b", "c"]);
    let asked = |text: &str| {
        let asks = asks(&Files::from([(FILE.into(), Some(text.into()))]));
        (asks.tree, asks.changed)
    };
    assert_eq!(asked(file), (true, true));
    assert_eq!(asked("a: {script: x}"), (false, false));
}

#[test]
fn only_and_except() {
    let file = "a: {script: x, only: [main]}
b: {script: x, only: [branches]}
c: {script: x, except: [/^feature/]}
d: {script: x, only: {refs: [tags]}}
e: {script: x, only: {variables: [$NONE]}}
f: {script: x, only: [pushes], except: [tags]}
";
    assert_eq!(names(&plan(file)), ["b", "f"]);
    assert_eq!(names(&try_with(file, &on_main()).unwrap().plan), ["a", "b", "c", "f"]);
}

#[test]
fn workflow_decides_whether_there_is_a_pipeline() {
    let file = "workflow:
  name: for $CI_COMMIT_BRANCH
  rules:
    - if: $CI_COMMIT_BRANCH == 'main'
      variables: {KIND: release}
    - when: never
a: {script: x, rules: [{if: $KIND == 'release'}]}
";
    let main = try_with(file, &on_main()).unwrap();
    assert_eq!((names(&main.plan), main.name.as_deref()), (vec!["a"], Some("for main")));
    let other = compiled(file);
    assert!(other.nothing.unwrap().en.contains("rule 2 of `workflow` says never"));
    assert!(other.plan.steps.is_empty());
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
fn environment_group_cache_and_the_rest() {
    let entry = |path: &str, object: &str| TreeEntry {
        path: path.into(),
        mode: 0o100_644,
        object: object.into(),
        size: 1,
    };
    let file = "a:
  script: x
  environment: {name: review/$CI_COMMIT_REF_SLUG, url: 'http://$CI_COMMIT_REF_SLUG.test/$LATE'}
  resource_group: $CI_COMMIT_REF_NAME
  tags: [linux]
  image: rust:1
  coverage: '/lines: (\\d+)/'
  cache:
    - {key: {files: [Cargo.lock], prefix: p}, paths: [target/], policy: pull, fallback_keys: [f]}
    - {key: $CI_JOB_NAME, paths: [x], when: always}
  artifacts: {paths: [out], expire_in: 2 weeks, reports: {junit: r.xml, dotenv: v.env}}
  retry: {max: 2, when: [runner_system_failure, stuck_or_timeout_failure]}
";
    let context = |object: &str| Context { tree: vec![entry("Cargo.lock", object)], ..context() };
    let one = try_with(file, &context("aa")).unwrap();
    let a = step(&one.plan, "a");
    let found = work(a);
    let environment = found.environment.unwrap();
    assert_eq!(environment.name, "review/feature-cart-1");
    assert_eq!(a.group.as_ref().unwrap().key, "shop/feature/Cart_1");
    assert_eq!(found.image.as_deref(), Some("rust:1"));
    assert!(found.caches[0].key.starts_with("p-"), "{:?}", found.caches);
    assert_eq!((found.caches[0].pull, found.caches[0].push), (true, false));
    assert_eq!(found.dotenv, ["v.env"]);
    assert_eq!(found.coverage.as_deref(), Some(r"(?m)lines: (\d+)"));
    assert_eq!(found.artifacts.unwrap().expire_ms, Some(14 * 86_400_000));
    let want = ["runner_system_failure", "stuck_or_timeout_failure", "job_execution_timeout"];
    assert_eq!(a.retry.only, want);
    let other = work(step(&try_with(file, &context("bb")).unwrap().plan, "a"));
    assert_ne!(found.caches[0].key, other.caches[0].key);
    let warned: Vec<String> = one.warnings.iter().map(|w| w.1.en.to_string()).collect();
    assert!(warned.iter().any(|w| w.contains("rust:1")), "{warned:?}");
    assert!(warned.iter().any(|w| w.contains("junit")), "{warned:?}");
}

#[test]
fn what_has_no_effect_is_named_with_its_place_and_what_it_means() {
    let file = "variables:
  LEVEL: {value: '1', description: How much, options: ['1', '2']}
default:
  tags: [linux]
a:
  script: x
  image: {name: 'rust:1', entrypoint: [''], pull_policy: always}
  cache: {key: k, paths: [p], unprotect: true}
  artifacts: {paths: [out], name: n, expose_as: it, access: all, public: true, reports: {junit: r.xml}}
  environment: {name: e, on_stop: b, action: start, auto_stop_in: 1 day, deployment_tier: x}
  when: manual
  manual_confirmation: Sure?
b: {script: x, cache: {paths: [p], unprotect: false, untracked: false}}
";
    let found = compiled(file).warnings;
    let at = |(place, say): &(Place, Text)| {
        assert!(!say.ko.is_empty() && say.en.contains(": "), "{say}");
        let key = say.en.split('`').nth(1).unwrap_or_default();
        format!("{}:{}:{} {key}", place.file, place.line, place.column)
    };
    let lines: Vec<String> = found.iter().map(at).collect();
    let wanted = "2:23 variables:description, 2:46 variables:options, 4:3 tags, 7:3 image, \
        7:27 image:entrypoint, 7:45 image:pull_policy, 8:31 cache:unprotect, \
        9:29 artifacts:name, 9:38 artifacts:expose_as, 9:53 artifacts:access, \
        9:66 artifacts:public, 9:90 artifacts:reports:junit, 10:26 environment:on_stop, 10:38 environment:action, \
        10:53 environment:auto_stop_in, 10:74 environment:deployment_tier, \
        12:3 manual_confirmation";
    let wanted: Vec<String> = wanted.split(", ").map(|w| format!("{FILE}:{w}")).collect();
    assert_eq!(lines, wanted);
    for (key, _) in keywords::NO_EFFECT {
        let (part, inside) = key.split_once(':').unwrap_or((key, key));
        let known = [keywords::JOB, keywords::DEFAULT].concat().contains(&part);
        assert!(known && !inside.is_empty(), "{key}");
    }
    assert_eq!(wrong("spec: {inputs: {}}\na: {script: x}").0, "pipeline.unsupported");
    let rules = "workflow: {rules: [{if: $X, needs: [a]}]}\na: {script: x}";
    assert_eq!(wrong(rules).0, "pipeline.unknown_keyword");
}

#[test]
fn predefined_variables_and_precedence() {
    let context =
        Context { given: vec![crate::variables::Variable::literal("A", "given")], ..context() };
    let file = "variables: {A: global, B: global, CI_SERVER: mine}
a: {script: x, variables: {B: job, C: '$B-$CI_COMMIT_SHORT_SHA', D: {value: $B, expand: false}}}
b: {script: x, inherit: {variables: [A]}}
";
    let done = try_with(file, &context).unwrap();
    let all = |name: &str| {
        let work = work(step(&done.plan, name));
        compile::scope(&done.shared, &work.without, &[&work.variables])
    };
    let a = all("a");
    for (name, want) in [
        ("A", "given"),
        ("B", "job"),
        ("C", "job-01234567"),
        ("D", "$B"),
        ("CI_SERVER", "mine"),
        ("CI_COMMIT_BRANCH", "feature/Cart_1"),
        ("CI_COMMIT_REF_SLUG", "feature-cart-1"),
        ("CI_COMMIT_MESSAGE", "Add $CART\n\nWhy: carts sell.\nMore: $HOME"),
        ("CI_COMMIT_TITLE", "Add $CART"),
        ("CI_COMMIT_DESCRIPTION", "Why: carts sell.\nMore: $HOME"),
        ("CI_COMMIT_AUTHOR", "Kim <kim@example.com>"),
        ("CI_COMMIT_TIMESTAMP", "2025-11-24T16:00:00Z"),
        ("CI_COMMIT_BEFORE_SHA", "0000000000000000000000000000000000000000"),
        ("CI_PIPELINE_ID", "7"),
        ("CI_PIPELINE_IID", "3"),
        ("CI_PROJECT_PATH", "shop/web"),
        ("CI_PROJECT_DIR", "/builds/shop/web"),
        ("CI_JOB_NAME", "a"),
        ("CI_JOB_STAGE", "test"),
        ("CI_SERVER_HOST", "127.0.0.1"),
        ("GITLAB_CI", "true"),
    ] {
        assert_eq!(a.get(name).as_deref(), Some(want), "{name}");
    }
    assert_eq!(a.get("CI_COMMIT_TAG"), None);
    assert_eq!((all("b").get("B"), all("b").get("A").as_deref()), (None, Some("given")));
}

#[test]
fn includes_lie_below_the_file_that_includes_them() {
    let files = |ci: &str| {
        let context = context();
        let mut files = Files::from([(FILE.to_owned(), Some(ci.as_bytes().to_vec()))]);
        loop {
            match gather(FILE, &files, &context)? {
                Gathered::Whole(root) => return compile(&root, &context),
                Gathered::Missing(paths) => {
                    for path in paths {
                        let text = match path.as_str() {
                            "ci/base.yml" => {
                                Some("a: {script: base, timeout: 5m}\n.t: {script: t}")
                            }
                            "loop.yml" => Some("include: loop.yml"),
                            "bad.yml" => Some("a:\n  script: x\n  stgae: test"),
                            _ => None,
                        };
                        files.insert(path, text.map(|t| t.as_bytes().to_vec()));
                    }
                }
            }
        }
    };
    let done =
        files("include: [{local: /ci/base.yml}]\na: {script: over}\nb: {extends: .t}\n").unwrap();
    assert_eq!(work(step(&done.plan, "a")).script, ["over"]);
    assert_eq!(work(step(&done.plan, "a")).timeout_ms, Some(300_000));
    assert_eq!(work(step(&done.plan, "b")).script, ["t"]);
    let error = |ci: &str| files(ci).unwrap_err();
    assert_eq!(error("include: loop.yml\n").code(), "pipeline.include");
    let gone = error("include:\n  - local: gone.yml\n");
    assert_eq!(gone.place().unwrap().to_string(), ".gitlab-ci.yml:2:12");
    assert_eq!(error("include: bad.yml").place().unwrap().to_string(), "bad.yml:3:3");
    for odd in
        ["include: ../x.yml", "include: {local: 'a/.git/config'}", "include: 'http://x/y.yml'"]
    {
        files(odd).unwrap_err();
    }
    let project = error("include: {project: a/b, file: x.yml}");
    assert!(project.say().en.contains("include:project"), "{project}");
    assert_eq!(project.code(), "pipeline.unsupported");
    let never = files("include: {local: gone.yml, rules: [{if: $NEVER}]}\na: {script: x}").unwrap();
    assert_eq!(names(&never.plan), ["a"]);
}

#[test]
fn what_is_wrong_is_named_with_its_place_and_a_hint() {
    let mut odd = Vec::new();
    for (text, code, place, words) in [
        (
            "a:\n  script: x\n  stgae: test\n",
            "pipeline.unknown_keyword",
            "3:3",
            "did you mean `stage`?",
        ),
        ("stages: [a]\nstage: [b]\n", "pipeline.unknown_keyword", "2:1", "did you mean `stages`?"),
        (
            "a:\n  script: x\n  artifacts:\n    path: [x]\n",
            "pipeline.unknown_keyword",
            "4:5",
            "`paths`",
        ),
        ("a:\n  script: x\n  services: [redis]\n", "pipeline.unsupported", "3:3", "`services`"),
        (
            "default:\n  services: [redis]\na: {script: x}\n",
            "pipeline.unsupported",
            "2:3",
            "`services`",
        ),
        ("a:\n  trigger: other\n", "pipeline.unsupported", "2:3", "`trigger`"),
        ("a:\n  stage: test\n", "pipeline.no_script", "1:1", "no `script`"),
        ("a:\n  script: x\n  stage: tset\n", "pipeline.stage", "3:10", "did you mean `test`?"),
        ("a: {script: x, when: allways}\n", "pipeline.value", "1:22", "did you mean `always`?"),
        ("a: {script: x, needs: [bb]}\nb: {script: x}\n", "pipeline.needs", "1:24", "did you mean"),
        ("a: {script: x, extends: .b}\n.c: {}\n", "pipeline.extends", "1:25", "no `.b`"),
        ("a: {script: x, extends: b}\nb: {extends: a}\n", "pipeline.extends", "2:14", "circle"),
        ("a: {script: [!reference [b, script]]}\n", "pipeline.reference", "1:25", "no [b, script]"),
        (
            "a:\n  script:\n    - echo \"a: b\"\n    - echo a: b\n",
            "pipeline.value",
            "3:7",
            "quotes",
        ),
        ("a:\n  script: x\na:\n  script: y\n", "pipeline.duplicate", "3:1", ".gitlab-ci.yml:1:1"),
        ("a: {script: x, timeout: soon}\n", "pipeline.value", "1:25", "a length of time"),
        ("a: {script: x, retry: 3}\n", "pipeline.value", "1:23", "from 0 to 2"),
        ("a: {script: x, parallel: 201}\n", "pipeline.value", "1:26", "from 1 to 200"),
        ("a: {script: x, when: delayed}\n", "pipeline.start_in", "1:16", "belong together"),
        ("a: {script: x, rules: [], only: [main]}\n", "pipeline.rules", "1:1", "both `rules`"),
        ("a: {script: x, variables: {1X: y}}\n", "pipeline.value", "1:28", "names of letters"),
        (
            "a: {script: x, retry: {max: 1, when: scrpt_failure}}\n",
            "pipeline.unknown_keyword",
            "1:38",
            "script_failure",
        ),
        ("a: [\n", "pipeline.yaml", "2:1", "not YAML"),
        ("a: !include x\n", "pipeline.yaml", "1:13", "tag"),
        ("", "pipeline.empty", "1:1", "empty"),
        ("- a\n", "pipeline.value", "1:1", "a map of keywords"),
        ("spec: {inputs: {}}\n---\na: {script: x}\n", "pipeline.unsupported", "1:1", "`spec`"),
    ] {
        let found = wrong(text);
        if (found.0, found.1.as_str()) != (code, place) || !found.2.contains(words) {
            odd.push(format!("{text}→ {found:?}, wanted {code} {place} {words}"));
        }
    }
    assert!(odd.is_empty(), "{}", odd.join("\n\n"));
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

#[test]
fn names_of_keywords_are_near() {
    assert_eq!(error::distance("stgae", "stage"), 1);
    assert_eq!(error::distance("", "abc"), 3);
    assert_eq!(error::distance("kitten", "sitting"), 3);
    assert!(
        error::nearest("zzzz", &["script", "stage"]).en.contains("possible here: script, stage")
    );
}

fn words() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec![
        "script",
        "stage",
        "rules",
        "- if",
        "extends",
        "needs",
        "&a",
        "*a",
        "<<",
        "!reference [a, script]",
        "x",
        "a",
        "b",
        "[",
        "]",
        "{",
        "}",
        ":",
        "\n",
        "\n  ",
        "\n    ",
        "- ",
        ", ",
        "'",
        "\"",
        "$A",
        "==",
        "=~ /x/",
        "null",
        "~",
        "|\n",
        ">",
        "#",
        "---\n",
        "default",
        "cache",
        "artifacts",
        "parallel",
        "3",
    ]);
    prop::collection::vec(word, 0..60).prop_map(|words| words.join(""))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
        let _ = yaml::parse("f", &bytes);
    }

    #[test]
    fn any_words_compile_or_are_refused_the_same_way_twice(text in words()) {
        let once = || match try_with(&text, &context()) {
            Ok(done) => serde_json::to_string(&done).unwrap(),
            Err(error) => {
                assert!(error.place().is_some(), "{error}");
                error.to_string()
            }
        };
        prop_assert_eq!(once(), once());
    }

    #[test]
    fn any_condition_is_read_or_refused(words: String) {
        let at = yaml::At { file: "f".into(), line: 1, column: 1 };
        if let Ok(expr) = expr::parse(&words, &at) {
            expr.holds(&|_| Some("x".to_owned()));
        }
    }

    /// `extends` against the plainest model of it: the maps of all ancestors, one over the other.
    #[test]
    fn extends_is_the_merge_of_all_ancestors(
        maps in prop::collection::vec(prop::collection::btree_map("[A-D]", "[a-z]{1,3}", 0..4), 1..6)
    ) {
        let mut file = String::new();
        let mut model = std::collections::BTreeMap::new();
        for (i, map) in maps.iter().enumerate() {
            let parent = if i > 0 { format!("extends: .t{}, ", i - 1) } else { String::new() };
            let pairs: Vec<String> = map.iter().map(|(k, v)| format!("{k}: '{v}'")).collect();
            file += &format!(".t{i}: {{{parent}variables: {{{}}}}}\n", pairs.join(", "));
            model.extend(map.clone());
        }
        file += &format!("job: {{extends: .t{}, script: x}}\n", maps.len() - 1);
        let work = work(step(&plan(&file), "job"));
        let found: std::collections::BTreeMap<_, _> = work.variables.into_iter()
            .filter(|v| v.name.len() == 1).map(|v| (v.name, v.value)).collect();
        prop_assert_eq!(found, model);
    }
}

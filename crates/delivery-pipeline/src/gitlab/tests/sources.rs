//! What starts a pipeline, and what rules make of it.

use super::*;
use std::collections::BTreeSet;

fn merge_request() -> Context {
    let side = |branch: &str| Side {
        path: "shop/web".into(),
        branch: branch.into(),
        commit: Some("c".repeat(40)),
        protected: branch == "main",
    };
    let merge_request = MergeRequest {
        id: 9,
        number: 4,
        title: "Add cart".into(),
        description: "x".repeat(3000),
        labels: vec!["ui".into(), "big".into()],
        refname: "refs/merge-requests/4/head".into(),
        event: "detached".into(),
        source: side("feature/Cart_1"),
        target: side("main"),
        ..MergeRequest::default()
    };
    let open_merge_requests = (1..6).map(|n| format!("shop/web!{n}")).collect();
    let more = More { merge_request: Some(merge_request), open_merge_requests, ..More::default() };
    Context { origin: Origin::MergeRequest, more, ..context() }
}

#[test]
fn pipelines_of_merge_requests() {
    let file = "plain: {script: x}
ruled: {script: x, rules: [{if: $CI_MERGE_REQUEST_IID}]}
refs: {script: x, only: [merge_requests]}
branches: {script: x, only: [branches]}
worded: {script: x, only: {variables: [$CI]}}
";
    let here = merge_request();
    let done = try_with(file, &here).unwrap();
    assert_eq!(names(&done.plan), ["ruled", "refs"]);
    let plain = done.jobs.iter().find(|j| j.job == "plain").unwrap();
    assert!(plain.because.en.contains("branches and tags only"), "{}", plain.because);
    let scope = known(&done, &work(step(&done.plan, "ruled")));
    for (name, want) in [
        ("CI_PIPELINE_SOURCE", Some("merge_request_event")),
        ("CI_MERGE_REQUEST_IID", Some("4")),
        ("CI_MERGE_REQUEST_LABELS", Some("ui,big")),
        ("CI_MERGE_REQUEST_SOURCE_BRANCH_NAME", Some("feature/Cart_1")),
        ("CI_MERGE_REQUEST_TARGET_BRANCH_NAME", Some("main")),
        ("CI_MERGE_REQUEST_TARGET_BRANCH_PROTECTED", Some("true")),
        ("CI_MERGE_REQUEST_TARGET_BRANCH_SHA", Some("")),
        ("CI_MERGE_REQUEST_PROJECT_PATH", Some("shop/web")),
        ("CI_MERGE_REQUEST_SOURCE_PROJECT_URL", Some("http://127.0.0.1:8080/shop/web")),
        ("CI_MERGE_REQUEST_DESCRIPTION_IS_TRUNCATED", Some("true")),
        ("CI_OPEN_MERGE_REQUESTS", Some("shop/web!1,shop/web!2,shop/web!3,shop/web!4")),
        ("CI_COMMIT_REF_NAME", Some("feature/Cart_1")),
        ("CI_COMMIT_BRANCH", None),
    ] {
        assert_eq!(scope.get(name).as_deref(), want, "{name}");
    }
}

#[test]
fn the_words_of_refs_for_every_source() {
    let file = "pushes: {script: x, only: [pushes]}
web: {script: x, only: [web]}
api: {script: x, only: [api]}
schedules: {script: x, only: [schedules]}
triggers: {script: x, only: [triggers]}
pipelines: {script: x, only: [pipelines]}
merge_requests: {script: x, only: [merge_requests]}
external: {script: x, only: [external]}
";
    for (origin, want) in [
        (Origin::Push, "pushes"),
        (Origin::Web, "web"),
        (Origin::Api, "api"),
        (Origin::Schedule, "schedules"),
        (Origin::Trigger, "triggers"),
        (Origin::Pipeline, "pipelines"),
        (Origin::MergeRequest, "merge_requests"),
    ] {
        let done = try_with(file, &Context { origin, ..context() }).unwrap();
        assert_eq!(names(&done.plan), [want]);
    }
}

#[test]
fn refs_of_a_path_and_of_clusters() {
    let file = "here: {script: x, only: ['branches@shop/web']}
there: {script: x, only: ['branches@other/web']}
cluster: {script: x, only: {kubernetes: active}}
without: {script: x, except: {kubernetes: active}}
all: {script: x, only: {refs: [branches], variables: [$NONE]}}
any: {script: x, except: {refs: [tags], variables: [$CI]}}
";
    assert_eq!(names(&plan(file)), ["here", "without"]);
    assert_eq!(wrong("a: {script: x, only: {kubernetes: yes}}").0, "pipeline.value");
}

#[test]
fn changes_against_another_ref_and_files_of_other_repositories() {
    let file = "variables: {BASE: main}
a: {script: x, rules: [{changes: {paths: [src/**], compare_to: $BASE}}]}
b: {script: x, rules: [{changes: {regexp: '^docs/.+\\.md$', compare_to: $BASE}}]}
c: {script: x, rules: [{exists: {paths: [Cargo.toml], project: shop/lib, ref: v1}}]}
d: {script: x, rules: [{exists: {regexp: '/LICEN[CS]E/i', project: shop/lib}}]}
";
    let place = |refname: Option<&str>| Elsewhere {
        path: "shop/lib".into(),
        refname: refname.map(str::to_owned),
    };
    let set = |paths: &[&str]| paths.iter().map(|p| (*p).to_owned()).collect::<BTreeSet<_>>();
    let more = |changed: Option<BTreeSet<String>>| More {
        compared: [("main".to_owned(), changed)].into(),
        elsewhere: [(place(Some("v1")), set(&["Cargo.toml"])), (place(None), set(&["license"]))]
            .into(),
        ..More::default()
    };
    let with = |changed| try_with(file, &Context { more: more(changed), ..context() });
    assert_eq!(names(&with(Some(set(&["src/a"]))).unwrap().plan), ["a", "c", "d"]);
    assert_eq!(names(&with(Some(set(&["docs/x.md"]))).unwrap().plan), ["b", "c", "d"]);
    let gone = with(None).unwrap_err();
    assert_eq!(gone.code(), "pipeline.compare_to");
    assert_eq!(gone.place().unwrap().to_string(), ".gitlab-ci.yml:2:64");
    // Where nobody has looked, everything has changed and nothing is there.
    assert_eq!(names(&plan(file)), ["a", "b"]);
    for (rule, words) in [
        ("changes: {compare_to: x}", "`paths` or `regexp`"),
        ("exists: {paths: [a], ref: x}", "a `project`"),
        ("changes: {paths: [a], regexp: b}", "either"),
        ("changes: {regexp: '('}", "not a regular expression"),
    ] {
        let (_, _, said) = wrong(&format!("a: {{script: x, rules: [{{{rule}}}]}}"));
        assert!(said.contains(words), "{rule}: {said}");
    }
}

#[test]
fn what_rules_ask_about_is_found_before_compiling() {
    let file = "a:
  script: x
  rules:
    - changes: {paths: [a], compare_to: refs/heads/$CI_DEFAULT_BRANCH}
    - exists: {paths: [a], project: $CI_PROJECT_NAMESPACE/lib, ref: v1}
    - exists: {paths: [b]}
";
    let root = whole(file);
    let asked = asked(&root, &context());
    assert_eq!(asked.compared, ["refs/heads/main".to_owned()].into());
    let lib = Elsewhere { path: "shop/lib".into(), refname: Some("v1".into()) };
    assert_eq!(asked.elsewhere, [lib].into());
}

#[test]
fn rules_decide_about_each_job_of_a_matrix() {
    let file = "m:
  script: x
  parallel: {matrix: [{OS: [linux, mac, win]}]}
  rules:
    - {if: $OS == 'mac', when: manual}
    - {if: $OS == 'linux'}
two:
  script: x
  parallel: {matrix: [{OS: [linux, mac]}]}
  needs: [{job: m, parallel: {matrix: [{OS: '$[[ matrix.OS ]]'}]}}]
";
    let done = compiled(file);
    assert_eq!(names(&done.plan), ["m: [linux]", "m: [mac]", "two: [linux]", "two: [mac]"]);
    assert_eq!(step(&done.plan, "m: [mac]").when, When::Manual);
    assert_eq!(needs(&done.plan, "two: [mac]"), ["m: [mac]+"]);
    let lines: Vec<&str> = done.jobs.iter().map(|j| &*j.job).collect();
    assert_eq!(lines, ["m: [linux]", "m: [mac]", "m: [win]", "two"]);
    let (code, _, said) = wrong(&file.replace("matrix.OS ]]", "matrix.CPU ]]"));
    assert!(code == "pipeline.needs" && said.contains("matrix.CPU"), "{said}");
    let (code, _, said) = wrong(&file.replace("'$[[ matrix.OS ]]'", "amiga"));
    assert!(code == "pipeline.needs" && said.contains("none of its jobs"), "{said}");
}

#[test]
fn rules_may_change_needs_and_what_may_be_interrupted() {
    let plan = plan(
        "a: {stage: build, script: x}
b: {stage: build, script: x}
c:
  script: x
  needs: [a]
  rules: [{if: $CI, needs: [b], interruptible: true, variables: {A: 1}, allow_failure: true}]
",
    );
    assert_eq!(needs(&plan, "c"), ["b+"]);
    let c = step(&plan, "c");
    assert!(c.interruptible && c.allow_failure);
}

#[test]
fn workflows_name_and_end_pipelines() {
    let file = "workflow:
  name: $KIND of $CI_COMMIT_BRANCH
  auto_cancel: {on_new_commit: interruptible, on_job_failure: all}
  rules:
    - if: $CI_COMMIT_BRANCH == 'main'
      variables: {KIND: release}
      auto_cancel: {on_new_commit: none}
    - when: always
      variables: {KIND: try}
a: {script: x, rules: [{if: $CI_PIPELINE_NAME =~ /^try/}]}
b: {script: x}
";
    use crate::work::{OnJobFailure, OnNewCommit};
    let here = compiled(file);
    assert_eq!(here.name.as_deref(), Some("try of feature/Cart_1"));
    assert_eq!(names(&here.plan), ["a", "b"]);
    assert_eq!(here.auto_cancel.on_new_commit, OnNewCommit::Interruptible);
    assert!(here.plan.fail_fast);
    let main = try_with(file, &on_main()).unwrap();
    assert_eq!(main.auto_cancel.on_new_commit, OnNewCommit::Nothing);
    assert_eq!(main.auto_cancel.on_job_failure, OnJobFailure::Nothing);
    assert_eq!(names(&main.plan), ["b"]);
    let (code, _, _) = wrong("workflow: {rules: [{when: manual}]}\na: {script: x}");
    assert_eq!(code, "pipeline.value");
}

#[test]
fn variables_are_offered_and_their_options_kept() {
    let file = "variables:
  WHERE: {value: dev, options: [dev, prod], description: Where to}
  PLAIN: x
a: {script: x}
";
    let given = |value: &str| Context {
        given: vec![crate::variables::Variable::literal("WHERE", value)],
        ..context()
    };
    let done = try_with(file, &given("prod")).unwrap();
    assert_eq!(done.offered.len(), 1);
    assert_eq!((&*done.offered[0].name, &*done.offered[0].value), ("WHERE", "dev"));
    assert!(done.warnings.is_empty(), "{:?}", done.warnings);
    let odd = try_with(file, &given("moon")).unwrap_err();
    assert_eq!((odd.code(), odd.place().unwrap().line), ("pipeline.variable", 2));
    let hint = odd.get_hint().unwrap().en.to_string();
    assert!(hint.contains("dev, prod"), "{hint}");
    assert_eq!(
        wrong("variables: {A: {value: x, options: [y]}}\na: {script: x}").0,
        "pipeline.variable"
    );
    let job = "a: {script: x, variables: {A: {value: x, description: y}}}";
    assert_eq!(wrong(job).0, "pipeline.unknown_keyword");
}

#[test]
fn what_only_a_running_job_knows_decides_nothing() {
    let file = "a: {script: x, rules: [{if: $CI_JOB_ID || $CI_PIPELINE_ID || $CI_PROJECT_DIR}]}
b: {script: x, rules: [{if: '$CI_JOB_NAME == \"b\" && $CI_PIPELINE_IID && $CI_ENVIRONMENT_NAME'}], environment: e}
c: {script: x, rules: [{if: '$CI_PROJECT_DIR == \"mine\"'}], variables: {CI_PROJECT_DIR: mine}}
";
    assert_eq!(names(&plan(file)), ["b", "c"]);
}

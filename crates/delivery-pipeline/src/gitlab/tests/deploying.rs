//! Environments, releases, sites and other pipelines: what a job's end means for others.

use super::*;
use crate::trigger_plan::{self, Mirror, Strategy, Target, Trigger};
use crate::work::{Fetch, Readers};
use kernel::journey::{EnvironmentAction, Tier};

fn trigger(step: &Step) -> Trigger {
    assert_eq!(step.action.uses, trigger_plan::USES);
    serde_json::from_value(step.action.with.clone()).unwrap()
}

fn value(work: &Work, name: &str) -> Option<String> {
    work.variables.iter().rev().find(|v| v.name == name).map(|v| v.value.clone())
}

#[test]
fn a_review_app_knows_who_stops_it() {
    let plan = plan(
        "deploy:
  script: ./up
  environment:
    name: review/$CI_COMMIT_REF_NAME
    url: https://$CI_ENVIRONMENT_SLUG.example.com
    on_stop: stop
    auto_stop_in: 1 day
stop:
  script: ./down
  when: manual
  environment: {name: review/$CI_COMMIT_REF_NAME, action: stop}
prod: {script: x, environment: {name: live, deployment_tier: staging, auto_stop_in: never}}
",
    );
    let deploy = work(step(&plan, "deploy"));
    let environment = deploy.environment.clone().unwrap();
    assert_eq!(environment.name, "review/feature/Cart_1");
    assert_eq!(environment.on_stop.as_deref(), Some("stop"));
    assert_eq!(environment.auto_stop_ms, Some(86_400_000));
    assert_eq!(environment.tier, Some(Tier::Development));
    let slug = value(&deploy, "CI_ENVIRONMENT_SLUG").unwrap();
    assert!(slug.starts_with("review-feature-ca-") && slug.len() == 24, "{slug}");
    assert_eq!(value(&deploy, "CI_ENVIRONMENT_TIER").as_deref(), Some("development"));
    let stop = work(step(&plan, "stop")).environment.unwrap();
    assert_eq!(stop.action, EnvironmentAction::Stop);
    let live = work(step(&plan, "prod")).environment.unwrap();
    assert_eq!((live.tier, live.auto_stop_ms), (Some(Tier::Staging), None));
}

#[test]
fn short_names_and_tiers_of_environments() {
    for (name, slug, tier) in [
        ("production", "production", "production"),
        ("staging", "staging", "staging"),
        ("qa-1", "qa-1", "testing"),
        ("1st", "env-1st-", "other"),
        ("Live", "live-", "production"),
        ("review/a__b", "review-a-b-", "development"),
    ] {
        let plan = plan(&format!("a: {{script: x, environment: '{name}'}}"));
        let a = work(step(&plan, "a"));
        let found = value(&a, "CI_ENVIRONMENT_SLUG").unwrap();
        match slug.ends_with('-') {
            true => assert!(found.starts_with(slug) && found.len() == slug.len() + 6, "{found}"),
            false => assert_eq!(found, slug),
        }
        assert_eq!(value(&a, "CI_ENVIRONMENT_TIER").as_deref(), Some(tier), "{name}");
    }
}

#[test]
fn what_stops_an_environment_is_checked() {
    let file = |stop: &str| {
        format!("a: {{script: x, environment: {{name: e, on_stop: s}}}}\n{stop}: {{script: x")
    };
    for (rest, words) in [
        ("t}", "does not exist"),
        ("s}", "no `environment`"),
        ("s, environment: e}", "no `action: stop`"),
        ("s, environment: {name: f, action: stop}}", "another environment"),
    ] {
        let (name, more) = rest.split_at(1);
        let (code, place, said) = wrong(&format!("{}{more}\n", file(name)));
        assert_eq!((code, place.as_str()), ("pipeline.on_stop", "1:48"), "{said}");
        assert!(said.contains(words), "{said}");
    }
}

#[test]
fn releases_and_sites() {
    let plan = plan(
        "release:
  script: echo
  release:
    tag_name: v$VERSION
    description: ./CHANGES.md
    ref: $CI_COMMIT_SHA
    released_at: 2026-03-15T08:00:00Z
    assets: {links: [{name: app, url: 'https://x/$VERSION', link_type: package}]}
words: {script: echo, release: {tag_name: v1, description: Two words}}
pages: {script: make, artifacts: {paths: [public]}}
docs:
  script: make
  pages: {publish: out, path_prefix: mr/$CI_COMMIT_REF_NAME, expire_in: 1 week}
off: {script: make, pages: false}
",
    );
    let tag = work(step(&plan, "release")).tag.unwrap();
    assert_eq!(tag.tag, "v$VERSION", "expanded when the job has passed");
    assert_eq!(tag.description_file.as_deref(), Some("./CHANGES.md"));
    assert_eq!(tag.links, [("app".to_owned(), "https://x/$VERSION".to_owned())]);
    assert_eq!(work(step(&plan, "words")).tag.unwrap().description_file, None);
    let site = |n: &str| work(step(&plan, n)).site.map(|s| (s.dir, s.prefix, s.expire_ms));
    assert_eq!(site("pages"), Some(("public".into(), String::new(), None)));
    assert_eq!(
        site("docs"),
        Some(("out".into(), "mr-feature-cart-1".into(), Some(7 * 86_400_000)))
    );
    assert_eq!(site("off"), None);
}

#[test]
fn triggers_of_other_repositories() {
    let plan = plan(
        "variables: {GLOBAL: g, HIDDEN: h}
default: {image: x, retry: 1, interruptible: true}
a: {trigger: shop/api}
b:
  inherit: {variables: [GLOBAL]}
  variables: {OWN: $CI_COMMIT_SHA}
  trigger:
    project: $TARGET/api
    branch: next
    strategy: depend
    forward: {pipeline_variables: true}
    inputs: {count: 3, name: '3', on: true, list: [a, 1]}
c: {variables: {X: y}, trigger: {project: a/b, strategy: mirror, forward: {yaml_variables: false}}}
",
    );
    let a = trigger(step(&plan, "a"));
    assert_eq!(a.target, Target::Repository { path: "shop/api".into(), refname: None });
    assert_eq!((a.strategy, a.hand_given, a.interruptible), (Strategy::Start, false, true));
    assert_eq!(step(&plan, "a").retry.max, 0);
    let names = |t: &Trigger| t.hand.iter().map(|v| v.name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&a), ["GLOBAL", "HIDDEN"]);
    let b = trigger(step(&plan, "b"));
    assert_eq!(
        b.target,
        Target::Repository { path: "$TARGET/api".into(), refname: Some("next".into()) }
    );
    assert_eq!((names(&b), b.hand_given), (vec!["GLOBAL".to_owned(), "OWN".into()], true));
    assert_eq!(
        serde_json::to_value(&b.inputs).unwrap(),
        serde_json::json!({"count": 3, "name": "3", "on": true, "list": ["a", 1]})
    );
    let c = trigger(step(&plan, "c"));
    assert_eq!((c.strategy, names(&c)), (Strategy::Mirror, Vec::new()));
}

#[test]
fn a_child_pipeline_is_a_file_of_includes() {
    let plan = plan(
        "make: {stage: build, script: x, artifacts: {paths: [gen.yml]}}
lint: {stage: build, script: x}
child:
  trigger:
    include:
      - local: ci/a.yml
        inputs: {env: dev}
      - {artifact: out/gen.yml, job: make}
    strategy: depend
text: {needs: [], trigger: {include: ci/b.yml}}
",
    );
    assert_eq!(needs(&plan, "child"), ["make+", "lint"]);
    assert_eq!(needs(&plan, "text"), [""; 0]);
    let Target::Child { name, file, artifacts } = trigger(step(&plan, "child")).target else {
        panic!("no child")
    };
    assert_eq!(name, ".gitlab-ci.yml:3 trigger");
    let want = serde_json::json!({ "include": [
        { "local": "ci/a.yml", "inputs": { "env": "dev" } },
        { "local": ".artifact-1/out/gen.yml" },
    ]});
    assert_eq!(serde_json::from_str::<serde_json::Value>(&file).unwrap(), want);
    assert_eq!(artifacts.len(), 1);
    let artifact = &artifacts[0];
    let found = (&*artifact.step, &*artifact.path, &*artifact.name);
    assert_eq!(found, ("make", "out/gen.yml", ".artifact-1/out/gen.yml"));
    assert!(yaml::parse("c", file.as_bytes()).is_ok(), "it is read as the dialect's own files are");
}

#[test]
fn triggers_that_make_no_sense() {
    for (text, code, words) in [
        ("a: {trigger: {branch: x}}", "pipeline.value", "`project` or `include`"),
        ("a: {trigger: {project: a/b, include: x.yml}}", "pipeline.value", "either"),
        ("a: {trigger: {include: [a.yml, b.yml, c.yml, d.yml]}}", "pipeline.value", "one to three"),
        ("a: {trigger: {include: [{artifact: a.yml}]}}", "pipeline.value", "a `job`"),
        ("a: {trigger: {include: [{artifact: a.yml, job: b}]}}", "pipeline.needs", "no job `b`"),
        ("a: {trigger: {include: [{local: a.yml, job: b}]}}", "pipeline.unknown_keyword", "`job`"),
        ("a: {trigger: {project: a/b, strategy: follow}}", "pipeline.value", "depend, mirror"),
        ("a: {trigger: a/b, script: x}", "pipeline.trigger", "cannot have `script`"),
        ("a: {script: x, needs: {pipeline: a/b}}", "pipeline.value", "a `job` beside `pipeline`"),
    ] {
        let (found, _, said) = wrong(text);
        assert!(found == code && said.contains(words), "{text}: {found} {said}");
    }
}

#[test]
fn needs_of_other_pipelines() {
    let plan = plan(
        "a:
  script: x
  needs:
    - {pipeline: $PARENT_PIPELINE_ID, job: build}
    - {pipeline: $PARENT_PIPELINE_ID, job: extra, optional: true}
    - {project: shop/lib, job: pack, ref: main}
    - {project: shop/lib, job: off, ref: main, artifacts: false}
    - {project: shop/lib, job: m, ref: main, parallel: {matrix: [{OS: [linux, mac]}]}}
up: {needs: {pipeline: shop/lib}}
",
    );
    let newest = |job: &str| Fetch::Newest {
        path: "shop/lib".into(),
        refname: "main".into(),
        job: job.into(),
    };
    let run =
        Fetch::Run { run: "$PARENT_PIPELINE_ID".into(), job: "build".into(), optional: false };
    let extra =
        Fetch::Run { run: "$PARENT_PIPELINE_ID".into(), job: "extra".into(), optional: true };
    let want = vec![run, extra, newest("pack"), newest("m: [linux]"), newest("m: [mac]")];
    assert_eq!(work(step(&plan, "a")).fetch, want);
    assert_eq!(needs(&plan, "a"), [""; 0]);
    let (code, _, said) =
        wrong("a: {script: x, needs: [{project: shop/lib, job: b, ref: main, optional: true}]}");
    assert!(code == "pipeline.value" && said.contains("`optional`"), "{said}");
    let up = step(&plan, "up");
    assert_eq!(up.action.uses, trigger_plan::MIRRORS);
    let mirror: Mirror = serde_json::from_value(up.action.with.clone()).unwrap();
    assert_eq!(mirror.path, "shop/lib");
}

#[test]
fn artifacts_have_readers_and_reports() {
    let plan = plan(
        "a:
  script: x
  artifacts:
    name: $CI_JOB_NAME
    untracked: true
    expose_as: the build
    access: developer
    expire_in: never
    reports:
      junit: [a.xml, b.xml]
      coverage_report: {coverage_format: cobertura, path: c.xml}
      codequality: q.json
      dotenv: build.env
b: {script: x, artifacts: {public: false, paths: [x], expire_in: 2 hrs}}
c: {script: x, artifacts: {reports: {sarif: s.json}}}
",
    );
    let a = work(step(&plan, "a"));
    let kept = a.artifacts.unwrap();
    assert_eq!((kept.untracked, kept.readers, kept.expire_ms), (true, Readers::Developers, None));
    let reports: Vec<String> =
        a.reports.iter().map(|r| format!("{} {}", r.format, r.paths.join(","))).collect();
    assert_eq!(reports, ["junit a.xml,b.xml", "cobertura c.xml", "codequality q.json"]);
    assert_eq!(a.dotenv, ["build.env"]);
    let b = work(step(&plan, "b")).artifacts.unwrap();
    assert_eq!((b.readers, b.expire_ms), (Readers::Developers, Some(7_200_000)));
    assert_eq!(work(step(&plan, "c")).artifacts, None);
    let (code, _, said) =
        wrong("a: {script: x, artifacts: {paths: [x], access: all, public: true}}");
    assert!(code == "pipeline.value" && said.contains("either"), "{said}");
}

//! What keywords come to, and what is said of those that are wrong.

use super::*;

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
    let junit = crate::work::Reports { format: "junit".into(), paths: vec!["r.xml".into()] };
    assert_eq!(found.reports, [junit]);
}

#[test]
fn what_has_no_effect_is_named_with_its_place_and_what_it_means() {
    let file = "default:
  tags: [linux]
a:
  script: x
  image: {name: 'rust:1', entrypoint: [''], docker: {user: me, platform: arm}, pull_policy: always}
  services: [{name: redis, pull_policy: never, docker: {user: x}}]
  environment: {name: e, kubernetes: {agent: x}}
  only: {kubernetes: active}
  release: {tag_name: v1, description: x, milestones: [m]}
  dast_configuration: {site_profile: x}
  inputs: {n: {default: x}}
";
    let found = compiled(file).warnings;
    let at = |(place, say): &(Place, Text)| {
        assert!(!say.ko.is_empty() && say.en.contains(": "), "{say}");
        let key = say.en.split('`').nth(1).unwrap_or_default();
        format!("{}:{} {key}", place.line, place.column)
    };
    let lines: Vec<String> = found.iter().map(at).collect();
    let wanted = "2:3 tags, 5:3 image, 5:64 image:docker:platform, 5:80 image:pull_policy, \
        6:28 services:pull_policy, 6:48 services:docker, 7:26 environment:kubernetes, \
        8:10 only:kubernetes, 9:43 release:milestones, 10:3 dast_configuration, 11:3 inputs";
    assert_eq!(lines, wanted.split(", ").collect::<Vec<_>>());
    for (key, _) in keywords::NO_EFFECT {
        let (part, inside) = key.split_once(':').unwrap_or((key, key));
        let known = [keywords::JOB, keywords::DEFAULT].concat().contains(&part);
        assert!(known && !inside.is_empty(), "{key}");
    }
    let rules = "workflow: {rules: [{if: $X, needs: [a]}]}\na: {script: x}";
    assert_eq!(wrong(rules).0, "pipeline.unknown_keyword");
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
        (
            "a:\n  script: x\n  secrets: {A: {azure_key_vault: {name: x}}}\n",
            "pipeline.unsupported",
            "3:17",
            "id_tokens",
        ),
        ("a:\n  script: x\n  identity: google_cloud\n", "pipeline.unsupported", "3:3", "id_tokens"),
        ("a:\n  trigger: x/y\n  image: z\n", "pipeline.trigger", "3:3", "cannot have `image`"),
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
    ] {
        let found = wrong(text);
        if (found.0, found.1.as_str()) != (code, place) || !found.2.contains(words) {
            odd.push(format!("{text}→ {found:?}, wanted {code} {place} {words}"));
        }
    }
    assert!(odd.is_empty(), "{}", odd.join("\n\n"));
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

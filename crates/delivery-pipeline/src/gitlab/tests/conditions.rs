//! When jobs and pipelines are in.

use super::*;

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
        let asks = asks(&Files::of(FILE, Some(text.into())));
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

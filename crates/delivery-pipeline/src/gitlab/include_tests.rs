//! Includes of every kind, and inputs.

use super::tests::context;
use super::*;
use crate::work::Work;

/// What else there is, by the name that errors have for it. `PATHS` are the files of every repository.
type Shelf<'a> = &'a [(&'a str, &'a str)];

const PATHS: [&str; 4] = ["ci/a.yml", "ci/deep/b.yml", "ci/c.txt", "other.yml"];

fn look(shelf: Shelf<'_>, wanted: &Wanted) -> Got {
    if matches!(wanted, Wanted::Paths { .. }) {
        return Got::Paths(PATHS.map(str::to_owned).to_vec());
    }
    let found = shelf.iter().find(|(name, _)| *name == wanted.name());
    let bytes = match found {
        Some((_, text)) => text.as_bytes().to_vec(),
        None if wanted.name().starts_with("secret/") => {
            let say = kernel::Text::fixed("not there or not yours", "없거나 볼 수 없습니다");
            return Got::Refused(Error::invalid("pipeline.include", say));
        }
        None => return Got::Absent,
    };
    match wanted {
        Wanted::Component { .. } => {
            Got::Component(Component { bytes, sha: "c0ffee".into(), version: "1.2.0".into() })
        }
        _ => Got::File(bytes),
    }
}

fn load_with(ci: &str, shelf: Shelf<'_>, given: &serde_json::Value) -> Result<Loaded> {
    let given = Given::by_hand(given.as_object().unwrap())?;
    let mut files = Files::of(FILE, Some(ci.as_bytes().to_vec()));
    for _ in 0..100 {
        match gather(FILE, &given, &files, &context())? {
            Gathered::Whole(loaded) => return Ok(loaded),
            Gathered::Missing(missing) => {
                assert!(!missing.is_empty());
                for wanted in missing {
                    let got = look(shelf, &wanted);
                    files.insert(wanted, got);
                }
            }
        }
    }
    panic!("it never ends:\n{ci}")
}

fn load(ci: &str, shelf: Shelf<'_>) -> Result<Loaded> {
    load_with(ci, shelf, &serde_json::json!({}))
}

fn built(ci: &str, shelf: Shelf<'_>) -> Compiled {
    let loaded = load(ci, shelf).unwrap_or_else(|e| panic!("{e}\n{ci}"));
    compile(&loaded.root, &context()).unwrap_or_else(|e| panic!("{e}\n{ci}"))
}

fn jobs(compiled: &Compiled) -> Vec<&str> {
    compiled.plan.steps.iter().map(|s| s.name.as_str()).collect()
}

fn work(compiled: &Compiled, job: &str) -> Work {
    let step = compiled.plan.steps.iter().find(|s| s.name == job);
    let step = step.unwrap_or_else(|| panic!("no {job} in {:?}", jobs(compiled)));
    serde_json::from_value(step.action.with.clone()).unwrap()
}

/// Place and words of what is wrong.
fn wrong(ci: &str, shelf: Shelf<'_>) -> String {
    let error = match load(ci, shelf).and_then(|l| compile(&l.root, &context()).map(drop)) {
        Ok(()) => panic!("accepted:\n{ci}"),
        Err(error) => error,
    };
    let hint = error.get_hint().map(|h| h.en.to_string()).unwrap_or_default();
    format!("{} {} | {hint}", error.place().expect("a place"), error.say().en)
}

#[test]
fn what_is_included_lies_below_the_file_that_includes_it() {
    let shelf: Shelf<'_> = &[
        ("ci/base.yml", "a: {script: base, timeout: 5m}\n.t: {script: t}"),
        ("bad.yml", "a:\n  script: x\n  stgae: test"),
    ];
    let done =
        built("include: [{local: /ci/base.yml}]\na: {script: over}\nb: {extends: .t}\n", shelf);
    assert_eq!(work(&done, "a").script, ["over"]);
    assert_eq!(work(&done, "a").timeout_ms, Some(300_000));
    assert_eq!(work(&done, "b").script, ["t"]);
    assert!(wrong("include:\n  - local: gone.yml\n", shelf).starts_with(".gitlab-ci.yml:2:12 "));
    assert!(wrong("include: bad.yml", shelf).starts_with("bad.yml:3:3 "));
    let never = "include: {local: gone.yml, rules: [{if: $NEVER}]}\na: {script: x}";
    assert_eq!(jobs(&built(never, shelf)), ["a"]);
    let no = "include: {local: gone.yml, rules: [{if: $CI, when: never}]}\na: {script: x}";
    assert_eq!(jobs(&built(no, shelf)), ["a"]);
    let yes =
        "include: {local: '$WHERE/base.yml', rules: [{if: $CI, when: always}]}\nb: {script: x}";
    assert!(wrong(yes, shelf).contains("no file `base.yml`"));
}

#[test]
fn patterns_take_files_of_one_directory_or_of_all() {
    let shelf: Shelf<'_> = &[("ci/a.yml", "a: {script: a}"), ("ci/deep/b.yml", "b: {script: b}")];
    assert_eq!(jobs(&built("include: 'ci/*.yml'", shelf)), ["a"]);
    assert_eq!(jobs(&built("include: {local: '/ci/**.yml'}", shelf)), ["a", "b"]);
    assert_eq!(jobs(&built("include: 'ci/**/*.yml'", shelf)), ["a", "b"]);
    assert!(wrong("include: 'none/*.yml'", shelf).contains("no file matches `none/*.yml`"));
}

#[test]
fn files_of_other_repositories_find_their_own_neighbours() {
    let shelf: Shelf<'_> = &[
        ("tools/ci@v1:jobs/all.yml", "include: {local: jobs/more.yml}\na: {script: a}"),
        ("tools/ci@v1:jobs/more.yml", "b: {script: b}"),
        ("tools/ci:x.yml", "c: {script: c}"),
    ];
    let ci = "include:
  - {project: tools/ci, ref: v1, file: [/jobs/all.yml]}
  - {project: tools/ci, file: x.yml}
";
    let loaded = load(ci, shelf).unwrap();
    let included: Vec<String> =
        loaded.included.iter().map(|i| format!("{} {}", i.file, i.by)).collect();
    assert_eq!(
        included,
        [
            "tools/ci@v1:jobs/all.yml .gitlab-ci.yml:2:41",
            "tools/ci@v1:jobs/more.yml tools/ci@v1:jobs/all.yml:1:18",
            "tools/ci:x.yml .gitlab-ci.yml:3:31",
        ]
    );
    assert_eq!(jobs(&built(ci, shelf)), ["b", "a", "c"]);
    let hidden = wrong("include: {project: secret/ci, file: x.yml}", shelf);
    assert_eq!(hidden, ".gitlab-ci.yml:1:37 not there or not yours | ");
    for (odd, words) in [
        ("include: {project: tools, file: x.yml}", "PROJECT/REPOSITORY"),
        ("include: {project: tools/ci}", "a `file` beside `project`"),
        ("include: {project: tools/ci, file: []}", "at least one path"),
        ("include: {project: tools/ci, file: x.txt}", "ends in .yml"),
        ("include: {project: tools/ci, file: ../x.yml}", "from the top"),
        ("include: {local: x.yml, ref: main}", "it belongs to `include:project`"),
        ("include: {local: x.yml, template: y.yml}", "make it an item of its own"),
        ("include: {file: x.yml}", "one of local, project"),
        ("include: {locla: x.yml}", "did you mean `local`?"),
        ("include: {local: 'a/.git/x.yml'}", "from the top"),
    ] {
        assert!(wrong(odd, shelf).contains(words), "{odd}: {}", wrong(odd, shelf));
    }
}

#[test]
fn templates_ship_with_naru() {
    let names: Vec<&str> = templates().collect();
    assert!(names.is_sorted() && names.len() > 10);
    for name in names {
        let documents = super::yaml::parse(name, catalog::find(name).unwrap().as_bytes()).unwrap();
        assert_eq!(documents.len(), 1, "{name}");
        built(&format!("include: {{template: {name}}}"), &[]);
    }
    let near = wrong("include: {template: Rst.gitlab-ci.yml}", &[]);
    assert!(near.ends_with("did you mean `Rust.gitlab-ci.yml`?"), "{near}");
}

#[test]
fn a_component_knows_itself_and_takes_inputs() {
    let shelf: Shelf<'_> = &[
        (
            "tools/ci/scan@~latest",
            "spec:
  component: [name, sha, version, reference]
  inputs:
    stage: {default: test}
    args: {type: array, default: []}
---
include: {local: templates/base.yml}
$[[ component.name ]]-job:
  stage: $[[ inputs.stage ]]
  script:
    - echo $[[ component.sha ]] $[[ component.version ]] $[[ component.reference ]]
    - $[[ inputs.args ]]
",
        ),
        ("tools/ci@c0ffee:templates/base.yml", "base: {script: base}"),
    ];
    let ci = "include:
  - component: $CI_SERVER_FQDN/tools/ci/scan@~latest
    inputs: {stage: build, args: [one, two]}
";
    let done = built(ci, shelf);
    assert_eq!(work(&done, "scan-job").script, ["echo c0ffee 1.2.0 ~latest", "one", "two"]);
    assert_eq!(jobs(&done), ["base", "scan-job"]);
    for (odd, words) in [
        ("include: {component: gitlab.com/a/b/c@1.0}", "from this server, 127.0.0.1:8080"),
        ("include: {component: $CI_SERVER_FQDN/a/b@1.0}", "the address of a component"),
        ("include: {component: $CI_SERVER_FQDN/a/b/c}", "the address of a component"),
        ("include: {component: $CI_SERVER_FQDN/a/b/c@1.0}", "templates/c.yml"),
    ] {
        assert!(wrong(odd, shelf).contains(words), "{odd}: {}", wrong(odd, shelf));
    }
}

#[test]
fn remote_files_are_what_their_hash_says() {
    let shelf: Shelf<'_> = &[("https://example.com/a.yml", "a: {script: a}")];
    assert_eq!(jobs(&built("include: https://example.com/a.yml", shelf)), ["a"]);
    let with = |hash: &str| {
        format!("include: {{remote: 'https://example.com/a.yml', integrity: 'sha256-{hash}'}}")
    };
    let told = wrong(&with("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="), shelf);
    let (_, found) = told.split_once("it is sha256-").unwrap_or_else(|| panic!("{told}"));
    assert_eq!(jobs(&built(&with(found), shelf)), ["a"]);
    assert!(wrong(&with("short"), shelf).contains("the base64 of the hash"));
    for odd in ["https:///a.yml", "https://user@example.com/a.yml", "ftp://example.com/a.yml"] {
        wrong(&format!("include: {{remote: '{odd}'}}"), shelf);
    }
    let nested: Shelf<'_> = &[("https://example.com/a.yml", "include: {local: b.yml}")];
    assert!(wrong("include: https://example.com/a.yml", nested).contains("lies in no repository"));
}

#[test]
fn includes_have_an_end() {
    let itself = wrong("include: loop.yml", &[("loop.yml", "include: {local: loop.yml}")]);
    assert!(itself.starts_with("loop.yml:1:18 `loop.yml` includes itself"), "{itself}");
    assert!(itself.contains("loop.yml → loop.yml"), "{itself}");
    let many: Vec<String> = (0..151).map(|i| format!("- f{i}.yml\n")).collect();
    let names: Vec<String> = (0..151).map(|i| format!("f{i}.yml")).collect();
    let shelf: Vec<(&str, &str)> = names.iter().map(|n| (n.as_str(), "a: {script: x}")).collect();
    let told = wrong(&format!("include:\n{}", many.concat()), &shelf);
    assert!(told.starts_with(".gitlab-ci.yml:151:3 more than 150 files"), "{told}");
    let texts: Vec<(String, String)> =
        (0..60).map(|i| (format!("f{i}.yml"), format!("include: f{}.yml", i + 1))).collect();
    let deep: Vec<(&str, &str)> = texts.iter().map(|(n, t)| (n.as_str(), t.as_str())).collect();
    assert!(wrong("include: f0.yml", &deep).contains("more than 50 levels"));
    let big = format!("a: [{}]", "x, ".repeat(90_000));
    let wide: Vec<(&str, &str)> = names.iter().map(|n| (n.as_str(), big.as_str())).collect();
    let told = wrong(&format!("include:\n{}", many[..20].concat()), &wide);
    assert!(told.starts_with(".gitlab-ci.yml:13:3 "), "{told}");
}

#[test]
fn inputs_are_typed_and_stand_in_keys_and_values() {
    let shelf: Shelf<'_> = &[(
        "job.yml",
        "spec:
  inputs:
    name:
      description: how the job is called
    count: {type: number, default: 2}
    soft: {type: boolean, default: false}
    rules: {type: array, default: []}
    text: {default: \"it's\"}
---
\"$[[ inputs.name ]]-job\":
  parallel: $[[ inputs.count ]]
  allow_failure: $[[ inputs.soft ]]
  rules: $[[ inputs.rules ]]
  variables: {T: \"$[[ inputs.text ]]\", L: x$[[ inputs.rules ]]}
  script: [echo $[[ inputs.name | truncate(1, 2) ]], echo $[[ inputs.text | posix_escape ]]]
",
    )];
    let ci = "include:
  local: job.yml
  inputs: {name: unit, soft: true, rules: [{if: $CI, when: on_failure}]}
";
    let done = built(ci, shelf);
    assert_eq!(jobs(&done), ["unit-job 1/2", "unit-job 2/2"]);
    let work = work(&done, "unit-job 1/2");
    assert_eq!(work.script, ["echo ni", "echo it\\'s"]);
    let value = |name: &str| &work.variables.iter().find(|v| v.name == name).unwrap().value;
    assert_eq!(value("L"), "x[{\"if\":\"$CI\",\"when\":\"on_failure\"}]");
    assert!(done.plan.steps[0].allow_failure);
    for (inputs, words) in [
        ("{}", ".gitlab-ci.yml:1:18 the input `name` has to be given: how the job is called"),
        ("{nmae: x}", "did you mean `name`?"),
        ("{name: 5}", "`inputs:name` takes a text"),
        ("{name: x, count: many}", "`inputs:count` takes a number"),
        ("{name: x, soft: 'true'}", "`inputs:soft` takes true or false"),
        ("{name: x, rules: y}", "`inputs:rules` takes a list"),
        ("[name]", "`inputs` takes a map"),
    ] {
        let told = wrong(&format!("include: {{local: job.yml, inputs: {inputs}}}"), shelf);
        assert!(told.contains(words), "{inputs}: {told}");
    }
    let none = wrong("include: {local: x.yml, inputs: {a: b}}", &[("x.yml", "a: {script: x}")]);
    assert!(none.contains("takes no input `a`") && none.contains("`spec:inputs`"), "{none}");
}

#[test]
fn inputs_may_be_bound_to_options_patterns_and_each_other() {
    let header = |inputs: &str| {
        format!("spec:\n  inputs:\n{inputs}\n---\na: {{script: 'echo $[[ inputs.x ]]'}}\n")
    };
    let options = header("    x: {options: [small, large], default: small}");
    let pattern = header("    x: {regex: '^v\\d+$'}");
    let rules = header(
        "    cloud-name: {default: aws}
    x:
      rules:
        - if: $[[ inputs.cloud-name ]] == 'aws'
          options: [us, eu]
          default: eu
        - default: none
          options: [none]",
    );
    let run = |text: &str, inputs: &str| {
        let ci = format!("include: {{local: x.yml, inputs: {{{inputs}}}}}");
        let shelf: Shelf<'_> = &[("x.yml", text)];
        match load(&ci, shelf) {
            Ok(_) => work(&built(&ci, shelf), "a").script.concat(),
            Err(_) => wrong(&ci, shelf),
        }
    };
    assert_eq!(run(&options, "x: large"), "echo large");
    assert!(run(&options, "x: larg").ends_with("did you mean `large`?"));
    assert_eq!(run(&pattern, "x: v12"), "echo v12");
    assert!(
        run(&pattern, "x: 12a").contains("what matches `^v\\d+$`"),
        "{}",
        run(&pattern, "x: 12a")
    );
    assert_eq!(run(&rules, ""), "echo eu");
    assert_eq!(run(&rules, "cloud-name: own"), "echo none");
    assert!(run(&rules, "cloud-name: own, x: us").contains("one of none"));
}

#[test]
fn a_wrong_header_says_where() {
    for (header, words) in [
        ("spec: {inptus: {}}", "did you mean `inputs`?"),
        ("spec: {inputs: {a: {typ: string}}}", "did you mean `type`?"),
        ("spec: {inputs: {a: {type: text}}}", "one of string, number"),
        ("spec: {inputs: {a: {default: 5}}}", "`inputs:a` takes a text"),
        ("spec: {inputs: {a: {type: number, default: 5, options: [1]}}}", "one of 1"),
        ("spec: {inputs: {a: {type: number, regex: x}}}", "an input of type string"),
        ("spec: {inputs: {a: {regex: '('}}}", "not a regular expression"),
        ("spec: {inputs: {a: {rules: [{default: x}], default: y}}}", "do not go together"),
        ("spec: {inputs: {'a b': {}}}", "names of letters"),
        ("spec: {component: [nmae]}", "did you mean `name`?"),
        ("spec: {inputs: {a: {default: x}}}\nother: 1", "`spec` has no keyword `other`"),
        ("spec: {include: [{template: x.yml}]}", "one of local, project, remote"),
    ] {
        let told = wrong(&format!("{header}\n---\na: {{script: x}}\n"), &[]);
        assert!(told.starts_with(".gitlab-ci.yml:") && told.contains(words), "{header}: {told}");
    }
    for (body, words) in [
        ("$[[ inputs.b ]]", "did you mean `a`?"),
        ("$[[ input.a ]]", "`input.a` is not known here"),
        ("$[[ inputs.a | upper ]]", "there is no function `upper`"),
        ("$[[ inputs.a | truncate(1) ]]", "there is no function"),
        ("$[[ component.name ]]", "does not ask for `component.name`"),
    ] {
        let ci = format!(
            "spec: {{inputs: {{a: {{default: x}}}}}}\n---\na:\n  script:\n    - echo {body}\n"
        );
        let told = wrong(&ci, &[]);
        assert!(told.starts_with(".gitlab-ci.yml:5:7 ") && told.contains(words), "{body}: {told}");
    }
    assert!(wrong("spec: {inputs: {}}\na: {script: x}", &[]).contains("a line `---` after it"));
}

#[test]
fn a_header_may_take_inputs_of_another_file() {
    let shelf: Shelf<'_> = &[("common.yml", "inputs:\n  a: {default: one}\n  b: {default: two}\n")];
    let ci = "spec:
  include: [{local: common.yml}]
  inputs: {b: {default: own}}
---
x: {script: 'echo $[[ inputs.a ]] $[[ inputs.b ]]'}
";
    assert_eq!(work(&built(ci, shelf), "x").script, ["echo one own"]);
}

#[test]
fn a_pipeline_takes_inputs_by_hand() {
    let ci = "spec:
  inputs:
    n: {type: number}
    yes: {type: boolean, default: false}
    list: {type: array, default: []}
    word: {default: x}
---
a: {parallel: $[[ inputs.n ]], allow_failure: $[[ inputs.yes ]], script: [echo $[[ inputs.word ]], $[[ inputs.list ]]]}
";
    let given = serde_json::json!({"n": "2", "yes": "true", "list": "[one, two]", "word": "7"});
    let loaded = load_with(ci, &[], &given).unwrap();
    let done = compile(&loaded.root, &context()).unwrap();
    assert_eq!(work(&done, "a 1/2").script, ["echo 7", "one", "two"]);
    assert!(done.plan.steps[0].allow_failure);
    let Err(missing) = load(ci, &[]) else { panic!("accepted") };
    assert!(missing.get_hint().unwrap().en.contains(".gitlab-ci.yml:3:5"), "{missing}");
    let Err(unknown) = load_with(ci, &[], &serde_json::json!({"n": 1, "wrod": "x"})) else {
        panic!("accepted")
    };
    assert_eq!(unknown.place().unwrap().to_string(), ".gitlab-ci.yml:1:1");
    assert!(unknown.get_hint().unwrap().en.contains("`word`"));
}

#[test]
fn what_an_input_holds_is_never_yaml() {
    let text = "spec: {inputs: {x: {}}}\n---\na: {script: [\"echo $[[ inputs.x ]]\"]}\n";
    let evil =
        "include: {local: t.yml, inputs: {x: \"y\\\"]\\nb: {script: rm}\\n#$[[ inputs.x ]]\"}}";
    let done = built(evil, &[("t.yml", text)]);
    assert_eq!(jobs(&done), ["a"]);
    assert_eq!(work(&done, "a").script, ["echo y\"]\nb: {script: rm}\n#$[[ inputs.x ]]"]);
}

#[test]
fn inputs_that_grow_are_stopped() {
    let long = "x".repeat(100_000);
    let lines = "    - $[[ inputs.x ]]\n".repeat(100);
    let ci = format!("spec: {{inputs: {{x: {{default: {long}}}}}}}\n---\na:\n  script:\n{lines}");
    assert!(wrong(&ci, &[]).contains("all aliases written out"));
}

#[test]
fn the_whole_pipeline_can_be_shown_and_read_again() {
    let shelf: Shelf<'_> = &[(
        "ci/base.yml",
        ".base:\n  script: [echo base, 'a: b']\n  variables: {A: 'true', B: \"x\\ty\", C: ''}\n",
    )];
    let ci = "include: ci/base.yml
stages: [test]
a:
  extends: .base
  stage: test
  script:
    - !reference [.base, script]
    - |
      for i in 1 2; do
        echo $i
      done
  parallel: 2
";
    let loaded = load(ci, shelf).unwrap();
    let shown = show(&loaded, kernel::Lang::En).unwrap();
    assert!(shown.starts_with("# included: ci/base.yml by .gitlab-ci.yml:1:10\n"), "{shown}");
    assert!(shown.contains("\n# .gitlab-ci.yml:3, ci/base.yml:2\na:\n"), "{shown}");
    assert!(!shown.contains(".base:") && !shown.contains("!reference"), "{shown}");
    let again = built(&shown, &[]);
    let first = built(ci, shelf);
    assert_eq!(work(&again, "a 1/2").script, work(&first, "a 1/2").script, "{shown}");
    assert_eq!(work(&again, "a 1/2").variables, work(&first, "a 1/2").variables, "{shown}");
}

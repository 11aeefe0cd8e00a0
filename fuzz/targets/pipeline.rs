//! A pipeline file: sound ones give a graph that can run, others an error with its place.

#![no_main]

use delivery_pipeline::gitlab::{Component, FILE, Got, Wanted};
use delivery_pipeline::lint::{Lint, Suppose, lint};
use kernel::Lang;
use libfuzzer_sys::fuzz_target;
use std::collections::BTreeSet;

const INCLUDED: &[u8] = b".base:\n  script: [echo included]\n  variables: {A: b}\n";
const WITH_INPUTS: &[u8] = b"spec:
  component: [name, sha, version, reference]
  inputs:
    stage: {default: test}
    jobs: {type: array, default: [a, b]}
    count: {type: number, default: 2}
---
'$[[ component.name ]]-$[[ inputs.stage ]]':
  stage: $[[ inputs.stage ]]
  parallel: $[[ inputs.count ]]
  script: $[[ inputs.jobs ]]
";

fuzz_target!(|bytes: &[u8]| {
    // A file that takes no inputs refuses them.
    let given = bytes.windows(6).any(|w| w == b"given:");
    let suppose = Suppose {
        variables: [("GIVEN".to_owned(), "/^v.*$/".to_owned())].into(),
        changed: Some(["src/main.rs".to_owned()].into()),
        inputs: given.then(|| ("given".to_owned(), "[1, 2]".into())).into_iter().collect(),
        tree: vec!["src/main.rs".to_owned(), "Cargo.lock".to_owned()],
        merged: true,
        ..Suppose::default()
    };
    let read = |wanted: &Wanted| match wanted {
        Wanted::Paths { .. } => Got::Paths(vec!["ci/a.yml".into(), "ci/b.yml".into()]),
        Wanted::Component { .. } => Got::Component(Component {
            bytes: WITH_INPUTS.to_vec(),
            sha: "0".repeat(40),
            version: "1.0.0".into(),
        }),
        Wanted::File { path, .. } if path == FILE => Got::File(bytes.to_vec()),
        Wanted::File { path, .. } if path.ends_with("inputs.yml") => Got::File(WITH_INPUTS.to_vec()),
        _ => Got::File(INCLUDED.to_vec()),
    };
    let found = lint(FILE, &suppose, Lang::En, read);
    if let Some(error) = &found.error {
        let place = error.at.as_ref().expect("an error of a file has its place");
        assert!(place.line > 0 && place.column > 0, "{place}");
    }
    assert_eq!(found.valid, found.error.is_none());
    if let Some(merged) = &found.merged {
        let again = Suppose { inputs: Default::default(), ..suppose };
        let again = lint(FILE, &again, Lang::En, |_| Got::File(merged.clone().into_bytes()));
        assert!(again.valid, "{:?}\n{merged}", again.error);
        assert_eq!(names(&again), names(&found), "{merged}");
    }
    let mut before = BTreeSet::new();
    for step in &found.steps {
        assert!(before.insert(&step.name), "{} comes twice", step.name);
    }
    for need in found.steps.iter().flat_map(|s| &s.needs) {
        assert!(before.contains(need), "nobody makes {need}");
    }
});

fn names(lint: &Lint) -> Vec<(&str, &[String])> {
    lint.steps.iter().map(|s| (s.name.as_str(), s.needs.as_slice())).collect()
}

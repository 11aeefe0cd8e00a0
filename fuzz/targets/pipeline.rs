//! A pipeline file: sound ones give a graph that can run, others an error with its place.

#![no_main]

use delivery_pipeline::gitlab::FILE;
use delivery_pipeline::lint::{Suppose, lint};
use kernel::Lang;
use libfuzzer_sys::fuzz_target;
use std::collections::BTreeSet;

const INCLUDED: &[u8] = b".base:\n  script: [echo included]\n  variables: {A: b}\n";

fuzz_target!(|bytes: &[u8]| {
    let suppose = Suppose {
        variables: [("GIVEN".to_owned(), "/^v.*$/".to_owned())].into(),
        changed: Some(["src/main.rs".to_owned()].into()),
        tree: vec!["src/main.rs".to_owned(), "Cargo.lock".to_owned()],
        ..Suppose::default()
    };
    let read = |path: &str| Some(if path == FILE { bytes } else { INCLUDED }.to_vec());
    let found = lint(FILE, &suppose, Lang::En, read);
    if let Some(error) = &found.error {
        let place = error.at.as_ref().expect("an error of a file has its place");
        assert!(place.line > 0 && place.column > 0, "{place}");
    }
    assert_eq!(found.valid, found.error.is_none());
    let mut before = BTreeSet::new();
    for step in &found.steps {
        assert!(before.insert(&step.name), "{} comes twice", step.name);
    }
    for need in found.steps.iter().flat_map(|s| &s.needs) {
        assert!(before.contains(need), "nobody makes {need}");
    }
});

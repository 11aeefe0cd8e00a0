//! What is accepted and what is not, beside the official JSON Schema of `.gitlab-ci.yml`, which is in the
//! Python package `check-jsonschema`. `cargo xtask test` puts it where this test finds it.
//!
//! Each file is written here as sound or as not. naru must say the same, and so must the schema, but for the
//! files of [`STRICTER`] and [`LOOSER`], which say why.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

#[path = "agree_cases.rs"]
mod agree_cases;

use agree_cases::{JOB, SOUND, UNSOUND};
use delivery_pipeline::gitlab::{Component, FILE, Got, Wanted};
use delivery_pipeline::lint::{Suppose, lint};
use kernel::Lang;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::PathBuf;

/// The schema takes these, naru does not, as GitLab's server.
const STRICTER: &[(&str, &str)] = &[
    ("a:\n  script: x\n  parallel: {matrix: []}\n", "no job would come of it"),
    ("a:\n  script: x\n  cache: {path: [a]}\n", "the schema lets any key stand in a cache"),
    ("a:\n  script: x\n  cache: {key: {file: [a]}, paths: [a]}\n", "and in its key"),
    ("a:\n  script: x\n  rules: [{if: '$A =='}]\n", "a schema cannot read conditions"),
    ("a:\n  script: x\n  start_in: 5 minutes\n", "nothing is delayed without `when: delayed`"),
    ("workflow: {rule: []}\na: {script: x}", "the schema lets any key stand in `workflow`"),
    ("a: {trigger: {strategy: depend}}", "the schema does not ask what is triggered"),
];

/// The schema does not take these, naru does.
const LOOSER: &[(&str, &str)] = &[
    ("a:\n  script: x\n  rules: [[{if: $A}]]\n", "lists of rules are flattened, as GitLab does"),
    ("a:\n  script: x\n  services: [[a]]\n", "and so is every list that a reference may make"),
    ("stages: [build, build]\na: {stage: build, script: x}", "a stage named twice is one stage"),
    ("a: {trigger: x}", "a single word is a repository of the same project"),
];

/// Sound, and refused with a word what to do instead: they ask for a cloud's account.
const NOT_HERE: &[&str] = &[
    "identity",
    "secrets:aws_secrets_manager",
    "secrets:azure_key_vault",
    "secrets:gcp_secret_manager",
    "secrets:gitlab_secrets_manager:source",
];

fn schema() -> jsonschema::Validator {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("schemas/gitlab-ci.json");
    let text = std::fs::read(&path).unwrap_or_else(|error| {
        panic!("{}: {error}; `cargo xtask schemas` fetches it", path.display())
    });
    // Formats are remarks in draft 7, and `$URL` is an address to GitLab.
    let schema = serde_json::from_slice(&text).unwrap();
    jsonschema::draft7::options().should_validate_formats(false).build(&schema).unwrap()
}

/// Every file, and whether it is sound.
fn cases() -> Vec<(String, bool)> {
    let job = |key: &str, value: &str| {
        let others = if key == "script" { "" } else { "  script: x\n" };
        let templates = if key == "extends" { ".t: {script: x}\n.u: {script: y}\n" } else { "" };
        format!("{templates}a:\n{others}  {key}: {value}\n")
    };
    let mut out = Vec::new();
    for (key, sound, unsound) in JOB {
        out.extend(sound.iter().map(|value| (job(key, value), true)));
        out.extend(unsound.iter().map(|value| (job(key, value), false)));
    }
    out.extend(SOUND.iter().map(|text| ((*text).to_owned(), true)));
    out.extend(UNSOUND.iter().map(|text| ((*text).to_owned(), false)));
    out
}

/// As the schema's own tool reads a file: documents as one, a reference as its list.
fn value(text: &str) -> Option<Value> {
    let mut whole = serde_json::Map::new();
    for part in text.split("\n---\n") {
        match serde_saphyr::from_str::<Value>(part).ok()? {
            Value::Object(map) => whole.extend(map),
            _ => return None,
        }
    }
    Some(Value::Object(whole))
}

fn ours(text: &str) -> Option<String> {
    let read = |wanted: &Wanted| match wanted {
        Wanted::File { path, .. } if path == FILE => Got::File(text.as_bytes().to_vec()),
        Wanted::Component { .. } => Got::Component(Component {
            bytes: b"included: {script: x}".to_vec(),
            sha: "0".repeat(40),
            version: "1.0.0".into(),
        }),
        _ => Got::File(b"included: {script: x}".to_vec()),
    };
    let found = lint(FILE, &Suppose::default(), Lang::En, read);
    if let Some(error) = &found.error {
        assert!(error.at.is_some(), "no place: {} in\n{text}", error.say);
    }
    found.error.map(|error| error.say)
}

#[test]
fn naru_and_the_official_schema_agree() {
    let schema = schema();
    let mut wrong = Vec::new();
    let mut apart = BTreeSet::new();
    let cases = cases();
    for (text, sound) in &cases {
        let refusal = ours(text);
        let not_here = NOT_HERE.iter().any(|key| {
            refusal
                .as_ref()
                .is_some_and(|say| say.starts_with(&format!("`{key}` is not supported")))
        });
        if refusal.is_none() != *sound && !not_here {
            wrong.push(format!("naru: {} {text:?}", refusal.as_deref().unwrap_or("takes it")));
        }
        let instance = value(text).unwrap_or_else(|| panic!("no YAML: {text}"));
        let takes = schema.is_valid(&instance);
        let known = if takes { STRICTER } else { LOOSER };
        let listed = known.iter().any(|(case, _)| case == &text.as_str());
        if takes == *sound {
            continue;
        }
        if listed {
            apart.insert(text.as_str());
        } else {
            let why = schema.iter_errors(&instance).next().map(|e| e.to_string());
            let why = why.unwrap_or_else(|| "takes it".into());
            wrong.push(format!("schema: {} {text:?}", &why[..why.len().min(90)]));
        }
    }
    let listed = STRICTER.iter().chain(LOOSER).map(|(case, _)| *case);
    wrong.extend(listed.filter(|c| !apart.contains(c)).map(|c| format!("agreed after all: {c:?}")));
    assert!(wrong.is_empty(), "{} disagreements\n{}", wrong.len(), wrong.join("\n"));
    let sound = cases.iter().filter(|(_, sound)| *sound).count();
    assert!(sound >= 150 && cases.len() - sound >= 150, "{sound} of {}", cases.len());
}

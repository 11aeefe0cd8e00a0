use super::*;
use serde_json::{Value, json};

fn check(spec: Value) -> Result<Value> {
    (KINDS[0].check)(&spec)
}

#[test]
fn the_shortest_spec_is_enough_and_checks_to_itself() {
    let full = check(json!({"command": "python3 app.py", "replicas": 2, "health": "/healthz"}));
    let full = full.unwrap();
    assert_eq!(full["health"]["path"], "/healthz");
    assert_eq!(full["health"]["interval"], "5s");
    assert_eq!(full["strategy"]["max_surge"], "25%");
    assert_eq!(check(full.clone()).unwrap(), full, "canonical");
    assert!(check(json!({"command": "x"})).is_ok());
}

#[test]
fn what_makes_no_sense_is_refused_with_a_hint() {
    for wrong in [
        json!({}),
        json!({"command": ""}),
        json!({"command": "x", "replicas": 101}),
        json!({"command": "x", "replica": 2}),
        json!({"command": "x", "health": "healthz"}),
        json!({"command": "x", "health": "/a b"}),
        json!({"command": "x", "health": {"path": "/", "often": "1s"}}),
        json!({"command": "x", "health": "/", "listens": false}),
        json!({"command": "x", "env": {"PORT": "1"}}),
        json!({"command": "x", "env": {"A-B": "1"}}),
        json!({"command": "x", "stop": {"signal": "PANIC"}}),
        json!({"command": "x", "strategy": {"max_surge": 0, "max_unavailable": "0%"}}),
        json!({"command": "x", "hosts": ["../etc"]}),
        json!({"command": "x", "ready_within": "soon"}),
    ] {
        let error = check(wrong.clone()).expect_err(&wrong.to_string());
        assert!(error.get_hint().is_some(), "{wrong}");
    }
}

#[test]
fn only_what_instances_must_take_up_needs_a_release() {
    let old = Service::new("x");
    let scaled = Service { replicas: 3, ..old.clone() };
    assert!(!scaled.needs_release(&old));
    let env = Service { env: [("A".into(), "1".into())].into(), ..old.clone() };
    assert!(env.needs_release(&old));
}

//! Small files and the plans they make.

mod conditions;
mod deploying;
mod graph;
mod meanings;
mod merging;
mod properties;
mod running;
mod sources;
mod variables;

use super::*;
use crate::work::{Keep, Work};
use kernel::Text;
use kernel::error::Place;
use proptest::prelude::*;
use run::{Plan, Step, When};

pub(super) fn context() -> Context {
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
    let files = Files::of(FILE, Some(text.as_bytes().to_vec()));
    match gather(FILE, &Given::default(), &files, context)? {
        Gathered::Whole(loaded) => compile(&loaded.root, context),
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

/// Everything that a job knows when it runs, but for what the actor adds.
fn known(done: &Compiled, work: &Work) -> Scope {
    let all = std::sync::Arc::new(Scope::new([done.shared.variables.as_slice()]));
    let mut scope = Scope::over(&all, &work.without);
    scope.add(&work.variables);
    scope.add(&done.shared.given);
    scope
}

/// The merged file.
fn whole(text: &str) -> std::sync::Arc<yaml::Node> {
    let files = Files::of(FILE, Some(text.as_bytes().to_vec()));
    match gather(FILE, &Given::default(), &files, &context()).unwrap() {
        Gathered::Whole(loaded) => loaded.root,
        Gathered::Missing(paths) => panic!("{paths:?} asked for"),
    }
}

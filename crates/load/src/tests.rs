//! The generator against servers whose behaviour is known.

mod accuracy;
mod files;
mod server;
mod sessions;

use crate::engine::Outcome;
use crate::plan::{Plan, With, compile};
use crate::report::{Report, report};
use crate::{Options, run};
use std::collections::BTreeMap;
use std::sync::Arc;

fn plan(words: &str) -> kernel::Result<Plan> {
    let source = crate::read("load.yaml", words)?;
    let file = |name: &str| match name {
        "users.csv" => Ok("name,key\nada,1\ngrace,2\n".to_owned()),
        "broken.csv" => Ok("name,key\nada\n".to_owned()),
        _ => Err(std::io::ErrorKind::NotFound.into()),
    };
    compile(&source, &With { variables: BTreeMap::new(), file: &file })
}

async fn outcome(words: &str) -> (Arc<Plan>, Outcome) {
    let plan = Arc::new(plan(words).unwrap());
    let options = Options { workers: Some(1), ..Options::default() };
    let outcome = run(&plan, &options, |_| {}).await.unwrap();
    (plan, outcome)
}

async fn measure(words: &str) -> Report {
    let (plan, outcome) = outcome(words).await;
    report(&plan, &outcome, None).unwrap()
}

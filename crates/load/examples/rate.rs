//! The generator alone, for the bench: `rate URL RATE SECONDS VUS` (open), or with RATE 0 closed and as fast as it
//! goes. Prints the scenario of the report and the processor time of a request.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a bench may fail loudly")]

use load::plan::{With, compile};
use std::collections::BTreeMap;
use std::sync::Arc;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let args: Vec<String> = std::env::args().collect();
    let (url, rate, seconds, vus) = (&args[1], args[2].parse::<f64>().unwrap(), &args[3], &args[4]);
    let open = format!(
        "{{executor: constant-arrival-rate, rate: {rate}, duration: {seconds}s, preAllocatedVUs: {vus}, maxVUs: {vus}}}"
    );
    let closed = format!("{{executor: constant-vus, vus: {vus}, duration: {seconds}s}}");
    let scenario = if rate > 0.0 { open } else { closed };
    let words = format!("scenarios: {{s: {scenario}}}\nsteps: [{{request: {{url: '{url}'}}}}]\n");
    let source = load::read("bench", &words).unwrap();
    let no_file = |_: &str| Err(std::io::ErrorKind::NotFound.into());
    let plan = compile(&source, &With { variables: BTreeMap::new(), file: &no_file }).unwrap();
    let options = load::Options { workers: Some(1), ..Default::default() };
    let plan = Arc::new(plan);
    let outcome = load::run(&plan, &options, |_| {}).await.unwrap();
    let report = load::report::report(&plan, &outcome, None).unwrap();
    let s = &report.scenarios[0];
    println!(
        "requests {} failed {} dropped {} rate {:.0} p50 {:.3} p99 {:.3} service_p50 {:.3} lag_p50 {:.3} lag_p99 {:.3} cpu_us {:.2}",
        s.requests,
        s.failed,
        s.dropped,
        s.rate,
        s.duration.p50,
        s.duration.p99,
        s.service.p50,
        s.lag.p50,
        s.lag.p99,
        report.trust.cpu_us
    );
}

//! What is measured is what was there.

use super::{measure, outcome, server};
use std::sync::atomic::Ordering;
use std::time::Duration;

/// A server that takes 2, 5 or 20 ms by weight: quantiles come out as they went in.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_known_distribution_is_recovered() {
    let server = server::start().await;
    let r = measure(&format!(
        "scenarios:
  s:
    executor: constant-arrival-rate
    rate: 200
    duration: 2s
    preAllocatedVUs: 50
    steps:
      - choose:
          - {{weight: 0.6, steps: [{{request: {{url: '{0}/sleep/4'}}}}]}}
          - {{weight: 0.3, steps: [{{request: {{url: '{0}/sleep/20'}}}}]}}
          - {{weight: 0.1, steps: [{{request: {{url: '{0}/sleep/80'}}}}]}}
",
        server.url
    ))
    .await;
    let s = &r.scenarios[0];
    assert_eq!((s.requests, s.failed, s.dropped), (400, 0, 0));
    // Never less than the server slept. How much more depends on what else the machine does, so that the
    // quantiles looked at lie well inside of their part.
    let times = crate::metric::Times::decode(&s.histogram).unwrap();
    for (quantile, slept) in [(0.2, 4.0), (0.7, 20.0), (0.96, 80.0)] {
        let found = times.at(quantile);
        assert!((slept..slept * 1.5 + 12.0).contains(&found), "p{quantile}: {found}");
    }
    assert!(s.duration.min >= 4.0 * 0.999, "{:?}", s.duration);
}

/// The server stands still for half a second. A closed generator would see a few slow answers; here every
/// request that was due meanwhile is late.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stall_shows_in_every_request_that_was_due_in_it() {
    let stall = server::Stall(Duration::from_millis(500), Duration::from_millis(1000));
    let server = server::start_with(Some(stall)).await;
    let r = measure(&format!(
        "scenarios:
  s:
    executor: constant-arrival-rate
    rate: 200
    duration: 2s
    preAllocatedVUs: 5
    maxVUs: 300
    steps: [{{request: {{url: '{}/'}}}}]
",
        server.url
    ))
    .await;
    let s = &r.scenarios[0];
    assert_eq!((s.requests, s.failed, s.dropped), (400, 0, 0));
    // A quarter of them was due in the stall, and they waited from 0 to 500 ms.
    let times = crate::metric::Times::decode(&s.histogram).unwrap();
    let late = s.requests - times.below(100.0);
    assert!((70..=95).contains(&late), "{late} later than 100 ms");
    assert!((400.0..560.0).contains(&s.duration.max), "{:?}", s.duration);
}

/// With few VUs the requests of a stall have nobody to send them: they are dropped, counted, and what is
/// sent late counts from when it was due.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_free_vus_iterations_are_dropped_and_counted() {
    let server = server::start().await;
    let r = measure(&format!(
        "scenarios:
  s:
    executor: constant-arrival-rate
    rate: 100
    duration: 1s
    preAllocatedVUs: 2
    maxVUs: 4
    steps: [{{request: {{url: '{}/sleep/100'}}}}]
",
        server.url
    ))
    .await;
    let s = &r.scenarios[0];
    assert_eq!(s.requests + s.dropped, 100);
    assert!((30..=45).contains(&s.requests), "{}", s.requests);
    assert_eq!(s.vus_max, 4);
    assert!(r.trust.dropped_share > 0.5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ramp_follows_its_curve() {
    let server = server::start().await;
    let (_, done) = outcome(&format!(
        "scenarios:
  s:
    executor: ramping-arrival-rate
    startRate: 0
    preAllocatedVUs: 20
    stages: [{{duration: 1s, target: 200}}, {{duration: 1s, target: 200}}]
    steps: [{{request: {{url: '{}/'}}}}]
",
        server.url
    ))
    .await;
    assert_eq!(done.stats.scenarios[0].iterations, 300);
    let lag = crate::report::Spread::of(&done.stats.scenarios[0].lag);
    assert!(lag.p50 < 2.0, "{lag:?}");
}

/// Connections are kept, and only as many are made as there are requests at a time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_are_kept() {
    let server = server::start().await;
    let words = |more: &str| {
        format!(
            "{more}\nscenarios:
  s:
    executor: per-vu-iterations
    vus: 3
    iterations: 20
    steps: [{{request: {{url: '{}/'}}}}]
",
            server.url
        )
    };
    let r = measure(&words("")).await;
    assert_eq!(r.scenarios[0].requests, 60);
    assert_eq!(server.connections.load(Ordering::Relaxed), 3);
    let r = measure(&words("noConnectionReuse: true")).await;
    assert_eq!(r.scenarios[0].failed, 0);
    assert_eq!(server.connections.load(Ordering::Relaxed), 63);
    assert_eq!(r.scenarios[0].by_request[0].connecting.count, 60);
}

/// HTTP/2 by prior knowledge: many requests at a time on one connection.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http_2_shares_a_connection() {
    let server = server::start().await;
    let r = measure(&format!(
        "httpVersion: '2'
scenarios:
  s:
    executor: constant-arrival-rate
    rate: 300
    duration: 1s
    preAllocatedVUs: 60
    steps:
      - request:
          url: '{}/version'
          checks: {{speaks h2: {{contains: HTTP/2.0}}}}
      - request: {{url: '{0}/sleep/50'}}
",
        server.url
    ))
    .await;
    let s = &r.scenarios[0];
    assert_eq!((s.requests, s.failed, s.dropped), (600, 0, 0));
    assert_eq!(s.checks[0].passes, 300);
    assert_eq!(server.connections.load(Ordering::Relaxed), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calibration_says_what_the_generator_costs() {
    let c = crate::calibrate(500.0, Some(1), Duration::from_millis(400)).await.unwrap();
    assert!((490.0..=505.0).contains(&c.rate), "{c:?}");
    assert!(c.p50 > 0.0 && c.p50 < 20.0 && c.p50 <= c.p99, "{c:?}");
}

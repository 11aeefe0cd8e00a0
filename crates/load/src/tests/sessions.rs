//! Steps, checks, extracts, cookies, data, thresholds, errors.

use super::{measure, outcome, server};
use crate::report::{measured, report, summary};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_carries_its_values_from_step_to_step() {
    let server = server::start().await;
    let r = measure(&format!(
        r#"
variables: {{base: '{}'}}
data: {{users: {{file: users.csv}}}}
scenarios:
  shop:
    executor: shared-iterations
    iterations: 4
    vus: 1
    steps:
      - request:
          name: login
          url: ${{base}}/login
          body: ${{users.name}}
          checks:
            has a token: {{jsonpath: $.token}}
            second: {{jsonpath: '$.list[1]', equals: 2}}
            never: {{regex: 'no such (thing)'}}
          extract:
            token: {{jsonpath: $.token}}
      - sleep: 1ms..3ms
      - request:
          name: whoami
          url: ${{base}}/whoami/${{token}}
          checks:
            is somebody: {{regex: '^t-(ada|grace) sid=abc$'}}
      - request:
          url: ${{base}}/moved
          checks: {{followed: {{status: 200, contains: HTTP/1.1}}}}
"#,
        server.url
    ))
    .await;
    let s = &r.scenarios[0];
    let passes = |name: &str| {
        let c = s.checks.iter().find(|c| c.name == name).unwrap();
        (c.passes, c.fails)
    };
    assert_eq!(passes("has a token"), (4, 0));
    assert_eq!(passes("second"), (4, 0));
    assert_eq!(passes("never"), (0, 4));
    assert_eq!(passes("is somebody"), (4, 0));
    assert_eq!(passes("followed"), (4, 0));
    // The redirection is a request of its own.
    assert_eq!((s.iterations, s.requests), (4, 16));
    assert_eq!(s.by_request[2].statuses, [(200, 4), (302, 4)].into());
    assert!(s.by_request[0].sent > 0 && s.by_request[0].received > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thresholds_and_k6s_summary() {
    let server = server::start().await;
    let (plan, done) = outcome(&format!(
        r#"
thresholds:
  http_req_duration: ['p(95)<5000', 'avg<0.0001']
  'http_req_duration{{name:good}}': ['max<10000']
  http_req_failed: ['rate<0.4']
  'http_req_failed{{name:bad}}': ['rate<0.4']
  'http_reqs{{status:503}}': ['count==10']
  checks: ['rate>0.9']
  iterations: ['count==10']
  dropped_iterations: ['count<1']
steps:
  - request: {{name: good, url: '{0}/', checks: {{ok: {{status: 200-299}}}}}}
  - request: {{name: bad, url: '{0}/status/503'}}
  - request: {{name: wanted, url: '{0}/status/404', expectedStatuses: [404]}}
vus: 2
iterations: 10
"#,
        server.url
    ))
    .await;
    let r = report(&plan, &done, None).unwrap();
    let broken: Vec<String> = r
        .thresholds
        .iter()
        .filter(|t| !t.ok)
        .map(|t| format!("{} {}", t.metric, t.threshold))
        .collect();
    assert_eq!(broken, ["http_req_duration avg<0.0001", "http_req_failed{name:bad} rate<0.4"]);

    let k6 = summary(&plan, &done, &r).unwrap();
    assert_eq!(k6["metrics"]["http_reqs"]["count"], 30.0);
    assert_eq!(k6["metrics"]["http_req_failed"]["value"].as_f64().unwrap(), 1.0 / 3.0);
    assert_eq!(k6["metrics"]["http_req_duration"]["thresholds"]["avg<0.0001"], true);
    assert_eq!(k6["metrics"]["http_req_duration"]["thresholds"]["p(95)<5000"], false);
    assert!(k6["metrics"]["http_req_duration{name:good}"]["max"].as_f64().unwrap() > 0.0);
    assert_eq!(k6["root_group"]["checks"]["ok"]["passes"], 10);

    // Read back, it is the same report.
    let (all, back) = measured(k6.to_string().as_bytes());
    assert_eq!(all[0].requests, 30);
    let back = back.unwrap();
    assert_eq!((back.scenarios.len(), back.thresholds), (1, r.thresholds));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_threshold_ends_the_run() {
    let server = server::start().await;
    let (_, done) = outcome(&format!(
        r#"
thresholds:
  http_req_failed: [{{threshold: 'rate<0.5', abortOnFail: true}}]
steps: [{{request: {{url: '{}/status/500'}}}}, {{sleep: 5ms}}]
vus: 1
duration: 60s
"#,
        server.url
    ))
    .await;
    assert_eq!(done.aborted.as_deref(), Some("http_req_failed: rate<0.5"));
    assert!(done.elapsed.as_secs() < 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn errors_are_counted_by_kind_with_a_sample() {
    let server = server::start().await;
    let closed = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    };
    let r = measure(&format!(
        r#"
hosts: {{'shop.test': '127.0.0.1'}}
steps:
  - request: {{name: refused, url: 'http://shop.test:{}/', checks: {{ok: {{status: 200}}}}}}
  - request: {{name: slow, url: '{1}/sleep/2000', timeout: 50ms}}
  - request: {{name: bad, url: '{1}/status/500'}}
  - request: {{name: missing, url: '{1}/', extract: {{id: {{jsonpath: $.id}}}}}}
  - request: {{name: never, url: '{1}/'}}
vus: 1
iterations: 2
"#,
        closed.port(),
        server.url
    ))
    .await;
    let s = &r.scenarios[0];
    let kinds: Vec<_> = s
        .by_request
        .iter()
        .map(|r| r.errors.iter().map(|e| (e.kind.as_str(), e.count)).collect::<Vec<_>>())
        .collect();
    assert_eq!(
        kinds,
        [
            vec![("refused", 2)],
            vec![("timeout", 2)],
            vec![("status", 2)],
            vec![("extract", 2)],
            vec![]
        ]
    );
    assert_eq!(s.checks[0].fails, 2, "without an answer a check fails");
    assert_eq!(s.by_request[4].count, 0, "an iteration ends where its values are missing");
    assert_eq!(s.by_request[1].statuses, [(0, 2)].into());
    assert!(s.by_request[1].duration.max >= 50.0 && s.by_request[1].duration.max < 500.0);
}

//! A performance test in a pipeline: the job runs the server's own program, and its result is kept.

use crate::shop;

#[test]
fn a_job_measures_a_server_and_the_result_is_kept_per_commit() {
    let naru = shop();
    let ci = "performance:
  script:
    - python3 serve.py >/dev/null 2>&1 &
    - until [ -e port ]; do :; done
    - sed -i s/PORT/$(cat port)/ load.yaml
    - naru load run load.yaml --quiet --no-calibrate --summary-export load-performance.json
    - naru load gate --base main
  artifacts:
    reports:
      load_performance: load-performance.json
";
    let test = "scenarios:
  browse:
    executor: constant-arrival-rate
    rate: 20
    duration: 1s
    steps: [{request: {name: index, url: 'http://127.0.0.1:PORT/'}}]
thresholds:
  http_req_failed: ['rate<0.01']
";
    let server = "import http.server, os
server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), http.server.SimpleHTTPRequestHandler)
open('port.new', 'w').write(str(server.server_port))
os.rename('port.new', 'port')
server.serve_forever()
";
    let files = [(".gitlab-ci.yml", ci), ("load.yaml", test), ("serve.py", server)];
    let repository = naru.repository("shop", "web", &files).unwrap();
    let words = repository.follow().unwrap();
    let found = loop_until(|| {
        let found = naru.json(&["load", "list", "-p", "shop"]).unwrap();
        found["items"].get(0).cloned()
    });
    let found = found.unwrap_or_else(|| panic!("no result: {words}"));
    assert_eq!(found["scenario"], "browse", "{words}");
    assert_eq!(found["last"]["requests"], 20);
    assert_eq!(found["last"]["failed"], 0);
    assert_eq!(found["last"]["tool"], "naru");
    let page = naru.api("GET", "/projects/shop/load", "").unwrap();
    assert_eq!(page.status, 200);
    assert!(page.body.contains("web · browse"), "{}", page.body);
}

/// The follower works after the push has been answered: asked again until a limit, because nothing announces
/// a first result, which has no verdict yet.
fn loop_until<T>(mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    let end = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while std::time::Instant::now() < end {
        if let Some(found) = ask() {
            return Some(found);
        }
    }
    None
}

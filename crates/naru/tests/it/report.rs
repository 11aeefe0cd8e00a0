//! Reports a team reads: from a job's result files to what commands and pages say of them.

use crate::shop;
use serde_json::Value;
use testkit::{Naru, Repository};

/// Tests in the manner of pytest, written out: `wobbles` fails at its first attempt in a run, `broken` as long
/// as a file says so. What failed before is run alone.
const RUNNER: &str = r#"import os, sys

attempt = int(os.environ["NARU_ATTEMPT"])
again = os.environ.get("NARU_FAILED_TESTS_PYTEST")
only = open(again).read().split() if again else None
broken = os.path.exists("broken")

def wobbles(): return attempt > 1 or not os.path.exists("wobbly")
def breaks(): return not broken

tests = {"test_adds": lambda: True, "test_wobbles": wobbles, "test_breaks": breaks}
cases, failed = [], 0
for name, test in tests.items():
    if only and f"tests/test_cart.py::TestCart::{name}" not in only:
        continue
    ok = test()
    failed += not ok
    inner = "" if ok else f'<failure message="{name} does not hold">Traceback\n  tests/test_cart.py:3 &lt;{name}&gt;</failure>'
    cases.append(f'<testcase classname="tests.test_cart.TestCart" name="{name}" time="0.{len(name)}">{inner}</testcase>')
print("ran", len(cases), "tests")
open("report.xml", "w").write('<testsuites><testsuite name="pytest">' + "".join(cases) + "</testsuite></testsuites>")
hits = 1 if os.path.exists("covered") else 0
open("coverage.xml", "w").write(f'<coverage><packages><package><classes><class filename="cart.py"><lines><line number="1" hits="1"/><line number="2" hits="{hits}"/></lines></class></classes></package></packages></coverage>')
open("quality.json", "w").write('[{"description": "Too long", "check_name": "length", "fingerprint": "f1", "severity": "major", "location": {"path": "cart.py", "lines": {"begin": 2}}}]')
sys.exit(1 if failed else 0)
"#;

const PIPELINE: &str = "unit:
  script: python3 run_tests.py
  retry: 1
  artifacts:
    when: always
    reports:
      junit: report.xml
      coverage_report: { coverage_format: cobertura, path: coverage.xml }
      codequality: quality.json
";

const CART: &str = "def add(a, b):\n    return a + b\n";

fn files(more: &[(&'static str, &'static str)]) -> Vec<(&'static str, &'static str)> {
    let own = [
        (".gitlab-ci.yml", PIPELINE),
        ("run_tests.py", RUNNER),
        ("cart.py", CART),
        ("tests/test_cart.py", "x = 1\n"),
    ];
    [own.as_slice(), more].concat()
}

fn newest_run(naru: &Naru) -> String {
    let runs = naru.json(&["run", "list", "-p", "shop", "--limit", "1"]).unwrap();
    runs[0]["id"].as_str().unwrap().to_owned()
}

fn results(naru: &Naru) -> Value {
    naru.json(&["results", "-p", "shop", "--run", &newest_run(naru)]).unwrap()
}

fn log(naru: &Naru, run: &str) -> String {
    naru.api("GET", &format!("/api/v1/projects/shop/runs/{run}/steps/unit/log"), "").unwrap().body
}

fn page(naru: &Naru, path: &str) -> String {
    let answer = naru.api("GET", path, "").unwrap();
    assert_eq!(answer.status, 200, "{path}: {}", answer.body);
    assert_eq!(web::testing::complaint(answer.body.trim()), None, "{path}");
    web::testing::words(&answer.body)
}

fn push(work: &Repository) -> String {
    work.follow().unwrap()
}

#[test]
fn from_a_flaky_job_to_the_ledger_a_quarantine_and_the_pages() {
    let naru = shop();
    let work = naru.repository("shop", "web", &files(&[("wobbly", ""), ("covered", "")])).unwrap();
    // The first attempt fails, the second runs what failed alone, and passes.
    let words = push(&work);
    assert!(!words.contains("failed after"), "{words}");
    let first = results(&naru);
    assert_eq!(
        (&first["tests"]["passed"], &first["tests"]["failed"]),
        (&3.into(), &0.into()),
        "{first}"
    );
    assert_eq!(first["coverage"]["lines"], serde_json::json!({ "covered": 2, "all": 2 }));
    assert!(
        log(&naru, &newest_run(&naru)).contains("ran 1 tests"),
        "only the failed one ran again"
    );
    let flakes = naru.json(&["test", "flaky", "-p", "shop"]).unwrap();
    let id = "tests.test_cart.TestCart::test_wobbles";
    assert_eq!((&flakes[0]["id"], &flakes[0]["state"]), (&id.into(), &"open".into()), "{flakes}");
    assert_eq!(flakes[0]["evidence"][0]["failed"]["attempt"], 1);
    let events = naru.json(&["events", "-p", "shop", "--kind", "test.flaked"]).unwrap();
    assert!(events.to_string().contains(id), "{events}");

    // A test that fails fails its job, and the results say so.
    work.git(&["rm", "--quiet", "covered", "wobbly"]).unwrap();
    work.commit("Break it", &[("broken", "")]).unwrap();
    assert!(push(&work).contains("failed after"));
    let broken = results(&naru);
    let failure = &broken["failures"][0];
    assert_eq!(failure["id"], "tests.test_cart.TestCart::test_breaks");
    assert_eq!(
        (&broken["coverage"]["delta"], &broken["findings"]["new"]),
        (&(-50.0).into(), &0.into()),
        "{broken}"
    );
    let run = newest_run(&naru);
    let selectors =
        naru.say(&["test", "failed", "-p", "shop", "--run", &run, "--format", "pytest"]).unwrap();
    assert_eq!(selectors, "tests/test_cart.py::TestCart::test_breaks\n");

    // In quarantine its failure is allowed, and the log says whose it is.
    let said = naru
        .say(&[
            "test",
            "quarantine",
            "tests.test_cart.TestCart::test_breaks",
            "-p",
            "shop",
            "--owner",
            "han",
            "--reason",
            "being mended",
        ])
        .unwrap();
    assert!(said.contains("han"), "{said}");
    work.commit("Still broken", &[("note", "1")]).unwrap();
    let words = push(&work);
    assert!(!words.contains("failed after"), "{words}");
    let excused = naru.json(&["run", "show", &newest_run(&naru), "-p", "shop"]).unwrap();
    assert_eq!(excused["state"], "passed", "{excused}");
    assert_eq!(excused["steps"][0]["state"], "allowed_failure");
    assert!(excused["steps"][0]["reason"]["en"].as_str().unwrap().contains("quarantine"));
    let excused = results(&naru);
    assert_eq!(excused["failures"][0]["quarantine"]["owner"], "han");

    pages(&naru, &run);
    commands(&naru);
}

fn pages(naru: &Naru, run: &str) {
    let health = page(naru, "/projects/shop/tests");
    assert!(health.contains("test_breaks") && health.contains("Pass rate"), "{health}");
    assert!(page(naru, "/projects/shop/tests/flaky").contains("test_wobbles"));
    assert!(page(naru, "/projects/shop/tests/all?q=ADDS").contains("test_adds"));
    assert!(page(naru, "/projects/shop/tests/coverage").contains("50.0 %"));
    assert!(page(naru, "/projects/shop/tests/cost").contains("web: unit"));
    let results = page(naru, &format!("/projects/shop/runs/{run}/results"));
    for said in ["test_breaks does not hold", "cart.py:2", "Too long", "Critical path"] {
        assert!(results.contains(said), "{said}: {results}");
    }
    let found = naru
        .json(&["test", "show", "tests.test_cart.TestCart::test_wobbles", "-p", "shop"])
        .unwrap();
    let test = page(naru, &format!("/projects/shop/tests/web/{}", found["test"].as_str().unwrap()));
    assert!(test.contains("Contradictions"), "{test}");
}

fn commands(naru: &Naru) {
    for (args, said) in [
        (&["test", "list"][..], "test_breaks"),
        (&["test", "slow"], "test_wobbles"),
        (&["test", "show", "tests.test_cart.TestCart::test_breaks"], "in quarantine: han"),
        (&["coverage"], "50.0 %"),
        (&["findings"], "Too long"),
        (&["cost"], "web: unit"),
        (&["results"], "critical path"),
        (&["get", "quarantines"], "being mended"),
    ] {
        let words = naru.say(&[args, &["-p", "shop"]].concat()).unwrap();
        assert!(words.contains(said), "{args:?}: {words}");
    }
    let times =
        naru.api("GET", "/api/v1/projects/shop/repositories/web/times?job=unit", "").unwrap();
    assert!(
        times.json().unwrap()["tests.test_cart.TestCart"].as_f64().unwrap() > 0.0,
        "{}",
        times.body
    );
    let unknown = naru.cli(&["test", "show", "nothing", "-p", "shop"]).unwrap();
    let words = String::from_utf8_lossy(&unknown.stderr).into_owned();
    assert!(!unknown.status.success() && words.contains("naru test list"), "{words}");
}

/// Two jobs share four files; each says which it got, and reports that one file takes as long as all others.
pub const SHARING: &str = "unit:
  parallel: 2
  script:
    - naru pipeline shard tests/test_*.py > mine; echo mine=$(cat mine)
    - python3 report.py
  artifacts: { when: always, reports: { junit: report.xml } }
";

pub const SHARED_REPORT: &str = r#"import os
times = {"a": 0.9, "b": 0.3, "c": 0.3, "d": 0.3}
cases = ""
for path in open("mine").read().split():
    name = path.removesuffix(".py").replace("/", ".")
    cases += f'<testcase classname="{name}.TestIt" name="test_it" time="{times[name[-1]]}"/>'
open("report.xml", "w").write(f"<testsuites><testsuite name='pytest'>{cases}</testsuite></testsuites>")
"#;

/// `mine=…` of a log.
fn mine(log: &str) -> String {
    let line =
        log.lines().find_map(|l| l.split_once("mine=").filter(|(before, _)| !before.contains('$')));
    line.map(|(_, files)| files.split('"').next().unwrap_or("").trim().to_owned())
        .unwrap_or_default()
}

#[test]
fn jobs_share_a_suite_by_the_times_of_the_pipeline_before() {
    let naru = shop();
    let files = [
        (".gitlab-ci.yml", SHARING),
        ("report.py", SHARED_REPORT),
        ("tests/test_a.py", ""),
        ("tests/test_b.py", ""),
        ("tests/test_c.py", ""),
        ("tests/test_d.py", ""),
    ];
    let work = naru.repository("shop", "web", &files).unwrap();
    let shares = |run: &str| {
        ["unit%201%2F2", "unit%202%2F2"].map(|step| {
            let path = format!("/api/v1/projects/shop/runs/{run}/steps/{step}/log");
            let log = naru.api("GET", &path, "").unwrap().body;
            (mine(&log), log.contains("measured times of 4 test files"))
        })
    };
    push(&work);
    let first = newest_run(&naru);
    let even =
        [("tests/test_a.py tests/test_c.py", false), ("tests/test_b.py tests/test_d.py", false)];
    assert_eq!(shares(&first), even.map(|(files, told)| (files.to_owned(), told)));
    // The long file alone, and what takes as long together.
    work.commit("Again", &[("note", "1")]).unwrap();
    push(&work);
    let by_time =
        [("tests/test_a.py", true), ("tests/test_b.py tests/test_c.py tests/test_d.py", true)];
    let by_time = by_time.map(|(files, told)| (files.to_owned(), told));
    assert_eq!(shares(&newest_run(&naru)), by_time);
    // A retry of the first pipeline cuts as that one did: its other jobs are not run again.
    let again = format!("/api/v1/projects/shop/runs/{first}/steps/unit%202%2F2/retry");
    let again = naru.api("POST", &again, "{}").unwrap().json().unwrap();
    let again = again["id"].as_str().unwrap().to_owned();
    naru.say(&["run", "log", &again, "unit 2/2", "-p", "shop"]).unwrap();
    assert_eq!(shares(&again)[1].0, even[1].0);
}

#[test]
fn a_report_that_is_not_there_whole_excuses_nothing() {
    let naru = shop();
    let ci = "unit:
  script:
    - ln -s /etc/hostname more.xml
    - printf '<testsuite><testcase classname=\"c\" name=\"slow\"><failure/></testcase></testsuite>' > report.xml
    - exit 1
  artifacts: { when: always, reports: { junit: [report.xml, more.xml] } }
";
    naru.say(&[
        "test",
        "quarantine",
        "c::slow",
        "-p",
        "shop",
        "--owner",
        "han",
        "--reason",
        "being mended",
    ])
    .unwrap();
    let work = naru.repository("shop", "web", &[(".gitlab-ci.yml", ci)]).unwrap();
    // What the link stands for may tell of others that failed.
    assert!(push(&work).contains("failed after"));
    let said = log(&naru, &newest_run(&naru));
    assert!(said.contains("reports are missing, so the failure counts"), "{said}");
    let whole = ci.replace("    - ln -s /etc/hostname more.xml\n", "").replace(", more.xml", "");
    work.commit("All of it", &[(".gitlab-ci.yml", &whole)]).unwrap();
    let words = push(&work);
    assert!(!words.contains("failed after"), "{words}");
    assert!(words.contains("quarantine"), "{words}");
}

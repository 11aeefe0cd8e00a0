//! Files that do not fit: where, what, and the nearest word.

use super::plan;

fn wrong(words: &str) -> String {
    let error = plan(words).expect_err(words);
    let place = error.place().map(|p| p.to_string()).unwrap_or_default();
    let hint = error.get_hint().map(|h| format!(" ({})", h.en)).unwrap_or_default();
    format!("{place} {}{hint}", error.say().en)
}

const STEP: &str = "steps: [{request: {url: 'http://h/'}}]\n";

#[test]
fn misspelt_and_misplaced() {
    for (words, want) in [
        (
            "scenarioz: {}",
            "load.yaml:1:1 `scenarioz` is not known here (did you mean `scenarios`?)",
        ),
        (
            "scenarios:\n  a:\n    executor: constant-arival-rate\n",
            "load.yaml:3:15 “constant-arival-rate” is not known here (did you mean `constant-arrival-rate`?)",
        ),
        (
            "scenarios:\n  a:\n    executor: constant-vus\n    duration: 5s\n    wus: 3\n",
            "load.yaml:5:5 `wus` is not known here (did you mean `vus`?)",
        ),
        (
            "steps:\n  - requst: {url: 'http://h/'}\n",
            "load.yaml:2:5 “requst” is not known here (did you mean `request`?)",
        ),
        (
            "{\n  \"vus\": 1,\n  \"duratoin\": \"5s\"\n}",
            "load.yaml:3:3 `duratoin` is not known here (did you mean `duration`?)",
        ),
        ("vus: 1\nvus: 2\n", "load.yaml:2:1 `vus` is there twice"),
    ] {
        assert_eq!(wrong(words), want);
    }
}

#[test]
fn what_does_not_fit_together() {
    let with = |more: &str| format!("{STEP}{more}");
    for (words, want) in [
        (
            with(""),
            "load.yaml:1:1 there is no scenario (`scenarios:` holds them by name; `naru load schema` shows what they take)",
        ),
        (
            with("scenarios:\n  a:\n    executor: constant-arrival-rate\n    duration: 5s\n"),
            "load.yaml:3:3 `rate` is missing",
        ),
        (
            with(
                "scenarios:\n  a:\n    executor: constant-arrival-rate\n    duration: 5s\n    rate: -1\n",
            ),
            "load.yaml:6:5 `rate` is a number above 0",
        ),
        (
            with("scenarios:\n  a:\n    executor: constant-vus\n    duration: 5s\n    rate: 5\n"),
            "load.yaml:6:5 constant-vus does not use `rate`",
        ),
        (
            with(
                "scenarios:\n  a:\n    executor: constant-vus\n    duration: 5s\n    exec: brows\nflows: {browse: []}\n",
            ),
            "load.yaml:6:5 there is no flow `brows` (did you mean `browse`?)",
        ),
        (
            with(
                "scenarios:\n  a:\n    executor: constant-arrival-rate\n    duration: 5s\n    rate: 5\n    preAllocatedVUs: 5\n    maxVUs: 2\n",
            ),
            "load.yaml:8:5 `maxVUs` is 2, fewer than the 5 of `preAllocatedVUs`",
        ),
        (
            "vus: 1\nduration: 5\nsteps: []\n".into(),
            "load.yaml:2:11 it cannot be read: “5” is not a length of time such as `30s`, `250ms` or `1m30s`",
        ),
    ] {
        let found = wrong(&words);
        assert_eq!(found, want, "{words}");
    }
}

#[test]
fn requests() {
    let with = |request: &str| format!("vus: 1\nduration: 1s\nsteps:\n  - request:\n{request}");
    for (request, want) in [
        (
            "      url: shop/\n",
            "load.yaml:5:7 “shop/” is not an address (write it as http://HOST:PORT/PATH)",
        ),
        (
            "      url: http://h/${tokn}\n",
            "load.yaml:5:7 `tokn` is not known: no variable, no column, nothing extracted by an earlier step",
        ),
        ("      url: http://h/${a\n", "load.yaml:5:7 `${` has no end"),
        ("      url: http://h/\n      method: 'A B'\n", "load.yaml:6:7 `A B` is not a method"),
        (
            "      url: http://h/\n      body: a\n      json: {}\n",
            "load.yaml:4:5 one of `body`, `json` and `form`, not more",
        ),
        (
            "      url: http://h/\n      checks:\n        ok:\n          regex: 'a('\n",
            "load.yaml:8:11 not a regular expression: unclosed group",
        ),
        (
            "      url: http://h/\n      checks:\n        ok: {jsonpath: '$..a'}\n",
            "load.yaml:7:14 “$..a” is not a path into JSON (keys and indices: `$.items[0].id`)",
        ),
        (
            "      url: http://h/\n      checks:\n        ok: {}\n",
            "load.yaml:7:9 this check asks for nothing",
        ),
        (
            "      url: http://h/\n      extract:\n        t: {regex: a, header: b}\n",
            "load.yaml:7:9 exactly one of `jsonpath`, `regex` and `header`",
        ),
    ] {
        let found = wrong(&with(request));
        assert!(found.starts_with(want), "{found}\n{want}");
    }
}

#[test]
fn thresholds_and_data() {
    let with = |more: &str| {
        format!(
            "vus: 1\nduration: 1s\nsteps: [{{request: {{name: login, url: 'http://h/'}}}}]\n{more}"
        )
    };
    for (more, want) in [
        (
            "thresholds:\n  http_req_durations: ['avg<1']\n",
            "load.yaml:5:3 there is no metric `http_req_durations` (did you mean `http_req_duration`?)",
        ),
        (
            "thresholds:\n  http_req_duration:\n    - p95<200\n",
            "load.yaml:6:7 “p95<200” is not a threshold (write it as `p(95)<200`, `avg<100`, `rate<0.01` or `count>100`)",
        ),
        (
            "thresholds:\n  http_req_failed: ['avg<1']\n",
            "load.yaml:5:21 `avg<1` does not fit http_req_failed (it has rate)",
        ),
        (
            "thresholds:\n  'http_req_duration{name:logn}': ['avg<1']\n",
            "load.yaml:5:3 nothing in this test has these tags, so the threshold would always hold (requests are named: login)",
        ),
        (
            "thresholds:\n  'http_req_waiting{status:200}': ['avg<1']\n",
            "load.yaml:5:3 nothing in this test has these tags, so the threshold would always hold (requests are named: login)",
        ),
        (
            "data:\n  users: {file: no.csv}\n",
            "load.yaml:5:11 no.csv cannot be read: entity not found",
        ),
        (
            "data:\n  users: {file: broken.csv}\n",
            "load.yaml:5:11 line 2 of broken.csv has not as many fields as its first",
        ),
        ("data:\n  users: {}\n", "load.yaml:5:3 data needs either `file` or `rows`"),
    ] {
        assert_eq!(wrong(&with(more)), want);
    }
}

#[test]
fn json_with_tabs_is_read_too() {
    let words = "{\n\t\"vus\": 2,\n\t\"duration\": \"1s\",\n\t\"steps\": [\n\t\t{\"request\": {\"url\": \"http:\\/\\/h\\/\"}}\n\t]\n}\n";
    assert_eq!(plan(words).unwrap().vus(), 2);
}

/// The schema says what the reader takes.
#[test]
fn the_schema_knows_every_option() {
    let schema = serde_json::to_value(schemars::schema_for!(crate::file::Test)).unwrap();
    for option in
        ["scenarios", "thresholds", "insecureSkipTLSVerify", "userAgent", "hosts", "stages"]
    {
        assert!(schema["properties"][option].is_object(), "{option}");
    }
    assert_eq!(schema["additionalProperties"], false);
}

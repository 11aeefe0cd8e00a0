//! Answers of the API as tables.

use cli::Table;
use kernel::time::show_duration;
use kernel::{Lang, Text, text};
use serde_json::Value;
use std::time::Duration;

fn word(value: &Value) -> &str {
    value.as_str().unwrap_or("-")
}

fn ms(value: &Value) -> String {
    match value.as_f64() {
        Some(ms) if ms >= 0.0 => show_duration(Duration::from_millis(ms as u64)),
        _ => "-".into(),
    }
}

fn seconds(value: &Value) -> String {
    value.as_f64().map_or("-".into(), |s| format!("{s:.1}"))
}

/// `2026-11-24 10:45`
fn moment(value: &Value) -> String {
    let words = word(value);
    words.get(..16).map_or(words.to_owned(), |w| w.replace('T', " "))
}

fn short(value: &Value) -> &str {
    let words = word(value);
    words.get(..8).unwrap_or(words)
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn sign(outcome: &str) -> char {
    match outcome {
        "passed" => '.',
        "flaky" => '~',
        "skipped" => 's',
        "failed" => 'F',
        "error" => 'E',
        _ => '?',
    }
}

/// The newest results as letters, oldest first.
fn strip(recent: &Value) -> String {
    let all: Vec<char> = items(recent).map(|o| sign(word(o))).collect();
    all.iter().skip(all.len().saturating_sub(20)).collect()
}

fn held(quarantine: &Value) -> String {
    match (quarantine.is_null(), quarantine["over"].as_bool()) {
        (true, _) => String::new(),
        (_, Some(true)) => format!("{} (!)", word(&quarantine["owner"])),
        _ => format!(
            "{} {}",
            word(&quarantine["owner"]),
            word(&quarantine["ends"]).get(..10).unwrap_or("")
        ),
    }
}

const TEACH: (&str, &str) = (
    "no test reports yet: let a job leave one with `artifacts: reports: junit: report.xml`",
    "아직 테스트 보고서가 없습니다. 작업에 `artifacts: reports: junit: report.xml`을 쓰세요",
);

pub(super) fn tests(page: &Value, lang: Lang) -> Table {
    let head = [
        ("OUTCOME", "결과"),
        ("TEST", "테스트"),
        ("JOB", "작업"),
        ("TOOK", "소요"),
        ("RECENT", "최근"),
        ("QUARANTINE", "격리"),
    ];
    let mut table =
        Table::new(head.map(|(en, ko)| lang.pick(en, ko))).nothing(lang.pick(TEACH.0, TEACH.1));
    for t in items(&page["items"]) {
        table.row([
            word(&t["outcome"]).to_owned(),
            word(&t["id"]).to_owned(),
            word(&t["job"]).to_owned(),
            ms(&t["ms"]),
            strip(&t["recent"]),
            held(&t["quarantine"]),
        ]);
    }
    let (shown, total) =
        (items(&page["items"]).count() as u64, page["total"].as_u64().unwrap_or(0));
    if total > shown {
        let more = total - shown;
        say(
            &mut table,
            lang,
            &text!(
                "{more} more; --limit shows them",
                "{more}개 더 있습니다. --limit으로 볼 수 있습니다"
            ),
        );
    }
    table
}

fn say(table: &mut Table, lang: Lang, text: &Text) {
    table.remark(text.get(lang));
}

pub(super) fn history(found: &Value, limit: usize, lang: Lang) -> Table {
    let head = [
        ("WHEN", "시각"),
        ("OUTCOME", "결과"),
        ("TOOK", "소요"),
        ("COMMIT", "커밋"),
        ("BRANCH", "브랜치"),
        ("JOB", "작업"),
        ("ATTEMPT", "시도"),
        ("RUN", "실행"),
    ];
    let mut table = Table::new(head.map(|(en, ko)| lang.pick(en, ko)));
    for p in items(&found["points"]).take(limit) {
        table.row([
            moment(&p["at"]),
            word(&p["outcome"]).to_owned(),
            ms(&p["ms"]),
            short(&p["commit"]).to_owned(),
            word(&p["branch"]).to_owned(),
            word(&p["step"]).to_owned(),
            p["attempt"].to_string(),
            word(&p["run"]).to_owned(),
        ]);
    }
    let (id, ran, failed) = (
        word(&found["id"]),
        found["ran"].as_u64().unwrap_or(0),
        found["failed"].as_u64().unwrap_or(0),
    );
    say(
        &mut table,
        lang,
        &text!(
            "{id}: failed {failed} of the newest {ran} times",
            "{id}: 최근 {ran}번 가운데 {failed}번 실패"
        ),
    );
    let flake = &found["flake"];
    if !flake.is_null() {
        let (state, rate) = (word(&flake["state"]), percent(&flake["rate"]));
        say(
            &mut table,
            lang,
            &text!(
                "in the flake ledger: {state}, fails {rate}",
                "불안정 테스트 장부: {state}, 실패율 {rate}"
            ),
        );
    }
    if !found["quarantine"].is_null() {
        let who = held(&found["quarantine"]);
        say(&mut table, lang, &text!("in quarantine: {who}", "격리: {who}"));
    }
    table
}

fn percent(share: &Value) -> String {
    share.as_f64().map_or("-".into(), |s| format!("{:.0} %", s * 100.0))
}

pub(super) fn flakes(all: &Value, lang: Lang) -> Table {
    let head = [
        ("STATE", "상태"),
        ("TEST", "테스트"),
        ("FAILS", "실패율"),
        ("TIMES", "횟수"),
        ("LAST", "마지막"),
        ("HOW", "양상"),
        ("QUARANTINE", "격리"),
    ];
    let mut table = Table::new(head.map(|(en, ko)| lang.pick(en, ko))).nothing(lang.pick(
        "no test has had different results on the same commit",
        "같은 커밋에서 결과가 달랐던 테스트가 없습니다",
    ));
    for f in items(all) {
        table.row([
            word(&f["state"]).to_owned(),
            word(&f["id"]).to_owned(),
            percent(&f["rate"]),
            f["times"].to_string(),
            moment(&f["last"]),
            word(&f["manner"]).to_owned(),
            held(&f["quarantine"]),
        ]);
    }
    table
}

pub(super) fn slow(page: &Value, lang: Lang) -> Table {
    let head = [("TOOK", "소요"), ("TEST", "테스트"), ("JOB", "작업")];
    let mut table =
        Table::new(head.map(|(en, ko)| lang.pick(en, ko))).nothing(lang.pick(TEACH.0, TEACH.1));
    for t in items(&page["slowest"]) {
        table.row([ms(&t["ms"]), word(&t["id"]).to_owned(), word(&t["job"]).to_owned()]);
    }
    for t in items(&page["slower"]) {
        let (id, s) = (word(&t["id"]), &t["slower"]);
        let (was, is) = (ms(&s["before_ms"]), ms(&s["after_ms"]));
        say(
            &mut table,
            lang,
            &text!("got slower: {id}, {was} → {is}", "느려짐: {id}, {was} → {is}"),
        );
    }
    table
}

fn ratio(value: &Value) -> String {
    let (covered, all) =
        (value["covered"].as_f64().unwrap_or(0.0), value["all"].as_f64().unwrap_or(0.0));
    if all > 0.0 { format!("{:.1} %", covered * 100.0 / all) } else { "-".into() }
}

pub(super) fn trends(all: &Value, lang: Lang) -> Table {
    let head = [
        ("REPOSITORY", "저장소"),
        ("BRANCH", "브랜치"),
        ("WHEN", "시각"),
        ("COMMIT", "커밋"),
        ("LINES", "줄"),
        ("BRANCHES", "분기"),
        ("FUNCTIONS", "함수"),
    ];
    let mut table = Table::new(head.map(|(en, ko)| lang.pick(en, ko))).nothing(lang.pick(
        "no coverage yet: let a job leave one with `artifacts: reports: coverage_report:`",
        "아직 커버리지가 없습니다. 작업에 `artifacts: reports: coverage_report:`를 쓰세요",
    ));
    for t in items(all) {
        let points: Vec<&Value> = items(&t["points"]).collect();
        for p in points.into_iter().rev() {
            table.row([
                word(&t["repository"]).to_owned(),
                word(&t["branch"]).to_owned(),
                moment(&p["at"]),
                short(&p["commit"]).to_owned(),
                ratio(&p["lines"]),
                ratio(&p["branches"]),
                ratio(&p["functions"]),
            ]);
        }
    }
    table
}

/// `3, 7-9`
fn lines(ranges: &Value) -> String {
    let one = |r: &Value| match (r[0].as_u64(), r[1].as_u64()) {
        (Some(a), Some(b)) if a == b => a.to_string(),
        (Some(a), Some(b)) => format!("{a}-{b}"),
        _ => String::new(),
    };
    let shown: Vec<String> = items(ranges).take(12).map(one).collect();
    let more = if items(ranges).count() > 12 { ", …" } else { "" };
    format!("{}{more}", shown.join(", "))
}

pub(super) fn files(coverage: &Value, limit: usize, lang: Lang) -> Table {
    let head = [("LINES", "줄"), ("FILE", "파일"), ("MISSED", "실행되지 않은 줄")];
    let mut table = Table::new(head.map(|(en, ko)| lang.pick(en, ko)))
        .nothing(lang.pick("the run measured no coverage", "이 실행은 커버리지를 재지 않았습니다"));
    for f in items(&coverage["files"]).take(limit) {
        table.row([ratio(&f["lines"]), word(&f["path"]).to_owned(), lines(&f["missed"])]);
    }
    measured(&mut table, coverage, lang);
    table
}

/// One line on coverage and its change.
fn measured(table: &mut Table, coverage: &Value, lang: Lang) {
    if coverage.is_null() {
        return;
    }
    let total = ratio(&coverage["lines"]);
    let delta = coverage["delta"].as_f64().map(|d| format!(" ({d:+.2})")).unwrap_or_default();
    say(table, lang, &text!("coverage: {total}{delta}", "커버리지: {total}{delta}"));
    let changed = &coverage["changed"];
    if changed["lines"]["all"].as_u64().unwrap_or(0) > 0 {
        let share = ratio(&changed["lines"]);
        say(table, lang, &text!("of the changed lines: {share}", "바뀐 줄 가운데: {share}"));
    }
}

pub(super) fn findings(found: &Value, limit: usize, lang: Lang) -> Table {
    let head =
        [("", ""), ("SEVERITY", "심각도"), ("RULE", "규칙"), ("WHERE", "위치"), ("WHAT", "내용")];
    let nothing = if found.is_null() {
        lang.pick("the run left no analysis", "이 실행은 분석 결과를 남기지 않았습니다")
    } else {
        lang.pick("nothing was found", "발견한 것이 없습니다")
    };
    let mut table = Table::new(head.map(|(en, ko)| lang.pick(en, ko))).nothing(nothing);
    for f in items(&found["items"]).take(limit) {
        let new = if f["new"].as_bool() == Some(true) { lang.pick("new", "새것") } else { "" };
        let place = format!("{}:{}", word(&f["path"]), f["line"]);
        let message: String = word(&f["message"]).chars().take(80).collect();
        table.row([new, word(&f["severity"]), word(&f["rule"]), &place, &message]);
    }
    let (new, fixed) = (found["new"].as_u64().unwrap_or(0), items(&found["fixed"]).count());
    say(&mut table, lang, &text!("{new} new, {fixed} fixed", "새것 {new}개, 고친 것 {fixed}개"));
    table
}

pub(super) fn results(found: &Value, lang: Lang) -> Table {
    let head = [
        ("JOB", "작업"),
        ("ATTEMPT", "시도"),
        ("PASSED", "통과"),
        ("FAILED", "실패"),
        ("SKIPPED", "건너뜀"),
        ("COVERAGE", "커버리지"),
        ("CORE S", "코어 초"),
    ];
    let mut table = Table::new(head.map(|(en, ko)| lang.pick(en, ko)))
        .nothing(lang.pick("no job of this run has ended yet", "아직 끝난 작업이 없습니다"));
    for j in items(&found["jobs"]) {
        let tests = &j["tests"];
        let passed = tests["passed"].as_u64().unwrap_or(0) + tests["flaky"].as_u64().unwrap_or(0);
        let core = j["cpu_ms"].as_f64().or(j["took_ms"].as_f64()).unwrap_or(0.0) / 1000.0;
        table.row([
            word(&j["step"]).to_owned(),
            j["attempt"].to_string(),
            passed.to_string(),
            tests["failed"].to_string(),
            tests["skipped"].to_string(),
            ratio(&j["coverage"]),
            format!("{core:.1}"),
        ]);
    }
    for f in items(&found["failures"]).take(20) {
        let (id, outcome, message) = (word(&f["id"]), word(&f["outcome"]), word(&f["message"]));
        let line: String = message.lines().next().unwrap_or("").chars().take(100).collect();
        let held = if f["quarantine"]["over"].as_bool() == Some(false) {
            lang.pick(" (quarantine)", " (격리)")
        } else {
            ""
        };
        table.remark(format!("{outcome}{held}: {id}: {line}"));
    }
    measured(&mut table, &found["coverage"], lang);
    let path = &found["path"];
    if !path.is_null() {
        let chain: Vec<String> = items(&path["chain"])
            .map(|l| format!("{} {}", word(&l["step"]), ms(&l["worked_ms"])))
            .collect();
        let (total, waited, chain) =
            (ms(&path["total_ms"]), ms(&path["waited_ms"]), chain.join(" → "));
        say(
            &mut table,
            lang,
            &text!(
                "critical path, {total} of which {waited} waiting: {chain}",
                "임계 경로 {total}, 그 가운데 대기 {waited}: {chain}"
            ),
        );
        for a in items(&path["answers"]) {
            table.remark(format!("  {}", word(&a["say"][lang.tag()])));
        }
    }
    table
}

pub(super) fn costs(found: &Value, by: &str, lang: Lang) -> Table {
    let head = [
        ("", ""),
        ("CORE S", "코어 초"),
        ("FAILED", "실패"),
        ("RETRIED", "재시도"),
        ("WALL S", "벽시계 초"),
        ("ATTEMPTS", "시도"),
    ];
    let mut table = Table::new(head.map(|(en, ko)| lang.pick(en, ko)))
        .nothing(lang.pick("no job has run yet", "아직 실행된 작업이 없습니다"));
    let cut = match by {
        "week" => &found["weeks"],
        "branch" => &found["branches"],
        _ => &found["jobs"],
    };
    let total = &found["total"];
    for s in items(cut).chain((total["attempts"].as_u64() > Some(0)).then_some(total)) {
        let name = match word(&s["name"]) {
            "" => lang.pick("all", "모두"),
            name => name,
        };
        table.row([
            name.to_owned(),
            seconds(&s["core_s"]),
            seconds(&s["failed_s"]),
            seconds(&s["retried_s"]),
            seconds(&s["wall_s"]),
            s["attempts"].to_string(),
        ]);
    }
    if let Some(n) = total["estimated"].as_u64().filter(|n| *n > 0) {
        say(
            &mut table,
            lang,
            &text!(
                "of {n} attempts the processor time is not known; their wall time stands for it",
                "시도 {n}번은 CPU 시간을 알 수 없어 벽시계 시간으로 셌습니다"
            ),
        );
    }
    table
}

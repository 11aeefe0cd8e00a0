//! GitLab's code quality report, which is Code Climate's list of issues, the reports of GitLab's scanners, and
//! as much of CycloneDX as a count.

use super::File;
use super::model::{Finding, Severity, hex};
use super::plain::clip;
use kernel::text;
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

/// Formats with `vulnerabilities`.
pub(super) const SCANNERS: &[&str] = &[
    "sast",
    "secret_detection",
    "dependency_scanning",
    "container_scanning",
    "dast",
    "api_fuzzing",
    "coverage_fuzzing",
];

#[derive(Deserialize)]
struct Issue {
    #[serde(default, rename = "type")]
    kind: Option<String>,
    #[serde(default)]
    check_name: Option<String>,
    #[serde(default)]
    description: String,
    #[serde(default)]
    fingerprint: Option<String>,
    #[serde(default)]
    severity: Option<String>,
    #[serde(default)]
    engine_name: Option<String>,
    #[serde(default)]
    location: Option<Location>,
}

#[derive(Default, Deserialize)]
struct Location {
    #[serde(default)]
    path: String,
    #[serde(default)]
    lines: Option<Lines>,
    #[serde(default)]
    positions: Option<Positions>,
}

#[derive(Deserialize)]
struct Lines {
    begin: Value,
}

#[derive(Deserialize)]
struct Positions {
    begin: Lined,
}

#[derive(Deserialize)]
struct Lined {
    #[serde(default)]
    line: u32,
}

pub(super) fn read(words: &str, file: &mut File<'_>) {
    // Code Climate's own tool writes one document after another, with a zero byte behind each.
    let many = words.contains('\0');
    let documents = words.split('\0').filter(|d| !d.trim().is_empty());
    if many {
        for document in documents {
            match serde_json::from_str::<Issue>(document) {
                Ok(issue) => take(issue, file),
                Err(error) => broken(&error, file),
            }
        }
        return;
    }
    match serde_json::from_str::<Vec<Issue>>(words) {
        Ok(issues) => issues.into_iter().for_each(|issue| take(issue, file)),
        Err(error) => broken(&error, file),
    }
}

/// A JSON file that does not fit, and where.
pub(super) fn broken(error: &serde_json::Error, file: &mut File<'_>) {
    let line = u32::try_from(error.line()).unwrap_or(u32::MAX);
    file.problem(line, text!("does not fit: {error}", "형식에 맞지 않습니다: {error}"));
}

fn take(issue: Issue, file: &mut File<'_>) {
    if issue.kind.as_deref().is_some_and(|k| !k.eq_ignore_ascii_case("issue")) {
        return;
    }
    let location = issue.location.unwrap_or_default();
    let line = match (&location.lines, &location.positions) {
        (Some(lines), _) => whole(&lines.begin),
        (None, Some(positions)) => positions.begin.line,
        (None, None) => 0,
    };
    let mut finding = Finding {
        severity: issue.severity.as_deref().map_or(Severity::Minor, severity),
        tool: clip(issue.engine_name.as_deref().unwrap_or("code quality"), 100),
        rule: clip(issue.check_name.as_deref().unwrap_or(""), 200),
        message: clip(issue.description.trim(), 2_000),
        path: path(&location.path),
        line,
        fingerprint: issue.fingerprint.unwrap_or_default(),
        link: None,
    };
    sign(&mut finding);
    file.finding(finding);
}

/// Some tools put the line into an object.
fn whole(value: &Value) -> u32 {
    let number = value.get("line").unwrap_or(value).as_u64().unwrap_or(0);
    u32::try_from(number).unwrap_or(0)
}

pub(super) fn severity(word: &str) -> Severity {
    match word.to_ascii_lowercase().as_str() {
        "blocker" => Severity::Blocker,
        "critical" => Severity::Critical,
        "major" | "high" => Severity::Major,
        "info" | "informational" | "unknown" => Severity::Info,
        _ => Severity::Minor,
    }
}

pub(super) fn path(words: &str) -> String {
    clip(words.trim_start_matches("./"), 1_024).replace('\n', " ")
}

/// Gives a finding without a fingerprint one that does not move with its line.
pub(super) fn sign(finding: &mut Finding) {
    if !finding.fingerprint.is_empty() {
        finding.fingerprint = clip(&finding.fingerprint, 200);
        return;
    }
    let mut hash = Sha256::new();
    for part in [&finding.tool, &finding.rule, &finding.path, &finding.message] {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    finding.fingerprint = hex(&hash.finalize(), 16);
}

#[derive(Deserialize)]
struct Scan {
    #[serde(default)]
    vulnerabilities: Vec<Vulnerability>,
}

#[derive(Deserialize)]
struct Vulnerability {
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    message: Option<String>,
    #[serde(default)]
    description: Option<String>,
    #[serde(default)]
    severity: Option<String>,
    #[serde(default)]
    location: Option<Spot>,
    #[serde(default)]
    identifiers: Vec<Identifier>,
}

#[derive(Default, Deserialize)]
struct Spot {
    #[serde(default)]
    file: Option<String>,
    #[serde(default)]
    start_line: Option<u32>,
}

#[derive(Deserialize)]
struct Identifier {
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    url: Option<String>,
}

/// A report of one of GitLab's scanners (security-report-schemas 15).
pub(super) fn scanned(scanner: &str, words: &str, file: &mut File<'_>) {
    let scan = match serde_json::from_str::<Scan>(words) {
        Ok(scan) => scan,
        Err(error) => return broken(&error, file),
    };
    for found in scan.vulnerabilities {
        let spot = found.location.unwrap_or_default();
        let words = found.message.or(found.name).or(found.description).unwrap_or_default();
        let first = found.identifiers.into_iter().next();
        let (rule, link) = first.map_or((None, None), |i| (i.name, i.url));
        let severity = match found.severity.as_deref() {
            Some(s) if s.eq_ignore_ascii_case("critical") => Severity::Blocker,
            Some(s) if s.eq_ignore_ascii_case("high") => Severity::Critical,
            Some(s) if s.eq_ignore_ascii_case("medium") => Severity::Major,
            Some(s) => severity(s),
            None => Severity::Info,
        };
        let mut finding = Finding {
            severity,
            tool: scanner.to_owned(),
            rule: clip(&rule.unwrap_or_default(), 200),
            message: clip(words.trim(), 2_000),
            path: path(&spot.file.unwrap_or_default()),
            line: spot.start_line.unwrap_or(0),
            fingerprint: found.id.unwrap_or_default(),
            link: link.filter(|l| l.starts_with("https://") || l.starts_with("http://")),
        };
        sign(&mut finding);
        file.finding(finding);
    }
}

/// How many components a bill of materials lists (CycloneDX 1.x, JSON).
pub(super) fn components(words: &str, file: &mut File<'_>) {
    #[derive(Deserialize)]
    struct Bill {
        #[serde(default)]
        components: Vec<serde::de::IgnoredAny>,
    }
    match serde_json::from_str::<Bill>(words) {
        Ok(bill) => file.results.components += bill.components.len() as u64,
        Err(error) => broken(&error, file),
    }
}

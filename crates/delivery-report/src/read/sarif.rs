//! SARIF 2.1.0 (OASIS), as far as a list of findings needs it: rules and their levels (§3.49, §3.50), results
//! (§3.27), suppressions (§3.35), fingerprints (§3.27.16) and baselines (§3.27.24).

use super::File;
use super::codequality::{broken, path, sign};
use super::model::{Finding, Severity};
use super::plain::clip;
use kernel::text;
use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Deserialize)]
struct Log {
    #[serde(default)]
    version: String,
    runs: Option<Vec<Run>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Run {
    tool: Tool,
    #[serde(default)]
    results: Option<Vec<Found>>,
    #[serde(default)]
    artifacts: Vec<Artifact>,
}

#[derive(Deserialize)]
struct Tool {
    driver: Component,
    #[serde(default)]
    extensions: Vec<Component>,
}

#[derive(Deserialize)]
struct Component {
    #[serde(default)]
    name: String,
    #[serde(default)]
    rules: Vec<Rule>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Rule {
    #[serde(default)]
    id: String,
    #[serde(default)]
    short_description: Option<Message>,
    #[serde(default)]
    message_strings: BTreeMap<String, Message>,
    #[serde(default)]
    default_configuration: Option<Configuration>,
    #[serde(default)]
    help_uri: Option<String>,
    #[serde(default)]
    properties: Option<Properties>,
}

#[derive(Deserialize)]
struct Configuration {
    #[serde(default)]
    level: Option<String>,
}

#[derive(Deserialize)]
struct Properties {
    /// A CVSS score in words.
    #[serde(default, rename = "security-severity")]
    score: Option<serde_json::Value>,
}

#[derive(Default, Deserialize)]
struct Message {
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    arguments: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Found {
    #[serde(default)]
    rule_id: Option<String>,
    #[serde(default)]
    rule_index: Option<i64>,
    #[serde(default)]
    rule: Option<RuleReference>,
    #[serde(default)]
    level: Option<String>,
    #[serde(default)]
    kind: Option<String>,
    #[serde(default)]
    message: Message,
    #[serde(default)]
    locations: Vec<Location>,
    #[serde(default)]
    fingerprints: BTreeMap<String, String>,
    #[serde(default)]
    partial_fingerprints: BTreeMap<String, String>,
    #[serde(default)]
    suppressions: Option<Vec<Suppression>>,
    #[serde(default)]
    baseline_state: Option<String>,
}

#[derive(Deserialize)]
struct RuleReference {
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    index: Option<i64>,
}

#[derive(Deserialize)]
struct Suppression {
    #[serde(default)]
    status: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Location {
    #[serde(default)]
    physical_location: Option<Physical>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Physical {
    #[serde(default)]
    artifact_location: Option<ArtifactLocation>,
    #[serde(default)]
    region: Option<Region>,
}

#[derive(Deserialize)]
struct Artifact {
    #[serde(default)]
    location: Option<ArtifactLocation>,
}

#[derive(Deserialize)]
struct ArtifactLocation {
    #[serde(default)]
    uri: Option<String>,
    #[serde(default)]
    index: Option<i64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Region {
    #[serde(default)]
    start_line: Option<i64>,
}

pub(super) fn read(words: &str, file: &mut File<'_>) {
    let log = match serde_json::from_str::<Log>(words) {
        Ok(log) => log,
        Err(error) => return broken(&error, file),
    };
    if log.version != "2.1.0" {
        let version = clip(&log.version, 20);
        file.problem(
            1,
            text!(
                "version 2.1.0 is expected, this is \"{version}\"",
                "2.1.0 버전이 와야 하는데 \"{version}\"입니다"
            ),
        );
    }
    for run in log.runs.unwrap_or_default() {
        let Run { tool, results, artifacts } = run;
        for found in results.unwrap_or_default() {
            take(&tool, &artifacts, found, file);
        }
    }
}

fn take(tool: &Tool, artifacts: &[Artifact], found: Found, file: &mut File<'_>) {
    // What was found before and is gone, and what is no failure.
    let fails = found.kind.as_deref().is_none_or(|k| matches!(k, "fail" | "open" | "review"));
    if !fails || found.baseline_state.as_deref() == Some("absent") {
        return;
    }
    let holds = |s: &Suppression| s.status.as_deref().is_none_or(|s| s == "accepted");
    if found.suppressions.as_ref().is_some_and(|all| !all.is_empty() && all.iter().all(holds)) {
        file.results.suppressed += 1;
        return;
    }
    let rule = rule_of(tool, &found);
    let (at, line) = place(artifacts, &found);
    let fingerprints = found.fingerprints.values().chain(found.partial_fingerprints.values());
    let id = found.rule_id.clone().or_else(|| found.rule.as_ref()?.id.clone());
    let mut finding = Finding {
        severity: severity(&found, rule),
        tool: clip(&tool.driver.name, 100),
        rule: clip(&id.or_else(|| Some(rule?.id.clone())).unwrap_or_default(), 200),
        message: message(&found.message, rule),
        path: path(&at),
        line,
        fingerprint: fingerprints.cloned().collect::<Vec<_>>().join("/"),
        link: rule.and_then(|r| r.help_uri.clone()).filter(|l| l.starts_with("http")),
    };
    sign(&mut finding);
    file.finding(finding);
}

/// By index into the driver's rules, or by id anywhere (§3.52.4).
fn rule_of<'a>(tool: &'a Tool, found: &Found) -> Option<&'a Rule> {
    let index = found.rule_index.or_else(|| found.rule.as_ref()?.index);
    let id = found.rule_id.as_deref().or_else(|| found.rule.as_ref()?.id.as_deref());
    let by_index = index.and_then(|i| tool.driver.rules.get(usize::try_from(i).ok()?));
    // `CA1000/1` is a sub-rule of `CA1000` (§3.27.5).
    let fits = |r: &&Rule| {
        id.is_none_or(|id| id == r.id || id.strip_prefix(&r.id).is_some_and(|s| s.starts_with('/')))
    };
    by_index.filter(fits).or_else(|| {
        let id = id?;
        let all = std::iter::once(&tool.driver).chain(&tool.extensions);
        all.flat_map(|c| &c.rules).find(|r| r.id == id)
    })
}

fn severity(found: &Found, rule: Option<&Rule>) -> Severity {
    let score = rule.and_then(|r| r.properties.as_ref()?.score.as_ref());
    let score = score.and_then(|s| s.as_f64().or_else(|| s.as_str()?.parse().ok()));
    match score {
        Some(s) if s >= 9.0 => return Severity::Blocker,
        Some(s) if s >= 7.0 => return Severity::Critical,
        Some(s) if s >= 4.0 => return Severity::Major,
        Some(s) if s > 0.0 => return Severity::Minor,
        _ => {}
    }
    let configured = || rule?.default_configuration.as_ref()?.level.as_deref();
    match found.level.as_deref().or_else(configured) {
        Some("error") => Severity::Critical,
        Some("note") => Severity::Minor,
        Some("none") => Severity::Info,
        // "warning" is the default (§3.27.10).
        _ => Severity::Major,
    }
}

fn place(artifacts: &[Artifact], found: &Found) -> (String, u32) {
    let physical = found.locations.first().and_then(|l| l.physical_location.as_ref());
    let location = physical.and_then(|p| p.artifact_location.as_ref());
    let listed =
        || artifacts.get(usize::try_from(location?.index?).ok()?)?.location.as_ref()?.uri.clone();
    let uri = location.and_then(|l| l.uri.clone()).or_else(listed).unwrap_or_default();
    let line = physical.and_then(|p| p.region.as_ref()?.start_line);
    let uri = uri.strip_prefix("file://").unwrap_or(&uri);
    (uri.replace("%20", " "), line.and_then(|l| u32::try_from(l).ok()).unwrap_or(0))
}

/// The text, or the rule's string of that id with its arguments in place (§3.11).
fn message(message: &Message, rule: Option<&Rule>) -> String {
    let by_id = || rule?.message_strings.get(message.id.as_deref()?)?.text.clone();
    let short = || rule?.short_description.as_ref()?.text.clone();
    let words = message.text.clone().or_else(by_id).or_else(short).unwrap_or_default();
    let mut words = clip(words.trim(), 2_000);
    for (i, argument) in message.arguments.iter().enumerate().take(10) {
        // Clipped each time: an argument may itself hold places for others.
        words = clip(&words.replace(&format!("{{{i}}}"), &clip(argument, 200)), 4_000);
    }
    words
}

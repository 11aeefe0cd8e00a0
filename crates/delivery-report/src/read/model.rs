//! What result files say, in one vocabulary.

use kernel::Text;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// How a test ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Passed,
    /// It failed first and passed when its runner tried it again.
    Flaky,
    Skipped,
    /// What it asserts does not hold.
    Failed,
    /// It broke before it could tell.
    Error,
}

impl Outcome {
    pub fn failed(self) -> bool {
        matches!(self, Outcome::Failed | Outcome::Error)
    }

    /// It ran, and in the end it passed.
    pub fn passed(self) -> bool {
        matches!(self, Outcome::Passed | Outcome::Flaky)
    }

    /// As in JSON.
    pub fn word(self) -> &'static str {
        match self {
            Outcome::Passed => "passed",
            Outcome::Flaky => "flaky",
            Outcome::Skipped => "skipped",
            Outcome::Failed => "failed",
            Outcome::Error => "error",
        }
    }

    /// As in a row of marks.
    pub(crate) fn code(self) -> u8 {
        match self {
            Outcome::Passed => 0,
            Outcome::Flaky => 1,
            Outcome::Skipped => 2,
            Outcome::Failed => 3,
            Outcome::Error => 4,
        }
    }

    pub(crate) fn of_code(code: u8) -> Outcome {
        match code {
            0 => Outcome::Passed,
            1 => Outcome::Flaky,
            2 => Outcome::Skipped,
            3 => Outcome::Failed,
            _ => Outcome::Error,
        }
    }
}

/// What makes two results those of the same test.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Identity {
    /// The innermost suite that has a name.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub suite: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub class: String,
    pub name: String,
    /// `3-True` of `test_sum[3-True]`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub parameters: String,
}

impl Identity {
    /// Sixteen hex digits that stand for it in keys and addresses.
    pub fn key(&self) -> String {
        let mut hash = Sha256::new();
        for part in [&self.suite, &self.class, &self.name, &self.parameters] {
            hash.update(part.as_bytes());
            hash.update([0]);
        }
        hex(&hash.finalize(), 8)
    }

    /// `tests.test_sum.TestSum::test_add[3-True]`: what people read, and what patterns match.
    pub fn id(&self) -> String {
        let above = if self.class.is_empty() { &self.suite } else { &self.class };
        let name = self.full_name();
        if above.is_empty() { name } else { format!("{above}::{name}") }
    }

    /// The name with its parameters, as its runner knows it.
    pub fn full_name(&self) -> String {
        if self.parameters.is_empty() {
            return self.name.clone();
        }
        format!("{}[{}]", self.name, self.parameters)
    }
}

/// The first `bytes` bytes as hex digits.
pub(crate) fn hex(hash: &[u8], bytes: usize) -> String {
    hash.iter().take(bytes).map(|b| format!("{b:02x}")).collect()
}

/// One test of one attempt.
#[derive(Clone, Debug, PartialEq)]
pub struct Case {
    pub identity: Identity,
    pub outcome: Outcome,
    /// Milliseconds; `None` when the report does not say.
    pub ms: Option<u64>,
    pub file: Option<String>,
    pub line: Option<u32>,
    /// One line about a failure.
    pub message: String,
    /// Stack and values of a failure.
    pub detail: String,
    /// The end of what a failed test printed.
    pub output: String,
}

/// How bad a finding is: GitLab's code quality words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    Info,
    Minor,
    Major,
    Critical,
    Blocker,
}

impl Severity {
    pub const ALL: [Severity; 5] =
        [Severity::Blocker, Severity::Critical, Severity::Major, Severity::Minor, Severity::Info];

    pub fn word(self) -> &'static str {
        match self {
            Severity::Info => "info",
            Severity::Minor => "minor",
            Severity::Major => "major",
            Severity::Critical => "critical",
            Severity::Blocker => "blocker",
        }
    }

    pub fn text(self) -> Text {
        match self {
            Severity::Info => Text::fixed("info", "정보"),
            Severity::Minor => Text::fixed("minor", "경미"),
            Severity::Major => Text::fixed("major", "중대"),
            Severity::Critical => Text::fixed("critical", "심각"),
            Severity::Blocker => Text::fixed("blocker", "차단"),
        }
    }
}

/// What an analysis found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    pub severity: Severity,
    pub tool: String,
    pub rule: String,
    pub message: String,
    /// In the repository; empty when it is about no file.
    pub path: String,
    /// 0: the file as a whole.
    pub line: u32,
    /// The same for the same finding in another commit.
    pub fingerprint: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
}

/// Coverage of one source file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cover {
    /// How often each line was run.
    pub lines: BTreeMap<u32, u64>,
    /// Covered and all.
    pub branches: (u64, u64),
    pub functions: (u64, u64),
}

impl Cover {
    /// Adds a line's count to what other reports say of it.
    pub(crate) fn hit(&mut self, line: u32, hits: u64) {
        let count = self.lines.entry(line).or_default();
        *count = count.saturating_add(hits);
    }
}

/// Something wrong with a result file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Problem {
    pub file: String,
    /// 0: the file as a whole.
    pub line: u32,
    pub say: Text,
}

/// All that the files of one attempt say.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Results {
    pub cases: Vec<Case>,
    /// By path, as the report has it.
    pub coverage: BTreeMap<String, Cover>,
    pub findings: Vec<Finding>,
    /// Findings that somebody has suppressed in their tool.
    pub suppressed: u64,
    /// Components of a bill of materials.
    pub components: u64,
    pub problems: Vec<Problem>,
    /// Something was left out for its number.
    pub dropped: u64,
    pub findings_dropped: u64,
}

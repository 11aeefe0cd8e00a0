//! Reading result files. Pure: bytes in, values out.
//!
//! Every file comes from a job and is distrusted: sizes, depths and counts are bounded, entities are not
//! expanded, and a file that breaks off half-way gives what was before the break and a [`Problem`] with its
//! line. Nothing here fails as a whole.

mod cobertura;
mod codequality;
mod jacoco;
mod junit;
mod lcov;
mod model;
mod plain;
mod sarif;
#[cfg(test)]
mod tests;
mod xml;

pub use model::{Case, Cover, Finding, Identity, Outcome, Problem, Results, Severity};

use kernel::text;

/// Bytes of one file that are read.
pub const MAX_FILE: u64 = 64 << 20;
/// Cases of one attempt.
pub(crate) const MAX_CASES: usize = 200_000;
/// Findings of one attempt.
pub(crate) const MAX_FINDINGS: usize = 20_000;
/// Files with coverage of one attempt.
pub(crate) const MAX_COVERED: usize = 50_000;
/// Problems that are kept of one file.
const MAX_PROBLEMS: usize = 20;

/// Whether files of this format are read at all; others are left to whoever knows them.
pub fn knows(format: &str) -> bool {
    matches!(
        format,
        "junit" | "cobertura" | "jacoco" | "lcov" | "codequality" | "sarif" | "cyclonedx"
    ) || codequality::SCANNERS.contains(&format)
}

/// Whether files of this format hold findings.
pub fn analyses(format: &str) -> bool {
    matches!(format, "codequality" | "sarif") || codequality::SCANNERS.contains(&format)
}

/// Adds what a file says to `results`. `path` is the file's, for complaints.
pub fn read(format: &str, path: &str, bytes: &[u8], results: &mut Results) {
    let mut file = File { path, results, problems: 0 };
    let format = match format {
        "cobertura" | "jacoco" | "lcov" => coverage(bytes).unwrap_or(format),
        other => other,
    };
    match format {
        "junit" => junit::read(&plain::decode(bytes), &mut file),
        "cobertura" => cobertura::read(&plain::decode(bytes), &mut file),
        "jacoco" => jacoco::read(&plain::decode(bytes), &mut file),
        "lcov" => lcov::read(&plain::decode(bytes), &mut file),
        "codequality" => codequality::read(&plain::decode(bytes), &mut file),
        "sarif" => sarif::read(&plain::decode(bytes), &mut file),
        "cyclonedx" => codequality::components(&plain::decode(bytes), &mut file),
        scanner if codequality::SCANNERS.contains(&scanner) => {
            codequality::scanned(scanner, &plain::decode(bytes), &mut file);
        }
        other => {
            file.problem(0, text!("files of {other} are not read", "{other} 형식은 읽지 않습니다"))
        }
    }
}

/// Which kind of coverage this is, by how it begins: pipeline files have no word for all of them.
fn coverage(bytes: &[u8]) -> Option<&'static str> {
    let head = plain::decode(bytes.get(..bytes.len().min(2_000)).unwrap_or_default());
    let head = head.trim_start();
    let first = |word: &str| head.find(word).unwrap_or(usize::MAX);
    match () {
        () if head.starts_with("TN:") || head.starts_with("SF:") => Some("lcov"),
        () if first("<report") < first("<coverage") => Some("jacoco"),
        () if first("<coverage") < first("<report") => Some("cobertura"),
        () => None,
    }
}

/// The file being read, and where its results go.
pub(crate) struct File<'a> {
    path: &'a str,
    pub results: &'a mut Results,
    problems: usize,
}

impl File<'_> {
    /// Complains about a line; 0 is the file as a whole.
    fn problem(&mut self, line: u32, say: kernel::Text) {
        self.problems += 1;
        if self.problems <= MAX_PROBLEMS {
            self.results.problems.push(Problem { file: self.path.to_owned(), line, say });
        }
    }

    fn case(&mut self, case: Case) {
        if self.results.cases.len() < MAX_CASES {
            self.results.cases.push(case);
        } else if self.results.dropped == 0 {
            self.results.dropped = 1;
            self.problem(
                0,
                text!(
                    "a job has at most {MAX_CASES} tests; the others are left out",
                    "작업 하나의 테스트는 {MAX_CASES}개까지입니다. 나머지는 제외했습니다"
                ),
            );
        }
    }

    fn finding(&mut self, finding: Finding) {
        if self.results.findings.len() < MAX_FINDINGS {
            self.results.findings.push(finding);
        } else if self.results.findings_dropped == 0 {
            self.results.findings_dropped = 1;
            self.problem(
                0,
                text!(
                    "a job has at most {MAX_FINDINGS} findings; the others are left out",
                    "작업 하나의 발견 사항은 {MAX_FINDINGS}개까지입니다. 나머지는 제외했습니다"
                ),
            );
        }
    }

    /// Where a source file's coverage is gathered. `None`: there are too many.
    fn cover(&mut self, path: &str) -> Option<&mut Cover> {
        let path = path.replace('\\', "/");
        let path = path.trim_start_matches("./");
        if path.is_empty() || path.len() > 1024 {
            return None;
        }
        let known = self.results.coverage.contains_key(path);
        if !known && self.results.coverage.len() >= MAX_COVERED {
            return None;
        }
        Some(self.results.coverage.entry(path.to_owned()).or_default())
    }
}

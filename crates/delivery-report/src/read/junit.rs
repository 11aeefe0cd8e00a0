//! JUnit XML, which has no standard: what Ant wrote first, and what Surefire, pytest, gotestsum, jest-junit,
//! nextest, GoogleTest and PHPUnit make of it.

use super::File;
use super::model::{Case, Identity, Outcome};
use super::plain::{clip, name, seconds, tail};
use super::xml::{Attributes, Faults, Visit, walk};
use std::mem::take;

/// Characters of a failure's message.
const MESSAGE: usize = 2_000;
/// Characters of a failure's stack.
const DETAIL: usize = 16_000;
/// Bytes of the end of what a failed test printed.
const OUTPUT: usize = 4_000;
/// Bytes of stacks and output of one file together: ten thousand failed tests have one cause.
const BUDGET: usize = 8 << 20;

pub(super) fn read(words: &str, file: &mut File<'_>) {
    let mut junit = JUnit { budget: BUDGET, ..JUnit::default() };
    let mut faults = Faults::default();
    walk(words, &["testsuites", "testsuite"], &mut junit, &mut faults);
    for case in again(junit.cases) {
        file.case(case);
    }
    faults.tell(file);
}

/// Where text goes.
#[derive(Clone, Copy, Default, PartialEq)]
enum Into {
    #[default]
    Nowhere,
    Detail,
    Output,
    /// A failure that does not decide: one of several tries.
    Aside,
}

#[derive(Default)]
struct JUnit {
    cases: Vec<Case>,
    /// Names and files of the suites around.
    suites: Vec<(String, Option<String>)>,
    case: Option<Case>,
    into: Into,
    detail: String,
    output: String,
    budget: usize,
}

impl Visit for JUnit {
    fn open(&mut self, element: &str, a: &Attributes<'_>) {
        match element {
            "testsuite" => self.suites.push((name(&a.words("name")), a.get("file"))),
            "testcase" => self.case = Some(self.begin(a)),
            "failure" => self.fails(Outcome::Failed, a),
            "error" => self.fails(Outcome::Error, a),
            "skipped" | "disabled" => {
                if let Some(case) = self.case.as_mut().filter(|c| !c.outcome.failed()) {
                    case.outcome = Outcome::Skipped;
                    case.message = clip(&a.words("message"), MESSAGE);
                }
            }
            "flakyFailure" | "flakyError" => {
                if let Some(case) = self.case.as_mut().filter(|c| !c.outcome.failed()) {
                    case.outcome = Outcome::Flaky;
                    if case.message.is_empty() {
                        case.message = clip(&a.words("message"), MESSAGE);
                    }
                }
                self.into = Into::Detail;
            }
            "rerunFailure" | "rerunError" => self.into = Into::Aside,
            "stackTrace" if self.into != Into::Nowhere => {}
            "system-out" | "system-err" if self.case.is_some() && self.into == Into::Nowhere => {
                self.into = Into::Output;
            }
            _ => {}
        }
    }

    fn close(&mut self, element: &str) {
        match element {
            "testsuite" => {
                self.suites.pop();
            }
            "testcase" => self.end(),
            "failure" | "error" | "flakyFailure" | "flakyError" | "rerunFailure" | "rerunError" => {
                self.into = Into::Nowhere;
            }
            "system-out" | "system-err" if self.into == Into::Output => self.into = Into::Nowhere,
            _ => {}
        }
    }

    fn text(&mut self, words: &str) {
        match self.into {
            Into::Detail if self.detail.len() < DETAIL * 4 => self.detail.push_str(words),
            Into::Output => {
                self.output.push_str(words);
                if self.output.len() > OUTPUT * 16 {
                    self.output = tail(&self.output, OUTPUT).to_owned();
                }
            }
            _ => {}
        }
    }
}

impl JUnit {
    fn begin(&mut self, a: &Attributes<'_>) -> Case {
        (self.detail, self.output, self.into) = (String::new(), String::new(), Into::Nowhere);
        let suite = self.suites.iter().rev().find(|s| !s.0.is_empty());
        let suite = suite.map(|s| s.0.clone()).unwrap_or_default();
        let class = a.get("classname").or_else(|| a.get("class")).unwrap_or_default();
        let (mut test, mut parameters) = parameters(&name(&a.words("name")));
        // GoogleTest names the value of `Sums/AddTest.Works/0` apart.
        if let Some(value) = a.get("value_param").filter(|_| parameters.is_empty()) {
            parameters = name(&value);
        }
        if test.is_empty() {
            test = "?".to_owned();
        }
        let ran = a.words("status") != "notrun" && a.words("result") != "suppressed";
        let file = a.get("file").or_else(|| self.suites.iter().rev().find_map(|s| s.1.clone()));
        Case {
            identity: Identity { suite, class: name(&class), name: test, parameters },
            outcome: if ran { Outcome::Passed } else { Outcome::Skipped },
            ms: a.get("time").as_deref().and_then(seconds),
            file: file.map(|f| name(&f)).filter(|f| !f.is_empty()),
            line: a.number("line"),
            message: String::new(),
            detail: String::new(),
            output: String::new(),
        }
    }

    fn fails(&mut self, outcome: Outcome, a: &Attributes<'_>) {
        self.into = Into::Detail;
        let Some(case) = self.case.as_mut() else { return };
        if case.outcome.failed() {
            // pytest tells of a failed test and its failed teardown in one case.
            self.detail.push('\n');
            return;
        }
        case.outcome = outcome;
        let words = a.get("message").filter(|m| !m.trim().is_empty()).or_else(|| a.get("type"));
        case.message = clip(words.unwrap_or_default().trim(), MESSAGE);
    }

    fn end(&mut self) {
        let Some(mut case) = self.case.take() else { return };
        let (detail, output) = (take(&mut self.detail), take(&mut self.output));
        self.into = Into::Nowhere;
        if case.outcome.failed() || case.outcome == Outcome::Flaky {
            case.detail = clip(detail.trim(), DETAIL);
            case.output = clip(tail(output.trim_end(), OUTPUT), OUTPUT);
            let spent = case.detail.len() + case.output.len();
            if spent > self.budget {
                (case.detail, case.output) = (String::new(), String::new());
            } else {
                self.budget -= spent;
            }
            if case.message.is_empty() {
                case.message = case.detail.lines().next().unwrap_or("").trim().to_owned();
            }
        }
        self.cases.push(case);
    }
}

/// `test_sum[3-True]` is `test_sum` with parameters.
fn parameters(words: &str) -> (String, String) {
    let split = words.strip_suffix(']').and_then(|w| w.split_once('['));
    match split {
        Some((test, inner)) if !test.trim().is_empty() => (test.to_owned(), inner.to_owned()),
        _ => (words.to_owned(), String::new()),
    }
}

/// A test that is there twice was tried again if it failed first and passed last: then that is one flaky
/// result. Otherwise two tests have one name, and the worst of them counts.
fn again(cases: Vec<Case>) -> Vec<Case> {
    let mut places = std::collections::HashMap::with_capacity(cases.len());
    let mut out: Vec<Case> = Vec::with_capacity(cases.len());
    for case in cases {
        let place = *places.entry(case.identity.clone()).or_insert(out.len());
        let Some(first) = out.get_mut(place) else {
            out.push(case);
            continue;
        };
        let ms = first.ms.unwrap_or(0).saturating_add(case.ms.unwrap_or(0));
        first.ms = first.ms.or(case.ms).map(|_| ms);
        if first.outcome.failed() && case.outcome.passed() {
            first.outcome = Outcome::Flaky;
        } else if case.outcome > first.outcome {
            let Case { outcome, message, detail, output, .. } = case;
            (first.outcome, first.message, first.detail, first.output) =
                (outcome, message, detail, output);
        }
    }
    out
}

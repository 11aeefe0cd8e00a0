//! `Quarantine`: tests whose failures do not count, for a while, with an owner.

use kernel::kind::{KindDef, Scope, Writer};
use kernel::{Error, Kind, Name, Result, Text, Time, text};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The longest quarantine, in days. It can be renewed, which is an edit that somebody signs.
pub const LONGEST_DAYS: u32 = 90;
const PATTERNS: usize = 100;
const PATTERN: usize = 500;

/// Tests whose failures do not fail their jobs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Quarantine {
    /// Ids of tests as pages and commands show them: `tests.test_cart::test_add[1]`. `*` stands for any
    /// characters; the id alone stands for all parameters of its test.
    pub tests: Vec<String>,
    /// Only of this repository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repository: Option<Name>,
    /// Who mends them.
    pub owner: String,
    /// The last day (`2026-12-24`, UTC) or instant (RFC 3339), at most 90 days ahead.
    pub until: String,
    pub reason: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct QuarantineStatus {
    /// When it really ends: `until`, or 90 days after it was written.
    pub ends: Option<Time>,
    /// When `until` was too far ahead.
    pub message: Option<Text>,
}

impl Kind for Quarantine {
    const KIND: &'static str = "Quarantine";
    type Status = QuarantineStatus;

    fn check(&self) -> Result<()> {
        let empty = |words: &str| words.trim().is_empty();
        if self.tests.is_empty() || self.tests.len() > PATTERNS {
            return Err(Error::invalid(
                "quarantine.tests",
                text!(
                    "a quarantine names between 1 and {PATTERNS} tests",
                    "격리에는 테스트를 1개에서 {PATTERNS}개까지 적습니다"
                ),
            ));
        }
        for pattern in &self.tests {
            // What is left must still say which tests are meant.
            let solid = pattern.chars().filter(|c| c.is_alphanumeric()).count();
            if solid < 3 || pattern.len() > PATTERN {
                return Err(Error::invalid(
                    "quarantine.pattern",
                    text!(
                        "the pattern `{pattern}` does not say which tests are meant",
                        "`{pattern}` 패턴으로는 어떤 테스트인지 알 수 없습니다"
                    ),
                )
                .hint(Text::fixed(
                    "write an id as `naru test list` shows it; `*` stands for any characters",
                    "`naru test list`가 보여 주는 id를 쓰세요. `*`는 아무 글자나 뜻합니다",
                )));
            }
        }
        if empty(&self.owner) || empty(&self.reason) {
            return Err(Error::invalid(
                "quarantine.owner",
                Text::fixed(
                    "a quarantine needs an owner and a reason",
                    "격리에는 담당자와 이유가 필요합니다",
                ),
            ));
        }
        if until(&self.until).is_none() {
            let words = &self.until;
            return Err(Error::invalid(
                "quarantine.until",
                text!("`{words}` is no day", "`{words}`은(는) 날짜가 아닙니다"),
            )
            .hint(Text::fixed("write `until: 2026-12-24`", "`until: 2026-12-24`처럼 쓰세요")));
        }
        Ok(())
    }
}

/// The end of a day, or an instant.
pub fn until(words: &str) -> Option<Time> {
    Time::parse(words).or_else(|| Time::parse(&format!("{words}T23:59:59.999Z")))
}

/// When a quarantine written at `written` ends, and what to say if that is not what it says.
pub(crate) fn ends(spec: &Quarantine, written: Time) -> QuarantineStatus {
    let latest = written.plus(Duration::from_secs(u64::from(LONGEST_DAYS) * 86_400));
    let wanted = until(&spec.until).unwrap_or(written);
    let message = (wanted > latest).then(|| {
        text!(
            "a quarantine lasts at most {LONGEST_DAYS} days: this one ends at {latest}",
            "격리는 최대 {LONGEST_DAYS}일입니다. 이 격리는 {latest}에 끝납니다"
        )
    });
    QuarantineStatus { ends: Some(wanted.min(latest)), message }
}

impl Quarantine {
    /// Whether the test with this id is meant.
    pub fn covers(&self, repository: &Name, id: &str) -> bool {
        let here = self.repository.as_ref().is_none_or(|r| r == repository);
        let base = id.strip_suffix(']').and_then(|i| i.split_once('[')).map(|(base, _)| base);
        here && self.tests.iter().any(|p| like(p, id) || base.is_some_and(|b| p == b))
    }
}

/// Whether `*` in the pattern can stand for something that makes it the words. Linear but for backtracking to
/// the last star.
pub(crate) fn like(pattern: &str, words: &str) -> bool {
    let (pattern, words): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), words.chars().collect());
    let (mut p, mut w, mut star) = (0, 0, None);
    while w < words.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, w));
                p += 1;
            }
            Some(c) if words.get(w) == Some(c) => (p, w) = (p + 1, w + 1),
            _ => {
                let Some((at, from)) = star else { return false };
                star = Some((at, from + 1));
                (p, w) = (at + 1, from + 1);
            }
        }
    }
    pattern.iter().skip(p).all(|c| *c == '*')
}

pub const KINDS: &[KindDef] = &[KindDef::of::<Quarantine>(
    "quarantines",
    Scope::Project,
    Writer::People,
    (
        "Tests whose failures do not count for a while, with an owner",
        "한동안 실패해도 작업을 실패시키지 않는 테스트와 그 담당자",
    ),
    &[
        ("TESTS", "/spec/tests"),
        ("OWNER", "/spec/owner"),
        ("ENDS", "/status/ends"),
        ("REASON", "/spec/reason"),
    ],
)];

#[cfg(test)]
mod tests {
    use super::*;

    fn quarantine(tests: &[&str]) -> Quarantine {
        Quarantine {
            tests: tests.iter().map(ToString::to_string).collect(),
            repository: None,
            owner: "han".into(),
            until: "2026-12-24".into(),
            reason: "races with the clock".into(),
        }
    }

    #[test]
    fn a_pattern_means_some_tests() {
        let web = Name::parse("web").unwrap();
        for (pattern, id, want) in [
            ("t.cart::test_add", "t.cart::test_add", true),
            ("t.cart::test_add", "t.cart::test_add[1-2]", true),
            ("t.cart::test_add[1-2]", "t.cart::test_add[1-2]", true),
            ("t.cart::test_add[1-2]", "t.cart::test_add[2]", false),
            ("t.cart::*", "t.cart::test_sub", true),
            ("*::test_add*", "other::test_adds", true),
            ("t.cart", "t.cart::test_add", false),
            ("*cart*sub", "t.cart::test_add_sub", true),
            ("*cart*sub", "t.cart::test_sub_add", false),
        ] {
            assert_eq!(quarantine(&[pattern]).covers(&web, id), want, "{pattern} {id}");
        }
        let other = Quarantine { repository: Name::parse("api").ok(), ..quarantine(&["abc*"]) };
        assert!(!other.covers(&web, "abcd"));
    }

    #[test]
    fn what_is_refused() {
        assert!(quarantine(&["t.cart::*"]).check().is_ok());
        for (spec, code) in [
            (quarantine(&[]), "quarantine.tests"),
            (quarantine(&["*"]), "quarantine.pattern"),
            (quarantine(&["*::*"]), "quarantine.pattern"),
            (Quarantine { owner: " ".into(), ..quarantine(&["abc"]) }, "quarantine.owner"),
            (Quarantine { reason: "".into(), ..quarantine(&["abc"]) }, "quarantine.owner"),
            (Quarantine { until: "soon".into(), ..quarantine(&["abc"]) }, "quarantine.until"),
        ] {
            assert_eq!(spec.check().unwrap_err().code(), code);
        }
    }

    #[test]
    fn it_ends_after_ninety_days_at_the_latest() {
        let written = Time::parse("2026-11-24T12:00:00Z").unwrap();
        let near = ends(&quarantine(&["abc"]), written);
        assert_eq!(near.ends, Time::parse("2026-12-24T23:59:59.999Z"));
        assert_eq!(near.message, None);
        let far = ends(&Quarantine { until: "2027-12-24".into(), ..quarantine(&["abc"]) }, written);
        assert_eq!(far.ends, Time::parse("2027-02-22T12:00:00Z"));
        assert!(far.message.is_some());
    }
}

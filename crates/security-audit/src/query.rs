//! What somebody looks for, from the words of a query or a command.

use kernel::{Error, Name, Result, Text, Time, text};
use naru_http::Call;
use serde_json::{Value, json};
use std::time::Duration;
use store::Search;

/// Kinds of what was asked and not allowed.
const REFUSED: [&str; 2] = ["auth.refused", "sign-in.failed"];
/// The words of a query that restrict what is found.
pub(crate) const FIELDS: [&str; 8] =
    ["who", "what", "project", "subject", "from", "since", "until", "outcome"];

/// Reads the query of a call.
///
/// # Errors
/// `query.invalid`, `name.invalid`.
pub(crate) fn read(call: &Call) -> Result<Search> {
    let now = call.site.store.now();
    let word = |name: &str| call.query(name).map(|w| w.trim().to_owned()).filter(|w| !w.is_empty());
    let time = |name: &str| word(name).map(|w| moment(&w, now)).transpose();
    let mut kinds: Vec<String> = Vec::new();
    for kind in word("what").iter().flat_map(|w| w.split([',', ' '])).filter(|k| !k.is_empty()) {
        kinds.push(kind.to_owned());
    }
    if word("outcome").as_deref() == Some("refused") && kinds.is_empty() {
        kinds = REFUSED.map(str::to_owned).to_vec();
    }
    Ok(Search {
        actor: word("who").map(|w| actor(&w)),
        kinds,
        project: word("project").map(|p| Name::parse(&p)).transpose()?,
        subject: word("subject"),
        address: word("from"),
        from: time("since")?,
        until: time("until")?,
    })
}

/// What was looked for, for the event that tells so.
pub(crate) fn told(call: &Call) -> Value {
    let words = FIELDS.iter().filter_map(|f| Some((*f, call.query(f).filter(|w| !w.is_empty())?)));
    let short = words.map(|(f, w)| (f.to_owned(), json!(w.chars().take(100).collect::<String>())));
    Value::Object(short.collect())
}

/// A bare name is a person's.
fn actor(words: &str) -> String {
    match words.contains(':') || words == "anonymous" {
        true => words.to_owned(),
        false => format!("user:{words}"),
    }
}

/// `2026-11-24`, `2026-11-24T10:00:00Z`, or how long ago: `90m`, `24h`, `7d`.
///
/// # Errors
/// `query.invalid`.
pub(crate) fn moment(words: &str, now: Time) -> Result<Time> {
    let day = || Time::parse(&format!("{words}T00:00:00Z"));
    Time::parse(words).or_else(day).or_else(|| ago(words, now)).ok_or_else(|| {
        let shown = kernel::shown(words);
        Error::invalid(
            "query.invalid",
            text!("“{shown}” is not a moment", "“{shown}”은(는) 시각이 아닙니다"),
        )
        .hint(Text::fixed(
            "write 2026-11-24, 2026-11-24T10:00:00Z, or how long ago: 90m, 24h, 7d",
            "2026-11-24, 2026-11-24T10:00:00Z처럼 쓰거나, 90m, 24h, 7d처럼 얼마 전인지 쓰세요",
        ))
    })
}

fn ago(words: &str, now: Time) -> Option<Time> {
    let unit = words.chars().last()?;
    let number: u64 = words.strip_suffix(unit)?.parse().ok()?;
    let seconds = match unit {
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        _ => return None,
    };
    let gone = Duration::from_secs(number.checked_mul(seconds)?);
    Some(Time(now.0.checked_sub(i64::try_from(gone.as_millis()).ok()?)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments() {
        let now = Time::parse("2026-11-24T10:00:00Z").unwrap();
        for (words, want) in [
            ("2026-11-24", Some("2026-11-24T00:00:00Z")),
            ("2026-11-24T09:00:00+09:00", Some("2026-11-24T00:00:00Z")),
            ("90m", Some("2026-11-24T08:30:00Z")),
            ("24h", Some("2026-11-23T10:00:00Z")),
            ("7d", Some("2026-11-17T10:00:00Z")),
            ("99999999999999999d", None),
            ("yesterday", None),
            ("", None),
            ("d", None),
            ("-1d", None),
        ] {
            assert_eq!(moment(words, now).ok(), want.and_then(Time::parse), "{words}");
        }
    }
}

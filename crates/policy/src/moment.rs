//! When a condition changes its mind by itself: at the moments that it compares the time with, if comparing is all
//! that it does with the time.

use kernel::Time;
use serde_json::Value;

/// The moments that `context.now` is compared with; `None` when something else is done with the time, or with a
/// moment that is not written out.
pub(crate) fn edges(conditions: &Value) -> Option<Box<[Time]>> {
    let mut found = Vec::new();
    walk(conditions, &mut found)?;
    Some(found.into())
}

fn walk(value: &Value, found: &mut Vec<Time>) -> Option<()> {
    match value {
        // The time, seen from anywhere but a comparison.
        _ if is_now(value) => None,
        Value::Array(all) => all.iter().try_for_each(|v| walk(v, found)),
        Value::Object(map) => map.iter().try_for_each(|(key, inside)| {
            if let Some(edge) = compared(key, inside) {
                found.push(edge);
                return Some(());
            }
            walk(inside, found)
        }),
        _ => Some(()),
    }
}

/// The moment in `context.now < datetime("…")`, either way round.
fn compared(operator: &str, inside: &Value) -> Option<Time> {
    if !["<", "<=", ">", ">="].contains(&operator) {
        return None;
    }
    let (left, right) = (inside.get("left")?, inside.get("right")?);
    match (is_now(left), is_now(right)) {
        (true, false) => literal(right),
        (false, true) => literal(left),
        _ => None,
    }
}

fn is_now(value: &Value) -> bool {
    let Some(access) = value.get(".") else { return false };
    let of_context = access.get("left").and_then(|l| l.get("Var")).is_some_and(|v| v == "context");
    of_context && access.get("attr").is_some_and(|a| a == "now")
}

/// `datetime("2026-12-01T00:00:00Z")`; other ways to write one are Cedar's to read.
fn literal(value: &Value) -> Option<Time> {
    let words = value.get("datetime")?.get(0)?.get("Value")?.as_str()?;
    words.ends_with('Z').then(|| Time::parse(words))?
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::str::FromStr;

    fn of(condition: &str) -> Option<Vec<String>> {
        let text = format!("permit (principal, action, resource) when {{ {condition} }};");
        let policy = cedar_policy::Policy::from_str(&text).unwrap();
        let conditions = policy.to_json().unwrap()["conditions"].clone();
        edges(&conditions).map(|all| all.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn comparisons_with_moments_are_edges_and_everything_else_is_not() {
        let noon = r#"datetime("2026-12-01T12:00:00Z")"#;
        let night = r#"datetime("2026-12-01T00:00:00.000Z")"#;
        let some = |all: &[&str]| Some(all.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>());
        assert_eq!(of(r#"resource.name == "x""#), some(&[]));
        assert_eq!(of(&format!("context.now < {noon}")), some(&["2026-12-01T12:00:00.000Z"]));
        assert_eq!(
            of(&format!("{night} <= context.now && !(context.now >= {noon})")),
            some(&["2026-12-01T00:00:00.000Z", "2026-12-01T12:00:00.000Z"])
        );
        for other in [
            "context.now == context.now".to_owned(),
            r#"context.now.toTime() < duration("9h")"#.to_owned(),
            format!(r#"context.now < {noon}.offset(duration("1h"))"#),
            r#"context.now < datetime("2026-12-01T12:00:00+0900")"#.to_owned(),
        ] {
            assert_eq!(of(&other), None, "{other}");
        }
    }
}

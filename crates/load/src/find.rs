//! Looking into answers: JSON paths, regular expressions, headers.

use serde_json::Value;

/// A path into JSON: `$.items[0].id`, `$['a b']`, `items.0`. No filters: a path has one answer at most.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonPath(Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Key(String),
    Index(usize),
}

impl JsonPath {
    /// `None`: not a path of this kind.
    pub fn parse(words: &str) -> Option<JsonPath> {
        let mut rest = words.trim();
        rest = rest.strip_prefix('$').unwrap_or(rest);
        let mut parts = Vec::new();
        while !rest.is_empty() {
            if let Some(inner) = rest.strip_prefix('[') {
                let (inside, after) = match inner.chars().next() {
                    Some(quote @ ('\'' | '"')) => {
                        let (key, after) = inner.get(1..)?.split_once(quote)?;
                        parts.push(Part::Key(key.to_owned()));
                        (None, after.strip_prefix(']')?)
                    }
                    _ => inner.split_once(']').map(|(i, after)| (Some(i), after))?,
                };
                if let Some(index) = inside {
                    parts.push(Part::Index(index.trim().parse().ok()?));
                }
                rest = after;
                continue;
            }
            rest = rest.strip_prefix('.').unwrap_or(rest);
            let end = rest.find(['.', '[']).unwrap_or(rest.len());
            let (key, after) = rest.split_at(end);
            if key.is_empty() || key.contains(['*', '?', '@', ' ']) {
                return None;
            }
            parts.push(Part::Key(key.to_owned()));
            rest = after;
        }
        Some(JsonPath(parts))
    }

    pub fn get<'a>(&self, value: &'a Value) -> Option<&'a Value> {
        self.0.iter().try_fold(value, |value, part| match (part, value) {
            (Part::Key(key), Value::Object(map)) => map.get(key),
            (Part::Key(key), Value::Array(list)) => list.get(key.parse::<usize>().ok()?),
            (Part::Index(index), Value::Array(list)) => list.get(*index),
            _ => None,
        })
    }
}

/// As text: what is text stays as it is.
pub fn words(value: &Value) -> String {
    match value {
        Value::String(words) => words.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        let json = serde_json::json!({ "a": { "b": [{ "c d": 1 }, "x"] }, "n": null });
        for (path, want) in [
            ("$.a.b[1]", Some("x")),
            ("a.b.1", Some("x")),
            ("$['a'].b[0]['c d']", Some("1")),
            ("$.n", Some("null")),
            ("$.a.b[2]", None),
            ("$.z", None),
        ] {
            let path = JsonPath::parse(path).unwrap();
            assert_eq!(path.get(&json).map(words).as_deref(), want);
        }
        for bad in ["$.a[", "$.a[*]", "$..a", "$.a[x]", "$.*", "$['a"] {
            assert_eq!(JsonPath::parse(bad), None, "{bad}");
        }
    }
}

//! The fields of a request as clients of GitLab send them: in the query, as a form (plain or multipart, as
//! `curl --form` does), or as JSON. Pure.

use kernel::{Error, Result, Text};
use serde_json::Value;
use std::collections::BTreeMap;

/// Fields of one request.
const MAX_FIELDS: usize = 500;

/// Names and values, in the order in which they came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields(Vec<(String, String)>);

impl Fields {
    /// Adds pairs that are decoded already.
    pub fn add(&mut self, pairs: impl IntoIterator<Item = (String, String)>) {
        self.0.extend(pairs.into_iter().take(MAX_FIELDS));
    }

    /// Adds what a body of this `Content-Type` holds.
    ///
    /// # Errors
    /// `body.invalid`.
    pub fn add_body(
        &mut self,
        content_type: &str,
        body: &[u8],
        form: impl Fn(&str) -> Vec<(String, String)>,
    ) -> Result<()> {
        let kind = content_type.split(';').next().unwrap_or_default().trim();
        if body.is_empty() {
            return Ok(());
        }
        match kind.to_ascii_lowercase().as_str() {
            "application/json" => self.add_json(body),
            "multipart/form-data" => {
                let boundary = parameter(content_type, "boundary").ok_or_else(invalid)?;
                self.add(multipart(body, &boundary).ok_or_else(invalid)?);
                Ok(())
            }
            _ => {
                self.add(form(&String::from_utf8_lossy(body)));
                Ok(())
            }
        }
    }

    fn add_json(&mut self, body: &[u8]) -> Result<()> {
        let Ok(Value::Object(map)) = serde_json::from_slice(body) else { return Err(invalid()) };
        for (name, value) in map {
            match value {
                Value::Object(inner) => {
                    let inner = inner.into_iter();
                    self.add(inner.map(|(key, v)| (format!("{name}[{key}]"), words(&v))));
                }
                // `[{"key": "A", "value": "b"}]`
                Value::Array(list) => {
                    let pair = |v: &Value| {
                        Some((v.get("key")?.as_str()?.to_owned(), words(v.get("value")?)))
                    };
                    let pairs: Option<Vec<_>> = list.iter().map(pair).collect();
                    let pairs = pairs.ok_or_else(invalid)?.into_iter();
                    self.add(pairs.map(|(key, v)| (format!("{name}[{key}]"), v)));
                }
                value => self.add([(name, words(&value))]),
            }
        }
        Ok(())
    }

    /// All of them.
    pub fn pairs(&self) -> &[(String, String)] {
        &self.0
    }

    /// The last value of a field.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().rev().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// `variables[KEY]=value`, and `variables[][key]=KEY` with the `variables[][value]=value` after it.
    pub fn map(&self, name: &str) -> BTreeMap<String, String> {
        let mut out = BTreeMap::new();
        let mut key: Option<&str> = None;
        for (field, value) in &self.0 {
            let Some(rest) = field.strip_prefix(name) else { continue };
            match rest {
                "[][key]" => key = Some(value),
                "[][value]" => {
                    out.extend(key.take().map(|key| (key.to_owned(), value.clone())));
                }
                rest => {
                    let inner = rest.strip_prefix('[').and_then(|r| r.strip_suffix(']'));
                    out.extend(inner.map(|key| (key.to_owned(), value.clone())));
                }
            }
        }
        out
    }
}

fn words(value: &Value) -> String {
    match value {
        Value::String(words) => words.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

fn invalid() -> Error {
    let say =
        Text::fixed("the body is no form and no JSON object", "본문이 폼도 JSON 객체도 아닙니다");
    Error::invalid("body.invalid", say)
}

/// A parameter of a header such as `form-data; name="x"` (RFC 9110 §5.6.6).
fn parameter(header: &str, name: &str) -> Option<String> {
    header.split(';').skip(1).find_map(|part| {
        let (n, v) = part.trim().split_once('=')?;
        let v = v.trim();
        let v = v.strip_prefix('"').and_then(|v| v.strip_suffix('"')).unwrap_or(v);
        n.eq_ignore_ascii_case(name).then(|| v.to_owned())
    })
}

/// The fields of a multipart body (RFC 7578); files are read as fields, too.
fn multipart(body: &[u8], boundary: &str) -> Option<Vec<(String, String)>> {
    if boundary.is_empty() || boundary.len() > 70 {
        return None;
    }
    // Every delimiter but the first stands at the beginning of a line.
    let body = String::from_utf8_lossy(body);
    let body = format!("\r\n{body}");
    let delimiter = format!("\r\n--{boundary}");
    let mut parts = body.split(&*delimiter);
    parts.next()?;
    let mut out = Vec::new();
    for part in parts.take(MAX_FIELDS) {
        if part.starts_with("--") {
            return Some(out);
        }
        let (head, value) = part.strip_prefix("\r\n")?.split_once("\r\n\r\n")?;
        let disposition = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-disposition").then(|| value.to_owned())
        });
        out.push((parameter(&disposition?, "name")?, value.to_owned()));
    }
    // The end is missing: it did not arrive whole.
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(content_type: &str, body: &str) -> Result<Fields> {
        let mut fields = Fields::default();
        let form = |words: &str| {
            let pairs = words.split('&').filter_map(|p| p.split_once('='));
            pairs.map(|(n, v)| (n.to_owned(), v.to_owned())).collect()
        };
        fields.add_body(content_type, body.as_bytes(), form)?;
        Ok(fields)
    }

    #[test]
    fn every_way_to_send_fields() {
        let multi = "--x\r\nContent-Disposition: form-data; name=\"token\"\r\n\r\nt1\r\n--x\r\ncontent-disposition: form-data; name=\"variables[A]\"\r\n\r\nb\r\nc\r\n--x--\r\n";
        for (kind, body, value) in [
            ("application/x-www-form-urlencoded", "token=t1&variables[A]=b", "b"),
            ("multipart/form-data; boundary=x", multi, "b\r\nc"),
            ("application/json", r#"{"token": "t1", "variables": {"A": "b"}}"#, "b"),
            (
                "application/json",
                r#"{"token": "t1", "variables": [{"key": "A", "value": 1}]}"#,
                "1",
            ),
            ("", "token=t1&variables[][key]=A&variables[][value]=b", "b"),
        ] {
            let fields = read(kind, body).unwrap();
            assert_eq!(fields.get("token"), Some("t1"), "{kind}");
            assert_eq!(fields.map("variables"), [("A".to_owned(), value.to_owned())].into());
        }
        for (kind, body) in [
            ("application/json", "[1]"),
            ("application/json", r#"{"variables": [1]}"#),
            ("multipart/form-data", "--x--"),
            (
                "multipart/form-data; boundary=x",
                "--x\r\nContent-Disposition: form-data; name=a\r\n\r\nb",
            ),
        ] {
            assert_eq!(read(kind, body).unwrap_err().code(), "body.invalid", "{kind} {body}");
        }
    }

    proptest! {
        #[test]
        fn any_body_is_read_or_refused(kind in "(multipart/form-data; boundary=x|application/json|)", body in "(--x|\r\n|[a-z:;=\"{}\\[\\]-]){0,40}") {
            let _ = read(&kind, &body);
        }
    }
}

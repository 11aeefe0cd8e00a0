//! The names of failed tests in a JUnit report, and what its files took. Only what a local run needs: reports
//! as a whole are read on the server.

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};
use std::collections::BTreeMap;

/// Failed tests of one report that are named.
const MOST: usize = 1000;
/// Characters of a name with its message.
const LONGEST: usize = 200;

/// `suite › test: message` for every test case with a `failure` or an `error`, up to where the report reads.
pub fn failed(xml: &[u8]) -> Vec<String> {
    let words = String::from_utf8_lossy(xml);
    let mut reader = Reader::from_str(&words);
    let mut found: Vec<String> = Vec::new();
    let mut case = String::new();
    while found.len() < MOST {
        let (start, empty) = match reader.read_event() {
            Ok(Event::Start(start)) => (start, false),
            Ok(Event::Empty(start)) => (start, true),
            Ok(Event::End(end)) if end.name().as_ref() == "testcase" => {
                case.clear();
                continue;
            }
            Ok(Event::Eof) | Err(_) => break,
            Ok(_) => continue,
        };
        match start.name().as_ref() {
            "testcase" if !empty => case = named(&start),
            "failure" | "error" if !case.is_empty() => {
                let message = attribute(&start, "message");
                let message = message.lines().next().unwrap_or("").trim();
                let whole = match message {
                    "" => std::mem::take(&mut case),
                    message => format!("{}: {message}", std::mem::take(&mut case)),
                };
                let plain = whole.chars().filter(|c| !c.is_control());
                found.push(plain.take(LONGEST).collect());
            }
            _ => {}
        }
    }
    found
}

/// Seconds of each file, or of each class where the report names no files, up to where it reads.
pub fn seconds(xml: &[u8]) -> BTreeMap<String, f64> {
    let words = String::from_utf8_lossy(xml);
    let mut reader = Reader::from_str(&words);
    let mut found: BTreeMap<String, f64> = BTreeMap::new();
    let mut suite = BTreeMap::new();
    loop {
        let start = match reader.read_event() {
            Ok(Event::Start(start) | Event::Empty(start)) => start,
            Ok(Event::Eof) | Err(_) => return found,
            Ok(_) => continue,
        };
        let of = |name: &str| Some(attribute(&start, name)).filter(|value| !value.is_empty());
        match start.name().as_ref() {
            "testsuite" => {
                suite = ["file", "name"].into_iter().filter_map(|n| Some((n, of(n)?))).collect();
            }
            "testcase" => {
                let unit = of("file")
                    .or_else(|| suite.get("file").cloned())
                    .or_else(|| of("classname"))
                    .or_else(|| suite.get("name").cloned());
                let took = of("time").and_then(|time| time.replace(',', "").parse::<f64>().ok());
                if let (Some(unit), Some(took)) = (unit, took.filter(|t| t.is_finite())) {
                    *found.entry(unit).or_default() += took.max(0.0);
                }
            }
            _ => {}
        }
    }
}

fn named(start: &BytesStart<'_>) -> String {
    let (class, name) = (attribute(start, "classname"), attribute(start, "name"));
    if class.is_empty() { name } else { format!("{class} › {name}") }
}

fn attribute(start: &BytesStart<'_>, name: &str) -> String {
    let found = start.attributes().flatten().find(|a| a.key.as_ref() == name);
    let raw = found.map(|a| a.value.into_owned()).unwrap_or_default();
    quick_xml::escape::unescape(&raw).map(|w| w.into_owned()).unwrap_or(raw)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_or_classes_have_their_seconds() {
        let xml = br#"<testsuites><testsuite name="s">
            <testcase classname="t.A" name="a" time="1.5"/><testcase classname="t.A" name="b" time="0.5"/>
            <testcase file="t/b.py" classname="t.B" name="c" time="1,000.0"><failure/></testcase>
            <testcase classname="t.C" name="untimed"/>
        </testsuite><testsuite name="u" file="u.js"><testcase name="d" time="2"/></testsuite>"#;
        let wanted = [("t.A", 2.0), ("t/b.py", 1000.0), ("u.js", 2.0)];
        assert_eq!(seconds(xml), wanted.map(|(unit, s)| (unit.to_owned(), s)).into());
    }

    #[test]
    fn only_what_failed_is_named() {
        let xml = br#"<testsuites><testsuite name="s">
            <testcase classname="t.A" name="good"/>
            <testcase classname="t.A" name="bad"><failure message="1 &lt; 2&#10;more">x</failure></testcase>
            <testcase name="worse"><error/></testcase>
            <testcase name="skipped"><skipped/></testcase>
        </testsuite></testsuites>"#;
        assert_eq!(failed(xml), ["t.A › bad: 1 < 2", "worse"]);
        assert!(failed(b"<testcase name='cut'><fail").is_empty());
        assert!(failed(&[0xff, b'<', 0]).is_empty());
    }
}

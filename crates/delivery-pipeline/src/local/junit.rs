//! The names of failed tests in a JUnit report. Only what a terminal shows: reports as a whole are read on
//! the server.

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

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

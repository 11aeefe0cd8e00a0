//! Walking through XML: elements, attributes and text, nothing else. Entities beyond the five of XML 1.0 and
//! character references stay as they are written, and a document type is passed over.

use super::{File, plain::line_of};
use kernel::{Text, text};
use quick_xml::Reader;
use quick_xml::XmlVersion;
use quick_xml::events::{BytesRef, BytesStart, Event};
use std::borrow::Cow;

/// Elements inside of each other.
const DEPTH: usize = 100;
/// Attributes of an element that are looked at.
const ATTRIBUTES: usize = 64;

/// What is made of a document.
pub(super) trait Visit {
    fn open(&mut self, name: &str, attributes: &Attributes<'_>);
    /// The end of the element `name`.
    fn close(&mut self, name: &str);
    /// A piece of text; there may be several in a row.
    fn text(&mut self, _words: &str) {}
}

/// The attributes of one element.
pub(super) struct Attributes<'a>(&'a BytesStart<'a>);

impl Attributes<'_> {
    pub fn get(&self, name: &str) -> Option<String> {
        let mut all = self.0.attributes();
        // Whether a name is there twice is of no concern, and costs the square of their number.
        let mut all = all.with_checks(false).take(ATTRIBUTES).flatten();
        let found = all.find(|a| a.key.as_ref() == name)?;
        let value = found.normalized_value(XmlVersion::Implicit1_0);
        Some(value.map_or_else(|_| found.value.to_string(), Cow::into_owned))
    }

    /// Empty, when it is missing.
    pub fn words(&self, name: &str) -> String {
        self.get(name).unwrap_or_default()
    }

    pub fn number<T: std::str::FromStr>(&self, name: &str) -> Option<T> {
        self.get(name)?.trim().parse().ok()
    }
}

/// Shows the document to `visit`. Whatever comes before a fault has been shown, and open elements are closed.
/// Says whether the root element was `root`, or one of them.
pub(super) fn walk(words: &str, roots: &[&str], visit: &mut impl Visit, file: &mut Faults) {
    let mut reader = Reader::from_str(words);
    let mut open: Vec<String> = Vec::new();
    let mut rooted = false;
    loop {
        let event = reader.read_event();
        let at = reader.buffer_position();
        match event {
            Ok(Event::Start(start)) => {
                let name = start.local_name().as_ref().to_owned();
                if !begins(roots, &mut rooted, &name, words, at, file) || open.len() >= DEPTH {
                    if rooted {
                        file.at(words, at, too_deep());
                    }
                    break;
                }
                visit.open(&name, &Attributes(&start));
                open.push(name);
            }
            Ok(Event::Empty(start)) => {
                let name = start.local_name().as_ref().to_owned();
                if !begins(roots, &mut rooted, &name, words, at, file) {
                    break;
                }
                visit.open(&name, &Attributes(&start));
                visit.close(&name);
            }
            Ok(Event::End(_)) => {
                if let Some(name) = open.pop() {
                    visit.close(&name);
                }
            }
            Ok(Event::Text(piece)) => visit.text(&piece.xml10_content()),
            Ok(Event::CData(piece)) => visit.text(&piece.xml10_content()),
            Ok(Event::GeneralRef(name)) => visit.text(&resolve(&name)),
            Ok(Event::Eof) => {
                if let Some(name) = open.last() {
                    file.at(
                        words,
                        at,
                        text!(
                            "the file breaks off inside of <{name}>",
                            "<{name}> 안에서 파일이 끊겼습니다"
                        ),
                    );
                } else if !rooted {
                    file.at(words, at, Text::fixed("there is no XML in it", "XML이 없습니다"));
                }
                break;
            }
            Ok(_) => {}
            Err(error) => {
                file.at(
                    words,
                    reader.error_position(),
                    text!("broken XML: {error}", "XML이 깨졌습니다: {error}"),
                );
                break;
            }
        }
    }
    while let Some(name) = open.pop() {
        visit.close(&name);
    }
}

/// Complaints, while the file's results are with the visitor.
#[derive(Default)]
pub(super) struct Faults(Vec<(u32, Text)>);

impl Faults {
    pub fn at(&mut self, words: &str, byte: u64, say: Text) {
        self.0.push((line_of(words, byte), say));
    }

    pub fn tell(self, file: &mut File<'_>) {
        for (line, say) in self.0 {
            file.problem(line, say);
        }
    }
}

fn begins(
    roots: &[&str],
    rooted: &mut bool,
    name: &str,
    words: &str,
    at: u64,
    file: &mut Faults,
) -> bool {
    if !*rooted && !roots.contains(&name) {
        let wanted = roots.join("> or <");
        let wanted_ko = roots.join(">나 <");
        file.at(
            words,
            at,
            text!(
                "it begins with <{name}>; <{wanted}> is expected",
                "<{name}>(으)로 시작합니다. <{wanted_ko}>이(가) 와야 합니다"
            ),
        );
        return false;
    }
    *rooted = true;
    true
}

fn too_deep() -> Text {
    text!(
        "more than {DEPTH} elements inside of each other",
        "요소가 {DEPTH}단계보다 깊게 겹쳤습니다"
    )
}

fn resolve(name: &BytesRef<'_>) -> String {
    if let Ok(Some(c)) = name.resolve_char_ref() {
        return c.to_string();
    }
    match quick_xml::escape::resolve_predefined_entity(name) {
        Some(words) => words.to_owned(),
        None => format!("&{};", &**name),
    }
}

//! What the tests of every part's pages look for.

use crate::Reader;
use kernel::{Lang, Time};
use maud::Markup;

/// What Han sees at that time, in English; sound in both languages.
///
/// # Panics
/// When there is a [`complaint`].
#[allow(clippy::panic, reason = "for tests")]
pub fn drawn(now: Time, draw: impl Fn(&Reader) -> Markup) -> String {
    let one = |lang| {
        let r = Reader { lang, now, who: Some("han".into()), ..Reader::default() };
        let html = draw(&r).into_string();
        match complaint(&html) {
            Some(wrong) => panic!("{wrong}: {html}"),
            None => html,
        }
    };
    one(Lang::Ko);
    one(Lang::En)
}

/// Elements that have no end tag (HTML Living Standard §13.1.2).
const VOID: [&str; 13] = [
    "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track",
    "wbr",
];

/// What is wrong with a page or a piece of one: a `style` attribute, an inline script or handler (the
/// content security policy refuses them), a tag that is not closed, an `id` that is there twice, a link
/// that leads nowhere. `None`: nothing.
pub fn complaint(html: &str) -> Option<String> {
    let mut open: Vec<&str> = Vec::new();
    let mut ids: Vec<&str> = Vec::new();
    let mut rest = html;
    while let Some(at) = rest.find('<') {
        let tag = rest.get(at + 1..)?;
        let end = tag_end(tag)?;
        let (inside, after) = (tag.get(..end)?, tag.get(end + 1..)?);
        rest = after;
        if inside.starts_with('!') {
            continue;
        }
        if let Some(name) = inside.strip_prefix('/') {
            match open.pop() {
                Some(opened) if opened == name.trim() => continue,
                opened => return Some(format!("</{name}> closes {opened:?}")),
            }
        }
        let name = inside.split([' ', '\n', '/']).next().unwrap_or(inside);
        if let Some(wrong) = attributes(name, inside.get(name.len()..)?, &mut ids) {
            return Some(wrong);
        }
        if name == "script" && !after.starts_with("</script>") {
            return Some("an inline script".to_owned());
        }
        if !VOID.contains(&name) {
            open.push(name);
        }
    }
    (!open.is_empty()).then(|| format!("not closed: {open:?}"))
}

/// Where the tag ends: at the first `>` outside quotes.
fn tag_end(tag: &str) -> Option<usize> {
    let mut quoted = false;
    tag.find(|c| {
        quoted ^= c == '"';
        c == '>' && !quoted
    })
}

fn attributes<'a>(name: &str, words: &'a str, ids: &mut Vec<&'a str>) -> Option<String> {
    let mut rest = words;
    while let Some((key, after)) = rest.split_once("=\"") {
        let key = key.trim().rsplit(' ').next().unwrap_or("");
        let (value, after) = after.split_once('"')?;
        rest = after;
        if key == "style" || key.starts_with("on") {
            return Some(format!("<{name} {key}=…>"));
        }
        if key == "href" && (value.is_empty() || value.starts_with("javascript:")) {
            return Some(format!("<{name}> leads nowhere: {value:?}"));
        }
        if key == "id" {
            if ids.contains(&value) {
                return Some(format!("two elements with the id {value:?}"));
            }
            ids.push(value);
        }
    }
    None
}

/// The words of a page without its tags, for assertions about what a reader sees.
pub fn words(html: &str) -> String {
    let mut out = String::new();
    let mut rest = html;
    while let Some(at) = rest.find('<') {
        out.push_str(rest.get(..at).unwrap_or(""));
        out.push(' ');
        let tag = rest.get(at + 1..).unwrap_or("");
        rest = tag_end(tag).and_then(|e| tag.get(e + 1..)).unwrap_or("");
    }
    out.push_str(rest);
    out.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_complained_about() {
        for (html, wrong) in [
            ("<!DOCTYPE html><p class=\"a>b\">x<br></p>", false),
            ("<svg><path d=\"M0 0\"></path></svg>", false),
            ("<svg><path d=\"M0 0\"></svg>", true),
            ("<p style=\"color:red\"></p>", true),
            ("<p onclick=\"x()\"></p>", true),
            ("<script>x()</script>", true),
            ("<script src=\"a.js\"></script>", false),
            ("<a href=\"javascript:x()\">x</a>", true),
            ("<i id=\"a\"></i><i id=\"a\"></i>", true),
            ("<div>", true),
        ] {
            assert_eq!(complaint(html).is_some(), wrong, "{html}: {:?}", complaint(html));
        }
        assert_eq!(words("<p>a <b>b</b></p>c"), "a b c");
    }
}

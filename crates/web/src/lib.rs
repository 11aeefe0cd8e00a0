//! The page shell and its widgets. Pages are drawn on the server and work without JavaScript; a few small
//! modules of our own make them live.
//!
//! A page is `web::page(head, &Page { … }, body)`, its body is made of [`widget`]s, and every widget takes a
//! [`Reader`] (language and now) and plain data: no widget knows a domain, a store or a request.
//!
//! Invariants: no `style` attribute and no inline script anywhere, because the content security policy
//! refuses them; what has a computed size is an SVG attribute. Nothing is told by colour alone.

mod assets;
pub mod icon;
mod prefer;
mod reader;
mod shell;
pub mod testing;
pub mod widget;

#[cfg(test)]
mod tests;

pub use assets::ASSETS;
pub use prefer::{back, prefer};
pub use reader::{Reader, Theme};
pub use shell::{Crumb, Page, document, error_body, error_page, page};

use kernel::kind::Text2;
use kernel::{Lang, Text};

/// Picks from a pair of words.
pub fn t(lang: Lang, words: Text2) -> &'static str {
    lang.pick(words.0, words.1)
}

/// A text in the reader's language.
pub fn say(lang: Lang, text: &Text) -> String {
    text.get(lang).to_owned()
}

/// Percent-encodes one segment of a path, so that any name, branch or file can stand in a link.
pub fn segment(words: &str) -> String {
    encode(words, false)
}

/// As [`segment`], but keeps the slashes: for the path of a file.
pub fn path(words: &str) -> String {
    encode(words, true)
}

fn encode(words: &str, slashes: bool) -> String {
    let mut out = String::with_capacity(words.len());
    for byte in words.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                out.push(char::from(byte));
            }
            b'/' if slashes => out.push('/'),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

//! The page shell and its widgets. Pages are drawn on the server and work without JavaScript; a few small
//! modules of our own make them live.

mod shell;

pub use shell::{Crumb, Page, error_page, page};

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

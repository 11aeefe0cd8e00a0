//! What people read, in the languages they read it in.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// A language naru speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Lang {
    #[default]
    En,
    Ko,
}

impl Lang {
    /// The best match for an `Accept-Language` header (RFC 9110 §12.5.4) or a POSIX locale such as
    /// `ko_KR.UTF-8`. Weights are honoured; anything unknown is English.
    pub fn negotiate(header: &str) -> Lang {
        let mut best = (Lang::En, -1.0_f32);
        for item in header.split(',').take(32) {
            let mut bits = item.trim().split(';');
            let tag = bits.next().unwrap_or("").trim().to_ascii_lowercase();
            let weight = bits
                .find_map(|b| b.trim().strip_prefix("q=").and_then(|q| q.parse().ok()))
                .unwrap_or(1.0);
            let lang = match tag.get(..2) {
                Some("ko") => Lang::Ko,
                Some("en") => Lang::En,
                _ => continue,
            };
            if weight > best.1 {
                best = (lang, weight);
            }
        }
        best.0
    }

    /// The BCP 47 tag, for `<html lang>`.
    pub fn tag(self) -> &'static str {
        match self {
            Lang::En => "en",
            Lang::Ko => "ko",
        }
    }

    /// Picks between two words of a page: `lang.pick("Changes", "변경")`.
    pub fn pick<'a>(self, en: &'a str, ko: &'a str) -> &'a str {
        match self {
            Lang::En => en,
            Lang::Ko => ko,
        }
    }
}

/// One sentence in every language. Sentences carry no final full stop.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Text {
    pub en: Cow<'static, str>,
    pub ko: Cow<'static, str>,
}

impl Text {
    /// A sentence known at compile time.
    pub const fn fixed(en: &'static str, ko: &'static str) -> Text {
        Text { en: Cow::Borrowed(en), ko: Cow::Borrowed(ko) }
    }

    /// A sentence made at run time; see [`text!`](crate::text!).
    pub fn new(en: impl Into<Cow<'static, str>>, ko: impl Into<Cow<'static, str>>) -> Text {
        Text { en: en.into(), ko: ko.into() }
    }

    /// Words that are the same in every language: a name, a number, another program's message.
    pub fn plain(words: impl Into<String>) -> Text {
        let words: String = words.into();
        Text { en: Cow::Owned(words.clone()), ko: Cow::Owned(words) }
    }

    pub fn get(&self, lang: Lang) -> &str {
        match lang {
            Lang::En => &self.en,
            Lang::Ko => &self.ko,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.en.is_empty()
    }
}

impl std::fmt::Display for Text {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.en)
    }
}

/// Both sentences with captured arguments: `text!("no project {name}", "{name} 프로젝트가 없습니다")`.
#[macro_export]
macro_rules! text {
    ($en:literal, $ko:literal $(,)?) => {
        $crate::Text::new(format!($en), format!($ko))
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn language_follows_weights_and_falls_back_to_english() {
        for (header, want) in [
            ("ko-KR,ko;q=0.9,en;q=0.8", Lang::Ko),
            ("en-GB,en;q=0.9,ko;q=0.8", Lang::En),
            ("en;q=0.2, ko;q=0.7", Lang::Ko),
            ("fr, de", Lang::En),
            ("ko_KR.UTF-8", Lang::Ko),
            ("", Lang::En),
            (";;;,q=", Lang::En),
        ] {
            assert_eq!(Lang::negotiate(header), want, "{header}");
        }
    }
}

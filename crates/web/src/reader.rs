//! Who reads a page, and when.

use kernel::{Lang, Principal, Time};
use naru_http::Head;

/// Colours: as the system is set, or as the reader chose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Theme {
    #[default]
    System,
    Light,
    Dark,
}

impl Theme {
    pub fn parse(word: &str) -> Theme {
        match word {
            "light" => Theme::Light,
            "dark" => Theme::Dark,
            _ => Theme::System,
        }
    }

    /// As in the cookie and in `data-theme`.
    pub fn word(self) -> &'static str {
        match self {
            Theme::System => "system",
            Theme::Light => "light",
            Theme::Dark => "dark",
        }
    }
}

/// All that drawing depends on besides the data itself.
#[derive(Clone, Debug, Default)]
pub struct Reader {
    pub lang: Lang,
    /// What relative times are relative to.
    pub now: Time,
    pub theme: Theme,
    /// `None`: nobody is signed in.
    pub who: Option<String>,
    /// The page's own address with its query: where a form leads back to.
    pub address: String,
    /// Position in the journal before anything was read: live parts follow from here.
    pub since: u64,
}

impl Reader {
    pub fn of(head: &Head) -> Reader {
        let who = match &head.who {
            Principal::Anonymous => None,
            Principal::User(name) | Principal::Service(name) => Some(name.to_string()),
            other => Some(other.to_string()),
        };
        Reader {
            lang: head.lang,
            now: head.site.store.now(),
            theme: Theme::parse(head.cookie("naru_theme").unwrap_or("")),
            who,
            address: head.uri.path_and_query().map_or("/", |p| p.as_str()).to_owned(),
            since: head.since,
        }
    }

    /// Picks between two words: `r.t("Changes", "변경")`.
    pub fn t<'a>(&self, en: &'a str, ko: &'a str) -> &'a str {
        self.lang.pick(en, ko)
    }
}

//! Who reads a page, and when.

use kernel::{Lang, Principal, Text, Time, text};
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
    /// Whether they look after everybody's accounts.
    pub administers: bool,
    /// Rights taken in an emergency, for administrators.
    pub alarms: Vec<Text>,
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
            administers: head.site.policy.administers(&head.who),
            alarms: alarms(head),
            since: head.since,
        }
    }

    /// Picks between two words: `r.t("Changes", "변경")`.
    pub fn t<'a>(&self, en: &'a str, ko: &'a str) -> &'a str {
        self.lang.pick(en, ko)
    }
}

/// Told to administrators on every page, until they have ended.
fn alarms(head: &Head) -> Vec<Text> {
    let policy = &head.site.policy;
    let broken = policy.alarms();
    if broken.is_empty() || !policy.administers(&head.who) {
        return Vec::new();
    }
    let say = |alarm: policy::Alarm| {
        let (who, on, reason) = (alarm.who, alarm.on, alarm.reason);
        let until = alarm.until.to_string().replace('T', " ");
        let until = until.get(..16).unwrap_or(&until);
        let (en, ko) = (alarm.give.text().en, alarm.give.text().ko);
        text!(
            "{who} broke the glass and has {en} on {on} until {until} UTC: {reason}",
            "{who}이(가) 비상 권한으로 {until} UTC까지 {on}의 {ko}을(를) 갖고 있습니다: {reason}"
        )
    };
    broken.into_iter().map(say).collect()
}

//! The one shape of an error at the edge.

use crate::{Lang, Text};
use serde::{Deserialize, Serialize};

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What the caller may do about it. The surfaces turn this into an HTTP status or an exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// Mend the request (400).
    Invalid,
    /// Say who you are (401).
    Unauthenticated,
    /// Ask for the right (403).
    Forbidden,
    /// Check the name; what one may not see is also not found (404).
    NotFound,
    /// Read again, then decide (409).
    Conflict,
    /// Send less (413).
    TooLarge,
    /// Wait, then try again (429).
    Busy,
    /// Nothing: it is our fault, and the log knows more (500).
    Internal,
    /// Try again later (503).
    Unavailable,
    /// Free some space (507).
    Full,
}

impl ErrorKind {
    /// HTTP status code (RFC 9110 §15; 429 is RFC 6585; 507 is RFC 4918).
    pub fn status(self) -> u16 {
        match self {
            ErrorKind::Invalid => 400,
            ErrorKind::Unauthenticated => 401,
            ErrorKind::Forbidden => 403,
            ErrorKind::NotFound => 404,
            ErrorKind::Conflict => 409,
            ErrorKind::TooLarge => 413,
            ErrorKind::Busy => 429,
            ErrorKind::Internal => 500,
            ErrorKind::Unavailable => 503,
            ErrorKind::Full => 507,
        }
    }
}

/// A place in a file that a person wrote. Lines and columns count from 1.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    pub file: String,
    pub line: u32,
    pub column: u32,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// An error as its reader meets it: a stable `code`, what happened (`say`), what to do next (`hint`) and
/// where (`at`). What only operators should see is `why`; it is logged and never sent.
#[derive(Clone, Debug)]
pub struct Error(Box<Inner>);

#[derive(Clone, Debug)]
struct Inner {
    kind: ErrorKind,
    code: &'static str,
    say: Text,
    hint: Option<Text>,
    at: Option<Place>,
    why: Option<String>,
    retry: Option<u64>,
}

/// The error on the wire.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Wire {
    pub code: String,
    pub kind: ErrorKind,
    pub say: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Place>,
    /// The id of the request that was refused: what to name to whoever reads the server's log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
}

impl Error {
    /// `code` is a stable word for scripts: `project.unknown`, `token.expired`.
    pub fn new(kind: ErrorKind, code: &'static str, say: Text) -> Error {
        Error(Box::new(Inner { kind, code, say, hint: None, at: None, why: None, retry: None }))
    }
    pub fn invalid(code: &'static str, say: Text) -> Error {
        Error::new(ErrorKind::Invalid, code, say)
    }
    pub fn not_found(code: &'static str, say: Text) -> Error {
        Error::new(ErrorKind::NotFound, code, say)
    }
    pub fn conflict(code: &'static str, say: Text) -> Error {
        Error::new(ErrorKind::Conflict, code, say)
    }
    pub fn forbidden(code: &'static str, say: Text) -> Error {
        Error::new(ErrorKind::Forbidden, code, say)
    }
    /// Our fault. `why` is for the log alone.
    pub fn internal(why: impl std::fmt::Display) -> Error {
        Error::new(
            ErrorKind::Internal,
            "internal",
            Text::fixed("something inside naru failed", "naru 내부에서 문제가 생겼습니다"),
        )
        .hint(Text::fixed("the server's log says more", "서버 로그에 자세한 내용이 있습니다"))
        .why(why)
    }
    pub fn hint(mut self, hint: Text) -> Error {
        self.0.hint = Some(hint);
        self
    }
    pub fn at(mut self, file: impl Into<String>, line: u32, column: u32) -> Error {
        self.0.at = Some(Place { file: file.into(), line, column });
        self
    }
    pub fn why(mut self, why: impl std::fmt::Display) -> Error {
        self.0.why = Some(why.to_string());
        self
    }
    /// In how many seconds trying again makes sense: `Retry-After` (RFC 9110 §10.2.3).
    pub fn retry_after(mut self, seconds: u64) -> Error {
        self.0.retry = Some(seconds);
        self
    }

    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }
    pub fn code(&self) -> &'static str {
        self.0.code
    }
    pub fn say(&self) -> &Text {
        &self.0.say
    }
    pub fn get_hint(&self) -> Option<&Text> {
        self.0.hint.as_ref()
    }
    pub fn place(&self) -> Option<&Place> {
        self.0.at.as_ref()
    }
    pub fn get_retry_after(&self) -> Option<u64> {
        self.0.retry
    }
    pub fn get_why(&self) -> Option<&str> {
        self.0.why.as_deref()
    }

    /// The sentence with its place and hint, in every language, on one line: for events and records.
    pub fn sentence(&self) -> Text {
        let line = |lang: Lang| {
            let at = self.0.at.as_ref().map(|p| format!("{p}: ")).unwrap_or_default();
            let hint = self.0.hint.as_ref().map(|h| format!(" ({})", h.get(lang)));
            format!("{at}{}{}", self.0.say.get(lang), hint.unwrap_or_default())
        };
        Text::new(line(Lang::En), line(Lang::Ko))
    }

    pub fn wire(&self, lang: Lang) -> Wire {
        Wire {
            code: self.0.code.to_owned(),
            kind: self.0.kind,
            say: self.0.say.get(lang).to_owned(),
            hint: self.0.hint.as_ref().map(|h| h.get(lang).to_owned()),
            at: self.0.at.clone(),
            request: None,
        }
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.sentence().en)?;
        match &self.0.why {
            Some(why) => write!(f, " [{why}]"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {}

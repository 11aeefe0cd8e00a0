//! The parameters of a request: each once, decoded strictly, none too long.

use super::Refusal;

/// Parameters of one request.
const MOST: usize = 64;
/// The longest value, in bytes.
const LONGEST: usize = 4096;
/// The longest signed token as a value.
const LONGEST_TOKEN: usize = 16 * 1024;
/// Which values are such tokens.
const TOKENS: [&str; 4] = ["client_assertion", "subject_token", "actor_token", "id_token_hint"];
/// What may be there several times (RFC 8707 §2, RFC 8693 §2.1).
const SEVERAL: [&str; 2] = ["resource", "audience"];

/// The parameters of a query or a form.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Params(Vec<(String, String)>);

impl Params {
    /// Reads `application/x-www-form-urlencoded`. A parameter without a value counts as left out (RFC 6749 §3.1).
    ///
    /// # Errors
    /// `invalid_request` when one is there twice, too long, or no text.
    pub fn read(words: &str) -> Result<Params, Refusal> {
        let mut all: Vec<(String, String)> = Vec::new();
        for pair in words.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (name, value) = (decode(name)?, decode(value)?);
            if all.len() >= MOST {
                return Err(wrong(
                    "sso.too-many",
                    ("too many parameters", "매개변수가 너무 많습니다"),
                ));
            }
            let most = if TOKENS.contains(&name.as_str()) { LONGEST_TOKEN } else { LONGEST };
            if name.len() > 100 || value.len() > most {
                return Err(wrong(
                    "sso.too-long",
                    ("a parameter is too long", "매개변수가 너무 깁니다"),
                ));
            }
            if all.iter().any(|(known, _)| *known == name) && !SEVERAL.contains(&name.as_str()) {
                return Err(wrong(
                    "sso.duplicate",
                    ("a parameter is there more than once", "같은 매개변수가 두 번 이상 있습니다"),
                ));
            }
            all.push((name, value));
        }
        all.retain(|(_, value)| !value.is_empty());
        Ok(Params(all))
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// One that has to be there.
    ///
    /// # Errors
    /// `invalid_request`.
    pub fn need(&self, name: &'static str) -> Result<&str, Refusal> {
        self.get(name).ok_or_else(|| {
            let say = kernel::text!("{name} is missing", "{name}이(가) 없습니다");
            Refusal { say, ..wrong("sso.missing", ("", "")) }
        })
    }

    /// The same without some, as a query again.
    pub fn query_without(&self, names: &[&str]) -> String {
        let kept = self.0.iter().filter(|(name, _)| !names.contains(&name.as_str()));
        query(kept.map(|(name, value)| (name.as_str(), value.as_str())))
    }
}

/// Pairs as a query.
pub fn query<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let pair =
        |(name, value): (&str, &str)| format!("{}={}", web::segment(name), web::segment(value));
    pairs.into_iter().map(pair).collect::<Vec<_>>().join("&")
}

fn wrong(code: &'static str, say: (&'static str, &'static str)) -> Refusal {
    Refusal::new("invalid_request", code, say)
}

/// Percent-decoded text (WHATWG URL §5.1), where what is no UTF-8 is refused instead of replaced.
pub(super) fn decode(words: &str) -> Result<String, Refusal> {
    let broken = || {
        wrong(
            "sso.encoding",
            ("a parameter is not encoded as it should", "매개변수의 인코딩이 맞지 않습니다"),
        )
    };
    let mut out = Vec::with_capacity(words.len());
    let mut bytes = words.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'+' => out.push(b' '),
            b'%' => {
                let digit = |b: Option<u8>| char::from(b?).to_digit(16);
                let (high, low) = (digit(bytes.next()), digit(bytes.next()));
                let (high, low) = high.zip(low).ok_or_else(broken)?;
                out.push(u8::try_from(high * 16 + low).map_err(|_| broken())?);
            }
            other => out.push(other),
        }
    }
    let text = String::from_utf8(out).map_err(|_| broken())?;
    // What ends lines belongs into no header, no log and no page.
    if text.chars().any(|c| c.is_control()) { Err(broken()) } else { Ok(text) }
}

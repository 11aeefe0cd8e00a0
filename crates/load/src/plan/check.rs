//! What is looked for in an answer, and what is taken from it.

use super::make::Maker;
use super::{Check, Extract, From};
use crate::file;
use crate::find::JsonPath;
use crate::read::join;
use http::HeaderName;
use kernel::{Result, text};
use regex::Regex;

impl Maker<'_> {
    pub(super) fn check(&self, c: &file::Check, at: &str) -> Result<Check> {
        let named = [
            c.status.is_some(),
            c.header.is_some(),
            c.contains.is_some(),
            c.regex.is_some(),
            c.jsonpath.is_some(),
            c.max_duration.is_some(),
        ];
        if !named.contains(&true) {
            let say = text!("this check asks for nothing", "이 검사는 아무것도 확인하지 않습니다");
            return Err(self.wrong(at, say));
        }
        if c.equals.is_some() && c.header.is_none() && c.jsonpath.is_none() {
            let say = text!(
                "`equals` needs `header` or `jsonpath` beside it",
                "`equals`는 `header`나 `jsonpath`와 함께 씁니다"
            );
            return Err(self.wrong(&join(at, "equals"), say));
        }
        Ok(Check {
            status: c.status,
            header: c.header.as_deref().map(|h| self.header(h, &join(at, "header"))).transpose()?,
            contains: c.contains.clone(),
            regex: c.regex.as_deref().map(|r| self.regex(r, &join(at, "regex"))).transpose()?,
            jsonpath: c
                .jsonpath
                .as_deref()
                .map(|p| self.path(p, &join(at, "jsonpath")))
                .transpose()?,
            equals: c.equals.as_ref().map(|w| w.0.clone()),
            most: c.max_duration.map(|d| d.0),
        })
    }

    pub(super) fn extract(&self, e: &file::Extract, at: &str) -> Result<Extract> {
        let from = match (&e.jsonpath, &e.regex, &e.header) {
            (Some(path), None, None) => From::JsonPath(self.path(path, &join(at, "jsonpath"))?),
            (None, Some(regex), None) => From::Regex(self.regex(regex, &join(at, "regex"))?),
            (None, None, Some(name)) => From::Header(self.header(name, &join(at, "header"))?),
            _ => {
                let say = text!(
                    "exactly one of `jsonpath`, `regex` and `header`",
                    "`jsonpath`, `regex`, `header` 중 꼭 하나를 쓰세요"
                );
                return Err(self.wrong(at, say));
            }
        };
        Ok(Extract { from, default: e.default.as_ref().map(|w| w.0.clone()) })
    }

    pub(super) fn header(&self, name: &str, at: &str) -> Result<HeaderName> {
        HeaderName::from_bytes(name.as_bytes()).map_err(|_| {
            self.wrong(
                at,
                text!("`{name}` cannot be a header", "`{name}`은(는) 헤더가 될 수 없습니다"),
            )
        })
    }

    pub(super) fn regex(&self, words: &str, at: &str) -> Result<Regex> {
        regex::RegexBuilder::new(words).size_limit(1 << 20).build().map_err(|e| {
            let why = e.to_string();
            let why =
                why.lines().last().unwrap_or("").trim().trim_start_matches("error: ").to_owned();
            let say = text!("not a regular expression: {why}", "정규 표현식이 아닙니다: {why}");
            self.wrong(at, say)
        })
    }

    pub(super) fn path(&self, words: &str, at: &str) -> Result<JsonPath> {
        JsonPath::parse(words).ok_or_else(|| {
            let say =
                text!("“{words}” is not a path into JSON", "“{words}”은(는) JSON 경로가 아닙니다");
            self.wrong(at, say).hint(text!(
                "keys and indices: `$.items[0].id`",
                "키와 번호로 쓰세요: `$.items[0].id`"
            ))
        })
    }
}

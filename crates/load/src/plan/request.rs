//! A request of a flow.

use super::make::{Inside, Maker};
use super::{Check, CheckInfo, From, Request, RequestInfo, TIMEOUT};
use crate::file::{self, Statuses};
use crate::read::join;
use crate::template::{Known, Slot, Template};
use http::{HeaderName, HeaderValue, Method};
use kernel::{Error, Result, text};
use std::collections::BTreeMap;

impl Maker<'_> {
    pub(super) fn request(
        &mut self,
        inside: &mut Inside<'_>,
        r: &file::Request,
        at: &str,
    ) -> Result<Request> {
        let id = self.requests.len();
        let body = self.body(inside, r, at)?;
        let method = r.method.as_deref().unwrap_or(if body.is_some() { "POST" } else { "GET" });
        let method = Method::from_bytes(method.to_ascii_uppercase().as_bytes()).map_err(|_| {
            let say = text!("`{method}` is not a method", "`{method}`은(는) 메서드가 아닙니다");
            self.wrong(&join(at, "method"), say)
        })?;
        let url_at = join(at, "url");
        let url = self.template(inside, &r.url, &url_at)?;
        if let Some(fixed) = url.fixed() {
            crate::net::Target::parse(fixed).ok_or_else(|| self.no_url(fixed, &url_at))?;
        }
        let headers = self.headers(inside, r, body.is_some(), at)?;
        let mut tags = inside.tags.clone();
        tags.extend(r.tags.clone());
        let name = r.name.clone().unwrap_or_else(|| format!("{method} {}", r.url));
        for (key, value) in [("name", &name), ("url", &r.url), ("method", &method.to_string())] {
            tags.insert(key.to_owned(), value.clone());
        }
        let info = RequestInfo {
            scenario: inside.scenario,
            name,
            method: method.to_string(),
            url: r.url.clone(),
            tags,
        };
        self.requests.push(info);
        let mut checks = Vec::new();
        for (name, check) in &r.checks {
            let check = self.check(check, &join(&join(at, "checks"), name))?;
            checks.push((self.checks.len(), check));
            self.checks.push(CheckInfo { request: id, name: name.clone() });
        }
        let mut extract = Vec::new();
        for (name, one) in &r.extract {
            let one = self.extract(one, &join(&join(at, "extract"), name))?;
            let slot = inside.slots.iter().position(|s| s == name).unwrap_or(inside.slots.len());
            if slot == inside.slots.len() {
                inside.slots.push(name.clone());
            }
            inside.known.insert(name.clone(), Known::Later(Slot::Extracted(slot)));
            extract.push((slot, one));
        }
        let deep = |c: &Check| c.contains.is_some() || c.regex.is_some() || c.jsonpath.is_some();
        let looks = checks.iter().any(|(_, c)| deep(c))
            || extract.iter().any(|(_, e)| !matches!(e.from, From::Header(_)));
        let expected =
            match (r.expected_statuses.is_empty(), inside.test.expected_statuses.is_empty()) {
                (false, _) => r.expected_statuses.clone(),
                (true, false) => inside.test.expected_statuses.clone(),
                (true, true) => vec![Statuses { from: 200, to: 399 }],
            };
        let timeout = r.timeout.map_or(TIMEOUT, |t| t.0);
        Ok(Request { id, method, url, headers, body, timeout, expected, checks, extract, looks })
    }

    pub(super) fn no_url(&self, words: &str, at: &str) -> Error {
        let say = text!("“{words}” is not an address", "“{words}”은(는) 주소가 아닙니다");
        self.wrong(at, say)
            .hint(text!("write it as http://HOST:PORT/PATH", "http://호스트:포트/경로 꼴로 쓰세요"))
    }

    pub(super) fn body(
        &self,
        inside: &Inside<'_>,
        r: &file::Request,
        at: &str,
    ) -> Result<Option<Template>> {
        let given = [r.body.is_some(), r.json.is_some(), r.form.is_some()];
        if given.iter().filter(|g| **g).count() > 1 {
            let say = text!(
                "one of `body`, `json` and `form`, not more",
                "`body`, `json`, `form` 중 하나만 쓸 수 있습니다"
            );
            return Err(self.wrong(at, say));
        }
        if let Some(body) = &r.body {
            return self.template(inside, body, &join(at, "body")).map(Some);
        }
        if let Some(json) = &r.json {
            return self.template(inside, &json.to_string(), &join(at, "json")).map(Some);
        }
        let Some(form) = &r.form else { return Ok(None) };
        let encode = |w: &str| {
            // Variables stay as they are, to be filled in later.
            let parts = w.split_inclusive('}').map(|part| match part.find("${") {
                Some(i) => {
                    let (before, variable) = part.split_at(i);
                    format!("{}{variable}", percent(before))
                }
                None => percent(part),
            });
            parts.collect::<String>()
        };
        let words: Vec<String> =
            form.iter().map(|(k, v)| format!("{}={}", encode(k), encode(v))).collect();
        self.template(inside, &words.join("&"), &join(at, "form")).map(Some)
    }

    pub(super) fn headers(
        &self,
        inside: &Inside<'_>,
        r: &file::Request,
        body: bool,
        at: &str,
    ) -> Result<Vec<(HeaderName, Template)>> {
        let agent = inside.test.user_agent.clone();
        let agent =
            agent.unwrap_or_else(|| concat!("naru-load/", env!("CARGO_PKG_VERSION")).into());
        let mut all: BTreeMap<String, (String, String)> = BTreeMap::new();
        all.insert("user-agent".to_owned(), (agent, "userAgent".to_owned()));
        if r.json.is_some() {
            all.insert(
                "content-type".to_owned(),
                ("application/json".to_owned(), join(at, "json")),
            );
        } else if r.form.is_some() && body {
            let kind = "application/x-www-form-urlencoded".to_owned();
            all.insert("content-type".to_owned(), (kind, join(at, "form")));
        }
        for (from, at) in
            [(&inside.test.headers, "headers".to_owned()), (&r.headers, join(at, "headers"))]
        {
            for (name, value) in from {
                all.insert(name.to_ascii_lowercase(), (value.clone(), join(&at, name)));
            }
        }
        let mut out = Vec::new();
        for (name, (value, at)) in all {
            let header = HeaderName::from_bytes(name.as_bytes()).map_err(|_| {
                self.wrong(
                    &at,
                    text!("`{name}` cannot be a header", "`{name}`은(는) 헤더가 될 수 없습니다"),
                )
            })?;
            let value = self.template(inside, &value, &at)?;
            if value.fixed().is_some_and(|v| HeaderValue::from_str(v).is_err()) {
                let say = text!("this cannot be the value of a header", "헤더 값이 될 수 없습니다");
                return Err(self.wrong(&at, say));
            }
            out.push((header, value));
        }
        Ok(out)
    }
}

fn percent(words: &str) -> String {
    percent_encoding::utf8_percent_encode(words, percent_encoding::NON_ALPHANUMERIC).to_string()
}

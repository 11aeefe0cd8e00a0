//! What people and programs read when the edge itself answers.

use crate::route::Route;
use crate::wire::{Known, Reject, RequestHead};
use kernel::{Lang, Text, text};
use std::fmt::Write;
use std::io;

/// Why the edge answers by itself.
#[derive(Debug)]
pub(crate) enum Problem {
    UnknownHost(String),
    NoInstance,
    /// No instance took a connection; the last one's name and reason.
    Unreachable(String, io::Error),
    /// The instance ended the connection before a whole response head.
    Closed,
    /// The instance's response breaks a rule of HTTP.
    Malformed(Reject),
    Timeout,
    Refused(Reject),
    Crowded,
}

/// An answer in both languages.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) status: u16,
    pub(crate) code: &'static str,
    pub(crate) retry_after: Option<u32>,
    say: Text,
    why: Option<Text>,
    hint: Text,
}

/// How the reader wants it, as far as their request said.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reader {
    form: Form,
    /// `Accept-Language`; absent when the request could not be read.
    language: Option<Box<str>>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Form {
    Html,
    Json,
    #[default]
    Text,
}

impl Reader {
    pub(crate) fn of(head: &RequestHead<'_>) -> Reader {
        let first = |known| head.values(known).next().and_then(|v| std::str::from_utf8(v).ok());
        let accept = first(Known::Accept).unwrap_or_default();
        let form = match (accept.contains("text/html"), accept.contains("json")) {
            (true, _) => Form::Html,
            (false, true) => Form::Json,
            (false, false) => Form::Text,
        };
        Reader { form, language: Some(first(Known::AcceptLanguage).unwrap_or_default().into()) }
    }

    /// Two languages for those who could not say.
    fn langs(&self) -> Vec<Lang> {
        match &self.language {
            Some(header) => vec![Lang::negotiate(header)],
            None => vec![Lang::En, Lang::Ko],
        }
    }
}

impl Page {
    pub(crate) fn new(problem: &Problem, route: Option<&Route>) -> Page {
        let name = route.map(|r| format!("{}/{}", r.project, r.service)).unwrap_or_default();
        let (status, code) = problem.status();
        Page {
            status,
            code,
            retry_after: (status == 503).then_some(RETRY_AFTER),
            say: problem.say(&name),
            why: problem.why(),
            hint: problem.hint(route),
        }
    }

    /// The media type and the bytes.
    pub(crate) fn body(&self, reader: &Reader) -> (&'static str, String) {
        let langs = reader.langs();
        let lang = langs.first().copied().unwrap_or_default();
        match reader.form {
            Form::Html => ("text/html; charset=utf-8", self.html(lang)),
            Form::Json => ("application/json", self.json(lang)),
            Form::Text => ("text/plain; charset=utf-8", self.text(&langs)),
        }
    }

    fn text(&self, langs: &[Lang]) -> String {
        let mut out = String::new();
        for lang in langs {
            let _ = write!(out, "{} {}", self.status, self.say.get(*lang));
            if let Some(why) = &self.why {
                let _ = write!(out, ": {}", why.get(*lang));
            }
            let _ = writeln!(out, " ({})", self.hint.get(*lang));
        }
        out
    }

    fn json(&self, lang: Lang) -> String {
        let why = self.why.as_ref().map(|w| w.get(lang));
        let value = serde_json::json!({
            "code": self.code,
            "status": self.status,
            "say": self.say.get(lang),
            "why": why,
            "hint": self.hint.get(lang),
        });
        format!("{value}\n")
    }

    fn html(&self, lang: Lang) -> String {
        let why = self.why.as_ref().map(|w| format!("<p>{}</p>", escape(w.get(lang))));
        format!(
            "<!doctype html><html lang=\"{tag}\"><meta charset=\"utf-8\">\
             <meta name=\"viewport\" content=\"width=device-width\"><title>{status} · {say}</title>\
             <style>{STYLE}</style><main><p class=\"n\">{status}</p><h1>{say}</h1>{why}\
             <p class=\"h\">{hint}</p><footer>naru · {code}</footer></main></html>\n",
            tag = lang.tag(),
            status = self.status,
            say = escape(self.say.get(lang)),
            why = why.unwrap_or_default(),
            hint = escape(self.hint.get(lang)),
            code = self.code,
        )
    }
}

impl Problem {
    /// The status, and a word for scripts.
    fn status(&self) -> (u16, &'static str) {
        match self {
            Problem::UnknownHost(_) => (404, "edge.host_unknown"),
            Problem::NoInstance => (503, "edge.no_instance"),
            Problem::Crowded => (503, "edge.crowded"),
            Problem::Unreachable(..) => (502, "edge.unreachable"),
            Problem::Closed => (502, "edge.closed"),
            Problem::Malformed(_) => (502, "edge.malformed"),
            Problem::Timeout => (504, "edge.timeout"),
            Problem::Refused(reject) => (reject.status(), "edge.refused"),
        }
    }

    /// What happened to a request for the service `name`.
    fn say(&self, name: &str) -> Text {
        match self {
            Problem::UnknownHost(host) => {
                text!("no service answers for “{host}”", "“{host}”에 응답하는 서비스가 없습니다")
            }
            Problem::NoInstance => {
                text!("{name} has no ready instance", "{name} 서비스에 준비된 인스턴스가 없습니다")
            }
            Problem::Crowded => {
                Text::fixed("too many connections at once", "동시 연결이 너무 많습니다")
            }
            Problem::Unreachable(..) | Problem::Closed | Problem::Malformed(_) => text!(
                "{name} did not answer properly",
                "{name} 서비스가 제대로 응답하지 않았습니다"
            ),
            Problem::Timeout => {
                text!("{name} took too long to answer", "{name} 서비스의 응답이 너무 늦습니다")
            }
            Problem::Refused(_) => {
                Text::fixed("the request was refused", "요청을 받아들이지 않았습니다")
            }
        }
    }

    fn why(&self) -> Option<Text> {
        match self {
            Problem::Unreachable(instance, why) => Some(unreachable(instance, why)),
            Problem::Closed => Some(Text::fixed(
                "the instance closed the connection before it answered",
                "인스턴스가 응답하기 전에 연결을 끊었습니다",
            )),
            Problem::Malformed(reject) => {
                let Text { en, ko } = reject.say();
                Some(text!(
                    "its response breaks HTTP: {en}",
                    "응답이 HTTP 규칙에 맞지 않습니다: {ko}"
                ))
            }
            Problem::Refused(reject) => Some(reject.say()),
            _ => None,
        }
    }

    /// What the reader may do. Commands are written out so that they can be copied.
    fn hint(&self, route: Option<&Route>) -> Text {
        let logs = match route {
            Some(Route { project, service, .. }) => format!("naru logs {service} -p {project}"),
            None => "naru logs SERVICE -p PROJECT".to_owned(),
        };
        match self {
            Problem::UnknownHost(_) => Text::fixed(
                "check the address; “naru route list -p PROJECT” shows the hosts of a project",
                "주소를 확인하세요. “naru route list -p PROJECT”로 프로젝트의 호스트를 볼 수 있습니다",
            ),
            Problem::NoInstance => text!(
                "it may be starting: try again in a moment, then read its logs with “{logs}”",
                "시작하는 중일 수 있습니다. 잠시 뒤 다시 시도하고, 계속되면 “{logs}”로 로그를 보세요"
            ),
            Problem::Crowded => Text::fixed("try again in a moment", "잠시 뒤 다시 시도하세요"),
            Problem::Unreachable(..) | Problem::Closed | Problem::Malformed(_) => {
                text!("its logs say more: “{logs}”", "“{logs}”로 로그를 확인하세요")
            }
            Problem::Timeout => text!(
                "try again; if it stays slow, its logs say more: “{logs}”",
                "다시 시도하세요. 계속 느리면 “{logs}”로 로그를 확인하세요"
            ),
            Problem::Refused(_) => {
                Text::fixed("mend the client that sent it", "요청을 보낸 클라이언트를 고치세요")
            }
        }
    }
}

fn unreachable(instance: &str, why: &io::Error) -> Text {
    match why.kind() {
        io::ErrorKind::ConnectionRefused => text!(
            "instance {instance} refused the connection",
            "{instance} 인스턴스가 연결을 거부했습니다"
        ),
        io::ErrorKind::TimedOut => text!(
            "instance {instance} did not take the connection in time",
            "{instance} 인스턴스가 제때 연결을 받지 않았습니다"
        ),
        _ => text!(
            "no connection to instance {instance}: {why}",
            "{instance} 인스턴스에 연결할 수 없습니다: {why}"
        ),
    }
}

/// Seconds after which to try again when the edge says 503: a rollout's next instance takes about as long.
const RETRY_AFTER: u32 = 2;

const STYLE: &str = ":root{color-scheme:light dark;--l:#0b6e6e;--f:#1b2426;--b:#f6f8f7;--s:#5d6b6d}\
@media(prefers-color-scheme:dark){:root{--l:#5cc8c0;--f:#e6eceb;--b:#101516;--s:#93a2a3}}\
body{margin:0;min-height:100vh;display:grid;place-items:center;background:var(--b);color:var(--f);\
font:16px/1.6 system-ui,sans-serif}main{max-width:34rem;padding:2rem;border-left:3px solid var(--l)}\
.n{margin:0;font:600 .9rem ui-monospace,monospace;letter-spacing:.1em;color:var(--l)}\
h1{margin:.2rem 0 .8rem;font-size:1.5rem;line-height:1.35;text-wrap:balance;overflow-wrap:anywhere}\
p{margin:.4rem 0;overflow-wrap:anywhere}.h,footer{color:var(--s)}\
footer{margin-top:1.6rem;font:.8rem ui-monospace,monospace}";

/// Allows the page's own style and nothing else. The hash is that of `STYLE`; a test holds the two together.
pub(crate) const POLICY: &str =
    "default-src 'none'; style-src 'sha256-0YxZrYpjyVtI6kzGTf7ThARgn/LI4V4CU89JLItmGvY='";

fn escape(words: &str) -> String {
    let mut out = String::with_capacity(words.len());
    for c in words.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine;
    use sha2::Digest;

    fn reader(fields: &str) -> Reader {
        let head = format!("GET / HTTP/1.1\r\n{fields}\r\n");
        Reader::of(&RequestHead::parse(head.as_bytes(), 9).unwrap())
    }

    #[test]
    fn the_policy_allows_exactly_the_style() {
        let hash = base64::engine::general_purpose::STANDARD.encode(sha2::Sha256::digest(STYLE));
        assert_eq!(POLICY, format!("default-src 'none'; style-src 'sha256-{hash}'"));
    }

    #[test]
    fn each_reader_gets_their_language_and_form() {
        let page = Page::new(&Problem::UnknownHost("<b>.localhost".into()), None);
        let korean = reader("Accept: text/html\r\nAccept-Language: ko-KR,ko;q=0.9\r\n");
        let (kind, html) = page.body(&korean);
        assert_eq!(kind, "text/html; charset=utf-8");
        assert!(html.contains("lang=\"ko\"") && html.contains("서비스가 없습니다"), "{html}");
        assert!(html.contains("&lt;b&gt;") && !html.contains("<b>"), "{html}");
        let (kind, json) = page.body(&reader("Accept: application/json\r\n"));
        assert_eq!(kind, "application/json");
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(json["code"], "edge.host_unknown");
        let (_, both) = page.body(&Reader::default());
        assert!(both.contains("no service answers") && both.contains("응답하는"), "{both}");
    }
}

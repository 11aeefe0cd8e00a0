//! Plain HTTP where TLS is spoken: a browser is sent on, whoever has said something is told.

use crate::front::Hosts;
use crate::{Body, Response};
use http::{HeaderValue, Method, Request, StatusCode, header};
use kernel::Text;
use kernel::error::{ErrorKind, Wire};

pub(super) fn answer(request: &Request<Body>, hosts: &Hosts) -> Response {
    let mut response = match onward(request, hosts) {
        Some(to) => {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::PERMANENT_REDIRECT;
            response.headers_mut().insert(header::LOCATION, to);
            response
        }
        None => refused(request),
    };
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// The same over TLS, for a host of ours. Who has shown a token or sends something has to learn that it went over the
/// network in the clear, rather than come through.
fn onward(request: &Request<Body>, hosts: &Hosts) -> Option<HeaderValue> {
    let looks = [Method::GET, Method::HEAD].contains(request.method());
    let shown = ["authorization", "private-token"];
    if !looks || shown.iter().any(|name| request.headers().contains_key(*name)) {
        return None;
    }
    let host = request.headers().get(header::HOST)?.to_str().ok()?;
    hosts.check(Some(host)).ok()?;
    // Only what a host is written with: nothing that another part of an address begins with.
    let sound = |b: u8| b.is_ascii_alphanumeric() || b"-._:[]".contains(&b);
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    let fine = !host.is_empty() && host.bytes().all(sound) && path.starts_with('/');
    fine.then(|| HeaderValue::from_str(&format!("https://{host}{path}")).ok())?
}

fn refused(request: &Request<Body>) -> Response {
    let lang = crate::serve::language(request.headers());
    let say = Text::fixed(
        "this port speaks TLS, and this came in plain HTTP",
        "이 포트는 TLS를 쓰는데 평문 HTTP로 요청했습니다",
    );
    let hint = Text::fixed(
        "write https:// instead of http://; a token that was sent like this may have been read on its way: revoke it",
        "http:// 대신 https://를 쓰세요. 이렇게 보낸 토큰은 도중에 읽혔을 수 있으니 취소하세요",
    );
    let wire = Wire {
        code: "tls.required".to_owned(),
        kind: ErrorKind::Invalid,
        say: say.get(lang).to_owned(),
        hint: Some(hint.get(lang).to_owned()),
        at: None,
        request: None,
    };
    let mut response = Response::new(Body::from(serde_json::to_vec(&wire).unwrap_or_default()));
    *response.status_mut() = StatusCode::BAD_REQUEST;
    let kind = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(method: &str, path: &str, headers: &[(&str, &str)]) -> Response {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let hosts = Hosts::known(["naru.example.com".to_owned()]);
        answer(&request.body(Body::empty()).unwrap(), &hosts)
    }

    #[test]
    fn who_only_looks_is_sent_on_to_the_same_place_and_nowhere_else() {
        let to = |path: &str, host: &str| {
            let response = ask("GET", path, &[("host", host)]);
            response.headers().get("location").map(|to| to.to_str().unwrap().to_owned())
        };
        let own = to("/shop?a=b", "naru.example.com:8443");
        assert_eq!(own.as_deref(), Some("https://naru.example.com:8443/shop?a=b"));
        assert_eq!(to("/", "127.0.0.1:1").as_deref(), Some("https://127.0.0.1:1/"));
        assert_eq!(to("//evil.com", "localhost").as_deref(), Some("https://localhost//evil.com"));
        for host in ["evil.example.com", "", "127.0.0.1@evil.com", "localhost/x", "localhost#"] {
            assert_eq!(to("/", host), None, "{host}");
        }
    }

    #[test]
    fn who_sends_something_is_told() {
        let local = ("host", "localhost");
        for (method, more) in [
            ("POST", ("accept", "*/*")),
            ("GET", ("authorization", "Bearer x")),
            ("GET", ("private-token", "x")),
        ] {
            let response = ask(method, "/api/v1/me", &[local, more]);
            assert_eq!(response.status(), 400, "{method} {more:?}");
            assert!(!response.headers().contains_key("location"));
        }
    }
}

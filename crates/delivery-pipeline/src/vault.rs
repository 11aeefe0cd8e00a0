//! A secret of HashiCorp Vault or OpenBao: a login with a signed token, and a read. Both are one question over
//! HTTP each, bounded in time and size; no error holds a token or a value.

use crate::work::{VaultEngine, VaultSecret};
use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode, Uri};
use kernel::port::SecretText;
use kernel::{Error, Result, Text, text};
use outgoing::Outgoing;
use serde_json::{Value, json};
use std::time::Duration;

/// For one question, from the first packet to the last.
const PATIENCE: Duration = Duration::from_secs(10);
/// Bytes of an answer.
const MAX_ANSWER: usize = 1 << 20;
/// Characters of the other side's complaint that are shown.
const MAX_COMPLAINT: usize = 200;

/// What opens the store, once it has let somebody in.
pub type Entry = SecretText;

/// Shows a signed token and gets in (`POST /v1/auth/<path>/login`). All texts of `at` are expanded.
///
/// # Errors
/// `secrets.vault`.
pub async fn login(at: &VaultSecret) -> Result<Entry> {
    let mut body = json!({ "jwt": at.token });
    if let (false, Some(body)) = (at.role.is_empty(), body.as_object_mut()) {
        body.insert("role".into(), at.role.clone().into());
    }
    let path = format!("auth/{}/login", at.login.trim_matches('/'));
    let answer = ask(at, Method::POST, &path, None, body.to_string().into()).await;
    let answer = answer.map_err(|e| with_usual_hint(e, login_hint()))?;
    let token = answer.pointer("/auth/client_token").and_then(Value::as_str);
    token.map(SecretText::new).ok_or_else(|| {
        broken(text!(
            "the login at Vault gives no token",
            "Vault에 로그인했지만 토큰을 받지 못했습니다"
        ))
    })
}

/// One field.
///
/// # Errors
/// `secrets.vault`; `secrets.field` when the secret has no such field.
pub async fn read(at: &VaultSecret, entry: &Entry) -> Result<SecretText> {
    let (mount, path) = (at.mount.trim_matches('/'), at.path.trim_matches('/'));
    let (place, fields) = match at.engine {
        VaultEngine::Kv1 => (format!("{mount}/{path}"), "/data"),
        VaultEngine::Kv2 => (format!("{mount}/data/{path}"), "/data/data"),
    };
    let answer = ask(at, Method::GET, &place, Some(entry), Bytes::new()).await;
    let answer = answer.map_err(|e| with_usual_hint(e, read_hint()))?;
    match answer.pointer(fields).and_then(|all| all.get(&at.field)) {
        Some(Value::String(value)) => Ok(SecretText::new(value.as_str())),
        Some(Value::Null) | None => Err(no_field(&at.field, &place)),
        // A number or a whole structure: as JSON writes it.
        Some(other) => Ok(SecretText::new(other.to_string())),
    }
}

async fn ask(
    at: &VaultSecret,
    method: Method,
    path: &str,
    entry: Option<&Entry>,
    body: Bytes,
) -> Result<Value> {
    let uri = address(&at.server, path)?;
    let mut headers = vec![("accept", HeaderValue::from_static("application/json"))];
    if !body.is_empty() {
        headers.push(("content-type", HeaderValue::from_static("application/json")));
    }
    if !at.namespace.is_empty() {
        headers.push(("x-vault-namespace", header(&at.namespace)?));
    }
    if let Some(entry) = entry {
        headers.push(("x-vault-token", header(entry.reveal())?));
    }
    let asked = Outgoing { uri: &uri, method, headers: &headers, body };
    let answer = tokio::time::timeout(PATIENCE, outgoing::ask(asked, MAX_ANSWER)).await;
    let (status, bytes) = match answer {
        Ok(answer) => {
            answer.map_err(|e| broken(e.say().clone()).why(e.get_why().unwrap_or_default()))?
        }
        Err(_) => {
            let seconds = PATIENCE.as_secs();
            return Err(broken(text!(
                "Vault did not answer within {seconds} s",
                "Vault가 {seconds}초 안에 응답하지 않았습니다"
            )));
        }
    };
    let value: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    if status == StatusCode::OK {
        return Ok(value);
    }
    let (number, complaint) = (status.as_u16(), complaint(&value, at, entry));
    Err(broken(text!(
        "Vault answers {number} to {path}{complaint}",
        "Vault가 {path}에 {number}으로 응답합니다{complaint}"
    )))
}

/// A value that a header cannot hold is none of Vault's.
fn header(value: &str) -> Result<HeaderValue> {
    let mut header = HeaderValue::from_str(value).map_err(|_| {
        broken(Text::fixed(
            "a token or a namespace has characters that it cannot have",
            "토큰이나 네임스페이스에 쓸 수 없는 문자가 있습니다",
        ))
    })?;
    header.set_sensitive(true);
    Ok(header)
}

/// `<server>/v1/<path>`, with what does not belong into a path written as percent signs.
fn address(server: &str, path: &str) -> Result<Uri> {
    let odd = |part: &str| matches!(part, "" | "." | "..");
    if path.split('/').any(odd) {
        return Err(broken(Text::fixed(
            "the path of the secret has an empty part, or one that climbs",
            "비밀의 경로에 빈 부분이나 상위로 올라가는 부분이 있습니다",
        )));
    }
    let mut whole = format!("{}/v1/", server.trim().trim_end_matches('/'));
    for byte in path.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                whole.push(char::from(byte));
            }
            other => whole.push_str(&format!("%{other:02X}")),
        }
    }
    let found = whole.parse::<Uri>().ok().filter(|uri| uri.host().is_some());
    found.ok_or_else(|| {
        broken(Text::fixed(
            "VAULT_SERVER_URL is not an address like https://vault.example.com",
            "VAULT_SERVER_URL이 https://vault.example.com 같은 주소가 아닙니다",
        ))
    })
}

/// `: permission denied`, from Vault's own `{"errors": […]}`, less whatever was shown to it.
fn complaint(answer: &Value, at: &VaultSecret, entry: Option<&Entry>) -> String {
    let errors = answer.get("errors").and_then(Value::as_array);
    let words: Vec<&str> = errors.into_iter().flatten().filter_map(Value::as_str).collect();
    let shown: Vec<String> = [Some(at.token.as_str()), entry.map(SecretText::reveal)]
        .into_iter()
        .flatten()
        .map(str::to_owned)
        .collect();
    let words = host::Mask::new(&shown).clean(&words.join("; "));
    let words: String = words.chars().filter(|c| !c.is_control()).take(MAX_COMPLAINT).collect();
    if words.is_empty() { words } else { format!(": {}", words.trim()) }
}

fn broken(say: Text) -> Error {
    Error::invalid("secrets.vault", say)
}

fn with_usual_hint(error: Error, hint: Text) -> Error {
    if error.get_hint().is_some() { error } else { error.hint(hint) }
}

fn login_hint() -> Text {
    Text::fixed(
        "check VAULT_SERVER_URL, VAULT_AUTH_PATH and VAULT_AUTH_ROLE; Vault must trust this server's keys, and the role's `bound_audiences` the token's `aud`",
        "VAULT_SERVER_URL, VAULT_AUTH_PATH, VAULT_AUTH_ROLE을 확인하세요. Vault가 이 서버의 키를 신뢰해야 하고, 역할의 `bound_audiences`에 토큰의 `aud`가 있어야 합니다",
    )
}

fn read_hint() -> Text {
    Text::fixed(
        "check the engine's name and path, the secret's path, and the policy of the role",
        "엔진의 이름과 경로, 비밀의 경로, 역할의 정책을 확인하세요",
    )
}

fn no_field(field: &str, path: &str) -> Error {
    let field = kernel::shown(field);
    let say = text!(
        "the secret {path} has no field “{field}”",
        "비밀 {path}에 “{field}” 필드가 없습니다"
    );
    Error::invalid("secrets.field", say)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at() -> VaultSecret {
        let words = |w: &str| w.to_owned();
        VaultSecret {
            server: words("https://v"),
            login: words("jwt"),
            role: String::new(),
            namespace: String::new(),
            token: words("the.jwt"),
            own_token: String::new(),
            engine: VaultEngine::Kv2,
            mount: words("ops"),
            path: words("a"),
            field: words("b"),
        }
    }

    #[test]
    fn addresses_hold_any_path_and_do_not_climb() {
        let of = |path: &str| address("https://v:8200/ ", path).map(|uri| uri.to_string());
        assert_eq!(
            of("ops/data/a b/ü?#").unwrap(),
            "https://v:8200/v1/ops/data/a%20b/%C3%BC%3F%23"
        );
        for path in ["ops/../sys", "a//b", "./a", ""] {
            assert_eq!(of(path).unwrap_err().code(), "secrets.vault", "{path}");
        }
        assert!(address("", "a").is_err() && address("v ault", "a").is_err());
    }

    #[test]
    fn nothing_that_was_shown_to_vault_comes_back_in_a_complaint() {
        let answer = json!({"errors": ["bad the.jwt", "and s.token\n"]});
        let said = complaint(&answer, &at(), Some(&SecretText::new("s.token")));
        assert_eq!(said, ": bad [MASKED]; and [MASKED]");
        assert_eq!(complaint(&json!({}), &at(), None), "");
    }
}

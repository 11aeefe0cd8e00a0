//! The master key in the transit engine of HashiCorp Vault or OpenBao: it never leaves there.
//!
//! A key is wrapped by `POST <mount>/encrypt/<key>` and unwrapped by `POST <mount>/decrypt/<key>`, bound to what it is
//! about by `associated_data`, which needs a key of an AEAD type (`aes256-gcm96`, the usual one). Every question is
//! bounded in time and size. The token is read from its file at each question, because agents renew it there.

use crate::error;
use crate::kms::{Kms, Wrapped};
use crate::seal::Key;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderValue, Method, Uri};
use kernel::{BoxFuture, Error, Result, SecretText, Text, text};
use outgoing::Outgoing;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::Duration;
use zeroize::Zeroizing;

const KIND: &str = "transit";
/// For one question, from the first packet to the last.
const PATIENCE: Duration = Duration::from_secs(10);
/// Bytes of an answer, and of the file with the token.
const LARGEST: usize = 64 * 1024;

/// A key of a transit engine.
#[derive(Clone, Debug)]
pub struct Transit {
    /// `https://vault.example.com:8200`
    server: String,
    mount: String,
    key: String,
    /// A file with the token, mode 0600.
    token: PathBuf,
    namespace: Option<String>,
}

impl Transit {
    /// `url` says all but the token: `https://vault.example.com:8200/transit/naru`, where `transit` is the mount and
    /// `naru` the key; a namespace of Vault Enterprise as `?namespace=team`.
    ///
    /// # Errors
    /// `secret.kms-url`; in clear only to this machine.
    pub fn new(url: &str, token: PathBuf) -> Result<Transit> {
        let uri: Uri = url.parse().map_err(|_| not_an_url(url))?;
        let (Some(scheme), Some(place)) = (uri.scheme_str(), uri.authority()) else {
            return Err(not_an_url(url));
        };
        let here = matches!(place.host(), "localhost" | "127.0.0.1" | "[::1]");
        if scheme != "https" && !(scheme == "http" && here) {
            return Err(not_an_url(url));
        }
        let (mount, key) =
            uri.path().trim_matches('/').rsplit_once('/').ok_or_else(|| not_an_url(url))?;
        let sound = |words: &str| {
            let letter =
                |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'/');
            !words.is_empty() && words.bytes().all(letter) && !words.contains("..")
        };
        let namespace = uri.query().and_then(|q| q.strip_prefix("namespace="));
        if !sound(mount) || !sound(key) || uri.query().is_some() != namespace.is_some_and(sound) {
            return Err(not_an_url(url));
        }
        Ok(Transit {
            server: format!("{scheme}://{place}"),
            mount: mount.to_owned(),
            key: key.to_owned(),
            token,
            namespace: namespace.map(str::to_owned),
        })
    }

    async fn token(&self) -> Result<HeaderValue> {
        let shown = self.token.display();
        let missing = |why: &dyn std::fmt::Display| {
            error::master_key(
                text!("the token for the key service is not in {shown}", "{shown}에 키 서비스의 토큰이 없습니다"),
                Text::fixed(
                    "name a file with a token that may encrypt and decrypt with the key: --secret-kms-token FILE",
                    "그 키로 암호화와 복호화를 할 수 있는 토큰 파일을 지정하세요: --secret-kms-token 파일",
                ),
            )
            .why(why)
        };
        let bytes = tokio::fs::read(&self.token).await.map_err(|e| missing(&e))?;
        let bytes = Zeroizing::new(bytes);
        let words = std::str::from_utf8(&bytes).ok().map(str::trim);
        let words = words.filter(|w| !w.is_empty() && w.len() < LARGEST);
        let mut value =
            HeaderValue::from_str(words.ok_or_else(|| missing(&"it is empty or no text"))?)
                .map_err(|_| missing(&"it is no token"))?;
        value.set_sensitive(true);
        Ok(value)
    }

    /// The `data` of an answer.
    async fn ask(&self, verb: &str, body: &Value) -> Result<Value> {
        let place = self.place();
        let path = format!("{}/v1/{}/{verb}", self.server, self.mount);
        let uri: Uri = path.parse().map_err(Error::internal)?;
        let mut headers = vec![
            ("x-vault-token", self.token().await?),
            ("x-vault-request", HeaderValue::from_static("true")),
            ("content-type", HeaderValue::from_static("application/json")),
        ];
        if let Some(namespace) = &self.namespace {
            headers.push((
                "x-vault-namespace",
                HeaderValue::from_str(namespace).map_err(Error::internal)?,
            ));
        }
        let asked = Outgoing {
            uri: &uri,
            method: Method::POST,
            headers: &headers,
            body: body.to_string().into(),
        };
        let answer = tokio::time::timeout(PATIENCE, outgoing::ask(asked, LARGEST)).await;
        let (status, bytes) = match answer {
            Ok(Ok(answer)) => answer,
            Ok(Err(e)) => return Err(error::kms(&place, e.get_why().unwrap_or(e.code()))),
            Err(_) => return Err(error::kms(&place, "it took longer than 10 s")),
        };
        let bytes = Zeroizing::new(bytes);
        let read: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        match status.as_u16() {
            200..=299 => Ok(read.get("data").cloned().unwrap_or_default()),
            // Sealed, standby, or too busy: it may yet come back.
            429 | 472..=473 | 500..=599 => Err(error::kms(&place, format!("it answers {status}"))),
            _ => Err(refused(&place, status.as_u16(), &read)),
        }
    }
}

/// Vault's own words, which hold nothing of what was asked.
fn refused(place: &str, status: u16, answer: &Value) -> Error {
    let words = answer.pointer("/errors/0").and_then(Value::as_str).unwrap_or("no reason");
    let (words, status) = (kernel::shown(words), status);
    error::master_key(
        text!(
            "{place} refuses ({status}): {words}",
            "{place}이(가) 거부합니다 ({status}): {words}"
        ),
        Text::fixed(
            "the token needs `update` on encrypt and decrypt of that key, and the key is to be of the type aes256-gcm96",
            "토큰에 그 키의 encrypt, decrypt `update` 권한이 있어야 하고 키 종류는 aes256-gcm96이어야 합니다",
        ),
    )
}

fn not_an_url(url: &str) -> Error {
    let shown = kernel::shown(url);
    Error::invalid(
        "secret.kms-url",
        text!(
            "“{shown}” names no key of a transit engine",
            "“{shown}”은(는) transit 엔진의 키가 아닙니다"
        ),
    )
    .hint(Text::fixed(
        "write https://vault.example.com:8200/transit/naru: the mount and the key",
        "https://vault.example.com:8200/transit/naru처럼 마운트와 키를 쓰세요",
    ))
}

impl Kms for Transit {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn place(&self) -> String {
        format!("{}/{}/{}", self.server, self.mount, self.key)
    }

    fn wrap<'a>(&'a self, key: &'a Key, about: &'a str) -> BoxFuture<'a, Result<Wrapped>> {
        Box::pin(async move {
            let plain = SecretText::new(STANDARD.encode(key.bytes()));
            let body =
                json!({ "plaintext": plain.reveal(), "associated_data": STANDARD.encode(about) });
            let data = self.ask(&format!("encrypt/{}", self.key), &body).await?;
            let sealed = data.get("ciphertext").and_then(Value::as_str);
            let sealed =
                sealed.ok_or_else(|| error::kms(&self.place(), "its answer has no ciphertext"))?;
            let key = format!("{}/{}", self.mount, self.key);
            Ok(Wrapped { kms: KIND.into(), key, sealed: sealed.to_owned(), derived: None })
        })
    }

    fn unwrap<'a>(&'a self, wrapped: &'a Wrapped, about: &'a str) -> BoxFuture<'a, Result<Key>> {
        Box::pin(async move {
            let body =
                json!({ "ciphertext": wrapped.sealed, "associated_data": STANDARD.encode(about) });
            let data = self.ask(&format!("decrypt/{}", self.key), &body).await?;
            let plain = data.get("plaintext").and_then(Value::as_str).unwrap_or_default();
            let bytes = Zeroizing::new(
                STANDARD.decode(plain).map_err(|_| error::damaged("the key service's answer"))?,
            );
            Key::from_bytes(&bytes)
        })
    }

    fn renew(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            self.ask(&format!("keys/{}/rotate", self.key), &json!({})).await.map(drop)
        })
    }
}

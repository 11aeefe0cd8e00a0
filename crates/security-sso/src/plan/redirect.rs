//! Addresses that people are sent back to: which may be registered, and which one an asked one is.

use crate::kind::wrong;
use kernel::{Result, Text, text};

/// The longest address, in bytes.
const LONGEST: usize = 2000;

/// An address in its parts; nothing of it is changed.
struct Parts<'a> {
    scheme: &'a str,
    /// Without the port.
    host: &'a str,
    port: Option<&'a str>,
    /// Path and query.
    rest: &'a str,
}

fn split(address: &str) -> Option<Parts<'_>> {
    let (scheme, rest) = address.split_once("://")?;
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, rest) = rest.split_at(end);
    let bracket = authority.rfind(']').map_or(0, |at| at + 1);
    let (name, port) = authority.split_at(bracket);
    let (host, port) = match port.split_once(':') {
        Some((more, port)) => (authority.get(..name.len() + more.len())?, Some(port)),
        None => (authority, None),
    };
    let fine =
        port.is_none_or(|p| p.parse::<u16>().is_ok() && p.bytes().all(|b| b.is_ascii_digit()));
    (!host.is_empty() && fine).then_some(Parts { scheme, host, port, rest })
}

/// A loopback address by number (RFC 8252 §7.3): no resolver has a say.
fn is_loopback(host: &str) -> bool {
    host == "127.0.0.1" || host == "[::1]"
}

/// What never leaves this machine.
fn is_local(host: &str) -> bool {
    is_loopback(host) || host == "localhost" || host.ends_with(".localhost")
}

/// Whether people may be sent to `asked` for an application that has registered `registered`: the same letters
/// (RFC 9700 §2.1), but for the port on a loopback address.
pub fn matches(registered: &str, asked: &str) -> bool {
    if registered == asked {
        return true;
    }
    let (Some(known), Some(asked)) = (split(registered), split(asked)) else { return false };
    let same = known.scheme == "http" && asked.scheme == "http" && known.host == asked.host;
    same && is_loopback(known.host) && known.rest == asked.rest && asked.port != Some("0")
}

/// The origin of an address (RFC 6454), of those that have one.
pub fn origin(address: &str) -> Option<String> {
    let parts = split(address).filter(|p| p.scheme == "http" || p.scheme == "https")?;
    let port = match (parts.scheme, parts.port) {
        (_, None) | ("http", Some("80")) | ("https", Some("443")) => String::new(),
        (_, Some(port)) => format!(":{port}"),
    };
    Some(format!("{}://{}{port}", parts.scheme, parts.host.to_ascii_lowercase()))
}

/// Whether an address may be registered.
///
/// # Errors
/// `application.spec`, saying why not.
pub fn check(address: &str, public: bool) -> Result<()> {
    let shown: String = address.chars().take(100).collect();
    let no = |en: &str, ko: &str| Err(wrong(text!("{shown}: {en}", "{shown}: {ko}")));
    let plain = address.bytes().all(|b| b.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&b));
    if address.len() > LONGEST || !plain {
        return no(
            "an address has at most 2000 letters of ASCII, without spaces and quotes",
            "주소는 빈칸과 따옴표 없는 ASCII 2000자까지입니다",
        );
    }
    if address.contains('#') || address.contains('*') {
        return no("no fragment and no wildcard", "#과 *는 쓸 수 없습니다");
    }
    let Some((scheme, rest)) = address.split_once(':') else {
        return no("not a whole address", "완전한 주소가 아닙니다");
    };
    match scheme {
        "https" | "http" => {
            let Some(parts) = split(address) else {
                return no("not a whole address", "완전한 주소가 아닙니다");
            };
            if parts.host.contains('@') {
                return no("no name and password in it", "이름과 비밀번호를 넣을 수 없습니다");
            }
            if scheme == "http" && !is_local(parts.host) {
                return no("https, unless it is on localhost", "localhost가 아니면 https여야 합니다");
            }
            Ok(())
        }
        // RFC 8252 §7.1: the reverse of a domain, so that `javascript:` and `data:` are none.
        _ if public && scheme.contains('.') && !rest.is_empty() => {
            let fine = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b".-+".contains(&b);
            if scheme.bytes().all(fine) && scheme.starts_with(|c: char| c.is_ascii_lowercase()) {
                return Ok(());
            }
            no("not a scheme", "스킴이 아닙니다")
        }
        _ => Err(wrong(text!(
            "{shown}: https, or http on localhost",
            "{shown}: https나 localhost의 http를 쓰세요"
        ))
        .hint(Text::fixed(
            "applications on phones with `proof: nothing` may have a scheme of their own: com.example.app:/back",
            "`proof: nothing`인 휴대전화 앱은 com.example.app:/back 같은 자기 스킴을 쓸 수 있습니다",
        ))),
    }
}

/// Whether it is the address of a site, without a path.
///
/// # Errors
/// `application.spec`.
pub fn check_origin(words: &str) -> Result<()> {
    check(words, false)?;
    if origin(words).as_deref() == Some(words) {
        return Ok(());
    }
    let shown: String = words.chars().take(100).collect();
    Err(wrong(text!(
        "{shown} is not like https://app.example.com",
        "{shown}: https://app.example.com처럼 쓰세요"
    )))
}

/// `address` with more in its query.
pub fn with_query(address: &str, query: &str) -> String {
    let join = if address.contains('?') { '&' } else { '?' };
    format!("{address}{join}{query}")
}

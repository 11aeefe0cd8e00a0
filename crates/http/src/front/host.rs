//! Which hosts this listener answers for.
//!
//! A page of another site can make its own name resolve to our address (DNS rebinding) and would then share an
//! origin with us. Its `Host` still names that site, so whatever is neither an address nor a name of ours is
//! refused. An address is always ours: nobody can make a browser send one for a name of his.

use kernel::{Error, ErrorKind, Result, Text, text};
use std::collections::BTreeSet;
use std::net::IpAddr;

/// Names that may stand in `Host`.
#[derive(Clone, Debug, Default)]
pub enum Hosts {
    /// Any: for tests, and for a server that only a proxy reaches which checks them itself.
    #[default]
    Any,
    /// Addresses, `localhost` and names below it, and these: lower case, without port.
    Known(BTreeSet<String>),
}

impl Hosts {
    /// `localhost` and what is given.
    pub fn known(names: impl IntoIterator<Item = String>) -> Hosts {
        Hosts::Known(names.into_iter().map(|n| n.to_ascii_lowercase()).collect())
    }

    /// # Errors
    /// `host.missing`, `host.unknown`.
    pub(crate) fn check(&self, host: Option<&str>) -> Result<()> {
        let Hosts::Known(names) = self else { return Ok(()) };
        let name = name(host.ok_or_else(missing)?);
        if loopback(&name) || address(&name) || names.contains(&name) {
            return Ok(());
        }
        Err(unknown(&name))
    }
}

/// Whether it is a name that others may know us by: neither an address nor a word for this machine.
pub(crate) fn is_public(host: &str) -> bool {
    let name = name(host);
    !loopback(&name) && !address(&name)
}

fn loopback(name: &str) -> bool {
    name == "localhost" || name.ends_with(".localhost")
}

/// Without the port, in lower case, without the dot of the root.
fn name(host: &str) -> String {
    let name = match host.strip_prefix('[').and_then(|h| h.split_once(']')) {
        Some((address, _)) => address,
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    name.trim_end_matches('.').to_ascii_lowercase()
}

fn address(name: &str) -> bool {
    name.parse::<IpAddr>().is_ok()
}

fn missing() -> Error {
    Error::invalid(
        "host.missing",
        Text::fixed("the request names no host", "요청에 Host 헤더가 없습니다"),
    )
}

fn unknown(name: &str) -> Error {
    let shown = kernel::shown(name);
    Error::new(
        ErrorKind::Forbidden,
        "host.unknown",
        text!(
            "this naru does not go by the name {shown}",
            "이 naru는 {shown}(이)라는 이름을 쓰지 않습니다"
        ),
    )
    .hint(text!(
        "use its address, or start it with `naru up --host {shown}` if the name is right",
        "주소로 접속하거나, 맞는 이름이라면 `naru up --host {shown}`(으)로 시작하세요"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_names_and_addresses() {
        let hosts = Hosts::known(["Naru.Example.com".to_owned()]);
        for (host, fine) in [
            ("127.0.0.1:8080", true),
            ("[::1]:8080", true),
            ("[::1]", true),
            ("192.0.2.7", true),
            ("localhost", true),
            ("LOCALHOST:1", true),
            ("web.localhost:8080", true),
            ("naru.example.com", true),
            ("naru.example.com.:443", true),
            ("evil.example.com", false),
            ("localhost.evil.com", false),
            ("evillocalhost", false),
            ("127.0.0.1.evil.com", false),
            ("naru.example.com@evil.com", false),
            ("", false),
        ] {
            assert_eq!(hosts.check(Some(host)).is_ok(), fine, "{host}");
        }
        assert_eq!(hosts.check(None).unwrap_err().code(), "host.missing");
        Hosts::Any.check(None).unwrap();
    }
}

//! What a root may sign for, when it may not sign for everything (RFC 5280 §4.2.1.10).

use crate::Host;
use kernel::{Error, Result, text};
use rcgen::{CidrSubnet, GeneralSubtree};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// A domain with everything below it, or a network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Subtree {
    Domain(String),
    Network(IpAddr, u8),
}

impl Subtree {
    pub fn holds(&self, host: &Host) -> bool {
        match (self, host) {
            (Subtree::Domain(domain), Host::Name(name)) => {
                let name = name.strip_prefix("*.").unwrap_or(name);
                name == domain || name.strip_suffix(domain).is_some_and(|n| n.ends_with('.'))
            }
            (Subtree::Network(network, bits), Host::Address(address)) => {
                within(*address, *network, *bits)
            }
            _ => false,
        }
    }

    pub(crate) fn der(&self) -> GeneralSubtree {
        match self {
            Subtree::Domain(domain) => GeneralSubtree::DnsName(domain.clone()),
            Subtree::Network(address, bits) => {
                GeneralSubtree::IpAddress(CidrSubnet::from_addr_prefix(*address, *bits))
            }
        }
    }
}

/// Whether the first `bits` of two addresses of one family are the same.
fn within(address: IpAddr, network: IpAddr, bits: u8) -> bool {
    let shift = |width: u32| width.saturating_sub(u32::from(bits));
    match (address, network) {
        (IpAddr::V4(a), IpAddr::V4(n)) => {
            let differs = u32::from(a) ^ u32::from(n);
            differs.checked_shr(shift(32)).unwrap_or(0) == 0
        }
        (IpAddr::V6(a), IpAddr::V6(n)) => {
            let differs = u128::from(a) ^ u128::from(n);
            differs.checked_shr(shift(128)).unwrap_or(0) == 0
        }
        _ => false,
    }
}

impl FromStr for Subtree {
    type Err = Error;

    /// `example.com`, `10.0.0.0/8`, `10.0.0.7`.
    fn from_str(words: &str) -> Result<Subtree> {
        if let Some((address, bits)) = words.split_once('/') {
            let bad = || invalid(words);
            let address = address.trim().parse::<IpAddr>().map_err(|_| bad())?;
            let widest = if address.is_ipv4() { 32 } else { 128 };
            let bits = bits.trim().parse().ok().filter(|b| *b <= widest).ok_or_else(bad)?;
            return Ok(Subtree::Network(address, bits));
        }
        match words.parse::<Host>()? {
            Host::Name(name) if !name.starts_with('*') => Ok(Subtree::Domain(name)),
            Host::Name(_) => Err(invalid(words)),
            Host::Address(a) => Ok(Subtree::Network(a, if a.is_ipv4() { 32 } else { 128 })),
        }
    }
}

impl fmt::Display for Subtree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Subtree::Domain(domain) => f.write_str(domain),
            Subtree::Network(address, bits) => write!(f, "{address}/{bits}"),
        }
    }
}

impl TryFrom<String> for Subtree {
    type Error = Error;
    fn try_from(words: String) -> Result<Subtree> {
        words.parse()
    }
}

impl From<Subtree> for String {
    fn from(subtree: Subtree) -> String {
        subtree.to_string()
    }
}

fn invalid(words: &str) -> Error {
    let shown: String = words.chars().take(80).flat_map(char::escape_default).collect();
    Error::invalid(
        "network.invalid",
        text!(
            "“{shown}” is neither a domain nor a network",
            "“{shown}”은(는) 도메인도 네트워크도 아닙니다"
        ),
    )
    .hint(text!("write it as example.com or 10.0.0.0/8", "example.com이나 10.0.0.0/8처럼 쓰세요"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_within() {
        for (subtree, host, want) in [
            ("example.com", "example.com", true),
            ("example.com", "a.b.example.com", true),
            ("example.com", "*.example.com", true),
            ("example.com", "badexample.com", false),
            ("10.0.0.0/8", "10.255.0.1", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("0.0.0.0/0", "203.0.113.9", true),
            ("0.0.0.0/0", "::1", false),
            ("10.0.0.7", "10.0.0.7", true),
            ("10.0.0.7", "10.0.0.8", false),
            ("fd00::/8", "fd12::1", true),
            ("::/0", "fd12::1", true),
            ("example.com", "10.0.0.1", false),
        ] {
            let (subtree, host): (Subtree, Host) =
                (subtree.parse().unwrap(), host.parse().unwrap());
            assert_eq!(subtree.holds(&host), want, "{host} in {subtree}");
        }
        for words in ["10.0.0.0/33", "a/8", "*.example.com", "", "10.0.0.0/x"] {
            assert!(words.parse::<Subtree>().is_err(), "{words}");
        }
    }
}

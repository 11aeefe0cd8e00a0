//! Whose request it is, when a proxy brings it.

use authority::{Host, Subtree};
use http::HeaderMap;
use std::net::IpAddr;

/// The address of the client: that of the connection, unless it is a trusted proxy's; then the last one in
/// `X-Forwarded-For` that no trusted proxy has. Whatever stands before it may have been written by anybody.
pub(crate) fn client(peer: IpAddr, headers: &HeaderMap, trusted: &[Subtree]) -> IpAddr {
    let ours = |address: IpAddr| {
        let host = Host::Address(address.to_canonical());
        trusted.iter().any(|network| network.holds(&host))
    };
    if !ours(peer) {
        return peer;
    }
    let values = headers.get_all("x-forwarded-for").into_iter();
    let words: Vec<&str> =
        values.filter_map(|v| v.to_str().ok()).flat_map(|v| v.split(',')).collect();
    let mut last = peer;
    for word in words.into_iter().rev() {
        // What cannot be read ends what can be believed.
        let Some(address) = address(word.trim()) else { break };
        last = address;
        if !ours(address) {
            break;
        }
    }
    last
}

/// Some proxies write the port, too.
fn address(words: &str) -> Option<IpAddr> {
    let with_port = || words.parse::<std::net::SocketAddr>().ok().map(|a| a.ip());
    words.trim_matches(['[', ']']).parse().ok().or_else(with_port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_trusted_proxy_is_believed_and_only_what_it_has_seen_itself() {
        let trusted: Vec<Subtree> =
            ["10.0.0.0/8", "::1"].iter().map(|t| t.parse().unwrap()).collect();
        let of = |peer: &str, lines: &[&str]| {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append("x-forwarded-for", line.parse().unwrap());
            }
            client(peer.parse().unwrap(), &headers, &trusted).to_string()
        };
        for (peer, lines, want) in [
            ("192.0.2.1", &["203.0.113.9"][..], "192.0.2.1"),
            ("10.0.0.1", &[], "10.0.0.1"),
            ("10.0.0.1", &["203.0.113.9"], "203.0.113.9"),
            ("10.0.0.1", &["198.51.100.1, 203.0.113.9"], "203.0.113.9"),
            ("10.0.0.1", &["198.51.100.1", "203.0.113.9, 10.0.0.2"], "203.0.113.9"),
            ("::ffff:10.0.0.1", &["203.0.113.9:5555"], "203.0.113.9"),
            ("::1", &["[2001:db8::1]:443"], "2001:db8::1"),
            ("10.0.0.1", &["203.0.113.9, unknown"], "10.0.0.1"),
            ("10.0.0.1", &["10.0.0.3"], "10.0.0.3"),
        ] {
            assert_eq!(of(peer, lines), want, "{peer} {lines:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn nobody_else_is_ever_believed(line: String, peer: u32) {
            let peer = IpAddr::from(peer.to_be_bytes());
            if let Ok(value) = http::HeaderValue::from_str(&line) {
                let headers = HeaderMap::from_iter([(http::HeaderName::from_static("x-forwarded-for"), value)]);
                assert_eq!(client(peer, &headers, &[]), peer);
            }
        }
    }
}

//! git's credential helper protocol (git-credential(1), "Input/Output Format").

/// The longest request, in bytes.
pub(crate) const LONGEST: u64 = 64 * 1024;

/// What git asks a helper about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Request {
    protocol: String,
    /// With its port, when that is not the protocol's own.
    host: String,
}

/// Reads `key=value` lines up to an empty one; keys that do not matter are passed over.
pub(crate) fn parse(words: &str) -> Request {
    let mut request = Request::default();
    for line in words.lines().take_while(|l| !l.is_empty()) {
        match line.split_once('=') {
            Some(("protocol", value)) => request.protocol = value.to_owned(),
            Some(("host", value)) => request.host = value.to_owned(),
            _ => {}
        }
    }
    request
}

/// What git is told: nothing, unless protocol, host and port are the server's own. A token never goes to
/// another host, and not to another program on another port of the same one.
pub(crate) fn answer(request: &Request, server: &str, token: &str) -> Option<String> {
    let (protocol, rest) = server.split_once("://")?;
    let host = rest.split('/').next()?;
    let port = |host: &str| {
        let standard = if protocol == "https" { "443" } else { "80" };
        let (name, port) = match host.rsplit_once(':') {
            // `[::1]` ends in a bracket and has no port.
            Some((name, port)) if !port.ends_with(']') => (name, port),
            _ => (host, standard),
        };
        (name.to_ascii_lowercase(), port.to_owned())
    };
    let same = request.protocol == protocol && port(&request.host) == port(host);
    let sound = !token.is_empty() && !token.contains(['\n', '\r', '\0']);
    (same && sound).then(|| format!("username=naru\npassword={token}\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_server_itself_gets_the_token() {
        let server = "http://127.0.0.1:8080";
        let ask = |protocol: &str, host: &str| {
            let request =
                parse(&format!("protocol={protocol}\nhost={host}\npath=x\n\nhost=evil\n"));
            answer(&request, server, "naru_t")
        };
        assert_eq!(
            ask("http", "127.0.0.1:8080").as_deref(),
            Some("username=naru\npassword=naru_t\n")
        );
        for (protocol, host) in [
            ("https", "127.0.0.1:8080"),
            ("http", "127.0.0.1:8081"),
            ("http", "127.0.0.1"),
            ("http", "github.com"),
            ("http", "127.0.0.1:8080.evil.example"),
            ("http", ""),
            ("", "127.0.0.1:8080"),
        ] {
            assert_eq!(ask(protocol, host), None, "{protocol}://{host}");
        }
        let plain = parse("protocol=http\nhost=NARU.example\n");
        assert!(answer(&plain, "http://naru.example/", "t").is_some());
        assert!(answer(&plain, "http://naru.example:80", "t").is_some());
        assert!(
            answer(&parse("protocol=http\nhost=[::1]:8080\n"), "http://[::1]:8080", "t").is_some()
        );
        assert!(answer(&parse("protocol=http\nhost=[::1]\n"), "http://[::1]:8080", "t").is_none());
        assert_eq!(answer(&plain, "http://naru.example", "a\nb"), None);
    }
}

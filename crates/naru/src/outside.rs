//! How others reach this server: its address, its names, TLS, and who stands before it.

use authority::{Files, Host, Subtree};
use clap::{Arg, ArgAction, ArgMatches, value_parser};
use kernel::{Error, Lang, Result, Text, text};
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

const CERTIFICATE: &str = "tls-cert";
const KEY: &str = "tls-key";

/// What is spoken at the front.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Tls {
    #[default]
    Off,
    /// With a certificate of the internal CA.
    Internal,
    /// With one that somebody has brought. Clients of this machine get one of the internal CA.
    Brought(Files),
}

#[derive(Clone, Debug, Default)]
pub struct Outside {
    /// Where people reach us, when that is not where we listen: without a slash at its end.
    pub url: Option<String>,
    /// Names and addresses that people reach this server by, beside those of this machine.
    pub hosts: Vec<String>,
    pub tls: Tls,
    /// Proxies that are believed when they say whose request they bring.
    pub proxies: Vec<Subtree>,
    /// Plain HTTP for others than this machine, by somebody who knows.
    pub plaintext: bool,
    /// Makes a new CA in place of one whose key is lost.
    pub new_ca: bool,
}

/// Of `naru.toml`.
#[derive(Debug, Default)]
pub struct Kept {
    pub url: Option<String>,
    pub host: Option<Vec<String>>,
    pub tls: Option<bool>,
    pub tls_cert: Option<PathBuf>,
    pub tls_key: Option<PathBuf>,
    pub trusted_proxy: Option<Vec<String>>,
    pub insecure_plaintext: Option<bool>,
}

pub fn args(lang: Lang) -> Vec<Arg> {
    let flag = |name: &'static str| Arg::new(name).long(name).action(ArgAction::SetTrue);
    let file = |name: &'static str, variable: &'static str| {
        let arg = Arg::new(name).long(name).env(variable).value_name("FILE");
        arg.value_parser(value_parser!(PathBuf))
    };
    let many = |name: &'static str, variable: &'static str| {
        let arg = Arg::new(name).long(name).env(variable).value_delimiter(',');
        arg.action(ArgAction::Append)
    };
    vec![
        Arg::new("url").long("url").env("NARU_PUBLIC_URL").value_name("URL").help(lang.pick(
            "Where people reach this server, for links, git remotes and tokens [default: where it listens]",
            "사람들이 이 서버에 접속하는 주소. 링크, git 원격, 토큰에 씁니다 [기본: 기다리는 주소]",
        )),
        many("host", "NARU_HOST").value_name("NAME").help(lang.pick(
            "A name or address that people reach this server by, beside its own addresses, localhost and that of --url [default: none]",
            "자기 주소, localhost, --url의 이름 말고 이 서버를 부르는 이름이나 주소 [기본: 없음]",
        )),
        flag("tls").env("NARU_TLS").value_parser(clap::builder::FalseyValueParser::new()).help(lang.pick(
            "Speak TLS, with a certificate of the internal CA; see `naru ca`",
            "내부 CA의 인증서로 TLS를 씁니다. `naru ca`를 보세요",
        )),
        file(CERTIFICATE, "NARU_TLS_CERT").help(lang.pick(
            "Speak TLS with this certificate chain in PEM, the server's own first; read again when it changes",
            "이 PEM 인증서 체인으로 TLS를 씁니다. 서버 인증서가 먼저. 바뀌면 다시 읽습니다",
        )),
        file(KEY, "NARU_TLS_KEY").help(lang.pick(
            "The private key of that certificate in PEM",
            "그 인증서의 개인 키, PEM",
        )),
        many("trusted-proxy", "NARU_TRUSTED_PROXY").value_name("CIDR").help(lang.pick(
            "A proxy that ends TLS before this server, and is believed when it says whose request it brings (X-Forwarded-For)",
            "이 서버 앞에서 TLS를 끝내는 프록시. 누구의 요청인지 알리는 X-Forwarded-For를 믿습니다",
        )),
        flag("insecure-plaintext").help(lang.pick(
            "Speak plain HTTP with other machines, too: passwords and tokens can be read on their way",
            "다른 기계와도 평문 HTTP를 씁니다. 비밀번호와 토큰을 도중에 읽을 수 있습니다",
        )),
        flag("new-ca").help(lang.pick(
            "Make a new internal CA in place of one whose key is lost; every client has to trust it anew",
            "키를 잃은 내부 CA 대신 새 CA를 만듭니다. 모든 클라이언트가 다시 신뢰해야 합니다",
        )),
    ]
}

impl Outside {
    /// From the flags, then the file, whose relative paths start from `data`.
    ///
    /// # Errors
    /// `config.invalid`, `network.invalid`, `listen.plaintext`.
    pub fn read(
        matches: &ArgMatches,
        kept: Kept,
        data: &Path,
        listen: SocketAddr,
    ) -> Result<Outside> {
        let path = |flag: &str, kept: Option<PathBuf>| {
            matches.get_one::<PathBuf>(flag).cloned().or_else(|| kept.map(|p| data.join(p)))
        };
        let many = |flag: &str, kept: Option<Vec<String>>| match matches.get_many::<String>(flag) {
            Some(given) => given.cloned().collect(),
            None => kept.unwrap_or_default(),
        };
        let set = |flag: &str, kept: Option<bool>| matches.get_flag(flag) || kept.unwrap_or(false);
        let proxies = many("trusted-proxy", kept.trusted_proxy);
        let url = matches.get_one::<String>("url").cloned().or(kept.url);
        let outside = Outside {
            url: url.as_deref().map(address).transpose()?,
            hosts: many("host", kept.host),
            tls: tls(
                set("tls", kept.tls),
                path(CERTIFICATE, kept.tls_cert),
                path(KEY, kept.tls_key),
            )?,
            proxies: proxies.iter().map(|words| words.parse()).collect::<Result<_>>()?,
            plaintext: set("insecure-plaintext", kept.insecure_plaintext),
            new_ca: matches.get_flag("new-ca"),
        };
        outside.check(listen)?;
        Ok(outside)
    }

    /// # Errors
    /// `listen.plaintext` when tokens and passwords would cross the network in the clear.
    fn check(&self, listen: SocketAddr) -> Result<()> {
        let fronted = !self.proxies.is_empty() || self.plaintext;
        if self.secure() || fronted || listen.ip().to_canonical().is_loopback() {
            return Ok(());
        }
        Err(Error::invalid(
            "listen.plaintext",
            text!(
                "--listen {listen} is open to other machines, and without TLS they would send passwords and tokens in the clear",
                "--listen {listen}은(는) 다른 기계에 열려 있는데, TLS가 없으면 비밀번호와 토큰이 그대로 오갑니다"
            ),
        )
        .hint(Text::fixed(
            "add --tls for a certificate of naru's own CA, or --tls-cert and --tls-key for yours; if a proxy ends TLS before naru, name it with --trusted-proxy 10.0.0.5; if you really mean it, --insecure-plaintext",
            "나루 자체 CA의 인증서를 쓰려면 --tls, 가진 인증서를 쓰려면 --tls-cert와 --tls-key를 더하세요. 앞에서 프록시가 TLS를 끝낸다면 --trusted-proxy 10.0.0.5처럼 알려 주세요. 정말 평문을 쓰려면 --insecure-plaintext입니다",
        )))
    }

    /// Whether TLS is spoken here.
    pub fn secure(&self) -> bool {
        self.tls != Tls::Off
    }

    fn scheme(&self) -> &'static str {
        if self.secure() { "https" } else { "http" }
    }

    /// Where people reach us, when we listen at `address`.
    pub fn url(&self, address: SocketAddr) -> String {
        self.url.clone().unwrap_or_else(|| {
            let place = match self.hosts.first() {
                Some(host) if address.ip().is_unspecified() => {
                    bracketed(host.trim_matches(['[', ']'])) + &format!(":{}", address.port())
                }
                _ => reachable(address).to_string(),
            };
            format!("{}://{place}", self.scheme())
        })
    }

    /// Where the programs of this machine reach us. One that somebody has brought is not for addresses: then it is the
    /// name that the internal CA vouches for.
    pub fn local_url(&self, address: SocketAddr) -> String {
        let place = reachable(address);
        match &self.tls {
            Tls::Brought(_) if place.ip().is_loopback() => {
                format!("https://localhost:{}", place.port())
            }
            Tls::Brought(_) => self.url(address),
            _ => format!("{}://{place}", self.scheme()),
        }
    }

    /// Names for `Host` and for TLS.
    pub fn names(&self) -> BTreeSet<String> {
        let own = self.url.as_deref().and_then(host_of).into_iter();
        own.chain(self.hosts.iter().cloned()).map(|name| name.to_ascii_lowercase()).collect()
    }

    /// What this server's certificate is for, in order: the name that people know first.
    pub fn certified_names(&self, listen: SocketAddr) -> Vec<Host> {
        let mut names: Vec<Host> = self.names().iter().filter_map(|n| n.parse().ok()).collect();
        let mut add = |host: Host| {
            if !names.contains(&host) {
                names.push(host);
            }
        };
        add(Host::Name("localhost".into()));
        add(Host::Address(IpAddr::V4(Ipv4Addr::LOCALHOST)));
        add(Host::Address(IpAddr::V6(Ipv6Addr::LOCALHOST)));
        let own = listen.ip().to_canonical();
        if !own.is_unspecified() {
            add(Host::Address(own));
        }
        let machine = rustix::system::uname().nodename().to_string_lossy().into_owned();
        if let Ok(host) = machine.parse::<Host>() {
            add(host);
        }
        names
    }
}

/// Where one connects to what listens everywhere.
fn reachable(address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => (Ipv4Addr::LOCALHOST, address.port()).into(),
        IpAddr::V6(ip) if ip.is_unspecified() => (Ipv6Addr::LOCALHOST, address.port()).into(),
        _ => address,
    }
}

fn bracketed(host: &str) -> String {
    if host.contains(':') { format!("[{host}]") } else { host.to_owned() }
}

fn tls(wanted: bool, certificate: Option<PathBuf>, key: Option<PathBuf>) -> Result<Tls> {
    let missing = match (certificate, key) {
        (None, None) => return Ok(if wanted { Tls::Internal } else { Tls::Off }),
        (Some(certificate), Some(key)) => {
            let (certificate, key) = ((CERTIFICATE, certificate), (KEY, key));
            return Ok(Tls::Brought(Files { certificate, key }));
        }
        (Some(_), None) => KEY,
        (None, Some(_)) => CERTIFICATE,
    };
    Err(Error::invalid(
        "config.invalid",
        text!(
            "--{CERTIFICATE} and --{KEY} belong together, and --{missing} is missing",
            "--{CERTIFICATE}와 --{KEY}는 함께 써야 하는데 --{missing}이(가) 없습니다"
        ),
    )
    .hint(Text::fixed(
        "give both; or only --tls for a certificate of naru's own CA",
        "둘 다 주세요. 나루 자체 CA의 인증서를 쓰려면 --tls만 주세요",
    )))
}

/// The host in an address that was read before.
fn host_of(url: &str) -> Option<String> {
    let uri: naru_http::Uri = url.parse().ok()?;
    Some(uri.host()?.trim_matches(['[', ']']).to_owned())
}

/// An address with nothing behind its port.
fn address(words: &str) -> Result<String> {
    let uri = words.trim_end_matches('/').parse::<naru_http::Uri>().ok();
    let fine = uri.filter(|uri| {
        let scheme = matches!(uri.scheme_str(), Some("http" | "https"));
        let plain = ["", "/"].contains(&uri.path()) && uri.query().is_none();
        let user = uri.authority().is_some_and(|a| a.as_str().contains('@'));
        scheme && plain && !user && uri.host().is_some_and(|h| h.parse::<Host>().is_ok())
    });
    if fine.is_some() {
        return Ok(words.trim_end_matches('/').to_owned());
    }
    Err(Error::invalid(
        "config.invalid",
        text!(
            "--url: “{words}” is not an address that people can reach naru by",
            "--url: “{words}”은(는) 나루에 접속할 수 있는 주소가 아닙니다"
        ),
    )
    .hint(Text::fixed(
        "write it as https://naru.example.com; naru does not live below a path",
        "https://naru.example.com처럼 쓰세요. 경로 아래에서는 쓸 수 없습니다",
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(words: &str) -> SocketAddr {
        words.parse().unwrap()
    }

    #[test]
    fn other_machines_are_not_spoken_to_in_the_clear_by_accident() {
        let plain = Outside::default();
        for fine in ["127.0.0.1:8080", "[::1]:8080", "127.9.9.9:1"] {
            plain.check(at(fine)).unwrap();
        }
        for open in ["0.0.0.0:8080", "[::]:8080", "192.0.2.1:80"] {
            let error = plain.check(at(open)).unwrap_err();
            assert_eq!(error.code(), "listen.plaintext");
            for better in [
                Outside { tls: Tls::Internal, ..Outside::default() },
                Outside { proxies: vec!["10.0.0.5".parse().unwrap()], ..Outside::default() },
                Outside { plaintext: true, ..Outside::default() },
            ] {
                better.check(at(open)).unwrap();
            }
        }
    }

    #[test]
    fn addresses_for_people_and_for_this_machine() {
        let (open, local) = (at("0.0.0.0:8443"), at("127.0.0.1:8443"));
        let plain = Outside::default();
        assert_eq!(plain.url(local), "http://127.0.0.1:8443");
        let own = Outside { tls: Tls::Internal, ..Outside::default() };
        assert_eq!(own.url(open), "https://127.0.0.1:8443");
        assert_eq!(own.local_url(open), "https://127.0.0.1:8443");
        let named = Outside { hosts: vec!["naru.lan".into()], ..own.clone() };
        assert_eq!(named.url(open), "https://naru.lan:8443");
        assert_eq!(named.url(local), "https://127.0.0.1:8443");
        let files = Files { certificate: (CERTIFICATE, "c".into()), key: (KEY, "k".into()) };
        let url = Some("https://naru.example.com".to_owned());
        let brought = Outside { tls: Tls::Brought(files), url, ..Outside::default() };
        assert_eq!(brought.url(open), "https://naru.example.com");
        assert_eq!(brought.local_url(open), "https://localhost:8443");
        assert_eq!(brought.local_url(at("192.0.2.1:443")), "https://naru.example.com");
        assert_eq!(brought.names(), BTreeSet::from(["naru.example.com".to_owned()]));
        let names = brought.certified_names(at("192.0.2.1:443"));
        assert_eq!(names.first().unwrap().to_string(), "naru.example.com");
        assert!(names.contains(&"192.0.2.1".parse().unwrap()));
        assert!(names.contains(&"::1".parse().unwrap()));
    }

    #[test]
    fn an_address_for_people_has_nothing_but_a_host() {
        for (words, fine) in [
            ("https://naru.example.com", true),
            ("https://naru.example.com/", true),
            ("http://10.0.0.7:8080", true),
            ("https://[2001:db8::1]:8443", true),
            ("naru.example.com", false),
            ("https://naru.example.com/naru", false),
            ("https://user@naru.example.com", false),
            ("ftp://naru.example.com", false),
            ("https://", false),
        ] {
            assert_eq!(address(words).is_ok(), fine, "{words}");
        }
        assert_eq!(tls(true, Some("c".into()), None).unwrap_err().code(), "config.invalid");
        assert_eq!(tls(true, None, None).unwrap(), Tls::Internal);
    }
}

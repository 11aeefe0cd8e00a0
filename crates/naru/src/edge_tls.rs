//! The edge over TLS: three settings that only make sense together.

use authority::Files;
use clap::{Arg, value_parser};
use kernel::{Error, Lang, Result, Text, text};
use rustls::ServerConfig;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

const ADDRESS: &str = "edge-tls";
const CERTIFICATE: &str = "edge-cert";
const KEY: &str = "edge-key";

/// Where the edge listens with TLS, and the PEM files it uses. They are read again when they change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EdgeTls {
    pub address: SocketAddr,
    pub files: Files,
}

/// What was said of it, wherever it was said.
#[derive(Debug, Default)]
pub struct Given {
    pub address: Option<String>,
    pub certificate: Option<PathBuf>,
    pub key: Option<PathBuf>,
}

pub fn args(lang: Lang) -> [Arg; 3] {
    let file = |name: &'static str, variable: &'static str| {
        let arg = Arg::new(name).long(name).env(variable).value_name("FILE");
        arg.value_parser(value_parser!(PathBuf))
    };
    [
        Arg::new(ADDRESS).long(ADDRESS).env("NARU_EDGE_TLS").value_name("ADDR:PORT").help(
            lang.pick(
                "A second way in to services, with TLS and HTTP/2, beside --edge; needs --edge-cert and --edge-key. Links in naru go on to name --edge",
                "--edge 곁에 두는, TLS와 HTTP/2를 쓰는 또 하나의 서비스 입구. --edge-cert와 --edge-key가 필요합니다. naru 안의 링크는 계속 --edge를 가리킵니다",
            ),
        ),
        file(CERTIFICATE, "NARU_EDGE_CERT").help(lang.pick(
            "The certificate chain in PEM, the server's own first; read again when it changes",
            "PEM 인증서 체인, 서버 인증서가 먼저. 바뀌면 다시 읽습니다",
        )),
        file(KEY, "NARU_EDGE_KEY").help(lang.pick(
            "The private key of that certificate in PEM",
            "그 인증서의 개인 키, PEM",
        )),
    ]
}

impl EdgeTls {
    /// `None` when none of the three is given.
    ///
    /// # Errors
    /// `config.invalid`, naming what is missing.
    pub fn read(given: Given) -> Result<Option<EdgeTls>> {
        match given {
            Given { address: None, certificate: None, key: None } => Ok(None),
            Given { address: Some(address), certificate: Some(certificate), key: Some(key) } => {
                let address = crate::config::address(ADDRESS, &address)?;
                let files = Files { certificate: (CERTIFICATE, certificate), key: (KEY, key) };
                Ok(Some(EdgeTls { address, files }))
            }
            partly => Err(incomplete(&partly)),
        }
    }

    /// Reads the files, and goes on to follow them for as long as the runtime lives.
    ///
    /// # Errors
    /// `tls.unreadable` when a file cannot be read, `tls.certificate`, `tls.key` or `tls.mismatch` when what
    /// is in it cannot be used. Each names the file.
    pub fn load(&self) -> Result<Arc<ServerConfig>> {
        let shown = authority::single(self.files.load()?);
        let clock = Arc::new(store::clock::System);
        tokio::spawn(authority::follow(self.files.clone(), shown.clone(), clock));
        authority::server_config(shown, &network_proxy::PROTOCOLS)
    }
}

fn incomplete(given: &Given) -> Error {
    let Given { address, certificate, key } = given;
    let all =
        [(ADDRESS, address.is_some()), (CERTIFICATE, certificate.is_some()), (KEY, key.is_some())];
    let names = |there: bool| {
        let some = all.iter().filter(|(_, is)| *is == there);
        some.map(|(flag, _)| format!("--{flag}")).collect::<Vec<_>>().join(", ")
    };
    let (given, missing) = (names(true), names(false));
    Error::invalid(
        "config.invalid",
        text!(
            "TLS at the edge needs {missing} beside {given}",
            "엣지에서 TLS를 쓰려면 {given} 말고 {missing}도 필요합니다"
        ),
    )
    .hint(Text::fixed(
        "give all three, as flags, NARU_* variables or in naru.toml; or none for plain HTTP",
        "셋 모두를 플래그, NARU_* 변수, naru.toml 가운데 하나로 주세요. 평문 HTTP만 쓰려면 모두 빼세요",
    ))
}

//! Which CA a server is believed by.
//!
//! Without anything kept, the system's own roots decide. `naru login` and `naru ca trust` keep the root of a server that
//! has a CA of its own in a file for it, below `~/.config/naru/ca`: from then on that file decides, alone.

use crate::{Client, Endpoint, config};
use authority::{Fingerprint, Trust};
use http::Uri;
use kernel::{Error, ErrorKind, Lang, Result, Text, text};
use std::io::{BufRead, IsTerminal, Write};
use std::path::{Path, PathBuf};

/// The file that would be kept for the server at `url`.
pub fn pin_file(url: &str) -> Option<PathBuf> {
    let uri: Uri = url.parse().ok().filter(|uri: &Uri| uri.scheme_str() == Some("https"))?;
    let host = uri.host()?.trim_matches(['[', ']']).replace(':', "_").to_ascii_lowercase();
    let port = uri.port_u16().unwrap_or(443);
    // A host is letters, digits, dots and hyphens: no file name that leads elsewhere.
    let sound = host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._%".contains(&b));
    sound.then(|| config::config_dir().join(format!("ca/{host}_{port}.pem")))
}

/// That file, when it is there.
pub(crate) fn pinned(url: &str) -> Option<PathBuf> {
    pin_file(url).filter(|file| file.exists())
}

/// How somebody says which CA is the right one.
#[derive(Debug, Default)]
pub struct Wanted {
    /// What somebody who knows has told.
    pub fingerprint: Option<Fingerprint>,
    /// The root itself.
    pub file: Option<PathBuf>,
}

/// Finds out by which CA the server at `url` is to be believed, and keeps that: `None` when the system's roots are
/// enough. Nothing secret is sent before that is known.
///
/// # Errors
/// `server.untrusted` when nobody can be asked, `server.ca-other` when it is not the one that is wanted,
/// `server.ca-changed` when it is not the one that was kept before.
pub async fn meet(url: &str, wanted: &Wanted, lang: Lang) -> Result<Option<PathBuf>> {
    let Some(file) = pin_file(url) else { return Ok(None) };
    if let Some(given) = &wanted.file {
        let words = std::fs::read(given)
            .map_err(|e| Error::internal(format!("{}: {e}", given.display())))?;
        Trust::pem(&words)?;
        return keep(&file, &words).map(Some);
    }
    let bare = |ca_file: Option<PathBuf>| {
        let endpoint =
            Endpoint { url: url.to_owned(), token: String::new(), ca_file, outside: None };
        Client::new(endpoint, lang)
    };
    let before = pinned(url);
    match bare(before.clone()).handshake().await {
        Ok(()) if wanted.fingerprint.is_none() => return Ok(before),
        Ok(()) => {}
        Err(error) if before.is_some() && wanted.fingerprint.is_none() => return Err(error),
        Err(error) if !["server.untrusted", "server.ca-changed"].contains(&error.code()) => {
            return Err(error);
        }
        Err(_) => {}
    }
    let offered = bare(None).root_of_stranger().await?;
    let trust = choose(url, &offered, wanted.fingerprint.as_ref(), lang)?;
    let pem: String = trust.ders().map(authority::to_pem).collect();
    keep(&file, pem.as_bytes())?;
    // The server has to prove that it has what that root has signed.
    if let Err(error) = bare(Some(file.clone())).handshake().await {
        let _ = std::fs::remove_file(&file);
        return Err(error);
    }
    refresh(&bare(Some(file.clone())), &file).await?;
    Ok(Some(file))
}

/// Takes the roots from a server that is believed already: during a rotation there are two.
///
/// # Errors
/// The server's own.
pub async fn refresh(client: &Client, file: &Path) -> Result<()> {
    let words = client.text("/ca.pem").await?;
    Trust::pem(words.as_bytes())?;
    keep(file, words.as_bytes()).map(drop)
}

fn keep(file: &Path, words: &[u8]) -> Result<PathBuf> {
    if let Some(dir) = file.parent() {
        std::fs::create_dir_all(dir).map_err(Error::internal)?;
    }
    authority::write_private(file, words)?;
    Ok(file.to_owned())
}

/// The root that the fingerprint names, or the one that the person at the terminal agrees to.
fn choose(url: &str, offered: &str, wanted: Option<&Fingerprint>, lang: Lang) -> Result<Trust> {
    let offered = Trust::pem(offered.as_bytes())?;
    let shown = offered.fingerprints();
    let first = shown.first().copied().ok_or_else(|| Error::internal("no root"))?;
    match wanted {
        Some(wanted) => offered.only(wanted).ok_or_else(|| other(url, &first)),
        None if agreed(url, &first, lang)? => {
            offered.only(&first).ok_or_else(|| Error::internal("no root"))
        }
        None => Err(untrusted(url)),
    }
}

fn agreed(url: &str, fingerprint: &Fingerprint, lang: Lang) -> Result<bool> {
    let mut err = std::io::stderr().lock();
    let words = text!(
        "{url} has a certificate by a CA of its own, whose fingerprint (SHA-256) is\n  {fingerprint}\nCompare it with what `naru ca fingerprint` prints on the server, or with what its administrators tell you.",
        "{url}의 인증서는 자체 CA가 서명했습니다. 그 CA의 지문(SHA-256)은 다음과 같습니다.\n  {fingerprint}\n서버에서 `naru ca fingerprint`가 출력하는 값이나 관리자가 알려 주는 값과 비교하세요."
    );
    let _ = writeln!(err, "{}", words.get(lang));
    if !std::io::stdin().is_terminal() {
        return Ok(false);
    }
    let question = lang.pick("Is it the same? [yes/no] ", "같습니까? [yes/no] ");
    let _ = write!(err, "{question}").and_then(|()| err.flush());
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line).map_err(Error::internal)?;
    Ok(["yes", "y", "예", "네"].contains(&line.trim().to_lowercase().as_str()))
}

pub(crate) fn untrusted(url: &str) -> Error {
    Error::new(
        ErrorKind::Forbidden,
        "server.untrusted",
        text!(
            "{url} does not prove who it is: nothing that is trusted here has signed its certificate",
            "{url}이(가) 누구인지 증명하지 못합니다. 여기서 신뢰하는 곳이 서명한 인증서가 아닙니다"
        ),
    )
    .hint(text!(
        "if it is a naru with its own CA: `naru login {url} --ca-fingerprint FINGERPRINT`, with what `naru ca fingerprint` prints on the server; or NARU_CA_FILE=FILE",
        "자체 CA를 쓰는 나루라면 서버에서 `naru ca fingerprint`가 출력하는 값으로 `naru login {url} --ca-fingerprint 지문`을 실행하세요. 또는 NARU_CA_FILE=파일"
    ))
}

pub(crate) fn changed(url: &str, file: &Path) -> Error {
    let shown = file.display();
    Error::new(
        ErrorKind::Forbidden,
        "server.ca-changed",
        text!(
            "{url} shows a certificate that the CA kept in {shown} has not signed: its CA was replaced, or somebody else answers in its place. Nothing was sent",
            "{url}이(가) 보여 주는 인증서는 {shown}에 보관된 CA가 서명한 것이 아닙니다. CA가 바뀌었거나, 다른 누군가가 대신 답하고 있습니다. 아무것도 보내지 않았습니다"
        ),
    )
    .hint(text!(
        "ask its administrators for the fingerprint by another way; if they say that it is new: `naru login {url} --ca-fingerprint FINGERPRINT`",
        "관리자에게 다른 경로로 지문을 물어보세요. 새 지문이 맞다면 `naru login {url} --ca-fingerprint 지문`을 실행하세요"
    ))
}

fn other(url: &str, fingerprint: &Fingerprint) -> Error {
    Error::new(
        ErrorKind::Forbidden,
        "server.ca-other",
        text!(
            "the CA of {url} is another one: its fingerprint is {fingerprint}",
            "{url}의 CA가 다릅니다. 지문은 {fingerprint}입니다"
        ),
    )
    .hint(Text::fixed(
        "do not go on before its administrators have said which one is right",
        "어느 쪽이 맞는지 관리자가 확인해 주기 전에는 계속하지 마세요",
    ))
}

/// Tells git which CA to believe for `url`, for this user: `http.URL.sslCAInfo`. Whether git took it.
pub fn teach_git(url: &str, file: &Path) -> bool {
    let mut git = std::process::Command::new("git");
    git.args(["config", "--global", &format!("http.{}/.sslCAInfo", url.trim_end_matches('/'))]);
    git.arg(file).stdin(std::process::Stdio::null()).stderr(std::process::Stdio::null());
    git.status().is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_server_has_a_file_of_its_own_and_no_name_leads_out() {
        let of = |url: &str| {
            let file = pin_file(url)?;
            Some(file.file_name().unwrap().to_str().unwrap().to_owned())
        };
        assert_eq!(of("https://naru.example.com").as_deref(), Some("naru.example.com_443.pem"));
        assert_eq!(
            of("https://NARU.example.com:8443/").as_deref(),
            Some("naru.example.com_8443.pem")
        );
        assert_eq!(of("https://[::1]:8080").as_deref(), Some("__1_8080.pem"));
        assert_eq!(of("http://naru.example.com"), None);
        assert_eq!(of("https://../../etc").as_deref(), Some(".._443.pem"));
        assert_eq!(of("words"), None);
    }
}

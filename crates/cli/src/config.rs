//! Where the server is and who we are.
//!
//! In this order: `NARU_URL` with `NARU_TOKEN` (and `NARU_CA_FILE`, by which a server with a CA of its own is believed); the data directory's `server.json` (written by `naru up`,
//! readable by its owner alone); what `naru login` kept.

use kernel::{Error, ErrorKind, Lang, Result, Text, text};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// A server and a token for it.
#[derive(Clone, Serialize, Deserialize)]
pub struct Endpoint {
    pub url: String,
    pub token: String,
    /// Roots that the server is believed by, in PEM; without it, what is kept for its address, then the system's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// Where other people reach it, when that is elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outside: Option<String>,
}

/// `--data`, else `NARU_DATA`, else `$XDG_DATA_HOME/naru`, else `~/.local/share/naru`.
pub fn data_dir(given: Option<&Path>) -> PathBuf {
    let named = given.map(Path::to_owned).or_else(|| var("NARU_DATA").map(PathBuf::from));
    let dir = named.unwrap_or_else(|| xdg("XDG_DATA_HOME", ".local/share").join("naru"));
    // git and the shims of workloads start in directories of their own.
    std::path::absolute(&dir).unwrap_or(dir)
}

/// `$XDG_CONFIG_HOME/naru`, else `~/.config/naru`.
pub(crate) fn config_dir() -> PathBuf {
    xdg("XDG_CONFIG_HOME", ".config").join("naru")
}

fn login_file() -> PathBuf {
    config_dir().join("login.json")
}

fn xdg(variable: &str, below_home: &str) -> PathBuf {
    var(variable).map_or_else(
        || PathBuf::from(var("HOME").unwrap_or_else(|| ".".into())).join(below_home),
        PathBuf::from,
    )
}

fn var(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|v| !v.is_empty())
}

/// # Errors
/// `server.unknown` when nothing says where the server is; `login.unsafe` when a file with a token can be
/// read by others.
pub fn endpoint(data: Option<&Path>, _lang: Lang) -> Result<Endpoint> {
    let ca_file = var("NARU_CA_FILE").map(PathBuf::from);
    if let (Some(url), Some(token)) = (var("NARU_URL"), var("NARU_TOKEN")) {
        return Ok(Endpoint { url, token, ca_file, outside: None });
    }
    let dir = data_dir(data);
    for file in [dir.join("server.json"), login_file()] {
        if let Some(found) = read(&file)? {
            return Ok(Endpoint { ca_file: ca_file.or(found.ca_file), ..found });
        }
    }
    let shown = dir.display();
    Err(Error::new(
        ErrorKind::Unavailable,
        "server.unknown",
        text!("no naru runs with data in {shown}", "{shown}을(를) 쓰는 naru가 없습니다"),
    )
    .hint(Text::fixed(
        "start one with `naru up`, name its directory with `--data`, or use `naru login URL`",
        "`naru up`으로 시작하거나, `--data`로 디렉터리를 알려 주거나, `naru login URL`을 쓰세요",
    )))
}

fn read(file: &Path) -> Result<Option<Endpoint>> {
    use std::os::unix::fs::MetadataExt;
    let shown = file.display();
    let found = match std::fs::metadata(file) {
        Ok(found) => found,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(Error::internal(format!("{shown}: {e}"))),
    };
    if found.mode() & 0o077 != 0 {
        return Err(Error::invalid(
            "login.unsafe",
            text!(
                "{shown} holds a token and can be read by others",
                "{shown}에 토큰이 있는데 다른 사람이 읽을 수 있습니다"
            ),
        )
        .hint(text!("chmod 600 {shown}", "chmod 600 {shown}")));
    }
    let bytes = std::fs::read(file).map_err(|e| Error::internal(format!("{shown}: {e}")))?;
    serde_json::from_slice(&bytes).map(Some).map_err(|e| Error::internal(format!("{shown}: {e}")))
}

/// Keeps a login where [`endpoint`] finds it.
pub fn save_login(endpoint: &Endpoint) -> Result<PathBuf> {
    let file = login_file();
    if let Some(dir) = file.parent() {
        std::fs::create_dir_all(dir).map_err(Error::internal)?;
    }
    let bytes = serde_json::to_vec_pretty(endpoint).map_err(Error::internal)?;
    authority::write_private(&file, &bytes)?;
    Ok(file)
}

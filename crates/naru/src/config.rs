//! What the server is told: flags, then `NARU_*`, then `naru.toml` in the data directory, then defaults.

use crate::edge_tls::{EdgeTls, Given};
use crate::outside::{Kept, Outside};
use clap::ArgMatches;
use kernel::{Error, Result, SecretText, Text, text};
use serde::Deserialize;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

#[derive(Clone, Debug)]
pub struct Config {
    pub data: PathBuf,
    /// API, pages and git.
    pub listen: SocketAddr,
    /// The way in to services.
    pub edge: SocketAddr,
    /// The way in over TLS, beside the plain one.
    pub edge_tls: Option<EdgeTls>,
    /// Steps of runs at a time.
    pub slots: usize,
    /// Largest push, in bytes.
    pub push_limit: u64,
    /// Largest number of bytes one job may write.
    pub job_disk: u64,
    /// Largest log of one job, in bytes.
    pub job_log: u64,
    /// Hosts that pipelines may include files from: `example.com`, `example.com:8443`.
    pub include_from: Vec<String>,
    /// How others reach the API, the pages and git.
    pub outside: Outside,
    /// Days that the journal's entries stay; 0 is for ever.
    pub audit_keep_days: u64,
    /// Where checkpoints of the journal are appended.
    pub audit_checkpoints: PathBuf,
    /// Days that finished runs and their logs stay; the newest 200 of each project stay longer.
    pub keep_runs_days: u64,
    /// Environments of a project that are open at a time.
    pub environments: usize,
    /// Instances of services in all environments together.
    pub environment_instances: u32,
    /// The first number by which Unix knows an account.
    pub first_uid: u32,
    /// The file with the master key of secrets.
    pub secret_key: PathBuf,
    /// Given, the master key of secrets is derived from it instead.
    pub secret_passphrase: Option<SecretText>,
    /// Given, the master key is a key of a transit engine instead: its URL, and the file with the token.
    pub secret_kms: Option<secret::Transit>,
    /// The one before that.
    pub secret_kms_before: Option<secret::Transit>,
    /// What the passphrase was before.
    pub secret_passphrase_before: Option<SecretText>,
    pub demo: bool,
    /// The command that starts the parent of a workload: this very program.
    pub shim: Vec<OsString>,
}

/// `naru.toml`. Every field has a flag or variable of the same name.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct File {
    listen: Option<String>,
    edge: Option<String>,
    edge_tls: Option<String>,
    /// Relative paths start from the data directory.
    edge_cert: Option<PathBuf>,
    edge_key: Option<PathBuf>,
    slots: Option<usize>,
    push_limit: Option<u64>,
    job_disk: Option<u64>,
    job_log: Option<u64>,
    include_from: Option<Vec<String>>,
    host: Option<Vec<String>>,
    url: Option<String>,
    tls: Option<bool>,
    tls_cert: Option<PathBuf>,
    tls_key: Option<PathBuf>,
    trusted_proxy: Option<Vec<String>>,
    insecure_plaintext: Option<bool>,
    audit_keep: Option<u64>,
    audit_checkpoints: Option<PathBuf>,
    keep_runs: Option<u64>,
    environments: Option<u64>,
    environment_instances: Option<u64>,
    first_uid: Option<u64>,
    secret_key: Option<PathBuf>,
    secret_kms: Option<String>,
    secret_kms_token: Option<PathBuf>,
}

impl Config {
    /// # Errors
    /// `config.invalid`, naming the file or the flag.
    pub fn read(matches: &ArgMatches) -> Result<Config> {
        let data = cli::data_dir(matches.get_one::<PathBuf>("data").map(PathBuf::as_path));
        let file = file(&data)?;
        let wanted = |flag: &str, kept: Option<String>, default: &str| {
            let words =
                matches.get_one::<String>(flag).cloned().or(kept).unwrap_or_else(|| default.into());
            address(flag, &words)
        };
        let number = |flag: &str, kept: Option<u64>, default: u64| {
            matches.get_one::<u64>(flag).copied().or(kept).unwrap_or(default)
        };
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        let slots = number("slots", file.slots.map(|s| s as u64), 2 * cores as u64);
        let path = |flag: &str, kept: Option<PathBuf>| {
            matches.get_one::<PathBuf>(flag).cloned().or_else(|| kept.map(|p| data.join(p)))
        };
        let tls = Given {
            address: matches.get_one::<String>("edge-tls").cloned().or(file.edge_tls),
            certificate: path("edge-cert", file.edge_cert),
            key: path("edge-key", file.edge_key),
        };
        let outside = Kept {
            url: file.url,
            host: file.host,
            tls: file.tls,
            tls_cert: file.tls_cert,
            tls_key: file.tls_key,
            trusted_proxy: file.trusted_proxy,
            insecure_plaintext: file.insecure_plaintext,
        };
        let listen = wanted("listen", file.listen, "127.0.0.1:8080")?;
        Ok(Config {
            listen,
            edge: wanted("edge", file.edge, "127.0.0.1:8000")?,
            edge_tls: EdgeTls::read(tls)?,
            slots: usize::try_from(slots).unwrap_or(cores).clamp(1, 1024),
            push_limit: number("push-limit", file.push_limit, 1 << 30),
            job_disk: number("job-disk", file.job_disk, 10 << 30),
            job_log: number("job-log", file.job_log, 64 << 20),
            include_from: match matches.get_many::<String>("include-from") {
                Some(hosts) => hosts.cloned().collect(),
                None => file.include_from.unwrap_or_default(),
            },
            outside: Outside::read(matches, outside, &data, listen)?,
            audit_keep_days: number("audit-keep", file.audit_keep, 0).min(36_500),
            audit_checkpoints: path("audit-checkpoints", file.audit_checkpoints)
                .unwrap_or_else(|| data.join("audit-checkpoints.jsonl")),
            keep_runs_days: number("keep-runs", file.keep_runs, 90).min(36_500),
            environments: small(number("environments", file.environments, 50)),
            environment_instances: small(number(
                "environment-instances",
                file.environment_instances,
                100,
            )),
            first_uid: small(number(
                "first-uid",
                file.first_uid,
                account::Options::default().first_number.into(),
            )),
            secret_key: path("secret-key", file.secret_key)
                .unwrap_or_else(|| data.join("secret-key.json")),
            secret_kms: transit(
                matches.get_one::<String>("secret-kms").cloned().or(file.secret_kms),
                path("secret-kms-token", file.secret_kms_token.clone()),
            )?,
            secret_kms_before: transit(
                matches.get_one::<String>("secret-kms-before").cloned(),
                path("secret-kms-token", file.secret_kms_token),
            )?,
            secret_passphrase: passphrase(matches)?,
            secret_passphrase_before: environment("NARU_SECRET_PASSPHRASE_BEFORE"),
            demo: matches.get_flag("demo"),
            shim: vec![std::env::current_exe().map_err(Error::internal)?.into(), "shim".into()],
            data,
        })
    }
}

/// From a terminal, a file, a file descriptor or the environment; never an argument, which everybody on the machine
/// can read.
fn passphrase(matches: &ArgMatches) -> Result<Option<SecretText>> {
    if matches.get_flag("secret-passphrase") {
        return security_secret::ask_passphrase(cli::lang()).map(Some);
    }
    let (place, path) = match (
        matches.get_one::<PathBuf>("secret-passphrase-file"),
        matches.get_one::<u32>("secret-passphrase-fd"),
    ) {
        (Some(file), _) => (file.display().to_string(), file.clone()),
        (None, Some(fd)) => (format!("fd {fd}"), PathBuf::from(format!("/proc/self/fd/{fd}"))),
        (None, None) => return Ok(environment("NARU_SECRET_PASSPHRASE")),
    };
    let words = std::fs::read_to_string(path).map_err(|e| unreadable_passphrase(&place).why(e))?;
    let words = SecretText::new(words.trim_end_matches(['\n', '\r']));
    match words.is_empty() {
        true => Err(unreadable_passphrase(&place)),
        false => Ok(Some(words)),
    }
}

fn transit(url: Option<String>, token: Option<PathBuf>) -> Result<Option<secret::Transit>> {
    let Some(url) = url else { return Ok(None) };
    let token = token.ok_or_else(|| {
        Error::invalid(
            "config.invalid",
            Text::fixed(
                "--secret-kms needs --secret-kms-token FILE",
                "--secret-kms에는 --secret-kms-token 파일이 필요합니다",
            ),
        )
    })?;
    secret::Transit::new(&url, token).map(Some)
}

fn environment(name: &str) -> Option<SecretText> {
    std::env::var(name).ok().filter(|words| !words.is_empty()).map(SecretText::new)
}

fn unreadable_passphrase(place: &str) -> Error {
    Error::invalid(
        "config.invalid",
        text!("there is no passphrase in {place}", "{place}에 암호문이 없습니다"),
    )
    .hint(Text::fixed(
        "naru up --secret-passphrase-fd 3 3< passphrase.txt, or --secret-passphrase to be asked for it",
        "naru up --secret-passphrase-fd 3 3< passphrase.txt, 또는 --secret-passphrase로 직접 입력하세요",
    ))
}

/// A number of things that nobody has more than a million of.
fn small<N: TryFrom<u64> + From<u16>>(number: u64) -> N {
    N::try_from(number.min(1_000_000)).unwrap_or_else(|_| N::from(u16::MAX))
}

/// # Errors
/// `config.invalid`, naming the flag.
pub(crate) fn address(flag: &str, words: &str) -> Result<SocketAddr> {
    words.parse().map_err(|_| {
        Error::invalid(
            "config.invalid",
            text!(
                "--{flag}: “{words}” is not an address",
                "--{flag}: “{words}”은(는) 주소가 아닙니다"
            ),
        )
        .hint(Text::fixed(
            "write ADDRESS:PORT, such as 127.0.0.1:8080; port 0 takes any free one",
            "127.0.0.1:8080처럼 주소:포트로 쓰세요. 포트 0은 빈 포트를 고릅니다",
        ))
    })
}

fn file(data: &Path) -> Result<File> {
    let path = data.join("naru.toml");
    let words = match std::fs::read_to_string(&path) {
        Ok(words) => words,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(File::default()),
        Err(e) => return Err(Error::internal(format!("{}: {e}", path.display()))),
    };
    toml::from_str(&words).map_err(|e| {
        let why = e.message().to_owned();
        let line = e
            .span()
            .and_then(|s| words.get(..s.start))
            .map_or(1, |before| before.matches('\n').count() as u32 + 1);
        Error::invalid(
            "config.invalid",
            text!("the configuration cannot be read: {why}", "설정을 읽을 수 없습니다: {why}"),
        )
        .at(path.display().to_string(), line, 1)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_with_a_wrong_word_says_which_line() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("naru.toml"), "slots = 3\nlisten_on = \"x\"\n").unwrap();
        let error = file(dir.path()).unwrap_err();
        assert_eq!(error.place().unwrap().line, 2);
        assert!(error.say().en.contains("listen_on"), "{error}");
    }
}

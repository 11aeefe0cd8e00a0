//! `secrets`: values that a job gets from a store of secrets when it begins.

use super::error;
use super::read;
use super::yaml::{At, Entry};
use crate::variables::is_name;
use crate::work::{IdToken, Secret, SecretFrom, VaultEngine, VaultSecret};
use kernel::{Error, Result, Text};

/// Secrets of one job.
const MAX_SECRETS: usize = 50;

const KEYWORDS: &[&str] = &[
    "vault",
    "gitlab_secrets_manager",
    "file",
    "token",
    "aws_secrets_manager",
    "azure_key_vault",
    "gcp_secret_manager",
    "akeyless",
];

/// `generic` is what the first version of the engine was called once.
const ENGINES: &[(&str, VaultEngine)] =
    &[("kv-v2", VaultEngine::Kv2), ("kv-v1", VaultEngine::Kv1), ("generic", VaultEngine::Kv1)];
/// The engine of the short form, and where that is mounted if it does not say.
const USUAL: &str = "kv-v2";

/// A secret as it is written. Which token it shows is known once the whole job is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    at: At,
    secret: Secret,
}

pub fn secrets(entry: &Entry) -> Result<Vec<Written>> {
    let wanted = ("a map of names to secrets", "이름과 비밀의 맵을");
    let entries = entry.value.map();
    let entries = entries.ok_or_else(|| error::wanted(&entry.value.at, "secrets", wanted))?;
    if entries.len() > MAX_SECRETS {
        let wanted = ("at most 50 secrets", "비밀을 최대 50개까지");
        return Err(error::wanted(&entry.value.at, "secrets", wanted));
    }
    entries.iter().map(secret).collect()
}

fn secret(entry: &Entry) -> Result<Written> {
    if !is_name(&entry.key) {
        let wanted = ("names of letters, digits and _", "영문자, 숫자, _로 된 이름을");
        return Err(error::wanted(&entry.at, "secrets", wanted));
    }
    let (mut from, mut file, mut token) = (None, true, String::new());
    for part in read::map(&entry.value, "secrets", KEYWORDS)? {
        let found = match part.key.as_str() {
            "file" => {
                file = read::flag(part)?;
                continue;
            }
            "token" => {
                token = reference(part)?;
                continue;
            }
            "vault" => SecretFrom::Vault(vault(part)?),
            "gitlab_secrets_manager" => SecretFrom::Own(own(part)?),
            other => return Err(elsewhere(&part.at, other)),
        };
        if from.replace(found).is_some() {
            return Err(error::wanted(&part.at, &entry.key, ONE));
        }
    }
    let mut from = from.ok_or_else(|| error::wanted(&entry.value.at, &entry.key, ONE))?;
    if let SecretFrom::Vault(vault) = &mut from {
        vault.token = token;
    }
    let secret = Secret { name: entry.key.clone(), file, from };
    Ok(Written { at: entry.value.at.clone(), secret })
}

const ONE: (&str, &str) = (
    "one of `vault` and `gitlab_secrets_manager`",
    "`vault`와 `gitlab_secrets_manager` 가운데 하나를",
);

/// `$VAULT_ID_TOKEN`
fn reference(entry: &Entry) -> Result<String> {
    let words = read::text(entry)?;
    let name = words.strip_prefix('$').map(|name| name.trim_matches(['{', '}']));
    if name.is_some_and(is_name) {
        return Ok(words);
    }
    let wanted = (
        "a variable of `id_tokens`, as in `$VAULT_ID_TOKEN`",
        "`$VAULT_ID_TOKEN`처럼 `id_tokens`의 변수를",
    );
    Err(error::wanted(&entry.value.at, "token", wanted))
}

fn vault(entry: &Entry) -> Result<VaultSecret> {
    if entry.value.map().is_none() {
        return short(entry);
    }
    let (mut engine, mut path, mut field) = (None, None, None);
    for part in read::map(&entry.value, "vault", &["engine", "path", "field"])? {
        match part.key.as_str() {
            "engine" => engine = Some(mounted(part)?),
            "path" => path = Some(filled(part)?),
            _ => field = Some(filled(part)?),
        }
    }
    match (engine, path, field) {
        (Some((engine, mount)), Some(path), Some(field)) => Ok(of(engine, mount, path, field)),
        _ => {
            let wanted = ("`engine`, `path` and `field`", "`engine`, `path`, `field`를");
            Err(error::wanted(&entry.value.at, "vault", wanted))
        }
    }
}

/// `production/db/password@ops`: path, field and the engine's mount.
fn short(entry: &Entry) -> Result<VaultSecret> {
    let words = read::text(entry)?;
    let (secret, mount) = words.rsplit_once('@').unwrap_or((&words, USUAL));
    match secret.rsplit_once('/') {
        Some((path, field)) if !path.is_empty() && !field.is_empty() && !mount.is_empty() => {
            Ok(of(VaultEngine::Kv2, mount.to_owned(), path.to_owned(), field.to_owned()))
        }
        _ => {
            let wanted =
                ("`path/field` or `path/field@engine`", "`경로/필드`나 `경로/필드@엔진`을");
            Err(error::wanted(&entry.value.at, "vault", wanted))
        }
    }
}

fn mounted(entry: &Entry) -> Result<(VaultEngine, String)> {
    let (mut name, mut path) = (None, None);
    for part in read::map(&entry.value, "engine", &["name", "path"])? {
        match part.key.as_str() {
            "name" => name = Some(read::choice(part, ENGINES)?),
            _ => path = Some(filled(part)?),
        }
    }
    let wanted = ("`name` and `path`", "`name`과 `path`를");
    name.zip(path).ok_or_else(|| error::wanted(&entry.value.at, "engine", wanted))
}

fn filled(entry: &Entry) -> Result<String> {
    let words = read::text(entry)?;
    let wanted = ("a text that is not empty", "비어 있지 않은 텍스트를");
    if words.trim().is_empty() {
        return Err(error::wanted(&entry.value.at, &entry.key, wanted));
    }
    Ok(words)
}

/// With the variables by which GitLab is told of the server.
fn of(engine: VaultEngine, mount: String, path: String, field: String) -> VaultSecret {
    VaultSecret {
        server: "$VAULT_SERVER_URL".to_owned(),
        login: "$VAULT_AUTH_PATH".to_owned(),
        role: "$VAULT_AUTH_ROLE".to_owned(),
        namespace: "$VAULT_NAMESPACE".to_owned(),
        token: String::new(),
        own_token: "$VAULT_TOKEN".to_owned(),
        engine,
        mount,
        path,
        field,
    }
}

/// The name of a secret of this server.
fn own(entry: &Entry) -> Result<String> {
    let mut name = None;
    for part in read::map(&entry.value, "gitlab_secrets_manager", &["name", "source"])? {
        match part.key.as_str() {
            "name" => name = Some(read::text(part)?),
            _ => {
                let hint = Text::fixed(
                    "leave it out: a job reads the secrets of its own project",
                    "빼세요. 작업은 자기 프로젝트의 비밀을 읽습니다",
                );
                return Err(error::unsupported(
                    &part.at,
                    "secrets:gitlab_secrets_manager:source",
                    hint,
                ));
            }
        }
    }
    let sound = |name: &String| {
        !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
    };
    let wanted = ("a `name` of letters, digits and _", "영문자, 숫자, _로 된 `name`을");
    let sound = name.filter(sound);
    sound.ok_or_else(|| error::wanted(&entry.value.at, "gitlab_secrets_manager", wanted))
}

fn elsewhere(at: &At, keyword: &str) -> Error {
    let hint = Text::fixed(
        "let the script fetch it with a token of `id_tokens`, or keep it in Vault or on this server (`gitlab_secrets_manager`)",
        "스크립트에서 `id_tokens` 토큰으로 가져오거나, Vault나 이 서버(`gitlab_secrets_manager`)에 두세요",
    );
    error::unsupported(at, &format!("secrets:{keyword}"), hint)
}

/// The secrets of a job with these tokens. Where there is one token, that is the one it shows; without any it
/// gets what is at hand, and of a store only that it cannot get in.
///
/// # Errors
/// `pipeline.value` for a secret of Vault when it is not clear which token it shows.
pub fn with_tokens(written: &[Written], tokens: &[IdToken]) -> Result<Vec<Secret>> {
    let resolve = |Written { at, secret }: &Written| {
        let mut secret = secret.clone();
        if let SecretFrom::Vault(vault) = &mut secret.from
            && vault.token.is_empty()
        {
            match tokens {
                [] => {}
                [token] => vault.token = format!("${}", token.name),
                _ => return Err(which_token(at)),
            }
        }
        Ok(secret)
    };
    written.iter().map(resolve).collect()
}

fn which_token(at: &At) -> Error {
    error::wanted(at, "secrets", ("a `token`", "`token`을")).hint(Text::fixed(
        "the job has several `id_tokens`: name one, as in `token: $VAULT_ID_TOKEN`",
        "작업에 `id_tokens`가 여러 개입니다. `token: $VAULT_ID_TOKEN`처럼 하나를 지정하세요",
    ))
}

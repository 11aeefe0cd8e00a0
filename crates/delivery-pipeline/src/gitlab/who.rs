//! Who a job is: `id_tokens`, `identity`.

use super::error;
use super::read;
use super::yaml::{At, Entry};
use crate::variables::is_name;
use crate::work::IdToken;
use kernel::{Error, Result, Text};

pub fn id_tokens(entry: &Entry) -> Result<Vec<IdToken>> {
    let wanted = ("a map of names to tokens", "이름과 토큰의 맵을");
    let entries = entry.value.map();
    let entries = entries.ok_or_else(|| error::wanted(&entry.value.at, "id_tokens", wanted))?;
    entries.iter().map(id_token).collect()
}

fn id_token(entry: &Entry) -> Result<IdToken> {
    if !is_name(&entry.key) {
        let wanted = ("names of letters, digits and _", "영문자, 숫자, _로 된 이름을");
        return Err(error::wanted(&entry.at, "id_tokens", wanted));
    }
    let mut audience = Vec::new();
    for part in read::map(&entry.value, &entry.key, &["aud"])? {
        audience = read::words(part)?;
    }
    if audience.is_empty() {
        return Err(error::wanted(&entry.value.at, &entry.key, ("an `aud`", "`aud`를")));
    }
    Ok(IdToken { name: entry.key.clone(), audience })
}

/// No account of a cloud is connected.
pub fn identity(at: &At) -> Error {
    let hint = Text::fixed(
        "ask for a token with `id_tokens` and exchange it with the cloud's workload identity federation",
        "`id_tokens`로 토큰을 받아 클라우드의 워크로드 아이덴티티 페더레이션에서 교환하세요",
    );
    error::unsupported(at, "identity", hint)
}

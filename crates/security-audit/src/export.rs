//! The audit log as lines of JSON that anybody can check with the public key alone.
//!
//! A head with what the first entry is linked to, all checkpoints, the entries with their bodies exactly as they
//! are hashed, and an end, so that a copy that broke off is noticed. An export that begins later is appended to
//! an earlier one: its head is linked to the earlier one's last entry.

use crate::Audit;
use crate::check::Chain;
use crate::trail;
use bytes::Bytes;
use futures_util::Stream;
use kernel::{Error, Result};
use serde_json::{Value, json};
use store::Entry;

const PAGE: usize = 500;

/// What comes next.
enum Place {
    Head,
    /// After the checkpoint of this number.
    Checkpoints(u64),
    /// After the entry of this number.
    Entries(u64),
    Over,
}

/// Lines from the entry after `after` to the one that is the newest now. An error breaks the stream off, which
/// its reader notices by the missing end.
pub(crate) fn lines(audit: Audit, after: u64) -> impl Stream<Item = Result<Bytes>> + Send {
    let last = audit.store().head();
    futures_util::stream::unfold((audit, Place::Head), move |(audit, place)| async move {
        match page(&audit, place, after, last).await {
            Ok(None) => None,
            Ok(Some((bytes, next))) => Some((Ok(bytes), (audit, next))),
            Err(error) => Some((Err(error), (audit, Place::Over))),
        }
    })
}

async fn page(
    audit: &Audit,
    place: Place,
    after: u64,
    last: u64,
) -> Result<Option<(Bytes, Place)>> {
    match place {
        Place::Head => {
            let base = audit.store().read(move |v| Ok(v.journal_base()?.max(after))).await?;
            let hash = audit.store().read(move |v| v.hash_at(base)).await?;
            let head = json!({ "export": 1, "key": audit.public_key(), "base": { "seq": base, "hash": hash } });
            Ok(Some((line(&head), Place::Checkpoints(0))))
        }
        Place::Checkpoints(number) => {
            let rows = audit.store().read(move |v| trail::rows(v, number, PAGE)).await?;
            let next = rows.last().map_or(Place::Entries(after), |c| Place::Checkpoints(c.number));
            let lines = rows.iter().flat_map(|c| line(&json!({ "checkpoint": c })));
            Ok(Some((lines.collect(), next)))
        }
        Place::Entries(seq) => {
            let mut entries = audit.store().read(move |v| v.entries(seq, PAGE)).await?;
            entries.retain(|e| e.seq <= last);
            match entries.last().map(|e| e.seq) {
                Some(to) => {
                    Ok(Some((entries.iter().flat_map(entry).collect(), Place::Entries(to))))
                }
                None => Ok(Some((line(&json!({ "end": last })), Place::Over))),
            }
        }
        Place::Over => Ok(None),
    }
}

fn line(value: &Value) -> Bytes {
    Bytes::from(format!("{value}\n"))
}

/// By hand, because the body must stay as it is, byte for byte.
fn entry(entry: &Entry) -> Vec<u8> {
    let Entry { seq, time, body, hash } = entry;
    let hash = crate::checkpoint::hex(hash);
    format!("{{\"seq\":{seq},\"time\":{},\"hash\":\"{hash}\",\"body\":{body}}}\n", time.0)
        .into_bytes()
}

/// What an export may begin after.
///
/// # Errors
/// `audit.gone` when entries in between were let go.
pub(crate) async fn admit(audit: &Audit, after: u64) -> Result<()> {
    let base = audit.store().read(|v| v.journal_base()).await?;
    if after > 0 && after < base {
        return Err(Error::conflict(
            "audit.gone",
            kernel::text!(
                "entries {after} to {base} were let go: an export cannot go on from there",
                "{after}번부터 {base}번까지의 항목이 지워져서 거기서 이어 내보낼 수 없습니다"
            ),
        )
        .hint(kernel::Text::fixed("export into a new file", "새 파일로 내보내세요")));
    }
    Ok(())
}

/// The chain of an export that is empty.
pub(crate) fn begin(base: u64, hash: String) -> Chain {
    Chain { base, base_hash: hash.clone(), last: base, head: hash, bytes: 0 }
}

//! The journal's hash chain: how entries are linked, walked and, from their oldest on, let go.
//!
//! Every entry's hash covers the hash before it, its sequence, its time and its body as stored. The walk is
//! shared by all cores: an entry is compared with the *stored* hash before it, so that stretches of the chain
//! can be walked side by side.

use crate::error::sql;
use crate::journal::{Hash, Head, hex};
use kernel::{Error, ErrorKind, Result, Text, Time, text};
use rusqlite::{Connection, OptionalExtension, params};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::path::Path;

/// Stretches at a time, at most.
const WALKERS: usize = 8;
/// Entries that are worth a walker of their own.
const STRETCH: u64 = 4096;

/// SHA-256 over the hash before, the sequence and time (big endian) and the body as stored.
pub fn link(before: &[u8; 32], seq: u64, time: Time, body: &str) -> [u8; 32] {
    let mut hasher = Sha256::new();
    hasher.update(before);
    hasher.update(seq.to_be_bytes());
    hasher.update(time.0.to_be_bytes());
    hasher.update(body.as_bytes());
    hasher.finalize().into()
}

/// What [`crate::Store::verify`] found in order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verified {
    pub entries: u64,
    /// Sequence of the last entry before the first that is kept; 0 when nothing was let go.
    pub base: u64,
    /// Its hash, lower-case hex: what the first entry is linked to.
    pub base_hash: String,
    /// Sequence of the last entry.
    pub last: u64,
    /// Hash of the last entry, lower-case hex: write it down elsewhere and a cut tail is noticed too.
    pub head: String,
    /// Bytes that were hashed.
    pub bytes: u64,
}

/// One entry exactly as it is stored, for whoever checks the chain elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub seq: u64,
    pub time: Time,
    /// JSON of a [`kernel::NewEvent`]: the very bytes that are hashed.
    pub body: String,
    pub hash: [u8; 32],
}

/// What the oldest entry is linked to.
pub(crate) fn base(conn: &Connection) -> Result<Head> {
    let found = conn
        .query_row("SELECT seq, hash FROM journal_base", [], |r| {
            Ok((r.get::<_, i64>(0)?, r.get::<_, Hash>(1)?))
        })
        .optional()
        .map_err(sql)?;
    Ok(found.map_or(Head { seq: 0, hash: [0; 32] }, |(seq, hash)| Head {
        seq: seq.unsigned_abs(),
        hash,
    }))
}

/// The stored hash of an entry, or of the base.
pub(crate) fn hash_at(conn: &Connection, seq: u64) -> Result<Option<Hash>> {
    let base = base(conn)?;
    if seq == base.seq {
        return Ok(Some(base.hash));
    }
    conn.prepare_cached("SELECT hash FROM journal WHERE seq = ?")
        .and_then(|mut s| s.query_row([seq.cast_signed()], |r| r.get(0)).optional())
        .map_err(sql)
        .map(|hash| hash.filter(|_| seq > base.seq))
}

/// Entries after `seq` as they are stored, oldest first.
pub(crate) fn entries(conn: &Connection, after: u64, limit: usize) -> Result<Vec<Entry>> {
    let after = after.max(base(conn)?.seq);
    let mut statement = conn
        .prepare_cached(
            "SELECT seq, time, body, hash FROM journal WHERE seq > ? ORDER BY seq LIMIT ?",
        )
        .map_err(sql)?;
    let rows = statement
        .query_map(params![after.cast_signed(), i64::try_from(limit).unwrap_or(i64::MAX)], |r| {
            Ok(Entry {
                seq: r.get::<_, i64>(0)?.unsigned_abs(),
                time: Time(r.get(1)?),
                body: r.get(2)?,
                hash: r.get(3)?,
            })
        })
        .map_err(sql)?;
    rows.collect::<rusqlite::Result<_>>().map_err(sql)
}

/// Makes the entry `through` the base, and says how many are older now. They are no longer part of the journal;
/// [`sweep`] takes them away.
pub(crate) fn rebase(conn: &Connection, through: u64) -> Result<u64> {
    let old = base(conn)?;
    let Some(hash) = hash_at(conn, through)?.filter(|_| through > old.seq) else { return Ok(0) };
    conn.execute("DELETE FROM journal_base", []).map_err(sql)?;
    conn.execute("INSERT INTO journal_base VALUES (?, ?)", params![through.cast_signed(), hash])
        .map_err(sql)?;
    Ok(through - old.seq)
}

/// Deletes entries that are older than the base: how many, at most `limit`.
pub(crate) fn sweep(conn: &Connection, limit: usize) -> Result<usize> {
    let base = base(conn)?.seq.cast_signed();
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    conn.execute(
        "DELETE FROM journal WHERE seq IN (SELECT seq FROM journal WHERE seq <= ? ORDER BY seq LIMIT ?)",
        params![base, limit],
    )
    .map_err(sql)
}

/// Walks the whole chain.
pub(crate) fn verify(path: &Path) -> Result<Verified> {
    loop {
        let conn = crate::reader(path)?;
        let base = self::base(&conn)?;
        let last = crate::journal::head(&conn)?;
        let walked = walk_all(path, base, last);
        // Entries that were let go while we walked are no fault: look again from where it begins now.
        if self::base(&conn)?.seq == base.seq {
            let bytes = walked?;
            return Ok(Verified {
                entries: last.seq - base.seq,
                base: base.seq,
                base_hash: hex(&base.hash),
                last: last.seq,
                head: hex(&last.hash),
                bytes,
            });
        }
    }
}

fn walk_all(path: &Path, base: Head, last: Head) -> Result<u64> {
    let most = std::thread::available_parallelism().map_or(1, usize::from).min(WALKERS) as u64;
    let count = last.seq.saturating_sub(base.seq);
    let walkers = (count / STRETCH).clamp(1, most);
    let cut = |n: u64| base.seq + count * n / walkers;
    std::thread::scope(|scope| {
        let stretches: Vec<_> = (0..walkers)
            .map(|n| scope.spawn(move || walk(path, base, cut(n), cut(n + 1))))
            .collect();
        let walked = stretches.into_iter().map(|s| {
            s.join().unwrap_or_else(|_| Err(Error::internal("the walk over the chain panicked")))
        });
        // The first stretch's fault first.
        walked.collect::<Result<Vec<u64>>>().map(|bytes| bytes.into_iter().sum())
    })
}

/// The entries after `from` up to `to`: how many bytes were hashed.
fn walk(path: &Path, base: Head, from: u64, to: u64) -> Result<u64> {
    let conn = crate::reader(path)?;
    let before = if from == base.seq { Some(base.hash) } else { hash_at(&conn, from)? };
    let mut before = Head { seq: from, hash: before.ok_or_else(|| broken(from))? };
    let mut statement = conn
        .prepare(
            "SELECT seq, time, body, hash FROM journal WHERE seq > ? AND seq <= ? ORDER BY seq",
        )
        .map_err(sql)?;
    let mut rows = statement.query(params![from.cast_signed(), to.cast_signed()]).map_err(sql)?;
    let mut bytes = 0;
    while let Some(row) = rows.next().map_err(sql)? {
        let seq = row.get::<_, i64>(0).map_err(sql)?.unsigned_abs();
        let time = Time(row.get(1).map_err(sql)?);
        let hash: Hash = row.get(3).map_err(sql)?;
        // A body that is no text any more was changed.
        let body = row.get_ref(2).map_err(sql)?;
        let body = body.as_str().map_err(|_| broken(seq))?;
        if seq != before.seq + 1 || hash != link(&before.hash, seq, time, body) {
            return Err(broken(before.seq + 1));
        }
        bytes += body.len() as u64 + 48;
        before = Head { seq, hash };
    }
    if before.seq == to { Ok(bytes) } else { Err(broken(before.seq + 1)) }
}

/// The error for a chain that does not hold at an entry.
pub fn broken(seq: u64) -> Error {
    Error::new(
        ErrorKind::Internal,
        "journal.broken",
        text!(
            "the journal's chain breaks at entry {seq}: an entry was changed or removed",
            "저널의 해시 체인이 {seq}번 항목에서 끊겼습니다. 항목이 바뀌었거나 지워졌습니다"
        ),
    )
    .hint(Text::fixed(
        "keep a copy of the data as it is, and compare it with an export or a backup",
        "데이터를 지금 그대로 복사해 두고 내보낸 기록이나 백업과 비교하세요",
    ))
}

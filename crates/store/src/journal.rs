//! The journal's rows and its hash chain.

use crate::error::sql;
use kernel::{Error, ErrorKind, Event, NewEvent, Result, Time, text};
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::Serialize;
use sha2::{Digest, Sha256};

pub(crate) type Hash = [u8; 32];

/// The end of the chain.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Head {
    pub seq: u64,
    pub hash: Hash,
}

/// What [`crate::Store::verify`] found in order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Verified {
    pub entries: u64,
    /// Hash of the last entry, lower-case hex: write it down elsewhere and a cut tail is noticed too.
    pub head: String,
}

/// SHA-256 over the hash before, the sequence and time (big endian) and the body as stored.
fn link(before: &Hash, seq: u64, time: Time, body: &str) -> Hash {
    let mut hasher = Sha256::new();
    hasher.update(before);
    hasher.update(seq.to_be_bytes());
    hasher.update(time.0.to_be_bytes());
    hasher.update(body.as_bytes());
    hasher.finalize().into()
}

pub(crate) fn hex(hash: &[u8]) -> String {
    use std::fmt::Write;
    hash.iter().fold(String::with_capacity(hash.len() * 2), |mut out, b| {
        // Writing to a String cannot fail.
        let _ = write!(out, "{b:02x}");
        out
    })
}

pub(crate) fn head(conn: &Connection) -> Result<Head> {
    let last = conn
        .query_row("SELECT seq, hash FROM journal ORDER BY seq DESC LIMIT 1", [], |r| {
            Ok((r.get::<_, i64>(0)?, r.get::<_, Hash>(1)?))
        })
        .optional()
        .map_err(sql)?;
    Ok(match last {
        Some((seq, hash)) => Head { seq: seq.unsigned_abs(), hash },
        None => Head { seq: 0, hash: [0; 32] },
    })
}

pub(crate) fn append(conn: &Connection, head: Head, time: Time, fact: NewEvent) -> Result<Event> {
    let seq = head.seq + 1;
    let body = serde_json::to_string(&fact).map_err(Error::internal)?;
    let hash = link(&head.hash, seq, time, &body);
    let project = fact.project.as_ref().map_or("", |p| p.as_str());
    let change = fact.change.as_ref().map_or("", |c| c.as_str());
    let subject = fact.subject.as_ref().map(ToString::to_string).unwrap_or_default();
    conn.prepare_cached("INSERT INTO journal VALUES (?,?,?,?,?,?,?,?)")
        .and_then(|mut s| {
            s.execute(params![
                seq.cast_signed(),
                time.0,
                fact.kind,
                project,
                change,
                subject,
                body,
                hash
            ])
        })
        .map_err(sql)?;
    Ok(Event { seq, time, fact, hash: hex(&hash) })
}

/// Columns `seq, time, body, hash`.
pub(crate) fn read(row: &Row<'_>) -> rusqlite::Result<Event> {
    let body: String = row.get(2)?;
    let fact = serde_json::from_str(&body).map_err(|e| {
        rusqlite::Error::FromSqlConversionFailure(2, rusqlite::types::Type::Text, Box::new(e))
    })?;
    let hash: Hash = row.get(3)?;
    Ok(Event {
        seq: row.get::<_, i64>(0)?.unsigned_abs(),
        time: Time(row.get(1)?),
        fact,
        hash: hex(&hash),
    })
}

pub(crate) fn verify(conn: &Connection) -> Result<Verified> {
    let mut statement =
        conn.prepare("SELECT seq, time, body, hash FROM journal ORDER BY seq").map_err(sql)?;
    let mut rows = statement.query([]).map_err(sql)?;
    let mut before = Head { seq: 0, hash: [0; 32] };
    while let Some(row) = rows.next().map_err(sql)? {
        let seq = row.get::<_, i64>(0).map_err(sql)?.unsigned_abs();
        let time = Time(row.get(1).map_err(sql)?);
        let body: String = row.get(2).map_err(sql)?;
        let hash: Hash = row.get(3).map_err(sql)?;
        if seq != before.seq + 1 || hash != link(&before.hash, seq, time, &body) {
            let wanted = before.seq + 1;
            return Err(Error::new(
                ErrorKind::Internal,
                "journal.broken",
                text!(
                    "the journal's chain breaks at entry {wanted}: an entry was changed or removed",
                    "저널의 해시 체인이 {wanted}번 항목에서 끊겼습니다. 항목이 바뀌었거나 지워졌습니다"
                ),
            ));
        }
        before = Head { seq, hash };
    }
    Ok(Verified { entries: before.seq, head: hex(&before.hash) })
}

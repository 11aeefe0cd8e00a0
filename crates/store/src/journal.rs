//! The journal's rows and its hash chain.

use crate::chain::{self, link};
use crate::error::sql;
use kernel::{Error, Event, NewEvent, Result, Time};
use rusqlite::{Connection, OptionalExtension, Row, params};

pub(crate) type Hash = [u8; 32];

/// The end of the chain.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Head {
    pub seq: u64,
    pub hash: Hash,
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
        None => chain::base(conn)?,
    })
}

pub(crate) fn append(conn: &Connection, head: Head, time: Time, fact: NewEvent) -> Result<Event> {
    let seq = head.seq + 1;
    let body = serde_json::to_string(&fact).map_err(Error::internal)?;
    let hash = link(&head.hash, seq, time, &body);
    let project = fact.project.as_ref().map_or("", |p| p.as_str());
    let change = fact.change.as_ref().map_or("", |c| c.as_str());
    let subject = fact.subject.as_ref().map(ToString::to_string).unwrap_or_default();
    let address = fact.origin.as_ref().and_then(|o| o.address.as_deref()).unwrap_or("");
    conn.prepare_cached("INSERT INTO journal VALUES (?,?,?,?,?,?,?,?,?,?)")
        .and_then(|mut s| {
            s.execute(params![
                seq.cast_signed(),
                time.0,
                fact.kind,
                project,
                change,
                subject,
                body,
                hash,
                fact.actor.to_string(),
                address
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

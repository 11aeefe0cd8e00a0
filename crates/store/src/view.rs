//! Reading.

use crate::error::sql;
use crate::{chain, journal};
use kernel::{Error, Event, Id, Key, Name, Resource, Result, Time, resource::Labels};
use rusqlite::{Connection, OptionalExtension, Row, params, params_from_iter};
use serde::de::DeserializeOwned;

/// A consistent snapshot.
pub struct View<'a> {
    pub(crate) conn: &'a Connection,
    now: Time,
}

/// Which events to read. Empty fields do not restrict.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    pub project: Option<Name>,
    pub change: Option<Name>,
    pub subject: Option<Key>,
    /// A kind (`git.pushed`) or a prefix ending in a dot (`git.`).
    pub kind: Option<String>,
}

impl Filter {
    /// The same decision as the query, for events that come from a [`crate::Feed`].
    pub fn matches(&self, event: &Event) -> bool {
        let fact = &event.fact;
        let kind =
            |k: &String| if k.ends_with('.') { fact.kind.starts_with(k) } else { fact.kind == *k };
        self.project.as_ref().is_none_or(|p| fact.project.as_ref() == Some(p))
            && self.change.as_ref().is_none_or(|c| fact.change.as_ref() == Some(c))
            && self.subject.as_ref().is_none_or(|s| fact.subject.as_ref() == Some(s))
            && self.kind.as_ref().is_none_or(kind)
    }
}

const COLUMNS: &str =
    "kind, project, name, uid, revision, generation, labels, created, updated, spec, status";

impl<'a> View<'a> {
    pub(crate) fn new(conn: &'a Connection, now: Time) -> View<'a> {
        View { conn, now }
    }

    /// When this transaction began.
    pub fn now(&self) -> Time {
        self.now
    }

    pub fn resource(&self, key: &Key) -> Result<Option<Resource>> {
        let query = format!("SELECT {COLUMNS} FROM resource WHERE kind=? AND project=? AND name=?");
        let project = key.project.as_ref().map_or("", |p| p.as_str());
        let mut statement = self.conn.prepare_cached(&query).map_err(sql)?;
        let found = statement
            .query_row(params![key.kind, project, key.name.as_str()], resource_row)
            .optional()
            .map_err(sql)?;
        found.map(finish).transpose()
    }

    /// Resources of one kind by project and name: all projects' when `project` is `None`. `after` is the
    /// last key of the page before.
    pub fn resources(
        &self,
        kind: &str,
        project: Option<&Name>,
        after: Option<&Key>,
        limit: usize,
    ) -> Result<Vec<Resource>> {
        let whose = if project.is_some() { "project = ?2" } else { "project >= ?2" };
        let query = format!(
            "SELECT {COLUMNS} FROM resource WHERE kind=?1 AND {whose} AND (project, name) > (?3, ?4)
             ORDER BY project, name LIMIT ?5"
        );
        let after_project = after.and_then(|k| k.project.as_ref()).map_or("", |p| p.as_str());
        let after_name = after.map_or("", |k| k.name.as_str());
        let mut statement = self.conn.prepare_cached(&query).map_err(sql)?;
        let rows = statement
            .query_map(
                params![
                    kind,
                    project.map_or("", |p| p.as_str()),
                    after_project,
                    after_name,
                    i64::try_from(limit).unwrap_or(i64::MAX)
                ],
                resource_row,
            )
            .map_err(sql)?;
        rows.map(|row| row.map_err(sql).and_then(finish)).collect()
    }

    /// The value under `key` in a part's own `space`.
    ///
    /// # Errors
    /// Internal, when the stored value is not a `T`.
    pub fn row<T: DeserializeOwned>(&self, space: &str, key: &str) -> Result<Option<T>> {
        let mut statement = self
            .conn
            .prepare_cached("SELECT value FROM row WHERE space=? AND key=?")
            .map_err(sql)?;
        let found: Option<String> =
            statement.query_row(params![space, key], |r| r.get(0)).optional().map_err(sql)?;
        found.map(|words| parse(space, &words)).transpose()
    }

    /// Rows whose key starts with `prefix` and is greater than `after`, in key order.
    pub fn rows<T: DeserializeOwned>(
        &self,
        space: &str,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(String, T)>> {
        self.scan(space, prefix, after, limit, "key ASC", "key > ?3")
    }

    /// Rows whose key starts with `prefix` and is less than `before`, in reverse key order.
    pub fn rows_back<T: DeserializeOwned>(
        &self,
        space: &str,
        prefix: &str,
        before: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(String, T)>> {
        let before = before.unwrap_or("\u{10ffff}");
        self.scan(space, prefix, Some(before), limit, "key DESC", "key < ?3")
    }

    fn scan<T: DeserializeOwned>(
        &self,
        space: &str,
        prefix: &str,
        bound: Option<&str>,
        limit: usize,
        order: &str,
        compare: &str,
    ) -> Result<Vec<(String, T)>> {
        let query = format!(
            "SELECT key, value FROM row WHERE space=?1 AND key >= ?2 AND key < ?2 || char(1114111)
             AND {compare} ORDER BY {order} LIMIT ?4"
        );
        let mut statement = self.conn.prepare_cached(&query).map_err(sql)?;
        let rows = statement
            .query_map(
                params![
                    space,
                    prefix,
                    bound.unwrap_or(""),
                    i64::try_from(limit).unwrap_or(i64::MAX)
                ],
                |r| Ok((r.get::<_, String>(0)?, r.get::<_, String>(1)?)),
            )
            .map_err(sql)?;
        rows.map(|row| {
            let (key, words) = row.map_err(sql)?;
            Ok((key, parse(space, &words)?))
        })
        .collect()
    }

    /// Events after `seq` that match, oldest first.
    pub fn events(&self, after: u64, limit: usize, filter: &Filter) -> Result<Vec<Event>> {
        self.select("seq > ?", after, "ASC", limit, filter)
    }

    /// Events before `seq` that match, newest first. `u64::MAX` starts at the end.
    pub fn events_back(&self, before: u64, limit: usize, filter: &Filter) -> Result<Vec<Event>> {
        self.select("seq < ?", before, "DESC", limit, filter)
    }

    /// Entries after `seq` exactly as they are stored, oldest first.
    pub fn entries(&self, after: u64, limit: usize) -> Result<Vec<chain::Entry>> {
        chain::entries(self.conn, after, limit)
    }

    /// The hash of an entry, or of the one before the oldest; lower-case hex.
    pub fn hash_at(&self, seq: u64) -> Result<Option<String>> {
        Ok(chain::hash_at(self.conn, seq)?.map(|hash| journal::hex(&hash)))
    }

    /// The sequence of the last entry before the oldest that is kept; 0 when nothing was let go.
    pub fn journal_base(&self) -> Result<u64> {
        Ok(chain::base(self.conn)?.seq)
    }

    /// When an entry was made.
    pub fn time_of(&self, seq: u64) -> Result<Option<Time>> {
        let entry = self.entries(seq.saturating_sub(1), 1)?.into_iter().next();
        Ok(entry.filter(|e| e.seq == seq).map(|e| e.time))
    }

    fn select(
        &self,
        bound: &str,
        seq: u64,
        order: &str,
        limit: usize,
        filter: &Filter,
    ) -> Result<Vec<Event>> {
        let mut clause = String::from(bound);
        let mut args = vec![rusqlite::types::Value::from(i64::try_from(seq).unwrap_or(i64::MAX))];
        let mut add = |words: &str, value: String| {
            clause.push_str(words);
            args.push(value.into());
        };
        if let Some(p) = &filter.project {
            add(" AND project = ?", p.to_string());
        }
        if let Some(c) = &filter.change {
            // Spelled out so that the planner may use the partial index.
            add(" AND change <> '' AND change = ?", c.to_string());
        }
        if let Some(s) = &filter.subject {
            add(" AND subject <> '' AND subject = ?", s.to_string());
        }
        match &filter.kind {
            Some(k) if k.ends_with('.') => {
                add(" AND kind >= ?", k.clone());
                add(" AND kind < ?", format!("{}/", k.trim_end_matches('.')));
            }
            Some(k) => add(" AND kind = ?", k.clone()),
            None => {}
        }
        args.push(i64::try_from(limit).unwrap_or(i64::MAX).into());
        let query = format!(
            "SELECT seq, time, body, hash FROM journal WHERE {clause} ORDER BY seq {order} LIMIT ?"
        );
        let mut statement = self.conn.prepare_cached(&query).map_err(sql)?;
        let rows = statement.query_map(params_from_iter(args), journal::read).map_err(sql)?;
        rows.map(|row| row.map_err(sql)).collect()
    }
}

fn parse<T: DeserializeOwned>(space: &str, words: &str) -> Result<T> {
    serde_json::from_str(words).map_err(|e| Error::internal(format!("row of {space}: {e}")))
}

struct Raw {
    project: String,
    name: String,
    kind: String,
    uid: String,
    revision: i64,
    generation: i64,
    labels: String,
    created: i64,
    updated: i64,
    spec: String,
    status: String,
}

fn resource_row(row: &Row<'_>) -> rusqlite::Result<Raw> {
    Ok(Raw {
        kind: row.get(0)?,
        project: row.get(1)?,
        name: row.get(2)?,
        uid: row.get(3)?,
        revision: row.get(4)?,
        generation: row.get(5)?,
        labels: row.get(6)?,
        created: row.get(7)?,
        updated: row.get(8)?,
        spec: row.get(9)?,
        status: row.get(10)?,
    })
}

fn finish(raw: Raw) -> Result<Resource> {
    let project = if raw.project.is_empty() { None } else { Some(Name::parse(&raw.project)?) };
    let labels: Labels = parse("labels", &raw.labels)?;
    Ok(Resource {
        key: Key { kind: raw.kind, project, name: Name::parse(&raw.name)? },
        uid: Id::parse(&raw.uid).ok_or_else(|| Error::internal("a resource without an id"))?,
        revision: raw.revision.unsigned_abs(),
        generation: raw.generation.unsigned_abs(),
        labels,
        created: Time(raw.created),
        updated: Time(raw.updated),
        spec: parse("spec", &raw.spec)?,
        status: parse("status", &raw.status)?,
    })
}

//! Writing.

use crate::error::sql;
use crate::journal::{self, Head};
use crate::view::View;
use kernel::resource::Labels;
use kernel::{
    Error, Event, Id, Key, NewEvent, Origin, Principal, Resource, Result, Text, Time, text,
};
use rusqlite::{Connection, params};
use serde::Serialize;
use serde_json::Value;
use std::ops::Deref;
use std::sync::Arc;

/// A transaction under way. Reads through it see its own writes.
pub struct Tx<'a> {
    view: View<'a>,
    pub(crate) head: Head,
    pub(crate) events: Vec<Arc<Event>>,
    /// Where from this write was asked.
    pub(crate) origin: Option<Origin>,
}

/// What a write of a resource's spec asks for.
#[derive(Clone, Debug)]
pub struct Put {
    pub key: Key,
    pub labels: Labels,
    /// Already checked and defaulted by its kind.
    pub spec: Value,
    /// The revision the writer has read: `Some(0)` means it must not exist yet, `None` asks nothing.
    pub expected: Option<u64>,
    pub actor: Principal,
}

impl<'a> Deref for Tx<'a> {
    type Target = View<'a>;
    fn deref(&self) -> &View<'a> {
        &self.view
    }
}

impl<'a> Tx<'a> {
    pub(crate) fn new(conn: &'a Connection, now: Time, head: Head) -> Tx<'a> {
        Tx { view: View::new(conn, now), head, events: Vec::new(), origin: None }
    }

    /// A new identifier.
    ///
    /// # Errors
    /// Internal, when the system has no randomness.
    pub fn id(&self) -> Result<Id> {
        let mut bytes = [0_u8; 16];
        getrandom::fill(&mut bytes).map_err(Error::internal)?;
        Ok(Id::new(self.now().0, u128::from_le_bytes(bytes)))
    }

    /// Appends a fact to the journal; it becomes visible to followers when this transaction commits.
    /// It says where from it was asked, if that is known.
    pub fn append(&mut self, mut fact: NewEvent) -> Result<u64> {
        fact.origin = fact.origin.or_else(|| self.origin.clone());
        let event = journal::append(self.conn, self.head, self.now(), fact)?;
        let hash = decode(&event.hash)?;
        self.head = Head { seq: event.seq, hash };
        self.events.push(Arc::new(event));
        Ok(self.head.seq)
    }

    /// Creates a resource or replaces its spec and labels, and journals it. Writing what is already there
    /// changes nothing and journals nothing.
    ///
    /// # Errors
    /// `resource.exists` or `resource.changed` when `expected` does not hold.
    pub fn put(&mut self, put: Put) -> Result<Resource> {
        let found = self.resource(&put.key)?;
        let revision = found.as_ref().map_or(0, |r| r.revision);
        if let Some(expected) = put.expected
            && expected != revision
        {
            return Err(stale(&put.key, expected, revision));
        }
        let resource = match found {
            Some(old) if old.spec == put.spec && old.labels == put.labels => return Ok(old),
            Some(old) => Resource {
                generation: old.generation + u64::from(old.spec != put.spec),
                labels: put.labels,
                spec: put.spec,
                ..old
            },
            None => Resource {
                key: put.key,
                uid: self.id()?,
                revision: 0,
                generation: 1,
                labels: put.labels,
                created: self.now(),
                updated: self.now(),
                spec: put.spec,
                status: Value::Null,
            },
        };
        let (verb, say) = if revision == 0 {
            ("resource.created", Text::fixed("created", "생성됨"))
        } else {
            ("resource.updated", Text::fixed("updated", "변경됨"))
        };
        self.save(resource, verb, put.actor, say)
    }

    /// Writes what the owning reconciler saw. The same status again changes nothing.
    ///
    /// # Errors
    /// `resource.unknown` when it is gone.
    pub fn put_status(
        &mut self,
        key: &Key,
        status: &impl Serialize,
        actor: Principal,
    ) -> Result<Resource> {
        let status = serde_json::to_value(status).map_err(Error::internal)?;
        let old = self.resource(key)?.ok_or_else(|| unknown(key))?;
        if old.status == status {
            return Ok(old);
        }
        let say = Text::fixed("status changed", "상태 변경됨");
        self.save(Resource { status, ..old }, "resource.status", actor, say)
    }

    /// # Errors
    /// `resource.unknown` when there is none; `resource.changed` when `expected` does not hold.
    pub fn delete(
        &mut self,
        key: &Key,
        expected: Option<u64>,
        actor: Principal,
    ) -> Result<Resource> {
        let old = self.resource(key)?.ok_or_else(|| unknown(key))?;
        if let Some(expected) = expected
            && expected != old.revision
        {
            return Err(stale(key, expected, old.revision));
        }
        let project = key.project.as_ref().map_or("", |p| p.as_str());
        self.conn
            .prepare_cached("DELETE FROM resource WHERE kind=? AND project=? AND name=?")
            .and_then(|mut s| s.execute(params![key.kind, project, key.name.as_str()]))
            .map_err(sql)?;
        let say = text!("{key} deleted", "{key} 삭제됨");
        let data = serde_json::to_value(&old).map_err(Error::internal)?;
        self.append(NewEvent::new("resource.deleted", actor, say).subject(key.clone()).data(data))?;
        Ok(old)
    }

    fn save(
        &mut self,
        mut r: Resource,
        verb: &str,
        actor: Principal,
        say: Text,
    ) -> Result<Resource> {
        r.revision = self.head.seq + 1;
        r.updated = self.now();
        let project = r.key.project.as_ref().map_or("", |p| p.as_str());
        let words = |v: &Value| v.to_string();
        let labels = serde_json::to_string(&r.labels).map_err(Error::internal)?;
        self.conn
            .prepare_cached("INSERT OR REPLACE INTO resource VALUES (?,?,?,?,?,?,?,?,?,?,?)")
            .and_then(|mut s| {
                s.execute(params![
                    r.key.kind,
                    project,
                    r.key.name.as_str(),
                    r.uid.as_str(),
                    r.revision.cast_signed(),
                    r.generation.cast_signed(),
                    labels,
                    r.created.0,
                    r.updated.0,
                    words(&r.spec),
                    words(&r.status)
                ])
            })
            .map_err(sql)?;
        let key = &r.key;
        let say = Text::new(format!("{key} {}", say.en), format!("{key} {}", say.ko));
        let data = serde_json::to_value(&r).map_err(Error::internal)?;
        self.append(NewEvent::new(verb, actor, say).subject(r.key.clone()).data(data))?;
        Ok(r)
    }

    /// Sets a value in a part's own `space`. Spaces are named `<part>.<what>`; keys sort as text.
    pub fn set_row(&mut self, space: &str, key: &str, value: &impl Serialize) -> Result<()> {
        let words = serde_json::to_string(value).map_err(Error::internal)?;
        self.conn
            .prepare_cached("INSERT OR REPLACE INTO row VALUES (?,?,?)")
            .and_then(|mut s| s.execute(params![space, key, words]))
            .map_err(sql)?;
        Ok(())
    }

    /// Lets go of the journal's entries up to `through`, which stays as what the next is linked to: how many
    /// are no longer part of it. [`Tx::sweep_journal`] takes their room back.
    pub fn trim_journal(&mut self, through: u64) -> Result<u64> {
        if through >= self.head.seq {
            return Ok(0);
        }
        crate::chain::rebase(self.conn, through)
    }

    /// Deletes entries that were let go, at most `limit`: how many.
    pub fn sweep_journal(&mut self, limit: usize) -> Result<usize> {
        crate::chain::sweep(self.conn, limit)
    }

    /// Whether there was one.
    pub fn delete_row(&mut self, space: &str, key: &str) -> Result<bool> {
        let gone = self
            .conn
            .prepare_cached("DELETE FROM row WHERE space=? AND key=?")
            .and_then(|mut s| s.execute(params![space, key]))
            .map_err(sql)?;
        Ok(gone > 0)
    }
}

fn decode(hex: &str) -> Result<journal::Hash> {
    let mut out = [0_u8; 32];
    for (i, byte) in out.iter_mut().enumerate() {
        let pair = hex.get(2 * i..2 * i + 2).unwrap_or("");
        *byte = u8::from_str_radix(pair, 16).map_err(Error::internal)?;
    }
    Ok(out)
}

/// The error for a resource that is not there.
pub(crate) fn unknown(key: &Key) -> Error {
    Error::not_found("resource.unknown", text!("there is no {key}", "{key}이(가) 없습니다"))
}

fn stale(key: &Key, expected: u64, found: u64) -> Error {
    if expected == 0 {
        return Error::conflict(
            "resource.exists",
            text!("{key} already exists", "{key}이(가) 이미 있습니다"),
        );
    }
    Error::conflict(
        "resource.changed",
        text!(
            "{key} has changed since revision {expected}: it is at {found}",
            "{key}이(가) 리비전 {expected} 이후 바뀌었습니다. 지금은 {found}입니다"
        ),
    )
    .hint(Text::fixed("read it again and repeat the edit", "다시 읽은 뒤 편집을 반복하세요"))
}

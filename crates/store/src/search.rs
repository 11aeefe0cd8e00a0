//! Looking into the journal: who, what, when, from where. By indexes, page by page, newest first.

use crate::error::sql;
use crate::{View, chain, journal};
use kernel::{Event, Name, Result, Time};
use rusqlite::types::Value;
use rusqlite::{OptionalExtension, params_from_iter};

/// Kinds that one search may name.
const KINDS: usize = 64;
/// How far clocks may have been set back for [`Search::from`] and [`Search::until`] to stay exact.
const STEP: i64 = 3_600_000;

/// What to look for. Empty fields do not restrict.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Search {
    /// A principal as it is written: `user:ann`, `naru:account`, `anonymous`.
    pub actor: Option<String>,
    /// Kinds (`git.pushed`) or prefixes that end in a dot (`secret.`); any of them.
    pub kinds: Vec<String>,
    pub project: Option<Name>,
    /// `Kind/project/name` or `Kind/name`.
    pub subject: Option<String>,
    /// An IP address, whole.
    pub address: Option<String>,
    /// From this moment on.
    pub from: Option<Time>,
    /// Before this moment.
    pub until: Option<Time>,
}

/// What one query reads.
struct Clause {
    words: String,
    args: Vec<Value>,
}

impl Clause {
    fn and(&mut self, words: &str, value: impl Into<Value>) {
        self.words.push_str(" AND ");
        self.words.push_str(words);
        self.args.push(value.into());
    }
}

impl View<'_> {
    /// Events before `seq` that match, newest first. `u64::MAX` starts at the end.
    ///
    /// # Errors
    /// The store's.
    pub fn search(&self, before: u64, limit: usize, search: &Search) -> Result<Vec<Event>> {
        let kinds = self.kinds(&search.kinds)?;
        if !search.kinds.is_empty() && kinds.is_empty() {
            return Ok(Vec::new());
        }
        let mut found = Vec::new();
        // Each kind has its own stretch of the index, in order: the newest of all are among the newest of each.
        let by_kind =
            search.actor.is_none() && search.subject.is_none() && search.address.is_none();
        if by_kind && !kinds.is_empty() {
            for kind in &kinds {
                found.extend(self.page(before, limit, search, std::slice::from_ref(kind), true)?);
            }
            found.sort_by_key(|e: &Event| std::cmp::Reverse(e.seq));
            found.truncate(limit);
        } else {
            found = self.page(before, limit, search, &kinds, false)?;
        }
        Ok(found)
    }

    fn page(
        &self,
        before: u64,
        limit: usize,
        search: &Search,
        kinds: &[String],
        by_kind: bool,
    ) -> Result<Vec<Event>> {
        let mut clause = Clause { words: "seq < ?".into(), args: Vec::new() };
        clause.args.push(i64::try_from(before).unwrap_or(i64::MAX).into());
        clause.and("seq > ?", chain::base(self.conn)?.seq.cast_signed());
        self.bound_time(&mut clause, search)?;
        if let Some(actor) = &search.actor {
            clause.and("actor = ?", actor.clone());
        }
        if let Some(subject) = &search.subject {
            clause.and("subject <> '' AND subject = ?", subject.clone());
        }
        if let Some(address) = &search.address {
            clause.and("address <> '' AND address = ?", address.clone());
        }
        // One index serves; where another is better, `+` keeps the planner from these.
        let narrow = search.actor.is_some() || search.subject.is_some() || search.address.is_some();
        if let Some(project) = &search.project {
            let column = if narrow || by_kind { "+project = ?" } else { "project = ?" };
            clause.and(column, project.to_string());
        }
        if by_kind {
            clause.and("kind = ?", kinds.first().cloned().unwrap_or_default());
        } else if !kinds.is_empty() {
            let marks = vec!["?"; kinds.len()].join(",");
            clause.words.push_str(&format!(" AND +kind IN ({marks})"));
            clause.args.extend(kinds.iter().map(|k| Value::from(k.clone())));
        }
        clause.args.push(i64::try_from(limit).unwrap_or(i64::MAX).into());
        let words = clause.words;
        let query = format!(
            "SELECT seq, time, body, hash FROM journal WHERE {words} ORDER BY seq DESC LIMIT ?"
        );
        let mut statement = self.conn.prepare_cached(&query).map_err(sql)?;
        let rows =
            statement.query_map(params_from_iter(clause.args), journal::read).map_err(sql)?;
        rows.map(|row| row.map_err(sql)).collect()
    }

    /// Times say which entries; the index of times says where to begin and end, so that a narrow time is not
    /// looked for in all the rest.
    fn bound_time(&self, clause: &mut Clause, search: &Search) -> Result<()> {
        if let Some(from) = search.from {
            clause.and("+time >= ?", from.0);
            let query = "SELECT seq FROM journal WHERE time >= ? ORDER BY time, seq LIMIT 1";
            let first = self.edge(query, from.0.saturating_sub(STEP))?;
            clause.and("seq >= ?", first.unwrap_or(i64::MAX));
        }
        if let Some(until) = search.until {
            clause.and("+time < ?", until.0);
            let query =
                "SELECT seq FROM journal WHERE time < ? ORDER BY time DESC, seq DESC LIMIT 1";
            let last = self.edge(query, until.0.saturating_add(STEP))?;
            clause.and("seq <= ?", last.unwrap_or(-1));
        }
        Ok(())
    }

    fn edge(&self, query: &str, time: i64) -> Result<Option<i64>> {
        self.conn
            .prepare_cached(query)
            .and_then(|mut s| s.query_row([time], |r| r.get(0)).optional())
            .map_err(sql)
    }

    /// The kinds that occur among those that were named: prefixes written out by hopping along the index.
    fn kinds(&self, named: &[String]) -> Result<Vec<String>> {
        let mut kinds = Vec::new();
        for name in named {
            if !name.ends_with('.') {
                kinds.push(name.clone());
                continue;
            }
            let mut after = name.clone();
            while kinds.len() < KINDS
                && let Some(next) = self.next_kind(&after)?.filter(|k| k.starts_with(name.as_str()))
            {
                after.clone_from(&next);
                kinds.push(next);
            }
        }
        kinds.sort_unstable();
        kinds.dedup();
        kinds.truncate(KINDS);
        Ok(kinds)
    }

    fn next_kind(&self, after: &str) -> Result<Option<String>> {
        self.conn
            .prepare_cached("SELECT kind FROM journal WHERE kind > ? ORDER BY kind LIMIT 1")
            .and_then(|mut s| s.query_row([after], |r| r.get(0)).optional())
            .map_err(sql)
    }
}

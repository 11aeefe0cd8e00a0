//! The tables, and how those of an older naru become them.

use crate::error::sql;
use kernel::{Error, Result, Text};
use rusqlite::Connection;

/// The layout's number. Raise it with a step in [`STEPS`].
const LAYOUT: i64 = 2;

/// What makes each layout of the one before, the first of nothing.
const STEPS: [&str; 2] = [
    "CREATE TABLE resource (
         kind TEXT NOT NULL, project TEXT NOT NULL, name TEXT NOT NULL, uid TEXT NOT NULL,
         revision INTEGER NOT NULL, generation INTEGER NOT NULL, labels TEXT NOT NULL,
         created INTEGER NOT NULL, updated INTEGER NOT NULL, spec TEXT NOT NULL, status TEXT NOT NULL,
         PRIMARY KEY (kind, project, name)) WITHOUT ROWID;
     CREATE TABLE journal (
         seq INTEGER PRIMARY KEY, time INTEGER NOT NULL, kind TEXT NOT NULL, project TEXT NOT NULL,
         change TEXT NOT NULL, subject TEXT NOT NULL, body TEXT NOT NULL, hash BLOB NOT NULL);
     CREATE INDEX journal_change ON journal (project, change, seq) WHERE change <> '';
     CREATE INDEX journal_subject ON journal (subject, seq) WHERE subject <> '';
     CREATE TABLE row (
         space TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL,
         PRIMARY KEY (space, key)) WITHOUT ROWID;",
    // Who and where from, so that both can be searched for; and where the chain begins. Bodies, which are what
    // is hashed, stay as they are.
    "ALTER TABLE journal ADD COLUMN actor TEXT NOT NULL DEFAULT '';
     ALTER TABLE journal ADD COLUMN address TEXT NOT NULL DEFAULT '';
     UPDATE journal SET actor = CASE body ->> '$.actor.type'
         WHEN 'anonymous' THEN 'anonymous'
         WHEN 'part' THEN 'naru:' || (body ->> '$.actor.name')
         ELSE (body ->> '$.actor.type') || ':' || (body ->> '$.actor.name') END;
     UPDATE journal SET address = body ->> '$.origin.address'
         WHERE body ->> '$.origin.address' IS NOT NULL;
     CREATE INDEX journal_actor ON journal (actor, seq);
     CREATE INDEX journal_kind ON journal (kind, seq);
     CREATE INDEX journal_project ON journal (project, seq) WHERE project <> '';
     CREATE INDEX journal_address ON journal (address, seq) WHERE address <> '';
     CREATE INDEX journal_time ON journal (time, seq);
     CREATE TABLE journal_base (seq INTEGER NOT NULL, hash BLOB NOT NULL);",
];

/// # Errors
/// `store.newer`; internal when the file is not a store.
pub(crate) fn create(conn: &mut Connection) -> Result<()> {
    let found: i64 = conn.query_row("PRAGMA user_version", [], |r| r.get(0)).map_err(sql)?;
    let Some(steps) = usize::try_from(found).ok().and_then(|done| STEPS.get(done..)) else {
        return Err(newer(found));
    };
    if steps.is_empty() {
        return Ok(());
    }
    let tx = conn.transaction().map_err(sql)?;
    for step in steps {
        tx.execute_batch(step).map_err(sql)?;
    }
    tx.pragma_update(None, "user_version", LAYOUT).map_err(sql)?;
    tx.commit().map_err(sql)
}

fn newer(found: i64) -> Error {
    Error::conflict(
        "store.newer",
        Text::fixed("this data was written by a newer naru", "더 새로운 naru가 쓴 데이터입니다"),
    )
    .hint(Text::fixed(
        "start that version, or restore a backup",
        "그 버전으로 시작하거나 백업을 복원하세요",
    ))
    .why(format!("layout {found}, this naru knows {LAYOUT}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_of_the_first_layout_gets_its_columns_and_keeps_its_chain() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("naru.db");
        let conn = Connection::open(&path).unwrap();
        conn.execute_batch(STEPS[0]).unwrap();
        conn.pragma_update(None, "user_version", 1).unwrap();
        let mut before = [0; 32];
        for (seq, actor) in [
            (1, r#"{"type":"user","name":"ann"}"#),
            (2, r#"{"type":"anonymous"}"#),
            (3, r#"{"type":"part","name":"git"}"#),
        ] {
            let body =
                format!(r#"{{"kind":"test.old","actor":{actor},"say":{{"en":"a","ko":"b"}}}}"#);
            before = crate::chain::link(&before, seq, kernel::Time(5), &body);
            conn.execute(
                "INSERT INTO journal VALUES (?, 5, 'test.old', '', '', '', ?, ?)",
                rusqlite::params![seq as i64, body, before],
            )
            .unwrap();
        }
        drop(conn);
        let store = crate::Store::open(&path, crate::Options::default()).unwrap();
        let verified = crate::chain::verify(&path).unwrap();
        assert_eq!((verified.entries, store.head()), (3, 3));
        let conn = Connection::open(&path).unwrap();
        let mut actors = conn.prepare("SELECT actor FROM journal ORDER BY seq").unwrap();
        let actors: Vec<String> =
            actors.query_map([], |r| r.get(0)).unwrap().map(Result::unwrap).collect();
        assert_eq!(actors, ["user:ann", "anonymous", "naru:git"]);
    }
}

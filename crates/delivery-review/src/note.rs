//! Comments: threads on the whole, or on a line of the diff.

use crate::error;
use crate::kind::WORDS;
use kernel::diff::Difference;
use kernel::{Name, Principal, Result, Time};
use serde::{Deserialize, Serialize};
use store::{Tx, View};

/// [`Thread`] by `<project>/<number>/<id>`.
const SPACE: &str = "delivery-review.thread";
/// Threads of one merge request.
const THREADS: usize = 1_000;
/// Answers in one thread.
const REPLIES: usize = 200;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// A line as it was, in the base.
    Old,
    New,
}

/// A line of the diff, as it was when somebody spoke of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Anchor {
    /// The head then.
    pub commit: String,
    pub path: String,
    pub side: Side,
    /// From 1.
    pub line: usize,
    /// What was in it.
    pub text: String,
}

impl Anchor {
    /// Whether the diff still has the line, at the same place and with the same words.
    pub fn holds(&self, diff: &Difference) -> bool {
        find(diff, &self.path, self.side, self.line).is_some_and(|text| text == self.text)
    }
}

/// The words of a line of the diff.
pub(crate) fn find<'d>(diff: &'d Difference, path: &str, side: Side, at: usize) -> Option<&'d str> {
    let file = diff.files.iter().find(|f| f.path == path)?;
    let number = |l: &kernel::diff::DiffLine| match side {
        Side::Old => l.before,
        Side::New => l.after,
    };
    let mut lines = file.hunks.iter().flat_map(|h| &h.lines);
    lines.find(|l| number(l) == Some(at)).map(|l| l.text.as_str())
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    pub by: Principal,
    pub at: Time,
    /// Markdown.
    pub body: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Thread {
    pub id: String,
    /// `None`: about the whole.
    pub anchor: Option<Anchor>,
    /// In order, at least one.
    pub notes: Vec<Note>,
    /// Who settled it.
    pub resolved: Option<(Principal, Time)>,
}

fn prefix(project: &Name, number: u64) -> String {
    format!("{project}/{number:010}/")
}

/// All threads, oldest first.
pub(crate) fn all(view: &View<'_>, project: &Name, number: u64) -> Result<Vec<Thread>> {
    let rows = view.rows::<Thread>(SPACE, &prefix(project, number), None, THREADS)?;
    Ok(rows.into_iter().map(|(_, thread)| thread).collect())
}

/// Begins a thread, or answers in one.
pub(crate) fn add(
    tx: &mut Tx<'_>,
    (project, number): (&Name, u64),
    thread: Option<&str>,
    anchor: Option<Anchor>,
    (by, body): (Principal, &str),
) -> Result<Thread> {
    if body.trim().is_empty() {
        return Err(error::empty());
    }
    if body.len() > WORDS {
        return Err(error::long());
    }
    let note = Note { by, at: tx.now(), body: body.to_owned() };
    let mut found = match thread {
        Some(id) => one(tx, project, number, id)?,
        None => {
            let rows =
                tx.rows::<serde::de::IgnoredAny>(SPACE, &prefix(project, number), None, THREADS)?;
            if rows.len() >= THREADS {
                return Err(error::full());
            }
            let id = tx.id()?.to_string();
            Thread { id, anchor, notes: Vec::new(), resolved: None }
        }
    };
    if found.notes.len() >= REPLIES {
        return Err(error::full());
    }
    found.notes.push(note);
    save(tx, project, number, &found)?;
    Ok(found)
}

pub(crate) fn one(view: &View<'_>, project: &Name, number: u64, id: &str) -> Result<Thread> {
    view.row(SPACE, &format!("{}{id}", prefix(project, number)))?.ok_or_else(error::no_thread)
}

pub(crate) fn save(tx: &mut Tx<'_>, project: &Name, number: u64, thread: &Thread) -> Result<()> {
    tx.set_row(SPACE, &format!("{}{}", prefix(project, number), thread.id), thread)
}

/// Threads that nobody has resolved, of those that can be; and comments in all.
pub(crate) fn count(threads: &[Thread]) -> (usize, usize) {
    let open = |t: &&Thread| t.anchor.is_some() && t.resolved.is_none();
    (threads.iter().filter(open).count(), threads.iter().map(|t| t.notes.len()).sum())
}

/// Forgets all of a project, or of one merge request.
pub(crate) fn forget(tx: &mut Tx<'_>, project: &Name, number: u64) -> Result<()> {
    for thread in all(tx, project, number)? {
        tx.delete_row(SPACE, &format!("{}{}", prefix(project, number), thread.id))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::diff::{DiffLine, FileDiff, Hunk, LineKind, Status};

    fn diff(text: &str) -> Difference {
        let line =
            DiffLine { kind: LineKind::Added, before: None, after: Some(3), text: text.to_owned() };
        let file = FileDiff {
            path: "a.py".into(),
            from: None,
            status: Status::Modified,
            modes: (0o100_644, 0o100_644),
            added: 1,
            removed: 0,
            binary: false,
            too_large: false,
            hunks: vec![Hunk { lines: vec![line] }],
        };
        Difference { files: vec![file], added: 1, removed: 0, truncated: false }
    }

    #[test]
    fn a_comment_is_outdated_when_its_line_is_another() {
        let anchor = Anchor {
            commit: "c".into(),
            path: "a.py".into(),
            side: Side::New,
            line: 3,
            text: "x = 1".into(),
        };
        assert!(anchor.holds(&diff("x = 1")));
        assert!(!anchor.holds(&diff("x = 2")));
        assert!(!Anchor { side: Side::Old, ..anchor.clone() }.holds(&diff("x = 1")));
        assert!(!Anchor { path: "b.py".into(), ..anchor }.holds(&diff("x = 1")));
    }
}

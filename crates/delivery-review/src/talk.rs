//! What people say of merge requests: comments on the whole, on lines, in threads that are settled.

use crate::note::{self, Anchor, Side, Thread};
use crate::record::Record;
use crate::{Reviews, error};
use kernel::{Name, Principal, Result, text};
use serde::{Deserialize, Serialize};
use serde_json::json;
use store::{Tx, View};

/// A comment.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Say {
    pub body: String,
    /// The thread that it answers.
    pub thread: Option<String>,
    /// A line of the diff: all three, or none.
    pub path: Option<String>,
    pub line: Option<usize>,
    pub side: Option<Side>,
}

impl Reviews {
    /// Comments on the whole, on a line of the diff, or in a thread.
    pub(crate) async fn comment(
        &self,
        project: &Name,
        number: u64,
        say: Say,
        who: Principal,
    ) -> Result<Thread> {
        let anchor = self.anchor(project, number, &say).await?;
        let project = project.clone();
        let write = move |tx: &mut Tx<'_>| {
            let mut record = Record::need(tx, &project, number)?;
            let thread = note::add(
                tx,
                (&project, number),
                say.thread.as_deref(),
                anchor,
                (who.clone(), &say.body),
            )?;
            count(tx, &mut record)?;
            let place = thread.anchor.as_ref().map(|a| format!("{}:{}", a.path, a.line));
            let words = text!(
                "{who} commented on merge request !{number}",
                "{who}이(가) 머지 요청 !{number}에 댓글을 남김"
            );
            let data = json!({ "thread": thread.id, "place": place });
            record.tell(tx, "merge_request.commented", who, words, data)?;
            Ok(thread)
        };
        self.options.store.write(write).await
    }

    /// The line that a comment is about, which has to be part of the diff.
    async fn anchor(&self, project: &Name, number: u64, say: &Say) -> Result<Option<Anchor>> {
        let (Some(path), Some(line)) = (&say.path, say.line) else { return Ok(None) };
        let record = self.need(project, number).await?;
        let side = say.side.unwrap_or(Side::New);
        let (Some(base), Some(head)) = (&record.status.base, &record.status.head) else {
            return Err(error::no_line());
        };
        let repository = &record.spec.repository;
        let diff = self.options.branches.difference(project, repository, base, head).await?;
        let text = note::find(&diff, path, side, line).ok_or_else(error::no_line)?;
        let text: String = text.chars().take(1000).collect();
        Ok(Some(Anchor { commit: head.clone(), path: path.clone(), side, line, text }))
    }

    /// Settles a thread, or opens it again.
    pub(crate) async fn resolve(
        &self,
        project: &Name,
        number: u64,
        (thread, resolved): (String, bool),
        who: Principal,
    ) -> Result<Record> {
        let project = project.clone();
        let write = move |tx: &mut Tx<'_>| {
            let mut record = Record::need(tx, &project, number)?;
            let mut found = note::one(tx, &project, number, &thread)?;
            if found.resolved.is_some() == resolved {
                return Ok(record);
            }
            found.resolved = resolved.then(|| (who.clone(), tx.now()));
            note::save(tx, &project, number, &found)?;
            count(tx, &mut record)?;
            let (kind, say) = match resolved {
                true => (
                    "merge_request.resolved",
                    text!(
                        "{who} resolved a thread of merge request !{number}",
                        "{who}이(가) 머지 요청 !{number}의 스레드를 해결함"
                    ),
                ),
                false => (
                    "merge_request.unresolved",
                    text!(
                        "{who} opened a thread of merge request !{number} again",
                        "{who}이(가) 머지 요청 !{number}의 스레드를 다시 엶"
                    ),
                ),
            };
            record.tell(tx, kind, who, say, json!({ "thread": thread }))?;
            Ok(record)
        };
        self.options.store.write(write).await
    }
}

fn count(tx: &mut Tx<'_>, record: &mut Record) -> Result<()> {
    let view: &View<'_> = tx;
    let threads = note::all(view, &record.project, record.number)?;
    (record.status.unresolved, record.status.comments) = note::count(&threads);
    record.save(tx)
}

//! Refs as they were last pushed, so that a pipeline can be started on one by hand.

use crate::left;
use kernel::journey::{Commit, Pushed};
use kernel::{Name, Result};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use store::{Tx, View};

/// [`Tip`] by `<project>/<repository>/<refname>`.
const TIPS: &str = "delivery-pipeline.tip";
/// Refs forgotten together.
const PAGE: usize = 1_000;

/// A ref, as it was last pushed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Tip {
    pub project: Name,
    pub repository: Name,
    pub refname: String,
    pub branch: Option<String>,
    pub default_branch: bool,
    pub before: Option<String>,
    pub commit: Commit,
    pub change: Option<Name>,
    /// The position of its push in the journal.
    #[serde(default)]
    pub seq: u64,
}

impl Tip {
    /// `None` for a deleted ref, and for refs that are neither branches nor tags.
    pub fn of(event: &kernel::Event, pushed: &Pushed) -> Option<Tip> {
        let is_tag = pushed.refname.starts_with("refs/tags/");
        pushed.after.as_ref()?;
        (pushed.branch.is_some() || is_tag).then_some(())?;
        Some(Tip {
            project: event.fact.project.clone()?,
            repository: pushed.repository.clone(),
            refname: pushed.refname.clone(),
            branch: pushed.branch.clone(),
            default_branch: pushed.default_branch,
            before: pushed.before.clone(),
            commit: pushed.head.clone()?,
            change: event.fact.change.clone(),
            seq: event.seq,
        })
    }

    pub fn tag(&self) -> Option<String> {
        self.refname.strip_prefix("refs/tags/").map(str::to_owned)
    }

    /// The name of the branch or tag.
    pub fn short(&self) -> &str {
        let name = self.refname.strip_prefix("refs/heads/");
        name.or_else(|| self.refname.strip_prefix("refs/tags/")).unwrap_or(&self.refname)
    }

    /// `<project>/<repository>/<refname>`
    pub fn key(&self) -> String {
        format!("{}/{}/{}", self.project, self.repository, self.refname)
    }

    /// Unless a later push is known already.
    pub fn remember(&self, tx: &mut Tx<'_>) -> Result<()> {
        match tx.row::<Tip>(TIPS, &self.key())? {
            Some(known) if known.seq > self.seq => Ok(()),
            _ => tx.set_row(TIPS, &self.key(), self),
        }
    }
}

/// Forgets a ref that the event `seq` of the journal deleted.
pub fn forget(tx: &mut Tx<'_>, project: &Name, pushed: &Pushed, seq: u64) -> Result<()> {
    let key = format!("{project}/{}/{}", pushed.repository, pushed.refname);
    if tx.row::<Tip>(TIPS, &key)?.is_some_and(|known| known.seq > seq) {
        return Ok(());
    }
    tx.delete_row(TIPS, &key)?;
    left::forget(tx, project, &pushed.repository, &pushed.refname)
}

/// Forgets all refs of a repository.
pub fn forget_all(tx: &mut Tx<'_>, project: &Name, repository: &Name) -> Result<()> {
    let prefix = format!("{project}/{repository}/");
    loop {
        let page = tx.rows::<IgnoredAny>(TIPS, &prefix, None, PAGE)?;
        for (key, _) in &page {
            tx.delete_row(TIPS, key)?;
        }
        if page.len() < PAGE {
            return left::forget(tx, project, repository, "");
        }
    }
}

/// The tip of the default branch, as it was last pushed.
pub fn default(view: &View<'_>, project: &Name, repository: &Name) -> Result<Option<Tip>> {
    let prefix = format!("{project}/{repository}/refs/heads/");
    let mut after: Option<String> = None;
    loop {
        let page = view.rows::<Tip>(TIPS, &prefix, after.as_deref(), PAGE)?;
        let (full, last) = (page.len() == PAGE, page.last().map(|(key, _)| key.clone()));
        if let Some((_, tip)) = page.into_iter().find(|(_, tip)| tip.default_branch) {
            return Ok(Some(tip));
        }
        if !full {
            return Ok(None);
        }
        after = last;
    }
}

/// The branch or tag of that name, or the ref.
pub fn find(view: &View<'_>, project: &Name, repository: &Name, name: &str) -> Result<Option<Tip>> {
    for refname in [name.to_owned(), format!("refs/heads/{name}"), format!("refs/tags/{name}")] {
        if let Some(tip) = view.row(TIPS, &format!("{project}/{repository}/{refname}"))? {
            return Ok(Some(tip));
        }
    }
    Ok(None)
}

/// Names and commits of at most `limit` tags.
pub fn tags(
    view: &View<'_>,
    project: &Name,
    repository: &Name,
    limit: usize,
) -> Result<Vec<(String, String)>> {
    let prefix = format!("{project}/{repository}/refs/tags/");
    let rows = view.rows::<Tip>(TIPS, &prefix, None, limit)?;
    Ok(rows.into_iter().filter_map(|(_, tip)| Some((tip.tag()?, tip.commit.id))).collect())
}

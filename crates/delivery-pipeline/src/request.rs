//! Pipelines of merge requests, and which are open for a branch.
//!
//! They are detached: of the source's head, not of what merging would make. They come in the lane of their
//! project's pushes, so a push finds the merge requests that were opened before it.

use crate::Parts;
use crate::create::{Asked, Beside};
use crate::gitlab::{MergeRequest, Origin, Side};
use crate::prepare::Made;
use crate::tip::Tip;
use kernel::journey::{
    Fact, MergeRequestClosed, MergeRequestHead, MergeRequestMerged, MergeRequestOpened,
    MergeRequestUpdated, PipelineSkipped,
};
use kernel::{Event, Name, Principal, Result, Text, text};
use store::{Tx, View};

/// Open merge requests: target branches by `<project>/<repository>/<source>:<number>`. No branch has a colon.
const OPEN: &str = "delivery-pipeline.merge-request";
/// As many as jobs learn of.
const NAMED: usize = 4;

/// What an event says of a merge request.
pub(crate) enum Said {
    Head(Box<MergeRequestHead>),
    Over { repository: Name, source: String, number: u64 },
}

impl Said {
    pub fn of(event: &Event) -> Option<Said> {
        let head = MergeRequestOpened::of(event).map(|f| f.0);
        if let Some(head) = head.or_else(|| MergeRequestUpdated::of(event).map(|f| f.0)) {
            return Some(Said::Head(Box::new(head)));
        }
        if let Some(MergeRequestClosed { repository, source, number, .. }) =
            MergeRequestClosed::of(event)
        {
            return Some(Said::Over { repository, source, number });
        }
        let MergeRequestMerged { repository, source, number, .. } = MergeRequestMerged::of(event)?;
        Some(Said::Over { repository, source, number })
    }

    /// Whether events of this kind say something, without a look inside.
    pub fn is(kind: &str) -> bool {
        [
            MergeRequestOpened::KIND,
            MergeRequestUpdated::KIND,
            MergeRequestClosed::KIND,
            MergeRequestMerged::KIND,
        ]
        .contains(&kind)
    }

    pub fn remember(&self, tx: &mut Tx<'_>, project: &Name) -> Result<()> {
        match self {
            Said::Head(h) => {
                tx.set_row(OPEN, &row(project, &h.repository, &h.source, h.number), &h.target)
            }
            Said::Over { repository, source, number } => {
                tx.delete_row(OPEN, &row(project, repository, source, *number)).map(drop)
            }
        }
    }
}

fn row(project: &Name, repository: &Name, source: &str, number: u64) -> String {
    format!("{project}/{repository}/{source}:{number:010}")
}

/// `project/repository!1` of those that are open for a branch.
pub(crate) fn open(
    view: &View<'_>,
    project: &Name,
    repository: &Name,
    branch: &str,
) -> Result<Vec<String>> {
    let prefix = format!("{project}/{repository}/{branch}:");
    let rows = view.rows::<String>(OPEN, &prefix, None, NAMED)?;
    let number = |key: &str| key.rsplit_once(':')?.1.parse::<u64>().ok();
    let numbers = rows.iter().filter_map(|(key, _)| number(key));
    Ok(numbers.map(|number| format!("{project}/{repository}!{number}")).collect())
}

/// What is asked for when a merge request was opened or has a new head.
pub(crate) async fn asked(
    parts: &Parts,
    event: &Event,
    project: &Name,
    head: MergeRequestHead,
) -> Asked {
    let path = format!("{project}/{}", head.repository);
    let target_is_default = is_default(parts, project, &head).await;
    let side = |branch: &str, commit: &str, protected| Side {
        path: path.clone(),
        branch: branch.to_owned(),
        commit: Some(commit.to_owned()),
        protected,
    };
    let refname = format!("refs/merge-requests/{}/head", head.number);
    let merge_request = MergeRequest {
        id: head.number,
        number: head.number,
        title: head.title,
        description: head.description,
        labels: head.labels,
        assignees: head.assignees,
        draft: head.draft,
        approved: head.approved,
        refname: refname.clone(),
        event: "detached".to_owned(),
        source: side(&head.source, &head.head.id, false),
        target: side(&head.target, &head.target_commit, target_is_default),
        base: head.base.clone(),
    };
    Asked {
        given: crate::sync::given(&head.options),
        tip: Tip {
            project: project.clone(),
            repository: head.repository,
            refname,
            branch: Some(head.source),
            // Whatever is protected stays out of its reach: it is not merged yet.
            default_branch: false,
            // `changes` is about what merging would bring.
            before: head.base,
            commit: head.head,
            change: event.fact.change.clone(),
            seq: event.seq,
        },
        origin: Origin::MergeRequest,
        actor: event.fact.actor.clone(),
        made: Made { inputs: crate::sync::inputs(&head.options), ..Made::default() },
        beside: Beside { merge_request: Some(merge_request), ..Beside::default() },
    }
}

/// Tells that a merge request has no pipeline of its own.
pub(crate) fn skipped(tx: &mut Tx<'_>, asked: &Asked, number: u64, reason: Text) -> Result<()> {
    let Text { en, ko } = &reason;
    let say = text!(
        "merge request !{number} has no pipeline of its own: {en}",
        "머지 요청 !{number}에는 자체 파이프라인이 없습니다: {ko}"
    );
    let (repository, commit) = (asked.tip.repository.clone(), asked.tip.commit.id.clone());
    let fact = PipelineSkipped { repository, number, commit, reason };
    let event = fact.event(Principal::part("delivery-pipeline"), say)?;
    tx.append(event.project(&asked.tip.project)).map(drop)
}

async fn is_default(parts: &Parts, project: &Name, head: &MergeRequestHead) -> bool {
    let (project, repository) = (project.clone(), head.repository.clone());
    let find = move |v: &View<'_>| crate::tip::default(v, &project, &repository);
    let tip = parts.store.read(find).await.ok().flatten();
    tip.is_some_and(|tip| tip.branch.as_deref() == Some(&*head.target))
}

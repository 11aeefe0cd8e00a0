//! Whether it can be merged: one decision, without IO.

use crate::kind::{Approval, MergeRequest, MergeRequestStatus, PipelineState, ReviewRules, State};
use kernel::port::JoinMethod;
use kernel::{Principal, Text, text};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// What the decision needs beside the request itself.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    /// The branches are there.
    pub source: bool,
    pub target: bool,
    /// Paths that conflict.
    pub conflicts: Vec<String>,
    /// Approvers who still have the right to approve.
    pub entitled: Vec<Principal>,
    /// Whoever would merge may merge into the target.
    pub may_merge: bool,
}

/// One thing that is in the way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "code")]
pub enum Blocker {
    NotOpen,
    Draft,
    SourceGone,
    TargetGone,
    /// The source has nothing that the target does not have.
    Nothing,
    Conflicts {
        paths: Vec<String>,
    },
    /// Only a fast-forward is wanted, and the target has commits of its own.
    Behind {
        commits: usize,
    },
    PipelineRunning,
    PipelineFailed,
    PipelineMissing,
    Approvals {
        missing: usize,
    },
    Threads {
        open: usize,
    },
    NotAllowed,
}

impl Blocker {
    /// Whether it may go away without a change to the branches or the request: then merging can wait for it.
    pub fn passes(&self) -> bool {
        matches!(
            self,
            Blocker::PipelineRunning
                | Blocker::PipelineMissing
                | Blocker::Approvals { .. }
                | Blocker::Threads { .. }
        )
    }

    /// What it is, as a clause.
    pub fn text(&self) -> Text {
        match self {
            Blocker::NotOpen => Text::fixed("it is not open", "열려 있지 않음"),
            Blocker::Draft => Text::fixed("it is a draft", "초안임"),
            Blocker::SourceGone => Text::fixed("its source branch is gone", "원본 브랜치가 없음"),
            Blocker::TargetGone => Text::fixed("its target branch is gone", "대상 브랜치가 없음"),
            Blocker::Nothing => Text::fixed("it brings nothing new", "대상에 없는 커밋이 없음"),
            Blocker::Conflicts { paths } => {
                let some: Vec<&str> = paths.iter().take(5).map(String::as_str).collect();
                let (some, count) = (some.join(", "), paths.len());
                if count > 5 {
                    text!("{count} files conflict: {some}, …", "파일 {count}개가 충돌함: {some}, …")
                } else {
                    text!("these conflict: {some}", "충돌함: {some}")
                }
            }
            Blocker::Behind { commits } => text!(
                "the target has {commits} commits that it lacks",
                "대상에만 있는 커밋이 {commits}개 있음"
            ),
            Blocker::PipelineRunning => {
                Text::fixed("its pipeline is running", "파이프라인이 실행 중임")
            }
            Blocker::PipelineFailed => {
                Text::fixed("its pipeline has not passed", "파이프라인이 통과하지 못함")
            }
            Blocker::PipelineMissing => Text::fixed("it has no pipeline", "파이프라인이 없음"),
            Blocker::Approvals { missing } => {
                text!("approvals that are missing: {missing}", "승인 {missing}개가 부족함")
            }
            Blocker::Threads { open } => {
                text!("threads that are not resolved: {open}", "해결되지 않은 스레드 {open}개")
            }
            Blocker::NotAllowed => Text::fixed(
                "you may not merge into the target branch",
                "대상 브랜치에 병합할 권한이 없음",
            ),
        }
    }

    /// What to do about it.
    pub fn todo(&self) -> Text {
        match self {
            Blocker::NotOpen => Text::fixed("reopen it", "다시 여세요"),
            Blocker::Draft => Text::fixed("mark it as ready", "준비됨으로 바꾸세요"),
            Blocker::SourceGone | Blocker::TargetGone => {
                Text::fixed("push the branch again", "브랜치를 다시 푸시하세요")
            }
            Blocker::Nothing => {
                Text::fixed("push commits, or close it", "커밋을 푸시하거나 닫으세요")
            }
            Blocker::Conflicts { .. } => Text::fixed(
                "merge the target into the source branch, solve the conflicts and push",
                "대상 브랜치를 원본 브랜치에 병합해 충돌을 해결하고 푸시하세요",
            ),
            Blocker::Behind { .. } => Text::fixed(
                "rebase the source branch onto the target and push",
                "원본 브랜치를 대상 위로 rebase 해서 푸시하세요",
            ),
            Blocker::PipelineRunning => Text::fixed(
                "wait, or let it merge when the pipeline succeeds",
                "기다리거나 파이프라인 성공 시 병합을 켜세요",
            ),
            Blocker::PipelineFailed => Text::fixed(
                "mend it and push, or retry its pipeline",
                "고쳐서 푸시하거나 파이프라인을 재시도하세요",
            ),
            Blocker::PipelineMissing => Text::fixed(
                "give the commit a pipeline with jobs for it",
                "커밋에 실행할 작업이 있는 파이프라인을 추가하세요",
            ),
            Blocker::Approvals { .. } => {
                Text::fixed("ask somebody to approve", "다른 사람에게 승인을 부탁하세요")
            }
            Blocker::Threads { .. } => {
                Text::fixed("answer and resolve them", "답하고 해결 처리하세요")
            }
            Blocker::NotAllowed => Text::fixed(
                "ask somebody who may: `naru policy who-can` tells",
                "권한이 있는 사람에게 부탁하세요. `naru policy who-can`으로 찾을 수 있습니다",
            ),
        }
    }
}

/// Approvals that count: of different people other than the author, who may approve; of this head, unless they
/// are to outlive it.
pub(crate) fn counted(
    spec: &MergeRequest,
    status: &MergeRequestStatus,
    rules: &ReviewRules,
    seen: &Seen,
) -> usize {
    let holds = |a: &&Approval| rules.keep_approvals || Some(&a.head) == status.head.as_ref();
    let of = status.approvals.iter().filter(holds).map(|a| &a.by);
    let counted = of.filter(|by| **by != spec.author && seen.entitled.contains(by));
    let names: BTreeSet<String> = counted.map(ToString::to_string).collect();
    names.len()
}

/// How it is merged.
pub(crate) fn method(spec: &MergeRequest, rules: &ReviewRules) -> JoinMethod {
    if spec.squash { JoinMethod::Squash } else { rules.method }
}

/// All that is in the way of merging, in the order in which somebody would deal with it; empty: nothing.
pub(crate) fn decide(
    spec: &MergeRequest,
    status: &MergeRequestStatus,
    rules: &ReviewRules,
    seen: &Seen,
) -> Vec<Blocker> {
    if status.state != State::Opened {
        return vec![Blocker::NotOpen];
    }
    let mut out = Vec::new();
    let mut when = |is: bool, blocker: Blocker| {
        if is {
            out.push(blocker);
        }
    };
    when(!seen.source, Blocker::SourceGone);
    when(!seen.target, Blocker::TargetGone);
    let both = seen.source && seen.target;
    when(both && status.ahead == 0, Blocker::Nothing);
    when(spec.draft, Blocker::Draft);
    when(!seen.conflicts.is_empty(), Blocker::Conflicts { paths: seen.conflicts.clone() });
    let forward = method(spec, rules) == JoinMethod::FastForward;
    let commits = status.behind;
    when(both && forward && commits > 0, Blocker::Behind { commits });
    match status.pipeline().map(|p| p.state) {
        Some(PipelineState::Running) => when(rules.pipeline_must_pass, Blocker::PipelineRunning),
        Some(PipelineState::Failed | PipelineState::Canceled) => {
            when(rules.pipeline_must_pass, Blocker::PipelineFailed);
        }
        Some(PipelineState::Passed) => {}
        // Nobody has said yet whether there is to be one.
        None if status.heard != status.head => {
            when(rules.pipeline_must_pass, Blocker::PipelineRunning);
        }
        None => when(rules.pipeline_required, Blocker::PipelineMissing),
    }
    let missing = (rules.approvals as usize).saturating_sub(counted(spec, status, rules, seen));
    when(missing > 0, Blocker::Approvals { missing });
    let open = status.unresolved;
    when(rules.threads_must_be_resolved && open > 0, Blocker::Threads { open });
    when(!seen.may_merge, Blocker::NotAllowed);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kind::Pipeline;
    use kernel::{Name, Time};

    fn user(name: &str) -> Principal {
        Principal::User(Name::parse(name).unwrap())
    }

    fn spec() -> MergeRequest {
        MergeRequest {
            repository: Name::parse("web").unwrap(),
            source: "topic".into(),
            target: "main".into(),
            title: "A topic".into(),
            description: String::new(),
            author: user("ann"),
            draft: false,
            labels: Vec::new(),
            assignees: Vec::new(),
            reviewers: Vec::new(),
            remove_source: false,
            squash: false,
        }
    }

    fn pipeline(detached: bool, commit: &str, state: PipelineState) -> Pipeline {
        Pipeline { run: None, commit: commit.into(), detached, state, reason: None, at: Time(0) }
    }

    fn status() -> MergeRequestStatus {
        let head = Some("h1".to_owned());
        MergeRequestStatus { heard: head.clone(), head, ahead: 1, ..MergeRequestStatus::default() }
    }

    fn seen() -> Seen {
        Seen {
            source: true,
            target: true,
            conflicts: Vec::new(),
            entitled: vec![user("bea"), user("cem"), user("ann")],
            may_merge: true,
        }
    }

    fn approved(by: &[&str]) -> MergeRequestStatus {
        let approval = |by: &&str| Approval { by: user(by), at: Time(0), head: "h1".into() };
        MergeRequestStatus { approvals: by.iter().map(approval).collect(), ..status() }
    }

    #[test]
    fn what_is_in_the_way() {
        type Case = (&'static str, fn() -> (MergeRequest, MergeRequestStatus, ReviewRules, Seen));
        let plain = || (spec(), status(), ReviewRules::default(), seen());
        assert_eq!(
            {
                let (a, b, c, d) = plain();
                decide(&a, &b, &c, &d)
            },
            [],
            "nothing is"
        );
        let cases: [(Case, Vec<Blocker>); 11] = [
            (
                ("closed", || {
                    let closed = MergeRequestStatus { state: State::Closed, ..status() };
                    (spec(), closed, ReviewRules::default(), seen())
                }),
                vec![Blocker::NotOpen],
            ),
            (
                ("draft", || {
                    (
                        MergeRequest { draft: true, ..spec() },
                        status(),
                        ReviewRules::default(),
                        seen(),
                    )
                }),
                vec![Blocker::Draft],
            ),
            (
                ("gone", || {
                    (spec(), status(), ReviewRules::default(), Seen { source: false, ..seen() })
                }),
                vec![Blocker::SourceGone],
            ),
            (
                ("nothing new", || {
                    let none = MergeRequestStatus { ahead: 0, ..status() };
                    (spec(), none, ReviewRules::default(), seen())
                }),
                vec![Blocker::Nothing],
            ),
            (
                ("conflict", || {
                    let seen = Seen { conflicts: vec!["a".into()], ..seen() };
                    (spec(), status(), ReviewRules::default(), seen)
                }),
                vec![Blocker::Conflicts { paths: vec!["a".into()] }],
            ),
            (
                ("behind, where only a fast-forward will do", || {
                    let behind = MergeRequestStatus { behind: 2, ..status() };
                    let rules =
                        ReviewRules { method: JoinMethod::FastForward, ..ReviewRules::default() };
                    (spec(), behind, rules, seen())
                }),
                vec![Blocker::Behind { commits: 2 }],
            ),
            (
                ("a running pipeline", || {
                    let pipelines = vec![pipeline(false, "h1", PipelineState::Running)];
                    let running = MergeRequestStatus { pipelines, ..status() };
                    (spec(), running, ReviewRules::default(), seen())
                }),
                vec![Blocker::PipelineRunning],
            ),
            (
                ("its own pipeline counts before the branch's", || {
                    let pipelines = vec![
                        pipeline(false, "h1", PipelineState::Passed),
                        pipeline(true, "h1", PipelineState::Failed),
                    ];
                    let failed = MergeRequestStatus { pipelines, ..status() };
                    (spec(), failed, ReviewRules::default(), seen())
                }),
                vec![Blocker::PipelineFailed],
            ),
            (
                ("another commit's pipeline is none", || {
                    let pipelines = vec![pipeline(true, "h0", PipelineState::Passed)];
                    let old = MergeRequestStatus { pipelines, ..status() };
                    let rules = ReviewRules { pipeline_required: true, ..ReviewRules::default() };
                    (spec(), old, rules, seen())
                }),
                vec![Blocker::PipelineMissing],
            ),
            (
                ("threads", || {
                    let open = MergeRequestStatus { unresolved: 2, ..status() };
                    let rules =
                        ReviewRules { threads_must_be_resolved: true, ..ReviewRules::default() };
                    (spec(), open, rules, seen())
                }),
                vec![Blocker::Threads { open: 2 }],
            ),
            (
                ("no right", || {
                    (spec(), status(), ReviewRules::default(), Seen { may_merge: false, ..seen() })
                }),
                vec![Blocker::NotAllowed],
            ),
        ];
        for ((name, make), wanted) in cases {
            let (spec, status, rules, seen) = make();
            assert_eq!(decide(&spec, &status, &rules, &seen), wanted, "{name}");
        }
    }

    #[test]
    fn approvals_count_once_for_each_person_who_may_and_is_not_the_author() {
        let rules = ReviewRules { approvals: 2, ..ReviewRules::default() };
        for (by, missing) in [
            (&["bea", "cem"][..], 0),
            (&["bea", "bea"], 1),
            (&["bea", "ann"], 1),
            (&["bea", "eve"], 1),
            (&[], 2),
        ] {
            let blockers = decide(&spec(), &approved(by), &rules, &seen());
            let wanted: Vec<Blocker> =
                (missing > 0).then_some(Blocker::Approvals { missing }).into_iter().collect();
            assert_eq!(blockers, wanted, "{by:?}");
        }
    }

    #[test]
    fn approvals_are_of_a_head_unless_they_are_to_be_kept() {
        let moved = MergeRequestStatus {
            head: Some("h2".into()),
            heard: Some("h2".into()),
            ..approved(&["bea"])
        };
        for (keep_approvals, wanted) in [(true, 1), (false, 0)] {
            let rules = ReviewRules { keep_approvals, ..ReviewRules::default() };
            assert_eq!(counted(&spec(), &moved, &rules, &seen()), wanted);
        }
    }

    #[test]
    fn nothing_merges_before_it_is_known_whether_there_is_a_pipeline() {
        let fresh = MergeRequestStatus { heard: Some("h0".into()), ..status() };
        let blockers = decide(&spec(), &fresh, &ReviewRules::default(), &seen());
        assert_eq!(blockers, [Blocker::PipelineRunning]);
    }

    #[test]
    fn merging_waits_for_what_passes_by_itself_only() {
        assert!(Blocker::PipelineRunning.passes() && Blocker::Approvals { missing: 1 }.passes());
        assert!(!Blocker::PipelineFailed.passes() && !Blocker::Draft.passes());
        assert!(!Blocker::Conflicts { paths: Vec::new() }.passes());
    }
}

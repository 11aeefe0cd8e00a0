//! `MergeRequest` and `ReviewRules`.

use kernel::kind::{KindDef, Scope, Writer};
use kernel::port::JoinMethod;
use kernel::{Error, Kind, Name, Principal, Result, Text, Time, text};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Characters of a title.
pub(crate) const TITLE: usize = 255;
/// Bytes of a description, and of one comment.
pub(crate) const WORDS: usize = 64 * 1024;
/// Labels, assignees or reviewers of one.
pub(crate) const MANY: usize = 50;
/// Pipelines that one remembers.
pub(crate) const PIPELINES: usize = 50;
/// Approvals asked for, at most.
const APPROVALS: u32 = 20;

/// A branch that is to be merged into another. Its name is its number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MergeRequest {
    pub repository: Name,
    /// Branches of that repository.
    pub source: String,
    pub target: String,
    pub title: String,
    /// Markdown.
    #[serde(default)]
    pub description: String,
    pub author: Principal,
    #[serde(default)]
    pub draft: bool,
    #[serde(default)]
    pub labels: Vec<String>,
    #[serde(default)]
    pub assignees: Vec<Name>,
    #[serde(default)]
    pub reviewers: Vec<Name>,
    /// The source branch is deleted when it is merged.
    #[serde(default)]
    pub remove_source: bool,
    /// One commit is made of all.
    #[serde(default)]
    pub squash: bool,
}

impl MergeRequest {
    pub(crate) fn check_words(&self) -> Result<()> {
        let title = self.title.trim();
        if title.is_empty() || self.title.chars().count() > TITLE {
            return Err(Error::invalid(
                "merge-request.title",
                text!("a title has 1 to {TITLE} characters", "제목은 1~{TITLE}자여야 합니다"),
            ));
        }
        if self.description.len() > WORDS {
            return Err(crate::error::long());
        }
        let most = self.labels.len().max(self.assignees.len()).max(self.reviewers.len());
        let sound = |l: &String| {
            !l.trim().is_empty() && l.len() <= 100 && !l.chars().any(|c| c.is_control() || c == ',')
        };
        if most > MANY || !self.labels.iter().all(sound) {
            return Err(Error::invalid(
                "merge-request.labels",
                text!(
                    "at most {MANY} labels and people; a label is one line without a comma",
                    "레이블과 사람은 {MANY}개까지이고 레이블은 쉼표 없는 한 줄이어야 합니다"
                ),
            ));
        }
        Ok(())
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum State {
    #[default]
    Opened,
    Merged,
    Closed,
}

impl State {
    pub fn text(self) -> Text {
        match self {
            State::Opened => Text::fixed("open", "열림"),
            State::Merged => Text::fixed("merged", "병합됨"),
            State::Closed => Text::fixed("closed", "닫힘"),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Approval {
    pub by: Principal,
    pub at: Time,
    /// The commit that was approved.
    pub head: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PipelineState {
    Running,
    Passed,
    Failed,
    Canceled,
}

impl PipelineState {
    pub fn text(self) -> Text {
        match self {
            PipelineState::Running => Text::fixed("running", "실행 중"),
            PipelineState::Passed => Text::fixed("passed", "통과"),
            PipelineState::Failed => Text::fixed("failed", "실패"),
            PipelineState::Canceled => Text::fixed("canceled", "취소"),
        }
    }
}

/// A pipeline of a commit that is or was its head.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Pipeline {
    /// `None`: its file could not be read.
    pub run: Option<String>,
    pub commit: String,
    /// Of the merge request, not of its branch.
    pub detached: bool,
    pub state: PipelineState,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Text>,
    pub at: Time,
}

/// Merging that waits for its conditions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AutoMerge {
    /// Who asked, and by whose right it happens.
    pub by: Principal,
    pub at: Time,
    /// What was to be merged then: another head is another question.
    pub head: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Merged {
    pub by: Principal,
    pub at: Time,
    /// What the target pointed to after it.
    pub commit: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct MergeRequestStatus {
    pub state: State,
    /// The commit of the source; after the end, the last one. `None`: not seen yet.
    pub head: Option<String>,
    /// The commit of the target, as last seen.
    pub target: Option<String>,
    /// Where the two part.
    pub base: Option<String>,
    /// Commits of the source alone, and of the target alone.
    pub ahead: usize,
    pub behind: usize,
    pub approvals: Vec<Approval>,
    pub auto_merge: Option<AutoMerge>,
    /// What a merge under way makes of the target.
    pub merging: Option<Merged>,
    pub merged: Option<Merged>,
    /// Why it is closed, or why it did not merge by itself.
    pub reason: Option<Text>,
    /// The head for which it is known whether it has a pipeline of its own.
    pub heard: Option<String>,
    /// Newest first.
    pub pipelines: Vec<Pipeline>,
    pub opened: Option<Time>,
    pub closed: Option<Time>,
    /// Threads that nobody has resolved, and comments in all.
    pub unresolved: usize,
    pub comments: usize,
}

impl MergeRequestStatus {
    /// What counts for the head: its own pipeline before that of its branch.
    pub fn pipeline(&self) -> Option<&Pipeline> {
        let head = self.head.as_deref()?;
        let of = |detached: bool| {
            self.pipelines.iter().find(|p| p.commit == head && p.detached == detached)
        };
        of(true).or_else(|| of(false))
    }
}

impl Kind for MergeRequest {
    const KIND: &'static str = "MergeRequest";
    type Status = MergeRequestStatus;

    fn check(&self) -> Result<()> {
        self.check_words()
    }
}

/// What merging into a repository's branches asks for. Its name is the repository's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ReviewRules {
    /// Different people who have to approve; never the author.
    pub approvals: u32,
    /// Approvals outlive a push to the source branch.
    pub keep_approvals: bool,
    /// A pipeline that runs or has failed is in the way.
    pub pipeline_must_pass: bool,
    /// There has to be one.
    pub pipeline_required: bool,
    /// Threads that nobody has resolved are in the way.
    pub threads_must_be_resolved: bool,
    /// How branches are merged.
    pub method: JoinMethod,
}

impl Default for ReviewRules {
    fn default() -> ReviewRules {
        ReviewRules {
            approvals: 0,
            keep_approvals: false,
            pipeline_must_pass: true,
            pipeline_required: false,
            threads_must_be_resolved: false,
            method: JoinMethod::Merge,
        }
    }
}

impl Kind for ReviewRules {
    const KIND: &'static str = "ReviewRules";
    type Status = ();

    fn check(&self) -> Result<()> {
        if self.approvals <= APPROVALS {
            return Ok(());
        }
        Err(Error::invalid(
            "review-rules.approvals",
            text!(
                "at most {APPROVALS} approvals can be asked for",
                "승인은 {APPROVALS}개까지 요구할 수 있습니다"
            ),
        ))
    }
}

pub(crate) static KINDS: &[KindDef] = &[
    KindDef::of::<MergeRequest>(
        "merge-requests",
        Scope::Project,
        Writer::Part,
        ("a branch that is to be merged into another", "다른 브랜치에 병합할 브랜치"),
        &[
            ("TITLE", "/spec/title"),
            ("REPOSITORY", "/spec/repository"),
            ("SOURCE", "/spec/source"),
            ("TARGET", "/spec/target"),
            ("STATE", "/status/state"),
        ],
    ),
    KindDef::of::<ReviewRules>(
        "review-rules",
        Scope::Project,
        Writer::People,
        ("what merging into a repository's branches asks for", "저장소의 브랜치에 병합하는 조건"),
        &[
            ("APPROVALS", "/spec/approvals"),
            ("METHOD", "/spec/method"),
            ("PIPELINE", "/spec/pipeline_must_pass"),
        ],
    ),
];

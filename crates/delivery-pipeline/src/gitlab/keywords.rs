//! The words of the dialect, and what becomes of each.

/// Top-level keywords; everything else at the top is a job.
pub const GLOBAL: &[&str] = &[
    "default",
    "include",
    "stages",
    "variables",
    "workflow",
    "image",
    "services",
    "cache",
    "before_script",
    "after_script",
    "spec",
];

/// Keywords that work in `default:`.
pub const DEFAULT: &[&str] = &[
    "after_script",
    "artifacts",
    "before_script",
    "cache",
    "hooks",
    "id_tokens",
    "identity",
    "image",
    "interruptible",
    "retry",
    "services",
    "tags",
    "timeout",
];

/// Deprecated at the top level, where they mean the same as in `default:`.
pub const OLD_DEFAULT: &[&str] = &["image", "services", "cache", "before_script", "after_script"];

pub const JOB: &[&str] = &[
    "after_script",
    "allow_failure",
    "artifacts",
    "before_script",
    "cache",
    "coverage",
    "dast_configuration",
    "dependencies",
    "environment",
    "except",
    "extends",
    "hooks",
    "id_tokens",
    "identity",
    "image",
    "inherit",
    "inputs",
    "interruptible",
    "manual_confirmation",
    "needs",
    "only",
    "pages",
    "parallel",
    "publish",
    "release",
    "resource_group",
    "retry",
    "rules",
    "run",
    "script",
    "secrets",
    "services",
    "stage",
    "start_in",
    "tags",
    "timeout",
    "trigger",
    "variables",
    "when",
];

/// In `workflow:rules`.
pub const WORKFLOW_RULE: &[&str] = &["if", "changes", "exists", "when", "variables", "auto_cancel"];

/// In `include:rules`.
pub const INCLUDE_RULE: &[&str] = &["if", "changes", "exists", "when"];

pub const RULE: &[&str] = &[
    "if",
    "changes",
    "exists",
    "when",
    "start_in",
    "allow_failure",
    "variables",
    "needs",
    "interruptible",
];

pub const ARTIFACTS: &[&str] = &[
    "paths",
    "exclude",
    "name",
    "when",
    "expire_in",
    "untracked",
    "reports",
    "expose_as",
    "access",
    "public",
];

pub const REPORTS: &[&str] = &[
    "accessibility",
    "annotations",
    "api_fuzzing",
    "browser_performance",
    "codequality",
    "container_scanning",
    "coverage_fuzzing",
    "coverage_report",
    "cyclonedx",
    "dast",
    "dependency_scanning",
    "dotenv",
    "junit",
    "license_management",
    "license_scanning",
    "load_performance",
    "lsif",
    "metrics",
    "repository_xray",
    "requirements",
    "sarif",
    "sast",
    "secret_detection",
    "terraform",
];

pub const CACHE: &[&str] =
    &["key", "paths", "policy", "when", "untracked", "unprotect", "fallback_keys"];

pub const ENVIRONMENT: &[&str] =
    &["name", "url", "on_stop", "action", "auto_stop_in", "deployment_tier", "kubernetes"];

const NO_IMAGE: (&str, &str) = (
    "no image is pulled, the machine's own tools are used",
    "이미지를 받지 않고 이 컴퓨터의 도구를 씁니다",
);
const NO_CLUSTER: (&str, &str) = (
    "deployments go through naru's own services, not through a cluster agent",
    "배포는 클러스터 에이전트가 아니라 naru의 서비스를 거칩니다",
);

/// Keywords that are accepted and do nothing, with what it means here that they do nothing.
pub const NO_EFFECT: &[(&str, (&str, &str))] = &[
    (
        "tags",
        (
            "there are no runners to choose from, every job runs on this machine",
            "고를 러너가 없고 모든 작업을 이 컴퓨터에서 실행합니다",
        ),
    ),
    (
        "artifacts:name",
        (
            "files are downloaded one by one, not as an archive",
            "파일을 묶음이 아니라 하나씩 내려받습니다",
        ),
    ),
    (
        "artifacts:expose_as",
        (
            "merge requests link to their pipelines, whose pages show all artifacts",
            "머지 요청에서 파이프라인으로 가면 모든 아티팩트를 볼 수 있습니다",
        ),
    ),
    (
        "manual_confirmation",
        ("a manual job starts without a question", "수동 작업은 묻지 않고 시작합니다"),
    ),
    (
        "dast_configuration",
        (
            "scanner profiles are kept in GitLab, give the scanner its settings in `variables`",
            "스캐너 프로필은 GitLab에 있습니다. 스캐너 설정을 `variables`로 주세요",
        ),
    ),
    (
        "only:kubernetes",
        (
            "there is never a cluster here, so the job is left out",
            "여기에는 클러스터가 없으므로 작업이 빠집니다",
        ),
    ),
    (
        "except:kubernetes",
        (
            "there is never a cluster here, so this leaves out nothing",
            "여기에는 클러스터가 없으므로 이것으로 빠지는 작업이 없습니다",
        ),
    ),
    ("environment:kubernetes", NO_CLUSTER),
    (
        "release:milestones",
        ("releases here have no milestones", "여기의 릴리스에는 마일스톤이 없습니다"),
    ),
    (
        "release:assets:links:filepath",
        ("the link leads straight to its `url`", "링크는 바로 `url`로 이어집니다"),
    ),
    ("image:docker:platform", NO_IMAGE),
    ("image:kubernetes", NO_IMAGE),
    ("image:pull_policy", NO_IMAGE),
    ("services:docker", NO_IMAGE),
    ("services:kubernetes", NO_IMAGE),
    ("services:pull_policy", NO_IMAGE),
    (
        "inputs",
        (
            "whoever plays the job is not asked for values, the defaults hold",
            "작업을 시작할 때 값을 묻지 않고 기본값을 씁니다",
        ),
    ),
];

/// What may stand beside `trigger`, which runs no commands of its own.
pub const TRIGGER_JOB: &[&str] = &[
    "allow_failure",
    "environment",
    "except",
    "extends",
    "inherit",
    "interruptible",
    "manual_confirmation",
    "needs",
    "only",
    "parallel",
    "resource_group",
    "rules",
    "stage",
    "start_in",
    "trigger",
    "variables",
    "when",
];

pub const TRIGGER: &[&str] = &["project", "branch", "strategy", "inputs", "forward", "include"];

pub const RELEASE: &[&str] = &[
    "tag_name",
    "tag_message",
    "name",
    "description",
    "ref",
    "milestones",
    "released_at",
    "assets",
];

/// Classes of failure that `retry:when` may name.
pub const RETRY_WHEN: &[&str] = &[
    "always",
    "unknown_failure",
    "script_failure",
    "api_failure",
    "stuck_or_timeout_failure",
    "stuck_pending_with_matching_runners",
    "stuck_pending_no_matching_runners",
    "no_updates_running",
    "no_updates_canceling",
    "runner_system_failure",
    "runner_configuration_error",
    "runner_external_dependency_failure",
    "runner_interrupted",
    "runner_unsupported",
    "stale_schedule",
    "job_execution_timeout",
    "server_timeout_running",
    "server_timeout_canceling",
    "archived_failure",
    "unmet_prerequisites",
    "scheduler_failure",
    "data_integrity_failure",
];

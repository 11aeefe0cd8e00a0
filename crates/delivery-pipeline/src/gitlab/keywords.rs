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

/// Job keywords that would change what the job does and that naru cannot do yet.
pub const NOT_YET: &[(&str, (&str, &str))] = &[
    ("dast_configuration", ("start the scanner in `script`", "`script`에서 스캐너를 실행하세요")),
    ("hooks", ("put the commands into `before_script`", "명령을 `before_script`에 넣으세요")),
    (
        "id_tokens",
        ("pass credentials in another way for now", "당분간 다른 방법으로 자격 증명을 전달하세요"),
    ),
    (
        "identity",
        ("pass credentials in another way for now", "당분간 다른 방법으로 자격 증명을 전달하세요"),
    ),
    ("inputs", ("use `variables`", "`variables`를 쓰세요")),
    (
        "pages",
        (
            "serve the files with a `Service` in naru.yaml",
            "naru.yaml의 `Service`로 파일을 제공하세요",
        ),
    ),
    (
        "publish",
        (
            "serve the files with a `Service` in naru.yaml",
            "naru.yaml의 `Service`로 파일을 제공하세요",
        ),
    ),
    ("release", ("push a tag from `script`", "`script`에서 태그를 푸시하세요")),
    ("run", ("write the steps as `script`", "단계를 `script`로 쓰세요")),
    (
        "secrets",
        ("pass credentials in another way for now", "당분간 다른 방법으로 자격 증명을 전달하세요"),
    ),
    (
        "services",
        (
            "start what the job needs in `before_script`",
            "필요한 것을 `before_script`에서 시작하세요",
        ),
    ),
    (
        "trigger",
        (
            "put the jobs into this file, or push to the other repository",
            "작업을 이 파일에 넣거나 다른 저장소에 푸시하세요",
        ),
    ),
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

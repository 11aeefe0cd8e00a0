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
pub const WORKFLOW_RULE: &[&str] = &["if", "changes", "exists", "when", "variables"];

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
const NO_FORM: (&str, &str) = (
    "the form that starts a pipeline does not offer it yet",
    "파이프라인을 시작하는 화면에 아직 나오지 않습니다",
);
const ALL_READERS: (&str, &str) = (
    "whoever may see the project may download its artifacts",
    "프로젝트를 볼 수 있으면 누구나 아티팩트를 받을 수 있습니다",
);
const ONLY_A_NAME: (&str, &str) = (
    "an environment is a name and an address, nothing is started or stopped with it",
    "환경은 이름과 주소일 뿐, 함께 시작하거나 중지하는 것이 없습니다",
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
        "manual_confirmation",
        (
            "a manual job starts as soon as somebody plays it",
            "수동 작업은 누르는 대로 묻지 않고 시작합니다",
        ),
    ),
    (
        "cache:unprotect",
        (
            "protected branches have no caches of their own",
            "보호 브랜치의 캐시를 따로 두지 않습니다",
        ),
    ),
    (
        "artifacts:expose_as",
        (
            "there are no merge requests to show it in, see the run's page",
            "보여 줄 머지 요청이 없습니다. 실행 페이지에서 보세요",
        ),
    ),
    (
        "artifacts:name",
        (
            "artifacts are downloaded file by file, there is no archive to name",
            "아티팩트는 파일 하나씩 받습니다. 이름을 붙일 압축 파일이 없습니다",
        ),
    ),
    ("artifacts:access", ALL_READERS),
    ("artifacts:public", ALL_READERS),
    ("environment:on_stop", ONLY_A_NAME),
    ("environment:action", ONLY_A_NAME),
    ("environment:auto_stop_in", ONLY_A_NAME),
    ("environment:deployment_tier", ONLY_A_NAME),
    ("environment:kubernetes", ONLY_A_NAME),
    ("image:entrypoint", NO_IMAGE),
    ("image:docker", NO_IMAGE),
    ("image:kubernetes", NO_IMAGE),
    ("image:pull_policy", NO_IMAGE),
    ("variables:description", NO_FORM),
    ("variables:options", NO_FORM),
];

/// What is true of every report but `dotenv`.
pub const NO_REPORT: (&str, &str) = (
    "the file is neither read nor kept, name it in `artifacts:paths` to keep it",
    "파일을 읽지도 보관하지도 않습니다. 보관하려면 `artifacts:paths`에 적으세요",
);

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

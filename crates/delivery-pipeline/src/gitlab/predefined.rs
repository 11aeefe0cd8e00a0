//! The `CI_*` variables. What is only known when a job starts is written as a reference to the actor's
//! own `NARU_*` variables, so that the actor need not know this dialect.

use super::Context;
use crate::variables::Variable;
use kernel::Time;
use kernel::journey::Commit;

/// What every job of the pipeline sees.
pub fn pipeline(context: &Context) -> Vec<Variable> {
    let mut out = Vec::with_capacity(64);
    let mut set = |name: &str, value: &str| out.push(Variable::literal(name, value));
    set("CI", "true");
    set("GITLAB_CI", "true");
    set("GITLAB_FEATURES", "");
    set("CI_SERVER", "yes");
    set("CI_SERVER_NAME", "naru");
    set("CI_SERVER_VERSION", env!("CARGO_PKG_VERSION"));
    set("CI_SERVER_VERSION_MAJOR", env!("CARGO_PKG_VERSION_MAJOR"));
    set("CI_SERVER_VERSION_MINOR", env!("CARGO_PKG_VERSION_MINOR"));
    set("CI_SERVER_VERSION_PATCH", env!("CARGO_PKG_VERSION_PATCH"));
    set("CI_BUILDS_DIR", "/builds");
    commit(context, &mut set);
    place(context, &mut set);
    let (number, project_number) = (context.number.to_string(), context.project_number.to_string());
    set("CI_PIPELINE_ID", &number);
    set("CI_PIPELINE_IID", &project_number);
    set("CI_PIPELINE_CREATED_AT", &second(context.now));
    set("CI_PIPELINE_SOURCE", context.origin.word());
    set("GITLAB_USER_LOGIN", &context.actor);
    set("GITLAB_USER_NAME", &context.actor);
    for (name, value) in [
        ("CI_PIPELINE_URL", "$NARU_RUN_URL"),
        ("CI_JOB_ID", "$NARU_JOB_ID"),
        ("CI_JOB_STATUS", "$NARU_JOB_STATUS"),
        ("CI_JOB_URL", "$NARU_JOB_URL"),
        ("CI_JOB_STARTED_AT", "$NARU_JOB_STARTED_AT"),
    ] {
        out.push(Variable::new(name, value));
    }
    out
}

fn commit(context: &Context, set: &mut impl FnMut(&str, &str)) {
    let commit = &context.commit;
    set("CI_COMMIT_SHA", &commit.id);
    set("CI_COMMIT_SHORT_SHA", commit.id.get(..8).unwrap_or(&commit.id));
    let zeros = "0".repeat(40);
    set("CI_COMMIT_BEFORE_SHA", context.before.as_deref().unwrap_or(&zeros));
    let name = context.ref_name();
    set("CI_COMMIT_REF_NAME", name);
    set("CI_COMMIT_REF_SLUG", &slug(name));
    set("CI_COMMIT_REF_PROTECTED", "false");
    if let Some(branch) = &context.branch {
        set("CI_COMMIT_BRANCH", branch);
    }
    if let Some(tag) = &context.tag {
        set("CI_COMMIT_TAG", tag);
    }
    let (message, description) = message(commit);
    set("CI_COMMIT_MESSAGE", message);
    set("CI_COMMIT_TITLE", &commit.subject);
    set("CI_COMMIT_DESCRIPTION", description);
    set("CI_COMMIT_AUTHOR", &format!("{} <{}>", commit.author, commit.email));
    set("CI_COMMIT_TIMESTAMP", &second(commit.committed));
    set("CI_DEFAULT_BRANCH", &context.default_branch);
}

/// The whole message, and what follows its first line. A first line of 100 characters or more is no title:
/// then the description is all of it (https://docs.gitlab.com/ci/variables/predefined_variables/).
fn message(commit: &Commit) -> (&str, &str) {
    if commit.message.is_empty() {
        return (&commit.subject, "");
    }
    let (title, rest) = commit.message.split_once('\n').unwrap_or((&commit.message, ""));
    let titled = title.chars().count() < 100;
    (&commit.message, if titled { rest.trim_start() } else { &commit.message })
}

fn place(context: &Context, set: &mut impl FnMut(&str, &str)) {
    let (project, repository) = (&context.project, &context.repository);
    let path = format!("{project}/{repository}");
    let url = context.url.trim_end_matches('/');
    set("CI_PROJECT_DIR", &context.dir());
    set("CI_PROJECT_ID", &path);
    set("CI_PROJECT_NAME", repository.as_str());
    set("CI_PROJECT_TITLE", repository.as_str());
    set("CI_PROJECT_NAMESPACE", project.as_str());
    set("CI_PROJECT_ROOT_NAMESPACE", project.as_str());
    set("CI_PROJECT_PATH", &path);
    set("CI_PROJECT_PATH_SLUG", &slug(&path));
    set("CI_PROJECT_VISIBILITY", "private");
    set("CI_PROJECT_URL", &format!("{url}/{path}"));
    set("CI_REPOSITORY_URL", &format!("{url}/{path}.git"));
    set("CI_SERVER_URL", url);
    set("CI_API_V4_URL", &format!("{url}/api/v4"));
    let (protocol, rest) = url.split_once("://").unwrap_or(("http", url));
    let (host, port) = rest.rsplit_once(':').unwrap_or((rest, "80"));
    set("CI_SERVER_PROTOCOL", protocol);
    set("CI_SERVER_HOST", host);
    set("CI_SERVER_PORT", port);
}

/// Lower case, digits and hyphens, at most 63 (https://docs.gitlab.com/ci/variables/predefined_variables/).
pub fn slug(words: &str) -> String {
    let lower = words.to_lowercase();
    let each = lower.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' });
    let cut: String = each.take(63).collect();
    cut.trim_matches('-').to_owned()
}

/// RFC 3339 without the milliseconds.
fn second(time: Time) -> String {
    let words = time.to_string();
    match words.split_once('.') {
        Some((whole, _)) => format!("{whole}Z"),
        None => words,
    }
}

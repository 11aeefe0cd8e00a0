//! The `CI_*` variables (https://docs.gitlab.com/ci/variables/predefined_variables/). What is only known
//! when a job starts is written as a reference to the actor's own `NARU_*` variables, so that the actor
//! need not know this dialect.

use super::{Context, MergeRequest, Origin};
use crate::variables::Variable;
use kernel::Time;
use kernel::journey::Commit;

/// Characters of a merge request's description that are carried.
const MAX_DESCRIPTION: usize = 2700;
/// Open merge requests that are named.
const MAX_OPEN: usize = 4;
const NO_COMMIT: &str = "0000000000000000000000000000000000000000";

/// What is known when the pipeline is made: rules see these, and every job does.
pub fn pipeline(context: &Context) -> Vec<Variable> {
    let mut out = Vec::with_capacity(96);
    let mut set = |name: &str, value: &str| out.push(Variable::literal(name, value));
    set("CI", "true");
    set("GITLAB_CI", "true");
    set("GITLAB_FEATURES", "");
    set("CI_CONFIG_PATH", super::FILE);
    set("CI_DISPOSABLE_ENVIRONMENT", "true");
    server(context, &mut set);
    commit(context, &mut set);
    project(context, &mut set);
    set("CI_PIPELINE_IID", &context.project_number.to_string());
    set("CI_PIPELINE_CREATED_AT", &second(context.now));
    set("CI_PIPELINE_SOURCE", context.origin.word());
    if context.origin == Origin::Trigger {
        set("CI_PIPELINE_TRIGGERED", "true");
    }
    user(context, &mut set);
    more(context, &mut set);
    out
}

/// What only a job that runs knows.
pub fn late(context: &Context) -> Vec<Variable> {
    let mut out = Vec::with_capacity(24);
    let path = path(context);
    let url = context.url.trim_end_matches('/');
    let version = env!("CARGO_PKG_VERSION");
    let arch = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    for (name, value) in [
        ("CI_SERVER", "yes"),
        ("CI_BUILDS_DIR", "/builds"),
        ("CI_PROJECT_DIR", &context.dir()),
        ("CI_PIPELINE_ID", &context.number.to_string()),
        ("CI_REPOSITORY_URL", &format!("{url}/{path}.git")),
        ("CI_RUNNER_ID", "1"),
        ("CI_RUNNER_DESCRIPTION", "naru"),
        ("CI_RUNNER_TAGS", "[]"),
        ("CI_RUNNER_VERSION", version),
        ("CI_RUNNER_EXECUTABLE_ARCH", &format!("{}/{arch}", std::env::consts::OS)),
    ] {
        out.push(Variable::literal(name, value));
    }
    for (name, value) in [
        ("CI_PIPELINE_URL", "$NARU_RUN_URL"),
        ("CI_JOB_ID", "$NARU_JOB_ID"),
        ("CI_JOB_STATUS", "$NARU_JOB_STATUS"),
        ("CI_JOB_TOKEN", "$NARU_JOB_TOKEN"),
        ("CI_JOB_URL", "$NARU_JOB_URL"),
        ("CI_JOB_STARTED_AT", "$NARU_JOB_STARTED_AT"),
    ] {
        out.push(Variable::new(name, value));
    }
    out
}

fn path(context: &Context) -> String {
    format!("{}/{}", context.project, context.repository)
}

fn server(context: &Context, set: &mut impl FnMut(&str, &str)) {
    set("CI_SERVER_NAME", "naru");
    set("CI_SERVER_VERSION", env!("CARGO_PKG_VERSION"));
    set("CI_SERVER_VERSION_MAJOR", env!("CARGO_PKG_VERSION_MAJOR"));
    set("CI_SERVER_VERSION_MINOR", env!("CARGO_PKG_VERSION_MINOR"));
    set("CI_SERVER_VERSION_PATCH", env!("CARGO_PKG_VERSION_PATCH"));
    set("CI_SERVER_REVISION", env!("CARGO_PKG_VERSION"));
    let url = context.url.trim_end_matches('/');
    set("CI_SERVER_URL", url);
    set("CI_API_V4_URL", &format!("{url}/api/v4"));
    let (protocol, rest) = url.split_once("://").unwrap_or(("http", url));
    let place = rest.split('/').next().unwrap_or(rest);
    let usual = if protocol == "https" { "443" } else { "80" };
    // The colons of an IPv6 address stand in brackets.
    let port = place.rsplit_once(':').filter(|(_, port)| !port.contains(']'));
    let (host, port) = port.unwrap_or((place, usual));
    set("CI_SERVER_PROTOCOL", protocol);
    set("CI_SERVER_HOST", host);
    set("CI_SERVER_PORT", port);
    set("CI_SERVER_FQDN", place);
}

fn user(context: &Context, set: &mut impl FnMut(&str, &str)) {
    let actor = &context.actor;
    set("GITLAB_USER_LOGIN", actor);
    set("GITLAB_USER_NAME", actor);
    set("GITLAB_USER_ID", actor);
    // Nobody's real address; commits that a job makes need one.
    set("GITLAB_USER_EMAIL", &format!("{actor}@users.noreply.localhost"));
}

fn commit(context: &Context, set: &mut impl FnMut(&str, &str)) {
    let commit = &context.commit;
    set("CI_COMMIT_SHA", &commit.id);
    set("CI_COMMIT_SHORT_SHA", commit.id.get(..8).unwrap_or(&commit.id));
    set("CI_COMMIT_BEFORE_SHA", context.before.as_deref().unwrap_or(NO_COMMIT));
    let name = context.ref_name();
    set("CI_COMMIT_REF_NAME", name);
    set("CI_COMMIT_REF_SLUG", &slug(name));
    set("CI_COMMIT_REF_PROTECTED", if context.protected { "true" } else { "false" });
    // A pipeline of a merge request has neither a branch nor a tag.
    if context.more.merge_request.is_none() {
        context.branch.iter().for_each(|branch| set("CI_COMMIT_BRANCH", branch));
        context.tag.iter().for_each(|tag| set("CI_COMMIT_TAG", tag));
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
/// then the description is all of it.
fn message(commit: &Commit) -> (&str, &str) {
    if commit.message.is_empty() {
        return (&commit.subject, "");
    }
    let (title, rest) = commit.message.split_once('\n').unwrap_or((&commit.message, ""));
    let titled = title.chars().count() < 100;
    (&commit.message, if titled { rest.trim_start() } else { &commit.message })
}

fn project(context: &Context, set: &mut impl FnMut(&str, &str)) {
    let (project, repository) = (context.project.as_str(), context.repository.as_str());
    let path = path(context);
    let url = context.url.trim_end_matches('/');
    set("CI_PROJECT_ID", &path);
    set("CI_PROJECT_NAME", repository);
    set("CI_PROJECT_TITLE", repository);
    set("CI_PROJECT_DESCRIPTION", "");
    set("CI_PROJECT_NAMESPACE", project);
    set("CI_PROJECT_NAMESPACE_ID", project);
    set("CI_PROJECT_NAMESPACE_SLUG", &slug(project));
    set("CI_PROJECT_ROOT_NAMESPACE", project);
    set("CI_PROJECT_PATH", &path);
    set("CI_PROJECT_PATH_SLUG", &slug(&path));
    set("CI_PROJECT_VISIBILITY", "private");
    set("CI_PROJECT_URL", &format!("{url}/{path}"));
}

fn more(context: &Context, set: &mut impl FnMut(&str, &str)) {
    let more = &context.more;
    if let Some(merge_request) = &more.merge_request {
        self::merge_request(merge_request, context.url.trim_end_matches('/'), set);
    }
    if !more.open_merge_requests.is_empty() {
        let some = more.open_merge_requests.iter().take(MAX_OPEN).cloned().collect::<Vec<_>>();
        set("CI_OPEN_MERGE_REQUESTS", &some.join(","));
    }
    if let Some(upstream) = &more.upstream {
        set("CI_UPSTREAM_PIPELINE_ID", &upstream.number.to_string());
        set("CI_UPSTREAM_PROJECT_ID", &upstream.path);
        set("CI_UPSTREAM_JOB_ID", &upstream.job);
    }
    if let Some(schedule) = &more.schedule {
        set("CI_PIPELINE_SCHEDULE_DESCRIPTION", schedule);
    }
}

fn merge_request(of: &MergeRequest, url: &str, set: &mut impl FnMut(&str, &str)) {
    let yes = |flag: bool| if flag { "true" } else { "false" };
    set("CI_MERGE_REQUEST_ID", &of.id.to_string());
    set("CI_MERGE_REQUEST_IID", &of.number.to_string());
    set("CI_MERGE_REQUEST_TITLE", &of.title);
    let description: String = of.description.chars().take(MAX_DESCRIPTION).collect();
    set("CI_MERGE_REQUEST_DESCRIPTION", &description);
    let cut = description.len() < of.description.len();
    set("CI_MERGE_REQUEST_DESCRIPTION_IS_TRUNCATED", yes(cut));
    set("CI_MERGE_REQUEST_EVENT_TYPE", &of.event);
    set("CI_MERGE_REQUEST_REF_PATH", &of.refname);
    set("CI_MERGE_REQUEST_DRAFT", yes(of.draft));
    set("CI_MERGE_REQUEST_DIFF_BASE_SHA", of.base.as_deref().unwrap_or(""));
    for (name, values) in [("LABELS", &of.labels), ("ASSIGNEES", &of.assignees)] {
        if !values.is_empty() {
            set(&format!("CI_MERGE_REQUEST_{name}"), &values.join(","));
        }
    }
    if of.approved {
        set("CI_MERGE_REQUEST_APPROVED", "true");
    }
    for (name, side) in [("SOURCE", &of.source), ("TARGET", &of.target)] {
        let branch = format!("CI_MERGE_REQUEST_{name}_BRANCH");
        set(&format!("{branch}_NAME"), &side.branch);
        set(&format!("{branch}_PROTECTED"), yes(side.protected));
        // Only pipelines of a merged result have commits of their own sides.
        let commit = side.commit.as_deref().filter(|_| of.event != "detached");
        set(&format!("{branch}_SHA"), commit.unwrap_or(""));
    }
    for (name, side) in [("", &of.target), ("SOURCE_", &of.source)] {
        let project = format!("CI_MERGE_REQUEST_{name}PROJECT");
        set(&format!("{project}_ID"), &side.path);
        set(&format!("{project}_PATH"), &side.path);
        set(&format!("{project}_URL"), &format!("{url}/{}", side.path));
    }
}

/// Lower case, digits and hyphens, at most 63.
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

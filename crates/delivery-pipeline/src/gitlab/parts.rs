//! The smaller compound keywords of a job: retry, allow_failure, coverage and the like.

use super::error;
use super::expr;
use super::keywords::RETRY_WHEN;
use super::read;
use super::yaml::Entry;
use crate::work::{AutoCancel, OnJobFailure, OnNewCommit};
use kernel::Result;
use run::Retry;

#[derive(Clone, Debug, PartialEq)]
pub enum AllowFailure {
    Is(bool),
    ExitCodes(Vec<i32>),
}

pub fn allow_failure(entry: &Entry) -> Result<AllowFailure> {
    if entry.value.map().is_none() {
        return read::flag(entry).map(AllowFailure::Is);
    }
    let mut codes = Vec::new();
    for part in read::map(&entry.value, "allow_failure", &["exit_codes"])? {
        codes = exit_codes(part)?;
    }
    if codes.is_empty() {
        let wanted = ("true, false, or `exit_codes`", "true나 false, 또는 `exit_codes`를");
        return Err(error::wanted(&entry.value.at, "allow_failure", wanted));
    }
    Ok(AllowFailure::ExitCodes(codes))
}

fn exit_codes(entry: &Entry) -> Result<Vec<i32>> {
    let one = |words: &String| {
        let wanted = ("exit codes from 0 to 255", "0부터 255까지의 종료 코드를");
        let code = words.parse::<u8>().map(i32::from);
        code.map_err(|_| error::wanted(&entry.value.at, "exit_codes", wanted))
    };
    read::words(entry)?.iter().map(one).collect()
}

pub fn retry(entry: &Entry) -> Result<Retry> {
    let mut retry = Retry { backoff_ms: 1000, ..Retry::default() };
    if entry.value.map().is_none() {
        retry.max = read::number(entry, 0..=2)?;
        return Ok(retry);
    }
    for part in read::map(&entry.value, "retry", &["max", "when", "exit_codes"])? {
        match part.key.as_str() {
            "max" => retry.max = read::number(part, 0..=2)?,
            "when" => retry.only = classes(part)?,
            _ => retry.exit_codes = exit_codes(part)?,
        }
    }
    Ok(retry)
}

/// Classes of failure, in the words of the actor. Those that cannot happen here (there are no runners that
/// could be busy or gone) are accepted: then the job is not retried for them.
fn classes(entry: &Entry) -> Result<Vec<String>> {
    let mut classes = read::words(entry)?;
    if let Some(odd) = classes.iter().find(|c| !RETRY_WHEN.contains(&c.as_str())) {
        return Err(error::unknown_key(&entry.value.at, odd, "retry:when", RETRY_WHEN));
    }
    if classes.iter().any(|c| c == "always") {
        return Ok(Vec::new());
    }
    if classes.iter().any(|c| c == "stuck_or_timeout_failure") {
        classes.push("job_execution_timeout".to_owned());
    }
    Ok(classes)
}

/// `/regex/`, as the actor wants it: its flags inside of it.
pub fn coverage(entry: &Entry) -> Result<String> {
    let words = read::text(entry)?;
    let wanted = ("a /regular expression/", "/정규식/을");
    let found = expr::portable(&words, &entry.value.at)?;
    found.ok_or_else(|| error::wanted(&entry.value.at, "coverage", wanted))
}

const ON_NEW_COMMIT: &[(&str, OnNewCommit)] = &[
    ("conservative", OnNewCommit::Conservative),
    ("interruptible", OnNewCommit::Interruptible),
    ("none", OnNewCommit::Nothing),
];

const ON_JOB_FAILURE: &[(&str, OnJobFailure)] =
    &[("none", OnJobFailure::Nothing), ("all", OnJobFailure::All)];

pub fn auto_cancel(entry: &Entry) -> Result<AutoCancel> {
    let mut out = AutoCancel::default();
    let known = ["on_new_commit", "on_job_failure"];
    for part in read::map(&entry.value, "auto_cancel", &known)? {
        match part.key.as_str() {
            "on_new_commit" => out.on_new_commit = read::choice(part, ON_NEW_COMMIT)?,
            _ => out.on_job_failure = read::choice(part, ON_JOB_FAILURE)?,
        }
    }
    Ok(out)
}

/// `hooks: {pre_get_sources_script: …}`
pub fn hooks(entry: &Entry) -> Result<Vec<String>> {
    let mut out = Vec::new();
    for part in read::map(&entry.value, "hooks", &["pre_get_sources_script"])? {
        out = read::script(part)?;
    }
    Ok(out)
}

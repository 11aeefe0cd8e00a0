//! `artifacts` and `cache`: what is kept of a job.

use super::Context;
use super::error;
use super::glob::Globs;
use super::job::{KEEP, Warnings};
use super::keywords::{ARTIFACTS, CACHE, REPORTS};
use super::read;
use super::yaml::{At, Entry, Node};
use crate::variables::Scope;
use crate::work::{Artifacts, Cache, Readers, Reports};
use kernel::Result;
use sha2::{Digest, Sha256};

/// GitLab's own limits.
const MAX_CACHES: usize = 4;
const MAX_FALLBACKS: usize = 5;
const MAX_KEY_FILES: usize = 10;
const MAX_KEY_COMMITS: usize = 2;

/// Everything under `artifacts:`.
#[derive(Clone, Debug, Default)]
pub struct Kept {
    /// Files to keep; `None`: there are only reports.
    pub artifacts: Option<Artifacts>,
    pub reports: Vec<Reports>,
    pub dotenv: Vec<String>,
}

const READERS: &[(&str, Readers)] = &[
    ("all", Readers::All),
    ("developer", Readers::Developers),
    ("maintainer", Readers::Maintainers),
    ("none", Readers::Nobody),
];

pub fn artifacts(entry: &Entry, warnings: &mut Warnings) -> Result<Kept> {
    let mut kept = Kept::default();
    let mut found = Artifacts::default();
    let (mut access, mut public) = (None, None);
    for part in read::map(&entry.value, "artifacts", ARTIFACTS)? {
        match part.key.as_str() {
            "paths" => found.paths = read::list(part)?,
            "exclude" => found.exclude = read::list(part)?,
            "when" => found.when = read::choice(part, KEEP)?,
            "expire_in" => {
                let words = part.value.text().unwrap_or_default();
                found.expire_ms = read::expiry(words, &part.value.at, "expire_in")?;
            }
            "untracked" => found.untracked = read::flag(part)?,
            key @ ("name" | "expose_as") => {
                read::text(part)?;
                warnings.push(error::no_effect(&part.at, &format!("artifacts:{key}")));
            }
            "access" => access = Some((read::choice(part, READERS)?, &part.at)),
            "public" => public = Some(read::flag(part)?),
            _ => (kept.reports, kept.dotenv) = reports(part)?,
        }
    }
    found.readers = match (access, public) {
        (Some((_, at)), Some(_)) => {
            let wanted = ("either `access` or `public`", "`access`와 `public` 가운데 하나를");
            return Err(error::wanted(at, "artifacts", wanted));
        }
        (Some((readers, _)), None) => readers,
        (None, Some(false)) => Readers::Developers,
        (None, _) => Readers::All,
    };
    let some = !found.paths.is_empty() || found.untracked;
    kept.artifacts = some.then_some(found);
    Ok(kept)
}

fn reports(entry: &Entry) -> Result<(Vec<Reports>, Vec<String>)> {
    let (mut reports, mut dotenv) = (Vec::new(), Vec::new());
    for part in read::map(&entry.value, "artifacts:reports", REPORTS)? {
        match part.key.as_str() {
            _ if part.value.is_null() => {}
            "dotenv" => dotenv = read::words(part)?,
            "coverage_report" => reports.extend(coverage(part)?),
            format => {
                reports.push(Reports { format: format.to_owned(), paths: read::words(part)? });
            }
        }
    }
    Ok((reports, dotenv))
}

/// `{coverage_format: cobertura, path: x.xml}`
fn coverage(entry: &Entry) -> Result<Option<Reports>> {
    let formats = [("cobertura", "cobertura"), ("jacoco", "jacoco")];
    let (mut format, mut paths) = (None, Vec::new());
    for part in read::map(&entry.value, "coverage_report", &["coverage_format", "path"])? {
        match part.key.as_str() {
            "coverage_format" => format = Some(read::choice(part, &formats)?.to_owned()),
            _ => paths = vec![read::text(part)?],
        }
    }
    match (format, paths.is_empty()) {
        (Some(format), false) => Ok(Some(Reports { format, paths })),
        _ => {
            let wanted = ("`coverage_format` and `path`", "`coverage_format`과 `path`를");
            Err(error::wanted(&entry.value.at, "coverage_report", wanted))
        }
    }
}

/// A cache as it is written: its key may depend on files, its policy on variables.
#[derive(Clone, Debug)]
pub struct CacheKey {
    files: Vec<String>,
    /// Before what the files make of the key.
    prefix: String,
    policy: Option<(String, At)>,
    unprotect: bool,
    cache: Cache,
}

pub fn caches(entry: &Entry) -> Result<Vec<CacheKey>> {
    let mut out = Vec::new();
    read::flatten(&entry.value, 0, &mut |node| {
        out.push(cache(node)?);
        Ok(())
    })?;
    if out.len() > MAX_CACHES {
        let wanted = ("at most four caches", "캐시를 최대 네 개까지");
        return Err(error::wanted(&entry.value.at, "cache", wanted));
    }
    out.retain(|c: &CacheKey| !c.cache.paths.is_empty() || c.cache.untracked);
    Ok(out)
}

fn cache(node: &Node) -> Result<CacheKey> {
    let mut found = CacheKey {
        files: Vec::new(),
        prefix: String::new(),
        policy: None,
        unprotect: false,
        cache: Cache { key: "default".to_owned(), pull: true, push: true, ..Cache::default() },
    };
    for entry in read::map(node, "cache", CACHE)? {
        match entry.key.as_str() {
            "key" if entry.value.map().is_some() => {
                (found.prefix, found.files) = key_of_files(&entry.value)?;
            }
            "key" if entry.value.is_null() => {}
            "key" => found.cache.key = read::text(entry)?,
            "paths" => found.cache.paths = read::list(entry)?,
            "policy" => {
                let words = read::text(entry)?;
                if !words.contains('$') {
                    policy(&words, &entry.value.at)?;
                }
                found.policy = Some((words, entry.value.at.clone()));
            }
            "when" => found.cache.when = read::choice(entry, KEEP)?,
            "fallback_keys" => {
                found.cache.fallback = read::list(entry)?;
                if found.cache.fallback.len() > MAX_FALLBACKS {
                    let wanted = ("at most five keys", "키를 최대 다섯 개까지");
                    return Err(error::wanted(&entry.value.at, "fallback_keys", wanted));
                }
            }
            "untracked" => found.cache.untracked = read::flag(entry)?,
            _ => found.unprotect = read::flag(entry)?,
        }
    }
    Ok(found)
}

/// Whether a cache is fetched, and whether it is saved.
fn policy(words: &str, at: &At) -> Result<(bool, bool)> {
    match words {
        "pull" => Ok((true, false)),
        "push" => Ok((false, true)),
        "pull-push" => Ok((true, true)),
        other => {
            let known = ["pull", "push", "pull-push"];
            let wanted = ("one of pull, push, pull-push", "pull, push, pull-push 가운데 하나를");
            Err(error::wanted(at, "policy", wanted).hint(error::nearest(other, &known)))
        }
    }
}

/// `key: {files: [a.lock], prefix: x}`: the prefix, and the files whose contents make the key. The commits
/// that changed the files last (`files_commits`) are told apart by the contents, too.
fn key_of_files(node: &Node) -> Result<(String, Vec<String>)> {
    let (mut prefix, mut files) = (String::new(), Vec::new());
    for entry in read::map(node, "cache:key", &["files", "files_commits", "prefix"])? {
        let most = match entry.key.as_str() {
            "files" => MAX_KEY_FILES,
            "files_commits" => MAX_KEY_COMMITS,
            _ => {
                prefix = read::text(entry)?;
                continue;
            }
        };
        let words = read::words(entry)?;
        if words.is_empty() || words.len() > most {
            let (en, ko) = (format!("1 to {most} files"), format!("파일 1~{most}개를"));
            return Err(error::wanted(&entry.value.at, &entry.key, (&en, &ko)));
        }
        files.extend(words);
    }
    if files.is_empty() {
        return Err(error::wanted(&node.at, "cache:key", ("`files`", "`files`를")));
    }
    Ok((prefix, files))
}

impl CacheKey {
    /// In neutral words. Protected refs have caches of their own, so that what somebody may push to a
    /// branch never reaches a job of a protected one; `unprotect` gives that up.
    ///
    /// # Errors
    /// `pipeline.value` for a policy that is none once its variables are known.
    pub fn resolved(&self, scope: &Scope, context: &Context) -> Result<Cache> {
        let mut cache = self.cache.clone();
        if let Some((words, at)) = &self.policy {
            (cache.pull, cache.push) = policy(&scope.expand(words), at)?;
        }
        if !self.files.is_empty() {
            cache.key = self.of_files(scope, context);
        }
        cache.fallback.extend(scope.get("CACHE_FALLBACK_KEY").filter(|key| !key.is_empty()));
        let side = if context.protected && !self.unprotect { "protected" } else { "non_protected" };
        for key in std::iter::once(&mut cache.key).chain(&mut cache.fallback) {
            *key = format!("{key}-{side}");
        }
        Ok(cache)
    }

    /// A key made of files is made of their object ids: the same contents, the same key.
    fn of_files(&self, scope: &Scope, context: &Context) -> String {
        let files: Vec<String> = self.files.iter().map(|f| scope.expand(f)).collect();
        let globs = Globs::new(&files);
        let mut hash = Sha256::new();
        let mut some = false;
        for entry in context.tree.iter().filter(|e| globs.matches(&e.path)) {
            hash.update(format!("{} {}\n", entry.object, entry.path));
            some = true;
        }
        let hex: String = hash.finalize().iter().take(20).map(|b| format!("{b:02x}")).collect();
        let files = if some { hex.as_str() } else { "default" };
        match self.prefix.as_str() {
            "" => files.to_owned(),
            prefix => format!("{prefix}-{files}"),
        }
    }
}

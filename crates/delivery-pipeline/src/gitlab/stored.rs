//! `artifacts` and `cache`: what is kept of a job.

use super::error;
use super::job::{CacheKey, KEEP, Warnings};
use super::keywords::{ARTIFACTS, CACHE, REPORTS};
use super::read;
use super::yaml::{Entry, Node};
use crate::work::{Artifacts, Cache, Keep};
use kernel::{Result, Text};

const MAX_CACHES: usize = 4;

/// What to keep, and the dotenv reports.
pub fn artifacts(
    entry: &Entry,
    warnings: &mut Warnings,
) -> Result<(Option<Artifacts>, Vec<String>)> {
    let mut found = Artifacts::default();
    let mut dotenv = Vec::new();
    for part in read::map(&entry.value, "artifacts", ARTIFACTS)? {
        match part.key.as_str() {
            "paths" => found.paths = read::words(part)?,
            "exclude" => found.exclude = read::words(part)?,
            "when" => found.when = read::choice(part, KEEP)?,
            "expire_in" => found.expire_ms = expiry(part)?,
            "untracked" if read::flag(part)? => {
                let hint = Text::fixed("name the files in `paths`", "파일을 `paths`에 적으세요");
                return Err(error::unsupported(&part.at, "artifacts:untracked", hint));
            }
            "reports" => dotenv = reports(part, warnings)?,
            "untracked" => {}
            key => warnings.push(error::no_effect(&part.at, &format!("artifacts:{key}"))),
        }
    }
    let some = !found.paths.is_empty();
    Ok((some.then_some(found), dotenv))
}

/// `never` keeps them for ever.
fn expiry(entry: &Entry) -> Result<Option<u64>> {
    match entry.value.text() {
        Some("never") => Ok(None),
        _ => read::duration(entry).map(Some),
    }
}

fn reports(entry: &Entry, warnings: &mut Warnings) -> Result<Vec<String>> {
    let mut dotenv = Vec::new();
    for part in read::map(&entry.value, "artifacts:reports", REPORTS)? {
        match part.key.as_str() {
            "dotenv" => dotenv = read::words(part)?,
            key => {
                let key = format!("artifacts:reports:{key}");
                warnings.push(error::no_effect(&part.at, &key));
            }
        }
    }
    Ok(dotenv)
}

pub fn caches(entry: &Entry, warnings: &mut Warnings) -> Result<Vec<CacheKey>> {
    let mut out = Vec::new();
    read::flatten(&entry.value, 0, &mut |node| {
        out.push(cache(node, warnings)?);
        Ok(())
    })?;
    if out.len() > MAX_CACHES {
        let wanted = ("at most four caches", "캐시를 최대 네 개까지");
        return Err(error::wanted(&entry.value.at, "cache", wanted));
    }
    out.retain(|c: &CacheKey| !c.cache.paths.is_empty());
    Ok(out)
}

fn cache(node: &Node, warnings: &mut Warnings) -> Result<CacheKey> {
    let mut files = Vec::new();
    let mut cache = Cache {
        key: "default".to_owned(),
        fallback: Vec::new(),
        paths: Vec::new(),
        pull: true,
        push: true,
        when: Keep::OnSuccess,
        untracked: false,
    };
    for entry in read::map(node, "cache", CACHE)? {
        match entry.key.as_str() {
            "key" if entry.value.map().is_some() => {
                (cache.key, files) = cache_files(&entry.value)?;
            }
            "key" => cache.key = read::text(entry)?,
            "paths" => cache.paths = read::words(entry)?,
            "policy" => {
                let choices = &[
                    ("pull", (true, false)),
                    ("push", (false, true)),
                    ("pull-push", (true, true)),
                ];
                (cache.pull, cache.push) = read::choice(entry, choices)?;
            }
            "when" => cache.when = read::choice(entry, KEEP)?,
            "fallback_keys" => cache.fallback = read::words(entry)?,
            "untracked" if read::flag(entry)? => {
                let hint = Text::fixed("name the files in `paths`", "파일을 `paths`에 적으세요");
                return Err(error::unsupported(&entry.at, "cache:untracked", hint));
            }
            "unprotect" if read::flag(entry)? => {
                warnings.push(error::no_effect(&entry.at, "cache:unprotect"));
            }
            // False is what happens anyway.
            _ => {}
        }
    }
    Ok(CacheKey { files, cache })
}

/// `key: { files: [a.lock], prefix: x }`: the prefix, and the files whose contents make the key.
fn cache_files(node: &Node) -> Result<(String, Vec<String>)> {
    let (mut prefix, mut files) = (String::new(), Vec::new());
    for entry in read::map(node, "cache:key", &["files", "prefix"])? {
        match entry.key.as_str() {
            "files" => files = read::words(entry)?,
            _ => prefix = read::text(entry)?,
        }
    }
    if files.is_empty() || files.len() > 10 {
        return Err(error::wanted(&node.at, "cache:key:files", ("1 to 10 files", "파일 1~10개를")));
    }
    Ok((prefix, files))
}

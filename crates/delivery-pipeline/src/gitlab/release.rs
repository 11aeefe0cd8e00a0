//! What becomes of a job that passed: `release` and `pages`.

use super::error;
use super::job::Warnings;
use super::keywords::RELEASE;
use super::predefined::slug;
use super::read;
use super::yaml::{At, Entry, Node};
use crate::variables::Scope;
use crate::work::{Site, TagRelease};
use kernel::{Result, Time};
use std::sync::Arc;

/// The directory of a site when the job does not name another one, and the job that needs not say that it
/// has one.
const PUBLIC: &str = "public";
pub const PAGES: &str = "pages";

pub fn release(entry: &Entry, warnings: &mut Warnings) -> Result<TagRelease> {
    let mut found = TagRelease {
        tag: String::new(),
        message: None,
        name: None,
        description: String::new(),
        description_file: None,
        target: None,
        released_at: None,
        links: Vec::new(),
    };
    for part in read::map(&entry.value, "release", RELEASE)? {
        match part.key.as_str() {
            "tag_name" => found.tag = read::text(part)?,
            "tag_message" => found.message = Some(read::text(part)?),
            "name" => found.name = Some(read::text(part)?),
            "description" => found.description = read::text(part)?,
            "ref" => found.target = Some(read::text(part)?),
            "released_at" => found.released_at = Some(moment(part)?),
            "assets" => found.links = links(part, warnings)?,
            _ => {
                read::words(part)?;
                warnings.push(error::no_effect(&part.at, "release:milestones"));
            }
        }
    }
    if found.tag.is_empty() || found.description.is_empty() {
        let wanted = ("`tag_name` and `description`", "`tag_name`과 `description`을");
        return Err(error::wanted(&entry.value.at, "release", wanted));
    }
    found.description_file = file_name(&found.description);
    Ok(found)
}

/// A description of one word that could be a path is one, if there is such a file.
fn file_name(words: &str) -> Option<String> {
    let one = words.len() <= 255 && !words.contains(char::is_whitespace);
    (one && words.contains(['.', '/'])).then(|| words.to_owned())
}

fn moment(entry: &Entry) -> Result<String> {
    let words = read::text(entry)?;
    if words.contains('$') || Time::parse(&words).is_some() {
        return Ok(words);
    }
    let wanted = ("a time such as `2026-03-15T08:00:00Z`", "`2026-03-15T08:00:00Z` 같은 시각을");
    Err(error::wanted(&entry.value.at, "released_at", wanted))
}

fn links(entry: &Entry, warnings: &mut Warnings) -> Result<Vec<(String, String)>> {
    let mut out = Vec::new();
    for part in read::map(&entry.value, "assets", &["links"])? {
        read::flatten(&part.value, 0, &mut |node| {
            out.push(link(node, warnings)?);
            Ok(())
        })?;
    }
    Ok(out)
}

fn link(node: &Arc<Node>, warnings: &mut Warnings) -> Result<(String, String)> {
    let (mut name, mut url) = (String::new(), String::new());
    let known = ["name", "url", "filepath", "link_type"];
    let types = [("runbook", ()), ("package", ()), ("image", ()), ("other", ())];
    for part in read::map(node, "links", &known)? {
        match part.key.as_str() {
            "name" => name = read::text(part)?,
            "url" => url = read::text(part)?,
            "link_type" => read::choice(part, &types)?,
            _ => warnings.push(error::no_effect(&part.at, "release:assets:links:filepath")),
        }
    }
    if name.is_empty() || url.is_empty() {
        let wanted = ("a `name` and a `url` in each item", "항목마다 `name`과 `url`을");
        return Err(error::wanted(&node.at, "links", wanted));
    }
    Ok((name, url))
}

/// `pages: true`, or more about the site.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pages {
    /// Whether there is a site.
    pub published: bool,
    dir: Option<String>,
    prefix: String,
    expire: Option<(String, At)>,
}

pub fn pages(entry: &Entry) -> Result<Pages> {
    if entry.value.map().is_none() {
        return Ok(Pages { published: read::flag(entry)?, ..Pages::default() });
    }
    let mut pages = Pages { published: true, ..Pages::default() };
    for part in read::map(&entry.value, "pages", &["path_prefix", "expire_in", "publish"])? {
        match part.key.as_str() {
            "publish" => pages.dir = Some(read::text(part)?),
            "path_prefix" => pages.prefix = read::text(part)?,
            _ => pages.expire = Some((read::text(part)?, part.value.at.clone())),
        }
    }
    Ok(pages)
}

/// The site of a job. One that is called `pages` has one unless it says no; `publish` is the elder word
/// for the directory.
///
/// # Errors
/// `pipeline.value` for a time that is none once its variables are known.
pub fn site(
    job: &str,
    pages: Option<&Pages>,
    publish: Option<&str>,
    scope: &Scope,
) -> Result<Option<Site>> {
    let usual = Pages { published: job == PAGES, ..Pages::default() };
    let pages = pages.unwrap_or(&usual);
    if !pages.published {
        return Ok(None);
    }
    let expire_ms = match &pages.expire {
        Some((words, at)) => read::expiry(&scope.expand(words), at, "expire_in")?,
        None => None,
    };
    Ok(Some(Site {
        dir: pages.dir.as_deref().or(publish).unwrap_or(PUBLIC).to_owned(),
        prefix: slug(&scope.expand(&pages.prefix)),
        expire_ms,
    }))
}

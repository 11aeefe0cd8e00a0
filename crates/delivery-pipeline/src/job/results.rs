//! Machine-readable results, and what is published of a job that passed.

use super::Job;
use crate::keep;
use crate::variables::Scope;
use crate::work::{Output, Reports, TagRelease};
use blob::{Choose, Entry, Held, LINK};
use kernel::journey::ReportFile;
use kernel::{Result, Text, text};

/// Files of reports of one job.
const MAX_REPORTS: usize = 1_000;
/// Bytes of one file of a report.
const MAX_REPORT: u64 = 64 << 20;
/// Bytes of all of them together.
const MAX_REPORT_BYTES: u64 = 256 << 20;
/// Files that a report's globs may match before nobody can have meant it.
const MAX_MATCHES: u64 = 10_000;
/// Bytes of an output as JSON; less than what the engine takes, which counts otherwise.
pub(super) const MAX_OUTPUT: usize = 60 * 1024;
/// Bytes of an output kept free for what comes after the reports: a site, a tag, figures.
pub(super) const MAX_REST: usize = 8 * 1024;

/// The files of one report.
#[derive(Default)]
struct Found {
    files: Vec<ReportFile>,
    /// Keeps them until the run refers to them.
    held: Option<Held>,
    /// Whether nothing that matches is missing.
    complete: bool,
}

/// What still fits of a job's reports.
struct Room {
    files: usize,
    bytes: u64,
    json: usize,
}

impl Room {
    /// Takes the room of a file, if there is so much.
    fn take(&mut self, file: &ReportFile) -> bool {
        let json = json_size(file) + 1;
        let fits = self.files > 0 && file.size <= self.bytes && json <= self.json;
        if fits {
            self.files -= 1;
            self.bytes -= file.size;
            self.json -= json;
        }
        fits
    }
}

impl Job {
    /// Each file of each report, as a blob that the run refers to; of failed jobs, too: theirs are the
    /// ones that people read. What is wrong with them is said and does not change the job's result; the
    /// answer says whether they are all there. `json` is how many bytes their list may have.
    pub(super) async fn reports(&self, json: usize) -> Result<(Vec<ReportFile>, bool)> {
        let mut room = Room { files: MAX_REPORTS, bytes: MAX_REPORT_BYTES, json };
        let (mut kept, mut beyond, mut complete) = (Vec::new(), 0, true);
        for reports in &self.work.reports {
            let found = match self.report_files(reports).await {
                Ok(found) => found,
                Err(error) => {
                    let (format, Text { en, ko }) = (&reports.format, error.sentence());
                    self.note(&text!(
                        "{format} reports are not kept: {en}",
                        "{format} 보고서를 보관하지 못했습니다: {ko}"
                    ));
                    Found::default()
                }
            };
            complete &= found.complete;
            let (fit, over): (Vec<_>, Vec<_>) = found.files.into_iter().partition(|f| room.take(f));
            beyond += over.len();
            self.refer(fit.iter().map(|file| file.blob.clone()).collect(), None).await?;
            drop(found.held);
            kept.extend(fit);
        }
        if beyond > 0 {
            let (fit, most) = (kept.len(), MAX_REPORT_BYTES >> 20);
            self.note(&text!(
                "{beyond} report files are left out: {fit} fit, at most {MAX_REPORTS} with {most} MiB and a list of {json} bytes",
                "보고서 파일 {beyond}개를 제외하고 {fit}개만 보관했습니다. 한도는 {MAX_REPORTS}개, {most}MiB, 목록 {json}바이트입니다"
            ));
        }
        Ok((kept, complete && beyond == 0))
    }

    async fn report_files(&self, reports: &Reports) -> Result<Found> {
        let choose = Choose {
            include: self.globs(&reports.paths),
            limit_each: MAX_REPORT,
            ..Choose::all(u64::MAX, MAX_MATCHES)
        };
        let (format, paths) = (&reports.format, reports.paths.join(", "));
        let Some(held) = self.collect(choose).await? else {
            self.note(&text!(
                "no files match the {format} report {paths}",
                "{format} 보고서 {paths}에 맞는 파일이 없습니다"
            ));
            return Ok(Found { complete: true, ..Found::default() });
        };
        let entries = self.parts.blobs.tree(&held.hash).await?.entries;
        let (links, files): (Vec<Entry>, Vec<Entry>) =
            entries.into_iter().partition(|e| e.mode == LINK);
        let (large, links, most) = (held.left_out, links.len(), MAX_REPORT >> 20);
        let complete = large == 0 && links == 0;
        if !complete {
            self.note(&text!(
                "of the {format} report {paths} are left out: {large} files over {most} MiB, {links} links",
                "{format} 보고서 {paths}에서 {most}MiB를 넘는 파일 {large}개와 링크 {links}개를 제외했습니다"
            ));
        }
        let file = |e: Entry| ReportFile {
            format: format.clone(),
            path: e.path,
            blob: e.hash,
            size: e.size,
        };
        let files = files.into_iter().map(file).collect();
        Ok(Found { files, held: Some(held), complete })
    }

    /// Adds what a job that passed makes public. The answer says what is missing for it, if anything is.
    pub(super) async fn publish(&self, output: &mut Output) -> Result<Option<Text>> {
        let scope = self.scope_with(&output.variables);
        if let Some(site) = &self.work.site {
            let dir = scope.expand(&site.dir);
            output.site = self.site(&dir).await?;
            if output.site.is_none() {
                return Ok(Some(text!(
                    "there are no files in {dir}, which is to be published as a site",
                    "사이트로 게시할 {dir}에 파일이 없습니다"
                )));
            }
        }
        if let Some(tag) = &self.work.tag {
            let tag = self.tag(tag, &scope).await?;
            let room = MAX_OUTPUT.saturating_sub(json_size(output) + json_size(&tag.links));
            output.tag = Some(self.shortened(tag, room));
        }
        Ok(None)
    }

    /// The tree of the files below `dir`.
    async fn site(&self, dir: &str) -> Result<Option<String>> {
        let dirs = self.globs(&[dir.trim_end_matches('/').to_owned()]);
        let Some(dir) = dirs.into_iter().next() else { return Ok(None) };
        let whole = dir == "**";
        let include = if whole { dir.clone() } else { format!("{}/**", glob_literal(&dir)) };
        let choose = self.parts.limits.artifacts.choose(vec![include], Vec::new());
        let blobs = &self.parts.blobs;
        let Some(held) = self.collect(choose).await? else { return Ok(None) };
        let mut entries = blobs.tree(&held.hash).await?.entries;
        // Whoever asks for a page of the site gets a file of it, never what a link names.
        entries.retain(|e| e.mode != LINK);
        if !whole {
            let below = format!("{dir}/");
            for entry in &mut entries {
                entry.path = entry.path.strip_prefix(&below).unwrap_or(&entry.path).to_owned();
            }
        }
        if entries.is_empty() {
            return Ok(None);
        }
        let site = blobs.put_entries(entries).await?;
        self.refer(vec![site.hash.clone()], None).await?;
        Ok(Some(site.hash.clone()))
    }

    /// With its variables expanded, and the description read from its file, if there is one.
    async fn tag(&self, tag: &TagRelease, scope: &Scope) -> Result<TagRelease> {
        let expand = |words: &String| self.secrets.hidden(&scope.expand(words));
        let read = match &tag.description_file {
            Some(file) => self.text_of(&scope.expand(file)).await?,
            None => None,
        };
        let description = match read {
            Some(text) => self.secrets.hidden(&text),
            None => expand(&tag.description),
        };
        if let Some(file) = tag.description_file.as_ref().filter(|_| description.is_empty()) {
            let path = scope.expand(file);
            self.note(&text!(
                "there is no text in {path}: the release has no description",
                "{path}에 내용이 없어 릴리스에 설명이 없습니다"
            ));
        }
        Ok(TagRelease {
            tag: expand(&tag.tag),
            message: tag.message.as_ref().map(expand),
            name: tag.name.as_ref().map(expand),
            description,
            description_file: None,
            target: tag.target.as_ref().map(expand),
            released_at: tag.released_at.as_ref().map(expand),
            links: tag.links.iter().map(|(n, u)| (expand(n), expand(u))).collect(),
        })
    }

    /// The text of a file of the job; `None` when there is no such file, or it is too long.
    async fn text_of(&self, path: &str) -> Result<Option<String>> {
        let (paths, _) = keep::inside(&self.work.dir, &[path.to_owned()]);
        let Some(path) = paths.first() else { return Ok(None) };
        let choose = Choose {
            include: vec![glob_literal(path)],
            limit_each: MAX_OUTPUT as u64,
            ..Choose::all(u64::MAX, MAX_MATCHES)
        };
        let blobs = &self.parts.blobs;
        let Some(held) = self.collect(choose).await? else { return Ok(None) };
        let entries = blobs.tree(&held.hash).await?.entries;
        let Some(entry) = entries.iter().find(|e| e.path == *path && e.mode != LINK) else {
            return Ok(None);
        };
        let bytes = blobs.get(&entry.hash, MAX_OUTPUT as u64).await?;
        Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
    }

    /// The description cut so that the whole fits into the engine's output.
    fn shortened(&self, mut tag: TagRelease, room: usize) -> TagRelease {
        let before = tag.description.len();
        while json_size(&tag) > room && !tag.description.is_empty() {
            let over = (json_size(&tag) - room).div_ceil(2).max(1);
            let mut end = tag.description.len().saturating_sub(over);
            while !tag.description.is_char_boundary(end) {
                end -= 1;
            }
            tag.description.truncate(end);
        }
        if tag.description.len() < before {
            let kept = tag.description.len();
            self.note(&text!(
                "the description of the release is cut after {kept} of {before} bytes",
                "릴리스 설명을 {before}바이트 중 {kept}바이트에서 잘랐습니다"
            ));
        }
        tag
    }
}

pub(super) fn json_size(value: &impl serde::Serialize) -> usize {
    serde_json::to_string(value).map_or(0, |json| json.len())
}

/// A path as a glob that matches nothing else.
fn glob_literal(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for c in path.chars() {
        if "*?[]{}\\".contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

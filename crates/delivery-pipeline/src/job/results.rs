//! Machine-readable results, and what is published of a job that passed.

use super::Job;
use crate::keep;
use crate::variables::Scope;
use crate::work::{Output, Reports, TagRelease};
use blob::{Choose, Entry, LINK};
use kernel::journey::ReportFile;
use kernel::{Result, Text, text};

/// Files of reports of one job.
const MAX_REPORTS: usize = 100;
/// Bytes of one file of a report.
const MAX_REPORT: u64 = 64 << 20;
/// Bytes of all names of report files: an output of the engine has 64 KiB for everything.
const MAX_REPORT_NAMES: usize = 12 * 1024;
/// Files that a report's globs may match before nobody can have meant it.
const MAX_MATCHES: u64 = 10_000;
/// Bytes of an output as JSON; less than what the engine takes, which counts otherwise.
const MAX_OUTPUT: usize = 60 * 1024;

impl Job {
    /// Each file of each report, as a blob that the run refers to; of failed jobs, too: theirs are the
    /// ones that people read. What is wrong with them is said and does not change the job's result.
    pub(super) async fn reports(&self) -> Result<Vec<ReportFile>> {
        let mut found = Vec::new();
        let mut beyond = 0;
        for reports in &self.work.reports {
            let files = match self.report_files(reports).await {
                Ok(files) => files,
                Err(error) => {
                    let (format, Text { en, ko }) = (&reports.format, error.sentence());
                    self.note(&text!(
                        "{format} reports are not kept: {en}",
                        "{format} 보고서를 보관하지 못했습니다: {ko}"
                    ));
                    continue;
                }
            };
            for file in files {
                let names: usize = found.iter().map(|f: &ReportFile| f.path.len()).sum();
                let fits = found.len() < MAX_REPORTS && names + file.path.len() <= MAX_REPORT_NAMES;
                if fits { found.push(file) } else { beyond += 1 }
            }
        }
        if beyond > 0 {
            self.note(&text!(
                "{beyond} report files are beyond the limit of {MAX_REPORTS} and are left out",
                "보고서 파일 {beyond}개가 한도 {MAX_REPORTS}개를 넘어 제외했습니다"
            ));
        }
        Ok(found)
    }

    async fn report_files(&self, reports: &Reports) -> Result<Vec<ReportFile>> {
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
            return Ok(Vec::new());
        };
        let entries = self.parts.blobs.tree(&held.hash).await?.entries;
        let (links, files): (Vec<Entry>, Vec<Entry>) =
            entries.into_iter().partition(|e| e.mode == LINK);
        let (large, links, most) = (held.left_out, links.len(), MAX_REPORT >> 20);
        if large > 0 || links > 0 {
            self.note(&text!(
                "of the {format} report {paths} are left out: {large} files over {most} MiB, {links} links",
                "{format} 보고서 {paths}에서 {most}MiB를 넘는 파일 {large}개와 링크 {links}개를 제외했습니다"
            ));
        }
        self.refer(files.iter().map(|e| e.hash.clone()).collect(), None).await?;
        let file = |e: Entry| ReportFile {
            format: format.clone(),
            path: e.path,
            blob: e.hash,
            size: e.size,
        };
        Ok(files.into_iter().map(file).collect())
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

    /// With its variables expanded, and the description read from its file.
    async fn tag(&self, tag: &TagRelease, scope: &Scope) -> Result<TagRelease> {
        let expand = |words: &String| self.secrets.hidden(&scope.expand(words));
        let mut description = expand(&tag.description);
        if let Some(file) = tag.description_file.as_ref().filter(|_| description.is_empty()) {
            let path = scope.expand(file);
            description =
                self.text_of(&path).await?.map(|text| self.secrets.hidden(&text)).unwrap_or_else(
                    || {
                        self.note(&text!(
                            "there is no file {path}: the release has no description",
                            "{path} 파일이 없어 릴리스에 설명이 없습니다"
                        ));
                        String::new()
                    },
                );
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

fn json_size(value: &impl serde::Serialize) -> usize {
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

//! Reading a repository for pages, the API and commands.
//!
//! Callers have decided already that the reader may see the project. A revision is the name of a branch or
//! tag or (the beginning of) a commit id; it is turned into a whole object id here, and only that goes on
//! to git.

use crate::object::{self, Reader};
use crate::refs::{self, Refs};
use crate::tree::{self, Line};
use crate::{Git, Repository, diff, refname};
use kernel::journey::Commit;
use kernel::{Error, Name, Result, Text, shown, text};
use serde::Serialize;

pub use diff::{DiffLine, FileDiff, Hunk, LineKind, Status};

/// The largest file shown, in bytes.
pub const SHOWN: u64 = 1024 * 1024;
/// Commits of one page of a log.
pub const PAGE: usize = 50;
/// How far back a log goes.
const FAR: usize = 100_000;
/// Branches and tags of one answer.
const REFS: usize = 5_000;

/// A branch or tag.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RefView {
    /// `main`, `v1.0`
    pub name: String,
    /// The object id; for an annotated tag that of the tag.
    pub id: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RefsView {
    pub default_branch: String,
    pub branches: Vec<RefView>,
    pub tags: Vec<RefView>,
}

/// One page of commits, newest first.
#[derive(Clone, Debug, Serialize)]
pub struct LogView {
    /// The commit at which the log starts.
    pub from: String,
    pub commits: Vec<Commit>,
    /// What to skip to get the next page.
    pub next: Option<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ItemKind {
    Directory,
    File,
    Link,
    Submodule,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Item {
    pub name: String,
    pub kind: ItemKind,
    pub executable: bool,
    /// Bytes, of files and links.
    pub size: Option<u64>,
    pub object: String,
}

/// One directory of a commit: directories first, then by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DirectoryView {
    pub commit: String,
    pub path: String,
    pub items: Vec<Item>,
}

/// One file of a commit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FileView {
    pub commit: String,
    pub path: String,
    pub kind: ItemKind,
    pub executable: bool,
    pub size: u64,
    /// Has a zero byte in its first 8,000 bytes, which is git's own test.
    pub binary: bool,
    pub too_large: bool,
    /// What is not UTF-8 is shown as U+FFFD. `None` when binary or too large.
    pub text: Option<String>,
}

/// A commit with what it changed against its first parent.
#[derive(Clone, Debug, Serialize)]
pub struct CommitView {
    pub commit: Commit,
    /// The whole message.
    pub message: String,
    pub files: Vec<FileDiff>,
    pub added: usize,
    pub removed: usize,
    /// More files changed than are shown.
    pub truncated: bool,
}

impl Git {
    /// # Errors
    /// `repository.unknown`.
    pub async fn refs(&self, project: &Name, repository: &Name) -> Result<RefsView> {
        let spec = self.spec(project, repository).await?;
        let all = self.all_refs(project, repository).await?;
        let under = |prefix: &str| -> Vec<RefView> {
            let view = |(name, id): (&String, &String)| {
                let name = name.strip_prefix(prefix)?.to_owned();
                Some(RefView { name, id: id.clone() })
            };
            all.iter().filter_map(view).take(REFS).collect()
        };
        let (branches, tags) = (under("refs/heads/"), under("refs/tags/"));
        Ok(RefsView { default_branch: spec.default_branch, branches, tags })
    }

    /// The commit that `revision` names. `None` and `HEAD` name the default branch.
    ///
    /// # Errors
    /// `repository.unknown`, `revision.unknown`; `repository.empty` when the default branch has no commit.
    pub async fn resolve(
        &self,
        project: &Name,
        repository: &Name,
        revision: Option<&str>,
    ) -> Result<String> {
        let spec = self.spec(project, repository).await?;
        let head = revision.is_none_or(|r| r.is_empty() || r == "HEAD");
        let revision = if head { &spec.default_branch } else { revision.unwrap_or_default() };
        let dir = self.path(project, repository);
        let name = revision.to_owned();
        let found = tokio::task::spawn_blocking(move || named(&dir, &name));
        let found = found.await.map_err(Error::internal)??;
        let partial =
            (4..=40).contains(&revision.len()) && revision.bytes().all(|b| b.is_ascii_hexdigit());
        let id = match found {
            Some(id) => id,
            None if partial => revision.to_ascii_lowercase(),
            None if head => return Err(empty(&spec)),
            None => return Err(unknown_revision(revision)),
        };
        let pool = &self.opened(project, repository).pool;
        let commit = pool.with(move |r| r.commit(&id)).await;
        commit.map(|c| c.id).map_err(|e| match e.kind() {
            kernel::ErrorKind::NotFound => unknown_revision(revision),
            _ => e,
        })
    }

    /// A page of the commits that lead to `revision`, those that touched `path` if there is one.
    ///
    /// # Errors
    /// As [`Git::resolve`].
    pub async fn log(
        &self,
        project: &Name,
        repository: &Name,
        revision: Option<&str>,
        path: Option<&str>,
        skip: usize,
        limit: usize,
    ) -> Result<LogView> {
        let from = self.resolve(project, repository, revision).await?;
        let (skip, limit) = (skip.min(FAR), limit.clamp(1, 500));
        let mut args = vec![
            "rev-list".to_owned(),
            format!("--skip={skip}"),
            format!("--max-count={}", limit + 1),
            "--end-of-options".to_owned(),
            from.clone(),
            "--".to_owned(),
        ];
        args.extend(path.map(tree::path).transpose()?.filter(|p| !p.is_empty()));
        let out = self.shared.git.output(&self.path(project, repository), &args).await?;
        let words = String::from_utf8_lossy(&out).into_owned();
        let mut ids: Vec<String> = words.lines().map(str::to_owned).collect();
        let next = (ids.len() > limit).then_some(skip + limit);
        ids.truncate(limit);
        let pool = &self.opened(project, repository).pool;
        let read = move |r: &mut Reader| ids.iter().map(|id| r.commit(id)).collect::<Result<_>>();
        Ok(LogView { from, commits: pool.with(read).await?, next })
    }

    /// What is in a directory.
    ///
    /// # Errors
    /// `path.unknown`, and as [`Git::resolve`].
    pub async fn directory(
        &self,
        project: &Name,
        repository: &Name,
        revision: Option<&str>,
        path: &str,
    ) -> Result<DirectoryView> {
        let path = tree::path(path)?;
        let commit = self.resolve(project, repository, revision).await?;
        let (id, below) = (commit.clone(), path.clone());
        let pool = &self.opened(project, repository).pool;
        let items = pool.with(move |r| {
            let (_, root, _) = r.commit_and_text(&id)?;
            let lines = descend(r, root, &below)?;
            items(r, &lines)
        });
        Ok(DirectoryView { items: items.await?, commit, path })
    }

    /// A file and its text.
    ///
    /// # Errors
    /// `path.unknown`, and as [`Git::resolve`].
    pub async fn file_view(
        &self,
        project: &Name,
        repository: &Name,
        revision: Option<&str>,
        path: &str,
    ) -> Result<FileView> {
        let (line, found, commit, path) = self.blob(project, repository, revision, path).await?;
        let too_large = found.size > SHOWN;
        let bytes = if too_large {
            Vec::new()
        } else {
            let id = line.object.clone();
            let pool = &self.opened(project, repository).pool;
            pool.with(move |r| r.object(&id, SHOWN)).await?.1
        };
        let binary = diff::is_binary(&bytes);
        let text = (!too_large && !binary).then(|| String::from_utf8_lossy(&bytes).into_owned());
        let (kind, executable) = (kind_of(&line), line.file_mode() == tree::EXECUTABLE);
        Ok(FileView { commit, path, kind, executable, size: found.size, binary, too_large, text })
    }

    /// A file's bytes as they are.
    ///
    /// # Errors
    /// `path.unknown`, `object.too-large`, and as [`Git::resolve`].
    pub async fn raw(
        &self,
        project: &Name,
        repository: &Name,
        revision: Option<&str>,
        path: &str,
        limit: u64,
    ) -> Result<Vec<u8>> {
        let (line, _, _, _) = self.blob(project, repository, revision, path).await?;
        let pool = &self.opened(project, repository).pool;
        pool.with(move |r| r.object(&line.object, limit)).await.map(|(_, bytes)| bytes)
    }

    async fn blob(
        &self,
        project: &Name,
        repository: &Name,
        revision: Option<&str>,
        path: &str,
    ) -> Result<(Line, object::Found, String, String)> {
        let path = tree::path(path)?;
        let commit = self.resolve(project, repository, revision).await?;
        let (id, wanted) = (commit.clone(), path.clone());
        let pool = &self.opened(project, repository).pool;
        let found = pool.with(move |r| {
            let (_, root, _) = r.commit_and_text(&id)?;
            let (parent, name) = wanted.rsplit_once('/').unwrap_or(("", &wanted));
            let lines = descend(r, root, parent)?;
            let line = lines.into_iter().find(|l| l.name == name.as_bytes());
            let line = line.filter(|l| !l.is_directory() && !l.is_submodule());
            let line = line.ok_or_else(|| unknown_path(&wanted))?;
            let found = r.info(&[&line.object])?.into_iter().next().flatten();
            let found = found.ok_or_else(|| object::missing(&line.object))?;
            Ok((line, found))
        });
        let (line, found) = found.await?;
        Ok((line, found, commit, path))
    }

    /// A commit and its diff against its first parent.
    ///
    /// # Errors
    /// As [`Git::resolve`].
    pub async fn commit_view(
        &self,
        project: &Name,
        repository: &Name,
        revision: &str,
    ) -> Result<CommitView> {
        let id = self.resolve(project, repository, Some(revision)).await?;
        let pool = self.opened(project, repository).pool.clone();
        let (commit, _, message) = pool.with(move |r| r.commit_and_text(&id)).await?;
        let dir = self.path(project, repository);
        let changes = diff::changes(&self.shared.git, &dir, &commit).await?;
        let truncated = changes.len() > diff::FILES;
        let files = pool.with(move |r| diff::files(r, &changes)).await?;
        let added = files.iter().map(|f| f.added).sum();
        let removed = files.iter().map(|f| f.removed).sum();
        Ok(CommitView { commit, message, files, added, removed, truncated })
    }

    pub(crate) async fn all_refs(&self, project: &Name, repository: &Name) -> Result<Refs> {
        let dir = self.path(project, repository);
        tokio::task::spawn_blocking(move || refs::all(&dir)).await.map_err(Error::internal)?
    }
}

/// A branch before a tag, a tag before anything by its full name.
fn named(dir: &std::path::Path, revision: &str) -> Result<Option<String>> {
    for prefix in ["refs/heads/", "refs/tags/", ""] {
        let name = format!("{prefix}{revision}");
        let ours = name.starts_with("refs/heads/") || name.starts_with("refs/tags/");
        if ours
            && refname::check(&name).is_ok()
            && let Some(id) = refs::one(dir, &name)?
        {
            return Ok(Some(id));
        }
    }
    Ok(None)
}

fn descend(reader: &mut Reader, root: String, path: &str) -> Result<Vec<Line>> {
    let mut id = root;
    for component in path.split('/').filter(|c| !c.is_empty()) {
        let lines = read_tree(reader, &id)?;
        let below = lines.into_iter().find(|l| l.is_directory() && l.name == component.as_bytes());
        id = below.ok_or_else(|| unknown_path(path))?.object;
    }
    read_tree(reader, &id)
}

fn read_tree(reader: &mut Reader, id: &str) -> Result<Vec<Line>> {
    let mut bytes = Vec::new();
    reader.tree_bytes(&[id], &mut bytes)?;
    tree::parse(bytes.first().map_or(&[], Vec::as_slice))
}

fn items(reader: &mut Reader, lines: &[Line]) -> Result<Vec<Item>> {
    let ids: Vec<&str> = lines.iter().map(|l| l.object.as_str()).collect();
    let found = reader.info(&ids)?;
    let item = |(line, found): (&Line, Option<object::Found>)| {
        let kind = kind_of(line);
        let sized = matches!(kind, ItemKind::File | ItemKind::Link);
        Item {
            name: String::from_utf8_lossy(&line.name).into_owned(),
            kind,
            executable: kind == ItemKind::File && line.file_mode() == tree::EXECUTABLE,
            size: found.filter(|_| sized).map(|f| f.size),
            object: line.object.clone(),
        }
    };
    let mut items: Vec<Item> = lines.iter().zip(found).map(item).collect();
    items.sort_by(|a, b| {
        let directory = |i: &Item| i.kind != ItemKind::Directory;
        directory(a).cmp(&directory(b)).then_with(|| a.name.cmp(&b.name))
    });
    Ok(items)
}

fn kind_of(line: &Line) -> ItemKind {
    match line {
        l if l.is_directory() => ItemKind::Directory,
        l if l.is_submodule() => ItemKind::Submodule,
        l if l.file_mode() == tree::LINK => ItemKind::Link,
        _ => ItemKind::File,
    }
}

fn unknown_revision(revision: &str) -> Error {
    let shown = shown(revision);
    Error::not_found(
        "revision.unknown",
        text!(
            "there is no branch, tag or commit “{shown}”",
            "“{shown}” 브랜치, 태그, 커밋이 없습니다"
        ),
    )
}

fn unknown_path(path: &str) -> Error {
    let shown = shown(path);
    Error::not_found(
        "path.unknown",
        text!("the commit has no “{shown}”", "커밋에 “{shown}”이(가) 없습니다"),
    )
}

fn empty(spec: &Repository) -> Error {
    let branch = &spec.default_branch;
    Error::not_found(
        "repository.empty",
        text!("branch {branch} has no commit yet", "{branch} 브랜치에 아직 커밋이 없습니다"),
    )
    .hint(Text::fixed("push one", "먼저 푸시하세요"))
}

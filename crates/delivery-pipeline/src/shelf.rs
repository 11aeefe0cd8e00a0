//! The server's library: the commit itself, repositories of this naru that whoever started the pipeline may
//! read, and hosts that the operator allows.

use crate::Parts;
use crate::gitlab::{self, Component, Context, Files, Got, Home, MAX_FILE, Wanted};
use crate::library::Library;
use crate::tip::{self, Tip};
use crate::{others, versions};
use kernel::{BoxFuture, Error, ErrorKind, Name, Principal, Result, Text, shown, text};
use policy::Permission;
use std::collections::{BTreeMap, BTreeSet};

/// Tags looked through for the newest version of a component.
const MAX_TAGS: usize = 10_000;

pub(crate) struct Shelf<'a> {
    pub parts: &'a Parts,
    /// The commit; `None`: the file came alone.
    pub tip: Option<&'a Tip>,
    /// Who asks.
    pub who: &'a Principal,
    /// Files that lie over the commit's.
    pub laid: &'a BTreeMap<String, Vec<u8>>,
}

/// A commit of a repository that may be read.
struct Spot {
    project: Name,
    repository: Name,
    commit: String,
}

impl Library for Shelf<'_> {
    fn find<'a>(&'a self, wanted: &'a Wanted) -> BoxFuture<'a, Result<Got>> {
        Box::pin(async move {
            if let (Some(others), Some((path, ask))) = (&self.parts.others, others::asked(wanted))
                && !self.is_own(path)
            {
                return others.find(path, &ask).await;
            }
            let found = match wanted {
                Wanted::File { home: Home::Here, path } => return self.own(path).await,
                Wanted::File { home: Home::Repository { path, refname }, path: file } => {
                    self.file(path, refname.as_deref(), file).await
                }
                Wanted::Paths { home } => self.paths(home).await,
                Wanted::Component { path, name, reference } => {
                    self.component(path, name, reference).await
                }
                Wanted::Remote { url } => {
                    return Ok(match &self.parts.others {
                        Some(others) => others.remote(url).await,
                        None => crate::remote::fetch(url, &self.parts.remote_hosts).await,
                    });
                }
                Wanted::Template { .. } => return Ok(Got::Absent),
            };
            match found {
                Err(error) if error.kind() == ErrorKind::Invalid => Ok(Got::Refused(error)),
                found => found,
            }
        })
    }

    fn look<'a>(&'a self, files: &'a Files, context: &'a mut Context) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let Some(Tip { project, repository, commit, .. }) = self.tip else {
                return Ok(());
            };
            let before = context.before.clone();
            let asks = gitlab::asks(files);
            let source = &self.parts.source;
            if asks.tree && context.tree.is_empty() {
                context.tree = source.tree(project, repository, &commit.id).await?;
            }
            if asks.changed && context.changed.is_none() && before.is_some() {
                let changed = source.changed(project, repository, before.as_deref(), &commit.id);
                // After a forced push the old commit may be gone: then there is nothing to compare with.
                context.changed =
                    changed.await.ok().map(|paths| paths.into_iter().collect::<BTreeSet<_>>());
            }
            Ok(())
        })
    }
}

impl Shelf<'_> {
    /// Whether that is the repository of the commit.
    fn is_own(&self, path: &str) -> bool {
        let own = self.tip.map(|tip| format!("{}/{}", tip.project, tip.repository));
        own.is_some_and(|own| own == path)
    }

    /// A file of the commit itself.
    async fn own(&self, path: &str) -> Result<Got> {
        if let Some(bytes) = self.laid.get(path) {
            return Ok(Got::File(bytes.clone()));
        }
        let Some(tip) = self.tip else { return Ok(Got::Absent) };
        let spot = Spot {
            project: tip.project.clone(),
            repository: tip.repository.clone(),
            commit: tip.commit.id.clone(),
        };
        self.read(&spot, path).await
    }

    async fn read(&self, spot: &Spot, path: &str) -> Result<Got> {
        let Spot { project, repository, commit } = spot;
        let found = self.parts.source.file(project, repository, commit, path, MAX_FILE).await;
        match found {
            Ok(Some(bytes)) => Ok(Got::File(bytes)),
            Ok(None) => Ok(Got::Absent),
            Err(e) if e.kind() == ErrorKind::TooLarge => Ok(Got::Refused(e)),
            Err(e) => Err(e),
        }
    }

    async fn file(&self, path: &str, refname: Option<&str>, file: &str) -> Result<Got> {
        let spot = self.spot(path, refname).await?;
        self.read(&spot, file).await
    }

    async fn paths(&self, home: &Home) -> Result<Got> {
        let spot = match home {
            Home::Repository { path, refname } => self.spot(path, refname.as_deref()).await?,
            Home::Here => match self.tip {
                None => return Ok(Got::Paths(Vec::new())),
                Some(tip) => Spot {
                    project: tip.project.clone(),
                    repository: tip.repository.clone(),
                    commit: tip.commit.id.clone(),
                },
            },
        };
        let tree = self.parts.source.tree(&spot.project, &spot.repository, &spot.commit).await?;
        Ok(Got::Paths(tree.into_iter().map(|entry| entry.path).collect()))
    }

    async fn component(&self, path: &str, name: &str, reference: &str) -> Result<Got> {
        let (project, repository) = self.readable(path).await?;
        let exact = match reference {
            "~latest" => None,
            _ => self.commit(&project, &repository, Some(reference)).await?,
        };
        let (version, commit) = match exact {
            Some(commit) => (reference.to_owned(), commit),
            None => self.version(&project, &repository, path, reference).await?,
        };
        let spot = Spot { project, repository, commit };
        for file in versions::component_files(name) {
            match self.read(&spot, &file).await? {
                Got::Absent => {}
                Got::File(bytes) => {
                    let sha = spot.commit;
                    return Ok(Got::Component(Component { bytes, sha, version }));
                }
                other => return Ok(other),
            }
        }
        Ok(Got::Absent)
    }

    /// The newest tag that a part of a version, or `~latest`, stands for.
    async fn version(
        &self,
        project: &Name,
        repository: &Name,
        path: &str,
        reference: &str,
    ) -> Result<(String, String)> {
        let (of, in_) = (project.clone(), repository.clone());
        let tags = self.parts.store.read(move |v| tip::tags(v, &of, &in_, MAX_TAGS)).await?;
        let names: Vec<&str> = tags.iter().map(|(name, _)| name.as_str()).collect();
        let best = versions::newest(&names, reference);
        let found = best.and_then(|best| tags.iter().find(|(name, _)| name == best));
        found.cloned().ok_or_else(|| no_version(path, reference))
    }

    /// The commit of a branch, a tag, or an id in full.
    async fn commit(
        &self,
        project: &Name,
        repository: &Name,
        refname: Option<&str>,
    ) -> Result<Option<String>> {
        let (of, in_, name) = (project.clone(), repository.clone(), refname.map(str::to_owned));
        let find = move |v: &store::View<'_>| match &name {
            Some(name) => tip::find(v, &of, &in_, name),
            None => tip::default(v, &of, &in_),
        };
        if let Some(tip) = self.parts.store.read(find).await? {
            return Ok(Some(tip.commit.id));
        }
        let Some(id) = refname.filter(|r| is_object_id(r)) else { return Ok(None) };
        match self.parts.source.commit(project, repository, id).await {
            Ok(commit) => Ok(Some(commit.id)),
            Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::Invalid) => Ok(None),
            Err(e) => Err(e),
        }
    }

    async fn spot(&self, path: &str, refname: Option<&str>) -> Result<Spot> {
        let (project, repository) = self.readable(path).await?;
        match self.commit(&project, &repository, refname).await? {
            Some(commit) => Ok(Spot { project, repository, commit }),
            None => Err(no_ref(path, refname)),
        }
    }

    /// Whether the repository is there and whoever asks may read it. Neither answer tells the other one.
    async fn readable(&self, path: &str) -> Result<(Name, Name)> {
        let hidden = || hidden(path);
        let (project, repository) = path.split_once('/').ok_or_else(hidden)?;
        let project = Name::parse(project).map_err(|_| hidden())?;
        let repository = Name::parse(repository).map_err(|_| hidden())?;
        if !self.is_own(path) {
            let may = self.parts.policy.may(self.who, Permission::View, &project).await;
            match may.as_ref().map_err(Error::kind) {
                Ok(()) => {}
                Err(ErrorKind::Internal | ErrorKind::Unavailable | ErrorKind::Busy) => may?,
                Err(_) => return Err(hidden()),
            }
            if !self.parts.source.git_dir(&project, &repository).is_dir() {
                return Err(hidden());
            }
        }
        Ok((project, repository))
    }
}

fn is_object_id(words: &str) -> bool {
    matches!(words.len(), 40 | 64) && words.bytes().all(|b| b.is_ascii_hexdigit())
}

fn refused(say: Text) -> Error {
    Error::invalid("pipeline.include", say)
}

fn hidden(path: &str) -> Error {
    let path = shown(path);
    refused(text!(
        "there is no repository {path}, or it is not yours to read",
        "{path} 저장소가 없거나 읽을 권한이 없습니다"
    ))
    .hint(Text::fixed(
        "write it as PROJECT/REPOSITORY; whoever starts the pipeline must be able to see it",
        "프로젝트/저장소 꼴로 쓰세요. 파이프라인을 시작하는 사람이 볼 수 있어야 합니다",
    ))
}

fn no_ref(path: &str, refname: Option<&str>) -> Error {
    let path = shown(path);
    match refname {
        Some(refname) => {
            let refname = shown(refname);
            refused(text!(
                "{path} has no branch, tag or commit `{refname}`",
                "{path}에 `{refname}` 브랜치, 태그, 커밋이 없습니다"
            ))
        }
        None => refused(text!("{path} is empty", "{path} 저장소가 비어 있습니다")),
    }
}

pub(crate) fn no_version(path: &str, reference: &str) -> Error {
    let (path, reference) = (shown(path), shown(reference));
    refused(text!(
        "{path} has no tag, branch or commit for `{reference}`",
        "{path}에 `{reference}`에 해당하는 태그, 브랜치, 커밋이 없습니다"
    ))
    .hint(Text::fixed(
        "versions are tags such as 1.2.0; `~latest` is the newest of them",
        "버전은 1.2.0 같은 태그이며, `~latest`는 그중 최신입니다",
    ))
}

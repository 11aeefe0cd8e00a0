//! The submodules that a job wants: which commits of which repositories lie at which of its paths.
//!
//! Those of repositories of this naru are checked out beside the commit's own files, if whoever started the
//! pipeline may read them. Those of other servers are left to git in the job's own sandbox, which can reach
//! no more than the job's script can.

use super::Job;
use crate::left;
use crate::script::quote;
use crate::submodule::{self, Address, Listed};
use crate::tip;
use crate::work::{Files, Submodules, Work};
use crate::workspace::Module;
use kernel::port::{Gitlink, Nested};
use kernel::{Error, ErrorKind, Name, Principal, Result, Text, shown, text};
use run::Engine;

/// Bytes of a `.gitmodules`.
const MAX_FILE: u64 = 256 * 1024;
/// Submodules of one job.
const MAX_MODULES: usize = 500;
/// Submodules inside of each other.
const MAX_DEPTH: usize = 20;

/// What a job's submodules come to.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    /// Those that are laid out before the job begins, outer ones first.
    pub here: Vec<Module>,
    /// Commands that fetch the others.
    pub commands: Vec<String>,
}

/// A commit whose submodules are looked at.
struct Level {
    /// Where it lies below the job's directory; empty: it is the job's own commit.
    at: String,
    project: Name,
    repository: Name,
    commit: String,
    depth: usize,
}

impl Job {
    /// # Errors
    /// `submodules.unknown`, `submodules.commit`, `submodules.address` and `submodules.depth`, each with the
    /// path; the source's.
    pub(super) async fn submodules(&self) -> Result<Wanted> {
        let Work { repository, commit, checkout, files, .. } = &self.work;
        let mut wanted = Wanted::default();
        if checkout.submodules == Submodules::None || *files == Files::None {
            return Ok(wanted);
        }
        let who = self.actor().await?;
        let mut levels = vec![Level {
            at: String::new(),
            project: self.task.project.clone(),
            repository: repository.clone(),
            commit: commit.clone(),
            depth: 0,
        }];
        while let Some(level) = levels.pop() {
            let below = self.level(&level, &who, &mut wanted).await?;
            if checkout.submodules == Submodules::Recursive {
                levels.extend(below);
            }
        }
        Ok(wanted)
    }

    /// Who started the pipeline: what they may not see, the job does not get.
    async fn actor(&self) -> Result<Principal> {
        let run = self.task.run.clone();
        let head = self.parts.store.read(move |v| Engine::head_in(v, &run)).await?;
        Ok(head.ok_or_else(|| Error::internal("a job without its run"))?.actor)
    }

    /// The submodules of one commit. Answers with those that may have submodules themselves.
    async fn level(
        &self,
        level: &Level,
        who: &Principal,
        wanted: &mut Wanted,
    ) -> Result<Vec<Level>> {
        let Level { at, project, repository, commit, depth } = level;
        let source = &self.parts.source;
        let mut links = source.gitlinks(project, repository, commit).await?;
        if at.is_empty() {
            let chosen = &self.work.checkout;
            links.retain(|l| submodule::wanted(&l.path, &chosen.only, &chosen.but));
        }
        if links.is_empty() {
            return Ok(Vec::new());
        }
        let file = source.file(project, repository, commit, ".gitmodules", MAX_FILE).await?;
        let listed = submodule::parse(&String::from_utf8_lossy(&file.unwrap_or_default()));
        let mut below = Vec::new();
        for link in links {
            let path =
                if at.is_empty() { link.path.clone() } else { format!("{at}/{}", link.path) };
            if *depth >= MAX_DEPTH || wanted.here.len() + wanted.commands.len() >= MAX_MODULES {
                return Err(too_many(&path));
            }
            let entry = listed.iter().find(|l| l.path == link.path);
            let nested = source.nested(project, repository, commit, &link.path).await?;
            let found = match (nested, entry) {
                (Some(nested), _) => Some(nested),
                (None, None) => return Err(no_address(&path)),
                (None, Some(entry)) => self.addressed(level, &link, entry, &path, who).await?,
            };
            let Some(found) = found else {
                wanted.commands.push(self.fetching(at, &link.path));
                continue;
            };
            let Nested { project, repository, commit } = found;
            let name = entry.map_or_else(|| link.path.clone(), |entry| entry.name.clone());
            below.push(Level {
                at: path.clone(),
                project: project.clone(),
                repository: repository.clone(),
                commit: commit.clone(),
                depth: depth + 1,
            });
            let (of, inner) = (at.clone(), link.path);
            wanted.here.push(Module { of, path: inner, name, project, repository, commit });
        }
        Ok(below)
    }

    /// The commit of a submodule by its address; `None` when that leads to another server.
    async fn addressed(
        &self,
        level: &Level,
        link: &Gitlink,
        entry: &Listed,
        path: &str,
        who: &Principal,
    ) -> Result<Option<Nested>> {
        let address =
            submodule::address(&entry.url, &self.parts.url, &level.project, &level.repository);
        let (project, repository) = match address {
            Address::Here { project, repository } => (project, repository),
            Address::Elsewhere(url) if is_whole(&url) => {
                let url = shown(&submodule::without_user(&url));
                self.note(&text!(
                    "the submodule {path} is fetched from {url}, by git in the sandbox",
                    "서브모듈 {path}은(는) 샌드박스 안의 git이 {url}에서 받습니다"
                ));
                return Ok(None);
            }
            Address::Elsewhere(url) => return Err(nowhere(path, &url)),
        };
        let (own, who, other) = (self.task.project.clone(), who.clone(), project.clone());
        let policy = self.parts.policy.clone();
        let read = move |v: &store::View<'_>| left::may_read(&policy, v, &own, &who, &other);
        let may = self.parts.store.read(read).await?;
        if !may || !self.parts.source.git_dir(&project, &repository).is_dir() {
            return Err(unknown(path, &project, &repository));
        }
        let commit = match self.work.checkout.newest {
            false => link.commit.clone(),
            true => self.newest(&project, &repository, entry, path).await?,
        };
        match self.parts.source.commit(&project, &repository, &commit).await {
            Ok(_) => Ok(Some(Nested { project, repository, commit })),
            Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::Invalid) => {
                Err(no_commit(path, &project, &repository, &commit))
            }
            Err(e) => Err(e),
        }
    }

    /// The tip of the submodule's branch, for `--remote`.
    async fn newest(
        &self,
        project: &Name,
        repository: &Name,
        entry: &Listed,
        path: &str,
    ) -> Result<String> {
        let (of, in_, branch) = (project.clone(), repository.clone(), entry.branch.clone());
        let find = move |v: &store::View<'_>| match &branch {
            Some(branch) => tip::find(v, &of, &in_, &format!("refs/heads/{branch}")),
            None => tip::default(v, &of, &in_),
        };
        let tip = self.parts.store.read(find).await?;
        let branch = entry.branch.as_deref().unwrap_or("HEAD");
        tip.map(|tip| tip.commit.id).ok_or_else(|| no_commit(path, project, repository, branch))
    }

    /// What git is told for a submodule of another server.
    fn fetching(&self, of: &str, path: &str) -> String {
        let chosen = &self.work.checkout;
        let mut words = vec!["GIT_TERMINAL_PROMPT=0 git".to_owned()];
        if !of.is_empty() {
            words.extend(["-C".to_owned(), quote(of)]);
        }
        words.push("submodule update --init".to_owned());
        if chosen.submodules == Submodules::Recursive {
            words.push("--recursive".to_owned());
        }
        words.extend(chosen.submodule_depth.map(|depth| format!("--depth {depth}")));
        words.extend(chosen.flags.iter().map(|flag| quote(flag)));
        words.extend(["--".to_owned(), quote(path)]);
        words.join(" ")
    }
}

/// What git can fetch from a place that is not this machine's disk.
fn is_whole(url: &str) -> bool {
    let schemes = ["http://", "https://", "ssh://", "git://", "git+ssh://"];
    let short = url.split_once(':').is_some_and(|(host, path)| {
        host.contains('@') && !host.contains('/') && !path.starts_with("//")
    });
    schemes.iter().any(|scheme| url.starts_with(scheme)) || short
}

fn too_many(path: &str) -> Error {
    let path = shown(path);
    let say = text!(
        "at {path} there are more than {MAX_MODULES} submodules, or more than {MAX_DEPTH} inside of each other",
        "{path}에서 서브모듈이 {MAX_MODULES}개를 넘거나 {MAX_DEPTH}단계보다 깊습니다"
    );
    Error::invalid("submodules.depth", say).hint(Text::fixed(
        "name those that are needed in GIT_SUBMODULE_PATHS",
        "GIT_SUBMODULE_PATHS에 필요한 것만 적으세요",
    ))
}

fn no_address(path: &str) -> Error {
    let path = shown(path);
    let say = text!(
        "the commit has a submodule at {path}, and `.gitmodules` says nothing of it",
        "커밋의 {path}에 서브모듈이 있지만 `.gitmodules`에는 없습니다"
    );
    Error::invalid("submodules.address", say).hint(Text::fixed(
        "add it with `git submodule add`, or remove it with `git rm --cached`",
        "`git submodule add`로 추가하거나 `git rm --cached`로 지우세요",
    ))
}

fn nowhere(path: &str, url: &str) -> Error {
    let (path, url) = (shown(path), shown(&submodule::without_user(url)));
    let say = text!(
        "the submodule {path} has the address {url}, which leads nowhere from here",
        "서브모듈 {path}의 주소 {url}은(는) 여기서 찾을 수 없는 곳입니다"
    );
    Error::invalid("submodules.address", say).hint(Text::fixed(
        "give it a relative address as in `../lib.git`, or a whole one that begins with https://",
        "`../lib.git` 같은 상대 주소나 https://로 시작하는 전체 주소를 주세요",
    ))
}

/// What one may not see looks as if it were not there.
fn unknown(path: &str, project: &Name, repository: &Name) -> Error {
    let path = shown(path);
    let say = text!(
        "the submodule {path} is {project}/{repository}, which does not exist or may not be read",
        "서브모듈 {path}이(가) 가리키는 {project}/{repository} 저장소가 없거나 읽을 권한이 없습니다"
    );
    Error::not_found("submodules.unknown", say).hint(Text::fixed(
        "push it to this server; whoever starts the pipeline must see its project",
        "이 서버에 푸시하세요. 파이프라인을 시작하는 사람이 그 프로젝트를 볼 수 있어야 합니다",
    ))
}

fn no_commit(path: &str, project: &Name, repository: &Name, commit: &str) -> Error {
    let (path, commit) = (shown(path), shown(commit));
    let say = text!(
        "the submodule {path} wants {commit} of {project}/{repository}, which is not there",
        "서브모듈 {path}에 필요한 {project}/{repository}의 {commit}이(가) 없습니다"
    );
    Error::not_found("submodules.commit", say).hint(Text::fixed(
        "push the submodule before what contains it: `git push --recurse-submodules=on-demand`",
        "서브모듈부터 푸시하세요: `git push --recurse-submodules=on-demand`",
    ))
}

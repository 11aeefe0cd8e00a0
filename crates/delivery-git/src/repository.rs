//! Repositories on disk: `<dir>/<project>/<repository>.git`, bare, in git's own layout.
//!
//! Projects are names, so what begins with a dot here is ours: `.template.git` is the empty repository
//! that the first push to a new one is shown, `.incoming` holds pushes that are arriving, `.trash` what is
//! being removed.

use crate::{Git, Repository, io, refname};
use kernel::{Error, Key, Name, Resource, Result, Text, text};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use store::Filter;

/// Written once into each repository; what may vary by server goes along with each command instead.
///
/// `fsck.*`: three faults that old tools left in real histories and that harm nobody. `unpackLimit`: a push
/// stays a pack, which is one file to bring to disk instead of one per object; housekeeping rolls packs up.
/// A reverse index would be one more such file, and git makes it in memory in no time.
const CONFIG: &str = "\
[core]
\trepositoryformatversion = 0
\tfilemode = true
\tbare = true
\thooksPath = /dev/null
\tfsync = committed,reference
\tlogAllRefUpdates = false
[gc]
\tauto = 0
[maintenance]
\tauto = false
[transfer]
\tfsckObjects = true
\thideRefs = refs/naru
[receive]
\tadvertisePushOptions = true
\tautogc = false
\tdenyDeleteCurrent = refuse
\tunpackLimit = 1
[receive \"fsck\"]
\tbadTimezone = ignore
\tmissingSpaceBeforeDate = ignore
\tzeroPaddedFilemode = ignore
[uploadpack]
\tallowFilter = true
\tallowAnySHA1InWant = true
[pack]
\twriteReverseIndex = false
";

pub(crate) fn dir(root: &Path, project: &Name, repository: &Name) -> PathBuf {
    root.join(project.as_str()).join(format!("{repository}.git"))
}

pub(crate) fn template(root: &Path) -> PathBuf {
    root.join(".template.git")
}

/// Where large pushes wait until they are whole.
pub(crate) fn incoming(root: &Path) -> PathBuf {
    root.join(".incoming")
}

/// Makes the root and its template.
pub(crate) fn prepare(root: &Path) -> Result<()> {
    for dir in [root.join(".trash"), incoming(root)] {
        fs::create_dir_all(&dir).map_err(|e| io(dir.display(), e))?;
    }
    let template = template(root);
    let _ = fs::remove_dir_all(&template);
    make(&template, "main").map_err(|e| io(template.display(), e))
}

/// Makes an empty repository beside its place and moves it there.
pub(crate) fn create(root: &Path, project: &Name, repository: &Name, branch: &str) -> Result<()> {
    let home = root.join(project.as_str());
    let beside = home.join(format!(".{repository}.new"));
    let work = || {
        fs::create_dir_all(&home)?;
        let _ = fs::remove_dir_all(&beside);
        make(&beside, branch)?;
        fs::rename(&beside, dir(root, project, repository))?;
        fs::File::open(&home)?.sync_all()?;
        fs::File::open(root)?.sync_all()
    };
    work().map_err(|e| io(home.display(), e))
}

/// The layout of gitrepository-layout(5), without the samples.
fn make(at: &Path, branch: &str) -> std::io::Result<()> {
    for below in ["objects/info", "objects/pack", "refs/heads", "refs/tags"] {
        fs::create_dir_all(at.join(below))?;
    }
    for (name, words) in [("config", CONFIG), ("HEAD", &format!("ref: refs/heads/{branch}\n"))] {
        let mut file = fs::File::create(at.join(name))?;
        file.write_all(words.as_bytes())?;
        file.sync_all()?;
    }
    fs::File::open(at)?.sync_all()
}

/// Points `HEAD` at the default branch, if it does not yet.
pub(crate) fn point_head(at: &Path, branch: &str) -> Result<()> {
    let (head, wanted) = (at.join("HEAD"), format!("ref: refs/heads/{branch}\n"));
    if fs::read(&head).is_ok_and(|now| now == wanted.as_bytes()) {
        return Ok(());
    }
    let beside = at.join("HEAD.naru");
    let work = || {
        let mut file = fs::File::create(&beside)?;
        file.write_all(wanted.as_bytes())?;
        file.sync_all()?;
        fs::rename(&beside, &head)
    };
    work().map_err(|e| io(head.display(), e))
}

/// Takes a repository's files away. Other names for them end at once; the space follows.
pub(crate) fn discard(root: &Path, at: &Path) -> Result<()> {
    let mut place = root.join(".trash");
    let unique = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    place.push(format!("{}", unique.unwrap_or_default().as_nanos()));
    match fs::rename(at, &place) {
        Ok(()) => fs::remove_dir_all(&place).map_err(|e| io(place.display(), e)),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(io(at.display(), e)),
    }
}

/// The repository that is named by a segment of an address: with or without `.git`.
pub(crate) fn name_of(segment: &str) -> Result<Name> {
    Name::parse(segment.strip_suffix(".git").unwrap_or(segment))
}

pub(crate) fn unknown(project: &Name, repository: &Name) -> Error {
    Error::not_found(
        "repository.unknown",
        text!(
            "project {project} has no repository {repository}",
            "{project} 프로젝트에 {repository} 저장소가 없습니다"
        ),
    )
    .hint(Text::fixed("the first push makes it", "처음 푸시하면 만들어집니다"))
}

/// The default branch for a repository that a push makes: `main` if it brings one, else its first branch.
pub(crate) fn first_branch<'a>(refs: impl Iterator<Item = &'a str>) -> String {
    let branches: Vec<&str> = refs.filter_map(|r| r.strip_prefix("refs/heads/")).collect();
    let main = branches.contains(&"main").then_some("main");
    let branch = main.or(branches.first().copied()).unwrap_or("main");
    debug_assert!(refname::check(&format!("refs/heads/{branch}")).is_ok());
    branch.to_owned()
}

impl Git {
    /// The resource, if there is one.
    pub(crate) async fn resource(
        &self,
        project: &Name,
        repository: &Name,
    ) -> Result<Option<Resource>> {
        let key = Key::of::<Repository>(project, repository);
        self.shared.store.read(move |v| v.resource(&key)).await
    }

    /// Whether files of this name belong to a repository that somebody deleted. Files without a resource
    /// alone prove nothing: an older copy of the store may have been put back, and the files are all there
    /// is then.
    pub(crate) async fn was_deleted(&self, project: &Name, repository: &Name) -> Result<bool> {
        let key = Key::of::<Repository>(project, repository);
        let filter =
            Filter { subject: Some(key), kind: Some("resource.".into()), ..Filter::default() };
        let last = self.shared.store.read(move |v| v.events_back(u64::MAX, 1, &filter)).await?;
        Ok(last.first().is_some_and(|e| e.fact.kind == "resource.deleted"))
    }

    /// The spec of a repository that has to be there.
    pub(crate) async fn spec(&self, project: &Name, repository: &Name) -> Result<Repository> {
        let found = self.resource(project, repository).await?;
        found.ok_or_else(|| unknown(project, repository))?.spec()
    }

    pub(crate) fn path(&self, project: &Name, repository: &Name) -> PathBuf {
        dir(&self.shared.dir, project, repository)
    }
}

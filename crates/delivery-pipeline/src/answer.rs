//! What rules ask about other refs and other repositories, looked up before a file is compiled.

use crate::Parts;
use crate::gitlab::{self, Context, Elsewhere};
use crate::left;
use crate::tip::{self, Tip};
use kernel::{Error, ErrorKind, Name, Principal, Result, text};
use std::collections::BTreeSet;

/// Refs and repositories that one file may ask about.
const MAX_ASKED: usize = 50;

/// Fills in [`gitlab::More::compared`] and [`gitlab::More::elsewhere`]. What whoever starts the pipeline
/// may not see looks as if it were not there.
///
/// # Errors
/// `pipeline.asks` for more than a file may ask; the store's and the repository's.
pub async fn answer(
    parts: &Parts,
    tip: &Tip,
    who: &Principal,
    asked: gitlab::Asked,
    context: &mut Context,
) -> Result<()> {
    let total = asked.compared.len() + asked.elsewhere.len();
    if total > MAX_ASKED {
        let say = text!(
            "rules ask about {total} other refs and repositories, the limit is {MAX_ASKED}",
            "규칙이 다른 ref와 저장소 {total}곳을 묻습니다. 최대 {MAX_ASKED}곳까지 가능합니다"
        );
        return Err(Error::invalid("pipeline.asks", say).at(gitlab::FILE, 1, 1));
    }
    for name in asked.compared {
        let changed = compared(parts, tip, &name).await?;
        context.more.compared.insert(name, changed);
    }
    for place in asked.elsewhere {
        if let Some(paths) = elsewhere(parts, tip, who, &place).await? {
            context.more.elsewhere.insert(place, paths);
        }
    }
    Ok(())
}

/// The paths that changed since the commit's history and that of a branch, a tag or a commit parted: what
/// happened on the other side since then is none of this commit's doing. `None` when there is no such thing
/// to compare with. Histories that have nothing in common differ in everything.
async fn compared(parts: &Parts, tip: &Tip, name: &str) -> Result<Option<BTreeSet<String>>> {
    let Tip { project, repository, commit, .. } = tip;
    let source = &parts.source;
    let other = match at(parts, project, repository, Some(name)).await? {
        Some(tip) => Some(tip.commit.id),
        None => source.resolve(project, repository, name).await?,
    };
    let whole = matches!(name.len(), 40 | 64) && name.bytes().all(|b| b.is_ascii_hexdigit());
    let Some(other) = other.or_else(|| whole.then(|| name.to_owned())) else { return Ok(None) };
    let base = match source.merge_base(project, repository, &other, &commit.id).await {
        Ok(base) => base,
        Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::Invalid) => return Ok(None),
        Err(e) => return Err(e),
    };
    let changed = source.changed(project, repository, base.as_deref(), &commit.id).await?;
    Ok(Some(changed.into_iter().collect()))
}

async fn elsewhere(
    parts: &Parts,
    tip: &Tip,
    who: &Principal,
    place: &Elsewhere,
) -> Result<Option<BTreeSet<String>>> {
    let Some((project, repository)) = left::place(&place.path, &tip.project) else {
        return Ok(None);
    };
    let (own, who, other) = (tip.project.clone(), who.clone(), project.clone());
    let policy = parts.policy.clone();
    let may = parts.store.read(move |v| left::may_read(&policy, v, &own, &who, &other)).await?;
    let found = match may {
        true => at(parts, &project, &repository, place.refname.as_deref()).await?,
        false => None,
    };
    let Some(found) = found else { return Ok(None) };
    let tree = parts.source.tree(&project, &repository, &found.commit.id).await?;
    Ok(Some(tree.into_iter().map(|entry| entry.path).collect()))
}

/// A ref as it was last pushed; without a name, the default branch.
async fn at(
    parts: &Parts,
    project: &Name,
    repository: &Name,
    name: Option<&str>,
) -> Result<Option<Tip>> {
    let (project, repository) = (project.clone(), repository.clone());
    let name = name.map(str::to_owned);
    let find = move |v: &store::View<'_>| match name {
        Some(name) => tip::find(v, &project, &repository, &name),
        None => tip::default(v, &project, &repository),
    };
    parts.store.read(find).await
}

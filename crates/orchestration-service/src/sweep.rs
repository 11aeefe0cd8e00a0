//! Removing files of releases that are no longer kept, and of instances that are gone.

use crate::copies;
use crate::kind::Release;
use crate::launch::Place;
use crate::state::ServiceKey;
use crate::yard::Yard;
use kernel::{Key, Kind, Result};
use std::collections::BTreeSet;
use std::time::Duration;
use store::View;

/// After a new release, before looking for what it made superfluous: not while it is on its way.
const QUIET: Duration = Duration::from_secs(30);
/// Releases read at a time.
const PAGE: usize = 500;

/// Sweeps at the start, and some time after each new release; never ends.
pub(crate) async fn keep_swept(yard: &Yard) {
    loop {
        match sweep(yard).await {
            Ok(true) => yard.broom().notified().await,
            Ok(false) => {}
            Err(error) => {
                tracing::warn!(%error, "old files of releases stay behind");
                yard.broom().notified().await;
            }
        }
        tokio::time::sleep(QUIET).await;
    }
}

/// False when files were being put in place just then: nothing was done.
pub(crate) async fn sweep(yard: &Yard) -> Result<bool> {
    let waste = {
        let Some(_still) = yard.files().still() else { return Ok(false) };
        let mut kept = yard.store().read(in_use).await?;
        let mut there = BTreeSet::new();
        for member in yard.crews().iter().flat_map(|c| c.members()) {
            kept.trees.insert(member.tree.clone());
            kept.releases.insert((member.place.key.clone(), member.place.number));
            there.insert(member.id().to_owned());
        }
        yard.volumes().sweep(yard.store().read(copies::all).await?).await?;
        let InUse { trees, releases } = kept;
        let keeps_log =
            move |id: &str| Place::parse(id).is_none_or(|p| releases.contains(&(p.key, p.number)));
        yard.files().set_aside(trees, keeps_log, move |id| there.contains(id)).await?
    };
    // It has no name any more by which somebody could want it, and may take its time.
    yard.files().remove(waste).await?;
    Ok(true)
}

#[derive(Default)]
struct InUse {
    trees: BTreeSet<String>,
    releases: BTreeSet<(ServiceKey, u64)>,
}

fn in_use(view: &View<'_>) -> Result<InUse> {
    let mut kept = InUse::default();
    let mut after: Option<Key> = None;
    loop {
        let page = view.resources(Release::KIND, None, after.as_ref(), PAGE)?;
        let last = page.len() < PAGE;
        for resource in &page {
            let release: Release = resource.spec()?;
            if let Some(project) = &resource.key.project {
                kept.releases.insert((ServiceKey::new(project, &release.service), release.number));
            }
            kept.trees.insert(release.tree);
        }
        after = page.last().map(|r| r.key.clone());
        if last {
            return Ok(kept);
        }
    }
}

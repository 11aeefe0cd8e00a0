//! An environment in the store: finding it, reading it, writing what was seen of it.

use crate::PART_NAME;
use crate::kind::{Environment, EnvironmentState, EnvironmentStatus};
use crate::plan;
use kernel::{Error, Key, Kind, Name, Principal, Resource, Result};
use store::{Put, Tx, View};

/// Resources read at a time.
const PAGE: usize = 500;

#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub project: Name,
    pub name: Name,
    pub spec: Environment,
    pub status: EnvironmentStatus,
}

impl Place {
    fn of(resource: &Resource) -> Result<Option<Place>> {
        let Some(project) = resource.key.project.clone() else { return Ok(None) };
        Ok(Some(Place {
            project,
            name: resource.key.name.clone(),
            spec: resource.spec()?,
            status: resource.status::<Environment>()?,
        }))
    }

    pub fn load(view: &View<'_>, project: &Name, name: &Name) -> Result<Option<Place>> {
        let found = view.resource(&Key::of::<Environment>(project, name))?;
        Ok(found.as_ref().map(Place::of).transpose()?.flatten())
    }

    pub fn key(&self) -> Key {
        Key::of::<Environment>(&self.project, &self.name)
    }

    /// Writes spec and status.
    pub fn save(&self, tx: &mut Tx<'_>) -> Result<()> {
        let labels = [
            ("naru.dev/repository".to_owned(), self.spec.repository.to_string()),
            ("tier".to_owned(), tier_word(&self.spec)),
        ];
        let spec = serde_json::to_value(&self.spec).map_err(Error::internal)?;
        let actor = Principal::part(PART_NAME);
        tx.put(Put { key: self.key(), labels: labels.into(), spec, expected: None, actor })?;
        tx.put_status(&self.key(), &self.status, Principal::part(PART_NAME))?;
        Ok(())
    }

    pub fn open(&self) -> bool {
        self.status.state != EnvironmentState::Stopped
    }
}

/// As in JSON.
pub(crate) fn tier_word(spec: &Environment) -> String {
    let word = serde_json::to_value(spec.tier).unwrap_or_default();
    word.as_str().unwrap_or_default().to_owned()
}

/// Every environment of a project, or of all, by name.
pub(crate) fn all(view: &View<'_>, project: Option<&Name>) -> Result<Vec<Place>> {
    let mut found = Vec::new();
    let mut after: Option<Key> = None;
    loop {
        let page = view.resources(Environment::KIND, project, after.as_ref(), PAGE)?;
        let last = page.len() < PAGE;
        after = page.last().map(|r| r.key.clone());
        for resource in &page {
            found.extend(Place::of(resource)?);
        }
        if last {
            return Ok(found);
        }
    }
}

/// The environment of that title of a repository, and the name that it has or is to get.
pub(crate) fn find(
    view: &View<'_>,
    project: &Name,
    repository: &Name,
    title: &str,
) -> Result<(Name, Option<Place>)> {
    let mut free: Option<Name> = None;
    for name in plan::names(title, repository) {
        match Place::load(view, project, &name)? {
            Some(place) if place.spec.title == title && place.spec.repository == *repository => {
                return Ok((name, Some(place)));
            }
            Some(_) => {}
            None => free = free.or(Some(name)),
        }
    }
    let name = free.ok_or_else(|| Error::internal("every name of an environment is taken"))?;
    Ok((name, None))
}

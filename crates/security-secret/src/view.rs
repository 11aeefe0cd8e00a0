//! What is shown of secrets: everything but their values.

use crate::kind::{Secret, SecretStatus};
use crate::set::{MOST, find, slot};
use crate::{Secrets, open, plan};
use kernel::{Kind, Name, Resource, Result, Time};
use secret::{Vault, Version};
use serde::{Deserialize, Serialize};
use store::View;

/// A secret, without its value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SecretView {
    pub project: Name,
    pub name: Name,
    /// As programs find it.
    pub variable: String,
    pub spec: Secret,
    pub status: SecretStatus,
    /// The newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub versions: Vec<Version>,
    /// Whoever had it last comes first.
    #[serde(default)]
    pub uses: Vec<SecretUsed>,
}

/// Who had a secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretUsed {
    /// `job deploy`, `service web`
    pub whom: String,
    /// The run of the job, or the instance of the service, that had it last.
    pub by: String,
    pub last: Time,
    pub version: u32,
    pub times: u64,
}

impl SecretView {
    pub fn last_use(&self) -> Option<Time> {
        self.uses.first().map(|u| u.last)
    }
}

impl Secrets {
    /// # Errors
    /// The store's.
    pub(crate) async fn list(&self, project: &Name) -> Result<Vec<SecretView>> {
        let project = project.clone();
        self.store()
            .read(move |v| {
                let all = v.resources(Secret::KIND, Some(&project), None, MOST)?;
                all.iter().map(|resource| shown(v, &project, resource, false)).collect()
            })
            .await
    }

    /// # Errors
    /// `secret.unknown`
    pub(crate) async fn show(&self, project: &Name, name: &Name) -> Result<SecretView> {
        let (project, name) = (project.clone(), name.clone());
        self.store().read(move |v| shown(v, &project, &find(v, &project, &name)?, true)).await
    }
}

fn shown(view: &View<'_>, project: &Name, resource: &Resource, whole: bool) -> Result<SecretView> {
    let name = resource.key.name.clone();
    let spec = resource.spec::<Secret>()?;
    let versions = match whole {
        true => Vault::versions_in(view, &slot(project, resource))?,
        false => Vec::new(),
    };
    let used = |(whom, u): (String, open::Used)| SecretUsed {
        whom,
        by: u.by,
        last: u.last,
        version: u.version,
        times: u.times,
    };
    let mut uses: Vec<SecretUsed> =
        open::uses(view, project, &name)?.into_iter().map(used).collect();
    uses.sort_by_key(|u| std::cmp::Reverse(u.last));
    Ok(SecretView {
        project: project.clone(),
        variable: plan::variable(&name, &spec),
        name,
        spec,
        status: resource.status::<Secret>()?,
        versions,
        uses,
    })
}

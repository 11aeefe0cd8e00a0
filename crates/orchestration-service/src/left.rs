//! Services that their repository does not name any more. They run on, because a file that was moved or
//! emptied by mistake must not take production down; but somebody should know.

use crate::release::{Passed, REPOSITORY};
use crate::state::{ServiceKey, State};
use crate::sync::all_services;
use crate::{PART_NAME, manifest};
use kernel::{Name, NewEvent, Principal, Result, text};
use serde_json::json;
use store::Tx;

/// The event; its data is `{service}`.
pub(crate) const KIND: &str = "service.left";

/// Says so of each service of this repository that serves and is not among `named`.
pub(crate) fn announce(tx: &mut Tx<'_>, passed: &Passed, named: &[Name]) -> Result<()> {
    let project = &passed.project;
    let (yaml, procfile) = (manifest::YAML, manifest::PROCFILE);
    for key in all_services(tx, Some(project))? {
        if named.contains(&key.service) || !serves(tx, &key, &passed.fact.repository)? {
            continue;
        }
        let service = &key.service;
        let file = if passed.procfile { procfile } else { yaml };
        let say = text!(
            "service {service} is not in {file} any more and runs on; `naru delete service {service} -p {project}` stops it",
            "{service} 서비스가 이제 {file}에 없지만 계속 실행됩니다. `naru delete service {service} -p {project}`로 끝낼 수 있습니다"
        );
        let event = NewEvent::new(KIND, Principal::part(PART_NAME), say)
            .subject(key.resource())
            .change(passed.change.clone())
            .data(json!({ "service": service }));
        tx.append(event)?;
    }
    Ok(())
}

fn serves(tx: &Tx<'_>, key: &ServiceKey, repository: &Name) -> Result<bool> {
    let Some(found) = tx.resource(&key.resource())? else { return Ok(false) };
    let ours = found.labels.get(REPOSITORY).is_some_and(|r| r == repository.as_str());
    let state = State::load(tx, key)?;
    // Copies for environments go with those.
    Ok(ours && state.environment.is_none() && state.current.is_some())
}

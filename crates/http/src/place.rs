//! What a path is about, as far as policies can tell things apart: the platform, a project, or something in it and
//! the environment that it is in.

use crate::Call;
use kernel::{Error, Key, Name, Result};
use policy::{Action, Context, Target};

/// Where a change goes when nothing says otherwise.
pub const PRODUCTION: &str = "production";

/// Things in projects that have a parameter of their own in paths.
const OWN: [&str; 4] = ["environment", "service", "secret", "repository"];

/// What an action is done to, and what policies may know besides.
pub(crate) struct Place {
    /// Never empty. What permits the action on one of them permits it, what forbids it on one forbids it: a service
    /// is deployed to as itself and as a part of its environment.
    pub targets: Vec<Target>,
    pub context: Context,
}

/// # Errors
/// What a name says; the store's.
pub(crate) async fn of(call: &Call, action: Action) -> Result<Place> {
    let mut context = call.context();
    let Ok(words) = call.param("project") else {
        return Ok(Place { targets: vec![Target::platform()], context });
    };
    let project = Name::parse(words)?;
    let named = |kind: &str| call.param(kind).ok().map(str::to_owned);
    let found = OWN.into_iter().find_map(|kind| Some((kind, named(kind)?)));
    let mut targets = match &found {
        Some((kind, name)) => vec![Target::within(&project, kind, name.as_str())],
        None => vec![resource(call, &project).unwrap_or_else(|| Target::project(&project))],
    };
    context.environment = match &found {
        Some(("environment", name)) => Some(name.clone()),
        Some(("service", name)) if action == Action::Deploy => {
            Some(environment_of(call, &project, name).await?)
        }
        None if action == Action::Deploy => Some(PRODUCTION.to_owned()),
        _ => None,
    };
    if let (Action::Deploy, Some(environment)) = (action, &context.environment) {
        let whole = Target::environment(&project, environment.as_str());
        // What is done to nothing in particular is done to the environment.
        targets.retain(|t| *t != whole && *t != Target::project(&project));
        targets.insert(0, whole);
    }
    Ok(Place { targets, context })
}

/// A resource of the generic routes, by the plural of its kind and its name.
fn resource(call: &Call, project: &Name) -> Option<Target> {
    let (kinds, name) = (call.param("kinds").ok()?, call.param("name").ok()?);
    let kind = call.site.kinds.iter().find(|k| k.plural == kinds)?;
    Some(Target::within(project, kind.kind, name))
}

/// The environment of a service: its status says of a copy which one it was made for.
async fn environment_of(call: &Call, project: &Name, service: &str) -> Result<String> {
    let key = Key {
        kind: "Service".to_owned(),
        project: Some(project.clone()),
        name: Name::parse(service)?,
    };
    let found = call.site.store.read(move |v| v.resource(&key)).await.map_err(Error::internal)?;
    let status = found.map(|r| r.status).unwrap_or_default();
    let copy = status.get("environment").and_then(|e| e.as_str());
    Ok(copy.unwrap_or(PRODUCTION).to_owned())
}

//! The secrets of instances: opened when one starts, and what a new value does.

use crate::env::{Env, SecretRef};
use crate::kind::{Release, Service};
use crate::launch::Place;
use crate::release::{prune, put_release};
use crate::rollout::{self, Order};
use crate::state::{self, ServiceKey, State};
use crate::sync::all_services;
use host::Private;
use kernel::journey::Cause;
use kernel::port::{SecretUse, SecretUser, Secrets};
use kernel::{Error, Event, Name, Result, text};
use serde::Deserialize;
use std::sync::Arc;
use store::Tx;

/// What an environment is called that is none: production.
const PRODUCTION: &str = "production";

/// The secrets that a release names, for one of its instances.
///
/// # Errors
/// As [`Secrets::open_for`], with the variable that wants it.
pub(crate) async fn open(
    secrets: Option<&Arc<dyn Secrets>>,
    place: &Place,
    release: &Release,
) -> Result<Private> {
    let key = &place.key;
    let instance = place.instance().map_or_else(|| place.id(), |name| name.to_string());
    let of = SecretUse {
        by: SecretUser::Service { service: key.service.clone(), instance },
        environment: Some(release.environment.as_ref().map_or(PRODUCTION, Name::as_str).to_owned()),
        // Production has only what came by the default branch.
        protected: release.environment.is_none(),
    };
    let mut private = Private::default();
    for (variable, value) in &release.config.env {
        let Env::Secret(secret) = value else { continue };
        let asked = secret.asked();
        let opened = match secrets {
            Some(secrets) => secrets.open_for(&key.project, &asked, &of).await,
            None => Err(Error::not_found(
                "secret.unknown",
                text!("nobody keeps secrets here", "여기에는 비밀 값을 보관하는 곳이 없습니다"),
            )),
        };
        let opened = opened.map_err(|e| wanted(variable, &e))?;
        let value = opened.value.reveal().to_owned();
        private.mask.push(value.clone());
        match secret.file || opened.file {
            true => private.files.push((variable.clone(), value)),
            false => private.env.push((variable.clone(), value)),
        }
    }
    Ok(private)
}

/// The error with the variable that it is about.
fn wanted(variable: &str, e: &Error) -> Error {
    let (en, ko) = (&e.say().en, &e.say().ko);
    let named = Error::new(e.kind(), e.code(), text!("`{variable}`: {en}", "`{variable}`: {ko}"));
    let named = named.why(e.get_why().unwrap_or("a secret of a service"));
    match e.get_hint() {
        Some(hint) => named.hint(hint.clone()),
        None => named,
    }
}

/// What `secret.set` says, as far as it matters here.
#[derive(Deserialize)]
struct Set {
    secret: Name,
}

/// A secret has a new value: services that say so are rolled.
pub(crate) fn changed(event: &Event, tx: &mut Tx<'_>) -> Result<()> {
    let (Ok(set), Some(project)) = (Set::deserialize(&event.fact.data), &event.fact.project) else {
        return Ok(());
    };
    for key in all_services(tx, Some(project))? {
        roll(tx, &key, &set.secret, event)?;
    }
    Ok(())
}

fn roll(tx: &mut Tx<'_>, key: &ServiceKey, secret: &Name, event: &Event) -> Result<()> {
    let mut state = State::load(tx, key)?;
    // What is on its way in may have started with the old value.
    let newest = state.rollout.as_ref().map(|r| r.release.clone()).or(state.current.clone());
    let Some(newest) = newest else { return Ok(()) };
    let Some(release) = state::release(tx, key, &newest)? else { return Ok(()) };
    let follows = |r: &SecretRef| r.roll && r.version.is_none() && r.means(secret);
    let env = release.config.env.values();
    if !env.into_iter().any(|v| matches!(v, Env::Secret(r) if follows(r))) {
        return Ok(());
    }
    let Some(found) = tx.resource(&key.resource())? else { return Ok(()) };
    let replicas = found.spec::<Service>()?.replicas;
    let (name, release) = put_release(tx, key, &mut state, release)?;
    let (cause, actor) = (Cause::Restart, event.fact.actor.clone());
    let order =
        Order { key, name: &name, release: &release, cause, actor, replicas, old: replicas };
    rollout::begin(tx, &mut state, order)?;
    state.save(tx, key)?;
    prune(tx, key, &state)
}

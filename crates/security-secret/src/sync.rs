//! Looking after secrets: what is over goes, what is due is drawn anew or said.

use crate::kind::Secret;
use crate::open::{forget_uses, us};
use crate::set::{Settings, Value, Wanted};
use crate::{Secrets, lend};
use kernel::{BoxFuture, Event, Key, Kind, Name, NewEvent, Resource, Result, text};
use policy::Project;
use reconcile::{Next, Reconciler};
use secret::lease::Leases;
use secret::{Slot, Vault};
use serde_json::json;
use std::collections::BTreeSet;
use std::time::Duration;
use store::{Tx, View};

/// Secrets in one page of a listing.
const PAGE: usize = 500;
/// Between looks at whether accounts of a project that is gone are taken back.
const AGAIN: Duration = Duration::from_secs(5);

/// A secret of a project, by their names.
type Which = (Name, Name);

pub(crate) struct Keeper {
    pub secrets: Secrets,
}

impl Reconciler for Keeper {
    type Key = Which;

    fn name(&self) -> &'static str {
        "secret"
    }

    fn keys(&self, event: &Event) -> Vec<Which> {
        let touches = matches!(
            event.fact.kind.as_str(),
            "resource.created" | "resource.updated" | "resource.deleted" | "secret.set"
        );
        match &event.fact.subject {
            Some(Key { kind, project: Some(project), name }) if touches && kind == Secret::KIND => {
                vec![(project.clone(), name.clone())]
            }
            _ => Vec::new(),
        }
    }

    fn all(&self) -> BoxFuture<'_, Result<Vec<Which>>> {
        Box::pin(async {
            let listed = self.secrets.store().read(all).await?;
            let slots = self.secrets.vault.slots().await?;
            let mut found: BTreeSet<Which> = listed.into_iter().collect();
            // Also those of which only values are left.
            found.extend(slots.into_iter().map(|s| (s.project, s.name)));
            Ok(found.into_iter().collect())
        })
    }

    fn sync<'a>(&'a self, key: &'a Which) -> BoxFuture<'a, Result<Next>> {
        Box::pin(self.look_after(key))
    }
}

impl Keeper {
    async fn look_after(&self, (project, name): &Which) -> Result<Next> {
        let (p, n) = (project.clone(), name.clone());
        let slots = self.secrets.vault.slots_of(project, name).await?;
        let found = self.secrets.store().read(move |v| look(v, &p, &n)).await?;
        let uid = found.as_ref().map(|r| r.uid.clone());
        let left: Vec<Slot> = slots.into_iter().filter(|s| Some(&s.uid) != uid.as_ref()).collect();
        let (p, n) = (project.clone(), name.clone());
        let gone = found.is_none();
        if gone && self.still_needed(project, name).await? {
            // The project is gone: its accounts go first, and this is how they are reached.
            return Ok(Next::At(self.secrets.store().now().plus(AGAIN)));
        }
        if !left.is_empty() || gone {
            self.secrets.store().write(move |tx| clear(tx, &p, &n, &left, gone)).await?;
        }
        let Some(resource) = found else { return Ok(Next::Done) };
        self.due(project, &resource).await
    }

    /// Ends what was lent by a secret that is to go; whether some of it is still out.
    async fn still_needed(&self, project: &Name, name: &Name) -> Result<bool> {
        let (p, n) = (project.clone(), name.clone());
        let ours = move |l: &secret::lease::Lease| l.project == p && l.of.as_ref() == Some(&n);
        let (p, n) = (project.clone(), name.clone());
        let needed = move |tx: &mut Tx<'_>| {
            Leases::end_in(tx, ours, &us())?;
            lend::is_needed(tx, &p, &n)
        };
        self.secrets.store().write(needed).await
    }

    async fn due(&self, project: &Name, resource: &Resource) -> Result<Next> {
        let (spec, status) = (resource.spec::<Secret>()?, resource.status::<Secret>()?);
        let Some(due) = status.due else { return Ok(Next::Done) };
        if due > self.secrets.store().now() {
            return Ok(Next::At(due));
        }
        let name = resource.key.name.clone();
        if spec.generate.is_some() {
            let (settings, value) = (Settings::default(), Value::Drawn(None));
            let wanted = Wanted { name, settings, value, known: true };
            self.secrets.write(project, vec![wanted], us()).await?;
            // Its event brings us back.
        } else if !status.overdue {
            let key = resource.key.clone();
            self.secrets.store().write(move |tx| overdue(tx, &key)).await?;
        }
        Ok(Next::Done)
    }
}

fn all(view: &View<'_>) -> Result<Vec<Which>> {
    let mut found = Vec::new();
    let mut after: Option<Key> = None;
    loop {
        let page = view.resources(Secret::KIND, None, after.as_ref(), PAGE)?;
        let Some(last) = page.last() else { return Ok(found) };
        after = Some(last.key.clone());
        found.extend(page.into_iter().filter_map(|r| Some((r.key.project?, r.key.name))));
    }
}

/// The resource, as long as its project is there.
fn look(view: &View<'_>, project: &Name, name: &Name) -> Result<Option<Resource>> {
    let found = view.resource(&Key::of::<Secret>(project, name))?;
    let project = view.resource(&Key::global::<Project>(project))?;
    Ok(found.filter(|_| project.is_some()))
}

/// Values of earlier resources of that name, and with `gone` whatever else is left of it.
fn clear(tx: &mut Tx<'_>, project: &Name, name: &Name, left: &[Slot], gone: bool) -> Result<()> {
    left.iter().try_for_each(|slot| Vault::forget_in(tx, slot))?;
    if !gone || look(tx, project, name)?.is_some() {
        return Ok(());
    }
    forget_uses(tx, project, name)?;
    let key = Key::of::<Secret>(project, name);
    match tx.resource(&key)? {
        // A project takes its secrets with it.
        Some(_) => tx.delete(&key, None, us()).map(drop),
        None => Ok(()),
    }
}

fn overdue(tx: &mut Tx<'_>, key: &Key) -> Result<()> {
    let Some(resource) = tx.resource(key)? else { return Ok(()) };
    let mut status = resource.status::<Secret>()?;
    if status.overdue || status.due.is_none_or(|due| due > tx.now()) {
        return Ok(());
    }
    status.overdue = true;
    tx.put_status(key, &status, us())?;
    let name = &key.name;
    let say = text!("the secret {name} is due for a new value", "{name} 비밀 값을 바꿀 때가 됨");
    let event = NewEvent::new("secret.due", us(), say).subject(key.clone());
    tx.append(event.data(json!({ "secret": name, "due": status.due }))).map(drop)
}

//! Looking after applications: made, changed, given new secrets, shown, removed.

use crate::grant::{self, Grant, Of, application};
use crate::kind::{Application, Proof};
use crate::secret::{self, SecretView, unknown};
use crate::{ApplicationStatus, PART_NAME, Sso, consent};
use kernel::{Error, Key, Kind, Name, Principal, Result, Text, Time, text};
use naru_http::Call;
use policy::{Action, Target};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use store::{Put, Tx, View};

/// Applications of one naru that are listed.
const LISTED: usize = 500;
/// Sign-ins that are shown of one.
const SHOWN: usize = 200;

/// An application with what is known of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ApplicationView {
    pub name: Name,
    pub spec: Application,
    pub status: ApplicationStatus,
    /// Secrets that work; none of them shows itself.
    pub secrets: Vec<SecretView>,
    /// Who is signed in to it, the newest first.
    pub sign_ins: Vec<SignIn>,
}

/// One sign-in.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SignIn {
    pub id: String,
    pub application: Name,
    /// `None`: the application itself.
    pub who: Option<Principal>,
    pub scopes: BTreeSet<String>,
    pub created: Time,
    /// When it last got tokens.
    pub renewed: Time,
}

impl From<Grant> for SignIn {
    fn from(grant: Grant) -> SignIn {
        SignIn {
            id: grant.id,
            application: grant.app,
            who: grant.who,
            scopes: grant.scopes,
            created: grant.created,
            renewed: grant.turned,
        }
    }
}

/// What somebody has given an application.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Mine {
    pub application: Name,
    pub title: String,
    /// What they have agreed to; empty where they were not asked.
    pub scopes: BTreeSet<String>,
    pub sign_ins: usize,
    pub last: Option<Time>,
}

/// Whether the caller may look after what belongs to `project`, or to the platform.
///
/// # Errors
/// Those of the policy.
pub(crate) async fn admit(call: &Call, project: Option<&Name>) -> Result<()> {
    match project {
        Some(project) => call.may_do(Action::ProjectAdminister, &Target::project(project)).await,
        None => call.may_administer().await,
    }
}

impl Sso {
    /// The applications that the caller may look after, by name.
    pub(crate) async fn looked_after(&self, call: &Call) -> Result<Vec<ApplicationView>> {
        let read = |v: &View<'_>| {
            let all = v.resources(Application::KIND, None, None, LISTED)?;
            all.iter().map(|r| view(v, &r.key.name, false)).collect::<Result<Vec<_>>>()
        };
        let all: Vec<ApplicationView> =
            self.store().read(read).await?.into_iter().flatten().collect();
        let mut rights: BTreeMap<Option<Name>, bool> = BTreeMap::new();
        let mut kept = Vec::new();
        for one in all {
            let project = one.spec.project.clone();
            let known = rights.get(&project).copied();
            let may = match known {
                Some(may) => may,
                None => admit(call, project.as_ref()).await.is_ok(),
            };
            rights.insert(project, may);
            kept.extend(may.then_some(one));
        }
        Ok(kept)
    }

    /// One that the caller looks after.
    ///
    /// # Errors
    /// `application.unknown`, also when it is not the caller's.
    pub(crate) async fn one(&self, call: &Call, name: &Name) -> Result<ApplicationView> {
        let wanted = name.clone();
        let found = self.store().read(move |v| view(v, &wanted, true)).await?;
        let found = found.ok_or_else(|| unknown(name))?;
        match admit(call, found.spec.project.as_ref()).await {
            Ok(()) => Ok(found),
            Err(error) if call.who == Principal::Anonymous => Err(error),
            Err(_) => Err(unknown(name)),
        }
    }

    /// Makes an application, or changes it; one that is made gets its first secret, if it proves itself by one.
    ///
    /// # Errors
    /// `application.exists`, `application.spec`, `application.unknown`; those of the policy.
    pub(crate) async fn set(
        &self,
        call: &Call,
        name: Name,
        spec: Application,
        new: bool,
    ) -> Result<Option<String>> {
        spec.check()?;
        admit(call, spec.project.as_ref()).await?;
        let before = if new { None } else { Some(self.one(call, &name).await?) };
        // Whoever is not asked has to rely on somebody who answers to everybody.
        if spec.trusted || before.is_some_and(|before| before.spec.trusted) {
            call.may_administer().await?;
        }
        let actor = call.who.clone();
        self.store().write(move |tx| set(tx, &name, spec, new, actor)).await
    }

    /// # Errors
    /// As [`Sso::one`].
    pub(crate) async fn remove(&self, call: &Call, name: Name) -> Result<()> {
        self.one(call, &name).await?;
        let actor = call.who.clone();
        let key = Key::global::<Application>(&name);
        self.store().write(move |tx| tx.delete(&key, None, actor).map(drop)).await
    }

    /// A new secret; the old ones work on for `overlap`.
    ///
    /// # Errors
    /// As [`Sso::one`]; `application.secret`.
    pub(crate) async fn new_secret(
        &self,
        call: &Call,
        name: Name,
        overlap: Duration,
    ) -> Result<String> {
        self.one(call, &name).await?;
        let actor = call.who.clone();
        self.store().write(move |tx| secret::rotate(tx, &name, overlap, actor)).await
    }

    /// Ends all sign-ins to an application, or one; says how many.
    ///
    /// # Errors
    /// As [`Sso::one`]; `application.sign-in` when there is no such one.
    pub(crate) async fn end_sign_ins(
        &self,
        call: &Call,
        name: Name,
        which: Option<String>,
    ) -> Result<usize> {
        self.one(call, &name).await?;
        let actor = call.who.clone();
        let work = move |tx: &mut Tx<'_>| match &which {
            None => grant::end_all(tx, &Of::App(&name), &actor, "administrator"),
            Some(id) => {
                let grant = grant::find(tx, id)?.filter(|grant| grant.app == name);
                let none = Text::fixed("there is no such sign-in", "그런 로그인이 없습니다");
                let grant = grant.ok_or_else(|| Error::not_found("application.sign-in", none))?;
                grant::end(tx, &grant, &actor, "administrator").map(|()| 1)
            }
        };
        self.store().write(work).await
    }

    /// What somebody has given to applications, by name.
    pub(crate) async fn given(&self, who: &Principal) -> Result<Vec<Mine>> {
        let who = who.clone();
        self.store().read(move |v| given(v, &who)).await
    }

    /// # Errors
    /// The store's.
    pub(crate) async fn withdraw(&self, who: &Principal, app: Name) -> Result<()> {
        let who = who.clone();
        self.store().write(move |tx| consent::withdraw(tx, &who, &app)).await
    }
}

fn view(view: &View<'_>, name: &Name, whole: bool) -> Result<Option<ApplicationView>> {
    let Some(found) = view.resource(&Key::global::<Application>(name))? else { return Ok(None) };
    let sign_ins = match whole {
        true => newest(view, &Of::App(name))?,
        false => Vec::new(),
    };
    Ok(Some(ApplicationView {
        name: name.clone(),
        spec: found.spec()?,
        status: found.status::<Application>().unwrap_or_default(),
        secrets: secret::list(view, name, &found.uid)?,
        sign_ins,
    }))
}

fn newest(view: &View<'_>, of: &Of<'_>) -> Result<Vec<SignIn>> {
    let mut all = grant::newest(view, of, SHOWN)?;
    all.sort_by_key(|grant| std::cmp::Reverse(grant.turned));
    Ok(all.into_iter().map(SignIn::from).collect())
}

fn given(view: &View<'_>, who: &Principal) -> Result<Vec<Mine>> {
    let mut all: BTreeMap<Name, Mine> = BTreeMap::new();
    let mine = |application: &Name| -> Result<Mine> {
        let title = application_title(view, application)?;
        let scopes = BTreeSet::new();
        Ok(Mine { application: application.clone(), title, scopes, sign_ins: 0, last: None })
    };
    for (app, agreed) in consent::of(view, who)? {
        // What was agreed to with another one of that name is no news.
        if application(view, &app)?.is_some_and(|(uid, _)| uid == agreed.uid) {
            all.insert(app.clone(), Mine { scopes: agreed.scopes, ..mine(&app)? });
        }
    }
    for grant in grant::newest(view, &Of::Who(who), 1000)? {
        let entry = match all.remove(&grant.app) {
            Some(entry) => entry,
            None => mine(&grant.app)?,
        };
        let last = entry.last.max(Some(grant.turned));
        all.insert(grant.app, Mine { sign_ins: entry.sign_ins + 1, last, ..entry });
    }
    Ok(all.into_values().collect())
}

fn application_title(view: &View<'_>, name: &Name) -> Result<String> {
    Ok(application(view, name)?.map(|(_, app)| app.shown(name).to_owned()).unwrap_or_default())
}

fn set(
    tx: &mut Tx<'_>,
    name: &Name,
    spec: Application,
    new: bool,
    actor: Principal,
) -> Result<Option<String>> {
    let key = Key::global::<Application>(name);
    let old = tx.resource(&key)?;
    if new && old.is_some() {
        return Err(Error::conflict(
            "application.exists",
            text!("there is an application {name} already", "{name} 애플리케이션이 이미 있습니다"),
        ));
    }
    if let Some(project) = &spec.project
        && tx.resource(&Key::global::<policy::Project>(project))?.is_none()
    {
        return Err(Error::not_found(
            "project.unknown",
            text!("there is no project {project}", "{project} 프로젝트가 없습니다"),
        ));
    }
    let proof = spec.proof;
    let labels = old.map(|r| r.labels).unwrap_or_default();
    let spec: Value = serde_json::to_value(spec).map_err(Error::internal)?;
    let expected = new.then_some(0);
    tx.put(Put { key, labels, spec, expected, actor: actor.clone() })?;
    match new && proof == Proof::Secret {
        true => secret::rotate(tx, name, Duration::ZERO, actor).map(Some),
        false => Ok(None),
    }
}

/// Notes that somebody signed in, at most once an hour.
pub(crate) fn note_use(tx: &mut Tx<'_>, name: &Name) -> Result<()> {
    const HOUR: Duration = Duration::from_secs(3600);
    let key = Key::global::<Application>(name);
    let Some(found) = tx.resource(&key)? else { return Ok(()) };
    let status: ApplicationStatus = found.status::<Application>().unwrap_or_default();
    let now = tx.now();
    if status.used.is_some_and(|used| used <= now && now.since(used) < HOUR) {
        return Ok(());
    }
    let status = ApplicationStatus { used: Some(now) };
    tx.put_status(&key, &status, Principal::part(PART_NAME)).map(drop)
}

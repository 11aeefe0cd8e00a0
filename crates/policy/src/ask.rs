//! Rights for a time: asked for with a reason, approved by somebody else, gone by themselves.
//!
//! Decisions look at a grant's end and at the clock; the loop that writes down that grants have ended
//! ([`Policy::expire`]) takes nothing away that still held.

mod over;
mod refusal;

pub use over::Alarm;

use crate::action::Action;
use crate::judge::fits;
use crate::kind::{Given, Grant, GrantStatus, Phase};
use crate::role::{PlatformRole, Role, Subject};
use crate::target::{Sort, Target};
use crate::{Permission, Policy};
use account::Ending;
use kernel::{Error, Key, Kind, Name, NewEvent, Principal, Resource, Result, Text, text};
use refusal::{asked, decided, not_given, not_oneself, too_many, unknown};
use serde_json::json;
use std::time::Duration;
use store::{Put, Tx, View};

/// The longest a grant can hold.
pub const LONGEST: Duration = Duration::from_secs(30 * 24 * 3600);
/// The longest that taken in an emergency holds.
const GLASS: Duration = Duration::from_secs(4 * 3600);
const SHORTEST: Duration = Duration::from_secs(60);
/// A request that nobody decides is over then.
const WAITS: Duration = Duration::from_secs(7 * 24 * 3600);
/// Undecided requests of one asker.
const PENDING: usize = 20;
const REASON: std::ops::RangeInclusive<usize> = 3..=500;
/// Grants kept in the store, newest first; older ones that are over are forgotten. The journal has them all.
const KEPT: usize = 2000;

/// What somebody asks for.
#[derive(Clone, Debug)]
pub struct Wanted {
    pub give: Given,
    pub on: Target,
    pub reason: String,
    pub lasts: Duration,
    /// Somebody else than the asker.
    pub to: Option<Subject>,
}

/// What may happen to a grant, or to the request for one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    Approve,
    Deny,
    Revoke,
}

impl Policy {
    /// Asks for a right. Whoever asks need not see the project, and does not learn whether there is one.
    ///
    /// # Errors
    /// `access.reason`, `access.lasts`, `access.give`, `access.asked`, `access.too-many`.
    pub async fn request(&self, who: &Principal, wanted: Wanted) -> Result<Resource> {
        let grant = self.grant(who, wanted, LONGEST)?;
        let asker = who.clone();
        self.store()
            .write(move |tx| {
                let open = open(tx, |s| {
                    s.phase == Phase::Requested && s.asked_by.as_ref() == Some(&asker)
                })?;
                if open.len() >= PENDING {
                    return Err(too_many());
                }
                if open
                    .iter()
                    .any(|(g, _)| (&g.to, g.give, &g.on) == (&grant.to, grant.give, &grant.on))
                {
                    return Err(asked());
                }
                let until = Some(tx.now().plus(WAITS));
                let status =
                    GrantStatus { asked_by: Some(asker.clone()), until, ..GrantStatus::default() };
                write(tx, None, grant, status, &asker, "access.requested")
            })
            .await
    }

    /// Takes a role at once. It rings, and it ends soon.
    ///
    /// # Errors
    /// `auth.denied` for who may not break the glass there; as [`Policy::request`].
    pub async fn break_glass(&self, who: &Principal, wanted: Wanted) -> Result<Resource> {
        if !matches!(wanted.give, Given::Role(_) | Given::PlatformRole(_)) {
            return Err(not_given());
        }
        self.may_do(who, Action::AccessBreakGlass, &wanted.on).await?;
        let mut grant = self.grant(who, wanted, GLASS)?;
        grant.broken_glass = true;
        if Some(&grant.to) != Subject::of(who).as_ref() {
            return Err(not_given());
        }
        let actor = who.clone();
        self.store()
            .write(move |tx| {
                let now = tx.now();
                let status = GrantStatus {
                    phase: Phase::Active,
                    asked_by: Some(actor.clone()),
                    until: Some(now.plus(Duration::from_secs(grant.lasts_s))),
                    ..GrantStatus::default()
                };
                write(tx, None, grant, status, &actor, "access.broken-glass")
            })
            .await
    }

    fn grant(&self, who: &Principal, wanted: Wanted, longest: Duration) -> Result<Grant> {
        let own = Subject::of(who).ok_or_else(account::unauthenticated)?;
        let reason = wanted.reason.trim().to_owned();
        if !REASON.contains(&reason.chars().count()) || reason.chars().any(char::is_control) {
            return Err(Error::invalid(
                "access.reason",
                Text::fixed(
                    "a reason of 3 to 500 characters is needed, on one line",
                    "이유를 3~500자로 한 줄에 쓰세요",
                ),
            ));
        }
        if wanted.lasts < SHORTEST || wanted.lasts > longest {
            let most = kernel::time::show_duration(longest);
            return Err(Error::invalid(
                "access.lasts",
                text!(
                    "that is given for a minute at least and for {most} at most",
                    "1분 이상 {most} 이하로 요청하세요"
                ),
            ));
        }
        let sound = match wanted.give {
            Given::Role(_) => wanted.on.sort() == Sort::Project,
            Given::PlatformRole(_) => wanted.on.sort() == Sort::Platform,
            Given::Action(action) | Given::SecondPerson(action) => fits(action, &wanted.on),
        };
        if !sound {
            return Err(not_given());
        }
        Ok(Grant {
            to: wanted.to.unwrap_or(own),
            give: wanted.give,
            on: wanted.on,
            reason,
            lasts_s: wanted.lasts.as_secs(),
            broken_glass: false,
        })
    }

    /// Approves, denies or revokes.
    ///
    /// # Errors
    /// `access.unknown` for one that the caller has nothing to do with, `access.own` when whoever would approve
    /// asked or would gain, `access.decided` when it is not open any more, `auth.denied`.
    pub async fn decide_request(
        &self,
        who: &Principal,
        id: &Name,
        verb: Verb,
        remark: &str,
    ) -> Result<Resource> {
        let found = self.one(id).await?.ok_or_else(|| unknown(id))?;
        let (grant, status) = (found.spec::<Grant>()?, found.status::<Grant>()?);
        let own =
            status.asked_by.as_ref() == Some(who) || Some(&grant.to) == Subject::of(who).as_ref();
        let approver = self.can(who, Action::AccessApprove, &place(&grant.on)).await;
        if !own && !approver {
            return Err(unknown(id));
        }
        if verb != Verb::Revoke || !own {
            self.may_decide(who, &grant, own, verb).await?;
        }
        let (id, actor, remark) = (id.clone(), who.clone(), remark.chars().take(500).collect());
        let done = self.store().write(move |tx| decide(tx, &id, &actor, verb, remark)).await?;
        if verb == Verb::Revoke {
            self.end(&grant.to);
        }
        Ok(done)
    }

    /// Ends what somebody has open: some of it was opened with a right that they have no more. Whoever still may
    /// comes back at once. Members of a group are not looked up: what they have open they could open before.
    fn end(&self, whose: &Subject) {
        let who = match whose {
            Subject::User(name) => Principal::User(name.clone()),
            Subject::Service(name) => Principal::Service(name.clone()),
            Subject::Group(_) => return,
        };
        self.0.accounts.end(Ending::Principal(who));
    }

    async fn may_decide(
        &self,
        who: &Principal,
        grant: &Grant,
        own: bool,
        verb: Verb,
    ) -> Result<()> {
        let own_groups = self.in_world(|world| Ok(world.groups_of(who)))?;
        let in_group = matches!(&grant.to, Subject::Group(g) if own_groups.contains(g));
        if verb == Verb::Approve && (own || in_group || !matches!(who, Principal::User(_))) {
            return Err(not_oneself());
        }
        let on = place(&grant.on);
        self.may_do(who, Action::AccessApprove, &on).await?;
        if verb != Verb::Approve {
            return Ok(());
        }
        // Nobody hands out more than they have.
        let furthest = match grant.give {
            Given::Role(role) => reach(role).action(),
            Given::PlatformRole(PlatformRole::Auditor) => Action::AuditRead,
            Given::PlatformRole(PlatformRole::Operator) => Action::PlatformOperate,
            Given::PlatformRole(PlatformRole::Administrator) => Action::PlatformAdminister,
            Given::Action(action) => action,
            Given::SecondPerson(_) => return Ok(()),
        };
        let context = crate::Context::default();
        let ask = crate::Ask { who, action: furthest, target: &grant.on, context: &context };
        let decision = self.decide(&ask).await?;
        let second = |r: &crate::Reason| matches!(r, crate::Reason::SecondPerson { .. });
        match decision.allow || decision.because.iter().any(second) {
            true => Ok(()),
            false => self.require(&ask).await,
        }
    }

    async fn one(&self, id: &Name) -> Result<Option<Resource>> {
        let key = Key::global::<Grant>(id);
        self.store().read(move |v| v.resource(&key)).await
    }

    /// Grants and requests that `who` has to do with: their own, and those they could decide. Newest first.
    ///
    /// # Errors
    /// The store's.
    pub async fn requests(&self, who: &Principal) -> Result<Vec<Resource>> {
        let read = |v: &View<'_>| v.resources(Grant::KIND, None, None, KEPT + PENDING);
        let all = self.store().read(read).await?;
        let own = Subject::of(who);
        let sees = self.can(who, Action::PlatformView, &Target::platform()).await;
        let mut seen = Vec::new();
        let mut places = std::collections::HashMap::new();
        for resource in all.into_iter().rev() {
            let (grant, status) = (resource.spec::<Grant>()?, resource.status::<Grant>()?);
            let mine = status.asked_by.as_ref() == Some(who) || Some(&grant.to) == own.as_ref();
            let on = place(&grant.on);
            let may = match places.get(&on) {
                Some(may) => *may,
                None => {
                    let may = sees || self.can(who, Action::AccessApprove, &on).await;
                    places.insert(on, may);
                    may
                }
            };
            if mine || may {
                seen.push(resource);
            }
        }
        Ok(seen)
    }
}

fn decide(
    tx: &mut Tx<'_>,
    id: &Name,
    actor: &Principal,
    verb: Verb,
    remark: String,
) -> Result<Resource> {
    let found = tx.resource(&Key::global::<Grant>(id))?.ok_or_else(|| unknown(id))?;
    let (grant, mut status) = (found.spec::<Grant>()?, found.status::<Grant>()?);
    let now = tx.now();
    let live = status.until.is_some_and(|until| now < until);
    let (phase, kind) = match (verb, status.phase) {
        _ if !live => return Err(decided(id)),
        (Verb::Approve, Phase::Requested) => {
            status.until = Some(now.plus(Duration::from_secs(grant.lasts_s)));
            (Phase::Active, "access.approved")
        }
        (Verb::Deny, Phase::Requested) => (Phase::Denied, "access.denied"),
        (Verb::Revoke, Phase::Requested | Phase::Active) => (Phase::Revoked, "access.revoked"),
        _ => return Err(decided(id)),
    };
    status = GrantStatus {
        phase,
        decided_by: Some(actor.clone()),
        decided: Some(now),
        remark,
        ..status
    };
    write(tx, Some(id.clone()), grant, status, actor, kind)
}

/// Grants and requests whose status is so.
fn open(tx: &Tx<'_>, so: impl Fn(&GrantStatus) -> bool) -> Result<Vec<(Grant, GrantStatus)>> {
    let mut out = Vec::new();
    for resource in tx.resources(Grant::KIND, None, None, 10 * KEPT)? {
        let status = resource.status::<Grant>()?;
        if so(&status) {
            out.push((resource.spec::<Grant>()?, status));
        }
    }
    Ok(out)
}

/// Writes the grant, its status and the event that says so.
fn write(
    tx: &mut Tx<'_>,
    id: Option<Name>,
    grant: Grant,
    status: GrantStatus,
    actor: &Principal,
    kind: &'static str,
) -> Result<Resource> {
    let id = match id {
        Some(id) => id,
        None => Name::parse(tx.id()?.as_str())?,
    };
    let key = Key::global::<Grant>(&id);
    let spec = serde_json::to_value(&grant).map_err(Error::internal)?;
    let labels = Default::default();
    tx.put(Put { key: key.clone(), labels, spec, expected: None, actor: actor.clone() })?;
    let resource = tx.put_status(&key, &status, actor.clone())?;
    let data = json!({
        "grant": id, "to": grant.to, "give": grant.give, "on": grant.on, "reason": grant.reason,
        "asked_by": status.asked_by, "until": status.until,
    });
    let mut event =
        NewEvent::new(kind, actor.clone(), say(kind, &grant, actor)).subject(key).data(data);
    if let Some(project) = grant.on.project_name() {
        event = event.project(project);
    }
    tx.append(event)?;
    Ok(resource)
}

fn say(kind: &str, grant: &Grant, actor: &Principal) -> Text {
    let given = grant.give.text();
    let (to, on, en, ko) = (&grant.to, &grant.on, given.en, given.ko);
    let reason = &grant.reason;
    match kind {
        "access.requested" => text!(
            "{actor} asked for {en} on {on} for {to}: {reason}",
            "{actor}이(가) {to}에게 {on}의 {ko}을(를) 요청: {reason}"
        ),
        "access.approved" => {
            text!("{actor} approved {en} on {on} for {to}", "{actor}이(가) {to}의 {on} {ko} 승인")
        }
        "access.denied" => {
            text!("{actor} denied {en} on {on} to {to}", "{actor}이(가) {to}의 {on} {ko} 거절")
        }
        "access.revoked" => {
            text!("{actor} revoked {en} on {on} of {to}", "{actor}이(가) {to}의 {on} {ko} 회수")
        }
        "access.broken-glass" => text!(
            "{actor} broke the glass and took {en} on {on}: {reason}",
            "{actor}이(가) 비상 권한으로 {on}의 {ko}을(를) 얻음: {reason}"
        ),
        _ => text!("{en} on {on} of {to} has ended", "{to}의 {on} {ko} 기간 만료"),
    }
}

/// Where an approval is decided: a project answers for all in it.
fn place(on: &Target) -> Target {
    on.project_name().map_or_else(Target::platform, Target::project)
}

/// The furthest right of a role.
fn reach(role: Role) -> Permission {
    match role {
        Role::Viewer => Permission::View,
        Role::Developer => Permission::Change,
        Role::Maintainer => Permission::Deploy,
        Role::Owner => Permission::Administer,
    }
}

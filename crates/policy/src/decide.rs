//! The one decision, and the thin calls that everybody uses.

use crate::action::{Action, Permission};
use crate::judge::{Question, Reason, fits};
use crate::kind::{Context, Given};
use crate::people::{Person, Who};
use crate::role::Role;
use crate::target::Target;
use crate::world::World;
use crate::{Policy, Project};
use account::unauthenticated;
use kernel::{Error, Key, Lang, Name, Principal, Result, Text, text};
use serde::Serialize;
use store::View;

/// A question.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    pub who: &'a Principal,
    pub action: Action,
    pub target: &'a Target,
    pub context: &'a Context,
}

/// An answer with its reasons. One that denies may also hide: then the target looks as if it were not there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Decision {
    pub allow: bool,
    pub hide: bool,
    pub because: Vec<Reason>,
}

impl Decision {
    fn deny(hide: bool, reason: Reason) -> Decision {
        Decision { allow: false, hide, because: vec![reason] }
    }

    /// What is left of it for a credential that is narrowed to `scopes`.
    pub fn narrow(&mut self, ask: &Ask<'_>, scopes: &account::Scopes) {
        let (action, project) = (ask.action, ask.target.project_name());
        if self.allow && !scopes.allow(action.name(), action.effect(), project) {
            *self = Decision::deny(false, Reason::Scope);
        }
    }

    /// Whether it denies what something else may have permitted.
    fn holds_back(&self) -> bool {
        let holds =
            |r: &Reason| matches!(r, Reason::Forbidden { .. } | Reason::SecondPerson { .. });
        !self.allow && self.because.iter().any(holds)
    }

    /// The reasons in a line.
    pub fn text(&self) -> Text {
        let join = |lang: Lang| {
            let all: Vec<String> =
                self.because.iter().map(|r| r.text().get(lang).to_owned()).collect();
            all.join("; ")
        };
        Text::new(join(Lang::En), join(Lang::Ko))
    }
}

/// Who hears of every decision that denied. Called while the request waits: it must not block.
pub trait Denied: Send + Sync {
    fn denied(&self, ask: &Ask<'_>, decision: &Decision);
}

impl World {
    /// The whole decision for a principal of whom everything is known.
    pub(crate) fn decide(&self, q: &Question<'_>, thorough: bool) -> Result<Decision> {
        if !fits(q.action, q.target) {
            return Err(elsewhere(q.action, q.target));
        }
        let project = q.target.project_name();
        if project.is_some_and(|p| !self.projects.contains_key(p)) {
            return Ok(Decision::deny(true, Reason::NoProject));
        }
        if q.who.person.absent {
            return Ok(Decision::deny(project.is_some(), Reason::Absent));
        }
        let verdict = if thorough { self.explain(q)? } else { self.judge(q)? };
        if !verdict.allow {
            let hide = project.is_some() && !self.sees(q)?;
            return Ok(Decision { allow: false, hide, because: verdict.because });
        }
        let mut decision = Decision { allow: true, hide: false, because: verdict.because };
        self.second_person(q, &mut decision);
        Ok(decision)
    }

    /// Whether the principal may see the project at all.
    fn sees(&self, q: &Question<'_>) -> Result<bool> {
        let Some(project) = q.target.project_name() else { return Ok(true) };
        if q.action == Action::ProjectView && q.target.sort() == crate::Sort::Project {
            return Ok(false);
        }
        let target = Target::project(project);
        let see = Question { action: Action::ProjectView, target: &target, ..*q };
        Ok(self.judge(&see)?.allow)
    }

    /// What holds the action back, whoever may do it.
    fn held_back(&self, q: &Question<'_>) -> Result<Option<Reason>> {
        if let Some(forbids) = self.forbidden(q)? {
            return Ok(Some(forbids));
        }
        let mut decision = Decision { allow: true, hide: false, because: Vec::new() };
        self.second_person(q, &mut decision);
        Ok(decision.because.into_iter().find(|r| matches!(r, Reason::SecondPerson { .. })))
    }

    /// Takes an allowed action back when it needs a second person and nobody has approved it.
    fn second_person(&self, q: &Question<'_>, decision: &mut Decision) {
        // What naru does by itself was asked for by somebody before.
        if matches!(q.who.principal, Principal::Part(_)) {
            return;
        }
        let rule = self.two_person(q.action, q.target, q.context.environment.as_deref());
        let Some(project) = rule else { return };
        let own = crate::Subject::of(&q.who.principal);
        let approval = self.grants.values().find(|g| {
            g.grant.give == Given::SecondPerson(q.action)
                && Some(&g.grant.to) == own.as_ref()
                && q.now < g.until
                && (covers(&g.grant.on, q.target) || within(&g.grant.on, q))
        });
        match approval {
            Some(g) => decision
                .because
                .push(Reason::Approved { grant: g.id.clone(), by: g.approved_by.clone() }),
            None => *decision = Decision::deny(false, Reason::SecondPerson { project }),
        }
    }
}

/// Whether what was approved on an environment holds on what is done in it.
fn within(on: &Target, q: &Question<'_>) -> bool {
    on.sort() == crate::Sort::Environment
        && on.project_name() == q.target.project_name()
        && q.context.environment.as_deref() == Some(on.name())
}

/// Whether what was approved on one target holds on another: on itself and on what is in it.
pub(crate) fn covers(on: &Target, target: &Target) -> bool {
    on == target || on.sort() == crate::Sort::Project && on.project_name() == target.project_name()
}

impl Policy {
    /// Decides. This is the one place.
    ///
    /// # Errors
    /// `auth.required` for nobody, `action.elsewhere` for an action that is never done to such a target, the
    /// store's.
    pub async fn decide(&self, ask: &Ask<'_>) -> Result<Decision> {
        self.answer(ask, false).await
    }

    /// As [`Policy::decide`], with everything that determines the answer, not just enough of it.
    ///
    /// # Errors
    /// As [`Policy::decide`].
    pub async fn explain(&self, ask: &Ask<'_>) -> Result<Decision> {
        self.answer(ask, true).await
    }

    async fn answer(&self, ask: &Ask<'_>, thorough: bool) -> Result<Decision> {
        if *ask.who == Principal::Anonymous {
            return Err(unauthenticated());
        }
        let who = self.who(ask.who).await?;
        let now = ask.context.now.unwrap_or_else(|| self.store().now());
        let (action, target, context) = (ask.action, ask.target, ask.context);
        self.in_world_of(&who, |world, who| {
            world.decide(&Question { who, action, target, context, now }, thorough)
        })
    }

    /// Decides, tells of a denial, and says it as an error.
    ///
    /// # Errors
    /// As [`Policy::may`], and `auth.second-person`.
    pub async fn require(&self, ask: &Ask<'_>) -> Result<()> {
        let targets = std::slice::from_ref(ask.target);
        self.require_on(ask.who, ask.action, targets, ask.context).await
    }

    /// As [`Policy::require`], for what is done to all of `targets` at once, of which the first is the one to name: what
    /// permits it on one of them permits it, what holds it back on one holds it back.
    ///
    /// # Errors
    /// Likewise.
    pub async fn require_on(
        &self,
        who: &Principal,
        action: Action,
        targets: &[Target],
        context: &Context,
    ) -> Result<()> {
        let mut open = None;
        let mut closed = None;
        for target in targets {
            let ask = Ask { who, action, target, context };
            let decision = self.decide(&ask).await?;
            match decision.allow {
                true => drop(open.get_or_insert(decision)),
                false if decision.holds_back() => return Err(self.refuse(&ask, &decision)),
                false => drop(closed.get_or_insert((ask, decision))),
            }
        }
        match (open, closed) {
            (Some(decision), _) => {
                // Events that come of it say why.
                store::origin::allowed(decision.text().en);
                Ok(())
            }
            (None, Some((ask, decision))) => Err(self.refuse(&ask, &decision)),
            (None, None) => Err(Error::internal("an action on nothing")),
        }
    }

    /// Whether anything holds the action back from somebody who may do it for another reason than a role: what a push
    /// sets going was allowed with the push, but a `forbid` and the rule of the second person count for it, too.
    ///
    /// # Errors
    /// `auth.denied`, `auth.second-person`; the store's.
    pub async fn unless_forbidden(&self, ask: &Ask<'_>) -> Result<()> {
        let who = self.who(ask.who).await?;
        let now = ask.context.now.unwrap_or_else(|| self.store().now());
        let (action, target, context) = (ask.action, ask.target, ask.context);
        let held = self.in_world_of(&who, |world, who| {
            world.held_back(&Question { who, action, target, context, now })
        })?;
        match held {
            None => Ok(()),
            Some(reason) => Err(self.refuse(ask, &Decision::deny(false, reason))),
        }
    }

    fn refuse(&self, ask: &Ask<'_>, decision: &Decision) -> Error {
        if let Some(denied) = self.0.denied.get() {
            denied.denied(ask, decision);
        }
        refusal(ask, decision)
    }

    /// Whether `who` may do `wanted` in `project`.
    ///
    /// # Errors
    /// `auth.required` for nobody; `project.unknown` when there is no such project or `who` may not see
    /// it; `auth.denied` when the right is missing.
    pub async fn may(&self, who: &Principal, wanted: Permission, project: &Name) -> Result<()> {
        self.may_do(who, wanted.action(), &Target::project(project)).await
    }

    /// Whether `who` may do `action` to `target`.
    ///
    /// # Errors
    /// As [`Policy::may`].
    pub async fn may_do(&self, who: &Principal, action: Action, target: &Target) -> Result<()> {
        self.require(&Ask { who, action, target, context: &Context::default() }).await
    }

    /// Whether `who` runs the platform.
    ///
    /// # Errors
    /// `auth.required` for nobody, `auth.denied` for everybody but administrators.
    pub async fn may_administer(&self, who: &Principal) -> Result<()> {
        self.may_do(who, Action::PlatformAdminister, &Target::platform()).await
    }

    /// Whether `who` may, without an error and without telling anybody of a denial: for what a page shows.
    pub async fn can(&self, who: &Principal, action: Action, target: &Target) -> bool {
        let ask = Ask { who, action, target, context: &Context::default() };
        self.decide(&ask).await.is_ok_and(|d| d.allow)
    }

    /// The projects `who` may see, by name.
    pub async fn visible(&self, who: &Principal) -> Result<Vec<Name>> {
        if *who == Principal::Anonymous {
            return Ok(Vec::new());
        }
        let who = self.who(who).await?;
        let (context, now) = (Context::default(), self.store().now());
        self.in_world_of(&who, |world, who| {
            let mut seen = Vec::new();
            for name in world.projects.keys() {
                let target = Target::project(name);
                let action = Action::ProjectView;
                let q = Question { who, action, target: &target, context: &context, now };
                if world.decide(&q, false)?.allow {
                    seen.push(name.clone());
                }
            }
            seen.sort_unstable();
            Ok(seen)
        })
    }

    /// Whether `who` may do `wanted` in `project`, decided in a transaction of the caller's: accounts and members
    /// are as the transaction sees them, policies and grants as they were last read.
    ///
    /// # Errors
    /// The store's.
    pub fn allows(
        &self,
        view: &View<'_>,
        who: &Principal,
        wanted: Permission,
        project: &Name,
    ) -> Result<bool> {
        if *who == Principal::Anonymous {
            return Ok(false);
        }
        let Some(found) = view.resource(&Key::global::<Project>(project))? else {
            return Ok(false);
        };
        let spec: Project = found.spec()?;
        let person = Person::read(view, who)?;
        let decide = |world: &World| {
            let mut who = world.who(who, world.groups_of(who), person.clone(), view.now());
            in_transaction(&mut who, world, project, &spec);
            let (target, context) = (Target::project(project), Context::default());
            let (action, now) = (wanted.action(), view.now());
            let q = Question { who: &who, action, target: &target, context: &context, now };
            Ok(world.judge(&q)?.allow && !who.person.absent)
        };
        match self.at() {
            Some(_) => self.in_world(decide),
            // Nobody has asked anything yet. What this transaction sees may still be undone: it is not kept.
            None => decide(&World::load(view, 0)?),
        }
    }
}

/// Sets the role in one project to what a transaction sees.
fn in_transaction(who: &mut Who, world: &World, project: &Name, spec: &Project) {
    let subjects = who.subjects();
    let own = spec.members.iter().filter(|m| m.subject().is_some_and(|s| subjects.contains(&s)));
    let best: Option<Role> = own.map(|m| m.role).max();
    let written = matches!(
        who.roles.get(project),
        Some((_, crate::Via::Direct | crate::Via::Group(_))) | None
    );
    match best {
        Some(role) if written => {
            who.roles.insert(project.clone(), (role, crate::Via::Direct));
        }
        None if written => drop(who.roles.remove(project)),
        _ => {}
    }
    world.anchor(who);
}

fn elsewhere(action: Action, target: &Target) -> Error {
    Error::invalid(
        "action.elsewhere",
        text!("{action} is not done to {target}", "{action}은(는) {target}에 하는 동작이 아닙니다"),
    )
    .hint(Text::fixed(
        "`naru policy actions` says what each is done to",
        "`naru policy actions`가 동작의 대상을 보여 줍니다",
    ))
}

fn refusal(ask: &Ask<'_>, decision: &Decision) -> Error {
    let (who, action, target) = (ask.who, ask.action, ask.target);
    if let (true, Some(project)) = (decision.hide, target.project_name()) {
        return unknown_project(project);
    }
    if action == Action::PlatformAdminister && *target == Target::platform() {
        return Error::forbidden(
            "auth.denied",
            text!("{who} does not administer this naru", "{who}은(는) 이 naru의 관리자가 아닙니다"),
        )
        .hint(Text::fixed("ask an administrator", "관리자에게 요청하세요"));
    }
    let (en, ko) = (action.words(Lang::En), action.words(Lang::Ko));
    if decision.because.iter().any(|r| matches!(r, Reason::SecondPerson { .. })) {
        return Error::forbidden(
            "auth.second-person",
            text!(
                "this takes a second person's approval: {en} ({action} on {target})",
                "다른 사람의 승인이 필요합니다: {ko} ({target}의 {action})"
            ),
        )
        .hint(text!(
            "`naru access request --second-person {action} {target} --reason …` asks for it",
            "`naru access request --second-person {action} {target} --reason …`으로 요청하세요"
        ));
    }
    let forbidden = decision.because.iter().find(|r| matches!(r, Reason::Forbidden { .. }));
    let why = forbidden.map(|r| r.text()).unwrap_or_default();
    let (why_en, why_ko) = match why.is_empty() {
        true => (String::new(), String::new()),
        false => (format!(": {}", why.en), format!(": {}", why.ko)),
    };
    Error::forbidden(
        "auth.denied",
        text!(
            "{who} may not {en} ({action} on {target}){why_en}",
            "{who}에게 권한이 없습니다: {ko} ({target}의 {action}){why_ko}"
        ),
    )
    .hint(text!(
        "`naru access request {action} {target} --reason …` asks for it for a time",
        "`naru access request {action} {target} --reason …`으로 한동안 요청할 수 있습니다"
    ))
}

pub(crate) fn unknown_project(project: &Name) -> Error {
    Error::not_found(
        "project.unknown",
        text!("there is no project {project}", "{project} 프로젝트가 없습니다"),
    )
    .hint(text!(
        "`naru project list` shows yours; `naru project create {project}` makes it",
        "`naru project list`로 목록을 보고, `naru project create {project}`로 만드세요"
    ))
}

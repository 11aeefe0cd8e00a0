//! What the policies come to: the built-in roles compiled, people's policies through the index, conditions by
//! Cedar.

use crate::action::Action;
use crate::kind::Context;
use crate::people::{Via, Who};
use crate::role::{PlatformRole, Role};
use crate::scene;
use crate::schema::{Type, Uid};
use crate::target::{Sort, Target};
use crate::world::{World, target_uid};
use kernel::{Name, Principal, Result, Text, Time, text};
use serde::Serialize;
use std::sync::{Arc, LazyLock};

/// Why a decision is what it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Reason {
    /// The role of a project has the action.
    Role { role: Role, project: Name, via: Via },
    /// A role of the platform has it.
    PlatformRole { role: PlatformRole, via: Via },
    /// Anybody who is signed in has it.
    Everyone,
    /// naru itself.
    Naru,
    /// A policy permits it. `policy` is `shop/freeze`, `platform/mfa`.
    Permitted { policy: String },
    /// A policy forbids it, whatever permits it.
    Forbidden { policy: String },
    /// A grant gives it for a time.
    Granted { grant: Name },
    /// Nothing permits it.
    Nothing,
    /// There is no such project.
    NoProject,
    /// The account is disabled or gone.
    Absent,
    /// The token or session was narrowed to less than its owner may do.
    Scope,
    /// It takes the approval of a second person, and there is none. Who made the rule: a project, or the platform.
    SecondPerson { project: Option<Name> },
    /// A second person has approved it.
    Approved { grant: Name, by: Option<Principal> },
}

impl Reason {
    pub fn text(&self) -> Text {
        match self {
            Reason::Role { role, project, via } => {
                let (role, via) = (role.text(), via.text());
                let (r, v, rk, vk) = (role.en, via.en, role.ko, via.ko);
                text!("{r} of project {project}, {v}", "{project} 프로젝트의 {rk} ({vk})")
            }
            Reason::PlatformRole { role, via } => {
                let (role, via) = (role.text(), via.text());
                let (r, v, rk, vk) = (role.en, via.en, role.ko, via.ko);
                text!("{r} of the platform, {v}", "플랫폼 {rk} ({vk})")
            }
            Reason::Everyone => Text::fixed("anybody who is signed in", "로그인한 누구나"),
            Reason::Naru => Text::fixed("naru itself", "naru 자신"),
            Reason::Permitted { policy } => {
                text!("policy {policy} permits it", "정책 {policy}이(가) 허용합니다")
            }
            Reason::Forbidden { policy } => {
                text!("policy {policy} forbids it", "정책 {policy}이(가) 금지합니다")
            }
            Reason::Granted { grant } => text!("grant {grant}", "임시 권한 {grant}"),
            Reason::Nothing => Text::fixed("nothing permits it", "허용하는 것이 없습니다"),
            Reason::NoProject => {
                Text::fixed("there is no such project", "그런 프로젝트가 없습니다")
            }
            Reason::Absent => {
                Text::fixed("the account is disabled or gone", "계정이 비활성이거나 없습니다")
            }
            Reason::Scope => {
                Text::fixed("the token is narrowed to less", "토큰의 범위가 그보다 좁습니다")
            }
            Reason::SecondPerson { project: Some(project) } => text!(
                "project {project} asks for a second person's approval",
                "{project} 프로젝트 규칙에 따라 다른 사람의 승인이 필요합니다"
            ),
            Reason::SecondPerson { project: None } => Text::fixed(
                "the platform asks for a second person's approval",
                "플랫폼 규칙에 따라 다른 사람의 승인이 필요합니다",
            ),
            Reason::Approved { grant, by: Some(by) } => {
                text!("approved by {by} ({grant})", "{by}이(가) 승인함 ({grant})")
            }
            Reason::Approved { grant, by: None } => text!("approved ({grant})", "승인됨 ({grant})"),
        }
    }
}

/// What the policies say, before tokens and second persons.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub allow: bool,
    pub because: Vec<Reason>,
}

fn verdict(allow: bool, reason: Reason) -> Verdict {
    Verdict { allow, because: vec![reason] }
}

/// Which built-in role has the action there, if any. Equal to `builtin.cedar`, as a test proves.
pub(crate) fn built_in(who: &Who, action: Action, target: &Target) -> Option<Reason> {
    if who.uid.0 == Type::Part {
        return Some(Reason::Naru);
    }
    if let Some(project) = target.project_name()
        && let Some((role, via)) = who.role(project)
        && action.role().is_some_and(|least| least <= *role)
    {
        return Some(Reason::Role { role: *role, project: project.clone(), via: via.clone() });
    }
    let platform = who.platform.iter().find(|(role, _)| action.of_platform(*role));
    if let Some((role, via)) = platform {
        return Some(Reason::PlatformRole { role: *role, via: via.clone() });
    }
    let somebody = matches!(who.uid.0, Type::User | Type::ServiceAccount);
    (action == Action::ProjectCreate && somebody).then_some(Reason::Everyone)
}

/// One question, with all that the answer needs.
pub(crate) struct Question<'a> {
    pub who: &'a Who,
    pub action: Action,
    pub target: &'a Target,
    pub context: &'a Context,
    pub now: Time,
}

/// The policies whose scope fits, by effect and by whether there is a condition to evaluate.
#[derive(Default)]
struct Candidates {
    forbids: Vec<u32>,
    permits: Vec<u32>,
    /// With a condition.
    may_forbid: Vec<u32>,
    may_permit: Vec<u32>,
}

impl World {
    /// Decides as soon as the answer is known.
    pub fn judge(&self, q: &Question<'_>) -> Result<Verdict> {
        let built_in = built_in(q.who, q.action, q.target);
        let found = self.candidates(q);
        if let Some(first) = found.forbids.first() {
            return Ok(verdict(false, self.reason(*first)));
        }
        let open = built_in.or_else(|| found.permits.first().map(|n| self.reason(*n)));
        let mut asked = found.may_forbid;
        match &open {
            Some(_) => {}
            None if found.may_permit.is_empty() => return Ok(verdict(false, Reason::Nothing)),
            None => asked.extend(&found.may_permit),
        }
        let hold = self.satisfied(q, asked)?;
        let forbid = hold.iter().find(|n| self.forbids(**n));
        Ok(match (forbid, open, hold.first()) {
            (Some(number), _, _) => verdict(false, self.reason(*number)),
            (None, Some(reason), _) => verdict(true, reason),
            (None, None, Some(number)) => verdict(true, self.reason(*number)),
            (None, None, None) => verdict(false, Reason::Nothing),
        })
    }

    /// The first `forbid` that holds, whatever permits.
    pub fn forbidden(&self, q: &Question<'_>) -> Result<Option<Reason>> {
        let found = self.candidates(q);
        let first = match found.forbids.first() {
            Some(first) => Some(*first),
            None => self.satisfied(q, found.may_forbid)?.first().copied(),
        };
        Ok(first.map(|number| self.reason(number)))
    }

    /// Decides and finds everything that determines it: every `forbid` that holds, or else every `permit`.
    pub fn explain(&self, q: &Question<'_>) -> Result<Verdict> {
        let found = self.candidates(q);
        let mut hold = [found.forbids, found.permits].concat();
        let asked = [found.may_forbid, found.may_permit].concat();
        hold.extend(self.satisfied(q, asked)?.iter());
        hold.sort_unstable();
        let (forbids, permits): (Vec<u32>, Vec<u32>) =
            hold.into_iter().partition(|n| self.forbids(*n));
        let reasons = |numbers: Vec<u32>| numbers.into_iter().map(|n| self.reason(n));
        if !forbids.is_empty() {
            return Ok(Verdict { allow: false, because: reasons(forbids).collect() });
        }
        let built_in = built_in(q.who, q.action, q.target).into_iter();
        let because: Vec<Reason> = built_in.chain(reasons(permits)).collect();
        match because.is_empty() {
            true => Ok(verdict(false, Reason::Nothing)),
            false => Ok(Verdict { allow: true, because }),
        }
    }

    fn candidates(&self, q: &Question<'_>) -> Candidates {
        let mut out = Candidates::default();
        if self.index.policies.is_empty() {
            return out;
        }
        let project = q.target.project_name().map(Uid::project);
        let place =
            self.index.place(&target_uid(q.target), project.as_ref(), &target_uid(&PLATFORM));
        for number in self.index.candidates(q.action, &q.who.anchors, &place, q.now) {
            let Some(policy) = self.index.get(number) else { continue };
            match (policy.forbids, policy.condition.is_some()) {
                (true, false) => out.forbids.push(number),
                (false, false) => out.permits.push(number),
                (true, true) => out.may_forbid.push(number),
                (false, true) => out.may_permit.push(number),
            }
        }
        out
    }

    fn forbids(&self, number: u32) -> bool {
        self.index.get(number).is_some_and(|p| p.forbids)
    }

    fn reason(&self, number: u32) -> Reason {
        let Some(policy) = self.index.get(number) else { return Reason::Nothing };
        match policy.id.strip_prefix("grant/").and_then(|id| Name::parse(id).ok()) {
            Some(grant) => Reason::Granted { grant },
            None if policy.forbids => Reason::Forbidden { policy: policy.id.clone() },
            None => Reason::Permitted { policy: policy.id.clone() },
        }
    }

    /// Those of the policies whose conditions hold.
    fn satisfied(&self, q: &Question<'_>, mut numbers: Vec<u32>) -> Result<Arc<[u32]>> {
        if numbers.is_empty() {
            return Ok(Arc::default());
        }
        numbers.sort_unstable();
        scene::satisfied(&self.index, q, numbers)
    }
}

static PLATFORM: LazyLock<Target> = LazyLock::new(Target::platform);

/// Whether the action can be done to such a target at all.
pub(crate) fn fits(action: Action, target: &Target) -> bool {
    match target.sort() {
        Sort::Platform => action.on_platform(),
        _ => action.in_projects(),
    }
}

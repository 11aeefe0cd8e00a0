//! A principal before a target, as Cedar sees them: made once, with what conditions came to over them.
//!
//! What a condition comes to depends on the policy, the principal with all it is in, the target, the action and
//! the context, and on nothing else ([`crate::compile`] refuses conditions that ask about anybody else). A scene
//! belongs to a [`Who`], which is thrown away whenever policies, memberships or grants change; so what it remembers
//! is true for as long as it lives. A condition that compares the time with moments is remembered between two of
//! them; one that does anything else with the time is not.

use crate::action::Action;
use crate::entities;
use crate::index::Index;
use crate::judge::Question;
use crate::kind::Context;
use crate::people::Who;
use crate::schema::uid;
use crate::target::Target;
use crate::world::target_uid;
use cedar_policy::{Authorizer, Entities, EntityUid, PolicyId, Request};
use kernel::{Error, Result};
use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

/// Scenes kept for one principal.
const SCENES: usize = 512;
/// Answers kept in one scene.
const ANSWERS: usize = 64;

/// The scenes of one principal.
#[derive(Default)]
pub(crate) struct Scenes(Mutex<HashMap<Target, Arc<Scene>>>);

struct Scene {
    principal: EntityUid,
    target: EntityUid,
    entities: Entities,
    answers: Mutex<HashMap<Asked, Arc<[u32]>>>,
}

/// What an answer depends on beside the scene.
#[derive(PartialEq, Eq, Hash)]
struct Asked {
    action: Action,
    /// Numbers in the index, ascending.
    policies: Box<[u32]>,
    /// Without what none of the policies looks at.
    context: Context,
    /// Where the time lies between the moments that the policies compare it with.
    moment: (usize, usize),
}

impl Scenes {
    fn of(&self, who: &Who, target: &Target) -> Result<Arc<Scene>> {
        let kept = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = kept().get(target) {
            return Ok(found.clone());
        }
        let made = Arc::new(Scene {
            principal: who.uid.cedar()?,
            target: target_uid(target).cedar()?,
            entities: entities::slice(who, target)?,
            answers: Mutex::default(),
        });
        let mut kept = kept();
        if kept.len() >= SCENES {
            kept.clear();
        }
        kept.insert(target.clone(), made.clone());
        Ok(made)
    }
}

/// Those of the policies, ascending by number, whose conditions hold: the forbidding ones, or, when there is none,
/// the permitting ones. A condition that fails to evaluate does not hold, as in Cedar.
pub(crate) fn satisfied(index: &Index, q: &Question<'_>, policies: Vec<u32>) -> Result<Arc<[u32]>> {
    let scene = q.who.scenes.of(q.who, q.target)?;
    let needs = index.needs(&policies);
    if needs.any_moment {
        return scene.evaluate(index, q, &policies);
    }
    let mut context = Context { now: None, ..q.context.clone() };
    context.address = context.address.filter(|_| needs.address);
    let moment = index.moment(&policies, q.now);
    let asked = Asked { action: q.action, policies: policies.into(), context, moment };
    let kept = || scene.answers.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(found) = kept().get(&asked) {
        return Ok(found.clone());
    }
    let found = scene.evaluate(index, q, &asked.policies)?;
    let mut kept = kept();
    if kept.len() >= ANSWERS {
        kept.clear();
    }
    kept.insert(asked, found.clone());
    Ok(found)
}

impl Scene {
    fn evaluate(&self, index: &Index, q: &Question<'_>, policies: &[u32]) -> Result<Arc<[u32]>> {
        let set = index.conditions(policies)?;
        let needs = index.needs(policies);
        let context = entities::context(q.context, needs.now.then_some(q.now), needs.address)?;
        let (principal, target) = (self.principal.clone(), self.target.clone());
        let request = Request::new(principal, action(q.action)?, target, context, None);
        let request = request.map_err(Error::internal)?;
        let answer = Authorizer::new().is_authorized(&request, &set, &self.entities);
        let number = |id: &PolicyId| AsRef::<str>::as_ref(id).parse().ok();
        Ok(answer.diagnostics().reason().filter_map(number).collect())
    }
}

static ACTIONS: LazyLock<Vec<Result<EntityUid>>> =
    LazyLock::new(|| Action::ALL.into_iter().map(|a| uid("Action", a.name())).collect());

/// # Errors
/// Internal: names of actions are ours and sound.
pub(crate) fn action(action: Action) -> Result<EntityUid> {
    let found = ACTIONS.get(action as usize).cloned();
    found.unwrap_or_else(|| Err(Error::internal("an action without a name")))
}

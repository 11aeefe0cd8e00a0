//! The index in front of Cedar: from an action, a target and a principal's groups and roles to the few policies
//! whose scope fits. What Cedar then evaluates are those policies' conditions, and nothing at all where the scope
//! alone decides.
//!
//! Cedar's own evaluation is linear in the number of policies; this is not. That both answer the same is what
//! `tests::equal` proves on random policies and requests.

use crate::action::Action;
use crate::compile::{Compiled, Needs, Scope, bit};
use crate::schema::{Type, Uid};
use cedar_policy::{PolicyId, PolicySet};
use kernel::{Error, Result, Time};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};

/// A number for each entity that some policy's scope names.
type Atom = u32;

/// In buckets of up to this many policies, looking at each is cheaper than looking up each group.
const FEW: usize = 8;
/// Sets of conditions kept ready.
const SETS: usize = 4096;

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Key {
    Any,
    Type(Type),
    Atom(Atom),
}

impl Key {
    fn of(scope: &Scope<Atom>) -> Key {
        match scope {
            Scope::Any => Key::Any,
            Scope::Is(kind) => Key::Type(*kind),
            Scope::Eq(atom) | Scope::In(atom) | Scope::IsIn(_, atom) => Key::Atom(*atom),
        }
    }
}

#[derive(Default)]
struct Bucket {
    all: Vec<u32>,
    by_principal: HashMap<Key, Vec<u32>>,
}

/// The scope of a policy in numbers.
struct Row {
    principal: Scope<Atom>,
    target: Scope<Atom>,
    project: Option<Atom>,
}

#[derive(Default)]
pub(crate) struct Index {
    pub policies: Vec<Arc<Compiled>>,
    rows: Vec<Row>,
    atoms: HashMap<Uid, Atom>,
    buckets: HashMap<(u8, Key), Bucket>,
    sets: Mutex<HashMap<Box<[u32]>, Arc<PolicySet>>>,
}

/// What the index knows of a principal: itself and what it is in, as far as policies name it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Anchors {
    kind: Option<Type>,
    own: Option<Atom>,
    /// Ascending.
    all: Box<[Atom]>,
    /// Whether a project's `forbid` passes it by.
    exempt: bool,
}

/// Likewise of a target: itself, its project, the platform.
pub(crate) struct Place {
    kind: Type,
    own: Option<Atom>,
    project: Option<Atom>,
    platform: Option<Atom>,
}

impl Place {
    fn within(&self, atom: Atom) -> bool {
        [self.own, self.project, self.platform].contains(&Some(atom))
    }
}

impl Index {
    pub fn build(policies: Vec<Arc<Compiled>>) -> Index {
        let mut index = Index::default();
        for (number, policy) in (0_u32..).zip(&policies) {
            let mut atom = |uid: &Uid| {
                let next = index.atoms.len() as Atom;
                *index.atoms.entry(uid.clone()).or_insert(next)
            };
            let row = Row {
                principal: policy.principal.map(&mut atom),
                target: policy.target.map(&mut atom),
                project: policy.project.as_ref().map(|p| atom(&Uid::project(p))),
            };
            // What a project's policy says of any target it says of its project's.
            let target = match (Key::of(&row.target), row.project) {
                (Key::Any | Key::Type(_), Some(project)) => Key::Atom(project),
                (key, _) => key,
            };
            let principal = Key::of(&row.principal);
            for action in Action::ALL.into_iter().filter(|a| policy.actions & bit(*a) != 0) {
                let bucket = index.buckets.entry((action as u8, target)).or_default();
                bucket.all.push(number);
                bucket.by_principal.entry(principal).or_default().push(number);
            }
            index.rows.push(row);
        }
        index.policies = policies;
        index
    }

    pub fn anchors(
        &self,
        own: &Uid,
        ancestors: impl Iterator<Item = Uid>,
        exempt: bool,
    ) -> Anchors {
        let mut all: Vec<Atom> = ancestors.filter_map(|uid| self.atom(&uid)).collect();
        let me = self.atom(own);
        all.extend(me);
        all.sort_unstable();
        all.dedup();
        Anchors { kind: Some(own.0), own: me, all: all.into(), exempt }
    }

    pub fn place(&self, own: &Uid, project: Option<&Uid>, platform: &Uid) -> Place {
        if self.policies.is_empty() {
            return Place { kind: own.0, own: None, project: None, platform: None };
        }
        Place {
            kind: own.0,
            own: self.atom(own),
            project: project.and_then(|p| self.atom(p)),
            platform: self.atom(platform),
        }
    }

    fn atom(&self, uid: &Uid) -> Option<Atom> {
        self.atoms.get(uid).copied()
    }

    /// The policies whose scope fits and whose time has not passed, in no order.
    pub fn candidates(&self, action: Action, who: &Anchors, place: &Place, now: Time) -> Vec<u32> {
        let mut found = Vec::new();
        if self.policies.is_empty() {
            return found;
        }
        let other = |atom: &Atom| Some(*atom) != place.own;
        let atoms = [place.own, place.project.filter(other), place.platform.filter(other)];
        let keys = [Some(Key::Any), Some(Key::Type(place.kind))].into_iter();
        let keys = keys.chain(atoms.map(|a| a.map(Key::Atom))).flatten();
        for key in keys {
            let Some(bucket) = self.buckets.get(&(action as u8, key)) else { continue };
            let mut take = |numbers: &[u32]| {
                let fits = |n: &&u32| self.fits(**n, who, place, now);
                found.extend(numbers.iter().filter(fits));
            };
            if bucket.all.len() <= FEW {
                take(&bucket.all);
                continue;
            }
            let own = [Some(Key::Any), who.kind.map(Key::Type)].into_iter().flatten();
            for key in own.chain(who.all.iter().copied().map(Key::Atom)) {
                if let Some(numbers) = bucket.by_principal.get(&key) {
                    take(numbers);
                }
            }
        }
        found
    }

    fn fits(&self, number: u32, who: &Anchors, place: &Place, now: Time) -> bool {
        let at = number as usize;
        let (Some(row), Some(policy)) = (self.rows.get(at), self.policies.get(at)) else {
            return false;
        };
        let among = |atom: &Atom| who.all.binary_search(atom).is_ok();
        let principal = match &row.principal {
            Scope::Any => true,
            Scope::Eq(atom) => who.own == Some(*atom),
            Scope::In(atom) => among(atom),
            Scope::Is(kind) => who.kind == Some(*kind),
            Scope::IsIn(kind, atom) => who.kind == Some(*kind) && among(atom),
        };
        let target = match &row.target {
            Scope::Any => true,
            Scope::Eq(atom) => place.own == Some(*atom),
            Scope::In(atom) => place.within(*atom),
            Scope::Is(kind) => place.kind == *kind,
            Scope::IsIn(kind, atom) => place.kind == *kind && place.within(*atom),
        };
        principal
            && target
            && row.project.is_none_or(|p| place.within(p))
            && !(policy.exempt && who.exempt)
            && policy.until.is_none_or(|until| now < until)
    }

    pub fn get(&self, number: u32) -> Option<&Arc<Compiled>> {
        self.policies.get(number as usize)
    }

    /// What the conditions of these policies look at.
    pub fn needs(&self, numbers: &[u32]) -> Needs {
        let mut needs = Needs::default();
        for policy in numbers.iter().filter_map(|n| self.get(*n)) {
            needs.now |= policy.needs.now;
            needs.address |= policy.needs.address;
            needs.any_moment |= policy.needs.any_moment;
        }
        needs
    }

    /// Where `now` lies between the moments that the conditions of these policies compare the time with: how many are
    /// before it, and how many not after it. While that is the same, each comparison comes to the same.
    pub fn moment(&self, numbers: &[u32], now: Time) -> (usize, usize) {
        let edges = numbers.iter().filter_map(|n| self.get(*n)).flat_map(|p| p.edges.iter());
        edges.fold((0, 0), |(before, until), edge| {
            (before + usize::from(*edge < now), until + usize::from(*edge <= now))
        })
    }

    /// The conditions of these policies as a set to evaluate, each under its number.
    ///
    /// # Errors
    /// Internal: numbers are distinct.
    pub fn conditions(&self, numbers: &[u32]) -> Result<Arc<PolicySet>> {
        let mut sets = self.sets.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(set) = sets.get(numbers) {
            return Ok(set.clone());
        }
        let own = |n: &u32| {
            let condition = self.get(*n)?.condition.as_ref()?;
            Some(condition.new_id(PolicyId::new(n.to_string())))
        };
        let set = PolicySet::from_policies(numbers.iter().filter_map(own).collect::<Vec<_>>());
        let set = Arc::new(set.map_err(Error::internal)?);
        if sets.len() >= SETS {
            sets.clear();
        }
        sets.insert(numbers.into(), set.clone());
        Ok(set)
    }
}

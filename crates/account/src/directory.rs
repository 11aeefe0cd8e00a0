//! Everybody, in memory: what each request asks, and what pages search.
//!
//! It is read once when the store is opened, and then follows each commit before its writer hears of it
//! ([`store::Store::observe`]), so that it is never behind what anybody was told.

mod graph;

pub(crate) use graph::cycle;

use crate::{Group, Member, ServiceAccount, User, kind, number};
pub use graph::Graph;
use kernel::{Event, Key, Name, Principal, Resource, Result};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use store::{Store, View};

/// Answers remembered about who is in which groups.
const KNOWN: usize = 16_384;
/// Resources read at a time when it is filled.
const PAGE: usize = 1000;
/// Words of one search.
const WORDS: usize = 8;

/// A handle; clones share it.
#[derive(Clone, Default)]
pub(crate) struct Directory(Arc<RwLock<Index>>);

#[derive(Default)]
struct Index {
    people: BTreeMap<Name, Entry>,
    services: BTreeMap<Name, Entry>,
    groups: BTreeMap<Name, Entry>,
    administrators: BTreeSet<Name>,
    /// Service accounts of projects.
    projects: BTreeMap<Name, BTreeSet<Name>>,
    graph: Graph,
    /// Emptied by every change of a group.
    known: Mutex<HashMap<Member, Arc<[Name]>>>,
    /// Deletions, while the index is being filled: what is read may be older. `None` once it is full.
    gone: Option<HashMap<(String, Name), u64>>,
}

struct Entry {
    revision: u64,
    disabled: bool,
    /// What a search looks in: lower case.
    words: Box<str>,
    /// Who answers for it: the owners of a group, the manager of a person.
    answers: Box<[Name]>,
}

/// What happened to somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    Active,
    Disabled,
    /// Never was, or was deleted.
    Unknown,
}

impl Directory {
    /// Reads everybody; gives those who have no number yet. Events may be [applied](Directory::apply) meanwhile.
    pub async fn fill(&self, store: &Store) -> Result<Vec<Key>> {
        self.write(|index| index.gone = Some(HashMap::new()));
        let mut unnumbered = Vec::new();
        for kind in [kind::USER, kind::GROUP, kind::SERVICE] {
            let directory = self.clone();
            unnumbered.extend(store.read(move |view| directory.read_all(view, kind)).await?);
        }
        self.write(|index| index.gone = None);
        Ok(unnumbered)
    }

    fn read_all(&self, view: &View<'_>, kind: &'static str) -> Result<Vec<Key>> {
        let (mut after, mut unnumbered) = (None, Vec::new());
        loop {
            let page = view.resources(kind, None, after.as_ref(), PAGE)?;
            let last = page.len() < PAGE;
            after = page.last().map(|r| r.key.clone());
            self.write(|index| page.iter().for_each(|resource| index.take(resource)));
            let without = page.into_iter().filter(|resource| !number::is_given(resource));
            unnumbered.extend(without.map(|resource| resource.key));
            if last {
                return Ok(unnumbered);
            }
        }
    }

    /// Takes in what was written; gives whom it bars: someone disabled or deleted.
    pub fn apply(&self, event: &Event) -> Option<Principal> {
        let key = event.fact.subject.as_ref()?;
        if ![kind::USER, kind::GROUP, kind::SERVICE].contains(&key.kind.as_str()) {
            return None;
        }
        match event.fact.kind.as_str() {
            "resource.created" | "resource.updated" => {
                let resource = serde_json::from_value(event.fact.data.clone()).ok()?;
                self.write(|index| index.take(&resource));
            }
            "resource.deleted" => {
                self.write(|index| index.forget(&key.kind, &key.name, event.seq));
            }
            _ => return None,
        }
        let who = principal(&key.kind, &key.name)?;
        (self.standing(&who) != Standing::Active).then_some(who)
    }

    /// What is known of who has an account of their own; everybody else is naru's own or nobody.
    pub fn standing(&self, who: &Principal) -> Standing {
        let index = self.read();
        let entry = match who {
            Principal::User(name) => index.people.get(name),
            Principal::Service(name) => index.services.get(name),
            _ => return Standing::Active,
        };
        match entry {
            Some(Entry { disabled: false, .. }) => Standing::Active,
            Some(_) => Standing::Disabled,
            None => Standing::Unknown,
        }
    }

    /// Every group that a member is in, by name.
    pub fn groups_of(&self, member: &Member) -> Arc<[Name]> {
        let index = self.read();
        let found = index.known.lock().ok().and_then(|known| known.get(member).cloned());
        if let Some(found) = found {
            return found;
        }
        let found: Arc<[Name]> = index.graph.groups_of(member).into();
        // Still under the lock of the index: no change of a group comes in between.
        if let Ok(mut known) = index.known.lock() {
            if known.len() >= KNOWN {
                known.clear();
            }
            known.insert(member.clone(), found.clone());
        }
        found
    }

    /// The groups that name a member themselves.
    pub fn direct(&self, member: &Member) -> Vec<Name> {
        self.read().graph.direct(member)
    }

    /// Everybody in a group, also through groups in it.
    pub fn members_of(&self, group: &Name) -> Vec<Member> {
        self.read().graph.members_of(group)
    }

    /// Users who may do everything, as long as they are not disabled.
    pub fn administrators(&self) -> Vec<Name> {
        self.read().administrators.iter().cloned().collect()
    }

    /// The names of a kind for which `who` answers: groups they look after, people whose manager they are.
    pub fn answered_by(&self, kind: &str, who: &Name) -> Vec<Name> {
        let index = self.read();
        let all = index.shelf(kind).into_iter().flatten();
        all.filter(|(_, entry)| entry.answers.contains(who)).map(|(name, _)| name.clone()).collect()
    }

    pub fn services_of(&self, project: &Name) -> Vec<Name> {
        self.read().projects.get(project).into_iter().flatten().cloned().collect()
    }

    /// The names of a kind after `after`, in order, in whose words all of `words` are; at most `limit`.
    pub fn search(&self, kind: &str, words: &str, after: Option<&Name>, limit: usize) -> Vec<Name> {
        let wanted: Vec<String> =
            words.split_whitespace().take(WORDS).map(str::to_lowercase).collect();
        let index = self.read();
        let all = match kind {
            kind::USER => &index.people,
            kind::GROUP => &index.groups,
            _ => &index.services,
        };
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        all.range::<Name, _>((start, Bound::Unbounded))
            .filter(|(_, entry)| wanted.iter().all(|word| entry.words.contains(word.as_str())))
            .take(limit)
            .map(|(name, _)| name.clone())
            .collect()
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, Index> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, change: impl FnOnce(&mut Index)) {
        change(&mut self.0.write().unwrap_or_else(PoisonError::into_inner));
    }
}

impl Index {
    fn take(&mut self, resource: &Resource) {
        let (kind, name) = (resource.key.kind.as_str(), &resource.key.name);
        let gone = self.gone.as_ref().and_then(|g| g.get(&(kind.to_owned(), name.clone())));
        let held = self.shelf(kind).and_then(|s| s.get(name)).map(|entry| entry.revision);
        if held.max(gone.copied()).is_some_and(|newest| newest >= resource.revision) {
            return;
        }
        let revision = resource.revision;
        match kind {
            kind::USER => {
                if let Ok(user) = resource.spec::<User>() {
                    self.take_user(name, revision, &user);
                }
            }
            kind::GROUP => {
                if let Ok(group) = resource.spec::<Group>() {
                    let words = words([name.as_str(), &group.title, &group.description]);
                    let answers = group.owners.clone().into();
                    let entry = Entry { revision, disabled: false, words, answers };
                    self.groups.insert(name.clone(), entry);
                    self.graph.set(name, group.members);
                    self.groups_changed();
                }
            }
            _ => {
                if let Ok(service) = resource.spec::<ServiceAccount>() {
                    self.take_service(name, revision, service);
                }
            }
        }
    }

    fn take_user(&mut self, name: &Name, revision: u64, user: &User) {
        let optional =
            [&user.given_name, &user.family_name, &user.department, &user.employee_number];
        let optional = optional.into_iter().filter_map(|words| words.as_deref());
        let mails = user.mails.iter().map(|mail| mail.address.as_str());
        let words = words([name.as_str(), &user.title].into_iter().chain(optional).chain(mails));
        let answers = user.manager.iter().cloned().collect();
        let entry = Entry { revision, disabled: user.disabled, words, answers };
        self.people.insert(name.clone(), entry);
        if user.administrator && !user.disabled {
            self.administrators.insert(name.clone());
        } else {
            self.administrators.remove(name);
        }
    }

    fn take_service(&mut self, name: &Name, revision: u64, service: ServiceAccount) {
        self.projects.values_mut().for_each(|all| _ = all.remove(name));
        let words = words([name.as_str(), &service.title]);
        let answers = Box::default();
        let entry = Entry { revision, disabled: service.disabled, words, answers };
        self.services.insert(name.clone(), entry);
        if let Some(project) = service.project {
            self.projects.entry(project).or_default().insert(name.clone());
        }
    }

    fn forget(&mut self, kind: &str, name: &Name, seq: u64) {
        if let Some(gone) = &mut self.gone {
            gone.insert((kind.to_owned(), name.clone()), seq);
        }
        if self.shelf(kind).and_then(|s| s.get(name)).is_some_and(|entry| entry.revision > seq) {
            return;
        }
        match kind {
            kind::USER => {
                self.people.remove(name);
                self.administrators.remove(name);
            }
            kind::GROUP => {
                self.groups.remove(name);
                self.graph.remove(name);
                self.groups_changed();
            }
            _ => {
                self.services.remove(name);
                self.projects.values_mut().for_each(|all| _ = all.remove(name));
            }
        }
        self.projects.retain(|_, all| !all.is_empty());
    }

    fn shelf(&self, kind: &str) -> Option<&BTreeMap<Name, Entry>> {
        match kind {
            kind::USER => Some(&self.people),
            kind::GROUP => Some(&self.groups),
            kind::SERVICE => Some(&self.services),
            _ => None,
        }
    }

    fn groups_changed(&mut self) {
        self.known.get_mut().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

fn words<'a>(all: impl IntoIterator<Item = &'a str>) -> Box<str> {
    let lower: Vec<String> = all.into_iter().map(str::to_lowercase).collect();
    lower.join("\n").into_boxed_str()
}

/// Who acts under the name of such a resource.
pub(crate) fn principal(kind: &str, name: &Name) -> Option<Principal> {
    match kind {
        kind::USER => Some(Principal::User(name.clone())),
        kind::SERVICE => Some(Principal::Service(name.clone())),
        _ => None,
    }
}

/// What a principal is to a group. Runs and naru's own parts are in none.
pub(crate) fn member(who: &Principal) -> Option<Member> {
    match who {
        Principal::User(name) => Some(Member::User(name.clone())),
        Principal::Service(name) => Some(Member::Service(name.clone())),
        _ => None,
    }
}

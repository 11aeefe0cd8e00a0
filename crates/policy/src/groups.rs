//! Who is in which groups, also through groups in groups: kept beside the rest of the world, so that a decision
//! never sees a membership of one moment and a role of another.

use crate::role::Subject;
use account::Member;
use kernel::Name;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

#[derive(Clone, Default)]
pub(crate) struct Groups {
    members: HashMap<Name, Vec<Subject>>,
    /// The groups that name a subject themselves.
    holders: HashMap<Subject, BTreeSet<Name>>,
}

impl Groups {
    pub fn put(&mut self, group: &Name, members: &[Member]) {
        self.remove(group);
        let members: Vec<Subject> = members.iter().map(subject).collect();
        for member in &members {
            self.holders.entry(member.clone()).or_default().insert(group.clone());
        }
        self.members.insert(group.clone(), members);
    }

    pub fn remove(&mut self, group: &Name) {
        for member in self.members.remove(group).unwrap_or_default() {
            if let Some(holders) = self.holders.get_mut(&member) {
                holders.remove(group);
            }
        }
    }

    /// Every group that a subject is in, by name; a group is in itself. Circles are refused when groups are
    /// written, and end here all the same.
    pub fn of(&self, subject: &Subject) -> Arc<[Name]> {
        let mut found: BTreeSet<Name> = BTreeSet::new();
        let mut open: Vec<Subject> = vec![subject.clone()];
        if let Subject::Group(name) = subject {
            found.insert(name.clone());
        }
        while let Some(next) = open.pop() {
            for group in self.holders.get(&next).into_iter().flatten() {
                if found.insert(group.clone()) {
                    open.push(Subject::Group(group.clone()));
                }
            }
        }
        found.into_iter().collect()
    }
}

fn subject(member: &Member) -> Subject {
    match member {
        Member::User(name) => Subject::User(name.clone()),
        Member::Group(name) => Subject::Group(name.clone()),
        Member::Service(name) => Subject::Service(name.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_in_groups_and_circles() {
        let name = |words: &str| Name::parse(words).unwrap();
        let of = |groups: &Groups, who: Subject| {
            groups.of(&who).iter().map(Name::to_string).collect::<Vec<_>>()
        };
        let mut groups = Groups::default();
        groups.put(&name("qa"), &[Member::User(name("ada"))]);
        groups.put(&name("all"), &[Member::Group(name("qa")), Member::User(name("ben"))]);
        let (ada, ben) = (Subject::User(name("ada")), Subject::User(name("ben")));
        assert_eq!(of(&groups, ada.clone()), ["all", "qa"]);
        assert_eq!(of(&groups, ben), ["all"]);
        assert_eq!(of(&groups, Subject::Group(name("qa"))), ["all", "qa"]);
        groups.put(&name("qa"), &[Member::User(name("ada")), Member::Group(name("all"))]);
        assert_eq!(of(&groups, ada.clone()), ["all", "qa"]);
        groups.remove(&name("qa"));
        assert!(of(&groups, ada).is_empty());
    }
}

//! Who is in which groups, also through groups in groups: kept beside the rest of the world, so that a decision
//! never sees a membership of one moment and a role of another.

use crate::role::Subject;
use account::{Graph, Member};
use kernel::Name;
use std::sync::Arc;

#[derive(Clone, Default)]
pub(crate) struct Groups(Graph);

impl Groups {
    pub fn put(&mut self, group: &Name, members: &[Member]) {
        self.0.set(group, members.iter().cloned());
    }

    pub fn remove(&mut self, group: &Name) {
        self.0.remove(group);
    }

    /// Every group that a subject is in, by name; a group is in itself.
    pub fn of(&self, subject: &Subject) -> Arc<[Name]> {
        let mut found = self.0.groups_of(&member(subject));
        if let Subject::Group(own) = subject
            && let Err(place) = found.binary_search(own)
        {
            found.insert(place, own.clone());
        }
        found.into()
    }
}

fn member(subject: &Subject) -> Member {
    match subject {
        Subject::User(name) => Member::User(name.clone()),
        Subject::Group(name) => Member::Group(name.clone()),
        Subject::Service(name) => Member::Service(name.clone()),
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

//! Who is in which group, through groups in groups. Pure.
//!
//! Groups are numbered, so that a walk costs one mark for each group it meets. Cycles are refused where groups
//! are written; one that is there all the same is walked once, and harms nothing.

use crate::Member;
use kernel::Name;
use std::collections::{BTreeMap, HashMap};

/// The groups of one moment and who is in them.
#[derive(Clone, Default)]
pub struct Graph {
    slots: HashMap<Name, usize>,
    nodes: Vec<Node>,
    /// Whoever is no group, to the groups that name them.
    of: HashMap<Member, Vec<usize>>,
}

#[derive(Clone)]
struct Node {
    name: Name,
    /// A group that is only named by others has nobody in it and gives nothing.
    exists: bool,
    /// Sorted.
    members: Vec<Member>,
    /// The groups that name this one.
    parents: Vec<usize>,
}

impl Graph {
    /// Makes the members of a group these.
    pub fn set(&mut self, group: &Name, members: impl IntoIterator<Item = Member>) {
        let slot = self.slot(group);
        let mut wanted: Vec<Member> = members.into_iter().collect();
        wanted.sort_unstable();
        wanted.dedup();
        let held = self.replace(slot, true, wanted.clone());
        let (gone, come) = differ(&held, &wanted);
        gone.into_iter().for_each(|member| self.unlink(member, slot));
        come.into_iter().for_each(|member| self.link(member, slot));
    }

    pub fn remove(&mut self, group: &Name) {
        let Some(slot) = self.slots.get(group).copied() else { return };
        let held = self.replace(slot, false, Vec::new());
        held.iter().for_each(|member| self.unlink(member, slot));
    }

    /// The groups that name `member` themselves, by name.
    pub fn direct(&self, member: &Member) -> Vec<Name> {
        let nodes = self.holders(member).filter_map(|slot| self.nodes.get(slot));
        let mut names: Vec<Name> = nodes.map(|node| node.name.clone()).collect();
        names.sort_unstable();
        names
    }

    /// All groups that `member` is in, by name.
    pub fn groups_of(&self, member: &Member) -> Vec<Name> {
        let mut seen = vec![false; self.nodes.len()];
        let mut open: Vec<usize> = self.holders(member).collect();
        let mut names = Vec::new();
        while let Some(slot) = open.pop() {
            let (Some(mark), Some(node)) = (seen.get_mut(slot), self.nodes.get(slot)) else {
                continue;
            };
            if std::mem::replace(mark, true) || !node.exists {
                continue;
            }
            names.push(node.name.clone());
            open.extend(&node.parents);
        }
        names.sort_unstable();
        names
    }

    /// Everybody in a group who is no group, also through groups in it.
    pub fn members_of(&self, group: &Name) -> Vec<Member> {
        let mut seen = vec![false; self.nodes.len()];
        let mut open: Vec<usize> = self.slots.get(group).copied().into_iter().collect();
        let mut found = Vec::new();
        while let Some(slot) = open.pop() {
            let (Some(mark), Some(node)) = (seen.get_mut(slot), self.nodes.get(slot)) else {
                continue;
            };
            if std::mem::replace(mark, true) {
                continue;
            }
            for member in &node.members {
                match member {
                    Member::Group(name) => open.extend(self.slots.get(name)),
                    other => found.push(other.clone()),
                }
            }
        }
        found.sort_unstable();
        found.dedup();
        found
    }

    fn slot(&mut self, group: &Name) -> usize {
        if let Some(slot) = self.slots.get(group) {
            return *slot;
        }
        let slot = self.nodes.len();
        let node =
            Node { name: group.clone(), exists: false, members: Vec::new(), parents: Vec::new() };
        self.nodes.push(node);
        self.slots.insert(group.clone(), slot);
        slot
    }

    fn replace(&mut self, slot: usize, exists: bool, members: Vec<Member>) -> Vec<Member> {
        let Some(node) = self.nodes.get_mut(slot) else { return Vec::new() };
        node.exists = exists;
        std::mem::replace(&mut node.members, members)
    }

    fn link(&mut self, member: &Member, holder: usize) {
        match member {
            Member::Group(name) => {
                let child = self.slot(name);
                if let Some(node) = self.nodes.get_mut(child) {
                    node.parents.push(holder);
                }
            }
            other => self.of.entry(other.clone()).or_default().push(holder),
        }
    }

    fn unlink(&mut self, member: &Member, holder: usize) {
        match member {
            Member::Group(name) => {
                let child = self.slot(name);
                if let Some(node) = self.nodes.get_mut(child) {
                    node.parents.retain(|p| *p != holder);
                }
            }
            other => {
                if let Some(holders) = self.of.get_mut(other) {
                    holders.retain(|h| *h != holder);
                    if holders.is_empty() {
                        self.of.remove(other);
                    }
                }
            }
        }
    }

    fn holders(&self, member: &Member) -> impl Iterator<Item = usize> {
        let holders = match member {
            Member::Group(name) => {
                let node = self.slots.get(name).and_then(|slot| self.nodes.get(*slot));
                node.map(|n| n.parents.as_slice())
            }
            other => self.of.get(other).map(Vec::as_slice),
        };
        holders.unwrap_or_default().iter().copied()
    }
}

/// What of two sorted lists is only in the first, and what is only in the second.
fn differ<'a>(held: &'a [Member], wanted: &'a [Member]) -> (Vec<&'a Member>, Vec<&'a Member>) {
    let only = |these: &'a [Member], others: &[Member]| -> Vec<&'a Member> {
        these.iter().filter(|m| others.binary_search(m).is_err()).collect()
    };
    (only(held, wanted), only(wanted, held))
}

/// The way from `group` back to itself if its members were `members`: `a → b → a`, or nothing. `read` gives the
/// groups that a group names.
///
/// # Errors
/// Those of `read`.
pub(crate) fn cycle<E>(
    group: &Name,
    members: &[Name],
    mut read: impl FnMut(&Name) -> Result<Vec<Name>, E>,
) -> Result<Option<Vec<Name>>, E> {
    // Who led to whom, so that the way can be told.
    let mut from: BTreeMap<Name, Name> = BTreeMap::new();
    let mut open: Vec<Name> = Vec::new();
    for member in members {
        from.insert(member.clone(), group.clone());
        open.push(member.clone());
    }
    while let Some(at) = open.pop() {
        if at == *group {
            return Ok(Some(way(group, &from)));
        }
        for next in read(&at)? {
            if next == *group {
                from.insert(next.clone(), at.clone());
                return Ok(Some(way(group, &from)));
            }
            if !from.contains_key(&next) {
                from.insert(next.clone(), at.clone());
                open.push(next);
            }
        }
    }
    Ok(None)
}

fn way(group: &Name, from: &BTreeMap<Name, Name>) -> Vec<Name> {
    let mut back = vec![group.clone()];
    let mut at = group;
    while let Some(before) = from.get(at) {
        back.push(before.clone());
        if before == group || back.len() > from.len() + 1 {
            break;
        }
        at = before;
    }
    back.reverse();
    back
}

#[cfg(test)]
#[path = "graph_tests.rs"]
mod tests;

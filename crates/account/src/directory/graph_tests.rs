use super::*;
use proptest::prelude::*;
use std::collections::BTreeSet;

fn name(words: &str) -> Name {
    Name::parse(words).unwrap()
}

fn user(n: usize) -> Member {
    Member::User(name(&format!("u{n}")))
}

fn group(n: usize) -> Member {
    Member::Group(name(&format!("g{n}")))
}

#[test]
fn whoever_is_in_a_group_is_in_those_that_it_is_in() {
    let mut graph = Graph::default();
    graph.set(&name("g0"), [user(0), group(1)]);
    graph.set(&name("g1"), [user(1), group(2)]);
    graph.set(&name("g2"), [user(2)]);
    assert_eq!(graph.groups_of(&user(2)), [name("g0"), name("g1"), name("g2")]);
    assert_eq!(graph.groups_of(&user(0)), [name("g0")]);
    assert_eq!(graph.direct(&user(2)), [name("g2")]);
    assert_eq!(graph.members_of(&name("g0")), [user(0), user(1), user(2)]);
    graph.remove(&name("g1"));
    assert_eq!(graph.groups_of(&user(2)), [name("g2")], "a group that is gone leads nowhere");
    assert_eq!(graph.direct(&group(1)), [name("g0")]);
    graph.set(&name("g1"), [group(2)]);
    assert_eq!(graph.groups_of(&user(2)).len(), 3);
    assert_eq!(graph.groups_of(&user(1)), []);
}

#[test]
fn a_cycle_is_told_as_a_way_and_one_that_is_there_is_walked_once() {
    let held: BTreeMap<Name, Vec<Name>> = [
        (name("b"), vec![name("x"), name("c")]),
        (name("c"), vec![name("y"), name("a")]),
        (name("x"), vec![name("x")]),
    ]
    .into();
    let read = |n: &Name| Ok::<_, ()>(held.get(n).cloned().unwrap_or_default());
    let told = |way: Option<Vec<Name>>| {
        way.map(|w| w.iter().map(Name::as_str).collect::<Vec<_>>().join(" → "))
    };
    let found = cycle(&name("a"), &[name("y"), name("b")], read).unwrap();
    assert_eq!(told(found).as_deref(), Some("a → b → c → a"));
    let own = cycle(&name("a"), &[name("a")], read).unwrap();
    assert_eq!(told(own).as_deref(), Some("a → a"));
    assert_eq!(cycle(&name("d"), &[name("b"), name("x")], read).unwrap(), None);

    let mut graph = Graph::default();
    graph.set(&name("g0"), [group(1), user(0)]);
    graph.set(&name("g1"), [group(0)]);
    assert_eq!(graph.groups_of(&user(0)), [name("g0"), name("g1")]);
    assert_eq!(graph.members_of(&name("g1")), [user(0)]);
}

#[derive(Clone, Debug)]
enum Step {
    Set(usize, Vec<Member>),
    Remove(usize),
}

fn member() -> impl Strategy<Value = Member> {
    prop_oneof![(0_usize..6).prop_map(user), (0_usize..6).prop_map(group)]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0_usize..6, proptest::collection::vec(member(), 0..6)).prop_map(|(g, m)| Step::Set(g, m)),
        1 => (0_usize..6).prop_map(Step::Remove),
    ]
}

/// Round after round over all groups, until nothing is added any more.
fn naive(groups: &BTreeMap<Name, Vec<Member>>, member: &Member) -> Vec<Name> {
    let mut found: BTreeSet<Name> = BTreeSet::new();
    loop {
        let before = found.len();
        for (group, members) in groups {
            let inside =
                |m: &Member| m == member || matches!(m, Member::Group(g) if found.contains(g));
            if members.iter().any(inside) {
                found.insert(group.clone());
            }
        }
        if found.len() == before {
            return found.into_iter().collect();
        }
    }
}

proptest! {
    #[test]
    fn membership_is_what_a_naive_walk_finds(steps in proptest::collection::vec(step(), 0..30)) {
        let (mut graph, mut groups) = (Graph::default(), BTreeMap::new());
        for step in steps {
            match step {
                Step::Set(n, members) => {
                    graph.set(&name(&format!("g{n}")), members.clone());
                    groups.insert(name(&format!("g{n}")), members);
                }
                Step::Remove(n) => {
                    graph.remove(&name(&format!("g{n}")));
                    groups.remove(&name(&format!("g{n}")));
                }
            }
        }
        for n in 0..6 {
            let in_groups = naive(&groups, &user(n));
            prop_assert_eq!(&graph.groups_of(&user(n)), &in_groups);
            for g in groups.keys() {
                let inside = graph.members_of(g).contains(&user(n));
                prop_assert_eq!(inside, in_groups.contains(g), "both ways agree");
            }
        }
    }

    #[test]
    fn a_cycle_is_found_exactly_when_there_is_one(
        edges in proptest::collection::btree_set((0_usize..6, 0_usize..6), 0..12),
        members in proptest::collection::vec(0_usize..6, 0..3),
    ) {
        let named = |n: usize| name(&format!("g{n}"));
        let read = |at: &Name| {
            let found = edges.iter().filter(|(a, _)| named(*a) == *at && *a != 0);
            Ok::<_, ()>(found.map(|(_, b)| named(*b)).collect())
        };
        let members: Vec<Name> = members.into_iter().map(named).collect();
        let mut reached: BTreeSet<Name> = members.iter().cloned().collect();
        loop {
            let more: Vec<Name> = reached.iter().flat_map(|n| read(n).unwrap()).collect();
            let before = reached.len();
            reached.extend(more);
            if reached.len() == before { break }
        }
        let found = cycle(&named(0), &members, read).unwrap();
        prop_assert_eq!(found.is_some(), reached.contains(&named(0)));
        if let Some(way) = found {
            prop_assert!(way.first() == Some(&named(0)) && way.last() == Some(&named(0)));
            for pair in way.windows(2) {
                let next: Vec<Name> =
                    if pair[0] == named(0) { members.clone() } else { read(&pair[0]).unwrap() };
                prop_assert!(next.contains(&pair[1]), "each step of the way is one");
            }
        }
    }
}

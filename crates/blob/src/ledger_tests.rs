//! A collection, puts, references and crashes, cut into their steps and interleaved at will, on a real
//! directory. What is held or referred to is always there, and in the end nothing else is.

use crate::batch::Batch;
use crate::disk::{Disk, Lease, Round};
use crate::hash::Hash;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

const CONTENTS: u8 = 3;

#[derive(Clone, Debug)]
enum Step {
    /// Hashes, leases and looks whether it is there.
    Put(u8),
    /// Writes what was missing and gives it its name.
    Finish(u8),
    /// Commits a reference, under the lease.
    Refer(u8),
    /// The lease ends.
    Drop(u8),
    Release(u8),
    /// The next step of a collection: round, snapshot, one blob after the other, end.
    Collect,
    Crash,
}

fn step() -> impl Strategy<Value = Step> {
    let content = 0..CONTENTS;
    prop_oneof![
        2 => content.clone().prop_map(Step::Put),
        2 => content.clone().prop_map(Step::Finish),
        2 => content.clone().prop_map(Step::Refer),
        2 => content.clone().prop_map(Step::Drop),
        1 => content.prop_map(Step::Release),
        8 => Just(Step::Collect),
        1 => Just(Step::Crash),
    ]
}

/// A collection under way.
enum Sweep {
    Begun(Round),
    Marked(Round, BTreeSet<Hash>, VecDeque<Hash>),
}

struct World {
    dir: tempfile::TempDir,
    disk: Arc<Disk>,
    writing: BTreeMap<u8, Batch>,
    held: BTreeMap<u8, Lease>,
    referred: BTreeSet<u8>,
    sweep: Option<Sweep>,
}

fn hash(content: u8) -> Hash {
    Hash::of(&[content])
}

impl World {
    fn new() -> World {
        let dir = crate::tests::dir();
        let disk = Arc::new(Disk::open(dir.path()).unwrap());
        let (writing, held) = (BTreeMap::new(), BTreeMap::new());
        World { dir, disk, writing, held, referred: BTreeSet::new(), sweep: None }
    }

    fn go(&mut self, step: &Step) {
        match step {
            Step::Put(c) => {
                let mut batch = Batch::new(self.disk.clone());
                batch.bytes(&[*c]).unwrap();
                self.writing.insert(*c, batch);
            }
            Step::Finish(c) => {
                if let Some(batch) = self.writing.remove(c) {
                    self.held.insert(*c, batch.finish().unwrap());
                }
            }
            Step::Refer(c) => {
                if self.held.contains_key(c) {
                    self.referred.insert(*c);
                }
            }
            Step::Drop(c) => drop(self.held.remove(c)),
            Step::Release(c) => drop(self.referred.remove(c)),
            Step::Collect => self.sweep = self.collect(),
            Step::Crash => {
                (self.sweep, self.writing, self.held) = Default::default();
                self.disk = Arc::new(Disk::open(self.dir.path()).unwrap());
            }
        }
    }

    fn collect(&mut self) -> Option<Sweep> {
        match self.sweep.take() {
            None => Some(Sweep::Begun(self.disk.begin())),
            Some(Sweep::Begun(round)) => {
                let live = self.referred.iter().map(|c| hash(*c)).collect();
                Some(Sweep::Marked(round, live, self.disk.list().unwrap().into()))
            }
            Some(Sweep::Marked(round, live, mut left)) => {
                let next = left.pop_front()?;
                if !live.contains(&next) {
                    round.delete(next).unwrap();
                }
                Some(Sweep::Marked(round, live, left))
            }
        }
    }

    fn check(&self) {
        for content in self.held.keys().chain(&self.referred) {
            let bytes = self.disk.read(hash(*content), 1).unwrap();
            assert_eq!(bytes, [*content], "a live blob is gone");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]
    #[test]
    fn what_is_live_is_there(steps in proptest::collection::vec(step(), 1..60)) {
        let mut world = World::new();
        for step in &steps {
            world.go(step);
            world.check();
        }
        world.go(&Step::Crash);
        while let Some(sweep) = world.collect() {
            world.sweep = Some(sweep);
        }
        let left: BTreeSet<Hash> = world.disk.list().unwrap().into_iter().collect();
        prop_assert_eq!(left, world.referred.iter().map(|c| hash(*c)).collect());
    }
}

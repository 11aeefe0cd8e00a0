//! Many words looked for at once (Aho and Corasick, 1975).

pub const ROOT: u32 = 0;
/// No node.
const NONE: u32 = u32::MAX;

pub struct Automaton {
    nodes: Vec<Node>,
    /// From the root, by byte.
    first: Box<[u32; 256]>,
    /// Which two bytes begin a word: a bit for each pair.
    pairs: Box<[u64; 1024]>,
}

/// A beginning of words.
#[derive(Clone, Copy)]
struct Node {
    byte: u8,
    depth: u32,
    /// Length of the longest word that ends here; 0 when none does.
    longest: u32,
    /// The longest beginning of words that this one ends with.
    fail: u32,
    child: u32,
    sibling: u32,
}

impl Node {
    fn new(byte: u8, depth: u32) -> Node {
        Node { byte, depth, longest: 0, fail: ROOT, child: NONE, sibling: NONE }
    }
}

impl Automaton {
    /// Of sorted words of at least two bytes each.
    pub fn new(words: &[Vec<u8>]) -> Automaton {
        let mut new = Automaton {
            nodes: vec![Node::new(0, 0)],
            first: Box::new([ROOT; 256]),
            pairs: Box::new([0; 1024]),
        };
        words.iter().for_each(|word| new.add(word));
        let mut child = new.get(ROOT).child;
        while child != NONE {
            let node = new.get(child);
            if let Some(first) = new.first.get_mut(usize::from(node.byte)) {
                *first = child;
            }
            child = node.sibling;
        }
        new.link();
        new
    }

    fn get(&self, at: u32) -> Node {
        self.nodes.get(at as usize).copied().unwrap_or(Node::new(0, 0))
    }

    fn edit(&mut self, at: u32, edit: impl FnOnce(&mut Node)) {
        if let Some(node) = self.nodes.get_mut(at as usize) {
            edit(node);
        }
    }

    fn add(&mut self, word: &[u8]) {
        if let [a, b, ..] = word {
            let (at, bit) = pair(*a, *b);
            if let Some(bits) = self.pairs.get_mut(at) {
                *bits |= bit;
            }
        }
        let mut at = ROOT;
        for (depth, byte) in (1..).zip(word) {
            at = match self.child(at, *byte) {
                NONE => self.grow(at, Node::new(*byte, depth)),
                child => child,
            };
        }
        self.edit(at, |node| node.longest = node.depth);
    }

    fn grow(&mut self, parent: u32, mut node: Node) -> u32 {
        let at = u32::try_from(self.nodes.len()).unwrap_or(NONE);
        node.sibling = self.get(parent).child;
        self.nodes.push(node);
        self.edit(parent, |parent| parent.child = at);
        at
    }

    fn child(&self, of: u32, byte: u8) -> u32 {
        let mut at = self.get(of).child;
        while at != NONE {
            let node = self.get(at);
            if node.byte == byte {
                break;
            }
            at = node.sibling;
        }
        at
    }

    /// From the shallow to the deep, because each looks at shallower ones.
    fn link(&mut self) {
        let mut level = vec![ROOT];
        while !level.is_empty() {
            let mut deeper = Vec::new();
            for parent in level {
                let mut child = self.get(parent).child;
                while child != NONE {
                    let node = self.get(child);
                    let fail = match parent {
                        ROOT => ROOT,
                        parent => self.next(self.get(parent).fail, node.byte),
                    };
                    let inherited = self.get(fail).longest;
                    self.edit(child, |node| {
                        node.fail = fail;
                        node.longest = node.longest.max(inherited);
                    });
                    deeper.push(child);
                    child = node.sibling;
                }
            }
            level = deeper;
        }
    }

    /// The longest beginning of words that the bytes so far end with, after one more.
    pub fn next(&self, state: u32, byte: u8) -> u32 {
        let mut at = state;
        while at != ROOT {
            match self.child(at, byte) {
                NONE => at = self.get(at).fail,
                child => return child,
            }
        }
        self.first.get(usize::from(byte)).copied().unwrap_or(ROOT)
    }

    /// How deep a state is, and the length of the longest word that ends there.
    pub fn found(&self, state: u32) -> (usize, usize) {
        let node = self.get(state);
        (node.depth as usize, node.longest as usize)
    }

    /// How many of the first bytes begin no word.
    pub fn plain(&self, bytes: &[u8]) -> usize {
        let begins = |a: &u8, b: &u8| {
            let (at, bit) = pair(*a, *b);
            self.pairs.get(at).is_some_and(|bits| bits & bit != 0)
        };
        let all_but_last = bytes.len().saturating_sub(1);
        let pairs = bytes.iter().zip(bytes.iter().skip(1));
        let plain = pairs.take_while(|(a, b)| !begins(a, b)).count();
        let last = bytes.last().and_then(|b| self.first.get(usize::from(*b)));
        match last {
            Some(&ROOT) if plain == all_but_last => bytes.len(),
            _ => plain,
        }
    }
}

/// Which bit stands for two bytes.
fn pair(a: u8, b: u8) -> (usize, u64) {
    let at = usize::from(a) << 8 | usize::from(b);
    (at >> 6, 1 << (at & 63))
}

//! From the text of several files to whole jobs: includes, `extends`, `!reference`.

use super::error;
use super::yaml::{At, Entry, Is, MAX_NODES, Node};
use kernel::{Result, text};
use std::collections::HashMap;
use std::sync::Arc;

/// As GitLab: https://docs.gitlab.com/ci/yaml/#extends, `!reference` nests up to ten levels.
const MAX_EXTENDS: usize = 11;
const MAX_REFERENCES: usize = 10;
/// Values in all jobs together once `extends` and `!reference` are written out.
const MAX_WHOLE: usize = 20 * MAX_NODES;

/// Maps are merged key by key; anything else of `over` replaces what is there.
pub fn deep(base: &Arc<Node>, over: &Arc<Node>) -> Arc<Node> {
    let (Some(below), Some(above)) = (base.map(), over.map()) else { return over.clone() };
    let mut at: HashMap<&str, usize> =
        below.iter().enumerate().map(|(i, e)| (e.key.as_str(), i)).collect();
    let mut entries = below.to_vec();
    for entry in above {
        let slot = at.get(entry.key.as_str()).and_then(|i| entries.get_mut(*i));
        match slot {
            Some(slot) => *slot = Entry { value: deep(&slot.value, &entry.value), ..entry.clone() },
            None => {
                at.insert(&entry.key, entries.len());
                entries.push(entry.clone());
            }
        }
    }
    Arc::new(Node::new(over.at.clone(), Is::Map(entries)))
}

/// The merged file, with the means to make its jobs whole.
pub struct Whole {
    entries: HashMap<String, Entry>,
    order: Vec<String>,
    extended: HashMap<String, Arc<Node>>,
    budget: usize,
}

impl Whole {
    pub fn new(root: &Node) -> Whole {
        let entries = root.map().unwrap_or_default();
        Whole {
            order: entries.iter().map(|e| e.key.clone()).collect(),
            entries: entries.iter().map(|e| (e.key.clone(), e.clone())).collect(),
            extended: HashMap::new(),
            budget: MAX_WHOLE,
        }
    }

    pub fn keys(&self) -> &[String] {
        &self.order
    }

    pub fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries.get(key)
    }

    /// The value of a top-level key, with everything it extends and refers to.
    ///
    /// # Errors
    /// `pipeline.extends`, `pipeline.reference`, `pipeline.too_many_nodes`.
    pub fn get(&mut self, key: &str) -> Result<Option<Arc<Node>>> {
        let Some(node) = self.extend(key, &mut Vec::new())? else { return Ok(None) };
        self.refer(&node, 0).map(Some)
    }

    fn extend(&mut self, key: &str, chain: &mut Vec<String>) -> Result<Option<Arc<Node>>> {
        if let Some(done) = self.extended.get(key) {
            return Ok(Some(done.clone()));
        }
        let Some(entry) = self.entries.get(key).cloned() else { return Ok(None) };
        let Some(extends) = entry.value.get("extends").cloned() else {
            return Ok(Some(entry.value));
        };
        chain.push(key.to_owned());
        if chain.len() > MAX_EXTENDS {
            return Err(too_long(&extends.at, chain));
        }
        let mut base: Option<Arc<Node>> = None;
        for (name, at) in names(&extends)? {
            if chain.contains(&name) {
                chain.push(name);
                return Err(circle(&at, chain));
            }
            let Some(parent) = self.extend(&name, chain)? else {
                return Err(self.unknown(&at, &name));
            };
            base = Some(base.map_or(parent.clone(), |b| deep(&b, &parent)));
        }
        chain.pop();
        let own = without_extends(&entry.value);
        let whole = base.map_or(own.clone(), |b| deep(&b, &own));
        self.spend(&whole.at, whole.size())?;
        self.extended.insert(key.to_owned(), whole.clone());
        Ok(Some(whole))
    }

    fn unknown(&self, at: &At, name: &str) -> kernel::Error {
        let shown = kernel::shown(name);
        let known: Vec<&str> = self.order.iter().map(String::as_str).take(1000).collect();
        error::general(
            at,
            "pipeline.extends",
            text!("there is no `{shown}` to extend", "확장할 `{shown}`이(가) 없습니다"),
        )
        .hint(error::nearest(name, &known))
    }

    /// A copy with every `!reference` replaced by what it names.
    fn refer(&mut self, node: &Arc<Node>, depth: usize) -> Result<Arc<Node>> {
        if !node.refers() {
            return Ok(node.clone());
        }
        match &node.is {
            Is::Scalar { .. } => Ok(node.clone()),
            Is::Reference(path) => {
                if depth >= MAX_REFERENCES {
                    return Err(references_too_deep(&node.at));
                }
                let target = self.find(&node.at, path)?;
                self.spend(&node.at, target.size())?;
                self.refer(&target, depth + 1)
            }
            Is::List(items) => {
                let items: Result<Vec<_>> = items.iter().map(|n| self.refer(n, depth)).collect();
                let items = items?;
                Ok(Arc::new(Node::new(node.at.clone(), Is::List(items))))
            }
            Is::Map(entries) => {
                let entry =
                    |e: &Entry| Ok(Entry { value: self.refer(&e.value, depth)?, ..e.clone() });
                let entries: Result<Vec<_>> = entries.iter().map(entry).collect();
                Ok(Arc::new(Node::new(node.at.clone(), Is::Map(entries?))))
            }
        }
    }

    fn find(&mut self, at: &At, path: &[String]) -> Result<Arc<Node>> {
        let shown = || kernel::shown(&path.join(", "));
        let missing = |known: &[&str], key: &str| {
            let path = shown();
            error::general(
                at,
                "pipeline.reference",
                text!("there is no [{path}] to refer to", "참조할 [{path}]이(가) 없습니다"),
            )
            .hint(error::nearest(key, known))
        };
        let (first, rest) = path.split_first().ok_or_else(|| missing(&[], ""))?;
        let mut node = match self.extend(first, &mut Vec::new())? {
            Some(node) => node,
            None => {
                let known: Vec<&str> = self.order.iter().map(String::as_str).take(1000).collect();
                return Err(missing(&known, first));
            }
        };
        for key in rest {
            let next = node.get(key).map(|e| e.value.clone());
            node = next.ok_or_else(|| {
                let known = node.map().unwrap_or_default();
                let known: Vec<&str> = known.iter().map(|e| e.key.as_str()).collect();
                missing(&known, key)
            })?;
        }
        Ok(node)
    }

    fn spend(&mut self, at: &At, nodes: usize) -> Result<()> {
        match self.budget.checked_sub(nodes) {
            Some(left) => {
                self.budget = left;
                Ok(())
            }
            None => Err(error::bomb(at, MAX_WHOLE)),
        }
    }
}

fn without_extends(node: &Arc<Node>) -> Arc<Node> {
    let entries = node.map().unwrap_or_default();
    let own = entries.iter().filter(|e| e.key != "extends").cloned().collect();
    Arc::new(Node::new(node.at.clone(), Is::Map(own)))
}

fn names(extends: &Entry) -> Result<Vec<(String, At)>> {
    let wanted = || {
        error::wanted(
            &extends.value.at,
            "extends",
            ("the name of a job or a list of names", "작업 이름이나 그 목록을"),
        )
    };
    let one = |node: &Node| node.text().map(|t| (t.to_owned(), node.at.clone())).ok_or_else(wanted);
    match extends.value.list() {
        Some(items) => items.iter().map(|n| one(n)).collect(),
        None => Ok(vec![one(&extends.value)?]),
    }
}

fn circle(at: &At, chain: &[String]) -> kernel::Error {
    let ring = kernel::shown(&chain.join(" → "));
    error::general(
        at,
        "pipeline.extends",
        text!(
            "jobs extend each other in a circle: {ring}",
            "작업이 서로를 돌아가며 확장합니다: {ring}"
        ),
    )
}

fn too_long(at: &At, chain: &[String]) -> kernel::Error {
    let ring = kernel::shown(&chain.join(" → "));
    error::general(
        at,
        "pipeline.extends",
        text!(
            "more than {MAX_EXTENDS} levels of `extends`: {ring}",
            "`extends`가 {MAX_EXTENDS}단계를 넘습니다: {ring}"
        ),
    )
}

fn references_too_deep(at: &At) -> kernel::Error {
    error::general(
        at,
        "pipeline.reference",
        text!(
            "more than {MAX_REFERENCES} levels of `!reference`, or a circle",
            "`!reference`가 {MAX_REFERENCES}단계를 넘거나 돌고 돕니다"
        ),
    )
}

//! YAML as a tree in which every key and value knows its place.
//!
//! Bounds: 1 MiB of text, 100 levels, 100,000 nodes once aliases are written out. The last one is what
//! stops a YAML bomb, because aliases are counted at their full size without ever being written out.

use super::error;
use kernel::Result;
use saphyr_parser::{Event, Parser, ScalarStyle, Span, Tag};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

pub const MAX_BYTES: usize = 1024 * 1024;
const MAX_DEPTH: usize = 100;
pub const MAX_NODES: usize = 100_000;

/// Where something stands. Lines and columns count from 1.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct At {
    pub file: Arc<str>,
    pub line: u32,
    pub column: u32,
}

impl std::fmt::Display for At {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    pub at: At,
    pub is: Is,
    /// Nodes in it, itself included, aliases at full size.
    size: usize,
    /// Whether there is a reference in it.
    refers: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Is {
    /// `plain`: without quotes, so that `null` and `true` are not words.
    Scalar {
        text: String,
        plain: bool,
    },
    List(Vec<Arc<Node>>),
    Map(Vec<Entry>),
    /// `!reference [job, key, …]`
    Reference(Vec<String>),
}

#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    pub key: String,
    pub at: At,
    pub value: Arc<Node>,
}

impl Node {
    pub fn new(at: At, is: Is) -> Node {
        let size = 1 + match &is {
            Is::List(items) => items.iter().map(|n| n.size).sum(),
            Is::Map(entries) => entries.iter().map(|e| e.value.size + 1).sum(),
            Is::Scalar { .. } | Is::Reference(_) => 0,
        };
        let refers = match &is {
            Is::List(items) => items.iter().any(|n| n.refers),
            Is::Map(entries) => entries.iter().any(|e| e.value.refers),
            Is::Scalar { .. } => false,
            Is::Reference(_) => true,
        };
        Node { at, is, size, refers }
    }

    pub fn refers(&self) -> bool {
        self.refers
    }

    pub fn size(&self) -> usize {
        self.size
    }

    pub fn is_null(&self) -> bool {
        matches!(&self.is, Is::Scalar { text, plain: true }
            if matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL"))
    }

    pub fn map(&self) -> Option<&[Entry]> {
        match &self.is {
            Is::Map(entries) => Some(entries),
            _ => None,
        }
    }

    pub fn list(&self) -> Option<&[Arc<Node>]> {
        match &self.is {
            Is::List(items) => Some(items),
            _ => None,
        }
    }

    /// The words of a scalar that is not null.
    pub fn text(&self) -> Option<&str> {
        match &self.is {
            Is::Scalar { text, .. } if !self.is_null() => Some(text),
            _ => None,
        }
    }

    /// YAML 1.1's booleans, which is what GitLab reads.
    pub fn bool(&self) -> Option<bool> {
        let Is::Scalar { text, plain: true } = &self.is else { return None };
        match text.to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" => Some(true),
            "false" | "no" | "off" => Some(false),
            _ => None,
        }
    }

    /// A number of YAML 1.2's core schema, without quotes.
    pub fn is_number(&self) -> bool {
        let Is::Scalar { text, plain: true } = &self.is else { return false };
        let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
        digits.starts_with(|c: char| c.is_ascii_digit() || c == '.')
            && digits.contains(|c: char| c.is_ascii_digit())
            && text.parse::<f64>().is_ok()
    }

    pub fn get(&self, key: &str) -> Option<&Entry> {
        self.map()?.iter().find(|e| e.key == key)
    }
}

/// Every document of a file, in order.
///
/// # Errors
/// `pipeline.yaml` with the place, for what is not YAML, a key given twice, or a bound that is passed.
pub fn parse(file: &str, bytes: &[u8]) -> Result<Vec<Arc<Node>>> {
    let file: Arc<str> = file.into();
    let start = At { file: file.clone(), line: 1, column: 1 };
    if bytes.len() > MAX_BYTES {
        return Err(error::too_large(&start, bytes.len(), MAX_BYTES));
    }
    let text = std::str::from_utf8(bytes).map_err(|e| {
        let before = bytes.get(..e.valid_up_to()).unwrap_or_default();
        let line = 1 + before.iter().filter(|b| **b == b'\n').count();
        let column = 1 + before.iter().rev().take_while(|b| **b != b'\n').count();
        error::not_utf8(&at(&file, line, column))
    })?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let masked = mask(text);
    let (stack, anchors) = (Vec::new(), HashMap::new());
    let mut tree = Tree { file, masked: masked.is_some(), stack, anchors, total: 0, done: vec![] };
    for event in Parser::new_from_str(masked.as_deref().unwrap_or(text)) {
        let (event, span) = event.map_err(|e| {
            let at = at(&tree.file, e.marker().line(), e.marker().col() + 1);
            error::not_yaml(&at, e.info())
        })?;
        tree.take(event, span)?;
    }
    Ok(tree.done)
}

/// Where ASCII characters of `$[[ … ]]` are put while the text is parsed.
const MASK: u32 = 0xE000;

/// The text with what is inside of `$[[ … ]]` out of YAML's sight, so that `[$[[ inputs.a | truncate(0, 8) ]]]`
/// is a list of one. Character for character: places stay true. `None`: there is no such block, or the text
/// has characters of that private area of its own.
fn mask(text: &str) -> Option<String> {
    let private = |c: char| (MASK..MASK + 128).contains(&u32::from(c));
    if !text.contains("$[[") || text.contains(private) {
        return None;
    }
    let mut out = String::with_capacity(text.len() + 64);
    let mut rest = text;
    while let Some(start) = rest.find("$[[") {
        let (before, block) = rest.split_at(start);
        out.push_str(before);
        let line = block.split('\n').next().unwrap_or_default();
        let end = line.find("]]").map_or(1, |end| end + 2);
        let (block, after) = block.split_at(end);
        if end > 1 {
            let hide = |c: char| {
                let hidden = c.is_ascii().then(|| char::from_u32(MASK + u32::from(c))).flatten();
                hidden.filter(|_| c != '\r').unwrap_or(c)
            };
            out.extend(block.chars().map(hide));
        } else {
            out.push_str(block);
        }
        rest = after;
    }
    out.push_str(rest);
    Some(out)
}

fn unmask(text: &str) -> String {
    let show = |c: char| {
        let code = u32::from(c).checked_sub(MASK).filter(|code| *code < 128);
        code.and_then(char::from_u32).unwrap_or(c)
    };
    text.chars().map(show).collect()
}

fn at(file: &Arc<str>, line: usize, column: usize) -> At {
    let number = |n: usize| u32::try_from(n.max(1)).unwrap_or(u32::MAX);
    At { file: file.clone(), line: number(line), column: number(column) }
}

/// A collection that is still open.
struct Open {
    at: At,
    anchor: usize,
    reference: bool,
    is: Filling,
}

enum Filling {
    List(Vec<Arc<Node>>),
    Map(Filled),
}

#[derive(Default)]
struct Filled {
    entries: Vec<Entry>,
    /// Where each key is in `entries`.
    index: HashMap<String, usize>,
    merges: Vec<Arc<Node>>,
    /// A key whose value has not come yet.
    key: Option<(String, At)>,
}

struct Tree {
    file: Arc<str>,
    /// Whether scalars have characters to be shown again.
    masked: bool,
    stack: Vec<Open>,
    anchors: HashMap<usize, Arc<Node>>,
    total: usize,
    done: Vec<Arc<Node>>,
}

impl Tree {
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<()> {
        let here = at(&self.file, span.start.line(), span.start.col() + 1);
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let plain = style == ScalarStyle::Plain && tag.is_none();
                check_tag(&here, tag.as_deref(), &["str", "int", "float", "bool", "null"])?;
                let text = if self.masked { unmask(&text) } else { text.into_owned() };
                let is = Is::Scalar { text, plain };
                self.add(Arc::new(Node::new(here, is)), anchor, 1)
            }
            Event::SequenceStart(anchor, tag) => {
                let reference = tag.as_deref().is_some_and(is_reference);
                if !reference {
                    check_tag(&here, tag.as_deref(), &["seq"])?;
                }
                self.open(Open { at: here, anchor, reference, is: Filling::List(Vec::new()) })
            }
            Event::MappingStart(anchor, tag) => {
                check_tag(&here, tag.as_deref(), &["map"])?;
                let is = Filling::Map(Filled::default());
                self.open(Open { at: here, anchor, reference: false, is })
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(),
            Event::Alias(anchor) => match self.anchors.get(&anchor).cloned() {
                Some(node) => {
                    let size = node.size;
                    self.add(node, 0, size)
                }
                // Only an alias inside the very thing it names gets here.
                None => Err(error::self_alias(&here)),
            },
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd => Ok(()),
        }
    }

    fn open(&mut self, open: Open) -> Result<()> {
        if self.stack.len() >= MAX_DEPTH {
            return Err(error::too_deep(&open.at, MAX_DEPTH));
        }
        if let Some(Open { is: Filling::Map(Filled { key: None, .. }), .. }) = self.stack.last() {
            return Err(error::odd_key(&open.at));
        }
        self.stack.push(open);
        Ok(())
    }

    fn close(&mut self) -> Result<()> {
        let Some(open) = self.stack.pop() else { return Ok(()) };
        let is = match open.is {
            Filling::List(items) if open.reference => reference(&open.at, &items)?,
            Filling::List(items) => Is::List(items),
            Filling::Map(filled) => Is::Map(merged(filled)),
        };
        self.add(Arc::new(Node::new(open.at, is)), open.anchor, 1)
    }

    /// Puts a finished node where it belongs. `count`: how many nodes this adds; the children of a
    /// collection were counted when they came, those of an alias were not.
    fn add(&mut self, node: Arc<Node>, anchor: usize, count: usize) -> Result<()> {
        self.total += count;
        if self.total > MAX_NODES {
            return Err(error::bomb(&node.at, MAX_NODES));
        }
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        match self.stack.last_mut().map(|open| &mut open.is) {
            None => self.done.push(node),
            Some(Filling::List(items)) => items.push(node),
            Some(Filling::Map(filled)) => filled.add(node)?,
        }
        Ok(())
    }
}

impl Filled {
    fn add(&mut self, node: Arc<Node>) -> Result<()> {
        let Some((key, at)) = self.key.take() else {
            self.key = Some(key_of(&node)?);
            return Ok(());
        };
        if key == "<<" {
            return merge_sources(&at, &node, &mut self.merges);
        }
        if let Some(first) = self.index.get(&key).and_then(|i| self.entries.get(*i)) {
            return Err(error::twice(&at, &key, &first.at));
        }
        self.index.insert(key.clone(), self.entries.len());
        self.entries.push(Entry { key, at, value: node });
        Ok(())
    }
}

fn key_of(node: &Node) -> Result<(String, At)> {
    match &node.is {
        Is::Scalar { text, .. } => Ok((text.clone(), node.at.clone())),
        _ => Err(error::odd_key(&node.at)),
    }
}

/// What `<<` names: a map, or a list of maps (https://yaml.org/type/merge.html).
fn merge_sources(at: &At, node: &Arc<Node>, merges: &mut Vec<Arc<Node>>) -> Result<()> {
    match &node.is {
        Is::Map(_) => merges.push(node.clone()),
        Is::List(items) if items.iter().all(|n| n.map().is_some()) => {
            merges.extend(items.iter().cloned());
        }
        _ => return Err(error::odd_merge(at)),
    }
    Ok(())
}

/// A map's own keys win over merged ones, and earlier merges over later ones.
fn merged(filled: Filled) -> Vec<Entry> {
    let Filled { mut entries, merges, .. } = filled;
    let mut known: HashSet<String> = filled.index.into_keys().collect();
    for entry in merges.iter().filter_map(|m| m.map()).flatten() {
        if known.insert(entry.key.clone()) {
            entries.push(entry.clone());
        }
    }
    entries
}

fn reference(at: &At, items: &[Arc<Node>]) -> Result<Is> {
    let path: Option<Vec<String>> = items.iter().map(|n| n.text().map(str::to_owned)).collect();
    path.filter(|p| !p.is_empty()).map(Is::Reference).ok_or_else(|| error::odd_reference(at))
}

fn is_reference(tag: &Tag) -> bool {
    tag.handle == "!" && tag.suffix == "reference"
}

fn check_tag(at: &At, tag: Option<&Tag>, core: &[&str]) -> Result<()> {
    match tag {
        Some(tag) if tag.is_yaml_core_schema() && core.contains(&tag.suffix.as_str()) => Ok(()),
        Some(tag) if tag.handle.is_empty() && tag.suffix == "!" => Ok(()),
        Some(tag) => Err(error::odd_tag(at, &tag.to_string())),
        None => Ok(()),
    }
}

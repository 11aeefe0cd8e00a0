//! The steps of a run: columns by stage, a curve from each step to those that wait for it.

use super::{State, when};
use crate::Reader;
use kernel::Time;
use maud::{Markup, html};
use std::collections::{BTreeMap, HashMap};

const WIDTH: usize = 190;
const HEIGHT: usize = 38;
const GAP_X: usize = 54;
const GAP_Y: usize = 12;
const TOP: usize = 26;
/// Beyond this a picture helps nobody: the list is shown alone.
const MOST: usize = 400;

#[derive(Clone, Debug, Default)]
pub struct Node {
    pub name: String,
    pub stage: String,
    pub state: State,
    pub needs: Vec<String>,
    pub start: Option<Time>,
    pub end: Option<Time>,
    pub address: String,
    pub open: bool,
    /// What can be done with it: a button to start it.
    pub note: Option<String>,
}

struct Placed<'a> {
    node: &'a Node,
    x: usize,
    y: usize,
}

/// The picture for wide screens, and the same as a list for narrow ones.
pub fn graph(r: &Reader, nodes: &[Node]) -> Markup {
    let few = nodes.len() <= MOST;
    html! {
        @if few { div.graph tabindex="0" data-graph { (picture(r, nodes)) } }
        ol.steps.only-narrow[few] {
            @for node in nodes {
                li.(node.state.class()) {
                    a href=(node.address) aria-current=[node.open.then_some("true")] {
                        (super::pip(r, node.state))
                        span.step-name { (node.name) }
                        span.faint { (node.stage) }
                        (when::duration(r, node.start, node.end))
                    }
                }
            }
        }
    }
}

/// A stage's column is the order in which stages appear, pushed right of what its steps need.
fn columns(nodes: &[Node]) -> Vec<(String, Vec<&Node>)> {
    let mut order: Vec<(String, Vec<&Node>)> = Vec::new();
    for node in nodes {
        match order.iter_mut().find(|(stage, _)| *stage == node.stage) {
            Some((_, column)) => column.push(node),
            None => order.push((node.stage.clone(), vec![node])),
        }
    }
    if order.len() > 1 {
        return order;
    }
    by_depth(nodes)
}

/// Without stages, a column is how many steps lie before.
fn by_depth(nodes: &[Node]) -> Vec<(String, Vec<&Node>)> {
    let mut depth: HashMap<&str, usize> = HashMap::new();
    let mut out: BTreeMap<usize, Vec<&Node>> = BTreeMap::new();
    for node in nodes {
        let before = node.needs.iter().filter_map(|n| depth.get(n.as_str())).max();
        let at = before.map_or(0, |d| d + 1);
        depth.insert(&node.name, at);
        out.entry(at).or_default().push(node);
    }
    out.into_values().map(|column| (String::new(), column)).collect()
}

fn picture(r: &Reader, nodes: &[Node]) -> Markup {
    let columns = columns(nodes);
    let mut placed: HashMap<&str, Placed> = HashMap::new();
    for (c, (_, column)) in columns.iter().enumerate() {
        for (i, node) in column.iter().enumerate() {
            let (x, y) = (c * (WIDTH + GAP_X) + 1, TOP + i * (HEIGHT + GAP_Y));
            placed.insert(&node.name, Placed { node, x, y });
        }
    }
    let width = columns.len() * (WIDTH + GAP_X) - GAP_X.min(columns.len() * GAP_X) + 2;
    let rows = columns.iter().map(|c| c.1.len()).max().unwrap_or(0);
    let height = TOP + rows * (HEIGHT + GAP_Y) + 2;
    html! {
        svg width=(width) height=(height) viewBox=(format!("0 0 {width} {height}"))
            role="group" aria-label=(r.t("Graph of steps", "단계 그래프")) {
            @for (c, (stage, _)) in columns.iter().enumerate() {
                text.graph-stage x=(c * (WIDTH + GAP_X) + 2) y="13" { (stage) }
            }
            @for node in nodes { (edges(&placed, node)) }
            @for node in nodes {
                @if let Some(at) = placed.get(node.name.as_str()) { (draw(r, at)) }
            }
        }
    }
}

fn edges(placed: &HashMap<&str, Placed>, node: &Node) -> Markup {
    let to = placed.get(node.name.as_str());
    html! {
        @for need in &node.needs {
            @if let (Some(from), Some(to)) = (placed.get(need.as_str()), to) {
                @let (x1, y1) = (from.x + WIDTH, from.y + HEIGHT / 2);
                @let (x2, y2) = (to.x, to.y + HEIGHT / 2);
                @let bend = GAP_X / 2;
                path.graph-edge.(from.node.state.class()) d=(format!(
                    "M{x1} {y1}C{} {y1} {} {y2} {x2} {y2}", x1 + bend, x2.saturating_sub(bend)
                )) {}
            }
        }
    }
}

fn draw(r: &Reader, at: &Placed) -> Markup {
    let (node, x, y) = (at.node, at.x, at.y);
    let (en, ko) = node.state.words();
    let open = if node.open { "is-open" } else { "" };
    html! {
        a.graph-node.(node.state.class()).(open) href=(node.address) {
            title { (node.name) ": " (r.t(en, ko)) @if let Some(note) = &node.note { " · " (note) } }
            rect x=(x) y=(y) width=(WIDTH) height=(HEIGHT) rx="8" {}
            svg x=(x + 10) y=(y + HEIGHT / 2 - 8) width="16" height="16" overflow="visible" {
                (node.state.picture())
            }
            text x=(x + 34) y=(y + HEIGHT / 2 + 4) { (fit(&node.name, 17.0)) }
            text.graph-time x=(x + WIDTH - 10) y=(y + HEIGHT / 2 + 4) text-anchor="end" {
                @if let Some(start) = node.start {
                    (when::duration_words(r.lang, node.end.unwrap_or(r.now).since(start)))
                }
            }
        }
    }
}

/// As much of a name as fits, in widths of a Latin letter; a Hangul syllable takes nearly two.
fn fit(name: &str, room: f64) -> String {
    let width = |c: char| if c.is_ascii() { 1.0 } else { 1.8 };
    if name.chars().map(width).sum::<f64>() <= room {
        return name.to_owned();
    }
    let mut used = 0.0;
    let cut = name.chars().take_while(|c| {
        used += width(*c);
        used < room
    });
    format!("{}…", cut.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_cut_where_they_no_longer_fit() {
        assert_eq!(fit("build", 17.0), "build");
        assert_eq!(fit("integration tests 4/12", 17.0), "integration test…");
        assert_eq!(fit("아주아주긴단계이름입니다요", 17.0), "아주아주긴단계이름…");
    }

    #[test]
    fn without_stages_a_column_is_the_depth() {
        let node = |name: &str, needs: &[&str]| Node {
            name: name.into(),
            needs: needs.iter().map(|n| n.to_string()).collect(),
            ..Node::default()
        };
        let nodes = [node("a", &[]), node("b", &["a"]), node("c", &["a"]), node("d", &["b"])];
        let sizes: Vec<usize> = columns(&nodes).iter().map(|c| c.1.len()).collect();
        assert_eq!(sizes, [1, 2, 1]);
    }
}

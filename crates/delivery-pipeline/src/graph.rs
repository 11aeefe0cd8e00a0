//! What would run as a graph in plain text: a line for each group of jobs, rails for who needs whom.
//!
//! Jobs that need the same jobs and are needed by the same ones share a line, and of the needs only those are
//! drawn that no other need implies, so that stages come out as a single rail.

use crate::lint::Planned;
use std::collections::{BTreeMap, BTreeSet};

/// More rails than this are not drawn: the needs are then told in words.
const MAX_RAILS: usize = 12;

/// Jobs that stand on one line.
struct Group<'a> {
    jobs: Vec<&'a Planned>,
    /// Indexes of groups before it.
    needs: Vec<usize>,
}

/// The graph, each line at most `width` columns where names allow it.
pub fn draw(steps: &[Planned], width: usize) -> String {
    let groups = groups(steps);
    let mut last_use: BTreeMap<usize, usize> = BTreeMap::new();
    for (i, group) in groups.iter().enumerate() {
        last_use.extend(group.needs.iter().map(|need| (*need, i)));
    }
    let mut rails = Rails { lanes: Vec::new(), last_use };
    let mut out = String::new();
    for (i, group) in groups.iter().enumerate() {
        rails.step(&mut out, i, group, &groups, width);
    }
    out
}

/// Groups in an order in which every need comes before its user.
fn groups(steps: &[Planned]) -> Vec<Group<'_>> {
    let index: BTreeMap<&str, usize> =
        steps.iter().enumerate().map(|(i, s)| (s.name.as_str(), i)).collect();
    let needs: Vec<BTreeSet<usize>> = steps
        .iter()
        .map(|s| s.needs.iter().filter_map(|n| index.get(n.as_str()).copied()).collect())
        .collect();
    let direct = reduced(&needs);
    let mut users: Vec<BTreeSet<usize>> = vec![BTreeSet::new(); steps.len()];
    for (i, needs) in direct.iter().enumerate() {
        for need in needs {
            users.get_mut(*need).into_iter().for_each(|users| users.extend([i]));
        }
    }
    let mut of: BTreeMap<(&str, &BTreeSet<usize>, &BTreeSet<usize>), usize> = BTreeMap::new();
    let mut group_of = Vec::new();
    let mut out: Vec<Group<'_>> = Vec::new();
    for ((step, needs), users) in steps.iter().zip(&direct).zip(&users) {
        let at = *of.entry((step.stage.as_str(), needs, users)).or_insert(out.len());
        if at == out.len() {
            let mut from: Vec<usize> =
                needs.iter().filter_map(|n| group_of.get(*n).copied()).collect();
            from.sort_unstable();
            from.dedup();
            out.push(Group { jobs: Vec::new(), needs: from });
        }
        group_of.push(at);
        out.get_mut(at).into_iter().for_each(|g| g.jobs.push(step));
    }
    out
}

/// Without the needs that another need has already, at whatever distance.
fn reduced(needs: &[BTreeSet<usize>]) -> Vec<BTreeSet<usize>> {
    let mut above: Vec<BTreeSet<usize>> = Vec::new();
    let mut out = Vec::new();
    for own in needs {
        let far: BTreeSet<usize> =
            own.iter().filter_map(|n| above.get(*n)).flatten().copied().collect();
        out.push(own.difference(&far).copied().collect());
        above.push(far.union(own).copied().collect());
    }
    out
}

struct Rails {
    /// The group whose rail a lane is.
    lanes: Vec<Option<usize>>,
    last_use: BTreeMap<usize, usize>,
}

impl Rails {
    fn step(
        &mut self,
        out: &mut String,
        index: usize,
        group: &Group<'_>,
        groups: &[Group<'_>],
        width: usize,
    ) {
        let (drawn, told): (Vec<usize>, Vec<usize>) =
            group.needs.iter().partition(|need| self.lane(**need).is_some());
        let from: Vec<usize> = drawn.iter().filter_map(|need| self.lane(*need)).collect();
        let ends = |rails: &Rails, lane: usize| {
            let group = rails.lanes.get(lane).copied().flatten();
            group.is_some_and(|g| rails.last_use.get(&g) == Some(&index))
        };
        let closing: Vec<usize> = from.iter().copied().filter(|l| ends(self, *l)).collect();
        let own = closing.first().copied().unwrap_or_else(|| self.free());
        if !(from.is_empty() || from.as_slice() == [own]) {
            out.push_str(&self.joined(&from, &closing, own));
            out.push('\n');
        } else if !from.is_empty() {
            out.push_str(self.bars().trim_end());
            out.push('\n');
        }
        for lane in closing {
            self.set(lane, None);
        }
        let stays = self.last_use.contains_key(&index) && own < MAX_RAILS;
        out.push_str(&self.line(own, group, groups, &told, width));
        self.set(own, stays.then_some(index));
        while self.lanes.last() == Some(&None) {
            self.lanes.pop();
        }
    }

    fn lane(&self, group: usize) -> Option<usize> {
        self.lanes.iter().position(|lane| *lane == Some(group))
    }

    fn free(&self) -> usize {
        self.lanes.iter().position(Option::is_none).unwrap_or(self.lanes.len())
    }

    fn set(&mut self, lane: usize, group: Option<usize>) {
        if lane >= self.lanes.len() {
            self.lanes.resize(lane + 1, None);
        }
        self.lanes.get_mut(lane).into_iter().for_each(|l| *l = group);
    }

    fn bars(&self) -> String {
        let bar = |lane: &Option<usize>| if lane.is_some() { "│ " } else { "  " };
        self.lanes.iter().map(bar).collect()
    }

    /// The line that leads from the rails `from` to the lane `own`. A rail that it only passes stays whole.
    fn joined(&self, from: &[usize], closing: &[usize], own: usize) -> String {
        let all = || from.iter().copied().chain([own]);
        let (left, right) = (all().min().unwrap_or(own), all().max().unwrap_or(own));
        let mut out = String::new();
        for lane in 0..self.lanes.len().max(right + 1) {
            let inside = lane > left && lane < right;
            let stays = self.lanes.get(lane).copied().flatten().is_some();
            let mark = match (from.contains(&lane) || lane == own, stays) {
                (false, true) => '│',
                (false, false) if inside => '─',
                (false, false) => ' ',
                (true, _) => {
                    let above = from.contains(&lane);
                    let below = lane == own || !closing.contains(&lane);
                    corner(above, below, lane > left, lane < right)
                }
            };
            out.push(mark);
            out.push(if lane >= left && lane < right { '─' } else { ' ' });
        }
        out.trim_end().to_owned()
    }

    fn line(
        &self,
        own: usize,
        group: &Group<'_>,
        groups: &[Group<'_>],
        told: &[usize],
        width: usize,
    ) -> String {
        let mut rails = String::new();
        for lane in 0..self.lanes.len().max(own + 1) {
            let taken = self.lanes.get(lane).copied().flatten().is_some();
            rails.push_str(if lane == own {
                "● "
            } else if taken {
                "│ "
            } else {
                "  "
            });
        }
        let mut words = names(&group.jobs).join(", ");
        if !told.is_empty() {
            let needs = told.iter().filter_map(|need| groups.get(*need));
            let needs: Vec<String> = needs.flat_map(|g| names(&g.jobs)).collect();
            words.push_str(&format!(" ← {}", needs.join(", ")));
        }
        let stage = group.jobs.first().map_or("", |job| job.stage.as_str());
        let used = rails.chars().count() + stage.chars().count() + 2;
        let words = cut(&words, width.saturating_sub(used).max(16));
        let gap = width.saturating_sub(used + cli::width(&words)) + 2;
        format!("{rails}{words}{}{stage}\n", " ".repeat(gap))
    }
}

fn corner(up: bool, down: bool, left: bool, right: bool) -> char {
    match (up, down, left, right) {
        (true, true, true, true) => '┼',
        (true, true, true, false) => '┤',
        (true, true, false, true) => '├',
        (true, true, false, false) => '│',
        (true, false, true, true) => '┴',
        (true, false, true, false) => '╯',
        (true, false, false, true) => '╰',
        (false, true, true, true) => '┬',
        (false, true, true, false) => '╮',
        (false, true, false, true) => '╭',
        _ => '─',
    }
}

/// `unit ×3` for the instances of one job.
fn names(jobs: &[&Planned]) -> Vec<String> {
    let mut out: Vec<(String, usize)> = Vec::new();
    for job in jobs {
        let base = base(&job.name);
        match out.last_mut().filter(|(name, _)| name == base) {
            Some((_, count)) => *count += 1,
            None => out.push((base.to_owned(), 1)),
        }
    }
    let word = |(name, count): (String, usize)| match count {
        1 => name,
        count => format!("{name} ×{count}"),
    };
    out.into_iter().map(word).collect()
}

/// The job that an instance is of: `unit 1/3`, `unit: [a, b]`.
fn base(name: &str) -> &str {
    if let Some((base, _)) = name.split_once(": [") {
        return base;
    }
    let number = |words: &str| !words.is_empty() && words.bytes().all(|b| b.is_ascii_digit());
    match name.rsplit_once(' ') {
        Some((base, part)) if part.split_once('/').is_some_and(|(a, b)| number(a) && number(b)) => {
            base
        }
        _ => name,
    }
}

fn cut(words: &str, columns: usize) -> String {
    if cli::width(words) <= columns {
        return words.to_owned();
    }
    let mut out = String::new();
    for c in words.chars() {
        if cli::width(&out) + 3 > columns {
            break;
        }
        out.push(c);
    }
    format!("{}…", out.trim_end())
}

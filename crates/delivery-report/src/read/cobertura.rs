//! Cobertura XML (`coverage-04.dtd` and what coverage.py, gcovr, PHPUnit and others write in its name).

use super::File;
use super::model::Cover;
use super::plain::name;
use super::xml::{Attributes, Faults, Visit, walk};
use std::collections::BTreeMap;

pub(super) fn read(words: &str, file: &mut File<'_>) {
    let mut seen = Cobertura::default();
    let mut faults = Faults::default();
    walk(words, &["coverage"], &mut seen, &mut faults);
    let source = seen.sources.first().filter(|_| seen.sources.len() == 1);
    for (path, class) in seen.files {
        // `src/app` and `main.py` are `src/app/main.py`; with several sources nothing says which.
        let path = match source {
            Some(source) if !path.starts_with('/') && source != "." && !source.is_empty() => {
                format!("{}/{path}", source.trim_end_matches('/'))
            }
            _ => path,
        };
        let Some(cover) = file.cover(&path) else { continue };
        for (line, hits) in class.lines {
            cover.hit(line, hits);
        }
        add(&mut cover.branches, class.branches.values().copied());
        add(&mut cover.functions, class.methods.into_iter().map(|hit| (u64::from(hit), 1)));
    }
    faults.tell(file);
}

fn add(sum: &mut (u64, u64), more: impl Iterator<Item = (u64, u64)>) {
    for (hit, all) in more {
        *sum = (sum.0.saturating_add(hit.min(all)), sum.1.saturating_add(all));
    }
}

#[derive(Default)]
struct Class {
    lines: BTreeMap<u32, u64>,
    branches: BTreeMap<u32, (u64, u64)>,
    methods: Vec<bool>,
}

#[derive(Default)]
struct Cobertura {
    files: BTreeMap<String, Class>,
    sources: Vec<String>,
    in_source: bool,
    /// The file of the class around.
    path: Option<String>,
    in_method: bool,
    words: String,
}

impl Visit for Cobertura {
    fn open(&mut self, element: &str, a: &Attributes<'_>) {
        match element {
            "source" => (self.in_source, self.words) = (true, String::new()),
            "class" if self.files.len() < super::MAX_COVERED => {
                self.path = Some(name(&a.words("filename"))).filter(|p| !p.is_empty());
            }
            "method" => {
                self.in_method = true;
                if let Some(class) = self.class() {
                    class.methods.push(false);
                }
            }
            "line" => self.line(a),
            _ => {}
        }
    }

    fn close(&mut self, element: &str) {
        match element {
            "source" => {
                self.in_source = false;
                self.sources.push(name(&self.words));
            }
            "class" => self.path = None,
            "method" => self.in_method = false,
            _ => {}
        }
    }

    fn text(&mut self, words: &str) {
        if self.in_source && self.words.len() < 4_096 {
            self.words.push_str(words);
        }
    }
}

impl Cobertura {
    fn class(&mut self) -> Option<&mut Class> {
        Some(self.files.entry(self.path.clone()?).or_default())
    }

    fn line(&mut self, a: &Attributes<'_>) {
        let in_method = self.in_method;
        let Some(line) = a.number::<u32>("number").filter(|l| *l > 0) else { return };
        let hits = a.number::<f64>("hits").map_or(0, |h| h.max(0.0) as u64);
        let branches = a.get("condition-coverage").and_then(|c| conditions(&c));
        let Some(class) = self.class() else { return };
        if in_method
            && hits > 0
            && let Some(method) = class.methods.last_mut()
        {
            *method = true;
        }
        // A method's lines are listed again with the class.
        let known = class.lines.entry(line).or_default();
        *known = hits.max(*known);
        if let Some(branches) = branches {
            class.branches.insert(line, branches);
        }
    }
}

/// `50% (1/2)`
fn conditions(words: &str) -> Option<(u64, u64)> {
    let inner = words.split_once('(')?.1.split_once(')')?.0;
    let (hit, all) = inner.split_once('/')?;
    Some((hit.trim().parse().ok()?, all.trim().parse().ok()?))
}

/// Used by [`super::jacoco`], whose counters are sums already.
pub(super) fn sum(cover: &mut Cover, branches: (u64, u64), functions: (u64, u64)) {
    add(&mut cover.branches, std::iter::once(branches));
    add(&mut cover.functions, std::iter::once(functions));
}

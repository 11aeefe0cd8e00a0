//! JaCoCo XML (`report.dtd` 1.1). It knows packages and file names, not the directories above them; those are
//! found in the commit's tree.

use super::File;
use super::cobertura::sum;
use super::plain::name;
use super::xml::{Attributes, Faults, Visit, walk};
use std::collections::BTreeMap;

pub(super) fn read(words: &str, file: &mut File<'_>) {
    let mut seen = Jacoco::default();
    let mut faults = Faults::default();
    walk(words, &["report"], &mut seen, &mut faults);
    for (path, source) in seen.files {
        let Some(cover) = file.cover(&path) else { continue };
        for (line, hit) in source.lines {
            cover.hit(line, u64::from(hit));
        }
        sum(cover, source.branches, source.functions);
    }
    faults.tell(file);
}

#[derive(Default)]
struct Source {
    lines: BTreeMap<u32, bool>,
    branches: (u64, u64),
    functions: (u64, u64),
}

#[derive(Default)]
struct Jacoco {
    files: BTreeMap<String, Source>,
    package: String,
    path: Option<String>,
}

impl Visit for Jacoco {
    fn open(&mut self, element: &str, a: &Attributes<'_>) {
        match element {
            "package" => self.package = name(&a.words("name")),
            "sourcefile" if self.files.len() < super::MAX_COVERED => {
                let file = name(&a.words("name"));
                let path =
                    if self.package.is_empty() { file } else { format!("{}/{file}", self.package) };
                self.path = Some(path);
            }
            "line" => self.line(a),
            "counter" if a.words("type") == "METHOD" => {
                let number = |n: &str| a.number::<u64>(n).unwrap_or(0);
                let (missed, covered) = (number("missed"), number("covered"));
                if let Some(source) = self.source() {
                    source.functions = (covered, covered.saturating_add(missed));
                }
            }
            _ => {}
        }
    }

    fn close(&mut self, element: &str) {
        if element == "sourcefile" {
            self.path = None;
        }
    }
}

impl Jacoco {
    fn source(&mut self) -> Option<&mut Source> {
        Some(self.files.entry(self.path.clone()?).or_default())
    }

    /// Missed and covered instructions and branches.
    fn line(&mut self, a: &Attributes<'_>) {
        let number = |n: &str| a.number::<u64>(n).unwrap_or(0);
        let (ci, mb, cb) = (number("ci"), number("mb"), number("cb"));
        let Some(line) = a.number::<u32>("nr").filter(|l| *l > 0) else { return };
        let Some(source) = self.source() else { return };
        let hit = source.lines.entry(line).or_default();
        *hit |= ci > 0;
        let (hit, all) = source.branches;
        source.branches = (hit.saturating_add(cb), all.saturating_add(cb.saturating_add(mb)));
    }
}

//! A part of a log as it is now: its end, or what stands around a line, and the lines that have some words.

use super::page::Page;
use kernel::log::Line;
use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long a part is looked for. What was found until then is answered.
const PATIENCE: Duration = Duration::from_secs(5);

/// Which part of a log.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// The line, from 1, in the middle; `None` is the end.
    pub line: Option<usize>,
    /// How many lines at most.
    pub lines: usize,
    /// Lines to find with these words, in any case.
    pub words: Option<String>,
    /// How many of those at most.
    pub hits: usize,
}

/// A part of a log.
#[derive(Clone, Debug)]
pub struct Part {
    pub lines: Vec<Line>,
    /// Number of the first of them, from 1.
    pub first: usize,
    /// How many lines the log has; fewer, if it was too long to look at all.
    pub count: usize,
    /// Lines with the words, by their numbers.
    pub hits: Vec<(usize, Line)>,
}

impl Part {
    /// Of a log that is not there.
    pub fn none() -> Part {
        Part { lines: Vec::new(), first: 1, count: 0, hits: Vec::new() }
    }
}

/// Reads a part of the file at `path`; of one that is not there, nothing.
///
/// Lines have numbers, so all of the file passes by, but only to count: what is shown alone is decoded.
pub(super) fn read(path: &Path, asked: &Asked, ended: bool) -> io::Result<Part> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Part::none()),
        Err(e) => return Err(e),
    };
    let (began, mut offset) = (Instant::now(), 0);
    let mut part = Part::none();
    let mut window = Window::new(asked);
    let words = asked.words.as_ref().map(|w| w.to_lowercase());
    while let Some(page) = Page::read(&file, offset, part.count, ended)? {
        (offset, part.count) = (page.end(), page.after());
        if let Some(words) = words.as_ref().filter(|_| part.hits.len() < asked.hits) {
            find(&page, words, asked.hits, &mut part.hits);
        }
        window.take(page);
        if began.elapsed() > PATIENCE {
            break;
        }
    }
    (part.first, part.lines) = window.lines();
    Ok(part)
}

fn find(page: &Page, words: &str, most: usize, hits: &mut Vec<(usize, Line)>) {
    let found = (page.first() + 1..)
        .zip(page.records())
        .filter(|(_, record)| record.text.to_lowercase().contains(words))
        .map(|(number, record)| (number, record.into()))
        .take(most - hits.len());
    hits.extend(found);
}

/// The pages that hold the last lines before a certain one.
struct Window {
    pages: VecDeque<Page>,
    size: usize,
    /// No line after this one, from 1.
    last: usize,
}

impl Window {
    fn new(asked: &Asked) -> Window {
        let size = asked.lines;
        let last = asked.line.map_or(usize::MAX, |line| line.saturating_add(size / 2));
        Window { pages: VecDeque::new(), size, last }
    }

    fn take(&mut self, page: Page) {
        if page.first() >= self.last {
            return;
        }
        self.pages.push_back(page);
        let end = self.end();
        while self.pages.front().is_some_and(|page| page.after() + self.size <= end) {
            self.pages.pop_front();
        }
    }

    /// The number of its last line, from 1.
    fn end(&self) -> usize {
        self.pages.back().map_or(0, Page::after).min(self.last)
    }

    /// The number of its first line, from 1, and the lines.
    fn lines(&self) -> (usize, Vec<Line>) {
        let end = self.end();
        let before = end.saturating_sub(self.size);
        let numbered = self.pages.iter().flat_map(|page| (page.first()..).zip(page.records()));
        let wanted = numbered.filter(|(n, _)| (before..end).contains(n));
        (before + 1, wanted.map(|(_, record)| record.into()).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::Time;
    use kernel::log::{Stream, encode};

    fn log(lines: usize) -> (tempfile::TempDir, std::path::PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let mut bytes = Vec::new();
        for n in 1..=lines {
            let words = format!("line {n} {}", "x".repeat(n % 90));
            encode(&mut bytes, Time(0), Stream::Out, true, words.as_bytes());
        }
        let path = dir.path().join("0.1.log");
        std::fs::write(&path, bytes).unwrap();
        (dir, path)
    }

    fn numbers(part: &Part) -> (usize, usize, usize) {
        let number = |line: Option<&Line>| {
            line.and_then(|l| l.text.split(' ').nth(1)?.parse().ok()).unwrap_or(0)
        };
        assert!(part.lines.is_empty() || number(part.lines.first()) == part.first);
        (part.count, number(part.lines.first()), number(part.lines.last()))
    }

    #[test]
    fn the_end_or_what_stands_around_a_line() {
        let (_dir, path) = log(20_000);
        for (line, want) in [
            (None, (20_000, 19_901, 20_000)),
            (Some(1), (20_000, 1, 51)),
            (Some(60), (20_000, 11, 110)),
            (Some(9_000), (20_000, 8_951, 9_050)),
            (Some(19_990), (20_000, 19_901, 20_000)),
            (Some(usize::MAX), (20_000, 19_901, 20_000)),
        ] {
            let asked = Asked { line, lines: 100, ..Asked::default() };
            assert_eq!(numbers(&read(&path, &asked, true).unwrap()), want, "{line:?}");
        }
        let asked = Asked { lines: 100, ..Asked::default() };
        let (_dir, short) = log(7);
        assert_eq!(numbers(&read(&short, &asked, false).unwrap()), (7, 1, 7));
        let none = read(&path.with_extension("none"), &asked, true).unwrap();
        assert_eq!((none.first, numbers(&none)), (1, (0, 0, 0)));
    }

    #[test]
    fn words_are_found_anywhere_and_no_more_than_asked() {
        let (_dir, path) = log(20_000);
        let asked =
            Asked { lines: 10, words: Some("LINE 1234".into()), hits: 5, ..Asked::default() };
        let part = read(&path, &asked, true).unwrap();
        let found: Vec<usize> = part.hits.iter().map(|(n, _)| *n).collect();
        assert_eq!(found, [1234, 12340, 12341, 12342, 12343]);
        assert!(part.hits.iter().all(|(n, l)| l.text.starts_with(&format!("line {n} "))));
    }
}

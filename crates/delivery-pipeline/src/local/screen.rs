//! What a terminal, or whoever reads instead of one, sees of jobs under way.

use kernel::log::{Line, Stream};
use kernel::{Lang, Text};
use std::io::{IsTerminal, Write};

/// Colours of jobs, in turn: cyan, yellow, green, magenta, blue, and their bright ones. No red: that is for
/// what failed.
const COLORS: [u8; 10] = [36, 33, 32, 35, 34, 96, 93, 92, 95, 94];
/// Widest prefix, in characters.
const WIDEST: usize = 24;
/// Longest line that is put together from its pieces, in bytes.
const LONGEST: usize = 256 * 1024;

/// How a job is drawn.
#[derive(Clone, Debug)]
struct Job {
    prefix: String,
    color: u8,
    /// The beginning of a line whose end has not come yet.
    begun: String,
}

/// Where lines of jobs and remarks about them go.
pub struct Screen {
    pub lang: Lang,
    color: bool,
    /// Standard output belongs to the answer for machines.
    aside: bool,
    /// Whole jobs under headings, not lines with prefixes.
    grouped: bool,
    jobs: Vec<Job>,
}

impl Screen {
    pub fn new(lang: Lang, aside: bool, grouped: bool) -> Screen {
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
        let terminal =
            if aside { std::io::stderr().is_terminal() } else { std::io::stdout().is_terminal() };
        Screen { lang, color: wanted && terminal, aside, grouped, jobs: Vec::new() }
    }

    pub fn grouped(&self) -> bool {
        self.grouped
    }

    /// The jobs that will be shown, in the order of their steps.
    pub fn jobs<'a>(&mut self, names: impl IntoIterator<Item = &'a str>) {
        let names: Vec<&str> = names.into_iter().collect();
        let width = |name: &str| name.chars().count().min(WIDEST);
        let wide = names.iter().map(|n| width(n)).max().unwrap_or(0);
        let job = |(name, color): (&&str, &u8)| Job {
            prefix: format!("{:wide$} │ ", short(name)),
            color: *color,
            begun: String::new(),
        };
        self.jobs = names.iter().zip(COLORS.iter().cycle()).map(job).collect();
    }

    /// A line of a job's log, or a piece of one.
    pub fn line(&mut self, step: usize, line: &Line) {
        let Some(job) = self.jobs.get_mut(step) else { return };
        let mut words = std::mem::take(&mut job.begun) + &line.text;
        if !line.whole && words.len() < LONGEST {
            job.begun = words;
            return;
        }
        let note = line.stream == Stream::Note;
        if note {
            // A note has both languages; here sits one reader.
            words = one_language(&words, self.lang);
        }
        let Some(words) = clean(&words, self.color) else { return };
        let words = match (note, self.color) {
            (true, true) => format!("\x1b[2m● {words}\x1b[0m"),
            (true, false) => format!("● {words}"),
            (false, true) if line.stream == Stream::Err || words.contains('\x1b') => {
                format!("{words}\x1b[0m")
            }
            (false, _) => words,
        };
        let line = if self.grouped { words } else { self.prefixed(step, &words) };
        self.put(&line);
    }

    /// A remark about a job, among its lines.
    pub fn about(&mut self, step: usize, mark: Mark, words: &Text) {
        let words = self.marked(mark, words.get(self.lang));
        let line = if self.grouped { words } else { self.prefixed(step, &words) };
        self.put(&line);
    }

    /// A remark about all of it.
    pub fn remark(&self, words: &Text) {
        self.aside(words.get(self.lang));
    }

    /// Words for people, on standard error.
    pub fn aside(&self, words: &str) {
        let _ = writeln!(std::io::stderr().lock(), "{words}");
    }

    /// The mark before the words, and in colour what it stands for.
    pub fn marked(&self, mark: Mark, words: &str) -> String {
        let (sign, color) = match mark {
            Mark::Begun => ("▶", 1),
            Mark::Passed => ("✓", 32),
            Mark::Failed => ("✗", 31),
            Mark::Other => ("–", 33),
        };
        match self.color {
            true => format!("\x1b[{color}m{sign} {words}\x1b[0m"),
            false => format!("{sign} {words}"),
        }
    }

    fn prefixed(&self, step: usize, words: &str) -> String {
        let Some(job) = self.jobs.get(step) else { return words.to_owned() };
        match self.color {
            true => format!("\x1b[{}m{}\x1b[0m{words}", job.color, job.prefix),
            false => format!("{}{words}", job.prefix),
        }
    }

    /// A line of what was asked for.
    pub fn put(&self, words: &str) {
        let failed = if self.aside {
            writeln!(std::io::stderr().lock(), "{words}").is_err()
        } else {
            writeln!(std::io::stdout().lock(), "{words}").is_err()
        };
        // `naru run | head`: the jobs go on to their end, for they may be half way through something.
        let _ = failed;
    }
}

/// What a remark tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    Begun,
    Passed,
    Failed,
    Other,
}

fn short(name: &str) -> String {
    let plain: String = name.chars().filter(|c| !c.is_control()).collect();
    if plain.chars().count() <= WIDEST {
        return plain;
    }
    plain.chars().take(WIDEST - 1).chain(['…']).collect()
}

/// Of `english · korean`, as the engine writes notes for readers of either.
fn one_language(words: &str, lang: Lang) -> String {
    let (en, ko) = words.rsplit_once(" · ").unwrap_or((words, words));
    lang.pick(en, ko).to_owned()
}

/// A line without what would move a terminal's cursor: of a line that overwrites itself, its last state;
/// of escape sequences, colours alone, and those only where colours are shown. `None` for a line that only
/// marks a section.
pub fn clean(words: &str, color: bool) -> Option<String> {
    let last = words.trim_end_matches('\r').rsplit('\r').next().unwrap_or("");
    let mark = words.starts_with("section_start:") || words.starts_with("section_end:");
    let mut out = String::with_capacity(last.len());
    let mut chars = last.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '\x1b' {
            if c == '\t' || !c.is_control() {
                out.push(c);
            }
            continue;
        }
        match chars.peek() {
            Some('[') => {
                chars.next();
                let mut sequence = String::from("\x1b[");
                let end = chars.by_ref().find(|c| {
                    sequence.push(*c);
                    ('\x40'..='\x7e').contains(c)
                });
                if color && end == Some('m') {
                    out.push_str(&sequence);
                }
            }
            // A title or a link: up to its end.
            Some(']') => {
                let mut before = ' ';
                for c in chars.by_ref() {
                    if c == '\x07' || (before == '\x1b' && c == '\\') {
                        break;
                    }
                    before = c;
                }
            }
            _ => drop(chars.next()),
        }
    }
    (!mark || !out.is_empty()).then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn nothing_moves_the_cursor_and_colours_stay_where_they_are_seen() {
        for (words, plain) in [
            ("ok", Some("ok")),
            ("\x1b[31mred\x1b[0m", Some("red")),
            ("10%\r50%\r100%", Some("100%")),
            ("a\x1b[2Kb\x1b]0;title\x07c\x1b]8;;x\x1b\\d", Some("abcd")),
            ("tab\tstays\x08", Some("tab\tstays")),
            ("section_start:1:build\r\x1b[0KBuilding", Some("Building")),
            ("section_end:1:build\r\x1b[0K", None),
            ("", Some("")),
        ] {
            assert_eq!(clean(words, false).as_deref(), plain, "{words:?}");
        }
        assert_eq!(clean("\x1b[31mred\x1b[H", true).unwrap(), "\x1b[31mred");
    }

    #[test]
    fn a_note_is_read_in_one_language() {
        assert_eq!(one_language("kept 2 files · 파일 2개 보관", Lang::Ko), "파일 2개 보관");
        assert_eq!(one_language("plain", Lang::Ko), "plain");
    }

    proptest! {
        #[test]
        fn whatever_is_printed_holds_no_control(words: String) {
            let shown = clean(&words, false).unwrap_or_default();
            prop_assert!(shown.chars().all(|c| c == '\t' || !c.is_control()));
        }
    }
}

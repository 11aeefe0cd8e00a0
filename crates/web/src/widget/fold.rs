//! Which lines of a log belong together: sections that programs mark, and what each command wrote.
//!
//! Read are `section_start:<unix time>:<name>[collapsed=true]` and `section_end:<unix time>:<name>` of GitLab's
//! runner, each followed by a carriage return and an erased line, `::group::` and `::endgroup::` of GitHub's, and
//! the headings `$ command` of our own scripts.

use kernel::log::{Line, Stream};

/// Sections in sections beyond this are shown flat.
const DEEPEST: usize = 8;

/// A line, or a heading with all that lies below it. Numbers are indexes into the lines.
#[derive(Debug, PartialEq)]
pub(super) enum Item {
    Line(usize),
    Fold {
        head: usize,
        closed: bool,
        below: Vec<Item>,
        /// Its name, when the log has not come to its end yet.
        going: Option<String>,
    },
}

/// What a line says about sections.
#[derive(Debug, PartialEq)]
pub(super) enum Mark {
    Start {
        name: String,
        closed: bool,
    },
    End {
        name: String,
    },
    /// It ends whatever group is innermost.
    EndGroup,
    Command,
}

const GROUP: &str = "::group::";

/// The marks of a line, and what is left of it to be read.
pub(super) fn marks(line: &Line) -> (Vec<Mark>, &str) {
    if line.stream == Stream::Note {
        return (Vec::new(), &line.text);
    }
    if line.text.starts_with("$ ") {
        return (vec![Mark::Command], &line.text);
    }
    if let Some(title) = line.text.strip_prefix(GROUP) {
        return (vec![Mark::Start { name: GROUP.to_owned(), closed: false }], title);
    }
    if line.text.trim_end() == "::endgroup::" {
        return (vec![Mark::EndGroup], "");
    }
    let mut found = Vec::new();
    let mut rest = line.text.as_str();
    while let Some((mark, after)) = section(rest) {
        found.push(mark);
        rest = after;
    }
    (found, rest)
}

/// The mark at the start of the words, and what comes after it.
fn section(words: &str) -> Option<(Mark, &str)> {
    let begun = words.strip_prefix("\u{1b}[0K").unwrap_or(words);
    let (start, rest) = match begun.strip_prefix("section_start:") {
        Some(rest) => (true, rest),
        None => (false, begun.strip_prefix("section_end:")?),
    };
    let (time, rest) = rest.split_once(':')?;
    if time.is_empty() || !time.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let (name, after) = rest.split_once('\r').unwrap_or((rest, ""));
    let after = after.strip_prefix("\u{1b}[0K").unwrap_or(after);
    let (name, options) = name.split_once('[').unwrap_or((name, ""));
    let name = name.trim_end().to_owned();
    let closed = options.trim_end_matches(']').split(',').any(|o| o.trim() == "collapsed=true");
    Some((if start { Mark::Start { name, closed } } else { Mark::End { name } }, after))
}

/// A section that has not ended yet.
struct Open {
    head: usize,
    name: String,
    closed: bool,
    below: Vec<Item>,
}

/// What has no name is a command's.
const COMMAND: &str = "";

#[derive(Default)]
struct Folder {
    top: Vec<Item>,
    open: Vec<Open>,
}

impl Folder {
    fn add(&mut self, item: Item) {
        match self.open.last_mut() {
            Some(open) => open.below.push(item),
            None => self.top.push(item),
        }
    }

    fn start(&mut self, head: usize, name: String, closed: bool) {
        if self.open.len() < DEEPEST {
            self.open.push(Open { head, name, closed, below: Vec::new() });
        } else {
            self.add(Item::Line(head));
        }
    }

    fn end_last(&mut self) {
        let Some(Open { head, closed, below, .. }) = self.open.pop() else { return };
        self.add(match below.is_empty() {
            true => Item::Line(head),
            false => Item::Fold { head, closed, below, going: None },
        });
    }

    /// What nothing has ended: more may come into it, so an empty one is a section, too.
    fn leave_last(&mut self) {
        let Some(Open { head, closed, below, name }) = self.open.pop() else { return };
        self.add(Item::Fold { head, closed, below, going: Some(name) });
    }

    /// Ends the innermost section of that name, and with it what is open inside.
    fn end(&mut self, matches: impl Fn(&str) -> bool) {
        let Some(at) = self.open.iter().rposition(|o| matches(&o.name)) else { return };
        while self.open.len() > at {
            self.end_last();
        }
    }
}

/// All lines, in order, in their sections. A line that only ends a section is not shown.
///
/// In a log that is `growing`, sections that have not ended say so; in a whole one they end with it.
pub(super) fn fold(lines: &[Line], growing: bool) -> Vec<Item> {
    let mut folder = Folder::default();
    let mut continued = false;
    for (i, line) in lines.iter().enumerate() {
        // A piece of a long line says nothing by itself.
        let (marks, rest) = if continued { (Vec::new(), "x") } else { marks(line) };
        continued = !line.whole;
        let mut head = false;
        for mark in marks.iter() {
            match mark {
                Mark::Command => {
                    // A command inside of a section belongs to it; one after another ends it.
                    if folder.open.last().is_some_and(|o| o.name == COMMAND) {
                        folder.end_last();
                    }
                    folder.start(i, COMMAND.to_owned(), false);
                    head = true;
                }
                Mark::Start { name, closed } => {
                    folder.start(i, name.clone(), *closed);
                    head = true;
                }
                Mark::End { name } => folder.end(|open| open == name),
                Mark::EndGroup => folder.end(|open| open == GROUP),
            }
        }
        if !head && (marks.is_empty() || !rest.trim().is_empty()) {
            folder.add(Item::Line(i));
        }
    }
    while !folder.open.is_empty() {
        if growing { folder.leave_last() } else { folder.end_last() }
    }
    folder.top
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::Time;
    use proptest::prelude::*;

    fn lines(words: &[&str]) -> Vec<Line> {
        let line = |w: &&str| Line {
            time: Time(1),
            stream: Stream::Out,
            whole: true,
            text: (*w).to_owned(),
        };
        words.iter().map(line).collect()
    }

    fn shape(items: &[Item]) -> String {
        let one = |item: &Item| match item {
            Item::Line(i) => i.to_string(),
            Item::Fold { head, closed, below, going } => {
                let open = going.as_ref().map(|name| format!("…{name}")).unwrap_or_default();
                format!("{}{head}({}){open}", if *closed { "-" } else { "" }, shape(below))
            }
        };
        items.iter().map(one).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn commands_hold_what_they_wrote() {
        assert_eq!(
            shape(&fold(&lines(&["a", "$ make", "x", "y", "$ true", "$ ls", "z"]), false)),
            "0 1(2 3) 4 5(6)"
        );
    }

    #[test]
    fn sections_nest_and_end_by_name() {
        let words = [
            "\u{1b}[0Ksection_start:1560896352:one[collapsed=true]\r\u{1b}[0KHeader of one",
            "in one",
            "section_start:1560896353:two\r\u{1b}[0KTwo",
            "in two",
            "section_end:1560896354:one\r\u{1b}[0K",
            "after",
            "::group::deps",
            "a",
            "::endgroup::",
            "b",
        ];
        assert_eq!(shape(&fold(&lines(&words), true)), "-0(1 2(3)) 5 6(7) 9");
        assert_eq!(marks(&lines(&words)[0]).1, "Header of one");
    }

    #[test]
    fn a_growing_log_says_what_has_not_ended() {
        let words = ["$ make", "x", "section_start:1:deps\r", "y", "::group::g"];
        assert_eq!(shape(&fold(&lines(&words), true)), "0(1 2(3 4()…::group::)…deps)…");
        assert_eq!(shape(&fold(&lines(&words), false)), "0(1 2(3 4))");
    }

    proptest! {
        #[test]
        fn no_line_is_lost_but_those_that_only_end(words in prop::collection::vec(
            prop::sample::select(vec![
                "x", "$ ls", "::group::g", "::endgroup::", "section_start:1:a\r", "section_end:1:a\r", "section_end:1:a\rmore",
                "section_start:x:a", "section_start:", "\u{1b}[0K", "",
            ]), 0..60,
        ), growing: bool) {
            let all = lines(&words);
            fn walk(items: &[Item], out: &mut Vec<usize>) {
                for item in items {
                    match item {
                        Item::Line(i) => out.push(*i),
                        Item::Fold { head, below, .. } => {
                            out.push(*head);
                            walk(below, out);
                        }
                    }
                }
            }
            let mut seen = Vec::new();
            walk(&fold(&all, growing), &mut seen);
            let only_ends = |i: &usize| matches!(words[*i], "::endgroup::" | "section_end:1:a\r");
            let wanted: Vec<usize> = (0..words.len()).filter(|i| !only_ends(i)).collect();
            prop_assert_eq!(seen, wanted);
        }
    }
}

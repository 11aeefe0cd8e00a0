//! Path patterns, as GitLab's `artifacts:paths` and most build tools read them.
//!
//! Patterns are relative to the directory that is walked. `*`, `?` and `[a-z]` stay within one component,
//! `**` stands for any number of them, `{a,b}` for either, `\` takes the next character as it is. A walk
//! carries a [`State`] from each directory to what is in it, so that a directory that no pattern can reach
//! is never read.

use crate::error;
use kernel::{Result, Text};
use std::iter::Peekable;
use std::str::Chars;

const MOST_PATTERNS: usize = 512;
const LONGEST: usize = 4096;

/// What a pattern that names a directory says about what is below it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Below {
    /// It is named too.
    Included,
    /// It is named too if the pattern ends in `/` or its last part has no wildcard: `exclude: [build/*]`
    /// leaves out the files of `build` and not those of its directories, as GitLab has it.
    IfPlain,
}

pub(crate) struct Globs(Vec<Glob>);

struct Glob {
    parts: Vec<Part>,
    /// What is below a match matches.
    deep: bool,
}

#[derive(Debug)]
enum Part {
    /// `**`
    Deep,
    One(Vec<Atom>),
}

#[derive(Debug)]
enum Atom {
    Char(char),
    Any,
    Many,
    Set { not: bool, ranges: Vec<(char, char)> },
}

/// How far each pattern has got: (pattern, parts matched).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct State(Vec<(usize, usize)>);

impl State {
    /// Nothing here or below can match.
    pub(crate) fn is_dead(&self) -> bool {
        self.0.is_empty()
    }
}

impl Globs {
    /// # Errors
    /// `glob.invalid`.
    pub(crate) fn parse(patterns: &[String], below: Below) -> Result<Globs> {
        let mut globs = Vec::new();
        for pattern in patterns {
            if pattern.len() > LONGEST {
                return Err(error::glob(pattern, Text::fixed("it is too long", "너무 깁니다")));
            }
            let mut spelled = Vec::new();
            expand(pattern, &mut spelled)
                .then_some(())
                .filter(|()| globs.len() + spelled.len() <= MOST_PATTERNS)
                .ok_or_else(|| error::glob(pattern, too_many()))?;
            for words in spelled {
                globs.push(parse_one(&words, below).map_err(|what| error::glob(pattern, what))?);
            }
        }
        Ok(Globs(globs))
    }

    /// The state of the directory that is walked.
    pub(crate) fn start(&self) -> State {
        let mut state = Vec::new();
        for (at, glob) in self.0.iter().enumerate() {
            glob.reach(at, 0, &mut state);
        }
        State(state)
    }

    /// The state of `name` in a directory that has `state`.
    pub(crate) fn step(&self, state: &State, name: &str) -> State {
        let mut next = Vec::new();
        for &(at, done) in &state.0 {
            let Some(glob) = self.0.get(at) else { continue };
            match glob.parts.get(done) {
                Some(Part::Deep) => glob.reach(at, done, &mut next),
                Some(Part::One(atoms)) if part_matches(atoms, name) => {
                    glob.reach(at, done + 1, &mut next);
                }
                Some(Part::One(_)) => {}
                None if glob.deep => next.push((at, done)),
                None => {}
            }
        }
        next.sort_unstable();
        next.dedup();
        State(next)
    }

    /// Whether what has this state is named by a pattern.
    pub(crate) fn matches(&self, state: &State) -> bool {
        self.ends(state).next().is_some()
    }

    /// Whether everything below is named too.
    pub(crate) fn covers(&self, state: &State) -> bool {
        self.ends(state).any(|glob| glob.deep)
    }

    fn ends(&self, state: &State) -> impl Iterator<Item = &Glob> {
        let glob =
            |&(at, done): &(usize, usize)| self.0.get(at).filter(|glob| glob.parts.len() == done);
        state.0.iter().filter_map(glob)
    }
}

impl Glob {
    /// Adds a place, and those behind each `**` that stands for nothing.
    fn reach(&self, at: usize, mut done: usize, state: &mut Vec<(usize, usize)>) {
        state.push((at, done));
        while let Some(Part::Deep) = self.parts.get(done) {
            done += 1;
            state.push((at, done));
        }
    }
}

fn too_many() -> Text {
    Text::fixed("there are too many patterns", "패턴이 너무 많습니다")
}

fn parse_one(words: &str, below: Below) -> Result<Glob, Text> {
    if words.starts_with('/') {
        return Err(Text::fixed("it is absolute", "절대 경로입니다"));
    }
    let mut parts = Vec::new();
    for part in words.split('/').filter(|p| !matches!(*p, "" | ".")) {
        match part {
            ".." => return Err(Text::fixed("it leads outside", "바깥을 가리킵니다")),
            "**" => parts.push(Part::Deep),
            _ => parts.push(Part::One(parse_part(part)?)),
        }
    }
    let plain = match parts.last() {
        Some(Part::One(atoms)) => atoms.iter().all(|a| matches!(a, Atom::Char(_))),
        Some(Part::Deep) | None => true,
    };
    let deep = below == Below::Included || plain || words.ends_with('/');
    Ok(Glob { parts, deep })
}

fn parse_part(part: &str) -> Result<Vec<Atom>, Text> {
    let mut chars = part.chars().peekable();
    let mut atoms = Vec::new();
    while let Some(c) = chars.next() {
        atoms.push(match c {
            '*' => Atom::Many,
            '?' => Atom::Any,
            '[' => parse_set(&mut chars)?,
            '\\' => Atom::Char(chars.next().unwrap_or('\\')),
            c => Atom::Char(c),
        });
    }
    Ok(atoms)
}

fn parse_set(chars: &mut Peekable<Chars<'_>>) -> Result<Atom, Text> {
    let open = || Text::fixed("a “[” is not closed", "“[”가 닫히지 않았습니다");
    let not = chars.next_if(|c| matches!(c, '!' | '^')).is_some();
    let mut ranges = Vec::new();
    loop {
        let from = match chars.next().ok_or_else(open)? {
            // First of all, it stands for itself.
            ']' if !ranges.is_empty() => return Ok(Atom::Set { not, ranges }),
            '\\' => chars.next().ok_or_else(open)?,
            c => c,
        };
        if chars.next_if_eq(&'-').is_none() {
            ranges.push((from, from));
        } else if chars.peek() == Some(&']') {
            ranges.extend([(from, from), ('-', '-')]);
        } else {
            ranges.push((from, chars.next().ok_or_else(open)?));
        }
    }
}

/// `*` needs to go back only to the last `*`, so the work is at most length times length.
fn part_matches(atoms: &[Atom], name: &str) -> bool {
    let (mut at, mut rest) = (0, name.chars());
    let mut retry: Option<(usize, Chars<'_>)> = None;
    loop {
        let here = rest.clone();
        let fits = match (atoms.get(at), rest.next()) {
            (None, None) => return true,
            (Some(Atom::Many), _) => {
                rest = here.clone();
                retry = Some((at + 1, here));
                true
            }
            (Some(atom), Some(c)) => atom.fits(c),
            _ => false,
        };
        if fits {
            at += 1;
            continue;
        }
        let Some((star, mut from)) = retry.take() else { return false };
        if from.next().is_none() {
            return false;
        }
        (at, rest) = (star, from.clone());
        retry = Some((star, from));
    }
}

impl Atom {
    fn fits(&self, c: char) -> bool {
        match self {
            Atom::Char(wanted) => *wanted == c,
            Atom::Any | Atom::Many => true,
            Atom::Set { not, ranges } => ranges.iter().any(|(a, b)| (*a..=*b).contains(&c)) != *not,
        }
    }
}

/// Spells `{a,b}` out, from the left; a brace without its partner is an ordinary character. False when
/// there are too many spellings.
fn expand(pattern: &str, out: &mut Vec<String>) -> bool {
    let Some((before, inside, after)) = braces(pattern) else {
        out.push(pattern.to_owned());
        return out.len() <= MOST_PATTERNS;
    };
    alternatives(inside).into_iter().all(|one| expand(&format!("{before}{one}{after}"), out))
}

/// The first `{…}` whose braces fit together.
fn braces(pattern: &str) -> Option<(&str, &str, &str)> {
    let (mut depth, mut open, mut escaped) = (0_u32, 0, false);
    for (at, c) in pattern.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '{' => {
                open = if depth == 0 { at } else { open };
                depth += 1;
            }
            '}' if depth == 1 => {
                return Some((
                    pattern.get(..open)?,
                    pattern.get(open + 1..at)?,
                    pattern.get(at + 1..)?,
                ));
            }
            '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    None
}

fn alternatives(inside: &str) -> Vec<&str> {
    let (mut depth, mut from, mut escaped) = (0_u32, 0, false);
    let mut all = Vec::new();
    for (at, c) in inside.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                all.extend(inside.get(from..at));
                from = at + 1;
            }
            _ => {}
        }
    }
    all.extend(inside.get(from..));
    all
}

#[cfg(test)]
#[path = "glob_tests.rs"]
mod tests;

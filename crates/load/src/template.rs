//! Texts with variables in them: `${name}`. `$$` is a dollar.

use std::collections::BTreeMap;

/// Where values are found while an iteration runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    /// Extracted by an earlier step.
    Extracted(usize),
    /// Of the row that the iteration drew: data set and column.
    Data(usize, usize),
    Builtin(Builtin),
}

/// Names that every iteration knows, as k6 calls them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Builtin {
    Vu,
    Iter,
    Random,
    Millis,
}

pub const BUILTINS: [(&str, Builtin); 4] = [
    ("__VU", Builtin::Vu),
    ("__ITER", Builtin::Iter),
    ("__RANDOM", Builtin::Random),
    ("__NOW", Builtin::Millis),
];

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Words(String),
    Value(Slot),
}

/// A text, ready to be filled.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Template(Vec<Piece>);

/// What a name stands for while a file is compiled.
#[derive(Clone, Debug)]
pub enum Known {
    /// Known now.
    Fixed(String),
    Later(Slot),
}

impl Template {
    /// # Errors
    /// The name that is not known, or `None` for a `${` without an end.
    pub fn parse(words: &str, known: &BTreeMap<String, Known>) -> Result<Template, Option<String>> {
        let mut pieces: Vec<Piece> = Vec::new();
        let add = |pieces: &mut Vec<Piece>, more: &str| match pieces.last_mut() {
            Some(Piece::Words(words)) => words.push_str(more),
            _ => pieces.push(Piece::Words(more.to_owned())),
        };
        let mut rest = words;
        while let Some((before, after)) = rest.split_once('$') {
            add(&mut pieces, before);
            if let Some(after) = after.strip_prefix('{') {
                let (name, after) = after.split_once('}').ok_or(None)?;
                match known.get(name.trim()) {
                    Some(Known::Fixed(value)) => add(&mut pieces, value),
                    Some(Known::Later(slot)) => pieces.push(Piece::Value(*slot)),
                    None => return Err(Some(name.trim().to_owned())),
                }
                rest = after;
            } else {
                add(&mut pieces, "$");
                rest = after.strip_prefix('$').unwrap_or(after);
            }
        }
        add(&mut pieces, rest);
        pieces.retain(|p| !matches!(p, Piece::Words(w) if w.is_empty()));
        Ok(Template(pieces))
    }

    /// The text, when nothing in it changes.
    pub fn fixed(&self) -> Option<&str> {
        match self.0.as_slice() {
            [] => Some(""),
            [Piece::Words(words)] => Some(words),
            _ => None,
        }
    }

    pub fn fill(&self, value: impl Fn(Slot, &mut String)) -> String {
        let mut out = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Words(words) => out.push_str(words),
                Piece::Value(slot) => value(*slot, &mut out),
            }
        }
        out
    }
}

//! Secrets kept out of what a program prints.
//!
//! All spellings of all secrets are one automaton that every stream runs through. What is shown is what no
//! spelling can cover any more; held back is only the end that may be the beginning of one. No spelling
//! holds a newline, so whole lines are never held back.

mod automaton;
mod spell;

use automaton::{Automaton, ROOT};
use std::collections::VecDeque;
use std::sync::Arc;

/// What stands for a secret.
const MASKED: &[u8] = b"[MASKED]";
/// Bytes of all spellings together; of secrets beyond that only the plainest are known.
const MOST: usize = 1 << 20;

/// What is to be hidden. Clones share it.
#[derive(Clone, Default)]
pub struct Mask(Option<Arc<Automaton>>);

impl Mask {
    /// Shortest secret, in bytes: a shorter one would blot out half of every log, and tell itself by that.
    pub const SHORTEST: usize = 4;

    /// Hides these values, in every spelling they are likely to be printed in, and each line of those of
    /// several lines. What is shorter than [`Mask::SHORTEST`] is left as it is.
    pub fn new(secrets: &[String]) -> Mask {
        let mut spellings = Vec::new();
        let mut size = 0;
        for secret in secrets {
            let mut own = spell::all(secret);
            if size + own.iter().map(Vec::len).sum::<usize>() > MOST {
                own = spell::plain(secret);
            }
            size += own.iter().map(Vec::len).sum::<usize>();
            spellings.extend(own);
        }
        spellings.sort_unstable();
        spellings.dedup();
        Mask((!spellings.is_empty()).then(|| Arc::new(Automaton::new(&spellings))))
    }

    /// A text without the secrets in it.
    pub fn clean(&self, text: &str) -> String {
        let Some(mut masked) = self.stream() else { return text.to_owned() };
        let mut out = Vec::with_capacity(text.len());
        masked.feed(text.as_bytes(), &mut out);
        masked.finish(&mut out);
        String::from_utf8_lossy(&out).into_owned()
    }

    /// One stream on its way through; `None` when there is nothing to hide.
    pub(crate) fn stream(&self) -> Option<Masked> {
        let automaton = self.0.clone()?;
        Some(Masked { automaton, state: ROOT, held: VecDeque::new(), masking: false })
    }
}

impl std::fmt::Debug for Mask {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Mask")
    }
}

/// One stream on its way through a mask.
pub(crate) struct Masked {
    automaton: Arc<Automaton>,
    state: u32,
    /// The bytes that may still become part of a secret, as many as the state is deep, and whether each is
    /// known to be.
    held: VecDeque<(u8, bool)>,
    /// What was shown last stands for a secret that may go on.
    masking: bool,
}

impl Masked {
    /// Appends to `out` what can be shown after these bytes.
    pub fn feed(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        let automaton = self.automaton.clone();
        let mut rest = bytes;
        while !rest.is_empty() {
            if self.held.is_empty() {
                // Most of what programs print begins no secret.
                let (plain, after) = rest.split_at(automaton.plain(rest));
                self.masking &= plain.is_empty();
                out.extend_from_slice(plain);
                rest = after;
            }
            if let Some((byte, after)) = rest.split_first() {
                self.step(&automaton, *byte, out);
                rest = after;
            }
        }
    }

    fn step(&mut self, automaton: &Automaton, byte: u8, out: &mut Vec<u8>) {
        self.state = automaton.next(self.state, byte);
        let (depth, longest) = automaton.found(self.state);
        self.held.push_back((byte, false));
        for (_, secret) in self.held.iter_mut().rev().take(longest) {
            *secret = true;
        }
        while self.held.len() > depth {
            self.show(out);
        }
    }

    fn show(&mut self, out: &mut Vec<u8>) {
        match self.held.pop_front() {
            Some((_, true)) if self.masking => {}
            Some((_, true)) => {
                out.extend_from_slice(MASKED);
                self.masking = true;
            }
            Some((byte, false)) => {
                out.push(byte);
                self.masking = false;
            }
            None => {}
        }
    }

    /// The end of the stream: what is held back will not become a secret any more.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        while !self.held.is_empty() {
            self.show(out);
        }
        self.state = ROOT;
    }
}

#[cfg(test)]
mod tests;

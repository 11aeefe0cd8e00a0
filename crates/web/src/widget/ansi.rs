//! Colours that programs write (ECMA-48 SGR): kept as classes; every other control sequence is dropped.

use maud::{Markup, html};

#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Pen {
    bold: bool,
    /// 0 to 15; `None` is the text's own colour.
    colour: Option<u8>,
}

impl Pen {
    fn class(self) -> String {
        let colour = self.colour.map(|c| format!("ansi-{c}")).unwrap_or_default();
        let bold = if self.bold { "ansi-bold" } else { "" };
        format!("{colour} {bold}").trim().to_owned()
    }

    fn take(&mut self, codes: &str) {
        let mut codes = codes.split(';').map(|c| c.parse::<u16>().unwrap_or(0));
        while let Some(code) = codes.next() {
            match code {
                0 => *self = Pen::default(),
                1 => self.bold = true,
                22 => self.bold = false,
                30..=37 => self.colour = Some((code - 30) as u8),
                90..=97 => self.colour = Some((code - 90 + 8) as u8),
                39 => self.colour = None,
                // An extended colour: its arguments are not codes.
                38 | 48 => {
                    let skip = if codes.next() == Some(5) { 1 } else { 3 };
                    for _ in 0..skip {
                        codes.next();
                    }
                }
                _ => {}
            }
        }
    }
}

/// Text and its class, in order.
pub(super) fn split(line: &str) -> Vec<(String, String)> {
    let mut out: Vec<(String, String)> = Vec::new();
    let (mut pen, mut text) = (Pen::default(), String::new());
    let mut rest = line.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '\u{1b}' if rest.peek() == Some(&'[') => {
                rest.next();
                let mut codes = String::new();
                let end = rest.find(|c| {
                    let last = ('\u{40}'..='\u{7e}').contains(c);
                    if !last && codes.len() < 64 {
                        codes.push(*c);
                    }
                    last
                });
                if end == Some('m') {
                    if !text.is_empty() {
                        out.push((pen.class(), std::mem::take(&mut text)));
                    }
                    pen.take(&codes);
                }
            }
            '\t' => text.push('\t'),
            // A carriage return starts the line over: only the last state of a progress bar is kept.
            '\r' if rest.peek().is_some() => {
                text.clear();
                out.clear();
            }
            c if c.is_control() => {}
            c => text.push(c),
        }
    }
    if !text.is_empty() {
        out.push((pen.class(), text));
    }
    out
}

pub(super) fn draw(line: &str) -> Markup {
    html! {
        @for (class, text) in split(line) {
            @if class.is_empty() { (text) } @else { span class=(class) { (text) } }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn colours_stay_and_the_rest_goes() {
        let got = split("\u{1b}[1;32mok\u{1b}[0m done\u{1b}[2K\u{7}");
        assert_eq!(
            got,
            [("ansi-2 ansi-bold".into(), "ok".into()), (String::new(), " done".into())]
        );
        assert_eq!(split("10 %\r100 %"), [(String::new(), "100 %".into())]);
        assert_eq!(split("\u{1b}[38;5;200mx"), [(String::new(), "x".into())]);
    }

    proptest! {
        #[test]
        fn nothing_that_moves_a_terminal_is_left(line: String) {
            let shown: String = split(&line).into_iter().map(|(_, t)| t).collect();
            prop_assert!(shown.chars().all(|c| c == '\t' || !c.is_control()));
        }
    }
}

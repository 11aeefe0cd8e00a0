//! Words from outside, made fit for a sentence.

/// So many characters are shown; more would bury the sentence.
const LONGEST: usize = 160;

/// Words from outside as they may stand in a message, a log line or on a terminal: at most 160 characters, then
/// `…`; what would break the line, move the cursor or turn the direction of writing (Unicode UAX #9 §2, "Trojan
/// source") is spelled out as in Rust (`\n`, `\u{1b}`). All else stands as it is: Korean stays Korean.
pub fn shown(words: &str) -> String {
    let mut out = String::with_capacity(words.len().min(LONGEST));
    for (n, c) in words.chars().enumerate() {
        if n == LONGEST {
            out.push('…');
            break;
        }
        if moves(c) { out.extend(c.escape_default()) } else { out.push(c) }
    }
    out
}

/// Whether a character does something instead of showing something.
fn moves(c: char) -> bool {
    let unseen = matches!(
        c,
        '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}'
    );
    let turns = matches!(c, '\u{61c}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    c.is_control() || unseen || turns
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_something_is_spelled_out_and_the_rest_stands() {
        for (words, expected) in [
            ("main", "main"),
            ("기능/결제", "기능/결제"),
            ("it's \"so\"", "it's \"so\""),
            ("e\u{301}", "e\u{301}"),
            ("a\nb\tc", "a\\nb\\tc"),
            ("\u{1b}[31m", "\\u{1b}[31m"),
            ("user\u{202e}nimda", "user\\u{202e}nimda"),
            ("a\u{200b}b", "a\\u{200b}b"),
        ] {
            assert_eq!(shown(words), expected);
        }
        assert_eq!(shown(&"가".repeat(161)), format!("{}…", "가".repeat(160)));
        assert_eq!(shown(&"가".repeat(160)), "가".repeat(160));
    }
}

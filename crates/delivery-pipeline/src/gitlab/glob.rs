//! Globs of `changes`, `exists` and cache files: Ruby's `File.fnmatch` with PATHNAME, DOTMATCH and
//! EXTGLOB, which is what GitLab uses.

use regex::{Regex, RegexSet, RegexSetBuilder};

/// Compiled alternatives.
pub struct Globs(Option<RegexSet>);

impl Globs {
    pub fn new(patterns: &[String]) -> Globs {
        let each = patterns.iter().map(|p| translate(p.trim_start_matches("./")));
        Globs(RegexSetBuilder::new(each).size_limit(4 << 20).build().ok())
    }

    pub fn matches(&self, path: &str) -> bool {
        self.0.as_ref().is_some_and(|set| set.is_match(path))
    }
}

/// `**/` is any number of directories, `*` and `?` stay inside of one, `{a,b}` is a choice.
fn translate(glob: &str) -> String {
    let mut out = String::from("^");
    let mut rest = glob;
    let mut braces = 0_usize;
    while let Some(c) = rest.chars().next() {
        let mut used = c.len_utf8();
        match c {
            '*' if rest.starts_with("**/") => {
                out.push_str("(?:.*/)?");
                used = 3;
            }
            '*' if rest.starts_with("**") => {
                out.push_str(".*");
                used = 2;
            }
            '*' => out.push_str("[^/]*"),
            '?' => out.push_str("[^/]"),
            '{' if rest.contains('}') => {
                out.push_str("(?:");
                braces += 1;
            }
            '}' if braces > 0 => {
                out.push(')');
                braces -= 1;
            }
            ',' if braces > 0 => out.push('|'),
            '[' => match class(rest) {
                Some((class, length)) => {
                    out.push_str(&class);
                    used = length;
                }
                None => out.push_str("\\["),
            },
            c => out.push_str(&regex::escape(c.encode_utf8(&mut [0; 4]))),
        }
        rest = rest.get(used..).unwrap_or("");
    }
    out.push_str(&")".repeat(braces));
    out.push('$');
    // A glob that makes no sense matches nothing rather than everything.
    if Regex::new(&out).is_ok() { out } else { "[^\\s\\S]".to_owned() }
}

/// `[a-z]`, `[!a]`
fn class(rest: &str) -> Option<(String, usize)> {
    let end = rest.get(2..)?.find(']')? + 2;
    let inner = rest.get(1..end)?;
    let (not, inner) = match inner.strip_prefix(['!', '^']) {
        Some(inner) => ("^", inner),
        None => ("", inner),
    };
    let escaped: String = inner
        .chars()
        .map(|c| if "\\[]^&~".contains(c) { format!("\\{c}") } else { c.to_string() })
        .collect();
    Some((format!("[{not}{escaped}]"), end + 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn as_ruby() {
        for (glob, path, want) in [
            ("*.rs", "main.rs", true),
            ("*.rs", "src/main.rs", false),
            ("**/*.rs", "main.rs", true),
            ("**/*.rs", "a/b/main.rs", true),
            ("src/**/*", "src/a/b", true),
            ("src/**/*", "other/a", false),
            ("docs/*.{md,txt}", "docs/a.txt", true),
            ("docs/*.{md,txt}", "docs/a.rs", false),
            ("a?c", "abc", true),
            ("a?c", "a/c", false),
            ("[a-c]x", "bx", true),
            ("[!a-c]x", "bx", false),
            ("./Cargo.toml", "Cargo.toml", true),
            ("a.b", "axb", false),
        ] {
            assert_eq!(Globs::new(&[glob.to_owned()]).matches(path), want, "{glob} {path}");
        }
    }

    proptest! {
        #[test]
        fn any_glob_compiles(glob: String, path: String) {
            Globs::new(&[glob]).matches(&path);
        }
    }
}

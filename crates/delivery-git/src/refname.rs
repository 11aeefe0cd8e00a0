//! Names of refs.

/// The longest ref name, in bytes.
pub(crate) const LONGEST: usize = 1024;

/// Whether git would take `name` as a full ref name.
///
/// The rules of git-check-ref-format(1). Beyond them: at most [`LONGEST`] bytes, valid UTF-8 (a `&str`),
/// and no control character of Unicode either, because names end up on terminals.
///
/// # Errors
/// What is wrong with it, for a `ng` line.
pub(crate) fn check(name: &str) -> Result<(), &'static str> {
    if name.len() > LONGEST {
        return Err("the name of the ref is too long");
    }
    if name.chars().any(char::is_control) {
        return Err("the name of the ref has a control character");
    }
    if name.contains([' ', '~', '^', ':', '?', '*', '[', '\\']) {
        return Err("the name of the ref has a character that git does not allow");
    }
    let sound = name.contains('/')
        && !name.contains("..")
        && !name.contains("@{")
        && !name.ends_with('.')
        && name.split('/').all(component);
    if sound { Ok(()) } else { Err("the name of the ref is not one that git allows") }
}

fn component(words: &str) -> bool {
    !words.is_empty() && !words.starts_with('.') && !words.ends_with(".lock") && words != "@"
}

/// Whether `words` is a whole object id: 40 lower-case hex digits. Repositories here are SHA-1.
pub(crate) fn is_oid(words: &str) -> bool {
    words.len() == 40 && words.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rules_of_git() {
        for good in [
            "refs/heads/main",
            "refs/tags/v1.0",
            "refs/heads/기능/하나",
            "refs/heads/a@b",
            "refs/heads/-x",
        ] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        let long = format!("refs/heads/{}", "x".repeat(LONGEST));
        for bad in [
            "",
            "main",
            "refs/heads/",
            "refs//heads/a",
            "/refs/heads/a",
            "refs/heads/a..b",
            "refs/heads/.a",
            "refs/heads/a.lock",
            "refs/heads/a.lock/b",
            "refs/heads/a b",
            "refs/heads/a~1",
            "refs/heads/a^",
            "refs/heads/a:b",
            "refs/heads/a?",
            "refs/heads/*",
            "refs/heads/[a",
            "refs/heads/a\\b",
            "refs/heads/a@{b",
            "refs/heads/a.",
            "refs/heads/@",
            "refs/heads/a\x07",
            "refs/heads/a\n",
            "refs/heads/a\x7f",
            "refs/heads/a\u{9b}",
            "refs/heads/../../x",
            &long,
        ] {
            assert!(check(bad).is_err(), "{bad:?}");
        }
    }
}

//! What a secret is called, and whom it is for. Pure.

use crate::kind::Secret;
use kernel::port::SecretUse;
use kernel::{Error, Name, Result, Text, text};
use std::collections::BTreeMap;

/// Characters of a variable's name.
const LONGEST: usize = 128;

/// The secret that words mean: its name, or that of its variable. With words that are no name comes the variable,
/// where it is another one than the name gives.
///
/// # Errors
/// `secret.name`
pub(crate) fn named(words: &str) -> Result<(Name, Option<String>)> {
    if let Ok(name) = Name::parse(words) {
        return Ok((name, None));
    }
    let usual = |name: &Name| variable(name, &Secret::default()) == words;
    match Name::slug(words).filter(|_| check_variable(words).is_ok()) {
        Some(name) if usual(&name) => Ok((name, None)),
        Some(name) => Ok((name, Some(words.to_owned()))),
        None => {
            let shown = kernel::shown(words);
            Err(Error::invalid(
                "secret.name",
                text!("“{shown}” is no name for a secret", "“{shown}”은(는) 비밀 값 이름이 될 수 없습니다"),
            )
            .hint(Text::fixed(
                "write it like its variable, DATABASE_PASSWORD, or like any resource, database-password",
                "변수처럼 DATABASE_PASSWORD로, 또는 리소스처럼 database-password로 쓰세요",
            )))
        }
    }
}

/// The variable that holds the value, or the path of its file.
pub(crate) fn variable(name: &Name, spec: &Secret) -> String {
    let usual = || name.as_str().to_ascii_uppercase().replace('-', "_");
    spec.variable.clone().unwrap_or_else(usual)
}

/// # Errors
/// `secret.variable` for what no shell takes as a name, and for names that naru gives.
pub(crate) fn check_variable(words: &str) -> Result<()> {
    let mut bytes = words.bytes();
    let first = bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_');
    let sound = first && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_');
    let ours = words.starts_with("NARU_") || ["PATH", "HOME", "PORT"].contains(&words);
    if sound && !ours && words.len() <= LONGEST {
        return Ok(());
    }
    let shown = kernel::shown(words);
    let say = match ours {
        true => text!("`{shown}` is set by naru", "`{shown}`은(는) naru가 정합니다"),
        false => {
            text!("`{shown}` cannot be a variable", "`{shown}`은(는) 변수 이름이 될 수 없습니다")
        }
    };
    Err(Error::invalid("secret.variable", say)
        .hint(Text::fixed("use letters, digits and `_`", "영문자, 숫자, `_`를 쓰세요")))
}

/// # Errors
/// `secret.environment`
pub(crate) fn check_glob(glob: &str) -> Result<()> {
    if !glob.trim().is_empty() && glob.len() <= 255 && !glob.contains(char::is_control) {
        return Ok(());
    }
    Err(Error::invalid(
        "secret.environment",
        Text::fixed("an environment has 1 to 255 characters", "환경 이름은 1~255자입니다"),
    )
    .hint(Text::fixed("write production or review/*", "production, review/*처럼 쓰세요")))
}

/// How closely a secret is meant for this use, as a number that grows with it; `None`: not at all.
pub(crate) fn fits(spec: &Secret, of: &SecretUse) -> Option<usize> {
    if spec.protected && !of.protected {
        return None;
    }
    if spec.environments.is_empty() {
        return Some(0);
    }
    let environment = plain(of.environment.as_deref()?);
    let letters = |glob: &str| glob.bytes().filter(|b| *b != b'*').count() + 1;
    let matching = spec.environments.iter().map(|g| plain(g)).filter(|g| matches(g, &environment));
    matching.map(|glob| letters(&glob)).max()
}

/// As a resource is named for an environment: services know theirs only by that.
fn plain(words: &str) -> String {
    let letter = |c: char| match c.to_ascii_lowercase() {
        c if c.is_alphanumeric() || c == '*' => c,
        _ => '-',
    };
    words.trim().chars().map(letter).collect()
}

/// Whether `*` for any characters makes one of the other. No backtracking further than to the last `*`.
fn matches(glob: &str, words: &str) -> bool {
    let (glob, words): (Vec<char>, Vec<char>) = (glob.chars().collect(), words.chars().collect());
    let (mut g, mut w) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while w < words.len() {
        if glob.get(g) == Some(&'*') {
            star = Some((g, w));
            g += 1;
        } else if glob.get(g) == words.get(w) {
            g += 1;
            w += 1;
        } else if let Some((at, from)) = star {
            star = Some((at, from + 1));
            g = at + 1;
            w = from + 1;
        } else {
            return false;
        }
    }
    glob.get(g..).unwrap_or_default().iter().all(|c| *c == '*')
}

/// Those that jobs get for this use: for each variable the one that is meant most closely.
pub(crate) fn chosen<'a>(
    secrets: impl Iterator<Item = (&'a Name, &'a Secret)>,
    of: &SecretUse,
) -> Vec<&'a Name> {
    let mut by_variable: BTreeMap<String, (usize, &Name)> = BTreeMap::new();
    for (name, spec) in secrets.filter(|(_, spec)| spec.jobs) {
        let Some(closeness) = fits(spec, of) else { continue };
        let best = by_variable.entry(variable(name, spec)).or_insert((closeness, name));
        if (closeness, name) > *best {
            *best = (closeness, name);
        }
    }
    by_variable.into_values().map(|(_, name)| name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::port::SecretUser;
    use proptest::prelude::*;

    fn name(words: &str) -> Name {
        Name::parse(words).unwrap()
    }

    fn usage(environment: Option<&str>, protected: bool) -> SecretUse {
        let by = SecretUser::Service { service: name("web"), instance: "web-1".into() };
        SecretUse { by, environment: environment.map(str::to_owned), protected }
    }

    #[test]
    fn names_and_variables() {
        for (words, want, own) in [
            ("DATABASE_PASSWORD", "database-password", None),
            ("database-password", "database-password", None),
            ("npmToken", "npmtoken", Some("npmToken")),
            ("_X", "x", Some("_X")),
        ] {
            let (found, variable) = named(words).unwrap();
            assert_eq!((found.as_str(), variable.as_deref()), (want, own), "{words}");
        }
        for words in ["", "a b", "A=B", "../x", "NARU_TOKEN", "PATH", "비밀", "1A_B"] {
            assert!(named(words).is_err(), "{words}");
        }
        assert_eq!(variable(&name("database-password"), &Secret::default()), "DATABASE_PASSWORD");
    }

    #[test]
    fn whom_it_is_for() {
        let secret = |environments: &[&str], protected| Secret {
            environments: environments.iter().map(|e| (*e).to_owned()).collect(),
            protected,
            ..Secret::default()
        };
        for (spec, of, want) in [
            (secret(&[], false), usage(None, false), true),
            (secret(&[], true), usage(Some("production"), false), false),
            (secret(&[], true), usage(None, true), true),
            (secret(&["production"], false), usage(Some("production"), false), true),
            (secret(&["production"], false), usage(None, true), false),
            (secret(&["production"], false), usage(Some("production-2"), true), false),
            (secret(&["review/*"], false), usage(Some("review/fix-1"), false), true),
            (secret(&["review/*"], false), usage(Some("review-fix-1"), false), true),
            (secret(&["review/*"], false), usage(Some("review"), false), false),
            (secret(&["qa", "*prod*"], true), usage(Some("eu-prod-1"), true), true),
        ] {
            assert_eq!(fits(&spec, &of).is_some(), want, "{spec:?} {of:?}");
        }
    }

    #[test]
    fn of_one_variable_the_closest_is_chosen() {
        let like = |environments: &[&str], jobs| Secret {
            variable: Some("PASSWORD".into()),
            environments: environments.iter().map(|e| (*e).to_owned()).collect(),
            jobs,
            ..Secret::default()
        };
        let all = [
            (name("any"), like(&[], true)),
            (name("prod"), like(&["production"], true)),
            (name("p"), like(&["prod*"], true)),
            (name("service-only"), like(&["production"], false)),
        ];
        let chosen = |of: &SecretUse| chosen(all.iter().map(|(n, s)| (n, s)), of);
        assert_eq!(chosen(&usage(Some("production"), false)), [&name("prod")]);
        assert_eq!(chosen(&usage(Some("prod-2"), false)), [&name("p")]);
        assert_eq!(chosen(&usage(None, false)), [&name("any")]);
    }

    proptest! {
        #[test]
        fn a_glob_matches_what_it_was_made_of(parts in proptest::collection::vec("[a-c]{0,3}", 1..5), fill in "[a-c]{0,4}") {
            prop_assert!(matches(&parts.join("*"), &parts.join(&fill)));
            let longer = parts.join("*") + "z";
            prop_assert!(!matches(&longer, &parts.join(&fill)));
        }

        #[test]
        fn any_words_are_survived(words: String, glob: String) {
            let _ = named(&words);
            let of = usage(Some(&words), true);
            let _ = fits(&Secret { environments: vec![glob], ..Secret::default() }, &of);
        }
    }
}

use super::*;
use proptest::prelude::*;

fn takes(patterns: &[&str], below: Below, path: &str) -> bool {
    let patterns: Vec<String> = patterns.iter().map(ToString::to_string).collect();
    let globs = Globs::parse(&patterns, below).unwrap();
    let state = path.split('/').fold(globs.start(), |state, name| globs.step(&state, name));
    globs.matches(&state)
}

#[test]
fn what_an_include_takes() {
    for (pattern, path, want) in [
        ("dist/", "dist/a/b.js", true),
        ("dist", "dist/a/b.js", true),
        ("./dist/./", "dist/a", true),
        ("dist/", "other/dist/a", false),
        ("*.so", "libx.so", true),
        ("*.so", "lib/libx.so", false),
        ("**/*.so", "libx.so", true),
        ("**/*.so", "a/b/libx.so", true),
        ("**/*.so", "a/b/libx.so.1", false),
        ("target/release/app", "target/release/app", true),
        ("target/release/app", "target/release/app2", false),
        ("**/x", "x", true),
        ("**/x", "a/x/below", true),
        ("a/**/b", "a/b", true),
        ("a/**/b", "a/1/2/b", true),
        ("a/**", "a/1/2", true),
        ("**", "anything/at/all", true),
        (".", "anything/at/all", true),
        ("", "anything", true),
        ("r-[0-9][!a-c].txt", "r-7z.txt", true),
        ("r-[0-9][!a-c].txt", "r-7b.txt", false),
        ("[]x]", "]", true),
        ("{a,b{1,2}}/?", "b2/z", true),
        ("{a,b{1,2}}/?", "b3/z", false),
        ("a{b", "a{b", true),
        (r"a\*b", "a*b", true),
        (r"a\*b", "axb", false),
        ("결과/*.xml", "결과/보고.xml", true),
    ] {
        assert_eq!(takes(&[pattern], Below::Included, path), want, "{pattern} {path}");
    }
    assert!(!takes(&[], Below::Included, "a"));
}

#[test]
fn what_an_exclude_leaves_out() {
    for (pattern, path, want) in [
        ("build/*", "build/a", true),
        ("build/*", "build/sub/a", false),
        ("build/*/", "build/sub/a", true),
        ("node_modules", "node_modules/x/y", true),
        ("**/node_modules", "a/node_modules/x/y", true),
        ("build/**", "build/sub/a", true),
        ("**/*.o", "a/b.o", true),
        ("**/*.o", "a/b.o/c", false),
    ] {
        assert_eq!(takes(&[pattern], Below::IfPlain, path), want, "{pattern} {path}");
    }
}

#[test]
fn patterns_that_are_refused() {
    let bomb = "{a,b}".repeat(30);
    for bad in ["/etc", "../x", "a/../../x", "[a", "[a-", bomb.as_str(), &"x".repeat(5000)] {
        let parsed = Globs::parse(&[bad.to_string()], Below::Included);
        assert_eq!(parsed.err().map(|e| e.code()), Some("glob.invalid"), "{bad}");
    }
}

#[test]
fn a_directory_out_of_reach_is_not_walked() {
    let globs = Globs::parse(&["dist/js/*.js".into()], Below::Included).unwrap();
    let start = globs.start();
    assert!(!globs.step(&start, "dist").is_dead());
    assert!(globs.step(&start, "node_modules").is_dead());
}

/// The definition, without any care for speed.
fn plainly(pattern: &[char], name: &[char]) -> bool {
    match (pattern.split_first(), name.split_first()) {
        (None, None) => true,
        (Some(('*', rest)), None) => plainly(rest, name),
        (Some(('*', rest)), Some((_, after))) => plainly(rest, name) || plainly(pattern, after),
        (Some(('?', rest)), Some((_, after))) => plainly(rest, after),
        (Some((p, rest)), Some((n, after))) => p == n && plainly(rest, after),
        _ => false,
    }
}

proptest! {
    #[test]
    fn stars_match_as_defined(pattern in "[ab*?]{0,8}", name in "[ab]{0,8}") {
        let chars = |s: &str| s.chars().collect::<Vec<_>>();
        let atoms = parse_part(&pattern).unwrap();
        prop_assert_eq!(part_matches(&atoms, &name), plainly(&chars(&pattern), &chars(&name)));
    }

    #[test]
    fn no_pattern_breaks_the_parser(pattern: String, path: String) {
        if let Ok(globs) = Globs::parse(&[pattern], Below::IfPlain) {
            let state = path.split('/').fold(globs.start(), |s, name| globs.step(&s, name));
            let _ = globs.matches(&state);
        }
    }
}

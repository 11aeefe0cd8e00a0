//! Tests to try again, in the words of their runners. Pure.

use crate::read::Identity;
use kernel::port::FailedTests;
use std::collections::{BTreeMap, BTreeSet};

/// A test, as far as a runner can be told of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chosen {
    pub identity: Identity,
    /// Where its source is, when the report says.
    pub file: Option<String>,
}

/// In which words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Ids,
    Pytest,
    Nextest,
    Go,
    Jest,
    Surefire,
}

impl Format {
    pub const ALL: [Format; 6] =
        [Format::Ids, Format::Pytest, Format::Nextest, Format::Go, Format::Jest, Format::Surefire];

    pub fn word(self) -> &'static str {
        match self {
            Format::Ids => "ids",
            Format::Pytest => "pytest",
            Format::Nextest => "nextest",
            Format::Go => "go",
            Format::Jest => "jest",
            Format::Surefire => "surefire",
        }
    }

    pub fn parse(word: &str) -> Option<Format> {
        Format::ALL.into_iter().find(|f| f.word() == word)
    }

    /// The variable that names the file.
    fn variable(self) -> String {
        match self {
            Format::Ids => "NARU_FAILED_TESTS".to_owned(),
            other => format!("NARU_FAILED_TESTS_{}", other.word().to_ascii_uppercase()),
        }
    }
}

/// All formats at once, each a file.
pub(crate) fn all(tests: &[Chosen]) -> FailedTests {
    let file = |format: Format| (format.variable(), words(format, tests) + "\n");
    FailedTests { count: tests.len(), files: Format::ALL.into_iter().map(file).collect() }
}

/// What to give the runner:
/// - `ids`, `pytest`: one in a line (`pytest @file` from pytest 8.2 on, or `xargs`),
/// - `nextest`: an expression for `cargo nextest run -E`,
/// - `go`: a regular expression for `go test -run`, of whole top-level tests,
/// - `jest`: one for `jest -t`,
/// - `surefire`: a value for `mvn -Dtest=`.
pub fn words(format: Format, tests: &[Chosen]) -> String {
    let lines = |each: &dyn Fn(&Chosen) -> String| {
        let all: BTreeSet<String> = tests.iter().map(each).collect();
        all.into_iter().collect::<Vec<_>>()
    };
    match format {
        Format::Ids => lines(&|t| t.identity.id().replace('\n', " ")).join("\n"),
        Format::Pytest => lines(&pytest).join("\n"),
        Format::Nextest => lines(&nextest).join(" | "),
        Format::Go => format!("^({})$", lines(&go).join("|")),
        Format::Jest => format!("^({})$", lines(&|t| quote(&t.identity.full_name())).join("|")),
        Format::Surefire => surefire(tests),
    }
}

/// `path::Class::name[parameters]`. Without a file in the report it is made of the module's name, whose
/// classes begin with a capital letter.
fn pytest(test: &Chosen) -> String {
    let parts: Vec<&str> = test.identity.class.split('.').filter(|p| !p.is_empty()).collect();
    let capital = |p: &&str| p.chars().next().is_some_and(char::is_uppercase);
    let (path, classes) = match &test.file {
        Some(file) => {
            let stem = file.trim_end_matches(".py").replace('/', ".");
            let rest = test.identity.class.strip_prefix(&stem).unwrap_or("");
            let inner = rest.split('.').filter(|p| !p.is_empty());
            (file.clone(), inner.map(str::to_owned).collect::<Vec<_>>())
        }
        None => {
            let at = parts.iter().position(capital).unwrap_or(parts.len());
            let (module, classes) = parts.split_at(at);
            (format!("{}.py", module.join("/")), classes.iter().map(ToString::to_string).collect())
        }
    };
    [vec![path], classes, vec![test.identity.full_name()]].concat().join("::")
}

/// `(binary_id(=shop::api) & test(=cart::adds))`
fn nextest(test: &Chosen) -> String {
    let plain = |words: &str| words.replace('\\', "\\\\").replace(')', "\\)");
    let name = plain(&test.identity.full_name());
    match test.identity.class.as_str() {
        "" => format!("test(={name})"),
        binary => format!("(binary_id(={}) & test(={name}))", plain(binary)),
    }
}

/// The top-level test: older versions of Go know no alternatives below it.
fn go(test: &Chosen) -> String {
    quote(test.identity.name.split('/').next().unwrap_or(""))
}

/// As a regular expression that means itself, in Go's and in JavaScript's syntax.
fn quote(words: &str) -> String {
    let mut out = String::with_capacity(words.len());
    for c in words.chars() {
        if r"\.+*?()|[]{}^$/".contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// `Cart#adds+subtracts,Till`
fn surefire(tests: &[Chosen]) -> String {
    let mut classes: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for test in tests {
        let identity = &test.identity;
        let class = if identity.class.is_empty() { &identity.suite } else { &identity.class };
        // What JUnit adds for parameters is no part of a method's name.
        let method = identity.name.split(['(', '{', '[', ' ']).next().unwrap_or("");
        classes.entry(class).or_default().insert(method);
    }
    let one = |(class, methods): (&str, BTreeSet<&str>)| {
        let methods: Vec<&str> = methods.into_iter().filter(|m| !m.is_empty()).collect();
        if methods.is_empty() { class.to_owned() } else { format!("{class}#{}", methods.join("+")) }
    };
    classes.into_iter().map(one).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn test(class: &str, name: &str, file: Option<&str>) -> Chosen {
        let (name, parameters) =
            name.strip_suffix(']').and_then(|n| n.split_once('[')).unwrap_or((name, ""));
        let identity = Identity {
            class: class.into(),
            name: name.into(),
            parameters: parameters.into(),
            ..Identity::default()
        };
        Chosen { identity, file: file.map(str::to_owned) }
    }

    #[test]
    fn each_runner_gets_its_own_words() {
        let python = [
            test("tests.test_cart.TestCart", "test_add[1-a]", None),
            test("tests.test_till", "test_open", Some("tests/test_till.py")),
            test("tests.test_till.TestB.TestC", "test_x", Some("tests/test_till.py")),
        ];
        assert_eq!(
            words(Format::Pytest, &python),
            "tests/test_cart.py::TestCart::test_add[1-a]\ntests/test_till.py::TestB::TestC::test_x\ntests/test_till.py::test_open"
        );
        assert_eq!(words(Format::Ids, &python[..1]), "tests.test_cart.TestCart::test_add[1-a]");
        let rust = [test("shop::api", "cart::adds", None), test("shop", "subs", None)];
        assert_eq!(
            words(Format::Nextest, &rust),
            "(binary_id(=shop) & test(=subs)) | (binary_id(=shop::api) & test(=cart::adds))"
        );
        let go = [
            test("example.org/shop", "TestAdd/zero", None),
            test("example.org/shop", "TestAdd/one", None),
            test("example.org/shop", "TestSub", None),
        ];
        assert_eq!(words(Format::Go, &go), "^(TestAdd|TestSub)$");
        let jest = [test("cart", "cart adds (1 + 1)", None)];
        assert_eq!(words(Format::Jest, &jest), r"^(cart adds \(1 \+ 1\))$");
        let java = [
            test("org.shop.CartTest", "adds(int)[1]", None),
            test("org.shop.CartTest", "adds(int)[2]", None),
            test("org.shop.CartTest", "subs", None),
            test("org.shop.TillTest", "opens", None),
        ];
        assert_eq!(
            words(Format::Surefire, &java),
            "org.shop.CartTest#adds+subs,org.shop.TillTest#opens"
        );
    }

    #[test]
    fn every_format_has_a_file_and_its_variable() {
        let all = all(&[test("a", "b", None)]);
        let names: Vec<&str> = all.files.iter().map(|(n, _)| n.as_str()).collect();
        assert_eq!(names[0], "NARU_FAILED_TESTS");
        assert!(names.contains(&"NARU_FAILED_TESTS_PYTEST") && names.len() == Format::ALL.len());
        assert_eq!(all.files[0].1, "a::b\n");
    }
}

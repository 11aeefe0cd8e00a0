//! Variables: layers of them, and `$NAME` inside their values.

use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Longest value after expansion, in bytes; a longer one stays as it is written. The kernel's own limit
/// for one string of the environment is 128 KiB.
const MAX_VALUE: usize = 64 * 1024;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Variable {
    pub name: String,
    pub value: String,
    /// Whether `$NAME` in the value stands for another variable.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub expand: bool,
    /// Its value is hidden in logs.
    #[serde(default, skip_serializing_if = "is_no")]
    pub masked: bool,
    /// The job finds the value in a file, and that file's path in the variable.
    #[serde(default, skip_serializing_if = "is_no")]
    pub file: bool,
}

fn yes() -> bool {
    true
}

fn is_yes(flag: &bool) -> bool {
    *flag
}

fn is_no(flag: &bool) -> bool {
    !flag
}

impl Variable {
    pub fn new(name: &str, value: impl Into<String>) -> Variable {
        Variable {
            name: name.to_owned(),
            value: value.into(),
            expand: true,
            masked: false,
            file: false,
        }
    }

    /// One whose `$` is only a dollar sign: a commit message, another program's words.
    pub fn literal(name: &str, value: impl Into<String>) -> Variable {
        Variable { expand: false, ..Variable::new(name, value) }
    }
}

/// What a shell takes as a name.
pub fn is_name(words: &str) -> bool {
    let mut bytes = words.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_')
        && words.len() <= 255
}

/// Variables expanded for one value; what is beyond stays as written. Values that mention each other
/// twice would otherwise take time that doubles with each.
const MAX_STEPS: usize = 2_000;

/// An expansion under way: the names that are being expanded, and how many have been.
#[derive(Default)]
struct Open<'a> {
    names: BTreeSet<&'a str>,
    steps: usize,
}

/// All variables, later layers over earlier ones.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    raw: BTreeMap<String, Variable>,
    /// Weaker ones that many scopes have in common, less those that are hidden from this one.
    below: Option<Arc<Scope>>,
    hidden: Vec<String>,
}

impl Scope {
    pub fn new<'a>(layers: impl IntoIterator<Item = &'a [Variable]>) -> Scope {
        let mut scope = Scope::default();
        layers.into_iter().for_each(|layer| scope.add(layer));
        scope
    }

    /// A scope over another one that is shared, of which it does not see `hidden`.
    pub fn over(below: &Arc<Scope>, hidden: &[String]) -> Scope {
        Scope { below: Some(below.clone()), hidden: hidden.to_vec(), ..Scope::default() }
    }

    pub fn add(&mut self, layer: &[Variable]) {
        self.raw.extend(layer.iter().map(|v| (v.name.clone(), v.clone())));
    }

    /// Adds what is not there yet.
    pub fn add_below(&mut self, layer: &[Variable]) {
        for variable in layer {
            self.raw.entry(variable.name.clone()).or_insert_with(|| variable.clone());
        }
    }

    /// A variable's value with everything in it expanded.
    pub fn get(&self, name: &str) -> Option<String> {
        let variable = self.find(name)?;
        Some(self.value(variable, &mut Open::default()))
    }

    fn find(&self, name: &str) -> Option<&Variable> {
        let below = || self.below.as_ref().filter(|_| !self.hides(name))?.find(name);
        self.raw.get(name).or_else(below)
    }

    fn hides(&self, name: &str) -> bool {
        self.hidden.iter().any(|h| h == name)
    }

    /// `$NAME` and `${NAME}` in `words` replaced; `$$` is a dollar sign; what is not set is empty.
    pub fn expand(&self, words: &str) -> String {
        self.expand_in(words, &mut Open::default())
    }

    /// As [`Scope::expand`], but what is not set stays as it is written.
    pub fn expand_known(&self, words: &str) -> String {
        let mut out = String::new();
        let mut rest = words;
        while let Some(dollar) = rest.find('$') {
            out.push_str(rest.get(..dollar).unwrap_or(""));
            let (name, used) = reference(rest.get(dollar..).unwrap_or("")).unwrap_or(("", 1));
            match self.get(name) {
                Some(value) => out.push_str(&value),
                None => out.push_str(rest.get(dollar..dollar + used).unwrap_or("")),
            }
            rest = rest.get(dollar + used..).unwrap_or("");
            if out.len() > MAX_VALUE {
                return words.to_owned();
            }
        }
        out.push_str(rest);
        out
    }

    /// Every variable with its final value, by name.
    pub fn all(&self) -> Vec<(String, String)> {
        self.those(|_| true)
    }

    /// The final values that no log may show, by name.
    pub fn masked(&self) -> Vec<(String, String)> {
        self.those(|v| v.masked)
    }

    /// Those that a job finds in files, with their final values.
    pub fn files(&self) -> Vec<(String, String)> {
        self.those(|v| v.file)
    }

    fn those(&self, which: impl Fn(&Variable) -> bool) -> Vec<(String, String)> {
        let each = |v: &Variable| (v.name.clone(), self.value(v, &mut Open::default()));
        let mut found: BTreeMap<&str, &Variable> = BTreeMap::new();
        self.gather(&mut found);
        found.into_values().filter(|v| which(v)).map(each).collect()
    }

    fn gather<'a>(&'a self, found: &mut BTreeMap<&'a str, &'a Variable>) {
        if let Some(below) = &self.below {
            below.gather(found);
            found.retain(|name, _| !self.hides(name));
        }
        found.extend(self.raw.iter().map(|(name, variable)| (name.as_str(), variable)));
    }

    /// A name that leads back to itself stays as written.
    fn value<'a>(&'a self, variable: &'a Variable, open: &mut Open<'a>) -> String {
        if !variable.expand || !variable.value.contains('$') || open.steps >= MAX_STEPS {
            return variable.value.clone();
        }
        open.steps += 1;
        open.names.insert(&variable.name);
        let value = self.expand_in(&variable.value, open);
        open.names.remove(variable.name.as_str());
        value
    }

    fn expand_in<'a>(&'a self, words: &str, open: &mut Open<'a>) -> String {
        let mut out = String::new();
        let mut rest = words;
        while let Some(dollar) = rest.find('$') {
            out.push_str(rest.get(..dollar).unwrap_or(""));
            let found = reference(rest.get(dollar..).unwrap_or(""));
            let (name, used) = found.unwrap_or(("", 1));
            match name {
                "" => out.push('$'),
                name if open.names.contains(name) => {
                    out.push_str(rest.get(dollar..dollar + used).unwrap_or(""));
                }
                name => {
                    if let Some(variable) = self.find(name) {
                        out.push_str(&self.value(variable, open));
                    }
                }
            }
            if out.len() > MAX_VALUE {
                return words.to_owned();
            }
            rest = rest.get(dollar + used..).unwrap_or("");
        }
        out.push_str(rest);
        out
    }
}

/// The name after the `$` that `words` begins with, and how long the whole of it is. `$$` has no name and
/// is two long.
fn reference(words: &str) -> Option<(&str, usize)> {
    let after = words.get(1..)?;
    if after.starts_with('$') {
        return Some(("", 2));
    }
    if let Some(inner) = after.strip_prefix('{') {
        let end = inner.find('}')?;
        let name = inner.get(..end)?;
        return is_name(name).then_some((name, end + 3));
    }
    let end = after.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(after.len());
    let name = after.get(..end)?;
    is_name(name).then_some((name, end + 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn scope(pairs: &[(&str, &str)]) -> Scope {
        let layer: Vec<Variable> = pairs.iter().map(|(n, v)| Variable::new(n, *v)).collect();
        Scope::new([layer.as_slice()])
    }

    #[test]
    fn expansion() {
        let scope =
            scope(&[("A", "x"), ("B", "${A}y$A"), ("LOOP", "1$LOOP"), ("P", "$Q"), ("Q", "$P")]);
        for (words, want) in [
            ("$A-$B", "x-xyx"),
            ("$$A ${A}b", "$A xb"),
            ("$NONE|${NONE}|", "||"),
            ("$LOOP", "1$LOOP"),
            ("$P", "$P"),
            ("100$ $1 ${ $", "100$ $1 ${ $"),
        ] {
            assert_eq!(scope.expand(words), want, "{words}");
        }
    }

    #[test]
    fn literal_values_and_later_layers() {
        let low = [Variable::new("A", "low"), Variable::literal("M", "$A")];
        let high = [Variable::new("A", "high")];
        let scope = Scope::new([low.as_slice(), high.as_slice()]);
        assert_eq!(scope.get("A").unwrap(), "high");
        assert_eq!(scope.get("M").unwrap(), "$A");
    }

    #[test]
    fn a_shared_layer_lies_below_and_may_be_hidden() {
        let below = Arc::new(scope(&[("A", "low"), ("B", "$A$C"), ("C", "c")]));
        let mut scope = Scope::over(&below, &["C".to_owned()]);
        scope.add(&[Variable::new("A", "high")]);
        assert_eq!(scope.get("B").as_deref(), Some("high"));
        assert_eq!(scope.get("C"), None);
        let all = scope.all();
        assert_eq!(all, [("A".into(), "high".into()), ("B".into(), "high".into())]);
    }

    #[test]
    fn values_that_double_do_not_fill_memory() {
        let mut layer = vec![Variable::new("V0", "x".repeat(100))];
        for i in 1..40 {
            layer.push(Variable::new(&format!("V{i}"), format!("$V{0}$V{0}", i - 1)));
        }
        let scope = Scope::new([layer.as_slice()]);
        assert!(scope.get("V39").unwrap().len() <= 2 * MAX_VALUE);
    }

    proptest! {
        #[test]
        fn any_words_expand(words: String, value: String) {
            let layer = [Variable::new("A", value.clone()), Variable::new("B", words.clone())];
            let scope = Scope::new([layer.as_slice()]);
            scope.expand(&words);
            prop_assert_eq!(scope.expand(&words.replace('$', "$$")), words);
        }
    }
}

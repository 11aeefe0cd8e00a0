//! The header of a file: `spec:` before the `---`, with the inputs that the file takes.

use super::error;
use super::expr::{self, Expr};
use super::interpolate::{self, COMPONENT, Inputs};
use super::read;
use super::yaml::{self, At, Entry, Is, Node};
use crate::variables::Scope;
use kernel::{Error, Result, Text, text};
use regex::Regex;
use std::sync::Arc;

const HEADER: &[&str] = &["inputs", "include", "component", "description"];
const INPUT: &[&str] = &["type", "default", "options", "regex", "description", "rules"];
const RULE: &[&str] = &["if", "options", "default"];
/// As GitLab's.
const MAX_OPTIONS: usize = 50;
const MAX_DESCRIPTION: usize = 1024;
const MAX_REGEX: usize = 1 << 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Type {
    Text,
    Number,
    Boolean,
    Array,
}

const TYPES: &[(&str, Type)] = &[
    ("string", Type::Text),
    ("number", Type::Number),
    ("boolean", Type::Boolean),
    ("array", Type::Array),
];

impl Type {
    fn words(self) -> (&'static str, &'static str) {
        match self {
            Type::Text => ("a text", "문자열을"),
            Type::Number => ("a number", "숫자를"),
            Type::Boolean => ("true or false", "true나 false를"),
            Type::Array => ("a list", "목록을"),
        }
    }

    /// Whether a value as YAML reads it is of the type.
    fn holds(self, node: &Node) -> bool {
        match self {
            Type::Array => node.list().is_some(),
            Type::Number => node.is_number(),
            Type::Boolean => node.bool().is_some(),
            Type::Text => node.text().is_some() && node.bool().is_none() && !node.is_number(),
        }
    }
}

#[derive(Clone, Debug)]
struct Rule {
    condition: Option<Expr>,
    options: Option<Vec<Arc<Node>>>,
    default: Option<Arc<Node>>,
}

/// One input of a file.
#[derive(Clone, Debug)]
pub struct Definition {
    pub name: String,
    at: At,
    is: Type,
    default: Option<Arc<Node>>,
    options: Option<Vec<Arc<Node>>>,
    regex: Option<Regex>,
    description: Option<String>,
    rules: Vec<Rule>,
}

/// A header, read.
#[derive(Default)]
pub struct Header {
    pub inputs: Vec<Definition>,
    /// Files with more definitions.
    pub include: Option<Entry>,
    /// Facts of the component that the file uses.
    pub component: Vec<String>,
}

/// # Errors
/// With the place of what does not fit.
pub fn header(spec: &Entry) -> Result<Header> {
    let mut header = Header::default();
    if spec.value.is_null() {
        return Ok(header);
    }
    for entry in read::map(&spec.value, "spec", HEADER)? {
        match entry.key.as_str() {
            "inputs" => header.inputs = definitions(entry)?,
            "include" => header.include = Some(entry.clone()),
            "component" => header.component = facts(entry)?,
            _ => drop(description(entry)?),
        }
    }
    Ok(header)
}

fn facts(entry: &Entry) -> Result<Vec<String>> {
    let wanted = ("a list of words", "낱말의 목록을");
    let list = entry.value.list();
    list.ok_or_else(|| error::wanted(&entry.value.at, "spec:component", wanted))?;
    let words = read::words(entry)?;
    match words.iter().find(|word| !COMPONENT.contains(&word.as_str())) {
        Some(odd) => Err(error::unknown_key(&entry.value.at, odd, "spec:component", COMPONENT)),
        None => Ok(words),
    }
}

fn description(entry: &Entry) -> Result<String> {
    let words = read::text(entry)?;
    if words.chars().count() > MAX_DESCRIPTION {
        let (en, ko) = (
            format!("at most {MAX_DESCRIPTION} characters"),
            format!("최대 {MAX_DESCRIPTION}자까지"),
        );
        return Err(error::wanted(&entry.value.at, &entry.key, (&en, &ko)));
    }
    Ok(words)
}

/// The inputs of a header, or of a file that `spec:include` names.
///
/// # Errors
/// With the place of what does not fit.
pub fn definitions(entry: &Entry) -> Result<Vec<Definition>> {
    if entry.value.is_null() {
        return Ok(Vec::new());
    }
    let wanted = ("a map of names to inputs", "이름과 입력의 맵을");
    let entries = entry.value.map();
    let entries = entries.ok_or_else(|| error::wanted(&entry.value.at, "spec:inputs", wanted))?;
    entries.iter().map(definition).collect()
}

fn definition(entry: &Entry) -> Result<Definition> {
    let mut found = Definition {
        name: entry.key.clone(),
        at: entry.at.clone(),
        is: Type::Text,
        default: None,
        options: None,
        regex: None,
        description: None,
        rules: Vec::new(),
    };
    let letter = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if found.name.is_empty() || !found.name.chars().all(letter) {
        let wanted = ("names of letters, digits, _ and -", "영문자, 숫자, _, -로 된 이름을");
        return Err(error::wanted(&entry.at, "spec:inputs", wanted));
    }
    if entry.value.is_null() {
        return Ok(found);
    }
    let parts = read::map(&entry.value, &entry.key, INPUT)?;
    if let Some(part) = parts.iter().find(|p| p.key == "type") {
        found.is = read::choice(part, TYPES)?;
    }
    for part in parts {
        match part.key.as_str() {
            "default" if !part.value.is_null() => found.default = Some(part.value.clone()),
            "options" => found.options = Some(options(part, usize::MAX)?),
            "regex" => found.regex = Some(regex(part, found.is)?),
            "description" => found.description = Some(description(part)?),
            "rules" => found.rules = rules(part)?,
            _ => {}
        }
    }
    found.check(parts)?;
    Ok(found)
}

fn options(entry: &Entry, limit: usize) -> Result<Vec<Arc<Node>>> {
    let (en, ko) = match limit {
        usize::MAX => ("a list of values".to_owned(), "값의 목록을".to_owned()),
        limit => {
            (format!("a list of at most {limit} values"), format!("최대 {limit}개 값의 목록을"))
        }
    };
    let wanted = |at: &At| error::wanted(at, &entry.key, (&en, &ko));
    let items = entry.value.list().ok_or_else(|| wanted(&entry.value.at))?;
    if items.len() > limit {
        return Err(wanted(&entry.value.at));
    }
    match items.iter().find(|item| item.text().is_none()) {
        Some(odd) => Err(wanted(&odd.at)),
        None => Ok(items.to_vec()),
    }
}

fn regex(entry: &Entry, is: Type) -> Result<Regex> {
    let words = read::text(entry)?;
    if is != Type::Text {
        let wanted = ("an input of type string", "string 형의 입력에만");
        return Err(error::wanted(&entry.at, "regex", wanted));
    }
    let built = regex::RegexBuilder::new(&words).size_limit(MAX_REGEX).build();
    built.map_err(|e| error::regex(&entry.value.at, &words, &e.to_string()))
}

fn rules(entry: &Entry) -> Result<Vec<Rule>> {
    let wanted = ("a list of rules", "규칙의 목록을");
    let items = entry.value.list();
    let items = items.ok_or_else(|| error::wanted(&entry.value.at, "rules", wanted))?;
    let one = |node: &Arc<Node>| -> Result<Rule> {
        let mut rule = Rule { condition: None, options: None, default: None };
        for part in read::map(node, "rules", RULE)? {
            match part.key.as_str() {
                "if" => rule.condition = Some(condition(part)?),
                "options" => rule.options = Some(options(part, MAX_OPTIONS)?),
                _ if part.value.is_null() => {}
                _ => rule.default = Some(part.value.clone()),
            }
        }
        Ok(rule)
    };
    items.iter().map(one).collect()
}

/// `$[[ inputs.cloud ]] == "aws"`. Names of inputs may have hyphens, which variables cannot: each stands as a
/// variable of its own, see [`input_of`].
fn condition(entry: &Entry) -> Result<Expr> {
    let words = read::text(entry)?;
    let mut out = String::new();
    let mut from = 0;
    for (range, inner) in interpolate::blocks(&words) {
        out.push_str(words.get(from..range.start).unwrap_or_default());
        let name = inner.strip_prefix("inputs.").ok_or_else(|| {
            let inner = kernel::shown(inner);
            let say = text!("`{inner}` is not an input", "`{inner}`은(는) 입력이 아닙니다");
            error::general(&entry.value.at, "pipeline.interpolation", say)
                .hint(Text::plain("$[[ inputs.NAME ]]"))
        })?;
        out.push_str(INPUT_VARIABLE);
        name.bytes().for_each(|b| out.push_str(&format!("{b:02x}")));
        from = range.end;
    }
    out.push_str(words.get(from..).unwrap_or_default());
    expr::parse(&out, &entry.value.at)
}

const INPUT_VARIABLE: &str = "$NARU_INPUT_";

/// The input that a variable of a condition stands for.
fn input_of(variable: &str) -> Option<String> {
    let hex = variable.strip_prefix(INPUT_VARIABLE.trim_start_matches('$'))?;
    let pairs = hex.as_bytes().chunks(2).map(|pair| {
        std::str::from_utf8(pair).ok().and_then(|pair| u8::from_str_radix(pair, 16).ok())
    });
    String::from_utf8(pairs.collect::<Option<Vec<u8>>>()?).ok()
}

impl Definition {
    fn check(&self, parts: &[Entry]) -> Result<()> {
        let plain = parts.iter().find(|p| p.key == "default" || p.key == "options");
        if let (false, Some(plain)) = (self.rules.is_empty(), plain) {
            let key = &plain.key;
            let say = text!(
                "`rules` and a plain `{key}` do not go together",
                "`rules`와 `{key}`은(는) 함께 쓸 수 없습니다"
            );
            return Err(error::general(&plain.at, "pipeline.input", say)
                .hint(text!("put `{key}` into the rules", "`{key}`을(를) 규칙 안에 쓰세요")));
        }
        if let Some(default) = &self.default {
            self.fits(default, self.options.as_deref())?;
        }
        for rule in &self.rules {
            if let Some(default) = &rule.default {
                self.fits(default, rule.options.as_deref())?;
            }
        }
        Ok(())
    }

    /// Whether a value may be taken.
    fn fits(&self, value: &Node, options: Option<&[Arc<Node>]>) -> Result<()> {
        let name = format!("inputs:{}", self.name);
        if !self.is.holds(value) {
            return Err(error::wanted(&value.at, &name, self.is.words()));
        }
        let words = value.text().unwrap_or_default();
        if let Some(regex) = self.regex.as_ref().filter(|r| !r.is_match(words)) {
            let regex = kernel::shown(regex.as_str());
            let (en, ko) = (format!("what matches `{regex}`"), format!("`{regex}`에 맞는 값을"));
            return Err(error::wanted(&value.at, &name, (&en, &ko)));
        }
        let Some(options) = options else { return Ok(()) };
        if options.iter().any(|o| o.text() == Some(words)) {
            return Ok(());
        }
        let all: Vec<&str> = options.iter().filter_map(|o| o.text()).collect();
        let listed = kernel::shown(&all.join(", "));
        let (en, ko) = (format!("one of {listed}"), format!("{listed} 가운데 하나를"));
        Err(error::wanted(&value.at, &name, (&en, &ko)).hint(error::nearest(words, &all)))
    }

    /// The rule that holds for what is given.
    fn rule(&self, get: &dyn Fn(&str) -> Option<String>) -> Option<&Rule> {
        self.rules.iter().find(|r| r.condition.as_ref().is_none_or(|c| c.holds(get)))
    }

    fn missing(&self, at: &At) -> Error {
        let name = &self.name;
        let say = match &self.description {
            Some(about) => {
                let about = kernel::shown(about);
                text!(
                    "the input `{name}` has to be given: {about}",
                    "`{name}` 입력이 필요합니다: {about}"
                )
            }
            None => text!("the input `{name}` has to be given", "`{name}` 입력이 필요합니다"),
        };
        let place = &self.at;
        error::general(at, "pipeline.input", say).hint(text!(
            "write `inputs: {{{name}: …}}`; it is declared at {place}",
            "`inputs: {{{name}: …}}` 꼴로 쓰세요. {place}에 선언되어 있습니다"
        ))
    }
}

/// Inputs as somebody gives them.
#[derive(Clone, Debug, Default)]
pub struct Given {
    pub entries: Vec<Entry>,
    /// By hand, as words: `"3"` may be a number.
    pub by_hand: bool,
}

impl Given {
    /// What `inputs:` of an include holds.
    ///
    /// # Errors
    /// `pipeline.value` for what is no map of names to values.
    pub fn read(entry: &Entry) -> Result<Given> {
        if entry.value.is_null() {
            return Ok(Given::default());
        }
        let wanted = ("a map of names to values", "이름과 값의 맵을");
        let entries = entry.value.map();
        let entries = entries.ok_or_else(|| error::wanted(&entry.value.at, "inputs", wanted))?;
        Ok(Given { entries: entries.to_vec(), by_hand: false })
    }

    /// What somebody gives with a pipeline, by name.
    ///
    /// # Errors
    /// As [`yaml::parse`].
    pub fn by_hand(inputs: &serde_json::Map<String, serde_json::Value>) -> Result<Given> {
        let words = serde_json::to_vec(inputs).map_err(Error::internal)?;
        // JSON is YAML (https://yaml.org/spec/1.2.2/, section 1.3).
        let documents = yaml::parse("inputs", &words)?;
        let entries = documents.first().and_then(|d| d.map()).unwrap_or_default();
        Ok(Given { entries: entries.to_vec(), by_hand: true })
    }

    /// What is given by hand stands in no file: then the place is the one that asks.
    fn place(&self, error: Error, at: &At) -> Error {
        if self.by_hand { error.at(&*at.file, at.line, at.column) } else { error }
    }
}

/// Every input of a file with its value. `at` is the include that asks for the file.
///
/// # Errors
/// `pipeline.input` and `pipeline.value`, at what is given, or at the include where nothing is.
pub fn resolve(
    definitions: &[Definition],
    given: &Given,
    at: &At,
    scope: &Scope,
) -> Result<Inputs> {
    let mut known = Inputs::new();
    for entry in &given.entries {
        let Some(definition) = definitions.iter().find(|d| d.name == entry.key) else {
            let names: Vec<&str> = definitions.iter().map(|d| d.name.as_str()).collect();
            return Err(given.place(unknown(entry, &names), at));
        };
        if !entry.value.is_null() {
            let value = if given.by_hand {
                coerced(&entry.value, definition.is)
            } else {
                entry.value.clone()
            };
            known.insert(entry.key.clone(), value);
        }
    }
    let plain = |d: &Definition| known.get(&d.name).or(d.default.as_ref()).cloned();
    let before: Inputs =
        definitions.iter().filter_map(|d| Some((d.name.clone(), plain(d)?))).collect();
    let get = |name: &str| match input_of(name) {
        Some(input) => before.get(&input).and_then(|n| n.text()).map(str::to_owned),
        None => scope.get(name),
    };
    let mut out = Inputs::new();
    for definition in definitions {
        let rule = definition.rule(&get);
        let (options, default) = match rule {
            Some(rule) => (rule.options.as_deref(), rule.default.as_ref()),
            None => (definition.options.as_deref(), definition.default.as_ref()),
        };
        let value = known.get(&definition.name).or(default);
        let value = value.ok_or_else(|| definition.missing(at))?;
        definition.fits(value, options).map_err(|e| {
            match known.contains_key(&definition.name) {
                true => given.place(e, at),
                false => e,
            }
        })?;
        out.insert(definition.name.clone(), value.clone());
    }
    Ok(out)
}

fn unknown(entry: &Entry, names: &[&str]) -> Error {
    let name = kernel::shown(&entry.key);
    let error = error::general(
        &entry.at,
        "pipeline.input",
        text!("the file takes no input `{name}`", "이 파일에는 `{name}` 입력이 없습니다"),
    );
    if names.is_empty() {
        return error.hint(Text::fixed(
            "it has no `spec:inputs` in a header before `---`",
            "`---` 앞의 머리말에 `spec:inputs`가 없습니다",
        ));
    }
    error.hint(error::nearest(&entry.key, names))
}

/// Words given by hand as the type that is wanted, where they can be read so.
fn coerced(value: &Arc<Node>, is: Type) -> Arc<Node> {
    let Is::Scalar { text, plain } = &value.is else { return value.clone() };
    let as_is =
        |plain| Arc::new(Node::new(value.at.clone(), Is::Scalar { text: text.clone(), plain }));
    match is {
        Type::Text => as_is(false),
        Type::Number | Type::Boolean => as_is(true),
        Type::Array if !plain => {
            let parsed = yaml::parse(&value.at.file, text.as_bytes()).ok();
            let list = parsed.and_then(|d| d.into_iter().next()).filter(|n| n.list().is_some());
            list.unwrap_or_else(|| value.clone())
        }
        Type::Array => value.clone(),
    }
}

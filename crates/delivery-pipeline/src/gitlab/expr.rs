//! The language of `rules:if`: `$A == "x" && ($B =~ /^v\d/i || $C != null)`.
//!
//! `&&` binds closer than `||`. A variable that is not set is null; a bare `$A` holds when it is set and
//! not empty. Regular expressions are RE2's, which cannot be made slow.

use super::error;
use super::yaml::At;
use kernel::{Result, Text};
use regex::{Regex, RegexBuilder};

const MAX_DEPTH: usize = 50;
const MAX_BYTES: usize = 16 * 1024;
const MAX_REGEX: usize = 1 << 20;

#[derive(Clone, Debug)]
pub enum Expr {
    Value(Value),
    Equal(Value, Value),
    NotEqual(Value, Value),
    Matches(Value, Pattern),
    NotMatches(Value, Pattern),
    And(Box<Expr>, Box<Expr>),
    Or(Box<Expr>, Box<Expr>),
}

#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Null,
    Word(String),
    Variable(String),
}

#[derive(Clone, Debug)]
pub enum Pattern {
    Fixed(Regex),
    /// A variable that holds `/…/`.
    Variable(String),
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Value(Value),
    Regex { body: String, flags: String },
    Equal,
    NotEqual,
    Matches,
    NotMatches,
    And,
    Or,
    Open,
    Close,
}

/// # Errors
/// `pipeline.expression` or `pipeline.regex`, with the place and the column inside of the expression.
pub fn parse(words: &str, at: &At) -> Result<Expr> {
    if words.len() > MAX_BYTES {
        let why = Text::fixed("it is too long", "너무 깁니다");
        return Err(error::expression(at, words, MAX_BYTES, why));
    }
    let tokens = scan(words, at)?;
    let mut parser = Parser { words, at, tokens, next: 0, depth: 0 };
    let expr = parser.or()?;
    match parser.peek() {
        None => Ok(expr),
        Some(_) => Err(parser.fail(Text::fixed("something is left over", "남는 부분이 있습니다"))),
    }
}

impl Expr {
    /// Whether it holds. `get` finds a variable's value.
    pub fn holds(&self, get: &dyn Fn(&str) -> Option<String>) -> bool {
        match self {
            Expr::Value(value) => value.of(get).is_some_and(|v| !v.is_empty()),
            Expr::Equal(a, b) => a.of(get) == b.of(get),
            Expr::NotEqual(a, b) => a.of(get) != b.of(get),
            Expr::Matches(value, pattern) => pattern.matches(value.of(get), get),
            Expr::NotMatches(value, pattern) => !pattern.matches(value.of(get), get),
            Expr::And(a, b) => a.holds(get) && b.holds(get),
            Expr::Or(a, b) => a.holds(get) || b.holds(get),
        }
    }
}

impl Value {
    fn of(&self, get: &dyn Fn(&str) -> Option<String>) -> Option<String> {
        match self {
            Value::Null => None,
            Value::Word(words) => Some(words.clone()),
            Value::Variable(name) => get(name),
        }
    }
}

impl Pattern {
    fn matches(&self, value: Option<String>, get: &dyn Fn(&str) -> Option<String>) -> bool {
        // What is not set is matched as an empty text.
        let value = value.unwrap_or_default();
        match self {
            Pattern::Fixed(regex) => regex.is_match(&value),
            // One that does not hold a pattern matches nothing.
            Pattern::Variable(name) => get(name)
                .and_then(|words| split(&words).and_then(|(body, flags)| build(body, flags).ok()))
                .is_some_and(|regex| regex.is_match(&value)),
        }
    }
}

/// `/body/flags`
fn split(words: &str) -> Option<(&str, &str)> {
    let (body, flags) = words.strip_prefix('/')?.rsplit_once('/')?;
    (!body.is_empty()).then_some((body, flags))
}

/// A pattern written as `/body/flags`, outside of an expression.
///
/// # Errors
/// `pipeline.regex`.
pub fn regex(words: &str, at: &At) -> Result<Option<Regex>> {
    let Some((body, flags)) = split(words) else { return Ok(None) };
    build(body, flags).map(Some).map_err(|e| error::regex(at, body, &e.to_string()))
}

/// A pattern without slashes.
///
/// # Errors
/// `pipeline.regex`.
pub fn bare(words: &str, at: &At) -> Result<Regex> {
    build(words, "").map_err(|e| error::regex(at, words, &e.to_string()))
}

/// As [`regex`], in one piece, and for one line of many at a time.
pub fn portable(words: &str, at: &At) -> Result<Option<String>> {
    if regex(words, at)?.is_none() {
        return Ok(None);
    }
    let Some((body, flags)) = split(words) else { return Ok(None) };
    let mut letters = "m".to_owned();
    letters.extend("isU".chars().filter(|c| flags.contains(*c)));
    Ok(Some(format!("(?{letters}){}", body.replace("\\/", "/"))))
}

/// With RE2's flags: `i` any case, `m` lines, `s` a dot is also a line's end, `U` as little as possible.
fn build(body: &str, flags: &str) -> Result<Regex, regex::Error> {
    if let Some(odd) = flags.chars().find(|c| !"imsU".contains(*c)) {
        return Err(regex::Error::Syntax(format!("the flag {odd} is not one of i, m, s, U")));
    }
    RegexBuilder::new(&body.replace("\\/", "/"))
        .case_insensitive(flags.contains('i'))
        .multi_line(flags.contains('m'))
        .dot_matches_new_line(flags.contains('s'))
        .swap_greed(flags.contains('U'))
        .size_limit(MAX_REGEX)
        .build()
}

fn scan(words: &str, at: &At) -> Result<Vec<(usize, Token)>> {
    let mut out = Vec::new();
    let mut rest = words;
    loop {
        let trimmed = rest.trim_start();
        let column = words.len() - trimmed.len();
        let Some(first) = trimmed.chars().next() else { return Ok(out) };
        let fail = |why: Text| error::expression(at, words, column + 1, why);
        let symbols = [
            ("==", Token::Equal),
            ("!=", Token::NotEqual),
            ("=~", Token::Matches),
            ("!~", Token::NotMatches),
            ("&&", Token::And),
            ("||", Token::Or),
            ("(", Token::Open),
            (")", Token::Close),
        ];
        let symbol = symbols.into_iter().find(|(s, _)| trimmed.starts_with(s));
        let (token, used) = match (symbol, first) {
            (Some((s, token)), _) => (token, s.len()),
            (None, '$') => variable(trimmed).ok_or_else(|| {
                fail(Text::fixed("a name must follow $", "$ 뒤에 이름이 와야 합니다"))
            })?,
            (None, '"' | '\'') => quoted(trimmed, first).ok_or_else(|| {
                fail(Text::fixed("the quote is not closed", "따옴표가 닫히지 않았습니다"))
            })?,
            (None, '/') => pattern(trimmed).ok_or_else(|| {
                fail(Text::fixed("the pattern is not closed", "패턴이 닫히지 않았습니다"))
            })?,
            (None, _) => null(trimmed)
                .ok_or_else(|| fail(Text::fixed("this is not a value", "값이 아닙니다")))?,
        };
        out.push((column, token));
        rest = trimmed.get(used..).unwrap_or("");
    }
}

fn name_length(words: &str) -> usize {
    words.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(words.len())
}

fn variable(words: &str) -> Option<(Token, usize)> {
    let after = words.get(1..)?;
    let (name, used) = match after.strip_prefix('{') {
        Some(inner) => {
            let end = inner.find('}')?;
            (inner.get(..end)?, end + 3)
        }
        None => {
            let end = name_length(after);
            (after.get(..end)?, end + 1)
        }
    };
    let sound = !name.is_empty() && name_length(name) == name.len();
    sound.then(|| (Token::Value(Value::Variable(name.to_owned())), used))
}

fn quoted(words: &str, quote: char) -> Option<(Token, usize)> {
    let inner = words.get(1..)?;
    let end = inner.find(quote)?;
    Some((Token::Value(Value::Word(inner.get(..end)?.to_owned())), end + 2))
}

fn pattern(words: &str) -> Option<(Token, usize)> {
    let inner = words.get(1..)?;
    let mut escaped = false;
    let end = inner.char_indices().find_map(|(i, c)| {
        let closes = c == '/' && !escaped;
        escaped = c == '\\' && !escaped;
        closes.then_some(i)
    })?;
    let flags = inner.get(end + 1..)?;
    let flags_end = flags.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(flags.len());
    let token = Token::Regex {
        body: inner.get(..end)?.to_owned(),
        flags: flags.get(..flags_end)?.to_owned(),
    };
    Some((token, end + 2 + flags_end))
}

fn null(words: &str) -> Option<(Token, usize)> {
    let rest = words.strip_prefix("null")?;
    (name_length(rest) == 0).then_some((Token::Value(Value::Null), 4))
}

struct Parser<'a> {
    words: &'a str,
    at: &'a At,
    tokens: Vec<(usize, Token)>,
    next: usize,
    depth: usize,
}

impl Parser<'_> {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.next).map(|(_, token)| token)
    }

    fn take(&mut self, wanted: &Token) -> bool {
        let found = self.peek() == Some(wanted);
        self.next += usize::from(found);
        found
    }

    fn fail(&self, why: Text) -> kernel::Error {
        let column = self.tokens.get(self.next).map_or(self.words.len(), |(column, _)| *column);
        error::expression(self.at, self.words, column + 1, why)
    }

    fn or(&mut self) -> Result<Expr> {
        let mut left = self.and()?;
        while self.take(&Token::Or) {
            left = Expr::Or(Box::new(left), Box::new(self.and()?));
        }
        Ok(left)
    }

    fn and(&mut self) -> Result<Expr> {
        let mut left = self.comparison()?;
        while self.take(&Token::And) {
            left = Expr::And(Box::new(left), Box::new(self.comparison()?));
        }
        Ok(left)
    }

    fn comparison(&mut self) -> Result<Expr> {
        if self.take(&Token::Open) {
            self.depth += 1;
            if self.depth > MAX_DEPTH {
                return Err(self.fail(Text::fixed("too many parentheses", "괄호가 너무 많습니다")));
            }
            let inner = self.or()?;
            self.depth -= 1;
            if !self.take(&Token::Close) {
                return Err(self.fail(Text::fixed("`)` is missing", "`)`이 없습니다")));
            }
            return Ok(inner);
        }
        let left = self.value()?;
        if self.take(&Token::Equal) {
            return Ok(Expr::Equal(left, self.value()?));
        }
        if self.take(&Token::NotEqual) {
            return Ok(Expr::NotEqual(left, self.value()?));
        }
        if self.take(&Token::Matches) {
            return Ok(Expr::Matches(left, self.pattern()?));
        }
        if self.take(&Token::NotMatches) {
            return Ok(Expr::NotMatches(left, self.pattern()?));
        }
        Ok(Expr::Value(left))
    }

    fn value(&mut self) -> Result<Value> {
        match self.peek() {
            Some(Token::Value(value)) => {
                let value = value.clone();
                self.next += 1;
                Ok(value)
            }
            _ => Err(self.fail(Text::fixed("a value is missing", "값이 없습니다"))),
        }
    }

    fn pattern(&mut self) -> Result<Pattern> {
        let pattern = match self.peek() {
            Some(Token::Regex { body, flags }) => {
                let built = build(body, flags);
                Pattern::Fixed(built.map_err(|e| error::regex(self.at, body, &e.to_string()))?)
            }
            Some(Token::Value(Value::Variable(name))) => Pattern::Variable(name.clone()),
            Some(Token::Value(Value::Word(words))) if split(words).is_some() => {
                let (body, flags) = split(words).unwrap_or_default();
                let built = build(body, flags);
                Pattern::Fixed(built.map_err(|e| error::regex(self.at, body, &e.to_string()))?)
            }
            _ => return Err(self.fail(Text::fixed("a /pattern/ is missing", "/패턴/이 없습니다"))),
        };
        self.next += 1;
        Ok(pattern)
    }
}

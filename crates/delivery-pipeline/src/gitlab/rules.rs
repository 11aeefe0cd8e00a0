//! `rules` and `workflow:rules`: whether a job is in, and which line decided it.

use super::error;
use super::expr::{self, Expr};
use super::glob::Globs;
use super::job::{Job, WHEN, When, start_in};
use super::needs::{self, Needs};
use super::parts::{self, AllowFailure};
use super::read;
use super::refs::Only;
use super::vars::{self, Variables};
use super::yaml::{At, Entry, Node};
use super::{Context, Elsewhere};
use crate::variables::Scope;
use crate::work::AutoCancel;
use kernel::{Result, Text, text};
use regex::Regex;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Bytes of a pattern of paths.
const MAX_PATTERN: usize = 255;

#[derive(Clone, Debug, Default)]
pub struct Rule {
    pub at: At,
    pub condition: Option<(Expr, String)>,
    pub changes: Option<Changes>,
    pub exists: Option<Exists>,
    pub when: Option<When>,
    pub start_ms: Option<u64>,
    pub allow_failure: Option<bool>,
    pub variables: Variables,
    pub needs: Option<Needs>,
    pub interruptible: Option<bool>,
    /// Of the pipeline as a whole; only `workflow:rules` have it.
    pub auto_cancel: Option<AutoCancel>,
}

/// Which paths a rule is about.
#[derive(Clone, Debug)]
enum Paths {
    Globs(Vec<String>),
    Pattern(Regex),
}

#[derive(Clone, Debug)]
pub struct Changes {
    paths: Paths,
    /// A ref to compare with, instead of what was there before.
    compare_to: Option<(String, At)>,
}

#[derive(Clone, Debug)]
pub struct Exists {
    paths: Paths,
    /// Another repository, and a ref of it.
    project: Option<String>,
    refname: Option<String>,
}

/// The list under `rules:`; nested lists are flattened. `known` are the keywords of one rule, which depend
/// on whose rules they are.
pub fn read(entry: &Entry, known: &[&str]) -> Result<Vec<Rule>> {
    let mut out = Vec::new();
    let wanted = ("a list of rules", "규칙의 목록을");
    if entry.value.list().is_none() {
        return Err(error::wanted(&entry.value.at, &entry.key, wanted));
    }
    read::flatten(&entry.value, 0, &mut |node| {
        out.push(rule(node, known)?);
        Ok(())
    })?;
    Ok(out)
}

fn rule(node: &Arc<Node>, known: &[&str]) -> Result<Rule> {
    let mut rule = Rule { at: node.at.clone(), ..Rule::default() };
    for entry in read::map(node, "rules", known)? {
        if entry.value.is_null() {
            continue;
        }
        match entry.key.as_str() {
            "if" => {
                let words = read::text(entry)?;
                rule.condition = Some((expr::parse(&words, &entry.value.at)?, words));
            }
            "changes" => rule.changes = Some(changes(entry)?),
            "exists" => rule.exists = Some(exists(entry)?),
            "when" => rule.when = Some(read::choice(entry, whens(known))?),
            "start_in" => rule.start_ms = Some(read::duration(entry)?),
            "allow_failure" => rule.allow_failure = Some(read::flag(entry)?),
            "variables" => rule.variables = vars::rule(entry)?,
            "needs" => rule.needs = Some(needs::needs(entry)?),
            "auto_cancel" => rule.auto_cancel = Some(parts::auto_cancel(entry)?),
            _ => rule.interruptible = Some(read::flag(entry)?),
        }
    }
    if (rule.when == Some(When::Delayed)) != rule.start_ms.is_some() {
        return Err(start_in(&rule.at));
    }
    Ok(rule)
}

/// A job starts in many ways; a pipeline and an include are only there or not.
fn whens(known: &[&str]) -> &'static [(&'static str, When)] {
    let job = known.contains(&"start_in");
    if job { WHEN } else { &[("always", When::Always), ("never", When::Never)] }
}

fn changes(entry: &Entry) -> Result<Changes> {
    let mut compare_to = None;
    let paths = paths(entry, &["compare_to"], &mut |part| {
        compare_to = Some((read::text(part)?, part.value.at.clone()));
        Ok(())
    })?;
    Ok(Changes { paths, compare_to })
}

fn exists(entry: &Entry) -> Result<Exists> {
    let (mut project, mut refname) = (None, None);
    let paths = paths(entry, &["project", "ref"], &mut |part| {
        let place = if part.key == "ref" { &mut refname } else { &mut project };
        *place = Some(read::text(part)?);
        Ok(())
    })?;
    if refname.is_some() && project.is_none() {
        let wanted = ("a `project` with `ref`", "`ref`와 함께 `project`를");
        return Err(error::wanted(&entry.value.at, "exists", wanted));
    }
    Ok(Exists { paths, project, refname })
}

/// A list of globs, or a map with them or a pattern and whatever `more` there may be.
fn paths(
    entry: &Entry,
    more: &[&str],
    visit: &mut dyn FnMut(&Entry) -> Result<()>,
) -> Result<Paths> {
    if entry.value.map().is_none() {
        return read::list(entry).map(Paths::Globs);
    }
    let known = [&["paths", "regexp"], more].concat();
    let mut found = None;
    for part in read::map(&entry.value, &entry.key, &known)? {
        let paths = match part.key.as_str() {
            "paths" => Paths::Globs(read::list(part)?),
            "regexp" => Paths::Pattern(pattern(part)?),
            _ => {
                visit(part)?;
                continue;
            }
        };
        if found.replace(paths).is_some() {
            let wanted = ("either `paths` or `regexp`", "`paths`와 `regexp` 가운데 하나를");
            return Err(error::wanted(&part.at, &entry.key, wanted));
        }
    }
    let wanted = ("`paths` or `regexp`", "`paths`나 `regexp`를");
    found.ok_or_else(|| error::wanted(&entry.value.at, &entry.key, wanted))
}

/// With or without slashes around it.
fn pattern(entry: &Entry) -> Result<Regex> {
    let (words, at) = (read::text(entry)?, &entry.value.at);
    if words.len() > MAX_PATTERN {
        let wanted = ("a pattern of at most 255 characters", "255자 이하의 패턴을");
        return Err(error::wanted(at, "regexp", wanted));
    }
    match expr::regex(&words, at)? {
        Some(regex) => Ok(regex),
        None => expr::bare(&words, at),
    }
}

impl Paths {
    fn any<'a>(&self, scope: &Scope, mut all: impl Iterator<Item = &'a str>) -> bool {
        match self {
            Paths::Globs(globs) => {
                let globs: Vec<String> = globs.iter().map(|g| scope.expand(g)).collect();
                let globs = Globs::new(&globs);
                all.any(|path| globs.matches(path))
            }
            Paths::Pattern(regex) => all.any(|path| regex.is_match(path)),
        }
    }

    fn words(&self) -> String {
        match self {
            Paths::Globs(globs) => format!("{globs:?}"),
            Paths::Pattern(regex) => format!("/{regex}/"),
        }
    }
}

impl Changes {
    /// Where there is nothing to compare with, everything has changed.
    fn hold(&self, scope: &Scope, context: &Context) -> bool {
        let changed = match &self.compare_to {
            None => context.changed.as_ref(),
            Some((words, _)) => {
                context.more.compared.get(&scope.expand(words)).and_then(Option::as_ref)
            }
        };
        changed.is_none_or(|changed| self.paths.any(scope, changed.iter().map(String::as_str)))
    }
}

impl Exists {
    fn elsewhere(&self, scope: &Scope) -> Option<Elsewhere> {
        let path = scope.expand(self.project.as_ref()?);
        Some(Elsewhere { path, refname: self.refname.as_ref().map(|r| scope.expand(r)) })
    }

    fn holds(&self, scope: &Scope, context: &Context) -> bool {
        match self.elsewhere(scope) {
            None => self.paths.any(scope, context.tree.iter().map(|e| e.path.as_str())),
            Some(place) => {
                let paths = context.more.elsewhere.get(&place);
                paths.is_some_and(|p| self.paths.any(scope, p.iter().map(String::as_str)))
            }
        }
    }
}

impl Rule {
    fn holds(&self, scope: &Scope, context: &Context) -> bool {
        let get = |name: &str| scope.get(name);
        self.condition.as_ref().is_none_or(|(expr, _)| expr.holds(&get))
            && self.changes.as_ref().is_none_or(|c| c.hold(scope, context))
            && self.exists.as_ref().is_none_or(|e| e.holds(scope, context))
    }

    /// What the rule asks, in its own words.
    fn words(&self) -> String {
        let mut words = Vec::new();
        words.extend(self.condition.as_ref().map(|(_, w)| format!("if {}", kernel::shown(w))));
        let paths = |what: &str, paths: &Paths| kernel::shown(&format!("{what} {}", paths.words()));
        words.extend(self.changes.as_ref().map(|c| paths("changes", &c.paths)));
        words.extend(self.exists.as_ref().map(|e| paths("exists", &e.paths)));
        if words.is_empty() { "always".to_owned() } else { words.join(", ") }
    }
}

/// The first rule that holds, and its number from 1.
pub fn first<'a>(rules: &'a [Rule], scope: &Scope, context: &Context) -> Option<(usize, &'a Rule)> {
    let numbered = rules.iter().enumerate();
    numbered.map(|(i, r)| (i + 1, r)).find(|(_, r)| r.holds(scope, context))
}

/// A ref of `compare_to` that was looked for and is not there is a mistake, not a reason to run.
///
/// # Errors
/// `pipeline.compare_to`, with the place.
pub fn check_refs(rules: &[Rule], scope: &Scope, context: &Context) -> Result<()> {
    for (words, at) in rules.iter().filter_map(|r| r.changes.as_ref()?.compare_to.as_ref()) {
        let name = scope.expand(words);
        if context.more.compared.get(&name) == Some(&None) {
            let name = kernel::shown(&name);
            let say = text!(
                "`compare_to` names `{name}`, which is no branch, tag or commit here",
                "`compare_to`에 적힌 `{name}`은(는) 여기에 있는 브랜치, 태그, 커밋이 아닙니다"
            );
            return Err(error::general(at, "pipeline.compare_to", say).hint(Text::fixed(
                "push it first, or name the default branch",
                "먼저 푸시하거나 기본 브랜치를 적으세요",
            )));
        }
    }
    Ok(())
}

/// What rules ask about beside the commit and its push.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// Refs to compare the commit with: [`super::More::compared`].
    pub compared: BTreeSet<String>,
    /// Other repositories to look into: [`super::More::elsewhere`].
    pub elsewhere: BTreeSet<Elsewhere>,
}

/// A look at the merged file, before it is compiled. What depends on a job's own variables is not seen.
pub fn asked(root: &Node, scope: &Scope) -> Asked {
    let mut asked = Asked::default();
    look(root, scope, &mut asked);
    asked
}

fn look(node: &Node, scope: &Scope, asked: &mut Asked) {
    for item in node.list().unwrap_or_default() {
        look(item, scope, asked);
    }
    for entry in node.map().unwrap_or_default() {
        let text = |key: &str| entry.value.get(key)?.value.text().map(|t| scope.expand(t));
        match entry.key.as_str() {
            "changes" => asked.compared.extend(text("compare_to")),
            "exists" => {
                let place = |path| Elsewhere { path, refname: text("ref") };
                asked.elsewhere.extend(text("project").map(place));
            }
            _ => look(&entry.value, scope, asked),
        }
    }
}

/// Whether a job is in, how it starts, and why.
#[derive(Clone, Debug)]
pub struct Decision {
    pub when: When,
    pub start_ms: Option<u64>,
    pub allow_failure: Option<AllowFailure>,
    pub variables: Variables,
    pub needs: Option<Needs>,
    pub interruptible: Option<bool>,
    pub because: Text,
    pub at: Option<At>,
}

impl Decision {
    fn plain(job: &Job, when: When, because: Text, at: Option<At>) -> Decision {
        Decision {
            when,
            start_ms: job.start_ms,
            allow_failure: job.allow_failure.clone(),
            variables: Vec::new(),
            needs: None,
            interruptible: None,
            because,
            at,
        }
    }
}

/// # Errors
/// As [`check_refs`].
pub fn decide(job: &Job, scope: &Scope, context: &Context) -> Result<Decision> {
    match &job.rules {
        Some(rules) => {
            check_refs(rules, scope, context)?;
            Ok(by_rules(job, rules, scope, context))
        }
        None => Ok(by_refs(job, scope, context)),
    }
}

fn by_rules(job: &Job, rules: &[Rule], scope: &Scope, context: &Context) -> Decision {
    let Some((number, rule)) = first(rules, scope, context) else {
        let because = Text::fixed("no rule holds", "맞는 규칙이 없습니다");
        return Decision::plain(job, When::Never, because, None);
    };
    let when = rule.when.or(job.when).unwrap_or(When::OnSuccess);
    let words = rule.words();
    let because = text!("rule {number} holds: {words}", "{number}번 규칙이 맞습니다: {words}");
    Decision {
        when,
        start_ms: rule.start_ms.or(job.start_ms),
        // A manual job of a rule blocks unless it says otherwise.
        allow_failure: rule
            .allow_failure
            .map(AllowFailure::Is)
            .or_else(|| job.allow_failure.clone())
            .or(Some(AllowFailure::Is(false))),
        variables: rule.variables.clone(),
        needs: rule.needs.clone(),
        interruptible: rule.interruptible,
        because,
        at: Some(rule.at.clone()),
    }
}

fn by_refs(job: &Job, scope: &Scope, context: &Context) -> Decision {
    let when = job.when.unwrap_or(When::OnSuccess);
    let usual = Only::default();
    if !job.only.as_ref().unwrap_or(&usual).lets_in(scope, context) {
        let because = match &job.only {
            Some(_) => Text::fixed("`only` does not hold", "`only`에 맞지 않습니다"),
            None => Text::fixed(
                "without rules it is in for branches and tags only",
                "규칙이 없으면 브랜치와 태그에서만 실행합니다",
            ),
        };
        return Decision::plain(job, When::Never, because, None);
    }
    if job.except.as_ref().is_some_and(|except| except.leaves_out(scope, context)) {
        let because = Text::fixed("`except` holds", "`except`에 맞습니다");
        return Decision::plain(job, When::Never, because, None);
    }
    let because = match (&job.only, &job.except) {
        (None, None) if when == When::Never => Text::plain("when: never"),
        (None, None) => Text::fixed("it has no rules", "규칙이 없습니다"),
        _ => Text::fixed("`only` and `except` let it in", "`only`와 `except`에 맞습니다"),
    };
    Decision::plain(job, when, because, job.when_at.clone())
}

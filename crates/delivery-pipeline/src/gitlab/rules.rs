//! `rules`, `workflow:rules` and `only`/`except`: whether a job is in, and which line decided it.

use super::Context;
use super::error;
use super::expr::{self, Expr};
use super::glob::Globs;
use super::job::{Job, Need, WHEN, Warnings, When, start_in};
use super::parts::{self, AllowFailure, Only, RefIs, Variables};
use super::read;
use super::yaml::{At, Entry, Node};
use crate::variables::Scope;
use kernel::{Result, Text, text};
use std::sync::Arc;

#[derive(Clone, Debug)]
pub struct Rule {
    pub at: At,
    pub condition: Option<(Expr, String)>,
    pub changes: Option<Vec<String>>,
    pub exists: Option<Vec<String>>,
    pub when: Option<When>,
    pub start_ms: Option<u64>,
    pub allow_failure: Option<bool>,
    pub variables: Variables,
    pub needs: Option<Vec<Need>>,
    pub interruptible: Option<bool>,
}

/// The list under `rules:`; nested lists are flattened. `known` are the keywords of one rule, which depend
/// on whose rules they are.
pub fn read(entry: &Entry, known: &[&str], warnings: &mut Warnings) -> Result<Vec<Rule>> {
    let mut out = Vec::new();
    let wanted = ("a list of rules", "규칙의 목록을");
    if entry.value.list().is_none() {
        return Err(error::wanted(&entry.value.at, &entry.key, wanted));
    }
    read::flatten(&entry.value, 0, &mut |node| {
        out.push(rule(node, known, warnings)?);
        Ok(())
    })?;
    Ok(out)
}

fn rule(node: &Arc<Node>, known: &[&str], warnings: &mut Warnings) -> Result<Rule> {
    let mut rule = Rule {
        at: node.at.clone(),
        condition: None,
        changes: None,
        exists: None,
        when: None,
        start_ms: None,
        allow_failure: None,
        variables: Vec::new(),
        needs: None,
        interruptible: None,
    };
    for entry in read::map(node, "rules", known)? {
        match entry.key.as_str() {
            "if" => {
                let words = read::text(entry)?;
                rule.condition = Some((expr::parse(&words, &entry.value.at)?, words));
            }
            "changes" => rule.changes = Some(paths(entry)?),
            "exists" => rule.exists = Some(paths(entry)?),
            "when" => rule.when = Some(read::choice(entry, WHEN)?),
            "start_in" => rule.start_ms = Some(read::duration(entry)?),
            "allow_failure" => rule.allow_failure = Some(read::flag(entry)?),
            "variables" => rule.variables = parts::variables(entry, warnings)?,
            "needs" => rule.needs = Some(parts::needs(entry)?),
            _ => rule.interruptible = Some(read::flag(entry)?),
        }
    }
    if (rule.when == Some(When::Delayed)) != rule.start_ms.is_some() {
        return Err(start_in(&rule.at));
    }
    Ok(rule)
}

fn paths(entry: &Entry) -> Result<Vec<String>> {
    if entry.value.map().is_none() {
        return read::words(entry);
    }
    let known = ["paths", "compare_to", "project", "ref", "regexp"];
    let mut out = Vec::new();
    for part in read::map(&entry.value, &entry.key, &known)? {
        if part.key == "paths" {
            out = read::words(part)?;
            continue;
        }
        let hint = Text::fixed("use `paths` alone", "`paths`만 쓰세요");
        let key = format!("{}:{}", entry.key, part.key);
        return Err(error::unsupported(&part.at, &key, hint));
    }
    Ok(out)
}

impl Rule {
    fn holds(&self, scope: &Scope, context: &Context) -> bool {
        let get = |name: &str| scope.get(name);
        let expand = |paths: &[String]| {
            let paths: Vec<String> = paths.iter().map(|p| scope.expand(p)).collect();
            Globs::new(&paths)
        };
        self.condition.as_ref().is_none_or(|(expr, _)| expr.holds(&get))
            && self.changes.as_ref().is_none_or(|paths| context.changed(&expand(paths)))
            && self.exists.as_ref().is_none_or(|paths| context.exists(&expand(paths)))
    }

    /// What the rule asks, in its own words.
    fn words(&self) -> String {
        let mut words = Vec::new();
        words.extend(self.condition.as_ref().map(|(_, w)| format!("if {}", error::shown(w))));
        words.extend(self.changes.as_ref().map(|p| error::shown(&format!("changes {p:?}"))));
        words.extend(self.exists.as_ref().map(|p| error::shown(&format!("exists {p:?}"))));
        if words.is_empty() { "always".to_owned() } else { words.join(", ") }
    }
}

/// The first rule that holds, and its number from 1.
pub fn first<'a>(rules: &'a [Rule], scope: &Scope, context: &Context) -> Option<(usize, &'a Rule)> {
    let numbered = rules.iter().enumerate();
    numbered.map(|(i, r)| (i + 1, r)).find(|(_, r)| r.holds(scope, context))
}

/// Whether a job is in, how it starts, and why.
pub struct Decision {
    pub when: When,
    pub start_ms: Option<u64>,
    pub allow_failure: Option<AllowFailure>,
    pub variables: Variables,
    pub needs: Option<Vec<Need>>,
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

pub fn decide(job: &Job, scope: &Scope, context: &Context) -> Decision {
    match &job.rules {
        Some(rules) => by_rules(job, rules, scope, context),
        None => by_refs(job, scope, context),
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
    // Without either, GitLab means `only: [branches, tags]`, which is every pipeline there is here.
    if let Some(only) = &job.only
        && !asks(only, scope, context, true)
    {
        let because = Text::fixed("`only` does not hold", "`only`에 맞지 않습니다");
        return Decision::plain(job, When::Never, because, None);
    }
    if let Some(except) = &job.except
        && asks(except, scope, context, false)
    {
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

/// `only` wants all of its parts, `except` any.
fn asks(only: &Only, scope: &Scope, context: &Context, all: bool) -> bool {
    let get = |name: &str| scope.get(name);
    let refs = only.refs.as_ref().map(|refs| refs.iter().any(|r| ref_is(r, context)));
    let variables =
        (!only.variables.is_empty()).then(|| only.variables.iter().any(|expr| expr.holds(&get)));
    let changes = only.changes.as_ref().map(|paths| context.changed(&Globs::new(paths)));
    let mut parts = [refs, variables, changes].into_iter().flatten();
    if all { parts.all(|p| p) } else { parts.any(|p| p) }
}

fn ref_is(wanted: &RefIs, context: &Context) -> bool {
    match wanted {
        RefIs::Branches => context.branch.is_some(),
        RefIs::Tags => context.tag.is_some(),
        RefIs::Source(name) => *name == context.origin.word(),
        RefIs::Name(name) => context.ref_name() == name,
        RefIs::Matches(regex) => regex.is_match(context.ref_name()),
    }
}

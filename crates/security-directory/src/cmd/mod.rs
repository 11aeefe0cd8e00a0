//! `naru user …`, `group`, `service-account`, `token`, `session`, `sign-in`, `login`, `whoami`.

#![allow(clippy::indexing_slicing, reason = "a JSON value answers null for what it lacks")]

mod group;
mod login;
mod service;
mod session;
mod token;
mod user;

use clap::{Arg, ArgMatches};
use cli::{Context, Table};
use kernel::{Lang, Name, Result};
use serde_json::Value;

pub(crate) const COMMANDS: &[cli::Command] = &[
    user::COMMAND,
    group::COMMAND,
    service::COMMAND,
    token::COMMAND,
    session::COMMAND,
    login::LOGIN,
    login::SIGN_IN,
    login::WHOAMI,
];

/// A cell of a table.
fn words(value: &Value) -> String {
    match value {
        Value::String(s) => s.clone(),
        Value::Null => "-".into(),
        Value::Array(all) if all.is_empty() => "-".into(),
        Value::Array(all) => all.iter().map(words).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

/// The argument `name`.
fn name_arg(lang: Lang, en: &'static str, ko: &'static str) -> Arg {
    Arg::new("name").required(true).help(lang.pick(en, ko).to_owned())
}

fn given<'a>(matches: &'a ArgMatches, name: &str) -> Option<&'a str> {
    matches.get_one::<String>(name).map(String::as_str)
}

fn name_of(matches: &ArgMatches) -> Result<Name> {
    Name::parse(given(matches, "name").unwrap_or(""))
}

/// One cell alone: a link, a token.
fn alone(context: &Context, value: &Value, pointer: &str) -> Result<()> {
    context.output.show(value, |value, _| {
        let mut table = Table::new([""]);
        table.row([value.pointer(pointer).map_or(String::new(), words)]);
        table
    })
}

/// A list as a table of those pointers.
fn list(context: &Context, items: &Value, heads: &[&str], pointers: &[&str]) -> Result<()> {
    context.output.show(items, |items, output| {
        let mut table = Table::new(heads.iter().copied());
        for item in items.as_array().into_iter().flatten() {
            table.row(pointers.iter().map(|p| item.pointer(p).map_or("-".into(), words)));
        }
        table.nothing(output.lang.pick("none", "없습니다"))
    })
}

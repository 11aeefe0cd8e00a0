//! `variables:` of the file, of a job and of a rule: the same maps, with less and less to say in them.

use super::error;
use super::read;
use super::yaml::{At, Entry};
use crate::variables::{Variable, is_name};
use kernel::{Result, Text, text};
use serde::{Deserialize, Serialize};

pub type Variables = Vec<Variable>;

/// A variable of the file that whoever starts a pipeline by hand is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offered {
    pub name: String,
    /// What it is when nobody says otherwise.
    pub value: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// Of the whole file: `{value, options, description, expand}`.
pub fn global(entry: &Entry) -> Result<(Variables, Vec<(Offered, At)>)> {
    let known = ["value", "description", "expand", "options"];
    let (mut variables, mut offered) = (Vec::new(), Vec::new());
    for (entry, variable, offer) in all(entry, &known)? {
        if let Some(offer) = offer {
            offered.push((Offered { value: variable.value.clone(), ..offer }, entry.at.clone()));
        }
        variables.push(variable);
    }
    Ok((variables, offered))
}

/// Of a job, or of something in it: `{value, expand}`.
pub fn job(entry: &Entry) -> Result<Variables> {
    Ok(all(entry, &["value", "expand"])?.into_iter().map(|(_, variable, _)| variable).collect())
}

/// Of a rule: plain values.
pub fn rule(entry: &Entry) -> Result<Variables> {
    Ok(all(entry, &[])?.into_iter().map(|(_, variable, _)| variable).collect())
}

type Read<'a> = (&'a Entry, Variable, Option<Offered>);

/// `known` are the words of a variable that is a map; none: it must not be one.
fn all<'a>(entry: &'a Entry, known: &[&str]) -> Result<Vec<Read<'a>>> {
    let wanted = ("a map of names to values", "이름과 값의 맵을");
    let entries = entry.value.map();
    let entries = entries.ok_or_else(|| error::wanted(&entry.value.at, &entry.key, wanted))?;
    entries.iter().map(|e| one(e, known)).collect()
}

fn one<'a>(entry: &'a Entry, known: &[&str]) -> Result<Read<'a>> {
    if !is_name(&entry.key) {
        let wanted = ("names of letters, digits and _", "영문자, 숫자, _로 된 이름을");
        return Err(error::wanted(&entry.at, "variables", wanted));
    }
    if entry.value.map().is_none() || known.is_empty() {
        let value = if entry.value.is_null() { String::new() } else { read::text(entry)? };
        return Ok((entry, Variable::new(&entry.key, value), None));
    }
    let mut variable = Variable::new(&entry.key, "");
    let mut offer = Offered { name: entry.key.clone(), ..Offered::default() };
    for part in read::map(&entry.value, &entry.key, known)? {
        match part.key.as_str() {
            "value" if !part.value.is_null() => variable.value = read::text(part)?,
            "expand" => variable.expand = read::flag(part)?,
            "description" => offer.description = Some(read::text(part)?),
            "options" => offer.options = read::words(part)?,
            _ => {}
        }
    }
    if !offer.options.is_empty() && !offer.options.contains(&variable.value) {
        return Err(not_offered(&entry.at, &offer, &variable.value));
    }
    let offered = offer.description.is_some() || !offer.options.is_empty();
    Ok((entry, variable, offered.then_some(offer)))
}

/// What was given by hand is one of the options.
pub fn check(offered: &[(Offered, At)], given: &[Variable]) -> Result<()> {
    for (offer, at) in offered.iter().filter(|(offer, _)| !offer.options.is_empty()) {
        let odd = given.iter().find(|v| v.name == offer.name && !offer.options.contains(&v.value));
        if let Some(odd) = odd {
            return Err(not_offered(at, offer, &odd.value));
        }
    }
    Ok(())
}

fn not_offered(at: &At, offer: &Offered, value: &str) -> kernel::Error {
    let (name, value) = (&offer.name, kernel::shown(value));
    let options: Vec<&str> = offer.options.iter().map(String::as_str).collect();
    let say = text!(
        "`{name}` cannot be “{value}”: it has `options`",
        "`{name}`에는 `options`가 있어 “{value}”을(를) 쓸 수 없습니다"
    );
    let all = kernel::shown(&options.join(", "));
    error::general(at, "pipeline.variable", say)
        .hint(Text::new(format!("one of: {all}"), format!("쓸 수 있는 값: {all}")))
}

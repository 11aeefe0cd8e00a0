//! Looking through many resources of one kind, a page at a time.

use kernel::{Key, Name, Resource, Result};
use serde_json::Value;
use store::View;

/// Read at a time.
const BLOCK: usize = 500;
/// Looked at for one page. A search that has found too little by then goes on with the next page.
const LOOKS: usize = 20_000;

/// One page of what was found.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub items: Vec<Resource>,
    /// Where the next page starts; `None` when there is nothing after this.
    pub after: Option<Name>,
}

/// Resources of a platform's kind whose name or `fields` have `words`, in any case, from after a name on.
pub(crate) fn look(
    v: &View<'_>,
    kind: &str,
    words: &str,
    fields: &[&str],
    after: Option<&Name>,
    limit: usize,
) -> Result<Found> {
    let words = words.trim().to_lowercase();
    let mut found = Found::default();
    let mut place = after.map(|name| key(kind, name));
    let mut looked = 0;
    while looked < LOOKS {
        let block = v.resources(kind, None, place.as_ref(), BLOCK)?;
        let whole = block.len() == BLOCK;
        looked += block.len();
        place = block.last().map(|r| r.key.clone());
        for resource in block.into_iter().filter(|r| has(r, &words, fields)) {
            if found.items.len() == limit {
                found.after = found.items.last().map(|r| r.key.name.clone());
                return Ok(found);
            }
            found.items.push(resource);
        }
        if !whole {
            return Ok(found);
        }
    }
    found.after = place.map(|key| key.name);
    Ok(found)
}

fn key(kind: &str, name: &Name) -> Key {
    Key { kind: kind.to_owned(), project: None, name: name.clone() }
}

fn has(resource: &Resource, words: &str, fields: &[&str]) -> bool {
    let in_value = |value: &Value| match value {
        Value::String(s) => s.to_lowercase().contains(words),
        Value::Array(all) => all.iter().any(|one| {
            one.get("address")
                .and_then(Value::as_str)
                .is_some_and(|a| a.to_lowercase().contains(words))
        }),
        _ => false,
    };
    words.is_empty()
        || resource.key.name.as_str().contains(words)
        || fields.iter().filter_map(|f| resource.spec.get(*f)).any(in_value)
}

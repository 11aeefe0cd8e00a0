//! Pages of people, groups and service accounts, found by their names, titles and addresses.

use kernel::{Key, Name, Resource, Result};
use naru_http::Call;

/// One page of what was found.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub items: Vec<Resource>,
    /// Where the next page starts; `None` when there is nothing after this.
    pub after: Option<Name>,
}

/// The page that `?q=` and `?after=` ask for.
///
/// # Errors
/// What a name says.
pub(crate) async fn look(call: &Call, kind: &'static str, limit: usize) -> Result<Found> {
    let words = call.query("q").unwrap_or_default();
    let after = call.query("after").filter(|a| !a.is_empty());
    let after = after.map(|a| Name::parse(&a)).transpose()?;
    let accounts = &call.site.accounts;
    let names = accounts.search(kind, &words, after.as_ref(), limit + 1).unwrap_or_default();
    let after = names.get(limit).and_then(|_| names.get(limit - 1)).cloned();
    let read = move |v: &store::View<'_>| {
        let key = |name: Name| Key { kind: kind.to_owned(), project: None, name };
        let found = names.into_iter().take(limit).map(|name| v.resource(&key(name)));
        // Deleted since it was looked up: not there.
        found.filter_map(Result::transpose).collect::<Result<Vec<Resource>>>()
    };
    Ok(Found { items: call.site.store.read(read).await?, after })
}

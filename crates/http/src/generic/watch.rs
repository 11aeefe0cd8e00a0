//! Following the writes of one kind.

use crate::{Call, Frame, Response, sse};
use futures_util::Stream;
use kernel::kind::{KindDef, Scope};
use kernel::resource::Selector;
use kernel::{Name, Result};
use serde_json::json;
use std::collections::BTreeMap;
use store::Filter;

/// Every write of the kind after `from` (default: now), as it happens. `id` is the revision to come back
/// with.
pub(super) fn watch(call: &Call, kind: KindDef, selector: Selector) -> Result<Response> {
    let resumed = call.header("last-event-id").and_then(|v| v.parse().ok());
    let from = match call.number("from")?.or(resumed) {
        Some(from) => from,
        None => call.site.store.head(),
    };
    let project = (kind.scope == Scope::Project).then(|| call.project()).transpose()?;
    Ok(sse(watched(call.site.store.follow(from), kind.kind, project, selector)))
}

fn watched(
    feed: store::Feed,
    kind: &'static str,
    project: Option<Name>,
    selector: Selector,
) -> impl Stream<Item = Result<Frame>> + Send {
    let filter = Filter { project, kind: Some("resource.".into()), ..Filter::default() };
    futures_util::stream::unfold(
        (feed, filter, selector),
        move |(mut feed, filter, selector)| async move {
            loop {
                let event = match feed.next().await {
                    Ok(event) => event,
                    Err(error) => return Some((Err(error), (feed, filter, selector))),
                };
                let ours = event.fact.subject.as_ref().is_some_and(|s| s.kind == kind);
                let labels = event.fact.data.get("labels").cloned().unwrap_or(json!({}));
                let labels: BTreeMap<String, String> =
                    serde_json::from_value(labels).unwrap_or_default();
                if ours && filter.matches(&event) && selector.matches(&labels) {
                    let name = match event.fact.kind.as_str() {
                        "resource.created" => "created",
                        "resource.deleted" => "deleted",
                        "resource.status" => "status",
                        _ => "updated",
                    };
                    let frame = Frame {
                        id: Some(event.seq.to_string()),
                        event: Some(name),
                        data: event.fact.data.to_string(),
                    };
                    return Some((Ok(frame), (feed, filter, selector)));
                }
            }
        },
    )
}

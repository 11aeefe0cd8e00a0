//! Concurrency groups: which there are, and in which order each gives its slots.

use crate::{Order, Plan};
use kernel::Result;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use store::{Store, Tx, View};

/// [`Row`] by the group's key.
const GROUP: &str = "run.group";
/// Groups read at a start.
const MAX_GROUPS: usize = 100_000;

#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Row {
    /// As the newest plan has it.
    order: Order,
    /// As somebody has set it: stronger than what plans say.
    #[serde(default)]
    set: Option<Order>,
}

/// Remembers the groups of a plan.
pub(crate) fn note(tx: &mut Tx<'_>, plan: &Plan) -> Result<()> {
    let groups: BTreeMap<&str, Order> =
        plan.steps.iter().filter_map(|s| s.group.as_ref()).map(|g| (&*g.key, g.order)).collect();
    for (key, order) in groups {
        let known = tx.row::<Row>(GROUP, key)?;
        if known.is_none_or(|row| row.order != order) {
            tx.set_row(GROUP, key, &Row { order, ..known.unwrap_or_default() })?;
        }
    }
    Ok(())
}

pub(crate) fn list(view: &View<'_>, prefix: &str, limit: usize) -> Result<Vec<(String, Order)>> {
    let rows = view.rows::<Row>(GROUP, prefix, None, limit)?;
    Ok(rows.into_iter().map(|(key, row)| (key, row.set.unwrap_or(row.order))).collect())
}

/// Those that somebody has set.
pub(crate) fn orders(view: &View<'_>) -> Result<HashMap<String, Order>> {
    let rows = view.rows::<Row>(GROUP, "", None, MAX_GROUPS)?;
    Ok(rows.into_iter().filter_map(|(key, row)| Some((key, row.set?))).collect())
}

pub(crate) async fn set(store: &Store, key: &str, order: Order) -> Result<()> {
    let key = key.to_owned();
    let set = move |tx: &mut Tx<'_>| {
        let row = tx.row::<Row>(GROUP, &key)?.unwrap_or_default();
        tx.set_row(GROUP, &key, &Row { set: Some(order), ..row })
    };
    store.write(set).await
}

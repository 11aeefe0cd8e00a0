//! Numbers by which Unix knows people, programs and groups. One counter gives them all, so that a user's own
//! group never meets another group's number, and it only counts up: nobody gets a number that was another's.

use kernel::{Error, ErrorKind, Resource, Result, Text, text};
use serde::{Deserialize, Serialize};
use store::Tx;

const SPACE: &str = "account.number";
const KEY: &str = "next";
/// Numbers are promised to the record of endings in such pieces; see [`crate::record`].
const PIECE: u32 = 1000;

/// Where numbers begin, unless told otherwise: above those of a machine's own people (login.defs(5)).
pub(crate) const FIRST: u32 = 20_000;

/// Ranges that belong to others: from here, go on there.
/// 60,000 to 65,535: dynamic users and nobody (systemd, "Users, Groups, UIDs and GIDs"; 65,534 is `nobody`).
/// 100,000 to 1,879,048,191: subordinate ids (login.defs(5) `SUB_UID_MIN`) and containers (systemd, there).
const TAKEN: [(u32, u32); 2] = [(60_000, 65_536), (100_000, 1_879_048_192)];
/// Beyond this, numbers are negative to some programs.
const LAST: u32 = 2_147_352_575;

#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Row {
    next: u32,
    /// Numbers below were promised.
    promised: u32,
}

/// Whether an account or a group has its number.
pub(crate) fn is_given(resource: &Resource) -> bool {
    let field = if resource.key.kind == crate::kind::GROUP { "gid_number" } else { "uid_number" };
    resource.status.get(field).is_some_and(|number| !number.is_null())
}

/// The first free number at or after `wanted`.
fn free(wanted: u32) -> u32 {
    TAKEN.iter().fold(wanted, |n, (from, to)| if (*from..*to).contains(&n) { *to } else { n })
}

/// A first number that may be given.
///
/// # Errors
/// `account.first-number`, when those of the machine's own accounts are below it.
pub(crate) fn sound(first: u32) -> Result<u32> {
    if (1000..=LAST).contains(&first) {
        return Ok(first);
    }
    Err(Error::invalid(
        "account.first-number",
        text!(
            "numbers of accounts begin between 1000 and {LAST}",
            "계정 번호는 1000에서 {LAST} 사이에서 시작합니다"
        ),
    ))
}

/// Takes a number that was never given before. When a piece of them begins, `promise` hears where it ends.
///
/// # Errors
/// `account.numbers`, when there are no more.
pub(crate) fn take(
    tx: &mut Tx<'_>,
    first: u32,
    promise: impl FnOnce(&mut Tx<'_>, u32) -> Result<()>,
) -> Result<u32> {
    let mut row: Row = tx.row(SPACE, KEY)?.unwrap_or_default();
    let number = free(row.next.max(first));
    if number > LAST {
        return Err(Error::new(
            ErrorKind::Full,
            "account.numbers",
            Text::fixed("there are no more numbers for accounts", "계정에 줄 번호가 더 없습니다"),
        ));
    }
    row.next = number + 1;
    if row.next > row.promised {
        row.promised = number.saturating_add(PIECE);
        promise(tx, row.promised)?;
    }
    tx.set_row(SPACE, KEY, &row)?;
    Ok(number)
}

/// Gives no number below `floor` any more.
pub(crate) fn skip(tx: &mut Tx<'_>, floor: u32) -> Result<()> {
    let mut row: Row = tx.row(SPACE, KEY)?.unwrap_or_default();
    if row.next < floor {
        row.next = floor;
        tx.set_row(SPACE, KEY, &row)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_belong_to_others_are_passed_over() {
        for (wanted, want) in [
            (20_000, 20_000),
            (59_999, 59_999),
            (60_000, 65_536),
            (65_534, 65_536),
            (99_999, 99_999),
            (100_000, 1_879_048_192),
        ] {
            assert_eq!(free(wanted), want);
        }
    }
}

//! What somebody holds: tokens, sessions and one-time links, found by their holder, so that all of it can be
//! listed and ended without a look at everybody's.

use crate::{session, token};
use kernel::{NewEvent, Principal, Result, text};
use serde_json::json;
use store::{Tx, View};

/// `<principal>/<sort>/<name>` to the hash under which the thing itself is kept.
const SPACE: &str = "account.held";
/// Of one sort, by one holder; see [`full`].
const MOST: usize = 1000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sort {
    Token,
    Session,
    Link,
}

impl Sort {
    fn word(self) -> &'static str {
        match self {
            Sort::Token => "token",
            Sort::Session => "session",
            Sort::Link => "link",
        }
    }

    fn space(self) -> &'static str {
        match self {
            Sort::Token => token::SPACE,
            Sort::Session => session::SESSION,
            Sort::Link => session::LINK,
        }
    }
}

fn key(who: &Principal, sort: Sort, name: &str) -> String {
    format!("{who}/{}/{name}", sort.word())
}

/// The hash of the one of that name.
pub(crate) fn find(
    view: &View<'_>,
    who: &Principal,
    sort: Sort,
    name: &str,
) -> Result<Option<String>> {
    view.row(SPACE, &key(who, sort, name))
}

/// Names and hashes of all of a sort, by name.
pub(crate) fn all(view: &View<'_>, who: &Principal, sort: Sort) -> Result<Vec<(String, String)>> {
    let prefix = key(who, sort, "");
    let rows: Vec<(String, String)> = view.rows(SPACE, &prefix, None, MOST + 1)?;
    let name = |(key, hash): (String, String)| Some((key.strip_prefix(&prefix)?.to_owned(), hash));
    Ok(rows.into_iter().filter_map(name).collect())
}

pub(crate) fn enter(
    tx: &mut Tx<'_>,
    who: &Principal,
    sort: Sort,
    name: &str,
    hash: &str,
) -> Result<()> {
    tx.set_row(SPACE, &key(who, sort, name), &hash)
}

pub(crate) fn leave(tx: &mut Tx<'_>, who: &Principal, sort: Sort, name: &str) -> Result<()> {
    tx.delete_row(SPACE, &key(who, sort, name)).map(drop)
}

/// Whether somebody has as many as one may have.
pub(crate) fn full(view: &View<'_>, who: &Principal, sort: Sort, most: usize) -> Result<bool> {
    Ok(all(view, who, sort)?.len() >= most.min(MOST))
}

/// Ends all that somebody holds, for good: an account that comes back starts without.
pub(crate) fn end_all(tx: &mut Tx<'_>, who: &Principal, actor: &Principal) -> Result<()> {
    let mut count = [0_usize; 3];
    for (sort, count) in [Sort::Token, Sort::Session, Sort::Link].into_iter().zip(&mut count) {
        loop {
            let held = all(tx, who, sort)?;
            for (name, hash) in &held {
                tx.delete_row(sort.space(), hash)?;
                leave(tx, who, sort, name)?;
            }
            *count += held.len();
            if held.len() <= MOST {
                break;
            }
        }
    }
    let [tokens, sessions, links] = count;
    if tokens + sessions + links == 0 {
        return Ok(());
    }
    let say = text!(
        "all that {who} held has ended: {tokens} tokens, {sessions} sessions",
        "{who}의 인증 수단 종료: 토큰 {tokens}개, 세션 {sessions}개"
    );
    let data = json!({ "principal": who, "tokens": tokens, "sessions": sessions });
    tx.append(NewEvent::new("credentials.ended", actor.clone(), say).data(data)).map(drop)
}

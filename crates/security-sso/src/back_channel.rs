//! Telling applications that a session has ended (OpenID Connect Back-Channel Logout 1.0).

use crate::grant::{Grant, application};
use kernel::{Name, Result, Time};
use serde::{Deserialize, Serialize};
use store::Tx;

pub(crate) const QUEUE: &str = "sso.logout";

/// Something to tell.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Notice {
    pub app: Name,
    pub to: String,
    pub sub: String,
    pub session: Option<String>,
    pub made: Time,
    pub tries: u32,
}

/// Has the application of a grant told that it has ended, if it wants to hear.
pub(crate) fn tell(tx: &mut Tx<'_>, grant: &Grant) -> Result<()> {
    let app = application(tx, &grant.app)?.filter(|(uid, _)| *uid == grant.uid);
    let Some(to) = app.and_then(|(_, app)| app.back_channel_logout) else { return Ok(()) };
    if grant.who.is_none() {
        return Ok(());
    }
    let (sub, session) = (grant.sub.clone(), grant.session.clone());
    let notice = Notice { app: grant.app.clone(), to, sub, session, made: tx.now(), tries: 0 };
    tx.set_row(QUEUE, tx.id()?.as_str(), &notice)
}

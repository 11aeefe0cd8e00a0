//! Which application asks, and whether it is that one.

use crate::Sso;
use crate::endpoint::discovery::{INTROSPECT, REVOKE, TOKEN};
use crate::endpoint::wire::Fail;
use crate::kind::{Application, Proof};
use crate::plan::client::{self, Presented, Shown};
use crate::plan::params::Params;
use crate::plan::{Refusal, assertion};
use crate::{grant, secret};
use http::header;
use kernel::{Id, Name, Time};
use naru_http::Call;
use serde_json::Value;
use store::Tx;

/// Assertions that were used, until they run out: `<application>/<id's hash>`.
const USED: &str = "sso.assertion";

/// An application that has proved itself.
pub(crate) struct Client {
    pub name: Name,
    pub uid: Id,
    pub app: Application,
}

impl Sso {
    /// The application that a request is from.
    ///
    /// # Errors
    /// `invalid_client`, in the same words whatever is wrong.
    pub(crate) async fn client(&self, call: &Call, form: &Params) -> Result<Client, Fail> {
        let header = call.header(header::AUTHORIZATION.as_str());
        let Presented { client: name, shown } = client::presented(header, form)?;
        let no = |refusal: Refusal| Fail::Refused(refusal.of(&name));
        let wanted = name.clone();
        let found = self.store().read(move |v| grant::application(v, &wanted)).await?;
        let found = found.filter(|(_, app)| !app.disabled);
        let (uid, app) = found.ok_or_else(|| no(client::refused()))?;
        client::fits(app.proof, &shown).map_err(no)?;
        match (&shown, app.proof) {
            (Shown::Nothing, Proof::Nothing) => {}
            (Shown::Secret(given), Proof::Secret) => {
                let (n, u, given) = (name.clone(), uid.clone(), given.clone());
                let read = move |v: &store::View<'_>| secret::check(v, &n, &u, given.reveal());
                if !self.store().read(read).await? {
                    return Err(no(Refusal { code: "sso.client-secret", ..client::refused() }));
                }
            }
            (Shown::Assertion(words), Proof::Key) => self.asserted(&name, &app, words).await?,
            _ => return Err(no(client::refused())),
        }
        Ok(Client { name, uid, app })
    }

    async fn asserted(&self, name: &Name, app: &Application, words: &str) -> Result<(), Fail> {
        let issuer = self.issuer();
        let mut ours = vec![issuer.clone()];
        ours.extend([TOKEN, REVOKE, INTROSPECT].map(|path| format!("{issuer}{path}")));
        let keys = app.keys.get("keys").and_then(Value::as_array).cloned().unwrap_or_default();
        let once = assertion::check(words, &keys, name.as_str(), &ours, self.store().now());
        let once = once.map_err(|refusal| refusal.of(name))?;
        let key = format!("{name}/{}", account::hash_secret(&once.id));
        let work = move |tx: &mut Tx<'_>| {
            let used = tx.row::<Time>(USED, &key)?.is_some();
            tx.set_row(USED, &key, &once.until)?;
            Ok(used)
        };
        match self.store().write(work).await? {
            false => Ok(()),
            true => {
                Err(Refusal { code: "sso.assertion-reused", ..client::refused() }.of(name).into())
            }
        }
    }
}

/// Assertions that nobody can use any more.
pub(crate) fn sweep(
    tx: &mut Tx<'_>,
    after: Option<&str>,
    most: usize,
) -> kernel::Result<Option<String>> {
    let now = tx.now();
    let page: Vec<(String, Time)> = tx.rows(USED, "", after, most)?;
    for (key, _) in page.iter().filter(|(_, until)| *until <= now) {
        tx.delete_row(USED, key)?;
    }
    Ok(page.last().filter(|_| page.len() >= most).map(|(key, _)| key.clone()))
}

//! Codes: what an application gets through the browser, and turns into tokens once.

use crate::grant::{self, Grant, Issued};
use crate::kind::{Application, Grants};
use crate::plan::{Refusal, pkce};
use crate::{PART_NAME, plan::authorize::Asked};
use account::{draw_secret, hash_secret};
use kernel::{Id, Name, Principal, Result, Time};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::time::Duration;
use store::Tx;

const CODE: &str = "sso.code";
/// RFC 6749 §4.1.2 recommends ten minutes at most.
const LASTS: Duration = Duration::from_secs(60);
/// So long it is known that a code was used: whoever shows it again ends what came of it.
const REMEMBERED: Duration = Duration::from_secs(24 * 3600);
const LONGEST: usize = 128;

/// Who signs in, as the session tells.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Person {
    pub who: Principal,
    pub sub: String,
    pub session: String,
    pub proved: Time,
    pub how: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Code {
    pub app: Name,
    pub uid: Id,
    pub redirect: String,
    pub person: Person,
    pub scopes: BTreeSet<String>,
    pub nonce: Option<String>,
    pub challenge: Option<String>,
    pub until: Time,
    /// The grant that came of it.
    pub used: Option<String>,
}

/// Makes the code for a request that is granted.
pub(crate) fn make(tx: &mut Tx<'_>, asked: &Asked, uid: Id, person: Person) -> Result<String> {
    let words = format!("nac_{}", draw_secret()?);
    let code = Code {
        app: asked.client.clone(),
        uid,
        redirect: asked.back.to.clone(),
        person,
        scopes: asked.scopes.clone(),
        nonce: asked.nonce.clone(),
        challenge: asked.challenge.clone(),
        until: tx.now().plus(LASTS),
        used: None,
    };
    tx.set_row(CODE, &hash_secret(&words), &code)?;
    Ok(words)
}

/// What is shown with a code.
#[derive(Clone, Debug)]
pub(crate) struct Shown {
    pub code: String,
    pub redirect: Option<String>,
    pub verifier: Option<String>,
}

fn no(code: &'static str) -> Refusal {
    let say = (
        "the code is not good, or not for this client",
        "이 클라이언트의 코드가 아니거나 쓸 수 없는 코드입니다",
    );
    Refusal::new("invalid_grant", code, say)
}

/// Turns a code into tokens.
///
/// # Errors
/// The store's. A refusal is no error: what it ends has to be written.
pub(crate) fn redeem(
    tx: &mut Tx<'_>,
    client: &Name,
    app: &Application,
    shown: &Shown,
) -> Result<std::result::Result<Issued, Refusal>> {
    if shown.code.len() > LONGEST {
        return Ok(Err(no("sso.code")));
    }
    let hash = hash_secret(&shown.code);
    let Some(code) = tx.row::<Code>(CODE, &hash)? else { return Ok(Err(no("sso.code"))) };
    let current = grant::application(tx, client)?.map(|(uid, _)| uid);
    // The other client is not told whether there is such a code; its own can still use it.
    if code.app != *client || current.as_ref() != Some(&code.uid) {
        return Ok(Err(no("sso.code-foreign")));
    }
    if let Some(used) = &code.used {
        let actor = Principal::part(PART_NAME);
        if let Some(grant) = grant::find(tx, used)? {
            grant::end(tx, &grant, &actor, "code-reused")?;
        }
        return Ok(Err(no("sso.code-reused")));
    }
    if code.until <= tx.now() {
        return Ok(Err(no("sso.code-late")));
    }
    // With PKCE the address adds nothing, and OAuth 2.1 leaves it out.
    let same = match shown.redirect.as_deref() {
        Some(to) => to == code.redirect,
        None => code.challenge.is_some(),
    };
    if !same {
        return Ok(Err(no("sso.code-redirect")));
    }
    match pkce::check(code.challenge.as_deref(), shown.verifier.as_deref()) {
        pkce::Proved::Yes => {}
        pkce::Proved::No => return Ok(Err(no("sso.pkce-verifier"))),
        pkce::Proved::Downgraded => return Ok(Err(no("sso.pkce-downgrade"))),
    }
    let grant = granted(tx, &code)?;
    grant::begin(tx, &grant)?;
    tx.set_row(CODE, &hash, &Code { used: Some(grant.id.clone()), ..code })?;
    let refresh = app.grants.contains(&Grants::RefreshToken);
    grant::issue(tx, &grant, app, grant.scopes.clone(), refresh).map(Ok)
}

fn granted(tx: &Tx<'_>, code: &Code) -> Result<Grant> {
    let person = &code.person;
    Ok(Grant {
        id: tx.id()?.to_string(),
        app: code.app.clone(),
        uid: code.uid.clone(),
        who: Some(person.who.clone()),
        sub: person.sub.clone(),
        session: Some(person.session.clone()),
        scopes: code.scopes.clone(),
        proved: Some(person.proved),
        how: person.how.clone(),
        nonce: code.nonce.clone(),
        created: tx.now(),
        generation: 0,
        turned: tx.now(),
    })
}

/// Who a code is of, if it is there: whether they may still sign in is looked at before it is turned into tokens.
pub(crate) fn person(view: &store::View<'_>, words: &str) -> Result<Option<Person>> {
    if words.len() > LONGEST {
        return Ok(None);
    }
    Ok(view.row::<Code>(CODE, &hash_secret(words))?.map(|code| code.person))
}

/// Codes that nobody has to know of any more.
pub(crate) fn sweep(tx: &mut Tx<'_>, after: Option<&str>, most: usize) -> Result<Option<String>> {
    let now = tx.now();
    let page: Vec<(String, Code)> = tx.rows(CODE, "", after, most)?;
    for (hash, _) in page.iter().filter(|(_, code)| code.until.plus(REMEMBERED) <= now) {
        tx.delete_row(CODE, hash)?;
    }
    Ok(page.last().filter(|_| page.len() >= most).map(|(hash, _)| hash.clone()))
}

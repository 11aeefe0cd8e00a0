//! What an application learns of a person (OpenID Connect Core 1.0 §2 and §5).

use crate::Sso;
use crate::grant::{Grant, Issued};
use crate::kind::Application;
use account::User;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use kernel::{Key, Name, Principal, Result, Time};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;

/// A person as of now.
pub(crate) struct Person {
    pub name: Name,
    pub sub: String,
    pub user: User,
    pub groups: Vec<Name>,
    pub updated: Time,
}

impl Sso {
    /// The person behind a principal; `None` when they are gone, disabled, or no person.
    pub(crate) async fn person(&self, who: &Principal) -> Result<Option<Person>> {
        let Principal::User(name) = who else { return Ok(None) };
        if !self.accounts.is_active(who) {
            return Ok(None);
        }
        let key = Key::global::<User>(name);
        let found = self.store().read(move |v| v.resource(&key)).await?;
        let Some(found) = found else { return Ok(None) };
        let user: User = found.spec()?;
        let groups = self.accounts.groups_of(who).to_vec();
        let (sub, updated) = (found.uid.to_string(), found.updated);
        Ok((!user.disabled).then_some(Person { name: name.clone(), sub, user, groups, updated }))
    }
}

fn second(time: Time) -> i64 {
    time.0.div_euclid(1000)
}

/// What `scopes` give of a person.
pub(crate) fn of(person: &Person, scopes: &BTreeSet<String>) -> Map<String, Value> {
    let mut claims = Map::new();
    let mut set = |name: &str, value: Value| {
        if !value.is_null() {
            claims.insert(name.to_owned(), value);
        }
    };
    let (user, has) = (&person.user, |scope: &str| scopes.contains(scope));
    set("sub", json!(person.sub));
    if has("profile") {
        let shown = if user.title.is_empty() { person.name.as_str() } else { &user.title };
        set("name", json!(shown));
        set("preferred_username", json!(person.name));
        set("given_name", json!(user.given_name));
        set("family_name", json!(user.family_name));
        set("locale", json!(user.preferred_language));
        set("zoneinfo", json!(user.timezone));
        set("updated_at", json!(second(person.updated)));
    }
    if has("email")
        && let Some(mail) = user.mail()
    {
        set("email", json!(mail));
        // Set by administrators and not by mail: naru has not seen an answer from there.
        set("email_verified", json!(false));
    }
    if has("phone") {
        set("phone_number", json!(user.phone));
    }
    if has("groups") {
        set("groups", json!(person.groups));
    }
    claims
}

/// How a session was opened, as RFC 8176 names it, and how much that is worth.
pub(crate) fn means(how: &str) -> (&'static str, Vec<&'static str>) {
    const ONE: &str = "urn:naru:one-factor";
    const TWO: &str = "urn:naru:two-factors";
    match how {
        "password" => (ONE, vec!["pwd"]),
        "password+totp" => (TWO, vec!["pwd", "otp", "mfa"]),
        "password+passkey" => (TWO, vec!["pwd", "swk", "mfa"]),
        "password+recovery" => (TWO, vec!["pwd", "kba", "mfa"]),
        // What holds the key has asked for a finger, a face or a number.
        "passkey" => (TWO, vec!["swk", "user", "mfa"]),
        _ => ("0", Vec::new()),
    }
}

/// The claims of an ID token, but for those that the signer adds. `access` is the access token beside it.
pub(crate) fn id_token(grant: &Grant, app: &Application, person: &Person, access: &str) -> Value {
    let mut claims = match app.claims_in_id_token {
        true => of(person, &grant.scopes),
        false => Map::new(),
    };
    claims.insert("sub".into(), json!(grant.sub));
    claims.insert("aud".into(), json!(grant.app));
    claims.insert("azp".into(), json!(grant.app));
    claims.insert("at_hash".into(), json!(half(access)));
    if let Some(proved) = grant.proved {
        claims.insert("auth_time".into(), json!(second(proved)));
    }
    if let Some(nonce) = &grant.nonce {
        claims.insert("nonce".into(), json!(nonce));
    }
    if let Some(session) = &grant.session {
        claims.insert("sid".into(), json!(session));
    }
    let (acr, amr) = means(&grant.how);
    claims.insert("acr".into(), json!(acr));
    if !amr.is_empty() {
        claims.insert("amr".into(), json!(amr));
    }
    Value::Object(claims)
}

/// The left half of a hash (OpenID Connect Core 1.0 §3.1.3.6).
fn half(words: &str) -> String {
    let hash = Sha256::digest(words.as_bytes());
    URL_SAFE_NO_PAD.encode(hash.get(..16).unwrap_or_default())
}

/// The answer of the token endpoint (RFC 6749 §5.1); `id` is the ID token, where there is one.
pub(crate) fn answer(issued: &Issued, id: Option<String>) -> Value {
    let scopes: Vec<&str> = issued.scopes.iter().map(String::as_str).collect();
    let mut answer = json!({
        "access_token": issued.access,
        "token_type": "Bearer",
        "expires_in": issued.lasts.as_secs(),
        "scope": scopes.join(" "),
    });
    if let Some(answer) = answer.as_object_mut() {
        answer.extend(issued.refresh.clone().map(|r| ("refresh_token".to_owned(), json!(r))));
        answer.extend(id.map(|id| ("id_token".to_owned(), json!(id))));
    }
    answer
}

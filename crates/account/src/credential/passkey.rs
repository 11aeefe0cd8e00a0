//! Passkeys: Web Authentication (W3C, level 3) with credentials that the device finds by itself and that ask for a PIN
//! or a finger, so that one of them is both factors at once.
//!
//! A passkey is bound to the host that made it. Browsers offer them on `https` and on `localhost`, and never for a bare
//! address; the host is the one the browser says it is on, since a page elsewhere cannot use what is bound to ours.

use super::factors::{Factors, Held, Owner, fact, late};
use super::sign_in::Visitor;
use crate::Accounts;
use kernel::{Error, ErrorKind, Id, Name, Principal, Result, Text, text};
use serde_json::Value;
use store::View;
use webauthn_rs::prelude::{
    AuthenticationResult, CredentialID, Passkey, PasskeyRegistration, PublicKeyCredential,
    RegisterPublicKeyCredential, Url, Uuid, Webauthn, WebauthnBuilder, WebauthnError,
};

/// Between the server's question and the browser's answer. In memory only, and answered once.
#[derive(Clone)]
pub(super) enum Ceremony {
    Register { user: Name, uid: Id, name: String, host: String, state: PasskeyRegistration },
    Prove { state: webauthn_rs::prelude::DiscoverableAuthentication },
}

/// The one who relies on a passkey: this naru, as the browser knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relying {
    /// The host without its port.
    pub host: String,
    pub origin: Url,
}

impl Relying {
    /// By the `Host` of a request. `None` where browsers offer no passkeys: at bare addresses.
    pub fn of(host: &str) -> Option<Relying> {
        let local = |h: &str| h == "localhost" || h.ends_with(".localhost");
        let bare = host.rsplit_once(':').map_or(host, |(name, port)| {
            if port.bytes().all(|b| b.is_ascii_digit()) { name } else { host }
        });
        let scheme = if local(bare) { "http" } else { "https" };
        let origin = Url::parse(&format!("{scheme}://{host}/")).ok()?;
        let plain =
            origin.path() == "/" && origin.query().is_none() && origin.username().is_empty();
        let named = origin.domain()?.to_owned();
        let fits = plain && (named == "localhost" || named.contains('.'));
        fits.then_some(Relying { host: named, origin })
    }

    fn webauthn(&self) -> Result<Webauthn> {
        let builder = WebauthnBuilder::new(&self.host, &self.origin).map_err(Error::internal)?;
        builder.rp_name("naru").build().map_err(Error::internal)
    }
}

/// Whether passkeys work at the host of a request.
pub fn available(host: &str) -> bool {
    Relying::of(host).is_some()
}

fn here(host: &str) -> Result<Relying> {
    Relying::of(host).ok_or_else(|| {
        Error::invalid(
            "passkey.host",
            Text::fixed(
                "browsers offer passkeys on https and on localhost only",
                "브라우저는 https와 localhost에서만 패스키를 지원합니다",
            ),
        )
        .hint(Text::fixed(
            "open this naru by its name, or as http://localhost:PORT on the machine itself",
            "이름으로 접속하거나, 그 기계에서는 http://localhost:포트로 여세요",
        ))
    })
}

/// An id as the sixteen bytes in which a passkey carries it.
pub(super) fn handle(id: &Id) -> Uuid {
    const ALPHABET: &str = "0123456789abcdefghjkmnpqrstvwxyz";
    let digit = |c: char| ALPHABET.find(c).unwrap_or(0) as u128;
    Uuid::from_u128(id.as_str().chars().fold(0, |n, c| n << 5 | digit(c)))
}

fn id_of_handle(handle: Uuid) -> Id {
    let bits = handle.as_u128();
    Id::new(i64::try_from(bits >> 80).unwrap_or(0), bits)
}

impl Accounts {
    /// The question to a browser that is to make a passkey for a user, and the code that its answer names.
    ///
    /// # Errors
    /// `passkey.host`; `user.unknown`.
    pub async fn begin_passkey(
        &self,
        user: &Name,
        name: &str,
        host: &str,
    ) -> Result<(String, Value)> {
        let relying = here(host)?;
        let wanted = user.clone();
        let read = move |v: &View<'_>| {
            let owner = Owner::known(v, &wanted)?;
            let factors = Factors::read(v, &owner.uid)?;
            Ok((owner, factors))
        };
        let (owner, factors) = self.store().read(read).await?;
        let held: Vec<CredentialID> =
            factors.passkeys.iter().map(|h| h.passkey.cred_id().clone()).collect();
        let title = if owner.title.is_empty() { user.as_str() } else { &owner.title };
        let (question, state) = relying
            .webauthn()?
            .start_passkey_registration(handle(&owner.uid), user.as_str(), title, Some(held))
            .map_err(Error::internal)?;
        let mut question = serde_json::to_value(question).map_err(Error::internal)?;
        // A sign-in begins without a name, so the device has to be able to find the passkey by itself.
        if let Some(selection) = question.pointer_mut("/publicKey/authenticatorSelection") {
            *selection = serde_json::json!({
                "residentKey": "required", "requireResidentKey": true, "userVerification": "required",
            });
        }
        let name = called(name);
        let ceremony = Ceremony::Register {
            user: user.clone(),
            uid: owner.uid,
            name,
            host: relying.host,
            state,
        };
        let code = self.desk().ceremonies.add(self.store().now(), user.as_str(), ceremony)?;
        Ok((code, question))
    }

    /// Takes a passkey on. Gives recovery codes when there were none.
    ///
    /// # Errors
    /// `sign-in.late`; `passkey.refused`; `passkey.many`.
    pub async fn finish_passkey(
        &self,
        user: &Name,
        code: &str,
        answer: Value,
        host: &str,
    ) -> Result<Vec<String>> {
        let taken = self.desk().ceremonies.take(self.store().now(), code);
        let Some(Ceremony::Register { user: whose, uid, name, host: bound, state }) = taken else {
            return Err(late());
        };
        let (relying, name_now) = (here(host)?, user.clone());
        let now = self.store().read(move |v| Owner::known(v, &name_now)).await?;
        // Asked for an account that is gone and came back under the same name: not this one's.
        if whose != *user || now.uid != uid || bound != relying.host {
            return Err(late());
        }
        let answer: RegisterPublicKeyCredential =
            serde_json::from_value(answer).map_err(|e| refused(&e.to_string()))?;
        let passkey = relying
            .webauthn()?
            .finish_passkey_registration(&answer, &state)
            .map_err(|e| refused(&e.to_string()))?;
        let say = text!("passkey “{name}” of {user} added", "{user}의 패스키 “{name}” 추가");
        let event = fact("passkey.added", user, Principal::User(user.clone()), say);
        self.edit(user, event, move |factors, now| {
            if factors.passkeys.iter().any(|h| h.passkey == passkey) {
                return Err(refused("registered before"));
            }
            factors.add_passkey(Held {
                name,
                passkey,
                host: bound,
                added: now,
                last_used: None,
            })?;
            factors.recovery_if_none()
        })
        .await
    }

    /// The question to a browser that is to show a passkey, whosever it is.
    ///
    /// # Errors
    /// `passkey.host`.
    pub fn ask_passkey(&self, visitor: &Visitor, host: &str) -> Result<(String, Value)> {
        let (mut question, state) =
            here(host)?.webauthn()?.start_discoverable_authentication().map_err(Error::internal)?;
        // Asked by a button, not by a field that completes itself.
        question.mediation = None;
        let source = visitor.source().to_string();
        let ceremony = Ceremony::Prove { state };
        let code = self.desk().ceremonies.add(self.store().now(), &source, ceremony)?;
        Ok((code, serde_json::to_value(question).map_err(Error::internal)?))
    }

    /// Whose passkey a browser has shown.
    ///
    /// # Errors
    /// `sign-in.late`; `passkey.refused`, whatever is wrong with it.
    pub(super) async fn check_passkey(
        &self,
        code: &str,
        answer: Value,
        host: &str,
    ) -> Result<Name> {
        let taken = self.desk().ceremonies.take(self.store().now(), code);
        let Some(Ceremony::Prove { state }) = taken else { return Err(late()) };
        let answer: PublicKeyCredential =
            serde_json::from_value(answer).map_err(|e| refused(&e.to_string()))?;
        let webauthn = here(host)?.webauthn()?;
        let webauthn_refused = |e: WebauthnError| refused(&e.to_string());
        let (uuid, credential) =
            webauthn.identify_discoverable_authentication(&answer).map_err(webauthn_refused)?;
        let (uid, credential) = (id_of_handle(uuid), credential.to_vec());
        let (owner, passkey) = self.passkey(uid, credential).await?;
        let shown = webauthn
            .finish_discoverable_authentication_v2(&answer, state, &passkey)
            .map_err(webauthn_refused)?;
        self.count_passkey(&owner, shown).await?;
        Ok(owner.name)
    }

    async fn passkey(&self, uid: Id, credential: Vec<u8>) -> Result<(Owner, Passkey)> {
        let read = move |v: &View<'_>| {
            let factors = Factors::read(v, &uid)?;
            let Some(name) = &factors.user else { return Ok(None) };
            let owner = Owner::find(v, name)?.filter(|o| o.uid == uid && !o.disabled);
            let same = |h: &&Held| AsRef::<[u8]>::as_ref(h.passkey.cred_id()) == credential;
            let passkey = factors.passkeys.iter().find(same).map(|h| h.passkey.clone());
            Ok(owner.zip(passkey))
        };
        self.store().read(read).await?.ok_or_else(|| refused("not known here"))
    }

    /// Notes the use of a passkey, and its counter: one that runs backwards is a copy, and is refused before it comes
    /// here.
    async fn count_passkey(&self, owner: &Owner, shown: AuthenticationResult) -> Result<()> {
        let owner = owner.clone();
        self.store()
            .write(move |tx| {
                let mut factors = Factors::read(tx, &owner.uid)?;
                let used = |h: &&mut Held| h.passkey.cred_id() == shown.cred_id();
                let now = tx.now();
                let Some(held) = factors.passkeys.iter_mut().find(used) else {
                    return Err(refused("removed meanwhile"));
                };
                held.passkey.update_credential(&shown);
                held.last_used = Some(now);
                factors.write(tx, &owner)
            })
            .await
    }
}

/// What a passkey is called, as its owner typed it.
fn called(name: &str) -> String {
    let name: String = name.trim().chars().filter(|c| !c.is_control()).take(60).collect();
    if name.is_empty() { "passkey".to_owned() } else { name }
}

pub(super) fn refused(why: &str) -> Error {
    Error::new(
        ErrorKind::Unauthenticated,
        "passkey.refused",
        Text::fixed("this passkey was not taken", "이 패스키를 받아들일 수 없습니다"),
    )
    .hint(Text::fixed(
        "try again, or sign in another way",
        "다시 시도하거나 다른 방법으로 로그인하세요",
    ))
    .why(why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_passkeys_work() {
        for (host, want) in [
            ("localhost:8080", Some(("localhost", "http://localhost:8080/"))),
            ("naru.example.com", Some(("naru.example.com", "https://naru.example.com/"))),
            ("naru.example.com:8443", Some(("naru.example.com", "https://naru.example.com:8443/"))),
            ("127.0.0.1:8080", None),
            ("[::1]:8080", None),
            ("naru", None),
            ("", None),
            ("a.example/evil", None),
            ("evil@a.example", None),
        ] {
            let found = Relying::of(host);
            let found = found.as_ref().map(|r| (r.host.as_str(), r.origin.as_str()));
            assert_eq!(found, want, "{host}");
        }
    }

    #[test]
    fn an_id_travels_as_sixteen_bytes_and_comes_back() {
        let id = Id::new(1_764_000_000_000, 0x1234_5678_9abc_def0_1234);
        assert_eq!(id_of_handle(handle(&id)), id);
    }
}

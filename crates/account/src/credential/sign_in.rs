//! The steps of signing in.

use super::attempts::Source;
use super::factors::{Factors, Owner, Password, late};
use super::rules::SignInRules;
use super::{Enrolment, Proof};
use crate::{Accounts, NewSession, Peer, secret};
use kernel::{Error, ErrorKind, Name, Principal, Result, Text};
use serde_json::Value;
use std::net::IpAddr;
use store::View;

/// Wrong second factors after which a sign-in starts over.
const TRIES: u8 = 5;

/// Who stands at the door.
#[derive(Clone, Debug)]
pub struct Visitor {
    pub address: IpAddr,
    /// What its browser calls itself.
    pub browser: String,
    /// The cookie by which a device that has been here is known.
    pub device: Option<String>,
    /// The cookie of the session that it came with: it ends when another one opens.
    pub session: Option<String>,
}

impl Visitor {
    pub fn source(&self) -> Source {
        Source::of(self.address)
    }

    pub(crate) fn peer(&self) -> Peer {
        Peer::new(self.address, Some(&self.browser))
    }
}

/// What a right password leads to.
#[derive(Clone, Debug)]
pub enum Step {
    Open(Opened),
    /// A second factor is asked for.
    Second(Half),
    /// The rules ask for a second factor, and there is none yet.
    Enrol(Half),
}

/// A sign-in that is half open: nothing but its next step can be done with it.
#[derive(Clone, Debug)]
pub struct Half {
    /// Its secret; good for five minutes.
    pub code: String,
    pub user: Name,
    pub need: Need,
}

/// What is still missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    Nothing,
    /// Which ways there are.
    Second {
        totp: bool,
        passkey: bool,
        recovery: bool,
    },
    Enrol,
}

/// A session that was opened.
#[derive(Clone, Debug)]
pub struct Opened {
    pub who: Principal,
    /// The secret of its cookie.
    pub session: String,
    /// The secret of the cookie of a device that was not known before.
    pub device: Option<String>,
}

#[derive(Clone)]
pub(super) struct Pending {
    owner: Owner,
    need: Need,
    tries: u8,
}

/// What is missing after the password.
pub(super) fn need(factors: &Factors, required: bool) -> Need {
    let (totp, passkey) = (factors.totp.is_some(), !factors.passkeys.is_empty());
    match (totp || passkey, required) {
        (true, _) => Need::Second { totp, passkey, recovery: !factors.recovery.is_empty() },
        (false, true) => Need::Enrol,
        (false, false) => Need::Nothing,
    }
}

/// What is known of the one who claims a name.
struct Claimed {
    owner: Option<Owner>,
    factors: Factors,
    required: bool,
}

impl Accounts {
    /// The first step: a user's name and password.
    ///
    /// # Errors
    /// `sign-in.wrong`, whatever is wrong; `sign-in.slow` after too many tries; `sign-in.busy`.
    pub async fn sign_in(&self, name: &str, password: String, visitor: &Visitor) -> Result<Step> {
        let typed: String = name.trim().to_lowercase().chars().take(64).collect();
        let claimed = self.claimed(&typed).await?;
        let of = self.attempt(&typed, &claimed.factors, visitor);
        self.admit(&of)?;
        let phc = claimed.factors.password.as_ref().map(|p| p.phc.clone());
        let compared = self.desk().hasher.compare(password.clone(), phc).await?;
        let owner = claimed.owner.as_ref().filter(|o| compared.right && !o.disabled);
        let Some(owner) = owner else {
            self.tell_failed(claimed.owner.as_ref(), visitor).await?;
            return Err(wrong());
        };
        self.passed(&of);
        if compared.stale {
            self.hash_anew(owner, password).await?;
        }
        self.step(owner.clone(), need(&claimed.factors, claimed.required), visitor).await
    }

    /// The step that is next for somebody whose first factor was right.
    pub(super) async fn step(&self, owner: Owner, need: Need, visitor: &Visitor) -> Result<Step> {
        if need == Need::Nothing {
            return self.open_session(&owner, visitor, "password").await.map(Step::Open);
        }
        let (user, now) = (owner.name.clone(), self.store().now());
        let pending = Pending { owner, need, tries: 0 };
        let code = self.desk().half.add(now, user.as_str(), pending)?;
        let half = Half { code, user, need };
        Ok(if need == Need::Enrol { Step::Enrol(half) } else { Step::Second(half) })
    }

    /// What is missing from a half-open sign-in.
    ///
    /// # Errors
    /// `sign-in.late`.
    pub fn half(&self, code: &str) -> Result<Half> {
        let found = self.desk().half.get(self.store().now(), code).ok_or_else(late)?;
        Ok(Half { code: code.to_owned(), user: found.owner.name, need: found.need })
    }

    /// The second step.
    ///
    /// # Errors
    /// `sign-in.late`; `totp.wrong`, `recovery.wrong`, `passkey.refused`; `sign-in.slow`.
    pub async fn second(
        &self,
        code: &str,
        proof: Proof,
        visitor: &Visitor,
        host: &str,
    ) -> Result<Opened> {
        let pending = self.desk().half.get(self.store().now(), code).ok_or_else(late)?;
        if !matches!(pending.need, Need::Second { .. }) || matches!(proof, Proof::Password(_)) {
            return Err(late());
        }
        let owner = pending.owner;
        // Applications ask how somebody has signed in.
        let how = match &proof {
            Proof::Totp(_) => "password+totp",
            Proof::Recovery(_) => "password+recovery",
            Proof::Passkey(..) => "password+passkey",
            Proof::Password(_) => "password",
        };
        if let Err(error) = self.prove(&owner, proof, visitor, host).await {
            if error.kind() == ErrorKind::Unauthenticated {
                self.desk().half.change(code, |p| p.tries += 1);
                if pending.tries + 1 >= TRIES {
                    self.desk().half.take(self.store().now(), code);
                }
            }
            return Err(error);
        }
        // Two answers at once open one session.
        self.desk().half.take(self.store().now(), code).ok_or_else(late)?;
        self.open_session(&owner, visitor, how).await
    }

    /// Signs in with a passkey alone.
    ///
    /// # Errors
    /// `sign-in.late`; `passkey.refused`.
    pub async fn sign_in_by_passkey(
        &self,
        code: &str,
        answer: Value,
        visitor: &Visitor,
        host: &str,
    ) -> Result<Opened> {
        let name = match self.check_passkey(code, answer, host).await {
            Ok(name) => name,
            Err(error) => {
                self.tell_failed(None, visitor).await?;
                return Err(error);
            }
        };
        let read = move |v: &View<'_>| Owner::known(v, &name);
        let owner = self.store().read(read).await?;
        self.open_session(&owner, visitor, "passkey").await
    }

    /// Signs in whoever holds a token.
    ///
    /// # Errors
    /// `auth.required`.
    pub async fn sign_in_by_token(&self, token: &str, visitor: &Visitor) -> Result<Opened> {
        let shown = self.authenticate(token, &visitor.peer()).await?;
        let who = shown.principal;
        // A session is never wider than the token that opened it.
        let new = NewSession {
            proved: true,
            scopes: shown.credential.scopes,
            instead_of: visitor.session.clone(),
            ..NewSession::new(who.clone(), visitor.peer(), "token")
        };
        let session = self.begin_session(new).await?;
        Ok(Opened { who, session, device: None })
    }

    /// Signs in by a one-time link, which is used up whether or not the caller hears the answer.
    ///
    /// # Errors
    /// `link.spent`.
    pub async fn sign_in_by_link(&self, code: &str, visitor: &Visitor) -> Result<Opened> {
        let who = self.redeem_link(code).await?;
        let new = NewSession {
            proved: true,
            instead_of: visitor.session.clone(),
            ..NewSession::new(who.clone(), visitor.peer(), "link")
        };
        let session = self.begin_session(new).await?;
        Ok(Opened { who, session, device: None })
    }

    /// An authenticator app for somebody who cannot sign in without one.
    ///
    /// # Errors
    /// `sign-in.late`.
    pub fn enrol_half(&self, code: &str, host: &str) -> Result<Enrolment> {
        let half = self.half(code)?;
        if half.need != Need::Enrol {
            return Err(late());
        }
        self.begin_totp(&half.user, host)
    }

    /// The app's first code: the sign-in opens, and there are recovery codes.
    ///
    /// # Errors
    /// `sign-in.late`; `totp.wrong`.
    pub async fn finish_enrol(
        &self,
        code: &str,
        enrolment: &str,
        digits: &str,
        visitor: &Visitor,
    ) -> Result<(Opened, Vec<String>)> {
        let pending = self.desk().half.get(self.store().now(), code).ok_or_else(late)?;
        if pending.need != Need::Enrol {
            return Err(late());
        }
        let codes = self.finish_totp(&pending.owner.name, enrolment, digits).await?;
        self.desk().half.take(self.store().now(), code).ok_or_else(late)?;
        Ok((self.open_session(&pending.owner, visitor, "password+totp").await?, codes))
    }

    /// Opens a session with a new secret, whatever cookie the browser came with, and gets to know the device.
    async fn open_session(
        &self,
        owner: &Owner,
        visitor: &Visitor,
        how: &'static str,
    ) -> Result<Opened> {
        let fresh = secret::draw()?;
        let (met, known, place) = (owner.clone(), visitor.device.clone(), visitor.source());
        let new = secret::hash(&fresh);
        let unknown = self
            .store()
            .write(move |tx| {
                let mut factors = Factors::read(tx, &met.uid)?;
                let now = tx.now();
                let known = known.and_then(|cookie| factors.device(&cookie, now));
                let unknown = known.is_none();
                factors.meet(known.unwrap_or(new), place.to_string(), now);
                factors.write(tx, &met)?;
                Ok(unknown)
            })
            .await?;
        let who = Principal::User(owner.name.clone());
        let new = NewSession {
            proved: true,
            instead_of: visitor.session.clone(),
            ..NewSession::new(who.clone(), visitor.peer(), how)
        };
        let session = self.begin_session(new).await?;
        Ok(Opened { who, session, device: unknown.then_some(fresh) })
    }

    async fn claimed(&self, typed: &str) -> Result<Claimed> {
        let name = Name::parse(typed).ok();
        let read = move |v: &View<'_>| {
            let rules = SignInRules::read(v)?;
            let owner = name.map(|n| Owner::find(v, &n)).transpose()?.flatten();
            let factors = owner.as_ref().map(|o| Factors::read(v, &o.uid)).transpose()?;
            let required = owner.as_ref().is_some_and(|o| rules.second_factor(o.administrator));
            Ok(Claimed { owner, factors: factors.unwrap_or_default(), required })
        };
        self.store().read(read).await
    }

    /// Hashes a password with today's parameters; what it is stays.
    async fn hash_anew(&self, owner: &Owner, password: String) -> Result<()> {
        let (phc, owner) = (self.desk().hasher.hash(password).await?, owner.clone());
        self.store()
            .write(move |tx| {
                let mut factors = Factors::read(tx, &owner.uid)?;
                if let Some(held) = &mut factors.password {
                    *held = Password { phc, changed: held.changed };
                }
                factors.write(tx, &owner)
            })
            .await
    }

    /// How many passwords were compared or hashed so far.
    #[doc(hidden)]
    pub fn hashes_done(&self) -> u64 {
        self.desk().hasher.done()
    }

    /// Gets ready for the first sign-in, so that it takes as long as any other.
    pub async fn warm(&self) -> Result<()> {
        self.desk().hasher.warm().await
    }
}

pub(super) fn wrong() -> Error {
    Error::new(
        ErrorKind::Unauthenticated,
        "sign-in.wrong",
        Text::fixed("this name and password do not fit", "이름이나 비밀번호가 맞지 않습니다"),
    )
    .hint(Text::fixed(
        "an administrator can give you a link for a new password: `naru user password NAME`",
        "관리자가 새 비밀번호용 링크를 만들어 줄 수 있습니다: `naru user password NAME`",
    ))
}

//! One proof of somebody known: a password once more, a code of an app, a recovery code, a passkey.

use super::factors::{Factors, Owner, fact, wrong_code};
use super::passkey::refused;
use super::sign_in::{Visitor, wrong};
use super::{recovery, totp};
use crate::Accounts;
use kernel::{Error, ErrorKind, Name, Principal, Result, Text, text};
use serde_json::Value;
use store::View;

/// What a person shows as the second step, or once more.
#[derive(Clone, Debug)]
pub enum Proof {
    /// Only once more: it has been the first step.
    Password(String),
    Totp(String),
    Recovery(String),
    /// The code of the ceremony, and the browser's answer as JSON.
    Passkey(String, Value),
}

impl Accounts {
    /// Somebody who is signed in proves once more who he is. `cookie` is that of the session, which is fresh then and
    /// has a new secret: the answer.
    ///
    /// # Errors
    /// `sign-in.wrong`, `totp.wrong`, `recovery.wrong`, `passkey.refused`; `sign-in.slow`.
    pub async fn prove_again(
        &self,
        user: &Name,
        cookie: &str,
        proof: Proof,
        visitor: &Visitor,
        host: &str,
    ) -> Result<String> {
        let name = user.clone();
        let read = move |v: &View<'_>| Owner::known(v, &name);
        let owner = self.store().read(read).await?;
        self.prove(&owner, proof, visitor, host).await?;
        self.renew_session(cookie).await
    }

    /// Checks one proof of a known owner, within the owner's budget.
    pub(super) async fn prove(
        &self,
        owner: &Owner,
        proof: Proof,
        visitor: &Visitor,
        host: &str,
    ) -> Result<()> {
        let uid = owner.uid.clone();
        let factors = self.store().read(move |v| Factors::read(v, &uid)).await?;
        // Codes have a budget apart from passwords: who has guessed the password has not used this one up.
        let account = format!("{}#2", owner.name);
        let of = self.attempt(&account, &factors, visitor);
        self.admit(&of)?;
        let proved = match proof {
            Proof::Password(given) => {
                let phc = factors.password.map(|p| p.phc);
                let compared = self.desk().hasher.compare(given, phc).await?;
                compared.right.then_some(()).ok_or_else(wrong)
            }
            Proof::Totp(digits) => self.take_totp(owner, digits).await,
            Proof::Recovery(words) => self.take_recovery(owner, words).await,
            Proof::Passkey(code, answer) => {
                let name = self.check_passkey(&code, answer, host).await;
                name.and_then(|n| {
                    (n == owner.name).then_some(()).ok_or_else(|| refused("another's"))
                })
            }
        };
        match proved {
            Ok(()) => self.passed(&of),
            Err(_) => self.tell_failed(Some(owner), visitor).await?,
        }
        proved
    }

    async fn take_totp(&self, owner: &Owner, digits: String) -> Result<()> {
        let (seal, owner) = (self.seal()?, owner.clone());
        // In one transaction, so that of two answers with the same code one is late.
        self.store()
            .write(move |tx| {
                let mut factors = Factors::read(tx, &owner.uid)?;
                let totp = factors.totp.as_mut().ok_or_else(wrong_code)?;
                let secret = seal.open(&totp.sealed, owner.name.as_str())?;
                let step = totp::step(&secret, &digits, tx.now(), totp.used);
                totp.used = Some(step.ok_or_else(wrong_code)?);
                factors.write(tx, &owner)
            })
            .await
    }

    async fn take_recovery(&self, owner: &Owner, words: String) -> Result<()> {
        let owner = owner.clone();
        self.store()
            .write(move |tx| {
                let mut factors = Factors::read(tx, &owner.uid)?;
                if !recovery::take(&mut factors.recovery, &words) {
                    return Err(wrong_recovery());
                }
                let (user, left) = (&owner.name, factors.recovery.len());
                let say = text!(
                    "{user} used a recovery code; {left} are left",
                    "{user} 복구 코드 사용, {left}개 남음"
                );
                let event = fact("recovery.used", user, Principal::User(user.clone()), say);
                factors.write(tx, &owner)?;
                tx.append(event).map(drop)
            })
            .await
    }
}

fn wrong_recovery() -> Error {
    Error::new(
        ErrorKind::Unauthenticated,
        "recovery.wrong",
        Text::fixed(
            "this recovery code is not right, or was used",
            "복구 코드가 틀렸거나 이미 쓰였습니다",
        ),
    )
    .hint(Text::fixed("each of the ten works once", "열 개의 코드는 각각 한 번만 쓸 수 있습니다"))
}

//! What one account holds, and how it is set up and taken away.

use super::rules::SignInRules;
use super::seal::Seal;
use super::{password, recovery, totp};
use crate::{Accounts, User};
use kernel::{Error, ErrorKind, Id, Key, Name, NewEvent, Principal, Result, Text, Time, text};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use store::{Tx, View};
use webauthn_rs::prelude::Passkey;

/// Rows of what accounts hold, under the accounts' stable ids.
const SPACE: &str = "account.credential";
/// Browsers that an account has signed in with and is known by.
const DEVICES: usize = 20;
/// How long a browser stays known without a sign-in.
const DEVICE_LASTS: Duration = Duration::from_secs(180 * 24 * 3600);
/// Passkeys of one account.
const PASSKEYS: usize = 20;

/// All that an account holds.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Factors {
    /// Whose they are: a passkey names its owner by the stable id alone.
    pub user: Option<Name>,
    pub password: Option<Password>,
    pub totp: Option<Totp>,
    pub passkeys: Vec<Held>,
    /// Hashes of the recovery codes that are left.
    pub recovery: Vec<String>,
    pub devices: Vec<Device>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Password {
    /// argon2id in the PHC string format.
    pub phc: String,
    pub changed: Time,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Totp {
    /// See [`Seal`].
    pub sealed: String,
    pub since: Time,
    /// The step of the last code that was taken.
    pub used: Option<i64>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Held {
    /// What its owner calls it.
    pub name: String,
    pub passkey: Passkey,
    /// The host it is bound to.
    pub host: String,
    pub added: Time,
    pub last_used: Option<Time>,
}

/// A browser that has signed in before. It holds a cookie of which this is the hash.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Device {
    pub hash: String,
    pub seen: Time,
    /// The address it came from last, as [`super::Source`] shows it.
    pub source: String,
}

/// What an account holds, without any of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FactorsView {
    /// When the password was set.
    pub password: Option<Time>,
    /// Since when there is an authenticator app.
    pub totp: Option<Time>,
    pub passkeys: Vec<PasskeyView>,
    /// Recovery codes that are left.
    pub recovery: usize,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PasskeyView {
    /// Of its credential id, for addresses.
    pub id: String,
    pub name: String,
    /// The host it is bound to.
    pub host: String,
    pub added: Time,
    pub last_used: Option<Time>,
}

impl FactorsView {
    /// Whether there is something besides a password.
    pub fn second(&self) -> bool {
        self.totp.is_some() || !self.passkeys.is_empty()
    }
}

/// An authenticator app on its way in.
#[derive(Clone, Debug)]
pub struct Enrolment {
    /// Names this enrolment; good for five minutes.
    pub code: String,
    /// `otpauth://…`, for the picture.
    pub uri: String,
    /// The secret in groups of four letters, for typing.
    pub secret: String,
}

#[derive(Clone)]
pub(super) struct Pending {
    user: Name,
    secret: Vec<u8>,
}

/// An account as a sign-in sees it.
#[derive(Clone, Debug)]
pub(super) struct Owner {
    pub uid: Id,
    pub name: Name,
    pub title: String,
    pub administrator: bool,
    pub disabled: bool,
}

impl Owner {
    pub fn find(view: &View<'_>, name: &Name) -> Result<Option<Owner>> {
        let Some(found) = view.resource(&Key::global::<User>(name))? else { return Ok(None) };
        let user: User = found.spec()?;
        Ok(Some(Owner {
            uid: found.uid,
            name: name.clone(),
            title: user.title,
            administrator: user.administrator,
            disabled: user.disabled,
        }))
    }

    /// # Errors
    /// `user.unknown`.
    pub fn known(view: &View<'_>, name: &Name) -> Result<Owner> {
        Owner::find(view, name)?.ok_or_else(|| unknown(name))
    }
}

pub(super) fn unknown(name: &Name) -> Error {
    Error::not_found("user.unknown", text!("there is no user {name}", "{name} 사용자가 없습니다"))
        .hint(text!("`naru user create {name}` makes one", "`naru user create {name}`로 만드세요"))
}

impl Factors {
    pub fn read(view: &View<'_>, uid: &Id) -> Result<Factors> {
        Ok(view.row(SPACE, uid.as_str())?.unwrap_or_default())
    }

    pub fn write(mut self, tx: &mut Tx<'_>, owner: &Owner) -> Result<()> {
        self.user = Some(owner.name.clone());
        tx.set_row(SPACE, owner.uid.as_str(), &self)
    }

    pub fn view(&self) -> FactorsView {
        let passkey = |h: &Held| PasskeyView {
            id: id_of(&h.passkey),
            name: h.name.clone(),
            host: h.host.clone(),
            added: h.added,
            last_used: h.last_used,
        };
        FactorsView {
            password: self.password.as_ref().map(|p| p.changed),
            totp: self.totp.as_ref().map(|t| t.since),
            passkeys: self.passkeys.iter().map(passkey).collect(),
            recovery: self.recovery.len(),
        }
    }

    /// Whether the device of this cookie is one of the account's.
    pub fn device(&self, cookie: &str, now: Time) -> Option<String> {
        let hash = crate::secret::hash(cookie);
        let known = |d: &&Device| d.hash == hash && now.since(d.seen) < DEVICE_LASTS;
        self.devices.iter().find(known).map(|d| d.hash.clone())
    }

    pub fn familiar(&self, source: &str, now: Time) -> bool {
        self.devices.iter().any(|d| d.source == source && now.since(d.seen) < DEVICE_LASTS)
    }

    /// Remembers a browser that has signed in; the one that was away longest makes room.
    pub fn meet(&mut self, hash: String, source: String, now: Time) {
        self.devices.retain(|d| d.hash != hash && now.since(d.seen) < DEVICE_LASTS);
        self.devices.push(Device { hash, seen: now, source });
        let over = self.devices.len().saturating_sub(DEVICES);
        self.devices.drain(..over);
    }

    pub fn recovery_if_none(&mut self) -> Result<Vec<String>> {
        if !self.recovery.is_empty() {
            return Ok(Vec::new());
        }
        let (codes, hashes) = recovery::draw()?;
        self.recovery = hashes;
        Ok(codes)
    }

    pub fn add_passkey(&mut self, held: Held) -> Result<()> {
        if self.passkeys.len() >= PASSKEYS {
            return Err(Error::conflict(
                "passkey.many",
                text!(
                    "an account has {PASSKEYS} passkeys at most",
                    "계정 하나에 패스키는 {PASSKEYS}개까지입니다"
                ),
            )
            .hint(Text::fixed("remove one first", "먼저 하나를 지우세요")));
        }
        self.passkeys.push(held);
        Ok(())
    }
}

pub(super) fn id_of(passkey: &Passkey) -> String {
    use base64::Engine;
    base64::engine::general_purpose::URL_SAFE_NO_PAD
        .encode(AsRef::<[u8]>::as_ref(passkey.cred_id()))
}

/// A fact about what somebody proves himself with.
pub(super) fn fact(kind: &str, user: &Name, actor: Principal, say: Text) -> NewEvent {
    NewEvent::new(kind, actor, say).subject(Key::global::<User>(user))
}

impl Accounts {
    /// What a user holds.
    ///
    /// # Errors
    /// `user.unknown`.
    pub async fn factors(&self, user: &Name) -> Result<FactorsView> {
        let name = user.clone();
        let read = move |v: &View<'_>| {
            let owner = Owner::known(v, &name)?;
            Ok(Factors::read(v, &owner.uid)?.view())
        };
        self.store().read(read).await
    }

    /// The rules of signing in.
    pub async fn sign_in_rules(&self) -> Result<SignInRules> {
        self.store().read(SignInRules::read).await
    }

    /// Sets a user's password.
    ///
    /// # Errors
    /// `user.unknown`; `password.short`, `.long`, `.known`; `sign-in.busy`.
    pub async fn set_password(&self, user: &Name, new: String, actor: Principal) -> Result<()> {
        let shortest = self.sign_in_rules().await?.shortest();
        password::check(&new, user.as_str(), shortest)?;
        let phc = self.desk().hasher.hash(new).await?;
        let say = text!("password of {user} set", "{user}의 비밀번호 설정");
        let event = fact("password.changed", user, actor, say);
        self.edit(user, event, move |factors, now| {
            factors.password = Some(Password { phc, changed: now });
            Ok(())
        })
        .await
    }

    /// Takes a user's password away: passkeys and links remain.
    ///
    /// # Errors
    /// `user.unknown`; `credential.last`, when it is the only way in.
    pub async fn remove_password(&self, user: &Name, actor: Principal) -> Result<()> {
        let say = text!("password of {user} removed", "{user}의 비밀번호 삭제");
        let event = fact("password.removed", user, actor, say);
        self.edit(user, event, |factors, _| {
            if factors.passkeys.is_empty() {
                return Err(last());
            }
            factors.password = None;
            Ok(())
        })
        .await
    }

    /// Draws a secret for an authenticator app. It counts once [`Accounts::finish_totp`] has seen a code of it.
    ///
    /// # Errors
    /// Internal, when the system has no randomness.
    pub fn begin_totp(&self, user: &Name, host: &str) -> Result<Enrolment> {
        let secret = totp::draw()?;
        let uri = totp::uri(&secret, &format!("naru {host}"), user.as_str());
        let letters: Vec<char> = totp::base32(&secret).chars().collect();
        let groups: Vec<String> = letters.chunks(4).map(|g| g.iter().collect()).collect();
        let pending = Pending { user: user.clone(), secret };
        let code = self.desk().enrolments.add(self.store().now(), user.as_str(), pending)?;
        Ok(Enrolment { code, uri, secret: groups.join(" ") })
    }

    /// The enrolment of this code once more, to be shown again after a mistyped code.
    ///
    /// # Errors
    /// `sign-in.late`.
    pub fn enrolment(&self, code: &str, host: &str) -> Result<Enrolment> {
        let found = self.desk().enrolments.get(self.store().now(), code).ok_or_else(late)?;
        let uri = totp::uri(&found.secret, &format!("naru {host}"), found.user.as_str());
        let letters: Vec<char> = totp::base32(&found.secret).chars().collect();
        let groups: Vec<String> = letters.chunks(4).map(|g| g.iter().collect()).collect();
        Ok(Enrolment { code: code.to_owned(), uri, secret: groups.join(" ") })
    }

    /// Takes an authenticator app on whose code is right. Gives recovery codes when there were none; they are shown
    /// here and nowhere else.
    ///
    /// # Errors
    /// `sign-in.late` when it took longer than five minutes; `totp.wrong`.
    pub async fn finish_totp(&self, user: &Name, code: &str, digits: &str) -> Result<Vec<String>> {
        let now = self.store().now();
        let pending = self.desk().enrolments.get(now, code).filter(|p| p.user == *user);
        let pending = pending.ok_or_else(late)?;
        let used = totp::step(&pending.secret, digits, now, None).ok_or_else(wrong_code)?;
        let name = user.clone();
        let seal = self.seal()?;
        let actor = Principal::User(user.clone());
        let say = text!("{user} has an authenticator app", "{user}의 인증 앱 등록");
        let event = fact("totp.enrolled", user, actor, say);
        let codes = self
            .edit(user, event, move |factors, now| {
                let sealed = seal.close(&pending.secret, name.as_str())?;
                factors.totp = Some(Totp { sealed, since: now, used: Some(used) });
                factors.recovery_if_none()
            })
            .await?;
        self.desk().enrolments.take(now, code);
        Ok(codes)
    }

    /// # Errors
    /// `user.unknown`; `credential.required`, when a second factor is asked of this user and it is the only one.
    pub async fn remove_totp(&self, user: &Name, actor: Principal) -> Result<()> {
        let say = text!("authenticator app of {user} removed", "{user}의 인증 앱 삭제");
        let event = fact("totp.removed", user, actor, say);
        self.edit_kept(user, event, |factors| factors.totp = None).await
    }

    /// # Errors
    /// As [`Accounts::remove_totp`]; `passkey.unknown`; `credential.last`.
    pub async fn remove_passkey(&self, user: &Name, id: &str, actor: Principal) -> Result<()> {
        let held = self.factors(user).await?;
        let passkey = held.passkeys.iter().find(|p| p.id == id).ok_or_else(|| {
            Error::not_found(
                "passkey.unknown",
                text!("{user} has no such passkey", "{user}에게 그런 패스키가 없습니다"),
            )
        })?;
        if held.password.is_none() && held.passkeys.len() == 1 {
            return Err(last());
        }
        let (id, name) = (id.to_owned(), passkey.name.clone());
        let say = text!("passkey “{name}” of {user} removed", "{user}의 패스키 “{name}” 삭제");
        let event = fact("passkey.removed", user, actor, say);
        self.edit_kept(user, event, move |f| f.passkeys.retain(|h| id_of(&h.passkey) != id)).await
    }

    /// Ten new recovery codes; the old ones work no more.
    ///
    /// # Errors
    /// `user.unknown`.
    pub async fn renew_recovery(&self, user: &Name, actor: Principal) -> Result<Vec<String>> {
        let say = text!("new recovery codes of {user}", "{user}의 새 복구 코드");
        let event = fact("recovery.renewed", user, actor, say);
        self.edit(user, event, |factors, _| {
            let (codes, hashes) = recovery::draw()?;
            factors.recovery = hashes;
            Ok(codes)
        })
        .await
    }

    /// Takes everything away that a user proves himself with: for somebody who has lost phone and paper, and for
    /// somebody who leaves.
    ///
    /// # Errors
    /// `user.unknown`.
    pub async fn reset_factors(&self, user: &Name, actor: Principal) -> Result<()> {
        let say = text!("sign-in of {user} reset", "{user}의 로그인 수단 초기화");
        let event = fact("credential.reset", user, actor, say);
        self.edit(user, event, |factors, _| {
            *factors = Factors::default();
            Ok(())
        })
        .await
    }

    /// Changes what a user holds, and says so, in one transaction.
    pub(super) async fn edit<T: Send + 'static>(
        &self,
        user: &Name,
        event: NewEvent,
        change: impl FnOnce(&mut Factors, Time) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let name = user.clone();
        self.store()
            .write(move |tx| {
                let owner = Owner::known(tx, &name)?;
                let mut factors = Factors::read(tx, &owner.uid)?;
                let now = tx.now();
                let out = change(&mut factors, now)?;
                factors.write(tx, &owner)?;
                tx.append(event)?;
                Ok(out)
            })
            .await
    }

    /// As [`Accounts::edit`], refused when it takes away a second factor that the rules ask for.
    async fn edit_kept(
        &self,
        user: &Name,
        event: NewEvent,
        change: impl FnOnce(&mut Factors) + Send + 'static,
    ) -> Result<()> {
        let name = user.clone();
        self.store()
            .write(move |tx| {
                let owner = Owner::known(tx, &name)?;
                let mut factors = Factors::read(tx, &owner.uid)?;
                change(&mut factors);
                let needed = SignInRules::read(tx)?.second_factor(owner.administrator);
                if needed && !factors.view().second() {
                    return Err(required());
                }
                factors.write(tx, &owner)?;
                tx.append(event).map(drop)
            })
            .await
    }

    pub(super) fn seal(&self) -> Result<Seal> {
        let key = self.sealing_key();
        Seal::new(&key.ok_or_else(|| Error::internal("no keys are opened"))?)
    }
}

pub(super) fn late() -> Error {
    Error::new(
        ErrorKind::Unauthenticated,
        "sign-in.late",
        Text::fixed(
            "that took too long, or was done already",
            "시간이 지났거나 이미 끝난 일입니다",
        ),
    )
    .hint(Text::fixed("start again from the first step", "처음부터 다시 하세요"))
}

pub(super) fn wrong_code() -> Error {
    Error::new(
        ErrorKind::Unauthenticated,
        "totp.wrong",
        Text::fixed("this code is not right", "코드가 맞지 않습니다"),
    )
    .hint(Text::fixed(
        "each code works once; wait for the next one, and see that the phone's clock is right",
        "코드는 한 번만 쓸 수 있습니다. 다음 코드를 기다리고, 휴대전화의 시계가 맞는지 확인하세요",
    ))
}

fn last() -> Error {
    Error::conflict(
        "credential.last",
        Text::fixed(
            "without this there would be no way in any more",
            "이것이 없으면 로그인할 방법이 없어집니다",
        ),
    )
    .hint(Text::fixed("set up another one first", "먼저 다른 수단을 등록하세요"))
}

fn required() -> Error {
    Error::conflict(
        "credential.required",
        Text::fixed(
            "this naru asks for a second factor, and this is the last one",
            "이 naru는 두 번째 인증 수단을 요구하며, 이것이 마지막 수단입니다",
        ),
    )
    .hint(Text::fixed("set up another one first", "먼저 다른 수단을 등록하세요"))
}

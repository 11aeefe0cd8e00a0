//! Invitations: a link by which somebody sets the first password, or a new one.
//!
//! Looking at it uses nothing up, since mail programs look at every link; setting the password does.

use super::factors::{Factors, Owner, Password, fact};
use super::password;
use super::rules::SignInRules;
use super::sign_in::{Step, Visitor};
use crate::{Accounts, secret};
use kernel::{Error, ErrorKind, Id, Name, Principal, Result, Text, Time, text};
use serde::{Deserialize, Serialize};
use store::{Tx, View};

/// Invitations by the hash of their code.
const SPACE: &str = "account.invitation";
/// The hash of the one invitation of an account, by its id.
const LATEST: &str = "account.invited";

/// The path of an invitation, before its code.
pub const INVITATION: &str = "/invitation/";

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Row {
    user: Name,
    uid: Id,
    until: Time,
}

/// Whom an invitation is for.
#[derive(Clone, Debug, Serialize)]
pub struct Invited {
    pub user: Name,
    pub title: String,
    pub until: Time,
    /// The fewest letters of the password to be set.
    pub shortest_password: usize,
}

impl Accounts {
    /// A code with which a user sets a password and signs in, once, and until when. Earlier ones work no more.
    ///
    /// # Errors
    /// `user.unknown`; `user.disabled`.
    pub async fn invite(&self, user: &Name, actor: Principal) -> Result<(String, Time)> {
        let (code, name) = (secret::draw()?, user.clone());
        let key = secret::hash(&code);
        let until = self
            .store()
            .write(move |tx| {
                let owner = Owner::known(tx, &name)?;
                if owner.disabled {
                    return Err(disabled(&name));
                }
                let until = tx.now().plus(SignInRules::read(tx)?.invitation());
                withdraw(tx, &owner.uid)?;
                let row = Row { user: name.clone(), uid: owner.uid.clone(), until };
                tx.set_row(SPACE, &key, &row)?;
                tx.set_row(LATEST, owner.uid.as_str(), &key)?;
                let say = text!("{name} invited", "{name} 초대");
                tx.append(fact("user.invited", &name, actor, say))?;
                Ok(until)
            })
            .await?;
        Ok((code, until))
    }

    /// Whom the invitation of this code is for.
    ///
    /// # Errors
    /// `invitation.spent`.
    pub async fn invitation(&self, code: &str) -> Result<Invited> {
        let key = secret::hash(code);
        let read = move |v: &View<'_>| {
            let (row, owner) = found(v, &key)?;
            let shortest_password = SignInRules::read(v)?.shortest();
            Ok(Invited { user: row.user, title: owner.title, until: row.until, shortest_password })
        };
        self.store().read(read).await
    }

    /// Sets the password and goes on as after a right one.
    ///
    /// # Errors
    /// `invitation.spent`; `password.short`, `.long`, `.known`; `sign-in.busy`.
    pub async fn accept(&self, code: &str, new: String, visitor: &Visitor) -> Result<Step> {
        let invited = self.invitation(code).await?;
        password::check(&new, invited.user.as_str(), invited.shortest_password)?;
        let phc = self.desk().hasher.hash(new).await?;
        let key = secret::hash(code);
        let (owner, need) = self
            .store()
            .write(move |tx| {
                let (_, owner) = found(tx, &key)?;
                withdraw(tx, &owner.uid)?;
                let mut factors = Factors::read(tx, &owner.uid)?;
                factors.password = Some(Password { phc, changed: tx.now() });
                let required = SignInRules::read(tx)?.second_factor(owner.administrator);
                let need = super::sign_in::need(&factors, required);
                factors.write(tx, &owner)?;
                let (name, actor) = (&owner.name, Principal::User(owner.name.clone()));
                let say = text!("{name} set a password by a link", "{name} 링크로 비밀번호 설정");
                tx.append(fact("password.changed", name, actor, say))?;
                Ok((owner, need))
            })
            .await?;
        self.step(owner, need, visitor).await
    }
}

/// The invitation that is good, and whose it is.
fn found(v: &View<'_>, key: &str) -> Result<(Row, Owner)> {
    let row: Row = v.row(SPACE, key)?.ok_or_else(spent)?;
    let owner = Owner::find(v, &row.user)?.filter(|o| o.uid == row.uid && !o.disabled);
    match owner {
        Some(owner) if row.until > v.now() => Ok((row, owner)),
        _ => Err(spent()),
    }
}

/// Ends the invitation of an account, if there is one.
pub(super) fn withdraw(tx: &mut Tx<'_>, uid: &Id) -> Result<()> {
    if let Some(key) = tx.row::<String>(LATEST, uid.as_str())? {
        tx.delete_row(SPACE, &key)?;
        tx.delete_row(LATEST, uid.as_str())?;
    }
    Ok(())
}

fn disabled(name: &Name) -> Error {
    Error::conflict(
        "user.disabled",
        text!("{name} is disabled", "{name} 사용자는 비활성 상태입니다"),
    )
    .hint(text!("`naru user enable {name}` first", "먼저 `naru user enable {name}`을 쓰세요"))
}

fn spent() -> Error {
    Error::new(
        ErrorKind::Unauthenticated,
        "invitation.spent",
        Text::fixed(
            "this invitation was used already or is too old",
            "이미 쓰였거나 오래된 초대 링크입니다",
        ),
    )
    .hint(Text::fixed("ask an administrator for a new one", "관리자에게 새 링크를 부탁하세요"))
}

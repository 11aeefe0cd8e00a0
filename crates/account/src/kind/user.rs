//! People.

use super::{PgpKey, SshKey, USER, field};
use kernel::{Error, Kind, Name, Result, Text};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// A person. The fields are those that directories ask for: inetOrgPerson (RFC 2798), posixAccount (RFC 2307) and
/// the core schema of SCIM (RFC 7643 §4.1).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct User {
    /// How others see them: a display name.
    pub title: String,
    /// May do everything, in every project.
    pub administrator: bool,
    /// Cannot sign in, and nothing of theirs is open. What they did stays theirs.
    pub disabled: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub given_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub family_name: Option<String>,
    /// The first primary one, or else the first, is where mail goes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mails: Vec<Mail>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub organization: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub department: Option<String>,
    /// What they are by profession: `title` of inetOrgPerson.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job_title: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub employee_number: Option<String>,
    /// Another user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub manager: Option<Name>,
    /// A language tag (BCP 47): `ko`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preferred_language: Option<String>,
    /// An entry of the time zone database: `Asia/Seoul`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
    /// `/bin/bash` when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub login_shell: Option<String>,
    /// `/home/NAME` when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub home_directory: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ssh_keys: Vec<SshKey>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub pgp_keys: Vec<PgpKey>,
    /// What the directory that they come from calls them: `externalId` of SCIM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
}

/// One address of mail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Mail {
    pub address: String,
    #[serde(default, rename = "type")]
    pub of: Address,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub primary: bool,
}

/// What an address is for (RFC 7643 §4.1.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Address {
    #[default]
    Work,
    Home,
    Other,
}

/// What naru has given them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct UserStatus {
    /// Never another's, even after they have gone.
    pub uid_number: Option<u32>,
    /// Of a group of their own.
    pub gid_number: Option<u32>,
    /// `SHA256:…`, in the order of `ssh_keys`.
    pub ssh_fingerprints: Vec<String>,
    /// Upper-case hex, in the order of `pgp_keys`.
    pub pgp_fingerprints: Vec<String>,
}

impl User {
    /// Addresses of one person.
    const MAILS: usize = 20;
    /// Keys of one person, of each sort.
    const KEYS: usize = 50;

    pub(crate) fn administrator() -> User {
        User { title: "Administrator".into(), administrator: true, ..User::default() }
    }

    /// Where mail for them goes.
    pub fn mail(&self) -> Option<&str> {
        let primary = self.mails.iter().find(|m| m.primary).or(self.mails.first());
        primary.map(|m| m.address.as_str())
    }
}

impl Kind for User {
    const KIND: &'static str = USER;
    type Status = UserStatus;

    fn check(&self) -> Result<()> {
        field::line("title", &self.title)?;
        field::lines([
            ("given_name", &self.given_name),
            ("family_name", &self.family_name),
            ("phone", &self.phone),
            ("organization", &self.organization),
            ("department", &self.department),
            ("job_title", &self.job_title),
            ("employee_number", &self.employee_number),
            ("timezone", &self.timezone),
            ("external_id", &self.external_id),
        ])?;
        if let Some(words) = &self.preferred_language {
            field::language("preferred_language", words)?;
        }
        for (name, words) in
            [("login_shell", &self.login_shell), ("home_directory", &self.home_directory)]
        {
            words.as_deref().map_or(Ok(()), |words| field::path(name, words))?;
        }
        check_mails(&self.mails)?;
        field::count("ssh_keys", self.ssh_keys.len(), User::KEYS)?;
        field::count("pgp_keys", self.pgp_keys.len(), User::KEYS)?;
        super::key::check(&self.ssh_keys, &self.pgp_keys)
    }
}

fn check_mails(mails: &[Mail]) -> Result<()> {
    field::count("mails", mails.len(), User::MAILS)?;
    let mut seen = BTreeSet::new();
    for mail in mails {
        field::mail("mails", &mail.address)?;
        if !seen.insert(mail.address.to_ascii_lowercase()) {
            return Err(Error::invalid(
                "user.mail-twice",
                Text::fixed("a mail address is listed twice", "메일 주소가 두 번 나옵니다"),
            ));
        }
    }
    if mails.iter().filter(|m| m.primary).count() > 1 {
        return Err(Error::invalid(
            "user.mail-primary",
            Text::fixed(
                "one mail address can be the primary one",
                "기본 메일 주소는 하나만 됩니다",
            ),
        ));
    }
    Ok(())
}

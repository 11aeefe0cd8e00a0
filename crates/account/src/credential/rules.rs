//! What this naru asks of everybody who signs in.

use super::password;
use kernel::kind::{KindDef, Scope, Writer};
use kernel::time::parse_duration;
use kernel::{Error, Key, Kind, Name, Result, Text, text};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use store::View;

/// Who needs a second factor besides a password.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SecondFactor {
    /// Who has one is asked for it; nobody has to.
    #[default]
    Nobody,
    Administrators,
    Everybody,
}

/// The rules of signing in. One is read: that of the name `default`; without it everything has its default.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SignInRules {
    /// Who has to have an authenticator app or a passkey. Who has none sets one up while signing in.
    pub require_second_factor: SecondFactor,
    /// The fewest letters of a password, 8 to 128.
    pub shortest_password: u32,
    /// How long an invitation is good: `7d`.
    pub invitation: String,
}

impl Default for SignInRules {
    fn default() -> SignInRules {
        SignInRules {
            require_second_factor: SecondFactor::Nobody,
            shortest_password: password::SHORTEST as u32,
            invitation: "7d".into(),
        }
    }
}

impl Kind for SignInRules {
    const KIND: &'static str = "SignInRules";
    type Status = RulesStatus;

    fn check(&self) -> Result<()> {
        if !(8..=128).contains(&self.shortest_password) {
            return Err(Error::invalid(
                "sign-in-rules.password",
                Text::fixed(
                    "shortest_password is from 8 to 128 letters",
                    "shortest_password는 8자에서 128자 사이입니다",
                ),
            ));
        }
        match parse_duration(&self.invitation) {
            Some(length) if (HOUR..=30 * 24 * HOUR).contains(&length) => Ok(()),
            _ => {
                let words = self.invitation.chars().take(40).collect::<String>();
                Err(Error::invalid(
                    "sign-in-rules.invitation",
                    text!(
                        "“{words}” is not a length of time from an hour to thirty days",
                        "“{words}”은(는) 한 시간에서 30일 사이의 기간이 아닙니다"
                    ),
                )
                .hint(Text::fixed("write 7d or 48h", "7d, 48h처럼 쓰세요")))
            }
        }
    }
}

const HOUR: Duration = Duration::from_secs(3600);

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RulesStatus {}

impl SignInRules {
    /// The row of the table of kinds.
    pub const DEF: KindDef = KindDef::of::<SignInRules>(
        "sign-in-rules",
        Scope::Platform,
        Writer::People,
        ("what is asked of everybody who signs in", "로그인하는 모두에게 요구하는 것"),
        &[
            ("SECOND FACTOR", "/spec/require_second_factor"),
            ("PASSWORD", "/spec/shortest_password"),
        ],
    );

    pub(super) fn read(view: &View<'_>) -> Result<SignInRules> {
        let key = Key::global::<SignInRules>(&Name::parse("default")?);
        view.resource(&key)?.map_or(Ok(SignInRules::default()), |r| r.spec())
    }

    pub(super) fn shortest(&self) -> usize {
        usize::try_from(self.shortest_password).unwrap_or(password::SHORTEST)
    }

    pub(super) fn invitation(&self) -> Duration {
        parse_duration(&self.invitation).unwrap_or(7 * 24 * HOUR)
    }

    pub(super) fn second_factor(&self, administrator: bool) -> bool {
        match self.require_second_factor {
            SecondFactor::Nobody => false,
            SecondFactor::Administrators => administrator,
            SecondFactor::Everybody => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_checked() {
        let spec = |words: &str| (SignInRules::DEF.check)(&serde_json::from_str(words).unwrap());
        assert!(spec("{}").is_ok());
        assert!(spec(r#"{"require_second_factor":"everybody","invitation":"48h"}"#).is_ok());
        for wrong in [
            r#"{"shortest_password":4}"#,
            r#"{"invitation":"soon"}"#,
            r#"{"invitation":"1s"}"#,
            r#"{"require_second_factor":"maybe"}"#,
        ] {
            assert!(spec(wrong).is_err(), "{wrong}");
        }
    }
}

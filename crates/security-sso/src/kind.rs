//! `Application`: something that people sign in to with their naru account.

use crate::plan::redirect;
use account::Algorithm;
use kernel::kind::{KindDef, Scope as KindScope, Writer};
use kernel::time::parse_duration;
use kernel::{Error, Kind, Name, Result, Text, Time, text};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeSet;
use std::time::Duration;

/// Addresses of one sort.
const MOST: usize = 50;
/// Keys of an application that proves itself by one.
const MOST_KEYS: usize = 10;
const LONGEST_WORDS: usize = 200;
/// Bounds of the life of an access token and of an ID token.
const SHORT: [Duration; 2] = [Duration::from_secs(30), Duration::from_secs(12 * 3600)];
/// Bounds of the life of a refresh token.
const LONG: [Duration; 2] = [Duration::from_secs(300), Duration::from_secs(400 * 24 * 3600)];

/// An application that people sign in to with their naru account, by OpenID Connect or OAuth 2. Its name is its
/// `client_id`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Application {
    /// As people see it when they are asked.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub title: String,
    /// The project whose owners look after it; without one, the platform's administrators do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub project: Option<Name>,
    /// Nobody signs in to it, and its tokens are over.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub disabled: bool,
    /// How it proves itself: `nothing` for what runs where others can read it (browser, phone, command line).
    pub proof: Proof,
    /// Its public keys as a JWK set (RFC 7517), for `proof: key`.
    #[serde(skip_serializing_if = "Value::is_null")]
    pub keys: Value,
    /// Where people come back to after they have signed in. Compared letter for letter, but for the port of
    /// `http://127.0.0.1` and `http://[::1]` (RFC 8252 §7.3).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub redirects: Vec<String>,
    /// Where people may come back to after they have signed out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub logout_redirects: Vec<String>,
    /// Told from server to server when somebody's session has ended (OpenID Connect Back-Channel Logout 1.0).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub back_channel_logout: Option<String>,
    /// Pages of these addresses may call from a browser: `https://app.example.com` (CORS). The origins of
    /// `redirects` may, without being named.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub origins: Vec<String>,
    pub grants: BTreeSet<Grants>,
    /// What it may ask for.
    pub scopes: BTreeSet<String>,
    /// Only members of these groups may sign in, also through groups in them. Empty: everybody.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<Name>,
    /// People are not asked whether they agree: it is the company's own.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub trusted: bool,
    /// Whether each sign-in needs PKCE (RFC 7636). What proves itself by nothing always does.
    pub pkce: bool,
    /// How its ID tokens are signed.
    #[schemars(with = "String")]
    pub signing: Signing,
    /// Whether what the scopes give is in the ID token, too, and not only at the userinfo endpoint.
    pub claims_in_id_token: bool,
    /// Other applications that may look at its tokens (RFC 7662): the APIs that it calls.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub audience: Vec<Name>,
    /// Life of access tokens and ID tokens: `10m`, from 30 seconds to 12 hours.
    pub access_lasts: String,
    /// Life of a refresh token that nobody uses: `30d`, from 5 minutes to 400 days.
    pub refresh_lasts: String,
}

/// How an application proves itself at the token endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Proof {
    /// A secret, as Basic or in the form.
    #[default]
    Secret,
    /// A signed statement: `private_key_jwt` (RFC 7523).
    Key,
    Nothing,
}

/// How an application gets tokens (RFC 6749 §1.3).
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Grants {
    AuthorizationCode,
    RefreshToken,
    /// As itself, without a person.
    ClientCredentials,
    /// From a device without a keyboard (RFC 8628).
    DeviceCode,
}

/// As in a token's header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Signing {
    #[default]
    #[serde(rename = "RS256")]
    Rs256,
    #[serde(rename = "ES256")]
    Es256,
}

impl Signing {
    pub fn algorithm(self) -> Algorithm {
        match self {
            Signing::Rs256 => Algorithm::Rs256,
            Signing::Es256 => Algorithm::Es256,
        }
    }
}

impl Default for Application {
    fn default() -> Application {
        Application {
            title: String::new(),
            project: None,
            disabled: false,
            proof: Proof::Secret,
            keys: Value::Null,
            redirects: Vec::new(),
            logout_redirects: Vec::new(),
            back_channel_logout: None,
            origins: Vec::new(),
            grants: [Grants::AuthorizationCode, Grants::RefreshToken].into(),
            scopes: SCOPES.iter().map(|s| s.name.to_owned()).collect(),
            groups: Vec::new(),
            trusted: false,
            pkce: true,
            signing: Signing::Rs256,
            claims_in_id_token: true,
            audience: Vec::new(),
            access_lasts: "10m".into(),
            refresh_lasts: "30d".into(),
        }
    }
}

/// A scope that naru knows.
pub struct Scope {
    pub name: &'static str,
    /// What it gives an application, as people are told.
    pub gives: (&'static str, &'static str),
}

/// OpenID Connect Core 1.0 §5.4 and §11, and `groups`, which everybody has come to expect.
pub const SCOPES: [Scope; 6] = [
    Scope { name: "openid", gives: ("know who you are", "누구인지 확인") },
    Scope {
        name: "profile",
        gives: ("see your name, language and time zone", "이름, 언어, 시간대 보기"),
    },
    Scope { name: "email", gives: ("see your mail address", "메일 주소 보기") },
    Scope { name: "phone", gives: ("see your phone number", "전화번호 보기") },
    Scope { name: "groups", gives: ("see the groups that you are in", "속한 그룹 보기") },
    Scope {
        name: "offline_access",
        gives: ("keep access after you have signed out", "로그아웃한 뒤에도 접근 유지"),
    },
];

impl Application {
    pub fn is_public(&self) -> bool {
        self.proof == Proof::Nothing
    }

    pub fn needs_pkce(&self) -> bool {
        self.pkce || self.is_public()
    }

    pub fn access_life(&self) -> Duration {
        parse_duration(&self.access_lasts).unwrap_or(Duration::from_secs(600))
    }

    pub fn refresh_life(&self) -> Duration {
        parse_duration(&self.refresh_lasts).unwrap_or(Duration::from_secs(30 * 24 * 3600))
    }

    /// What people see it called.
    pub fn shown<'a>(&'a self, name: &'a Name) -> &'a str {
        if self.title.is_empty() { name.as_str() } else { &self.title }
    }
}

/// What naru saw.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ApplicationStatus {
    /// When somebody last signed in to it; exact to an hour.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub used: Option<Time>,
}

impl Kind for Application {
    const KIND: &'static str = "Application";
    type Status = ApplicationStatus;

    fn check(&self) -> Result<()> {
        self.check_words()?;
        self.check_addresses()?;
        self.check_proof()?;
        within("access_lasts", &self.access_lasts, SHORT)?;
        within("refresh_lasts", &self.refresh_lasts, LONG)
    }
}

impl Application {
    fn check_words(&self) -> Result<()> {
        if self.title.len() > LONGEST_WORDS || self.title.chars().any(char::is_control) {
            return Err(wrong(text!(
                "`title` is one line of at most {LONGEST_WORDS} bytes",
                "`title`은 {LONGEST_WORDS}바이트까지 한 줄로 쓰세요"
            )));
        }
        let token = |s: &String| {
            (1..=100).contains(&s.len())
                && s.bytes().all(|b| b.is_ascii_graphic() && b != b'"' && b != b'\\')
        };
        if self.scopes.len() > MOST || !self.scopes.iter().all(token) {
            return Err(wrong(text!(
                "`scopes` are at most {MOST} words without spaces and quotes",
                "`scopes`는 빈칸과 따옴표 없는 낱말 {MOST}개까지입니다"
            )));
        }
        let full = self.groups.len() > MOST || self.audience.len() > MOST;
        match full {
            false => Ok(()),
            true => Err(wrong(text!(
                "`groups` and `audience` take at most {MOST} names",
                "`groups`와 `audience`는 이름 {MOST}개까지입니다"
            ))),
        }
    }

    fn check_addresses(&self) -> Result<()> {
        let lists = [&self.redirects, &self.logout_redirects, &self.origins];
        if lists.iter().any(|list| list.len() > MOST) {
            return Err(wrong(text!(
                "at most {MOST} addresses of a sort",
                "주소는 종류마다 {MOST}개까지입니다"
            )));
        }
        let public = self.is_public();
        for address in self.redirects.iter().chain(&self.logout_redirects) {
            redirect::check(address, public)?;
        }
        self.origins.iter().try_for_each(|origin| redirect::check_origin(origin))?;
        self.back_channel_logout.iter().try_for_each(|address| redirect::check(address, false))?;
        if self.grants.contains(&Grants::AuthorizationCode) && self.redirects.is_empty() {
            return Err(wrong(Text::fixed(
                "`redirects` says where people come back to",
                "`redirects`에 로그인 뒤 돌아갈 주소를 쓰세요",
            ))
            .hint(Text::fixed(
                "for an application without sign-in, leave `authorization_code` out of `grants`",
                "로그인이 없는 애플리케이션이면 `grants`에서 `authorization_code`를 빼세요",
            )));
        }
        Ok(())
    }

    fn check_proof(&self) -> Result<()> {
        let keys = self.keys.get("keys").and_then(Value::as_array);
        match (self.proof, keys) {
            (Proof::Key, Some(keys)) if (1..=MOST_KEYS).contains(&keys.len()) => {
                crate::plan::assertion::check_keys(keys)?;
            }
            (Proof::Key, _) => {
                return Err(wrong(text!(
                    "`proof: key` needs `keys`, a JWK set with 1 to {MOST_KEYS} keys",
                    "`proof: key`에는 키 1~{MOST_KEYS}개의 JWK 집합 `keys`가 필요합니다"
                )));
            }
            (_, None) if self.keys.is_null() => {}
            _ => {
                return Err(wrong(Text::fixed(
                    "`keys` go with `proof: key`",
                    "`keys`는 `proof: key`와 함께 씁니다",
                )));
            }
        }
        if self.is_public() && self.grants.contains(&Grants::ClientCredentials) {
            return Err(wrong(Text::fixed(
                "what proves itself by nothing cannot get tokens as itself",
                "증명이 없는 애플리케이션은 자기 이름으로 토큰을 받을 수 없습니다",
            )));
        }
        Ok(())
    }
}

fn within(field: &str, words: &str, [least, most]: [Duration; 2]) -> Result<()> {
    match parse_duration(words) {
        Some(given) if (least..=most).contains(&given) => Ok(()),
        _ => {
            let (least, most) = (least.as_secs(), most.as_secs());
            Err(wrong(text!(
                "`{field}` is from {least} to {most} seconds",
                "`{field}`는 {least}초에서 {most}초 사이입니다"
            ))
            .hint(Text::fixed("write 10m, 12h or 30d", "10m, 12h, 30d처럼 쓰세요")))
        }
    }
}

pub(crate) fn wrong(say: Text) -> Error {
    Error::invalid("application.spec", say)
}

pub(crate) static KINDS: &[KindDef] = &[KindDef::of::<Application>(
    "applications",
    KindScope::Platform,
    Writer::People,
    ("an application that people sign in to", "사람들이 로그인하는 애플리케이션"),
    &[
        ("TITLE", "/spec/title"),
        ("PROJECT", "/spec/project"),
        ("PROOF", "/spec/proof"),
        ("USED", "/status/used"),
    ],
)];

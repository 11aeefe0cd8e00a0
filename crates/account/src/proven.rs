//! Who somebody has shown to be, and with what.

use kernel::{CredentialRef, Error, Name, Principal, Result, Time, text};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::net::IpAddr;

/// A principal with the credential that it has shown. Every decision takes both: a credential narrows what its
/// owner may do, and never widens it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proven {
    pub principal: Principal,
    pub credential: Credential,
    /// How many endings the registry of what is open had seen when the credential was looked up.
    pub(crate) seen: u64,
}

impl Proven {
    /// Nobody: what a request without any secret comes with.
    pub fn nobody() -> Proven {
        Proven { principal: Principal::Anonymous, credential: Credential::none(), seen: 0 }
    }
}

/// What was shown. Nothing in it is secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credential {
    pub kind: CredentialKind,
    /// Tells it from its owner's others: in lists, in events, when one is revoked. Empty for none.
    pub id: String,
    #[serde(default, skip_serializing_if = "Scopes::is_all")]
    pub scopes: Scopes,
    /// When it ends by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Time>,
    /// When its owner last showed a password or passkey itself: what asks for that again looks here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proved: Option<Time>,
}

impl Credential {
    /// None was shown, or none is needed: naru's own parts.
    pub fn none() -> Credential {
        Credential {
            kind: CredentialKind::None,
            id: String::new(),
            scopes: Scopes::default(),
            until: None,
            proved: None,
        }
    }
}

impl Credential {
    /// As events name it.
    pub fn reference(&self) -> Option<CredentialRef> {
        let (kind, id) = (self.kind.word().to_owned(), self.id.clone());
        (self.kind != CredentialKind::None).then_some(CredentialRef { kind, id })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CredentialKind {
    None,
    /// A browser's cookie.
    Session,
    /// A person's token.
    Personal,
    /// A token of a service account that belongs to a project.
    Project,
    /// A token that reads repositories and packages of one project, for machines that deploy.
    Deploy,
    /// A token of a running job.
    Job,
}

impl CredentialKind {
    fn word(self) -> &'static str {
        match self {
            CredentialKind::None => "none",
            CredentialKind::Session => "session",
            CredentialKind::Personal | CredentialKind::Project | CredentialKind::Deploy => "token",
            CredentialKind::Job => "job",
        }
    }
}

/// What a credential is narrowed to. The default narrows nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Scopes {
    /// Looks, and changes nothing.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub read_only: bool,
    /// These projects alone, and nothing of the platform.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub projects: Option<BTreeSet<Name>>,
    /// These actions alone, as policy names them: `project.view`; `git.*` is all whose names begin so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actions: Option<BTreeSet<String>>,
}

/// Whether an action changes anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    Reads,
    Writes,
}

impl Scopes {
    pub fn is_all(&self) -> bool {
        *self == Scopes::default()
    }

    /// Whether `action` is within them; `project` is `None` for what is the platform's.
    pub fn allow(&self, action: &str, effect: Effect, project: Option<&Name>) -> bool {
        let one = |named: &String| match named.strip_suffix('*') {
            Some(start) => start.ends_with('.') && action.starts_with(start),
            None => named == action,
        };
        (effect == Effect::Reads || !self.read_only)
            && self.projects.as_ref().is_none_or(|all| project.is_some_and(|p| all.contains(p)))
            && self.actions.as_ref().is_none_or(|all| all.iter().any(one))
    }

    /// # Errors
    /// `auth.scope`, saying what the credential is narrowed to.
    pub fn admit(&self, action: &str, effect: Effect, project: Option<&Name>) -> Result<()> {
        if self.allow(action, effect, project) {
            return Ok(());
        }
        let limits = self.words();
        Err(Error::forbidden(
            "auth.scope",
            text!("this token may not: {action}", "이 토큰으로는 할 수 없습니다: {action}"),
        )
        .hint(text!(
            "it is limited to {limits}; make one with a wider scope",
            "{limits}(으)로 제한된 토큰입니다. 범위가 더 넓은 토큰을 만드세요"
        )))
    }

    /// `reading, projects shop and web`: for an error's hint, in words that both languages use.
    fn words(&self) -> String {
        let mut all = Vec::new();
        if self.read_only {
            all.push("read_only".to_owned());
        }
        let join = |names: Vec<&str>| names.join(" ");
        if let Some(projects) = &self.projects {
            all.push(format!("projects: {}", join(projects.iter().map(Name::as_str).collect())));
        }
        if let Some(actions) = &self.actions {
            all.push(format!("actions: {}", join(actions.iter().map(String::as_str).collect())));
        }
        all.join(", ")
    }
}

/// Where a secret was shown, as far as its listener knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Peer {
    pub address: Option<IpAddr>,
    /// What the client says of itself, cut to a length that can be kept.
    pub agent: Option<String>,
}

impl Peer {
    /// The longest name of a client that is kept, in characters.
    const AGENT: usize = 200;

    /// Where the request under way comes from, as far as its surface has said.
    pub fn of_request() -> Peer {
        let address = store::origin::current().and_then(|origin| origin.address?.parse().ok());
        Peer { address, agent: None }
    }

    pub fn new(address: IpAddr, agent: Option<&str>) -> Peer {
        let shown = |words: &str| -> String {
            words.chars().filter(|c| !c.is_control()).take(Self::AGENT).collect()
        };
        Peer { address: Some(address), agent: agent.map(shown).filter(|a| !a.is_empty()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Effect::{Reads, Writes};

    fn set<T: Ord>(all: impl IntoIterator<Item = T>) -> Option<BTreeSet<T>> {
        Some(all.into_iter().collect())
    }

    #[test]
    fn scopes_narrow_in_each_of_their_ways() {
        let (shop, web) = (Name::parse("shop").unwrap(), Name::parse("web").unwrap());
        let all = Scopes::default();
        let reader = Scopes { read_only: true, ..Scopes::default() };
        let of_shop = Scopes { projects: set([shop.clone()]), ..Scopes::default() };
        let git = Scopes { actions: set(["git.*".to_owned()]), ..of_shop.clone() };
        let one = Scopes { actions: set(["git.read".to_owned()]), ..Scopes::default() };
        let bare = Scopes { actions: set(["*".to_owned()]), ..Scopes::default() };
        for (scopes, action, effect, project, want) in [
            (&all, "platform.administer", Writes, None, true),
            (&reader, "project.view", Reads, Some(&shop), true),
            (&reader, "project.change", Writes, Some(&shop), false),
            (&of_shop, "project.change", Writes, Some(&shop), true),
            (&of_shop, "project.change", Writes, Some(&web), false),
            (&of_shop, "platform.view", Reads, None, false),
            (&git, "git.read", Reads, Some(&shop), true),
            (&git, "git", Reads, Some(&shop), false),
            (&git, "project.view", Reads, Some(&shop), false),
            (&git, "git.read", Reads, Some(&web), false),
            (&one, "git.reader", Reads, Some(&shop), false),
            (&bare, "git.read", Reads, Some(&shop), false),
        ] {
            assert_eq!(scopes.allow(action, effect, project), want, "{scopes:?} {action}");
            assert_eq!(scopes.admit(action, effect, project).is_ok(), want);
        }
    }

    #[test]
    fn what_a_client_says_of_itself_is_cut() {
        let said = format!("curl\r\n/8 {}", "x".repeat(1000));
        let peer = Peer::new(IpAddr::from([127, 0, 0, 1]), Some(&said));
        let agent = peer.agent.unwrap();
        assert!(agent.starts_with("curl/8 ") && agent.chars().count() == Peer::AGENT, "{agent}");
    }
}

//! One request, with its principal.

use crate::review::Decided;
use crate::{Body, Site, Upgrade, listen};
use account::{Credential, Effect, Live, Peer};
use bytes::Bytes;
use http::{HeaderMap, Method, Uri, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use kernel::{Error, ErrorKind, Lang, Name, Principal, Result, Text, text};
use policy::{Action, Permission, Target};
use serde::de::DeserializeOwned;
use std::any::Any;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The longest JSON or form body, in bytes.
const BODY: usize = 1024 * 1024;

/// What is known of a request before its body: what pages are drawn from.
pub struct Head {
    pub site: Arc<Site>,
    pub who: Principal,
    /// What they have shown: it narrows what they may do.
    pub credential: Credential,
    pub lang: Lang,
    pub method: Method,
    pub uri: Uri,
    pub headers: HeaderMap,
    pub peer: SocketAddr,
    /// Its id: given back in `X-Request-Id`, in error bodies, in the log and in events.
    pub request: String,
    /// Where the journal was when the request came: what is drawn from the store now, and follows events from
    /// here, misses none.
    pub since: u64,
    pub(crate) params: BTreeMap<String, String>,
    /// Its place among what is open, when somebody is signed in.
    pub(crate) live: Option<Live>,
}

/// What a handler gets.
pub struct Call {
    pub head: Arc<Head>,
    /// Behind a lock only because a body is not `Sync`, which handlers that hold a `&Call` over an await
    /// need.
    body: Mutex<Option<Body>>,
    /// Likewise.
    upgrade: Mutex<Option<Upgrade>>,
}

impl std::ops::Deref for Call {
    type Target = Head;
    fn deref(&self) -> &Head {
        &self.head
    }
}

impl Head {
    /// Whether the caller may do `wanted` in `project`, by who they are and by what they have shown.
    ///
    /// # Errors
    /// Those of [`policy::Policy::may`], and `auth.scope`.
    pub async fn may(&self, wanted: Permission, project: &Name) -> Result<()> {
        self.may_do(wanted.action(), &Target::project(project)).await
    }

    /// Whether the caller may do `action` to `target`, by who they are and by what they have shown.
    ///
    /// # Errors
    /// Those of [`policy::Policy::may_do`], and `auth.scope`.
    pub async fn may_do(&self, action: Action, target: &Target) -> Result<()> {
        self.may_on(action, std::slice::from_ref(target), &self.context()).await
    }

    /// Whether the caller may do `action` to what is at once all of `targets`, as a service is itself and a part of
    /// its environment.
    ///
    /// # Errors
    /// As [`Head::may_do`].
    pub async fn may_on(
        &self,
        action: Action,
        targets: &[Target],
        context: &policy::Context,
    ) -> Result<()> {
        self.site.policy.require_on(&self.who, action, targets, context).await?;
        self.claim(action, targets, context);
        let effect = match action {
            // A terminal is opened with GET, and a secret's value is more than what one looks at.
            Action::JobEnter | Action::SecretRead => Effect::Writes,
            _ => self.effect(),
        };
        let project = targets.first().and_then(Target::project_name);
        self.credential.scopes.admit(action.name(), effect, project)
    }

    /// What is open of this request was let in by that.
    fn claim(&self, action: Action, targets: &[Target], context: &policy::Context) {
        if let Some(live) = &self.live {
            live.claim(Arc::new(Decided {
                policy: self.site.policy.clone(),
                who: self.who.clone(),
                action,
                targets: targets.to_vec(),
                context: context.clone(),
            }));
        }
    }

    /// As [`Head::may`], for a part of what `wanted` gives that a credential may be limited to, as `git.read` is a
    /// part of seeing a project.
    ///
    /// # Errors
    /// Likewise.
    pub async fn may_as(
        &self,
        part: &str,
        effect: Effect,
        wanted: Permission,
        project: &Name,
    ) -> Result<()> {
        let (action, targets, context) =
            (wanted.action(), [Target::project(project)], self.context());
        self.site.policy.require_on(&self.who, action, &targets, &context).await?;
        self.claim(action, &targets, &context);
        let scopes = &self.credential.scopes;
        if scopes.allow(part, effect, Some(project)) {
            return Ok(());
        }
        scopes.admit(wanted.action().name(), effect, Some(project))
    }

    /// Whether the caller runs the platform, by who they are and by what they have shown.
    ///
    /// # Errors
    /// Those of [`policy::Policy::may_administer`], and `auth.scope`.
    pub async fn may_administer(&self) -> Result<()> {
        self.site.policy.may_administer(&self.who).await?;
        let action = Action::PlatformAdminister.name();
        self.credential.scopes.admit(action, self.effect(), None)
    }

    /// The projects that the caller may see, by who they are and by what they have shown.
    pub async fn visible(&self) -> Result<Vec<Name>> {
        let mut names = self.site.policy.visible(&self.who).await?;
        let seen = |name: &Name| {
            self.credential.scopes.allow(Action::ProjectView.name(), Effect::Reads, Some(name))
        };
        names.retain(seen);
        Ok(names)
    }

    /// What policies may look at, beside who asks for what: where it comes from, and what was shown.
    pub fn context(&self) -> policy::Context {
        use account::CredentialKind;
        let credential = match self.credential.kind {
            CredentialKind::None => None,
            CredentialKind::Session => Some("session"),
            CredentialKind::Job => Some("job"),
            CredentialKind::Personal | CredentialKind::Project | CredentialKind::Deploy => {
                Some("token")
            }
        };
        policy::Context {
            address: self.peer().address,
            credential: credential.map(str::to_owned),
            ..policy::Context::default()
        }
    }

    /// What the method says that the request does.
    pub(crate) fn effect(&self) -> Effect {
        let reads = self.method == Method::GET || self.method == Method::HEAD;
        if reads { Effect::Reads } else { Effect::Writes }
    }

    /// Where the request comes from.
    pub fn peer(&self) -> Peer {
        Peer::new(self.peer.ip(), self.header(header::USER_AGENT.as_str()))
    }

    /// The opened state of a part.
    pub fn part<T: Any + Send + Sync>(&self) -> Result<Arc<T>> {
        self.site.part()
    }

    /// A segment of the path, percent-decoded.
    pub fn param(&self, name: &str) -> Result<&str> {
        let found = self.params.get(name).map(String::as_str);
        found.ok_or_else(|| Error::internal(format!("the route has no {{{name}}}")))
    }

    /// A segment that has to be a name.
    pub fn name(&self, param: &str) -> Result<Name> {
        Name::parse(self.param(param)?)
    }

    pub fn project(&self) -> Result<Name> {
        self.name("project")
    }

    pub fn query_string(&self) -> &str {
        self.uri.query().unwrap_or("")
    }

    /// The first value of a query parameter, decoded.
    pub fn query(&self, name: &str) -> Option<String> {
        pairs(self.query_string()).into_iter().find(|(k, _)| k == name).map(|(_, v)| v)
    }

    /// A number in the query.
    ///
    /// # Errors
    /// `query.invalid` when it is not one.
    pub fn number(&self, name: &str) -> Result<Option<u64>> {
        let Some(words) = self.query(name) else { return Ok(None) };
        words.parse().map(Some).map_err(|_| {
            Error::invalid(
                "query.invalid",
                text!("`{name}` takes a number", "`{name}`에는 숫자를 쓰세요"),
            )
        })
    }

    /// Whether a query parameter is set to something other than `false` or `0`.
    pub fn flag(&self, name: &str) -> bool {
        self.query(name).is_some_and(|v| v != "false" && v != "0")
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|v| v.to_str().ok())
    }

    /// Whether the caller is a browser that wants a page.
    pub fn wants_page(&self) -> bool {
        !self.uri.path().starts_with("/api/")
            && self.header(header::ACCEPT.as_str()).is_some_and(|a| a.contains("text/html"))
    }

    /// A cookie's value.
    pub fn cookie(&self, name: &str) -> Option<&str> {
        cookie(&self.headers, name)
    }
}

impl Call {
    pub(crate) fn new(head: Arc<Head>, body: Body, upgrade: Option<Upgrade>) -> Call {
        Call { head, body: Mutex::new(Some(body)), upgrade: Mutex::new(upgrade) }
    }

    /// The connection itself, once an answer with status 101 (RFC 9110 §15.2.2) has been given; `None` when
    /// the client did not ask for that. Taken once.
    pub fn upgrade(&mut self) -> Option<Upgrade> {
        self.upgrade.get_mut().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// The body as it arrives. Taken once.
    pub fn body(&mut self) -> Body {
        let body = self.body.get_mut().unwrap_or_else(PoisonError::into_inner);
        body.take().unwrap_or_default()
    }

    /// The whole body, at most `limit` bytes.
    ///
    /// # Errors
    /// `body.too-large`; `body.slow` when it does not come in time; `body.broken` when the connection fails half-way.
    pub async fn bytes(&mut self, limit: usize) -> Result<Bytes> {
        let whole = Limited::new(self.body(), limit).collect();
        let Ok(whole) = tokio::time::timeout(patience(limit), whole).await else {
            return Err(slow());
        };
        match whole {
            Ok(whole) => Ok(whole.to_bytes()),
            Err(e) if e.is::<LengthLimitError>() => Err(Error::new(
                ErrorKind::TooLarge,
                "body.too-large",
                text!("the body is larger than {limit} bytes", "본문이 {limit}바이트를 넘습니다"),
            )),
            Err(e) if listen::too_slow(&*e) => Err(slow()),
            Err(e) => Err(Error::invalid(
                "body.broken",
                Text::fixed("the body did not arrive whole", "본문이 끝까지 오지 않았습니다"),
            )
            .why(e)),
        }
    }

    /// The body as JSON.
    ///
    /// # Errors
    /// `body.invalid`, saying where it does not fit.
    pub async fn json<T: DeserializeOwned>(&mut self) -> Result<T> {
        let bytes = self.bytes(BODY).await?;
        serde_json::from_slice(&bytes).map_err(|e| {
            let why = e.to_string();
            Error::invalid(
                "body.invalid",
                text!("the body does not fit: {why}", "본문이 맞지 않습니다: {why}"),
            )
        })
    }

    /// The fields of a posted form.
    pub async fn form(&mut self) -> Result<BTreeMap<String, String>> {
        let bytes = self.bytes(BODY).await?;
        Ok(pairs(&String::from_utf8_lossy(&bytes)).into_iter().collect())
    }
}

/// For a body that is wanted as a whole: half a minute, and what a slow line needs for the largest.
fn patience(limit: usize) -> Duration {
    Duration::from_secs(30 + limit as u64 / (16 * 1024))
}

/// 408, see [`crate::reply`].
fn slow() -> Error {
    Error::invalid(SLOW, Text::fixed("the body came too slowly", "본문이 너무 천천히 왔습니다"))
}

pub(crate) const SLOW: &str = "body.slow";

pub(crate) fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let all = headers.get_all(header::COOKIE).into_iter().filter_map(|v| v.to_str().ok());
    all.flat_map(|v| v.split(';')).find_map(|c| c.trim().strip_prefix(name)?.strip_prefix('='))
}

/// `application/x-www-form-urlencoded` pairs; at most 200 of them are read.
pub fn pairs(words: &str) -> Vec<(String, String)> {
    let decode = |w: &str| {
        let spaced = w.replace('+', " ");
        percent_encoding::percent_decode_str(&spaced).decode_utf8_lossy().into_owned()
    };
    let split = |p: &str| {
        let (k, v) = p.split_once('=').unwrap_or((p, ""));
        (decode(k), decode(v))
    };
    words.split('&').filter(|p| !p.is_empty()).take(200).map(split).collect()
}

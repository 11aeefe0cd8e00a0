//! Telling applications that a session has ended (OpenID Connect Back-Channel Logout 1.0).
//!
//! What is to be told lies in the store until it is told, or a day is over. Whoever registers an address could make
//! naru call what only naru reaches: no redirect is followed, nothing of the answer is shown, and addresses of the
//! link alone (metadata services of clouds), of many and of nobody are not called.

use crate::grant::{Grant, application};
use crate::{PART_NAME, Sso};
use account::Algorithm;
use authority::Trust;
use bytes::Bytes;
use http::{Request, StatusCode, Uri, header};
use http_body_util::Full;
use hyper_util::rt::TokioIo;
use kernel::{Error, Key, Name, NewEvent, Principal, Result, Time, text};
use rustls_pki_types::ServerName;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use store::{Tx, View};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

const QUEUE: &str = "sso.logout";
/// Told at a time.
const AT_A_TIME: usize = 16;
/// For one answer.
const ANSWER: Duration = Duration::from_secs(5);
/// How often it is looked for what is due, when nothing happens.
const LOOK: Duration = Duration::from_secs(5);
/// The last wait between two tries.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);
/// After that nobody is told any more.
const GIVE_UP: Duration = Duration::from_secs(24 * 3600);
/// Life of a logout token.
const LIFE: Duration = Duration::from_secs(120);

/// Something to tell.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Notice {
    app: Name,
    to: String,
    sub: String,
    session: Option<String>,
    made: Time,
    tries: u32,
    due: Time,
}

/// Has the application of a grant told that it has ended, if it wants to hear.
pub(crate) fn tell(tx: &mut Tx<'_>, grant: &Grant) -> Result<()> {
    let app = application(tx, &grant.app)?.filter(|(uid, _)| *uid == grant.uid);
    let Some(to) = app.and_then(|(_, app)| app.back_channel_logout) else { return Ok(()) };
    if grant.who.is_none() {
        return Ok(());
    }
    let (app, sub, session) = (grant.app.clone(), grant.sub.clone(), grant.session.clone());
    let notice = Notice { app, to, sub, session, made: tx.now(), tries: 0, due: tx.now() };
    tx.set_row(QUEUE, tx.id()?.as_str(), &notice)
}

impl Sso {
    /// Tells what is to be told, for as long as it takes.
    pub(crate) async fn tell_all(self) {
        let mut feed = self.store().follow(self.store().head());
        loop {
            if let Err(error) = self.tell_due().await {
                if error.code() == "store.closed" {
                    return;
                }
                tracing::warn!(%error, "applications could not be told of the end of sessions");
            }
            let clock = self.store().clock().clone();
            let ended = async {
                while let Ok(event) = feed.next().await {
                    if ["application.ended", "application.session-ended"]
                        .contains(&event.fact.kind.as_str())
                    {
                        return;
                    }
                }
                std::future::pending().await
            };
            tokio::select! {
                () = ended => {}
                () = clock.sleep_until(clock.now().plus(LOOK)) => {}
            }
        }
    }

    async fn tell_due(&self) -> Result<()> {
        let read = |v: &View<'_>| v.rows::<Notice>(QUEUE, "", None, 1000);
        let now = self.store().now();
        let mut due = self.store().read(read).await?;
        due.retain(|(_, notice)| notice.due <= now);
        for some in due.chunks(AT_A_TIME) {
            let told = some.iter().map(|(id, notice)| self.tell_one(id, notice));
            for outcome in futures_util::future::join_all(told).await {
                outcome?;
            }
        }
        Ok(())
    }

    async fn tell_one(&self, id: &str, notice: &Notice) -> Result<()> {
        let sent = tokio::time::timeout(ANSWER, self.send(notice)).await;
        let why = match sent {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error.get_why().unwrap_or(error.code()).to_owned()),
            Err(_) => Some("no answer in time".to_owned()),
        };
        let (id, notice) = (id.to_owned(), notice.clone());
        self.store().write(move |tx| settle(tx, &id, notice, why.as_deref())).await
    }

    async fn send(&self, notice: &Notice) -> Result<()> {
        let mut claims = json!({
            "aud": notice.app, "sub": notice.sub,
            "events": { "http://schemas.openid.net/event/backchannel-logout": {} },
        });
        if let (Some(session), Some(claims)) = (&notice.session, claims.as_object_mut()) {
            claims.insert("sid".into(), json!(session));
        }
        let name = notice.app.clone();
        let app = self.store().read(move |v| application(v, &name)).await?;
        let algorithm = app.map_or(Algorithm::Rs256, |(_, app)| app.signing.algorithm());
        let token = self.signer.sign_as(algorithm, "logout+jwt", claims, LIFE).await?;
        post(&notice.to, format!("logout_token={token}")).await
    }
}

/// Told, to be told again, or never.
fn settle(tx: &mut Tx<'_>, id: &str, notice: Notice, why: Option<&str>) -> Result<()> {
    let (app, over) = (&notice.app, notice.made.plus(GIVE_UP) <= tx.now());
    let actor = Principal::part(PART_NAME);
    let subject = Key::global::<crate::Application>(app);
    let data = json!({ "application": app, "session": notice.session, "tries": notice.tries + 1, "why": why });
    let (kind, say) = match why {
        None => (
            "application.told",
            text!("{app} was told that a session has ended", "{app}에 세션 종료를 알림"),
        ),
        Some(_) if over => (
            "application.untold",
            text!(
                "{app} could not be told that a session has ended",
                "{app}에 세션 종료를 알리지 못함"
            ),
        ),
        Some(_) => {
            let wait = Duration::from_secs(1 << notice.tries.min(12)).min(LONGEST_WAIT);
            let due = tx.now().plus(wait);
            return tx.set_row(QUEUE, id, &Notice { tries: notice.tries + 1, due, ..notice });
        }
    };
    tx.delete_row(QUEUE, id)?;
    tx.append(NewEvent::new(kind, actor, say).subject(subject).data(data)).map(drop)
}

/// Whether naru calls such an address for others.
pub(crate) fn may_call(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            !(v4.is_unspecified() || v4.is_link_local() || v4.is_multicast() || v4.is_broadcast())
                && v4.octets().first() != Some(&0)
        }
        IpAddr::V6(v6) => !(v6.is_unspecified() || v6.is_unicast_link_local() || v6.is_multicast()),
    }
}

fn failed(why: impl std::fmt::Display) -> Error {
    let say = text!("the application cannot be reached", "애플리케이션에 연결할 수 없습니다");
    Error::invalid("application.unreachable", say).why(why)
}

/// Posts a form. The caller bounds the time.
async fn post(to: &str, body: String) -> Result<()> {
    let uri: Uri = to.parse().map_err(failed)?;
    let host = uri.host().ok_or_else(|| failed("no host"))?.to_owned();
    let secure = uri.scheme_str() == Some("https");
    let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
    let found = tokio::net::lookup_host((host.trim_matches(['[', ']']), port)).await;
    let places: Vec<SocketAddr> =
        found.map_err(failed)?.filter(|place| may_call(place.ip())).take(4).collect();
    if places.is_empty() {
        return Err(failed("no address that may be called"));
    }
    // What was looked at is what is called: the name is not resolved again.
    let stream = TcpStream::connect(places.as_slice()).await.map_err(failed)?;
    let authority = uri.authority().map_or("", |a| a.as_str());
    let path = uri.path_and_query().map_or("/", |p| p.as_str());
    let request = Request::post(path)
        .header(header::HOST, authority)
        .header(header::USER_AGENT, concat!("naru/", env!("CARGO_PKG_VERSION")))
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header(header::CONNECTION, "close")
        .body(Full::new(Bytes::from(body)))
        .map_err(failed)?;
    if !secure {
        return exchange(stream, request).await;
    }
    let config = Trust::system()?.client_config(&[b"http/1.1"])?;
    let name = ServerName::try_from(host).map_err(failed)?;
    let connector = tokio_rustls::TlsConnector::from(config);
    exchange(connector.connect(name, stream).await.map_err(failed)?, request).await
}

async fn exchange<S>(stream: S, request: Request<Full<Bytes>>) -> Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let shaken = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = shaken.map_err(failed)?;
    let answer = async {
        let status = sender.send_request(request).await.map_err(failed)?.status();
        match status {
            StatusCode::OK | StatusCode::NO_CONTENT => Ok(()),
            other => Err(failed(other)),
        }
    };
    tokio::select! {
        answer = answer => answer,
        ended = connection => Err(failed(ended.map_or_else(|e| e.to_string(), |()| "no answer".into()))),
    }
}

#[cfg(test)]
mod tests {
    use super::may_call;

    #[test]
    fn what_only_this_machine_reaches_by_accident_is_not_called() {
        for (address, want) in [
            ("10.1.2.3", true),
            ("192.168.0.7", true),
            ("127.0.0.1", true),
            ("203.0.113.9", true),
            ("169.254.169.254", false),
            ("0.0.0.0", false),
            ("0.1.2.3", false),
            ("255.255.255.255", false),
            ("224.0.0.1", false),
            ("::", false),
            ("fe80::1", false),
            ("ff02::1", false),
            ("::ffff:169.254.169.254", false),
            ("fd00::1", true),
            ("::1", true),
        ] {
            assert_eq!(may_call(address.parse().unwrap()), want, "{address}");
        }
    }
}

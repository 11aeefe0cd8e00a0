//! Smart HTTP (gitprotocol-http(5)): what git clients talk to.

use crate::upload::Upload;
use crate::{Git, Limits, pkt, push, repository};
use account::Effect;
use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use kernel::{Error, ErrorKind, Lang, Name, Result, Text};
use naru_http::{Access, Body, Call, Response, Route};
use policy::Permission;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::Instant;

pub(crate) const ROUTES: [Route; 3] = [
    Route::get(
        "/{project}/{repository}/info/refs",
        Access::Inside(Permission::View),
        ("git: list refs", "git: ref 목록"),
        |c| Box::pin(plainly(c, |g, c| Box::pin(info_refs(g, c)))),
    ),
    Route::post(
        "/{project}/{repository}/git-upload-pack",
        Access::Inside(Permission::View),
        ("git: fetch and clone", "git: 가져오기와 복제"),
        |c| Box::pin(plainly(c, |g, c| Box::pin(upload_pack(g, c)))),
    ),
    Route::post(
        "/{project}/{repository}/git-receive-pack",
        Access::Inside(Permission::Change),
        ("git: push", "git: 푸시"),
        |c| Box::pin(plainly(c, |g, c| Box::pin(push::receive_pack(g, c)))),
    ),
];

/// Bytes of a fetch request: wants and haves.
const WANTS: u64 = 32 * 1024 * 1024;
/// For a place among the processes or uploads.
const QUEUE: Duration = Duration::from_secs(30);
/// Pieces of an answer that wait for a slow client.
const PIECES: usize = 16;

type Served = kernel::BoxFuture<'static, Result<Response>>;

/// Errors as git shows them: it prints a body only when that is plain text.
async fn plainly(call: Call, serve: fn(Git, Call) -> Served) -> Result<Response> {
    let git = Git::clone(&*call.part::<Git>()?);
    let (lang, page) = (call.lang, call.wants_page());
    match serve(git, call).await {
        Err(error) if !page => Ok(plain(&error, lang)),
        outcome => outcome,
    }
}

fn plain(error: &Error, lang: Lang) -> Response {
    if let Some(why) = error.get_why() {
        tracing::warn!(code = error.code(), why, "git request failed");
    }
    let hint = error.get_hint().map(|h| format!("\n{}", h.get(lang))).unwrap_or_default();
    let mut response = naru_http::text(format!("{}{hint}\n", error.say().get(lang)));
    *response.status_mut() =
        StatusCode::from_u16(error.kind().status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if error.kind() == ErrorKind::Unauthenticated {
        let realm = HeaderValue::from_static("Basic realm=\"naru\", charset=\"UTF-8\"");
        response.headers_mut().insert(header::WWW_AUTHENTICATE, realm);
    }
    response
}

/// The two services of git.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Service {
    Fetch,
    Push,
}

impl Service {
    fn of(query: Option<&str>) -> Result<Service> {
        match query {
            Some("git-upload-pack") => Ok(Service::Fetch),
            Some("git-receive-pack") => Ok(Service::Push),
            _ => Err(Error::forbidden(
                "git.dumb",
                Text::fixed(
                    "only git's smart protocol is spoken here",
                    "git의 스마트 프로토콜만 지원합니다",
                ),
            )
            .hint(Text::fixed("use git 1.6.6 or newer", "git 1.6.6 이상을 쓰세요"))),
        }
    }
    fn command(self) -> &'static str {
        match self {
            Service::Fetch => "upload-pack",
            Service::Push => "receive-pack",
        }
    }
    /// What a token may be limited to.
    fn action(self) -> &'static str {
        match self {
            Service::Fetch => "git.read",
            Service::Push => "git.write",
        }
    }
    fn effect(self) -> Effect {
        match self {
            Service::Fetch => Effect::Reads,
            Service::Push => Effect::Writes,
        }
    }
    fn needs(self) -> Permission {
        match self {
            Service::Fetch => Permission::View,
            Service::Push => Permission::Change,
        }
    }
}

/// Who may not see the project learns nothing about the names in the address either.
pub(crate) async fn admit(call: &Call, service: Service) -> Result<(Name, Name)> {
    if call.who == kernel::Principal::Anonymous {
        return Err(account::unauthenticated());
    }
    let project = call.project()?;
    call.may_as(service.action(), service.effect(), service.needs(), &project).await?;
    Ok((project, repository::name_of(call.param("repository")?)?))
}

async fn info_refs(git: Git, call: Call) -> Result<Response> {
    let service = Service::of(call.query("service").as_deref());
    let admitted = admit(&call, *service.as_ref().unwrap_or(&Service::Fetch)).await;
    let ((project, repository), service) = (admitted?, service?);
    let found = git.resource(&project, &repository).await?;
    if found.is_none() && service == Service::Fetch {
        return Err(repository::unknown(&project, &repository));
    }
    let home = git.path(&project, &repository);
    let there = found.is_some() && home.is_dir();
    let dir = if there { home } else { repository::template(&git.shared.dir) };
    let place = enter(&git.shared.processes).await?;
    let version = (service == Service::Fetch).then(|| version(&call)).flatten();
    let mut command = command(&git, service, version.as_deref());
    command.arg("--http-backend-info-refs").arg(&dir);
    let child = spawn(command, Stdio::null())?;
    if there && service == Service::Push {
        // The push that follows reads commits: have a reader ready by then.
        git.opened(&project, &repository).pool.warm()?;
    }
    let mut front = Vec::new();
    if version.as_deref() != Some("version=2") {
        pkt::push(&mut front, format!("# service=git-{}\n", service.command()).as_bytes());
        front.extend_from_slice(pkt::FLUSH);
    }
    let (pieces, body) = channel();
    let kind = format!("application/x-git-{}-advertisement", service.command());
    let limits = git.shared.limits;
    tokio::spawn(async move {
        if pieces.send(front.into()).await.is_ok() {
            pass(child, &pieces, &limits).await;
        }
        drop(place);
    });
    answer(&kind, body)
}

async fn upload_pack(git: Git, mut call: Call) -> Result<Response> {
    let (project, repository) = admit(&call, Service::Fetch).await?;
    expect_type(&call, Service::Fetch)?;
    let encoding = call.header("content-encoding").map(str::to_owned);
    if git.resource(&project, &repository).await?.is_none() {
        return Err(repository::unknown(&project, &repository));
    }
    let home = git.path(&project, &repository);
    let dir = if home.is_dir() { home } else { repository::template(&git.shared.dir) };
    let limits = git.shared.limits;
    let mut upload = Upload::new(call.body(), encoding.as_deref(), WANTS, &limits)?;
    // The request's beginning comes before the answer's, for clients that wait for `100 Continue`.
    let first = upload.next().await?.unwrap_or_default();
    let place = enter(&git.shared.processes).await?;
    let mut command = command(&git, Service::Fetch, version(&call).as_deref());
    command.arg(&dir);
    let mut child = spawn(command, Stdio::piped())?;
    let (pieces, body) = channel();
    let stdin = child.stdin.take();
    tokio::spawn(async move {
        let fed = async {
            match feed(stdin, first, upload).await {
                Ok(()) => std::future::pending::<()>().await,
                Err(error) => tracing::debug!(%error, "a fetch was given up"),
            }
        };
        tokio::select! {
            () = pass(child, &pieces, &limits) => {}
            () = fed => {}
        }
        drop(place);
    });
    answer("application/x-git-upload-pack-result", body)
}

async fn feed(stdin: Option<ChildStdin>, first: Bytes, mut upload: Upload) -> Result<()> {
    let Some(mut stdin) = stdin else { return Ok(()) };
    let mut next = Some(first);
    while let Some(data) = next {
        if stdin.write_all(&data).await.is_err() {
            // git has read all that it wants to.
            return Ok(());
        }
        next = upload.next().await?;
    }
    Ok(())
}

/// Passes on what a process says, until it ends, the client leaves or stops taking. Dropping the child
/// ends it.
async fn pass(mut child: Child, pieces: &mpsc::Sender<Bytes>, limits: &Limits) {
    let until = Instant::now() + limits.transfer;
    let Some(mut out) = child.stdout.take() else { return };
    loop {
        let mut piece = bytes::BytesMut::with_capacity(64 * 1024);
        let read = tokio::select! {
            read = out.read_buf(&mut piece) => read,
            () = pieces.closed() => return,
            () = tokio::time::sleep_until(until) => return,
        };
        match read {
            Ok(0) | Err(_) => break,
            Ok(_) => {}
        }
        let patience = until.min(Instant::now() + limits.idle);
        match tokio::time::timeout_at(patience, pieces.send(piece.freeze())).await {
            Ok(Ok(())) => {}
            _ => return,
        }
    }
    let _ = child.wait().await;
}

/// A place among those that a semaphore has; not waited for for ever.
pub(crate) async fn enter(places: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit> {
    match tokio::time::timeout(QUEUE, places.clone().acquire_owned()).await {
        Ok(place) => place.map_err(Error::internal),
        Err(_) => Err(Error::new(
            ErrorKind::Busy,
            "git.busy",
            Text::fixed("too many git requests at once", "git 요청이 너무 많습니다"),
        )
        .hint(Text::fixed("try again in a moment", "잠시 뒤 다시 시도하세요"))),
    }
}

fn command(git: &Git, service: Service, version: Option<&str>) -> Command {
    let mut command = git.shared.git.command();
    command.args(["-c", "safe.directory=*", service.command(), "--stateless-rpc"]);
    if service == Service::Fetch {
        command.arg("--strict");
    }
    if let Some(version) = version {
        command.env("GIT_PROTOCOL", version);
    }
    command.into()
}

pub(crate) fn spawn(mut command: Command, stdin: Stdio) -> Result<Child> {
    command.stdin(stdin).stdout(Stdio::piped()).kill_on_drop(true);
    command.spawn().map_err(|e| crate::io("git", e))
}

/// The protocol the client asks for, when it is one we know.
fn version(call: &Call) -> Option<String> {
    let asked = call.header("git-protocol")?;
    ["version=2", "version=1"]
        .into_iter()
        .find(|v| asked.split(':').any(|a| a == *v))
        .map(str::to_owned)
}

/// git always sends its own types; a page of another site cannot.
pub(crate) fn expect_type(call: &Call, service: Service) -> Result<()> {
    let wanted = format!("application/x-git-{}-request", service.command());
    if call.header("content-type") == Some(&wanted) {
        return Ok(());
    }
    Err(Error::invalid(
        "git.content-type",
        Text::fixed("this is not a request of a git client", "git 클라이언트의 요청이 아닙니다"),
    ))
}

/// A body that a task fills.
pub(crate) fn channel() -> (mpsc::Sender<Bytes>, Body) {
    let (pieces, rest) = mpsc::channel::<Bytes>(PIECES);
    let stream = futures_util::stream::unfold(rest, |mut rest| async move {
        let piece = rest.recv().await?;
        Some((Ok::<_, std::convert::Infallible>(piece), rest))
    });
    (pieces, Body::from_stream(stream))
}

pub(crate) fn answer(kind: &str, body: Body) -> Result<Response> {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_str(kind).map_err(Error::internal)?);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    Ok(response)
}

//! `naru run attach`: a terminal in the sandbox of a job that runs, or that has failed and is being kept.

use crate::Pipelines;
use crate::create::subject;
use crate::local::frames::{Frame, Frames, LARGEST, PROTOCOL, send};
use host::{Console, Size, Workload};
use http::{HeaderValue, StatusCode, header};
use kernel::{Error, ErrorKind, NewEvent, Result, Text, text};
use naru_http::{Body, Call, Response};
use run::Run;
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Terminals at a time on this server.
const MOST: usize = 32;
/// A terminal on which nothing is typed and nothing printed is closed after this.
const IDLE: Duration = Duration::from_secs(30 * 60);
/// The longest that one may be open.
const LONGEST: Duration = Duration::from_secs(8 * 60 * 60);
/// How long the sandbox stays when the job fails while somebody is in it, in milliseconds.
const HOLD_MS: u64 = 60 * 60 * 1000;
/// For the client's side of the connection to become one.
const UPGRADE: Duration = Duration::from_secs(15);
/// Rows and columns of a window may be so many.
const WIDEST: u64 = 10_000;

/// Terminals that are open, by workload.
pub(crate) type Open = Arc<Mutex<BTreeMap<String, usize>>>;

/// A place among the open terminals. The last one that leaves a workload lets it go.
struct Seat {
    open: Open,
    workload: Workload,
}

impl Seat {
    fn take(open: &Open, workload: &Workload) -> Result<Seat> {
        let mut all = open.lock().unwrap_or_else(PoisonError::into_inner);
        if all.values().sum::<usize>() >= MOST {
            let say =
                text!("{MOST} terminals are open already", "터미널이 이미 {MOST}개 열려 있습니다");
            return Err(Error::new(ErrorKind::Busy, "attach.busy", say)
                .hint(Text::fixed("close one", "하나를 닫으세요")));
        }
        *all.entry(workload.id().to_owned()).or_default() += 1;
        Ok(Seat { open: open.clone(), workload: workload.clone() })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut all = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let id = self.workload.id();
        let left = all.get(id).map_or(0, |n| n.saturating_sub(1));
        if left > 0 {
            all.insert(id.to_owned(), left);
            return;
        }
        all.remove(id);
        let workload = self.workload.clone();
        tokio::spawn(async move { workload.hold(0).await });
    }
}

/// The route. Answers 101 and goes on in [`crate::local::frames`].
pub(crate) async fn attach(mut call: Call) -> Result<Response> {
    let pipelines = call.part::<Pipelines>()?;
    let (project, step) = (call.project()?, call.param("step")?.to_owned());
    let run = pipelines.own(&project, call.param("run")?).await?;
    let workload = workload(&pipelines, &run, &step)?;
    let upgrade = if asked(&call) { call.upgrade() } else { None };
    let upgrade = upgrade.ok_or_else(no_upgrade)?;
    let seat = Seat::take(&pipelines.0.attached, &workload)?;
    let window = size(call.number("rows")?, call.number("columns")?);
    workload.hold(HOLD_MS).await;
    let argv = vec![pipelines.0.shell.clone(), "-i".to_owned()];
    let console = workload.exec(argv, vec![("TERM".into(), term(&call))], window).await?;
    tell(&pipelines, &call, &run, &step).await?;
    tokio::spawn(async move {
        if let Ok(Ok(connection)) = tokio::time::timeout(UPGRADE, upgrade.connection()).await {
            let _ = tokio::time::timeout(LONGEST, serve(connection, console)).await;
        }
        drop(seat);
    });
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static(PROTOCOL));
    Ok(response)
}

fn asked(call: &Call) -> bool {
    call.header("upgrade").is_some_and(|words| words.eq_ignore_ascii_case(PROTOCOL))
}

fn workload(pipelines: &Pipelines, run: &Run, step: &str) -> Result<Workload> {
    let step = run.step(step).ok_or_else(|| {
        let say = Text::fixed("the run has no such step", "실행에 그런 단계가 없습니다");
        Error::not_found("step.unknown", say)
    })?;
    let id = format!("{}-{}-{}", run.id, step.index, step.attempt);
    pipelines.0.host.find(&id).filter(|w| w.exit().is_none()).ok_or_else(|| {
        let name = &step.name;
        let say = text!("{name} does not run now", "{name}이(가) 지금 실행 중이 아닙니다");
        Error::conflict("attach.not-running", say).hint(Text::fixed(
            "run it again and enter it while it runs; one that fails meanwhile is kept for you",
            "다시 실행하고 도는 동안 들어가세요. 그 사이 실패해도 자리를 유지합니다",
        ))
    })
}

fn no_upgrade() -> Error {
    let say = text!(
        "this is a terminal: the request must ask for `Upgrade: {PROTOCOL}`",
        "터미널입니다. 요청에 `Upgrade: {PROTOCOL}`이 있어야 합니다"
    );
    Error::invalid("attach.upgrade", say)
        .hint(Text::fixed("use `naru run attach RUN JOB`", "`naru run attach RUN JOB`을 쓰세요"))
}

fn size(rows: Option<u64>, columns: Option<u64>) -> Size {
    let number = |n: Option<u64>, otherwise| {
        n.filter(|n| (1..=WIDEST).contains(n))
            .and_then(|n| u16::try_from(n).ok())
            .unwrap_or(otherwise)
    };
    Size { rows: number(rows, 24), columns: number(columns, 80) }
}

/// The terminal's kind: a word, or none.
fn term(call: &Call) -> String {
    let plain = |w: &String| {
        w.len() <= 64 && w.bytes().all(|b| b.is_ascii_alphanumeric() || b"-+._".contains(&b))
    };
    call.query("term").filter(plain).unwrap_or_else(|| "dumb".to_owned())
}

/// Who was where is on record before anything can be typed.
async fn tell(pipelines: &Pipelines, call: &Call, run: &Run, step: &str) -> Result<()> {
    let (who, step) = (call.who.clone(), step.to_owned());
    let say = text!("{who} entered {step}", "{who}이(가) {step} 작업에 들어감");
    let event = NewEvent::new("run.attached", who, say)
        .data(json!({ "run": run.id, "step": step }))
        .project(&run.project)
        .subject(subject(&run.project, &run.id)?)
        .change(run.change.clone());
    pipelines.0.store.write(move |tx| tx.append(event).map(drop)).await
}

/// Carries bytes both ways until the program ends, the client leaves, or nothing has happened for long.
async fn serve(connection: impl AsyncRead + AsyncWrite, mut console: Console) {
    let (from, mut to) = tokio::io::split(connection);
    let mut frames = Frames::new(from);
    let (mut typed, mut printed) = (console.terminal(), console.terminal());
    let mut chunk = vec![0_u8; LARGEST];
    loop {
        let idle = tokio::time::sleep(IDLE);
        tokio::select! {
            () = idle => return,
            frame = frames.next() => match frame {
                Ok(Some(Frame::Data(bytes))) => if typed.write_all(&bytes).await.is_err() { break },
                Ok(Some(Frame::Resize(size))) => drop(typed.resize(size)),
                // The client has left: dropping the console hangs up on the program.
                Ok(Some(Frame::Exit(_)) | None) | Err(_) => return,
            },
            read = printed.read(&mut chunk) => match read {
                Ok(n @ 1..) => {
                    let bytes = chunk.get(..n).unwrap_or_default().to_vec();
                    if send(&mut to, &Frame::Data(bytes)).await.is_err() {
                        return;
                    }
                }
                _ => break,
            },
        }
    }
    let code = console.wait().await.unwrap_or(1);
    let _ = send(&mut to, &Frame::Exit(code)).await;
    let _ = to.shutdown().await;
}

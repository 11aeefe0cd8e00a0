//! The client's side of a terminal in a job of the server.

use super::frames::{Frame, Frames, LARGEST, PROTOCOL, send};
use super::keys::{Input, Restore};
use super::shell::{resized, show, size};
use cli::{Context, segment};
use kernel::{Error, Name, Result, Text};
use std::io::Write;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::signal::unix::{SignalKind, signal};

/// `naru run attach RUN JOB`: the exit code of the shell.
///
/// # Errors
/// The server's own; `attach.broken` when the connection ends before the shell does.
pub async fn command(context: &Context, project: &str, run: &str, job: &str) -> Result<i32> {
    let project = Name::parse(project)?;
    let window = size();
    let term = std::env::var("TERM").unwrap_or_else(|_| "dumb".to_owned());
    let path = format!(
        "/api/v1/projects/{project}/runs/{}/steps/{}/attach?rows={}&columns={}&term={}",
        segment(run),
        segment(job),
        window.rows,
        window.columns,
        segment(&term),
    );
    let connection = context.client()?.upgrade(&path, PROTOCOL).await?;
    let words = context.lang.pick(
        "in the job's sandbox; `exit` leaves, the job goes on",
        "작업의 샌드박스 안입니다. `exit`으로 나가도 작업은 계속됩니다",
    );
    let _ = writeln!(std::io::stderr(), "{words}");
    let ended = converse(connection).await;
    ended.ok_or_else(|| {
        let say = Text::fixed("the connection broke off", "연결이 끊어졌습니다");
        Error::invalid("attach.broken", say)
    })
}

/// Carries bytes both ways; the exit code, when it comes.
async fn converse(connection: impl AsyncRead + AsyncWrite + Unpin) -> Option<i32> {
    let _restore = Restore::raw();
    let (from, mut to) = tokio::io::split(connection);
    let (mut frames, mut input) = (Frames::new(from), Input::open());
    let mut window = signal(SignalKind::window_change()).ok();
    let mut open = true;
    loop {
        tokio::select! {
            frame = frames.next() => match frame {
                Ok(Some(Frame::Data(bytes))) => show(&bytes),
                Ok(Some(Frame::Exit(code))) => return Some(code),
                Ok(Some(Frame::Resize(_))) => {}
                Ok(None) | Err(_) => return None,
            },
            bytes = input.bytes.recv(), if open => {
                // Nothing more will be typed: what a terminal says for that.
                open = bytes.is_some();
                let bytes = bytes.unwrap_or_else(|| b"\x04".to_vec());
                for piece in bytes.chunks(LARGEST) {
                    send(&mut to, &Frame::Data(piece.to_vec())).await.ok()?;
                }
            }
            Some(()) = resized(&mut window) => {
                send(&mut to, &Frame::Resize(size())).await.ok()?;
            }
        }
    }
}

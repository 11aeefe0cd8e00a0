//! Shells in the places that failed jobs have left.

use super::keys::{Input, Restore};
use super::place::{self, Place};
use super::repository::Repository;
use cli::Context;
use host::{Console, Host, Reason, Size, Spec, Workload};
use kernel::{Error, Id, Result, Text, text};
use run::{Engine, Run};
use rustix::termios::tcgetwinsize;
use std::io::Write;
use std::path::Path;
use store::Store;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::signal::unix::{SignalKind, signal};

/// Bytes taken from a terminal at a time.
const CHUNK: usize = 16 * 1024;
/// A program that does nothing: the shell runs beside it.
const IDLE: [&str; 3] =
    ["/bin/sh", "-c", "trap 'exit 0' TERM; while :; do sleep 3600 & wait $!; done"];

/// A job that failed, and whose place is still there.
pub struct Failed {
    pub job: String,
    spec: Spec,
}

/// `naru run shell [JOB]`
///
/// # Errors
/// `local.no-place` when no such job has left one.
pub async fn command(context: &Context, job: Option<&str>) -> Result<i32> {
    let here = std::env::current_dir().map_err(Error::internal)?;
    let repository = Repository::find(&here).await?;
    let place = Place::claim(place::dir_of(&place::cache()?, &repository.top))?;
    let host = open(&place.dir).await?;
    let store = Store::open(&place.dir.join("naru.db"), store::Options::default())?;
    let failed = newest(&host, &store, job).await?;
    let code = enter(&host, &failed, &place.dir, context.lang).await?;
    drop(place);
    Ok(code)
}

async fn open(dir: &Path) -> Result<Host> {
    let shim = std::env::current_exe().map_err(Error::internal)?;
    let shim = vec![shim.into(), "shim".into()];
    let options = host::Options { dir: dir.join("host"), shim, hidden: vec![dir.to_owned()] };
    Host::open(options).await
}

/// The job that failed last, or the last failure of the one that is named.
///
/// # Errors
/// `local.no-place`
pub async fn newest(host: &Host, store: &Store, job: Option<&str>) -> Result<Failed> {
    let mut ended: Vec<(kernel::Time, Workload)> = host
        .all()
        .into_iter()
        .filter_map(|w| {
            let exit = w.exit().filter(|e| !e.success())?;
            let started = !matches!(exit.reason, Reason::NotStarted { .. });
            started.then_some((exit.finished, w))
        })
        .collect();
    ended.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
    for (_, workload) in ended {
        let Some((run, index)) = of(workload.id()) else { continue };
        let found: Option<Run> = store.read(move |v| Engine::show_in(v, &run)).await?;
        let step = found.and_then(|run| Some(run.steps.get(index)?.name.clone()));
        if let Some(step) = step.filter(|step| job.is_none_or(|job| job == step)) {
            return Ok(Failed { job: step, spec: workload.spec().clone() });
        }
    }
    let say = match job {
        Some(job) => {
            let shown = kernel::shown(job);
            text!(
                "“{shown}” has left no place: it did not fail in the last run",
                "“{shown}”이(가) 남긴 자리가 없습니다. 지난 실행에서 실패하지 않았습니다"
            )
        }
        None => Text::fixed(
            "no job of the last run has failed and left a place",
            "지난 실행에 실패하여 자리를 남긴 작업이 없습니다",
        ),
    };
    Err(Error::not_found("local.no-place", say))
}

/// `<run>-<step>-<attempt>`, but not what ran after it.
fn of(workload: &str) -> Option<(Id, usize)> {
    let mut words = workload.rsplitn(3, '-');
    let (attempt, step, run) = (words.next()?, words.next()?, words.next()?);
    attempt.parse::<u32>().ok()?;
    Some((Id::parse(run)?, step.parse().ok()?))
}

/// A shell in the job's sandbox, with its environment, its working directory and the files as it left them.
/// Returns what the shell exited with.
///
/// # Errors
/// `local.no-terminal`; what keeps the sandbox from being made.
pub async fn enter(host: &Host, failed: &Failed, dir: &Path, lang: kernel::Lang) -> Result<i32> {
    let pid = std::process::id();
    let id = format!("shell-{pid}");
    let spec = Spec {
        id: id.clone(),
        argv: IDLE.map(str::to_owned).to_vec(),
        log: dir.join("shell.log"),
        hold_ms: 0,
        limits: host::Limits { time_ms: None, ..failed.spec.limits.clone() },
        ..failed.spec.clone()
    };
    let shell = failed.spec.argv.first().cloned().unwrap_or_else(|| "/bin/sh".to_owned());
    let workload = host.start(spec).await?;
    if let Some(exit) = workload.exit() {
        let Text { en, ko } = exit.text();
        return Err(Error::invalid("local.no-place", text!("no shell: {en}", "셸 없음: {ko}")));
    }
    let job = &failed.job;
    let words = text!(
        "the place that {job} left, as it left it; `exit` leaves",
        "{job} 작업이 남긴 그대로의 자리입니다. `exit`으로 나갑니다"
    );
    let _ = writeln!(std::io::stderr(), "{}", words.get(lang));
    let term = std::env::var("TERM").unwrap_or_else(|_| "dumb".to_owned());
    let env = vec![("TERM".to_owned(), term)];
    let argv = vec![shell, "-i".to_owned()];
    let console = workload.exec(argv, env, size()).await;
    let code = match console {
        Ok(console) => Ok(converse(console).await),
        Err(error) => Err(error),
    };
    workload.kill().await;
    host.forget(&id).await?;
    code
}

/// Of the window that the command runs in.
pub fn size() -> Size {
    let found = tcgetwinsize(std::io::stdout()).ok().filter(|w| w.ws_row > 0 && w.ws_col > 0);
    found.map_or(Size { rows: 24, columns: 80 }, |w| Size { rows: w.ws_row, columns: w.ws_col })
}

/// Types what is typed here and shows what is printed there, until the program ends.
async fn converse(mut console: Console) -> i32 {
    let _restore = Restore::raw();
    let mut input = Input::open();
    let (mut typed, mut printed) = (console.terminal(), console.terminal());
    let mut window = signal(SignalKind::window_change()).ok();
    let mut chunk = vec![0_u8; CHUNK];
    let mut open = true;
    loop {
        tokio::select! {
            read = printed.read(&mut chunk) => match read {
                Ok(n @ 1..) => show(chunk.get(..n).unwrap_or_default()),
                _ => break,
            },
            bytes = input.bytes.recv(), if open => match bytes {
                Some(bytes) => open = typed.write_all(&bytes).await.is_ok(),
                // Nothing more will be typed: what a terminal says for that.
                None => open = typed.write_all(b"\x04").await.is_err(),
            },
            Some(()) = resized(&mut window) => {
                let _ = typed.resize(size());
            }
        }
    }
    console.wait().await.unwrap_or(1)
}

/// Waits for the window to change, if that can be heard of.
pub async fn resized(window: &mut Option<tokio::signal::unix::Signal>) -> Option<()> {
    match window {
        Some(window) => window.recv().await,
        None => std::future::pending().await,
    }
}

/// Bytes for the terminal, as they are: it is the job's own.
pub fn show(bytes: &[u8]) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(bytes).and_then(|()| out.flush());
}

//! An accepted push is carried out: intent, `receive-pack`, event, answer.

use crate::command::Request;
use crate::decide::Force;
use crate::report::{self, Report, Splitter};
use crate::settle::{self, Intent, Moved};
use crate::upload::Spooled;
use crate::{Git, Repository, follow, git, pkt, push, refs, repository, serve};
use bytes::Bytes;
use kernel::{Error, ErrorKind, Key, Lang, Name, Principal, Result, Text, Time, text};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use store::Put;
use tokio::io::AsyncReadExt;
use tokio::process::Child;
use tokio::sync::mpsc;

/// Everything about a push but its pack.
pub(crate) struct Push {
    pub project: Name,
    pub repository: Name,
    pub who: Principal,
    pub lang: Lang,
    /// The server's address, for links.
    pub url: String,
    pub received: Time,
    pub request: Request,
    pub force: Force,
}

/// Where the client listens. One that has left or does not read is no reason to stop.
pub(crate) struct Client {
    pieces: mpsc::Sender<Bytes>,
    pub request: Request,
    pub lang: Lang,
    idle: Duration,
    gone: bool,
}

impl Client {
    pub async fn send(&mut self, bytes: Vec<u8>) {
        if self.gone || bytes.is_empty() {
            return;
        }
        let sent = tokio::time::timeout(self.idle, self.pieces.send(bytes.into())).await;
        self.gone = !matches!(sent, Ok(Ok(())));
    }

    /// For what can be lost: git's progress. Others wait for this push, so nobody waits for its client.
    fn offer(&mut self, bytes: Vec<u8>) {
        if !bytes.is_empty() {
            let _ = self.pieces.try_send(bytes.into());
        }
    }

    /// Lines that the client shows with `remote:`.
    pub async fn say(&mut self, text: &Text) {
        self.send(report::say(self.request.bands, text.get(self.lang))).await;
    }

    pub fn left(&self) -> bool {
        self.gone || self.pieces.is_closed()
    }

    /// Resolves when nobody listens any more.
    pub async fn leaves(&self) {
        if !self.gone {
            self.pieces.closed().await;
        }
    }

    /// A packet without words.
    pub async fn beat(&mut self) {
        let mut out = Vec::new();
        if self.request.bands != pkt::Bands::None {
            pkt::push(&mut out, &[2]);
        }
        self.send(out).await;
    }

    async fn end(&mut self, report: &[u8]) {
        self.send(report::deliver(&self.request, report)).await;
    }
}

pub(crate) async fn run(git: Git, push: Push, pack: Spooled, pieces: mpsc::Sender<Bytes>) {
    let idle = git.shared.limits.idle;
    let request = push.request.clone();
    let mut client = Client { pieces, request, lang: push.lang, idle, gone: false };
    match carry_out(&git, &push, pack, &mut client).await {
        Ok(settled) => follow::after(&git, &push, &settled, &mut client).await,
        Err(error) => fail(&push, &error, &mut client).await,
    }
    if client.request.bands != pkt::Bands::None {
        client.send(pkt::FLUSH.to_vec()).await;
    }
}

/// What the client hears when our side failed before git had its turn.
async fn fail(push: &Push, error: &Error, client: &mut Client) {
    tracing::warn!(project = %push.project, repository = %push.repository, %error, "push failed");
    client.say(error.say()).await;
    if let Some(hint) = error.get_hint() {
        client.say(hint).await;
    }
    let inner = report::refusal(&push.request, None, "naru could not take the push");
    client.end(&inner).await;
}

async fn carry_out(
    git: &Git,
    push: &Push,
    pack: Spooled,
    client: &mut Client,
) -> Result<settle::Settled> {
    let limits = git.shared.limits;
    let open = git.opened(&push.project, &push.repository);
    let turn = tokio::time::timeout(limits.receive, open.push.lock());
    let turn = turn.await.map_err(|_| busy())?;
    let place = serve::enter(&git.shared.processes).await?;
    if open.unsettled.load(Ordering::SeqCst) {
        git.settle_repository(&push.project, &push.repository).await?;
    }
    // From here to the settlement the next in turn has to look for an intent, however this one ends.
    open.unsettled.store(true, Ordering::SeqCst);
    let done = receive(git, push, pack, client).await;
    let settled = done.as_ref().is_ok_and(|(settled, _)| settled.is_ok());
    if settled {
        open.unsettled.store(false, Ordering::SeqCst);
    } else {
        git.owe(&push.project, &push.repository);
    }
    drop((turn, place));
    let (settled, inner) = done?;
    let inner = if inner.is_empty() { report_of(&settled, push) } else { inner };
    explain(&report::parse(&inner), push, client).await;
    client.end(&inner).await;
    match settled {
        Ok(settled) => Ok(settled),
        Err(error) => {
            // The refs have moved and the intent says so: the event follows, only later.
            tracing::error!(project = %push.project, %error, "a push waits to be recorded");
            client.say(&later()).await;
            Ok(settle::Settled::default())
        }
    }
}

/// Intent, git, settlement; git's report comes along.
///
/// # Errors
/// What kept git from starting. Once it has started, only the settlement can still fail.
async fn receive(
    git: &Git,
    push: &Push,
    pack: Spooled,
    client: &mut Client,
) -> Result<(Result<settle::Settled>, Vec<u8>)> {
    let began = Instant::now();
    let (dir, spec) = prepare(git, push).await?;
    let seen = look(git, push, &dir).await?;
    let lock = settle::lock(&dir).await?;
    let (intent, child, input) = match pack {
        Spooled::Memory(bytes) => {
            // git starts while the intent becomes durable; it has nothing to read until then.
            let child = start(git, push, &dir, &lock, Stdio::piped())?;
            (begin(git, push, spec, &seen).await?, child, bytes)
        }
        Spooled::File(file) => {
            let intent = begin(git, push, spec, &seen).await?;
            (intent, start(git, push, &dir, &lock, file.into())?, Vec::new())
        }
    };
    drop(lock);
    let recorded = Instant::now();
    let inner = converse(child, &input, client, git.shared.limits.receive).await;
    let received = Instant::now();
    let settled = git.settle(&intent, Some(&seen)).await;
    tracing::debug!(
        before_git_us = (recorded - began).as_micros(),
        git_us = (received - recorded).as_micros(),
        after_git_us = received.elapsed().as_micros(),
        "push"
    );
    Ok((settled, inner))
}

/// The repository's directory, made if this push is its first.
async fn prepare(git: &Git, push: &Push) -> Result<(PathBuf, Option<Repository>)> {
    let (project, repository) = (push.project.clone(), push.repository.clone());
    let found = git.resource(&project, &repository).await?;
    let spec = found.map(|r| r.spec::<Repository>()).transpose()?;
    let branch = match &spec {
        Some(spec) => spec.default_branch.clone(),
        None => push::first_branch(&push.request),
    };
    let dir = git.path(&project, &repository);
    let left = spec.is_none() && dir.is_dir() && git.was_deleted(&project, &repository).await?;
    if left {
        git.opened(&project, &repository).forget();
    }
    let (root, at) = (git.shared.dir.clone(), dir.clone());
    let work = move || {
        if left {
            repository::discard(&root, &at)?;
        }
        if !at.is_dir() {
            repository::create(&root, &project, &repository, &branch)?;
        }
        repository::point_head(&at, &branch)
    };
    tokio::task::spawn_blocking(work).await.map_err(Error::internal)??;
    let fresh =
        Repository { default_branch: push::first_branch(&push.request), ..Repository::default() };
    Ok((dir, spec.is_none().then_some(fresh)))
}

/// What was there before the push.
pub(crate) struct Before {
    pub refs: refs::Refs,
    /// Commits named by the push that were there already, reachable or not.
    pub known: Vec<String>,
}

async fn look(git: &Git, push: &Push, dir: &Path) -> Result<Before> {
    let at = dir.to_owned();
    let refs =
        tokio::task::spawn_blocking(move || refs::all(&at)).await.map_err(Error::internal)??;
    let ids: Vec<String> = push.request.commands.iter().filter_map(|c| c.after.clone()).collect();
    let pool = &git.opened(&push.project, &push.repository).pool;
    let known = pool.with(move |reader| {
        let names: Vec<&str> = ids.iter().map(String::as_str).collect();
        Ok(reader.info(&names)?.into_iter().flatten().map(|f| f.id).collect())
    });
    Ok(Before { refs, known: known.await? })
}

/// Makes the intent durable, and the resource of a new repository with it.
async fn begin(git: &Git, push: &Push, fresh: Option<Repository>, seen: &Before) -> Result<Intent> {
    let mut commands = push.request.commands.clone();
    for command in &mut commands {
        command.before = seen.refs.get(&command.refname).cloned();
    }
    let key = Key::of::<Repository>(&push.project, &push.repository);
    let fresh = fresh.map(serde_json::to_value).transpose().map_err(Error::internal)?;
    let mut intent = Intent {
        id: String::new(),
        project: push.project.clone(),
        repository: push.repository.clone(),
        actor: push.who.clone(),
        received: push.received,
        options: push.request.options.clone(),
        commands,
    };
    let write = git.shared.store.write(move |tx| {
        if let Some(spec) = fresh
            && tx.resource(&key)?.is_none()
        {
            let (labels, actor) = (Default::default(), intent.actor.clone());
            tx.put(Put { key, labels, spec, expected: Some(0), actor })?;
        }
        intent.id = tx.id()?.as_str().to_owned();
        settle::write(tx, &intent)?;
        Ok(intent)
    });
    write.await
}

fn start(git: &Git, push: &Push, dir: &Path, lock: &settle::Lock, stdin: Stdio) -> Result<Child> {
    let mut command = git.shared.git.command();
    let limit = git.shared.limits.pack;
    command.args(["-c", "safe.directory=*", "-c", &format!("receive.maxInputSize={limit}")]);
    if push.force == Force::Refused {
        command.args(["-c", "receive.denyNonFastForwards=true"]);
    }
    command.args(["receive-pack", "--stateless-rpc"]).arg(dir);
    // The process holds the lock for as long as it lives, even if we do not.
    command.stderr(lock.share()?);
    serve::spawn(command.into(), stdin)
}

/// Gives git the pack and passes on what it says; returns its report. After `limit` it is given up, and
/// what it did until then is found on disk.
async fn converse(mut child: Child, input: &[u8], client: &mut Client, limit: Duration) -> Vec<u8> {
    let mut splitter = Splitter::new(client.request.bands);
    let stdin = child.stdin.take();
    let Some(mut out) = child.stdout.take() else { return Vec::new() };
    let read = async {
        loop {
            let mut piece = Vec::with_capacity(16 * 1024);
            match out.read_buf(&mut piece).await {
                Ok(0) | Err(_) => break,
                Ok(_) => client.offer(splitter.take(&piece)),
            }
        }
        let _ = child.wait().await;
    };
    let both = async { tokio::join!(git::feed(stdin, input), read) };
    if tokio::time::timeout(limit, both).await.is_err() {
        let _ = child.kill().await;
    }
    splitter.report
}

/// The report that git no longer gave: what the disk says.
fn report_of(settled: &Result<settle::Settled>, push: &Push) -> Vec<u8> {
    let moved: &[Moved] = settled.as_ref().map_or(&[], |s| &s.moved);
    let moved = |name: &str| moved.iter().any(|m| m.refname == name);
    report::outcome(&push.request, moved)
}

/// git's reasons in words that help.
async fn explain(report: &Report, push: &Push, client: &mut Client) {
    if let Some(why) = &report.unpack {
        tracing::info!(project = %push.project, repository = %push.repository, why, "pack refused");
        client
            .say(&Text::fixed(
                "git could not take the pack: nothing was changed",
                "git이 팩을 받아들이지 못해 아무것도 바꾸지 않았습니다",
            ))
            .await;
        return;
    }
    if report.refused.values().any(|why| why.contains("non-fast-forward")) {
        client.say(&Text::fixed(
            "the default branch only moves forward\nrebase onto it first; an owner of the project may rewrite it with `git push --force -o force`",
            "기본 브랜치는 앞으로만 움직입니다\n먼저 rebase 하세요. 프로젝트 소유자는 `git push --force -o force`로 다시 쓸 수 있습니다",
        ))
        .await;
    }
}

fn busy() -> Error {
    Error::new(
        ErrorKind::Busy,
        "push.busy",
        Text::fixed(
            "other pushes to this repository are under way",
            "이 저장소에 다른 푸시가 진행 중입니다",
        ),
    )
    .hint(Text::fixed("try again in a moment", "잠시 뒤 다시 시도하세요"))
}

fn later() -> Text {
    text!(
        "the push has arrived; its pipeline starts when naru can write again",
        "푸시는 도착했습니다. 파이프라인은 naru가 다시 기록할 수 있을 때 시작합니다"
    )
}

/// A moved ref, for those who only want to know which changes there are.
pub(crate) fn changes(moved: &[Moved]) -> Vec<Name> {
    moved.iter().filter_map(|m| m.change.clone()).collect()
}

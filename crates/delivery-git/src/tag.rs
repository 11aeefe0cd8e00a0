//! Tags that pipelines ask for, made through the same door as a push: the right of whoever started the
//! pipeline, the rules for names, the repository's turn, an intent before the ref moves, and `git.pushed`
//! after it. What a release says of itself is kept beside the tag.
//!
//! Invariants: asking twice makes one tag; a tag that is there is never moved; one that cannot be made is told
//! of in the pipeline's change.

use crate::command::{Command, Request};
use crate::decide::{self, Seen};
use crate::settle::{self, Intent};
use crate::{Git, pkt, refname, refs, serve};
use kernel::journey::{Fact, TagAsked};
use kernel::{Error, ErrorKind, Event, Name, NewEvent, Principal, Result, Text, Time, text};
use naru_http::{Access, Call, Response, Route, json};
use policy::Permission;
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Duration;
use store::{Tx, View};

/// The last request that was dealt with, under `tags`.
const CURSOR: &str = "delivery-git.cursor";
/// [`Words`] by `<project>/<repository>/<tag>`.
const WORDS: &str = "delivery-git.words";
/// A tag that was asked for could not be made; data: `repository`, `tag`, `run`, `reason`.
const REFUSED: &str = "tag.refused";
/// Tries for one tag when the fault is ours.
const TRIES: u32 = 5;
/// Versions in one answer.
const PAGE: usize = 200;

/// A tag with what its release says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Words {
    pub tag: String,
    /// What the tag points to.
    pub commit: String,
    pub name: String,
    pub description: String,
    /// Name and URL.
    pub links: Vec<(String, String)>,
    pub released: Time,
    pub by: Principal,
    pub run: kernel::Id,
}

pub(crate) const ROUTES: [Route; 1] = [Route::get(
    "/api/v1/projects/{project}/repositories/{repository}/versions",
    Access::Project(Permission::View),
    (
        "tags with the words of their releases, newest name first",
        "릴리스 설명이 있는 태그, 이름 역순",
    ),
    |c| Box::pin(versions(c)),
)];

async fn versions(call: Call) -> Result<Response> {
    let git = call.part::<Git>()?;
    let (project, repository) =
        (call.project()?, crate::repository::name_of(call.param("repository")?)?);
    let prefix = format!("{project}/{repository}/");
    let list = move |v: &View<'_>| v.rows_back::<Words>(WORDS, &prefix, None, PAGE);
    let rows = git.shared.store.read(list).await?;
    json(&rows.into_iter().map(|(_, words)| words).collect::<Vec<_>>())
}

/// Makes the tags that are asked for, until the store has closed.
pub(crate) async fn follow(git: &Git) {
    while let Err(error) = work(git).await {
        if error.code() == "store.closed" {
            return;
        }
        tracing::warn!(%error, "tags cannot be made");
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

async fn work(git: &Git) -> Result<()> {
    let store = &git.shared.store;
    let cursor = store.read(|v| v.row::<u64>(CURSOR, "tags")).await?.unwrap_or(0);
    let mut feed = store.follow(cursor);
    loop {
        let event = feed.next().await?;
        let (Some(asked), Some(project)) = (TagAsked::of(&event), event.fact.project.clone())
        else {
            continue;
        };
        let done = make(git, &project, &asked, &event).await?;
        let fact = event.fact.clone();
        let (seq, time) = (event.seq, event.time);
        let write = move |tx: &mut Tx<'_>| {
            tx.set_row(CURSOR, "tags", &seq)?;
            match done {
                Ok(commit) => keep(tx, &project, asked, commit, fact.actor, time),
                Err(error) => {
                    let refused = refused(&asked, &error).project(&project).change(fact.change);
                    tx.append(refused).map(drop)
                }
            }
        };
        store.write(write).await?;
    }
}

/// A fault of ours is tried again a few times. The inner error is the pipeline's to mend.
async fn make(
    git: &Git,
    project: &Name,
    asked: &TagAsked,
    event: &Event,
) -> Result<Result<String>> {
    let mut pause = Duration::from_millis(200);
    for tried in 1.. {
        let error = match tag(git, project, asked, event).await {
            Ok(commit) => return Ok(Ok(commit)),
            Err(error) => error,
        };
        let ours = matches!(
            error.kind(),
            ErrorKind::Internal | ErrorKind::Unavailable | ErrorKind::Busy | ErrorKind::Full
        );
        if error.code() == "store.closed" {
            return Err(error);
        }
        if !ours || tried >= TRIES {
            return Ok(Err(error));
        }
        tokio::time::sleep(pause).await;
        pause *= 2;
    }
    Ok(Err(Error::internal("no try was made")))
}

/// The commit that the tag points to, once it does.
async fn tag(git: &Git, project: &Name, asked: &TagAsked, event: &Event) -> Result<String> {
    let repository = &asked.repository;
    git.shared.policy.may(&event.fact.actor, Permission::Change, project).await?;
    let refname = format!("refs/tags/{}", asked.tag);
    admit(&refname)?;
    let open = git.opened(project, repository);
    let turn = tokio::time::timeout(git.shared.limits.receive, open.push.lock());
    let turn = turn.await.map_err(|_| busy())?;
    let place = serve::enter(&git.shared.processes).await?;
    if open.unsettled.load(Ordering::SeqCst) {
        git.settle_repository(project, repository).await?;
    }
    let dir = git.path(project, repository);
    let commit = commit(git, &dir, &asked.commit).await?;
    if refs::one(&dir, &refname)?.is_some() {
        return standing(git, &dir, &asked.tag, &refname, commit).await;
    }
    let object = object(git, &dir, asked, event, &commit).await?;
    open.unsettled.store(true, Ordering::SeqCst);
    let moved = move_ref(git, project, asked, event, (&dir, &refname, &object)).await;
    match &moved {
        Ok(()) => open.unsettled.store(false, Ordering::SeqCst),
        Err(_) => git.owe(project, repository),
    }
    drop((turn, place));
    moved.map(|()| commit)
}

/// The same rules as for a push.
fn admit(refname: &str) -> Result<()> {
    let command =
        Command { refname: refname.to_owned(), before: None, after: Some("0".repeat(40)) };
    let request = Request {
        commands: vec![command],
        bands: pkt::Bands::None,
        report: false,
        options: Vec::new(),
    };
    // Whatever it is: a tag is not it.
    let seen = Seen { default_branch: "", administers: false, spec: None, maintains: false };
    let decided = decide::decide(&request, &seen);
    decided
        .map(drop)
        .map_err(|refusal| Error::invalid("tag.refused", refusal.say).hint(refusal.hint))
}

fn busy() -> Error {
    let say = Text::fixed("the repository is busy", "저장소가 사용 중입니다");
    Error::new(ErrorKind::Busy, "repository.busy", say)
}

/// What the job names: an object id, a branch or a tag.
async fn commit(git: &Git, dir: &Path, target: &str) -> Result<String> {
    let shown = kernel::shown(target);
    let unknown = move || {
        let say = text!("there is no commit “{shown}”", "“{shown}” 커밋이 없습니다");
        Error::not_found("commit.unknown", say)
    };
    let hex = target.len() >= 7 && target.bytes().all(|b| b.is_ascii_hexdigit());
    if !hex && refname::check(&format!("refs/heads/{target}")).is_err() {
        return Err(unknown());
    }
    peel(git, dir, target).await.map_err(|_| unknown())
}

async fn peel(git: &Git, dir: &Path, revision: &str) -> Result<String> {
    let revision = format!("{revision}^{{commit}}");
    let args = ["rev-parse", "--verify", "--quiet", "--end-of-options", &revision];
    let out = git.shared.git.output(dir, &args).await?;
    Ok(String::from_utf8_lossy(&out).trim().to_owned())
}

/// A tag that is there already is fine where it is wanted.
async fn standing(
    git: &Git,
    dir: &Path,
    tag: &str,
    refname: &str,
    wanted: String,
) -> Result<String> {
    if peel(git, dir, refname).await.is_ok_and(|found| found == wanted) {
        return Ok(wanted);
    }
    let say = text!(
        "the tag {tag} is there already, at another commit",
        "{tag} 태그가 이미 다른 커밋에 있습니다"
    );
    let hint = text!("choose another name for the release", "릴리스에 다른 이름을 쓰세요");
    Err(Error::conflict("tag.exists", say).hint(hint))
}

/// The annotated tag, as an object that nothing points to yet. The same request makes the same object.
async fn object(
    git: &Git,
    dir: &Path,
    asked: &TagAsked,
    event: &Event,
    commit: &str,
) -> Result<String> {
    let (tag, at) = (&asked.tag, event.time.millis().div_euclid(1000));
    let who: String = match &event.fact.actor {
        Principal::User(name) | Principal::Service(name) => name.to_string(),
        other => other.to_string(),
    };
    let message = asked.message.as_deref().filter(|m| !m.trim().is_empty());
    let message = message.unwrap_or(&asked.name).replace('\0', "");
    let words = format!(
        "object {commit}\ntype commit\ntag {tag}\ntagger {who} <{who}@naru> {at} +0000\n\n{}\n",
        message.trim_end()
    );
    let args = ["hash-object", "-t", "tag", "-w", "--stdin"];
    let out = git.shared.git.output_of(dir, &args, words.into_bytes()).await?;
    Ok(String::from_utf8_lossy(&out).trim().to_owned())
}

/// Intent, ref, event.
async fn move_ref(
    git: &Git,
    project: &Name,
    asked: &TagAsked,
    event: &Event,
    (dir, refname, object): (&Path, &str, &str),
) -> Result<()> {
    let lock = settle::lock(dir).await?;
    let command =
        Command { refname: refname.to_owned(), before: None, after: Some(object.to_owned()) };
    let mut intent = Intent {
        id: String::new(),
        project: project.clone(),
        repository: asked.repository.clone(),
        actor: event.fact.actor.clone(),
        received: git.shared.store.now(),
        options: Vec::new(),
        commands: vec![command],
    };
    let write = move |tx: &mut Tx<'_>| {
        intent.id = tx.id()?.as_str().to_owned();
        settle::write(tx, &intent)?;
        Ok(intent)
    };
    let intent = git.shared.store.write(write).await?;
    // Only if it is not there: the last word is git's.
    let made = git.shared.git.output(dir, &["update-ref", refname, object, ""]).await;
    drop(lock);
    git.settle(&intent, None).await?;
    made.map(drop)
}

fn keep(
    tx: &mut Tx<'_>,
    project: &Name,
    asked: TagAsked,
    commit: String,
    by: Principal,
    released: Time,
) -> Result<()> {
    let key = format!("{project}/{}/{}", asked.repository, asked.tag);
    let TagAsked { tag, run, name, description, links, .. } = asked;
    tx.set_row(WORDS, &key, &Words { tag, commit, name, description, links, released, by, run })
}

fn refused(asked: &TagAsked, error: &Error) -> NewEvent {
    let tag = kernel::shown(&asked.tag);
    let Text { en, ko } = error.sentence();
    let say = text!("the tag {tag} was not made: {en}", "{tag} 태그를 만들지 못했습니다: {ko}");
    let data = serde_json::json!({
        "repository": asked.repository, "tag": asked.tag, "run": asked.run,
        "reason": error.sentence(),
    });
    NewEvent::new(REFUSED, Principal::part("delivery-git"), say).data(data)
}

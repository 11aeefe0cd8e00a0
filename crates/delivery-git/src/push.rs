//! A push arrives: it is decided from its command list, taken in whole, and only then carried out.

use crate::command::{self, Broken, Request};
use crate::decide::{self, Force, Refusal, Seen};
use crate::receive::{self, Push};
use crate::serve::{self, Service};
use crate::upload::{Spool, Spooled, Upload};
use crate::{Git, Repository, pkt, report, repository};
use kernel::{Error, ErrorKind, Lang, Name, Result, Text};
use naru_http::{Body, Call, Response};
use policy::{Permission, Target};

const RESULT: &str = "application/x-git-receive-pack-result";

/// How much of a refused push is still read, in multiples of the size limit.
const DRAINED: u64 = 4;

/// What became of the body.
enum Arrival {
    /// git's way of asking whether its credentials are good.
    Probe,
    Refused(Request, Box<Refusal>),
    Whole(Request, Force, Spooled),
}

pub(crate) async fn receive_pack(git: Git, mut call: Call) -> Result<Response> {
    let received = git.shared.store.now();
    let (project, repository) = serve::admit(&call, Service::Push).await?;
    serve::expect_type(&call, Service::Push)?;
    let place = serve::enter(&git.shared.uploads).await?;
    let limits = git.shared.limits;
    let encoding = call.header("content-encoding").map(str::to_owned);
    let upload = Upload::new(call.body(), encoding.as_deref(), limits.pack, &limits)?;
    // The limit is the pack's; the list of refs comes on top of it.
    let mut upload = upload.with_room(command::LIST as u64);
    let judge = Judge { git: &git, call: &call, project: &project, repository: &repository };
    let arrival = judge.arrive(&mut upload).await;
    drop(place);
    let (request, force, pack) = match arrival? {
        Arrival::Probe => return serve::answer(RESULT, Body::empty()),
        Arrival::Refused(request, refusal) => {
            tracing::info!(%project, %repository, who = %call.who, reason = refusal.reason, "push refused");
            return serve::answer(RESULT, refused(&request, &refusal, call.lang).into());
        }
        Arrival::Whole(request, force, pack) => (request, force, pack),
    };
    let base = git.shared.url.clone().or_else(|| Some(format!("http://{}", call.header("host")?)));
    let push = Push {
        project,
        repository,
        who: call.who.clone(),
        lang: call.lang,
        url: base.unwrap_or_default(),
        received,
        request,
        force,
    };
    let (pieces, body) = serve::channel();
    // On its own: a client that leaves now no longer matters.
    tokio::spawn(store::origin::carried(receive::run(git.clone(), push, pack, pieces)));
    serve::answer(RESULT, body)
}

struct Judge<'a> {
    git: &'a Git,
    call: &'a Call,
    project: &'a Name,
    repository: &'a Name,
}

impl Judge<'_> {
    /// Reads the body. The decision falls as soon as the command list is there; a refused push is read to
    /// its end and forgotten, because a client that is still sending does not listen.
    async fn arrive(&self, upload: &mut Upload) -> Result<Arrival> {
        let most = self.git.shared.limits.pack.saturating_mul(DRAINED);
        let mut spool = Spool::new();
        let mut accepted: Option<(Request, Force)> = None;
        loop {
            let data = match (upload.next().await, &accepted) {
                (Ok(Some(data)), _) => data,
                (Ok(None), _) => break,
                (Err(error), Some((request, _))) if error.kind() == ErrorKind::TooLarge => {
                    upload.drain(most).await;
                    return Ok(Arrival::Refused(
                        request.clone(),
                        whole("the push is too large", &error),
                    ));
                }
                (Err(error), _) => return Err(error),
            };
            // Until the list has been read it has to stay in memory; its length is bounded.
            let keep = if accepted.is_none() { usize::MAX } else { 0 };
            let incoming = repository::incoming(&self.git.shared.dir);
            if let Err(error) = spool.push(&data, &incoming, keep).await {
                upload.drain(most).await;
                return match accepted {
                    Some((request, _)) => {
                        Ok(Arrival::Refused(request, whole("the server cannot keep it", &error)))
                    }
                    None => Err(error),
                };
            }
            if accepted.is_some() {
                continue;
            }
            match command::parse(spool.front()) {
                Ok(None) => {}
                Err(broken) => {
                    upload.drain(most).await;
                    return Err(unreadable(broken));
                }
                Ok(Some(request)) if request.commands.is_empty() => {
                    upload.drain(most).await;
                    return Ok(Arrival::Probe);
                }
                Ok(Some(request)) => match self.decide(&request).await? {
                    Ok(force) => accepted = Some((request, force)),
                    Err(refusal) => {
                        upload.drain(most).await;
                        return Ok(Arrival::Refused(request, refusal));
                    }
                },
            }
        }
        let (request, force) = accepted.ok_or_else(|| unreadable(Broken::Packet))?;
        Ok(Arrival::Whole(request, force, spool.finish().await?))
    }

    async fn decide(&self, request: &Request) -> Result<Result<Force, Box<Refusal>>> {
        let found = self.git.resource(self.project, self.repository).await?;
        let spec = found.map(|r| r.spec::<Repository>()).transpose()?;
        let default_branch =
            spec.as_ref().map_or_else(|| first_branch(request), |s| s.default_branch.clone());
        let administers = request.option("force")
            && self.call.may(Permission::Administer, self.project).await.is_ok();
        let guarded = spec.as_ref().is_some_and(|s| !s.protected.is_empty());
        let maintains = guarded && self.call.may(Permission::Deploy, self.project).await.is_ok();
        let spec = spec.as_ref();
        let seen = Seen { default_branch: &default_branch, administers, spec, maintains };
        match decide::decide(request, &seen) {
            Ok(force) => Ok(self.admit(request, &seen).await?.map_or(Ok(force), Err)),
            Err(refusal) => Ok(Err(refusal)),
        }
    }

    /// Asks for each ref whether policies let it move: they may name the branch, and whether it is protected.
    async fn admit(&self, request: &Request, seen: &Seen<'_>) -> Result<Option<Box<Refusal>>> {
        let target = Target::within(self.project, "repository", self.repository.as_str());
        for command in &request.commands {
            let branch = command.refname.strip_prefix("refs/heads/");
            let guarded = branch.is_some_and(|b| {
                b == seen.default_branch || seen.spec.is_some_and(|s| s.protection(b).is_some())
            });
            let context = policy::Context {
                branch: branch.map(str::to_owned),
                protected: Some(guarded),
                ..self.call.context()
            };
            let (who, policy) = (&self.call.who, &self.call.site.policy);
            let action = Permission::Change.action();
            let asked =
                policy.require_on(who, action, std::slice::from_ref(&target), &context).await;
            match asked {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::Forbidden => {
                    let refname = Some(command.refname.clone());
                    let refusal = whole("a policy holds this ref back", &error);
                    return Ok(Some(Box::new(Refusal { refname, ..*refusal })));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }
}

pub(crate) fn first_branch(request: &Request) -> String {
    let made = request.commands.iter().filter(|c| c.after.is_some());
    repository::first_branch(made.map(|c| c.refname.as_str()))
}

/// The answer to a refused push, complete.
fn refused(request: &Request, refusal: &Refusal, lang: Lang) -> Vec<u8> {
    let words = format!("{}\n{}", refusal.say.get(lang), refusal.hint.get(lang));
    let mut out = report::say(request.bands, &words);
    let inner = report::refusal(request, refusal.refname.as_deref(), refusal.reason);
    out.extend(report::deliver(request, &inner));
    if request.bands != pkt::Bands::None {
        out.extend_from_slice(pkt::FLUSH);
    }
    out
}

/// A refusal of the push as a whole.
fn whole(reason: &'static str, error: &Error) -> Box<Refusal> {
    Box::new(Refusal {
        refname: None,
        reason,
        say: error.say().clone(),
        hint: error.get_hint().cloned().unwrap_or_default(),
    })
}

fn unreadable(broken: Broken) -> Error {
    let most = command::COMMANDS;
    let say = match broken {
        Broken::TooMany => kernel::text!(
            "a push may name {most} refs at most",
            "한 번에 ref를 {most}개까지만 푸시할 수 있습니다"
        ),
        Broken::TooLong => Text::fixed("the list of refs is too long", "ref 목록이 너무 깁니다"),
        Broken::Certificate => {
            Text::fixed("signed pushes are not supported", "서명된 푸시는 지원하지 않습니다")
        }
        Broken::Option => Text::fixed(
            "a push option cannot be read: too many, too long or not plain text",
            "푸시 옵션을 읽을 수 없습니다. 너무 많거나 길거나 글자가 아닙니다",
        ),
        Broken::Packet | Broken::Command => {
            Text::fixed("this is not a push of a git client", "git 클라이언트의 푸시가 아닙니다")
        }
    };
    Error::invalid("push.unreadable", say).hint(Text::fixed(
        "push fewer refs at a time, with an unmodified git",
        "수정하지 않은 git으로 더 적은 ref를 나누어 푸시하세요",
    ))
}

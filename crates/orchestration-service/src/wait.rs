//! Commands that begin something stay until it has ended, as a push with `-o follow` does.

use crate::view::{Deployed, RolledBack};
use crate::{Condition, ServiceView};
use clap::{Arg, ArgAction, ArgMatches};
use cli::{Client, Context, Lines, segment};
use kernel::journey::{Fact, RolloutFinished, Verdict};
use kernel::{Error, ErrorKind, Event, Lang, Result, Text, text};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::time::Duration;

/// Beyond what the instances may take to become ready, after crashes too.
const MARGIN: Duration = Duration::from_secs(60);

/// `--no-wait`
pub(crate) fn argument(lang: Lang) -> Arg {
    Arg::new("no-wait")
        .long("no-wait")
        .action(ArgAction::SetTrue)
        .help(lang.pick("return when it has begun", "시작만 하고 돌아오기").to_owned())
}

/// Posts `body` to `path`, which begins a rollout in `project`, and shows it to its end.
///
/// # Errors
/// The server's, or `rollout.failed` with the reason when it did not pass.
pub(crate) async fn roll(
    context: &Context,
    matches: &ArgMatches,
    project: &str,
    path: &str,
    body: &Value,
) -> Result<()> {
    let (journal, begun) = Journal::before::<RolledBack>(context, project, path, body).await?;
    if matches.get_flag("no-wait") {
        return context.output.line(&begun, |b| rolling(context.lang, b));
    }
    journal.show_to_the_end(context, vec![begun]).await
}

/// The same for a change, with all its services.
pub(crate) async fn deploy(
    context: &Context,
    matches: &ArgMatches,
    project: &str,
    path: &str,
) -> Result<()> {
    let (journal, begun) = Journal::before::<Deployed>(context, project, path, &json!({})).await?;
    if matches.get_flag("no-wait") {
        return context.output.line(&begun, |b| {
            let all = b.rollouts.iter().map(|r| rolling(context.lang, r));
            all.collect::<Vec<_>>().join("\n")
        });
    }
    journal.show_to_the_end(context, begun.rollouts).await
}

fn rolling(lang: Lang, begun: &RolledBack) -> String {
    match lang {
        Lang::En => format!("rolling out {} (run {})", begun.release, begun.run),
        Lang::Ko => format!("{} 롤아웃 시작 (run {})", begun.release, begun.run),
    }
}

/// The events of a project from just before something was asked for, so that nothing of it is missed.
struct Journal {
    client: Client,
    path: String,
}

impl Journal {
    /// Notes where the journal is, then posts.
    async fn before<T: DeserializeOwned>(
        context: &Context,
        project: &str,
        path: &str,
        body: &impl Serialize,
    ) -> Result<(Journal, T)> {
        let client = context.client()?;
        let events = format!("/api/v1/events?project={}", segment(project));
        let before: Value = client.get(&format!("{events}&limit=1")).await?;
        let head = before.get("head").and_then(Value::as_u64).unwrap_or(0);
        let begun = client.post(path, body).await?;
        Ok((Journal { client, path: format!("{events}&follow=true&after={head}") }, begun))
    }

    async fn open(&self) -> Result<Lines> {
        self.client.stream(&self.path).await
    }

    /// Shows what the runs say of themselves until the last has ended.
    async fn show_to_the_end(&self, context: &Context, mut begun: Vec<RolledBack>) -> Result<()> {
        let (mut stream, mut failure) = (self.open().await?, None);
        while !begun.is_empty() {
            let event = next(&mut stream).await?;
            let run = event.fact.data.get("run").and_then(Value::as_str);
            let Some(at) = begun.iter().position(|b| run == Some(b.run.as_str())) else { continue };
            if let Some(ended) = RolloutFinished::of(&event) {
                begun.swap_remove(at);
                failure = failure.or(told(context, ended)?);
            } else if shown(&event.fact.kind) {
                context.output.remark(event.fact.say.get(context.lang));
            }
        }
        failure.map_or(Ok(()), Err)
    }
}

async fn next(stream: &mut Lines) -> Result<Event> {
    let Some((_, data)) = stream.next().await? else {
        return Err(Error::new(
            ErrorKind::Unavailable,
            "server.gone",
            Text::fixed("the server went away", "서버가 멈췄습니다"),
        )
        .hint(Text::fixed(
            "it goes on with it when it is back: `naru service show` tells how far it is",
            "서버가 돌아오면 이어서 진행합니다. `naru service show`로 확인하세요",
        )));
    };
    serde_json::from_str(&data).map_err(Error::internal)
}

fn shown(kind: &str) -> bool {
    kind == "rollout.started" || kind.starts_with("run.step.")
}

/// Says that a release serves, or why not.
fn told(context: &Context, ended: RolloutFinished) -> Result<Option<Error>> {
    if ended.verdict == Verdict::Passed {
        context.output.line(&ended, |e| match context.lang {
            Lang::En => format!("{} serves", e.release),
            Lang::Ko => format!("{} 서비스 중", e.release),
        })?;
        return Ok(None);
    }
    let RolloutFinished { release, reason, .. } = ended;
    let reason = reason.unwrap_or(Text::fixed("it was stopped", "중단됨"));
    let (en, ko) = (reason.en, reason.ko);
    let say = text!("{release} did not go live: {en}", "{release} 롤아웃 실패: {ko}");
    Ok(Some(Error::conflict("rollout.failed", say).hint(Text::fixed(
        "what served before goes on serving",
        "이전 릴리스가 계속 서비스합니다",
    ))))
}

/// Asks for `replicas` instances of the service at `path` and shows how many are ready until they are.
///
/// # Errors
/// The server's, or `scale.slow` when it takes longer than instances may take.
pub(crate) async fn scale(
    context: &Context,
    matches: &ArgMatches,
    project: &str,
    path: &str,
    replicas: u32,
) -> Result<()> {
    let body = json!({ "replicas": replicas });
    let scale = format!("{path}/scale");
    let (journal, _) = Journal::before::<Value>(context, project, &scale, &body).await?;
    let path = format!("{path}/view");
    let mut view: ServiceView = journal.client.get(&path).await?;
    if matches.get_flag("no-wait") || view.status.condition == Condition::Empty {
        return scaled(context, &view, replicas);
    }
    let limit = view.spec.ready_within.0.saturating_mul(4).saturating_add(MARGIN);
    let settle = async {
        let mut stream = journal.open().await?;
        let mut ready = None;
        while !settled(&view, replicas) {
            if ready.replace(view.status.ready) != Some(view.status.ready) {
                context.output.remark(&progress(context.lang, &view, replicas));
            }
            while !concerns(&next(&mut stream).await?, &view) {}
            view = journal.client.get(&path).await?;
        }
        Ok::<_, Error>(())
    };
    match tokio::time::timeout(limit, settle).await {
        Ok(done) => done?,
        Err(_) => return Err(slow(&view, replicas)),
    }
    scaled(context, &view, replicas)
}

fn settled(view: &ServiceView, replicas: u32) -> bool {
    let status = &view.status;
    status.wanted == replicas && status.ready == replicas && status.rolling.is_none()
}

/// Whether the view may be another one after this event.
fn concerns(event: &Event, view: &ServiceView) -> bool {
    let subject = event.fact.subject.as_ref();
    subject.is_some_and(|s| s.kind == "Service" && s.name == view.name)
}

fn progress(lang: Lang, view: &ServiceView, replicas: u32) -> String {
    let (name, ready) = (&view.name, view.status.ready);
    match lang {
        Lang::En => format!("{name}: {ready} of {replicas} ready"),
        Lang::Ko => format!("{name}: {replicas}개 중 {ready}개 준비됨"),
    }
}

fn scaled(context: &Context, view: &ServiceView, replicas: u32) -> Result<()> {
    let said = json!({
        "service": view.name,
        "replicas": replicas,
        "ready": view.status.ready,
    });
    context.output.line(&said, |_| match (context.lang, settled(view, replicas)) {
        (_, true) => progress(context.lang, view, replicas),
        (Lang::En, false) => format!("{} is wanted {replicas} times", view.name),
        (Lang::Ko, false) => format!("{} 인스턴스 수를 {replicas}(으)로 정했습니다", view.name),
    })
}

fn slow(view: &ServiceView, replicas: u32) -> Error {
    let (name, ready) = (&view.name, view.status.ready);
    let why = view.status.message.clone().unwrap_or_default();
    let (en, ko) = match why.is_empty() {
        true => (String::new(), String::new()),
        false => (format!(": {}", why.en), format!(": {}", why.ko)),
    };
    Error::new(
        ErrorKind::Unavailable,
        "scale.slow",
        text!(
            "{ready} of {replicas} instances of {name} are ready{en}",
            "{name} 인스턴스 {replicas}개 중 {ready}개만 준비되었습니다{ko}"
        ),
    )
    .hint(text!(
        "it goes on; `naru service show {name}` tells how it is",
        "계속 시도합니다. `naru service show {name}`로 확인하세요"
    ))
}

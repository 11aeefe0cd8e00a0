//! A command that begins a rollout stays until it has ended, as a push with `-o follow` does.

use crate::view::RolledBack;
use clap::{Arg, ArgAction, ArgMatches};
use cli::{Client, Context, segment};
use kernel::journey::{Fact, RolloutFinished, Verdict};
use kernel::{Error, Event, Lang, Result, Text};
use serde_json::Value;

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
    let client = context.client()?;
    let events = format!("/api/v1/events?project={}", segment(project));
    // Where the journal stood before, so that nothing of the rollout is missed.
    let before: Value = client.get(&format!("{events}&limit=1")).await?;
    let head = before.get("head").and_then(Value::as_u64).unwrap_or(0);
    let begun: RolledBack = client.post(path, body).await?;
    if matches.get_flag("no-wait") {
        return context.output.line(&begun, |b| match context.lang {
            Lang::En => format!("rolling out {} (run {})", b.release, b.run),
            Lang::Ko => format!("{} 롤아웃 시작 (run {})", b.release, b.run),
        });
    }
    let ended =
        follow(context, &client, &format!("{events}&follow=true&after={head}"), &begun).await?;
    match (ended.verdict, ended.reason.clone()) {
        (Verdict::Passed, _) => context.output.line(&ended, |e| match context.lang {
            Lang::En => format!("{} serves", e.release),
            Lang::Ko => format!("{} 서비스 중", e.release),
        }),
        (_, reason) => {
            let unsaid = Text::fixed("the rollout did not pass", "롤아웃이 통과하지 못했습니다");
            Err(Error::conflict("rollout.failed", reason.unwrap_or(unsaid)).hint(Text::fixed(
                "what served before goes on serving",
                "이전 릴리스가 계속 서비스합니다",
            )))
        }
    }
}

/// Shows what the run says of itself; the last word is its rollout's.
async fn follow(
    context: &Context,
    client: &Client,
    path: &str,
    begun: &RolledBack,
) -> Result<RolloutFinished> {
    let mut stream = client.stream(path).await?;
    while let Some((_, data)) = stream.next().await? {
        let event: Event = serde_json::from_str(&data).map_err(Error::internal)?;
        let run = event.fact.data.get("run").and_then(Value::as_str);
        if run != Some(begun.run.as_str()) {
            continue;
        }
        if let Some(ended) = RolloutFinished::of(&event) {
            return Ok(ended);
        }
        if event.fact.kind.starts_with("run.step.") {
            context.output.remark(event.fact.say.get(context.lang));
        }
    }
    Err(Error::internal("the server went away; `naru service show` tells how it is"))
}

//! The journal: `naru events`, and its API.

#![allow(clippy::indexing_slicing, reason = "a JSON value answers null for what it lacks")]

use crate::apply::words;
use clap::{Arg, ArgAction, ArgMatches, value_parser};
use cli::{Command, Context, Table};
use kernel::{Error, Event, Key, Name, Result, Text};
use naru_http::{Access, Call, Frame, Response, Route, json, sse};
use policy::Permission;
use serde_json::{Value, json};
use store::Filter;

pub(crate) const ROUTES: &[Route] = &[
    Route::get(
        "/api/v1/events",
        Access::SignedIn,
        ("read or follow the journal", "저널 읽기와 따라가기"),
        |c| Box::pin(list(c)),
    ),
    Route::get(
        "/api/v1/journal/verify",
        Access::Platform,
        ("walk the journal's hash chain", "저널 해시 체인 검증"),
        |c| Box::pin(verify(c)),
    ),
];

pub const COMMAND: Command =
    Command {
        name: "events",
        build: |lang| {
            clap::Command::new("events")
                .about(lang.pick("Show or follow what happened", "일어난 일을 보거나 따라갑니다"))
                .arg(crate::resource::project_arg(lang))
                .arg(Arg::new("kind").long("kind").help(lang.pick(
                    "A kind (git.pushed) or a prefix with a dot (git.)",
                    "종류(git.pushed) 또는 점으로 끝나는 접두어(git.)",
                )))
                .arg(
                    Arg::new("change")
                        .long("change")
                        .help(lang.pick("Only of this change", "이 변경의 것만")),
                )
                .arg(
                    Arg::new("limit")
                        .long("limit")
                        .value_parser(value_parser!(u64))
                        .default_value("50")
                        .help(lang.pick("How many", "몇 개")),
                )
                .arg(
                    Arg::new("follow")
                        .short('f')
                        .long("follow")
                        .action(ArgAction::SetTrue)
                        .help(lang.pick("Keep showing new ones", "새 이벤트를 계속 보여 줍니다")),
                )
                .subcommand(clap::Command::new("verify").about(
                    lang.pick("Walk the journal's hash chain", "저널의 해시 체인을 검증합니다"),
                ))
        },
        run: |context, matches| Box::pin(run(context, matches)),
    };

/// What to read, after deciding that the caller may: one project's, or all for an administrator.
pub(crate) async fn filter(call: &Call, project: Option<Name>) -> Result<Filter> {
    match &project {
        Some(project) => call.may(Permission::View, project).await?,
        None => call.may_administer().await?,
    }
    let change = call.query("change").filter(|c| !c.is_empty());
    let change = change.map(|c| Name::parse(&c)).transpose()?;
    let subject = call.query("subject").map(|s| subject(&s)).transpose()?;
    Ok(Filter { project, change, subject, kind: call.query("kind").filter(|k| !k.is_empty()) })
}

fn subject(words: &str) -> Result<Key> {
    let bits: Vec<&str> = words.split('/').collect();
    match bits.as_slice() {
        [kind, project, name] => Ok(Key {
            kind: (*kind).to_owned(),
            project: Some(Name::parse(project)?),
            name: Name::parse(name)?,
        }),
        [kind, name] => {
            Ok(Key { kind: (*kind).to_owned(), project: None, name: Name::parse(name)? })
        }
        _ => Err(Error::invalid(
            "subject.invalid",
            Text::fixed("a subject is KIND/PROJECT/NAME", "subject는 KIND/PROJECT/NAME 꼴입니다"),
        )),
    }
}

async fn list(call: Call) -> Result<Response> {
    let project = call.query("project").filter(|p| !p.is_empty());
    let filter = filter(&call, project.map(|p| Name::parse(&p)).transpose()?).await?;
    let limit = call.number("limit")?.unwrap_or(100).clamp(1, 1000) as usize;
    if call.flag("follow") {
        let resumed = call.header("last-event-id").and_then(|v| v.parse().ok());
        let from = resumed.or(call.number("after")?).unwrap_or_else(|| call.site.store.head());
        return Ok(sse(follow(call.site.store.follow(from), filter)));
    }
    let after = call.number("after")?;
    let before = call.number("before")?.unwrap_or(i64::MAX.unsigned_abs());
    let events = call
        .site
        .store
        .read(move |v| match after {
            Some(after) => v.events(after, limit, &filter),
            None => v.events_back(before, limit, &filter),
        })
        .await?;
    let events: Vec<Event> = events.iter().map(told).collect();
    json(&json!({ "items": events, "head": call.site.store.head() }))
}

/// Where from others asked is for auditors, and not for everybody who may see a project.
fn told(event: &Event) -> Event {
    let mut event = event.clone();
    event.fact.origin = None;
    event
}

fn follow(
    feed: store::Feed,
    filter: Filter,
) -> impl futures_util::Stream<Item = Result<Frame>> + Send {
    futures_util::stream::unfold((feed, filter), |(mut feed, filter)| async move {
        loop {
            match feed.next().await {
                Err(error) => return Some((Err(error), (feed, filter))),
                Ok(event) if filter.matches(&event) => {
                    let frame = serde_json::to_string(&told(&event)).map_err(Error::internal);
                    let frame = frame.map(|data| Frame {
                        id: Some(event.seq.to_string()),
                        event: Some("event"),
                        data,
                    });
                    return Some((frame, (feed, filter)));
                }
                Ok(_) => {}
            }
        }
    })
}

async fn verify(call: Call) -> Result<Response> {
    json(&call.site.store.verify().await?)
}

async fn run(context: Context, matches: ArgMatches) -> Result<()> {
    let client = context.client()?;
    if matches.subcommand_matches("verify").is_some() {
        let verified: Value = client.get("/api/v1/journal/verify").await?;
        return context.output.show(&verified, |v, output| {
            let mut table = Table::new([""]);
            table.row([format!(
                "{}: {} {}",
                output.lang.pick("the chain holds", "체인이 온전합니다"),
                words(&v["entries"]),
                output.lang.pick("entries", "항목")
            )]);
            table.row([format!("head {}", words(&v["head"]))]);
            table
        });
    }
    let mut query = String::new();
    for name in ["project", "kind", "change"] {
        if let Some(value) = matches.get_one::<String>(name) {
            query.push_str(&format!("&{name}={}", cli::segment(value)));
        }
    }
    let limit = matches.get_one::<u64>("limit").copied().unwrap_or(50);
    let page: Value = client.get(&format!("/api/v1/events?limit={limit}{query}")).await?;
    let mut items: Vec<Event> =
        serde_json::from_value(page["items"].clone()).map_err(Error::internal)?;
    items.reverse();
    if !matches.get_flag("follow") {
        return context.output.show(&items, |items, output| {
            let mut table = Table::new(["SEQ", "TIME", "KIND", "PROJECT", "WHAT", "WHO"]);
            for e in items {
                let project = e.fact.project.as_ref().map_or("-", |p| p.as_str());
                let row = [
                    e.seq.to_string(),
                    e.time.to_string(),
                    e.fact.kind.clone(),
                    project.to_owned(),
                    e.fact.say.get(output.lang).to_owned(),
                    e.fact.actor.to_string(),
                ];
                table.row(row);
            }
            table
        });
    }
    let line = |e: &Event| {
        format!("{:>6}  {}  {:<18}  {}", e.seq, e.time, e.fact.kind, e.fact.say.get(context.lang))
    };
    for event in &items {
        context.output.line(event, line)?;
    }
    let head = page["head"].as_u64().unwrap_or(0);
    let mut stream =
        client.stream(&format!("/api/v1/events?follow=true&after={head}{query}")).await?;
    while let Some((_, data)) = stream.next().await? {
        let event: Event = serde_json::from_str(&data).map_err(Error::internal)?;
        context.output.line(&event, line)?;
    }
    Ok(())
}

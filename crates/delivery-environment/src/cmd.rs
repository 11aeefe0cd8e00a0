//! `naru environment` and `naru site`.

use crate::EnvironmentView;
use crate::kind::{Deployment, EnvironmentState};
use crate::view::SiteView;
use clap::{Arg, ArgAction, ArgMatches};
use cli::{Client, Command, Context, Format, Output, Table, segment};
use kernel::{Error, ErrorKind, Event, Lang, Result, Text, text};
use serde_json::{Value, json};
use std::time::Duration;

/// How long a command waits for a stop job.
const WAIT: Duration = Duration::from_secs(3600);

pub(crate) const COMMANDS: &[Command] = &[
    Command { name: "environment", build: command, run: |c, m| Box::pin(run(c, m)) },
    Command { name: "site", build: site_command, run: |c, m| Box::pin(site(c, m)) },
];

fn project() -> Arg {
    Arg::new("project")
        .short('p')
        .long("project")
        .env("NARU_PROJECT")
        .value_name("PROJECT")
        .global(true)
}

fn name(lang: Lang) -> Arg {
    let help = lang.pick(
        "as `list` shows it, or as the pipeline writes it",
        "`list`의 이름이나 파이프라인에 쓴 이름",
    );
    Arg::new("environment").required(true).value_name("ENVIRONMENT").help(help.to_owned())
}

fn flag(name: &'static str, help: &str) -> Arg {
    Arg::new(name).long(name).action(ArgAction::SetTrue).help(help.to_owned())
}

fn command(lang: Lang) -> clap::Command {
    let verb =
        |name: &'static str, en, ko| clap::Command::new(name).about(lang.pick(en, ko).to_owned());
    let all = flag("all", lang.pick("also those that are stopped", "정지된 것까지"));
    let force = flag("force", lang.pick("without its stop job", "정지 작업 없이"));
    let no_wait = flag("no-wait", lang.pick("return when it has begun", "시작만 하고 돌아오기"));
    let by = Arg::new("by").value_name("LENGTH").help(
        lang.pick(
            "2h, 3 days, or never; else as long as its job says",
            "2h, 3 days, never. 없으면 작업에 쓴 기간",
        )
        .to_owned(),
    );
    clap::Command::new("environment")
        .visible_alias("env")
        .about(lang.pick("places that jobs deploy to", "작업이 배포하는 환경").to_owned())
        .subcommand_required(true)
        .arg_required_else_help(true)
        .arg(project())
        .subcommand(verb("list", "list them", "목록").arg(all))
        .subcommand(
            verb("show", "one with its services and history", "서비스와 배포 이력까지 보기")
                .arg(name(lang)),
        )
        .subcommand(
            verb("stop", "stop one, its stop job first", "정지 (정지 작업부터)")
                .arg(name(lang))
                .arg(force)
                .arg(no_wait),
        )
        .subcommand(verb("extend", "let one live longer", "수명 늘리기").arg(name(lang)).arg(by))
        .subcommand(verb("open", "print its URL", "URL 출력").arg(name(lang)))
        .subcommand(
            verb("forget", "forget one that is stopped", "정지된 환경 지우기").arg(name(lang)),
        )
}

fn site_command(lang: Lang) -> clap::Command {
    let verb =
        |name: &'static str, en, ko| clap::Command::new(name).about(lang.pick(en, ko).to_owned());
    let repository = || {
        Arg::new("repository")
            .required(true)
            .value_name("REPOSITORY")
            .help(lang.pick("whose site it is", "사이트가 나온 저장소").to_owned())
    };
    let prefix = Arg::new("prefix")
        .long("prefix")
        .value_name("PREFIX")
        .help(lang.pick("only the edition below this path", "이 경로의 판만").to_owned());
    clap::Command::new("site")
        .about(
            lang.pick("web sites that pipelines publish", "파이프라인이 게시한 웹 사이트")
                .to_owned(),
        )
        .subcommand_required(true)
        .arg_required_else_help(true)
        .arg(project())
        .subcommand(verb("list", "list them", "목록"))
        .subcommand(verb("show", "one with its editions", "판까지 보기").arg(repository()))
        .subcommand(verb("unpublish", "take one off", "내리기").arg(repository()).arg(prefix))
}

fn word<'a>(matches: &'a ArgMatches, name: &str) -> Option<&'a str> {
    matches.try_get_one::<String>(name).ok().flatten().map(String::as_str)
}

fn project_of(matches: &ArgMatches) -> Result<&str> {
    word(matches, "project").ok_or_else(|| {
        Error::invalid("project.missing", text!("which project?", "어느 프로젝트인가요?")).hint(
            text!(
                "name it with `-p PROJECT` or NARU_PROJECT",
                "`-p 프로젝트`나 NARU_PROJECT로 알려 주세요"
            ),
        )
    })
}

fn base(matches: &ArgMatches, plural: &str) -> Result<String> {
    Ok(format!("/api/v1/projects/{}/{plural}", segment(project_of(matches)?)))
}

/// Everything under an API path with `items`.
async fn items(client: &Client, path: &str) -> Result<Vec<Value>> {
    let answer: Value = client.get(path).await?;
    Ok(answer.get("items").and_then(Value::as_array).cloned().unwrap_or_default())
}

fn text_at<'a>(item: &'a Value, path: &str) -> &'a str {
    item.pointer(path).and_then(Value::as_str).unwrap_or("-")
}

/// The address of the environment: people may write its name as the pipeline does, `review/fix-1`.
async fn one(client: &Client, matches: &ArgMatches) -> Result<String> {
    let base = base(matches, "environments")?;
    let wanted = word(matches, "environment").unwrap_or_default();
    if kernel::Name::parse(wanted).is_ok() {
        return Ok(format!("{base}/{}", segment(wanted)));
    }
    let all = items(client, &base).await?;
    let found = all.iter().find(|i| text_at(i, "/spec/title") == wanted);
    let name = found.map_or(wanted, |i| text_at(i, "/name"));
    Ok(format!("{base}/{}", segment(name)))
}

async fn run(context: Context, matches: ArgMatches) -> Result<()> {
    match matches.subcommand() {
        Some(("list", sub)) => list(&context, sub).await,
        Some(("show", sub)) => show(&context, sub).await,
        Some(("stop", sub)) => stop(&context, sub).await,
        Some(("extend", sub)) => extend(&context, sub).await,
        Some(("open", sub)) => open(&context, sub).await,
        Some(("forget", sub)) => {
            let client = context.client()?;
            let path = format!("{}/forget", one(&client, sub).await?);
            client.post::<Value>(&path, &json!({})).await?;
            let name = word(sub, "environment").unwrap_or_default();
            context.output.line(&json!({ "forgotten": name }), |_| match context.lang {
                Lang::En => format!("{name} forgotten"),
                Lang::Ko => format!("{name} 지움"),
            })
        }
        _ => Ok(()),
    }
}

async fn list(context: &Context, matches: &ArgMatches) -> Result<()> {
    let client = context.client()?;
    let mut all = items(&client, &base(matches, "environments")?).await?;
    if !matches.get_flag("all") {
        all.retain(|i| text_at(i, "/status/state") != "stopped");
    }
    context.output.show(&all, |all, out| {
        let mut table =
            Table::new(["NAME", "TITLE", "TIER", "STATE", "COMMIT", "DEPLOYED", "STOPS", "URL"])
                .nothing(out.lang.pick(
                    "no environments: a job with `environment:` opens one",
                    "환경이 없습니다. `environment:`가 있는 작업이 엽니다",
                ));
        for i in all {
            let commit = text_at(i, "/status/deployment/commit");
            let cells = [
                text_at(i, "/name"),
                text_at(i, "/spec/title"),
                text_at(i, "/spec/tier"),
                text_at(i, "/status/state"),
                commit.get(..8).unwrap_or(commit),
                text_at(i, "/status/deployment/at"),
                text_at(i, "/status/stops_at"),
                text_at(i, "/status/url"),
            ];
            table.row(cells);
        }
        table
    })
}

async fn view(client: &Client, path: &str) -> Result<EnvironmentView> {
    client.get(&format!("{path}/view")).await
}

async fn show(context: &Context, matches: &ArgMatches) -> Result<()> {
    let client = context.client()?;
    let view = view(&client, &one(&client, matches).await?).await?;
    if context.output.format != Format::Table {
        return context.output.show(&view, |_, _| Table::default());
    }
    context.output.print(&describe(&view, &context.output))
}

fn describe(view: &EnvironmentView, out: &Output) -> String {
    let lang = out.lang;
    let mut head = Table::new(["", ""]);
    let mut fact =
        |en: &str, ko: &str, value: String| head.row([lang.pick(en, ko).to_owned(), value]);
    fact("environment", "환경", format!("{}/{}", view.project, view.title));
    fact("repository", "저장소", view.repository.to_string());
    fact("state", "상태", view.state.text().get(lang).to_owned());
    if let Some(reason) = &view.reason {
        fact("because", "이유", reason.get(lang).to_owned());
    }
    if let Some(url) = &view.url {
        fact("address", "주소", url.clone());
    }
    if let Some(at) = view.stops_at {
        fact("stops", "정지 예정", at.to_string());
    }
    if let Some(used) = view.used {
        fact("used", "마지막 사용", used.to_string());
    }
    let mut services = Table::new(["SERVICE", "NAME", "STATE", "INSTANCES", "URL", "REASON"]);
    for s in &view.services {
        services.row([
            s.name.to_string(),
            s.service.to_string(),
            s.condition.clone().unwrap_or_else(|| s.progress.text().get(lang).to_owned()),
            s.instances.clone().unwrap_or_default(),
            s.url.clone().unwrap_or_else(|| "-".into()),
            s.reason.as_ref().map(|r| r.get(lang).to_owned()).unwrap_or_default(),
        ]);
    }
    let mut deployments = Table::new(["#", "COMMIT", "BRANCH", "RUN", "AT", "BY", ""]);
    let all = view.deployment.iter().chain(&view.history);
    all.for_each(|d| deployments.row(deployment(d, lang)));
    let draw = |t: Table| t.render(out.color);
    format!("{}\n{}\n{}", draw(head), draw(services), draw(deployments))
}

fn deployment(d: &Deployment, lang: Lang) -> [String; 7] {
    let how = d.progress.text().get(lang).to_owned();
    let why = d.reason.as_ref().map(|r| format!(": {}", r.get(lang))).unwrap_or_default();
    [
        d.number.to_string(),
        d.commit.get(..12).unwrap_or(&d.commit).to_owned(),
        d.branch().to_owned(),
        d.run.clone(),
        d.at.to_string(),
        d.by.to_string(),
        format!("{how}{why}"),
    ]
}

async fn stop(context: &Context, matches: &ArgMatches) -> Result<()> {
    let client = context.client()?;
    let path = one(&client, matches).await?;
    let events = format!("/api/v1/events?project={}", segment(project_of(matches)?));
    let before: Value = client.get(&format!("{events}&limit=1")).await?;
    let head = before.get("head").and_then(Value::as_u64).unwrap_or(0);
    let body = json!({ "force": matches.get_flag("force") });
    let mut seen: EnvironmentView = client.post(&format!("{path}/stop"), &body).await?;
    if seen.state == EnvironmentState::Stopping && !matches.get_flag("no-wait") {
        if let Some(stopping) = &seen.stopping {
            context.output.remark(&match context.lang {
                Lang::En => format!("{} runs (run {})", stopping.step, stopping.run),
                Lang::Ko => format!("{} 작업 실행 중 (run {})", stopping.step, stopping.run),
            });
        }
        let events = format!("{events}&follow=true&after={head}");
        let over = until_over(&client, &path, &events);
        seen = tokio::time::timeout(WAIT, over).await.map_err(|_| slow())??;
    }
    if seen.state == EnvironmentState::Failed {
        return Err(not_stopped(&seen));
    }
    context.output.line(&seen, |v| format!("{}: {}", v.title, v.state.text().get(context.lang)))
}

/// Looks again whenever something is told of the environment.
async fn until_over(client: &Client, path: &str, events: &str) -> Result<EnvironmentView> {
    let mut stream = client.stream(events).await?;
    loop {
        let seen = view(client, path).await?;
        if seen.state != EnvironmentState::Stopping {
            return Ok(seen);
        }
        loop {
            let Some((_, data)) = stream.next().await? else { return Err(gone()) };
            let event: Event = serde_json::from_str(&data).map_err(Error::internal)?;
            let about = event.fact.subject.is_some_and(|s| s.name == seen.name);
            if about {
                break;
            }
        }
    }
}

fn gone() -> Error {
    Error::new(
        ErrorKind::Unavailable,
        "server.gone",
        Text::fixed("the server went away", "서버가 멈췄습니다"),
    )
    .hint(Text::fixed(
        "it goes on when it is back: `naru environment show` tells",
        "서버가 돌아오면 이어서 진행합니다. `naru environment show`로 확인하세요",
    ))
}

fn slow() -> Error {
    Error::new(
        ErrorKind::Unavailable,
        "environment.slow",
        Text::fixed("its stop job still runs", "정지 작업이 아직 끝나지 않았습니다"),
    )
    .hint(Text::fixed(
        "`--force` stops it without that",
        "`--force`를 쓰면 정지 작업 없이 멈춥니다",
    ))
}

fn not_stopped(view: &EnvironmentView) -> Error {
    let why = view.reason.clone().unwrap_or_default();
    let (title, en, ko) = (&view.title, why.en, why.ko);
    Error::conflict(
        "environment.stop",
        text!("{title} could not be stopped: {en}", "{title} 환경을 정지하지 못했습니다: {ko}"),
    )
    .hint(Text::fixed(
        "stop it again, or with `--force` without its stop job",
        "다시 정지하거나, `--force`로 정지 작업 없이 멈추세요",
    ))
}

async fn extend(context: &Context, matches: &ArgMatches) -> Result<()> {
    let client = context.client()?;
    let path = format!("{}/extend", one(&client, matches).await?);
    let seen: EnvironmentView = client.post(&path, &json!({ "by": word(matches, "by") })).await?;
    context.output.line(&seen, |v| match (context.lang, v.stops_at) {
        (Lang::En, Some(at)) => format!("{} stops at {at}", v.title),
        (Lang::Ko, Some(at)) => format!("{} 정지 예정: {at}", v.title),
        (Lang::En, None) => format!("{} does not stop by itself", v.title),
        (Lang::Ko, None) => format!("{}은(는) 저절로 정지하지 않습니다", v.title),
    })
}

async fn open(context: &Context, matches: &ArgMatches) -> Result<()> {
    let client = context.client()?;
    let seen = view(&client, &one(&client, matches).await?).await?;
    let title = &seen.title;
    let Some(url) = &seen.url else {
        return Err(Error::conflict(
            "environment.no_url",
            text!("{title} has no URL", "{title}에 URL이 없습니다"),
        ));
    };
    context.output.line(&json!({ "url": url }), |_| url.clone())
}

async fn site(context: Context, matches: ArgMatches) -> Result<()> {
    let client = context.client()?;
    match matches.subcommand() {
        Some(("list", sub)) => {
            let all = items(&client, &base(sub, "sites")?).await?;
            context.output.show(&all, |all, out| {
                let nothing = out.lang.pick(
                    "no sites: a job with `pages:` publishes one",
                    "사이트가 없습니다. `pages:`가 있는 작업이 게시합니다",
                );
                let mut table = Table::new(["REPOSITORY", "EDITIONS", "URL"]).nothing(nothing);
                for i in all {
                    let editions = i.pointer("/spec/editions").and_then(Value::as_array);
                    let count = editions.map_or(0, Vec::len).to_string();
                    table.row([text_at(i, "/name"), &count, text_at(i, "/status/url")]);
                }
                table
            })
        }
        Some(("show", sub)) => {
            let repository = segment(word(sub, "repository").unwrap_or_default());
            let path = format!("{}/{repository}/view", base(sub, "sites")?);
            let site: SiteView = client.get(&path).await?;
            context.output.show(&site, |site, _| {
                let mut table = Table::new(["URL", "COMMIT", "PUBLISHED", "EXPIRES"]);
                for e in &site.editions {
                    table.row([
                        e.url.clone().unwrap_or_else(|| format!("/{}", e.prefix)),
                        e.commit.get(..12).unwrap_or(&e.commit).to_owned(),
                        e.published.to_string(),
                        e.expires.map_or_else(|| "-".into(), |at| at.to_string()),
                    ]);
                }
                table
            })
        }
        Some(("unpublish", sub)) => {
            let repository = word(sub, "repository").unwrap_or_default();
            let path = format!("{}/{}/unpublish", base(sub, "sites")?, segment(repository));
            client.post::<Value>(&path, &json!({ "prefix": word(sub, "prefix") })).await?;
            context.output.line(&json!({ "unpublished": repository }), |_| match context.lang {
                Lang::En => format!("{repository} is taken off"),
                Lang::Ko => format!("{repository} 사이트를 내렸습니다"),
            })
        }
        _ => Ok(()),
    }
}

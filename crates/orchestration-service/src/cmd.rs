//! `naru service`, `naru rollback`, `naru deploy`, `naru logs`.

use crate::{InstanceView, LogLine, ServiceView, wait};
use clap::{Arg, ArgAction, ArgMatches, value_parser};
use cli::{Command, Context, Format, Output, Table, segment};
use kernel::log::Stream;
use kernel::{Error, Lang, Result, Text, text};
use serde_json::{Value, json};

pub(crate) const COMMANDS: &[Command] = &[
    Command { name: "service", build: service_command, run: |c, m| Box::pin(service(c, m)) },
    Command { name: "rollback", build: rollback_command, run: |c, m| Box::pin(rollback(c, m)) },
    Command { name: "deploy", build: deploy_command, run: |c, m| Box::pin(deploy(c, m)) },
    Command { name: "logs", build: logs_command, run: |c, m| Box::pin(logs(c, m)) },
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
    Arg::new("service").required(true).value_name("SERVICE").help(lang.pick("its name", "이름"))
}

fn service_command(lang: Lang) -> clap::Command {
    let verb =
        |name: &'static str, en, ko| clap::Command::new(name).about(lang.pick(en, ko).to_owned());
    clap::Command::new("service")
        .about(lang.pick("services of a project", "프로젝트의 서비스").to_owned())
        .subcommand_required(true)
        .arg_required_else_help(true)
        .arg(project())
        .subcommand(
            verb("list", "list them", "목록").arg(
                Arg::new("all").long("all").action(ArgAction::SetTrue).help(
                    lang.pick("copies of environments, too", "환경의 복사본까지").to_owned(),
                ),
            ),
        )
        .subcommand(
            verb(
                "delete",
                "stop a service and forget its releases; its data stays",
                "서비스를 중지하고 릴리스를 잊습니다. 데이터는 남습니다",
            )
            .arg(name(lang))
            .arg(Arg::new("with-data").long("with-data").action(ArgAction::SetTrue).help(
                lang.pick(
                    "remove its data directory, too, for good; also what a deleted service left",
                    "데이터 디렉터리까지 완전히 지웁니다. 이미 지운 서비스가 남긴 것도 지웁니다",
                )
                .to_owned(),
            ))
            .arg(Arg::new("yes").long("yes").short('y').action(ArgAction::SetTrue).help(
                lang.pick("do not ask", "묻지 않고 진행").to_owned(),
            )),
        )
        .subcommand(
            verb("show", "one with its instances and releases", "인스턴스와 릴리스까지 보기")
                .arg(name(lang)),
        )
        .subcommand(
            verb("scale", "set the number of instances", "인스턴스 수 정하기")
                .arg(name(lang))
                .arg(
                    Arg::new("replicas")
                        .required(true)
                        .value_name("REPLICAS")
                        .value_parser(value_parser!(u32)),
                )
                .arg(wait::argument(lang)),
        )
        .subcommand(
            verb(
                "restart",
                "replace all instances, one batch at a time",
                "모든 인스턴스를 차례로 교체",
            )
            .arg(name(lang))
            .arg(wait::argument(lang)),
        )
}

fn rollback_command(lang: Lang) -> clap::Command {
    clap::Command::new("rollback")
        .about(lang.pick("go back to an earlier release", "이전 릴리스로 되돌리기").to_owned())
        .arg(project())
        .arg(name(lang))
        .arg(Arg::new("release").value_name("RELEASE").help(
            lang.pick("web-7; else what served before", "예: web-7. 없으면 직전 릴리스").to_owned(),
        ))
        .arg(wait::argument(lang))
}

fn deploy_command(lang: Lang) -> clap::Command {
    clap::Command::new("deploy")
        .about(
            lang.pick(
                "release a change whose pipeline has passed, whatever its branch",
                "파이프라인을 통과한 변경 배포 (브랜치 무관)",
            )
            .to_owned(),
        )
        .arg(project())
        .arg(
            Arg::new("change").required(true).value_name("CHANGE").help(
                lang.pick(
                    "web-1a2b3c4d5e6f; see `naru change list`",
                    "예: web-1a2b3c4d5e6f. `naru change list` 참고",
                )
                .to_owned(),
            ),
        )
        .arg(wait::argument(lang))
}

fn logs_command(lang: Lang) -> clap::Command {
    clap::Command::new("logs")
        .about(
            lang.pick("what the instances of a service print", "서비스 인스턴스의 로그").to_owned(),
        )
        .arg(project())
        .arg(Arg::new("service").value_name("SERVICE").help(
            lang.pick("may be left out when there is one", "하나뿐이면 생략 가능").to_owned(),
        ))
        .arg(
            Arg::new("follow")
                .short('f')
                .long("follow")
                .action(ArgAction::SetTrue)
                .help(lang.pick("go on with what comes", "계속 따라가기").to_owned()),
        )
        .arg(
            Arg::new("tail")
                .short('n')
                .long("tail")
                .value_name("LINES")
                .default_value("200")
                .value_parser(value_parser!(u32)),
        )
        .arg(
            Arg::new("instance")
                .long("instance")
                .value_name("INSTANCE")
                .help(lang.pick("only this one", "이 인스턴스만").to_owned()),
        )
}

fn word<'a>(matches: &'a ArgMatches, name: &str) -> Option<&'a str> {
    matches.try_get_one::<String>(name).ok().flatten().map(String::as_str)
}

/// `/api/v1/projects/shop`
fn home(matches: &ArgMatches) -> Result<String> {
    let project = word(matches, "project").ok_or_else(|| {
        Error::invalid("project.missing", text!("which project?", "어느 프로젝트인가요?")).hint(
            text!(
                "name it with `-p PROJECT` or NARU_PROJECT",
                "`-p 프로젝트`나 NARU_PROJECT로 알려 주세요"
            ),
        )
    })?;
    Ok(format!("/api/v1/projects/{}", segment(project)))
}

fn base(matches: &ArgMatches) -> Result<String> {
    Ok(format!("{}/services", home(matches)?))
}

fn one(matches: &ArgMatches) -> Result<String> {
    let service = word(matches, "service").unwrap_or_default();
    Ok(format!("{}/{}", base(matches)?, segment(service)))
}

async fn service(context: Context, matches: ArgMatches) -> Result<()> {
    match matches.subcommand() {
        Some(("list", sub)) => list(&context, sub).await,
        Some(("show", sub)) => show(&context, sub).await,
        Some(("delete", sub)) => crate::cmd_delete::delete(&context, sub, &one(sub)?).await,
        Some(("scale", sub)) => scale(&context, sub).await,
        Some(("restart", sub)) => {
            let path = format!("{}/restart", one(sub)?);
            let project = word(sub, "project").unwrap_or_default();
            wait::roll(&context, sub, project, &path, &json!({})).await
        }
        _ => Ok(()),
    }
}

async fn list(context: &Context, matches: &ArgMatches) -> Result<()> {
    let answer: Value = context.client()?.get(&base(matches)?).await?;
    let items = answer.get("items").cloned().unwrap_or_default();
    // A remark is not worth failing for: an older server does not know.
    let host: Value = context.client()?.get("/api/v1/host").await.unwrap_or_default();
    if let Some(warning) = unisolated(&host) {
        context.output.remark(warning.get(context.lang));
    }
    let all = matches.get_flag("all");
    context.output.show(&items, |items, out| {
        let lang = out.lang;
        let mut copies = 0_usize;
        let mut table =
            Table::new(["NAME", "RELEASE", "INSTANCES", "CONDITION", "URL", "ENVIRONMENT"])
                .nothing(lang.pick(
                    "no services yet: push a naru.yaml",
                    "아직 서비스가 없습니다. naru.yaml을 푸시하세요",
                ));
        for item in items.as_array().into_iter().flatten() {
            let at = |p: &str| item.pointer(p).and_then(Value::as_str).unwrap_or("-").to_owned();
            if !all && item.pointer("/status/environment").is_some_and(|e| !e.is_null()) {
                copies += 1;
                continue;
            }
            table.row([
                at("/name"),
                at("/status/release"),
                at("/status/instances"),
                at("/status/condition"),
                at("/status/url"),
                at("/status/environment"),
            ]);
        }
        if copies > 0 {
            table.remark(match lang {
                Lang::En => format!("copies of environments, not shown: {copies} (`--all`)"),
                Lang::Ko => format!("환경의 복사본 {copies}개는 생략 (`--all`)"),
            });
        }
        table
    })
}

/// What to know about the machine before one trusts its services.
fn unisolated(host: &Value) -> Option<Text> {
    (host.get("namespaces")? == "none").then_some(Text::fixed(
        "warning: this machine gives naru no namespaces; services run without isolation and see the machine as naru does",
        "경고: 이 머신에서는 네임스페이스를 쓸 수 없어, 서비스가 격리 없이 naru와 똑같이 이 머신을 볼 수 있습니다",
    ))
}

async fn show(context: &Context, matches: &ArgMatches) -> Result<()> {
    let view: ServiceView = context.client()?.get(&format!("{}/view", one(matches)?)).await?;
    if context.output.format != Format::Table {
        return context.output.show(&view, |_, _| Table::default());
    }
    let words = describe(&view, &context.output);
    context.output.print(&words)
}

fn describe(view: &ServiceView, out: &Output) -> String {
    let lang = out.lang;
    let mut head = Table::new(["", ""]);
    let mut fact =
        |en: &str, ko: &str, value: String| head.row([lang.pick(en, ko).to_owned(), value]);
    fact("service", "서비스", format!("{}/{}", view.project, view.name));
    fact("condition", "상태", view.status.condition.text().get(lang).to_owned());
    fact("instances", "인스턴스", view.status.instances.clone());
    if let Some(environment) = &view.environment {
        fact("copy of environment", "환경의 복사본", environment.to_string());
    }
    if let Some(url) = &view.url {
        fact("address", "주소", url.clone());
    }
    if let Some(message) = &view.status.message {
        fact("message", "메시지", message.get(lang).to_owned());
    }
    let mut instances = Table::new(["INSTANCE", "STATE", "RESTARTS", "SINCE", "ADDRESS", "REASON"]);
    view.instances.iter().for_each(|i| instances.row(instance_row(i, lang)));
    let mut releases = Table::new(["RELEASE", "COMMIT", "MADE", ""]);
    for release in &view.releases {
        let mark = match (release.current, release.rolling, release.previous) {
            (true, _, _) => lang.pick("serves", "서비스 중"),
            (_, true, _) => lang.pick("rolling out", "롤아웃 중"),
            (_, _, true) => lang.pick("served before", "직전"),
            _ => "",
        };
        let commit = release.commit.get(..12).unwrap_or(&release.commit).to_owned();
        releases.row([release.name.to_string(), commit, release.made.to_string(), mark.to_owned()]);
    }
    let draw = |t: Table| t.render(out.color);
    format!("{}\n{}\n{}", draw(head), draw(instances), draw(releases))
}

fn instance_row(i: &InstanceView, lang: Lang) -> [String; 6] {
    let name = i.name.as_ref().map_or_else(|| i.id.clone(), ToString::to_string);
    [
        name,
        i.state.text().get(lang).to_owned(),
        i.restarts.to_string(),
        i.since.to_string(),
        i.address.clone().unwrap_or_else(|| "-".into()),
        i.reason.as_ref().map(|r| r.get(lang).to_owned()).unwrap_or_default(),
    ]
}

async fn scale(context: &Context, matches: &ArgMatches) -> Result<()> {
    let replicas = matches.get_one::<u32>("replicas").copied().unwrap_or(1);
    let project = word(matches, "project").unwrap_or_default();
    wait::scale(context, matches, project, &one(matches)?, replicas).await
}

async fn deploy(context: Context, matches: ArgMatches) -> Result<()> {
    let change = segment(word(&matches, "change").unwrap_or_default());
    let path = format!("{}/changes/{change}/deploy", home(&matches)?);
    let project = word(&matches, "project").unwrap_or_default();
    wait::deploy(&context, &matches, project, &path).await
}

async fn rollback(context: Context, matches: ArgMatches) -> Result<()> {
    let path = format!("{}/rollback", one(&matches)?);
    let body = match word(&matches, "release") {
        Some(release) => json!({ "release": release }),
        None => json!({}),
    };
    let project = word(&matches, "project").unwrap_or_default();
    wait::roll(&context, &matches, project, &path, &body).await
}

async fn logs(context: Context, matches: ArgMatches) -> Result<()> {
    let client = context.client()?;
    let base = base(&matches)?;
    let service = match word(&matches, "service") {
        Some(service) => service.to_owned(),
        None => only(client.get(&base).await?)?,
    };
    let tail = matches.get_one::<u32>("tail").copied().unwrap_or(200);
    let mut path = format!("{base}/{}/logs?tail={tail}", segment(&service));
    if let Some(instance) = word(&matches, "instance") {
        path.push_str(&format!("&instance={}", segment(instance)));
    }
    if !matches.get_flag("follow") {
        let answer: Value = client.get(&path).await?;
        let lines = answer.get("lines").cloned().unwrap_or_default();
        let lines: Vec<LogLine> = serde_json::from_value(lines).map_err(Error::internal)?;
        return lines.iter().try_for_each(|line| context.output.line(line, draw));
    }
    path.push_str("&follow=true");
    let mut stream = client.stream(&path).await?;
    while let Some((_, data)) = stream.next().await? {
        let line: LogLine = serde_json::from_str(&data).map_err(Error::internal)?;
        context.output.line(&line, draw)?;
    }
    Ok(())
}

/// The one service of a project that has one.
fn only(answer: Value) -> Result<String> {
    let items = answer.get("items").and_then(Value::as_array).cloned().unwrap_or_default();
    let mut names = items.iter().filter_map(|i| i.get("name")?.as_str());
    match (names.next(), names.next()) {
        (Some(name), None) => Ok(name.to_owned()),
        _ => Err(Error::invalid("service.missing", text!("which service?", "어느 서비스인가요?"))
            .hint(text!(
                "`naru logs SERVICE`; `naru service list` shows them",
                "`naru logs 서비스`로 쓰세요. 목록은 `naru service list`"
            ))),
    }
}

/// `web-7-0-1 | listening on 4123`. Control characters of a program's making stay out of the terminal.
fn draw(line: &LogLine) -> String {
    let mut parts = line.instance.split('.').skip(1);
    let name = parts.by_ref().collect::<Vec<_>>().join("-");
    let mark = match line.line.stream {
        Stream::Out => '|',
        Stream::Err => '!',
        Stream::Note => '~',
    };
    let clean = |c: char| if c.is_control() && c != '\t' { '\u{fffd}' } else { c };
    let text: String = line.line.text.chars().map(clean).collect();
    format!("{name} {mark} {text}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_without_namespaces_is_warned_of() {
        let mut machine = host::Abilities {
            namespaces: host::Namespaces::None,
            overlay: false,
            cgroups: host::Cgroups::None,
            memory: false,
            cpu: false,
            pids: false,
        };
        let warned = |machine: &host::Abilities| {
            unisolated(&serde_json::to_value(machine).unwrap()).map(|t| t.en.to_string())
        };
        assert!(warned(&machine).unwrap().contains("without isolation"));
        machine.namespaces = host::Namespaces::User;
        assert_eq!(warned(&machine), None);
    }
}

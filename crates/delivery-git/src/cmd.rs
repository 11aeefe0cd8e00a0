//! `naru repository` and `naru git-credential`.

use crate::credential;
use clap::{Arg, ArgMatches};
use cli::{Command, Context, Output, Table, segment};
use kernel::{Error, Lang, Resource, Result, Text};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::io::Read;

pub(crate) static COMMANDS: [Command; 2] = [
    Command {
        name: "repository",
        build: build_repository,
        run: |context, matches| Box::pin(repository(context, matches)),
    },
    Command {
        name: "git-credential",
        build: build_credential,
        run: |context, matches| Box::pin(git_credential(context, matches)),
    },
];

fn build_repository(lang: Lang) -> clap::Command {
    let verb = |name: &'static str, en: &'static str, ko: &'static str| {
        clap::Command::new(name).about(lang.pick(en, ko).to_owned())
    };
    let about = lang.pick("git repositories of a project", "프로젝트의 git 저장소");
    clap::Command::new("repository")
        .about(about.to_owned())
        .subcommand_required(true)
        .arg_required_else_help(true)
        .arg(
            Arg::new("project")
                .short('p')
                .long("project")
                .env("NARU_PROJECT")
                .global(true)
                .help(lang.pick("The project", "프로젝트").to_owned()),
        )
        .subcommand(verb("list", "list the repositories", "저장소 목록"))
        .subcommand(
            verb(
                "show",
                "a repository, its branches and last commits",
                "저장소의 브랜치와 최근 커밋",
            )
            .arg(Arg::new("name").required(true).value_name("NAME")),
        )
}

fn build_credential(lang: Lang) -> clap::Command {
    let about = lang.pick(
        "git's credential helper: git config credential.helper '!naru git-credential'",
        "git 자격 증명 도우미: git config credential.helper '!naru git-credential'",
    );
    clap::Command::new("git-credential")
        .about(about.to_owned())
        .arg(Arg::new("operation").required(true).value_name("get|store|erase"))
}

/// The part of a list of resources that is shown.
#[derive(Deserialize)]
struct List {
    items: Vec<Resource>,
}

/// The answer of `naru repository show`.
#[derive(Serialize)]
struct Shown {
    repository: Resource,
    url: String,
    refs: Value,
    commits: Value,
}

async fn repository(context: Context, matches: ArgMatches) -> Result<()> {
    let Some((verb, matches)) = matches.subcommand() else { return Ok(()) };
    let project = project(matches)?;
    match verb {
        "list" => list(&context, &project).await,
        _ => {
            let name = matches.get_one::<String>("name").map_or("", String::as_str);
            show(&context, &project, name).await
        }
    }
}

fn project(matches: &ArgMatches) -> Result<String> {
    let given = matches.get_one::<String>("project").filter(|p| !p.is_empty());
    given.cloned().ok_or_else(|| {
        Error::invalid("project.missing", Text::fixed("which project?", "어느 프로젝트인가요?"))
            .hint(Text::fixed(
                "add `-p PROJECT` or set NARU_PROJECT",
                "`-p PROJECT`를 붙이거나 NARU_PROJECT를 정하세요",
            ))
    })
}

async fn list(context: &Context, project: &str) -> Result<()> {
    let client = context.client()?;
    let path = format!("/api/v1/projects/{}/repositories", segment(project));
    let list: List = client.get(&path).await?;
    let base = client.url().trim_end_matches('/').to_owned();
    context.output.show(&list.items, |items, output| {
        let head = output.lang.pick("NAME BRANCH URL DESCRIPTION", "이름 기본브랜치 주소 설명");
        let nothing =
            output.lang.pick("no repositories: push one", "저장소가 없습니다. 푸시하세요");
        let mut table = Table::new(head.split(' ')).nothing(nothing);
        for item in items {
            let name = item.key.name.as_str();
            let field = |f: &str| item.spec.get(f).and_then(Value::as_str).unwrap_or("").to_owned();
            let url = format!("{base}/{project}/{name}.git");
            table.row([name.to_owned(), field("default_branch"), url, field("description")]);
        }
        table
    })
}

async fn show(context: &Context, project: &str, name: &str) -> Result<()> {
    let client = context.client()?;
    let path = format!("/api/v1/projects/{}/repositories/{}", segment(project), segment(name));
    let repository: Resource = client.get(&path).await?;
    let refs: Value = client.get(&format!("{path}/refs")).await?;
    // A repository without commits is still one to show.
    let commits: Value = client.get(&format!("{path}/commits?limit=10")).await.unwrap_or_default();
    let url = format!("{}/{project}/{name}.git", client.url().trim_end_matches('/'));
    let commits = commits.get("commits").cloned().unwrap_or(Value::Array(Vec::new()));
    context.output.show(&Shown { repository, url, refs, commits }, draw)
}

fn draw(shown: &Shown, output: &Output) -> Table {
    let words = |value: &Value, field: &str| {
        value.get(field).and_then(Value::as_str).unwrap_or("").to_owned()
    };
    let short = |id: String| id.get(..12).unwrap_or(&id).to_owned();
    let pick = |en: &'static str, ko: &'static str| output.lang.pick(en, ko).to_owned();
    let mut table = Table::default();
    table.row([pick("url", "주소"), shown.url.clone()]);
    table.row([pick("default branch", "기본 브랜치"), words(&shown.refs, "default_branch")]);
    for (field, word) in [("branches", pick("branch", "브랜치")), ("tags", pick("tag", "태그"))]
    {
        for item in shown.refs.get(field).and_then(Value::as_array).into_iter().flatten() {
            let cell = format!("{} {}", short(words(item, "id")), words(item, "name"));
            table.row([word.clone(), cell]);
        }
    }
    for commit in shown.commits.as_array().into_iter().flatten() {
        let cell = format!("{} {}", short(words(commit, "id")), words(commit, "subject"));
        table.row([pick("commit", "커밋"), cell]);
    }
    table
}

/// Only `get` has an answer: naru keeps its own tokens. Silence lets git ask the next helper, and is what
/// git wants for operations that a helper does not know.
async fn git_credential(context: Context, matches: ArgMatches) -> Result<()> {
    let operation = matches.get_one::<String>("operation").map_or("", String::as_str);
    if operation != "get" {
        return Ok(());
    }
    let mut words = String::new();
    let read = std::io::stdin().take(credential::LONGEST).read_to_string(&mut words);
    read.map_err(Error::internal)?;
    // Without a server there is nothing to offer, and nothing wrong with another helper's host.
    let Ok(client) = context.client() else { return Ok(()) };
    let request = credential::parse(&words);
    let mut servers = client.addresses();
    match servers.find_map(|server| credential::answer(&request, server, client.token())) {
        Some(answer) => context.output.print(&answer),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_commands_are_sound_in_both_languages() {
        for lang in [Lang::En, Lang::Ko] {
            COMMANDS.iter().for_each(|c| (c.build)(lang).debug_assert());
        }
        let show = build_repository(Lang::En).try_get_matches_from([
            "repository",
            "show",
            "web",
            "-p",
            "shop",
        ]);
        let (_, sub) = show.as_ref().unwrap().subcommand().unwrap();
        assert_eq!(project(sub).unwrap(), "shop");
        let new = build_credential(Lang::En).try_get_matches_from(["git-credential", "capability"]);
        assert!(new.is_ok());
    }
}

//! `naru merge-request`.

use crate::MergeRequestView;
use crate::api::{Row, Rows};
use clap::{Arg, ArgAction, ArgMatches};
use cli::{Client, Command, Context, Format, Output, Table, segment};
use kernel::diff::{Difference, LineKind};
use kernel::{Error, Lang, Principal, Result, text};
use serde_json::{Map, Value, json};

pub(crate) const COMMANDS: &[Command] =
    &[Command { name: "merge-request", build: command, run: |c, m| Box::pin(run(c, m)) }];

fn option(name: &'static str, value: &'static str, help: &str) -> Arg {
    Arg::new(name).long(name).value_name(value).help(help.to_owned())
}

fn many(name: &'static str, value: &'static str, help: &str) -> Arg {
    option(name, value, help).action(ArgAction::Append)
}

fn flag(name: &'static str, help: &str) -> Arg {
    Arg::new(name).long(name).action(ArgAction::SetTrue).help(help.to_owned())
}

fn command(lang: Lang) -> clap::Command {
    let project = Arg::new("project")
        .short('p')
        .long("project")
        .env("NARU_PROJECT")
        .value_name("PROJECT")
        .global(true);
    let t = |en: &'static str, ko: &'static str| lang.pick(en, ko);
    let number = || {
        Arg::new("number")
            .required(true)
            .value_name("NUMBER")
            .help(t("as `list` shows it", "`list`에 보이는 번호").to_owned())
    };
    let verb = |name: &'static str, en, ko| clap::Command::new(name).about(t(en, ko).to_owned());
    let words = |c: clap::Command| {
        c.arg(option("title", "TITLE", t("what it is about", "제목")))
            .arg(option("description", "TEXT", t("more about it, in Markdown", "설명 (마크다운)")))
            .arg(option(
                "target",
                "BRANCH",
                t(
                    "merged into this one; else the default branch",
                    "대상 브랜치. 없으면 기본 브랜치",
                ),
            ))
            .arg(many("label", "LABEL", t("may be repeated", "여러 번 쓸 수 있음")))
            .arg(many("assign", "USER", t("who works on it", "담당자")))
            .arg(many("reviewer", "USER", t("who is to look at it", "리뷰어")))
            .arg(flag("draft", t("not ready to be merged", "아직 병합하지 않을 초안")))
            .arg(flag(
                "remove-source-branch",
                t("delete the source once merged", "병합 후 원본 브랜치 삭제"),
            ))
            .arg(flag("squash", t("make one commit of all", "커밋 하나로 합치기")))
    };
    let create =
        words(verb("create", "open one of a branch that was pushed", "푸시한 브랜치로 열기"))
            .arg(
                option("repository", "REPOSITORY", t("of this project", "프로젝트의 저장소"))
                    .short('r')
                    .required(true),
            )
            .arg(
                option("source", "BRANCH", t("what is to be merged", "병합할 브랜치"))
                    .required(true),
            );
    let list = verb("list", "list them, newest first", "목록 (최신순)")
        .arg(flag("all", t("also merged and closed ones", "병합되거나 닫힌 것까지")))
        .arg(option("state", "STATE", "opened, merged, closed"))
        .arg(option("repository", "REPOSITORY", t("of one repository", "저장소 하나만")).short('r'))
        .arg(option("label", "LABEL", t("with this label", "레이블이 있는 것만")))
        .arg(option("person", "USER", t("author, assignee or reviewer", "작성자, 담당자, 리뷰어")))
        .arg(option("search", "WORDS", t("in title and branch", "제목과 브랜치에서 찾기")));
    let merge = verb("merge", "merge it", "병합")
        .arg(number())
        .arg(flag(
            "when-pipeline-succeeds",
            t("as soon as nothing is in the way", "막는 것이 없어지면 병합"),
        ))
        .arg(flag("squash", t("make one commit of all", "커밋 하나로 합치기")))
        .arg(flag("remove-source-branch", t("delete the source branch", "원본 브랜치 삭제")))
        .arg(flag("cancel", t("do not merge by itself any more", "자동 병합 취소")))
        .arg(option("message", "TEXT", t("of the commit that is made", "만들 커밋의 메시지")))
        .arg(option("head", "COMMIT", t("refuse any other head", "머리가 이 커밋일 때만")));
    let comment =
        verb("comment", "say something about it, or about a line", "전체나 한 줄에 댓글 달기")
            .arg(number())
            .arg(Arg::new("body").required(true).value_name("TEXT"))
            .arg(option("path", "FILE", t("a file of the diff", "변경된 파일")))
            .arg(
                option("line", "LINE", t("its line", "줄 번호"))
                    .value_parser(clap::value_parser!(u64)),
            )
            .arg(flag("old", t("the line as it was before", "바뀌기 전의 줄")))
            .arg(option("thread", "THREAD", t("an answer in this thread", "이 스레드에 답하기")))
            .arg(
                option("resolve", "THREAD", t("and settle this thread", "이 스레드 해결"))
                    .conflicts_with("thread"),
            );
    clap::Command::new("merge-request")
        .visible_alias("mr")
        .about(t("branches that are to be merged", "병합할 브랜치 (머지 요청)").to_owned())
        .subcommand_required(true)
        .arg_required_else_help(true)
        .arg(project)
        .subcommands([
            create,
            list,
            verb("show", "one, and what is in its way", "하나와 병합을 막는 것").arg(number()),
            verb("diff", "what it changes", "바뀌는 내용").arg(number()),
            verb("checkout", "fetch it into this working copy", "작업 사본으로 가져오기")
                .arg(number())
                .arg(option("remote", "REMOTE", "naru, origin, …").default_value("naru")),
            verb("approve", "approve it", "승인").arg(number()),
            verb("unapprove", "take an approval back", "승인 취소").arg(number()),
            comment,
            merge,
            verb("close", "close it without merging", "병합하지 않고 닫기").arg(number()),
            verb("reopen", "open a closed one again", "다시 열기").arg(number()),
            words(verb("edit", "edit it", "고치기").arg(number()))
                .arg(flag("ready", t("no draft any more", "초안 해제")).conflicts_with("draft")),
        ])
}

fn word<'a>(matches: &'a ArgMatches, name: &str) -> Option<&'a str> {
    matches.try_get_one::<String>(name).ok().flatten().map(String::as_str)
}

fn words(matches: &ArgMatches, name: &str) -> Vec<String> {
    let all = matches.try_get_many::<String>(name).ok().flatten();
    all.map(|all| all.cloned().collect()).unwrap_or_default()
}

fn base(matches: &ArgMatches) -> Result<String> {
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

fn one(matches: &ArgMatches) -> Result<String> {
    let number = word(matches, "number").unwrap_or_default().trim_start_matches('!');
    Ok(format!("{}/merge-requests/{}", base(matches)?, segment(number)))
}

async fn run(context: Context, matches: ArgMatches) -> Result<()> {
    match matches.subcommand() {
        Some(("create", sub)) => create(&context, sub).await,
        Some(("list", sub)) => list(&context, sub).await,
        Some(("show", sub)) => show(&context, sub).await,
        Some(("diff", sub)) => diff(&context, sub).await,
        Some(("checkout", sub)) => checkout(&context, sub).await,
        Some(("comment", sub)) => comment(&context, sub).await,
        Some(("merge", sub)) => merge(&context, sub).await,
        Some(("edit", sub)) => edit(&context, sub).await,
        Some((verb @ ("approve" | "unapprove" | "close" | "reopen"), sub)) => {
            act(&context, sub, verb, &json!({})).await
        }
        _ => Ok(()),
    }
}

/// The fields that are given, for a request's body.
fn given(matches: &ArgMatches) -> Map<String, Value> {
    let mut body = Map::new();
    for name in ["title", "description", "target", "source"] {
        body.extend(word(matches, name).map(|w| (name.to_owned(), json!(w))));
    }
    for (option, name) in [("label", "labels"), ("assign", "assignees"), ("reviewer", "reviewers")]
    {
        let all = words(matches, option);
        body.extend((!all.is_empty()).then(|| (name.to_owned(), json!(all))));
    }
    let flags =
        [("draft", "draft"), ("remove-source-branch", "remove_source"), ("squash", "squash")];
    for (option, name) in flags {
        body.extend(matches.get_flag(option).then(|| (name.to_owned(), json!(true))));
    }
    body
}

async fn create(context: &Context, matches: &ArgMatches) -> Result<()> {
    let client = context.client()?;
    let repository = word(matches, "repository").unwrap_or_default();
    let path = format!("{}/repositories/{}/merge-requests", base(matches)?, segment(repository));
    let row: Row = client.post(&path, &given(matches)).await?;
    told(context, &client, &row)
}

fn told(context: &Context, client: &Client, row: &Row) -> Result<()> {
    context.output.line(row, |row| {
        let state = row.status.state.text();
        format!(
            "!{} {}: {} → {}",
            row.number,
            row.spec.title,
            state.get(context.lang),
            client.link(&row.address)
        )
    })
}

async fn act(context: &Context, matches: &ArgMatches, verb: &str, body: &Value) -> Result<()> {
    let client = context.client()?;
    let row: Row = client.post(&format!("{}/{verb}", one(matches)?), body).await?;
    told(context, &client, &row)
}

async fn list(context: &Context, matches: &ArgMatches) -> Result<()> {
    let client = context.client()?;
    let state = if matches.get_flag("all") { Some("all") } else { word(matches, "state") };
    let mut query = format!("state={}", segment(state.unwrap_or("opened")));
    for name in ["repository", "label", "person", "search"] {
        if let Some(word) = word(matches, name) {
            query.push_str(&format!("&{name}={}", segment(word)));
        }
    }
    let rows: Rows = client.get(&format!("{}/reviews?{query}", base(matches)?)).await?;
    context.output.show(&rows.items, |all, out| {
        let head =
            ["NUMBER", "TITLE", "REPOSITORY", "SOURCE", "TARGET", "AUTHOR", "STATE", "PIPELINE"];
        let mut table = Table::new(head).nothing(out.lang.pick(
            "no merge requests: `git push -o merge_request.create` opens one",
            "머지 요청이 없습니다. `git push -o merge_request.create`로 열 수 있습니다",
        ));
        for row in all {
            let pipeline = row.status.pipeline().map(|p| p.state.text());
            let mark = if row.spec.draft { out.lang.pick("draft: ", "초안: ") } else { "" };
            table.row([
                format!("!{}", row.number),
                format!("{mark}{}", row.spec.title),
                row.spec.repository.to_string(),
                row.spec.source.clone(),
                row.spec.target.clone(),
                person(&row.spec.author),
                row.status.state.text().get(out.lang).to_owned(),
                pipeline.map_or_else(|| "-".to_owned(), |p| p.get(out.lang).to_owned()),
            ]);
        }
        table
    })
}

fn person(who: &Principal) -> String {
    match who {
        Principal::User(name) => name.to_string(),
        other => other.to_string(),
    }
}

async fn show(context: &Context, matches: &ArgMatches) -> Result<()> {
    let client = context.client()?;
    let view: MergeRequestView = client.get(&format!("{}/view", one(matches)?)).await?;
    if context.output.format != Format::Table {
        return context.output.show(&view, |_, _| Table::default());
    }
    context.output.print(&describe(&view, &client, &context.output))
}

fn describe(view: &MergeRequestView, client: &Client, out: &Output) -> String {
    let (lang, spec, status) = (out.lang, &view.spec, &view.status);
    let mut head = Table::new(["", ""]);
    let mut fact =
        |en: &str, ko: &str, value: String| head.row([lang.pick(en, ko).to_owned(), value]);
    fact("merge request", "머지 요청", format!("!{} {}", view.number, spec.title));
    fact("branches", "브랜치", format!("{} → {}", spec.source, spec.target));
    fact("state", "상태", status.state.text().get(lang).to_owned());
    fact("author", "작성자", person(&spec.author));
    if !spec.labels.is_empty() {
        fact("labels", "레이블", spec.labels.join(", "));
    }
    let by: Vec<String> = status.approvals.iter().map(|a| person(&a.by)).collect();
    fact("approved by", "승인", if by.is_empty() { "-".into() } else { by.join(", ") });
    if let Some(pipeline) = status.pipeline() {
        let run = pipeline.run.clone().unwrap_or_default();
        fact("pipeline", "파이프라인", format!("{} {run}", pipeline.state.text().get(lang)));
    }
    if let Some(auto) = &status.auto_merge {
        fact("merges by itself", "자동 병합", person(&auto.by));
    }
    if let Some(reason) = &status.reason {
        fact("because", "이유", reason.get(lang).to_owned());
    }
    fact("page", "페이지", client.link(&view.address));
    let mut ways =
        Table::new([lang.pick("IN THE WAY", "막는 것"), lang.pick("WHAT TO DO", "할 일")]);
    if status.state == crate::State::Opened {
        view.blockers.iter().for_each(|b| ways.row([b.text().get(lang), b.todo().get(lang)]));
        ways =
            ways.nothing(lang.pick(
                "nothing is in the way: it can be merged",
                "막는 것이 없어 병합할 수 있습니다",
            ));
    }
    let mut notes = Table::new(["THREAD", "BY", "WHERE", "WORDS"]);
    for thread in &view.threads {
        let place = thread.anchor.as_ref().map(|a| format!("{}:{}", a.path, a.line));
        for note in &thread.notes {
            let words: String =
                note.body.lines().next().unwrap_or_default().chars().take(100).collect();
            let place = place.clone().unwrap_or_else(|| "-".to_owned());
            notes.row([thread.id.clone(), person(&note.by), place, words]);
        }
    }
    let draw = |t: Table| t.render(out.color);
    let mut all = draw(head);
    if status.state == crate::State::Opened {
        all = format!("{all}\n{}", draw(ways));
    }
    if view.threads.is_empty() { all } else { format!("{all}\n{}", draw(notes)) }
}

async fn diff(context: &Context, matches: &ArgMatches) -> Result<()> {
    let client = context.client()?;
    let diff: Difference = client.get(&format!("{}/diff", one(matches)?)).await?;
    if context.output.format != Format::Table {
        return context.output.show(&diff, |_, _| Table::default());
    }
    let mut out = String::new();
    for file in &diff.files {
        let before = file.from.as_deref().unwrap_or(&file.path);
        out.push_str(&format!("--- a/{before}\n+++ b/{}\n", file.path));
        for hunk in &file.hunks {
            let first = |pick: fn(&kernel::diff::DiffLine) -> Option<usize>| {
                hunk.lines.iter().find_map(pick).unwrap_or(0)
            };
            out.push_str(&format!("@@ -{} +{} @@\n", first(|l| l.before), first(|l| l.after)));
            for line in &hunk.lines {
                let sign = match line.kind {
                    LineKind::Same => ' ',
                    LineKind::Added => '+',
                    LineKind::Removed => '-',
                };
                // Files may hold what a terminal would obey.
                let text: String =
                    line.text.chars().filter(|c| *c == '\t' || !c.is_control()).collect();
                out.push_str(&format!("{sign}{text}\n"));
            }
        }
    }
    context.output.print(&out)
}

/// `git fetch` of its head, and a branch for it.
async fn checkout(context: &Context, matches: &ArgMatches) -> Result<()> {
    let client = context.client()?;
    let view: MergeRequestView = client.get(&format!("{}/view", one(matches)?)).await?;
    let remote = word(matches, "remote").unwrap_or("naru").to_owned();
    let branch = format!("merge-request-{}", view.number);
    let refs = format!("+refs/merge-requests/{}/head:refs/heads/{branch}", view.number);
    for args in [vec!["fetch", "--end-of-options", &remote, &refs], vec!["switch", &branch]] {
        let status = tokio::process::Command::new("git").args(&args).status().await;
        if !status.map_err(Error::internal)?.success() {
            let words = args.join(" ");
            return Err(Error::invalid(
                "git.failed",
                text!("`git {words}` failed", "`git {words}` 실패"),
            )
            .hint(text!(
                "run it inside a clone; `--remote` names another remote than `naru`",
                "복제한 작업 사본 안에서 실행하세요. 다른 원격 이름은 `--remote`로 알려 주세요"
            )));
        }
    }
    context.output.line(&json!({ "branch": branch }), |_| branch.clone())
}

async fn comment(context: &Context, matches: &ArgMatches) -> Result<()> {
    let client = context.client()?;
    let side = if matches.get_flag("old") { "old" } else { "new" };
    let mut body = json!({ "body": word(matches, "body") });
    if let (Some(path), Some(line)) = (word(matches, "path"), matches.get_one::<u64>("line")) {
        body = json!({ "body": word(matches, "body"), "path": path, "line": line, "side": side });
    }
    let settles = word(matches, "resolve");
    if let (Some(thread), Some(body)) = (word(matches, "thread").or(settles), body.as_object_mut())
    {
        body.insert("thread".to_owned(), json!(thread));
    }
    let path = one(matches)?;
    let thread: crate::Thread = client.post(&format!("{path}/comment"), &body).await?;
    if settles.is_some() {
        client.post::<Value>(&format!("{path}/resolve"), &json!({ "thread": thread.id })).await?;
    }
    context.output.line(&thread, |t| t.id.clone())
}

async fn merge(context: &Context, matches: &ArgMatches) -> Result<()> {
    if matches.get_flag("cancel") {
        return act(context, matches, "merge-not", &json!({})).await;
    }
    let mut body = Map::new();
    for (option, name) in [("squash", "squash"), ("remove-source-branch", "remove_source")] {
        body.extend(matches.get_flag(option).then(|| (name.to_owned(), json!(true))));
    }
    for name in ["message", "head"] {
        body.extend(word(matches, name).map(|w| (name.to_owned(), json!(w))));
    }
    let later = matches.get_flag("when-pipeline-succeeds");
    body.insert("when_pipeline_succeeds".to_owned(), json!(later));
    act(context, matches, "merge", &Value::Object(body)).await
}

async fn edit(context: &Context, matches: &ArgMatches) -> Result<()> {
    let mut body = given(matches);
    if matches.get_flag("ready") {
        body.insert("draft".to_owned(), json!(false));
    }
    act(context, matches, "edit", &Value::Object(body)).await
}

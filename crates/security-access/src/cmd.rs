//! `naru policy …` and `naru access …`.

use clap::{Arg, ArgAction, ArgMatches};
use cli::{Command, Context, Table, segment};
use kernel::{Error, Lang, Name, Result, Text, text};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::io::Read;

pub const COMMANDS: &[Command] = &[POLICY, ACCESS];

/// The longest file of policies, in bytes.
const FILE: u64 = 1 << 20;

const POLICY: Command = Command {
    name: "policy",
    build: policy_command,
    run: |context, matches| Box::pin(policy(context, matches)),
};

const ACCESS: Command = Command {
    name: "access",
    build: access_command,
    run: |context, matches| Box::pin(access(context, matches)),
};

fn action(lang: Lang) -> Arg {
    Arg::new("action").required(true).help(lang.pick(
        "An action, such as deploy; `naru policy actions` lists them",
        "deploy 같은 동작. `naru policy actions`로 확인",
    ))
}

fn resource(lang: Lang) -> Arg {
    Arg::new("resource").required(true).help(lang.pick(
        "platform, project/SHOP, environment/SHOP/production, KIND/SHOP/NAME",
        "platform, project/SHOP, environment/SHOP/production, 종류/SHOP/이름",
    ))
}

/// What a question may assume besides.
fn assumed(lang: Lang) -> [Arg; 3] {
    [
        Arg::new("environment")
            .long("environment")
            .help(lang.pick("As if it were about this environment", "이 환경에 대한 것처럼")),
        Arg::new("branch")
            .long("branch")
            .help(lang.pick("As if it were about this branch", "이 브랜치에 대한 것처럼")),
        Arg::new("protected").long("protected").action(ArgAction::SetTrue).help(
            lang.pick("As if that were the default branch", "그 브랜치가 기본 브랜치인 것처럼"),
        ),
    ]
}

/// The query of a question, by the arguments of a command.
fn question(sub: &ArgMatches, names: &[&str]) -> String {
    let pairs = names.iter().filter(|name| !given(sub, name).is_empty());
    let mut query: Vec<String> =
        pairs.map(|name| format!("{name}={}", segment(given(sub, name)))).collect();
    if sub.get_flag("protected") {
        query.push("protected=true".to_owned());
    }
    query.join("&")
}

fn policy_command(lang: Lang) -> clap::Command {
    let verb = |name: &'static str, en: &'static str, ko: &'static str| {
        clap::Command::new(name).about(lang.pick(en, ko))
    };
    clap::Command::new("policy")
        .about(lang.pick("Ask who may do what, and why", "누가 무엇을 왜 할 수 있는지 묻습니다"))
        .subcommand_required(true)
        .subcommand(
            verb(
                "who-can",
                "List who may do an action",
                "어떤 동작을 할 수 있는 사람을 나열합니다",
            )
            .arg(action(lang))
            .arg(resource(lang))
            .args(assumed(lang)),
        )
        .subcommand(
            verb(
                "why",
                "Say whether somebody may, and which policy decides",
                "누가 할 수 있는지와 어느 정책이 정하는지 보여 줍니다",
            )
            .arg(Arg::new("principal").required(true).help(lang.pick(
                "user:NAME, group:NAME or service:NAME",
                "user:이름, group:이름, service:이름",
            )))
            .arg(action(lang))
            .arg(resource(lang))
            .args(assumed(lang))
            .arg(Arg::new("token").long("token").value_name("NAME").help(lang.pick(
                "As if asked with this token of theirs",
                "그 사람의 이 토큰으로 요청한 것처럼",
            ))),
        )
        .subcommand(
            verb(
                "test",
                "Run the tests of the policies in a file, and write nothing",
                "파일에 든 정책의 테스트를 실행하고 아무것도 저장하지 않습니다",
            )
            .arg(Arg::new("file").required(true).help(
                lang.pick("The manifest; - reads standard input", "매니페스트 파일. -는 표준 입력"),
            ))
            .arg(
                Arg::new("project")
                    .short('p')
                    .long("project")
                    .env("NARU_PROJECT")
                    .help(lang.pick("The project", "프로젝트")),
            ),
        )
        .subcommand(verb(
            "actions",
            "List actions and the roles that have them",
            "동작과 그 동작을 할 수 있는 역할을 나열합니다",
        ))
        .subcommand(verb(
            "schema",
            "Print what policies can speak of, as a Cedar schema",
            "정책에 쓸 수 있는 것을 Cedar 스키마로 출력합니다",
        ))
}

fn access_command(lang: Lang) -> clap::Command {
    let verb = |name: &'static str, en: &'static str, ko: &'static str| {
        clap::Command::new(name).about(lang.pick(en, ko))
    };
    let wish = |command: clap::Command| {
        command
            .arg(Arg::new("what").required(true).help(lang.pick(
                "A role (maintainer) or an action (deploy)",
                "역할(maintainer)이나 동작(deploy)",
            )))
            .arg(resource(lang))
            .arg(Arg::new("reason").long("reason").required(true).help(lang.pick(
                "Why it is needed; everybody who decides reads it",
                "필요한 이유. 결정하는 사람이 읽습니다",
            )))
            .arg(
                Arg::new("for")
                    .long("for")
                    .default_value("1h")
                    .help(lang.pick("For how long: 30m, 4h, 2d", "기간: 30m, 4h, 2d")),
            )
    };
    let one = |command: clap::Command| {
        command
            .arg(Arg::new("id").required(true).help(
                lang.pick("The request, by its id or the end of it", "요청 id 또는 그 끝부분"),
            ))
            .arg(
                Arg::new("remark")
                    .long("remark")
                    .default_value("")
                    .help(lang.pick("What to say about it", "덧붙일 말")),
            )
    };
    clap::Command::new("access")
        .about(lang.pick(
            "Ask for rights for a time, and decide about others' requests",
            "한동안 쓸 권한을 요청하고, 다른 사람의 요청을 결정합니다",
        ))
        .subcommand_required(true)
        .subcommand(
            wish(verb("request", "Ask for a role or an action", "역할이나 동작을 요청합니다"))
                .arg(Arg::new("to").long("to").help(lang.pick(
                    "Who gets it, if not you: user:NAME, group:NAME, service:NAME",
                    "내가 아니라면 받을 대상: user:이름, group:이름, service:이름",
                )))
                .arg(
                    Arg::new("second-person")
                        .long("second-person")
                        .action(ArgAction::SetTrue)
                        .help(lang.pick(
                            "Ask for the approval that an action takes beside the right itself",
                            "권한과 별도로 필요한 두 번째 사람의 승인을 요청합니다",
                        )),
                ),
        )
        .subcommand(
            verb("list", "List requests and grants", "요청과 임시 권한을 나열합니다").arg(
                Arg::new("all")
                    .long("all")
                    .action(ArgAction::SetTrue)
                    .help(lang.pick("Those that are over, too", "끝난 것까지")),
            ),
        )
        .subcommand(one(verb("approve", "Approve a request", "요청을 승인합니다")))
        .subcommand(one(verb("deny", "Deny a request", "요청을 거절합니다")))
        .subcommand(one(verb(
            "revoke",
            "Take a request or a grant back",
            "요청이나 임시 권한을 거둡니다",
        )))
        .subcommand(wish(verb(
            "break-glass",
            "Take a role at once in an emergency; every administrator sees it",
            "비상시 역할을 바로 얻습니다. 모든 관리자에게 보입니다",
        )))
        .subcommand(
            verb(
                "matrix",
                "Show who may do what in a project",
                "프로젝트에서 누가 무엇을 할 수 있는지 보여 줍니다",
            )
            .arg(Arg::new("project").required(true).help(lang.pick("The project", "프로젝트"))),
        )
}

fn given<'a>(matches: &'a ArgMatches, name: &str) -> &'a str {
    matches.get_one::<String>(name).map_or("", String::as_str)
}

fn at<'a>(value: &'a Value, path: &str) -> &'a str {
    value.pointer(path).and_then(Value::as_str).unwrap_or("-")
}

fn items<'a>(value: &'a Value, path: &str) -> impl Iterator<Item = &'a Value> + use<'a> {
    value.pointer(path).and_then(Value::as_array).into_iter().flatten()
}

fn reasons(decision: &Value) -> String {
    items(decision, "/because").map(|r| at(r, "/say")).collect::<Vec<_>>().join("; ")
}

async fn policy(context: Context, matches: ArgMatches) -> Result<()> {
    let client = context.client()?;
    let lang = context.lang;
    match matches.subcommand() {
        Some(("who-can", sub)) => {
            let query = question(sub, &["action", "resource", "environment", "branch"]);
            let found: Value = client.get(&format!("/api/v1/access/who-can?{query}")).await?;
            context.output.show(&found, |found, _| {
                let mut table = Table::new(["PRINCIPAL", lang.pick("BECAUSE", "까닭")])
                    .nothing(lang.pick("nobody may", "할 수 있는 사람이 없습니다"));
                for holder in items(found, "/items") {
                    let decision = holder.get("decision").unwrap_or(&Value::Null);
                    table.row([at(holder, "/principal").to_owned(), reasons(decision)]);
                }
                if found.get("more") == Some(&Value::Bool(true)) {
                    table.remark(lang.pick("and more", "그 밖에 더 있습니다"));
                }
                table
            })
        }
        Some(("why", sub)) => why(&context, &client, sub).await,
        Some(("test", sub)) => test(&context, &client, sub).await,
        Some(("schema", _)) => {
            let lines: Value = client.get("/api/v1/access/schema").await?;
            context.output.print(at(&lines, "/schema"))
        }
        _ => {
            let found: Value = client.get("/api/v1/access/actions").await?;
            context.output.show(&found, |found, _| {
                let heads = ["ACTION", lang.pick("ROLES", "역할"), lang.pick("WHAT", "설명")];
                let mut table = Table::new(heads);
                for action in items(found, "/items") {
                    let roles: Vec<&str> =
                        items(action, "/roles").filter_map(Value::as_str).collect();
                    table.row([at(action, "/name"), &roles.join(" "), at(action, "/about")]);
                }
                table
            })
        }
    }
}

async fn why(context: &Context, client: &cli::Client, sub: &ArgMatches) -> Result<()> {
    let names = ["principal", "action", "resource", "environment", "branch", "token"];
    let query = question(sub, &names);
    let found: Value = client.get(&format!("/api/v1/access/why?{query}")).await?;
    let lang = context.lang;
    context.output.show(&found, |found, _| {
        let decision = found.get("decision").unwrap_or(&Value::Null);
        let allow = decision.get("allow") == Some(&Value::Bool(true));
        let mut table = Table::new(["", ""]);
        let word = lang.pick(if allow { "yes" } else { "no" }, if allow { "예" } else { "아니요" });
        for (i, reason) in items(decision, "/because").enumerate() {
            table.row([if i == 0 { word } else { "" }, at(reason, "/say")]);
        }
        table
    })
}

/// As much of a document as a test needs.
#[derive(Deserialize)]
struct Document {
    kind: String,
    name: Name,
    #[serde(default)]
    project: Option<Name>,
    #[serde(default)]
    spec: Value,
}

#[derive(Serialize)]
struct Tested {
    policy: String,
    results: Value,
}

async fn test(context: &Context, client: &cli::Client, sub: &ArgMatches) -> Result<()> {
    let chosen = sub.get_one::<String>("project").map(|p| Name::parse(p)).transpose()?;
    let (mut all, mut failed) = (Vec::new(), 0);
    for document in documents(given(sub, "file"))? {
        let project = match document.kind.as_str() {
            "Policy" => document.project.or_else(|| chosen.clone()),
            "PlatformPolicy" => None,
            _ => continue,
        };
        if document.kind == "Policy" && project.is_none() {
            return Err(Error::invalid(
                "project.missing",
                Text::fixed("which project is the policy of?", "어느 프로젝트의 정책인가요?"),
            )
            .hint(Text::fixed(
                "use `-p PROJECT` or write `project:` in the document",
                "`-p PROJECT`를 쓰거나 문서에 `project:`를 쓰세요",
            )));
        }
        let body = json!({ "project": project, "name": document.name, "spec": document.spec });
        let results: Value = client.post("/api/v1/access/test", &body).await?;
        failed +=
            items(&results, "/items").filter(|t| t.get("passed") != Some(&true.into())).count();
        all.push(Tested { policy: document.name.to_string(), results });
    }
    let lang = context.lang;
    context.output.show(&all, |all, _| {
        let heads = ["POLICY", "TEST", lang.pick("EXPECTS", "기대"), lang.pick("GETS", "결과"), ""];
        let mut table = Table::new(heads).nothing(lang.pick("no tests in it", "테스트가 없습니다"));
        for one in all {
            for test in items(&one.results, "/items") {
                let cells = ["/name", "/expect", "/found", "/because"].map(|p| at(test, p));
                table.row([&[one.policy.as_str()], &cells[..]].concat());
            }
        }
        table
    })?;
    if failed == 0 {
        return Ok(());
    }
    Err(Error::invalid(
        "policy.test-failed",
        text!("{failed} tests fail", "테스트 {failed}개가 실패했습니다"),
    ))
}

fn documents(file: &str) -> Result<Vec<Document>> {
    let mut words = String::new();
    let read = match file {
        "-" => std::io::stdin().take(FILE).read_to_string(&mut words),
        path => std::fs::File::open(path).and_then(|f| f.take(FILE).read_to_string(&mut words)),
    };
    read.map_err(|e| Error::invalid("manifest.unreadable", text!("{file}: {e}", "{file}: {e}")))?;
    serde_saphyr::from_multiple::<Document>(&words).map_err(|e| {
        let why = e.to_string();
        let first = why.lines().next().unwrap_or("").to_owned();
        let error = Error::invalid(
            "manifest.invalid",
            text!("the manifest cannot be read: {first}", "매니페스트를 읽을 수 없습니다: {first}"),
        );
        match e.location() {
            Some(at) => error.at(file, at.line() as u32, at.column() as u32),
            None => error,
        }
    })
}

async fn access(context: Context, matches: ArgMatches) -> Result<()> {
    let client = context.client()?;
    let lang = context.lang;
    match matches.subcommand() {
        Some((verb @ ("request" | "break-glass"), sub)) => {
            let mut body = json!({
                "what": given(sub, "what"), "on": given(sub, "resource"), "reason": given(sub, "reason"),
                "lasts": given(sub, "for"),
            });
            if let (true, Value::Object(body)) = (verb == "request", &mut body) {
                body.insert("to".into(), given(sub, "to").into());
                body.insert("second_person".into(), sub.get_flag("second-person").into());
            }
            let path = if verb == "request" { "requests" } else { "break-glass" };
            let made: Value = client.post(&format!("/api/v1/access/{path}"), &body).await?;
            context.output.show(&made, |made, _| grants([made].into_iter(), lang))
        }
        Some((verb @ ("approve" | "deny" | "revoke"), sub)) => {
            let id = whole(&client, given(sub, "id")).await?;
            let body = json!({ "remark": given(sub, "remark") });
            let path = format!("/api/v1/access/requests/{}/{verb}", segment(&id));
            let done: Value = client.post(&path, &body).await?;
            context.output.show(&done, |done, _| grants([done].into_iter(), lang))
        }
        Some(("matrix", sub)) => {
            let project = segment(given(sub, "project"));
            let found: Value =
                client.get(&format!("/api/v1/projects/{project}/access-matrix")).await?;
            context.output.show(&found, |found, _| matrix(found))
        }
        other => {
            let all = other.is_some_and(|(_, sub)| sub.get_flag("all"));
            let found: Value = client.get("/api/v1/access/requests").await?;
            let open = |g: &&Value| all || matches!(at(g, "/status/phase"), "requested" | "active");
            let shown: Vec<&Value> = items(&found, "/items").filter(open).collect();
            context.output.show(&shown, |shown, _| grants(shown.iter().copied(), lang))
        }
    }
}

/// The id of which these are the last characters.
async fn whole(client: &cli::Client, words: &str) -> Result<String> {
    if words.len() == 26 {
        return Ok(words.to_owned());
    }
    let found: Value = client.get("/api/v1/access/requests").await?;
    let mut ends = items(&found, "/items").map(|g| at(g, "/name")).filter(|n| n.ends_with(words));
    match (ends.next(), ends.next()) {
        (Some(id), None) if words.len() >= 4 => Ok(id.to_owned()),
        _ => Err(Error::not_found(
            "access.unknown",
            text!("there is no access request {words}", "{words} 권한 요청이 없습니다"),
        )
        .hint(Text::fixed("`naru access list` shows them", "`naru access list`로 확인하세요"))),
    }
}

/// What a grant gives, in a word.
pub(crate) fn gives(spec: &Value) -> String {
    let (kind, what) =
        match spec.get("give").and_then(Value::as_object).and_then(|o| o.iter().next()) {
            Some((kind, what)) => (kind.as_str(), what.as_str().unwrap_or("-")),
            None => ("", "-"),
        };
    if kind == "second_person" { format!("{what} (2)") } else { what.to_owned() }
}

fn grants<'a>(all: impl Iterator<Item = &'a Value>, lang: Lang) -> Table {
    let heads = [
        "ID",
        lang.pick("TO", "대상"),
        lang.pick("WHAT", "권한"),
        lang.pick("ON", "위치"),
        lang.pick("PHASE", "상태"),
        lang.pick("UNTIL", "기한"),
        lang.pick("REASON", "이유"),
    ];
    let mut table = Table::new(heads).nothing(lang.pick("nothing is asked for", "요청이 없습니다"));
    for grant in all {
        let id = at(grant, "/name");
        let what = gives(grant.get("spec").unwrap_or(&Value::Null));
        table.row([
            id.get(18..).unwrap_or(id),
            at(grant, "/spec/to"),
            &what,
            at(grant, "/spec/on"),
            at(grant, "/status/phase"),
            at(grant, "/status/until"),
            at(grant, "/spec/reason"),
        ]);
    }
    table
}

fn matrix(found: &Value) -> Table {
    let actions: Vec<&str> = items(found, "/actions").filter_map(Value::as_str).collect();
    let mut table = Table::new([&[""], actions.as_slice()].concat());
    for row in items(found, "/rows") {
        let mut cells = vec![at(row, "/who")];
        for cell in items(row, "/cells") {
            let second = items(cell, "/because").any(|r| at(r, "/kind") == "second_person");
            let allow = cell.get("allow") == Some(&Value::Bool(true));
            cells.push(if second {
                "2"
            } else if allow {
                "yes"
            } else {
                "-"
            });
        }
        table.row(cells);
    }
    table
}

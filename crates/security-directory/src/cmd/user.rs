//! `naru user …`

use super::{alone, given, list, name_arg, name_of, words};
use clap::{Arg, ArgAction, ArgMatches};
use cli::{Command, Context, Table};
use kernel::{Error, Lang, Name, Result, text};
use serde_json::{Value, json};

pub const COMMAND: Command =
    Command { name: "user", build, run: |context, matches| Box::pin(run(context, matches)) };

/// The verbs that only name a person: word, English, Korean.
const PLAIN: [(&str, &str, &str); 6] = [
    (
        "show",
        "Show a person with what they hold and have",
        "사람과 그 로그인 수단, 소유물을 보여 줍니다",
    ),
    (
        "disable",
        "Disable a person: all that they have open ends",
        "사람을 비활성화합니다. 열린 것이 모두 끝납니다",
    ),
    ("enable", "Enable a person again", "다시 활성화합니다"),
    (
        "password",
        "Print a link by which a person sets a new password",
        "새 비밀번호를 정하는 링크를 출력합니다",
    ),
    (
        "reset",
        "Take password, app, passkeys and recovery codes away, for somebody who has lost them",
        "잃어버린 사람의 비밀번호, 인증 앱, 패스키, 복구 코드를 없앱니다",
    ),
    ("delete", "Delete a person who is disabled", "비활성화된 사람을 삭제합니다"),
];

fn build(lang: Lang) -> clap::Command {
    let name = || name_arg(lang, "Their name here", "여기서 쓰는 이름");
    let profile = |command: clap::Command| {
        command
            .arg(name())
            .arg(
                Arg::new("title")
                    .long("title")
                    .default_value("")
                    .help(lang.pick("How others see them", "남에게 보이는 이름")),
            )
            .arg(Arg::new("email").long("email").help(lang.pick("Their mail", "메일 주소")))
            .arg(
                Arg::new("administrator")
                    .long("administrator")
                    .action(ArgAction::SetTrue)
                    .help(lang.pick("May do everything", "모든 것을 할 수 있음")),
            )
    };
    let mut command = clap::Command::new("user")
        .about(lang.pick("People; administrators only", "사람. 관리자만"))
        .subcommand_required(true)
        .subcommand(
            clap::Command::new("list").about(lang.pick("List people", "사람을 나열합니다")).arg(
                Arg::new("search")
                    .value_name("WORDS")
                    .help(lang.pick("In names and mails", "이름과 메일에서 찾을 말")),
            ),
        )
        .subcommand(profile(clap::Command::new("create").about(lang.pick(
            "Create a person and print a one-time sign-in link for them",
            "사람을 만들고 그 사람의 일회용 로그인 링크를 출력합니다",
        ))))
        .subcommand(profile(clap::Command::new("invite").about(lang.pick(
            "Create a person, if need be, and print a link by which they set a password",
            "필요하면 사람을 만들고, 비밀번호를 정하는 초대 링크를 출력합니다",
        ))))
        .subcommand(
            clap::Command::new("offboard")
                .about(lang.pick(
                    "Somebody leaves: disable, end all, hand over",
                    "퇴사 처리: 비활성화하고, 모두 끝내고, 넘깁니다",
                ))
                .arg(name())
                .arg(Arg::new("to").long("to").value_name("USER").help(lang.pick(
                    "Who takes over what only they own",
                    "혼자 소유하던 것을 이어받을 사람",
                ))),
        );
    for (verb, en, ko) in PLAIN {
        let sub = clap::Command::new(verb).about(lang.pick(en, ko)).arg(name());
        command = command.subcommand(sub);
    }
    command
}

async fn run(context: Context, matches: ArgMatches) -> Result<()> {
    match matches.subcommand() {
        Some(("list", sub)) => all(&context, given(sub, "search").unwrap_or("")).await,
        Some(("create", sub)) => create(&context, sub, true).await,
        Some(("invite", sub)) => create(&context, sub, false).await,
        Some(("show", sub)) => show(&context, &name_of(sub)?).await,
        Some(("offboard", sub)) => offboard(&context, sub).await,
        Some((verb, sub)) => act(&context, verb, &name_of(sub)?).await,
        None => Ok(()),
    }
}

async fn all(context: &Context, search: &str) -> Result<()> {
    let client = context.client()?;
    let (mut people, mut after) = (Vec::new(), String::new());
    // All pages; the server bounds each.
    loop {
        let query = format!("q={}&limit=500&after={after}", cli::segment(search));
        let page: Value = client.get(&format!("/api/v1/people?{query}")).await?;
        people.extend(page["items"].as_array().cloned().unwrap_or_default());
        match page["after"].as_str() {
            Some(next) if next != after => after = next.to_owned(),
            _ => break,
        }
    }
    let heads = ["NAME", "TITLE", "MAIL", "ADMINISTRATOR", "DISABLED"];
    let at =
        ["/name", "/spec/title", "/spec/mails/0/address", "/spec/administrator", "/spec/disabled"];
    list(context, &Value::from(people), &heads, &at)
}

/// Makes the person, then a link: one that signs in at once, or one that sets a password. `invite` takes people who
/// are there already.
async fn create(context: &Context, sub: &ArgMatches, sign_in: bool) -> Result<()> {
    let client = context.client()?;
    let name = name_of(sub)?;
    let there = client.get::<Value>(&format!("/api/v1/users/{name}")).await.is_ok();
    if there && sign_in {
        return Err(Error::conflict(
            "user.exists",
            text!("user {name} already exists", "{name} 사용자가 이미 있습니다"),
        ));
    }
    if !there {
        let mut spec = json!({
            "title": given(sub, "title"), "administrator": sub.get_flag("administrator"),
        });
        if let Some(mail) = given(sub, "email") {
            spec["mails"] = json!([{ "address": mail, "primary": true }]);
        }
        client.put::<Value>(&format!("/api/v1/users/{name}"), &json!({ "spec": spec })).await?;
    }
    let made: Value = if sign_in {
        client.post("/api/v1/sign-in-links", &json!({ "for": name })).await?
    } else {
        client.post(&format!("/api/v1/people/{name}/invite"), &json!({})).await?
    };
    let link = client.link(&words(&made["path"]));
    let made = json!({ "name": name, "link": link, "until": made["until"] });
    alone(context, &made, "/link")
}

async fn show(context: &Context, name: &Name) -> Result<()> {
    let whole: Value = context.client()?.get(&format!("/api/v1/people/{name}")).await?;
    context.output.show(&whole, |whole, output| {
        let mut table = Table::new(["", ""]);
        let rows = [
            ("name", "이름", "/user/name"),
            ("title", "보이는 이름", "/user/spec/title"),
            ("mail", "메일", "/user/spec/mails/0/address"),
            ("administrator", "관리자", "/user/spec/administrator"),
            ("disabled", "비활성", "/user/spec/disabled"),
            ("uid", "uid", "/user/status/uid_number"),
            ("password since", "비밀번호 설정", "/factors/password"),
            ("authenticator app since", "인증 앱 등록", "/factors/totp"),
            ("recovery codes left", "남은 복구 코드", "/factors/recovery"),
            ("only owner of", "유일한 소유자인 프로젝트", "/belongings/only_owner_of"),
            ("projects", "프로젝트", "/belongings/projects"),
            ("groups", "그룹", "/belongings/groups"),
            ("looks after", "맡은 그룹", "/belongings/teams"),
        ];
        for (en, ko, at) in rows {
            let value = whole.pointer(at).map_or("-".into(), words);
            table.row([output.lang.pick(en, ko).to_owned(), value]);
        }
        for (en, ko, at) in [
            ("passkeys", "패스키", "/factors/passkeys"),
            ("tokens", "토큰", "/tokens"),
            ("sessions", "세션", "/sessions"),
        ] {
            let count = whole.pointer(at).and_then(Value::as_array).map_or(0, Vec::len);
            table.row([output.lang.pick(en, ko).to_owned(), count.to_string()]);
        }
        table
    })
}

async fn offboard(context: &Context, sub: &ArgMatches) -> Result<()> {
    let name = name_of(sub)?;
    let path = format!("/api/v1/people/{name}/offboard");
    let body = match given(sub, "to") {
        Some(to) => json!({ "to": to }),
        None => json!({}),
    };
    let done: Value = context.client()?.post(&path, &body).await?;
    context.output.remark(
        text!("{name} is offboarded; taken out of:", "{name} 퇴사 처리 완료. 빠진 곳:")
            .get(context.lang),
    );
    context.output.show(&done, |done, output| {
        let mut table = Table::new(["", ""]);
        for (en, ko, at) in [
            ("handed over", "넘긴 프로젝트", "/had/only_owner_of"),
            ("projects", "프로젝트", "/had/projects"),
            ("groups", "그룹", "/had/groups"),
            ("looked after", "맡았던 그룹", "/had/teams"),
        ] {
            let value = done.pointer(at).map_or("-".into(), words);
            table.row([output.lang.pick(en, ko).to_owned(), value]);
        }
        table
    })
}

async fn act(context: &Context, verb: &str, name: &Name) -> Result<()> {
    let client = context.client()?;
    if verb == "password" {
        let made: Value = client.post(&format!("/api/v1/people/{name}/invite"), &json!({})).await?;
        let link = client.link(&words(&made["path"]));
        return alone(context, &json!({ "link": link, "until": made["until"] }), "/link");
    }
    let done: Value = client.post(&format!("/api/v1/people/{name}/{verb}"), &json!({})).await?;
    let (en, ko) = match verb {
        "disable" => ("disabled", "비활성화됨"),
        "enable" => ("enabled", "활성화됨"),
        "delete" => ("deleted", "삭제됨"),
        _ => ("reset", "초기화됨"),
    };
    match context.output.format {
        cli::Format::Table => {
            context.output.remark(&format!("{name}: {}", context.lang.pick(en, ko)));
            Ok(())
        }
        _ => alone(context, &done, ""),
    }
}

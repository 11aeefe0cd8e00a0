//! `naru application …`

use crate::manage::{ApplicationView, Mine};
use clap::{Arg, ArgAction, ArgMatches};
use cli::{Client, Command, Context, Table, segment};
use kernel::{Lang, Result};
use serde_json::{Map, Value, json};

pub(crate) const COMMAND: Command =
    Command { name: "application", build, run: |c, m| Box::pin(run(c, m)) };

fn option(name: &'static str, value: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).value_name(value).help(help)
}

fn several(name: &'static str, value: &'static str, help: &'static str) -> Arg {
    option(name, value, help).action(ArgAction::Append).value_delimiter(',')
}

fn build(lang: Lang) -> clap::Command {
    let verb = |name: &'static str, en, ko| clap::Command::new(name).about(lang.pick(en, ko));
    let name = || {
        Arg::new("name")
            .required(true)
            .value_name("NAME")
            .help(lang.pick("its client_id", "client_id"))
    };
    clap::Command::new("application")
        .about(lang.pick(
            "applications that people sign in to with their naru account",
            "naru 계정으로 로그인하는 애플리케이션",
        ))
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(verb("list", "those that you look after", "내가 관리하는 목록"))
        .subcommand(
            verb("show", "one, and who is signed in to it", "애플리케이션과 로그인한 사람")
                .arg(name()),
        )
        .subcommand(
            settings(
                verb(
                    "create",
                    "make one; its secret is printed, once",
                    "생성. 비밀 값은 한 번만 출력",
                ),
                lang,
            )
            .arg(name()),
        )
        .subcommand(settings(verb("set", "change one", "변경"), lang).arg(name()))
        .subcommand(
            verb("secret", "give it a new secret and print it, once", "새 비밀 값을 한 번만 출력")
                .arg(name())
                .arg(option(
                    "overlap",
                    "LENGTH",
                    lang.pick(
                        "the old ones work on for so long: 24h",
                        "옛 비밀 값이 더 쓰이는 기간: 24h",
                    ),
                )),
        )
        .subcommand(
            verb("sign-out", "end all sign-ins to it, or one", "로그인 모두 또는 하나 종료")
                .arg(name())
                .arg(option("sign-in", "ID", lang.pick("only this one", "이것만"))),
        )
        .subcommand(
            verb("rm", "remove it; its tokens are over", "제거. 토큰도 모두 끝남").arg(name()),
        )
        .subcommand(verb("mine", "those that you have signed in to", "내가 로그인한 애플리케이션"))
        .subcommand(
            verb("withdraw", "take back what you have given one", "애플리케이션에 준 접근 거두기")
                .arg(name()),
        )
        .subcommand(
            verb("keys", "the keys that sign tokens", "토큰에 서명하는 키")
                .subcommand_required(true)
                .subcommand(
                    verb("rotate", "sign with new keys from now on", "지금부터 새 키로 서명").arg(
                        Arg::new("forget")
                            .long("forget")
                            .action(ArgAction::SetTrue)
                            .help(lang.pick(
                            "the old ones are known to others: what they signed is worth nothing",
                            "옛 키가 새어 나감: 그 서명을 모두 무효로",
                        )),
                    ),
                ),
        )
}

fn settings(command: clap::Command, lang: Lang) -> clap::Command {
    let p = |en, ko| lang.pick(en, ko);
    let words = |name| option(name, "BOOL", "").value_parser(["true", "false"]);
    command
        .arg(option("title", "WORDS", p("as people see it", "사람에게 보이는 이름")))
        .arg(option(
            "project",
            "PROJECT",
            p("the project whose owners look after it", "관리할 프로젝트"),
        ))
        .arg(several(
            "redirect",
            "URL",
            p("where people come back to; may be repeated", "로그인 뒤 돌아갈 주소. 여러 번 가능"),
        ))
        .arg(several(
            "logout-redirect",
            "URL",
            p("where people may come back to after signing out", "로그아웃 뒤 돌아갈 주소"),
        ))
        .arg(option(
            "back-channel-logout",
            "URL",
            p("told when a session has ended", "세션 종료를 알릴 주소"),
        ))
        .arg(several(
            "origin",
            "ORIGIN",
            p("pages that may call from a browser", "브라우저에서 호출할 수 있는 사이트"),
        ))
        .arg(
            option("proof", "PROOF", p("secret, key or nothing", "secret, key, nothing"))
                .value_parser(["secret", "key", "nothing"]),
        )
        .arg(option(
            "keys",
            "FILE",
            p("a JWK set, for --proof key", "--proof key에 쓰는 JWK 집합 파일"),
        ))
        .arg(several(
            "grant",
            "GRANT",
            p(
                "authorization_code, refresh_token, client_credentials, device_code",
                "authorization_code, refresh_token, client_credentials, device_code",
            ),
        ))
        .arg(several("scope", "SCOPE", p("what it may ask for", "요청할 수 있는 scope")))
        .arg(several(
            "group",
            "GROUP",
            p("only members of these groups may sign in", "이 그룹의 구성원만 로그인"),
        ))
        .arg(several(
            "audience",
            "NAME",
            p("applications that may look at its tokens", "이 토큰을 확인할 수 있는 애플리케이션"),
        ))
        .arg(
            words("trusted").help(p("people are not asked whether they agree", "동의를 묻지 않음")),
        )
        .arg(words("pkce").help(p("each sign-in needs PKCE", "로그인마다 PKCE 필요")))
        .arg(words("disabled").help(p("nobody signs in to it", "로그인 중지")))
        .arg(
            option("signing", "ALG", p("RS256 or ES256", "RS256이나 ES256"))
                .value_parser(["RS256", "ES256"]),
        )
        .arg(option(
            "access-lasts",
            "LENGTH",
            p("life of access tokens: 10m", "접근 토큰의 수명: 10m"),
        ))
        .arg(option(
            "refresh-lasts",
            "LENGTH",
            p("life of unused refresh tokens: 30d", "쓰지 않는 갱신 토큰의 수명: 30d"),
        ))
}

/// What was given, as a patch of the spec.
fn patch(matches: &ArgMatches) -> Result<Value> {
    let mut spec = Map::new();
    let single = [
        ("title", "title"),
        ("project", "project"),
        ("back-channel-logout", "back_channel_logout"),
        ("proof", "proof"),
        ("signing", "signing"),
        ("access-lasts", "access_lasts"),
        ("refresh-lasts", "refresh_lasts"),
    ];
    for (flag, field) in single {
        if let Some(words) = matches.get_one::<String>(flag) {
            // An empty word takes the field away.
            let value = if words.is_empty() { Value::Null } else { json!(words) };
            spec.insert(field.to_owned(), value);
        }
    }
    for flag in ["trusted", "pkce", "disabled"] {
        if let Some(words) = matches.get_one::<String>(flag) {
            spec.insert(flag.to_owned(), json!(words == "true"));
        }
    }
    let several = [
        ("redirect", "redirects"),
        ("logout-redirect", "logout_redirects"),
        ("origin", "origins"),
        ("grant", "grants"),
        ("scope", "scopes"),
        ("group", "groups"),
        ("audience", "audience"),
    ];
    for (flag, field) in several {
        if let Some(words) = matches.get_many::<String>(flag) {
            let words: Vec<&String> = words.filter(|w| !w.is_empty()).collect();
            spec.insert(field.to_owned(), json!(words));
        }
    }
    if let Some(file) = matches.get_one::<String>("keys") {
        spec.insert("keys".into(), keys(file)?);
    }
    Ok(Value::Object(spec))
}

fn keys(file: &str) -> Result<Value> {
    let wrong = |why: &dyn std::fmt::Display| {
        let say = kernel::text!("{file} is no JWK set", "{file}은(는) JWK 집합이 아닙니다");
        kernel::Error::invalid("application.keys", say).why(why)
    };
    let bytes = std::fs::read(file).map_err(|e| wrong(&e))?;
    serde_json::from_slice(&bytes).map_err(|e| wrong(&e))
}

fn at(matches: &ArgMatches, more: &str) -> String {
    let name = matches.get_one::<String>("name").map(String::as_str).unwrap_or_default();
    format!("/api/v1/applications/{}/{more}", segment(name))
}

async fn run(context: Context, matches: ArgMatches) -> Result<()> {
    let client = context.client()?;
    match matches.subcommand() {
        Some(("list", _)) => list(&context, &client).await,
        Some(("show", sub)) => show(&context, &client, sub).await,
        Some((verb @ ("create" | "set"), sub)) => {
            let body = json!({ "spec": patch(sub)?, "new": verb == "create" });
            let made: Value = client.post(&at(sub, "set"), &body).await?;
            secret(&context, &made)
        }
        Some(("secret", sub)) => {
            let body = json!({ "overlap": sub.get_one::<String>("overlap") });
            let made: Value = client.post(&at(sub, "secret"), &body).await?;
            secret(&context, &made)
        }
        Some(("sign-out", sub)) => {
            let body = json!({ "sign_in": sub.get_one::<String>("sign-in") });
            let done: Value = client.post(&at(sub, "sign-out"), &body).await?;
            context.output.line(&done, |done| done["ended"].to_string())
        }
        Some(("rm", sub)) => {
            let _: Value = client.post(&at(sub, "remove"), &json!({})).await?;
            context.output.remark(context.lang.pick("removed", "제거함"));
            Ok(())
        }
        Some(("mine", _)) => mine(&context, &client).await,
        Some(("withdraw", sub)) => {
            let name = sub.get_one::<String>("name").map(String::as_str).unwrap_or_default();
            let path = format!("/api/v1/me/applications/{}/withdraw", segment(name));
            let _: Value = client.post(&path, &json!({})).await?;
            context.output.remark(context.lang.pick("withdrawn", "거둠"));
            Ok(())
        }
        Some(("keys", sub)) => {
            let forget = sub.subcommand().is_some_and(|(_, rotate)| rotate.get_flag("forget"));
            let body = json!({ "forget": forget });
            let _: Value = client.post("/api/v1/signing-keys/rotate", &body).await?;
            context.output.remark(context.lang.pick("signing with new keys", "새 키로 서명합니다"));
            Ok(())
        }
        _ => Ok(()),
    }
}

/// The secret alone, so that a script can take it; or the name, where there is none.
fn secret(context: &Context, made: &Value) -> Result<()> {
    let shown =
        made.get("secret").and_then(Value::as_str).or(made.get("name").and_then(Value::as_str));
    context.output.line(made, |_| shown.unwrap_or_default().to_owned())
}

async fn list(context: &Context, client: &Client) -> Result<()> {
    let page: Value = client.get("/api/v1/application-list").await?;
    let items = page.get("items").cloned().unwrap_or_default();
    let items: Vec<ApplicationView> = serde_json::from_value(items).unwrap_or_default();
    context.output.show(&items, |items, _| {
        let mut table = Table::new(["NAME", "TITLE", "PROJECT", "PROOF", "LAST SIGN-IN"]);
        let dash = || "-".to_owned();
        for one in items {
            let used = one.status.used;
            table.row([
                one.name.to_string(),
                one.spec.title.clone(),
                one.spec.project.as_ref().map_or_else(dash, ToString::to_string),
                format!("{:?}", one.spec.proof).to_lowercase(),
                used.map_or_else(dash, |t| t.to_string()),
            ]);
        }
        table
    })
}

async fn show(context: &Context, client: &Client, matches: &ArgMatches) -> Result<()> {
    let view: ApplicationView = client.get(&at(matches, "view")).await?;
    context.output.show(&view, |view, out| {
        let p = |en: &'static str, ko: &'static str| out.lang.pick(en, ko).to_owned();
        let mut table = Table::new(["", "", ""]);
        let mut row = |a: String, b: String, c: String| table.row([a, b, c]);
        row(p("name", "이름"), view.name.to_string(), view.spec.title.clone());
        for to in &view.spec.redirects {
            row(p("comes back to", "돌아갈 곳"), to.clone(), String::new());
        }
        let scopes: Vec<&str> = view.spec.scopes.iter().map(String::as_str).collect();
        row(p("may ask for", "scope"), scopes.join(" "), String::new());
        for secret in &view.secrets {
            let until = secret.until.map(|t| format!("{} {t}", p("until", "까지")));
            row(p("secret", "비밀 값"), secret.made.to_string(), until.unwrap_or_default());
        }
        for one in &view.sign_ins {
            let who = one.who.as_ref().map_or_else(|| view.name.to_string(), ToString::to_string);
            row(p("signed in", "로그인"), who, format!("{}  {}", one.renewed, one.id));
        }
        table
    })
}

async fn mine(context: &Context, client: &Client) -> Result<()> {
    let page: Value = client.get("/api/v1/me/applications").await?;
    let items = page.get("items").cloned().unwrap_or_default();
    let items: Vec<Mine> = serde_json::from_value(items).unwrap_or_default();
    context.output.show(&items, |items, _| {
        let mut table = Table::new(["NAME", "TITLE", "SCOPES", "LAST"]);
        for one in items {
            let scopes: Vec<&str> = one.scopes.iter().map(String::as_str).collect();
            let last = one.last.map_or_else(|| "-".to_owned(), |t| t.to_string());
            table.row([one.application.to_string(), one.title.clone(), scopes.join(" "), last]);
        }
        table
    })
}

//! `naru login`, `naru sign-in`, `naru whoami`.

use super::words;
use clap::{Arg, ArgMatches};
use cli::{Client, Command, Context, Endpoint, Table};
use kernel::{Error, Result, text};
use serde_json::{Value, json};
use std::io::BufRead;

pub const LOGIN: Command = Command {
    name: "login",
    build: |lang| {
        clap::Command::new("login")
            .about(lang.pick(
                "Keep the address and token of a naru elsewhere",
                "다른 곳의 naru 주소와 토큰을 보관합니다",
            ))
            .arg(Arg::new("url").required(true).help("https://HOST:PORT"))
            .arg(Arg::new("ca-fingerprint").long("ca-fingerprint").value_name("SHA256").help(
                lang.pick(
                    "The fingerprint of the server's own CA, as `naru ca fingerprint` prints it there; without it, you are asked",
                    "서버 자체 CA의 지문. 서버에서 `naru ca fingerprint`가 출력하는 값. 없으면 물어봅니다",
                ),
            ))
            .arg(
                Arg::new("ca-file")
                    .long("ca-file")
                    .value_name("FILE")
                    .conflicts_with("ca-fingerprint")
                    .value_parser(clap::value_parser!(std::path::PathBuf))
                    .help(lang.pick("That CA itself, in PEM", "그 CA 자체, PEM")),
            )
            .arg(Arg::new("token").long("token").env("NARU_TOKEN").hide_env_values(true).help(
                lang.pick(
                    "The token; without it, the first line of standard input",
                    "토큰. 없으면 표준 입력의 첫 줄",
                ),
            ))
    },
    run: |context, matches| Box::pin(login(context, matches)),
};

pub const SIGN_IN: Command = Command {
    name: "sign-in",
    build: |lang| {
        clap::Command::new("sign-in")
            .about(lang.pick(
                "Print a one-time link that signs a browser in",
                "브라우저용 일회용 로그인 링크를 출력합니다",
            ))
            .arg(Arg::new("for").long("for").value_name("USER").help(
                lang.pick("For somebody else; administrators only", "다른 사람의 것. 관리자만"),
            ))
    },
    run: |context, matches| Box::pin(sign_in(context, matches)),
};

pub const WHOAMI: Command = Command {
    name: "whoami",
    build: |lang| {
        clap::Command::new("whoami")
            .about(lang.pick("Who you are at the server", "서버에서 나는 누구인가"))
    },
    run: |context, _| Box::pin(whoami(context)),
};

async fn login(context: Context, matches: ArgMatches) -> Result<()> {
    let url = matches.get_one::<String>("url").map_or("", |u| u.trim_end_matches('/')).to_owned();
    let fingerprint = matches.get_one::<String>("ca-fingerprint");
    let wanted = cli::Wanted {
        fingerprint: fingerprint.map(|words| words.parse()).transpose()?,
        file: matches.get_one::<std::path::PathBuf>("ca-file").cloned(),
    };
    // Before a token is asked for, and long before it is sent.
    let ca_file = cli::meet(&url, &wanted, context.lang).await?;
    let token = match matches.get_one::<String>("token") {
        Some(token) => token.clone(),
        None => {
            context.output.remark(
                context
                    .lang
                    .pick("paste a token and press Enter", "토큰을 붙여 넣고 Enter를 누르세요"),
            );
            let mut line = String::new();
            std::io::stdin().lock().read_line(&mut line).map_err(Error::internal)?;
            line.trim().to_owned()
        }
    };
    let endpoint = Endpoint { url: url.clone(), token, ca_file: ca_file.clone(), outside: None };
    let me: Value = Client::new(endpoint.clone(), context.lang).get("/api/v1/me").await?;
    let file = cli::save_login(&endpoint)?;
    let (who, shown) = (words(&me["principal"]["name"]), file.display());
    context.output.remark(
        text!(
            "signed in to {url} as {who}; kept in {shown}",
            "{url}에 {who}(으)로 로그인했습니다. {shown}에 보관합니다"
        )
        .get(context.lang),
    );
    if ca_file.is_some_and(|file| cli::teach_git(&url, &file)) {
        context.output.remark(
            text!("git believes {url} by the same CA", "git도 같은 CA로 {url}을(를) 신뢰합니다")
                .get(context.lang),
        );
    }
    Ok(())
}

async fn sign_in(context: Context, matches: ArgMatches) -> Result<()> {
    let client = context.client()?;
    let made: Value = client
        .post("/api/v1/sign-in-links", &json!({ "for": matches.get_one::<String>("for") }))
        .await?;
    let link = json!({ "url": client.link(&words(&made["path"])) });
    super::alone(&context, &link, "/url")
}

async fn whoami(context: Context) -> Result<()> {
    let client = context.client()?;
    let me: Value = client.get("/api/v1/me").await?;
    context.output.show(&me, |me, output| {
        let mut table = Table::new(["", ""]);
        let rows = [
            (output.lang.pick("name", "이름"), words(&me["principal"]["name"])),
            (output.lang.pick("kind", "종류"), words(&me["principal"]["type"])),
            (output.lang.pick("administrator", "관리자"), words(&me["administrator"])),
            (output.lang.pick("by", "인증 수단"), words(&me["credential"]["kind"])),
            (output.lang.pick("groups", "그룹"), words(&me["groups"])),
            (output.lang.pick("server", "서버"), client.url().to_owned()),
        ];
        for (name, value) in rows {
            table.row([name.to_owned(), value]);
        }
        table
    })
}

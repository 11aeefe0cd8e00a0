//! `naru ca`.

use crate::record::{self, Issued, Standing};
use crate::trusting::WAYS;
use authority::{Fingerprint, Host, Serial, Usage};
use clap::{Arg, ArgAction, ArgMatches, value_parser};
use cli::{Client, Command, Context, Table, segment};
use kernel::{Error, Lang, Result, Text, Time, text};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

pub(crate) const COMMAND: Command =
    Command { name: "ca", build, run: |context, matches| Box::pin(run(context, matches)) };

fn build(lang: Lang) -> clap::Command {
    let verb = |name: &'static str, en: &'static str, ko: &'static str| {
        clap::Command::new(name).about(lang.pick(en, ko))
    };
    let file = |name: &'static str, en: &'static str, ko: &'static str| {
        let arg = Arg::new(name).long(name).value_name("FILE").help(lang.pick(en, ko));
        arg.value_parser(value_parser!(PathBuf))
    };
    let flag = |name: &'static str, en: &'static str, ko: &'static str| {
        Arg::new(name).long(name).action(ArgAction::SetTrue).help(lang.pick(en, ko))
    };
    clap::Command::new("ca")
        .about(lang.pick("The internal CA of this naru", "이 나루의 내부 CA"))
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(verb("show", "The roots to trust", "신뢰할 루트"))
        .subcommand(
            verb("export", "Print the roots to trust", "신뢰할 루트를 출력합니다")
                .arg(flag("pem", "As PEM, all of them (the default)", "PEM으로, 모두 (기본)"))
                .arg(
                    flag("der", "As DER, the one that signs", "DER로, 서명하는 것만")
                        .conflicts_with("pem"),
                )
                .arg(file("file", "Into a file", "파일로")),
        )
        .subcommand(verb(
            "fingerprint",
            "Print the fingerprint of the root that signs",
            "서명하는 루트의 지문을 출력합니다",
        ))
        .subcommand(verb(
            "trust",
            "Keep the roots for this user's naru and git, and say how others come to trust them",
            "이 사용자의 naru와 git이 루트를 신뢰하게 하고, 다른 프로그램은 어떻게 하는지 알려 줍니다",
        ))
        .subcommand(issue_command(lang))
        .subcommand(verb("ls", "What was signed, newest first", "서명한 인증서, 최근 것부터").arg(
            Arg::new("limit").long("limit").value_parser(value_parser!(u64)).default_value("50")
                .help(lang.pick("How many", "몇 개")),
        ))
        .subcommand(verb("revoke", "Take a certificate back", "인증서를 폐기합니다").arg(
            Arg::new("serial").required(true).value_name("SERIAL").help(lang.pick(
                "Its number, as `naru ca ls` shows it",
                "`naru ca ls`가 보여 주는 번호",
            )),
        ))
        .subcommand(
            verb("rotate", "Make a new root; the old one vouches for it for a while", "새 루트를 만듭니다. 한동안 이전 루트가 보증합니다")
                .arg(Arg::new("only").long("only").value_name("DOMAIN|CIDR").value_delimiter(',')
                    .action(ArgAction::Append).help(lang.pick(
                        "The new root may sign only for these [default: anything]",
                        "새 루트는 여기에만 서명할 수 있음 [기본: 무엇이든]",
                    )))
                .arg(Arg::new("overlap-days").long("overlap-days").value_parser(value_parser!(u64))
                    .help(lang.pick(
                        "For how long the old one is trusted [default: 90]",
                        "이전 루트를 신뢰하는 날수 [기본: 90]",
                    ))),
        )
}

fn issue_command(lang: Lang) -> clap::Command {
    let file = |name: &'static str, en: &'static str, ko: &'static str| {
        let arg = Arg::new(name).long(name).value_name("FILE").help(lang.pick(en, ko));
        arg.value_parser(value_parser!(PathBuf))
    };
    clap::Command::new("issue")
        .about(lang.pick(
            "Make a key here and have a certificate for it signed; the key stays here",
            "여기서 키를 만들고 그 인증서에 서명을 받습니다. 키는 여기에 남습니다",
        ))
        .arg(
            Arg::new("names").value_name("NAME").num_args(0..).required_unless_present("csr").help(
                lang.pick("Hosts and addresses that it is for", "인증서의 호스트 이름과 주소"),
            ),
        )
        .arg(file(
            "csr",
            "Sign this request in PEM instead of making a key",
            "키를 만들지 않고 이 PEM 요청에 서명을 받음",
        ))
        .arg(
            Arg::new("client").long("client").action(ArgAction::SetTrue).help(
                lang.pick("For a client, and not for a server", "서버가 아니라 클라이언트용"),
            ),
        )
        .arg(
            Arg::new("days")
                .long("days")
                .value_parser(value_parser!(u64))
                .default_value("90")
                .help(lang.pick("For how long it holds, at most 90", "유효한 날수, 최대 90")),
        )
        .arg(file(
            "cert",
            "Where the chain goes [default: NAME.pem]",
            "인증서 체인을 쓸 파일 [기본: 이름.pem]",
        ))
        .arg(file("key", "Where the key goes [default: NAME.key]", "키를 쓸 파일 [기본: 이름.key]"))
        .arg(
            Arg::new("force")
                .long("force")
                .action(ArgAction::SetTrue)
                .help(lang.pick("Write over files that are there", "이미 있는 파일을 덮어씁니다")),
        )
}

async fn run(context: Context, matches: ArgMatches) -> Result<()> {
    match matches.subcommand() {
        Some(("export", m)) => export(&context, m).await,
        Some(("fingerprint", _)) => fingerprint(&context).await,
        Some(("trust", _)) => trust(&context).await,
        Some(("issue", m)) => issue(&context, m).await,
        Some(("ls", m)) => list(&context, m).await,
        Some(("revoke", m)) => revoke(&context, m).await,
        Some(("rotate", m)) => rotate(&context, m).await,
        _ => show(&context, roots(&context.client()?).await?),
    }
}

/// A root, as far as people look at it.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Root {
    fingerprint: Fingerprint,
    name: String,
    until: Time,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    retires: Option<Time>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    only: Vec<String>,
    pem: String,
}

#[derive(Serialize, Deserialize)]
struct Roots {
    roots: Vec<Root>,
}

async fn roots(client: &Client) -> Result<Roots> {
    client.get("/api/v1/ca").await
}

fn show(context: &Context, roots: Roots) -> Result<()> {
    context.output.show(&roots, |roots, output| {
        let lang = output.lang;
        let heads = [
            ("FINGERPRINT", "지문"),
            ("NAME", "이름"),
            ("UNTIL", "유효 기간"),
            ("ONLY FOR", "범위"),
        ];
        let mut table = Table::new(heads.map(|(en, ko)| lang.pick(en, ko)));
        for root in &roots.roots {
            let until = record::day(root.retires.unwrap_or(root.until));
            table.row([
                root.fingerprint.to_string(),
                root.name.clone(),
                until,
                root.only.join(", "),
            ]);
        }
        table
    })
}

async fn export(context: &Context, m: &ArgMatches) -> Result<()> {
    let client = context.client()?;
    let mut bytes = Vec::new();
    let path = if m.get_flag("der") { "/ca.der" } else { "/ca.pem" };
    let mut pieces = client.download(path).await?;
    while let Some(piece) = pieces.next().await? {
        bytes.extend_from_slice(&piece);
    }
    match m.get_one::<PathBuf>("file") {
        Some(file) => std::fs::write(file, &bytes)
            .map_err(|e| Error::internal(format!("{}: {e}", file.display()))),
        None => {
            use std::io::Write;
            let mut out = std::io::stdout().lock();
            out.write_all(&bytes).and_then(|()| out.flush()).map_err(Error::internal)
        }
    }
}

async fn fingerprint(context: &Context) -> Result<()> {
    let roots = roots(&context.client()?).await?;
    let first = roots.roots.first().map(|root| root.fingerprint);
    let first = first.ok_or_else(|| Error::internal("the server has no root"))?;
    context.output.show(&json!({ "fingerprint": first }), |_, _| {
        let mut table = Table::new([""]);
        table.row([first.to_string()]);
        table
    })
}

async fn trust(context: &Context) -> Result<()> {
    let client = context.client()?;
    let roots = roots(&client).await?;
    let shown = roots.roots.first().map(|root| root.fingerprint.to_string()).unwrap_or_default();
    let mut kept = None;
    for url in client.addresses() {
        let Some(file) = cli::pin_file(url) else { continue };
        cli::refresh(&client, &file).await?;
        let (at, git) = (file.display(), cli::teach_git(url, &file));
        let words = text!("kept for {url} in {at}", "{url}의 CA를 {at}에 보관합니다");
        context.output.remark(words.get(context.lang));
        if git {
            let words = text!("git believes {url} by it", "git도 이 CA로 {url}을(를) 신뢰합니다");
            context.output.remark(words.get(context.lang));
        }
        kept = Some(file);
    }
    let file =
        kept.as_deref().map_or_else(|| "naru-ca.pem".into(), Path::to_string_lossy).into_owned();
    let url = client.link("");
    let mut words = String::new();
    for way in WAYS {
        words.push_str(&format!("\n{}\n", way.title(context.lang)));
        if !way.words(context.lang).is_empty() {
            words.push_str(&format!("  # {}\n", way.words(context.lang)));
        }
        for command in way.commands(&url, &file, &shown) {
            let command =
                command.replace("$PWD/", if file.starts_with('/') { "" } else { "$PWD/" });
            words.push_str(&format!("  {command}\n"));
        }
    }
    context.output.print(&words)
}

#[derive(Serialize, Deserialize)]
struct Signed {
    certificate: Issued,
    chain: String,
}

async fn issue(context: &Context, m: &ArgMatches) -> Result<()> {
    let names: Vec<&String> = m.get_many::<String>("names").into_iter().flatten().collect();
    let hosts = names.iter().map(|name| name.parse()).collect::<Result<Vec<Host>>>()?;
    let given = m.get_one::<PathBuf>("csr");
    let stem = hosts.first().map_or_else(
        || given.and_then(|f| f.file_stem()).unwrap_or_default().to_string_lossy().into_owned(),
        |host| host.to_string().replace(['*', ':'], "_"),
    );
    let place = |flag: &str, ending: &str| {
        m.get_one::<PathBuf>(flag).cloned().unwrap_or_else(|| format!("{stem}.{ending}").into())
    };
    let (cert_file, key_file) = (place("cert", "pem"), place("key", "key"));
    let (key, csr) = match given {
        Some(file) => (None, read(file)?),
        None => {
            let (key, csr) = authority::key_and_csr(&hosts)?;
            (Some(key), csr)
        }
    };
    let written = [Some(&cert_file), key.as_ref().map(|_| &key_file)];
    let there = written.into_iter().flatten().find(|file| file.exists());
    if let Some(file) = there.filter(|_| !m.get_flag("force")) {
        return Err(in_the_way(file));
    }
    let usage = if m.get_flag("client") { Usage::Client } else { Usage::Server };
    let days = m.get_one::<u64>("days");
    let wanted = json!({ "csr": csr, "names": names, "usage": usage, "days": days });
    let signed: Signed = context.client()?.post("/api/v1/ca/certificates", &wanted).await?;
    if let Some(key) = &key {
        authority::write_private(&key_file, key.as_bytes())?;
    }
    std::fs::write(&cert_file, &signed.chain)
        .map_err(|e| Error::internal(format!("{}: {e}", cert_file.display())))?;
    let files = json!({
        "certificate": signed.certificate,
        "cert": cert_file,
        "key": key.as_ref().map(|_| &key_file),
    });
    context.output.show(&files, |_, output| {
        let lang = output.lang;
        let mut table = Table::new(["", ""]);
        let mut row = |name: &str, value: String| table.row([name.to_owned(), value]);
        row(lang.pick("for", "대상"), signed.certificate.named());
        row(lang.pick("number", "번호"), signed.certificate.serial.as_str().to_owned());
        row(lang.pick("until", "만료"), record::day(signed.certificate.expires));
        row(lang.pick("certificate", "인증서"), cert_file.display().to_string());
        if key.is_some() {
            row(lang.pick("key", "키"), key_file.display().to_string());
        }
        table
    })
}

fn read(file: &Path) -> Result<String> {
    std::fs::read_to_string(file).map_err(|e| {
        let shown = file.display();
        Error::invalid(
            "ca.request-unreadable",
            text!("cannot read {shown}: {e}", "{shown} 파일을 읽을 수 없습니다: {e}"),
        )
    })
}

fn in_the_way(file: &Path) -> Error {
    let shown = file.display();
    Error::conflict(
        "file.exists",
        text!("{shown} is there already", "{shown} 파일이 이미 있습니다"),
    )
    .hint(Text::fixed(
        "name other files with --cert and --key, or write over them with --force",
        "--cert와 --key로 다른 파일을 고르거나 --force로 덮어쓰세요",
    ))
}

#[derive(Serialize, Deserialize)]
struct Listed {
    items: Vec<Issued>,
}

async fn list(context: &Context, m: &ArgMatches) -> Result<()> {
    let limit = m.get_one::<u64>("limit").copied().unwrap_or(50);
    let client = context.client()?;
    let listed: Listed = client.get(&format!("/api/v1/ca/certificates?limit={limit}")).await?;
    let now = clock();
    context.output.show(&listed, |listed, output| certificates(&listed.items, now, output.lang))
}

fn certificates(items: &[Issued], now: Time, lang: Lang) -> Table {
    let heads = [
        ("NUMBER", "번호"),
        ("FOR", "대상"),
        ("USE", "용도"),
        ("STATE", "상태"),
        ("UNTIL", "만료"),
        ("BY", "요청자"),
    ];
    let mut table = Table::new(heads.map(|(en, ko)| lang.pick(en, ko)));
    for issued in items {
        let state = match issued.standing(now) {
            Standing::Holds => lang.pick("holds", "유효"),
            Standing::Revoked => lang.pick("revoked", "폐기됨"),
            Standing::Expired => lang.pick("expired", "만료됨"),
        };
        let usage = match issued.usage {
            Usage::Server => lang.pick("server", "서버"),
            Usage::Client => lang.pick("client", "클라이언트"),
        };
        table.row([
            issued.serial.as_str().to_owned(),
            issued.named(),
            usage.to_owned(),
            state.to_owned(),
            record::day(issued.expires),
            issued.by.to_string(),
        ]);
    }
    table
}

/// This machine's, which only colours what is shown.
fn clock() -> Time {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    Time(now.ok().and_then(|d| i64::try_from(d.as_millis()).ok()).unwrap_or(0))
}

async fn revoke(context: &Context, m: &ArgMatches) -> Result<()> {
    let serial = m.get_one::<String>("serial").map_or("", String::as_str);
    let path = format!("/api/v1/ca/certificates/{}", segment(Serial::parse(serial)?.as_str()));
    let gone = context.client()?.delete(&path).await?;
    let issued: Issued = serde_json::from_value(gone.clone()).map_err(Error::internal)?;
    context.output.show(&gone, |_, output| certificates(&[issued], clock(), output.lang))
}

async fn rotate(context: &Context, m: &ArgMatches) -> Result<()> {
    let only: Vec<&String> = m.get_many::<String>("only").into_iter().flatten().collect();
    let wanted = json!({ "only": only, "overlap_days": m.get_one::<u64>("overlap-days") });
    let made: Value = context.client()?.post("/api/v1/ca/rotate", &wanted).await?;
    show(context, serde_json::from_value(made).map_err(Error::internal)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_is_sound_in_both_languages() {
        for lang in [Lang::En, Lang::Ko] {
            build(lang).debug_assert();
        }
        let bare = build(Lang::En).try_get_matches_from(["ca", "issue"]);
        assert!(bare.is_err(), "a certificate is for something");
    }
}

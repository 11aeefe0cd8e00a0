//! `naru audit`.

use crate::{PublicKey, Report, offline};
use clap::{Arg, ArgAction, ArgMatches, value_parser};
use cli::{Command, Context, Output, Table};
use kernel::{Error, Event, Lang, Result, Text, text};
use serde::Deserialize;
use serde_json::Value;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::PathBuf;

pub(crate) const COMMAND: Command =
    Command { name: "audit", build, run: |context, matches| Box::pin(run(context, matches)) };

fn build(lang: Lang) -> clap::Command {
    clap::Command::new("audit")
        .about(lang.pick(
            "Who did what, when, from where, and the proof that it stands unchanged",
            "누가 언제 어디서 무엇을 했는지, 그리고 바뀌지 않았다는 증명",
        ))
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommands([verify_command(lang), search_command(lang), export_command(lang)])
        .subcommand(clap::Command::new("key").about(lang.pick(
            "Print the public key, to be kept elsewhere",
            "공개 키를 출력합니다. 다른 곳에 보관하세요",
        )))
}

fn word(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).help(help)
}

fn verify_command(lang: Lang) -> clap::Command {
    let offline =
        lang.pick("Check an export instead of the server", "서버 대신 내보낸 파일을 검증합니다");
    let key = lang.pick(
        "A public key that may have signed (ed25519:…); may be repeated",
        "서명했을 수 있는 공개 키(ed25519:…). 여러 번 쓸 수 있습니다",
    );
    clap::Command::new("verify")
        .about(lang.pick(
            "Check the hash chain against the signed checkpoints",
            "해시 체인을 서명된 체크포인트와 맞춰 봅니다",
        ))
        .arg(word("offline", offline).value_name("FILE").value_parser(value_parser!(PathBuf)))
        .arg(word("key", key).action(ArgAction::Append).requires("offline"))
}

fn search_command(lang: Lang) -> clap::Command {
    let number = |name, help| word(name, help).value_parser(value_parser!(u64));
    let kinds = lang.pick(
        "Kinds (token.created) or beginnings (secret.), with commas",
        "종류(token.created) 또는 앞부분(secret.), 쉼표로 구분",
    );
    let who = lang.pick(
        "A principal: ann, service:bot, naru:git, anonymous",
        "주체: ann, service:bot, naru:git, anonymous",
    );
    let subject =
        lang.pick("Of this resource: Service/shop/web", "이 리소스의 것: Service/shop/web");
    let since = lang.pick("From then on: 2026-11-24, 24h", "이때부터: 2026-11-24, 24h");
    let before =
        lang.pick("Older than this sequence: the next page", "이 순번보다 오래된 것: 다음 쪽");
    clap::Command::new("search")
        .about(lang.pick("Find events, newest first", "이벤트를 최근 것부터 찾습니다"))
        .args([word("who", who), word("what", kinds)])
        .arg(word("in", lang.pick("Of this project", "이 프로젝트의 것")).value_name("PROJECT"))
        .arg(word("subject", subject))
        .arg(word("from", lang.pick("From this IP address", "이 IP 주소에서 온 것")))
        .arg(word("since", since))
        .arg(word("until", lang.pick("Before then", "이때 전까지")))
        .arg(
            word("outcome", lang.pick("all or refused", "all 또는 refused"))
                .value_parser(["all", "refused"]),
        )
        .arg(number("before", before))
        .arg(number("limit", lang.pick("How many", "몇 개")).default_value("50"))
}

fn export_command(lang: Lang) -> clap::Command {
    let file = lang.pick("The file; JSON, one record a line", "파일. 한 줄에 JSON 하나");
    let resume = lang.pick("Go on where the file ends", "파일이 끝난 데서 이어 씁니다");
    clap::Command::new("export")
        .about(lang.pick(
            "Write the log, its checkpoints and the public key to a file",
            "기록과 체크포인트, 공개 키를 파일로 씁니다",
        ))
        .arg(Arg::new("file").required(true).value_parser(value_parser!(PathBuf)).help(file))
        .arg(word("resume", resume).action(ArgAction::SetTrue))
}

async fn run(context: Context, matches: ArgMatches) -> Result<()> {
    match matches.subcommand() {
        Some(("verify", m)) => verify(&context, m).await,
        Some(("search", m)) => search(&context, m).await,
        Some(("export", m)) => export(&context, m).await,
        _ => {
            let key: Value = context.client()?.get("/api/v1/audit/key").await?;
            context.output.show(&key, |key, _| {
                let mut table = Table::new([""]);
                table.row([key.get("key").and_then(Value::as_str).unwrap_or("").to_owned()]);
                table
            })
        }
    }
}

async fn verify(context: &Context, m: &ArgMatches) -> Result<()> {
    let report: Report = match m.get_one::<PathBuf>("offline") {
        Some(path) => {
            let keys = m.get_many::<String>("key").into_iter().flatten().map(|k| k.parse());
            offline::verify(open(path)?, keys.collect::<Result<Vec<PublicKey>>>()?)?
        }
        None => context.client()?.get("/api/v1/audit/verify").await?,
    };
    context.output.show(&report, lines)?;
    if report.holds() {
        return Ok(());
    }
    Err(Error::conflict(
        "audit.broken",
        Text::fixed("the audit log does not hold", "감사 기록이 온전하지 않습니다"),
    )
    .hint(Text::fixed(
        "keep a copy of the data as it is, and compare it with an export or a backup",
        "데이터를 지금 그대로 복사해 두고 내보낸 기록이나 백업과 비교하세요",
    )))
}

fn lines(report: &Report, output: &Output) -> Table {
    let lang = output.lang;
    let mut table = Table::new([""]);
    let (base, last, checkpoints) = (report.chain.base, report.chain.last, report.checkpoints);
    let entries = last.saturating_sub(base);
    let first = base + 1;
    let words = match report.holds() {
        true => text!(
            "{entries} entries hold ({first} to {last})",
            "항목 {entries}개 온전함 ({first}~{last})"
        ),
        false => text!(
            "it does not hold: entries {first} to {last}",
            "온전하지 않음: 항목 {first}~{last}"
        ),
    };
    table.row([words.get(lang).to_owned()]);
    let signed = match (report.signed_through, report.signed_at) {
        (Some(seq), Some(time)) => {
            let unsigned = report.unsigned;
            text!(
                "{checkpoints} checkpoints; signed through entry {seq} at {time}, {unsigned} since",
                "체크포인트 {checkpoints}개. {time}에 {seq}번까지 서명, 그 뒤 {unsigned}개"
            )
        }
        _ => Text::fixed("nothing is signed", "서명된 것이 없음"),
    };
    table.row([signed.get(lang).to_owned()]);
    for key in &report.keys {
        table.row([format!("{} {key}", lang.pick("signed by", "서명한 키"))]);
    }
    for note in &report.notes {
        table.row([format!("! {}", note.get(lang))]);
    }
    for problem in &report.problems {
        table.row([format!("✗ {}", problem.get(lang))]);
    }
    table
}

#[derive(Deserialize, serde::Serialize)]
struct Found {
    items: Vec<Event>,
    next: Option<u64>,
}

async fn search(context: &Context, m: &ArgMatches) -> Result<()> {
    let mut query = format!("limit={}", m.get_one::<u64>("limit").copied().unwrap_or(50));
    for name in ["who", "what", "in", "subject", "from", "since", "until", "outcome"] {
        if let Some(value) = m.get_one::<String>(name) {
            let field = if name == "in" { "project" } else { name };
            query.push_str(&format!("&{field}={}", cli::segment(value)));
        }
    }
    if let Some(before) = m.get_one::<u64>("before") {
        query.push_str(&format!("&before={before}"));
    }
    let found: Found = context.client()?.get(&format!("/api/v1/audit/events?{query}")).await?;
    context.output.show(&found, |found, output| {
        let mut table = Table::new(["SEQ", "TIME", "KIND", "WHO", "FROM", "WHAT"]);
        for e in &found.items {
            let address = e.fact.origin.as_ref().and_then(|o| o.address.clone());
            table.row([
                e.seq.to_string(),
                e.time.to_string(),
                e.fact.kind.clone(),
                e.fact.actor.to_string(),
                address.unwrap_or_else(|| "-".into()),
                e.fact.say.get(output.lang).to_owned(),
            ]);
        }
        table
    })
}

async fn export(context: &Context, m: &ArgMatches) -> Result<()> {
    let path = m.get_one::<PathBuf>("file").cloned().unwrap_or_default();
    let failed = |e: std::io::Error| unwritable(&path, &e);
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    let (mut file, after) = if m.get_flag("resume") && path.exists() {
        let file = options.open(&path).map_err(failed)?;
        let (whole, last) = offline::resume(&file)?;
        file.set_len(whole).map_err(failed)?;
        (OpenOptions::new().append(true).open(&path).map_err(failed)?, last)
    } else {
        (options.create_new(true).open(&path).map_err(failed)?, 0)
    };
    let mut pieces =
        context.client()?.download(&format!("/api/v1/audit/export?after={after}")).await?;
    while let Some(bytes) = pieces.next().await? {
        file.write_all(&bytes).map_err(failed)?;
    }
    file.sync_all().map_err(failed)?;
    let shown = path.display().to_string();
    context.output.show(&serde_json::json!({ "file": shown }), |_, output| {
        let mut table = Table::new([""]);
        let say = text!(
            "written to {shown}; check it with `naru audit verify --offline {shown} --key …`",
            "{shown}에 썼습니다. `naru audit verify --offline {shown} --key …`로 검증하세요"
        );
        table.row([say.get(output.lang).to_owned()]);
        table
    })
}

fn open(path: &PathBuf) -> Result<File> {
    File::open(path).map_err(|e| {
        let shown = path.display();
        Error::invalid(
            "audit.export-unreadable",
            text!("cannot read {shown}: {e}", "{shown}을(를) 읽을 수 없습니다: {e}"),
        )
    })
}

fn unwritable(path: &std::path::Path, e: &std::io::Error) -> Error {
    let shown = path.display();
    Error::invalid(
        "audit.export-unwritable",
        text!("cannot write {shown}: {e}", "{shown}에 쓸 수 없습니다: {e}"),
    )
    .hint(Text::fixed(
        "name a file that does not exist yet, or go on with one by --resume",
        "아직 없는 파일을 고르거나, 있던 파일은 --resume으로 이어 쓰세요",
    ))
}

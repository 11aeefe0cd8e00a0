//! `naru change …` and `naru metrics`.

#![allow(clippy::indexing_slicing, reason = "a JSON value answers null for what it lacks")]

use clap::{Arg, ArgMatches, value_parser};
use cli::{Command, Context, Table};
use kernel::time::show_duration;
use kernel::{Error, Lang, Name, Result, Text, Time};
use serde_json::Value;
use std::time::Duration;

pub const CHANGE: Command = Command {
    name: "change",
    build: |lang| {
        clap::Command::new("change")
            .about(lang.pick(
                "Changes on their way from push to production",
                "푸시에서 운영까지 가는 변경",
            ))
            .subcommand_required(true)
            .arg(project(lang).global(true))
            .subcommand(
                clap::Command::new("list")
                    .about(lang.pick("List changes, newest first", "변경을 새것부터 나열합니다"))
                    .arg(
                        Arg::new("limit")
                            .long("limit")
                            .value_parser(value_parser!(u32))
                            .default_value("20")
                            .help(lang.pick("How many", "몇 개")),
                    ),
            )
            .subcommand(
                clap::Command::new("show")
                    .about(lang.pick(
                        "Show a change and where its time went",
                        "변경과 시간이 어디에 쓰였는지 보여 줍니다",
                    ))
                    .arg(
                        Arg::new("change").required(true).help(
                            lang.pick("Its name: web-1a2b3c4d5e6f", "이름: web-1a2b3c4d5e6f"),
                        ),
                    ),
            )
    },
    run: |context, matches| Box::pin(change(context, matches)),
};

pub const METRICS: Command = Command {
    name: "metrics",
    build: |lang| {
        clap::Command::new("metrics")
            .about(lang.pick("The key metrics (DORA) of each service", "서비스별 핵심 지표(DORA)"))
            .arg(project(lang))
            .arg(
                Arg::new("days")
                    .long("days")
                    .value_parser(value_parser!(u32))
                    .default_value("30")
                    .help(lang.pick("Over how many days", "며칠 동안")),
            )
    },
    run: |context, matches| Box::pin(metrics(context, matches)),
};

fn project(lang: Lang) -> Arg {
    Arg::new("project")
        .short('p')
        .long("project")
        .env("NARU_PROJECT")
        .help(lang.pick("The project", "프로젝트"))
}

fn base(matches: &ArgMatches) -> Result<String> {
    let words = matches.get_one::<String>("project").ok_or_else(|| {
        Error::invalid(
            "project.missing",
            Text::fixed(
                "changes belong to a project and none is named",
                "변경은 프로젝트에 속하는데 프로젝트가 없습니다",
            ),
        )
        .hint(Text::fixed(
            "use `-p PROJECT` or set NARU_PROJECT",
            "`-p PROJECT`나 NARU_PROJECT를 쓰세요",
        ))
    })?;
    Ok(format!("/api/v1/projects/{}", Name::parse(words)?))
}

async fn change(context: Context, matches: ArgMatches) -> Result<()> {
    let client = context.client()?;
    match matches.subcommand() {
        Some(("show", sub)) => {
            let name = sub.get_one::<String>("change").map_or("", String::as_str);
            let found: Value =
                client.get(&format!("{}/changes/{}", base(sub)?, cli::segment(name))).await?;
            context.output.show(&found, |found, output| traced(found, output.lang))
        }
        Some((_, sub)) => {
            let limit = sub.get_one::<u32>("limit").copied().unwrap_or(20);
            let page: Value = client.get(&format!("{}/changes?limit={limit}", base(sub)?)).await?;
            context.output.show(&page["items"], |items, output| listed(items, output.lang))
        }
        None => Ok(()),
    }
}

fn word(value: &Value) -> &str {
    value.as_str().unwrap_or("-")
}

fn ms(value: &Value) -> String {
    value.as_u64().map_or("-".into(), |ms| show_duration(Duration::from_millis(ms)))
}

fn listed(items: &Value, lang: Lang) -> Table {
    let head = ["CHANGE", "SUBJECT", "BRANCH", "PLACE", "OUTCOME", "TOOK"];
    let mut table = Table::new(head).nothing(lang.pick(
        "no changes yet: `git push` makes the first",
        "아직 변경이 없습니다. `git push`가 첫 변경을 만듭니다",
    ));
    for c in items.as_array().into_iter().flatten() {
        let subject: String = word(&c["subject"]).chars().take(50).collect();
        let outcome = if c["undone"].is_null() { word(&c["outcome"]) } else { "rolled back" };
        table.row([
            word(&c["name"]),
            &subject,
            word(&c["branch"]),
            word(&c["place"]),
            outcome,
            &ms(&c["total_ms"]),
        ]);
    }
    table
}

/// Cells of the waterfall in a terminal.
const WIDE: i64 = 40;

/// A change's trace, as `naru change show` draws it, from the API's answer.
pub fn traced(found: &Value, lang: Lang) -> Table {
    let (change, trace) = (&found["change"], &found["trace"]);
    let head =
        [("STAGE", "단계"), ("WAITED", "대기"), ("WORKED", "작업"), ("STATE", "상태"), ("", "")];
    let mut table = Table::new(head.map(|(en, ko)| lang.pick(en, ko)));
    let outcome = word(&change["outcome"]).to_owned();
    let subject = word(&change["commit"]["subject"]).to_owned();
    table.row([
        word(&change["name"]).to_owned(),
        ms(&trace["waiting_ms"]),
        ms(&trace["working_ms"]),
        outcome,
        subject,
    ]);
    let time = |v: &Value| v.as_str().and_then(Time::parse);
    let from = time(&change["received"]).unwrap_or_default();
    let total = trace["total_ms"].as_i64().unwrap_or(1).max(1);
    for stage in trace["stages"].as_array().into_iter().flatten() {
        let (Some(start), Some(began)) = (time(&stage["start"]), time(&stage["began"])) else {
            continue;
        };
        let end = time(&stage["end"]).unwrap_or(Time(from.0 + total));
        let indent = if stage["inner"].as_bool() == Some(true) { "    " } else { "  " };
        let (kind, text) = (word(&stage["kind"]), word(&stage["text"][lang.tag()]));
        let name =
            if kind == text { format!("{indent}{kind}") } else { format!("{indent}{kind} {text}") };
        let spent = [show_duration(began.since(start)), show_duration(end.since(began))];
        let [waited, worked] = spent;
        table.row([
            name,
            waited,
            worked,
            word(&stage["state"]).to_owned(),
            bar(from, total, start, began, end),
        ]);
    }
    let mut remark = |name: &str, words: &Value| {
        if let Some(words) = words.as_str() {
            table.remark(format!("{name}: {words}"));
        }
    };
    remark(lang.pick("why", "까닭"), &change["reason"][lang.tag()]);
    remark(lang.pick("serves at", "주소"), &change["url"]);
    for one in change["performance"].as_array().into_iter().flatten() {
        remark(lang.pick("performance", "성능"), &one["say"][lang.tag()]);
    }
    table
}

/// Waiting light, work dark, at its place in the whole.
fn bar(from: Time, total: i64, start: Time, began: Time, end: Time) -> String {
    let cell = |t: Time| ((t.0 - from.0) * WIDE / total).clamp(0, WIDE) as usize;
    let (a, b, c) = (cell(start), cell(began), cell(end));
    format!(
        "{}{}{}",
        " ".repeat(a),
        "░".repeat(b.saturating_sub(a)),
        "█".repeat(c.saturating_sub(b).max(1))
    )
}

async fn metrics(context: Context, matches: ArgMatches) -> Result<()> {
    let days = matches.get_one::<u32>("days").copied().unwrap_or(30);
    let page: Value =
        context.client()?.get(&format!("{}/metrics?days={days}", base(&matches)?)).await?;
    context.output.show(&page["items"], |items, output| tabled(items, output.lang))
}

/// The key metrics, as `naru metrics` draws them, from the API's answer.
pub fn tabled(items: &Value, lang: Lang) -> Table {
    let mut table =
        Table::new([lang.pick("METRIC", "지표"), lang.pick("MEDIAN", "중앙값"), "P90", "N"])
            .nothing(lang.pick("no deployments yet", "아직 배포가 없습니다"));
    for m in items.as_array().into_iter().flatten() {
        measured(&mut table, m, lang);
    }
    table
}

fn measured(table: &mut Table, m: &Value, lang: Lang) {
    let few = if m["too_few"].as_bool() == Some(true) {
        lang.pick("n too small: fewer than 5 deployments", "표본 부족: 배포 5회 미만")
    } else {
        ""
    };
    table.row([format!("{}/{}", word(&m["project"]), word(&m["service"])), few.to_owned()]);
    let mut spread = |name: &str, s: &Value| {
        let count = s["count"].to_string();
        table.row([format!("  {name}"), ms(&s["median_ms"]), ms(&s["p90_ms"]), count]);
    };
    spread(
        lang.pick("change lead time (commit → live)", "변경 리드 타임(커밋 → 운영)"),
        &m["lead_time"],
    );
    spread(
        lang.pick("change lead time (push → live)", "변경 리드 타임(푸시 → 운영)"),
        &m["lead_time_from_push"],
    );
    spread(
        lang.pick("failed deployment recovery time", "실패한 배포 복구 시간"),
        &m["recovery_time"],
    );
    let number = |v: &Value| v.as_f64().unwrap_or(0.0);
    let percent = |v: &Value| format!("{:.0} %", number(v) * 100.0);
    let per_day = format!("{:.2} / {}", number(&m["deployments_per_day"]), lang.pick("day", "일"));
    table.row([
        format!("  {}", lang.pick("deployment frequency", "배포 빈도")),
        per_day,
        String::new(),
        m["deployments"].to_string(),
    ]);
    table.row([
        format!("  {}", lang.pick("change fail rate", "변경 실패율")),
        percent(&m["change_fail_rate"]),
        String::new(),
        m["failed"].to_string(),
    ]);
    table.row([
        format!("  {}", lang.pick("deployment rework rate", "배포 재작업률")),
        percent(&m["rework_rate"]),
        String::new(),
        m["rework"].to_string(),
    ]);
}

//! `naru load compare BASE HEAD`.

use super::run::{self, Lines};
use super::{draw, exit, is_address, variables};
use clap::ArgMatches;
use cli::{Context, Format};
use kernel::{Error, Result, text, time::parse_duration};
use load::interleave::{self, Looks};
use load::judge::{Judgement, Rules, Verdict, two_runs};
use load::report::{Report, measured};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

pub async fn compare(context: &Context, matches: &ArgMatches) -> Result<()> {
    let arg = |name: &str| matches.get_one::<String>(name).map(String::as_str).unwrap_or_default();
    let (base, head) = (arg("base"), arg("head"));
    let rules = rules(matches);
    let judged = match (is_address(base), is_address(head)) {
        (true, true) => servers(context, matches, base, head, rules).await?,
        (false, false) => files(&read(Path::new(base))?, &read(Path::new(head))?, rules),
        _ => {
            return Err(Error::invalid(
                "load.compare",
                text!(
                    "either two result files or two addresses",
                    "결과 파일 둘이거나 주소 둘이어야 합니다"
                ),
            ));
        }
    };
    if judged.is_empty() {
        return Err(Error::invalid(
            "load.compare",
            text!("the two have no scenario in common", "두 결과에 같은 시나리오가 없습니다"),
        ));
    }
    show(context, &judged)?;
    finish(&judged, matches.get_flag("strict"));
    Ok(())
}

pub fn rules(matches: &ArgMatches) -> Rules {
    let usual = Rules::default();
    let effect = matches.get_one::<f64>("effect").copied().filter(|e| e.is_finite() && *e > 0.0);
    Rules { effect: effect.unwrap_or(usual.effect), ..usual }
}

pub fn show(context: &Context, judged: &[Judgement]) -> Result<()> {
    match context.output.format {
        Format::Table => {
            let words: String = judged.iter().map(|j| draw::judgement(j, context.lang)).collect();
            context.output.print(&words)
        }
        _ => context.output.line(&judged, |_| String::new()),
    }
}

/// Exit code 1 for `worse`, and for `cannot tell` where that is not good enough.
pub fn finish(judged: &[Judgement], strict: bool) {
    let bad = |v: Verdict| v == Verdict::Worse || strict && v == Verdict::CannotTell;
    if judged.iter().any(|j| bad(j.verdict)) {
        exit(1);
    }
}

pub fn read(file: &Path) -> Result<Report> {
    let words = run::read(file)?;
    let (found, report) = measured(words.as_bytes());
    report.ok_or_else(|| {
        let shown = file.display();
        let say = if found.is_empty() {
            text!(
                "{shown} is no result of a performance test",
                "{shown}은(는) 성능 테스트 결과가 아닙니다"
            )
        } else {
            text!(
                "{shown} has no blocks: only results of `naru load run` can be compared",
                "{shown}에는 구간별 값이 없습니다. `naru load run`의 결과만 비교할 수 있습니다"
            )
        };
        Error::invalid("load.result", say)
    })
}

fn files(base: &Report, head: &Report, rules: Rules) -> Vec<Judgement> {
    let of = |name: &str| base.scenarios.iter().find(|s| s.name == name);
    head.scenarios.iter().filter_map(|h| Some(two_runs(of(&h.name)?, h, rules))).collect()
}

async fn servers(
    context: &Context,
    matches: &ArgMatches,
    base: &str,
    head: &str,
    rules: Rules,
) -> Result<Vec<Judgement>> {
    let plan = |url: &str| {
        let mut known = variables(matches)?;
        known.insert("BASE_URL".to_owned(), url.trim_end_matches('/').to_owned());
        let file = matches.get_one::<PathBuf>("test").map(|f| f.display().to_string());
        run::plan(file.as_deref().unwrap_or(url), matches, &known)
    };
    let block = match matches.get_one::<String>("block") {
        None => Duration::from_secs(2),
        Some(words) => parse_duration(words).filter(|d| !d.is_zero()).ok_or_else(|| {
            Error::invalid(
                "load.block",
                text!("“{words}” is not a length of time", "“{words}”은(는) 시간 길이가 아닙니다"),
            )
        })?,
    };
    let mut lines = Lines::new(context, false);
    let looks = Looks { block, workers: matches.get_one::<usize>("workers").copied(), rules };
    let l = context.lang;
    let judged = interleave::interleave(
        &Arc::new(plan(base)?),
        &Arc::new(plan(head)?),
        &looks,
        |done, most| {
            lines.words(&format!("{done} / {most} {}", l.pick("pairs of turns", "번갈아 잰 쌍")));
        },
    )
    .await?;
    lines.clear();
    Ok(judged)
}

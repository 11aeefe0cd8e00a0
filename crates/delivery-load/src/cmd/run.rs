//! `naru load run`.

use super::{THRESHOLDS, draw, exit, is_address, variables};
use clap::ArgMatches;
use cli::{Context, Format};
use kernel::{Error, ErrorKind, Result, text};
use load::plan::{Plan, Trust, With, compile};
use load::report::{Report, Wanted, report, summary};
use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

const CALIBRATION: Duration = Duration::from_millis(800);

pub async fn run(context: &Context, matches: &ArgMatches) -> Result<()> {
    let target = matches.get_one::<String>("target").map(String::as_str).unwrap_or_default();
    let plan = Arc::new(plan(target, matches, &variables(matches)?)?);
    let workers = matches.get_one::<usize>("workers").copied();
    let stop = tokio_util::sync::CancellationToken::new();
    let on_signal = stop.clone();
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            on_signal.cancel();
        }
    });
    let calibration = if matches.get_flag("no-calibrate") {
        None
    } else {
        let rate = if plan.peak() > 0.0 { plan.peak() } else { 1000.0 };
        Some(load::calibrate(rate, workers, CALIBRATION).await?)
    };
    let mut lines = Lines::new(context, matches.get_flag("quiet"));
    let options = load::Options { workers, stop };
    let outcome = load::run(&plan, &options, |live| lines.show(live)).await?;
    lines.clear();
    let mut report = report(&plan, &outcome, calibration)?;
    report.wanted = matches
        .get_one::<String>("base")
        .map(|base| Wanted { base: base.clone(), effect: load::judge::Rules::default().effect });
    let whole = summary(&plan, &outcome, &report)?;
    if let Some(file) = matches.get_one::<PathBuf>("summary-export") {
        let words = serde_json::to_vec_pretty(&whole).map_err(Error::internal)?;
        write(file, &words)?;
    }
    match context.output.format {
        Format::Table => context.output.print(&draw::summary(&report, context.lang))?,
        _ => context.output.line(&whole, |_| String::new())?,
    }
    verdict(context, &report);
    Ok(())
}

/// Ends the process where the run was not what was asked for.
fn verdict(context: &Context, report: &Report) {
    let l = context.lang;
    if report.thresholds.iter().any(|t| !t.ok) {
        context.output.remark(l.pick("thresholds were crossed", "임계값을 넘었습니다"));
        exit(THRESHOLDS);
    }
    if report.stopped {
        context.output.remark(l.pick("stopped before its end", "끝나기 전에 멈췄습니다"));
        exit(130);
    }
}

pub fn write(file: &Path, bytes: &[u8]) -> Result<()> {
    std::fs::write(file, bytes).map_err(|e| {
        let shown = file.display();
        Error::new(
            ErrorKind::Unavailable,
            "file.unwritable",
            text!("{shown} cannot be written: {e}", "{shown}을(를) 쓸 수 없습니다: {e}"),
        )
    })
}

pub fn read(file: &Path) -> Result<String> {
    std::fs::read_to_string(file).map_err(|e| {
        let shown = file.display();
        Error::not_found(
            "file.unreadable",
            text!("{shown} cannot be read: {e}", "{shown}을(를) 읽을 수 없습니다: {e}"),
        )
    })
}

/// The plan of a file or of one address.
pub fn plan(
    target: &str,
    matches: &ArgMatches,
    variables: &BTreeMap<String, String>,
) -> Result<Plan> {
    let (name, words, dir) = if is_address(target) {
        ("--".to_owned(), address(target, matches), PathBuf::new())
    } else {
        let file = Path::new(target);
        let dir = file.parent().map(Path::to_owned).unwrap_or_default();
        (target.to_owned(), read(file)?, dir)
    };
    let beside = |name: &str| std::fs::read_to_string(dir.join(name));
    let source = load::read(&name, &words)?;
    let plan = compile(&source, &With { variables: variables.clone(), file: &beside })?;
    Ok(match trust(matches)? {
        Some(trust) => plan.trusting(trust),
        None => plan,
    })
}

/// Whom the command says to trust; `None` leaves that to the file.
fn trust(matches: &ArgMatches) -> Result<Option<Trust>> {
    if matches.get_flag("insecure") {
        return Ok(Some(Trust::Anyone));
    }
    let Some(file) = matches.get_one::<PathBuf>("cacert") else { return Ok(None) };
    let trust = Trust::only(read(file)?.as_bytes());
    trust.map(Some).map_err(|e| e.at(file.display().to_string(), 1, 1))
}

/// A test of one address, as its file would be.
fn address(url: &str, matches: &ArgMatches) -> String {
    let rate = matches.get_one::<f64>("rate").copied().unwrap_or(50.0);
    let vus = matches.get_one::<u32>("vus").copied();
    let duration = matches.get_one::<String>("duration").map_or("10s", String::as_str);
    let version = if matches.get_flag("http2") { "2" } else { "auto" };
    let mut scenario = serde_json::json!({
        "executor": "constant-arrival-rate", "rate": rate, "duration": duration,
        "steps": [{ "request": { "url": url, "name": url } }],
    });
    if let (Some(vus), Some(scenario)) = (vus, scenario.as_object_mut()) {
        scenario.insert("preAllocatedVUs".to_owned(), vus.into());
        scenario.insert("maxVUs".to_owned(), vus.into());
    }
    serde_json::json!({ "httpVersion": version, "scenarios": { "default": scenario } }).to_string()
}

/// The line of each second: drawn over on a terminal, one below the other in a log.
pub struct Lines<'a> {
    context: &'a Context,
    quiet: bool,
    terminal: bool,
}

impl<'a> Lines<'a> {
    pub fn new(context: &'a Context, quiet: bool) -> Lines<'a> {
        Lines { context, quiet, terminal: std::io::stderr().is_terminal() }
    }

    pub fn show(&mut self, live: &load::Live) {
        if self.quiet {
            return;
        }
        self.words(&draw::live(live, self.context.lang));
    }

    pub fn words(&mut self, words: &str) {
        let mut err = std::io::stderr().lock();
        let _ =
            if self.terminal { write!(err, "\r\x1b[2K{words}") } else { writeln!(err, "{words}") };
        let _ = err.flush();
    }

    pub fn clear(&mut self) {
        if self.terminal && !self.quiet {
            let _ = write!(std::io::stderr(), "\r\x1b[2K");
        }
    }
}

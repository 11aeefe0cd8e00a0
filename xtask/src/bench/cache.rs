//! A cache of 1 GiB, saved by one job and given to the next ones: 20,000 small files and four large ones.

use super::{naru, spread};
use anyhow::{Context, Result, ensure};
use std::path::Path;
use std::time::Instant;
use testkit::Naru;

const ROUNDS: usize = 10;
/// Unpacked from the blob store, as after the copy that lay ready was pruned.
const COLD_ROUNDS: usize = 3;

/// 20,000 files of 26 to 33 KB in 200 directories, and four of 120 MB: 1 GiB in all. No block is like another, so that
/// nothing is gained by storing equal files once.
const FILL: &str = r#"import os, random
random.seed(int(os.environ["CI_PIPELINE_IID"]))
for i in range(20000):
    at = f"deps/{i % 200:03}"
    os.makedirs(at, exist_ok=True)
    open(f"{at}/{i}.o", "wb").write(random.randbytes(26000 + i % 7000))
for i in range(4):
    with open(f"deps/large-{i}", "wb") as file:
        for _ in range(119):
            file.write(random.randbytes(1 << 20))
"#;

const PIPELINE: &str = r#"default:
  cache: {key: deps, paths: [deps]}
fill:
  rules: [{if: '$WHAT == "fill"'}]
  script:
    - python3 fill.py
    - echo "bytes $(cat deps/*/* deps/large-* | wc -c)"
    - echo "sum $(find deps -type f | sort | xargs cat | sha256sum)"
use:
  rules: [{if: '$WHAT == "use"'}]
  cache: {key: deps, paths: [deps], policy: pull}
  script: ['test -e deps/large-3 && echo begun']
check:
  rules: [{if: '$WHAT == "check"'}]
  cache: {key: deps, paths: [deps], policy: pull}
  script: ['echo "sum $(find deps -type f | sort | xargs cat | sha256sum)"']
"#;

pub fn bench() -> Result<()> {
    let naru = Naru::start(&naru()?)?;
    naru.say(&["project", "create", "shop"])?;
    let files = [(".gitlab-ci.yml", PIPELINE), ("fill.py", FILL)];
    naru.repository("shop", "jobs", &files)?.push(&["naru", "main"])?;
    let began = Instant::now();
    let filled = job(&naru, "fill")?;
    let bytes = filled.said("bytes ").context("no size")?;
    println!("{bytes} bytes made and saved in {:.1} s", began.elapsed().as_secs_f64());
    let uses = |rounds, cold| -> Result<()> {
        let (mut restored, mut whole) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            if cold {
                forget(naru.data())?;
            }
            let used = job(&naru, "use")?;
            restored.push(used.restored()?);
            whole.push(used.until("begun")?);
        }
        let ((min, p50, p99), (_, begun, _)) = (spread(restored), spread(whole));
        let how = if cold { "unpacked from the blob store" } else { "lying ready" };
        println!(
            "{how}: restored in min {min:.0}, p50 {p50:.0}, p99 {p99:.0} ms; first line {begun:.0} ms after the job was started"
        );
        Ok(())
    };
    uses(ROUNDS, false)?;
    uses(COLD_ROUNDS, true)?;
    let (made, found) = (filled.said("sum "), job(&naru, "check")?.said("sum "));
    ensure!(made == found && made.is_some(), "restored {found:?} for {made:?}");
    println!("every byte is the same");
    Ok(())
}

/// What a job wrote, with the times of the lines.
struct Log {
    lines: Vec<(i64, String)>,
    started: i64,
}

impl Log {
    fn said(&self, word: &str) -> Option<String> {
        self.lines.iter().find_map(|(_, line)| line.strip_prefix(word).map(str::to_owned))
    }

    /// Milliseconds, as the job's log has them.
    fn restored(&self) -> Result<f64> {
        let line = self.lines.iter().find(|(_, line)| line.starts_with("restored cache"));
        let words = &line.context("no cache was restored")?.1;
        let ms = words.split(" ms").next().and_then(|w| w.rsplit(' ').next()).context("no time")?;
        Ok(ms.parse()?)
    }

    /// Milliseconds from the job's start to a line.
    fn until(&self, line: &str) -> Result<f64> {
        let at = self.lines.iter().find(|(_, words)| words == line).context("no such line")?.0;
        Ok((at - self.started) as f64)
    }
}

/// Runs the one job of this name to its end.
fn job(naru: &Naru, name: &str) -> Result<Log> {
    let what = format!("WHAT={name}");
    let made = naru.json(&["pipeline", "run", "jobs", "-p", "shop", "--var", &what])?;
    let run = made["run"].as_str().context("no run")?;
    // Follows the log to its end.
    naru.say(&["run", "log", run, name, "-p", "shop"])?;
    let log = std::fs::read_to_string(naru.data().join(format!("runs/{run}/0.1.log")))?;
    let lines = log.lines().filter_map(|line| {
        let mut fields = line.splitn(3, ' ');
        Some((fields.next()?.parse().ok()?, fields.nth(1)?.to_owned()))
    });
    let shown = naru.json(&["run", "show", run, "-p", "shop"])?;
    ensure!(shown["steps"][0]["state"] == "passed", "{name}: {log}");
    let started = shown["steps"][0]["started"].as_str().context("never started")?;
    Ok(Log { lines: lines.collect(), started: millis(started)? })
}

/// Of the Unix epoch, from an RFC 3339 time.
fn millis(time: &str) -> Result<i64> {
    let out = crate::run::output("date", &["--date", time, "+%s%3N"])?;
    Ok(out.trim().parse()?)
}

/// Takes away what lies unpacked for the next job.
fn forget(data: &Path) -> Result<()> {
    let layers = data.join("work/layers");
    for entry in std::fs::read_dir(layers)?.flatten() {
        if entry.path().is_dir() {
            std::fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}

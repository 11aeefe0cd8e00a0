//! What came of a run, for people and for programs.

use super::junit;
use super::screen::{Mark, Screen, clean};
use super::world::World;
use crate::script;
use crate::work::{Output, Work};
use cli::Table;
use futures_util::StreamExt;
use kernel::log::Stream;
use kernel::time::show_duration;
use kernel::{Error, Lang, Result, Text, Time, text};
use run::{Run, RunState, StepState, StepView};
use serde::Serialize;
use std::collections::VecDeque;
use std::path::{Path, PathBuf};

/// Last lines that are shown of a job that failed.
const LAST: usize = 12;
/// Failed tests that are shown of one job.
const TESTS: usize = 20;
/// Bytes of one report that is looked into.
const MAX_REPORT: u64 = 32 << 20;
/// Artifacts of one job that are laid out without being asked for, in bytes.
const LAID_OUT: u64 = 64 << 20;

/// The answer for programs: `naru run -o json`.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    pub run: String,
    pub state: RunState,
    pub commit: String,
    /// Paths that are not as in the last commit.
    pub dirty: Vec<String>,
    pub jobs: Vec<Job>,
    /// Manual jobs that were left.
    pub manual: Vec<String>,
    /// Milliseconds from the command to the first line of a job.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_line_ms: Option<u64>,
    pub took_ms: u64,
}

#[derive(Clone, Debug, Serialize)]
pub struct Job {
    pub name: String,
    pub stage: String,
    pub state: StepState,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub took_ms: Option<u64>,
    /// Not run again: this is what an earlier run came to.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub copied: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// The command that failed, as the log shows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub last_lines: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub failed_tests: Vec<String>,
    /// Where its artifacts and reports lie.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub artifacts: Option<PathBuf>,
    /// How many files of artifacts it left.
    pub files: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub coverage: Option<f64>,
    /// What a server would have done now.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub would: Vec<Text>,
}

/// Reads what the run has left; artifacts go below `out`, or where they can be found until the next run.
///
/// # Errors
/// `local.artifacts` when they cannot be written to `out`.
pub async fn gather(world: &World, run: &Run, out: Option<&Path>) -> Result<Vec<Job>> {
    let usual = world.place.dir.join("artifacts");
    if out.is_none() {
        let gone = usual.clone();
        let _ = tokio::task::spawn_blocking(move || std::fs::remove_dir_all(gone)).await;
    }
    let mut jobs = Vec::new();
    for step in &run.steps {
        let output: Output = serde_json::from_value(step.output.clone()).unwrap_or_default();
        let failed = matches!(step.state, StepState::Failed | StepState::AllowedFailure);
        let words = if failed { last_words(world, run, step).await } else { Words::default() };
        let dir = out.unwrap_or(&usual).join(directory(&step.name));
        let (artifacts, files) = lay_out(world, &output, &dir, out.is_some()).await?;
        jobs.push(Job {
            name: step.name.clone(),
            stage: step.stage.clone(),
            state: step.state,
            started: step.started,
            took_ms: took(step),
            copied: step.copied,
            reason: step.reason.clone(),
            exit_code: step.exit_code,
            command: words.command,
            last_lines: words.lines,
            failed_tests: failed_tests(world, &output).await,
            artifacts,
            files,
            coverage: output.coverage,
            would: if step.state == StepState::Passed { would(&output) } else { Vec::new() },
        });
    }
    Ok(jobs)
}

fn took(step: &StepView) -> Option<u64> {
    let took = step.finished?.since(step.started?);
    u64::try_from(took.as_millis()).ok()
}

#[derive(Default)]
struct Words {
    command: Option<String>,
    lines: Vec<String>,
}

/// The command that was under way at the end, and what it printed last. What the after script did is not
/// what failed.
async fn last_words(world: &World, run: &Run, step: &StepView) -> Words {
    let mut words = Words::default();
    let work = run.plan.steps.get(step.index).map(|s| s.action.with.clone()).unwrap_or_default();
    let after = serde_json::from_value::<Work>(work).map(|w| w.after_script).unwrap_or_default();
    let after = after.first().map(|command| script::heading(command));
    let mut lines: VecDeque<String> = VecDeque::new();
    let log = world.engine.follow_log(&run.id, &step.name, Some(step.attempt.max(1)));
    let mut log = std::pin::pin!(log);
    while let Some(Ok(line)) = log.next().await {
        let Some(shown) = clean(&line.text, false) else { continue };
        if line.stream == Stream::Out && after.as_ref() == Some(&shown) {
            break;
        }
        match shown.strip_prefix("$ ") {
            Some(command) if line.stream == Stream::Out => {
                words.command = Some(command.to_owned());
                lines.clear();
            }
            _ if line.stream == Stream::Note || shown.trim().is_empty() => {}
            _ => lines.push_back(shown),
        }
        if lines.len() > LAST {
            lines.pop_front();
        }
    }
    words.lines = lines.into();
    words
}

/// Writes artifacts and reports below `dir`: always when they were asked for, else when they are small.
async fn lay_out(
    world: &World,
    output: &Output,
    dir: &Path,
    asked: bool,
) -> Result<(Option<PathBuf>, usize)> {
    let mut there = None;
    let mut files = 0;
    if let Some(tree) = &output.artifacts
        && let Ok(found) = world.blobs.tree(tree).await
    {
        files = found.entries.len();
        if asked || found.bytes() <= LAID_OUT {
            world.blobs.materialise(tree, dir).await.map_err(|e| unwritten(dir, &e))?;
            there = Some(dir.to_owned());
        }
    }
    for report in &output.reports {
        let Some(below) = below(&report.path).filter(|_| asked || report.size <= LAID_OUT) else {
            continue;
        };
        let at = dir.join(below);
        // Often a report is an artifact as well.
        if !at.exists()
            && let Ok(bytes) = world.blobs.get(&report.blob, report.size).await
        {
            let work = || {
                at.parent().map_or(Ok(()), std::fs::create_dir_all)?;
                std::fs::write(&at, bytes)
            };
            work().map_err(|e| unwritten(dir, &Error::internal(e)))?;
        }
        there = Some(dir.to_owned());
    }
    Ok((there, files))
}

fn unwritten(dir: &Path, error: &Error) -> Error {
    let shown = dir.display();
    let why = error.sentence();
    let say =
        text!("the artifacts cannot be written to {shown}", "아티팩트를 {shown}에 쓸 수 없습니다");
    Error::invalid("local.artifacts", say).why(why.en)
}

/// A relative path that stays where it is put.
fn below(path: &str) -> Option<PathBuf> {
    let path = Path::new(path);
    let plain = |c: std::path::Component<'_>| matches!(c, std::path::Component::Normal(_));
    (path.components().next().is_some() && path.components().all(plain)).then(|| path.to_owned())
}

/// A job's name as the name of a directory.
fn directory(name: &str) -> String {
    let plain = |c: char| if c.is_control() || "/\\:[]*?\"<>|".contains(c) { '-' } else { c };
    let name: String = name.chars().map(plain).take(80).collect();
    let name = name.trim_matches(['.', '-', ' ']).to_owned();
    if name.is_empty() { "job".to_owned() } else { name }
}

async fn failed_tests(world: &World, output: &Output) -> Vec<String> {
    let mut found = Vec::new();
    for report in output.reports.iter().filter(|r| r.format == "junit") {
        if let Ok(bytes) = world.blobs.get(&report.blob, MAX_REPORT).await {
            found.extend(junit::failed(&bytes));
        }
    }
    found
}

/// What a server does with a job that passed, and a laptop does not.
fn would(output: &Output) -> Vec<Text> {
    let mut all = Vec::new();
    if let Some(environment) = &output.environment {
        let name = &environment.name;
        let url = environment.url.as_ref().map(|u| format!(" ({u})")).unwrap_or_default();
        all.push(text!(
            "on the server the environment {name}{url} would change now",
            "서버였다면 이제 {name}{url} 환경이 바뀝니다"
        ));
    }
    if output.site.is_some() {
        all.push(Text::fixed(
            "on the server its site would be published now",
            "서버였다면 이제 사이트를 게시합니다",
        ));
    }
    if let Some(tag) = &output.tag {
        let name = &tag.tag;
        all.push(text!(
            "on the server the tag {name} would be made now",
            "서버였다면 이제 {name} 태그를 만듭니다"
        ));
    }
    all
}

/// Draws the end for people.
pub fn draw(outcome: &Outcome, screen: &Screen) {
    let lang = screen.lang;
    screen.put("");
    for job in &outcome.jobs {
        if matches!(job.state, StepState::Failed | StepState::AllowedFailure) {
            failure(job, screen);
        }
    }
    table(outcome, lang).lines().for_each(|line| screen.put(line));
    for job in &outcome.jobs {
        for words in &job.would {
            screen.put(&format!("{}: {}", job.name, words.get(lang)));
        }
    }
    let there: Vec<&Job> = outcome.jobs.iter().filter(|j| j.artifacts.is_some()).collect();
    if let Some(dir) = there.first().and_then(|j| j.artifacts.as_ref()?.parent()) {
        screen.put(&format!("{}: {}", lang.pick("artifacts", "아티팩트"), dir.display()));
    }
    for job in outcome.jobs.iter().filter(|j| j.artifacts.is_none() && j.files > 0) {
        let (name, files) = (&job.name, job.files);
        let words = text!(
            "{name} left {files} files of artifacts: `--artifacts DIR` lays them out",
            "{name}의 아티팩트 파일이 {files}개 있습니다. `--artifacts 디렉터리`로 꺼내세요"
        );
        screen.put(words.get(lang));
    }
    let mark = match outcome.state {
        RunState::Passed => Mark::Passed,
        RunState::Failed => Mark::Failed,
        _ => Mark::Other,
    };
    let (Text { en, ko }, took) = (outcome.state.text(), show_duration(millis(outcome.took_ms)));
    let words = match outcome.first_line_ms {
        Some(first) => text!(
            "{en} in {took} (first line after {first} ms)",
            "{ko}, {took} (첫 줄까지 {first}밀리초)"
        ),
        None => text!("{en} in {took}", "{ko}, {took}"),
    };
    screen.put(&screen.marked(mark, words.get(lang)));
}

fn millis(ms: u64) -> std::time::Duration {
    std::time::Duration::from_millis(ms)
}

/// The command, what it said last, and the tests that failed.
fn failure(job: &Job, screen: &Screen) {
    let lang = screen.lang;
    let code = job.exit_code.map(|c| c.to_string());
    let head = match code {
        Some(code) => format!("{}: {} {code}", job.name, lang.pick("exit code", "종료 코드")),
        None => job.name.clone(),
    };
    screen.put(&screen.marked(Mark::Failed, &head));
    if let Some(command) = &job.command {
        screen.put(&format!("  $ {command}"));
    }
    job.last_lines.iter().for_each(|line| screen.put(&format!("  │ {line}")));
    if job.last_lines.is_empty()
        && let Some(reason) = &job.reason
    {
        screen.put(&format!("  │ {}", reason.get(lang)));
    }
    for test in job.failed_tests.iter().take(TESTS) {
        screen.put(&format!("  ✗ {test}"));
    }
    let more = job.failed_tests.len().saturating_sub(TESTS);
    if more > 0 {
        let words = text!("  and {more} more failed tests", "  그 밖에 실패한 테스트 {more}개");
        screen.put(words.get(lang));
    }
    screen.put("");
}

fn table(outcome: &Outcome, lang: Lang) -> String {
    let head = lang.pick("JOB STATE TIME WHY", "작업 상태 시간 까닭");
    let mut table = Table::new(head.split(' '));
    for job in &outcome.jobs {
        let time = job.took_ms.map_or_else(|| "-".into(), |ms| show_duration(millis(ms)));
        let mut state = job.state.text().get(lang).to_owned();
        if job.copied {
            state.push_str(lang.pick(" (as before)", " (그대로)"));
        }
        let why = job.reason.as_ref().map(|r| r.get(lang).to_owned()).unwrap_or_default();
        let coverage = job.coverage.map(|c| format!("{c}%")).unwrap_or_default();
        let why = if why.is_empty() { coverage } else { why };
        table.row([job.name.as_str(), &state, &time, &short(&why)]);
    }
    for name in &outcome.manual {
        let why = lang.pick("manual: start it with --play", "수동: --play로 시작");
        table.row([name.as_str(), lang.pick("not run", "실행 안 함"), "-", why]);
    }
    table.render(false)
}

/// Without the last words: those stand elsewhere already.
pub fn short(why: &str) -> String {
    let why = why.split("; last words: ").next().unwrap_or(why);
    let why = why.split("; 마지막 출력: ").next().unwrap_or(why);
    why.chars().take(100).collect()
}

/// How the command ends.
///
/// # Errors
/// `run.failed`, with the names of the jobs that did.
pub fn verdict(outcome: &Outcome) -> Result<()> {
    if outcome.state == RunState::Passed {
        return Ok(());
    }
    let failed = outcome.jobs.iter().filter(|j| j.state == StepState::Failed);
    let names: Vec<&str> = failed.map(|j| j.name.as_str()).collect();
    let say = match names.is_empty() {
        true => {
            let Text { en, ko } = outcome.state.text();
            text!("the run ended as: {en}", "실행 결과: {ko}")
        }
        false => {
            let names = names.join(", ");
            text!("failed: {names}", "실패: {names}")
        }
    };
    let error = Error::invalid("run.failed", say);
    Err(match names.first() {
        Some(name) => error.hint(text!(
            "`naru run shell '{name}'` enters the place it left",
            "`naru run shell '{name}'`(으)로 작업이 남긴 자리에 들어갑니다"
        )),
        None => error,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_jobs_make_directories_and_paths_stay_below() {
        for (name, want) in [
            ("unit 1/2", "unit 1-2"),
            ("test: [a, b]", "test- -a, b"),
            ("..", "job"),
            ("/etc", "etc"),
        ] {
            assert_eq!(directory(name), want);
        }
        assert_eq!(below("a/b.xml"), Some(PathBuf::from("a/b.xml")));
        for bad in ["../a", "/a", "", "a/../../b"] {
            assert_eq!(below(bad), None, "{bad}");
        }
    }
}

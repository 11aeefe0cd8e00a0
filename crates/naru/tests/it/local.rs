//! `naru run` on a developer's own working tree, with real repositories and no server.

mod enter;
mod include;

use crate::EXE;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{
    Pid, PidfdFlags, Signal, kill_process, pidfd_open, set_parent_process_death_signal,
};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use tempfile::TempDir;
use testkit::{Naru, Terminal};

/// A developer's machine: a repository and a home with a cache.
struct Desk {
    dir: TempDir,
}

impl Desk {
    fn new(files: &[(&str, &str)]) -> Desk {
        let desk = Desk { dir: tempfile::Builder::new().prefix("desk").tempdir().unwrap() };
        std::fs::create_dir_all(desk.repository()).unwrap();
        std::fs::create_dir_all(desk.home()).unwrap();
        desk.git(&["init", "--quiet", "--initial-branch=main"]);
        desk.git(&["config", "user.name", "Kim"]);
        desk.git(&["config", "user.email", "kim@example.org"]);
        files.iter().for_each(|(path, words)| desk.write(path, words));
        desk.git(&["add", "--all"]);
        desk.git(&["commit", "--quiet", "-m", "First"]);
        desk
    }

    fn repository(&self) -> PathBuf {
        self.dir.path().join("shop")
    }

    fn home(&self) -> PathBuf {
        self.dir.path().join("home")
    }

    fn write(&self, path: &str, words: &str) {
        let at = self.repository().join(path);
        std::fs::create_dir_all(at.parent().unwrap()).unwrap();
        std::fs::write(at, words).unwrap();
    }

    fn git(&self, args: &[&str]) -> String {
        let out = Command::new("git")
            .args(args)
            .current_dir(self.repository())
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .output()
            .unwrap();
        assert!(out.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8(out.stdout).unwrap()
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(EXE);
        command
            .arg("run")
            .args(args)
            .current_dir(self.repository())
            .env("HOME", self.home())
            .env("NARU_LANG", "en")
            .env_remove("XDG_CACHE_HOME")
            .env_remove("NARU_PROJECT")
            .stdin(Stdio::null());
        command
    }

    fn run(&self, args: &[&str]) -> Ran {
        Ran::of(self.command(args).output().unwrap())
    }

    /// A command under way, which dies with the test.
    fn start(&self, args: &[&str]) -> Running {
        let mut command = self.command(args);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // SAFETY: only calls prctl between fork and exec.
        unsafe {
            command.pre_exec(|| Ok(set_parent_process_death_signal(Some(Signal::KILL))?));
        }
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        Running { child, lines, seen: String::new() }
    }

    /// Processes with something of this desk on their command line that do not come to their end: a shim
    /// that has told of its workload's end has a few steps left itself.
    fn processes(&self) -> Vec<String> {
        let mark = self.dir.path().as_os_str().as_encoded_bytes();
        let all = std::fs::read_dir("/proc").unwrap().flatten();
        let mine = all.filter_map(|p| {
            let pid = p.file_name().to_str()?.parse::<i32>().ok().and_then(Pid::from_raw)?;
            let line = std::fs::read(p.path().join("cmdline")).ok()?;
            line.windows(mark.len()).any(|w| w == mark).then_some((pid, line))
        });
        let stays = |(pid, _): &(Pid, Vec<u8>)| {
            let Ok(process) = pidfd_open(*pid, PidfdFlags::empty()) else { return false };
            let patience = Timespec { tv_sec: 5, tv_nsec: 0 };
            poll(&mut [PollFd::new(&process, PollFlags::IN)], Some(&patience)).unwrap() == 0
        };
        mine.filter(stays).map(|(_, l)| String::from_utf8_lossy(&l).replace('\0', " ")).collect()
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        for pid in testkit::shims(self.dir.path()) {
            let _ = kill_process(pid, Signal::KILL);
        }
    }
}

struct Ran {
    code: i32,
    out: String,
    err: String,
}

impl Ran {
    fn of(out: Output) -> Ran {
        Ran {
            code: out.status.code().unwrap_or(-1),
            out: String::from_utf8(out.stdout).unwrap(),
            err: String::from_utf8(out.stderr).unwrap(),
        }
    }

    #[track_caller]
    fn ends(self, code: i32) -> Ran {
        assert_eq!(self.code, code, "{}\n{}", self.out, self.err);
        self
    }

    fn has(&self, words: &str) -> bool {
        self.out.lines().any(|l| l.contains(words))
    }
}

struct Running {
    child: Child,
    lines: BufReader<std::process::ChildStdout>,
    seen: String,
}

impl Running {
    /// Reads until a line has the words.
    #[track_caller]
    fn until(&mut self, words: &str) {
        loop {
            let mut line = String::new();
            if self.lines.read_line(&mut line).unwrap() == 0 {
                let mut err = String::new();
                self.child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
                panic!("no {words:?} in:\n{}\n{err}", self.seen);
            }
            self.seen.push_str(&line);
            if line.contains(words) {
                return;
            }
        }
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    fn end(mut self) -> Ran {
        drop(self.child.stdin.take());
        self.lines.read_to_string(&mut self.seen).unwrap();
        let out = self.child.wait_with_output().unwrap();
        Ran { out: self.seen, ..Ran::of(out) }
    }
}

const CI: &str = "stages: [build, test, deploy]
build:
  stage: build
  script:
    - mkdir out && cp words.txt out/
    - git describe --always --tags
  artifacts: {paths: [out]}
lint: {stage: build, script: echo linted}
test:
  stage: test
  script:
    - cat out/words.txt
    - ls -l
  cache: {key: deps, paths: [deps]}
  before_script: ['test -e deps/one && echo warm || echo cold', 'mkdir -p deps', 'touch deps/one']
ship: {stage: deploy, when: manual, script: echo shipped, environment: {name: live}}
";

#[test]
fn the_working_tree_runs_as_it_lies_there_and_stays_as_it_is() {
    let desk = Desk::new(&[
        (".gitlab-ci.yml", CI),
        ("words.txt", "old\n"),
        ("gone.txt", "x"),
        (".gitignore", "ignored\n"),
    ]);
    desk.git(&["tag", "v1"]);
    desk.write("stashed.txt", "s");
    desk.git(&["add", "stashed.txt"]);
    desk.git(&["stash", "--quiet"]);
    desk.write("words.txt", "new and uncommitted\n");
    desk.write("untracked file.txt", "u");
    desk.write("ignored", "i");
    std::fs::remove_file(desk.repository().join("gone.txt")).unwrap();
    std::os::unix::fs::symlink("words.txt", desk.repository().join("link")).unwrap();
    desk.write("half.txt", "staged");
    desk.git(&["add", "half.txt"]);
    let git = desk.repository().join(".git");
    let state = || {
        let index = std::fs::read(git.join("index")).unwrap();
        let told = ["status", "--porcelain=v2"];
        (
            index,
            files(&git),
            desk.git(&["stash", "list"]),
            desk.git(&["for-each-ref"]),
            desk.git(&["--no-optional-locks", told[0], told[1]]),
        )
    };
    let before = state();

    let first = desk.run(&[]).ends(0);
    assert!(first.has("test  │ new and uncommitted"), "{}", first.out);
    assert!(first.has("untracked file.txt") && first.has("link -> words.txt"), "{}", first.out);
    assert!(!first.has("gone.txt") && !first.has("ignored"), "{}", first.out);
    assert!(first.has("build │ v1-1-g"), "git describe works: {}", first.out);
    assert!(first.has("cold"));
    assert!(first.out.contains("ship") && !first.has("shipped"), "{}", first.out);
    assert!(first.err.contains("manual, not run: ship"), "{}", first.err);

    let second = desk.run(&["test"]).ends(0);
    assert!(second.has("warm") && !second.has("linted"), "{}", second.out);
    assert!(second.has("first line after"), "{}", second.out);

    let committed = desk.run(&["--committed", "test"]).ends(0);
    assert!(committed.has("test  │ old"), "{}", committed.out);
    assert_eq!(state(), before, "the repository was changed");
    assert_eq!(desk.processes(), Vec::<String>::new());
}

/// Every file below, with its content.
fn files(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let (mut found, mut left) = (Vec::new(), vec![dir.to_owned()]);
    while let Some(dir) = left.pop() {
        for entry in std::fs::read_dir(dir).unwrap().flatten() {
            match entry.path() {
                path if path.is_dir() => left.push(path),
                path => found.push((path.clone(), std::fs::read(path).unwrap())),
            }
        }
    }
    found.sort();
    found
}

#[test]
fn a_failure_says_which_command_with_what_words_and_ends_with_one() {
    let ci = "check:
  script: [echo fine, './broken.sh']
  after_script: [echo tidied]
  artifacts:
    when: always
    paths: [left.txt]
    reports: {junit: report.xml}
next: {stage: deploy, script: echo never}
";
    let report = "<testsuite><testcase classname='t' name='adds'><failure message='1 != 2'/></testcase></testsuite>";
    let script = format!(
        "#!/bin/sh\necho left > left.txt\ncat > report.xml <<'X'\n{report}\nX\necho 'it went wrong' >&2\nexit 3\n"
    );
    let desk = Desk::new(&[(".gitlab-ci.yml", ci), ("broken.sh", &script)]);
    desk.git(&["update-index", "--chmod=+x", "broken.sh"]);
    desk.git(&["checkout", "--quiet", "broken.sh"]);
    desk.git(&["commit", "--quiet", "-m", "Mode"]);
    let out = desk.dir.path().join("out");
    let ran = desk.run(&["--artifacts", out.to_str().unwrap()]).ends(1);
    assert!(ran.has("✗ check: exit code 3") && ran.has("  $ ./broken.sh"), "{}", ran.out);
    assert!(ran.has("  │ it went wrong"), "{}", ran.out);
    assert!(ran.has("check │ tidied") && !ran.has("never"), "{}", ran.out);
    assert!(ran.err.contains("error: failed: check"), "{}", ran.err);
    assert_eq!(std::fs::read_to_string(out.join("check/left.txt")).unwrap(), "left\n");

    let json = desk.command(&["check", "-o", "json"]).output().unwrap();
    let value: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(value["state"], "failed");
    assert_eq!(value["jobs"][0]["exit_code"], 3);

    let unknown = desk.run(&["chekc"]).ends(1);
    assert!(unknown.err.contains("did you mean `check`?"), "{}", unknown.err);
    let korean = desk.command(&["chekc"]).env("NARU_LANG", "ko").output().unwrap();
    assert!(String::from_utf8_lossy(&korean.stderr).contains("혹시 `check`인가요?"));
}

#[test]
fn secrets_come_from_a_private_file_and_never_reach_a_log_or_the_store() {
    use std::os::unix::fs::PermissionsExt;
    let ci = "show: {script: ['echo \"token is $TOKEN\"', 'test ${#TOKEN} = 14'], rules: [{if: $TOKEN}]}\n";
    let desk = Desk::new(&[(".gitlab-ci.yml", ci), (".gitignore", ".naru/\n")]);
    desk.write(".naru/secrets.env", "TOKEN=hunter2hunter2\n");
    let file = desk.repository().join(".naru/secrets.env");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    let open = desk.run(&[]).ends(1);
    assert!(
        open.err.contains("others can read it") && open.err.contains("chmod 600"),
        "{}",
        open.err
    );
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    let ran = desk.run(&[]).ends(0);
    assert!(ran.has("token is [MASKED]"), "{}", ran.out);
    let said = format!("{}{}", ran.out, ran.err);
    assert!(!said.contains("hunter2hunter2"), "{said}");
    let kept = files(&desk.home());
    let with = |(path, bytes): &(PathBuf, Vec<u8>)| {
        bytes.windows(14).any(|w| w == b"hunter2hunter2").then(|| path.clone())
    };
    assert_eq!(kept.iter().filter_map(with).collect::<Vec<_>>(), Vec::<PathBuf>::new());
}

#[test]
fn ctrl_c_lets_jobs_tidy_up_and_leaves_nothing() {
    let ci = "slow:
  script: ['sleep 300 & echo begun', 'sleep 300']
  after_script: [echo tidied]
";
    let desk = Desk::new(&[(".gitlab-ci.yml", ci)]);
    let mut running = desk.start(&[]);
    running.until("│ begun");
    let second = desk.run(&[]).ends(1);
    assert!(
        second.err.contains("another `naru run` of this repository is under way"),
        "{}",
        second.err
    );
    running.signal(Signal::INT);
    let ran = running.end();
    assert_eq!(ran.code, 130, "{}\n{}", ran.out, ran.err);
    assert!(ran.has("│ tidied"), "{}", ran.out);
    assert_eq!(desk.processes(), Vec::<String>::new());
    // And whoever comes next finds a sound place.
    desk.write(".gitlab-ci.yml", "quick: {script: echo quick}\n");
    assert!(desk.run(&[]).ends(0).has("quick │ quick"));
}

#[test]
fn watching_runs_again_what_a_change_affects() {
    let ci = "stages: [build, test]
docs: {stage: build, script: echo docs ran, rules: [{changes: ['docs/**']}]}
code: {stage: build, script: echo code ran, rules: [{changes: ['src/**']}]}
behind: {stage: test, script: echo behind ran, needs: [code], rules: [{changes: ['src/**']}]}
";
    let desk = Desk::new(&[(".gitlab-ci.yml", ci), ("docs/a", "1"), ("src/a", "1")]);
    let mut running = desk.start(&["--watch"]);
    running.until("✓ passed in");
    assert!(running.seen.contains("docs ran") && running.seen.contains("code ran"));
    running.seen.clear();
    desk.write("src/b", "2");
    running.until("✓ passed in");
    assert!(
        running.seen.contains("code ran") && running.seen.contains("behind ran"),
        "{}",
        running.seen
    );
    assert!(!running.seen.contains("docs ran"), "{}", running.seen);
    running.seen.clear();
    // A new directory is watched as well.
    desk.write("docs/new/b", "2");
    running.until("✓ passed in");
    assert!(
        running.seen.contains("docs ran") && !running.seen.contains("code ran"),
        "{}",
        running.seen
    );
    running.seen.clear();
    let keys = running.child.stdin.as_mut().unwrap();
    keys.write_all(b"\n").unwrap();
    running.until("✓ passed in");
    assert!(
        running.seen.contains("docs ran") && running.seen.contains("code ran"),
        "{}",
        running.seen
    );
    running.child.stdin.as_mut().unwrap().write_all(b"q").unwrap();
    running.end().ends(0);
    assert_eq!(desk.processes(), Vec::<String>::new());
}

#[test]
fn a_finished_run_goes_to_the_server_and_counts_for_nothing_there() {
    let naru = crate::shop();
    let ci =
        "build: {script: ['echo made here', 'echo x > out.txt'], artifacts: {paths: [out.txt]}}\n";
    let desk = Desk::new(&[(".gitlab-ci.yml", ci)]);
    desk.write("dirty.txt", "1");
    let mut command = desk.command(&["--upload", "--with-artifacts", "-p", "shop"]);
    let ran = Ran::of(command.env("NARU_DATA", naru.data()).output().unwrap()).ends(0);
    let url = ran.err.lines().find_map(|l| l.strip_prefix("uploaded: ")).unwrap();
    let run = url.rsplit('/').next().unwrap();
    let there = naru.json(&["run", "-p", "shop", "show", run]).unwrap();
    assert_eq!((&there["state"], &there["kind"]), (&"passed".into(), &"local".into()));
    assert_eq!(there["labels"]["dirty"], "true");
    assert_eq!(there["labels"]["commit"], desk.git(&["rev-parse", "HEAD"]).trim());
    let log = naru.say(&["run", "-p", "shop", "log", run, "build"]).unwrap();
    assert!(log.contains("made here"), "{log}");
    let path = format!("/api/v1/projects/shop/runs/{run}/steps/build/artifacts/out.txt");
    assert_eq!(naru.api("GET", &path, "").unwrap().body, "x\n");
    let events = naru.say(&["events", "-o", "json", "-p", "shop"]).unwrap();
    assert!(events.contains("run.imported") && !events.contains("pipeline."), "{events}");
    let odd = naru.api("POST", "/api/v1/projects/shop/runs/import", "not a run").unwrap();
    assert_eq!(odd.status, 413, "{}", odd.body);
    let none = naru.api("POST", "/api/v1/projects/shop/runs/import", "").unwrap();
    assert_eq!(none.status, 400, "{}", none.body);
}

#[test]
fn grouped_jobs_come_whole_though_they_run_at_the_same_time() {
    // Each waits for the other in the middle of what it says.
    let ci = "a: {script: 'echo a1; touch ~/a; until test -e ~/b; do sleep 0.01; done; echo a2'}
b: {script: 'until test -e ~/a; do sleep 0.01; done; echo b1; touch ~/b; echo b2'}
";
    let desk = Desk::new(&[(".gitlab-ci.yml", ci)]);
    let ran = desk.run(&["--group", "--jobs", "2"]).ends(0);
    let wanted = ["▶ a", "a1", "a2", "▶ b", "b1", "b2"];
    let found: Vec<&str> = ran.out.lines().filter(|l| wanted.contains(l)).collect();
    let (a, b) = wanted.split_at(3);
    assert!(found == [a, b].concat() || found == [b, a].concat(), "{}", ran.out);
    assert!(!ran.has("│"), "no names before lines: {}", ran.out);
}

#[test]
fn a_stage_runs_with_what_it_takes_and_a_stage_that_is_not_there_is_named() {
    let desk = Desk::new(&[(".gitlab-ci.yml", CI), ("words.txt", "mine\n")]);
    let ran = desk.run(&["--stage", "build"]).ends(0);
    assert!(ran.has("lint  │ linted") && !ran.has("test  │"), "{}", ran.out);
    let ran = desk.run(&["--stage", "test"]).ends(0);
    assert!(ran.has("test  │ mine") && !ran.has("shipped"), "{}", ran.out);
    let ran = desk.run(&["--stage", "build", "--stage", "deploy", "--all"]).ends(0);
    assert!(ran.has("linted") && ran.has("shipped"), "{}", ran.out);
    let ran = desk.run(&["--stage", "biuld"]).ends(1);
    assert!(ran.err.contains("in the stage “biuld”") && ran.err.contains("build"), "{}", ran.err);
}

#[test]
fn local_jobs_share_a_suite_by_what_was_measured_here() {
    let desk = Desk::new(&[
        (".gitlab-ci.yml", crate::report::SHARING),
        ("report.py", crate::report::SHARED_REPORT),
        ("tests/test_a.py", ""),
        ("tests/test_b.py", ""),
        ("tests/test_c.py", ""),
        ("tests/test_d.py", ""),
    ]);
    let first = desk.run(&[]).ends(0);
    assert!(first.has("mine=tests/test_a.py tests/test_c.py"), "{}", first.out);
    let second = desk.run(&[]).ends(0);
    assert!(second.has("mine=tests/test_b.py tests/test_c.py tests/test_d.py"), "{}", second.out);
}

//! The place that a job left, or runs in, is entered.

use super::*;

#[test]
fn a_failed_job_leaves_a_place_to_enter() {
    let ci = "variables: {MINE: yes-it-is}
broken: {script: [echo made > made.txt, 'false']}
";
    let desk = Desk::new(&[(".gitlab-ci.yml", ci)]);
    desk.run(&[]).ends(1);
    let mut shell = desk.start(&["shell"]);
    let keys = shell.child.stdin.as_mut().unwrap();
    keys.write_all(b"echo \"<$(cat made.txt) $MINE $PWD>\"; exit 7\n").unwrap();
    shell.until("<made yes-it-is /builds/shop/shop>");
    shell.end().ends(7);
    assert_eq!(desk.processes(), Vec::<String>::new());
    let none = desk.run(&["shell", "other"]).ends(1);
    assert!(none.err.contains("“other” has left no place"), "{}", none.err);
}

/// As somebody who is not root: through user namespaces, where the machine has them.
#[test]
fn nobody_can_do_it_too() {
    if !rustix::process::geteuid().is_root() {
        // Then all other tests have shown it.
        return;
    }
    let desk = Desk::new(&[(".gitlab-ci.yml", CI), ("words.txt", "mine\n")]);
    let owned = Command::new("chown").args(["-R", "65534:65534"]).arg(desk.dir.path()).status();
    assert!(owned.unwrap().success());
    std::fs::set_permissions(desk.dir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .unwrap();
    // The program itself may lie where nobody else can read.
    let exe = desk.dir.path().join("naru");
    std::fs::copy(EXE, &exe).unwrap();
    let ran = Command::new("setpriv")
        .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
        .arg(&exe)
        .args(["run", "test"])
        .current_dir(desk.repository())
        .env("HOME", desk.home())
        .env("NARU_LANG", "en")
        .env_remove("XDG_CACHE_HOME")
        .output()
        .unwrap();
    let ran = Ran::of(ran);
    if ran.out.contains("namespace") && ran.code != 0 {
        // This machine gives unprivileged users no namespaces, and that is what it says.
        return;
    }
    assert!(ran.ends(0).has("test  │ mine"));
}

#[test]
fn a_running_job_of_the_server_is_entered_by_those_who_may() {
    let naru = crate::shop();
    let ci = "wait: {script: ['echo here > mine.txt; echo started; while test ! -e go; do sleep 0.1; done']}\n";
    let work = naru.repository("shop", "web", &[(".gitlab-ci.yml", ci)]).unwrap();
    assert!(work.push(&["naru", "main"]).unwrap().0);
    let run =
        naru.json(&["run", "-p", "shop", "list"]).unwrap()[0]["id"].as_str().unwrap().to_owned();
    let mut log = naru
        .command(&["run", "-p", "shop", "log", &run, "wait"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(log.stdout.take().unwrap()).lines();
    assert!(lines.map(Result::unwrap).any(|l| l == "started"));
    let attach = ["run", "-p", "shop", "attach", &run, "wait"];
    let mut terminal = typed(naru.command(&attach));
    terminal.until("`exit` leaves").unwrap();
    terminal.press("echo \"<$(cat mine.txt) $CI_JOB_NAME>\"\n").unwrap();
    terminal.until("<here wait>").unwrap();
    is_at_a_terminal(&mut terminal);
    terminal.press("exit 6\n").unwrap();
    assert_eq!(terminal.end().unwrap().0, Some(6));
    // Without a terminal, for programs.
    let mut shell = naru.command(&attach);
    let shell = shell.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut shell = shell.spawn().unwrap();
    shell
        .stdin
        .take()
        .unwrap()
        .write_all(b"echo \"<$(cat mine.txt) $CI_JOB_NAME>\"; touch go; exit 5\n")
        .unwrap();
    let out = Ran::of(shell.wait_with_output().unwrap()).ends(5);
    assert!(out.has("<here wait>"), "{}", out.out);
    log.wait().unwrap();
    let events = naru.say(&["events", "-o", "json", "-p", "shop"]).unwrap_or_default();
    assert!(events.contains("run.attached"), "{events}");
    let path = format!("/api/v1/projects/shop/runs/{run}/steps/wait/attach");
    let plain = naru.api("POST", &path, "").unwrap();
    assert_eq!(plain.status, 409, "{}", plain.body);
}

/// A terminal in which the command was typed.
fn typed(command: Command) -> Terminal {
    Terminal::start(command, 40, 132).unwrap()
}

/// What everybody expects of a shell at a terminal. The screen shows what is typed, too; quotes tell the
/// answers from that.
fn is_at_a_terminal(terminal: &mut Terminal) {
    terminal.press("[ -t 0 ] && echo \"it is $(stty size)\"\n").unwrap();
    terminal.until("it is 40 132").unwrap();
    // What says it is in the foreground already: Ctrl-C is its.
    terminal.press("bash -c \"echo so it be'gins'; exec sleep 1000\"\n").unwrap();
    terminal.until("so it begins").unwrap();
    terminal.press("\x03").unwrap();
    terminal.press("echo \"interrupted: $?\"\n").unwrap();
    terminal.until("interrupted: 130").unwrap();
    terminal.resize(24, 80).unwrap();
    terminal.press("until [ \"$(stty size)\" = '24 80' ]; do :; done; echo re'sized'\n").unwrap();
    terminal.until("resized").unwrap();
}

#[test]
fn who_sits_at_a_terminal_enters_the_job_that_failed_at_once() {
    let ci = "broken: {script: [echo made > made.txt, 'false']}\nfine: {script: echo fine}\n";
    let desk = Desk::new(&[(".gitlab-ci.yml", ci)]);
    let mut terminal = typed(desk.command(&["--shell-on-failure"]));
    terminal.until("the place that broken left").unwrap();
    terminal.press("echo \"<$(cat made.txt) $CI_JOB_NAME $PWD>\"\n").unwrap();
    terminal.until("<made broken /builds/shop/shop>").unwrap();
    is_at_a_terminal(&mut terminal);
    terminal.press("exit 7\n").unwrap();
    let (code, seen) = terminal.end().unwrap();
    assert_eq!(code, Some(1), "the run has failed, whatever was done about it: {seen}");
    // Later, as often as one likes; then the shell's own code counts.
    let mut terminal = typed(desk.command(&["shell", "broken"]));
    terminal.until("the place that broken left").unwrap();
    terminal.press("cat made.txt; exit 7\n").unwrap();
    terminal.until("made\r\n").unwrap();
    assert_eq!(terminal.end().unwrap().0, Some(7));
    assert_eq!(desk.processes(), Vec::<String>::new());
    // What passes leaves nobody in a shell.
    let terminal = typed(desk.command(&["fine", "--shell-on-failure"]));
    assert_eq!(terminal.end().unwrap().0, Some(0));
}

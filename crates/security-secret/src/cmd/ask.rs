//! Where a value comes from: a file, a pipe, a command, or somebody at a terminal whose typing is not shown.

use kernel::{Error, Lang, Result, SecretText, Text, text};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use std::fs::File;
use std::io::{BufRead, BufReader, IsTerminal, Read, Write};
use std::process::Stdio;
use std::time::Duration;
use zeroize::Zeroizing;

/// How long a command may take that prints a new value.
const PATIENCE: Duration = Duration::from_secs(300);

/// The whole of a file.
pub(super) fn file(path: &str, limit: usize) -> Result<SecretText> {
    let read = || {
        let mut words = Zeroizing::new(Vec::new());
        File::open(path)?.take(limit as u64 + 1).read_to_end(&mut words)?;
        std::io::Result::Ok(words)
    };
    let words = read().map_err(|e| {
        let say = text!("{path} cannot be read: {e}", "{path}을(를) 읽을 수 없습니다: {e}");
        Error::not_found("secret.file", say)
    })?;
    checked(&words, limit)
}

/// What is piped in, without the newline that `echo` adds; else what somebody types.
pub(super) fn value(lang: Lang, limit: usize) -> Result<SecretText> {
    if std::io::stdin().is_terminal() {
        return typed(lang);
    }
    let mut words = Zeroizing::new(Vec::new());
    let mut stdin = std::io::stdin().lock().take(limit as u64 + 2);
    stdin.read_to_end(&mut words).map_err(Error::internal)?;
    checked(without_newline(&words), limit)
}

/// What a command prints, without the newline at its end. It runs here, as whoever runs this.
pub(super) async fn command(command: &str, limit: usize) -> Result<SecretText> {
    let failed = |why: String| {
        let say = text!("the command failed: {why}", "명령이 실패했습니다: {why}");
        Error::invalid("secret.command", say)
            .hint(Text::fixed("the secret keeps the value it has", "비밀 값은 그대로입니다"))
    };
    let mut shell = tokio::process::Command::new("sh");
    shell.args(["-c", command]).stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
    let done = shell.spawn().map_err(|e| failed(e.to_string()))?.wait_with_output();
    let done = tokio::time::timeout(PATIENCE, done).await;
    let done = done.map_err(|_| failed("300 s".into()))?.map_err(|e| failed(e.to_string()))?;
    let words = Zeroizing::new(done.stdout);
    match done.status.success() {
        true => checked(without_newline(&words), limit),
        false => Err(failed(done.status.to_string())),
    }
}

fn without_newline(words: &[u8]) -> &[u8] {
    let words = words.strip_suffix(b"\n").unwrap_or(words);
    words.strip_suffix(b"\r").unwrap_or(words)
}

fn checked(words: &[u8], limit: usize) -> Result<SecretText> {
    let words = std::str::from_utf8(words).map_err(|_| {
        Error::invalid(
            "secret.value",
            Text::fixed("the value is not UTF-8", "값이 UTF-8이 아닙니다"),
        )
        .hint(Text::fixed(
            "set what is binary as base64, and decode it where it is used",
            "이진 값은 base64로 설정하고 쓰는 곳에서 디코드하세요",
        ))
    })?;
    if words.len() > limit {
        let most = limit / 1024;
        let say = text!("that is more than {most} KiB", "{most} KiB를 넘습니다");
        return Err(Error::invalid("secret.value", say));
    }
    Ok(SecretText::new(words))
}

/// Typed twice on the terminal itself, whatever standard output is.
fn typed(lang: Lang) -> Result<SecretText> {
    let first = hidden(lang.pick("Value: ", "값: "))?;
    let again = hidden(lang.pick("Again: ", "다시: "))?;
    match first == again {
        true => Ok(first),
        false => {
            let say = Text::fixed("the two are not the same", "두 값이 다릅니다");
            Err(Error::invalid("secret.value", say).hint(Text::fixed(
                "nothing was set: try again",
                "설정하지 않았습니다. 다시 시도하세요",
            )))
        }
    }
}

/// The passphrase of the master key, once: a wrong one is found out by what it opens.
///
/// # Errors
/// `secret.value` when nothing is typed; internal without a terminal.
pub fn passphrase(lang: Lang) -> Result<SecretText> {
    let words = hidden(lang.pick("Passphrase of the master key: ", "마스터 키 암호문: "))?;
    match words.is_empty() {
        true => Err(Error::invalid(
            "secret.value",
            Text::fixed("nothing was typed", "입력한 것이 없습니다"),
        )),
        false => Ok(words),
    }
}

fn hidden(prompt: &str) -> Result<SecretText> {
    let mut terminal = File::options()
        .read(true)
        .write(true)
        .open("/dev/tty")
        .map_err(|e| Error::internal(format!("the terminal: {e}")))?;
    let _quiet = Quiet::new(&terminal)?;
    terminal.write_all(prompt.as_bytes()).map_err(Error::internal)?;
    let mut words = Zeroizing::new(Vec::new());
    BufReader::new(&terminal).read_until(b'\n', &mut words).map_err(Error::internal)?;
    // The newline that was typed is not shown either.
    terminal.write_all(b"\n").map_err(Error::internal)?;
    checked(without_newline(&words), crate::set::LARGEST)
}

/// A terminal that shows nothing of what is typed, until this is dropped.
struct Quiet {
    terminal: File,
    before: Termios,
}

impl Quiet {
    fn new(terminal: &File) -> Result<Quiet> {
        let terminal = terminal.try_clone().map_err(Error::internal)?;
        let before = tcgetattr(&terminal).map_err(Error::internal)?;
        let mut quiet = before.clone();
        quiet.local_modes.remove(LocalModes::ECHO);
        tcsetattr(&terminal, OptionalActions::Flush, &quiet).map_err(Error::internal)?;
        Ok(Quiet { terminal, before })
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        // Nothing more can be done about a terminal that is gone.
        let _ = tcsetattr(&self.terminal, OptionalActions::Now, &self.before);
    }
}

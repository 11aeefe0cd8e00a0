//! The shell script of a job. Pure.

/// The script file for these commands: each is shown before it runs, and the first that fails ends it,
/// also inside of a pipe where the shell knows how.
pub fn render(commands: &[String]) -> String {
    let mut out = String::from("set -e\n(set -o pipefail) 2>/dev/null && set -o pipefail\n");
    for command in commands.iter().map(|c| c.trim_end()).filter(|c| !c.trim().is_empty()) {
        out.push_str("printf '%s\\n' ");
        out.push_str(&quote(&heading(command)));
        out.push('\n');
        out.push_str(command);
        out.push('\n');
    }
    out
}

/// The same, with other commands before them in a shell of their own.
pub fn render_after(before: &[String], commands: &[String]) -> String {
    if before.is_empty() {
        return render(commands);
    }
    format!("set -e\n(\n{})\n{}", render(before), render(commands))
}

/// `$ make`, and for a command of several lines how many follow.
pub(crate) fn heading(command: &str) -> String {
    let mut lines = command.lines();
    let first = lines.next().unwrap_or("");
    match lines.count() {
        0 => format!("$ {first}"),
        more => format!("$ {first} # +{more}"),
    }
}

/// Words that no shell changes.
pub(crate) fn quote(words: &str) -> String {
    format!("'{}'", words.replace('\'', "'\\''"))
}

/// `NAME=value` lines of a dotenv report: quotes around a value go, `#` begins a comment line, and what is
/// not such a line is counted and left out. At most `limit` variables.
pub fn dotenv(text: &str, limit: usize) -> (Vec<(String, String)>, usize) {
    let mut out = Vec::new();
    let mut odd = 0;
    for line in text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#')) {
        let line = line.strip_prefix("export ").unwrap_or(line);
        match line.split_once('=') {
            Some((name, value))
                if crate::variables::is_name(name.trim())
                    && out.len() < limit
                    && !value.contains('\0') =>
            {
                out.push((name.trim().to_owned(), unquote(value.trim()).to_owned()));
            }
            _ => odd += 1,
        }
    }
    (out, odd)
}

fn unquote(value: &str) -> &str {
    let inner = |q: char| value.strip_prefix(q).and_then(|v| v.strip_suffix(q));
    inner('"').or_else(|| inner('\'')).unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    fn shell(commands: &[&str]) -> (i32, String) {
        let commands: Vec<String> = commands.iter().map(|c| (*c).to_owned()).collect();
        let out = Command::new("bash").arg("-c").arg(render(&commands)).output().unwrap();
        (out.status.code().unwrap(), String::from_utf8(out.stdout).unwrap())
    }

    #[test]
    fn commands_are_shown_and_the_first_failure_ends_it() {
        let (code, out) = shell(&["echo 'it'\"'\"'s'", "false", "echo never"]);
        assert_eq!((code, out.as_str()), (1, "$ echo 'it'\"'\"'s'\nit's\n$ false\n"));
    }

    #[test]
    fn a_pipe_fails_with_any_of_its_parts_and_blocks_stay_whole() {
        let (code, out) = shell(&["if true; then\n  echo in\nfi", "exit 3 | cat"]);
        assert_eq!((code, out.as_str()), (3, "$ if true; then # +2\nin\n$ exit 3 | cat\n"));
    }

    #[test]
    fn what_comes_before_is_a_shell_of_its_own_and_ends_all_when_it_fails() {
        let words = |w: &[&str]| w.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
        let run = |before: &[&str]| {
            let script = render_after(&words(before), &words(&["echo a=$A"]));
            let out = Command::new("bash").arg("-c").arg(script).output().unwrap();
            (out.status.code().unwrap(), String::from_utf8(out.stdout).unwrap())
        };
        assert_eq!(run(&["A=1"]), (0, "$ A=1\n$ echo a=$A\na=\n".to_owned()));
        assert_eq!(run(&["(exit 4)", "echo never"]), (4, "$ (exit 4)\n".to_owned()));
    }

    #[test]
    fn dotenv_lines() {
        let (found, odd) =
            dotenv("A=1\n# no\nexport B='two words'\nnot a line\n1X=no\nC=\"\"\n", 10);
        let want = [("A", "1"), ("B", "two words"), ("C", "")];
        assert_eq!(found, want.map(|(n, v)| (n.to_owned(), v.to_owned())));
        assert_eq!(odd, 2);
    }
}

//! Variables from a file of the developer's: secrets, masked in every log and never stored.

use crate::script;
use crate::variables::Variable;
use kernel::{Error, Result, Text, text};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Read without being named when it is there and git ignores it.
pub const USUAL: &str = ".naru/secrets.env";
/// Bytes of the file, and variables in it.
const MAX_BYTES: u64 = 256 * 1024;
const MAX_VARIABLES: usize = 500;

/// `NAME=value` lines of a file that its owner alone can read.
///
/// # Errors
/// `secrets.unsafe` for a file that others can read, `secrets.unreadable`, `secrets.invalid`.
pub fn read(file: &Path) -> Result<Vec<Variable>> {
    let shown = file.display().to_string();
    let unreadable = |e: std::io::Error| {
        let say = text!("{shown} cannot be read: {e}", "{shown}을(를) 읽을 수 없습니다: {e}");
        Error::not_found("secrets.unreadable", say)
    };
    let found = std::fs::metadata(file).map_err(unreadable)?;
    if found.mode() & 0o077 != 0 {
        let mode = found.mode() & 0o777;
        let say = text!(
            "{shown} holds secrets and others can read it (mode {mode:o})",
            "{shown}에 비밀이 있는데 다른 사람이 읽을 수 있습니다 (모드 {mode:o})"
        );
        return Err(Error::invalid("secrets.unsafe", say)
            .hint(text!("chmod 600 {shown}", "chmod 600 {shown}")));
    }
    if found.len() > MAX_BYTES {
        let say = text!(
            "{shown} has more than {MAX_BYTES} bytes",
            "{shown}이(가) {MAX_BYTES}바이트를 넘습니다"
        );
        return Err(Error::invalid("secrets.invalid", say));
    }
    parse(&shown, &std::fs::read_to_string(file).map_err(unreadable)?)
}

/// Strict: a line that is passed over would be a secret that is missing.
fn parse(file: &str, words: &str) -> Result<Vec<Variable>> {
    for (number, line) in (1_u32..).zip(words.lines()) {
        let (_, odd) = script::dotenv(line, 1);
        if odd > 0 {
            let say = text!(
                "line {number} is not NAME=value",
                "{number}번째 줄이 NAME=value 꼴이 아닙니다"
            );
            return Err(Error::invalid("secrets.invalid", say).at(file, number, 1));
        }
    }
    let (pairs, odd) = script::dotenv(words, MAX_VARIABLES);
    if odd > 0 {
        let say = text!(
            "{file} has more than {MAX_VARIABLES} variables",
            "{file}의 변수가 {MAX_VARIABLES}개를 넘습니다"
        );
        return Err(Error::invalid("secrets.invalid", say));
    }
    let secret = |(name, value): (String, String)| Variable {
        masked: true,
        ..Variable::literal(&name, value)
    };
    Ok(pairs.into_iter().map(secret).collect())
}

/// Said when the usual file is there and git would take it into a commit.
pub fn not_ignored() -> Text {
    text!(
        "{USUAL} is not read because git does not ignore it; add it to .gitignore",
        "git이 무시하지 않아 {USUAL}을(를) 읽지 않습니다. .gitignore에 넣으세요"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn only_its_owner_may_read_it_and_every_line_counts() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("secrets.env");
        std::fs::write(&file, "# mine\nTOKEN='a b'\n\nexport KEY=x=y\n").unwrap();
        let mode = |mode| {
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
        };
        mode(0o640);
        let error = read(&file).unwrap_err();
        assert_eq!(error.code(), "secrets.unsafe");
        assert!(error.get_hint().unwrap().en.starts_with("chmod 600 "));
        mode(0o600);
        let found = read(&file).unwrap();
        let pairs: Vec<_> = found.iter().map(|v| (v.name.as_str(), v.value.as_str())).collect();
        assert_eq!(pairs, [("TOKEN", "a b"), ("KEY", "x=y")]);
        assert!(found.iter().all(|v| v.masked && !v.expand));
        let wrong = parse("f", "A=1\nsecret words\n").unwrap_err();
        assert_eq!(wrong.place().unwrap().line, 2);
        assert!(!wrong.say().en.contains("secret words"), "a secret must not be shown");
    }
}

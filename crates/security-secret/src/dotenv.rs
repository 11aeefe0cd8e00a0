//! Files of `NAME=value` lines, as they lie in many projects. Pure.

use kernel::{Error, Result, SecretText, text};

/// Pairs in a file.
const MOST: usize = 200;

/// What a dotenv file holds: `NAME=value`, `export NAME=value`, values in single quotes as they are, in double
/// quotes with `\n`, `\t`, `\"`, `\\`, `\$` and over several lines; `#` begins a comment where a word could. Strict: a line
/// that is passed over would be a secret that is missing.
///
/// # Errors
/// `secret.dotenv` at the line; what is in it is not said.
pub(crate) fn parse(file: &str, words: &str) -> Result<Vec<(String, SecretText)>> {
    let mut found: Vec<(String, SecretText)> = Vec::new();
    let mut rest = words.strip_prefix('\u{feff}').unwrap_or(words);
    let mut line = 1;
    while !rest.is_empty() {
        let (entry, after) = one(rest).ok_or_else(|| wrong(file, line))?;
        if let Some((name, value)) = entry {
            found.retain(|(n, _)| *n != name);
            found.push((name, SecretText::new(value)));
        }
        if found.len() > MOST {
            return Err(Error::invalid(
                "secret.dotenv",
                text!("more than {MOST} variables", "변수가 {MOST}개를 넘습니다"),
            )
            .at(file, line, 1));
        }
        let used = rest.len() - after.len();
        line += rest.get(..used).unwrap_or_default().matches('\n').count() as u32;
        rest = after;
    }
    Ok(found)
}

type Entry = Option<(String, String)>;

/// The first entry, if its line has one, and what comes after its line.
fn one(words: &str) -> Option<(Entry, &str)> {
    let trimmed = words.trim_start_matches([' ', '\t', '\r']);
    if trimmed.is_empty() {
        return Some((None, ""));
    }
    if let Some(after) = trimmed.strip_prefix('\n') {
        return Some((None, after));
    }
    if trimmed.starts_with('#') {
        return Some((None, trimmed.split_once('\n').map_or("", |(_, after)| after)));
    }
    let trimmed = trimmed.strip_prefix("export ").unwrap_or(trimmed).trim_start_matches(' ');
    let (name, value) = trimmed.split_once('=')?;
    let name = name.trim_end_matches(' ');
    let sound = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        && name.bytes().next().is_some_and(|b| !b.is_ascii_digit());
    if !sound {
        return None;
    }
    let value = value.trim_start_matches([' ', '\t']);
    let (value, after) = match value.chars().next() {
        Some('\'') => single(value)?,
        Some('"') => double(value)?,
        _ => bare(value),
    };
    Some((Some((name.to_owned(), value)), after))
}

fn bare(words: &str) -> (String, &str) {
    let (line, after) = words.split_once('\n').unwrap_or((words, ""));
    let comment = [" #", "\t#"].iter().filter_map(|c| line.find(c)).min();
    let value = match line.starts_with('#') {
        true => "",
        false => line.get(..comment.unwrap_or(line.len())).unwrap_or(line),
    };
    (value.trim_end().to_owned(), after)
}

fn single(words: &str) -> Option<(String, &str)> {
    let (value, after) = words.get(1..)?.split_once('\'')?;
    Some((value.to_owned(), end_of_line(after)?))
}

fn double(words: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut letters = words.char_indices().skip(1);
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return Some((value, end_of_line(words.get(at + 1..)?)?)),
            '\\' => match letters.next()?.1 {
                'n' => value.push('\n'),
                'r' => value.push('\r'),
                't' => value.push('\t'),
                c @ ('"' | '\\' | '$' | '`') => value.push(c),
                c => value.extend(['\\', c]),
            },
            c => value.push(c),
        }
    }
    None
}

/// What comes after a value in quotes: nothing but a comment.
fn end_of_line(words: &str) -> Option<&str> {
    let (line, after) = words.split_once('\n').unwrap_or((words, ""));
    let line = line.trim();
    (line.is_empty() || line.starts_with('#')).then_some(after)
}

fn wrong(file: &str, line: u32) -> Error {
    Error::invalid(
        "secret.dotenv",
        text!("this line is not NAME=value", "NAME=value 꼴이 아닌 줄입니다"),
    )
    .hint(text!(
        "quote values that hold quotes or begin with #; the line is not shown, because it may be secret",
        "따옴표가 들어 있거나 #으로 시작하는 값은 따옴표로 묶으세요. 비밀일 수 있어 줄의 내용은 보여 주지 않습니다"
    ))
    .at(file, line, 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(words: &str) -> Vec<(String, String)> {
        let read = parse("x.env", words).unwrap();
        read.into_iter().map(|(n, v)| (n, v.reveal().to_owned())).collect()
    }

    #[test]
    fn what_is_written_in_such_files() {
        let file = "# keys\nA=1\nexport B = two words # why\nC='x # \"y\" $z'\nD=\"a\\nb \\\"c\\\" \\d\"  # end\n\
                    E=\nF=https://x/#frag\nKEY=\"-----BEGIN-----\nabc\n-----END-----\"\nA=2\r\n";
        let want = [
            ("B", "two words"),
            ("C", "x # \"y\" $z"),
            ("D", "a\nb \"c\" \\d"),
            ("E", ""),
            ("F", "https://x/#frag"),
            ("KEY", "-----BEGIN-----\nabc\n-----END-----"),
            ("A", "2"),
        ];
        assert_eq!(read(file), want.map(|(n, v)| (n.to_owned(), v.to_owned())));
        for (file, line) in
            [("A=1\nhunter2\n", 2), ("A='x\n", 1), ("A=\"x\\", 1), ("A='x' y\n", 1), ("1A=x", 1)]
        {
            let error = parse("x.env", file).unwrap_err();
            assert_eq!(error.place().unwrap().line, line, "{file}");
            assert!(!error.to_string().contains("hunter2"));
        }
    }

    proptest! {
        #[test]
        fn any_file_is_survived(words: String) {
            let _ = parse("x.env", &words);
        }

        #[test]
        fn what_is_quoted_is_read_back(value in "[^'\0]{0,40}", other in "[^\0]{0,40}") {
            let escaped = other.replace('\\', "\\\\").replace('"', "\\\"");
            let read = read(&format!("A='{value}'\nB=\"{escaped}\"\n"));
            prop_assert_eq!(&read[0].1, &value);
            prop_assert_eq!(&read[1].1, &other);
        }
    }
}

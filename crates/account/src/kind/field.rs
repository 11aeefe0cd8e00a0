//! What a field of an account may hold. It ends up in directories, certificates, mail headers and passwd files,
//! so that each is held to what the strictest of them takes.

use kernel::{Error, Result, text};

/// The longest line of words, in bytes.
const LINE: usize = 256;

/// A line of words for people.
///
/// # Errors
/// `account.field`, naming it.
pub(super) fn line(field: &str, words: &str) -> Result<()> {
    if words.len() > LINE {
        return Err(wrong(field, ("is longer than 256 bytes", "이(가) 256바이트를 넘습니다")));
    }
    if words.chars().any(char::is_control) {
        return Err(wrong(field, ("holds control characters", "에 제어 문자가 있습니다")));
    }
    Ok(())
}

pub(super) fn lines<'a>(
    all: impl IntoIterator<Item = (&'a str, &'a Option<String>)>,
) -> Result<()> {
    let given = all.into_iter().filter_map(|(field, words)| Some((field, words.as_deref()?)));
    given.into_iter().try_for_each(|(field, words)| line(field, words))
}

/// A path of a passwd file (passwd(5)): absolute, without colons.
pub(super) fn path(field: &str, words: &str) -> Result<()> {
    line(field, words)?;
    let sound = words.starts_with('/')
        && !words.contains([':', ' ', '\\'])
        && !words.split('/').any(|part| part == "..");
    if sound {
        return Ok(());
    }
    Err(wrong(
        field,
        (
            "takes an absolute path without spaces or colons",
            "에는 빈칸과 콜론이 없는 절대 경로를 쓰세요",
        ),
    ))
}

/// An address of mail: the plain form of RFC 5321 §4.1.2, without quotes and address literals, which no directory
/// has and much software refuses.
pub(super) fn mail(field: &str, words: &str) -> Result<()> {
    let local = |l: &str| {
        (1..=64).contains(&l.len())
            && l.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~.".contains(&b))
            && !l.starts_with('.')
            && !l.ends_with('.')
            && !l.contains("..")
    };
    let label = |l: &str| {
        (1..=63).contains(&l.len())
            && l.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !l.starts_with('-')
            && !l.ends_with('-')
    };
    match words.rsplit_once('@') {
        Some((l, domain)) if words.len() <= 254 && local(l) && domain.split('.').all(label) => {
            Ok(())
        }
        _ => Err(wrong(
            field,
            ("takes addresses like ada@example.com", "에는 ada@example.com 같은 주소를 쓰세요"),
        )),
    }
}

/// A language tag (BCP 47), by its shape.
pub(super) fn language(field: &str, words: &str) -> Result<()> {
    let part = |p: &str| (1..=8).contains(&p.len()) && p.bytes().all(|b| b.is_ascii_alphanumeric());
    let mut parts = words.split('-');
    let first = parts.next().unwrap_or_default();
    let sound = (2..=8).contains(&first.len())
        && first.bytes().all(|b| b.is_ascii_alphabetic())
        && words.len() <= 35
        && parts.all(part);
    if sound {
        return Ok(());
    }
    Err(wrong(
        field,
        ("takes a language tag like ko or en-GB", "에는 ko, en-GB 같은 언어 태그를 쓰세요"),
    ))
}

/// Not more of them than a page and a directory entry can hold.
pub(super) fn count(field: &str, found: usize, most: usize) -> Result<()> {
    if found <= most {
        return Ok(());
    }
    Err(Error::invalid(
        "account.field",
        text!(
            "`{field}` has {found} entries; {most} are allowed",
            "`{field}`에 {found}개가 있습니다. {most}개까지 됩니다"
        ),
    ))
}

fn wrong(field: &str, (en, ko): (&str, &str)) -> Error {
    Error::invalid("account.field", text!("`{field}` {en}", "`{field}`{ko}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fields_take() {
        for (sound, words) in [
            (true, "ada@example.com"),
            (true, "a.b+c@mail.example.co.kr"),
            (true, "root@localhost"),
            (false, "ada"),
            (false, "@x"),
            (false, "a@b@"),
            (false, "a b@x.com"),
            (false, "a\r\nbcc@x.com"),
            (false, "a..b@x.com"),
            (false, "a@-x.com"),
            (false, "a@x..com"),
        ] {
            assert_eq!(mail("mails", words).is_ok(), sound, "{words:?}");
        }
        for (sound, words) in [
            (true, "/bin/bash"),
            (false, "bash"),
            (false, "/a:/b"),
            (false, "/a/../b"),
            (false, "/a\n"),
        ] {
            assert_eq!(path("login_shell", words).is_ok(), sound, "{words:?}");
        }
        for (sound, words) in
            [(true, "ko"), (true, "en-GB"), (false, "k"), (false, "en_GB"), (false, "")]
        {
            assert_eq!(language("preferred_language", words).is_ok(), sound, "{words:?}");
        }
        assert!(line("title", "홍길동").is_ok() && line("title", "a\u{7}").is_err());
    }
}

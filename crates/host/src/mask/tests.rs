use super::*;
use proptest::prelude::*;

fn through(mask: &Mask, chunks: &[&[u8]]) -> Vec<u8> {
    let Some(mut masked) = mask.stream() else { return chunks.concat() };
    let mut out = Vec::new();
    for chunk in chunks {
        masked.feed(chunk, &mut out);
    }
    masked.finish(&mut out);
    out
}

fn words(mask: &Mask, text: &str) -> String {
    String::from_utf8(through(mask, &[text.as_bytes()])).unwrap()
}

fn mask(secrets: &[&str]) -> Mask {
    Mask::new(&secrets.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>())
}

/// Independent of the code that is tested.
fn base64(bytes: &[u8]) -> String {
    let alphabet: Vec<char> =
        ('A'..='Z').chain('a'..='z').chain('0'..='9').chain(['+', '/']).collect();
    let bits: Vec<bool> =
        bytes.iter().flat_map(|b| (0..8).rev().map(move |i| b >> i & 1 == 1)).collect();
    let mut out: String = bits
        .chunks(6)
        .map(|six| {
            let n = (0..6).fold(0, |n, i| n * 2 + usize::from(six.get(i) == Some(&true)));
            alphabet[n]
        })
        .collect();
    while !out.len().is_multiple_of(4) {
        out.push('=');
    }
    out
}

#[test]
fn secrets_are_masked_wherever_they_stand() {
    let mask = mask(&["s3cret!", "abcdef", "defghi", "x"]);
    for (text, want) in [
        ("a s3cret! b", "a [MASKED] b"),
        ("s3cret!s3cret!", "[MASKED]"),
        ("abcdefghi.", "[MASKED]."),
        ("s3cret s3cre", "s3cret s3cre"),
        ("xx s3cs3cret!\n", "xx s3c[MASKED]\n"),
        ("", ""),
    ] {
        assert_eq!(words(&mask, text), want, "{text}");
    }
    assert_eq!(words(&Mask::new(&[]), "plain"), "plain");
    assert_eq!(words(&super::Mask::new(&["abc".into()]), "abc"), "abc", "too short to hide");
}

#[test]
fn what_shells_and_encoders_write_is_known() {
    let secret = "pa$s'w \"rd\\/é<1>";
    let mask = mask(&[secret]);
    for (what, spelling) in [
        ("bash -x", "pa$s'\\''w \"rd\\/é<1>"),
        ("dash -x", "pa$s'\"'\"'w \"rd\\/é<1>"),
        ("double quotes", "pa\\$s'w \\\"rd\\\\/é<1>"),
        ("printf %q", "pa\\$s\\'w\\ \\\"rd\\\\/é\\<1\\>"),
        ("json", "pa$s'w \\\"rd\\\\/é<1>"),
        ("json of python", "pa$s'w \\\"rd\\\\/\\u00e9<1>"),
        ("json of php", "pa$s'w \\\"rd\\\\\\/\\u00e9<1>"),
        ("json of go", "pa$s'w \\\"rd\\\\/é\\u003c1\\u003e"),
        ("encodeURIComponent", "pa%24s'w%20%22rd%5C%2F%C3%A9%3C1%3E"),
        ("a form", "pa%24s%27w+%22rd%5C%2F%C3%A9%3C1%3E"),
        ("quote of python", "pa%24s%27w%20%22rd%5C/%C3%A9%3C1%3E"),
    ] {
        let text = format!("[{spelling}]");
        assert_eq!(words(&mask, &text), "[[MASKED]]", "{what}");
    }
}

#[test]
fn lines_of_a_key_are_masked_and_its_frame_is_not() {
    let key = "-----BEGIN KEY-----\nMIIBVwIBADANBgkq\nab\nhkiG9w0BAQEFAASC\n-----END KEY-----\n";
    let mask = mask(&[key]);
    let shown = words(&mask, key);
    assert_eq!(shown, "-----BEGIN KEY-----\n[MASKED]\nab\n[MASKED]\n-----END KEY-----\n");
    let whole = base64(key.as_bytes());
    let lines: Vec<&str> =
        whole.as_bytes().chunks(76).map(|c| std::str::from_utf8(c).unwrap()).collect();
    assert_eq!(words(&mask, &lines.join("\n")).replace('\n', ""), "[MASKED]".repeat(lines.len()));
    let json = serde_json::to_string(key).unwrap();
    assert_eq!(words(&mask, &json), "\"[MASKED]\\n\"");
}

#[test]
fn what_cannot_be_a_secret_any_more_is_shown_at_once() {
    let mask = mask(&["secret"]);
    let mut masked = mask.stream().unwrap();
    let mut out = Vec::new();
    masked.feed(b"Password? se", &mut out);
    assert_eq!(out, b"Password? ", "only what may begin one waits");
    masked.feed(b"t", &mut out);
    assert_eq!(out, b"Password? set");
    masked.feed(b" sec\n", &mut out);
    assert_eq!(out, b"Password? set sec\n", "a line never waits for the next");
}

/// Letters that no spelling begins or goes on with, so that what stands around a secret is not taken for it.
fn around() -> impl Strategy<Value = String> {
    "[#~|{}^ ]{0,12}"
}

proptest! {
    #[test]
    fn no_spelling_leaks_however_it_is_cut(
        secret in "[a-zA-Z0-9+/=!@$%&*()é漢\"'\\\\ -]{6,60}",
        before in around(), after in around(), which in 0..9_usize,
        cuts in proptest::collection::vec(0..400_usize, 0..8),
    ) {
        let secret = secret.trim().to_owned();
        prop_assume!(secret.len() >= 6);
        let bytes = secret.as_bytes();
        let percent: String = bytes.iter().map(|b| format!("%{b:02X}")).collect();
        let spelling = match which {
            0 => secret.clone(),
            1 => base64(bytes),
            // As a part of something longer: the letters at its borders hold bits of others.
            2 => base64(&[b":", bytes].concat())[2..].trim_end_matches('=').to_owned(),
            3 => base64(&[b"u:", bytes].concat())[3..].trim_end_matches('=').to_owned(),
            4 => base64(bytes).replace('+', "-").replace('/', "_").trim_end_matches('=').to_owned(),
            5 => bytes.iter().map(|b| format!("{b:02x}")).collect(),
            6 => percent,
            7 => {
                let json = serde_json::to_string(&secret).unwrap();
                json[1..json.len() - 1].to_owned()
            }
            _ => secret.replace('\'', "'\\''"),
        };
        let text = format!("{before}{spelling}{after}").into_bytes();
        let mut at: Vec<usize> = cuts.into_iter().map(|c| c.min(text.len())).collect();
        at.extend([0, text.len()]);
        at.sort_unstable();
        let chunks: Vec<&[u8]> = at.windows(2).map(|w| &text[w[0]..w[1]]).collect();
        let shown = through(&mask(&[&secret]), &chunks);
        let shown = String::from_utf8(shown).unwrap();
        // Of base64 inside of something else one letter at each border may stay: it holds a part of one
        // byte of the secret, and as much of what stands beside it.
        let rest = shown.replace("[MASKED]", "");
        prop_assert!(shown.contains("[MASKED]"), "{shown} of {spelling}");
        let border = usize::from(matches!(which, 2 | 3)) * 2;
        prop_assert!(rest.len() <= before.len() + after.len() + border, "{shown} of {spelling}");
        prop_assert!(shown.starts_with(&before) && shown.ends_with(&after));
    }

    #[test]
    fn text_without_secrets_is_unchanged(
        secret in "[A-Z]{8,20}", text in "[ -@\\[-~\n]{0,300}", cuts in proptest::collection::vec(0..300_usize, 0..6),
    ) {
        prop_assume!(!text.contains(|c: char| c.is_ascii_uppercase()));
        let text = text.into_bytes();
        let mut at: Vec<usize> = cuts.into_iter().map(|c| c.min(text.len())).collect();
        at.extend([0, text.len()]);
        at.sort_unstable();
        let chunks: Vec<&[u8]> = at.windows(2).map(|w| &text[w[0]..w[1]]).collect();
        let encoded = base64(secret.as_bytes()).to_lowercase();
        prop_assume!(!String::from_utf8_lossy(&text).to_lowercase().contains(&encoded[..4]));
        prop_assert_eq!(through(&mask(&[&secret]), &chunks), text);
    }

    #[test]
    fn any_secret_in_any_text_is_handled(
        secrets in proptest::collection::vec("(?s).{0,30}", 0..3), text: Vec<u8>,
    ) {
        through(&Mask::new(&secrets), &[&text]);
    }
}

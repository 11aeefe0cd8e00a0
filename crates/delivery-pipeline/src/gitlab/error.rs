//! What can be wrong with a pipeline file. Every error names its place.

use super::keywords;
use super::yaml::At;
use kernel::{Error, Text, shown, text};

fn new(at: &At, code: &'static str, say: Text) -> Error {
    Error::invalid(code, say).at(&*at.file, at.line, at.column)
}

pub fn too_large(at: &At, bytes: usize, limit: usize) -> Error {
    new(
        at,
        "pipeline.too_large",
        text!(
            "the file has {bytes} bytes, the limit is {limit}",
            "파일이 {bytes}바이트로 제한 {limit}바이트를 넘습니다"
        ),
    )
}

pub fn not_utf8(at: &At) -> Error {
    let say = Text::fixed("the file is not UTF-8 text", "파일이 UTF-8 텍스트가 아닙니다");
    new(at, "pipeline.yaml", say)
}

pub fn not_yaml(at: &At, why: &str) -> Error {
    let why = shown(why);
    new(at, "pipeline.yaml", text!("this is not YAML: {why}", "YAML이 아닙니다: {why}")).hint(
        Text::fixed(
            "check the indentation and quotes at and above this line",
            "이 줄과 그 위의 들여쓰기와 따옴표를 확인하세요",
        ),
    )
}

pub fn self_alias(at: &At) -> Error {
    let say = Text::fixed(
        "this alias names something that contains it",
        "이 별칭은 자신을 담고 있는 것을 가리킵니다",
    );
    new(at, "pipeline.yaml", say)
}

pub fn too_deep(at: &At, limit: usize) -> Error {
    let say = text!("nested more than {limit} levels deep", "{limit}단계보다 깊게 중첩되었습니다");
    new(at, "pipeline.too_deep", say)
}

pub fn bomb(at: &At, limit: usize) -> Error {
    new(
        at,
        "pipeline.too_many_nodes",
        text!(
            "with all aliases written out the file has more than {limit} values",
            "별칭을 모두 펼치면 값이 {limit}개를 넘습니다"
        ),
    )
    .hint(Text::fixed("use fewer aliases of aliases", "별칭을 여러 겹으로 겹쳐 쓰지 마세요"))
}

pub fn odd_key(at: &At) -> Error {
    new(at, "pipeline.yaml", Text::fixed("a key must be a word", "키는 낱말이어야 합니다"))
}

pub fn odd_merge(at: &At) -> Error {
    let say =
        Text::fixed("`<<` takes a map or a list of maps", "`<<`에는 맵이나 맵의 목록을 쓰세요");
    new(at, "pipeline.yaml", say)
}

pub fn odd_reference(at: &At) -> Error {
    let say =
        Text::fixed("`!reference` takes a list of keys", "`!reference`에는 키의 목록을 쓰세요");
    new(at, "pipeline.reference", say).hint(Text::plain("!reference [job, key]"))
}

pub fn odd_tag(at: &At, tag: &str) -> Error {
    let tag = shown(tag);
    new(at, "pipeline.yaml", text!("the tag `{tag}` is not known", "`{tag}` 태그를 알 수 없습니다"))
        .hint(Text::fixed("`!reference` is the only one", "`!reference`만 쓸 수 있습니다"))
}

pub fn twice(at: &At, key: &str, first: &At) -> Error {
    let (key, line) = (shown(key), first.line);
    new(
        at,
        "pipeline.duplicate",
        text!(
            "`{key}` is given twice; the first one is at {first}",
            "`{key}`이(가) 두 번 나옵니다. 첫 번째는 {first}에 있습니다"
        ),
    )
    .hint(text!(
        "remove one of the two, or merge it into line {line}",
        "하나를 지우거나 {line}번째 줄에 합치세요"
    ))
}

/// A value of the wrong shape. `wanted` is a pair of noun phrases.
pub fn wanted(at: &At, key: &str, wanted: (&str, &str)) -> Error {
    let (en, ko, key) = (wanted.0, wanted.1, shown(key));
    new(at, "pipeline.value", text!("`{key}` takes {en}", "`{key}`에는 {ko} 써야 합니다"))
}

/// A line of a script that YAML reads as a map.
pub fn colon(at: &At, key: &str) -> Error {
    let say = text!(
        "this line of `{key}` is a map, not a command",
        "`{key}`의 이 줄은 명령이 아니라 맵입니다"
    );
    new(at, "pipeline.value", say).hint(Text::fixed(
        "put the whole line in quotes: `: ` in it makes YAML see a key",
        "줄 전체를 따옴표로 감싸세요. 안에 있는 `: ` 때문에 YAML이 키로 읽습니다",
    ))
}

/// A keyword nobody knows; `known` are the words that could stand here.
pub fn unknown_key(at: &At, key: &str, inside: &str, known: &[&str]) -> Error {
    let (key_shown, inside) = (shown(key), shown(inside));
    let error = new(
        at,
        "pipeline.unknown_keyword",
        text!(
            "`{inside}` has no keyword `{key_shown}`",
            "`{inside}`에 `{key_shown}` 키워드는 없습니다"
        ),
    );
    error.hint(nearest(key, known))
}

/// “did you mean …”, or the list of what there is.
pub fn nearest(word: &str, known: &[&str]) -> Text {
    let best = known.iter().map(|k| (distance(word, k), *k)).min();
    match best {
        Some((d, near)) if d <= 1 + near.len() / 4 => {
            text!("did you mean `{near}`?", "혹시 `{near}`인가요?")
        }
        _ => {
            let mut all: Vec<&str> = known.iter().copied().take(40).collect();
            all.sort_unstable();
            let all = all.join(", ");
            text!("possible here: {all}", "여기에 쓸 수 있는 것: {all}")
        }
    }
}

/// Edit distance with swaps of neighbours (optimal string alignment), of at most 64 characters.
pub fn distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.chars().take(64).collect();
    let b: Vec<char> = b.chars().take(64).collect();
    let at = |row: &[usize], i: usize| row.get(i).copied().unwrap_or(usize::MAX / 2);
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let swap = i > 0 && j > 0 && a.get(i - 1) == Some(y) && b.get(j - 1) == Some(x);
            let mut cost =
                (at(&last, j) + usize::from(x != y)).min(at(&last, j + 1) + 1).min(at(&row, j) + 1);
            if swap {
                cost = cost.min(at(&before, j - 1) + 1);
            }
            row.push(cost);
        }
        before = std::mem::replace(&mut last, row);
    }
    at(&last, b.len())
}

/// A keyword of the dialect that naru does not do yet; `hint` says what to write instead.
pub fn unsupported(at: &At, key: &str, hint: Text) -> Error {
    let key = shown(key);
    new(
        at,
        "pipeline.unsupported",
        text!("`{key}` is not supported yet", "`{key}`은(는) 아직 지원하지 않습니다"),
    )
    .hint(hint)
}

/// The warning about a keyword that is accepted and does nothing.
pub fn no_effect(at: &At, key: &str) -> (At, Text) {
    let known = keywords::NO_EFFECT.iter().find(|(k, _)| *k == key);
    let unknown = ("naru has no use for it", "naru에는 쓸 데가 없습니다");
    let (en, ko) = known.map_or(unknown, |(_, meaning)| *meaning);
    let key = shown(key);
    let say = text!("`{key}` has no effect: {en}", "`{key}`은(는) 효과가 없습니다: {ko}");
    (at.clone(), say)
}

pub fn expression(at: &At, words: &str, column: usize, why: Text) -> Error {
    let (words, en, ko) = (shown(words), why.en, why.ko);
    let say = text!(
        "`{words}` cannot be read at its character {column}: {en}",
        "`{words}`의 {column}번째 글자에서 읽을 수 없습니다: {ko}"
    );
    new(at, "pipeline.expression", say).hint(Text::fixed(
        "use $VAR, \"text\", null, ==, !=, =~, !~, &&, ||, parentheses and /regex/",
        "$VAR, \"문자열\", null, ==, !=, =~, !~, &&, ||, 괄호, /정규식/을 쓰세요",
    ))
}

pub fn regex(at: &At, pattern: &str, why: &str) -> Error {
    let pattern = shown(pattern);
    let why = shown(why.lines().last().unwrap_or(""));
    let say = text!(
        "`{pattern}` is not a regular expression: {why}",
        "`{pattern}`은(는) 정규식이 아닙니다: {why}"
    );
    new(at, "pipeline.regex", say)
}

pub fn general(at: &At, code: &'static str, say: Text) -> Error {
    new(at, code, say)
}

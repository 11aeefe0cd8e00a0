//! What can go wrong, as its reader meets it.

use kernel::{Error, ErrorKind, Text, shown, text};
use std::io;

/// A full disk is the reader's to mend; every other failure of our own directory is ours.
pub(crate) fn io(error: io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => full().why(&error),
        _ => Error::internal(format!("blobs: {error}")),
    }
}

/// The same words as the store's, so that a full disk looks alike wherever it is met.
fn full() -> Error {
    Error::new(
        ErrorKind::Full,
        "disk.full",
        Text::fixed(
            "the disk under the data directory is full: nothing was written",
            "데이터 디렉터리의 디스크가 가득 찼습니다. 아무것도 기록하지 않았습니다",
        ),
    )
    .hint(Text::fixed(
        "free some space and try again; running services are not touched",
        "공간을 비운 뒤 다시 시도하세요. 실행 중인 서비스는 그대로입니다",
    ))
}

pub(crate) fn unknown(hash: &str) -> Error {
    let hash = shown(hash);
    Error::not_found("blob.unknown", text!("no blob {hash}", "{hash} 블롭이 없습니다"))
}

pub(crate) fn unknown_at(path: &str, hash: &str) -> Error {
    let path = shown(path);
    Error::not_found(
        "blob.unknown",
        text!("the content of {path} is not stored", "{path}의 내용이 저장되어 있지 않습니다"),
    )
    .why(hash)
}

pub(crate) fn damaged(hash: &str) -> Error {
    Error::new(
        ErrorKind::Internal,
        "blob.damaged",
        text!(
            "the bytes of blob {hash} are not the ones that were stored",
            "{hash} 블롭의 내용이 저장할 때와 다릅니다"
        ),
    )
    .hint(Text::fixed(
        "restore the data directory from a backup, or store the content again",
        "데이터 디렉터리를 백업에서 복원하거나 내용을 다시 저장하세요",
    ))
}

pub(crate) fn too_large(limit: u64) -> Error {
    Error::new(
        ErrorKind::TooLarge,
        "blob.too-large",
        text!("it is larger than {limit} bytes", "{limit}바이트보다 큽니다"),
    )
}

pub(crate) fn cut_short(error: &io::Error) -> Error {
    Error::invalid(
        "blob.cut-short",
        Text::fixed(
            "the upload ended before it was complete",
            "업로드가 끝나기 전에 연결이 끊겼습니다",
        ),
    )
    .hint(Text::fixed("send it again", "다시 보내세요"))
    .why(error)
}

pub(crate) fn not_a_file(path: &str) -> Error {
    let path = shown(path);
    Error::invalid(
        "blob.not-a-file",
        text!("{path} is not a regular file", "{path}은(는) 일반 파일이 아닙니다"),
    )
}

/// A file of the caller's that cannot be read.
pub(crate) fn unreadable(path: &str, error: io::Error) -> Error {
    let path = shown(path);
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => io(error),
        io::ErrorKind::NotFound => {
            Error::not_found("tree.missing", text!("there is no {path}", "{path}이(가) 없습니다"))
        }
        _ => Error::invalid(
            "tree.unreadable",
            text!("{path} cannot be read", "{path}을(를) 읽을 수 없습니다"),
        )
        .why(error),
    }
}

pub(crate) fn path(path: &str, what: Text) -> Error {
    let (path, en, ko) = (shown(path), what.en, what.ko);
    Error::invalid("tree.path", text!("“{path}”: {en}", "“{path}”: {ko}"))
}

pub(crate) fn conflict(path: &str) -> Error {
    let path = shown(path);
    Error::invalid(
        "tree.conflict",
        text!(
            "“{path}” is in the tree twice, or is both a file and a directory",
            "“{path}”이(가) 트리에 두 번 있거나 파일이면서 디렉터리입니다"
        ),
    )
}

pub(crate) fn size(path: &str) -> Error {
    let path = shown(path);
    Error::invalid(
        "tree.size",
        text!(
            "“{path}” has another size than its content",
            "“{path}”의 크기가 실제 내용과 다릅니다"
        ),
    )
}

pub(crate) fn mode(path: &str, mode: u32) -> Error {
    let path = shown(path);
    Error::invalid(
        "tree.mode",
        text!(
            "“{path}” has mode {mode:o}, which a tree cannot hold",
            "“{path}”의 모드 {mode:o}은(는) 트리에 담을 수 없습니다"
        ),
    )
}

pub(crate) fn not_a_tree(why: impl std::fmt::Display) -> Error {
    Error::invalid(
        "tree.invalid",
        Text::fixed("this blob is not a tree of files", "이 블롭은 파일 트리가 아닙니다"),
    )
    .why(why)
}

pub(crate) fn tree_too_large(limit: u64) -> Error {
    Error::new(
        ErrorKind::TooLarge,
        "tree.too-large",
        text!(
            "the files are larger than {limit} bytes together",
            "파일을 모두 합치면 {limit}바이트보다 큽니다"
        ),
    )
    .hint(choose_less())
}

pub(crate) fn too_many_files(limit: u64) -> Error {
    Error::new(
        ErrorKind::TooLarge,
        "tree.too-many-files",
        text!("there are more than {limit} files", "파일이 {limit}개보다 많습니다"),
    )
    .hint(choose_less())
}

fn choose_less() -> Text {
    Text::fixed(
        "choose fewer paths, or exclude what is not needed",
        "경로를 줄이거나 필요 없는 파일을 제외하세요",
    )
}

pub(crate) fn too_deep(path: &str) -> Error {
    self::path(
        path,
        Text::fixed("directories are nested too deeply", "디렉터리가 너무 깊이 중첩되어 있습니다"),
    )
}

pub(crate) fn glob(pattern: &str, what: Text) -> Error {
    let (pattern, en, ko) = (shown(pattern), what.en, what.ko);
    Error::invalid(
        "glob.invalid",
        text!(
            "“{pattern}” is not a path pattern: {en}",
            "“{pattern}”은(는) 경로 패턴이 아닙니다: {ko}"
        ),
    )
    .hint(Text::fixed(
        "write paths relative to the working directory, such as dist/, *.so or **/report.xml",
        "dist/, *.so, **/report.xml처럼 작업 디렉터리 기준 상대 경로로 쓰세요",
    ))
}

pub(crate) fn in_the_way(path: &str, error: io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => return io(error),
        _ => {}
    }
    let path = shown(path);
    Error::conflict(
        "tree.in-the-way",
        text!(
            "“{path}” cannot be written: something else is in its place",
            "“{path}” 자리에 다른 것이 있어 쓸 수 없습니다"
        ),
    )
    .why(error)
}

//! SQLite's errors as the caller meets them.

use kernel::{Error, ErrorKind, Text};
use rusqlite::ErrorCode;

/// A full disk is the one storage error that its reader can mend; every other one is ours.
pub(crate) fn sql(error: rusqlite::Error) -> Error {
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => full().why(&error),
        // A WAL that cannot grow is reported as an I/O error by some file systems.
        Some(ErrorCode::SystemIoFailure) if is_no_space(&error) => full().why(&error),
        _ => Error::internal(format!("store: {error}")),
    }
}

fn is_no_space(error: &rusqlite::Error) -> bool {
    // SQLITE_IOERR_WRITE, SQLITE_IOERR_FSYNC, SQLITE_IOERR_TRUNCATE, SQLITE_IOERR_SHMSIZE
    // (https://sqlite.org/rescode.html)
    const WRITES: [i32; 4] = [778, 1034, 1546, 4874];
    error.sqlite_error().is_some_and(|e| WRITES.contains(&e.extended_code))
}

pub(crate) fn full() -> Error {
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

//! Bounds on what a test may ask for, and the machine's own on open files.

use kernel::{Error, ErrorKind, Result, text};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Of all scenarios together: each VU holds a connection of HTTP/1.1.
pub const VUS: u32 = 50_000;
/// Iterations a second of one scenario.
pub const RATE: f64 = 1_000_000.0;
/// Seconds.
pub const LENGTH: f64 = 24.0 * 3600.0;
/// Requests, checks and choices of a test.
pub const STEPS: usize = 1000;
pub const SCENARIOS: usize = 64;
/// Bytes of one data file.
pub const DATA: u64 = 64 * 1024 * 1024;
/// Bytes of an answer that are looked into by checks and extracts.
pub const BODY: usize = 4 * 1024 * 1024;
/// Files that are open beside the connections.
const SPARE: u64 = 64;

/// Makes room for as many connections, as far as the machine lets us.
///
/// # Errors
/// `load.files`, naming the limit and how to raise it.
pub fn files(connections: u32) -> Result<()> {
    let wanted = u64::from(connections) + SPARE;
    let now = getrlimit(Resource::Nofile);
    if now.current.is_none_or(|current| current >= wanted) {
        return Ok(());
    }
    let most = now.maximum.unwrap_or(u64::MAX);
    let raised = Rlimit { current: Some(wanted.min(most)), maximum: now.maximum };
    if most >= wanted && setrlimit(Resource::Nofile, raised).is_ok() {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Unavailable,
        "load.files",
        text!(
            "{connections} connections need {wanted} open files, and this process may have {most}",
            "연결 {connections}개에는 파일 {wanted}개를 열 수 있어야 하는데, 이 프로세스의 한도는 {most}개입니다"
        ),
    )
    .hint(text!(
        "raise it with `ulimit -n {wanted}`, or lower `maxVUs`",
        "`ulimit -n {wanted}`으로 한도를 올리거나 `maxVUs`를 줄이세요"
    )))
}

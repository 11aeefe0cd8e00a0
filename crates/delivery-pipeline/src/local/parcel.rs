//! A finished local run on its way to a server: a length of four bytes (big-endian), a head in JSON, and then
//! the parts that the head lists, one after the other.

use crate::work::Output;
use kernel::{Error, Result, Text, text};
use run::Run;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use tokio::io::{AsyncRead, AsyncReadExt};

/// Bytes of the largest head.
pub const MAX_HEAD: u32 = 8 << 20;
/// Bytes of the largest log, and of the largest file.
pub const MAX_LOG: u64 = 64 << 20;
pub const MAX_FILE: u64 = 1 << 30;
/// Bytes of all parts together, and how many there may be.
pub const MAX_WHOLE: u64 = 2 << 30;
pub const MAX_PARTS: usize = 20_000;

/// What is told before the parts come.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Head {
    pub run: Run,
    /// The commit that was checked out, if there was one.
    pub commit: Option<String>,
    /// Whether there were uncommitted changes.
    pub dirty: bool,
    /// Trees of artifacts, made of files that come as parts.
    pub trees: Vec<Tree>,
    /// In the order in which they follow.
    pub parts: Vec<Part>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Tree {
    pub hash: String,
    pub entries: Vec<blob::Entry>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// What an attempt of a step has printed.
    Log { step: usize, attempt: u32, size: u64 },
    /// A file by its content.
    File { hash: String, size: u64 },
}

impl Part {
    pub fn size(&self) -> u64 {
        match self {
            Part::Log { size, .. } | Part::File { size, .. } => *size,
        }
    }
}

/// Reads and checks the head of a parcel.
///
/// # Errors
/// `parcel.invalid`, `parcel.too-large`.
pub async fn head(from: &mut (impl AsyncRead + Unpin)) -> Result<Head> {
    let length = from.read_u32().await.map_err(|e| invalid(&e.to_string()))?;
    if length > MAX_HEAD {
        return Err(too_large());
    }
    let mut bytes = Vec::new();
    from.take(u64::from(length))
        .read_to_end(&mut bytes)
        .await
        .map_err(|e| invalid(&e.to_string()))?;
    let head: Head = serde_json::from_slice(&bytes).map_err(|e| invalid(&e.to_string()))?;
    check(&head)?;
    Ok(head)
}

/// Whether the parts stay within bounds and belong to steps that there are.
fn check(head: &Head) -> Result<()> {
    let total = head.parts.iter().try_fold(0_u64, |sum, part| sum.checked_add(part.size()));
    let over = |part: &Part| match part {
        Part::Log { size, .. } => *size > MAX_LOG,
        Part::File { size, .. } => *size > MAX_FILE,
    };
    if head.parts.len() > MAX_PARTS
        || total.is_none_or(|total| total > MAX_WHOLE)
        || head.parts.iter().any(over)
    {
        return Err(too_large());
    }
    let steps = head.run.steps.len();
    let strange = |part: &Part| matches!(part, Part::Log { step, .. } if *step >= steps);
    if head.parts.iter().any(strange) {
        return Err(invalid("a log of no step"));
    }
    Ok(())
}

/// Of what a step left only that which came along, or else does not refer to anything.
pub fn sound(
    output: &serde_json::Value,
    trees: &BTreeSet<String>,
    files: &BTreeSet<String>,
) -> Output {
    let output: Output = serde_json::from_value(output.clone()).unwrap_or_default();
    Output {
        artifacts: output.artifacts.filter(|tree| trees.contains(tree)),
        reports: output.reports.into_iter().filter(|r| files.contains(&r.blob)).collect(),
        coverage: output.coverage.filter(|c| c.is_finite()),
        cpu_ms: output.cpu_ms,
        user_ms: output.user_ms,
        ..Output::default()
    }
}

pub fn invalid(why: &str) -> Error {
    let say =
        Text::fixed("this is no run that could be taken in", "받아들일 수 있는 실행이 아닙니다");
    let shown: String = why.chars().filter(|c| !c.is_control()).take(200).collect();
    Error::invalid("parcel.invalid", say).hint(text!("because: {shown}", "까닭: {shown}"))
}

fn too_large() -> Error {
    let say = text!(
        "the run is too large: at most {MAX_WHOLE} bytes in {MAX_PARTS} parts, {MAX_LOG} for a log",
        "실행이 너무 큽니다. 최대 {MAX_WHOLE}바이트, {MAX_PARTS}개, 로그 하나는 {MAX_LOG}바이트입니다"
    );
    Error::new(kernel::ErrorKind::TooLarge, "parcel.too-large", say)
        .hint(Text::fixed("leave out `--with-artifacts`", "`--with-artifacts`를 빼세요"))
}

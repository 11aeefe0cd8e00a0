//! LCOV tracefiles (`geninfo(1)`, versions 1 and 2).

use super::File;
use super::plain::name;
use kernel::text;
use std::collections::BTreeMap;

/// The record of one source file.
#[derive(Default)]
struct Record {
    path: String,
    lines: BTreeMap<u32, u64>,
    functions: BTreeMap<String, bool>,
    /// As counted by the file itself, where it does not list them.
    found: (u64, u64),
    branches: (u64, u64),
}

pub(super) fn read(words: &str, file: &mut File<'_>) {
    let mut record: Option<Record> = None;
    let mut any = false;
    for (i, line) in words.lines().enumerate() {
        let number = u32::try_from(i + 1).unwrap_or(u32::MAX);
        let line = line.trim();
        if line == "end_of_record" {
            finish(record.take(), file);
            continue;
        }
        let Some((key, value)) = line.split_once(':') else {
            if !line.is_empty() && !line.starts_with('#') {
                let shown: String = line.chars().take(40).collect();
                file.problem(
                    number,
                    text!("no record of LCOV: {shown}", "LCOV 기록이 아닙니다: {shown}"),
                );
            }
            continue;
        };
        match key {
            "SF" => {
                finish(record.take(), file);
                any = true;
                record = Some(Record { path: name(value), ..Record::default() });
            }
            "TN" | "VER" => any = true,
            _ => {
                let Some(record) = record.as_mut() else { continue };
                if entry(record, key, value).is_none() {
                    let shown: String = line.chars().take(40).collect();
                    file.problem(
                        number,
                        text!("not understood: {shown}", "읽지 못했습니다: {shown}"),
                    );
                }
            }
        }
    }
    finish(record, file);
    if !any {
        file.problem(1, kernel::Text::fixed("there is no LCOV in it", "LCOV 기록이 없습니다"));
    }
}

/// `None`: it does not fit.
fn entry(record: &mut Record, key: &str, value: &str) -> Option<()> {
    match key {
        "DA" => {
            let mut parts = value.split(',');
            let line: u32 = parts.next()?.trim().parse().ok()?;
            let hits = count(parts.next()?)?;
            let known = record.lines.entry(line).or_default();
            *known = known.saturating_add(hits);
        }
        "FNDA" => {
            let (hits, function) = value.split_once(',')?;
            *record.functions.entry(name(function)).or_default() |= count(hits)? > 0;
        }
        "FN" => {
            // `line,name` or, from version 2 on, `line,end,name`.
            let function = value.rsplit(',').next()?;
            record.functions.entry(name(function)).or_default();
        }
        "FNA" => {
            let mut parts = value.splitn(3, ',');
            let (_, hits, function) = (parts.next()?, parts.next()?, parts.next()?);
            *record.functions.entry(name(function)).or_default() |= count(hits)? > 0;
        }
        "FNF" => record.found.1 = count(value)?,
        "FNH" => record.found.0 = count(value)?,
        "BRDA" => {
            let taken = value.rsplit(',').next()?.trim();
            record.branches.1 = record.branches.1.saturating_add(1);
            if taken != "-" && count(taken)? > 0 {
                record.branches.0 = record.branches.0.saturating_add(1);
            }
        }
        // Sums of the above, and what is of no concern here.
        _ => {}
    }
    Some(())
}

/// A count; some tools write negative ones for an overflow.
fn count(words: &str) -> Option<u64> {
    let count: f64 = words.trim().parse().ok()?;
    count.is_finite().then(|| count.max(0.0) as u64)
}

fn finish(record: Option<Record>, file: &mut File<'_>) {
    let Some(record) = record else { return };
    let Some(cover) = file.cover(&record.path) else { return };
    for (line, hits) in record.lines {
        if line > 0 {
            cover.hit(line, hits);
        }
    }
    let functions = match record.functions.len() as u64 {
        0 => record.found,
        all => (record.functions.values().filter(|hit| **hit).count() as u64, all),
    };
    super::cobertura::sum(cover, record.branches, functions);
}

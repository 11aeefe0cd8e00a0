//! What pipelines cost, week by week.

use crate::Reports;
use crate::record::{COST, Cost, monday};
use kernel::{Name, Result, Time};
use serde::Serialize;
use std::collections::BTreeMap;
use store::View;

/// Rows of a project that are read: a year of some hundred jobs on some branches.
const ROWS: usize = 100_000;
const WEEK: i64 = 7 * 86_400_000;

/// A share of the cost, in core-seconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Share {
    pub name: String,
    pub attempts: u64,
    pub core_s: f64,
    pub failed_s: f64,
    pub retried_s: f64,
    pub wall_s: f64,
    /// Attempts whose processor time is not known.
    pub estimated: u64,
}

/// The cost of a project, cut three ways; the dearest first, weeks by time.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Costs {
    pub weeks: Vec<Share>,
    pub jobs: Vec<Share>,
    pub branches: Vec<Share>,
    pub total: Share,
}

fn seconds(ms: u64) -> f64 {
    ms as f64 / 1000.0
}

impl Share {
    fn add(&mut self, cost: &Cost) {
        self.attempts += cost.attempts;
        self.core_s += seconds(cost.core_ms);
        self.failed_s += seconds(cost.failed_ms);
        self.retried_s += seconds(cost.retried_ms);
        self.wall_s += seconds(cost.wall_ms);
        self.estimated += cost.estimated;
    }
}

/// Of the last `weeks` weeks, this one included.
pub(crate) fn costs(v: &View<'_>, project: &Name, weeks: u32, now: Time) -> Result<Costs> {
    let first = monday(Time(now.0 - (i64::from(weeks.clamp(1, 520)) - 1) * WEEK));
    let prefix = format!("{project}/");
    let rows: Vec<(String, Cost)> =
        v.rows(COST, &prefix, Some(&format!("{prefix}{first}")), ROWS)?;
    let mut cuts: [BTreeMap<String, Share>; 3] = Default::default();
    let mut total = Share::default();
    for (key, cost) in rows {
        let parts: Vec<&str> = key.split('/').collect();
        let [_, week, repository, branch, job] = parts[..] else { continue };
        let names = [
            week.to_owned(),
            format!("{repository}: {}", plain(job)),
            format!("{repository}: {}", plain(branch)),
        ];
        for (cut, name) in cuts.iter_mut().zip(names) {
            cut.entry(name.clone())
                .or_insert_with(|| Share { name, ..Share::default() })
                .add(&cost);
        }
        total.add(&cost);
    }
    let [weeks, jobs, branches] = cuts.map(|cut| cut.into_values().collect::<Vec<Share>>());
    Ok(Costs { weeks, jobs: dearest(jobs), branches: dearest(branches), total })
}

fn dearest(mut shares: Vec<Share>) -> Vec<Share> {
    shares.sort_by(|a, b| b.core_s.total_cmp(&a.core_s));
    shares.truncate(100);
    shares
}

/// Undoes [`web::segment`].
fn plain(words: &str) -> String {
    let mut out = Vec::with_capacity(words.len());
    let mut rest = words.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let digit = |b: Option<u8>| char::from(b?).to_digit(16);
        match (digit(rest.next()), digit(rest.next())) {
            (Some(a), Some(b)) => out.push(u8::try_from(a * 16 + b).unwrap_or(b'?')),
            _ => out.push(b'?'),
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

impl Reports {
    pub async fn costs(&self, project: &Name, weeks: u32) -> Result<Costs> {
        let (project, now) = (project.clone(), self.store.now());
        self.store.read(move |v| costs(v, &project, weeks, now)).await
    }
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn keys_are_read_back() {
        for words in ["main", "feature/x y", "한글", "100%"] {
            assert_eq!(plain(&web::segment(words)), words);
        }
    }
}

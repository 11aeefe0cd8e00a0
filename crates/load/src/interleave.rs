//! Two servers on the same machine, in turns, until it can be told whether one is slower.

use crate::engine::{Options, run};
use crate::judge::{Judgement, Rules, Verdict, paired};
use crate::plan::Plan;
use crate::report::{Block, report};
use kernel::Result;
use std::sync::Arc;
use std::time::Duration;

/// Pairs after which it is looked whether that is enough. Each look has its part of the level.
pub const LOOKS: [usize; 3] = [12, 20, 32];

#[derive(Clone, Debug)]
pub struct Looks {
    /// The length of one turn.
    pub block: Duration,
    pub workers: Option<usize>,
    pub rules: Rules,
}

/// Runs base and head in turns, A-B, then B-A, so that neither always comes first. `watch` hears how many
/// pairs are done of how many at the most.
///
/// # Errors
/// As [`run`].
pub async fn interleave(
    base: &Plan,
    head: &Plan,
    looks: &Looks,
    mut watch: impl FnMut(usize, usize),
) -> Result<Vec<Judgement>> {
    let plans = [Arc::new(base.steady(looks.block)), Arc::new(head.steady(looks.block))];
    let rules = Rules { looks: LOOKS.len(), ..looks.rules };
    let names: Vec<String> = base.scenarios.iter().map(|s| s.name.clone()).collect();
    let mut pairs: Vec<Vec<(Block, Block)>> = vec![Vec::new(); names.len()];
    let most = LOOKS.last().copied().unwrap_or(0);
    // One turn of each that does not count: names are looked up, caches are warm.
    for plan in &plans {
        turn(plan, looks.workers).await?;
    }
    let judge = |pairs: &[Vec<(Block, Block)>]| -> Vec<Judgement> {
        names.iter().zip(pairs).map(|(name, pairs)| paired(name, pairs, rules)).collect()
    };
    for done in 0..most {
        let order = if done % 2 == 0 { [0, 1] } else { [1, 0] };
        let mut blocks = [Vec::new(), Vec::new()];
        for side in order {
            if let (Some(plan), Some(slot)) = (plans.get(side), blocks.get_mut(side)) {
                *slot = turn(plan, looks.workers).await?;
            }
        }
        let [a, b] = blocks;
        for (pairs, pair) in pairs.iter_mut().zip(a.into_iter().zip(b)) {
            pairs.push(pair);
        }
        watch(done + 1, most);
        if LOOKS.contains(&(done + 1)) {
            let judged = judge(&pairs);
            if judged.iter().all(|j| j.verdict != Verdict::CannotTell) {
                return Ok(judged);
            }
        }
    }
    Ok(judge(&pairs))
}

/// One turn: a block for each scenario.
async fn turn(plan: &Arc<Plan>, workers: Option<usize>) -> Result<Vec<Block>> {
    let outcome = run(plan, &Options { workers, ..Options::default() }, |_| {}).await?;
    let report = report(plan, &outcome, None)?;
    let block = |s: &crate::report::ScenarioReport| Block {
        seconds: outcome.elapsed.as_secs_f64(),
        requests: s.requests,
        failed: s.failed,
        dropped: s.dropped,
        mean: s.duration.mean,
        p50: s.duration.p50,
        p90: s.duration.p90,
        p95: s.duration.p95,
        p99: s.duration.p99,
    };
    Ok(report.scenarios.iter().map(block).collect())
}

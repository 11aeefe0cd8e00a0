//! Runs a plan: workers, each one thread with its share of every scenario.

use crate::flow::{Around, Vu, iterate};
use crate::limits;
use crate::metric::{Stats, Times};
use crate::net::{self, Pool};
use crate::plan::{How, Plan, Scenario};
use crate::report::{self, Block};
use crate::schedule::Curve;
use crate::threshold::Threshold;
use crate::timer::Timer;
use kernel::{Error, Result};
use rustix::time::{ClockId, clock_gettime};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};
use tokio_util::sync::CancellationToken;

/// Iterations a second that one worker is trusted with before there are more.
const PER_WORKER: f64 = 8_000.0;
/// Blocks into which a run is cut for the noise model, if it is long enough.
const BLOCKS: u32 = 20;
/// Blocks at the most: of runs that do not say how long they take.
const MAX_BLOCKS: usize = 2_000;
/// Iterations that may start in one go.
const BURST: u64 = 16;
const TICK: Duration = Duration::from_secs(1);

#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Threads; as many as the rate needs and the machine has, unless said.
    pub workers: Option<usize>,
    /// Ends the run early; iterations under way get no grace.
    pub stop: CancellationToken,
}

/// The last second, for whoever watches.
#[derive(Clone, Debug, Default)]
pub struct Live {
    pub elapsed: Duration,
    pub length: Duration,
    pub requests: u64,
    pub failed: u64,
    pub dropped: u64,
    pub vus: u32,
    /// Milliseconds of requests that ended in this second.
    pub p50: f64,
    pub p99: f64,
}

/// What a run left.
pub struct Outcome {
    pub stats: Stats,
    pub started: SystemTime,
    pub elapsed: Duration,
    /// By scenario.
    pub blocks: Vec<Vec<Block>>,
    pub workers: usize,
    /// Processor time of the generator.
    pub cpu: Duration,
    /// The threshold that ended it.
    pub aborted: Option<String>,
    /// Somebody ended it.
    pub stopped: bool,
}

/// Runs the plan and calls `watch` every second. Threads of its own do the work.
///
/// # Errors
/// `load.files` and `load.hosts`, before anything is sent; internal when threads cannot be had.
pub async fn run(
    plan: &Arc<Plan>,
    options: &Options,
    mut watch: impl FnMut(&Live),
) -> Result<Outcome> {
    limits::files(plan.vus())?;
    net::check_hosts(&plan.settings)?;
    let workers = options.workers.unwrap_or_else(|| workers(plan)).max(1);
    let rows: Arc<Vec<AtomicU64>> = Arc::new(plan.data.iter().map(|_| AtomicU64::new(0)).collect());
    let shared: Arc<Vec<AtomicU64>> =
        Arc::new(plan.scenarios.iter().map(|_| AtomicU64::new(0)).collect());
    let stop = options.stop.child_token();
    let empty = || Stats::new(plan.scenarios.len(), plan.requests.len(), plan.checks.len());
    let all: Vec<Arc<Mutex<Stats>>> = (0..workers).map(|_| Arc::new(Mutex::new(empty()))).collect();
    // A moment ahead, so that every worker is there when the first request is due.
    let start = Instant::now() + Duration::from_millis(20);
    let cpu = cpu_time();
    let mut threads = tokio::task::JoinSet::new();
    for (index, stats) in all.iter().enumerate() {
        let worker = Worker {
            plan: plan.clone(),
            stats: stats.clone(),
            rows: rows.clone(),
            shared: shared.clone(),
            index,
            of: workers,
            start,
            stop: stop.clone(),
        };
        threads.spawn_blocking(move || worker.run());
    }
    let mut clerk = Clerk::new(plan, start);
    let mut ticks = tokio::time::interval_at(tokio::time::Instant::from_std(start + TICK), TICK);
    let mut fault = None;
    loop {
        tokio::select! {
            done = threads.join_next() => match done {
                None => break,
                Some(Ok(Ok(()))) => {}
                Some(Ok(Err(error))) => {
                    fault = Some(error);
                    stop.cancel();
                }
                Some(Err(panicked)) => {
                    fault = Some(Error::internal(panicked));
                    stop.cancel();
                }
            },
            _ = ticks.tick() => {
                let live = clerk.tick(&all);
                watch(&live);
                if clerk.aborted.is_none() && let Some(broken) = clerk.broken(plan, &all) {
                    clerk.aborted = Some(format!("{}: {}", broken.key, broken.words));
                    stop.cancel();
                }
            }
        }
    }
    if let Some(fault) = fault {
        return Err(fault);
    }
    clerk.tick(&all);
    clerk.close();
    let elapsed = start.elapsed();
    let mut stats = empty();
    all.iter().for_each(|s| stats.merge(&s.lock().unwrap_or_else(PoisonError::into_inner)));
    Ok(Outcome {
        stats,
        started: SystemTime::now() - elapsed,
        elapsed,
        blocks: clerk.blocks,
        workers,
        cpu: cpu_time().saturating_sub(cpu),
        stopped: options.stop.is_cancelled(),
        aborted: clerk.aborted,
    })
}

/// How many threads a plan is worth: one for little, because every further one is in the server's way on a
/// shared machine.
fn workers(plan: &Plan) -> usize {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let open = (plan.peak() / PER_WORKER).ceil() as usize;
    let closed =
        plan.scenarios.iter().any(|s| !matches!(s.how, How::Arrivals { .. }) && s.how.vus() > 1);
    let wanted = if closed { cores.max(open) } else { open };
    wanted.clamp(1, cores)
}

fn cpu_time() -> Duration {
    let now = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(now.tv_sec.unsigned_abs(), u32::try_from(now.tv_nsec).unwrap_or(0))
}

/// Keeps the second-by-second view.
struct Clerk {
    start: Instant,
    length: Duration,
    block: Duration,
    open: Vec<(Block, Times)>,
    opened: Instant,
    blocks: Vec<Vec<Block>>,
    aborted: Option<String>,
}

impl Clerk {
    fn new(plan: &Plan, start: Instant) -> Clerk {
        let scenarios = plan.scenarios.len();
        // Whole seconds, because that is how often we look.
        let block = Duration::from_secs((plan.length().as_secs() / u64::from(BLOCKS)).max(1));
        Clerk {
            start,
            length: plan.length(),
            block,
            open: vec![Default::default(); scenarios],
            opened: start,
            blocks: vec![Vec::new(); scenarios],
            aborted: None,
        }
    }

    fn tick(&mut self, all: &[Arc<Mutex<Stats>>]) -> Live {
        let mut live =
            Live { elapsed: self.start.elapsed(), length: self.length, ..Live::default() };
        let mut times = Times::new();
        for stats in all {
            let mut stats = stats.lock().unwrap_or_else(PoisonError::into_inner);
            for (scenario, (block, block_times)) in stats.scenarios.iter_mut().zip(&mut self.open) {
                let tick = &mut scenario.tick;
                times.add(&tick.duration);
                block_times.add(&tick.duration);
                block.requests += tick.duration.count();
                block.failed += tick.failed;
                block.dropped += tick.dropped;
                live.requests += tick.duration.count();
                live.failed += tick.failed;
                live.dropped += tick.dropped;
                live.vus += scenario.vus;
                tick.duration.clear();
                (tick.failed, tick.dropped) = (0, 0);
            }
        }
        live.p50 = times.at(0.5);
        live.p99 = times.at(0.99);
        // Half a tick of slack: ticks are not exact.
        if self.opened.elapsed() + TICK / 2 >= self.block {
            self.close();
        }
        live
    }

    /// Ends the blocks under way.
    fn close(&mut self) {
        let seconds = self.opened.elapsed().as_secs_f64();
        for ((block, times), closed) in self.open.iter_mut().zip(&mut self.blocks) {
            if times.count() > 0 && closed.len() < MAX_BLOCKS {
                closed.push(Block { seconds, ..std::mem::take(block) }.of(times));
            }
            *block = Block::default();
            times.clear();
        }
        self.opened = Instant::now();
    }

    /// The first threshold that is broken and ends the run for it.
    fn broken<'p>(&self, plan: &'p Plan, all: &[Arc<Mutex<Stats>>]) -> Option<&'p Threshold> {
        let elapsed = self.start.elapsed();
        let asked: Vec<&Threshold> =
            plan.thresholds.iter().filter(|t| t.abort && elapsed >= t.delay).collect();
        if asked.is_empty() {
            return None;
        }
        let mut stats = Stats::new(plan.scenarios.len(), plan.requests.len(), plan.checks.len());
        all.iter().for_each(|s| stats.merge(&s.lock().unwrap_or_else(PoisonError::into_inner)));
        asked.into_iter().find(|t| !report::judge_threshold(plan, &stats, elapsed, t).1)
    }
}

struct Worker {
    plan: Arc<Plan>,
    stats: Arc<Mutex<Stats>>,
    rows: Arc<Vec<AtomicU64>>,
    /// Iterations of `shared-iterations` that are given out.
    shared: Arc<Vec<AtomicU64>>,
    index: usize,
    of: usize,
    start: Instant,
    stop: CancellationToken,
}

impl Worker {
    fn run(self) -> Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(Error::internal)?;
        let local = tokio::task::LocalSet::new();
        let pool = Pool::new(&self.plan.settings)?;
        let around = Rc::new(Around {
            plan: self.plan.clone(),
            pool,
            stats: self.stats.clone(),
            rows: self.rows.clone(),
        });
        let worker = Rc::new(self);
        local.block_on(&runtime, async move {
            let scenarios = worker.plan.scenarios.len();
            let tasks: Vec<_> = (0..scenarios)
                .map(|i| {
                    let (worker, around) = (worker.clone(), around.clone());
                    tokio::task::spawn_local(async move { worker.scenario(&around, i).await })
                })
                .collect();
            for task in tasks {
                task.await.map_err(Error::internal)??;
            }
            Ok(())
        })
        // Dropping the set ends what is still under way.
    }

    async fn scenario(&self, around: &Rc<Around>, index: usize) -> Result<()> {
        let Some(scenario) = self.plan.scenarios.get(index) else { return Ok(()) };
        let start = self.start + scenario.start;
        tokio::select! {
            biased;
            () = self.stop.cancelled() => return Ok(()),
            () = tokio::time::sleep_until(start.into()) => {}
        }
        let part = Part {
            worker: self,
            around,
            scenario,
            index,
            start,
            busy: Rc::default(),
            idle: Rc::default(),
        };
        match &scenario.how {
            How::Arrivals { curve, pre, max } => part.arrivals(curve, *pre, *max).await,
            _ => part.closed().await,
        }
    }

    /// This worker's share of a number of things, and the number of the first of them.
    fn share(&self, of: u32) -> u32 {
        let (workers, index) = (self.of as u32, self.index as u32);
        of / workers + u32::from(index < of % workers)
    }
}

/// One scenario on one worker.
struct Part<'a> {
    worker: &'a Worker,
    around: &'a Rc<Around>,
    scenario: &'a Scenario,
    index: usize,
    start: Instant,
    /// Iterations under way.
    busy: Rc<Cell<u32>>,
    idle: Rc<RefCell<Vec<Vu>>>,
}

impl Part<'_> {
    /// Open: iterations start when they are due, on a VU that is free. Without one they are dropped.
    async fn arrivals(&self, curve: &Curve, pre: u32, max: u32) -> Result<()> {
        // A worker without a VU has no arrivals: the others take them all.
        let workers = (self.worker.of as u32).min(max.max(1));
        if self.worker.index as u32 >= workers {
            return Ok(());
        }
        let (pre, max) = (self.worker.share(pre), self.worker.share(max).max(1));
        let id = |n: u32| n * self.worker.of as u32 + self.worker.index as u32 + 1;
        let slots = self.scenario.slots;
        self.idle.borrow_mut().extend((0..pre).rev().map(|n| Vu::new(id(n), slots)));
        let mut made = pre;
        self.vus(made);
        let timer = Timer::new()?;
        let mut n = u64::from(self.worker.index as u32);
        while let Some(due) = curve.due(n) {
            let due = self.start + due;
            tokio::select! {
                biased;
                () = self.worker.stop.cancelled() => return Ok(()),
                waited = timer.until(due) => waited?,
            }
            n += u64::from(workers);
            // Far behind, the answers still have to get their turn.
            if n / u64::from(workers) % BURST == 0 {
                tokio::task::yield_now().await;
            }
            let free = self.idle.borrow_mut().pop();
            let vu = match free {
                Some(vu) => vu,
                None if made < max => {
                    made += 1;
                    self.vus(made);
                    Vu::new(id(made - 1), slots)
                }
                None => {
                    self.dropped();
                    continue;
                }
            };
            self.spawn(vu, due);
        }
        self.grace(self.start + curve.length()).await;
        Ok(())
    }

    fn vus(&self, made: u32) {
        self.around.with(|stats| {
            if let Some(s) = stats.scenarios.get_mut(self.index) {
                (s.vus, s.vus_max) = (made, made.max(s.vus_max));
            }
        });
    }

    fn dropped(&self) {
        self.around.with(|stats| {
            if let Some(s) = stats.scenarios.get_mut(self.index) {
                s.dropped += 1;
                s.tick.dropped += 1;
            }
        });
    }

    fn spawn(&self, mut vu: Vu, due: Instant) {
        let (around, busy, idle) = (self.around.clone(), self.busy.clone(), self.idle.clone());
        let (index, flow) = (self.index, self.scenario.flow.clone());
        busy.set(busy.get() + 1);
        tokio::task::spawn_local(async move {
            iterate(&around, index, &flow, &mut vu, due).await;
            busy.set(busy.get().saturating_sub(1));
            idle.borrow_mut().push(vu);
        });
    }

    /// Waits for iterations under way, but not longer than the grace; the rest is cut off and counted.
    async fn grace(&self, end: Instant) {
        let limit = end.max(Instant::now()) + self.scenario.grace;
        while self.busy.get() > 0 && Instant::now() < limit && !self.worker.stop.is_cancelled() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        self.cut_off();
    }

    fn cut_off(&self) {
        let left = self.busy.get();
        self.around.with(|stats| {
            if let Some(s) = stats.scenarios.get_mut(self.index) {
                s.interrupted += u64::from(left);
            }
        });
    }

    /// Closed: each VU starts its next iteration when the one before it has ended.
    async fn closed(&self) -> Result<()> {
        let mine = self.worker.share(self.scenario.how.vus());
        self.vus(mine);
        let end = self.start + self.scenario.how.length();
        let loops: Vec<_> = (0..mine)
            .map(|n| {
                // Numbered over all workers, so that a ramp takes them in the same order everywhere.
                let id = n * self.worker.of as u32 + self.worker.index as u32;
                let lap = Lap {
                    around: self.around.clone(),
                    shared: self.worker.shared.clone(),
                    how: self.scenario.how.clone(),
                    flow: self.scenario.flow.clone(),
                    index: self.index,
                    start: self.start,
                    end,
                    stop: self.worker.stop.clone(),
                    busy: self.busy.clone(),
                    done: 0,
                };
                let vu = Vu::new(id + 1, self.scenario.slots);
                tokio::task::spawn_local(lap.run(vu))
            })
            .collect();
        let limit = end + self.scenario.grace;
        let all = async {
            for one in loops {
                let _ = one.await;
            }
        };
        tokio::select! {
            () = all => {}
            () = self.worker.stop.cancelled() => {}
            () = tokio::time::sleep_until(limit.into()) => {}
        }
        self.cut_off();
        Ok(())
    }
}

/// One looping VU.
struct Lap {
    around: Rc<Around>,
    shared: Arc<Vec<AtomicU64>>,
    how: How,
    flow: Arc<[crate::plan::Step]>,
    index: usize,
    start: Instant,
    end: Instant,
    stop: CancellationToken,
    busy: Rc<Cell<u32>>,
    done: u64,
}

enum Turn {
    Go,
    Wait(Duration),
    End,
}

impl Lap {
    async fn run(mut self, mut vu: Vu) {
        loop {
            match self.turn(&vu) {
                Turn::End => return,
                Turn::Wait(time) => tokio::time::sleep(time).await,
                Turn::Go => {
                    self.busy.set(self.busy.get() + 1);
                    iterate(&self.around, self.index, &self.flow, &mut vu, Instant::now()).await;
                    self.busy.set(self.busy.get().saturating_sub(1));
                    self.done += 1;
                }
            }
        }
    }

    fn turn(&self, vu: &Vu) -> Turn {
        let now = Instant::now();
        if self.stop.is_cancelled() || now >= self.end {
            return Turn::End;
        }
        match &self.how {
            How::Looping { curve } => {
                let wanted = curve.at(now - self.start);
                // Number 1 runs as soon as one is wanted.
                if f64::from(vu.id) <= wanted.round() {
                    Turn::Go
                } else {
                    Turn::Wait(Duration::from_millis(20))
                }
            }
            How::Shared { iterations, .. } => {
                let given = self.shared.get(self.index).map(|n| n.fetch_add(1, Ordering::Relaxed));
                if given.is_some_and(|n| n < *iterations) { Turn::Go } else { Turn::End }
            }
            How::Each { iterations, .. } => {
                if self.done < *iterations {
                    Turn::Go
                } else {
                    Turn::End
                }
            }
            How::Arrivals { .. } => Turn::End,
        }
    }
}

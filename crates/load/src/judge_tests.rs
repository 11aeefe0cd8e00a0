//! Simulated noise, by a seeded source: how often a verdict is wrong, and how often a real shift is found.

use super::*;

/// A seeded source of noise.
struct Noise(u64);

impl Noise {
    fn uniform(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn normal(&mut self) -> f64 {
        let (u, v) = (self.uniform().max(1e-12), self.uniform());
        (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
    }

    /// Mostly quiet, with one in twenty far out, as on a machine where something else wakes up.
    fn heavy(&mut self) -> f64 {
        let n = self.normal();
        if self.uniform() < 0.05 { n * 6.0 } else { n }
    }
}

fn block(p50: f64, p95: f64) -> Block {
    Block { seconds: 2.0, requests: 1000, p50, p95, ..Block::default() }
}

/// Pairs with noise of `sd`, a drift, and head slower by `shift`.
fn pairs(noise: &mut Noise, n: usize, sd: f64, shift: f64) -> Vec<(Block, Block)> {
    let one = |noise: &mut Noise, at: f64, shift: f64| {
        let drift = 0.2 * (at / 10.0).sin();
        let level = |v: f64, e: f64| v * (drift + sd * e).exp() * (1.0 + shift);
        block(level(5.0, noise.heavy()), level(20.0, noise.heavy()))
    };
    (0..n)
        .map(|i| {
            let at = i as f64 * 2.0;
            // A-B, then B-A: who comes first changes.
            let (a, b) = if i % 2 == 0 { (at, at + 1.0) } else { (at + 1.0, at) };
            let base = one(noise, a, 0.0);
            (base, one(noise, b, shift))
        })
        .collect()
}

fn rate(rounds: usize, mut once: impl FnMut() -> Verdict, wanted: Verdict) -> f64 {
    (0..rounds).filter(|_| once() == wanted).count() as f64 / rounds as f64
}

#[test]
fn without_a_change_interleaved_runs_are_hardly_ever_worse() {
    let mut noise = Noise(7);
    for (n, sd) in [(12, 0.02), (12, 0.2), (32, 0.1)] {
        let mut false_alarm = 0;
        for _ in 0..400 {
            let j = paired("s", &pairs(&mut noise, n, sd, 0.0), Rules::default());
            false_alarm += usize::from(matches!(j.verdict, Verdict::Worse | Verdict::Better));
        }
        // 5 % of 400 is 20; three standard deviations above that is 33.
        assert!(false_alarm <= 33, "{false_alarm} of 400 at n = {n}, sd = {sd}");
    }
}

/// Every look could err: with the level split over them the whole stays below it.
#[test]
fn looking_several_times_does_not_raise_false_alarms() {
    let mut noise = Noise(11);
    let rules = Rules { looks: 3, ..Rules::default() };
    let mut false_alarm = 0;
    for _ in 0..200 {
        let all = pairs(&mut noise, 32, 0.1, 0.0);
        let err = [12, 20, 32].iter().any(|n| {
            let j = paired("s", &all[..*n], rules);
            matches!(j.verdict, Verdict::Worse | Verdict::Better)
        });
        false_alarm += usize::from(err);
    }
    assert!(false_alarm <= 19, "{false_alarm} of 200");
}

#[test]
fn a_real_tenth_is_found() {
    let mut noise = Noise(3);
    let found = rate(
        200,
        || paired("s", &pairs(&mut noise, 20, 0.02, 0.10), Rules::default()).verdict,
        Verdict::Worse,
    );
    assert!(found >= 0.9, "power {found}");
    let found = rate(
        200,
        || paired("s", &pairs(&mut noise, 20, 0.02, -0.12), Rules::default()).verdict,
        Verdict::Better,
    );
    assert!(found >= 0.8, "power {found}");
}

#[test]
fn quiet_and_unchanged_is_the_same_and_loud_cannot_tell() {
    let mut noise = Noise(5);
    let quiet = rate(
        100,
        || paired("s", &pairs(&mut noise, 20, 0.005, 0.0), Rules::default()).verdict,
        Verdict::Same,
    );
    assert!(quiet >= 0.9, "{quiet}");
    let loud = rate(
        100,
        || paired("s", &pairs(&mut noise, 12, 0.4, 0.1), Rules::default()).verdict,
        Verdict::CannotTell,
    );
    assert!(loud >= 0.8, "{loud}");
    // Too few pairs for any interval.
    assert_eq!(
        paired("s", &pairs(&mut noise, 4, 0.0, 1.0), Rules::default()).verdict,
        Verdict::CannotTell
    );
}

fn runs(noise: &mut Noise, n: usize, sd: f64) -> Vec<Sample> {
    (0..n)
        .map(|_| {
            let level = |noise: &mut Noise, v: f64| v * (sd * noise.normal()).exp();
            Sample { p50: level(noise, 5.0), p95: level(noise, 20.0), failed: 0.0 }
        })
        .collect()
}

#[test]
fn a_run_against_history_keeps_its_level_and_has_power() {
    let mut noise = Noise(23);
    for n in [5, 10, 20] {
        let mut false_alarm = 0;
        for _ in 0..400 {
            let mut all = runs(&mut noise, n + 1, 0.04);
            let head = all.pop().unwrap();
            let j = history("s", head, &all, Rules::default());
            assert_eq!(j.method, Method::History);
            false_alarm += usize::from(matches!(j.verdict, Verdict::Worse | Verdict::Better));
        }
        assert!(false_alarm <= 33, "{false_alarm} of 400 with {n} runs");
    }
    let found = rate(
        200,
        || {
            let mut all = runs(&mut noise, 16, 0.015);
            let mut head = all.pop().unwrap();
            (head.p50, head.p95) = (head.p50 * 1.10, head.p95 * 1.10);
            history("s", head, &all, Rules::default()).verdict
        },
        Verdict::Worse,
    );
    assert!(found >= 0.9, "power {found}");
}

#[test]
fn one_run_of_each_decides_only_what_is_large() {
    let run = |level: f64| ScenarioReport {
        name: "s".into(),
        requests: 20_000,
        duration: crate::report::Spread { p50: level, p95: level * 4.0, ..Default::default() },
        blocks: (0..20)
            .map(|i| {
                block(level * (1.0 + 0.01 * f64::from(i % 5)), level * 4.0 + 0.01 * f64::from(i))
            })
            .collect(),
        ..Default::default()
    };
    let verdict = |head| two_runs(&run(5.0), &run(head), Rules::default()).verdict;
    assert_eq!(verdict(5.0), Verdict::CannotTell, "two runs may differ by chance");
    assert_eq!(verdict(5.5), Verdict::CannotTell, "a tenth may be chance");
    assert_eq!(verdict(8.0), Verdict::Worse);
    assert_eq!(verdict(3.0), Verdict::Better);
}

#[test]
fn failures_count() {
    let mut noise = Noise(9);
    let mut all = pairs(&mut noise, 20, 0.005, 0.0);
    for (i, (_, head)) in all.iter_mut().enumerate() {
        head.failed = 20 + i as u64 % 5;
    }
    let j = paired("s", &all, Rules::default());
    assert_eq!(j.verdict, Verdict::Worse);
    let failed = j.effects.iter().find(|e| e.metric == "failed").unwrap();
    assert_eq!(failed.verdict, Verdict::Worse);
    assert!((failed.shift - 0.022).abs() < 0.002);
}

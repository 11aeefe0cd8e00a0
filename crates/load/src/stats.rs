//! Rank statistics: estimates and intervals that do not ask how noise is distributed.

/// An estimate with its interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    pub estimate: f64,
    pub low: f64,
    pub high: f64,
}

/// The median; 0 of nothing.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    middle(&sorted)
}

fn middle(sorted: &[f64]) -> f64 {
    let n = sorted.len();
    let at = |i: usize| sorted.get(i).copied().unwrap_or(0.0);
    if n == 0 {
        0.0
    } else if n % 2 == 1 {
        at(n / 2)
    } else {
        (at(n / 2 - 1) + at(n / 2)) / 2.0
    }
}

/// Hodges and Lehmann's estimate of the centre of paired differences, with the exact interval of Wilcoxon's
/// signed-rank test: the true centre is outside of it with a probability of at most `alpha`, whatever the
/// distribution, if it is symmetric. `None`: too few differences for such a level.
pub fn signed_rank(differences: &[f64], alpha: f64) -> Option<Interval> {
    let n = differences.len();
    let cut = lower_tail(&signed_rank_counts(n), alpha / 2.0)?;
    let mut walsh: Vec<f64> = Vec::with_capacity(n * (n + 1) / 2);
    for (i, a) in differences.iter().enumerate() {
        walsh.extend(differences.iter().skip(i).map(|b| (a + b) / 2.0));
    }
    walsh.sort_by(f64::total_cmp);
    let (low, high) = (walsh.get(cut).copied()?, walsh.get(walsh.len() - 1 - cut).copied()?);
    Some(Interval { estimate: middle(&walsh), low, high })
}

/// The same for two independent groups: how much larger `b` is than `a` (Mann and Whitney's test).
pub fn rank_sum(a: &[f64], b: &[f64], alpha: f64) -> Option<Interval> {
    let cut = lower_tail(&rank_sum_counts(a.len(), b.len()), alpha / 2.0)?;
    let mut all: Vec<f64> = b.iter().flat_map(|y| a.iter().map(move |x| y - x)).collect();
    all.sort_by(f64::total_cmp);
    let (low, high) = (all.get(cut).copied()?, all.get(all.len() - 1 - cut).copied()?);
    Some(Interval { estimate: middle(&all), low, high })
}

/// The largest value whose lower tail, itself included, has at most this probability; as the index of the
/// order statistic that bounds the interval.
fn lower_tail(weights: &[f64], alpha: f64) -> Option<usize> {
    let total: f64 = weights.iter().sum();
    let mut sum = 0.0;
    let mut found = None;
    for (value, weight) in weights.iter().enumerate() {
        sum += weight / total;
        if sum > alpha {
            break;
        }
        found = Some(value);
    }
    // With P(W <= w) <= alpha, the bound is the (w + 1)-th smallest, counted from 1: index w.
    found
}

/// In how many of the 2ⁿ sign patterns each sum of positive ranks comes up.
fn signed_rank_counts(n: usize) -> Vec<f64> {
    let mut counts = vec![1.0];
    for rank in 1..=n {
        let mut next = vec![0.0; counts.len() + rank];
        for (sum, count) in counts.iter().enumerate() {
            for shift in [0, rank] {
                if let Some(slot) = next.get_mut(sum + shift) {
                    // Halved as it goes, so that nothing overflows.
                    *slot += count / 2.0;
                }
            }
        }
        counts = next;
    }
    counts
}

/// How often each value of Mann and Whitney's U comes up among the ways to mix two groups.
fn rank_sum_counts(m: usize, n: usize) -> Vec<f64> {
    // f(m, n, u) = f(m-1, n, u-n) + f(m, n-1, u), as probabilities; row by row in n.
    let size = m * n + 1;
    let mut rows: Vec<Vec<f64>> = vec![unit(size); m + 1];
    for j in 1..=n {
        let mut next: Vec<Vec<f64>> = vec![unit(size)];
        for i in 1..=m {
            let (with, without) = (i as f64 / (i + j) as f64, j as f64 / (i + j) as f64);
            let mut row = vec![0.0; size];
            for (u, slot) in row.iter_mut().enumerate() {
                let taken = u.checked_sub(j).and_then(|u| next.get(i - 1)?.get(u)).copied();
                let left = rows.get(i).and_then(|r| r.get(u)).copied();
                *slot = with * taken.unwrap_or(0.0) + without * left.unwrap_or(0.0);
            }
            next.push(row);
        }
        rows = next;
    }
    rows.pop().unwrap_or_default()
}

/// All probability at nothing.
fn unit(size: usize) -> Vec<f64> {
    let mut row = vec![0.0; size];
    if let Some(first) = row.first_mut() {
        *first = 1.0;
    }
    row
}

/// The quantile of Student's t, for probabilities above one half.
pub fn t_quantile(probability: f64, degrees: f64) -> f64 {
    let (mut low, mut high) = (0.0, 1e6);
    for _ in 0..200 {
        let middle = (low + high) / 2.0;
        if t_below(middle, degrees) < probability { low = middle } else { high = middle }
    }
    (low + high) / 2.0
}

/// The distribution function of Student's t, for t from 0 up.
fn t_below(t: f64, degrees: f64) -> f64 {
    1.0 - 0.5 * incomplete_beta(degrees / (degrees + t * t), degrees / 2.0, 0.5)
}

/// The regularised incomplete beta function, by its continued fraction (Abramowitz and Stegun 26.5.8, with
/// Lentz's method).
fn incomplete_beta(x: f64, a: f64, b: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    if x >= 1.0 {
        return 1.0;
    }
    if x > (a + 1.0) / (a + b + 2.0) {
        return 1.0 - incomplete_beta(1.0 - x, b, a);
    }
    let front =
        (ln_gamma(a + b) - ln_gamma(a) - ln_gamma(b) + a * x.ln() + b * (1.0 - x).ln()).exp() / a;
    let tiny = 1e-300;
    let guard = |v: f64| if v.abs() < tiny { tiny } else { v };
    let (mut c, mut d, mut f) = (1.0, 0.0, 1.0);
    for i in 0..300 {
        let m = f64::from(i / 2);
        let numerator = if i == 0 {
            1.0
        } else if i % 2 == 0 {
            m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m))
        } else {
            -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0))
        };
        d = 1.0 / guard(1.0 + numerator * d);
        c = guard(1.0 + numerator / c);
        f *= c * d;
        if (1.0 - c * d).abs() < 1e-12 {
            break;
        }
    }
    front * (f - 1.0)
}

/// Lanczos' approximation.
fn ln_gamma(x: f64) -> f64 {
    const G: [f64; 6] = [
        76.180_091_729_471_46,
        -86.505_320_329_416_77,
        24.014_098_240_830_91,
        -1.231_739_572_450_155,
        0.001_208_650_973_866_179,
        -0.000_005_395_239_384_953,
    ];
    let t = x + 5.5;
    let series: f64 = 1.000_000_000_190_015
        + G.iter().zip(1_u32..).map(|(g, i)| g / (x + f64::from(i))).sum::<f64>();
    (2.506_628_274_631_000_5 * series / x).ln() + (x + 0.5) * t.ln() - t
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exact_tails_are_those_of_the_tables() {
        // Wilcoxon's signed ranks, two-sided 5 %: critical values of the tables for n = 6, 10, 20.
        for (n, critical) in [(6, 0), (10, 8), (20, 52)] {
            assert_eq!(lower_tail(&signed_rank_counts(n), 0.025), Some(critical), "{n}");
        }
        assert_eq!(lower_tail(&signed_rank_counts(5), 0.025), None);
        // Mann and Whitney's U, two-sided 5 %.
        for (m, n, critical) in [(5, 5, 2), (8, 10, 17), (20, 20, 127)] {
            assert_eq!(lower_tail(&rank_sum_counts(m, n), 0.025), Some(critical), "{m} {n}");
        }
        assert_eq!(lower_tail(&rank_sum_counts(3, 3), 0.025), None);
    }

    #[test]
    fn student() {
        for (p, df, want) in
            [(0.975, 1.0, 12.706), (0.975, 4.0, 2.776), (0.975, 19.0, 2.093), (0.995, 9.0, 3.250)]
        {
            assert!((t_quantile(p, df) - want).abs() < 2e-3, "{p} {df}");
        }
    }

    #[test]
    fn a_shift_is_found_and_outliers_do_not_move_it() {
        let differences = [1.0, 1.1, 0.9, 1.05, 0.95, 1.2, 0.8, 1.0, 50.0, 1.02];
        let found = signed_rank(&differences, 0.05).unwrap();
        assert!((found.estimate - 1.02).abs() < 0.1, "{found:?}");
        assert!(found.low > 0.8 && found.low < 1.1);
        let a: Vec<f64> = (0..12).map(|i| f64::from(i % 4)).collect();
        let b: Vec<f64> = a.iter().map(|x| x + 10.0).collect();
        let found = rank_sum(&a, &b, 0.05).unwrap();
        assert!((found.estimate - 10.0).abs() < 0.5 && found.low > 8.0, "{found:?}");
    }
}

//! Which of the test files one of several jobs runs, so that all take about as long. Pure.

use std::collections::BTreeMap;

/// The share of job `index` (from 1) of `total`: longest files first, each to whoever has least so far. A
/// file whose time is not known counts as the median of those whose is. Every job that is given the same
/// files and times, in whatever order, comes to the same shares; a file named twice is one.
pub fn share(
    files: &[String],
    times: &BTreeMap<String, f64>,
    index: usize,
    total: usize,
) -> Vec<String> {
    let total = total.max(1);
    let median = median(files, times);
    let mut rest: Vec<(&String, f64)> =
        files.iter().map(|file| (file, time(times, file).unwrap_or(median))).collect();
    rest.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(b.0)));
    rest.dedup_by(|a, b| a.0 == b.0);
    let mut loads = vec![0.0_f64; total];
    let mut mine = Vec::new();
    for (file, time) in rest {
        let least =
            loads.iter().enumerate().min_by(|a, b| a.1.total_cmp(b.1)).map_or(0, |(i, _)| i);
        if let Some(load) = loads.get_mut(least) {
            // However short, a file is something: equal ones go round.
            *load += time.max(f64::EPSILON);
        }
        if least + 1 == index {
            mine.push(file.clone());
        }
    }
    mine.sort();
    mine
}

/// Seconds, if they are sound.
fn time(times: &BTreeMap<String, f64>, file: &str) -> Option<f64> {
    times.get(file).copied().filter(|t| t.is_finite() && *t >= 0.0)
}

fn median(files: &[String], times: &BTreeMap<String, f64>) -> f64 {
    let mut known: Vec<f64> = files.iter().filter_map(|file| time(times, file)).collect();
    known.sort_by(f64::total_cmp);
    known.get(known.len() / 2).copied().unwrap_or(1.0)
}

/// Times as a file has them: a JSON object of seconds by file, or lines of a file and its seconds.
pub fn times(words: &str) -> Option<BTreeMap<String, f64>> {
    if words.trim_start().starts_with('{') {
        return serde_json::from_str(words).ok();
    }
    let lines = words.lines().map(str::trim).filter(|line| !line.is_empty());
    let pair = |line: &str| {
        let (file, seconds) = line.rsplit_once(char::is_whitespace)?;
        Some((file.trim_end().to_owned(), seconds.parse().ok()?))
    };
    lines.map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn names(words: &str) -> Vec<String> {
        words.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn the_longest_first_and_unknown_ones_are_the_median() {
        let known = times("a 9\nb 4\nc 4\n d e.py 3.5\n").unwrap();
        assert_eq!(known["d e.py"], 3.5);
        let files = names("a b c new");
        assert_eq!(share(&files, &known, 1, 2), ["a"]);
        assert_eq!(share(&files, &known, 2, 2), ["b", "c", "new"]);
        assert_eq!(share(&names("x y z"), &BTreeMap::new(), 3, 3), ["z"]);
        assert_eq!(share(&names("x"), &BTreeMap::new(), 2, 3), Vec::<String>::new());
        assert_eq!(times("{\"a\": 1.5}").unwrap()["a"], 1.5);
        assert_eq!(times("a b"), None);
    }

    proptest! {
        #[test]
        fn every_file_is_in_one_share_and_no_share_is_twice_what_it_must_be(
            files in prop::collection::vec("[a-z]{1,4}", 0..60),
            seconds in prop::collection::btree_map("[a-z]{1,3}", 0.0..100.0_f64, 0..60),
            total in 1..9_usize,
            turn in 0..60_usize,
        ) {
            let shares: Vec<Vec<String>> =
                (1..=total).map(|i| share(&files, &seconds, i, total)).collect();
            let mut all: Vec<String> = shares.concat();
            all.sort();
            let mut want = files.clone();
            want.sort();
            want.dedup();
            prop_assert_eq!(&all, &want);
            let mut turned = files.clone();
            turned.rotate_left(turn % files.len().max(1));
            prop_assert_eq!(share(&turned, &seconds, 1, total), shares[0].clone());
            // Graham's bound for the longest first: at most 4/3 of the best there is.
            let middle = median(&want, &seconds);
            let long = |share: &[String]| -> f64 {
                share.iter().map(|f| time(&seconds, f).unwrap_or(middle)).sum()
            };
            let longest = shares.iter().map(|s| long(s)).fold(0.0, f64::max);
            let one = want.iter().map(|f| time(&seconds, f).unwrap_or(middle)).fold(0.0, f64::max);
            let least = (long(&want) / total as f64).max(one);
            prop_assert!(longest <= least * 2.0 + 1e-6, "{longest} > {least}");
        }
    }
}

//! Which of the test files one of several jobs runs, so that all take about as long. Pure.

use std::collections::{BTreeMap, HashMap, HashSet};

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

/// The times under the names by which `files` are called. Reports name a test's file as its runner saw it, or
/// only its class: `tests.test_cart.TestCart` counts for `tests/test_cart.py`, `org.shop.CartTest` for
/// `src/test/java/org/shop/CartTest.java`, `tests/cart.js` for `./web/tests/cart.js`. What could mean several
/// files counts for none. Several classes of one file are added up.
pub fn of_files(files: &[String], times: &BTreeMap<String, f64>) -> BTreeMap<String, f64> {
    let (ends, named) = (Ends::of(files), files.iter().collect::<HashSet<_>>());
    let mut found: BTreeMap<String, f64> = BTreeMap::new();
    for (unit, seconds) in times {
        let exact = named.get(unit).map(|file| file.as_str());
        if let Some(file) = exact.or_else(|| ends.find(unit)) {
            *found.entry(file.to_owned()).or_default() += seconds;
        }
    }
    found
}

/// Files by each end of their path, dotted and without extension: `a/b/c.py` by `a.b.c`, `b.c` and `c`.
/// `None`: of several.
struct Ends<'a>(HashMap<String, Option<&'a str>>);

impl<'a> Ends<'a> {
    fn of(files: &'a [String]) -> Ends<'a> {
        let mut ends: HashMap<String, Option<&str>> = HashMap::new();
        for file in files {
            for end in ends_of(&dotted(file)) {
                let one = ends.entry(end.to_owned()).or_insert(Some(file));
                if *one != Some(file.as_str()) {
                    *one = None;
                }
            }
        }
        // The whole path of one may be the end of another's: it is the nearer one.
        ends.extend(files.iter().map(|file| (dotted(file), Some(file.as_str()))));
        Ends(ends)
    }

    /// The file of a unit: by the unit's whole name, then without what it names inside of the file, then
    /// without the directories that lead to where the tests were started.
    fn find(&self, unit: &str) -> Option<&'a str> {
        let path = unit.contains('/');
        let whole = if path { dotted(unit) } else { unit.to_owned() };
        if let Some(found) = self.0.get(&whole) {
            return *found;
        }
        if !path {
            let outer = |name: &&str| name.contains('.') || whole.matches('.').count() == 1;
            let mut outer = outwards(&whole).skip(1).filter(outer);
            if let Some(found) = outer.find_map(|name| self.0.get(name)) {
                return *found;
            }
        }
        let mut ends = ends_of(&whole).skip(1).filter(|end| end.contains('.'));
        ends.find_map(|end| *self.0.get(end)?)
    }
}

/// `./tests/test_cart.py` as `tests.test_cart`.
fn dotted(path: &str) -> String {
    let path = path.trim_start_matches("./");
    let last = path.rfind('/').map_or(0, |at| at + 1);
    let stem = match path.rfind('.') {
        Some(dot) if dot > last => path.get(..dot).unwrap_or(path),
        _ => path,
    };
    stem.replace('/', ".")
}

/// `a.b.c`, `a.b`, `a`
fn outwards(dotted: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(dotted), |rest| rest.rsplit_once('.').map(|(rest, _)| rest))
}

/// `a.b.c`, `b.c`, `c`
fn ends_of(dotted: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(dotted), |rest| rest.split_once('.').map(|(_, rest)| rest))
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

    #[test]
    fn what_reports_call_a_file_is_found_again() {
        let of = |files: &str, units: &str| {
            let times = units.split_whitespace().map(|unit| (unit.to_owned(), 1.0)).collect();
            let found = of_files(&names(files), &times);
            found.iter().map(|(file, s)| format!("{file} {s}")).collect::<Vec<_>>().join(", ")
        };
        let python = "tests/test_cart.py ./tests/test_till.py other/test_cart.py";
        assert_eq!(
            of(python, "tests.test_cart.TestA tests.test_cart.TestB"),
            "tests/test_cart.py 2"
        );
        assert_eq!(of(python, "tests/test_till.py"), "./tests/test_till.py 1");
        assert_eq!(of(python, "test_cart.TestA"), "", "there are two");
        assert_eq!(of("tests.py a/tests.py", "tests.test_gone.TestA"), "");
        assert_eq!(of("test_cart.py", "test_cart.py"), "test_cart.py 1");
        assert_eq!(of("test_cart.py", "test_cart.TestA"), "test_cart.py 1");
        assert_eq!(of("test_cart.py", "/builds/shop/web/tests/test_cart.py"), "");
        assert_eq!(of("a/test_cart.py", "/builds/shop/web/a/test_cart.py"), "a/test_cart.py 1");
        assert_eq!(of("web/a/cart.test.js", "a/cart.test.js"), "web/a/cart.test.js 1");
        let java = "src/test/java/org/shop/CartTest.java src/test/java/org/shop/TillTest.java";
        assert_eq!(of(java, "org.shop.TillTest"), "src/test/java/org/shop/TillTest.java 1");
        assert_eq!(of("example.org/shop/cart", "example.org/shop/cart"), "example.org/shop/cart 1");
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

//! Versions of components: which tag a reference stands for.

use std::cmp::Ordering;

/// A semantic version (https://semver.org), a leading `v` allowed. Build metadata does not count.
#[derive(Debug, PartialEq, Eq)]
struct Version<'a> {
    numbers: [u64; 3],
    /// Empty for a release.
    pre: Vec<&'a str>,
}

impl<'a> Version<'a> {
    fn parse(words: &'a str) -> Option<Version<'a>> {
        let words = words.strip_prefix('v').unwrap_or(words);
        let words = words.split('+').next()?;
        let (core, pre) = match words.split_once('-') {
            Some((core, pre)) => (core, pre.split('.').collect()),
            None => (words, Vec::new()),
        };
        let mut parts = core.split('.').map(|part| part.parse::<u64>().ok());
        let numbers = [parts.next()??, parts.next()??, parts.next()??];
        (parts.next().is_none() && pre.iter().all(|p| !p.is_empty()))
            .then_some(Version { numbers, pre })
    }
}

impl Ord for Version<'_> {
    /// Section 11 of the standard: a release comes after its pre-releases, numbers before words.
    fn cmp(&self, other: &Self) -> Ordering {
        let pre = match (self.pre.is_empty(), other.pre.is_empty()) {
            (true, true) => Ordering::Equal,
            (true, false) => Ordering::Greater,
            (false, true) => Ordering::Less,
            (false, false) => {
                let pairs = self.pre.iter().zip(&other.pre).map(|(a, b)| identifier(a, b));
                let first = pairs.into_iter().find(|o| o.is_ne());
                first.unwrap_or_else(|| self.pre.len().cmp(&other.pre.len()))
            }
        };
        self.numbers.cmp(&other.numbers).then(pre)
    }
}

impl PartialOrd for Version<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

fn identifier(a: &str, b: &str) -> Ordering {
    match (a.parse::<u64>(), b.parse::<u64>()) {
        (Ok(a), Ok(b)) => a.cmp(&b),
        (Ok(_), Err(_)) => Ordering::Less,
        (Err(_), Ok(_)) => Ordering::Greater,
        (Err(_), Err(_)) => a.cmp(b),
    }
}

/// The newest tag for `~latest`, for `1` or for `1.2`; pre-releases are never chosen so.
pub fn newest<'a>(tags: &[&'a str], reference: &str) -> Option<&'a str> {
    let wanted: Vec<u64> = match reference {
        "~latest" => Vec::new(),
        part => {
            let part = part.strip_prefix('v').unwrap_or(part);
            let numbers: Option<Vec<u64>> = part.split('.').map(|n| n.parse().ok()).collect();
            numbers.filter(|n| n.len() <= 2)?
        }
    };
    let fits = |version: &Version<'_>| {
        version.pre.is_empty()
            && version.numbers.iter().zip(&wanted).all(|(have, want)| have == want)
    };
    let versions = tags.iter().filter_map(|tag| Some((Version::parse(tag)?, *tag)));
    versions.filter(|(version, _)| fits(version)).max().map(|(_, tag)| tag)
}

/// Where a component's file may lie in its repository.
pub fn component_files(name: &str) -> [String; 2] {
    [format!("templates/{name}.yml"), format!("templates/{name}/template.yml")]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_version_is_no_pre_release() {
        let tags = ["1.0.0", "v1.10.0", "1.9.3", "2.0.0-rc.1", "nightly", "1.2", "0.9.0"];
        for (reference, want) in [
            ("~latest", Some("v1.10.0")),
            ("1", Some("v1.10.0")),
            ("1.9", Some("1.9.3")),
            ("0", Some("0.9.0")),
            ("2", None),
            ("1.2.3", None),
            ("main", None),
        ] {
            assert_eq!(newest(&tags, reference), want, "{reference}");
        }
    }

    #[test]
    fn versions_are_in_the_order_of_the_standard() {
        let order = [
            "1.0.0-alpha",
            "1.0.0-alpha.1",
            "1.0.0-alpha.beta",
            "1.0.0-beta.2",
            "1.0.0-beta.11",
            "1.0.0-rc.1",
            "1.0.0",
            "1.0.1",
        ];
        let versions: Vec<_> = order.iter().map(|v| Version::parse(v).unwrap()).collect();
        assert!(versions.windows(2).all(|pair| pair[0] < pair[1]));
        assert!(Version::parse("1.2").is_none() && Version::parse("1.2.3.4").is_none());
    }
}

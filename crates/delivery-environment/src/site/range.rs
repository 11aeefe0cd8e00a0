//! Ranges of bytes (RFC 9110 §14). Pure.

/// What a `Range` header asks of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// All of it: no range, or one that is not understood, or several, which we may ignore.
    Whole,
    /// From the first byte up to and without the second.
    Some(u64, u64),
    /// No byte of it is there.
    Nothing,
}

pub(super) fn part(header: Option<&str>, size: u64) -> Part {
    let Some(range) = header.and_then(|h| h.trim().strip_prefix("bytes=")) else {
        return Part::Whole;
    };
    let Some((first, last)) = range.split_once('-').map(|(a, b)| (a.trim(), b.trim())) else {
        return Part::Whole;
    };
    let number =
        |w: &str| w.bytes().all(|b| b.is_ascii_digit()).then(|| w.parse::<u64>().ok()).flatten();
    match (first.is_empty(), last.is_empty()) {
        (true, true) => Part::Whole,
        (true, false) => match number(last) {
            Some(0) => Part::Nothing,
            Some(_) if size == 0 => Part::Nothing,
            Some(n) => Part::Some(size.saturating_sub(n), size),
            None => Part::Whole,
        },
        (false, open) => {
            let (Some(from), Some(to)) =
                (number(first), if open { Some(u64::MAX) } else { number(last) })
            else {
                return Part::Whole;
            };
            if to < from {
                return Part::Whole;
            }
            if from >= size {
                return Part::Nothing;
            }
            Part::Some(from, to.saturating_add(1).min(size))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ranges() {
        for (header, want) in [
            ("bytes=0-3", Part::Some(0, 4)),
            ("bytes=4-", Part::Some(4, 10)),
            ("bytes=-3", Part::Some(7, 10)),
            ("bytes=-30", Part::Some(0, 10)),
            ("bytes=0-99", Part::Some(0, 10)),
            ("bytes=10-", Part::Nothing),
            ("bytes=-0", Part::Nothing),
            ("bytes=3-1", Part::Whole),
            ("bytes=0-1,3-4", Part::Whole),
            ("lines=1-2", Part::Whole),
            ("bytes=x-2", Part::Whole),
        ] {
            assert_eq!(part(Some(header), 10), want, "{header}");
        }
        assert_eq!(part(None, 10), Part::Whole);
    }

    proptest! {
        #[test]
        fn never_beyond_the_file(header: String, size: u64) {
            if let Part::Some(from, to) = part(Some(&header), size) {
                prop_assert!(from < to && to <= size);
            }
        }

        #[test]
        fn any_numbers_are_survived(a: u64, b: u64, size: u64) {
            if let Part::Some(from, to) = part(Some(&format!("bytes={a}-{b}")), size) {
                prop_assert!(from < to && to <= size);
            }
        }
    }
}

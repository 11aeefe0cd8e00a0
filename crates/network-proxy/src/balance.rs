//! Which instance gets the next request: a pure choice.

/// What the choice looks at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Candidate {
    pub(crate) load: usize,
    /// Failed to accept connections of late: used only when there is nothing else.
    pub(crate) ejected: bool,
    /// Already tried for this request, or about to stop: never used.
    pub(crate) barred: bool,
}

/// Least loaded of two drawn at random: near the best balance without a shared queue, and no herd onto the
/// one that just became free. Ejection never takes all: if only ejected ones are left, they are drawn from.
pub(crate) fn choose<F>(count: usize, candidate: F, random: u64) -> Option<usize>
where
    F: Fn(usize) -> Option<Candidate>,
{
    let open = |i: &usize| candidate(*i).is_some_and(|c| !c.barred);
    let sound = |i: &usize| candidate(*i).is_some_and(|c| !c.barred && !c.ejected);
    draw(count, sound, &candidate, random).or_else(|| draw(count, open, &candidate, random))
}

fn draw<F>(count: usize, fit: impl Fn(&usize) -> bool, candidate: &F, random: u64) -> Option<usize>
where
    F: Fn(usize) -> Option<Candidate>,
{
    let usable = (0..count).filter(&fit).count() as u64;
    if usable == 0 {
        return None;
    }
    let first = (random >> 32) % usable;
    let step = if usable > 1 { 1 + (random & 0xffff_ffff) % (usable - 1) } else { 0 };
    let nth = |n: u64| (0..count).filter(&fit).nth(n as usize);
    let (one, two) = (nth(first)?, nth((first + step) % usable)?);
    let load = |i: usize| candidate(i).map_or(usize::MAX, |c| c.load);
    Some(if load(two) < load(one) { two } else { one })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn candidates() -> impl Strategy<Value = Vec<Candidate>> {
        let one = (0usize..5, any::<bool>(), any::<bool>())
            .prop_map(|(load, ejected, barred)| Candidate { load, ejected, barred });
        proptest::collection::vec(one, 0..6)
    }

    proptest! {
        #[test]
        fn never_barred_and_ejected_only_when_all_are(all in candidates(), random: u64) {
            let open = all.iter().any(|c| !c.barred);
            let sound = all.iter().any(|c| !c.barred && !c.ejected);
            match choose(all.len(), |i| all.get(i).copied(), random) {
                None => prop_assert!(!open),
                Some(i) => prop_assert!(!all[i].barred && (!sound || !all[i].ejected)),
            }
        }

        #[test]
        fn of_two_the_less_loaded(a in 0usize..9, b in 0usize..9, random: u64) {
            let one = |load| Candidate { load, ejected: false, barred: false };
            let all = [one(a), one(b)];
            let i = choose(2, |i| all.get(i).copied(), random).unwrap();
            prop_assert_eq!(all[i].load, a.min(b));
        }
    }
}

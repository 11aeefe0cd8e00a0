//! That guessing slows who guesses, and nobody else.

use super::*;
use proptest::prelude::*;

const START: Time = Time(1_764_000_000_000);

fn source(n: u32) -> Source {
    Source::of(IpAddr::from(n.to_be_bytes()))
}

fn strange(account: &str, from: u32) -> Try {
    Try { account: account.into(), source: source(from), device: None, familiar: false }
}

fn device(account: &str, from: u32) -> Try {
    Try { device: Some(format!("{account}-laptop")), ..strange(account, from) }
}

/// How many tries are let through when somebody knocks again the moment he may, for that long.
fn tries_within(attempts: &mut Attempts, of: &Try, length: Duration) -> u32 {
    let (mut now, end, mut through) = (START, START.plus(length), 0);
    while now < end {
        match attempts.admit(now, of) {
            Ok(()) => through += 1,
            Err(wait) => now = now.plus(wait),
        }
    }
    through
}

#[test]
fn the_first_tries_are_free_and_then_each_failure_doubles_the_wait() {
    let (mut attempts, of) = (Attempts::default(), strange("han", 1));
    for _ in 0..3 {
        assert_eq!(attempts.admit(START, &of), Ok(()));
    }
    let mut now = START;
    for want in [1, 2, 4, 8] {
        assert_eq!(attempts.admit(now, &of), Err(Duration::from_secs(want)));
        now = now.plus(Duration::from_secs(want));
        assert_eq!(attempts.admit(now, &of), Ok(()));
    }
}

#[test]
fn a_day_of_guessing_from_one_address_gets_nowhere() {
    let day = Duration::from_secs(24 * 3600);
    let at_one = tries_within(&mut Attempts::default(), &strange("han", 1), day);
    assert!((20..120).contains(&at_one), "{at_one}");
}

#[test]
fn spraying_slows_the_address_it_comes_from_and_not_the_others() {
    let mut attempts = Attempts::default();
    let through =
        (0..500).filter(|n| attempts.admit(START, &strange(&format!("u{n}"), 1)).is_ok()).count();
    assert_eq!(through, 20);
    assert!(attempts.admit(START, &strange("han", 1)).is_err(), "the same address");
    assert_eq!(attempts.admit(START, &strange("han", 2)), Ok(()), "another address");
    assert_eq!(attempts.admit(START, &device("han", 1)), Ok(()), "a known device behind it");
}

#[test]
fn signing_in_gives_back_what_the_try_cost_and_no_more() {
    let mut attempts = Attempts::default();
    for n in 0..20 {
        let _ = attempts.admit(START, &strange(&format!("u{n}"), 1));
    }
    // The attacker has an account of his own, and a right password does not wash the address clean.
    let later = START.plus(Duration::from_secs(2));
    let own = strange("mallory", 1);
    assert_eq!(attempts.admit(later, &own), Ok(()));
    attempts.passed(later, &own);
    let through = (0..100).filter(|n| attempts.admit(later, &strange(&format!("v{n}"), 1)).is_ok());
    assert!(through.count() <= 1);
    let mut office = Attempts::default();
    for n in 0..1000 {
        let of = strange(&format!("u{n}"), 9);
        assert_eq!(office.admit(START, &of), Ok(()), "a thousand colleagues in a morning");
        office.passed(START, &of);
    }
}

#[test]
fn a_clock_that_is_set_back_locks_nobody_out() {
    let (mut attempts, of) = (Attempts::default(), strange("han", 1));
    tries_within(&mut attempts, &of, Duration::from_secs(3600));
    let back = Time(START.0 - 7 * 24 * 3600 * 1000);
    let wait = attempts.admit(back, &of).unwrap_err();
    assert!(wait <= LONGEST, "{wait:?}");
}

#[test]
fn an_ipv6_subscriber_is_one_source_and_a_mapped_address_is_its_ipv4_one() {
    let of = |words: &str| Source::of(words.parse().unwrap());
    assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:2:ffff::9"));
    assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
    assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
    assert_eq!(of("2001:db8:1:2::1").to_string(), "2001:db8:1:2::/64");
}

#[test]
fn memory_is_bounded() {
    let mut attempts = Attempts::default();
    for n in 0..150_000 {
        let _ = attempts.admit(START, &strange("han", n));
    }
    assert!(attempts.tallies.len() <= MOST);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever others do from other addresses, and for however long, the owner's own device never waits, and the
    /// owner at a new address waits at most once and not long.
    #[test]
    fn nobody_can_lock_another_out(knocks in prop::collection::vec((0_u32..40, 0_u64..120_000), 0..400)) {
        let mut attempts = Attempts::default();
        let mut now = START;
        for (from, pause) in knocks {
            now = now.plus(Duration::from_millis(pause));
            let _ = attempts.admit(now, &strange("han", from));
        }
        prop_assert_eq!(attempts.admit(now, &device("han", 3)), Ok(()));
        let fresh = strange("han", 1_000_000);
        if let Err(wait) = attempts.admit(now, &fresh) {
            prop_assert!(wait <= PATIENCE);
            prop_assert_eq!(attempts.admit(now.plus(wait), &fresh), Ok(()));
        }
        let familiar = Try { familiar: true, ..strange("han", 2_000_000) };
        prop_assert_eq!(attempts.admit(now, &familiar), Ok(()));
    }

    /// From one address, no choice of accounts and instants gets more through than the budget of the address allows.
    #[test]
    fn one_address_is_slow_however_it_spreads_its_guesses(
        knocks in prop::collection::vec((0_u32..1000, 0_u64..30_000), 0..600)
    ) {
        let mut attempts = Attempts::default();
        let (mut now, mut through) = (START, 0_u64);
        for (account, pause) in knocks {
            now = now.plus(Duration::from_millis(pause));
            through += u64::from(attempts.admit(now, &strange(&account.to_string(), 7)).is_ok());
        }
        // What is free, what is forgotten meanwhile, and the waits of 1, 2, 4 … that fit in between.
        let minutes = now.since(START).as_secs() / 60;
        prop_assert!(through <= 20 + minutes / 5 + 12, "{} in {} minutes", through, minutes);
    }
}

use super::*;
use crate::record::Carried;
use proptest::prelude::*;

fn name(words: &str) -> Name {
    Name::parse(words).unwrap()
}

const NOW: Time = Time(100 * 86_400_000);

/// `minute` before now at which it finished, and how.
fn deployment(
    n: u64,
    ago: i64,
    cause: Cause,
    verdict: Verdict,
    previous: Option<&str>,
) -> Deployment {
    let finished = Time(NOW.0 - ago * 60_000);
    let carried = Carried {
        change: name(&format!("web-{n:012}")),
        authored: Time(finished.0 - 3_600_000),
        received: Time(finished.0 - 60_000),
    };
    let own = cause == Cause::Change && verdict == Verdict::Passed;
    Deployment {
        project: name("shop"),
        service: name("web"),
        release: name(&format!("web-{n}")),
        previous: previous.map(name),
        change: Some(carried.change.clone()),
        commit: Some(format!("{n:040}")),
        cause,
        verdict,
        finished,
        event: n,
        carried: if own { vec![carried] } else { Vec::new() },
    }
}

fn one(all: &[Deployment]) -> Metrics {
    metrics(all, NOW, 30).remove(0)
}

#[test]
fn a_quiet_week_of_six_deployments() {
    let all: Vec<_> = (1..=6)
        .map(|n| deployment(n, 1000 - n as i64, Cause::Change, Verdict::Passed, None))
        .collect();
    let m = one(&all);
    assert_eq!((m.deployments, m.too_few, m.failed), (6, false, 0));
    assert_eq!(
        m.lead_time,
        Spread { count: 6, median_ms: Some(3_600_000), p90_ms: Some(3_600_000) }
    );
    assert_eq!(m.lead_time_from_push.median_ms, Some(60_000));
    assert_eq!(m.recovery_time.median_ms, None);
    assert!((m.deployments_per_day - 0.2).abs() < 1e-9);
}

#[test]
fn a_rollback_fails_what_it_undoes_and_what_comes_next_is_rework() {
    let mut back = deployment(1, 50, Cause::Rollback, Verdict::Passed, Some("web-2"));
    back.event = 3;
    let all = [
        deployment(1, 100, Cause::Change, Verdict::Passed, None),
        deployment(2, 60, Cause::Change, Verdict::Passed, Some("web-1")),
        back,
        deployment(4, 10, Cause::Change, Verdict::Passed, Some("web-1")),
    ];
    let m = one(&all);
    assert_eq!((m.deployments, m.rollbacks, m.failed, m.rework), (3, 1, 1, 1));
    assert_eq!(m.recovery_time.median_ms, Some(10 * 60_000));
    assert!(m.too_few);
}

#[test]
fn a_rollout_that_was_stopped_is_neither_a_deployment_nor_a_failure() {
    let all = [
        deployment(1, 100, Cause::Change, Verdict::Passed, None),
        deployment(2, 60, Cause::Change, Verdict::Failed, Some("web-1")),
    ];
    let m = one(&all);
    assert_eq!((m.deployments, m.stopped, m.failed), (1, 1, 0));
}

#[test]
fn a_restart_counts_as_nothing() {
    let first = deployment(1, 100, Cause::Change, Verdict::Passed, None);
    let restart = deployment(2, 60, Cause::Restart, Verdict::Passed, Some("web-1"));
    assert_eq!(one(&[first.clone(), restart]), one(&[first]));
}

#[test]
fn going_back_from_a_restart_undoes_what_was_started_again() {
    let all = [
        deployment(1, 100, Cause::Change, Verdict::Passed, None),
        deployment(2, 80, Cause::Change, Verdict::Passed, Some("web-1")),
        deployment(3, 60, Cause::Restart, Verdict::Passed, Some("web-2")),
        deployment(4, 50, Cause::Restart, Verdict::Passed, Some("web-3")),
        Deployment {
            event: 5,
            ..deployment(1, 40, Cause::Rollback, Verdict::Passed, Some("web-4"))
        },
    ];
    let m = one(&all);
    assert_eq!((m.deployments, m.failed, m.rollbacks), (2, 1, 1));
}

#[test]
fn the_same_commit_twice_is_one_deployment() {
    let mut again = deployment(2, 10, Cause::Change, Verdict::Passed, None);
    again.commit = Some(format!("{:040}", 1));
    let m = one(&[deployment(1, 20, Cause::Change, Verdict::Passed, None), again]);
    assert_eq!(m.deployments, 1);
}

#[test]
fn a_commit_from_the_future_is_a_data_error_and_stays_in() {
    let mut odd = deployment(1, 20, Cause::Change, Verdict::Passed, None);
    odd.carried[0].authored = Time(odd.finished.0 + 5000);
    let m = one(&[odd]);
    assert_eq!(m.data_errors, 1);
    assert_eq!(m.lead_time.median_ms, Some(-5000));
}

#[test]
fn outside_the_window_only_the_past_is_known() {
    let old = deployment(1, 40 * 24 * 60, Cause::Change, Verdict::Passed, None);
    let m = one(&[old, deployment(2, 10, Cause::Change, Verdict::Passed, Some("web-1"))]);
    assert_eq!((m.deployments, m.events.as_slice()), (1, [2].as_slice()));
}

#[test]
fn buckets_of_the_survey() {
    for (hours, want) in [
        (0, "< 1 h"),
        (1, "< 1 d"),
        (24, "< 1 wk"),
        (200, "< 1 mo"),
        (800, "< 6 mo"),
        (9000, "> 6 mo"),
    ] {
        assert_eq!(bucket(Duration::from_secs(hours * 3600)), want);
    }
}

proptest! {
    #[test]
    fn parts_never_exceed_the_whole(kinds in proptest::collection::vec(0u8..4, 0..40)) {
        let all: Vec<_> = kinds.iter().enumerate().map(|(i, k)| {
            let n = i as u64 + 1;
            let before = format!("web-{}", n - 1);
            let (cause, verdict) = match k {
                0 => (Cause::Rollback, Verdict::Passed),
                1 => (Cause::Change, Verdict::Failed),
                2 => (Cause::Config, Verdict::Passed),
                _ => (Cause::Change, Verdict::Passed),
            };
            deployment(n, 1000 - n as i64, cause, verdict, (n > 1).then_some(before.as_str()))
        }).collect();
        for m in metrics(&all, NOW, 30) {
            prop_assert!(m.failed <= m.deployments && m.rework <= m.deployments);
            prop_assert_eq!(m.points.len(), all.len());
            prop_assert!((0.0..=1.0).contains(&m.change_fail_rate));
        }
    }
}

//! What an environment is called, what it is for, and when it is over. Pure.

use crate::kind::{Environment, EnvironmentState, EnvironmentStatus, Member, Progress};
use kernel::journey::Tier;
use kernel::{Name, Time};
use std::time::Duration;

/// Characters of a name as written.
pub(crate) const TITLE: usize = 255;

/// Names for an environment's resource, the best first: another environment may have that already.
pub(crate) fn names(title: &str, repository: &Name) -> Vec<Name> {
    let both = format!("{title}-{repository}");
    let last = Name::told_apart(&format!("{title}\n{repository}"), 63);
    Name::slug(title).into_iter().chain(Name::slug(&both)).chain(last).collect()
}

/// What a name as written promises, when the pipeline does not say. The words and their order are
/// GitLab's (`deployment_tier`, "automatically determined").
pub(crate) fn tier(title: &str) -> Tier {
    const WORDS: &[(Tier, &[&str])] = &[
        (Tier::Development, &["dev", "review", "trunk"]),
        (
            Tier::Testing,
            &["test", "tst", "int", "acpt", "accept", "qa", "qc", "control", "quality"],
        ),
        (Tier::Staging, &["stg", "stag", "model", "modl", "pre", "demo", "non"]),
        (Tier::Production, &["prod", "prd", "live"]),
    ];
    let title = title.to_lowercase();
    let holds = |words: &&[&str]| words.iter().any(|w| title.contains(w));
    WORDS.iter().find(|(_, words)| holds(words)).map_or(Tier::Other, |(tier, _)| *tier)
}

/// What time has to say about an environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    Never,
    At(Time),
    /// It was used, and has more time than is written.
    Later(Time),
    Now,
}

/// When an environment that was used last at `used` stops by itself.
pub(crate) fn due(
    spec: &Environment,
    status: &EnvironmentStatus,
    used: Option<Time>,
    now: Time,
) -> Due {
    let (Some(at), EnvironmentState::Available) = (status.stops_at, status.state) else {
        return Due::Never;
    };
    if at > now {
        return Due::At(at);
    }
    let kept = used.zip(spec.auto_stop()).map(|(used, length)| used.plus(length));
    match kept {
        Some(later) if later > now => Due::Later(later),
        _ => Due::Now,
    }
}

/// How a deployment does when its services do so. Without a service there is nothing to wait for.
pub(crate) fn progress(members: &[Member]) -> Progress {
    let any = |p: Progress| members.iter().any(|m| m.progress == p);
    match () {
        () if any(Progress::Failed) => Progress::Failed,
        () if any(Progress::Underway) => Progress::Underway,
        () if any(Progress::Superseded) => Progress::Superseded,
        () => Progress::Live,
    }
}

/// The longest time to live, and the longest that it is made longer at once: as for artifacts, a year.
pub(crate) const LONGEST: Duration = Duration::from_secs(366 * 24 * 3600);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn name(words: &str) -> Name {
        Name::parse(words).unwrap()
    }

    #[test]
    fn tiers_are_guessed_from_names() {
        for (title, want) in [
            ("production", Tier::Production),
            ("PROD", Tier::Production),
            ("live", Tier::Production),
            ("staging", Tier::Staging),
            ("pre-production", Tier::Staging),
            ("review/fix-1", Tier::Development),
            ("dev-production", Tier::Development),
            ("qa", Tier::Testing),
            ("integration", Tier::Testing),
            ("customer-1", Tier::Other),
        ] {
            assert_eq!(tier(title), want, "{title}");
        }
    }

    #[test]
    fn the_first_name_is_the_slug() {
        let names = names("review/Fix_1", &name("web"));
        assert_eq!(names[0].as_str(), "review-fix-1");
        assert_eq!(names[1].as_str(), "review-fix-1-web");
        assert!(!super::names("검토", &name("web")).is_empty());
    }

    proptest! {
        #[test]
        fn every_title_has_a_name(title: String) {
            prop_assert!(!names(&title, &name("web")).is_empty());
        }
    }

    #[test]
    fn use_keeps_an_environment_for_as_long_again() {
        let spec = Environment {
            title: "qa".into(),
            repository: name("web"),
            tier: Tier::Testing,
            auto_stop_ms: Some(1000),
        };
        let status = EnvironmentStatus { stops_at: Some(Time(5000)), ..Default::default() };
        let at = |used: Option<i64>, now: i64| due(&spec, &status, used.map(Time), Time(now));
        assert_eq!(at(None, 4999), Due::At(Time(5000)));
        assert_eq!(at(None, 5000), Due::Now);
        assert_eq!(at(Some(3000), 5000), Due::Now);
        assert_eq!(at(Some(4600), 5000), Due::Later(Time(5600)));
        let stopped = EnvironmentStatus { state: EnvironmentState::Stopped, ..status.clone() };
        assert_eq!(due(&spec, &stopped, None, Time(9000)), Due::Never);
    }
}

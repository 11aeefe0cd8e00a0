//! What comes next on the way to a code: sign in, prove it again, choose, agree, or go back.

use super::Refusal;
use super::authorize::Asked;
use kernel::Time;
use std::collections::BTreeSet;

/// For how long a proof that was asked for here counts as fresh.
const FRESH: i64 = 15 * 60;

/// Who is there, and what is known of them and the application.
#[derive(Clone, Debug)]
pub struct Standing {
    /// When they last proved who they are.
    pub proved: Time,
    /// Whether they are among those who may sign in to it.
    pub allowed: bool,
    /// What they have agreed to. `None`: they are not asked.
    pub agreed: Option<BTreeSet<String>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nobody is signed in.
    SignIn,
    /// Somebody is, and has to prove it again.
    Again,
    /// Whether to go on as who they are.
    Choose,
    Agree,
    Refuse(Refusal),
    Grant,
}

/// `since`: seconds since the epoch from which on a proof satisfies the request, when one was asked for here.
pub fn next(asked: &Asked, standing: Option<&Standing>, since: Option<i64>, now: Time) -> Step {
    let silent = asked.prompt.none;
    let refuse = |error, code, say| Step::Refuse(Refusal::new(error, code, say).of(&asked.client));
    let login = ("the person is not signed in", "로그인되어 있지 않습니다");
    let Some(standing) = standing else {
        return if silent { refuse("login_required", "sso.login", login) } else { Step::SignIn };
    };
    if !is_fresh(asked, standing, since, now) {
        return if silent { refuse("login_required", "sso.login", login) } else { Step::Again };
    }
    if asked.prompt.select_account {
        return Step::Choose;
    }
    if !standing.allowed {
        return refuse(
            "access_denied",
            "sso.group",
            (
                "the person may not sign in to this application",
                "이 애플리케이션에 로그인할 수 없는 사람입니다",
            ),
        );
    }
    let Some(agreed) = &standing.agreed else { return Step::Grant };
    if !asked.prompt.consent && asked.scopes.is_subset(agreed) {
        return Step::Grant;
    }
    let say = ("the person has not agreed yet", "아직 동의하지 않았습니다");
    if silent { refuse("consent_required", "sso.consent", say) } else { Step::Agree }
}

fn is_fresh(asked: &Asked, standing: &Standing, since: Option<i64>, now: Time) -> bool {
    let second = |time: Time| time.0.div_euclid(1000);
    let (proved, now) = (second(standing.proved), second(now));
    let since = since.filter(|at| (now - FRESH..=now).contains(at));
    if since.is_some_and(|at| proved >= at) {
        return true;
    }
    let old = asked
        .max_age
        .is_some_and(|most| u64::try_from(now - proved).map_or(true, |age| age > most));
    !(asked.prompt.login || since.is_some() || old)
}

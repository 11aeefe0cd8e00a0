//! Whether policies can be taken: they have to be Cedar, to fit the schema, and to come to what their tests say.

use crate::compile::compile;
use crate::decide::Decision;
use crate::judge::Question;
use crate::kind::{Expect, PlatformMembers, PlatformPolicy, PolicySpec, PolicyTest};
use crate::people::{Person, Via, Who};
use crate::role::{PlatformRole, Role, Subject};
use crate::target::Target;
use crate::{Action, Policy};
use kernel::{Error, Key, Kind, Name, Principal, Result, Text, text};
use serde::Serialize;
use serde_json::Value;

/// Tests of one policy resource.
const TESTS: usize = 200;
/// The longest Cedar text of one resource, in bytes.
const LONGEST: usize = 64 * 1024;

/// What came of a test.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TestResult {
    pub name: String,
    pub expect: Expect,
    pub found: Expect,
    pub because: Text,
}

impl TestResult {
    pub fn passed(&self) -> bool {
        self.expect == self.found
    }
}

/// What can be said of a policy by itself, without its name and its project: [`Policy::admit`] says the rest.
pub(crate) fn spec(spec: &PolicySpec) -> Result<()> {
    if spec.cedar.len() > LONGEST || spec.tests.len() > TESTS {
        return Err(Error::invalid(
            "policy.too-large",
            text!(
                "a policy has at most {LONGEST} bytes of Cedar and {TESTS} tests",
                "정책은 Cedar {LONGEST}바이트, 테스트 {TESTS}개까지입니다"
            ),
        )
        .hint(Text::fixed("split it in two", "둘로 나누세요")));
    }
    Ok(())
}

/// What writing a kind takes beyond changing the project that it is in.
pub fn writes(kind: &str) -> Option<Action> {
    (kind == PolicySpec::KIND).then_some(Action::ProjectAdminister)
}

/// How the policies of a resource are called.
pub(crate) fn called(key: &Key) -> String {
    match &key.project {
        Some(project) => format!("{project}/{}", key.name),
        None => format!("platform/{}", key.name),
    }
}

impl Policy {
    /// Whether a resource may be written as it is, by whoever may write it.
    ///
    /// # Errors
    /// What is wrong with it: `policy.syntax`, `policy.invalid`, `policy.beyond-project`, `policy.test-failed`,
    /// `role.unknown`.
    pub async fn admit(&self, key: &Key, spec: &Value) -> Result<()> {
        let read = |e: serde_json::Error| Error::internal(e);
        let spec = match key.kind.as_str() {
            PolicySpec::KIND => serde_json::from_value(spec.clone()).map_err(read)?,
            PlatformPolicy::KIND => {
                serde_json::from_value::<PlatformPolicy>(spec.clone()).map_err(read)?.0
            }
            PlatformMembers::KIND if PlatformRole::parse(key.name.as_str()).is_none() => {
                return Err(unknown_role(key.name.as_str()));
            }
            _ => return Ok(()),
        };
        let failed = self.test(key, &spec).await?.into_iter().find(|t| !t.passed());
        match failed {
            None => Ok(()),
            Some(test) => Err(test_failed(&called(key), &test)),
        }
    }

    /// Runs the tests of a policy in the world as it would be with it.
    ///
    /// # Errors
    /// As [`Policy::admit`], but for tests that fail: those are in the answer.
    pub async fn test(&self, key: &Key, spec: &PolicySpec) -> Result<Vec<TestResult>> {
        self::spec(spec)?;
        let project = key.project.as_ref();
        let compiled = compile(&called(key), project, &spec.cedar)?;
        let mut people = Vec::new();
        for test in &spec.tests {
            let actual = test.groups.is_none() && test.role.is_none();
            people.push(match (actual, &test.principal) {
                (true, Subject::User(n)) => Some(self.who(&Principal::User(n.clone())).await?),
                (true, Subject::Service(n)) => {
                    Some(self.who(&Principal::Service(n.clone())).await?)
                }
                _ => None,
            });
        }
        self.catch_up().await?;
        let now = self.store().now();
        self.in_world(|world| {
            let world = world.with(key, compiled);
            let each = spec.tests.iter().zip(people).enumerate();
            each.map(|(i, (test, actual))| {
                let (person, groups) = match &actual {
                    Some(who) => (who.person.clone(), who.groups.clone()),
                    None => (Person::default(), test.groups.clone().unwrap_or_default().into()),
                };
                let principal = principal(&test.principal)?;
                let target = test_target(project, &test.resource)?;
                let at = test.context.now.unwrap_or(now);
                let mut who = world.who(&principal, groups, person, at);
                cast(&mut who, test, &target)?;
                world.anchor(&mut who);
                let (action, context) = (test.action, &test.context);
                let q = Question { who: &who, action, target: &target, context, now: at };
                Ok(result(i, test, &world.decide(&q, true)?))
            })
            .collect()
        })
    }
}

fn result(i: usize, test: &PolicyTest, decision: &Decision) -> TestResult {
    let name = match test.name.is_empty() {
        true => {
            format!("#{}: {} {} {}", i + 1, test.principal, test.action, test.resource)
        }
        false => test.name.clone(),
    };
    let found = if decision.allow { Expect::Allow } else { Expect::Deny };
    TestResult { name, expect: test.expect, found, because: decision.text() }
}

fn principal(subject: &Subject) -> Result<Principal> {
    match subject {
        Subject::User(name) => Ok(Principal::User(name.clone())),
        Subject::Service(name) => Ok(Principal::Service(name.clone())),
        Subject::Group(name) => Err(Error::invalid(
            "policy.test-principal",
            text!("group {name} does nothing itself", "{name} 그룹은 직접 행동하지 않습니다"),
        )
        .hint(text!(
            "write `principal: user:somebody` and `groups: [{name}]`",
            "`principal: user:somebody`와 `groups: [{name}]`로 쓰세요"
        ))),
    }
}

/// Gives the principal of a test the role that it names, and no other.
fn cast(who: &mut Who, test: &PolicyTest, target: &Target) -> Result<()> {
    let Some(words) = &test.role else { return Ok(()) };
    who.roles.clear();
    who.platform.clear();
    match (Role::parse(words), PlatformRole::parse(words), target.project_name()) {
        (Some(role), _, Some(project)) => {
            who.roles.insert(project.clone(), (role, Via::Direct));
        }
        (_, Some(role), _) => who.platform.push((role, Via::Direct)),
        _ => return Err(unknown_role(words)),
    }
    Ok(())
}

/// In a project's own policy the project goes without saying.
fn test_target(project: Option<&Name>, words: &str) -> Result<Target> {
    match (project, words.split_once('/')) {
        (Some(project), None) if words == "project" => Ok(Target::project(project)),
        (Some(project), Some((kind, name))) if kind != "project" => {
            let own = format!("{project}/");
            match name.starts_with(&own) {
                true => Target::parse(words),
                false => Target::parse(&format!("{kind}/{project}/{name}")),
            }
        }
        _ => Target::parse(words),
    }
}

fn unknown_role(words: &str) -> Error {
    let shown = kernel::shown(words);
    Error::invalid("role.unknown", text!("there is no role “{shown}”", "“{shown}” 역할은 없습니다"))
        .hint(Text::fixed(
            "viewer, developer, maintainer and owner are roles of projects; operator, auditor and administrator of the platform",
            "viewer, developer, maintainer, owner는 프로젝트 역할이고 operator, auditor, administrator는 플랫폼 역할입니다",
        ))
}

fn test_failed(policy: &str, test: &TestResult) -> Error {
    let word = |e: Expect| if e == Expect::Allow { "allow" } else { "deny" };
    let (name, want, found) = (&test.name, word(test.expect), word(test.found));
    let (en, ko) = (&test.because.en, &test.because.ko);
    Error::invalid(
        "policy.test-failed",
        text!(
            "test “{name}” of {policy} expects {want} and gets {found}: {en}",
            "{policy}의 테스트 “{name}”은(는) {want}여야 하는데 {found}입니다: {ko}"
        ),
    )
    .hint(Text::fixed(
        "mend the policy or its test; nothing was written",
        "정책이나 테스트를 고치세요. 아무것도 저장하지 않았습니다",
    ))
}

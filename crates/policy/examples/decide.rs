//! Decisions through the index beside plain Cedar, on the same worlds and the same questions:
//! `cargo run --release -p policy --example decide -- [COMPARED]`.

use kernel::{Name, Principal, Result, Time};
use policy::plain::{Case, Parts};
use policy::{Action, Context, Member, Place, Role, Subject, Target};
use std::time::Instant;

const NOW: Time = Time(1_790_000_000_000);
const PROJECTS: usize = 100;
const GROUPS: usize = 200;
const PEOPLE: usize = 500;
/// Groups of each person.
const IN: usize = 8;

/// xorshift64*: the same worlds each time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % n
    }

    fn of<'a, T>(&mut self, all: &'a [T]) -> Option<&'a T> {
        let at = self.below(all.len());
        all.get(at)
    }
}

fn name(kind: &str, i: usize) -> Result<Name> {
    Name::parse(&format!("{kind}{i}"))
}

/// What a team writes: mostly about a group, sometimes about a person or anybody, a third with a condition.
fn policy(dice: &mut Dice, i: usize, projects: usize) -> Result<(Option<Name>, Name, String)> {
    let project = name("p", dice.below(projects))?;
    let effect = if dice.below(4) == 0 { "forbid" } else { "permit" };
    let who = match dice.below(10) {
        0 => "principal".to_owned(),
        1 | 2 => format!("principal == User::\"u{}\"", dice.below(PEOPLE)),
        _ => format!("principal in Group::\"g{}\"", dice.below(GROUPS)),
    };
    let in_projects: Vec<Action> =
        Action::ALL.into_iter().filter(|a| a.place() == Place::Project).collect();
    let action = match dice.below(4) {
        0 => "action in Action::\"role.developer\"".to_owned(),
        _ => format!(
            "action == Action::\"{}\"",
            dice.of(&in_projects).map_or("deploy", |a| a.name())
        ),
    };
    let on = match dice.below(4) {
        0 => "resource".to_owned(),
        1 => format!("resource == Environment::\"{project}/production\""),
        2 => "resource is Service".to_owned(),
        _ => format!("resource in Project::\"{project}\""),
    };
    let when = match dice.below(9) {
        0 => "when { context has branch && context.branch like \"release/*\" }",
        1 => "unless { context has protected && context.protected }",
        2 => {
            "when { context.now < datetime(\"2026-12-01T00:00:00Z\") && resource.name like \"prod*\" }"
        }
        _ => "",
    };
    Ok((Some(project), name("policy", i)?, format!("{effect} ({who}, {action}, {on}) {when};")))
}

/// What a company writes, beside the projects' own.
const EVERYWHERE: [&str; 3] = [
    "forbid (principal, action == Action::\"deploy\", resource is Environment) when { resource.name == \"frozen\" };",
    "forbid (principal is ServiceAccount, action == Action::\"secret.read\", resource);",
    "permit (principal in Group::\"g0\", action == Action::\"project.view\", resource);",
];

fn parts(dice: &mut Dice, policies: usize, projects: usize) -> Result<Parts> {
    let mut made = Parts { now: NOW, ..Parts::default() };
    for i in 0..projects {
        let project = name("p", i)?;
        let mut members = Vec::new();
        for j in 0..6 {
            let who = match j % 2 {
                0 => Subject::Group(name("g", dice.below(GROUPS))?),
                _ => Subject::User(name("u", dice.below(PEOPLE))?),
            };
            let role = dice.of(&Role::ALL).copied().unwrap_or(Role::Viewer);
            members.push(Member::new(&who, role));
        }
        for target in [
            Target::project(&project),
            Target::environment(&project, "production"),
            Target::within(&project, "service", "web"),
            Target::within(&project, "secret", "db"),
        ] {
            made.targets.push(target);
        }
        made.projects.push((project, members));
    }
    for i in 0..PEOPLE {
        let groups = (0..IN).map(|_| name("g", dice.below(GROUPS))).collect::<Result<Vec<_>>>()?;
        made.people.push((Principal::User(name("u", i)?), groups, i == 0));
    }
    for (i, cedar) in EVERYWHERE.into_iter().enumerate() {
        made.policies.push((None, name("all", i)?, cedar.to_owned()));
    }
    for i in EVERYWHERE.len()..policies {
        made.policies.push(policy(dice, i, projects)?);
    }
    Ok(made)
}

struct Question {
    who: usize,
    action: Action,
    target: usize,
    context: Context,
}

fn question(dice: &mut Dice, targets: usize) -> Question {
    let in_projects =
        [Action::ProjectView, Action::ProjectChange, Action::Deploy, Action::SecretRead];
    let word = |dice: &mut Dice, all: [Option<&str>; 3]| {
        dice.of(&all).copied().flatten().map(str::to_owned)
    };
    Question {
        who: dice.below(PEOPLE),
        action: dice.of(&in_projects).copied().unwrap_or(Action::ProjectView),
        target: dice.below(targets),
        context: Context {
            branch: word(dice, [Some("main"), Some("release/1"), None]),
            protected: dice.of(&[Some(true), Some(false), None]).copied().flatten(),
            ..Context::default()
        },
    }
}

/// Minimum, median and 99th percentile in microseconds.
fn spread(mut nanos: Vec<u128>) -> String {
    nanos.sort_unstable();
    let rank = |p: usize| {
        let at = (nanos.len() * p).div_ceil(100).max(1) - 1;
        nanos.get(at).copied().unwrap_or(0) as f64 / 1000.0
    };
    format!("{:.2} / {:.2} / {:.2} µs", rank(0), rank(50), rank(99))
}

fn timed(
    questions: &[Question],
    mut ask: impl FnMut(&Question) -> Result<()>,
) -> Result<Vec<u128>> {
    let mut nanos = Vec::with_capacity(questions.len());
    for q in questions {
        let begin = Instant::now();
        ask(q)?;
        nanos.push(begin.elapsed().as_nanos());
    }
    Ok(nanos)
}

fn latency(policies: usize, plainly: usize) -> Result<()> {
    let mut dice = Dice(42);
    let case = Case::new(parts(&mut dice, policies, PROJECTS)?)?;
    let some: Vec<Question> = (0..200_000).map(|_| question(&mut dice, 4 * PROJECTS)).collect();
    let ask = |q: &Question| case.indexed(q.who, q.action, q.target, &q.context, NOW).map(drop);
    // Each principal is known after this, and so is what Cedar's evaluation needs of it before each target; a third of
    // the questions to come were asked before.
    timed(&some, ask)?;
    let others: Vec<Question> = (0..200_000).map(|_| question(&mut dice, 4 * PROJECTS)).collect();
    let new = spread(timed(&others, ask)?);
    let again = spread(timed(&others, ask)?);
    let few = some.get(..plainly).unwrap_or_default();
    let plain =
        spread(timed(few, |q| case.plain(q.who, q.action, q.target, &q.context, NOW).map(drop))?);
    let made = case.policies();
    say(&format!("{made:6} policies: asked anew {new}; asked again {again}; plain Cedar {plain}"));
    Ok(())
}

/// Compares whole decisions over many small worlds; the number that differ, and that allow.
fn equal(wanted: usize) -> Result<()> {
    let (mut asked, mut differ, mut allowed) = (0_usize, 0_usize, 0_usize);
    for world in 1.. {
        if asked >= wanted {
            break;
        }
        let mut dice = Dice(world);
        let case = Case::new(parts(&mut dice, 40, 4)?)?;
        for _ in 0..10_000.min(wanted - asked) {
            let q = question(&mut dice, 16);
            let quick = case.indexed(q.who, q.action, q.target, &q.context, NOW)?;
            let plain = case.plain(q.who, q.action, q.target, &q.context, NOW)?.map(|p| p.0);
            asked += 1;
            differ += usize::from(quick != plain);
            allowed += usize::from(quick == Some(true));
        }
    }
    say(&format!("{asked} decisions compared: {differ} differ, {allowed} allowed"));
    Ok(())
}

fn say(words: &str) {
    use std::io::Write;
    // Nobody reads any more: nothing to do about it.
    let _ = writeln!(std::io::stdout(), "{words}");
}

fn main() -> Result<()> {
    for (policies, plainly) in [(10, 20_000), (100, 5_000), (1_000, 1_000), (10_000, 100)] {
        latency(policies, plainly)?;
    }
    let wanted = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(1_000_000);
    equal(wanted)
}

//! A directory of people and nested groups in a data directory, for a server to be started over, and how long
//! memberships take to answer: `cargo run --release -p account --example directory -- DATA [USERS] [GROUPS]`.

use account::credential::Visitor;
use account::{Accounts, Options};
use kernel::{Error, Key, Name, Principal, Result};
use serde_json::{Value, json};
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use store::{Put, Store, Tx};

/// Resources in one transaction while the directory is filled.
const PIECE: usize = 500;
/// Memberships asked for.
const ASKED: usize = 20_000;
/// Sign-ins.
const ROUNDS: usize = 20;
/// Who signs in: somebody in the middle.
const WHO: &str = "u050000";
const PASSWORD: &str = "four words that nobody guesses";

#[tokio::main]
async fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let data = args.next().map(PathBuf::from).ok_or_else(|| Error::internal("which directory?"))?;
    let mut number = |or: usize| args.next().and_then(|a| a.parse().ok()).unwrap_or(or);
    let (users, groups) = (number(100_000), number(10_000));
    let began = Instant::now();
    {
        let accounts = open(&data).await?;
        fill(&accounts, "User", users, |n| user(n, users)).await?;
        // From the leaves to the root: a member has to be there before it is named.
        fill(&accounts, "Group", groups, |n| group(groups - 1 - n, groups, users)).await?;
        let (who, by) = (Name::parse(WHO)?, Principal::part("bench"));
        accounts.set_password(&who, PASSWORD.to_owned(), by).await?;
    }
    say(&format!("{users} users and {groups} groups written in {:.1?}", began.elapsed()));
    let began = Instant::now();
    let accounts = open(&data).await?;
    say(&format!("opened again in {:.0?}", began.elapsed()));
    membership(&accounts, users)?;
    sign_in(&accounts).await
}

async fn open(data: &Path) -> Result<Accounts> {
    let store = Store::open(&data.join("naru.db"), store::Options::default())?;
    let record = Some(data.join("ended.jsonl"));
    Accounts::open_with(store, Options { record, ..Options::default() }).await
}

/// Written with all rules, many in one transaction, as an import would.
async fn fill(
    accounts: &Accounts,
    kind: &'static str,
    count: usize,
    one: impl Fn(usize) -> (String, Value),
) -> Result<()> {
    let mut next = 0;
    while next < count {
        let end = (next + PIECE).min(count);
        let piece: Vec<(String, Value)> = (next..end).map(&one).collect();
        let rules = accounts.clone();
        let write = move |tx: &mut Tx<'_>| {
            for (name, spec) in piece {
                let key = Key { kind: kind.into(), project: None, name: Name::parse(&name)? };
                let (labels, actor) = (Default::default(), Principal::part("bench"));
                rules.put(tx, Put { key, labels, spec, expected: None, actor })?;
            }
            Ok(())
        };
        accounts.store().write(write).await?;
        next = end;
    }
    Ok(())
}

fn user(n: usize, users: usize) -> (String, Value) {
    const FAMILIES: [&str; 4] = ["김", "이", "박", "최"];
    let (name, family) = (format!("u{n:06}"), FAMILIES.get(n % 4).copied().unwrap_or_default());
    let spec = json!({
        "title": format!("{family}사람 {n}"),
        "given_name": format!("사람 {n}"),
        "family_name": family,
        "department": format!("team {}", n % 500),
        "employee_number": (users + n).to_string(),
        "mails": [{ "address": format!("{name}@example.com"), "primary": true }],
    });
    (name, spec)
}

/// A tree of groups, ten in each; besides, each group is in one far away, so that the ways to the root are many.
/// Each has thirty users of its own, so that each user is in three.
fn group(n: usize, groups: usize, users: usize) -> (String, Value) {
    let named = |n: usize| format!("g{n:05}");
    let mut within: Vec<usize> = (10 * n + 1..=10 * n + 10).chain([n + groups / 3]).collect();
    within.retain(|child| *child < groups);
    within.sort_unstable();
    within.dedup();
    let inner = within.into_iter().map(|child| json!({ "group": named(child) }));
    let own: std::collections::BTreeSet<usize> =
        (0..30).map(|k| (n * 30 + k * 7919) % users).collect();
    let own = own.into_iter().map(|u| json!({ "user": format!("u{u:06}") }));
    let members: Vec<Value> = inner.chain(own).collect();
    (named(n), json!({ "title": format!("Group {n}"), "members": members }))
}

fn membership(accounts: &Accounts, users: usize) -> Result<()> {
    let (mut times, mut most) = (Vec::new(), 0);
    for n in 0..ASKED.min(users) {
        let who = Principal::User(Name::parse(&format!("u{:06}", n * 7 % users))?);
        let began = Instant::now();
        most = most.max(accounts.groups_of(&who).len());
        times.push(began.elapsed());
    }
    show("groups of a user, never asked before", times);
    say(&format!("  groups of one user: at most {most}"));
    let who = Principal::User(Name::parse(WHO)?);
    let again = (0..ASKED).map(|_| {
        let began = Instant::now();
        std::hint::black_box(accounts.groups_of(&who));
        began.elapsed()
    });
    show("groups of a user, asked before", again.collect());
    let root = Name::parse("g00000")?;
    let whole = (0..10).map(|_| {
        let began = Instant::now();
        std::hint::black_box(accounts.members_of(&root));
        began.elapsed()
    });
    show("everybody in the outermost group", whole.collect());
    Ok(())
}

/// A whole sign-in by password, and one that the hash alone makes slow: a name that nobody has.
async fn sign_in(accounts: &Accounts) -> Result<()> {
    accounts.warm().await?;
    let visitor = |n: u8| Visitor {
        address: IpAddr::V4(Ipv4Addr::new(10, 0, n, 1)),
        browser: "bench".to_owned(),
        device: None,
        session: None,
    };
    let (mut right, mut nobody) = (Vec::new(), Vec::new());
    for n in 0..ROUNDS {
        let who = visitor(u8::try_from(n).unwrap_or(u8::MAX));
        let began = Instant::now();
        accounts.sign_in(WHO, PASSWORD.to_owned(), &who).await?;
        right.push(began.elapsed());
        let began = Instant::now();
        let refused = accounts.sign_in("nobody-here", PASSWORD.to_owned(), &who).await;
        nobody.push(began.elapsed());
        if refused.is_ok() {
            return Err(Error::internal("nobody signed in"));
        }
    }
    show("a sign-in, its hash included", right);
    show("a sign-in of an unknown name, its hash included", nobody);
    Ok(())
}

fn show(what: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let rank = |p: usize| {
        let at = (times.len() * p).div_ceil(100).max(1) - 1;
        times.get(at).copied().unwrap_or_default().as_secs_f64() * 1000.0
    };
    say(&format!("{what}: {:.4} / {:.4} / {:.4} ms (min, p50, p99)", rank(0), rank(50), rank(99)));
}

fn say(words: &str) {
    // Nobody reads any more: nothing to do about it.
    let _ = writeln!(std::io::stdout(), "{words}");
}

//! A company of 100,000 people in 10,000 nested groups: memberships in process, pages and sign-ins through the
//! running server.

use super::{naru, rss_kb, spread};
use crate::run;
use anyhow::{Result, bail};
use std::time::{Duration, Instant};
use testkit::{Answer, Naru};

/// Times each page is asked for; between two of them, as long as keeps the client within its rate.
const ROUNDS: usize = 40;
const PAUSE: Duration = Duration::from_millis(20);

pub fn bench() -> Result<()> {
    let example = ["build", "--release", "--locked", "-p", "account", "--example", "directory"];
    run::step("build", "cargo", &example)?;
    let program = super::release("examples/directory")?.to_string_lossy().into_owned();
    let dir = tempfile::Builder::new().prefix("directory").tempdir()?;
    let data = dir.path().to_string_lossy().into_owned();
    println!("{}", run::output(&program, &[&data])?.trim());
    let naru = Naru::start_in(&naru()?, dir.path(), &[])?;
    println!("server ready after {:.0} ms", naru.ready_after.as_secs_f64() * 1000.0);
    for (what, path) in [
        ("API: a page of 100 users, the first", "/api/v1/users?limit=100"),
        ("API: a page of 100 users, from the middle", "/api/v1/users?limit=100&continue=u050000"),
        ("API: a search that finds many", "/api/v1/users?limit=100&search=%EA%B9%80"),
        ("API: a search that finds one", "/api/v1/users?limit=100&search=u099999@example"),
        ("API: a search that finds nobody", "/api/v1/users?limit=100&search=nobody-at-all"),
        ("page: people", "/people"),
        ("page: people, from the middle", "/people?after=u050000"),
        ("page: people, searched", "/people?q=u099999"),
        ("page: groups", "/groups"),
        ("page: a group", "/groups/g00100"),
        ("page: a person", "/people/u050000"),
    ] {
        timed(what, || {
            let answer = naru.api("GET", path, "")?;
            expect(&answer, 200)
        })?;
    }
    let host = naru.url.trim_start_matches("http://").to_owned();
    let form = "name=u050000&password=four+words+that+nobody+guesses";
    timed("sign-in over HTTP, its hash included", || {
        let headers =
            [("Origin", naru.url.as_str()), ("Content-Type", "application/x-www-form-urlencoded")];
        let answer = testkit::request(
            naru.address()?,
            &host,
            "POST",
            "/sign-in",
            &headers,
            form.as_bytes(),
        )?;
        expect(&answer, 303)
    })?;
    println!("resident: {:.0} MB", rss_kb(naru.pid())? as f64 / 1024.0);
    Ok(())
}

fn timed(what: &str, mut once: impl FnMut() -> Result<()>) -> Result<()> {
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        let began = Instant::now();
        once()?;
        times.push(began.elapsed().as_secs_f64() * 1000.0);
        std::thread::sleep(PAUSE);
    }
    let (min, p50, p99) = spread(times);
    println!("{what}: {min:.2} / {p50:.2} / {p99:.2} ms (min, p50, p99)");
    Ok(())
}

fn expect(answer: &Answer, status: u16) -> Result<()> {
    if answer.status == status {
        return Ok(());
    }
    bail!(
        "{} instead of {status}: {}",
        answer.status,
        answer.body.chars().take(400).collect::<String>()
    )
}

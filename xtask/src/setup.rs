//! What the chores need of the machine, from Debian's packages.

use crate::run;
use anyhow::{Result, bail};

/// A program and the package that has it.
type Need = (&'static str, &'static str);

pub const TEST: &[Need] = &[
    ("git", "git"),
    ("python3", "python3"),
    ("curl", "curl"),
    ("bash", "bash"),
    ("chromium", "chromium"),
    ("redis-server", "redis-server"),
];

/// libFuzzer is C++.
pub const FUZZ: &[Need] = &[("c++", "g++")];

pub const BENCH: &[Need] = &[("nginx", "nginx-light"), ("wrk", "wrk")];

/// Installs what is missing, saying so and asking nothing.
pub fn install(needs: &[Need]) -> Result<()> {
    let missing: Vec<&str> =
        needs.iter().filter(|(p, _)| !run::there(p)).map(|(_, package)| *package).collect();
    if missing.is_empty() {
        return Ok(());
    }
    println!("── install from Debian: {}", missing.join(" "));
    if !run::there("apt-get") {
        bail!("this machine has no apt-get; install by hand: {}", missing.join(" "));
    }
    let root = run::output("id", &["-u"])?.trim() == "0";
    let mut apt = vec![];
    if !root {
        apt.extend(["sudo", "-n"]);
    }
    apt.extend(["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-qq", "-y"]);
    let call = |more: &[&str]| {
        let all: Vec<&str> = apt.iter().chain(more).copied().collect();
        let (program, args) = all.split_first().unwrap_or((&"true", &[]));
        run::step("packages", program, args)
    };
    call(&["update"])?;
    call(&[&["install", "--no-install-recommends"], missing.as_slice()].concat())
}

//! What the chores need of the machine, from Debian's packages.

use crate::run;
use anyhow::{Context, Result, bail};
use std::path::Path;

/// A program and the package that has it.
type Need = (&'static str, &'static str);

pub const TEST: &[Need] = &[
    ("git", "git"),
    ("python3", "python3"),
    ("pip3", "python3-pip"),
    ("node", "nodejs"),
    ("npm", "npm"),
    ("curl", "curl"),
    ("openssl", "openssl"),
    ("bash", "bash"),
    ("chromium", "chromium"),
    // A library that checks signed tokens, and what it needs for elliptic curves.
    ("pyjwt3", "python3-jwt"),
    ("pyjwt3", "python3-cryptography"),
    // Servers that stand in for the images of services, and their clients.
    ("redis-server", "redis-server"),
    ("redis-cli", "redis-tools"),
    ("pg_ctlcluster", "postgresql"),
    ("mariadbd", "mariadb-server"),
    ("memcached", "memcached"),
    ("nginx", "nginx-light"),
    ("rabbitmqctl", "rabbitmq-server"),
];

/// The package that has the official JSON Schema of `.gitlab-ci.yml`, pinned: the schema moves with GitLab.
const SCHEMAS: &str = "check-jsonschema==0.39.0";
const SCHEMA: &str = "check_jsonschema/builtin_schemas/vendor/gitlab-ci.json";

/// What applications sign people in with, pinned: the tests are of our answers, not of their next version.
const PYTHON: &[&str] = &["authlib==1.9.9", "joserfc==1.8.0", "requests==2.34.2"];
const NODE: &str = "openid-client@6.8.9";

/// libFuzzer is C++.
pub const FUZZ: &[Need] = &[("c++", "g++")];

pub const BENCH: &[Need] = &[("nginx", "nginx-light"), ("wrk", "wrk")];

/// Where the build keeps what is no part of it.
fn target() -> Result<std::path::PathBuf> {
    let metadata = run::output("cargo", &["metadata", "--no-deps", "--format-version", "1"])?;
    let metadata: serde_json::Value = serde_json::from_str(&metadata)?;
    let target = metadata["target_directory"].as_str().context("target directory")?;
    Ok(Path::new(target).join("tmp"))
}

/// Puts the libraries with which applications sign people in where the tests of that find them, unless they are
/// there.
pub fn clients() -> Result<()> {
    let dir = target()?.join("clients");
    let (python, node) = (dir.join("python"), dir.join("node"));
    std::fs::create_dir_all(&dir)?;
    if !python.join("authlib").exists() {
        let into = python.to_string_lossy().into_owned();
        let pip =
            ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--target", &into];
        run::step("fetch clients in Python", "python3", &[&pip, PYTHON].concat())?;
    }
    if !node.join("node_modules/openid-client").exists() {
        let into = node.to_string_lossy().into_owned();
        let npm = ["install", "--silent", "--no-audit", "--no-fund", "--prefix", &into, NODE];
        run::step("fetch clients in JavaScript", "npm", &npm)?;
    }
    Ok(())
}

/// Puts the schema where the tests of pipelines find it, unless it is there. It is not ours to keep here.
pub fn schemas() -> Result<()> {
    let dir = target()?.join("schemas");
    let schema = dir.join("gitlab-ci.json");
    if schema.exists() {
        return Ok(());
    }
    std::fs::create_dir_all(&dir)?;
    let into = dir.to_string_lossy().into_owned();
    let pip = ["-m", "pip", "download", "--quiet", "--no-deps", "--dest", &into, SCHEMAS];
    run::step("fetch the schema of pipelines", "python3", &pip)?;
    let wheel = std::fs::read_dir(&dir)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.extension().is_some_and(|e| e == "whl"))
        .context("pip left no wheel")?;
    let wheel = wheel.to_string_lossy().into_owned();
    run::step("unpack it", "python3", &["-m", "zipfile", "-e", &wheel, &into])?;
    std::fs::rename(dir.join(SCHEMA), schema).context("the wheel has no schema")
}

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

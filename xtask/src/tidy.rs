//! Rules that are checked rather than remembered.

use crate::run;
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Crates that must not come in, and what to do instead.
const BANNED: &[(&str, &str)] = &[
    ("openssl-sys", "rustls with ring is the one TLS"),
    ("native-tls", "rustls with ring is the one TLS"),
    ("aws-lc-sys", "ring is the one crypto provider: switch the default features off"),
    ("libz-ng-sys", "it needs cmake"),
    ("bindgen", "it needs libclang"),
    ("serde_yaml", "archived: serde-saphyr"),
];

/// Crates of which only one version may be linked.
const SINGLE: &[&str] = &["rustls", "hyper", "rusqlite", "axum", "tokio", "http"];

pub fn tidy() -> Result<()> {
    run::step("formatting", "cargo", &["fmt", "--all", "--check"])?;
    let metadata = run::output("cargo", &["metadata", "--locked", "--format-version", "1"])?;
    let metadata: Value = serde_json::from_str(&metadata)?;
    let mut faults = layers(&metadata)?;
    faults.extend(dependencies(&metadata));
    for fault in &faults {
        println!("   {fault}");
    }
    if !faults.is_empty() {
        bail!("{} layer or dependency rules are broken", faults.len());
    }
    let clippy =
        ["clippy", "--locked", "--workspace", "--all-targets", "--no-deps", "--", "-D", "warnings"];
    run::step("lints", "cargo", &clippy)
}

/// Where a crate stands. A crate may use those below its own layer; engines may use each other in the
/// order below, parts may not use each other at all.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Layer {
    Kernel,
    Engine,
    Surface,
    Part,
    Root,
}

fn layer(name: &str) -> Option<Layer> {
    let domains = [
        "network-",
        "delivery-",
        "orchestration-",
        "observability-",
        "cloud-",
        "security-",
        "data-",
    ];
    Some(match name {
        "kernel" => Layer::Kernel,
        "authority" | "outgoing" | "store" | "blob" | "account" | "policy" | "reconcile"
        | "run" | "host" | "load" | "telemetry" | "secret" => Layer::Engine,
        "naru-http" | "cli" | "web" | "part" => Layer::Surface,
        "console" | "insight" => Layer::Part,
        name if domains.iter().any(|d| name.starts_with(d)) => Layer::Part,
        "naru" => Layer::Root,
        // Stand outside: tests and chores.
        "testkit" | "xtask" => return None,
        _ => return None,
    })
}

fn layers(metadata: &Value) -> Result<Vec<String>> {
    let mut faults = Vec::new();
    let packages = metadata["packages"].as_array().context("packages")?;
    let ours: BTreeSet<&str> = metadata["workspace_members"]
        .as_array()
        .context("members")?
        .iter()
        .filter_map(Value::as_str)
        .collect();
    for package in packages.iter().filter(|p| p["id"].as_str().is_some_and(|id| ours.contains(id)))
    {
        let name = package["name"].as_str().unwrap_or("");
        let Some(own) = layer(name) else {
            if !["testkit", "xtask"].contains(&name) {
                faults.push(format!("{name}: say in xtask/src/tidy.rs which layer it belongs to"));
            }
            continue;
        };
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            let used = dependency["name"].as_str().unwrap_or("");
            let normal = dependency["kind"].is_null() && !dependency["path"].is_null();
            let Some(theirs) = layer(used).filter(|_| normal) else { continue };
            let allowed = theirs < own || theirs == own && own != Layer::Part;
            if !allowed {
                faults.push(format!("{name} ({own:?}) must not use {used} ({theirs:?}): speak by events or a kernel port"));
            }
        }
    }
    Ok(faults)
}

fn dependencies(metadata: &Value) -> Vec<String> {
    let mut versions: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for package in metadata["packages"].as_array().into_iter().flatten() {
        let field = |name: &str| package[name].as_str().unwrap_or("");
        if !package["source"].is_null() {
            versions.entry(field("name")).or_default().insert(field("version"));
        }
    }
    let banned = BANNED.iter().filter(|(name, _)| versions.contains_key(name));
    let twice = SINGLE.iter().filter(|name| versions.get(*name).is_some_and(|v| v.len() > 1));
    banned
        .map(|(name, why)| format!("{name} came in: {why}"))
        .chain(twice.map(|name| {
            format!("{name} is linked in more than one version: {:?}", versions.get(name))
        }))
        .collect()
}

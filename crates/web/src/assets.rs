//! The program's own files, compiled in.

use naru_http::Asset;

const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

macro_rules! assets {
    ($($name:literal $kind:ident),* $(,)?) => {
        &[$(Asset {
            name: $name,
            content_type: $kind,
            bytes: include_bytes!(concat!("assets/", $name)),
        }),*]
    };
}

/// Style sheets, modules and pictures of the shell; the composition root serves them.
pub const ASSETS: &[Asset] = assets![
    "base.css" CSS,
    "shell.css" CSS,
    "widget.css" CSS,
    "code.css" CSS,
    "report.css" CSS,
    "account.css" CSS,
    "live.js" JS,
    "log.js" JS,
    "graph.js" JS,
    "keys.js" JS,
    "passkey.js" JS,
    "switch.js" JS,
    "time.js" JS,
    "naru.svg" SVG,
];

/// In the order in which they are laid over each other.
pub(crate) fn styles() -> impl Iterator<Item = &'static str> {
    ASSETS.iter().map(|a| a.name).filter(|n| n.ends_with(".css"))
}

pub(crate) fn modules() -> impl Iterator<Item = &'static str> {
    ASSETS.iter().map(|a| a.name).filter(|n| n.ends_with(".js"))
}

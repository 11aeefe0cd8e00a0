//! naru: a whole DevOps team's platform in one program.
//!
//! This crate is the composition root: it reads the arguments, opens the parts in order and wires the
//! ports between them. Decisions live in the parts. It is a library with a very thin program, so that
//! tests can open the platform inside themselves.

mod args;
pub mod config;
mod demo;
pub mod edge_tls;
mod keep;
pub mod open;
pub mod outside;
pub mod parts;
mod up;

use std::process::ExitCode;

/// The program.
pub fn main() -> ExitCode {
    // Before anything else, and before any thread: the parent of a workload is small and single-threaded.
    let mut argv = std::env::args_os().skip(1);
    if argv.next().is_some_and(|a| a == "shim") {
        let dir = argv.next().unwrap_or_default();
        return host::shim_main(std::path::Path::new(&dir));
    }
    let lang = cli::lang();
    let matches = match args::command(lang).try_get_matches() {
        Ok(matches) => matches,
        Err(error) => error.exit(),
    };
    let outcome = match matches.subcommand() {
        Some(("up", sub)) => up::main(sub, lang),
        Some((name, sub)) => args::run(name, sub, lang),
        None => Ok(()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            cli::complain(&error, lang);
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod access_tests;
#[cfg(test)]
mod front_tests;

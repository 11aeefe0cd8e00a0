//! The command line: what a command is, how it finds the server, how it shows what it got.
//!
//! Every command speaks to the server over its API, on the machine itself as elsewhere; there is no second
//! way in. On the machine itself the server's address and a token are in the data directory.

mod client;
mod command;
mod config;
mod events;
mod output;
mod pin;
mod table;

pub use authority::write_private;
pub use client::{Client, Lines, Pieces, segment};
pub use command::{Command, Context};
pub use config::{Endpoint, data_dir, endpoint, save_login};
pub use events::Events;
pub use output::{Format, Output};
pub use pin::{Wanted, meet, pin_file, refresh, teach_git};
pub use table::{Table, width};

/// The words of this process: `NARU_LANG`, then the POSIX locale.
pub fn lang() -> kernel::Lang {
    let named = ["NARU_LANG", "LC_ALL", "LC_MESSAGES", "LANG"].into_iter();
    let first = named.filter_map(|n| std::env::var(n).ok()).find(|v| !v.is_empty());
    kernel::Lang::negotiate(&first.unwrap_or_default())
}

/// Prints an error as every command does: what happened, where, what to do next.
pub fn complain(error: &kernel::Error, lang: kernel::Lang) {
    use std::io::Write;
    let mut err = std::io::stderr().lock();
    let place = error.place().map(|p| format!("{p}: ")).unwrap_or_default();
    let word = lang.pick("error", "오류");
    // Nobody is left to tell when standard error is closed.
    let _ = writeln!(err, "{word}: {place}{}", error.say().get(lang));
    if let Some(hint) = error.get_hint() {
        let _ = writeln!(err, "{}: {}", lang.pick("hint", "도움말"), hint.get(lang));
    }
    if let Some(why) = error.get_why() {
        let _ = writeln!(err, "{}: {why}", lang.pick("because", "까닭"));
    }
}

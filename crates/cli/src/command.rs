//! A command, as plain data.

use crate::{Client, Output};
use kernel::{BoxFuture, Lang, Result};
use std::path::PathBuf;

/// One noun of the command line, with its verbs as subcommands.
#[derive(Clone, Copy)]
pub struct Command {
    /// The noun: `service`.
    pub name: &'static str,
    /// Its clap description in the reader's language. `-o`, `--data` and `--project` are added for it.
    pub build: fn(Lang) -> clap::Command,
    /// `|context, matches| Box::pin(run(context, matches))`
    pub run: fn(Context, clap::ArgMatches) -> BoxFuture<'static, Result<()>>,
}

/// What a command finds around it.
pub struct Context {
    pub lang: Lang,
    pub output: Output,
    /// `--data` or `NARU_DATA`, when given.
    pub data: Option<PathBuf>,
}

impl Context {
    /// A client of the server this command is meant for.
    ///
    /// # Errors
    /// `server.unknown`, saying how to name one.
    pub fn client(&self) -> Result<Client> {
        let endpoint = crate::endpoint(self.data.as_deref(), self.lang)?;
        Ok(Client::new(endpoint, self.lang))
    }
}

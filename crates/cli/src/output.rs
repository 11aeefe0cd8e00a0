//! `-o table|json|yaml`.

use crate::Table;
use kernel::{Error, Lang, Result};
use serde::Serialize;
use std::io::{IsTerminal, Write};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    #[default]
    Table,
    Json,
    Yaml,
}

/// Where a command's answer goes. Only answers go to standard output; progress and remarks go to standard
/// error.
#[derive(Clone, Copy, Debug)]
pub struct Output {
    pub format: Format,
    pub lang: Lang,
    pub color: bool,
}

impl Output {
    pub fn new(format: Format, lang: Lang) -> Output {
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
        Output { format, lang, color: wanted && std::io::stdout().is_terminal() }
    }

    /// The value as JSON or YAML; for a table, what `draw` makes of it.
    pub fn show<T: Serialize>(
        &self,
        value: &T,
        draw: impl FnOnce(&T, &Output) -> Table,
    ) -> Result<()> {
        let words = match self.format {
            Format::Table => draw(value, self).render(self.color),
            Format::Json => serde_json::to_string_pretty(value).map_err(Error::internal)? + "\n",
            Format::Yaml => serde_saphyr::to_string(value).map_err(Error::internal)?,
        };
        self.print(&words)
    }

    /// One value of a stream: a line of its own in each format.
    pub fn line<T: Serialize>(&self, value: &T, draw: impl FnOnce(&T) -> String) -> Result<()> {
        match self.format {
            Format::Table => self.print(&format!("{}\n", draw(value).trim_end_matches('\n'))),
            _ => self.print(&self.written(value)?),
        }
    }

    /// One value of a stream as JSON or YAML, for a caller that prints many together. A table's lines are its own
    /// affair; asked for one, this is JSON.
    ///
    /// # Errors
    /// Internal, when the value cannot be said.
    pub fn written<T: Serialize>(&self, value: &T) -> Result<String> {
        let words = match self.format {
            Format::Table | Format::Json => {
                serde_json::to_string(value).map_err(Error::internal)?
            }
            Format::Yaml => {
                format!("---\n{}", serde_saphyr::to_string(value).map_err(Error::internal)?)
            }
        };
        Ok(format!("{}\n", words.trim_end_matches('\n')))
    }

    /// Words of the answer, as they are.
    ///
    /// # Errors
    /// Internal, when standard output cannot be written. A reader who has left ends the process.
    pub fn print(&self, words: &str) -> Result<()> {
        let mut out = std::io::stdout().lock();
        match out.write_all(words.as_bytes()).and_then(|()| out.flush()) {
            // `naru logs web | head`: nobody reads any more, which is an end and not an error.
            Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => std::process::exit(0),
            other => other.map_err(Error::internal),
        }
    }

    /// A remark for people, on standard error.
    pub fn remark(&self, words: &str) {
        let _ = writeln!(std::io::stderr(), "{words}");
    }
}

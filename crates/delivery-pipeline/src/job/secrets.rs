//! What a job knows and nobody may read in its log.

use super::CONTROL;
use crate::variables::{Scope, Variable, is_name};
use host::Mask;
use kernel::Text;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

/// Below the control directory.
const FILES: &str = "files";

pub struct Secrets {
    /// Names and values.
    masked: Vec<(String, String)>,
    /// Names and contents of files.
    files: Vec<(String, String)>,
    mask: Mask,
}

impl Secrets {
    /// Those of a scope, in which variables of files become paths, and `more` values by the names of the
    /// variables that they are parts of.
    pub fn take(scope: &mut Scope, more: Vec<(String, String)>) -> Secrets {
        let mut masked = scope.masked();
        masked.extend(more);
        let mut files = scope.files();
        files.retain(|(name, _)| is_name(name));
        let path = |name: &String| Variable::literal(name, format!("{CONTROL}/{FILES}/{name}"));
        scope.add(&files.iter().map(|(name, _)| path(name)).collect::<Vec<_>>());
        let values: Vec<String> = masked.iter().map(|(_, value)| value.clone()).collect();
        Secrets { masked, files, mask: Mask::new(&values) }
    }

    pub fn values(&self) -> Vec<String> {
        self.masked.iter().map(|(_, value)| value.clone()).collect()
    }

    /// Names of those that cannot be hidden.
    pub fn too_short(&self) -> Vec<&str> {
        let short = |value: &str| (1..Mask::SHORTEST).contains(&value.len());
        self.masked.iter().filter(|(_, v)| short(v)).map(|(name, _)| name.as_str()).collect()
    }

    /// Those that words hold as they are.
    pub fn held(&self, words: &str) -> Vec<String> {
        let held = self.masked.iter().map(|(_, value)| value);
        held.filter(|v| v.len() >= Mask::SHORTEST && words.contains(v.as_str())).cloned().collect()
    }

    pub fn hidden(&self, words: &str) -> String {
        self.mask.clean(words)
    }

    pub fn hide(&self, text: &Text) -> Text {
        let (en, ko) = (self.hidden(&text.en), self.hidden(&text.ko));
        Text { en: en.into(), ko: ko.into() }
    }

    /// Writes the files, for naru's own user alone: that is whom a job runs as.
    pub fn write(&self, control: &Path) -> std::io::Result<()> {
        if self.files.is_empty() {
            return Ok(());
        }
        let dir = control.join(FILES);
        std::fs::DirBuilder::new().mode(0o700).create(&dir)?;
        for (name, content) in &self.files {
            let mut options = std::fs::OpenOptions::new();
            let mut file = options.write(true).create_new(true).mode(0o600).open(dir.join(name))?;
            file.write_all(content.as_bytes())?;
        }
        Ok(())
    }
}

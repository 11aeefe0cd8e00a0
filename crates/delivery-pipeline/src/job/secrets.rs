//! What a job knows and nobody may read in its log.

use crate::variables::{Scope, Variable, is_name};
use host::{Mask, Private};
use kernel::Text;

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
        let path = |name: &String| Variable::literal(name, format!("{}/{name}", host::SECRETS));
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

    /// An environment, as what may be written down and what may not: that is whatever holds one of these values, in
    /// a variable of its own or as a part of another.
    pub fn parted(
        &self,
        env: Vec<(String, String)>,
        mask: Vec<String>,
    ) -> (Vec<(String, String)>, Private) {
        let tells = |(_, words): &(String, String)| {
            mask.iter().any(|value| !value.is_empty() && words.contains(value.as_str()))
        };
        let (private, open) = env.into_iter().partition(tells);
        (open, Private { env: private, files: self.files.clone(), mask })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_holds_a_secret_is_not_written_down() {
        let masked = |n: &str, v: &str| Variable { masked: true, ..Variable::literal(n, v) };
        let file = Variable { file: true, ..masked("KEY", "k3y k3y") };
        let layer = [
            masked("PASSWORD", "s3cret!"),
            file,
            Variable::new("URL", "postgres://u:$PASSWORD@db"),
            Variable::literal("PLAIN", "x"),
        ];
        let mut scope = Scope::new([layer.as_slice()]);
        let secrets = Secrets::take(&mut scope, Vec::new());
        let (open, private) = secrets.parted(scope.all(), secrets.values());
        let pair = |n: &str, v: &str| (n.to_owned(), v.to_owned());
        assert_eq!(open, [pair("KEY", "/run/secrets/KEY"), pair("PLAIN", "x")]);
        assert_eq!(private.env.len(), 2);
        assert_eq!(private.files, [pair("KEY", "k3y k3y")]);
        assert!(!format!("{private:?}").contains("s3cret!"));
    }
}

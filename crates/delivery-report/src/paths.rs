//! Which file of the commit a report means. Reports name files as their tool saw them: absolute, below some
//! directory, or without the directories above a package. Pure.

use std::collections::{BTreeSet, HashMap};

/// The files of one commit.
#[derive(Clone, Debug, Default)]
pub struct Paths {
    all: BTreeSet<String>,
    /// Paths by file name.
    by_name: HashMap<String, Vec<String>>,
}

/// Files of one name that are compared; more say nothing.
const SAME_NAME: usize = 200;

impl Paths {
    pub fn new<S: Into<String>>(files: impl IntoIterator<Item = S>) -> Paths {
        let mut paths = Paths::default();
        for file in files {
            let file = file.into();
            let name = file.rsplit('/').next().unwrap_or("").to_owned();
            paths.by_name.entry(name).or_default().push(file.clone());
            paths.all.insert(file);
        }
        paths
    }

    /// The path in the commit. What is not found there stays as it is.
    pub fn resolve(&self, path: &str) -> String {
        let path = path.strip_prefix("file://").unwrap_or(path).replace('\\', "/");
        let path = path.trim_start_matches("./");
        if path.is_empty() || self.all.contains(path) {
            return path.to_owned();
        }
        // `/builds/shop/web/src/a.rs`: leave out directories until the commit has it.
        let mut rest = path.trim_start_matches('/');
        loop {
            if self.all.contains(rest) {
                return rest.to_owned();
            }
            match rest.split_once('/') {
                Some((_, below)) => rest = below,
                None => break,
            }
        }
        self.below(path).unwrap_or_else(|| path.to_owned())
    }

    /// `org/shop/Cart.java`: the one file of the commit that ends so.
    fn below(&self, path: &str) -> Option<String> {
        let name = path.rsplit('/').next()?;
        let same = self.by_name.get(name).filter(|s| s.len() <= SAME_NAME)?;
        let ending = format!("/{}", path.trim_start_matches('/'));
        let mut fits = same.iter().filter(|p| p.ends_with(&ending));
        let first = fits.next()?;
        fits.next().is_none().then(|| first.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_means_a_file_of_the_commit() {
        let paths = Paths::new([
            "src/main/java/org/shop/Cart.java",
            "a/src/lib.rs",
            "b/src/lib.rs",
            "setup.py",
        ]);
        for (said, meant) in [
            ("/builds/shop/web/a/src/lib.rs", "a/src/lib.rs"),
            ("./setup.py", "setup.py"),
            ("file:///x/setup.py", "setup.py"),
            ("a\\src\\lib.rs", "a/src/lib.rs"),
            ("org/shop/Cart.java", "src/main/java/org/shop/Cart.java"),
            ("src/lib.rs", "src/lib.rs"),
            ("/usr/lib/python3/x.py", "/usr/lib/python3/x.py"),
            ("", ""),
        ] {
            assert_eq!(paths.resolve(said), meant, "{said}");
        }
    }
}

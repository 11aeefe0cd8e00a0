//! Which file a path of a site means. Pure: a path is looked up among the files that there are, so that none
//! leads anywhere else.

use blob::{LINK, Tree};
use std::collections::{BTreeMap, BTreeSet};

/// A file of a site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct File {
    pub path: String,
    pub hash: String,
    pub size: u64,
}

/// The files of a tree. Symbolic links are left out: a site has none.
#[derive(Default)]
pub(super) struct Files {
    files: BTreeMap<String, File>,
    /// Directories, without a slash at their end.
    dirs: BTreeSet<String>,
}

/// What a path leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Found {
    File(File),
    /// A directory asked for without its slash, which relative links need.
    Slash,
    /// The site's page for what is not there, if it has one.
    Missing(Option<File>),
}

impl Files {
    pub fn of(tree: Tree) -> Files {
        let mut files = Files::default();
        for entry in tree.entries.into_iter().filter(|e| e.mode != LINK) {
            let mut dir = entry.path.as_str();
            while let Some((above, _)) = dir.rsplit_once('/') {
                if !files.dirs.insert(above.to_owned()) {
                    break;
                }
                dir = above;
            }
            let file = File { path: entry.path.clone(), hash: entry.hash, size: entry.size };
            files.files.insert(entry.path, file);
        }
        files
    }

    pub fn get(&self, path: &str) -> Option<&File> {
        self.files.get(path)
    }

    /// `path` is decoded and has no slash at its start.
    pub fn find(&self, path: &str) -> Found {
        let file = |path: &str| self.files.get(path).cloned().map(Found::File);
        let directory = path.is_empty() || path.ends_with('/');
        let found = match directory {
            true => file(&format!("{path}index.html")),
            // As other hosts do: `/about` is the file `about.html`.
            false => file(path).or_else(|| match self.index_of(path) {
                true => Some(Found::Slash),
                false => file(&format!("{path}.html")),
            }),
        };
        found.unwrap_or_else(|| Found::Missing(self.files.get("404.html").cloned()))
    }

    fn index_of(&self, dir: &str) -> bool {
        self.dirs.contains(dir) && self.files.contains_key(&format!("{dir}/index.html"))
    }
}

/// The path of a request, decoded, without its first slash. `None` for what no file is called: control
/// characters, `..`, empty parts, or bytes that are no text.
pub(super) fn decode(path: &str) -> Option<String> {
    let decoded = percent_encoding::percent_decode_str(path).decode_utf8().ok()?;
    let path = decoded.strip_prefix('/')?;
    let mut parts = path.split('/').peekable();
    while let Some(part) = parts.next() {
        let last = parts.peek().is_none();
        let odd = part == "." || part == ".." || part.chars().any(|c| c.is_control() || c == '\\');
        if odd || (part.is_empty() && !last) {
            return None;
        }
    }
    Some(path.to_owned())
}

/// The edition that a path belongs to, and the path in it: the longest prefix wins.
pub(super) fn split<'a, T>(
    editions: &'a BTreeMap<String, T>,
    path: &'a str,
) -> Option<(&'a str, &'a T, Option<&'a str>)> {
    let fits = |prefix: &str| -> Option<Option<&'a str>> {
        if prefix.is_empty() {
            return Some(Some(path));
        }
        let rest = path.strip_prefix(prefix)?;
        if rest.is_empty() { Some(None) } else { rest.strip_prefix('/').map(Some) }
    };
    let all = editions.iter().filter_map(|(p, e)| Some((p.as_str(), e, fits(p)?)));
    all.max_by_key(|(prefix, _, _)| prefix.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use blob::{Entry, PLAIN};
    use proptest::prelude::*;

    fn files(paths: &[&str]) -> Files {
        let entry =
            |p: &&str| Entry { path: (*p).to_owned(), mode: PLAIN, size: 1, hash: "a".repeat(64) };
        Files::of(Tree { entries: paths.iter().map(entry).collect() })
    }

    fn found(files: &Files, path: &str) -> String {
        match files.find(path) {
            Found::File(f) => f.path,
            Found::Slash => "/".into(),
            Found::Missing(page) => format!("404 {}", page.map(|f| f.path).unwrap_or_default()),
        }
    }

    #[test]
    fn paths_lead_to_files() {
        let site = files(&[
            "index.html",
            "about.html",
            "docs/index.html",
            "docs/a/b.css",
            "404.html",
            "both",
            "both.html",
        ]);
        for (path, want) in [
            ("", "index.html"),
            ("index.html", "index.html"),
            ("about", "about.html"),
            ("docs", "/"),
            ("docs/", "docs/index.html"),
            ("docs/a/b.css", "docs/a/b.css"),
            ("docs/a", "404 404.html"),
            ("docs/a/", "404 404.html"),
            ("both", "both"),
            ("nothing", "404 404.html"),
        ] {
            assert_eq!(found(&site, path), want, "{path}");
        }
        assert_eq!(found(&files(&["x"]), ""), "404 ");
    }

    #[test]
    fn what_is_no_path_is_none() {
        for bad in [
            "/../etc/passwd",
            "/a/%2e%2e/b",
            "/a//b",
            "/a%00",
            "/%ff",
            "x",
            "/a/./b",
            "/a%5cb",
            "/..%2f",
        ] {
            assert_eq!(decode(bad), None, "{bad}");
        }
        assert_eq!(decode("/a%20b/").as_deref(), Some("a b/"));
        assert_eq!(decode("/%ed%95%9c").as_deref(), Some("한"));
        assert_eq!(decode("/").as_deref(), Some(""));
    }

    #[test]
    fn the_longest_prefix_has_a_path() {
        let editions: BTreeMap<String, u8> =
            [(String::new(), 0), ("pr".into(), 1), ("pr/2".into(), 2)].into();
        let at = |path: &'static str| {
            split(&editions, path).map(|(_, e, rest)| (*e, rest.map(str::to_owned)))
        };
        assert_eq!(at("x"), Some((0, Some("x".into()))));
        assert_eq!(at("pr/x"), Some((1, Some("x".into()))));
        assert_eq!(at("pr"), Some((1, None)));
        assert_eq!(at("pr/2/x"), Some((2, Some("x".into()))));
        assert_eq!(at("prx"), Some((0, Some("prx".into()))));
    }

    proptest! {
        #[test]
        fn no_path_climbs(path: String) {
            if let Some(path) = decode(&format!("/{path}")) {
                prop_assert!(!path.split('/').any(|p| p == ".." || p == "."));
            }
        }
    }
}

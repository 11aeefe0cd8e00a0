//! Submodules, as far as they can be understood without looking anything up: what a `.gitmodules` says
//! (gitmodules(5)), where an address leads, and which paths are wanted. Pure.

use http::Uri;
use kernel::Name;

/// A submodule as `.gitmodules` names it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listed {
    pub name: String,
    pub path: String,
    pub url: String,
    /// The branch that is meant where the newest commit is asked for.
    pub branch: Option<String>,
}

/// The submodules of a `.gitmodules` that have a path, in its order.
pub fn parse(text: &str) -> Vec<Listed> {
    let mut found: Vec<Listed> = Vec::new();
    for line in text.lines().map(str::trim) {
        if let Some(head) = line.strip_prefix('[') {
            let name = head.split_once('"').and_then(|(_, rest)| rest.rsplit_once('"'));
            let name = name.map(|(name, _)| unescaped(name)).unwrap_or_default();
            found.push(Listed { name, ..Listed::default() });
            continue;
        }
        let (Some(last), Some((key, value))) = (found.last_mut(), line.split_once('=')) else {
            continue;
        };
        let value = unescaped(value.trim().trim_matches('"'));
        match key.trim().to_ascii_lowercase().as_str() {
            "path" => last.path = value.trim_end_matches('/').to_owned(),
            "url" => last.url = value,
            "branch" => last.branch = Some(value).filter(|branch| branch != "."),
            _ => {}
        }
    }
    found.retain(|listed| !listed.path.is_empty());
    found
}

/// `\"` and `\\` as git-config(1) reads them.
fn unescaped(words: &str) -> String {
    let mut out = String::with_capacity(words.len());
    let mut chars = words.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => out.extend(chars.next()),
            c => out.push(c),
        }
    }
    out
}

/// Where an address leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    Here {
        project: Name,
        repository: Name,
    },
    /// Another server. The address is whole: one that was relative, too.
    Elsewhere(String),
}

/// The repository that `url` in a `.gitmodules` of `project/repository` names, on the server that people
/// reach at `server`. Names of a user in an address are of no account, and neither is the scheme: behind a
/// proxy there is more than one.
pub fn address(url: &str, server: &str, project: &Name, repository: &Name) -> Address {
    let elsewhere = || Address::Elsewhere(url.to_owned());
    let path = if url.starts_with("./") || url.starts_with("../") {
        climbed(url, &format!("{project}/{repository}"))
    } else {
        below(url, server)
    };
    let Some(path) = path else { return elsewhere() };
    let path = path.trim_matches('/');
    let path = path.strip_suffix(".git").unwrap_or(path);
    let names = path.split_once('/').map(|(p, r)| (Name::parse(p), Name::parse(r)));
    match names {
        Some((Ok(project), Ok(repository))) => Address::Here { project, repository },
        _ => elsewhere(),
    }
}

/// A relative address, resolved as git does: against the address of the repository itself.
fn climbed(url: &str, own: &str) -> Option<String> {
    let mut base: Vec<&str> = own.split('/').collect();
    let mut rest = url;
    loop {
        if let Some(below) = rest.strip_prefix("./") {
            rest = below;
        } else if let Some(above) = rest.strip_prefix("../") {
            base.pop()?;
            rest = above;
        } else {
            break;
        }
    }
    base.push(rest);
    Some(base.join("/"))
}

/// What stands behind the host in an address of this server: `http://host:8080/a/b.git`, `git@host:a/b.git`.
fn below(url: &str, server: &str) -> Option<String> {
    let own: Uri = server.parse().ok()?;
    if let Some((scheme, rest)) = url.split_once("://") {
        let (authority, path) = rest.split_once('/')?;
        let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        let same = match scheme {
            "http" | "https" => own.authority()?.as_str().eq_ignore_ascii_case(host),
            "ssh" | "git" | "git+ssh" => own.host()?.eq_ignore_ascii_case(without_port(host)),
            _ => false,
        };
        return same.then(|| path.to_owned());
    }
    // The short form of ssh has a colon before the first slash.
    let (host, path) = url.split_once(':').filter(|(host, _)| !host.contains('/'))?;
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    own.host()?.eq_ignore_ascii_case(host).then(|| path.to_owned())
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    }
}

/// Whether a path is meant by these pathspecs (gitglossary(7)): itself or what is above it, where `*` stands
/// for any characters, slashes included.
pub fn wanted(path: &str, only: &[String], but: &[String]) -> bool {
    let any = |specs: &[String]| specs.iter().any(|spec| meant(path, spec));
    (only.is_empty() || any(only)) && !any(but)
}

fn meant(path: &str, spec: &str) -> bool {
    let spec = spec.trim_start_matches("./").trim_end_matches('/');
    let above = || path.strip_prefix(spec).is_some_and(|rest| rest.starts_with('/'));
    matches!(spec, "" | ".") || path == spec || above() || fits(path.as_bytes(), spec.as_bytes())
}

/// `*` and `?` of a pathspec, in time that does not grow with the number of stars.
fn fits(path: &[u8], spec: &[u8]) -> bool {
    let (mut p, mut s) = (0, 0);
    let mut back: Option<(usize, usize)> = None;
    loop {
        match (path.get(p), spec.get(s)) {
            (None, None) => return true,
            (_, Some(b'*')) => {
                back = Some((p, s + 1));
                s += 1;
            }
            (Some(_), Some(b'?')) => (p, s) = (p + 1, s + 1),
            (Some(a), Some(b)) if a == b => (p, s) = (p + 1, s + 1),
            _ => match back {
                Some((at, after)) if at < path.len() => {
                    back = Some((at + 1, after));
                    (p, s) = (at + 1, after);
                }
                _ => return false,
            },
        }
    }
}

/// A URL less the name and the password in it, for people to read.
pub fn without_user(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    match host.rsplit_once('@') {
        Some((_, host)) => format!("{scheme}://{host}/{path}"),
        None => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_file_as_git_writes_it() {
        let text = "[submodule \"the \\\"lib\"]\n\tpath = vendor/lib/\n\tURL = \"../lib.git\"\n\tbranch = stable\n# x\n[submodule \"b\"]\n\turl = x\n";
        let want = Listed {
            name: "the \"lib".into(),
            path: "vendor/lib".into(),
            url: "../lib.git".into(),
            branch: Some("stable".into()),
        };
        assert_eq!(parse(text), [want]);
        assert!(parse("path = x\n").is_empty());
    }

    #[test]
    fn where_addresses_lead() {
        let name = |words| Name::parse(words).unwrap();
        let of = |url: &str| match address(
            url,
            "http://naru.example:8080/",
            &name("shop"),
            &name("web"),
        ) {
            Address::Here { project, repository } => format!("{project}/{repository}"),
            Address::Elsewhere(url) => format!("elsewhere {url}"),
        };
        for (url, want) in [
            ("../lib.git", "shop/lib"),
            ("../../tools/lib", "tools/lib"),
            ("./../lib.git/", "shop/lib"),
            ("http://naru.example:8080/tools/lib.git", "tools/lib"),
            ("https://u:p@NARU.example:8080/tools/lib", "tools/lib"),
            ("ssh://git@naru.example:22/tools/lib.git", "tools/lib"),
            ("git@naru.example:tools/lib.git", "tools/lib"),
        ] {
            assert_eq!(of(url), want, "{url}");
        }
        for url in [
            "https://github.com/a/b.git",
            "http://naru.example/tools/lib.git",
            "http://naru.example:8080/a/b/c.git",
            "../../../x",
            "../../lib",
            "file:///etc",
            "/etc",
            "git@github.com:a/b.git",
            "",
        ] {
            assert_eq!(of(url), format!("elsewhere {url}"), "{url}");
        }
    }

    #[test]
    fn pathspecs_choose_paths() {
        let words = |w: &[&str]| w.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
        let of = |path: &str, only: &[&str], but: &[&str]| wanted(path, &words(only), &words(but));
        assert!(of("lib/a", &[], &[]) && of("lib/a", &["lib"], &[]) && of("lib/a", &["l*a"], &[]));
        assert!(of("lib/a", &["./lib/"], &["lib/b"]) && of("lib/a", &["lib/?"], &[]));
        assert!(!of("lib/a", &["li"], &[]) && !of("lib/a", &[], &["lib"]));
        assert!(!of("lib/a", &["lib"], &["*/a"]));
    }

    #[test]
    fn nobody_reads_the_password_of_a_url() {
        assert_eq!(without_user("https://u:p@h/a.git"), "https://h/a.git");
        assert_eq!(without_user("../lib.git"), "../lib.git");
    }

    proptest! {
        #[test]
        fn any_words_are_read(words: String, url: String) {
            for listed in parse(&words) {
                without_user(&listed.url);
            }
            let name = Name::parse("a").unwrap();
            address(&url, "http://h:1", &name, &name);
            wanted(&words, std::slice::from_ref(&url), &[]);
        }

        #[test]
        fn a_path_means_itself(path in "[a-z]{1,4}(/[a-z]{1,4}){0,3}") {
            prop_assert!(wanted(&path, std::slice::from_ref(&path), &[]));
            prop_assert!(!wanted(&path, &[], std::slice::from_ref(&path)));
        }
    }
}

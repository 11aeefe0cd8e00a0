//! One item of `include:`, read strictly: which file it names, in which of the six ways.

use super::error;
use super::read;
use super::wanted::{Home, Wanted};
use super::yaml::{At, Entry, Node};
use crate::variables::Scope;
use kernel::{Error, Result, Text, text};
use std::sync::Arc;

/// What each kind of include takes beside `rules` and `inputs`. The first word makes the kind.
const KINDS: &[(&str, &[&str])] = &[
    ("local", &[]),
    ("project", &["file", "ref"]),
    ("template", &[]),
    ("component", &[]),
    ("remote", &["integrity", "cache"]),
];
const ALL: &[&str] = &[
    "local",
    "project",
    "file",
    "ref",
    "template",
    "component",
    "remote",
    "integrity",
    "cache",
    "rules",
    "inputs",
];
/// Longest URL, in bytes.
const MAX_URL: usize = 2048;

/// What an item names. More than one file only for `project`, and for a pattern.
pub struct Item {
    pub targets: Vec<(Aim, At)>,
    pub rules: Option<Entry>,
    pub inputs: Option<Entry>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Aim {
    File(Wanted),
    /// `*` inside of a directory, `**` across them.
    Pattern {
        home: Home,
        pattern: String,
    },
    Remote {
        wanted: Wanted,
        /// Base64 of a SHA-256.
        integrity: Option<String>,
    },
}

/// Where `local` starts, what variables stand for, and how this naru is called.
pub struct Reader<'a> {
    /// `None`: the file that includes lies in no repository.
    pub home: Option<&'a Home>,
    pub scope: &'a Scope,
    /// `naru.example.com:8080`
    pub fqdn: &'a str,
    /// Kinds that may stand here.
    pub kinds: &'a [&'a str],
}

impl Reader<'_> {
    /// # Errors
    /// `pipeline.value`, `pipeline.unknown_keyword`, `pipeline.include`.
    pub fn item(&self, node: &Arc<Node>) -> Result<Item> {
        if let Some(words) = node.text() {
            let words = self.scope.expand(words);
            let url = words.starts_with("https://") || words.starts_with("http://");
            let aim =
                if url { remote(&words, None, &node.at) } else { self.local(&words, &node.at) };
            return Ok(Item { targets: vec![(aim?, node.at.clone())], rules: None, inputs: None });
        }
        let entries = read::map(node, "include", ALL)?;
        let (kind, more, by) = self.kind(node, entries)?;
        if let Some(odd) = entries.iter().find(|e| !fits(&e.key, kind, more)) {
            return Err(foreign(odd, kind));
        }
        let words = || read::text(by).map(|words| self.scope.expand(&words));
        let targets = match kind {
            "local" => vec![(self.local(&words()?, &by.value.at)?, by.value.at.clone())],
            "project" => self.project(node, &words()?, &by.value.at)?,
            "template" => vec![(template(&words()?, &by.value.at)?, by.value.at.clone())],
            "component" => vec![(self.component(&words()?, &by.value.at)?, by.value.at.clone())],
            _ => {
                cache(node)?;
                let integrity = node.get("integrity").map(integrity).transpose()?;
                vec![(remote(&words()?, integrity, &by.value.at)?, by.value.at.clone())]
            }
        };
        let part = |key: &str| node.get(key).cloned();
        Ok(Item { targets, rules: part("rules"), inputs: part("inputs") })
    }

    /// Which kind it is, what else that takes, and the entry that says so.
    fn kind<'a>(
        &self,
        node: &Node,
        entries: &'a [Entry],
    ) -> Result<(&'static str, &'static [&'static str], &'a Entry)> {
        let all = self.kinds.join(", ");
        let (en, ko) = (format!("one of {all}"), format!("{all} 가운데 하나를"));
        let none = || error::wanted(&node.at, "include", (&en, &ko));
        let named = entries.iter().find_map(|entry| {
            let (kind, more) = KINDS.iter().find(|(kind, _)| *kind == entry.key)?;
            Some((*kind, *more, entry))
        });
        let found = named.ok_or_else(none)?;
        if self.kinds.contains(&found.0) {
            return Ok(found);
        }
        Err(error::wanted(&found.2.at, "include", (&en, &ko)))
    }

    fn local(&self, words: &str, at: &At) -> Result<Aim> {
        let home = self.home.ok_or_else(|| {
            let say = Text::fixed(
                "this file lies in no repository, so it has no local files",
                "이 파일은 저장소에 있지 않으므로 local 파일이 없습니다",
            );
            error::general(at, "pipeline.include", say)
                .hint(Text::fixed("name a `project` and `file`", "`project`와 `file`로 쓰세요"))
        })?;
        let path = words.trim_start_matches('/');
        if path.contains('*') {
            extension(path, "include:local", at)?;
            sound(path, "include:local", at)?;
            return Ok(Aim::Pattern { home: home.clone(), pattern: path.to_owned() });
        }
        Ok(Aim::File(Wanted::File { home: home.clone(), path: file(path, "include:local", at)? }))
    }

    fn project(&self, node: &Node, path: &str, at: &At) -> Result<Vec<(Aim, At)>> {
        let path = project(path, "include:project", at)?;
        let refname = match node.get("ref") {
            Some(entry) => Some(self.scope.expand(&read::text(entry)?)),
            None => None,
        };
        let files = node.get("file").ok_or_else(|| {
            let wanted = ("a `file` beside `project`", "`project`와 함께 `file`을");
            error::wanted(&node.at, "include", wanted)
        })?;
        let home = Home::Repository { path, refname: refname.filter(|r| !r.is_empty()) };
        let mut out = Vec::new();
        read::flatten(&files.value, 0, &mut |one| {
            let wanted = ("a path or a list of paths", "경로나 그 목록을");
            let words = one.text().ok_or_else(|| error::wanted(&one.at, "include:file", wanted))?;
            let path = self.scope.expand(words);
            let path = file(path.trim_start_matches('/'), "include:file", &one.at)?;
            out.push((Aim::File(Wanted::File { home: home.clone(), path }), one.at.clone()));
            Ok(())
        })?;
        if out.is_empty() {
            let wanted = ("at least one path", "경로를 하나 이상");
            return Err(error::wanted(&files.value.at, "include:file", wanted));
        }
        Ok(out)
    }

    /// `$CI_SERVER_FQDN/project/repository/name@reference`
    fn component(&self, words: &str, at: &At) -> Result<Aim> {
        let hint = "$CI_SERVER_FQDN/PROJECT/REPOSITORY/NAME@VERSION";
        let bad = || {
            let wanted =
                ("the address of a component with its version", "컴포넌트의 주소와 버전을");
            error::wanted(at, "include:component", wanted).hint(Text::plain(hint))
        };
        let (address, reference) = words.rsplit_once('@').ok_or_else(bad)?;
        let parts: Vec<&str> = address.split('/').collect();
        let [server, project, repository, name] = *parts.as_slice() else { return Err(bad()) };
        let odd = |part: &str| part.is_empty() || part.starts_with('.') || part.contains('\\');
        if reference.is_empty() || [project, repository, name].into_iter().any(odd) {
            return Err(bad());
        }
        if !server.eq_ignore_ascii_case(self.fqdn) {
            let (server, own) = (kernel::shown(server), kernel::shown(self.fqdn));
            let say = text!(
                "components come from this server, {own}, not from {server}",
                "컴포넌트는 이 서버({own})에서만 가져올 수 있습니다. {server}에서는 가져올 수 없습니다"
            );
            return Err(error::general(at, "pipeline.include", say).hint(text!(
                "push a copy of its repository to this server and write `{hint}`",
                "저장소를 이 서버에 복사해 푸시하고 `{hint}` 꼴로 쓰세요"
            )));
        }
        Ok(Aim::File(Wanted::Component {
            path: format!("{project}/{repository}"),
            name: name.to_owned(),
            reference: reference.to_owned(),
        }))
    }
}

fn fits(key: &str, kind: &str, more: &[&str]) -> bool {
    key == kind || more.contains(&key) || key == "rules" || key == "inputs"
}

/// A keyword that belongs to another kind of include.
fn foreign(entry: &Entry, kind: &str) -> Error {
    let key = kernel::shown(&entry.key);
    let owner = KINDS.iter().find(|(k, more)| *k == entry.key || more.contains(&&*entry.key));
    let owner = owner.map_or("", |(kind, _)| kind);
    let say = text!(
        "`{key}` does not go with `include:{kind}`",
        "`{key}`은(는) `include:{kind}`와 함께 쓸 수 없습니다"
    );
    let hint = if owner == entry.key {
        Text::fixed("make it an item of its own", "따로 항목을 만드세요")
    } else {
        text!("it belongs to `include:{owner}`", "`include:{owner}`에 쓰는 키워드입니다")
    };
    error::general(&entry.at, "pipeline.unknown_keyword", say).hint(hint)
}

fn template(words: &str, at: &At) -> Result<Aim> {
    extension(words, "include:template", at)?;
    Ok(Aim::File(Wanted::Template { name: words.to_owned() }))
}

fn remote(words: &str, integrity: Option<String>, at: &At) -> Result<Aim> {
    let (path, _) = words.split_once(['?', '#']).unwrap_or((words, ""));
    let rest = words.strip_prefix("https://").or_else(|| words.strip_prefix("http://"));
    let host = rest.and_then(|r| r.split('/').next()).unwrap_or_default();
    let odd = host.is_empty() || words.contains(|c: char| c.is_whitespace() || c.is_control());
    if odd || host.contains('@') || words.len() > MAX_URL || !words.is_ascii() {
        let wanted = ("an https or http URL of a file", "파일의 https나 http URL을");
        return Err(error::wanted(at, "include:remote", wanted));
    }
    extension(path, "include:remote", at)?;
    Ok(Aim::Remote { wanted: Wanted::Remote { url: words.to_owned() }, integrity })
}

fn integrity(entry: &Entry) -> Result<String> {
    let words = read::text(entry)?;
    let hash = words.strip_prefix("sha256-").unwrap_or_default();
    let base64 = |c: char| c.is_ascii_alphanumeric() || c == '+' || c == '/';
    let (body, pad) = hash.split_at_checked(43).unwrap_or_default();
    if pad == "=" && body.chars().all(base64) {
        return Ok(hash.to_owned());
    }
    let wanted = ("`sha256-` and the base64 of the hash", "`sha256-`과 해시의 base64를");
    Err(error::wanted(&entry.value.at, "include:integrity", wanted))
}

/// How long a remote file may be kept. Here it never is: each pipeline reads it anew.
fn cache(node: &Node) -> Result<()> {
    let Some(entry) = node.get("cache") else { return Ok(()) };
    match entry.value.bool() {
        Some(_) => Ok(()),
        None => read::duration(entry).map(drop),
    }
}

/// `PROJECT/REPOSITORY`
pub fn project(words: &str, key: &str, at: &At) -> Result<String> {
    let path = words.trim_matches('/');
    let mut parts = path.split('/');
    let sound = |part: Option<&str>| part.is_some_and(|p| !p.is_empty() && !p.starts_with('.'));
    if sound(parts.next()) && sound(parts.next()) && parts.next().is_none() {
        return Ok(path.to_owned());
    }
    let wanted = ("PROJECT/REPOSITORY of this server", "이 서버의 프로젝트/저장소를");
    Err(error::wanted(at, key, wanted))
}

fn file(path: &str, key: &str, at: &At) -> Result<String> {
    sound(path, key, at)?;
    extension(path, key, at)?;
    if path.contains(['*', '?', '[']) {
        let wanted = ("the path of one file", "파일 하나의 경로를");
        return Err(error::wanted(at, key, wanted));
    }
    Ok(path.to_owned())
}

/// A path from the top of a repository that leaves it nowhere.
fn sound(path: &str, key: &str, at: &At) -> Result<()> {
    let odd = |part: &str| part.is_empty() || part == "." || part == ".." || part == ".git";
    if path.split('/').any(odd) || path.contains(['\0', '\\', '\n']) {
        let wanted = ("a path from the top of the repository", "저장소 맨 위부터의 경로를");
        return Err(error::wanted(at, key, wanted));
    }
    Ok(())
}

fn extension(path: &str, key: &str, at: &At) -> Result<()> {
    if path.ends_with(".yml") || path.ends_with(".yaml") {
        return Ok(());
    }
    let wanted =
        ("a file whose name ends in .yml or .yaml", "이름이 .yml이나 .yaml로 끝나는 파일을");
    Err(error::wanted(at, key, wanted))
}

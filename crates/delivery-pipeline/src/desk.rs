//! The command line's library: files of the working directory, and what a server that is configured has.

use crate::gitlab::{Component, Context, Files, Got, Home, MAX_FILE, Wanted};
use crate::library::Library;
use crate::{remote, shelf, versions};
use cli::{Client, segment};
use kernel::{BoxFuture, Error, ErrorKind, Result, Text, text};
use serde_json::Value;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Files of a directory that a pattern or `exists` may ask about.
const MAX_FILES: usize = 50_000;

pub(crate) struct Desk {
    /// Where paths of included files start.
    pub top: PathBuf,
    /// The server, or why there is none.
    pub client: Result<Client>,
    /// Hosts that may be asked for remote files.
    pub hosts: Vec<String>,
}

impl Library for Desk {
    fn find<'a>(&'a self, wanted: &'a Wanted) -> BoxFuture<'a, Result<Got>> {
        Box::pin(async move {
            let found = match wanted {
                Wanted::File { home: Home::Here, path } => return Ok(read(&self.top.join(path))),
                Wanted::Paths { home: Home::Here } => return Ok(Got::Paths(tree(&self.top))),
                Wanted::Remote { url } => return Ok(remote::fetch(url, &self.hosts).await),
                Wanted::Template { .. } => return Ok(Got::Absent),
                Wanted::File { home: Home::Repository { path, refname }, path: file } => {
                    self.file(path, refname.as_deref(), file).await.map(|found| match found {
                        Some((bytes, _)) => Got::File(bytes),
                        None => Got::Absent,
                    })
                }
                Wanted::Component { path, name, reference } => {
                    self.component(path, name, reference).await
                }
                Wanted::Paths { home: Home::Repository { .. } } => {
                    let say = Text::fixed(
                        "a pattern in another repository is only known to the server",
                        "다른 저장소의 패턴은 서버에서만 알 수 있습니다",
                    );
                    Err(Error::invalid("pipeline.include", say))
                }
            };
            Ok(found.unwrap_or_else(|error| Got::Refused(refusal(&error))))
        })
    }

    fn look<'a>(&'a self, _: &'a Files, _: &'a mut Context) -> BoxFuture<'a, Result<()>> {
        // The paths are known before the file is read.
        Box::pin(async { Ok(()) })
    }
}

/// An answer of the server, or its absence, as what is wrong with the include.
fn refusal(error: &Error) -> Error {
    let Text { en, ko } = error.say();
    let again = Error::invalid("pipeline.include", Text::new(en.to_string(), ko.to_string()));
    match (error.code(), error.get_hint()) {
        ("server.unknown", _) => {
            let say = Text::fixed(
                "files of other repositories come from a server, and none is known",
                "다른 저장소의 파일은 서버에서 가져오는데, 알려진 서버가 없습니다",
            );
            Error::invalid("pipeline.include", say)
                .hint(Text::fixed("`naru login URL` names one", "`naru login 주소`로 알려 주세요"))
        }
        (_, Some(hint)) => again.hint(hint.clone()),
        (_, None) => again,
    }
}

impl Desk {
    fn client(&self) -> Result<&Client> {
        self.client.as_ref().map_err(Clone::clone)
    }

    /// A file of a repository there, and the commit it is of.
    async fn file(
        &self,
        path: &str,
        refname: Option<&str>,
        file: &str,
    ) -> Result<Option<(Vec<u8>, String)>> {
        let mut address = format!("{}/file?path={}", address(path)?, segment(file));
        if let Some(refname) = refname {
            address.push_str(&format!("&ref={}", segment(refname)));
        }
        let found: Value = match self.client()?.get(&address).await {
            Err(error) if error.code() == "path.unknown" || error.code() == "file.unknown" => {
                return Ok(None);
            }
            found => found?,
        };
        let word = |key: &str| found.get(key).and_then(Value::as_str).map(str::to_owned);
        Ok(word("text").map(|text| (text.into_bytes(), word("commit").unwrap_or_default())))
    }

    async fn component(&self, path: &str, name: &str, reference: &str) -> Result<Got> {
        let refs: Value = self.client()?.get(&format!("{}/refs", address(path)?)).await?;
        let names = |key: &str| {
            let all = refs.get(key).and_then(Value::as_array).into_iter().flatten();
            all.filter_map(|r| r.get("name")?.as_str()).collect::<Vec<_>>()
        };
        let (tags, branches) = (names("tags"), names("branches"));
        let exact = tags.contains(&reference) || branches.contains(&reference);
        let version = match versions::newest(&tags, reference).filter(|_| !exact) {
            Some(tag) => tag,
            None if reference == "~latest" => return Err(shelf::no_version(path, reference)),
            None => reference,
        };
        for file in versions::component_files(name) {
            if let Some((bytes, sha)) = self.file(path, Some(version), &file).await? {
                let version = version.to_owned();
                return Ok(Got::Component(Component { bytes, sha, version }));
            }
        }
        Ok(Got::Absent)
    }
}

fn address(path: &str) -> Result<String> {
    let (project, repository) = path
        .split_once('/')
        .ok_or_else(|| Error::new(ErrorKind::Invalid, "path.invalid", text!("{path}", "{path}")))?;
    Ok(format!("/api/v1/projects/{}/repositories/{}", segment(project), segment(repository)))
}

/// A file of this machine, within the limit of a pipeline file.
pub(crate) fn read(path: &Path) -> Got {
    let Ok(file) = std::fs::File::open(path) else { return Got::Absent };
    let mut bytes = Vec::new();
    match file.take(MAX_FILE + 1).read_to_end(&mut bytes) {
        Ok(_) => Got::File(bytes),
        Err(_) => Got::Absent,
    }
}

/// The top of the working copy that a file is in; without one, its own directory.
pub(crate) fn top(file: &Path) -> PathBuf {
    let dir = match file.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir.to_owned(),
        _ => PathBuf::from("."),
    };
    let whole = std::path::absolute(&dir).unwrap_or_else(|_| dir.clone());
    let mut above = whole.ancestors();
    above.find(|dir| dir.join(".git").exists()).map_or(dir, Path::to_owned)
}

/// Paths of the files below a directory, but for what git keeps for itself.
pub(crate) fn tree(root: &Path) -> Vec<String> {
    let mut out = Vec::new();
    let mut left = vec![root.to_owned()];
    while let Some(dir) = left.pop() {
        for entry in std::fs::read_dir(&dir).into_iter().flatten().flatten() {
            let Ok(kind) = entry.file_type() else { continue };
            if kind.is_dir() {
                if entry.file_name() != ".git" {
                    left.push(entry.path());
                }
            } else if let Some(path) = relative(root, &entry.path()) {
                out.push(path);
            }
            if out.len() >= MAX_FILES {
                return out;
            }
        }
    }
    out.sort_unstable();
    out
}

fn relative(root: &Path, path: &Path) -> Option<String> {
    path.strip_prefix(root).ok()?.to_str().map(str::to_owned)
}

//! Files that a local run includes from other repositories: from directories that the developer names, else
//! from the server, with the developer's own rights; and those of other servers, which the developer allows.
//! What came from elsewhere is kept, and is all there is for a run that is offline.

use super::cmd::Flags;
use super::kept::Kept;
use crate::gitlab::{Component, Got, MAX_FILE};
use crate::others::{Answer, Ask, Others};
use crate::{remote, versions};
use cli::{Client, Context, segment};
use kernel::{BoxFuture, Error, ErrorKind, Result, Text, text};
use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Component as Part, Path, PathBuf};

/// Files listed of a directory, and how deep.
const MOST: usize = 20_000;
const DEEPEST: usize = 40;

pub struct Includes {
    /// `project/repository` to its directory.
    dirs: BTreeMap<String, PathBuf>,
    /// Why there is no server, if there is none.
    server: std::result::Result<Client, Error>,
    /// Other servers that may be asked.
    hosts: Vec<String>,
    kept: Kept,
    offline: bool,
}

impl Includes {
    pub fn new(context: &Context, flags: &Flags, kept: Kept) -> Includes {
        let (dirs, hosts) = (flags.includes.clone(), flags.hosts.clone());
        Includes { dirs, server: context.client(), hosts, kept, offline: flags.offline }
    }

    /// What was kept of an answer, for a run that is offline.
    fn old(&self, what: &str, asked: &str) -> Got {
        let kept = self.kept.get(asked).map(Got::from);
        kept.unwrap_or_else(|| Got::Refused(never_fetched(what)))
    }

    async fn fetch(&self, url: &str) -> Got {
        let asked = format!("remote {url}");
        if let Some(host) = remote::stranger(url, &self.hosts) {
            return Got::Refused(not_allowed(&host));
        }
        if self.offline {
            return self.old(url, &asked);
        }
        let got = remote::fetch(url, &self.hosts).await;
        if let Got::File(bytes) = &got
            && let Ok(text) = std::str::from_utf8(bytes)
        {
            self.kept.put(&asked, &Answer::File(text.to_owned()));
        }
        got
    }

    async fn ask(&self, path: &str, ask: &Ask) -> Got {
        let asked = format!("{path} {}", serde_json::to_string(ask).unwrap_or_default());
        if self.offline {
            return self.old(path, &asked);
        }
        let client = match &self.server {
            Ok(client) => client,
            Err(error) => return Got::Refused(nowhere(path, &error.sentence())),
        };
        let Some((project, repository)) = path.split_once('/') else {
            let say =
                Text::fixed("that is no PROJECT/REPOSITORY", "PROJECT/REPOSITORY 꼴이 아닙니다");
            return Got::Refused(nowhere(path, &say));
        };
        let (project, repository) = (segment(project), segment(repository));
        let address = format!("/api/v1/projects/{project}/repositories/{repository}/include");
        match client.post::<Answer>(&address, ask).await {
            Ok(answer) => {
                self.kept.put(&asked, &answer);
                answer.into()
            }
            Err(error) => {
                let (url, Text { en, ko }) = (client.url(), error.sentence());
                Got::Refused(nowhere(path, &text!("{url}: {en}", "{url}: {ko}")))
            }
        }
    }
}

impl Others for Includes {
    fn find<'a>(&'a self, path: &'a str, ask: &'a Ask) -> BoxFuture<'a, Result<Got>> {
        Box::pin(async move {
            match self.dirs.get(path) {
                Some(dir) => {
                    let (dir, ask) = (dir.clone(), ask.clone());
                    let look = move || in_directory(&dir, &ask);
                    let found = tokio::task::spawn_blocking(look).await.map_err(Error::internal)?;
                    Ok(found.unwrap_or_else(Got::Refused))
                }
                None => Ok(self.ask(path, ask).await),
            }
        })
    }

    fn remote<'a>(&'a self, url: &'a str) -> BoxFuture<'a, Got> {
        Box::pin(self.fetch(url))
    }
}

fn never_fetched(what: &str) -> Error {
    let shown = kernel::shown(what);
    Error::invalid(
        "pipeline.include",
        text!(
            "{shown} was never included here, and this run is offline",
            "{shown}은(는) 여기에서 include한 적이 없고, 이 실행은 오프라인입니다"
        ),
    )
    .hint(Text::fixed(
        "run once without `--offline`: what is included is kept",
        "`--offline` 없이 한 번 실행하세요. include한 파일은 보관됩니다",
    ))
}

fn not_allowed(host: &str) -> Error {
    let shown = kernel::shown(host);
    Error::invalid(
        "pipeline.include",
        text!("no files are included from {shown}", "{shown}에 있는 파일은 포함하지 않습니다"),
    )
    .hint(text!(
        "allow it for this run: `--include-from {shown}`",
        "이번 실행에 허락하세요: `--include-from {shown}`"
    ))
}

fn nowhere(path: &str, why: &Text) -> Error {
    let path = kernel::shown(path);
    let Text { en, ko } = why;
    Error::invalid(
        "pipeline.include",
        text!(
            "the repository {path} is not here, and no server has it for you: {en}",
            "{path} 저장소가 여기에 없고 서버에서도 가져올 수 없습니다: {ko}"
        ),
    )
    .hint(text!(
        "sign in to a server that has it (`naru login`), or name a checkout: `--include-project {path}=DIR`",
        "저장소가 있는 서버에 로그인하거나(`naru login`) 체크아웃한 디렉터리를 `--include-project {path}=DIR`로 알려 주세요"
    ))
}

/// What lies in the directory counts, whatever branch or tag is asked for: to try a change of a template
/// before it is pushed is what it is for.
fn in_directory(dir: &Path, ask: &Ask) -> std::result::Result<Got, Error> {
    let root = dir.canonicalize().map_err(|e| unreadable(dir, &e))?;
    match ask {
        Ask::File { path, .. } => Ok(read(&root, path)?.map_or(Got::Absent, Got::File)),
        Ask::Paths { .. } => {
            let mut found = Vec::new();
            list(&root, "", 0, &mut found).map_err(|e| unreadable(dir, &e))?;
            found.sort();
            Ok(Got::Paths(found))
        }
        Ask::Component { name, reference } => {
            for file in versions::component_files(name) {
                if let Some(bytes) = read(&root, &file)? {
                    let (sha, version) = ("0".repeat(40), reference.clone());
                    return Ok(Got::Component(Component { bytes, sha, version }));
                }
            }
            Ok(Got::Absent)
        }
    }
}

/// Links that lead out of the directory are not followed.
fn read(root: &Path, path: &str) -> std::result::Result<Option<Vec<u8>>, Error> {
    let plain = Path::new(path).components().all(|part| matches!(part, Part::Normal(_)));
    let at = match root.join(path).canonicalize() {
        Ok(at) if plain && at.starts_with(root) && at.is_file() => at,
        _ => return Ok(None),
    };
    let mut bytes = Vec::new();
    let file = std::fs::File::open(&at).map_err(|e| unreadable(&at, &e))?;
    file.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(|e| unreadable(&at, &e))?;
    if bytes.len() as u64 > MAX_FILE {
        let shown = at.display();
        let say = text!(
            "{shown} is larger than {MAX_FILE} bytes",
            "{shown}이(가) {MAX_FILE}바이트보다 큽니다"
        );
        return Err(Error::new(ErrorKind::TooLarge, "file.too-large", say));
    }
    Ok(Some(bytes))
}

fn list(root: &Path, below: &str, depth: usize, found: &mut Vec<String>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(root.join(below))? {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        let path = if below.is_empty() { name.clone() } else { format!("{below}/{name}") };
        let kind = entry.file_type()?;
        if kind.is_dir() && name != ".git" && depth < DEEPEST {
            list(root, &path, depth + 1, found)?;
        } else if kind.is_file() && found.len() < MOST {
            found.push(path);
        }
    }
    Ok(())
}

fn unreadable(at: &Path, error: &std::io::Error) -> Error {
    let (shown, why) = (at.display(), error.to_string());
    Error::invalid(
        "pipeline.include",
        text!("{shown} cannot be read: {why}", "{shown}을(를) 읽을 수 없습니다: {why}"),
    )
}

/// `PROJECT/REPOSITORY=DIR`
///
/// # Errors
/// `include.invalid`.
pub fn directory(words: &str) -> Result<(String, PathBuf)> {
    let pair = words.split_once('=').filter(|(name, dir)| name.contains('/') && !dir.is_empty());
    let (name, dir) = pair.ok_or_else(|| {
        let shown = kernel::shown(words);
        Error::invalid(
            "include.invalid",
            text!(
                "`{shown}` is not PROJECT/REPOSITORY=DIR",
                "`{shown}`은(는) PROJECT/REPOSITORY=DIR 꼴이 아닙니다"
            ),
        )
    })?;
    Ok((name.to_owned(), PathBuf::from(dir)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_stands_for_a_repository() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("ci");
        std::fs::create_dir_all(root.join("templates/.git")).unwrap();
        std::fs::write(root.join("templates/test.yml"), "a: {script: x}").unwrap();
        std::fs::write(dir.path().join("secret"), "s").unwrap();
        std::os::unix::fs::symlink("../secret", root.join("out")).unwrap();
        let file = |path: &str| {
            let ask = Ask::File { path: path.into(), refname: Some("v1".into()) };
            in_directory(&root, &ask).unwrap()
        };
        assert!(
            matches!(file("templates/test.yml"), Got::File(bytes) if bytes == b"a: {script: x}")
        );
        for outside in ["out", "../secret", "templates"] {
            assert!(matches!(file(outside), Got::Absent), "{outside}");
        }
        let paths = in_directory(&root, &Ask::Paths { refname: None }).unwrap();
        assert!(matches!(paths, Got::Paths(paths) if paths == ["templates/test.yml"]));
        let ask = Ask::Component { name: "test".into(), reference: "~latest".into() };
        assert!(matches!(in_directory(&root, &ask).unwrap(), Got::Component(_)));
        assert!(in_directory(&dir.path().join("none"), &ask).is_err());
    }

    #[test]
    fn a_pair_names_a_repository_and_a_directory() {
        assert_eq!(directory("ops/ci=../ci").unwrap(), ("ops/ci".into(), PathBuf::from("../ci")));
        for odd in ["ci=../ci", "ops/ci", "ops/ci="] {
            assert_eq!(directory(odd).unwrap_err().code(), "include.invalid", "{odd}");
        }
    }
}

//! Submodules: what a commit says of them. They are not checked out, and a job that wants them is told.

use super::Job;
use crate::work::{Files, Submodules, Work};
use kernel::{Error, Result, Text, text};

/// Bytes of a `.gitmodules`.
const MAX_FILE: u64 = 256 * 1024;

/// A submodule as `.gitmodules` names it (gitmodules(5)).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Submodule {
    path: String,
    url: String,
}

impl Job {
    /// A job that wants submodules would run without a part of its files: better not at all.
    ///
    /// # Errors
    /// `submodules.absent` when its commit has some; the source's.
    pub(super) async fn without_submodules(&self) -> Result<()> {
        let Work { repository, commit, checkout, files, .. } = &self.work;
        if checkout.submodules == Submodules::None || *files == Files::None {
            return Ok(());
        }
        let (source, project) = (&self.parts.source, &self.task.project);
        let file = source.file(project, repository, commit, ".gitmodules", MAX_FILE).await?;
        let found = parse(&String::from_utf8_lossy(&file.unwrap_or_default()));
        let Some(Submodule { path, url }) = found.first() else { return Ok(()) };
        let (path, url) = (shown(path), shown(&without_user(url)));
        let (en, ko) = match found.len() - 1 {
            0 => (String::new(), String::new()),
            more => (format!(" and {more} more"), format!(" 외 {more}개")),
        };
        let say = text!(
            "the job wants submodules, which are not checked out: “{path}” from {url}{en}",
            "작업이 서브모듈을 요구하지만 서브모듈은 체크아웃하지 않습니다: {url}의 “{path}”{ko}"
        );
        let hint = Text::fixed(
            "fetch it in the script and set GIT_SUBMODULE_STRATEGY to none",
            "스크립트에서 직접 받고 GIT_SUBMODULE_STRATEGY를 none으로 두세요",
        );
        Err(Error::invalid("submodules.absent", say).hint(hint))
    }
}

/// The submodules of a `.gitmodules` that have a path.
fn parse(text: &str) -> Vec<Submodule> {
    let mut found: Vec<Submodule> = Vec::new();
    for line in text.lines().map(str::trim) {
        if line.starts_with('[') {
            found.push(Submodule::default());
            continue;
        }
        let (Some(last), Some((key, value))) = (found.last_mut(), line.split_once('=')) else {
            continue;
        };
        let value = value.trim().trim_matches('"').to_owned();
        match key.trim().to_ascii_lowercase().as_str() {
            "path" => last.path = value,
            "url" => last.url = value,
            _ => {}
        }
    }
    found.retain(|submodule| !submodule.path.is_empty());
    found
}

/// A URL less the name and the password in it.
fn without_user(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    match host.rsplit_once('@') {
        Some((_, host)) => format!("{scheme}://{host}/{path}"),
        None => url.to_owned(),
    }
}

fn shown(words: &str) -> String {
    words.chars().take(200).flat_map(char::escape_debug).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_as_git_writes_it() {
        let text = "[submodule \"lib\"]\n\tpath = vendor/lib\n\tURL = \"../lib.git\"\n# x\n[submodule \"b\"]\n\turl = x\n";
        let want = Submodule { path: "vendor/lib".into(), url: "../lib.git".into() };
        assert_eq!(parse(text), [want]);
        assert!(parse("path = x\n").is_empty());
    }

    #[test]
    fn nobody_reads_the_password_of_a_url() {
        assert_eq!(without_user("https://u:p@h/a.git"), "https://h/a.git");
        assert_eq!(without_user("../lib.git"), "../lib.git");
    }
}

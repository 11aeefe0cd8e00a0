//! What a commit says about its services: `naru.yaml`, else `Procfile`. Pure.

use crate::kind::{Service, release_name};
use kernel::resource::Labels;
use kernel::{Error, Kind, Name, Result, Text, text};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_saphyr::Spanned;

pub(crate) const YAML: &str = "naru.yaml";
pub(crate) const PROCFILE: &str = "Procfile";
/// The largest file that is read, in bytes.
pub(crate) const LIMIT: u64 = 1024 * 1024;
/// Services of one commit.
const MOST: usize = 50;

/// One service as written.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Wanted {
    pub name: Name,
    pub spec: Service,
    pub labels: Labels,
    /// Whether the file says how many; else what was scaled by hand stays.
    pub replicas_given: bool,
}

/// Enough of a document to tell what it is.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    kind: Spanned<String>,
    name: Option<Spanned<String>>,
    #[serde(default)]
    labels: Labels,
    #[serde(default)]
    #[allow(dead_code)]
    spec: IgnoredAny,
}

#[derive(Deserialize)]
struct Document {
    name: Spanned<String>,
    spec: Spanned<Service>,
}

#[derive(Deserialize)]
struct Given {
    #[serde(default)]
    spec: Replicas,
}

#[derive(Default, Deserialize)]
struct Replicas {
    #[serde(default)]
    replicas: Option<IgnoredAny>,
}

/// The services of a `naru.yaml`.
///
/// # Errors
/// `naru-yaml.invalid`, with the place.
pub(crate) fn yaml(bytes: &[u8]) -> Result<Vec<Wanted>> {
    let words = std::str::from_utf8(bytes).map_err(|e| {
        let line = bytes.iter().take(e.valid_up_to()).filter(|b| **b == b'\n').count() as u32 + 1;
        wrong(text!("it is not UTF-8", "UTF-8이 아닙니다"), YAML, line, 1)
    })?;
    let headers: Vec<Header> = documents(words)?;
    headers.iter().try_for_each(check_header)?;
    let given: Vec<Given> = documents(words)?;
    let documents: Vec<Document> = documents(words)?;
    let mut all: Vec<Wanted> = Vec::new();
    for ((document, given), header) in documents.into_iter().zip(given).zip(headers) {
        let (line, column) = place(&document.name);
        let name = Name::parse(&document.name.value).map_err(|e| e.at(YAML, line, column))?;
        release_name(&name, 1).map_err(|e| e.at(YAML, line, column))?;
        if all.iter().any(|w| w.name == name) {
            let say = text!("there are two services {name}", "{name} 서비스가 두 번 나옵니다");
            return Err(wrong(say, YAML, line, column));
        }
        let (line, column) = place(&document.spec);
        document.spec.value.check().map_err(|e| e.at(YAML, line, column))?;
        let replicas_given = given.spec.replicas.is_some();
        let (spec, labels) = (document.spec.value, header.labels);
        all.push(Wanted { name, spec, labels, replicas_given });
    }
    if all.len() > MOST {
        let say = text!("more than {MOST} services", "서비스가 {MOST}개를 넘습니다");
        return Err(wrong(say, YAML, 1, 1));
    }
    Ok(all)
}

fn check_header(header: &Header) -> Result<()> {
    let (line, column) = place(&header.kind);
    if header.kind.value != Service::KIND {
        let kind = kernel::shown(&header.kind.value);
        return Err(wrong(
            text!("`kind: {kind}` is not supported here", "`kind: {kind}`은(는) 지원하지 않습니다"),
            YAML,
            line,
            column,
        )
        .hint(text!("naru.yaml may hold: Service", "naru.yaml에 쓸 수 있는 종류: Service")));
    }
    if header.name.is_none() {
        let say = text!("a Service needs a `name`", "Service에는 `name`이 필요합니다");
        return Err(wrong(say, YAML, line, column));
    }
    Ok(())
}

fn documents<T: serde::de::DeserializeOwned>(words: &str) -> Result<Vec<T>> {
    serde_saphyr::from_multiple(words).map_err(|e| {
        let (line, column) =
            e.location().map_or((1, 1), |l| (narrow(l.line()), narrow(l.column())));
        let why = plain(&e.without_snippet().to_string());
        wrong(text!("it cannot be read: {why}", "읽을 수 없습니다: {why}"), YAML, line, column)
            .hint(text!(
                "`naru explain Service` lists its fields",
                "`naru explain Service`가 필드를 보여 줍니다"
            ))
    })
}

/// The parser's message without what is said already, or only a programmer could use.
fn plain(why: &str) -> String {
    let why = why.lines().next().unwrap_or("");
    let why = why.split(" at line ").next().unwrap_or(why);
    let why = why.split(", set DuplicateKeyPolicy").next().unwrap_or(why);
    why.trim().replace("invalid u32", "a whole number from 0 up is expected")
}

fn place<T>(spanned: &Spanned<T>) -> (u32, u32) {
    (narrow(spanned.referenced.line()), narrow(spanned.referenced.column()))
}

fn narrow(n: u64) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX).max(1)
}

fn wrong(say: Text, file: &str, line: u32, column: u32) -> Error {
    Error::invalid("naru-yaml.invalid", say).at(file, line, column)
}

/// The services of a `Procfile`: one process type a line, `web: command`. `web` listens, the others do
/// not.
///
/// # Errors
/// `procfile.invalid`, with the place.
pub(crate) fn procfile(bytes: &[u8]) -> Result<Vec<Wanted>> {
    let words = String::from_utf8_lossy(bytes);
    let mut all: Vec<Wanted> = Vec::new();
    for (i, line) in words.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let at = |e: Error| e.at(PROCFILE, u32::try_from(i + 1).unwrap_or(u32::MAX), 1);
        let (name, command) = line.split_once(':').ok_or_else(|| {
            at(Error::invalid(
                "procfile.invalid",
                text!("this line is not `type: command`", "`이름: 명령` 꼴이 아닌 줄입니다"),
            ))
        })?;
        let name = Name::parse(&name.trim().to_ascii_lowercase().replace('_', "-")).map_err(at)?;
        // `release` is a command before a deployment elsewhere; to run it for ever would be a surprise.
        if name.as_str() == "release" {
            return Err(at(Error::invalid(
                "procfile.release",
                text!(
                    "the `release` process type is not supported",
                    "`release` 프로세스 타입은 지원하지 않습니다"
                ),
            )
            .hint(text!(
                "run it in the pipeline, or at the start of `web`",
                "파이프라인이나 `web`의 시작 부분에서 실행하세요"
            ))));
        }
        release_name(&name, 1).map_err(at)?;
        let spec = Service { listens: name.as_str() == "web", ..Service::new(command.trim()) };
        spec.check().map_err(at)?;
        if all.iter().any(|w| w.name == name) || all.len() >= MOST {
            return Err(at(Error::invalid(
                "procfile.invalid",
                text!(
                    "{name} comes twice, or there are more than {MOST} types",
                    "{name}이(가) 두 번 나오거나 {MOST}개를 넘습니다"
                ),
            )));
        }
        all.push(Wanted { name, spec, labels: Labels::new(), replicas_given: false });
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_shortest_file_and_several_documents() {
        let file = "kind: Service\nname: web\nspec:\n  command: python3 app.py   # $PORT\n  replicas: 2\n  health: /healthz\n---\nkind: Service\nname: worker\nspec: {command: ./work, listens: false, env: {LEVEL: 7, FLAG: yes}}\n";
        let all = yaml(file.as_bytes()).unwrap();
        assert_eq!(all[0].name.as_str(), "web");
        assert_eq!(all[0].spec.health.as_ref().unwrap().path, "/healthz");
        assert!(all[0].replicas_given && !all[1].replicas_given);
        assert_eq!(all[1].spec.env["LEVEL"], "7");
        assert_eq!(all[1].spec.env["FLAG"], "yes");
    }

    #[test]
    fn errors_name_their_place() {
        for (file, line, words) in [
            ("kind: Service\nname: web\nspec:\n  command: x\n  replica: 2\n", 5, "replica"),
            (
                "kind: Service\nname: web\nspec:\n  command: x\n---\nkind: Monitor\nname: m\nspec: {}\n",
                6,
                "Monitor",
            ),
            ("kind: Service\nname: Web\nspec: {command: x}\n", 2, "Web"),
            ("kind: Service\nspec: {command: x}\n", 1, "name"),
            (
                "kind: Service\nname: web\nspec: {command: x}\n---\nkind: Service\nname: web\nspec: {command: x}\n",
                6,
                "two",
            ),
            ("kind: Service\nname: web\nspec:\n  command: x\n  replicas: 500\n", 4, "100"),
            ("kind: [\n", 2, "read"),
            ("kind: Service\nname: web\nspec:\n  command: x\n  command: y\n", 5, "duplicate"),
            ("kind: Service\nname: web\nspec:\n  command: x\n  replicas: two\n", 5, "whole number"),
            ("kind: Service\nname: web\nspec:\n  replicas: 2\n", 4, "`command`"),
            ("kind: Service\nname: web\n", 2, "`spec`"),
            ("- a\n", 1, "read"),
        ] {
            let error = yaml(file.as_bytes()).expect_err(file);
            let place = error.place().expect(file);
            assert!(place.line.abs_diff(line) <= 1, "{file}: {error}");
            assert!(error.to_string().contains(words), "{error} should name {words}");
        }
    }

    #[test]
    fn empty_documents_are_no_services() {
        let one = "---\n---\nkind: Service\nname: web\nspec: {command: x}\n---\n# the end\n";
        for (file, count) in [("", 0), ("# nothing\n", 0), (one, 1)] {
            assert_eq!(yaml(file.as_bytes()).unwrap().len(), count, "{file}");
        }
    }

    #[test]
    fn a_bomb_is_refused() {
        let mut bomb = String::from(
            "kind: Service\nname: web\nspec:\n  command: x\n  env:\n    A: &a [x,x,x,x,x,x,x,x,x,x]\n",
        );
        for i in 0..12 {
            let (b, a) = ((b'b' + i) as char, (b'a' + i) as char);
            bomb.push_str(&format!(
                "    {b}: &{b} [*{a},*{a},*{a},*{a},*{a},*{a},*{a},*{a},*{a},*{a}]\n"
            ));
        }
        assert!(yaml(bomb.as_bytes()).is_err());
    }

    #[test]
    fn procfiles() {
        let all =
            procfile(b"# processes\nweb: gunicorn app:app\nJob_Runner: ./run --fast\n").unwrap();
        assert_eq!(all[0].spec.command, "gunicorn app:app");
        assert!(all[0].spec.listens && !all[1].spec.listens);
        assert_eq!(all[1].name.as_str(), "job-runner");
        let error = procfile(b"web: x\nrelease: ./migrate\n").unwrap_err();
        assert_eq!(error.place().unwrap().line, 2);
        assert_eq!(procfile(b"web\n").unwrap_err().place().unwrap().line, 1);
    }

    proptest! {
        #[test]
        fn any_file_is_survived(words: String) {
            let _ = yaml(words.as_bytes());
            let _ = procfile(words.as_bytes());
        }
    }
}

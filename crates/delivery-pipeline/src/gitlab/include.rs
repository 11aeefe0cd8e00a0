//! `include:` of every kind: the files of a pipeline as one tree.
//!
//! Bounds: 150 files, 50 levels, a million values in all. A file may be included many times, but never by
//! itself. What a file includes lies under its own keys; a later include lies over an earlier one.

use super::error;
use super::glob::Globs;
use super::include_item::{Aim, Item, Reader};
use super::interpolate::{self, Known};
use super::keywords::INCLUDE_RULE;
use super::rules;
use super::spec::{self, Definition, Given, Header};
use super::wanted::{Files, Got, Home, Wanted};
use super::yaml::{At, Entry, Is, MAX_NODES, Node};
use super::{Context, catalog, merge, read};
use crate::variables::{Scope, Variable};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use kernel::error::Place;
use kernel::{Error, Result, Text, text};
use sha2::{Digest, Sha256};
use std::sync::Arc;

/// GitLab's own limit for one pipeline.
const MAX_FILES: usize = 150;
const MAX_LEVELS: usize = 50;
/// Values of all files together.
const MAX_WHOLE: usize = 10 * MAX_NODES;
const INCLUDE: &[&str] = &["local", "project", "template", "component", "remote"];
/// What `spec:include` takes.
const SPEC_INCLUDE: &[&str] = &["local", "project", "remote"];

/// The merged file, or what has to be looked up first.
pub enum Gathered {
    Whole(Loaded),
    Missing(Vec<Wanted>),
}

/// All files of a pipeline as one.
pub struct Loaded {
    pub root: Arc<Node>,
    /// In the order in which they were read.
    pub included: Vec<Included>,
}

/// One file, and the line that includes it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Included {
    pub file: String,
    pub by: Place,
}

/// Reads `root` and everything it includes. `given` are the inputs of `root`.
///
/// # Errors
/// As [`super::yaml::parse`]; `pipeline.include` for what cannot be included, `pipeline.input` and
/// `pipeline.interpolation` for what is wrong with inputs.
pub fn gather(root: &str, given: &Given, files: &Files, context: &Context) -> Result<Gathered> {
    let fqdn = [Variable::literal("CI_SERVER_FQDN", fqdn(&context.url))];
    let predefined = super::predefined::pipeline(context);
    let scope = Scope::new([&fqdn, predefined.as_slice(), &context.given]);
    let mut walk = Walk {
        files,
        context,
        scope,
        missing: Vec::new(),
        included: Vec::new(),
        chain: Vec::new(),
        count: 0,
        size: 0,
    };
    let start = At { file: root.into(), line: 1, column: 1 };
    let target = Target { wanted: Wanted::here(root), at: start, integrity: None };
    let whole = walk.file(&target, given)?;
    match whole {
        Some(root) if walk.missing.is_empty() => {
            Ok(Gathered::Whole(Loaded { root, included: walk.included }))
        }
        _ => Ok(Gathered::Missing(walk.missing)),
    }
}

/// A file to be read, and the place that asks for it.
struct Target {
    wanted: Wanted,
    at: At,
    integrity: Option<String>,
}

struct Walk<'a> {
    files: &'a Files,
    context: &'a Context,
    scope: Scope,
    missing: Vec<Wanted>,
    included: Vec<Included>,
    /// Files that are being read, outermost first.
    chain: Vec<Wanted>,
    count: usize,
    size: usize,
}

impl Walk<'_> {
    /// A file with everything it includes laid under it; `None` while something is missing.
    fn file(&mut self, target: &Target, given: &Given) -> Result<Option<Arc<Node>>> {
        self.enter(target)?;
        let Some(documents) = self.documents(target)? else { return Ok(None) };
        let (spec, body) = split(&target.wanted.name(), &documents)?;
        self.chain.push(target.wanted.clone());
        let own = self.own(target, spec, body, given)?;
        let whole = match own {
            Some(own) => self.with_includes(&own, &target.wanted)?,
            None => None,
        };
        self.chain.pop();
        Ok(whole)
    }

    fn enter(&mut self, target: &Target) -> Result<()> {
        self.count += 1;
        let name = kernel::shown(&target.wanted.name());
        let say = if self.chain.contains(&target.wanted) {
            text!("`{name}` includes itself", "`{name}`이(가) 자신을 포함합니다")
        } else if self.count > MAX_FILES {
            text!(
                "more than {MAX_FILES} files are included",
                "포함한 파일이 {MAX_FILES}개를 넘습니다"
            )
        } else if self.chain.len() >= MAX_LEVELS {
            text!(
                "includes nest more than {MAX_LEVELS} levels deep",
                "include가 {MAX_LEVELS}단계를 넘습니다"
            )
        } else {
            if !self.chain.is_empty() {
                let by = super::compile::place(&target.at);
                self.included.push(Included { file: target.wanted.name(), by });
            }
            return Ok(());
        };
        let names = self.chain.iter().map(|w| w.name()).chain([target.wanted.name()]);
        let way = kernel::shown(&names.collect::<Vec<_>>().join(" → "));
        Err(failed(&target.at, say).hint(text!("the way here: {way}", "포함 순서: {way}")))
    }

    /// The documents of a file, or a note that it is missing.
    fn documents(&mut self, target: &Target) -> Result<Option<Arc<[Arc<Node>]>>> {
        let Target { wanted, at, integrity } = target;
        if let Wanted::Template { name } = wanted {
            let bytes = catalog::find(name).ok_or_else(|| unknown_template(at, name))?;
            let parsed = super::yaml::parse(&wanted.name(), bytes.as_bytes())?;
            return self.sized(at, parsed.into()).map(Some);
        }
        match self.files.get(wanted) {
            None => {
                if !self.missing.contains(wanted) {
                    self.missing.push(wanted.clone());
                }
                return Ok(None);
            }
            Some(Got::Absent | Got::Paths(_)) => return Err(absent(at, wanted)),
            Some(Got::Refused(error)) => {
                return Err(error.clone().at(&*at.file, at.line, at.column));
            }
            Some(Got::File(bytes)) => check_integrity(at, integrity.as_deref(), bytes)?,
            Some(Got::Component(_)) => {}
        }
        let parsed = self.files.documents(wanted).unwrap_or_else(|| Err(absent(at, wanted)))?;
        self.sized(at, parsed).map(Some)
    }

    fn sized(&mut self, at: &At, parsed: Arc<[Arc<Node>]>) -> Result<Arc<[Arc<Node>]>> {
        self.size += parsed.iter().map(|n| n.size()).sum::<usize>();
        if self.size > MAX_WHOLE {
            return Err(error::bomb(at, MAX_WHOLE));
        }
        Ok(parsed)
    }

    /// The file's own keys, its inputs written in.
    fn own(
        &mut self,
        target: &Target,
        spec: Option<Entry>,
        body: Arc<Node>,
        given: &Given,
    ) -> Result<Option<Arc<Node>>> {
        let Some(spec) = spec else {
            spec::resolve(&[], given, &target.at, &self.scope)?;
            return Ok(Some(body));
        };
        let header = spec::header(&spec)?;
        let Some(definitions) = self.definitions(&header, &target.wanted)? else { return Ok(None) };
        let inputs = spec::resolve(&definitions, given, &target.at, &self.scope)?;
        let component = match (&target.wanted, self.files.get(&target.wanted)) {
            (Wanted::Component { name, reference, .. }, Some(Got::Component(found))) => {
                Some((name.as_str(), reference.as_str(), found))
            }
            _ => None,
        };
        let known =
            Known { inputs: &inputs, component, facts: &header.component, scope: &self.scope };
        let own = interpolate::interpolate(&body, &known)?;
        self.size += own.size().saturating_sub(body.size());
        Ok(Some(own))
    }

    /// A header's inputs over those of the files it includes.
    fn definitions(&mut self, header: &Header, by: &Wanted) -> Result<Option<Vec<Definition>>> {
        let mut all: Vec<Definition> = Vec::new();
        let mut whole = true;
        if let Some(include) = &header.include {
            for (target, _) in self.targets(include, by, SPEC_INCLUDE)? {
                self.enter(&target)?;
                let Some(documents) = self.documents(&target)? else {
                    whole = false;
                    continue;
                };
                let (_, body) = split(&target.wanted.name(), &documents)?;
                for entry in read::map(&body, &target.wanted.name(), &["inputs"])? {
                    all.extend(spec::definitions(entry)?);
                }
            }
        }
        all.extend(header.inputs.iter().cloned());
        // The last one of a name is the one that counts.
        let mut seen = std::collections::BTreeSet::new();
        let mut out: Vec<Definition> =
            all.into_iter().rev().filter(|d| seen.insert(d.name.clone())).collect();
        out.reverse();
        Ok(whole.then_some(out))
    }

    fn with_includes(&mut self, own: &Arc<Node>, by: &Wanted) -> Result<Option<Arc<Node>>> {
        let mut below: Option<Arc<Node>> = None;
        if let Some(include) = own.get("include").filter(|e| !e.value.is_null()) {
            for (target, given) in self.targets(include, by, INCLUDE)? {
                if let Some(node) = self.file(&target, &given)? {
                    below = Some(below.map_or(node.clone(), |b| merge::deep(&b, &node)));
                }
            }
        }
        let entries = own.map().unwrap_or_default();
        let rest = entries.iter().filter(|e| e.key != "include").cloned().collect();
        let rest = Arc::new(Node::new(own.at.clone(), Is::Map(rest)));
        Ok(Some(below.map_or(rest.clone(), |b| merge::deep(&b, &rest))))
    }

    /// The files to read now, rules considered and patterns written out, each with its inputs.
    fn targets(
        &mut self,
        include: &Entry,
        by: &Wanted,
        kinds: &[&str],
    ) -> Result<Vec<(Target, Given)>> {
        let fqdn = fqdn(&self.context.url);
        let home = self.home(by);
        let mut items = Vec::new();
        {
            let reader = Reader { home: home.as_ref(), scope: &self.scope, fqdn: &fqdn, kinds };
            match include.value.list() {
                Some(list) => {
                    for node in list {
                        items.push(reader.item(node)?);
                    }
                }
                None => items.push(reader.item(&include.value)?),
            }
        }
        let mut out = Vec::new();
        for Item { targets, rules, inputs } in items {
            if !self.holds(rules.as_ref())? {
                continue;
            }
            let given = inputs.as_ref().map(Given::read).transpose()?.unwrap_or_default();
            for (aim, at) in targets {
                out.extend(self.aimed(aim, at)?.into_iter().map(|target| (target, given.clone())));
            }
        }
        Ok(out)
    }

    /// Where the local files of a file lie.
    fn home(&self, of: &Wanted) -> Option<Home> {
        match of {
            Wanted::File { home, .. } => Some(home.clone()),
            Wanted::Component { path, .. } => match self.files.get(of) {
                Some(Got::Component(found)) => {
                    Some(Home::Repository { path: path.clone(), refname: Some(found.sha.clone()) })
                }
                _ => None,
            },
            _ => None,
        }
    }

    fn holds(&self, rules: Option<&Entry>) -> Result<bool> {
        let Some(rules) = rules.filter(|r| !r.value.is_null()) else { return Ok(true) };
        let rules = rules::read(rules, INCLUDE_RULE)?;
        let first = rules::first(&rules, &self.scope, self.context);
        Ok(first.is_some_and(|(_, rule)| rule.when != Some(super::job::When::Never)))
    }

    fn aimed(&mut self, aim: Aim, at: At) -> Result<Vec<Target>> {
        let (home, pattern) = match aim {
            Aim::File(wanted) => return Ok(vec![Target { wanted, at, integrity: None }]),
            Aim::Remote { wanted, integrity } => return Ok(vec![Target { wanted, at, integrity }]),
            Aim::Pattern { home, pattern } => (home, pattern),
        };
        let wanted = Wanted::Paths { home: home.clone() };
        match self.files.get(&wanted) {
            Some(Got::Paths(paths)) => {
                let globs = Globs::new(std::slice::from_ref(&pattern));
                let found = paths.iter().filter(|path| globs.matches(path)).take(MAX_FILES + 1);
                let target = |path: &String| Target {
                    wanted: Wanted::File { home: home.clone(), path: path.clone() },
                    at: at.clone(),
                    integrity: None,
                };
                let found: Vec<Target> = found.map(target).collect();
                if found.is_empty() {
                    let pattern = kernel::shown(&pattern);
                    let say =
                        text!("no file matches `{pattern}`", "`{pattern}`에 맞는 파일이 없습니다");
                    return Err(failed(&at, say));
                }
                Ok(found)
            }
            Some(Got::Refused(error)) => Err(error.clone().at(&*at.file, at.line, at.column)),
            Some(_) => Err(absent(&at, &wanted)),
            None => {
                self.missing.push(wanted);
                Ok(Vec::new())
            }
        }
    }
}

/// The header's `spec`, if there is one, and the body of a file.
fn split(name: &str, documents: &[Arc<Node>]) -> Result<(Option<Entry>, Arc<Node>)> {
    let start = At { file: name.into(), line: 1, column: 1 };
    let mut rest: Vec<&Arc<Node>> = documents.iter().collect();
    let mut spec = None;
    if let [first, _, ..] = rest.as_slice()
        && let Some(entry) = first.get("spec")
    {
        read::map(first, "spec", &["spec"])?;
        spec = Some(entry.clone());
        rest.remove(0);
    }
    rest.retain(|d| !d.is_null());
    match *rest.as_slice() {
        [one] if one.map().is_some() => {
            if let Some(entry) = one.get("spec") {
                return Err(no_body(&entry.at));
            }
            Ok((spec, one.clone()))
        }
        [one] => {
            let wanted = ("a map of keywords and jobs", "키워드와 작업의 맵을");
            Err(error::wanted(&one.at, name, wanted))
        }
        [_, second, ..] => Err(more_documents(&second.at)),
        [] if spec.is_some() => Ok((spec, Arc::new(Node::new(start, Is::Map(Vec::new()))))),
        [] => {
            let say = Text::fixed("the file is empty", "파일이 비어 있습니다");
            Err(error::general(&start, "pipeline.empty", say).hint(Text::fixed(
                "add a job with a `script`, or remove the file",
                "`script`가 있는 작업을 추가하거나 파일을 지우세요",
            )))
        }
    }
}

fn no_body(at: &At) -> Error {
    let say = Text::fixed(
        "`spec` stands in a header of its own",
        "`spec`은 따로 떨어진 머리말에 써야 합니다",
    );
    error::general(at, "pipeline.input", say).hint(Text::fixed(
        "put `spec` first in the file and a line `---` after it",
        "`spec`을 파일 맨 앞에 쓰고 그 뒤에 `---` 줄을 넣으세요",
    ))
}

fn more_documents(at: &At) -> Error {
    let say =
        Text::fixed("the file holds more than one document", "파일에 문서가 둘 이상 있습니다");
    error::general(at, "pipeline.yaml", say).hint(Text::fixed(
        "remove the `---`; only a header with `spec` may stand before one",
        "`---`를 지우세요. 그 앞에는 `spec` 머리말만 올 수 있습니다",
    ))
}

fn failed(at: &At, say: Text) -> Error {
    error::general(at, "pipeline.include", say)
}

fn absent(at: &At, wanted: &Wanted) -> Error {
    match wanted {
        Wanted::File { home: Home::Here, path } => {
            let path = kernel::shown(path);
            failed(
                at,
                text!("this commit has no file `{path}`", "이 커밋에 `{path}` 파일이 없습니다"),
            )
        }
        Wanted::Component { path, name, reference } => {
            let (path, name, reference) =
                (kernel::shown(path), kernel::shown(name), kernel::shown(reference));
            let say = text!(
                "{path} has no component `{name}` at {reference}",
                "{path}의 {reference}에 `{name}` 컴포넌트가 없습니다"
            );
            failed(at, say).hint(text!(
                "a component is the file templates/{name}.yml or templates/{name}/template.yml",
                "컴포넌트는 templates/{name}.yml이나 templates/{name}/template.yml 파일입니다"
            ))
        }
        other => {
            let name = kernel::shown(&other.name());
            failed(at, text!("there is no file `{name}`", "`{name}` 파일이 없습니다"))
        }
    }
}

fn unknown_template(at: &At, name: &str) -> Error {
    let known: Vec<&str> = catalog::names().collect();
    let shown = kernel::shown(name);
    let say = text!("there is no template `{shown}`", "`{shown}` 템플릿이 없습니다");
    failed(at, say).hint(error::nearest(name, &known))
}

fn check_integrity(at: &At, wanted: Option<&str>, bytes: &[u8]) -> Result<()> {
    let Some(wanted) = wanted else { return Ok(()) };
    let found = BASE64.encode(Sha256::digest(bytes));
    if found == wanted {
        return Ok(());
    }
    let say = Text::fixed(
        "the file is not the one that `integrity` names",
        "`integrity`에 적힌 파일이 아닙니다",
    );
    Err(failed(at, say).hint(text!("it is sha256-{found}", "받은 파일은 sha256-{found}입니다")))
}

/// `127.0.0.1:8080` of `http://127.0.0.1:8080/`.
fn fqdn(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split('/').next().unwrap_or_default().to_owned()
}

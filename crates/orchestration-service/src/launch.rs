//! A release and a place turned into a workload's spec. Pure.

use crate::env::Env;
use crate::files::Files;
use crate::identity;
use crate::kind::Release;
use crate::state::ServiceKey;
use crate::tools::Tools;
use host::{Hidden, Keep, Limits, Mount, MountKind, Private, Sandbox, Spec};
use kernel::Name;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

/// Processes and threads of one instance.
const PIDS: u32 = 4096;
/// How the release's files are seen.
const APP: &str = "/app";
const HOME: &str = "/home/app";
/// How its data directory is seen.
const DATA: &str = "/data";

/// `$NARU_ENVIRONMENT` of what is no copy.
pub(crate) const PRODUCTION: &str = "production";

/// `NARU_URL_WEB_API` for the service `web-api`.
fn url_variable(service: &Name) -> String {
    format!("NARU_URL_{}", service.as_str().to_ascii_uppercase().replace('-', "_"))
}

/// Lines of `/etc/hosts` by which programs find the neighbours: few resolvers know that `*.localhost` is
/// this machine (RFC 6761 §6.3).
pub(crate) fn hosts_lines(neighbours: &[(Name, String)]) -> String {
    let host = |url: &str| {
        let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
        rest.split([':', '/']).next().unwrap_or_default().to_owned()
    };
    let names: Vec<String> = neighbours.iter().map(|(_, url)| host(url)).collect();
    // Not all on one line: resolvers have short buffers.
    names.iter().map(|name| format!("127.0.0.1\t{name}\n")).collect()
}

/// Which instance: `<project>.<service>.<release number>.<slot>.<n>`, where `n` counts how often the slot
/// was filled. None of the parts holds a dot.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Place {
    pub key: ServiceKey,
    pub number: u64,
    pub slot: u32,
    pub n: u32,
}

impl Place {
    pub fn id(&self) -> String {
        let Place { key, number, slot, n } = self;
        format!("{}.{}.{number}.{slot}.{n}", key.project, key.service)
    }

    pub fn parse(id: &str) -> Option<Place> {
        let mut parts = id.split('.');
        let place = Place {
            key: ServiceKey {
                project: Name::parse(parts.next()?).ok()?,
                service: Name::parse(parts.next()?).ok()?,
            },
            number: parts.next()?.parse().ok()?,
            slot: parts.next()?.parse().ok()?,
            n: parts.next()?.parse().ok()?,
        };
        (parts.next().is_none() && place.id() == id).then_some(place)
    }

    /// The name of its `Instance` resource: `web-7-0-1`.
    pub fn instance(&self) -> Option<Name> {
        let Place { key, number, slot, n } = self;
        Name::parse(&format!("{}-{number}-{slot}-{n}", key.service)).ok()
    }
}

/// What an instance is started from.
pub(crate) struct Launch<'a> {
    pub place: &'a Place,
    pub name: &'a Name,
    pub release: &'a Release,
    pub port: Option<u16>,
    pub tools: &'a Tools,
    /// `PATH`
    pub path: &'a str,
    pub sandboxed: bool,
    /// Where the services of its commit are found, by their names in the file.
    pub neighbours: &'a [(Name, String)],
    /// Its data directory on this machine.
    pub data: Option<&'a Path>,
    /// Bytes of log kept.
    pub log: u64,
    /// The secrets that it names.
    pub private: Private,
}

impl Launch<'_> {
    pub fn spec(&self, files: &Files) -> Spec {
        let id = self.place.id();
        let scratch = files.scratch(&id);
        let config = &self.release.config;
        let (dir, home) = match self.sandboxed {
            true => (PathBuf::from(APP), PathBuf::from(HOME)),
            false => (scratch.join("app"), scratch.join("home")),
        };
        Spec {
            argv: vec!["/bin/sh".into(), "-c".into(), shell(&config.command)],
            env: self.env(&id, &home, &self.id_tokens(files)),
            dir,
            sandbox: self.sandboxed.then(|| self.sandbox(files, &scratch)),
            limits: Limits {
                memory: config.resources.memory.map(|m| m.0),
                cpu_milli: config.resources.cpu.map(|c| c.0),
                pids: Some(PIDS),
                log: Some(self.log),
                log_keep: Keep::Latest,
                grace_ms: config.stop.grace.millis(),
                ..Limits::default()
            },
            log: files.log(&id),
            stop_signal: config.stop.number().unwrap_or(15),
            mask: Vec::new(),
            log_as: None,
            hold_ms: 0,
            private: self.private.clone(),
            id,
        }
    }

    /// Where the instance sees its tokens.
    fn id_tokens(&self, files: &Files) -> PathBuf {
        match self.sandboxed {
            true => identity::SEEN.into(),
            false => files.id_tokens(&self.place.id()),
        }
    }

    fn env(&self, id: &str, home: &Path, id_tokens: &Path) -> Vec<(String, String)> {
        let config = &self.release.config;
        let environment = self.release.environment.as_ref().map_or(PRODUCTION, Name::as_str);
        let pair = |name: &str, value: String| (name.to_owned(), value);
        let mut env = vec![
            pair("HOME", home.display().to_string()),
            pair("LANG", "C.UTF-8".into()),
            pair("TMPDIR", "/tmp".into()),
        ];
        env.push(pair("PATH", self.path.to_owned()));
        env.extend(self.tools.env.iter().cloned());
        env.retain(|(name, _)| {
            !config.env.contains_key(name) && !config.id_tokens.contains_key(name)
        });
        env.extend(config.env.iter().filter_map(|(name, value)| match value {
            Env::Plain(words) => Some((name.clone(), words.clone())),
            Env::Secret(_) => None,
        }));
        env.extend(identity::variables(config, id_tokens));
        env.extend(self.port.map(|port| pair("PORT", port.to_string())));
        env.extend([
            pair("NARU_PROJECT", self.place.key.project.to_string()),
            pair("NARU_SERVICE", self.place.key.service.to_string()),
            pair("NARU_RELEASE", self.name.to_string()),
            pair("NARU_COMMIT", self.release.commit.clone()),
            pair("NARU_INSTANCE", id.to_owned()),
            pair("NARU_ENVIRONMENT", environment.to_owned()),
        ]);
        if let Some(dir) = self.data {
            let seen = if self.sandboxed { Path::new(DATA) } else { dir };
            env.push(pair("NARU_DATA_DIR", seen.display().to_string()));
        }
        env.extend(self.neighbours.iter().map(|(name, url)| (url_variable(name), url.clone())));
        env
    }

    fn sandbox(&self, files: &Files, scratch: &Path) -> Sandbox {
        let mut mounts = self.tools.mounts.clone();
        let lower = files.release(&self.release.tree);
        let writable = |at: &str, part: &str| Mount {
            at: at.into(),
            kind: MountKind::Writable { from: scratch.join(part) },
        };
        mounts.extend([
            Mount {
                at: APP.into(),
                kind: MountKind::Overlay { lower, over: Vec::new(), scratch: scratch.join("app") },
            },
            writable(HOME, "home"),
            writable("/tmp", "tmp"),
        ]);
        if let Some(from) = self.data {
            let kind = MountKind::Writable { from: from.to_owned() };
            mounts.push(Mount { at: DATA.into(), kind });
        }
        if !self.release.config.id_tokens.is_empty() {
            // The directory and not its files: what is renamed into it is seen.
            let from = files.id_tokens(&self.place.id());
            let kind = MountKind::ReadOnly { from };
            mounts.push(Mount { at: identity::SEEN.into(), kind });
        }
        if !self.neighbours.is_empty() {
            let from = files.hosts(&self.place.id());
            mounts.push(Mount { at: "/etc/hosts".into(), kind: MountKind::ReadOnly { from } });
        }
        let hostname = self.name.to_string();
        Sandbox { mounts, hidden: Hidden::default(), hostname, hosts: Vec::new() }
    }
}

/// The command as an argument of `sh -c`. A plain one replaces the shell, so that signals reach it.
fn shell(command: &str) -> String {
    let command = command.trim();
    let first = command.split_whitespace().next().unwrap_or("");
    let compound = command.contains(['\n', ';', '&', '|', '<', '>', '(', ')', '{', '}', '`']);
    // Words of the shell itself cannot be executed, nor can assignments.
    const WORDS: [&str; 13] = [
        "exec", "if", "while", "for", "case", "until", "!", ".", "set", "cd", "export", "eval",
        "trap",
    ];
    if compound || first.contains('=') || WORDS.contains(&first) {
        return command.to_owned();
    }
    format!("exec {command}")
}

/// Where a workload of ours listens, from the environment it was started with.
pub(crate) fn address(spec: &Spec) -> Option<SocketAddr> {
    let port = spec.env.iter().find(|(name, _)| name == "PORT")?.1.parse().ok()?;
    Some(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_back_and_others_are_not_ours() {
        let id = "shop.web-2.7.0.12";
        assert_eq!(Place::parse(id).unwrap().id(), id);
        for other in
            ["shop.web.7.0", "shop.web.7.0.1.2", "shop.web.07.0.1", "01h-3.1", "../a.b.1.2.3"]
        {
            assert_eq!(Place::parse(other), None, "{other}");
        }
    }

    #[test]
    fn only_a_plain_command_replaces_the_shell() {
        for (command, want) in [
            ("python3 app.py", "exec python3 app.py"),
            ("A=1 python3 app.py", "A=1 python3 app.py"),
            ("a && b", "a && b"),
            (" exec x ", "exec x"),
            ("cd sub", "cd sub"),
        ] {
            assert_eq!(shell(command), want);
        }
    }
}

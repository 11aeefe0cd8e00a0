//! Whoever makes the changes, with the real git.

use super::life::{Died, Life};
use kernel::{Key, Name, Resource, journey};
use orchestration_service::{Condition, Instance, InstanceState, Service};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread::JoinHandle;
use store::Filter;
use tempfile::TempDir;

const PIPELINE: &str = "
build:
  stage: build
  script:
    - printf 'it %s\\n' ran
    - cat words.txt >> built.txt
  artifacts: { paths: [built.txt] }
check:
  stage: test
  script:
    - printf 'it %s\\n' ran
    - cat built.txt >> answer.txt
  artifacts: { paths: [answer.txt] }
";
const SERVICE: &str =
    "kind: Service\nname: web\nspec: { command: python3 -S -E app.py, replicas: 1 }\n";
/// The smallest thing that listens and is on every machine.
const APP: &str = "\
import os, _socket
words = open('answer.txt', 'rb').read()
s = _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM)
s.bind(('127.0.0.1', int(os.environ['PORT'])))
s.listen(64)
while True:
    fd, _ = s._accept()
    c = _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM, 0, fd)
    try:
        if c.recv(65536):
            c.sendall(b'HTTP/1.1 200 OK\\r\\nConnection: close\\r\\nContent-Length: %d\\r\\n\\r\\n' % len(words) + words)
    except OSError:
        pass
    c.close()
";

/// The two commits of the journey, the same for every history.
pub(super) struct Changes {
    dir: TempDir,
    pub(super) commits: [String; 2],
}

impl Changes {
    pub(super) fn new() -> Changes {
        let dir = tempfile::Builder::new().prefix("work").tempdir().unwrap();
        let git = |args: &[&str]| {
            let mut git = git(dir.path());
            let out = git.args(["-c", "user.name=Ada", "-c", "user.email=ada@example.org"]);
            let out = out.args(args).output().unwrap();
            assert!(out.status.success(), "git {args:?}: {out:?}");
            String::from_utf8(out.stdout).unwrap().trim().to_owned()
        };
        git(&["init", "--quiet", "--initial-branch=main", "."]);
        let commit = |words: &str| {
            std::fs::write(dir.path().join("words.txt"), words).unwrap();
            git(&["add", "--all"]);
            git(&["commit", "--quiet", "--message", words]);
            git(&["rev-parse", "HEAD"])
        };
        for (file, words) in [(".gitlab-ci.yml", PIPELINE), ("naru.yaml", SERVICE), ("app.py", APP)]
        {
            std::fs::write(dir.path().join(file), words).unwrap();
        }
        let commits = [commit("first"), commit("second")];
        Changes { dir, commits }
    }

    pub(super) fn name(&self, i: usize) -> Name {
        journey::change_name(&Name::parse("web").unwrap(), &self.commits[i]).unwrap()
    }
}

fn git(dir: &Path) -> Command {
    let mut git = Command::new("git");
    git.current_dir(dir)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_TERMINAL_PROMPT", "0")
        .stdin(Stdio::null());
    git
}

/// Whoever makes the changes. Remembers what was acknowledged, over all lives.
pub(super) struct Developer<'a> {
    changes: &'a Changes,
    created: bool,
    pushed: [bool; 2],
    /// A push that the platform died under.
    pushing: Option<(usize, JoinHandle<Output>)>,
}

impl<'a> Developer<'a> {
    pub(super) fn new(changes: &'a Changes) -> Developer<'a> {
        Developer { changes, created: false, pushed: [false; 2], pushing: None }
    }

    /// From wherever it was to the end of the journey.
    pub(super) fn go_on(&mut self, life: &Life) -> Result<(), Died> {
        if !self.created {
            self.create(life)?;
        }
        for i in 0..self.pushed.len() {
            if !self.pushed[i] {
                self.push(life, i)?;
            }
            let (name, store) = (self.changes.name(i), &life.platform.store);
            life.wait("the change arrives", async {
                let mut feed = store.follow(0);
                let ours = Filter {
                    change: Some(name),
                    kind: Some("change.finished".into()),
                    ..Filter::default()
                };
                while !ours.matches(&feed.next().await.unwrap()) {}
            })?;
        }
        life.until("the second release serves alone", |view| {
            let (release, key) = (Name::parse("web-2")?, service()?);
            let Some(service) = view.resource(&key)? else { return Ok(false) };
            let status = service.status::<Service>()?;
            let instances = view.resources("Instance", None, None, 10)?;
            let serves = |i: &Resource| {
                Ok(i.spec::<Instance>()?.release == release
                    && i.status::<Instance>()?.state == InstanceState::Ready)
            };
            let serving = instances.iter().map(serves).collect::<kernel::Result<Vec<_>>>()?;
            Ok(status.release == Some(release.clone())
                && status.condition == Condition::Healthy
                && serving == [true])
        })
    }

    fn create(&mut self, life: &Life) -> Result<(), Died> {
        let platform = &life.platform;
        let address = platform.url.trim_start_matches("http://");
        let token = format!("Bearer {}", platform.local.token);
        let headers = [("Authorization", token.as_str()), ("Content-Type", "application/json")];
        let path = "/api/v1/projects/shop";
        let body = br#"{"spec":{}}"#;
        let answer =
            testkit::request(address.parse().unwrap(), address, "PUT", path, &headers, body);
        self.created = answer.as_ref().is_ok_and(|a| (200..300).contains(&a.status));
        self.told(life, self.created, || format!("{answer:?}"))
    }

    /// `git push`. It may end after the platform; what it says then counts.
    fn push(&mut self, life: &Life, i: usize) -> Result<(), Died> {
        let commit = &self.changes.commits[i];
        let address = life.platform.url.trim_start_matches("http://");
        let url = format!("http://admin:{}@{address}/shop/web.git", life.platform.local.token);
        let child = git(self.changes.dir.path())
            .args(["push", &url, &format!("{commit}:refs/heads/main")])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (say, said) = tokio::sync::oneshot::channel();
        let client = std::thread::spawn(move || {
            let out = child.wait_with_output().unwrap();
            // Nobody listens when the platform died.
            let _ = say.send(());
            out
        });
        if let Err(died) = life.wait("the push ends", said) {
            // With the platform go its connections, and then the client.
            self.pushing = Some((i, client));
            return Err(died);
        }
        let out = client.join().unwrap();
        self.pushed[i] = out.status.success();
        self.told(life, self.pushed[i], || String::from_utf8_lossy(&out.stderr).into_owned())
    }

    /// What git said in the end of the push that the platform died under.
    pub(super) fn hear_out(&mut self) {
        if let Some((i, client)) = self.pushing.take() {
            self.pushed[i] = client.join().unwrap().status.success();
        }
    }

    /// Only a platform that dies may refuse.
    fn told(&self, life: &Life, good: bool, words: impl Fn() -> String) -> Result<(), Died> {
        match life.chaos.crashed() {
            true => Err(Died),
            false if good => Ok(()),
            false => panic!("refused: {}", words()),
        }
    }
}

fn service() -> kernel::Result<Key> {
    Ok(Key::of::<Service>(&Name::parse("shop")?, &Name::parse("web")?))
}

//! Whole pipelines: real sandboxes, a real engine, and repositories that are directories.

mod executor;

use crate::variables::Variable;
use crate::{ByHand, Limits, Options, Pipelines};
use host::Host;
use kernel::journey::{
    Commit, Fact, PipelineCreated, PipelineFinished, Pushed, Verdict, change_name,
};
use kernel::port::{Gitlink, Identity, Metadata, Secrets, Source, TreeEntry};
use kernel::{BoxFuture, Error, Event, Id, Name, Principal, Result, Text, Time};
use run::{Engine, Run, StepState};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;
use store::{Chaos, Durability, Moment, Store};
use tokio_util::sync::CancellationToken;

mod below;
mod clock;
mod flow;
mod secrets;
mod submodules;

const PATIENCE: Duration = Duration::from_secs(60);

type Files = BTreeMap<String, String>;

/// Commits that live in memory, and repositories that are empty directories.
#[derive(Default)]
struct Shelf {
    commits: Mutex<BTreeMap<String, Files>>,
    git: OnceLock<PathBuf>,
    /// The submodules of commits.
    links: Mutex<BTreeMap<String, Vec<Gitlink>>>,
    identity: OnceLock<Arc<dyn Identity>>,
    secrets: OnceLock<Arc<dyn Secrets>>,
    /// Where two histories part, if not at the first of them.
    partings: Mutex<BTreeMap<(String, String), Option<String>>>,
    /// What `include:remote` may ask.
    hosts: OnceLock<Vec<String>>,
}

impl Shelf {
    fn add(&self, files: Files) -> String {
        let mut shelf = self.commits.lock().unwrap();
        let id = format!("{:040x}", shelf.len() + 1);
        shelf.insert(id.clone(), files);
        id
    }

    fn get(&self, commit: &str) -> Result<Files> {
        let found = self.commits.lock().unwrap().get(commit).cloned();
        found.ok_or_else(|| Error::internal("no such commit"))
    }
}

impl Source for Shelf {
    fn tree<'a>(
        &'a self,
        _: &'a Name,
        _: &'a Name,
        commit: &'a str,
    ) -> BoxFuture<'a, Result<Vec<TreeEntry>>> {
        let entry = |(path, text): (String, String)| TreeEntry {
            path,
            mode: 0o100_644,
            object: format!("{:040x}", text.len()),
            size: text.len() as u64,
        };
        Box::pin(async move { Ok(self.get(commit)?.into_iter().map(entry).collect()) })
    }

    fn file<'a>(
        &'a self,
        _: &'a Name,
        _: &'a Name,
        commit: &'a str,
        path: &'a str,
        _: u64,
    ) -> BoxFuture<'a, Result<Option<Vec<u8>>>> {
        Box::pin(async move { Ok(self.get(commit)?.remove(path).map(String::into_bytes)) })
    }

    fn checkout<'a>(
        &'a self,
        _: &'a Name,
        _: &'a Name,
        commit: &'a str,
        dir: &'a Path,
        _: Metadata,
    ) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            for link in self.links.lock().unwrap().get(commit).into_iter().flatten() {
                std::fs::create_dir_all(dir.join(&link.path)).unwrap();
            }
            for (path, text) in self.get(commit)? {
                let at = dir.join(path);
                std::fs::create_dir_all(at.parent().unwrap()).unwrap();
                std::fs::write(at, text).unwrap();
            }
            Ok(())
        })
    }

    fn commit<'a>(
        &'a self,
        _: &'a Name,
        _: &'a Name,
        commit: &'a str,
    ) -> BoxFuture<'a, Result<Commit>> {
        let known = self.commits.lock().unwrap().contains_key(commit);
        let unknown = || Error::not_found("object.unknown", Text::plain("no such commit"));
        Box::pin(async move { known.then(|| commit_of(commit, "")).ok_or_else(unknown) })
    }

    fn changed<'a>(
        &'a self,
        _: &'a Name,
        _: &'a Name,
        before: Option<&'a str>,
        after: &'a str,
    ) -> BoxFuture<'a, Result<Vec<String>>> {
        Box::pin(async move {
            let old = before.map(|b| self.get(b)).transpose()?.unwrap_or_default();
            let new = self.get(after)?;
            Ok(new.into_iter().filter(|(p, t)| old.get(p) != Some(t)).map(|(p, _)| p).collect())
        })
    }

    fn gitlinks<'a>(
        &'a self,
        _: &'a Name,
        _: &'a Name,
        commit: &'a str,
    ) -> BoxFuture<'a, Result<Vec<Gitlink>>> {
        let links = self.links.lock().unwrap().get(commit).cloned().unwrap_or_default();
        Box::pin(async move { Ok(links) })
    }

    fn merge_base<'a>(
        &'a self,
        _: &'a Name,
        _: &'a Name,
        one: &'a str,
        other: &'a str,
    ) -> BoxFuture<'a, Result<Option<String>>> {
        let parting =
            self.partings.lock().unwrap().get(&(one.to_owned(), other.to_owned())).cloned();
        Box::pin(async move { Ok(parting.unwrap_or_else(|| Some(one.to_owned()))) })
    }

    fn git_dir(&self, project: &Name, repository: &Name) -> PathBuf {
        self.git.get().unwrap().join(format!("{project}/{repository}.git"))
    }
}

fn commit_of(id: &str, subject: &str) -> Commit {
    Commit {
        id: id.to_owned(),
        parents: Vec::new(),
        author: "Kim".into(),
        email: "kim@example.com".into(),
        authored: Time(0),
        committed: Time(0),
        subject: subject.to_owned(),
        message: String::new(),
    }
}

fn name(words: &str) -> Name {
    Name::parse(words).unwrap()
}

/// What the pipelines of these tests are opened with.
async fn options_of(
    store: &Store,
    blobs: blob::Blobs,
    host: Host,
    shelf: &Arc<Shelf>,
    data: &Path,
) -> kernel::Result<Options> {
    Ok(Options {
        store: store.clone(),
        policy: policy::Policy::new(&account::Accounts::open(store.clone()).await?),
        others: None,
        remote_hosts: shelf.hosts.get().cloned().unwrap_or_default(),
        blobs,
        host,
        verdicts: None,
        secrets: shelf.secrets.get().cloned(),
        source: shelf.clone(),
        identity: shelf.identity.get().cloned(),
        dir: data.join("work"),
        url: "http://127.0.0.1:8080".into(),
        ca_file: None,
        limits: Limits { grace_ms: 500, disk: 64 << 20, log: 1 << 20, ..Limits::default() },
        given: Vec::new(),
        keep_failed: false,
    })
}

/// One life of a server.
/// Somebody who may see the project and nothing more is enough for artifacts that nothing closes.
fn reader() -> Principal {
    Principal::User(name("kim"))
}

struct World {
    store: Store,
    host: Host,
    engine: Engine,
    pipelines: Pipelines,
    shelf: Arc<Shelf>,
    stop: CancellationToken,
    data: PathBuf,
}

impl World {
    async fn open(data: &Path, shelf: &Arc<Shelf>) -> World {
        World::with(data, shelf, None).await.expect("it opens")
    }

    /// `None` when `chaos` ends its life before it has begun.
    async fn with(data: &Path, shelf: &Arc<Shelf>, chaos: Option<Arc<Chaos>>) -> Option<World> {
        let _ = shelf.git.set(data.join("git"));
        let durability = Durability::Process;
        let options = store::Options { durability, chaos, ..Default::default() };
        let store = Store::open(&data.join("naru.db"), options).unwrap();
        let blobs = blob::Blobs::open(&data.join("blobs"), store.clone()).await.ok()?;
        let shim = tokio::task::spawn_blocking(host::testing::shim).await.unwrap();
        let dir = data.join("host");
        let host = Host::open(host::Options { dir, shim, hidden: vec![data.to_owned()] });
        let host = host.await.unwrap();
        let options = options_of(&store, blobs, host.clone(), shelf, data).await.ok()?;
        let pipelines = Pipelines::open(options);
        let pipelines = pipelines.await.ok()?;
        let engine = Engine::open(run::Options {
            store: store.clone(),
            dir: data.join("runs"),
            slots: 4,
            actors: pipelines.actors(),
        });
        let engine = engine.await.ok()?;
        let stop = CancellationToken::new();
        engine.start();
        pipelines.start(engine.clone(), stop.clone());
        let data = data.to_owned();
        Some(World { store, host, engine, pipelines, shelf: shelf.clone(), stop, data })
    }

    /// As a shutdown does it: nothing that runs is told to stop.
    async fn close(self) {
        self.stop.cancel();
        self.engine.drain().await;
    }

    /// Appends the fact of a push; answers where the journal was before it.
    async fn push(
        &self,
        project: &str,
        files: &[(&str, &str)],
        edit: impl Fn(&mut Pushed),
    ) -> (u64, String) {
        let files = files.iter().map(|(p, t)| ((*p).to_owned(), (*t).to_owned())).collect();
        let id = self.shelf.add(files);
        let mut pushed = Pushed {
            repository: name("web"),
            refname: "refs/heads/main".into(),
            branch: Some("main".into()),
            default_branch: true,
            before: None,
            after: Some(id.clone()),
            received: Time(0),
            head: Some(commit_of(&id, "Add cart")),
            commits: Vec::new(),
            options: Vec::new(),
        };
        edit(&mut pushed);
        let event = pushed.event(Principal::User(name("kim")), Text::plain("pushed")).unwrap();
        let event = event.project(&name(project)).change(change_name(&name("web"), &id));
        let head = self.store.head();
        // A simulated crash may come right here.
        let _ = self.store.write(move |tx| tx.append(event)).await;
        (head, id)
    }

    /// The first event after `seq` for which `find` has an answer.
    async fn wait<T>(&self, seq: u64, find: impl Fn(&Event) -> Option<T>) -> T {
        let mut feed = self.store.follow(seq);
        let found = async {
            loop {
                let event = feed.next().await.unwrap();
                if let Some(found) = find(&event) {
                    return found;
                }
            }
        };
        tokio::time::timeout(PATIENCE, found).await.expect("it comes in time")
    }

    async fn finished(&self, seq: u64, commit: &str) -> PipelineFinished {
        self.wait(seq, |e| PipelineFinished::of(e).filter(|f| f.commit == commit)).await
    }

    /// Pushes a pipeline file to main, and waits for its end.
    async fn pipeline(&self, project: &str, ci: &str) -> (PipelineFinished, Run) {
        let (seq, id) =
            self.push(project, &[(".gitlab-ci.yml", ci), ("README", "hello\n")], |_| ()).await;
        let end = self.finished(seq, &id).await;
        let run = end.run.clone().unwrap_or_else(|| panic!("no run: {:?}", end.reason));
        let run = self.engine.show(&run).await.unwrap();
        (end, run)
    }

    /// What one step printed: the text of each line.
    async fn log(&self, run: &Run, step: &str) -> String {
        let index = run.step(step).unwrap_or_else(|| panic!("no {step}")).index;
        let attempt = run.step(step).unwrap().attempt;
        let file = self.data.join(format!("runs/{}/{index}.{attempt}.log", run.id));
        let bytes = std::fs::read(file).unwrap_or_default();
        let (mut rest, mut out) = (bytes.as_slice(), String::new());
        while let Some((line, used)) = kernel::log::decode(rest) {
            out += &line.text;
            out.push('\n');
            rest = &rest[used..];
        }
        out
    }

    /// The content of a file that a step left.
    async fn left(&self, run: &Run, step: &str, path: &str) -> String {
        use tokio::io::AsyncReadExt;
        let found =
            self.pipelines.artifact(&run.project, run.id.as_str(), step, path, &reader()).await;
        let mut text = String::new();
        found.unwrap().1.read_to_string(&mut text).await.unwrap();
        text
    }
}

fn world_dir() -> tempfile::TempDir {
    // Beside the test program and not below /tmp, which every sandbox covers anyway: hiding the data
    // directory must be naru's own doing.
    let test = std::env::current_exe().unwrap();
    tempfile::tempdir_in(test.parent().unwrap()).unwrap()
}

async fn world() -> (tempfile::TempDir, World) {
    let dir = world_dir();
    let world = World::open(dir.path(), &Arc::default()).await;
    (dir, world)
}

fn state(run: &Run, step: &str) -> StepState {
    run.step(step).unwrap_or_else(|| panic!("no {step}")).state
}

#[tokio::test(flavor = "multi_thread")]
async fn artifacts_and_variables_go_from_job_to_job() {
    let (_dir, world) = world().await;
    let (end, run) = world
        .pipeline(
            "shop",
            "variables: {GREETING: 'hi from $CI_PROJECT_NAME'}
build:
  stage: build
  script:
    - mkdir -p out/deep && echo \"$GREETING\" > out/deep/a.txt
    - echo secret > out/b.tmp && ln -s /etc/passwd out/link
    - rm README && echo VERSION=1.2 > v.env
    - echo 'A=\"two words\"' >> v.env
  artifacts: {paths: [out/, README], exclude: ['out/*.tmp'], reports: {dotenv: v.env}}
check:
  stage: test
  script:
    - cat out/deep/a.txt; echo \"v=$VERSION a=$A\"
    - test ! -e out/b.tmp && test -e README
    - echo more > out/more.txt
  artifacts: {paths: [$CI_PROJECT_DIR/out/more.txt, README, ../x]}
alone: {stage: test, needs: [], script: [test ! -e out, 'echo \"v=$VERSION\"']}
",
        )
        .await;
    assert_eq!(end.verdict, Verdict::Passed, "{:?}", end.reason);
    let log = world.log(&run, "check").await;
    assert!(log.contains("hi from web\nv=1.2 a=two words\n"), "{log}");
    assert!(log.contains("$ cat out/deep/a.txt"), "{log}");
    assert!(world.log(&run, "alone").await.contains("v=\n"));
    let jobs: Vec<&str> = end.layers.iter().map(|l| l.job.as_str()).collect();
    assert_eq!(jobs, ["build", "check"]);
    assert_eq!(world.left(&run, "build", "out/deep/a.txt").await, "hi from web\n");
    assert_eq!(world.left(&run, "check", "README").await, "hello\n");
    let files = world.pipelines.artifacts(&run.project, run.id.as_str(), "build", &reader()).await;
    let files: Vec<String> = files.unwrap().unwrap().files.into_iter().map(|f| f.path).collect();
    assert_eq!(files, ["out/deep/a.txt", "out/link"], "what was deleted or excluded is not kept");
    let report = world.pipelines.report(&run.project, run.id.as_str()).await.unwrap().unwrap();
    let alone = report.jobs.iter().find(|j| j.job == "alone").unwrap();
    assert_eq!((alone.included, &*alone.because.en), (true, "it has no rules"));
    // A link that leads out is kept as a link, and nobody reads through it.
    world
        .pipelines
        .artifact(&run.project, run.id.as_str(), "build", "out/link", &reader())
        .await
        .unwrap_err();
    let other = world.pipelines.artifacts(&name("blog"), run.id.as_str(), "build", &reader()).await;
    assert_eq!(other.unwrap_err().code(), "run.unknown");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_sees_its_own_project_and_nothing_else() {
    let (dir, world) = world().await;
    let (end, _) = world.pipeline("blog", "a: {script: 'echo blog > ~/secret'}").await;
    assert_eq!(end.verdict, Verdict::Passed, "{:?}", end.reason);
    for project in ["blog", "shop"] {
        let git = dir.path().join(format!("git/{project}/web.git"));
        std::fs::create_dir_all(&git).unwrap();
        std::fs::write(git.join("HEAD"), "ref: refs/heads/main\n").unwrap();
    }
    let data = dir.path().display();
    let (end, run) = world
        .pipeline(
            "shop",
            &format!(
                "a:
  script:
    - echo \"home=$(ls -A ~ | wc -l)\"
    - echo \"root=$(echo $(ls -A /root))\"
    - test ! -e /root/.cargo/registry
    - test ! -e {data}/naru.db
    - test ! -e {data}/work/homes/blog
    - test ! -e {data}/git/blog
    - test -e {data}/git/shop/web.git/HEAD
    - '! touch {data}/git/shop/web.git/x 2>/dev/null'
    - '! touch /etc/naru-was-here 2>/dev/null'
    - '! touch /usr/naru-was-here 2>/dev/null'
    - echo \"processes=$(ls -d /proc/[0-9]* | wc -l)\"
    - env | sort
"
            ),
        )
        .await;
    let log = world.log(&run, "a").await;
    assert_eq!(end.verdict, Verdict::Passed, "{:?}\n{log}", end.reason);
    assert!(log.contains("home=0\n"), "{log}");
    let root = log.lines().find_map(|l| l.strip_prefix("root=")).unwrap();
    // The way to the project's own repository is there when the data lies below this home.
    let way = |name: &str| dir.path().starts_with(std::path::Path::new("/root").join(name));
    let tool = |name: &str| [".cargo", ".rustup", ".pyenv"].contains(&name);
    assert!(root.split(' ').all(|n| n.is_empty() || tool(n) || way(n)), "{log}");
    let count = log.lines().find_map(|l| l.strip_prefix("processes=")).unwrap();
    assert!(count.parse::<u32>().unwrap() < 10, "other processes are seen: {count}");
    assert!(!log.contains("CARGO_MANIFEST_DIR"), "the server's environment: {log}");
    assert!(
        log.contains(&format!(
            "CI_PIPELINE_URL=http://127.0.0.1:8080/projects/shop/runs/{}",
            run.id
        ))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_says_its_exit_code_and_stops_what_follows() {
    let (_dir, world) = world().await;
    let (end, run) = world
        .pipeline(
            "shop",
            "ok: {stage: build, script: 'true', allow_failure: true}
bad:
  stage: build
  script: [echo one, exit 42, echo never]
  after_script: ['echo \"after ${LOCAL:-nothing} $CI_JOB_STATUS\"']
  artifacts: {paths: [README], when: on_failure}
soft: {stage: build, script: exit 3, allow_failure: {exit_codes: 3}}
next: {stage: test, script: echo next}
rescue: {stage: test, script: echo rescue, when: on_failure}
always: {stage: deploy, script: echo always, when: always}
",
        )
        .await;
    assert_eq!(end.verdict, Verdict::Failed);
    let reason = end.reason.unwrap();
    assert!(reason.en.contains("bad failed: exited with code 42"), "{reason}");
    assert!(end.layers.is_empty(), "only passed jobs make layers");
    let states = ["ok", "bad", "soft", "next", "rescue", "always"].map(|s| state(&run, s));
    use StepState::*;
    assert_eq!(states, [Passed, Failed, AllowedFailure, Skipped, Passed, Passed]);
    let log = world.log(&run, "bad").await;
    assert!(log.contains("one\n$ exit 42\n") && !log.contains("never"), "{log}");
    assert!(log.contains("after nothing failed\n"), "{log}");
    assert_eq!(world.left(&run, "bad", "README").await, "hello\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn timeouts_retries_and_odd_output() {
    let (_dir, world) = world().await;
    let (end, run) = world
        .pipeline(
            "shop",
            "flaky:
  script: ['test -e ~/flag || { touch ~/flag; exit 1; }']
  retry: {max: 1, when: script_failure}
slow:
  timeout: 1s
  script: [\"trap '' TERM\", 'sleep 600 & sleep 600']
  after_script: [echo cleaned]
  retry: {max: 2, when: runner_system_failure}
  allow_failure: true
binary: {script: ['head -c 3000 /dev/urandom; printf \"\\000\\377\\n\"; echo end']}
loud: {script: [seq 700000]}
bare: {script: ['test ! -e README', pwd], variables: {GIT_STRATEGY: none}}
hungry:
  script: ['head -c 200000000 /dev/zero > big; sleep 600']
  timeout: 20s
  allow_failure: true
",
        )
        .await;
    assert_eq!(end.verdict, Verdict::Passed, "{:?}", end.reason);
    let flaky = run.step("flaky").unwrap();
    assert_eq!((flaky.state, flaky.attempt), (StepState::Passed, 2));
    let slow = run.step("slow").unwrap();
    assert_eq!((slow.state, slow.attempt), (StepState::AllowedFailure, 1));
    assert_eq!(slow.attempts[0].class.as_deref(), Some("job_execution_timeout"));
    assert!(world.log(&run, "slow").await.contains("cleaned\n"));
    assert!(world.log(&run, "binary").await.contains("end\n"));
    assert!(world.log(&run, "loud").await.len() < 2 << 20, "the log has an end");
    assert!(world.log(&run, "bare").await.contains("/builds/shop/web\n"));
    let hungry = run.step("hungry").unwrap().reason.clone().unwrap();
    assert!(hungry.en.contains("disk limit"), "{hungry}");
}

#[tokio::test(flavor = "multi_thread")]
async fn manual_jobs_wait_and_by_hand_runs_and_retries_are_pipelines_too() {
    let (_dir, world) = world().await;
    let ci = "a: {stage: build, script: 'echo x > x', artifacts: {paths: [x]}}
go: {stage: test, script: 'cat x; echo \"WHO=$WHO\"; test \"$WHO\" != nobody', when: manual, allow_failure: false}
";
    let given = |p: &mut Pushed| p.options = vec!["ci.variable=WHO=nobody".into()];
    let (seq, id) = world.push("shop", &[(".gitlab-ci.yml", ci)], given).await;
    let waiting = |e: &Event| {
        (e.fact.kind == "run.waiting").then(|| Id::parse(e.fact.data["run"].as_str()?))?
    };
    let run = world.wait(seq, waiting).await;
    world.engine.play(&run, "go", Principal::User(name("kim"))).await.unwrap();
    let end = world.finished(seq, &id).await;
    assert_eq!((end.verdict, end.run.as_ref()), (Verdict::Failed, Some(&run)));
    let again = world.engine.retry(&run, None, Principal::User(name("kim"))).await.unwrap();
    let announced = world.wait(seq, |e| PipelineCreated::of(e).filter(|c| c.run == again)).await;
    assert_eq!(announced.jobs, ["a", "go"]);
    world.wait(seq, |e| waiting(e).filter(|r| *r == again)).await;
    let kept = world.engine.show(&again).await.unwrap();
    assert!(kept.step("a").unwrap().copied);
    let ask = ByHand {
        repository: name("web"),
        refname: "main".into(),
        variables: [("WHO".to_owned(), "lee".to_owned())].into(),
        inputs: Default::default(),
    };
    let by_hand =
        world.pipelines.run(&name("shop"), ask, Principal::User(name("lee"))).await.unwrap();
    world.wait(seq, |e| waiting(e).filter(|r| *r == by_hand)).await;
    world.engine.play(&by_hand, "go", Principal::User(name("lee"))).await.unwrap();
    let mine = |e: &Event| PipelineFinished::of(e).filter(|f| f.run.as_ref() == Some(&by_hand));
    assert_eq!(world.wait(seq, mine).await.verdict, Verdict::Passed);
    let shown = world.engine.show(&by_hand).await.unwrap();
    assert!(world.log(&shown, "go").await.contains("x\nWHO=lee\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn caches_come_back_in_the_next_pipeline() {
    let (_dir, world) = world().await;
    let ci = "a:
  script: ['cat store/n 2>/dev/null || echo first', mkdir -p store, 'echo x >> store/n', 'ls']
  cache: {key: $CI_COMMIT_REF_SLUG, paths: [store/]}
b: {stage: deploy, script: ['test ! -e store', 'wc -l < ~/n', 'echo x >> ~/n']}
";
    let (_, first) = world.pipeline("shop", &ci.replace("'wc -l < ~/n', ", "")).await;
    assert!(world.log(&first, "a").await.contains("first\n"));
    let (end, second) = world.pipeline("shop", ci).await;
    assert_eq!(end.verdict, Verdict::Passed, "{:?}", end.reason);
    let log = world.log(&second, "a").await;
    assert!(log.contains("restored cache main") && log.contains("\nx\n"), "{log}");
    assert!(world.log(&second, "b").await.contains("\n1\n"), "the home is the project's");
    let (_, other) = world.pipeline("blog", ci).await;
    assert!(world.log(&other, "a").await.contains("first\n"), "caches are not shared");
}

#[tokio::test(flavor = "multi_thread")]
async fn pushes_without_a_run_still_end() {
    let (_dir, world) = world().await;
    let good = "a: {script: 'true'}";
    type Case<'a> = (&'a [(&'a str, &'a str)], &'a str, Verdict, &'a str);
    let cases: [Case<'_>; 5] = [
        (&[("README", "x")], "", Verdict::Passed, ""),
        (&[(".gitlab-ci.yml", "a:\n  scirpt: x\n")], "", Verdict::Failed, ".gitlab-ci.yml:2:3: "),
        (&[(".gitlab-ci.yml", "include: no.yml\n")], "", Verdict::Failed, "no file `no.yml`"),
        (&[(".gitlab-ci.yml", good)], "ci.skip", Verdict::Canceled, "ci.skip"),
        (&[(".gitlab-ci.yml", "a: {script: x, when: never}")], "", Verdict::Canceled, "no job"),
    ];
    for (files, option, verdict, words) in cases {
        let (seq, id) = world.push("shop", files, |p| p.options = vec![option.to_owned()]).await;
        let end = world.finished(seq, &id).await;
        let reason = end.reason.unwrap_or_default();
        assert_eq!((end.verdict, end.run), (verdict, None), "{reason}");
        assert!(reason.en.contains(words), "{reason}");
    }
    let skipped = |p: &mut Pushed| p.head.as_mut().unwrap().subject = "wip [skip ci]".into();
    let (seq, id) = world.push("shop", &[(".gitlab-ci.yml", good)], skipped).await;
    assert_eq!(world.finished(seq, &id).await.verdict, Verdict::Canceled);
    let in_the_body =
        |p: &mut Pushed| p.head.as_mut().unwrap().message = "wip\n\nNot yet.\n[CI skip]\n".into();
    let (seq, id) = world.push("shop", &[(".gitlab-ci.yml", good)], in_the_body).await;
    assert_eq!(world.finished(seq, &id).await.verdict, Verdict::Canceled);
    let deleted = |p: &mut Pushed| (p.after, p.head) = (None, None);
    world.push("shop", &[], deleted).await;
    let tag = |p: &mut Pushed| {
        p.refname = "refs/tags/v1".into();
        (p.branch, p.default_branch) = (None, false);
    };
    let ci = "a: {script: 'test \"$CI_COMMIT_TAG\" = v1', rules: [{if: $CI_COMMIT_TAG}]}";
    let (seq, id) = world.push("shop", &[(".gitlab-ci.yml", ci)], tag).await;
    let end = world.finished(seq, &id).await;
    assert_eq!((end.verdict, end.branch), (Verdict::Passed, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn keywords_without_effect_are_told_before_the_pipeline_and_coverage_is_reported() {
    let (_dir, world) = world().await;
    let mut ci = "unit:
  script: ['echo TOTAL 10%', 'echo TOTAL 87.5%; exit 1']
  coverage: '/total (.*)/i'
  tags: [linux]
"
    .to_owned();
    for n in 0..11 {
        ci += &format!("j{n}: {{script: 'true', tags: [linux]}}\n");
    }
    let (seq, id) = world.push("shop", &[(".gitlab-ci.yml", &ci)], |_| ()).await;
    let told = |e: &Event| match e.fact.kind.as_str() {
        "pipeline.warned" | "pipeline.created" => Some(e.clone()),
        _ => None,
    };
    let warned = world.wait(seq, told).await.fact;
    assert_eq!((&*warned.kind, warned.change), ("pipeline.warned", change_name(&name("web"), &id)));
    let lines: Vec<&str> = warned.say.en.lines().collect();
    assert!(
        lines[0].starts_with("warning: .gitlab-ci.yml:4:3: `tags` has no effect: "),
        "{lines:?}"
    );
    assert!(warned.say.ko.starts_with("경고: .gitlab-ci.yml:4:3: `tags`"), "{}", warned.say.ko);
    assert_eq!(lines.len(), 11);
    assert!(lines[10].starts_with("warning: and 2 more"), "{lines:?}");
    assert_eq!(warned.data["warnings"].as_array().unwrap().len(), 12);
    let run = world.finished(seq, &id).await.run.unwrap();
    let report = world.pipelines.report(&name("shop"), run.as_str()).await.unwrap().unwrap();
    assert_eq!(report.warnings.len(), 12);
    let coverage: Vec<_> = report.coverage.into_iter().collect();
    assert_eq!(coverage, [("unit".to_owned(), 87.5)], "also of a job that failed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manual_job_played_after_the_end_ends_the_pipeline_again_with_what_it_came_to() {
    let (_dir, world) = world().await;
    let ci = "a: {script: 'echo x > x', artifacts: {paths: [x]}}
more: {script: 'echo y > y', artifacts: {paths: [y]}, when: manual}
bad: {script: exit 1, when: manual}
";
    let (first, run) = world.pipeline("shop", ci).await;
    let jobs = |f: &PipelineFinished| f.layers.iter().map(|l| l.job.clone()).collect::<Vec<_>>();
    assert_eq!((first.verdict, jobs(&first)), (Verdict::Passed, vec!["a".to_owned()]));
    let seq = world.store.head();
    world.engine.play(&run.id, "more", Principal::User(name("kim"))).await.unwrap();
    let second = world.finished(seq, &first.commit).await;
    assert_eq!((second.verdict, second.run.as_ref()), (Verdict::Passed, Some(&run.id)));
    assert_eq!(jobs(&second), ["a", "more"]);
    assert_eq!(second.layers[0], first.layers[0]);
    let seq = world.store.head();
    world.engine.play(&run.id, "bad", Principal::User(name("kim"))).await.unwrap();
    let third = world.finished(seq, &first.commit).await;
    assert_eq!((third.verdict, &third.layers), (Verdict::Passed, &second.layers), "it may fail");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forgotten_run_leaves_nothing_and_takes_nothing_from_its_retry() {
    let (_dir, world) = world().await;
    let ci = "a: {script: 'echo x > x', artifacts: {paths: [x]}}
b: {stage: deploy, script: 'test -e ~/go || { touch ~/go; exit 1; }; echo $CI_PIPELINE_IID', needs: [a]}
";
    let (end, run) = world.pipeline("shop", ci).await;
    assert_eq!(end.verdict, Verdict::Failed);
    let seq = world.store.head();
    let kim = Principal::User(name("kim"));
    let retry = world.engine.retry(&run.id, Some("b"), kim).await.unwrap();
    assert_eq!(world.finished(seq, &end.commit).await.run.as_ref(), Some(&retry));
    world.pipelines.forget(&run.id).await.unwrap();
    world.engine.forget(&run.id).await.unwrap();
    world.pipelines.forget(&run.id).await.expect("again, as after a crash");
    let again = world.engine.show(&retry).await.unwrap();
    assert_eq!(again.state, run::RunState::Passed);
    world.pipelines.0.blobs.collect().await.unwrap();
    assert_eq!(world.left(&again, "a", "x").await, "x\n");
    let shop = name("shop");
    let report = world.pipelines.report(&shop, retry.as_str()).await.unwrap();
    assert_eq!(report.unwrap().jobs.len(), 2);
    let third = world.engine.retry(&retry, Some("b"), Principal::User(name("kim"))).await.unwrap();
    let end = world.wait(world.store.head(), |e| {
        PipelineFinished::of(e).filter(|f| f.run.as_ref() == Some(&third))
    });
    assert_eq!(end.await.verdict, Verdict::Passed, "its variables are still there");
    // What is the newest of its branch is kept for other pipelines, until something newer is there.
    let ci = "a: {script: 'echo y > x', artifacts: {paths: [x]}}";
    let (_, newer) = world.pipeline("shop", ci).await;
    for id in [&retry, &third, &newer.id] {
        world.pipelines.forget(id).await.unwrap();
    }
    world.pipelines.0.blobs.collect().await.unwrap();
    let left = world.pipelines.artifacts(&shop, retry.as_str(), "a", &reader()).await;
    assert_eq!(left.unwrap_err().code(), "artifacts.gone");
    assert_eq!(world.pipelines.report(&shop, retry.as_str()).await.unwrap(), None);
    for space in
        ["delivery-pipeline.shared", "delivery-pipeline.shared-by", "delivery-pipeline.report"]
    {
        let rows = world.store.read(move |v| v.rows::<serde_json::Value>(space, "", None, 10));
        assert_eq!(rows.await.unwrap(), [], "{space}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_is_alive_is_not_forgotten_and_a_fork_bomb_ends_in_time() {
    let (_dir, world) = world().await;
    let ci = "bomb: {timeout: 3 seconds, script: ['b() { b | b & }; b; sleep 600']}";
    let (seq, id) = world.push("shop", &[(".gitlab-ci.yml", ci)], |_| ()).await;
    let started = |e: &Event| {
        let ours = e.fact.kind == "run.step.started";
        ours.then(|| Id::parse(e.fact.data["run"].as_str()?))?
    };
    let run = world.wait(seq, started).await;
    let busy = world.pipelines.forget(&run).await.unwrap_err();
    assert_eq!(busy.code(), "run.unfinished");
    assert_eq!(world.finished(seq, &id).await.verdict, Verdict::Failed);
    let run = world.engine.show(&run).await.unwrap();
    let bomb = run.step("bomb").unwrap();
    let took = bomb.finished.unwrap().since(bomb.started.unwrap());
    assert!(took < Duration::from_secs(8), "it took {took:?} to be rid of it");
    assert_eq!(bomb.attempts[0].class.as_deref(), Some("job_execution_timeout"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_push_overtakes_what_may_be_interrupted() {
    let (_dir, world) = world().await;
    let slow = "default: {interruptible: true}\na: {script: sleep 600}\n";
    let (seq, first) = world.push("shop", &[(".gitlab-ci.yml", slow)], |_| ()).await;
    let started = |e: &Event| (e.fact.kind == "run.step.started").then_some(());
    world.wait(seq, started).await;
    let (_, second) =
        world.push("shop", &[(".gitlab-ci.yml", "a: {script: 'true'}")], |_| ()).await;
    let old = world.finished(seq, &first).await;
    assert_eq!(old.verdict, Verdict::Canceled);
    assert!(old.reason.unwrap().en.contains("newer push"));
    assert_eq!(world.finished(seq, &second).await.verdict, Verdict::Passed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_outlives_the_server_and_its_result_counts_once() {
    let dir = world_dir();
    let shelf: Arc<Shelf> = Arc::default();
    let world = World::open(dir.path(), &shelf).await;
    let ci = "a:
  script:
    - echo started >> ~/starts
    - mkfifo ~/gate && read line < ~/gate
    - cp ~/starts starts
  artifacts: {paths: [starts]}
b: {stage: deploy, script: cat starts}
";
    let (seq, id) = world.push("shop", &[(".gitlab-ci.yml", ci)], |_| ()).await;
    let gate = dir.path().join("work/homes/shop/gate");
    appears(&gate).await;
    world.close().await;

    let world = World::open(dir.path(), &shelf).await;
    tokio::task::spawn_blocking(move || std::fs::write(gate, "go\n").unwrap()).await.unwrap();
    let end = world.finished(seq, &id).await;
    assert_eq!(end.verdict, Verdict::Passed, "{:?}", end.reason);
    let run = world.engine.show(&end.run.unwrap()).await.unwrap();
    assert_eq!(run.step("a").unwrap().attempt, 1);
    assert_eq!(world.left(&run, "a", "starts").await, "started\n", "it was started once");
    // Nothing is left behind: neither the places nor the workloads.
    let jobs = dir.path().join("work/jobs");
    gone(|| std::fs::read_dir(&jobs).unwrap().count() == 0 && world.host.all().is_empty()).await;
    let pushes = |e: &Event| (e.fact.kind == "pipeline.created").then_some(());
    world.wait(seq, pushes).await;
    let all = world.store.read(|v| v.events(0, 100, &of("pipeline.")));
    let kinds: Vec<String> = all.await.unwrap().into_iter().map(|e| e.fact.kind).collect();
    assert_eq!(kinds, ["pipeline.created", "pipeline.finished"]);
}

/// Whatever commit the server dies at, the push has one pipeline, and its job's result counts once.
#[tokio::test(flavor = "multi_thread")]
async fn a_crash_at_any_commit_makes_neither_none_nor_two() {
    let ci = "a: {script: 'echo x >> ~/runs; cp ~/runs .', artifacts: {paths: [runs]}}";
    let lives = (1..=9).flat_map(|at| [(at, Moment::Before), (at, Moment::After)]);
    for (at, moment) in lives {
        let (dir, shelf) = (world_dir(), Arc::<Shelf>::default());
        let chaos = Arc::new(Chaos::new(at + 1, moment));
        // The first commit of a life is the engine's own.
        if let Some(world) = World::with(dir.path(), &shelf, Some(chaos.clone())).await {
            let (seq, id) = world.push("shop", &[(".gitlab-ci.yml", ci)], |_| ()).await;
            tokio::select! {
                _ = world.finished(seq, &id) => {}
                () = gone(|| chaos.crashed()) => {}
            }
            world.close().await;
        }
        let world = World::open(dir.path(), &shelf).await;
        let pushed = world.store.read(|v| v.events(0, 100, &of("git."))).await.unwrap();
        let Some(seq) = pushed.first().map(|e| e.seq) else { continue };
        let end = world.finished(seq, &format!("{:040x}", 1)).await;
        assert_eq!(end.verdict, Verdict::Passed, "commit {at} {moment:?}: {:?}", end.reason);
        let run = world.engine.show(&end.run.unwrap()).await.unwrap();
        assert_eq!(world.left(&run, "a", "runs").await, "x\n", "commit {at} {moment:?}");
        let events = world.store.read(|v| v.events(0, 100, &of("pipeline."))).await.unwrap();
        let kinds: Vec<&str> = events.iter().map(|e| e.fact.kind.as_str()).collect();
        assert_eq!(kinds, ["pipeline.created", "pipeline.finished"], "commit {at} {moment:?}");
        world.close().await;
    }
}

fn of(kind: &str) -> store::Filter {
    store::Filter { kind: Some(kind.to_owned()), ..Default::default() }
}

/// Waits for something outside of the journal, with a limit.
async fn gone(over: impl Fn() -> bool) {
    let look = async {
        while !over() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, look).await.expect("it goes in time");
}

async fn appears(path: &Path) {
    gone(|| path.exists()).await;
}

#[test]
fn push_options_are_variables_given_by_hand() {
    let options = ["ci.variable=A=b=c", "ci.variable=1=x", "other"].map(str::to_owned);
    assert_eq!(crate::sync::given(&options), [Variable::literal("A", "b=c")]);
}

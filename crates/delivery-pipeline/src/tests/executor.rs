//! Single jobs, given as the actor gets them: whatever file they came from.

use super::*;
use crate::work::{self, Output, Reports, Shared, Site, TagRelease, Work};
use kernel::journey::{EnvironmentAction, Tier};
use run::{Action, NewRun, Plan, Step};

/// A job of these commands.
fn work(script: &[&str]) -> Work {
    Work { script: script.iter().map(|c| (*c).to_owned()).collect(), ..nothing() }
}

/// What a plan holds at the least.
fn nothing() -> Work {
    let json = serde_json::json!({
        "repository": "web", "commit": "", "shared": "shared", "dir": "/builds/shop/web",
        "script": [], "interruptible": false,
    });
    serde_json::from_value(json).unwrap()
}

fn step(name: &str, work: &Work) -> Step {
    Step {
        name: name.to_owned(),
        interruptible: false,
        action: Action { uses: work::USES.into(), with: serde_json::to_value(work).unwrap() },
        ..serde_json::from_value(serde_json::json!({"name": "", "action": {"uses": ""}})).unwrap()
    }
}

impl World {
    /// Runs these steps in a commit of these files, and waits for the end.
    async fn perform(&self, files: &[(&str, &str)], jobs: &[(&str, Work)]) -> Run {
        self.perform_in("shop", files, jobs).await
    }

    async fn perform_in(
        &self,
        project: &str,
        files: &[(&str, &str)],
        jobs: &[(&str, Work)],
    ) -> Run {
        let run = self.begin(project, files, jobs).await;
        self.end_of(&run).await
    }

    async fn begin(&self, project: &str, files: &[(&str, &str)], jobs: &[(&str, Work)]) -> Id {
        let files = files.iter().map(|(p, t)| ((*p).to_owned(), (*t).to_owned())).collect();
        let commit = self.shelf.add(files);
        let mut steps: Vec<Step> = Vec::new();
        for (name, work) in jobs {
            let mut step = step(name, &Work { commit: commit.clone(), ..work.clone() });
            step.needs = steps
                .last()
                .map(|last| run::Need { step: last.name.clone(), outputs: true })
                .into_iter()
                .collect();
            steps.push(step);
        }
        let new = NewRun {
            kind: "try".into(),
            project: name(project),
            change: None,
            title: Text::plain("try"),
            plan: Plan { steps, ..Plan::default() },
            actor: Principal::User(name("kim")),
            labels: Default::default(),
            subject: None,
            priority: 0,
        };
        let shared = Shared::default();
        self.store.write(move |tx| tx.set_row(crate::SHARED, "shared", &shared)).await.unwrap();
        self.engine.create(new).await.unwrap()
    }

    async fn end_of(&self, run: &Id) -> Run {
        let over = |e: &Event| {
            (e.fact.kind == "run.finished" && e.fact.data["run"] == run.as_str()).then_some(())
        };
        self.wait(0, over).await;
        self.engine.show(run).await.unwrap()
    }

    async fn blob(&self, hash: &str) -> String {
        let bytes = self.pipelines.0.blobs.get(hash, 1 << 20).await.unwrap();
        String::from_utf8(bytes).unwrap()
    }
}

fn output(run: &Run, step: &str) -> Output {
    let step = run.step(step).unwrap_or_else(|| panic!("no {step}"));
    serde_json::from_value(step.output.clone()).unwrap_or_else(|e| panic!("{e}: {}", step.output))
}

#[tokio::test(flavor = "multi_thread")]
async fn reports_are_kept_of_a_job_that_failed_and_what_cannot_be_read_is_said() {
    let (_dir, world) = world().await;
    let work = Work {
        reports: vec![
            Reports { format: "junit".into(), paths: vec!["out/*.xml".into()] },
            Reports { format: "sarif".into(), paths: vec!["none.sarif".into()] },
        ],
        ..work(&[
            "mkdir out && echo '<a/>' > out/a.xml && ln -s /etc/passwd out/b.xml",
            "truncate -s 65M out/big.xml; i=0; while [ $i -lt 3000 ]; do i=$((i+1)); done",
            "exit 3",
        ])
    };
    let run = world.perform(&[("README", "")], &[("test", work)]).await;
    let output = output(&run, "test");
    let files: Vec<_> = output.reports.iter().map(|f| (f.format.as_str(), &*f.path)).collect();
    assert_eq!(files, [("junit", "out/a.xml")]);
    assert_eq!(world.blob(&output.reports[0].blob).await, "<a/>\n");
    assert_eq!(output.reports[0].size, 5);
    assert!(output.cpu_ms.is_some_and(|ms| ms < 60_000), "{:?}", output.cpu_ms);
    let log = world.log(&run, "test").await;
    assert!(log.contains("1 files over 64 MiB, 1 links"), "{log}");
    assert!(log.contains("no files match the sarif report none.sarif"), "{log}");
    // The run holds them.
    world.pipelines.0.blobs.collect().await.unwrap();
    assert_eq!(world.blob(&output.reports[0].blob).await, "<a/>\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_reports_are_cut_with_a_word() {
    let (_dir, world) = world().await;
    let work = Work {
        reports: vec![Reports { format: "junit".into(), paths: vec!["*.xml".into()] }],
        ..work(&["for i in $(seq 1200); do echo $i > $i.xml; done"])
    };
    let run = world.perform(&[], &[("test", work)]).await;
    let kept = output(&run, "test").reports.len();
    assert!((200..=1_000).contains(&kept), "{kept}");
    let log = world.log(&run, "test").await;
    assert!(log.contains(&format!("{} report files are left out", 1_200 - kept)), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_passed_publishes_its_site_its_tag_and_its_environment() {
    let (_dir, world) = world().await;
    let work = Work {
        site: Some(Site { dir: "public".into(), prefix: String::new(), expire_ms: None }),
        tag: Some(TagRelease {
            tag: "v$VERSION".into(),
            message: None,
            name: Some("Release $VERSION".into()),
            description: "What was".into(),
            description_file: Some("./CHANGES.md".into()),
            target: None,
            released_at: None,
            links: vec![("page".into(), "https://example.com/$VERSION".into())],
        }),
        environment: Some(work::Environment {
            name: "review/$VERSION".into(),
            url: Some("https://$VERSION.example.com".into()),
            action: EnvironmentAction::Start,
            on_stop: Some("stop".into()),
            auto_stop_ms: Some(60_000),
            tier: Some(Tier::Testing),
        }),
        dotenv: vec!["v.env".into()],
        ..work(&[
            "mkdir -p public/css && echo hi > public/index.html && echo x > public/css/a.css",
            "echo VERSION=1.2 > v.env",
        ])
    };
    let run = world.perform(&[("CHANGES.md", "What is new\n")], &[("pages", work)]).await;
    let output = output(&run, "pages");
    let site = world.pipelines.0.blobs.tree(output.site.as_deref().unwrap()).await.unwrap();
    let paths: Vec<&str> = site.entries.iter().map(|e| e.path.as_str()).collect();
    assert_eq!(paths, ["css/a.css", "index.html"]);
    let tag = output.tag.unwrap();
    assert_eq!((tag.tag.as_str(), tag.name.as_deref()), ("v1.2", Some("Release 1.2")));
    assert_eq!(tag.description, "What is new\n");
    assert_eq!(tag.links, [("page".into(), "https://example.com/1.2".into())]);
    let environment = output.environment.unwrap();
    assert_eq!(environment.name, "review/1.2");
    assert_eq!(environment.url.as_deref(), Some("https://1.2.example.com"));
    assert_eq!(
        (environment.on_stop.as_deref(), environment.tier),
        (Some("stop"), Some(Tier::Testing))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_site_without_files_fails_its_job() {
    let (_dir, world) = world().await;
    let site = Some(Site { dir: "public".into(), prefix: String::new(), expire_ms: None });
    let run = world.perform(&[], &[("pages", Work { site, ..work(&["true"]) })]).await;
    assert_eq!(state(&run, "pages"), StepState::Failed);
    let reason = run.step("pages").unwrap().reason.clone().unwrap();
    assert!(reason.en.contains("no files in public"), "{reason:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_reach_neither_the_log_nor_the_sentence_nor_what_is_shown() {
    let (_dir, world) = world().await;
    let secret =
        |name: &str, value: &str| Variable { masked: true, ..Variable::literal(name, value) };
    let work = Work {
        variables: vec![
            secret("TOKEN", "s3cr3t-t0ken"),
            Variable { file: true, ..secret("KEY", "first line of it\nsecond line of it\n") },
            secret("PIN", "12"),
            Variable::new("URL", "https://u:$TOKEN@example.com"),
            Variable::new("WHERE", "$KEY"),
        ],
        environment: Some(work::Environment {
            name: "review".into(),
            url: Some("https://example.com/$TOKEN".into()),
            ..work::Environment::default()
        }),
        ..work(&[
            "set -x; echo \"$TOKEN\"; set +x",
            "printf s3cr; sleep 0.2; printf '3t-t0ken\\n'",
            "printf %s \"$TOKEN\" | base64; printf 'a:%s' \"$TOKEN\" | base64",
            "cat \"$KEY\"; stat -c '%a %n' \"$KEY\"; test \"$WHERE\" = \"$KEY\"",
            "echo $URL; echo pin $PIN; cat /proc/*/cmdline | tr '\\0' ' '",
            "echo \"bad token $TOKEN\" >&2; false",
        ])
    };
    let run = world.perform(&[], &[("leak", work)]).await;
    let log = world.log(&run, "leak").await;
    let encoded = ["czNjcjN0LXQwa2Vu", "zM2NyM3QtdDBrZW4"];
    for leak in ["s3cr3t-t0ken", "line of it", encoded[0], encoded[1]] {
        assert!(!log.contains(leak), "{leak} in {log}");
    }
    for shown in
        ["400 /run/secrets/KEY", "https://u:[MASKED]@example.com", "pin 12", "PIN has fewer"]
    {
        assert!(log.contains(shown), "no {shown} in {log}");
    }
    let reason = run.step("leak").unwrap().reason.clone().unwrap();
    assert!(reason.en.contains("bad token [MASKED]"), "{reason:?}");
    let url = output(&run, "leak").environment.unwrap().url;
    assert_eq!(url.as_deref(), Some("https://example.com/[MASKED]"));
}

fn service(image: &str) -> work::Service {
    work::Service { image: image.into(), ..work::Service::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_is_found_by_its_names_and_ends_with_its_job() {
    let (_dir, world) = world().await;
    let web = |dir: &str| work::Service {
        aliases: vec![format!("web-{dir}")],
        entrypoint: Some(vec!["python3".into()]),
        command: Some(vec!["-c".into(), SERVER.into()]),
        variables: vec![Variable::new("WORD", format!("$GREETING {dir}"))],
        ..service("example.com/team/web:1")
    };
    let work = Work {
        variables: vec![Variable::new("GREETING", "hello")],
        services: vec![web("one"), web("two")],
        after_script: vec!["curl -s http://web-two:8000/after".into()],
        ..work(&[
            "curl -sf http://web-one:8000/; curl -sf http://example.com-team-web:8000/",
            "curl -sf http://web-two:8000/; getent hosts web-one > address",
        ])
    };
    let run = world.perform(&[], &[("test", work)]).await;
    let log = world.log(&run, "test").await;
    assert_eq!(state(&run, "test"), StepState::Passed, "{log}");
    for words in ["<hello one>", "<hello two>", "web-two | asked for /after", "is ready at 127."] {
        assert!(log.contains(words), "no {words} in {log}");
    }
    assert!(world.host.all().iter().all(|w| w.exit().is_some()), "nothing runs on");
}

/// Answers everything with `$WORD`.
const SERVER: &str = "import os, http.server as h
class H(h.BaseHTTPRequestHandler):
    def do_GET(s):
        s.send_response(200); s.end_headers(); s.wfile.write(f\"<{os.environ['WORD']}>\\n\".encode())
    def log_message(s, *a): print('asked for', s.path, flush=True)
h.HTTPServer((os.environ['NARU_SERVICE_ADDRESS'], 8000), H).serve_forever()";

#[tokio::test(flavor = "multi_thread")]
async fn redis_stands_in_for_its_image() {
    let (_dir, world) = world().await;
    let ping = "import socket; s = socket.create_connection(('cache', 6379)); s.sendall(b'SET a b\\r\\nGET a\\r\\n'); \
                f = s.makefile('rb'); print([f.readline() for _ in range(3)])";
    let cache = work::Service { aliases: vec!["cache".into()], ..service("redis:7-alpine") };
    let work = Work { services: vec![cache], ..work(&[&format!("python3 -c \"{ping}\"")]) };
    let run = world.perform(&[], &[("test", work)]).await;
    let log = world.log(&run, "test").await;
    assert!(log.contains("[b'+OK\\r\\n', b'$1\\r\\n', b'b\\r\\n']"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_is_not_here_fails_the_job_with_what_is_missing() {
    let (_dir, world) = world().await;
    let not_here = Variable::literal("PATH", "/nonesuch");
    let run = world
        .perform(&[], &[("a", Work { services: vec![service("docker:dind")], ..work(&["true"]) })])
        .await;
    let reason = run.step("a").unwrap().reason.clone().unwrap();
    assert!(reason.en.contains("service docker:dind"), "{reason:?}");
    let work = Work { services: vec![service("redis")], variables: vec![not_here], ..work(&[]) };
    let run = world.perform(&[], &[("a", work)]).await;
    let reason = run.step("a").unwrap().reason.clone().unwrap();
    assert!(reason.en.contains("redis-server"), "{reason:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_canceled_job_takes_its_services_along() {
    let (_dir, world) = world().await;
    let idle = work::Service {
        entrypoint: Some(["python3", "-m", "http.server", "8123"].map(str::to_owned).to_vec()),
        ..service("idle")
    };
    let fifo = "echo ready > up; sleep 1000";
    let work = Work { services: vec![idle], ..work(&[fifo]) };
    let run = world.begin("shop", &[], &[("a", work)]).await;
    let running = |e: &Event| (e.fact.kind == "run.step.started").then_some(());
    world.wait(0, running).await;
    let step = format!("{run}-0-1-service-0");
    gone(|| world.host.find(&step).is_some()).await;
    world.engine.cancel(&run, Principal::User(name("kim")), Text::plain("enough")).await.unwrap();
    let run = world.end_of(&run).await;
    assert_eq!(state(&run, "a"), StepState::Canceled);
    assert!(world.host.all().iter().all(|w| w.exit().is_some()), "nothing runs on");
}

#[tokio::test(flavor = "multi_thread")]
async fn caches_and_artifacts_lie_under_the_files_and_only_what_changed_is_kept_anew() {
    let (dir, world) = world().await;
    let cache = work::Cache {
        key: "deps".into(),
        paths: vec!["deps/".into()],
        pull: true,
        push: true,
        ..work::Cache::default()
    };
    let artifacts = work::Artifacts { paths: vec!["out/".into()], ..work::Artifacts::default() };
    let job = |script: &[&str]| Work {
        caches: vec![cache.clone()],
        artifacts: Some(artifacts.clone()),
        ..work(script)
    };
    let files = [("README", "hello\n"), ("deps/own", "mine\n")];
    let run = world
        .perform(&files, &[
            ("first", job(&["mkdir -p deps/a out; echo 1 > deps/a/one; echo 2 > deps/two; echo x > out/x"])),
            ("second", job(&["cat deps/a/one deps/two deps/own out/x", "rm -r deps/a out; echo 3 > deps/two"])),
            ("third", job(&["test ! -e deps/a && cat deps/two deps/own; test ! -e out"])),
        ])
        .await;
    let log = world.log(&run, "second").await;
    assert!(log.contains("restored cache deps, 9 bytes"), "{log}");
    assert!(log.contains("\n1\n2\nmine\nx\n"), "{log}");
    assert!(output(&run, "second").artifacts.is_none(), "what a job removed it does not leave");
    let log = world.log(&run, "third").await;
    assert!(log.contains("\n3\nmine\n"), "{log}");
    let layers = std::fs::read_dir(dir.path().join("work/layers")).unwrap().flatten();
    let layers = layers.filter(|e| e.path().is_dir()).count();
    assert!(layers >= 2, "each tree lies unpacked once: {layers}");
    let caches = world.pipelines.caches(&name("shop")).await.unwrap();
    assert_eq!((caches.len(), caches[0].key.as_str(), caches[0].hits), (1, "deps", 2));
    world.pipelines.delete_cache(&name("shop"), "deps").await.unwrap();
    assert!(world.pipelines.caches(&name("shop")).await.unwrap().is_empty());
    let again = world.pipelines.delete_cache(&name("shop"), "deps").await.unwrap_err();
    assert_eq!(again.code(), "cache.unknown");
}

#[tokio::test(flavor = "multi_thread")]
async fn artifacts_of_another_project_lie_under_a_jobs_files() {
    let (_dir, world) = world().await;
    flow::project(&world, "lib", &["kim"]).await;
    flow::project(&world, "closed", &["lee"]).await;
    let ci = |word: &str| {
        format!("build: {{script: 'mkdir out; echo {word} > out/a', artifacts: {{paths: [out/]}}}}")
    };
    world.pipeline("lib", &ci("old")).await;
    world.pipeline("lib", &ci("new")).await;
    world.pipeline("closed", &ci("secret")).await;
    let fetching = |path: &str, job: &str| Work {
        variables: vec![Variable::literal("BRANCH", "main")],
        fetch: vec![work::Fetch::Newest {
            path: path.into(),
            refname: "$BRANCH".into(),
            job: job.into(),
        }],
        ..work(&["cat out/a README"])
    };
    let files = [("README", "mine\n")];
    let run = world.perform(&files, &[("a", fetching("lib/web", "build"))]).await;
    let log = world.log(&run, "a").await;
    assert!(log.contains("\nnew\nmine\n") && log.contains("of lib"), "{log}");
    for (path, job) in [("lib/web", "test"), ("closed/web", "build"), ("none/web", "build")] {
        let run = world.perform(&files, &[("a", fetching(path, job))]).await;
        assert_eq!(state(&run, "a"), StepState::Failed);
        let reason = run.step("a").unwrap().reason.clone().unwrap();
        let want = format!("no artifacts of “{job}” in {path} main");
        assert!(reason.en.contains(&want), "{reason:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn untracked_files_are_those_that_the_commit_does_not_have() {
    let (_dir, world) = world().await;
    let artifacts = work::Artifacts {
        paths: vec!["README".into()],
        exclude: vec!["*.o".into()],
        untracked: true,
        ..work::Artifacts::default()
    };
    let cache =
        work::Cache { key: "all".into(), untracked: true, push: true, ..Default::default() };
    let job = Work {
        artifacts: Some(artifacts),
        caches: vec![cache],
        ..work(&["mkdir -p src/gen; echo x > src/gen/x; echo changed > src/own; touch a.o"])
    };
    let files = [("README", "hello\n"), ("src/own", "mine\n")];
    let run = world.perform(&files, &[("a", job)]).await;
    let kept =
        world.pipelines.artifacts(&run.project, run.id.as_str(), "a", &super::reader()).await;
    let kept: Vec<String> = kept.unwrap().unwrap().files.into_iter().map(|f| f.path).collect();
    assert_eq!(kept, ["README", "src/gen/x"]);
    let cached = work::Cache { key: "all".into(), pull: true, ..Default::default() };
    let look = Work { caches: vec![cached], ..work(&["cat src/gen/x src/own; test -e a.o"]) };
    let run = world.perform(&files, &[("b", look)]).await;
    let log = world.log(&run, "b").await;
    assert!(log.contains("\nx\nmine\n"), "{log}");
    assert_eq!(state(&run, "b"), StepState::Passed, "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_before_the_files_come_first_and_may_fail_the_job() {
    let (_dir, world) = world().await;
    let before = |words: &str| Work {
        checkout: work::Checkout { before: vec![words.into()], ..Default::default() },
        ..work(&["echo second $A"])
    };
    let run = world.perform(&[], &[("a", before("A=1; echo first"))]).await;
    let log = world.log(&run, "a").await;
    assert!(log.contains("\nfirst\n$ echo second $A\nsecond\n"), "{log}");
    let run = world.perform(&[], &[("a", before("exit 7"))]).await;
    assert_eq!(run.step("a").unwrap().exit_code, Some(7));
    assert!(!world.log(&run, "a").await.contains("second"));
}

#[tokio::test(flavor = "multi_thread")]
async fn artifacts_are_read_by_whom_the_file_lets() {
    let (_dir, world) = world().await;
    let (end, run) = world
        .pipeline(
            "shop",
            "all: {script: 'echo x > f', artifacts: {paths: [f]}}
some: {script: 'echo x > f', artifacts: {paths: [f], access: developer}}
few: {script: 'echo x > f', artifacts: {paths: [f], access: maintainer}}
none: {script: 'echo x > f', artifacts: {paths: [f], access: none}}
",
        )
        .await;
    assert_eq!(end.verdict, Verdict::Passed, "{:?}", end.reason);
    let user = |words: &str| Principal::User(name(words));
    let members = [("vee", "viewer"), ("dee", "developer"), ("mia", "maintainer")]
        .map(|(user, role)| serde_json::json!({ "user": user, "role": role }));
    let put = store::Put {
        key: kernel::Key::global::<policy::Project>(&name("shop")),
        labels: Default::default(),
        spec: serde_json::json!({ "members": members }),
        expected: None,
        actor: Principal::part("test"),
    };
    let puts = super::flow::people(&["vee", "dee", "mia"]).into_iter().chain([put]);
    let write =
        move |tx: &mut store::Tx<'_>| puts.into_iter().try_for_each(|p| tx.put(p).map(drop));
    world.store.write(write).await.unwrap();
    let (run, pipelines) = (&run, &world.pipelines);
    let read = async |who: &str, step: &str| {
        let who = user(who);
        let kept = pipelines.artifacts(&run.project, run.id.as_str(), step, &who).await;
        let file = pipelines.artifact(&run.project, run.id.as_str(), step, "f", &who).await;
        assert_eq!(kept.is_ok(), file.is_ok(), "{step}");
        kept.map(|kept| kept.is_some()).map_err(|e| e.code())
    };
    for (step, vee, dee, mia) in [
        ("all", Ok(true), Ok(true), Ok(true)),
        ("some", Err("auth.denied"), Ok(true), Ok(true)),
        ("few", Err("auth.denied"), Err("auth.denied"), Ok(true)),
        ("none", Err("artifacts.closed"), Err("artifacts.closed"), Err("artifacts.closed")),
    ] {
        let seen = [read("vee", step).await, read("dee", step).await, read("mia", step).await];
        assert_eq!(seen, [vee, dee, mia], "{step}");
    }
}

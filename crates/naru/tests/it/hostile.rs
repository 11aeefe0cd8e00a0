//! Bad input and bad days: each gets a clear error and harms nobody else.

use crate::{EXE, WEB, files, last, service, shop, under_load};
use std::io::Write;
use std::net::TcpStream;
use testkit::{Naru, raw_answer};

/// Pushes a pipeline file to a repository of its own and returns what the push showed, to its end.
fn pipeline(naru: &Naru, repository: &str, words: &str) -> String {
    let repository = repository.to_lowercase().replace(' ', "-");
    let work = naru.repository("shop", &repository, &[(".gitlab-ci.yml", words)]).unwrap();
    work.follow().unwrap()
}

#[test]
fn pipeline_files_that_cannot_be_read_say_where_and_why() {
    let naru = shop();
    let bomb = format!(
        "a: &a [x,x,x,x,x,x,x,x,x,x]\n{}z:\n  script: *e\n",
        [("b", "a"), ("c", "b"), ("d", "c"), ("e", "d")]
            .map(|(n, of)| format!(
                "{n}: &{n} [*{of},*{of},*{of},*{of},*{of},*{of},*{of},*{of},*{of},*{of}]\n"
            ))
            .concat()
    );
    let many = format!(
        "stages: [s]\n{}",
        (0..60)
            .map(|n| format!("j{n}:\n  stage: s\n  parallel: 200\n  script: 'true'\n"))
            .collect::<String>()
    );
    for (name, words, want) in [
        (
            "cycle",
            "a:\n  script: 'true'\n  needs: [b]\nb:\n  script: 'true'\n  needs: [a]\n".to_owned(),
            ".gitlab-ci.yml:",
        ),
        ("bomb", bomb, ".gitlab-ci.yml:"),
        ("too many jobs", many, "job"),
        ("unknown keyword", "a:\n  scirpt: 'true'\n".to_owned(), ".gitlab-ci.yml:2:3"),
        ("not YAML", "a: [\n".to_owned(), ".gitlab-ci.yml:"),
        (
            "a keyword not supported",
            "a:\n  script: 'true'\n  identity: google_cloud\n".to_owned(),
            "identity",
        ),
    ] {
        let shown = pipeline(&naru, name, &words);
        assert!(shown.contains("failed after") && shown.contains(want), "{name}: {shown}");
    }
    assert_eq!(naru.api("GET", "/api/v1/me", "").unwrap().status, 200, "the server is well");
}

#[test]
fn jobs_that_misbehave_end_by_their_limits_and_harm_nobody() {
    let naru = Naru::start_with(EXE, &["--job-disk", "33554432"]).unwrap();
    naru.say(&["project", "create", "shop"]).unwrap();
    let work = naru.repository("shop", "web", &files(&service("well"))).unwrap();
    work.follow().unwrap();
    let ((), answered, failed) = under_load(&naru, WEB, || {
        for (name, words, want) in [
            (
                "forks without end",
                "j:\n  timeout: 3 seconds\n  script: ['bomb() { bomb | bomb & }; bomb; sleep 60']\n",
                "time limit",
            ),
            (
                "fills the disk",
                "j:\n  script: [dd if=/dev/zero of=big bs=1M count=4000]\n",
                "disk limit",
            ),
            (
                "ignores SIGTERM",
                "j:\n  timeout: 1 second\n  script: [\"trap '' TERM; while true; do sleep 1; done\"]\n",
                "time limit",
            ),
            ("exits with 7", "j:\n  script: [exit 7]\n", "exited with code 7"),
        ] {
            let shown = pipeline(&naru, name, words);
            assert!(
                last(&shown).contains("failed after") && shown.contains(want),
                "{name}: {shown}"
            );
        }
        for (name, words) in [
            ("prints a lot", "j:\n  script: ['head -c 1000000000 /dev/zero | tr \"\\\\0\" x']\n"),
            ("prints binary", "j:\n  script: ['head -c 100000 /dev/urandom']\n"),
        ] {
            let shown = pipeline(&naru, name, words);
            assert!(last(&shown).contains("passed after"), "{name}: {shown}");
        }
    });
    assert_eq!(failed, None, "after {answered} answers");
    let run =
        naru.json(&["run", "list", "-p", "shop", "--kind", "pipeline", "--limit", "2"]).unwrap();
    for run in run.as_array().unwrap() {
        let log =
            naru.say(&["run", "log", run["id"].as_str().unwrap(), "j", "-p", "shop"]).unwrap();
        assert!(log.len() < 200 << 20, "the log is bounded: {}", log.len());
    }
}

#[test]
fn a_job_sees_nothing_that_is_not_its_own() {
    let naru = shop();
    naru.say(&["project", "create", "garden"]).unwrap();
    let (pushed, _) = naru
        .repository("garden", "secret", &[("secret", "x")])
        .unwrap()
        .push(&["naru", "main"])
        .unwrap();
    assert!(pushed);
    let data = naru.data().display().to_string();
    let script = [
        "j:\n  script:\n".to_owned(),
        // Of naru's data there is its own repository, to read, and nothing else.
        format!("    - test \"$(ls -A {data})\" = git\n    - test \"$(ls {data}/git)\" = shop\n"),
        format!("    - test \"$(ls {data}/git/shop)\" = nosy.git\n    - '! touch {data}/git/shop/nosy.git/x'\n"),
        "    - test \"$(ls -A /home)\" = ci\n".to_owned(),
        "    - '! touch /usr/here 2>/dev/null'\n".to_owned(),
        "    - test \"$(ls -d /proc/[0-9]* | wc -l)\" -lt 12\n".to_owned(),
        "    - '! env | grep -i naru_token'\n".to_owned(),
        "    - touch mine\n".to_owned(),
    ]
    .concat();
    let shown = pipeline(&naru, "nosy", &script);
    assert!(last(&shown).contains("passed after"), "{shown}");
}

#[test]
fn services_that_misbehave_never_take_the_place_of_one_that_works() {
    let naru = shop();
    let work = naru.repository("shop", "web", &files(&service("well"))).unwrap();
    work.follow().unwrap();
    let manifest = |command: &str, more: &str| {
        format!(
            "kind: Service\nname: web\nspec:\n  command: {command}\n  replicas: 2\n  health: /\n  ready_within: 2s\n{more}"
        )
    };
    for (name, command, more, want) in [
        ("never listens", "sleep 1000", "", "listen"),
        (
            "crashes in a loop",
            "sh -c 'echo cannot find the database >&2; exit 3'",
            "",
            "cannot find the database",
        ),
        ("leaks", "python3 leak.py", "  resources:\n    memory: 64Mi\n", "memory"),
    ] {
        let words = manifest(command, more);
        let leak = "b = []\nwhile True:\n    b.append(bytearray(1 << 20))\n";
        work.commit(name, &[("naru.yaml", &words), ("leak.py", leak)]).unwrap();
        let (shown, _, failed) = under_load(&naru, WEB, || work.follow().unwrap());
        assert!(last(&shown).contains("failed after") && shown.contains(want), "{name}: {shown}");
        assert_eq!(failed, None, "{name}");
        assert_eq!(naru.visit(WEB, "/").unwrap().body, "well", "{name}");
    }
}

#[test]
fn a_push_over_the_limit_is_refused_with_the_limit() {
    let naru = Naru::start_with(EXE, &["--push-limit", "1000000"]).unwrap();
    naru.say(&["project", "create", "shop"]).unwrap();
    let work = naru.repository("shop", "big", &[("small", "x")]).unwrap();
    // Bytes that do not compress: a linear congruential generator is enough.
    let mut state = 1_u64;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 56) as u8
    })
    .take(4_000_000)
    .collect();
    std::fs::write(work.path().join("noise"), noise).unwrap();
    work.commit("Big", &[]).unwrap();
    let (pushed, words) = work.push(&["naru", "main"]).unwrap();
    assert!(!pushed, "{words}");
    assert!(words.contains("the push is larger than"), "{words}");
    let events = naru.json(&["events", "-p", "shop", "--kind", "git.pushed"]).unwrap();
    assert_eq!(events.as_array().unwrap().len(), 0, "{events}");
}

#[test]
fn smuggled_requests_never_reach_a_service() {
    let naru = shop();
    let work = naru.repository("shop", "web", &files(&service("well"))).unwrap();
    work.follow().unwrap();
    let say = |words: &str| {
        let mut stream = TcpStream::connect(naru.edge).unwrap();
        stream.write_all(words.as_bytes()).unwrap();
        raw_answer(stream).unwrap().status
    };
    for (name, words, want) in [
        (
            "CL and TE",
            "POST / HTTP/1.1\r\nHost: web.shop.localhost\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            400,
        ),
        ("two Host", "GET / HTTP/1.1\r\nHost: web.shop.localhost\r\nHost: other\r\n\r\n", 400),
        ("bare LF", "GET / HTTP/1.1\nHost: web.shop.localhost\n\n", 400),
        ("obs-fold", "GET / HTTP/1.1\r\nHost: web.shop.localhost\r\nX: a\r\n b\r\n\r\n", 400),
        (
            "no such host",
            "GET / HTTP/1.1\r\nHost: nobody.shop.localhost\r\nConnection: close\r\n\r\n",
            404,
        ),
        (
            "CONNECT",
            "CONNECT web.shop.localhost:80 HTTP/1.1\r\nHost: web.shop.localhost:80\r\nConnection: close\r\n\r\n",
            405,
        ),
    ] {
        assert_eq!(say(words), want, "{name}");
    }
    let huge =
        format!("GET / HTTP/1.1\r\nHost: web.shop.localhost\r\nX: {}\r\n\r\n", "a".repeat(200_000));
    assert_eq!(say(&huge), 431);
    assert_eq!(naru.visit(WEB, "/").unwrap().body, "well");
}

#[test]
fn a_full_disk_refuses_writes_and_leaves_the_rest_alone() {
    if !rustix::process::geteuid().is_root() {
        println!("needs root, to mount a small file system");
        return;
    }
    let small = Small::new();
    let dir = small.0.path().join("data");
    let data = dir.to_str().unwrap();
    let naru = Naru::start_in(EXE, &dir, &[]).unwrap();
    naru.say(&["project", "create", "shop"]).unwrap();
    let work = naru.repository("shop", "web", &files(&service("well"))).unwrap();
    work.follow().unwrap();
    let ballast = small.0.path().join("ballast");
    let mut file = std::fs::File::create(&ballast).unwrap();
    while file.write_all(&[7; 4096]).is_ok() {}
    drop(file);

    let refused = naru.cli(&["project", "create", "blog"]).unwrap();
    let words = String::from_utf8(refused.stderr).unwrap();
    assert!(!refused.status.success() && words.contains("full"), "{words}");
    let (pushed, words) = {
        work.commit("More", &[("more", &"words ".repeat(100_000))]).unwrap();
        work.push(&["naru", "main"]).unwrap()
    };
    assert!(!pushed, "{words}");
    assert_eq!(naru.visit(WEB, "/").unwrap().body, "well", "services run on");
    assert!(naru.say(&["project", "list"]).unwrap().contains("shop"), "reads go on");

    std::fs::remove_file(&ballast).unwrap();
    naru.say(&["project", "create", "blog"]).unwrap();
    assert!(work.follow().unwrap().contains("live after"), "without repair of {data}");
    naru.say(&["events", "verify"]).unwrap();
}

/// A file system of 48 MiB, unmounted when it goes.
struct Small(tempfile::TempDir);

impl Small {
    fn new() -> Small {
        let dir = tempfile::tempdir().unwrap();
        let size = c"size=48m";
        rustix::mount::mount(
            "naru-small",
            dir.path(),
            "tmpfs",
            rustix::mount::MountFlags::empty(),
            Some(size),
        )
        .unwrap();
        Small(dir)
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = rustix::mount::unmount(self.0.path(), rustix::mount::UnmountFlags::DETACH);
    }
}

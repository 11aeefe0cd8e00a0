//! Submodules of real repositories: of this server, and of another one that speaks git's plain HTTP.

use crate::shop;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use testkit::{Naru, Repository};

/// A server of files, as one in front of a bare repository may be: git's own "dumb" protocol. Ends with the
/// test's process.
fn serve(dir: &Path) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let dir = dir.to_owned();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut line = String::new();
            let mut lines = BufReader::new(stream.try_clone().unwrap());
            let _ = lines.read_line(&mut line);
            let mut head = String::new();
            while lines.read_line(&mut head).is_ok_and(|n| n > 2) {
                head.clear();
            }
            let path = line.split(' ').nth(1).unwrap_or("/").split('?').next().unwrap_or("/");
            let found = std::fs::read(dir.join(path.trim_start_matches('/')));
            let (status, body) = found.map_or((404, Vec::new()), |body| (200, body));
            let length = body.len();
            let head = format!(
                "HTTP/1.1 {status} X\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
            );
            let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body));
        }
    });
    url
}

fn git(dir: &Path, args: &[&str]) {
    let out = Command::new("git").args(args).current_dir(dir).output().unwrap();
    assert!(out.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&out.stderr));
}

/// Records a submodule without having it.
fn record(work: &Repository, path: &str, commit: &str) {
    let info = format!("160000,{commit},{path}");
    work.git(&["update-index", "--add", "--cacheinfo", &info]).unwrap();
    std::fs::create_dir_all(work.path().join(path)).unwrap();
}

fn push(naru: &Naru, repository: &str, files: &[(&str, &str)]) -> (Repository, String) {
    let work = naru.repository("shop", repository, files).unwrap();
    assert!(work.push(&["naru", "main"]).unwrap().0);
    let commit = work.git(&["rev-parse", "HEAD"]).unwrap().trim().to_owned();
    (work, commit)
}

#[test]
fn a_job_works_with_its_submodules_as_git_does() {
    let naru = shop();
    let (_, deep) = push(&naru, "deep", &[("d", "deep\n")]);
    let inner = "[submodule \"deep\"]\n\tpath = in\n\turl = ../deep.git\n";
    let lib = naru.repository("shop", "lib", &[("code", "one\n"), (".gitmodules", inner)]).unwrap();
    record(&lib, "in", &deep);
    lib.git(&["commit", "--quiet", "-m", "With deep"]).unwrap();
    assert!(lib.push(&["naru", "main"]).unwrap().0);
    let recorded = lib.git(&["rev-parse", "HEAD"]).unwrap().trim().to_owned();
    lib.commit("Newer", &[("code", "two\n")]).unwrap();
    assert!(lib.push(&["naru", "main"]).unwrap().0);

    // Somebody else's, reached over the network alone.
    let far = naru.repository("shop", "far", &[("f", "far\n")]).unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let bare = elsewhere.path().join("far.git");
    git(far.path(), &["clone", "--quiet", "--bare", ".", bare.to_str().unwrap()]);
    git(&bare, &["update-server-info"]);
    let url = serve(elsewhere.path());
    let at = far.git(&["rev-parse", "HEAD"]).unwrap().trim().to_owned();

    let modules = format!(
        "[submodule \"the lib\"]\n\tpath = vendor/lib\n\turl = ../lib.git\n\
         [submodule \"far\"]\n\tpath = vendor/far\n\turl = {url}/far.git\n"
    );
    let ci = "variables: {GIT_SUBMODULE_STRATEGY: recursive}
a:
  script:
    - cat vendor/lib/code vendor/lib/in/d vendor/far/f
    - git -C vendor/lib log -1 --format='lib is at %s'
    - git submodule status --recursive | sed 's/ (.*//;s/^/status /'
    - git submodule foreach --quiet 'echo each $name'
    - echo \"changed $(git status --porcelain | wc -l)\"
b:
  variables: {GIT_SUBMODULE_PATHS: vendor/lib, GIT_SUBMODULE_UPDATE_FLAGS: --remote}
  script: ['echo \"newest $(cat vendor/lib/code)\"; ls vendor/far | wc -l']
";
    let files = [(".gitlab-ci.yml", ci), (".gitmodules", modules.as_str())];
    let web = naru.repository("shop", "web", &files).unwrap();
    record(&web, "vendor/lib", &recorded);
    record(&web, "vendor/far", &at);
    web.git(&["commit", "--quiet", "-m", "With submodules"]).unwrap();
    let said = web.follow().unwrap();
    let runs = naru.json(&["run", "list", "-p", "shop", "--kind", "pipeline"]).unwrap();
    let run = runs.as_array().unwrap().iter().find(|r| r["labels"]["repository"] == "web").unwrap();
    let log = |step: &str| {
        naru.say(&["run", "log", run["id"].as_str().unwrap(), step, "-p", "shop"]).unwrap()
    };
    let a = log("a");
    for words in [
        "one\n",
        "deep\n",
        "far\n",
        "lib is at With deep\n",
        &format!("status  {recorded} vendor/lib\n"),
        &format!("status  {deep} vendor/lib/in\n"),
        &format!("status  {at} vendor/far\n"),
        "each the lib\n",
        "each far\n",
        "changed 0\n",
        "vendor/far is fetched from",
    ] {
        assert!(a.contains(words), "{words:?} is not in\n{a}\n{said}");
    }
    let b = log("b");
    assert!(b.contains("newest two\n0\n"), "{b}");
}

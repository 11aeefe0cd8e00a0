//! What a local run takes from elsewhere.

use super::*;

#[test]
fn submodules_are_those_of_the_working_tree_as_they_lie_there() {
    let ci = "variables: {GIT_SUBMODULE_STRATEGY: normal}
a: {script: ['echo \"lib is $(cat lib/code)\"', 'git -C lib log -1 --format=\"at %s\"']}
b: {script: 'true', rules: [{changes: {paths: [other], compare_to: main}}]}
";
    let desk = Desk::new(&[(".gitlab-ci.yml", ci)]);
    let lib = desk.dir.path().join("lib.git");
    let inside = |dir: &Path, args: &[&str]| {
        let out = Command::new("git")
            .args(["-c", "user.name=Kim", "-c", "user.email=kim@example.org"])
            .args(args)
            .current_dir(dir)
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .output()
            .unwrap();
        assert!(out.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&out.stderr));
    };
    std::fs::create_dir_all(&lib).unwrap();
    inside(&lib, &["init", "--quiet", "--initial-branch=main"]);
    std::fs::write(lib.join("code"), "one\n").unwrap();
    inside(&lib, &["add", "--all"]);
    inside(&lib, &["commit", "--quiet", "-m", "Lib"]);
    let url = lib.to_str().unwrap();
    desk.git(&["-c", "protocol.file.allow=always", "submodule", "--quiet", "add", url, "lib"]);
    desk.git(&["commit", "--quiet", "-m", "With lib"]);

    let ran = desk.run(&[]).ends(0);
    assert!(ran.has("lib is one") && ran.has("at Lib"), "{}\n{}", ran.out, ran.err);
    desk.write("lib/code", "changed\n");
    let ran = desk.run(&[]).ends(0);
    assert!(ran.has("lib is changed"), "{}\n{}", ran.out, ran.err);
    let ran = desk.run(&["--committed"]).ends(0);
    assert!(ran.has("lib is one"), "{}\n{}", ran.out, ran.err);
    assert_eq!(desk.git(&["-C", "lib", "status", "--porcelain"]), " M code\n");

    std::fs::remove_dir_all(desk.repository().join("lib")).unwrap();
    std::fs::create_dir(desk.repository().join("lib")).unwrap();
    let ran = desk.run(&["--committed"]).ends(1);
    let said = format!("{}{}", ran.out, ran.err);
    assert!(said.contains("the submodule lib is not in the working tree"), "{said}");
}

#[test]
fn files_of_other_repositories_come_from_a_directory_or_from_the_server() {
    let ci = "include: [{project: ops/ci, file: /templates/test.yml}]\nstages: [test]\n";
    let desk = Desk::new(&[(".gitlab-ci.yml", ci)]);
    let template = |from: &str| format!("shared: {{script: 'echo from the {from}'}}\n");
    let lost = desk.run(&[]);
    assert_ne!(lost.code, 0);
    for way in ["naru login", "--include-project ops/ci=DIR", ".gitlab-ci.yml:1:"] {
        assert!(lost.err.contains(way), "{way}: {}", lost.err);
    }
    let naru = Naru::start(EXE).unwrap();
    naru.say(&["project", "create", "ops"]).unwrap();
    let files = [("templates/test.yml", template("server"))];
    let files: Vec<(&str, &str)> = files.iter().map(|(p, w)| (*p, w.as_str())).collect();
    naru.repository("ops", "ci", &files).unwrap().follow().unwrap();
    let ask = |args: &[&str]| {
        let mut command = desk.command(args);
        Ran::of(command.env("NARU_DATA", naru.data()).output().unwrap()).ends(0)
    };
    assert!(ask(&[]).has("from the server"));
    // A change of the template is tried before it is pushed.
    let there = desk.dir.path().join("ci");
    std::fs::create_dir_all(there.join("templates")).unwrap();
    std::fs::write(there.join("templates/test.yml"), template("desk")).unwrap();
    let pair = format!("ops/ci={}", there.display());
    assert!(ask(&["--include-project", &pair]).has("from the desk"));
    // Whoever may not see it is told no more than that.
    let refused = desk
        .command(&[])
        .env("NARU_URL", format!("http://{}", naru.address().unwrap()))
        .env("NARU_TOKEN", "naru_wrong")
        .output();
    let refused = Ran::of(refused.unwrap());
    assert!(refused.code != 0 && refused.err.contains("ops/ci"), "{}", refused.err);
}

/// A server of files on this machine, which counts what it was asked; it ends with the test's process.
fn web(file: &'static str) -> (String, std::sync::Arc<std::sync::atomic::AtomicUsize>) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let asked = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let count = asked.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut head = [0; 4096];
            let _ = stream.read(&mut head);
            count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            let length = file.len();
            let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{file}");
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    (address, asked)
}

#[test]
fn a_file_of_another_server_is_asked_for_where_that_is_allowed_and_kept_for_later() {
    let (host, asked) = web("far: {script: 'echo from far away'}\n");
    let ci = format!("include: [{{remote: 'http://{host}/ci.yml'}}]\nstages: [test]\n");
    let desk = Desk::new(&[(".gitlab-ci.yml", &ci)]);
    let asked = || asked.load(std::sync::atomic::Ordering::SeqCst);
    let refused = desk.run(&[]);
    assert_ne!(refused.code, 0);
    assert!(refused.err.contains(&format!("--include-from {host}")), "{}", refused.err);
    assert_eq!(asked(), 0, "nobody was asked");
    let allowed = ["--include-from", &host];
    let early = desk.run(&[allowed[0], allowed[1], "--offline"]);
    assert!(early.code != 0 && early.err.contains("offline"), "{}", early.err);
    assert!(desk.run(&allowed).ends(0).has("from far away"));
    assert_eq!(asked(), 1);
    assert!(desk.run(&[allowed[0], allowed[1], "--offline"]).ends(0).has("from far away"));
    assert_eq!(asked(), 1, "an offline run asks nobody");
}

#[test]
fn a_component_comes_from_the_server_and_stays_when_it_is_gone() {
    let naru = Naru::start(EXE).unwrap();
    let host = naru.address().unwrap().to_string();
    let component = "spec: {inputs: {word: {default: none}}}\n---\nsaid: {script: 'echo component says $[[ inputs.word ]]'}\n";
    naru.say(&["project", "create", "ops"]).unwrap();
    naru.repository("ops", "ci", &[("templates/say.yml", component)]).unwrap().follow().unwrap();
    let ci = "include: [{component: $CI_SERVER_FQDN/ops/ci/say@main, inputs: {word: ferry}}]\nstages: [test]\n";
    let desk = Desk::new(&[(".gitlab-ci.yml", ci)]);
    let run =
        |args: &[&str]| Ran::of(desk.command(args).env("NARU_DATA", naru.data()).output().unwrap());
    assert!(run(&[]).ends(0).has("component says ferry"), "{host}");
    let away = desk.command(&["--offline"]).output().unwrap();
    assert!(Ran::of(away).ends(0).has("component says ferry"));
}

//! The main job: a change goes from `git push` to production, or is stopped and says why.

use crate::{EXE, TIMETABLE, WEB, files, last, service, shop, under_load};
use rustix::process::Signal;
use testkit::Naru;

fn newest(naru: &Naru) -> serde_json::Value {
    let list = naru.json(&["change", "list", "-p", "shop", "--limit", "1"]).unwrap();
    let name = list[0]["name"].as_str().unwrap().to_owned();
    naru.json(&["change", "show", &name, "-p", "shop"]).unwrap()
}

#[test]
fn four_changes_of_a_real_service() {
    let naru = shop();
    let work = naru.repository("shop", "timetable", TIMETABLE).unwrap();

    // The first goes to production with its artifact.
    let words = work.follow().unwrap();
    assert!(last(&words).contains("live after"), "{words}");
    assert!(
        words.contains("/projects/shop/changes/timetable-"),
        "the push names its page: {words}"
    );
    let home = naru.visit(WEB, "/").unwrap();
    assert_eq!((home.status, home.body.as_str()), (200, "The next ferry leaves soon\n"));
    let shown = newest(&naru);
    let jobs: Vec<_> = shown["change"]["pipeline"]["steps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|s| s["name"].as_str().unwrap())
        .collect();
    assert_eq!(jobs, ["build", "test"]);
    assert_eq!(shown["change"]["outcome"], "live");
    let instances = naru.json(&["get", "instances", "-p", "shop"]).unwrap();
    assert_eq!(instances.as_array().unwrap().len(), 2, "{instances}");

    // The second alters the answer while a load runs, and nobody notices.
    let app = TIMETABLE[0].1.replace("leaves soon", "leaves every twenty minutes");
    work.commit("Say how often", &[("app.py", &app)]).unwrap();
    let (pushed, answered, failed) = under_load(&naru, WEB, || work.follow().unwrap());
    assert!(pushed.contains("live after"), "{pushed}");
    assert_eq!(failed, None, "after {answered} answers");
    assert!(answered > 50, "only {answered} requests ran beside the rollout");
    assert!(naru.visit(WEB, "/").unwrap().body.contains("twenty minutes"));

    // The third breaks a test: the push says which, production is untouched.
    let broken = TIMETABLE[1].1.replace("= 6 * 60", "= 7 * 60");
    work.commit("Start at seven", &[("timetable.py", &broken)]).unwrap();
    let words = work.follow().unwrap();
    let end = last(&words);
    assert!(end.contains("failed after") && words.contains("test failed"), "{words}");
    assert!(naru.visit(WEB, "/").unwrap().body.contains("twenty minutes"));

    // The fourth passes its tests and fails its health check: the rollout stops, the old serves on.
    let sick = app.replace(
        "self.answer(200, \"text/plain\", \"ok\\n\")",
        "self.answer(500, \"text/plain\", \"no\\n\")",
    );
    let manifest = format!("{}  ready_within: 4s\n", TIMETABLE[4].1);
    work.commit(
        "Sick",
        &[("timetable.py", TIMETABLE[1].1), ("app.py", &sick), ("naru.yaml", &manifest)],
    )
    .unwrap();
    let (words, _, failed) = under_load(&naru, WEB, || work.follow().unwrap());
    let end = last(&words);
    assert!(end.contains("failed after") && words.contains("answered 500"), "{words}");
    assert_eq!(failed, None);
    assert_eq!(newest(&naru)["change"]["outcome"], "failed");
    assert!(naru.visit(WEB, "/").unwrap().body.contains("twenty minutes"));

    let metrics = naru.json(&["metrics", "-p", "shop"]).unwrap();
    assert_eq!(
        (&metrics[0]["deployments"], &metrics[0]["stopped"]),
        (&2.into(), &1.into()),
        "{metrics}"
    );
    naru.say(&["events", "verify"]).unwrap();
}

#[test]
fn a_rollback_serves_the_release_before_and_is_counted() {
    let naru = shop();
    let work = naru.repository("shop", "web", &files(&service("one"))).unwrap();
    work.follow().unwrap();
    work.commit("Two", &files(&service("two"))).unwrap();
    work.follow().unwrap();
    assert_eq!(naru.visit(WEB, "/").unwrap().body, "two");
    let (_, _, failed) =
        under_load(&naru, WEB, || naru.say(&["rollback", "web", "-p", "shop"]).unwrap());
    assert_eq!(failed, None);
    assert_eq!(naru.visit(WEB, "/").unwrap().body, "one");
    let metrics = naru.json(&["metrics", "-p", "shop"]).unwrap();
    assert_eq!(
        (&metrics[0]["rollbacks"], &metrics[0]["failed"]),
        (&1.into(), &1.into()),
        "{metrics}"
    );
}

#[test]
fn without_a_manifest_the_procfile_counts_and_without_both_nothing_is_deployed() {
    let naru = shop();
    let [(app, words), _] = service("from a Procfile");
    let work = naru
        .repository("shop", "proc", &[(app, &words), ("Procfile", "web: python3 app.py\n")])
        .unwrap();
    assert!(work.follow().unwrap().contains("live after"));
    assert_eq!(naru.visit(WEB, "/").unwrap().body, "from a Procfile");
    let plain = naru.repository("shop", "library", &[("README", "words\n")]).unwrap();
    let words = plain.follow().unwrap();
    assert!(words.contains("not deployed"), "{words}");
}

#[test]
fn a_branch_runs_its_pipeline_and_is_not_deployed() {
    let naru = shop();
    let work = naru.repository("shop", "web", &files(&service("main"))).unwrap();
    work.follow().unwrap();
    work.git(&["checkout", "--quiet", "-b", "topic"]).unwrap();
    work.commit("Topic", &files(&service("topic"))).unwrap();
    let (ok, words) = work.push(&["-o", "follow", "naru", "topic"]).unwrap();
    assert!(ok && words.contains("not deployed"), "{words}");
    assert_eq!(naru.visit(WEB, "/").unwrap().body, "main");
    work.git(&["checkout", "--quiet", "main"]).unwrap();
    work.git(&["merge", "--quiet", "--no-ff", "-m", "Merge", "topic"]).unwrap();
    work.follow().unwrap();
    assert_eq!(naru.visit(WEB, "/").unwrap().body, "topic");
    let live = naru.json(&["change", "list", "-p", "shop"]).unwrap();
    assert!(
        live.as_array().unwrap().iter().all(|c| c["outcome"] == "live"),
        "the topic went live with its merge: {live}"
    );
}

#[test]
fn stopped_in_order_everything_is_found_again() {
    let mut naru = shop();
    let work = naru.repository("shop", "web", &files(&service("still here"))).unwrap();
    work.follow().unwrap();

    // SIGTERM (an upgrade): services run on, with the same processes.
    let before = naru.shims();
    naru.stop(Signal::TERM).unwrap();
    assert_eq!(naru.shims(), before);
    naru.restart().unwrap();
    assert_eq!(naru.visit(WEB, "/").unwrap().body, "still here");
    assert_eq!(naru.shims(), before);

    // Ctrl-C: nothing stays behind; the next start brings the services back.
    naru.stop(Signal::INT).unwrap();
    assert_eq!(naru.shims(), Vec::<u32>::new());
    naru.restart().unwrap();
    let limit = std::time::Instant::now() + std::time::Duration::from_secs(60);
    let answer = std::iter::repeat_with(|| naru.visit(WEB, "/").unwrap())
        .take_while(|_| std::time::Instant::now() < limit)
        .find(|a| a.status == 200)
        .expect("the service came back");
    assert_eq!(answer.body, "still here");
}

#[test]
fn a_port_in_use_and_data_in_use_are_said_plainly() {
    let naru = shop();
    let taken = naru.url.trim_start_matches("http://").to_owned();
    let other = tempfile::tempdir().unwrap();
    let up = |args: &[&str]| {
        let out = std::process::Command::new(EXE)
            .arg("up")
            .args(args)
            .env("NARU_LANG", "en")
            .output()
            .unwrap();
        assert_eq!(out.status.code(), Some(1));
        String::from_utf8(out.stderr).unwrap()
    };
    let data = other.path().to_str().unwrap();
    let words = up(&["--data", data, "--listen", &taken, "--edge", "127.0.0.1:0"]);
    let port = taken.rsplit(':').next().unwrap();
    assert!(
        words.contains(&format!("port {port} is in use")) && words.contains("--listen"),
        "{words}"
    );
    let edge = naru.edge.to_string();
    let words = up(&["--data", data, "--listen", "127.0.0.1:0", "--edge", &edge]);
    assert!(words.contains("--edge"), "{words}");
    let words = up(&[
        "--data",
        naru.data().to_str().unwrap(),
        "--listen",
        "127.0.0.1:0",
        "--edge",
        "127.0.0.1:0",
    ]);
    assert!(words.contains("another naru runs") && words.contains("--data"), "{words}");
}

#[test]
fn leaving_the_follower_does_not_stop_the_change() {
    let naru = shop();
    let [(app, words), (manifest, spec)] = service("arrived");
    let gate = "wait:\n  script:\n    - touch here\n    - sleep 1\n";
    let work = naru
        .repository("shop", "web", &[(app, &words), (manifest, &spec), (".gitlab-ci.yml", gate)])
        .unwrap();
    let helper = format!("credential.helper=!'{EXE}' git-credential");
    let mut push = work.command(&["-c", &helper, "push", "-o", "follow", "naru", "main"]);
    let mut child = push.stderr(std::process::Stdio::piped()).spawn().unwrap();
    let stderr = std::io::BufReader::new(child.stderr.take().unwrap());
    use std::io::BufRead;
    // As Ctrl-C does, once the job is under way.
    let started = stderr.lines().map_while(Result::ok).any(|l| l.contains("wait started"));
    assert!(started);
    child.kill().unwrap();
    child.wait().unwrap();
    let mut events =
        naru.command(&["events", "-p", "shop", "--kind", "change.finished", "--follow"]);
    let mut events = events.stdout(std::process::Stdio::piped()).spawn().unwrap();
    let first =
        std::io::BufReader::new(events.stdout.take().unwrap()).lines().next().unwrap().unwrap();
    events.kill().unwrap();
    events.wait().unwrap();
    assert!(first.contains("live after"), "{first}");
    assert_eq!(naru.visit(WEB, "/").unwrap().body, "arrived");
}

#[test]
fn labels_of_the_manifest_stay_with_the_service() {
    let naru = shop();
    let [app, (manifest, words)] = service("labelled");
    let words = format!("labels:\n  tier: front\n{words}");
    let work = naru.repository("shop", "web", &[(app.0, &app.1), (manifest, &words)]).unwrap();
    work.follow().unwrap();
    let service = naru.json(&["get", "service", "web", "-p", "shop"]).unwrap();
    assert_eq!(
        (&service["labels"]["tier"], &service["labels"]["naru.dev/repository"]),
        (&"front".into(), &"web".into())
    );
}

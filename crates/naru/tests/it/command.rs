//! The command line, as people read it.

use crate::{EXE, shop};
use std::process::Command;

fn run(args: &[&str], env: &[(&str, &str)]) -> (i32, String, String) {
    let mut command = Command::new(EXE);
    command.args(args).env("NARU_LANG", "en").env("HOME", "/nonexistent").env_remove("NARU_DATA");
    command.env_remove("XDG_DATA_HOME").env_remove("XDG_CONFIG_HOME").envs(env.iter().copied());
    let out = command.output().unwrap();
    let words = |b: Vec<u8>| String::from_utf8(b).unwrap();
    (out.status.code().unwrap(), words(out.stdout), words(out.stderr))
}

#[test]
fn without_a_server_a_command_says_how_to_get_one() {
    let (code, out, err) = run(&["project", "list"], &[]);
    assert_eq!((code, out.as_str()), (1, ""));
    assert_eq!(
        err,
        "error: no naru runs with data in /nonexistent/.local/share/naru\n\
         hint: start one with `naru up`, name its directory with `--data`, or use `naru login URL`\n"
    );
    let (_, _, err) = run(&["project", "list"], &[("NARU_LANG", "ko")]);
    assert!(err.starts_with("오류: ") && err.contains("도움말: "), "{err}");
}

#[test]
fn help_teaches_in_both_languages() {
    let (code, out, _) = run(&["--help"], &[]);
    assert_eq!(code, 0);
    for noun in [
        "up", "apply", "get", "describe", "delete", "diff", "project", "change", "run", "service",
        "logs", "rollback", "metrics", "events", "token", "login",
    ] {
        assert!(out.contains(&format!("\n  {noun} ")), "no {noun} in {out}");
    }
    let (_, out, _) = run(&["change", "--help"], &[("NARU_LANG", "ko")]);
    assert!(out.contains("푸시에서 운영까지"), "{out}");
}

#[test]
fn tokens_are_shown_once_and_work_elsewhere() {
    let naru = shop();
    let made = naru.json(&["token", "create", "laptop"]).unwrap();
    let token = made["token"].as_str().unwrap();
    let listed = naru.say(&["token", "list"]).unwrap();
    assert!(listed.contains("laptop") && !listed.contains(token));
    let env = [("NARU_URL", naru.url.as_str()), ("NARU_TOKEN", token)];
    let (code, out, err) = run(&["project", "list", "-o", "json"], &env);
    assert_eq!(code, 0, "{err}");
    assert!(out.contains("shop"));

    let home = tempfile::tempdir().unwrap();
    let config = home.path().to_str().unwrap();
    let (code, _, err) =
        run(&["login", &naru.url, "--token", token], &[("XDG_CONFIG_HOME", config)]);
    assert_eq!(code, 0, "{err}");
    use std::os::unix::fs::PermissionsExt;
    let kept = std::fs::metadata(home.path().join("naru/login.json")).unwrap();
    assert_eq!(kept.permissions().mode() & 0o777, 0o600);
    let (code, _, err) = run(&["project", "list"], &[("XDG_CONFIG_HOME", config)]);
    assert_eq!(code, 0, "{err}");

    naru.say(&["token", "revoke", "laptop"]).unwrap();
    let (code, _, err) = run(&["project", "list"], &env);
    assert_eq!(code, 1);
    assert!(err.contains("sign in first"), "{err}");
}

#[test]
fn apply_and_diff_work_on_a_file() {
    let naru = shop();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("naru.yaml");
    let path = file.to_str().unwrap();
    std::fs::write(&file, "kind: Service\nname: worker\nspec:\n  command: sleep 1000\n  replicas: 0\n---\nkind: Project\nname: blog\nspec:\n  title: Blog\n").unwrap();
    let diff = naru.json(&["diff", "-f", path, "-p", "shop"]).unwrap();
    assert_eq!(diff[0]["would"], "create");
    naru.say(&["apply", "-f", path, "-p", "shop"]).unwrap();
    let diff = naru.json(&["diff", "-f", path, "-p", "shop"]).unwrap();
    assert!(
        diff.as_array().unwrap().iter().any(|d| d["kind"] == "Service" && d["would"] == "nothing"),
        "{diff}"
    );
    assert!(naru.say(&["get", "projects"]).unwrap().contains("blog"));
    assert!(
        naru.say(&["describe", "service", "worker", "-p", "shop"]).unwrap().contains("sleep 1000")
    );
    naru.say(&["delete", "service", "worker", "-p", "shop"]).unwrap();

    std::fs::write(&file, "kind: Service\nname: worker\nspce: {}\n").unwrap();
    let out = naru.cli(&["apply", "-f", path, "-p", "shop"]).unwrap();
    let err = String::from_utf8(out.stderr).unwrap();
    assert!(!out.status.success() && err.contains("naru.yaml:3:"), "{err}");
}

#[test]
fn a_second_person_comes_in_and_sees_only_what_is_theirs() {
    let naru = shop();
    let made = naru.json(&["user", "create", "ada", "--title", "Ada"]).unwrap();
    let path = made["link"].as_str().unwrap().strip_prefix(naru.url.as_str()).unwrap().to_owned();
    let signed =
        testkit::request(naru.address().unwrap(), "localhost", "GET", &path, &[], b"").unwrap();
    assert_eq!(signed.status, 303, "{}", signed.body);
    let made = naru.json(&["token", "create", "laptop", "--for", "ada"]).unwrap();
    let env = [("NARU_URL", naru.url.as_str()), ("NARU_TOKEN", made["token"].as_str().unwrap())];
    let (_, out, _) = run(&["project", "list", "-o", "json"], &env);
    assert_eq!(out.trim(), "[]");
    let (code, _, err) = run(&["get", "services", "-p", "shop"], &env);
    assert!(code == 1 && err.contains("no project shop"), "{err}");
    let (code, _, err) = run(&["user", "create", "eve"], &env);
    assert!(code == 1 && err.contains("does not administer"), "{err}");
    let (code, _, err) = run(&["token", "create", "theirs", "--for", "admin"], &env);
    assert!(code == 1 && err.contains("does not administer"), "{err}");
    let (code, _, err) = run(&["project", "create", "garden"], &env);
    assert_eq!(code, 0, "{err}");

    // An owner cannot lock everybody out.
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("p.yaml");
    std::fs::write(&file, "kind: Project\nname: garden\nspec:\n  title: Garden\n").unwrap();
    let (code, _, err) = run(&["apply", "-f", file.to_str().unwrap()], &env);
    assert!(code == 1 && err.contains("no owner left"), "{err}");
}

#[test]
fn a_project_goes_last_and_labels_stay_where_a_file_says_nothing() {
    let naru = shop();
    let one = "/api/v1/projects/shop/services/worker";
    naru.api(
        "PUT",
        one,
        r#"{"spec":{"command":"sleep 1000","replicas":0},"labels":{"tier":"back"}}"#,
    )
    .unwrap();
    naru.api("PUT", one, r#"{"spec":{"command":"sleep 1001","replicas":0}}"#).unwrap();
    let kept = naru.json(&["get", "service", "worker", "-p", "shop"]).unwrap();
    assert_eq!(
        (&kept["labels"]["tier"], &kept["spec"]["command"]),
        (&"back".into(), &"sleep 1001".into())
    );
    let refused = naru.cli(&["delete", "project", "shop"]).unwrap();
    let err = String::from_utf8(refused.stderr).unwrap();
    assert!(!refused.status.success() && err.contains("still has Service/shop/worker"), "{err}");
    naru.say(&["delete", "service", "worker", "-p", "shop"]).unwrap();
    naru.say(&["delete", "project", "shop"]).unwrap();
    assert!(naru.cli(&["get", "project", "shop"]).unwrap().status.code() == Some(1));
}

//! Submodules in the files of jobs, and rules that compare with another ref.

use super::flow::project;
use super::*;

/// A commit with submodules at these paths.
fn add(shelf: &Shelf, files: &[(&str, &str)], links: &[(&str, &str)]) -> String {
    let files = files.iter().map(|(p, t)| ((*p).to_owned(), (*t).to_owned())).collect();
    let id = shelf.add(files);
    let link = |(path, commit): &(&str, &str)| Gitlink {
        path: (*path).to_owned(),
        commit: (*commit).to_owned(),
    };
    shelf.links.lock().unwrap().insert(id.clone(), links.iter().map(link).collect());
    id
}

fn repository(world: &World, path: &str) {
    std::fs::create_dir_all(world.data.join(format!("git/{path}.git"))).unwrap();
}

/// Pushes a commit with submodules whose one job prints what is in them.
async fn pushed(world: &World, variables: &str, modules: &str, links: &[(&str, &str)]) -> Run {
    let ci = format!(
        "variables: {{{variables}}}
a: {{script: ['for f in $(find vendor -type f | sort); do echo \"$f $(cat $f)\"; done']}}
"
    );
    let next = format!("{:040x}", world.shelf.commits.lock().unwrap().len() + 1);
    let link = |(path, commit): &(&str, &str)| Gitlink {
        path: (*path).to_owned(),
        commit: (*commit).to_owned(),
    };
    world.shelf.links.lock().unwrap().insert(next.clone(), links.iter().map(link).collect());
    let files = [(".gitlab-ci.yml", ci.as_str()), (".gitmodules", modules)];
    let (seq, id) = world.push("shop", &files, |_| ()).await;
    assert_eq!(id, next);
    let end = world.finished(seq, &id).await;
    let run = end.run.unwrap_or_else(|| panic!("no run: {:?}", end.reason));
    world.engine.show(&run).await.unwrap()
}

const MODULES: &str = "[submodule \"lib\"]\n\tpath = vendor/lib\n\turl = ../lib.git\n\
    [submodule \"tool\"]\n\tpath = vendor/tool\n\turl = http://127.0.0.1:8080/tools/t.git\n";
const NORMAL: &str = "GIT_SUBMODULE_STRATEGY: normal";

#[tokio::test(flavor = "multi_thread")]
async fn a_job_finds_the_recorded_commits_of_its_submodules() {
    let (_dir, world) = world().await;
    project(&world, "shop", &["kim"]).await;
    project(&world, "tools", &["kim"]).await;
    for path in ["shop/lib", "shop/deep", "tools/t"] {
        repository(&world, path);
    }
    let deep = add(&world.shelf, &[("d", "deep")], &[]);
    let inner = "[submodule \"deep\"]\n\tpath = in/deep\n\turl = ../deep\n";
    let lib = [("code", "one"), (".gitmodules", inner)];
    let lib = add(&world.shelf, &lib, &[("in/deep", &deep)]);
    let tool = add(&world.shelf, &[("t", "tool")], &[]);
    add(&world.shelf, &[("code", "newer, and not asked for")], &[]);
    let links = [("vendor/lib", lib.as_str()), ("vendor/tool", tool.as_str())];
    for (variables, seen) in [
        ("", ""),
        (NORMAL, "vendor/lib/.gitmodules vendor/lib/code vendor/tool/t"),
        (
            "GIT_SUBMODULE_STRATEGY: recursive",
            "vendor/lib/.gitmodules vendor/lib/code vendor/lib/in/deep/d vendor/tool/t",
        ),
        ("GIT_SUBMODULE_STRATEGY: recursive, GIT_SUBMODULE_PATHS: ':!vendor/lib'", "vendor/tool/t"),
        ("GIT_SUBMODULE_STRATEGY: normal, GIT_STRATEGY: none", ""),
    ] {
        let run = pushed(&world, variables, MODULES, &links).await;
        let log = world.log(&run, "a").await;
        assert_eq!(state(&run, "a"), StepState::Passed, "{variables}: {log}");
        let found: Vec<&str> = log
            .lines()
            .filter(|l| l.starts_with("vendor/"))
            .filter_map(|l| l.split(' ').next())
            .collect();
        assert_eq!(found.join(" "), seen, "{variables}: {log}");
    }
    let run = pushed(&world, NORMAL, MODULES, &links).await;
    assert!(world.log(&run, "a").await.contains("\nvendor/lib/code one\n"));
    let (seq, id) = world
        .push(
            "shop",
            &[(".gitlab-ci.yml", "variables: {GIT_SUBMODULE_STRATEGY: norml}\na: {script: x}")],
            |_| (),
        )
        .await;
    let reason = world.finished(seq, &id).await.reason.unwrap();
    assert!(reason.en.contains("GIT_SUBMODULE_STRATEGY"), "{reason:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_submodule_that_cannot_be_had_is_named() {
    let (_dir, world) = world().await;
    project(&world, "shop", &["kim"]).await;
    project(&world, "tools", &["lee"]).await;
    repository(&world, "shop/lib");
    repository(&world, "tools/t");
    let lib = add(&world.shelf, &[("code", "x")], &[]);
    let nowhere = "f".repeat(40);
    let local = "[submodule \"lib\"]\n\tpath = vendor/lib\n\turl = file:///etc\n";
    let foreign =
        "[submodule \"lib\"]\n\tpath = vendor/lib\n\turl = http://u:pw1234@127.0.0.1:1/x/y.git\n";
    for (modules, links, words) in [
        (
            MODULES,
            [("vendor/tool", lib.as_str())],
            "vendor/tool is tools/t, which does not exist or",
        ),
        (MODULES, [("vendor/lib", nowhere.as_str())], "which is not there"),
        ("", [("vendor/lib", lib.as_str())], "`.gitmodules` says nothing of it"),
        (local, [("vendor/lib", lib.as_str())], "the address file:///etc, which leads nowhere"),
    ] {
        let run = pushed(&world, NORMAL, modules, &links).await;
        let reason = run.step("a").unwrap().reason.clone().unwrap_or_default();
        assert_eq!(state(&run, "a"), StepState::Failed, "{reason:?}");
        assert!(reason.en.contains(words), "{reason:?}");
    }
    // Another server's is git's own business, in the sandbox.
    let run = pushed(&world, NORMAL, foreign, &[("vendor/lib", lib.as_str())]).await;
    let log = world.log(&run, "a").await;
    assert_eq!(state(&run, "a"), StepState::Failed);
    assert!(log.contains("vendor/lib is fetched from http://127.0.0.1:1/x/y.git"), "{log}");
    assert!(
        log.contains("submodule update --init --depth 20 -- 'vendor/lib'")
            || log.contains("submodule update --init -- 'vendor/lib'"),
        "{log}"
    );
    assert!(!log.contains("pw1234"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_are_compared_with_where_the_histories_part() {
    let (_dir, world) = world().await;
    project(&world, "shop", &["kim"]).await;
    let ci = "
docs: {script: 'true', rules: [{changes: {paths: [docs/*], compare_to: main}}]}
code: {script: 'true', rules: [{changes: {paths: [src/*], compare_to: main}}]}
pushed: {script: 'true', rules: [{changes: [src/*]}]}
all: {script: 'true'}
";
    let parting =
        add(&world.shelf, &[(".gitlab-ci.yml", ci), ("docs/a", "1"), ("src/a", "1")], &[]);
    // Since then somebody changed the documents on main, and this branch the source.
    let (_, main) = world
        .push("shop", &[(".gitlab-ci.yml", ci), ("docs/a", "2"), ("src/a", "1")], |_| ())
        .await;
    let next = format!("{:040x}", world.shelf.commits.lock().unwrap().len() + 1);
    world.shelf.partings.lock().unwrap().insert((main, next.clone()), Some(parting));
    let files = [(".gitlab-ci.yml", ci), ("docs/a", "1"), ("src/a", "2")];
    let branch = |p: &mut Pushed| {
        (p.branch, p.refname) = (Some("side".into()), "refs/heads/side".into());
        p.default_branch = false;
        p.before = p.after.clone();
    };
    let (seq, id) = world.push("shop", &files, branch).await;
    assert_eq!(id, next);
    let end = world.finished(seq, &id).await;
    let names = |run: &Run| run.steps.iter().map(|s| s.name.clone()).collect::<Vec<_>>();
    let run = world.engine.show(&end.run.unwrap()).await.unwrap();
    assert_eq!(names(&run), ["code", "all"]);
    // Nobody brought anything with a pipeline that is started by hand: `changes` alone holds.
    let by_hand = ByHand {
        repository: name("web"),
        refname: "side".into(),
        variables: BTreeMap::new(),
        inputs: serde_json::Map::new(),
    };
    let run = world.pipelines.run(&name("shop"), by_hand, reader()).await.unwrap();
    let run = world.engine.show(&run).await.unwrap();
    assert_eq!(names(&run), ["code", "pushed", "all"]);
}

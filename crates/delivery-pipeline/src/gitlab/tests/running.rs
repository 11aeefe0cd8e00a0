//! What a job runs in, with and as.

use super::*;
use crate::work::{Files, SecretFrom, Submodules};

#[test]
fn services_and_images() {
    let plan = plan(
        "a:
  script: x
  variables: {TAG: '15'}
  image: {name: rust:1, entrypoint: [''], docker: {user: me}}
  services:
    - postgres:$TAG
    - name: registry.example.com/team/queue:2
      alias: queue,mq
      entrypoint: [/run]
      command: [serve, --port, '1']
      variables: {LEVEL: 3}
",
    );
    let a = work(step(&plan, "a"));
    assert_eq!(a.entrypoint, Some(vec![String::new()]));
    assert_eq!((a.image.as_deref(), a.user.as_deref()), (Some("rust:1"), Some("me")));
    let [database, queue] = a.services.as_slice() else { panic!("{:?}", a.services) };
    assert_eq!(
        (&*database.image, &*database.aliases),
        ("postgres:15", &["postgres".to_owned()][..])
    );
    assert_eq!(queue.aliases, ["team__queue", "team-queue", "queue", "mq"]);
    assert_eq!(queue.command.as_deref().unwrap(), ["serve", "--port", "1"]);
    assert_eq!((&*queue.variables[0].name, &*queue.variables[0].value), ("LEVEL", "3"));
    let (code, place, _) = wrong("a: {script: x, services: [{alias: b}]}");
    assert_eq!((code, place.as_str()), ("pipeline.value", "1:27"));
}

#[test]
fn named_steps_run_in_shells_of_their_own() {
    let plan = plan(
        "a:
  before_script: [setup]
  run:
    - {name: one, script: make, env: {A: \"it's\"}}
    - {name: two, script: \"make test\\nmake lint\"}
",
    );
    let want =
        ["setup", "( # one\nexport A='it'\\''s'\nmake\n)", "( # two\nmake test\nmake lint\n)"];
    assert_eq!(work(step(&plan, "a")).script, want);
    for (run, code, words) in [
        ("[{name: a, step: ./x}]", "pipeline.unsupported", "run:step"),
        ("[{name: a, func: x}]", "pipeline.unsupported", "run:func"),
        ("[{name: 'a b', script: x}]", "pipeline.value", "a `name`"),
        ("[{name: a}]", "pipeline.value", "a `script`"),
        ("[{name: a, script: 'echo ${{ x }}'}]", "pipeline.unsupported", "${{ }}"),
    ] {
        let (found, _, said) = wrong(&format!("a: {{run: {run}}}"));
        assert!(found == code && said.contains(words), "{run}: {found} {said}");
    }
    assert_eq!(wrong("a: {script: x, run: [{name: a, script: x}]}").0, "pipeline.value");
}

#[test]
fn inputs_of_a_job_are_their_defaults() {
    let plan = plan(
        "a:
  inputs:
    who: {default: world, options: [world, moon]}
    times: {type: number, default: 3}
    all: {type: array, default: [a, 1]}
  script: ['echo ${{ job.inputs.who }} ${{job.inputs.times}}', 'echo ${{ job.inputs.all }}']
  artifacts: {paths: ['out-${{ job.inputs.who }}']}
",
    );
    let a = work(step(&plan, "a"));
    assert_eq!(a.script, ["echo world 3", "echo [\"a\",1]"]);
    assert_eq!(a.artifacts.unwrap().paths, ["out-world"]);
    for (inputs, code, words) in [
        ("{who: {type: string}}", "pipeline.value", "a `default`"),
        ("{who: {default: x, options: [y]}}", "pipeline.value", "options"),
        ("{who: {default: x, regex: '^\\d+$'}}", "pipeline.value", "regex"),
        ("{whom: {default: x}}", "pipeline.input", "did you mean `job.inputs.whom`?"),
    ] {
        let text = format!("a: {{inputs: {inputs}, script: 'echo ${{{{ job.inputs.who }}}}'}}");
        let (found, _, said) = wrong(&text);
        assert!(found == code && said.contains(words), "{inputs}: {found} {said}");
    }
}

#[test]
fn tokens_and_hooks() {
    let plan = plan(
        "a:
  script: x
  id_tokens: {AWS: {aud: https://aws}, TWO: {aud: [a, $CI_PROJECT_PATH]}}
  hooks: {pre_get_sources_script: [echo before]}
  manual_confirmation: Deploy $CI_COMMIT_REF_SLUG?
  when: manual
",
    );
    let a = work(step(&plan, "a"));
    let tokens: Vec<String> =
        a.id_tokens.iter().map(|t| format!("{} {}", t.name, t.audience.join(","))).collect();
    assert_eq!(tokens, ["AWS https://aws", "TWO a,$CI_PROJECT_PATH"]);
    assert_eq!(a.checkout.before, ["echo before"]);
    assert_eq!(wrong("a: {script: x, id_tokens: {A: {}}}").0, "pipeline.value");
}

#[test]
fn how_the_files_are_laid_out() {
    let of = |variables: &str| {
        work(step(&plan(&format!("a: {{script: x, variables: {variables}}}")), "a"))
    };
    let plain = of("{}");
    assert_eq!((plain.files, plain.checkout.depth), (Files::Commit, None));
    assert_eq!(of("{GIT_STRATEGY: none}").files, Files::None);
    assert_eq!(of("{GIT_STRATEGY: fetch}").files, Files::Commit);
    assert_eq!(of("{GIT_DEPTH: 5}").checkout.depth, Some(5));
    assert_eq!(of("{GIT_DEPTH: 0}").checkout.depth, None);
    let submodules = of("{GIT_SUBMODULE_STRATEGY: recursive}").checkout.submodules;
    assert_eq!(submodules, Submodules::Recursive);
    assert_eq!(of("{GIT_CLONE_PATH: $CI_BUILDS_DIR/go/src}").dir, "/builds/go/src");
    assert_eq!(of("{GIT_CLONE_PATH: /builds/../etc}").dir, "/builds/shop/web");
}

#[test]
fn caches_of_protected_refs_stand_apart() {
    let file = "variables: {POLICY: pull, CACHE_FALLBACK_KEY: last}
a:
  script: x
  cache:
    - {key: k, paths: [p], policy: $POLICY, fallback_keys: [f]}
    - {paths: [q], unprotect: true}
    - {untracked: true, key: {files_commits: [a.lock]}}
    - {key: none}
";
    let caches = |context: &Context| {
        let done = try_with(file, context).unwrap();
        let all = work(step(&done.plan, "a")).caches;
        all.into_iter().map(|c| (c.key, c.fallback, c.pull, c.push)).collect::<Vec<_>>()
    };
    let own = |side: &str| vec![format!("f-{side}"), format!("last-{side}")];
    let last = |side: &str| vec![format!("last-{side}")];
    let here = caches(&context());
    assert_eq!(here[0], ("k-non_protected".into(), own("non_protected"), true, false));
    assert_eq!(here[1].0, "default-non_protected");
    assert_eq!((here.len(), &*here[2].0), (3, "default-non_protected"));
    let there = caches(&Context { protected: true, ..context() });
    assert_eq!(there[0], ("k-protected".into(), own("protected"), true, false));
    assert_eq!(there[1], ("default-non_protected".into(), last("non_protected"), true, true));
    let odd = file.replace("POLICY: pull", "POLICY: pul");
    let (code, place, said) = wrong(&odd);
    assert_eq!((code, place.as_str()), ("pipeline.value", "5:36"));
    assert!(said.contains("did you mean `pull`?"), "{said}");
}

#[test]
fn retries_by_class_and_exit_code() {
    let plan = plan(
        "a: {script: x, retry: {max: 2, exit_codes: [137, 3]}}
b: {script: x, retry: {max: 1, when: [always, api_failure]}}
c: {script: x, allow_failure: {exit_codes: 42}}
",
    );
    assert_eq!(step(&plan, "a").retry.exit_codes, [137, 3]);
    assert!(step(&plan, "b").retry.only.is_empty());
    assert_eq!(step(&plan, "c").allow_exit_codes, [42]);
    assert_eq!(wrong("a: {script: x, retry: {max: 1, exit_codes: [x]}}").0, "pipeline.value");
}

#[test]
fn submodules_are_chosen_by_variables() {
    let plan = plan(
        "a:
  script: x
  variables:
    GIT_SUBMODULE_STRATEGY: recursive
    GIT_SUBMODULE_PATHS: 'lib :(exclude)lib/old :!docs'
    GIT_SUBMODULE_DEPTH: 1
    GIT_SUBMODULE_UPDATE_FLAGS: --remote --jobs 4
b: {script: x, variables: {GIT_DEPTH: 5}}
",
    );
    let a = work(step(&plan, "a")).checkout;
    assert_eq!(a.submodules, Submodules::Recursive);
    assert_eq!((a.only.join(" "), a.but.join(" ")), ("lib".into(), "lib/old docs".into()));
    assert!(a.newest && a.flags == ["--remote", "--jobs", "4"]);
    assert_eq!((a.submodule_depth, a.depth), (Some(1), None));
    let b = work(step(&plan, "b")).checkout;
    assert_eq!((b.submodules, b.newest, b.submodule_depth), (Submodules::None, false, Some(5)));
    let (code, place, said) = wrong("a: {script: x, variables: {GIT_SUBMODULE_STRATEGY: norml}}");
    assert_eq!((code, place.as_str()), ("pipeline.value", "1:1"));
    assert!(said.contains("did you mean `normal`?"), "{said}");
}

#[test]
fn secrets_say_where_they_are_kept() {
    let plan = plan(
        "a:
  script: x
  id_tokens: {T: {aud: v}}
  secrets:
    A: {vault: production/db/password@ops}
    B: {vault: db/password, file: false}
    C: {vault: {engine: {name: generic, path: old}, path: a/b, field: c}, token: '${T}'}
    D: {gitlab_secrets_manager: {name: DB_1}}
",
    );
    let secrets = work(step(&plan, "a")).secrets;
    let seen: Vec<String> = secrets
        .iter()
        .map(|s| match &s.from {
            SecretFrom::Vault(v) => format!(
                "{} {} {:?} {} {} {} {}",
                s.name, s.file, v.engine, v.mount, v.path, v.field, v.token
            ),
            SecretFrom::Own(name) => format!("{} {} {name}", s.name, s.file),
        })
        .collect();
    let want = [
        "A true Kv2 ops production/db password $T",
        "B false Kv2 kv-v2 db password $T",
        "C true Kv1 old a/b c ${T}",
        "D true DB_1",
    ];
    assert_eq!(seen, want);
    let two = "id_tokens: {T: {aud: v}, U: {aud: w}}, ";
    for (tokens, secret, code, words) in [
        (two, "{vault: a/b}", "pipeline.value", "several"),
        (two, "{vault: a, token: $T}", "pipeline.value", "path/field"),
        (two, "{vault: a/b, token: T}", "pipeline.value", "$VAULT_ID_TOKEN"),
        (two, "{vault: {path: a, field: b}, token: $T}", "pipeline.value", "`engine`"),
        (
            two,
            "{vault: {engine: {name: kv-v3, path: a}, path: a, field: b}, token: $T}",
            "pipeline.value",
            "kv-v2",
        ),
        (two, "{file: false}", "pipeline.value", "one of"),
        (
            two,
            "{vault: a/b, gitlab_secrets_manager: {name: A}, token: $T}",
            "pipeline.value",
            "one of",
        ),
        (two, "{gitlab_secrets_manager: {name: a-b}}", "pipeline.value", "letters"),
        (
            two,
            "{gitlab_secrets_manager: {name: A, source: group/x}}",
            "pipeline.unsupported",
            "own project",
        ),
        (two, "{aws_secrets_manager: x}", "pipeline.unsupported", "secrets:aws_secrets_manager"),
        (
            two,
            "{gcp_secret_manager: {name: x}, token: $T}",
            "pipeline.unsupported",
            "secrets:gcp_secret_manager",
        ),
        (two, "{akeyless: {name: x}}", "pipeline.unsupported", "secrets:akeyless"),
        (two, "{valut: a/b}", "pipeline.unknown_keyword", "did you mean `vault`?"),
        (two, "a", "pipeline.value", "secrets"),
    ] {
        let (found, _, said) =
            wrong(&format!("a: {{script: x, {tokens}secrets: {{A: {secret}}}}}"));
        assert!(found == code && said.contains(words), "{secret}: {found} {said}");
    }
    assert_eq!(wrong("a: {script: x, secrets: {a-b: {vault: a/b}}}").0, "pipeline.value");
}

//! Secrets from elsewhere, and values that hold one on their way from job to job.

use super::flow::project;
use super::*;
use kernel::port::{OpenedSecret, SecretText, SecretUse, SecretUser};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// Signs so that one can see what for.
struct Signer;

impl Identity for Signer {
    fn issuer(&self) -> String {
        "http://127.0.0.1:8080".into()
    }
    fn sign<'a>(&'a self, claims: Value, _: Duration) -> BoxFuture<'a, Result<String>> {
        let token = format!(
            "signed.{}.{}",
            claims["aud"].as_str().unwrap(),
            claims["sha"].as_str().unwrap()
        );
        Box::pin(async move { Ok(token) })
    }
    fn job_token(&self, attempt: &str) -> String {
        format!("job-token-{attempt}")
    }
}

fn unknown() -> Error {
    Error::not_found("secret.unknown", Text::plain("there is no such secret"))
}

fn opened(variable: &str, value: &str) -> OpenedSecret {
    OpenedSecret {
        name: Name::slug(variable).unwrap(),
        variable: variable.to_owned(),
        version: 1,
        file: false,
        value: SecretText::new(value),
    }
}

/// Those of this server: one for staging, and some for every job; all for the default branch alone.
struct Kept;

impl Secrets for Kept {
    fn open<'a>(
        &'a self,
        who: &'a Principal,
        project: &'a Name,
        environment: Option<&'a str>,
        protected: bool,
        name: &'a str,
    ) -> BoxFuture<'a, Result<SecretText>> {
        let _ = (who, project, environment, protected, name);
        Box::pin(async { Err(unknown()) })
    }

    fn offered<'a>(
        &'a self,
        _: &'a Name,
        of: &'a SecretUse,
    ) -> BoxFuture<'a, Result<Vec<OpenedSecret>>> {
        let to_all = |name| OpenedSecret { file: name == "KEY", ..opened(name, "0ffered-to-all") };
        let all = ["NPM_TOKEN", "KEY"].map(to_all);
        let protected = of.protected;
        Box::pin(async move { Ok(if protected { all.to_vec() } else { Vec::new() }) })
    }

    fn open_for<'a>(
        &'a self,
        project: &'a Name,
        name: &'a str,
        of: &'a SecretUse,
    ) -> BoxFuture<'a, Result<OpenedSecret>> {
        let asked = (project.as_str(), of.environment.as_deref(), of.protected, name);
        let found = asked == ("shop", Some("staging"), true, "DB_PASSWORD")
            && matches!(&of.by, SecretUser::Job { step, .. } if step == "a");
        let answer = if found { Ok(opened(name, "kept-p4ssw0rd")) } else { Err(unknown()) };
        Box::pin(async move { answer })
    }
}

/// One question to the false Vault: its first line, its headers in lower case, its body.
#[derive(Clone, Debug)]
struct Question {
    line: String,
    head: String,
    body: String,
}

/// A false Vault over real HTTP. It knows one role, two engines and one namespace.
async fn vault() -> (String, Arc<Mutex<Vec<Question>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let asked: Arc<Mutex<Vec<Question>>> = Arc::default();
    let seen = asked.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut bytes = Vec::new();
            let mut block = [0; 4096];
            let question = loop {
                let read = stream.read(&mut block).await.unwrap_or(0);
                bytes.extend_from_slice(&block[..read]);
                let text = String::from_utf8_lossy(&bytes).into_owned();
                if let Some((head, body)) = text.split_once("\r\n\r\n") {
                    let head = head.to_lowercase();
                    let length = head.lines().find_map(|l| l.strip_prefix("content-length: "));
                    let length: usize = length.map_or(0, |l| l.parse().unwrap());
                    if body.len() >= length {
                        let line = text.lines().next().unwrap().to_owned();
                        break Question { line, head, body: body.to_owned() };
                    }
                }
                if read == 0 {
                    return;
                }
            };
            let (status, body) = answer(&question);
            seen.lock().unwrap().push(question);
            let body = body.to_string();
            let length = body.len();
            let head = format!("HTTP/1.1 {status} X\r\ncontent-length: {length}\r\n\r\n");
            let _ = stream.write_all(format!("{head}{body}").as_bytes()).await;
        }
    });
    (url, asked)
}

fn answer(question: &Question) -> (u16, Value) {
    let denied = (403, json!({"errors": ["permission denied"]}));
    let entered = question.head.contains("x-vault-token: s.entry")
        && question.head.contains("x-vault-namespace: team/a");
    match question.line.trim_end_matches(" HTTP/1.1") {
        "POST /v1/auth/naru/login" => {
            let body: Value = serde_json::from_str(&question.body).unwrap();
            let jwt = body["jwt"].as_str().unwrap();
            if body["role"] == "deploy" && jwt.starts_with("signed.https://vault.") {
                return (200, json!({"auth": {"client_token": "s.entry"}}));
            }
            (400, json!({"errors": [format!("no role for {jwt}")]}))
        }
        "GET /v1/ops/data/production/db" if entered => {
            (200, json!({"data": {"data": {"password": "v4ult-p4ssw0rd", "port": 5432}}}))
        }
        "GET /v1/old/a%20b" if entered => (200, json!({"data": {"cert": "line-one\nline-two\n"}})),
        _ => denied,
    }
}

async fn world_with(secrets: bool, identity: bool) -> (tempfile::TempDir, World) {
    let dir = world_dir();
    let shelf = Arc::new(Shelf::default());
    if identity {
        let _ = shelf.identity.set(Arc::new(Signer));
    }
    if secrets {
        let _ = shelf.secrets.set(Arc::new(Kept));
    }
    let world = World::open(dir.path(), &shelf).await;
    project(&world, "shop", &["kim"]).await;
    (dir, world)
}

/// The files of its data that hold the words, but for the places of jobs and their processes, which go when
/// those end.
fn holding(data: &Path, words: &str) -> Vec<PathBuf> {
    let (mut found, mut left) = (Vec::new(), vec![data.to_owned()]);
    while let Some(dir) = left.pop() {
        if dir == data.join("work/jobs") || dir == data.join("host") {
            continue;
        }
        for entry in std::fs::read_dir(dir).unwrap().flatten() {
            let (path, kind) = (entry.path(), entry.file_type().unwrap());
            if kind.is_dir() {
                left.push(path);
            } else if kind.is_file() {
                let bytes = std::fs::read(&path).unwrap_or_default();
                if bytes.windows(words.len()).any(|w| w == words.as_bytes()) {
                    found.push(path);
                }
            }
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_of_vault_are_there_in_files_and_variables_and_nowhere_else() {
    let (dir, world) = world_with(false, true).await;
    let (url, asked) = vault().await;
    let ci = format!(
        "variables: {{VAULT_SERVER_URL: {url}/, VAULT_AUTH_PATH: naru, VAULT_AUTH_ROLE: deploy, VAULT_NAMESPACE: team/a, STAGE: production}}
a:
  id_tokens: {{VAULT_ID_TOKEN: {{aud: https://vault.example.com}}}}
  secrets:
    PASSWORD: {{vault: $STAGE/db/password@ops, file: false}}
    PORT: {{vault: {{engine: {{name: kv-v2, path: ops}}, path: production/db, field: port}}, file: false}}
    CERT: {{vault: {{engine: {{name: kv-v1, path: old}}, path: a b, field: cert}}, token: $VAULT_ID_TOKEN}}
  script:
    - echo \"<$PASSWORD> <$PORT>\"
    - test \"$(printf %s \"$PASSWORD\" | wc -c)\" = 14
    - test \"$(sed -n 2p \"$CERT\")\" = line-\"\"two && cat \"$CERT\"
  after_script: ['test \"$(printf %s \"$PASSWORD\" | wc -c)\" = 14 && echo still there']
"
    );
    let (_, run) = world.pipeline("shop", &ci).await;
    let log = world.log(&run, "a").await;
    assert_eq!(state(&run, "a"), StepState::Passed, "{log}");
    assert!(log.contains("<[MASKED]> <[MASKED]>") && log.contains("still there"), "{log}");
    assert!(!log.contains("line-two\n"), "{log}");
    let asked = asked.lock().unwrap().clone();
    let lines: Vec<&str> = asked.iter().map(|q| q.line.as_str()).collect();
    let want = [
        "POST /v1/auth/naru/login HTTP/1.1",
        "GET /v1/ops/data/production/db HTTP/1.1",
        "GET /v1/ops/data/production/db HTTP/1.1",
        "GET /v1/old/a%20b HTTP/1.1",
    ];
    assert_eq!(lines, want, "one login is enough");
    world.close().await;
    for secret in ["v4ult-p4ssw0rd", "line-two", "s.entry", "signed.https://vault"] {
        assert_eq!(holding(dir.path(), secret), Vec::<PathBuf>::new(), "{secret}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_cannot_be_had_is_named_and_fails_the_job() {
    let (_dir, world) = world_with(true, true).await;
    let (url, _) = vault().await;
    let job = |role: &str, variables: &str, secret: &str| {
        format!(
            "a:
  variables: {{VAULT_AUTH_PATH: naru, VAULT_AUTH_ROLE: {role}, VAULT_NAMESPACE: team/a, {variables}}}
  id_tokens: {{T: {{aud: https://vault.x}}}}
  secrets: {{PASSWORD: {secret}}}
  script: echo ran
"
        )
    };
    let server = format!("VAULT_SERVER_URL: '{url}'");
    for (variables, secret, words) in [
        ("A: b", "{vault: a/b@ops}", "VAULT_SERVER_URL is not set"),
        (server.as_str(), "{vault: a/b@ops}", "Vault answers 403 to ops/data/a: permission denied"),
        (server.as_str(), "{vault: production/db/user@ops}", "has no field “user”"),
        (server.as_str(), "{vault: ../b@ops}", "one that climbs"),
        (server.as_str(), "{vault: a/b, token: $NONE}", "there is no token to show"),
        ("VAULT_SERVER_URL: 'http://127.0.0.1:1'", "{vault: a/b}", "127.0.0.1 cannot be reached"),
        (server.as_str(), "{gitlab_secrets_manager: {name: OTHER}}", "there is no such secret"),
    ] {
        let (_, run) = world.pipeline("shop", &job("deploy", variables, secret)).await;
        let reason = run.step("a").unwrap().reason.clone().unwrap_or_default();
        assert_eq!(state(&run, "a"), StepState::Failed, "{reason:?}");
        assert!(
            reason.en.contains("the secret PASSWORD: ") && reason.en.contains(words),
            "{reason:?}"
        );
    }
    let (_, run) = world.pipeline("shop", &job("other", &server, "{vault: a/b}")).await;
    let reason = run.step("a").unwrap().reason.clone().unwrap_or_default();
    assert!(reason.en.contains("400 to auth/naru/login: no role for [MASKED]"), "{reason:?}");
    assert!(reason.en.contains("bound_audiences"), "{reason:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_of_this_server_are_opened_for_the_jobs_that_may_have_them() {
    let (_dir, world) = world_with(true, true).await;
    let ci = "a:
  environment: staging
  secrets: {PASSWORD: {gitlab_secrets_manager: {name: DB_PASSWORD}}}
  script: ['test \"$(cat $PASSWORD)\" = kept-\"p4ssw0rd\"', 'cat $PASSWORD']
";
    let (_, run) = world.pipeline("shop", ci).await;
    let log = world.log(&run, "a").await;
    assert_eq!(state(&run, "a"), StepState::Passed, "{log}");
    assert!(log.contains("[MASKED]") && !log.contains("kept-p4ssw0rd"), "{log}");

    let to_all = "variables: {NPM_TOKEN: of the file}
a:
  script:
    - test \"$NPM_TOKEN $(cat $KEY)\" = \"0ffered-\"\"to-all 0ffered-\"\"to-all\"
    - echo \"<$NPM_TOKEN>\"
";
    let (_, run) = world.pipeline("shop", to_all).await;
    let log = world.log(&run, "a").await;
    assert_eq!(state(&run, "a"), StepState::Passed, "{log}");
    assert!(log.contains("<[MASKED]>"), "{log}");
    // What is given by hand is meant.
    let by_hand = ByHand {
        repository: name("web"),
        refname: "main".into(),
        variables: [("NPM_TOKEN".to_owned(), "mine".to_owned())].into(),
        inputs: serde_json::Map::new(),
    };
    let head = world.store.head();
    let id = world.pipelines.run(&name("shop"), by_hand, reader()).await.unwrap();
    world.wait(head, |e| PipelineFinished::of(e).filter(|f| f.run.as_ref() == Some(&id))).await;
    let run = world.engine.show(&id).await.unwrap();
    assert_eq!(state(&run, "a"), StepState::Failed);

    let (_dir, bare) = world_with(false, true).await;
    let (_, run) = bare.pipeline("shop", ci).await;
    let reason = run.step("a").unwrap().reason.clone().unwrap_or_default();
    assert!(reason.en.contains("the secret PASSWORD: no secrets are kept here"), "{reason:?}");
}

const HANDING: &str = "
a:
  stage: build
  environment: staging
  secrets: {TOKEN: {gitlab_secrets_manager: {name: DB_PASSWORD}, file: false}}
  script: ['echo \"URL=https://u:$TOKEN@h\" > v.env; echo \"A=1\" >> v.env']
  artifacts: {reports: {dotenv: v.env}}
b:
  stage: test
  script:
    - test \"$URL\" = \"https://u:kept-\"\"p4ssw0rd@h\" && test $A = 1 && test -z \"$TOKEN\"
    - PART=${URL#*u:} && echo \"$URL and ${PART%@h}\"
    - echo \"AGAIN=$URL\" > w.env
  artifacts: {reports: {dotenv: w.env}}
c: {stage: deploy, needs: [b], script: ['test \"$AGAIN\" = \"https://u:kept-\"\"p4ssw0rd@h\"']}
";

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_in_a_dotenv_report_is_handed_on_to_jobs_and_to_nobody_else() {
    let (dir, world) = world_with(true, false).await;
    let (_, first) = world.pipeline("shop", HANDING).await;
    let log = world.log(&first, "b").await;
    for step in ["a", "b", "c"] {
        assert_eq!(state(&first, step), StepState::Passed, "{step}: {log}");
    }
    assert!(log.contains("[MASKED] and [MASKED]\n"), "a part of it is hidden, too: {log}");
    let shown = first.step("a").unwrap().output["variables"].clone();
    assert_eq!(shown, json!({"A": "1", "URL": "https://u:[MASKED]@h"}));
    assert!(world.log(&first, "a").await.contains("URL holds a secret"));

    // A job that is run again finds it still, and nothing holds it once both runs are forgotten.
    let head = world.store.head();
    let second = world.engine.retry(&first.id, Some("b"), reader()).await.unwrap();
    let over = |e: &Event| PipelineFinished::of(e).filter(|f| f.run.as_ref() == Some(&second));
    world.wait(head, over).await;
    assert_eq!(state(&world.engine.show(&second).await.unwrap(), "b"), StepState::Passed);
    let sealed = async || {
        let rows = |v: &store::View<'_>| v.rows::<String>(crate::handed::SEALED, "", None, 100);
        world.store.read(rows).await.unwrap().len()
    };
    assert_eq!(sealed().await, 3, "of a, of b, and of b again");
    world.pipelines.forget(&first.id).await.unwrap();
    assert_eq!(sealed().await, 2, "the retry needs what a has left");
    world.pipelines.forget(&second).await.unwrap();
    assert_eq!(sealed().await, 0);
    world.close().await;
    assert_eq!(holding(dir.path(), "kept-p4ssw0rd"), Vec::<PathBuf>::new());
}

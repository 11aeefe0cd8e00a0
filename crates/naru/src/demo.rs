//! `naru up --demo`: a user of the platform, played before your eyes. It uses the real git client, the API
//! and the edge, and nothing that another user could not.

use crate::config::Config;
use crate::open::Platform;
use cli::Client;
use kernel::time::show_duration;
use kernel::{Error, Lang, Result, text};
use serde_json::{Value, json};
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::Command;

macro_rules! example {
    ($app:literal: $($file:literal),* $(,)?) => {
        &[$(($file, include_str!(concat!("../../../examples/", $app, "/", $file)))),*]
    };
}

type Files = &'static [(&'static str, &'static str)];

const TIMETABLE: Files = example!("timetable": "app.py", "timetable.py", "test_timetable.py", ".gitlab-ci.yml", "naru.yaml", ".gitignore");
const TIDES: Files = example!("tides": "Cargo.toml", "Cargo.lock", "src/lib.rs", "src/main.rs", ".gitlab-ci.yml", "naru.yaml", ".gitignore");

const PROJECT: &str = "demo";

pub struct Demo {
    client: Client,
    lang: Lang,
    data: PathBuf,
    edge: SocketAddr,
    url: String,
    ca_file: Option<std::path::PathBuf>,
}

impl Demo {
    pub fn new(platform: &Platform, config: &Config, lang: Lang) -> Demo {
        let endpoint = platform.local.clone();
        Demo {
            client: Client::new(endpoint, lang),
            lang,
            data: config.data.clone(),
            edge: platform.edge_address,
            url: platform.local.url.clone(),
            ca_file: platform.local.ca_file.clone(),
        }
    }

    pub async fn run(self) -> Result<()> {
        let project = format!("/api/v1/projects/{PROJECT}");
        if self.client.get::<Value>(&project).await.is_ok() {
            self.say(
                "the demo has been here before: its project and services are as it left them",
                "데모가 이미 다녀갔습니다. 프로젝트와 서비스가 그대로 있습니다",
            );
            return self.goodbye().await;
        }
        self.client.put::<Value>(&project, &json!({ "spec": { "title": "Demo" } })).await?;
        let app = self.repository("timetable", TIMETABLE).await?;
        self.first(&app).await?;
        self.second(&app).await?;
        self.third(&app).await?;
        self.fourth(&app).await?;
        self.rust().await?;
        self.metrics().await?;
        self.goodbye().await
    }

    async fn first(&self, app: &Path) -> Result<()> {
        self.title(
            "1",
            "the first push of a Python service: build, test, release, two instances",
            "파이썬 서비스의 첫 푸시: 빌드, 테스트, 릴리스, 인스턴스 둘",
        );
        self.push(app, "Show when the ferry leaves").await?;
        self.look("web").await
    }

    async fn second(&self, app: &Path) -> Result<()> {
        self.title(
            "2",
            "a second change alters the answer, while a load runs against the service",
            "두 번째 변경이 응답을 바꿉니다. 그동안 부하가 계속됩니다",
        );
        self.edit(app, "app.py", "leaves soon", "leaves every twenty minutes")?;
        let load = Load::start(self.edge, format!("web.{PROJECT}.localhost"));
        let pushed = self.push(app, "Say how often the ferry leaves").await;
        let (good, bad) = load.stop().await;
        pushed?;
        self.line(
            text!(
                "  load: {good} requests answered, {bad} failed",
                "  부하: 요청 {good}건 응답, {bad}건 실패"
            )
            .get(self.lang),
        );
        self.look("web").await
    }

    async fn third(&self, app: &Path) -> Result<()> {
        self.title(
            "3",
            "a third change breaks a test: it never reaches production",
            "세 번째 변경은 테스트를 깨뜨립니다. 운영에 가지 못합니다",
        );
        self.edit(
            app,
            "timetable.py",
            "FIRST, LAST, EVERY = 6 * 60",
            "FIRST, LAST, EVERY = 7 * 60",
        )?;
        self.push(app, "Start at seven").await?;
        self.look("web").await
    }

    async fn fourth(&self, app: &Path) -> Result<()> {
        self.title(
            "4",
            "a fourth passes its tests and fails its health check in production: the rollout stops",
            "네 번째는 테스트를 통과하지만 운영 상태 검사에서 실패합니다. 롤아웃이 멈춥니다",
        );
        self.edit(
            app,
            "timetable.py",
            "FIRST, LAST, EVERY = 7 * 60",
            "FIRST, LAST, EVERY = 6 * 60",
        )?;
        self.edit(
            app,
            "app.py",
            "self.answer(200, \"text/plain\", \"ok\\n\")",
            "self.answer(500, \"text/plain\", \"no database\\n\")",
        )?;
        self.edit(
            app,
            "naru.yaml",
            "  health: /healthz",
            "  health: /healthz\n  ready_within: 2s",
        )?;
        self.push(app, "Check the database in the health check").await?;
        self.look("web").await
    }

    async fn rust(&self) -> Result<()> {
        self.title(
            "5",
            "a Rust service, tested and built by its pipeline",
            "Rust 서비스. 파이프라인이 테스트하고 빌드합니다",
        );
        if Command::new("cargo")
            .arg("--version")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .await
            .is_err()
        {
            self.say("  no cargo on this machine: skipped", "  이 기계에 cargo가 없어 건너뜁니다");
            return Ok(());
        }
        let app = self.repository("tides", TIDES).await?;
        self.push(&app, "Tell the height of the tide").await?;
        self.look("tides").await
    }

    async fn metrics(&self) -> Result<()> {
        self.title("·", "the key metrics", "핵심 지표");
        let page: Value = self.client.get(&format!("/api/v1/projects/{PROJECT}/metrics")).await?;
        self.line(
            &insight::cmd::tabled(page.get("items").unwrap_or(&Value::Null), self.lang)
                .render(false),
        );
        Ok(())
    }

    async fn goodbye(&self) -> Result<()> {
        let link: Value = self.client.post("/api/v1/sign-in-links", &json!({})).await?;
        let link =
            format!("{}{}", self.url, link.get("path").and_then(Value::as_str).unwrap_or("/"));
        let (project, port) = (PROJECT, self.edge.port());
        self.line(text!(
            "\nThe service: http://web.{project}.localhost:{port}/\nThe pages:   {link} (signs you in once)\nCtrl-C stops everything; `naru up` finds it all again",
            "\n서비스: http://web.{project}.localhost:{port}/\n화면:   {link} (한 번 로그인)\nCtrl-C로 모두 멈춥니다. `naru up`이 다시 찾아냅니다"
        ).get(self.lang));
        Ok(())
    }

    fn line(&self, words: &str) {
        // A closed terminal does not stop the demo.
        let _ = writeln!(std::io::stderr(), "{words}");
    }

    fn say(&self, en: &str, ko: &str) {
        self.line(self.lang.pick(en, ko));
    }

    fn title(&self, number: &str, en: &str, ko: &str) {
        self.line(&format!("\n━━ {number} ━━ {}", self.lang.pick(en, ko)));
    }

    /// A working copy below the data directory, as a developer would have one.
    async fn repository(&self, name: &str, files: Files) -> Result<PathBuf> {
        let dir = self.data.join("demo").join(name);
        for (file, words) in files {
            let path = dir.join(file);
            let parent = path.parent().unwrap_or(&dir);
            std::fs::create_dir_all(parent)
                .and_then(|()| std::fs::write(&path, words))
                .map_err(Error::internal)?;
        }
        git(&dir, &["init", "--quiet", "--initial-branch=main", "."]).await?;
        git(&dir, &["remote", "add", "naru", &format!("{}/{PROJECT}/{name}.git", self.url)])
            .await?;
        Ok(dir)
    }

    fn edit(&self, dir: &Path, file: &str, from: &str, to: &str) -> Result<()> {
        let path = dir.join(file);
        let words = std::fs::read_to_string(&path).map_err(Error::internal)?;
        if !words.contains(from) {
            return Err(Error::internal(format!("the demo's edit of {file} does not fit")));
        }
        std::fs::write(&path, words.replacen(from, to, 1)).map_err(Error::internal)
    }

    /// Commits, pushes with `-o follow` and shows what git shows; then the trace of the change.
    async fn push(&self, dir: &Path, subject: &str) -> Result<()> {
        git(dir, &["add", "--all"]).await?;
        git(
            dir,
            &[
                "-c",
                "user.name=Ada",
                "-c",
                "user.email=ada@example.org",
                "commit",
                "--quiet",
                "--message",
                subject,
            ],
        )
        .await?;
        self.line(&format!("$ git commit -m \"{subject}\" && git push -o follow naru main"));
        let exe = std::env::current_exe().map_err(Error::internal)?;
        let helper = format!("credential.helper=!'{}' git-credential", exe.display());
        let began = Instant::now();
        let believed = self.ca_file.iter().map(|f| format!("http.sslCAInfo={}", f.display()));
        let mut child = command(dir)
            .args(believed.flat_map(|setting| ["-c".to_owned(), setting]))
            .args(["-c", &helper, "push", "-o", "follow", "naru", "main"])
            .env("NARU_DATA", &self.data)
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(Error::internal)?;
        if let Some(stderr) = child.stderr.take() {
            let mut lines = BufReader::new(stderr).lines();
            while let Some(line) = lines.next_line().await.map_err(Error::internal)? {
                self.line(&format!(
                    "  {}",
                    line.trim_end().trim_end_matches("\u{1b}[K").trim_end()
                ));
            }
        }
        child.wait().await.map_err(Error::internal)?;
        let took = show_duration(began.elapsed());
        self.line(
            text!("  git came back after {took}", "  git이 {took} 만에 돌아왔습니다")
                .get(self.lang),
        );
        self.trace().await
    }

    async fn trace(&self) -> Result<()> {
        let newest: Value =
            self.client.get(&format!("/api/v1/projects/{PROJECT}/changes?limit=1")).await?;
        let Some(name) = newest.pointer("/items/0/name").and_then(Value::as_str) else {
            return Ok(());
        };
        let found: Value =
            self.client.get(&format!("/api/v1/projects/{PROJECT}/changes/{name}")).await?;
        self.line(&insight::cmd::traced(&found, self.lang).render(false));
        Ok(())
    }

    /// Asks the service through the edge, as a browser would.
    async fn look(&self, service: &str) -> Result<()> {
        let host = format!("{service}.{PROJECT}.localhost");
        let port = self.edge.port();
        let answer = match ask(self.edge, &host).await {
            Ok(answer) => answer,
            Err(e) => e.to_string(),
        };
        self.line(&format!("$ curl http://{host}:{port}/\n  {}", answer.trim()));
        Ok(())
    }
}

fn command(dir: &Path) -> Command {
    let mut command = Command::new("git");
    command
        .current_dir(dir)
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .stdin(Stdio::null());
    command
}

async fn git(dir: &Path, args: &[&str]) -> Result<()> {
    let out = command(dir).args(args).output().await.map_err(Error::internal)?;
    if out.status.success() {
        return Ok(());
    }
    let why = String::from_utf8_lossy(&out.stderr).trim().to_owned();
    Err(Error::internal(format!("git {}: {why}", args.join(" "))))
}

/// One request on a connection of its own: the status line when it is not 200, else the body.
async fn ask(edge: SocketAddr, host: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(edge).await?;
    let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.take(64 * 1024).read_to_string(&mut answer).await?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.lines().next().unwrap_or("");
    Ok(if status.contains(" 200 ") { body.to_owned() } else { status.to_owned() })
}

/// Requests without pause until it is stopped.
struct Load {
    stop: Arc<AtomicBool>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
    good: Arc<AtomicU64>,
    bad: Arc<AtomicU64>,
}

impl Load {
    fn start(edge: SocketAddr, host: String) -> Load {
        let (stop, good, bad) = (
            Arc::<AtomicBool>::default(),
            Arc::<AtomicU64>::default(),
            Arc::<AtomicU64>::default(),
        );
        let tasks = (0..2)
            .map(|_| {
                let (stop, good, bad, host) =
                    (stop.clone(), good.clone(), bad.clone(), host.clone());
                tokio::spawn(async move {
                    while !stop.load(Ordering::Relaxed) {
                        let asked =
                            tokio::time::timeout(Duration::from_secs(10), ask(edge, &host)).await;
                        let well = matches!(asked, Ok(Ok(body)) if body.contains("ferry"));
                        let count = if well { &good } else { &bad };
                        count.fetch_add(1, Ordering::Relaxed);
                        tokio::time::sleep(Duration::from_millis(4)).await;
                    }
                })
            })
            .collect();
        Load { stop, tasks, good, bad }
    }

    async fn stop(self) -> (u64, u64) {
        self.stop.store(true, Ordering::Relaxed);
        for task in self.tasks {
            // A panic there would have been a failed request.
            let _ = task.await;
        }
        (self.good.load(Ordering::Relaxed), self.bad.load(Ordering::Relaxed))
    }
}

//! Against the servers themselves.

use crate::kind::{Lends, Secret};
use crate::lend::Lender;
use crate::set::{Settings, Value, Wanted};
use crate::tests::{World, han, name, world};
use kernel::port::{SecretUse, SecretUser, Secrets as Port};
use kernel::{Id, Kind, SecretText};
use secret::lease::Leases;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use store::Filter;
use tokio_util::sync::CancellationToken;

/// Killed with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// PostgreSQL refuses to be root.
fn nobody(program: &Path, dir: &Path) -> Command {
    let mut command = Command::new(program);
    if rustix::process::geteuid().is_root() {
        command.uid(65534).gid(65534);
        std::os::unix::fs::chown(dir, Some(65534), Some(65534)).unwrap();
    }
    command.current_dir(dir).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

fn bin(name: &str) -> std::path::PathBuf {
    let versions =
        std::fs::read_dir("/usr/lib/postgresql").expect("PostgreSQL: cargo xtask test installs it");
    let found = versions.flatten().map(|v| v.path().join("bin").join(name)).find(|p| p.exists());
    found.unwrap_or_else(|| panic!("{name} of PostgreSQL"))
}

async fn listens(port: u16) {
    let knock = async {
        while tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), knock).await.expect("it listens");
}

/// A cluster of its own with the administrator `boss`, who is no superuser, and the role `clerks`.
async fn postgres(dir: &Path) -> (Running, u16) {
    std::fs::set_permissions(dir, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let data = dir.join("pg");
    std::fs::create_dir(&data).unwrap();
    std::fs::write(data.join("../pw"), "root-pw").unwrap();
    let made = nobody(&bin("initdb"), &data)
        .args([
            "--no-sync",
            "-D",
            data.to_str().unwrap(),
            "-U",
            "root",
            "--auth=scram-sha-256",
            "--locale=C.UTF-8",
        ])
        .arg(format!("--pwfile={}", dir.join("pw").display()))
        .status();
    assert!(made.unwrap().success(), "initdb");
    let port = host::free_port().unwrap();
    let mut server = nobody(&bin("postgres"), &data);
    server.args([
        "-D",
        ".",
        "-h",
        "127.0.0.1",
        "-p",
        &port.to_string(),
        "-k",
        "",
        "-c",
        "fsync=off",
    ]);
    let server = Running(server.spawn().unwrap());
    listens(port).await;
    let root =
        enter(&format!("postgresql://root:root-pw@127.0.0.1:{port}/postgres")).await.unwrap();
    root.batch_execute(
        "CREATE ROLE boss LOGIN CREATEROLE PASSWORD 'boss-pw'; CREATE ROLE clerks; GRANT clerks TO boss WITH ADMIN OPTION;
         GRANT pg_signal_backend TO boss; CREATE TABLE orders (id int); GRANT SELECT ON orders TO clerks;
         GRANT CREATE ON SCHEMA public TO clerks, boss;",
    )
    .await
    .unwrap();
    (server, port)
}

/// A server that has just begun may still refuse.
async fn enter(url: &str) -> Result<tokio_postgres::Client, tokio_postgres::Error> {
    let mut last = None;
    for _ in 0..200 {
        match tokio_postgres::connect(url, tokio_postgres::NoTls).await {
            Ok((client, connection)) => {
                tokio::spawn(connection);
                return Ok(client);
            }
            Err(error)
                if error.code() == Some(&tokio_postgres::error::SqlState::CANNOT_CONNECT_NOW) =>
            {
                last = Some(error);
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            Err(error) => return Err(error),
        }
    }
    Err(last.unwrap())
}

async fn redis(dir: &Path) -> (Running, u16) {
    let port = host::free_port().unwrap();
    let mut server = Command::new("redis-server");
    server.args([
        "--port",
        &port.to_string(),
        "--bind",
        "127.0.0.1",
        "--save",
        "",
        "--requirepass",
        "boss-pw",
    ]);
    server.current_dir(dir).stdin(Stdio::null()).stdout(Stdio::null());
    let server = Running(server.spawn().expect("redis-server: cargo xtask test installs it"));
    listens(port).await;
    (server, port)
}

impl World {
    async fn lend(&self, by: Lender, url: &str, grant: &[&str]) {
        self.set("boss", url, Settings { jobs: Some(false), ..Settings::default() }).await.unwrap();
        let grant = grant.iter().map(|g| (*g).to_owned()).collect();
        let lends = Lends { by, connection: name("boss"), grant, life: "10m".into() };
        let settings = Settings { lends: Some(lends), ..Settings::default() };
        let wanted = Wanted { name: name("db"), settings, value: Value::Same, known: false };
        self.secrets.write(&name("shop"), vec![wanted], han()).await.unwrap();
    }

    async fn asked(&self, step: &str) -> kernel::Result<SecretText> {
        let by = SecretUser::Job { run: Id::new(7, 7), step: step.into() };
        let of = SecretUse { by, environment: None, protected: true };
        Ok(self.secrets.open_for(&name("shop"), "DB", &of).await?.value)
    }

    async fn out(&self) -> usize {
        self.store.read(|v| Leases::list_in(v, None)).await.unwrap().len()
    }

    /// What the engine of runs says.
    async fn step_ends(&self, step: &str) {
        let data = serde_json::json!({ "run": Id::new(7, 7), "step": step });
        let say = kernel::Text::plain("over");
        let event = kernel::NewEvent::new("run.step.finished", han(), say).data(data);
        self.store.write(move |tx| tx.append(event)).await.unwrap();
    }

    /// The first event of that kind after `seq`.
    async fn heard(&self, seq: u64, kind: &str) -> kernel::Event {
        let mut feed = self.store.follow(seq);
        let wait = async {
            loop {
                let event = feed.next().await.unwrap();
                if event.fact.kind == kind {
                    return (*event).clone();
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(20), wait).await.expect(kind)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_gets_a_role_of_its_own_that_goes_with_its_step() {
    let world = world().await;
    // PostgreSQL has its own clock, and ends roles by it.
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    world.clock.advance(now - Duration::from_millis(kernel::Clock::now(&world.clock).0 as u64));
    let (server, port) = postgres(world.dir.path()).await;
    let boss = format!("postgresql://boss:boss-pw@127.0.0.1:{port}/postgres");
    world.lend(Lender::Postgres, &boss, &["clerks"]).await;
    let stop = CancellationToken::new();
    let loops = world.secrets.start(stop.clone());
    let (url, other) = (world.asked("test").await.unwrap(), world.asked("deploy").await.unwrap());
    assert_ne!(url, other, "each its own");
    let client = enter(url.reveal()).await.unwrap();
    client.batch_execute("SELECT * FROM orders; CREATE TABLE mine (id int)").await.unwrap();
    let about = "SELECT rolvaliduntil::text, rolsuper, current_user::text FROM pg_roles WHERE rolname = current_user";
    let row = client.query_one(about, &[]).await.unwrap();
    let (until, superuser, who): (String, bool, String) = (row.get(0), row.get(1), row.get(2));
    assert!(!until.is_empty() && until != "infinity", "{until}");
    assert!(!superuser && who.starts_with("naru_"), "{who}");

    // Half of its life later it holds for longer, because its step has not ended.
    let leases = world.store.read(|v| Leases::list_in(v, None)).await.unwrap();
    let before = leases[0].expires;
    let extended = async {
        loop {
            let leases = world.store.read(|v| Leases::list_in(v, None)).await.unwrap();
            if leases.iter().all(|l| l.expires > before) {
                return;
            }
            let half = before.0 - 300_000;
            let now = kernel::Clock::now(&world.clock).0;
            world.clock.advance(Duration::from_millis((half - now).max(0) as u64));
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), extended).await.expect("extended");

    let seq = world.store.head();
    world.step_ends("test").await;
    world.heard(seq, "lease.revoked").await;
    assert!(client.query("SELECT 1", &[]).await.is_err(), "what was open is closed");
    assert!(enter(url.reveal()).await.is_err(), "and nobody comes in by it");
    assert!(enter(other.reveal()).await.is_ok(), "the other step's is untouched");
    let root =
        enter(&format!("postgresql://root:root-pw@127.0.0.1:{port}/postgres")).await.unwrap();
    let owner =
        root.query_one("SELECT tableowner::text FROM pg_tables WHERE tablename = 'mine'", &[]);
    assert_eq!(owner.await.unwrap().get::<_, String>(0), "boss", "what it made stays");

    // One that naru does not know goes, one of somebody else stays.
    let tag: String =
        world.store.read(|v| v.row("security-secret.tag", "tag")).await.unwrap().unwrap();
    root.batch_execute(&format!(
        "SET ROLE boss; CREATE ROLE naru_lost_{tag} LOGIN; CREATE ROLE naru_lost_00000000 LOGIN;"
    ))
    .await
    .unwrap();
    world.secrets.sweep().await;
    let left = root
        .query("SELECT rolname::text FROM pg_roles WHERE rolname LIKE 'naru%'", &[])
        .await
        .unwrap();
    let left: Vec<String> = left.iter().map(|r| r.get(0)).collect();
    assert_eq!(left.len(), 2, "{left:?}");
    assert!(
        left.contains(&"naru_lost_00000000".to_owned())
            && !left.contains(&format!("naru_lost_{tag}"))
    );

    // While the server is away it is tried again; once it is back the role goes.
    drop((client, server));
    let seq = world.store.head();
    world.step_ends("deploy").await;
    let stuck = world.heard(seq, "lease.stuck").await;
    assert!(!serde_json::to_string(&stuck).unwrap().contains("boss-pw"));
    assert_eq!(world.out().await, 1);
    let gone = world.secrets.remove(&name("shop"), &name("boss"), han()).await.unwrap_err();
    assert_eq!(gone.code(), "secret.needed");
    let _ = std::fs::remove_file(world.dir.path().join("pg/postmaster.pid"));
    let mut again = nobody(&bin("postgres"), &world.dir.path().join("pg"));
    again.args([
        "-D",
        ".",
        "-h",
        "127.0.0.1",
        "-p",
        &port.to_string(),
        "-k",
        "",
        "-c",
        "fsync=off",
    ]);
    let _again = Running(again.spawn().unwrap());
    listens(port).await;
    let back = async {
        while world.out().await > 0 {
            world.clock.advance(Duration::from_secs(60));
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), back).await.expect("taken back in the end");
    assert!(enter(other.reveal()).await.is_err());
    let journal = world.store.read(|v| v.events(0, 10_000, &Filter::default())).await.unwrap();
    let journal = serde_json::to_string(&journal).unwrap();
    for secret in ["boss-pw", url.reveal(), other.reveal()] {
        assert!(!journal.contains(secret), "in the journal");
    }
    stop.cancel();
    loops.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_gets_a_user_of_redis_that_goes_with_it() {
    let world = world().await;
    let (_server, port) = redis(world.dir.path()).await;
    let boss = format!("redis://default:boss-pw@127.0.0.1:{port}");
    world.lend(Lender::Redis, &boss, &["~orders:*", "+@read", "+@connection"]).await;
    let stop = CancellationToken::new();
    let loops = world.secrets.start(stop.clone());
    let by = SecretUser::Service { service: name("web"), instance: "web-1-0-1".into() };
    let of = SecretUse { by, environment: Some("production".into()), protected: true };
    let url = world.secrets.open_for(&name("shop"), "db", &of).await.unwrap().value;
    let tells = |url: &str, command: &[&str]| {
        let said = Command::new("redis-cli")
            .args(["-u", url, "--no-auth-warning"])
            .args(command)
            .output()
            .unwrap();
        String::from_utf8_lossy(&said.stdout).trim().to_owned()
    };
    assert!(tells(url.reveal(), &["ACL", "WHOAMI"]).contains("NOPERM"));
    assert_eq!(tells(url.reveal(), &["GET", "orders:1"]), "");
    assert!(tells(url.reveal(), &["GET", "people:1"]).contains("NOPERM"));
    assert!(tells(url.reveal(), &["SET", "orders:1", "x"]).contains("NOPERM"));

    let key = crate::lend::instance(&name("shop"), &name("web-1-0-1"));
    let put = store::Put {
        key: key.clone(),
        labels: Default::default(),
        spec: serde_json::json!({}),
        expected: None,
        actor: han(),
    };
    world.store.write(move |tx| tx.put(put)).await.unwrap();
    let seq = world.store.head();
    world.store.write(move |tx| tx.delete(&key, None, han()).map(drop)).await.unwrap();
    world.heard(seq, "lease.revoked").await;
    assert_eq!(tells(&boss, &["ACL", "USERS"]), "default");
    assert!(
        tells(url.reveal(), &["PING"]).contains("WRONGPASS")
            || !tells(url.reveal(), &["PING"]).contains("PONG")
    );
    stop.cancel();
    loops.await.unwrap();
}

#[tokio::test]
async fn one_that_gives_no_account_is_said_and_leaves_nothing() {
    let world = world().await;
    let port = host::free_port().unwrap();
    world
        .lend(Lender::Postgres, &format!("postgresql://boss:boss-pw@127.0.0.1:{port}/x"), &[])
        .await;
    let error = world.asked("test").await.unwrap_err();
    assert_eq!(error.code(), "secret.lender");
    assert!(!format!("{error:?}").contains("boss-pw"), "{error:?}");
    let leases = world.store.read(|v| Leases::list_in(v, None)).await.unwrap();
    assert_eq!(
        (leases.len(), leases[0].expires <= world.store.now()),
        (1, true),
        "to be taken back at once"
    );
    let by = SecretUser::Job { run: Id::new(7, 7), step: "x".into() };
    let of = SecretUse { by, environment: None, protected: true };
    assert!(world.offered(&of).await.is_empty(), "no job gets an account without asking");
}

#[test]
fn what_makes_no_sense_is_refused() {
    let lends = |by, grant: &str, life: &str| Secret {
        lends: Some(Lends {
            by,
            connection: name("boss"),
            grant: vec![grant.into()],
            life: life.into(),
        }),
        ..Secret::default()
    };
    assert!(lends(Lender::Redis, "+@read", "10m").check().is_ok());
    for wrong in [
        lends(Lender::Redis, ">password", "10m"),
        lends(Lender::Redis, "NOPASS", "10m"),
        lends(Lender::Postgres, "", "10m"),
        lends(Lender::Postgres, "clerks", "10s"),
        lends(Lender::Postgres, "clerks", "2d"),
        Secret { rotate_every: Some("90d".into()), ..lends(Lender::Postgres, "clerks", "1h") },
    ] {
        assert_eq!(wrong.check().unwrap_err().code(), "secret.spec", "{wrong:?}");
    }
}

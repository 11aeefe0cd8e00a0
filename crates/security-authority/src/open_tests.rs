//! The CA over restarts, jumps of the clock and losses.

use super::*;
use authority::key_and_csr;
use store::clock::Manual;
use store::{Durability, Filter};
use tokio_util::sync::CancellationToken;

const DAY: Duration = Duration::from_secs(86_400);
const NOW: Time = Time(1_800_000_000_000);

struct World {
    dir: tempfile::TempDir,
    clock: Manual,
    store: Store,
    shown: Arc<Shown>,
}

impl World {
    fn new() -> World {
        let (dir, clock) = (tempfile::tempdir().unwrap(), Manual::new(NOW));
        let options = store::Options {
            clock: Arc::new(clock.clone()),
            durability: Durability::Process,
            chaos: None,
        };
        let store = Store::open(&dir.path().join("naru.db"), options).unwrap();
        World { dir, clock, store, shown: Arc::default() }
    }

    fn options(&self) -> Options {
        let at = |name: &str| self.dir.path().join(name);
        Options {
            store: self.store.clone(),
            file: at("authority.json"),
            own: at("own.json"),
            public: at("ca.pem"),
            url: "https://naru.example.com".into(),
            serves: Some(Serves {
                names: vec!["naru.example.com".parse().unwrap()],
                shown: self.shown.clone(),
                brought: None,
            }),
            anew: false,
        }
    }

    async fn open(&self) -> Result<Authority> {
        Authority::open(self.options()).await
    }

    fn own(&self) -> Vec<u8> {
        self.shown.choose(None).unwrap().cert[0].to_vec()
    }

    async fn events(&self) -> Vec<String> {
        let all = self.store.read(|v| v.events(0, 1000, &Filter::default())).await.unwrap();
        all.into_iter().map(|e| e.fact.kind).filter(|kind| kind.starts_with("ca.")).collect()
    }
}

fn admin() -> Principal {
    Principal::User(kernel::Name::parse("admin").unwrap())
}

fn asked(name: &str) -> Asked {
    let (_, csr) = key_and_csr(&[name.parse().unwrap()]).unwrap();
    let csr = Csr::read(&csr).unwrap();
    Asked { csr, names: vec![], usage: Usage::Server, life: DAY }
}

#[tokio::test]
async fn a_restart_needs_nothing_new_and_two_thirds_of_a_life_do() {
    let world = World::new();
    let authority = world.open().await.unwrap();
    let (first, root) = (world.own(), authority.bundle().unwrap());
    assert_eq!(world.events().await, ["ca.created", "ca.issued"]);
    let published = std::fs::read_to_string(world.dir.path().join("ca.pem")).unwrap();
    assert_eq!(published, root);

    let authority = world.open().await.unwrap();
    assert_eq!((world.own(), authority.bundle().unwrap()), (first.clone(), root.clone()));
    assert_eq!(world.events().await.len(), 2);
    world.clock.advance(59 * DAY);
    assert!(!authority.renew().await.unwrap());
    world.clock.advance(2 * DAY);
    assert!(authority.renew().await.unwrap());
    assert_ne!(world.own(), first);
    assert_eq!(authority.bundle().unwrap(), root, "the root is what clients trust");
    assert_eq!(world.events().await, ["ca.created", "ca.issued", "ca.issued"]);

    std::fs::write(world.dir.path().join("own.json"), "half of a fi").unwrap();
    world.open().await.unwrap();
    assert_eq!(world.events().await.len(), 4, "what is damaged and is ours to make is made");
}

#[tokio::test]
async fn without_its_key_nothing_is_half_open() {
    let world = World::new();
    let root = world.open().await.unwrap().roots().unwrap()[0].fingerprint;
    let file = world.dir.path().join("authority.json");
    std::fs::rename(&file, world.dir.path().join("elsewhere")).unwrap();
    let code = |opened: Result<Authority>| opened.err().map(|e| e.code());
    assert_eq!(code(world.open().await), Some("ca.key-lost"));
    std::fs::write(&file, "{").unwrap();
    authority::write_private(&file, b"{").unwrap();
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    assert_eq!(code(world.open().await), Some("ca.key-damaged"));

    // Where nothing speaks TLS the rest goes on, and who asks the CA is told.
    let quiet = Authority::open(Options { serves: None, ..world.options() }).await.unwrap();
    let refused = quiet.issue(asked("db.internal"), admin()).await.unwrap_err();
    assert_eq!(refused.code(), "ca.key-damaged");
    assert_eq!(quiet.bundle().unwrap_err().code(), "ca.key-damaged");
    assert_eq!(std::fs::read(&file).unwrap(), b"{", "nobody writes over what may be mended");

    let anew = Options { anew: true, ..world.options() };
    let other = Authority::open(anew).await.unwrap().roots().unwrap()[0].fingerprint;
    assert_ne!(other, root);
    std::fs::rename(world.dir.path().join("elsewhere"), &file).unwrap();
    let back = world.open().await.unwrap().roots().unwrap()[0].fingerprint;
    assert_eq!(back, root);
    assert_eq!(world.events().await.last().map(String::as_str), Some("ca.issued"));
    assert!(world.events().await.contains(&"ca.changed".to_owned()), "and the log tells");
}

#[tokio::test]
async fn what_is_taken_back_is_listed_and_ones_own_is_replaced() {
    let world = World::new();
    let authority = world.open().await.unwrap();
    let root = authority.roots().unwrap()[0].fingerprint;
    let (issued, chain) = authority.issue(asked("db.internal"), admin()).await.unwrap();
    assert_eq!(authority::certificates(chain.as_bytes()).unwrap().len(), 1);
    let before = authority.revocations(&root.short()).await.unwrap();
    authority.revoke(issued.serial.clone(), admin()).await.unwrap();
    let after = authority.revocations(&root.short()).await.unwrap();
    assert!(after.len() > before.len(), "at once, and not when the old list has ended");
    let again = authority.revoke(issued.serial, admin()).await.unwrap_err();
    assert_eq!(again.code(), "ca.certificate-revoked");
    let unknown = authority.revoke(Serial::draw(NOW).unwrap(), admin()).await.unwrap_err();
    assert_eq!(unknown.code(), "ca.certificate-unknown");
    assert_eq!(authority.revocations("nothing").await.unwrap_err().code(), "ca.root-unknown");

    let first = world.own();
    let own = Own::read(&world.options().own).unwrap().serial;
    authority.revoke(own, admin()).await.unwrap();
    assert_ne!(world.own(), first);
    let kinds = ["ca.created", "ca.issued", "ca.issued", "ca.revoked", "ca.revoked", "ca.issued"];
    assert_eq!(world.events().await, kinds);
}

#[tokio::test]
async fn a_new_root_serves_at_once_and_the_old_one_goes_with_its_time() {
    let world = World::new();
    let authority = world.open().await.unwrap();
    let (old, first) = (authority.roots().unwrap()[0].fingerprint, world.own());
    let only = vec!["example.com".parse().unwrap()];
    let roots = authority.rotate(only, 30 * DAY, admin()).await.unwrap();
    assert_eq!((roots.len(), roots[1].fingerprint), (2, old));
    assert_ne!(world.own(), first);
    assert_eq!(world.shown.choose(None).unwrap().cert.len(), 2, "with the old root's word");
    let outside = authority.issue(asked("db.internal"), admin()).await.unwrap_err();
    assert_eq!(outside.code(), "ca.outside");
    world.clock.advance(31 * DAY);
    authority.tidy().await.unwrap();
    assert_eq!(authority.roots().unwrap().len(), 1);
    let published = std::fs::read_to_string(world.dir.path().join("ca.pem")).unwrap();
    assert_eq!(published, authority.bundle().unwrap());
}

#[tokio::test]
async fn files_that_somebody_has_brought_are_read_again() {
    let world = World::new();
    let (cert, key) = (world.dir.path().join("c.pem"), world.dir.path().join("k.pem"));
    let files =
        authority::Files { certificate: ("tls-cert", cert.clone()), key: ("tls-key", key.clone()) };
    let pair = || {
        let root = authority::Root::make(NOW, vec![]).unwrap();
        let own =
            Own::make(&root, &["naru.example.com".parse().unwrap()], "https://x/", NOW).unwrap();
        let own = serde_json::to_value(&own).unwrap();
        [own["chain"].as_str().unwrap().to_owned(), own["key"].as_str().unwrap().to_owned()]
    };
    let write = |pair: &[String; 2]| {
        std::fs::write(&cert, &pair[0]).unwrap();
        std::fs::write(&key, &pair[1]).unwrap();
    };
    write(&pair());
    world.shown.bring(files.load().unwrap());
    let mut options = world.options();
    if let Some(serves) = &mut options.serves {
        serves.brought = Some(files);
    }
    let authority = Authority::open(options).await.unwrap();
    let stop = CancellationToken::new();
    let running = authority.start(stop.clone());
    let first = world.own();
    let next = pair();
    // Half of it first: that changes nothing.
    std::fs::write(&cert, &next[0]).unwrap();
    for _ in 0..10 {
        world.clock.skip();
        tokio::task::yield_now().await;
    }
    assert_eq!(world.own(), first);
    write(&next);
    let changed = async {
        while world.own() == first {
            world.clock.skip();
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), changed).await.unwrap();
    stop.cancel();
    running.await.unwrap();
}

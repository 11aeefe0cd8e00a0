//! The part on a store of its own.

use crate::kind::{Generate, Secret};
use crate::set::{Settings, Value, Wanted};
use crate::{Secrets, sync};
use kernel::port::{SecretUse, SecretUser, Secrets as Port};
use kernel::{Id, Key, Kind, Name, Principal, Result, SecretText};
use policy::Project;
use reconcile::{Next, Reconciler};
use secret::{KeyFile, Vault};
use std::sync::Arc;
use std::time::Duration;
use store::clock::Manual;
use store::{Durability, Filter, Options, Put, Store};
use tempfile::TempDir;

const CANARY: &str = "canary-8f14e45f";

pub(crate) struct World {
    pub dir: TempDir,
    pub clock: Manual,
    pub store: Store,
    pub secrets: Secrets,
}

pub(crate) fn name(words: &str) -> Name {
    Name::parse(words).unwrap()
}

pub(crate) fn han() -> Principal {
    Principal::User(name("han"))
}

pub(crate) async fn world() -> World {
    let (dir, clock) = (tempfile::tempdir().unwrap(), Manual::new(kernel::Time(1_700_000_000_000)));
    let options =
        Options { clock: Arc::new(clock.clone()), durability: Durability::Process, chaos: None };
    let store = Store::open(&dir.path().join("naru.db"), options).unwrap();
    let key = Key::global::<Project>(&name("shop"));
    let spec = serde_json::to_value(Project::default()).unwrap();
    let put = Put { key, labels: Default::default(), spec, expected: Some(0), actor: han() };
    store.write(move |tx| tx.put(put)).await.unwrap();
    let vault =
        Vault::new(store.clone(), Arc::new(KeyFile::new(&dir.path().join("key.json"))), None);
    let secrets = Secrets::new(vault);
    World { dir, clock, store, secrets }
}

impl World {
    pub(crate) async fn set(
        &self,
        secret: &str,
        value: &str,
        settings: Settings,
    ) -> Result<Option<u32>> {
        let value = Value::Given(SecretText::new(value));
        let wanted = Wanted { name: name(secret), settings, value, known: false };
        Ok(self.secrets.write(&name("shop"), vec![wanted], han()).await?.remove(0).version)
    }

    pub(crate) async fn offered(&self, of: &SecretUse) -> Vec<(String, String)> {
        let all = self.secrets.offered(&name("shop"), of).await.unwrap();
        all.into_iter().map(|o| (o.variable, o.value.reveal().to_owned())).collect()
    }

    async fn events(&self, kind: &str) -> Vec<kernel::Event> {
        let filter = Filter { kind: Some(kind.into()), ..Filter::default() };
        self.store.read(move |v| v.events(0, 10_000, &filter)).await.unwrap()
    }

    async fn sync(&self, secret: &str) -> Next {
        let keeper = sync::Keeper { secrets: self.secrets.clone() };
        keeper.sync(&(name("shop"), name(secret))).await.unwrap()
    }
}

fn job(environment: Option<&str>, protected: bool) -> SecretUse {
    let by = SecretUser::Job { run: Id::new(1, 2), step: "deploy".into() };
    SecretUse { by, environment: environment.map(str::to_owned), protected }
}

#[tokio::test]
async fn jobs_get_what_is_meant_for_them_and_each_time_is_written_down() {
    let world = world().await;
    let of = |environments: &[&str]| Settings {
        environments: Some(environments.iter().map(|e| (*e).to_owned()).collect()),
        ..Settings::default()
    };
    assert!(world.offered(&job(None, true)).await.is_empty());
    assert!(!world.dir.path().join("key.json").exists(), "no key before the first secret");
    world.set("any", "for all", Settings::default()).await.unwrap();
    world.set("prod", CANARY, of(&["production"])).await.unwrap();
    let protected = Settings { protected: Some(true), ..Settings::default() };
    world.set("guarded", "for main", protected).await.unwrap();
    world
        .set("quiet", "for services", Settings { jobs: Some(false), ..Settings::default() })
        .await
        .unwrap();
    let names = |all: Vec<(String, String)>| all.into_iter().map(|(n, _)| n).collect::<Vec<_>>();
    assert_eq!(names(world.offered(&job(None, false)).await), ["ANY"]);
    assert_eq!(names(world.offered(&job(Some("production"), false)).await), ["ANY", "PROD"]);
    let all = world.offered(&job(Some("production"), true)).await;
    assert_eq!(all[2], ("PROD".to_owned(), CANARY.to_owned()));
    assert_eq!(all.len(), 3);
    let used = world.events("secret.used").await;
    assert_eq!(used.len(), 3);
    assert_eq!(used[2].fact.data["secrets"].as_array().unwrap().len(), 3);
    assert_eq!(used[0].fact.subject.as_ref().unwrap().name, name("any"), "one is its subject");
    let view = world.secrets.show(&name("shop"), &name("any")).await.unwrap();
    assert_eq!((view.uses[0].whom.as_str(), view.uses[0].times), ("job deploy", 3));
    let journal = serde_json::to_string(&world.events("").await).unwrap();
    assert!(!journal.contains("canary"), "no value is in the journal");
}

#[tokio::test]
async fn one_is_opened_by_name_variable_and_version_and_nothing_beyond_its_scope() {
    let world = world().await;
    let guarded = Settings { protected: Some(true), jobs: Some(false), ..Settings::default() };
    world.set("db-password", "one", guarded.clone()).await.unwrap();
    world.set("db-password", "two", Settings::default()).await.unwrap();
    let (shop, of) = (name("shop"), job(None, true));
    for (asked, want) in [("db-password", "two"), ("DB_PASSWORD", "two"), ("db-password@1", "one")]
    {
        let opened = world.secrets.open_for(&shop, asked, &of).await.unwrap();
        assert_eq!(opened.value.reveal(), want, "{asked}");
    }
    let outside =
        world.secrets.open_for(&shop, "db-password", &job(None, false)).await.unwrap_err();
    let nowhere = world.secrets.open_for(&shop, "no-such", &of).await.unwrap_err();
    assert_eq!((outside.code(), nowhere.code()), ("secret.unknown", "secret.unknown"));
    let gone = world.secrets.open_for(&shop, "db-password@9", &of).await.unwrap_err();
    assert_eq!(gone.code(), "secret.empty");
    let other = world.secrets.open_for(&name("other"), "db-password", &of).await.unwrap_err();
    assert_eq!(other.code(), "secret.unknown");
    let plain = world.secrets.open(&han(), &shop, None, true, "DB_PASSWORD").await.unwrap();
    assert_eq!(plain.reveal(), "two");
    assert_eq!(world.events("secret.used").await.len(), 4, "what is refused was not used");
}

#[tokio::test]
async fn all_or_none_is_written() {
    let world = world().await;
    let one = |secret: &str, value: &str| Wanted {
        name: name(secret),
        settings: Settings::default(),
        value: Value::Given(SecretText::new(value)),
        known: false,
    };
    let wrong = [one("good", "value"), one("path", "value")];
    let error = world.secrets.write(&name("shop"), wrong.to_vec(), han()).await.unwrap_err();
    assert_eq!(error.code(), "secret.variable", "PATH is nobody's");
    for bad in ["", "a\0b", &"x".repeat(70_000)] {
        let all = vec![one("good", "value"), one("bad", bad)];
        let error = world.secrets.write(&name("shop"), all, han()).await.unwrap_err();
        assert_eq!(error.code(), "secret.value");
        assert!(!format!("{error:?}").contains("xxxx"));
    }
    assert!(world.secrets.list(&name("shop")).await.unwrap().is_empty());
    let unknown = Wanted { known: true, ..one("none", "value") };
    let error = world.secrets.write(&name("shop"), vec![unknown], han()).await.unwrap_err();
    assert_eq!(error.code(), "secret.unknown");
}

#[tokio::test]
async fn what_is_destroyed_removed_or_made_anew_has_nothing_of_the_old() {
    let world = world().await;
    let (shop, of) = (name("shop"), job(None, true));
    world.set("a", "old value", Settings::default()).await.unwrap();
    world.secrets.destroy(&shop, &name("a"), 1, han()).await.unwrap();
    assert!(world.offered(&of).await.is_empty());
    assert_eq!(world.secrets.open_for(&shop, "a", &of).await.unwrap_err().code(), "secret.empty");
    assert_eq!(world.set("a", "second", Settings::default()).await.unwrap(), Some(2));
    // Deleted behind the part's back, as with its project, and made anew under the same name.
    let key = Key::of::<Secret>(&shop, &name("a"));
    world.store.write(move |tx| tx.delete(&key, None, han()).map(drop)).await.unwrap();
    assert_eq!(world.set("a", "third", Settings::default()).await.unwrap(), Some(1));
    let gone = world.secrets.open_for(&shop, "a@2", &of).await.unwrap_err();
    assert_eq!(gone.code(), "secret.empty", "not the old resource's");
    assert_eq!(world.secrets.vault.slots().await.unwrap().len(), 2);
    world.sync("a").await;
    assert_eq!(world.secrets.vault.slots().await.unwrap().len(), 1);
    let key = Key::global::<Project>(&shop);
    world.store.write(move |tx| tx.delete(&key, None, han()).map(drop)).await.unwrap();
    world.sync("a").await;
    assert!(world.secrets.vault.slots().await.unwrap().is_empty());
    let key = Key::of::<Secret>(&shop, &name("a"));
    assert!(world.store.read(move |v| v.resource(&key)).await.unwrap().is_none());
}

#[tokio::test]
async fn what_is_due_is_said_once_or_drawn_anew() {
    let world = world().await;
    let every = Settings { rotate_every: Some("30d".into()), ..Settings::default() };
    world.set("said", "value", every.clone()).await.unwrap();
    let drawn = Wanted {
        name: name("drawn"),
        settings: Settings { generate: Some(Generate::default()), ..every },
        value: Value::Drawn(None),
        known: false,
    };
    world.secrets.write(&name("shop"), vec![drawn], han()).await.unwrap();
    assert!(matches!(world.sync("said").await, Next::At(_)));
    world.clock.advance(Duration::from_secs(30 * 24 * 3600));
    for _ in 0..2 {
        world.sync("said").await;
        world.sync("drawn").await;
    }
    assert_eq!(world.events("secret.due").await.len(), 1);
    assert_eq!(
        world.secrets.show(&name("shop"), &name("drawn")).await.unwrap().status.version,
        Some(2)
    );
    let said = world.secrets.show(&name("shop"), &name("said")).await.unwrap();
    assert!(said.status.overdue && said.status.version == Some(1));
    world.set("said", "new", Settings::default()).await.unwrap();
    assert!(!world.secrets.show(&name("shop"), &name("said")).await.unwrap().status.overdue);
}

#[tokio::test]
async fn reading_a_value_is_an_event_and_a_renewed_key_is_no_obstacle() {
    let world = world().await;
    world.set("a", CANARY, Settings::default()).await.unwrap();
    world.secrets.vault.renew(han()).await.unwrap();
    world.secrets.vault.rewrap().await.unwrap();
    let opened = world.secrets.reveal(&name("shop"), &name("a"), None, han()).await.unwrap();
    assert_eq!(opened.value.reveal(), CANARY);
    let told = world.events("secret.revealed").await;
    assert_eq!((told.len(), &told[0].fact.actor), (1, &han()));
    assert_eq!(Secret::KIND, "Secret");
}

#[tokio::test]
async fn a_lost_master_key_is_said_at_the_start() {
    let world = world().await;
    world.secrets.look().await.unwrap();
    world.set("a", "value", Settings::default()).await.unwrap();
    let file = world.dir.path().join("key.json");
    std::fs::remove_file(&file).unwrap();
    let vault = Vault::new(world.store.clone(), Arc::new(KeyFile::new(&file)), None);
    let again = Secrets::new(vault);
    let error = again.look().await.unwrap_err();
    assert_eq!(error.code(), "secret.locked");
    let error = again.offered(&name("shop"), &job(None, true)).await.unwrap_err();
    assert_eq!(error.code(), "secret.locked");
}

use super::*;
use kernel::Time;
use serde_json::json;
use std::path::Path;
use std::time::Duration;
use store::{Durability, Filter, clock::Manual};

const DAY: Duration = Duration::from_secs(24 * 3600);

struct World {
    accounts: Accounts,
    clock: Manual,
    dir: tempfile::TempDir,
}

fn storage(clock: &Manual) -> store::Options {
    store::Options { clock: Arc::new(clock.clone()), durability: Durability::Process, chaos: None }
}

async fn open(dir: &Path, clock: &Manual) -> Accounts {
    let store = Store::open(&dir.join("naru.db"), storage(clock)).unwrap();
    let options = Options { record: Some(dir.join("ended.jsonl")), ..Options::default() };
    Accounts::open_with(store, options).await.unwrap()
}

async fn world() -> World {
    let dir = tempfile::tempdir().unwrap();
    let clock = Manual::new(Time(1_764_000_000_000));
    World { accounts: open(dir.path(), &clock).await, clock, dir }
}

fn name(words: &str) -> Name {
    Name::parse(words).unwrap()
}

fn user(words: &str) -> Principal {
    Principal::User(name(words))
}

fn peer(last: u8) -> Peer {
    Peer::new([192, 0, 2, last].into(), Some("Firefox"))
}

impl World {
    async fn put(&self, kind: &str, who: &str, spec: serde_json::Value) -> Result<Resource> {
        let key = Key { kind: kind.into(), project: None, name: name(who) };
        let (accounts, actor) = (self.accounts.clone(), user("admin"));
        let put = Put { key, labels: Default::default(), spec, expected: None, actor };
        self.accounts.store().write(move |tx| accounts.put(tx, put)).await
    }

    async fn user(&self, who: &str) -> Principal {
        self.put("User", who, json!({ "title": who })).await.unwrap();
        user(who)
    }

    async fn delete(&self, kind: &str, who: &str) -> Result<Resource> {
        let key = Key { kind: kind.into(), project: None, name: name(who) };
        let accounts = self.accounts.clone();
        let work = move |tx: &mut Tx<'_>| accounts.delete(tx, &key, None, user("admin"));
        self.accounts.store().write(work).await
    }

    async fn group(&self, group: &str, members: serde_json::Value) -> Result<Resource> {
        self.put("Group", group, json!({ "members": members })).await
    }

    async fn token(&self, who: &Principal, of: &str, valid: Option<Duration>) -> String {
        self.accounts.create_token(who.clone(), name(of), valid, who.clone()).await.unwrap()
    }

    async fn session(&self, who: &Principal) -> String {
        let new = NewSession::new(who.clone(), peer(1), "password");
        self.accounts.begin_session(new).await.unwrap()
    }

    async fn lets(&self, token: &str) -> bool {
        match self.accounts.authenticate(token, &peer(2)).await {
            Ok(_) => true,
            Err(error) => {
                assert_eq!(error.code(), "auth.required", "always the same words");
                false
            }
        }
    }

    async fn knows(&self, cookie: &str) -> bool {
        self.accounts.session(cookie, &peer(2)).await.is_ok()
    }

    async fn events(&self, kind: &str) -> usize {
        let filter = Filter { kind: Some(kind.into()), ..Filter::default() };
        let read = move |v: &store::View<'_>| Ok(v.events(0, 1000, &filter)?.len());
        self.accounts.store().read(read).await.unwrap()
    }
}

fn code<T>(outcome: Result<T>) -> &'static str {
    outcome.err().map_or("fine", |error| error.code())
}

#[tokio::test]
async fn a_token_works_until_it_is_revoked_or_expires_and_its_text_is_nowhere() {
    let world = world().await;
    let admin = user("admin");
    let hour = Some(Duration::from_secs(3600));
    let text = world.token(&admin, "laptop", hour).await;
    let proven = world.accounts.authenticate(&text, &peer(7)).await.unwrap();
    assert_eq!((&proven.principal, proven.credential.kind), (&admin, CredentialKind::Personal));
    let twice = world.accounts.create_token(admin.clone(), name("laptop"), None, admin.clone());
    assert_eq!(code(twice.await), "token.exists");

    let database = std::fs::read(world.dir.path().join("naru.db")).unwrap();
    let wal = std::fs::read(world.dir.path().join("naru.db-wal")).unwrap();
    let secret = text.as_bytes();
    assert!(![database, wal].iter().any(|b| b.windows(secret.len()).any(|w| w == secret)));

    let listed = world.accounts.tokens(&admin).await.unwrap();
    assert_eq!(listed[0].last_address, Some([192, 0, 2, 7].into()));
    assert_eq!(listed[0].id, proven.credential.id);
    let live = world.accounts.live(&proven);
    world.clock.advance(Duration::from_secs(3601));
    assert!(!world.lets(&text).await && live.has_ended());

    let other = world.token(&admin, "ci", None).await;
    let proven = world.accounts.authenticate(&other, &peer(7)).await.unwrap();
    let live = world.accounts.live(&proven);
    world.accounts.revoke_token(&admin, &name("ci"), admin.clone()).await.unwrap();
    assert!(!world.lets(&other).await && live.has_ended(), "also what it had opened");
    assert!(world.accounts.live(&proven).has_ended(), "also what it was about to open");
}

#[tokio::test]
async fn wrong_foreign_and_tampered_tokens_are_all_the_same_nothing() {
    let (here, elsewhere) = (world().await, world().await);
    let foreign = elsewhere.token(&user("admin"), "laptop", None).await;
    let own = here.token(&user("admin"), "laptop", None).await;
    let tampered = format!("{}A", &own[..own.len() - 1]);
    let tampered = if tampered == own { format!("{}B", &own[..own.len() - 1]) } else { tampered };
    let upper = own.to_uppercase();
    let other_sort = own.replacen("naru_", "naru_deploy_", 1);
    let long = "naru_".repeat(100);
    for wrong in [
        "",
        "naru_",
        "naru_x",
        "password",
        "naru_job_1-2-3.x",
        &long,
        &foreign,
        &tampered,
        &upper,
        &other_sort,
    ] {
        assert!(!here.lets(wrong).await, "{wrong}");
    }
    assert!(
        here.lets(&own).await && here.lets(&own).await,
        "once from the store, once from memory"
    );
}

#[tokio::test]
async fn a_token_is_renewed_for_as_long_as_it_was_made_for() {
    let world = world().await;
    let admin = user("admin");
    let old = world.token(&admin, "ci", Some(DAY)).await;
    let id = world.accounts.tokens(&admin).await.unwrap()[0].id.clone();
    world.clock.advance(DAY / 2);
    let new = world.accounts.rotate_token(&admin, &name("ci"), admin.clone()).await.unwrap();
    assert!(!world.lets(&old).await && world.lets(&new).await);
    let listed = world.accounts.tokens(&admin).await.unwrap();
    assert_eq!(listed.len(), 1);
    assert_ne!(listed[0].id, id);
    assert_eq!(listed[0].expires, Some(world.clock_now().plus(DAY)));
}

impl World {
    fn clock_now(&self) -> Time {
        self.accounts.store().now()
    }
}

#[tokio::test]
async fn service_accounts_have_tokens_of_their_own_sort() {
    let world = world().await;
    world.put("ServiceAccount", "bot", json!({})).await.unwrap();
    let bot = Principal::Service(name("bot"));
    let made = NewToken { actor: user("admin"), ..NewToken::new(bot.clone(), name("ci")) };
    let text = world.accounts.make_token(made).await.unwrap();
    assert!(text.starts_with("naru_project_"));
    let deploys = NewToken { deploys: true, ..NewToken::new(bot.clone(), name("deploy")) };
    let text = world.accounts.make_token(deploys.clone()).await.unwrap();
    let proven = world.accounts.authenticate(&text, &peer(1)).await.unwrap();
    assert_eq!(proven.credential.kind, CredentialKind::Deploy);
    let scopes = proven.credential.scopes;
    assert!(scopes.allow("git.read", Effect::Reads, Some(&name("shop"))));
    assert!(!scopes.allow("git.write", Effect::Writes, Some(&name("shop"))));
    assert!(!scopes.allow("project.view", Effect::Reads, Some(&name("shop"))));
    let ill = NewToken { owner: user("admin"), ..deploys };
    assert_eq!(code(world.accounts.make_token(ill).await), "token.owner");
    let nobody = NewToken::new(user("nobody"), name("x"));
    assert_eq!(code(world.accounts.make_token(nobody).await), "account.none");
}

#[tokio::test]
async fn a_link_signs_in_once() {
    let world = world().await;
    let admin = user("admin");
    let link = world.accounts.create_link(admin.clone()).await.unwrap();
    let who = world.accounts.redeem_link(&link).await.unwrap();
    let cookie = world.session(&who).await;
    let proven = world.accounts.session(&cookie, &peer(1)).await.unwrap();
    assert_eq!(
        (proven.principal, proven.credential.kind),
        (admin.clone(), CredentialKind::Session)
    );
    let again = world.accounts.redeem_link(&link).await;
    assert_eq!(code(again), "link.spent");
    world.accounts.close_session(&cookie).await.unwrap();
    assert!(!world.knows(&cookie).await);

    let old = world.accounts.create_link(admin).await.unwrap();
    world.clock.advance(Duration::from_secs(16 * 60));
    assert_eq!(code(world.accounts.redeem_link(&old).await), "link.spent");
}

#[tokio::test]
async fn sessions_are_listed_and_end_one_by_one_or_all_but_one() {
    let world = world().await;
    let ada = world.user("ada").await;
    let (one, two, three) =
        (world.session(&ada).await, world.session(&ada).await, world.session(&ada).await);
    let id = |of: Proven| of.credential.id;
    let first = id(world.accounts.session(&one, &peer(9)).await.unwrap());
    let listed = world.accounts.sessions(&ada).await.unwrap();
    assert_eq!(listed.len(), 3);
    assert_eq!(listed[0].agent.as_deref(), Some("Firefox"));
    assert_eq!(listed[0].address, Some([192, 0, 2, 1].into()));
    let held = world.accounts.session(&two, &peer(1)).await.unwrap();
    let (second, live) = (held.credential.id.clone(), world.accounts.live(&held));
    world.accounts.revoke_session(&ada, &second, ada.clone()).await.unwrap();
    assert!(live.has_ended() && !world.knows(&two).await && world.knows(&three).await);
    let stranger = world.user("eve").await;
    let theft = world.accounts.revoke_session(&stranger, &first, stranger.clone()).await;
    assert_eq!(code(theft), "session.unknown");
    let ended = world.accounts.revoke_sessions(&ada, Some(&first), ada.clone()).await.unwrap();
    assert!(ended == 1 && world.knows(&one).await && !world.knows(&three).await);
}

#[tokio::test]
async fn a_planted_cookie_is_worth_nothing() {
    let world = world().await;
    let (eve, ada) = (world.user("eve").await, world.user("ada").await);
    let planted = world.session(&eve).await;
    let instead_of = Some(planted.clone());
    let new = NewSession { instead_of, ..NewSession::new(ada.clone(), peer(1), "password") };
    let opened = world.accounts.begin_session(new).await.unwrap();
    assert!(opened != planted && !world.knows(&planted).await, "the session before has ended");
    assert!(world.accounts.session("chosen-by-eve", &peer(1)).await.is_err());
    let renewed = world.accounts.renew_session(&opened).await.unwrap();
    assert!(!world.knows(&opened).await, "a new secret when they prove themselves again");
    let proven = world.accounts.session(&renewed, &peer(1)).await.unwrap();
    assert_eq!((proven.principal, proven.credential.proved), (ada, Some(world.clock_now())));
}

#[tokio::test]
async fn sessions_end_when_nobody_uses_them_and_at_the_latest_after_a_month() {
    let world = world().await;
    let ada = world.user("ada").await;
    let (used, idle) = (world.session(&ada).await, world.session(&ada).await);
    for _ in 0..6 {
        world.clock.advance(5 * DAY);
        let alive = world.knows(&used).await;
        assert_eq!(alive, world.clock_now().since(Time(1_764_000_000_000)) < SESSION_LASTS);
    }
    assert!(!world.knows(&idle).await);
    let left = world.session(&ada).await;
    world.clock.advance(8 * DAY);
    world.accounts.sweep().await.unwrap();
    assert!(world.events("session.expired").await >= 3, "swept, too");
    assert!(!world.knows(&left).await && world.accounts.sessions(&ada).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_clock_that_is_set_back_revives_nothing() {
    let world = world().await;
    let ada = world.user("ada").await;
    let (token, session) = (world.token(&ada, "day", Some(DAY)).await, world.session(&ada).await);
    let lasting = world.token(&ada, "ever", None).await;
    world.clock.advance(40 * DAY);
    assert!(
        !world.lets(&token).await && !world.knows(&session).await && world.lets(&lasting).await
    );
    let back = Manual::new(Time(1_764_000_000_000));
    let dir = world.dir;
    drop(world.accounts);
    let world = World { accounts: open(dir.path(), &back).await, clock: back, dir };
    assert!(!world.lets(&token).await && !world.knows(&session).await);
    assert!(world.lets(&lasting).await);
    assert!(world.accounts.tokens(&ada).await.unwrap().iter().any(|t| t.expired));

    // Made while the clock was a year ahead: they would last a year longer.
    let ahead = Manual::new(Time(1_764_000_000_000).plus(365 * DAY));
    let dir = world.dir;
    drop(world.accounts);
    let world = World { accounts: open(dir.path(), &ahead).await, clock: ahead, dir };
    let (token, session) = (world.token(&ada, "two", Some(DAY)).await, world.session(&ada).await);
    let back = Manual::new(Time(1_764_000_000_000));
    let dir = world.dir;
    drop(world.accounts);
    let world = World { accounts: open(dir.path(), &back).await, clock: back, dir };
    assert!(!world.lets(&token).await && !world.knows(&session).await);
}

#[tokio::test]
async fn a_disabled_account_has_nothing_and_starts_anew_when_it_comes_back() {
    let world = world().await;
    let ada = world.user("ada").await;
    let (token, session) = (world.token(&ada, "laptop", None).await, world.session(&ada).await);
    let link = world.accounts.create_link(ada.clone()).await.unwrap();
    let lives = [
        world.accounts.live(&world.accounts.authenticate(&token, &peer(1)).await.unwrap()),
        world.accounts.live(&world.accounts.session(&session, &peer(1)).await.unwrap()),
    ];
    world.put("User", "ada", json!({ "title": "ada", "disabled": true })).await.unwrap();
    assert!(lives.iter().all(Live::has_ended), "when the answer is there, it has happened");
    assert!(!world.lets(&token).await && !world.knows(&session).await);
    assert_eq!(code(world.accounts.create_link(ada.clone()).await), "account.disabled");
    let fresh = world.accounts.create_token(ada.clone(), name("new"), None, ada.clone()).await;
    assert_eq!(code(fresh), "account.disabled");

    world.put("User", "ada", json!({ "title": "ada", "disabled": false })).await.unwrap();
    assert!(!world.lets(&token).await && !world.knows(&session).await);
    assert_eq!(code(world.accounts.redeem_link(&link).await), "link.spent");
    let again = world.token(&ada, "laptop", None).await;
    assert!(world.lets(&again).await);

    let live = world.accounts.live(&world.accounts.authenticate(&again, &peer(1)).await.unwrap());
    world.delete("User", "ada").await.unwrap();
    assert!(live.has_ended() && !world.lets(&again).await);
    assert_eq!(code(world.put("User", "ada", json!({})).await), "account.retired");
}

#[tokio::test]
async fn somebody_can_always_let_the_others_in() {
    let world = world().await;
    assert_eq!(code(world.put("User", "admin", json!({})).await), "user.last-administrator");
    let off = json!({ "administrator": true, "disabled": true });
    assert_eq!(code(world.put("User", "admin", off.clone()).await), "user.last-administrator");
    assert_eq!(code(world.delete("User", "admin").await), "user.last-administrator");
    world.put("User", "ada", json!({ "administrator": true })).await.unwrap();
    // Both at once: one of them stays.
    let (one, two) =
        tokio::join!(world.put("User", "admin", off.clone()), world.put("User", "ada", off));
    assert_eq!([one.is_ok(), two.is_ok()].iter().filter(|ok| **ok).count(), 1);
}

#[tokio::test]
async fn numbers_are_given_once_and_never_again() {
    let world = world().await;
    let number = |r: Resource, field: &str| r.status[field].as_u64().unwrap();
    let ada = world.put("User", "ada", json!({})).await.unwrap();
    assert_eq!(ada.status["uid_number"], ada.status["gid_number"]);
    let ada = number(ada, "uid_number");
    let group = number(world.group("team", json!([])).await.unwrap(), "gid_number");
    let bot = number(world.put("ServiceAccount", "bot", json!({})).await.unwrap(), "uid_number");
    assert_eq!([ada, group, bot], [20_001, 20_002, 20_003], "admin has 20000");
    world.delete("User", "ada").await.unwrap();
    world.delete("Group", "team").await.unwrap();
    let next = number(world.put("User", "bob", json!({})).await.unwrap(), "uid_number");
    assert_eq!(next, 20_004);
    let same = world.put("User", "bob", json!({ "title": "Bob" })).await.unwrap();
    assert_eq!(number(same, "uid_number"), next);
}

#[tokio::test]
async fn groups_hold_whom_they_name_and_not_themselves() {
    let world = world().await;
    let ada = world.user("ada").await;
    world.group("interns", json!([{ "user": "ada" }])).await.unwrap();
    world.group("backend", json!([{ "group": "interns" }])).await.unwrap();
    world.group("all", json!([{ "group": "backend" }])).await.unwrap();
    assert_eq!(*world.accounts.groups_of(&ada), [name("all"), name("backend"), name("interns")]);
    assert!(world.accounts.member(&ada, &name("all")));
    let cycle = world.group("interns", json!([{ "group": "all" }])).await.unwrap_err();
    assert_eq!(cycle.code(), "group.cycle");
    assert!(cycle.say().en.ends_with("interns → all → backend → interns"), "{cycle}");
    assert_eq!(code(world.group("own", json!([{ "group": "own" }])).await), "group.cycle");
    assert_eq!(code(world.group("x", json!([{ "user": "none" }])).await), "account.unknown");

    world.delete("Group", "backend").await.unwrap();
    assert_eq!(*world.accounts.groups_of(&ada), [name("interns")]);
    world.delete("User", "ada").await.unwrap();
    let key = Key::global::<Group>(&name("interns"));
    let left = world.accounts.store().read(move |v| v.resource(&key)).await.unwrap().unwrap();
    assert_eq!(left.spec::<Group>().unwrap().members, []);
}

#[tokio::test]
async fn an_address_of_mail_is_one_persons() {
    let world = world().await;
    let with = |mail: &str| json!({ "mails": [{ "address": mail }] });
    world.put("User", "ada", with("Ada@Example.com")).await.unwrap();
    assert_eq!(code(world.put("User", "eve", with("ada@example.COM")).await), "user.mail-taken");
    assert_eq!(world.accounts.by_mail("ADA@example.com").await.unwrap(), Some(name("ada")));
    world.put("User", "ada", json!({})).await.unwrap();
    world.put("User", "eve", with("ada@example.com")).await.unwrap();
    assert_eq!(world.accounts.by_mail("ada@example.com").await.unwrap(), Some(name("eve")));
}

#[tokio::test]
async fn people_are_found_by_what_is_known_of_them_in_pages() {
    let world = world().await;
    for n in 0..5 {
        let mail = format!("u{n}@example.com");
        let spec = json!({ "title": format!("김철수 {n}"), "mails": [{ "address": mail }] });
        world.put("User", &format!("u{n}"), spec).await.unwrap();
    }
    let find = |words: &str, after: Option<&str>, limit| {
        world.accounts.search("User", words, after.map(name).as_ref(), limit).unwrap()
    };
    assert_eq!(find("김철수", None, 2), [name("u0"), name("u1")]);
    assert_eq!(find("김철수", Some("u1"), 9), [name("u2"), name("u3"), name("u4")]);
    assert_eq!(find("U3@EXAMPLE 철수", None, 9), [name("u3")]);
    assert!(find("nobody", None, 9).is_empty() && find("", None, 9).len() == 6);
    assert_eq!(world.accounts.search("Service", "", None, 9), None);
}

#[tokio::test]
async fn what_is_read_at_the_start_is_what_was_followed_before() {
    let world = world().await;
    let ada = world.user("ada").await;
    world.group("team", json!([{ "user": "ada" }])).await.unwrap();
    world.put("User", "eve", json!({ "disabled": true })).await.unwrap();
    let token = world.token(&ada, "x", None).await;
    let (dir, clock) = (world.dir, world.clock.clone());
    drop(world.accounts);
    let world = World { accounts: open(dir.path(), &clock).await, clock, dir };
    assert_eq!(*world.accounts.groups_of(&ada), [name("team")]);
    assert!(!world.accounts.is_active(&user("eve")) && world.lets(&token).await);
    assert_eq!(world.events("account.restored").await, 0);
}

/// Puts the store back as it was when `copy` was made, with everything beside it as it is.
fn put_back(dir: &Path, copy: &Path) {
    for file in ["naru.db", "naru.db-wal", "naru.db-shm"] {
        let _ = std::fs::remove_file(dir.join(file));
        if copy.join(file).exists() {
            std::fs::copy(copy.join(file), dir.join(file)).unwrap();
        }
    }
}

fn copy_of(dir: &Path) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    put_back(copy.path(), dir);
    copy
}

#[tokio::test]
async fn a_store_put_back_from_an_old_copy_revives_nobody_and_says_so() {
    let world = world().await;
    let (ada, eve) = (world.user("ada").await, world.user("eve").await);
    let (revoked, kept) =
        (world.token(&ada, "old", None).await, world.token(&ada, "kept", None).await);
    let (closed, eves) = (world.session(&ada).await, world.token(&eve, "x", None).await);
    let (dir, clock) = (world.dir, world.clock.clone());
    drop(world.accounts);
    let copy = copy_of(dir.path());

    let world = World { accounts: open(dir.path(), &clock).await, clock, dir };
    world.accounts.revoke_token(&ada, &name("old"), ada.clone()).await.unwrap();
    world.accounts.close_session(&closed).await.unwrap();
    world.put("User", "eve", json!({ "disabled": true })).await.unwrap();
    let bob = world.put("User", "bob", json!({})).await.unwrap();
    let (dir, clock) = (world.dir, world.clock.clone());
    drop(world.accounts);
    put_back(dir.path(), copy.path());

    let world = World { accounts: open(dir.path(), &clock).await, clock, dir };
    assert_eq!(world.events("account.restored").await, 1, "it is said");
    assert!(!world.lets(&revoked).await && !world.knows(&closed).await && !world.lets(&eves).await);
    assert!(world.lets(&kept).await && !world.accounts.is_active(&eve));
    let carol = world.put("User", "carol", json!({})).await.unwrap();
    assert!(
        carol.status["uid_number"].as_u64() > bob.status["uid_number"].as_u64(),
        "bob is forgotten, and his number is nobody's"
    );
    let (dir, clock) = (world.dir, world.clock.clone());
    drop(world.accounts);
    let world = World { accounts: open(dir.path(), &clock).await, clock, dir };
    assert_eq!(world.events("account.restored").await, 1, "and said once");
}

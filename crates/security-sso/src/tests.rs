//! The endpoints over HTTP, with an application of good manners and one without.

use crate::kind::{Application, Grants, Proof};
use crate::{Options, PART, Sso, manage, secret};
use account::{Accounts, NewSession, Peer, Signer, User};
use kernel::port::{Refused, Witness};
use kernel::{Key, Kind, Name, Principal};
use naru_http::{Site, SiteOptions};
use policy::Policy;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use store::{Put, Store};
use testkit::{Answer, request};
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const BACK: &str = "https://wiki.example.com/back";
const FORM: &str = "application/x-www-form-urlencoded";

#[derive(Clone, Default)]
struct Notes(Arc<Mutex<Vec<&'static str>>>);

impl Witness for Notes {
    fn refused(&self, refused: Refused) {
        self.0.lock().unwrap().push(refused.code);
    }
}

struct World {
    address: SocketAddr,
    sso: Sso,
    notes: Notes,
    secret: String,
    cookie: String,
    _stop: DropGuard,
    _dir: tempfile::TempDir,
}

fn name(words: &str) -> Name {
    Name::parse(words).unwrap()
}

fn ada() -> Principal {
    Principal::User(name("ada"))
}

impl World {
    async fn new() -> World {
        World::with(Application { trusted: true, ..Application::default() }).await
    }

    async fn with(wiki: Application) -> World {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("naru.db"), store::Options::default()).unwrap();
        let accounts = Accounts::open(store.clone()).await.unwrap();
        let policy = Policy::new(&accounts);
        let clock = store.clock().clone();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let signer = Signer::open(&dir.path().join("keys"), &format!("http://{address}"), clock);
        let notes = Notes::default();
        let witness: Arc<dyn Witness> = Arc::new(notes.clone());
        let (known, signer) = (accounts.clone(), signer.unwrap());
        let sso = Sso::new(Options { accounts: known, signer, witness: Some(witness) });
        let wiki = Application {
            redirects: vec![BACK.into()],
            signing: crate::kind::Signing::Es256,
            ..wiki
        };
        let public = Application {
            proof: Proof::Nothing,
            redirects: vec!["http://127.0.0.1/cb".into()],
            ..wiki.clone()
        };
        let secret = store
            .write(move |tx| {
                let put = |key, spec| Put {
                    key,
                    labels: Default::default(),
                    spec,
                    expected: None,
                    actor: Principal::part("test"),
                };
                let user = json!({ "title": "Ada", "mails": [{ "address": "ada@example.com" }] });
                tx.put(put(Key::global::<User>(&name("ada")), user))?;
                for (which, spec) in [("wiki", &wiki), ("other", &wiki), ("cli", &public)] {
                    spec.check()?;
                    let spec = serde_json::to_value(spec).unwrap();
                    tx.put(put(Key::global::<Application>(&name(which)), spec))?;
                }
                secret::rotate(tx, &name("wiki"), Duration::ZERO, Principal::part("test"))
            })
            .await
            .unwrap();
        let site = Site::new(SiteOptions {
            store,
            accounts: accounts.clone(),
            policy,
            kinds: PART.kinds.to_vec(),
            routes: PART.routes.to_vec(),
            assets: [PART.assets, web::ASSETS].concat(),
            error_page: None,
        })
        .with(sso.clone());
        let stop = CancellationToken::new();
        tokio::spawn(naru_http::serve(Arc::new(site), listener, stop.clone()));
        sso.start(stop.clone());
        let session =
            NewSession { proved: true, ..NewSession::new(ada(), Peer::default(), "password") };
        let cookie = accounts.begin_session(session).await.unwrap();
        let cookie = format!("naru_session={cookie}");
        World { address, sso, notes, secret, cookie, _stop: stop.drop_guard(), _dir: dir }
    }

    async fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let own = |words: &str| words.to_owned();
        let (address, method, path, body) = (self.address, own(method), own(path), own(body));
        let headers: Vec<(String, String)> =
            headers.iter().map(|(k, v)| (own(k), own(v))).collect();
        let asked = tokio::task::spawn_blocking(move || {
            let headers: Vec<(&str, &str)> =
                headers.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
            request(address, &address.to_string(), &method, &path, &headers, body.as_bytes())
        });
        asked.await.unwrap().unwrap()
    }

    async fn browse(&self, query: &str) -> Answer {
        self.ask("GET", &format!("/oauth/authorize?{query}"), &[("Cookie", &self.cookie)], "").await
    }

    /// A code for `wiki`, with PKCE.
    async fn code(&self) -> String {
        let answer = self.browse(&wanted("wiki", BACK, "")).await;
        sent(&answer, "code").unwrap_or_else(|| panic!("{} {}", answer.head, answer.body))
    }

    async fn token(&self, form: &str) -> (u16, Value) {
        let form = format!("client_id=wiki&client_secret={}&{form}", self.secret);
        self.post("/oauth/token", &form).await
    }

    async fn post(&self, path: &str, form: &str) -> (u16, Value) {
        let answer = self.ask("POST", path, &[("Content-Type", FORM)], form).await;
        (answer.status, serde_json::from_str(&answer.body).unwrap_or_default())
    }

    async fn redeem(&self, code: &str) -> (u16, Value) {
        self.token(&exchange(code, VERIFIER)).await
    }

    async fn userinfo(&self, token: &Value) -> u16 {
        let bearer = format!("Bearer {}", token["access_token"].as_str().unwrap());
        self.ask("GET", "/oauth/userinfo", &[("Authorization", &bearer)], "").await.status
    }

    fn noted(&self, code: &str) -> bool {
        self.notes.0.lock().unwrap().contains(&code)
    }

    /// Asks until a token is over; the limit is what is promised.
    async fn over_within_five_seconds(&self, token: &Value) -> bool {
        let over = async {
            while self.userinfo(token).await != 401 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(5), over).await.is_ok()
    }
}

fn wanted(client: &str, back: &str, more: &str) -> String {
    let back = web::segment(back);
    format!(
        "client_id={client}&response_type=code&scope=openid%20profile%20email&state=st&redirect_uri={back}\
         &code_challenge={CHALLENGE}&code_challenge_method=S256{more}"
    )
}

fn exchange(code: &str, verifier: &str) -> String {
    let back = web::segment(BACK);
    format!(
        "grant_type=authorization_code&code={code}&redirect_uri={back}&code_verifier={verifier}"
    )
}

/// A header of an answer.
fn header<'a>(answer: &'a Answer, name: &str) -> Option<&'a str> {
    let lines = answer.head.lines().filter_map(|line| line.split_once(": "));
    lines.into_iter().find(|(k, _)| k.eq_ignore_ascii_case(name)).map(|(_, v)| v)
}

/// A parameter of the address that an answer sends to.
fn sent(answer: &Answer, name: &str) -> Option<String> {
    let query = header(answer, "location")?.split_once('?')?.1;
    naru_http::pairs(query).into_iter().find(|(k, _)| k == name).map(|(_, v)| v)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_works_once_and_who_shows_it_again_ends_what_came_of_it() {
    let world = World::new().await;
    let answer = world.browse(&wanted("wiki", BACK, "&nonce=n1")).await;
    assert_eq!(sent(&answer, "state").as_deref(), Some("st"));
    assert_eq!(sent(&answer, "iss"), Some(format!("http://{}", world.address)));
    let code = sent(&answer, "code").unwrap();
    let (status, token) = world.redeem(&code).await;
    assert_eq!((status, world.userinfo(&token).await), (200, 200), "{token}");
    let (_, claims) = world.sso.signer.read(token["id_token"].as_str().unwrap()).unwrap();
    assert_eq!((&claims["nonce"], &claims["email"]), (&json!("n1"), &json!("ada@example.com")));
    assert_eq!(claims["amr"], json!(["pwd"]));
    let (status, again) = world.redeem(&code).await;
    assert_eq!((status, &again["error"]), (400, &json!("invalid_grant")));
    assert_eq!(world.userinfo(&token).await, 401, "what came of it is over");
    assert!(world.noted("sso.code-reused"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_is_for_its_client_its_address_and_its_proof() {
    let world = World::new().await;
    let wrong = VERIFIER.replace('d', "e");
    for (form, noted) in [
        (exchange("nac_guessed", VERIFIER), "sso.code"),
        (exchange(&world.code().await, &wrong), "sso.pkce-verifier"),
        (exchange(&world.code().await, ""), "sso.pkce-verifier"),
        (exchange(&world.code().await, VERIFIER).replace("back", "elsewhere"), "sso.code-redirect"),
    ] {
        let (status, said) = world.token(&form).await;
        assert_eq!((status, &said["error"]), (400, &json!("invalid_grant")), "{form}");
        assert!(world.noted(noted), "{noted}");
    }
    let code = world.code().await;
    let foreign = format!("client_id=cli&{}", exchange(&code, VERIFIER));
    assert_eq!(world.post("/oauth/token", &foreign).await.1["error"], "invalid_grant");
    assert!(world.noted("sso.code-foreign"));
    assert_eq!(world.redeem(&code).await.0, 200, "its own client is not kept from it");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_verifier_without_a_challenge_is_a_downgrade() {
    let lax = Application { pkce: false, trusted: true, ..Application::default() };
    let world = World::with(lax).await;
    let bare = wanted("wiki", BACK, "").split("&code_challenge").next().unwrap().to_owned();
    let code = sent(&world.browse(&bare).await, "code").unwrap();
    assert_eq!(world.redeem(&code).await.1["error"], "invalid_grant");
    assert!(world.noted("sso.pkce-downgrade"));
    let refused = world
        .browse(
            &bare
                .replace("wiki&", "cli&")
                .replace(&web::segment(BACK), "http%3A%2F%2F127.0.0.1%2Fcb"),
        )
        .await;
    assert_eq!(
        sent(&refused, "error").as_deref(),
        Some("invalid_request"),
        "a public client has to"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_sent_to_an_address_that_is_not_registered() {
    let world = World::new().await;
    for query in [
        wanted("wiki", "https://evil.example/", ""),
        wanted("nobody", BACK, ""),
        wanted("wiki", BACK, "&redirect_uri=https%3A%2F%2Fevil.example"),
        wanted("wiki", BACK, &format!("&nonce={}", "x".repeat(5000))),
        wanted("wiki", BACK, "&login_hint=%0d%0aLocation:%20x"),
    ] {
        let answer = world.browse(&query).await;
        assert_eq!((answer.status, header(&answer, "location")), (400, None), "{query:.80}");
        assert_eq!(header(&answer, "x-frame-options"), Some("DENY"));
    }
    for code in ["sso.redirect", "sso.application", "sso.duplicate", "sso.too-long", "sso.encoding"]
    {
        assert!(world.noted(code), "{code}");
    }
    let plain = world.browse(&wanted("wiki", BACK, "").replace("S256", "plain")).await;
    assert_eq!(sent(&plain, "error").as_deref(), Some("invalid_request"));
    assert!(
        header(&plain, "location").unwrap().starts_with(BACK) && world.noted("sso.pkce-method")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_do_not_prove_themselves_hear_the_same_whatever_is_wrong() {
    let world = World::new().await;
    let code = world.code().await;
    let form = exchange(&code, VERIFIER);
    let mut said = Vec::new();
    for client in [
        "client_id=wiki&client_secret=wrong",
        "client_id=nobody&client_secret=x",
        "client_id=wiki",
        "client_id=cli&client_secret=x",
    ] {
        let (status, answer) = world.post("/oauth/token", &format!("{client}&{form}")).await;
        assert_eq!(status, 401, "{client}");
        said.push(answer);
    }
    assert!(said.iter().all(|answer| answer == &said[0]), "{said:?}");
    assert!(world.noted("sso.client-secret"));
    let twice = format!("{form}&grant_type=authorization_code");
    assert_eq!(world.token(&twice).await.1["error"], "invalid_request");
    assert_eq!(
        world.token("grant_type=password&username=ada&password=x").await.1["error"],
        "unsupported_grant_type"
    );
    assert_eq!(
        world.token("grant_type=client_credentials").await.1["error"],
        "unauthorized_client"
    );
    assert_eq!(world.redeem(&code).await.0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn people_are_asked_once_and_another_sites_page_cannot_answer_for_them() {
    let world = World::with(Application::default()).await;
    let query = wanted("wiki", BACK, "");
    let asks = world.browse(&query).await;
    assert_eq!((asks.status, header(&asks, "location")), (200, None));
    assert!(
        asks.body.contains("see your mail address")
            && asks.body.contains("https://wiki.example.com")
    );
    let silent = world.browse(&format!("{query}&prompt=none")).await;
    assert_eq!(sent(&silent, "error").as_deref(), Some("consent_required"));
    let form = format!("answer=agree&request={}", web::segment(&query));
    let evil = [
        ("Cookie", world.cookie.as_str()),
        ("Content-Type", FORM),
        ("Origin", "https://evil.example"),
    ];
    assert_eq!(world.ask("POST", "/application-answer", &evil, &form).await.status, 403);
    assert!(world.browse(&query).await.body.contains("see your mail"), "nothing was agreed to");
    let here = format!("http://{}", world.address);
    let ours =
        [("Cookie", world.cookie.as_str()), ("Content-Type", FORM), ("Origin", here.as_str())];
    let agreed = world.ask("POST", "/application-answer", &ours, &form).await;
    assert!(header(&agreed, "refresh").unwrap().contains("code=nac_"), "{}", agreed.head);
    assert!(sent(&world.browse(&query).await, "code").is_some(), "not asked again");
    let wider = world.browse(&query.replace("profile", "groups")).await;
    assert_eq!(wider.status, 200, "asked for more, it asks again");
    world.sso.withdraw(&ada(), name("wiki")).await.unwrap();
    assert_eq!(world.browse(&query).await.status, 200, "taken back, it asks again");
    let nobody = world.ask("GET", &format!("/oauth/authorize?{query}"), &[], "").await;
    assert!(header(&nobody, "location").unwrap().starts_with("/sign-in?back=%2Foauth%2Fauthorize"));
}

#[tokio::test(flavor = "multi_thread")]
async fn refresh_tokens_turn_and_a_copy_ends_the_family() {
    let world = World::new().await;
    let (_, first) = world.redeem(&world.code().await).await;
    let refresh = |token: &Value| {
        format!(
            "grant_type=refresh_token&refresh_token={}",
            token["refresh_token"].as_str().unwrap()
        )
    };
    let (status, second) = world.token(&refresh(&first)).await;
    assert_eq!((status, world.userinfo(&second).await), (200, 200));
    // Its answer was lost: of the two that it has now, one goes on.
    let (status, twin) = world.token(&refresh(&first)).await;
    assert_eq!(status, 200);
    let (_, third) = world.token(&refresh(&second)).await;
    assert_eq!(
        world.token(&format!("{}&scope=openid%20admin", refresh(&third))).await.1["error"],
        "invalid_scope"
    );
    assert_eq!(
        world.token(&refresh(&first)).await.1["error"],
        "invalid_grant",
        "two generations ago: a copy"
    );
    for token in [&second, &twin, &third] {
        assert_eq!(world.userinfo(token).await, 401);
        assert_eq!(world.token(&refresh(token)).await.0, 400);
    }
    assert!(world.noted("sso.refresh-reused"));
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_end_with_session_account_application_and_revocation() {
    let world = World::new().await;
    let token = async || world.redeem(&world.code().await).await.1;
    let (revoked, mut open) = (token().await, token().await);
    let form = format!(
        "client_id=wiki&client_secret={}&token={}",
        world.secret,
        revoked["refresh_token"].as_str().unwrap()
    );
    assert_eq!(world.post("/oauth/revoke", &form).await.0, 200);
    assert_eq!((world.userinfo(&revoked).await, world.userinfo(&open).await), (401, 200));
    let shown = format!(
        "client_id=wiki&client_secret={}&token={}",
        world.secret,
        open["access_token"].as_str().unwrap()
    );
    assert_eq!(world.post("/oauth/introspect", &shown).await.1["active"], true);
    let public = format!("client_id=cli&token={}", open["access_token"].as_str().unwrap());
    assert_eq!(world.post("/oauth/introspect", &public).await.0, 401);

    world.sso.accounts.revoke_sessions(&ada(), None, ada()).await.unwrap();
    assert!(world.over_within_five_seconds(&open).await, "with the session");

    let session = NewSession::new(ada(), Peer::default(), "link");
    let cookie = world.sso.accounts.begin_session(session).await.unwrap();
    let world = World { cookie: format!("naru_session={cookie}"), ..world };
    open = world.redeem(&world.code().await).await.1;
    let accounts = world.sso.accounts.clone();
    let disable = move |tx: &mut store::Tx<'_>| {
        let key = Key::global::<User>(&name("ada"));
        let spec = json!(User { disabled: true, title: "Ada".into(), ..User::default() });
        let put = Put {
            key,
            labels: Default::default(),
            spec,
            expected: None,
            actor: Principal::part("test"),
        };
        accounts.put(tx, put).map(drop)
    };
    world.sso.store().write(disable).await.unwrap();
    assert_eq!(world.userinfo(&open).await, 401, "with the account, at once");
}

#[tokio::test(flavor = "multi_thread")]
async fn applications_are_told_of_the_end_of_a_session() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let to = format!("http://{}/out", listener.local_addr().unwrap());
    let hears =
        Application { trusted: true, back_channel_logout: Some(to), ..Application::default() };
    let world = World::with(hears).await;
    let (_, token) = world.redeem(&world.code().await).await;
    let (_, claims) = world.sso.signer.read(token["id_token"].as_str().unwrap()).unwrap();
    world.sso.accounts.revoke_sessions(&ada(), None, ada()).await.unwrap();
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let heard = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut heard = Vec::new();
        while !String::from_utf8_lossy(&heard).contains("logout_token=") || heard.len() < 500 {
            let mut some = [0; 4096];
            let read = stream.read(&mut some).await.unwrap();
            heard.extend_from_slice(&some[..read]);
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await.unwrap();
        String::from_utf8(heard).unwrap()
    };
    let heard = tokio::time::timeout(Duration::from_secs(10), heard).await.unwrap();
    let said = heard.split_once("logout_token=").unwrap().1;
    let (kind, said) = world.sso.signer.read(said).unwrap();
    assert_eq!(
        (kind.as_str(), &said["sub"], &said["sid"]),
        ("logout+jwt", &claims["sub"], &claims["sid"])
    );
    assert_eq!(said["aud"], "wiki");
    assert!(said["nonce"].is_null() && said["events"].is_object());
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_an_application_may_call_and_no_others() {
    let world = World::new().await;
    let allowed = "access-control-allow-origin";
    for (origin, want) in
        [("https://wiki.example.com", true), ("https://evil.example", false), ("null", false)]
    {
        let asked = world
            .ask(
                "OPTIONS",
                "/oauth/token",
                &[("Origin", origin), ("Access-Control-Request-Method", "POST")],
                "",
            )
            .await;
        assert_eq!(header(&asked, allowed), want.then_some(origin), "{origin}");
        let form = format!(
            "client_id=wiki&client_secret={}&{}",
            world.secret,
            exchange(&world.code().await, VERIFIER)
        );
        let answer = world
            .ask("POST", "/oauth/token", &[("Origin", origin), ("Content-Type", FORM)], &form)
            .await;
        assert_eq!((answer.status, header(&answer, allowed)), (200, want.then_some(origin)));
        assert_eq!(header(&answer, "access-control-allow-credentials"), None);
        assert_eq!(header(&answer, "cache-control"), Some("no-store"));
    }
    let about = world.ask("GET", "/.well-known/openid-configuration", &[], "").await;
    assert_eq!(header(&about, allowed), Some("*"));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_members_of_its_groups_get_to_an_application() {
    let grants = [Grants::AuthorizationCode].into();
    let closed = Application {
        trusted: true,
        groups: vec![name("staff")],
        grants,
        ..Application::default()
    };
    let world = World::with(closed).await;
    let answer = world.browse(&wanted("wiki", BACK, "")).await;
    assert_eq!(sent(&answer, "error").as_deref(), Some("access_denied"));
    assert!(world.noted("sso.group"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_follows_another_and_both_work_for_a_while() {
    let world = World::new().await;
    let made =
        |overlap| move |tx: &mut store::Tx<'_>| secret::rotate(tx, &name("wiki"), overlap, ada());
    let second = world.sso.store().write(made(Duration::from_secs(60))).await.unwrap();
    assert_eq!(world.redeem(&world.code().await).await.0, 200, "the old one works on");
    let world = World { secret: second, ..world };
    assert_eq!(world.redeem(&world.code().await).await.0, 200);
    world.sso.store().write(made(Duration::ZERO)).await.unwrap();
    assert_eq!(world.redeem(&world.code().await).await.0, 401, "and is over when nothing overlaps");
    let given = world.sso.given(&ada()).await.unwrap();
    assert_eq!(given.iter().map(|mine: &manage::Mine| mine.sign_ins).sum::<usize>(), 2);
}

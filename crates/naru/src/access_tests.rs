//! Every route of every part, called without rights. No part is opened: the decision comes before the
//! handler, so a request that reached one would fail with 500.

use crate::parts;
use account::{Accounts, User};
use kernel::{Key, Name, Principal};
use naru_http::{Access, Route, Site, SiteOptions};
use policy::{Action, Member, Policy, Project, Role};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use store::{Put, Store};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

struct World {
    address: SocketAddr,
    stranger: String,
    /// Sees the project `shop` and changes nothing.
    viewer: String,
    /// Owns another project.
    neighbour: String,
    /// Of somebody who owns `shop`, but its time is over.
    expired: String,
    /// Of the same, for looking alone.
    reader: String,
    /// Of somebody who owned `shop` and whose account was disabled.
    disabled: String,
    stop: CancellationToken,
    _dir: tempfile::TempDir,
}

fn name(words: &str) -> Name {
    Name::parse(words).unwrap()
}

async fn world() -> (World, Vec<Route>) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("naru.db"), store::Options::default()).unwrap();
    let accounts = Accounts::open(store.clone()).await.unwrap();
    let policy = Policy::new(&accounts);
    store
        .write(move |tx| {
            let put = |key, spec| Put {
                key,
                labels: Default::default(),
                spec,
                expected: None,
                actor: Principal::part("test"),
            };
            for who in ["eve", "vic", "ann", "olga", "dora"] {
                let spec = serde_json::json!({ "title": "", "administrator": false });
                tx.put(put(Key::global::<User>(&name(who)), spec))?;
            }
            let project = |members| Project { members, ..Project::default() };
            let shop = project(vec![
                Member::user(name("vic"), Role::Viewer),
                Member::user(name("olga"), Role::Owner),
                Member::user(name("dora"), Role::Owner),
            ]);
            let web = project(vec![Member::user(name("ann"), Role::Owner)]);
            for (which, project) in [("shop", shop), ("web", web)] {
                let spec = serde_json::to_value(project).unwrap();
                tx.put(put(Key::global::<Project>(&name(which)), spec))?;
            }
            Ok(())
        })
        .await
        .unwrap();
    let token = async |whose: &str, lasts: Option<Duration>| {
        let who = Principal::User(name(whose));
        accounts.create_token(who.clone(), name(whose), lasts, who).await.unwrap()
    };
    let (stranger, viewer, neighbour, expired) = (
        token("eve", None).await,
        token("vic", None).await,
        token("ann", None).await,
        token("olga", Some(Duration::ZERO)).await,
    );
    let olga = Principal::User(name("olga"));
    let scopes = account::Scopes { read_only: true, ..account::Scopes::default() };
    let new = account::NewToken { scopes, ..account::NewToken::new(olga, name("reader")) };
    let reader = accounts.make_token(new).await.unwrap();
    let disabled = token("dora", None).await;
    let leaves = accounts.clone();
    store
        .write(move |tx| {
            let (key, actor) = (Key::global::<User>(&name("dora")), Principal::part("test"));
            let spec = serde_json::json!({ "title": "", "disabled": true });
            let put = Put { key, labels: Default::default(), spec, expected: None, actor };
            leaves.put(tx, put).map(drop)
        })
        .await
        .unwrap();
    let site = Site::new(SiteOptions {
        store,
        accounts,
        policy,
        kinds: parts::all(|p| p.kinds),
        routes: parts::all(|p| p.routes),
        assets: Vec::new(),
        error_page: None,
    });
    let routes = site.routes.clone();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    tokio::spawn(naru_http::serve(Arc::new(site), listener, stop.clone()));
    let world =
        World { address, stranger, viewer, neighbour, expired, reader, disabled, stop, _dir: dir };
    (world, routes)
}

fn path(route: &Route) -> String {
    let mut out = String::new();
    for segment in route.path.split('/').skip(1) {
        out.push('/');
        match segment {
            "{project}" => out.push_str("shop"),
            "{kinds}" => {
                out.push_str(if route.path.contains("{project}") { "services" } else { "users" })
            }
            s if s.starts_with('{') => out.push('x'),
            s => out.push_str(s),
        }
    }
    out
}

async fn ask(world: &World, route: &Route, token: Option<&str>) -> u16 {
    let (address, method, path) = (world.address, route.method.http(), path(route));
    let bearer = token.map(|t| format!("Bearer {t}"));
    let asked = tokio::task::spawn_blocking(move || {
        let headers: Vec<(&str, &str)> =
            bearer.as_deref().map(|b| ("Authorization", b)).into_iter().collect();
        testkit::request(address, "naru", method.as_str(), &path, &headers, b"{}")
    });
    asked.await.unwrap().unwrap().status
}

/// What the table says that a route takes: an action, and whether it is done in the project of the path.
fn takes(route: &Route) -> Option<(Action, bool)> {
    match route.access {
        Access::Public | Access::CrossSite | Access::Inside(_) | Access::SignedIn => None,
        Access::Action(action) => Some((action, route.path.contains("{project}"))),
        Access::Project(wanted) => Some((wanted.action(), true)),
        Access::Platform => Some((Action::PlatformAdminister, false)),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_gets_through_and_a_stranger_only_to_what_is_theirs() {
    let (world, routes) = world().await;
    assert!(routes.len() > 40);
    for route in &routes {
        let name = format!("{} {}", route.method.http(), route.path);
        let (nobody, stranger) =
            (ask(&world, route, None).await, ask(&world, route, Some(&world.stranger)).await);
        match takes(route) {
            Some((_, true)) => assert_eq!((nobody, stranger), (401, 404), "{name}"),
            Some((_, false)) => assert_eq!((nobody, stranger), (401, 403), "{name}"),
            None if route.access == Access::SignedIn => assert_eq!(nobody, 401, "{name}"),
            None => {}
        }
    }
    world.stop.cancel();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_changes_nothing_a_neighbour_sees_nothing_and_an_old_token_is_none() {
    let (world, routes) = world().await;
    let mut refused = 0;
    for route in &routes {
        let name = format!("{} {}", route.method.http(), route.path);
        if !matches!(route.access, Access::Public | Access::CrossSite) {
            assert_eq!(ask(&world, route, Some(&world.expired)).await, 401, "expired: {name}");
            assert_eq!(ask(&world, route, Some(&world.disabled)).await, 401, "disabled: {name}");
        }
        let writes = route.method != naru_http::Verb::Get;
        if writes && matches!(route.access, Access::SignedIn | Access::Project(_)) {
            let reader = ask(&world, route, Some(&world.reader)).await;
            assert_eq!(reader, 403, "a token for looking: {name}");
        }
        let Some((action, in_project)) = takes(route) else { continue };
        let neighbour = ask(&world, route, Some(&world.neighbour)).await;
        assert_eq!(neighbour, if in_project { 404 } else { 403 }, "neighbour: {name}");
        if action.role() != Some(Role::Viewer) {
            let viewer = ask(&world, route, Some(&world.viewer)).await;
            assert_eq!(viewer, 403, "viewer: {name}");
            refused += 1;
        }
    }
    assert!(refused > 40, "{refused}");
    world.stop.cancel();
}

/// Where anybody may knock, by the beginnings of paths: the front, the way in, what signs and proves, files of the
/// program itself, and what it is. Nothing else answers somebody who has shown nothing.
const OPEN: &[&str] = &[
    "/sign-in",
    "/invitation/",
    "/preferences",
    "/assets/",
    "/favicon",
    "/health",
    "/.well-known/",
    "/oauth",
    "/oidc",
    "/sso",
    "/device",
    "/ca",
    "/api/v1/ca",
    "/api/v1/health",
    "/api/v1/openapi.json",
    "/api/v1/version",
];

#[test]
fn what_answers_strangers_is_on_a_list_and_every_route_has_somebody_to_decide() {
    let routes = parts::all(|p| p.routes);
    assert_eq!(naru_http::undeclared(&routes), Vec::<String>::new());
    let open = routes.iter().filter(|r| matches!(r.access, Access::Public | Access::CrossSite));
    let strange: Vec<&str> = open
        .map(|r| r.path)
        .filter(|path| *path != "/" && !OPEN.iter().any(|begin| path.starts_with(begin)))
        .collect();
    assert_eq!(strange, Vec::<&str>::new(), "public, and on no list");
}

#[test]
fn every_action_of_a_route_is_one_that_is_done_there() {
    for route in parts::all(|p| p.routes) {
        let Some((action, in_project)) = takes(&route) else { continue };
        let fits = if in_project { action.in_projects() } else { action.on_platform() };
        assert!(fits, "{} names {action}", route.path);
    }
}

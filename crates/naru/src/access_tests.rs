//! Every route of every part, called without rights. No part is opened: the decision comes before the
//! handler, so a request that reached one would fail with 500.

use crate::parts;
use account::{Accounts, User};
use kernel::{Key, Name, Principal};
use naru_http::{Access, Route, Site, SiteOptions};
use policy::{Policy, Project};
use std::net::SocketAddr;
use std::sync::Arc;
use store::{Put, Store};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

struct World {
    address: SocketAddr,
    stranger: String,
    stop: CancellationToken,
    _dir: tempfile::TempDir,
}

async fn world() -> (World, Vec<Route>) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("naru.db"), store::Options::default()).unwrap();
    let accounts = Accounts::open(store.clone()).await.unwrap();
    let policy = Policy::new(&accounts);
    let eve = Name::parse("eve").unwrap();
    let named = eve.clone();
    store
        .write(move |tx| {
            let put = |key, spec| Put {
                key,
                labels: Default::default(),
                spec,
                expected: None,
                actor: Principal::part("test"),
            };
            tx.put(put(
                Key::global::<User>(&named),
                serde_json::json!({ "title": "", "administrator": false }),
            ))?;
            let spec = serde_json::to_value(Project::default()).unwrap();
            tx.put(put(Key::global::<Project>(&Name::parse("shop")?), spec))
        })
        .await
        .unwrap();
    let who = Principal::User(eve.clone());
    let stranger = accounts.create_token(who.clone(), eve, None, who).await.unwrap();
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
    (World { address, stranger, stop, _dir: dir }, routes)
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

#[tokio::test(flavor = "multi_thread")]
async fn nobody_gets_through_and_a_stranger_only_to_what_is_theirs() {
    let (world, routes) = world().await;
    assert!(routes.len() > 40);
    for route in &routes {
        let name = format!("{} {}", route.method.http(), route.path);
        let (nobody, stranger) =
            (ask(&world, route, None).await, ask(&world, route, Some(&world.stranger)).await);
        match route.access {
            Access::Public | Access::Inside => {}
            Access::SignedIn => assert_eq!(nobody, 401, "{name}"),
            Access::Action(_) if !route.path.contains("{project}") => {
                assert_eq!((nobody, stranger), (401, 403), "{name}")
            }
            Access::Action(_) => assert_eq!((nobody, stranger), (401, 404), "{name}"),
            Access::Platform => assert_eq!((nobody, stranger), (401, 403), "{name}"),
            Access::Project(_) => assert_eq!((nobody, stranger), (401, 404), "{name}"),
        }
    }
    world.stop.cancel();
}

//! What people ask about the edge, over the API with the command line's own client.

use crate::kit::*;
use account::{Accounts, User};
use kernel::{ErrorKind, Key, Lang, Principal};
use naru_http::{Site, SiteOptions};
use network_proxy::{Limits, PART, UpstreamState};
use policy::{Member, Policy, Project, Role};
use serde_json::Value;
use std::sync::Arc;
use store::{Put, Store};
use tokio_util::sync::CancellationToken;

const ROUTES: &str = "/api/v1/projects/shop/routes";

async fn put(store: &Store, key: Key, spec: Value) {
    let actor = Principal::part("test");
    let put = Put { key, labels: Default::default(), spec, expected: None, actor };
    store.write(move |tx| tx.put(put)).await.unwrap();
}

/// Clients of a member of `shop` and of one who is none.
async fn clients(edge: &TestEdge, store: Store, stop: &CancellationToken) -> [cli::Client; 2] {
    let accounts = Accounts::open(store.clone()).await.unwrap();
    let policy = Policy::new(&accounts);
    let members = vec![Member::user(name("lee"), Role::Viewer)];
    let project = serde_json::to_value(Project { members, ..Project::default() }).unwrap();
    put(&store, Key::global::<Project>(&name("shop")), project).await;
    for who in ["lee", "park"] {
        let user = User { title: who.into(), ..User::default() };
        put(&store, Key::global::<User>(&name(who)), serde_json::to_value(user).unwrap()).await;
    }
    let site = Site::new(SiteOptions {
        store,
        accounts: accounts.clone(),
        policy: policy.clone(),
        kinds: PART.kinds.to_vec(),
        routes: PART.routes.to_vec(),
        assets: Vec::new(),
        error_page: None,
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let site = Arc::new(site.with(edge.proxy.clone()));
    tokio::spawn(naru_http::serve(site, listener, stop.clone()));
    let client = async |who: &str| {
        let who = Principal::User(name(who));
        let token = accounts.create_token(who.clone(), name("test"), None, who).await.unwrap();
        cli::Client::new(
            cli::Endpoint { url: url.clone(), token, ca_file: None, outside: None },
            Lang::En,
        )
    };
    [client("lee").await, client("park").await]
}

#[tokio::test(flavor = "multi_thread")]
async fn members_see_the_routes_of_their_project_and_of_no_other() {
    let origin = Origin::fixed(ok("hello")).await;
    let mut edge = edge(Limits::default(), &[&origin]).await;
    let (project, service) = (name("garden"), name("web"));
    let theirs = kernel::port::RouteSet { project, service, hosts: vec![], upstreams: vec![] };
    network_proxy::Edge::publish(&edge.proxy, theirs);
    let mut visitor = Client::connect(&edge).await;
    for _ in 0..3 {
        assert_eq!(visitor.get("/").await.status, 200);
    }
    // The last answer may be with its client before the edge has counted it.
    edge.stop.cancel();
    (&mut edge.served).await.unwrap().unwrap();

    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("naru.db"), store::Options::default()).unwrap();
    let stop = CancellationToken::new();
    let _end = stop.clone().drop_guard();
    let [lee, park] = clients(&edge, store, &stop).await;
    let page: Value = lee.get(ROUTES).await.unwrap();
    let [only] = page["items"].as_array().unwrap().as_slice() else { panic!("{page}") };
    assert_eq!((&only["host"], &only["requests"]), (&HOST.into(), &3.into()), "{page}");
    let upstream = &only["upstreams"][0];
    assert_eq!(upstream["address"], origin.address.to_string());
    assert_eq!(upstream["state"], serde_json::to_value(UpstreamState::Serving).unwrap());
    assert!(only["latency"]["p99"].as_f64().unwrap() > 0.0, "{page}");
    for (client, path) in [(&park, ROUTES), (&lee, "/api/v1/projects/garden/routes")] {
        let refused = client.get::<Value>(path).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::NotFound, "{path}");
    }
}

#[tokio::test]
async fn an_error_page_names_commands_that_can_be_copied() {
    let edge = edge(Limits::default(), &[]).await;
    let mut client = Client::connect(&edge).await;
    let words = client.get("/").await;
    assert!(words.text().contains("“naru logs web -p shop”"), "{}", words.text());
    client.send("GET / HTTP/1.1\r\nHost: nobody.localhost\r\n\r\n").await;
    let words = client.answer("GET").await;
    assert!(words.text().contains("“naru route list -p PROJECT”"), "{}", words.text());
}

//! What the front promises, for every route of every part: another site's page changes nothing, and no answer can be
//! framed, sniffed or run a script of somebody else's. No part is opened: the promises hold before and after handlers.

use crate::parts;
use account::{Accounts, NewSession, Peer};
use kernel::{Key, Name, Principal};
use naru_http::{Access, Route, Site, SiteOptions, Verb};
use policy::{Policy, Project};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;
use store::{Put, Store};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

struct World {
    address: SocketAddr,
    /// An administrator's.
    session: String,
    routes: Vec<Route>,
    stop: CancellationToken,
    _dir: tempfile::TempDir,
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn world() -> World {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("naru.db"), store::Options::default()).unwrap();
    let accounts = Accounts::open(store.clone()).await.unwrap();
    let policy = Policy::new(&accounts);
    let put = Put {
        key: Key::global::<Project>(&Name::parse("shop").unwrap()),
        labels: Default::default(),
        spec: serde_json::to_value(Project::default()).unwrap(),
        expected: None,
        actor: Principal::part("test"),
    };
    store.write(move |tx| tx.put(put)).await.unwrap();
    let admin = Principal::User(Name::parse("admin").unwrap());
    let new = NewSession::new(admin, Peer::default(), "test");
    let session = accounts.begin_session(new).await.unwrap();
    let site = Site::new(SiteOptions {
        store,
        accounts,
        policy,
        kinds: parts::all(|p| p.kinds),
        routes: parts::all(|p| p.routes),
        assets: Vec::new(),
        error_page: Some(web::error_page),
    });
    let routes = site.routes.clone();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    tokio::spawn(naru_http::serve(Arc::new(site), listener, stop.clone()));
    World { address, session, routes, stop, _dir: dir }
}

fn path(route: &Route) -> String {
    let word = |segment: &str| match segment {
        "{project}" => "shop".to_owned(),
        "{kinds}" => "services".to_owned(),
        s if s.starts_with('{') => "x".to_owned(),
        s => s.to_owned(),
    };
    route.path.split('/').map(word).collect::<Vec<_>>().join("/")
}

/// The head of the answer, and as much of its body as says why it was refused.
fn ask(world: &World, route: &Route, more: &str) -> (String, String) {
    let mut stream = TcpStream::connect(world.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let (method, path, session) = (route.method.http(), path(route), &world.session);
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: naru\r\nConnection: close\r\nContent-Length: 0\r\n\
         Cookie: naru_session={session}\r\n{more}\r\n"
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut lines = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") && lines.read_line(&mut head).unwrap() > 0 {}
    let mut body = String::new();
    if head.starts_with("HTTP/1.1 4") {
        lines.take(4096).read_to_string(&mut body).unwrap();
    }
    (head.to_ascii_lowercase(), body)
}

#[tokio::test(flavor = "multi_thread")]
async fn no_page_of_another_site_changes_anything_by_a_session() {
    let world = world().await;
    let mut walked = 0;
    for route in &world.routes {
        if matches!(route.method, Verb::Get | Verb::Options) {
            continue;
        }
        let name = format!("{} {}", route.method.http(), route.path);
        // Other sites' pages send these by design; who is signed in is not even looked up.
        if route.access == Access::CrossSite {
            continue;
        }
        for origin in ["Origin: https://evil.example.com\r\n", "Origin: null\r\n", ""] {
            let (head, body) = tokio::task::block_in_place(|| ask(&world, route, origin));
            assert!(head.starts_with("http/1.1 403"), "{name} {origin}: {head}");
            assert!(body.contains("auth.cross-site"), "{name} {origin}: {body}");
        }
        walked += 1;
    }
    assert!(walked > 60, "{walked}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_answer_can_be_framed_or_sniffed_or_told_to_run_what_is_not_ours() {
    let world = world().await;
    let page = "Accept: text/html\r\n";
    for route in world.routes.iter().filter(|r| r.method == Verb::Get) {
        let (head, _) = tokio::task::block_in_place(|| ask(&world, route, page));
        for promise in [
            "frame-ancestors 'none'",
            "x-frame-options: deny",
            "x-content-type-options: nosniff",
            "referrer-policy: same-origin",
            "x-request-id: ",
            "cache-control: ",
        ] {
            assert!(head.contains(promise), "{}: {promise}: {head}", route.path);
        }
        assert!(!head.contains("unsafe-"), "{}: {head}", route.path);
    }
}

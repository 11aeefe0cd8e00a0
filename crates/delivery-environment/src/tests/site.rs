//! Sites: published, replaced, expired.

use super::world::{COMMIT, START, World, name};
use blob::Choose;
use kernel::journey::SitePublished;
use kernel::{Id, Key, Time};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const HOST: &str = "web-pages.shop.localhost";

/// A tree with these files.
async fn tree(world: &World, files: &[(&str, &str)]) -> blob::Held {
    let dir = tempfile::tempdir().unwrap();
    for (path, words) in files {
        let path = dir.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, words).unwrap();
    }
    world.blobs.put_tree(dir.path(), Choose::all(1 << 20, 100)).await.unwrap()
}

async fn publish(world: &World, tree: &blob::Held, prefix: &str, expires: Option<Time>) {
    let fact = fact_of(tree, prefix, expires);
    let seq = world.tell(&fact).await;
    world.event(seq, "resource.updated").await;
}

/// The head, and the body.
async fn get(world: &World, path: &str) -> (String, String) {
    let address = {
        let routes = world.edge.routes.lock().unwrap();
        routes.get("web-pages").map(|set| set.upstreams[0].address)
    };
    let Some(address) = address else { return ("no route".into(), String::new()) };
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let words = format!("GET {path} HTTP/1.1\r\nHost: {HOST}:8000\r\nConnection: close\r\n\r\n");
    stream.write_all(words.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.to_owned(), body.to_owned())
}

/// Asks until the answer is as wanted: what is served follows the store at once, but not in the same
/// instant, and says so to the edge alone.
async fn until(world: &World, path: &str, done: impl Fn(&str, &str) -> bool) -> (String, String) {
    let wait = async {
        loop {
            let (head, body) = get(world, path).await;
            if done(&head, &body) {
                return (head, body);
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), wait).await.expect("the answer")
}

#[tokio::test(flavor = "multi_thread")]
async fn editions_live_side_by_side_until_they_expire_or_are_taken_off() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(dir.path()).await;
    let root = tree(&world, &[("index.html", "root"), ("404.html", "lost")]).await;
    let seq = world.tell(&fact_of(&root, "", None)).await;
    world.event(seq, "resource.created").await;
    until(&world, "/", |_, body| body == "root").await;

    let later = START.plus(Duration::from_secs(3600));
    let preview = tree(&world, &[("index.html", "preview")]).await;
    publish(&world, &preview, "mr-1", Some(later)).await;
    until(&world, "/mr-1/", |_, body| body == "preview").await;
    let (head, _) = get(&world, "/mr-1").await;
    assert!(head.contains("301") && head.contains("./mr-1/"), "{head}");
    assert_eq!(get(&world, "/other").await.1, "lost");
    assert!(get(&world, "/mr-1/../index.html").await.0.contains("404"));

    // Replaced: what was there is not referred to any more.
    let second = tree(&world, &[("index.html", "second")]).await;
    publish(&world, &second, "", None).await;
    until(&world, "/", |_, body| body == "second").await;
    let owned = world.store.read(|v| blob::owned(v, "site:shop/web")).await.unwrap();
    assert!(owned.contains(&second.hash) && !owned.contains(&root.hash), "{owned:?}");

    // Its time is over.
    world.clock.advance(Duration::from_secs(3601));
    until(&world, "/mr-1/", |head, _| head.contains("404")).await;
    assert_eq!(get(&world, "/").await.1, "second");

    // A prefix that could be anything else is refused.
    let seq = world.tell(&fact_of(&second, "../etc", None)).await;
    world.event(seq, "site.refused").await;

    // The next server serves it before anything else.
    world.halt().await;
    let world = World::open(dir.path(), None).await.unwrap();
    assert_eq!(get(&world, "/").await.1, "second");
    world.part.unpublish(&name("shop"), &name("web"), None).await.unwrap();
    until(&world, "/", |head, _| head == "no route").await;
    let key = Key::of::<crate::Site>(&name("shop"), &name("web"));
    assert!(world.store.read(move |v| v.resource(&key)).await.unwrap().is_none());
    world.halt().await;
}

fn fact_of(tree: &blob::Held, prefix: &str, expires: Option<Time>) -> SitePublished {
    SitePublished {
        repository: name("web"),
        commit: COMMIT.into(),
        default_branch: true,
        run: Id::new(START.0, 1),
        step: "pages".into(),
        tree: tree.hash.clone(),
        prefix: prefix.into(),
        expires,
    }
}

//! Instances that can show who they are.

use super::copies::opened;
use super::node::{Node, manifest};
use serde_json::Value;

/// Answers with the token that it finds, the file's mode, and what else lies there.
const APP: &str = r#"
import json, os, signal, socket
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
path = os.environ["SHOP_TOKEN"]
s = socket.create_server(("127.0.0.1", int(os.environ["PORT"])))
while True:
    c, _ = s.accept()
    c.recv(4096)
    said = {"token": json.load(open(path)), "mode": oct(os.stat(path).st_mode), "own": os.stat(path).st_uid == os.getuid(),
            "dir": sorted(os.listdir(os.path.dirname(path)))}
    try:
        open(path, "w")
        said["written"] = True
    except OSError:
        pass
    body = json.dumps(said).encode()
    c.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(body) + body)
    c.close()
"#;

const ASKS: &str = "  id_tokens: {SHOP_TOKEN: {aud: [https://a.example, b], life: 10m}}\n";

async fn told(node: &Node, service: &str) -> Value {
    serde_json::from_str(&node.edge.get(service).await.unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_finds_a_token_that_says_who_it_is() {
    let node = Node::new().await;
    node.live("a1", &manifest(ASKS), APP, "web-1").await;
    let said = told(&node, "web").await;
    assert_eq!((&said["mode"], &said["own"]), (&"0o100600".into(), &true.into()), "{said}");
    assert_eq!(said["dir"], serde_json::json!(["SHOP_TOKEN"]));
    if node.host.abilities().namespaces != host::Namespaces::None {
        assert_eq!(said["written"], Value::Null, "what says who it is is not its own to change");
    }
    let token = &said["token"];
    for (claim, value) in [
        ("sub", "project_path:shop/web:service:web:environment:production"),
        ("project_path", "shop/web"),
        ("namespace_path", "shop"),
        ("ref", "main"),
        ("ref_type", "branch"),
        ("ref_protected", "true"),
        ("environment", "production"),
        ("change", "web-a1a1a1a1a1a1"),
        ("service", "web"),
        ("release", "web-1"),
        ("instance", "shop.web.1.0.1"),
    ] {
        assert_eq!(token[claim], value, "{claim}: {token}");
    }
    assert_eq!(token["aud"], serde_json::json!(["https://a.example", "b"]));
    assert_eq!(token["life"], 600);

    // A server that comes back renews what it finds, because it does not know how long it was away.
    let first = token["jti"].clone();
    let node = node.restart().await;
    let again = told(&node, "web").await;
    assert_eq!(again["token"]["instance"], "shop.web.1.0.1", "the same instance");
    assert_eq!(again["token"]["sub"], token["sub"]);
    assert_ne!(first, Value::Null);

    // What has ended leaves none behind.
    let running = node.running();
    node.live("b2", &manifest(""), &super::node::app("200 OK", "two"), "web-2").await;
    for id in &running {
        node.gone(id).await;
    }
    assert!(!node.token(&running[0]).exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_says_which_environment_it_is_of_and_from_which_branch() {
    let node = Node::new().await;
    let id = super::node::commit("c1");
    node.commits.add(&id, &[("naru.yaml", &manifest(ASKS)), ("app.py", APP)]);
    let seq = node.store.head();
    node.tell(opened("review-fix-1", &id)).await;
    let (_, done) =
        node.until::<kernel::journey::RolloutFinished>(seq, |f| f.service.as_str() != "web").await;
    let said = told(&node, done.service.as_str()).await;
    let token = &said["token"];
    for (claim, value) in [
        ("sub", "project_path:shop/web:service:web:environment:review-fix-1"),
        ("ref", "fix-1"),
        ("ref_protected", "false"),
        ("environment", "review-fix-1"),
        ("service", "web"),
    ] {
        assert_eq!(token[claim], value, "{claim}: {token}");
    }
}

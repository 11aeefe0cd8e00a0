//! Commands that begin something and stay until it has ended.

use super::node::{Node, app, commit, manifest, name, passed};
use super::serve::clients;
use crate::PART;
use cli::{Context, Format, Output};
use kernel::journey::{PipelineFinished, ReleaseSkipped};
use kernel::{Lang, Result};
use tokio_util::sync::{CancellationToken, DropGuard};

/// Somebody who may deploy, at a command line.
struct Desk {
    data: tempfile::TempDir,
    _end: DropGuard,
}

impl Desk {
    async fn new(node: &Node) -> Desk {
        let stop = CancellationToken::new();
        let [kim, ..] = clients(node, &stop).await;
        let data = tempfile::tempdir().unwrap();
        let endpoint = cli::Endpoint {
            url: kim.url().into(),
            token: kim.token().into(),
            ca_file: None,
            outside: None,
        };
        let bytes = serde_json::to_vec(&endpoint).unwrap();
        cli::write_private(&data.path().join("server.json"), &bytes).unwrap();
        Desk { data, _end: stop.drop_guard() }
    }

    /// What a command comes to; an error is its exit with 1.
    async fn types(&self, words: &str) -> Result<()> {
        let words: Vec<&str> = words.split(' ').collect();
        let command = PART.commands.iter().find(|c| c.name == words[0]).unwrap();
        let matches = (command.build)(Lang::En).try_get_matches_from(words).unwrap();
        let output = Output { format: Format::Json, lang: Lang::En, color: false };
        let data = Some(self.data.path().to_owned());
        (command.run)(Context { lang: Lang::En, output, data }, matches).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_ends_when_what_it_began_has() {
    let node = Node::new().await;
    node.live("a1", &manifest(""), &app("200 OK", "one"), "web-1").await;
    node.live("b2", &manifest(""), &app("200 OK", "two"), "web-2").await;
    let desk = Desk::new(&node).await;
    desk.types("rollback web -p shop").await.unwrap();
    assert_eq!(node.edge.get("web").await.unwrap(), "one");
    let serves = async || node.view().await.status.release;
    assert_eq!(serves().await, Some(name("web-1")));

    desk.types("service restart web -p shop").await.unwrap();
    assert_eq!(serves().await, Some(name("web-3")));

    desk.types("service scale web 3 -p shop").await.unwrap();
    assert_eq!(node.edge.upstreams("web").len(), 3);
    desk.types("service scale web 0 -p shop").await.unwrap();
    assert_eq!(node.edge.upstreams("web").len(), 0);
    desk.types("service scale web 0 -p shop").await.unwrap();
    desk.types("service scale web 1 -p shop --no-wait").await.unwrap();
    node.edge.until("web", |u| u.len() == 1).await;
    desk.types("service list -p shop").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollout_that_fails_fails_its_command_with_the_reason() {
    let node = Node::new().await;
    // Starts well the first time only.
    let sick = app("200 OK", "one").replace(
        "s = socket",
        "if os.environ['NARU_RELEASE'] != 'web-1':\n    sys.exit('no such table')\ns = socket",
    );
    node.live("a1", &manifest(""), &sick, "web-1").await;
    let desk = Desk::new(&node).await;
    let seq = node.store.head();
    desk.types("service restart web -p shop --no-wait").await.unwrap();
    node.rolled_out(seq, "web-2").await;
    let failed = desk.types("service restart web -p shop").await.unwrap_err();
    assert_eq!(failed.code(), "rollout.failed");
    assert!(failed.say().en.contains("web-3 did not go live"), "{failed}");
    assert!(failed.say().en.contains("no such table"), "{failed}");
    assert_eq!(node.edge.get("web").await.unwrap(), "one");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_was_held_back_is_deployed_by_hand() {
    let node = Node::new().await;
    let id = commit("a1");
    node.commits.add(&id, &[("naru.yaml", &manifest("")), ("app.py", &app("200 OK", "topic"))]);
    node.push(&id).await;
    let desk = Desk::new(&node).await;
    let deploy = "deploy web-a1a1a1a1a1a1 -p shop";
    let early = desk.types(deploy).await.unwrap_err();
    assert!(early.say().en.contains("has not ended"), "{early}");

    let topic =
        PipelineFinished { branch: Some("topic".into()), default_branch: false, ..passed(&id) };
    let seq = node.append(&topic, &id).await;
    node.until::<ReleaseSkipped>(seq, |_| true).await;
    desk.types(deploy).await.unwrap();
    assert_eq!(node.edge.get("web").await.unwrap(), "topic");
    let view = node.view().await;
    assert_eq!(view.releases[0].change, Some(name("web-a1a1a1a1a1a1")));
    // As often as somebody wants it.
    desk.types(deploy).await.unwrap();
    assert_eq!(node.view().await.status.release, Some(name("web-2")));

    let verdict = kernel::journey::Verdict::Failed;
    node.append(&PipelineFinished { verdict, ..topic }, &id).await;
    let red = desk.types(deploy).await.unwrap_err();
    assert!(red.say().en.contains("did not pass"), "{red}");
    let unknown = desk.types("deploy web-ffffffffffff -p shop").await.unwrap_err();
    assert!(unknown.say().en.contains("no change web-ffffffffffff"), "{unknown}");
}

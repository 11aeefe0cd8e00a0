//! Copies of services for environments.

use super::fakes::{Balancer, Commits, Told};
use super::node::{Node, app, commit, manifest, name};
use crate::{Condition, ServiceKey};
use kernel::journey::{
    EnvironmentClosed, EnvironmentOpened, EnvironmentReleased, Fact, RolloutFinished, Verdict,
    change_name, subject,
};
use kernel::{NewEvent, Principal, Text};
use std::sync::Arc;
use std::time::Duration;
use store::{Chaos, Moment};

fn about(environment: &str, fact: &impl Fact, commit: &str) -> NewEvent {
    let event = fact.event(Principal::part("test"), Text::plain("test")).unwrap();
    let change = change_name(&name("web"), commit);
    event.subject(subject("Environment", &name("shop"), &name(environment))).change(change)
}

pub fn opened(environment: &str, commit: &str) -> NewEvent {
    let fact = EnvironmentOpened {
        environment: name(environment),
        repository: name("web"),
        commit: commit.to_owned(),
        branch: Some("fix-1".into()),
        layers: Vec::new(),
    };
    about(environment, &fact, commit)
}

fn closed(environment: &str) -> NewEvent {
    about(environment, &EnvironmentClosed { environment: name(environment) }, &commit("e0"))
}

impl Node {
    pub async fn tell(&self, event: NewEvent) -> u64 {
        self.store.write(move |tx| tx.append(event)).await.unwrap()
    }

    /// Opens an environment for a commit with these files, and waits for the answer.
    async fn open_for(
        &self,
        environment: &str,
        word: &str,
        manifest: &str,
        app: &str,
    ) -> EnvironmentReleased {
        let id = commit(word);
        self.commits.add(&id, &[("naru.yaml", manifest), ("app.py", app)]);
        let seq = self.tell(opened(environment, &id)).await;
        self.until::<EnvironmentReleased>(seq - 1, |f| f.opened == seq).await.1
    }

    async fn copy_is_up(&self, answer: &EnvironmentReleased) {
        for copy in &answer.services {
            let run = copy.run.clone();
            let ended = self.until::<RolloutFinished>(0, move |f| f.run == run).await.1;
            assert_eq!(ended.verdict, Verdict::Passed, "{:?}", ended.reason);
            assert_eq!(ended.environment, Some(answer.environment.clone()));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_environment_has_its_own_copy_and_production_its_own() {
    let node = Node::new().await;
    node.live("a1", &manifest(""), &app("200 OK", "main"), "web-1").await;
    let two = manifest("  replicas: 3\n  environments: {env: {LEVEL: debug}}\n");
    let said = node.open_for("review-fix", "b2", &two, &app("200 OK", "branch")).await;
    node.copy_is_up(&said).await;
    assert_eq!(node.edge.get("web").await.unwrap(), "main");
    assert_eq!(node.edge.get("web-review-fix").await.unwrap(), "branch");

    let copy = node.services.show(&name("shop"), &name("web-review-fix")).await.unwrap();
    assert_eq!(copy.environment, Some(name("review-fix")));
    assert_eq!(copy.status.instances, "1/1", "however many production wants");
    let [instance] = &copy.instances[..] else { panic!("{:?}", copy.instances) };
    let env = node.host.find(&instance.id).unwrap().spec().env.clone();
    let value = |key: &str| env.iter().find(|(k, _)| k == key).map(|(_, v)| v.as_str());
    assert_eq!(value("NARU_ENVIRONMENT"), Some("review-fix"));
    assert_eq!(value("LEVEL"), Some("debug"));
    assert_eq!(value("NARU_URL_WEB"), Some("http://web-review-fix.shop.localhost:8000"));

    // The next deployment rolls it over, and one that fails leaves what is there.
    let said = node.open_for("review-fix", "b3", &manifest(""), &app("200 OK", "better")).await;
    node.copy_is_up(&said).await;
    assert_eq!(node.edge.get("web-review-fix").await.unwrap(), "better");
    let said = node.open_for("review-fix", "b4", "kind: Nonsense\n", "").await;
    assert!(said.refused.unwrap().en.contains("naru.yaml:1:"));
    assert_eq!(node.edge.get("web-review-fix").await.unwrap(), "better");

    // Its end takes everything with it, and nothing of production.
    node.tell(closed("review-fix")).await;
    node.edge.until("web-review-fix", |set| set.is_empty()).await;
    for workload in node.host.all().into_iter().filter(|w| w.id().contains("review")) {
        workload.wait().await;
    }
    assert_eq!(node.edge.get("web").await.unwrap(), "main");
    assert_eq!(node.view().await.status.condition, Condition::Healthy);
}

#[tokio::test(flavor = "multi_thread")]
async fn siblings_find_each_other_and_what_a_commit_dropped_goes() {
    let node = Node::new().await;
    let asks = r#"
import os, socket, sys, urllib.request
host = os.environ["NARU_URL_API"].split("//")[1].split(":")[0]
words = host + " is " + socket.gethostbyname(host)
s = socket.create_server(("127.0.0.1", int(os.environ["PORT"])))
while True:
    c, _ = s.accept()
    c.recv(4096)
    c.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s" % (len(words), words.encode()))
    c.close()
"#;
    let api = manifest("").replace("name: web", "name: api");
    let both = format!("{}---\n{api}", manifest(""));
    let said = node.open_for("qa", "b2", &both, asks).await;
    assert_eq!(said.services.len(), 2);
    node.copy_is_up(&said).await;
    if node.host.abilities().namespaces != host::Namespaces::None {
        let words = node.edge.get("web-qa").await.unwrap();
        assert_eq!(words, "api-qa.shop.localhost is 127.0.0.1");
    }
    let said = node.open_for("qa", "b3", &manifest(""), &app("200 OK", "alone")).await;
    node.copy_is_up(&said).await;
    node.edge.until("api-qa", |set| set.is_empty()).await;
    assert_eq!(node.edge.get("web-qa").await.unwrap(), "alone");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_machine_does_not_have_is_refused_whole() {
    let node = Node::new().await;
    let many = manifest("  environments: {replicas: 90}\n").replace("app.py", "nothing.py");
    let api = many.replace("name: web", "name: api");
    let said = node.open_for("qa", "b2", &format!("{many}---\n{api}"), "").await;
    let why = said.refused.unwrap().en;
    assert!(why.contains("180 instances were wanted") && why.contains("100"), "{why}");
    assert_eq!(node.services.list(&name("shop")).await.unwrap(), []);

    // Nor does a copy take what is production's, or the other way round.
    node.live(
        "a1",
        &manifest("").replace("name: web", "name: web-qa"),
        &app("200 OK", "main"),
        "web-qa-1",
    )
    .await;
    let said = node.open_for("qa", "b3", &manifest(""), &app("200 OK", "copy")).await;
    assert!(said.refused.unwrap().en.contains("web-qa is a service of production"));
    assert_eq!(node.edge.get("web-qa").await.unwrap(), "main");
}

/// Answers with what its data directory has, and adds a line to it at each start.
const KEEPS: &str = r#"
import os, socket
path = os.path.join(os.environ["NARU_DATA_DIR"], "words")
with open(path, "a") as f:
    f.write(os.environ["NARU_ENVIRONMENT"] + ";")
words = open(path).read()
s = socket.create_server(("127.0.0.1", int(os.environ["PORT"])))
while True:
    c, _ = s.accept()
    c.recv(4096)
    c.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s" % (len(words), words.encode()))
    c.close()
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_has_data_of_its_own_which_goes_with_it() {
    let node = Node::new().await;
    let lends = manifest("  data: {lend: true}\n");
    node.live("a1", &lends, KEEPS, "web-1").await;
    assert_eq!(node.edge.get("web").await.unwrap(), "production;");
    let said = node.open_for("qa", "b2", &lends, KEEPS).await;
    node.copy_is_up(&said).await;
    assert_eq!(node.edge.get("web-qa").await.unwrap(), "production;qa;", "what production lends");
    // A new release goes on with it, and production sees nothing of that.
    let said = node.open_for("qa", "b3", &lends, &format!("{KEEPS}\n")).await;
    node.copy_is_up(&said).await;
    assert_eq!(node.edge.get("web-qa").await.unwrap(), "production;qa;qa;");
    assert_eq!(node.edge.get("web").await.unwrap(), "production;");
    node.tell(closed("qa")).await;
    cleared(&node).await;
    // Opened again it begins anew.
    let said = node.open_for("qa", "b4", &lends, KEEPS).await;
    node.copy_is_up(&said).await;
    assert_eq!(node.edge.get("web-qa").await.unwrap(), "production;qa;");

    // What production does not lend nobody takes, whatever a branch says.
    node.live("a2", &manifest("  data: {}\n"), KEEPS, "web-2").await;
    let said = node.open_for("rc", "b5", &lends, KEEPS).await;
    node.copy_is_up(&said).await;
    assert_eq!(node.edge.get("web-rc").await.unwrap(), "rc;");
}

#[tokio::test(flavor = "multi_thread")]
async fn productions_data_stays_until_somebody_wants_it_gone() {
    let node = Node::new().await;
    let (keeps, who) = (manifest("  data: {}\n"), || Principal::User(name("kim")));
    node.live("a1", &keeps, KEEPS, "web-1").await;
    // Its releases go with what is remembered of it, after the last instance and the data.
    let gone = async |node: &Node, seq: u64| {
        let mut feed = node.store.follow(seq);
        let forgotten = async {
            loop {
                let fact = feed.next().await.unwrap().fact.clone();
                let release = fact.subject.is_some_and(|subject| subject.kind == "Release");
                if release && fact.kind == "resource.deleted" {
                    return;
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(30), forgotten).await.unwrap();
    };
    let seq = node.store.head();
    let done = node.services.delete(&node.key(), false, who()).await.unwrap();
    assert_eq!(done.data, crate::DataLeft::Kept);
    gone(&node, seq).await;
    // Made again it finds what it had.
    node.live("a2", &keeps, KEEPS, "web-2").await;
    assert_eq!(node.edge.get("web").await.unwrap(), "production;production;");
    let seq = node.store.head();
    let done = node.services.delete(&node.key(), true, who()).await.unwrap();
    assert_eq!(done.data, crate::DataLeft::Removed);
    gone(&node, seq).await;
    node.live("a3", &keeps, KEEPS, "web-3").await;
    assert_eq!(node.edge.get("web").await.unwrap(), "production;", "it begins anew");
    // A copy goes with its environment alone.
    let said = node.open_for("qa", "b4", &keeps, KEEPS).await;
    node.copy_is_up(&said).await;
    let copy = ServiceKey::new(&name("shop"), &name("web-qa"));
    let refused = node.services.delete(&copy, true, who()).await.unwrap_err();
    assert_eq!(refused.code(), "service.copy");
}

/// An environment is opened, or closed, with a crash at a commit; whether it came to the crash.
async fn crashed(close: bool, at: u64, moment: Moment) -> bool {
    let dir = Arc::new(tempfile::tempdir().unwrap());
    let (edge, commits) = (Balancer::new(), Commits::default());
    let node = Node::open(dir.clone(), edge.clone(), commits.clone(), None).await.unwrap();
    node.prepare().await;
    let id = commit("a1");
    commits.add(&id, &[("naru.yaml", &manifest("")), ("app.py", &app("200 OK", "copy"))]);
    // What tells of an environment is found again by its resource.
    let spec = serde_json::json!({});
    node.put(subject("Environment", &name("shop"), &name("qa")), spec).await;
    let event = if close {
        let said = node.open_for("qa", "a1", &manifest(""), &app("200 OK", "copy")).await;
        node.copy_is_up(&said).await;
        closed("qa")
    } else {
        opened("qa", &id)
    };
    node.halt_after(event).await;
    let chaos = Arc::new(Chaos::new(at, moment));
    match Node::open(dir.clone(), edge.clone(), commits.clone(), Some(chaos.clone())).await {
        Ok(node) => {
            let over = async {
                if close {
                    gone(&node).await;
                } else {
                    let mut feed = node.store.follow(0);
                    while let Ok(event) = feed.next().await {
                        if RolloutFinished::of(&event).is_some() {
                            return;
                        }
                    }
                }
            };
            let ended = async {
                tokio::select! { () = over => {} () = chaos.died() => {} }
            };
            tokio::time::timeout(Duration::from_secs(20), ended).await.expect("crash or end");
            node.halt().await;
        }
        Err(error) => assert_eq!(error.code(), "store.closed"),
    }
    let node = Node::open(dir, edge, commits, None).await.unwrap();
    if close {
        gone(&node).await;
    } else {
        node.edge.until("web-qa", |set| set.len() == 1).await;
        let first = node.until::<EnvironmentReleased>(0, |_| true).await.1;
        node.copy_is_up(&first).await;
        assert_eq!(node.edge.get("web-qa").await.unwrap(), "copy");
        let events = node.events(0).await;
        let said = events.iter().filter(|e| EnvironmentReleased::of(e).is_some()).count();
        assert_eq!((said, node.running().len()), (1, 1));
    }
    chaos.crashed()
}

/// Waits until nothing of the environment runs, or is known.
async fn gone(node: &Node) {
    let mut feed = node.store.follow(0);
    loop {
        let key = ServiceKey::new(&name("shop"), &name("web-qa"));
        let left = node.store.read(move |v| v.resource(&key.resource())).await;
        let Ok(left) = left else { return };
        if left.is_none() && node.running().is_empty() {
            return;
        }
        tokio::select! {
            next = feed.next() => if next.is_err() { return },
            () = ended(node) => {}
        }
    }
}

/// Waits until nothing is remembered of the environment's copies.
async fn cleared(node: &Node) {
    let mut feed = node.store.follow(0);
    let wait = async {
        loop {
            let left = |v: &store::View<'_>| crate::copies::of(v, &name("shop"), &name("qa"));
            if node.store.read(left).await.unwrap().is_empty() {
                return;
            }
            feed.next().await.unwrap();
        }
    };
    tokio::time::timeout(Duration::from_secs(20), wait).await.expect("the copies' end");
}

/// Until one of what runs has ended.
async fn ended(node: &Node) {
    let mut waits = tokio::task::JoinSet::new();
    for workload in node.host.all().into_iter().filter(|w| w.exit().is_none()) {
        waits.spawn(async move { drop(workload.wait().await) });
    }
    if waits.join_next().await.is_none() {
        std::future::pending::<()>().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_at_any_commit_leaves_one_set_of_copies() {
    for moment in [Moment::Before, Moment::After] {
        let mut at = 1;
        while crashed(false, at, moment).await {
            at += 1;
        }
        assert!(at > 5, "it takes more commits than {at}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_at_any_commit_leaves_none_of_a_closed_environment() {
    for moment in [Moment::Before, Moment::After] {
        let mut at = 1;
        while crashed(true, at, moment).await {
            at += 1;
        }
        assert!(at > 1, "it takes more commits than {at}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_are_drained_before_they_are_told_to_go() {
    let node = Node::new().await;
    let said = node.open_for("qa", "b2", &manifest(""), &app("200 OK", "copy")).await;
    node.copy_is_up(&said).await;
    node.tell(closed("qa")).await;
    gone(&node).await;
    let drained = Told::Drain { instance: "shop.web-qa.1.0.1".into(), alive: true };
    let told = node.edge.told();
    assert!(told.contains(&drained) && told.contains(&Told::Withdraw("web-qa".into())), "{told:?}");
}

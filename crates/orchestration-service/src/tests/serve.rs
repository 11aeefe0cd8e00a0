//! The routes, over a socket and with the command line's own client.

use super::node::{Node, app, manifest, name};
use crate::{LogLine, PART, RolledBack, ServiceView};
use account::{Accounts, User};
use kernel::{ErrorKind, Key, Lang, Principal};
use policy::{Member, Policy, Project, Role};
use serde_json::{Value, json};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

const WEB: &str = "/api/v1/projects/shop/services/web";

/// A client for each of these people: a maintainer, a viewer, and one who is no member.
pub async fn clients(node: &Node, stop: &CancellationToken) -> [cli::Client; 3] {
    let accounts = Accounts::open(node.store.clone()).await.unwrap();
    let policy = Policy::new(&accounts);
    let people = [("kim", Some(Role::Maintainer)), ("lee", Some(Role::Viewer)), ("park", None)];
    let member = |(who, role): &(&str, Option<Role>)| Some(Member::user(name(who), (*role)?));
    let members = people.iter().filter_map(member).collect();
    let project = serde_json::to_value(Project { members, ..Project::default() }).unwrap();
    node.put(Key::global::<Project>(&name("shop")), project).await;
    for (who, _) in people {
        let user = User { title: who.into(), ..User::default() };
        let spec = serde_json::to_value(user).unwrap();
        node.put(Key::global::<User>(&name(who)), spec).await;
    }
    let site = naru_http::Site::new(naru_http::SiteOptions {
        store: node.store.clone(),
        accounts: accounts.clone(),
        policy: policy.clone(),
        kinds: PART.kinds.to_vec(),
        routes: [PART.routes, console::PART.routes].concat(),
        assets: Vec::new(),
        error_page: None,
    });
    let site = Arc::new(site.with(node.services.clone()));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(naru_http::serve(site, listener, stop.clone()));
    let client = async |who: &str| {
        let who = Principal::User(name(who));
        let token = accounts.create_token(who.clone(), name("test"), None, who).await.unwrap();
        cli::Client::new(
            cli::Endpoint { url: url.clone(), token, ca_file: None, outside: None },
            Lang::En,
        )
    };
    [client("kim").await, client("lee").await, client("park").await]
}

#[tokio::test(flavor = "multi_thread")]
async fn people_see_scale_and_go_back_as_far_as_their_rights_reach() {
    let node = Node::new().await;
    node.live("a1", &manifest(""), &app("200 OK", "one"), "web-1").await;
    node.live("b2", &manifest(""), &app("200 OK", "two"), "web-2").await;
    let stop = CancellationToken::new();
    let _end = stop.clone().drop_guard();
    let [kim, lee, park] = clients(&node, &stop).await;

    let view: ServiceView = lee.get(&format!("{WEB}/view")).await.unwrap();
    assert_eq!(view.status.release, Some(name("web-2")));
    let scale = json!({ "replicas": 2 });
    let refused = lee.post::<Value>(&format!("{WEB}/scale"), &scale).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Forbidden);
    let deploy = "/api/v1/projects/shop/changes/web-a1a1a1a1a1a1/deploy";
    let refused = lee.post::<Value>(deploy, &json!({})).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Forbidden);
    let machine: Value = park.get("/api/v1/host").await.unwrap();
    assert_eq!(machine, serde_json::to_value(node.host.abilities()).unwrap());
    let hidden = park.get::<Value>(&format!("{WEB}/logs")).await.unwrap_err();
    assert_eq!(hidden.kind(), ErrorKind::NotFound);

    kim.post::<Value>(&format!("{WEB}/scale"), &scale).await.unwrap();
    node.edge.until("web", |u| u.len() == 2).await;
    let wrong = kim.post::<Value>(&format!("{WEB}/scale"), &json!({ "replicas": 1000 })).await;
    assert_eq!(wrong.unwrap_err().kind(), ErrorKind::Invalid);

    let seq = node.store.head();
    let begun: RolledBack = kim.post(&format!("{WEB}/rollback"), &json!({})).await.unwrap();
    assert_eq!(begun.release, name("web-1"));
    node.rolled_out(seq, "web-1").await;
    assert_eq!(node.edge.get("web").await.unwrap(), "one");
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_come_whole_and_live() {
    let node = Node::new().await;
    node.live("a1", &manifest(""), &app("200 OK", "one"), "web-1").await;
    let stop = CancellationToken::new();
    let _end = stop.clone().drop_guard();
    let [kim, ..] = clients(&node, &stop).await;
    let answer: Value = kim.get(&format!("{WEB}/logs?tail=1")).await.unwrap();
    assert_eq!(answer["lines"][0]["text"], "serving one as web-1");
    let mut live = kim.stream(&format!("{WEB}/logs?follow=true&instance=web-1-0-1")).await.unwrap();
    let mut next = async || -> Option<LogLine> {
        live.next().await.unwrap().map(|(_, data)| serde_json::from_str(&data).unwrap())
    };
    assert_eq!(next().await.unwrap().line.text, "serving one as web-1");
    let who = Principal::User(name("kim"));
    node.services.scale(&node.key(), 0, who).await.unwrap();
    assert_eq!(next().await.unwrap().line.text, "bye");
    assert!(next().await.is_none(), "the instance has ended, and so has its log");
    for wrong in ["nobody", "..%2f..%2fnaru.db", "shop.other.1.0.1"] {
        let path = format!("{WEB}/logs?instance={wrong}");
        assert_eq!(kim.get::<Value>(&path).await.unwrap_err().kind(), ErrorKind::NotFound);
    }
}

use super::*;
use kernel::port::Upstream;
use std::net::SocketAddr;
use tokio::time::Instant;

fn name(words: &str) -> Name {
    Name::parse(words).unwrap()
}

fn set(service: &str, hosts: &[&str], instances: &[&str]) -> RouteSet {
    let upstream = |i: &&str| Upstream {
        instance: i.to_string(),
        address: SocketAddr::from(([127, 0, 0, 1], 1)),
    };
    RouteSet {
        project: name("shop"),
        service: name(service),
        hosts: hosts.iter().map(|h| h.to_string()).collect(),
        upstreams: instances.iter().map(upstream).collect(),
    }
}

fn owner(routes: &Routes, host: &str) -> Option<String> {
    routes.table().find(host).map(|r| r.service.to_string())
}

#[test]
fn a_host_has_one_owner() {
    let routes = Routes::default();
    routes.publish(
        set("web", &["www.example.com", "api.shop.localhost", "bad host"], &[]),
        "localhost",
    );
    routes.publish(set("api", &["www.example.com."], &[]), "localhost");
    assert_eq!(owner(&routes, "web.shop.localhost").as_deref(), Some("web"));
    assert_eq!(owner(&routes, "www.example.com").as_deref(), Some("web"), "the earlier keeps it");
    assert_eq!(owner(&routes, "api.shop.localhost").as_deref(), Some("api"), "own name wins");
    let shown: Vec<Vec<String>> = routes.views().into_iter().map(|v| v.hosts).collect();
    assert_eq!(shown, [vec![], vec!["www.example.com".to_owned()]]);
    routes.withdraw(&name("shop"), &name("web"));
    assert_eq!(owner(&routes, "web.shop.localhost"), None);
    assert_eq!(owner(&routes, "www.example.com").as_deref(), Some("api"));
}

#[tokio::test(start_paused = true)]
async fn a_drain_waits_for_leases_and_says_how_many_are_left() {
    let routes = Routes::default();
    routes.publish(set("web", &[], &["a"]), "localhost");
    let old = routes.table().find("web.shop.localhost").unwrap().clone();
    let (one, two) = (old.pick(&[], 0).unwrap(), old.pick(&[], 0).unwrap());
    routes.publish(set("web", &[], &["b"]), "localhost");
    assert!(old.pick(&[], 0).is_none(), "an old table gives nothing that drains");
    assert_eq!(routes.drain("a", Duration::from_secs(1)).await, 2);
    drop(one);
    let limit = Duration::from_secs(60);
    let draining = routes.drain("a", limit);
    let leaving = async {
        tokio::time::sleep(Duration::from_secs(5)).await;
        drop(two);
    };
    let started = Instant::now();
    let (left, ()) = tokio::join!(draining, leaving);
    assert_eq!((left, started.elapsed()), (0, Duration::from_secs(5)));
    assert_eq!(routes.drain("nobody", limit).await, 0);
}

#[test]
fn counters_survive_a_publication() {
    let routes = Routes::default();
    routes.publish(set("web", &[], &["a"]), "localhost");
    let route = routes.table().find("web.shop.localhost").unwrap().clone();
    let lease = route.pick(&[], 0).unwrap();
    route.stats.record(500, Duration::from_millis(3));
    routes.publish(set("web", &[], &["a", "b"]), "localhost");
    let view = routes.views().remove(0);
    assert_eq!((view.requests, view.server_errors, view.in_flight), (1, 1, 1));
    assert_eq!(view.upstreams[0].requests, 1);
    drop(lease);
    assert_eq!(routes.views()[0].in_flight, 0);
}

#[tokio::test(start_paused = true)]
async fn ejection_grows_ends_by_time_and_never_takes_all() {
    let routes = Routes::default();
    routes.publish(set("web", &[], &["a", "b"]), "localhost");
    let route = routes.table().find("web.shop.localhost").unwrap().clone();
    let a = route.instances[0].clone();
    for _ in 0..3 {
        a.refused();
    }
    for random in 0..64 {
        assert_eq!(route.pick(&[], random * 0x0123_4567_89ab).unwrap().name, "b");
    }
    let b = route.instances[1].clone();
    (0..3).for_each(|_| b.refused());
    assert!(route.pick(&[], 7).is_some(), "all are ejected: better to try than to refuse");
    tokio::time::advance(Duration::from_millis(300)).await;
    assert!(!a.ejected());
    a.refused();
    tokio::time::advance(Duration::from_millis(300)).await;
    assert!(a.ejected(), "the fourth refusal in a row weighs more");
    a.accepted();
    assert!(!a.ejected());
}

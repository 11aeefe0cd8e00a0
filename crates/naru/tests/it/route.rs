//! The edge, as people ask about it and reach it.

use crate::{WEB, files, service, shop};

#[test]
fn what_error_pages_advise_works_when_it_is_copied() {
    let naru = shop();
    let copied = |page: &str| -> Vec<String> {
        let command = page.split('“').filter_map(|w| w.split_once('”')).map(|(inside, _)| inside);
        let command = command.filter_map(|c| c.strip_prefix("naru ")).next().expect(page);
        command.replace("PROJECT", "shop").split(' ').map(str::to_owned).collect()
    };
    let run = |page: &str| {
        let words = copied(page);
        naru.say(&words.iter().map(String::as_str).collect::<Vec<_>>()).unwrap()
    };
    let lost = naru.visit("lost.shop.localhost", "/").unwrap();
    assert_eq!(lost.status, 404);
    assert!(run(&lost.body).starts_with("no routes yet"));

    let work = naru.repository("shop", "web", &files(&service("hello"))).unwrap();
    work.follow().unwrap();
    for _ in 0..5 {
        assert_eq!(naru.visit(WEB, "/").unwrap().status, 200);
    }
    let shown = run(&lost.body);
    assert!(shown.contains(WEB) && shown.contains("2 of 2 serving"), "{shown}");
    let routes = naru.json(&["route", "list", "-p", "shop"]).unwrap();
    let route = &routes[0];
    assert_eq!((&route["service"], &route["requests"]), (&"web".into(), &5.into()), "{routes}");
    let of_instances: u64 = route["upstreams"]
        .as_array()
        .unwrap()
        .iter()
        .map(|u| u["requests"].as_u64().unwrap())
        .sum();
    assert_eq!(of_instances, 5, "{routes}");

    naru.say(&["service", "scale", "web", "0", "-p", "shop"]).unwrap();
    let asleep = std::iter::repeat_with(|| naru.visit(WEB, "/").unwrap())
        .take(2000)
        .find(|answer| answer.status == 503)
        .expect("a service without instances");
    assert!(asleep.body.contains("“naru logs web -p shop”"), "{}", asleep.body);
    run(&asleep.body);
}

//! Pages in a real browser.

use crate::{TIMETABLE, shop};
use testkit::{Browser, Look, Naru, request};

const WIDE: Look = Look { width: 1440, lang: "en", theme: "light" };
const NARROW: Look = Look { width: 390, lang: "ko", theme: "dark" };

/// A session of the administrator's, opened as the sign-in page opens it.
fn session(naru: &Naru) -> String {
    let form = format!("token={}", naru.token().unwrap());
    let host = naru.url.trim_start_matches("http://").to_owned();
    let address = naru.address().unwrap();
    let origin = [("Origin", naru.url.as_str())];
    let answer = request(address, &host, "POST", "/sign-in", &origin, form.as_bytes()).unwrap();
    let cookie = answer.head.split("naru_session=").nth(1).expect(&answer.head);
    cookie.split(';').next().unwrap().to_owned()
}

/// Every page there is once a change has gone live and another has failed.
fn pages(naru: &Naru) -> Vec<String> {
    let names = |path: &str, field: &str| -> Vec<String> {
        let list = naru.api("GET", path, "").unwrap().json().unwrap();
        let items = list["items"].as_array().unwrap().iter();
        items.map(|i| i[field].as_str().unwrap().to_owned()).collect()
    };
    let changes = names("/api/v1/projects/shop/changes", "name");
    let runs = names("/api/v1/projects/shop/runs", "id");
    let commits = "/api/v1/projects/shop/repositories/web/commits";
    let commit = naru.api("GET", commits, "").unwrap().json().unwrap();
    let commit = commit["commits"][0]["id"].as_str().unwrap().to_owned();
    let fixed = [
        "/",
        "/events",
        "/tokens",
        "/sign-in",
        "/account",
        "/account/sign-in",
        "/account/keys",
        "/account/sessions",
        "/people",
        "/people/admin",
        "/groups",
        "/service-accounts",
        "/projects/shop",
        "/projects/shop/runs",
        "/projects/shop/services",
        "/projects/shop/services/web",
        "/projects/shop/metrics",
        "/projects/shop/code",
        "/projects/shop/code/web",
        "/projects/shop/code/web/commits/main",
        "/projects/shop/code/web/file/main/app.py",
        "/events?project=shop&kind=change.",
        "/projects/shop/pipelines/new",
        "/projects/shop/pipelines/lint",
    ];
    let mut all: Vec<String> = fixed.map(str::to_owned).to_vec();
    all.push(format!("/projects/shop/code/web/commit/{commit}"));
    all.extend(changes.iter().map(|c| format!("/projects/shop/changes/{c}")));
    all.extend(runs.iter().map(|r| format!("/projects/shop/runs/{r}")));
    all.push(format!("/projects/shop/runs/{}/jobs", runs.last().unwrap()));
    all
}

#[test]
fn every_page_is_whole_and_quiet_wide_and_narrow_in_both_languages() {
    let naru = shop();
    let work = naru.repository("shop", "web", TIMETABLE).unwrap();
    work.follow().unwrap();
    let broken = "def departures(minute):\n    return []\n";
    work.commit("Break it", &[("timetable.py", broken)]).unwrap();
    work.push(&["-o", "follow", "naru", "main"]).unwrap();
    let (session, pages) = (session(&naru), pages(&naru));
    let mut browser = Browser::start().unwrap();
    for look in [WIDE, NARROW] {
        browser.look(&naru.url, Some(&session), look).unwrap();
        for page in &pages {
            browser.go(&format!("{}{page}", naru.url)).unwrap();
            assert_eq!(browser.complaints(), Vec::<String>::new(), "{page} {look:?}");
            let wreck = browser.eval("document.querySelector('.wreck')?.innerText").unwrap();
            assert!(wreck.is_null(), "{page}: {wreck}");
            let lang = browser.eval("document.documentElement.lang").unwrap();
            assert_eq!(lang, look.lang, "{page}");
            let over = "document.documentElement.scrollWidth - innerWidth";
            assert_eq!(browser.eval(over).unwrap(), 0, "{page} is wider than {}", look.width);
        }
    }
    // And the watch is awake: what the policy refuses is heard.
    let refused = "new Promise((heard) => {
        document.addEventListener('securitypolicyviolation', () => setTimeout(heard));
        document.body.setAttribute('style', 'color: red');
    })";
    browser.eval(refused).unwrap();
    assert!(browser.complaints().iter().any(|c| c.contains("style")));
}

#[test]
fn a_change_crosses_while_somebody_looks_and_a_log_grows() {
    let naru = shop();
    let pipeline =
        "build:\n  script:\n    - echo first words\n    - sleep 2\n    - echo last words\n";
    let work = naru.repository("shop", "web", &[(".gitlab-ci.yml", pipeline)]).unwrap();
    let session = session(&naru);
    let mut browser = Browser::start().unwrap();
    browser.look(&naru.url, Some(&session), WIDE).unwrap();
    browser.go(&format!("{}/projects/shop", naru.url)).unwrap();
    assert!(browser.words().unwrap().contains("git push naru main"), "nothing is there yet");
    browser.eval("window.same = true").unwrap();

    work.push(&["naru", "main"]).unwrap();
    browser.until("document.querySelector('.crossing .ferry')").unwrap();
    let way = browser.eval("document.querySelector('.crossing a.title-link').href").unwrap();
    browser.until("document.querySelector('.crossing .badge.is-passed')").unwrap();
    assert_eq!(browser.eval("window.same").unwrap(), true, "without loading the page again");

    // The log of a step: what was there, then what comes, each line once, and then its end.
    browser.go(way.as_str().unwrap()).unwrap();
    work.commit("Again", &[]).unwrap();
    work.push(&["naru", "main"]).unwrap();
    browser.go(&format!("{}/projects/shop/runs", naru.url)).unwrap();
    browser.until("document.querySelector('tr[data-row] .badge.is-running')").unwrap();
    let run = browser.eval("document.querySelector('tr[data-row]').dataset.row").unwrap();
    browser.go(&format!("{}{}", naru.url, run.as_str().unwrap())).unwrap();
    browser.until("document.querySelector('.log')?.innerText.includes('first words')").unwrap();
    browser.until("document.querySelector('.heading .badge.is-passed')").unwrap();
    let lines = "[...document.querySelectorAll('.ln-text')].map((l) => l.innerText)";
    for words in ["first words", "last words"] {
        let count = format!("{lines}.filter((l) => l === '{words}').length");
        assert_eq!(browser.eval(&count).unwrap(), 1, "{words}: {}", browser.words().unwrap());
    }
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[test]
fn the_keyboard_leads_everywhere() {
    let naru = shop();
    let work = naru.repository("shop", "web", &[("README.md", "# Shop\n")]).unwrap();
    work.follow().unwrap();
    let mut browser = Browser::start().unwrap();
    browser.look(&naru.url, Some(&session(&naru)), WIDE).unwrap();
    browser.go(&format!("{}/projects", naru.url)).unwrap();
    browser.led_on(|b| b.press(&["j", "Enter"])).unwrap();
    assert_eq!(browser.eval("location.pathname").unwrap(), "/projects/shop");
    for (key, path) in
        [("d", "/projects/shop/code/web"), ("m", "/projects/shop/metrics"), ("c", "/projects/shop")]
    {
        browser.led_on(|b| b.press(&["g", key])).unwrap();
        assert_eq!(browser.eval("location.pathname").unwrap(), path);
    }
    browser.press(&["/"]).unwrap();
    browser.until("document.querySelector('.switch a')").unwrap();
    browser.led_on(|b| b.press(&["s", "h", "Enter"])).unwrap();
    assert_eq!(browser.eval("location.pathname").unwrap(), "/projects/shop");
    browser.press(&["?"]).unwrap();
    assert_eq!(browser.eval("document.querySelector('#keys').open").unwrap(), true);
    browser.press(&["Escape"]).unwrap();
    browser.led_on(|b| b.press(&["t"])).unwrap();
    assert_eq!(browser.eval("document.documentElement.dataset.theme").unwrap(), "system");
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[test]
fn without_scripts_one_signs_in_reads_and_acts() {
    let naru = shop();
    let pipeline = "gate:\n  script: echo through\n  when: manual\n  allow_failure: false\n";
    let work = naru.repository("shop", "web", &[(".gitlab-ci.yml", pipeline)]).unwrap();
    work.push(&["naru", "main"]).unwrap();
    let runs = naru.api("GET", "/api/v1/projects/shop/runs", "").unwrap().json().unwrap();
    let run =
        format!("{}/projects/shop/runs/{}", naru.url, runs["items"][0]["id"].as_str().unwrap());

    let mut browser = Browser::start().unwrap();
    browser.look(&naru.url, None, Look { lang: "en", ..NARROW }).unwrap();
    browser.without_scripts().unwrap();
    browser.go(&run).unwrap();
    browser.led_on(|b| b.click(".wreck a.button")).unwrap();
    browser.click(".sign details summary").unwrap();
    browser.fill("#token", &naru.token().unwrap()).unwrap();
    browser.led_on(|b| b.click("details form[action='/sign-in'] button")).unwrap();
    // Back where it began: the manual step is let go by a plain form.
    browser.led_on(|b| b.click("form[action$='/play'] button")).unwrap();
    browser.led_on(|b| b.click(".prefer [name='lang']")).unwrap();
    let id = runs["items"][0]["id"].as_str().unwrap();
    let shown = naru.api("GET", &format!("/api/v1/projects/shop/runs/{id}"), "").unwrap();
    assert_eq!(shown.json().unwrap()["steps"][0]["played_by"]["name"], "admin");
}

#[test]
fn a_change_that_waits_for_a_person_is_let_go_from_its_page() {
    let naru = shop();
    let pipeline = "gate:\n  script: echo through\n  when: manual\n  allow_failure: false\n";
    let work = naru.repository("shop", "web", &[(".gitlab-ci.yml", pipeline)]).unwrap();
    work.push(&["naru", "main"]).unwrap();
    let mut browser = Browser::start().unwrap();
    browser.look(&naru.url, Some(&session(&naru)), WIDE).unwrap();
    browser.go(&format!("{}/projects/shop", naru.url)).unwrap();
    browser.until("document.querySelector('.crossing .badge.is-waiting')").unwrap();
    browser.led_on(|b| b.click(".crossing a.title-link")).unwrap();
    browser.led_on(|b| b.click("#top a.button.main")).unwrap();
    browser.led_on(|b| b.click("form[action$='/play'] button")).unwrap();
    browser.until("document.querySelector('.heading .badge.is-passed')").unwrap();
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

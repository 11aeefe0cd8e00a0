//! What a reader of these pages would notice.

use super::{jobs, lint, start};
use crate::artifacts::{Artifacts, Report};
use crate::gitlab::{Got, Wanted};
use crate::lint::{Lint, Suppose, UNNAMED};
use blob::Entry;
use kernel::{Error, Id, Lang, Name, Principal, Text, Time};
use maud::Markup;
use run::{Plan, Run, RunState};
use web::Reader;
use web::testing::words;

const NOW: Time = Time(1_764_000_000_000);

/// The markup in English, sound in both languages.
fn drawn(draw: impl Fn(&Reader) -> Markup) -> String {
    web::testing::drawn(NOW, draw)
}

fn shop() -> Name {
    Name::parse("shop").unwrap()
}

fn a_run() -> Run {
    Run {
        id: Id::new(NOW.0, 7),
        kind: "pipeline".into(),
        project: shop(),
        change: None,
        title: Text::fixed("web pipeline", "web 파이프라인"),
        actor: Principal::part("delivery-pipeline"),
        state: RunState::Passed,
        reason: None,
        created: NOW,
        started: Some(NOW),
        finished: Some(NOW),
        canceled_by: None,
        retry_of: None,
        priority: 0,
        steps: vec![],
        labels: Default::default(),
        subject: None,
        plan: Plan::default(),
    }
}

#[test]
fn artifacts_are_links_to_download_and_expired_ones_say_so() {
    let file =
        |path: &str, mode| Entry { path: path.into(), mode, size: 1500, hash: "0".repeat(64) };
    let files = vec![file("out/a b.txt", 0o644), file("link", blob::LINK)];
    let kept = Artifacts { tree: "0".repeat(64), size: 3000, files };
    let gone = Error::not_found("artifacts.gone", Text::fixed("expired", "기간이 지났습니다"));
    let left = [("build 1/2".to_owned(), Ok(kept)), ("old".to_owned(), Err(gone))];
    let report = Report { coverage: [("unit".to_owned(), 87.5)].into(), ..Report::default() };
    let html = drawn(|r| jobs::draw(r, &a_run(), &report, &left));
    assert!(words(&html).contains("unit 87.5 %"), "{}", words(&html));
    assert!(html.contains("/steps/build%201%2F2/artifacts/out/a%20b.txt\""), "{html}");
    assert!(words(&html).contains("2 files · 3.0 kB") && words(&html).contains("expired"));
    assert_eq!(html.matches("/artifacts/").count(), 1, "a link is not followed");
}

fn sent(ci: &str) -> lint::Form {
    let (content, branch) = (ci.to_owned(), "main".to_owned());
    lint::Form { content, branch, repositories: vec![shop()], ..lint::Form::default() }
}

fn looked(ci: &str, lang: Lang) -> Lint {
    let read = |wanted: &Wanted| match wanted.name().as_str() {
        UNNAMED => Got::File(ci.as_bytes().to_vec()),
        _ => Got::Absent,
    };
    crate::lint::lint(UNNAMED, &Suppose::default(), lang, read)
}

#[test]
fn a_file_is_tried_out_and_comes_back_as_it_was() {
    let ci =
        "build: {stage: build, script: make}\nship: {script: x, rules: [{if: $CI_COMMIT_TAG}]}\n";
    let html = drawn(|r| lint::draw(r, &shop(), &sent(ci), Some(&looked(ci, r.lang))));
    let seen = words(&html);
    assert!(
        seen.contains("The file is sound") && seen.contains("left out ship no rule holds"),
        "{seen}"
    );
    assert!(html.contains(">\nbuild: {stage: build"), "{html}");
    let wrong = "a:\n  scirpt: </textarea><script>x</script>\n";
    let html = drawn(|r| lint::draw(r, &shop(), &sent(wrong), Some(&looked(wrong, r.lang))));
    assert!(words(&html).contains(".gitlab-ci.yml:2:3"), "{}", words(&html));
}

#[test]
fn a_pipeline_is_started_with_variables_a_line_each() {
    let html = drawn(|r| start::draw(r, &shop(), &[Name::parse("web").unwrap()], "main"));
    assert!(html.contains("<option value=\"web\">") && html.contains("value=\"main\""));
    let given = start::variables("A=1\n\n  B = x=y \n").unwrap();
    assert_eq!(
        given.into_iter().collect::<Vec<_>>(),
        [("A".to_owned(), "1".to_owned()), ("B".to_owned(), " x=y".to_owned()),]
    );
    assert!(start::variables("nonsense").is_err());
}

#[test]
fn schedules_say_when_they_are_due_and_what_went_wrong() {
    use super::schedules::Row;
    use crate::{Schedule, ScheduleStatus};
    let row = |active: bool, problem: Option<&str>| Row {
        name: Name::parse("nightly").unwrap(),
        spec: Schedule {
            repository: Name::parse("web").unwrap(),
            refname: "main".into(),
            cron: "30 4 * * mon-fri".into(),
            timezone: "Asia/Seoul".into(),
            description: "<all> tests".into(),
            variables: Default::default(),
            active,
        },
        status: ScheduleStatus {
            next: Some(kernel::Time(1_764_000_000_000)),
            problem: problem.map(kernel::Text::plain),
            ..ScheduleStatus::default()
        },
    };
    let shop = Name::parse("shop").unwrap();
    let web = [Name::parse("web").unwrap()];
    let html =
        drawn(|r| super::schedules::draw(r, &shop, &[row(true, Some("no such branch"))], &web));
    let seen = words(&html);
    assert!(seen.contains("11-24 16:00 UTC") && seen.contains("no such branch"), "{seen}");
    assert!(html.contains("&lt;all&gt; tests") && html.contains("/schedules/nightly/pause\""));
    let paused = drawn(|r| super::schedules::draw(r, &shop, &[row(false, None)], &web));
    assert!(words(&paused).contains("paused") && paused.contains("/schedules/nightly/resume\""));
    let none = drawn(|r| super::schedules::draw(r, &shop, &[], &[]));
    assert!(words(&none).contains("No schedule yet") && !none.contains("<form"));
}

#[test]
fn caches_say_whether_they_are_of_use_and_can_be_let_go() {
    let cache = crate::CacheView {
        key: "deps <main>".into(),
        size: 3 << 20,
        saved: NOW,
        last_used: None,
        hits: 17,
    };
    let html = drawn(|r| super::caches::draw(r, &shop(), std::slice::from_ref(&cache)));
    let seen = words(&html);
    assert!(seen.contains("17") && seen.contains("3.1 MB"), "{seen}");
    assert!(html.contains("name=\"key\" value=\"deps &lt;main&gt;\""), "{html}");
    assert!(words(&drawn(|r| super::caches::draw(r, &shop(), &[]))).contains("No cache yet"));
}

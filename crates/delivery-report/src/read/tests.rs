//! Every dialect as its tool writes it, and what breaks.

use super::*;
use proptest::prelude::*;

fn results(format: &str, words: &str) -> Results {
    let mut results = Results::default();
    read(format, "report", words.as_bytes(), &mut results);
    results
}

/// `id outcome ms` of every case.
fn told(words: &str) -> Vec<String> {
    let results = results("junit", words);
    assert_eq!(results.problems, []);
    let line = |c: &Case| {
        let ms = c.ms.map_or("-".to_owned(), |ms| ms.to_string());
        format!("{} {} {ms}", c.identity.id(), c.outcome.word())
    };
    results.cases.iter().map(line).collect()
}

#[test]
fn pytest() {
    let words = r#"<?xml version="1.0" encoding="utf-8"?><testsuites name="pytest tests"><testsuite name="pytest" errors="1" failures="1" skipped="1" tests="4" time="0.131" timestamp="2026-11-24T10:00:00+00:00" hostname="job">
<testcase classname="tests.test_sum.TestSum" name="test_add[3-True]" time="0.001" />
<testcase classname="tests.test_sum" name="test_bad" time="0.002"><failure message="assert 1 == 2">def test_bad():
&gt;       assert 1 == 2
E       assert 1 == 2</failure></testcase>
<testcase classname="tests.test_sum" name="test_skip" time="0.000"><skipped type="pytest.skip" message="no database">tests/test_sum.py:9: no database</skipped></testcase>
<testcase classname="tests.test_sum" name="test_setup" time="0.003"><error message="failed on setup with &quot;OSError&quot;">trace</error></testcase>
</testsuite></testsuites>"#;
    assert_eq!(
        told(words),
        [
            "tests.test_sum.TestSum::test_add[3-True] passed 1",
            "tests.test_sum::test_bad failed 2",
            "tests.test_sum::test_skip skipped 0",
            "tests.test_sum::test_setup error 3",
        ]
    );
    let found = results("junit", words);
    assert_eq!(found.cases[0].identity.parameters, "3-True");
    assert_eq!(found.cases[1].message, "assert 1 == 2");
    assert!(found.cases[1].detail.contains(">       assert 1 == 2"), "{}", found.cases[1].detail);
    assert_eq!(found.cases[3].message, "failed on setup with \"OSError\"");
}

#[test]
fn surefire_with_its_reruns() {
    let words = r#"<?xml version="1.0" encoding="UTF-8"?>
<testsuite xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" name="org.shop.CartTest" time="1,234.567" tests="3">
  <properties><property name="java.version" value="17"/></properties>
  <testcase name="adds" classname="org.shop.CartTest" time="1,234.5"/>
  <testcase name="wobbles" classname="org.shop.CartTest" time="0.02">
    <flakyFailure message="expected 1" type="AssertionError"><stackTrace><![CDATA[java.lang.AssertionError: expected 1
	at org.shop.CartTest.wobbles(CartTest.java:12)]]></stackTrace><system-out><![CDATA[hello]]></system-out></flakyFailure>
  </testcase>
  <testcase name="breaks" classname="org.shop.CartTest" time="0.03">
    <failure message="no" type="AssertionError"><![CDATA[first]]></failure>
    <rerunFailure message="no again" type="AssertionError"><stackTrace>second</stackTrace></rerunFailure>
    <system-out>printed</system-out>
  </testcase>
</testsuite>"#;
    assert_eq!(
        told(words),
        [
            "org.shop.CartTest::adds passed 1234500",
            "org.shop.CartTest::wobbles flaky 20",
            "org.shop.CartTest::breaks failed 30",
        ]
    );
    let found = results("junit", words);
    assert!(found.cases[1].detail.contains("CartTest.java:12"));
    assert_eq!(
        (found.cases[2].detail.as_str(), found.cases[2].output.as_str()),
        ("first", "printed")
    );
}

#[test]
fn gotestsum_jest_nextest_and_phpunit() {
    let go = r#"<testsuites tests="2"><testsuite tests="2" failures="1" time="0.01" name="example.org/shop/cart"><properties><property name="go.version" value="go1.25"></property></properties>
<testcase classname="example.org/shop/cart" name="TestAdd/zero" time="0.000000"></testcase>
<testcase classname="example.org/shop/cart" name="TestSub" time="0.01"><failure message="Failed" type="">=== RUN TestSub</failure></testcase></testsuite></testsuites>"#;
    assert_eq!(
        told(go),
        [
            "example.org/shop/cart::TestAdd/zero passed 0",
            "example.org/shop/cart::TestSub failed 10"
        ]
    );
    let jest = r#"<testsuites name="jest tests"><testsuite name="cart" errors="0" failures="1" skipped="0" tests="1" time="0.7">
<testcase classname="cart adds" name="cart adds" time="0.005"><failure>Error: expect(received)</failure></testcase></testsuite></testsuites>"#;
    assert_eq!(told(jest), ["cart adds::cart adds failed 5"]);
    assert_eq!(results("junit", jest).cases[0].message, "Error: expect(received)");
    let nextest = r#"<testsuites name="nextest-run" tests="2"><testsuite name="shop::api" tests="2" disabled="0" errors="0" failures="0">
<testcase name="cart::adds" classname="shop::api" timestamp="2026-11-24T10:00:00.1+00:00" time="0.004"><flakyFailure timestamp="x" time="0.1" message="thread panicked" type="test failure with exit code 101">log</flakyFailure><system-out>x</system-out></testcase>
<testcase name="cart::subs" classname="shop::api" time="0.004"/></testsuite></testsuites>"#;
    assert_eq!(told(nextest), ["shop::api::cart::adds flaky 4", "shop::api::cart::subs passed 4"]);
    let php = r#"<testsuites><testsuite name="/builds/phpunit.xml"><testsuite name="CartTest" file="/builds/tests/CartTest.php"><testsuite name="CartTest::testAdd">
<testcase name="testAdd with data set #0" file="/builds/tests/CartTest.php" line="14" class="CartTest" classname="CartTest" assertions="1" time="0.0005"/></testsuite></testsuite></testsuite></testsuites>"#;
    assert_eq!(told(php), ["CartTest::testAdd with data set #0 passed 1"]);
    let case = &results("junit", php).cases[0];
    assert_eq!((case.file.as_deref(), case.line), (Some("/builds/tests/CartTest.php"), Some(14)));
}

#[test]
fn googletest() {
    let words = r#"<?xml version="1.0" encoding="UTF-8"?><testsuites tests="3" failures="1" disabled="1" errors="0" time="0.035" name="AllTests">
<testsuite name="Sums/AddTest" tests="1"><testcase name="Works/0" value_param="(1, 2)" status="run" result="completed" time="0." classname="Sums/AddTest" /></testsuite>
<testsuite name="MathTest" tests="2"><testcase name="DISABLED_Later" status="notrun" result="suppressed" time="0" classname="MathTest"/>
<testcase name="Fails" status="run" result="completed" time="0.02" classname="MathTest"><failure message="a.cc:5&#x0A;Value of: 1" type=""><![CDATA[a.cc:5
Value of: 1]]></failure></testcase></testsuite></testsuites>"#;
    assert_eq!(
        told(words),
        [
            "Sums/AddTest::Works/0[(1, 2)] passed 0",
            "MathTest::DISABLED_Later skipped 0",
            "MathTest::Fails failed 20",
        ]
    );
}

#[test]
fn attributes_may_be_missing_and_a_name_may_be_there_twice() {
    let words = r#"<testsuite><testcase/><testcase name="a"/><testcase name="b"><failure/></testcase><testcase name="b"/><testcase name="c"/><testcase name="c"><failure message="x"/></testcase></testsuite>"#;
    assert_eq!(told(words), ["? passed -", "a passed -", "b flaky -", "c failed -"]);
}

#[test]
fn a_broken_file_gives_what_was_before_the_break_and_its_line() {
    let words =
        "<testsuite name=\"s\">\n<testcase name=\"a\"/>\n<testcase name=\"b\">\n<failure>broke";
    let found = results("junit", words);
    assert_eq!(found.cases.len(), 2);
    assert_eq!((found.problems[0].line, found.problems.len()), (4, 1), "{:?}", found.problems);
    for (words, line) in [
        ("", 1),
        ("not xml at all", 1),
        ("<html><body/></html>", 1),
        ("<testsuite>\n</testcase>", 2),
        ("<testsuite>\n\n<testcase name='a' <", 3),
    ] {
        let found = results("junit", words);
        assert_eq!(
            found.problems.first().map(|p| p.line),
            Some(line),
            "{words}: {:?}",
            found.problems
        );
    }
}

#[test]
fn bombs_stay_small() {
    let entities = r#"<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY lol "lol"><!ENTITY lol2 "&lol;&lol;&lol;">]><testsuite><testcase name="a"><failure>&lol2;</failure></testcase></testsuite>"#;
    let found = results("junit", entities);
    assert_eq!((found.cases[0].detail.as_str(), found.problems.len()), ("&lol2;", 0));
    let external = r#"<!DOCTYPE t [<!ENTITY x SYSTEM "file:///etc/passwd">]><testsuite><testcase name="&x;"/></testsuite>"#;
    assert_eq!(results("junit", external).cases[0].identity.name, "&x;");
    let deep = "<testsuite>".repeat(100_000);
    let found = results("junit", &deep);
    assert!(found.problems[0].say.en.contains("inside of each other"), "{:?}", found.problems);
    let long = format!("<testsuite><testcase name=\"{}\"/></testsuite>", "x".repeat(1 << 20));
    assert_eq!(results("junit", &long).cases[0].identity.name.len(), 500);
}

#[test]
fn encodings() {
    let words = "<testsuite name=\"s\"><testcase name=\"caf\u{e9}\"/></testsuite>";
    let latin: Vec<u8> = format!("<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?>{words}")
        .chars()
        .map(|c| c as u8)
        .collect();
    let little =
        [vec![0xff, 0xfe], words.encode_utf16().flat_map(u16::to_le_bytes).collect()].concat();
    let big: Vec<u8> = words.encode_utf16().flat_map(u16::to_be_bytes).collect();
    let marked = [b"\xef\xbb\xbf".to_vec(), words.into()].concat();
    for bytes in [latin, little, big, marked, words.into()] {
        let mut found = Results::default();
        read("junit", "x", &bytes, &mut found);
        assert_eq!(found.cases[0].identity.name, "café");
    }
}

/// `path covered/lines branches functions` of every file.
fn covered(format: &str, words: &str) -> Vec<String> {
    let found = results(format, words);
    assert_eq!(found.problems, []);
    let line = |(path, c): (&String, &Cover)| {
        let hit = c.lines.values().filter(|h| **h > 0).count();
        let (b, f) = (c.branches, c.functions);
        format!("{path} {hit}/{} {}/{} {}/{}", c.lines.len(), b.0, b.1, f.0, f.1)
    };
    found.coverage.iter().map(line).collect()
}

#[test]
fn cobertura_of_coverage_py_and_with_methods() {
    let py = r#"<?xml version="1.0" ?><!DOCTYPE coverage SYSTEM 'http://cobertura.sourceforge.net/xml/coverage-04.dtd'>
<coverage version="7.6" lines-valid="3"><sources><source>/builds/shop/web/src</source></sources><packages><package name="." line-rate="0.6"><classes>
<class name="app.py" filename="app.py" complexity="0"><methods/><lines><line number="1" hits="1"/><line number="2" hits="0"/><line number="4" hits="3" branch="true" condition-coverage="50% (1/2)" missing-branches="exit"/></lines></class>
</classes></package></packages></coverage>"#;
    assert_eq!(covered("cobertura", py), ["/builds/shop/web/src/app.py 2/3 1/2 0/0"]);
    let java = r#"<coverage><packages><package name="p"><classes>
<class name="p.A" filename="p/A.java"><methods><method name="m"><lines><line number="5" hits="2"/></lines></method><method name="n"><lines><line number="9" hits="0"/></lines></method></methods><lines><line number="5" hits="2"/><line number="9" hits="0"/></lines></class>
<class name="p.A$B" filename="p/A.java"><methods/><lines><line number="20" hits="1"/></lines></class></classes></package></packages></coverage>"#;
    assert_eq!(covered("cobertura", java), ["p/A.java 2/3 0/0 1/2"]);
}

#[test]
fn jacoco_and_lcov() {
    let jacoco = r#"<?xml version="1.0" encoding="UTF-8"?><!DOCTYPE report PUBLIC "-//JACOCO//DTD Report 1.1//EN" "report.dtd"><report name="shop"><group name="g"><package name="org/shop">
<class name="org/shop/Cart" sourcefilename="Cart.java"><method name="add"><counter type="METHOD" missed="0" covered="1"/></method></class>
<sourcefile name="Cart.java"><line nr="3" mi="0" ci="4" mb="1" cb="3"/><line nr="4" mi="2" ci="0" mb="0" cb="0"/><counter type="METHOD" missed="1" covered="2"/></sourcefile></package></group></report>"#;
    assert_eq!(covered("jacoco", jacoco), ["org/shop/Cart.java 1/2 3/4 2/3"]);
    let lcov = "TN:\nSF:./src/cart.rs\nFN:1,add\nFN:5,9,sub\nFNDA:3,add\nFNDA:0,sub\nFNF:2\nFNH:1\nBRDA:2,0,0,1\nBRDA:2,0,1,-\nDA:1,3\nDA:2,0,abc\nDA:3,-4\nLF:3\nLH:1\nend_of_record\n";
    assert_eq!(covered("lcov", lcov), ["src/cart.rs 1/3 1/2 1/2"]);
    // What it is counts, whatever the pipeline file calls it.
    assert_eq!(covered("cobertura", lcov), covered("lcov", lcov));
    assert_eq!(covered("cobertura", jacoco), covered("jacoco", jacoco));
    let twice = format!("{lcov}{}", lcov.replace("DA:2,0", "DA:2,5"));
    assert_eq!(results("lcov", &twice).coverage["src/cart.rs"].lines[&2], 5);
    let broken = results("lcov", "SF:a\nDA:x,1\nwhat is this");
    let lines: Vec<u32> = broken.problems.iter().map(|p| p.line).collect();
    assert_eq!(lines, [2, 3]);
}

/// `severity tool rule path:line message` of every finding.
fn found(format: &str, words: &str) -> Vec<String> {
    let results = results(format, words);
    assert_eq!(results.problems, []);
    let line = |f: &Finding| {
        format!("{} {} {} {}:{} {}", f.severity.word(), f.tool, f.rule, f.path, f.line, f.message)
    };
    results.findings.iter().map(line).collect()
}

#[test]
fn code_quality_and_scanners() {
    let words = r#"[{"description":"Unused","check_name":"unused","fingerprint":"7815","severity":"minor","location":{"path":"./lib/a.rb","lines":{"begin":42}}},
      {"type":"issue","description":"Deep","severity":"critical","engine_name":"structure","location":{"path":"b.rb","positions":{"begin":{"line":7,"column":1}}}},
      {"type":"measurement","name":"x"}]"#;
    let all = ["minor code quality unused lib/a.rb:42 Unused", "critical structure  b.rb:7 Deep"];
    assert_eq!(found("codequality", words), all);
    let stream = "{\"type\":\"issue\",\"description\":\"One\",\"location\":{\"path\":\"a\",\"lines\":{\"begin\":1}}}\0\n{\"type\":\"issue\",\"description\":\"Two\"}\0";
    assert_eq!(results("codequality", stream).findings.len(), 2);
    let broken = results("codequality", "[\n{\"description\": 3}\n]");
    assert_eq!(broken.problems[0].line, 2, "{:?}", broken.problems);
    let sast = r#"{"version":"15.0.0","vulnerabilities":[{"id":"1","name":"SQL injection","severity":"High","location":{"file":"app.py","start_line":3},"identifiers":[{"type":"cwe","name":"CWE-89","url":"https://cwe.mitre.org/89"}]}]}"#;
    assert_eq!(found("sast", sast), ["critical sast CWE-89 app.py:3 SQL injection"]);
    let bom = r#"{"bomFormat":"CycloneDX","components":[{"name":"a"},{"name":"b"}]}"#;
    assert_eq!(results("cyclonedx", bom).components, 2);
}

#[test]
fn sarif() {
    let words = r#"{"$schema":"https://json.schemastore.org/sarif-2.1.0.json","version":"2.1.0","runs":[{"tool":{"driver":{"name":"lint","rules":[
      {"id":"R1","defaultConfiguration":{"level":"error"},"helpUri":"https://example.org/R1","messageStrings":{"default":{"text":"{0} is bad"}}},
      {"id":"R2","properties":{"security-severity":"9.1"}}]}},
      "artifacts":[{"location":{"uri":"src/b.c"}}],
      "results":[
        {"ruleId":"R1","ruleIndex":0,"message":{"id":"default","arguments":["it"]},"locations":[{"physicalLocation":{"artifactLocation":{"uri":"src/a.c"},"region":{"startLine":5}}}],"partialFingerprints":{"primaryLocationLineHash":"39fa2ee980eb94b0:1"}},
        {"ruleId":"R2","level":"note","message":{"text":"score wins"},"locations":[{"physicalLocation":{"artifactLocation":{"index":0}}}]},
        {"ruleId":"R3","message":{"text":"default level"}},
        {"ruleId":"R3","message":{"text":"gone"},"baselineState":"absent"},
        {"ruleId":"R3","message":{"text":"fine"},"kind":"pass"},
        {"ruleId":"R3","message":{"text":"known"},"suppressions":[{"kind":"inSource"}]},
        {"ruleId":"R3","level":"warning","message":{"text":"asked"},"suppressions":[{"kind":"external","status":"underReview"}]}]}]}"#;
    assert_eq!(
        found("sarif", words),
        [
            "critical lint R1 src/a.c:5 it is bad",
            "blocker lint R2 src/b.c:0 score wins",
            "major lint R3 :0 default level",
            "major lint R3 :0 asked",
        ]
    );
    let all = results("sarif", words);
    assert_eq!((all.suppressed, all.findings[0].fingerprint.as_str()), (1, "39fa2ee980eb94b0:1"));
    let old = results("sarif", r#"{"version":"1.0.0","runs":[]}"#);
    assert!(old.problems[0].say.en.contains("2.1.0"));
    assert_eq!(results("sarif", "{\n\"version\":").problems[0].line, 2);
}

#[test]
fn seconds_in_all_their_spellings() {
    for (words, ms) in [
        ("1.5", Some(1_500)),
        ("1,234.567", Some(1_234_567)),
        ("1,234", Some(1_234_000)),
        ("0,25", Some(250)),
        ("0,123", Some(123)),
        ("12,345,678.9", None),
        ("1,234,567", Some(1_234_567_000)),
        ("0.5s", Some(500)),
        ("", None),
        ("NaN", None),
        ("-1", None),
    ] {
        assert_eq!(plain::seconds(words), ms, "{words}");
    }
}

fn escaped(words: &str) -> String {
    words.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;").replace('\'', "&apos;")
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_harm(format in 0_usize..7, bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let formats = ["junit", "cobertura", "jacoco", "lcov", "codequality", "sarif", "cyclonedx"];
        let mut found = Results::default();
        read(formats[format], "x", &bytes, &mut found);
        prop_assert!(found.problems.iter().all(|p| !p.say.en.is_empty() && !p.say.ko.is_empty()));
    }

    #[test]
    fn what_is_written_is_read(
        cases in prop::collection::vec(("[ -~]{1,20}", "[a-zA-Z0-9_.:/<&'\" -]{1,20}", 0_u64..1_000_000, 0_u8..4), 0..20),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut words = String::from("<testsuites><testsuite name=\"s\">\n");
        for (i, (class, name, ms, outcome)) in cases.iter().enumerate() {
            let inner = ["", "<failure message=\"m\">t</failure>", "<error/>", "<skipped/>"][usize::from(*outcome)];
            words.push_str(&format!(
                "<testcase classname=\"{}\" name=\"{} {i}\" time=\"{}.{:03}\">{inner}</testcase>\n",
                escaped(class), escaped(name), ms / 1000, ms % 1000,
            ));
        }
        words.push_str("</testsuite></testsuites>");
        let found = results("junit", &words);
        prop_assert_eq!(&found.problems, &[]);
        prop_assert_eq!(found.cases.len(), cases.len());
        for (i, (case, (class, name, ms, outcome))) in found.cases.iter().zip(&cases).enumerate() {
            prop_assert_eq!(&case.identity.class, class.trim());
            let full = format!("{name} {i}");
            prop_assert_eq!(case.identity.full_name(), full.trim());
            prop_assert_eq!(case.ms, Some(*ms));
            let want = [Outcome::Passed, Outcome::Failed, Outcome::Error, Outcome::Skipped][usize::from(*outcome)];
            prop_assert_eq!(case.outcome, want);
        }
        // Cut anywhere: no more cases than there were, and one sentence about it.
        let cut = cut.index(words.len());
        if let Some(part) = words.get(..cut) {
            let part = results("junit", part);
            prop_assert!(part.cases.len() <= cases.len());
            prop_assert!(!part.problems.is_empty());
        }
    }

    #[test]
    fn lcov_adds_up(lines in prop::collection::btree_map(1_u32..500, 0_u64..50, 0..60)) {
        let body: String = lines.iter().map(|(l, h)| format!("DA:{l},{h}\n")).collect();
        let words = format!("SF:a.c\n{body}end_of_record\nSF:a.c\n{body}end_of_record\n");
        let found = results("lcov", &words);
        let doubled: std::collections::BTreeMap<u32, u64> = lines.into_iter().map(|(l, h)| (l, h * 2)).collect();
        prop_assert_eq!(&found.coverage["a.c"].lines, &doubled);
    }
}

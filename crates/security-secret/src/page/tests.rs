use super::*;
use crate::{Secret, SecretStatus, SecretUsed, SecretView};
use kernel::{Name, Principal, Time};
use secret::{KeyStatus, Version};
use web::testing::{drawn, words};

const NOW: Time = Time(1_764_000_000_000);

fn view() -> SecretView {
    let name = |w: &str| Name::parse(w).unwrap();
    let by = Principal::User(name("han"));
    let version = |number, destroyed| Version { number, made: NOW, by: by.clone(), destroyed };
    SecretView {
        project: name("shop"),
        name: name("database-password"),
        variable: "DATABASE_PASSWORD".into(),
        spec: Secret {
            environments: vec!["production".into(), "review/*".into()],
            protected: true,
            description: "of <orders>".into(),
            ..Secret::default()
        },
        status: SecretStatus {
            version: Some(2),
            set: Some(NOW),
            overdue: true,
            ..Default::default()
        },
        versions: vec![version(2, None), version(1, Some(NOW))],
        uses: vec![SecretUsed {
            whom: "job deploy".into(),
            by: "01j00000000000000000000000".into(),
            last: NOW,
            version: 2,
            times: 7,
        }],
    }
}

fn key(locked: bool) -> KeyStatus {
    let error = || {
        Error::not_found("x", Text::fixed("the key is gone", "키가 없습니다"))
            .wire(kernel::Lang::En)
    };
    KeyStatus {
        kind: "file".into(),
        place: "/x".into(),
        current: None,
        made: None,
        before: Vec::new(),
        left: 0,
        locked: locked.then(error),
    }
}

#[test]
fn the_list_says_whom_each_is_for_and_that_it_is_locked() {
    let project = Name::parse("shop").unwrap();
    let html = drawn(NOW, |r| list::draw(r, &project, &[view()], &key(true)));
    let seen = words(&html);
    for said in [
        "DATABASE_PASSWORD",
        "review/*",
        "protected branches",
        "due for a new value",
        "key is gone",
    ] {
        assert!(seen.contains(said), "{said} in {seen}");
    }
    let empty = drawn(NOW, |r| list::draw(r, &project, &[], &key(false)));
    assert!(words(&empty).contains("naru secret set DATABASE_PASSWORD -p shop"));
}

#[test]
fn one_secret_shows_versions_and_uses_and_its_value_only_when_revealed() {
    let html = drawn(NOW, |r| one::draw(r, &view(), None));
    let seen = words(&html);
    assert!(
        seen.contains("job deploy")
            && seen.contains("destroyed")
            && seen.contains("of &lt;orders&gt;")
    );
    let opened = (2, SecretText::new("<canary>"));
    let html = drawn(NOW, |r| one::draw(r, &view(), Some(&opened)));
    assert!(html.contains("&lt;canary&gt;"));
    assert_eq!(format!("{:?}", Some(&opened)), "Some((2, [SECRET]))");
}

#[test]
fn a_form_is_read_as_it_is_sent() {
    let form = |pairs: &[(&str, &str)]| -> Form {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    };
    let read = scope(&form(&[
        ("environments", "production, review/*\n*"),
        ("protected", "on"),
        ("as", "file"),
    ]));
    assert_eq!(read.environments.unwrap(), ["production", "review/*"]);
    assert_eq!((read.protected, read.file, read.jobs), (Some(true), Some(true), Some(false)));
    let Value::Given(value) = value(&form(&[("value", "a\r\nb")])) else { panic!("no value") };
    assert_eq!(value.reveal(), "a\nb");
}

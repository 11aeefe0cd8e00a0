//! Whatever the text, the answer is a plan or a place.

use super::*;

fn words() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec![
        "script",
        "stage",
        "rules",
        "- if",
        "extends",
        "needs",
        "&a",
        "*a",
        "<<",
        "!reference [a, script]",
        "x",
        "a",
        "b",
        "[",
        "]",
        "{",
        "}",
        ":",
        "\n",
        "\n  ",
        "\n    ",
        "- ",
        ", ",
        "'",
        "\"",
        "$A",
        "==",
        "=~ /x/",
        "null",
        "~",
        "|\n",
        ">",
        "#",
        "---\n",
        "default",
        "cache",
        "artifacts",
        "parallel",
        "3",
    ]);
    prop::collection::vec(word, 0..60).prop_map(|words| words.join(""))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
        let _ = yaml::parse("f", &bytes);
    }

    #[test]
    fn any_words_compile_or_are_refused_the_same_way_twice(text in words()) {
        let once = || match try_with(&text, &context()) {
            Ok(done) => serde_json::to_string(&done).unwrap(),
            Err(error) => {
                assert!(error.place().is_some(), "{error}");
                error.to_string()
            }
        };
        prop_assert_eq!(once(), once());
    }

    #[test]
    fn any_condition_is_read_or_refused(words: String) {
        let at = yaml::At { file: "f".into(), line: 1, column: 1 };
        if let Ok(expr) = expr::parse(&words, &at) {
            expr.holds(&|_| Some("x".to_owned()));
        }
    }

    /// `extends` against the plainest model of it: the maps of all ancestors, one over the other.
    #[test]
    fn extends_is_the_merge_of_all_ancestors(
        maps in prop::collection::vec(prop::collection::btree_map("[A-D]", "[a-z]{1,3}", 0..4), 1..6)
    ) {
        let mut file = String::new();
        let mut model = std::collections::BTreeMap::new();
        for (i, map) in maps.iter().enumerate() {
            let parent = if i > 0 { format!("extends: .t{}, ", i - 1) } else { String::new() };
            let pairs: Vec<String> = map.iter().map(|(k, v)| format!("{k}: '{v}'")).collect();
            file += &format!(".t{i}: {{{parent}variables: {{{}}}}}\n", pairs.join(", "));
            model.extend(map.clone());
        }
        file += &format!("job: {{extends: .t{}, script: x}}\n", maps.len() - 1);
        let work = work(step(&plan(&file), "job"));
        let found: std::collections::BTreeMap<_, _> = work.variables.into_iter()
            .filter(|v| v.name.len() == 1).map(|v| (v.name, v.value)).collect();
        prop_assert_eq!(found, model);
    }
}

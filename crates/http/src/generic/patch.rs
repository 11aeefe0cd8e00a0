//! What a patch does to a resource, and what a change would change. Pure.

use serde_json::{Value, json};

pub(super) fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    let Value::Object(target) = target else { return };
    for (key, value) in patch {
        if value.is_null() {
            target.remove(key);
        } else {
            merge(target.entry(key.clone()).or_insert(Value::Null), value);
        }
    }
}

/// Leaves that differ, each with its JSON pointer.
pub(super) fn differ(path: &str, before: &Value, after: &Value, out: &mut Vec<Value>) {
    match (before, after) {
        (Value::Object(b), Value::Object(a)) => {
            let keys: std::collections::BTreeSet<&String> = b.keys().chain(a.keys()).collect();
            for key in keys {
                let (b, a) =
                    (b.get(key).unwrap_or(&Value::Null), a.get(key).unwrap_or(&Value::Null));
                differ(&format!("{path}/{}", key.replace('~', "~0").replace('/', "~1")), b, a, out);
            }
        }
        (b, a) if b == a => {}
        (Value::Null, Value::Object(_)) => differ(path, &json!({}), after, out),
        _ => out.push(json!({ "path": path, "before": before, "after": after })),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merge_patch_of_the_rfc() {
        // RFC 7396, appendix A.
        for (target, patch, want) in [
            (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "b"}), json!({"b": "c"}), json!({"a": "b", "b": "c"})),
            (json!({"a": "b"}), json!({"a": null}), json!({})),
            (json!({"a": [1]}), json!({"a": "c"}), json!({"a": "c"})),
            (
                json!({"a": {"b": "c"}}),
                json!({"a": {"b": "d", "c": null}}),
                json!({"a": {"b": "d"}}),
            ),
            (json!({}), json!({"a": {"bb": {"ccc": null}}}), json!({"a": {"bb": {}}})),
            (json!(["a"]), json!(["c"]), json!(["c"])),
        ] {
            let mut got = target.clone();
            merge(&mut got, &patch);
            assert_eq!(got, want, "{target} + {patch}");
        }
    }

    #[test]
    fn differences_name_their_leaves() {
        let mut out = Vec::new();
        differ(
            "",
            &json!({"a": 1, "b": {"c": 2}}),
            &json!({"a": 1, "b": {"c": 3, "d/e": 4}}),
            &mut out,
        );
        let paths: Vec<_> = out.iter().map(|c| c["path"].as_str().unwrap()).collect();
        assert_eq!(paths, ["/b/c", "/b/d~1e"]);
    }
}

//! What variables jobs and rules see.

use super::*;

#[test]
fn predefined_variables_and_precedence() {
    let context =
        Context { given: vec![crate::variables::Variable::literal("A", "given")], ..context() };
    let file = "variables: {A: global, B: global, CI_SERVER: mine}
a: {script: x, variables: {B: job, C: '$B-$CI_COMMIT_SHORT_SHA', D: {value: $B, expand: false}}}
b: {script: x, inherit: {variables: [A]}}
";
    let done = try_with(file, &context).unwrap();
    let all = |name: &str| {
        let work = work(step(&done.plan, name));
        known(&done, &work)
    };
    let a = all("a");
    for (name, want) in [
        ("A", "given"),
        ("B", "job"),
        ("C", "job-01234567"),
        ("D", "$B"),
        ("CI_SERVER", "mine"),
        ("CI_COMMIT_BRANCH", "feature/Cart_1"),
        ("CI_COMMIT_REF_SLUG", "feature-cart-1"),
        ("CI_COMMIT_MESSAGE", "Add $CART\n\nWhy: carts sell.\nMore: $HOME"),
        ("CI_COMMIT_TITLE", "Add $CART"),
        ("CI_COMMIT_DESCRIPTION", "Why: carts sell.\nMore: $HOME"),
        ("CI_COMMIT_AUTHOR", "Kim <kim@example.com>"),
        ("CI_COMMIT_TIMESTAMP", "2025-11-24T16:00:00Z"),
        ("CI_COMMIT_BEFORE_SHA", "0000000000000000000000000000000000000000"),
        ("CI_PIPELINE_ID", "7"),
        ("CI_PIPELINE_IID", "3"),
        ("CI_PROJECT_PATH", "shop/web"),
        ("CI_PROJECT_DIR", "/builds/shop/web"),
        ("CI_JOB_NAME", "a"),
        ("CI_JOB_STAGE", "test"),
        ("CI_SERVER_HOST", "127.0.0.1"),
        ("GITLAB_CI", "true"),
    ] {
        assert_eq!(a.get(name).as_deref(), Some(want), "{name}");
    }
    assert_eq!(a.get("CI_COMMIT_TAG"), None);
    assert_eq!((all("b").get("B"), all("b").get("A").as_deref()), (None, Some("given")));
}

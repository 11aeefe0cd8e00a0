//! Push options that speak of merge requests, in GitLab's words.

use kernel::Name;

/// What a push asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wish {
    pub create: bool,
    pub target: Option<String>,
    pub title: Option<String>,
    pub description: Option<String>,
    pub draft: bool,
    pub labels: Vec<String>,
    pub unlabels: Vec<String>,
    pub assign: Vec<Name>,
    pub unassign: Vec<Name>,
    pub remove_source: bool,
    pub squash: bool,
    pub auto_merge: bool,
    /// Options that nobody knows.
    pub unknown: Vec<String>,
}

/// `None`: the push says nothing of merge requests.
pub(crate) fn wish(options: &[String]) -> Option<Wish> {
    let mut wish = Wish::default();
    let mut any = false;
    for option in options.iter().filter_map(|o| o.strip_prefix("merge_request.")) {
        any = true;
        let (name, value) = option.split_once('=').map_or((option, None), |(n, v)| (n, Some(v)));
        if !take(&mut wish, name, value) {
            wish.unknown.push(option.to_owned());
        }
    }
    any.then_some(wish)
}

fn take(wish: &mut Wish, name: &str, value: Option<&str>) -> bool {
    let person = |v: &str| Name::parse(v.trim().trim_start_matches('@')).ok();
    match (name, value) {
        ("create", None) => wish.create = true,
        ("draft", None) => wish.draft = true,
        ("remove_source_branch", None) => wish.remove_source = true,
        ("squash", None) => wish.squash = true,
        ("merge_when_pipeline_succeeds" | "auto_merge", None) => wish.auto_merge = true,
        ("target", Some(v)) => wish.target = Some(v.to_owned()),
        ("title", Some(v)) => wish.title = Some(v.to_owned()),
        // git takes no line break in an option: GitLab's clients write it out.
        ("description", Some(v)) => wish.description = Some(v.replace("\\n", "\n")),
        ("label", Some(v)) => wish.labels.push(v.trim().to_owned()),
        ("unlabel", Some(v)) => wish.unlabels.push(v.trim().to_owned()),
        ("assign", Some(v)) => match person(v) {
            Some(name) => wish.assign.push(name),
            None => return false,
        },
        ("unassign", Some(v)) => match person(v) {
            Some(name) => wish.unassign.push(name),
            None => return false,
        },
        _ => return false,
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_of_a_push() {
        let options = |words: &[&str]| words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>();
        assert_eq!(wish(&options(&["ci.skip", "follow"])), None);
        let found = wish(&options(&[
            "merge_request.create",
            "merge_request.target=release/1",
            "merge_request.title=A=B",
            "merge_request.description=one\\ntwo",
            "merge_request.label=ui",
            "merge_request.label=big ",
            "merge_request.assign=@bea",
            "merge_request.draft",
            "merge_request.remove_source_branch",
            "merge_request.merge_when_pipeline_succeeds",
            "merge_request.milestone=1",
            "merge_request.assign=No Body",
        ]))
        .unwrap();
        let wanted = Wish {
            create: true,
            target: Some("release/1".into()),
            title: Some("A=B".into()),
            description: Some("one\ntwo".into()),
            draft: true,
            labels: vec!["ui".into(), "big".into()],
            assign: vec![Name::parse("bea").unwrap()],
            remove_source: true,
            auto_merge: true,
            unknown: vec!["milestone=1".into(), "assign=No Body".into()],
            ..Wish::default()
        };
        assert_eq!(found, wanted);
    }
}

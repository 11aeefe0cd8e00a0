//! Whether a push is accepted: one decision over all that it asks for.

use crate::command::{Command, Request};
use crate::kind::Right;
use crate::{Repository, refname};
use kernel::{Text, text};

/// What the decision needs to know besides the request.
pub(crate) struct Seen<'a> {
    pub default_branch: &'a str,
    /// The pusher may administer the project.
    pub administers: bool,
    /// Which branches are protected; `None`: the repository is new.
    pub spec: Option<&'a Repository>,
    /// The pusher may deploy.
    pub maintains: bool,
}

/// An accepted push.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Force {
    /// Branches may be rewritten.
    Allowed,
    /// git refuses what is not a fast-forward: the default branch is among the refs.
    Refused,
}

/// A refused one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// The ref because of which; `None` when it is the push as a whole.
    pub refname: Option<String>,
    /// A few words for the `ng` line, which git shows in brackets.
    pub reason: &'static str,
    pub say: Text,
    pub hint: Text,
}

/// # Errors
/// The first thing that is wrong. One bad ref refuses the whole push: half of a push is no change.
pub(crate) fn decide(request: &Request, seen: &Seen<'_>) -> Result<Force, Box<Refusal>> {
    request.commands.iter().try_for_each(|command| check(command, seen))?;
    let mut names: Vec<&str> = request.commands.iter().map(|c| c.refname.as_str()).collect();
    names.sort_unstable();
    if let Some([twice, _]) = names.windows(2).find(|w| w.first() == w.get(1)) {
        return Err(refuse(
            twice,
            "named twice",
            Text::fixed("the push names a ref twice", "푸시가 같은 ref를 두 번 씁니다"),
            Text::fixed("push it once", "한 번만 푸시하세요"),
        ));
    }
    let kept = |c: &Command| is_default(c, seen) || protection(c, seen).is_some();
    let default = request.commands.iter().any(|c| kept(c) && c.before.is_some());
    let forced = seen.administers && request.option("force");
    Ok(if default && !forced { Force::Refused } else { Force::Allowed })
}

fn check(command: &Command, seen: &Seen<'_>) -> Result<(), Box<Refusal>> {
    let name = &command.refname;
    let shown = kernel::shown(name);
    if let Err(reason) = refname::check(name) {
        return Err(refuse(
            name,
            reason,
            text!(
                "“{shown}” cannot be the name of a ref",
                "“{shown}”은(는) ref 이름이 될 수 없습니다"
            ),
            Text::fixed("choose another name", "다른 이름을 쓰세요"),
        ));
    }
    if !name.starts_with("refs/heads/") && !name.starts_with("refs/tags/") {
        return Err(refuse(
            name,
            "only branches and tags can be pushed",
            text!(
                "{shown} is neither a branch nor a tag",
                "{shown}은(는) 브랜치도 태그도 아닙니다"
            ),
            Text::fixed("push branches and tags only", "브랜치와 태그만 푸시하세요"),
        ));
    }
    if command.before.is_none() && command.after.is_none() {
        return Err(refuse(
            name,
            "there is nothing to remove",
            text!("{shown} does not exist", "{shown}이(가) 없습니다"),
            Text::fixed("fetch first", "먼저 fetch 하세요"),
        ));
    }
    if command.after.is_none() && is_default(command, seen) {
        return Err(refuse(
            name,
            "the default branch cannot be deleted",
            text!("{shown} is the default branch", "{shown}은(는) 기본 브랜치입니다"),
            Text::fixed(
                "set another `default_branch` on the repository first",
                "먼저 저장소의 `default_branch`를 바꾸세요",
            ),
        ));
    }
    if let Some(right) = protection(command, seen) {
        protected(name, right, seen)?;
    }
    Ok(())
}

/// Who may push to the branch, if it is protected.
fn protection(command: &Command, seen: &Seen<'_>) -> Option<Right> {
    let branch = command.refname.strip_prefix("refs/heads/")?;
    seen.spec?.protection(branch).map(|p| p.push)
}

fn protected(name: &str, right: Right, seen: &Seen<'_>) -> Result<(), Box<Refusal>> {
    let may = match right {
        Right::Nobody => false,
        Right::Developers => true,
        Right::Maintainers => seen.maintains,
    };
    if may {
        return Ok(());
    }
    let branch = kernel::shown(name.strip_prefix("refs/heads/").unwrap_or(name));
    Err(refuse(
        name,
        "the branch is protected",
        text!(
            "{branch} is protected: you may not push to it",
            "{branch} 브랜치는 보호되어 있어 직접 푸시할 수 없습니다"
        ),
        text!(
            "push another branch with `-o merge_request.create -o merge_request.target={branch}`",
            "다른 브랜치를 `-o merge_request.create -o merge_request.target={branch}`로 푸시하세요"
        ),
    ))
}

fn is_default(command: &Command, seen: &Seen<'_>) -> bool {
    command.refname.strip_prefix("refs/heads/") == Some(seen.default_branch)
}

fn refuse(refname: &str, reason: &'static str, say: Text, hint: Text) -> Box<Refusal> {
    Box::new(Refusal { refname: Some(refname.to_owned()), reason, say, hint })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pkt::Bands;

    fn push(refs: &[(&str, bool, bool)], options: &[&str]) -> Request {
        let id = |there: bool| there.then(|| "1".repeat(40));
        let command = |(name, before, after): &(&str, bool, bool)| Command {
            refname: (*name).into(),
            before: id(*before),
            after: id(*after),
        };
        Request {
            commands: refs.iter().map(command).collect(),
            bands: Bands::Large,
            report: true,
            options: options.iter().map(|o| (*o).to_owned()).collect(),
        }
    }

    fn reason(request: &Request, administers: bool) -> Result<Force, &'static str> {
        let seen = Seen { default_branch: "main", administers, spec: None, maintains: administers };
        decide(request, &seen).map_err(|r| r.reason)
    }

    #[test]
    fn what_is_refused() {
        for (refs, part) in [
            (&[("refs/heads/a", false, true), ("refs/notes/x", false, true)][..], "only branches"),
            (&[("refs/naru/keep", false, true)], "only branches"),
            (&[("refs/merge-requests/1/head", true, true)], "only branches"),
            (&[("HEAD", false, true)], "not one that git allows"),
            (&[("refs/heads/a\x07", false, true)], "control character"),
            (&[("refs/heads/main", true, false)], "default branch"),
            (&[("refs/heads/gone", false, false)], "nothing to remove"),
            (&[("refs/heads/a", false, true), ("refs/heads/a", false, true)], "twice"),
        ] {
            let refused = reason(&push(refs, &["force"]), true).unwrap_err();
            assert!(refused.contains(part), "{refs:?}: {refused}");
        }
    }

    #[test]
    fn a_protected_branch_takes_pushes_of_some() {
        use crate::kind::Protected;
        let protected = |branch: &str, push| Protected {
            branch: branch.into(),
            push,
            merge: Right::Developers,
        };
        let spec = Repository {
            protected: vec![
                protected("main", Right::Nobody),
                protected("release/*", Right::Maintainers),
                protected("open", Right::Developers),
            ],
            ..Repository::default()
        };
        for (branch, maintains, wanted) in [
            ("main", false, false),
            ("main", true, false),
            ("release/1", false, false),
            ("release/1", true, true),
            ("open", false, true),
            ("topic", false, true),
        ] {
            let refname = format!("refs/heads/{branch}");
            let seen = Seen {
                default_branch: "main",
                administers: maintains,
                spec: Some(&spec),
                maintains,
            };
            let decided = decide(&push(&[(&refname, true, true)], &["force"]), &seen);
            assert_eq!(decided.is_ok(), wanted, "{branch} {maintains}");
            // Nor can it be deleted by those who may not push to it.
            let gone = decide(&push(&[(&refname, true, false)], &[]), &seen);
            assert!(wanted || gone.is_err(), "{branch} {maintains}");
        }
    }

    #[test]
    fn only_an_owner_who_says_so_rewrites_the_default_branch() {
        let main = &[("refs/heads/main", true, true)][..];
        assert_eq!(reason(&push(main, &[]), true), Ok(Force::Refused));
        assert_eq!(reason(&push(main, &["force"]), false), Ok(Force::Refused));
        assert_eq!(reason(&push(main, &["force"]), true), Ok(Force::Allowed));
        assert_eq!(
            reason(&push(&[("refs/heads/topic", true, true)], &[]), false),
            Ok(Force::Allowed)
        );
        assert_eq!(
            reason(&push(&[("refs/heads/old", true, false)], &[]), false),
            Ok(Force::Allowed)
        );
    }
}

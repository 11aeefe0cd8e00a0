//! Whether a push is accepted: one decision over all that it asks for.

use crate::command::{Command, Request};
use crate::refname;
use kernel::{Text, text};

/// What the decision needs to know besides the request.
pub(crate) struct Seen<'a> {
    pub default_branch: &'a str,
    /// The pusher may administer the project.
    pub administers: bool,
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
    let default = request.commands.iter().any(|c| is_default(c, seen) && c.before.is_some());
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
    Ok(())
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
        decide(request, &Seen { default_branch: "main", administers }).map_err(|r| r.reason)
    }

    #[test]
    fn what_is_refused() {
        for (refs, part) in [
            (&[("refs/heads/a", false, true), ("refs/notes/x", false, true)][..], "only branches"),
            (&[("refs/naru/keep", false, true)], "only branches"),
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

//! The one decision.

use crate::action::{Action, Permission};
use crate::role::{Role, Subject};
use crate::target::Target;
use crate::{Policy, Project};
use account::{User, unauthenticated};
use kernel::{Error, Id, Key, Lang, Name, Principal, Result, Text, text};
use store::View;

/// What the decision needs to know of the principal and the project.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Standing {
    administrator: bool,
    role: Option<Role>,
    exists: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Decision {
    Allow,
    /// Sees the project, lacks the right.
    Deny,
    /// Does not even see it.
    Hide,
}

fn decide(standing: Standing, wanted: Action) -> Decision {
    match standing {
        Standing { exists: false, .. } => Decision::Hide,
        Standing { administrator: true, .. } => Decision::Allow,
        Standing { role: Some(role), .. } if wanted.role().is_some_and(|least| role >= least) => {
            Decision::Allow
        }
        Standing { role: Some(_), .. } => Decision::Deny,
        Standing { role: None, .. } => Decision::Hide,
    }
}

impl Policy {
    /// Whether `who` may do `wanted` in `project`.
    ///
    /// # Errors
    /// `auth.required` for nobody; `project.unknown` when there is no such project or `who` may not see
    /// it; `auth.denied` when the right is missing.
    pub async fn may(&self, who: &Principal, wanted: Permission, project: &Name) -> Result<()> {
        self.may_do(who, wanted.action(), &Target::project(project)).await
    }

    /// Whether `who` may do `action` to `target`.
    ///
    /// # Errors
    /// As [`Policy::may`].
    pub async fn may_do(&self, who: &Principal, action: Action, target: &Target) -> Result<()> {
        if *who == Principal::Anonymous {
            return Err(unauthenticated());
        }
        let Some(project) = target.project_name() else {
            return self.may_administer(who).await;
        };
        let (subject, name) = (who.clone(), project.clone());
        let standing = self.store.read(move |v| standing(v, &subject, &name)).await?;
        match decide(standing, action) {
            Decision::Allow => Ok(()),
            Decision::Hide => Err(unknown_project(project)),
            Decision::Deny => {
                let (en, ko) = (action.words(Lang::En), action.words(Lang::Ko));
                Err(Error::forbidden(
                    "auth.denied",
                    text!(
                        "{who} may not {en}: {action} on {target}",
                        "{who}에게 권한이 없습니다: {ko} ({target}의 {action})"
                    ),
                )
                .hint(Text::fixed("ask an owner of the project", "프로젝트 소유자에게 요청하세요")))
            }
        }
    }

    /// Whether `who` runs the platform.
    ///
    /// # Errors
    /// `auth.required` for nobody, `auth.denied` for everybody but administrators.
    pub async fn may_administer(&self, who: &Principal) -> Result<()> {
        if *who == Principal::Anonymous {
            return Err(unauthenticated());
        }
        let subject = who.clone();
        if self.store.read(move |v| administrator(v, &subject)).await? {
            return Ok(());
        }
        Err(Error::forbidden(
            "auth.denied",
            text!("{who} does not administer this naru", "{who}은(는) 이 naru의 관리자가 아닙니다"),
        )
        .hint(Text::fixed("ask an administrator", "관리자에게 요청하세요")))
    }

    /// The projects `who` may see, by name.
    pub async fn visible(&self, who: &Principal) -> Result<Vec<Name>> {
        let subject = who.clone();
        self.store
            .read(move |v| {
                let mut seen = Vec::new();
                for project in v.resources("Project", None, None, 10_000)? {
                    let name = project.key.name;
                    if decide(standing(v, &subject, &name)?, Action::ProjectView) == Decision::Allow
                    {
                        seen.push(name);
                    }
                }
                Ok(seen)
            })
            .await
    }
}

/// Whether `who` may do `wanted` in `project`, decided in a transaction of the caller's.
///
/// # Errors
/// The store's.
pub fn allows(
    view: &View<'_>,
    who: &Principal,
    wanted: Permission,
    project: &Name,
) -> Result<bool> {
    Ok(decide(standing(view, who, project)?, wanted.action()) == Decision::Allow)
}

fn unknown_project(project: &Name) -> Error {
    Error::not_found(
        "project.unknown",
        text!("there is no project {project}", "{project} 프로젝트가 없습니다"),
    )
    .hint(text!(
        "`naru project list` shows yours; `naru project create {project}` makes it",
        "`naru project list`로 목록을 보고, `naru project create {project}`로 만드세요"
    ))
}

fn administrator(v: &View<'_>, who: &Principal) -> Result<bool> {
    match who {
        Principal::Part(_) => Ok(true),
        Principal::User(name) => {
            let found = v.resource(&Key::global::<User>(name))?;
            Ok(found.map(|r| r.spec::<User>()).transpose()?.is_some_and(|u| u.administrator))
        }
        _ => Ok(false),
    }
}

fn standing(v: &View<'_>, who: &Principal, project: &Name) -> Result<Standing> {
    let Some(resource) = v.resource(&Key::global::<Project>(project))? else {
        return Ok(Standing::default());
    };
    let spec: Project = resource.spec()?;
    let role = match who {
        Principal::User(_) | Principal::Service(_) => {
            let subject = Subject::of(who);
            spec.members.iter().find(|m| m.subject() == subject).map(|m| m.role)
        }
        // A job sees its own project and changes nothing in it.
        Principal::Run(id) => match Id::parse(id) {
            Some(id) => {
                (run::project_of(v, &id)?.as_ref() == Some(project)).then_some(Role::Viewer)
            }
            None => None,
        },
        _ => None,
    };
    Ok(Standing { administrator: administrator(v, who)?, role, exists: true })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_matrix() {
        use Decision::*;
        let all =
            [Action::ProjectView, Action::ProjectChange, Action::Deploy, Action::ProjectAdminister];
        for (role, want) in [
            (None, [Hide, Hide, Hide, Hide]),
            (Some(Role::Viewer), [Allow, Deny, Deny, Deny]),
            (Some(Role::Developer), [Allow, Allow, Deny, Deny]),
            (Some(Role::Maintainer), [Allow, Allow, Allow, Deny]),
            (Some(Role::Owner), [Allow, Allow, Allow, Allow]),
        ] {
            let standing = Standing { administrator: false, role, exists: true };
            assert_eq!(all.map(|p| decide(standing, p)), want, "{role:?}");
            let gone = Standing { exists: false, ..standing };
            assert_eq!(all.map(|p| decide(gone, p)), [Hide; 4]);
        }
        let admin = Standing { administrator: true, role: None, exists: true };
        assert_eq!(all.map(|p| decide(admin, p)), [Allow; 4]);
    }
}

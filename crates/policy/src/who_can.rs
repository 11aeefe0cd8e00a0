//! Decisions turned around: who may do it, and what a project looks like as a table.

use crate::Policy;
use crate::action::Action;
use crate::decide::Decision;
use crate::judge::Question;
use crate::kind::{Context, Project};
use crate::people::{Person, Who};
use crate::role::{PlatformRole, Subject};
use crate::target::Target;
use crate::world::World;
use kernel::{Key, Name, Principal, Result};
use serde::Serialize;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Accounts read at a time.
const PAGE: usize = 1000;
/// Rows of a matrix.
const ROWS: usize = 500;

/// Somebody who may, and why.
#[derive(Clone, Debug, Serialize)]
pub struct Holder {
    pub who: Subject,
    pub decision: Decision,
}

/// What everybody who has to do with a project may do in it.
#[derive(Clone, Debug, Serialize)]
pub struct Matrix {
    pub actions: Vec<Action>,
    pub rows: Vec<MatrixRow>,
}

#[derive(Clone, Debug, Serialize)]
pub struct MatrixRow {
    pub who: Subject,
    /// One for each action. A group's are those of somebody who is in it and nothing else.
    pub cells: Vec<Decision>,
}

impl Policy {
    /// Users and service accounts that may do `action` to `target`, by name; at most `most`, and whether there are
    /// more.
    ///
    /// # Errors
    /// `action.elsewhere`, the store's.
    pub async fn who_can(
        &self,
        action: Action,
        target: &Target,
        context: &Context,
        most: usize,
    ) -> Result<(Vec<Holder>, bool)> {
        let mut found = Vec::new();
        for kind in ["User", "ServiceAccount"] {
            let mut after: Option<Key> = None;
            loop {
                let from = after.clone();
                let read = move |v: &store::View<'_>| v.resources(kind, None, from.as_ref(), PAGE);
                let page = self.store().read(read).await?;
                for account in &page {
                    let subject = match kind {
                        "User" => Subject::User(account.key.name.clone()),
                        _ => Subject::Service(account.key.name.clone()),
                    };
                    let decision = self.of_subject(&subject, action, target, context).await?;
                    if decision.allow && found.len() == most {
                        return Ok((found, true));
                    }
                    if decision.allow {
                        found.push(Holder { who: subject, decision });
                    }
                }
                match page.last().filter(|_| page.len() == PAGE) {
                    Some(last) => after = Some(last.key.clone()),
                    None => break,
                }
            }
        }
        Ok((found, false))
    }

    /// The decision for a subject; a group's is that of somebody who is in it and nothing else.
    ///
    /// # Errors
    /// As [`Policy::decide`].
    pub async fn of_subject(
        &self,
        subject: &Subject,
        action: Action,
        target: &Target,
        context: &Context,
    ) -> Result<Decision> {
        let who = self.somebody(subject).await?;
        let now = context.now.unwrap_or_else(|| self.store().now());
        self.in_world_of(&who, |world, who| {
            world.decide(&Question { who, action, target, context, now }, true)
        })
    }

    async fn somebody(&self, subject: &Subject) -> Result<Arc<Who>> {
        match subject {
            Subject::User(name) => self.who(&Principal::User(name.clone())).await,
            Subject::Service(name) => self.who(&Principal::Service(name.clone())).await,
            Subject::Group(name) => {
                self.catch_up().await?;
                let now = self.store().now();
                self.in_world(|world| {
                    let groups = world.groups.of(&Subject::Group(name.clone()));
                    // Nobody in particular, who is in these groups.
                    let who = world.who(&Principal::Anonymous, groups, Person::default(), now);
                    Ok(Arc::new(who))
                })
            }
        }
    }

    /// The matrix of a project: its members, those with roles of the platform, and those with grants.
    ///
    /// # Errors
    /// `project.unknown`, the store's.
    pub async fn matrix(&self, project: &Name) -> Result<Matrix> {
        self.catch_up().await?;
        let now = self.store().now();
        let subjects = self.in_world(|world| {
            if !world.projects.contains_key(project) {
                return Err(crate::decide::unknown_project(project));
            }
            Ok(concerned(world, project, now))
        })?;
        let actions: Vec<Action> = Action::ALL.into_iter().filter(|a| a.in_projects()).collect();
        let target = Target::project(project);
        let (mut rows, context) = (Vec::new(), Context::default());
        for who in subjects.into_iter().take(ROWS) {
            let mut cells = Vec::new();
            for action in &actions {
                cells.push(self.of_subject(&who, *action, &target, &context).await?);
            }
            rows.push(MatrixRow { who, cells });
        }
        Ok(Matrix { actions, rows })
    }

    /// The members of a project, and its rules for second persons.
    ///
    /// # Errors
    /// The store's.
    pub async fn project(&self, name: &Name) -> Result<Option<Arc<Project>>> {
        self.catch_up().await?;
        self.in_world(|world| Ok(world.projects.get(name).cloned()))
    }
}

fn concerned(world: &World, project: &Name, now: kernel::Time) -> BTreeSet<Subject> {
    let members = world.members(project).iter().filter_map(|m| m.subject());
    let platform = PlatformRole::ALL.into_iter().flat_map(|r| world.platform_members(r).to_vec());
    let granted = world
        .grants
        .values()
        .filter(|g| now < g.until && g.grant.on.project_name().is_none_or(|p| p == project));
    members.chain(platform).chain(granted.map(|g| g.grant.to.clone())).collect()
}

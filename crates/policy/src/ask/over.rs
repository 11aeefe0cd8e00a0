//! What holds because of an emergency, and what is over.

use super::{KEPT, write};
use crate::Policy;
use crate::kind::{Given, Grant, Phase};
use crate::role::Subject;
use crate::target::Target;
use kernel::{Kind, Name, Principal, Result, Time};

/// A role that was taken in an emergency and still holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alarm {
    pub grant: Name,
    pub who: Subject,
    pub give: Given,
    pub on: Target,
    pub reason: String,
    pub until: Time,
}

impl Policy {
    /// Roles taken in an emergency that still hold: what every page tells administrators.
    pub fn alarms(&self) -> Vec<Alarm> {
        let now = self.store().now();
        let held = self.in_world(|world| {
            let broken = world.grants.values().filter(|g| g.grant.broken_glass && now < g.until);
            let alarm = |g: &std::sync::Arc<crate::world::Granted>| Alarm {
                grant: g.id.clone(),
                who: g.grant.to.clone(),
                give: g.grant.give,
                on: g.grant.on.clone(),
                reason: g.grant.reason.clone(),
                until: g.until,
            };
            Ok(broken.map(alarm).collect())
        });
        held.unwrap_or_default()
    }

    /// Writes down which grants and requests are over, and forgets the oldest; says when the next one will be.
    ///
    /// # Errors
    /// The store's.
    pub async fn expire(&self) -> Result<Option<Time>> {
        let (next, over) = self
            .store()
            .write(|tx| {
                let (mut next, mut over): (Option<Time>, Vec<Subject>) = (None, Vec::new());
                let all = tx.resources(Grant::KIND, None, None, 10 * KEPT)?;
                let surplus = all.len().saturating_sub(KEPT);
                for (i, resource) in all.into_iter().enumerate() {
                    let (grant, mut status) =
                        (resource.spec::<Grant>()?, resource.status::<Grant>()?);
                    let open = matches!(status.phase, Phase::Requested | Phase::Active);
                    match status.until.filter(|_| open) {
                        Some(until) if until <= tx.now() => {
                            if status.phase == Phase::Active {
                                over.push(grant.to.clone());
                            }
                            status.phase = Phase::Expired;
                            let actor = Principal::part("policy");
                            write(
                                tx,
                                Some(resource.key.name),
                                grant,
                                status,
                                &actor,
                                "access.expired",
                            )?;
                        }
                        Some(until) => next = Some(next.map_or(until, |n: Time| n.min(until))),
                        None if i < surplus => {
                            tx.delete(&resource.key, None, Principal::part("policy"))?;
                        }
                        None => {}
                    }
                }
                Ok((next, over))
            })
            .await?;
        over.iter().for_each(|whose| self.end(whose));
        Ok(next)
    }
}

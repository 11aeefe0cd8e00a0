//! What is special about projects: they bound everything else, and they go last.

use crate::Call;
use kernel::kind::{KindDef, Scope, Writer};
use kernel::{Error, Key, Name, Result, Text, text};
use policy::{Action, Permission, Target};
use serde_json::Value;

/// Anybody signed in may create a project and becomes its owner; changing one takes its owner.
pub(super) async fn admit(call: &Call, key: &Key, spec: Value) -> Result<Value> {
    let name = &key.name;
    // Repositories live at /PROJECT/REPOSITORY.git, beside the addresses of naru itself.
    let ours = call.site.routes.iter().filter_map(|r| r.path.split('/').nth(1));
    if ours.chain(["git", "new", "help"]).any(|word| word == name.as_str()) {
        return Err(Error::invalid(
            "project.reserved",
            text!(
                "{name} is a word of naru's own addresses",
                "{name}은(는) naru 주소에 쓰이는 말입니다"
            ),
        )
        .hint(Text::fixed("choose another name", "다른 이름을 고르세요")));
    }
    let wanted = key.clone();
    if call.site.store.read(move |v| v.resource(&wanted)).await?.is_some() {
        call.may(Permission::Administer, name).await?;
        let project: policy::Project =
            serde_json::from_value(spec.clone()).map_err(Error::internal)?;
        let owned = project.members.iter().any(|m| m.role == policy::Role::Owner);
        if !owned && call.may_administer().await.is_err() {
            return Err(Error::invalid(
                "project.ownerless",
                text!(
                    "project {name} would have no owner left",
                    "{name} 프로젝트에 소유자가 남지 않습니다"
                ),
            )
            .hint(Text::fixed(
                "keep yourself or name another owner in `members`",
                "자신을 남기거나 `members`에 다른 소유자를 쓰세요",
            )));
        }
        return Ok(spec);
    }
    call.site.policy.may_do(&call.who, Action::ProjectCreate, &Target::platform()).await?;
    let mut project: policy::Project = serde_json::from_value(spec).map_err(Error::internal)?;
    if let kernel::Principal::User(user) = &call.who
        && project.members.is_empty()
    {
        project.members.push(policy::Member::user(user.clone(), policy::Role::Owner));
    }
    serde_json::to_value(project).map_err(Error::internal)
}

pub(super) fn written_by_people(call: &Call) -> Vec<&'static str> {
    let ours = |k: &&KindDef| k.scope == Scope::Project && k.writer == Writer::People;
    call.site.kinds.iter().filter(ours).map(|k| k.kind).collect()
}

/// A project goes last: whoever made one of its name again would find what is left.
pub(super) fn not_empty(project: &Name, first: &Key) -> Error {
    Error::conflict(
        "project.not-empty",
        text!(
            "project {project} still has {first}",
            "{project} 프로젝트에 아직 {first}이(가) 있습니다"
        ),
    )
    .hint(Text::fixed(
        "delete its services and repositories first",
        "서비스와 저장소를 먼저 지우세요",
    ))
}

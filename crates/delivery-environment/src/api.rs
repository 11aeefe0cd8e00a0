//! Routes beyond the generic ones.

use crate::{Environments, Extend, error};
use kernel::{Name, Result};
use naru_http::{Access, Call, Response, Route, empty, json};
use policy::Permission;
use serde::Deserialize;

const VIEW: Access = Access::Project(Permission::View);
const CHANGE: Access = Access::Project(Permission::Change);

pub(crate) const ROUTES: &[Route] = &[
    Route::get(
        "/api/v1/projects/{project}/environments/{environment}/view",
        VIEW,
        ("an environment with its services and history", "환경과 서비스, 배포 이력"),
        |c| Box::pin(view(c)),
    ),
    Route::post(
        "/api/v1/projects/{project}/environments/{environment}/stop",
        CHANGE,
        ("stop an environment, its stop job first", "환경 정지 (정지 작업부터)"),
        |c| Box::pin(stop(c)),
    ),
    Route::post(
        "/api/v1/projects/{project}/environments/{environment}/extend",
        CHANGE,
        ("let an environment live longer", "환경 수명 늘리기"),
        |c| Box::pin(extend(c)),
    ),
    Route::post(
        "/api/v1/projects/{project}/environments/{environment}/forget",
        CHANGE,
        ("forget a stopped environment", "정지된 환경 지우기"),
        |c| Box::pin(forget(c)),
    ),
    Route::get(
        "/api/v1/projects/{project}/sites/{site}/view",
        VIEW,
        ("a web site with its editions", "웹 사이트와 판"),
        |c| Box::pin(site(c)),
    ),
    Route::post(
        "/api/v1/projects/{project}/sites/{site}/unpublish",
        CHANGE,
        ("take a web site, or one edition, off", "웹 사이트나 판 내리기"),
        |c| Box::pin(unpublish(c)),
    ),
];

fn place(call: &Call) -> Result<(Name, Name)> {
    Ok((call.project()?, call.name("environment")?))
}

async fn view(call: Call) -> Result<Response> {
    let (project, name) = place(&call)?;
    json(&call.part::<Environments>()?.show(&project, &name).await?)
}

/// The body of a request, which may be left out.
async fn body<T: Default + serde::de::DeserializeOwned>(call: &mut Call) -> Result<T> {
    let bytes = call.bytes(64 * 1024).await?;
    if bytes.is_empty() {
        return Ok(T::default());
    }
    serde_json::from_slice(&bytes).map_err(|e| {
        let why = e.to_string();
        kernel::Error::invalid(
            "body.invalid",
            kernel::text!("the body does not fit: {why}", "본문이 맞지 않습니다: {why}"),
        )
    })
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Stop {
    /// Without its stop job.
    force: bool,
}

async fn stop(mut call: Call) -> Result<Response> {
    let Stop { force } = body(&mut call).await?;
    let ((project, name), who) = (place(&call)?, call.who.clone());
    json(&call.part::<Environments>()?.stop(&project, &name, who, force).await?)
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Longer {
    /// `2h`, `3 days` or `never`.
    by: Option<String>,
}

/// How long, as people write it.
pub(crate) fn longer(words: Option<&str>) -> Result<Extend> {
    let Some(words) = words.map(str::trim).filter(|w| !w.is_empty()) else {
        return Ok(Extend::Again);
    };
    if words == "never" {
        return Ok(Extend::Forever);
    }
    let length = kernel::time::parse_duration(words).ok_or_else(|| error::length(words))?;
    match length.is_zero() || length > crate::plan::LONGEST {
        true => Err(error::length(words)),
        false => Ok(Extend::By(length)),
    }
}

async fn extend(mut call: Call) -> Result<Response> {
    let Longer { by } = body(&mut call).await?;
    let (project, name) = place(&call)?;
    let by = longer(by.as_deref())?;
    json(&call.part::<Environments>()?.extend(&project, &name, by).await?)
}

async fn forget(call: Call) -> Result<Response> {
    let ((project, name), who) = (place(&call)?, call.who.clone());
    call.part::<Environments>()?.delete(&project, &name, who).await?;
    Ok(empty())
}

async fn site(call: Call) -> Result<Response> {
    let (project, repository) = (call.project()?, call.name("site")?);
    let sites = call.part::<Environments>()?.sites(&project).await?;
    let site = sites.into_iter().find(|s| s.repository == repository);
    json(&site.ok_or_else(|| error::no_site(&repository))?)
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Which {
    /// Left out: all editions. Empty: the one at the root.
    prefix: Option<String>,
}

async fn unpublish(mut call: Call) -> Result<Response> {
    let Which { prefix } = body(&mut call).await?;
    let (project, repository) = (call.project()?, call.name("site")?);
    call.part::<Environments>()?.unpublish(&project, &repository, prefix).await?;
    Ok(empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn lengths_as_people_write_them() {
        assert_eq!(longer(None).unwrap(), Extend::Again);
        assert_eq!(longer(Some("never")).unwrap(), Extend::Forever);
        assert_eq!(longer(Some("2h")).unwrap(), Extend::By(Duration::from_secs(7200)));
        for bad in ["soon", "0s", "-1h", "900000h"] {
            assert_eq!(longer(Some(bad)).unwrap_err().code(), "environment.length", "{bad}");
        }
    }
}

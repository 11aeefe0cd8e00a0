//! Buttons of a service's page.

use crate::{ServiceKey, Services};
use kernel::{Error, Name, Result, Text};
use naru_http::{Call, Response, found};

/// `rollback`, `restart` and `scale`, then back to the page.
pub(super) async fn act(mut call: Call) -> Result<Response> {
    let form = call.form().await?;
    let key = ServiceKey::new(&call.project()?, &call.name("service")?);
    let services = call.part::<Services>()?;
    let who = call.who.clone();
    match call.param("action")? {
        "rollback" => {
            let release = form.get("release").filter(|r| !r.is_empty());
            let release = release.map(|r| Name::parse(r)).transpose()?;
            services.roll_back(&key, release, who).await?;
        }
        "restart" => {
            services.restart(&key, who).await?;
        }
        "scale" => {
            let wanted = form.get("replicas").and_then(|n| n.trim().parse().ok());
            services.scale(&key, wanted.ok_or_else(no_number)?, who).await?;
        }
        _ => {
            return Err(Error::not_found(
                "action.unknown",
                Text::fixed("a service cannot do that", "서비스에 그런 동작은 없습니다"),
            ));
        }
    }
    found(&format!("/projects/{}/services/{}", key.project, key.service))
}

fn no_number() -> Error {
    Error::invalid(
        "replicas.invalid",
        Text::fixed("`replicas` takes a number", "`replicas`에는 숫자를 쓰세요"),
    )
}

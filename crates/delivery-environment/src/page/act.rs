//! Buttons of an environment's page.

use crate::{Environments, api};
use kernel::{Error, Result, Text};
use naru_http::{Call, Response, found};

/// `stop`, `force`, `extend` and `forget`, then back to the page.
pub(super) async fn act(mut call: Call) -> Result<Response> {
    let form = call.form().await?;
    let (project, name) = (call.project()?, call.name("environment")?);
    let environments = call.part::<Environments>()?;
    let who = call.who.clone();
    match call.param("action")? {
        "stop" => drop(environments.stop(&project, &name, who, false).await?),
        "force" => drop(environments.stop(&project, &name, who, true).await?),
        "extend" => {
            let by = api::longer(form.get("by").map(String::as_str))?;
            environments.extend(&project, &name, by).await?;
        }
        "forget" => {
            environments.delete(&project, &name, who).await?;
            return found(&format!("/projects/{project}/environments"));
        }
        _ => {
            return Err(Error::not_found(
                "action.unknown",
                Text::fixed("an environment cannot do that", "환경에 그런 동작은 없습니다"),
            ));
        }
    }
    found(&format!("/projects/{project}/environments/{name}"))
}

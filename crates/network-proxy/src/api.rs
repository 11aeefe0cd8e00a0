//! The routes over HTTP.

use crate::Proxy;
use kernel::Result;
use naru_http::{Access, Call, Response, Route, json};
use policy::Permission;

pub(crate) const ROUTES: &[Route] = &[Route::get(
    "/api/v1/projects/{project}/routes",
    Access::Project(Permission::View),
    (
        "what the edge knows of each service: host, instances, requests, latency",
        "엣지가 아는 서비스별 현황: 호스트, 인스턴스, 요청, 지연",
    ),
    |c| Box::pin(list(c)),
)];

/// `{"items": [RouteView]}`, by service.
async fn list(call: Call) -> Result<Response> {
    let (proxy, project) = (call.part::<Proxy>()?, call.project()?);
    let mut items = proxy.routes();
    items.retain(|route| route.project == project);
    json(&serde_json::json!({ "items": items }))
}

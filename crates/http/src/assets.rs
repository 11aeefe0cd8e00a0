//! The program's own files: style, scripts, pictures.

use crate::{Access, Asset, Body, Call, Response, Route};
use http::header;
use kernel::{Error, Result, Text};
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

pub(crate) struct Assets(BTreeMap<&'static str, (Asset, String)>);

impl Assets {
    pub(crate) fn new(all: &[Asset]) -> Assets {
        let tag = |a: &Asset| {
            let mut hasher = DefaultHasher::new();
            a.bytes.hash(&mut hasher);
            format!("{:016x}", hasher.finish())
        };
        Assets(all.iter().map(|a| (a.name, (*a, tag(a)))).collect())
    }

    pub(crate) fn address(&self, name: &str) -> String {
        match self.0.get(name) {
            Some((_, tag)) => format!("/assets/{name}?{tag}"),
            None => format!("/assets/{name}"),
        }
    }
}

pub(crate) const ROUTES: &[Route] = &[Route::get(
    "/assets/{*name}",
    Access::Public,
    ("a file of the program itself", "프로그램 자체의 파일"),
    |call| Box::pin(serve(call)),
)];

async fn serve(call: Call) -> Result<Response> {
    let (asset, tag) = call.site.assets.0.get(call.param("name")?).ok_or_else(|| {
        Error::not_found(
            "asset.unknown",
            Text::fixed("there is no such file", "그런 파일이 없습니다"),
        )
    })?;
    // Named by its hash, it never changes; named plainly, it may with the next version.
    let lasts =
        if call.query_string() == tag { "public, max-age=31536000, immutable" } else { "no-cache" };
    http::Response::builder()
        .header(header::CONTENT_TYPE, asset.content_type)
        .header(header::CACHE_CONTROL, lasts)
        .body(Body::from(asset.bytes))
        .map_err(Error::internal)
}

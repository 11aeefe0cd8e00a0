//! Where strangers find the keys that check the tokens of runs (OpenID Connect Discovery 1.0).

use crate::Console;
use naru_http::{Access, Route, json};

pub(crate) const ROUTES: &[Route] = &[
    Route::get(
        "/.well-known/openid-configuration",
        Access::Public,
        ("who signs the tokens of runs", "실행의 토큰에 누가 서명하는지"),
        |c| Box::pin(async move { json(&c.part::<Console>()?.signer.metadata()) }),
    ),
    Route::get(
        "/oauth/discovery/keys",
        Access::Public,
        ("the keys that check the tokens of runs", "실행의 토큰을 확인하는 키"),
        |c| Box::pin(async move { json(&c.part::<Console>()?.signer.keys()) }),
    ),
];

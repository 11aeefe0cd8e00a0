//! What a client has to know: metadata (OpenID Connect Discovery 1.0 §3, RFC 8414 §2) and keys (RFC 7517 §5).

use crate::Sso;
use crate::kind::SCOPES;
use http::{HeaderValue, header};
use naru_http::{Access, Call, Response, Route, json};
use serde_json::{Value, json};

/// Where the endpoints are, below the issuer.
pub(crate) const AUTHORIZE: &str = "/oauth/authorize";
pub(crate) const TOKEN: &str = "/oauth/token";
pub(crate) const USERINFO: &str = "/oauth/userinfo";
pub(crate) const REVOKE: &str = "/oauth/revoke";
pub(crate) const INTROSPECT: &str = "/oauth/introspect";
pub(crate) const DEVICE: &str = "/oauth/device";
pub(crate) const END_SESSION: &str = "/oauth/end-session";
const KEYS: &str = "/oauth/discovery/keys";

const METADATA: [&str; 2] =
    ["/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"];
const ABOUT: (&str, &str) = ("what clients have to know", "클라이언트가 알아야 할 것");

pub(crate) const ROUTES: &[Route] = &[
    Route::get(METADATA[0], Access::Public, ABOUT, |c| Box::pin(metadata(c))),
    Route::get(METADATA[1], Access::Public, ABOUT, |c| Box::pin(metadata(c))),
    Route::get(
        KEYS,
        Access::Public,
        ("the keys that check what is signed here", "여기서 서명한 것을 확인하는 키"),
        |c| Box::pin(keys(c)),
    ),
];

async fn metadata(call: Call) -> kernel::Result<Response> {
    open(json(&document(&call.part::<Sso>()?.issuer())))
}

async fn keys(call: Call) -> kernel::Result<Response> {
    open(json(&call.part::<Sso>()?.signer.key_set().await?))
}

/// Anybody's page may read it, and keep it for five minutes: less than a key is told before it signs.
fn open(response: kernel::Result<Response>) -> kernel::Result<Response> {
    let mut response = response?;
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=300"));
    headers.insert("cross-origin-resource-policy", HeaderValue::from_static("cross-origin"));
    Ok(response)
}

/// Of people, then of jobs.
const CLAIMS: &[&str] = &[
    "iss",
    "sub",
    "aud",
    "iat",
    "nbf",
    "exp",
    "jti",
    "auth_time",
    "nonce",
    "acr",
    "amr",
    "azp",
    "sid",
    "at_hash",
    "name",
    "given_name",
    "family_name",
    "preferred_username",
    "locale",
    "zoneinfo",
    "updated_at",
    "email",
    "email_verified",
    "phone_number",
    "groups",
    "project_path",
    "namespace_path",
    "ref",
    "ref_type",
    "sha",
    "pipeline_id",
    "pipeline_source",
    "job_id",
    "environment",
    "user_login",
];

pub(crate) fn document(issuer: &str) -> Value {
    let at = |path: &str| format!("{issuer}{path}");
    let proofs = ["client_secret_basic", "client_secret_post", "private_key_jwt"];
    let algorithms = ["RS256", "PS256", "ES256", "ES384", "EdDSA"];
    json!({
        "issuer": issuer,
        "authorization_endpoint": at(AUTHORIZE),
        "token_endpoint": at(TOKEN),
        "userinfo_endpoint": at(USERINFO),
        "jwks_uri": at(KEYS),
        "revocation_endpoint": at(REVOKE),
        "introspection_endpoint": at(INTROSPECT),
        "device_authorization_endpoint": at(DEVICE),
        "end_session_endpoint": at(END_SESSION),
        "scopes_supported": SCOPES.iter().map(|s| s.name).collect::<Vec<_>>(),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query", "form_post"],
        "grant_types_supported": ["authorization_code", "refresh_token", "client_credentials",
            "urn:ietf:params:oauth:grant-type:device_code"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256", "ES256"],
        "token_endpoint_auth_methods_supported": [proofs[0], proofs[1], proofs[2], "none"],
        "token_endpoint_auth_signing_alg_values_supported": algorithms,
        "revocation_endpoint_auth_methods_supported": [proofs[0], proofs[1], proofs[2], "none"],
        "revocation_endpoint_auth_signing_alg_values_supported": algorithms,
        "introspection_endpoint_auth_methods_supported": proofs,
        "introspection_endpoint_auth_signing_alg_values_supported": algorithms,
        "code_challenge_methods_supported": ["S256"],
        "prompt_values_supported": ["none", "login", "consent", "select_account"],
        "authorization_response_iss_parameter_supported": true,
        "backchannel_logout_supported": true,
        "backchannel_logout_session_supported": true,
        "claims_parameter_supported": false,
        "request_parameter_supported": false,
        "request_uri_parameter_supported": false,
        "ui_locales_supported": ["en", "ko"],
        "claims_supported": CLAIMS,
    })
}

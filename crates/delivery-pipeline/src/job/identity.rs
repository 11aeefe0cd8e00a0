//! Signed statements of who a job is, so that it can ask others for something without a kept secret.

use super::Job;
use crate::variables::Variable;
use kernel::{Error, Result, Text};
use run::Run;
use serde_json::{Value, json};
use std::time::Duration;

/// A token outlives the job's time by this, for what it starts last.
const BEYOND: Duration = Duration::from_secs(60);

impl Job {
    /// How the job reaches this server, as its run: `naru`, git and curl find it in these.
    pub(super) fn pass(&self) -> Vec<Variable> {
        let Some(signer) = self.parts.identity.as_ref() else { return Vec::new() };
        let token = signer.job_token(&format!("{}-{}", self.task.key, self.task.attempt));
        let masked = |name: &str| Variable { masked: true, ..Variable::literal(name, &*token) };
        vec![
            Variable::literal("NARU_URL", &*self.parts.url),
            masked("NARU_TOKEN"),
            masked("NARU_JOB_TOKEN"),
        ]
    }

    /// By which roots a job believes this server, where the system's are not enough: `naru` and others find them in a
    /// file, git in its configuration, for this server alone.
    pub(super) fn believes(&self) -> Vec<Variable> {
        let Some(path) = &self.parts.ca_file else { return Vec::new() };
        // Read for each job: there are two roots while one follows another.
        let roots = match std::fs::read_to_string(path) {
            Ok(roots) => roots,
            Err(error) => {
                tracing::warn!(%error, "a job is not told whom to believe");
                return Vec::new();
            }
        };
        let file = |name: &str| Variable { file: true, ..Variable::literal(name, &*roots) };
        let key = format!("http.{}/.sslCAInfo", self.parts.url.trim_end_matches('/'));
        vec![
            file("CI_SERVER_TLS_CA_FILE"),
            file("NARU_CA_FILE"),
            Variable::literal("GIT_CONFIG_COUNT", "1"),
            Variable::literal("GIT_CONFIG_KEY_0", key),
            Variable::new("GIT_CONFIG_VALUE_0", "$CI_SERVER_TLS_CA_FILE"),
        ]
    }

    /// A variable for each token that the job asks for. They are made anew for each start.
    ///
    /// # Errors
    /// `identity.missing` where nobody signs; internal, when nothing can be signed.
    pub(super) async fn tokens(&self) -> Result<Vec<Variable>> {
        if self.work.id_tokens.is_empty() {
            return Ok(Vec::new());
        }
        let signer = self.parts.identity.as_ref().ok_or_else(missing)?;
        let run = self.own_run().await?;
        let life = Duration::from_millis(self.timeout()) + BEYOND;
        let mut out = Vec::new();
        for token in &self.work.id_tokens {
            let audience: Vec<String> =
                token.audience.iter().map(|a| self.scope.expand(a)).collect();
            let claims = claims(&run, &self.task.key, self.deploys_to().as_deref(), &audience);
            let value = signer.sign(claims, life).await?;
            out.push(Variable { masked: true, ..Variable::literal(&token.name, value) });
        }
        Ok(out)
    }

    pub(super) fn deploys_to(&self) -> Option<String> {
        self.work.environment.as_ref().map(|e| self.scope.expand(&e.name))
    }
}

fn missing() -> Error {
    Error::invalid(
        "identity.missing",
        Text::fixed(
            "nobody signs tokens here: `id_tokens` needs a server",
            "여기에는 토큰에 서명할 곳이 없습니다. `id_tokens`에는 서버가 필요합니다",
        ),
    )
}

/// What a token says of a job, in the words of GitLab's ID tokens, so that rules written for those hold.
fn claims(run: &Run, job: &str, environment: Option<&str>, audience: &[String]) -> Value {
    let label = |name: &str| run.labels.get(name).map(String::as_str).unwrap_or_default();
    let (project, repository, name) = (&run.project, label("repository"), label("ref"));
    let path = format!("{project}/{repository}");
    let kind = if label("refname").starts_with("refs/tags/") { "tag" } else { "branch" };
    // One audience is a text, several are a list (RFC 7519 §4.1.3).
    let audience = match audience {
        [one] => json!(one),
        several => json!(several),
    };
    let mut claims = json!({
        "sub": format!("project_path:{path}:ref_type:{kind}:ref:{name}"),
        "aud": audience,
        "project_path": path,
        "namespace_path": project,
        "ref": name,
        "ref_path": label("refname"),
        "ref_type": kind,
        "ref_protected": label("default_branch"),
        "sha": label("commit"),
        "pipeline_id": run.id,
        "pipeline_source": label("source"),
        "job_id": job,
        "change": run.change,
        "user_login": run.actor.to_string(),
    });
    if let (Some(environment), Some(claims)) = (environment, claims.as_object_mut()) {
        claims.insert("environment".into(), json!(environment));
    }
    claims
}

//! What a job learns when it begins: secrets of its project and of other stores, and values that earlier jobs
//! sealed.

use super::Job;
use super::secrets::Secrets;
use crate::handed::Whole;
use crate::variables::{Scope, Variable};
use crate::vault::{self, Entry};
use crate::work::{Output, Secret, SecretFrom, VaultSecret};
use crate::workspace::Learned;
use crate::{Parts, handed};
use kernel::port::{OpenedSecret, SecretText, SecretUse, SecretUser};
use kernel::{Error, ErrorKind, Result, Text, text};
use policy::{Action, Ask, Target};
use run::{Engine, Run, Task};
use std::collections::BTreeMap;

/// Longest value that goes into a variable, in bytes; the kernel takes 128 KiB for one text.
const MAX_VALUE: usize = 64 * 1024;

/// What earlier jobs have handed on to a job, by their names.
pub(super) type Handed = BTreeMap<String, handed::Values>;

/// Opens what the jobs before have sealed. Of what is gone the hidden values are left.
pub(super) async fn handed(parts: &Parts, task: &Task) -> Result<Handed> {
    let mut found = Handed::new();
    for (name, output) in &task.outputs {
        let output: Output = serde_json::from_value(output.clone()).unwrap_or_default();
        let Some(key) = output.sealed else { continue };
        let row =
            parts.store.read(move |v| v.row::<String>(handed::SEALED, &key).map(|r| (key, r)));
        let (key, row) = row.await?;
        match row.and_then(|row| parts.seal.unseal(&key, &row)) {
            Some(values) => drop(found.insert(name.clone(), values)),
            None => tracing::warn!(key, "values handed on by a job cannot be opened any more"),
        }
    }
    Ok(found)
}

/// The variables that a job hands on, in which some are whole again.
pub(super) fn variables(output: &Output, whole: Option<&handed::Values>) -> Vec<Variable> {
    let one = |(name, value): (&String, &String)| match whole.and_then(|all| all.get(name)) {
        Some(Whole { value, .. }) => {
            Variable { masked: true, ..Variable::literal(name, value.as_str()) }
        }
        None => Variable::literal(name, value.as_str()),
    };
    output.variables.iter().map(one).collect()
}

impl Job {
    /// Gets the secrets that the file asks for. A job that is under way already has them.
    ///
    /// # Errors
    /// Whatever the store of a secret says, with the secret's name.
    pub(super) async fn learn(&mut self, handed: &Handed) -> Result<()> {
        let main = format!("{}-{}", self.task.key, self.task.attempt);
        let begun = self.parts.host.find(&main).is_some();
        if !begun {
            self.may_deploy().await?;
        }
        let learned = match self.place.learned(&self.parts.seal)? {
            Some(learned) if begun => learned,
            _ if self.task.cancel.is_cancelled() => Learned::default(),
            _ => Learned { offered: self.offered().await?, asked: self.fetch_secrets().await? },
        };
        self.scope.add(&self.believes());
        self.scope.add(&learned.offered);
        self.scope.add(&self.given);
        self.scope.add(&learned.asked);
        let parts = handed.values().flat_map(BTreeMap::iter).flat_map(|(name, whole)| {
            whole.secrets.iter().map(|secret| (name.clone(), secret.clone()))
        });
        self.secrets = Secrets::take(&mut self.scope, parts.collect());
        self.learned = learned;
        Ok(())
    }

    /// A job that says what it deploys to does nothing when a policy holds that back from whoever started its pipeline.
    async fn may_deploy(&self) -> Result<()> {
        let Some(environment) = self.deploys_to() else { return Ok(()) };
        // On a developer's own machine nothing is deployed.
        if self.parts.identity.is_none() {
            return Ok(());
        }
        let run = self.own_run().await?;
        let context = policy::Context {
            branch: run.labels.get("ref").cloned(),
            protected: Some(run.labels.get("default_branch").is_some_and(|is| is == "true")),
            environment: Some(environment.clone()),
            ..policy::Context::default()
        };
        let target = Target::environment(&run.project, environment);
        let (who, action) = (&run.actor, Action::Deploy);
        let ask = Ask { who, action, target: &target, context: &context };
        self.parts.policy.unless_forbidden(&ask).await
    }

    /// The secrets that the project gives to all of its jobs that are within their scope.
    async fn offered(&self) -> Result<Vec<Variable>> {
        let Some(secrets) = &self.parts.secrets else { return Ok(Vec::new()) };
        let run = self.own_run().await?;
        let opened = secrets.offered(&self.task.project, &self.secret_use(&run)).await?;
        let variable = |opened: OpenedSecret| Variable {
            masked: true,
            file: opened.file,
            ..Variable::literal(&opened.variable, opened.value.reveal())
        };
        Ok(opened.into_iter().map(variable).collect())
    }

    /// What this job is to whoever keeps secrets.
    fn secret_use(&self, run: &Run) -> SecretUse {
        SecretUse {
            by: SecretUser::Job { run: run.id.clone(), step: self.task.step.clone() },
            environment: self.deploys_to(),
            protected: run.labels.get("default_branch").is_some_and(|is| is == "true"),
        }
    }

    async fn fetch_secrets(&self) -> Result<Vec<Variable>> {
        if self.work.secrets.is_empty() {
            return Ok(Vec::new());
        }
        let run = self.own_run().await?;
        let mut scope = self.scope.clone();
        if self.parts.identity.is_some() {
            scope.add(&self.tokens().await?);
        }
        let mut entries = Entries::default();
        let mut found = Vec::new();
        for secret in &self.work.secrets {
            let value = match self.at_hand(secret) {
                Some(value) => value,
                None => {
                    let fetched = self.fetch_secret(secret, &scope, &run, &mut entries).await;
                    fetched.map_err(|error| about(&secret.name, error))?
                }
            };
            check(secret, value.reveal())?;
            let literal = Variable::literal(&secret.name, value.reveal());
            found.push(Variable { masked: true, file: secret.file, ..literal });
        }
        Ok(found)
    }

    /// A developer's own file of secrets goes before any store.
    fn at_hand(&self, secret: &Secret) -> Option<SecretText> {
        let given = self.parts.given.iter().find(|v| v.name == secret.name)?;
        Some(SecretText::new(given.value.as_str()))
    }

    async fn fetch_secret(
        &self,
        secret: &Secret,
        scope: &Scope,
        run: &Run,
        entries: &mut Entries,
    ) -> Result<SecretText> {
        let at = match &secret.from {
            SecretFrom::Own(name) => return self.own_secret(run, &scope.expand(name)).await,
            SecretFrom::Vault(at) => self.filled_in(at, scope)?,
        };
        let (name, server, place) = (&secret.name, &at.server, format!("{}/{}", at.mount, at.path));
        self.note(&text!(
            "the secret {name} comes from {server}, {place}",
            "비밀 {name}을(를) {server}의 {place}에서 가져옵니다"
        ));
        let entry = entries.get(&at).await?;
        vault::read(&at, &entry).await
    }

    async fn own_secret(&self, run: &Run, name: &str) -> Result<SecretText> {
        let Some(secrets) = &self.parts.secrets else {
            let say = Text::fixed("no secrets are kept here", "여기에는 보관된 비밀이 없습니다");
            return Err(Error::invalid("secrets.none", say).hint(Text::fixed(
                "in a local run, give it in a file: `--secrets FILE`",
                "로컬 실행에서는 `--secrets 파일`로 주세요",
            )));
        };
        let opened = secrets.open_for(&self.task.project, name, &self.secret_use(run)).await?;
        Ok(opened.value)
    }

    /// With its variables filled in, and a token that opens the store.
    fn filled_in(&self, at: &VaultSecret, scope: &Scope) -> Result<VaultSecret> {
        let expand = |words: &String| scope.expand(words).trim().to_owned();
        let at = VaultSecret {
            server: expand(&at.server),
            login: Some(expand(&at.login)).filter(|path| !path.is_empty()).unwrap_or("jwt".into()),
            role: expand(&at.role),
            namespace: expand(&at.namespace),
            token: expand(&at.token),
            own_token: if self.parts.identity.is_none() {
                expand(&at.own_token)
            } else {
                String::new()
            },
            engine: at.engine,
            mount: expand(&at.mount),
            path: expand(&at.path),
            field: expand(&at.field),
        };
        if at.server.is_empty() {
            let say = Text::fixed("VAULT_SERVER_URL is not set", "VAULT_SERVER_URL이 없습니다");
            return Err(Error::invalid("secrets.vault", say).hint(Text::fixed(
                "set it in `variables`, as in https://vault.example.com",
                "`variables`에 https://vault.example.com처럼 적으세요",
            )));
        }
        if at.token.is_empty() && at.own_token.is_empty() {
            return Err(self.no_token());
        }
        Ok(at)
    }

    fn no_token(&self) -> Error {
        if self.parts.identity.is_some() {
            let say = Text::fixed(
                "there is no token to show to Vault",
                "Vault에 보여 줄 토큰이 없습니다",
            );
            return Error::invalid("secrets.vault", say).hint(Text::fixed(
                "ask for one: `id_tokens: {VAULT_ID_TOKEN: {aud: https://vault.example.com}}`",
                "`id_tokens: {VAULT_ID_TOKEN: {aud: https://vault.example.com}}`처럼 토큰을 요청하세요",
            ));
        }
        let say = Text::fixed(
            "nobody signs tokens here, so Vault lets nobody in",
            "여기에는 토큰에 서명할 곳이 없어 Vault에 들어갈 수 없습니다",
        );
        Error::invalid("secrets.vault", say).hint(Text::fixed(
            "put the secret itself, or a VAULT_TOKEN, into the file of `--secrets`",
            "`--secrets` 파일에 비밀 값 자체나 VAULT_TOKEN을 적으세요",
        ))
    }

    pub(super) async fn own_run(&self) -> Result<Run> {
        let id = self.task.run.clone();
        let run = self.parts.store.read(move |v| Engine::show_in(v, &id)).await?;
        run.ok_or_else(|| Error::internal("a job without its run"))
    }
}

/// Stores that have let the job in: one login is enough for all secrets of one of them.
#[derive(Default)]
struct Entries(Vec<(VaultSecret, Entry)>);

impl Entries {
    async fn get(&mut self, at: &VaultSecret) -> Result<Entry> {
        if at.token.is_empty() {
            return Ok(SecretText::new(at.own_token.as_str()));
        }
        let same = |other: &VaultSecret| {
            (&other.server, &other.login, &other.role, &other.namespace, &other.token)
                == (&at.server, &at.login, &at.role, &at.namespace, &at.token)
        };
        if let Some((_, entry)) = self.0.iter().find(|(other, _)| same(other)) {
            return Ok(entry.clone());
        }
        let entry = vault::login(at).await?;
        self.0.push((at.clone(), entry.clone()));
        Ok(entry)
    }
}

/// The error of a secret says which one it is. Of a store that is away for a moment it stays one that is
/// tried again.
fn about(name: &str, error: Error) -> Error {
    let Text { en, ko } = error.say();
    let say = text!("the secret {name}: {en}", "비밀 {name}: {ko}");
    let kind = match error.kind() {
        ErrorKind::Internal | ErrorKind::Unavailable | ErrorKind::Busy => error.kind(),
        _ => ErrorKind::Invalid,
    };
    let about = Error::new(kind, error.code(), say).why(error.get_why().unwrap_or_default());
    match error.get_hint() {
        Some(hint) => about.hint(hint.clone()),
        None => about,
    }
}

fn check(secret: &Secret, value: &str) -> Result<()> {
    let name = &secret.name;
    if secret.file || (value.len() <= MAX_VALUE && !value.contains('\0')) {
        return Ok(());
    }
    let say = text!(
        "the secret {name} does not fit into a variable",
        "비밀 {name}은(는) 변수에 담을 수 없습니다"
    );
    Err(Error::invalid("secrets.large", say)
        .hint(Text::fixed("leave out `file: false`", "`file: false`를 빼세요")))
}

//! Pipelines that people start.

use crate::create::{Asked, Beside, create_in};
use crate::gitlab::{FILE, Origin};
use crate::prepare::{Made, Prepared, prepare};
use crate::tip::{self, Tip};
use crate::variables::Variable;
use kernel::{Error, Id, Name, Principal, Result, Text, text};
use serde::Deserialize;
use store::Tx;

/// A pipeline started by a person.
#[derive(Clone, Debug, Deserialize)]
pub struct ByHand {
    pub repository: Name,
    /// A branch or tag: `main`, `v1`.
    #[serde(rename = "ref")]
    pub refname: String,
    #[serde(default)]
    pub variables: std::collections::BTreeMap<String, String>,
    /// Values of the file's `spec:inputs`.
    #[serde(default)]
    pub inputs: serde_json::Map<String, serde_json::Value>,
}

impl crate::Pipelines {
    /// Starts a pipeline on the tip of a branch or tag.
    ///
    /// # Errors
    /// `ref.unknown` for one that was never pushed; `pipeline.absent`, `pipeline.nothing`, and whatever is
    /// wrong with the file.
    pub async fn run(&self, project: &Name, ask: ByHand, actor: Principal) -> Result<Id> {
        self.run_from(project, ask, actor, Origin::Api).await
    }

    /// The same, and what jobs learn of where it came from.
    ///
    /// # Errors
    /// As [`Pipelines::run`](crate::Pipelines::run).
    pub async fn run_from(
        &self,
        project: &Name,
        ask: ByHand,
        actor: Principal,
        origin: Origin,
    ) -> Result<Id> {
        let asked = Asked {
            tip: self.tip(project, &ask.repository, &ask.refname).await?,
            origin,
            given: given(&ask.variables)?,
            actor: actor.clone(),
            made: Made { inputs: ask.inputs, ..Made::default() },
            beside: Beside::default(),
        };
        self.start_asked(asked).await
    }

    /// Compiles and creates what somebody waits for.
    pub(crate) async fn start_asked(&self, asked: Asked) -> Result<Id> {
        let parts = &self.0;
        let compiled = match prepare(parts, &asked).await? {
            Prepared::Ready(compiled) => *compiled,
            Prepared::Broken(error) => return Err(error),
            Prepared::Absent => {
                let say = text!("the commit has no {FILE}", "커밋에 {FILE} 파일이 없습니다");
                return Err(Error::not_found("pipeline.absent", say));
            }
            Prepared::Nothing(why) => return Err(Error::invalid("pipeline.nothing", why)),
        };
        let create = move |tx: &mut Tx<'_>| create_in(tx, &asked, compiled);
        let (run, overtaken) = parts.store.write(create).await?;
        crate::sync::overtake(self.engine()?, overtaken).await;
        Ok(run)
    }

    async fn tip(&self, project: &Name, repository: &Name, name: &str) -> Result<Tip> {
        let shown = kernel::shown(name);
        let (project, of, name) = (project.clone(), repository.clone(), name.to_owned());
        let find = move |v: &store::View<'_>| tip::find(v, &project, &of, &name);
        self.0.store.read(find).await?.ok_or_else(|| {
            let say = text!(
                "{repository} has no branch or tag “{shown}”",
                "{repository}에 “{shown}” 브랜치나 태그가 없습니다"
            );
            Error::not_found("ref.unknown", say)
                .hint(Text::fixed("push it first", "먼저 푸시하세요"))
        })
    }
}

fn given(variables: &std::collections::BTreeMap<String, String>) -> Result<Vec<Variable>> {
    let sound = |(name, value): (&String, &String)| {
        if crate::variables::is_name(name) && !value.contains('\0') {
            return Ok(Variable::literal(name, value.as_str()));
        }
        let shown = kernel::shown(name);
        Err(Error::invalid(
            "variable.invalid",
            text!("“{shown}” cannot be a variable", "“{shown}”은(는) 변수가 될 수 없습니다"),
        ))
    };
    variables.iter().map(sound).collect()
}

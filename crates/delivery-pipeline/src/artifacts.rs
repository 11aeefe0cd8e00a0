//! What jobs left and why they were there, for whoever shows it.

use crate::Pipelines;
use crate::create::REPORTS;
use crate::gitlab::Explained;
use crate::work::{Output, Readers};
use blob::Entry;
use kernel::error::Place;
use kernel::{Error, ErrorKind, Id, Name, Principal, Result, Text, text};
use policy::Permission;
use run::Run;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The artifacts of one step.
#[derive(Clone, Debug, Serialize)]
pub struct Artifacts {
    /// Hash of the tree.
    pub tree: String,
    /// Bytes of all files together.
    pub size: u64,
    /// By path.
    pub files: Vec<Entry>,
}

/// Why a pipeline is as it is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Every job of the file, those that were left out included.
    pub jobs: Vec<Explained>,
    /// What has no effect, with its place.
    pub warnings: Vec<(Place, Text)>,
    /// Percent of the code that the tests of a step ran, by step.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub coverage: BTreeMap<String, f64>,
}

impl Pipelines {
    /// Why each job is in a run or not; `None` for a run that has no report.
    ///
    /// # Errors
    /// `run.unknown`, also for another project's run.
    pub async fn report(&self, project: &Name, run: &str) -> Result<Option<Report>> {
        let run = self.own(project, run).await?;
        let coverage = coverage(&run);
        // A retry has the plan of the run before it, and so its reasons.
        let ids = [Some(run.id), run.retry_of];
        let find = move |v: &store::View<'_>| {
            for id in ids.iter().flatten() {
                if let Some(report) = v.row::<Report>(REPORTS, id.as_str())? {
                    return Ok(Some(Report { coverage, ..report }));
                }
            }
            Ok(None)
        };
        self.0.store.read(find).await
    }

    /// The run, when it is this project's.
    pub(crate) async fn own(&self, project: &Name, run: &str) -> Result<Run> {
        let unknown = || {
            let say = Text::fixed("there is no such run", "그런 실행이 없습니다");
            Error::not_found("run.unknown", say)
        };
        let id = Id::parse(run).ok_or_else(unknown)?;
        let run = self.engine()?.show(&id).await?;
        if run.project == *project { Ok(run) } else { Err(unknown()) }
    }

    /// What a step of a run left, for `who` to read; `None` when it left nothing.
    ///
    /// # Errors
    /// `run.unknown` (also for another project's run), `step.unknown`, `artifacts.gone`; `auth.denied` and
    /// `artifacts.closed` as the job's file says who may read them.
    pub async fn artifacts(
        &self,
        project: &Name,
        run: &str,
        step: &str,
        who: &Principal,
    ) -> Result<Option<Artifacts>> {
        self.left_by(&self.own(project, run).await?, step, who).await
    }

    /// As [`Pipelines::artifacts`], of a run that is at hand.
    pub(crate) async fn left_by(
        &self,
        run: &Run,
        step: &str,
        who: &Principal,
    ) -> Result<Option<Artifacts>> {
        let step = run.step(step).ok_or_else(|| {
            let say = Text::fixed("the run has no such step", "실행에 그런 단계가 없습니다");
            Error::not_found("step.unknown", say)
        })?;
        match readers(run, step.index) {
            Readers::All => {}
            Readers::Developers => self.0.policy.may(who, Permission::Change, &run.project).await?,
            Readers::Maintainers => {
                self.0.policy.may(who, Permission::Deploy, &run.project).await?
            }
            Readers::Nobody => return Err(closed()),
        }
        let output: Output = serde_json::from_value(step.output.clone()).unwrap_or_default();
        let Some(tree) = output.artifacts else { return Ok(None) };
        let found = self.0.blobs.tree(&tree).await.map_err(|e| match e.kind() {
            ErrorKind::NotFound => gone(),
            _ => e,
        })?;
        Ok(Some(Artifacts { size: found.bytes(), files: found.entries, tree }))
    }

    /// One file of a step's artifacts, for reading.
    ///
    /// # Errors
    /// As [`Pipelines::artifacts`]; `artifacts.unknown`.
    pub async fn artifact(
        &self,
        project: &Name,
        run: &str,
        step: &str,
        path: &str,
        who: &Principal,
    ) -> Result<(Entry, tokio::fs::File)> {
        let shown = kernel::shown(path);
        let unknown = || {
            let say = text!("no artifact {shown}", "{shown} 아티팩트가 없습니다");
            Error::not_found("artifacts.unknown", say)
        };
        let all = self.artifacts(project, run, step, who).await?.ok_or_else(unknown)?;
        let entry = all.files.into_iter().find(|e| e.path == path).ok_or_else(unknown)?;
        // A link has no content of its own, and is not followed.
        if entry.mode == blob::LINK {
            return Err(unknown());
        }
        let file = self.0.blobs.open_blob(&entry.hash).await;
        Ok((entry, file.map_err(|_| gone())?))
    }
}

fn coverage(run: &Run) -> BTreeMap<String, f64> {
    let one = |step: &run::StepView| {
        let output: Output = serde_json::from_value(step.output.clone()).ok()?;
        Some((step.name.clone(), output.coverage?))
    };
    run.steps.iter().filter_map(one).collect()
}

/// Whom the job's file lets download its artifacts. Later jobs always get them.
fn readers(run: &Run, step: usize) -> Readers {
    let work = run.plan.steps.get(step).map(|step| &step.action.with);
    let said = work.and_then(|work| work.get("artifacts")?.get("readers").cloned());
    said.and_then(|said| serde_json::from_value(said).ok()).unwrap_or_default()
}

fn closed() -> Error {
    let say = Text::fixed(
        "the job's file lets nobody download its artifacts",
        "작업의 파일이 아무도 아티팩트를 내려받지 못하게 했습니다",
    );
    Error::forbidden("artifacts.closed", say).hint(Text::fixed(
        "`artifacts: access:` in the pipeline's file says who may",
        "누가 받을 수 있는지는 파이프라인 파일의 `artifacts: access:`가 정합니다",
    ))
}

fn gone() -> Error {
    let say = Text::fixed("the artifacts have expired", "아티팩트의 보관 기간이 지났습니다");
    Error::not_found("artifacts.gone", say).hint(Text::fixed(
        "run the job again; `expire_in` says how long they are kept",
        "작업을 다시 실행하세요. 보관 기간은 `expire_in`으로 정합니다",
    ))
}

//! What is known of a job's tests beyond the job: which failures do not count, and which tests failed before.

use super::{CONTROL, Job, class};
use crate::variables::Variable;
use host::{Exit, Reason};
use kernel::Text;
use kernel::journey::ReportFile;

/// Below the control directory.
const FAILED: &str = "failed-tests";

impl Job {
    /// The class of a failure and its sentence. One whose failed tests are all in quarantine is excused,
    /// unless not all of its reports are there: what is missing may tell of others that failed.
    pub(super) async fn judged(
        &self,
        exit: &Exit,
        reports: &[ReportFile],
        complete: bool,
    ) -> (String, Text) {
        let plain = (class(exit).to_owned(), self.complaint(exit).await);
        let Some(verdicts) = &self.parts.verdicts else { return plain };
        // Only a script that ended by itself failed because of what its reports tell.
        if exit.reason != Reason::Exited || reports.is_empty() {
            return plain;
        }
        let judged = verdicts.judge(&self.task.project, &self.work.repository, reports).await;
        match judged {
            Ok(judgement) => {
                judgement.notes.iter().for_each(|note| self.task.log.note(note));
                match judgement.excuse {
                    Some(_) if !complete => {
                        self.note(&Text::fixed(
                            "reports are missing, so the failure counts although all tests known to have failed are in quarantine",
                            "보고서 일부가 없어, 알려진 실패 테스트가 모두 격리되어 있어도 실패로 처리합니다",
                        ));
                        plain
                    }
                    Some(say) => (run::EXCUSED.to_owned(), say),
                    None => plain,
                }
            }
            Err(error) => {
                tracing::warn!(%error, "a job's failed tests could not be judged; the failure counts");
                plain
            }
        }
    }

    /// Variables that name files with the tests that failed when this was last tried.
    pub(super) async fn failed_before(&self) -> Vec<Variable> {
        let Some(verdicts) = &self.parts.verdicts else { return Vec::new() };
        let task = &self.task;
        let found = match verdicts.failed_before(&task.run, &task.step, task.attempt).await {
            Ok(Some(found)) => found,
            Ok(None) => return Vec::new(),
            Err(error) => {
                tracing::warn!(%error, "the tests that failed before are not known");
                return Vec::new();
            }
        };
        let dir = self.place.control().join(FAILED);
        let write = || {
            std::fs::create_dir_all(&dir)?;
            found.files.iter().try_for_each(|(name, words)| std::fs::write(dir.join(name), words))
        };
        if let Err(error) = write() {
            tracing::warn!(%error, "the tests that failed before are not written down");
            return Vec::new();
        }
        let variable = |(name, _): &(String, String)| {
            Variable::literal(name, format!("{CONTROL}/{FAILED}/{name}"))
        };
        found.files.iter().map(variable).collect()
    }
}

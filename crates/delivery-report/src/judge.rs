//! The port [`Verdicts`]: which failures do not count, and what to try again.

use crate::Reports;
use kernel::journey::ReportFile;
use kernel::port::{FailedTests, Judgement, Verdicts};
use kernel::{BoxFuture, Id, Name, Result};

impl Verdicts for Reports {
    fn judge<'a>(
        &'a self,
        _project: &'a Name,
        _repository: &'a Name,
        _files: &'a [ReportFile],
    ) -> BoxFuture<'a, Result<Judgement>> {
        Box::pin(async { Ok(Judgement::default()) })
    }

    fn failed_before<'a>(
        &'a self,
        _run: &'a Id,
        _step: &'a str,
        _attempt: u32,
    ) -> BoxFuture<'a, Result<Option<FailedTests>>> {
        Box::pin(async { Ok(None) })
    }
}

//! The port [`Verdicts`]: which failures do not count, and what to try again.

use crate::ask::tests::{Times, times};
use crate::kind::{self, Quarantine};
use crate::read::{Outcome, Results};
use crate::select::{self, Chosen};
use crate::{Reports, follow};
use kernel::journey::ReportFile;
use kernel::port::{FailedTests, Judgement, Verdicts};
use kernel::{BoxFuture, Id, Kind, Name, Resource, Result, Time, text};
use run::{Engine, Run};
use serde::Deserialize;
use store::View;

/// Quarantines of one project.
const MOST: usize = 1_000;
/// Tests that are named in one sentence.
const NAMED: usize = 5;
/// Runs that are looked back on for a step that was tried before.
const BACK: usize = 20;

impl Verdicts for Reports {
    fn judge<'a>(
        &'a self,
        project: &'a Name,
        repository: &'a Name,
        files: &'a [ReportFile],
    ) -> BoxFuture<'a, Result<Judgement>> {
        Box::pin(async move {
            let project = project.clone();
            let all = self.store.read(move |v| quarantines(v, &project)).await?;
            if all.is_empty() || !files.iter().any(|f| f.format == "junit") {
                return Ok(Judgement::default());
            }
            let results = follow::gather(self, files).await?;
            Ok(judge(&results, repository, &all, self.store.now()))
        })
    }

    fn failed_before<'a>(
        &'a self,
        run: &'a Id,
        step: &'a str,
        attempt: u32,
    ) -> BoxFuture<'a, Result<Option<FailedTests>>> {
        Box::pin(async move {
            let files = self.tried_before(run, step, attempt).await?;
            if !files.iter().any(|f| f.format == "junit") {
                return Ok(None);
            }
            let tests = failed(&follow::gather(self, &files).await?);
            Ok((!tests.is_empty()).then(|| select::all(&tests)))
        })
    }

    fn times<'a>(
        &'a self,
        project: &'a Name,
        repository: &'a Name,
        job: &'a str,
    ) -> BoxFuture<'a, Result<Times>> {
        Box::pin(async move {
            self.caught_up(self.store.head()).await;
            let (project, repository, job) = (project.clone(), repository.clone(), job.to_owned());
            let read = move |v: &View<'_>| {
                let mut found = times(v, &project, &repository, Some(&job))?;
                // What moved here from another job, or is run by several, is known from there.
                for (unit, seconds) in times(v, &project, &repository, None)? {
                    found.entry(unit).or_insert(seconds);
                }
                Ok(found)
            };
            self.store.read(read).await
        })
    }
}

/// A quarantine and when it ends.
#[derive(Clone, Debug)]
pub struct Kept {
    pub name: Name,
    pub spec: Quarantine,
    pub ends: Time,
}

/// All quarantines of a project, those that are over included.
pub(crate) fn quarantines(v: &View<'_>, project: &Name) -> Result<Vec<Kept>> {
    let all = v.resources(Quarantine::KIND, Some(project), None, MOST)?;
    Ok(all.into_iter().filter_map(kept).collect())
}

fn kept(resource: Resource) -> Option<Kept> {
    let spec = Quarantine::deserialize(&resource.spec).ok()?;
    let status = kind::QuarantineStatus::deserialize(&resource.status).unwrap_or_default();
    // Until the follower has said so, it is counted from now.
    let ends = status.ends.or_else(|| kind::ends(&spec, resource.updated).ends)?;
    Some(Kept { name: resource.key.name, spec, ends })
}

/// Excused, when at least one test failed and every one that did is in quarantine. Pure.
pub(crate) fn judge(results: &Results, repository: &Name, all: &[Kept], now: Time) -> Judgement {
    let mut judgement = Judgement::default();
    let mut excused: Vec<(String, &Kept)> = Vec::new();
    let mut counts = false;
    for case in results.cases.iter().filter(|c| c.outcome.failed()) {
        let id = case.identity.id();
        let covering = || all.iter().filter(|k| k.spec.covers(repository, &id));
        if let Some(kept) = covering().find(|k| k.ends > now) {
            excused.push((id, kept));
            continue;
        }
        counts = true;
        if let Some(over) =
            covering().max_by_key(|k| k.ends).filter(|_| judgement.notes.len() < NAMED)
        {
            let (owner, ends) = (&over.spec.owner, day(over.ends));
            judgement.notes.push(text!(
                "{id} failed, and its quarantine is over since {ends}; it was {owner}'s to mend",
                "{id}이(가) 실패했고 격리는 {ends}에 끝났습니다. 고칠 사람은 {owner}입니다"
            ));
        }
    }
    // A runner that broke elsewhere left something out: that is no test's failure to excuse.
    if counts || excused.is_empty() || !results.problems.is_empty() {
        return judgement;
    }
    let count = excused.len();
    let named =
        |(id, kept): &(String, &Kept)| (id.clone(), kept.spec.owner.clone(), day(kept.ends));
    let named: Vec<_> = excused.iter().take(NAMED).map(named).collect();
    let en: Vec<String> = named.iter().map(|(id, o, e)| format!("{id} ({o}, until {e})")).collect();
    let ko: Vec<String> = named.iter().map(|(id, o, e)| format!("{id} ({o}, {e}까지)")).collect();
    let more = count.saturating_sub(NAMED);
    let (en, ko) = if more > 0 {
        (format!("{} and {more} more", en.join(", ")), format!("{} 외 {more}개", ko.join(", ")))
    } else {
        (en.join(", "), ko.join(", "))
    };
    judgement.excuse =
        Some(text!("only tests in quarantine failed: {en}", "격리된 테스트만 실패했습니다: {ko}"));
    judgement
}

/// `2026-12-24`
pub(crate) fn day(at: Time) -> String {
    at.to_string().get(..10).unwrap_or("").to_owned()
}

/// The failed tests of an attempt.
pub(crate) fn failed(results: &Results) -> Vec<Chosen> {
    let failed =
        results.cases.iter().filter(|c| matches!(c.outcome, Outcome::Failed | Outcome::Error));
    failed.map(|c| Chosen { identity: c.identity.clone(), file: c.file.clone() }).collect()
}

impl Reports {
    /// The result files of the attempt before this one: of the same run, or of the run it repeats.
    async fn tried_before(&self, run: &Id, step: &str, attempt: u32) -> Result<Vec<ReportFile>> {
        let (run, step) = (run.clone(), step.to_owned());
        let look = move |v: &View<'_>| {
            let mut at = Engine::show_in(v, &run)?;
            let before = at.as_ref().and_then(|r| files_of(r, &step, attempt));
            if let Some(files) = before {
                return Ok(files);
            }
            for _ in 0..BACK {
                let Some(earlier) = at.as_ref().and_then(|r| r.retry_of.clone()) else { break };
                at = Engine::show_in(v, &earlier)?;
                if let Some(files) = at.as_ref().and_then(|r| files_of(r, &step, u32::MAX)) {
                    return Ok(files);
                }
            }
            Ok(Vec::new())
        };
        self.store.read(look).await
    }
}

/// What the newest attempt of a step before `attempt` left.
fn files_of(run: &Run, step: &str, attempt: u32) -> Option<Vec<ReportFile>> {
    let step = run.step(step)?;
    let tried = step.attempts.iter().rev().find(|a| a.attempt < attempt)?;
    let files = |output: &serde_json::Value| {
        let files = output.get("reports")?;
        Vec::<ReportFile>::deserialize(files).ok().filter(|f| !f.is_empty())
    };
    // The step's own output is that of its newest attempt.
    let newest = step.attempts.last().is_some_and(|a| a.attempt == tried.attempt);
    files(&tried.output).or_else(|| newest.then(|| files(&step.output))?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::read::read;

    fn results(words: &str) -> Results {
        let mut results = Results::default();
        read("junit", "r.xml", words.as_bytes(), &mut results);
        results
    }

    fn kept(pattern: &str, ends: i64) -> Kept {
        let spec = Quarantine {
            tests: vec![pattern.into()],
            repository: None,
            owner: "han".into(),
            until: "2026-12-24".into(),
            reason: "slow".into(),
        };
        Kept { name: Name::parse("q").unwrap(), spec, ends: Time(ends) }
    }

    #[test]
    fn only_a_job_whose_failed_tests_are_all_in_quarantine_is_excused() {
        let web = Name::parse("web").unwrap();
        let one = results(
            r#"<testsuite><testcase classname="c" name="abc"><failure/></testcase><testcase classname="c" name="ok"/></testsuite>"#,
        );
        let two = results(
            r#"<testsuite><testcase classname="c" name="abc"><failure/></testcase><testcase classname="c" name="def"><error/></testcase></testsuite>"#,
        );
        let none = results(r#"<testsuite><testcase classname="c" name="abc"/></testsuite>"#);
        let torn =
            results(r#"<testsuite><testcase classname="c" name="abc"><failure/></testcase>"#);
        let now = Time(100);
        let verdict = |r: &Results, q: &[Kept]| judge(r, &web, q, now);
        let said = verdict(&one, &[kept("c::abc", 200)]).excuse.unwrap();
        assert!(said.en.contains("c::abc (han, until 1970-01-01)"), "{said:?}");
        assert_eq!(verdict(&two, &[kept("c::abc", 200)]).excuse, None);
        assert!(verdict(&two, &[kept("c::abc", 200), kept("c::de*", 200)]).excuse.is_some());
        assert_eq!(verdict(&none, &[kept("c::abc", 200)]), Judgement::default());
        assert_eq!(
            verdict(&torn, &[kept("c::abc", 200)]).excuse,
            None,
            "what is missing may have failed"
        );
        let over = verdict(&one, &[kept("c::abc", 50)]);
        assert_eq!(over.excuse, None);
        assert!(over.notes[0].en.contains("han's to mend"), "{over:?}");
    }
}

//! `naru load gate`: in a pipeline, after `naru load run`.

use super::compare::{finish, read, rules, show};
use super::run;
use crate::api::Ask;
use clap::ArgMatches;
use cli::{Context, segment};
use kernel::{Error, Result, text};
use load::judge::{Judgement, Sample, history};
use load::report::{Report, Wanted};
use serde_json::Value;
use std::path::PathBuf;

pub async fn gate(context: &Context, matches: &ArgMatches) -> Result<()> {
    let file = matches.get_one::<PathBuf>("file").cloned().unwrap_or_default();
    let report = read(&file)?;
    let base = matches.get_one::<String>("base").map_or("main", String::as_str);
    let rules = rules(matches);
    if let Some(files) = matches.get_many::<PathBuf>("base-result") {
        let bases = files.map(|f| read(f)).collect::<Result<Vec<_>>>()?;
        let judged = against(&report, &bases, rules);
        show(context, &judged)?;
        finish(&judged, matches.get_flag("strict"));
        return Ok(());
    }
    let given = |name: &str| std::env::var(name).is_ok_and(|v| !v.is_empty());
    if given("NARU_URL") && given("NARU_TOKEN") {
        let judged = ask(context, matches, &report, base, rules).await?;
        show(context, &judged)?;
        finish(&judged, matches.get_flag("strict"));
        return Ok(());
    }
    // Nobody to ask from here: the server finds the wish in the report and says it on the change.
    wish(&file, &Wanted { base: base.to_owned(), effect: rules.effect })?;
    let l = context.lang;
    context.output.remark(l.pick(
        "the server will judge this result and say so on the change; give NARU_URL and NARU_TOKEN to gate here",
        "서버가 이 결과를 판정해 변경에 표시합니다. 여기서 막으려면 NARU_URL과 NARU_TOKEN을 주세요",
    ));
    Ok(())
}

fn against(report: &Report, bases: &[Report], rules: load::judge::Rules) -> Vec<Judgement> {
    let one = |s: &load::report::ScenarioReport| {
        let same = bases.iter().filter(|b| b.machine.class == report.machine.class);
        let of = same.flat_map(|b| &b.scenarios).filter(|b| b.name == s.name);
        history(&s.name, Sample::of(s), &of.map(Sample::of).collect::<Vec<_>>(), rules)
    };
    report.scenarios.iter().map(one).collect()
}

async fn ask(
    context: &Context,
    matches: &ArgMatches,
    report: &Report,
    base: &str,
    rules: load::judge::Rules,
) -> Result<Vec<Judgement>> {
    let repository = matches.get_one::<String>("repository").cloned().filter(|r| !r.is_empty());
    let repository = repository.ok_or_else(|| {
        Error::invalid("repository.missing", text!("which repository?", "어느 저장소인가요?"))
            .hint(text!("name it with `--repository`", "`--repository`로 알려 주세요"))
    })?;
    let project = super::project_of(matches)?;
    let path =
        format!("/api/v1/projects/{}/load/{}/judge", segment(&project), segment(&repository));
    let client = context.client()?;
    let mut out = Vec::new();
    for s in &report.scenarios {
        let ask = Ask {
            scenario: s.name.clone(),
            class: report.machine.class.clone(),
            sample: Sample::of(s),
            base: base.to_owned(),
            effect: rules.effect,
            commit: std::env::var("CI_COMMIT_SHA").ok(),
        };
        out.push(client.post::<Judgement>(&path, &ask).await?);
    }
    Ok(out)
}

/// Writes the wish into the file, and leaves everything else in it as it is.
fn wish(file: &std::path::Path, wanted: &Wanted) -> Result<()> {
    let mut whole: Value = serde_json::from_str(&run::read(file)?).map_err(Error::internal)?;
    if let Some(ours) = whole.get_mut("naru").and_then(Value::as_object_mut) {
        ours.insert("wanted".to_owned(), serde_json::to_value(wanted).map_err(Error::internal)?);
    }
    run::write(file, &serde_json::to_vec_pretty(&whole).map_err(Error::internal)?)
}

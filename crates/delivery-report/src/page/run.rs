//! What one run came to: failed tests first.

use super::pieces::{self, case_address, core, outcome_words, percent, points, severity, state};
use crate::api::reports;
use crate::ask::coverage::Coverage;
use crate::ask::run::{Failed, Findings, RunCost, RunReport};
use crate::path::Path;
use crate::read::{Problem, Severity};
use crate::record::Entry;
use kernel::{Lang, Name, Result, Time};
use maud::{Markup, html};
use naru_http::{Call, Response};
use web::widget::{self, Bar, Segment, State, Table, Work};
use web::{Page, Reader};

/// Findings on the page.
const FINDINGS: usize = 100;
const FILES: usize = 30;

pub(super) async fn show(call: Call) -> Result<Response> {
    let project = call.project()?;
    let run = crate::api::run_id(&call)?;
    let report = reports(&call).await?.run(&project, &run).await?;
    let r = Reader::of(&call);
    let page = Page::of(&project, "runs", r.t("Results", "결과"))
        .bare()
        .follow(&format!("project={project}&kind=job.reported"))
        .crumb(project.as_str(), format!("/projects/{project}"))
        .crumb(r.t("Runs", "실행"), format!("/projects/{project}/runs"))
        .crumb(run.short(), format!("/projects/{project}/runs/{run}"));
    Ok(web::page(&call, &page, draw(&r, &project, &report)))
}

pub(super) fn draw(r: &Reader, project: &Name, report: &RunReport) -> Markup {
    let commit = report.commit.as_deref().unwrap_or("");
    html! {
        (widget::heading(
            html! { (r.t("Results", "결과")) },
            widget::badge(r, State::parse(report.state.word()), None),
            html! {
                span { (report.title.get(r.lang)) }
                @if !commit.is_empty() { " " (widget::commit(commit, None)) }
                @if let Some(branch) = &report.branch { " " span.tag { (branch) } }
            },
            html! {},
        ))
        (widget::pipeline_tabs(r, &format!("/projects/{project}/runs/{}", report.run), "results"))
        (numbers(r, report))
        @if report.tests.all() == 0 && report.coverage.is_none() && report.findings.is_none() {
            (widget::section("none", "", html! {}, pieces::teach(r)))
        }
        @if !report.problems.is_empty() { (problems(r, &report.problems)) }
        @if !report.failures.is_empty() { (failures(r, project, report)) }
        @if let Some(coverage) = &report.coverage { (covered(r, project, coverage)) }
        @if let Some(findings) = &report.findings { (found(r, project, report, findings)) }
        @if let Some(path) = report.path.as_ref().filter(|p| !p.chain.is_empty()) { (critical(r, path)) }
        @if !report.jobs.is_empty() { (jobs(r, &report.jobs, &report.cost)) }
    }
}

fn numbers(r: &Reader, report: &RunReport) -> Markup {
    let t = &report.tests;
    html! {
        div.stats #numbers data-part {
            @if t.all() > 0 {
                (widget::stat(r.t("Failed tests", "실패한 테스트"), html! { (t.failed) }, html! {
                    (t.all()) " " (r.t("tests", "테스트")) " · " (t.skipped) " " (r.t("skipped", "건너뜀"))
                    @if t.flaky > 0 { " · " (t.flaky) " " (r.t("on retry", "다시 해서 통과")) }
                }))
            }
            @if let Some(c) = &report.coverage {
                (widget::stat(r.t("Coverage", "커버리지"), html! { (percent(c.lines)) }, html! {
                    @match c.delta {
                        Some(delta) => { (points(delta)) " " (r.t("against the default branch", "기본 브랜치 대비")) },
                        None => { (c.lines.covered) " / " (c.lines.all) " " (r.t("lines", "줄")) },
                    }
                }))
            }
            @if let Some(f) = &report.findings {
                (widget::stat(r.t("New findings", "새 발견 사항"), html! { (f.new) }, html! {
                    (f.items.len()) " " (r.t("in all", "전체")) " · " (f.fixed.len()) " " (r.t("fixed", "해결"))
                }))
            }
            (widget::stat(r.t("Cost", "비용"), html! { (core(r, report.cost.core_s)) }, html! {
                (report.cost.attempts) " " (r.t("attempts", "시도"))
                @if report.cost.failed_s > 0.0 { " · " (core(r, report.cost.failed_s)) " " (r.t("failed", "실패")) }
                @if report.cost.canceled_s > 0.0 { " · " (core(r, report.cost.canceled_s)) " " (r.t("canceled", "취소")) }
            }))
            @if let Some(path) = &report.path {
                (widget::stat(r.t("Critical path", "임계 경로"), html! { (pieces::ms(r, path.total_ms as f64)) }, html! {
                    (pieces::ms(r, path.waited_ms as f64)) " " (r.t("waiting", "대기"))
                }))
            }
        }
    }
}

fn problems(r: &Reader, problems: &[Problem]) -> Markup {
    let body = html! {
        ul.plain-list {
            @for p in problems.iter().take(20) {
                li { span.mono { (p.file) @if p.line > 0 { ":" (p.line) } } " " span.soft { (p.say.get(r.lang)) } }
            }
        }
    };
    let beside = widget::badge(r, State::Warned, Some(&problems.len().to_string()));
    widget::section(
        "problems",
        r.t("Report files with problems", "문제가 있는 보고서 파일"),
        beside,
        body,
    )
}

fn failures(r: &Reader, project: &Name, report: &RunReport) -> Markup {
    let body = html! {
        div.failures {
            @for f in &report.failures { (failure(r, project, report, f)) }
            @if report.more_failures > 0 { p.soft.part-in { "+ " (report.more_failures) } }
        }
    };
    let command = format!("naru test failed --run {} -p {project} --format pytest", report.run);
    html! {
        (widget::section("failures", r.t("Failed tests", "실패한 테스트"), html! { span.soft { (report.tests.failed) } }, body))
        @if report.tests.failed > 0 { (widget::copyable(r, &command)) }
    }
}

fn failure(r: &Reader, project: &Name, report: &RunReport, f: &Failed) -> Markup {
    let one = &f.failure;
    let repository = report.repository.as_ref();
    html! {
        details.failure.(state(one.outcome).class()) {
            summary {
                (widget::pip(r, state(one.outcome)))
                span.failure-words {
                    span.failure-id { (pieces::id(&f.id)) }
                    span.sub {
                        span { (outcome_words(r, one.outcome)) " · " (f.step) }
                        @if let Some((word, rate)) = f.flaky { (flaky(r, word, rate)) }
                        @if let Some(q) = &f.quarantine { (pieces::held(r, q)) }
                    }
                    @if !one.message.is_empty() { span.failure-message { (one.message.lines().next().unwrap_or("")) } }
                }
            }
            div.failure-in {
                p.sub {
                    @if let Some(repository) = repository { a href=(case_address(project, repository, &one.test)) { (r.t("Its history", "이력")) } }
                    @if let Some(file) = &one.file { (pieces::place(project, repository, report.commit.as_deref(), file, one.line.unwrap_or(0))) }
                    @if let Some(ms) = one.ms { span.num { (pieces::ms(r, ms as f64)) } }
                }
                @if !one.detail.is_empty() { (widget::code_block(&one.detail)) }
                @else if one.message.lines().count() > 1 { (widget::code_block(&one.message)) }
                @if !one.output.is_empty() {
                    h3 { (r.t("What it printed last", "마지막 출력")) }
                    (widget::code_block(&one.output))
                }
            }
        }
    }
}

fn flaky(r: &Reader, word: &str, rate: f64) -> Markup {
    let share = format!("{:.0} %", rate * 100.0);
    let words = match (word, r.lang) {
        ("fixed", Lang::En) => "was flaky".to_owned(),
        ("fixed", Lang::Ko) => "불안정했음".to_owned(),
        (_, Lang::En) => format!("flaky, fails {share}"),
        (_, Lang::Ko) => format!("불안정, 실패율 {share}"),
    };
    html! { span.tag { (words) } }
}

fn covered(r: &Reader, project: &Name, c: &Coverage) -> Markup {
    let changed = c.changed.as_ref().filter(|ch| ch.lines.all > 0);
    let facts = [
        (
            r.t("Lines", "줄"),
            html! { (percent(c.lines)) " " span.faint { (c.lines.covered) " / " (c.lines.all) } },
        ),
        (r.t("Branches", "분기"), html! { (percent(c.branches)) }),
        (r.t("Functions", "함수"), html! { (percent(c.functions)) }),
        (
            r.t("Changed lines", "바뀐 줄"),
            html! {
                @match changed { Some(ch) => { (percent(ch.lines)) " " span.faint { (ch.lines.covered) " / " (ch.lines.all) } }, None => "–" }
            },
        ),
    ];
    let beside = html! {
        @if let (Some(delta), Some(base)) = (c.delta, &c.base) {
            span.tag { (points(delta)) } span.soft { (r.t("against", "비교 대상")) " " (widget::commit(&base.commit, None)) }
        }
    };
    let missed = changed.map(|ch| &ch.missed);
    let body = html! {
        (widget::facts(&facts))
        @if let Some(missed) = missed.filter(|m| !m.is_empty()) {
            div.part-in {
                h3 { (r.t("Changed lines that no test ran", "테스트가 실행하지 않은 바뀐 줄")) }
                ul.plain-list.tight {
                    @for (path, lines) in missed {
                        @for (from, to) in lines.iter().take(20) {
                            li { (pieces::place(project, Some(&c.repository), Some(&c.commit), path, *from)) @if to > from { span.mono { "–" (to) } } }
                        }
                    }
                }
            }
        }
        (files(r, project, c))
    };
    widget::section("coverage", r.t("Coverage", "커버리지"), beside, body)
}

fn files(r: &Reader, project: &Name, c: &Coverage) -> Markup {
    let rows = c.files.iter().take(FILES).map(|f| {
        let first = f.missed.first().map_or(0, |m| m.0);
        let cells = vec![
            pieces::place(project, Some(&c.repository), Some(&c.commit), &f.path, first),
            html! { (f.lines.all - f.lines.covered.min(f.lines.all)) },
            meter(f.lines.percent().unwrap_or(0.0)),
            html! { (percent(f.lines)) },
        ];
        (None, cells)
    });
    widget::table(&Table {
        heads: vec![
            ("grow", r.t("File", "파일").to_owned()),
            ("num", r.t("Missed lines", "빠진 줄").to_owned()),
            ("wide", String::new()),
            ("num", r.t("Lines", "줄").to_owned()),
        ],
        rows: rows.collect(),
    })
}

/// A share as a bar.
fn meter(percent: f64) -> Markup {
    let width = format!("{:.1}", percent.clamp(0.0, 100.0));
    html! {
        svg.meter width="100" height="8" aria-hidden="true" {
            rect.meter-all width="100" height="8" rx="3" {}
            rect.meter-part width=(width) height="8" rx="3" {}
        }
    }
}

fn found(r: &Reader, project: &Name, report: &RunReport, f: &Findings) -> Markup {
    let beside = html! {
        @for s in Severity::ALL {
            @if let Some(n) = f.counts.get(&s) { (widget::badge(r, severity(s), Some(&format!("{} {n}", s.text().get(r.lang))))) }
        }
        @if f.suppressed > 0 { span.soft { (f.suppressed) " " (r.t("suppressed", "숨김")) } }
    };
    let rows = f.items.iter().take(FINDINGS).map(|m| {
        let one = &m.finding;
        let words = html! {
            span { (one.message) }
            span.sub {
                span { (one.tool) @if !one.rule.is_empty() { " · " @match &one.link { Some(link) => a href=(link) rel="noopener noreferrer" { (one.rule) }, None => (one.rule) } } }
                @if !one.path.is_empty() { (pieces::place(project, report.repository.as_ref(), report.commit.as_deref(), &one.path, one.line)) }
            }
        };
        let cells = vec![
            widget::badge(r, severity(one.severity), Some(one.severity.text().get(r.lang))),
            words,
            html! { @if m.new { span.tag { (r.t("new", "새것")) } } },
        ];
        (None, cells)
    });
    let table = widget::table(&Table {
        heads: vec![
            ("", r.t("Severity", "심각도").to_owned()),
            ("grow", r.t("Finding", "내용").to_owned()),
            ("", String::new()),
        ],
        rows: rows.collect(),
    });
    let body = html! {
        @if f.items.is_empty() { p.soft.part-in { (r.t("Nothing was found", "발견한 것이 없습니다")) } } @else { (table) }
        @if f.items.len() > FINDINGS { p.soft.part-in { "+ " (f.items.len() - FINDINGS) } }
    };
    widget::section("findings", r.t("Findings", "발견 사항"), beside, body)
}

fn critical(r: &Reader, path: &Path) -> Markup {
    let bars: Vec<Bar> = path
        .chain
        .iter()
        .map(|l| {
            let at = |ms: u64| Time(i64::try_from(ms).unwrap_or(i64::MAX));
            let end = l.start_ms.saturating_add(l.worked_ms);
            let begin = l.start_ms.saturating_sub(l.waited_ms);
            let mut segments = Vec::new();
            if l.waited_ms > 0 {
                segments.push(Segment {
                    work: Work::Waiting,
                    start: at(begin),
                    end: Some(at(l.start_ms)),
                });
            }
            segments.push(Segment {
                work: Work::Working,
                start: at(l.start_ms),
                end: Some(at(end)),
            });
            Bar { name: l.step.clone(), state: State::Passed, segments, ..Bar::default() }
        })
        .collect();
    let body = html! {
        (widget::waterfall(r, &bars))
        @if !path.answers.is_empty() {
            ul.plain-list {
                @for a in &path.answers {
                    li { (a.say.get(r.lang)) span.sub { span.num { (pieces::ms(r, path.total_ms as f64)) " → " (pieces::ms(r, a.total_ms as f64)) } } }
                }
            }
        }
    };
    let about = r.t(
        "the chain of jobs that nothing could have overtaken",
        "다른 작업으로 앞당길 수 없는 작업의 사슬",
    );
    widget::section(
        "path",
        r.t("Critical path", "임계 경로"),
        html! { span.soft { (about) } },
        body,
    )
}

fn jobs(r: &Reader, jobs: &[Entry], cost: &RunCost) -> Markup {
    let rows = jobs.iter().map(|j| {
        let spent = cost.steps.iter().find(|(step, _)| *step == j.step).map_or(0.0, |s| s.1);
        let cells = vec![
            widget::pip(r, if j.passed { State::Passed } else { State::Failed }),
            html! { (j.step) @if j.attempt > 1 { " " span.tag { (r.t("attempt", "시도")) " " (j.attempt) } } },
            html! { @if j.tests.all() > 0 { (j.tests.failed) " / " (j.tests.all()) } @else { span.faint { "–" } } },
            html! { @match j.coverage { Some(c) => (percent(c)), None => span.faint { "–" } } },
            html! { (pieces::ms(r, j.took_ms as f64)) },
            html! { (core(r, spent)) },
        ];
        (None, cells)
    });
    let table = widget::table(&Table {
        heads: vec![
            ("", String::new()),
            ("grow", r.t("Job", "작업").to_owned()),
            ("num", r.t("Failed tests", "실패한 테스트").to_owned()),
            ("num wide", r.t("Coverage", "커버리지").to_owned()),
            ("num wide", r.t("Took", "소요").to_owned()),
            ("num", r.t("Cost", "비용").to_owned()),
        ],
        rows: rows.collect(),
    });
    widget::section("jobs", r.t("Jobs", "작업"), html! {}, table)
}

//! Policies with their tests, as they come out now.

use kernel::{Error, Key, Kind, Name, Resource, Result};
use maud::{Markup, html};
use naru_http::{Call, Response};
use policy::{PlatformPolicy, PolicySpec, TestResult};
use web::widget::{self, State, Table};
use web::{Page, Reader};

/// Policies on one page.
const MOST: usize = 200;

/// One resource of policies, and what its tests came to.
pub(super) struct Shown {
    pub name: Name,
    pub spec: PolicySpec,
    pub tests: std::result::Result<Vec<TestResult>, Error>,
}

pub(super) async fn of_project(call: Call) -> Result<Response> {
    let project = call.project()?;
    let all = read(&call, Some(&project)).await?;
    let r = Reader::of(&call);
    let page = Page::of(&project, "access", r.t("Policies", "정책")).bare();
    let about = html! { (r.t(
        "Cedar policies that hold in this project alone; owners write them",
        "이 프로젝트 안에서만 적용되는 Cedar 정책입니다. 소유자가 씁니다",
    )) };
    let body = html! {
        (widget::heading(html! { (r.t("Policies", "정책")) }, html! {}, about, html! {}))
        (super::tabs(&r, &project, "policies"))
        (draw(&r, &all))
    };
    Ok(web::page(&call, &page, body))
}

pub(super) async fn of_platform(call: Call) -> Result<Response> {
    let all = read(&call, None).await?;
    let r = Reader::of(&call);
    let title = r.t("Policies of the platform", "플랫폼 정책");
    let page = Page { title: title.to_owned(), bare: true, ..Page::default() };
    let about = html! { (r.t(
        "Cedar policies that hold everywhere; administrators write them",
        "어디서나 적용되는 Cedar 정책입니다. 관리자가 씁니다",
    )) };
    let built_in = r.t("The built-in roles", "기본 역할");
    let body = html! {
        (widget::heading(html! { (title) }, html! {}, about, html! {}))
        (draw(&r, &all))
        (widget::section("built-in", built_in, html! {}, widget::code_block(policy::BUILTIN)))
    };
    Ok(web::page(&call, &page, body))
}

async fn read(call: &Call, project: Option<&Name>) -> Result<Vec<Shown>> {
    let (kind, whose) = match project {
        Some(project) => (PolicySpec::KIND, Some(project.clone())),
        None => (PlatformPolicy::KIND, None),
    };
    let find = move |v: &store::View<'_>| v.resources(kind, whose.as_ref(), None, MOST);
    let found = call.site.store.read(find).await?;
    let mut all = Vec::new();
    for resource in found {
        let spec = spec(&resource)?;
        let key = Key { kind: kind.into(), ..resource.key.clone() };
        let tests = call.site.policy.test(&key, &spec).await;
        all.push(Shown { name: resource.key.name, spec, tests });
    }
    Ok(all)
}

fn spec(resource: &Resource) -> Result<PolicySpec> {
    match resource.key.project {
        Some(_) => resource.spec::<PolicySpec>(),
        None => resource.spec::<PlatformPolicy>().map(|p| p.0),
    }
}

pub(super) fn draw(r: &Reader, all: &[Shown]) -> Markup {
    if all.is_empty() {
        return widget::section(
            "none",
            "",
            html! {},
            widget::empty(
                r,
                r.t("No policies yet", "아직 정책이 없습니다"),
                r.t(
                    "Roles decide alone. A policy permits or forbids more finely, and brings its tests along",
                    "지금은 역할만으로 정해집니다. 정책은 더 세밀하게 허용하거나 금지하고, 테스트를 함께 둡니다",
                ),
                &["naru policy schema", "naru policy test policy.yaml", "naru apply -f policy.yaml"],
            ),
        );
    }
    html! { @for one in all { (draw_one(r, one)) } }
}

fn draw_one(r: &Reader, one: &Shown) -> Markup {
    let failed = one.tests.as_ref().map_or(1, |t| t.iter().filter(|t| !t.passed()).count());
    let state = match (&one.tests, failed) {
        (Ok(tests), 0) if tests.is_empty() => None,
        (_, 0) => Some(State::Passed),
        _ => Some(State::Failed),
    };
    let words = match failed {
        0 => r.t("tests pass", "테스트 통과").to_owned(),
        n => format!("{n} {}", r.t("failing", "개 실패")),
    };
    let beside = html! { @if let Some(state) = state { (widget::badge(r, state, Some(&words))) } };
    let body = html! {
        @if !one.spec.about.is_empty() { p.part-in { (one.spec.about) } }
        (widget::code_block(one.spec.cedar.trim()))
        @match &one.tests {
            Ok(tests) if tests.is_empty() => {
                p.part-in.soft { (r.t("no tests", "테스트 없음")) }
            }
            Ok(tests) => (table(r, tests)),
            Err(error) => {
                @let said = error.sentence();
                (widget::flash(State::Failed, said.get(r.lang), None))
            }
        }
    };
    widget::section(&format!("policy-{}", one.name), one.name.as_str(), beside, body)
}

fn table(r: &Reader, tests: &[TestResult]) -> Markup {
    let heads = vec![
        ("", String::new()),
        ("grow", r.t("Test", "테스트").to_owned()),
        ("", r.t("Expects", "기대").to_owned()),
        ("wide", r.t("Because", "까닭").to_owned()),
    ];
    let word = |e: policy::Expect| match e {
        policy::Expect::Allow => r.t("allow", "허용"),
        policy::Expect::Deny => r.t("deny", "거부"),
    };
    let row = |t: &TestResult| {
        let state = if t.passed() { State::Passed } else { State::Failed };
        let cells = vec![
            widget::pip(r, state),
            html! { (t.name) },
            html! { (word(t.expect)) },
            html! { span.soft { (t.because.get(r.lang)) } },
        ];
        (None, cells)
    };
    widget::table(&Table { heads, rows: tests.iter().map(row).collect() })
}

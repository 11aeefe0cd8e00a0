//! Pipelines that start by the clock: which there are, when they are due, and new ones.

use super::start::variables;
use crate::{ByHand, Pipelines, Schedule, ScheduleStatus};
use kernel::kind::Kind;
use kernel::{Error, Key, Name, Resource, Result, Text};
use maud::{Markup, html};
use naru_http::{Call, Response, found};
use store::Put;
use web::widget::{self, State, Table, Tone};
use web::{Page, Reader};

const SHOWN: usize = 500;
const REPOSITORIES: usize = 200;

/// A schedule as it is written and as it stands.
pub(super) struct Row {
    pub name: Name,
    pub spec: Schedule,
    pub status: ScheduleStatus,
}

pub(super) async fn show(call: Call) -> Result<Response> {
    let project = call.project()?;
    let whose = project.clone();
    let read = move |v: &store::View<'_>| {
        let schedules = v.resources(Schedule::KIND, Some(&whose), None, SHOWN)?;
        let repositories = v.resources("Repository", Some(&whose), None, REPOSITORIES)?;
        Ok((schedules, repositories))
    };
    let (schedules, repositories) = call.site.store.read(read).await?;
    let rows = schedules.iter().map(row_of).collect::<Result<Vec<_>>>()?;
    let names: Vec<Name> = repositories.into_iter().map(|r| r.key.name).collect();
    let r = Reader::of(&call);
    let page = Page::of(&project, "runs", r.t("Schedules", "일정"))
        .bare()
        .crumb(project.as_str(), format!("/projects/{project}"))
        .crumb(r.t("Runs", "실행"), format!("/projects/{project}/runs"))
        .follow(&format!("project={project}&kind=resource."));
    Ok(web::page(&call, &page, draw(&r, &project, &rows, &names)))
}

fn row_of(resource: &Resource) -> Result<Row> {
    let status = serde_json::from_value(resource.status.clone()).unwrap_or_default();
    Ok(Row { name: resource.key.name.clone(), spec: resource.spec()?, status })
}

pub(super) fn draw(r: &Reader, project: &Name, rows: &[Row], repositories: &[Name]) -> Markup {
    let about = html! { (r.t(
        "Pipelines that start by the clock, in the name of whoever wrote the schedule last",
        "정해진 시각에, 일정을 마지막으로 고친 사람의 이름으로 시작하는 파이프라인",
    )) };
    let list = match rows {
        [] => widget::empty(
            r,
            r.t("No schedule yet", "아직 일정이 없습니다"),
            r.t(
                "Make one below, or keep it with the code in naru.yaml",
                "아래에서 만들거나, naru.yaml에 코드와 함께 두세요",
            ),
            &["naru explain Schedule"],
        ),
        rows => widget::table(&Table {
            heads: heads(r),
            rows: rows.iter().map(|row| (None, cells(r, project, row))).collect(),
        }),
    };
    html! {
        (widget::heading(html! { (r.t("Schedules", "일정")) }, html! {}, about, html! {}))
        (widget::section("schedules", "", html! {}, list))
        @if !repositories.is_empty() {
            (widget::section("new", r.t("New schedule", "새 일정"), html! {}, form(r, project, repositories)))
        }
    }
}

fn heads(r: &Reader) -> Vec<(&'static str, String)> {
    vec![
        ("grow", r.t("Schedule", "일정").to_owned()),
        ("wide", r.t("When", "시각").to_owned()),
        ("", r.t("Next", "다음").to_owned()),
        ("wide", r.t("Last", "최근").to_owned()),
        ("", String::new()),
    ]
}

fn cells(r: &Reader, project: &Name, row: &Row) -> Vec<Markup> {
    let Row { name, spec, status } = row;
    let here = format!("/projects/{project}/schedules/{name}");
    let (pause, resume) = (r.t("Pause", "멈춤"), r.t("Resume", "다시 켜기"));
    vec![
        html! {
            strong { (name) }
            div.sub { (spec.repository) " " (spec.refname) @if !spec.description.is_empty() { " · " (spec.description) } }
            @if let Some(problem) = &status.problem { div.sub.reason { (problem.get(r.lang)) } }
        },
        html! { span.mono { (spec.cron) } div.sub { (spec.timezone) } },
        match status.next.filter(|_| spec.active) {
            Some(next) => {
                html! { time datetime=(next) title=(next) { (moment(&next.to_string())) } }
            }
            None => widget::badge(r, State::Skipped, Some(r.t("paused", "멈춤"))),
        },
        html! {
            @match &status.run {
                Some(run) => a href=(format!("/projects/{project}/runs/{run}")) { (widget::ago_or_dash(r, status.last)) },
                None => (widget::ago_or_dash(r, status.last)),
            }
            @if let Some(owner) = &status.owner { div.sub { (owner) } }
        },
        html! { div.row-actions {
            (widget::post(&format!("{here}/run"), &[], html! { (web::icon::play()) (r.t("Run now", "지금 실행")) }, Tone::Plain))
            (widget::post(&format!("{here}/{}", if spec.active { "pause" } else { "resume" }), &[],
                html! { (if spec.active { pause } else { resume }) }, Tone::Plain))
            (widget::post(&format!("{here}/delete"), &[], html! { (r.t("Delete", "삭제")) }, Tone::Danger))
        } },
    ]
}

/// `11-25 04:30 UTC`: it is never more than a year away.
fn moment(words: &str) -> String {
    format!("{} UTC", words.get(5..16).unwrap_or(words).replace('T', " "))
}

fn form(r: &Reader, project: &Name, repositories: &[Name]) -> Markup {
    html! {
        form.fields.part-in method="post" action=(format!("/projects/{project}/schedules")) {
            label for="name" { (r.t("Name", "이름")) }
            input #name type="text" name="name" placeholder="nightly" required;
            label for="repository" { (r.t("Repository", "저장소")) }
            select #repository name="repository" {
                @for name in repositories { option value=(name) { (name) } }
            }
            label for="ref" { (r.t("Branch or tag", "브랜치나 태그")) }
            input #ref type="text" name="ref" value="main" required;
            label for="cron" { (r.t("When: minute, hour, day, month, weekday", "시각: 분, 시, 일, 월, 요일")) }
            input #cron type="text" name="cron" value="30 4 * * mon-fri" required spellcheck="false";
            label for="timezone" { (r.t("Time zone", "시간대")) }
            input #timezone type="text" name="timezone" value=(r.t("UTC", "Asia/Seoul")) required spellcheck="false";
            label for="variables" { (r.t("Variables, one NAME=value a line", "변수, 한 줄에 NAME=값 하나")) }
            textarea #variables name="variables" rows="3" spellcheck="false" {}
            label for="description" { (r.t("What it is for", "용도")) }
            input #description type="text" name="description" maxlength="200";
            div { button.button.main { (r.t("Save the schedule", "일정 저장")) } }
        }
    }
}

pub(super) async fn create(mut call: Call) -> Result<Response> {
    let form = call.form().await?;
    let field = |name: &str| form.get(name).map_or("", |v| v.trim()).to_owned();
    let spec = Schedule {
        repository: Name::parse(&field("repository"))?,
        refname: field("ref"),
        cron: field("cron"),
        timezone: field("timezone"),
        description: field("description"),
        variables: variables(form.get("variables").map_or("", String::as_str))?,
        active: true,
    };
    let name = Name::parse(&field("name"))?;
    // A form never writes over what is there.
    write(&call, &name, &spec, Some(0)).await?;
    back(&call)
}

async fn write(call: &Call, name: &Name, spec: &Schedule, expected: Option<u64>) -> Result<()> {
    spec.check()?;
    let put = Put {
        key: Key::of::<Schedule>(&call.project()?, name),
        labels: Default::default(),
        spec: serde_json::to_value(spec).map_err(Error::internal)?,
        expected,
        actor: call.who.clone(),
    };
    call.site.store.write(move |tx| tx.put(put)).await.map(drop)
}

fn back(call: &Call) -> Result<Response> {
    found(&format!("/projects/{}/schedules", call.project()?))
}

/// `run`, `pause`, `resume` and `delete` from a button.
pub(super) async fn act(call: Call) -> Result<Response> {
    let project = call.project()?;
    let name = Name::parse(call.param("schedule")?)?;
    let key = Key::of::<Schedule>(&project, &name);
    let (wanted, gone) = (key.clone(), name.clone());
    let held = call.site.store.read(move |v| v.resource(&wanted)).await?;
    let held = held.ok_or_else(|| {
        Error::not_found(
            "schedule.unknown",
            kernel::text!("there is no schedule {gone}", "{gone} 일정이 없습니다"),
        )
    })?;
    let spec: Schedule = held.spec()?;
    match call.param("action")? {
        "run" => {
            let ask = ByHand {
                repository: spec.repository,
                refname: spec.refname,
                variables: spec.variables,
                inputs: serde_json::Map::new(),
            };
            let run = call.part::<Pipelines>()?.run(&project, ask, call.who.clone()).await?;
            return found(&format!("/projects/{project}/runs/{run}"));
        }
        action @ ("pause" | "resume") => {
            let spec = Schedule { active: action == "resume", ..spec };
            write(&call, &name, &spec, Some(held.revision)).await?;
        }
        "delete" => {
            let who = call.who.clone();
            call.site.store.write(move |tx| tx.delete(&key, None, who)).await?;
        }
        _ => {
            return Err(Error::not_found(
                "action.unknown",
                Text::fixed("a schedule cannot do that", "일정에 그런 동작은 없습니다"),
            ));
        }
    }
    back(&call)
}
